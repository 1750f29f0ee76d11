/* Steps of a run once more: the figures are those of its log, and nothing is written. */
#include "leaves.h"
#include "lithe_tools.h"
#include "shell.h"
#include "test.h"
#include "tiny_inputs.h"

static const char *const prepare = "mkdir -p work && cd work; ";

static void steps_of_a_run(void)
{
    lithe_error e = { 0 };
    CHECK(sh("%s" TEXT GPT2 "$L train ../tiny.txt --config ../gpt2.json --tokenizer bytes --ctx 16 --batch 4 --steps 20 --save-every 5 --eval-every 4 -q --out o", prepare) == 0);
    uint64_t before = tree_hash(in_dir("work/o"));
    CHECK(sh("cp work/o/log.jsonl log") == 0);
    for (int step = 1; step <= 20; step++) {
        bool left = step > 15;                               /* the checkpoints of steps 15 and 20, which is the best */
        int code = sh("cd work; $L replay o %d", step);
        CHECK_MSG(code == 0 || (code == 2 && strstr(err, "no checkpoint before step") && !left), "step %d: exit code %d, %s", step, code, err);
        CHECK(code || (strstr(err, "as the log has it") && strstr(out, "gradient norm")));
    }
    CHECK(sh("cd work; $L replay o 18 --json") == 0 && strstr(out, "\"same\":true"));
    CHECK(tree_hash(in_dir("work/o")) == before && sh("cmp log work/o/log.jsonl") == 0);
    TRANSCRIPTS({ "cd work; $L replay o 21", 2, NULL, "is a run of 20 steps, it has no step 21" },
                { "cd work; $L replay o 0", 2, NULL, "expected a number from 1 on" }, { "cd work; $L replay o x", 2, NULL, "expected a number from 1 on" },
                { "cd work; $L replay absent 3", 3, NULL, "absent: is no run" });
    lithe_trainer *t = lithe_trainer_replay(in_dir("work/o"), 18, &e);
    lithe_event event = { 0 };
    CHECK_MSG(t && lithe_trainer_next(t, &event, &e) == 1 && event.step == 16, "%s", e.text);
    lithe_trainer_close(t);
    CHECK(!lithe_trainer_replay(in_dir("work"), 3, &e) && e.status == LITHE_EINVAL);
}

/* A log that says something else is noticed. */
static void another_log(void)
{
    CHECK(sh("%s" TEXT "$L train ../tiny.txt --arch rwkv7 --params 60k --tokenizer bytes --ctx 16 --batch 2 --steps 6 --save-every 3 -q --out o", prepare) == 0);
    CHECK(sh("cd work; sed -i 's/\"step\": 5, \"loss\": /\"step\": 5, \"loss\": 1/' o/log.jsonl; $L replay o 4") == 0);
    CHECK(sh("cd work; $L replay o 5") == 6 && strstr(err, "the log has something else: loss 1"));
    CHECK(sh("cd work; sed -i '/\"step\": 6/d' o/log.jsonl; $L replay o 6") == 0 && strstr(err, "the log has no step 6 yet"));
}

/* A step that was skipped is skipped again for the same reason, through growths and evaluations. */
static void skipped_and_grown(void)
{
    CHECK(sh("%s" TEXT "$L train ../tiny.txt --arch tokenformer --params 20k --tokenizer bytes --grow-at 3:2x --ctx 16 --batch 2 --steps 6 --save-every 3 -q --out o", prepare) == 0);
    CHECK(sh("cd work; $L replay o 5") == 0);
    CHECK(sh("cd work; $L train ../tiny.txt --arch gpt2 --params 20k --tokenizer bytes --lr 1000 --no-clip --warmup 0 --schedule constant --ctx 16 --batch 2 --steps 30 --save-every 2 -q --out x") == 5);
    CHECK(sh("cd work; s=$(grep skipped x/log.jsonl | tail -1 | sed 's/.*\"step\": \\([0-9]*\\).*/\\1/'); test -n \"$s\" && $L replay x $s") == 0 && strstr(out, "is skipped"));
}

const test tests_replay[] = {
    { "replay: the steps of a run", steps_of_a_run },
    { "replay: a log that says something else", another_log },
    { "replay: a skipped step, and after a growth", skipped_and_grown },
    { 0 }
};
