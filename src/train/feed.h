/* A feed is a pass (model/pass.h) over the batches that an objective builds. */
#ifndef TRAIN_FEED_H
#define TRAIN_FEED_H

#include "model/pass.h"
#include "train/settings.h"

typedef struct {
    pass pass;
    int samples;                     /* that fit one batch */
    double flops;                    /* of one run over a full batch, backward included */
} feed;

/* GRAPH_TRAIN computes losses and gradients; GRAPH_SCORE computes losses, or the logits of labels.  With bptt, the
 * graph of GRAPH_TRAIN takes one window of each sample (train/bptt.h).  reduce: may be NULL. */
int  feed_open(feed *f, const lithe_model *m, graph_mode mode, const settings *s, const objective *o, int samples, const reduce_hook *reduce, lithe_error *err);
void feed_close(feed *f);
/* Runs the batch that was built.  scale and seq_scale multiply the gradients of targets and of labels. */
int  feed_run(feed *f, double scale, double seq_scale, bool accumulate, lithe_error *err);
/* Sums over the latest run, without the scales. */
double feed_loss(const feed *f);
double feed_seq_loss(const feed *f);
double feed_correct(const feed *f);                         /* targets whose logit was the largest; GRAPH_SCORE only */
double feed_flops(const feed *f);                               /* of the latest run */


#endif
