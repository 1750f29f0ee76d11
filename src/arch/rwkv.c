#include "arch/rwkv.h"
#include "base/random.h"
#include <math.h>
#include <stdio.h>

int rwkv_normalize(json_t *config, lithe_error *err)
{
    const json_t *attention = json_object_get(config, "attention_hidden_size"), *width = json_object_get(config, "hidden_size");
    if (json_is_integer(attention) && json_is_integer(width) && json_integer_value(attention) != json_integer_value(width))
        return fail(err, LITHE_ECONFIG, "attention_hidden_size is %lld; only hidden_size, %lld, is supported",
                    (long long)json_integer_value(attention), (long long)json_integer_value(width));
    if (json_is_true(json_object_get(config, "tie_word_embeddings")))
        return fail(err, LITHE_ECONFIG, "tie_word_embeddings is true; RWKV's head is its own");
    const json_t *divisor = json_object_get(config, "head_size_divisor");
    double d = json_number_value(divisor);
    if (json_is_number(divisor) && !json_object_get(config, "group_norm_epsilon") && d > 0 && json_object_set_new(config, "group_norm_epsilon", json_real(1e-5 * d * d)))
        return fail(err, LITHE_ENOMEM, "not enough memory to read it");
    return 0;
}

tensor *rwkv_matrix(graph *g, tensor *x, const char *name, int out, rwkv_options o)
{
    if (!graph_ok(g)) return NULL;
    char text[96];
    snprintf(text, sizeof text, "%s.weight", name);
    tensor *w = parameter(g, text, (param_rule){ .rank = 2, .dims = { out, x->width }, .axes = { o.out, o.in },
                                                 .init = o.gain > 0 ? INIT_ORTHOGONAL : INIT_ZERO, .std = o.gain, .decay = true });
    return linear(g, x, w, NULL, (linear_options){ .layout = OUT_IN, .act = o.act, .residual = o.residual });
}

rwkv_place rwkv_place_of(int layer, int layers)
{
    return (rwkv_place){ layer, layers, layers > 1 ? (double)layer / (layers - 1) : 0, 1 - (double)layer / layers };
}

tensor *rwkv_projected(const rwkv_projections *p, graph *g, tensor *x, const char *name, int out, rwkv_options o)
{
    return p && graph_ok(g) ? p->project(p->context, g, x, name, out, o) : rwkv_matrix(g, x, name, out, o);
}

tensor *rwkv_channels(graph *g, const char *name, int C, rwkv_formula *formula, const double args[3], double lr_factor)
{
    return parameter(g, name, (param_rule){ .rank = 3, .dims = { 1, 1, C }, .axes = { { 0 }, { 0 }, RESIDUAL_WRITE }, .init = INIT_FORMULA,
                                            .formula = formula, .args = { args[0], args[1], args[2] }, .lr_factor = lr_factor });
}

static double share(const double *p, uint64_t key, size_t i) { (void)key; return pow((double)i / p[0], p[1]) + p[2]; }
static double share_of_past(const double *p, uint64_t key, size_t i) { return 1 - share(p, key, i); }

tensor *rwkv_mix(graph *g, const char *name, int C, rwkv_share s)
{
    return rwkv_channels(g, name, C, s.past ? share_of_past : share, (const double[]){ C, s.power, s.more }, 1);
}

/* ---- heads ---- */

static double constant(const double *p, uint64_t key, size_t i) { (void)key, (void)i; return p[0]; }

void rwkv_head_norm(graph *g, int C, rwkv_place at, tensor **w, tensor **b)
{
    *w = parameter(g, "att.ln_x.weight", (param_rule){ .rank = 1, .dims = { C }, .axes = { RESIDUAL_WRITE }, .init = INIT_FORMULA, .formula = constant,
                                                       .args = { pow((1.0 + at.layer) / at.layers, 0.7) } });
    *b = parameter(g, "att.ln_x.bias", (param_rule){ .rank = 1, .dims = { C }, .axes = { RESIDUAL_WRITE } });
}

tensor *rwkv_heads(graph *g, const char *name, int H, int N, rwkv_formula *formula, const double args[3], double lr_factor)
{
    return parameter(g, name, (param_rule){ .rank = 2, .dims = { H, N }, .axes = { RESIDUAL_WRITE, { 0 } }, .init = INIT_FORMULA, .formula = formula,
                                            .args = { args[0], args[1], args[2] }, .lr_factor = lr_factor });
}

double rwkv_first_decay(const double *p, uint64_t key, size_t i) { (void)key; return -6 + 5 * pow((double)i / p[0], p[1]); }
double rwkv_first_bonus(const double *p, uint64_t key, size_t i) { (void)key; return p[1] * (1 - (double)i / p[0]) + 0.1 * ((int)((i + 1) % 3) - 1); }

/* ---- channel mix ---- */

int rwkv_inner(int C) { int n = (int)(3.5 * C / 32) * 32; return n > 0 ? n : 4 * C; }

tensor *rwkv_channel_key(graph *g, tensor *x, rwkv_channel_options o, tensor **receptance)
{
    if (!graph_ok(g)) return NULL;
    const int C = x->width;
    tensor *y[2], *mixes[] = { rwkv_mix(g, o.key, C, o.share), rwkv_mix(g, o.receptance, C, o.share) };
    token_shift(g, x, "ffn.shift", mixes, y, (token_shift_options){ .mixes = 2, .past = o.share.past });
    *receptance = rwkv_matrix(g, y[1], "ffn.receptance", C, (rwkv_options){ .in = RESIDUAL_READ, .out = RESIDUAL_WRITE });
    return rwkv_matrix(g, y[0], "ffn.key", o.inner, (rwkv_options){ .in = RESIDUAL_READ, .out = INNER_WRITE, .gain = o.gain, .act = o.act });
}

tensor *rwkv_channel_mix(graph *g, tensor *x, double eps, rwkv_channel_options o)
{
    tensor *r, *k = rwkv_channel_key(g, layer_norm_affine(g, x, "ln2", eps, false), o, &r);
    tensor *v = rwkv_matrix(g, k, "ffn.value", x ? x->width : 0, (rwkv_options){ .in = INNER_READ, .out = RESIDUAL_WRITE });
    return graph_ok(g) ? add(g, x, glu(g, r, v, ACT_SIGMOID)) : NULL;
}

/* ---- both ends ---- */

/* So small that ln0 behind it makes every step count ("small initial embedding"). */
static double tiny(const double *args, uint64_t key, size_t i) { return args[0] * (2 * random_unit(key, i) - 1); }

tensor *rwkv_embedding(graph *g, int vocab, int C)
{
    return parameter(g, "emb.weight", (param_rule){ .rank = 2, .dims = { vocab, C }, .axes = { { AXIS_VOCAB, false, 1 }, RESIDUAL_WRITE },
                                                    .init = INIT_FORMULA, .formula = tiny, .args = { 1e-4 }, .decay = true });
}

/* Orthogonal, times half of sqrt(V/C) when that is more than one. */
head rwkv_head(graph *g, tensor *rows, int vocab)
{
    if (!graph_ok(g)) return (head){ 0 };
    const int C = rows->width;
    scope(g, "%s", "");
    double gain = vocab > C ? 0.5 * sqrt((double)vocab / C) : 0.5;
    tensor *w = parameter(g, "head.weight", (param_rule){ .rank = 2, .dims = { vocab, C }, .axes = { { AXIS_VOCAB, false, 1 }, RESIDUAL_READ },
                                                          .init = INIT_ORTHOGONAL, .std = gain, .decay = true });
    return (head){ rows, w, NULL };
}
