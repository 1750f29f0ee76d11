/* A power loss at any moment: all changes that a whole run makes on the disk are noted (tests/disk.h), and after each
 * of them, and each kind of loss, what is found must be right.  A run is absent, until it was there, or has every
 * checkpoint that was saved last or is being saved, whole; continued, it ends with the bytes of one whose power
 * stayed.  Anything else that is written is the old one, absent or not, or the new one.
 *
 * Here after some of the changes; with LITHE_FAULTS=all (make check-faults) after each. */
#include "disk.h"
#include "base/system.h"
#include "leaves.h"
#include "test.h"
#include "train_runs.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SAVES = 16, MOMENTS = 6, CHANCES = 3 };

static int no_sync(int fd) { (void)fd; return 0; }

/* Looks at the disk after changes first .. last - 1 of the ones that were noted, each with every kind of loss. */
static int each_loss(int first, int last, void (*look)(int changes, const char *said))
{
    const char *all = getenv("LITHE_FAULTS");
    int states = 0, stride = all ? 1 : (last - first) / MOMENTS + 1;
    int (*sync)(int fd) = os.fsync;
    os.fsync = no_sync;
    for (int at = first + (all ? 0 : stride / 2); at <= last; at += stride)
        for (int i = 0; i < LOSSES + CHANCES - 1; i++, states++) {
            char said[120];
            loss how = i < LOSSES ? (loss)i : LOSES_SOME;
            snprintf(said, sizeof said, "after change %d, chance %d, without %s", at, i, loss_names[how]);
            if (dir_remove(in_dir("after"), NULL)) abort();
            disk_after(at, how, (uint64_t)(10 * at + i), in_dir("after"));
            look(at, said);
        }
    os.fsync = sync;
    if (all) printf("    %d states of the disk after %d changes\n", states, last - first);
    return states;
}

/* ---- runs ------------------------------------------------------------------------------------- */

/* When each checkpoint was there, and what is in it. */
static struct { int at_step, changes; uint64_t tree; } saves[SAVES];
static int save_count;
static uint64_t finished;                               /* what is in the run at its end */

static void note_save(int at_step)
{
    char *path = checkpoint_path(in_dir("disk/run"), at_step);
    saves[save_count].at_step = at_step;
    saves[save_count].changes = disk_changes();
    saves[save_count++].tree = tree_hash(path);
    free(path);
}

static void run_to_the_end(lithe_trainer *t, lithe_error *err)
{
    lithe_event e = { 0 };
    while (lithe_trainer_next(t, &e, err) > 0) if (e.kind == LITHE_SAVED) note_save(e.step);
    CHECK_MSG(!err->status && e.kind == LITHE_FINISHED, "%s", err->text);
}

/* Each checkpoint is whole, and what was saved. */
static void look_at_checkpoints(int changes, const char *said)
{
    int *steps, n = checkpoint_list(in_dir("after/run"), &steps, NULL), newest = -1;
    for (int i = 0; i < n; i++) {
        lithe_error e = { 0 };
        char *path = checkpoint_path(in_dir("after/run"), steps[i]);
        CHECK_MSG(!manifest_check(path, NULL, &e), "%s: %s", said, e.text);
        for (int k = 0; k < save_count; k++)
            if (saves[k].at_step == steps[i]) CHECK_MSG(tree_hash(path) == saves[k].tree, "%s: ckpt-%d has other bytes", said, steps[i]);
        if (steps[i] > newest) newest = steps[i];
        free(path);
    }
    free(steps);
    for (int k = 0; k < save_count; k++)
        if (saves[k].changes <= changes) CHECK_MSG(newest >= saves[k].at_step, "%s: ckpt-%d was saved, ckpt-%d is the newest", said, saves[k].at_step, newest);
}

static void look_at_run(int changes, const char *said)
{
    lithe_error e = { 0 };
    if (!path_exists(in_dir("after/run"))) { CHECK_MSG(changes < saves[0].changes, "%s: the run is lost", said); return; }
    look_at_checkpoints(changes, said);
    lithe_trainer *t = lithe_trainer_resume(in_dir("after/run"), NULL, &e);
    while (lithe_trainer_next(t, NULL, &e) > 0) { }
    lithe_trainer_close(t);
    CHECK_MSG(!e.status, "%s: %s", said, e.text);
    CHECK_MSG(tree_hash(in_dir("after/run")) == finished && !leaves_strays(in_dir("after/run")), "%s: the run ends with other bytes, or leaves something", said);
}

static const lithe_train_options short_run = { .size = sizeof short_run, .ctx = 8, .batch = 2, .steps = 6, .save_every = 2, .eval_every = 2, .eval_windows = 2, .seed = 5 };

/* Notes a run from its data on. */
static void note_run(const char *arch_name, const char *config, const lithe_train_options *o)
{
    save_count = 0;
    lithe_threads(1);
    CHECK(!dir_make(in_dir("disk"), NULL));
    text_file();
    disk_begin(in_dir("disk"));
    fixture f = begin_as(arch_name, "disk/run", config, o);
    note_save(0);
    run_to_the_end(f.trainer, &f.err);
    close_fixture(&f);
    disk_end();
    finished = tree_hash(in_dir("disk/run"));
}

static void while_training(void)
{
    note_run("gpt2", still, &short_run);
    CHECK(each_loss(1, disk_changes(), look_at_run) > 0 && save_count == 4);
}

static void while_growing(void)
{
    lithe_train_options o = short_run;
    o.grow_at = "3:2x";
    note_run("tokenformer", slots, &o);
    each_loss(1, disk_changes(), look_at_run);
}

/* The power goes, and again while the run is continued. */
static void while_resuming(void)
{
    lithe_error e = { 0 };
    note_run("gpt2", still, &short_run);
    int before = (saves[1].changes + saves[2].changes) / 2;
    CHECK(!rename(in_dir("disk"), in_dir("whole")));
    disk_after(before, LOSES_SOME, 1, in_dir("disk"));
    saves[0] = saves[1];                                /* what was saved then is there from the first change on */
    saves[0].changes = 0;
    save_count = 1;
    disk_begin(in_dir("disk"));
    lithe_trainer *t = lithe_trainer_resume(in_dir("disk/run"), NULL, &e);
    run_to_the_end(t, &e);
    lithe_trainer_close(t);
    disk_end();
    each_loss(1, disk_changes(), look_at_run);
}

/* ---- models and files ------------------------------------------------------------------------------ */

static uint64_t trees[2];                               /* before and after */
static char written[40];

static const char *output_in(const char *disk)
{
    char path[100];
    snprintf(path, sizeof path, "%s/%s", disk, written);
    return in_dir(path);
}

static void look_at_output(int changes, const char *said)
{
    uint64_t tree = path_exists(output_in("after")) ? tree_hash(output_in("after")) : 0;
    CHECK_MSG(tree == trees[1] || (changes < disk_changes() && tree == trees[0]), "%s: neither the old nor the new %s is there", said, written);
}

/* Looks at what `make` writes to a path of this name, twice if the first is to be there before. */
static void each_loss_of(int (*make)(const char *path, lithe_error *err), const char *name, bool twice)
{
    lithe_error e = { 0 };
    snprintf(written, sizeof written, "%s", name);
    CHECK(!dir_make(in_dir("disk"), NULL));
    if (twice) CHECK_MSG(!make(output_in("disk"), &e), "%s", e.text);
    trees[0] = twice ? tree_hash(output_in("disk")) : 0;
    disk_begin(in_dir("disk"));
    CHECK_MSG(!make(output_in("disk"), &e), "%s", e.text);
    disk_end();
    trees[1] = tree_hash(output_in("disk"));
    CHECK(trees[0] != trees[1] && !leaves_strays(in_dir("disk")));
    each_loss(1, disk_changes(), look_at_output);
    CHECK(!dir_remove(in_dir("disk"), &e));
}

static uint64_t seed;
static lithe_model *another_model(void) { return lithe_model_new("gpt2", still, ++seed, NULL); }

static int save_model(const char *path, lithe_error *err)
{
    lithe_model *m = another_model();
    int status = lithe_model_save(m, path, "bf16", NULL, err);
    lithe_model_close(m);
    return status;
}

static int export_model(const char *path, lithe_error *err)
{
    lithe_model *m = another_model();
    int status = lithe_model_export(m, path, "f32", err);
    lithe_model_close(m);
    return status;
}

static int write_again(const char *path, lithe_error *err)
{
    char text[10000];
    memset(text, 'a' + (int)(++seed % 26), sizeof text);
    return file_write(path, text, sizeof text, err);
}

static void while_saving(void)
{
    each_loss_of(save_model, "out", false);
    each_loss_of(export_model, "out.gguf", false);
    each_loss_of(export_model, "out.safetensors", false);
}

static void while_replacing(void) { each_loss_of(write_again, "out", true); }

const test tests_power[] = {
    { "power: lost while training", while_training },
    { "power: lost while training and growing", while_growing },
    { "power: lost, and again while resuming", while_resuming },
    { "power: lost while a model is saved", while_saving },
    { "power: lost while a file is replaced", while_replacing },
    { 0 }
};
