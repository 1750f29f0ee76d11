/* lithe replay: a step of a run once more, bit for bit. */
#include "inputs.h"
#include "interrupt.h"
#include "lithe_runs.h"
#include "output.h"
#include "quantity.h"
#include "verbs.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct { common common; int json; } replay_settings;

static const option replay_options[] = {
    { "json", 0, FLAG(replay_settings, json), .help = "print {schema, step, loss, grad_norm, lr, tokens, skipped, logged, same}" },
    { 0 }
};

/* A step as it was, or as the log has it. */
typedef struct { bool known, skipped; double loss, grad_norm; char why[640]; } outcome;

/* What the log has of a step is rounded to 9 digits. */
static bool same_number(double a, double b)
{
    char x[40], y[40];
    snprintf(x, sizeof x, "%.9g", a);
    snprintf(y, sizeof y, "%.9g", b);
    return !strcmp(x, y);
}

static bool same_outcome(const outcome *a, const outcome *b)
{
    if (a->skipped || b->skipped) return a->skipped && b->skipped && !strcmp(a->why, b->why);
    return same_number(a->loss, b->loss) && same_number(a->grad_norm, b->grad_norm);
}

static double value_at(const lithe_run *r, const char *of, int step, lithe_error *err)
{
    size_t n = lithe_run_curve(r, of, "step", NULL, NULL, 0);
    double *x = allocate(n, sizeof *x, err), *y = allocate(n, sizeof *y, err), value = NAN;
    if (x && y) lithe_run_curve(r, of, "step", x, y, n);
    for (size_t i = 0; x && y && i < n; i++) if (x[i] == step) value = y[i];
    free(x);
    free(y);
    return value;
}

static outcome read_log(const char *run, int step, lithe_error *err)
{
    outcome o = { 0 };
    lithe_run_event e;
    lithe_run *r = lithe_run_open(run, err);
    if (!r) return o;
    for (int i = 0; lithe_run_event_at(r, i, &e); i++)
        if (e.step == step && !strcmp(e.kind, "skipped")) {
            o.known = o.skipped = true;
            snprintf(o.why, sizeof o.why, "%s", e.text);
        }
    o.loss = value_at(r, "loss", step, err);
    o.grad_norm = value_at(r, "grad_norm", step, err);
    o.known |= isfinite(o.loss);
    lithe_run_close(r);
    return o;
}

/* Goes through the events up to the step; *from is the step it began with. */
static outcome repeat(const char *run, int step, int *from, lithe_event *e, lithe_error *err)
{
    outcome o = { 0 };
    lithe_trainer *t = lithe_trainer_replay(run, step, err);
    *from = -1;
    while (t && !o.known && !interrupted() && lithe_trainer_next(t, e, err) > 0) {
        bool stepped = e->kind == LITHE_STEPPED || e->kind == LITHE_SKIPPED;
        if (*from < 0) *from = stepped ? e->step - 1 : e->step;
        if (!stepped || e->step < step) continue;
        o = (outcome){ true, e->kind == LITHE_SKIPPED, e->loss, e->grad_norm, "" };
        if (o.skipped) snprintf(o.why, sizeof o.why, "%s", e->text);
    }
    lithe_trainer_close(t);
    return o;
}

static void print_json(const lithe_event *e, const outcome *o, const outcome *logged, bool same)
{
    emitter j = emit_begin(stdout, "replay");
    emit_count(&j, "step", e->step);
    emit_number(&j, "loss", o->loss);
    emit_number(&j, "grad_norm", o->grad_norm);
    emit_number(&j, "lr", e->lr);
    emit_number(&j, "tokens", e->tokens);
    emit_bool(&j, "skipped", o->skipped);
    emit_bool(&j, "logged", logged->known);
    emit_bool(&j, "same", same);
    emit_end(&j);
}

static void print(const lithe_event *e, const outcome *o, int from)
{
    printf("step %d, from ckpt-%d: loss %.9g, gradient norm %.9g, learning rate %.6g, %.0f tokens\n", e->step, from, o->loss, o->grad_norm, e->lr, e->tokens);
    if (o->skipped) printf("%s\n", o->why);
}

static int replay(const arguments *a)
{
    const replay_settings *s = a->settings;
    const char *run = a->operands[0];
    lithe_error err = { 0 };
    lithe_event e = { 0 };
    char *end;
    int from;
    long step = strtol(a->operands[1], &end, 10);
    if (*end || end == a->operands[1] || step < 1 || step > 1000000000) return usage("STEP is \"%.40s\", expected a number from 1 on", a->operands[1]);
    interrupt_catch(false);
    outcome logged = read_log(run, (int)step, &err), o = { 0 };
    if (!err.status) o = repeat(run, (int)step, &from, &e, &err);
    if (err.status) return failed_input(&err);
    if (!o.known) return interrupted() ? interrupted() : EXIT_FAILED;
    bool same = !logged.known || same_outcome(&o, &logged);
    if (s->json) print_json(&e, &o, &logged, same);
    else print(&e, &o, from);
    if (!logged.known) say("the log has no step %ld yet", step);
    else if (same) say("as the log has it");
    else if (logged.skipped) complain("the log has something else: %s", logged.why);
    else complain("the log has something else: loss %.9g, gradient norm %.9g", logged.loss, logged.grad_norm);
    return same ? EXIT_DONE : EXIT_MISMATCH;
}

const verb verb_replay = {
    .name = "replay", .operands = "RUN STEP", .least = 2, .most = 2,
    .summary = "repeat a step of a run bit for bit, and compare it with the log",
    .about = "Opens the newest checkpoint of RUN before STEP, goes from there through STEP as the run did, with its data, and prints the step's loss and "
             "gradient norm, or why it was skipped. If the log has other figures, the exit code is 6: the machine, the program or its kernels (LITHE_CPU) are "
             "not those of the run, or memory or processor failed. Nothing of the run is changed.",
    .examples = "  lithe replay runs/tale-1 812\n  lithe replay runs/tale-1 812 --json\n",
    .options = replay_options, .bytes = sizeof(replay_settings), .run = replay,
};
