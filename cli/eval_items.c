/* Runs a task: progress on stderr, a record of each item in a file, figures on stdout. */
#include "eval_items.h"
#include "lithe_eval.h"
#include "inputs.h"
#include "output.h"
#include "output_file.h"
#include "quantity.h"
#include "suggest.h"
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The share of correct items in one file. */
typedef struct { char *path; size_t examples; double correct, correct_norm; } file_figures;

typedef struct {
    const item_settings *settings;
    FILE *records;                       /* NULL: nobody wants them */
    file_figures *files; size_t count;
    bool painting, failed;
    double painted;                      /* when the progress was */
} listener;

bool is_name(const char *task) { return task[strspn(task, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-")] == 0 && access(task, F_OK) != 0; }

int unknown_task(const char *name)
{
    char known[300] = "";
    for (int i = 0; lithe_task_name(i); i++) snprintf(known + strlen(known), sizeof known - strlen(known), "%s%s", i ? ", " : "", lithe_task_name(i));
    return usage("no task and no file is called '%s'%s tasks are %s", name, meant_or(meant_of(name, lithe_task_name)).text, known);
}

/* ---- items ------------------------------------------------------------------------ */

static void write_record(FILE *out, const lithe_task_item *x)
{
    emitter e = emit_begin(out, "item");
    emit_count(&e, "number", (long long)x->number);
    emit_text(&e, "file", x->path);
    emit_count(&e, "line", x->line);
    emit_text(&e, "context", x->context);
    emit_open(&e, "choices", '[');
    for (int i = 0; i < x->choices; i++) emit_text(&e, NULL, x->texts[i]);
    emit_close(&e, ']');
    emit_open(&e, "log_likelihood", '[');
    for (int i = 0; i < x->choices; i++) emit_number(&e, NULL, -x->nll[i]);
    emit_close(&e, ']');
    emit_open(&e, "bytes", '[');
    for (int i = 0; i < x->choices; i++) emit_count(&e, NULL, (long long)x->bytes[i]);
    emit_close(&e, ']');
    emit_open(&e, "tokens", '[');
    for (int i = 0; i < x->choices; i++) emit_count(&e, NULL, (long long)x->tokens[i]);
    emit_close(&e, ']');
    emit_count(&e, "answer", x->answer);
    emit_count(&e, "chosen", x->chosen);
    emit_count(&e, "chosen_norm", x->chosen_norm);
    emit_bool(&e, "correct", x->correct);
    emit_bool(&e, "correct_norm", x->correct_norm);
    emit_end(&e);
}

/* Adds the outcome to that of its file; the items of a file come one after the other. */
static bool count_item(listener *l, const lithe_task_item *x)
{
    if (!l->count || strcmp(l->files[l->count - 1].path, x->path)) {
        file_figures *grown = realloc(l->files, (l->count + 1) * sizeof *grown);
        if (grown) l->files = grown;
        char *path = grown ? strdup(x->path) : NULL;
        if (!path) return false;
        l->files[l->count++] = (file_figures){ .path = path };
    }
    file_figures *f = &l->files[l->count - 1];
    f->examples++;
    f->correct += x->correct;
    f->correct_norm += x->correct_norm;
    return true;
}

static void paint(listener *l, const lithe_task_item *x)
{
    double now = clock_seconds();
    if (!l->painting || (now - l->painted < 0.1 && x->number < x->of)) return;
    l->painted = now;
    double correct = 0;
    for (size_t i = 0; i < l->count; i++) correct += l->files[i].correct;
    fprintf(stderr, "\r\033[K%s  %zu of %zu items  %.4f accuracy", l->settings->task, x->number, x->of, correct / (double)x->number);
    fflush(stderr);
}

static int take_item(void *context, const lithe_task_item *x)
{
    listener *l = context;
    l->failed = !count_item(l, x);
    if (l->records && !l->failed) write_record(l->records, x);
    if (!l->failed) paint(l, x);
    return l->failed || (l->records && ferror(l->records));
}

/* ---- figures ------------------------------------------------------------------------ */

static const char *base_name(const char *path) { return strrchr(path, '/') ? strrchr(path, '/') + 1 : path; }

static void emit_interval(emitter *e, const char *key, const double interval[2])
{
    emit_open(e, key, '[');
    emit_number(e, NULL, interval[0]);
    emit_number(e, NULL, interval[1]);
    emit_close(e, ']');
}

static void print_json(const listener *l, const lithe_task_result *r)
{
    emitter e = emit_begin(stdout, "eval");
    emit_text(&e, "task", l->settings->task);
    emit_number(&e, "accuracy", r->accuracy);
    emit_number(&e, "accuracy_norm", r->accuracy_norm);
    emit_count(&e, "examples", (long long)r->examples);
    emit_interval(&e, "interval", r->interval);
    emit_interval(&e, "interval_norm", r->interval_norm);
    emit_number(&e, "perplexity", r->perplexity);
    emit_count(&e, "shots", l->settings->shots);
    emit_count(&e, "cut", (long long)r->cut);
    emit_count(&e, "cached", (long long)r->cached);
    emit_open(&e, "files", '[');
    for (size_t i = 0; i < l->count; i++) {
        const file_figures *f = &l->files[i];
        emit_open(&e, NULL, '{');
        emit_text(&e, "file", base_name(f->path));
        emit_number(&e, "accuracy", f->correct / (double)f->examples);
        emit_number(&e, "accuracy_norm", f->correct_norm / (double)f->examples);
        emit_count(&e, "examples", (long long)f->examples);
        emit_close(&e, '}');
    }
    emit_close(&e, ']');
    emit_end(&e);
}

static void print_text(const listener *l, const lithe_task_result *r)
{
    for (size_t i = 0; i < l->count && l->count > 1; i++)
        printf("%-44s  %.4f accuracy  %.4f by bytes  (%zu)\n", base_name(l->files[i].path), l->files[i].correct / (double)l->files[i].examples, l->files[i].correct_norm / (double)l->files[i].examples, l->files[i].examples);
    printf("%s  accuracy %.4f [%.4f, %.4f]  by bytes %.4f [%.4f, %.4f]  perplexity of the answer %.4g  (%zu examples)\n", l->settings->task, r->accuracy, r->interval[0], r->interval[1],
           r->accuracy_norm, r->interval_norm[0], r->interval_norm[1], r->perplexity, r->examples);
}

/* The cache of the user, where the system's conventions have it; NULL without a home. */
static const char *usual_cache(char *path, size_t size)
{
    const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    if (cache && *cache) snprintf(path, size, "%s/lithe/eval", cache);
    else if (home && *home) snprintf(path, size, "%s/.cache/lithe/eval", home);
    else return NULL;
    return path;
}

int eval_items_run(lithe_model *m, const lithe_tokenizer *t, const item_settings *s)
{
    lithe_error err = { 0 };
    lithe_task_result r;
    char path[4200];
    const char *cache = s->default_cache ? usual_cache(path, sizeof path) : s->cache;
    output_file out = { 0 };
    if (s->out && output_file_open(&out, s->out, &err)) return failed_output(&err);
    listener l = { .settings = s, .records = out.stream, .painting = terminal(stderr) && !output_quiet() };
    const lithe_task_options o = { .size = sizeof o, .data = s->data, .limit = s->limit, .shots = s->shots, .shots_from = s->shots_from, .seed = s->seed, .item = take_item, .context = &l, .cache = cache };
    int status = lithe_task_run(m, t, s->task, &o, &r, &err);
    if (l.painting && l.count) fputs("\r\033[K", stderr);
    lithe_error unwritten = { 0 };
    bool lost = out.stream && output_file_close(&out, &unwritten);
    if (lost) err = unwritten;                              /* the task was stopped for it */
    if (l.failed) wrong(&err, LITHE_ENOMEM, "not enough memory for the figures of %zu files", l.count);
    if (!err.status && !status) (s->json ? print_json : print_text)(&l, &r);
    if (!err.status && r.cut) say("%zu of %zu items are longer than the model's context of %d tokens and lost the beginning of their context", r.cut, r.examples, lithe_model_context(m));
    for (size_t i = 0; i < l.count; i++) free(l.files[i].path);
    free(l.files);
    return lost ? failed_output(&err) : err.status ? failed_input(&err) : EXIT_DONE;
}
