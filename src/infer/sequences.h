/* Many sequences through one graph, ragged, some at a time: what classifying,
 * embedding and filling in have in common.  A result depends on its own sequence
 * only. */
#ifndef INFER_SEQUENCES_H
#define INFER_SEQUENCES_H

#include "infer/infer.h"

typedef struct {
    int32_t *ids, *types;               /* end to end */
    size_t *start;                      /* [n + 1] */
    size_t n, cut;                      /* cut: texts that were too long and lost their ends */
    size_t capacity;
    const int32_t *select;              /* rows the head looks at, ascending, of a single sequence; NULL: all */
    int selected;
} sequences;

/* Texts, or pairs of them (pairs NULL, or one of its entries NULL: none), with their special tokens, cut to limit ids. */
int  sequences_encode(sequences *x, const lithe_model *m, const lithe_tokenizer *t, const char *const *texts, const char *const *pairs, size_t n,
                      int limit, lithe_error *err);
void sequences_close(sequences *x);

/* Sequences first .. first + b->seqs - 1 have been run. */
typedef void sequences_take(void *context, const results *r, const batch *b, size_t first);
int  sequences_run(const sequences *x, const lithe_model *m, want w, sequences_take *take, void *context, lithe_error *err);

#endif
