/* Growths inside a run that bring more than sizes: another architecture, and a larger vocabulary with its data.  A run
 * that is stopped before, at or after them continues bit for bit. */
#include "model/groups.h"
#include "test.h"
#include "train_runs.h"
#include <math.h>
#include <stdlib.h>

#define USUAL LITHE_OPTIONS(lithe_train_options, .ctx = 16, .batch = 4, .steps = 16, .save_every = 4, .eval_every = 8, .eval_windows = 4, .lr = 3e-3)
static const char rotary[] = "{\"num_hidden_layers\": 2, \"hidden_size\": 32, \"num_attention_heads\": 2, \"intermediate_size\": 40, \"max_position_embeddings\": 32, \"vocab_size\": 256}";

/* A tokenizer that extends bytes by what it has learned of the text; path gets that of its file. */
static lithe_tokenizer *learned(int vocab, char path[600])
{
    lithe_error err = { 0 };
    const char *text = text_file();
    size_t size;
    char name[32], *all = lithe_text_read(&text, 1, 1 << 20, &size, &err);
    lithe_tokenizer *t = lithe_tokenizer_train(all, size, vocab, &err);
    snprintf(name, sizeof name, "larger-%d.json", vocab);
    snprintf(path, 600, "%s", in_dir(name));
    CHECK_MSG(t && !lithe_tokenizer_save(t, path, &err), "%s", err.text);
    free(all);
    return t;
}

/* Runs on to the event of a growth. */
static void run_to_growth(lithe_trainer *t, lithe_event *e, lithe_error *err)
{
    while (lithe_trainer_next(t, e, err) > 0 && e->kind != LITHE_GREW) { }
    CHECK_MSG(e->kind == LITHE_GREW, "%s", err->text);
}

/* Stopped at each of these steps, with a checkpoint that was asked for or the latest one, the run ends with the bytes
 * of one that was not. */
static void check_resumes(const char *kind, const char *config, const lithe_train_options *o)
{
    static const struct { int stop; bool saves; } cases[] = { { 5, true }, { 6, false }, { 7, true }, { 9, false } };
    fixture f = begin_as(kind, "unbroken", config, o);
    run_out(f.trainer, &f.err);
    CHECK_MSG(!f.err.status, "%s", f.err.text);
    close_fixture(&f);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char name[24];
        lithe_event e = { 0 };
        snprintf(name, sizeof name, "broken%d", cases[i].stop);
        f = begin_as(kind, name, config, o);
        while (e.step != cases[i].stop && lithe_trainer_next(f.trainer, &e, &f.err) > 0) { }
        if (cases[i].saves) CHECK(!lithe_trainer_save(f.trainer, &f.err));
        close_fixture(&f);
        lithe_trainer *t = lithe_trainer_resume(in_dir(name), NULL, &f.err);
        CHECK_MSG(t, "%s", f.err.text);
        if (t) run_out(t, &f.err);
        lithe_trainer_close(t);
        CHECK_MSG(!f.err.status, "%s", f.err.text);
        same_checkpoint(in_dir("unbroken"), in_dir(name), o->steps);
    }
}

/* A hybrid of the same parts, with the same moments, trains as the model itself would have. */
static void into_a_hybrid(void)
{
    lithe_train_options o = USUAL;
    const double itself = whole_run("itself", still, &o);
    o.grow_at = "6:to=hybrid";
    const double hybrid = whole_run("hybrid", still, &o);
    CHECK_MSG(fabs(hybrid - itself) < 1e-5 * itself, "loss %.9g, as a hybrid %.9g", itself, hybrid);
    o.grow_at = "6:to=hybrid,shortcut=augmented,11:num_hidden_layers=3";
    check_resumes("gpt2", still, &o);
}

static void into_pangu_pi(void)
{
    lithe_train_options o = USUAL;
    lithe_event e = { 0 };
    o.grow_at = "6:to=pangu-pi,siaf_n=2,siaf_act=silu,gelu,11:intermediate_size=64";
    o.grow_with = "rewarm=3,noise=0.01";                    /* the noise is for sizes alone */
    fixture f = begin_as("llama", "run", rotary, &o);
    run_to_growth(f.trainer, &e, &f.err);
    const lithe_model *m = lithe_trainer_model(f.trainer);
    CHECK_MSG(!strcmp(lithe_model_arch(m), "pangu_pi") && e.growth->preserves && e.growth->max_difference <= 1e-4 * e.growth->max_logit, "%s: %g", e.growth->says, e.growth->max_difference);
    int born = 0;
    for (int i = 0; i < m->group_count; i++) born += m->groups[i].born == 6 && m->groups[i].rewarm == 3;
    CHECK_MSG(born > 0 && born == m->group_count, "%d of %d groups are new", born, m->group_count);
    close_fixture(&f);
    check_resumes("llama", rotary, &o);
}

/* Old tokens keep their moments, new ones begin; the data come in fewer tokens. */
static void by_a_vocabulary(void)
{
    lithe_train_options o = USUAL;
    lithe_event e = { 0 };
    char path[600], at[700];
    lithe_tokenizer *to = learned(280, path);
    snprintf(at, sizeof at, "6:vocabulary=%s", path);
    o.grow_at = at;
    fixture f = begin("run", still, &o);
    while (e.step < 6 && lithe_trainer_next(f.trainer, &e, &f.err) > 0) { }
    const params *p = f.trainer->model->params;
    const param *words = params_find(p, "wte.weight");
    real *first = malloc(words->count * sizeof *first);
    memcpy(first, f.trainer->optimizer.m + words->offset, words->count * sizeof *first);
    const size_t count = words->count, tokens = lithe_dataset_tokens(f.trainer->data, 0);
    run_to_growth(f.trainer, &e, &f.err);
    words = params_find(f.trainer->model->params, "wte.weight");
    const real *m = f.trainer->optimizer.m + words->offset, *v = f.trainer->optimizer.v + words->offset;
    CHECK_MSG(words->rule.dims[0] == 280 && e.growth->preserves && e.growth->max_difference == 0, "%d tokens, %g", words->rule.dims[0], e.growth->max_difference);
    CHECK(!memcmp(m, first, count * sizeof *m) && first[40] != 0);
    for (size_t i = count; i < words->count; i++) CHECK(m[i] == 0 && v[i] == 0);
    CHECK(f.trainer->model->group_count == 1 && f.trainer->model->groups[0].first == 256 && f.trainer->model->groups[0].born == 6);
    CHECK_MSG(3 * lithe_dataset_tokens(f.trainer->data, 0) < 2 * tokens, "%zu tokens of data, %zu before", lithe_dataset_tokens(f.trainer->data, 0), tokens);
    run_out(f.trainer, &f.err);
    CHECK_MSG(!f.err.status, "%s", f.err.text);
    lithe_model *end = lithe_model_open(in_dir("run"), NULL, &f.err);
    char *found = lithe_tokenizer_find(in_dir("run"));
    lithe_tokenizer *t = lithe_tokenizer_open(found, &f.err);
    CHECK_MSG(end && lithe_model_vocab(end) == 280 && t && lithe_tokenizer_vocab(t) == 280, "%s", f.err.text);
    lithe_tokenizer_close(t);
    free(found);
    lithe_model_close(end);
    free(first);
    close_fixture(&f);
    snprintf(at, sizeof at, "4:num_layers=3,6:vocabulary=%s,11:1.5x", path);
    check_resumes("tokenformer", slots, &o);
    lithe_tokenizer_close(to);
}

/* The text of the run itself is enough: neither the tokenizer's file nor the data's are read later. */
static void from_the_run_alone(void)
{
    lithe_train_options o = USUAL;
    lithe_event e = { 0 };
    char path[600], at[700];
    lithe_tokenizer *to = learned(290, path);
    snprintf(at, sizeof at, "9:vocabulary=%s", path);
    o.grow_at = at;
    fixture f = begin("whole", still, &o);
    run_out(f.trainer, &f.err);
    close_fixture(&f);
    f = begin("stopped", still, &o);
    while (e.step < 5 && lithe_trainer_next(f.trainer, &e, &f.err) > 0) { }
    close_fixture(&f);
    CHECK(!remove(path));
    lithe_trainer *t = lithe_trainer_resume(in_dir("stopped"), NULL, &f.err);
    CHECK_MSG(t && !strcmp(t->settings.grow_at, "9:vocabulary=vocabulary-9"), "%s", f.err.text);
    if (t) run_out(t, &f.err);
    CHECK_MSG(!f.err.status, "%s", f.err.text);
    lithe_trainer_close(t);
    same_checkpoint(in_dir("whole"), in_dir("stopped"), 16);
    /* Before the growth it is of the smaller vocabulary still, when the run has ended too. */
    t = lithe_trainer_replay(in_dir("whole"), 9, &f.err);
    CHECK_MSG(t && lithe_model_vocab(lithe_trainer_model(t)) == 256 && lithe_tokenizer_vocab(t->tokenizer) == 256, "%s", f.err.text);
    lithe_trainer_close(t);
    lithe_tokenizer_close(to);
}

/* New values are those of the run's seed unless the growth has its own. */
static void by_its_own_seed(void)
{
    lithe_train_options o = USUAL;
    o.seed = 5;
    o.grow_at = "6:n_inner=2x";
    const double of_the_run = whole_run("run", still, &o);
    o.grow_with = "seed=5";
    const double the_same = whole_run("same", still, &o);
    o.grow_with = "seed=6";
    const double another = whole_run("another", still, &o);
    CHECK_MSG(of_the_run == the_same && of_the_run != another, "%.9g, %.9g, %.9g", of_the_run, the_same, another);
    check_resumes("gpt2", still, &o);
}

/* What can be known before the first step is refused before it. */
static void refused_before(void)
{
    static const struct { const char *at, *with, *method, *because; } cases[] = {
        { "5:to=pangu-pi", NULL, NULL, "a gpt2 does not become a pangu_pi" }, { "5:to=hybrid", "noise=0.1", NULL, "takes no method and no noise" },
        { "5:to=nothing", NULL, NULL, "is not a known architecture" }, { "5:to=hybrid", "freeze_old", NULL, "every value a new name" },
        { "5:vocabulary=nowhere.json", NULL, NULL, "nowhere.json" }, { "5:vocabulary=bytes", NULL, NULL, "256 already" }, { "5:vocabulary=bytes", NULL, "C", "takes no method" },
        { "5:to=", NULL, NULL, "is not a known architecture" }, { "5:n_inner=2x", "seed=-1", NULL, "grow_with" }, { "5:n_inner=2x", "seed=18446744073709551616", NULL, "grow_with" } };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        lithe_train_options o = USUAL;
        fixture f = begin("fine", still, &o);
        o.grow_at = cases[i].at;
        o.grow_with = cases[i].with;
        o.grow_method = cases[i].method;
        lithe_trainer *t = lithe_trainer_open(f.model, f.data, f.tokens, &o, in_dir("none"), &f.err);
        CHECK_MSG(!t && f.err.status && strstr(f.err.text, cases[i].because), "%s: %s", cases[i].at, f.err.text);
        CHECK(!path_exists(in_dir("none")));
        lithe_trainer_close(t);
        f.err = (lithe_error){ 0 };
        close_fixture(&f);
        dir_remove(in_dir("fine"), NULL);
        dir_remove(in_dir("fine.data"), NULL);
    }
}

const test tests_train_growths[] = {
    { "train: grows into a hybrid", into_a_hybrid },
    { "train: grows into pangu_pi", into_pangu_pi },
    { "train: grows by a vocabulary", by_a_vocabulary },
    { "train: grows from the run alone", from_the_run_alone },
    { "train: a growth has its own seed", by_its_own_seed },
    { "train: growths refused before the first step", refused_before },
    { 0 }
};
