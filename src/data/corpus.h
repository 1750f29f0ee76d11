/* A corpus is text as a stream of documents.  A .txt file is one document, a line of a
 * .jsonl file is one (its `text` field); either may be packed (.gz, .zst).  A
 * directory stands for what it holds of these, in order of names, at any depth;
 * "-" is standard input, read once and kept for the life of the process. */
#ifndef DATA_CORPUS_H
#define DATA_CORPUS_H

#include "base/error.h"
#include "base/file.h"
#include <stdbool.h>
#include <stddef.h>

/* ---- packed files ---- */

typedef enum { PLAIN, GZIP, ZSTD } packing;
typedef struct unpacker unpacker;

/* Reads m (GZIP or ZSTD), which must outlive it.  Messages name it by `name`. */
unpacker *unpack_open(const mapping *m, packing kind, const char *name, lithe_error *err);
/* Gives up to cap bytes; *got is 0 at the end.  A damaged or cut stream, and one that
 * grows more than 64 MiB + 200 times its packed size, is refused. */
int       unpack_read(unpacker *u, char *out, size_t cap, size_t *got, lithe_error *err);
void      unpack_close(unpacker *u);

/* ---- documents ---- */

typedef struct { const char *text; size_t size; } document;     /* borrowed until the next call on the corpus */

/* A source is a file that was read, with what it is recognised by. */
typedef struct { char *path; size_t bytes; char hash[33]; } source;

typedef struct corpus corpus;

/* With any_bytes, text need not be UTF-8. */
corpus       *corpus_open(const char *const *paths, int n, bool any_bytes, lithe_error *err);
/* Takes one file (or "-"), whatever its name, as one document: the whole of it, unpacked. */
corpus       *corpus_open_file(const char *path, bool any_bytes, lithe_error *err);
/* Takes one file (or "-") whose lines are documents, or of .jsonl the texts of its objects, empty ones too. */
corpus       *corpus_open_rows(const char *path, lithe_error *err);
/* Returns 1 with a document, which is not empty unless it is a row, 0 at the end, or a negative status. */
int           corpus_next(corpus *c, document *d, lithe_error *err);
void          corpus_rewind(corpus *c);
size_t        corpus_sources(const corpus *c);
const source *corpus_source(const corpus *c, size_t i);         /* hash: once that file has been read */
void          corpus_close(corpus *c);

/* Joins whole documents by an empty line until they reach limit bytes (the last one is cut
 * at a line), for a tokenizer to be learned from.  The text is malloc'd. */
char *corpus_text(const char *const *paths, int n, size_t limit, size_t *size, lithe_error *err);

#endif
