/* What a token costs late in a text, as `lithe bench MODEL --depth ... --json` has measured it. */
#ifndef REPORT_COSTS_H
#define REPORT_COSTS_H

#include "base/arena.h"
#include "report/chart.h"
#include "report/record_table.h"

/* A model in one form: rows that differ in nothing else are measurements of the same. */
typedef struct {
    const char *model, *arch, *type, *cache, *machine;      /* cache: how keys and values are kept; "" where not said */
    const char *path; long line;         /* where it first is */
    double params;
    int parallel;                        /* sequences that decode together */
    char name[128];                      /* different for each */
} cost_series;
/* depth tokens were read before; then `tokens` of all sequences took `seconds`, and their memory is `bytes`. */
typedef struct { int series; double depth, tokens, seconds, bytes; } cost_row;

typedef struct {
    arena memory;
    cost_series *series; size_t series_count, series_room;
    cost_row *rows; size_t count, room;
} costs;

/* Reads files of which each line is an object that lithe bench printed.  What is no such line, or was measured at one
 * position only, is LITHE_EFORMAT.  To be closed after a failure too. */
int  costs_read(costs *c, const char *const *paths, int n, lithe_error *err);
void costs_close(costs *c);

typedef enum { COST_SECONDS, COST_BYTES } cost_of;       /* seconds of one token; bytes of the text so far */
double cost_value(const cost_row *r, cost_of of);
/* A curve of each series by depth: the median of what was measured there, in a band if that is several.  NULL when
 * memory is out; figures_free() releases it. */
chart_curve *costs_curves(const costs *c, cost_of of, int *count);
/* Every row as it was read. */
int  costs_record(const costs *c, const char *dir, lithe_error *err);

#endif
