/* Graphs and their parameters: identity, initial values, freezing, packs; and
 * rows that are selected, empty or absent. */
#include "graph_tests.h"
#include "test.h"
#include <math.h>
#include <stdlib.h>

/* ---- parameters ---------------------------------------------------------------------------------- */

static params *declared(const char *const *names, int count, int stride, uint64_t seed)
{
    lithe_error err = { 0 };
    params *p = params_new();
    for (int i = 0; i < count; i++) {
        param_rule rule = { .rank = 2, .dims = { 13, 7 }, .init = INIT_NORMAL, .std = 0.02 };
        CHECK(params_declare(p, names[(i * stride) % count], &rule));
        CHECK(params_declare(p, names[(i * stride) % count], &rule) == params_find(p, names[(i * stride) % count]));
    }
    CHECK(p->count == count && !params_close(p, &err) && !params_masters(p, &err));
    params_initialize(p, seed);
    return p;
}

void names_are_the_identity(void)
{
    static const char *const names[] = { "h.0.w", "h.1.w", "h.10.w", "h.2.w", "ln", "wte" };
    params *a = declared(names, 6, 1, 7), *b = declared(names, 6, 5, 7), *c = declared(names + 2, 3, 1, 7), *d = declared(names, 6, 1, 8);
    CHECK(a->arena_count == b->arena_count && !memcmp(a->values, b->values, a->arena_count * sizeof(real)));
    for (int i = 0; i < a->count; i++) {
        CHECK(!strcmp(a->items[i]->name, names[i]) && !strcmp(b->items[i]->name, names[i]));
        CHECK((uintptr_t)a->items[i]->weight.values % 64 == 0);
        CHECK(memcmp(a->items[i]->weight.values, d->items[i]->weight.values, 91 * sizeof(real)));
        for (int j = 0; j < i; j++) CHECK(memcmp(a->items[i]->weight.values, a->items[j]->weight.values, 91 * sizeof(real)));
        const param *other = params_find(c, names[i]);
        CHECK(!other || !memcmp(a->items[i]->weight.values, other->weight.values, 91 * sizeof(real)));
    }
    CHECK(a->items[2]->layer == 10 && a->items[4]->layer == -1 && params_total(a) == 6 * 91);
    params_free(a);
    params_free(b);
    params_free(c);
    params_free(d);
}

void initial_values(void)
{
    enum { N = 200000 };
    lithe_error err = { 0 };
    params *p = params_new();
    params_declare(p, "normal", &(param_rule){ .rank = 2, .dims = { N / 100, 100 }, .init = INIT_NORMAL, .std = 0.5 });
    params_declare(p, "one", &(param_rule){ .rank = 1, .dims = { 33 }, .init = INIT_ONE });
    params_declare(p, "zero", &(param_rule){ .rank = 1, .dims = { 33 }, .init = INIT_ZERO });
    CHECK(!params_close(p, &err) && !params_masters(p, &err));
    params_initialize(p, 1);
    double sum = 0, squares = 0, fourth = 0;
    const real *x = params_find(p, "normal")->weight.values;
    for (int i = 0; i < N; i++) {
        double v = (double)x[i] / 0.5;
        sum += v, squares += v * v, fourth += v * v * v * v;
    }
    CHECK_MSG(fabs(sum / N) < 0.01 && fabs(squares / N - 1) < 0.02 && fabs(fourth / N - 3) < 0.1, "moments %.4f %.4f %.4f", sum / N, squares / N, fourth / N);
    for (int i = 0; i < 33; i++) CHECK(params_find(p, "one")->weight.values[i] == 1 && params_find(p, "zero")->weight.values[i] == 0);
    params_free(p);
}

void frozen_parameters_rest(void)
{
    small_model m = small_new("gpt2", SMALL_GPT2, 1);
    small_batch b;
    results r;
    size_t bytes = m.p->arena_count * sizeof(real);
    real *grad = malloc(bytes);
    small_fill(&b, 23, 2);
    graph *g = small_graph(&m, GRAPH_TRAIN, false, "ref", &r);
    small_loss(g, &r, &b);
    graph_close(g);
    memcpy(grad, m.p->grad, bytes);
    for (int i = 0; i < m.p->count; i++) m.p->items[i]->frozen = i % 3 == 0 || !strcmp(m.p->items[i]->name, "wte.weight");
    for (size_t i = 0; i < m.p->arena_count; i++) m.p->grad[i] = 77;
    g = small_graph(&m, GRAPH_TRAIN, false, "ref", &r);
    small_loss(g, &r, &b);
    for (int i = 0; i < m.p->count; i++) {
        const param *p = m.p->items[i];
        bool same = !memcmp(p->grad, grad + p->offset, p->count * sizeof(real)), untouched = true;
        for (size_t j = 0; j < p->count; j++) untouched &= p->grad[j] == 77;
        CHECK_MSG(p->frozen ? untouched : same, "%s, %s", p->name, p->frozen ? "frozen, has a gradient" : "has another gradient when others are frozen");
    }
    graph_close(g);
    free(grad);
    small_free(&m);
}

/* ---- packed weights ------------------------------------------------------------------------------- */

/* A machine that packs: the plain one with B copied to (K,N) after two counts. */
typedef struct { int K, N; real b[]; } fake_pack;
static int packings, packed_products;

static size_t fake_pack_bytes(compute_type type, int K, int N) { return sizeof(fake_pack) + (size_t)K * (size_t)N * sizeof(real) * (type == COMPUTE_F32 ? 2 : 1); }

static void fake_gemm_pack(void *packed, compute_type type, stored stored_b, size_t ldb, bool tb, int K, int N)
{
    fake_pack *p = packed;
    const real *b = stored_b.data;
    (void)type;
    packings++;
    p->K = K, p->N = N;
    for (int k = 0; k < K; k++)
        for (int n = 0; n < N; n++) p->b[k * N + n] = tb ? b[(size_t)n * ldb + (size_t)k] : b[(size_t)k * ldb + (size_t)n];
}

static void fake_gemm(const gemm_args *a)
{
    gemm_args b = *a;
    const fake_pack *p = a->packed;
    if (p) {
        packed_products++;
        CHECK_MSG(p->K == a->K && p->N == a->N, "a pack of %d x %d for %d x %d", p->K, p->N, a->K, a->N);
        b.b.data = p->b, b.ldb = (size_t)p->N, b.tb = false, b.packed = NULL;
    }
    kernels_level("ref")->gemm(&b);
}

static double loss_on(const kernels *k, small_model *m, const small_batch *b, compute_type compute, bool twice)
{
    lithe_error err = { 0 };
    graph *g = graph_new(k, m->p, &(graph_options){ .mode = GRAPH_TRAIN, .capacity = { SMALL_ROWS, SMALL_SEQS, 0 }, .compute = compute, .poison = true });
    results r = arch_build(m->a, m->config, NULL, g, WANT_LOSS);
    CHECK_MSG(!graph_plan(g, &err), "%s", err.text);
    double loss = small_loss(g, &r, b);
    if (twice) loss = small_loss(g, &r, b);
    graph_close(g);
    return loss;
}

void weights_are_packed_when_they_change(void)
{
    static const char *const configs[][2] = { { "gpt2", SMALL_GPT2 }, { "llama", SMALL_LLAMA }, { "llama", SMALL_LLAMA_TIED }, { "tokenformer", SMALL_TOKENFORMER("l2_norm_gelu") } };
    kernels packing = *kernels_level("ref");
    packing.gemm_pack_bytes = fake_pack_bytes;
    packing.gemm_pack = fake_gemm_pack;
    packing.gemm = fake_gemm;
    for (int i = 0; i < 4; i++) {
        small_model m = small_new(configs[i][0], configs[i][1], 6), plain = small_new(configs[i][0], configs[i][1], 6);
        small_batch b;
        small_fill(&b, 23, 2);
        packings = packed_products = 0;
        double loss = loss_on(&packing, &m, &b, COMPUTE_F32, true), expected = loss_on(kernels_level("ref"), &plain, &b, COMPUTE_F32, true);
        int once = packings;
        CHECK_MSG(once > 0 && packed_products > once, "%s: %d packings, %d products", configs[i][0], once, packed_products);
        CHECK_MSG(!memcmp(&loss, &expected, sizeof loss) && !memcmp(m.p->grad, plain.p->grad, m.p->arena_count * sizeof(real)), "%s: packed weights change the result", configs[i][0]);
        loss_on(&packing, &m, &b, COMPUTE_F32, true);
        CHECK_MSG(packings == once, "%s: packed again though nothing changed", configs[i][0]);
        loss_on(&packing, &m, &b, COMPUTE_BF16, false);              /* packs of another type, of their own */
        CHECK_MSG(packings == 2 * once, "%s: %d packings of bf16", configs[i][0], packings - once);
        for (int j = 0; j < m.p->count; j++)
            for (int side = 0; side < 2; side++) {
                small_model *x = side ? &m : &plain;
                for (size_t e = 0; e < x->p->items[j]->count; e++) x->p->items[j]->weight.values[e] *= (real)1.25;
                x->p->items[j]->weight.version++;
            }
        loss = loss_on(&packing, &m, &b, COMPUTE_F32, false), expected = loss_on(kernels_level("ref"), &plain, &b, COMPUTE_F32, false);
        CHECK_MSG(packings == 3 * once, "%s: %d packings of changed weights", configs[i][0], packings - 2 * once);
        CHECK_MSG(!memcmp(&loss, &expected, sizeof loss) && !memcmp(m.p->grad, plain.p->grad, m.p->arena_count * sizeof(real)), "%s: stale packs", configs[i][0]);
        small_free(&m);
        small_free(&plain);
    }
}

/* ---- rows ------------------------------------------------------------------------------------------- */

/* A head that sees some rows is the head that sees all with weight on those alone. */
void selected_rows_alone(void)
{
    static const int select[] = { 1, 4, 9, 16 };
    small_model m = small_new("llama", SMALL_LLAMA, 1);
    small_batch b;
    results r;
    lithe_error err = { 0 };
    real weight[SMALL_ROWS] = { 0 };
    int target[4];
    small_fill(&b, 23, 2);
    for (int i = 0; i < 4; i++) weight[select[i]] = 1, target[i] = b.target[select[i]];
    b.b.weight = weight;
    graph *g = small_graph(&m, GRAPH_TRAIN, false, "ref", &r);
    double all = small_loss(g, &r, &b), some = 0;
    graph_close(g);
    real *grad = malloc(m.p->arena_count * sizeof *grad);
    memcpy(grad, m.p->grad, m.p->arena_count * sizeof *grad);

    g = graph_new(kernels_level("ref"), m.p, &(graph_options){ .mode = GRAPH_TRAIN, .capacity = { SMALL_ROWS, SMALL_SEQS, 6 }, .poison = true });
    r = arch_build(m.a, m.config, NULL, g, WANT_LOSS);
    CHECK_MSG(!graph_plan(g, &err), "%s", err.text);
    b.b.select = select, b.b.selected = 4, b.b.target = target, b.b.weight = NULL;
    graph_run(g, &b.b);
    for (int i = 0; i < 4; i++) some += (double)r.loss->data[i];
    some *= (double)b.b.scale;
    CHECK_MSG(fabs(all - some) <= 1e-6 * all, "%.9g, of selected rows %.9g", all, some);
    CHECK(relative_error(m.p->grad, grad, m.p->arena_count) <= 1e-6);
    graph_close(g);
    free(grad);
    small_free(&m);
}

void empty_sequences_are_nothing(void)
{
    small_model m = small_new("gpt2", SMALL_GPT2, 1);
    small_batch b;
    results r;
    small_fill(&b, 23, 2);
    graph *g = small_graph(&m, GRAPH_TRAIN, false, kernels_default()->name, &r);
    double loss = small_loss(g, &r, &b);
    size_t bytes = m.p->arena_count * sizeof(real);
    real *grad = malloc(bytes);
    memcpy(grad, m.p->grad, bytes);
    int start[] = { 0, 9, 9, 10, SMALL_ROWS, SMALL_ROWS };
    b.b.start = start, b.b.seqs = 5;
    double again = small_loss(g, &r, &b);
    CHECK(!memcmp(&loss, &again, sizeof loss) && !memcmp(grad, m.p->grad, bytes));
    free(grad);
    graph_close(g);
    small_free(&m);
}

/* No rows, or none that the head looks at: gradients are zero, not what they were. */
void nothing_gives_zeros(void)
{
    static const char *const configs[][2] = { { "gpt2", SMALL_GPT2 }, { "llama", SMALL_LLAMA }, { "tokenformer", SMALL_TOKENFORMER("l2_norm_gelu") }, { "gpt2", SMALL_GPT2_DROPOUT } };
    static const char *const levels[] = { KERNEL_LEVELS(KERNEL_NAME, ) };
    enum { LEVELS = sizeof levels / sizeof *levels };
    for (int i = 0; i < 4 * LEVELS; i++) {
        const char *const *config = configs[i / LEVELS];
        lithe_error err = { 0 };
        if (!kernels_level(levels[i % LEVELS])) continue;
        small_model m = small_new(config[0], config[1], 1);
        small_batch b;
        small_fill(&b, 23, 2);
        for (int selecting = 0; selecting < 2; selecting++) {
            graph *g = graph_new(kernels_level(levels[i % LEVELS]), m.p, &(graph_options){ .mode = GRAPH_TRAIN, .capacity = { SMALL_ROWS, SMALL_SEQS, selecting ? 4 : 0 }, .poison = true });
            arch_build(m.a, m.config, NULL, g, WANT_LOSS);
            CHECK_MSG(!graph_plan(g, &err), "%s", err.text);
            batch nothing = b.b;
            if (selecting) nothing.select = b.target, nothing.selected = 0;
            else nothing.rows = nothing.seqs = 0;
            for (size_t j = 0; j < m.p->arena_count; j++) m.p->grad[j] = 77;
            graph_run(g, &nothing);
            for (int j = 0; j < m.p->count; j++) {
                size_t zeros = 0;
                for (size_t e = 0; e < m.p->items[j]->count; e++) zeros += m.p->items[j]->grad[e] == 0;
                CHECK_MSG(zeros == m.p->items[j]->count, "%s, %s, no %s: %s has a gradient", config[0], levels[i % 4], selecting ? "selected rows" : "rows", m.p->items[j]->name);
            }
            graph_close(g);
        }
        small_free(&m);
    }
}
