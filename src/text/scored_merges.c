/* Merges for vocabularies that have a score for each piece and no list of merges
 * (llama2.c, SentencePiece): the adjacent pair whose joined piece has the highest
 * score is merged, so every way to split a piece into two pieces is a merge. */
#include "text/tokenizer.h"
#include <stdlib.h>

typedef struct { double score; int32_t id; } scored;

static int by_score(const void *x, const void *y)
{
    const scored *a = x, *b = y;
    if (a->score < b->score || a->score > b->score) return a->score > b->score ? -1 : 1;
    return (a->id > b->id) - (a->id < b->id);
}

static bool stands_for_byte(const lithe_tokenizer *t, int32_t id)
{
    for (int i = 0; i < 256; i++)
        if (t->bpe.byte_id[i] == id) return true;
    return false;
}

/* A merge with a lower score is never used while one with a higher score is possible. */
static int add_merges(lithe_tokenizer *t, scored *scores, size_t n, const char *what, lithe_error *err)
{
    if (n) qsort(scores, n, sizeof *scores, by_score);
    int32_t rank = 0;
    size_t room = 0;
    for (size_t i = 0; i < n; i++) {
        int32_t id = scores[i].id;
        size_t len;
        const char *bytes = pieces_bytes(&t->vocabulary, id, &len);
        if (i && scores[i].score < scores[i - 1].score) rank++;
        if (pieces_find(&t->vocabulary, bytes, len) != id || stands_for_byte(t, id)) continue;
        for (size_t cut = 1; cut < len; cut++) {
            int32_t left = pieces_find(&t->vocabulary, bytes, cut), right = pieces_find(&t->vocabulary, bytes + cut, len - cut);
            if (left < 0 || right < 0) continue;
            if (t->n_pairs == room) {
                room = room ? room * 2 : 1024;
                int32_t (*pairs)[2] = xrealloc(t->pairs, room, sizeof *pairs);
                if (!pairs) return fail(err, LITHE_ENOMEM, "%s: merges do not fit in memory", what);
                t->pairs = pairs;
            }
            t->pairs[t->n_pairs][0] = left;
            t->pairs[t->n_pairs++][1] = right;
            if (!bpe_add_merge(&t->bpe, left, right, rank, id)) return fail(err, LITHE_ENOMEM, "%s: merges do not fit in memory", what);
        }
    }
    return LITHE_OK;
}

int tokenizer_score_merges(lithe_tokenizer *t, const double *scores, size_t n, const char *what, lithe_error *err)
{
    scored *order = xrealloc(NULL, n + 1, sizeof *order);
    if (!order) return fail(err, LITHE_ENOMEM, "%s: merges do not fit in memory", what);
    for (size_t i = 0; i < n; i++) order[i] = (scored){ scores[i], (int32_t)i };
    int status = add_merges(t, order, n, what, err);
    free(order);
    return status;
}
