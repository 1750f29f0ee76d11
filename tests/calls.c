/* Each allocation and each call of the system that a whole run makes, from its data on, fails once, in this process
 * (tests/failing.h): the run ends as if it had not, or with one line, and then it is not there or continues to the same
 * bytes.
 *
 * Here some of the calls of each kind; with LITHE_FAULTS=all (make check-faults, make coverage) each. */
#include "base/file.h"
#include "failing.h"
#include "leaves.h"
#include "test.h"
#include "train_runs.h"
#include "lithe_tools.h"
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

enum { SAMPLES = 8 };

/* ---- a run --------------------------------------------------------------------------------- */

static void to_the_end(lithe_trainer *t, lithe_error *err)
{
    while (t && lithe_trainer_next(t, NULL, err) > 0) { }
    lithe_trainer_close(t);
}

static void train(lithe_error *err)
{
    const lithe_train_options o = LITHE_OPTIONS(lithe_train_options, .ctx = 8, .batch = 2, .steps = 4, .save_every = 2, .eval_every = 2, .eval_windows = 2);
    const char *path = in_dir("text.txt");
    lithe_tokenizer *t = lithe_tokenizer_open("bytes", err);
    lithe_dataset *d = lithe_dataset_open(&path, 1, in_dir("data"), t, NULL, err);
    lithe_model *m = lithe_model_new("gpt2", still, 1, err);
    to_the_end(lithe_trainer_open(m, d, t, &o, in_dir("run"), err), err);
    lithe_model_close(m);
    lithe_dataset_close(d);
    lithe_tokenizer_close(t);
}

static void resume(lithe_error *err) { to_the_end(lithe_trainer_resume(in_dir("run"), NULL, err), err); }

static void remove_run(void)
{
    CHECK(!dir_remove(in_dir("run"), NULL) && !dir_remove(in_dir("data"), NULL));
}

/* Whether the run then is there as it should be. */
static const char *judge(int call, const lithe_error *e, uint64_t expected)
{
    static lithe_error again;
    again = (lithe_error){ 0 };
    /* The lock may outlive its process, and says of which it is. */
    if (call == CALL_unlinkat && !e->status) unlink(in_dir("run/lock"));
    if (!e->status) return tree_hash(in_dir("run")) == expected ? NULL : "it says nothing, and its bytes are others";
    if (!e->text[0]) return "it does not say why";
    if (!path_exists(in_dir("run"))) return NULL;
    resume(&again);
    if (again.status) return again.text;
    return tree_hash(in_dir("run")) == expected && !leaves_strays(in_dir("run")) ? NULL : "continued, it ends with other bytes";
}

/* Lets call `which` of a kind fail in `work`, which `prepare` makes ready. */
static void fail_one(int call, int which, void (*prepare)(void), void (*work)(lithe_error *err), uint64_t expected)
{
    lithe_error e = { 0 };
    prepare();
    failing_begin(call, which);
    work(&e);
    failing_end();
    check_pending(&e);
    const char *wrong = judge(call, &e, expected);
    CHECK_MSG(!wrong, "%s %d: %s: %s", call_names[call], which, e.text, wrong);
}

static void fail_all(void (*prepare)(void), void (*work)(lithe_error *err))
{
    static int points[MOST_POINTS];
    lithe_error e = { 0 };
    failing_open();
    lithe_threads(1);
    text_file();
    remove_run();
    train(&e);
    CHECK_MSG(!e.status, "%s", e.text);
    uint64_t expected = tree_hash(in_dir("run"));
    for (int call = 0; call < CALL_COUNT; call++) {
        fail_one(call, NO_CALL, prepare, work, expected);
        int n = failing_points(points, call == CALL_memory ? 8 * SAMPLES : SAMPLES);
        for (int i = 0; i < n; i++) fail_one(call, points[i], prepare, work, expected);
        if (getenv("LITHE_FAULTS")) printf("    %d of %s\n", n, call_names[call]);
    }
    failing_close();
}

/* A run that had one more step to go before it is saved. */
static void begin_half(void)
{
    lithe_error e = { 0 };
    remove_run();
    train(&e);
    CHECK(!e.status && !checkpoint_remove(in_dir("run"), 4, &e));
}

static void while_training(void) { fail_all(remove_run, train); }
static void while_resuming(void) { fail_all(begin_half, resume); }

static void *measure(void *rate)
{
    *(double *)rate = lithe_peak("f32");
    return NULL;
}

/* In a thread that has no scratch yet: without memory the rate is 0, and it is measured again the next time. */
static void while_a_rate_is_measured(void)
{
    double rate = 0;
    int without = 0;
    failing_open();
    lithe_threads(3);                                        /* a number of threads for which none is known */
    for (; !(rate > 0) && without < 20; without++) {
        pthread_t thread;
        failing_begin(CALL_mmap, without);
        CHECK(!pthread_create(&thread, NULL, measure, &rate) && !pthread_join(thread, NULL));
        failing_end();
    }
    CHECK_MSG(rate > 0 && without > 3, "%g after %d", rate, without);
    lithe_threads(0);
    failing_close();
}

const test tests_calls[] = {
    { "calls: each fails while a rate is measured", while_a_rate_is_measured },
    { "calls: each fails while a run is trained", while_training },
    { "calls: each fails while a run is continued", while_resuming },
    { 0 }
};
