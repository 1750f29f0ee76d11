/* lithe watch: a run as it goes, read from its files alone. */
#include "braille.h"
#include "inputs.h"
#include "interrupt.h"
#include "output.h"
#include "quantity.h"
#include "run_process.h"
#include "runs.h"
#include "terminal.h"
#include "verbs.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef struct { common common; double every; int once; } watch_settings;

static const option watch_options[] = {
    { "every", 0, TIME(watch_settings, every), "TIME", "2", .help = "time between two looks at the run", .least = 0.1 },
    { "once", 0, FLAG(watch_settings, once), .help = "look once, as off a terminal" },
    { 0 }
};

enum { WIDEST = 120, MARGIN = 10, CURVE_LINES = 8, CURVE_LEAST = 2, SAMPLE_LINES = 3, OTHER_LINES = 13 };

/* The lines of each of three curves, so that all fits into the terminal. */
static int curve_lines(bool once)
{
    int lines = once ? CURVE_LINES : (terminal_height(stdout) - OTHER_LINES) / 3;
    return lines > CURVE_LINES ? CURVE_LINES : lines < CURVE_LEAST ? CURVE_LEAST : lines;
}

static void draw_curve(const lithe_run *r, const char *of, const char *title, int width, int lines)
{
    size_t n = lithe_run_curve(r, of, "step", NULL, NULL, 0);
    double *x = malloc((n + 1) * sizeof *x), *y = malloc((n + 1) * sizeof *y);
    if (x && y && n) {
        lithe_run_curve(r, of, "step", x, y, n);
        printf("%*s%s\n", MARGIN, "", title);
        braille_draw(stdout, x, y, n, width - MARGIN - 1, lines);
    }
    free(x);
    free(y);
}

/* The last sample in lines of the terminal's width. */
static void print_sample(const lithe_run *r, int width)
{
    char shown[SAMPLE_LINES * WIDEST + 1];
    int step = 0, last = -1;
    while (lithe_run_sample(r, last + 1, NULL)) last++;
    const char *text = lithe_run_sample(r, last, &step);
    if (!text) return;
    printf("\n%*ssample of step %d\n%*s", MARGIN, "", step, MARGIN, "");
    size_t room = width > MARGIN + 10 ? (size_t)(SAMPLE_LINES * (width - MARGIN - 8)) : 1;
    snprintf(shown, sizeof shown, "%.*s", (int)(room < sizeof shown ? room : sizeof shown - 1), text);
    size_t n = strlen(shown), whole = 0;
    for (int length; whole < n && (length = utf8_length(shown + whole, n - whole)); whole += (size_t)length) if ((unsigned char)shown[whole] < ' ') shown[whole] = ' ';
    shown[whole] = 0;
    print_filled(stdout, shown, MARGIN, MARGIN, width);
    printf("\n");
}

static void print_head(const lithe_run *r)
{
    lithe_run_summary s;
    lithe_run_summarize(r, &s);
    printf("%s  %s", s.name, s.arch);
    if (isfinite(s.params)) printf("%s%.3gM parameters", *s.arch ? ", " : "", s.params / 1e6);
    printf("  step %d", s.step);
    if (s.steps) printf(" of %d", s.steps);
    printf("\n%.4g M tokens  %.0f tok/s  %.3g GFLOP/s", s.tokens / 1e6, s.seconds > 0 ? s.tokens / s.seconds : 0, s.seconds > 0 ? s.flops / s.seconds / 1e9 : 0);
}

/* The memory of the process that trains, which only its own machine knows. */
static void print_process(const lithe_run *r, const char *path)
{
    lithe_run_summary s;
    char now[16], most[16];
    lithe_run_summarize(r, &s);
    const run_process p = run_process_of(path);
    if (p.state == RUN_HERE && p.peak > 0) printf("  memory %sB, at most %sB\n", size_text(p.resident, now), size_text(p.peak, most));
    else if (p.state == RUN_HERE) printf("\n");
    else if (p.state == RUN_ELSEWHERE) printf("  trained on %s\n", p.host);
    else printf(s.steps && s.step >= s.steps ? "  finished\n" : "  nobody trains it now\n");
}

static void print_losses(const lithe_run *r)
{
    lithe_run_summary s;
    lithe_run_summarize(r, &s);
    if (isfinite(s.loss)) printf("loss %.4f", s.loss);
    else printf(s.step ? "loss unknown" : "no step yet");
    if (isfinite(s.valid_loss)) printf("  validation %.4f", s.valid_loss);
    if (isfinite(s.bits_per_byte)) printf("  %.4f bits per byte", s.bits_per_byte);
    if (isfinite(s.accuracy)) printf("  %.4f accuracy", s.accuracy);
    if (s.growths) printf("  grew %d times", s.growths);
    if (s.skipped || s.rolled_back) printf("  %d steps skipped, %d roll-backs", s.skipped, s.rolled_back);
    printf("\n\n");
}

static void show(const lithe_run *r, const char *path, bool once)
{
    int width = terminal(stdout) ? terminal_width(stdout) : 80, lines = curve_lines(once);
    if (width > WIDEST) width = WIDEST;
    print_head(r);
    print_process(r, path);
    print_losses(r);
    draw_curve(r, "loss", "training loss", width, lines);
    draw_curve(r, "valid_loss", "validation loss", width, lines);
    draw_curve(r, "tokens_per_second", "tokens per second", width, lines);
    print_sample(r, width);
}

static int watch(const arguments *a)
{
    const watch_settings *s = a->settings;
    bool once = s->once || !terminal(stdout);
    lithe_error err = { 0 };
    lithe_run_summary sum;
    interrupt_catch(true);
    for (;;) {
        lithe_run *r = lithe_run_open(a->operands[0], &err);
        if (!r) return failed_input(&err);
        if (!once) terminal_clear(stdout);
        show(r, a->operands[0], once);
        fflush(stdout);
        lithe_run_summarize(r, &sum);
        lithe_run_close(r);
        if (once || (sum.steps && sum.step >= sum.steps)) return EXIT_DONE;
        const struct timespec pause = { (time_t)s->every, (long)(1e9 * (s->every - floor(s->every))) };
        nanosleep(&pause, NULL);
        if (interrupted()) return EXIT_DONE;
    }
}

const verb verb_watch = {
    .name = "watch", .operands = "RUN", .least = 1, .most = 1,
    .summary = "show a run as it goes: curves, throughput, the latest sample",
    .about = "Reads the log of a run again and again, from another terminal or another machine that sees its files, and draws it. Nothing of "
             "the run is changed. It ends with the run, or with Ctrl-C. Off a terminal it looks once.",
    .examples = "  lithe watch runs/tale-1\n",
    .options = watch_options, .bytes = sizeof(watch_settings), .run = watch,
};
