/* Training: a run is the same run however it is threaded and split, and what its
 * options mean. */
#include "base/json.h"
#include "base/random.h"
#include "base/threads.h"
#include "data/text_data.h"
#include "test.h"
#include "train_runs.h"
#include "tree.h"
#include "values.h"
#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* ---- runs --------------------------------------------------------------------------------- */

static const lithe_train_options small_run = { .size = sizeof(lithe_train_options), .ctx = 16, .batch = 4, .steps = 20, .lr = 3e-3, .eval_windows = 4, .seed = 5 };

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
    CHECK(refused(in_dir("run"), &LITHE_OPTIONS(lithe_train_options, .steps = 10)).status == LITHE_EINVAL);
    t = lithe_trainer_resume(in_dir("run"), &LITHE_OPTIONS(lithe_train_options, .steps = 24), &err);
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
    lithe_model *m = open_values(in_dir(name), NULL, &err);
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
        CHECK_MSG(relative_error(b->params->values, a->params->values, a->params->arena_count) < 1e-5, "%g",
                  relative_error(b->params->values, a->params->values, a->params->arena_count));
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
    f.data = lithe_dataset_open(&path, 1, NULL, f.tokens, &LITHE_OPTIONS(lithe_data_options, .reset_attention = 1, .valid_share = 0.1), &f.err);
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
        CHECK_MSG(!trainer_step_loss(t, 1, &loss, &f.err), "%s", f.err.text);
        optimizer_step(&t->optimizer, t->kernels, 5e-3, sqrt(optimizer_squares(&t->optimizer, t->kernels)));
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
    CHECK(f.trainer->settings.schedule.steps == (int)((text_windows(text_of(f.data), 16) + 3) / 4));
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

/* As if steps took so many seconds each, and the run `elapsed` seconds so far. */
static void pretend(lithe_trainer *t, double each, double elapsed)
{
    t->budget = (time_budget){ .seconds = 100, .began = seconds_now() - elapsed, .planned = seconds_now() - 6, .step = each, .most = t->budget.most };
}

/* A machine that becomes slower or faster changes the number of steps, and with it the schedule, in a checkpoint. */
static void budgets_are_kept(void)
{
    lithe_train_options o = small_run;
    lithe_event e;
    o.steps = 0;
    o.seconds = 1;
    o.save_every = o.eval_every = 1 << 20;
    o.steps_most = 2000;
    fixture f = begin("run", still, &o);
    lithe_trainer *t = f.trainer;
    CHECK(t->settings.schedule.steps <= 2000);
    t->settings.schedule.steps = 1000;
    while (!f.err.status && t->progress.step < 6) lithe_trainer_next(t, &e, &f.err);
    pretend(t, 1, 10);                                       /* 85 s are left of 95 % of 100, for a step each */
    CHECK(trainer_replan_due(t));
    CHECK(lithe_trainer_next(t, &e, &f.err) > 0 && e.kind == LITHE_SAVED);
    CHECK_MSG(abs(t->settings.schedule.steps - (6 + 85)) <= 1, "%d steps", t->settings.schedule.steps);
    CHECK(!trainer_replan_due(t));
    const int planned = t->settings.schedule.steps;
    pretend(t, 1, 10);
    CHECK(!trainer_replan_due(t) && !trainer_replan(t, &f.err) && t->settings.schedule.steps == planned);
    pretend(t, 1, 99);
    CHECK(!trainer_replan(t, &f.err) && t->settings.schedule.steps == 7);       /* late: one step more */
    pretend(t, 1e-3, 10);
    CHECK(!trainer_replan(t, &f.err) && t->settings.schedule.steps == 2000);
    pretend(t, 1, 10);
    t->budget.check = t->budget.save = 1;                    /* one in each step */
    t->settings.eval_every = t->settings.save_every = 1;
    CHECK(!trainer_replan(t, &f.err) && abs(t->settings.schedule.steps - (6 + 85 / 3)) <= 1);
    trainer_stepped(t, 10);                                  /* the mean over ten seconds */
    CHECK(fabs(t->budget.step - (1 + 9 * (1 - exp(-1)))) < 1e-9);
    t->settings.schedule.steps = planned;
    CHECK(!lithe_trainer_save(t, &f.err));
    close_fixture(&f);
    char *log = tree_text(in_dir("run/log.jsonl"));
    CHECK_MSG(strstr(log, "\"step\": 6, \"steps\": 9"), "%s", log);
    free(log);
    lithe_trainer *again = lithe_trainer_resume(in_dir("run"), NULL, &f.err);
    CHECK_MSG(again && again->settings.schedule.steps == planned && !(again->budget.seconds > 0), "%s", f.err.text);
    lithe_trainer_close(again);
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

const test tests_train[] = {
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
    { "train: budgets are kept", budgets_are_kept },
    { "train: options are checked", options_are_checked },
    { 0 }
};
