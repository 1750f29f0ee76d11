/* The checkpoints of a run (model/checkpoints.h).  A directory counts as one only
 * when its name is exactly the name that a trainer gives, ckpt-STEP. */
#include "base/json.h"
#include "model/checkpoints.h"
#include "model/model.h"
#include <dirent.h>
#include <stdlib.h>
#include <string.h>

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
    DIR *d = opendir(run);
    if (!d) return fail_errno(err, run, "list");
    int count = 0, capacity = 0, at_step;
    for (struct dirent *e; (e = readdir(d));) {
        if ((at_step = step_of_name(e->d_name)) < 0) continue;
        if (count == capacity) {
            capacity = capacity ? 2 * capacity : 8;
            int *more = xrealloc(*steps, (size_t)capacity, sizeof **steps);
            if (!more) { count = fail(err, LITHE_ENOMEM, "%s: out of memory for its checkpoints", run); break; }
            *steps = more;
        }
        (*steps)[count++] = at_step;
    }
    closedir(d);
    if (count > 0) qsort(*steps, (size_t)count, sizeof **steps, newest_first);
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

char *checkpoint_better(const char *run, const char *newest, lithe_error *err)
{
    char *path = path_join(run, "best.json"), *dir = NULL, *text = NULL;
    lithe_error unread = { 0 };
    int at_step;
    json_t *best = path && path_exists(path) ? json_read(path, 1 << 16, 4, &unread) : NULL;
    const json_t *loss = json_object_get(best, "valid_loss");
    if (json_int(best, "step", 0, INT32_MAX, &at_step) && json_is_number(loss)) dir = checkpoint_path(run, at_step);
    if (dir && strcmp(path_base(dir), path_base(newest)) && path_exists(dir) &&
        asprintf(&text, "%s: %s, its newest checkpoint, is used; %s had a lower validation loss (%.4f)", run, path_base(newest), dir, json_number_value(loss)) < 0) {
        text = NULL;
        unread.status = LITHE_ENOMEM;
    }
    if (!path || unread.status == LITHE_ENOMEM) fail(err, LITHE_ENOMEM, "%s: out of memory for its checkpoints", run);
    json_decref(best);
    free(path);
    free(dir);
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
