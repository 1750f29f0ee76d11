/* RWKV-5.  Peng et al. 2024, "Eagle and Finch: RWKV with Matrix-Valued States and
 * Dynamic Recurrence".  RWKV-4 with a matrix for each head instead of an average
 * for each channel, which fades channel by channel, and a gate:
 *   x += Wo (silu(g) * groupnorm(wkv(r, k, v))),  r, k, v, g = linear of shifted LN1(x)
 * The channel mix is version 4's.  Version 5.2 is trained and run; 5.1, with one
 * decay and one bonus for a head, and 5.0, without the gate too, are run only.
 * Names are those of the authors' .pth files, keys those of Hugging Face's
 * "rwkv5".  The authors divide by 8 before a norm with eps 1e-5, which is a norm
 * with 64e-5. */
#include "arch/rwkv.h"
#include <math.h>
#include <string.h>

enum { V52, V51, V50 };

typedef struct {
    rwkv rwkv;                       /* first: RWKV_FIELDS fill it */
    int head_size, version, time_faaaa;
    double group_norm_epsilon;
} rwkv5;

#define CONFIG rwkv5
static const field fields[] = {
    RWKV_FIELDS(65536, 4096), INT(head_size, 64, CHANNELS), REAL(group_norm_epsilon, RWKV_HEADS_EPS, EPSILON),
    /* Of 5.1, 5.0: the bonus is stored as it is, not its logarithm. */
    CHOICE(version, "5.2|5.1|5.0"), BOOL(time_faaaa, 0),
    { 0 }
};

/* Hugging Face's "model_version": "5_2", the authors' "x052". */
static int normalize(json_t *config, lithe_error *err)
{
    static const char *const spellings[][2] = { { "x052", "5.2" }, { "5_2", "5.2" }, { "x051", "5.1" }, { "5_1", "5.1" }, { "x050", "5.0" }, { "5_0", "5.0" } };
    const char *version = json_string_value(json_object_get(config, "version"));
    if (!version) version = json_string_value(json_object_get(config, "model_version"));
    for (size_t i = 0; version && i < sizeof spellings / sizeof *spellings; i++)
        if (!strcmp(version, spellings[i][0])) version = spellings[i][1];
    if (version && json_object_set_new(config, "version", json_string(version))) return fail(err, LITHE_ENOMEM, "not enough memory to read it");
    return rwkv_normalize(config, err);
}

/* ---- equations ---- */

static tensor *decays(graph *g, const rwkv5 *c, double depth)
{
    const int C = c->rwkv.hidden_size, N = c->head_size, H = C / N;
    const double exponent = 0.7 + 1.3 * depth;
    /* (H, N) */
    if (c->version == V52) return rwkv_heads(g, "att.time_decay", H, N, (rwkv_init){ .formula = rwkv_first_decay, .args = { rwkv_last(C), exponent }, .lr_factor = 2 });
    const param_rule rule = { .dims = { H }, .axes = { writes(AXIS_RESIDUAL) }, .init = INIT_FORMULA, .formula = rwkv_first_decay, .args = { rwkv_last(H), exponent } };
    return head_constants(g, parameter(g, "att.time_decay", rule), N, false);                          /* (1, C) */
}

static tensor *bonuses(graph *g, const rwkv5 *c, double depth)
{
    const int C = c->rwkv.hidden_size, N = c->head_size, H = C / N;
    /* (H, N) */
    if (c->version == V52) return rwkv_heads(g, "att.time_faaaa", H, N, (rwkv_init){ .formula = rwkv_first_bonus, .args = { rwkv_last(C), depth } });
    const param_rule rule = { .dims = { H }, .axes = { writes(AXIS_RESIDUAL) } };
    /* (1, C) */
    return head_constants(g, parameter(g, c->time_faaaa ? "att.time_faaaa" : "att.time_first", rule), N, !c->time_faaaa);
}

static tensor *time_mix(graph *g, const rwkv5 *c, tensor *x, tensor *h, rwkv_place at)
{
    const int C = c->rwkv.hidden_size, N = c->head_size;
    const bool gated = c->version != V50;
    const rwkv_share half = { .power = at.left / 2 };
    /* (1, 1, C) four times */
    const tensor_list mix = { { rwkv_mix(g, "att.time_mix_k", C, (rwkv_share){ .power = at.left }),
                                rwkv_mix(g, "att.time_mix_v", C, (rwkv_share){ .power = at.left, .more = 0.3 * at.depth }),
                                rwkv_mix(g, "att.time_mix_r", C, half), gated ? rwkv_mix(g, "att.time_mix_g", C, half) : NULL } };

    /* (tokens, C) four times */
    tensor_list y = token_shift(g, h, (token_shift_options){ .mix = mix, .name = "att.shift" });
    tensor *k = rwkv_project(g, &at, y.at[0], "att.key", (rwkv_options){ .gain = 0.1 });               /* (tokens, C) */
    tensor *v = rwkv_project(g, &at, y.at[1], "att.value", (rwkv_options){ .gain = 1 });               /* (tokens, C) */
    tensor *r = rwkv_project(g, &at, y.at[2], "att.receptance", (rwkv_options){ .gain = 1 });          /* (tokens, C) */
    tensor *w = decays(g, c, at.depth), *u = bonuses(g, c, at.depth);                                  /* (1, C) */
    /* (tokens, C) */
    tensor *s = wkv6(g, "att.wkv", (wkv6_inputs){ .r = r, .decay = w, .key = k, .v = v, .bonus = u, .N = N });
    s = rwkv_group_norm(g, s, &at, N, c->group_norm_epsilon);                                          /* (tokens, C) */
    /* (tokens, C) */
    if (gated) s = glu(g, rwkv_project(g, &at, y.at[3], "att.gate", (rwkv_options){ .gain = 0.1 }), s, ACT_SILU);
    return rwkv_project(g, &at, s, "att.output", (rwkv_options){ .residual = x });                     /* (tokens, C) */
}

tensor *rwkv5_time_mix(graph *g, tensor *x, tensor *h, rwkv_place at, int head_size, double eps)
{
    const rwkv5 c = { .rwkv = { .hidden_size = width_of(h) }, .head_size = head_size, .version = V52, .group_norm_epsilon = eps };
    return time_mix(g, &c, x, h, at);                                                                  /* (tokens, C) */
}

static tensor *build(graph *g, const void *config)
{
    const rwkv5 *c = config;
    const int C = c->rwkv.hidden_size, L = c->rwkv.num_hidden_layers, F = c->rwkv.intermediate_size ? c->rwkv.intermediate_size : rwkv_inner(C);
    const double eps = c->rwkv.layer_norm_epsilon;
    tensor *x = rwkv_embed(g, c->rwkv.vocab_size, C, eps);                                             /* (tokens, C) */
    for (int l = 0; l < L; l++) {
        const rwkv_place at = rwkv_place_of(l, L);
        const rwkv_channel_options channel = { .key = "ffn.time_mix_k", .receptance = "ffn.time_mix_r", .share = { .power = at.left }, .inner = F, .gain = 1,
                                               .act = ACT_RELU_SQUARED };
        scope(g, "blocks.%d.", l);
        x = tap(g, time_mix(g, c, x, rwkv_norm(g, x, "ln1", eps), at), "post_mix", l);  /* (tokens, C) */
        rwkv_channel k = rwkv_channel_key(g, rwkv_norm(g, x, "ln2", eps), channel);     /* (tokens, F), (tokens, C) */
        x = tap(g, rwkv_channel_value(g, x, k), "post_ffn", l);                         /* (tokens, C) */
    }
    return rwkv_final_norm(g, x, eps);                                                                 /* (tokens, C) */
}

static json_t *sized(int width, int layers, int vocab, int positions)
{
    return json_pack("{s:i, s:i, s:i, s:i, s:i, s:i}", "vocab_size", vocab, "context_length", positions, "hidden_size", width,
                     "num_hidden_layers", layers, "head_size", usual_head_dim(width), "intermediate_size", rwkv_inner(width));
}

const arch arch_rwkv5 = {
    .name = "rwkv5", .class_name = "Rwkv5ForCausalLM", .stem = "Rwkv5",
    .summary = "RWKV-5: a recurrent network with a fading matrix for each head, constant memory (Peng et al. 2024)",
    .recipe = &rwkv_recipe,
    .config = { .size = sizeof(rwkv5), .fields = fields, .others = rwkv_others, .divides = NAMES("head_size", "hidden_size"),
                .normalize = normalize, .sized = sized },
    .equations = { .build = build, .language = rwkv_language, .l2_wrap = rwkv_l2_wrap, .context = rwkv_context },
    .files = { .known_by = "blocks.0.att.time_mix_g" },
    .growth = { .keys = { .width = "hidden_size", .inner = "intermediate_size", .layers = "num_hidden_layers", .layer_prefix = "blocks." },
                .inner_keys = NAMES("intermediate_size") },
};
