/* The public calls: opening a path of any kind, encoding, decoding. */
#include "text/tokenizer.h"
#include "text/byte_alphabet.h"
#include "text/pattern.h"
#include "base/file.h"
#include <stdlib.h>
#include <string.h>

#define FILE_LIMIT ((size_t)256 << 20)     /* bytes of a tokenizer file */
#define CONFIG_DEPTH 64

/* ---- life ------------------------------------------------------------------------------ */

lithe_tokenizer *tokenizer_new(lithe_error *err)
{
    if (failed(err)) return NULL;
    lithe_tokenizer *t = xalloc(1, sizeof *t);
    if (t && bpe_init(&t->bpe, &t->vocabulary)) {
        t->bos = t->eos = -1;
        return t;
    }
    lithe_tokenizer_close(t);
    fail(err, LITHE_ENOMEM, "tokenizer: out of memory");
    return NULL;
}

void lithe_tokenizer_close(lithe_tokenizer *t)
{
    if (!t) return;
    for (int i = 0; i < t->n_split; i++) pattern_free(t->split[i].pattern);
    bpe_free(&t->bpe);
    pieces_free(&t->vocabulary);
    pieces_free(&t->added);
    arena_free(&t->memory);
    free(t->entries);
    free(t->source);
    free(t->pairs);
    free(t);
}

/* ---- what the readers share ---------------------------------------------------------------- */

int tokenizer_add(pieces *p, int64_t id, const char *text, size_t len, bool findable, const char *what, lithe_error *err)
{
    int shown = len < 60 ? (int)len : 60;
    switch (pieces_add(p, id, text, len, findable)) {
    case PIECES_OK:         return LITHE_OK;
    case PIECES_ID_RANGE:   return fail(err, LITHE_EFORMAT, "%s: token \"%.*s\" has id %lld, expected 0 to %d", what, shown, text,
                                        (long long)id, PIECES_ID_LIMIT - 1);
    case PIECES_ID_TAKEN:   return fail(err, LITHE_EFORMAT, "%s: token \"%.*s\" has id %lld, which another token has", what, shown,
                                        text, (long long)id);
    case PIECES_TEXT_TAKEN: return fail(err, LITHE_EFORMAT, "%s: token \"%.*s\" is there twice, again as id %lld", what, shown, text,
                                        (long long)id);
    default:                return fail(err, LITHE_ENOMEM, "%s: vocabulary does not fit in memory", what);
    }
}

int tokenizer_add_bytes(lithe_tokenizer *t, int64_t id, const char *name, size_t len, const char *what, lithe_error *err)
{
    size_t n;
    char small[256], *bytes = len <= sizeof small ? small : xrealloc(NULL, len, 1);
    if (!bytes) return fail(err, LITHE_ENOMEM, "%s: out of memory", what);
    int status = alphabet_to_bytes(name, len, bytes, &n) ? tokenizer_add(&t->vocabulary, id, bytes, n, true, what, err)
                                                         : tokenizer_add(&t->vocabulary, id, name, len, false, what, err);
    if (bytes != small) free(bytes);
    return status;
}

void tokenizer_find_bytes(lithe_tokenizer *t)
{
    for (int i = 0; i < 256; i++) {
        char name[8] = { (char)i };
        size_t len = t->bpe.characters ? (size_t)snprintf(name, sizeof name, "<0x%02X>", (unsigned)i) : 1;
        t->bpe.byte_id[i] = pieces_find(&t->vocabulary, name, len);
    }
}

int32_t tokenizer_id(const lithe_tokenizer *t, const char *name, size_t len)
{
    int32_t id = pieces_find(&t->added, name, len);
    char bytes[256];
    size_t n;
    if (id >= 0) return id;
    if (t->bpe.characters) return pieces_find(&t->vocabulary, name, len);
    return len <= sizeof bytes && alphabet_to_bytes(name, len, bytes, &n) ? pieces_find(&t->vocabulary, bytes, n) : -1;
}

static int32_t first_of(const lithe_tokenizer *t, const char *const *names)
{
    for (int special = 1; special >= 0; special--)
        for (int i = 0; names[i]; i++) {
            int32_t id = tokenizer_id(t, names[i], strlen(names[i]));
            if (id >= 0 && special <= pieces_has(&t->added, id)) return id;
        }
    return -1;
}

void tokenizer_name_ends(lithe_tokenizer *t)
{
    static const char *const bos[] = { "<s>", "<|begin_of_text|>", "<bos>", "<|startoftext|>", "<|begin\u2581of\u2581sentence|>", NULL };
    static const char *const eos[] = { "</s>", "<|endoftext|>", "<|end_of_text|>", "<eos>", "<|end\u2581of\u2581sentence|>", NULL };
    t->bos = first_of(t, bos);
    t->eos = first_of(t, eos);
    if (t->bos < 0) t->bos = tokenizer_id(t, "<|endoftext|>", 13);     /* GPT-2: it stands between texts */
}

int tokenizer_add_entry(lithe_tokenizer *t, added_entry e, const char *what, lithe_error *err)
{
    if (t->n_entries == t->entries_room) {
        size_t room = t->entries_room ? t->entries_room * 2 : 16;
        added_entry *entries = xrealloc(t->entries, room, sizeof *entries);
        if (!entries) return fail(err, LITHE_ENOMEM, "%s: out of memory", what);
        t->entries = entries;
        t->entries_room = room;
    }
    char *text = arena_alloc(&t->memory, e.len + 1);
    if (!text) return fail(err, LITHE_ENOMEM, "%s: out of memory", what);
    memcpy(text, e.text, e.len);
    e.text = text;
    t->entries[t->n_entries++] = e;
    return LITHE_OK;
}

/* An id of an entry is its own, or that of the vocabulary's token with its text. */
static int check_entry(const lithe_tokenizer *t, const added_entry *e, const char *what, lithe_error *err)
{
    int shown = e->len < 60 ? (int)e->len : 60;
    if (e->len > ADDED_TOKEN_LIMIT)
        return fail(err, LITHE_EFORMAT, "%s: added token %d is %zu bytes long, at most %d are accepted", what, (int)e->id, e->len,
                    ADDED_TOKEN_LIMIT);
    char bytes[ADDED_TOKEN_LIMIT];
    size_t n = e->len, m;
    memcpy(bytes, e->text, n);
    bool byte_text = !t->bpe.characters && alphabet_to_bytes(e->text, e->len, bytes, &n);
    if (!byte_text) { memcpy(bytes, e->text, e->len); n = e->len; }
    if (pieces_has(&t->vocabulary, e->id)) {
        const char *piece_text = pieces_bytes(&t->vocabulary, e->id, &m);
        if (m != n || memcmp(piece_text, bytes, n))
            return fail(err, LITHE_EFORMAT, "%s: added token \"%.*s\" has id %d, which another token of the vocabulary has", what,
                        shown, e->text, (int)e->id);
        return LITHE_OK;
    }
    int32_t id = byte_text || t->bpe.characters ? pieces_find(&t->vocabulary, bytes, n) : -1;
    if (id >= 0)
        return fail(err, LITHE_EFORMAT, "%s: added token \"%.*s\" has id %d, but %d in the vocabulary", what, shown, e->text,
                    (int)e->id, (int)id);
    return LITHE_OK;
}

/* The entries with or without `normalized`; the text of the former is normalized itself. */
static int make_matcher(lithe_tokenizer *t, bool normalized, added_tokens *out, lithe_error *err)
{
    size_t n = 0;
    added_token *tokens = arena_alloc(&t->memory, (t->n_entries + 1) * sizeof *tokens);
    if (!tokens) return fail(err, LITHE_ENOMEM, "tokenizer: out of memory");
    for (size_t i = 0; i < t->n_entries; i++) {
        const added_entry *e = &t->entries[i];
        if (e->normalized != normalized) continue;
        size_t len = e->len;
        char *form = normalized ? normalize(t->normal, t->n_normal, e->text, e->len, &len) : NULL;
        const char *text = e->text;
        if (form && form != e->text) {
            char *kept = arena_alloc(&t->memory, len + 1);
            if (kept) memcpy(kept, form, len);
            free(form);
            if (!(text = kept)) return fail(err, LITHE_ENOMEM, "tokenizer: out of memory");
        }
        tokens[n++] = (added_token){ text, len, e->id, e->single_word, e->lstrip, e->rstrip };
    }
    added_tokens_init(out, tokens, n);
    return LITHE_OK;
}

/* Merges never join a space to what is before it. */
static bool marks_divide(const lithe_tokenizer *t, const char *mark)
{
    size_t m = strlen(mark), ll, rl;
    const bpe *b = &t->bpe;
    if (b->whole_words || pieces_find(&t->vocabulary, mark, m) < 0) return false;
    for (uint32_t i = 0; i <= b->mask; i++) {
        if (b->merges[i].rank < 0) continue;
        const char *left = pieces_bytes(&t->vocabulary, (int32_t)(b->merges[i].pair >> 32), &ll);
        const char *right = pieces_bytes(&t->vocabulary, (int32_t)b->merges[i].pair, &rl);
        if (rl >= m && !memcmp(right, mark, m) && (ll < m || memcmp(left + ll - m, mark, m))) return false;
    }
    return true;
}

int tokenizer_finish(lithe_tokenizer *t, const char *what, lithe_error *err)
{
    for (size_t i = 0; i < t->n_entries && !failed(err); i++) {
        const added_entry *e = &t->entries[i];
        if (tokenizer_add(&t->added, e->id, e->text, e->len, true, what, err)) return err->status;
        check_entry(t, e, what, err);
    }
    if (failed(err) || make_matcher(t, false, &t->plain, err) || make_matcher(t, true, &t->normalized, err)) return err->status;
    const char *mark = t->mark ? t->mark : " ";
    if (t->bpe.characters && !t->n_split && marks_divide(t, mark))
        t->split[t->n_split++] = (split_step){ .kind = SPLIT_MARKS, .mark = mark };
    if (!lithe_tokenizer_vocab(t)) return fail(err, LITHE_EFORMAT, "%s: vocabulary is empty", what);
    tokenizer_name_ends(t);
    return LITHE_OK;
}

/* ---- opening ------------------------------------------------------------------------------- */

/* Any of the names in dir; NULL when there is none, or memory is out. */
static char *one_beside(const char *dir, const char *const *names)
{
    for (int i = 0; names[i]; i++) {
        char *path = path_join(dir, names[i]);
        if (path && path_exists(path) && !path_is_dir(path)) return path;
        free(path);
    }
    return NULL;
}

/* A name of a token in tokenizer_config.json: a string, or an object with `content`. */
static int32_t configured(const lithe_tokenizer *t, const json_t *config, const char *key, int32_t otherwise)
{
    const json_t *v = json_object_get(config, key);
    if (json_is_object(v)) v = json_object_get(v, "content");
    int32_t id = json_is_string(v) ? tokenizer_id(t, json_string_value(v), json_string_length(v)) : -1;
    return id >= 0 ? id : otherwise;
}

static json_t *config_beside(const char *dir, lithe_error *err)
{
    static const char *const names[] = { "tokenizer_config.json", NULL };
    char *path = one_beside(dir, names);
    json_t *config = path ? json_read(path, FILE_LIMIT, CONFIG_DEPTH, err) : NULL;
    free(path);
    return config;
}

static lithe_tokenizer *open_json(const char *path, lithe_error *err)
{
    size_t size;
    char *text = file_read(path, FILE_LIMIT, &size, err);
    lithe_tokenizer *t = text ? tokenizer_from_json(text, size, path, err) : NULL;
    free(text);
    return t;
}

static lithe_tokenizer *open_files(const char *vocab, const char *dir, const json_t *config, lithe_error *err)
{
    static const char *const merges_names[] = { "merges.txt", "vocab.bpe", NULL };
    char *merges = one_beside(dir, merges_names);
    size_t vocab_size = 0, merges_size = 0;
    if (!merges) {
        fail(err, LITHE_EIO, "%s: no merges.txt or vocab.bpe beside it", vocab);
        return NULL;
    }
    char *vocab_text = file_read(vocab, FILE_LIMIT, &vocab_size, err);
    char *merges_text = file_read(merges, FILE_LIMIT, &merges_size, err);
    lithe_tokenizer *t = NULL;
    if (vocab_text && merges_text)
        t = tokenizer_from_files(vocab_text, vocab_size, merges_text, merges_size,
                                 json_is_true(json_object_get(config, "add_prefix_space")), vocab, merges, err);
    free(vocab_text);
    free(merges_text);
    free(merges);
    return t;
}

static lithe_tokenizer *open_llama2c(const char *path, lithe_error *err)
{
    size_t size;
    char *data = file_read(path, FILE_LIMIT, &size, err);
    lithe_tokenizer *t = data ? tokenizer_from_llama2c(data, size, path, err) : NULL;
    free(data);
    return t;
}

static bool is_name(const char *path, const char *name) { return !strcmp(path_base(path), name); }

/* A file by its name or its first byte; dir is where it lies. */
static lithe_tokenizer *open_file(const char *path, const char *dir, lithe_error *err)
{
    json_t *config = config_beside(dir, err);
    lithe_tokenizer *t = NULL;
    mapping m;
    if (failed(err) || file_map(&m, path, err)) { json_decref(config); return NULL; }
    size_t i = 0;
    while (i < m.size && i < 4096 && strchr(" \t\r\n", m.data[i]) && m.data[i]) i++;
    bool json = i < m.size && m.data[i] == '{';
    file_unmap(&m);
    if (is_name(path, "vocab.json") || is_name(path, "encoder.json")) t = open_files(path, dir, config, err);
    else t = json ? open_json(path, err) : open_llama2c(path, err);
    if (t) {
        int32_t bos = configured(t, config, "bos_token", t->bos), eos = configured(t, config, "eos_token", t->eos);
        t->configured = bos != t->bos || eos != t->eos;
        t->bos = bos;
        t->eos = eos;
    }
    json_decref(config);
    return t;
}

lithe_tokenizer *lithe_tokenizer_open(const char *path, lithe_error *err)
{
    static const char *const names[] = { "tokenizer.json", "vocab.json", "encoder.json", "tokenizer.bin", NULL };
    lithe_error local = { 0 };
    if (!err) err = &local;
    if (failed(err)) return NULL;
    if (!path) {
        fail(err, LITHE_EINVAL, "tokenizer: no path");
        return NULL;
    }
    if (!strcmp(path, "bytes")) return tokenizer_bytes(err);
    bool is_dir = path_is_dir(path);
    char *dir = is_dir ? NULL : path_parent(path), *file = is_dir ? one_beside(path, names) : NULL;
    lithe_tokenizer *t = NULL;
    if (is_dir && !file)
        fail(err, LITHE_EIO, "%s: holds no tokenizer.json, no vocab.json with merges.txt and no tokenizer.bin", path);
    else if (!is_dir && !dir) fail(err, LITHE_ENOMEM, "%s: out of memory", path);
    else t = open_file(is_dir ? file : path, is_dir ? path : dir, err);
    free(dir);
    free(file);
    return t;
}

/* ---- encoding -------------------------------------------------------------------------------- */

typedef struct { lithe_tokenizer *t; id_sink sink; } encoding;

static void on_word(void *context, const char *text, size_t len)
{
    encoding *e = context;
    bpe_encode(&e->t->bpe, text, len, &e->sink);
}

static void on_normal_piece(void *context, const char *text, size_t len, int32_t id)
{
    encoding *e = context;
    if (id >= 0) id_put(&e->sink, id);
    else split_text(e->t->split, e->t->n_split, text, len, on_word, e);
}

static void on_plain_piece(void *context, const char *text, size_t len, int32_t id)
{
    encoding *e = context;
    if (id >= 0) {
        id_put(&e->sink, id);
        return;
    }
    size_t n;
    char *form = normalize(e->t->normal, e->t->n_normal, text, len, &n);
    if (n) added_tokens_cut(&e->t->normalized, form, n, on_normal_piece, e);
    if (form != text) free(form);
}

size_t lithe_encode(const lithe_tokenizer *t, const char *text, size_t len, int special, int32_t *ids, size_t cap)
{
    if (!t) return 0;
    encoding e = { (lithe_tokenizer *)(uintptr_t)t, { ids, 0, ids ? cap : 0 } };
    for (size_t i = 0; special && i < t->n_before; i++) id_put(&e.sink, t->before[i]);
    if (text && len) added_tokens_cut(&t->plain, text, len, on_plain_piece, &e);
    for (size_t i = 0; special && i < t->n_behind; i++) id_put(&e.sink, t->behind[i]);
    return e.sink.n;
}

/* ---- decoding -------------------------------------------------------------------------------- */

typedef struct { char *text; size_t n, cap; } text_sink;

static void text_put(text_sink *s, const char *bytes, size_t len)
{
    if (s->n < s->cap && len) memcpy(s->text + s->n, bytes, len < s->cap - s->n ? len : s->cap - s->n);
    s->n += len;
}

/* The byte that a token <0xNN> stands for, or -1. */
static int fallback_byte(const lithe_tokenizer *t, int32_t id, const char *bytes, size_t len)
{
    static const char digits[] = "0123456789ABCDEF";
    if (len != 6 || memcmp(bytes, "<0x", 3)) return -1;
    const char *high = memchr(digits, bytes[3], 16), *low = memchr(digits, bytes[4], 16);
    int byte = high && low ? (int)(high - digits) * 16 + (int)(low - digits) : -1;
    return byte >= 0 && t->bpe.byte_id[byte] == id ? byte : -1;
}

static void decode_characters(const lithe_tokenizer *t, int32_t id, bool behind_bos, text_sink *out)
{
    size_t len, m = t->mark ? strlen(t->mark) : 0;
    const char *bytes = pieces_bytes(&t->vocabulary, id, &len);
    int byte = fallback_byte(t, id, bytes, len);
    if (byte >= 0) {
        text_put(out, &(char){ (char)byte }, 1);
        return;
    }
    for (size_t i = 0, k; i < len; i += k) {
        bool mark = m && len - i >= m && !memcmp(bytes + i, t->mark, m);
        k = mark ? m : 1;
        if (!(behind_bos && i == 0 && (mark || bytes[0] == ' '))) text_put(out, mark ? " " : bytes + i, 1);
    }
}

size_t lithe_decode(const lithe_tokenizer *t, const int32_t *ids, size_t n, char *text, size_t cap)
{
    text_sink out = { text, 0, text ? cap : 0 };
    for (size_t i = 0; t && i < n; i++) {
        size_t len;
        bool words = t->bpe.characters;
        if (words && (ids[i] == t->bos || ids[i] == t->eos)) continue;
        if (pieces_has(&t->added, ids[i])) {
            const char *bytes = pieces_bytes(&t->added, ids[i], &len);
            text_put(&out, bytes, len);
        } else if (!pieces_has(&t->vocabulary, ids[i])) continue;
        else if (words) decode_characters(t, ids[i], t->strip && i > 0 && ids[i - 1] == t->bos, &out);
        else {
            const char *bytes = pieces_bytes(&t->vocabulary, ids[i], &len);
            text_put(&out, bytes, len);
        }
    }
    return out.n;
}

int lithe_tokenizer_vocab(const lithe_tokenizer *t)
{
    if (!t) return 0;
    return t->vocabulary.n > t->added.n ? t->vocabulary.n : t->added.n;
}

int32_t lithe_tokenizer_bos(const lithe_tokenizer *t) { return t ? t->bos : -1; }
int32_t lithe_tokenizer_eos(const lithe_tokenizer *t) { return t ? t->eos : -1; }
