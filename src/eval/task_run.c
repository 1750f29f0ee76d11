/* Runs a task over its data: records become items, items become requests, scores become accuracies (Gao et al., the
 * language model evaluation harness).  A choice is right if its log-likelihood is larger than that of every other one,
 * or its log-likelihood for each byte of its text; equal ones are wrong.  A single continuation is right if each of its
 * ids is the likeliest. */
#include "base/arena.h"
#include "lithe_eval.h"
#include "base/bootstrap.h"
#include "base/file.h"
#include "base/sized.h"
#include "base/dir_names.h"
#include "eval/task_cache.h"
#include "eval/task_generate.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { AT_ONCE = 32 };

/* What all items of a run have to do with. */
typedef struct {
    const task_file *task;
    const lithe_tokenizer *tokenizer;
    lithe_task_options options;
    task_scorer scorer;
    lithe_session *session;              /* of a task that generates; NULL of others */
    bool encoder;
    task_cache cache;                    /* of the file that is being read */
    uint64_t model_key[2];
    double *correct, *correct_norm; size_t count, room;         /* 1 or 0 for each item so far */
    double answer_nll;
    size_t cut, cached;
    bool stopped;
} task_run;

/* ---- items -------------------------------------------------------------------------------- */

typedef struct { task_item item; task_sequence choices[CHOICES_MOST]; task_score scores[CHOICES_MOST]; } scored_item;

static int encode_item(task_run *run, scored_item *x, const task_data *d, arena *memory, lithe_error *err)
{
    lithe_error why = { 0 };
    size_t context = (size_t)lithe_model_context(run->scorer.model);
    bool cut = false;
    int status = LITHE_OK;
    for (int i = 0; i < x->item.count && !status; i++)
        status = (run->encoder ? task_encode_around : task_encode)(&x->choices[i], run->tokenizer, x->item.context[i], run->task->delimiter, x->item.text[i], context, memory, &cut, &why);
    run->cut += cut;
    return status ? fail(err, why.status, "%s:%ld: %.200s", d->path, x->item.line, why.text) : LITHE_OK;
}

/* The number of the only largest of -nll / divisor; -1 if several are equal. */
static int largest(const double *nll, const size_t *divisor, int n)
{
    int best = 0;
    bool alone = true;
    for (int i = 1; i < n; i++) {
        double a = -nll[i] / (double)divisor[i], b = -nll[best] / (double)divisor[best];
        if (a > b) { best = i; alone = true; }
        else if (a >= b) alone = false;
    }
    return alone ? best : -1;
}

static bool add_outcome(task_run *run, double right, double right_norm)
{
    if (run->count == run->room) {
        size_t room = run->room ? 2 * run->room : 1024;
        double *a = xrealloc(run->correct, room, sizeof *a), *b = a ? xrealloc(run->correct_norm, room, sizeof *b) : NULL;
        if (a) run->correct = a;
        if (b) run->correct_norm = b;
        if (!a || !b) return false;
        run->room = room;
    }
    run->correct[run->count] = right;
    run->correct_norm[run->count++] = right_norm;
    return true;
}

/* Judges an item and gives it to the caller. */
static int judge(task_run *run, const scored_item *x, const task_data *d, size_t of, lithe_error *err)
{
    const task_item *item = &x->item;
    double nll[CHOICES_MOST];
    size_t bytes[CHOICES_MOST], ones[CHOICES_MOST], tokens[CHOICES_MOST];
    for (int i = 0; i < item->count; i++) {
        nll[i] = x->scores[i].nll;
        bytes[i] = strlen(item->text[i]);
        tokens[i] = x->choices[i].end - x->choices[i].first;
        ones[i] = 1;
        if (!isfinite(nll[i])) return fail(err, LITHE_EFORMAT, "%s:%ld: the model's score of choice %d is not a finite number", d->path, item->line, i + 1);
    }
    bool single = !run->task->answers;
    lithe_task_item out = { .number = run->count + 1, .of = of, .path = d->path, .line = item->line, .context = item->context[item->answer], .choices = item->count, .answer = item->answer,
                            .texts = item->text, .nll = nll, .bytes = bytes, .tokens = tokens, .chosen = largest(nll, ones, item->count), .chosen_norm = largest(nll, bytes, item->count) };
    out.correct = single ? x->scores[0].greedy : out.chosen == item->answer;
    out.correct_norm = single ? out.correct : out.chosen_norm == item->answer;
    run->answer_nll += nll[item->answer];
    if (!add_outcome(run, out.correct, out.correct_norm)) return fail(err, LITHE_ENOMEM, "not enough memory for %zu outcomes", run->count);
    if (run->options.item) run->stopped = run->options.item(run->options.context, &out) != 0;
    return LITHE_OK;
}

/* Lets the model write the answers; greedy then says whether it wrote the right one. */
static int write_answers(task_run *run, const scored_item *items, task_request *requests, const size_t *number, size_t count, size_t first, lithe_error *err)
{
    int status = LITHE_OK;
    for (size_t i = 0; i < count && !status && run->session; i++) {
        const task_item *x = &items[number[i] - first].item;
        status = task_generates(run->session, run->tokenizer, run->task, x->context[0], x->text[0], &requests[i].scores[0].greedy, err);
    }
    return status;
}

/* Scores those whose scores are not known from an earlier run. */
static int score_items(task_run *run, const scored_item *items, const task_request *requests, size_t first, size_t count, lithe_error *err)
{
    task_request missing[AT_ONCE];
    size_t number[AT_ONCE], n = 0;
    for (size_t i = 0; i < count; i++) {
        task_request r = requests[i];
        if (task_cache_find(&run->cache, first + i, &r)) { run->cached++; continue; }
        number[n] = first + i;
        missing[n++] = r;
    }
    int status = task_scorer_run(&run->scorer, missing, n, err);
    if (!status) status = write_answers(run, items, missing, number, n, first, err);
    for (size_t i = 0; i < n && !status; i++) task_cache_add(&run->cache, number[i], &missing[i]);
    return status;
}

/* Items first .. first+count-1 of a file. */
static int run_items(task_run *run, const task_data *d, const task_shots *shots, size_t first, size_t count, size_t of, lithe_error *err)
{
    arena memory = { 0 };
    scored_item *items = xalloc(count, sizeof *items);
    task_request requests[AT_ONCE];
    int status = items ? LITHE_OK : fail(err, LITHE_ENOMEM, "%s: out of memory for %zu items", d->path, count);
    for (size_t i = 0; i < count && !status; i++) {
        status = task_item_make(&items[i].item, d, first + i, run->task, &memory, err);
        if (!status) status = task_item_complete(&items[i].item, d, first + i, run->task, shots, run->options.shots, &memory, err);
        if (!status) status = encode_item(run, &items[i], d, &memory, err);
        requests[i] = (task_request){ items[i].choices, items[i].item.count, items[i].scores };
    }
    if (!status) status = score_items(run, items, requests, first, count, err);
    for (size_t i = 0; i < count && !status && !run->stopped; i++) status = judge(run, &items[i], d, of, err);
    free(items);
    arena_free(&memory);
    return status;
}

/* ---- files --------------------------------------------------------------------------------- */

static bool is_data(const char *name)
{
    const char *ending = strrchr(name, '.');
    return name[0] != '.' && !(ending && !strcmp(ending, ".lst"));
}

static size_t limited(const task_run *run, size_t count) { return run->options.limit && (size_t)run->options.limit < count ? (size_t)run->options.limit : count; }

/* The number of items of all files that come after this one is not known yet, so `of` counts up to its end. */
static int run_file(task_run *run, const char *path, lithe_error *err)
{
    task_data d;
    task_shots shots = { 0 };
    int status = task_data_read(&d, run->task, path, err);
    if (status) return status;
    status = task_shots_read(&shots, &d, run->task, run->options.shots_from, run->options.shots, err);
    if (!status) status = task_cache_open(&run->cache, run->options.cache, run->model_key, run->tokenizer, run->task, &d, &shots, run->options.shots, err);
    size_t count = limited(run, d.count), of = run->count + count;
    for (size_t first = 0, n; first < count && !status && !run->stopped; first += n) {
        n = count - first < AT_ONCE ? count - first : AT_ONCE;
        status = run_items(run, &d, &shots, first, n, of, err);
    }
    task_cache_close(&run->cache);
    task_shots_free(&shots);
    task_data_free(&d);
    return status;
}

/* ---- the whole ------------------------------------------------------------------------------- */

/* The files of a directory, in the order of their names; of one that has none, as CMMLU's, those of its test/. */
static int run_folder(task_run *run, const char *folder, lithe_error *err)
{
    dir_names l;
    int status = dir_names_read(&l, folder, err);
    bool any = false;
    for (size_t i = 0; i < l.count && !status && !run->stopped; i++) {
        char *path = is_data(l.names[i]) ? path_join(folder, l.names[i]) : NULL;
        if (path && !path_is_dir(path)) { any = true; status = run_file(run, path, err); }
        else if (!path && is_data(l.names[i])) status = fail(err, LITHE_ENOMEM, "%s: out of memory", folder);
        free(path);
    }
    dir_names_free(&l);
    if (status || any) return status;
    char *part = path_join(folder, "test");
    status = part && path_is_dir(part) ? run_folder(run, part, err) : fail(err, LITHE_EFORMAT, "%s: holds no files", folder);
    free(part);
    return status;
}

static double mean(const double *x, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += x[i];
    return sum / (double)n;
}

static int run_task(task_run *run, lithe_task_result *out, lithe_error *err)
{
    int status = path_is_dir(run->options.data) ? run_folder(run, run->options.data, err) : run_file(run, run->options.data, err);
    if (status) return status;
    *out = (lithe_task_result){ .examples = run->count, .cut = run->cut, .cached = run->cached, .accuracy = mean(run->correct, run->count), .accuracy_norm = mean(run->correct_norm, run->count),
                                .perplexity = exp(run->answer_nll / (double)run->count) };
    bootstrap_mean(run->correct, run->count, run->options.seed, out->interval);
    bootstrap_mean(run->correct_norm, run->count, run->options.seed, out->interval_norm);
    return LITHE_OK;
}

int lithe_task_run(lithe_model *m, const lithe_tokenizer *t, const char *name, const lithe_task_options *o, lithe_task_result *out, lithe_error *err)
{
    task_run run = { .tokenizer = t };
    if (!m || !t || !name || !out) return fail(err, LITHE_EINVAL, "a task needs a model, a tokenizer and its name");
    if (options_read(&run.options, sizeof run.options, o, "lithe_task_options", err) || lithe_model_fits(m, t, err)) return LITHE_EINVAL;
    if (!run.options.data) return fail(err, LITHE_EINVAL, "%s: which data? a task has a file or a directory with its items", name);
    if (run.options.shots < 0 || run.options.limit < 0) return fail(err, LITHE_EINVAL, "%d shots of %d items: neither can be negative", run.options.shots, run.options.limit);
    task_file *held = task_file_open(name, err);
    run.task = held;
    run.encoder = arch_encoder(m->arch, m->config);
    int status = held ? task_scorer_open(&run.scorer, m, t, err) : failed(err) ? (int)err->status : LITHE_EINVAL;
    if (!status && held->longest && !(run.session = lithe_session_open(m, 0, err))) status = err ? (int)err->status : LITHE_ENOMEM;
    if (!status && run.options.cache) task_model_key(m, run.model_key);
    if (!status) status = run_task(&run, out, err);
    lithe_session_close(run.session);
    task_scorer_close(&run.scorer);
    task_file_close(held);
    free(run.correct);
    free(run.correct_norm);
    return status;
}

/* ---- what there is ------------------------------------------------------------------------------ */

const char *lithe_task_name(int i)
{
    int count = 0;
    while (held_tasks[count].name) count++;
    return i >= 0 && i < count ? held_tasks[i].name : NULL;
}

int lithe_task_known(const char *name)
{
    task_file *t = name ? task_file_open(name, NULL) : NULL;
    task_file_close(t);
    return t != NULL;
}
