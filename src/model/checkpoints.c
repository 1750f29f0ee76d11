/* The checkpoints of a run (model/checkpoints.h).  A directory counts as one only
 * when its name is exactly the name that a trainer gives, ckpt-STEP. */
#include "base/json.h"
#include "base/dir_names.h"
#include "model/checkpoints.h"
#include "model/model.h"
#include <stdlib.h>
#include <string.h>

/* A validation loss that is so many times the best one is worth a line. */
static const double WORTH_SAYING = 1.01;

void checkpoint_name(char name[CHECKPOINT_NAME], int at_step) { snprintf(name, CHECKPOINT_NAME, "ckpt-%d", at_step); }

char *checkpoint_path(const char *run, int at_step)
{
    char name[CHECKPOINT_NAME];
    checkpoint_name(name, at_step);
    return path_join(run, name);
}

/* Returns the step in a name that checkpoint_name made, or -1 for another name. */
static int step_of_name(const char *name)
{
    char again[CHECKPOINT_NAME];
    int at_step;
    if (strncmp(name, "ckpt-", 5) || !text_int(name + 5, 0, INT32_MAX, &at_step)) return -1;
    checkpoint_name(again, at_step);
    return strcmp(name, again) ? -1 : at_step;
}

static int newest_first(const void *a, const void *b) { return (*(const int *)a < *(const int *)b) - (*(const int *)a > *(const int *)b); }

int checkpoint_list(const char *run, int **steps, lithe_error *err)
{
    *steps = NULL;
    if (failed(err)) return err->status;
    dir_names l;
    int status = dir_names_read(&l, run, err), count = 0, at_step;
    if (!status && !(*steps = xalloc(l.count, sizeof **steps))) status = fail(err, LITHE_ENOMEM, "%s: out of memory for its checkpoints", run);
    for (size_t i = 0; i < l.count && !status; i++)
        if ((at_step = step_of_name(l.names[i])) >= 0) (*steps)[count++] = at_step;
    dir_names_free(&l);
    if (status) return status;
    qsort(*steps, (size_t)count, sizeof **steps, newest_first);
    return count;
}

/* What came of looking for a whole checkpoint once.  vanished: one was removed after it was listed. */
typedef struct { char *found; lithe_error damage; bool vanished; } search;

static search search_once(const char *run, lithe_error *err)
{
    search x = { 0 };
    int *steps, count = checkpoint_list(run, &steps, err);
    for (int i = 0; i < count && !x.found && !x.vanished && !failed(err); i++) {
        lithe_error each = { 0 };
        char *dir = checkpoint_path(run, steps[i]);
        if (!dir) fail(&each, LITHE_ENOMEM, "%s: out of memory for its checkpoints", run);
        else if (!manifest_check(dir, MOMENTS_FILE, &each)) x.found = dir;
        else x.vanished = !path_exists(dir);
        if (dir != x.found) free(dir);
        if (each.status == LITHE_ENOMEM) fail(err, each.status, "%s", each.text);        /* no damage of this one */
        else if (!x.damage.status) x.damage = each;
    }
    free(steps);
    return x;
}

/* Of the newest checkpoint's trainer.json: the progress of the run. */
static char *better_than(const char *run, const char *newest, const json_t *progress, lithe_error *err)
{
    const double loss = json_number_value(json_object_get(progress, "valid_loss")), best = json_number_value(json_object_get(progress, "best_loss"));
    char *dir = NULL, *text = NULL;
    int at_step;
    if (!(best > 0) || !(loss > WORTH_SAYING * best) || !json_int(progress, "best_step", 0, INT32_MAX, &at_step)) return NULL;
    if (!(dir = checkpoint_path(run, at_step))) fail(err, LITHE_ENOMEM, "%s: out of memory for its checkpoints", run);
    else if (strcmp(path_base(dir), path_base(newest)) && path_exists(dir) &&
             asprintf(&text, "%s: %s, its newest checkpoint, is used, of validation loss %.4f; %s has %.4f", run, path_base(newest), loss, dir, best) < 0) {
        text = NULL;
        fail(err, LITHE_ENOMEM, "%s: out of memory for its checkpoints", run);
    }
    free(dir);
    return text;
}

char *checkpoint_better(const char *run, const char *newest, lithe_error *err)
{
    enum { LIMIT = 64 << 20, DEPTH = 16 };
    lithe_error unread = { 0 };
    char *path = path_join(newest, "trainer.json"), *text = NULL;
    json_t *trainer = path && path_exists(path) ? json_read(path, LIMIT, DEPTH, &unread) : NULL;
    if (!path || unread.status == LITHE_ENOMEM) fail(err, LITHE_ENOMEM, "%s: out of memory for its checkpoints", run);
    if (trainer) text = better_than(run, newest, json_object_get(trainer, "progress"), err);
    json_decref(trainer);
    free(path);
    return text;
}

char *checkpoint_newest(const char *run, char **notice, lithe_error *err)
{
    enum { TRIES = 100 };
    lithe_error own = { 0 };
    *notice = NULL;
    if (failed(err) || !path_is_dir(run)) return NULL;
    if (!err) err = &own;
    search x;
    int tries = TRIES;
    do x = search_once(run, err);
    while (x.vanished && !failed(err) && --tries);
    if (!x.found && x.damage.status) fail(err, x.damage.status, "%s: no checkpoint is complete: %s", run, x.damage.text);
    if (x.found && x.damage.status && asprintf(notice, "%s; %s is used", x.damage.text, path_base(x.found)) < 0) {
        *notice = NULL;
        fail(err, LITHE_ENOMEM, "%s: out of memory for its checkpoints", run);
    }
    if (!failed(err)) return x.found;
    free(x.found);
    return NULL;
}
