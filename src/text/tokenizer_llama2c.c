/* The tokenizer file of llama2.c: int32 length of the longest piece, then to the
 * end of the file float32 score, int32 length, bytes; little-endian.  Ids 0, 1, 2
 * are unknown, begin, end.  A text gets a space in front and is split into characters (bytes
 * <0xNN> where a character is not a piece); the adjacent pair whose joined piece has
 * the highest score is merged, the leftmost of equals, until no joined pair is a piece.
 * So every way to split a piece into two pieces is a merge, ranked by its score. */
#include "text/tokenizer.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define LONGEST_PIECE 256                  /* bytes; splitting a piece takes n (n - 1) lookups */

static uint32_t u32_at(const char *data)
{
    const unsigned char *d = (const unsigned char *)data;
    return (uint32_t)d[0] | (uint32_t)d[1] << 8 | (uint32_t)d[2] << 16 | (uint32_t)d[3] << 24;
}

static float f32_at(const char *data)
{
    uint32_t bits = u32_at(data);
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* Fills the vocabulary; scores[*n], to be freed. */
static double *read_pieces(lithe_tokenizer *t, const char *data, size_t len, size_t *n, const char *what, lithe_error *err)
{
    uint32_t longest = len >= 4 ? u32_at(data) : 0;
    size_t room = (len - (len >= 4 ? 4 : 0)) / 8 + 1;
    if (longest < 1 || longest > LONGEST_PIECE) {
        fail(err, LITHE_EFORMAT, "%s: is neither JSON nor a llama2.c tokenizer (longest piece %u, expected 1 to %d)", what, longest, LONGEST_PIECE);
        return NULL;
    }
    double *scores = xrealloc(NULL, room, sizeof *scores);
    if (!scores) fail(err, LITHE_ENOMEM, "%s: vocabulary does not fit in memory", what);
    *n = 0;
    for (size_t i = 4; scores && i < len && !failed(err); ) {
        size_t left = len - i, length = left >= 8 ? u32_at(data + i + 4) : 0;
        float score = left >= 8 ? f32_at(data + i) : NAN;
        if (left < 8 || length > longest || length > left - 8 || !isfinite(score)) {
            fail(err, LITHE_EFORMAT, "%s: piece %zu at byte %zu is damaged (length %zu, longest %u, %zu bytes left)", what, *n, i, length, longest, left);
            break;
        }
        const char *bytes = data + i + 8;
        bool findable = *n > 2 && length && pieces_find(&t->vocabulary, bytes, length) < 0;
        tokenizer_add(&t->vocabulary, (int64_t)*n, bytes, length, findable, what, err);
        scores[*n] = (double)score;
        ++*n;
        i += 8 + length;
    }
    if (!failed(err) && *n < 4) fail(err, LITHE_EFORMAT, "%s: has %zu pieces, expected at least 4", what, *n);
    return scores;
}

lithe_tokenizer *tokenizer_from_llama2c(const char *data, size_t len, const char *what, lithe_error *err)
{
    lithe_tokenizer *t = tokenizer_new(err);
    size_t n = 0;
    double *scores = t ? read_pieces(t, data, len, &n, what, err) : NULL;
    if (t && !failed(err)) {
        t->bpe.characters = t->bpe.fuse_unknown = true;
        t->lead = LEAD_AFTER_BOS;
        t->bpe.unknown = 0;
        t->normal[t->n_normal++] = (normal_step){ .kind = NORMAL_PREPEND, .to = " " };
        tokenizer_find_bytes(t);
        t->single = (template){ { { 1, 0 }, { TEXT_A, 0 } }, 2 };
        t->pair = (template){ { { 1, 0 }, { TEXT_A, 0 }, { 1, 1 }, { TEXT_B, 1 } }, 4 };
        tokenizer_score_merges(t, scores, n, what, err);
        t->unigram.scores = scores;                         /* for a file that holds them again */
        scores = NULL;
    }
    free(scores);
    if (t && !failed(err) && !tokenizer_finish(t, what, err)) {
        t->role[ROLE_BOS] = t->role[ROLE_CLS] = 1;
        t->role[ROLE_EOS] = t->role[ROLE_SEP] = 2;
        if (!tokenizer_flag(t, what, err)) return t;
    }
    lithe_tokenizer_close(t);
    return NULL;
}
