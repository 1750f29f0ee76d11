/* The memory plan.  Every buffer's first and last use are known before the
 * first run, so all activations and their gradients share one arena.
 *
 * A buffer is live from the step that writes it first to the last step that reads it; with recomputation it has two
 * live ranges.  Two buffers may share bytes when none of their live ranges overlap.  Buffers are placed in order of
 * size, the largest first, each at the lowest offset that is free during its live ranges. */
#include "graph/internal.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { ALIGN = 64 };

/* ---- the steps -------------------------------------------------------------- */

/* Decides which nodes run backward and who writes each gradient first. */
static void plan_backward(graph *g, bool *active)
{
    /* Whether the gradient of one of a node's outputs is written. */
    bool *written = xalloc((size_t)g->count * MAX_OUT + 1, sizeof *written);
    bool *param_written = xalloc((size_t)g->params->count + 1, sizeof *param_written);
    if (!written || !param_written) { fail(&g->error, LITHE_ENOMEM, "not enough memory for the plan"); goto out; }
    for (int i = g->count; i-- > 0; ) {
        node *n = g->nodes[i];
        active[i] = n->op->forward_backward;
        for (int j = 0; j < MAX_OUT; j++)
            if (n->out[j] && written[i * MAX_OUT + j]) active[i] = true;
        if (!active[i]) continue;
        for (int j = 0; j < MAX_IN; j++) {
            tensor *t = n->in[j];
            if (!t || !t->wants_grad) continue;
            bool *mark = NULL;
            if (t->param) {
                for (int q = 0; q < g->params->count; q++)
                    if (g->params->items[q] == t->param) { mark = &param_written[q]; break; }
            } else {
                for (int o = 0; o < MAX_OUT; o++)
                    if (t->from->out[o] == t) mark = &written[t->from->index * MAX_OUT + o];
            }
            assert(mark);
            if (!*mark) n->first_writer |= 1u << j;
            *mark = true;
        }
    }
    for (int i = 0; i < g->count; i++)
        for (int o = 0; o < MAX_OUT; o++)
            if (g->nodes[i]->out[o] && !written[i * MAX_OUT + o]) g->nodes[i]->out[o]->wants_grad = false;
out:
    free(written);
    free(param_written);
}

/* Whether backward anywhere in the segment reads what n makes, directly or to make it again. */
static void mark_needed(graph *g, int first, int last, const bool *active, bool *needed)
{
    for (int i = first; i <= last; i++) needed[i] = false;
    for (int i = last; i >= first; i--) {
        node *n = g->nodes[i];
        if (active[i]) {
            bool own = false;
            for (int s = 0; s < MAX_SAVE; s++) own |= n->save[s] && (n->op->reads & SAVE(s));
            for (int o = 0; o < MAX_OUT; o++) own |= n->out[o] && (n->op->reads & OUT(o));
            if (own) needed[i] = true;
            for (int j = 0; j < MAX_IN; j++) {
                tensor *t = n->in[j];
                if (t && t->from && (n->op->reads & IN(j)) && t->from->index >= first) needed[t->from->index] = true;
            }
        }
    }
    for (int i = last; i >= first; i--)                     /* and what those need when they run again */
        if (needed[i])
            for (int j = 0; j < MAX_IN; j++) {
                tensor *t = g->nodes[i]->in[j];
                if (t && t->from && t->from->index >= first) needed[t->from->index] = true;
            }
}

static void add_step(graph *g, node *n, step_kind kind, int which) { g->steps[g->step_count++] = (step){ n, kind, which }; }

/* The last step, from 1 on, that writes to each bucket of gradients; 0: none does. */
static void find_last_writers(const step *steps, int count, size_t bucket, int *last)
{
    for (int s = 0; s < count; s++) {
        const step *t = &steps[s];
        for (int i = 0; i < MAX_IN && (t->kind == STEP_BACKWARD || t->kind == STEP_FORWARD_BACKWARD); i++) {
            const tensor *x = t->node->in[i];
            if (!x || !x->param || !x->wants_grad) continue;
            for (size_t b = x->param->offset / bucket; b * bucket < x->param->offset + x->param->count; b++) last[b] = s + 1;
        }
    }
}

/* Adds a step for each bucket of gradients, after the last that writes to it. */
static void plan_reduce(graph *g)
{
    size_t bucket = g->options.reduce.bucket, buckets = bucket ? (g->params->arena_count + bucket - 1) / bucket : 0;
    if (!buckets || !training(g) || !graph_ok(g)) return;
    int *last = xalloc(buckets, sizeof *last), count = g->step_count;
    step *steps = g->steps;
    g->steps = xalloc((size_t)count + buckets, sizeof *g->steps);
    if (!last || !g->steps) { fail(&g->error, LITHE_ENOMEM, "not enough memory for the plan"); goto out; }
    find_last_writers(steps, count, bucket, last);
    g->step_count = 0;
    for (int s = 0; s < count; s++) {
        g->steps[g->step_count++] = steps[s];
        for (size_t b = 0; b < buckets; b++)
            if (last[b] == s + 1) add_step(g, steps[s].node, STEP_REDUCE, (int)b);
    }
out:
    free(last);
    free(steps);
}

static void plan_steps(graph *g)
{
    bool *active = xalloc((size_t)g->count + 1, sizeof *active), *needed = xalloc((size_t)g->count + 1, sizeof *needed);
    g->steps = xalloc(3 * (size_t)g->count + (size_t)g->pack_count + 1, sizeof *g->steps);
    if (!active || !needed || !g->steps) { fail(&g->error, LITHE_ENOMEM, "not enough memory for the plan"); goto out; }
    if (training(g)) plan_backward(g, active);
    for (int i = 0; i < g->pack_count; i++) add_step(g, g->packs[i].first, STEP_PACK, i);
    for (int i = 0; i < g->count; i++)
        add_step(g, g->nodes[i], training(g) && g->nodes[i]->op->forward_backward ? STEP_FORWARD_BACKWARD : STEP_FORWARD, -1);
    if (!training(g)) goto out;
    for (int last = g->count - 1; last >= 0; ) {
        int segment = g->nodes[last]->segment, first = last;
        while (first > 0 && g->nodes[first - 1]->segment == segment) first--;
        if (g->options.recompute && g->nodes[last]->index + 1 < g->count) {
            mark_needed(g, first, last, active, needed);
            for (int i = first; i <= last; i++)
                if (needed[i]) add_step(g, g->nodes[i], STEP_RECOMPUTE, -1);
        }
        for (int i = last; i >= first; i--)
            if (active[i] && !g->nodes[i]->op->forward_backward && g->nodes[i]->op->backward) add_step(g, g->nodes[i], STEP_BACKWARD, -1);
        last = first - 1;
    }
out:
    free(active);
    free(needed);
    plan_reduce(g);
}

/* ---- buffers ------------------------------------------------------------------ */

static int add_buffer(graph *g, const tensor *t)
{
    size_t bytes;
    if (!size_mul((size_t)capacity_rows(t), (size_t)t->width, &bytes) || !size_mul(bytes, sizeof(real), &bytes) || bytes > SIZE_MAX / 4) {
        fail(&g->error, LITHE_ENOMEM, "%s: a tensor of %d x %d is too large", t->name, capacity_rows(t), t->width);
        bytes = 0;
    }
    g->buffers[g->buffer_count] = (buffer){ .bytes = (bytes + ALIGN - 1) / ALIGN * ALIGN, .name = t->name };
    return g->buffer_count++;
}

/* Whether out 0 of n may use the buffer of in 0: value and gradient are then each used by one node at a time. */
static bool may_be_in_place(const node *n)
{
    const tensor *x = n->in[0], *y = n->out[0];
    if (!n->op->in_place || !x->from || x->consumers != 1 || x->keep || x->width != y->width || x->space != y->space) return false;
    if (x->from->segment != n->segment) return false;           /* recomputation begins at n and needs the old x */
    if (n->op->reads & IN(0)) return false;
    for (int o = 0; o < MAX_OUT; o++)
        if (x->from->out[o] == x && (x->from->op->reads & OUT(o))) return false;
    return true;
}

static void plan_buffers(graph *g)
{
    g->buffers = xalloc((size_t)g->count * (2 * MAX_OUT + MAX_SAVE + 1) + 1, sizeof *g->buffers);
    if (!g->buffers) { fail(&g->error, LITHE_ENOMEM, "not enough memory for the plan"); return; }
    for (int i = 0; i < g->count; i++) {
        node *n = g->nodes[i];
        n->in_place = may_be_in_place(n);
        for (int o = 0; o < MAX_OUT; o++) {
            tensor *t = n->out[o];
            if (!t) continue;
            bool shared = o == 0 && n->in_place;
            t->buffer = shared ? n->in[0]->buffer : add_buffer(g, t);
            if (training(g) && t->wants_grad)
                t->grad_buffer = shared && n->in[0]->grad_buffer >= 0 ? n->in[0]->grad_buffer : add_buffer(g, t);
        }
        for (int s = 0; s < MAX_SAVE; s++)
            if (n->save[s]) n->save[s]->buffer = add_buffer(g, n->save[s]);
        if (n->work) n->work->buffer = add_buffer(g, n->work);
    }
}

static void touch(access *out, int *count, int index, bool define)
{
    if (index >= 0) out[(*count)++] = (access){ index, define };
}

int step_accesses(const graph *g, const step *s, access *out)
{
    const node *n = s->node;
    int count = 0;
    if (s->kind == STEP_PACK || s->kind == STEP_REDUCE) return 0;
    if (n->work) touch(out, &count, n->work->buffer, true);
    if (s->kind != STEP_BACKWARD) {
        for (int i = 0; i < MAX_IN; i++)
            if (n->in[i]) touch(out, &count, n->in[i]->buffer, false);
        for (int o = 0; o < MAX_OUT; o++)
            if (n->out[o]) touch(out, &count, n->out[o]->buffer, !(o == 0 && n->in_place));
        for (int i = 0; i < MAX_SAVE; i++)
            if (n->save[i]) touch(out, &count, n->save[i]->buffer, true);
    } else {
        for (int i = 0; i < MAX_IN; i++)
            if (n->in[i] && (n->op->reads & IN(i))) touch(out, &count, n->in[i]->buffer, false);
        for (int o = 0; o < MAX_OUT; o++)
            if (n->out[o]) {
                if (n->op->reads & OUT(o)) touch(out, &count, n->out[o]->buffer, false);
                touch(out, &count, n->out[o]->grad_buffer, false);
            }
        for (int i = 0; i < MAX_SAVE; i++)
            if (n->save[i] && (n->op->reads & SAVE(i))) touch(out, &count, n->save[i]->buffer, false);
    }
    if (s->kind == STEP_BACKWARD || s->kind == STEP_FORWARD_BACKWARD)
        for (int i = 0; i < MAX_IN; i++)
            if (n->in[i] && training(g))
                touch(out, &count, n->in[i]->grad_buffer, (n->first_writer >> i & 1) && !(i == 0 && n->in_place));
    return count;
}

static void plan_live_ranges(graph *g)
{
    access touched[MAX_ACCESS];
    for (int s = 0; s < g->step_count; s++) {
        int count = step_accesses(g, &g->steps[s], touched);
        for (int pass = 0; pass < 2; pass++)                /* a step reads its inputs before it writes */
            for (int a = 0; a < count; a++) {
                buffer *b = &g->buffers[touched[a].buffer];
                if (touched[a].define != (pass == 1)) continue;
                if (touched[a].define) {
                    assert(b->ranges < MAX_RANGES);
                    b->first[b->ranges] = b->last[b->ranges] = s;
                    b->ranges++;
                } else {
                    assert(b->ranges > 0);                   /* read before it is written: a mistake of the builder */
                    b->last[b->ranges - 1] = s;
                }
            }
    }
    for (int i = 0; i < g->count; i++)
        for (int o = 0; o < MAX_OUT; o++) {
            const tensor *t = g->nodes[i]->out[o];
            if (t && t->keep) { buffer *b = &g->buffers[t->buffer]; b->last[b->ranges - 1] = g->step_count; }
        }
}

/* ---- placement ----------------------------------------------------------------- */

static bool meet(const buffer *a, const buffer *b)
{
    for (int i = 0; i < a->ranges; i++)
        for (int j = 0; j < b->ranges; j++)
            if (a->first[i] <= b->last[j] && b->first[j] <= a->last[i]) return true;
    return false;
}

typedef struct { size_t key; int index; } ranked;

static int by_key(const void *x, const void *y)
{
    const ranked *a = x, *b = y;
    if (a->key != b->key) return a->key < b->key ? -1 : 1;
    return a->index - b->index;
}

static void place(graph *g)
{
    int n = g->buffer_count;
    ranked *order = xalloc((size_t)n + 1, sizeof *order), *neighbours = xalloc((size_t)n + 1, sizeof *neighbours);
    if (!order || !neighbours) { fail(&g->error, LITHE_ENOMEM, "not enough memory for the plan"); goto out; }
    for (int i = 0; i < n; i++) order[i] = (ranked){ SIZE_MAX - g->buffers[i].bytes, i };        /* largest first */
    qsort(order, (size_t)n, sizeof *order, by_key);
    for (int i = 0; i < n; i++) {
        buffer *b = &g->buffers[order[i].index];
        int count = 0;
        for (int j = 0; j < i; j++) {
            const buffer *placed = &g->buffers[order[j].index];
            if (placed->bytes && meet(b, placed)) neighbours[count++] = (ranked){ placed->offset, order[j].index };
        }
        qsort(neighbours, (size_t)count, sizeof *neighbours, by_key);
        size_t offset = 0;
        for (int j = 0; j < count; j++) {
            const buffer *other = &g->buffers[neighbours[j].index];
            if (offset + b->bytes <= other->offset) break;
            if (other->offset + other->bytes > offset) offset = other->offset + other->bytes;
        }
        b->offset = offset;
        if (offset + b->bytes > g->arena_bytes) g->arena_bytes = offset + b->bytes;
    }
out:
    free(order);
    free(neighbours);
}

static void plan_last_uses(graph *g)
{
    g->range_end_start = xalloc((size_t)g->step_count + 2, sizeof *g->range_end_start);
    g->range_ends = xalloc((size_t)g->buffer_count * MAX_RANGES + 1, sizeof *g->range_ends);
    size_t *live = xalloc((size_t)g->step_count + 2, sizeof *live);
    if (!g->range_end_start || !g->range_ends || !live) { fail(&g->error, LITHE_ENOMEM, "not enough memory for the plan"); free(live); return; }
    for (int i = 0; i < g->buffer_count; i++)
        for (int l = 0; l < g->buffers[i].ranges; l++) {
            g->range_end_start[g->buffers[i].last[l] + 1]++;
            live[g->buffers[i].first[l]] += g->buffers[i].bytes;
            live[g->buffers[i].last[l] + 1] -= g->buffers[i].bytes;    /* may wrap around; the running sum is right */
        }
    for (int s = 0; s <= g->step_count; s++) g->range_end_start[s + 1] += g->range_end_start[s];
    int *next = xalloc((size_t)g->step_count + 2, sizeof *next);
    if (next) {
        memcpy(next, g->range_end_start, ((size_t)g->step_count + 1) * sizeof *next);
        for (int i = 0; i < g->buffer_count; i++)
            for (int l = 0; l < g->buffers[i].ranges; l++) g->range_ends[next[g->buffers[i].last[l]]++] = i;
    } else fail(&g->error, LITHE_ENOMEM, "not enough memory for the plan");
    size_t now = 0;
    for (int s = 0; s < g->step_count; s++) {
        now += live[s];
        if (now > g->largest_live) g->largest_live = now;
    }
    free(next);
    free(live);
}

/* ---- the whole plan -------------------------------------------------------------- */

int graph_plan_only(graph *g, lithe_error *err)
{
    if (failed(err)) return err->status;
    if (graph_ok(g)) plan_steps(g);
    if (graph_ok(g)) plan_buffers(g);
    if (graph_ok(g)) {
        plan_live_ranges(g);
        place(g);
    }
    if (graph_ok(g)) plan_last_uses(g);
    for (int i = 0; i < g->state_count && graph_ok(g); i++) {
        size_t count, bytes;
        if (!size_mul((size_t)g->states[i]->rows, (size_t)g->states[i]->width, &count) || !size_add(g->state_count_total, count, &g->state_count_total)
            || !size_mul(g->state_count_total, sizeof(real), &bytes) || !size_add(g->state_bytes, stored_bytes(g->states[i]->type, count), &g->state_bytes))
            fail(&g->error, LITHE_ENOMEM, "%s is too large", g->states[i]->name);
    }
    return graph_ok(g) ? 0 : fail(err, g->error.status, "%s", g->error.text);
}

static void point(graph *g, tensor *t)
{
    if (!t) return;
    if (t->buffer >= 0) t->data = (real *)(void *)(g->arena + g->buffers[t->buffer].offset);
    if (t->grad_buffer >= 0) t->grad = (real *)(void *)(g->arena + g->buffers[t->grad_buffer].offset);
}

static int allocate_packs(graph *g, lithe_error *err)
{
    for (int i = 0; i < g->pack_count; i++) {
        struct weight *w = &g->packs[i].param->weight;
        int side = g->packs[i].tb;
        compute_type type = g->options.compute;
        if (w->packed[type][side].memory) continue;
        size_t bytes = g->kernels->gemm_pack_bytes(type, g->packs[i].K, g->packs[i].N);
        w->packed[type][side].memory = big_alloc(bytes);
        w->packed[type][side].bytes = bytes;
        w->packed[type][side].version = 0;
        if (!w->packed[type][side].memory) return fail(err, LITHE_ENOMEM, "not enough memory for the packed weights");
    }
    return 0;
}

int graph_plan(graph *g, lithe_error *err)
{
    if (graph_plan_only(g, err)) return err ? err->status : LITHE_ECONFIG;
    if (g->options.timed && !(g->seconds = xalloc((size_t)g->step_count + 1, sizeof *g->seconds)))
        return fail(err, LITHE_ENOMEM, "not enough memory for the times of %d steps", g->step_count);
    g->arena = big_alloc(g->arena_bytes);
    if (!g->arena && g->arena_bytes)
        return fail(err, LITHE_ENOMEM, "this run needs %.2f GB for activations and gradients, more than there is: reduce the batch, the context, or recompute",
                    (double)g->arena_bytes / 1e9);
    if (g->state_count_total && training(g) && !(g->state_gradients = big_alloc(g->state_count_total * sizeof(real))))
        return fail(err, LITHE_ENOMEM, "the gradients of the states need %.2f GB, more than there is", (double)g->state_count_total * sizeof(real) / 1e9);
    if (!g->options.states && g->state_bytes && !(g->state_memory = big_alloc(g->state_bytes)))
        return fail(err, LITHE_ENOMEM, "the state needs %.2f GB, more than there is: reduce the context", (double)g->state_bytes / 1e9);
    char *next = g->state_memory;
    real *gradient = g->state_gradients;
    for (int i = 0; i < g->state_count; i++) {
        g->states[i]->grad = gradient;
        if (gradient) gradient += (size_t)g->states[i]->rows * (size_t)g->states[i]->width;
        g->states[i]->data = g->options.states ? g->options.states[i] : (real *)(void *)next;
        if (next) next += stored_bytes(g->states[i]->type, (size_t)g->states[i]->rows * (size_t)g->states[i]->width);
    }
    for (int i = 0; i < g->count; i++) {
        node *n = g->nodes[i];
        for (int o = 0; o < MAX_OUT; o++) point(g, n->out[o]);
        for (int s = 0; s < MAX_SAVE; s++) point(g, n->save[s]);
        point(g, n->work);
    }
    int seqs = g->options.capacity[ROWS_SEQS], rows = g->options.capacity[ROWS_TOKENS];
    g->key_start = graph_constant(g, (size_t)seqs * sizeof(int) + 1);
    g->keys_before = graph_constant(g, (size_t)seqs * sizeof(int) + 1);
    g->carried_from = graph_constant(g, (size_t)seqs * sizeof(int) + 1);
    g->zeros = graph_constant(g, (size_t)seqs * sizeof(int) + 1);
    g->state_rows = graph_constant(g, (size_t)rows * sizeof(int) + 1);
    if (!graph_ok(g)) return fail(err, g->error.status, "%s", g->error.text);
    int status = allocate_packs(g, err);
    return status ? status : check_pending(err);
}

plan_summary graph_summary(const graph *g)
{
    size_t packed = 0;
    for (int i = 0; i < g->pack_count; i++) packed += g->kernels->gemm_pack_bytes(g->options.compute, g->packs[i].K, g->packs[i].N);
    return (plan_summary){ .arena_bytes = g->arena_bytes, .largest_live = g->largest_live, .state_bytes = g->state_bytes,
                           .packed_bytes = packed, .nodes = g->count, .steps = g->step_count, .buffers = g->buffer_count };
}
