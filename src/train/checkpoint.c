/* A checkpoint: a complete MODEL with optimizer.safetensors, trainer.json and
 * manifest.json (docs/run-directory.md); and a run taken up again from one.
 * Invariant: weights, moments and progress of a checkpoint are of one moment, so
 * a run continued from it goes on as if it had not stopped. */
#include "base/json.h"
#include "base/sized.h"
#include "train/train.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- writing ------------------------------------------------------------------------ */

static int write_best(const lithe_trainer *t, lithe_error *err)
{
    char name[CHECKPOINT_NAME];
    checkpoint_name(name, t->progress.best_step);
    char *path = path_join(t->run, "best.json");
    json_t *best = json_pack("{s:i s:s s:f}", "step", t->progress.best_step, "checkpoint", name, "valid_loss", t->progress.best_loss);
    int status = path && best ? json_write(best, path, err) : fail(err, LITHE_ENOMEM, "%s: out of memory for best.json", t->run);
    json_decref(best);
    free(path);
    return status;
}

/* The newest two, the best and the newest good one stay; what is newer than now was found damaged and is left to its owner. */
static int prune(const lithe_trainer *t, lithe_error *err)
{
    const progress *p = &t->progress;
    int *steps, count = checkpoint_list(t->run, &steps, err), newest = 0, status = count < 0 ? count : LITHE_OK;
    for (int i = 0; i < count && !status; i++) {
        bool keep = steps[i] > p->step || newest++ < 2 || steps[i] == p->best_step || steps[i] == p->good_step;
        if (!keep) status = checkpoint_remove(t->run, steps[i], err);
    }
    free(steps);
    return status;
}

/* Which later roll-backs may trust this checkpoint, and whether it is the best. */
static void judge(const lithe_trainer *t, progress *p)
{
    bool finite = p->evaluated ? isfinite(p->valid_loss) : p->step == 0 || (!t->valid.pass.g && p->in_a_row == 0);
    if (finite) p->good_step = p->step;
    if (p->evaluated && isfinite(p->valid_loss) && !(p->best_loss <= p->valid_loss)) {
        p->best_loss = p->valid_loss;
        p->best_step = p->step;
    }
}

/* The configuration in memory becomes what one who opens the checkpoint reads, order of keys included: later
 * checkpoints of this process and of one that resumes are then the same bytes. */
static int adopt_config(lithe_trainer *t, const char *dir, lithe_error *err)
{
    char *path = path_join(dir, "config.json");
    json_t *json = path ? config_read(path, err) : NULL;
    int status = json ? arch_normalize(t->model->arch, json, path, err) : err ? (int)err->status : LITHE_ENOMEM;
    if (!status) {
        json_decref(t->model->json);
        t->model->json = json_incref(json);
    }
    json_decref(json);
    free(path);
    return status;
}

int trainer_save(lithe_trainer *t, lithe_error *err)
{
    if (failed(err)) return err->status;
    progress p = t->progress;
    int best_before = p.best_step;
    char name[CHECKPOINT_NAME];
    judge(t, &p);
    checkpoint_name(name, p.step);
    char *scratch = run_scratch(t->run, name, err);
    if (!scratch) return err ? (int)err->status : LITHE_EIO;
    const optimizer *o = &t->optimizer;
    int status = model_write(t->model, scratch, DT_F32, t->tokenizer, err);
    if (!status && (p.step == 0 || p.grown_at == p.step)) status = adopt_config(t, scratch, err);
    if (!status) status = optimizer_write(scratch, t->model->params, o->m, o->v, o->updates, err);
    if (!status) status = trainer_json_write(scratch, &t->settings, &p, t->identity, t->model, err);
    if (!status) status = manifest_write(scratch, err);
    if (!status && t->log.path) status = log_sync(&t->log, err);
    if (!status) status = checkpoint_publish(scratch, t->run, p.step, err);
    if (status) dir_remove(scratch, NULL);
    free(scratch);
    if (status) return status;
    t->progress = p;
    t->saved = true;
    if (p.best_step != best_before) status = write_best(t, err);
    return status ? status : prune(t, err);
}

int lithe_trainer_save(lithe_trainer *t, lithe_error *err)
{
    if (failed(err)) return err->status;
    if (!t) return fail(err, LITHE_EINVAL, "there is no trainer to save");
    return t->saved ? LITHE_OK : trainer_save(t, err);
}

/* ---- going back ----------------------------------------------------------------------- */

int trainer_restore(lithe_trainer *t, int checkpoint, lithe_error *err)
{
    char *dir = checkpoint_path(t->run, checkpoint), *path = dir ? path_join(dir, "model.safetensors") : NULL;
    int status = path ? manifest_check(dir, true, err) : fail(err, LITHE_ENOMEM, "%s: out of memory", t->run);
    tensor_file *f = status ? NULL : model_tensors(path, err);
    if (!status && !f) status = err ? (int)err->status : LITHE_EIO;
    load_plan plan = { 0 };
    if (!status) status = load_plan_make(&plan, t->model, f, err);
    if (!status) status = model_load(&plan, err);
    load_plan_free(&plan);
    optimizer *o = &t->optimizer;
    if (!status) status = optimizer_read(dir, t->model->params, o->m, o->v, &o->updates, err);
    tensor_file_close(f);
    free(path);
    free(dir);
    return status;
}

/* ---- resuming --------------------------------------------------------------------------- */

/* Fills t from the checkpoint in dir; on failure t is as it was. */
static int take_up(lithe_trainer *t, const char *dir, lithe_error *err)
{
    settings s = { 0 };
    progress p;
    char *identity = NULL;
    lithe_model *m = NULL;
    int status = manifest_check(dir, true, err);
    if (!status) status = trainer_json_read(dir, &s, &p, &identity, err);
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

/* The newest checkpoint that is whole; a damaged one before it is told with the first event. */
static int take_up_newest(lithe_trainer *t, lithe_error *err)
{
    int *steps, count = checkpoint_list(t->run, &steps, err), taken = -1;
    lithe_error first = { 0 };
    for (int i = 0; i < count && taken < 0; i++) {
        lithe_error each = { 0 };
        char *dir = checkpoint_path(t->run, steps[i]);
        if (!dir) fail(&each, LITHE_ENOMEM, "%s: out of memory", t->run);
        else if (!take_up(t, dir, &each)) taken = steps[i];
        if (each.status && !first.status) first = each;
        free(dir);
    }
    free(steps);
    if (count < 0) return count;
    if (taken < 0) return fail(err, first.status, "%s: none of its %d checkpoints can be used: %s", t->run, count, first.text);
    t->notice = first.status != LITHE_OK;
    if (t->notice) snprintf(t->text, sizeof t->text, "%s; continuing from ckpt-%d", first.text, taken);
    return LITHE_OK;
}

static int open_tokenizer(lithe_trainer *t, lithe_error *err)
{
    char *path = lithe_tokenizer_find(t->run);
    int status = LITHE_OK;
    if (path && !(t->own_tokenizer = lithe_tokenizer_open(path, err))) status = err ? (int)err->status : LITHE_EIO;
    t->tokenizer = t->own_tokenizer;
    free(path);
    return status;
}

/* The same data as before: the shards by their hashes, the text by what is still there of it. */
static int open_data(lithe_trainer *t, lithe_error *err)
{
    char identity[sizeof t->identity] = "", *dir = path_join(t->run, "data");
    if (!dir) return fail(err, LITHE_ENOMEM, "%s: out of memory", t->run);
    t->data = t->own_data = dataset_reopen(dir, t->tokenizer, true, err);
    int status = t->data ? LITHE_OK : err ? (int)err->status : LITHE_EIO;
    if (t->data) dataset_identity(t->data, identity, sizeof identity);
    if (t->data && strcmp(identity, t->identity))
        status = fail(err, LITHE_EMISMATCH, "%s: the data are not those the run was started with (%s, now %s)", dir, t->identity, identity);
    free(dir);
    return status;
}

/* What may differ from the run as it was started. */
static int apply_options(lithe_trainer *t, const lithe_train_options *o, lithe_error *err)
{
    settings *s = &t->settings;
    if (o && o->steps && o->steps < s->schedule.steps)
        return fail(err, LITHE_EINVAL, "%s: is a run of %d steps, which resuming can make more but not %d", t->run, s->schedule.steps, o->steps);
    if (o && o->steps) s->schedule.steps = o->steps;
    if (o && o->save_every < 0) return fail(err, LITHE_EINVAL, "save_every is %d, must be above 0", o->save_every);
    if (o && o->save_every) s->save_every = o->save_every;
    if (s->growth_count < t->progress.grown) return fail(err, LITHE_EFORMAT, "%s: trainer.json tells of %d growths, and of %d that are done", t->run, s->growth_count, t->progress.grown);
    return LITHE_OK;
}

static int read_moments(lithe_trainer *t, lithe_error *err)
{
    optimizer *o = &t->optimizer;
    char *dir = checkpoint_path(t->run, t->progress.step);
    int status = dir ? optimizer_read(dir, t->model->params, o->m, o->v, &o->updates, err) : fail(err, LITHE_ENOMEM, "%s: out of memory", t->run);
    free(dir);
    return status;
}

/* A directory without a checkpoint is no run, and gets no log either. */
static int check_run(const char *run, lithe_error *err)
{
    int *steps, count = checkpoint_list(run, &steps, err);
    free(steps);
    return count ? (count < 0 ? count : LITHE_OK) : fail(err, LITHE_EINVAL, "%s: holds no checkpoint, there is nothing to resume", run);
}

lithe_trainer *trainer_resume(const char *run, const lithe_train_options *o, const trainer_hooks *hooks, lithe_error *err)
{
    lithe_error own = { 0 };                                /* a sticky failure even when the caller wants none told */
    if (failed(err)) return NULL;
    if (!err) err = &own;
    lithe_train_options options;
    if (options_read(&options, sizeof options, o, "lithe_train_options", err)) return NULL;
    if (!run || !path_is_dir(run)) { fail(err, LITHE_EINVAL, "%s: is no directory of a run", run ? run : "(none)"); return NULL; }
    lithe_trainer *t = check_run(run, err) ? NULL : trainer_new(hooks, err);
    if (!t) return NULL;
    int status = (t->run = strdup(run)) ? LITHE_OK : fail(err, LITHE_ENOMEM, "%s: out of memory", run);
    if (!status) status = log_open(&t->log, run, err);
    if (!status) status = run_sweep(run, err);
    if (!status) status = take_up_newest(t, err);
    if (!status) status = apply_options(t, &options, err);
    if (!status) status = open_tokenizer(t, err);
    if (!status) status = open_data(t, err);
    if (!status) status = trainer_begin(t, err);
    if (!status) status = trainer_prepare(t, err);
    if (!status) status = read_moments(t, err);
    if (!status && t->progress.best_step >= 0) status = write_best(t, err);
    if (!status) status = log_cut(&t->log, t->progress.step, t->progress.lines, err);
    t->saved = true;
    if (!status) return t;
    lithe_trainer_close(t);
    return NULL;
}
