#include "class_figures.h"
#include "lithe_eval.h"
#include "token_answers.h"
#include <stdlib.h>
#include <string.h>

enum { NAME_WIDTH = 40, PAIRS_MOST = 10 };

static size_t at(const class_figures *c, int label, int predicted) { return c->confusion[label * c->labels + predicted]; }

static const char *name_of(const class_figures *c, int i, char text[24]) { return label_name(c->model, i, text, 24); }

/* Columns of the terminal that a name takes, and no more than NAME_WIDTH; *bytes of it are shown. */
static int shown(const char *name, int *bytes)
{
    int columns = 0, i = 0;
    for (const size_t n = strlen(name); (size_t)i < n && columns < NAME_WIDTH; columns++) {
        const int length = utf8_length(name + i, n - (size_t)i);
        i += length > 0 ? length : 1;
    }
    *bytes = i;
    return columns;
}

static void print_name(const char *name, int width)
{
    int bytes;
    const int columns = shown(name, &bytes);
    printf("%.*s%*s", bytes, name, width > columns ? width - columns : 0, "");
}

static int widest_name(const class_figures *c)
{
    char text[24];
    int widest = 5, bytes;
    for (int i = 0; i < c->labels; i++) {
        const int columns = shown(name_of(c, i, text), &bytes);
        if (columns > widest) widest = columns;
    }
    return widest;
}

static void print_scores(const class_figures *c, int width)
{
    char text[24];
    lithe_class_score mean = { 0 };
    printf("\n%-*s  precision  recall      F1  examples\n", width, "class");
    for (int i = 0; i < c->labels; i++) {
        const lithe_class_score s = lithe_score_class(c->confusion, c->labels, i);
        print_name(name_of(c, i, text), width);
        printf("  %9.4f  %6.4f  %6.4f  %8zu\n", s.precision, s.recall, s.f1, s.examples);
        mean.precision += s.precision / c->labels;
        mean.recall += s.recall / c->labels;
        mean.f1 += s.f1 / c->labels;
        mean.examples += s.examples;
    }
    printf("%-*s  %9.4f  %6.4f  %6.4f  %8zu\n", width, "mean", mean.precision, mean.recall, mean.f1, mean.examples);
}

static int digits(const class_figures *c)
{
    size_t most = 0;
    for (int i = 0; i < c->labels * c->labels; i++) if (c->confusion[i] > most) most = c->confusion[i];
    return snprintf(NULL, 0, "%zu", most);
}

/* A column for each class, headed by the place of its row. */
static void print_matrix(const class_figures *c, int width, int cell)
{
    char text[24];
    printf("\n%-*s  predicted as\n%*s    ", width, "class", width, "");
    for (int j = 0; j < c->labels; j++) printf("%*d", cell, j + 1);
    putchar('\n');
    for (int i = 0; i < c->labels; i++) {
        printf("%3d ", i + 1);
        print_name(name_of(c, i, text), width);
        for (int j = 0; j < c->labels; j++) printf("%*zu", cell, at(c, i, j));
        putchar('\n');
    }
}

typedef struct { size_t count; int label, predicted; } mistake;

static int more_often(const void *a, const void *b)
{
    const mistake *x = a, *y = b;
    return x->count != y->count ? (x->count < y->count) - (x->count > y->count) : x->label != y->label ? x->label - y->label : x->predicted - y->predicted;
}

static void print_mistakes(const class_figures *c)
{
    char text[2][24];
    int n = 0;
    mistake *m = malloc(((size_t)c->labels * (size_t)c->labels + 1) * sizeof *m);
    for (int i = 0; m && i < c->labels; i++)
        for (int j = 0; j < c->labels; j++) if (i != j && at(c, i, j)) m[n++] = (mistake){ at(c, i, j), i, j };
    if (m) qsort(m, (size_t)n, sizeof *m, more_often);
    printf("\nmost often taken for each other, of %d pairs of classes (--json has the whole matrix):\n", n);
    for (int i = 0; m && i < n && i < PAIRS_MOST; i++)
        printf("  %zu of %s as %s\n", m[i].count, name_of(c, m[i].label, text[0]), name_of(c, m[i].predicted, text[1]));
    free(m);
}

void print_classes(const class_figures *c)
{
    const int width = widest_name(c), places = snprintf(NULL, 0, "%d", c->labels), most = digits(c), cell = 2 + (most > places ? most : places);
    print_scores(c, width);
    if (4 + width + c->labels * cell <= terminal_width(stdout)) print_matrix(c, width, cell);
    else print_mistakes(c);
}

void emit_classes(emitter *e, const class_figures *c)
{
    char text[24];
    emit_open(e, "classes", '[');
    for (int i = 0; i < c->labels; i++) {
        const lithe_class_score s = lithe_score_class(c->confusion, c->labels, i);
        emit_open(e, NULL, '{');
        emit_text(e, "label", name_of(c, i, text));
        emit_number(e, "precision", s.precision);
        emit_number(e, "recall", s.recall);
        emit_number(e, "f1", s.f1);
        emit_count(e, "examples", (long long)s.examples);
        emit_close(e, '}');
    }
    emit_close(e, ']');
    emit_open(e, "confusion", '[');
    for (int i = 0; i < c->labels; i++) {
        emit_open(e, NULL, '[');
        for (int j = 0; j < c->labels; j++) emit_count(e, NULL, (long long)at(c, i, j));
        emit_close(e, ']');
    }
    emit_close(e, ']');
}
