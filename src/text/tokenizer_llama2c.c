/* The tokenizer file of llama2.c: int32 length of the longest piece, then to the
 * end of the file float32 score, int32 length, bytes; little-endian.  Ids 0, 1, 2
 * are unknown, begin, end.  A text is a space and itself, as characters (bytes
 * <0xNN> where a character is no piece); the adjacent pair whose joined piece has
 * the highest score is merged, the leftmost of equals, until none is a piece.
 * So every way to cut a piece in two pieces is a merge, ranked by its score. */
#include "text/tokenizer.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define LONGEST_PIECE 256                  /* bytes; n (n - 1) lookups to cut one */

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

typedef struct { float score; int32_t id; } scored;

static int by_score(const void *x, const void *y)
{
    const scored *a = x, *b = y;
    if (a->score < b->score || a->score > b->score) return a->score > b->score ? -1 : 1;
    return (a->id > b->id) - (a->id < b->id);
}

/* Fills the vocabulary; scores[*n], to be freed. */
static scored *read_pieces(lithe_tokenizer *t, const char *data, size_t len, size_t *n, const char *what, lithe_error *err)
{
    uint32_t longest = len >= 4 ? u32_at(data) : 0;
    size_t room = (len - (len >= 4 ? 4 : 0)) / 8 + 1;
    if (longest < 1 || longest > LONGEST_PIECE) {
        fail(err, LITHE_EFORMAT, "%s: is neither JSON nor a llama2.c tokenizer (longest piece %u, expected 1 to %d)", what, longest, LONGEST_PIECE);
        return NULL;
    }
    scored *scores = xrealloc(NULL, room, sizeof *scores);
    if (!scores) fail(err, LITHE_ENOMEM, "%s: vocabulary does not fit in memory", what);
    *n = 0;
    for (size_t i = 4; i < len && !failed(err); ) {
        size_t left = len - i, length = left >= 8 ? u32_at(data + i + 4) : 0;
        float score = left >= 8 ? f32_at(data + i) : NAN;
        if (left < 8 || length > longest || length > left - 8 || !isfinite(score)) {
            fail(err, LITHE_EFORMAT, "%s: piece %zu at byte %zu is damaged (length %zu, longest %u, %zu bytes left)", what, *n, i, length, longest, left);
            break;
        }
        const char *bytes = data + i + 8;
        bool findable = *n > 2 && length && pieces_find(&t->vocabulary, bytes, length) < 0;
        tokenizer_add(&t->vocabulary, (int64_t)*n, bytes, length, findable, what, err);
        scores[*n] = (scored){ score, (int32_t)*n };
        ++*n;
        i += 8 + length;
    }
    if (!failed(err) && *n < 4) fail(err, LITHE_EFORMAT, "%s: has %zu pieces, expected at least 4", what, *n);
    return scores;
}

static bool stands_for_byte(const lithe_tokenizer *t, int32_t id)
{
    for (int i = 0; i < 256; i++)
        if (t->bpe.byte_id[i] == id) return true;
    return false;
}

/* Merges of a score below are never asked for while one above is left. */
static int add_merges(lithe_tokenizer *t, scored *scores, size_t n, const char *what, lithe_error *err)
{
    qsort(scores, n, sizeof *scores, by_score);
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

lithe_tokenizer *tokenizer_from_llama2c(const char *data, size_t len, const char *what, lithe_error *err)
{
    lithe_tokenizer *t = tokenizer_new(err);
    size_t n = 0;
    scored *scores = t ? read_pieces(t, data, len, &n, what, err) : NULL;
    if (t && !failed(err)) {
        t->bpe.characters = t->bpe.fuse_unknown = t->strip = true;
        t->bpe.unknown = 0;
        t->normal[t->n_normal++] = (normal_step){ .kind = NORMAL_PREPEND, .to = " " };
        tokenizer_find_bytes(t);
        t->single = (template){ { { 1, 0 }, { TEXT_A, 0 } }, 2 };
        t->pair = (template){ { { 1, 0 }, { TEXT_A, 0 }, { TEXT_B, 1 } }, 3 };
        add_merges(t, scores, n, what, err);
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
