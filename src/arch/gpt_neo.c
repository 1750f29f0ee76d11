/* GPT-Neo.  Black et al. 2021, "GPT-Neo: Large Scale Autoregressive Language Modeling
 * with Mesh-Tensorflow".  GPT-2's block with matrices (out,in), scores that are not scaled,
 * and layers of which some see the last window_size tokens only.
 * Names and keys are those of the published checkpoints. */
#include "arch/fields.h"
#include "arch/layers.h"
#include <stdint.h>
#include <string.h>

typedef struct {
    int vocab_size, max_position_embeddings, hidden_size, num_layers, num_heads, intermediate_size, window_size, tie_word_embeddings;
    int attention_layers[MOST_CHOICES];                  /* one after the other, again and again */
    activation activation_function;
    double resid_dropout, embed_dropout, attention_dropout, layer_norm_epsilon, initializer_range;
} gpt_neo;
enum { GLOBAL, LOCAL };

#define CONFIG gpt_neo
static const field fields[] = {
    INT(vocab_size, 50257, VOCABULARY), INT(max_position_embeddings, 2048, POSITIONS), INT(hidden_size, 2048, WIDTH), INT(num_layers, 24, LAYERS),
    INT(num_heads, 16, HEADS), INT(intermediate_size, 0, INNER), INT(window_size, 256, .least = 2, .most = 1 << 20), BOOL(tie_word_embeddings, 1),
    CHOICES(attention_layers, MOST_CHOICES, "global|local"), ACTIVATION(activation_function, ACT_GELU_TANH),
    REAL(resid_dropout, 0, RATE), REAL(embed_dropout, 0, RATE), REAL(attention_dropout, 0, RATE),
    REAL(layer_norm_epsilon, 1e-5, EPSILON), REAL(initializer_range, 0.02, DEVIATION),
    { 0 }
};

static const known_key others[] = {
    { .key = "attention_types" },
    { "summary_type", "*" }, { "summary_use_proj", "*" }, { "summary_activation", "*" }, { "summary_proj_to_labels", "*" }, { "summary_first_dropout", "*" },
    { 0 }
};

/* ---- kinds of layers ----------------------------------------------------------------- */

/* [[["global", "local"], 12]]: a new list of 24 names, NULL when it is none. */
static json_t *expanded(const json_t *types)
{
    json_t *list = json_array();
    size_t i;
    json_t *part;
    json_array_foreach(types, i, part) {
        const json_t *names = json_array_get(part, 0);
        const json_int_t times = json_integer_value(json_array_get(part, 1));
        if (!json_is_array(names) || times < 1 || times > 1024) break;
        for (json_int_t n = 0; n < times; n++) json_array_extend(list, (json_t *)(uintptr_t)names);
    }
    if (json_is_array(types) && i == json_array_size(types) && json_array_size(list)) return list;
    json_decref(list);
    return NULL;
}

/* Cuts a list to the shortest one that begins with it when it is repeated. */
static void shorten(json_t *list)
{
    const size_t n = json_array_size(list);
    size_t period = 1, same = 0;
    for (; period < n && same < n; period += same < n) {
        for (same = period; same < n && json_equal(json_array_get(list, same), json_array_get(list, same - period)); ) same++;
    }
    while (json_array_size(list) > period) json_array_remove(list, period);
}

static int normalize(json_t *config, lithe_error *err)
{
    const json_t *types = json_object_get(config, "attention_types"), *said = json_object_get(config, "attention_layers"), *layers = json_object_get(config, "num_layers");
    json_t *list = json_is_null(types) || !types ? json_is_array(said) ? json_deep_copy(said) : NULL : expanded(types);
    const size_t n = json_array_size(list), count = json_is_integer(layers) ? (size_t)json_integer_value(layers) : 24;
    int status = LITHE_OK;
    if (types && !json_is_null(types) && !list) status = fail(err, LITHE_ECONFIG, "attention_types is no list of names and numbers of repetitions such as [[[\"global\", \"local\"], 12]]");
    /* A list alone is repeated along the layers. */
    else if (list && (!n || (types && count % n))) status = fail(err, LITHE_ECONFIG, "attention_types names %zu layers, num_layers says %zu", n, count);
    else if (types && json_is_array(said) && list && !json_equal(said, list)) status = fail(err, LITHE_ECONFIG, "attention_layers is not what attention_types says");
    if (list && !status) {
        shorten(list);
        if (json_object_set(config, "attention_layers", list)) status = fail(err, LITHE_ENOMEM, "not enough memory to read it");
        json_object_del(config, "attention_types");
    }
    /* What a file that says neither means, as it is written. */
    if (!types && !said && json_object_set_new(config, "attention_layers", json_string("global,local"))) status = fail(err, LITHE_ENOMEM, "not enough memory to read it");
    json_decref(list);
    return status;
}

static uint64_t layer_kind(const void *config, int layer)
{
    const gpt_neo *c = config;
    int n = 0;
    while (n < MOST_CHOICES && c->attention_layers[n] >= 0) n++;
    return (uint64_t)(n ? c->attention_layers[layer % n] : layer % 2);
}

/* The kinds as a new list: arch_publish leaves a list as it is, or writes "global,local". */
static json_t *kinds(const json_t *said)
{
    if (json_is_array(said)) return json_copy((json_t *)(uintptr_t)said);
    const char *at = json_is_string(said) ? json_string_value(said) : "global,local";
    json_t *list = json_array();
    for (size_t n; *at; at += n + (at[n] == ',')) {
        n = strcspn(at, ",");
        json_array_append_new(list, json_stringn(at, n));
    }
    return list;
}

/* The list is as long as there are layers, and names one kind where there are none. */
static int publish(json_t *config)
{
    json_t *list = kinds(json_object_get(config, "attention_layers"));
    const size_t period = json_array_size(list), layers = (size_t)json_integer_value(json_object_get(config, "num_layers"));
    while (json_array_size(list) > (layers ? layers : 1)) json_array_remove(list, json_array_size(list) - 1);
    for (size_t l = period; period && l < layers; l++) json_array_append(list, json_array_get(list, l - period));
    int bad = json_object_set_new(config, "attention_types", json_pack("[[O, i]]", list, 1)) || json_object_set(config, "attention_layers", list);
    json_decref(list);
    return bad ? LITHE_ENOMEM : LITHE_OK;
}

/* ---- equations ------------------------------------------------------------------------- */

static tensor *words(graph *g, const gpt_neo *c)
{
    const table_options o = { .rows = AXIS_VOCAB, .std = c->initializer_range, .tied = c->tie_word_embeddings };
    return embedding_table(g, "wte.weight", c->vocab_size, c->hidden_size, o);           /* (vocab, C) */
}

static tensor *build(graph *g, const void *config)
{
    const gpt_neo *c = config;
    const int C = c->hidden_size, F = c->intermediate_size ? c->intermediate_size : 4 * C;
    const double std = c->initializer_range, drop = c->resid_dropout;
    const norm_options ln = { .eps = c->layer_norm_epsilon }, ln_f = { .eps = ln.eps, .before_tied_head = c->tie_word_embeddings };
    const dense_options qkv  = { .in = AXIS_RESIDUAL, .out = AXIS_HEAD, .std = std };
    const dense_options proj = { .in = AXIS_HEAD, .out = AXIS_RESIDUAL, .bias = true, .std = std, .dropout = drop };
    const dense_options up   = { .in = AXIS_RESIDUAL, .out = AXIS_INNER, .bias = true, .std = std, .act = c->activation_function };
    const dense_options down = { .in = AXIS_INNER, .out = AXIS_RESIDUAL, .bias = true, .std = std, .dropout = drop };

    /* (positions, C) */
    tensor *wpe = embedding_table(g, "wpe.weight", c->max_position_embeddings, C, (table_options){ .rows = AXIS_POSITION, .std = std });
    tensor *x = add_positions(g, embedding(g, words(g, c)), wpe);                        /* (tokens, C) */
    x = tap(g, dropout(g, x, c->embed_dropout), "embed", -1);                            /* (tokens, C) */
    for (int l = 0; l < c->num_layers; l++) {
        const attention_options heads = { .heads = c->num_heads, .causal = true, .scale = 1, .dropout = c->attention_dropout,
                                          .window = layer_kind(c, l) == LOCAL ? c->window_size - 1 : 0 };
        scope(g, "h.%d.", l);
        tensor *h = norm(g, x, "ln_1", ln);                                              /* (tokens, C) */
        tensor *q = dense(g, h, "attn.attention.q_proj", C, qkv);                        /* (tokens, C) */
        tensor *k = dense(g, h, "attn.attention.k_proj", C, qkv);                        /* (tokens, C) */
        tensor *v = dense(g, h, "attn.attention.v_proj", C, qkv);                        /* (tokens, C) */
        tensor *a = attention(g, q, k, v, heads);                                        /* (tokens, C) */
        x = tap(g, dense_add(g, x, a, "attn.attention.out_proj", proj), "post_mix", l);  /* (tokens, C) */
        h = norm(g, x, "ln_2", ln);                                                      /* (tokens, C) */
        h = dense(g, h, "mlp.c_fc", F, up);                                              /* (tokens, F) */
        x = tap(g, dense_add(g, x, h, "mlp.c_proj", down), "post_ffn", l);               /* (tokens, C) */
    }
    unscope(g);
    return tap(g, norm(g, x, "ln_f", ln_f), "final_norm", -1);                           /* (tokens, C) */
}

static head language(graph *g, const void *config, tensor *rows)
{
    const gpt_neo *c = config;
    /* (vocab, C) */
    tensor *w = c->tie_word_embeddings ? words(g, c) : head_weight(g, "lm_head.weight", c->vocab_size, c->hidden_size, c->initializer_range);
    return (head){ .hidden = rows, .weight = w };
}

static json_t *sized(int width, int layers, int vocab, int positions)
{
    return json_pack("{s:i, s:i, s:i, s:i, s:i, s:i, s:f}", "vocab_size", vocab, "max_position_embeddings", positions, "hidden_size", width, "num_layers", layers,
                     "num_heads", usual_heads(width), "intermediate_size", 4 * width, "initializer_range", sized_std(STD_TEXT, width));
}

const arch arch_gpt_neo = {
    .name = "gpt_neo", .class_name = "GPTNeoForCausalLM", .stem = "GPTNeo",
    .summary = "GPT-Neo: GPT-2's block with windows in some layers (Black et al. 2021)",
    .config = { .size = sizeof(gpt_neo), .fields = fields, .others = others, .divides = NAMES("num_heads", "hidden_size"),
                .normalize = normalize, .publish = publish, .sized = sized },
    .equations = { .build = build, .language = language },
    .files = { .names = NAME_PAIRS({ "transformer.@", "@" }, { "@.attn.attention.bias", NULL }, { "@.attn.attention.masked_bias", NULL }),
               .tied_head = "lm_head.weight", .tied_to = "wte.weight", .known_by = "h.0.attn.attention.q_proj.weight" },
    .growth = { .keys = { .width = "hidden_size", .heads = "num_heads", .inner = "intermediate_size", .layers = "num_layers", .layer_prefix = "h." },
                .inner_keys = NAMES("intermediate_size"), .layer_kind = layer_kind, .layer_list = "attention_types" },
};
