/* Loads the values of a file into a model's parameters; a plan says which tensor
 * holds each of them.  Values stay in the mapped file where they can be used as they
 * are; else they are copied in their stored type, in the parameter's order; and they
 * become floats where kernels do not take their type, or where training needs them. */
#include "model/model.h"
#include "files/dtypes.h"
#include "base/threads.h"
#include "kernels/blocks.h"
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

/* How a model for inference holds a parameter. */
typedef enum { WHERE_IT_LIES, TRANSPOSED, COPIED, AS_FLOATS } holding;

/* Blocks stay what they are along what is read of the parameter: its rows, whose order may be another, or its columns,
 * if the file has those as rows. */
static holding holding_of_blocks(const param_source *s)
{
    const element_order *o = &s->from.order;
    if (s->to->reads != READ_ROWS) return AS_FLOATS;
    if (!o->rank) return WHERE_IT_LIES;
    return o->step[o->rank - 1] == 1 && o->dims[o->rank - 1] % dtype_block(s->from.type) == 0 ? COPIED : AS_FLOATS;
}

/* More blocks side by side than a product takes. */
static bool is_too_long(const param_source *s)
{
    const param_rule *r = &s->to->rule;
    int outputs = r->dims[s->to->reads == READ_COLUMNS && r->rank > 1];
    return dtype_block(s->from.type) > 1 && (outputs < 1 || s->to->count / (size_t)outputs > LONGEST_IN_BLOCKS);
}

/* *type: of the numbers that it then holds. */
static holding holding_of(const param_source *s, stored_type *type)
{
    const file_tensor *t = &s->from;
    bool function = (t->form && t->form->values) || t->exponent, known = !function && dtype_stored(t->type, type);
    holding h = !known || is_too_long(s) ? AS_FLOATS : s->to->reads == READ_COLUMNS && !s->to->plain && is_transposed(&t->order) ? TRANSPOSED :
                dtype_block(t->type) > 1 ? holding_of_blocks(s) : file_tensor_as_is(t) ? WHERE_IT_LIES : COPIED;
    if (h == AS_FLOATS) *type = STORED_REAL;
    return h;
}

size_t load_plan_bytes(const load_plan *plan)
{
    size_t bytes = 0;
    for (int i = 0; i < plan->count; i++) {
        stored_type type;
        holding_of(&plan->sources[i], &type);
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
        holding h = holding_of(&plan->sources[i], &form.type);
        void *own = NULL;
        size_t bytes = stored_bytes(form.type, t->count);
        if (h == TRANSPOSED) form.rows = (int)t->order.dims[0], form.columns = (int)t->order.dims[1];
        if (h == COPIED || h == AS_FLOATS) {
            form.data = own = big_alloc(bytes);
            if (!own) status = fail(err, LITHE_ENOMEM, "%s: %.2f GB for %s are more than the memory of this machine",
                                    plan->path, 1e-9 * (double)bytes, t->name);
            copies[count++] = (copy){ t, own, h == AS_FLOATS };
        }
        weight_store(&plan->sources[i].to->weight, form, own, own ? bytes : 0);
    }
    if (!status) status = copy_all(copies, count, plan->path, err);
    free(copies);
    return status;
}
