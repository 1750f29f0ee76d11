/* Resumes a run from its newest complete checkpoint. */
#include "base/sized.h"
#include "base/arena.h"
#include "train/run_dir.h"
#include "train/trainer.h"
#include <limits.h>
#include <stdlib.h>
#include <string.h>

/* Fills t from the checkpoint in dir, of step `at`; a failure leaves t unchanged. */
static int read_checkpoint(lithe_trainer *t, const char *dir, int at, lithe_error *err)
{
    settings s = { 0 };
    progress p;
    char *identity = NULL;
    lithe_model *m = NULL;
    int status = manifest_check(dir, NULL, err);
    if (!status) status = trainer_json_read(dir, &s, &p, &identity, err);
    if (!status && p.step != at) status = fail(err, LITHE_EFORMAT, "%s/trainer.json: is of step %d", dir, p.step);
    if (!status && !(m = lithe_model_open(dir, NULL, err))) status = err ? (int)err->status : LITHE_EIO;
    if (!status) {
        t->model = t->own_model = m;
        t->settings = s;
        t->progress = p;
        snprintf(t->identity, sizeof t->identity, "%s", identity);
    } else settings_free(&s);
    free(identity);
    return status;
}

/* Reads the newest complete checkpoint before step `before`; the first event reports a newer one that is damaged. */
static int read_newest(lithe_trainer *t, int before, lithe_error *err)
{
    int *steps, count = checkpoint_list(t->run, &steps, err), taken = -1;
    lithe_error first = { 0 };
    for (int i = 0; i < count && taken < 0; i++) {
        if (steps[i] >= before) continue;
        lithe_error each = { 0 };
        char *dir = checkpoint_path(t->run, steps[i]);
        if (!dir) fail(&each, LITHE_ENOMEM, "%s: out of memory", t->run);
        else if (!read_checkpoint(t, dir, steps[i], &each)) taken = steps[i];
        if (each.status == LITHE_ENOMEM) fail(err, each.status, "%s", each.text);        /* no damage of this one */
        if (each.status && !first.status) first = each;
        free(dir);
        if (failed(err)) break;
    }
    int oldest = count > 0 ? steps[count - 1] : 0;
    free(steps);
    if (count < 0) return count;
    if (failed(err)) return err->status;
    if (oldest >= before) return fail(err, LITHE_EINVAL, "%s: no checkpoint before step %d is left, the oldest is of step %d", t->run, before, oldest);
    if (taken < 0) return fail(err, first.status, "%s: none of its %d checkpoints can be used: %s", t->run, count, first.text);
    t->notice = first.status != LITHE_OK;
    if (t->notice) snprintf(t->text, sizeof t->text, "%s; continuing from ckpt-%d", first.text, taken);
    return LITHE_OK;
}

/* That of the present vocabulary.  Before a larger one it is the checkpoint's: when such a run has ended, the run
 * itself holds the larger one. */
static int open_tokenizer(lithe_trainer *t, lithe_error *err)
{
    char *dir = trainer_vocabulary(t, err);
    if (!dir && !failed(err)) dir = trainer_vocabulary_comes(t) ? checkpoint_path(t->run, t->progress.step) : xstrdup(t->run);
    char *path = dir ? lithe_tokenizer_find(dir) : NULL;
    int status = dir ? LITHE_OK : fail(err, LITHE_ENOMEM, "%s: out of memory", t->run);
    if (path && !(t->own_tokenizer = lithe_tokenizer_open(path, err))) status = err ? (int)err->status : LITHE_EIO;
    t->tokenizer = t->own_tokenizer;
    free(path);
    free(dir);
    return status;
}

/* Opens the run's data and refuses data that have changed since it was started. */
static int open_data(lithe_trainer *t, lithe_error *err)
{
    char identity[sizeof t->identity] = "", *dir = trainer_vocabulary(t, err);
    if (!dir && !failed(err)) dir = path_join(t->run, "data");
    if (!dir) return fail(err, LITHE_ENOMEM, "%s: out of memory", t->run);
    t->data = t->own_data = dataset_reopen(dir, t->tokenizer, (source_share){ ranks_rank(t->ranks), ranks_count(t->ranks) }, err);
    int status = t->data ? LITHE_OK : err ? (int)err->status : LITHE_EIO;
    if (t->data) dataset_identity(t->data, identity, sizeof identity);
    if (t->data && strcmp(identity, t->identity))
        status = fail(err, LITHE_EMISMATCH, "%s: the data are not those the run was started with (%s, now %s)", dir, t->identity, identity);
    free(dir);
    return status;
}

/* Applies the options that resuming may change. */
static int apply_options(lithe_trainer *t, const lithe_train_options *o, lithe_error *err)
{
    settings *s = &t->settings;
    if (o && o->steps && o->steps < s->schedule.steps)
        return fail(err, LITHE_EINVAL, "%s: is a run of %d steps; resuming can raise that number, but not lower it to %d", t->run, s->schedule.steps, o->steps);
    if (o && o->steps) s->schedule.steps = o->steps;
    if (o && o->save_every < 0) return fail(err, LITHE_EINVAL, "save_every is %d, must be above 0", o->save_every);
    if (o && o->save_every) s->save_every = o->save_every;
    if (s->growth_count < t->progress.grown)
        return fail(err, LITHE_EFORMAT, "%s: trainer.json has %d growths, of which %d are done", t->run, s->growth_count, t->progress.grown);
    return LITHE_OK;
}

/* Refuses a directory without a checkpoint, before a log is made in it. */
static int check_run(const char *run, lithe_error *err)
{
    int *steps, count = checkpoint_list(run, &steps, err);
    free(steps);
    return count ? (count < 0 ? count : LITHE_OK) : fail(err, LITHE_EINVAL, "%s: holds no checkpoint, there is nothing to resume", run);
}

/* Opens what a checkpoint does not hold, when the settings are known. */
static int open_parts(lithe_trainer *t, lithe_error *err)
{
    int status = open_tokenizer(t, err);
    if (!status) status = open_data(t, err);
    if (!status) status = trainer_begin(t, err);
    if (!status) status = trainer_prepare(t, err);
    return status ? status : trainer_moments(t, err);
}

/* Makes a trainer of the run that has opened nothing yet. */
static lithe_trainer *trainer_of(const char *run, const trainer_hooks *hooks, lithe_error *err)
{
    if (!run || !path_is_dir(run)) { fail(err, LITHE_EINVAL, "%s: is not the directory of a run", run ? run : "(none)"); return NULL; }
    lithe_trainer *t = check_run(run, err) ? NULL : trainer_new(hooks, err);
    if (!t || (t->run = xstrdup(run))) return t;
    fail(err, LITHE_ENOMEM, "%s: out of memory", run);
    lithe_trainer_close(t);
    return NULL;
}

/* Samples are left out, since they change nothing. */
lithe_trainer *lithe_trainer_replay(const char *run, int at, lithe_error *err)
{
    lithe_error own = { 0 };
    if (failed(err)) return NULL;
    if (!err) err = &own;
    lithe_trainer *t = trainer_of(run, NULL, err);
    if (!t) return NULL;
    t->replay = t->saved = true;
    int status = read_newest(t, at, err);
    if (!status && at > t->settings.schedule.steps)
        status = fail(err, LITHE_EINVAL, "%s: is a run of %d steps, it has no step %d", run, t->settings.schedule.steps, at);
    if (!status) status = open_parts(t, err);
    if (!status) status = check_pending(err);
    if (!status) return t;
    lithe_trainer_close(t);
    return NULL;
}

lithe_trainer *trainer_resume(const char *run, const lithe_train_options *o, const trainer_hooks *hooks, lithe_error *err)
{
    lithe_error own = { 0 };                                /* failures must stick even when the caller passes no err */
    if (failed(err)) return NULL;
    if (!err) err = &own;
    lithe_train_options options;
    if (options_read(&options, sizeof options, o, "lithe_train_options", err)) return NULL;
    lithe_trainer *t = trainer_of(run, hooks, err);
    if (!t) return NULL;
    int status = LITHE_OK;
    t->ranks = options.ranks;
    bool leads = ranks_leads(t->ranks);
    if (leads) status = log_open(&t->log, run, err);
    if (!status && leads) status = run_sweep(run, err);
    if (!status) status = read_newest(t, INT_MAX, err);
    if (!status) status = apply_options(t, &options, err);
    if (!status) status = open_parts(t, err);
    if (!status && leads && t->progress.best_step >= 0) status = trainer_write_best(t, err);
    if (!status && leads) status = trainer_prune(t, err);            /* a process may have ended before it did */
    if (!status && leads) status = log_cut(&t->log, t->progress.step, t->progress.lines, err);
    if (!status) status = trainer_announce(t, err);
    t->saved = true;
    if (!status) status = check_pending(err);
    if (!status) return t;
    lithe_trainer_close(t);
    return NULL;
}
