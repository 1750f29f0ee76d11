#include "arch/encoder.h"
#include <stdio.h>

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
    if (t->kind == TASK_PRETRAIN) return label_head(g, e, rows, "cls.seq_relationship", t->labels);
    if (t->kind == TASK_SPAN) return label_head(g, e, rows, "qa_outputs", t->labels);
    return label_head(g, e, dropout(g, rows, classifier_dropout), "classifier", t->labels);
}

const char *post_norm_changes(const void *config)
{
    (void)config;
    return "a norm stands after each sum";
}
