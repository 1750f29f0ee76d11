/* Graphs: what a builder refuses, what the executor catches, what a run leaves
 * alone.  Parameters and rows are in graph_params.c, plans in graph_plans.c with
 * graphs of graph_random.c. */
#include "graph_tests.h"
#include "model/model.h"
#include "ops/ops.h"
#include "test.h"
#include <math.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- counting every malloc of the process ------------------------------------------ */

#ifdef __has_feature
#define SANITIZER (__has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer))
#elif defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__
#define SANITIZER 1
#else
#define SANITIZER 0
#endif

static atomic_size_t mallocs;

#if defined __GLIBC__ && !SANITIZER
void *__libc_malloc(size_t bytes);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *p, size_t bytes);
void *malloc(size_t bytes)               { atomic_fetch_add(&mallocs, 1); return __libc_malloc(bytes); }
void *calloc(size_t count, size_t size)  { atomic_fetch_add(&mallocs, 1); return __libc_calloc(count, size); }
void *realloc(void *p, size_t bytes)     { atomic_fetch_add(&mallocs, 1); return __libc_realloc(p, bytes); }
#endif

static size_t allocations(void) { return atomic_load(&mallocs) + allocation_count(); }

static void a_run_allocates_nothing(void)
{
    static const char *const configs[][2] = { { "gpt2", SMALL_GPT2_DROPOUT }, { "llama", SMALL_LLAMA }, { "tokenformer", SMALL_TOKENFORMER("softmax") } };
    for (int i = 0; i < 3; i++)
        for (int mode = GRAPH_TRAIN; mode <= GRAPH_SCORE; mode++) {
            small_model m = small_new(configs[i][0], configs[i][1], 1);
            small_batch b;
            results r;
            small_fill(&b, 23, 2);
            graph *g = small_graph(&m, (graph_mode)mode, mode == GRAPH_TRAIN, kernels_default()->name, &r);
            small_loss(g, &r, &b);                            /* the first run may start threads and their scratch */
            size_t before = allocations();
            for (int k = 0; k < 3; k++) small_loss(g, &r, &b);
            CHECK_MSG(allocations() == before, "%s: %zu allocations in three runs", configs[i][0], allocations() - before);
            graph_close(g);
            small_free(&m);
        }
}

static void a_push_allocates_nothing(void)
{
    lithe_error err = { 0 };
    lithe_model *m = lithe_model_new("llama", SMALL_LLAMA, 1, &err);
    lithe_session *s = lithe_session_open(m, 0, &err);
    lithe_session_push(s, 1, &err);
    size_t before = allocations();
    for (int i = 0; i < 10; i++) CHECK(!lithe_session_push(s, i, &err));
    CHECK_MSG(allocations() == before, "%zu allocations in ten pushes", allocations() - before);
    lithe_session_close(s);
    lithe_model_close(m);
}

/* ---- ops that say something wrong of themselves --------------------------------------- */

static size_t elements(const node *n) { return (size_t)live_rows(n->out[0]) * (size_t)n->out[0]->width; }

static void square(const node *n, const kernels *k)
{
    (void)k;
    const real *x = in_data(n, 0);
    for (size_t i = 0; i < elements(n); i++) out_data(n, 0)[i] = x[i] * x[i];
}

static void square_backward_from(const node *n, const real *x)
{
    bool join;
    real *dx = grad_in(n, 0, &join);
    for (size_t i = 0; dx && i < elements(n); i++) dx[i] = (join ? dx[i] : 0) + 2 * x[i] * grad_out(n, 0)[i];
}

static void square_backward(const node *n, const kernels *k) { (void)k; square_backward_from(n, in_data(n, 0)); }
static void square_backward_unmasked(const node *n, const kernels *k) { (void)k; square_backward_from(n, n->in[0]->data); }

static const op honest = { .name = "square", .forward = square, .backward = square_backward, .reads = IN(0) };
static const op unsaid = { .name = "square", .forward = square, .backward = square_backward };
static const op sly    = { .name = "square", .forward = square, .backward = square_backward_unmasked };
static const op greedy = { .name = "square", .forward = square, .backward = square_backward, .reads = IN(0), .in_place = true };
static const op no_backward = { .name = "one_way", .forward = square };

static tensor *squared(graph *g, const op *kind, tensor *x)
{
    if (!graph_ok(g)) return NULL;
    return output(append(g, kind, (tensor *[]){ x }, 1), 0, x->space, x->rows, x->width);
}

static tensor *square_loss(graph *g, const op *kind)
{
    scope(g, "q.");
    tensor *table = parameter(g, "table", (param_rule){ .rank = 2, .dims = { 23, 8 }, .init = INIT_NORMAL, .std = 0.5 });
    tensor *w = parameter(g, "w", (param_rule){ .rank = 2, .dims = { 8, 8 }, .init = INIT_NORMAL, .std = 0.5 });
    tensor *x = linear(g, embedding(g, table), w, NULL, (linear_options){ .layout = OUT_IN });
    return cross_entropy(g, squared(g, kind, x), table, NULL);
}

static params *square_params(void)
{
    lithe_error err = { 0 };
    params *p = params_new();
    graph *g = graph_new(kernels_level("ref"), p, &(graph_options){ .mode = GRAPH_SCORE, .capacity = { 1, 1, 0 } });
    square_loss(g, &honest);
    graph_close(g);
    params_close(p, &err);
    params_gradients(p, &err);
    params_initialize(p, 3);
    CHECK(!err.status);
    return p;
}

static void run_square(params *p, const op *kind)
{
    lithe_error err = { 0 };
    graph *g = graph_new(kernels_level("ref"), p, &(graph_options){ .mode = GRAPH_TRAIN, .capacity = { SMALL_ROWS, SMALL_SEQS, 0 }, .poison = true });
    results r = { .loss = square_loss(g, kind) };
    small_batch b;
    small_fill(&b, 23, 4);
    CHECK_MSG(!graph_plan(g, &err), "%s", err.text);
    CHECK(isfinite(small_loss(g, &r, &b)));
    graph_close(g);
}

static int signal_of(void (*body)(void))
{
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 });
        if (!freopen("/dev/null", "w", stderr)) _exit(1);
        body();
        _exit(0);
    }
    int status = 0;
    CHECK(waitpid(child, &status, 0) == child);
    return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static void run_honest(void) { run_square(square_params(), &honest); }
static void run_unsaid(void) { run_square(square_params(), &unsaid); }

static void a_wrong_mask_is_caught(void)
{
    CHECK(signal_of(run_honest) == 0);
    CHECK(signal_of(run_unsaid) == SIGABRT);
    params *p = square_params();
    run_square(p, &honest);
    for (size_t i = 0; i < params_find(p, "q.w")->count; i++) CHECK(isfinite(params_find(p, "q.w")->grad[i]));
    param *w = params_find(p, "q.w");
    real *grad = malloc(w->count * sizeof *grad);
    memcpy(grad, w->grad, w->count * sizeof *grad);
    run_square(p, &greedy);                                  /* in place, yet it reads what stood there: not granted */
    CHECK(!memcmp(grad, w->grad, w->count * sizeof *grad));
    free(grad);
    run_square(p, &sly);
    CHECK_MSG(isnan(params_find(p, "q.w")->grad[0]), "a gradient of %g from a dead buffer", (double)params_find(p, "q.w")->grad[0]);
    params_free(p);
}

/* ---- what is refused when a graph is built --------------------------------------------------- */

typedef struct { params *p; graph *g; lithe_error err; } trial;

static trial begin(graph_mode mode, int rows)
{
    trial t = { .p = params_new() };
    t.g = graph_new(kernels_level("ref"), t.p, &(graph_options){ .mode = mode, .capacity = { rows, 2, 0 } });
    return t;
}

static void check_refused(trial *t, lithe_status status, const char *text)
{
    int given = graph_plan_only(t->g, &t->err);
    CHECK_MSG(given == (int)status && t->err.status == status, "status %d, not %d: %s", given, (int)status, t->err.text);
    CHECK_MSG(strstr(t->err.text, text) && !strchr(t->err.text, '\n'), "\"%s\" does not say \"%s\"", t->err.text, text);
    graph_close(t->g);
    params_free(t->p);
}

static tensor *matrix(graph *g, const char *name, int rows, int width)
{
    return parameter(g, name, (param_rule){ .rank = 2, .dims = { rows, width }, .init = INIT_NORMAL, .std = 1 });
}

static void builders_refuse(void)
{
    trial t = begin(GRAPH_TRAIN, 8);
    square_loss(t.g, &no_backward);
    check_refused(&t, LITHE_ECONFIG, "one_way cannot be trained");

    t = begin(GRAPH_SCORE, 8);
    square_loss(t.g, &no_backward);
    CHECK_MSG(!graph_plan_only(t.g, &t.err), "%s", t.err.text);
    graph_close(t.g);
    params_free(t.p);

    t = begin(GRAPH_TRAIN, 8);          /* the first mistake is reported, with its scope; later builders do nothing */
    scope(t.g, "h.3.");
    tensor *table = matrix(t.g, "table", 23, 8), *x = embedding(t.g, table);
    x = linear(t.g, x, matrix(t.g, "w", 8, 9), NULL, (linear_options){ .layout = OUT_IN });
    scope(t.g, "h.4.");
    x = layer_norm(t.g, activate(t.g, x, ACT_SILU), NULL, NULL, 1e-5);
    CHECK(!add(t.g, x, x) && !glu(t.g, x, x, ACT_SILU) && !rope(t.g, x, (rope_angles){ .dims = 2 }, 1) && !dropout(t.g, x, 0.5) && !rms_norm(t.g, x, NULL, 1e-5));
    CHECK(!attention(t.g, x, NULL, NULL, (attention_options){ 1, 1, .causal = true }) && !pattention(t.g, x, NULL, NULL, (pattention_options){ 0 }));
    CHECK(!cross_entropy(t.g, x, table, NULL) && !select_rows(t.g, x) && !add_positions(t.g, x, table) && !matrix(t.g, "late", 2, 2));
    check_refused(&t, LITHE_ECONFIG, "h.3.linear: the weight takes 9 inputs, its input has 8");

    t = begin(GRAPH_TRAIN, 8);
    matrix(t.g, "w", 3, 4);
    matrix(t.g, "w", 4, 3);
    check_refused(&t, LITHE_ECONFIG, "w: declared twice with different shapes");

    t = begin(GRAPH_TRAIN, 8);
    x = embedding(t.g, matrix(t.g, "table", 23, 6));
    attention(t.g, x, NULL, NULL, (attention_options){ 4, 3, .causal = true });
    check_refused(&t, LITHE_ECONFIG, "3 key/value heads do not divide 4 heads");

    t = begin(GRAPH_TRAIN, 8);                               /* backward writes each input's gradient on its own */
    x = embedding(t.g, matrix(t.g, "table", 23, 6));
    linear(t.g, x, matrix(t.g, "w", 6, 6), NULL, (linear_options){ .layout = OUT_IN, .residual = x });
    check_refused(&t, LITHE_ECONFIG, "linear reads one tensor twice");

    t = begin(GRAPH_TRAIN, 2000000000);
    square_loss(t.g, &honest);
    CHECK_MSG(!graph_plan_only(t.g, &t.err), "%s", t.err.text);
    graph_close(t.g);
    params_free(t.p);

    t = begin(GRAPH_TRAIN, 8);
    scope(t.g, "%0200d", 1);
    check_refused(&t, LITHE_ECONFIG, "scope is too long");
}

/* Graphs of one parameter set have one table of rotations, whatever their sizes are; another angle is another table. */
static void tables_are_shared(void)
{
    params *p = params_new();
    graph *g[3];
    const exact *table[3];
    for (int i = 0; i < 3; i++) {
        g[i] = graph_new(kernels_level("ref"), p, &(graph_options){ .mode = GRAPH_DECODE, .capacity = { 1, 1, 1 }, .slots = 1, .context = i ? 300 : 400 });
        table[i] = rope_table(g[i], (rope_options){ .dims = 6, .base = i == 2 ? 500 : 10000 }).table;
    }
    CHECK(table[0] && table[0] == table[1] && table[2] && table[2] != table[0]);
    for (int t = 0; t < 400; t += 57) CHECK(fabs((double)table[0][6 * t + 1] - cos(t * pow(10000, -2.0 / 6))) < 1e-6 && fabs((double)table[0][6 * t + 5] - sin(t * pow(10000, -4.0 / 6))) < 1e-6);
    graph *longer = graph_new(kernels_level("ref"), p, &(graph_options){ .mode = GRAPH_SCORE, .capacity = { 600, 1, 0 } });
    const exact *all = rope_table(longer, (rope_options){ .dims = 6, .base = 10000 }).table;
    CHECK(all && !memcmp(all, table[0], 400 * 6 * sizeof *all));
    for (int i = 0; i < 3; i++) graph_close(g[i]);
    CHECK(fabs((double)all[6 * 599] - cos(599)) < 1e-6);
    graph_close(longer);
    params_free(p);
}

static void a_closed_set_is_closed(void)
{
    lithe_error err = { 0 };
    params *p = square_params();
    graph *g = graph_new(kernels_level("ref"), p, &(graph_options){ .mode = GRAPH_TRAIN, .capacity = { 4, 1, 0 } });
    CHECK(!matrix(g, "another", 3, 3));
    CHECK(graph_plan_only(g, &err) == LITHE_ECONFIG && strstr(err.text, "another: no such parameter"));
    graph_close(g);
    params_free(p);
}

const test tests_graph[] = {
    { "graph: a run allocates nothing", a_run_allocates_nothing },
    { "graph: a push allocates nothing", a_push_allocates_nothing },
    { "graph: a wrong mask is caught", a_wrong_mask_is_caught },
    { "graph: builders refuse", builders_refuse },
    { "graph: tables are shared", tables_are_shared },
    { "graph: a closed set is closed", a_closed_set_is_closed },
    { "graph: names are the identity", names_are_the_identity },
    { "graph: initial values", initial_values },
    { "graph: frozen parameters rest", frozen_parameters_rest },
    { "graph: weights are packed when they change", weights_are_packed_when_they_change },
    { "graph: selected rows alone", selected_rows_alone },
    { "graph: empty sequences are nothing", empty_sequences_are_nothing },
    { "graph: nothing gives zeros", nothing_gives_zeros },
    { 0 }
};
