/* A pass over the batches that an objective builds. */
#ifndef TRAIN_FEED_H
#define TRAIN_FEED_H

#include "model/pass.h"
#include "train/settings.h"

typedef struct {
    pass pass;
    int samples;                     /* capacity */
    double flops;                    /* of one run at capacity, backward included */
} feed;

/* GRAPH_TRAIN computes losses and gradients, GRAPH_SCORE losses, or of labels their logits.  Of a run with bptt, GRAPH_TRAIN is
 * for one window of each sample (train/bptt.h). */
int  feed_open(feed *f, const lithe_model *m, graph_mode mode, const settings *s, const objective *o, int samples, lithe_error *err);
void feed_close(feed *f);
/* Runs the batch that was built.  scale, seq_scale: of the gradients of targets and of labels. */
int  feed_run(feed *f, double scale, double seq_scale, bool accumulate, lithe_error *err);
/* Sums over the latest run, unscaled. */
double feed_loss(const feed *f);
double feed_seq_loss(const feed *f);
double feed_correct(const feed *f);                              /* targets that were the likeliest; GRAPH_SCORE */
double feed_flops(const feed *f);                               /* of the latest run */


#endif
