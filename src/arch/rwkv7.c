/* RWKV-7.  Peng et al. 2025, "RWKV-7 Goose with Expressive Dynamic State
 * Evolution".  Like version 4 a time mix and a channel mix a layer, each over its
 * input and the row before it; the time mix keeps a matrix for each head, which
 * forgets channel by channel, unlearns along one key and learns along another.
 * Decay, rates, gate and the share of the first layer's values come from the
 * token through products of low rank.
 * Names are those of the authors' .pth files (low-rank matrices (in,out), layer
 * 0 without v0, v1, v2), keys those of flash-linear-attention's "rwkv7". */
#include "arch/rwkv.h"
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

typedef struct {
    int vocab_size, max_position_embeddings, hidden_size, num_hidden_layers, head_dim, intermediate_size;
    int decay_low_rank_dim, a_low_rank_dim, v_low_rank_dim, gate_low_rank_dim;
    double norm_eps, l2_wrap;
} rwkv7;

#define AT(member) offsetof(rwkv7, member)
static const field fields[] = {
    { .key = "vocab_size",              .kind = FIELD_INT,  .offset = AT(vocab_size),              .value = 65536, .least = 1, .most = 1 << 24 },
    { .key = "max_position_embeddings", .kind = FIELD_INT,  .offset = AT(max_position_embeddings), .value = 4096,  .least = 1, .most = 1 << 24 },
    { .key = "hidden_size",             .kind = FIELD_INT,  .offset = AT(hidden_size),             .value = 768,   .least = 1, .most = 1 << 16 },
    { .key = "num_hidden_layers",       .kind = FIELD_INT,  .offset = AT(num_hidden_layers),       .value = 12,    .least = 1, .most = 1024 },
    { .key = "head_dim",                .kind = FIELD_INT,  .offset = AT(head_dim),                .value = 64,    .least = 1, .most = 4096 },
    { .key = "intermediate_size",       .kind = FIELD_INT,  .offset = AT(intermediate_size),       .value = 0,     .least = 1, .most = 1 << 20 },
    { .key = "decay_low_rank_dim",      .kind = FIELD_INT,  .offset = AT(decay_low_rank_dim),      .value = 64,    .least = 1, .most = 1 << 16 },
    { .key = "a_low_rank_dim",          .kind = FIELD_INT,  .offset = AT(a_low_rank_dim),          .value = 64,    .least = 1, .most = 1 << 16 },
    { .key = "v_low_rank_dim",          .kind = FIELD_INT,  .offset = AT(v_low_rank_dim),          .value = 32,    .least = 1, .most = 1 << 16 },
    { .key = "gate_low_rank_dim",       .kind = FIELD_INT,  .offset = AT(gate_low_rank_dim),       .value = 128,   .least = 1, .most = 1 << 16 },
    { .key = "norm_eps",                .kind = FIELD_REAL, .offset = AT(norm_eps),                .value = 1e-5,  .least = 0, .most = 1 },
    { .key = "l2_wrap",                 .kind = FIELD_REAL, .offset = AT(l2_wrap),                 .value = 1e-4,  .least = 0, .most = 1 },
    { 0 }
};

/* Older spellings, and what another program's keys leave to be worked out. */
static int normalize(json_t *config, lithe_error *err)
{
    static const char *const older[][2] = { { "head_size", "head_dim" }, { "layer_norm_epsilon", "norm_eps" }, { "context_length", "max_position_embeddings" },
        { "lora_rank_decay", "decay_low_rank_dim" }, { "lora_rank_iclr", "a_low_rank_dim" }, { "lora_rank_value_residual_mix", "v_low_rank_dim" },
        { "lora_rank_gate", "gate_low_rank_dim" } };
    for (size_t i = 0; i < sizeof older / sizeof *older; i++) {
        const json_t *newer = json_object_get(config, older[i][1]);
        json_t *value = json_object_get(config, older[i][0]);
        if (value && (!newer || json_is_null(newer))) json_object_set(config, older[i][1], value);
    }
    const json_t *width = json_object_get(config, "hidden_size"), *heads = json_object_get(config, "num_heads"), *size = json_object_get(config, "head_dim");
    if (json_integer_value(heads) > 0 && json_is_integer(width) && (!size || json_is_null(size)))
        json_object_set_new(config, "head_dim", json_integer(json_integer_value(width) / json_integer_value(heads)));
    const char *act = json_string_value(json_object_get(config, "hidden_act"));
    if (act && strcmp(act, "sqrelu")) return fail(err, LITHE_ECONFIG, "hidden_act is \"%.40s\"; only \"sqrelu\" is supported", act);
    if (json_is_false(json_object_get(config, "norm_first"))) return fail(err, LITHE_ECONFIG, "norm_first is false; only true is supported");
    if (json_is_false(json_object_get(config, "norm_bias"))) return fail(err, LITHE_ECONFIG, "norm_bias is false; only true is supported");
    if (json_is_true(json_object_get(config, "tie_word_embeddings"))) return fail(err, LITHE_ECONFIG, "tie_word_embeddings is true; RWKV's head is its own");
    if (json_is_object(json_object_get(config, "attn"))) return fail(err, LITHE_ECONFIG, "attn makes layers of attention; only layers of RWKV-7 are supported");
    return 0;
}

static int check(const void *config, lithe_error *err)
{
    const rwkv7 *c = config;
    if (c->hidden_size % c->head_dim) return fail(err, LITHE_ECONFIG, "head_dim is %d, which does not divide hidden_size %d", c->head_dim, c->hidden_size);
    return 0;
}

/* ---- initial values: those of the authors' trainer ---- */

static double slope(const double *p, uint64_t key, size_t i) { (void)key; return p[0] + p[1] * ((double)i / p[2] - 0.5); }
static double constant(const double *p, uint64_t key, size_t i) { (void)key, (void)i; return p[0]; }

/* -1 .. 1 over a head's channels, bent towards 0 */
static double zigzag(size_t i, double N)
{
    double half = N > 1 ? (N - 1) / 2 : 1, z = (fmod((double)i, N) - (N - 1) / 2) / half;
    return z * fabs(z);
}

/* p: last channel, exponent, channels of a head */
static double decay(const double *p, uint64_t key, size_t i) { (void)key; return -5.5 + 6 * pow((double)i / p[0], p[1]) + 2.5 * zigzag(i, p[2]); }
static double rate(const double *p, uint64_t key, size_t i) { (void)key; return -0.19 + 0.3 * zigzag(i, p[2]) + 0.4 * ((double)i / p[0] - 0.5); }

static tensor *mix_of(graph *g, const char *name, int C, double power) { return rwkv_mix(g, name, C, (rwkv_share){ power, 0, true }); }

/* ---- equations ---- */

/* act(inner(x NAME1) NAME2 + bias) */
typedef struct { int rank, out; activation inner, act; tensor *bias; } low_rank;
static tensor *low_rank_of(graph *g, tensor *x, const char *name, low_rank o)
{
    if (!graph_ok(g)) return NULL;
    char text[32];
    snprintf(text, sizeof text, "att.%s1", name);
    tensor *down = parameter(g, text, (param_rule){ .rank = 2, .dims = { x->width, o.rank }, .axes = { RESIDUAL_READ, { 0 } } });
    snprintf(text, sizeof text, "att.%s2", name);
    double gain = 0.1 * (o.rank > o.out ? sqrt((double)o.rank / o.out) : 1);
    tensor *up = parameter(g, text, (param_rule){ .rank = 2, .dims = { o.rank, o.out }, .axes = { { 0 }, RESIDUAL_WRITE }, .init = INIT_ORTHOGONAL, .std = gain });
    tensor *h = linear(g, x, down, NULL, (linear_options){ .layout = IN_OUT, .act = o.inner });
    return linear(g, h, up, o.bias, (linear_options){ .layout = IN_OUT, .act = o.act });
}

enum { XR, XW, XK, XV, XA, XG };

tensor *rwkv7_time_mix(graph *g, tensor *x, tensor *residual, rwkv7_sizes n, rwkv_place at, const rwkv_projections *p, tensor **first_values)
{
    if (!graph_ok(g)) return NULL;
    const int C = x->width, N = n.head_dim, H = C / N;
    const double last = C > 1 ? C - 1 : 1, left = at.left;
    const axis in = RESIDUAL_READ, out = RESIDUAL_WRITE;
    tensor *y[6], *keys[3], *mixes[] = { mix_of(g, "att.x_r", C, 0.2 * left), mix_of(g, "att.x_w", C, 0.9 * left), mix_of(g, "att.x_k", C, 0.7 * left),
                                         mix_of(g, "att.x_v", C, 0.7 * left), mix_of(g, "att.x_a", C, 0.9 * left), mix_of(g, "att.x_g", C, 0.2 * left) };
    token_shift(g, x, "att.shift", mixes, y, (token_shift_options){ .mixes = 6, .past = true });
    tensor *r = rwkv_projected(p, g, y[XR], "att.receptance", C, (rwkv_options){ .in = in, .out = out, .gain = 1 });
    tensor *k = rwkv_projected(p, g, y[XK], "att.key", C, (rwkv_options){ .in = in, .out = out, .gain = 0.1 });
    tensor *v = rwkv_projected(p, g, y[XV], "att.value", C, (rwkv_options){ .in = in, .out = out, .gain = 1 });

    tensor *w0 = rwkv_channels(g, "att.w0", C, decay, (const double[]){ last, 1 + pow(at.depth, 0.3), N }, 2);
    tensor *a0 = rwkv_channels(g, "att.a0", C, rate, (const double[]){ last, 0, N }, 1);
    tensor *w = low_rank_of(g, y[XW], "w", (low_rank){ n.decay_rank, C, ACT_TANH, ACT_NONE, w0 });
    tensor *a = low_rank_of(g, y[XA], "a", (low_rank){ n.a_rank, C, ACT_NONE, ACT_SIGMOID, a0 });
    tensor *gate = low_rank_of(g, y[XG], "g", (low_rank){ n.gate_rank, C, ACT_SIGMOID, ACT_NONE, NULL });
    if (!*first_values) *first_values = v;
    else {
        tensor *v0 = rwkv_channels(g, "att.v0", C, slope, (const double[]){ 0.73, -0.4, last }, 1);
        v = lerp(g, v, *first_values, low_rank_of(g, y[XV], "v", (low_rank){ n.v_rank, C, ACT_NONE, ACT_SIGMOID, v0 }));
    }
    tensor *k_k = rwkv_channels(g, "att.k_k", C, slope, (const double[]){ 0.71, -0.1, last }, 1);
    tensor *k_a = rwkv_channels(g, "att.k_a", C, constant, (const double[]){ 1.02, 0, 0 }, 1);
    wkv7_keys(g, k, a, k_k, k_a, N, keys);
    tensor *s = wkv7(g, "att.wkv", (wkv7_inputs){ r, w, keys[0], v, keys[1], keys[2], N });

    tensor *n_w, *n_b, *r_k = rwkv_heads(g, "att.r_k", H, N, constant, (const double[]){ -0.04, 0, 0 }, 1);
    rwkv_head_norm(g, C, at, &n_w, &n_b);
    s = wkv7_read(g, (wkv7_read_inputs){ s, r, keys[0], v, n_w, n_b, r_k, N, 64e-5 });
    if (graph_ok(g)) s = glu(g, gate, s, ACT_NONE);
    return rwkv_projected(p, g, s, "att.output", C, (rwkv_options){ .in = in, .out = out, .residual = residual });
}

tensor *rwkv7_channel_key(graph *g, tensor *x, int inner, rwkv_place at, activation act)
{
    if (!graph_ok(g)) return NULL;
    tensor *y[1], *mixes[] = { mix_of(g, "ffn.x_k", x->width, pow(at.left, 4)) };
    token_shift(g, x, "ffn.shift", mixes, y, (token_shift_options){ .mixes = 1, .past = true });
    return rwkv_matrix(g, y[0], "ffn.key", inner, (rwkv_options){ .in = RESIDUAL_READ, .out = INNER_WRITE, .gain = 1, .act = act });
}

static tensor *channel_mix(graph *g, const rwkv7 *c, tensor *x, rwkv_place at)
{
    const int C = c->hidden_size, inner = c->intermediate_size ? c->intermediate_size : 4 * C;
    tensor *k = rwkv7_channel_key(g, layer_norm_affine(g, x, "ln2", c->norm_eps, false), inner, at, ACT_RELU_SQUARED);
    return rwkv_matrix(g, k, "ffn.value", C, (rwkv_options){ .in = INNER_READ, .out = RESIDUAL_WRITE, .residual = x });
}

static tensor *build(graph *g, const void *config)
{
    const rwkv7 *c = config;
    const int L = c->num_hidden_layers;
    const rwkv7_sizes sizes = { c->head_dim, c->decay_low_rank_dim, c->a_low_rank_dim, c->v_low_rank_dim, c->gate_low_rank_dim };
    scope(g, "%s", "");
    tensor *x = embedding(g, rwkv_embedding(g, c->vocab_size, c->hidden_size)), *first_values = NULL;
    for (int l = 0; l < L && graph_ok(g); l++) {
        rwkv_place at = rwkv_place_of(l, L);
        scope(g, "blocks.%d.", l);
        if (l == 0) x = tap(g, layer_norm_affine(g, x, "ln0", c->norm_eps, false), "embed", -1);
        x = rwkv7_time_mix(g, layer_norm_affine(g, x, "ln1", c->norm_eps, false), x, sizes, at, NULL, &first_values);
        tap(g, x, "post_mix", l);
        x = channel_mix(g, c, x, at);
        tap(g, x, "post_ffn", l);
    }
    scope(g, "%s", "");
    return tap(g, layer_norm_affine(g, x, "ln_out", c->norm_eps, false), "final_norm", -1);
}

static head language(graph *g, const void *config, tensor *rows) { return rwkv_head(g, rows, ((const rwkv7 *)config)->vocab_size); }
static double wrap(const void *config) { return ((const rwkv7 *)config)->l2_wrap; }

static int context(const void *config) { return ((const rwkv7 *)config)->max_position_embeddings; }
static int vocab(const void *config) { return ((const rwkv7 *)config)->vocab_size; }

static int rank_of(double x) { return x < 48 ? 32 : (int)((x + 16) / 32) * 32; }

rwkv7_sizes rwkv7_sizes_for(int width, int head_dim)
{
    double root = sqrt(width);
    return (rwkv7_sizes){ head_dim, rank_of(1.8 * root), rank_of(1.8 * root), rank_of(1.3 * root), rank_of(0.6 * pow(width, 0.8)) };
}

static json_t *sized(int width, int layers, int vocab_size, int positions)
{
    rwkv7_sizes n = rwkv7_sizes_for(width, width % 64 ? 32 : 64);
    return json_pack("{s:i,s:i,s:i,s:i,s:i,s:i,s:i,s:i,s:i,s:i}", "vocab_size", vocab_size, "max_position_embeddings", positions, "hidden_size", width,
                     "num_hidden_layers", layers, "head_dim", n.head_dim, "intermediate_size", 4 * width,
                     "decay_low_rank_dim", n.decay_rank, "a_low_rank_dim", n.a_rank, "v_low_rank_dim", n.v_rank,
                     "gate_low_rank_dim", n.gate_rank);
}

const arch arch_rwkv7 = {
    .name = "rwkv7", .class_name = "RWKV7ForCausalLM", .stem = "RWKV7",
    .summary = "RWKV-7: a recurrent network that learns by the delta rule, constant memory (Peng et al. 2025)",
    .config = { .size = sizeof(rwkv7), .fields = fields, .normalize = normalize, .check = check, .sized = sized },
    .equations = { .build = build, .language = language, .l2_wrap = wrap, .context = context, .vocab = vocab },
    .files = { .prefixes = NAMES(""), .known_by = "blocks.0.att.r_k",
               .ignored = NAMES("blocks.0.att.v0", "blocks.0.att.v1", "blocks.0.att.v2") },       /* in some files, without meaning */
    .growth = { .keys = { .width = "hidden_size", .inner = "intermediate_size", .layers = "num_hidden_layers", .layer_prefix = "blocks." },
                .inner_keys = NAMES("intermediate_size") },
};
