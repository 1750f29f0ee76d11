/* RWKV-4.  Peng et al. 2023, "RWKV: Reinventing RNNs for the Transformer Era".
 * A recurrent network that trains like a Transformer: per layer a time mix (a
 * decaying average of values) and a channel mix, each over its input and the
 * row before it.
 *   x += Wo (sigmoid(r) * wkv(k, v)),  k, v, r = linear of shifted LN1(x)
 *   x += sigmoid(r) * (Wv relu(k)^2),  k, r = linear of shifted LN2(x)
 * Names are those of the authors' .pth files, keys those of Hugging Face's
 * "rwkv", whose names a directory is written with; the state of a layer is five
 * vectors, whatever has been read. */
#include "arch/rwkv.h"
#include <math.h>

static const field fields[] = { RWKV_FIELDS(50277, 1024), { 0 } };

/* Initial values of the authors' trainer. */
static double decay(const double *p, uint64_t key, size_t i) { (void)key; return -5 + 8 * pow((double)i / p[0], p[1]); }
static double bonus(const double *p, uint64_t key, size_t i) { (void)p, (void)key; return log(0.3) + 0.5 * ((int)((i + 1) % 3) - 1); }

tensor *rwkv4_time_mix(graph *g, tensor *x, tensor *h, rwkv_place at)
{
    const int C = width_of(h);
    /* (1, 1, C) three times */
    const tensor_list mix = { { rwkv_mix(g, "att.time_mix_k", C, (rwkv_share){ .power = at.left }),
                                rwkv_mix(g, "att.time_mix_v", C, (rwkv_share){ .power = at.left, .more = 0.3 * at.depth }),
                                rwkv_mix(g, "att.time_mix_r", C, (rwkv_share){ .power = at.left / 2 }) } };
    /* (C) */
    tensor *w = parameter(g, "att.time_decay", (param_rule){ .dims = { C }, .axes = { writes(AXIS_RESIDUAL) }, .init = INIT_FORMULA, .formula = decay,
                                                             .args = { rwkv_last(C), 0.7 + 1.3 * at.depth }, .lr_factor = 2 });
    /* (C) */
    tensor *u = parameter(g, "att.time_first", (param_rule){ .dims = { C }, .axes = { writes(AXIS_RESIDUAL) }, .init = INIT_FORMULA, .formula = bonus, .lr_factor = 3 });

    /* (tokens, C) three times */
    tensor_list y = token_shift(g, h, (token_shift_options){ .mix = mix, .name = "att.shift" });
    tensor *k = rwkv_project(g, &at, y.at[0], "att.key", (rwkv_options){ 0 });                         /* (tokens, C) */
    tensor *v = rwkv_project(g, &at, y.at[1], "att.value", (rwkv_options){ .gain = 1 });               /* (tokens, C) */
    tensor *r = rwkv_project(g, &at, y.at[2], "att.receptance", (rwkv_options){ 0 });                  /* (tokens, C) */
    tensor *a = wkv4(g, "att.wkv", (wkv4_inputs){ .k = k, .v = v, .decay = w, .bonus = u });           /* (tokens, C) */
    a = glu(g, r, a, ACT_SIGMOID);                                                                     /* (tokens, C) */
    return rwkv_project(g, &at, a, "att.output", (rwkv_options){ .residual = x });                     /* (tokens, C) */
}

rwkv_channel rwkv4_channel_key(graph *g, tensor *h, int inner, rwkv_place at, activation act)
{
    const int C = width_of(h);
    /* (tokens, F), (tokens, C) */
    return rwkv_channel_key(g, h, (rwkv_channel_options){ .key = "ffn.time_mix_k", .receptance = "ffn.time_mix_r", .share = { .power = at.left },
                                                          .inner = inner, .gain = inner > C && C ? sqrt((double)inner / C) : 1, .act = act });
}

static tensor *build(graph *g, const void *config)
{
    const rwkv *c = config;
    const int C = c->hidden_size, L = c->num_hidden_layers, F = c->intermediate_size ? c->intermediate_size : 4 * C;
    const double eps = c->layer_norm_epsilon;
    tensor *x = rwkv_embed(g, c->vocab_size, C, eps);                                                  /* (tokens, C) */
    for (int l = 0; l < L; l++) {
        const rwkv_place at = rwkv_place_of(l, L);
        scope(g, "blocks.%d.", l);
        x = tap(g, rwkv4_time_mix(g, x, rwkv_norm(g, x, "ln1", eps), at), "post_mix", l);              /* (tokens, C) */
        /* (tokens, F), (tokens, C) */
        rwkv_channel k = rwkv4_channel_key(g, rwkv_norm(g, x, "ln2", eps), F, at, ACT_RELU_SQUARED);
        x = tap(g, rwkv_channel_value(g, x, k), "post_ffn", l);                                        /* (tokens, C) */
    }
    return rwkv_final_norm(g, x, eps);                                                                 /* (tokens, C) */
}

static json_t *sized(int width, int layers, int vocab, int positions)
{
    return json_pack("{s:i, s:i, s:i, s:i, s:i}", "vocab_size", vocab, "context_length", positions, "hidden_size", width,
                     "num_hidden_layers", layers, "intermediate_size", 4 * width);
}

/* As transformers' class has it, under whose names it is written. */
static int publish(json_t *config) { return json_object_set_new(config, "model_type", json_string("rwkv")); }

const arch arch_rwkv4 = {
    .name = "rwkv4", .class_name = "RwkvForCausalLM", .stem = "Rwkv",
    .summary = "RWKV-4: a recurrent network of decaying averages, constant memory (Peng et al. 2023)",
    .recipe = &rwkv_recipe,
    .config = { .size = sizeof(rwkv), .fields = fields, .others = rwkv_others, .normalize = rwkv_normalize, .sized = sized, .publish = publish,
                .aliases = NAMES("rwkv") },
    .equations = { .build = build, .language = rwkv_language, .l2_wrap = rwkv_l2_wrap, .context = rwkv_context },
    .files = { .known_by = "blocks.0.att.time_mix_k", .written_as = "rwkv.embeddings.weight" },
    .growth = { .keys = { .width = "hidden_size", .inner = "intermediate_size", .layers = "num_hidden_layers", .layer_prefix = "blocks." },
                .inner_keys = NAMES("intermediate_size") },
};
