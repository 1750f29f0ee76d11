/* The tokenizer inside a GGUF file: its keys become the file that the tokenizer was
 * published as, which its own reader then reads, and which is written where a model
 * is saved as a directory:
 *
 *   gpt2    tokenizer.json: byte-level BPE, split as tokenizer.ggml.pre names it
 *   llama   SentencePiece's .model, BPE
 *   t5      SentencePiece's .model, Unigram
 *   bert    tokenizer.json: WordPiece; pieces that begin a word have U+2581 before them, others no ##
 *   rwkv    the World vocabulary, with escaped bytes
 *
 * A file may hold the tokenizer.json itself (tokenizer.huggingface.json), which is used then. */
#include "text/tokenizer.h"
#include "base/arena.h"
#include "base/file.h"
#include "base/gguf_keys.h"
#include "text/pre_tokenizers.h"
#include "text/tokenizer_gguf.h"
#include <stdlib.h>
#include <string.h>

#define SPACE_MARK_BYTES 3                 /* of U+2581 */

typedef struct {
    const gguf_keys *keys;
    const char *what;
    const gguf_value *tokens;
    const uint8_t *types, *scores;         /* of each token: i32, f32; NULL: all normal, none */
    uint64_t n;
} reading;

static int32_t type_of(const reading *r, uint64_t i) { return r->types ? (int32_t)load_bytes(r->types + 4 * i, 4) : GGUF_NORMAL; }

static float score_of(const reading *r, uint64_t i)
{
    float x = 0;
    if (r->scores) memcpy(&x, r->scores + 4 * i, 4);
    return x;
}

static bool flag(const reading *r, const char *key, bool otherwise)
{
    gguf_bool(gguf_find(r->keys, key), &otherwise);
    return otherwise;
}

/* The id of a special token, -1: none. */
static int64_t id_of(const reading *r, const char *key, int64_t otherwise)
{
    int64_t id = otherwise;
    const gguf_value *v = gguf_find(r->keys, key);
    if (v && !(gguf_integer(v, &id) && id >= 0 && (uint64_t)id < r->n)) return -1;
    return id < 0 || (uint64_t)id >= r->n ? -1 : id;
}

static const struct { const char *key; role role; } ROLE_KEYS[] = {
    { "tokenizer.ggml.bos_token_id", ROLE_BOS }, { "tokenizer.ggml.eos_token_id", ROLE_EOS }, { "tokenizer.ggml.cls_token_id", ROLE_CLS },
    { "tokenizer.ggml.seperator_token_id", ROLE_SEP }, { "tokenizer.ggml.padding_token_id", ROLE_PAD }, { "tokenizer.ggml.mask_token_id", ROLE_MASK },
    { "tokenizer.ggml.unknown_token_id", ROLE_UNK },
};
enum { ROLE_KEY_COUNT = sizeof ROLE_KEYS / sizeof *ROLE_KEYS };

const char *tokenizer_gguf_key(int wanted)
{
    int i = 0;
    while ((int)ROLE_KEYS[i].role != wanted) i++;
    return ROLE_KEYS[i].key;
}

/* ---- tokenizer.json -------------------------------------------------------------------- */

/* A token as a string with a NUL, in room for the longest one; NULL with an error where it is no text. */
static const char *text_of(const reading *r, gguf_text token, uint64_t i, char *room, lithe_error *err)
{
    if (memchr(token.bytes, 0, token.len)) { fail(err, LITHE_EFORMAT, "%s: token %llu holds a NUL", r->what, (unsigned long long)i); return NULL; }
    memcpy(room, token.bytes, token.len);
    room[token.len] = 0;
    return room;
}

/* Room for any token, with `more` bytes before it. */
static char *longest(const reading *r, size_t more, lithe_error *err)
{
    size_t most = 0;
    gguf_text token;
    for (gguf_strings s = gguf_texts(r->tokens); gguf_next(&s, &token);) most = token.len > most ? token.len : most;
    char *room = xalloc(most + more + 1, 1);
    if (!room) fail(err, LITHE_ENOMEM, "%s: out of memory", r->what);
    return room;
}

static bool is_added(int32_t type) { return type == GGUF_CONTROL || type == GGUF_USER_DEFINED || type == GGUF_UNKNOWN; }

static int add_entry(json_t *list, uint64_t id, const char *text, int32_t type)
{
    return json_array_append_new(list, json_pack("{s:I, s:s, s:b, s:b, s:b, s:b, s:b}", "id", (json_int_t)id, "content", text, "single_word", 0, "lstrip", 0, "rstrip", 0,
                                                 "normalized", 0, "special", type != GGUF_USER_DEFINED));
}

/* The token's text in tokenizer.json; word pieces: as BERT's vocab.txt has it.  room has two bytes before it. */
static const char *name_of(const reading *r, gguf_text token, uint64_t i, bool words, char *room, lithe_error *err)
{
    static const char mark[] = "\u2581";
    bool begins = words && token.len >= SPACE_MARK_BYTES && !memcmp(token.bytes, mark, SPACE_MARK_BYTES);
    if (begins) token.bytes += SPACE_MARK_BYTES, token.len -= SPACE_MARK_BYTES;
    const char *text = text_of(r, token, i, room + 2, err);
    return !text || begins || !words || is_added(type_of(r, i)) ? text : memcpy(room, "##", 2);
}

/* Added tokens are in the vocabulary too: to tokenizers of Hugging Face, one that is not has the id after all others,
 * whatever the file says. */
static void put_added(json_t *vocab, const json_t *added)
{
    for (size_t i = 0; i < json_array_size(added); i++) {
        const json_t *entry = json_array_get(added, i);
        const char *name = json_string_value(json_object_get(entry, "content"));
        if (!json_object_get(vocab, name)) json_object_set(vocab, name, json_object_get(entry, "id"));
    }
}

/* The vocabulary, and the tokens that are found before anything else is done with a text. */
static int put_tokens(const reading *r, json_t *vocab, json_t *added, bool words, lithe_error *err)
{
    char *room = longest(r, 2, err);
    gguf_strings s = gguf_texts(r->tokens);
    gguf_text token;
    for (uint64_t i = 0; room && !failed(err) && gguf_next(&s, &token); i++) {
        int32_t type = type_of(r, i);
        if (type == GGUF_UNUSED) continue;
        const char *name = name_of(r, token, i, words, room, err);
        if (!name) break;
        int bad = is_added(type) ? add_entry(added, i, name, type) : 0;
        if (!bad && (words || !is_added(type))) {
            bool taken = json_object_get(vocab, name);
            if (taken && !words) fail(err, LITHE_EFORMAT, "%s: token %llu, \"%.60s\", is there twice", r->what, (unsigned long long)i, name);
            bad = json_object_set_new(vocab, name, json_integer((json_int_t)i));
        }
        if (bad) fail(err, LITHE_EFORMAT, "%s: token %llu is not UTF-8, or memory is out", r->what, (unsigned long long)i);
    }
    free(room);
    if (!failed(err)) put_added(vocab, added);
    return failed(err) ? (int)err->status : LITHE_OK;
}

static json_t *merges_of(const reading *r, lithe_error *err)
{
    const gguf_value *v = gguf_find(r->keys, "tokenizer.ggml.merges");
    json_t *list = json_array();
    gguf_text text;
    for (gguf_strings s = gguf_texts(v); list && gguf_next(&s, &text);)
        if (json_array_append_new(list, json_stringn(text.bytes, text.len))) { fail(err, LITHE_EFORMAT, "%s: a merge is not UTF-8", r->what); break; }
    return list;
}

static json_t *splits_of(const pre_tokenizer *pre, bool prefix_space)
{
    json_t *steps = json_array();
    for (int i = 0; i < PRE_PATTERNS && pre->patterns[i]; i++)
        json_array_append_new(steps, json_pack("{s:s, s:{s:s}, s:s, s:b}", "type", "Split", "pattern", "Regex", pre->patterns[i], "behavior", "Isolated", "invert", 0));
    json_array_append_new(steps, json_pack("{s:s, s:b, s:b, s:b}", "type", "ByteLevel", "add_prefix_space", prefix_space, "trim_offsets", 1, "use_regex", 0));
    return json_pack("{s:s, s:o}", "type", "Sequence", "pretokenizers", steps);
}

/* ---- the special tokens around a text ---- */

static gguf_text token_at(const reading *r, int64_t id)
{
    gguf_text token = { "", 0 };
    gguf_strings s = gguf_texts(r->tokens);
    while (id-- >= 0 && gguf_next(&s, &token)) {}
    return token;
}

/* Appends a token to a template; negative: none. */
static void put_special(const reading *r, json_t *items, json_t *specials, int64_t id, int type)
{
    const gguf_text token = token_at(r, id);
    char *name = id < 0 ? NULL : xstrndup(token.bytes, token.len);
    if (!name) return;
    json_array_append_new(items, json_pack("{s:{s:s, s:i}}", "SpecialToken", "id", name, "type_id", type));
    json_object_set_new(specials, name, json_pack("{s:s, s:[I], s:[s]}", "id", name, "ids", (json_int_t)id, "tokens", name));
    free(name);
}

static void put_text(json_t *items, const char *which, int type) { json_array_append_new(items, json_pack("{s:{s:s, s:i}}", "Sequence", "id", which, "type_id", type)); }

/* before A after, and for a pair before A after [before] B after with the second of another type. */
typedef struct { int64_t before, after, middle; bool again; int type; } surroundings;
static json_t *template_of(const reading *r, surroundings a)
{
    if (a.before < 0 && a.after < 0) return json_null();
    json_t *specials = json_object(), *form[2] = { json_array(), json_array() };
    for (int two = 0; two < 2; two++) {
        put_special(r, form[two], specials, a.before, 0), put_text(form[two], "A", 0), put_special(r, form[two], specials, a.after, 0);
        if (two && a.middle >= 0) put_special(r, form[two], specials, a.middle, 0);
        if (two && a.again) put_special(r, form[two], specials, a.before, a.type);
        if (two) put_text(form[two], "B", a.type), put_special(r, form[two], specials, a.after, a.type);
    }
    return json_pack("{s:s, s:o, s:o, s:o}", "type", "TemplateProcessing", "single", form[0], "pair", form[1], "special_tokens", specials);
}

/* ---- byte-level BPE ---- */

static json_t *bpe_json(const reading *r, const pre_tokenizer *pre, lithe_error *err)
{
    int64_t bos = id_of(r, "tokenizer.ggml.bos_token_id", 11), eos = id_of(r, "tokenizer.ggml.eos_token_id", 11), sep = id_of(r, "tokenizer.ggml.seperator_token_id", eos);
    bool begin = flag(r, "tokenizer.ggml.add_bos_token", pre->begin || pre->surrounded), end = flag(r, "tokenizer.ggml.add_eos_token", false);
    const surroundings around = { .before = begin ? bos : -1, .after = pre->surrounded ? sep : end ? eos : -1, .middle = pre->surrounded ? sep : -1,
                                  .again = !pre->surrounded, .type = !pre->surrounded };
    json_t *vocab = json_object(), *added = json_array();
    put_tokens(r, vocab, added, false, err);
    return json_pack("{s:s, s:n, s:n, s:o, s:n, s:o, s:o, s:{s:s, s:b, s:b, s:b}, s:{s:s, s:n, s:n, s:n, s:n, s:b, s:b, s:b, s:o, s:o}}", "version", "1.0", "truncation", "padding",
                     "added_tokens", added, "normalizer", "pre_tokenizer", splits_of(pre, flag(r, "tokenizer.ggml.add_space_prefix", false)), "post_processor", template_of(r, around),
                     "decoder", "type", "ByteLevel", "add_prefix_space", 0, "trim_offsets", 1, "use_regex", 1,
                     "model", "type", "BPE", "dropout", "unk_token", "continuing_subword_prefix", "end_of_word_suffix", "fuse_unk", 0, "byte_fallback", 0,
                     "ignore_merges", pre->whole_words, "vocab", vocab, "merges", merges_of(r, err));
}

static lithe_tokenizer *from_tree(const reading *r, json_t *root, lithe_error *err)
{
    char *text = root && !failed(err) ? json_dumps(root, JSON_COMPACT) : NULL;
    if (!text) fail(err, LITHE_ENOMEM, "%s: out of memory for its tokenizer", r->what);
    lithe_tokenizer *t = text ? tokenizer_from_json(text, strlen(text), r->what, err) : NULL;
    free(text);
    json_decref(root);
    return t;
}

static lithe_tokenizer *read_bpe(const reading *r, lithe_error *err)
{
    const gguf_text name = gguf_string(gguf_find(r->keys, "tokenizer.ggml.pre"));
    const pre_tokenizer *pre = pre_tokenizer_named(name.len ? name.bytes : "default", name.len ? name.len : 7);
    if (pre) return from_tree(r, bpe_json(r, pre, err), err);
    fail(err, LITHE_EFORMAT, "%s: tokenizer.ggml.pre is %.*s, a way to split words that is not known here: name a tokenizer with --tokenizer", r->what,
         name.len < 60 ? (int)name.len : 60, name.bytes);
    return NULL;
}

/* ---- WordPiece ---- */

static lithe_tokenizer *read_words(const reading *r, lithe_error *err)
{
    int64_t unknown = id_of(r, "tokenizer.ggml.unknown_token_id", 100), cls = id_of(r, "tokenizer.ggml.cls_token_id", id_of(r, "tokenizer.ggml.bos_token_id", 101)),
            sep = id_of(r, "tokenizer.ggml.seperator_token_id", 102);
    bool lower = flag(r, "tokenizer.ggml.normalizer.lowercase", true), marks = flag(r, "tokenizer.ggml.normalizer.strip_accents", lower);
    const gguf_text name = token_at(r, unknown);
    json_t *vocab = json_object(), *added = json_array();
    put_tokens(r, vocab, added, true, err);
    const surroundings around = { .before = cls, .after = sep, .middle = -1, .again = false, .type = 1 };
    return from_tree(r, json_pack("{s:s, s:n, s:n, s:o, s:{s:s, s:b, s:b, s:b, s:b}, s:{s:s}, s:o, s:{s:s, s:s, s:b}, s:{s:s, s:s%, s:s, s:i, s:o}}",
        "version", "1.0", "truncation", "padding", "added_tokens", added,
        "normalizer", "type", "BertNormalizer", "clean_text", 1, "handle_chinese_chars", 1, "strip_accents", marks, "lowercase", lower,
        "pre_tokenizer", "type", "BertPreTokenizer", "post_processor", template_of(r, around),
        "decoder", "type", "WordPiece", "prefix", "##", "cleanup", 1,
        "model", "type", "WordPiece", "unk_token", name.bytes, name.len, "continuing_subword_prefix", "##", "max_input_chars_per_word", WORDPIECE_LONGEST, "vocab", vocab), err);
}

/* ---- SentencePiece ------------------------------------------------------------------------ */

static void put_varint(gguf_head *out, uint64_t x)
{
    for (; x > 127; x >>= 7) gguf_put_bytes(out, &(uint8_t){ (uint8_t)(x | 128) }, 1);
    gguf_put_bytes(out, &(uint8_t){ (uint8_t)x }, 1);
}

static void put_number(gguf_head *out, unsigned field, uint64_t x) { put_varint(out, field << 3); put_varint(out, x); }

static void put_message(gguf_head *out, unsigned field, const void *bytes, size_t n)
{
    put_varint(out, field << 3 | 2), put_varint(out, n);
    gguf_put_bytes(out, bytes, n);
}

static void put_piece(gguf_head *out, gguf_text token, float score, int32_t type)
{
    gguf_head one = { 0 };
    put_message(&one, 1, token.bytes, token.len);
    put_varint(&one, 2 << 3 | 5), gguf_put_bytes(&one, &score, 4);
    put_number(&one, 3, (uint64_t)type);
    put_message(out, 1, one.bytes, one.size);
    out->out_of_memory |= one.out_of_memory;
    gguf_head_free(&one);
}

/* TrainerSpec and NormalizerSpec.  Negative ids are written as 64 bits. */
static void put_settings(gguf_head *out, const reading *r, bool sums, bool fallback)
{
    gguf_head trainer = { 0 }, normal = { 0 };
    const gguf_value *map = gguf_find(r->keys, "tokenizer.ggml.precompiled_charsmap");
    put_number(&trainer, 3, sums ? 1 : 2), put_number(&trainer, 35, fallback);
    put_number(&trainer, 40, (uint64_t)id_of(r, "tokenizer.ggml.unknown_token_id", sums ? 2 : 0));
    put_number(&trainer, 41, (uint64_t)id_of(r, "tokenizer.ggml.bos_token_id", sums ? -1 : 1));
    put_number(&trainer, 42, (uint64_t)id_of(r, "tokenizer.ggml.eos_token_id", sums ? 1 : 2));
    put_number(&trainer, 43, (uint64_t)id_of(r, "tokenizer.ggml.padding_token_id", sums ? 0 : -1));
    if (map && map->type == GGUF_ARRAY && (map->of == GGUF_U8 || map->of == GGUF_I8) && map->count) put_message(&normal, 2, map->data, (size_t)map->count);
    put_number(&normal, 3, flag(r, "tokenizer.ggml.add_space_prefix", true)), put_number(&normal, 4, flag(r, "tokenizer.ggml.remove_extra_whitespaces", sums));
    put_message(out, 2, trainer.bytes, trainer.size), put_message(out, 3, normal.bytes, normal.size);
    out->out_of_memory |= trainer.out_of_memory || normal.out_of_memory;
    gguf_head_free(&trainer), gguf_head_free(&normal);
}

/* Control and user-defined pieces are found in texts, as llama.cpp finds them: the model has both as control pieces. */
static lithe_tokenizer *read_pieces(const reading *r, bool sums, lithe_error *err)
{
    gguf_head model = { 0 };
    added_entry *found = xalloc((size_t)r->n, sizeof *found);
    gguf_strings s = gguf_texts(r->tokens);
    gguf_text token;
    size_t n = 0;
    bool fallback = false, finds = flag(r, GGUF_FINDS_SPECIAL, true);
    for (uint64_t i = 0; found && gguf_next(&s, &token); i++) {
        int32_t type = type_of(r, i), control = type == GGUF_CONTROL || type == GGUF_USER_DEFINED;
        fallback |= type == GGUF_BYTE;
        put_piece(&model, token, score_of(r, i), control ? GGUF_CONTROL : type);
        if (finds && control && token.len)
            found[n++] = (added_entry){ .text = token.bytes, .len = token.len, .id = (int32_t)i, .special = type == GGUF_CONTROL };
    }
    put_settings(&model, r, sums, fallback);
    if (!found || model.out_of_memory) fail(err, LITHE_ENOMEM, "%s: out of memory for its tokenizer", r->what);
    lithe_tokenizer *t = failed(err) ? NULL : tokenizer_from_sentencepiece_with((const char *)model.bytes, model.size, found, n, r->what, err);
    gguf_head_free(&model);
    free(found);
    if (t && sums && flag(r, "tokenizer.ggml.add_bos_token", false) && t->role[ROLE_BOS] >= 0 && t->role[ROLE_EOS] >= 0)
        tokenizer_around(t, t->role[ROLE_BOS], t->role[ROLE_EOS], 2, 0);                     /* XLM-R */
    return t;
}

/* ---- RWKV --------------------------------------------------------------------------------- */

/* The bytes that a token with Python's escapes has. */
static size_t escaped_length(gguf_text token)
{
    size_t n = 0;
    for (size_t i = 0; i < token.len; i++, n++)
        if (token.bytes[i] == '\\') i += i + 1 < token.len && token.bytes[i + 1] == 'x' ? 3 : 1;
    return n;
}

static lithe_tokenizer *read_world(const reading *r, lithe_error *err)
{
    gguf_head lines = { 0 };
    char number[32];
    gguf_strings s = gguf_texts(r->tokens);
    gguf_text token;
    for (uint64_t i = 0; gguf_next(&s, &token); i++) {
        if (!i || type_of(r, i) != GGUF_NORMAL) continue;
        /* As Python writes bytes. */
        char quote = memchr(token.bytes, '\'', token.len) && !memchr(token.bytes, '"', token.len) ? '"' : '\'';
        gguf_put_bytes(&lines, number, (size_t)snprintf(number, sizeof number, "%llu b%c", (unsigned long long)i, quote));
        gguf_put_bytes(&lines, token.bytes, token.len);
        gguf_put_bytes(&lines, number, (size_t)snprintf(number, sizeof number, "%c %zu\n", quote, escaped_length(token)));
    }
    if (lines.out_of_memory) fail(err, LITHE_ENOMEM, "%s: out of memory for its tokenizer", r->what);
    lithe_tokenizer *t = failed(err) ? NULL : tokenizer_from_world((const char *)lines.bytes, lines.size, r->what, err);
    gguf_head_free(&lines);
    return t;
}

/* ---- a file ------------------------------------------------------------------------------- */

static int read_arrays(reading *r, lithe_error *err)
{
    const gguf_value *types = gguf_find(r->keys, "tokenizer.ggml.token_type"), *scores = gguf_find(r->keys, "tokenizer.ggml.scores");
    r->tokens = gguf_find(r->keys, "tokenizer.ggml.tokens");
    r->n = gguf_texts(r->tokens).left;
    if (!r->n || r->n > PIECES_ID_LIMIT) return fail(err, LITHE_EFORMAT, "%s: tokenizer.ggml.tokens is no list of 1 to %d tokens", r->what, PIECES_ID_LIMIT);
    if (types && (types->type != GGUF_ARRAY || types->of != GGUF_I32 || types->count != r->n))
        return fail(err, LITHE_EFORMAT, "%s: tokenizer.ggml.token_type is no list of %llu i32", r->what, (unsigned long long)r->n);
    if (scores && (scores->type != GGUF_ARRAY || scores->of != GGUF_F32 || scores->count != r->n))
        return fail(err, LITHE_EFORMAT, "%s: tokenizer.ggml.scores is no list of %llu f32", r->what, (unsigned long long)r->n);
    r->types = types ? types->data : NULL;
    r->scores = scores ? scores->data : NULL;
    return LITHE_OK;
}

/* Roles are those of the file, not those that names suggest. */
static void set_roles(lithe_tokenizer *t, const reading *r, lithe_error *err)
{
    int vocab = lithe_tokenizer_vocab(t);
    for (int i = 0; i < ROLE_KEY_COUNT; i++) {
        int64_t id = id_of(r, ROLE_KEYS[i].key, -1);
        role to = ROLE_KEYS[i].role;
        if (id < 0 || id >= vocab || id == t->role[to]) continue;
        t->role[to] = (int32_t)id;
        t->configured |= 1u << to;
    }
    tokenizer_flag(t, r->what, err);
}

/* Every key of a tokenizer, unless a tokenizer.json in the file says all. */
static const gguf_known known[] = {
    { "tokenizer.ggml.model", NULL }, { "tokenizer.ggml.pre", NULL }, { "tokenizer.ggml.tokens", NULL }, { "tokenizer.ggml.token_type", NULL }, { "tokenizer.ggml.scores", NULL },
    { "tokenizer.ggml.merges", NULL }, { "tokenizer.ggml.bos_token_id", NULL }, { "tokenizer.ggml.eos_token_id", NULL }, { "tokenizer.ggml.cls_token_id", NULL },
    { "tokenizer.ggml.seperator_token_id", NULL }, { "tokenizer.ggml.padding_token_id", NULL }, { "tokenizer.ggml.mask_token_id", NULL }, { "tokenizer.ggml.unknown_token_id", NULL },
    { "tokenizer.ggml.add_bos_token", NULL }, { "tokenizer.ggml.add_eos_token", NULL }, { "tokenizer.ggml.add_space_prefix", NULL }, { "tokenizer.ggml.remove_extra_whitespaces", NULL },
    { "tokenizer.ggml.precompiled_charsmap", NULL }, { "tokenizer.ggml.normalizer.lowercase", NULL }, { "tokenizer.ggml.normalizer.strip_accents", NULL },
    { "tokenizer.chat_template", NULL }, { "tokenizer.chat_template.*", NULL },
    { "tokenizer.ggml.eot_token_id", NULL }, { "tokenizer.ggml.eom_token_id", NULL },       /* of the configuration */
    { "tokenizer.ggml.token_type_count", NULL },        /* a size of the model, which its tensors say */
    { "tokenizer.chat_templates", NULL },               /* the names of the templates */
    { "tokenizer.rwkv.world", NULL },                   /* the same vocabulary in another form */
    { "tokenizer.ggml.add_sep_token", NULL },           /* of pairs, whose template says it here */
    /* Filling in the middle, which the caller writes out. */
    { "tokenizer.ggml.prefix_token_id", NULL }, { "tokenizer.ggml.suffix_token_id", NULL }, { "tokenizer.ggml.middle_token_id", NULL }, { "tokenizer.ggml.fim_*", NULL },
    { "tokenizer.ggml.escape_whitespaces", "true" }, { "tokenizer.ggml.treat_whitespace_as_suffix", "false" }, { "tokenizer.ggml.suppress_tokens", "[0]" },
    { NULL, NULL } };

/* Templates: one, and others by name. */
static void read_templates(lithe_tokenizer *t, const gguf_keys *keys, const char *what, lithe_error *err)
{
    static const char first[] = "tokenizer.chat_template";
    const size_t n = sizeof first - 1;
    for (size_t i = 0; i < keys->count; i++) {
        const char *key = keys->values[i].key;
        const gguf_text text = gguf_string(&keys->values[i]);
        if (strncmp(key, first, n) || (key[n] && key[n] != '.') || !text.len) continue;
        tokenizer_add_template(t, key[n] ? key + n + 1 : "default", text.bytes, text.len, what, err);
    }
}

static lithe_tokenizer *read_model(reading *r, lithe_error *err)
{
    const gguf_text model = gguf_string(gguf_find(r->keys, "tokenizer.ggml.model")), json = gguf_string(gguf_find(r->keys, "tokenizer.huggingface.json"));
    if (json.len) return tokenizer_from_json(json.bytes, json.len, r->what, err);
    if (!model.len) { fail(err, LITHE_EFORMAT, "%s: holds no tokenizer (tokenizer.ggml.model)", r->what); return NULL; }
    if (gguf_check(r->keys, "tokenizer.", known, r->what, err) || read_arrays(r, err)) return NULL;
    if (gguf_is(model, "gpt2")) return read_bpe(r, err);
    if (gguf_is(model, "llama")) return read_pieces(r, false, err);
    if (gguf_is(model, "t5")) return read_pieces(r, true, err);
    if (gguf_is(model, "bert")) return read_words(r, err);
    if (gguf_is(model, "rwkv")) return read_world(r, err);
    fail(err, LITHE_EFORMAT, "%s: tokenizer.ggml.model is %.*s, known are gpt2, llama, t5, bert and rwkv: name a tokenizer with --tokenizer", r->what,
         model.len < 60 ? (int)model.len : 60, model.bytes);
    return NULL;
}

lithe_tokenizer *tokenizer_from_gguf(const char *data, size_t len, const char *what, lithe_error *err)
{
    gguf_keys keys;
    lithe_error local = { 0 };
    if (!err) err = &local;
    if (gguf_keys_read(&keys, (const uint8_t *)data, len, what, err)) return NULL;
    reading r = { .keys = &keys, .what = what };
    lithe_tokenizer *t = read_model(&r, err);
    if (t && r.tokens && t->model != MODEL_LONGEST) set_roles(t, &r, err);
    if (t) read_templates(t, &keys, what, err);
    gguf_keys_free(&keys);
    if (t && !failed(err)) return t;
    lithe_tokenizer_close(t);
    return NULL;
}
