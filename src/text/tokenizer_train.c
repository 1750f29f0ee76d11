/* Learning a byte-level BPE vocabulary.  The text is cut by GPT-2's pattern; each
 * distinct word is kept once, with its count, in one long array of symbols.  Then,
 * again and again, the adjacent pair with the highest count becomes a symbol; of
 * equal counts the pair with the lower left id, then the lower right id.  Counts
 * and places of pairs are kept up to date, so a merge costs its own occurrences.
 *
 * Ids: 0..255 the bytes, then the merges in order, last <|endoftext|>, whose
 * occurrences in the text are borders.  A merge whose text is a token already (by
 * another way to cut it) maps to that token and takes no id. */
#include "text/tokenizer.h"
#include "base/file.h"
#include "base/random.h"
#include <stdlib.h>
#include <string.h>

#define END_OF_TEXT "<|endoftext|>"
#define LEAST 2                            /* a pair seen once is not worth a token */
#define LONGEST_TOKEN 256                  /* bytes */

/* ---- distinct words ------------------------------------------------------------------------ */

typedef struct { const char *text; size_t len; int64_t count; } word;
typedef struct { word *words; uint32_t *slots, mask; size_t n, room; size_t bytes; bool failed; } word_list;

static uint32_t word_slot(const word_list *w, const char *text, size_t len)
{
    uint32_t s = (uint32_t)hash_bytes(text, len, 0) & w->mask;
    for (; w->slots[s]; s = (s + 1) & w->mask) {
        const word *x = &w->words[w->slots[s] - 1];
        if (x->len == len && !memcmp(x->text, text, len)) break;
    }
    return s;
}

static bool words_grow(word_list *w)
{
    size_t room = w->room ? w->room * 2 : 4096;
    word *words = xrealloc(w->words, room, sizeof *words);
    if (words) w->words = words;
    free(w->slots);
    w->slots = xalloc(room * 2, sizeof *w->slots);
    if (!words || !w->slots || room > UINT32_MAX / 4) return false;
    w->room = room;
    w->mask = (uint32_t)(room * 2 - 1);
    for (size_t i = 0; i < w->n; i++) w->slots[word_slot(w, w->words[i].text, w->words[i].len)] = (uint32_t)i + 1;
    return true;
}

static void on_word(void *context, const char *text, size_t len)
{
    word_list *w = context;
    if (w->failed || (w->n == w->room && !words_grow(w))) { w->failed = true; return; }
    uint32_t s = word_slot(w, text, len);
    if (w->slots[s]) { w->words[w->slots[s] - 1].count++; return; }
    w->words[w->n++] = (word){ text, len, 1 };
    w->slots[s] = (uint32_t)w->n;
    w->bytes += len;
}

static void collect_words(word_list *w, const char *text, size_t len)
{
    const split_step gpt2 = { .kind = SPLIT_GPT2 };
    size_t border = sizeof END_OF_TEXT - 1;
    for (const char *end = text + len, *p; text < end; text = p + border) {
        p = memmem(text, (size_t)(end - text), END_OF_TEXT, border);
        split_text(&gpt2, 1, text, (size_t)((p ? p : end) - text), on_word, w);
        if (!p) break;
    }
}

/* ---- pairs ------------------------------------------------------------------------------------ */

typedef struct {
    int32_t left, right;
    int64_t count;                         /* occurrences, each times the count of its word */
    uint32_t *places;                      /* [n]; some may hold another pair by now */
    uint32_t n, room;
    bool unsorted, changed;                /* changed: among the trainer's changed ones */
} pair;

typedef struct { int64_t count; uint32_t pair; } turn;          /* the pair's count when it was queued */

typedef struct {
    int32_t *symbols;                      /* [length]; END between words, GONE where merged into what is before */
    uint32_t *previous, *next;             /* over what is GONE; words are apart by END */
    uint32_t *word_of;                     /* [length] */
    uint32_t length;
    const word *words;
    pair *pairs;
    size_t n_pairs, pairs_room;
    uint32_t *slots, mask;                 /* pair -> index + 1 */
    turn *queue;                           /* heap */
    size_t n_queue, queue_room;
    uint32_t *changed;                     /* pairs with new places since the last merge */
    size_t n_changed, changed_room;
    bool failed;                           /* out of memory */
} trainer;

enum { END = -1, GONE = -2 };

/* array with room for one more than `used`; NULL when memory is out, the array still the caller's. */
static void *grown(void *array, size_t *room, size_t used, size_t size)
{
    if (used < *room) return array;
    size_t wanted = *room ? *room * 2 : 1024;
    void *p = xrealloc(array, wanted, size);
    if (p) *room = wanted;
    return p;
}

static uint32_t pair_slot(const trainer *t, int32_t left, int32_t right)
{
    uint32_t s = (uint32_t)mix64((uint64_t)(uint32_t)left << 32 | (uint32_t)right) & t->mask;
    for (; t->slots[s]; s = (s + 1) & t->mask) {
        const pair *p = &t->pairs[t->slots[s] - 1];
        if (p->left == left && p->right == right) break;
    }
    return s;
}

static bool grow_slots(trainer *t)
{
    size_t size = t->slots ? ((size_t)t->mask + 1) * 2 : 1 << 16;
    free(t->slots);
    t->slots = xalloc(size, sizeof *t->slots);
    if (!t->slots || size > UINT32_MAX / 2) return false;
    t->mask = (uint32_t)(size - 1);
    for (size_t i = 0; i < t->n_pairs; i++) t->slots[pair_slot(t, t->pairs[i].left, t->pairs[i].right)] = (uint32_t)i + 1;
    return true;
}

/* Index of the pair, new if need be; UINT32_MAX when memory is out. */
static uint32_t pair_index(trainer *t, int32_t left, int32_t right)
{
    if ((!t->slots || t->n_pairs * 2 > t->mask) && !grow_slots(t)) { t->failed = true; return UINT32_MAX; }
    uint32_t s = pair_slot(t, left, right);
    if (t->slots[s]) return t->slots[s] - 1;
    pair *pairs = grown(t->pairs, &t->pairs_room, t->n_pairs, sizeof *pairs);
    if (!pairs) { t->failed = true; return UINT32_MAX; }
    t->pairs = pairs;
    t->pairs[t->n_pairs] = (pair){ .left = left, .right = right };
    t->slots[s] = (uint32_t)++t->n_pairs;
    return t->slots[s] - 1;
}

/* The pair that begins at `at` came into being. */
static void pair_appears(trainer *t, uint32_t at)
{
    int32_t right = t->symbols[t->next[at]];
    uint32_t i = t->failed || t->symbols[at] < 0 || right < 0 ? UINT32_MAX : pair_index(t, t->symbols[at], right);
    if (i == UINT32_MAX) return;
    pair *p = &t->pairs[i];
    if (p->n == p->room) {
        uint32_t room = p->room ? p->room * 2 : 4;
        uint32_t *places = xrealloc(p->places, room, sizeof *places);
        if (!places) { t->failed = true; return; }
        p->places = places;
        p->room = room;
    }
    if (p->n && p->places[p->n - 1] > at) p->unsorted = true;
    p->places[p->n++] = at;
    p->count += t->words[t->word_of[at]].count;
    if (p->changed) return;
    p->changed = true;
    uint32_t *changed = grown(t->changed, &t->changed_room, t->n_changed, sizeof *changed);
    if (!changed) { t->failed = true; return; }
    t->changed = changed;
    t->changed[t->n_changed++] = i;
}

static void pair_vanishes(trainer *t, uint32_t at)
{
    int32_t right = t->symbols[t->next[at]];
    if (t->failed || t->symbols[at] < 0 || right < 0) return;
    uint32_t i = pair_index(t, t->symbols[at], right);
    if (i != UINT32_MAX) t->pairs[i].count -= t->words[t->word_of[at]].count;
}

/* ---- whose turn it is ------------------------------------------------------------------------------ */

static bool sooner(const trainer *t, const turn *a, const turn *b)
{
    const pair *p = &t->pairs[a->pair], *q = &t->pairs[b->pair];
    if (a->count != b->count) return a->count > b->count;
    return p->left != q->left ? p->left < q->left : p->right < q->right;
}

static void queue_push(trainer *t, uint32_t i)
{
    turn x = { t->pairs[i].count, i };
    if (x.count < LEAST) return;
    turn *queue = grown(t->queue, &t->queue_room, t->n_queue, sizeof *queue);
    if (!queue) { t->failed = true; return; }
    t->queue = queue;
    size_t at = t->n_queue++;
    for (; at > 0 && sooner(t, &x, &t->queue[(at - 1) / 2]); at = (at - 1) / 2) t->queue[at] = t->queue[(at - 1) / 2];
    t->queue[at] = x;
}

static turn queue_pop(trainer *t)
{
    turn top = t->queue[0], last = t->queue[--t->n_queue];
    size_t at = 0;
    for (size_t child; (child = 2 * at + 1) < t->n_queue; at = child) {
        if (child + 1 < t->n_queue && sooner(t, &t->queue[child + 1], &t->queue[child])) child++;
        if (!sooner(t, &t->queue[child], &last)) break;
        t->queue[at] = t->queue[child];
    }
    t->queue[at] = last;
    return top;
}

static void queue_changed(trainer *t)
{
    for (size_t i = 0; i < t->n_changed; i++) {
        t->pairs[t->changed[i]].changed = false;
        queue_push(t, t->changed[i]);
    }
    t->n_changed = 0;
}

/* The most frequent pair, or UINT32_MAX.  A queued count that is no longer true
 * was too high: the pair goes back with its own; or another turn has the truth. */
static uint32_t best_pair(trainer *t)
{
    while (t->n_queue && !t->failed) {
        turn x = queue_pop(t);
        if (t->pairs[x.pair].count == x.count) return x.pair;
        if (t->pairs[x.pair].count < x.count) queue_push(t, x.pair);
    }
    return UINT32_MAX;
}

/* ---- merging ------------------------------------------------------------------------------------------ */

static int by_place(const void *x, const void *y)
{
    uint32_t a = *(const uint32_t *)x, b = *(const uint32_t *)y;
    return (a > b) - (a < b);
}

static void merge_at(trainer *t, uint32_t at, int32_t id)
{
    uint32_t right = t->next[at], before = t->previous[at], behind = t->next[right];
    pair_vanishes(t, before);
    pair_vanishes(t, right);
    t->symbols[at] = id;
    t->symbols[right] = GONE;
    t->next[at] = behind;
    t->previous[behind] = at;
    pair_appears(t, before);
    pair_appears(t, at);
}

static void merge_pair(trainer *t, uint32_t i, int32_t id)
{
    pair p = t->pairs[i];
    t->pairs[i] = (pair){ .left = p.left, .right = p.right };           /* merging may find new ones: x x x */
    if (p.unsorted) qsort(p.places, p.n, sizeof *p.places, by_place);
    for (uint32_t k = 0; k < p.n && !t->failed; k++) {
        uint32_t at = p.places[k];
        if (t->symbols[at] == p.left && t->symbols[t->next[at]] == p.right) merge_at(t, at, id);
    }
    t->pairs[i].count = 0;
    free(p.places);
    queue_changed(t);
}

/* Symbols END word END word ... END. */
static bool lay_out(trainer *t, const word_list *w)
{
    size_t length = w->bytes + w->n + 1;
    if (length >= UINT32_MAX) return false;
    t->symbols = xrealloc(NULL, length, sizeof *t->symbols);
    t->previous = xrealloc(NULL, length, sizeof *t->previous);
    t->next = xrealloc(NULL, length, sizeof *t->next);
    t->word_of = xrealloc(NULL, length, sizeof *t->word_of);
    if (!t->symbols || !t->previous || !t->next || !t->word_of) return false;
    t->words = w->words;
    t->length = (uint32_t)length;
    uint32_t at = 0;
    t->symbols[at++] = END;
    for (size_t i = 0; i < w->n; i++) {
        for (size_t k = 0; k < w->words[i].len; k++) {
            t->word_of[at] = (uint32_t)i;
            t->symbols[at++] = (unsigned char)w->words[i].text[k];
        }
        t->symbols[at++] = END;
    }
    for (uint32_t i = 0; i < t->length; i++) {
        t->previous[i] = i ? i - 1 : 0;
        t->next[i] = i + 1 < t->length ? i + 1 : i;
    }
    for (uint32_t i = 0; i < t->length; i++) pair_appears(t, i);
    queue_changed(t);
    return !t->failed;
}

static void trainer_free(trainer *t)
{
    for (size_t i = 0; i < t->n_pairs; i++) free(t->pairs[i].places);
    free(t->pairs); free(t->slots); free(t->queue); free(t->changed);
    free(t->symbols); free(t->previous); free(t->next); free(t->word_of);
}

/* ---- the vocabulary -------------------------------------------------------------------------------------- */

/* The token for a merge, new or an old one of the same text; -1: too long, -2: memory. */
static int32_t token_for(lithe_tokenizer *k, const pair *p)
{
    char both[LONGEST_TOKEN];
    size_t l, r;
    const char *left = pieces_bytes(&k->vocabulary, p->left, &l);
    const char *right = pieces_bytes(&k->vocabulary, p->right, &r);
    if (l + r > sizeof both) return -1;
    memcpy(both, left, l);
    memcpy(both + l, right, r);
    int32_t id = pieces_find(&k->vocabulary, both, l + r);
    if (id >= 0) return id;
    return pieces_add(&k->vocabulary, k->vocabulary.n, both, l + r, true) ? -2 : k->vocabulary.n - 1;
}

/* A pair that comes up again keeps the rank it has. */
static bool remember(lithe_tokenizer *k, size_t *room, const pair *p, int32_t id)
{
    if (bpe_find_merge(&k->bpe, p->left, p->right)) return true;
    int32_t (*pairs)[2] = grown(k->pairs, room, k->n_pairs, sizeof *pairs);
    if (!pairs) return false;
    k->pairs = pairs;
    k->pairs[k->n_pairs][0] = p->left;
    k->pairs[k->n_pairs][1] = p->right;
    return bpe_add_merge(&k->bpe, p->left, p->right, (int32_t)k->n_pairs++, id);
}

static int learn(lithe_tokenizer *k, trainer *t, int vocab, lithe_error *err)
{
    size_t room = 0;
    for (uint32_t i; k->vocabulary.n < vocab - 1 && (i = best_pair(t)) != UINT32_MAX; ) {
        int32_t id = token_for(k, &t->pairs[i]);
        if (id == -1) { t->pairs[i].count = 0; continue; }
        if (id == -2 || !remember(k, &room, &t->pairs[i], id)) { t->failed = true; break; }
        merge_pair(t, i, id);
    }
    if (t->failed) return fail(err, LITHE_ENOMEM, "tokenizer: training on this text does not fit in memory");
    if (k->vocabulary.n < vocab - 1)
        return fail(err, LITHE_EINVAL, "tokenizer: the text has pairs for %d tokens, not for %d: ask for at most %d, or give more text",
                    k->vocabulary.n + 1, vocab, k->vocabulary.n + 1);
    return LITHE_OK;
}

static int finish(lithe_tokenizer *k, lithe_error *err)
{
    added_entry end = { .text = END_OF_TEXT, .len = sizeof END_OF_TEXT - 1, .id = k->vocabulary.n, .special = true };
    k->split[k->n_split++] = (split_step){ .kind = SPLIT_GPT2 };
    tokenizer_find_bytes(k);
    if (tokenizer_add(&k->vocabulary, end.id, end.text, end.len, true, "tokenizer", err)) return err->status;
    if (tokenizer_add_entry(k, end, "tokenizer", err)) return err->status;
    return tokenizer_finish(k, "tokenizer", err);
}

lithe_tokenizer *lithe_tokenizer_train(const char *text, size_t len, int vocab, lithe_error *err)
{
    lithe_error local = { 0 };
    if (!err) err = &local;
    if (!failed(err) && (vocab < 257 || vocab > PIECES_ID_LIMIT || (!text && len)))
        fail(err, LITHE_EINVAL, "tokenizer: a vocabulary of %d, expected 257 (bytes and " END_OF_TEXT ") to %d", vocab, PIECES_ID_LIMIT);
    lithe_tokenizer *k = tokenizer_new(err);
    word_list words = { 0 };
    trainer t = { 0 };
    for (int i = 0; k && i < 256; i++) tokenizer_add(&k->vocabulary, i, &(char){ (char)i }, 1, true, "tokenizer", err);
    if (k && !failed(err)) {
        if (len) collect_words(&words, text, len);
        if (words.failed || !lay_out(&t, &words)) fail(err, LITHE_ENOMEM, "tokenizer: training on this text does not fit in memory");
        else if (!learn(k, &t, vocab, err)) finish(k, err);
    }
    trainer_free(&t);
    free(words.words);
    free(words.slots);
    if (k && !failed(err)) return k;
    lithe_tokenizer_close(k);
    return NULL;
}
