/* What all tokenizers share: construction, and encoding. */
#include "text/tokenizer.h"
#include "text/byte_alphabet.h"
#include "text/layout.h"
#include "text/pattern.h"
#include "base/utf8.h"
#include <stdlib.h>
#include <string.h>

/* ---- life ------------------------------------------------------------------------------ */

lithe_tokenizer *tokenizer_new(lithe_error *err)
{
    if (failed(err)) return NULL;
    lithe_tokenizer *t = xalloc(1, sizeof *t);
    if (t && bpe_init(&t->bpe, &t->vocabulary)) {
        for (int i = 0; i < ROLES; i++) t->role[i] = -1;
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
    for (int i = 0; i < t->n_normal; i++) pattern_free(t->normal[i].pattern);
    bpe_free(&t->bpe);
    trie_free(&t->tree);
    trie_free(&t->defined_tree);
    pieces_free(&t->defined);
    free(t->unigram.scores);
    charsmap_close(&t->charsmap);
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

/* The id of an entry is its own, or that of the token of the vocabulary with the same text. */
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

static bool is_plain(const added_entry *e)      { return !e->normalized; }
static bool is_normalized(const added_entry *e) { return e->normalized; }
static bool is_ordinary(const added_entry *e)   { return e->normalized && !e->special; }
static bool is_plain_ordinary(const added_entry *e) { return !e->normalized && !e->special; }

/* The entries of a kind, whose text is normalized where it is found after normalizing. */
static int make_matcher(lithe_tokenizer *t, bool (*chosen)(const added_entry *e), bool normalized, added_tokens *out, lithe_error *err)
{
    size_t n = 0;
    added_token *tokens = arena_alloc(&t->memory, (t->n_entries + 1) * sizeof *tokens);
    if (!tokens) return fail(err, LITHE_ENOMEM, "tokenizer: out of memory");
    for (size_t i = 0; i < t->n_entries; i++) {
        const added_entry *e = &t->entries[i];
        if (!chosen(e)) continue;
        size_t len = e->len;
        char *form = normalized ? normalize(t->normal, t->n_normal, e->text, e->len, &len, NULL) : NULL;
        const char *text = e->text;
        if (form && form != e->text) {
            char *kept = arena_alloc(&t->memory, len + 1);
            if (kept) memcpy(kept, form, len);
            free(form);
            if (!(text = kept)) return fail(err, LITHE_ENOMEM, "tokenizer: out of memory");
        }
        tokens[n++] = (added_token){ text, len, e->id, e->single_word, e->lstrip, e->rstrip, e->special };
    }
    added_tokens_init(out, tokens, n);
    return LITHE_OK;
}

static bool has_entry(const lithe_tokenizer *t, int32_t id)
{
    for (size_t i = 0; i < t->n_entries; i++) if (t->entries[i].id == id) return true;
    return false;
}

int tokenizer_match_first(lithe_tokenizer *t, lithe_error *err)
{
    size_t n = 0;
    added_token *tokens = arena_alloc(&t->memory, (t->n_entries + ROLES) * sizeof *tokens);
    if (!tokens) return fail(err, LITHE_ENOMEM, "tokenizer: out of memory");
    for (size_t i = 0; i < t->n_entries; i++) {
        const added_entry *e = &t->entries[i];
        if (!e->normalized || e->special) tokens[n++] = (added_token){ e->text, e->len, e->id, e->single_word, e->lstrip, e->rstrip, e->special };
    }
    for (int i = 0; i < ROLES; i++) {
        const int32_t id = t->role[i];
        if (!pieces_has(&t->vocabulary, id) || has_entry(t, id)) continue;
        added_token one = { .id = id, .special = true };
        one.text = pieces_bytes(&t->vocabulary, id, &one.len);
        if (one.len && one.len <= ADDED_TOKEN_LIMIT) tokens[n++] = one;
    }
    added_tokens_init(&t->first, tokens, n);
    return LITHE_OK;
}

/* Whether merges never join a space to the text before it. */
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

int tokenizer_keep_source(lithe_tokenizer *t, const char *text, size_t len, const char *what, lithe_error *err)
{
    t->source = xrealloc(NULL, len + 1, 1);
    if (!t->source) return fail(err, LITHE_ENOMEM, "%s: out of memory", what);
    memcpy(t->source, text, len);
    t->source_bytes = len;
    return LITHE_OK;
}

int tokenizer_add_template(lithe_tokenizer *t, const char *name, const char *text, size_t len, const char *what, lithe_error *err)
{
    char *copy = arena_alloc(&t->memory, len + 1);
    named_template *one = arena_alloc(&t->memory, sizeof *one);
    const char *named = arena_strdup(&t->memory, name);
    if (!copy || !one || !named) return fail(err, LITHE_ENOMEM, "%s: out of memory", what);
    memcpy(copy, text, len);
    if (!strcmp(name, "default")) { t->chat_template = copy; return LITHE_OK; }
    for (named_template *old = t->templates; old; old = old->next)
        if (!strcmp(old->name, name)) { old->text = copy; return LITHE_OK; }
    *one = (named_template){ named, copy, t->templates };
    t->templates = one;
    return LITHE_OK;
}

const char *lithe_tokenizer_chat_template(const lithe_tokenizer *t) { return t ? t->chat_template : NULL; }

/* Whether the mark is a piece, and no piece has a mark after another character. */
static bool pieces_divide(const pieces *p, const char *mark)
{
    size_t m = strlen(mark), len;
    if (pieces_find(p, mark, m) < 0) return false;
    for (int32_t id = 0; id < p->n; id++) {
        const char *bytes = pieces_has(p, id) ? pieces_bytes(p, id, &len) : NULL;
        if (!bytes || pieces_find(p, bytes, len) != id) continue;
        while (len >= m && !memcmp(bytes, mark, m)) { bytes += m; len -= m; }
        if (memmem(bytes, len, mark, m)) return false;
    }
    return true;
}

static int make_tree(lithe_tokenizer *t, const char *what, lithe_error *err)
{
    if (!trie_build(&t->tree, &t->vocabulary)) return fail(err, LITHE_ENOMEM, "%s: vocabulary does not fit in memory", what);
    t->wordpiece.tree = &t->tree;
    if (t->prefix) t->wordpiece.inside = trie_walk(&t->tree, t->prefix, strlen(t->prefix));
    return LITHE_OK;
}

static int match_entries(lithe_tokenizer *t, lithe_error *err)
{
    return make_matcher(t, t->splits_special ? is_plain_ordinary : is_plain, false, &t->plain, err)
        || make_matcher(t, t->splits_special ? is_ordinary : is_normalized, true, &t->normalized, err)
        || make_matcher(t, is_ordinary, true, &t->ordinary, err) ? (int)err->status : LITHE_OK;
}

int tokenizer_split_special(lithe_tokenizer *t, lithe_error *err)
{
    t->splits_special = true;
    return match_entries(t, err);
}

/* Makes the entries from number `first` on tokens that are found in texts. */
static int find_entries(lithe_tokenizer *t, size_t first, const char *what, lithe_error *err)
{
    for (size_t i = first; i < t->n_entries && !failed(err); i++) {
        const added_entry *e = &t->entries[i];
        if (tokenizer_add(&t->added, e->id, e->text, e->len, true, what, err)) return err->status;
        check_entry(t, e, what, err);
    }
    return failed(err) ? (int)err->status : match_entries(t, err);
}

int tokenizer_take_entries(lithe_tokenizer *t, size_t first, const char *what, lithe_error *err)
{
    if (find_entries(t, first, what, err)) return err->status;
    t->later = t->later ? t->later : first;
    t->flags = NULL;                                                        /* of the arena; there are more ids now */
    tokenizer_name_roles(t);
    return tokenizer_flag(t, what, err);
}

int tokenizer_finish(lithe_tokenizer *t, const char *what, lithe_error *err)
{
    if (find_entries(t, 0, what, err)) return err->status;
    const char *mark = t->mark ? t->mark : " ";
    if (t->model != MODEL_BPE && make_tree(t, what, err)) return err->status;
    bool apart = t->model == MODEL_UNIGRAM ? !t->defined.n && pieces_divide(&t->vocabulary, mark) : t->model == MODEL_BPE && t->bpe.characters && marks_divide(t, mark);
    if (apart && !t->n_split)
        t->split[t->n_split++] = (split_step){ .kind = SPLIT_MARKS, .mark = mark };
    if (!lithe_tokenizer_vocab(t)) return fail(err, LITHE_EFORMAT, "%s: vocabulary is empty", what);
    tokenizer_name_roles(t);
    return tokenizer_flag(t, what, err);
}

/* ---- encoding -------------------------------------------------------------------------------- */

/* first: where the text begins, then its first piece after normalizing; NULL: later in the text.  spans [sink.cap] (or
 * NULL) receives where the tokens are; text, origin: the whole text, and where the current piece of it comes from;
 * words: those so far, which are not counted where merges alone divide them. */
typedef struct {
    lithe_tokenizer *t; id_sink sink; const added_tokens *normalized; const char *first;
    lithe_span *spans; const char *text; text_origin origin; int32_t words;
} encoding;

/* The tokens from number `from` on are those of the text, a part of the current piece.  Tokens that end together, as
 * the bytes of unknown characters, are in the same place. */
static void put_spans(encoding *e, size_t from, const char *text)
{
    const size_t n = e->sink.n < e->sink.cap ? e->sink.n : e->sink.cap;
    for (size_t i = from, at = 0, end = 0; i < n; i++) {
        if (e->sink.ends[i] != end) { at = end; end = e->sink.ends[i]; }
        const text_range r = text_came_from(&e->origin, text + at, end > at ? end - at : 0);
        e->spans[i] = (lithe_span){ r.begin, r.end, e->words };
    }
}

static void put_added(encoding *e, const char *text, size_t len, int32_t id)
{
    const size_t from = e->sink.n;
    id_put_to(&e->sink, id, len);
    if (e->spans) put_spans(e, from, text);
    e->words++;
}

/* The vocabulary has all bytes, so there is always a piece. */
static void take_longest(const trie *tree, const char *text, size_t len, id_sink *out)
{
    for (size_t at = 0, k = 1; at < len; at += k) {
        int32_t id = trie_longest(tree, 0, text + at, len - at, &k);
        if (id >= 0) id_put_to(out, id, at + k);
    }
}

static void take_bpe(bpe *b, const char *text, size_t len, id_sink *out)
{
    const size_t from = out->n;
    bpe_encode(b, text, len, out);
    if (out->ends && from < out->cap) bpe_ends(b, text, len, out->ids + from, (out->n < out->cap ? out->n : out->cap) - from, out->ends + from);
}

static void take_word(const lithe_tokenizer *t, const char *text, size_t len, id_sink *out)
{
    const int32_t id = pieces_find(&t->vocabulary, text, len);
    id_put_to(out, id < 0 ? t->bpe.unknown : id, len);
}

static void encode_word(encoding *e, const char *text, size_t len)
{
    const int32_t defined = e->t->defined.n ? pieces_find(&e->t->defined, text, len) : -1;
    if (defined >= 0) { id_put_to(&e->sink, defined, len); return; }
    switch (e->t->model) {
    case MODEL_BPE:       take_bpe(&e->t->bpe, text, len, &e->sink); break;
    case MODEL_WORDPIECE: wordpiece_encode(&e->t->wordpiece, text, len, &e->sink); break;
    case MODEL_UNIGRAM:   unigram_encode(&e->t->unigram, text, len, &e->sink); break;
    case MODEL_WORDLEVEL: take_word(e->t, text, len, &e->sink); break;
    case MODEL_LONGEST:   take_longest(&e->t->tree, text, len, &e->sink); break;
    }
}

static void on_word(void *context, const char *text, size_t len)
{
    encoding *e = context;
    const size_t from = e->sink.n;
    encode_word(e, text, len);
    if (e->spans) put_spans(e, from, text);
    if (e->t->split[0].kind != SPLIT_MARKS) e->words++;
}

static void on_normal_piece(void *context, const char *text, size_t len, int32_t id)
{
    encoding *e = context;
    if (id >= 0) { put_added(e, text, len, id); return; }
    split_text(e->t->split, e->t->n_split, text, len, text == e->first, on_word, e, e->spans ? &e->origin : NULL);
    if (e->t->split[0].kind == SPLIT_MARKS) e->words++;
}

static void on_plain_piece(void *context, const char *text, size_t len, int32_t id)
{
    encoding *e = context;
    e->origin = (text_origin){ text, (size_t)(text - e->text), NULL };
    if (id >= 0) { put_added(e, text, len, id); return; }
    size_t n;
    char *form = normalize(e->t->normal, e->t->n_normal, text, len, &n, e->spans ? &e->origin : NULL);
    const char *const begin = e->first;
    e->first = text == begin ? form : NULL;
    if (n) added_tokens_cut(e->normalized, form, NULL, n, on_normal_piece, e);
    e->first = begin;
    if (form != text) free(form);
    free(e->origin.range);
}

size_t lithe_encode(const lithe_tokenizer *t, const char *text, size_t len, int special, int32_t *ids, size_t cap)
{
    if (!t) return 0;
    encoding e = { .t = (lithe_tokenizer *)(uintptr_t)t, .sink = { .ids = ids, .cap = ids ? cap : 0 }, .normalized = &t->normalized, .first = text, .text = text };
    const frame around = special ? layout_of(t).one : (frame){ 0 };
    for (size_t i = 0; i < around.before.n; i++) id_put(&e.sink, around.before.ids[i]);
    if (text && len) added_tokens_cut(&t->plain, text, NULL, len, on_plain_piece, &e);
    for (size_t i = 0; i < around.after.n; i++) id_put(&e.sink, around.after.ids[i]);
    return e.sink.n;
}

/* A token's place on whole characters; where the tokenizer says so, without the spaces that are in the token. */
static void finish_span(const lithe_tokenizer *t, const char *text, size_t len, int32_t id, bool first, lithe_span *s)
{
    size_t n = 0, leading = 0, trailing = 0;
    const char *bytes = t->trims && pieces_has(&t->vocabulary, id) ? pieces_bytes(&t->vocabulary, id, &n) : "";
    while (s->begin > 0 && s->begin < len && utf8_tail((unsigned char)text[s->begin])) s->begin--;
    while (s->end > s->begin && s->end < len && utf8_tail((unsigned char)text[s->end])) s->end++;
    while (leading < n && bytes[leading] == ' ') leading++;
    while (trailing < n && bytes[n - 1 - trailing] == ' ') trailing++;
    if (leading && (first || !s->begin) && t->trims_less) leading--;
    s->begin = s->begin + leading < s->end ? s->begin + leading : s->end;
    s->end = s->end >= trailing && s->end - trailing > s->begin ? s->end - trailing : s->end >= trailing ? s->begin : s->end;
}

size_t lithe_encode_spans(const lithe_tokenizer *t, const char *text, size_t len, int32_t *ids, lithe_span *spans, size_t cap)
{
    size_t *ends = t && ids && spans ? xrealloc(NULL, cap + 1, sizeof *ends) : NULL;
    if (!ends) return t && text && !ids ? lithe_encode(t, text, len, 0, NULL, 0) : 0;
    encoding e = { .t = (lithe_tokenizer *)(uintptr_t)t, .sink = { ids, 0, cap, ends }, .normalized = &t->normalized, .first = text, .spans = spans, .text = text };
    if (text && len) added_tokens_cut(&t->plain, text, NULL, len, on_plain_piece, &e);
    for (size_t i = 0; i < e.sink.n && i < cap; i++) finish_span(t, text, len, ids[i], i == 0, &spans[i]);
    free(ends);
    return e.sink.n;
}

size_t lithe_encode_rendered(const lithe_tokenizer *t, const lithe_rendered *r, int32_t *ids, size_t cap)
{
    if (!t || !r || !r->n) return 0;
    encoding e = { .t = (lithe_tokenizer *)(uintptr_t)t, .sink = { .ids = ids, .cap = ids ? cap : 0 }, .normalized = &t->ordinary, .first = r->text, .text = r->text };
    added_tokens_cut(&t->first, r->text, r->user, r->n, on_plain_piece, &e);
    return e.sink.n;
}

int lithe_tokenizer_vocab(const lithe_tokenizer *t)
{
    if (!t) return 0;
    return t->vocabulary.n > t->added.n ? t->vocabulary.n : t->added.n;
}
