/* The program under mpirun: it trains as one process does, says things once, and ends when a rank does. */
#include "test.h"
#include "train_runs.h"
#include "shell.h"

/* Open MPI does not free all of its memory, which LeakSanitizer would report as ours. */
#define MPIRUN "ASAN_OPTIONS=$ASAN_OPTIONS:detect_leaks=0 OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 mpirun --oversubscribe "
#define SMALL  " -a gpt2 --params 30k --steps 8 --batch 6 --ctx 16 --no-sample -q"

static void need_mpirun(void)
{
    if (sh("command -v mpirun")) test_skip("mpirun is absent: apt-get install openmpi-bin");
    if (sh("pkg-config --exists mpi-c")) test_skip("Open MPI to build with is absent: apt-get install libopenmpi-dev, then make");
    CHECK_MSG(sh("$L doctor | grep -q '^mpi  *present'") == 0, "liblithe_mpi.so is missing though Open MPI is there: make");
}

static void by_mpirun(void)
{
    need_mpirun();
    text_file();
    CHECK(sh("$L train text.txt" SMALL " --out one") == 0);
    CHECK_MSG(sh(MPIRUN "-n 2 $L train text.txt" SMALL " --out two") == 0 && !strcmp(out, "two\n"), "%s%s", out, err);
    CHECK_MSG(sh(MPIRUN "-n 2 $L train text.txt" SMALL " --out again") == 0, "%s", err);
    CHECK(same_file(in_dir("two"), in_dir("again"), "model.safetensors"));
    CHECK(sh("cmp one/data/train.shard two/data/train.shard && cmp one/data/valid.shard two/data/valid.shard") == 0);
    CHECK(sh("$L eval one --text text.txt --json > a && $L eval two --text text.txt --json > b && test -s b") == 0);
    CHECK(sh("ls one | grep -v events | sort > a; ls two | grep -v events | sort > b; diff a b") == 0);
    CHECK_MSG(sh(MPIRUN "-n 3 $L train --resume two --steps 10 -q") == 0, "%s", err);
    CHECK(sh("grep -q '\"step\": 10, \"loss\"' two/log.jsonl") == 0);
}

static void said_once(void)
{
    need_mpirun();
    text_file();
    CHECK(sh(MPIRUN "-n 3 $L train text.txt --nonsense 2>&1 | grep -c 'unknown option'") == 0 && !strcmp(out, "1\n"));
    CHECK(sh(MPIRUN "-n 2 $L train absent.txt --out x") == 3 && strstr(err, "rank 0") && strstr(err, "absent.txt: cannot open"));
    CHECK(sh(MPIRUN "-n 4 $L train text.txt" SMALL " --batch 2 --out x") == 2 && strstr(err, "a step of 2 samples leaves nothing for some of the 4 ranks: ask for a batch of at least 4"));
    CHECK(sh(MPIRUN "-n 2 $L train text.txt" SMALL " --batch 5 --accumulate 3 --out x") == 2 && strstr(err, "of 5 samples in 3 parts") && strstr(err, "of at least 6"));
    CHECK(sh("test -e x") != 0);
}

static void bound_to_one_core(void)
{
    need_mpirun();
    if (sh("test $(nproc) -gt 1")) test_skip("there is one core only: no process can be bound to fewer");
    text_file();
    CHECK(sh(MPIRUN "-n 1 --bind-to none taskset -c 0 $L train text.txt -a gpt2 --params 30k --steps 2 --ctx 16 --no-sample --mpi on --out pinned") == 0
          && strstr(err, "is bound to only 1 of the "));
    CHECK(sh(MPIRUN "-n 1 --bind-to none $L train text.txt -a gpt2 --params 30k --steps 2 --ctx 16 --no-sample --mpi on --out free") == 0
          && !strstr(err, "is bound to"));
}

/* Rank 1 is started with another command: none trains, and the error names the rank and what differs. */
static void commands_differ(void)
{
    static const struct { const char *other, *says; } each[] = {
        { "other.txt" SMALL " --out x", "has DATA other.txt, but rank 0 DATA text.txt" }, { "text.txt text.txt" SMALL " --out x", "has DATA text.txt, but rank 0 nothing" },
        { "text.txt" SMALL " --out x --lr 0.5", "has --lr 0.5, but rank 0 no --lr" }, { "text.txt" SMALL " --out x --seed=9", "has --seed 9, but rank 0 no --seed" },
        { "text.txt" SMALL " --out x --wire bf16 -a rwkv7", "has --arch rwkv7, but rank 0 --arch gpt2" }, { "--resume y", "has no --arch, but rank 0 --arch gpt2" },
    };
    need_mpirun();
    text_file();
    for (size_t i = 0; i < sizeof each / sizeof *each; i++) {
        int code = sh(MPIRUN "-n 1 $L train text.txt" SMALL " --out x : -n 1 $L train %s", each[i].other);
        CHECK_MSG(code == 6 && strstr(err, "rank 1 on ") && strstr(err, each[i].says), "%s: %d %s", each[i].other, code, err);
    }
    CHECK(sh("test -e x") != 0);
    CHECK_MSG(sh(MPIRUN "-n 1 $L train text.txt" SMALL " --out x : -n 1 $L train -qt1 --out=x text.txt" SMALL) == 0, "%s", err);
    CHECK_MSG(sh(MPIRUN "-n 1 $L train text.txt" SMALL " --out z : -n 1 $L train --nonsense") != 0 && strstr(err, "rank 1: unknown option"), "%s", err);
}

/* Ranks whose threads are more than the cores that they are bound to. */
static void crowded(void)
{
#define FEW "train text.txt -a gpt2 --params 30k --steps 2 --ctx 16 --no-sample --mpi on --out "
    need_mpirun();
    text_file();
    CHECK_MSG(sh(MPIRUN "-n 2 --bind-to none taskset -c 0 $L " FEW "both") == 0 && strstr(err, " and 1 more on the same cores: 2 threads share 1 core;"), "%s", err);
    CHECK_MSG(sh(MPIRUN "-n 1 --bind-to none taskset -c 0 $L " FEW "two --threads 2") == 0 && strstr(err, ": 2 threads share 1 core;"), "%s", err);
    CHECK_MSG(sh("OMP_NUM_THREADS=2 " MPIRUN "-n 1 --bind-to none taskset -c 0 $L " FEW "three") == 0 && strstr(err, ": 2 threads share 1 core;"), "%s", err);
    CHECK_MSG(sh(MPIRUN "-n 1 --bind-to none $L " FEW "free --threads 1") == 0 && !strstr(err, "share"), "%s", err);
    CHECK(sh("$L " FEW "alone") == 2 && strstr(err, "no mpirun started this process"));
}

/* Without its file doctor says where it was looked for, and so does training; a run that diverges says so once. */
static void absent_or_diverged(void)
{
    need_mpirun();
    text_file();
    CHECK(sh("mkdir bare && cp -L $L bare/lithe && cp -L $(dirname $L)/liblithe.so.0 bare 2>/dev/null; bare/lithe doctor | grep '^mpi  *absent.*/bare/liblithe_mpi.so'") == 0);
    CHECK(sh("bare/lithe doctor --json | grep -q '\"mpi\": false'") == 0);
    CHECK_MSG(sh(MPIRUN "-n 2 bare/lithe train text.txt" SMALL " --out x 2>&1 | grep -c 'bare/liblithe_mpi.so, which is absent'") == 0 && !strcmp(out, "1\n"), "%s", out);
    CHECK(sh(MPIRUN "-n 2 $L train text.txt -a gpt2 --params 30k --steps 50 --batch 6 --ctx 16 --no-sample -q --lr 1e6 --no-clip --warmup 0 --out d 2> said; "
             "test $? -eq 5 && grep -c 'has diverged' said") == 0 && !strcmp(out, "1\n"));
    CHECK(sh(MPIRUN "-n 3 $L train --help | grep -c '^usage: lithe train'") == 0 && !strcmp(out, "1\n"));
}

/* Waits until run/log.jsonl has more lines than this, a minute at most. */
#define UNTIL_LINES(n) "for i in $(seq 3000); do [ -e run/log.jsonl ] && [ $(wc -l < run/log.jsonl) -gt " n " ] && break; sleep 0.02; done; "

/* Many steps, of which the first tens leave hundreds: a run must not end before it is killed. */
#define LONGER " -a gpt2 --params 200k --steps 400 --save-every 10 --batch 8 --ctx 64 --no-sample -q --threads 1"

/* A rank is killed twice; resumed each time, the run ends as if it had not been.  tests/mpi/kills.sh does more. */
static void killed_and_resumed(void)
{
    need_mpirun();
    text_file();
    CHECK(sh(MPIRUN "-n 2 $L train text.txt" LONGER " --out whole") == 0);
    CHECK_MSG(sh(MPIRUN "-n 2 $L train text.txt" LONGER " --out run & job=$!; " UNTIL_LINES("20")
                 "kill -9 $(pgrep -P $job -x lithe | tail -1); wait $job; test $? -ne 0 && test ! -e run/model.safetensors") == 0, "%s", err);
    CHECK_MSG(sh("lines=$(wc -l < run/log.jsonl); " MPIRUN "-n 2 $L train --resume run --threads 1 -q & job=$!; " UNTIL_LINES("$((lines + 30))")
                 "kill -9 $(pgrep -P $job -x lithe | head -1); wait $job; test $? -ne 0 && test ! -e run/model.safetensors") == 0, "%s", err);
    CHECK_MSG(sh(MPIRUN "-n 2 $L train --resume run --threads 1 -q") == 0, "%s", err);
    CHECK(same_file(in_dir("whole"), in_dir("run"), "model.safetensors"));
    same_checkpoint(in_dir("whole"), in_dir("run"), 400);
}

/* A rank that dies ends the others soon; SIGTERM ends all with a checkpoint. */
static void killed(void)
{
    need_mpirun();
    text_file();
    CHECK(sh(MPIRUN "-n 2 $L train text.txt" SMALL " --steps 2M --save-every 20 --out run & job=$!; " UNTIL_LINES("100")
             "kill -9 $(pgrep -P $job | tail -1); wait $job; test $? -ne 0") == 0);
    CHECK(sh("lines=$(wc -l < run/log.jsonl); " MPIRUN "-n 2 $L train --resume run --steps 2M -q & job=$!; " UNTIL_LINES("$((lines + 100))")
             "kill -TERM $job; wait $job; test $? -ne 0 && test $(wc -l < run/log.jsonl) -gt $((lines + 100))") == 0);
}

/* A shard that is cut ends all ranks with one line, and what was trained before is saved. */
static void data_cut(void)
{
    need_mpirun();
    text_file();
    CHECK(sh(MPIRUN "-n 2 $L train text.txt" LONGER " --steps 2M --save-every 2M --eval-every 2M --out run 2> said & job=$!; " UNTIL_LINES("20")
             "truncate -s 4096 run/data/train.shard; wait $job") == 3);
    CHECK_MSG(sh("grep -c '^lithe train: .*run/data.*; the run is saved as run/ckpt-' said; cat said >&2") == 0 && !strcmp(out, "1\n"), "%s", err);
    CHECK_MSG(sh("test $(grep -c 'lithe train' said) -eq 1 && $L inspect run") == 0, "%s", err);
}

/* Tables, masked tokens, recurrent windows: losses and metrics are those of one process. */
static void every_kind(void)
{
    static const char *const kinds[] = { "table.tsv --task classify -a llama --epochs 2", "text.txt -a bert --steps 6", "text.txt -a rwkv7 --bptt 2 --steps 6" };
    need_mpirun();
    text_file();
    CHECK(sh("for i in $(seq 1 60); do echo \"the cat $i\tcat\"; echo \"a dog ran $i\tdog\"; done > table.tsv") == 0);
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        CHECK_MSG(sh("$L train %s --params 60k --batch 6 --ctx 16 --no-sample -q --out one%zu", kinds[i], i) == 0, "%s", err);
        CHECK_MSG(sh(MPIRUN "-n 3 $L train %s --params 60k --batch 6 --ctx 16 --no-sample -q --out many%zu", kinds[i], i) == 0, "%s", err);
        CHECK(sh("cut -c1-24 one%zu/log.jsonl | grep loss > a; cut -c1-24 many%zu/log.jsonl | grep loss > b; test -s a && diff a b", i, i) == 0);
        CHECK(sh("grep -o '\"accuracy\": [0-9.]*' one%zu/log.jsonl > a; grep -o '\"accuracy\": [0-9.]*' many%zu/log.jsonl > b; diff a b", i, i) == 0);
    }
}

const test tests_ranks_cli[] = {
    { "ranks: mpirun writes the run of one process", by_mpirun },
    { "ranks: mpirun with every kind of data", every_kind },
    { "ranks: mpirun says a mistake once", said_once },
    { "ranks: mpirun with a rank bound to one core", bound_to_one_core },
    { "ranks: mpirun with commands that differ", commands_differ },
    { "ranks: mpirun with more threads than cores", crowded },
    { "ranks: mpirun without its file, and a run that diverges", absent_or_diverged },
    { "ranks: mpirun with a shard that is cut", data_cut },
    { "ranks: mpirun with a rank killed", killed },
    { "ranks: mpirun with ranks killed and resumed, byte for byte", killed_and_resumed },
    { 0 }
};
