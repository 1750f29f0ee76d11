/* Runs as their logs tell them, and pages about them: figures are those of the log, pages are well-formed, need nothing
 * else and can be read on light and dark screens; differences and savings are those worked out by hand. */
#include "lithe_runs.h"
#include "report_pages.h"
#include "tree.h"
#include "shell.h"
#include "test.h"
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <unistd.h>

#define NEAR(a, b, e) CHECK_MSG(fabs((a) - (b)) <= (e), "%.17g, expected %.17g", (double)(a), (double)(b))

static void put(const char *run, const char *name, const char *text)
{
    FILE *f;
    sh("mkdir -p %s/ckpt-10 %s/samples %s/data", run, run, run);
    char path[200];
    snprintf(path, sizeof path, "%s/%s", run, name);
    f = fopen(in_dir(path), "w");
    fputs(text, f);
    fclose(f);
}

/* A run of `steps` steps of 100 tokens, 2 s and 1e9 FLOPs with an evaluation after each tenth, whose loss is `first`
 * and falls by `slope` each time. */
static void make_run(const char *name, const char *arch, const char *command, const char *tokenizer, int steps, double first, double slope, const char *more)
{
    static char log[1 << 16], manifest[200];
    int n = snprintf(log, sizeof log, "{\"step\": 0, \"started\": \"%s\", \"params\": 1000, \"steps\": %d, \"batch\": 1, \"ctx\": 100, \"lr\": 0.001, \"schedule\": \"cosine\", \"dtype\": \"f32\"}\n", arch, steps);
    for (int s = 0; s <= steps; s++) {
        if (s) n += snprintf(log + n, sizeof log - (size_t)n, "{\"step\": %d, \"loss\": %.9g, \"grad_norm\": 1.5, \"lr\": 0.001, \"tokens\": 100, \"seconds\": 2, \"flops\": 1000000000}\n", s, first - slope * s / 10);
        if (s % 10 == 0) n += snprintf(log + n, sizeof log - (size_t)n, "{\"step\": %d, \"valid_loss\": %.9g, \"bits_per_byte\": %.9g, \"params\": 1000, \"seconds\": 1}\n", s, first - slope * s / 10, (first - slope * s / 10) / 2);
    }
    snprintf(log + n, sizeof log - (size_t)n, "%s", more);
    snprintf(manifest, sizeof manifest, "{\"files\": {\"tokenizer.json\": {\"bytes\": 1, \"xxh128\": \"%s\"}, \"model.safetensors\": {\"bytes\": 1, \"xxh128\": \"abc\"}}}", tokenizer);
    put(name, "log.jsonl", log);
    put(name, "command.txt", command);
    put(name, "config.json", "{\"model_type\": \"gpt2\", \"note\": \"<&>\"}");
    put(name, "ckpt-10/manifest.json", manifest);
    put(name, "samples/0.txt", "xq <zz>");
    put(name, "samples/10.txt", "the ships");
}

static lithe_run *open_run(const char *name)
{
    lithe_error e = { 0 };
    lithe_run *r = lithe_run_open(in_dir(name), &e);
    CHECK_MSG(r, "%s", e.text);
    if (!r) exit(1);
    return r;
}

static void a_log(void)
{
    lithe_run_summary s;
    lithe_run_event event;
    double x[100], y[100];
    int step;
    make_run("a", "gpt2", "lithe train t.txt --out a", "t1", 20, 5, 1, "{\"step\": 20, \"skipped\": \"nan\"}\n");
    lithe_run *r = open_run("a");
    lithe_run_summarize(r, &s);
    CHECK(!strcmp(s.name, "a") && !strcmp(s.arch, "gpt2") && s.step == 20 && s.steps == 20 && s.skipped == 1 && !strcmp(s.tokenizer, "t1") && !lithe_run_notice(r, 0) && s.checkpoints == 1);
    NEAR(s.tokens, 2000, 0);
    NEAR(s.seconds, 40, 0);
    NEAR(s.flops, 2e10, 0);
    NEAR(s.valid_loss, 3, 1e-9);
    NEAR(s.loss, (3.1 + 3) / 2, 1e-9);
    CHECK(lithe_run_curve(r, "loss", "tokens", x, y, 100) == 20);
    NEAR(x[4], 500, 0);
    NEAR(y[4], 4.5, 1e-9);
    CHECK(lithe_run_curve(r, "valid_loss", "flops", x, y, 2) == 3 && x[1] == 1e10);
    CHECK(lithe_run_curve(r, "tokens_per_second", "step", x, y, 100) == 20 && y[0] == 50);
    CHECK(lithe_run_curve(r, "nothing", "step", x, y, 100) == 0);
    CHECK(lithe_run_event_at(r, 0, &event) && !strcmp(event.kind, "skipped") && event.step == 20);
    CHECK(lithe_run_event_at(r, 1, &event) && !strcmp(event.kind, "checkpoint") && event.step == 10 && !lithe_run_event_at(r, 2, &event));
    CHECK(!strcmp(lithe_run_sample(r, 1, &step), "the ships") && step == 10 && !lithe_run_sample(r, 2, &step));
    lithe_run_close(r);
}

static void damaged_logs(void)
{
    lithe_run_summary s;
    lithe_error e = { 0 };
    put("d", "log.jsonl", "{\"step\": 0, \"started\": \"gpt2\", \"params\": 10, \"steps\": 5}\n\x01\x02 not json\n{\"step\": 1, \"loss\": 2.5, \"tokens\": 10, \"seconds\": 1, \"flops\": 5}\n{\"step\": 2, \"lo");
    lithe_run *r = open_run("d");
    lithe_run_summarize(r, &s);
    CHECK(s.step == 1 && s.steps == 5 && isnan(s.valid_loss));
    NEAR(s.loss, 2.5, 0);
    CHECK(strstr(lithe_run_notice(r, 0), "log.jsonl:4: the last line is incomplete") && strstr(lithe_run_notice(r, 1), "log.jsonl:2: 1 damaged line is left out") && strstr(lithe_run_notice(r, 2), "unfinished: step 1 of 5"));
    CHECK(!lithe_report(&r, 1, in_dir("d.html"), NULL, &e));
    lithe_run_close(r);
    char *page = tree_text(in_dir("d.html"));
    CHECK(strstr(page, "unfinished: step 1 of 5") && strstr(page, "damaged line is left out") && strstr(page, "There are no such numbers"));
    free(page);
    put("huge", "log.jsonl", "\xef\xbb\xbf{\"step\": 0, \"started\": \"gpt2\", \"params\": -1e30, \"steps\": 5}\n{\"step\": 1, \"loss\": 2, \"tokens\": 1e308, \"seconds\": 2, \"flops\": 1e999}\n"
        "{\"step\": 2, \"loss\": 2, \"tokens\": 1e308, \"seconds\": 2, \"flops\": 7}\n{\"step\": 3, \"loss\": 2, \"tokens\": 30, \"seconds\": 2, \"flops\": 7}\n{\"step\": 3, \"grew\": \"x\", \"params\": 1e300}\n");
    r = open_run("huge");
    lithe_run_summarize(r, &s);
    CHECK(!strcmp(s.arch, "gpt2") && s.steps == 5 && isnan(s.params) && s.growths == 1);
    NEAR(s.tokens, 30, 0);
    NEAR(s.flops, 14, 0);
    lithe_run_close(r);
    /* An axis of numbers that no letter stands for. */
    put("large", "log.jsonl", "{\"step\": 0, \"started\": \"gpt2\", \"steps\": 5}\n{\"step\": 1, \"loss\": 2e290, \"tokens\": 9}\n{\"step\": 2, \"loss\": 1e290, \"tokens\": 9}\n");
    r = open_run("large");
    CHECK_MSG(!lithe_report(&r, 1, in_dir("large.html"), NULL, &e), "%s", e.text);
    lithe_run_close(r);
    page = tree_text(in_dir("large.html"));
    CHECK(strstr(page, "1.2e290<") && strstr(page, "1.4e290<"));
    free(page);
    CHECK(!lithe_run_open(in_dir(""), &e) && strstr(e.text, "is a directory of runs: name these, as "));
    e = (lithe_error){ 0 };
    put("f", "log.jsonl", "\n\nnothing\n");
    CHECK(!lithe_run_open(in_dir("f"), &e) && e.status == LITHE_EFORMAT && strstr(e.text, "holds no line of a run"));
    e = (lithe_error){ 0 };
    CHECK(!lithe_run_open(in_dir("nowhere"), &e) && strstr(e.text, "is no run"));
}

/* ---- the page ---------------------------------------------------------------------------- */

static char *report_of(const char *const *names, int n, const char *csv)
{
    lithe_run *runs[16];
    lithe_error e = { 0 };
    for (int i = 0; i < n; i++) runs[i] = open_run(names[i]);
    const lithe_report_options o = { .size = sizeof o, .csv = csv };
    CHECK_MSG(!lithe_report(runs, n, in_dir("r.html"), &o, &e), "%s", e.text);
    for (int i = 0; i < n; i++) lithe_run_close(runs[i]);
    return tree_text(in_dir("r.html"));
}

static void pages(void)
{
    make_run("a", "gpt2", "lithe train t.txt --out a", "t1", 20, 5, 1, "{\"step\": 20, \"rolled_back\": \"<nan>\"}\n");
    make_run("b", "rwkv7", "lithe train t.txt --arch rwkv7 --out b", "t1", 20, 5.25, 1.1, "");
    char *page = report_of((const char *const[]){ "a", "b" }, 2, in_dir("csv"));
    check_well_formed(page);
    check_alone(page);
    CHECK(check_contrast(page) == 3 * 14);
    CHECK(strlen(page) < 500000 && strstr(page, "<title>2 training runs</title>") && strstr(page, ">3.0000<") && strstr(page, ">3.0500<") && strstr(page, "lithe train t.txt --arch rwkv7 --out b"));
    CHECK(strstr(page, "xq &lt;zz&gt;") && strstr(page, "&lt;nan&gt;") && strstr(page, "abc  ckpt-10/model.safetensors") && strstr(page, "&lt;&amp;&gt;"));
    CHECK(strstr(page, "Validation loss at equal compute") && strstr(page, "Gradient norm") && strstr(page, "Tokens per second") && strstr(page, "Bits per byte by tokens"));
    CHECK(strstr(page, "<td>+0.1000</td>"));                             /* of 0.25, 0.15 and 0.05, the last two */
    free(page);
}

/* One line of a CSV file, without its end. */
static void check_line(const char *file, int number, const char *expected)
{
    char *text = tree_text(in_dir(file)), *line = text;
    for (int i = 0; i < number && line; i++) line = strchr(line, '\n') + 1;
    CHECK_MSG(line && !strncmp(line, expected, strlen(expected)) && line[strlen(expected)] == '\n', "%s:%d is %.120s", file, number + 1, line ? line : "absent");
    free(text);
}

static void numbers_beside(void)
{
    make_run("a", "gpt2", "lithe train \"t, u.txt\"", "t1", 20, 5, 1, "");
    free(report_of((const char *const[]){ "a" }, 1, in_dir("csv")));
    check_line("csv/steps.csv", 0, "run,step,tokens,seconds,flops,loss,grad_norm,lr,tokens_per_second,flops_per_second");
    check_line("csv/steps.csv", 3, "a,3,300,6,3000000000,4.7,1.5,0.001,50,500000000");
    check_line("csv/evaluations.csv", 2, "a,10,1000,20,10000000000,4,2,,1000");
    check_line("csv/runs.csv", 1, "a,gpt2,1000,20,20,2000,40,20000000000,3.05,3,3,1.5,,0,0,0,t1,\"lithe train \"\"t, u.txt\"\"\"");
    json_t *v = json_load_file(in_dir("csv/evaluations.json"), 0, NULL), *second = json_array_get(v, 1);
    CHECK(json_array_size(v) == 3 && json_is_null(json_object_get(second, "accuracy")));
    NEAR(json_number_value(json_object_get(second, "valid_loss")), 4, 1e-12);
    json_decref(v);
}

static void tokenizers_differ(void)
{
    make_run("a", "gpt2", "lithe train t.txt", "t1", 20, 5, 1, "");
    make_run("b", "gpt2", "lithe train t.txt --tokenizer u", "t2", 20, 9, 1, "");
    char *page = report_of((const char *const[]){ "a", "b" }, 2, NULL);
    CHECK(strstr(page, "different tokenizers") && !strstr(page, "Validation loss") && !strstr(page, "Training loss") && strstr(page, "Bits per byte at equal compute") && strstr(page, "<td>+2.0000</td>"));
    free(page);
}

static void seeds_are_a_band(void)
{
    make_run("s0", "gpt2", "lithe train t.txt --seed 0 --out s0", "t1", 20, 5, 1, "");
    make_run("s1", "gpt2", "lithe train t.txt --seed=1 --out s1", "t1", 20, 5.5, 1, "");
    make_run("l", "gpt2", "lithe train t.txt --lr 1 --out l", "t1", 20, 6, 1, "");
    char *page = report_of((const char *const[]){ "s0", "s1", "l" }, 3, NULL);
    int figures = count_of(page, "<figure>"), bands = count_of(page, "<polygon");
    CHECK_MSG(figures == bands && strstr(page, "s0 and 1 more"), "%d figures, %d bands", figures, bands);
    free(page);
}

/* The grown run ends at 3.0 with 2e10; the other falls from 5 by 0.5 in 1e10 and is there at 4e10. */
static void savings_of_growing(void)
{
    make_run("g", "tokenformer", "lithe train t.txt --out g", "t1", 20, 5, 1, "{\"step\": 20, \"grew\": \"slots 1 -> 2\", \"method\": \"A\", \"params_before\": 1000, \"params\": 2000}\n");
    make_run("w", "tokenformer", "lithe train t.txt --out w --params 2k", "t1", 60, 5, 0.5, "");
    char *page = report_of((const char *const[]){ "g", "w" }, 2, in_dir("csv"));
    check_line("csv/growth.csv", 1, "g,w,3,20000000000,40000000000,0.5");
    CHECK(strstr(page, "<td>50 %</td>") && strstr(page, "slots 1 -&gt; 2: 1000 to 2000 parameters"));
    free(page);
}

static void long_pages(void)
{
    static lithe_run *runs[20];
    lithe_error e = { 0 };
    static char log[1 << 20];
    size_t n = (size_t)snprintf(log, sizeof log, "{\"step\": 0, \"started\": \"gpt2\", \"params\": 10, \"steps\": 1000}\n");
    for (int s = 1; s <= 1000; s++) n += (size_t)snprintf(log + n, sizeof log - n, "{\"step\": %d, \"loss\": %.6f, \"grad_norm\": %.6f, \"lr\": 0.001, \"tokens\": 100, \"seconds\": 1, \"flops\": 1000}\n", s, 5 + sin(s), 2 + cos(s * 1.7));
    put("long", "log.jsonl", log);
    for (int i = 0; i < 20; i++) runs[i] = open_run("long");
    CHECK_MSG(!lithe_report(runs, 20, in_dir("r.html"), NULL, &e), "%s", e.text);
    char *page = tree_text(in_dir("r.html"));
    CHECK_MSG(strlen(page) <= 500000, "%zu bytes", strlen(page));
    check_well_formed(page);
    free(page);
    for (int i = 0; i < 20; i++) lithe_run_close(runs[i]);
}

/* Labels have the digits that tell them from the next ones; values that hardly differ are no endless row of them. */
static void labels(void)
{
    static const char *const expected[] = { ">5e-4<", ">1.5e-3<", ">2.5e-3<", ">3e-3<", ">3.1416<", ">3.1418<", ">0<", ">20<" };
    static char log[1 << 16];
    size_t n = (size_t)snprintf(log, sizeof log, "{\"step\": 0, \"started\": \"gpt2\", \"params\": 10, \"steps\": 20}\n");
    for (int s = 1; s <= 20; s++)
        n += (size_t)snprintf(log + n, sizeof log - n, "{\"step\": %d, \"loss\": %.9f, \"grad_norm\": %.17g, \"lr\": %g, \"tokens\": 100, \"seconds\": 1, \"flops\": 1000}\n", s,
                              3.1415 + 4e-4 * (20 - s) / 19, s % 2 ? 3 : 3.0000000000000004, 3e-3 * s / 20);
    put("l", "log.jsonl", log);
    char *page = report_of((const char *const[]){ "l" }, 1, NULL);
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) CHECK_MSG(strstr(page, expected[i]), "there is no label %s", expected[i]);
    CHECK_MSG(count_of(page, "<text") < 400, "%d labels", count_of(page, "<text"));
    free(page);
}

/* ---- differences ----------------------------------------------------------------------------- */

/* At equal steps b - a is 0.25, 0.15, 0.05; at equal FLOPs a run that computes twice as fast is compared between its
 * evaluations. */
static void differences(void)
{
    lithe_run_difference d;
    lithe_error e = { 0 };
    make_run("a", "gpt2", "x", "t1", 20, 5, 1, "");
    make_run("b", "gpt2", "y", "t1", 20, 5.25, 1.1, "");
    make_run("c", "gpt2", "z", "t1", 10, 7, 1, "");
    lithe_run *a = open_run("a"), *b = open_run("b"), *c = open_run("c");
    CHECK_MSG(!lithe_run_compare(a, b, NULL, 1, &d, &e), "%s", e.text);
    CHECK(!strcmp(d.measure, "valid_loss") && d.points == 3);
    NEAR(d.difference, 0.1, 1e-9);
    NEAR(d.interval[0], 0.05, 1e-9);
    NEAR(d.interval[1], 0.15, 1e-9);
    NEAR(d.last_b - d.last_a, 0.05, 1e-9);
    CHECK(!lithe_run_compare(a, c, "tokens", 1, &d, &e) && d.points == 2);
    NEAR(d.difference, 2, 1e-9);
    CHECK(lithe_run_compare(a, c, "miles", 1, &d, &e) == LITHE_EINVAL && strstr(e.text, "miles"));
    lithe_run_close(a);
    lithe_run_close(b);
    lithe_run_close(c);
}

/* ---- the commands ------------------------------------------------------------------------------- */

static void commands(void)
{
    CHECK(sh("i=0; while [ $i -lt 300 ]; do echo \"the $i ships sail north.\"; i=$((i+1)); done > tale.txt") == 0);
    CHECK_MSG(sh("$L sweep --vary lr=1e-3,3e-3 --seeds 2 --jobs 2 --out s --json -- tale.txt --tokenizer bytes --params 20k --ctx 32 --batch 2 --steps 4 --eval-every 1 --sample the") == 0, "%s", err);
    json_t *v = json_loads(out, 0, NULL), *combinations = json_object_get(v, "combinations");
    CHECK_MSG(json_integer_value(json_object_get(v, "runs")) == 4 && json_array_size(combinations) == 2 && !json_integer_value(json_object_get(v, "failed")), "%s", out);
    CHECK(json_number_value(json_object_get(json_array_get(combinations, 0), "valid_loss")) > 1);
    json_decref(v);
    TRANSCRIPTS(
        { "ls s/lr=1e-3,seed=1/model.safetensors s/report.html s/csv/runs.csv", 0, "runs.csv", NULL },
        { "$L sweep --vary lr=1e-3,3e-3 --seeds 2 --out s -- tale.txt --steps 4", 0, "validation loss", "is finished" },
        { "$L sweep --vary lr=1e-3,3e-3 --seeds 2 --out s -- tale.txt --steps 4", 0, "validation loss", "was begun with other arguments, and stays as it is: lithe train tale.txt --tokenizer bytes" },
        { "$L sweep --vary lr=1e-3,3e-3 --seeds 2 --jobs 2 --out ./s -- tale.txt --tokenizer bytes --params 20k --ctx 32 --batch 2 --steps 4 --eval-every 1 --sample the 2>&1 | grep -c begun", 1, "0", NULL },
        { "$L sweep --vary ctx=32 --out deep/er -- tale.txt --tokenizer bytes --params 20k --batch 2 --steps 1 && ls deep/er/report.html", 0, "report.html", "" },
        { "$L sweep --vary lr -- tale.txt", 2, NULL, "expected OPTION=A,B" }, { "$L sweep --vary out=1,2 -- tale.txt", 2, NULL, "the sweep chooses it" },
        { "$L sweep --vary lr=1,2,1 -- tale.txt", 2, NULL, "the value 1 is there twice" }, { "$L sweep --vary lr=1 --vary lr=2 -- tale.txt", 2, NULL, "--vary lr: is there twice" },
        { "$L sweep --vary lr=1 --out gone -- nowhere.txt --steps 1", 3, NULL, "gone/lr=1,seed=0 failed: lithe train: nowhere.txt: cannot open" },
        { "$L sweep --vary ctx=3000000 --out t -- tale.txt --steps 1 2>&1 | grep -c ' failed: '", 0, "1", NULL },
        { "$L report s/lr=1e-3,seed=0 s/lr=1e-3,seed=1 --out p.html --csv numbers", 0, "p.html", NULL }, { "$L report s/lr=1e-3,seed=0 --out q.html --json", 0, "\"runs\":1", NULL },
        { "echo mine > mine.html; $L report s/lr=1e-3,seed=0 --out mine.html", 2, NULL, "mine.html: is there already" }, { "cat mine.html", 0, "mine\n", NULL },
        { "$L report s/lr=1e-3,seed=0 --out r.html --csv numbers", 2, NULL, "numbers: exists and is not empty" }, { "ls r.html", 2, NULL, "r.html" },
        { "$L report nowhere", 3, NULL, "is no run" }, { "$L report", 2, NULL, "operand is missing" }, { "$L compare s/lr=1e-3,seed=0", 2, NULL, "not enough" },
        { "$L compare s/lr=1e-3,seed=0 s/lr=3e-3,seed=0", 0, "95 % interval", NULL }, { "$L compare s/lr=1e-3,seed=0 s/lr=3e-3,seed=0 --json", 0, "\"difference\":", NULL },
        { "$L report s", 3, NULL, "s: is a directory of runs: name these, as s/" }, { "$L sweep --vary lr=1,,2 -- tale.txt", 2, NULL, "expected OPTION=A,B" },
        { "$L sweep --vary lr=, -- tale.txt", 2, NULL, "expected OPTION=A,B" },
        { "$L sweep --vary sample=$(printf %0300d 7) --out no -- tale.txt", 2, NULL, "a value has 300 bytes; at most 190" },
        { "$L sweep --vary lr=1e-3 --out no -- tale.txt --seed 7", 2, NULL, "--seed stands after --, but the sweep chooses it" },
        { "$L sweep --vary lr=1e-3 --out no -- tale.txt --out=elsewhere", 2, NULL, "--out stands after --, but" },
        { "$L sweep --vary lr=1e-3 --out no -- --resume run", 2, NULL, "--resume stands after --, but" },
        { "$L sweep --vary lr=1e-3 --out no -- tale.txt --lr 5e-4", 2, NULL, "--lr stands after -- and is varied" },
        { "$L sweep --vary steps=1,2 --out no -- tale.txt -n 3", 2, NULL, "--steps stands after -- and is varied" },
        { "$L sweep --vary lr=1e-3 --out no -- tale.txt --stepz 3; test -e no", 1, NULL, "unknown option --stepz" }, { "$L sweep --vary lr=1 --out mine.html -- tale.txt --steps 1", 1, NULL, "mine.html: cannot make, Not a directory" },
        { "$L sweep --seeds 99999999999 -- tale.txt", 2, NULL, "is more than 2147483647" },
        { "mkdir bare && echo '{\"step\": 3, \"loss\": null, \"valid_loss\": 2}' > bare/log.jsonl && $L watch bare 2>&1 | grep -c 'nan\\|of 0\\|no step'", 1, "0", NULL },
        { "$L watch bare", 0, "loss unknown  validation 2.0000", NULL }, { "$L watch s/lr=1e-3,seed=0", 0, "training loss", NULL }, { "$L watch nowhere", 3, NULL, "is no run" });
    CHECK_MSG(sh("$L compare s/lr=1e-3,seed=0 s/lr=1e-3,seed=0 --against flops --json") == 0 && strstr(out, "\"difference\":0,"), "%s %s", out, err);
}

/* A sweep that is stopped stops its runs, says so, and goes on by the same command: the runs that were begun to the
 * same models as if they had not been stopped. */
static void sweeps_go_on(void)
{
    static const char go[] = "$L sweep --vary lr=1e-3,3e-3 --seeds 2 --jobs 2 %s -- tale.txt --tokenizer bytes --params 20k --ctx 32 --batch 2 --steps 4000 --eval-every 1000 --save-every 0 --no-sample";
    char first[400], second[400];
    CHECK(sh("i=0; while [ $i -lt 300 ]; do echo \"the $i ships sail north.\"; i=$((i+1)); done > tale.txt") == 0);
    snprintf(first, sizeof first, go, "--json --out s");
    snprintf(second, sizeof second, go, "-q --out whole");
    CHECK(sh("%s & p=$!; for i in $(seq 600); do [ $(cat s/lr=1e-3,seed=0/log.jsonl 2>/dev/null | wc -l) -gt 30 ] && break; sleep 0.02; done; kill -TERM $p; wait $p", first) == 143);
    CHECK_MSG(strstr(err, "the same command continues") && !strstr(out, "lithe.sweep"), "%s %s", out, err);
    CHECK(sh("ls s/*/lock s/report.html s/lr=3e-3,seed=1") != 0 && !*out);
    CHECK_MSG(sh("%s", first) == 0 && strstr(out, "\"runs\":4,\"failed\":0"), "%s %s", out, err);
    CHECK_MSG(sh("%s && for r in 'lr=1e-3,seed=0' 'lr=1e-3,seed=1' 'lr=3e-3,seed=0' 'lr=3e-3,seed=1'; do cmp s/$r/model.safetensors whole/$r/model.safetensors || exit 1; done", second) == 0, "%s%s", out, err);
    CHECK(sh("grep -c resumed s/lr=1e-3,seed=0.txt; ls s/report.html s/csv/runs.csv") == 0);
}

/* On a terminal of 24 lines each look begins in the first corner and fits; it shows the memory of who trains, and
 * changes nothing. */
static void watching(void)
{
    if (sh("command -v script timeout") != 0) test_skip("no script(1)");
    CHECK(sh("i=0; while [ $i -lt 300 ]; do echo \"the $i ships sail north.\"; i=$((i+1)); done > tale.txt") == 0);
    CHECK(sh("$L train tale.txt --tokenizer bytes --params 20k --ctx 32 --batch 2 --steps 1000000 --eval-every 20 --sample the --out w -q & echo $! > pid; while ! [ -e w/samples/20.txt ]; do sleep 0.05; done") == 0);
    CHECK(sh("env -u LINES -u COLUMNS TERM=xterm LC_ALL=C.UTF-8 script -qec \"stty cols 80 rows 24; timeout 2 $L watch w --every 0.3\" /dev/null") == 0 || *out);
    char *look = strstr(out, "\033[H\033[J"), *next = look ? strstr(look + 6, "\033[H\033[J") : NULL;
    CHECK_MSG(look && next, "one look or none: %.200s", out);
    if (next) *next = 0;
    CHECK_MSG(look && count_of(look, "\n") <= 23, "%d lines", count_of(look, "\n"));
    const char *memory = look ? strstr(look, "  memory ") : NULL;
    CHECK_MSG(memory && atof(memory + 9) > 1 && strstr(memory, "MB, at most") && strstr(look, "tok/s") && strstr(look, "sample of step") && strstr(look, "\n          the"), "%s", look);
    CHECK(sh("p=$(cat pid); kill $p; while kill -0 $p 2>/dev/null; do sleep 0.05; done; find w -type f | sort | xargs sha256sum > before; $L watch w > seen; find w -type f | sort | xargs sha256sum | cmp before -; grep -c 'nobody trains it now' seen") == 0);
    TRANSCRIPTS({ "echo process 5 on another-machine > w/lock; $L watch w", 0, "trained on another-machine\n", NULL },
                { "echo process $$ on $(hostname) > w/lock; $L watch w", 0, "nobody trains it now\n", NULL }, { "echo nonsense > w/lock; $L watch w", 0, "nobody trains it now\n", NULL });
}

/* ---- looks ---------------------------------------------------------------------------------------- */

/* A page with every kind of section: growths and other marks, seeds as a band, long names, costs. */
static char *rich_page(void)
{
    static const char *const names[] = { "seed-0", "seed-1", "a-run-with-quite-a-long-name-of-its-own,lr=1e-3,batch=16,seed=0", "grown" };
    lithe_run *runs[4];
    lithe_error e = { 0 };
    char costs[400];
    snprintf(costs, sizeof costs, "%s", in_dir("cost.jsonl"));
    make_run(names[0], "gpt2", "lithe train t.txt --seed 0 --out s0", "t1", 60, 5, 0.5, "");
    make_run(names[1], "gpt2", "lithe train t.txt --seed 1 --out s1", "t1", 60, 5.5, 0.5, "{\"step\": 60, \"rolled_back\": \"nan\"}\n");
    make_run(names[2], "rwkv7", "lithe train t.txt --lr 1e-3 --out a-run-with-quite-a-long-name-of-its-own,lr=1e-3,batch=16,seed=0/and/a/path/that/has/no/end/in/sight/at/all", "t1", 60, 6, 0.6, "{\"step\": 60, \"skipped\": \"nan\"}\n");
    make_run(names[3], "gpt2", "lithe train t.txt --grow", "t1", 40, 4.8, 0.7, "{\"step\": 40, \"grew\": \"slots 1 -> 2\", \"method\": \"A\", \"params_before\": 1000, \"params\": 2000}\n");
    FILE *f = fopen(costs, "w");
    for (int m = 0; m < 5; m++) {
        fprintf(f, "{\"schema\":\"lithe.bench.1\",\"model\":\"a-model-of-some-name-%d\",\"arch\":\"rwkv%d\",\"params\":%d,\"results\":[", m, m, 123456 * (m + 1));
        for (int k = 0; k < 6; k++)
            fprintf(f, "%s{\"type\":\"stored\",\"work\":\"decode\",\"parallel\":1,\"depth\":%.0f,\"tokens\":1,\"seconds\":%g,\"engine_bytes\":%.0f}", k ? "," : "", k ? pow(10, k) : 0,
                    1e-4 * (1 + m * k), 1e5 * (1 + m * pow(10, k)));
        fprintf(f, "]}\n");
    }
    fclose(f);
    for (int i = 0; i < 4; i++) runs[i] = open_run(names[i]);
    const lithe_report_options o = { .size = sizeof o, .costs = (const char *const[]){ costs }, .cost_count = 1, .peak = 1e12 };
    CHECK_MSG(!lithe_report(runs, 4, in_dir("r.html"), &o, &e), "%s", e.text);
    for (int i = 0; i < 4; i++) lithe_run_close(runs[i]);
    return tree_text(in_dir("r.html"));
}

/* Everything that is drawn has its place on a desktop and on a phone, on light and dark screens. */
static void looks_are_good(void)
{
    char *page = rich_page();
    check_looks(page, "report");
    CHECK_MSG(count_of(page, "<figure>") > 12, "%d figures", count_of(page, "<figure>"));
    free(page);
}

/* On paper nothing can be scrolled: with its styles all fits into 720 pixels or so. */
static void paper_is_wide_enough(void)
{
    const char *program = browser();
    char *page = rich_page(), line[4000] = "it says nothing";
    int blocks = 0;
    for (char *at = page; (at = strstr(at, "@media print{")); blocks++) memcpy(at, "@media all  {", 13);
    write_looking("paper.html", page, "<script>var paper = true</script>");
    bool said = look(program, "paper.html", 700, true, in_dir("paper.png"), line);
    CHECK_MSG(blocks == 2 && said && strstr(line, "look: 700 pixels") && strstr(line, " 0 faults"), "%d blocks: %s", blocks, line);
    char *plain = rich_page();
    write_looking("screen.html", plain, "<script>var paper = true</script>");
    CHECK(look(program, "screen.html", 700, true, in_dir("paper.png"), line));
    CHECK_MSG(strstr(line, "does not fit on paper"), "the styles of a screen fit on paper: %s", line);
    free(plain);
    free(page);
}

/* What would be ugly is found. */
static void ugly_pages_are_found(void)
{
    static const char *const faults[] = { "the page is 20", "Blank: nothing is drawn", "Cut: left is cut off", "Over: two lies over one", "None: it is empty", "a table shows its first column only", "Small: tiny is", "Over: one is there twice", "wider than its place" };
    const char *program = browser();
    char *page = rich_page(), line[4000] = "it says nothing";
    write_looking("ugly.html", page, "<div style=\"width:2000px\">.</div>"
        "<figure><figcaption>Blank</figcaption><svg viewBox=\"0 0 640 312\"><text x=\"99\" y=\"99\">x</text></svg></figure>"
        "<figure><figcaption>Cut</figcaption><svg viewBox=\"0 0 640 312\"><circle cx=\"99\" cy=\"99\" r=\"40\"/><text x=\"-20\" y=\"99\">left</text></svg></figure>"
        "<figure><figcaption>Over</figcaption><svg viewBox=\"0 0 640 312\"><circle cx=\"99\" cy=\"99\" r=\"40\"/><text x=\"104\" y=\"99\">two</text><text x=\"104\" y=\"101\">one</text><text x=\"104\" y=\"200\">one</text></svg></figure>"
        "<figure><figcaption>None</figcaption><p>There are no such numbers.</p></figure>"
        "<figure><figcaption>Small</figcaption><svg viewBox=\"0 0 640 312\"><circle cx=\"99\" cy=\"99\" r=\"40\"/><text style=\"font-size:3px\" x=\"99\" y=\"99\">tiny</text></svg></figure>"
        "<div class=\"wide\"><table><tbody><tr><td style=\"max-width:none\"><div style=\"width:300px\">x</div></td><td>1</td></tr></tbody></table></div>"
        "<p style=\"width:4rem;overflow:hidden\">Unbrokenlinesofletters</p>");
    CHECK(look(program, "ugly.html", PHONE, true, in_dir("ugly.png"), line));
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) CHECK_MSG(strstr(line, faults[i]), "\"%s\" is not among: %s", faults[i], line);
    free(page);
}

const test tests_reports[] = {
    { "reports: a log", a_log },
    { "reports: damaged logs are used as far as they go", damaged_logs },
    { "reports: pages are well-formed, alone and readable", pages },
    { "reports: the numbers beside a page are the log's", numbers_beside },
    { "reports: tokenizers that differ", tokenizers_differ },
    { "reports: seeds are a band", seeds_are_a_band },
    { "reports: what growing saves", savings_of_growing },
    { "reports: pages have a largest size", long_pages },
    { "reports: labels of axes", labels },
    { "reports: differences", differences },
    { "reports: the commands", commands },
    { "reports: sweeps go on", sweeps_go_on },
    { "reports: watching", watching },
    { "reports: looks on desktop and phone", looks_are_good },
    { "reports: paper is wide enough", paper_is_wide_enough },
    { "reports: ugly pages are found", ugly_pages_are_found },
    { 0 }
};
