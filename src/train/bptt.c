/* Training through windows (train/bptt.h).  Each sequence has a slot of its own. */
#include "train/bptt.h"
#include <stdlib.h>
#include <string.h>

/* ---- what can be trained so ----------------------------------------------------------- */

/* Every state of the model is recurrent, and there is one. */
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
    return fail(err, LITHE_ECONFIG, "bptt is %d: a %s has %s, so no window can go on from the one before it", windows, m->arch->name,
                count ? "keys and values of attention in its state" : "no recurrent state");
}

int bptt_check(const lithe_model *m, const objective *o, const settings *s, lithe_error *err)
{
    if (s->bptt < 2 || failed(err)) return failed(err) ? (int)err->status : LITHE_OK;
    if (o->kind != &predict_next) return fail(err, LITHE_ECONFIG, "bptt is %d: consecutive windows are those of a text of which the next token is learned", s->bptt);
    if (o->most.seqs > 1) return fail(err, LITHE_EINVAL, "bptt is %d: states go on from window to window, with reset_attention they end with each document", s->bptt);
    if (s->recompute) return fail(err, LITHE_EINVAL, "bptt is %d: it cannot be joined with recompute, windows save the same memory", s->bptt);
    return check_states(m, s->bptt, err);
}

/* ---- opening ---------------------------------------------------------------------------- */

/* Where the feed's graph has its states. */
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
    const graph_options ahead = { .mode = GRAPH_DECODE, .capacity = { window.rows, window.seqs, 0 }, .slots = f->samples, .context = 1,
                                  .compute = s->compute, .states = b->states };
    size_t count;
    if (!status) status = batch_open(&b->whole, whole, err);
    if (!status) status = pass_open(&b->ahead, m, &ahead, WANT_HIDDEN, err);
    if (!status && !(size_mul((size_t)b->windows, b->total, &count) && (b->begin = xalloc(count, sizeof *b->begin))))
        status = fail(err, LITHE_ENOMEM, "out of memory for the states of %d windows: ask for fewer, or a smaller batch", b->windows);
    if (status) bptt_close(b);
    return status;
}

void bptt_close(bptt *b)
{
    pass_close(&b->ahead);
    batch_close(&b->whole);
    free(b->states);
    free(b->sizes);
    free(b->begin);
    *b = (bptt){ 0 };
}

/* ---- running ------------------------------------------------------------------------------ */

static void copy_states(const bptt *b, int window, bool back)
{
    real *at = b->begin + (size_t)window * b->total;
    for (int i = 0; i < b->state_count; at += b->sizes[i++])
        memcpy(back ? b->states[i] : at, back ? at : b->states[i], b->sizes[i] * sizeof *at);
}

/* Window number w of all sequences, in a builder of a window's capacity. */
static void take_window(const bptt *b, int w, batch_builder *to) { batch_window(to, &b->whole, w * b->width, (w + 1) * b->width); }

/* The states that windows 1, 2, ... begin with. */
static int run_ahead(bptt *b, lithe_error *err)
{
    int status = LITHE_OK;
    for (int w = 0; w + 1 < b->windows && !status; w++) {
        take_window(b, w, &b->ahead.batch);
        status = pass_run(&b->ahead, err);
        copy_states(b, w + 1, false);
    }
    return status;
}

int bptt_run(bptt *b, feed *f, double scale, bool accumulate, double *loss, double *flops, lithe_error *err)
{
    int status = run_ahead(b, err);
    *loss = *flops = 0;
    graph_clear_state_gradients(f->pass.g);                 /* nothing is learned from what comes after the last window */
    for (int w = b->windows; w-- > 0 && !status;) {
        if (w) copy_states(b, w, true);
        take_window(b, w, &f->pass.batch);
        status = feed_run(f, scale, 1, accumulate || w + 1 < b->windows, err);
        *loss += feed_loss(f);
        *flops += feed_flops(f);
    }
    return status;
}
