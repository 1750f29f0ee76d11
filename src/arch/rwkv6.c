/* RWKV-6.  Peng et al. 2024, "Eagle and Finch: RWKV with Matrix-Valued States and
 * Dynamic Recurrence".  RWKV-5 whose token shift and decay come from the token:
 * with d the difference to the row before,
 *   t = tanh((x + d maa_x) maa_w1) in five parts,  x_m = x + d (maa_m + t_m maa_w2[m]),  m = w, k, v, r, g
 *   w = exp(-exp(time_decay + tanh(x_w decay_w1) decay_w2))
 * Names are those of the authors' .pth files (low-rank matrices (in,out)), keys
 * those of Hugging Face's "rwkv6" and, for the ranks, of GGUF. */
#include "arch/rwkv.h"
#include <math.h>
#include <stddef.h>
#include "base/random.h"

typedef struct {
    int vocab_size, context_length, hidden_size, num_hidden_layers, head_size, intermediate_size, time_mix_extra_dim, time_decay_extra_dim;
    double layer_norm_epsilon, group_norm_epsilon, l2_wrap;
} rwkv6;

#define AT(member) offsetof(rwkv6, member)
static const field fields[] = {
    { .key = "vocab_size",           .kind = FIELD_INT,  .offset = AT(vocab_size),           .value = 65536, .least = 1, .most = 1 << 24 },
    { .key = "context_length",       .kind = FIELD_INT,  .offset = AT(context_length),       .value = 4096,  .least = 1, .most = 1 << 24 },
    { .key = "hidden_size",          .kind = FIELD_INT,  .offset = AT(hidden_size),          .value = 768,   .least = 1, .most = 1 << 16 },
    { .key = "num_hidden_layers",    .kind = FIELD_INT,  .offset = AT(num_hidden_layers),    .value = 12,    .least = 1, .most = 1024 },
    { .key = "head_size",            .kind = FIELD_INT,  .offset = AT(head_size),            .value = 64,    .least = 1, .most = 4096 },
    { .key = "intermediate_size",    .kind = FIELD_INT,  .offset = AT(intermediate_size),    .value = 0,     .least = 1, .most = 1 << 20 },
    { .key = "time_mix_extra_dim",   .kind = FIELD_INT,  .offset = AT(time_mix_extra_dim),   .value = 32,    .least = 1, .most = 1 << 16 },
    { .key = "time_decay_extra_dim", .kind = FIELD_INT,  .offset = AT(time_decay_extra_dim), .value = 64,    .least = 1, .most = 1 << 16 },
    { .key = "layer_norm_epsilon",   .kind = FIELD_REAL, .offset = AT(layer_norm_epsilon),   .value = 1e-5,  .least = 0, .most = 1 },
    { .key = "group_norm_epsilon",   .kind = FIELD_REAL, .offset = AT(group_norm_epsilon),   .value = 64e-5, .least = 0, .most = 1 },
    { .key = "l2_wrap",              .kind = FIELD_REAL, .offset = AT(l2_wrap),              .value = 1e-4,  .least = 0, .most = 1 },
    { 0 }
};

static int check(const void *config, lithe_error *err)
{
    const rwkv6 *c = config;
    if (c->hidden_size % c->head_size) return fail(err, LITHE_ECONFIG, "head_size is %d, which does not divide hidden_size %d", c->head_size, c->hidden_size);
    return 0;
}

static double uniform(const double *p, uint64_t key, size_t i) { return p[0] * (2 * random_unit(key, i) - 1); }

/* ---- equations ---- */

enum { XW, XK, XV, XR, XG, MIXES };

/* x mixed five ways with the row before it, as the row itself says. */
static void shift(graph *g, tensor *x, int R, rwkv_place at, tensor *y[MIXES])
{
    if (!graph_ok(g)) return;
    const int C = x->width;
    const double left = at.left, more[MIXES] = { [XV] = 0.3 * at.depth }, power[MIXES] = { left, left, left, left / 2, left / 2 };
    static const char *const names[MIXES] = { "att.time_maa_w", "att.time_maa_k", "att.time_maa_v", "att.time_maa_r", "att.time_maa_g" };
    tensor *last = carried(g, "att.shift", C), *z, *base[MIXES], *mix[MIXES], *first[] = { rwkv_mix(g, "att.time_maa_x", C, (rwkv_share){ left, 0, true }) };
    token_shift(g, x, NULL, first, &z, (token_shift_options){ .mixes = 1, .past = true, .peek = true, .state = last });
    tensor *w1 = parameter(g, "att.time_maa_w1", (param_rule){ .rank = 2, .dims = { C, MIXES * R }, .axes = { RESIDUAL_READ, { 0 } } });
    tensor *w2 = parameter(g, "att.time_maa_w2", (param_rule){ .rank = 3, .dims = { MIXES, R, C }, .axes = { { 0 }, { 0 }, RESIDUAL_WRITE }, .init = INIT_FORMULA,
                                                               .formula = uniform, .args = { 0.01 } });
    for (int m = 0; m < MIXES; m++) base[m] = rwkv_mix(g, names[m], C, (rwkv_share){ power[m], more[m], true });
    linear_groups(g, linear(g, z, w1, NULL, (linear_options){ .layout = IN_OUT, .act = ACT_TANH }), w2, base, MIXES, mix);
    token_shift(g, x, NULL, mix, y, (token_shift_options){ .mixes = MIXES, .past = true, .state = last });
}

static tensor *decays(graph *g, tensor *x, int C, int R, double depth)
{
    tensor *base = rwkv_channels(g, "att.time_decay", C, rwkv_first_decay, (const double[]){ C > 1 ? C - 1 : 1, 0.7 + 1.3 * depth, 0 }, 2);
    tensor *w1 = parameter(g, "att.time_decay_w1", (param_rule){ .rank = 2, .dims = { C, R }, .axes = { RESIDUAL_READ, { 0 } } });
    tensor *w2 = parameter(g, "att.time_decay_w2", (param_rule){ .rank = 2, .dims = { R, C }, .axes = { { 0 }, RESIDUAL_WRITE }, .init = INIT_FORMULA,
                                                                 .formula = uniform, .args = { 0.01 } });
    return linear(g, linear(g, x, w1, NULL, (linear_options){ .layout = IN_OUT, .act = ACT_TANH }), w2, base, (linear_options){ .layout = IN_OUT });
}

tensor *rwkv6_time_mix(graph *g, tensor *x, tensor *residual, rwkv6_sizes n, rwkv_place at, const rwkv_projections *p)
{
    if (!graph_ok(g)) return NULL;
    const int C = x->width, N = n.head_size;
    const rwkv_options whole = { .in = RESIDUAL_READ, .out = RESIDUAL_WRITE, .gain = 1 }, tenth = { .in = RESIDUAL_READ, .out = RESIDUAL_WRITE, .gain = 0.1 };
    tensor *y[MIXES] = { 0 }, *n_w, *n_b;
    shift(g, x, n.mix_rank, at, y);
    tensor *r = rwkv_projected(p, g, y[XR], "att.receptance", C, whole);
    tensor *k = rwkv_projected(p, g, y[XK], "att.key", C, tenth);
    tensor *v = rwkv_projected(p, g, y[XV], "att.value", C, whole);
    tensor *gate = rwkv_projected(p, g, y[XG], "att.gate", C, tenth), *w = decays(g, y[XW], C, n.decay_rank, at.depth);
    tensor *u = rwkv_heads(g, "att.time_faaaa", C / N, N, rwkv_first_bonus, (const double[]){ C > 1 ? C - 1 : 1, at.depth, 0 }, 1);
    tensor *s = wkv6(g, "att.wkv", (wkv6_inputs){ r, w, k, v, u, N });
    rwkv_head_norm(g, C, at, &n_w, &n_b);
    s = group_norm(g, s, n_w, n_b, N, n.eps);
    if (graph_ok(g)) s = glu(g, gate, s, ACT_SILU);
    return rwkv_projected(p, g, s, "att.output", C, (rwkv_options){ .in = RESIDUAL_READ, .out = RESIDUAL_WRITE, .residual = residual });
}

static tensor *build(graph *g, const void *config)
{
    const rwkv6 *c = config;
    const rwkv6_sizes n = { c->head_size, c->time_mix_extra_dim, c->time_decay_extra_dim, c->group_norm_epsilon };
    const double eps = c->layer_norm_epsilon;
    const int L = c->num_hidden_layers, inner = c->intermediate_size ? c->intermediate_size : rwkv_inner(c->hidden_size);
    scope(g, "%s", "");
    tensor *x = embedding(g, rwkv_embedding(g, c->vocab_size, c->hidden_size));
    for (int l = 0; l < L && graph_ok(g); l++) {
        rwkv_place at = rwkv_place_of(l, L);
        scope(g, "blocks.%d.", l);
        if (l == 0) x = tap(g, layer_norm_affine(g, x, "ln0", eps, false), "embed", -1);
        x = rwkv6_time_mix(g, layer_norm_affine(g, x, "ln1", eps, false), x, n, at, NULL);
        tap(g, x, "post_mix", l);
        x = rwkv_channel_mix(g, x, eps, (rwkv_channel_options){ "ffn.time_maa_k", "ffn.time_maa_r", { pow(at.left, 3), 0, true }, inner, 1, ACT_RELU_SQUARED });
        tap(g, x, "post_ffn", l);
    }
    scope(g, "%s", "");
    return tap(g, layer_norm_affine(g, x, "ln_out", eps, false), "final_norm", -1);
}

static head language(graph *g, const void *config, tensor *rows) { return rwkv_head(g, rows, ((const rwkv6 *)config)->vocab_size); }
static double wrap(const void *config) { return ((const rwkv6 *)config)->l2_wrap; }

static int context(const void *config) { return ((const rwkv6 *)config)->context_length; }
static int vocab(const void *config) { return ((const rwkv6 *)config)->vocab_size; }

static json_t *sized(int width, int layers, int vocab_size, int positions)
{
    return json_pack("{s:i,s:i,s:i,s:i,s:i,s:i,s:i,s:i}", "vocab_size", vocab_size, "context_length", positions, "hidden_size", width, "num_hidden_layers", layers,
                     "head_size", width % 64 ? 32 : 64, "intermediate_size", rwkv_inner(width), "time_mix_extra_dim", width < 4096 ? 32 : 64,
                     "time_decay_extra_dim", width < 4096 ? 64 : 128);
}

const arch arch_rwkv6 = {
    .name = "rwkv6", .class_name = "Rwkv6ForCausalLM", .stem = "Rwkv6",
    .summary = "RWKV-6: RWKV-5 whose mixing and fading come from the token, constant memory (Peng et al. 2024)",
    .config = { .size = sizeof(rwkv6), .fields = fields, .normalize = rwkv_normalize, .check = check,
                .sized = sized },
    .equations = { .build = build, .language = language, .l2_wrap = wrap, .context = context, .vocab = vocab },
    .files = { .prefixes = NAMES(""), .known_by = "blocks.0.att.time_maa_x" },
    .growth = { .keys = { .width = "hidden_size", .inner = "intermediate_size", .layers = "num_hidden_layers", .layer_prefix = "blocks." },
                .inner_keys = NAMES("intermediate_size") },
};
