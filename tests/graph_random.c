/* Random graphs of every operation: shortcuts over many nodes, results nobody
 * uses, scopes anywhere, tied and frozen parameters. */
#include "graph_tests.h"
#include "ops/ops.h"

enum { C = RANDOM_WIDTH, HEADS = 2, MOST = 64 };

typedef struct { graph *g; uint64_t key, draws; tensor *known[MOST]; int count, names; rope_angles angles; } maker;

static int draw(maker *m, int n) { return (int)(random_u64(m->key, m->draws++) % (uint64_t)n); }

static tensor *weight(maker *m, int rows, int width, double std)
{
    char name[32];
    snprintf(name, sizeof name, "p%d", m->names++);
    return parameter(m->g, name, (param_rule){ .rank = rows > 1 ? 2 : 1, .dims = { rows > 1 ? rows : width, width }, .init = INIT_NORMAL, .std = std });
}

/* One of the latest tensors mostly, any of them now and then; none of the two, or NULL. */
static tensor *pick(maker *m, const tensor *not, const tensor *nor)
{
    for (int tries = 0; tries < 20; tries++) {
        int back = draw(m, 3) ? draw(m, 3) : draw(m, m->count);
        tensor *t = m->known[m->count - 1 - (back < m->count ? back : 0)];
        if (t != not && t != nor) return t;
    }
    return NULL;
}

static tensor *random_linear(maker *m, tensor *x)
{
    static const activation smooth[] = { ACT_NONE, ACT_NONE, ACT_GELU_TANH, ACT_GELU_ERF, ACT_SILU };
    linear_options o = { draw(m, 2) ? OUT_IN : IN_OUT, smooth[draw(m, 5)], draw(m, 2) ? pick(m, x, NULL) : NULL };
    tensor *w = weight(m, C, C, 0.25);
    return linear(m->g, x, w, draw(m, 2) ? weight(m, 1, C, 0.3) : NULL, o);
}

static tensor *random_attention(maker *m, tensor *q, tensor *k, tensor *v)
{
    attention_options o = { HEADS, HEADS, .causal = true };
    o.dropout = draw(m, 2) ? 0.2 : 0;
    o.alibi = draw(m, 2);
    o.window = draw(m, 2) ? 3 : 0;
    return attention(m->g, q, k, v, o);
}

static tensor *random_node(maker *m)
{
    tensor *x = m->known[m->count - 1 - (draw(m, 3) || m->count < 3 ? 0 : draw(m, 3))], *y = pick(m, x, NULL), *z = pick(m, x, y);
    switch (draw(m, 10)) {
    case 0: return add(m->g, x, y ? y : random_linear(m, x));
    case 1: return activate(m->g, x, draw(m, 2) ? ACT_GELU_TANH : ACT_SILU);
    case 2: return y ? glu(m->g, x, y, ACT_SILU) : x;
    case 3: return layer_norm(m->g, x, draw(m, 2) ? weight(m, 1, C, 1) : NULL, draw(m, 2) ? weight(m, 1, C, 1) : NULL, 1e-5);
    case 4: return rms_norm(m->g, x, draw(m, 2) ? weight(m, 1, C, 1) : NULL, 1e-5);
    case 5: return rope(m->g, x, m->angles, HEADS);
    case 6: return y && z ? random_attention(m, x, y, z) : x;
    case 7: return dropout(m->g, x, 0.1);
    case 8: {
        int slots = draw(m, 2) ? 9 : 4 * C + 3;
        tensor *keys = weight(m, slots, C, 0.3), *values = weight(m, slots, C, 0.3);
        return pattention(m->g, x, keys, values, (pattention_options){ (theta_kind)draw(m, 3), 0, draw(m, 2) ? y : NULL });
    }
    default: return random_linear(m, x);
    }
}

tensor *random_graph(graph *g, uint64_t seed, int nodes)
{
    maker m = { .g = g, .key = key_of(seed, 17) };
    scope(g, "r.");
    m.angles = rope_table(g, (rope_options){ .dims = 4, .base = 100 });
    tensor *table = weight(&m, RANDOM_VOCAB, C, 0.5);
    m.known[m.count++] = embedding(g, table);
    if (draw(&m, 2)) {
        tensor *positions = weight(&m, 20, C, 0.5);
        m.known[0] = add_positions(g, m.known[0], positions);
    }
    for (int i = 0; i < nodes && m.count < MOST; i++) {
        if (!draw(&m, 4)) scope(g, "r.");
        tensor *t = random_node(&m);
        if (t != m.known[m.count - 1]) m.known[m.count++] = t;
    }
    if (draw(&m, 2)) scope(g, "r.");
    tensor *last = layer_norm(g, m.known[m.count - 1], NULL, NULL, 1e-5);
    return cross_entropy(g, select_rows(g, last), draw(&m, 2) ? table : weight(&m, RANDOM_VOCAB, C, 0.3), NULL);
}
