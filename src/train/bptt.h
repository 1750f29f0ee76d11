/* Back-propagation through N consecutive windows of a text, for recurrent models
 * (Werbos 1990).  A sequence is N windows long, and the gradient is that of the
 * whole of it, in the memory of one window: a forward pass notes the states that
 * each window begins with; then the windows are trained from the last to the
 * first, each handing the gradient of its first states to the one before. */
#ifndef TRAIN_BPTT_H
#define TRAIN_BPTT_H

#include "train/feed.h"

typedef struct {
    int windows;                     /* of a sequence; 0: not opened */
    int width;                       /* tokens of a window */
    batch_builder whole;             /* the sequences of a step's part */
    pass ahead;                      /* forward over a window, from and to the states of the feed's graph */
    real **states;                   /* (states) where that graph has them */
    size_t *sizes, total;            /* (states) values in each, over all slots; in all */
    real *begin;                     /* (windows, total): the states that each window begins with */
    int state_count;
} bptt;

/* One line where m has other states than recurrent ones, or none, or the objective or s do not go with windows. */
int  bptt_check(const lithe_model *m, const objective *o, const settings *s, lithe_error *err);
/* For a feed that was opened for windows (feed.h), whose objective makes whole sequences. */
int  bptt_open(bptt *b, const lithe_model *m, const feed *f, const settings *s, const objective *o, lithe_error *err);
void bptt_close(bptt *b);
/* Loss and gradients of the sequences in b->whole; *loss and *flops are sums as of feed_loss and feed_flops. */
int  bptt_run(bptt *b, feed *f, double scale, bool accumulate, double *loss, double *flops, lithe_error *err);

#endif
