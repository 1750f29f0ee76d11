/* What tokenizer_config.json and special_tokens_map.json say beside a vocabulary.  Every key is used, is known to
 * change nothing here, or is refused by name and value: transformers passes its settings to classes, and each class
 * takes other ones. */
#include "base/keys.h"
#include "text/tokenizer_parts.h"
#include <string.h>

/* ---- every key -------------------------------------------------------------------------- */

/* Of all vocabularies. */
static const known_key common[] = {
    { .key = "bos_token" }, { .key = "eos_token" }, { .key = "cls_token" }, { .key = "sep_token" }, { .key = "pad_token" }, { .key = "mask_token" }, { .key = "unk_token" },
    { .key = "additional_special_tokens" }, { .key = "extra_special_tokens" }, { .key = "added_tokens_decoder" }, { .key = "chat_template" },
    { .key = "tokenizer_class" }, { .key = "model_type" }, { .key = "auto_map" }, { .key = "add_bos_token" }, { .key = "add_eos_token" }, { .key = "split_special_tokens" },
    { .key = "clean_up_tokenization_spaces" }, { .key = "truncation_side" },
    { .key = "model_max_length" }, { .key = "max_len" },        /* of embeddings */
    /* Where the files lay, and what wrote them. */
    { "name_or_path", "*" }, { "_name_or_path", "*" }, { "special_tokens_map_file", "*" }, { "tokenizer_file", "*" }, { "vocab_file", "*" }, { "merges_file", "*" },
    { "backend", "*" }, { "is_local", "*" }, { "local_files_only", "*" }, { "transformers_version", "*" }, { "tokenizer_version", "*" },
    { "_commit_hash", "*" }, { "from_slow", "*" }, { "use_fast", "*" }, { "init_inputs", "[]|null" }, { "trust_remote_code", "*" }, { "tokenizer_type", "*" },
    { "device_map", "*" }, { "revision", "*" }, { "cache_dir", "*" }, { "fast_tokenizer_files", "[\"tokenizer.json\"]|[]|null" },
    /* What callers of transformers do with the ids: nothing is padded here, and each verb says what it truncates. */
    { "padding_side", "*" }, { "padding", "*" }, { "pad_token_type_id", "*" }, { "pad_to_multiple_of", "*" }, { "pad_token_id", "*" }, { "max_length", "*" }, { "stride", "*" },
    { "truncation", "*" }, { "truncation_strategy", "*" }, { "return_token_type_ids", "*" }, { "return_tensors", "*" }, { "model_input_names", "*" },
    { "processor_class", "*" }, { "image_processor_type", "*" }, { "feature_extractor_type", "*" }, { "task", "*" },
    /* Where tokens lie in the text; how tokenizers in Python alone decode; conversations. */
    { "trim_offsets", "*" }, { "errors", "*" }, { "spaces_between_special_tokens", "*" },
    { "use_default_system_prompt", "*" }, { "response_schema", "*" }, { "response_template", "*" }, { "chat_control_tokens", "*" },
    { "verbose", "*" }, { "fix_mistral_regex", "false|null" }, { "fast", "*" },
    { 0 }
};

/* A tokenizer.json says by itself what classes without a part of theirs in it would be given here. */
static const known_key of_json[] = {
    { .key = "do_lower_case" }, { .key = "strip_accents" }, { .key = "tokenize_chinese_chars" }, { .key = "add_prefix_space" }, { .key = "legacy" },
    { "do_basic_tokenize", "*" }, { "never_split", "*" }, { "do_split_on_punc", "true|null" }, { "do_word_tokenize", "true|null" }, { "do_subword_tokenize", "true|null" },
    { "word_tokenizer_type", "\"basic\"|null" }, { "subword_tokenizer_type", "\"wordpiece\"|null" }, { "sp_model_kwargs", "*" }, { "remove_space", "*" }, { "keep_accents", "*" },
    { "extra_ids", "*" }, { "unk_id", "*" }, { "sp_model", "*" }, { "vocab_type", "*" }, { "split_by_punct", "*" }, { "wordpieces_prefix", "*" }, { "clean_text", "*" },
    { "legacy_behaviour", "*" }, { "src_lang", "*" }, { "tgt_lang", "*" }, { "language", "*" },
    { 0 }
};

static const known_key of_wordpiece[] = {
    { .key = "do_lower_case" }, { .key = "strip_accents" }, { .key = "tokenize_chinese_chars" },
    { .key = "word_tokenizer_type" },
    { "do_basic_tokenize", "true|null" }, { "do_word_tokenize", "true|null" }, { "do_subword_tokenize", "true|null" }, { "do_split_on_punc", "true|null" },
    { "subword_tokenizer_type", "\"wordpiece\"|null" }, { "never_split", "[]|null" },
    { 0 }
};

/* Their classes lower no text, whatever the settings say. */
static const known_key of_byte_level[] = { { .key = "add_prefix_space" }, { "do_lower_case", "*" }, { 0 } };

static const known_key of_llama[] = { { .key = "legacy" }, { .key = "add_prefix_space" }, { 0 } };
static const known_key of_sentencepiece[] = {
    { "legacy", "*" }, { "add_prefix_space", "true|null" }, { "do_lower_case", "*" }, { "strip_accents", "*" }, { "remove_space", "*" }, { "keep_accents", "*" }, { "extra_ids", "*" },
    { "sp_model_kwargs", "{}|null" },
    { 0 }
};

/* A token of the model's own, such as "image_token": it counts where the vocabulary has it. */
static bool names_token(const char *key, const json_t *value)
{
    static const char *const ends[] = { "_token", "_token_id", "_token_ids" };
    const size_t n = strlen(key);
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        const size_t m = strlen(ends[i]);
        if (n > m && !strcmp(key + n - m, ends[i]) && (i || json_is_string(value) || json_is_object(value) || json_is_null(value))) return true;
    }
    return false;
}

int tokenizer_check_settings(const json_t *config, vocabulary_file file, const char *what, lithe_error *err)
{
    static const known_key *const own[] = { [VOCABULARY_WORDPIECE] = of_wordpiece, [VOCABULARY_BYTE_LEVEL] = of_byte_level,
                                            [VOCABULARY_SENTENCEPIECE] = of_sentencepiece, [VOCABULARY_JSON] = of_json };
    json_t *open = (json_t *)(uintptr_t)config;                              /* jansson's iterators are not const */
    char where[300];
    snprintf(where, sizeof where, "%.240s: its tokenizer_config.json or special_tokens_map.json", what);
    for (void *i = json_object_iter(open); i; i = json_object_iter_next(open, i)) {
        const char *key = json_object_iter_key(i);
        const json_t *value = json_object_iter_value(i);
        const known_key *k = file == VOCABULARY_SENTENCEPIECE && tokenizer_is(config, "LlamaTokenizer") ? key_find(of_llama, key) : NULL;
        if (!k) k = key_find(own[file], key);
        if (!k) k = key_find(common, key);
        if (!(!k && names_token(key, value)) && key_check(key, value, k, where, err)) return err->status;
    }
    const json_t *side = json_object_get(config, "truncation_side");
    if (side && !json_is_null(side) && (!json_is_string(side) || (strcmp(json_string_value(side), "left") && strcmp(json_string_value(side), "right"))))
        return fail(err, LITHE_ECONFIG, "%s: truncation_side is neither \"left\" nor \"right\"", what);
    return LITHE_OK;
}
