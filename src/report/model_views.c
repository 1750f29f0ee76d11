#include "report/model_views.h"
#include "base/file.h"
#include "infer/text_stream.h"
#include "lithe_tools.h"
#include "model/model.h"
#include "report/view_text.h"
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Of the text: tokens whose features are measured (fewer for models of so many parameters), whose surprise is shown,
 * over which parameter tokens and decays are looked at, and between which attention is shown.  No model is opened after
 * so many seconds; so many older checkpoints of one run are. */
enum { TOKENS = 4096, TOKENS_OF_LARGE = 1024, LARGE = 100000000, SURPRISES = 257, INSIDE = 512, MAPPED = 32, SECONDS = 60, OLDER = 7 };

/* ---- notes ---------------------------------------------------------------------------------- */

static void *grown(void *items, size_t count, size_t *room, size_t size, lithe_error *err)
{
    if (count < *room) return items;
    void *more = xrealloc(items, *room ? 2 * *room : 16, size);
    if (more) *room = *room ? 2 * *room : 16;
    else fail(err, LITHE_ENOMEM, "not enough memory for the models");
    return more;
}

/* Adds a line to the page, and if it is something to be mended, for the caller too. */
typedef enum { ON_PAGE, ALOUD } loudness;
static void __attribute__((format(printf, 4, 5))) note(model_views *v, loudness how, lithe_error *err, const char *format, ...)
{
    char text[700];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    const lithe_report_options *o = v->figures->options;
    const char **notes = grown(v->notes, v->note_count, &v->note_room, sizeof *notes, err);
    if (!notes) return;
    v->notes = notes;
    if ((v->notes[v->note_count] = arena_strdup(&v->memory, text))) v->note_count++;
    if (o->say && how == ALOUD) o->say(o->context, text);
}

/* ---- one model ------------------------------------------------------------------------------ */

typedef struct { model_views *v; model_view *view; lithe_model *m; const lithe_tokenizer *t; const int32_t *ids; size_t n; lithe_error *err; } looking;

static void look_at_features(const looking *l)
{
    lithe_error own = { 0 };
    const size_t most = lithe_model_params(l->m) < LARGE ? TOKENS : TOKENS_OF_LARGE;
    l->view->diversity = lithe_diversity_open(l->m, l->ids, l->n, &LITHE_OPTIONS(lithe_diversity_options, .tokens = most), &own);
    if (!l->view->diversity) note(l->v, ALOUD, l->err, "%s: its features are not shown: %s", l->v->figures->names[l->view->run], own.text);
}

/* Begins a piece with token i, or adds it to the last one, whose characters are not complete. */
static void add_token(model_view *w, bool complete, int32_t id, double bits)
{
    if (complete) w->tokens[w->token_count++] = (surprise){ .text = "", .id = id, .tokens = 1, .bits = bits };
    else {
        w->tokens[w->token_count - 1].tokens++;
        w->tokens[w->token_count - 1].bits += bits;
    }
}

static const char *copy(arena *memory, shown_text shown)
{
    char *text = arena_alloc(memory, shown.n + 1);
    if (text) memcpy(text, shown.bytes, shown.n);
    return text ? text : "";
}

/* Of the text of ids 1 .. n-1; special tokens have none. */
static size_t bytes_of(const lithe_tokenizer *t, const int32_t *ids, size_t n)
{
    size_t bytes = lithe_decode(t, ids, n, NULL, 0) - lithe_decode(t, ids, 1, NULL, 0);
    for (size_t i = 1; i < n; i++)
        if (lithe_tokenizer_is_special(t, ids[i])) bytes -= lithe_decode(t, &ids[i], 1, NULL, 0);
    return bytes;
}

static void read_tokens(const looking *l, const float *nll, size_t n)
{
    text_stream stream;
    shown_text shown;
    bool complete = true;
    model_view *w = l->view;
    int status = 0;
    text_stream_open(&stream, l->t, -1, NULL, 0);
    for (size_t i = 0; i < n && !status; i++) {
        double bits = i ? (double)nll[i - 1] / log(2) : (double)NAN;
        status = text_stream_add(&stream, l->ids[i], &shown, l->err);
        if (status) break;
        add_token(w, complete, l->ids[i], bits);
        complete = shown.n > 0 && !stream.held_count;
        if (shown.n) w->tokens[w->token_count - 1].text = copy(&l->v->memory, shown);
        if (i) { w->bits += bits; w->scored++; }
    }
    if (!status && !text_stream_end(&stream, &shown, l->err) && shown.n && w->token_count) w->tokens[w->token_count - 1].text = copy(&l->v->memory, shown);
    text_stream_close(&stream);
    w->bytes = bytes_of(l->t, l->ids, n);
}

static void look_at_surprise(const looking *l)
{
    lithe_error own = { 0 };
    size_t n = l->n < SURPRISES ? l->n : SURPRISES;
    float *nll = xalloc(SURPRISES, sizeof *nll);
    l->view->tokens = xalloc(SURPRISES, sizeof *l->view->tokens);
    if (!nll || !l->view->tokens) fail(l->err, LITHE_ENOMEM, "not enough memory for %zu tokens", n);
    else if (lithe_score(l->m, l->ids, n, 0, 0, nll, NULL, &own)) note(l->v, own.status == LITHE_EINVAL ? ON_PAGE : ALOUD, l->err, "%s: the surprise of its tokens is not shown: %s", l->v->figures->names[l->view->run], own.text);
    else read_tokens(l, nll, n);
    free(nll);
}

static size_t at_most(size_t n, int most) { return n < (size_t)most ? n : (size_t)most; }

static void look_inside(const looking *l)
{
    lithe_error own = { 0 };
    const int context = lithe_model_context(l->m);
    const size_t n = at_most(at_most(l->n, INSIDE), context), mapped = at_most(n, MAPPED);
    model_view *w = l->view;
    w->inside = lithe_internals_open(l->m, l->ids, n, 0, &own);
    if (w->inside) w->maps = lithe_internals_open(l->m, l->ids, mapped, 1, &own);
    if (own.status) note(l->v, ALOUD, l->err, "%s: what happens inside its model is not shown: %s", l->v->figures->names[w->run], own.text);
    size_t bytes = l->t ? lithe_decode(l->t, l->ids, mapped, NULL, 0) : 0;
    char *text = arena_alloc(&l->v->memory, bytes + 1);
    if (text && bytes) lithe_decode(l->t, l->ids, mapped, text, bytes);
    w->map_text = text ? text : "";
}

static void look_at(model_views *v, model_view *w, lithe_model *m, lithe_error *err)
{
    lithe_error own = { 0 };
    const figures *f = v->figures;
    const char *file = lithe_model_tokenizer(m);
    size_t n = 0;
    bool seen = false;
    if (lithe_model_images(m, NULL, NULL, NULL)) { note(v, ON_PAGE, err, "%s: a %s reads images; figures of a text are not shown", f->names[w->run], lithe_model_arch(m)); return; }
    lithe_tokenizer *t = file ? lithe_tokenizer_open(file, &own) : NULL;
    int32_t *ids = own.status ? NULL : view_text(f->runs[w->run], f->options, t, TOKENS, &n, &seen, &own);
    looking l = { v, w, m, t, ids, n, err };
    if (ids && seen && w->newest) note(v, ALOUD, err, "%s: there is no held-out text; its models are shown on the text that it was trained on", f->names[w->run]);
    if (!ids) note(v, ALOUD, err, "%s: there is no text for its model, give one with --text: %s", f->names[w->run], own.text);
    else {
        look_at_features(&l);
        if (w->newest && !err->status) look_inside(&l);
        if (w->newest && t && !err->status) look_at_surprise(&l);
    }
    free(ids);
    lithe_tokenizer_close(t);
}

/* ---- the models of a run ---------------------------------------------------------------------- */

static int step_of(const lithe_model *m)
{
    int number;
    const char *base = m->path ? path_base(m->path) : "";
    return sscanf(base, "ckpt-%d", &number) == 1 ? number : -1;
}

/* Whether there is still time to open another one. */
static bool in_time(model_views *v, int run, lithe_error *err)
{
    if (lithe_clock() - v->began < SECONDS) return true;
    note(v, ALOUD, err, "%s: not all of its models are shown, since those before it took %d seconds", v->figures->names[run], SECONDS);
    return false;
}

/* The model at RUN/name, RUN itself if that is NULL. */
static void open_one(model_views *v, int run, const char *name, lithe_error *err)
{
    lithe_error own = { 0 };
    const figures *f = v->figures;
    char *path = path_join(f->runs[run]->path, name ? name : ".");
    lithe_model *m = path ? lithe_model_open(name ? path : f->runs[run]->path, NULL, &own) : NULL;
    free(path);
    if (!m) { note(v, ALOUD, err, "%s: its model is not shown: %s", f->names[run], own.status ? own.text : "out of memory"); return; }
    if (lithe_model_notice(m)) note(v, ALOUD, err, "%s: %s", f->names[run], lithe_model_notice(m));
    model_view *views = grown(v->views, v->count, &v->room, sizeof *views, err);
    if (views) {
        v->views = views;
        v->views[v->count] = (model_view){ .run = run, .step = step_of(m), .newest = !name };
        look_at(v, &v->views[v->count++], m, err);
    }
    lithe_model_close(m);
}

/* Checkpoints before the newest one, oldest first, of which the last OLDER are shown. */
static void open_older(model_views *v, int run, lithe_error *err)
{
    char name[32];
    const lithe_run *r = v->figures->runs[run];
    int newest = v->count ? v->views[0].step : -1, older = 0, at = 0;
    for (size_t i = 0; i < r->mark_count; i++) older += !strcmp(r->marks[i].kind, "checkpoint") && (newest < 0 || r->marks[i].at.step < newest);
    for (size_t i = 0; i < r->mark_count && !err->status; i++) {
        int number = (int)r->marks[i].at.step;
        if (strcmp(r->marks[i].kind, "checkpoint") || (newest >= 0 && number >= newest) || older - at++ > OLDER) continue;
        snprintf(name, sizeof name, "ckpt-%d", number);
        if (in_time(v, run, err)) open_one(v, run, name, err);
        else break;
    }
}

int model_views_measure(model_views *v, const figures *f, lithe_error *err)
{
    *v = (model_views){ .figures = f, .began = lithe_clock() };
    for (int i = 0; i < f->n && f->options->models && !err->status; i++)
        if (in_time(v, i, err)) open_one(v, i, NULL, err);
    if (f->n == 1 && f->options->models && !err->status) open_older(v, 0, err);
    return err->status;
}

void model_views_close(model_views *v)
{
    for (size_t i = 0; i < v->count; i++) {
        lithe_diversity_close(v->views[i].diversity);
        lithe_internals_close(v->views[i].inside);
        lithe_internals_close(v->views[i].maps);
        free(v->views[i].tokens);
    }
    free(v->views);
    free(v->notes);
    arena_free(&v->memory);
    *v = (model_views){ 0 };
}

bool model_view_first(const model_views *v, const model_view *m)
{
    const int *group = v->figures->group;
    for (const model_view *before = v->views; before < m; before++)
        if (group[before->run] == group[m->run]) return false;
    return true;
}

const char *model_view_name(const model_views *v, const model_view *m, char text[128])
{
    if (v->figures->n > 1 || m->step < 0) snprintf(text, 128, "%.120s", v->figures->names[m->run]);
    else snprintf(text, 128, "step %d", m->step);
    return text;
}
