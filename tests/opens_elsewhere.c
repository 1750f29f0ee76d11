/* What a model's folder holds so that transformers' Auto classes and pipelines open it: the keys of config.json,
 * generation_config.json and tokenizer_config.json.  That they do is compared by tools/check_transformers.py. */
#include "model.h"
#include "files/tensor_file.h"
#include "lithe_tools.h"
#include <string.h>

static const char TEXT[] = "the king and the queen of the land, the land of the king; the queen and the king";

typedef struct { const char *arch, *config, *vocabulary; } kind;

/* The folder of a small model with a vocabulary learned from TEXT; 300 tokens, or what the kind has. */
static const char *saved(const kind *k)
{
    lithe_error err = { 0 };
    const char *dir = in_dir(k->arch);
    lithe_tokenizer *t = lithe_tokenizer_learn(TEXT, strlen(TEXT), !strcmp(k->vocabulary, "wordpiece") ? 40 : 270, &LITHE_OPTIONS(lithe_tokenizer_options, .kind = k->vocabulary), &err);
    CHECK_MSG(t, "%s", err.text);
    lithe_model *m = lithe_model_new(k->arch, k->config, 1, &err);
    CHECK_MSG(m && !lithe_model_save(m, dir, NULL, t, &err), "%s", err.text);
    lithe_model_close(m);
    lithe_tokenizer_close(t);
    return dir;
}

static json_t *file_of(const char *dir, const char *name)
{
    char *path = path_join(dir, name);
    json_t *json = get_json(path);
    free(path);
    return json;
}

/* Every key of `expected` has its value in the file. */
static void check_keys(const char *dir, const char *name, const char *expected)
{
    json_t *file = file_of(dir, name), *wanted = json_loads(expected, 0, NULL), *value;
    const char *key;
    CHECK_MSG(wanted, "%s", expected);
    json_object_foreach(wanted, key, value) {
        char *found = json_dumps(json_object_get(file, key), JSON_ENCODE_ANY);
        CHECK_MSG(json_equal(json_object_get(file, key), value), "%s/%s: %s is %s", dir, name, key, found ? found : "not there");
        free(found);
    }
    json_decref(file);
    json_decref(wanted);
}

#define SIZES "\"vocab_size\":270,\"hidden_size\":8,\"num_hidden_layers\":2,\"num_attention_heads\":2,\"intermediate_size\":16,\"max_position_embeddings\":24"

static void settings(void)
{
    static const kind kinds[] = {
        { "gpt2", "{\"vocab_size\":270,\"n_embd\":8,\"n_layer\":2,\"n_head\":2,\"n_positions\":24}", "bpe" }, { "llama", "{" SIZES "}", "bpe" },
        { "modernbert", "{" SIZES "}", "roberta" }, { "roberta", "{" SIZES "}", "roberta" }, { "bert", "{" SIZES "}", "wordpiece" }, { "mosaicbert", "{" SIZES "}", "wordpiece" } };
    static const char *const tokenizers[] = {
        "{\"bos_token\":\"<|endoftext|>\",\"eos_token\":\"<|endoftext|>\",\"model_input_names\":[\"input_ids\",\"attention_mask\"],\"tokenizer_class\":\"PreTrainedTokenizerFast\",\"model_max_length\":24,\"clean_up_tokenization_spaces\":false}",
        "{\"bos_token\":\"<|endoftext|>\",\"eos_token\":\"<|endoftext|>\",\"model_input_names\":[\"input_ids\",\"attention_mask\"],\"tokenizer_class\":\"PreTrainedTokenizerFast\",\"model_max_length\":24}",
        "{\"bos_token\":\"<s>\",\"eos_token\":\"</s>\",\"cls_token\":\"<s>\",\"sep_token\":\"</s>\",\"pad_token\":\"<pad>\",\"mask_token\":\"<mask>\",\"unk_token\":\"<unk>\",\"model_input_names\":[\"input_ids\",\"attention_mask\"]}",
        "{\"mask_token\":\"<mask>\",\"pad_token\":\"<pad>\",\"model_max_length\":22}",
        "{\"cls_token\":\"[CLS]\",\"sep_token\":\"[SEP]\",\"pad_token\":\"[PAD]\",\"mask_token\":\"[MASK]\",\"unk_token\":\"[UNK]\",\"model_input_names\":[\"input_ids\",\"token_type_ids\",\"attention_mask\"]}",
        "{\"mask_token\":\"[MASK]\",\"model_input_names\":[\"input_ids\",\"token_type_ids\",\"attention_mask\"]}" };
    static const char *const configs[] = {
        "{\"bos_token_id\":269,\"eos_token_id\":269,\"pad_token_id\":null,\"architectures\":[\"GPT2LMHeadModel\"]}", "{\"bos_token_id\":269,\"eos_token_id\":269,\"pad_token_id\":null}",
        "{\"bos_token_id\":0,\"eos_token_id\":2,\"pad_token_id\":1,\"cls_token_id\":0,\"sep_token_id\":2}", "{\"pad_token_id\":1}", "{\"pad_token_id\":0,\"cls_token_id\":2,\"sep_token_id\":3}", "{\"pad_token_id\":0}" };
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        const char *dir = saved(&kinds[i]);
        check_keys(dir, "tokenizer_config.json", tokenizers[i]);
        check_keys(dir, "config.json", configs[i]);
        lithe_error err = { 0 };
        lithe_model *m = lithe_model_open(dir, NULL, &err);
        lithe_tokenizer *t = lithe_tokenizer_open(dir, &err);
        CHECK_MSG(m && t && !lithe_model_fits(m, t, &err), "%s: %s", dir, err.text);
        lithe_tokenizer_close(t);
        lithe_model_close(m);
    }
    check_keys(in_dir("gpt2"), "generation_config.json", "{\"bos_token_id\":269,\"eos_token_id\":269}");
}

/* RWKV-4 is written as transformers' class has it, and opened from that. */
static void rwkv_names(void)
{
    static const char *const names[] = { "rwkv.embeddings.weight", "rwkv.blocks.0.pre_ln.weight", "rwkv.blocks.1.attention.time_mix_key", "rwkv.blocks.1.feed_forward.value.weight", "rwkv.ln_out.bias", "head.weight" };
    const char *dir = saved(&(kind){ "rwkv4", "{\"vocab_size\":270,\"hidden_size\":8,\"num_hidden_layers\":2,\"context_length\":24}", "bpe" });
    lithe_error err = { 0 };
    char *path = path_join(dir, "model.safetensors");
    tensor_file *f = tensor_file_open(path, &err);
    CHECK_MSG(f, "%s", err.text);
    for (size_t i = 0; i < sizeof names / sizeof *names && f; i++) CHECK_MSG(tensor_file_find(f, names[i]), "%s", names[i]);
    check_keys(dir, "config.json", "{\"model_type\":\"rwkv\",\"architectures\":[\"RwkvForCausalLM\"],\"context_length\":24}");
    lithe_model *m = lithe_model_open(dir, NULL, &err), *same = lithe_model_new("rwkv4", "{\"vocab_size\":270,\"hidden_size\":8,\"num_hidden_layers\":2,\"context_length\":24}", 1, &err);
    CHECK_MSG(m && same && !strcmp(lithe_model_arch(m), "rwkv4"), "%s", err.text);
    float a[8], b[8];
    CHECK(!lithe_model_values(m, "blocks.1.att.time_decay", 0, 8, a, &err) && !lithe_model_values(same, "blocks.1.att.time_decay", 0, 8, b, &err) && !memcmp(a, b, sizeof a));
    lithe_model_close(m);
    lithe_model_close(same);
    tensor_file_close(f);
    free(path);
}

const test tests_opens_elsewhere[] = {
    { "opens elsewhere: settings of tokenizers and models", settings },
    { "opens elsewhere: RWKV-4 under transformers' names", rwkv_names },
    { 0 }
};
