/* When the pieces are sorted, those below a node are a range, and each next byte in the
 * range is a child: one pass over the nodes in their order makes all of them. */
#include "text/trie.h"
#include "base/arena.h"
#include <stdlib.h>

typedef struct { const char *bytes; size_t len; int32_t id; } key;
typedef struct { uint32_t from, to, depth; } range;         /* of keys, which share `depth` bytes */

static int by_bytes(const void *x, const void *y)
{
    const key *a = x, *b = y;
    int order = memcmp(a->bytes, b->bytes, a->len < b->len ? a->len : b->len);
    return order ? order : (a->len > b->len) - (a->len < b->len);
}

static size_t shared_bytes(const key *a, const key *b)
{
    size_t n = 0;
    while (n < a->len && n < b->len && a->bytes[n] == b->bytes[n]) n++;
    return n;
}

/* The *n keys, sorted, whose tree has *nodes nodes.  NULL: out of memory. */
static key *sorted_keys(const pieces *p, uint32_t *n, size_t *nodes)
{
    key *keys = xrealloc(NULL, (size_t)p->n + 1, sizeof *keys);
    *n = 0;
    for (int32_t id = 0; keys && id < p->n; id++) {
        size_t len;
        const char *bytes = pieces_has(p, id) ? pieces_bytes(p, id, &len) : NULL;
        if (bytes && pieces_find(p, bytes, len) == id) keys[(*n)++] = (key){ bytes, len, id };
    }
    if (*n) qsort(keys, *n, sizeof *keys, by_bytes);
    *nodes = 1;
    for (uint32_t i = 0; i < *n; i++) *nodes += keys[i].len - (i ? shared_bytes(&keys[i - 1], &keys[i]) : 0);
    return keys;
}

static void make_children(trie *t, range *ranges, const key *keys, uint32_t node)
{
    range r = ranges[node];
    t->id[node] = -1;
    t->first[node] = t->n;
    for (; r.from < r.to && keys[r.from].len == r.depth; r.from++) t->id[node] = keys[r.from].id;
    for (uint32_t from = r.from, to; from < r.to; from = to) {
        char byte = keys[from].bytes[r.depth];
        for (to = from + 1; to < r.to && keys[to].bytes[r.depth] == byte; ) to++;
        t->label[t->n] = (uint8_t)byte;
        ranges[t->n++] = (range){ from, to, r.depth + 1 };
    }
}

bool trie_build(trie *t, const pieces *p)
{
    uint32_t n;
    size_t nodes;
    *t = (trie){ 0 };
    key *keys = sorted_keys(p, &n, &nodes);
    range *ranges = keys && nodes < TRIE_NONE ? xrealloc(NULL, nodes, sizeof *ranges) : NULL;
    t->first = ranges ? xrealloc(NULL, nodes + 1, sizeof *t->first) : NULL;
    t->label = ranges ? xrealloc(NULL, nodes, 1) : NULL;
    t->id = ranges ? xrealloc(NULL, nodes, sizeof *t->id) : NULL;
    bool made = t->first && t->label && t->id;
    if (made) {
        ranges[0] = (range){ 0, n, 0 };
        t->label[0] = 0;
        t->n = 1;
        for (uint32_t node = 0; node < t->n; node++) make_children(t, ranges, keys, node);
        t->first[t->n] = t->n;
    } else trie_free(t);
    free(ranges);
    free(keys);
    return made;
}

void trie_free(trie *t)
{
    free(t->first);
    free(t->label);
    free(t->id);
    *t = (trie){ 0 };
}

uint32_t trie_walk(const trie *t, const char *bytes, size_t len)
{
    uint32_t node = 0;
    for (size_t i = 0; i < len && node != TRIE_NONE; i++) node = trie_step(t, node, (unsigned char)bytes[i]);
    return node;
}

int32_t trie_longest(const trie *t, uint32_t node, const char *text, size_t len, size_t *matched)
{
    int32_t found = -1;
    for (size_t i = 0; i < len && node != TRIE_NONE; ) {
        node = trie_step(t, node, (unsigned char)text[i++]);
        if (node == TRIE_NONE || t->id[node] < 0) continue;
        found = t->id[node];
        *matched = i;
    }
    return found;
}
