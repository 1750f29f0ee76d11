/* Masked language modelling: which tokens of a sequence are predicted and what
 * the model sees in their places.  Devlin et al. 2019 (an exact count, whole
 * words), Hugging Face's collator and MosaicBERT (each token by itself).
 *
 * A chosen token becomes [MASK], a random id, or stays as it is; it is predicted
 * in all three cases.  Special tokens are never chosen and never drawn.
 * Invariant: what is chosen is a function of (settings, key, ids). */
#ifndef DATA_MASK_H
#define DATA_MASK_H

#include "base/error.h"
#include <stdint.h>

typedef enum {
    MASK_EACH,          /* every token on its own, with probability rate */
    MASK_COUNT,         /* max(1, round(rate n)) of them, n counting the special ones too, as BERT */
    MASK_WORDS,         /* the same count in whole words */
    MASK_KINDS
} mask_kind;

typedef struct {
    mask_kind kind;
    double rate;                    /* share of tokens predicted */
    double keep, random;            /* of those: left as they are, replaced by a random id; the rest becomes [MASK] */
    bool fixed;                     /* one mask for a sequence in every epoch */
} mask_settings;

int         mask_find(const char *name);        /* a mask_kind, or -1 */
const char *mask_name(mask_kind kind);

/* This is what a vocabulary says of its ids. */
typedef struct {
    int32_t mask;                   /* the id of [MASK] */
    int vocab;
    uint8_t *special, *continues;   /* [vocab]: a special token; a piece that goes on a word */
    int32_t *ordinary; int ordinary_count;      /* the ids that are not special */
} mask_vocab;

/* Fails when the tokenizer has no mask token. */
int  mask_vocab_open(mask_vocab *v, const lithe_tokenizer *t, lithe_error *err);
void mask_vocab_close(mask_vocab *v);

/* Gives the most tokens that are chosen of n.  For MASK_EACH that is six deviations above the mean, and no more are
 * chosen. */
int mask_most(const mask_settings *s, int n);

/* Chooses among ids[0..n-1] and changes them; gives their places in ascending order, and the ids that were there.
 * place and target hold mask_most(n), scratch holds 2 n.  Returns how many were chosen. */
int mask_tokens(const mask_settings *s, const mask_vocab *v, uint64_t key, int n, int32_t *ids, int *place, int32_t *target, int *scratch);

#endif
