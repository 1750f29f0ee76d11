/* Ranks encode a corpus together. */
#ifndef TRAIN_ENCODE_RANKS_H
#define TRAIN_ENCODE_RANKS_H

#include "train/ranks.h"

/* What rank 0 asks of the others before a run: to take a tokenizer (`run` is the name of its file, of so many bytes),
 * to encode texts, to join the run. */
typedef enum { RANKS_TOKENIZER, RANKS_TEXTS, RANKS_RUN } announcement_kind;
typedef struct { announcement_kind kind; int steps, save_every; size_t bytes; char run[4096]; } announcement;

/* Does what rank 0 asks until there is a run to join, which *a then describes. */
int encode_for_rank_0(lithe_ranks *r, announcement *a, lithe_error *err);

#endif
