/* The steps of a tokenizer.json as the class of the model makes them anew.  transformers 5 opens such a file by a
 * class, which it chooses by tokenizer_class and model_type; a class with steps of its own takes the vocabulary and the
 * merges of the file, and not the file's normalizer, pre_tokenizer and decoder.  Here are the classes of the models
 * that are known; a file with another kind of vocabulary than its class has is left as it is. */
#include "text/split.h"
#include "text/tokenizer_parts.h"
#include <string.h>

typedef struct {
    json_t *root;
    const json_t *config;      /* the settings beside the file */
    bool changed;
} remake;

/* ---- parts ------------------------------------------------------------------------------ */

static bool is_type(const json_t *part, const char *type)
{
    const char *name = json_string_value(json_object_get(part, "type"));
    return name && !strcmp(name, type);
}

/* The first part of this type: the part itself, or a member of a Sequence; NULL: there is none. */
static json_t *part_of(json_t *part, const char *list, const char *type)
{
    if (is_type(part, type)) return part;
    const json_t *members = json_object_get(part, list);
    for (size_t i = 0; i < json_array_size(members); i++)
        if (is_type(json_array_get(members, i), type)) return json_array_get(members, i);
    return NULL;
}

/* Whether a part of the file means what is wanted.  What is absent is true, as use_regex, or null; trim_offsets says
 * where tokens lie in the text. */
static bool means(const json_t *part, json_t *wanted)
{
    if (!part) return json_is_true(wanted) || json_is_null(wanted);
    if (json_typeof(part) != json_typeof(wanted) || json_array_size(part) != json_array_size(wanted)) return false;
    if (!json_is_object(wanted) && !json_is_array(wanted)) return json_equal(part, wanted);
    for (size_t i = 0; i < json_array_size(wanted); i++)
        if (!means(json_array_get(part, i), json_array_get(wanted, i))) return false;
    for (void *i = json_object_iter(wanted); i; i = json_object_iter_next(wanted, i)) {
        const char *key = json_object_iter_key(i);
        if (strcmp(key, "trim_offsets") && !means(json_object_get(part, key), json_object_iter_value(i))) return false;
    }
    return true;
}

/* parent[key] = wanted, whose reference is taken, unless it means the same already. */
static void put(remake *r, json_t *parent, const char *key, json_t *wanted)
{
    if (!wanted || means(json_object_get(parent, key), wanted)) { json_decref(wanted); return; }
    json_object_set_new(parent, key, wanted);
    r->changed = true;
}

/* ---- byte-level classes ------------------------------------------------------------------- */

static json_t *byte_level(const remake *r, bool cuts)
{
    return json_pack("{s:s, s:b, s:b, s:b}", "type", "ByteLevel", "add_prefix_space", json_flag(r->config, "add_prefix_space", false), "trim_offsets", 1, "use_regex", cuts);
}

static bool is_byte_level(const remake *r)
{
    const json_t *model = json_object_get(r->root, "model");
    const char *type = json_string_value(json_object_get(model, "type"));
    return (type ? !strcmp(type, "BPE") : json_is_array(json_object_get(model, "merges")))
        && (part_of(json_object_get(r->root, "pre_tokenizer"), "pretokenizers", "ByteLevel") || part_of(json_object_get(r->root, "decoder"), "decoders", "ByteLevel"));
}

static void cut_bytes(remake *r, json_t *normalizer, json_t *words)
{
    static const char *const unset[] = { "continuing_subword_prefix", "end_of_word_suffix", "byte_fallback", "ignore_merges" };
    json_t *model = json_object_get(r->root, "model");
    for (int i = 0; i < 4; i++) {
        const json_t *v = json_object_get(model, unset[i]);
        if (json_is_true(v) || json_string_length(v)) put(r, model, unset[i], i < 2 ? json_null() : json_false());
    }
    put(r, r->root, "normalizer", normalizer);
    put(r, r->root, "pre_tokenizer", words);
    if (!is_type(json_object_get(r->root, "decoder"), "ByteLevel")) put(r, r->root, "decoder", byte_level(r, true));
}

static void as_gpt2(remake *r) { if (is_byte_level(r)) cut_bytes(r, json_null(), byte_level(r, true)); }
static void as_gpt_neox(remake *r) { if (is_byte_level(r)) cut_bytes(r, json_pack("{s:s}", "type", "NFC"), byte_level(r, true)); }

static void as_qwen2(remake *r)
{
    if (is_byte_level(r)) cut_bytes(r, json_pack("{s:s}", "type", "NFC"), tokenizer_qwen2_words(byte_level(r, false)));
}

/* ---- BERT's -------------------------------------------------------------------------------- */

/* Old files do not name the type. */
static bool is_wordpiece(const remake *r)
{
    const json_t *model = json_object_get(r->root, "model");
    return is_type(model, "WordPiece") || (!json_object_get(model, "type") && json_object_get(model, "max_input_chars_per_word") && !json_object_get(model, "merges"));
}

static void as_bert(remake *r)
{
    const json_t *strip = json_object_get(r->config, "strip_accents");
    if (!is_wordpiece(r)) return;
    put(r, r->root, "normalizer", json_pack("{s:s, s:b, s:b, s:o, s:b}", "type", "BertNormalizer", "clean_text", 1,
                                            "handle_chinese_chars", json_flag(r->config, "tokenize_chinese_chars", true),
                                            "strip_accents", json_is_boolean(strip) ? json_boolean(json_is_true(strip)) : json_null(),
                                            "lowercase", json_flag(r->config, "do_lower_case", true)));
    put(r, r->root, "pre_tokenizer", json_pack("{s:s}", "type", "BertPreTokenizer"));
    put(r, r->root, "decoder", json_pack("{s:s, s:s, s:b}", "type", "WordPiece", "prefix", "##", "cleanup", 1));
}

/* ---- LLaMA's -------------------------------------------------------------------------------- */

const char *tokenizer_llama_scheme(const json_t *config)
{
    const json_t *legacy = json_object_get(config, "legacy"), *space = json_object_get(config, "add_prefix_space");
    if (json_is_false(space)) return "never";
    if (json_is_boolean(legacy)) return json_is_true(legacy) ? "always" : "first";
    return json_is_true(space) ? "first" : NULL;
}

static void as_llama(remake *r)
{
    json_t *words = json_object_get(r->root, "pre_tokenizer"), *normalizer = json_object_get(r->root, "normalizer");
    const json_t *prepend = json_object_get(part_of(normalizer, "normalizers", "Prepend"), "prepend");
    const char *scheme = tokenizer_llama_scheme(r->config), *before = json_string_value(json_object_get(words, "prepend_scheme"));
    const char *space = json_string_value(json_object_get(part_of(normalizer, "normalizers", "Replace"), "content"));
    const bool prepends = space && !strcmp(space, SPACE_MARK) && json_is_string(prepend) && !strcmp(json_string_value(prepend), SPACE_MARK) && json_array_size(json_object_get(normalizer, "normalizers")) == 2;
    const bool marks = is_type(words, "Metaspace") && json_is_false(json_object_get(words, "split")) && !(scheme && before && !strcmp(before, scheme));
    if (!scheme || (!marks && !(prepends && (!words || json_is_null(words))))) return;
    json_t *decoders = json_object_get(json_object_get(r->root, "decoder"), "decoders");
    const size_t last = json_array_size(decoders);
    if (last && !strcmp(scheme, "never") && is_type(json_array_get(decoders, last - 1), "Strip")) json_array_remove(decoders, last - 1);
    json_object_set_new(r->root, "normalizer", json_null());
    json_object_set_new(r->root, "pre_tokenizer", json_pack("{s:s, s:s, s:s, s:b}", "type", "Metaspace", "replacement", SPACE_MARK, "prepend_scheme", scheme, "split", 0));
    r->changed = true;
}

/* ---- the classes ----------------------------------------------------------------------------- */

/* Those that are the same under several names have one row each. */
static const struct { const char *class; void (*make)(remake *r); } classes[] = {
    { "GPT2Tokenizer", as_gpt2 }, { "RobertaTokenizer", as_gpt2 }, { "BartTokenizer", as_gpt2 }, { "LongformerTokenizer", as_gpt2 }, { "LEDTokenizer", as_gpt2 },
    { "CodeGenTokenizer", as_gpt2 }, { "DebertaTokenizer", as_gpt2 }, { "GPTNeoXTokenizer", as_gpt_neox }, { "Qwen2Tokenizer", as_qwen2 }, { "LlamaTokenizer", as_llama },
    { "BertTokenizer", as_bert }, { "DistilBertTokenizer", as_bert }, { "ElectraTokenizer", as_bert }, { "MobileBertTokenizer", as_bert }, { "ConvBertTokenizer", as_bert },
    { "SqueezeBertTokenizer", as_bert }, { "LayoutLMTokenizer", as_bert }, { "LxmertTokenizer", as_bert }, { "DPRQuestionEncoderTokenizer", as_bert },
    { "DPRContextEncoderTokenizer", as_bert }, { "MPNetTokenizer", as_bert } };

bool tokenizer_follow_class(json_t *root, const json_t *config)
{
    remake r = { root, config, false };
    for (size_t i = 0; i < sizeof classes / sizeof *classes; i++)
        if (tokenizer_made_by(config, classes[i].class)) classes[i].make(&r);
    return r.changed;
}
