/* Which checkpoint of a run is opened: the newest that is whole.  One that is damaged
 * is named, and one that a trainer removes meanwhile is not missed. */
#include "model/checkpoints.h"
#include "base/writer.h"
#include "model/model.h"
#include "shell.h"
#include "test.h"
#include "train/run_dir.h"
#include <fcntl.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static const char CONFIG[] = "{\"n_layer\": 1, \"n_embd\": 8, \"n_head\": 1, \"n_positions\": 8, \"vocab_size\": 16}";

/* ---- runs --------------------------------------------------------------------------------- */

/* run/ckpt-STEP, whose parameters are those of this seed, appears by a rename. */
static void add_checkpoint(int at_step)
{
    lithe_error e = { 0 };
    lithe_model *m = lithe_model_new("gpt2", CONFIG, (uint64_t)at_step, &e);
    char *scratch = run_scratch(in_dir("run"), "ckpt-new", &e);
    CHECK_MSG(m && scratch && !model_write(m, scratch, DT_F32, NULL, &e) && !file_write(in_dir("run/.ckpt-new/optimizer.safetensors"), "moments", 7, &e)
              && !manifest_write(scratch, &e) && !checkpoint_publish(scratch, in_dir("run"), at_step, &e), "%s", e.text);
    free(scratch);
    lithe_model_close(m);
}

static void make_run(void)
{
    CHECK(!dir_make(in_dir("run"), NULL));
    for (int at_step = 2; at_step <= 6; at_step += 2) add_checkpoint(at_step);
}

/* One bit, the last byte's lowest; the size stays. */
static void flip(const char *path)
{
    FILE *f = fopen(path, "r+b");
    CHECK(f != NULL);
    if (!f) return;
    fseek(f, -1, SEEK_END);
    int last = fgetc(f);
    fseek(f, -1, SEEK_END);
    fputc(last ^ 1, f);
    fclose(f);
}

/* ---- damage -------------------------------------------------------------------------------- */

/* The run opens as ckpt-STEP, with a notice that says each part, or none. */
static void check_opens(int at_step, const char *damage)
{
    lithe_error e = { 0 };
    char name[40], used[60];
    snprintf(name, sizeof name, "run/ckpt-%d", at_step);
    snprintf(used, sizeof used, "; ckpt-%d is used", at_step);
    lithe_model *m = lithe_model_open(in_dir("run"), NULL, &e);
    const char *notice = lithe_model_notice(m);
    CHECK_MSG(m && !strcmp(m->path, in_dir(name)), "%s", e.text);
    if (damage) CHECK_MSG(notice && strstr(notice, damage) && strstr(notice, used), "%s", notice ? notice : "no notice");
    else CHECK_MSG(!notice, "%s", notice);
    lithe_model_close(m);
}

static void damaged_ones_are_named(void)
{
    make_run();
    check_opens(6, NULL);
    flip(in_dir("run/ckpt-6/optimizer.safetensors"));            /* which no reader needs */
    check_opens(6, NULL);
    flip(in_dir("run/ckpt-6/model.safetensors"));
    check_opens(4, "ckpt-6/model.safetensors: its contents are not what manifest.json says");
    CHECK(!truncate(in_dir("run/ckpt-6/model.safetensors"), 1000));
    check_opens(4, "ckpt-6/model.safetensors: has 1000 bytes, manifest.json says");
    CHECK(!unlink(in_dir("run/ckpt-6/manifest.json")));
    check_opens(4, "ckpt-6/manifest.json: cannot open");
    flip(in_dir("run/ckpt-4/config.json"));
    check_opens(2, "ckpt-6/manifest.json: cannot open");
}

/* The newest is opened, and the best one is named where it is another that is there, and clearly better. */
static void better_ones_are_named(void)
{
    static const struct { const char *progress, *says; } cases[] = {
        { "{\"valid_loss\": 2.6, \"best_loss\": 2.5, \"best_step\": 4}", "run: ckpt-6, its newest checkpoint, is used, of validation loss 2.6000; " },
        { "{\"valid_loss\": 2.6, \"best_loss\": 2.5, \"best_step\": 2}", "run/ckpt-2 has 2.5000" }, { "{\"valid_loss\": 2.51, \"best_loss\": 2.5, \"best_step\": 4}", NULL },
        { "{\"valid_loss\": 2.6, \"best_loss\": 2.5, \"best_step\": 6}", NULL }, { "{\"valid_loss\": 2.6, \"best_loss\": 2.5, \"best_step\": 3}", NULL },
        { "{\"valid_loss\": null, \"best_loss\": 2.5, \"best_step\": 4}", NULL }, { "{\"valid_loss\": 2.6, \"best_loss\": 2.5, \"best_step\": \"../4\"}", NULL }, { "[4]", NULL },
    };
    make_run();
    check_opens(6, NULL);
    for (size_t i = 0; i <= sizeof cases / sizeof *cases; i++) {
        const size_t at = i % (sizeof cases / sizeof *cases);           /* the first again, for the command */
        lithe_error e = { 0 };
        char trainer[200];
        const int n = snprintf(trainer, sizeof trainer, "{\"format\": 1, \"progress\": %s}", cases[at].progress);
        CHECK(!file_write(in_dir("run/ckpt-6/trainer.json"), trainer, (size_t)n, &e));
        lithe_model *m = lithe_model_open(in_dir("run"), NULL, &e);
        const char *says = lithe_model_better(m);
        CHECK_MSG(m && !strcmp(m->path, in_dir("run/ckpt-6")) && !lithe_model_notice(m), "%s", e.text);
        CHECK_MSG(cases[at].says ? says && strstr(says, cases[at].says) : !says, "%s: %s", cases[at].progress, says ? says : "nothing is said");
        lithe_model_close(m);
    }
    TRANSCRIPTS({ "$L logits run --ids '1 2' --out l.safetensors", 0, NULL, "its newest checkpoint, is used" }, { "$L logits run --ids '1 2' --out q.safetensors -q", 0, "", "" },
                { "$L logits run/ckpt-4 --ids '1 2' --out b.safetensors -q; ! cmp -s l.safetensors b.safetensors", 0, "", "" });
}

/* Flips the bit for a while; the checkpoint is then refused, and a file of it is named. */
static void notices(int fd, const char *name, const char *bytes, size_t bit)
{
    lithe_error e = { 0 };
    char changed = (char)(bytes[bit / 8] ^ 1 << bit % 8);
    CHECK(pwrite(fd, &changed, 1, (off_t)(bit / 8)) == 1);
    CHECK_MSG(manifest_check(in_dir("run/ckpt-6"), NULL, &e) && strstr(e.text, "run/ckpt-6/"), "bit %zu of %s: %s", bit, name, e.text);
    CHECK(pwrite(fd, &bytes[bit / 8], 1, (off_t)(bit / 8)) == 1);
}

/* Each bit of the small files and of the weights' header, and a thousand of the weights. */
static void each_bit_is_noticed(void)
{
    static const char *const names[] = { "manifest.json", "config.json", "optimizer.safetensors", "model.safetensors" };
    make_run();
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char path[600];
        size_t size, flips = 0;
        lithe_error e = { 0 };
        snprintf(path, sizeof path, "%s/%s", in_dir("run/ckpt-6"), names[i]);
        char *bytes = file_read(path, 1 << 20, &size, &e);
        int fd = open(path, O_WRONLY);
        CHECK_MSG(bytes && fd >= 0, "%s", e.text);
        size_t whole = 8 * (i < 3 ? size : 8 + (size_t)load_bytes((const uint8_t *)bytes, 8)), stride = (8 * size - whole) / 1000 + 1;
        for (size_t bit = 0; bit < 8 * size; bit += bit < whole ? 1 : stride, flips++) notices(fd, names[i], bytes, bit);
        CHECK(flips >= whole);
        close(fd);
        free(bytes);
    }
    CHECK(!manifest_check(in_dir("run/ckpt-6"), NULL, NULL));
}

/* What lies beside the checkpoints is one of them by another name. */
static void nothing_whole_is_refused(void)
{
    lithe_error e = { 0 };
    make_run();
    CHECK(!checkpoint_remove(in_dir("run"), 2, &e) && !checkpoint_remove(in_dir("run"), 4, &e) && !run_link(in_dir("run/ckpt-6"), in_dir("run"), NULL, &e));
    check_opens(6, NULL);
    flip(in_dir("run/ckpt-6/model.safetensors"));
    CHECK(!lithe_model_open(in_dir("run"), NULL, &e) && e.status == LITHE_EFORMAT && strstr(e.text, "no checkpoint is complete: "));
    e = (lithe_error){ 0 };
    CHECK(!lithe_model_open(in_dir("run/ckpt-6"), NULL, &e) && e.status == LITHE_EFORMAT && strstr(e.text, "its contents are not"));
}

/* That no file can be opened any more is no damage, for which an older checkpoint would do. */
static void no_resources_are_no_damage(void)
{
    lithe_error e = { 0 };
    struct rlimit before, none;
    char *notice, run[600];
    make_run();
    snprintf(run, sizeof run, "%s", in_dir("run"));
    int next = dup(STDOUT_FILENO);
    close(next);
    CHECK(!getrlimit(RLIMIT_NOFILE, &before));
    none = (struct rlimit){ (rlim_t)next, before.rlim_max };
    CHECK(!setrlimit(RLIMIT_NOFILE, &none) && !checkpoint_newest(run, &notice, &e) && !notice);
    CHECK(!setrlimit(RLIMIT_NOFILE, &before));
    CHECK_MSG(e.status == LITHE_ENOMEM && strstr(e.text, "too many files are open"), "%s", e.text);
}

/* ---- a trainer beside ------------------------------------------------------------------------ */

enum { ROUNDS = 60 };

/* Keeps one checkpoint alone, where a trainer keeps two. */
static void train_beside(void)
{
    for (int at_step = 8; at_step < 8 + ROUNDS; at_step++) {
        add_checkpoint(at_step);
        checkpoint_remove(in_dir("run"), at_step - 1, NULL);
    }
}

static void removed_ones_are_not_missed(void)
{
    int ended = 0, opened = 0, status = 0;
    make_run();
    for (int at_step = 2; at_step <= 4; at_step += 2) checkpoint_remove(in_dir("run"), at_step, NULL);
    pid_t child = fork();
    if (!child) {
        train_beside();
        _exit(0);
    }
    while (!ended && (ended = waitpid(child, &status, WNOHANG)) >= 0) {
        lithe_error e = { 0 };
        lithe_model *m = lithe_model_open(in_dir("run"), NULL, &e);
        CHECK_MSG(m && !lithe_model_notice(m), "%s%s", e.text, m ? lithe_model_notice(m) : "");
        lithe_model_close(m);
        opened++;
        if (!m) break;
    }
    if (!ended) waitpid(child, &status, 0);
    CHECK(WIFEXITED(status) && !WEXITSTATUS(status) && opened > 1);
}

/* The tokenizer is the RUN's own where it is the checkpoint's, too. */
static void tokenizers_stay(void)
{
    static const char *const texts[] = { "[PAD]\n[UNK]\n", "[PAD]\n[UNK]\nthe\n" };
    make_run();
    for (int own = 0; own < 2; own++) {
        lithe_error e = { 0 };
        CHECK(!file_write(in_dir("run/ckpt-6/vocab.txt"), texts[0], strlen(texts[0]), &e) && !manifest_write(in_dir("run/ckpt-6"), &e));
        CHECK(!file_write(in_dir("run/vocab.txt"), texts[own], strlen(texts[own]), &e));
        lithe_model *m = lithe_model_open(in_dir("run"), NULL, &e);
        const char *path = lithe_model_tokenizer(m);
        CHECK_MSG(path && !strcmp(path, in_dir(own ? "run/ckpt-6/vocab.txt" : "run/vocab.txt")), "%s%s", e.text, path ? path : "");
        lithe_model_close(m);
    }
}

/* ---- the command -------------------------------------------------------------------------------- */

static void the_command_names(void)
{
    static const char *const verbs[] = { "generate r the --max-tokens 2", "eval r --text t.txt", "convert r copy", "train t.txt --from r --steps 1 --out next", "logits r --ids '1 2' --out l.safetensors" };
    CHECK(sh("for i in 1 2 3 4 5 6 7 8 9; do echo the cat sat on mat $i, the dog ran far away; done > t.txt; "
             "$L train t.txt --tokenizer bytes --params 20k --ctx 8 --batch 2 --steps 6 --save-every 2 --out r") == 0);
    flip(in_dir("r/ckpt-6/model.safetensors"));
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++) {
        CHECK_MSG(sh("$L %s", verbs[i]) == 0, "%s: %s", verbs[i], err);
        CHECK_MSG(strstr(err, "ckpt-6/model.safetensors: its contents are not what manifest.json says, the file is damaged; ckpt-4 is used\n"), "%s: %s", verbs[i], err);
        CHECK(sh("rm -rf copy next l.safetensors; $L %s -q", verbs[i]) == 0);
        CHECK_MSG(strstr(err, "the file is damaged; ckpt-4 is used\n") && strchr(err, '\n')[1] == 0, "%s -q: %s", verbs[i], err);
    }
}

const test tests_checkpoints[] = {
    { "checkpoints: damaged ones are named", damaged_ones_are_named },
    { "checkpoints: a better one is named", better_ones_are_named },
    { "checkpoints: each bit that changes is noticed", each_bit_is_noticed },
    { "checkpoints: without a whole one a run is refused", nothing_whole_is_refused },
    { "checkpoints: too few open files are no damage", no_resources_are_no_damage },
    { "checkpoints: those that a trainer removes are not missed", removed_ones_are_not_missed },
    { "checkpoints: the tokenizer does not go with them", tokenizers_stay },
    { "checkpoints: the command names damaged ones", the_command_names },
    { 0 }
};
