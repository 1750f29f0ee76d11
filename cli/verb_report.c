/* lithe report: one page about training runs. */
#include "inputs.h"
#include "output.h"
#include "runs.h"
#include "verbs.h"
#include <stdlib.h>

typedef struct { common common; const char *out, *csv, *title, *peak, *text; texts cost; int models, json; } report_settings;

static const option report_options[] = {
    { "out", 'o', FILENAME(report_settings, out), "FILE.html", "report.html", .help = "the page to write", .also = "output,html", .group = "page", .first = 1 },
    { "csv", 0, FILENAME(report_settings, csv), "DIR", .help = "also write the numbers of every figure there, as CSV and JSON", .first = 1 },
    { "title", 0, TEXT(report_settings, title), "TEXT", .help = "title of the page (default: the name of the run, or the number of runs)" },
    { "json", 0, FLAG(report_settings, json), .help = "print {schema, path, csv, runs}" },
    { "cost", 0, LIST(report_settings, cost), "FILE", .help = "also figures of what a token costs late in a text: a file with a line of lithe bench MODEL --depth 0,1000,10000 --json for each model; several times: all of them", .also = "bench,costs", .group = "figures", .first = 1 },
    { "models", 0, FLAG(report_settings, models), NULL, "1", .help = "also figures of the models of the runs, which are opened: diversity of features by layer, attention, use of parameter tokens, decays, surprise by token", .also = "checkpoints,diversity", .first = 1 },
    { "text", 0, FILENAME(report_settings, text), "FILE", .help = "the text that the models are shown on (default: the held-out text of their runs); - is standard input", .first = 1 },
    { "peak", 0, CHOICE(report_settings, peak), "TYPE", .help = "show the share of this machine's peak in this type, measured now; for runs that it trained", .choices = "f32|bf16" },
    { 0 }
};

static void say_line(void *context, const char *line)
{
    (void)context;
    say("%s", line);
}

static int report(const arguments *a)
{
    const report_settings *s = a->settings;
    lithe_error err = { 0 };
    if (s->text && !s->models) return usage("--text is for the figures of models, which --no-models leaves out");
    must_be_new(s->out, false, &err);
    must_be_new(s->csv, true, &err);
    for (int i = 0; i < s->cost.count; i++) must_be_there(s->cost.items[i], &err);
    size_t bytes = 0;
    char *text = s->text && !err.status ? read_documents(s->text, &bytes, &err) : NULL;
    lithe_run **runs = err.status ? NULL : open_runs(a->operands, a->count, &err);
    if (!runs) { free(text); return failed_input(&err); }
    const lithe_report_options o = { .size = sizeof o, .title = s->title, .csv = s->csv, .peak = s->peak ? machine_peak(s->peak, &err) : 0, .costs = s->cost.items, .cost_count = s->cost.count,
                                     .models = s->models, .text = text, .text_bytes = bytes, .say = say_line };
    int status = err.status ? (int)err.status : lithe_report(runs, a->count, s->out, &o, &err);
    close_runs(runs, a->count);
    free(text);
    if (status) return err.status == LITHE_EFORMAT ? failed_input(&err) : failed_output(&err);
    if (s->json) {
        emitter e = emit_begin(stdout, "report");
        emit_text(&e, "path", s->out);
        emit_text(&e, "csv", s->csv);
        emit_count(&e, "runs", a->count);
        emit_end(&e);
    } else printf("%s\n", s->out);
    return EXIT_DONE;
}

const verb verb_report = {
    .name = "report", .operands = "RUN...", .least = 1, .most = -1,
    .summary = "write one page of figures about training runs",
    .about = "Reads the logs of runs, finished or not, and their models, and writes one HTML file: a table, curves by steps and at equal tokens, compute and "
             "time, what growing saved, differences with intervals, samples, commands, configurations and hashes. It needs no other file, no "
             "script and no network, and can be printed.\n\n"
             "Runs that differ in their seed only are one curve in a band. Runs with different tokenizers are compared by bits per byte. A "
             "damaged or unfinished log is used as far as it can be read, and the page says so.\n\n"
             "With --cost the page has the time and the memory of a token by its position, of any models: each line of FILE is what lithe bench "
             "printed for one of them with --depth and --json.\n\n"
             "The models that the runs hold are shown on their held-out text, or on that of --text: how different the features of tokens are by layer, for one "
             "run at its checkpoints too, what attends to what, which parameter tokens are used, how long states last, and how surprising each token is. They are opened for that, for a minute at most; --no-models leaves them out.",
    .examples = "  lithe report runs/tale-1\n  lithe report runs/a runs/b --out ab.html --csv ab\n"
                "  lithe bench runs/a --decode 64 --depth 0,1000,10000 --json >> cost.jsonl\n  lithe report runs/a --cost cost.jsonl\n",
    .options = report_options, .bytes = sizeof(report_settings), .run = report,
};
