/* What BERT-like encoders share: the post-norm layer, the head for masked tokens and the heads for labels. */
#ifndef ARCH_ENCODER_H
#define ARCH_ENCODER_H

#include "arch/fields.h"
#include "arch/layers.h"

typedef struct {
    int width, vocab, heads, inner;
    double std, cut;                            /* of initial values, as in dense_options */
    activation act;
    norm_options ln;
    double dropout, attention_dropout;          /* of what a part gives, of the probabilities */
    tensor *bias;                               /* of distances in attention; NULL: none */
} encoder;

/* x = LN(x + Attn(x));  x = LN(x + W2 act(W1 x)), its parameters under these names.  Within the layer's scope. */
typedef struct { const char *query, *key, *value, *out, *out_norm, *up, *down, *down_norm; } post_norm_names;
tensor *post_norm_layer(graph *g, const encoder *e, const post_norm_names *n, tensor *x, int layer);

/* act(rows W + b), as wide as rows. */
tensor *square_dense(graph *g, const encoder *e, tensor *rows, const char *name, activation act);

/* BERT's head: LN(act(rows W + b)) times the embedding, or a weight of its own, plus a bias. */
typedef struct { const char *dense, *norm, *bias, *weight; tensor *tied; } masked_head_names;
head masked_head(graph *g, const encoder *e, tensor *rows, masked_head_names n);

/* RoBERTa's: its activation is exact GELU whatever the layers have.  tied NULL: a weight of its own. */
head roberta_head(graph *g, const encoder *e, tensor *rows, tensor *tied);

/* rows W + b with NAME.weight (labels, width) and NAME.bias. */
head label_head(graph *g, const encoder *e, tensor *rows, const char *name, int labels);

/* BERT's other heads: the pooler before classes of sequences and the pair's, dropout before what is fine-tuned. */
head bert_labels(graph *g, const encoder *e, tensor *rows, const task *t, double classifier_dropout);

/* RoBERTa's: no pooler, but a tanh layer of the classes' own. */
head roberta_labels(graph *g, const encoder *e, tensor *rows, const task *t, double classifier_dropout);

/* Hyper-parameters for training from scratch: BERT's, but the learning rate is that of small models and batches. */
extern const recipe bert_recipe;

/* .block_changes for post-norm layers. */
const char *post_norm_changes(const void *config);

#endif
