/* Training: a run is the same run however often it is killed, damaged, rolled
 * back or grown. */
#include "base/json.h"
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

static const lithe_train_options small_run = { .size = sizeof(lithe_train_options), .ctx = 16, .batch = 4, .steps = 20, .lr = 3e-3, .eval_windows = 4, .seed = 5 };

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
    lithe_trainer *t = lithe_trainer_resume(in_dir("broken"), &LITHE_OPTIONS(lithe_train_options, .save_every = 2), &err);
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

/* What grows with each step, the model, the moments do not fit: one line, and the last checkpoint goes on to the same
 * end. */
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
    for (size_t i = 0; i < m->params->items[0]->count; i++) m->params->items[0]->weight.values[i] = NAN;
    m->params->items[0]->weight.version++;
}

static void rolls_back(void)
{
    lithe_train_options o = small_run;
    o.save_every = o.eval_every = 5;
    fixture f = begin("run", tiny, &o);
    lithe_event e = { 0 };
    while (e.step < 7 && lithe_trainer_next(f.trainer, &e, &f.err) > 0) { }
    double lr = e.lr;
    lithe_error bad = { 0 };
    CHECK(!lithe_model_finite(f.model, &bad));
    spoil(f.model);
    CHECK(lithe_model_finite(f.model, &bad) == LITHE_EFORMAT && strstr(bad.text, "value 0 is nan"));
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

/* A loss that explodes, though it stays finite: weights times a thousand. */
static void explodes(void)
{
    lithe_train_options o = small_run;
    o.save_every = o.eval_every = 5;
    fixture f = begin("run", tiny, &o);
    lithe_event e = { 0 };
    while (e.step < 12 && lithe_trainer_next(f.trainer, &e, &f.err) > 0) { }
    const params *p = f.model->params;
    for (size_t i = 0; i < p->arena_count; i++) p->values[i] *= 1000;
    params_edit(f.model->params);
    for (int i = 0; i < 3; i++) {
        CHECK(lithe_trainer_next(f.trainer, &e, &f.err) == 1 && e.kind == LITHE_SKIPPED && isfinite(e.loss) && e.loss > 100);
        CHECK_MSG(e.text && strstr(e.text, "far above"), "%s", e.text);
    }
    CHECK(lithe_trainer_next(f.trainer, &e, &f.err) == 1 && e.kind == LITHE_ROLLED_BACK && strstr(e.text, "ckpt-10"));
    close_fixture(&f);
}

static void losses_are_judged(void)
{
    recent_losses r = { 0 };
    CHECK(!losses_exploded(&r, 1e9));                       /* nothing is known yet */
    for (int i = 0; i < 200; i++) {
        double loss = 3 + 0.3 * (i % 2 ? 1 : -1);
        CHECK(!losses_exploded(&r, loss));
        losses_add(&r, loss);
        CHECK(losses_exploded(&r, 50));
    }
    CHECK_MSG(fabs(r.mean - 3) < 0.02 && fabs(sqrt(r.variance) - 0.3) < 0.02, "%g %g", r.mean, sqrt(r.variance));
    CHECK(!losses_exploded(&r, 7.9) && losses_exploded(&r, 8.2));
    CHECK(!loss_exploded(39, 3) && loss_exploded(41, 3));
}

/* What is worse than it began is not the best: the checkpoint of step 0 stays. */
static void step_0_can_be_the_best(void)
{
    lithe_train_options o = small_run;
    o.lr = 3;
    o.steps = 20;
    o.save_every = o.eval_every = 5;
    o.schedule = "constant";
    o.warmup = -1;
    fixture f = begin("run", tiny, &o);
    run_out(f.trainer, &f.err);
    const progress *p = &f.trainer->progress;
    CHECK_MSG(p->best_step == 0 && path_is_dir(in_dir("run/ckpt-0")), "the best is of step %d, %g", p->best_step, p->best_loss);
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
        CHECK(e.step == (grew == 1 ? 6 : 13) && e.growth->params_after > e.growth->params_before && e.text[0]);
        CHECK_MSG(e.growth->preserves && e.growth->max_difference <= 1e-4 * e.growth->max_logit, "%s: %g of %g", e.growth->method,
                  e.growth->max_difference, e.growth->max_logit);
        CHECK(lithe_model_params(lithe_trainer_model(f.trainer)) == e.growth->params_after && lithe_trainer_model(f.trainer) != f.model);
    }
    CHECK_MSG(more == 0 && grew == 2, "%s", f.err.text);
    const lithe_model *m = lithe_trainer_model(f.trainer);
    int born6 = 0, born13 = 0;
    for (int i = 0; i < m->group_count; i++) {
        born6 += m->groups[i].born == 6;
        born13 += m->groups[i].born == 13;
    }
    CHECK_MSG(born6 > 0 && born13 > 0 && born6 + born13 == m->group_count, "%d and %d of %d", born6, born13, m->group_count);
    close_fixture(&f);
    for (int i = 0; i < 4; i++) {           /* before, at and after a growth, with and without a checkpoint asked for */
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
    lithe_model *m = lithe_model_grow(small, &LITHE_OPTIONS(lithe_grow_options, .factor = 1.5, .freeze_old = 1), &report, &err);
    CHECK_MSG(m, "%s", err.text);
    const param_group *groups = m->groups;
    int count = m->group_count, frozen = 0;
    const optimizer_settings s = { .beta1 = 0.9, .beta2 = 0.95, .eps = 1e-8, .weight_decay = 0.1 };
    optimizer o;
    groups_begin(m, 0, true);
    CHECK(!optimizer_open(&o, m, &s, &err));
    size_t n = m->params->arena_count;
    real *before = malloc(n * sizeof *before);
    memcpy(before, m->params->values, n * sizeof *before);
    for (int i = 0; i < m->params->count; i++)
        for (size_t j = 0; j < m->params->items[i]->count; j++) m->params->items[i]->grad[j] = 1;
    size_t still_rows = 0, moved = 0;
    double norm = sqrt(optimizer_squares(&o, kernels_default()));
    optimizer_step(&o, kernels_default(), 1e-3, norm);
    for (size_t i = 0; i < n; i++) moved += before[i] < m->params->values[i] || before[i] > m->params->values[i];
    for (int i = 0; i < count; i++) {
        if (!groups[i].frozen) continue;
        frozen++;
        size_t width = groups[i].param->count / (size_t)groups[i].param->rule.dims[0];
        size_t first = groups[i].param->offset + (size_t)groups[i].first * width;
        CHECK(!memcmp(before + first, m->params->values + first, (size_t)groups[i].rows * width * sizeof(real)));
        still_rows += (size_t)groups[i].rows * width;
    }
    CHECK_MSG(frozen > 0 && moved == params_total(m->params) - still_rows, "%d frozen, %zu moved", frozen, moved);
    CHECK(fabs(norm * norm - (double)moved) < 1e-6 * (double)moved);
    free(before);
    optimizer_close(&o);
    lithe_model_close(m);
    lithe_model_close(small);
}

const test tests_train_resume[] = {
    { "train: killed and resumed", killed_and_resumed },
    { "train: resumed by hand", resumed_by_hand },
    { "train: damage is noticed", damage_is_noticed },
    { "train: full disk", full_disk },
    { "train: rolls back", rolls_back },
    { "train: a loss explodes", explodes },
    { "train: losses are judged", losses_are_judged },
    { "train: step 0 can be the best", step_0_can_be_the_best },
    { "train: diverges", diverges },
    { "train: carries moments", carries_moments },
    { "train: grows inside", grows_inside },
    { "train: frozen rows", frozen_rows },
    { 0 }
};
