/* Texts for verbs that read one file: all of it, or row by row.  They are read as training reads them. */
#include "base/arena.h"
#include "data/corpus.h"
#include "lithe_tools.h"
#include <stdlib.h>
#include <string.h>

typedef struct { char *bytes; size_t n, room; } texts;

/* Appends a text and a NUL. */
static int add(texts *t, const document *d, const char *path, lithe_error *err)
{
    if (t->room - t->n <= d->size) {
        size_t room = 2 * (t->n + d->size) + 256;
        char *grown = xrealloc(t->bytes, room, 1);
        if (!grown) return fail(err, LITHE_ENOMEM, "%s: out of memory with %zu bytes read", path, t->n);
        t->bytes = grown;
        t->room = room;
    }
    if (d->size) memcpy(t->bytes + t->n, d->text, d->size);
    t->bytes[t->n + d->size] = 0;
    t->n += d->size + 1;
    return LITHE_OK;
}

char *lithe_text_rows(const char *path, size_t *n, lithe_error *err)
{
    lithe_error local = { 0 };
    if (!err) err = &local;
    corpus *c = corpus_open_rows(path, err);
    texts t = { 0 };
    document d;
    *n = 0;
    while (c && corpus_next(c, &d, err) == 1) {
        if (memchr(d.text, 0, d.size)) { fail(err, LITHE_EFORMAT, "%s: row %zu holds a NUL byte, which no text does", path, *n + 1); break; }
        if (add(&t, &d, path, err)) break;
        ++*n;
    }
    corpus_close(c);
    if (!failed(err) && (t.bytes || !add(&t, &(document){ 0 }, path, err))) return t.bytes;
    free(t.bytes);
    return NULL;
}

char *lithe_text_file(const char *path, size_t *len, lithe_error *err)
{
    lithe_error local = { 0 };
    if (!err) err = &local;
    corpus *c = corpus_open_file(path, true, err);
    texts t = { 0 };
    document d = { 0 };
    *len = c && corpus_next(c, &d, err) == 1 ? d.size : 0;
    if (c && !failed(err)) add(&t, &d, path, err);
    corpus_close(c);
    if (!failed(err)) return t.bytes;
    free(t.bytes);
    return NULL;
}
