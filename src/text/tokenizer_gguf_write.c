/* Writes a tokenizer as the keys of a GGUF file, in llama.cpp's form: tokens, what
 * each of them is, scores or merges, the special tokens.  What these keys cannot say
 * (a way to split words that has no name, other normalizers) is said by the
 * tokenizer.json as a whole, which Lithe reads first and llama.cpp does not read. */
#include "text/tokenizer_gguf.h"
#include "base/file.h"
#include "text/byte_alphabet.h"
#include "text/pre_tokenizers.h"
#include "text/tokenizer.h"
#include <stdlib.h>
#include <string.h>

typedef struct {
    const lithe_tokenizer *t;
    gguf_head *h;
    uint64_t n;                            /* tokens: those of the model, of which the tokenizer may have fewer */
    char *room;                            /* for the text of any token */
} writing;

/* ---- tokens ----------------------------------------------------------------------------- */

static const added_entry *entry_of(const lithe_tokenizer *t, int32_t id)
{
    for (size_t i = 0; i < t->n_entries; i++)
        if (t->entries[i].id == id) return &t->entries[i];
    return NULL;
}

static bool is_byte(const lithe_tokenizer *t, int32_t id)
{
    for (int i = 0; t->bpe.characters && i < 256; i++)
        if (t->bpe.byte_id[i] == id) return true;
    return false;
}

/* Whether the text of a token is looked for. */
static bool is_found(const lithe_tokenizer *t, int32_t id)
{
    size_t len;
    const char *bytes = pieces_bytes(&t->vocabulary, id, &len);
    return pieces_find(&t->vocabulary, bytes, len) == id;
}

static int type_of(const lithe_tokenizer *t, int32_t id)
{
    const added_entry *e = entry_of(t, id);
    bool named = pieces_has(&t->vocabulary, id);
    if (e) return e->special ? GGUF_CONTROL : GGUF_USER_DEFINED;
    if (t->model == MODEL_LONGEST && id == 0) return GGUF_CONTROL;
    if (!named) return GGUF_UNUSED;
    if (pieces_has(&t->defined, id)) return GGUF_USER_DEFINED;
    if (t->model == MODEL_WORDPIECE) return GGUF_NORMAL;
    if (t->bpe.characters && t->model != MODEL_LONGEST && id == t->role[ROLE_UNK]) return GGUF_UNKNOWN;
    if (is_byte(t, id)) return GGUF_BYTE;
    return is_found(t, id) || t->model == MODEL_LONGEST ? GGUF_NORMAL : GGUF_CONTROL;
}

/* As Python writes bytes between the quotes of b'...'. */
static size_t escaped(const char *bytes, size_t len, char *out)
{
    size_t n = 0;
    bool quoted = memchr(bytes, '\'', len) && !memchr(bytes, '"', len);
    static const char plain[] = "\t\n\r\\'", letters[] = "tnr\\'";
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)bytes[i];
        const char *named = c && !(c == '\'' && quoted) ? strchr(plain, c) : NULL;
        if (named) n += (size_t)sprintf(out + n, "\\%c", letters[named - plain]);
        else if (c < ' ' || c > '~') n += (size_t)sprintf(out + n, "\\x%02x", c);
        else out[n++] = (char)c;
    }
    return n;
}

/* Spaces of llama2.c's pieces are U+2581. */
static size_t marked(const char *bytes, size_t len, char *out)
{
    size_t n = 0;
    for (size_t i = 0; i < len; i++) {
        if (bytes[i] == ' ') memcpy(out + n, SPACE_MARK, 3), n += 3;
        else out[n++] = bytes[i];
    }
    return n;
}

/* BERT's pieces: U+2581 before those that begin a word, no ## before others. */
static size_t phantom(const lithe_tokenizer *t, const char *bytes, size_t len, char *out)
{
    size_t p = strlen(t->prefix);
    bool inside = len > p && !memcmp(bytes, t->prefix, p);
    if (inside) { memcpy(out, bytes + p, len - p); return len - p; }
    memcpy(out, SPACE_MARK, 3);
    memcpy(out + 3, bytes, len);
    return len + 3;
}

static size_t text_of(const writing *w, int32_t id, char *out)
{
    const lithe_tokenizer *t = w->t;
    const added_entry *e = entry_of(t, id);
    size_t len;
    if (t->model == MODEL_LONGEST && id == 0) return (size_t)sprintf(out, "<s>");
    if (!e && !pieces_has(&t->vocabulary, id)) return (size_t)sprintf(out, "[PAD%d]", (int)id);
    const char *bytes = e ? e->text : pieces_bytes(&t->vocabulary, id, &len);
    if (e) len = e->len;
    if (t->model == MODEL_LONGEST) return escaped(bytes, len, out);
    if (t->model == MODEL_WORDPIECE && !e) return phantom(t, bytes, len, out);
    if (t->model == MODEL_BPE && !t->bpe.characters && !e && is_found(t, id)) return alphabet_from_bytes(bytes, len, out);
    if (t->bpe.characters && !t->mark && !e) return marked(bytes, len, out);
    memcpy(out, bytes, len);
    return len;
}

static void put_tokens(const writing *w)
{
    gguf_put_array(w->h, "tokenizer.ggml.tokens", GGUF_STRING, w->n);
    for (uint64_t i = 0; i < w->n; i++) gguf_put_text(w->h, w->room, text_of(w, (int32_t)i, w->room));
    gguf_put_array(w->h, "tokenizer.ggml.token_type", GGUF_I32, w->n);
    for (uint64_t i = 0; i < w->n; i++) gguf_put_bytes(w->h, &(int32_t){ type_of(w->t, (int32_t)i) }, 4);
}

static void put_scores(const writing *w)
{
    const double *scores = w->t->unigram.scores;
    gguf_put_array(w->h, "tokenizer.ggml.scores", GGUF_F32, w->n);
    for (uint64_t i = 0; i < w->n; i++)
        gguf_put_bytes(w->h, &(float){ scores && pieces_has(&w->t->vocabulary, (int64_t)i) ? (float)scores[i] : -1000.0f - (float)i }, 4);
}

/* ---- merges ----------------------------------------------------------------------------- */

static int by_rank(const void *a, const void *b)
{
    const merge *x = a, *y = b;
    return (x->rank > y->rank) - (x->rank < y->rank);
}

static int put_merges(const writing *w, lithe_error *err)
{
    const bpe *b = &w->t->bpe;
    merge *all = xalloc((size_t)b->mask + 2, sizeof *all);
    size_t n = 0;
    if (!all) return fail(err, LITHE_ENOMEM, "not enough memory for the merges of a tokenizer");
    for (uint32_t i = 0; b->merges && i <= b->mask; i++)
        if (b->merges[i].rank >= 0) all[n++] = b->merges[i];
    qsort(all, n, sizeof *all, by_rank);
    gguf_put_array(w->h, "tokenizer.ggml.merges", GGUF_STRING, n);
    for (size_t i = 0; i < n; i++) {
        size_t left = text_of(w, (int32_t)(all[i].pair >> 32), w->room);
        w->room[left++] = ' ';
        gguf_put_text(w->h, w->room, left + text_of(w, (int32_t)all[i].pair, w->room + left));
    }
    free(all);
    return LITHE_OK;
}

/* ---- settings --------------------------------------------------------------------------- */

static void put_bool(const writing *w, const char *key, bool value) { gguf_put_bool(w->h, key, value); }
static void put_name(const writing *w, const char *key, const char *name) { gguf_put_string(w->h, key, name, strlen(name)); }

/* The pre-tokenizer with this tokenizer's splits, any where nothing is merged; NULL: it has no name. */
static const pre_tokenizer *splits_of(const lithe_tokenizer *t)
{
    const char *patterns[TOKENIZER_STEPS];
    size_t n = 0;
    if (!t->bpe.filled) return pre_tokenizer_named("gpt-2", 5);
    for (int i = 0; i < t->n_split; i++) {
        const split_step *s = &t->split[i];
        if (s->kind == SPLIT_PREFIX_SPACE && !i) continue;
        if (s->kind == SPLIT_GPT2) patterns[n++] = SPLIT_GPT2_PATTERN;
        else if (s->kind == SPLIT_DIGITS) patterns[n++] = s->behavior == SPLIT_ISOLATED ? "\\p{N}" : "\\p{N}+";
        else if (s->kind == SPLIT_PATTERN && s->text && ((s->behavior == SPLIT_ISOLATED && !s->invert) || (s->behavior == SPLIT_REMOVED && s->invert))) patterns[n++] = s->text;
        else return NULL;
    }
    return pre_tokenizer_of(patterns, n, t->bpe.whole_words);
}

/* Whether entries are found as llama.cpp finds them. */
static bool plain_entries(const lithe_tokenizer *t)
{
    for (size_t i = 0; i < t->n_entries; i++)
        if (t->entries[i].lstrip || t->entries[i].rstrip || t->entries[i].single_word) return false;
    return true;
}

static int put_json(const writing *w, lithe_error *err)
{
    size_t n = 0;
    char *text = tokenizer_text(w->t, &n);
    if (!text) return fail(err, LITHE_ENOMEM, "not enough memory for the text of a tokenizer, or two tokens have the same name");
    gguf_put_string(w->h, "tokenizer.huggingface.json", text, n);
    free(text);
    return LITHE_OK;
}

static int put_byte_level(const writing *w, lithe_error *err)
{
    char name[64] = "lithe";
    const lithe_tokenizer *t = w->t;
    const pre_tokenizer *pre = splits_of(t);
    bool surrounded = t->pair.n == 6, exact = pre && !t->n_normal && plain_entries(t) && t->single.n < 4 && !surrounded;
    if (pre && surrounded && !t->bpe.whole_words && pre_tokenizer_named("gpt-2", 5) == pre) snprintf(name, sizeof name, "roberta-bpe");
    else if (pre) pre_tokenizer_name(pre, name);
    put_name(w, "tokenizer.ggml.model", "gpt2");
    put_name(w, "tokenizer.ggml.pre", name);
    put_bool(w, "tokenizer.ggml.add_bos_token", tokenizer_begins(t));
    put_bool(w, "tokenizer.ggml.add_eos_token", tokenizer_ends(t));
    put_bool(w, "tokenizer.ggml.add_space_prefix", t->n_split && t->split[0].kind == SPLIT_PREFIX_SPACE);
    int status = put_merges(w, err);
    return status || exact ? status : put_json(w, err);
}

static void put_charsmap(const writing *w)
{
    const charsmap *m = &w->t->charsmap;
    if (!m->units) return;
    gguf_put_array(w->h, "tokenizer.ggml.precompiled_charsmap", GGUF_U8, 4 + 4 * m->n + m->bytes);
    gguf_put_bytes(w->h, &(uint32_t){ (uint32_t)(4 * m->n) }, 4);
    gguf_put_bytes(w->h, m->units, 4 * m->n);
    gguf_put_bytes(w->h, m->strings, m->bytes);
}

static int put_pieces(const writing *w, lithe_error *err)
{
    const lithe_tokenizer *t = w->t;
    bool sums = t->model == MODEL_UNIGRAM, own = t->sentencepiece || (!t->source && !t->mark);
    put_name(w, "tokenizer.ggml.model", sums ? "t5" : "llama");
    put_bool(w, "tokenizer.ggml.add_space_prefix", t->sentencepiece ? t->charsmap.add_space : true);
    put_bool(w, "tokenizer.ggml.remove_extra_whitespaces", t->sentencepiece && t->charsmap.trim);
    put_bool(w, "tokenizer.ggml.add_bos_token", tokenizer_begins(t));
    put_bool(w, "tokenizer.ggml.add_eos_token", tokenizer_ends(t));
    if (!t->n_entries) put_bool(w, GGUF_FINDS_SPECIAL, false);
    put_charsmap(w);
    put_scores(w);
    return own ? LITHE_OK : put_json(w, err);                /* merges without scores */
}

static bool lowers(const lithe_tokenizer *t, normal_kind kind)
{
    for (int i = 0; i < t->n_normal; i++)
        if (t->normal[i].kind == kind) return true;
    return false;
}

static int put_words(const writing *w, lithe_error *err)
{
    put_name(w, "tokenizer.ggml.model", "bert");
    put_bool(w, "tokenizer.ggml.normalizer.lowercase", lowers(w->t, NORMAL_LOWER));
    put_bool(w, "tokenizer.ggml.normalizer.strip_accents", lowers(w->t, NORMAL_DROP_MARKS));
    gguf_put_integer(w->h, "tokenizer.ggml.token_type_count", GGUF_U32, 2);
    return w->t->source ? put_json(w, err) : LITHE_OK;       /* a tokenizer.json may say more */
}

static void put_roles(const writing *w)
{
    for (int i = 0; i < ROLES; i++)
        if (w->t->role[i] >= 0) gguf_put_integer(w->h, tokenizer_gguf_key(i), GGUF_U32, w->t->role[i]);
}

/* The template, then those with names, and a list of the names. */
static void put_templates(const writing *w)
{
    char key[256];
    uint64_t count = 0;
    if (w->t->chat_template) put_name(w, "tokenizer.chat_template", w->t->chat_template);
    for (const named_template *one = w->t->templates; one; one = one->next, count++)
        if ((size_t)snprintf(key, sizeof key, "tokenizer.chat_template.%s", one->name) < sizeof key) put_name(w, key, one->text);
    if (!count) return;
    gguf_put_array(w->h, "tokenizer.chat_templates", GGUF_STRING, count);
    for (const named_template *one = w->t->templates; one; one = one->next) gguf_put_text(w->h, one->name, strlen(one->name));
}

int tokenizer_put_gguf(const lithe_tokenizer *t, int vocab, gguf_head *h, lithe_error *err)
{
    size_t longest = 16, len;
    for (int32_t id = 0; id < t->vocabulary.n; id++)
        if (pieces_has(&t->vocabulary, id) && (pieces_bytes(&t->vocabulary, id, &len), len > longest)) longest = len;
    for (size_t i = 0; i < t->n_entries; i++) longest = t->entries[i].len > longest ? t->entries[i].len : longest;
    int own = lithe_tokenizer_vocab(t);
    writing w = { t, h, (uint64_t)(vocab > own ? vocab : own), xalloc(2 * (4 * longest + 4), 1) };
    if (!w.room) return fail(err, LITHE_ENOMEM, "not enough memory for the tokens of a tokenizer");
    put_tokens(&w);
    put_roles(&w);
    int status = LITHE_OK;
    if (t->model == MODEL_LONGEST) put_name(&w, "tokenizer.ggml.model", "rwkv");
    else if (t->model == MODEL_WORDPIECE) status = put_words(&w, err);
    else status = (t->bpe.characters ? put_pieces : put_byte_level)(&w, err);
    put_templates(&w);
    free(w.room);
    return status;
}
