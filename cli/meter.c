/* The bar is painted at most ten times a second.  A line is written at each
 * twentieth of the run, at evaluations, and at least once in ten seconds. */
#include "meter.h"
#include "output.h"
#include "quantity.h"
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

static const double paint_seconds = 0.1, line_seconds = 10;

meter_kind meter_choose(bool json)
{
    if (json) return METER_JSON;
    if (output_quiet()) return METER_NONE;
    return terminal(stderr) ? METER_BAR : METER_LINES;
}

void meter_open(meter *m, meter_kind kind, const lithe_model *model, const char *dtype, int ranks)
{
    int side, patch;
    *m = (meter){ .kind = kind, .utf8 = terminal_utf8(), .coloured = coloured(stderr), .first = -1, .ranks = ranks };
    if (kind == METER_BAR || kind == METER_LINES) m->peak = lithe_peak(dtype);
    if (lithe_model_images(model, &side, &patch, NULL)) m->image_rows = side / patch * (side / patch) + 1;
    m->last_step = m->last_line = clock_seconds();
}

void meter_close(meter *m)
{
    if (m->painted) fputc('\n', stderr);
    m->painted = false;
}

/* Prints a line above the bar, which is painted again. */
static void line(meter *m, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    if (m->painted) fputs("\r\033[K", stderr);
    m->painted = false;
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    m->last_line = clock_seconds();
    m->last_paint = 0;
}

/* ---- rates ------------------------------------------------------------------ */

static void blend(double *mean, double x) { *mean = *mean > 0 ? 0.95 * *mean + 0.05 * x : x; }

static void measure(meter *m, const lithe_event *e)
{
    double now = clock_seconds();
    blend(&m->step_seconds, m->first < 0 ? e->seconds : now - m->last_step);
    if (m->first < 0) m->first = e->step - 1;
    m->last_step = now;
    if (!(e->seconds > 0)) return;
    blend(&m->tokens_rate, e->tokens / e->seconds);
    blend(&m->flops_rate, e->flops / e->seconds);
    blend(&m->waited, e->waited / e->seconds);
}

/* "31.2k tok/s  64% of peak  5% waiting  0:22 left", or images/s.  A peak below the present rate was
 * measured on a busy machine and is not shown. */
static void rates(const meter *m, const lithe_event *e, char *text, size_t cap, bool peak)
{
    char rate[16], left[24], share[48] = "";
    size_t n = 0;
    if (peak && m->peak * m->ranks >= m->flops_rate) n = (size_t)snprintf(share, sizeof share, "  %.0f%% of peak", 100 * m->flops_rate / (m->peak * m->ranks));
    if (m->ranks > 1) snprintf(share + n, sizeof share - n, "  %.0f%% waiting", 100 * m->waited);
    const double things = m->image_rows ? m->tokens_rate / m->image_rows : m->tokens_rate;
    snprintf(text, cap, "%s %s%s  %s left", size_text(things, rate), m->image_rows ? "images/s" : "tok/s", share,
             time_text(m->step_seconds * (e->steps - e->step), left));
}

/* ---- the bar ---------------------------------------------------------------- */

static void paint(meter *m, const lithe_event *e)
{
    double now = clock_seconds();
    if (m->painted && now - m->last_paint < paint_seconds && e->step < e->steps) return;
    int width = terminal_width(stderr) - 1;
    char head[48], loss[96], rate[96];
    bool wide = width >= 100;
    snprintf(head, sizeof head, "%d/%d", e->step, e->steps);
    const bool valid = isfinite(e->valid_loss) && width >= 70;
    char valid_loss[48] = "", bits[32] = "";
    if (valid) snprintf(valid_loss, sizeof valid_loss, "  val %.4f", e->valid_loss);
    if (valid && isfinite(e->bits_per_byte)) snprintf(bits, sizeof bits, "  %.3f bpb", e->bits_per_byte);
    snprintf(loss, sizeof loss, "loss %.4f%s%s", e->loss, valid_loss, bits);
    rates(m, e, rate, sizeof rate, wide);
    int cells = width - (int)strlen(head) - (int)strlen(loss) - (int)strlen(rate) - 6;
    if (cells > 40) cells = 40;
    int full = cells > 0 ? (int)((double)cells * e->step / (e->steps > 0 ? e->steps : 1)) : 0;
    fputs("\r\033[K", stderr);
    if (cells < 5) fprintf(stderr, "%.*s", width, loss);
    else {
        fprintf(stderr, "%s %s", head, m->coloured ? "\033[36m" : "");
        for (int i = 0; i < cells; i++) fputs(i < full ? (m->utf8 ? "█" : "#") : (m->utf8 ? "░" : "."), stderr);
        fprintf(stderr, "%s %s  %s", m->coloured ? "\033[0m" : "", loss, rate);
    }
    fflush(stderr);
    m->painted = true;
    m->last_paint = now;
}

/* ---- lines ------------------------------------------------------------------ */

static void step_line(meter *m, const lithe_event *e)
{
    int every = e->steps / 20 > 1 ? e->steps / 20 : 1;
    bool due = e->step == m->first + 1 || e->step % every == 0 || e->step == e->steps || clock_seconds() - m->last_line > line_seconds;
    char rate[96];
    if (!due) return;
    rates(m, e, rate, sizeof rate, true);
    line(m, "step %d/%d  loss %.4f  lr %.2e  %s", e->step, e->steps, e->loss, e->lr, rate);
}

/* Prints the beginning of a text on one line, whatever bytes it has. */
static void print_sample(meter *m, const char *text)
{
    char shown[100];
    size_t n = 0, size = strlen(text), i = strspn(text, " \n\r\t");
    while (i < size && n < sizeof shown - 4) {
        int length = utf8_length(text + i, size - i);
        bool printable = length > 1 || (length == 1 && (unsigned char)text[i] >= ' ' && text[i] != 127);
        if (printable) memcpy(shown + n, text + i, (size_t)length);
        else shown[n] = length ? ' ' : '?';
        n += printable ? (size_t)length : 1;
        i += length ? (size_t)length : 1;
    }
    shown[n] = 0;
    line(m, "  sample  %s%s", shown, i < size ? " ..." : "");
}

static void event_lines(meter *m, const lithe_event *e)
{
    char figures[160];
    switch (e->kind) {
    case LITHE_STEPPED:
        if (m->kind == METER_BAR) paint(m, e);
        else step_line(m, e);
        break;
    case LITHE_EVALUATED:
        line(m, "step %d/%d  validation loss %.4f%s", e->step, e->steps, e->valid_loss, figures_text(e, figures, sizeof figures));
        if (e->text && *e->text && e->step) print_sample(m, e->text);
        break;
    case LITHE_SKIPPED:
    case LITHE_ROLLED_BACK:
        line(m, "step %d/%d  %s", e->step, e->steps, e->text ? e->text : "");
        break;
    case LITHE_GREW:
        line(m, "step %d/%d  grown by method %s: %zu -> %zu parameters, %s; outputs %s, largest logit difference %.3g, "
             "root mean square of activations %.3g -> %.3g; symmetry %s; learning rate %.3g", e->step, e->steps,
             e->growth->method, e->growth->params_before, e->growth->params_after, e->growth->moves, e->growth->preserves ? "preserved" : "not preserved",
             e->growth->max_difference, e->growth->rms_before, e->growth->rms_after, e->growth->symmetry, e->lr);
        break;
    case LITHE_SAVED:
    case LITHE_FINISHED:
        break;
    }
}

/* ---- JSON ------------------------------------------------------------------- */

static void event_json(const lithe_event *e)
{
    static const char *const kinds[] = { "step", "evaluation", "checkpoint", "skipped", "rolled_back", "grew", "finished" };
    emitter j = emit_begin(stdout, "train");
    emit_text(&j, "event", kinds[e->kind]);
    emit_count(&j, "step", e->step);
    emit_count(&j, "steps", e->steps);
    if (e->kind == LITHE_STEPPED || e->kind == LITHE_SKIPPED) {
        emit_number(&j, "loss", e->loss);
        emit_number(&j, "grad_norm", e->grad_norm);
        emit_number(&j, "lr", e->lr);
        emit_number(&j, "tokens", e->tokens);
        emit_number(&j, "seconds", e->seconds);
        emit_number(&j, "flops", e->flops);
        if (e->waited > 0) emit_number(&j, "waited", e->waited);
    }
    if (e->kind == LITHE_EVALUATED || e->kind == LITHE_FINISHED) {
        emit_number(&j, "loss", e->loss);
        emit_number(&j, "valid_loss", e->valid_loss);
        emit_number(&j, "bits_per_byte", e->bits_per_byte);
        emit_metrics(&j, &e->metrics);
    }
    if (e->kind == LITHE_GREW) {
        emit_text(&j, "method", e->growth->method);
        emit_bool(&j, "preserves", e->growth->preserves != 0);
        emit_count(&j, "params_before", (long long)e->growth->params_before);
        emit_count(&j, "params_after", (long long)e->growth->params_after);
        emit_number(&j, "max_logit", e->growth->max_logit);
        emit_number(&j, "max_difference", e->growth->max_difference);
        emit_number(&j, "rms_before", e->growth->rms_before);
        emit_number(&j, "rms_after", e->growth->rms_after);
        emit_text(&j, "says", e->growth->says);
        emit_text(&j, "symmetry", e->growth->symmetry);
        emit_number(&j, "lr", e->lr);
    }
    emit_number(&j, "total_tokens", e->total_tokens);
    if (e->text && *e->text) emit_text(&j, e->kind == LITHE_EVALUATED ? "sample" : e->kind == LITHE_SAVED || e->kind == LITHE_FINISHED ? "path" : "text", e->text);
    emit_end(&j);
}

/* A run with a budget of time chooses its steps again when the machine has become slower or faster; a change of more
 * than a fourth is worth a line. */
static void note_steps(meter *m, const lithe_event *e)
{
    const bool lines = m->kind == METER_BAR || m->kind == METER_LINES, large = abs(e->steps - m->steps) > m->steps / 4;
    if (lines && m->steps && large)
        line(m, "step %d/%d  the machine is %s than it was: %d steps fit the time, not %d", e->step, e->steps, e->steps < m->steps ? "slower" : "faster", e->steps, m->steps);
    if (!m->steps || large) m->steps = e->steps;
}

void meter_event(meter *m, const lithe_event *e)
{
    note_steps(m, e);
    if (e->kind == LITHE_STEPPED) measure(m, e);
    if (m->kind == METER_JSON) event_json(e);
    else if (m->kind != METER_NONE) event_lines(m, e);
    else if (e->kind == LITHE_ROLLED_BACK) warn(e->text);
}
