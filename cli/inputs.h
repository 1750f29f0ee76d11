/* The inputs of verbs: text, ids, models, tokenizers. */
#ifndef CLI_INPUTS_H
#define CLI_INPUTS_H

#include "lithe_tools.h"
#include <stdbool.h>

/* The whole file, or standard input for "-", and a NUL after it; malloc'd.  More than `limit` bytes are refused: a
 * device or a pipe need not end. */
enum { SMALL_TEXT = 16 << 20, LARGE_TEXT = 1 << 30 };
char *read_text(const char *path, size_t limit, size_t *size, lithe_error *err);
/* The text of a corpus as `train` reads it (.txt, .jsonl, .gz and .zst of them, a directory, "-"), its documents joined
 * by empty lines, and a NUL after it; malloc'd. */
char *read_documents(const char *path, size_t *size, lithe_error *err);

/* The ids of "1 2 3" or "1,2,3", malloc'd.  An id lies in 0 .. 2^31-1. */
int32_t *parse_ids(const char *text, size_t *n, lithe_error *err);
/* Fails if an id is not in a vocabulary of this size. */
int ids_fit(const int32_t *ids, size_t n, int vocab, lithe_error *err);

/* lithe_model_open, which says on stderr which damaged checkpoints it passed over. */
lithe_model *open_model(const char *path, const char *config, lithe_error *err);

/* The tokenizer at `given`, else the one in or beside the model at `path`; it
 * must not have ids that the model lacks. */
lithe_tokenizer *model_tokenizer(const lithe_model *m, const char *path, const char *given, lithe_error *err);
lithe_tokenizer *model_tokenizer_with(const lithe_model *m, const char *path, const char *given, const lithe_tokenizer_options *o, lithe_error *err);

/* The ids of a text, malloc'd.  special: with the special tokens that the tokenizer puts before it
 * (a begin-of-text token), never with those after it, because the text will be continued. */
int32_t *encode_text(const lithe_tokenizer *t, const char *text, size_t size, bool special, size_t *n, lithe_error *err);
char    *decode_ids(const lithe_tokenizer *t, const int32_t *ids, size_t n, size_t *size, lithe_error *err);

void *allocate(size_t count, size_t size, lithe_error *err);        /* malloc(count * size), or LITHE_ENOMEM */
int   wrong(lithe_error *err, lithe_status status, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* "path: cannot DOING, why" with the meaning of errno: a full disk, memory and open files are LITHE_ENOMEM. */
int   wrong_errno(lithe_error *err, const char *path, const char *doing);

/* The machine's rate of products, lithe_peak; LITHE_ENOMEM where that cannot measure it. */
double machine_peak(const char *dtype, lithe_error *err);

/* Fails if something is at path that is to be made: a file, or for `directory` anything but an empty directory, or if
 * a directory would end as files do.  Verbs ask before they work. */
int must_be_new(const char *path, bool directory, lithe_error *err);
int must_be_there(const char *path, lithe_error *err);
/* The same for a file of one kind: the name does not end as those of another kind do. */
int must_be_new_file(const char *path, const char *ending, lithe_error *err);

#endif
