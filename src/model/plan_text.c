/* `lithe plan` says what a configuration needs before anything is allocated.  It plans
 * the equations for training, scoring and decoding and, when asked, prints the steps of
 * the first of these with their buffers and operations.  A multiply-add counts as two
 * operations, and the backward pass of an op counts as twice its forward pass. */
#include "base/sized.h"
#include "model/matrices.h"
#include "model/pass.h"
#include <stdlib.h>
#include <string.h>

enum { PLANS = 3, DEFAULT_WINDOWS = 8, CONTEXT_MAX = 1024, STEP_TOKENS_MAX = 1 << 24, PARALLEL_MOST = 1 << 12 };
static const char *const PLAN_NAMES[PLANS] = { "training", "scoring", "decoding" };
static const graph_mode MODES[PLANS] = { GRAPH_TRAIN, GRAPH_SCORE, GRAPH_DECODE };
static const char *const STEP_NAMES[] = { "pack", "forward", "forward+backward", "recompute", "backward", "reduce" };

typedef struct {
    lithe_model *model;
    int windows, ctx;                /* windows: of a rank */
    int batch, ranks, parallel;
    bool recompute, muon;
    compute_type compute;
    double peak;                     /* of this machine, in operations a second; 0: not asked for */
    pass passes[PLANS];
    size_t stored_bytes;             /* of the parameters in the model's files; 0: there are no files */
} planned;

/* ---- making the plans ----------------------------------------------------------- */

/* The bytes of the parameters in their files; 0 where the files do not fit the model, which opening it reports. */
static size_t bytes_in_files(const lithe_model *m, const char *weights)
{
    lithe_error unused = { 0 };
    load_plan plan = { 0 };
    tensor_file *f = model_tensors(weights, &unused);
    size_t bytes = f && !load_plan_make(&plan, m, f, &unused) ? load_plan_bytes(&plan) : 0;
    drop_error(&unused);
    load_plan_free(&plan);
    tensor_file_close(f);
    return bytes;
}

/* Sets x->model, and x->stored_bytes where path names a MODEL. */
static void declare(planned *x, const char *path, lithe_error *err)
{
    place p = { 0 };
    json_t *config = NULL;
    size_t n = path ? strlen(path) : 0;
    bool lone = n > 5 && !strcmp(path + n - 5, ".json") && !path_is_dir(path) && !strstr(path_base(path), ".index.");
    if (!lone && place_find(&p, path, err)) goto out;
    if (lone || p.config) config = config_read(lone ? path : p.config, err);
    else {
        tensor_file *f = p.weights ? model_tensors(p.weights, err) : NULL;
        config = f ? tensors_config(f, err) : NULL;
        if (!config) fail(err, LITHE_ECONFIG, "%s: holds no config.json", path);
        tensor_file_close(f);
    }
    const arch *a = config ? config_arch(config, path, err) : NULL;
    x->model = a ? model_declare(a, config, path, err) : NULL;
    if (x->model && p.weights) x->stored_bytes = bytes_in_files(x->model, p.weights);
out:
    json_decref(config);
    place_free(&p);
}

/* A model with a loss can be trained, and a model that reads from left to right can decode. */
static bool has_mode(const lithe_model *m, graph_mode mode)
{
    bool encoder = arch_encoder(m->arch, m->config), loss = m->task.kind != TASK_BODY && m->task.kind != TASK_SPAN;
    return mode == GRAPH_SCORE || (mode == GRAPH_TRAIN && loss) || (mode == GRAPH_DECODE && m->task.kind == TASK_LANGUAGE && !encoder);
}

/* Scoring texts needs losses, not the logits of a whole batch. */
static want wanted(task_kind kind, graph_mode mode)
{
    if (kind == TASK_BODY) return WANT_HIDDEN;
    return mode == GRAPH_TRAIN || (mode == GRAPH_SCORE && kind == TASK_LANGUAGE) ? WANT_LOSS : WANT_LOGITS;
}

/* Gradients are exchanged in so many buckets, each once the backward pass is through with it; 0 while the places of the
 * parameters are not known. */
enum { BUCKETS = 128, FLIGHTS = 4 };
static size_t bucket_of(const params *p) { return (p->arena_count + BUCKETS - 1) / BUCKETS; }

static int make(planned *x, int i, lithe_error *err)
{
    const lithe_model *m = x->model;
    graph_options o = { .mode = MODES[i], .compute = x->compute, .recompute = x->recompute && MODES[i] == GRAPH_TRAIN };
    bool decoding = MODES[i] == GRAPH_DECODE;
    if (MODES[i] == GRAPH_TRAIN && x->ranks > 1) o.reduce.bucket = bucket_of(m->params);
    o.capacity[ROWS_TOKENS] = decoding ? x->parallel : x->windows * x->ctx;
    o.capacity[ROWS_SEQS] = decoding ? x->parallel : x->windows;
    o.slots = x->parallel;
    o.context = x->ctx;
    o.cache = x->stored_bytes ? default_cache(x->stored_bytes, params_total(m->params)) : STORED_REAL;
    return pass_plan(&x->passes[i], m, &o, wanted(m->task.kind, MODES[i]), err);
}

static int make_all(planned *x, const lithe_plan_options *o, lithe_error *err)
{
    int context = lithe_model_context(x->model), ctx = o->ctx;
    x->batch = o->batch ? o->batch : DEFAULT_WINDOWS;
    x->ranks = o->ranks ? o->ranks : 1;
    if (x->ranks < 1 || x->ranks > x->batch) return fail(err, LITHE_EINVAL, "%d ranks share a step of %d windows: each needs one", x->ranks, x->batch);
    x->parallel = o->parallel ? o->parallel : 1;
    if (x->parallel < 1 || x->parallel > PARALLEL_MOST) return fail(err, LITHE_EINVAL, "%d texts together: 1 to %d are possible", x->parallel, PARALLEL_MOST);
    x->windows = x->batch / x->ranks + (x->batch % x->ranks > 0);
    x->ctx = ctx ? ctx : context < CONTEXT_MAX ? context : CONTEXT_MAX;
    if (x->windows < 1 || x->ctx < 1 || x->ctx > context)
        return fail(err, LITHE_EINVAL, "a plan needs a batch of at least 1 and a context of 1 to %d, the model's; got %d and %d", context, x->windows, x->ctx);
    if (x->windows > STEP_TOKENS_MAX / x->ctx) return fail(err, LITHE_EINVAL, "%d windows of %d tokens are more than %d tokens in a step", x->windows, x->ctx, STEP_TOKENS_MAX);
    for (int i = 0; i < PLANS; i++)
        if (has_mode(x->model, MODES[i]) && make(x, i, err)) return LITHE_ECONFIG;
    if (x->ranks == 1 || !x->passes[0].g) return LITHE_OK;
    int status = params_close(x->model->params, err);       /* all are known now, and where each is */
    pass_close(&x->passes[0]);
    return status ? status : make(x, 0, err);
}

static const graph *first_graph(const planned *x) { return x->passes[0].g ? x->passes[0].g : x->passes[1].g; }

/* ---- numbers --------------------------------------------------------------------- */

static double step_flops(const step *s)
{
    double forward = s->kind == STEP_PACK || s->kind == STEP_REDUCE || !s->node->op->flops ? 0 : s->node->op->flops(s->node);
    return s->kind == STEP_BACKWARD ? 2 * forward : s->kind == STEP_FORWARD_BACKWARD ? 3 * forward : forward;
}

static double total_flops(const graph *g)
{
    const step *steps;
    int n = graph_steps(g, &steps);
    double sum = 0;
    for (int i = 0; i < n; i++) sum += step_flops(&steps[i]);
    return sum;
}

/* Training needs the parameters in fp32; other modes use them as their files store them. */
static size_t parameter_bytes(const planned *x, int i)
{
    return MODES[i] != GRAPH_TRAIN && x->stored_bytes ? x->stored_bytes : params_total(x->model->params) * sizeof(real);
}

/* Of the matrices inside the model: how many numbers they hold, and what orthogonalising all of them takes; 0 without
 * Muon. */
typedef struct { size_t numbers; double flops; } matrix_costs;
static matrix_costs matrices_of(const planned *x, int i)
{
    matrix_costs c = { 0 };
    for (int k = 0; x->muon && MODES[i] == GRAPH_TRAIN && k < x->model->params->count; k++) {
        const param *p = x->model->params->items[k];
        if (!is_inner_matrix(p)) continue;
        c.numbers += p->count;
        c.flops += orthogonal_flops(p);
    }
    return c;
}

/* AdamW's two moments of each parameter, Muon's one of each matrix, of which each rank has its share. */
static size_t moment_bytes(const planned *x, int i)
{
    return MODES[i] == GRAPH_TRAIN ? (2 * parameter_bytes(x, i) - matrices_of(x, i).numbers * sizeof(real)) / (size_t)x->ranks : 0;
}

/* Four buckets are exchanged at a time, for which a rank holds what the others send. */
static size_t exchange_bytes(const planned *x, int i)
{
    return MODES[i] == GRAPH_TRAIN && x->ranks > 1 ? FLIGHTS * bucket_of(x->model->params) * sizeof(float) : 0;
}

/* Training holds values, gradients and moments; other modes hold values alone. */
static size_t total_bytes(const planned *x, int i)
{
    plan_summary s = graph_summary(x->passes[i].g);
    return parameter_bytes(x, i) * (MODES[i] == GRAPH_TRAIN ? 2 : 1) + moment_bytes(x, i) + exchange_bytes(x, i) + s.arena_bytes + s.state_bytes + s.packed_bytes;
}

/* ---- several ranks ------------------------------------------------------------------ */

/* Gbit/s of the networks that are shown, and the share of the peak that training reaches (docs/scaling.md). */
static const double NETWORKS[] = { 1, 10, 100 }, REACHED = 0.3;
enum { NETWORK_COUNT = sizeof NETWORKS / sizeof *NETWORKS };

/* Seconds of a step: its operations in one rank; the exchange of gradients and weights, and of the momentum of
 * matrices, of which each rank sends and receives all but its own share; and how much of the exchange is left when the
 * backward pass ends. */
typedef struct { double compute, exchange, left, efficiency; } step_time;

/* A bucket begins when its gradients are there and the buckets before it are through. */
static step_time time_of(const planned *x, double network)
{
    const step *steps;
    int n = graph_steps(x->passes[0].g, &steps);
    double rate = REACHED * x->peak, at = 0, line = 0;
    double all = (double)(x->ranks - 1) / x->ranks * (double)params_total(x->model->params) * sizeof(float) / (network * 1e9 / 8);
    double bucket = all * (double)bucket_of(x->model->params) / (double)x->model->params->arena_count;
    for (int i = 0; i < n; i++) {
        at += step_flops(&steps[i]) / rate;
        if (steps[i].kind == STEP_REDUCE) line = (line > at ? line : at) + bucket;
    }
    const double more = x->muon ? all : 0, left = (line > at ? line - at : 0) + all + more;
    at += matrices_of(x, 0).flops / rate;
    return (step_time){ at, 2 * all + more, left, at / (at + left) };
}

static void print_ranks(FILE *out, const planned *x)
{
    if (x->ranks == 1 || !x->passes[0].g) return;
    fprintf(out, "%d ranks, each a machine like this one, together %d x %d tokens a step\n", x->ranks, x->batch, x->ctx);
    for (int i = 0; i < NETWORK_COUNT; i++) {
        step_time t = time_of(x, NETWORKS[i]);
        fprintf(out, "    %3.0f Gbit/s                   %8.2f s a step, %.2f s of it after computing; exchange %.2f s: efficiency %.0f %%\n", NETWORKS[i], t.compute + t.left, t.left,
                t.exchange, 100 * t.efficiency);
    }
}

/* The tensor that a step writes: a forward step its result, a backward step its first gradient. */
static const tensor *step_result(const step *s, int *buffer_index)
{
    const node *n = s->node;
    *buffer_index = -1;
    if (s->kind == STEP_PACK || s->kind == STEP_REDUCE) return NULL;
    if (s->kind != STEP_BACKWARD) {
        if (n->out[0]) *buffer_index = n->out[0]->buffer;
        return n->out[0];
    }
    for (int i = 0; i < MAX_IN; i++)
        if (n->in[i] && n->in[i]->grad_buffer >= 0) {
            *buffer_index = n->in[i]->grad_buffer;
            return n->in[i];
        }
    return n->out[0];
}

/* The name of the first parameter that a node reads, to show where in the model it is. */
static const char *step_parameter(const step *s)
{
    for (int i = 0; i < MAX_IN; i++)
        if (s->node->in[i] && s->node->in[i]->param) return s->node->in[i]->name;
    return "";
}

/* ---- as text ---------------------------------------------------------------------- */

static const char *size_text(double bytes, char text[16])
{
    snprintf(text, 16, bytes < 1e3 ? "%.0f B" : bytes < 1e6 ? "%.1f kB" : bytes < 1e9 ? "%.1f MB" : "%.2f GB",
             bytes < 1e3 ? bytes : bytes < 1e6 ? bytes / 1e3 : bytes < 1e9 ? bytes / 1e6 : bytes / 1e9);
    return text;
}

static void print_line(FILE *out, const char *name, size_t bytes)
{
    char text[16];
    fprintf(out, "    %-28s %10s\n", name, size_text((double)bytes, text));
}

static void print_steps(FILE *out, const graph *g)
{
    const step *steps;
    const buffer *buffers;
    int n = graph_steps(g, &steps), at;
    graph_buffers(g, &buffers);
    fprintf(out, "%6s  %-16s %-16s %-20s %14s %12s %10s  %s\n", "step", "pass", "op", "shape", "offset", "bytes", "flops", "parameter");
    for (int i = 0; i < n; i++) {
        char shape[32] = "", offset[24] = "", bytes[24] = "";
        const tensor *t = step_result(&steps[i], &at);
        if (t) snprintf(shape, sizeof shape, "%d x %d", capacity_rows(t), t->width);
        if (at >= 0) {
            snprintf(offset, sizeof offset, "%zu", buffers[at].offset);
            snprintf(bytes, sizeof bytes, "%zu", buffers[at].bytes);
        }
        fprintf(out, "%6d  %-16s %-16s %-20s %14s %12s %10.3g  %s\n", i, STEP_NAMES[steps[i].kind], steps[i].node->op->name, shape, offset, bytes,
                step_flops(&steps[i]), step_parameter(&steps[i]));
    }
    fprintf(out, "\n");
}

static void print_plan(FILE *out, const planned *x, int i)
{
    plan_summary s = graph_summary(x->passes[i].g);
    double tokens = MODES[i] == GRAPH_DECODE ? x->parallel : (double)x->windows * x->ctx;
    if (MODES[i] == GRAPH_DECODE && x->parallel > 1) fprintf(out, "%s, %d texts together, one token of each at a time, context %d\n", PLAN_NAMES[i], x->parallel, x->ctx);
    else if (MODES[i] == GRAPH_DECODE) fprintf(out, "%s, one token at a time, context %d\n", PLAN_NAMES[i], x->ctx);
    else fprintf(out, "%s, %d x %d tokens a step%s\n", PLAN_NAMES[i], x->windows, x->ctx, MODES[i] == GRAPH_TRAIN && x->recompute ? ", layers run again for backward" : "");
    print_line(out, MODES[i] != GRAPH_TRAIN && x->stored_bytes ? "parameters as stored" : "parameters", parameter_bytes(x, i));
    if (MODES[i] == GRAPH_TRAIN) {
        print_line(out, "gradients", parameter_bytes(x, i));
        print_line(out, x->muon ? "moments of Muon and AdamW" : "AdamW's two moments", moment_bytes(x, i));
        print_line(out, "activations and gradients", s.arena_bytes);
        if (x->ranks > 1) print_line(out, "buffers of the exchange", exchange_bytes(x, i));
    } else print_line(out, "activations", s.arena_bytes);
    if (s.state_bytes) print_line(out, "keys and values", s.state_bytes);
    if (s.packed_bytes) print_line(out, "packed weights", s.packed_bytes);
    print_line(out, "together", total_bytes(x, i));
    fprintf(out, "    %-28s %10.4g  (%.4g a token)\n", "operations", total_flops(x->passes[i].g), total_flops(x->passes[i].g) / tokens);
    if (matrices_of(x, i).flops > 0)
        fprintf(out, "    %-28s %10.4g  (%.3g %% more a step)\n", "to orthogonalise matrices", matrices_of(x, i).flops, 100 * matrices_of(x, i).flops / total_flops(x->passes[i].g));
    fprintf(out, "    %-28s %10d  in %d buffers, %d steps\n", "ops", s.nodes, s.buffers, s.steps);
}

static char *as_text(const planned *x, bool ops)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    if (!out) return NULL;
    if (ops) print_steps(out, first_graph(x));
    fprintf(out, "%s, %zu parameters, vocabulary %d, context %d, %s\n", x->model->arch->name, params_total(x->model->params),
            lithe_model_vocab(x->model), lithe_model_context(x->model), x->compute == COMPUTE_BF16 ? "bf16" : "f32");
    for (int i = 0; i < PLANS; i++)
        if (x->passes[i].g) print_plan(out, x, i);
    print_ranks(out, x);
    if (!fclose(out)) return text;
    free(text);
    return NULL;
}

/* ---- as JSON ---------------------------------------------------------------------- */

static json_t *step_json(int index, const step *s, const buffer *buffers)
{
    int at;
    const tensor *t = step_result(s, &at);
    json_t *line = json_pack("{s:i, s:s, s:s, s:s, s:f}", "step", index, "pass", STEP_NAMES[s->kind], "op", s->node->op->name,
                             "parameter", step_parameter(s), "flops", step_flops(s));
    if (line && t) json_object_set_new(line, "shape", json_pack("[i,i]", capacity_rows(t), t->width));
    if (line && at >= 0) {
        json_object_set_new(line, "offset", json_integer((json_int_t)buffers[at].offset));
        json_object_set_new(line, "bytes", json_integer((json_int_t)buffers[at].bytes));
    }
    return line;
}

static json_t *steps_json(const graph *g)
{
    const step *steps;
    const buffer *buffers;
    json_t *lines = json_array();
    int n = graph_steps(g, &steps);
    graph_buffers(g, &buffers);
    for (int i = 0; i < n; i++)
        if (json_array_append_new(lines, step_json(i, &steps[i], buffers))) { json_decref(lines); return NULL; }
    return lines;
}

static json_t *plan_json(const planned *x, int i)
{
    plan_summary s = graph_summary(x->passes[i].g);
    size_t training_only = MODES[i] == GRAPH_TRAIN ? parameter_bytes(x, i) : 0;
    return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:f, s:f, s:i, s:i, s:i}",
                     "parameter_bytes", (json_int_t)parameter_bytes(x, i), "gradient_bytes", (json_int_t)training_only,
                     "optimizer_bytes", (json_int_t)moment_bytes(x, i), "activation_bytes", (json_int_t)s.arena_bytes,
                     "largest_live_bytes", (json_int_t)s.largest_live, "state_bytes", (json_int_t)s.state_bytes,
                     "packed_bytes", (json_int_t)s.packed_bytes, "exchange_bytes", (json_int_t)exchange_bytes(x, i), "total_bytes", (json_int_t)total_bytes(x, i),
                     "flops", total_flops(x->passes[i].g), "optimizer_flops", matrices_of(x, i).flops, "ops", s.nodes, "steps", s.steps, "buffers", s.buffers);
}

static json_t *ranks_json(const planned *x)
{
    json_t *networks = json_array();
    for (int i = 0; i < NETWORK_COUNT; i++) {
        step_time t = time_of(x, NETWORKS[i]);
        json_array_append_new(networks, json_pack("{s:f, s:f, s:f, s:f, s:f}", "gbit_per_second", NETWORKS[i], "compute_seconds", t.compute,
                                                  "exchange_seconds", t.exchange, "left_seconds", t.left, "efficiency", t.efficiency));
    }
    bool whole = json_array_size(networks) == NETWORK_COUNT;
    if (!whole) json_decref(networks);
    return whole ? json_pack("{s:i, s:i, s:I, s:o}", "count", x->ranks, "batch_of_each", x->windows, "total_bytes_of_each", (json_int_t)total_bytes(x, 0), "networks", networks) : NULL;
}

static char *as_json(const planned *x, bool ops)
{
    json_t *all = json_pack("{s:s, s:I, s:i, s:i, s:i, s:i, s:i, s:b, s:s}", "arch", x->model->arch->name,
                            "parameters", (json_int_t)params_total(x->model->params), "vocab", lithe_model_vocab(x->model),
                            "context", lithe_model_context(x->model), "batch", x->batch, "ctx", x->ctx, "parallel", x->parallel, "recompute", (int)x->recompute,
                            "dtype", x->compute == COMPUTE_BF16 ? "bf16" : "f32");
    bool bad = !all;
    for (int i = 0; i < PLANS; i++) bad = bad || (x->passes[i].g && json_object_set_new(all, PLAN_NAMES[i], plan_json(x, i)));
    if (x->ranks > 1 && x->passes[0].g) bad = bad || json_object_set_new(all, "ranks", ranks_json(x));
    if (ops) bad = bad || json_object_set_new(all, "steps", steps_json(first_graph(x)));
    char *text = bad ? NULL : json_text(all);
    json_decref(all);
    return text;
}

/* Where something is said of seconds. */
static int measure_peak(planned *x, lithe_error *err)
{
    if (x->ranks == 1 || !x->passes[0].g) return LITHE_OK;
    x->peak = lithe_peak(x->compute == COMPUTE_BF16 ? "bf16" : "f32");
    return x->peak > 0 ? LITHE_OK : fail(err, LITHE_ENOMEM, "not enough memory to measure the machine's rate of products");
}

char *lithe_plan(const char *config, const lithe_plan_options *o, lithe_error *err)
{
    lithe_plan_options options;
    char *text = NULL;
    if (failed(err) || options_read(&options, sizeof options, o, "lithe_plan_options", err)) return NULL;
    const char *type = options.dtype;
    if (type && strcmp(type, "f32") && strcmp(type, "bf16")) {
        fail(err, LITHE_EINVAL, "%.20s is no type to compute in; known: f32, bf16", type);
        return NULL;
    }
    const char *optimizer = options.optimizer ? options.optimizer : "adamw";
    if (strcmp(optimizer, "adamw") && strcmp(optimizer, "decoupled-adamw") && strcmp(optimizer, "muon")) {
        fail(err, LITHE_EINVAL, "optimizer is \"%.40s\", expected adamw, decoupled-adamw or muon", optimizer);
        return NULL;
    }
    planned x = { .muon = !strcmp(optimizer, "muon"), .recompute = options.recompute != 0, .compute = type && !strcmp(type, "bf16") ? COMPUTE_BF16 : COMPUTE_F32 };
    declare(&x, config, err);
    if (x.model && !make_all(&x, &options, err) && !measure_peak(&x, err)) {
        text = options.json ? as_json(&x, options.ops) : as_text(&x, options.ops);
        if (!text) fail(err, LITHE_ENOMEM, "not enough memory for the text of a plan");
    }
    for (int i = 0; i < PLANS; i++) pass_close(&x.passes[i]);
    lithe_model_close(x.model);
    return text;
}
