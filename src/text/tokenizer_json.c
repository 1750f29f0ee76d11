/* Reads the model (BPE, WordPiece, Unigram, WordLevel) and the added tokens of a tokenizer.json of
 * Hugging Face.  Both forms of merges are read, "a b" and ["a", "b"].  A component that is
 * not supported is refused by name, because an approximate tokenizer is a wrong one. */
#include "text/tokenizer.h"
#include "text/tokenizer_parts.h"
#include "base/file.h"
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define JSON_DEPTH 64

/* ---- vocabulary --------------------------------------------------------------------------- */

/* The text of a key, in which JSON_NUL stands for NUL: in `text`, or the key itself; its length in *len. */
static const char *text_of_key(const char *key, char *text, size_t room, size_t *len)
{
    const size_t n = strlen(JSON_NUL);
    *len = strlen(key);
    if (!strstr(key, JSON_NUL) || *len >= room) return key;
    size_t k = 0;
    for (size_t i = 0; i < *len; k++) {
        const bool nul = !strncmp(key + i, JSON_NUL, n);
        text[k] = nul ? 0 : key[i];
        i += nul ? n : 1;
    }
    *len = k;
    return text;
}

/* Adds every token to t->vocabulary, and under its written name to names. */
static int read_vocabulary(lithe_tokenizer *t, pieces *names, json_t *vocab, const char *what, lithe_error *err)
{
    const char *name;
    json_t *id;
    if (!json_is_object(vocab)) return fail(err, LITHE_EFORMAT, "%s: model.vocab is not an object of tokens and ids", what);
    const char *key;
    char text[ADDED_TOKEN_LIMIT];
    json_object_foreach(vocab, key, id) {
        size_t len;
        name = text_of_key(key, text, sizeof text, &len);
        if (!json_is_integer(id))
            return fail(err, LITHE_EFORMAT, "%s: id of token \"%.60s\" is not a whole number", what, name);
        if (tokenizer_add(names, json_integer_value(id), name, len, true, what, err)) return err->status;
        if (t->bpe.characters ? tokenizer_add(&t->vocabulary, json_integer_value(id), name, len, true, what, err)
                              : tokenizer_add_bytes(t, json_integer_value(id), name, len, what, err)) return err->status;
    }
    if (t->model == MODEL_BPE) tokenizer_find_bytes(t);
    return LITHE_OK;
}

/* ---- merges --------------------------------------------------------------------------------- */

int tokenizer_add_pair(lithe_tokenizer *t, const pieces *names, size_t rank, const char *left, size_t left_len,
                       const char *right, size_t right_len, const char *what, lithe_error *err)
{
    const size_t prefix = t->bpe.prefix ? strlen(t->bpe.prefix) : 0, skip = prefix < right_len ? prefix : right_len, n = left_len + right_len - skip;
    char small[512], *both = n <= sizeof small ? small : xrealloc(NULL, n, 1);
    if (!both) return fail(err, LITHE_ENOMEM, "%s: out of memory", what);
    memcpy(both, left, left_len);
    memcpy(both + left_len, right + skip, right_len - skip);
    int32_t a = pieces_find(names, left, left_len), b = pieces_find(names, right, right_len), id = pieces_find(names, both, n);
    int shown = (int)(n < 60 ? n : 60);
    if (a < 0 || b < 0 || id < 0)
        fail(err, LITHE_EFORMAT, "%s: merge %zu, giving \"%.*s\", names a token that is not in the vocabulary", what, rank, shown, both);
    else if (!bpe_add_merge(&t->bpe, a, b, (int32_t)rank, id)) fail(err, LITHE_ENOMEM, "%s: merges do not fit in memory", what);
    else if (t->pairs) { t->pairs[rank][0] = a; t->pairs[rank][1] = b; }
    if (both != small) free(both);
    return err->status;
}

static int read_merge(lithe_tokenizer *t, const pieces *names, size_t rank, const json_t *m, const char *what, lithe_error *err)
{
    if (json_is_array(m) && json_array_size(m) == 2 && json_is_string(json_array_get(m, 0)) && json_is_string(json_array_get(m, 1))) {
        const json_t *a = json_array_get(m, 0), *b = json_array_get(m, 1);
        return tokenizer_add_pair(t, names, rank, json_string_value(a), json_string_length(a), json_string_value(b),
                                  json_string_length(b), what, err);
    }
    const char *text = json_string_value(m), *end = text ? text + json_string_length(m) : NULL, *space = text ? memchr(text, ' ', (size_t)(end - text)) : NULL;
    if (!space || memchr(space + 1, ' ', (size_t)(end - space - 1)))
        return fail(err, LITHE_EFORMAT, "%s: merge %zu is neither \"a b\" nor [\"a\", \"b\"]", what, rank);
    return tokenizer_add_pair(t, names, rank, text, (size_t)(space - text), space + 1, (size_t)(end - space - 1), what, err);
}

static int read_merges(lithe_tokenizer *t, const pieces *names, const json_t *merges, const char *what, lithe_error *err)
{
    if (!json_is_array(merges)) return fail(err, LITHE_EFORMAT, "%s: model.merges is not an array", what);
    for (size_t i = 0; i < json_array_size(merges); i++)
        if (read_merge(t, names, i, json_array_get(merges, i), what, err)) return err->status;
    return LITHE_OK;
}

/* ---- model ------------------------------------------------------------------------------------- */

/* Old files do not name the type. */
static int read_type(lithe_tokenizer *t, const json_t *model, const char *what, lithe_error *err)
{
    const char *type = json_string_value(json_object_get(model, "type"));
    if (!json_is_object(model)) return fail(err, LITHE_EFORMAT, "%s: has no model; expected a tokenizer.json", what);
    if (!type) type = json_object_get(model, "unk_id") ? "Unigram" : json_object_get(model, "max_input_chars_per_word") && !json_object_get(model, "merges") ? "WordPiece" : "BPE";
    static const struct { const char *type; model_kind kind; } kinds[] = { { "BPE", MODEL_BPE }, { "WordPiece", MODEL_WORDPIECE }, { "Unigram", MODEL_UNIGRAM },
                                                                       { "WordLevel", MODEL_WORDLEVEL } };
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        t->model = kinds[i].kind;
        if (!strcmp(type, kinds[i].type)) return LITHE_OK;
    }
    return fail(err, LITHE_EFORMAT, "%s: model of type \"%.60s\" is not supported, only BPE, WordPiece, Unigram and WordLevel are", what, type);
}

static bool says_something(const json_t *v) { return v && !json_is_null(v) && !(json_is_string(v) && !json_string_length(v)); }

/* Printable ASCII, which the alphabet of bytes leaves as it is. */
static bool is_plain(const char *text)
{
    while (*text > ' ' && *text < 127) text++;
    return !*text;
}

/* What the symbols inside or at the end of a word have. */
static int read_affix(lithe_tokenizer *t, const json_t *model, const char *key, const char **affix, const char *what, lithe_error *err)
{
    const json_t *v = json_object_get(model, key);
    if (!says_something(v)) return LITHE_OK;
    const size_t n = json_string_length(v);
    if (!json_is_string(v) || n > BPE_AFFIX_LIMIT || strlen(json_string_value(v)) != n || json_flag(model, "byte_fallback", false) || (!t->bpe.characters && !is_plain(json_string_value(v))))
        return fail(err, LITHE_EFORMAT, "%s: model.%s is not supported with byte_fallback, longer than %d, or of other characters than ASCII's with bytes", what, key, BPE_AFFIX_LIMIT);
    *affix = arena_strdup(&t->memory, json_string_value(v));
    return *affix ? LITHE_OK : fail(err, LITHE_ENOMEM, "%s: out of memory", what);
}

static int refuse_settings(const json_t *model, const char *what, lithe_error *err)
{
    const json_t *dropout = json_object_get(model, "dropout");
    if (dropout && !json_is_null(dropout) && !(json_number_value(dropout) <= 0))
        return fail(err, LITHE_EFORMAT, "%s: model.dropout is not supported", what);
    return LITHE_OK;
}

/* otherwise: the token to use if the file names none; NULL: none. */
static int read_unknown(int32_t *unknown, const pieces *names, const json_t *model, const char *otherwise, const char *what, lithe_error *err)
{
    const json_t *name = json_object_get(model, "unk_token");
    if (name && !json_is_null(name) && !json_is_string(name)) return fail(err, LITHE_EFORMAT, "%s: model.unk_token is not a string", what);
    const char *text = json_is_string(name) ? json_string_value(name) : otherwise;
    if (!text) return LITHE_OK;
    *unknown = pieces_find(names, text, strlen(text));
    if (*unknown < 0) return fail(err, LITHE_EFORMAT, "%s: unk_token \"%.60s\" is not in the vocabulary", what, text);
    return LITHE_OK;
}

static int read_bpe(lithe_tokenizer *t, const json_t *model, const char *what, lithe_error *err)
{
    pieces names = { 0 };
    if (refuse_settings(model, what, err) || read_affix(t, model, "continuing_subword_prefix", &t->bpe.prefix, what, err)
        || read_affix(t, model, "end_of_word_suffix", &t->bpe.suffix, what, err)) return err->status;
    bool fallback = json_flag(model, "byte_fallback", false);
    t->bpe.fuse_unknown = json_flag(model, "fuse_unk", false);
    t->bpe.whole_words = json_flag(model, "ignore_merges", false);
    read_vocabulary(t, &names, json_object_get(model, "vocab"), what, err);
    if (!failed(err)) read_merges(t, &names, json_object_get(model, "merges"), what, err);
    if (!failed(err)) read_unknown(&t->bpe.unknown, &names, model, NULL, what, err);
    pieces_free(&names);
    for (int i = 0; i < 256; i++) {
        if (t->bpe.characters && !fallback) t->bpe.byte_id[i] = -1;
        else if (!t->bpe.characters && fallback && t->bpe.byte_id[i] < 0)
            fail(err, LITHE_EFORMAT, "%s: byte_fallback together with ByteLevel, and no token for byte %d, is not supported", what, i);
    }
    return failed(err) ? (int)err->status : LITHE_OK;
}

static int read_wordpiece(lithe_tokenizer *t, const json_t *model, const char *what, lithe_error *err)
{
    const json_t *prefix = json_object_get(model, "continuing_subword_prefix"), *longest = json_object_get(model, "max_input_chars_per_word");
    pieces names = { 0 };
    if ((prefix && !json_is_string(prefix)) || (longest && !(json_is_integer(longest) && json_integer_value(longest) >= 0)))
        return fail(err, LITHE_EFORMAT, "%s: model.continuing_subword_prefix is no string, or max_input_chars_per_word no number", what);
    t->prefix = prefix ? arena_strdup(&t->memory, json_string_value(prefix)) : "##";
    t->wordpiece.longest = longest ? json_integer_value(longest) < INT_MAX ? (int)json_integer_value(longest) : INT_MAX : WORDPIECE_LONGEST;
    if (!t->prefix) return fail(err, LITHE_ENOMEM, "%s: out of memory", what);
    read_vocabulary(t, &names, json_object_get(model, "vocab"), what, err);
    if (!failed(err)) read_unknown(&t->wordpiece.unknown, &names, model, "[UNK]", what, err);
    pieces_free(&names);
    return failed(err) ? (int)err->status : LITHE_OK;
}

static int read_wordlevel(lithe_tokenizer *t, const json_t *model, const char *what, lithe_error *err)
{
    pieces names = { 0 };
    read_vocabulary(t, &names, json_object_get(model, "vocab"), what, err);
    if (!failed(err)) read_unknown(&t->bpe.unknown, &names, model, "<unk>", what, err);
    pieces_free(&names);
    return failed(err) ? (int)err->status : LITHE_OK;
}

/* [[TEXT, SCORE], ...] in the order of the ids. */
static int read_scored(lithe_tokenizer *t, const json_t *vocab, const char *what, lithe_error *err)
{
    const size_t n = json_array_size(vocab);
    if (!n || n >= PIECES_ID_LIMIT) return fail(err, LITHE_EFORMAT, "%s: model.vocab is not a list of 1 to %d pieces with scores", what, PIECES_ID_LIMIT - 1);
    double *scores = t->unigram.scores = xrealloc(NULL, n, sizeof *scores), lowest = INFINITY;
    if (!scores) return fail(err, LITHE_ENOMEM, "%s: out of memory", what);
    for (size_t i = 0; i < n; i++) {
        const json_t *text = json_array_get(json_array_get(vocab, i), 0), *score = json_array_get(json_array_get(vocab, i), 1);
        if (!json_is_string(text) || !json_is_number(score)) return fail(err, LITHE_EFORMAT, "%s: model.vocab[%zu] is not a piece with its score", what, i);
        scores[i] = json_number_value(score);
        if (scores[i] < lowest) lowest = scores[i];
        if (tokenizer_add(&t->vocabulary, (int64_t)i, json_string_value(text), json_string_length(text), true, what, err)) return err->status;
    }
    t->unigram.lowest = lowest;
    return LITHE_OK;
}

static int read_unigram(lithe_tokenizer *t, const json_t *model, const char *what, lithe_error *err)
{
    const bool fallback = json_flag(model, "byte_fallback", false);
    int unknown = 0;
    if (read_scored(t, json_object_get(model, "vocab"), what, err)) return err->status;
    if (!json_int(model, "unk_id", 0, t->vocabulary.n - 1, &unknown)) return fail(err, LITHE_EFORMAT, "%s: model.unk_id is none of the ids 0 to %d", what, t->vocabulary.n - 1);
    t->unigram.unknown = t->bpe.unknown = unknown;
    t->unigram.tree = &t->tree;
    if (!fallback) return LITHE_OK;
    tokenizer_find_bytes(t);
    t->unigram.byte_id = t->bpe.byte_id;
    for (int i = 0; i < 256; i++)
        if (t->bpe.byte_id[i] < 0) return fail(err, LITHE_EFORMAT, "%s: falls back to bytes, but has no piece for byte %d", what, i);
    return LITHE_OK;
}

/* ---- added tokens --------------------------------------------------------------------------------- */

static int read_added(lithe_tokenizer *t, const json_t *added, const char *what, lithe_error *err)
{
    if (added && !json_is_null(added) && !json_is_array(added)) return fail(err, LITHE_EFORMAT, "%s: added_tokens is not an array", what);
    for (size_t i = 0; i < json_array_size(added); i++) {
        const json_t *a = json_array_get(added, i), *id = json_object_get(a, "id"), *content = json_object_get(a, "content");
        if (!json_is_integer(id) || !json_is_string(content))
            return fail(err, LITHE_EFORMAT, "%s: added_tokens[%zu] has no whole id or no content", what, i);
        if (json_integer_value(id) < 0 || json_integer_value(id) >= PIECES_ID_LIMIT)
            return fail(err, LITHE_EFORMAT, "%s: added_tokens[%zu] has id %lld, expected 0 to %d", what, i,
                        (long long)json_integer_value(id), PIECES_ID_LIMIT - 1);
        if (tokenizer_add_entry(t, tokenizer_described(a, (int32_t)json_integer_value(id)), what, err)) return err->status;
    }
    return LITHE_OK;
}

/* At which end texts that are too long are cut. */
static void read_side(lithe_tokenizer *t, const json_t *truncation, const char *what, lithe_error *err)
{
    const json_t *value = json_object_get(truncation, "direction");
    const char *side = json_string_value(value);
    t->cut_left = side && !strcmp(side, "Left");
    if (value && !t->cut_left && !(side && !strcmp(side, "Right"))) fail(err, LITHE_EFORMAT, "%s: the direction of truncation is neither \"Left\" nor \"Right\"", what);
}

/* The file as it was read, or as settings have changed it. */
static void keep_source(lithe_tokenizer *t, const json_t *root, bool changed, const char *text, size_t len, const char *what, lithe_error *err)
{
    char *own = changed ? json_dumps(root, JSON_COMPACT) : NULL;
    if (changed && !own) fail(err, LITHE_ENOMEM, "%s: out of memory", what);
    else tokenizer_keep_source(t, own ? own : text, own ? strlen(own) : len, what, err);
    free(own);
}

lithe_tokenizer *tokenizer_from_json_with(const char *text, size_t len, const json_t *settings, const char *what, lithe_error *err)
{
    static int (*const read_model[])(lithe_tokenizer *, const json_t *, const char *, lithe_error *) = {
        [MODEL_BPE] = read_bpe, [MODEL_WORDPIECE] = read_wordpiece, [MODEL_UNIGRAM] = read_unigram, [MODEL_WORDLEVEL] = read_wordlevel };
    json_t *root = json_parse_pieces(text, len, JSON_DEPTH, what, err);
    const bool changed = json_is_object(root) && tokenizer_follow_class(root, settings);
    lithe_tokenizer *t = root ? tokenizer_new(err) : NULL;
    if (t && !json_is_object(root)) fail(err, LITHE_EFORMAT, "%s: is not an object; expected a tokenizer.json", what);
    const json_t *model = json_object_get(root, "model");
    if (t && !failed(err)) read_type(t, model, what, err);
    if (t && !failed(err)) tokenizer_check_keys(root, t->model, what, err);
    if (t && !failed(err)) tokenizer_read_steps(t, root, what, err);
    if (t && !failed(err)) read_model[t->model](t, model, what, err);
    if (t && !failed(err)) read_added(t, json_object_get(root, "added_tokens"), what, err);
    if (t && !failed(err)) tokenizer_finish(t, what, err);
    if (t && !failed(err)) tokenizer_read_template(t, json_object_get(root, "post_processor"), what, err);
    if (t && !failed(err)) read_side(t, json_object_get(root, "truncation"), what, err);
    if (t && !failed(err)) keep_source(t, root, changed, text, len, what, err);
    json_decref(root);
    if (t && !failed(err)) return t;
    lithe_tokenizer_close(t);
    return NULL;
}

lithe_tokenizer *tokenizer_from_json(const char *text, size_t len, const char *what, lithe_error *err)
{
    return tokenizer_from_json_with(text, len, NULL, what, err);
}
