/* Training: the optimizer and the schedules against their formulas, the bytes of
 * what a run writes, and that a run is the same run however it is threaded,
 * split, killed and resumed. */
#include "base/json.h"
#include "base/random.h"
#include "base/threads.h"
#include "test.h"
#include "train/train.h"
#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const char tiny[] = "{\"n_layer\": 2, \"n_embd\": 32, \"n_head\": 2, \"n_positions\": 32, \"vocab_size\": 256, "
                           "\"resid_pdrop\": 0.1, \"embd_pdrop\": 0.1, \"attn_pdrop\": 0.1}";
static const char still[] = "{\"n_layer\": 2, \"n_embd\": 32, \"n_head\": 2, \"n_positions\": 32, \"vocab_size\": 256, "
                            "\"resid_pdrop\": 0, \"embd_pdrop\": 0, \"attn_pdrop\": 0}";

/* ---- scaffolding ---------------------------------------------------------------- */

static const char *in_dir(const char *name)
{
    static char paths[8][512];
    static int next;
    char *path = paths[next++ % 8];
    snprintf(path, sizeof paths[0], "%s/%s", test_dir(), name);
    return path;
}

/* Words of a small vocabulary in no order, with some structure to learn. */
static const char *text_file(void)
{
    static const char *const words[] = { "the ", "cat ", "sat ", "on ", "a ", "mat", ". ", "and ", "then ", "dog", ", ", "ran " };
    const char *path = in_dir("text.txt");
    FILE *f = fopen(path, "w");
    for (uint64_t i = 0; f && i < 3000; i++) fputs(words[random_u64(7, i) % 12], f);
    if (f) fclose(f);
    return path;
}

typedef struct { lithe_tokenizer *tokens; lithe_dataset *data; lithe_model *model; lithe_trainer *trainer; lithe_error err; } fixture;

static void close_fixture(fixture *f)
{
    lithe_trainer_close(f->trainer);
    lithe_dataset_close(f->data);
    lithe_model_close(f->model);
    lithe_tokenizer_close(f->tokens);
}

/* A run of a small model on the text, its data under `name`.data. */
static fixture begin_as(const char *arch_name, const char *name, const char *config, const lithe_train_options *o)
{
    fixture f = { 0 };
    char data[128];
    const char *path = text_file();
    snprintf(data, sizeof data, "%s.data", name);
    f.tokens = lithe_tokenizer_open("bytes", &f.err);
    f.data = lithe_dataset_open(&path, 1, in_dir(data), f.tokens, NULL, &f.err);
    f.model = lithe_model_new(arch_name, config, 1, &f.err);
    f.trainer = lithe_trainer_open(f.model, f.data, f.tokens, o, in_dir(name), &f.err);
    CHECK_MSG(!f.err.status, "%s", f.err.text);
    return f;
}

static fixture begin(const char *name, const char *config, const lithe_train_options *o) { return begin_as("gpt2", name, config, o); }

/* Runs to the end; the training loss of the last step. */
static double run_out(lithe_trainer *t, lithe_error *err)
{
    lithe_event e = { 0 };
    double loss = NAN;
    while (lithe_trainer_next(t, &e, err) > 0) if (e.kind == LITHE_STEPPED) loss = e.loss;
    CHECK(err->status || e.kind == LITHE_FINISHED);
    return loss;
}

static double whole_run(const char *name, const char *config, const lithe_train_options *o)
{
    fixture f = begin(name, config, o);
    double loss = run_out(f.trainer, &f.err);
    CHECK_MSG(!f.err.status, "%s", f.err.text);
    close_fixture(&f);
    return loss;
}

static bool same_file(const char *a, const char *b, const char *name)
{
    lithe_error err = { 0 };
    mapping x, y;
    char *p = path_join(a, name), *q = path_join(b, name);
    bool same = !file_map(&x, p, &err) && !file_map(&y, q, &err);
    if (same) {
        same = x.size == y.size && !memcmp(x.data, y.data, x.size);
        file_unmap(&x);
        file_unmap(&y);
    }
    free(p);
    free(q);
    return same;
}

static bool same_checkpoint(const char *run_a, const char *run_b, int at)
{
    static const char *const files[] = { "model.safetensors", "optimizer.safetensors", "trainer.json", "config.json", "manifest.json" };
    char *a = checkpoint_path(run_a, at), *b = checkpoint_path(run_b, at);
    bool same = true;
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        bool equal = same_file(a, b, files[i]);
        CHECK_MSG(equal, "%s of %s and %s", files[i], a, b);
        same &= equal;
    }
    free(a);
    free(b);
    return same;
}

static const char slots[] = "{\"num_layers\": 2, \"hidden_size\": 32, \"num_attention_heads\": 2, \"max_position_embeddings\": 32, "
                            "\"qkv_slot_num\": 16, \"proj_slot_num\": 16, \"ffn_slot_num\": 32, \"vocab_size\": 256}";

static lithe_error refused(const char *run, const lithe_train_options *o)
{
    lithe_error err = { 0 };
    lithe_trainer *t = lithe_trainer_resume(run, o, &err);
    CHECK(!t && err.status);
    lithe_trainer_close(t);
    return err;
}

/* ---- formulas ------------------------------------------------------------------------ */

static void schedules(void)
{
    const double pi = 3.14159265358979323846;
    schedule s = { .lr = 3e-3, .min_lr = 1e-4, .warmup = 10, .steps = 110 };
    for (int kind = 0; kind < SCHEDULE_KINDS; kind++) {
        s.kind = (schedule_kind)kind;
        CHECK(schedule_find(schedule_name(s.kind)) == kind);
        for (int at = 1; at <= 10; at++) CHECK(fabs(schedule_lr(&s, at) - 3e-3 * at / 10) < 1e-15);
        for (int at = 11; at <= 120; at++) {
            double p = at < 110 ? (at - 10) / 100.0 : 1, x = at < 110 ? at : 110;
            double expected = kind == SCHEDULE_COSINE ? 1e-4 + 2.9e-3 * 0.5 * (1 + cos(pi * p))
                            : kind == SCHEDULE_LINEAR ? 3e-3 - 2.9e-3 * p
                            : kind == SCHEDULE_WSD ? (x <= 88 ? 3e-3 : 3e-3 - 2.9e-3 * (x - 88) / 22)
                            : kind == SCHEDULE_INVERSE_SQRT ? fmax(1e-4, 3e-3 * sqrt(10 / x)) : 3e-3;
            CHECK_MSG(fabs(schedule_lr(&s, at) - expected) < 1e-15, "%s at %d: %g, expected %g", schedule_name(s.kind), at,
                      schedule_lr(&s, at), expected);
        }
    }
    CHECK(schedule_find("cosin") == -1);
    const schedule one = { .lr = 1, .min_lr = 0.5, .steps = 1 };
    CHECK(schedule_lr(&one, 1) == 0.5);
}

/* Three steps in double, written out for every parameter, against the optimizer. */
static void adamw_against_double(void)
{
    lithe_error err = { 0 };
    lithe_model *m = lithe_model_new("gpt2", tiny, 3, &err);
    const adamw_settings s = { .beta1 = 0.9, .beta2 = 0.95, .eps = 1e-6, .weight_decay = 0.1, .clip = 0.5 };
    optimizer o;
    CHECK(m && !optimizer_open(&o, m, &s, &err));
    params *p = m->params;
    size_t n = p->arena_count;
    double *w = calloc(n, sizeof *w), *a = calloc(n, sizeof *a), *b = calloc(n, sizeof *b);
    for (size_t i = 0; i < n; i++) w[i] = (double)p->data[i];
    for (int t = 1; t <= 3; t++) {
        double square = 0, lr = 1e-2 / t;
        for (int i = 0; i < p->count; i++)
            for (size_t j = 0; j < p->items[i]->count; j++) {
                double g = 0.01 * random_normal(key_of(key_of_name(1, p->items[i]->name), (uint64_t)t), j);
                p->items[i]->grad[j] = (real)g;
                square += (double)(real)g * (double)(real)g;
            }
        double norm = optimizer_norm(&o, kernels_default()), scale = norm > s.clip ? s.clip / norm : 1;
        CHECK(fabs(norm - sqrt(square)) < 1e-6 * norm && scale < 1);
        optimizer_step(&o, kernels_default(), lr, norm);
        for (int i = 0; i < p->count; i++) {
            size_t first = (size_t)(p->items[i]->data - p->data);
            double decay = p->items[i]->rule.decay ? s.weight_decay : 0;
            for (size_t j = first; j < first + p->items[i]->count; j++) {
                double g = scale * (double)p->grad[j];
                a[j] = s.beta1 * a[j] + (1 - s.beta1) * g;
                b[j] = s.beta2 * b[j] + (1 - s.beta2) * g * g;
                w[j] -= lr * (a[j] / (1 - pow(s.beta1, t)) / (sqrt(b[j] / (1 - pow(s.beta2, t))) + s.eps) + decay * w[j]);
            }
        }
    }
    double difference = 0, total = 0;
    for (size_t i = 0; i < n; i++) {
        difference += (w[i] - (double)p->data[i]) * (w[i] - (double)p->data[i]);
        total += w[i] * w[i];
    }
    CHECK_MSG(sqrt(difference / total) < 1e-6, "relative error %g", sqrt(difference / total));
    free(w);
    free(a);
    free(b);
    optimizer_close(&o);
    lithe_model_close(m);
}

static void moments_on_disk(void)
{
    lithe_error err = { 0 };
    lithe_model *m = lithe_model_new("gpt2", tiny, 3, &err), *other = lithe_model_new("gpt2", "{\"n_layer\": 1, \"n_embd\": 8, \"n_head\": 1, \"n_positions\": 8, \"vocab_size\": 9}", 3, &err);
    const adamw_settings s = { .beta1 = 0.9, .beta2 = 0.95, .eps = 1e-8 };
    optimizer o;
    int updates = 0;
    CHECK(m && !optimizer_open(&o, m, &s, &err));
    size_t bytes = m->params->arena_count * sizeof(real);
    real *a = calloc(1, bytes), *b = calloc(1, bytes);
    for (int i = 0; i < m->params->count; i++)
        for (size_t j = 0; j < m->params->items[i]->count; j++) {
            size_t k = (size_t)(m->params->items[i]->data - m->params->data) + j;
            o.m[k] = (real)random_normal(1, k);
            o.v[k] = (real)random_unit(2, k);
        }
    CHECK(!optimizer_write(test_dir(), m->params, o.m, o.v, 17, &err));
    CHECK(!optimizer_read(test_dir(), m->params, a, b, &updates, &err));
    CHECK(updates == 17 && !memcmp(a, o.m, bytes) && !memcmp(b, o.v, bytes));
    CHECK(optimizer_read(test_dir(), other->params, a, b, &updates, &err) == LITHE_EFORMAT && err.text[0]);
    free(a);
    free(b);
    optimizer_close(&o);
    lithe_model_close(m);
    lithe_model_close(other);
}

/* ---- files ------------------------------------------------------------------------------ */

/* Two records, byte for byte as TensorFlow's writer makes them. */
static void event_file_bytes(void)
{
    static const char golden[] =
        "1800000000000000a37f4b220900000040fc54d9411a0d627261696e2e4576656e743a32eced8f9d"
        "200000000000000029eda9500900004040fc54d94110642a130a110a0a747261696e2f6c6f737315000020407fc0c6fd";
    lithe_error err = { 0 };
    tensorboard t;
    size_t size = 0;
    CHECK(!tensorboard_create(&t, in_dir("events"), 1700000000, &err));
    CHECK(!tensorboard_scalar(&t, 1700000001, 100, "train/loss", 2.5, &err));
    tensorboard_close(&t);
    char *bytes = file_read(in_dir("events"), 1000, &size, &err), hex[200] = "";
    for (size_t i = 0; bytes && i < size && i < 99; i++) snprintf(hex + 2 * i, 3, "%02x", (unsigned char)bytes[i]);
    CHECK_MSG(size == 88 && !strcmp(hex, golden), "%zu bytes %s", size, hex);
    free(bytes);
}

static void log_lines(void)
{
    lithe_error err = { 0 };
    run_log l, second;
    size_t size;
    CHECK(!log_open(&l, test_dir(), &err));
    CHECK(log_open(&second, test_dir(), &err) == LITHE_EINVAL);
    log_close(&second);
    err = (lithe_error){ 0 };
    for (int at = 0; at < 4; at++)
        for (int line = 0; line < 3; line++) {
            line_begin(&l, at);
            line_number(&l, "loss", line ? NAN : 2.5);
            line_text(&l, "text", "a \"b\"\n\\");
            CHECK(!log_write(&l, &err));
        }
    CHECK(write(l.fd, "{\"step\": 3, \"lo", 15) == 15);
    CHECK(!log_cut(&l, 2, 2, &err));
    char *text = file_read(l.path, 10000, &size, &err);
    int lines = 0;
    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"), lines++) {
        json_t *value = json_parse(line, strlen(line), 4, "line", &err);
        CHECK(json_integer_value(json_object_get(value, "step")) == lines / 3);
        CHECK(json_is_null(json_object_get(value, "loss")) == (lines % 3 > 0));
        const char *said = json_string_value(json_object_get(value, "text"));
        CHECK(said && !strcmp(said, "a \"b\"\n\\"));
        json_decref(value);
    }
    CHECK_MSG(lines == 8, "%d lines", lines);
    free(text);
    log_close(&l);
}

static void trainer_json(void)
{
    lithe_error err = { 0 };
    settings s = { .ctx = 7, .batch = 6, .accumulate = 3, .eval_every = 5, .save_every = 2, .eval_windows = 9,
                   .schedule = { SCHEDULE_WSD, 0.1, 1.0 / 3, 3, 1000 }, .adamw = { .beta1 = 0.9, .beta2 = 0.95, .eps = 1e-8, .weight_decay = 0.1, .clip = 1, .decoupled = true, .peak = 0.1 }, .compute = COMPUTE_BF16,
                   .objective = { { MASK_WORDS, 0.3, 0.1, 1.0 / 7, true }, 0.15 },
                   .seed = UINT64_MAX, .recompute = true, .sample = strdup("Once \"upon\"\n"), .grow_at = strdup("10:2x,20:3M") }, back;
    progress p = { .step = 50, .skipped = 3, .in_a_row = 2, .roll_backs = 1, .lr_scale = 0.5, .grown = 1, .grown_at = 10, .evaluated = true,
                   .valid_loss = 2.0 / 3, .bits_per_byte = NAN, .best_loss = 0.1, .best_step = 40, .good_step = 40, .tokens = 1e9, .lines = 4 }, q;
    char *data;
    CHECK(!trainer_json_write(test_dir(), &s, &p, "train.shard 10 abc", &err));
    CHECK(!trainer_json_read(test_dir(), &back, &q, &data, &err) && !strcmp(data, "train.shard 10 abc"));
    CHECK(back.growth_count == 2 && back.growths[0].at == 10 && back.growths[0].factor == 2 && back.growths[1].params == 3e6);
    CHECK(back.seed == UINT64_MAX && back.recompute && back.compute == COMPUTE_BF16 && !strcmp(back.sample, s.sample) && !back.grow_method);
    CHECK(!memcmp(&back.schedule, &s.schedule, sizeof s.schedule) && !memcmp(&back.adamw, &s.adamw, sizeof s.adamw));
    CHECK(back.objective.mask.kind == MASK_WORDS && back.objective.mask.rate == 0.3 && back.objective.mask.random == 1.0 / 7 && back.objective.mask.fixed);
    CHECK(q.valid_loss == 2.0 / 3 && isnan(q.bits_per_byte) && q.best_loss == 0.1 && q.evaluated && q.lines == 4 && q.lr_scale == 0.5);
    settings_free(&back);
    free(data);
    static const char *const bad[] = { "", "[]", "{\"format\": 2}", "{\"format\": 1, \"data\": \"x\", \"settings\": {\"ctx\": -1}}" };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        err = (lithe_error){ 0 };
        CHECK(!file_write(in_dir("trainer.json"), bad[i], strlen(bad[i]), &err));
        CHECK(trainer_json_read(test_dir(), &back, &q, &data, &err) == LITHE_EFORMAT && !data);
    }
    settings_free(&s);
}

/* ---- runs --------------------------------------------------------------------------------- */

static const lithe_train_options small_run = { .ctx = 16, .batch = 4, .steps = 20, .lr = 3e-3, .eval_windows = 4, .seed = 5 };

static void a_run(void)
{
    lithe_train_options o = small_run;
    o.sample = "the cat";
    o.command = "lithe train text.txt";
    fixture f = begin("run", tiny, &o);
    lithe_event e;
    int counts[LITHE_FINISHED + 1] = { 0 }, more;
    double first = NAN, last = NAN;
    do {
        more = lithe_trainer_next(f.trainer, &e, &f.err);
        CHECK_MSG(more >= 0, "%s", f.err.text);
        counts[e.kind]++;
        if (e.kind == LITHE_STEPPED) {
            CHECK(e.step == counts[LITHE_STEPPED] && e.steps == 20 && e.tokens == 64 && e.flops > 1e6 && e.grad_norm > 0 && e.lr > 0);
            last = e.loss;
        }
        if (e.kind == LITHE_EVALUATED && e.step == 0) first = e.valid_loss;
        if (e.kind == LITHE_EVALUATED) CHECK_MSG(e.text && !strncmp(e.text, "the cat", 7) && strlen(e.text) > 7, "%s", e.text ? e.text : "none");
    } while (more > 0);
    CHECK(counts[LITHE_STEPPED] == 20 && counts[LITHE_EVALUATED] == 11 && counts[LITHE_SAVED] == 10 && counts[LITHE_FINISHED] == 1);
    CHECK_MSG(fabs(first - log(256)) < 0.3 && e.valid_loss < first - 0.5 && last < first, "valid %g, then %g", first, e.valid_loss);
    CHECK(e.bits_per_byte > 0 && e.total_tokens == 20 * 64 && e.kind == LITHE_FINISHED);
    const char *run = in_dir("run");
    char *steps = path_join(run, "ckpt-20"), *ids;
    int *list, count = checkpoint_list(run, &list, &f.err);
    CHECK_MSG(count >= 2 && count <= 3 && list[0] == 20 && list[1] == 18, "%d checkpoints", count);
    CHECK(same_file(run, steps, "model.safetensors") && same_file(run, steps, "config.json") && same_file(run, steps, "tokenizer.json"));
    static const char *const files[] = { "command.txt", "config.json", "log.jsonl", "tokenizer.json", "best.json", "data/train.shard",
                                         "model.safetensors", "samples/0.txt", "samples/20.txt" };
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        CHECK_MSG(path_exists(ids = path_join(run, files[i])), "%s", ids);
        free(ids);
    }
    CHECK(!lithe_trainer_open(f.model, f.data, f.tokens, &small_run, run, &f.err) && f.err.status == LITHE_EINVAL);
    free(list);
    free(steps);
    close_fixture(&f);
}

static void finished_runs(void)
{
    whole_run("run", tiny, &small_run);
    lithe_error err = { 0 };
    lithe_event e;
    lithe_trainer *t = lithe_trainer_resume(in_dir("run"), NULL, &err);
    CHECK(lithe_trainer_next(t, &e, &err) == 0 && e.kind == LITHE_FINISHED);
    CHECK(lithe_trainer_next(t, &e, &err) == 0 && e.kind == LITHE_FINISHED);
    lithe_error other = { 0 };
    CHECK(!lithe_trainer_resume(in_dir("run"), NULL, &other) && strstr(other.text, "another process"));
    lithe_trainer_close(t);
    CHECK(refused(in_dir("run"), &(lithe_train_options){ .steps = 10 }).status == LITHE_EINVAL);
    t = lithe_trainer_resume(in_dir("run"), &(lithe_train_options){ .steps = 24 }, &err);
    run_out(t, &err);
    CHECK_MSG(!err.status && path_is_dir(in_dir("run/ckpt-24")), "%s", err.text);
    CHECK(same_file(in_dir("run"), in_dir("run/ckpt-24"), "model.safetensors"));
    lithe_trainer_close(t);
    CHECK(refused(in_dir("nothing"), NULL).status == LITHE_EINVAL);
    CHECK(refused(test_dir(), NULL).status == LITHE_EINVAL);
}

static void threads_do_not_show(void)
{
    static const int counts[] = { 1, 2, 4 };
    char name[24];
    for (int i = 0; i < 3; i++) {
        threads_set(counts[i]);
        snprintf(name, sizeof name, "run%d", counts[i]);
        whole_run(name, tiny, &small_run);
    }
    threads_set(0);
    CHECK(same_checkpoint(in_dir("run1"), in_dir("run2"), 20));
    CHECK(same_checkpoint(in_dir("run1"), in_dir("run4"), 20));
}

static lithe_model *final_model(const char *name)
{
    lithe_error err = { 0 };
    lithe_model *m = lithe_model_open(in_dir(name), NULL, &err);
    CHECK_MSG(m, "%s", err.text);
    return m;
}

static void accumulation(void)
{
    lithe_train_options o = small_run;
    o.batch = 6;
    o.steps = 1;
    o.eps = 1e-3;                                           /* the first step is not the sign of rounding */
    double whole = whole_run("whole", tiny, &o);
    static const int splits[] = { 2, 4, 6 };
    lithe_model *a = final_model("whole");
    for (int i = 0; i < 3; i++) {
        char name[24];
        snprintf(name, sizeof name, "split%d", splits[i]);
        o.accumulate = splits[i];
        double loss = whole_run(name, tiny, &o);
        lithe_model *b = final_model(name);
        CHECK_MSG(fabs(loss - whole) < 1e-6 * whole, "loss %.9g in %d parts, %.9g whole", loss, splits[i], whole);
        CHECK_MSG(relative_error(b->params->data, a->params->data, a->params->arena_count) < 1e-5, "%g",
                  relative_error(b->params->data, a->params->data, a->params->arena_count));
        lithe_model_close(b);
    }
    lithe_model_close(a);
}

/* Keeping activations or running them again is the same arithmetic. */
static void recomputation(void)
{
    lithe_train_options o = small_run;
    o.eval_every = o.save_every = 20;
    whole_run("kept", tiny, &o);
    o.recompute = 1;
    whole_run("again", tiny, &o);
    CHECK(same_file(in_dir("kept"), in_dir("again"), "model.safetensors"));
}

static void bf16(void)
{
    lithe_train_options o = small_run;
    o.eval_every = o.save_every = 10;
    double exact_loss = whole_run("f32", tiny, &o);
    o.dtype = "bf16";
    double loss = whole_run("bf16", tiny, &o);
    CHECK_MSG(fabs(loss - exact_loss) < 0.02 * exact_loss && !same_file(in_dir("f32"), in_dir("bf16"), "model.safetensors"), "%g, in f32 %g", loss, exact_loss);
    fixture f = begin("broken", tiny, &o);
    lithe_event e = { 0 };
    while (e.step < 14 && lithe_trainer_next(f.trainer, &e, &f.err) > 0) { }
    close_fixture(&f);
    lithe_trainer *t = lithe_trainer_resume(in_dir("broken"), NULL, &f.err);
    run_out(t, &f.err);
    lithe_trainer_close(t);
    CHECK(!f.err.status && same_checkpoint(in_dir("bf16"), in_dir("broken"), 20));
}

/* Documents that do not see each other: windows of many sequences, in training and in validation. */
static void packed_documents(void)
{
    const char *path = in_dir("documents.jsonl");
    FILE *file = fopen(path, "w");
    for (uint64_t i = 0; file && i < 400; i++) {
        fprintf(file, "{\"text\": \"%.*s\"}\n", (int)(1 + random_u64(3, i) % 20), "abcdefghijklmnopqrstuvwxyz");
    }
    if (file) fclose(file);
    fixture f = { 0 };
    f.tokens = lithe_tokenizer_open("bytes", &f.err);
    f.data = lithe_dataset_open(&path, 1, NULL, f.tokens, &(lithe_data_options){ .reset_attention = 1, .valid_share = 0.1 }, &f.err);
    f.model = lithe_model_new("gpt2", tiny, 1, &f.err);
    lithe_train_options o = small_run;
    o.accumulate = 2;
    o.steps = 40;
    o.lr = 1e-2;
    f.trainer = lithe_trainer_open(f.model, f.data, f.tokens, &o, in_dir("run"), &f.err);
    double loss = run_out(f.trainer, &f.err);
    CHECK_MSG(!f.err.status && loss < 2.5, "loss %g; %s", loss, f.err.text);
    close_fixture(&f);
}

static void overfits_one_batch(void)
{
    static const char config[] = "{\"n_layer\": 2, \"n_embd\": 64, \"n_head\": 2, \"n_positions\": 32, \"vocab_size\": 256, "
                                 "\"resid_pdrop\": 0, \"embd_pdrop\": 0, \"attn_pdrop\": 0}";
    lithe_train_options o = small_run;
    o.steps = 1;
    fixture f = begin("run", config, &o);
    lithe_trainer *t = f.trainer;
    double loss = NAN;
    for (int i = 0; i < 300; i++) {
        loss = trainer_step_loss(t, 1);
        optimizer_step(&t->optimizer, t->kernels, 5e-3, optimizer_norm(&t->optimizer, t->kernels));
    }
    CHECK_MSG(loss < 0.02, "loss %g", loss);
    close_fixture(&f);
}

static void steps_allocate_nothing(void)
{
    lithe_train_options o = small_run;
    o.eval_every = o.save_every = 20;
    fixture f = begin("run", tiny, &o);
    lithe_event e;
    for (int i = 0; i < 5; i++) lithe_trainer_next(f.trainer, &e, &f.err);
    size_t before = allocation_count();
    for (int i = 0; i < 5; i++) CHECK(lithe_trainer_next(f.trainer, &e, &f.err) == 1 && e.kind == LITHE_STEPPED);
    CHECK_MSG(allocation_count() == before, "%zu allocations", allocation_count() - before);
    close_fixture(&f);
}

static void budgets(void)
{
    lithe_train_options o = small_run;
    o.steps = 0;
    o.tokens = 500;
    fixture f = begin("tokens", tiny, &o);
    CHECK(f.trainer->settings.schedule.steps == 8);
    close_fixture(&f);
    o.tokens = 0;
    f = begin("epoch", tiny, &o);
    CHECK(f.trainer->settings.schedule.steps == (int)((dataset_windows(f.data, 16) + 3) / 4));
    close_fixture(&f);
    o.seconds = 1;
    f = begin("seconds", tiny, &o);
    int steps = f.trainer->settings.schedule.steps;         /* chosen once, whatever the machine does later */
    CHECK(steps >= 1);
    close_fixture(&f);
    f.trainer = lithe_trainer_resume(in_dir("seconds"), NULL, &f.err);
    CHECK(f.trainer && f.trainer->settings.schedule.steps == steps);
    run_out(f.trainer, &f.err);
    CHECK_MSG(!f.err.status && f.trainer->progress.step == steps, "%s", f.err.text);
    lithe_trainer_close(f.trainer);
    o.tokens = 7;
    o.steps = 5;
    lithe_error err = { 0 };
    f = (fixture){ .model = lithe_model_new("gpt2", tiny, 1, &err) };
    CHECK(!lithe_trainer_open(f.model, NULL, NULL, &o, in_dir("x"), &err) && err.status == LITHE_EINVAL);
    close_fixture(&f);
}

static void options_are_checked(void)
{
    const lithe_train_options bad[] = {
        { .ctx = 64 }, { .ctx = -1 }, { .batch = -1 }, { .batch = 2, .accumulate = 3 }, { .lr = NAN }, { .lr = -1 }, { .beta1 = 1 },
        { .steps = 5, .tokens = 10 }, { .schedule = "cosin" }, { .dtype = "f16" }, { .grow_at = "5" }, { .grow_at = "5:2x,4:2x" },
        { .grow_at = "0:2x" }, { .moments = "keep" }, { .moments = "carry" }, { .moments = "carry", .from = "/nonexistent" },
        { .steps = -1 }, { .seconds = -1 }, { .grow_at = "10:2x;20:3x" },
    };
    fixture f = begin("run", tiny, &small_run);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        lithe_error err = { 0 };
        CHECK_MSG(!lithe_trainer_open(f.model, f.data, f.tokens, &bad[i], in_dir("bad"), &err) && err.status && err.text[0], "option set %zu", i);
        CHECK(!path_exists(in_dir("bad")));
    }
    lithe_model *small = lithe_model_new("gpt2", "{\"n_layer\": 1, \"n_embd\": 8, \"n_head\": 1, \"n_positions\": 32, \"vocab_size\": 100}", 1, &f.err);
    lithe_error err = { 0 };
    CHECK(!lithe_trainer_open(small, f.data, f.tokens, &small_run, in_dir("bad"), &err) && strstr(err.text, "100"));
    lithe_model_close(small);
    close_fixture(&f);
}

/* ---- stopping and going on --------------------------------------------------------------------- */

/* In a child: begins the run, or resumes it, and is killed after some microseconds unless it ends before. */
static bool child_ends(const char *name, const lithe_train_options *o, unsigned microseconds)
{
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        lithe_error err = { 0 };
        lithe_event e;
        lithe_trainer *t = NULL;
        if (path_is_dir(in_dir(name))) t = lithe_trainer_resume(in_dir(name), NULL, &err);
        else {
            char data[64];
            const char *path = text_file();
            snprintf(data, sizeof data, "%s.data", name);
            lithe_tokenizer *tokens = lithe_tokenizer_open("bytes", &err);
            lithe_dataset *d = lithe_dataset_open(&path, 1, in_dir(data), tokens, NULL, &err);
            t = lithe_trainer_open(lithe_model_new("gpt2", tiny, 1, &err), d, tokens, o, in_dir(name), &err);
        }
        while (lithe_trainer_next(t, &e, &err) > 0) { }
        if (err.status) printf("        %s\n", err.text);
        fflush(stdout);
        _exit(err.status ? 1 : 0);
    }
    struct timespec pause = { microseconds / 1000000, 1000 * (long)(microseconds % 1000000) };
    int status;
    nanosleep(&pause, NULL);
    kill(child, SIGKILL);
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) { }
    CHECK(WIFSIGNALED(status) || WEXITSTATUS(status) == 0);
    return WIFEXITED(status);
}

static bool hidden_left(const char *run)
{
    char command[600];
    snprintf(command, sizeof command, "test -n \"$(find '%s' -mindepth 1 -name '.*')\"", run);
    return system(command) == 0;
}

static void killed_and_resumed(void)
{
    lithe_train_options o = small_run;
    o.steps = 30;
    o.save_every = 3;
    text_file();
    whole_run("unbroken", tiny, &o);
    uint64_t draw = 0;
    for (int round = 0; round < 3; round++) {
        char name[24];
        int kills = 0;
        snprintf(name, sizeof name, "broken%d", round);
        while (!child_ends(name, &o, (unsigned)(5000 + random_u64(11, draw++) % (250000 + 20000 * (uint64_t)kills))) && kills < 200) kills++;
        CHECK_MSG(kills < 200, "never ended");
        CHECK(same_checkpoint(in_dir("unbroken"), in_dir(name), 30));
        CHECK(!hidden_left(in_dir(name)));
        CHECK(same_file(in_dir("unbroken"), in_dir(name), "model.safetensors") && same_file(in_dir("unbroken"), in_dir(name), "best.json"));
    }
}

/* The numbers of log.jsonl but the seconds, as one text. */
static char *log_numbers(const char *run)
{
    lithe_error err = { 0 };
    char *path = path_join(run, "log.jsonl"), *text = file_read(path, 1 << 20, NULL, &err), *out = calloc(1, 1 << 20);
    for (char *line = text ? strtok(text, "\n") : NULL; line; line = strtok(NULL, "\n")) {
        json_t *value = json_parse(line, strlen(line), 4, "line", &err);
        CHECK(value);
        json_object_del(value, "seconds");
        char *dump = json_dumps(value, JSON_SORT_KEYS);
        strcat(strcat(out, dump ? dump : "?"), "\n");
        free(dump);
        json_decref(value);
    }
    free(path);
    free(text);
    return out;
}

static void resumed_by_hand(void)
{
    lithe_train_options o = small_run;
    o.save_every = 4;
    whole_run("unbroken", tiny, &o);
    fixture f = begin("broken", tiny, &o);
    lithe_event e = { 0 };
    while (e.step < 11 && lithe_trainer_next(f.trainer, &e, &f.err) > 0) { }
    CHECK(!lithe_trainer_save(f.trainer, &f.err) && path_is_dir(in_dir("broken/ckpt-11")));
    CHECK(!lithe_trainer_save(f.trainer, &f.err));
    lithe_trainer_next(f.trainer, &e, &f.err);
    close_fixture(&f);
    lithe_error err = { 0 };
    lithe_trainer *t = lithe_trainer_resume(in_dir("broken"), &(lithe_train_options){ .save_every = 2 }, &err);
    CHECK_MSG(t, "%s", err.text);
    CHECK(lithe_trainer_next(t, &e, &err) == 1 && e.kind == LITHE_STEPPED && e.step == 12);
    run_out(t, &err);
    lithe_trainer_close(t);
    CHECK(same_file(in_dir("unbroken/ckpt-20"), in_dir("broken/ckpt-20"), "model.safetensors"));
    CHECK(same_file(in_dir("unbroken/ckpt-20"), in_dir("broken/ckpt-20"), "optimizer.safetensors"));
    char *a = log_numbers(in_dir("unbroken")), *b = log_numbers(in_dir("broken"));
    CHECK(*a && !strcmp(a, b));
    free(a);
    free(b);
}

static void flip_byte(const char *path, long at)
{
    FILE *f = fopen(path, "r+b");
    CHECK(f != NULL);
    if (!f) return;
    fseek(f, at, at < 0 ? SEEK_END : SEEK_SET);
    int c = fgetc(f);
    fseek(f, at, at < 0 ? SEEK_END : SEEK_SET);
    fputc(c ^ 1, f);
    fclose(f);
}

static void damage_is_noticed(void)
{
    lithe_train_options o = small_run;
    o.save_every = 5;
    whole_run("unbroken", tiny, &o);
    fixture f = begin("run", tiny, &o);
    lithe_event e = { 0 };
    while (!(e.kind == LITHE_SAVED && e.step == 15) && lithe_trainer_next(f.trainer, &e, &f.err) > 0) { }
    CHECK(strstr(e.text, "ckpt-15"));
    close_fixture(&f);
    flip_byte(in_dir("run/ckpt-15/optimizer.safetensors"), -1);
    lithe_error err = { 0 };
    lithe_trainer *t = lithe_trainer_resume(in_dir("run"), NULL, &err);
    CHECK_MSG(t && lithe_trainer_next(t, &e, &err) == 1 && e.kind == LITHE_ROLLED_BACK && e.step == 10, "%s", err.text);
    CHECK_MSG(e.text && strstr(e.text, "ckpt-15/optimizer.safetensors") && strstr(e.text, "ckpt-10"), "%s", e.text);
    run_out(t, &err);
    lithe_trainer_close(t);
    CHECK(!err.status && same_checkpoint(in_dir("unbroken"), in_dir("run"), 20));
    CHECK(!unlink(in_dir("run/ckpt-20/manifest.json")));
    t = lithe_trainer_resume(in_dir("run"), NULL, &err);
    run_out(t, &err);
    lithe_trainer_close(t);
    CHECK(!err.status && same_checkpoint(in_dir("unbroken"), in_dir("run"), 20));
    flip_byte(in_dir("run/data/train.shard"), -1);
    err = refused(in_dir("run"), NULL);
    CHECK_MSG(strstr(err.text, "train.shard"), "%s", err.text);
    flip_byte(in_dir("run/data/train.shard"), -1);
    FILE *text = fopen(in_dir("text.txt"), "a");
    fputs("more", text);
    fclose(text);
    err = refused(in_dir("run"), NULL);
    CHECK_MSG(err.status == LITHE_EMISMATCH, "%s", err.text);
    text_file();
    err = (lithe_error){ 0 };
    int *steps, count = checkpoint_list(in_dir("run"), &steps, &err);
    for (int i = 0; i < count; i++) {
        char name[64];
        snprintf(name, sizeof name, "run/ckpt-%d/model.safetensors", steps[i]);
        flip_byte(in_dir(name), 9);
    }
    free(steps);
    err = refused(in_dir("run"), NULL);
    CHECK_MSG(strstr(err.text, "none of its"), "%s", err.text);
}

/* What a file may grow to: the disk is full for whatever is larger. */
static void limit_files(rlim_t bytes)
{
    struct rlimit l;
    getrlimit(RLIMIT_FSIZE, &l);
    l.rlim_cur = bytes;
    signal(SIGXFSZ, SIG_IGN);
    CHECK(!setrlimit(RLIMIT_FSIZE, &l));
}

/* What grows with each step, the model, the moments do not fit: one line, and the last checkpoint goes on to the same end. */
static void full_disk(void)
{
    static const struct { rlim_t bytes; const char *names; } limits[] = {
        { 2500, "full0/" }, { 50000, "ckpt-15/model.safetensors" }, { 250000, "ckpt-15/optimizer.safetensors" } };
    lithe_train_options o = small_run;
    o.save_every = 5;
    whole_run("unbroken", tiny, &o);
    for (int i = 0; i < 3; i++) {
        char name[24];
        snprintf(name, sizeof name, "full%d", i);
        fixture f = begin(name, tiny, &o);
        lithe_event e = { 0 };
        while (e.step < 12 && lithe_trainer_next(f.trainer, &e, &f.err) > 0) { }
        limit_files(limits[i].bytes);
        while (lithe_trainer_next(f.trainer, &e, &f.err) > 0) { }
        limit_files(RLIM_INFINITY);
        CHECK_MSG(f.err.status && strstr(f.err.text, limits[i].names) && !strchr(f.err.text, '\n'), "%s", f.err.text);
        CHECK(!hidden_left(in_dir(name)));
        close_fixture(&f);
        lithe_error err = { 0 };
        lithe_trainer *t = lithe_trainer_resume(in_dir(name), NULL, &err);
        CHECK(t && lithe_trainer_next(t, &e, &err) == 1 && e.step == 11);
        run_out(t, &err);
        lithe_trainer_close(t);
        CHECK_MSG(!err.status && same_checkpoint(in_dir("unbroken"), in_dir(name), 20), "%s", err.text);
    }
    const char *path = text_file();
    fixture f = { 0 };
    f.tokens = lithe_tokenizer_open("bytes", &f.err);
    f.data = lithe_dataset_open(&path, 1, in_dir("new.data"), f.tokens, NULL, &f.err);
    f.model = lithe_model_new("gpt2", tiny, 1, &f.err);
    limit_files(50000);
    CHECK(!f.err.status && !lithe_trainer_open(f.model, f.data, f.tokens, &o, in_dir("new"), &f.err) && f.err.status);
    limit_files(RLIM_INFINITY);
    CHECK(!path_exists(in_dir("new")) && !hidden_left(test_dir()));
    close_fixture(&f);
}

/* ---- divergence ---------------------------------------------------------------------------------- */

static void spoil(lithe_model *m)
{
    for (size_t i = 0; i < m->params->items[0]->count; i++) m->params->items[0]->data[i] = NAN;
    m->params->items[0]->version++;
}

static void rolls_back(void)
{
    lithe_train_options o = small_run;
    o.save_every = o.eval_every = 5;
    fixture f = begin("run", tiny, &o);
    lithe_event e = { 0 };
    while (e.step < 7 && lithe_trainer_next(f.trainer, &e, &f.err) > 0) { }
    double lr = e.lr;
    spoil(f.model);
    for (int i = 0; i < 3; i++) {
        CHECK(lithe_trainer_next(f.trainer, &e, &f.err) == 1 && e.kind == LITHE_SKIPPED && e.step == 8 + i);
        CHECK_MSG(e.text && strstr(e.text, "not a number"), "%s", e.text);
    }
    CHECK(lithe_trainer_next(f.trainer, &e, &f.err) == 1 && e.kind == LITHE_ROLLED_BACK && strstr(e.text, "ckpt-5") && strstr(e.text, "1/2"));
    while (lithe_trainer_next(f.trainer, &e, &f.err) == 1 && e.kind != LITHE_STEPPED) { }
    CHECK(e.step == 11 && isfinite(e.loss) && e.lr < 0.6 * lr && e.lr > 0.3 * lr);
    run_out(f.trainer, &f.err);
    CHECK_MSG(!f.err.status, "%s", f.err.text);
    const progress *p = &f.trainer->progress;
    CHECK(p->roll_backs == 1 && p->skipped == 3 && p->lr_scale == 0.5 && p->in_a_row == 0 && f.trainer->optimizer.updates == 5 + 10);
    close_fixture(&f);
}

static void diverges(void)
{
    lithe_train_options o = small_run;
    o.lr = 1e5;
    o.steps = 60;
    o.clip = -1;
    o.weight_decay = 1e5;
    o.schedule = "constant";
    o.warmup = -1;
    fixture f = begin("run", still, &o);
    lithe_event e;
    int rolled = 0, more;
    while ((more = lithe_trainer_next(f.trainer, &e, &f.err)) > 0) rolled += e.kind == LITHE_ROLLED_BACK;
    CHECK_MSG(more == LITHE_EDIVERGED && rolled == 3, "%d after %d roll-backs: %s", more, rolled, f.err.text);
    close_fixture(&f);
}

/* ---- from another run ------------------------------------------------------------------------------ */

static void carries_moments(void)
{
    whole_run("first", tiny, &small_run);
    lithe_train_options o = small_run;
    lithe_error err = { 0 };
    o.moments = "carry";
    fixture f = { 0 };
    const char *path = text_file();
    f.tokens = lithe_tokenizer_open("bytes", &err);
    f.data = lithe_dataset_open(&path, 1, in_dir("second.data"), f.tokens, NULL, &err);
    f.model = lithe_model_open(in_dir("first"), NULL, &err);
    f.trainer = lithe_trainer_open(f.model, f.data, f.tokens, &o, in_dir("second"), &err);
    CHECK_MSG(f.trainer, "%s", err.text);
    CHECK(f.trainer->optimizer.updates == 20 && f.trainer->progress.step == 0);
    CHECK(same_file(in_dir("first/ckpt-20"), in_dir("second/ckpt-0"), "optimizer.safetensors"));
    CHECK(same_file(in_dir("first/ckpt-20"), in_dir("second/ckpt-0"), "model.safetensors"));
    run_out(f.trainer, &err);
    CHECK(!err.status);
    close_fixture(&f);
}

/* ---- growing ---------------------------------------------------------------------------------------- */

static void grows_inside(void)
{
    lithe_train_options o = small_run;
    o.save_every = 4;
    o.grow_at = "6:1.5x,13:2x";
    fixture f = begin_as("tokenformer", "unbroken", slots, &o);
    lithe_event e = { 0 };
    int grew = 0, saved_at = 0, more;
    double before = NAN;
    while ((more = lithe_trainer_next(f.trainer, &e, &f.err)) > 0) {
        if (e.kind == LITHE_EVALUATED) {
            if (grew && e.step == saved_at) CHECK_MSG(fabs(e.valid_loss - before) < 1e-4, "%.9g, then %.9g", before, e.valid_loss);
            before = e.valid_loss;
        }
        if (e.kind != LITHE_GREW) continue;
        grew++;
        saved_at = e.step;
        CHECK(e.step == (grew == 1 ? 6 : 13) && e.growth.params_after > e.growth.params_before && e.text[0]);
        CHECK_MSG(e.growth.preserves && e.growth.max_difference <= 1e-4 * e.growth.max_logit, "%s: %g of %g", e.growth.method,
                  e.growth.max_difference, e.growth.max_logit);
        CHECK(lithe_model_params(lithe_trainer_model(f.trainer)) == e.growth.params_after && lithe_trainer_model(f.trainer) != f.model);
    }
    CHECK_MSG(more == 0 && grew == 2, "%s", f.err.text);
    segment *segments;
    int count = model_segments(lithe_trainer_model(f.trainer), &segments, &f.err), born6 = 0, born13 = 0;
    for (int i = 0; i < count; i++) {
        born6 += segments[i].born == 6;
        born13 += segments[i].born == 13;
    }
    CHECK_MSG(born6 > 0 && born13 > 0 && born6 + born13 == count, "%d and %d of %d", born6, born13, count);
    free(segments);
    close_fixture(&f);
    for (int i = 0; i < 4; i++) {                           /* before, at and after a growth, with and without a checkpoint asked for */
        static const int stops[] = { 5, 6, 8, 13 };
        int stop = stops[i];
        char name[24];
        snprintf(name, sizeof name, "broken%d", stop);
        f = begin_as("tokenformer", name, slots, &o);
        while (e.step != stop && (more = lithe_trainer_next(f.trainer, &e, &f.err)) > 0) { }
        if (stop % 2) CHECK(!lithe_trainer_save(f.trainer, &f.err));
        close_fixture(&f);
        lithe_trainer *t = lithe_trainer_resume(in_dir(name), NULL, &f.err);
        CHECK_MSG(t, "%s", f.err.text);
        run_out(t, &f.err);
        lithe_trainer_close(t);
        CHECK(!f.err.status && same_checkpoint(in_dir("unbroken"), in_dir(name), 20));
    }
}

/* Frozen rows keep their values, neighbours and other parameters move. */
static void frozen_rows(void)
{
    lithe_error err = { 0 };
    lithe_model *small = lithe_model_new("tokenformer", slots, 1, &err);
    lithe_growth report;
    lithe_model *m = lithe_model_grow(small, &(lithe_grow_options){ .factor = 1.5, .freeze_old = 1 }, &report, &err);
    CHECK_MSG(m, "%s", err.text);
    segment *segments;
    int count = model_segments(m, &segments, &err), frozen = 0;
    const adamw_settings s = { .beta1 = 0.9, .beta2 = 0.95, .eps = 1e-8, .weight_decay = 0.1 };
    optimizer o;
    segments_begin(m, 0, true);
    CHECK(!optimizer_open(&o, m, &s, &err));
    size_t n = m->params->arena_count;
    real *before = malloc(n * sizeof *before);
    memcpy(before, m->params->data, n * sizeof *before);
    for (int i = 0; i < m->params->count; i++)
        for (size_t j = 0; j < m->params->items[i]->count; j++) m->params->items[i]->grad[j] = 1;
    size_t still_rows = 0, moved = 0;
    double norm = optimizer_norm(&o, kernels_default());
    optimizer_step(&o, kernels_default(), 1e-3, norm);
    for (size_t i = 0; i < n; i++) moved += before[i] < m->params->data[i] || before[i] > m->params->data[i];
    for (int i = 0; i < count; i++) {
        if (!segments[i].frozen) continue;
        frozen++;
        size_t width = segments[i].param->count / (size_t)segments[i].param->rule.dims[0];
        size_t first = (size_t)(segments[i].param->data - m->params->data) + (size_t)segments[i].first * width;
        CHECK(!memcmp(before + first, m->params->data + first, (size_t)segments[i].rows * width * sizeof(real)));
        still_rows += (size_t)segments[i].rows * width;
    }
    CHECK_MSG(frozen > 0 && moved == params_total(m->params) - still_rows, "%d frozen, %zu moved", frozen, moved);
    CHECK(fabs(norm * norm - (double)moved) < 1e-6 * (double)moved);
    free(before);
    free(segments);
    optimizer_close(&o);
    lithe_model_close(m);
    lithe_model_close(small);
}

const test tests_train[] = {
    { "train: schedules", schedules },
    { "train: AdamW against double", adamw_against_double },
    { "train: moments on disk", moments_on_disk },
    { "train: event file bytes", event_file_bytes },
    { "train: log lines", log_lines },
    { "train: trainer.json", trainer_json },
    { "train: a run", a_run },
    { "train: finished runs", finished_runs },
    { "train: threads do not show", threads_do_not_show },
    { "train: accumulation", accumulation },
    { "train: recomputation", recomputation },
    { "train: bf16", bf16 },
    { "train: packed documents", packed_documents },
    { "train: overfits one batch", overfits_one_batch },
    { "train: steps allocate nothing", steps_allocate_nothing },
    { "train: budgets", budgets },
    { "train: options are checked", options_are_checked },
    { "train: killed and resumed", killed_and_resumed },
    { "train: resumed by hand", resumed_by_hand },
    { "train: damage is noticed", damage_is_noticed },
    { "train: full disk", full_disk },
    { "train: rolls back", rolls_back },
    { "train: diverges", diverges },
    { "train: carries moments", carries_moments },
    { "train: grows inside", grows_inside },
    { "train: frozen rows", frozen_rows },
    { 0 },
};
