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
 * EACH_LEVEL(static, f) defines f_ref ... for a function f(const kernels *); LEVELS("name", f) lists them. */
void at_level(const char *level, void (*run)(const kernels *));
#define EACH_LEVEL(storage, f) storage void f##_ref(void) { at_level("ref", f); } storage void f##_avx2(void) { at_level("avx2", f); } \
                               storage void f##_avx512(void) { at_level("avx512", f); } storage void f##_amx(void) { at_level("amx", f); }
#define LEVELS(name, f) { name ", ref", f##_ref }, { name ", avx2", f##_avx2 }, { name ", avx512", f##_avx512 }, { name ", amx", f##_amx }

#endif
