/* There are three ways to encode a word, with the same result.  Words of up to 24 bytes are
 * kept in a direct-mapped cache, one cache line a word.  Up to 64 symbols, the lowest rank
 * is found by a scan of all pairs.  Above that, it is found by a heap of candidate merges over
 * a linked list of symbols, in n log n time whatever the text. */
#include "text/bpe.h"
#include "base/arena.h"
#include "base/random.h"
#include "base/utf8.h"
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#define SHORT 64                           /* symbols */
#define LONGEST ((size_t)1 << 24)          /* bytes merged at once; a longer word is split there */

/* ---- the table of merges ----------------------------------------------------------- */

static uint32_t merge_slot(const bpe *b, uint64_t pair)
{
    uint32_t s = (uint32_t)mix64(pair) & b->mask;
    while (b->merges[s].rank >= 0 && b->merges[s].pair != pair) s = (s + 1) & b->mask;
    return s;
}

const merge *bpe_find_merge(const bpe *b, int32_t left, int32_t right)
{
    const merge *m = &b->merges[merge_slot(b, (uint64_t)(uint32_t)left << 32 | (uint32_t)right)];
    return m->rank >= 0 ? m : NULL;
}

static bool merges_resize(bpe *b, uint32_t size)
{
    merge *before = b->merges, *after = xalloc(size, sizeof *after);
    uint32_t old = before ? b->mask + 1 : 0;
    if (!after) return false;
    for (uint32_t i = 0; i < size; i++) after[i].rank = -1;
    b->merges = after;
    b->mask = size - 1;
    for (uint32_t i = 0; i < old; i++)
        if (before[i].rank >= 0) after[merge_slot(b, before[i].pair)] = before[i];
    free(before);
    return true;
}

bool bpe_add_merge(bpe *b, int32_t left, int32_t right, int32_t rank, int32_t id)
{
    if (b->filled * 2 >= b->mask && !merges_resize(b, (b->mask + 1) * 2)) return false;
    uint64_t pair = (uint64_t)(uint32_t)left << 32 | (uint32_t)right;
    merge *m = &b->merges[merge_slot(b, pair)];
    b->filled += m->rank < 0;
    *m = (merge){ pair, rank, id };
    return true;
}

/* ---- cache --------------------------------------------------------------------------- */

#define CACHED_BYTES 24
#define CACHED_IDS 8
#define CACHE_WORDS (1u << 14)

typedef struct { uint64_t key[CACHED_BYTES / 8]; uint8_t length, n, unused[6]; int32_t ids[CACHED_IDS]; } cached_word;
struct word_cache { cached_word words[CACHE_WORDS]; };

/* The slot of a word of 1 .. CACHED_BYTES bytes; key is the word, padded with zeros. */
static cached_word *cache_slot(struct word_cache *c, const char *word, size_t len, uint64_t key[3])
{
    key[0] = key[1] = key[2] = 0;
    memcpy(key, word, len);
    uint64_t h = (key[0] ^ len) * 0x9e3779b97f4a7c15u;
    h = ((h ^ h >> 29) + key[1]) * 0xbf58476d1ce4e5b9u;
    h = ((h ^ h >> 31) + key[2]) * 0x94d049bb133111ebu;
    return &c->words[(h >> 32) & (CACHE_WORDS - 1)];
}

static bool cache_hit(const cached_word *c, size_t len, const uint64_t key[3])
{
    return c->length == len && c->key[0] == key[0] && c->key[1] == key[1] && c->key[2] == key[2];
}

static void cache_keep(cached_word *c, size_t len, const uint64_t key[3], const int32_t *ids, size_t n)
{
    if (n > CACHED_IDS) return;
    memcpy(c->key, key, sizeof c->key);
    c->length = (uint8_t)len;
    c->n = (uint8_t)n;
    if (n) memcpy(c->ids, ids, n * sizeof *ids);
}

/* ---- smallest symbols ------------------------------------------------------------------ */

/* Writes the bytes of one character as tokens of their own; false if a byte has no token. */
static bool put_bytes(const bpe *b, const char *text, int len, int32_t *ids, size_t *n)
{
    for (int i = 0; i < len; i++)
        if (b->byte_id[(unsigned char)text[i]] < 0) return false;
    for (int i = 0; i < len; i++) ids[(*n)++] = b->byte_id[(unsigned char)text[i]];
    return true;
}

/* The token of a character or byte, with the prefix unless it begins a word, and the suffix where it ends one; -1:
 * none. */
static int32_t character(const bpe *b, const char *text, size_t len, bool first, bool last)
{
    char all[BPE_AFFIX_LIMIT + 4 + BPE_AFFIX_LIMIT];
    const size_t p = b->prefix && !first ? strlen(b->prefix) : 0, n = b->suffix && last ? strlen(b->suffix) : 0;
    if (p) memcpy(all, b->prefix, p);
    memcpy(all + p, text, len);
    if (n) memcpy(all + p + len, b->suffix, n);
    return pieces_find(b->vocabulary, all, p + len + n);
}

/* Writes at most len ids and returns their number. */
static size_t symbols(const bpe *b, const char *word, size_t len, int32_t *ids)
{
    size_t n = 0;
    bool unknown = false;                  /* the last symbol was unknown */
    for (size_t i = 0; i < len; ) {
        int32_t c, id, k = 1;
        if (b->characters) {
            k = utf8_next(word + i, len - i, &c);
            const bool damaged = c < 0 && b->byte_id[(unsigned char)word[i]] < 0;
            id = character(b, damaged ? "\xef\xbf\xbd" : word + i, damaged ? 3 : (size_t)k, i == 0, i + (size_t)k == len);
            if (id < 0 && put_bytes(b, word + i, k, ids, &n)) { unknown = false; i += (size_t)k; continue; }
        } else if (b->prefix || b->suffix) id = character(b, word + i, 1, i == 0, i + 1 == len);
        else id = b->byte_id[(unsigned char)word[i]];
        if (id >= 0) ids[n++] = id;
        else if (b->unknown >= 0 && !(unknown && b->fuse_unknown)) ids[n++] = b->unknown;
        unknown = id < 0;
        i += (size_t)k;
    }
    return n;
}

/* ---- merging --------------------------------------------------------------------------- */

/* The result of merging a pair; rank INT32_MAX: the pair does not merge. */
typedef struct { int32_t rank, id; } outcome;

static outcome look(const bpe *b, const int32_t *pair)
{
    const merge *m = bpe_find_merge(b, pair[0], pair[1]);
    return m ? (outcome){ m->rank, m->id } : (outcome){ INT32_MAX, -1 };
}

/* Merges in place over ids[n], n <= SHORT; returns the number of ids that are left. */
static size_t merge_short(const bpe *b, int32_t *ids, size_t n)
{
    outcome pair[SHORT];                   /* of i and i + 1 */
    for (size_t i = 0; i + 1 < n; i++) pair[i] = look(b, ids + i);
    while (n > 1) {
        size_t best = 0;
        for (size_t i = 1; i + 1 < n; i++)
            if (pair[i].rank < pair[best].rank) best = i;
        if (pair[best].rank == INT32_MAX) break;
        ids[best] = pair[best].id;
        n--;
        for (size_t i = best + 1; i < n; i++) { ids[i] = ids[i + 1]; pair[i] = pair[i + 1]; }
        if (best + 1 < n) pair[best] = look(b, ids + best);
        if (best > 0) pair[best - 1] = look(b, ids + best - 1);
    }
    return n;
}

/* A pair of symbols at `at`; it may have been merged away when the heap returns it. */
typedef struct { int32_t rank, at, left, right; } candidate;

struct word_scratch {
    size_t room;                    /* symbols */
    int32_t *ids, *previous, *next; /* [room]; previous and next are -1 at the ends; a merged-away symbol has id -1 */
    candidate *heap;                /* [3 room] */
    size_t candidates;
};

static void scratch_free(struct word_scratch *s)
{
    if (!s) return;
    free(s->ids); free(s->previous); free(s->next); free(s->heap);
    free(s);
}

static struct word_scratch *scratch_for(bpe *b, size_t room)
{
    if (b->scratch && b->scratch->room >= room) return b->scratch;
    scratch_free(b->scratch);
    struct word_scratch *s = b->scratch = xalloc(1, sizeof *s);
    if (!s) return NULL;
    s->room = room;
    s->ids = xrealloc(NULL, room, sizeof *s->ids);
    s->previous = xrealloc(NULL, room, sizeof *s->previous);
    s->next = xrealloc(NULL, room, sizeof *s->next);
    s->heap = xrealloc(NULL, 3 * room, sizeof *s->heap);        /* one for each pair, then at most two for each merge */
    if (s->ids && s->previous && s->next && s->heap) return s;
    scratch_free(s);
    return b->scratch = NULL;
}

static bool before(const candidate *a, const candidate *b) { return a->rank != b->rank ? a->rank < b->rank : a->at < b->at; }

static void heap_push(struct word_scratch *s, candidate c)
{
    size_t i = s->candidates++;
    for (; i > 0 && before(&c, &s->heap[(i - 1) / 2]); i = (i - 1) / 2) s->heap[i] = s->heap[(i - 1) / 2];
    s->heap[i] = c;
}

static candidate heap_pop(struct word_scratch *s)
{
    candidate top = s->heap[0], last = s->heap[--s->candidates];
    size_t n = s->candidates, i = 0;
    for (size_t child; (child = 2 * i + 1) < n; i = child) {
        if (child + 1 < n && before(&s->heap[child + 1], &s->heap[child])) child++;
        if (!before(&s->heap[child], &last)) break;
        s->heap[i] = s->heap[child];
    }
    s->heap[i] = last;
    return top;
}

static void consider(const bpe *b, struct word_scratch *s, int32_t at)
{
    if (at < 0 || s->next[at] < 0) return;
    int32_t left = s->ids[at], right = s->ids[s->next[at]];
    const merge *m = bpe_find_merge(b, left, right);
    if (m) heap_push(s, (candidate){ m->rank, at, left, right });
}

static void merge_long(const bpe *b, struct word_scratch *s, size_t n)
{
    s->candidates = 0;
    for (size_t i = 0; i < n; i++) {
        s->previous[i] = (int32_t)i - 1;
        s->next[i] = i + 1 < n ? (int32_t)i + 1 : -1;
    }
    for (size_t i = 0; i + 1 < n; i++) consider(b, s, (int32_t)i);
    while (s->candidates) {
        candidate c = heap_pop(s);
        int32_t right = s->next[c.at];
        if (s->ids[c.at] != c.left || right < 0 || s->ids[right] != c.right) continue;
        s->ids[c.at] = bpe_find_merge(b, c.left, c.right)->id;
        s->ids[right] = -1;
        s->next[c.at] = s->next[right];
        if (s->next[right] >= 0) s->previous[s->next[right]] = c.at;
        consider(b, s, s->previous[c.at]);
        consider(b, s, c.at);
    }
}

static void encode_long(bpe *b, const char *word, size_t len, id_sink *out)
{
    struct word_scratch *s = scratch_for(b, len);
    if (!s) {                              /* no memory to merge */
        int32_t ids[4];
        for (size_t i = 0; i < len; ) {
            int32_t c;
            size_t k = b->characters ? (size_t)utf8_next(word + i, len - i, &c) : 1, n = symbols(b, word + i, k, ids);
            for (size_t j = 0; j < n; j++) id_put(out, ids[j]);
            i += k;
        }
        return;
    }
    size_t n = symbols(b, word, len, s->ids);
    if (n > 1 && b->filled) merge_long(b, s, n);
    for (size_t i = 0; i < n; i++)
        if (s->ids[i] >= 0) id_put(out, s->ids[i]);
    if (s->room > (1u << 20)) {
        scratch_free(s);
        b->scratch = NULL;
    }
}

/* ---- one word ---------------------------------------------------------------------------- */

static void encode_uncached(bpe *b, const char *word, size_t len, id_sink *out)
{
    if (b->whole_words && len) {
        int32_t id = pieces_find(b->vocabulary, word, len);
        if (id >= 0) { id_put(out, id); return; }
    }
    if (len > SHORT) {
        for (size_t cut; len > LONGEST; word += cut, len -= cut) {
            for (cut = LONGEST; utf8_tail((unsigned char)word[cut]) && cut > LONGEST - 4; cut--) { }
            encode_long(b, word, cut, out);
        }
        encode_long(b, word, len, out);
        return;
    }
    int32_t ids[SHORT];
    size_t n = merge_short(b, ids, symbols(b, word, len, ids));
    for (size_t i = 0; i < n; i++) id_put(out, ids[i]);
}

void bpe_encode(bpe *b, const char *word, size_t len, id_sink *out)
{
    if (!len || len > CACHED_BYTES || !b->cache) {
        encode_uncached(b, word, len, out);
        return;
    }
    uint64_t key[3];
    cached_word *c = cache_slot(b->cache, word, len, key);
    if (!cache_hit(c, len, key)) {
        int32_t ids[CACHED_BYTES];
        id_sink found = { .ids = ids, .cap = CACHED_BYTES };
        encode_uncached(b, word, len, &found);
        cache_keep(c, len, key, ids, found.n);
        for (size_t i = 0; i < found.n; i++) id_put(out, ids[i]);
        return;
    }
    for (int i = 0; i < c->n; i++) id_put(out, c->ids[i]);
}

/* ---- where pieces end --------------------------------------------------------------------- */

/* The piece of the vocabulary without what marks its place in the word. */
static const char *plain_piece(const bpe *b, int32_t id, bool first, bool last, size_t *n)
{
    const char *text = pieces_has(b->vocabulary, id) ? pieces_bytes(b->vocabulary, id, n) : (*n = 0, "");
    const size_t p = b->prefix && !first ? strlen(b->prefix) : 0, s = b->suffix && last ? strlen(b->suffix) : 0;
    if (p && *n >= p && !memcmp(text, b->prefix, p)) { text += p; *n -= p; }
    if (s && *n >= s && !memcmp(text + *n - s, b->suffix, s)) *n -= s;
    return text;
}

/* The length of the character at word[at], and whether it has a token. */
static size_t symbol(const bpe *b, const char *word, size_t at, size_t len, bool *known)
{
    int32_t ids[4], c;
    size_t n = 0, k = b->characters ? (size_t)utf8_next(word + at, len - at, &c) : 1;
    *known = character(b, word + at, k, at == 0, at + k == len) >= 0 || put_bytes(b, word + at, (int)k, ids, &n);
    return k;
}

static size_t unknown_end(const bpe *b, const char *word, size_t at, size_t len)
{
    bool known;
    if (at < len) at += symbol(b, word, at, len, &known);
    for (size_t k; at < len && b->fuse_unknown; at += k) if (k = symbol(b, word, at, len, &known), known) break;
    return at;
}

void bpe_ends(const bpe *b, const char *word, size_t len, const int32_t *ids, size_t n, size_t *ends)
{
    for (size_t i = 0, at = 0, m; i < n; i++) {
        const char *plain = plain_piece(b, ids[i], i == 0, i + 1 == n, &m);
        const bool same = m <= len - at && !memcmp(word + at, plain, m);
        if (same) at += m;
        else if (at < len && ids[i] == b->byte_id[(unsigned char)word[at]]) at++;
        else at = unknown_end(b, word, at, len);
        ends[i] = i + 1 == n ? len : at;
    }
}

bool bpe_init(bpe *b, const pieces *vocabulary)
{
    *b = (bpe){ .vocabulary = vocabulary, .unknown = -1 };
    for (int i = 0; i < 256; i++) b->byte_id[i] = -1;
    b->cache = xalloc(1, sizeof *b->cache);                     /* without it encoding is slower */
    return merges_resize(b, 1024);
}

void bpe_free(bpe *b)
{
    free(b->merges);
    free(b->cache);
    scratch_free(b->scratch);
    *b = (bpe){ 0 };
}
