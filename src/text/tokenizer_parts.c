/* One function per component of a tokenizer.json; a Sequence is its members. */
#include "text/tokenizer_parts.h"
#include "base/base64.h"
#include "text/pattern.h"
#include <stdlib.h>
#include <string.h>

#define SEQUENCE_DEPTH 8

static bool is_type(const json_t *part, const char *type)
{
    const json_t *name = json_object_get(part, "type");
    return json_is_string(name) && !strcmp(json_string_value(name), type);
}

/* Calls read for part, or for each member of it when it is a Sequence. */
typedef int (*part_reader)(lithe_tokenizer *t, const json_t *part, const char *what, lithe_error *err);
static int each(lithe_tokenizer *t, const json_t *part, const char *list, part_reader read, int depth, const char *what, lithe_error *err)
{
    if (!part || json_is_null(part)) return LITHE_OK;
    if (!is_type(part, "Sequence")) return read(t, part, what, err);
    const json_t *members = json_object_get(part, list);
    if (depth == 0 || !json_is_array(members))
        return fail(err, LITHE_EFORMAT, "%s: a Sequence without %s, or nested more than %d deep", what, list, SEQUENCE_DEPTH);
    for (size_t i = 0; i < json_array_size(members); i++)
        if (each(t, json_array_get(members, i), list, read, depth - 1, what, err)) return err->status;
    return LITHE_OK;
}

static int refuse(const json_t *part, const char *kind, const char *supported, const char *what, lithe_error *err)
{
    const char *type = json_string_value(json_object_get(part, "type"));
    return fail(err, LITHE_EFORMAT, "%s: %s \"%.60s\" is not supported; supported are %s", what, kind, type ? type : "without type", supported);
}

static bool has_nul(const json_t *s) { return strlen(json_string_value(s)) != json_string_length(s); }

/* A borrowed string of the part, or NULL with an error. */
static const char *text_of(lithe_tokenizer *t, const json_t *v, const char *name, const char *what, lithe_error *err)
{
    const char *kept = json_is_string(v) && !has_nul(v) ? arena_strdup(&t->memory, json_string_value(v)) : NULL;
    if (!kept) fail(err, LITHE_EFORMAT, "%s: %s is not a string that can be used", what, name);
    return kept;
}

/* ---- normalizer ------------------------------------------------------------------------------- */

static int add_normal(lithe_tokenizer *t, normal_step step, const char *what, lithe_error *err)
{
    if (t->n_normal == TOKENIZER_STEPS) {
        pattern_free(step.pattern);
        return fail(err, LITHE_EFORMAT, "%s: more than %d normalizers", what, TOKENIZER_STEPS);
    }
    t->normal[t->n_normal++] = step;
    return LITHE_OK;
}

/* A strip_accents of null means the value of lowercase. */
static int read_bert(lithe_tokenizer *t, const json_t *part, const char *what, lithe_error *err)
{
    bool lower = json_flag(part, "lowercase", true), marks = json_flag(part, "strip_accents", lower);
    normal_kind steps[] = { NORMAL_CLEAN, NORMAL_SPACED, NORMAL_NFD, NORMAL_DROP_MARKS, NORMAL_LOWER };
    bool taken[] = { json_flag(part, "clean_text", true), json_flag(part, "handle_chinese_chars", true), marks, marks, lower };
    for (int i = 0; i < 5; i++)
        if (taken[i] && add_normal(t, (normal_step){ .kind = steps[i] }, what, err)) return err->status;
    return LITHE_OK;
}

static int read_replace(lithe_tokenizer *t, const json_t *part, const char *what, lithe_error *err)
{
    const json_t *from = json_object_get(part, "pattern"), *regex = json_object_get(from, "Regex");
    normal_step step = { .kind = regex ? NORMAL_REPLACE_MATCHES : NORMAL_REPLACE };
    step.to = text_of(t, json_object_get(part, "content"), "the content of Replace", what, err);
    if (!regex) step.from = text_of(t, json_object_get(from, "String"), "the String pattern of Replace", what, err);
    else if (!json_is_string(regex)) fail(err, LITHE_EFORMAT, "%s: the Regex of Replace is no string", what);
    else step.pattern = pattern_new(json_string_value(regex), json_string_length(regex), false, what, err);
    if (!failed(err) && !regex && !step.from[0]) fail(err, LITHE_EFORMAT, "%s: Replace of nothing", what);
    if (!failed(err)) return add_normal(t, step, what, err);
    pattern_free(step.pattern);
    return err->status;
}

/* A map of characters as SentencePiece compiles it, in base64. */
static int read_precompiled(lithe_tokenizer *t, const json_t *part, const char *what, lithe_error *err)
{
    const json_t *map = json_object_get(part, "precompiled_charsmap");
    size_t n = 0;
    if (t->charsmap.units) return fail(err, LITHE_EFORMAT, "%s: more than one normalizer Precompiled", what);
    char *blob = json_is_string(map) ? base64_decode(json_string_value(map), json_string_length(map), &n) : NULL;
    if (!blob) return fail(err, LITHE_EFORMAT, "%s: the precompiled_charsmap of Precompiled is no base64", what);
    charsmap_open(&t->charsmap, blob, n, what, err);
    free(blob);
    return failed(err) ? (int)err->status : add_normal(t, (normal_step){ .kind = NORMAL_PRECOMPILED, .map = &t->charsmap }, what, err);
}

static int read_normalizer(lithe_tokenizer *t, const json_t *part, const char *what, lithe_error *err)
{
    static const struct { const char *type; normal_kind kind; } forms[] = {
        { "NFC", NORMAL_NFC }, { "NFD", NORMAL_NFD }, { "NFKC", NORMAL_NFKC }, { "NFKD", NORMAL_NFKD }, { "Lowercase", NORMAL_LOWER },
        { "StripAccents", NORMAL_STRIP_ACCENTS }, { "Nmt", NORMAL_NMT } };
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++)
        if (is_type(part, forms[i].type)) return add_normal(t, (normal_step){ .kind = forms[i].kind }, what, err);
    if (is_type(part, "BertNormalizer")) return read_bert(t, part, what, err);
    if (is_type(part, "Replace")) return read_replace(t, part, what, err);
    if (is_type(part, "Precompiled")) return read_precompiled(t, part, what, err);
    if (is_type(part, "Strip"))
        return add_normal(t, (normal_step){ .kind = NORMAL_TRIM, .start = json_flag(part, "strip_left", true), .end = json_flag(part, "strip_right", true) }, what, err);
    if (!is_type(part, "Prepend"))
        return refuse(part, "normalizer", "BertNormalizer, Lowercase, NFC, NFD, NFKC, NFKD, Nmt, Precompiled, Prepend, Replace, Strip, StripAccents, Sequence", what, err);
    const normal_step step = { .kind = NORMAL_PREPEND, .to = text_of(t, json_object_get(part, "prepend"), "what Prepend prepends", what, err) };
    return failed(err) ? (int)err->status : add_normal(t, step, what, err);
}

/* ---- pre_tokenizer ------------------------------------------------------------------------------ */

static int add_split(lithe_tokenizer *t, split_step step, const char *what, lithe_error *err)
{
    if (t->n_split == TOKENIZER_STEPS) {
        pattern_free(step.pattern);
        return fail(err, LITHE_EFORMAT, "%s: more than %d pre_tokenizer steps", what, TOKENIZER_STEPS);
    }
    t->split[t->n_split++] = step;
    return LITHE_OK;
}

static int read_byte_level(lithe_tokenizer *t, const json_t *part, const char *what, lithe_error *err)
{
    if (t->model != MODEL_BPE) return fail(err, LITHE_EFORMAT, "%s: pre_tokenizer \"ByteLevel\" before a model that is not BPE is not supported", what);
    t->bpe.characters = false;
    if (json_flag(part, "add_prefix_space", true) && add_split(t, (split_step){ .kind = SPLIT_PREFIX_SPACE }, what, err)) return err->status;
    return json_flag(part, "use_regex", true) ? add_split(t, (split_step){ .kind = SPLIT_GPT2 }, what, err) : LITHE_OK;
}

/* The place of the value's text in `names`, or of `otherwise` where there is no value; -1: it is not there. */
static int named(const json_t *value, const char *otherwise, const char *const *names)
{
    const char *text = value ? json_string_value(value) : otherwise;
    for (int i = 0; text && names[i]; i++)
        if (!strcmp(text, names[i])) return i;
    return -1;
}

/* otherwise: the behavior of a file that names none; NULL: it has to. */
static int read_behavior(const json_t *part, const char *otherwise, split_behavior *b, const char *what, lithe_error *err)
{
    static const char *const names[] = { "Isolated", "Removed", "MergedWithPrevious", "MergedWithNext", "Contiguous", NULL };
    const json_t *value = json_object_get(part, "behavior");
    const int i = named(value, otherwise, names);
    *b = i < 0 ? SPLIT_ISOLATED : (split_behavior)i;
    const char *text = json_string_value(value);
    return i < 0 ? fail(err, LITHE_EFORMAT, "%s: the behavior \"%.60s\" of a pre_tokenizer is not known", what, text ? text : "") : LITHE_OK;
}

static int read_split(lithe_tokenizer *t, const json_t *part, const char *what, lithe_error *err)
{
    const json_t *spec = json_object_get(part, "pattern"), *regex = json_object_get(spec, "Regex");
    const json_t *text = regex ? regex : json_is_string(spec) ? spec : json_object_get(spec, "String");
    split_step step = { .kind = SPLIT_PATTERN, .invert = json_flag(part, "invert", false) };
    if (read_behavior(part, NULL, &step.behavior, what, err)) return err->status;
    if (!json_is_string(text)) return fail(err, LITHE_EFORMAT, "%s: Split without a pattern", what);
    bool whole = (step.behavior == SPLIT_ISOLATED && !step.invert) || (step.behavior == SPLIT_REMOVED && step.invert);
    if (regex && whole && !strcmp(json_string_value(regex), SPLIT_GPT2_PATTERN)) step = (split_step){ .kind = SPLIT_GPT2 };
    else step.pattern = pattern_new(json_string_value(text), json_string_length(text), !regex, what, err);
    if (step.pattern && regex) step.text = arena_strdup(&t->memory, json_string_value(text));
    return failed(err) ? (int)err->status : add_split(t, step, what, err);
}

/* Words are the matches of a pattern. */
static int read_words(lithe_tokenizer *t, const char *text, const char *what, lithe_error *err)
{
    split_step step = { .kind = SPLIT_PATTERN, .behavior = SPLIT_REMOVED, .invert = true, .pattern = pattern_new(text, strlen(text), false, what, err) };
    return failed(err) ? (int)err->status : add_split(t, step, what, err);
}

static int read_delimiter(lithe_tokenizer *t, const json_t *part, const char *what, lithe_error *err)
{
    const json_t *text = json_object_get(part, "delimiter");
    if (!json_is_string(text)) return fail(err, LITHE_EFORMAT, "%s: CharDelimiterSplit without a delimiter", what);
    split_step step = { .kind = SPLIT_PATTERN, .behavior = SPLIT_REMOVED, .pattern = pattern_new(json_string_value(text), json_string_length(text), true, what, err) };
    return failed(err) ? (int)err->status : add_split(t, step, what, err);
}

/* The mark of Metaspace, as pre_tokenizer or decoder, and where it is put; add_prefix_space is of older files. */
static int read_metaspace(lithe_tokenizer *t, const json_t *part, split_step *step, const char *what, lithe_error *err)
{
    static const char *const schemes[] = { "always", "first", "never", NULL };
    const json_t *scheme = json_object_get(part, "prepend_scheme");
    const int prefix = named(scheme, "always", schemes);
    if (prefix < 0) return fail(err, LITHE_EFORMAT, "%s: the prepend_scheme of Metaspace is none of always, first, never", what);
    *step = (split_step){ .kind = SPLIT_METASPACE, .prefix = (split_prefix)prefix, .whole = !json_flag(part, "split", true) };
    if (!json_flag(part, "add_prefix_space", true)) step->prefix = PREFIX_NEVER;
    t->mark = step->mark = text_of(t, json_object_get(part, "replacement"), "the replacement of Metaspace", what, err);
    if (!failed(err) && !step->mark[0]) fail(err, LITHE_EFORMAT, "%s: the replacement of Metaspace is empty", what);
    return failed(err) ? (int)err->status : LITHE_OK;
}

/* \w of Rust's regular expressions, which Whitespace is made with (Unicode TR18, annex C): not Oniguruma's. */
#define WORD_CLASS "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}\\x{200c}\\x{200d}"

static int read_pre_tokenizer(lithe_tokenizer *t, const json_t *part, const char *what, lithe_error *err)
{
    split_step step = { .kind = SPLIT_PUNCTUATION };
    if (!t->bpe.characters) return fail(err, LITHE_EFORMAT, "%s: a pre_tokenizer after ByteLevel is not supported", what);
    if (is_type(part, "ByteLevel")) return read_byte_level(t, part, what, err);
    if (is_type(part, "Split")) return read_split(t, part, what, err);
    if (is_type(part, "BertPreTokenizer")) return add_split(t, (split_step){ .kind = SPLIT_BERT }, what, err);
    if (is_type(part, "Whitespace")) return read_words(t, "[" WORD_CLASS "]+|[^" WORD_CLASS "\\s]+", what, err);
    if (is_type(part, "WhitespaceSplit")) return read_words(t, "\\S+", what, err);
    if (is_type(part, "CharDelimiterSplit")) return read_delimiter(t, part, what, err);
    if (is_type(part, "Punctuation")) return read_behavior(part, "Isolated", &step.behavior, what, err) ? (int)err->status : add_split(t, step, what, err);
    if (is_type(part, "Metaspace")) return read_metaspace(t, part, &step, what, err) ? (int)err->status : add_split(t, step, what, err);
    if (!is_type(part, "Digits"))
        return refuse(part, "pre_tokenizer",
                      "BertPreTokenizer, ByteLevel, CharDelimiterSplit, Digits, Metaspace, Punctuation, Split, Whitespace, WhitespaceSplit, Sequence", what, err);
    split_behavior b = json_flag(part, "individual_digits", false) ? SPLIT_ISOLATED : SPLIT_CONTIGUOUS;
    return add_split(t, (split_step){ .kind = SPLIT_DIGITS, .behavior = b }, what, err);
}

/* ---- decoder --------------------------------------------------------------------------------------- */

static int read_byte_decoder(lithe_tokenizer *t, const json_t *part, const char *what, lithe_error *err)
{
    (void)t;
    return is_type(part, "ByteLevel") ? LITHE_OK : refuse(part, "decoder after ByteLevel", "ByteLevel", what, err);
}

/* A decoder of tokens that are text.  Strip comes after Fuse, which makes one text of the tokens. */
static int read_decoder(lithe_tokenizer *t, const json_t *part, const char *what, lithe_error *err)
{
    split_step step;
    const char *content = json_string_value(json_object_get(part, "content"));
    if (is_type(part, "Fuse")) { t->fused = true; return LITHE_OK; }
    if (is_type(part, "BPEDecoder")) {
        const json_t *suffix = json_object_get(part, "suffix");
        t->ending = suffix ? text_of(t, suffix, "the suffix of BPEDecoder", what, err) : "</w>";
        if (!failed(err) && !t->ending[0]) return fail(err, LITHE_EFORMAT, "%s: the suffix of BPEDecoder is empty", what);
        return failed(err) ? (int)err->status : LITHE_OK;
    }
    if (is_type(part, "ByteFallback")) { t->byte_names = true; return LITHE_OK; }
    if (is_type(part, "Metaspace")) {
        if (read_metaspace(t, part, &step, what, err)) return err->status;
        t->lead = step.prefix == PREFIX_NEVER ? LEAD_KEPT : LEAD_MARKS;
        return LITHE_OK;
    }
    if (is_type(part, "Strip")) {
        if (!t->fused || !content || strcmp(content, " ") || json_integer_value(json_object_get(part, "start")) != 1 || json_integer_value(json_object_get(part, "stop")) != 0)
            return fail(err, LITHE_EFORMAT, "%s: decoder Strip of anything but one leading space, after Fuse, is not supported", what);
        t->lead = LEAD_SPACE;
        return LITHE_OK;
    }
    if (!is_type(part, "Replace") || !content || strcmp(content, " "))
        return refuse(part, "decoder", "ByteLevel; Replace by a space, BPEDecoder, ByteFallback, Fuse, Metaspace, Strip, Sequence", what, err);
    t->mark = text_of(t, json_object_get(json_object_get(part, "pattern"), "String"), "the String pattern of Replace", what, err);
    if (!failed(err) && !t->mark[0]) return fail(err, LITHE_EFORMAT, "%s: Replace of nothing", what);
    return failed(err) ? (int)err->status : LITHE_OK;
}

static int read_word_decoder(lithe_tokenizer *t, const json_t *part, const char *what, lithe_error *err)
{
    if (!is_type(part, "WordPiece")) return refuse(part, "decoder after WordPiece", "WordPiece", what, err);
    t->worded = true;
    const json_t *prefix = json_object_get(part, "prefix");
    t->cleanup = json_flag(part, "cleanup", true);
    t->glue = prefix ? text_of(t, prefix, "the prefix of the decoder", what, err) : "##";
    return failed(err) ? (int)err->status : LITHE_OK;
}

int tokenizer_read_steps(lithe_tokenizer *t, const json_t *root, const char *what, lithe_error *err)
{
    t->bpe.characters = true;              /* until a ByteLevel says otherwise */
    if (each(t, json_object_get(root, "pre_tokenizer"), "pretokenizers", read_pre_tokenizer, SEQUENCE_DEPTH, what, err) ||
        each(t, json_object_get(root, "normalizer"), "normalizers", read_normalizer, SEQUENCE_DEPTH, what, err))
        return err->status;
    const json_t *decoder = json_object_get(root, "decoder");
    t->worded = t->model == MODEL_WORDPIECE;
    if (t->worded || (t->bpe.characters && is_type(decoder, "WordPiece"))) return each(t, decoder, "decoders", read_word_decoder, SEQUENCE_DEPTH, what, err);
    t->joined = t->bpe.characters && (!decoder || json_is_null(decoder));
    if (t->joined) t->mark = NULL;                           /* of a Metaspace, which decoding leaves */
    return each(t, decoder, "decoders", t->bpe.characters ? read_decoder : read_byte_decoder, SEQUENCE_DEPTH, what, err);
}

/* ---- post_processor ----------------------------------------------------------------------------------- */

/* Appends an id or a text to a template. */
static int add_item(lithe_tokenizer *t, template *f, json_int_t id, json_int_t type, const char *what, lithe_error *err)
{
    if (id >= 0 && !pieces_has(&t->vocabulary, id) && !pieces_has(&t->added, id))
        return fail(err, LITHE_EFORMAT, "%s: post_processor adds id %lld, which no token has", what, (long long)id);
    if (type < 0 || type > 1) return fail(err, LITHE_EFORMAT, "%s: post_processor has type_id %lld, expected 0 or 1", what, (long long)type);
    if (f->n == TOKENIZER_STEPS) return fail(err, LITHE_EFORMAT, "%s: post_processor adds more than %d tokens", what, TOKENIZER_STEPS);
    f->item[f->n++] = (template_item){ (int32_t)id, (int32_t)type };
    return LITHE_OK;
}

static int add_special_token(lithe_tokenizer *t, template *f, const json_t *tokens, const json_t *special, const char *what, lithe_error *err)
{
    const json_t *name = json_object_get(special, "id");
    const json_t *ids = json_is_string(name) ? json_object_get(json_object_get(tokens, json_string_value(name)), "ids") : NULL;
    if (!json_is_array(ids)) return fail(err, LITHE_EFORMAT, "%s: TemplateProcessing names a special token without ids", what);
    for (size_t i = 0; i < json_array_size(ids); i++) {
        const json_t *id = json_array_get(ids, i);
        if (!json_is_integer(id) || json_integer_value(id) < 0)
            return fail(err, LITHE_EFORMAT, "%s: TemplateProcessing has an id that is no whole number", what);
        if (add_item(t, f, json_integer_value(id), json_integer_value(json_object_get(special, "type_id")), what, err)) return err->status;
    }
    return LITHE_OK;
}

/* {"SpecialToken": ...} or {"Sequence": {"id": "A" or "B", "type_id": ...}} */
static int read_item(lithe_tokenizer *t, template *f, const json_t *tokens, const json_t *item, const char *what, lithe_error *err)
{
    const json_t *text = json_object_get(item, "Sequence");
    const char *name = json_string_value(json_object_get(text, "id"));
    if (!text) return add_special_token(t, f, tokens, json_object_get(item, "SpecialToken"), what, err);
    int id = name && !strcmp(name, "B") ? TEXT_B : TEXT_A;
    return add_item(t, f, id, json_integer_value(json_object_get(text, "type_id")), what, err);
}

static int count_item(const template *f, int32_t id)
{
    int n = 0;
    for (int i = 0; i < f->n; i++) n += f->item[i].id == id;
    return n;
}

static bool begins_with_second(const template *f)
{
    int i = 0;
    while (i < f->n && f->item[i].id >= 0) i++;
    return i < f->n && f->item[i].id == TEXT_B;
}

static int read_template(lithe_tokenizer *t, const json_t *part, const char *what, lithe_error *err)
{
    template *const form[2] = { &t->single, &t->pair };
    for (int two = 0; two < 2; two++) {
        const json_t *items = json_object_get(part, two ? "pair" : "single");
        for (size_t i = 0; i < json_array_size(items); i++)
            if (read_item(t, form[two], json_object_get(part, "special_tokens"), json_array_get(items, i), what, err)) return err->status;
        int a = count_item(form[two], TEXT_A), b = count_item(form[two], TEXT_B);
        if ((a != 1 || b != two) && !(two && !form[two]->n))
            return fail(err, LITHE_EFORMAT, "%s: TemplateProcessing has the text %d times and a second %d times, expected once and %s", what, a, b,
                        two ? "once" : "never");
        if (begins_with_second(form[two])) return fail(err, LITHE_EFORMAT, "%s: TemplateProcessing has the second text before the first", what);
    }
    return LITHE_OK;
}

/* cls and sep are pairs of name and id. */
static int read_cls_sep(lithe_tokenizer *t, const json_t *part, bool roberta, const char *what, lithe_error *err)
{
    const json_t *cls = json_array_get(json_object_get(part, "cls"), 1), *sep = json_array_get(json_object_get(part, "sep"), 1);
    template check = { .n = 0 };
    if (!json_is_integer(cls) || !json_is_integer(sep) || json_integer_value(cls) < 0 || json_integer_value(sep) < 0)
        return fail(err, LITHE_EFORMAT, "%s: post_processor without the id of cls or sep", what);
    if (add_item(t, &check, json_integer_value(cls), 0, what, err) || add_item(t, &check, json_integer_value(sep), 0, what, err)) return err->status;
    tokenizer_around(t, check.item[0].id, check.item[1].id, roberta ? 2 : 1, !roberta);
    return LITHE_OK;
}

static int read_post_processor(lithe_tokenizer *t, const json_t *part, const char *what, lithe_error *err)
{
    if (is_type(part, "ByteLevel") || is_type(part, "RobertaProcessing")) {
        t->trims = json_flag(part, "trim_offsets", true);
        t->trims_less = json_flag(part, "add_prefix_space", true);
    }
    if (is_type(part, "ByteLevel")) return LITHE_OK;
    if (t->single.n) return fail(err, LITHE_EFORMAT, "%s: more than one post_processor that adds tokens", what);
    if (is_type(part, "TemplateProcessing")) return read_template(t, part, what, err);
    if (is_type(part, "RobertaProcessing") || is_type(part, "BertProcessing")) return read_cls_sep(t, part, is_type(part, "RobertaProcessing"), what, err);
    return refuse(part, "post_processor", "ByteLevel, TemplateProcessing, RobertaProcessing, BertProcessing, Sequence", what, err);
}

int tokenizer_read_template(lithe_tokenizer *t, const json_t *post, const char *what, lithe_error *err)
{
    return each(t, post, "processors", read_post_processor, SEQUENCE_DEPTH, what, err);
}

added_entry tokenizer_described(const json_t *description, int32_t id)
{
    const json_t *content = json_object_get(description, "content");
    bool special = json_flag(description, "special", false);
    return (added_entry){ .text = json_string_value(content), .len = json_string_length(content), .id = id, .special = special,
                          .normalized = json_flag(description, "normalized", !special), .single_word = json_flag(description, "single_word", false),
                          .lstrip = json_flag(description, "lstrip", false), .rstrip = json_flag(description, "rstrip", false) };
}
