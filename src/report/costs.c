#include "report/costs.h"
#include "base/json.h"
#include "report/figures.h"
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

enum { FILE_BYTES = 64 << 20, LINE_LEVELS = 8, SERIES_MOST = 64, ROWS_MOST = 20000, PARALLEL_MOST = 1 << 20 };

/* ---- reading ------------------------------------------------------------------------------ */

/* Where a line is, for messages. */
typedef struct { costs *c; const char *path; long line; lithe_error *err; } cost_file;

static int __attribute__((format(printf, 2, 3))) refuse(const cost_file *f, const char *format, ...)
{
    char text[400];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return fail(f->err, LITHE_EFORMAT, "%s:%ld: %s", f->path, f->line, text);
}

static const char *text_of(const cost_file *f, const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? arena_strdup(&f->c->memory, text) : arena_strdup(&f->c->memory, "");
}

/* object[key] from least to most; of anything else the line is refused. */
static int number_of(const cost_file *f, const json_t *object, const char *where, const char *key, double least, double most, double *out)
{
    const json_t *value = json_object_get(object, key);
    *out = json_is_number(value) ? json_number_value(value) : NAN;
    return *out >= least && *out <= most ? LITHE_OK : refuse(f, "%s\"%s\" is no number from %g to %g", where, key, least, most);
}

/* The CPU, its kernels and the threads; "" where one of them is not said. */
static const char *machine_of(const cost_file *f, const json_t *bench)
{
    char text[200];
    const json_t *m = json_object_get(bench, "machine");
    const char *cpu = json_string_value(json_object_get(m, "cpu")), *level = json_string_value(json_object_get(m, "level"));
    int threads;
    if (!cpu || !level || !json_int(m, "threads", 1, 1 << 20, &threads)) return arena_strdup(&f->c->memory, "");
    snprintf(text, sizeof text, "%.100s, %.40s, %d thread%s", cpu, level, threads, threads == 1 ? "" : "s");
    return arena_strdup(&f->c->memory, text);
}

static bool same(const cost_series *a, const cost_series *b)
{
    return !strcmp(a->model, b->model) && !strcmp(a->arch, b->arch) && !strcmp(a->type, b->type) && !strcmp(a->cache, b->cache) && !strcmp(a->machine, b->machine)
        && a->parallel == b->parallel && fabs(a->params - b->params) < 0.5;
}

/* The array with room for one more, perhaps elsewhere; NULL when memory is out. */
static void *with_room(void *items, size_t count, size_t *room, size_t size)
{
    if (count < *room) return items;
    void *grown = xrealloc(items, *room ? 2 * *room : 16, size);
    if (grown) *room = *room ? 2 * *room : 16;
    return grown;
}

/* The number of the series, which is added if it is new; -1 after a failure. */
static int series_at(const cost_file *f, const cost_series *s)
{
    costs *c = f->c;
    for (size_t i = 0; i < c->series_count; i++) if (same(&c->series[i], s)) return (int)i;
    if (c->series_count == SERIES_MOST) return refuse(f, "more than %d models, or forms of a model, do not fit into a figure", SERIES_MOST), -1;
    cost_series *grown = with_room(c->series, c->series_count, &c->series_room, sizeof *grown);
    if (!grown) return fail(f->err, LITHE_ENOMEM, "%s: out of memory", f->path), -1;
    c->series = grown;
    c->series[c->series_count] = *s;
    return (int)c->series_count++;
}

static int add_row(const cost_file *f, const cost_row *row)
{
    costs *c = f->c;
    if (c->count == ROWS_MOST) return refuse(f, "more than %d measurements", ROWS_MOST);
    cost_row *grown = with_room(c->rows, c->count, &c->room, sizeof *grown);
    if (!grown) return fail(f->err, LITHE_ENOMEM, "%s: out of memory", f->path);
    c->rows = grown;
    c->rows[c->count++] = *row;
    return LITHE_OK;
}

/* One of "results"; prefill and sentences are passed over. */
static int read_result(const cost_file *f, const json_t *result, size_t number, cost_series s, size_t *found)
{
    char where[40];
    double parallel;
    cost_row row = { 0 };
    const char *work = json_string_value(json_object_get(result, "work"));
    snprintf(where, sizeof where, "results[%zu]: ", number);
    if (!work) return refuse(f, "%s\"work\" is no text", where);
    if (strcmp(work, "decode")) return LITHE_OK;
    if (number_of(f, result, where, "parallel", 1, PARALLEL_MOST, &parallel) || number_of(f, result, where, "depth", 0, 1e12, &row.depth)
        || number_of(f, result, where, "tokens", 1, 1e12, &row.tokens) || number_of(f, result, where, "seconds", 1e-9, 1e9, &row.seconds)
        || number_of(f, result, where, "engine_bytes", 0, 1e18, &row.bytes)) return f->err->status;
    s.type = text_of(f, result, "type");
    s.cache = text_of(f, result, "cache_type");
    s.parallel = (int)parallel;
    if (!s.type || !s.cache) return fail(f->err, LITHE_ENOMEM, "%s: out of memory", f->path);
    row.series = series_at(f, &s);
    ++*found;
    return row.series < 0 ? (int)f->err->status : add_row(f, &row);
}

static int read_bench(const cost_file *f, const json_t *bench)
{
    const char *schema = json_string_value(json_object_get(bench, "schema"));
    const json_t *results = json_object_get(bench, "results");
    cost_series s = { .model = text_of(f, bench, "model"), .arch = text_of(f, bench, "arch"), .machine = machine_of(f, bench), .path = f->path, .line = f->line };
    size_t found = 0;
    if (!s.model || !s.arch || !s.machine) return fail(f->err, LITHE_ENOMEM, "%s: out of memory", f->path);
    if (!schema || strncmp(schema, "lithe.bench.", 12) || !json_is_array(results)) return refuse(f, "this is not what lithe bench MODEL --depth 0,1000,10000 --json prints");
    if (number_of(f, bench, "", "params", 0, 1e18, &s.params)) return f->err->status;
    for (size_t i = 0; i < json_array_size(results); i++) if (read_result(f, json_array_get(results, i), i, s, &found)) return f->err->status;
    return found ? LITHE_OK : refuse(f, "%.200s was not measured token by token; lithe bench MODEL --decode 64 --depth 0,1000,10000 --json does that", s.model);
}

static int read_file(costs *c, const char *path, lithe_error *err)
{
    size_t size = 0, lines = 0;
    char *text = file_read(path, FILE_BYTES, &size, err), what[300];
    const char *stop;
    cost_file f = { c, path, 1, err };
    for (const char *at = text, *end = text ? text + size : NULL; at < end && !err->status; at = stop + 1, f.line++) {
        stop = memchr(at, '\n', (size_t)(end - at));
        if (!stop) stop = end;
        if (strspn(at, " \t\r") >= (size_t)(stop - at)) continue;
        snprintf(what, sizeof what, "%.250s:%ld", path, f.line);
        json_t *bench = json_parse(at, (size_t)(stop - at), LINE_LEVELS, what, err);
        if (bench) read_bench(&f, bench);
        json_decref(bench);
        lines++;
    }
    if (text && !lines && !err->status) fail(err, LITHE_EFORMAT, "%s: is empty; a line of it is what lithe bench MODEL --depth 0,1000,10000 --json prints", path);
    free(text);
    return err->status;
}

/* ---- names ---------------------------------------------------------------------------------- */

/* The last part of a path. */
static void base_of(const char *path, char *text, size_t size)
{
    size_t end = strlen(path), begin;
    while (end > 1 && path[end - 1] == '/') end--;
    for (begin = end; begin && path[begin - 1] != '/'; begin--) { }
    snprintf(text, size, "%.*s", (int)(end - begin), path + begin);
}

/* The model's name and what else it has of its own: form, number of sequences; the path where two names are equal. */
static void name_series(costs *c)
{
    for (size_t i = 0; i < c->series_count; i++) {
        cost_series *s = &c->series[i];
        char base[64], other[64];
        bool twice = false, machines = false;
        base_of(s->model, base, sizeof base);
        for (size_t k = 0; k < c->series_count; k++) {
            base_of(c->series[k].model, other, sizeof other);
            twice |= !strcmp(base, other) && strcmp(s->model, c->series[k].model);
            machines |= strcmp(s->machine, c->series[k].machine);
        }
        size_t length = strlen(s->model), n = (size_t)snprintf(s->name, sizeof s->name, "%.60s", twice ? s->model + (length > 60 ? length - 60 : 0) : base);
        if (strcmp(s->type, "stored")) n += (size_t)snprintf(s->name + n, sizeof s->name - n, ", %.10s", s->type);
        if (*s->cache) n += (size_t)snprintf(s->name + n, sizeof s->name - n, ", cache %.6s", s->cache);
        if (s->parallel > 1) n += (size_t)snprintf(s->name + n, sizeof s->name - n, ", %d together", s->parallel);
        if (machines) snprintf(s->name + n, sizeof s->name - n, " (%zu)", i + 1);
    }
}

/* A figure by position needs two positions of each. */
static int check_positions(const costs *c, lithe_error *err)
{
    for (size_t i = 0; i < c->series_count; i++) {
        double first = NAN;
        bool several = false;
        for (size_t k = 0; k < c->count; k++) {
            if (c->rows[k].series != (int)i) continue;
            if (isnan(first)) first = c->rows[k].depth;
            several |= fabs(c->rows[k].depth - first) >= 0.5;
        }
        const cost_series *s = &c->series[i];
        if (!several)
            return fail(err, LITHE_EFORMAT, "%s:%ld: %s was measured after %.0f tokens only; lithe bench %.200s --depth 0,1000,10000 --json measures it at several positions", s->path, s->line, s->name, first, s->model);
    }
    return LITHE_OK;
}

int costs_read(costs *c, const char *const *paths, int n, lithe_error *err)
{
    *c = (costs){ 0 };
    for (int i = 0; i < n && !err->status; i++) read_file(c, paths[i], err);
    if (err->status) return err->status;
    name_series(c);
    return check_positions(c, err);
}

void costs_close(costs *c)
{
    free(c->series);
    free(c->rows);
    arena_free(&c->memory);
    *c = (costs){ 0 };
}

/* ---- curves ----------------------------------------------------------------------------------- */

double cost_value(const cost_row *r, cost_of of) { return of == COST_SECONDS ? r->seconds / r->tokens : r->bytes; }

typedef struct { double x, y; } place;

static int by_place(const void *a, const void *b)
{
    const place *p = a, *q = b;
    int x = (p->x > q->x) - (p->x < q->x);
    return x ? x : (p->y > q->y) - (p->y < q->y);
}

/* Points at the same place, which are sorted, become their median, least and largest. */
static void join_places(chart_curve *k, const place *p, size_t n)
{
    bool several = false;
    for (size_t first = 0, end; first < n; first = end) {
        for (end = first + 1; end < n && p[end].x - p[first].x < 0.5; ) end++;
        k->x[k->n] = p[first].x;
        k->y[k->n] = (p[(first + end - 1) / 2].y + p[(first + end) / 2].y) / 2;
        k->low[k->n] = p[first].y;
        k->high[k->n++] = p[end - 1].y;
        several |= end > first + 1;
    }
    if (several) return;
    free(k->low);
    free(k->high);
    k->low = k->high = NULL;
}

static bool make_curve(chart_curve *k, const costs *c, int series, cost_of of)
{
    size_t n = 0;
    place *p = xalloc(c->count + 1, sizeof *p);
    *k = (chart_curve){ .name = c->series[series].name, .colour = series, .dots = true, .x = xalloc(c->count + 1, sizeof *k->x), .y = xalloc(c->count + 1, sizeof *k->y),
                        .low = xalloc(c->count + 1, sizeof *k->low), .high = xalloc(c->count + 1, sizeof *k->high) };
    bool there = p && k->x && k->y && k->low && k->high;
    for (size_t i = 0; i < c->count && there; i++) if (c->rows[i].series == series) p[n++] = (place){ c->rows[i].depth, cost_value(&c->rows[i], of) };
    if (there) qsort(p, n, sizeof *p, by_place);
    if (there) join_places(k, p, n);
    free(p);
    return there;
}

chart_curve *costs_curves(const costs *c, cost_of of, int *count)
{
    chart_curve *curves = xalloc(c->series_count + 1, sizeof *curves);
    bool there = curves != NULL;
    *count = there ? (int)c->series_count : 0;
    for (int i = 0; i < *count; i++) there &= make_curve(&curves[i], c, i, of);
    if (there || !curves) return curves;
    figures_free(curves, *count);
    return NULL;
}

/* ---- the numbers ---------------------------------------------------------------------------------- */

int costs_record(const costs *c, const char *dir, lithe_error *err)
{
    static const char *const columns[] = { "model", "arch", "params", "type", "cache_type", "parallel", "position", "tokens", "seconds", "seconds_per_token", "bytes", "machine", NULL };
    record_table t;
    record_begin(&t, dir, "cost", columns, err);
    for (size_t i = 0; i < c->count; i++) {
        const cost_row *r = &c->rows[i];
        const cost_series *s = &c->series[r->series];
        const double numbers[] = { s->parallel, r->depth, r->tokens, r->seconds, cost_value(r, COST_SECONDS), r->bytes };
        record_words(&t, s->model);
        record_words(&t, s->arch);
        record_number(&t, s->params);
        record_words(&t, s->type);
        record_words(&t, s->cache);
        for (size_t k = 0; k < sizeof numbers / sizeof *numbers; k++) record_number(&t, numbers[k]);
        record_words(&t, s->machine);
    }
    return record_end(&t);
}
