#include "serve/prefix_store.h"
#include "base/arena.h"
#include "infer/session.h"
#include <stdlib.h>
#include <string.h>

/* Rows from..length-1 of keys and values, recurrent states after `length` ids if it is whole, logits after them. */
struct prefix {
    prefix *next, *newer, *older;
    const lithe_engine *engine;
    chain key;
    size_t length, from, bytes;
    bool whole;
    float *logits;                      /* NULL: none */
    int32_t *ids;                       /* (length) */
    char states[];
};

/* ---- what engines have ----------------------------------------------------------------- */

typedef struct { bool rows, recurrent; } kinds;

static kinds kinds_of(const lithe_engine *e)
{
    kinds k = { 0 };
    for (int i = 0; i < engine_states(e); i++) {
        slot_state x = engine_state(e, i, 0);
        k.recurrent |= x.recurrent;
        k.rows |= !x.recurrent;
    }
    return k;
}

/* The part of a state that an entry has: its bytes, and where they begin. */
static size_t part_of(const slot_state *x, const prefix *p, size_t *offset)
{
    *offset = x->recurrent ? 0 : stored_bytes(x->type, p->from * (size_t)x->width);
    if (x->recurrent) return p->whole ? stored_bytes(x->type, (size_t)x->width) : 0;
    return stored_bytes(x->type, (p->length - p->from) * (size_t)x->width);
}

static size_t states_bytes(const lithe_engine *e, const prefix *p)
{
    size_t bytes = 0, offset;
    for (int i = 0; i < engine_states(e); i++) {
        slot_state x = engine_state(e, i, 0);
        bytes += part_of(&x, p, &offset);
    }
    return bytes;
}

static void copy_states(lithe_engine *e, int slot, prefix *p, bool restore)
{
    char *at = p->states;
    for (int i = 0; i < engine_states(e); i++) {
        size_t offset;
        slot_state x = engine_state(e, i, slot);
        size_t n = part_of(&x, p, &offset);
        char *there = (char *)x.data + offset;
        if (n) memcpy(restore ? there : at, restore ? at : there, n);
        at += n;
    }
}

/* ---- the store --------------------------------------------------------------------------- */

static prefix **list_of(prefix_store *s, chain key) { return &s->list[key.a % PREFIX_LISTS]; }

static prefix *find(prefix_store *s, const lithe_engine *e, chain key, const int32_t *ids, size_t n)
{
    prefix *p = *list_of(s, key);
    while (p && !(p->engine == e && p->length == n && p->key.a == key.a && p->key.b == key.b && !memcmp(p->ids, ids, n * sizeof *ids))) p = p->next;
    return p;
}

static void unlink_age(prefix_store *s, prefix *p)
{
    *(p->newer ? &p->newer->older : &s->newest) = p->older;
    *(p->older ? &p->older->newer : &s->oldest) = p->newer;
}

static void link_age(prefix_store *s, prefix *p)
{
    p->newer = NULL;
    p->older = s->newest;
    *(s->newest ? &s->newest->newer : &s->oldest) = p;
    s->newest = p;
}

static void use(prefix_store *s, prefix *p)
{
    unlink_age(s, p);
    link_age(s, p);
}

static void drop(prefix_store *s, prefix *p)
{
    prefix **at = list_of(s, p->key);
    while (*at != p) at = &(*at)->next;
    *at = p->next;
    unlink_age(s, p);
    atomic_fetch_sub(&s->bytes, p->bytes);
    free(p->ids);
    free(p->logits);
    free(p);
}

void prefix_store_close(prefix_store *s) { while (s->oldest) drop(s, s->oldest); }

/* ---- keeping ------------------------------------------------------------------------------- */

static bool make_room(prefix_store *s, size_t bytes)
{
    if (bytes > s->most) return false;
    while (atomic_load(&s->bytes) + bytes > s->most && s->oldest) drop(s, s->oldest);
    return true;
}

static void fill(prefix *p, lithe_engine *e, int slot, const int32_t *ids, const float *logits, size_t vocab)
{
    memcpy(p->ids, ids, p->length * sizeof *ids);
    if (logits) memcpy(p->logits, logits, vocab * sizeof *logits);
    copy_states(e, slot, p, false);
}

/* Adds an entry like `shape`, in place of one that has less. */
static void add(prefix_store *s, lithe_engine *e, int slot, const prefix *shape, const int32_t *ids, const float *logits, size_t vocab)
{
    prefix *known = find(s, e, shape->key, ids, shape->length);
    if (known && known->whole >= shape->whole && (known->logits || !logits)) { use(s, known); return; }
    if (known) drop(s, known);
    size_t states = states_bytes(e, shape), bytes = sizeof *shape + states + shape->length * sizeof *ids + (logits ? vocab * sizeof *logits : 0);
    prefix *p = make_room(s, bytes) ? xalloc(1, sizeof *p + states) : NULL;
    if (!p) return;
    *p = *shape;
    p->bytes = bytes;
    p->ids = malloc(p->length * sizeof *ids);
    p->logits = logits ? malloc(vocab * sizeof *logits) : NULL;
    if (!p->ids || (logits && !p->logits)) { free(p->ids), free(p->logits), free(p); return; }
    fill(p, e, slot, ids, logits, vocab);
    p->next = *list_of(s, p->key);
    *list_of(s, p->key) = p;
    link_age(s, p);
    atomic_fetch_add(&s->bytes, bytes);
}

void prefix_keep(prefix_store *s, lithe_engine *e, int slot, const int32_t *ids, size_t n, const float *logits, int vocab)
{
    const kinds k = kinds_of(e);
    chain key = { 0 };
    if (!s->most || !n) return;
    for (size_t i = 1; i <= n; i++) {
        key = chain_add(key, ids[i - 1]);
        bool page = k.rows && i % PREFIX_PAGE == 0, end = i == n;
        const prefix shape = { .engine = e, .key = key, .length = i, .from = k.rows ? (i - 1) / PREFIX_PAGE * PREFIX_PAGE : i, .whole = end || !k.recurrent };
        if (page || end) add(s, e, slot, &shape, ids, end ? logits : NULL, (size_t)vocab);
    }
}

/* ---- finding --------------------------------------------------------------------------------- */

/* The chain of each beginning, (n + 1). */
static chain *chains_of(const int32_t *ids, size_t n)
{
    chain *all = xalloc(n + 1, sizeof *all);
    for (size_t i = 0; all && i < n; i++) all[i + 1] = chain_add(all[i], ids[i]);
    return all;
}

/* The ids of the whole pages that are known. */
static size_t known_pages(prefix_store *s, const lithe_engine *e, const chain *keys, const int32_t *ids, size_t n)
{
    size_t at = 0;
    while (at + PREFIX_PAGE <= n && find(s, e, keys[at + PREFIX_PAGE], ids, at + PREFIX_PAGE)) at += PREFIX_PAGE;
    return at;
}

static prefix *longest(prefix_store *s, const lithe_engine *e, const chain *keys, const int32_t *ids, size_t n)
{
    const kinds k = kinds_of(e);
    size_t pages = k.rows ? known_pages(s, e, keys, ids, n) : 0;
    for (size_t i = n; i > 0; i--) {
        prefix *p = find(s, e, keys[i], ids, i);
        if (p && p->whole && (!k.rows || p->from <= pages) && (i < n || p->logits)) return p;
    }
    return NULL;
}

size_t prefix_restore(prefix_store *s, lithe_engine *e, int slot, const int32_t *ids, size_t n, float *logits, int vocab)
{
    chain *keys = s->most ? chains_of(ids, n) : NULL;
    prefix *p = keys ? longest(s, e, keys, ids, n) : NULL;
    size_t length = p ? p->length : 0;
    for (size_t at = PREFIX_PAGE; p && p->from < length && at <= p->from; at += PREFIX_PAGE) {
        prefix *page = find(s, e, keys[at], ids, at);
        copy_states(e, slot, page, true);
        use(s, page);
    }
    if (p) {
        copy_states(e, slot, p, true);
        use(s, p);
        engine_place(e, slot, length);
        if (length == n) memcpy(logits, p->logits, (size_t)vocab * sizeof *logits);
        atomic_fetch_add(&s->restored, length);
    }
    free(keys);
    return length;
}
