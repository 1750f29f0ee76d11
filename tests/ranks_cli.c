/* The program under mpirun: it trains as one process does, says things once, and ends when a rank does. */
#include "test.h"
#include "train_runs.h"
#include "shell.h"

#define MPIRUN "OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 mpirun --oversubscribe "
#define SMALL  " -a gpt2 --params 30k --steps 8 --batch 6 --ctx 16 --no-sample -q"

static void need_mpirun(void)
{
    if (sh("command -v mpirun")) test_skip("mpirun is absent: apt-get install openmpi-bin");
    if (sh("$L doctor | grep -q '^mpi  *present'")) test_skip("lithe was built without MPI: apt-get install libopenmpi-dev, then make");
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
    CHECK(sh(MPIRUN "-n 4 $L train text.txt" SMALL " --batch 2 --out x") == 2 && strstr(err, "of the 4 ranks"));
    CHECK(sh("test -e x") != 0);
    if (sh("test $(nproc) -gt 1")) return;
    CHECK(sh(MPIRUN "-n 1 --bind-to none taskset -c 0 $L train text.txt -a gpt2 --params 30k --steps 2 --ctx 16 --no-sample --mpi on --out pinned") == 0
          && strstr(err, "is bound to only 1 of the "));
    CHECK(sh(MPIRUN "-n 1 --bind-to none $L train text.txt -a gpt2 --params 30k --steps 2 --ctx 16 --no-sample --mpi on --out free") == 0
          && !strstr(err, "is bound to"));
}

/* Waits until run/log.jsonl has more lines than this, a minute at most. */
#define UNTIL_LINES(n) "for i in $(seq 600); do [ -e run/log.jsonl ] && [ $(wc -l < run/log.jsonl) -gt " n " ] && break; sleep 0.1; done; "

#define LONGER " -a gpt2 --params 200k --steps 100 --save-every 10 --batch 8 --ctx 64 --no-sample -q --threads 1"

/* A rank is killed twice; resumed each time, the run ends as if it had not been.  tests/mpi/kills.sh does more. */
static void killed_and_resumed(void)
{
    need_mpirun();
    text_file();
    CHECK(sh(MPIRUN "-n 2 $L train text.txt" LONGER " --out whole") == 0);
    CHECK_MSG(sh(MPIRUN "-n 2 $L train text.txt" LONGER " --out run & job=$!; " UNTIL_LINES("20")
                 "kill -9 $(pgrep -P $job -x lithe | tail -1); wait $job; test $? -ne 0 && test ! -e run/model.safetensors") == 0, "%s", err);
    CHECK_MSG(sh(MPIRUN "-n 2 $L train --resume run --threads 1 -q & job=$!; " UNTIL_LINES("50")
                 "kill -9 $(pgrep -P $job -x lithe | head -1); wait $job; test $? -ne 0 && test ! -e run/model.safetensors") == 0, "%s", err);
    CHECK_MSG(sh(MPIRUN "-n 2 $L train --resume run --threads 1 -q") == 0, "%s", err);
    CHECK(same_file(in_dir("whole"), in_dir("run"), "model.safetensors"));
    same_checkpoint(in_dir("whole"), in_dir("run"), 100);
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
    { "ranks: mpirun with a rank killed", killed },
    { "ranks: mpirun with ranks killed and resumed, byte for byte", killed_and_resumed },
    { 0 }
};
