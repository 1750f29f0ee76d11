/* A heap of candidates, each a pair and the count it had when it was queued; a candidate
 * whose count has changed since is corrected when it reaches the top. */
#include "text/pair_learner.h"
#include "base/arena.h"
#include "base/random.h"
#include <stdlib.h>

#define LEAST 2                            /* a pair that occurs once is not worth a token */

void *grown(void *array, size_t *room, size_t used, size_t size)
{
    if (used < *room) return array;
    size_t wanted = *room ? *room * 2 : 1024;
    void *p = xrealloc(array, wanted, size);
    if (p) *room = wanted;
    return p;
}

static uint32_t pair_slot(const pair_learner *t, int32_t left, int32_t right)
{
    uint32_t s = (uint32_t)mix64((uint64_t)(uint32_t)left << 32 | (uint32_t)right) & t->mask;
    for (; t->slots[s]; s = (s + 1) & t->mask) {
        const symbol_pair *p = &t->pairs[t->slots[s] - 1];
        if (p->left == left && p->right == right) break;
    }
    return s;
}

static bool grow_slots(pair_learner *t)
{
    size_t size = t->slots ? ((size_t)t->mask + 1) * 2 : 1 << 16;
    free(t->slots);
    t->slots = xalloc(size, sizeof *t->slots);
    if (!t->slots || size > UINT32_MAX / 2) return false;
    t->mask = (uint32_t)(size - 1);
    for (size_t i = 0; i < t->n_pairs; i++) t->slots[pair_slot(t, t->pairs[i].left, t->pairs[i].right)] = (uint32_t)i + 1;
    return true;
}

/* The index of the pair, which is added if it is new; UINT32_MAX if memory is out. */
static uint32_t pair_index(pair_learner *t, int32_t left, int32_t right)
{
    if ((!t->slots || t->n_pairs * 2 > t->mask) && !grow_slots(t)) { t->failed = true; return UINT32_MAX; }
    uint32_t s = pair_slot(t, left, right);
    if (t->slots[s]) return t->slots[s] - 1;
    symbol_pair *pairs = grown(t->pairs, &t->pairs_room, t->n_pairs, sizeof *pairs);
    if (!pairs) { t->failed = true; return UINT32_MAX; }
    t->pairs = pairs;
    t->pairs[t->n_pairs] = (symbol_pair){ .left = left, .right = right };
    t->slots[s] = (uint32_t)++t->n_pairs;
    return t->slots[s] - 1;
}

/* Counts the pair that now begins at `at`. */
static void pair_appears(pair_learner *t, uint32_t at)
{
    int32_t right = t->symbols[t->next[at]];
    uint32_t i = t->failed || t->symbols[at] < 0 || right < 0 ? UINT32_MAX : pair_index(t, t->symbols[at], right);
    if (i == UINT32_MAX) return;
    symbol_pair *p = &t->pairs[i];
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

static void pair_vanishes(pair_learner *t, uint32_t at)
{
    int32_t right = t->symbols[t->next[at]];
    if (t->failed || t->symbols[at] < 0 || right < 0) return;
    uint32_t i = pair_index(t, t->symbols[at], right);
    if (i != UINT32_MAX) t->pairs[i].count -= t->words[t->word_of[at]].count;
}

/* ---- the queue --------------------------------------------------------------------------------------- */

static bool sooner(const pair_learner *t, const turn *a, const turn *b)
{
    const symbol_pair *p = &t->pairs[a->pair], *q = &t->pairs[b->pair];
    if (a->count != b->count) return a->count > b->count;
    return p->left != q->left ? p->left < q->left : p->right < q->right;
}

static void queue_push(pair_learner *t, uint32_t i)
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

static turn queue_pop(pair_learner *t)
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

static void queue_changed(pair_learner *t)
{
    for (size_t i = 0; i < t->n_changed; i++) {
        t->pairs[t->changed[i]].changed = false;
        queue_push(t, t->changed[i]);
    }
    t->n_changed = 0;
}

/* A queued count that has changed was too high: the pair is queued again with its present count, unless it
 * is in the queue with that count already. */
uint32_t pair_learner_best(pair_learner *t)
{
    while (t->n_queue && !t->failed) {
        turn x = queue_pop(t);
        if (t->pairs[x.pair].count == x.count) return x.pair;
        if (t->pairs[x.pair].count < x.count) queue_push(t, x.pair);
    }
    return NO_PAIR;
}

/* ---- merging ------------------------------------------------------------------------------------------ */

static int by_place(const void *x, const void *y)
{
    uint32_t a = *(const uint32_t *)x, b = *(const uint32_t *)y;
    return (a > b) - (a < b);
}

static void merge_at(pair_learner *t, uint32_t at, int32_t id)
{
    uint32_t right = t->next[at], before = t->previous[at], after = t->next[right];
    pair_vanishes(t, before);
    pair_vanishes(t, right);
    t->symbols[at] = id;
    t->symbols[right] = SYMBOL_GONE;
    t->next[at] = after;
    t->previous[after] = at;
    pair_appears(t, before);
    pair_appears(t, at);
}

void pair_learner_merge(pair_learner *t, uint32_t i, int32_t id)
{
    symbol_pair p = t->pairs[i];
    t->pairs[i] = (symbol_pair){ .left = p.left, .right = p.right };           /* merging may find new places: x x x */
    if (p.unsorted) qsort(p.places, p.n, sizeof *p.places, by_place);
    for (uint32_t k = 0; k < p.n && !t->failed; k++) {
        uint32_t at = p.places[k];
        if (t->symbols[at] == p.left && t->symbols[t->next[at]] == p.right) merge_at(t, at, id);
    }
    t->pairs[i].count = 0;
    free(p.places);
    queue_changed(t);
}

/* The symbols of the words, each after a boundary. */
static uint32_t lay_symbols(pair_learner *t, const word_counts *w, symbols_of symbols, void *context)
{
    uint32_t at = 0;
    t->symbols[at++] = SYMBOL_END;
    for (size_t i = 0; i < w->n; i++) {
        size_t n = symbols(context, &w->words[i], t->symbols + at);
        for (size_t k = 0; k < n; k++) t->word_of[at++] = (uint32_t)i;
        t->symbols[at++] = SYMBOL_END;
    }
    return at;
}

bool pair_learner_begin(pair_learner *t, const word_counts *w, symbols_of symbols, void *context)
{
    size_t most = w->bytes + w->n + 1;
    if (w->failed || most >= UINT32_MAX) return false;
    t->symbols = xrealloc(NULL, most, sizeof *t->symbols);
    t->previous = xrealloc(NULL, most, sizeof *t->previous);
    t->next = xrealloc(NULL, most, sizeof *t->next);
    t->word_of = xalloc(most, sizeof *t->word_of);
    if (!t->symbols || !t->previous || !t->next || !t->word_of) return false;
    t->words = w->words;
    t->length = lay_symbols(t, w, symbols, context);
    for (uint32_t i = 0; i < t->length; i++) {
        t->previous[i] = i ? i - 1 : 0;
        t->next[i] = i + 1 < t->length ? i + 1 : i;
    }
    for (uint32_t i = 0; i < t->length; i++) pair_appears(t, i);
    queue_changed(t);
    return !t->failed;
}

void pair_learner_free(pair_learner *t)
{
    for (size_t i = 0; i < t->n_pairs; i++) free(t->pairs[i].places);
    free(t->pairs); free(t->slots); free(t->queue); free(t->changed);
    free(t->symbols); free(t->previous); free(t->next); free(t->word_of);
}
