/* What the program refuses, and names: options that contradict each other, outputs that are there already, weights that
 * are no numbers; and rows that stay beside their lines. */
#include "shell.h"
#include "test.h"

static void contradictions(void)
{
    CHECK(sh("printf 'some text to learn from, again and again\\n%%.0s' $(seq 40) > t.txt; printf 'a\\t1\\nb\\t0\\n' > q.tsv; cp q.tsv q.csv; for i in 1 2 3 4 5 6 7 8; do cat q.tsv; done > long.tsv; mkdir full; cp t.txt full/") == 0);
    TRANSCRIPTS(
        { "$L train t.txt --vocab 300 --tokenizer bytes", 2, NULL, "--vocab learns a vocabulary and --tokenizer bytes has one: give one of them" },
        { "$L train t.txt --steps 2 --time 1m", 2, NULL, "give one of them" }, { "$L train t.txt --lr 0", 2, NULL, "--lr 0 changes nothing" },
        { "$L train t.txt --tokenizer bytes --params 20k --ctx 16 --steps 3 --grow-at 4:2x --out g", 2, NULL, "grow_at names step 4, but the last step is 3" },
        { "$L train t.txt --grow-method zzz", 2, NULL, "--grow-method says how to grow: say when" }, { "$L train t.txt --grow-old-lr 0.5", 2, NULL, "--grow-old-lr says how" },
        { "$L train t.txt --grow-at 3:2x --grow-old-lr 0", 2, NULL, "--grow-old-lr 0 is --grow-freeze-old" },
        { "$L grow m --params 2x --old-lr 0 --out g", 2, NULL, "--old-lr 0 is --freeze-old" }, { "$L grow m --vocabulary v --where spread --out g", 2, NULL, "--vocabulary adds tokens and nothing else" },
        { "$L train q.tsv --steps 1", 2, NULL, "q.tsv: is a table: --task classify learns its classes" }, { "$L train t.txt q.csv --steps 1", 2, NULL, "q.csv: is a table" },
        { "$L train - --tokenizer bytes --params 20k --ctx 8 --batch 1 --steps 1 --valid 50% --out asked < long.tsv", 0, "asked\n", "bytes" });
    CHECK_MSG(sh("! test -e g && ! test -e runs && ls -a | grep -c lithe") == 1 && !strcmp(out, "0\n"), "%s", out);
}

/* A growth that cannot be is refused before the first step, also one that comes after another; nothing is written. */
static void growths_to_come(void)
{
    static const char run[] = "$L train t.txt --arch gpt2 --params 20k --steps 12 --batch 2 --ctx 16 --tokenizer bytes --threads 1 -q --out g --grow-at ";
    static const struct { const char *growths; int code; const char *because; } cases[] = {
        { "5:n_layer=3,10:n_layer=2", 2, "the growth at step 10: n_layer would shrink from 3 to 2" }, { "5:1.5x,10:20k", 2, "the growth at step 10" }, { "5:10000000x", 4, "GB of memory" },
        { "5:n_embd=40,n_head=3", 3, "the growth at step 5" }, { "5:n_layer=3 --grow-method stack --grow-where bottom", 2, "the growth at step 5: method stack says where" } };
    CHECK(sh("printf 'some text to learn from, again and again\n%%.0s' $(seq 40) > t.txt") == 0);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        CHECK_MSG(sh("%s%s", run, cases[i].growths) == cases[i].code && strstr(err, cases[i].because), "%s: %s", cases[i].growths, err);
    CHECK(sh("test -e g") == 1);
}

/* What is written in fewer bits is measured as it was written; -q says nothing. */
static void grown_in_fewer_bits(void)
{
    double said = 0;
    CHECK_MSG(sh("$L grow $ROOT/tests/golden/gpt2 --set n_layer=3 --dtype bf16 --json --out g") == 0, "%s", err);
    const char *stored = strstr(out, "\"stored_difference\":");
    CHECK_MSG(stored && sscanf(stored, "\"stored_difference\":%lf", &said) == 1 && said > 1e-4 && strstr(out, "\"max_difference\":0,"), "%s", out);
    CHECK_MSG(sh("printf 'some text to learn from, again and again\n%%.0s' $(seq 40) > t.txt; $L train t.txt --arch gpt2 --params 20k --ctx 16 --batch 2 --tokenizer bytes --steps 1 --out r -q; "
                 "$L convert r c -q; $L train t.txt --from c --moments carry --steps 1 --out s") == 2 && strstr(err, "no moments to carry"), "%s", err);
    CHECK_MSG(sh("echo '{\"model_type\":\"gpt2\",\"vocab_size\":256,\"n_positions\":1024,\"n_embd\":8,\"n_layer\":1,\"n_head\":1}' > c.json; $L train t.txt --config c.json --ctx 16 --batch 1 --tokenizer bytes --steps 1 --out l -q; "
                 "$L grow l --set n_layer=2 --text t.txt --json --out l2") == 0 && strstr(out, "\"tokens\":1024"), "%s%s", out, err);
    CHECK_MSG(sh("$L grow $ROOT/tests/golden/gpt2 --set n_layer=3 -q --out h") == 0 && !*out && !*err, "%s%s", out, err);
}

/* Nothing is read or computed for an output that could not be written: the input need not even be there. */
static void outputs_that_are_there(void)
{
    CHECK(sh("mkdir full; echo text > full/t.txt; echo x > there.gguf; mkdir empty; ln -s full linked") == 0);
    TRANSCRIPTS(
        { "$L train nothing.txt --out full", 2, NULL, "full: exists and is not empty" }, { "$L train nothing.txt --out linked", 2, NULL, "linked: is there already" },
        { "$L train nothing.txt --out there.gguf", 2, NULL, "there.gguf: is there already: name a new directory" },
        { "$L grow nothing --params 2x --out full", 2, NULL, "full: exists and is not empty" }, { "$L convert nothing full", 2, NULL, "full: exists and is not empty" },
        { "$L convert nothing there.gguf", 2, NULL, "there.gguf: is there already: name a new file" },
        { "$L quantize nothing --to q8_0 --out there.gguf", 2, NULL, "there.gguf: is there already" }, { "$L convert nothing empty", 3, NULL, "nothing" },
        { "$L convert nothing m.onnx", 2, NULL, "m.onnx: ends as a file" }, { "$L train nothing.txt --out r.gguf", 2, NULL, "r.gguf: ends as a file" },
        { "$L grow nothing --params 2x --out m.zip", 2, NULL, "m.zip: ends as a file" }, { "$L convert nothing v1.2", 3, NULL, "nothing" },
        { "$L logits nothing --ids 1 --out there.gguf", 2, NULL, "there.gguf: is there already" }, { "$L train-tokenizer nothing --vocab 300 --out there.gguf", 2, NULL, "there.gguf: is there already" },
        { "$L logits nothing --ids 1 --out l.gguf", 2, NULL, "l.gguf: ends as another kind of file, and a .safetensors file is written" },
        { "$L train-tokenizer nothing --vocab 300 --out t.bin", 2, NULL, "t.bin: ends as another kind of file, and a .json file is written" },
        { "$L classify nothing --table nothing.csv --out there.gguf", 2, NULL, "there.gguf: is there already" }, { "$L eval nothing --task hellaswag --data x --out there.gguf", 2, NULL, "there.gguf: is there already" },
        { "printf 'version https://git-lfs.github.com/spec/v1\\nsize 12\\n' | $L tokenize bytes", 3, NULL, "standard input: is a Git LFS pointer" },
        { "printf ab > two.txt; $L train two.txt --tokenizer bytes --params 60k --ctx 16 --steps 1 --out r", 2, NULL, "two.txt: 1 tokens are held out for validation" });
}

/* An option that can do nothing is refused before anything is learned. */
static void options_without_effect(void)
{
    CHECK(sh("printf 'once upon a time there was a text that is long enough to be read as one\n%%.0s' $(seq 20) > t.txt") == 0);
    TRANSCRIPTS(
        { "$L train t.txt --arch gpt2 --mask-rate 0.3", 2, NULL, "--mask-rate is for encoders" }, { "$L train t.txt --packing sentences", 2, NULL, "--packing is for encoders" },
        { "$L train t.txt --static-masking", 2, NULL, "--static-masking is for encoders" }, { "$L train t.txt --label-column x", 2, NULL, "--label-column is for tables" },
        { "$L train t.txt --patch 4", 2, NULL, "--patch is for new models that read images" }, { "$L train t.txt --lowercase", 2, NULL, "--lowercase is for the vocab.txt of --tokenizer" },
        { "$L train t.txt --wire bf16", 2, NULL, "--wire is for several processes" }, { "$L train t.txt --schedule constant --min-lr 1e-5", 2, NULL, "--min-lr is where the rate of a schedule ends" },
        { "$L train t.txt --lr 1e-4 --min-lr 1e-3", 2, NULL, "--min-lr 0.001 is where the rate ends that begins at --lr 0.0001" }, { "$L train t.txt --steps 10 --warmup 11", 2, NULL, "--warmup 11 does not end in 10 steps" },
        { "$L eval m --text t.txt --out o", 2, NULL, "--out is for --data" }, { "$L eval m --text t.txt --label-column x", 2, NULL, "--label-column is for a table of --task" },
        { "$L eval m --task t.tsv --stride 4", 2, NULL, "--stride is for --text" }, { "$L eval m --task t.tsv --limit 4", 2, NULL, "--limit is for --data" },
        { "LITHE_MASK_RATE=0.3 $L train t.txt --arch gpt2 --tokenizer bytes --params 30k --ctx 16 --batch 2 --steps 1 --warmup 1 -q --out r", 0, "r\n", "" },
        { "$L train t.txt --arch bert --mask-rate 0.3 --packing sentences --static-masking --params 60k --ctx 16 --batch 2 --steps 1 -q --out b", 0, "b\n", "" });
}

/* The first or last number of the file becomes NaN; each command names the tensor that it is in. */
static void check_named(const char *place, const char *const *commands, size_t n)
{
    char says[300];
    CHECK(sh("rm -rf m; cp -r $ROOT/tests/golden/gpt2 m; f=m/model.safetensors; first=$((8 + $(od -An -tu8 -N8 $f))); last=$(($(stat -c %%s $f) - 4)); "
             "printf '\\0\\0\\300\\177' | dd of=$f bs=1 seek=$%s conv=notrunc 2> /dev/null", place) == 0);
    CHECK_MSG(sh("$L inspect m --check-values | grep '1 bad' | cut -d ' ' -f 1 | sed s/transformer.// | tr -d '\\n'") == 0 && strstr(out, "."), "%s %s", out, err);
    snprintf(says, sizeof says, "%.190s: value ", out);
    for (size_t i = 0; i < n; i++) {
        int code = sh("%s", commands[i]);
        CHECK_MSG(code == 3 && strstr(err, says) && strstr(err, " is nan"), "%s: %d %s, expected %s", commands[i], code, err, says);
    }
}

static void weights_that_are_no_numbers(void)
{
    static const char *const commands[] = { "$L logits m --ids '1 2 3' --out l", "$L generate m 0 -n 2 --tokenizer d", "$L eval m --text t.txt --tokenizer d", "$L grow m --params 2x --out l", "$L convert m l", "$L convert m l.gguf", "$L quantize m --to q8_0 --out l.gguf",
        "$L train t.txt --from m --tokenizer d --steps 2 --ctx 8 --out l", "$L bench m --tokenizer d", "$L generate m 0 -n 2 --tokenizer d --temperature 0",
        "echo 1 | $L chat m --tokenizer d", "$L inspect m --diversity --text t.txt --tokenizer d", "$L embed m 0 --tokenizer d" };
    enum { COMMANDS = sizeof commands / sizeof *commands };
    CHECK(sh("printf '0123456789%%.0s' $(seq 100) > t.txt; mkdir d; { printf '{'; for i in 0 1 2 3 4 5 6 7 8 9; do printf '\"%%s\":%%s,' $i $i; done; printf '\"<|endoftext|>\":10}'; } > d/vocab.json; "
             "echo '#version: 0.2' > d/merges.txt") == 0);
    check_named("first", commands, COMMANDS);
    check_named("last", commands, COMMANDS - 2);        /* of the row of a token that the last two do not read */
    CHECK(sh("test -e l -o -e l.gguf") == 1);
}

/* Empty lines have results of their own. */
static void rows_stay_beside_lines(void)
{
    CHECK(sh("printf 'good\\tup\\nbad\\tdown\\n%%.0s' $(seq 20) > t.tsv; printf '[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\ngood\nbad\n' > vocab.txt; "
             "$L train t.tsv --task classify --params 30k --arch bert --tokenizer vocab.txt --ctx 16 --steps 1 --out m") == 0 && strstr(err, "try: lithe classify m TEXT\n"));
    TRANSCRIPTS(
        { "printf 'good\\n\\nbad\\n' | $L classify m --text - | wc -l", 0, "3\n", NULL }, { "printf 'good\\n\\n\\nbad' | $L embed m --text - | wc -l", 0, "4\n", NULL },
        { "printf 'good\\n\\nbad\\n' > r.txt; printf '{\"text\":\"good\"}\\n{\"text\":\"\"}\\n{\"text\":\"bad\"}\\n' > r.jsonl; gzip -k r.txt; $L embed m --text r.txt > a; "
          "$L embed m --text r.jsonl | cmp - a && $L embed m --text r.txt.gz | cmp - a && $L tokenize m < r.txt > b && $L tokenize m < r.txt.gz | cmp - b", 0, "", NULL },
        { "bzip2 < r.txt > r.bz2; $L embed m --text r.bz2", 3, NULL, "r.bz2: is a file of bzip2" }, { "$L tokenize m < r.bz2", 3, NULL, "is a file of bzip2" },
        { "printf '\\n' | $L classify m --text - --json", 0, "{\"schema\":\"lithe.classify.1\",\"text\":\"\",", NULL });
}

/* A message speaks of what the person gave, and of what would help. */
static void messages(void)
{
    CHECK(sh("printf 'once upon a time there was a text that is long enough to be read as one\n' > novel.txt; mkdir lone; cp $ROOT/tests/golden/rwkv-pth/rwkv4.pth lone/") == 0);
    TRANSCRIPTS(
        { "$L inspect novel.txt", 3, NULL, "novel.txt: is a text, and no file of a model's tensors" },
        { "$L generate lone", 3, NULL, "lone: holds no model.safetensors, pytorch_model.bin or index of shards; a model may be the file lone/rwkv4.pth" },
        { "$L generate lone/rwkv4.pth", 2, NULL, "an RWKV vocabulary" }, { "head -c 100 /dev/zero > zeros.gguf; $L inspect zeros.gguf", 3, NULL, "zeros.gguf: is no GGUF file" },
        { "$L generate $ROOT/tests/golden/vit hi", 3, NULL, "a vit reads images, not text: lithe classify it" },
        { "$L train novel.txt --config novel.txt --tokenizer bytes", 3, NULL, "novel.txt: line 1" },
        { "$L train novel.txt --arch rwkv", 2, NULL, "--arch rwkv could be rwkv4, rwkv5, rwkv6, rwkv7: name one of them" },
        { "$L grow $ROOT/tests/golden/gpt2 --to pangu-pi --out g", 2, NULL, "a gpt2 does not become a pangu_pi, which extends llama" },
        { "ulimit -f 8; $L convert $ROOT/tests/golden/gpt2 fresh", 4, NULL, "/fresh/model.safetensors: cannot write" },
        { "ls -A | grep -c lithe-model", 1, "0\n", NULL },
        { "$L generate lone --stop ''", 2, NULL, "--stop" });
}

const test tests_refusals_cli[] = {
    { "cli: contradictions are refused", contradictions },
    { "cli: growths that cannot be are refused before the first step", growths_to_come },
    { "cli: a grown model in fewer bits is measured as written", grown_in_fewer_bits },
    { "cli: outputs that are there already", outputs_that_are_there },
    { "cli: options without effect", options_without_effect },
    { "cli: weights that are no numbers", weights_that_are_no_numbers },
    { "cli: messages speak of what was given", messages },
    { "cli: rows stay beside lines", rows_stay_beside_lines },
    { 0 }
};
