/* Figures of the models that runs hold: diversity is what lithe inspect measures, the surprise of tokens comes to the
 * loss of lithe eval, and models that do not open leave the rest of the page as it is. */
#include "report_pages.h"
#include "lithe_eval.h"
#include "lithe_tools.h"
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
    CHECK_MSG(sh("$L train tale.txt -q --arch %s --out %s %s --ctx 32 --batch 2 --steps 6 --save-every 2 --eval-every 2 --no-sample %s", arch, name, strstr(more, "--params") ? "" : "--params 60k", more) == 0, "%s", err);
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
static void surprise_is_the_loss(const char *arch, const char *more)
{
    train(arch, arch, more);
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
    CHECK_MSG(scored > 50 && fabs(tokens - 1 - number(v, "tokens")) < 0.5, "%zu pieces of %g tokens, not %g", scored, tokens, number(v, "tokens"));
    near_to(bits * log(2), number(v, "loss") * number(v, "tokens"), 1e-6, "sum of nats");
    CHECK_MSG(!strcmp(said, text), "%s", said);
    snprintf(name, sizeof name, "%s.html", arch);
    char *page = tree_text(in_dir(name)), *at = strstr(page, " bits a token, ");
    mean = at ? atof(at - 4) : NAN;
    CHECK_MSG(fabs(mean - bits / (tokens - 1)) < 0.006, "%g bits a token, not %g", mean, bits / (tokens - 1));
    near_to(at ? atof(at + 15) : NAN, number(v, "bits_per_byte"), 6e-4, "bits a byte");
    if (strstr(more, "bytes")) CHECK(strstr(page, ">\xc3\xa9</span>") && tokens > (double)scored + 1);
    check_well_formed(page);
    check_alone(page);
    free(page);
    free(text);
    json_decref(rows);
    json_decref(v);
}

static void surprise_of_attention(void) { surprise_is_the_loss("gpt2", "--tokenizer bytes"); }
static void surprise_of_rwkv(void)      { surprise_is_the_loss("rwkv7", "--tokenizer bytes"); }
static void surprise_of_words(void)     { surprise_is_the_loss("gpt2", "--vocab 300"); }

/* ---- inside ------------------------------------------------------------------------------------- */

/* What the library finds in the run's model over the same text: 32 tokens for maps, 512 else. */
static lithe_internals *found(const char *run, int maps)
{
    lithe_error e = { 0 };
    lithe_model *m = lithe_model_open(in_dir(run), NULL, &e);
    lithe_tokenizer *t = m ? lithe_tokenizer_open(lithe_model_tokenizer(m), &e) : NULL;
    char *text = tree_text(in_dir("tale.txt"));
    int32_t *ids = calloc(strlen(text) + 9, sizeof *ids);
    size_t n = lithe_encode(t, text, strlen(text), 1, ids, strlen(text)), most = maps ? 32 : 512, context = (size_t)lithe_model_context(m);
    most = most < context ? most : context;
    lithe_internals *x = lithe_internals_open(m, ids, n < most ? n : most, maps, &e);
    CHECK_MSG(x, "%s", e.text);
    if (!x) exit(1);
    free(ids);
    free(text);
    lithe_tokenizer_close(t);
    lithe_model_close(m);
    return x;
}

/* The cells of a level in the first map of a page, as lines along rows. */
static int cells(const char *page, int level)
{
    char begin[40];
    int sum = 0;
    snprintf(begin, sizeof begin, "<path class=\"w w%d\" d=\"", level);
    const char *map = strstr(page, "<text x=\"4\" y=\"20\">head 0</text>"), *end = map ? strstr(map, "</g>") : NULL, *at = map ? strstr(map, begin) : NULL;
    if (!at || at > end) return 0;
    for (const char *stop = strchr(at + strlen(begin), '"'); (at = strchr(at, 'h')) && at < stop; at++) sum += atoi(at + 1);
    return sum;
}

/* The points of the first line of the figure with this title, upwards from the axis; their number. */
static int line_of(const char *page, const char *title, double *x, double *y, int most)
{
    const char *figure = strstr(page, title), *axis = figure ? strstr(figure, "<line class=\"a\"") : NULL, *at = axis ? strstr(axis, "<polyline") : NULL;
    CHECK_MSG(at, "there is no line in \"%s\"", title);
    if (!at) return 0;
    double bottom = atof(strstr(axis, " y1=\"") + 5);
    int n = 0;
    for (at = strstr(at, "points=\"") + 8; n < most && *at != '"'; n++) {
        char *end;
        x[n] = strtod(at, &end);
        y[n] = bottom - strtod(end + 1, &end);
        at = end + strspn(end, " ");
    }
    return n;
}

/* The histogram of the queries' slots, from their uses: quarters of a power of ten of use over the mean. */
static void check_histogram(const char *page, const lithe_internals *x)
{
    double at[40], height[40], count[20] = { 0 }, drawn = 0, all = 0;
    lithe_slot_use u;
    CHECK(line_of(page, "Use of parameter tokens", at, height, 40) == 20);
    for (size_t i = 0; lithe_internals_slots(x, i, &u); i++) {
        double sum = 0;
        if (!strstr(u.name, ".query.")) continue;
        for (int j = 0; j < u.slots; j++) sum += u.use[j];
        for (int j = 0; j < u.slots; j++)
            for (int b = 0; b < 20; b++) {
                double over = u.use[j] * u.slots / sum;
                if (over >= pow(10, -3 + 0.25 * b) && over < pow(10, -2.75 + 0.25 * b)) count[b]++, all++;
            }
    }
    for (int b = 0; b < 20; b++) drawn += height[b];
    for (int b = 0; b < 20; b++) CHECK_MSG(fabs(height[b] / drawn - count[b] / all) < 0.005, "bin %d: %g of all, not %g", b, height[b] / drawn, count[b] / all);
}

static void attention_and_slots(void)
{
    static const double least[] = { 0.02, 0.1, 0.25, 0.5, 2 };
    train("tokenformer", "run", "--params 300k");
    CHECK_MSG(sh("$L report run --out r.html --csv csv --text tale.txt") == 0 && !*err, "%s", err);
    char *page = tree_text(in_dir("r.html"));
    json_t *rows = table("csv/attention.json"), *row;
    lithe_internals *x = found("run", 1), *y = found("run", 0);
    lithe_attention_map m = { 0 };
    lithe_slot_use u;
    size_t i, items = 0, slots = 0;
    int dead = 0, said = 0;
    double weights = 0;
    CHECK(lithe_internals_map(x, 0, &m) && m.tokens == 32);
    for (int level = 1; level <= 4; level++) {
        int expected = 0;
        for (int k = 0; k < m.tokens * m.tokens; k++) expected += (double)m.weights[k] >= least[level - 1] && (double)m.weights[k] < least[level];
        CHECK_MSG(cells(page, level) == expected && (level > 1 || expected > 0), "%d cells of level %d, not %d", cells(page, level), level, expected);
    }
    json_array_foreach(rows, i, row) {
        CHECK(number(row, "key") <= number(row, "query"));
        weights += number(row, "weight");
        if (number(row, "layer") > 0 || number(row, "head") > 0) continue;
        near_to(number(row, "weight"), (double)m.weights[(int)number(row, "query") * 32 + (int)number(row, "key")], 1e-9, "weight");
        items++;
    }
    int maps = count_of(page, ">head ");
    CHECK_MSG(items > 32 * 4 && maps >= 2 && fabs(weights - 32 * maps) < 1e-3, "%zu weights of head 0, %g in all of %d heads", items, weights, maps);
    json_decref(rows);

    rows = table("csv/slots.json");
    for (i = 0; lithe_internals_slots(y, i, &u); i++) {
        for (int j = 0; j < u.slots; j++) {
            row = json_array_get(rows, slots++);
            CHECK(!strcmp(words(row, "name"), u.name) && fabs(number(row, "slot") - j) < 0.5 && fabs(number(row, "layer") - u.layer) < 0.5);
            near_to(number(row, "use"), u.use[j], 1e-9, u.name);
        }
        dead += u.dead;
        char *line = page, name[100];
        snprintf(name, sizeof name, "<td class=\"t\">%.*s</td><td>%d</td><td>%d</td>", (int)(strrchr(u.name, '.') - u.name), u.name, u.slots, u.dead);
        said += (line = strstr(page, name)) != NULL;
    }
    CHECK_MSG(slots == json_array_size(rows) && said == (int)i && i >= 5, "%zu slots, %d of %zu Pattentions on the page, %d dead", slots, said, i, dead);
    CHECK(strstr(page, "Use of parameter tokens") && !strstr(page, "Half-life of states"));
    check_histogram(page, y);
    json_decref(rows);
    check_well_formed(page);
    check_alone(page);
    free(page);
    lithe_internals_close(x);
    lithe_internals_close(y);
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(const lithe_decay *d)
{
    double sorted[4096];
    memcpy(sorted, d->half_life, (size_t)d->channels * sizeof *sorted);
    qsort(sorted, (size_t)d->channels, sizeof *sorted, ascending);
    return (sorted[(d->channels - 1) / 2] + sorted[d->channels / 2]) / 2;
}

static void half_lives(void)
{
    double place[8], height[8], middle[8];
    int layers = 0;
    train("rwkv7", "run", "--params 1.5M");
    CHECK_MSG(sh("$L report run --out r.html --csv csv --text tale.txt") == 0 && !*err, "%s", err);
    char *page = tree_text(in_dir("r.html"));
    json_t *rows = table("csv/decay.json");
    lithe_internals *x = found("run", 0);
    lithe_decay d;
    size_t at = 0;
    for (size_t i = 0; lithe_internals_decay(x, i, &d); i++, layers++)
        for (int c = 0; c < d.channels; c++) {
            middle[i] = median(&d);
            const json_t *row = json_array_get(rows, at++);
            CHECK(fabs(number(row, "layer") - d.layer) < 0.5 && fabs(number(row, "channel") - c) < 0.5);
            CHECK_MSG(fabs(number(row, "half_life") / d.half_life[c] - 1) < 1e-9 && d.half_life[c] > log(2) / exp(-0.5), "%g, not %g", number(row, "half_life"), d.half_life[c]);
        }
    CHECK_MSG(at == json_array_size(rows) && at > 20, "%zu rows", at);
    /* On the logarithmic axis distances are those of logarithms. */
    CHECK_MSG(layers >= 3 && layers < 8 && line_of(page, "Half-life of states", place, height, 8) == layers, "%d layers", layers);
    for (int l = 2; l < layers; l++) {
        double ratio = log(middle[l] / middle[0]) / log(middle[1] / middle[0]);
        CHECK_MSG(fabs((height[l] - height[0]) - ratio * (height[1] - height[0])) < 0.15 * (1 + fabs(ratio)), "layer %d: %g and %g above layer 0, not times %g", l, height[l] - height[0], height[1] - height[0], ratio);
    }
    CHECK(strstr(page, "Half-life of states") && strstr(strstr(page, "Half-life of states"), "<polygon") && !strstr(page, "<h3>Attention") && !strstr(page, "Use of parameter tokens"));
    check_well_formed(page);
    free(page);
    json_decref(rows);
    lithe_internals_close(x);
}

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
    CHECK(strstr(page, "gone: its model is not shown: ") && count_of(page, " bits a token, ") == 1 && strstr(page, "<h2>Learning"));
    check_well_formed(page);
    free(page);
    CHECK(sh("$L report plain --out plain.html") == 0 && strstr(err, "plain: there is no text for its model, give one with --text: "));
    CHECK(sh("cp -r run seen; rm seen/data/valid.shard; $L report seen --out seen.html") == 0 && count_of(err, "\n") == 1 && strstr(err, "seen: there is no held-out text"));
    TRANSCRIPTS({ "$L report plain --out text.html --text tale.txt", 0, "text.html", "" }, { "grep -c 'Relative diversity' text.html", 0, "2\n", "" },
                { "$L report gone --out none.html", 0, "none.html", "its model is not shown" }, { "$L report run --no-models --out off.html && grep -c '<h2>Models' off.html", 1, "0\n", "" },
                { "$L report run --no-models --text tale.txt --out x.html", 2, "", "--text is for" }, { "$L report run --text nowhere --out x.html", 3, "", "nowhere" }, { "ls x.html", 2, NULL, "x.html" });
}

/* An encoder has features, but no surprise, and the page says why. */
static void encoders(void)
{
    train("bert", "run", "");
    CHECK(sh("$L report run --out r.html") == 0 && !*err);
    char *page = tree_text(in_dir("r.html"));
    CHECK(strstr(page, "Relative diversity") && strstr(page, "<h3>Attention") && !strstr(page, "bits a token") && strstr(page, "its tokens is not shown: bert is bidirectional"));
    free(page);
}

/* Attention and tokens are those of one of the runs that differ in their seed; features are of each. */
static void seeds(void)
{
    train("gpt2", "a", "--seed 1");
    train("gpt2", "b", "--seed 2");
    CHECK(sh("$L report a b --out r.html --csv csv && cut -d, -f1 csv/surprise.csv csv/diversity.csv | sort | uniq -c") == 0 && strstr(out, " b\n"));
    char *page = tree_text(in_dir("r.html"));
    CHECK_MSG(count_of(page, " bits a token, ") == 1 && count_of(page, "<figcaption>a: attention") > 0 && !strstr(page, "<figcaption>b: attention"), "%d texts", count_of(page, " bits a token, "));
    CHECK(count_of(strstr(page, "Relative diversity"), "</svg>b</span>") == 0 && count_of(page, "</svg>b</span>") == 1);
    free(page);
}

static void looks(void)
{
    browser();
    train("tokenformer", "run", "");
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
    { "reports: surprise comes to the loss, a learned vocabulary", surprise_of_words },
    { "reports: attention and parameter tokens of a model", attention_and_slots },
    { "reports: half-lives of a model", half_lives },
    { "reports: models that do not open", damaged_models },
    { "reports: encoders have no surprise", encoders },
    { "reports: models of several seeds", seeds },
    { "reports: looks of models", looks },
    { 0 }
};
