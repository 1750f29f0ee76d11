/* lithe generate --prompts: the lines are those of `generate` alone, in the order of the prompts, for any number of
 * texts at once; a mistake in the file is named before anything is written. */
#include "shell.h"
#include "test.h"
#include <jansson.h>
#include <stdlib.h>

static json_t *line_of(const char **at)
{
    const char *end = strchr(*at, '\n');
    json_t *value = json_loadb(*at, end ? (size_t)(end - *at) : 0, 0, NULL);
    CHECK_MSG(value, "no line of JSON at \"%.50s\"", *at);
    *at = end ? end + 1 : *at + strlen(*at);
    return value;
}

/* The text of line i of the output is what `generate` writes of its prompt alone. */
static void check_line(const json_t *value, const char *model, const char *prompt, const char *options)
{
    CHECK_MSG(sh("%s; $L generate $M '%s' --json $T %s", model, prompt, options) == 0, "%s", err);
    json_t *alone = json_loads(out, 0, NULL);
    const char *keys[] = { "schema", "prompt", "text", "reason", "tokens" };
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        CHECK_MSG(json_equal(json_object_get(value, keys[i]), json_object_get(alone, keys[i])), "%s: %s differs alone: %s", prompt, keys[i], out);
    json_decref(alone);
}

#define FROM "-n 30 --seed 3 --temperature 0.9"

static void by_the_program(void)
{
    char model[2][1200];
    snprintf(model[0], sizeof model[0], "M=%s; T=", test_data("checkpoints/stories260K/stories260K.bin"));
    snprintf(model[1], sizeof model[1], "M=%s; T='--tokenizer bytes'", test_data("checkpoints/rwkv/tiny-rwkv-7v0-834K-FP32.bin"));
    CHECK(sh("printf '{\"prompt\":\"Once upon a time\"}\\n{\"prompt\":\"Lily\",\"id\":[7],\"max_tokens\":4,\"seed\":8}\\n\\n{\"prompt\":\"A\",\"temperature\":0}\n' > p.jsonl; cp p.jsonl bad.jsonl; echo '{' >> bad.jsonl") == 0);
    for (int i = 0; i < 2; i++) {
        CHECK_MSG(sh("%s; for n in 1 2 3; do $L generate $M --prompts p.jsonl $T " FROM " --parallel $n > together-$n || exit 9; cmp together-1 together-$n || exit 8; done; cat together-1", model[i]) == 0, "%s", err);
        char *lines = strdup(out);
        const char *at = lines;
        json_t *first = line_of(&at), *second = line_of(&at), *third = line_of(&at);
        CHECK_MSG(!*at, "more than three lines: %s", at);
        CHECK(json_integer_value(json_array_get(json_object_get(second, "id"), 0)) == 7 && !json_object_get(first, "id"));
        check_line(first, model[i], "Once upon a time", FROM);
        check_line(second, model[i], "Lily", "-n 4 --seed 8 --temperature 0.9");
        check_line(third, model[i], "A", "-n 30 --temperature 0");
        json_decref(first);
        json_decref(second);
        json_decref(third);
        free(lines);
    }
    CHECK_MSG(sh("%s; gzip -k p.jsonl; zstd -q p.jsonl; for z in p.jsonl.gz p.jsonl.zst; do $L generate $M --prompts $z $T " FROM " --parallel 1 > packed; cmp packed together-1 || exit 9; done", model[1]) == 0, "%s", err);
    CHECK(sh("%s; $L generate $M --prompts bad.jsonl", model[0]) == 3 && !*out && strstr(err, "bad.jsonl:5:"));
    CHECK(sh("%s; $L generate $M --prompts nosuch.jsonl", model[0]) == 3 && strstr(err, "nosuch.jsonl"));
    CHECK(sh("%s; : > empty.jsonl; $L generate $M --prompts empty.jsonl", model[0]) == 3 && strstr(err, "empty.jsonl: holds no prompt"));
    CHECK(sh("%s; printf '{\"prompt\":\"a\"}\\n{\"prompt\":\"%%s\"}' \"$(yes word | head -900 | tr '\\n' ' ')\" | $L generate $M --prompts -", model[0]) == 3 && !*out &&
          strstr(err, "standard input:2: the prompt is") && strstr(err, "the context holds 512"));
    CHECK(sh("%s; $L generate $M hello --prompts p.jsonl", model[0]) == 2 && sh("%s; $L generate $M hello --parallel 3", model[0]) == 2 && sh("%s; $L generate $M --prompts p.jsonl --save-state s", model[0]) == 2);
}

const test tests_generate_prompts[] = {
    { "batch generation: by the program", by_the_program },
    { 0 }
};
