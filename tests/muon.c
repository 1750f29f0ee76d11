/* Muon: three steps against PyTorch's, the singular values it leaves, and runs that train by it: resumed and grown. */
#include "base/random.h"
#include "golden.h"
#include "test.h"
#include "train_runs.h"
#include "values.h"
#include <math.h>
#include <stdlib.h>

/* ---- steps ------------------------------------------------------------------------------ */

static float *answer(const tensor_file *f, const char *kind, const golden *q, const param *p)
{
    golden muon = *q;
    muon.answers = (tensor_file *)(uintptr_t)f;
    return golden_values(&muon, kind, p->name, p->count);
}

/* The relative error of what the steps changed. */
static double error_of_change(const param *p, const real *before, const float *expected)
{
    double off = 0, all = 0;
    for (size_t i = 0; i < p->count; i++) {
        const double change = (double)expected[i] - (double)before[i], d = (double)p->weight.values[i] - (double)expected[i];
        off += d * d;
        all += change * change;
    }
    return sqrt(off / all);
}

static void check_steps(const char *name, int steps, const char *kind, double most, const kernels *k)
{
    golden q;
    lithe_error err = { 0 };
    results r;
    optimizer o;
    char path[300];
    const optimizer_settings s = { .beta1 = 0.9, .beta2 = 0.95, .eps = 1e-6, .weight_decay = 0.1, .muon = true };
    golden_open(&q, name, NULL);
    snprintf(path, sizeof path, "tests/golden/%s/muon.safetensors", name);
    tensor_file *f = tensor_file_open(path, &err);
    CHECK_MSG(f && !optimizer_open(&o, q.model, &s, &err), "%s", err.text);
    params *p = q.model->params;
    real *before = malloc(p->arena_count * sizeof *before);
    memcpy(before, p->values, p->arena_count * sizeof *before);
    graph *g = golden_graph(&q, k, GRAPH_TRAIN, COMPUTE_F32, WANT_LOSS, &r);
    for (int n = 0; n < steps; n++) {
        run_loss(g, &r, &q.batch);
        optimizer_momentum(&o, 0);
        optimizer_step(&o, k, 1e-2, 0);
    }
    int compared = 0;
    for (int i = 0; i < p->count; i++) {
        const param *it = p->items[i];
        float *expected = !strcmp(kind, "muon3") || is_inner_matrix(it) ? answer(f, kind, &q, it) : NULL;
        const bool key_bias = strstr(it->name, "c_attn.bias") != NULL;         /* its gradient is rounding alone */
        if (expected && !key_bias) {
            const double e = error_of_change(it, before + it->offset, expected);
            CHECK_MSG(e <= most, "%s: the steps of %s are off by %.3g", name, it->name, e);
            compared++;
        }
        free(expected);
    }
    CHECK_MSG(compared >= o.matrix_count && o.matrix_count == (strcmp(name, "llama") ? 8 : 14), "%d compared, %d matrices", compared, o.matrix_count);
    graph_close(g);
    free(before);
    tensor_file_close(f);
    optimizer_close(&o);
    golden_close(&q);
}

/* As it is published, PyTorch orthogonalises in bfloat16: its own steps in float64 are as far from it. */
static void golden_steps(const kernels *k)
{
    check_steps("llama", 3, "muon3", 2e-4, k);
    check_steps("gpt2", 3, "muon3", 2e-4, k);
    check_steps("llama", 1, "published1", 0.15, k);
    check_steps("gpt2", 1, "published1", 0.15, k);
}
EACH_LEVEL(static, golden_steps)

/* ---- orthogonalising ---------------------------------------------------------------------- */

/* x x' of the smaller side is near 1: its rows are as long as the iterations leave them, and nearly orthogonal. */
static void nearly_orthogonal(void)
{
    static const int sizes[][2] = { { 16, 16 }, { 12, 50 }, { 50, 12 }, { 1, 9 }, { 9, 1 } };
    for (size_t c = 0; c < sizeof sizes / sizeof *sizes; c++) {
        const int rows = sizes[c][0], columns = sizes[c][1], n = rows < columns ? rows : columns, m = rows + columns - n;
        real x[800], scratch[800 + 2 * 256];
        for (int i = 0; i < rows * columns; i++) x[i] = (real)(1e-3 * random_normal(key_of(5, c), (uint64_t)i));
        muon_orthogonalize(kernels_default(), COMPUTE_F32, x, rows, columns, scratch);
        double trace = 0, off = 0;
        for (int i = 0; i < n; i++)
            for (int j = 0; j < n; j++) {
                double dot = 0;
                for (int l = 0; l < m; l++) dot += (double)x[rows <= columns ? i * columns + l : l * columns + i] * (double)x[rows <= columns ? j * columns + l : l * columns + j];
                if (i == j) trace += dot;
                else off += dot * dot;
                if (i == j) CHECK_MSG(dot > 0.4 && dot < 1.6, "%d x %d: row %d has length %g", rows, columns, i, dot);
            }
        CHECK_MSG(trace / n > 0.4 && trace / n < 1.5 && sqrt(off / n) < 0.5, "%d x %d: %g on the diagonal, %g beside", rows, columns, trace / n, sqrt(off / n));
    }
}

/* By hand: the decay is left out where the update makes a weight larger. */
static void cautious(void)
{
    real w[4] = { 1, -1, 1, -1 };
    const real x[4] = { (real)0.5, (real)0.5, (real)-0.5, (real)-0.5 };
    const double expected[4] = { 1 - 0.1 * (2 * 0.5 + 0.3), -1 - 0.1 * 2 * 0.5, 1 + 0.1 * 2 * 0.5, -1 + 0.1 * (2 * 0.5 + 0.3) };
    muon_apply(w, x, 4, &(muon_step){ 0.1, 2, 0.3, true });
    for (int i = 0; i < 4; i++) CHECK_MSG(fabs((double)w[i] - expected[i]) < 1e-6, "%d: %g, not %g", i, (double)w[i], expected[i]);
    muon_apply(w, x, 4, &(muon_step){ 0, 2, 0.3, false });
    CHECK(fabs((double)w[0] - expected[0]) < 1e-6);
}

/* ---- runs ------------------------------------------------------------------------------------ */

static const char rotary[] = "{\"num_hidden_layers\": 2, \"hidden_size\": 32, \"num_attention_heads\": 2, \"intermediate_size\": 40, \"max_position_embeddings\": 32, \"vocab_size\": 256}";
#define USUAL LITHE_OPTIONS(lithe_train_options, .ctx = 16, .batch = 4, .steps = 16, .save_every = 4, .eval_every = 8, .eval_windows = 4, .lr = 3e-3, .optimizer = "muon")

static void resumed(void)
{
    lithe_train_options o = USUAL;
    lithe_event e = { 0 };
    o.cautious_decay = 1;
    o.grow_at = "7:to=pangu-pi,11:hidden_size=64";
    o.grow_with = "old_lr=0.5,rewarm=2";
    fixture f = begin_as("llama", "unbroken", rotary, &o);
    /* In each layer four matrices of 32 x 32, 30 d^3 operations each, and three of 32 x 40. */
    const double flops = optimizer_flops(&f.trainer->optimizer), expected = 2 * (4 * 30.0 * 32 * 32 * 32 + 3 * 5 * (4.0 * 32 * 32 * 40 + 2.0 * 32 * 32 * 32));
    CHECK_MSG(f.trainer->optimizer.matrix_count == 14 && fabs(flops - expected) < 1, "%g operations, not %g", flops, expected);
    run_out(f.trainer, &f.err);
    CHECK_MSG(!f.err.status, "%s", f.err.text);
    close_fixture(&f);
    for (int stop = 5; stop < 13; stop += 3) {
        char name[24];
        snprintf(name, sizeof name, "broken%d", stop);
        f = begin_as("llama", name, rotary, &o);
        while (e.step != stop && lithe_trainer_next(f.trainer, &e, &f.err) > 0) { }
        CHECK(!lithe_trainer_save(f.trainer, &f.err));
        close_fixture(&f);
        lithe_trainer *t = lithe_trainer_resume(in_dir(name), NULL, &f.err);
        CHECK_MSG(t, "%s", f.err.text);
        if (t) run_out(t, &f.err);
        lithe_trainer_close(t);
        CHECK_MSG(!f.err.status, "%s", f.err.text);
        same_checkpoint(in_dir("unbroken"), in_dir(name), 16);
    }
}

/* Momentum goes with its values: a hybrid of the same parts begins with the momentum of GPT-2's fused matrix in its
 * three parts, and new tokens begin without. */
static void momentum_grows(void)
{
    lithe_train_options o = USUAL;
    lithe_event e = { 0 };
    o.grow_at = "6:to=hybrid";
    fixture f = begin("run", still, &o);
    while (e.step < 6 && lithe_trainer_next(f.trainer, &e, &f.err) > 0) { }
    const param *fused = params_find(f.trainer->model->params, "h.1.attn.c_attn.weight");
    real *m = malloc(fused->count * sizeof *m);
    memcpy(m, f.trainer->optimizer.m + fused->offset, fused->count * sizeof *m);
    while (lithe_trainer_next(f.trainer, &e, &f.err) > 0 && e.kind != LITHE_GREW) { }
    const param *k = params_find(f.trainer->model->params, "layers.1.self_attn.k_proj.weight");
    CHECK_MSG(k, "%s", f.err.text);
    for (int r = 0; k && r < 32; r++)
        for (int c = 0; c < 32; c++) CHECK(f.trainer->optimizer.m[k->offset + (size_t)(r * 32 + c)] == m[c * 96 + 32 + r]);
    CHECK(m[40] != 0 && f.trainer->optimizer.matrix_count == 12);
    run_out(f.trainer, &f.err);
    CHECK_MSG(!f.err.status, "%s", f.err.text);
    free(m);
    close_fixture(&f);
}

/* Frozen rows of a matrix stay, and are no part of what is orthogonalised. */
static void frozen_parts(void)
{
    lithe_error err = { 0 };
    lithe_model *small = lithe_model_new("tokenformer", slots, 1, &err);
    lithe_model *m = lithe_model_grow(small, &LITHE_OPTIONS(lithe_grow_options, .factor = 1.5, .method = "A", .freeze_old = 1), NULL, &err);
    const optimizer_settings s = { .beta1 = 0.9, .beta2 = 0.95, .eps = 1e-8, .weight_decay = 0.1, .muon = true };
    optimizer o;
    CHECK_MSG(m, "%s", err.text);
    groups_begin(m, 0, true);
    CHECK(!optimizer_open(&o, m, &s, &err));
    const param *keys = params_find(m->params, "sequential.2.mlp.key_param_tokens");
    real *before = malloc(keys->count * sizeof *before);
    memcpy(before, keys->weight.values, keys->count * sizeof *before);
    for (int i = 0; i < m->params->count; i++)
        for (size_t j = 0; j < m->params->items[i]->count; j++) m->params->items[i]->grad[j] = (real)random_normal(3, j);
    optimizer_momentum(&o, 0);
    optimizer_step(&o, kernels_default(), 1e-2, 0);
    const size_t old = 32 * 32;
    size_t moved = 0;
    for (size_t i = old; i < keys->count; i++) moved += keys->weight.values[i] < before[i] || keys->weight.values[i] > before[i];
    CHECK_MSG(!memcmp(before, keys->weight.values, old * sizeof *before) && moved == keys->count - old, "%zu of %zu moved", moved, keys->count - old);
    free(before);
    optimizer_close(&o);
    lithe_model_close(m);
    lithe_model_close(small);
}

/* Moments are carried from a run by the same optimizer only. */
static void other_moments(void)
{
    lithe_train_options o = USUAL;
    lithe_error err = { 0 };
    whole_run("by-muon", still, &o);
    o.optimizer = "adamw";
    o.moments = "carry";
    const char *path = text_file();
    lithe_tokenizer *t = lithe_tokenizer_open("bytes", &err);
    lithe_dataset *d = lithe_dataset_open(&path, 1, in_dir("second.data"), t, NULL, &err);
    lithe_model *m = lithe_model_open(in_dir("by-muon"), NULL, &err);
    lithe_trainer *r = lithe_trainer_open(m, d, t, &o, in_dir("second"), &err);
    CHECK_MSG(!r && strstr(err.text, "holds moments of Muon, and AdamW is to train"), "%s", err.text);
    err = (lithe_error){ 0 };
    o.optimizer = "muon";
    r = lithe_trainer_open(m, d, t, &o, in_dir("second"), &err);
    CHECK_MSG(r && same_file(in_dir("by-muon/ckpt-16"), in_dir("second/ckpt-0"), "optimizer.safetensors"), "%s", err.text);
    lithe_trainer_close(r);
    err = (lithe_error){ 0 };
    o.cautious_decay = 1;
    o.optimizer = "adamw";
    CHECK(!lithe_trainer_open(m, d, t, &o, in_dir("third"), &err) && strstr(err.text, "cautious_decay is for the matrices"));
    lithe_model_close(m);
    lithe_dataset_close(d);
    lithe_tokenizer_close(t);
}

const test tests_muon[] = {
    LEVELS("muon: steps are PyTorch's", golden_steps)
    { "muon: singular values come near 1", nearly_orthogonal },
    { "muon: cautious decay", cautious },
    { "muon: resumed and grown", resumed },
    { "muon: momentum grows with its values", momentum_grows },
    { "muon: frozen parts of matrices", frozen_parts },
    { "muon: moments of another optimizer", other_moments },
    { 0 }
};
