/* An architecture's equations in a graph, and above them the head of a task with its loss or its logits. */
#include "arch/layers.h"

static tensor *logits_of(graph *g, head h)
{
    tensor *logits = linear(g, h.hidden, h.weight, h.bias, (linear_options){ .layout = OUT_IN });
    if (logits) logits->keep = true;
    return logits;
}

static head score_head(const arch *a, const void *config, graph *g, tensor *rows, const task *t)
{
    if (a->equations.classify || !graph_ok(g)) return a->equations.classify ? a->equations.classify(g, config, rows, t) : (head){ 0 };
    scope(g, "%s", "");
    return (head){ rows, head_weight(g, "score.weight", t->labels, rows->width, 0.02), NULL };
}

/* Masked or next tokens. */
static void add_language(const arch *a, const void *config, graph *g, want w, tensor *x, results *r)
{
    head h = a->equations.language(g, config, select_rows(g, x));
    if (w == WANT_LOSS) r->loss = cross_entropy(g, h.hidden, h.weight, h.bias);
    else r->logits = logits_of(g, h);
    if (r->loss && a->equations.l2_wrap) l2_wrap(r->loss, a->equations.l2_wrap(config));
    if (r->loss && !training(g)) r->hits = hits(r->loss);
}

/* A class or a number for each sequence. */
static void add_sequence(const arch *a, const void *config, graph *g, want w, tensor *x, const task *t, tensor **loss, tensor **logits)
{
    pooling how = a->equations.pool ? a->equations.pool(config) : arch_encoder(a, config) ? POOL_FIRST : POOL_LAST;
    head h = score_head(a, config, g, sequence_rows(g, x, how), t);
    if (w != WANT_LOSS) *logits = logits_of(g, h);
    else if (t->regression) *loss = squared_error(g, linear(g, h.hidden, h.weight, h.bias, (linear_options){ .layout = OUT_IN }));
    else *loss = cross_entropy(g, h.hidden, h.weight, h.bias);
}

/* Classes of each token; the two scores of a span have no loss here. */
static void add_tokens(const arch *a, const void *config, graph *g, want w, tensor *x, const task *t, results *r)
{
    task each = *t;
    if (t->kind == TASK_SPAN) each.labels = 2;
    head h = score_head(a, config, g, select_rows(g, x), &each);
    require(g, w != WANT_LOSS || t->kind == TASK_TOKENS, "spans of answers are read, not trained");
    if (w == WANT_LOSS) r->loss = cross_entropy(g, h.hidden, h.weight, h.bias);
    else r->logits = logits_of(g, h);
}

results arch_build(const arch *a, const void *config, const task *asked, graph *g, want w)
{
    const task t = asked ? *asked : arch_task(a), pair = { .kind = TASK_PRETRAIN, .labels = 2 };
    tensor *x = a->equations.build(g, config);
    results r = { .hidden = x };
    if (!graph_ok(g)) return (results){ 0 };
    if (w == WANT_HIDDEN) x->keep = true;
    else if (t.kind == TASK_BODY) require(g, w != WANT_LOSS, "a model without a head has no loss: give it a task");
    else if (t.kind == TASK_SEQUENCE) add_sequence(a, config, g, w, x, &t, &r.loss, &r.logits);
    else if (t.kind == TASK_TOKENS || t.kind == TASK_SPAN) add_tokens(a, config, g, w, x, &t, &r);
    else add_language(a, config, g, w, x, &r);
    if (w != WANT_HIDDEN && t.kind == TASK_PRETRAIN) add_sequence(a, config, g, w, x, &pair, &r.seq_loss, &r.seq_logits);
    return r;
}

/* A scoring graph of one row declares every parameter and runs nothing. */
int arch_declare(const arch *a, const void *config, const task *t, params *p, lithe_error *err)
{
    graph_options o = { .mode = GRAPH_SCORE, .capacity = { [ROWS_TOKENS] = 1, [ROWS_SEQS] = 1 } };
    kernels none = { 0 };
    graph *g = graph_new(&none, p, &o);
    if (!g) return fail(err, LITHE_ENOMEM, "not enough memory for the graph");
    arch_build(a, config, t, g, WANT_LOGITS);
    lithe_error first = { 0 };
    if (!graph_ok(g)) graph_plan_only(g, &first);
    graph_close(g);
    return first.status ? fail(err, first.status, "%s: %s", a->name, first.text) : 0;
}
