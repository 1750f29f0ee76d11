/* RWKV-6.  Peng et al. 2024, "Eagle and Finch: RWKV with Matrix-Valued States and
 * Dynamic Recurrence".  RWKV-5 whose token shift and decay come from the token:
 * with d the difference to the row before,
 *   t = tanh((x + d maa_x) maa_w1) in five parts,  x_m = x + d (maa_m + t_m maa_w2[m]),  m = w, k, v, r, g
 *   w = exp(-exp(time_decay + tanh(x_w decay_w1) decay_w2))
 * Names are those of the authors' .pth files (low-rank matrices (in,out)), keys
 * those of Hugging Face's "rwkv6" and, for the ranks, of GGUF. */
#include "arch/rwkv.h"
#include "base/random.h"
#include <math.h>

typedef struct {
    rwkv rwkv;                       /* first: RWKV_FIELDS fill it */
    int head_size, time_mix_extra_dim, time_decay_extra_dim;
    double group_norm_epsilon;
} rwkv6;

#define CONFIG rwkv6
static const field fields[] = {
    RWKV_FIELDS(65536, 4096), INT(head_size, 64, CHANNELS), INT(time_mix_extra_dim, 32, WIDTH), INT(time_decay_extra_dim, 64, WIDTH),
    REAL(group_norm_epsilon, RWKV_HEADS_EPS, EPSILON),
    { 0 }
};

static double uniform(const double *p, uint64_t key, size_t i) { return p[0] * (2 * random_unit(key, i) - 1); }

/* ---- equations ---- */

enum { XW, XK, XV, XR, XG, MIXES };

/* tanh(x W1), of so many columns. */
static tensor *squeezed(graph *g, tensor *x, const char *name, int width)
{
    /* (C, width) */
    tensor *w1 = parameter(g, name, (param_rule){ .dims = { width_of(x), width }, .axes = { reads(AXIS_RESIDUAL) } });
    return linear(g, x, w1, NULL, (linear_options){ .layout = IN_OUT, .act = ACT_TANH });       /* (tokens, width) */
}

/* x mixed five ways with the row before it, as the row itself says. */
static tensor_list shift(graph *g, tensor *x, int R, rwkv_place at)
{
    const int C = width_of(x);
    const double left = at.left, more[MIXES] = { [XV] = 0.3 * at.depth }, power[MIXES] = { left, left, left, left / 2, left / 2 };
    static const char *const names[MIXES] = { "att.time_maa_w", "att.time_maa_k", "att.time_maa_v", "att.time_maa_r", "att.time_maa_g" };
    /* (1, 1, C) */
    const tensor_list first = { { rwkv_mix(g, "att.time_maa_x", C, (rwkv_share){ .power = left, .past = true }) } };
    tensor_list base = { 0 };
    /* (1, 1, C) five times */
    for (int m = 0; m < MIXES; m++) base.at[m] = rwkv_mix(g, names[m], C, (rwkv_share){ .power = power[m], .more = more[m], .past = true });
    /* (5, R, C) */
    tensor *w2 = parameter(g, "att.time_maa_w2", (param_rule){ .dims = { MIXES, R, C }, .axes = { [2] = writes(AXIS_RESIDUAL) }, .init = INIT_FORMULA,
                                                               .formula = uniform, .args = { 0.01 } });

    tensor *last = carried(g, "att.shift", C);                                                         /* (slots, C) */
    /* (tokens, C) */
    tensor *z = token_shift(g, x, (token_shift_options){ .mix = first, .past = true, .peek = true, .state = last }).at[0];
    /* (tokens, C) five times */
    const tensor_list mix = linear_groups(g, squeezed(g, z, "att.time_maa_w1", MIXES * R), w2, base);
    /* (tokens, C) five times */
    return token_shift(g, x, (token_shift_options){ .mix = mix, .past = true, .state = last });
}

static tensor *decays(graph *g, tensor *x, int R, double depth)
{
    const int C = width_of(x);
    /* (1, 1, C) */
    tensor *base = rwkv_channels(g, "att.time_decay", C, (rwkv_init){ .formula = rwkv_first_decay, .args = { rwkv_last(C), 0.7 + 1.3 * depth }, .lr_factor = 2 });
    /* (R, C) */
    tensor *w2 = parameter(g, "att.time_decay_w2", (param_rule){ .dims = { R, C }, .axes = { [1] = writes(AXIS_RESIDUAL) }, .init = INIT_FORMULA,
                                                                 .formula = uniform, .args = { 0.01 } });
    /* (tokens, C) */
    return linear(g, squeezed(g, x, "att.time_decay_w1", R), w2, base, (linear_options){ .layout = IN_OUT });
}

tensor *rwkv6_time_mix(graph *g, tensor *x, tensor *h, rwkv_place at, rwkv6_sizes n)
{
    const int C = width_of(h), N = n.head_size;
    tensor_list y = shift(g, h, n.mix_rank, at);                                            /* (tokens, C) five times */
    tensor *r = rwkv_project(g, &at, y.at[XR], "att.receptance", (rwkv_options){ .gain = 1 });         /* (tokens, C) */
    tensor *k = rwkv_project(g, &at, y.at[XK], "att.key", (rwkv_options){ .gain = 0.1 });              /* (tokens, C) */
    tensor *v = rwkv_project(g, &at, y.at[XV], "att.value", (rwkv_options){ .gain = 1 });              /* (tokens, C) */
    tensor *gate = rwkv_project(g, &at, y.at[XG], "att.gate", (rwkv_options){ .gain = 0.1 });          /* (tokens, C) */
    tensor *w = decays(g, y.at[XW], n.decay_rank, at.depth);                                           /* (tokens, C) */
    /* (C/N, N) */
    tensor *u = rwkv_heads(g, "att.time_faaaa", C / N, N, (rwkv_init){ .formula = rwkv_first_bonus, .args = { rwkv_last(C), at.depth } });
    /* (tokens, C) */
    tensor *s = wkv6(g, "att.wkv", (wkv6_inputs){ .r = r, .decay = w, .key = k, .v = v, .bonus = u, .N = N });
    s = glu(g, gate, rwkv_group_norm(g, s, &at, N, n.eps), ACT_SILU);                                  /* (tokens, C) */
    return rwkv_project(g, &at, s, "att.output", (rwkv_options){ .residual = x });                     /* (tokens, C) */
}

static tensor *build(graph *g, const void *config)
{
    const rwkv6 *c = config;
    const rwkv6_sizes sizes = { .head_size = c->head_size, .mix_rank = c->time_mix_extra_dim, .decay_rank = c->time_decay_extra_dim, .eps = c->group_norm_epsilon };
    const int C = c->rwkv.hidden_size, L = c->rwkv.num_hidden_layers, F = c->rwkv.intermediate_size ? c->rwkv.intermediate_size : rwkv_inner(C);
    const double eps = c->rwkv.layer_norm_epsilon;
    tensor *x = rwkv_embed(g, c->rwkv.vocab_size, C, eps);                                             /* (tokens, C) */
    for (int l = 0; l < L; l++) {
        const rwkv_place at = rwkv_place_of(l, L);
        const rwkv_channel_options channel = { .key = "ffn.time_maa_k", .receptance = "ffn.time_maa_r", .share = { .power = pow(at.left, 3), .past = true },
                                               .inner = F, .gain = 1, .act = ACT_RELU_SQUARED };
        scope(g, "blocks.%d.", l);
        x = tap(g, rwkv6_time_mix(g, x, rwkv_norm(g, x, "ln1", eps), at, sizes), "post_mix", l);       /* (tokens, C) */
        rwkv_channel k = rwkv_channel_key(g, rwkv_norm(g, x, "ln2", eps), channel);       /* (tokens, F), (tokens, C) */
        x = tap(g, rwkv_channel_value(g, x, k), "post_ffn", l);                                        /* (tokens, C) */
    }
    return rwkv_final_norm(g, x, eps);                                                                 /* (tokens, C) */
}

static json_t *sized(int width, int layers, int vocab, int positions)
{
    return json_pack("{s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i}", "vocab_size", vocab, "context_length", positions, "hidden_size", width, "num_hidden_layers", layers,
                     "head_size", usual_head_dim(width), "intermediate_size", rwkv_inner(width), "time_mix_extra_dim", width < 4096 ? 32 : 64,
                     "time_decay_extra_dim", width < 4096 ? 64 : 128);
}

const arch arch_rwkv6 = {
    .name = "rwkv6", .class_name = "Rwkv6ForCausalLM", .stem = "Rwkv6",
    .summary = "RWKV-6: RWKV-5 whose mixing and fading come from the token, constant memory (Peng et al. 2024)",
    .recipe = &rwkv_recipe,
    .config = { .size = sizeof(rwkv6), .fields = fields, .others = rwkv_others, .divides = NAMES("head_size", "hidden_size"),
                .normalize = rwkv_normalize, .sized = sized },
    .equations = { .build = build, .language = rwkv_language, .l2_wrap = rwkv_l2_wrap, .context = rwkv_context },
    .files = { .known_by = "blocks.0.att.time_maa_x" },
    .growth = { .keys = { .width = "hidden_size", .inner = "intermediate_size", .layers = "num_hidden_layers", .layer_prefix = "blocks." },
                .inner_keys = NAMES("intermediate_size") },
};
