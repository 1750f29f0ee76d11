/* The architectures, and what is the same for all of them: adding one is a file and a line here. */
#include "arch/layers.h"

extern const arch arch_gpt2, arch_llama, arch_tokenformer, arch_rwkv4, arch_rwkv7;

const arch *const architectures[] = { &arch_gpt2, &arch_llama, &arch_tokenformer, &arch_rwkv4, &arch_rwkv7, NULL };

results arch_build(const arch *a, const void *config, graph *g, want w)
{
    head h = a->build(g, config);
    if (!graph_ok(g)) return (results){ 0 };
    results r = { .hidden = select_rows(g, h.hidden) };
    if (w == WANT_LOSS) r.loss = cross_entropy(g, r.hidden, h.weight, h.bias);
    else r.logits = linear(g, r.hidden, h.weight, h.bias, (linear_options){ .layout = OUT_IN });
    if (r.logits) r.logits->keep = true;
    return r;
}

/* A scoring graph of one row declares every parameter and runs nothing. */
int arch_declare(const arch *a, const void *config, params *p, lithe_error *err)
{
    graph_options o = { .mode = GRAPH_SCORE, .capacity = { [ROWS_TOKENS] = 1, [ROWS_SEQS] = 1 } };
    kernels none = { 0 };
    graph *g = graph_new(&none, p, &o);
    if (!g) return fail(err, LITHE_ENOMEM, "not enough memory for the graph");
    arch_build(a, config, g, WANT_LOGITS);
    lithe_error first = { 0 };
    if (!graph_ok(g)) graph_plan_only(g, &first);
    graph_close(g);
    return first.status ? fail(err, first.status, "%s: %s", a->name, first.text) : 0;
}
