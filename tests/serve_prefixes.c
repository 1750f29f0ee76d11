/* A prompt with a known beginning is not read again, and its answer is the one without. */
#include "serve_tests.h"
#include "small.h"
#include "test.h"
#include "model/model.h"
#include <math.h>
#include <pthread.h>
#include <stdlib.h>

/* The first n characters of a text, then `more`, continued. */
static char *answer_to(const stand *s, const char *model, int n, const char *more)
{
    char prompt[400];
    for (int i = 0; i < n; i++) prompt[i] = (char)('a' + random_u64(3, (uint64_t)i) % 26);
    snprintf(prompt + n, sizeof prompt - (size_t)n, "%s", more);
    json_t *answer = posted(s, "/v1/completions", 200, "{\"model\":\"%s\",\"prompt\":\"%s\",\"max_tokens\":12,\"seed\":4,\"n\":2,\"logprobs\":1}", model, prompt);
    char *text = json_dumps(json_object_get(answer, "choices"), JSON_SORT_KEYS);
    json_decref(answer);
    return text;
}

/* Prompts of the same beginning, one after the other: each as a server without memory answers it. */
static const struct { int n; const char *more; } PROMPTS[] = {
    { 200, "" }, { 200, "" }, { 200, "x" }, { 150, "yz" }, { 128, "" }, { 129, "" }, { 64, "q" }, { 63, "" }, { 17, "" }, { 5, "" }, { 250, "" }, { 200, "x" }, { 200, "xy" },
};
enum { PROMPT_COUNT = sizeof PROMPTS / sizeof *PROMPTS, MODELS = 3 };
static const char *const NAMES[] = { "gpt2", "rwkv7", "hybrid", NULL };

static void answers_do_not_depend_on_prefixes(void)
{
    stand with = stand_open(NAMES, &LITHE_OPTIONS(lithe_server_options, .parallel = 3)), without = stand_open(NAMES, &LITHE_OPTIONS(lithe_server_options, .parallel = 3, .prefix_bytes = 1));
    for (int m = 0; m < MODELS; m++) {
        double before = metric(&with, "lithe_prefix_tokens_total");
        for (int i = 0; i < PROMPT_COUNT; i++) {
            char *a = answer_to(&with, NAMES[m], PROMPTS[i].n, PROMPTS[i].more), *b = answer_to(&without, NAMES[m], PROMPTS[i].n, PROMPTS[i].more);
            CHECK_MSG(!strcmp(a, b), "%s, prompt %d: with prefixes\n%s\nwithout\n%s", NAMES[m], i, a, b);
            free(a), free(b);
        }
        /* Each prompt has two choices, of which the second finds all of it; the first of some finds most. */
        double found = metric(&with, "lithe_prefix_tokens_total") - before;
        CHECK_MSG(found > 1800 + 1000, "%s: %g tokens were found", NAMES[m], found);
    }
    CHECK(metric(&without, "lithe_prefix_tokens_total") == 0 && metric(&without, "lithe_prefix_bytes") == 0 && metric(&with, "lithe_prefix_bytes") > 0);
    stand_close(&with);
    stand_close(&without);
}

/* A memory that holds a few states only: old ones go, and nothing else changes. */
static void old_prefixes_go(void)
{
    enum { MEMORY = 300000 };
    stand s = stand_open(NAMES, &LITHE_OPTIONS(lithe_server_options, .parallel = 2, .prefix_bytes = MEMORY)), without = stand_open(NAMES, &LITHE_OPTIONS(lithe_server_options, .prefix_bytes = 1));
    for (int i = 0; i < 40; i++) {
        char more[20];
        snprintf(more, sizeof more, "%d", i * 7 % 11);
        char *a = answer_to(&s, NAMES[i % MODELS], 20 + i * 37 % 220, more), *b = answer_to(&without, NAMES[i % MODELS], 20 + i * 37 % 220, more);
        CHECK_MSG(!strcmp(a, b), "request %d: %s\n%s", i, a, b);
        CHECK(metric(&s, "lithe_prefix_bytes") <= MEMORY);
        free(a), free(b);
    }
    stand_close(&s);
    stand_close(&without);
}

const test tests_serve_prefixes[] = {
    { "serve: answers do not depend on prefixes", answers_do_not_depend_on_prefixes },
    { "serve: old prefixes go", old_prefixes_go },
    { 0 }
};
