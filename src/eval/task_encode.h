/* Contexts and continuations become ids as lm-evaluation-harness makes them. */
#ifndef EVAL_TASK_ENCODE_H
#define EVAL_TASK_ENCODE_H

#include "base/arena.h"
#include "base/error.h"

/* ids[first .. end) are predicted, each from all before it, or, by an encoder, from all others. */
typedef struct { int32_t *ids; size_t n, first, end; } task_sequence;

/* For causal models.  The ids of the continuation are those of both texts without the first ones, as many as the
 * context has alone; white space at the end of the context belongs to the continuation.  No context at all is the
 * begin-of-text token, or the end-of-text token if there is none.  A text of more than limit + 1 ids (0: any number)
 * loses its first ones, but none of the continuation, and *cut is set. */
int task_encode(task_sequence *out, const lithe_tokenizer *t, const char *context, const char *delimiter, const char *text, size_t limit,
                arena *memory, bool *cut, lithe_error *err);

/* For encoders: with the special tokens around both texts; without a context there is no delimiter either.  A text that
 * is too long loses its first ids, of the continuation too. */
int task_encode_around(task_sequence *out, const lithe_tokenizer *t, const char *context, const char *delimiter, const char *text, size_t limit,
                       arena *memory, bool *cut, lithe_error *err);

#endif
