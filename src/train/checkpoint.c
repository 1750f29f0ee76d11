/* A checkpoint is a complete MODEL with optimizer.safetensors, trainer.json and
 * manifest.json (docs/run-directory.md).
 * Invariant: weights, moments and progress in a checkpoint are of the same step, so a
 * run that is resumed from it continues as if it had not stopped. */
#include "base/json.h"
#include "train/run_dir.h"
#include "train/trainer.h"
#include <math.h>
#include <stdlib.h>

/* ---- writing ------------------------------------------------------------------------ */

int trainer_write_best(const lithe_trainer *t, lithe_error *err)
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

/* Removes all checkpoints but the newest two, the best, and the newest good one.  One of a later step was found damaged
 * when the run was resumed; it stays for its owner to examine. */
int trainer_prune(const lithe_trainer *t, lithe_error *err)
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

/* Notes in p whether a later roll-back may use this checkpoint, and whether it is the best. */
static void rate_checkpoint(const lithe_trainer *t, progress *p)
{
    bool sound = isfinite(p->valid_loss) && !(p->best_step >= 0 && loss_exploded(p->valid_loss, p->best_loss));
    bool good = p->evaluated ? sound : p->step == 0 || (!t->valid.pass.g && p->in_a_row == 0);
    if (good) p->good_step = p->step;
    if (p->evaluated && isfinite(p->valid_loss) && !(p->best_loss <= p->valid_loss)) {
        p->best_loss = p->valid_loss;
        p->best_step = p->step;
    }
}

int trainer_rate(lithe_trainer *t, lithe_error *err)
{
    int before = t->progress.best_step;
    rate_checkpoint(t, &t->progress);
    return t->progress.best_step == before || !trainer_writes(t) ? LITHE_OK : trainer_write_best(t, err);
}

static int write_checkpoint(lithe_trainer *t, const progress *rated, lithe_error *err)
{
    progress p = *rated;
    char name[CHECKPOINT_NAME];
    checkpoint_name(name, p.step);
    char *scratch = run_scratch(t->run, name, err);
    if (!scratch) return err ? (int)err->status : LITHE_EIO;
    const optimizer *o = &t->optimizer;
    int status = model_write(t->model, scratch, DT_F32, t->tokenizer, err);
    if (!status) status = optimizer_write(scratch, t->model->params, o->settings.muon, o->m, o->v, o->updates, err);
    if (!status) status = trainer_json_write(scratch, &t->settings, &p, t->identity, t->model, err);
    if (!status) status = manifest_write(scratch, err);
    if (!status && t->log.path) status = log_sync(&t->log, err);
    if (!status) status = checkpoint_publish(scratch, t->run, p.step, err);
    if (status) {
        char *final = path_join(t->run, name);
        if (final) partial_named(scratch, final, err);
        dir_remove(scratch, NULL);
        free(final);
    }
    free(scratch);
    return status;
}

int trainer_save(lithe_trainer *t, lithe_error *err)
{
    progress p = t->progress;
    int best_before = p.best_step, status = trainer_collect(t, false, err);
    bool writes = trainer_writes(t);
    rate_checkpoint(t, &p);
    if (!status && writes) status = write_checkpoint(t, &p, err);
    optimizer_drop(&t->optimizer);
    if (status) return status;
    t->progress = p;
    t->saved = true;
    if (writes && p.best_step != best_before) status = trainer_write_best(t, err);
    return status || !writes ? status : trainer_prune(t, err);
}

int lithe_trainer_save(lithe_trainer *t, lithe_error *err)
{
    if (failed(err)) return err->status;
    if (!t) return fail(err, LITHE_EINVAL, "there is no trainer to save");
    return t->saved ? LITHE_OK : trainer_save(t, err);
}

/* ---- restoring ------------------------------------------------------------------------ */

int trainer_restore(lithe_trainer *t, int checkpoint, lithe_error *err)
{
    char *dir = checkpoint_path(t->run, checkpoint), *path = dir ? path_join(dir, "model.safetensors") : NULL;
    int status = path ? manifest_check(dir, NULL, err) : fail(err, LITHE_ENOMEM, "%s: out of memory", t->run);
    tensor_file *f = status ? NULL : model_tensors(path, err);
    if (!status && !f) status = err ? (int)err->status : LITHE_EIO;
    load_plan plan = { 0 };
    if (!status) status = load_plan_make(&plan, t->model, f, err);
    if (!status) status = model_load(&plan, err);
    load_plan_free(&plan);
    optimizer *o = &t->optimizer;
    if (!status) status = optimizer_read(dir, t->model->params, o->settings.muon, o->m, o->v, &o->updates, err);
    optimizer_drop(o);
    tensor_file_close(f);
    free(path);
    free(dir);
    return status;
}

int trainer_moments(lithe_trainer *t, lithe_error *err)
{
    optimizer *o = &t->optimizer;
    char *dir = checkpoint_path(t->run, t->progress.step);
    int status = dir ? optimizer_read(dir, t->model->params, o->settings.muon, o->m, o->v, &o->updates, err) : fail(err, LITHE_ENOMEM, "%s: out of memory", t->run);
    optimizer_drop(o);
    free(dir);
    return status;
}
