/* The values of a file into a model's parameters, as a plan says which tensor
 * holds each of them. */
#include "model/model.h"
#include "base/threads.h"
#include <stdatomic.h>
#include <stdlib.h>

static const size_t CHUNK = (size_t)1 << 18;                 /* elements converted by one task */

typedef struct {
    const load_plan *plan;
    int *first_task;                 /* (sources + 1) of each parameter's chunks */
    atomic_bool failed;
} conversion;

static bool convert(const file_tensor *t, size_t first, size_t n, real *out)
{
    enum { N = 4096 };
    float piece[N];
    if (sizeof(real) == sizeof(float)) return file_tensor_floats(t, first, n, (float *)(void *)out);
    for (size_t i = 0; i < n; i += N) {
        size_t k = n - i < N ? n - i : N;
        if (!file_tensor_floats(t, first + i, k, piece)) return false;
        for (size_t j = 0; j < k; j++) out[i + j] = (real)piece[j];
    }
    return true;
}

static void convert_chunk(void *context, int chunk)
{
    conversion *c = context;
    int low = 0, high = c->plan->count;                      /* the last parameter whose first chunk is not past this one */
    while (high - low > 1) {
        int middle = (low + high) / 2;
        if (c->first_task[middle] <= chunk) low = middle; else high = middle;
    }
    const param *p = c->plan->sources[low].to;
    size_t first = (size_t)(chunk - c->first_task[low]) * CHUNK, n = p->count - first < CHUNK ? p->count - first : CHUNK;
    if (!convert(&c->plan->sources[low].from, first, n, p->weight.values + first)) atomic_store(&c->failed, true);
}

int model_load(const load_plan *plan, lithe_error *err)
{
    if (failed(err)) return err->status;
    int n = plan->count;
    conversion c = { .plan = plan, .first_task = xalloc((size_t)n + 1, sizeof *c.first_task) };
    if (!c.first_task) return fail(err, LITHE_ENOMEM, "%s: not enough memory to read %d tensors", plan->path, n);
    for (int i = 0; i < n; i++)                              /* a parameter's count fits its memory, so its chunks an int */
        c.first_task[i + 1] = c.first_task[i] + (int)((plan->sources[i].to->count + CHUNK - 1) / CHUNK);
    parallel_for(c.first_task[n], convert_chunk, &c);
    for (int i = 0; i < n; i++) weight_edit(&plan->sources[i].to->weight);
    free(c.first_task);
    return atomic_load(&c.failed) ? fail(err, LITHE_EFORMAT, "%s: holds values that cannot be read as numbers", plan->path) : LITHE_OK;
}
