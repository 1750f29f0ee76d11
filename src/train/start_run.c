/* Starts a run: its directory is built under another name, with a checkpoint of step 0, and then renamed. */
#include "base/sized.h"
#include "base/writer.h"
#include "base/arena.h"
#include "train/run_dir.h"
#include "train/trainer.h"
#include <stdlib.h>
#include <string.h>

/* Reads the moments of another run, when they are to be carried, and begins the parameter groups at their number of
 * updates. */
static int begin_moments(lithe_trainer *t, const lithe_train_options *o, lithe_error *err)
{
    bool carry = o->moments && !strcmp(o->moments, "carry");
    if (o->moments && !carry && strcmp(o->moments, "reset"))
        return fail(err, LITHE_EINVAL, "moments is \"%s\", expected reset or carry", o->moments);
    const char *from = o->from ? o->from : t->model->path;
    if (carry && !from) return fail(err, LITHE_EINVAL, "to carry moments, name the checkpoint that holds them");
    char *notice = NULL, *newest = carry ? checkpoint_newest(from, &notice, err) : NULL;
    optimizer *m = &t->optimizer;
    char *file = carry ? path_join(newest ? newest : from, MOMENTS_FILE) : NULL;
    int status = LITHE_OK;
    if (file && !path_exists(file))
        status = fail(err, LITHE_EINVAL, "%s: has no %s, as a model that was converted: there are no moments to carry, leave that out", from, MOMENTS_FILE);
    free(file);
    if (!status) status = carry ? optimizer_read(newest ? newest : from, t->model->params, m->settings.muon, m->m, m->v, &m->updates, err) : LITHE_OK;
    free(newest);
    free(notice);
    if (status) return status;
    groups_begin(t->model, m->updates, !carry);
    return optimizer_groups(m, t->model, err);
}

static int write_text(const char *dir, const char *name, const char *text, lithe_error *err)
{
    size_t n = strlen(text);
    char *path = path_join(dir, name), *line = xalloc(n + 2, 1);
    if (line) { memcpy(line, text, n); line[n] = '\n'; }
    int status = path && line ? file_write(path, line, n + 1, err) : fail(err, LITHE_ENOMEM, "%s: out of memory", dir);
    free(path);
    free(line);
    return status;
}

/* Writes all files of a run except log and checkpoints. */
static int write_files(lithe_trainer *t, const lithe_train_options *o, lithe_error *err)
{
    char *data = path_join(t->run, "data"), *samples = path_join(t->run, "samples");
    char *config = lithe_model_config(t->model);
    int status = data && samples && config ? LITHE_OK : fail(err, LITHE_ENOMEM, "%s: out of memory", t->run);
    if (!status) status = dir_make(samples, err);
    if (!status) status = dataset_place(t->data, data, err);
    if (!status) status = write_text(t->run, "config.json", config, err);
    if (!status && o->command) status = write_text(t->run, "command.txt", o->command, err);
    if (!status && t->tokenizer) status = model_write_tokenizer(t->model, t->tokenizer, t->run, err);
    free(data);
    free(samples);
    free(config);
    return status;
}

static int log_start(lithe_trainer *t, lithe_error *err)
{
    const settings *s = &t->settings;
    int status = log_open(&t->log, t->run, err);
    if (status) return status;
    line_begin(&t->log, 0);
    line_text(&t->log, "started", t->model->arch->name);
    line_number(&t->log, "params", (double)params_total(t->model->params));
    line_number(&t->log, "steps", s->schedule.steps);
    line_number(&t->log, "batch", s->batch);
    line_number(&t->log, "ctx", s->ctx);
    line_number(&t->log, "lr", s->schedule.lr);
    line_text(&t->log, "schedule", schedule_name(s->schedule.kind));
    if (s->optimizer.muon) line_text(&t->log, "optimizer", "muon");
    if (s->optimizer.muon) line_number(&t->log, "optimizer_flops", optimizer_flops(&t->optimizer));
    line_text(&t->log, "dtype", s->compute == COMPUTE_BF16 ? "bf16" : "f32");
    return trainer_end_line(t, err);
}

/* The files of the data are in the run now. */
static int call_data(const lithe_trainer *t, lithe_error *err)
{
    char *data = path_join(t->run, "data");
    int status = data ? dataset_called(t->data, data, err) : fail(err, LITHE_ENOMEM, "%s: out of memory", t->run);
    free(data);
    return status;
}

/* Builds the run under another name and renames it. */
static int make_run(lithe_trainer *t, const lithe_train_options *o, const char *run, lithe_error *err)
{
    partial_dir s;
    char *named = xstrdup(run);
    int status = named ? run_begin(&s, run, err) : fail(err, LITHE_ENOMEM, "%s: out of memory", run);
    if (status) { free(named); return status; }
    t->run = s.path;
    status = write_files(t, o, err);
    if (!status) status = model_adopt_config(t->model, DT_F32, t->tokenizer, err);
    if (!status && o->seconds > 0) status = trainer_seconds(t, o, err);
    if (!status) status = settings_check_growths(&t->settings, t->model, t->data, t->tokenizer, err);
    if (!status) status = trainer_place_vocabularies(t, err);
    if (!status) status = log_start(t, err);
    if (!status) status = trainer_save(t, err);
    log_close(&t->log);
    if (!status) status = run_appear(s.path, run, err);
    partial_named(s.path, run, err);
    partial_remove(&s);
    t->run = named;
    if (!status) status = call_data(t, err);
    return status ? status : log_open(&t->log, run, err);
}

lithe_trainer *trainer_open(lithe_model *m, lithe_dataset *d, const lithe_tokenizer *tokenizer, const lithe_train_options *o, const char *run, const trainer_hooks *hooks, lithe_error *err)
{
    lithe_train_options options;
    lithe_error own = { 0 };
    if (failed(err)) return NULL;
    if (!err) err = &own;
    if (options_read(&options, sizeof options, o, "lithe_train_options", err)) return NULL;
    o = &options;
    if (!m || !d || !run || !*run) { fail(err, LITHE_EINVAL, "training needs a model, a dataset and a directory"); return NULL; }
    char *named = path_follow(run, err);
    for (size_t n = named ? strlen(named) : 0; n > 1 && named[n - 1] == '/'; n--) named[n - 1] = 0;
    lithe_trainer *t = named ? trainer_new(hooks, err) : NULL;
    int status = t ? LITHE_OK : fail(err, LITHE_ENOMEM, "out of memory for a trainer");
    if (!status) {
        t->model = m;
        t->data = d;
        t->tokenizer = tokenizer;
        t->ranks = o->ranks;
        ranks_alone(t->ranks, true);                        /* until the run is there for the others to join */
        dataset_identity(d, t->identity, sizeof t->identity);
        status = run_check_free(named, err);
    }
    if (!status) status = settings_resolve(&t->settings, o, m, d, err);
    if (!status) status = trainer_begin(t, err);
    if (!status) status = lithe_model_finite(m, err);
    if (!status) status = settings_samples(&t->settings, o, t->objective.samples, err);
    if (!status) status = settings_check_growths(&t->settings, t->model, t->data, t->tokenizer, err);
    if (!status) status = trainer_prepare(t, err);
    if (!status) status = begin_moments(t, o, err);
    if (!status) status = make_run(t, o, named, err);
    if (!status) status = trainer_announce(t, err);
    free(named);
    if (!status) status = check_pending(err);
    if (!status) return t;
    lithe_trainer_close(t);
    return NULL;
}
