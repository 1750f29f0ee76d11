#include "arch/encoder.h"
#include <stdio.h>

const recipe bert_recipe = { .lr = 1e-3, .warmup = 0.01, .schedule = "linear", .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-6, .weight_decay = 0.01, .clip = 1,
                             .mask = "count", .mask_rate = 0.15 };

tensor *post_norm_layer(graph *g, const encoder *e, const post_norm_names *n, tensor *x, int layer)
{
    const int C = e->width;
    const attention_options heads = { .heads = e->heads, .dropout = e->attention_dropout, .bias = e->bias };
    const dense_options qkv  = { .in = AXIS_RESIDUAL, .out = AXIS_HEAD, .bias = true, .std = e->std };
    const dense_options proj = { .in = AXIS_HEAD, .out = AXIS_RESIDUAL, .bias = true, .std = e->std, .dropout = e->dropout };
    const dense_options up   = { .in = AXIS_RESIDUAL, .out = AXIS_INNER, .bias = true, .std = e->std, .act = e->act };
    const dense_options down = { .in = AXIS_INNER, .out = AXIS_RESIDUAL, .bias = true, .std = e->std, .dropout = e->dropout };

    tensor *q = dense(g, x, n->query, C, qkv);                                                         /* (tokens, C) */
    tensor *k = dense(g, x, n->key, C, qkv);                                                           /* (tokens, C) */
    tensor *v = dense(g, x, n->value, C, qkv);                                                         /* (tokens, C) */
    tensor *a = attention(g, q, k, v, heads);                                                          /* (tokens, C) */
    x = tap(g, norm(g, dense_add(g, x, a, n->out, proj), n->out_norm, e->ln), "post_mix", layer);      /* (tokens, C) */
    tensor *h = dense(g, x, n->up, e->inner, up);                                                      /* (tokens, F) */
    return tap(g, norm(g, dense_add(g, x, h, n->down, down), n->down_norm, e->ln), "post_ffn", layer); /* (tokens, C) */
}

tensor *square_dense(graph *g, const encoder *e, tensor *rows, const char *name, activation act)
{
    const dense_options o = { .in = AXIS_RESIDUAL, .out = AXIS_RESIDUAL, .bias = true, .std = e->std, .cut = e->cut, .act = act };
    return dense(g, rows, name, e->width, o);                                                            /* (rows, C) */
}

head masked_head(graph *g, const encoder *e, tensor *rows, masked_head_names n)
{
    norm_options ln = e->ln;
    ln.before_tied_head = n.tied != NULL;
    rows = norm(g, square_dense(g, e, rows, n.dense, e->act), n.norm, ln);                             /* (rows, C) */
    tensor *w = n.tied ? n.tied : head_weight(g, n.weight, e->vocab, e->width, e->std);                /* (vocab, C) */
    /* (vocab) */
    tensor *b = parameter(g, n.bias, (param_rule){ .dims = { e->vocab }, .axes = { writes(AXIS_VOCAB) } });
    return (head){ .hidden = rows, .weight = w, .bias = b };
}

head roberta_head(graph *g, const encoder *e, tensor *rows, tensor *tied)
{
    encoder own = *e;
    own.act = ACT_GELU_ERF;
    return masked_head(g, &own, rows, (masked_head_names){ "lm_head.dense", "lm_head.layer_norm", "lm_head.bias", "lm_head.decoder.weight", tied });
}

head label_head(graph *g, const encoder *e, tensor *rows, const char *name, int labels)
{
    char weight[64], bias[64];
    snprintf(weight, sizeof weight, "%s.weight", name);
    snprintf(bias, sizeof bias, "%s.bias", name);
    param_rule rule = { .dims = { labels, e->width }, .axes = { writes(AXIS_NONE), reads(AXIS_RESIDUAL) }, .init = INIT_NORMAL, .std = e->std, .cut = e->cut, .decay = true };
    return (head){ .hidden = rows, .weight = parameter(g, weight, rule), .bias = parameter(g, bias, (param_rule){ .dims = { labels } }) };
}

head bert_labels(graph *g, const encoder *e, tensor *rows, const task *t, double classifier_dropout)
{
    /* (sequences, C) */
    if (t->kind == TASK_SEQUENCE || t->kind == TASK_PRETRAIN) rows = square_dense(g, e, rows, "pooler.dense", ACT_TANH);
    if (t->kind == TASK_PRETRAIN || t->form == FORM_NEXT) return label_head(g, e, rows, "cls.seq_relationship", t->labels);
    if (t->kind == TASK_SPAN) return label_head(g, e, rows, "qa_outputs", t->labels);
    return label_head(g, e, dropout(g, rows, classifier_dropout), "classifier", t->labels);
}

head roberta_labels(graph *g, const encoder *e, tensor *rows, const task *t, double classifier_dropout)
{
    require(g, t->form != FORM_NEXT, "only BERT predicts the next sentence");
    if (t->kind != TASK_SEQUENCE || t->form) return bert_labels(g, e, rows, t, classifier_dropout);
    rows = square_dense(g, e, dropout(g, rows, classifier_dropout), "classifier.dense", ACT_TANH);       /* (rows, C) */
    return label_head(g, e, dropout(g, rows, classifier_dropout), "classifier.out_proj", t->labels);
}

const char *post_norm_changes(const void *config)
{
    (void)config;
    return "a norm stands after each sum";
}
