#include "arch/layers.h"
#include <stdio.h>

static const char *suffixed(char text[96], const char *name, const char *suffix)
{
    snprintf(text, 96, "%s.%s", name, suffix);
    return text;
}

tensor *dense(graph *g, tensor *x, const char *name, int out, dense_options o) { return dense_cut(g, x, name, out, o, 0); }

tensor *dense_cut(graph *g, tensor *x, const char *name, int out, dense_options o, double cut)
{
    if (!graph_ok(g)) return NULL;
    char text[96];
    int in = x->width;
    param_rule weight = { .rank = 2, .init = o.std > 0 ? INIT_NORMAL : INIT_ZERO, .std = o.std, .cut = cut, .decay = true };
    bool out_in = o.layout == OUT_IN;
    weight.dims[0] = out_in ? out : in;
    weight.dims[1] = out_in ? in : out;
    weight.axes[0] = out_in ? o.out : o.in;
    weight.axes[1] = out_in ? o.in : o.out;
    tensor *w = parameter(g, suffixed(text, name, "weight"), weight);
    tensor *b = o.bias ? parameter(g, suffixed(text, name, "bias"), (param_rule){ .rank = 1, .dims = { out }, .axes = { o.out } }) : NULL;
    return linear(g, x, w, b, (linear_options){ .layout = o.layout, .act = o.act, .residual = o.residual });
}

tensor *pattention_layer(graph *g, tensor *x, const char *name, int out, pattention_layer_options o)
{
    if (!graph_ok(g)) return NULL;
    char text[96];
    tensor *keys = parameter(g, suffixed(text, name, "key_param_tokens"), (param_rule){ .rank = 2, .dims = { o.slots, x->width },
                             .axes = { SLOT_WRITE, o.in }, .init = INIT_NORMAL, .std = o.std_keys, .decay = true });
    tensor *values = parameter(g, suffixed(text, name, "value_param_tokens"), (param_rule){ .rank = 2, .dims = { o.slots, out },
                               .axes = { SLOT_READ, o.out }, .init = INIT_NORMAL, .std = o.std_values, .decay = true });
    return pattention(g, x, keys, values, (pattention_options){ o.theta, o.tau2, o.residual });
}

/* args: channels, and whether there are gains.  With gains branch i has scale 1, -1, 1, -1, ... and bias 0, 0, -1, -1, -2, ... */
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
static tensor *series_table(graph *g, const char *name, const char *kind, int channels, const series_layer_options *o, initial_value *formula)
{
    char text[96];
    param_rule rule = { .rank = o->scalar ? 1 : 2, .dims = { o->n, o->scalar ? 0 : channels }, .axes = { { 0 }, INNER_WRITE },
                        .init = INIT_FORMULA, .formula = formula, .args = { o->scalar ? 1 : channels, o->gains } };
    return parameter(g, suffixed(text, name, kind), rule);
}

tensor *series_layer(graph *g, tensor *u, tensor *v, const char *name, series_layer_options o)
{
    if (!graph_ok(g)) return NULL;
    series_options s = { .n = o.n, .scalar = o.scalar };
    for (int i = 0; i < o.n; i++) s.act[i] = o.act[i];
    s.scale = series_table(g, name, "scale", u->width, &o, initial_scale);
    s.bias = series_table(g, name, "bias", u->width, &o, initial_bias);
    if (o.gains) s.gain = series_table(g, name, "gain", u->width, &o, initial_gain);
    return series(g, u, v, s);
}

int bottleneck_width(int C, int reduction)
{
    int k = (C / reduction + 7) / 8 * 8;
    return k < 16 ? 16 : k;
}

tensor *bottleneck_shortcut(graph *g, tensor *h, tensor *x, const char *name, bottleneck_options o)
{
    if (!graph_ok(g)) return NULL;
    const axis narrow_write = { AXIS_BOTTLENECK, false, 1 }, narrow_read = { AXIS_BOTTLENECK, true, 1 };
    char text[96];
    h = dense(g, h, suffixed(text, name, "down"), o.width, (dense_options){ OUT_IN, false, RESIDUAL_READ, narrow_write, o.std, o.inner, NULL });
    return dense(g, h, suffixed(text, name, "up"), x->width, (dense_options){ OUT_IN, false, narrow_read, RESIDUAL_WRITE, o.std_out, o.outer, x });
}

tensor *embedding_table(graph *g, const char *name, int rows, int width, axis_kind meaning, double std, bool tied)
{
    return parameter(g, name, (param_rule){ .rank = 2, .dims = { rows, width }, .axes = { { meaning, false, 1 }, RESIDUAL_WRITE },
                                            .init = INIT_NORMAL, .std = std, .decay = true, .shared_read = tied });
}

tensor *head_weight(graph *g, const char *name, int outputs, int width, double std)
{
    return parameter(g, name, (param_rule){ .rank = 2, .dims = { outputs, width }, .axes = { { AXIS_VOCAB, false, 1 }, RESIDUAL_READ },
                                            .init = INIT_NORMAL, .std = std, .decay = true });
}

static tensor *norm_parameter(graph *g, const char *name, const char *suffix, int width, init_kind init, bool before_tied_head)
{
    char text[96];
    return parameter(g, suffixed(text, name, suffix),
                     (param_rule){ .rank = 1, .dims = { width }, .axes = { { AXIS_RESIDUAL, before_tied_head, 1 } }, .init = init });
}

tensor *layer_norm_affine(graph *g, tensor *x, const char *name, double eps, bool before_tied_head)
{
    if (!graph_ok(g)) return NULL;
    tensor *w = norm_parameter(g, name, "weight", x->width, INIT_ONE, before_tied_head);
    tensor *b = norm_parameter(g, name, "bias", x->width, INIT_ZERO, before_tied_head);
    return layer_norm(g, x, w, b, eps);
}

tensor *layer_norm_scaled(graph *g, tensor *x, const char *name, double eps, bool before_tied_head)
{
    if (!graph_ok(g)) return NULL;
    return layer_norm(g, x, norm_parameter(g, name, "weight", x->width, INIT_ONE, before_tied_head), NULL, eps);
}

tensor *rms_norm_affine(graph *g, tensor *x, const char *name, double eps, bool before_tied_head)
{
    if (!graph_ok(g)) return NULL;
    return rms_norm(g, x, norm_parameter(g, name, "weight", x->width, INIT_ONE, before_tied_head), eps);
}
