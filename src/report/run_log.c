/* Reads RUN/log.jsonl line by line.  A line that is not JSON is left out and said; a line without an end is the one
 * that a crash or a running trainer left. */
#include "report/run_log.h"
#include "base/dir_names.h"
#include "base/file.h"
#include <limits.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

enum { LINE_DEPTH = 8, LOG_BYTES = 1 << 30, NOTICES_MOST = 8 };

/* Adds an element to the array NAME of r. */
#define ADD(r, name, count, room, ...) do { \
        void *grown = run_grown(r, (r)->name, (r)->count, &(r)->room, sizeof *(r)->name); \
        if (grown) { (r)->name = grown; (r)->name[(r)->count++] = __VA_ARGS__; } \
    } while (0)

/* Adds one line to the notices. */
static void __attribute__((format(printf, 2, 3))) run_say(lithe_run *r, const char *format, ...)
{
    char text[300];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (r->notice_count < NOTICES_MOST) ADD(r, notices, notice_count, notice_room, arena_strdup(&r->memory, text));
}

/* ---- lines ------------------------------------------------------------------------------ */

/* A number of a line; NaN where there is none. */
static double number(const json_t *line, const char *key)
{
    const json_t *value = json_object_get(line, key);
    return json_is_number(value) ? json_number_value(value) : NAN;
}

static const char *text_of(lithe_run *r, const json_t *line, const char *key)
{
    const char *text = json_string_value(json_object_get(line, key));
    text = text ? arena_strdup(&r->memory, text) : NULL;
    return text ? text : "";
}

/* What a line adds to a sum: nothing beyond any run, so that sums stay numbers. */
static bool is_count(double x) { return x > 0 && x < 1e30; }
static double known(double x) { return is_count(x) ? x : 0; }

static void add_mark(lithe_run *r, const char *kind, const char *text) { ADD(r, marks, mark_count, mark_room, (run_mark){ r->at, kind, text }); }

static void add_step(lithe_run *r, const json_t *line)
{
    run_step s = { .loss = number(line, "loss"), .grad_norm = number(line, "grad_norm"), .lr = number(line, "lr"),
                   .tokens = number(line, "tokens"), .seconds = number(line, "seconds"), .flops = number(line, "flops") };
    r->at.tokens += known(s.tokens);
    r->at.seconds += known(s.seconds);
    r->at.flops += known(s.flops);
    s.at = r->at;
    ADD(r, steps, step_count, step_room, s);
}

static void add_evaluation(lithe_run *r, const json_t *line)
{
    const run_evaluation e = { r->at, number(line, "valid_loss"), number(line, "bits_per_byte"), number(line, "accuracy"), number(line, "params") };
    if (is_count(e.params)) r->params = e.params;
    ADD(r, evaluations, evaluation_count, evaluation_room, e);
}

static void add_growth(lithe_run *r, const json_t *line)
{
    char text[600];
    double before = number(line, "params_before"), after = number(line, "params");
    snprintf(text, sizeof text, "%.300s: %.0f to %.0f parameters", text_of(r, line, "grew"), before, after);
    if (is_count(after)) r->params = after;
    r->growths++;
    add_mark(r, "growth", arena_strdup(&r->memory, text));
}

/* The steps of a run; one with a budget of time may choose them again. */
static void add_plan(lithe_run *r, const json_t *line)
{
    double steps = known(number(line, "steps"));
    r->planned = steps <= INT_MAX ? (int)steps : 0;
}

static void add_start(lithe_run *r, const json_t *line)
{
    r->arch = text_of(r, line, "started");
    const double params = number(line, "params");
    r->params = is_count(params) ? params : NAN;
    add_plan(r, line);
    r->batch = number(line, "batch");
    r->ctx = number(line, "ctx");
}

static void add_line(lithe_run *r, const json_t *line)
{
    double step = number(line, "step");
    if (!(step >= 0 && step <= INT_MAX)) return;                      /* no line of a run */
    if (step < r->at.step) run_say(r, "step %.0f comes after step %.0f: the log is of two runs, or was changed", step, r->at.step);
    r->at.step = step;
    if (json_object_get(line, "started")) add_start(r, line);
    else if (json_object_get(line, "valid_loss")) add_evaluation(r, line);
    else if (json_object_get(line, "grew")) add_growth(r, line);
    else if (json_object_get(line, "skipped")) { r->skipped++; add_mark(r, "skipped", text_of(r, line, "skipped")); }
    else if (json_object_get(line, "steps")) add_plan(r, line);
    else if (json_object_get(line, "rolled_back")) { r->rolled_back++; add_mark(r, "roll-back", text_of(r, line, "rolled_back")); }
    if (json_object_get(line, "loss")) add_step(r, line);
}

static void read_lines(lithe_run *r, const char *text, size_t size)
{
    const char *end = text + size, *stop;
    long number_of_line = 1, damaged = 0, first = 0;
    for (; text < end; text = stop + 1, number_of_line++) {
        stop = memchr(text, '\n', (size_t)(end - text));
        if (!stop) { run_say(r, "log.jsonl:%ld: the last line is incomplete and left out", number_of_line); break; }
        json_t *line = stop > text ? json_parse(text, (size_t)(stop - text), LINE_DEPTH, "log.jsonl", NULL) : NULL;
        if (json_is_object(line)) add_line(r, line);
        else if (!damaged++) first = number_of_line;
        json_decref(line);
    }
    if (damaged) run_say(r, "log.jsonl:%ld: %ld damaged line%s left out", first, damaged, damaged == 1 ? " is" : "s are");
}

/* ---- opening ----------------------------------------------------------------------------- */

static int read_log(lithe_run *r, const char *dir, lithe_error *err)
{
    size_t size;
    char *path = path_join(dir, "log.jsonl"), *text = path ? file_read(path, LOG_BYTES, &size, err) : NULL;
    if (text) read_lines(r, text, size);
    if (text && !r->step_count && !r->evaluation_count && !*r->arch) fail(err, LITHE_EFORMAT, "%s: holds no line of a run", path);
    free(text);
    free(path);
    return err->status;
}

/* Whether a directory has no log, but one that it holds has. */
static bool holds_runs(const char *dir)
{
    dir_names l = { 0 };
    char *own = path_join(dir, "log.jsonl");
    bool found = false;
    if (own && !path_exists(own)) dir_names_read(&l, dir, NULL);
    for (size_t i = 0; i < l.count && !found; i++) {
        char *run = path_join(dir, l.names[i]), *log = run ? path_join(run, "log.jsonl") : NULL;
        found = log && path_exists(log);
        free(log);
        free(run);
    }
    dir_names_free(&l);
    free(own);
    return found;
}

lithe_run *lithe_run_open(const char *dir, lithe_error *err)
{
    lithe_error own = { 0 }, *e = err ? err : &own;
    if (failed(e)) return NULL;
    if (!dir) { fail(e, LITHE_EINVAL, "there is no run"); return NULL; }
    lithe_run *r = xalloc(1, sizeof *r);
    if (!r) { fail(e, LITHE_ENOMEM, "not enough memory for a run"); return NULL; }
    *r = (lithe_run){ .arch = "", .command = "", .config = "", .tokenizer = "", .params = NAN };
    r->path = arena_strdup(&r->memory, dir);
    if (!path_is_dir(dir)) fail(e, LITHE_EIO, "%s: is no run: a run is a directory with log.jsonl", dir);
    else if (holds_runs(dir)) fail(e, LITHE_EIO, "%s: is a directory of runs: name these, as %s%s*", dir, dir, dir[strlen(dir) - 1] == '/' ? "" : "/");
    else if (!read_log(r, dir, e)) run_read_files(r);
    if (!failed(e) && r->planned > (int)r->at.step) run_say(r, "unfinished: step %.0f of %d", r->at.step, r->planned);
    if (r->failed || !r->path) fail(e, LITHE_ENOMEM, "%s: not enough memory for its log", dir);
    if (!failed(e)) return r;
    lithe_run_close(r);
    return NULL;
}

void lithe_run_close(lithe_run *r)
{
    if (!r) return;
    free(r->steps);
    free(r->evaluations);
    free(r->marks);
    free(r->samples);
    free(r->notices);
    free(r->hashes);
    arena_free(&r->memory);
    free(r);
}
