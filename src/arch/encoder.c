#include "arch/encoder.h"

tensor *post_norm(graph *g, const encoder *e, tensor *x, tensor *y, const char *dense_name, const char *norm_name, axis in)
{
    dense_options o = { OUT_IN, true, in, RESIDUAL_WRITE, e->std, ACT_NONE, e->dropout > 0 ? NULL : x };
    y = dense_cut(g, y, dense_name, e->width, o, e->cut);
    if (!o.residual) y = add(g, x, dropout(g, y, e->dropout));
    return layer_norm_affine(g, y, norm_name, e->eps, false);
}

const char *post_norm_changes(const void *config)
{
    (void)config;
    return "a norm stands behind each sum";
}

tensor *square_dense(graph *g, const encoder *e, tensor *rows, const char *name, activation act)
{
    return dense_cut(g, rows, name, e->width, (dense_options){ OUT_IN, true, RESIDUAL_READ, RESIDUAL_WRITE, e->std, act, NULL }, e->cut);
}

head masked_head(graph *g, const encoder *e, tensor *rows, masked_head_names n)
{
    scope(g, "%s", "");
    rows = layer_norm_affine(g, square_dense(g, e, rows, n.dense, e->act), n.norm, n.eps, n.tied != NULL);
    tensor *w = n.tied ? n.tied : head_weight(g, n.weight, e->vocab, e->width, e->std);
    tensor *b = parameter(g, n.bias, (param_rule){ .rank = 1, .dims = { e->vocab }, .axes = { { AXIS_VOCAB, false, 1 } } });
    return (head){ rows, w, b };
}

head label_head(graph *g, const encoder *e, tensor *rows, const char *name, int labels)
{
    char weight[64], bias[64];
    snprintf(weight, sizeof weight, "%s.weight", name);
    snprintf(bias, sizeof bias, "%s.bias", name);
    param_rule rule = { .rank = 2, .dims = { labels, e->width }, .axes = { { AXIS_NONE, false, 1 }, RESIDUAL_READ }, .init = INIT_NORMAL, .std = e->std, .cut = e->cut, .decay = true };
    return (head){ rows, parameter(g, weight, rule), parameter(g, bias, (param_rule){ .rank = 1, .dims = { labels } }) };
}

head bert_labels(graph *g, const encoder *e, tensor *rows, const task *t, double classifier_dropout)
{
    scope(g, "%s", "");
    if (t->kind == TASK_SEQUENCE || t->kind == TASK_PRETRAIN) rows = square_dense(g, e, rows, "pooler.dense", ACT_TANH);
    if (t->kind == TASK_PRETRAIN) return label_head(g, e, rows, "cls.seq_relationship", t->labels);
    if (t->kind == TASK_SPAN) return label_head(g, e, rows, "qa_outputs", t->labels);
    return label_head(g, e, dropout(g, rows, classifier_dropout), "classifier", t->labels);
}
