/* Figures in SVG, inline in a page: colours and fonts are the page's (page.c). */
#ifndef REPORT_CHART_H
#define REPORT_CHART_H

#include "report/text_out.h"
#include <stdbool.h>
#include <stddef.h>

/* A curve: points in ascending x.  low and high, if there, are a band around it. */
typedef struct { const char *name; int colour; double *x, *y, *low, *high; size_t n; bool dots; } chart_curve;
/* Something that happened at x: a letter at the foot of the figure, in a curve's colour. */
typedef struct { double x; int colour; char letter; const char *text; } chart_mark;

typedef struct {
    int number;                          /* in the page */
    const char *title, *x_name, *y_name;
    const chart_curve *curves; int curve_count;
    const chart_mark *marks; int mark_count;
    bool logarithmic;                    /* y */
    bool from_zero;                      /* y */
    bool whole;                          /* y: to the largest value of a curve, not to that which 19 of 20 are below */
    double x_near;    /* above 0: x grows evenly to about this place, by its logarithm beyond (log(1 + x/x_near)) */
    bool counted;                        /* x: only whole numbers have a label */
    int points;                          /* at most so many for each curve, each the mean of what it stands for */
} chart;

enum { CHART_COLOURS = 8 };

/* Appends the figure; one without any point says so. */
void chart_draw(text_out *out, const chart *c);
/* Appends the names of curves with their lines. */
void chart_key(text_out *out, const chart_curve *curves, int count);

/* "1.5k", "2.3M", "0.0125": three significant digits. */
const char *short_number(double x, char text[32]);

#endif
