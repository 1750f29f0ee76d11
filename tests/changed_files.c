/* Files that are cut or overwritten while they are read: one line that names them, and no signal. */
#include "base/file.h"
#include "lithe_tools.h"
#include "small.h"
#include "shell.h"
#include "test.h"
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

/* ---- mappings --------------------------------------------------------------------------- */

enum { PAGE = 4096, PAGES = 5 };

static const char *pages_file(const char *name, int pages)
{
    static char bytes[PAGES * PAGE];
    lithe_error e = { 0 };
    memset(bytes, 'x', sizeof bytes);
    CHECK_MSG(!file_write(in_dir(name), bytes, (size_t)pages * PAGE, &e), "%s", e.text);
    return in_dir(name);
}

static void overwrite(const char *path, off_t at, const char *text)
{
    int fd = open(path, O_WRONLY);
    CHECK(fd >= 0 && pwrite(fd, text, strlen(text), at) == (ssize_t)strlen(text) && !close(fd));
}

static int sum(const mapping *m)
{
    int n = 0;
    for (size_t i = 0; i < m->size; i += PAGE / 2) n += m->data[i] == 'x';
    return n;
}

static void cut_mapping_reads_zeros(void)
{
    lithe_error e = { 0 }, none = { 0 };
    mapping cut, whole;
    CHECK(!lithe_guard_files(&e) && !lithe_guard_files(&e));
    CHECK(!file_map(&cut, pages_file("cut", PAGES), &e) && !file_map(&whole, pages_file("whole", 2), &e));
    CHECK(!mapping_intact(&cut, &none) && sum(&cut) == 2 * PAGES);
    CHECK(!truncate(in_dir("cut"), 2 * PAGE) && sum(&cut) == 4 && sum(&whole) == 4);
    CHECK(mapping_intact(&cut, &e) == LITHE_EFORMAT && strstr(e.text, in_dir("cut")) && strstr(e.text, "from 20480 to 8192 bytes"));
    CHECK(!mapping_intact(&whole, &none));                   /* of the file that was cut alone */
    /* What was lost stays lost, also when the file has its old length again. */
    e = (lithe_error){ 0 };
    CHECK(!truncate(in_dir("cut"), PAGES * PAGE) && mapping_intact(&cut, &e) == LITHE_EFORMAT);
    /* Why reading failed is that the file was changed. */
    e = (lithe_error){ 0 };
    CHECK(mapping_finish(&cut, fail(&e, LITHE_EIO, "a strange character"), &e) == LITHE_EFORMAT && strstr(e.text, "cut: was"));
    /* The place in the list is free for another file. */
    CHECK(!file_map(&cut, pages_file("cut", 1), &none) && !mapping_intact(&cut, &none) && !mapping_finish(&cut, LITHE_OK, &none));
    file_unmap(&whole);
}

static void overwritten_mapping(void)
{
    lithe_error e = { 0 }, none = { 0 };
    mapping m;
    CHECK(!file_map(&m, pages_file("file", 1), &none));
    usleep(20000);                                           /* longer than the clock of files takes for a tick */
    overwrite(in_dir("file"), 100, "y");
    CHECK(mapping_intact(&m, &e) == LITHE_EFORMAT && strstr(e.text, "overwritten"));
    file_unmap(&m);
    /* A new file in its place is another one, and a file that was removed stays what it is. */
    CHECK(!file_map(&m, pages_file("file", 1), &none) && pages_file("file", 2) && !mapping_intact(&m, &none));
    CHECK(!unlink(in_dir("file")) && !mapping_finish(&m, LITHE_OK, &none));
}

static void messages_use_the_later_name(void)
{
    lithe_error e = { 0 };
    mapping m;
    CHECK(!file_map(&m, pages_file("first", 1), &e) && pages_file("other", 1));
    CHECK(!link(in_dir("first"), in_dir("second")) && !mapping_called(&m, in_dir("other"), &e) && !mapping_called(&m, in_dir("second"), &e));
    CHECK(!truncate(in_dir("first"), 7) && mapping_intact(&m, &e) && strstr(e.text, "second: was changed"));
    file_unmap(&m);
}

/* A model that is open fails as soon as its file is another; one in memory has no file. */
static void open_model(void)
{
    lithe_error e = { 0 }, none = { 0 };
    int32_t ids[] = { 1, 2, 3 };
    float logits[3 * 23];
    lithe_model *made = lithe_model_new("gpt2", SMALL_GPT2, 1, &e);
    CHECK(!lithe_model_save(made, in_dir("model"), "f32", NULL, &e) && !lithe_model_intact(made, &e) && lithe_model_intact(NULL, &none));
    lithe_model *m = lithe_model_open(in_dir("model"), NULL, &e);
    CHECK_MSG(m && !lithe_model_intact(m, &e) && !lithe_logits(m, ids, 3, logits, &e), "%s", e.text);
    CHECK(!truncate(in_dir("model/model.safetensors"), 4000));
    CHECK(lithe_guard_files(&e) == LITHE_OK && lithe_logits(m, ids, 3, logits, &e) == LITHE_EFORMAT && strstr(e.text, "model.safetensors: was changed"));
    e = (lithe_error){ 0 };
    CHECK(lithe_model_intact(m, &e) == LITHE_EFORMAT);
    e = (lithe_error){ 0 };
    CHECK(lithe_model_values(m, "wte.weight", 0, 3, logits, &e) == LITHE_EFORMAT);
    e = (lithe_error){ 0 };
    CHECK(lithe_model_save(m, in_dir("copy"), "f32", NULL, &e) == LITHE_EFORMAT && !path_exists(in_dir("copy")));
    e = (lithe_error){ 0 };
    CHECK(lithe_model_export(m, in_dir("copy.safetensors"), "f32", &e) == LITHE_EFORMAT && !path_exists(in_dir("copy.safetensors")));
    lithe_model_close(m);
    lithe_model_close(made);
}

/* ---- another handler ---------------------------------------------------------------------- */

static sigjmp_buf back;
static volatile sig_atomic_t seen;
static void note(int number) { seen = number; siglongjmp(back, 1); }

/* A fault elsewhere goes to the handler that was there first. */
static void other_faults_are_passed_on(void)
{
    lithe_error e = { 0 };
    struct sigaction act = { .sa_handler = note };
    int fd = open(pages_file("own", 1), O_RDWR);
    volatile char *own = mmap(NULL, 2 * PAGE, PROT_READ, MAP_SHARED, fd, 0);
    CHECK(own != MAP_FAILED && !sigaction(SIGBUS, &act, NULL) && !lithe_guard_files(&e));
    if (!sigsetjmp(back, 1)) CHECK(own[PAGE] == 0 && false);
    CHECK(seen == SIGBUS);
    close(fd);
}

/* ---- the program -------------------------------------------------------------------------- */

#define WAIT_FOR(condition) "i=0; until " condition "; do i=$((i+1)); [ $i -lt 3000 ] || exit 99; sleep .01; done; "
#define TEXT "i=0; while [ $i -lt 2000 ]; do i=$((i+1)); echo \"line $i of a text with some words\"; done > text.txt; "
#define RUN "$L train text.txt --tokenizer bytes --threads 1 --quiet "
#define LONG_RUN RUN "--arch gpt2 --params 20k --ctx 16 --batch 2 --steps 1000000 --save-every 1000000 --eval-every 1000000 "
#define MODEL RUN "--arch rwkv7 --params 60k --ctx 16 --batch 2 --steps 1 --out m; cp -rL m model; rm -r model/ckpt-*; "

/* Exit code 3, one line, and a checkpoint that the message names and that opens. */
static void stopped(int code, const char *file, const char *says)
{
    const char *end = strchr(err, '\n'), *saved = strstr(err, "is saved as ");
    CHECK_MSG(code == 3 && end && !end[1] && strstr(err, file) && strstr(err, says), "exit code %d: %s", code, err);
    CHECK_MSG(saved, "%s", err);
    if (saved) CHECK(sh("$L inspect %.*s", (int)strcspn(saved + strlen("is saved as "), "\n"), saved + strlen("is saved as ")) == 0);
}

static void run_whose_shard_changes(void)
{
    static const char began[] = WAIT_FOR("[ -s $R/log.jsonl ] && [ $(wc -l < $R/log.jsonl) -gt 4 ]");
    CHECK(sh(TEXT) == 0);
    stopped(sh("R=cut; " LONG_RUN "--out cut & %s truncate -s 4096 cut/data/train.shard; wait $!", began), "cut/data/train.shard", "to 4096 bytes");
    CHECK(sh("$L train --resume cut") == 3 && strstr(err, "cut/data/train.shard"));
    /* Ids and ends of documents of any value are read within bounds. */
    stopped(sh("R=over; " LONG_RUN "--out over & %s head -c 60000 /dev/zero | tr '\\000' '\\377' | dd of=over/data/train.shard bs=1024 conv=notrunc 2> dd; wait $!", began),
            "over/data/train.shard", "overwritten");
}

static void model_that_changes(void)
{
    static const char endless[] = "rm -f text; $L generate model a --max-tokens 10000000 --threads 1 > text & " WAIT_FOR("[ -s text ]");
    CHECK(sh(TEXT MODEL) == 0);
    CHECK(sh("cp -r model kept; %s truncate -s 5000 model/model.safetensors; wait $!", endless) == 3 && strstr(err, "model/model.safetensors: was changed"));
    CHECK(sh("rm -r model; cp -r kept model; %s cp kept/config.json model/model.safetensors; wait $!", endless) == 3 && strstr(err, "model/model.safetensors: was changed"));
    /* A model that is replaced by another is read to the end as it was. */
    CHECK(sh("rm -r model; cp -r kept model; rm text; $L generate model a --max-tokens 4000 --temperature 0 --threads 1 > text & " WAIT_FOR("[ -s text ]")
             "cp kept/config.json other; mv other model/model.safetensors; wait $!") == 0);
}

static void served_model_that_changes(void)
{
    if (sh("$L doctor | grep 'microhttpd *present'")) test_skip("built without libmicrohttpd");
    CHECK(sh(TEXT MODEL) == 0);
    CHECK(sh("$L serve model --port 0 > address & " WAIT_FOR("grep -q 'serving takes' err")
             "truncate -s 5000 model/model.safetensors; wait $!") == 3 && strstr(err, "model/model.safetensors: was changed"));
}

const test tests_changed_files[] = {
    { "changed files: a cut mapping reads zeros and is noted", cut_mapping_reads_zeros },
    { "changed files: an overwritten file is noted, a replaced one is not", overwritten_mapping },
    { "changed files: messages use a later name of the file", messages_use_the_later_name },
    { "changed files: an open model", open_model },
    { "changed files: faults elsewhere go to the handler before", other_faults_are_passed_on },
    { "changed files: a run whose shard changes is saved and ends", run_whose_shard_changes },
    { "changed files: a model that changes ends its text", model_that_changes },
    { "changed files: a model that changes ends its server", served_model_that_changes },
    { 0 }
};
