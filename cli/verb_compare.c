/* lithe compare: two runs and the difference between them. */
#include "inputs.h"
#include "output.h"
#include "runs.h"
#include "verbs.h"
#include <math.h>
#include <string.h>

typedef struct { common common; const char *against; uint64_t seed; int json; } compare_settings;

static const option compare_options[] = {
    { "against", 0, CHOICE(compare_settings, against), "WHAT", "step", .help = "what is equal at the evaluations that are compared", .choices = "step|tokens|seconds|flops", .also = "at,by,equal" },
    { "seed", 's', SEED(compare_settings, seed), "N", "0", .help = "seed of the interval" },
    { "json", 0, FLAG(compare_settings, json), .help = "print {schema, measure, against, a, b, difference, interval, points, runs}" },
    { 0 }
};

static void emit_run(emitter *e, const lithe_run *r)
{
    lithe_run_summary s;
    lithe_run_summarize(r, &s);
    emit_open(e, NULL, '{');
    emit_text(e, "run", s.name);
    emit_text(e, "architecture", s.arch);
    emit_number(e, "params", s.params);
    emit_count(e, "step", s.step);
    emit_count(e, "steps", s.steps);
    emit_number(e, "tokens", s.tokens);
    emit_number(e, "seconds", s.seconds);
    emit_number(e, "flops", s.flops);
    emit_number(e, "loss", s.loss);
    emit_number(e, "valid_loss", s.valid_loss);
    emit_number(e, "best_valid_loss", s.best_valid_loss);
    emit_number(e, "bits_per_byte", s.bits_per_byte);
    emit_close(e, '}');
}

static void print_json(lithe_run *const *runs, const lithe_run_difference *d, const compare_settings *s)
{
    emitter e = emit_begin(stdout, "compare");
    emit_text(&e, "measure", d->measure);
    emit_text(&e, "against", s->against);
    emit_number(&e, "a", d->a);
    emit_number(&e, "b", d->b);
    emit_number(&e, "difference", d->difference);
    emit_open(&e, "interval", '[');
    emit_number(&e, NULL, d->interval[0]);
    emit_number(&e, NULL, d->interval[1]);
    emit_close(&e, ']');
    emit_number(&e, "last_a", d->last_a);
    emit_number(&e, "last_b", d->last_b);
    emit_count(&e, "points", (long long)d->points);
    emit_open(&e, "runs", '[');
    for (int i = 0; i < 2; i++) emit_run(&e, runs[i]);
    emit_close(&e, ']');
    emit_end(&e);
}

static void print_value(double x, int decimals)
{
    if (isfinite(x)) printf("  %13.*f", decimals, fabs(x) < 0.5 * pow(10, -decimals) ? 0 : x);
    else printf("  %13s", "-");
}

static void print_text(lithe_run *const *runs, const lithe_run_difference *d, const compare_settings *s)
{
    lithe_run_summary x[2];
    for (int i = 0; i < 2; i++) lithe_run_summarize(runs[i], &x[i]);
    printf("%-16s  %13.13s  %13.13s  %13s\n", "", x[0].name, x[1].name, "difference");
    const struct { const char *name; double a, b; int decimals; } rows[] = { { "parameters (M)", x[0].params / 1e6, x[1].params / 1e6, 4 }, { "steps", x[0].step, x[1].step, 0 },
        { "tokens (M)", x[0].tokens / 1e6, x[1].tokens / 1e6, 4 }, { "TFLOPs", x[0].flops / 1e12, x[1].flops / 1e12, 4 }, { "seconds", x[0].seconds, x[1].seconds, 2 },
        { "tokens/s", x[0].tokens / x[0].seconds, x[1].tokens / x[1].seconds, 0 }, { "training loss", x[0].loss, x[1].loss, 4 },
        { "validation loss", x[0].valid_loss, x[1].valid_loss, 4 }, { "bits per byte", x[0].bits_per_byte, x[1].bits_per_byte, 4 } };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (strcmp(d->measure, "valid_loss") && strstr(rows[i].name, "loss")) continue;
        printf("%-16s", rows[i].name);
        print_value(rows[i].a, rows[i].decimals);
        print_value(rows[i].b, rows[i].decimals);
        print_value(rows[i].b - rows[i].a, rows[i].decimals);
        printf("\n");
    }
    printf("\n%s at equal %s, mean over the last half of %zu common evaluations: %+.4f, 95 %% interval %+.4f to %+.4f\n", strcmp(d->measure, "valid_loss") ? "bits per byte" : "validation loss",
           s->against, d->points, d->difference, d->interval[0], d->interval[1]);
}

static int compare(const arguments *a)
{
    const compare_settings *s = a->settings;
    lithe_error err = { 0 };
    lithe_run_difference d;
    lithe_run **runs = open_runs(a->operands, a->count, &err);
    if (runs && !lithe_run_compare(runs[0], runs[1], s->against, s->seed, &d, &err)) (s->json ? print_json : print_text)(runs, &d, s);
    close_runs(runs, a->count);
    return err.status ? failed_input(&err) : EXIT_DONE;
}

const verb verb_compare = {
    .name = "compare", .operands = "RUN RUN", .least = 2, .most = 2,
    .summary = "compare two training runs, with the paired difference and its interval",
    .about = "Prints what both runs came to, and the mean difference (second minus first; negative: the second is better) of their validation "
             "losses over the last half of the evaluations that both have at equal steps, tokens, seconds or operations, with its 95 % "
             "interval by a bootstrap over these evaluations. Runs with different tokenizers are compared by bits per byte. The interval is of "
             "these two runs: what other seeds would give, lithe sweep tells.",
    .examples = "  lithe compare runs/a runs/b\n  lithe compare runs/a runs/b --against flops --json\n",
    .options = compare_options, .bytes = sizeof(compare_settings), .run = compare,
};
