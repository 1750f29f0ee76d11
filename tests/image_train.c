/* Training on images: real digits are learned, the same bytes whatever the
 * threads and interruptions, growing inside a run keeps the outputs, and what
 * does not fit is refused. */
#include "base/file.h"
#include "lithe_eval.h"
#include "base/writer.h"
#include "base/random.h"
#include "data/corpus.h"
#include "model/model.h"
#include "test.h"
#include "values.h"
#include <math.h>
#include <stdlib.h>

#define VIT "{\"image_size\":8,\"patch_size\":2,\"num_channels\":1,\"hidden_size\":32,\"num_hidden_layers\":2,\"num_attention_heads\":2,\"intermediate_size\":64,\"num_labels\":10,\"initializer_range\":0.1}"
#define TOKENFORMER "{\"image_size\":8,\"patch_size\":2,\"num_channels\":1,\"hidden_size\":32,\"num_hidden_layers\":2,\"num_attention_heads\":2,\"qkv_slot_num\":24,\"proj_slot_num\":24,\"ffn_slot_num\":64,\"num_labels\":10,\"initializer_range\":0.1}"
#define HYBRID "{\"image_size\":8,\"patch_size\":2,\"num_channels\":1,\"hidden_size\":32,\"num_hidden_layers\":2,\"num_attention_heads\":2,\"rwkv_head_dim\":16,\"intermediate_size\":64,\"num_labels\":10," \
    "\"initializer_range\":0.1,\"mixer\":[\"rwkv5\",\"attention\"],\"feed_forward\":\"glu\",\"activation\":\"silu\"}"

static void put_idx(const char *name, const uint8_t *pixels, const uint8_t *labels, int count)
{
    char file[300];
    lithe_error err = { 0 };
    uint8_t *bytes = calloc(16 + (size_t)count * 64, 1);
    memcpy(bytes, (uint8_t[]){ 0, 0, 8, 3, 0, 0, (uint8_t)(count >> 8), (uint8_t)count, 0, 0, 0, 8, 0, 0, 0, 8 }, 16);
    memcpy(bytes + 16, pixels, (size_t)count * 64);
    snprintf(file, sizeof file, "%s-images-idx3-ubyte", name);
    CHECK(!file_write(in_dir(file), bytes, 16 + (size_t)count * 64, &err));
    bytes[3] = 1;
    memcpy(bytes + 8, labels, (size_t)count);
    snprintf(file, sizeof file, "%s-labels-idx1-ubyte", name);
    CHECK_MSG(!file_write(in_dir(file), bytes, 8 + (size_t)count, &err), "%s", err.text);
    free(bytes);
}

/* Ten kinds of strokes and a little noise: 8 x 8 images of 10 classes. */
static void put_strokes(const char *name, int count, uint64_t seed)
{
    uint8_t *pixels = calloc((size_t)count, 64), *labels = calloc((size_t)count, 1);
    for (int i = 0; i < count; i++) {
        uint64_t key = key_of(seed, (uint64_t)i);
        int class = labels[i] = (uint8_t)(random_u64(key, 999) % 10), shift = (int)(random_u64(key, 998) % 2);
        for (int k = 0; k < 64; k++) {
            int y = k / 8, x = k % 8;
            bool on = class < 5 ? y == class + shift : x == class - 5 + shift;
            pixels[i * 64 + k] = (uint8_t)((on ? 180 : 20) + (int)(random_u64(key, (uint64_t)k) % 60));
        }
    }
    put_idx(name, pixels, labels, count);
    free(pixels);
    free(labels);
}

/* The first `train` rows of digits.csv.gz as train, the rest as test. */
static void put_digits(int train)
{
    enum { MOST = 1797 };
    static uint8_t pixels[MOST * 64], labels[MOST];
    lithe_error err = { 0 };
    document d = { 0 };
    corpus *c = corpus_open_file(test_data("images/digits8x8/digits.csv.gz"), true, &err);
    CHECK_MSG(c && corpus_next(c, &d, &err) == 1, "%s", err.text);
    const char *p = d.text, *end = d.text + d.size;
    int n = 0;
    for (; p && p < end && n < MOST; n++) {
        for (int k = 0; k < 65 && p < end; k++) {
            char *next;
            long v = strtol(p, &next, 10);
            if (k < 64) pixels[n * 64 + k] = (uint8_t)(v * 255 / 16); else labels[n] = (uint8_t)v;
            p = next + 1;
        }
    }
    CHECK(n == MOST);
    put_idx("train", pixels, labels, train);
    put_idx("test", pixels + train * 64, labels + train, n - train);
    corpus_close(c);
}

static lithe_dataset *open_set(lithe_error *err)
{
    const char *path = test_dir();
    return lithe_dataset_open(&path, 1, NULL, NULL, &LITHE_OPTIONS(lithe_data_options, .task = "images", .valid = test_dir()), err);
}

/* Trains to the end, or to a checkpoint at step `stop`; what the last evaluation found. */
static lithe_event run(lithe_trainer *t, int stop, lithe_event *last, lithe_error *err)
{
    lithe_event e = { 0 }, evaluated = { .metrics.accuracy = NAN };
    while (lithe_trainer_next(t, &e, err) > 0) {
        if (e.kind == LITHE_EVALUATED) evaluated = e;
        if (e.kind == LITHE_GREW && last) *last = e;
        if (stop && e.kind == LITHE_STEPPED && e.step == stop) { lithe_trainer_save(t, err); break; }
    }
    return evaluated;
}

/* The run's own evaluation, of what it prepared, and eval's of the files. */
static void check_evaluation(const char *run_dir, const lithe_event *of_run)
{
    lithe_error err = { 0 };
    lithe_evaluation v;
    lithe_model *m = lithe_model_open(run_dir, NULL, &err);
    CHECK_MSG(m && !lithe_evaluate(m, NULL, test_dir(), NULL, &v, &err), "%s", err.text);
    if (m && !err.status) CHECK_MSG(fabs(v.loss - of_run->valid_loss) <= 1e-12 * v.loss && fabs(v.metrics.f1 - of_run->metrics.f1) <= 0, "%.15g by eval, %.15g in the run", v.loss, of_run->valid_loss);
    lithe_model_close(m);
}

static void learn(const char *name, const char *config, double least)
{
    char out[100];
    lithe_error err = { 0 };
    lithe_dataset *d = open_set(&err);
    lithe_model *m = lithe_model_new(name, config, 1, &err);
    snprintf(out, sizeof out, "run-%s", name);
    lithe_trainer *t = lithe_trainer_open(m, d, NULL, &LITHE_OPTIONS(lithe_train_options, .steps = 240, .batch = 48, .lr = 5e-3, .augment = "none", .eval_every = 240, .save_every = 240), in_dir(out), &err);
    lithe_event e = { 0 };
    if (t) e = run(t, 0, NULL, &err);
    CHECK_MSG(!err.status, "%s", err.text);
    CHECK_MSG(e.metrics.accuracy >= least, "%s: %.3f of the digits held out are recognised", name, e.metrics.accuracy);
    lithe_trainer_close(t);
    if (!err.status) check_evaluation(in_dir(out), &e);
    lithe_model *done = lithe_model_open(in_dir(out), NULL, &err);              /* with what it was trained on */
    CHECK_MSG(done && done->preprocessor.known && fabs(done->preprocessor.mean[0] - 0.305) < 0.02, "%s %g", err.text, done ? done->preprocessor.mean[0] : 0);
    lithe_model_close(done);
    lithe_model_close(m);
    lithe_dataset_close(d);
}

static void digits_are_learned(void)
{
    put_digits(1300);
    learn("vit", VIT, 0.9);
    learn("tokenformer_vit", TOKENFORMER, 0.9);
    learn("hybrid_vit", HYBRID, 0.9);
}

static void *values(const char *run_dir, size_t *bytes)
{
    lithe_error err = { 0 };
    lithe_model *m = open_values(run_dir, NULL, &err);
    CHECK_MSG(m, "%s", err.text);
    *bytes = m ? m->params->arena_count * sizeof(real) : 0;
    void *copy = malloc(*bytes + 1);
    if (m) memcpy(copy, m->params->values, *bytes);
    lithe_model_close(m);
    return copy;
}

/* Nine steps at once; with one thread; interrupted at step 4. */
static void the_same_bytes(void)
{
    static const char *const names[] = { "whole", "thread", "parts" };
    lithe_error err = { 0 };
    const lithe_train_options o = { .size = sizeof o, .steps = 9, .batch = 10, .seed = 3, .eval_every = 3, .save_every = 9, .augment = "photos" };
    put_strokes("train", 70, 1);
    put_strokes("test", 20, 2);
    lithe_dataset *d = open_set(&err);
    void *v[3];
    size_t bytes[3];
    for (int i = 0; i < 3; i++) {
        lithe_threads(i == 1 ? 1 : 0);
        lithe_model *m = lithe_model_new("tokenformer_vit", TOKENFORMER, 1, &err);
        lithe_trainer *t = lithe_trainer_open(m, d, NULL, &o, in_dir(names[i]), &err);
        if (t) run(t, i == 2 ? 4 : 0, NULL, &err);
        lithe_trainer_close(t);
        lithe_model_close(m);
        t = i == 2 ? lithe_trainer_resume(in_dir(names[i]), NULL, &err) : NULL;
        if (t) run(t, 0, NULL, &err);
        lithe_trainer_close(t);
        CHECK_MSG(!err.status, "%s", err.text);
        v[i] = values(in_dir(names[i]), &bytes[i]);
        CHECK_MSG(bytes[i] == bytes[0] && !memcmp(v[i], v[0], bytes[0]), "%s: other weights", names[i]);
    }
    for (int i = 0; i < 3; i++) free(v[i]);
    lithe_dataset_close(d);
}

static void grows_inside(void)
{
    lithe_error err = { 0 };
    lithe_event grew = { 0 };
    put_strokes("train", 70, 1);
    put_strokes("test", 20, 2);
    lithe_dataset *d = open_set(&err);
    lithe_model *m = lithe_model_new("tokenformer_vit", TOKENFORMER, 1, &err);
    lithe_trainer *t = lithe_trainer_open(m, d, NULL, &LITHE_OPTIONS(lithe_train_options, .steps = 8, .batch = 10, .grow_at = "4:2x"), in_dir("run"), &err);
    if (t) run(t, 0, &grew, &err);
    CHECK_MSG(!err.status, "%s", err.text);
    CHECK(grew.growth->preserves && grew.growth->max_logit > 0 && grew.growth->max_difference <= 1e-5 * grew.growth->max_logit && (double)lithe_model_params(lithe_trainer_model(t)) > 1.9 * (double)lithe_model_params(m));
    lithe_trainer_close(t);
    lithe_model *done = lithe_model_open(in_dir("run"), NULL, &err);
    CHECK_MSG(done && done->preprocessor.known, "%s", err.text);
    lithe_model_close(done);
    lithe_model_close(m);
    lithe_dataset_close(d);
}

static void what_does_not_fit(void)
{
    struct { const char *arch, *config; lithe_train_options o; const char *says; } cases[] = {
        { "gpt2", "{\"n_layer\":1,\"n_embd\":32,\"n_head\":1,\"vocab_size\":20}", { 0 }, "a gpt2 reads text" },
        { "vit", "{\"image_size\":16,\"patch_size\":4,\"num_channels\":1,\"hidden_size\":32,\"num_attention_heads\":2,\"num_hidden_layers\":1,\"intermediate_size\":32}", { 0 }, "8 x 8 with 1 channels, the model reads 16 x 16" },
        { "vit", "{\"image_size\":8,\"patch_size\":4,\"num_channels\":1,\"hidden_size\":32,\"num_attention_heads\":2,\"num_hidden_layers\":1,\"intermediate_size\":32,\"num_labels\":4}", { 0 }, "10 classes, the model 4" },
        { "vit", VIT, { .augment = "mixup" }, "augment is \"mixup\"" },
    };
    put_strokes("train", 70, 1);
    put_strokes("test", 20, 2);
    lithe_error err = { 0 };
    lithe_dataset *d = open_set(&err);
    CHECK_MSG(d, "%s", err.text);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        err = (lithe_error){ 0 };
        cases[i].o.size = sizeof cases[i].o;
        lithe_model *m = lithe_model_new(cases[i].arch, cases[i].config, 1, &err);
        lithe_trainer *t = lithe_trainer_open(m, d, NULL, &cases[i].o, in_dir("no"), &err);
        CHECK_MSG(!t && strstr(err.text, cases[i].says), "%zu: %s", i, err.text);
        lithe_trainer_close(t);
        lithe_model_close(m);
    }
    lithe_dataset_close(d);
}

const test tests_image_train[] = {
    { "images: digits are learned", digits_are_learned },
    { "images: the same bytes after an interruption, with any threads", the_same_bytes },
    { "images: a run grows inside", grows_inside },
    { "images: what does not fit is refused", what_does_not_fit },
    { 0 }
};
