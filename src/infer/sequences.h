/* Reads many whole sequences with an engine in ragged batches, for classifying,
 * embedding and filling masks.  A result depends on its own sequence
 * only. */
#ifndef INFER_SEQUENCES_H
#define INFER_SEQUENCES_H

#include "infer/engine.h"

typedef struct {
    int32_t *ids, *types;               /* end to end */
    size_t *start;                      /* [n + 1] */
    size_t n, cut;                      /* cut: number of texts that were too long and were truncated */
    size_t capacity;
    const int32_t *select;              /* the rows that the head reads, ascending, of a single sequence; NULL: all */
    int selected;
} sequences;

/* Fails if one of the n texts is NULL. */
int texts_check(const char *const *texts, size_t n, lithe_error *err);

/* Encodes texts, or pairs of texts (an entry of pairs, or pairs itself, is NULL for single texts), with special
 * tokens, truncated to limit ids. */
int  sequences_encode(sequences *x, const lithe_model *m, const lithe_tokenizer *t, const char *const *texts, const char *const *pairs, size_t n,
                      int limit, lithe_error *err);
/* The same of texts that are ids without special tokens: text i is ids[start[i]..start[i+1]-1]. */
int  sequences_join(sequences *x, const lithe_model *m, const lithe_tokenizer *t, const int32_t *ids, const size_t *start, size_t n, int limit, lithe_error *err);
void sequences_close(sequences *x);

/* Called when sequences first .. first + b->seqs - 1 have been run. */
typedef void sequences_take(void *context, const results *r, const batch *b, size_t first);
int  sequences_run(const sequences *x, lithe_engine *e, want w, sequences_take *take, void *context, lithe_error *err);

#endif
