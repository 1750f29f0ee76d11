/* A text that a slot of an engine has read, as a file (docs/state-file.md). */
#ifndef INFER_STATE_FILE_H
#define INFER_STATE_FILE_H

#include "infer/engine.h"
#include "infer/chain.h"

enum { DIGEST_HEX = 33 };

/* Digests of the model's configuration and numbers, and of the tokenizer's texts ("": there is no tokenizer). */
typedef struct state_origin { char model[DIGEST_HEX], tokenizer[DIGEST_HEX]; } state_origin;
/* It reads all parameters. */
int state_origin_of(const lithe_model *m, const lithe_tokenizer *t, state_origin *o, lithe_error *err);

/* What was read beside the states. */
typedef struct {
    size_t length;
    const int32_t *ids;                         /* (length); NULL: they are not kept, and then: */
    chain digest;                            /* of all of them, */
    int32_t last;                               /* the last (-1: none), */
    const int32_t *seen; size_t seen_count;     /* and each that occurred, once */
    const float *logits;                        /* (vocab), those after the last id; NULL if nothing was read */
} text_read;

/* Where a file goes: to a path, or (path NULL) into memory, *bytes (size) to be freed. */
typedef struct { const char *path; char **bytes; size_t *size; } state_target;
int state_write(const state_target *to, const lithe_engine *e, int slot, const text_read *r, const state_origin *o, lithe_error *err);

/* What a file has, in the memory of the file. */
typedef struct {
    size_t length;
    const file_tensor *ids;                     /* the ids that were read; without end, those that occurred */
    const file_tensor *logits;                  /* NULL: nothing was read */
    const file_tensor **states;                 /* (engine_states) */
    chain digest;
    int32_t last;
    real *row;                                  /* scratch */
} saved_state;

/* Checks all of the file against the model of e. */
int     saved_state_read(saved_state *x, const tensor_file *f, const lithe_engine *e, const state_origin *o, lithe_error *err);
void    saved_state_close(saved_state *x);
int32_t saved_state_id(const saved_state *x, size_t i);         /* ids[i] */
/* The slot, which is empty, has then read what was saved. */
void    saved_state_take(const saved_state *x, lithe_engine *e, int slot);

#endif
