/* The architectures of GGUF: their keys, and the keys of config.json that say the same. */
#include "files/gguf_config.h"
#include "files/rwkv_files.h"
#include <math.h>
#include <string.h>

#define WHOLE(key, ours)            { key, ours, KEY_WHOLE, false, 0 }
#define NUMBER(key, ours)           { key, ours, KEY_NUMBER, false, 0 }
#define BOOL(key, ours)             { key, ours, KEY_BOOL, false, 0 }
#define MAYBE_WHOLE(key, ours)      { key, ours, KEY_WHOLE, true, 0 }
#define MAYBE_NUMBER(key, ours)     { key, ours, KEY_NUMBER, true, 0 }
#define ONLY(key, value)            { key, NULL, KEY_ONLY, true, value }
#define ANY(key)                    { key, NULL, KEY_ANY, true, 0 }

static int no_memory(const tensor_file *f, lithe_error *err) { return fail(err, LITHE_ENOMEM, "%s: no memory for its configuration", f->path); }

/* ---- RoPE ----------------------------------------------------------------------------- */

static json_int_t whole(const json_t *config, const char *key) { return json_integer_value(json_object_get(config, key)); }

typedef struct { double factor, low, high, original; } llama3;

/* The factor by which llama3's scaling divides frequency i of n. */
static double llama3_factor(double base, double i, double n, llama3 s)
{
    const double length = 2 * acos(-1) * pow(base, i / n), smooth = (s.original / length - s.low) / (s.high - s.low);
    return length < s.original / s.high ? 1 : length > s.original / s.low ? s.factor : 1 / ((1 - smooth) / s.factor + smooth);
}

int gguf_rope_factors(const json_t *config, double factors[GGUF_MOST_FACTORS])
{
    const json_t *scaling = json_object_get(config, "rope_scaling");
    const char *type = json_string_value(json_object_get(scaling, "rope_type"));
    json_int_t heads = whole(config, "num_attention_heads"), size = whole(config, "head_dim") ? whole(config, "head_dim") : heads > 0 ? whole(config, "hidden_size") / heads : 0;
    double low = json_number_value(json_object_get(scaling, "low_freq_factor")), high = json_number_value(json_object_get(scaling, "high_freq_factor"));
    double factor = json_number_value(json_object_get(scaling, "factor")), original = json_number_value(json_object_get(scaling, "original_max_position_embeddings"));
    const json_int_t pairs = size / 2;
    if (!type || strcmp(type, "llama3") || pairs > GGUF_MOST_FACTORS) return 0;
    for (json_int_t i = 0; i < pairs; i++)
        factors[i] = llama3_factor(json_number_value(json_object_get(config, "rope_theta")), (double)i, (double)pairs, (llama3){ factor, low, high, original });
    return (int)pairs;
}

static bool are_llama3(const float *held, size_t n, double base, double factor, double original)
{
    size_t i = 0;
    while (i < n && fabs((double)held[i] / llama3_factor(base, (double)i, (double)n, (llama3){ factor, 1, 4, original }) - 1) <= 1e-4) i++;
    return i == n;
}

/* Files of LLaMA 3.1 and later hold the factors of llama3's scaling, not its settings, which are found again: the
 * factor is the largest, the positions a power of two. */
static int read_factors(json_t *config, const tensor_file *f, lithe_error *err)
{
    enum { MOST = 1024, MOST_POSITIONS = 1 << 20 };
    const file_tensor *t = gguf_tensor(f, "rope_freqs.weight");
    float held[MOST], factor = 0;
    double base = json_number_value(json_object_get(config, "rope_theta"));
    int original = 32;
    if (!t) return LITHE_OK;
    if (t->count > MOST || !file_tensor_floats(t, 0, t->count, held)) return fail(err, LITHE_ECONFIG, "%s: rope_freqs.weight is not up to %d numbers", f->path, MOST);
    for (size_t i = 0; i < t->count; i++) factor = fmaxf(factor, held[i]);
    while (original <= MOST_POSITIONS && !are_llama3(held, t->count, base > 0 ? base : 10000, (double)factor, original)) original *= 2;
    if (original > MOST_POSITIONS) return fail(err, LITHE_ECONFIG, "%s: the factors in rope_freqs.weight are not those of llama3's scaling: others do not open", f->path);
    json_t *scaling = json_pack("{s:s, s:f, s:f, s:f, s:i}", "rope_type", "llama3", "factor", (double)factor, "low_freq_factor", 1.0, "high_freq_factor", 4.0,
                                "original_max_position_embeddings", original);
    return json_object_set_new(config, "rope_scaling", scaling) ? no_memory(f, err) : LITHE_OK;
}

static int read_scaling(json_t *config, const tensor_file *f, lithe_error *err)
{
    const gguf_text type = gguf_string(gguf_key_of(f, "rope.scaling.type"));
    double factor = 0;
    if (!gguf_number(gguf_key_of(f, "rope.scaling.factor"), &factor)) gguf_number(gguf_key_of(f, "rope.scale_linear"), &factor);
    bool scaled = type.len && !gguf_is(type, "none"), linear = gguf_is(type, "linear") || (!type.len && factor > 0);
    if (scaled && !linear) return fail(err, LITHE_ECONFIG, "%s: rope.scaling.type is %.*s, only none and linear open", f->path, type.len < 40 ? (int)type.len : 40, type.bytes);
    if (!linear || fabs(factor - 1) <= 0) return read_factors(config, f, err);
    json_t *scaling = json_pack("{s:s, s:f}", "rope_type", "linear", "factor", factor);
    return json_object_set_new(config, "rope_scaling", scaling) ? no_memory(f, err) : LITHE_OK;
}

/* ---- LLaMA and its like ------------------------------------------------------------------ */

static bool is_type(const json_t *config, const char *type)
{
    const char *said = json_string_value(json_object_get(config, "model_type"));
    return said && !strcmp(said, type);
}

/* Keys, values and the rotated channels of a head are as many. */
static int read_heads(json_t *config, const tensor_file *f, lithe_error *err)
{
    json_int_t heads = whole(config, "num_attention_heads"), usual = heads > 0 ? whole(config, "hidden_size") / heads : 0;
    int64_t size = usual, other;
    const bool said = gguf_integer(gguf_key_of(f, "attention.key_length"), &size);
    /* Where config.json does not say it, it means another number to Qwen3. */
    const bool always = is_type(config, "qwen3");
    if (((said && size != usual) || always) && json_object_set_new(config, "head_dim", json_integer(size))) return no_memory(f, err);
    static const char *const same[] = { "attention.value_length", "rope.dimension_count" };
    for (int i = 0; i < 2; i++)
        if (gguf_integer(gguf_key_of(f, same[i]), &other) && other != size)
            return fail(err, LITHE_ECONFIG, "%s: %s is %lld, while heads have %lld channels: other sizes do not open", f->path, same[i], (long long)other, (long long)size);
    return LITHE_OK;
}

static int read_llama(json_t *config, const tensor_file *f, lithe_error *err)
{
    bool q = gguf_tensor(f, "blk.0.attn_q.bias"), output = gguf_tensor(f, "blk.0.attn_output.bias"), mlp = gguf_tensor(f, "blk.0.ffn_gate.bias");
    int bad = 0;
    if (q && output) bad |= json_object_set_new(config, "attention_bias", json_true());
    else if (q) bad |= json_object_set_new(config, "lithe_qkv_bias", json_true());
    if (mlp) bad |= json_object_set_new(config, "mlp_bias", json_true());
    if (whole(config, "sliding_window") > 0) bad |= json_object_set_new(config, "model_type", json_string("mistral"));
    else json_object_del(config, "sliding_window");
    int status = bad ? no_memory(f, err) : read_heads(config, f, err);
    return status ? status : read_scaling(config, f, err);
}

static void put_whole(gguf_head *h, const gguf_arch *a, const char *rest, json_int_t value)
{
    char name[GGUF_KEY_BYTES];
    gguf_put_integer(h, gguf_key_name(a, rest, name), GGUF_U32, value);
}

static void put_text(gguf_head *h, const gguf_arch *a, const char *rest, const char *text)
{
    char name[GGUF_KEY_BYTES];
    gguf_put_string(h, gguf_key_name(a, rest, name), text, strlen(text));
}

/* Linear scaling; llama3's is a tensor. */
static void write_scaling(gguf_head *h, const gguf_arch *a, const json_t *config)
{
    char name[GGUF_KEY_BYTES];
    const json_t *scaling = json_object_get(config, "rope_scaling");
    const char *type = json_string_value(json_object_get(scaling, "rope_type"));
    if (!type || strcmp(type, "linear")) return;
    put_text(h, a, "rope.scaling.type", type);
    gguf_put_number(h, gguf_key_name(a, "rope.scaling.factor", name), json_number_value(json_object_get(scaling, "factor")));
}

static void write_llama(gguf_head *h, const gguf_arch *a, const json_t *config)
{
    json_int_t heads = whole(config, "num_attention_heads"), usual = heads > 0 ? whole(config, "hidden_size") / heads : 0, size = whole(config, "head_dim");
    put_whole(h, a, "vocab_size", whole(config, "vocab_size"));
    if (!whole(config, "num_key_value_heads")) put_whole(h, a, "attention.head_count_kv", heads);
    put_whole(h, a, "rope.dimension_count", size ? size : usual);
    if (size && size != usual) put_whole(h, a, "attention.key_length", size), put_whole(h, a, "attention.value_length", size);
    write_scaling(h, a, config);
}

#define LLAMA_KEYS \
    WHOLE("context_length", "max_position_embeddings"), WHOLE("embedding_length", "hidden_size"), WHOLE("block_count", "num_hidden_layers"), \
    WHOLE("feed_forward_length", "intermediate_size"), WHOLE("attention.head_count", "num_attention_heads"), MAYBE_WHOLE("attention.head_count_kv", "num_key_value_heads"), \
    NUMBER("attention.layer_norm_rms_epsilon", "rms_norm_eps"), MAYBE_NUMBER("rope.freq_base", "rope_theta"), \
    ANY("vocab_size"), ANY("rope.dimension_count"), ANY("attention.key_length"), ANY("attention.value_length"), \
    ANY("rope.scaling.type"), ANY("rope.scaling.factor"), ANY("rope.scale_linear"), ANY("rope.scaling.original_context_length"), ANY("rope.scaling.finetuned"), \
    ONLY("rope.scaling.attn_factor", 1), ONLY("expert_count", 0), ONLY("expert_used_count", 0), ONLY("attention.causal", 1), ANY("tensor_data_layout")

static const gguf_key LLAMA[] = { LLAMA_KEYS, MAYBE_WHOLE("attention.sliding_window", "sliding_window"), { 0 } };
static const gguf_key QWEN2[] = { LLAMA_KEYS, ONLY("attention.sliding_window", 0), { 0 } };

/* ---- GPT-2, GPT-NeoX ---------------------------------------------------------------------- */

static const gguf_key GPT2[] = {
    WHOLE("context_length", "n_positions"), WHOLE("embedding_length", "n_embd"), WHOLE("block_count", "n_layer"), WHOLE("feed_forward_length", "n_inner"),
    WHOLE("attention.head_count", "n_head"), NUMBER("attention.layer_norm_epsilon", "layer_norm_epsilon"),
    ANY("attention.head_count_kv"), ANY("vocab_size"), ONLY("attention.causal", 1), ONLY("expert_count", 0),
    { 0 }
};

static void write_gpt2(gguf_head *h, const gguf_arch *a, const json_t *config)
{
    if (!whole(config, "n_inner")) put_whole(h, a, "feed_forward_length", 4 * whole(config, "n_embd"));
}

static const gguf_key GPTNEOX[] = {
    WHOLE("context_length", "max_position_embeddings"), WHOLE("embedding_length", "hidden_size"), WHOLE("block_count", "num_hidden_layers"),
    WHOLE("feed_forward_length", "intermediate_size"), WHOLE("attention.head_count", "num_attention_heads"), BOOL("use_parallel_residual", "use_parallel_residual"),
    NUMBER("attention.layer_norm_epsilon", "layer_norm_eps"), MAYBE_NUMBER("rope.freq_base", "rotary_emb_base"),
    ANY("rope.dimension_count"), ANY("rope.scaling.type"), ANY("rope.scaling.factor"), ANY("attention.head_count_kv"), ANY("vocab_size"), ONLY("attention.causal", 1),
    { 0 }
};

static int read_gptneox(json_t *config, const tensor_file *f, lithe_error *err)
{
    int64_t rotated = 0;
    json_int_t heads = whole(config, "num_attention_heads"), size = heads > 0 ? whole(config, "hidden_size") / heads : 0;
    bool bias = gguf_tensor(f, "blk.0.attn_qkv.bias");
    int bad = json_object_set_new(config, "attention_bias", json_boolean(bias));
    if (gguf_integer(gguf_key_of(f, "rope.dimension_count"), &rotated) && size > 0) bad |= json_object_set_new(config, "rotary_pct", json_real((double)rotated / (double)size));
    return bad ? no_memory(f, err) : read_scaling(config, f, err);
}

static void write_gptneox(gguf_head *h, const gguf_arch *a, const json_t *config)
{
    json_int_t heads = whole(config, "num_attention_heads"), size = heads > 0 ? whole(config, "hidden_size") / heads : 0;
    put_whole(h, a, "rope.dimension_count", (json_int_t)((double)size * json_number_value(json_object_get(config, "rotary_pct"))));
    write_scaling(h, a, config);
}

/* ---- encoders ------------------------------------------------------------------------------ */

enum { POOLED_NONE, POOLED_MEAN, POOLED_CLS, POOLED_LAST, POOLED_RANK };               /* pooling_type */

static int64_t pooling_of(const tensor_file *f)
{
    int64_t how = POOLED_NONE;
    if (!gguf_integer(gguf_key_of(f, "classifier.pooling_type"), &how)) gguf_integer(gguf_key_of(f, "pooling_type"), &how);
    return how;
}

/* The task by the tensors of heads, and the names of classes. */
static int read_task(json_t *config, const tensor_file *f, const char *stem, lithe_error *err)
{
    char name[80];
    const file_tensor *labels = gguf_tensor(f, "cls.output.weight");
    json_t *names = json_object();
    gguf_strings s = gguf_texts(gguf_key_of(f, "classifier.output_labels"));
    gguf_text label;
    snprintf(name, sizeof name, "%s%s", stem, labels ? "ForSequenceClassification" : "Model");
    static const char *const poolings[] = { [POOLED_MEAN] = "mean", [POOLED_CLS] = "cls", [POOLED_LAST] = "last" };
    int64_t how = pooling_of(f);
    int bad = json_object_set_new(config, "architectures", json_pack("[s]", name));
    if (how > POOLED_NONE && how < POOLED_RANK) bad |= json_object_set_new(config, "lithe_pooling", json_string(poolings[how]));
    for (int i = 0; !bad && gguf_next(&s, &label); i++) {
        char key[16];
        snprintf(key, sizeof key, "%d", i);
        bad = json_object_set_new(names, key, json_stringn(label.bytes, label.len));
    }
    if (labels) bad |= json_object_set_new(config, "num_labels", json_integer(labels->dims[0]));
    if (!bad && json_object_size(names)) bad = json_object_set(config, "id2label", names);
    json_decref(names);
    return bad ? fail(err, LITHE_ECONFIG, "%s: classifier.output_labels is no list of texts, or memory is out", f->path) : LITHE_OK;
}

/* Both encoders: bidirectional; how an embedder pools; the names of classes. */
static void write_encoder(gguf_head *h, const gguf_arch *a, const json_t *config)
{
    char name[GGUF_KEY_BYTES], key[24];
    const json_t *labels = json_object_get(config, "id2label"), *label;
    const char *how = json_string_value(json_object_get(config, "lithe_pooling"));
    if (!how) how = json_string_value(json_object_get(config, "classifier_pooling"));
    gguf_put_bool(h, gguf_key_name(a, "attention.causal", name), false);
    put_whole(h, a, "pooling_type", how && !strcmp(how, "cls") ? POOLED_CLS : how && !strcmp(how, "last") ? POOLED_LAST : POOLED_MEAN);
    if (!json_object_size(labels)) return;
    gguf_put_array(h, gguf_key_name(a, "classifier.output_labels", name), GGUF_STRING, json_object_size(labels));
    for (size_t i = 0; i < json_object_size(labels); i++) {
        snprintf(key, sizeof key, "%zu", i);
        label = json_object_get(labels, key);
        gguf_put_text(h, label ? json_string_value(label) : key, label ? json_string_length(label) : strlen(key));
    }
}

static void write_modern_bert(gguf_head *h, const gguf_arch *a, const json_t *config)
{
    const char *act = json_string_value(json_object_get(config, "hidden_activation"));
    write_encoder(h, a, config);
    put_text(h, a, "hidden_activation", act ? act : "gelu");
    put_text(h, a, "rope.scaling.type", "none");
    put_whole(h, a, "vocab_size", whole(config, "vocab_size"));
}

static int read_bert(json_t *config, const tensor_file *f, lithe_error *err)
{
    const file_tensor *types = gguf_tensor(f, "token_types.weight");
    if (types && json_object_set_new(config, "type_vocab_size", json_integer(types->dims[0]))) return no_memory(f, err);
    return read_task(config, f, "Bert", err);
}

static const gguf_key BERT[] = {
    WHOLE("context_length", "max_position_embeddings"), WHOLE("embedding_length", "hidden_size"), WHOLE("block_count", "num_hidden_layers"),
    WHOLE("feed_forward_length", "intermediate_size"), WHOLE("attention.head_count", "num_attention_heads"), NUMBER("attention.layer_norm_epsilon", "layer_norm_eps"),
    ONLY("attention.causal", 0), ANY("pooling_type"), ANY("classifier.output_labels"), ANY("attention.head_count_kv"), ANY("vocab_size"),
    { 0 }
};

static int read_modern_bert(json_t *config, const tensor_file *f, lithe_error *err)
{
    const gguf_text act = gguf_string(gguf_key_of(f, "hidden_activation"));
    bool cls = gguf_tensor(f, "cls.bias");
    int bad = json_object_set_new(config, "classifier_bias", json_boolean(cls)) | json_object_set_new(config, "norm_bias", json_boolean(gguf_tensor(f, "output_norm.bias") != NULL)) |
              json_object_set_new(config, "attention_bias", json_boolean(gguf_tensor(f, "blk.0.attn_qkv.bias") != NULL)) |
              json_object_set_new(config, "mlp_bias", json_boolean(gguf_tensor(f, "blk.0.ffn_up.bias") != NULL));
    if (act.len) bad |= json_object_set_new(config, "hidden_activation", json_stringn(act.bytes, act.len));
    if (pooling_of(f) != POOLED_RANK) bad |= json_object_set_new(config, "classifier_pooling", json_string(pooling_of(f) == POOLED_MEAN ? "mean" : "cls"));
    if (bad) return no_memory(f, err);
    return read_task(config, f, "ModernBert", err);
}

static const gguf_key MODERN_BERT[] = {
    WHOLE("context_length", "max_position_embeddings"), WHOLE("embedding_length", "hidden_size"), WHOLE("block_count", "num_hidden_layers"),
    WHOLE("feed_forward_length", "intermediate_size"), WHOLE("attention.head_count", "num_attention_heads"), NUMBER("attention.layer_norm_epsilon", "norm_eps"),
    WHOLE("attention.sliding_window", "local_attention"), MAYBE_WHOLE("attention.sliding_window_pattern", "global_attn_every_n_layers"),
    NUMBER("rope.freq_base", "global_rope_theta"), NUMBER("rope.freq_base_swa", "local_rope_theta"),
    ONLY("attention.causal", 0), ANY("pooling_type"), ANY("classifier.pooling_type"), ANY("classifier.output_labels"), ANY("hidden_activation"), ANY("rope.scaling.type"),
    ANY("attention.head_count_kv"), ANY("vocab_size"), ANY("rope.dimension_count"),
    { 0 }
};

/* ---- RWKV ---------------------------------------------------------------------------------- */

/* Sizes are those of the tensors, as in the files that have no keys at all. */
static int read_rwkv(json_t *config, const tensor_file *f, lithe_error *err)
{
    json_t *sizes = rwkv_config(f, err);
    int bad = sizes ? json_object_update_missing(config, sizes) || json_object_del(config, "tie_word_embeddings") : LITHE_OK;
    json_decref(sizes);
    if (!sizes) return failed(err) ? (int)err->status : fail(err, LITHE_ECONFIG, "%s: its tensors are not those of an RWKV", f->path);
    return bad ? no_memory(f, err) : LITHE_OK;
}

/* llama.cpp asks for a number of heads, which it does not use. */
static void write_rwkv(gguf_head *h, const gguf_arch *a, const json_t *config)
{
    put_whole(h, a, "attention.head_count", 0);
    put_whole(h, a, "vocab_size", whole(config, "vocab_size"));
    put_whole(h, a, "token_shift_count", 2);
    if (json_object_get(config, "time_mix_extra_dim")) put_whole(h, a, "rescale_every_n_layers", 0);
}

#define RWKV_KEYS \
    WHOLE("embedding_length", "hidden_size"), WHOLE("block_count", "num_hidden_layers"), WHOLE("feed_forward_length", "intermediate_size"), \
    ANY("attention.head_count"), ONLY("token_shift_count", 2), ANY("vocab_size")

static const gguf_key RWKV6[] = {
    RWKV_KEYS, WHOLE("context_length", "context_length"), NUMBER("attention.layer_norm_epsilon", "layer_norm_epsilon"), WHOLE("wkv.head_size", "head_size"),
    WHOLE("time_mix_extra_dim", "time_mix_extra_dim"), WHOLE("time_decay_extra_dim", "time_decay_extra_dim"), ANY("rescale_every_n_layers"),
    { 0 }
};

static const gguf_key RWKV7[] = {
    RWKV_KEYS, WHOLE("context_length", "max_position_embeddings"), NUMBER("attention.layer_norm_epsilon", "norm_eps"), WHOLE("wkv.head_size", "head_dim"),
    WHOLE("attention.decay_lora_rank", "decay_low_rank_dim"), WHOLE("attention.iclr_lora_rank", "a_low_rank_dim"),
    WHOLE("attention.value_residual_mix_lora_rank", "v_low_rank_dim"), WHOLE("attention.gate_lora_rank", "gate_low_rank_dim"),
    { 0 }
};

/* ---- tables -------------------------------------------------------------------------------- */

#define ONLY_VALUES(...) (const char *const[]){ __VA_ARGS__, NULL }

static const gguf_arch ARCHS[] = {
    { "llama", "llama", "LlamaForCausalLM", LLAMA, read_llama, write_llama, ONLY_VALUES("hidden_act=silu|swish") },
    { "qwen2", "qwen2", "Qwen2ForCausalLM", QWEN2, read_llama, write_llama, ONLY_VALUES("hidden_act=silu|swish", "sliding_window=") },
    { "qwen3", "qwen3", "Qwen3ForCausalLM", QWEN2, read_llama, write_llama, ONLY_VALUES("hidden_act=silu|swish", "sliding_window=") },
    { "gpt2", "gpt2", "GPT2LMHeadModel", GPT2, NULL, write_gpt2,
      ONLY_VALUES("activation_function=gelu_new|gelu_pytorch_tanh|gelu_fast|gelu", "scale_attn_weights=true", "scale_attn_by_inverse_layer_idx=false") },
    { "gptneox", "gpt_neox", "GPTNeoXForCausalLM", GPTNEOX, read_gptneox, write_gptneox, ONLY_VALUES("hidden_act=gelu|gelu_new|gelu_fast|gelu_pytorch_tanh") },
    { "bert", "bert", "BertModel", BERT, read_bert, write_encoder, ONLY_VALUES("hidden_act=gelu|gelu_new|gelu_fast|gelu_pytorch_tanh") },
    { "modern-bert", "modernbert", "ModernBertModel", MODERN_BERT, read_modern_bert, write_modern_bert, ONLY_VALUES("hidden_activation=gelu|silu") },
    { "rwkv6", "rwkv6", "Rwkv6ForCausalLM", RWKV6, read_rwkv, write_rwkv, ONLY_VALUES("group_norm_epsilon=0.00064") },
    { "rwkv7", "rwkv7", "RWKV7ForCausalLM", RWKV7, read_rwkv, write_rwkv, ONLY_VALUES("group_norm_epsilon=0.00064") },
};

const gguf_arch *gguf_arch_at(int i) { return i < (int)(sizeof ARCHS / sizeof *ARCHS) ? &ARCHS[i] : NULL; }
