/* An architecture's equations in a graph, and above them the head of a task with its loss or its logits. */
#include "arch/layers.h"

typedef struct { const arch *arch; const void *config; graph *g; want want; } building;
typedef struct { tensor *loss, *logits; } scores;                /* one of them, as wanted */

static scores score(const building *b, head h, bool regression)
{
    if (b->want == WANT_LOSS && !regression) return (scores){ .loss = capped_cross_entropy(b->g, h.hidden, h.weight, h.bias, h.cap) };
    tensor *x = h.weight ? linear(b->g, h.hidden, h.weight, h.bias, (linear_options){ .layout = OUT_IN }) : h.hidden, *logits = capped(b->g, x, h.cap);
    if (b->want == WANT_LOSS) return (scores){ .loss = squared_error(b->g, logits) };
    if (logits) logits->keep = true;
    return (scores){ .logits = logits };
}

/* Masked or next tokens. */
static scores of_language(const building *b, tensor *x)
{
    const arch *a = b->arch;
    tensor *rows = select_rows(b->g, x);
    unscope(b->g);
    scores s = score(b, a->equations.language(b->g, b->config, rows), false);
    if (s.loss && a->equations.l2_wrap) l2_wrap(s.loss, a->equations.l2_wrap(b->config));
    return s;
}

static scores of_labels(const building *b, tensor *rows, const task *t)
{
    const arch *a = b->arch;
    unscope(b->g);
    require(b->g, !t->form || a->equations.forms, "%s has no head such as architectures says", a->name);
    if (a->equations.classify) return score(b, a->equations.classify(b->g, b->config, rows, t), t->regression);
    tensor *w = head_weight(b->g, "score.weight", t->labels, width_of(rows), 0.02);
    return score(b, (head){ .hidden = rows, .weight = w }, t->regression);
}

/* A class or a number for each sequence. */
static scores of_sequences(const building *b, tensor *x, const task *t)
{
    const arch *a = b->arch;
    if (a->equations.classify_all) {
        unscope(b->g);
        return score(b, a->equations.classify_all(b->g, b->config, x, t), t->regression);
    }
    pooling how = a->equations.pool ? a->equations.pool(b->config) : arch_encoder(a, b->config) ? POOL_FIRST : POOL_LAST;
    return of_labels(b, sequence_rows(b->g, x, how), t);
}

/* Classes of each token; the two scores of a span have no loss here. */
static scores of_tokens(const building *b, tensor *x, const task *t)
{
    task each = *t;
    if (t->kind == TASK_SPAN) each.labels = 2;
    require(b->g, b->want != WANT_LOSS || t->kind == TASK_TOKENS, "spans of answers are read, not trained");
    return of_labels(b, select_rows(b->g, x), &each);
}

static scores of_task(const building *b, tensor *x, const task *t)
{
    switch (t->kind) {
    case TASK_SEQUENCE:           return of_sequences(b, x, t);
    case TASK_TOKENS:
    case TASK_SPAN:               return of_tokens(b, x, t);
    case TASK_LANGUAGE:
    case TASK_PRETRAIN:           return of_language(b, x);
    case TASK_BODY:               break;
    }
    require(b->g, b->want != WANT_LOSS, "a model without a head has no loss: give it a task");
    return (scores){ 0 };
}

results arch_build(const arch *a, const void *config, const task *asked, graph *g, want w)
{
    const task t = asked ? *asked : arch_task(a), pair = { .kind = TASK_PRETRAIN, .labels = 2 };
    const building b = { .arch = a, .config = config, .g = g, .want = w };
    scores s = { 0 }, next = { 0 };
    tensor *x = a->equations.build(g, config);
    if (!graph_ok(g)) return (results){ 0 };
    if (w == WANT_HIDDEN) x->keep = true;
    else s = of_task(&b, x, &t);
    if (w != WANT_HIDDEN && t.kind == TASK_PRETRAIN) next = of_sequences(&b, x, &pair);
    bool scored = s.loss && !training(g) && (t.kind == TASK_LANGUAGE || t.kind == TASK_PRETRAIN);
    return (results){ .hidden = x, .loss = s.loss, .logits = s.logits, .seq_loss = next.loss, .seq_logits = next.logits, .correct = scored ? correct(s.loss) : NULL };
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
    check_pending(&first);
    graph_close(g);
    return first.status ? fail(err, first.status, "%s: %s", a->name, first.text) : 0;
}
