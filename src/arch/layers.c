#include "arch/layers.h"
#include <math.h>
#include <stdio.h>

static const char *suffixed(char text[96], const char *name, const char *suffix)
{
    snprintf(text, 96, "%s.%s", name, suffix);
    return text;
}

/* The sum is part of the product; with dropout between them, or when both terms are x, it comes after. */
static bool joins(const tensor *x, const tensor *y, double rate) { return x != y && !(rate > 0); }
static tensor *add_after(graph *g, tensor *x, tensor *y, double rate) { return add(g, x, dropout(g, y, rate)); }

/* ---- matrices ---- */

static tensor *product(graph *g, tensor *x, const char *name, int width, const dense_options *o, tensor *residual)
{
    char text[96];
    const axis in = reads(o->in), out = { o->out, false, o->parts };
    const bool out_in = o->layout == OUT_IN;
    param_rule rule = { .dims = { out_in ? width : x->width, out_in ? x->width : width }, .axes = { out_in ? out : in, out_in ? in : out },
                        .init = o->std > 0 ? INIT_NORMAL : INIT_ZERO, .std = o->std, .cut = o->cut, .decay = true, .heads = o->heads, .by_head = o->by_head };
    const param_rule bias = { .dims = { width }, .axes = { out }, .heads = o->heads, .by_head = o->by_head };
    tensor *w = parameter(g, suffixed(text, name, "weight"), rule);
    tensor *b = o->bias ? parameter(g, suffixed(text, name, "bias"), bias) : NULL;
    return linear(g, x, w, b, (linear_options){ .layout = o->layout, .act = o->act, .residual = residual });
}

tensor *dense(graph *g, tensor *x, const char *name, int width, dense_options o)
{
    return graph_ok(g) ? dropout(g, product(g, x, name, width, &o, NULL), o.dropout) : NULL;
}

tensor *dense_add(graph *g, tensor *x, tensor *y, const char *name, dense_options o)
{
    if (!graph_ok(g)) return NULL;
    if (joins(x, y, o.dropout)) return product(g, y, name, x->width, &o, x);
    return add_after(g, x, product(g, y, name, x->width, &o, NULL), o.dropout);
}

static tensor *parameter_tokens(graph *g, tensor *x, const char *name, int width, const pattention_layer_options *o, tensor *residual)
{
    char text[96];
    tensor *keys = parameter(g, suffixed(text, name, "key_param_tokens"), (param_rule){ .dims = { o->slots, x->width },
                             .axes = { writes(AXIS_SLOT), reads(o->in) }, .init = INIT_NORMAL, .std = o->std_keys, .decay = true });
    tensor *values = parameter(g, suffixed(text, name, "value_param_tokens"), (param_rule){ .dims = { o->slots, width },
                               .axes = { reads(AXIS_SLOT), writes(o->out) }, .init = INIT_NORMAL, .std = o->std_values, .decay = true });
    return pattention(g, x, keys, values, (pattention_options){ .theta = o->theta, .tau2 = o->tau2, .residual = residual });
}

tensor *pattention_layer(graph *g, tensor *x, const char *name, int width, pattention_layer_options o)
{
    return graph_ok(g) ? dropout(g, parameter_tokens(g, x, name, width, &o, NULL), o.dropout) : NULL;
}

tensor *pattention_add(graph *g, tensor *x, tensor *y, const char *name, pattention_layer_options o)
{
    if (!graph_ok(g)) return NULL;
    if (joins(x, y, o.dropout)) return parameter_tokens(g, y, name, x->width, &o, x);
    return add_after(g, x, parameter_tokens(g, y, name, x->width, &o, NULL), o.dropout);
}

double wang_std(int layers, int width) { return 2 / (layers * sqrt(width)); }

/* ---- norms ---- */

static tensor *norm_parameter(graph *g, const char *name, const char *suffix, int width, init_kind init, const norm_options *o)
{
    char text[96];
    const axis_kind over = o->heads ? AXIS_NONE : o->over ? o->over : AXIS_RESIDUAL;
    return parameter(g, suffixed(text, name, suffix), (param_rule){ .dims = { width }, .axes = { { over, o->before_tied_head, 1 } }, .init = init });
}

tensor *norm(graph *g, tensor *x, const char *name, norm_options o)
{
    if (!graph_ok(g)) return NULL;
    const bool affine = o.kind != NORM_LAYER_PLAIN, biased = o.kind == NORM_LAYER, shifted = o.kind == NORM_RMS_SHIFTED;
    const int width = o.heads ? x->width / o.heads : x->width;
    tensor *w = affine ? norm_parameter(g, name, "weight", width, shifted ? INIT_ZERO : INIT_ONE, &o) : NULL;
    tensor *b = biased ? norm_parameter(g, name, "bias", width, INIT_ZERO, &o) : NULL;
    if (shifted) return add(g, rms_norm_heads(g, x, NULL, o.eps, o.heads), rms_norm_heads(g, x, w, o.eps, o.heads));
    if (o.kind == NORM_RMS) return rms_norm_heads(g, x, w, o.eps, o.heads);
    require(g, !o.heads, "norm: layer norms of heads are not supported");
    return layer_norm(g, x, w, b, o.eps);
}

/* ---- embeddings and heads ---- */

tensor *embedding_table(graph *g, const char *name, int rows, int width, table_options o)
{
    return parameter(g, name, (param_rule){ .dims = { rows, width }, .axes = { writes(o.rows), writes(AXIS_RESIDUAL) }, .init = INIT_NORMAL,
                                            .std = o.std, .cut = o.cut, .decay = true, .shared_read = o.tied });
}

tensor *head_weight(graph *g, const char *name, int outputs, int width, double std)
{
    return parameter(g, name, (param_rule){ .dims = { outputs, width }, .axes = { writes(AXIS_VOCAB), reads(AXIS_RESIDUAL) },
                                            .init = INIT_NORMAL, .std = std, .decay = true });
}

/* ---- series and shortcuts ---- */

/* args: channels, and whether there are gains.  With gains branch i has scale 1, -1, 1, -1, ... and bias 0, 0, -1,
 * -1, -2, ... */
static int branch_of(const double *args, size_t i) { return (int)(i / (size_t)args[0]); }
static double initial_scale(const double *args, uint64_t key, size_t i)
{
    (void)key;
    int b = branch_of(args, i);
    return args[1] > 0 ? (b % 2 ? -1 : 1) : b == 0;
}
static double initial_bias(const double *args, uint64_t key, size_t i) { (void)key; return args[1] > 0 ? -(branch_of(args, i) / 2) : 0; }
static double initial_gain(const double *args, uint64_t key, size_t i) { (void)key; return branch_of(args, i) == 0; }

typedef double initial_value(const double *args, uint64_t key, size_t i);
static tensor *series_table(graph *g, const char *name, int channels, const series_layer_options *o, initial_value *formula)
{
    return parameter(g, name, (param_rule){ .dims = { o->n, o->scalar ? 0 : channels }, .axes = { { 0 }, writes(AXIS_INNER) },
                                            .init = INIT_FORMULA, .formula = formula, .args = { o->scalar ? 1 : channels, o->gains } });
}

tensor *series_layer(graph *g, tensor *u, tensor *v, const char *name, series_layer_options o)
{
    if (!graph_ok(g)) return NULL;
    char text[96];
    series_options s = { .n = o.n, .scalar = o.scalar };
    for (int i = 0; i < o.n; i++) s.act[i] = o.act[i];
    s.scale = series_table(g, suffixed(text, name, "scale"), u->width, &o, initial_scale);
    s.bias = series_table(g, suffixed(text, name, "bias"), u->width, &o, initial_bias);
    if (o.gains) s.gain = series_table(g, suffixed(text, name, "gain"), u->width, &o, initial_gain);
    return series(g, u, v, s);
}

int bottleneck_width(int C, int reduction)
{
    int k = (C / reduction + 7) / 8 * 8;
    return k < 16 ? 16 : k;
}

tensor *bottleneck_add(graph *g, tensor *x, tensor *h, const char *name, bottleneck_options o)
{
    char text[96];
    const dense_options down = { .in = AXIS_RESIDUAL, .out = AXIS_BOTTLENECK, .std = o.std, .act = o.inner };
    const dense_options up = { .in = AXIS_BOTTLENECK, .out = AXIS_RESIDUAL, .std = o.std_out, .act = o.outer };
    h = dense(g, h, suffixed(text, name, "down"), o.width, down);
    return dense_add(g, x, h, suffixed(text, name, "up"), up);
}

/* ---- configurations ---- */

int check_pairs(int channels, lithe_error *err)
{
    return channels % 2 ? fail(err, LITHE_ECONFIG, "heads of %d channels: rotary positions need an even number", channels) : LITHE_OK;
}

int rotary_channels(double pct, int channels) { return (int)(channels * pct); }

int check_rotary(double pct, int channels, int least, lithe_error *err)
{
    const int rotated = rotary_channels(pct, channels);
    if (rotated >= least && rotated % 2 == 0) return LITHE_OK;
    return fail(err, LITHE_ECONFIG, "rotary_pct is %g, %d of a head's %d channels: rotary positions need an even number of them, at least %d",
                pct, rotated, channels, least);
}

int check_divides(const char *part, int divisor, const char *whole, int value, lithe_error *err)
{
    if (!divisor || value % divisor == 0) return LITHE_OK;
    return fail(err, LITHE_ECONFIG, "%s is %d, which does not divide %s %d", part, divisor, whole, value);
}

int usual_head_dim(int width) { return width % 64 ? 32 : 64; }
int usual_heads(int width) { return width / usual_head_dim(width); }
double sized_std(double factor, int width) { return fmax(0.02, factor / sqrt(width)); }

int glu_width(int width) { return (width * 8 / 3 + 31) / 32 * 32; }

bool always(const void *config)
{
    (void)config;
    return true;
}
