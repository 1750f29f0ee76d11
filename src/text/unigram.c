/* Viterbi's algorithm, forward: the best path to each position, from the positions before it.
 * Of equal sums the first one found stays.  With `floats` a sum is compared in double and
 * stored in float, as in SentencePiece's code. */
#include "text/unigram.h"
#include "base/arena.h"
#include "base/utf8.h"
#include <stdlib.h>

#define SHORT 128                          /* bytes */
#define UNKNOWN_PENALTY 10

/* The last piece of the best path; id -2: no path yet. */
typedef struct { int32_t id; uint32_t start; double score; } step;
enum { NO_WAY = -2, NO_PIECE = -1 };

static void offer(const unigram *u, step *to, int32_t id, uint32_t start, double score)
{
    if (to->id == NO_WAY || score > to->score) *to = (step){ id, start, u->floats ? (double)(float)score : score };
}

/* The pieces of a tree that begin at `at`.  Returns whether one of them is the character, which ends at `end`. */
static bool offer_pieces(const unigram *u, const trie *tree, const char *text, size_t at, size_t end, size_t len, step *best)
{
    bool single = false;
    uint32_t node = 0;
    for (size_t i = at; i < len && (node = trie_step(tree, node, (unsigned char)text[i])) != TRIE_NONE; i++) {
        int32_t id = tree->id[node];
        if (id < 0) continue;
        offer(u, &best[i + 1], id, (uint32_t)at, best[at].score + u->scores[id]);
        single |= i + 1 == end;
    }
    return single;
}

/* best[len + 1]; a piece ends at the end of a character, so no path continues from inside one. */
static void find_best(const unigram *u, const char *text, size_t len, step *best)
{
    const double unknown = u->floats ? (double)(float)(u->lowest - UNKNOWN_PENALTY) : u->lowest - UNKNOWN_PENALTY;
    for (size_t i = 0; i <= len; i++) best[i].id = NO_WAY;
    best[0] = (step){ NO_PIECE, 0, 0 };
    for (size_t at = 0, k; at < len; at += k) {
        int32_t c;
        k = (size_t)utf8_next(text + at, len - at, &c);
        bool single = offer_pieces(u, u->tree, text, at, at + k, len, best);
        if (u->defined) single |= offer_pieces(u, u->defined, text, at, at + k, len, best);
        if (single) continue;
        const double sum = best[at].score + unknown;
        offer(u, &best[at + k], NO_PIECE, (uint32_t)at, u->floats ? (double)(float)sum : sum);
    }
}

/* text[at .. end) is unknown: one token, or those of its bytes, which stand for all of it. */
static void put_unknown(const unigram *u, const char *text, size_t at, size_t end, id_sink *out)
{
    for (size_t i = at; i < end && u->byte_id; i++) id_put_to(out, u->byte_id[(unsigned char)text[i]], end);
    if (!u->byte_id) id_put_to(out, u->unknown, end);
}

static bool is_unknown(const unigram *u, const step *s) { return s->id < 0 || s->id == u->unknown; }

/* Reverses the back pointers in place: best[at] becomes the piece that begins at `at`, and its end. */
static void turn_round(step *best, size_t len)
{
    step last = best[len];
    for (size_t end = len; end > 0; ) {
        step before = best[last.start];
        best[last.start].id = last.id;
        best[last.start].start = (uint32_t)end;
        end = last.start;
        last = before;
    }
}

static void put_way(const unigram *u, const char *text, size_t len, const step *best, id_sink *out)
{
    for (size_t at = 0, end; at < len; at = end) {
        end = best[at].start;
        if (!is_unknown(u, &best[at])) { id_put_to(out, best[at].id, end); continue; }
        while (end < len && is_unknown(u, &best[end])) end = best[end].start;
        put_unknown(u, text, at, end, out);
    }
}

void unigram_encode(const unigram *u, const char *text, size_t len, id_sink *out)
{
    step few[SHORT + 1], *best = len <= SHORT ? few : len < UINT32_MAX ? xrealloc(NULL, len + 1, sizeof *best) : NULL;
    if (best) {
        find_best(u, text, len, best);
        turn_round(best, len);
        put_way(u, text, len, best, out);
    } else put_unknown(u, text, 0, len, out);
    if (best != few) free(best);
}
