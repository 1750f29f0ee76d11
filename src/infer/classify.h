/* Reads texts with a head that classifies them, or gives each a number: for lithe_classify and lithe_evaluate alike. */
#ifndef INFER_CLASSIFY_H
#define INFER_CLASSIFY_H

#include "lithe_eval.h"
#include "infer/sequences.h"

/* Fails if m has no such head. */
int must_label(const lithe_model *m, lithe_error *err);
/* Reads n texts, or pairs of them; take receives their logits (texts, labels). */
int read_labelled(lithe_engine *e, const lithe_tokenizer *t, const char *const *texts, const char *const *pairs, size_t n,
                  sequences_take *take, void *context, size_t *cut, lithe_error *err);

#endif
