/* Figures of the models that runs hold: diversity is what lithe inspect measures, the surprise of tokens comes to the
 * loss of lithe eval, and models that do not open leave the rest of the page as it is. */
#include "report_pages.h"
#include "tree.h"
#include "shell.h"
#include "test.h"
#include <jansson.h>
#include <math.h>
#include <stdlib.h>

/* A run with three checkpoints, of a text of some words. */
static void train(const char *arch, const char *name, const char *more)
{
    CHECK(sh("i=0; while [ $i -lt 400 ]; do echo \"the $i ships sail north, caf\xc3\xa9 $((i * 7919 %% 97)).\"; i=$((i+1)); done > tale.txt") == 0);
    CHECK_MSG(sh("$L train tale.txt -q --arch %s --out %s --params 60k --ctx 32 --batch 2 --steps 6 --save-every 2 --eval-every 2 --no-sample %s", arch, name, more) == 0, "%s", err);
}

static json_t *table(const char *name)
{
    json_error_t e;
    json_t *v = json_load_file(in_dir(name), 0, &e);
    CHECK_MSG(v, "%s: %s", name, e.text);
    return v;
}

static double number(const json_t *row, const char *key)
{
    const json_t *v = json_object_get(row, key);
    return json_is_number(v) ? json_number_value(v) : (double)NAN;
}

static const char *words(const json_t *row, const char *key)
{
    const char *text = json_string_value(json_object_get(row, key));
    return text ? text : "";
}

static void near_to(double a, double b, double tolerance, const char *what)
{
    CHECK_MSG(fabs(a - b) <= tolerance * fmax(1, fabs(b)), "%s: %.15g, not %.15g", what, a, b);
}

/* Every number of each model's features, against those of the command that measures them. */
static void diversity_is_that_of_inspect(void)
{
    static const char *const measures[] = { "dm", "rel", "rel_comp", "rank1", "cos", "stable_rank" }, *const spread[] = { "deff80", "deff90", "pr", "erank", "pc3" };
    train("gpt2", "run", "");
    CHECK_MSG(sh("ls -d run/ckpt-* && $L report run --out r.html --csv csv --text tale.txt") == 0, "%s", err);
    int models = count_of(out, "run/ckpt-"), checked = 0;
    json_t *rows = table("csv/diversity.json");
    for (int at = 0; at <= 6; at++) {
        if (sh("$L inspect run/ckpt-%d --diversity --text tale.txt --tokens 4096 --json", at)) continue;
        json_t *v = json_loads(out, 0, NULL), *places = json_object_get(v, "places");
        size_t i, k, place = 0;
        json_t *row;
        json_array_foreach(rows, i, row) {
            if (fabs(number(row, "step") - at) > 0) continue;
            const json_t *p = json_array_get(places, place++);
            CHECK(!strcmp(words(row, "place"), words(p, "place")) && !strcmp(words(row, "run"), "run"));
            CHECK(json_is_null(json_object_get(p, "layer")) ? json_is_null(json_object_get(row, "layer")) : fabs(number(p, "layer") - number(row, "layer")) < 0.5);
            for (k = 0; k < 6; k++) near_to(number(row, measures[k]), number(json_object_get(p, measures[k]), "mean"), 1e-9, measures[k]);
            for (k = 0; k < 5; k++) near_to(number(row, spread[k]), number(p, spread[k]), 1e-9, spread[k]);
        }
        CHECK_MSG(place == json_array_size(places) && place > 3, "step %d: %zu places", at, place);
        checked++;
        json_decref(v);
    }
    json_decref(rows);
    char *page = tree_text(in_dir("r.html"));
    CHECK_MSG(models >= 2 && checked == models, "%d of %d models", checked, models);
    CHECK_MSG(count_of(page, "</svg>step ") == models && strstr(page, "on a given text"), "%d lines", count_of(page, "</svg>step "));
    free(page);
}

/* The sum of the bits is that of the loss of lithe eval, and the pieces are the text. */
static void surprise_is_the_loss(const char *arch)
{
    train(arch, arch, "--tokenizer bytes");
    CHECK(sh("head -c 200 tale.txt > short.txt; $L report %s --out %s.html --csv csv-%s --text short.txt", arch, arch, arch) == 0);
    CHECK_MSG(sh("$L eval %s --text short.txt --json", arch) == 0, "%s", err);
    json_t *v = json_loads(out, 0, NULL), *row;
    char name[100], said[2000] = "", *text = tree_text(in_dir("short.txt"));
    snprintf(name, sizeof name, "csv-%s/surprise.json", arch);
    json_t *rows = table(name);
    double bits = 0, tokens = 0, mean;
    size_t i, scored = 0;
    json_array_foreach(rows, i, row) {
        tokens += number(row, "tokens");
        if (isfinite(number(row, "bits"))) bits += number(row, "bits"), scored++;
        strcat(said, words(row, "text"));
    }
    CHECK_MSG(scored > 100 && fabs(tokens - 1 - number(v, "tokens")) < 0.5, "%zu pieces of %g tokens, not %g", scored, tokens, number(v, "tokens"));
    near_to(bits * log(2), number(v, "loss") * number(v, "tokens"), 1e-6, "sum of nats");
    CHECK_MSG(!strcmp(said, text), "%s", said);
    snprintf(name, sizeof name, "%s.html", arch);
    char *page = tree_text(in_dir(name)), *at = strstr(page, " bits a token, over ");
    mean = at ? atof(at - 4) : NAN;
    CHECK_MSG(fabs(mean - bits / (tokens - 1)) < 0.006, "%g bits a token, not %g", mean, bits / (tokens - 1));
    CHECK(strstr(page, ">\xc3\xa9</span>"));
    check_well_formed(page);
    check_alone(page);
    free(page);
    free(text);
    json_decref(rows);
    json_decref(v);
}

static void surprise_of_attention(void) { surprise_is_the_loss("gpt2"); }
static void surprise_of_rwkv(void)      { surprise_is_the_loss("rwkv7"); }

/* ---- models that do not open ------------------------------------------------------------------ */

static void damaged_models(void)
{
    train("gpt2", "run", "");
    train("rwkv7", "other", "");
    CHECK(sh("cp -r run hurt; cp -r run gone; rm -r gone/ckpt-* gone/model.safetensors; cp -r run plain; rm -r plain/data") == 0);
    CHECK(sh("n=$(ls -d hurt/ckpt-* | sort -V | head -1); head -c 500 $n/model.safetensors > cut; rm $n/model.safetensors; mv cut $n/model.safetensors; $L report hurt --out hurt.html") == 0);
    CHECK_MSG(count_of(err, "\n") == 1 && strstr(err, "hurt: its model is not shown: ") && strstr(err, "model.safetensors"), "%s", err);
    char *page = tree_text(in_dir("hurt.html"));
    CHECK(strstr(page, "hurt: its model is not shown: ") && strstr(page, "Relative diversity") && strstr(page, "Surprise by token") && strstr(page, "Validation loss by step"));
    free(page);
    CHECK(sh("$L report gone other --out gone.html --csv gone-csv") == 0);
    CHECK_MSG(count_of(err, "\n") == 1 && strstr(err, "gone: its model is not shown: "), "%s", err);
    page = tree_text(in_dir("gone.html"));
    CHECK(strstr(page, "gone: its model is not shown: ") && count_of(page, " bits a token, over ") == 1 && strstr(page, "<h2>Learning"));
    check_well_formed(page);
    free(page);
    CHECK(sh("$L report plain --out plain.html") == 0 && strstr(err, "plain: there is no text for its model, give one with --text: "));
    TRANSCRIPTS({ "$L report plain --out text.html --text tale.txt", 0, "text.html", "" }, { "grep -c 'Relative diversity' text.html", 0, "2\n", "" },
                { "$L report gone --out none.html", 0, "none.html", "its model is not shown" }, { "$L report run --no-models --out off.html && grep -c '<h2>Models' off.html", 1, "0\n", "" },
                { "$L report run --no-models --text tale.txt --out x.html", 2, "", "--text is for" }, { "$L report run --text nowhere --out x.html", 3, "", "nowhere" }, { "ls x.html", 2, NULL, "x.html" });
}

/* An encoder has features, but no surprise, and the page says why. */
static void encoders(void)
{
    train("bert", "run", "");
    CHECK(sh("$L report run --out r.html") == 0 && strstr(err, "the surprise of its tokens is not shown") && strstr(err, "bidirectional"));
    char *page = tree_text(in_dir("r.html"));
    CHECK(strstr(page, "Relative diversity") && !strstr(page, "bits a token") && strstr(page, "bidirectional"));
    free(page);
}

static void looks(void)
{
    browser();
    train("gpt2", "run", "");
    train("rwkv7", "other", "");
    CHECK(sh("$L report run other --out r.html && $L report run --out one.html") == 0);
    static const char *const names[] = { "r.html", "one.html" };
    for (int i = 0; i < 2; i++) {
        char *page = tree_text(in_dir(names[i]));
        check_well_formed(page);
        check_alone(page);
        CHECK(check_contrast(page) == 3 * 14 && strlen(page) < 500000);
        check_looks(page, i ? "report-model" : "report-models");
        free(page);
    }
}

const test tests_report_models[] = {
    { "reports: diversity is that of inspect", diversity_is_that_of_inspect },
    { "reports: surprise comes to the loss, attention", surprise_of_attention },
    { "reports: surprise comes to the loss, RWKV", surprise_of_rwkv },
    { "reports: models that do not open", damaged_models },
    { "reports: encoders have no surprise", encoders },
    { "reports: looks of models", looks },
    { 0 }
};
