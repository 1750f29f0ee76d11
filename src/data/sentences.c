/* Finds sentences (data/sentences.h).  Each id of the vocabulary is classified once, by its text. */
#include "lithe_tools.h"
#include "data/sentences.h"
#include "base/arena.h"
#include <stdlib.h>
#include <string.h>

enum { ENDS = 1, STOP = 2, CLOSES = 4, EMPTY_LINE = 8, ONE_LETTER = 16, DIGIT_FIRST = 32, DIGIT_LAST = 64, CONTINUES = 128 };

/* ---- tokens ---------------------------------------------------------------------------- */

static bool ends_with(const char *text, size_t n, const char *const *endings)
{
    for (; *endings; endings++) {
        size_t m = strlen(*endings);
        if (n >= m && !memcmp(text + n - m, *endings, m)) return true;
    }
    return false;
}

static bool is_digit(char c) { return c >= '0' && c <= '9'; }
static bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

static uint8_t meaning(const char *text, size_t n)
{
    static const char *const marks[] = { ".", "!", "?", "\xe2\x80\xa6", "\xe3\x80\x82", "\xef\xbc\x81", "\xef\xbc\x9f", NULL };
    static const char *const closing[] = { "\"", "'", ")", "]", "\xe2\x80\x9d", "\xe2\x80\x99", "\xe3\x80\x8d", NULL };
    uint8_t m = 0;
    if (n > 1 && memmem(text, n, "\n\n", 2)) m |= EMPTY_LINE;
    while (n && (*text == ' ' || *text == '\n')) { text++; n--; }
    while (n && (text[n - 1] == ' ' || text[n - 1] == '\n')) n--;
    if (!n) return m;
    if (ends_with(text, n, closing)) m |= CLOSES;
    while (n > 1 && ends_with(text, n, closing)) n--;           /* one token may hold a mark and the quote after it */
    if (ends_with(text, n, marks)) m |= ENDS;
    if (text[n - 1] == '.') m |= STOP;
    if (n == 1 && is_letter(*text)) m |= ONE_LETTER;
    if (is_digit(*text)) m |= DIGIT_FIRST;
    if (is_digit(text[n - 1])) m |= DIGIT_LAST;
    return m;
}

static uint8_t *meanings(const lithe_tokenizer *t, int vocab)
{
    uint8_t *m = xalloc((size_t)vocab, 1);
    char text[256];
    for (int32_t id = 0; m && id < vocab && id < lithe_tokenizer_vocab(t); id++) {
        size_t n = lithe_decode(t, &id, 1, text, sizeof text);
        m[id] = meaning(text, n < sizeof text ? n : sizeof text);
        if (lithe_tokenizer_continues(t, id)) m[id] |= CONTINUES;
    }
    return m;
}

/* ---- sentences -------------------------------------------------------------------------- */

typedef struct { sentences *s; const uint8_t *m; uint64_t capacity, most; lithe_error *err; } finding;

static int add(finding *f, uint64_t first, uint64_t end)
{
    sentences *s = f->s;
    for (; first < end; first = s->end[s->count++]) {
        if (s->count == f->capacity) {
            uint64_t capacity = f->capacity ? 2 * f->capacity : 1024;
            uint64_t *a = xrealloc(s->first, capacity, sizeof *a), *b;
            if (a) s->first = a;
            b = a ? xrealloc(s->end, capacity, sizeof *b) : NULL;
            if (b) s->end = b;
            if (!b) return fail(f->err, LITHE_ENOMEM, "out of memory for %llu sentences", (unsigned long long)capacity);
            f->capacity = capacity;
        }
        s->first[s->count] = first;
        s->end[s->count] = end - first > f->most ? first + f->most : end;
    }
    return LITHE_OK;
}

/* Whether a sentence ends between tokens `now` and `next`. open: a mark has ended it, and only closing quotes or
 * brackets have followed. */
static bool ends_here(uint8_t before, uint8_t now, uint8_t next, bool *open)
{
    if (now & EMPTY_LINE) { *open = false; return true; }
    bool mark = now & ENDS;
    if ((now & STOP) && ((before & ONE_LETTER) || ((before & DIGIT_LAST) && (next & DIGIT_FIRST)))) mark = false;
    *open = mark || (*open && (now & CLOSES));
    return *open && !(next & (ENDS | CLOSES));
}

static int find_in_document(finding *f, uint64_t first, uint64_t end)
{
    enum { BLOCK = 4096 };
    int32_t ids[BLOCK];
    uint64_t begin = first;
    uint8_t before = 0, now = 0;
    bool open = false;
    int status = LITHE_OK;
    for (uint64_t at = first; at < end && !status; at += BLOCK) {
        size_t n = end - at < BLOCK ? (size_t)(end - at) : BLOCK;
        shard_ids(f->s->shard, at, n, ids);
        for (size_t i = 0; i < n && !status; i++) {
            uint8_t next = f->m[ids[i]];
            if (at + i > begin && ends_here(before, now, next, &open)) {
                status = add(f, begin, at + i);
                begin = at + i;
                open = false;
            }
            before = now;
            now = next;
        }
    }
    return status ? status : add(f, begin, end);
}

int sentences_find(sentences *s, const shard *from, const lithe_tokenizer *t, int most, lithe_error *err)
{
    const shard_header *h = &from->header;
    *s = (sentences){ .shard = from, .documents = h->documents };
    if (failed(err)) return err->status;
    uint8_t *m = meanings(t, h->vocab);
    finding f = { .s = s, .m = m, .most = (uint64_t)most, .err = err };
    s->before = xalloc(h->documents + 1, sizeof *s->before);
    int status = m && s->before ? LITHE_OK : fail(err, LITHE_ENOMEM, "out of memory for %llu documents", (unsigned long long)h->documents);
    for (uint64_t k = 0; k < h->documents && !status; k++) {
        stretch d = shard_document(from, k);
        status = find_in_document(&f, d.first, d.end);
        s->before[k + 1] = s->count;
    }
    free(m);
    if (status) sentences_free(s);
    return status;
}

void sentences_free(sentences *s)
{
    free(s->first);
    free(s->end);
    free(s->before);
    *s = (sentences){ 0 };
}
