/* Architectures that read images against PyTorch: Hugging Face's ViT and the
 * equations of TokenFormer's, at every level of kernels: logits, loss, every
 * gradient and three AdamW steps; growing keeps what they say. */
#include "data/image.h"
#include "golden.h"
#include "small.h"
#include "test.h"
#include <math.h>
#include <stdlib.h>

enum { IMAGES = 3, SIDE = 8, PATCH = 4, CHANNELS = 3, LABELS = 5, ACROSS = SIDE / PATCH, MOST_TOKENS = ACROSS * ACROSS + 2, ROWS = IMAGES * MOST_TOKENS,
       WIDTH = CHANNELS * PATCH * PATCH };

static const char *const goldens[] = { "vit", "deit", "deit-teacher", "tokenformer_vit", "tokenformer_vit-softmax" };
enum { GOLDENS = sizeof goldens / sizeof *goldens };

typedef struct { golden q; int pos[ROWS], start[IMAGES + 1], label[IMAGES]; real patches[ROWS * WIDTH]; batch b; } case_;

/* (image, channel, y, x) to rows of patches, those of `before` tokens before them. */
static void cut(const float *pixels, real *patches, int before)
{
    for (int n = 0; n < IMAGES; n++)
        for (int c = 0; c < CHANNELS; c++)
            for (int y = 0; y < SIDE; y++)
                for (int x = 0; x < SIDE; x++) {
                    int row = n * (ACROSS * ACROSS + before) + before + y / PATCH * ACROSS + x / PATCH, column = (c * PATCH + y % PATCH) * PATCH + x % PATCH;
                    patches[row * WIDTH + column] = (real)pixels[((n * CHANNELS + c) * SIDE + y) * SIDE + x];
                }
}

static void must(bool good, const lithe_error *err)
{
    if (good) return;
    test_fail(__FILE__, __LINE__, err->text);
    fflush(stdout);
    _Exit(1);
}

static case_ *open_case(const char *name)
{
    case_ *c = calloc(1, sizeof *c);
    lithe_error err = { 0 };
    char path[200];
    c->q.name = name;
    snprintf(path, sizeof path, "tests/golden/%s", name);
    must((c->q.model = lithe_model_open(test_file(path), NULL, &err)) != NULL, &err);
    snprintf(path, sizeof path, "tests/golden/%s/golden.safetensors", name);
    must((c->q.answers = tensor_file_open(test_file(path), &err)) != NULL, &err);
    float *pixels = golden_values(&c->q, NULL, "pixels", IMAGES * CHANNELS * SIDE * SIDE), *labels = golden_values(&c->q, NULL, "labels", IMAGES);
    const int tokens = lithe_model_context(c->q.model);
    cut(pixels, c->patches, tokens - ACROSS * ACROSS);
    for (int r = 0; r < IMAGES * tokens; r++) c->pos[r] = r % tokens;
    for (int s = 0; s <= IMAGES; s++) c->start[s] = s * tokens;
    for (int s = 0; s < IMAGES; s++) c->label[s] = (int)labels[s];
    c->b = (batch){ .rows = IMAGES * tokens, .seqs = IMAGES, .pos = c->pos, .start = c->start, .patches = c->patches, .label = c->label, .seq_scale = (real)1 / IMAGES };
    free(pixels);
    free(labels);
    return c;
}

static void close_case(case_ *c)
{
    golden_close(&c->q);
    free(c);
}

static graph *planned(const lithe_model *m, const kernels *k, graph_mode mode, want w, results *r)
{
    lithe_error err = { 0 };
    graph_options o = { .mode = mode, .capacity = { ROWS + 3, IMAGES + 1, 0 }, .poison = true };
    graph *g = graph_new(k, m->params, &o);
    *r = arch_build(m->arch, m->config, &m->task, g, w);
    must(!graph_plan(g, &err), &err);
    return g;
}

static double loss_of(graph *g, const results *r, const batch *b)
{
    double sum = 0;
    graph_run(g, b);
    for (int s = 0; s < b->seqs; s++) sum += (double)r->loss->data[s];
    return sum / b->seqs;
}

static void logits_and_loss(const kernels *k)
{
    for (int i = 0; i < GOLDENS; i++) {
        case_ *c = open_case(goldens[i]);
        results r;
        graph *g = planned(c->q.model, k, GRAPH_SCORE, WANT_LOGITS, &r);
        float *logits = golden_values(&c->q, NULL, "logits", IMAGES * LABELS), *loss = golden_values(&c->q, NULL, "loss", 1);
        graph_run(g, &c->b);
        double worst = max_difference(r.logits->data, logits, IMAGES * LABELS);
        CHECK_MSG(worst <= 2e-5, "%s: logits differ by %.3g", goldens[i], worst);
        graph_close(g);
        g = planned(c->q.model, k, GRAPH_SCORE, WANT_LOSS, &r);
        double found = loss_of(g, &r, &c->b);
        CHECK_MSG(fabs(found - (double)*loss) <= 1e-6 * (double)*loss, "%s: the loss is %.9g, not %.9g", goldens[i], found, (double)*loss);
        graph_close(g);
        free(logits);
        free(loss);
        close_case(c);
    }
}
EACH_LEVEL(static, logits_and_loss)

static double norm(const float *x, size_t n) { double sum = 0; for (size_t i = 0; i < n; i++) sum += (double)x[i] * (double)x[i]; return sqrt(sum); }

/* Against max(||g|| of the tensor, 1e-3 ||g|| of the model): some gradients are mathematically zero. */
static void check_gradients(const golden *q)
{
    const params *p = q->model->params;
    double whole = 0;
    for (int pass = 0; pass < 2; pass++)
        for (int t = 0; t < p->count; t++) {
            const param *it = p->items[t];
            float *expected = golden_values(q, "grad", it->name, it->count);
            CHECK_MSG(expected, "%s: no gradient of %s", q->name, it->name);
            if (expected && !pass) whole = hypot(whole, norm(expected, it->count));
            if (expected && pass) {
                double own = norm(expected, it->count), floor_ = fmax(own, 1e-3 * whole), sum = 0;
                for (size_t j = 0; j < it->count; j++) sum += pow((double)it->grad[j] - (double)expected[j], 2);
                CHECK_MSG(sqrt(sum) <= 1e-4 * floor_, "%s: the gradient of %s is off by %.3g", q->name, it->name, sqrt(sum) / floor_);
            }
            free(expected);
        }
}

static void gradients(const kernels *k)
{
    for (int i = 0; i < GOLDENS; i++) {
        case_ *c = open_case(goldens[i]);
        lithe_error err = { 0 };
        results r;
        must(!params_gradients(c->q.model->params, &err), &err);
        graph *g = planned(c->q.model, k, GRAPH_TRAIN, WANT_LOSS, &r);
        loss_of(g, &r, &c->b);
        check_gradients(&c->q);
        graph_close(g);
        close_case(c);
    }
}
EACH_LEVEL(static, gradients)

/* Attention's key biases have gradients that are mathematically zero, which Adam turns into steps of noise: left
 * out. */
static bool is_noise(const char *name) { return strstr(name, "key.bias") != NULL; }

static void three_steps(const kernels *k)
{
    for (int i = 0; i < GOLDENS; i++) {
        case_ *c = open_case(goldens[i]);
        lithe_error err = { 0 };
        results r;
        params *p = c->q.model->params;
        must(!params_gradients(p, &err), &err);
        graph *g = planned(c->q.model, k, GRAPH_TRAIN, WANT_LOSS, &r);
        real *m = calloc(p->arena_count, sizeof *m), *v = calloc(p->arena_count, sizeof *v);
        for (int n = 1; n <= 3; n++) {
            adamw_args a = { .lr = (real)1e-2, .beta1 = (real)0.9, .beta2 = (real)0.95, .eps = (real)1e-6, .scale = 1,
                             .correction1 = (real)(1 - pow(0.9, n)), .correction2 = (real)(1 - pow(0.95, n)) };
            loss_of(g, &r, &c->b);
            for (int t = 0; t < p->count; t++) {
                param *it = p->items[t];
                /* As the fixture's: by rank, position table and class token included. */
                a.weight_decay = it->rule.rank >= 2 ? (real)0.1 : 0;
                k->adamw(it->weight.values, m + it->offset, v + it->offset, it->grad, it->count, &a);
                it->weight.version++;
            }
        }
        for (int t = 0; t < p->count; t++) {
            float *expected = golden_values(&c->q, "step3", p->items[t]->name, p->items[t]->count);
            double error = expected ? relative_error(p->items[t]->weight.values, expected, p->items[t]->count) : 1;
            CHECK_MSG(is_noise(p->items[t]->name) || error <= 1e-5, "%s: %s after three steps is off by %.3g", goldens[i], p->items[t]->name, error);
            free(expected);
        }
        graph_close(g);
        free(m);
        free(v);
        close_case(c);
    }
}
EACH_LEVEL(static, three_steps)

/* ---- files ------------------------------------------------------------------------- */

/* A set of lone images gives what each of its files gives. */
static void set_as_files(lithe_model *m)
{
    lithe_error err = { 0 };
    char path[2][600];
    float all[2 * LABELS], one[LABELS];
    const char *const paths[] = { path[0], path[1] };
    snprintf(path[0], sizeof path[0], "%s/rgb.png", test_file("tests/golden/images"));
    snprintf(path[1], sizeof path[1], "%s/grey.png", test_file("tests/golden/images"));
    lithe_image_set *s = lithe_image_set_open(paths, 2, &err);
    must(s != NULL, &err);
    CHECK(lithe_image_set_count(s) == 2 && !strcmp(lithe_image_set_name(s, 1), path[1]) && !lithe_image_set_name(s, 2) && !lithe_image_set_left_out(s, &err));
    CHECK(lithe_classify_images(m, paths, 2, all, &err) == LABELS && lithe_classify_image_set(m, s, 1, 1, one, &err) == LABELS);
    CHECK(!memcmp(one, all + LABELS, sizeof one) && lithe_classify_image_set(m, s, 1, 2, all, &err) == LITHE_EINVAL);
    lithe_image_set_close(s);
}

/* From a PNG file through resizing and normalization to probabilities, as Hugging Face's processor and model. */
static void files_as_hugging_face(void)
{
    static const char *const names[] = { "rgb.png", "grey.png" };
    lithe_error err = { 0 };
    if (!strstr(image_formats(), "PNG")) test_skip("this build reads no PNG");
    lithe_model *m = lithe_model_open(test_file("tests/golden/vit"), NULL, &err);
    must(m && m->preprocessor.known && m->preprocessor.filter == 3, &err);
    tensor_file *f = tensor_file_open(test_file("tests/golden/images/classified.safetensors"), &err);
    must(f != NULL, &err);
    for (int i = 0; i < 2; i++) {
        char path[600], key[80];
        float z[LABELS], found[LABELS];
        double sum = 0;
        snprintf(path, sizeof path, "%s/%s", test_file("tests/golden/images"), names[i]);
        snprintf(key, sizeof key, "%s.logits", names[i]);
        const file_tensor *t = tensor_file_find(f, key);
        CHECK(t && file_tensor_floats(t, 0, LABELS, z));
        CHECK_MSG(lithe_classify_images(m, &(const char *){ path }, 1, found, &err) == LABELS, "%s", err.text);
        for (int c = 0; c < LABELS; c++) sum += exp((double)z[c]);
        for (int c = 0; c < LABELS; c++)
            CHECK_MSG(fabs((double)found[c] - exp((double)z[c]) / sum) <= 1e-5, "%s, class %d: %.7f, not %.7f", names[i], c, (double)found[c], exp((double)z[c]) / sum);
    }
    tensor_file_close(f);
    set_as_files(m);
    lithe_model_close(m);
}

/* ---- growing ------------------------------------------------------------------------ */

static void logits_of(const lithe_model *m, const batch *b, float out[IMAGES * LABELS])
{
    results r;
    graph *g = planned(m, kernels_default(), GRAPH_SCORE, WANT_LOGITS, &r);
    graph_run(g, b);
    memcpy(out, r.logits->data, IMAGES * LABELS * sizeof *out);
    graph_close(g);
}

static void grow(const char *name, lithe_grow_options o, double tolerance)
{
    case_ *c = open_case(name);
    lithe_error err = { 0 };
    lithe_growth report;
    float before[IMAGES * LABELS], after[IMAGES * LABELS];
    lithe_model *large = lithe_model_grow(c->q.model, &o, &report, &err);
    CHECK_MSG(large, "%s: %s", name, err.text);
    if (large) {
        logits_of(c->q.model, &c->b, before);
        logits_of(large, &c->b, after);
        double apart = max_difference(before, after, IMAGES * LABELS);
        CHECK_MSG(report.preserves == (tolerance >= 0), "%s: %s", name, report.says);
        if (tolerance >= 0) CHECK_MSG(apart <= tolerance, "%s %s (%s): differs by %.3g", name, report.method, report.moves, apart);
        else CHECK_MSG(apart > 1e-3, "%s %s: differs by only %.3g", name, report.method, apart);
        CHECK(lithe_model_params(large) > lithe_model_params(c->q.model));
    }
    lithe_model_close(large);
    close_case(c);
}

static void growing(void)
{
    grow("tokenformer_vit", LITHE_OPTIONS(lithe_grow_options, .factor = 2), 1e-5);
    grow("tokenformer_vit", LITHE_OPTIONS(lithe_grow_options, .factor = 2, .method = "A"), 0);
    grow("tokenformer_vit", LITHE_OPTIONS(lithe_grow_options, .set = "qkv_slot_num=24,proj_slot_num=20,ffn_slot_num=120", .method = "B"), 1e-5);
    grow("tokenformer_vit", LITHE_OPTIONS(lithe_grow_options, .set = "ffn_slot_num=90", .method = "C"), 1e-5);
    grow("tokenformer_vit-softmax", LITHE_OPTIONS(lithe_grow_options, .set = "ffn_slot_num=80", .method = "D"), 1e-5);
    grow("tokenformer_vit", LITHE_OPTIONS(lithe_grow_options, .factor = 2, .method = "F"), -1);
    grow("tokenformer_vit", LITHE_OPTIONS(lithe_grow_options, .set = "num_hidden_layers=4"), 0);
    grow("tokenformer_vit", LITHE_OPTIONS(lithe_grow_options, .set = "hidden_size=32,num_attention_heads=4"), 1e-5);
    grow("vit", LITHE_OPTIONS(lithe_grow_options, .set = "num_hidden_layers=3"), 0);
    grow("vit", LITHE_OPTIONS(lithe_grow_options, .set = "intermediate_size=60"), 1e-5);
    grow("vit", LITHE_OPTIONS(lithe_grow_options, .set = "hidden_size=48,num_attention_heads=6"), 1e-5);
}

static void growing_refused(void)
{
    static const struct { const char *name, *set, *says; } cases[] = {
        { "vit", "image_size=16", "image_size" }, { "vit", "num_channels=1", "num_channels" }, { "tokenformer_vit", "patch_size=8", "patch_size" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        case_ *c = open_case(cases[i].name);
        lithe_error err = { 0 };
        lithe_model *large = lithe_model_grow(c->q.model, &LITHE_OPTIONS(lithe_grow_options, .set = cases[i].set), NULL, &err);
        CHECK_MSG(!large && strstr(err.text, cases[i].says), "%s", err.text);
        lithe_model_close(large);
        close_case(c);
    }
}

static void configurations(void)
{
    static const struct { const char *config, *says; } wrong[] = {
        { "{\"patch_size\":5}", "does not divide image_size" }, { "{\"num_channels\":2}", "num_channels is 2" }, { "{\"image_size\":0}", "image_size" },
        { "{\"num_attention_heads\":7}", "does not divide hidden_size" }, { "{\"hidden_act\":\"mish\"}", "hidden_act" },
        { "{\"architectures\":[\"ViTForMaskedLM\"]}", "no head of a language model" },
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        lithe_error err = { 0 };
        lithe_model *m = lithe_model_new("vit", wrong[i].config, 1, &err);
        CHECK_MSG(!m && err.status == LITHE_ECONFIG && strstr(err.text, wrong[i].says), "%s", err.text);
        lithe_model_close(m);
    }
}

/* ViT-B/16 and the paper's Base of matched size, 12 (12 d^2 + ...) with 1000 classes. */
static void published_sizes(void)
{
    static const struct { const char *arch; size_t params; } sizes[] = { { "vit", 86567656 }, { "tokenformer_vit", 86447848 } };
    for (int i = 0; i < 2; i++) {
        lithe_error err = { 0 };
        json_t *config = json_pack("{s:i}", "num_labels", 1000);
        lithe_model *m = model_declare(arch_find(sizes[i].arch), config, "config.json", &err);
        CHECK_MSG(m && params_total(m->params) == sizes[i].params, "%s: %zu", sizes[i].arch, m ? params_total(m->params) : 0);
        lithe_model_close(m);
        json_decref(config);
    }
}

const test tests_image_models[] = {
    LEVELS("images: logits and loss as PyTorch's", logits_and_loss)
    LEVELS("images: every gradient as PyTorch's", gradients)
    LEVELS("images: three AdamW steps as PyTorch's", three_steps)
    { "images: files as Hugging Face classifies them", files_as_hugging_face },
    { "images: growing keeps what it says", growing },
    { "images: growing refused", growing_refused },
    { "images: configurations", configurations },
    { "images: published sizes", published_sizes },
    { 0 }
};
