/* The states of engines after the beginnings of prompts, so that a prompt with a known beginning is read from there
 * on.  Keys and values are kept by pages of 64 tokens, recurrent states as snapshots at borders and at ends of texts;
 * what was used longest ago goes when the memory is used up.
 * Invariant: an entry's states are those of an engine that has read its ids, so no answer depends on finding it. */
#ifndef SERVE_PREFIX_STORE_H
#define SERVE_PREFIX_STORE_H

#include "lithe_tools.h"
#include <stdatomic.h>

/* Snapshots of recurrent states are taken where a multiple of BORDER ids was read. */
enum { PREFIX_PAGE = 64, PREFIX_BORDER = 128, PREFIX_LISTS = 4096 };

typedef struct prefix prefix;
typedef struct {
    size_t most;                        /* bytes; 0: nothing is kept */
    atomic_size_t bytes, restored;      /* in use; ids that did not have to be read */
    prefix *list[PREFIX_LISTS];
    prefix *newest, *oldest;
} prefix_store;

void prefix_store_close(prefix_store *s);

/* Makes the slot, which is empty, one that has read the longest known beginning of ids[0..n-1], and returns its length.
 * If that is n, logits (vocab) receives those after them. */
size_t prefix_restore(prefix_store *s, lithe_engine *e, int slot, const int32_t *ids, size_t n, float *logits, int vocab);
/* Keeps the states of the slot, which has read ids[0..n-1]; logits are those after them, or NULL. */
void   prefix_keep(prefix_store *s, lithe_engine *e, int slot, const int32_t *ids, size_t n, const float *logits, int vocab);

#endif
