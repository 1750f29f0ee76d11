/* The program, by transcripts: build/lithe is run as a shell would run it, in an
 * empty directory, and its exit code, stdout and stderr are looked at. */
#include "model/model.h"
#include "shell.h"
#include "test.h"
#include <jansson.h>
#include <stdlib.h>
#include <unistd.h>

/* stdout as one JSON document. */
static json_t *json_out(const char *schema)
{
    json_error_t at;
    json_t *value = json_loads(out, JSON_REJECT_DUPLICATES, &at);
    CHECK_MSG(value, "%s: %.200s", at.text, out);
    const char *said = json_string_value(json_object_get(value, "schema"));
    CHECK_MSG(said && !strcmp(said, schema), "schema is %s, expected %s", said ? said : "absent", schema);
    return value;
}

static double number(const json_t *value, const char *key) { return json_number_value(json_object_get(value, key)); }

/* About 30 kB of text with some structure. */
static const char make_text[] =
    "i=0; while [ $i -lt 600 ]; do echo \"the $((i % 7)) ships of $((i % 11)) kings sail north, and number $i returns.\"; i=$((i+1)); done > tale.txt";
static const char tiny[] = "--params 50k --ctx 32 --batch 4 --threads 1";

/* ---- the command line ---------------------------------------------------------- */

static void help_and_version(void)
{
    TRANSCRIPTS(
        { "$L --version", 0, "lithe 0", NULL }, { "$L --help", 0, "usage: lithe VERB", NULL }, { "$L -h", 0, "train-tokenizer", NULL },
        { "$L help", 0, "usage: lithe VERB", NULL }, { "$L", 2, NULL, "usage: lithe VERB" },
        { "$L train --help", 0, "--lr X", NULL }, { "$L help train --all", 0, "--weight-decay X", NULL },
        { "$L eval -h", 0, "first token", NULL }, { "$L help nothing", 2, NULL, "unknown verb" },
        { "$L train --arch help", 0, "gpt2", NULL }, { "$L train --schedule help", 0, "wsd\n", NULL },
        { "$L doctor", 0, "cpu", NULL }, { "$L doctor --json", 0, "{", NULL });
}

static void slips_are_understood(void)
{
    TRANSCRIPTS(
        { "$L trian x", 2, NULL, "did you mean train?" }, { "$L perplexity", 2, NULL, "did you mean eval?" },
        { "$L wibblewobble", 2, NULL, "lithe --help" }, { "$L --json", 2, NULL, "lithe VERB --json" },
        { "$L train x --lrr 1", 2, NULL, "unknown option --lrr; did you mean --lr?" },
        { "$L train x --learning-rate=1", 2, NULL, "did you mean --lr?" }, { "$L train x --weight 1", 2, NULL, "did you mean --weight-decay?" },
        { "$L train x --stpes 1", 2, NULL, "did you mean --steps?" }, { "$L generate x --tokens 5", 2, NULL, "unknown option --tokens; did you mean --max-tokens?" }, { "$L train x --qqqqqq", 2, NULL, "lithe train --help" },
        { "$L train x -Z", 2, NULL, "unknown option -Z" }, { "$L generate m --repetition-penalty 2", 2, NULL, "--repeat-penalty" });
}

static void values_are_checked(void)
{
    TRANSCRIPTS(
        { "$L train x --lr", 2, NULL, "--lr needs a value" }, { "$L train x --grow-at 3:2x --grow-at 5:2x", 2, NULL, "--grow-at is one list, and is given twice: write --grow-at=3:2x,5:2x" },
        { "$L train x --lr --steps 3", 2, NULL, "--lr needs a value" },
        { "$L train x --lr fast", 2, NULL, "'fast' is not a number" }, { "$L train x --lr 0x10", 2, NULL, "--lr" },
        { "$L train x --lr nan", 2, NULL, "--lr" }, { "$L train x --lr 1,5", 2, NULL, "--lr" }, { "$L train x --steps 1.5", 2, NULL, "whole number" },
        { "$L train x --steps 3Q", 2, NULL, "--steps" }, { "$L train x --steps 0", 2, NULL, "below the least" },
        { "$L train x --params 3MM", 2, NULL, "--params" }, { "$L train x --time 2m1h", 2, NULL, "not a time" },
        { "$L train x --warmup 3x", 2, NULL, "--warmup" }, { "$L train x --schedule cosin", 2, NULL, "cosine|constant" },
        { "$L train x --seed -1", 2, NULL, "--seed" }, { "$L train x --json=1", 2, NULL, "takes no value" },
        { "$L train x --steps 3 --tokens 3k", 2, NULL, "give one of them" }, { "$L train", 2, NULL, "lithe train DATA" },
        { "$L generate", 2, NULL, "an operand is missing" }, { "$L generate a b c", 2, NULL, "'c' is one operand too many" },
        { "$L logits m --out f", 2, NULL, "--ids" }, { "$L grow m --out d", 2, NULL, "how large" }, { "$L grow m --params 2y --out d", 2, NULL, "--params" },
        { "$L eval m", 2, NULL, "--text FILE" }, { "$L train-tokenizer x --out y", 2, NULL, "--vocab" });
}

static void environment_is_read(void)
{
    TRANSCRIPTS(
        { "printf ab | LITHE_JSON=yes $L tokenize bytes", 0, "\"ids\":[97,98]", NULL },
        { "printf ab | LITHE_JSON=1 $L tokenize bytes --no-json", 0, "97 98\n", NULL },
        { "printf ab | LITHE_JSON=maybe $L tokenize bytes", 2, NULL, "LITHE_JSON: 'maybe'" },
        { "printf ab | LITHE_THREADS=0 $L tokenize bytes", 2, NULL, "LITHE_THREADS" },
        { "LITHE_THREADS=0 $L tokenize --help", 0, "--threads N", NULL },
        { "printf ab | LITHE_NUM_THREADS=two $L tokenize bytes", 2, NULL, "LITHE_NUM_THREADS" },
        { "printf ab | LITHE_THREADS=zero $L tokenize bytes --threads 1", 2, NULL, "LITHE_THREADS" },
        { "printf ab | LITHE_NUM_THREADS=2 $L tokenize -qt1 bytes", 0, "97 98\n", NULL });
}

static void what_is_missing_is_named(void)
{
    TRANSCRIPTS(
        { "$L generate nosuch hello", 3, NULL, "nosuch" }, { "$L inspect nosuch", 3, NULL, "nosuch" }, { "$L plan nosuch.json", 3, NULL, "nosuch" },
        { "$L eval nosuch --text nosuch.txt", 3, NULL, "nosuch.txt" }, { "$L train nosuch.txt", 3, NULL, "nosuch.txt" },
        { "$L train --resume nosuch", 3, NULL, "nosuch" }, { "$L tokenize nosuch", 3, NULL, "nosuch" },
        { "$L logits nosuch --ids 1 --out f", 3, NULL, "nosuch" }, { "$L grow nosuch --params 2x --out d", 3, NULL, "nosuch" },
        { "$L convert nosuch there", 3, NULL, "nosuch" }, { "$L train-tokenizer nosuch --vocab 300 --out t.json", 3, NULL, "nosuch" },
        { "echo rubbish > r.safetensors; $L inspect r.safetensors", 3, NULL, "r.safetensors" },
        { "$L generate $ROOT/tests/golden/rwkv-pth/attack.pth x", 3, NULL, "refuses to load posix.system" }, { "test ! -e attacked", 0, NULL, NULL },
        { "$L convert $ROOT/tests/golden/rwkv-pth/legacy.pth made", 3, NULL, "format before 1.6" },
        { "mkdir empty; $L generate empty hi", 3, NULL, "empty" },
        { "$L generate $ROOT/tests/golden/gpt2 hi", 2, NULL, "--tokenizer" });
}

/* ---- text ------------------------------------------------------------------------ */

static void bytes_go_round(void)
{
    FILE *f = fopen("/dev/null", "w");
    char path[512];
    snprintf(path, sizeof path, "%s/all", test_dir());
    if (f) fclose(f);
    f = fopen(path, "wb");
    for (int i = 0; f && i < 256; i++) fputc(i, f);
    if (f) fclose(f);
    CHECK(sh("$L tokenize bytes < all > ids && $L detokenize bytes < ids > back && cmp all back") == 0);
    CHECK(sh("wc -w < ids") == 0 && atoi(out) == 256);
    TRANSCRIPTS(
        { "printf '' | $L tokenize bytes", 0, "\n", NULL }, { "printf 'hi' | $L tokenize bytes", 0, "104 105\n", NULL },
        { "printf '104,105\\n' | $L detokenize bytes", 0, "hi", NULL }, { "echo 104 x | $L detokenize bytes", 3, NULL, "'x' is not a token id" },
        { "echo 256 | $L detokenize bytes", 3, NULL, "id 256 at position 0" }, { "echo -1 | $L detokenize bytes", 3, NULL, "'-1'" },
        { "echo 99999999999 | $L detokenize bytes", 3, NULL, "not a token id" }, { "printf hi | $L tokenize bytes > /dev/full", 4, NULL, "standard output" });
    CHECK(sh("yes | head -c 3000000 > y; ($L tokenize bytes < y; echo $? > code) | head -c 1 > /dev/null; cat code") == 0);
    CHECK_MSG(!strcmp(out, "0\n") && !*err, "a closed pipe: %s%s", out, err);
}

static void tokenizers_are_learned(void)
{
    CHECK(sh("%s", make_text) == 0);
    CHECK_MSG(sh("$L train-tokenizer tale.txt --vocab 300 --out t.json") == 0, "%s", err);
    CHECK(!*out && strstr(err, "300 tokens"));
    CHECK(sh("$L train-tokenizer - --vocab 300 --out u.json -q < tale.txt && cmp t.json u.json") == 0 && !*err);
    CHECK(sh("$L tokenize t.json < tale.txt > ids; $L detokenize t.json < ids | cmp - tale.txt; wc -w < ids; wc -c < tale.txt") == 0);
    CHECK_MSG(atoi(out) > 0 && atoi(out) < 20000, "%s", out);
    CHECK(sh("printf '{\"id\": {\"text\": 1}, \"text\": \"ab\\\\u0061\\\\nb\\\\ud83d\\\\ude00\"}\\n{\"text\": \"ababab\"}\\n' > d.jsonl;"
             "printf 'aba\\nb\\360\\237\\230\\200\\n\\nababab\\n\\n' > d.txt;"
             "$L train-tokenizer d.jsonl --vocab 258 --out a.json -q && $L train-tokenizer d.txt --vocab 258 --out b.json -q && cmp a.json b.json") == 0);
    CHECK_MSG(sh("printf '[UNK]\nab\n##b\n' > vocab.txt && $L convert $ROOT/tests/golden/gpt2 lower --tokenizer vocab.txt --lowercase -q && "
                 "printf 'ABB' | $L tokenize vocab.txt && printf 'ABB' | $L tokenize lower && printf 'ABB' | $L tokenize vocab.txt --lowercase && printf 'ABB' | $L tokenize vocab.txt --no-lowercase") == 0 &&
              !strcmp(out, "1 2\n1 2\n1 2\n0\n"), "%s%s", out, err);
    CHECK_MSG(sh("$L train-tokenizer tale.txt --vocab 90 --kind wordpiece --lowercase --out w.json -q && printf 'The The' | $L tokenize w.json --special") == 0, "%s", err);
    CHECK_MSG(!strncmp(out, "2 ", 2) && strstr(out, " 3\n"), "%s", out);
    CHECK(sh("$L train-tokenizer tale.txt --vocab 300 --kind roberta --out r.json -q && printf 'a<mask>' | $L tokenize r.json --special") == 0);
    CHECK_MSG(!strcmp(out, "0 102 4 2\n"), "%s", out);
    CHECK(sh("gzip -k tale.txt && $L train-tokenizer tale.txt --vocab 300 --out p.json -q && $L train-tokenizer tale.txt.gz --vocab 300 --out q.json -q && cmp p.json q.json") == 0);
    TRANSCRIPTS({ "$L train-tokenizer tale.txt --vocab 256 --out v.json", 2, NULL, "expected 257" },
        { "$L train-tokenizer tale.txt --vocab 5 --kind wordpiece --out v.json", 2, NULL, "least, 6" },
        { "$L train-tokenizer tale.txt --vocab 300 --kind roberta --lowercase --out v.json", 2, NULL, "--kind wordpiece" });
}

/* ---- models ------------------------------------------------------------------------ */

static void models_are_inspected(void)
{
    CHECK_MSG(sh("$L inspect $ROOT/tests/golden/gpt2 --check-values --json") == 0, "%s", err);
    json_t *value = json_out("lithe.inspect.1"), *tensors = json_object_get(value, "tensors"), *first = json_array_get(tensors, 0);
    double total = 0;
    for (size_t i = 0; i < json_array_size(tensors); i++) {
        double n = 1;
        json_t *shape = json_object_get(json_array_get(tensors, i), "shape");
        for (size_t k = 0; k < json_array_size(shape); k++) n *= json_number_value(json_array_get(shape, k));
        total += n;
    }
    CHECK(json_is_integer(json_object_get(value, "parameters")) && number(value, "parameters") > 0);
    CHECK(total >= number(value, "parameters") && total <= number(value, "parameters"));
    CHECK(json_is_string(json_object_get(first, "name")) && json_is_string(json_object_get(first, "dtype")));
    CHECK(json_is_integer(json_object_get(first, "bad_values")));
    json_decref(value);
    CHECK(sh("$L inspect $ROOT/tests/golden/gpt2") == 0 && strstr(out, "gpt2") && strstr(out, "F32"));
    TRANSCRIPTS({ "printf '\\100\\0\\0\\0\\0\\0\\0\\0%-64s\\0\\0\\300\\177\\0\\0\\200\\77' '{\"x\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}' > n.safetensors;"
                  "$L inspect n.safetensors", 0, "F32", NULL },
                { "$L inspect n.safetensors --check-values", 6, "1 bad", "1 values are NaN or infinite" });
}

static void features_are_measured(void)
{
    CHECK(sh("%s; $L train tale.txt %s --arch llama --steps 2 --out r -q", make_text, tiny) == 0);
    CHECK_MSG(sh("$L inspect r --diversity --text tale.txt --ctx 16 --json") == 0, "%s", err);
    json_t *value = json_out("lithe.diversity.1"), *places = json_object_get(value, "places"), *last = json_array_get(places, json_array_size(places) - 1);
    CHECK(json_array_size(places) >= 4 && json_array_size(places) % 2 == 0 && number(value, "tokens") > 100);
    CHECK(json_is_null(json_object_get(last, "layer")) && number(json_object_get(last, "rel"), "mean") > 0 && number(last, "deff80") >= 1);
    json_decref(value);
    CHECK_MSG(sh("$L inspect r --diversity --text - --tokens 500 < tale.txt") == 0 && strstr(out, "post_mix") && strstr(out, "rank1"), "%s", err);
    TRANSCRIPTS({ "$L inspect r --diversity", 2, NULL, "--text FILE" }, { "$L inspect r --text tale.txt", 2, NULL, "--diversity" },
                { "$L inspect r --diversity --text nowhere.txt", 3, NULL, "nowhere.txt" }, { "echo | $L inspect r --diversity --text -", 2, NULL, "at least two" });
    CHECK_MSG(sh("$L grow r --to pangu-pi --out pi --json") == 0, "%s", err);
    value = json_out("lithe.grow.1");
    CHECK(json_is_true(json_object_get(value, "preserves")) && number(value, "max_difference") <= 0 && number(value, "max_logit") > 0);
    json_decref(value);
    CHECK_MSG(sh("$L train tale.txt --from pi --moments carry --steps 3 --out s -q && $L generate s king -n 5") == 0, "%s", err);
    CHECK(sh("$L train tale.txt -a llama --tokenizer bytes --params 20k --steps 2 --out b -q && $L train-tokenizer tale.txt --vocab 290 --out more.json -q") == 0);
    CHECK_MSG(sh("$L grow b --vocabulary more.json --out w && $L train tale.txt --from w --steps 2 --out x -q && $L generate x king -n 5") == 0, "%s", err);
    TRANSCRIPTS({ "$L grow r --to pangu-pi --params 2x --out no", 2, NULL, "how large" }, { "$L grow r --to gpt2 --out no", 2, NULL, "does not become" },
                { "$L grow r --to pangu-pi --set aug_scale=0.5 --out scaled", 0, "not preserved: aug_scale", "scaled written" });
}

static void logits_are_written(void)
{
    CHECK_MSG(sh("$L logits $ROOT/tests/golden/gpt2 --ids \"1 2 3\" --out f.safetensors -q && $L inspect f.safetensors --json") == 0, "%s", err);
    json_t *value = json_out("lithe.inspect.1"), *written = json_array_get(json_object_get(value, "tensors"), 0);
    json_t *shape = json_object_get(written, "shape");
    CHECK(!strcmp(json_string_value(json_object_get(written, "name")), "logits") && json_array_size(shape) == 2);
    CHECK(json_integer_value(json_array_get(shape, 0)) == 3);
    json_decref(value);
    TRANSCRIPTS({ "$L logits $ROOT/tests/golden/gpt2 --ids '1 99999999' --out g", 3, NULL, "id 99999999 at position 1" },
                { "$L logits $ROOT/tests/golden/gpt2 --ids '' --out g", 2, NULL, "no ids" },
                { "$L logits $ROOT/tests/golden/gpt2 --ids \"$(yes 1 | head -5000 | tr '\\n' ' ')\" --out g", 3, NULL, "context" },
                { "$L logits $ROOT/tests/golden/gpt2 --ids 1 --out /nosuch/g", 1, NULL, "/nosuch" });
}

/* One process, and two with a state between them: the same text, and in the end the same state. */
static void states_go_on(void)
{
    char models[2][9000];
    snprintf(models[0], sizeof models[0], "M='%s'; T=", test_data("checkpoints/stories260K/stories260K.bin"));
    snprintf(models[1], sizeof models[1], "M='%s'; T='--tokenizer bytes'", test_data("checkpoints/rwkv/tiny-rwkv-7v0-834K-FP32.bin"));
    for (int i = 0; i < 2; i++) {
        CHECK_MSG(sh("%s; $L generate $M 'Once upon' $T --seed 3 -n 40 --save-state s%d > whole && $L generate $M 'Once upon' $T --seed 3 -n 15 --save-state half > first && "
                     "$L generate $M $T --seed 3 -n 25 --load-state half --save-state half > second", models[i], i) == 0, "%s", err);
        CHECK_MSG(sh("cmp s%d half", i) == 0, "%s", out);
        /* A prompt that is only read, at once or in two parts. */
        CHECK_MSG(sh("%s; $L generate $M 'Once upon' $T -n 12 --temperature 0 --no-echo > whole && $L generate $M 'Once upon' $T -n 0 --save-state read && "
                     "$L generate $M $T -n 12 --temperature 0 --load-state read --no-echo > then && cmp whole then && $L generate $M $T Once -n 0 --save-state read --json | grep -q '\"tokens\":0'",
                     models[i]) == 0, "%s%s", out, err);
    }
    CHECK(sh("%s; $L generate $M --prompts p -n 0", models[0]) == 2 && sh("%s; $L chat $M -n 0", models[0]) == 2);
    CHECK_MSG(sh("%s; $L generate $M 'Once upon a time' -n 9 --temperature 0 --save-state a > whole && $L generate $M 'Once upon' -n 1 --temperature 0 --save-state b -q > first && "
                 "$L generate $M ' there' -n 1 --load-state b --temperature 0 --json", models[0]) == 0, "%s", err);
    json_decref(json_out("lithe.generate.1"));
    CHECK(sh("%s; $L generate $M -n 3 --load-state s0 $T", models[1]) == 3);
    CHECK_MSG(strstr(err, "s0: is a session of the llama model ") && strstr(err, "this is the rwkv7 model "), "%s", err);
    CHECK(sh("%s; $L generate $M -n 3 --load-state nosuch", models[0]) == 3 && strstr(err, "nosuch"));
    CHECK(sh("%s; $L generate $M One -n 3 --save-state /nosuch/s", models[0]) == 1 && strstr(err, "/nosuch"));
}

/* A conversation of two turns, of which only what is new is read, is the text of both written at once: of a
 * transformer, and of a recurrent model. */
static void models_take_turns(void)
{
    static const char *const lines = "printf '{%% for m in messages %%}{{ m.role.upper() }}: {{ m.content }}\\n{%% endfor %%}{{ \"ASSISTANT:\" if add_generation_prompt }}' > t.jinja";
    char models[2][9000];
    snprintf(models[0], sizeof models[0], "M='%s'; T=", test_data("checkpoints/stories260K/stories260K.bin"));
    snprintf(models[1], sizeof models[1], "M='%s'; T='--tokenizer bytes'", test_data("checkpoints/rwkv/tiny-rwkv-7v0-834K-FP32.bin"));
    for (int i = 0; i < 2; i++) {
        CHECK(sh("%s; %s; printf 'One day\n' | $L chat $M $T --template t.jinja --system Story --temperature 0 -n 12 > a", models[i], lines) == 0);
        CHECK_MSG(sh("%s; printf 'One day\nThe dog\n' | $L chat $M $T --template t.jinja --system Story --temperature 0 -n 12 > b", models[i]) == 0, "%s", err);
        CHECK_MSG(sh("%s; printf 'SYSTEM: Story\nUSER: One day\nASSISTANT:%%s\nUSER: The dog\nASSISTANT:' \"$(cat a)\" | $L generate $M - $T --no-echo -n 12 --temperature 0 --stop '\n' > c; "
                     "cat a c | cmp - b && test -s c && cat b", models[i]) == 0, "%s %s", out, err);
    }
    CHECK(sh("%s; printf 'One\nTwo\nThree\nFour\n' | $L chat $M $T --context 64 --temperature 0 -n 12", models[0]) == 0 && strstr(err, "dropped"));
    CHECK(sh("%s; $L chat $M $T --template nowhere < /dev/null", models[0]) == 3 && strstr(err, "template 'nowhere'"));
    CHECK(sh("%s; echo '{%% include 1 %%}' > t.jinja; $L chat $M $T --template t.jinja < /dev/null", models[0]) == 3 && strstr(err, "t.jinja: line 1: tag 'include' is not known"));
    CHECK(sh("%s; echo Hi | $L chat $M $T --template chatml --variables '[]'", models[0]) == 2 && strstr(err, "variables: expected an object"));
}

static void models_write_text(void)
{
    char model[9000];
    snprintf(model, sizeof model, "M='%s'", test_data("checkpoints/stories260K/stories260K.bin"));
    CHECK_MSG(sh("%s; $L generate $M 'Once upon a time' --temperature 0 -n 40", model) == 0, "%s", err);
    CHECK_MSG(!strncmp(out, "Once upon a time, there was a little girl named Lily. She loved to play outside", 60), "%s", out);
    static const char *const idle[] = { "--top-k 5", "--top-p 0.5", "--min-p 0.1", "--seed 3" };
    for (int i = 0; i < 4; i++) {
        CHECK_MSG(sh("%s; $L generate $M Once --temperature 0 -n 1 %s", model, idle[i]) == 2 && strstr(err, "at temperature 0"), "%s: %s", idle[i], err);
        CHECK_MSG(sh("%s; echo Once | $L chat $M --temperature 0 -n 1 %s", model, idle[i]) == 2 && strstr(err, "at temperature 0"), "%s: %s", idle[i], err);
        CHECK_MSG(sh("%s; $L generate $M Once -n 1 -q %s", model, idle[i]) == 0, "%s: %s", idle[i], err);
    }
    CHECK(sh("%s; $L generate $M 'Once upon a time' --temperature 0 -n 40 --no-echo --stop Lily", model) == 0);
    CHECK_MSG(!strcmp(out, ", there was a little girl named \n"), "%s", out);
    CHECK(sh("%s; printf 'Once upon a time' | $L generate $M - --temperature 0 -n 8 --json", model) == 0);
    json_t *value = json_out("lithe.generate.1");
    CHECK(!strcmp(json_string_value(json_object_get(value, "prompt")), "Once upon a time") && number(value, "tokens") <= 8);
    CHECK(!strcmp(json_string_value(json_object_get(value, "reason")), "length"));
    json_decref(value);
    CHECK(sh("%s; $L generate $M One --seed 5 -n 30 > a; $L generate $M One --seed 5 -n 30 > b; $L generate $M One --seed 6 -n 30 > c; cmp a b && ! cmp -s a c", model) == 0);
    CHECK(sh("%s; yes word | head -2000 | $L generate $M -", model) == 3);
    CHECK_MSG(strstr(err, "context") && !*out, "%s", err);
    CHECK(sh("%s; $L generate $M Once --context 16 -n 100 --ignore-eos --temperature 0", model) == 0 && strstr(err, "full"));
    CHECK(sh("%s; printf 'Once upon a time\\nThe end.\\n' | $L chat $M --temperature 0 -n 20", model) == 0);
    CHECK_MSG(strlen(out) > 20 && !*err, "%s|%s", out, err);
    CHECK(sh("%s; printf 'Once upon a time, there was a dog.' > t; $L eval $M --text t --json", model) == 0);
    value = json_out("lithe.eval.1");
    CHECK(number(value, "loss") > 0.1 && number(value, "loss") < 3 && number(value, "tokens") > 5 && number(value, "bytes") == 34);
    CHECK(number(value, "perplexity") > 1 && number(value, "bits_per_byte") > 0);
    json_decref(value);
    CHECK(sh("%s; $L convert $M d -q && $L generate d Once --temperature 0 -n 9 > a && $L generate $M Once --temperature 0 -n 9 > b && cmp a b", model) == 0);
    CHECK(sh("%s; $L convert $M d", model) != 0 && strstr(err, "d: "));
    CHECK(sh("%s; $L plan $M --no-ops && $L plan d --json", model) == 0);
}

/* ---- training ---------------------------------------------------------------------- */

static void a_life(void)
{
    CHECK(sh("%s", make_text) == 0);
    CHECK_MSG(sh("$L train tale.txt %s --steps 20 --out r", tiny) == 0, "%s", err);
    CHECK_MSG(!strcmp(out, "r\n"), "%s", out);
    CHECK_MSG(strstr(err, "tokenizer  byte-level BPE of 324 tokens") && strstr(err, "step 1/20  loss") && strstr(err, "bits per byte"), "%s", err);
    CHECK(!strchr(err, '\r') && !strchr(err, '\033'));
    CHECK(sh("test -e r/model.safetensors && grep -q -- '--params 50k' r/command.txt") == 0);
    CHECK_MSG(sh("$L train --resume r") == 0, "a finished run: %s", err);
    CHECK_MSG(sh("$L train --resume r --steps 30 --json") == 0, "%s", err);
    CHECK(strstr(out, "\"event\":\"step\",\"step\":21,\"steps\":30") && strstr(out, "\"event\":\"finished\""));
    CHECK(sh("gzip -kc tale.txt > packed; printf '\\357\\273\\277' | cat - tale.txt > marked.txt; for f in tale.txt packed marked.txt; do $L eval r --text $f; done | uniq | wc -l") == 0);
    CHECK_MSG(atoi(out) == 1, "the same text in other packings evaluates otherwise: %s", out);
    CHECK_MSG(sh("$L eval r --text tale.txt --json") == 0, "%s", err);
    json_t *value = json_out("lithe.eval.1");
    CHECK(number(value, "loss") > 0 && number(value, "loss") < 6);
    json_decref(value);
    CHECK_MSG(sh("$L generate r 'the 3 ships' -n 20 --seed 1") == 0 && !strncmp(out, "the 3 ships", 11), "%s", err);
    TRANSCRIPTS({ "$L train tale.txt --out r --steps 2", 2, NULL, "not empty" }, { "$L train --resume r --lr 1", 2, NULL, "--lr cannot be given" },
                { "$L train --resume r tale.txt", 2, NULL, "tale.txt" }, { "$L train tale.txt --from r --arch gpt2", 2, NULL, "--arch" },
                { "$L train tale.txt --from r --steps 3 --out f -q", 0, "f\n", NULL });
    CHECK_MSG(sh("$L train tale.txt %s --steps 2 -q; $L train tale.txt %s --steps 2 --vocab 300 -q", tiny, tiny) == 0, "%s", err);
    CHECK_MSG(!strcmp(out, "runs/tale-1\nruns/tale-2\n"), "%s", out);
}

static void a_model_grows(void)
{
    CHECK(sh("%s; $L train tale.txt %s --arch tokenformer --steps 10 --out r -q", make_text, tiny) == 0);
    CHECK_MSG(sh("$L grow r --params 2x --method A --out big --json") == 0, "%s", err);
    json_t *value = json_out("lithe.grow.1");
    double before = number(value, "params_before"), after = number(value, "params_after");
    CHECK_MSG(after > 1.9 * before && after < 2.1 * before, "%g -> %g", before, after);
    /* Method A: to the bit. */
    CHECK(json_is_true(json_object_get(value, "preserves")) && number(value, "max_difference") <= 0);
    CHECK(strstr(json_string_value(json_object_get(value, "compared_on")), "validation text"));
    json_decref(value);
    CHECK_MSG(sh("$L train tale.txt --from big --steps 3 --out s -q && $L generate s king -n 5") == 0, "%s", err);
    CHECK(sh("$L grow r --params 2x --out big") == 2 && strstr(err, "big"));
    CHECK(sh("$L grow r --params 2x --method Z --out other") == 2 && strstr(err, "Z"));
    TRANSCRIPTS({ "$L grow r --params 100000000000x --out absurd", 4, NULL, "GB" }, { "$L grow r --set num_layers=3 --where middle --out absurd", 2, NULL, "top" },
                { "$L grow r --params 2x --rewarm 20 --freeze-old --out c", 0, "root mean square", "c written" }, { "$L grow r --params 2x --out d", 0, "symmetry broken", "d written" });
    CHECK_MSG(sh("$L train tale.txt %s --arch gpt2 --steps 6 --grow-at 2:n_layer=4,n_inner=200,4:2x --grow-rewarm 3 --grow-old-lr 0.5 --grow-where spread --grow-seed 7 --out g", tiny) == 0, "%s", err);
    CHECK(strstr(err, "n_inner") && strstr(err, "symmetry broken"));
    CHECK(sh("$L train tale.txt %s --arch gpt2 --steps 6 --grow-at 2:2x --grow-noise 7 --out h", tiny) == 2);
    CHECK_MSG(sh("$L train tale.txt %s --arch gpt2 --schedule wsd --steps 10 --grow-at 8:n_inner=200,9:n_layer=4 --out w", tiny) == 0, "%s", err);
    CHECK(strstr(err, "growth     at step 9: wsd lowers the rate from step 8 on") && !strstr(err, "at step 8:"));
}

/* A model whose logits overflow: no growth of it can be shown to keep its outputs, and none is made. */
static void broken_promises(void)
{
    lithe_error error = { 0 };
    lithe_model *m = lithe_model_new("gpt2", "{\"vocab_size\":256,\"n_positions\":32,\"n_embd\":32,\"n_layer\":2,\"n_head\":2,\"tie_word_embeddings\":false}", 1, &error);
    real *weights = m ? weight_edit(&params_find(m->params, "lm_head.weight")->weight) : NULL;
    for (int i = 0; weights && i < 32 * 256; i++) weights[i] = (real)3e38;
    CHECK_MSG(m && !lithe_model_save(m, in_dir("wild"), NULL, NULL, &error), "%s", error.text);
    lithe_model_close(m);
    CHECK(sh("%s; $L grow wild --tokenizer bytes --text tale.txt --set n_inner=200 --out no", make_text) == 6);
    CHECK(strstr(err, "method duplicate promises the same outputs, yet a logit differs by") && strstr(err, "no was not written"));
    CHECK_MSG(sh("$L train tale.txt --from wild --tokenizer bytes --ctx 32 --batch 2 --threads 1 --eval-every 0 --steps 4 --grow-at 1:n_inner=200 --out r") == 6, "%s", err);
    CHECK_MSG(strstr(err, "step 1: method duplicate promises the same outputs, yet one differs by") && strstr(err, "the run stays as it was before growing"), "%s", err);
    CHECK(sh("! [ -e no ] && ! grep -q grew r/log.jsonl && [ -e r/log.jsonl ]") == 0);
}

static void signals_leave_a_checkpoint(void)
{
    CHECK(sh("%s", make_text) == 0);
    for (int i = 0; i < 2; i++) {
        int code = sh("$L train tale.txt %s --steps 1000000 --out s%d & p=$!; while ! [ -e s%d/log.jsonl ]; do sleep 0.05; done; sleep 0.3; kill -%s $p; wait $p",
                      tiny, i, i, i ? "TERM" : "INT");
        CHECK_MSG(code == (i ? 143 : 130), "exit code %d: %s", code, err);
        CHECK_MSG(strstr(err, "lithe train --resume s"), "%s", err);
        CHECK(sh("ls -d s%d/ckpt-* | wc -l", i) == 0 && atoi(out) > 0);
        CHECK_MSG(sh("$L generate s%d the -n 3", i) == 0, "%s", err);
    }
}

static void divergence_has_its_code(void)
{
    int code = sh("%s; $L train tale.txt %s --steps 50 --lr 1e6 --warmup 0 --no-clip --out r -q", make_text, tiny);
    CHECK_MSG(code == 5 && strstr(err, "diverged"), "exit code %d: %s", code, err);
}

static void terminals_get_a_bar(void)
{
    if (sh("command -v script") != 0) test_skip("no script(1) to make a terminal");
    CHECK(sh("%s", make_text) == 0);
    CHECK(sh("TERM=xterm LC_ALL=C.UTF-8 script -qec \"stty cols 120; $L train tale.txt %s --steps 9 --out a\" /dev/null", tiny) == 0);
    CHECK_MSG(strstr(out, "\r\033[K") && strstr(out, "9/9") && strstr(out, "█") && strstr(out, "\033[36m"), "%s", out);
    CHECK(sh("NO_COLOR=1 TERM=xterm LC_ALL=C script -qec \"stty cols 120; $L train tale.txt %s --steps 9 --out b\" /dev/null", tiny) == 0);
    CHECK_MSG(strstr(out, "9/9") && strstr(out, "###") && !strstr(out, "\033[36m"), "%s", out);
    CHECK(sh("TERM=dumb script -qec \"$L train tale.txt %s --steps 9 --out c\" /dev/null", tiny) == 0);
    CHECK_MSG(!strchr(out, '\033') && strstr(out, "step 9/9"), "%s", out);
}

/* ---- what the table makes ------------------------------------------------------------ */

static void manual_pages_are_clean(void)
{
    static const char *const readers[][2] = {
        { "man", "LC_ALL=C.UTF-8 MANWIDTH=80 man --warnings -E UTF-8 -l m.1 > page" }, { "groff", "groff -ww -man -z -Tutf8 m.1" }, { "mandoc", "mandoc -Tlint m.1" } };
    int ran = 0;
    for (size_t i = 0; i < sizeof readers / sizeof *readers; i++) {
        if (sh("command -v %s", readers[i][0]) != 0) continue;
        CHECK(sh("for v in $($L --help | sed -n 's/^  \\([a-z-]*\\)  .*/\\1/p') ''; do $L help --man $v > m.1; %s || echo $v; done", readers[i][1]) == 0);
        CHECK_MSG(!*err && !*out, "%s%s", out, err);
        ran++;
    }
    if (!ran) test_skip("no man(1), groff(1) or mandoc(1)");
}

static void completions_complete(void)
{
    CHECK(sh("$L completions bash > b && $L completions zsh > z && $L completions fish > f && bash -n b") == 0);
    CHECK(sh("command -v zsh > /dev/null || exit 0; zsh -n z") == 0);
    CHECK(sh("command -v fish > /dev/null || exit 0; fish -n f") == 0);
    CHECK(sh("cat > t.sh <<'END'\n. ./b\ntry() { COMP_WORDS=(lithe \"$@\"); COMP_CWORD=$#; _lithe; echo \"${COMPREPLY[*]}\"; }\n"
             "try gen\ntry train --sched\ntry train --schedule c\ntry train --schedule = w\n"
             "try train --arch = rwkv\ntry grow m --method a\ntry train --grow-method stac\ntry quantize m --to q4_K\ntry quantize m --vocabulary k\ntry bench m --types st\n"
             "try eval m --task lamb\ntry chat m --template world-\ntry completions f\ntry help deto\nEND\nbash t.sh 2>/dev/null") == 0);
    CHECK_MSG(!strcmp(out, "generate\n--schedule\ncosine constant\nwsd\nrwkv4 rwkv5 rwkv6 rwkv7\naki\nstack\nq4_K q4_K_M\nkeep\nstored\nlambada\nworld-instruction world-qa\nfish\ndetokenize\n"), "%s", out);
    CHECK(sh("$L completions tcsh") == 2);
}

/* A shell without a configuration loads the script and is asked for the values after `lithe ...`. */
static void completions_of_fish(void)
{
    if (sh("command -v fish") != 0) test_skip("no fish(1)");
    CHECK(sh("$L completions fish > f && HOME=$PWD fish --no-config -c 'source f; for line in \"lithe train --arch rwkv\" \"lithe quantize m --to q4_K\" \"lithe grow m --method ak\" "
             "\"lithe completions z\" \"lithe eval m --task lamb\" \"lithe train --schedule w\"; complete -C $line | string split -f1 \\t | string join \" \"; end; true'") == 0);
    CHECK_MSG(!strcmp(out, "rwkv4 rwkv5 rwkv6 rwkv7\nq4_K q4_K_M\naki\nzsh\nlambada\nwsd\n") && !*err, "%s%s", out, err);
}

/* The same of zsh, on a terminal of its own: each line is typed with Tab, and ^O writes down what became of it. */
static void completions_of_zsh(void)
{
    if (sh("command -v zsh") != 0) test_skip("no zsh(1)");
    CHECK(sh("$L completions zsh > _lithe && cat > z.zsh <<'END'\n"
             "zmodload zsh/zpty\nzpty z zsh -f -i\n"
             "zpty -w z 'PS1=; fpath=($PWD $fpath); autoload -U compinit; compinit -u -D; bindkey \"^I\" complete-word; p() { print -r -- \"<$BUFFER>\" >> got; BUFFER= }; zle -N p; bindkey \"^O\" p'\n"
             "for line in 'lithe train --arch=rwkv7' 'lithe quantize m --to=q6' 'lithe grow m --method=ak' 'lithe completions fi' 'lithe eval m --task=lam' 'lithe train --schedule=ws' 'lithe detok'; do\n"
             "    zpty -w -n z \"$line\"$'\\t\\x0f'\ndone\n"
             "for i in {1..600}; do [[ $(cat got 2>/dev/null | wc -l) -ge 7 ]] && break; sleep 0.05; done\nzpty -d z\nEND\nzsh -f z.zsh; cat got") == 0);
    CHECK_MSG(!strcmp(out, "<lithe train --arch=rwkv7 >\n<lithe quantize m --to=q6_K >\n<lithe grow m --method=aki >\n<lithe completions fish >\n<lithe eval m --task=lambada >\n"
                           "<lithe train --schedule=wsd >\n<lithe detokenize >\n"), "%s%s", out, err);
}

static void the_page_is_current(void)
{
    CHECK_MSG(sh("$L help --markdown | diff - $ROOT/docs/commands.md") == 0, "write it anew with lithe help --markdown: %.400s", out);
}

/* ---- labelled text and masked tokens ----------------------------------------------- */

static void labelled_text(void)
{
    sh("printf 'text\\tlabel\\n' > t.tsv; i=0; while [ $i -lt 60 ]; do printf 'good and fine %%d\\tup\\nbad and poor %%d\\tdown\\n' $i $i >> t.tsv; i=$((i+1)); done; "
       "sed 's/up/1.5/; s/down/-0.5/; s/label/score/' t.tsv > n.tsv; sed 's/poor 7.down/poor 7\tside/' t.tsv > wrong.tsv; sed 's/down$/left/' t.tsv > other.tsv");
    int code = sh("$L train t.tsv --task classify --params 30k --tokenizer bytes --ctx 32 --steps 40 --lr 3e-3 --threads 1 --out m");
    CHECK_MSG(code == 0, "%s", err);
    CHECK_MSG(strstr(err, "114 examples to train on, 6 to validate, 2 classes") && strstr(err, "accuracy") && strstr(err, "lithe classify m TEXT"), "%s", err);
    CHECK(sh("$L train n.tsv --task regress --from m --steps 30 --lr 3e-3 --threads 1 --out r") == 0);
    TRANSCRIPTS(
        { "$L classify m 'good and fine 3'", 0, "up\t0.", NULL }, { "$L classify m 'bad and poor 3' --top 2", 0, "\tup\t", NULL },
        { "printf 'good and fine 9\\nbad and poor 9\\tand more\\n' | $L classify m --text - --json", 0, "\"pair\":\"and more\",\"label\":\"", NULL },
        { "$L classify r 'good and fine 3'", 0, ".", NULL }, { "$L classify r x --json", 0, "\"value\":", NULL },
        { "$L eval m --task t.tsv", 0, "Matthews  (120 examples)", "columns: text \"text\", label \"label\"\n" },
        { "$L eval r --task n.tsv --json", 0, "\"spearman\":", "label \"score\"\n" },
        { "$L eval m --task other.tsv", 3, NULL, "other.tsv:3: label \"left\" is none of the 2" }, { "$L eval m --task n.tsv", 3, NULL, "n.tsv:2: label \"1.5\"" },
        { "$L train t.tsv --task classify --from m --valid wrong.tsv --steps 1 --out x", 3, NULL, "wrong.tsv:17: label \"side\" is none of the 2" },
        { "$L train t.tsv --task regress --from m --steps 1 --out x", 3, NULL, "t.tsv:2: label \"up\" is not a number" },
        { "$L train t.tsv --task classify --from m --text-column nothing --steps 1 --out x", 2, NULL, "no column called" },
        { "$L train --task classify t.tsv n.tsv", 2, NULL, "takes one table" }, { "$L eval m --task t.tsv --text t.tsv", 2, NULL, "two evaluations" },
        { "$L classify m", 2, NULL, "classify what?" }, { "$L fill m 'a [MASK]'", 3, NULL, "its task is \"classify\"" },
        { "$L embed m x --pooling mean --json", 0, "\"embedding\":[", NULL }, { "$L embed m", 2, NULL, "embed what?" });
    CHECK(sh("$L train t.tsv --from m --steps 3 --threads 1 --out again") == 0);      /* goes on with the head it has */
    CHECK_MSG(strstr(err, "2 classes"), "%s", err);
    CHECK_MSG(strstr(err, "\ncolumns    text \"text\", label \"label\"\n") && strstr(err, "\nclasses    down (57), up (57)\n"), "%s", err);
}

static void masked_tokens(void)
{
    sh("%s", make_text);
    int code = sh("$L train tale.txt --arch bert %s --steps 30 --lr 3e-3 --next-sentence --out b && $L train tale.txt --arch roberta %s --steps 5 --out r", tiny, tiny);
    CHECK_MSG(code == 0 && strstr(err, "next-sentence accuracy"), "%s", err);
    TRANSCRIPTS(
        { "$L fill b 'the 3 [MASK] of 5 kings sail'", 0, "\n", NULL }, { "$L fill b 'the [MASK] of [MASK]' --top 2 --json", 0, "\"masks\":[[{\"token\":", NULL },
        { "$L fill r 'the <mask> of kings' --top 1", 0, "\n", NULL }, { "$L fill r 'the [MASK] of kings'", 3, NULL, "no mask token in it" },
        { "$L embed b 'one text' 'another' --normalize", 0, " ", NULL }, { "$L embed b x --max-length 3000", 2, NULL, "--max-length 3000" },
        { "$L eval b --text tale.txt --seed 2", 0, "tokens masked, ctx 32)", NULL }, { "$L eval r --text tale.txt --mask-rate 0.5 --json", 0, "\"accuracy\":", NULL },
        { "$L eval b --text tale.txt --stride 2", 2, NULL, "is bidirectional" }, { "$L eval b --text tale.txt --mask-rate 0", 2, NULL, "a mask rate of 0" },
        { "$L classify b x", 3, NULL, "no head that classifies" }, { "$L train tale.txt --arch bert --mask-rate 2", 2, NULL, "--mask-rate" },
        { "$L train tale.txt --arch bert --tokenizer bytes --steps 1 --out x", 2, NULL, "no mask token" });
    CHECK(sh("$L train --resume b --steps 32 --threads 2") == 0);
}

const test tests_cli[] = {
    { "cli: help and version", help_and_version },
    { "cli: slips are understood", slips_are_understood },
    { "cli: values are checked", values_are_checked },
    { "cli: the environment is read", environment_is_read },
    { "cli: what is missing is named", what_is_missing_is_named },
    { "cli: bytes go round", bytes_go_round },
    { "cli: tokenizers are learned", tokenizers_are_learned },
    { "cli: models are inspected", models_are_inspected },
    { "cli: features are measured, a LLaMA becomes a PanGu-pi", features_are_measured },
    { "cli: logits are written", logits_are_written },
    { "cli: models write text", models_write_text },
    { "cli: models take turns", models_take_turns },
    { "cli: states go on", states_go_on },
    { "cli: a growth that breaks its promise", broken_promises },
    { "cli: train, resume, evaluate, generate", a_life },
    { "cli: a model grows", a_model_grows },
    { "cli: signals leave a checkpoint", signals_leave_a_checkpoint },
    { "cli: divergence has its exit code", divergence_has_its_code },
    { "cli: terminals get a bar", terminals_get_a_bar },
    { "cli: manual pages are clean", manual_pages_are_clean },
    { "cli: completions complete", completions_complete },
    { "cli: completions of fish", completions_of_fish },
    { "cli: completions of zsh", completions_of_zsh },
    { "cli: docs/commands.md is current", the_page_is_current },
    { "cli: labelled text", labelled_text },
    { "cli: masked tokens", masked_tokens },
    { 0 }
};
