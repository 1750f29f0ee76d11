#include "arch/rwkv.h"
#include "base/random.h"
#include <math.h>
#include <stdio.h>

tensor *rwkv_matrix(graph *g, tensor *x, const char *name, int out, rwkv_options o)
{
    if (!graph_ok(g)) return NULL;
    char text[96];
    snprintf(text, sizeof text, "%s.weight", name);
    tensor *w = parameter(g, text, (param_rule){ .rank = 2, .dims = { out, x->width }, .axes = { o.out, o.in },
                                                 .init = o.gain > 0 ? INIT_ORTHOGONAL : INIT_ZERO, .std = o.gain, .decay = true });
    return linear(g, x, w, NULL, (linear_options){ .layout = OUT_IN, .act = o.act, .residual = o.residual });
}

rwkv_place rwkv_place_of(int layer, int layers)
{
    return (rwkv_place){ layer, layers, layers > 1 ? (double)layer / (layers - 1) : 0, 1 - (double)layer / layers };
}

tensor *rwkv_projected(const rwkv_projections *p, graph *g, tensor *x, const char *name, int out, rwkv_options o)
{
    return p && graph_ok(g) ? p->project(p->context, g, x, name, out, o) : rwkv_matrix(g, x, name, out, o);
}

tensor *rwkv_channels(graph *g, const char *name, int C, double (*formula)(const double *args, uint64_t key, size_t i), const double args[3], double lr_factor)
{
    return parameter(g, name, (param_rule){ .rank = 3, .dims = { 1, 1, C }, .axes = { { 0 }, { 0 }, RESIDUAL_WRITE }, .init = INIT_FORMULA,
                                            .formula = formula, .args = { args[0], args[1], args[2] }, .lr_factor = lr_factor });
}

/* So small that ln0 behind it makes every step count ("small initial embedding"). */
static double tiny(const double *args, uint64_t key, size_t i) { return args[0] * (2 * random_unit(key, i) - 1); }

tensor *rwkv_embedding(graph *g, int vocab, int C)
{
    return parameter(g, "emb.weight", (param_rule){ .rank = 2, .dims = { vocab, C }, .axes = { { AXIS_VOCAB, false, 1 }, RESIDUAL_WRITE },
                                                    .init = INIT_FORMULA, .formula = tiny, .args = { 1e-4 }, .decay = true });
}

/* The trainer's head is orthogonal, times half of sqrt(V/C) when that is more than one: here normal with its variance, since a
 * vocabulary of vectors takes minutes to make orthogonal and is nearly so by chance. */
head rwkv_head(graph *g, tensor *rows, int vocab)
{
    if (!graph_ok(g)) return (head){ 0 };
    const int C = rows->width;
    scope(g, "%s", "");
    double gain = vocab > C ? 0.5 * sqrt((double)vocab / C) : 0.5;
    tensor *w = parameter(g, "head.weight", (param_rule){ .rank = 2, .dims = { vocab, C }, .axes = { { AXIS_VOCAB, false, 1 }, RESIDUAL_READ },
                                                          .init = INIT_NORMAL, .std = gain / sqrt(vocab > C ? vocab : C), .decay = true });
    return (head){ rows, w, NULL };
}
