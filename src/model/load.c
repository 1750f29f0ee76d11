/* Loads the values of a file into a model's parameters; a plan says which tensor
 * holds each of them.  Values stay in the mapped file where they can be used as they
 * are; else they are copied in their stored type, in the parameter's order; and they
 * become floats where kernels do not take their type, or where training needs them. */
#include "model/model.h"
#include "files/dtypes.h"
#include "base/threads.h"
#include <stdatomic.h>
#include <stdlib.h>

_Static_assert(sizeof(real) == sizeof(float), "this room is not built in double");

static const size_t CHUNK = (size_t)1 << 18;                 /* elements that one task copies */

/* A copy of all elements of a tensor to memory, as floats or in the type they have. */
typedef struct { const file_tensor *from; void *to; bool floats; } copy;

typedef struct {
    const copy *copies; int count;
    int *first_task;                 /* (count + 1): the first chunk of each copy */
    atomic_bool failed;
} copying;

static void copy_chunk(void *context, int chunk)
{
    copying *c = context;
    int low = 0, high = c->count;           /* binary search for the last copy whose first chunk is at most this one */
    while (high - low > 1) {
        int middle = (low + high) / 2;
        if (c->first_task[middle] <= chunk) low = middle; else high = middle;
    }
    const copy *it = &c->copies[low];
    size_t first = (size_t)(chunk - c->first_task[low]) * CHUNK, n = it->from->count - first < CHUNK ? it->from->count - first : CHUNK;
    size_t before;
    bool done = it->floats ? file_tensor_floats(it->from, first, n, (float *)it->to + first)
                           : dtype_size(it->from->type, first, &before) && file_tensor_elements(it->from, first, n, (char *)it->to + before);
    if (!done) atomic_store(&c->failed, true);
}

static int copy_all(const copy *copies, int count, const char *path, lithe_error *err)
{
    copying c = { .copies = copies, .count = count, .first_task = xalloc((size_t)count + 1, sizeof *c.first_task) };
    if (!c.first_task) return fail(err, LITHE_ENOMEM, "%s: not enough memory to read %d tensors", path, count);
    for (int i = 0; i < count; i++)             /* a tensor fits in memory, so the number of its chunks fits an int */
        c.first_task[i + 1] = c.first_task[i] + (int)((copies[i].from->count + CHUNK - 1) / CHUNK);
    parallel_for(c.first_task[count], copy_chunk, &c);
    free(c.first_task);
    return atomic_load(&c.failed) ? fail(err, LITHE_EFORMAT, "%s: holds values that cannot be read as numbers", path) : LITHE_OK;
}

int model_load(const load_plan *plan, lithe_error *err)
{
    if (failed(err)) return err->status;
    copy *copies = xalloc((size_t)plan->count + 1, sizeof *copies);
    if (!copies) return fail(err, LITHE_ENOMEM, "%s: not enough memory to read %d tensors", plan->path, plan->count);
    for (int i = 0; i < plan->count; i++) copies[i] = (copy){ &plan->sources[i].from, weight_edit(&plan->sources[i].to->weight), true };
    int status = copy_all(copies, plan->count, plan->path, err);
    free(copies);
    return status;
}

/* Finds the stored type; false when no kernel takes it, so that the values become floats. */
static bool type_of(const file_tensor *t, stored_type *type)
{
    if (!(t->form && t->form->values) && dtype_stored(t->type, type) && dtype_block(t->type) == 1) return true;
    *type = STORED_REAL;
    return false;
}

size_t load_plan_bytes(const load_plan *plan)
{
    size_t bytes = 0;
    for (int i = 0; i < plan->count; i++) {
        stored_type type;
        type_of(&plan->sources[i].from, &type);
        bytes += stored_bytes(plan->sources[i].to->plain ? STORED_REAL : type, plan->sources[i].to->count);
    }
    return bytes;
}

int model_map(const load_plan *plan, lithe_error *err)
{
    if (failed(err)) return err->status;
    copy *copies = xalloc((size_t)plan->count + 1, sizeof *copies);
    int count = 0, status = copies ? LITHE_OK : fail(err, LITHE_ENOMEM, "%s: not enough memory to read %d tensors", plan->path, plan->count);
    for (int i = 0; i < plan->count && !status; i++) {
        const file_tensor *t = &plan->sources[i].from;
        stored form = { .data = t->data };
        bool known = type_of(t, &form.type);
        void *own = NULL;
        size_t bytes = stored_bytes(form.type, t->count);
        if (!known || !file_tensor_as_is(t)) {
            form.data = own = big_alloc(bytes);
            if (!own) status = fail(err, LITHE_ENOMEM, "%s: %.2f GB for %s are more than the memory of this machine",
                                    plan->path, 1e-9 * (double)bytes, t->name);
            copies[count++] = (copy){ t, own, !known };
        }
        weight_store(&plan->sources[i].to->weight, form, own, own ? bytes : 0);
    }
    if (!status) status = copy_all(copies, count, plan->path, err);
    free(copies);
    return status;
}
