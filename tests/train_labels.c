/* Fine-tuning on labelled text: a head is learned, runs are the same runs however
 * split, threaded or stopped, and the optimizer that decays apart from the rate. */
#include "base/random.h"
#include "test.h"
#include "train_runs.h"
#include <math.h>
#include <stdlib.h>

static const char body[] = "{\"n_layer\": 2, \"n_embd\": 32, \"n_head\": 2, \"n_positions\": 32, \"vocab_size\": 256, "
                           "\"resid_pdrop\": 0.1, \"embd_pdrop\": 0.1, \"attn_pdrop\": 0.1}";

/* Texts of different lengths whose class (or number) is how many words of three begin with 'b'. */
static const char *table_file(bool numbers)
{
    static const char *const words[] = { "bat", "cat", "dog", "bee", "fox" }, *const names[] = { "none", "one", "two", "three" };
    const char *path = in_dir(numbers ? "numbers.tsv" : "classes.tsv");
    FILE *f = fopen(path, "w");
    fputs("text\tlabel\n", f);
    for (uint64_t i = 0; i < 60; i++) {
        int n = 0;
        for (uint64_t w = 0; w < 3; w++) {
            const char *word = words[random_u64(5, 3 * i + w) % 5];
            n += word[0] == 'b';
            fprintf(f, "%s%s", w ? " " : "", word);
        }
        if (i % 3 == 0) fputs(" and more", f);
        if (numbers) fprintf(f, "\t%g\n", 0.5 * n - 1);
        else fprintf(f, "\t%s\n", names[n]);
    }
    fclose(f);
    return path;
}

static fixture begin_labelled(const char *run, bool numbers, const lithe_train_options *o)
{
    fixture f = { 0 };
    const char *path = table_file(numbers), *names[16];
    f.tokens = lithe_tokenizer_open("bytes", &f.err);
    f.data = lithe_dataset_open(&path, 1, NULL, f.tokens, &LITHE_OPTIONS(lithe_data_options, .task = numbers ? "regress" : "classify", .valid = path), &f.err);
    for (int i = 0; i < lithe_dataset_labels(f.data) && i < 16; i++) names[i] = lithe_dataset_label(f.data, i);
    f.base = lithe_model_new("gpt2", body, 1, &f.err);
    f.model = lithe_model_with_head(f.base, numbers ? "regress" : "classify", names, lithe_dataset_labels(f.data), 2, &f.err);
    f.trainer = lithe_trainer_open(f.model, f.data, f.tokens, o, in_dir(run), &f.err);
    CHECK_MSG(!f.err.status, "%s", f.err.text);
    return f;
}

static void classes_are_learned(void)
{
    fixture f = begin_labelled("run", false, &LITHE_OPTIONS(lithe_train_options, .steps = 250, .lr = 3e-3, .seed = 3));
    CHECK(!strcmp(lithe_model_task(f.model), "classify") && lithe_model_labels(f.model) == 4 && !strcmp(lithe_model_label(f.model, 1), "one"));
    lithe_event e = run_evaluated(f.trainer, &f.err);
    CHECK_MSG(e.metrics.accuracy == 1 && e.metrics.matthews > 0.999 && e.valid_loss < 0.1, "accuracy %.3f, loss %.3f", e.metrics.accuracy, e.valid_loss);
    CHECK(isnan(e.bits_per_byte) && isnan(e.metrics.pearson));
    lithe_model *back = lithe_model_open(in_dir("run"), NULL, &f.err);
    CHECK_MSG(back && lithe_model_labels(back) == 4 && !strcmp(lithe_model_label(back, 3), "two") && !strcmp(lithe_model_task(back), "classify"), "%s", f.err.text);
    lithe_model_close(back);
    close_fixture(&f);
}

static void numbers_are_learned(void)
{
    fixture f = begin_labelled("run", true, &LITHE_OPTIONS(lithe_train_options, .steps = 150, .lr = 3e-3, .seed = 3));
    lithe_event e = run_evaluated(f.trainer, &f.err);
    CHECK_MSG(e.metrics.pearson > 0.98 && e.metrics.spearman > 0.9 && e.valid_loss < 0.02, "pearson %.3f, loss %.4f", e.metrics.pearson, e.valid_loss);
    CHECK(isnan(e.metrics.accuracy));
    close_fixture(&f);
}

/* Epochs say how long: 3 of 60 examples by 16. */
static void three_epochs(void)
{
    fixture f = begin_labelled("run", false, &LITHE_OPTIONS(lithe_train_options, .lr = 1e-3));
    lithe_event e = run_evaluated(f.trainer, &f.err);
    CHECK(e.steps == 12);
    close_fixture(&f);
}

static void threads_and_parts(void)
{
    lithe_train_options o = { .size = sizeof o, .steps = 12, .lr = 3e-3, .batch = 12, .seed = 5 };
    lithe_threads(1);
    fixture a = begin_labelled("a", false, &o);
    double one = run_evaluated(a.trainer, &a.err).valid_loss;
    close_fixture(&a);
    lithe_threads(3);
    fixture b = begin_labelled("b", false, &o);
    run_evaluated(b.trainer, &b.err);
    close_fixture(&b);
    CHECK(same_file(in_dir("a"), in_dir("b"), "model.safetensors"));
    o.accumulate = 5;                                               /* ragged parts: their examples and tokens differ */
    fixture c = begin_labelled("c", false, &o);
    double parts = run_evaluated(c.trainer, &c.err).valid_loss;
    close_fixture(&c);
    CHECK_MSG(fabs(one - parts) < 1e-4 * one, "%.7f in one part, %.7f in five", one, parts);
}

static void resumed(void)
{
    lithe_train_options o = { .size = sizeof o, .steps = 15, .lr = 3e-3, .save_every = 5, .seed = 6, .optimizer = "decoupled-adamw" };
    fixture whole = begin_labelled("whole", false, &o), part = begin_labelled("part", false, &o);
    run_evaluated(whole.trainer, &whole.err);
    lithe_event e = { 0 };
    while (e.step < 7 && lithe_trainer_next(part.trainer, &e, &part.err) > 0) { }
    close_fixture(&part);
    lithe_error err = { 0 };
    lithe_trainer *t = lithe_trainer_resume(in_dir("part"), NULL, &err);
    CHECK_MSG(t, "%s", err.text);
    if (t) run_evaluated(t, &err);
    lithe_trainer_close(t);
    close_fixture(&whole);
    CHECK(same_file(in_dir("whole"), in_dir("part"), "model.safetensors"));
}

static void heads_must_fit(void)
{
    fixture f = begin_labelled("run", false, &LITHE_OPTIONS(lithe_train_options, .steps = 1));
    lithe_error err = { 0 };
    CHECK(!lithe_trainer_open(f.base, f.data, f.tokens, NULL, in_dir("x"), &err) && strstr(err.text, "give it a head"));
    const char *two[] = { "a", "b" };
    err = (lithe_error){ 0 };
    lithe_model *small = lithe_model_with_head(f.base, "classify", two, 2, 1, &err), *number = lithe_model_with_head(f.base, "regress", NULL, 0, 1, &err);
    CHECK(small && number && !lithe_trainer_open(small, f.data, f.tokens, NULL, in_dir("x"), &err) && strstr(err.text, "4 classes, the model 2"));
    err = (lithe_error){ 0 };
    CHECK(!lithe_trainer_open(number, f.data, f.tokens, NULL, in_dir("x"), &err) && strstr(err.text, "the labels are classes"));
    err = (lithe_error){ 0 };
    CHECK(!lithe_model_with_head(f.base, "rank", two, 2, 1, &err) && !lithe_model_with_head(f.base, "classify", two, 1, 1, NULL));
    lithe_model_close(small);
    lithe_model_close(number);
    close_fixture(&f);
}

/* A body keeps its values under a new head, which is the same for the same seed. */
static void the_body_is_kept(void)
{
    lithe_error err = { 0 };
    const char *names[] = { "a", "b", "c" };
    lithe_model *m = lithe_model_new("gpt2", body, 1, &err), *h = lithe_model_with_head(m, "classify", names, 3, 9, &err);
    lithe_model *again = h ? lithe_model_with_head(h, "classify", names, 3, 10, &err) : NULL;
    CHECK_MSG(again, "%s", err.text);
    for (int i = 0; again && i < h->params->count; i++) {
        const param *p = h->params->items[i], *q = params_find(m->params, p->name), *r = params_find(again->params, p->name);
        bool of_head = !strcmp(p->name, "score.weight");
        CHECK((q == NULL) == of_head && r);
        CHECK(of_head || !memcmp(p->weight.values, q->weight.values, p->count * sizeof *p->weight.values));
        CHECK(of_head == (memcmp(p->weight.values, r->weight.values, p->count * sizeof *p->weight.values) != 0));
    }
    lithe_model_close(m);
    lithe_model_close(h);
    lithe_model_close(again);
}

/* ---- decoupled decay ---------------------------------------------------------------------- */

/* A hundred steps in double, written out. */
static void decoupled_against_double(void)
{
    lithe_error err = { 0 };
    lithe_model *m = lithe_model_new("gpt2", body, 3, &err);
    const optimizer_settings s = { .beta1 = 0.9, .beta2 = 0.98, .eps = 1e-6, .weight_decay = 1e-5, .decoupled = true, .peak = 5e-4 };
    const schedule course = { SCHEDULE_LINEAR, 5e-4, 1e-5, 6, 100 };
    optimizer o;
    CHECK(m && !optimizer_open(&o, m, &s, &err));
    params *p = m->params;
    size_t n = p->arena_count;
    double *w = calloc(n, sizeof *w), *a = calloc(n, sizeof *a), *b = calloc(n, sizeof *b), difference = 0, total = 0;
    for (size_t i = 0; i < n; i++) w[i] = (double)p->values[i];
    for (int t = 1; t <= 100; t++) {
        double lr = schedule_lr(&course, t);
        for (size_t j = 0; j < n; j++) p->grad[j] = (real)(0.01 * random_normal(key_of(1, (uint64_t)t), j));
        optimizer_step(&o, kernels_default(), lr, 1);
        for (int i = 0; i < p->count; i++) {
            size_t first = p->items[i]->offset;
            for (size_t j = first; j < first + p->items[i]->count; j++) {
                double g = (double)p->grad[j];
                w[j] *= 1 - s.weight_decay * lr / s.peak;
                a[j] = s.beta1 * a[j] + (1 - s.beta1) * g;
                b[j] = s.beta2 * b[j] + (1 - s.beta2) * g * g;
                w[j] -= lr / (1 - pow(s.beta1, t)) * a[j] / (sqrt(b[j]) / sqrt(1 - pow(s.beta2, t)) + s.eps);
            }
        }
    }
    for (int i = 0; i < p->count; i++)
        for (size_t j = 0; j < p->items[i]->count; j++) {
            size_t k = p->items[i]->offset + j;
            difference += pow(w[k] - (double)p->values[k], 2);
            total += w[k] * w[k];
        }
    CHECK_MSG(sqrt(difference / total) <= 1e-6, "relative error %g", sqrt(difference / total));
    free(w);
    free(a);
    free(b);
    optimizer_close(&o);
    lithe_model_close(m);
}

/* Without gradients weights are multiplied by 1 - decay lr_t / lr_0 at each step, biases and norms too. */
static void decay_alone(void)
{
    lithe_error err = { 0 };
    lithe_model *m = lithe_model_new("gpt2", body, 3, &err);
    const optimizer_settings s = { .beta1 = 0.9, .beta2 = 0.98, .eps = 1e-6, .weight_decay = 1e-3, .decoupled = true, .peak = 5e-4 };
    const schedule course = { SCHEDULE_LINEAR, 5e-4, 1e-5, 6, 100 };
    optimizer o;
    CHECK(m && !optimizer_open(&o, m, &s, &err));
    const param *norm = params_find(m->params, "ln_f.weight"), *wte = params_find(m->params, "wte.weight");
    double product = 1, before = (double)wte->weight.values[5];
    for (int t = 1; t <= 100; t++) {
        double lr = schedule_lr(&course, t);
        optimizer_step(&o, kernels_default(), lr, 0);
        product *= 1 - 1e-3 * lr / 5e-4;
    }
    CHECK_MSG(fabs((double)norm->weight.values[3] / product - 1) < 1e-5, "%.9g, expected %.9g", (double)norm->weight.values[3], product);
    CHECK(fabs((double)wte->weight.values[5] / before / product - 1) < 1e-5);
    CHECK(schedule_lr(&course, 0) == 0 && schedule_lr(&course, 6) == 5e-4 && fabs(schedule_lr(&course, 100) - 1e-5) < 1e-19);
    optimizer_close(&o);
    lithe_model_close(m);
}

/* What an architecture's paper did, unless asked otherwise. */
static void recipes(void)
{
    const recipe *mosaic = recipe_find(arch_find("mosaicbert"), false), *bert = recipe_find(arch_find("bert"), false);
    const recipe *gpt = recipe_find(arch_find("gpt2"), false), *fine = recipe_find(arch_find("bert"), true);
    CHECK(mosaic->decoupled && mosaic->floor == 0.02 && mosaic->mask_rate == 0.3 && !strcmp(mosaic->schedule, "linear") && !(mosaic->clip > 0));
    CHECK(!strcmp(bert->mask, "count") && bert->mask_rate == 0.15 && !bert->decoupled && !strcmp(gpt->schedule, "cosine") && gpt->weight_decay == 0.1);
    CHECK(fine->lr == 5e-5 && fine->floor == 0);
    char text[400], small[16];
    lithe_train_defaults("mask-rate", text, sizeof text);
    CHECK_MSG(!strcmp(text, "0.15; mosaicbert, modernbert: 0.3"), "%s", text);
    lithe_train_defaults("min-lr", text, sizeof text);
    CHECK_MSG(strstr(text, "10% of --lr; bert, roberta, distilbert, mpnet, modernbert, tables: 0; mosaicbert: 2% of --lr; ") == text, "%s", text);
    lithe_train_defaults("min-lr", small, sizeof small);
    CHECK(!strncmp(text, small, sizeof small - 1) && strlen(small) == sizeof small - 1);
    lithe_train_defaults("steps", text, sizeof text);
    CHECK(!*text);
}

const test tests_train_labels[] = {
    { "fine-tuning: classes are learned", classes_are_learned },
    { "fine-tuning: numbers are learned", numbers_are_learned },
    { "fine-tuning: three epochs", three_epochs },
    { "fine-tuning: threads and parts do not show", threads_and_parts },
    { "fine-tuning: resumed is the same run", resumed },
    { "fine-tuning: heads must fit", heads_must_fit },
    { "fine-tuning: the body is kept", the_body_is_kept },
    { "optimizer: decoupled decay against double", decoupled_against_double },
    { "optimizer: decay alone", decay_alone },
    { "optimizer: recipes", recipes },
    { 0 }
};
