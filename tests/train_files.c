/* Training: the optimizer and the schedules against their formulas, and the bytes
 * of what a run writes. */
#include "base/json.h"
#include "base/writer.h"
#include "base/random.h"
#include "base/threads.h"
#include "test.h"
#include "train_runs.h"
#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

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
    const optimizer_settings s = { .beta1 = 0.9, .beta2 = 0.95, .eps = 1e-6, .weight_decay = 0.1, .clip = 0.5 };
    optimizer o;
    CHECK(m && !optimizer_open(&o, m, &s, &err));
    params *p = m->params;
    size_t n = p->arena_count;
    double *w = calloc(n, sizeof *w), *a = calloc(n, sizeof *a), *b = calloc(n, sizeof *b);
    for (size_t i = 0; i < n; i++) w[i] = (double)p->values[i];
    for (int t = 1; t <= 3; t++) {
        double square = 0, lr = 1e-2 / t;
        for (int i = 0; i < p->count; i++)
            for (size_t j = 0; j < p->items[i]->count; j++) {
                double g = 0.01 * random_normal(key_of(key_of_name(1, p->items[i]->name), (uint64_t)t), j);
                p->items[i]->grad[j] = (real)g;
                square += (double)(real)g * (double)(real)g;
            }
        double norm = sqrt(optimizer_squares(&o, kernels_default())), scale = norm > s.clip ? s.clip / norm : 1;
        CHECK(fabs(norm - sqrt(square)) < 1e-6 * norm && scale < 1);
        optimizer_step(&o, kernels_default(), lr, norm);
        for (int i = 0; i < p->count; i++) {
            size_t first = p->items[i]->offset;
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
        difference += (w[i] - (double)p->values[i]) * (w[i] - (double)p->values[i]);
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
    const optimizer_settings s = { .beta1 = 0.9, .beta2 = 0.95, .eps = 1e-8 };
    optimizer o;
    int updates = 0;
    CHECK(m && !optimizer_open(&o, m, &s, &err));
    size_t bytes = m->params->arena_count * sizeof(real);
    real *a = calloc(1, bytes), *b = calloc(1, bytes);
    for (int i = 0; i < m->params->count; i++)
        for (size_t j = 0; j < m->params->items[i]->count; j++) {
            size_t k = m->params->items[i]->offset + j;
            o.m[k] = (real)random_normal(1, k);
            o.v[k] = (real)random_unit(2, k);
        }
    CHECK(!optimizer_write(test_dir(), m->params, false, o.m, o.v, 17, &err));
    CHECK(!optimizer_read(test_dir(), m->params, false, a, b, &updates, &err));
    CHECK(updates == 17 && !memcmp(a, o.m, bytes) && !memcmp(b, o.v, bytes));
    CHECK(optimizer_read(test_dir(), other->params, false, a, b, &updates, &err) == LITHE_EFORMAT && err.text[0]);
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
    char owner[40];
    snprintf(owner, sizeof owner, ": process %ld on ", (long)getpid());
    CHECK_MSG(log_open(&second, test_dir(), &err) == LITHE_EINVAL && strstr(err.text, owner), "%s", err.text);
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
    CHECK(path_exists(in_dir("lock")));
    log_close(&l);
    CHECK(!path_exists(in_dir("lock")));
}

static void trainer_json(void)
{
    lithe_error err = { 0 };
    settings s = { .ctx = 7, .batch = 6, .accumulate = 3, .bptt = 4, .eval_every = 5, .save_every = 2, .eval_windows = 9,
                   .schedule = { SCHEDULE_WSD, 0.1, 1.0 / 3, 3, 1000 }, .optimizer = { .beta1 = 0.9, .beta2 = 0.95, .eps = 1e-8, .weight_decay = 0.1, .clip = 1, .decoupled = true, .peak = 0.1 }, .compute = COMPUTE_BF16,
                   .objective = { .mask = { MASK_WORDS, 0.3, 0.1, 1.0 / 7, true }, .valid_rate = 0.15 },
                   .seed = UINT64_MAX, .recompute = true, .sample = strdup("Once \"upon\"\n"), .grow_at = strdup("10:2x,20:3M") }, back;
    progress p = { .step = 50, .skipped = 3, .in_a_row = 2, .roll_backs = 1, .lr_scale = 0.5, .grown = 1, .grown_at = 10, .evaluated = true,
                   .valid_loss = 2.0 / 3, .bits_per_byte = NAN, .best_loss = 0.1, .best_step = 40, .good_step = 40, .tokens = 1e9, .lines = 4 }, q;
    char *data;
    CHECK(!trainer_json_write(test_dir(), &s, &p, "train.shard 10 abc", NULL, &err));
    CHECK(!trainer_json_read(test_dir(), &back, &q, &data, &err) && !strcmp(data, "train.shard 10 abc"));
    CHECK(back.growth_count == 2 && back.growths[0].at == 10 && back.growths[0].factor == 2 && back.growths[1].params == 3e6);
    CHECK(back.bptt == 4 && back.seed == UINT64_MAX && back.recompute && back.compute == COMPUTE_BF16 && !strcmp(back.sample, s.sample) && !back.grow_method);
    CHECK(!memcmp(&back.schedule, &s.schedule, sizeof s.schedule) && !memcmp(&back.optimizer, &s.optimizer, sizeof s.optimizer));
    CHECK(back.objective.mask.kind == MASK_WORDS && back.objective.mask.rate == 0.3 && back.objective.mask.random == 1.0 / 7 && back.objective.mask.fixed);
    CHECK(q.valid_loss == 2.0 / 3 && isnan(q.bits_per_byte) && q.best_loss == 0.1 && q.evaluated && q.lines == 4 && q.lr_scale == 0.5);
    settings_free(&back);
    free(data);
    json_t *json = json_read(in_dir("trainer.json"), 1 << 20, 8, &err);
    /* As an older version wrote it. */
    CHECK(!json_object_del(json_object_get(json, "settings"), "bptt") && !json_write(json, in_dir("trainer.json"), &err));
    CHECK_MSG(!trainer_json_read(test_dir(), &back, &q, &data, &err) && back.bptt == 1, "%s", err.text);
    json_decref(json);
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

const test tests_train_files[] = {
    { "train: schedules", schedules },
    { "train: AdamW against double", adamw_against_double },
    { "train: moments on disk", moments_on_disk },
    { "train: event file bytes", event_file_bytes },
    { "train: log lines", log_lines },
    { "train: trainer.json", trainer_json },
    { 0 }
};
