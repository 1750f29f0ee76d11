/* A run that is killed at any time, and continued, ends with the bytes of one that was not, and leaves nothing
 * else.  The program is killed at random times between its start and its end, in runs of each kind, and started again
 * as a person would: --resume once the run is there.
 *
 * Here a few kills of each kind of run; LITHE_KILLS=N (make check-kills) says how many. */
#include "leaves.h"
#include "base/file.h"
#include "base/random.h"
#include "shell.h"
#include "test.h"
#include "tiny_inputs.h"
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { FEW_KILLS = 2, KILLS_OF_A_RUN = 40 };

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* ---- one run ---------------------------------------------------------------------------- */

/* Its command line; from the moment a run is there it is continued.  The shell is replaced, so that what is killed is
 * the program itself. */
static pid_t start(const char *train)
{
    const char *what = path_exists(in_dir("work/o")) ? "$L train --resume o -q" : train;
    char line[2048];
    snprintf(line, sizeof line, "cd '%s' && TMPDIR=tmp LITHE_NUM_THREADS=1 exec %s > said 2>&1 < /dev/null", in_dir("work"), what);
    fflush(stdout);
    pid_t child = fork();
    if (child) return child;
    execl("/bin/sh", "sh", "-c", line, (char *)NULL);
    _exit(127);
}

static int wait_for(pid_t child)
{
    int status = 0;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) { }
    return status;
}

/* Kills it after some seconds; whether it ended by itself before. */
static bool ended(const char *train, double seconds)
{
    pid_t child = start(train);
    if (seconds > 0) {
        struct timespec pause = { (time_t)seconds, (long)(1e9 * (seconds - (double)(time_t)seconds)) };
        nanosleep(&pause, NULL);
        kill(child, SIGKILL);
    }
    int status = wait_for(child);
    CHECK_MSG(WIFSIGNALED(status) || WEXITSTATUS(status) == 0, "ended with %d: %s", WEXITSTATUS(status), sh("cat work/said") ? "" : out);
    return WIFEXITED(status);
}

/* log.jsonl without its times. */
static uint64_t log_hash(void)
{
    sh("sed -E 's/\"seconds\": [^,}]*//g' work/o/log.jsonl");
    return hash_bytes(out, strlen(out), 0);
}

static const char *const prepared = "rm -rf work; mkdir -p work/tmp";

/* Kills a run again and again until it has ended; returns how often. */
static long kill_until_it_ends(const char *train, double length, uint64_t *draw)
{
    long kills = 0;
    sh("%s", prepared);
    /* The more often it was killed, the more time it gets: a slow machine would not come to its end otherwise. */
    while (kills < KILLS_OF_A_RUN && !ended(train, length * random_unit(17, (*draw)++) * (1 + 0.1 * (double)kills))) kills++;
    return kills < KILLS_OF_A_RUN || ended(train, 0) ? kills : -1;
}

/* ---- kinds of runs -------------------------------------------------------------------------- */

static void killed(const char *prepare, const char *train)
{
    const char *asked = getenv("LITHE_KILLS");
    long wanted = asked ? atol(asked) : FEW_KILLS, kills = 0, runs = 0, wrong = 0;
    uint64_t draw = hash_bytes(train, strlen(train), 0);
    CHECK_MSG(!sh("%s; cd work && %s", prepared, prepare), "%s", err);
    double began = now();
    CHECK(ended(train, 0) && !leaves_strays(in_dir("work")));
    double length = now() - began;
    uint64_t expected = tree_hash(in_dir("work/o")), log = log_hash();
    for (; kills < wanted && wrong < 3; runs++) {
        long n = kill_until_it_ends(train, length, &draw);
        const char *why = n < 0 ? "never ended" : leaves_strays(in_dir("work")) ? "something else was left" : tree_hash(in_dir("work/o")) != expected ? "other bytes"
                        : log_hash() != log ? "another log" : NULL;
        if (why && ++wrong) CHECK_MSG(!why, "run %ld, killed %ld times: %s: %s", runs, n, why, sh("find work; cat work/said") ? "" : out);
        kills += n > 0 ? n : 0;
    }
    if (asked) printf("    %ld kills of %ld runs, %ld wrong\n", kills, runs, wrong);
}

#define STEPS " --ctx 16 --batch 4 --steps 60 --save-every 7 --eval-every 10 --eval-windows 4 -q --out o"

static void text(void)        { killed(TEXT GPT2, "$L train ../tiny.txt --config ../gpt2.json --tokenizer bytes" STEPS); }
static void vocabulary(void)  { killed(TEXT, "$L train ../tiny.txt --arch llama --params 30k --vocab 300" STEPS); }
static void masked(void)      { killed(TEXT, "$L train ../tiny.txt --arch bert --params 30k --vocab 300" STEPS); }
static void labelled(void)    { killed(BERT, "$L train ../t.tsv --from ../b --task classify" STEPS); }
static void images(void)      { killed(IMAGES, "$L train ../i-images-idx3-ubyte --arch vit --params 60k --batch 4 --steps 60 --save-every 7 --eval-every 10 -q --out o"); }
static void rwkv(void)        { killed(TEXT, "$L train ../tiny.txt --arch rwkv7 --params 60k --tokenizer bytes" STEPS); }
static void growth(void)      { killed(TEXT, "$L train ../tiny.txt --arch tokenformer --params 20k --tokenizer bytes --grow-at 20:2x,40:2x" STEPS); }

#define LARGER "$L train-tokenizer ../tiny.txt --vocab 300 --out ../larger.json -q"
static void changes(void)     { killed(TEXT LARGER, "$L train ../tiny.txt --arch gpt2 --params 20k --tokenizer bytes --grow-at 15:to=hybrid,35:vocabulary=../larger.json" STEPS); }

const test tests_kills[] = {
    { "kills: text", text },
    { "kills: text with its own vocabulary", vocabulary },
    { "kills: masked text", masked },
    { "kills: labelled texts", labelled },
    { "kills: images", images },
    { "kills: rwkv7", rwkv },
    { "kills: growing twice", growth },
    { "kills: growing into another architecture and vocabulary", changes },
    { 0 }
};
