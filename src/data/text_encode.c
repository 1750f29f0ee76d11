#include "data/text_encode.h"
#include "base/arena.h"
#include "base/progress.h"
#include <stdlib.h>
#include <string.h>

#define CHUNK ((size_t)1 << 20)                 /* bytes given to the tokenizer at once, where a cut changes nothing */
enum { CUT_TRIES = 16, CUT_REACH = 400 };

/* ---- texts to ids ------------------------------------------------------------------- */

int encode_texts(const lithe_tokenizer *t, const char *text, const size_t *sizes, int n, int32_t **ids, size_t *counts, lithe_error *err)
{
    size_t held = 0, capacity = 0;
    *ids = NULL;
    if (failed(err)) return err->status;
    for (int i = 0; i < n; text += sizes[i++])
        for (size_t wanted = sizes[i] + 16;; wanted = counts[i]) {
            if (capacity - held < wanted) {
                capacity = held + wanted + (i + 1 < n ? capacity / 2 : 0);
                int32_t *grown = xrealloc(*ids, capacity, sizeof *grown);
                if (!grown) { free(*ids); *ids = NULL; return fail(err, LITHE_ENOMEM, "out of memory for %zu tokens", wanted); }
                *ids = grown;
            }
            counts[i] = lithe_encode(t, text, sizes[i], 0, *ids + held, capacity - held);
            if (counts[i] > capacity - held) continue;
            held += counts[i];
            break;
        }
    return LITHE_OK;
}

/* ---- where a text may be cut -------------------------------------------------------- */

/* Whether text has the same tokens when it is cut at `at`, tested on CUT_REACH bytes on either side. */
static bool cut_holds(const lithe_tokenizer *t, const char *text, size_t at, size_t size)
{
    enum { CAP = 4 * CUT_REACH };
    int32_t both[CAP], parts[CAP];
    size_t from = at - CUT_REACH, to = size - at < CUT_REACH ? size : at + CUT_REACH;
    while (from < at && ((unsigned char)text[from] & 0xc0) == 0x80) from++;
    while (to > at && to < size && ((unsigned char)text[to] & 0xc0) == 0x80) to--;
    size_t n = lithe_encode(t, text + from, to - from, 0, both, CAP);
    size_t left = lithe_encode(t, text + from, at - from, 0, parts, CAP);
    if (n > CAP || left > n) return false;
    size_t right = lithe_encode(t, text + at, to - at, 0, parts + left, CAP - left);
    return left + right == n && !memcmp(both, parts, n * sizeof *both);
}

static bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

/* The first place after CHUNK bytes, after a single line break, where a cut changes no token; 0: there is none. */
static size_t find_cut(const lithe_tokenizer *t, const char *text, size_t size)
{
    size_t at = CHUNK;
    for (int tries = 0; tries < CUT_TRIES; at++) {
        const char *newline = at < size ? memchr(text + at, '\n', size - at) : NULL;
        if (!newline) return 0;
        at = (size_t)(newline - text);
        if (at + 1 == size || is_space(text[at - 1]) || is_space(text[at + 1])) continue;
        if (cut_holds(t, text, at + 1, size)) return at + 1;
        tries++;
    }
    return 0;
}

/* ---- documents ------------------------------------------------------------------------ */

static int put_pieces(const text_encoder *e, const int32_t *ids, const size_t *counts, lithe_error *err)
{
    int status = LITHE_OK;
    for (int i = 0; i < e->count && !status; ids += counts[i++])
        status = shard_put(e->pieces[i].to, ids, counts[i], e->pieces[i].size, e->pieces[i].last, err);
    return status;
}

int text_encode_end(text_encoder *e, lithe_error *err)
{
    size_t *sizes = xalloc(2 * (size_t)e->count + 1, sizeof *sizes), *counts = sizes ? sizes + e->count : NULL;
    int32_t *ids = NULL;
    int status = sizes ? LITHE_OK : fail(err, LITHE_ENOMEM, "out of memory for %d texts", e->count);
    for (int i = 0; i < e->count && sizes; i++) sizes[i] = e->pieces[i].size;
    e->packed += (double)e->held;
    if (!status) status = progress_tell("packing the text", e->packed, e->all, err);
    if (!status && e->encoder) status = e->encoder->encode(e->encoder->context, e->t, e->text, sizes, e->count, &ids, counts, err);
    else if (!status) status = encode_texts(e->t, e->text, sizes, e->count, &ids, counts, err);
    if (!status) status = put_pieces(e, ids, counts, err);
    free(ids);
    free(sizes);
    e->count = 0;
    e->held = 0;
    return status;
}

/* Grows what *p points to, so that it holds `wanted` items. */
static int make_room(void **p, size_t *capacity, size_t wanted, size_t size, lithe_error *err)
{
    if (*capacity >= wanted) return LITHE_OK;
    void *grown = xrealloc(*p, 2 * wanted, size);
    if (!grown) return fail(err, LITHE_ENOMEM, "out of memory for %zu bytes of text", wanted);
    *p = grown;
    *capacity = 2 * wanted;
    return LITHE_OK;
}

static int add_piece(text_encoder *e, shard_writer *to, const char *text, size_t size, bool last, lithe_error *err)
{
    size_t pieces = (size_t)e->room;
    int status = make_room((void **)&e->text, &e->capacity, e->held + size, 1, err);
    if (!status) status = make_room((void **)&e->pieces, &pieces, (size_t)e->count + 1, sizeof *e->pieces, err);
    e->room = (int)pieces;
    if (status) return status;
    memcpy(e->text + e->held, text, size);
    e->held += size;
    e->pieces[e->count++] = (text_piece){ to, size, last };
    return e->held >= CHUNK * (size_t)(e->encoder ? 4 * e->encoder->processes : 1) || e->count == 1 << 20 ? text_encode_end(e, err) : LITHE_OK;
}

int text_encode(text_encoder *e, shard_writer *to, const char *text, size_t size, lithe_error *err)
{
    for (;;) {
        size_t cut = size > 2 * CHUNK && !e->whole ? find_cut(e->t, text, size) : 0, take = cut ? cut : size;
        if (!cut && size > 2 * CHUNK) e->whole = true;
        int status = add_piece(e, to, text, take, take == size, err);
        if (status || take == size) return status;
        text += take;
        size -= take;
    }
}

void text_encoder_close(text_encoder *e)
{
    free(e->text);
    free(e->pieces);
    *e = (text_encoder){ 0 };
}
