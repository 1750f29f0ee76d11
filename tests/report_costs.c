/* Figures of what a token costs: those of the files of lithe bench to the last digit, points where their values put
 * them, and files of anything else refused by their line. */
#include "tree.h"
#include "lithe_runs.h"
#include "shell.h"
#include "test.h"
#include <jansson.h>
#include <math.h>
#include <stdlib.h>

/* ---- files ---------------------------------------------------------------------------------- */

#define BENCH(MODEL, ARCH, RESULTS) "{\"schema\":\"lithe.bench.1\",\"model\":\"" MODEL "\",\"arch\":\"" ARCH "\",\"params\":5000,\"machine\":{\"cpu\":\"A <CPU>\",\"level\":\"avx2\",\"threads\":1},\"results\":[" RESULTS "]}\n"
#define AT(DEPTH, TOKENS, SECONDS, BYTES) "{\"type\":\"stored\",\"work\":\"decode\",\"parallel\":1,\"depth\":" #DEPTH ",\"cache_type\":null,\"tokens\":" #TOKENS ",\"seconds\":" #SECONDS ",\"engine_bytes\":" #BYTES "}"
#define PREFILL "{\"type\":\"stored\",\"work\":\"prefill\",\"parallel\":1,\"tokens\":512,\"seconds\":9,\"engine_bytes\":77}"

static void write_file(const char *name, const char *text)
{
    FILE *f = fopen(in_dir(name), "w");
    fputs(text, f);
    fclose(f);
}

static lithe_run *a_run(void)
{
    lithe_error e = { 0 };
    sh("mkdir -p run");
    write_file("run/log.jsonl", "{\"step\": 0, \"started\": \"rwkv7\", \"params\": 5000, \"steps\": 1}\n{\"step\": 1, \"loss\": 2, \"tokens\": 10, \"seconds\": 1, \"flops\": 5}\n");
    lithe_run *r = lithe_run_open(in_dir("run"), &e);
    CHECK_MSG(r, "%s", e.text);
    if (!r) exit(1);
    return r;
}

/* The page of a run with these files of costs; NULL, with what is wrong in e. */
static char *page_with(const char *const *names, int n, lithe_error *e)
{
    const char *paths[8];
    lithe_run *r = a_run();
    for (int i = 0; i < n; i++) paths[i] = strdup(in_dir(names[i]));
    const lithe_report_options o = { .size = sizeof o, .costs = paths, .cost_count = n, .csv = in_dir("csv") };
    int status = lithe_report(&r, 1, in_dir("r.html"), &o, e);
    lithe_run_close(r);
    for (int i = 0; i < n; i++) free((char *)(uintptr_t)paths[i]);
    return status ? NULL : tree_text(in_dir("r.html"));
}

static char *page_of(const char *text)
{
    lithe_error e = { 0 };
    write_file("cost.jsonl", text);
    char *page = page_with((const char *const[]){ "cost.jsonl" }, 1, &e);
    CHECK_MSG(page, "%s", e.text);
    if (!page) exit(1);
    return page;
}

/* ---- figures ---------------------------------------------------------------------------------- */

enum { MOST = 16 };
typedef struct { double x[MOST], y[MOST]; int n; } points;

/* The circles of the figure with this title, in their order; y upwards from the axis. */
static points points_of(const char *page, const char *title)
{
    points p = { 0 };
    const char *at = strstr(page, title), *end = at ? strstr(at, "</figure>") : NULL, *axis = at ? strstr(at, "<line class=\"a\"") : NULL;
    double bottom = axis ? atof(strstr(axis, " y1=\"") + 5) : NAN;
    CHECK_MSG(end && axis, "there is no figure \"%s\"", title);
    for (; end && p.n < MOST && (at = strstr(at, "<circle")) && at < end; at++, p.n++) {
        p.x[p.n] = atof(strstr(at, " cx=\"") + 5);
        p.y[p.n] = bottom - atof(strstr(at, " cy=\"") + 5);
    }
    return p;
}

/* Places in a figure are written to a tenth. */
static void check_ratio(double a, double b, double ratio)
{
    CHECK_MSG(fabs(a - ratio * b) <= 0.06 * (1 + fabs(ratio)), "%g is not %g times %g", a, ratio, b);
}

/* Values within a factor of 20 and depths too: both axes are linear, from zero. */
static void linear_figures(void)
{
    char *page = page_of(BENCH("m", "llama", PREFILL "," AT(0, 10, 0.001, 1000) "," AT(100, 10, 0.003, 2000) "," AT(400, 10, 0.009, 5000)));
    points time = points_of(page, "Time of a token (µs), by its position"), memory = points_of(page, "Memory of the text so far (bytes)");
    CHECK_MSG(time.n == 3 && memory.n == 3, "%d and %d points", time.n, memory.n);
    check_ratio(time.y[1], time.y[0], 3);
    check_ratio(time.y[2], time.y[0], 9);
    check_ratio(memory.y[1], memory.y[0], 2);
    check_ratio(memory.y[2], memory.y[0], 5);
    check_ratio(time.x[2] - time.x[0], time.x[1] - time.x[0], 4);
    CHECK(strstr(page, "<td>100 µs after 0</td><td>900 µs after 400</td><td>9.00</td><td>1kB</td><td>5kB</td><td>10 B</td>"));
    CHECK(strstr(page, "Measured on A &lt;CPU&gt;, avx2, 1 thread.") && !strstr(page, "<CPU>"));
    free(page);
}

/* Equal ratios are equal distances on the logarithmic axes that wide ranges have; 0 is the left end. */
static void logarithmic_figures(void)
{
    char *page = page_of(BENCH("m", "llama", AT(0, 1, 0.001, 1000) "," AT(1000, 1, 0.01, 100000) "," AT(99999000, 1, 0.1, 10000000)) BENCH("flat", "rwkv7", AT(0, 1, 0.002, 3000) "," AT(1000, 1, 0.002, 3000)));
    points time = points_of(page, "Time of a token (ms), by its position"), memory = points_of(page, "Memory of the text so far (bytes)");
    CHECK_MSG(time.n == 5, "%d points", time.n);
    check_ratio(time.y[2] - time.y[1], time.y[1] - time.y[0], 1);
    check_ratio(memory.y[2] - memory.y[1], memory.y[1] - memory.y[0], 1);
    check_ratio(time.y[3], time.y[4], 1);
    check_ratio(time.x[2] - time.x[0], time.x[1] - time.x[0], log(100000) / log(2));
    CHECK(time.y[3] > time.y[0] && time.y[3] < time.y[1]);
    CHECK(strstr(page, "<td>1 ms after 0</td><td>100 ms after 100M</td><td>100.00</td>") && strstr(page, "<td>3kB</td><td>3kB</td><td>0 B</td>"));
    free(page);
}

/* Measured three times at one place: the median, in a band; in other forms or together: a curve of its own. */
static void repeated_and_other_forms(void)
{
    char *page = page_of(BENCH("runs/m/", "llama", AT(0, 1, 0.003, 10) "," AT(10, 1, 0.004, 20)) BENCH("runs/m/", "llama", AT(10, 1, 0.008, 20) "," AT(0, 1, 0.001, 10))
                         BENCH("runs/m/", "llama", AT(0, 1, 0.002, 10) "," AT(10, 1, 0.004, 20))
                         BENCH("runs/m/", "llama", "{\"type\":\"q8_0\",\"work\":\"decode\",\"parallel\":2,\"depth\":0,\"cache_type\":\"q8_0\",\"tokens\":2,\"seconds\":0.002,\"engine_bytes\":9},"
                               "{\"type\":\"q8_0\",\"work\":\"decode\",\"parallel\":2,\"depth\":10,\"cache_type\":\"q8_0\",\"tokens\":2,\"seconds\":0.004,\"engine_bytes\":9}"));
    points time = points_of(page, "Time of a token (ms), by its position");
    CHECK_MSG(time.n == 4, "%d points", time.n);
    check_ratio(time.y[1], time.y[0], 2);
    check_ratio(time.y[2], time.y[0], 0.5);
    CHECK(strstr(page, ">m<") && strstr(page, "m, q8_0, cache q8_0, 2 together") && strstr(strstr(page, "Time of a token"), "<polygon"));
    free(page);
}

static void numbers_beside(void)
{
    char *page = page_of(BENCH("a, b", "llama", AT(0, 64, 0.0123, 1000) "," AT(1000, 64, 0.0321, 2000))), *csv = tree_text(in_dir("csv/cost.csv"));
    CHECK_MSG(!strcmp(csv, "model,arch,params,type,cache_type,parallel,position,tokens,seconds,seconds_per_token,bytes,machine\n"
                           "\"a, b\",llama,5000,stored,,1,0,64,0.0123,0.0001921875,1000,\"A <CPU>, avx2, 1 thread\"\n"
                           "\"a, b\",llama,5000,stored,,1,1000,64,0.0321,0.0005015625,2000,\"A <CPU>, avx2, 1 thread\"\n"), "%s", csv);
    json_t *v = json_load_file(in_dir("csv/cost.json"), 0, NULL);
    CHECK(json_array_size(v) == 2 && json_integer_value(json_object_get(json_array_get(v, 1), "position")) == 1000);
    json_decref(v);
    free(csv);
    free(page);
}

/* ---- refusals ---------------------------------------------------------------------------------- */

static void check_refused(const char *text, const char *words)
{
    lithe_error e = { 0 };
    write_file("bad.jsonl", text);
    char *page = page_with((const char *const[]){ "bad.jsonl" }, 1, &e);
    CHECK_MSG(!page && e.status == LITHE_EFORMAT && strstr(e.text, "bad.jsonl") && strstr(e.text, words) && !strchr(e.text, '\n'), "%.60s: %d, %s", text, e.status, e.text);
    CHECK(sh("ls r.html csv") != 0 && !strstr(out, "r.html"));
    free(page);
}

static void other_files_are_refused(void)
{
    lithe_error e = { 0 };
    char many[64 * 400] = "";
    for (int i = 0; i < 65; i++) snprintf(many + strlen(many), sizeof many - strlen(many), "{\"schema\":\"lithe.bench.1\",\"model\":\"m%d\",\"arch\":\"x\",\"params\":1,\"results\":[%s]}\n", i, AT(0, 1, 1, 1));
    check_refused("", "is empty");
    check_refused("\n \n", "is empty");
    check_refused("hello\n", ".jsonl:1: ");
    check_refused(BENCH("m", "llama", AT(0, 1, 1, 1) "," AT(9, 1, 1, 1)) "{\"step\": 1}\n", ".jsonl:2: this is not what lithe bench");
    check_refused("\n[1, 2]\n", ".jsonl:2: this is not what lithe bench");
    check_refused("{\"schema\":\"lithe.eval.1\",\"results\":[]}\n", ".jsonl:1: this is not what lithe bench");
    check_refused("{\"schema\":\"lithe.bench.1\",\"params\":-1,\"results\":[]}\n", "\"params\" is no number from 0");
    check_refused(BENCH("m", "llama", PREFILL), ".jsonl:1: m was not measured token by token");
    check_refused(BENCH("m", "llama", AT(0, 1, 1, 1)), ".jsonl:1: m was measured after 0 tokens only");
    check_refused(BENCH("m", "llama", AT(0, 1, 1, 1) "," AT(-1, 1, 1, 1)), "results[1]: \"depth\" is no number from 0");
    check_refused(BENCH("m", "llama", AT(0, 1, 0, 1)), "results[0]: \"seconds\" is no number");
    check_refused(BENCH("m", "llama", AT(0, 1, 1e300, 1)), "\"seconds\" is no number");
    check_refused(BENCH("m", "llama", AT(0, 1, NaN, 1)), "\"seconds\" is no number");
    check_refused(BENCH("m", "llama", AT(0, 1, "1", 1)), "\"seconds\" is no number");
    check_refused(BENCH("m", "llama", AT(0, 0, 1, 1)), "\"tokens\" is no number from 1");
    check_refused(BENCH("m", "llama", AT(0, 1, 1, -1)), "\"engine_bytes\" is no number");
    check_refused(BENCH("m", "llama", "7"), "results[0]: \"work\" is no text");
    check_refused("[[[[[[[[[[[[1]]]]]]]]]]]]\n", "nested");
    check_refused(many, ".jsonl:65: more than 64 models");
    CHECK(!page_with((const char *const[]){ "nowhere.jsonl" }, 1, &e) && strstr(e.text, "nowhere.jsonl: cannot open"));
}

/* ---- the command -------------------------------------------------------------------------------- */

/* What lithe bench prints is what lithe report takes, number by number. */
static void from_bench_to_page(void)
{
    CHECK_MSG(sh("for m in rwkv7 llama; do $L bench $ROOT/tests/golden/$m --prefill 0 --decode 2 --depth 0,5,12 --runs 3 --threads 1 --json >> cost.jsonl || exit 1; done; wc -l < cost.jsonl") == 0 && atoi(out) == 2, "%s", err);
    lithe_run_close(a_run());
    CHECK_MSG(sh("$L report run --cost cost.jsonl --out p.html --csv numbers") == 0, "%s", err);
    json_t *rows = json_load_file(in_dir("numbers/cost.json"), 0, NULL);
    char *text = tree_text(in_dir("cost.jsonl")), *line = text;
    CHECK_MSG(json_array_size(rows) == 6, "%zu rows", json_array_size(rows));
    for (size_t i = 0; i < 6 && line; i++) {
        json_t *bench = json_loadb(line, strcspn(line, "\n"), 0, NULL), *result = json_array_get(json_object_get(bench, "results"), i % 3), *row = json_array_get(rows, i);
        CHECK(result && !strcmp(json_string_value(json_object_get(row, "arch")), json_string_value(json_object_get(bench, "arch"))));
        CHECK(json_integer_value(json_object_get(row, "position")) == json_integer_value(json_object_get(result, "depth")));
        CHECK(json_integer_value(json_object_get(row, "bytes")) == json_integer_value(json_object_get(result, "engine_bytes")));
        double seconds = json_number_value(json_object_get(result, "seconds"));
        CHECK_MSG(seconds > 0 && fabs(json_number_value(json_object_get(row, "seconds_per_token")) / (seconds / 2) - 1) < 1e-11, "row %zu", i);
        json_decref(bench);
        if (i == 2) line = strchr(line, '\n') + 1;
    }
    json_decref(rows);
    free(text);
    TRANSCRIPTS({ "$L report run --cost nowhere --out q.html", 3, NULL, "nowhere: cannot open" }, { "$L report run --cost numbers/cost.csv --out q.html", 3, NULL, "cost.csv:1: " },
                { "ls q.html", 2, NULL, "q.html" }, { "$L report run --cost cost.jsonl --cost cost.jsonl --out q.html", 0, "q.html", "" });
}

const test tests_report_costs[] = {
    { "reports: costs on linear axes", linear_figures },
    { "reports: costs on logarithmic axes", logarithmic_figures },
    { "reports: costs measured several times", repeated_and_other_forms },
    { "reports: the numbers of costs", numbers_beside },
    { "reports: files that are no costs", other_files_are_refused },
    { "reports: from lithe bench to a page", from_bench_to_page },
    { 0 }
};
