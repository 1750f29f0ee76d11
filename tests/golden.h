/* Golden models: a folder of tests/golden opened as any MODEL, and the results
 * PyTorch gave for its batch of two sequences (tests/golden/README.md). */
#ifndef TEST_GOLDEN_H
#define TEST_GOLDEN_H

#include "model/model.h"

enum { GOLDEN_SEQS = 2, GOLDEN_LENGTH = 9, GOLDEN_ROWS = GOLDEN_SEQS * GOLDEN_LENGTH, GOLDEN_VOCAB = 61 };

typedef struct {
    const char *name;
    lithe_model *model;
    tensor_file *answers;
    int ids[GOLDEN_ROWS], pos[GOLDEN_ROWS], start[GOLDEN_SEQS + 1], target[GOLDEN_ROWS];
    batch batch;                     /* points into this struct */
} golden;

/* answers: the folder whose golden.safetensors holds for this model, NULL: its own.  Ends the test when it cannot. */
void golden_open(golden *q, const char *name, const char *answers);
void golden_close(golden *q);

/* KIND.NAME of the answers, under the parameter's published name (kind NULL: the name alone); NULL when there is none,
 * else malloc'd. */
float *golden_values(const golden *q, const char *kind, const char *name, size_t count);

/* A planned and poisoned graph for the batch.  Free with graph_close. */
graph *golden_graph(const golden *q, const kernels *k, graph_mode mode, compute_type compute, want w, results *r);

/* The mean loss of one run; gradients join those of earlier runs when the batch says so. */
double run_loss(graph *g, const results *r, const batch *b);

/* Each test runs at every level of kernels, in a process of its own: so the level is also the process's default.
 * EACH_LEVEL(static, f) defines f_ref ... for a function f(const kernels *), DECLARE_LEVELS(f) declares them,
 * LEVELS("name", f) lists them. */
void at_level(const char *level, void (*run)(const kernels *));
#define TEST_AT(level, storage, f) storage void f##_##level(void) { at_level(#level, f); }
#define EACH_LEVEL(storage, f)    KERNEL_LEVELS(TEST_AT, storage, f)
#define ROW_AT(level, name, f)    { name ", " #level, f##_##level },
#define LEVELS(name, f)           KERNEL_LEVELS(ROW_AT, name, f)
#define DECLARE_AT(level, f)      void f##_##level(void);
#define DECLARE_LEVELS(f)         KERNEL_LEVELS(DECLARE_AT, f)

#endif
