/* Back-propagation through windows (train/bptt.h).  Each sequence of a batch has a slot of its own. */
#include "train/bptt.h"
#include <stdlib.h>
#include <string.h>

/* ---- what it can be used for ------------------------------------------------------------ */

/* Checks that the model has states and that all of them are recurrent. */
static int check_states(const lithe_model *m, int windows, lithe_error *err)
{
    pass p;
    tensor *const *states;
    const graph_options o = { .mode = GRAPH_DECODE, .capacity = { 1, 1, 0 }, .slots = 1, .context = 1 };
    int status = pass_plan(&p, m, &o, WANT_HIDDEN, err);
    if (status) return status;
    int count = graph_states(p.g, &states), recurrent = 0;
    for (int i = 0; i < count; i++) recurrent += states[i]->recurrent;
    pass_close(&p);
    if (count && recurrent == count) return LITHE_OK;
    return fail(err, LITHE_ECONFIG, "bptt is %d: a %s has %s, so no window can continue from the one before it", windows, m->arch->name,
                count ? "keys and values of attention in its state" : "no recurrent state");
}

int bptt_check(const lithe_model *m, const objective *o, const settings *s, lithe_error *err)
{
    if (s->bptt < 2 || failed(err)) return failed(err) ? (int)err->status : LITHE_OK;
    if (o->kind != &predict_next) return fail(err, LITHE_ECONFIG, "bptt is %d: only a model that learns the next token reads consecutive windows", s->bptt);
    if (o->most.seqs > 1) return fail(err, LITHE_EINVAL, "bptt is %d: states continue from window to window, but with reset_attention they end with each document", s->bptt);
    if (s->recompute) return fail(err, LITHE_EINVAL, "bptt is %d: it cannot be combined with recompute; windows save the same memory", s->bptt);
    return check_states(m, s->bptt, err);
}

/* ---- opening ---------------------------------------------------------------------------- */

/* Finds where the feed's graph keeps its states. */
static int find_states(bptt *b, const graph *g, lithe_error *err)
{
    tensor *const *states;
    b->state_count = graph_states(g, &states);
    b->states = xalloc((size_t)b->state_count + 1, sizeof *b->states);
    b->sizes = xalloc((size_t)b->state_count + 1, sizeof *b->sizes);
    if (!b->states || !b->sizes) return fail(err, LITHE_ENOMEM, "out of memory for %d states", b->state_count);
    for (int i = 0; i < b->state_count; i++) {
        b->states[i] = states[i]->data;
        b->sizes[i] = (size_t)states[i]->rows * (size_t)states[i]->width;
        b->total += b->sizes[i];
    }
    return LITHE_OK;
}

int bptt_open(bptt *b, const lithe_model *m, const feed *f, const settings *s, const objective *o, lithe_error *err)
{
    const batch_capacity window = f->pass.batch.capacity, whole = { .rows = f->samples * o->most.rows, .seqs = f->samples };
    *b = (bptt){ .windows = s->bptt, .width = s->ctx };
    int status = find_states(b, f->pass.g, err);
    const graph_options forward = { .mode = GRAPH_DECODE, .capacity = { window.rows, window.seqs, 0 }, .slots = f->samples, .context = 1,
                                  .compute = s->compute, .states = b->states };
    size_t count;
    if (!status) status = batch_open(&b->whole, whole, err);
    if (!status) status = pass_open(&b->forward, m, &forward, WANT_HIDDEN, err);
    if (!status && !(size_mul((size_t)b->windows, b->total, &count) && (b->begin = xalloc(count, sizeof *b->begin))))
        status = fail(err, LITHE_ENOMEM, "out of memory for the states of %d windows: ask for fewer, or a smaller batch", b->windows);
    if (status) bptt_close(b);
    return status;
}

void bptt_close(bptt *b)
{
    pass_close(&b->forward);
    batch_close(&b->whole);
    free(b->states);
    free(b->sizes);
    free(b->begin);
    *b = (bptt){ 0 };
}

/* ---- running ------------------------------------------------------------------------------ */

/* Stores the graph's states as those that a window begins with, or with `restore` the other way. */
static void copy_states(const bptt *b, int window, bool restore)
{
    real *at = b->begin + (size_t)window * b->total;
    for (int i = 0; i < b->state_count; at += b->sizes[i++])
        memcpy(restore ? b->states[i] : at, restore ? at : b->states[i], b->sizes[i] * sizeof *at);
}

/* Puts window number w of every sequence into a builder with the capacity of one window. */
static void take_window(const bptt *b, int w, batch_builder *to) { batch_window(to, &b->whole, w * b->width, (w + 1) * b->width); }

/* Runs forward over the windows and stores the states that windows 1, 2, ... begin with. */
static int run_forward(bptt *b, lithe_error *err)
{
    int status = LITHE_OK;
    for (int w = 0; w + 1 < b->windows && !status; w++) {
        take_window(b, w, &b->forward.batch);
        status = pass_run(&b->forward, err);
        copy_states(b, w + 1, false);
    }
    return status;
}

int bptt_run(bptt *b, feed *f, double scale, bool accumulate, double *loss, double *flops, lithe_error *err)
{
    int status = run_forward(b, err);
    *loss = *flops = 0;
    graph_clear_state_gradients(f->pass.g);                 /* the states after the last window have no gradient */
    for (int w = b->windows; w-- > 0 && !status;) {
        if (w) copy_states(b, w, true);
        take_window(b, w, &f->pass.batch);
        status = feed_run(f, scale, 1, accumulate || w + 1 < b->windows, err);
        *loss += feed_loss(f);
        *flops += feed_flops(f);
    }
    return status;
}
