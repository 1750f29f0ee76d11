#include "braille.h"
#include <math.h>
#include <string.h>

enum { COLUMNS = 200, LINES = 40 };
typedef struct { unsigned char cell[LINES][COLUMNS]; int columns, lines; } canvas;

/* Bits of U+2800 by the dot's column and row. */
static void set_dot(canvas *c, int x, int y)
{
    static const unsigned char bits[2][4] = { { 0x01, 0x02, 0x04, 0x40 }, { 0x08, 0x10, 0x20, 0x80 } };
    if (x >= 0 && x < 2 * c->columns && y >= 0 && y < 4 * c->lines) c->cell[y / 4][x / 2] |= bits[x % 2][y % 4];
}

/* The vertical line that joins two neighbouring dots. */
static void join_dots(canvas *c, int x, int from, int to)
{
    for (int y = from < to ? from : to, end = from < to ? to : from; y <= end; y++) set_dot(c, x, y);
}

/* The mean of the points in each column of dots, or a value between its neighbours where there is none. */
static void column_values(const double *x, const double *y, size_t n, double *value, int columns)
{
    int last = 0;
    size_t i = 0;
    value[0] = y[0];                                        /* of points that all lie in the last column */
    for (int column = 0; column < columns; column++) {
        double sum = 0, end = x[0] + (x[n - 1] - x[0]) * (column + 1) / columns;
        size_t first = i;
        for (; i < n && (x[i] < end || column == columns - 1); i++) sum += y[i];
        if (i == first) continue;
        value[column] = sum / (double)(i - first);
        for (int between = last + 1; between < column; between++) value[between] = value[last] + (value[column] - value[last]) * (between - last) / (column - last);
        last = column;
    }
    for (int column = last + 1; column < columns; column++) value[column] = value[last];
}

static void plot(canvas *c, const double *x, const double *y, size_t n, double least, double most)
{
    double value[2 * COLUMNS];
    int columns = 2 * c->columns, high = 4 * c->lines - 1, last = -1;
    column_values(x, y, n, value, columns);
    for (int column = 0; column < columns; column++) {
        int row = (int)lround(high * (most - value[column]) / (most > least ? most - least : 1));
        if (row < 0) row = 0;
        join_dots(c, column, last < 0 ? row : last, row);
        last = row;
    }
}

void braille_draw(FILE *out, const double *x, const double *y, size_t n, int columns, int lines)
{
    canvas c = { .columns = columns < COLUMNS ? columns : COLUMNS, .lines = lines < LINES ? lines : LINES };
    double least = INFINITY, most = -INFINITY, later = -INFINITY;
    for (size_t i = 0; i < n; i++) {
        least = fmin(least, y[i]);
        most = fmax(most, y[i]);
        if (i >= n / 10) later = fmax(later, y[i]);         /* the first steps may lie above */
    }
    most = later > least ? later : most;
    if (n) plot(&c, x, y, n, least, most);
    for (int line = 0; line < c.lines; line++) {
        if (n && line == 0) fprintf(out, "%9.4g ", most);
        else if (n && line == c.lines - 1) fprintf(out, "%9.4g ", least);
        else fprintf(out, "%10s", "");
        for (int column = 0; column < c.columns; column++) {
            int code = 0x2800 + c.cell[line][column];
            fprintf(out, "%c%c%c", 0xe0 | code >> 12, 0x80 | (code >> 6 & 0x3f), 0x80 | (code & 0x3f));
        }
        fputs("\n", out);
    }
}
