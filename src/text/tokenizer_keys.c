/* The keys of a tokenizer.json, as Hugging Face's tokenizers write them.  Every key of every part is used by its
 * reader, is known to change nothing here, or is refused by name and value.  A part of a type that is not here is
 * refused by its reader. */
#include "base/keys.h"
#include "text/tokenizer_parts.h"
#include <string.h>

enum { NESTED = 8 };

static const known_key of_file[] = {
    { .key = "model" }, { .key = "normalizer" }, { .key = "pre_tokenizer" }, { .key = "post_processor" }, { .key = "decoder" }, { .key = "added_tokens" }, { .key = "truncation" },
    { .key = "padding" }, { "version", "\"1.0\"|null" },
    { 0 }
};
/* Whose length and manner each verb says itself; the side is the tokenizer's. */
static const known_key of_truncation[] = { { .key = "direction" }, { "max_length", "*" }, { "strategy", "*" }, { "stride", "*" }, { 0 } };
/* Nothing is padded here. */
static const known_key of_padding[] = { { "strategy", "*" }, { "direction", "*" }, { "pad_to_multiple_of", "*" }, { "pad_id", "*" }, { "pad_type_id", "*" }, { "pad_token", "*" }, { 0 } };
static const known_key of_added[] = {
    { .key = "id" }, { .key = "content" }, { .key = "special" }, { .key = "single_word" }, { .key = "lstrip" }, { .key = "rstrip" }, { .key = "normalized" }, { 0 }
};

/* The keys of a type of part beside "type". */
typedef struct { const char *type; known_key keys[12]; } part_keys;

static const part_keys models[] = {
    { "BPE", { { .key = "vocab" }, { .key = "merges" }, { .key = "dropout" }, { .key = "unk_token" }, { .key = "continuing_subword_prefix" }, { .key = "end_of_word_suffix" }, { .key = "fuse_unk" },
               { .key = "byte_fallback" }, { .key = "ignore_merges" } } },
    { "WordPiece", { { .key = "vocab" }, { .key = "unk_token" }, { .key = "continuing_subword_prefix" }, { .key = "max_input_chars_per_word" } } },
    { "WordLevel", { { .key = "vocab" }, { .key = "unk_token" } } },
    /* Sampling is for training. */
    { "Unigram", { { .key = "vocab" }, { .key = "unk_id" }, { .key = "byte_fallback" }, { "alpha", "null" }, { "nbest_size", "null" } } },
    { .type = NULL }
};
static const part_keys normalizers[] = {
    { "Sequence", { { .key = "normalizers" } } }, { "BertNormalizer", { { .key = "clean_text" }, { .key = "handle_chinese_chars" }, { .key = "strip_accents" }, { .key = "lowercase" } } },
    { "Strip", { { .key = "strip_left" }, { .key = "strip_right" } } }, { "Replace", { { .key = "pattern" }, { .key = "content" } } }, { "Prepend", { { .key = "prepend" } } },
    { "Precompiled", { { .key = "precompiled_charsmap" } } }, { .type = "StripAccents" }, { .type = "NFC" }, { .type = "NFD" }, { .type = "NFKC" }, { .type = "NFKD" }, { .type = "Lowercase" },
    { .type = "Nmt" },
    { .type = NULL }
};
/* ByteLevel's trim_offsets counts in a post_processor alone; str_rep is Metaspace's replacement once more. */
static const part_keys pre_tokenizers[] = {
    { "Sequence", { { .key = "pretokenizers" } } }, { "ByteLevel", { { .key = "add_prefix_space" }, { .key = "use_regex" }, { "trim_offsets", "*" } } },
    { "Split", { { .key = "pattern" }, { .key = "behavior" }, { .key = "invert" } } }, { "Punctuation", { { .key = "behavior" } } }, { "CharDelimiterSplit", { { .key = "delimiter" } } },
    { "Digits", { { .key = "individual_digits" } } },
    { "Metaspace", { { .key = "replacement" }, { .key = "prepend_scheme" }, { .key = "split" }, { .key = "add_prefix_space" }, { "str_rep", "*" } } }, { .type = "BertPreTokenizer" },
    { .type = "Whitespace" }, { .type = "WhitespaceSplit" },
    { .type = NULL }
};
static const part_keys processors[] = {
    { "Sequence", { { .key = "processors" } } }, { "TemplateProcessing", { { .key = "single" }, { .key = "pair" }, { .key = "special_tokens" } } },
    { "BertProcessing", { { .key = "sep" }, { .key = "cls" } } }, { "RobertaProcessing", { { .key = "sep" }, { .key = "cls" }, { .key = "trim_offsets" }, { .key = "add_prefix_space" } } },
    { "ByteLevel", { { .key = "trim_offsets" }, { .key = "add_prefix_space" }, { "use_regex", "*" } } },
    { .type = NULL }
};
static const part_keys decoders[] = {
    { "Sequence", { { .key = "decoders" } } }, { "BPEDecoder", { { .key = "suffix" } } }, { "WordPiece", { { .key = "prefix" }, { .key = "cleanup" } } },
    { "Metaspace", { { .key = "replacement" }, { .key = "prepend_scheme" }, { .key = "add_prefix_space" }, { "split", "*" }, { "str_rep", "*" } } },
    { "Replace", { { .key = "pattern" }, { .key = "content" } } }, { "Strip", { { .key = "content" }, { .key = "start" }, { .key = "stop" } } },
    { "ByteLevel", { { "add_prefix_space", "*" }, { "trim_offsets", "*" }, { "use_regex", "*" } } }, { .type = "Fuse" }, { .type = "ByteFallback" },
    { .type = NULL }
};

/* The key under which a Sequence has its members. */
typedef struct { const char *key, *list; const part_keys *known; } section;
static const section sections[] = {
    { "normalizer", "normalizers", normalizers }, { "pre_tokenizer", "pretokenizers", pre_tokenizers }, { "post_processor", "processors", processors }, { "decoder", "decoders", decoders },
};

static int check_keys(const json_t *part, const known_key *known, bool typed, const char *where, const char *what, lithe_error *err)
{
    json_t *open = (json_t *)(uintptr_t)part;                              /* jansson's iterators are not const */
    char place[400];
    snprintf(place, sizeof place, "%.240s: %.140s", what, where);
    for (void *i = json_object_iter(open); i; i = json_object_iter_next(open, i)) {
        const char *key = json_object_iter_key(i);
        if (!(typed && !strcmp(key, "type")) && key_check(key, json_object_iter_value(i), key_find(known, key), place, err)) return err->status;
    }
    return LITHE_OK;
}

static int check_part(const json_t *part, const part_keys *known, const char *type, const char *section_key, const char *what, lithe_error *err)
{
    char where[160];
    while (known->type && strcmp(known->type, type ? type : "")) known++;
    snprintf(where, sizeof where, "%s %s", section_key, type ? type : "");
    return known->type ? check_keys(part, known->keys, true, where, what, err) : LITHE_OK;
}

static int check_section(const section *s, const json_t *part, int depth, const char *what, lithe_error *err)
{
    const json_t *members = json_object_get(part, s->list);
    int status = check_part(part, s->known, json_string_value(json_object_get(part, "type")), s->key, what, err);
    for (size_t i = 0; i < json_array_size(members) && depth && !status; i++) status = check_section(s, json_array_get(members, i), depth - 1, what, err);
    return status;
}

int tokenizer_check_keys(const json_t *root, model_kind kind, const char *what, lithe_error *err)
{
    static const char *const kinds[] = { [MODEL_BPE] = "BPE", [MODEL_WORDPIECE] = "WordPiece", [MODEL_UNIGRAM] = "Unigram", [MODEL_WORDLEVEL] = "WordLevel", [MODEL_LONGEST] = NULL };
    const json_t *added = json_object_get(root, "added_tokens");
    int status = keys_check(root, of_file, what, err);
    if (!status) status = check_keys(json_object_get(root, "truncation"), of_truncation, false, "truncation", what, err);
    if (!status) status = check_keys(json_object_get(root, "padding"), of_padding, false, "padding", what, err);
    if (!status) status = check_part(json_object_get(root, "model"), models, kinds[kind], "model", what, err);
    for (size_t i = 0; i < sizeof sections / sizeof *sections && !status; i++) status = check_section(&sections[i], json_object_get(root, sections[i].key), NESTED, what, err);
    for (size_t i = 0; i < json_array_size(added) && !status; i++) status = check_keys(json_array_get(added, i), of_added, false, "added_tokens", what, err);
    return status;
}
