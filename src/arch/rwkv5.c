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
#include <stddef.h>
#include <string.h>

enum { V52, V51, V50 };

typedef struct {
    int vocab_size, context_length, hidden_size, num_hidden_layers, head_size, intermediate_size, version, time_faaaa;
    double layer_norm_epsilon, group_norm_epsilon, l2_wrap;
} rwkv5;

#define AT(member) offsetof(rwkv5, member)
static const field fields[] = {
    { .key = "vocab_size",         .kind = FIELD_INT,    .offset = AT(vocab_size),         .value = 65536, .least = 1, .most = 1 << 24 },
    { .key = "context_length",     .kind = FIELD_INT,    .offset = AT(context_length),     .value = 4096,  .least = 1, .most = 1 << 24 },
    { .key = "hidden_size",        .kind = FIELD_INT,    .offset = AT(hidden_size),        .value = 768,   .least = 1, .most = 1 << 16 },
    { .key = "num_hidden_layers",  .kind = FIELD_INT,    .offset = AT(num_hidden_layers),  .value = 12,    .least = 1, .most = 1024 },
    { .key = "head_size",          .kind = FIELD_INT,    .offset = AT(head_size),          .value = 64,    .least = 1, .most = 4096 },
    { .key = "intermediate_size",  .kind = FIELD_INT,    .offset = AT(intermediate_size),  .value = 0,     .least = 1, .most = 1 << 20 },
    { .key = "version",            .kind = FIELD_CHOICE, .offset = AT(version),            .value = V52,   .choices = "5.2|5.1|5.0" },
    { .key = "time_faaaa",         .kind = FIELD_BOOL,   .offset = AT(time_faaaa),         .value = 0 },     /* of 5.1, 5.0: the bonus is stored as it is, not its logarithm */
    { .key = "layer_norm_epsilon", .kind = FIELD_REAL,   .offset = AT(layer_norm_epsilon), .value = 1e-5,  .least = 0, .most = 1 },
    { .key = "group_norm_epsilon", .kind = FIELD_REAL,   .offset = AT(group_norm_epsilon), .value = 64e-5, .least = 0, .most = 1 },
    { .key = "l2_wrap",            .kind = FIELD_REAL,   .offset = AT(l2_wrap),            .value = 1e-4,  .least = 0, .most = 1 },
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

static int check(const void *config, lithe_error *err)
{
    const rwkv5 *c = config;
    if (c->hidden_size % c->head_size) return fail(err, LITHE_ECONFIG, "head_size is %d, which does not divide hidden_size %d", c->head_size, c->hidden_size);
    return 0;
}

/* ---- equations ---- */

static tensor *decays(graph *g, const rwkv5 *c, double depth)
{
    const int C = c->hidden_size, N = c->head_size, H = C / N;
    const double args[] = { C > 1 ? C - 1 : 1, 0.7 + 1.3 * depth, 0 };
    if (c->version == V52) return rwkv_heads(g, "att.time_decay", H, N, rwkv_first_decay, args, 2);
    return head_constants(g, parameter(g, "att.time_decay", (param_rule){ .rank = 1, .dims = { H }, .axes = { RESIDUAL_WRITE }, .init = INIT_FORMULA,
                                                                          .formula = rwkv_first_decay, .args = { H > 1 ? H - 1 : 1, args[1] } }), N, false);
}

static tensor *bonuses(graph *g, const rwkv5 *c, double depth)
{
    const int C = c->hidden_size, N = c->head_size, H = C / N;
    if (c->version == V52) return rwkv_heads(g, "att.time_faaaa", H, N, rwkv_first_bonus, (const double[]){ C > 1 ? C - 1 : 1, depth, 0 }, 1);
    return head_constants(g, parameter(g, c->time_faaaa ? "att.time_faaaa" : "att.time_first", (param_rule){ .rank = 1, .dims = { H }, .axes = { RESIDUAL_WRITE } }),
                          N, !c->time_faaaa);
}

static tensor *time_mix(graph *g, const rwkv5 *c, tensor *x, rwkv_place at)
{
    const double depth = at.depth, left = at.left;
    const int C = c->hidden_size, gated = c->version != V50;
    const axis in = RESIDUAL_READ, out = RESIDUAL_WRITE;
    tensor *y[4], *mixes[] = { rwkv_mix(g, "att.time_mix_k", C, (rwkv_share){ left, 0, false }), rwkv_mix(g, "att.time_mix_v", C, (rwkv_share){ left, 0.3 * depth, false }),
                               rwkv_mix(g, "att.time_mix_r", C, (rwkv_share){ left / 2, 0, false }),
                               gated ? rwkv_mix(g, "att.time_mix_g", C, (rwkv_share){ left / 2, 0, false }) : NULL };
    token_shift(g, layer_norm_affine(g, x, "ln1", c->layer_norm_epsilon, false), "att.shift", mixes, y, (token_shift_options){ .mixes = 3 + gated });
    tensor *k = rwkv_matrix(g, y[0], "att.key", C, (rwkv_options){ .in = in, .out = out, .gain = 0.1 });
    tensor *v = rwkv_matrix(g, y[1], "att.value", C, (rwkv_options){ .in = in, .out = out, .gain = 1 });
    tensor *r = rwkv_matrix(g, y[2], "att.receptance", C, (rwkv_options){ .in = in, .out = out, .gain = 1 });
    tensor *w, *b, *s = wkv6(g, "att.wkv", (wkv6_inputs){ r, decays(g, c, depth), k, v, bonuses(g, c, depth), c->head_size });
    rwkv_head_norm(g, C, at, &w, &b);
    s = group_norm(g, s, w, b, c->head_size, c->group_norm_epsilon);
    if (gated) {
        tensor *gate = rwkv_matrix(g, y[3], "att.gate", C, (rwkv_options){ .in = in, .out = out, .gain = 0.1 });
        s = graph_ok(g) ? glu(g, gate, s, ACT_SILU) : NULL;
    }
    return rwkv_matrix(g, s, "att.output", C, (rwkv_options){ .in = in, .out = out, .residual = x });
}

static tensor *build(graph *g, const void *config)
{
    const rwkv5 *c = config;
    const int L = c->num_hidden_layers, inner = c->intermediate_size ? c->intermediate_size : rwkv_inner(c->hidden_size);
    scope(g, "%s", "");
    tensor *x = embedding(g, rwkv_embedding(g, c->vocab_size, c->hidden_size));
    for (int l = 0; l < L && graph_ok(g); l++) {
        rwkv_place at = rwkv_place_of(l, L);
        scope(g, "blocks.%d.", l);
        if (l == 0) x = tap(g, layer_norm_affine(g, x, "ln0", c->layer_norm_epsilon, false), "embed", -1);
        x = time_mix(g, c, x, at);
        tap(g, x, "post_mix", l);
        x = rwkv_channel_mix(g, x, c->layer_norm_epsilon, (rwkv_channel_options){ "ffn.time_mix_k", "ffn.time_mix_r", { at.left, 0, false }, inner, 1, ACT_RELU_SQUARED });
        tap(g, x, "post_ffn", l);
    }
    scope(g, "%s", "");
    return tap(g, layer_norm_affine(g, x, "ln_out", c->layer_norm_epsilon, false), "final_norm", -1);
}

static head language(graph *g, const void *config, tensor *rows) { return rwkv_head(g, rows, ((const rwkv5 *)config)->vocab_size); }
static double wrap(const void *config) { return ((const rwkv5 *)config)->l2_wrap; }

static int context(const void *config) { return ((const rwkv5 *)config)->context_length; }
static int vocab(const void *config) { return ((const rwkv5 *)config)->vocab_size; }

static json_t *sized(int width, int layers, int vocab_size, int positions)
{
    return json_pack("{s:i,s:i,s:i,s:i,s:i,s:i}", "vocab_size", vocab_size, "context_length", positions, "hidden_size", width,
                     "num_hidden_layers", layers, "head_size", width % 64 ? 32 : 64, "intermediate_size", rwkv_inner(width));
}

const arch arch_rwkv5 = {
    .name = "rwkv5", .class_name = "Rwkv5ForCausalLM", .stem = "Rwkv5",
    .summary = "RWKV-5: a recurrent network with a fading matrix for each head, constant memory (Peng et al. 2024)",
    .config = { .size = sizeof(rwkv5), .fields = fields, .normalize = normalize, .check = check, .sized = sized },
    .equations = { .build = build, .language = language, .l2_wrap = wrap, .context = context, .vocab = vocab },
    .files = { .prefixes = NAMES(""), .known_by = "blocks.0.att.time_mix_g" },
    .growth = { .keys = { .width = "hidden_size", .inner = "intermediate_size", .layers = "num_hidden_layers", .layer_prefix = "blocks." },
                .inner_keys = NAMES("intermediate_size") },
};
