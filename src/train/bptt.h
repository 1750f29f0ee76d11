/* Back-propagation through N consecutive windows of a text, for recurrent models
 * (Werbos 1990).  A sequence is N windows long and its gradient is exact, but needs the
 * memory of one window: a forward pass stores the states that each window begins with;
 * then forward and backward run from the last window to the first, and each window
 * passes the gradient of the states it began with to the window before it. */
#ifndef TRAIN_BPTT_H
#define TRAIN_BPTT_H

#include "train/feed.h"

typedef struct {
    int windows;                     /* in a sequence; 0: not opened */
    int width;                       /* tokens in a window */
    batch_builder whole;             /* the sequences of a micro-batch */
    pass forward;                    /* runs over one window, on the states of the feed's graph */
    real **states;                   /* (states) memory of that graph */
    size_t *sizes, total;            /* (states) values in each, over all slots; their sum */
    real *begin;                     /* (windows, total): the states that each window begins with */
    int state_count;
} bptt;

/* Fails where m has no states or some that are not recurrent, or where o or s cannot be used with windows. */
int  bptt_check(const lithe_model *m, const objective *o, const settings *s, lithe_error *err);
/* f was opened for windows (feed.h); o makes whole sequences. */
int  bptt_open(bptt *b, const lithe_model *m, const feed *f, const settings *s, const objective *o, lithe_error *err);
void bptt_close(bptt *b);
/* Computes loss and gradients of the sequences in b->whole; *loss and *flops are sums like those of feed_loss and
 * feed_flops. */
int  bptt_run(bptt *b, feed *f, double scale, bool accumulate, double *loss, double *flops, lithe_error *err);

#endif
