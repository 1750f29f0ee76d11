/* RWKV-4.  Peng et al. 2023, "RWKV: Reinventing RNNs for the Transformer Era".
 * A recurrent network that trains like a Transformer: per layer a time mix (a
 * decaying average of values) and a channel mix, each over its input and the
 * row before it.
 *   x += Wo (sigmoid(r) * wkv(k, v)),  k, v, r = linear of shifted LN1(x)
 *   x += sigmoid(r) * (Wv relu(k)^2),  k, r = linear of shifted LN2(x)
 * Names are those of the authors' .pth files, keys those of Hugging Face's
 * "rwkv"; the state of a layer is five vectors, whatever has been read. */
#include "arch/rwkv.h"
#include <math.h>
#include <stddef.h>

typedef struct {
    int vocab_size, context_length, hidden_size, num_hidden_layers, intermediate_size;
    double layer_norm_epsilon, l2_wrap;
} rwkv4;

#define AT(member) offsetof(rwkv4, member)
static const field fields[] = {
    { .key = "vocab_size",         .kind = FIELD_INT,  .offset = AT(vocab_size),         .value = 50277, .least = 1, .most = 1 << 24 },
    { .key = "context_length",     .kind = FIELD_INT,  .offset = AT(context_length),     .value = 1024,  .least = 1, .most = 1 << 24 },
    { .key = "hidden_size",        .kind = FIELD_INT,  .offset = AT(hidden_size),        .value = 768,   .least = 1, .most = 1 << 16 },
    { .key = "num_hidden_layers",  .kind = FIELD_INT,  .offset = AT(num_hidden_layers),  .value = 12,    .least = 1, .most = 1024 },
    { .key = "intermediate_size",  .kind = FIELD_INT,  .offset = AT(intermediate_size),  .value = 0,     .least = 1, .most = 1 << 20 },
    { .key = "layer_norm_epsilon", .kind = FIELD_REAL, .offset = AT(layer_norm_epsilon), .value = 1e-5,  .least = 0, .most = 1 },
    { .key = "l2_wrap",            .kind = FIELD_REAL, .offset = AT(l2_wrap),            .value = 1e-4,  .least = 0, .most = 1 },
    { 0 }
};

/* ---- initial values: those of the authors' trainer ---- */

static double decay(const double *p, uint64_t key, size_t i) { (void)key; return -5 + 8 * pow((double)i / p[0], p[1]); }
static double bonus(const double *p, uint64_t key, size_t i) { (void)p, (void)key; return log(0.3) + 0.5 * ((int)((i + 1) % 3) - 1); }

static tensor *mix_of(graph *g, const char *name, int C, double power, double more) { return rwkv_mix(g, name, C, (rwkv_share){ power, more, false }); }

/* ---- equations ---- */

tensor *rwkv4_time_mix(graph *g, tensor *x, tensor *residual, rwkv_place at, const rwkv_projections *p)
{
    if (!graph_ok(g)) return NULL;
    const int C = x->width;
    const double left = at.left;
    const rwkv_options plain = { .in = RESIDUAL_READ, .out = RESIDUAL_WRITE };
    tensor *y[3], *mixes[] = { mix_of(g, "att.time_mix_k", C, left, 0), mix_of(g, "att.time_mix_v", C, left, 0.3 * at.depth), mix_of(g, "att.time_mix_r", C, left / 2, 0) };
    token_shift(g, x, "att.shift", mixes, y, (token_shift_options){ .mixes = 3 });
    tensor *k = rwkv_projected(p, g, y[0], "att.key", C, plain);
    tensor *v = rwkv_projected(p, g, y[1], "att.value", C, (rwkv_options){ .in = RESIDUAL_READ, .out = RESIDUAL_WRITE, .gain = 1 });
    tensor *r = rwkv_projected(p, g, y[2], "att.receptance", C, plain);
    tensor *w = parameter(g, "att.time_decay", (param_rule){ .rank = 1, .dims = { C }, .axes = { RESIDUAL_WRITE }, .init = INIT_FORMULA, .formula = decay,
                                                             .args = { C > 1 ? C - 1 : 1, 0.7 + 1.3 * at.depth }, .lr_factor = 2 });
    tensor *u = parameter(g, "att.time_first", (param_rule){ .rank = 1, .dims = { C }, .axes = { RESIDUAL_WRITE }, .init = INIT_FORMULA, .formula = bonus, .lr_factor = 3 });
    tensor *a = wkv4(g, k, v, "att.wkv", w, u);
    if (graph_ok(g)) a = glu(g, r, a, ACT_SIGMOID);
    return rwkv_projected(p, g, a, "att.output", C, (rwkv_options){ .in = RESIDUAL_READ, .out = RESIDUAL_WRITE, .residual = residual });
}

static rwkv_channel_options channel_options(int C, int inner, rwkv_place at, activation act)
{
    return (rwkv_channel_options){ "ffn.time_mix_k", "ffn.time_mix_r", { at.left, 0, false }, inner, inner > C ? sqrt((double)inner / C) : 1, act };
}

tensor *rwkv4_channel_key(graph *g, tensor *x, int inner, rwkv_place at, activation act, tensor **receptance)
{
    return graph_ok(g) ? rwkv_channel_key(g, x, channel_options(x->width, inner, at, act), receptance) : NULL;
}

static tensor *build(graph *g, const void *config)
{
    const rwkv4 *c = config;
    const int C = c->hidden_size, L = c->num_hidden_layers, inner = c->intermediate_size ? c->intermediate_size : 4 * C;
    const double eps = c->layer_norm_epsilon;
    scope(g, "%s", "");
    tensor *x = embedding(g, rwkv_embedding(g, c->vocab_size, C));
    for (int l = 0; l < L && graph_ok(g); l++) {
        scope(g, "blocks.%d.", l);
        if (l == 0) x = tap(g, layer_norm_affine(g, x, "ln0", eps, false), "embed", -1);
        x = rwkv4_time_mix(g, layer_norm_affine(g, x, "ln1", eps, false), x, rwkv_place_of(l, L), NULL);
        tap(g, x, "post_mix", l);
        x = rwkv_channel_mix(g, x, eps, channel_options(C, inner, rwkv_place_of(l, L), ACT_RELU_SQUARED));
        tap(g, x, "post_ffn", l);
    }
    scope(g, "%s", "");
    return tap(g, layer_norm_affine(g, x, "ln_out", eps, false), "final_norm", -1);
}

static head language(graph *g, const void *config, tensor *rows) { return rwkv_head(g, rows, ((const rwkv4 *)config)->vocab_size); }
static double wrap(const void *config) { return ((const rwkv4 *)config)->l2_wrap; }

static int context(const void *config) { return ((const rwkv4 *)config)->context_length; }
static int vocab(const void *config) { return ((const rwkv4 *)config)->vocab_size; }

static json_t *sized(int width, int layers, int vocab_size, int positions)
{
    return json_pack("{s:i,s:i,s:i,s:i,s:i}", "vocab_size", vocab_size, "context_length", positions, "hidden_size", width,
                     "num_hidden_layers", layers, "intermediate_size", 4 * width);
}

const arch arch_rwkv4 = {
    .name = "rwkv4", .class_name = "RwkvForCausalLM", .stem = "Rwkv",
    .summary = "RWKV-4: a recurrent network of decaying averages, constant memory (Peng et al. 2023)",
    .config = { .size = sizeof(rwkv4), .fields = fields, .normalize = rwkv_normalize, .sized = sized,
                .aliases = NAMES("rwkv") },
    .equations = { .build = build, .language = language, .l2_wrap = wrap, .context = context, .vocab = vocab },
    .files = { .prefixes = NAMES(""), .known_by = "blocks.0.att.time_mix_k" },
    .growth = { .keys = { .width = "hidden_size", .inner = "intermediate_size", .layers = "num_hidden_layers", .layer_prefix = "blocks." },
                .inner_keys = NAMES("intermediate_size") },
};
