/* Each call of the system that a whole run makes, from its data on, fails once, in this process (base/system.h): the
 * run ends as if it had not, or with one line, and then it is not there or continues to the same bytes.
 *
 * Here some of the calls of each kind; with LITHE_FAULTS=all (make check-faults, make coverage) each. */
#include "base/system.h"
#include "leaves.h"
#include "test.h"
#include "train_runs.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define CALLS(X) X(open, EMFILE) X(read, EIO) X(write, ENOSPC) X(ftruncate, EIO) X(fsync, EIO) X(mkdir, EACCES) X(link, EXDEV) X(rename, EIO) X(mmap, ENOMEM)
#define X(name, reason) CALL_##name,
enum { CALLS(X) CALL_COUNT, SAMPLES = 4 };
#undef X
#define X(name, reason) { #name, reason },
static const struct { const char *name; int reason; } calls[] = { CALLS(X) };
#undef X

static system_calls usual;
static int chosen, at, seen;                            /* which call fails, and how many of its kind were made */

static bool fails(int call)
{
    if (call != chosen || seen++ != at) return false;
    errno = calls[call].reason;
    return true;
}

static int     failing_open(const char *path, int flags, mode_t mode)    { return fails(CALL_open) ? -1 : usual.open(path, flags, mode); }
static ssize_t failing_read(int fd, void *to, size_t size)               { return fails(CALL_read) ? -1 : usual.read(fd, to, size); }
static ssize_t failing_write(int fd, const void *from, size_t size)      { return fails(CALL_write) ? -1 : usual.write(fd, from, size); }
static int     failing_ftruncate(int fd, off_t size)                     { return fails(CALL_ftruncate) ? -1 : usual.ftruncate(fd, size); }
static int     failing_fsync(int fd)                                     { (void)fd; return fails(CALL_fsync) ? -1 : 0; }
static int     failing_mkdir(const char *path, mode_t mode)              { return fails(CALL_mkdir) ? -1 : usual.mkdir(path, mode); }
static int     failing_link(const char *from, const char *to)            { return fails(CALL_link) ? -1 : usual.link(from, to); }
static int     failing_rename(const char *from, const char *to)          { return fails(CALL_rename) ? -1 : usual.rename(from, to); }
static void   *failing_mmap(void *where, size_t size, int protection, int flags, int fd, off_t offset)
{
    return fails(CALL_mmap) ? MAP_FAILED : usual.mmap(where, size, protection, flags, fd, offset);
}

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
    chosen = CALL_COUNT;
    CHECK(!dir_remove(in_dir("run"), NULL) && !dir_remove(in_dir("data"), NULL));
}

/* Whether the run then is there as it should be. */
static const char *judge(const lithe_error *e, uint64_t expected)
{
    static lithe_error again;
    again = (lithe_error){ 0 };
    chosen = CALL_COUNT;
    if (!e->status) return tree_hash(in_dir("run")) == expected ? NULL : "it says nothing, and its bytes are others";
    if (!e->text[0]) return "it does not say why";
    if (!path_exists(in_dir("run"))) return NULL;
    resume(&again);
    if (again.status) return again.text;
    return tree_hash(in_dir("run")) == expected && !leaves_strays(in_dir("run")) ? NULL : "continued, it ends with other bytes";
}

/* Lets call `which` of a kind fail in `work`, which `prepare` makes ready; returns how many were made. */
static int fail_one(int call, int which, void (*prepare)(void), void (*work)(lithe_error *err), uint64_t expected)
{
    lithe_error e = { 0 };
    prepare();
    chosen = call;
    at = which;
    seen = 0;
    work(&e);
    int made = seen;
    const char *wrong = judge(&e, expected);
    CHECK_MSG(!wrong, "%s %d: %s: %s", calls[call].name, which, e.text, wrong);
    return made;
}

enum { NONE = -1 };

static void fail_all(void (*prepare)(void), void (*work)(lithe_error *err))
{
    lithe_error e = { 0 };
    usual = os;
    os = (system_calls){ failing_open, failing_read, failing_write, failing_ftruncate, failing_fsync, failing_mkdir, failing_link, failing_rename, usual.unlinkat,
                         failing_mmap };
    lithe_threads(1);
    text_file();
    remove_run();
    train(&e);
    CHECK_MSG(!e.status, "%s", e.text);
    uint64_t expected = tree_hash(in_dir("run"));
    for (int call = 0; call < CALL_COUNT; call++) {
        int all = fail_one(call, NONE, prepare, work, expected), stride = getenv("LITHE_FAULTS") ? 1 : all / SAMPLES + 1;
        for (int which = stride / 2; which < all; which += stride) fail_one(call, which, prepare, work, expected);
        if (getenv("LITHE_FAULTS")) printf("    %d of %s\n", all, calls[call].name);
    }
    os = usual;
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

const test tests_calls[] = {
    { "calls: each fails while a run is trained", while_training },
    { "calls: each fails while a run is continued", while_resuming },
    { 0 }
};
