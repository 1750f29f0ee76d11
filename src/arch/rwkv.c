#include "arch/rwkv.h"
#include "base/random.h"
#include <math.h>
#include <stdio.h>

/* ---- configurations ---- */

/* The decay is on the large matrices alone, which is what the parameters declare. */
const recipe rwkv_recipe = { .lr = 4e-3, .lr_width = 128, .floor = 0.1, .warmup = 0.02, .schedule = "cosine", .beta1 = 0.9, .beta2 = 0.99, .eps = 1e-18, .weight_decay = 0.1, .clip = 1,
                             .mask = "each", .mask_rate = 0.15 };

const known_key rwkv_others[] = {
    { .key = "attention_hidden_size" }, RWKV_OWN_HEAD, { .key = "head_size_divisor" }, { .key = "model_version" },
    /* Of half precision alone; the tensors' shapes tell the heads. */
    { "rescale_every", "*" }, { "num_attention_heads", "*" }, { "num_heads", "*" },
    { 0 }
};

int rwkv_normalize(json_t *config, lithe_error *err)
{
    const json_t *attention = json_object_get(config, "attention_hidden_size"), *width = json_object_get(config, "hidden_size");
    if (json_is_integer(attention) && json_is_integer(width) && json_integer_value(attention) != json_integer_value(width))
        return fail(err, LITHE_ECONFIG, "attention_hidden_size is %lld; only hidden_size, %lld, is supported",
                    (long long)json_integer_value(attention), (long long)json_integer_value(width));
    const json_t *divisor = json_object_get(config, "head_size_divisor");
    double d = json_number_value(divisor);
    if (json_is_number(divisor) && !json_object_get(config, "group_norm_epsilon") && d > 0 && json_object_set_new(config, "group_norm_epsilon", json_real(1e-5 * d * d)))
        return fail(err, LITHE_ENOMEM, "not enough memory to read it");
    return 0;
}

int    rwkv_context(const void *config) { return ((const rwkv *)config)->context_length; }
double rwkv_l2_wrap(const void *config) { return ((const rwkv *)config)->l2_wrap; }
head   rwkv_language(graph *g, const void *config, tensor *rows) { return rwkv_head(g, rows, ((const rwkv *)config)->vocab_size); }

/* ---- parameters ---- */

tensor *rwkv_channels(graph *g, const char *name, int C, rwkv_init o)
{
    return parameter(g, name, (param_rule){ .dims = { 1, 1, C }, .axes = { [2] = writes(AXIS_RESIDUAL) }, .init = INIT_FORMULA, .formula = o.formula,
                                            .args = { o.args[0], o.args[1], o.args[2] }, .lr_factor = o.lr_factor });
}

tensor *rwkv_heads(graph *g, const char *name, int H, int N, rwkv_init o)
{
    return parameter(g, name, (param_rule){ .dims = { H, N }, .axes = { writes(AXIS_RESIDUAL) }, .init = INIT_FORMULA, .formula = o.formula,
                                            .args = { o.args[0], o.args[1], o.args[2] }, .lr_factor = o.lr_factor });
}

double rwkv_constant(const double *p, uint64_t key, size_t i) { (void)key, (void)i; return p[0]; }
double rwkv_first_decay(const double *p, uint64_t key, size_t i) { (void)key; return -6 + 5 * pow((double)i / p[0], p[1]); }
double rwkv_first_bonus(const double *p, uint64_t key, size_t i) { (void)key; return p[1] * (1 - (double)i / p[0]) + 0.1 * ((int)((i + 1) % 3) - 1); }
double rwkv_last(int C) { return C > 1 ? C - 1 : 1; }

static double share(const double *p, uint64_t key, size_t i) { (void)key; return pow((double)i / p[0], p[1]) + p[2]; }
static double share_of_past(const double *p, uint64_t key, size_t i) { return 1 - share(p, key, i); }

tensor *rwkv_mix(graph *g, const char *name, int C, rwkv_share s)
{
    return rwkv_channels(g, name, C, (rwkv_init){ .formula = s.past ? share_of_past : share, .args = { C, s.power, s.more } });
}

/* ---- layers ---- */

rwkv_place rwkv_place_of(int layer, int layers)
{
    return (rwkv_place){ .layer = layer, .layers = layers, .depth = layers > 1 ? (double)layer / (layers - 1) : 0, .left = 1 - (double)layer / layers };
}

static axis_kind or_residual(axis_kind kind) { return kind == AXIS_NONE ? AXIS_RESIDUAL : kind; }

tensor *rwkv_matrix(graph *g, tensor *x, const char *name, int width, rwkv_options o)
{
    if (!graph_ok(g)) return NULL;
    char text[96];
    snprintf(text, sizeof text, "%s.weight", name);
    /* (width, C) */
    tensor *w = parameter(g, text, (param_rule){ .dims = { width, x->width }, .axes = { writes(or_residual(o.out)), reads(or_residual(o.in)) },
                                                 .init = o.gain > 0 ? INIT_ORTHOGONAL : INIT_ZERO, .std = o.gain, .decay = true });
    /* (tokens, width) */
    return linear(g, x, w, NULL, (linear_options){ .layout = OUT_IN, .act = o.act, .residual = o.residual });
}

tensor *rwkv_project(graph *g, const rwkv_place *at, tensor *x, const char *name, rwkv_options o)
{
    const rwkv_projections *p = at->projections;
    return p ? p->project(p->context, g, x, name, o) : rwkv_matrix(g, x, name, width_of(x), o);        /* (tokens, C) */
}

rwkv_head_norm rwkv_ln_x(graph *g, int C, const rwkv_place *at)
{
    /* (C) */
    tensor *w = parameter(g, "att.ln_x.weight", (param_rule){ .dims = { C }, .axes = { writes(AXIS_RESIDUAL) }, .init = INIT_FORMULA, .formula = rwkv_constant,
                                                              .args = { pow((1.0 + at->layer) / at->layers, 0.7) } });
    /* (C) */
    tensor *b = parameter(g, "att.ln_x.bias", (param_rule){ .dims = { C }, .axes = { writes(AXIS_RESIDUAL) } });
    return (rwkv_head_norm){ w, b };
}

tensor *rwkv_group_norm(graph *g, tensor *x, const rwkv_place *at, int N, double eps)
{
    const rwkv_head_norm ln_x = rwkv_ln_x(g, width_of(x), at);
    return group_norm(g, x, (group_norm_options){ .w = ln_x.w, .b = ln_x.b, .N = N, .eps = eps });     /* (tokens, C) */
}

int rwkv_inner(int C) { int n = (int)(3.5 * C / 32) * 32; return n > 0 ? n : 4 * C; }

rwkv_channel rwkv_channel_key(graph *g, tensor *h, rwkv_channel_options o)
{
    const int C = width_of(h);
    /* (1, 1, C) twice */
    const tensor_list mix = { { rwkv_mix(g, o.key, C, o.share), rwkv_mix(g, o.receptance, C, o.share) } };
    /* (tokens, C) twice */
    tensor_list y = token_shift(g, h, (token_shift_options){ .mix = mix, .past = o.share.past, .name = "ffn.shift" });
    tensor *r = rwkv_matrix(g, y.at[1], "ffn.receptance", C, (rwkv_options){ 0 });                     /* (tokens, C) */
    /* (tokens, F) */
    tensor *k = rwkv_matrix(g, y.at[0], "ffn.key", o.inner, (rwkv_options){ .out = AXIS_INNER, .gain = o.gain, .act = o.act });
    return (rwkv_channel){ k, r };
}

tensor *rwkv_channel_value(graph *g, tensor *x, rwkv_channel c)
{
    tensor *v = rwkv_matrix(g, c.key, "ffn.value", width_of(x), (rwkv_options){ .in = AXIS_INNER });   /* (tokens, C) */
    return add(g, x, glu(g, c.receptance, v, ACT_SIGMOID));                                            /* (tokens, C) */
}

/* ---- both ends ---- */

/* (tokens, C) */
tensor *rwkv_norm(graph *g, tensor *x, const char *name, double eps) { return norm(g, x, name, (norm_options){ .eps = eps }); }

/* So small that the norm after it makes every step count ("small initial embedding"). */
static double tiny(const double *args, uint64_t key, size_t i) { return args[0] * (2 * random_unit(key, i) - 1); }

tensor *rwkv_embed(graph *g, int vocab, int C, double eps)
{
    /* (vocab, C) */
    tensor *table = parameter(g, "emb.weight", (param_rule){ .dims = { vocab, C }, .axes = { writes(AXIS_VOCAB), writes(AXIS_RESIDUAL) },
                                                             .init = INIT_FORMULA, .formula = tiny, .args = { 1e-4 }, .decay = true });
    tensor *x = embedding(g, table);                                                                   /* (tokens, C) */
    scope(g, "%s", "blocks.0.");
    return tap(g, rwkv_norm(g, x, "ln0", eps), "embed", -1);                                           /* (tokens, C) */
}

tensor *rwkv_final_norm(graph *g, tensor *x, double eps)
{
    unscope(g);
    return tap(g, rwkv_norm(g, x, "ln_out", eps), "final_norm", -1);                                   /* (tokens, C) */
}

/* Orthogonal, times half of sqrt(V/C) when that is more than one. */
head rwkv_head(graph *g, tensor *rows, int vocab)
{
    const int C = width_of(rows);
    double gain = vocab > C && C ? 0.5 * sqrt((double)vocab / C) : 0.5;
    /* (vocab, C) */
    tensor *w = parameter(g, "head.weight", (param_rule){ .dims = { vocab, C }, .axes = { writes(AXIS_VOCAB), reads(AXIS_RESIDUAL) },
                                                          .init = INIT_ORTHOGONAL, .std = gain, .decay = true });
    return (head){ .hidden = rows, .weight = w };
}
