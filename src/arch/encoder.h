/* What the encoders of BERT's kind share: norms behind the sum, the masked
 * tokens' head, and heads of labels. */
#ifndef ARCH_ENCODER_H
#define ARCH_ENCODER_H

#include "arch/layers.h"

typedef struct {
    int width, vocab;
    double std, eps, dropout;                   /* of hidden states */
    activation act;
    double cut;                                 /* initial values no further out than so many standard deviations; 0: anywhere */
} encoder;

/* norm(x + dropout(y W + b)), after attention and after the feed-forward.  in: the meaning of y's columns. */
tensor *post_norm(graph *g, const encoder *e, tensor *x, tensor *y, const char *dense_name, const char *norm_name, axis in);

/* Why an added layer is not the identity. */
const char *post_norm_changes(const void *config);

/* act(rows W + b) of the same width. */
tensor *square_dense(graph *g, const encoder *e, tensor *rows, const char *name, activation act);

/* BERT's head: norm(act(rows W + b)) times the embedding, or a weight of its own, plus a bias. */
typedef struct { const char *dense, *norm, *bias, *weight; tensor *tied; double eps; } masked_head_names;
head masked_head(graph *g, const encoder *e, tensor *rows, masked_head_names n);

/* rows W + b with NAME.weight (labels, width) and NAME.bias. */
head label_head(graph *g, const encoder *e, tensor *rows, const char *name, int labels);

/* BERT's other heads: the pooler before classes of sequences and the pair's, dropout before what is fine-tuned. */
head bert_labels(graph *g, const encoder *e, tensor *rows, const task *t, double classifier_dropout);

#endif
