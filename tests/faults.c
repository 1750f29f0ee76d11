/* No fault gives a wrong result: each allocation, and each opening, mapping, reading, writing, seeking, cutting,
 * syncing, locking, looking at, linking, renaming and removing, of whole commands is failed once, and from then on
 * (tests/faults/inject.c).  A command then ends with the code that the fault asks for and one line, or its output is
 * byte for byte that of a command without faults.  What it leaves is nothing, or a whole output, or a run that
 * continues to the same bytes.
 *
 * Here some of the points of each kind; with LITHE_FAULTS=all (make check-faults) every one. */
#include "base/file.h"
#include "leaves.h"
#include "shell.h"
#include "test.h"
#include "tiny_inputs.h"
#include <stdlib.h>
#include <unistd.h>

typedef struct {
    const char *prepare;        /* makes what the command reads */
    const char *command;        /* in an empty directory beside it */
    const char *out;            /* what it writes, or NULL */
    bool run;                   /* which is a run */
} scenario;

typedef struct { const char *name; long count; } kind;
enum { KINDS = 16, SAMPLES = 3, REPORTS = 12 };

typedef struct { const scenario *s; char stdout_bytes[1 << 16]; uint64_t tree; int reports; long points; } check;

/* ---- one point ------------------------------------------------------------------------- */

/* In an empty directory, or again where it was. */
static int command(const scenario *s, bool again, const char *fault)
{
    return sh("%s cd work; export TMPDIR=tmp LITHE_NUM_THREADS=1 LITHE_FAULT_COUNTS=../counts LITHE_FAULT=%s; F=$ROOT/build/lithe-faults; %s",
              again ? "" : "rm -rf work; mkdir work work/tmp;", fault, s->command);
}

static const char *out_path(const scenario *s)
{
    static char path[512];
    snprintf(path, sizeof path, "%s/%s", in_dir("work"), s->out);
    return path;
}

/* One line of the program, not counting what it says of its progress. */
static int messages(void)
{
    int n = 0;
    for (const char *at = err; at && *at; at = strchr(at, '\n'), at += at != NULL) n += !strncmp(at, "lithe ", 6) || !strncmp(at, "lithe: ", 7);
    return n;
}

/* EIO, of which these fail, is no lack. */
static bool right_code(const char *fault, int code)
{
    static const char *const broken[] = { "read", "readdir", "lseek", "ftruncate", "fsync", "stat", "link", "rename", "unlinkat", "realpath" };
    for (size_t i = 0; i < sizeof broken / sizeof *broken; i++)
        if (!strncmp(fault, broken[i], strlen(broken[i])) && (code == 1 || code == 3)) return true;
    return code == 4;
}

/* Whether it says that it uses an older checkpoint, whose output is another. */
static bool says_older(void)
{
    const char *used = strstr(err, "; ckpt-");
    return strstr(err, "; continuing from ckpt-") || (used && strstr(used, " is used"));
}

static const char *lock_path(const scenario *s)
{
    static char path[600];
    snprintf(path, sizeof path, "%s/lock", out_path(s));
    return path;
}

static const char *judge(check *c, const char *fault)
{
    const scenario *s = c->s;
    int code = command(s, false, fault);
    if (code > 5) return "ended by a signal";
    /* The lock may outlive its process, and says of which it is. */
    if (s->run && !strncmp(fault, "unlinkat", 8)) unlink(lock_path(s));
    if (code == 0) {
        if (says_older()) return NULL;
        if (strcmp(out, c->stdout_bytes)) return "other standard output, exit code 0";
        return s->out && tree_hash(out_path(s)) != c->tree ? "other output, exit code 0" : NULL;
    }
    if (messages() != 1) return "not one message";
    if (!right_code(fault, code)) return "another exit code";
    bool made = s->out && path_exists(out_path(s)), strays = leaves_strays(in_dir("work"));
    if (!made && !strays) return NULL;
    if (made && s->run && sh("cd work && LITHE_NUM_THREADS=1 TMPDIR=tmp $L train --resume %s --steps 4 --save-every 2 -q", s->out)) return "the run cannot be resumed";
    if (!made && command(s, true, "none:0")) return "it cannot be repeated";
    if (s->out && tree_hash(out_path(s)) != c->tree) return made && !s->run ? "a part of an output" : "the output when it goes on is another";
    return leaves_strays(in_dir("work")) ? "something stays" : NULL;
}

static void look(check *c, const char *name, long at, const char *after)
{
    char fault[64], said[600];
    snprintf(fault, sizeof fault, "%s:%ld%s", name, at, after);
    const char *wrong = judge(c, fault);
    snprintf(said, sizeof said, "%.500s", err);
    c->points++;
    if (!wrong || c->reports++ >= (getenv("LITHE_FAULTS") ? 1000 : REPORTS)) return;
    CHECK_MSG(!wrong, "%s: %s: %s", fault, wrong, said);
}

/* ---- all points ------------------------------------------------------------------------ */

/* One more than there should be, so that it would be seen. */
static int read_counts(kind kinds[KINDS + 1])
{
    static char names[KINDS + 1][16];
    FILE *f = fopen(in_dir("counts"), "r");
    int n = 0;
    while (f && n <= KINDS && fscanf(f, "%15s %ld", names[n], &kinds[n].count) == 2) { kinds[n].name = names[n]; n++; }
    if (f) fclose(f);
    return n;
}

static void every_fault(const scenario *s)
{
    static check c;
    kind kinds[KINDS + 1];
    const char *all = getenv("LITHE_FAULTS");
    c = (check){ .s = s };
    CHECK_MSG(!sh("mkdir -p work && cd work && %s", s->prepare), "%s", err);
    CHECK_MSG(!command(s, false, "none:0"), "%s", err);
    snprintf(c.stdout_bytes, sizeof c.stdout_bytes, "%s", out);
    if (s->out) c.tree = tree_hash(out_path(s));
    int n = read_counts(kinds);
    CHECK(n == KINDS);
    for (int k = 0; k < n; k++) {
        if (all && strcmp(all, "all") && strcmp(all, kinds[k].name)) continue;
        long step = all ? 1 : kinds[k].count / SAMPLES + 1;
        for (long at = step / 2; at < kinds[k].count; at += step) {
            look(&c, kinds[k].name, at, "");
            if (!all || k || at % 16 == 0) look(&c, kinds[k].name, at, "+");
        }
    }
    if (all) printf("    %ld faults, %d wrong\n", c.points, c.reports);
}

/* ---- the commands ------------------------------------------------------------------------ */

static void training(void)
{
    every_fault(&(scenario){ TEXT GPT2, "$F train ../tiny.txt --config ../gpt2.json --tokenizer bytes --out o" TRAIN, "o", true });
}

static void training_with_a_vocabulary(void)
{
    every_fault(&(scenario){ TEXT, "$F train ../tiny.txt --arch gpt2 --params 30k --vocab 300 --out o" TRAIN, "o", true });
}

static void training_rwkv(void)
{
    every_fault(&(scenario){ TEXT, "$F train ../tiny.txt --arch rwkv7 --params 100k --tokenizer bytes --out o" TRAIN, "o", true });
}

static void training_labels(void)
{
    every_fault(&(scenario){ BERT, "$F train ../t.tsv --from ../b --task classify --out o --ctx 16 --batch 4 --steps 4 --save-every 2 --eval-every 2 -q", "o", true });
}

static void training_images(void)
{
    every_fault(&(scenario){ IMAGES,
                             "$F train ../i-images-idx3-ubyte --arch vit --params 60k --out o --batch 4 --steps 4 --save-every 2 --eval-every 2 -q", "o", true });
}

static void training_and_growing(void)
{
    every_fault(&(scenario){ TEXT, "$F train ../tiny.txt --arch tokenformer --params 20k --tokenizer bytes --grow-at 2:2x --out o" TRAIN, "o", true });
}

static void resuming(void)
{
    every_fault(&(scenario){ TEXT GPT2 "$L train ../tiny.txt --config ../gpt2.json --tokenizer bytes --out ../m --ctx 16 --batch 2 --steps 2 --eval-every 2 --eval-windows 4 -q",
                             "cp -r ../m o; $F train --resume o --steps 4 --save-every 2 -q", "o", true });
}

static void replaying(void)     { every_fault(&(scenario){ MODEL, "$F replay ../m 4", NULL, false }); }
static void growing(void)       { every_fault(&(scenario){ MODEL, "$F grow ../m --params 2x --out o", "o", false }); }
static void converting(void)    { every_fault(&(scenario){ MODEL, "$F convert ../m o --dtype bf16", "o", false }); }
static void quantizing(void)    { every_fault(&(scenario){ MODEL, "$F quantize ../m --to q8_0 --out o.gguf", "o.gguf", false }); }
static void generating(void)    { every_fault(&(scenario){ MODEL, "$F generate ../m 'The king said' -n 8 --repeat-penalty 1.5 --save-state o", "o", false }); }
static void evaluating(void)    { every_fault(&(scenario){ MODEL, "$F eval ../m --text ../tiny.txt", NULL, false }); }
static void tokenizing(void)    { every_fault(&(scenario){ TEXT "$L train-tokenizer ../tiny.txt --vocab 300 --out ../tok.json", "$F tokenize ../tok.json < ../tiny.txt", NULL, false }); }
static void learning(void)      { every_fault(&(scenario){ TEXT, "$F train-tokenizer ../tiny.txt --vocab 300 --out o.json", "o.json", false }); }
static void learning_words(void){ every_fault(&(scenario){ TEXT, "$F train-tokenizer ../tiny.txt --vocab 200 --kind wordpiece --lowercase --out o.json", "o.json", false }); }
static void embedding(void)     { every_fault(&(scenario){ BERT, "$F embed ../b 'a good film' 'the bad night'", NULL, false }); }
static void filling(void)       { every_fault(&(scenario){ BERT, "$F fill ../b 'a [MASK] film'", NULL, false }); }
static void classifying(void)
{
    every_fault(&(scenario){ BERT "; $L train ../t.tsv --from ../b --task classify --out ../c --ctx 16 --batch 4 --steps 2 -q", "$F classify ../c 'a good film'", NULL, false });
}

/* Every format of models, and of tokenizers. */
static void reading(void)
{
    static const char *const models[] = { "gpt2-sharded", "gpt_neox-bin", "gguf/rwkv7.gguf", "rwkv-cpp/rwkv6.bin", "rwkv-pth/rwkv4.pth" };
    static const char *const tokenizers[] = { "gguf/tokenizer-llama.gguf", "gguf/tokenizer-gpt2.gguf", "gguf/tokenizer-bert.gguf", "text/herbert" };
    char command[200];
    for (size_t i = 0; i < sizeof models / sizeof *models; i++) {
        snprintf(command, sizeof command, "$F logits $ROOT/tests/golden/%s --ids '1 2' --out o.safetensors", models[i]);
        every_fault(&(scenario){ TEXT, command, "o.safetensors", false });
    }
    for (size_t i = 0; i < sizeof tokenizers / sizeof *tokenizers; i++) {
        snprintf(command, sizeof command, "echo the king said | $F tokenize $ROOT/tests/golden/%s", tokenizers[i]);
        every_fault(&(scenario){ TEXT, command, NULL, false });
    }
}

const test tests_faults[] = {
    { "faults: training", training },
    { "faults: training with a vocabulary", training_with_a_vocabulary },
    { "faults: training rwkv7", training_rwkv },
    { "faults: training on labels", training_labels },
    { "faults: training on images", training_images },
    { "faults: training and growing", training_and_growing },
    { "faults: resuming", resuming },
    { "faults: replaying", replaying },
    { "faults: reading every format", reading },
    { "faults: growing", growing },
    { "faults: converting", converting },
    { "faults: quantizing", quantizing },
    { "faults: generating", generating },
    { "faults: evaluating", evaluating },
    { "faults: tokenizing", tokenizing },
    { "faults: learning a vocabulary", learning },
    { "faults: learning a vocabulary of words", learning_words },
    { "faults: embedding", embedding },
    { "faults: filling", filling },
    { "faults: classifying", classifying },
    { 0 }
};
