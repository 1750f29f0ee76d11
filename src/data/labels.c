/* Labels and the names of classes (data/labels.h). */
#include "data/labels.h"
#include "base/arena.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- labels --------------------------------------------------------------------------- */

/* Reads the number of a class: digits only. */
static int class_number(const char *text)
{
    char *end;
    if (*text < '0' || *text > '9') return -1;
    long n = strtol(text, &end, 10);
    return *end || n >= CLASSES_MOST ? -1 : (int)n;
}

int label_find(const label_set *l, const char *label)
{
    for (int i = 0; i < l->classes; i++) if (!strcmp(l->names[i], label)) return i;
    int n = class_number(label);
    return n >= 0 && n < l->classes && class_number(l->names[n]) < 0 ? n : -1;
}

static int unknown_label(const char *path, const table_row *r, const label_set *l, lithe_error *err)
{
    const char *first = l->classes ? l->names[0] : "";
    if (class_number(r->label) >= 0 && class_number(first) < 0)
        return fail(err, LITHE_EFORMAT, "%s:%ld: label %s, there are %d classes, 0 to %d", path, r->line, r->label, l->classes, l->classes - 1);
    return fail(err, LITHE_EFORMAT, "%s:%ld: label \"%.100s\" is none of the %d there are (\"%.60s\" ...)", path, r->line, r->label, l->classes, first);
}

int label_read(const label_set *l, const table_row *r, const char *path, int *label, float *value, lithe_error *err)
{
    if (!l->numbers) {
        *label = label_find(l, r->label);
        return *label < 0 ? unknown_label(path, r, l, err) : LITHE_OK;
    }
    char *end;
    *value = (float)strtod(r->label, &end);
    return end != r->label && !*end && isfinite(*value) ? LITHE_OK : fail(err, LITHE_EFORMAT, "%s:%ld: label \"%.100s\" is not a number", path, r->line, r->label);
}

/* ---- names ------------------------------------------------------------------------------- */

void names_free(label_names *n)
{
    for (int i = 0; i < n->count; i++) free(n->text[i]);
    free(n->text);
    *n = (label_names){ 0 };
}

static int names_open(label_names *n, size_t count, lithe_error *err)
{
    *n = (label_names){ .text = xalloc(count + 1, sizeof *n->text) };
    return n->text ? LITHE_OK : fail(err, LITHE_ENOMEM, "out of memory for %zu labels", count);
}

static int add_name(label_names *n, const char *name, lithe_error *err)
{
    if (!(n->text[n->count] = xstrdup(name))) return fail(err, LITHE_ENOMEM, "out of memory for %d labels", n->count + 1);
    n->count++;
    return LITHE_OK;
}

int names_copy(label_names *n, const char *const *names, int count, lithe_error *err)
{
    if (count < 0 || (count && !names)) return fail(err, LITHE_EINVAL, "there are no names of %d classes", count);
    int status = names_open(n, (size_t)count, err);
    for (int i = 0; i < count && !status; i++)
        status = names[i] ? add_name(n, names[i], err) : fail(err, LITHE_EINVAL, "name %d of %d classes is NULL", i + 1, count);
    return status;
}

int names_read(label_names *n, const json_t *list, const char *path, lithe_error *err)
{
    size_t count = json_array_size(list);
    if (count > CLASSES_MOST) return fail(err, LITHE_EFORMAT, "%s: %zu labels, at most %d", path, count, CLASSES_MOST);
    int status = names_open(n, count, err);
    for (size_t i = 0; i < count && !status; i++) {
        const char *name = json_string_value(json_array_get(list, i));
        status = name ? add_name(n, name, err) : fail(err, LITHE_EFORMAT, "%s: label %zu is not a text", path, i);
    }
    return status;
}

json_t *names_json(const label_names *n)
{
    json_t *list = json_array();
    for (int i = 0; i < n->count && list; i++)
        if (json_array_append_new(list, json_string(n->text[i]))) { json_decref(list); list = NULL; }
    return list;
}

/* ---- the classes of a table ---------------------------------------------------------------- */

/* Hugging Face's name for a class that has only a number. */
static int number_names(label_names *n, int count, lithe_error *err)
{
    char text[24];
    int status = names_open(n, (size_t)count, err);
    for (int i = 0; i < count && !status; i++) {
        snprintf(text, sizeof text, "LABEL_%d", i);
        status = add_name(n, text, err);
    }
    return status;
}

/* Numbers by their size, before all else by name. */
static int by_label(const void *a, const void *b)
{
    const char *x = *(const char *const *)a, *y = *(const char *const *)b;
    int m = class_number(x), n = class_number(y);
    return m >= 0 && n >= 0 && m != n ? (m > n) - (m < n) : strcmp(x, y);
}

/* Collects the rows' labels, each once, in order; returns their number. */
static int sort_labels(const table *t, const char **sorted)
{
    int different = 0;
    for (size_t i = 0; i < t->count; i++) sorted[i] = t->rows[i].label;
    qsort(sorted, t->count, sizeof *sorted, by_label);
    for (size_t i = 0; i < t->count; i++)
        if (!i || strcmp(sorted[i], sorted[different - 1])) sorted[different++] = sorted[i];
    return different;
}

/* Whether the labels are 0, 1, 2 ... without a gap. */
static bool are_places(const char *const *sorted, int different)
{
    for (int i = 0; i < different; i++) if (class_number(sorted[i]) != i) return false;
    return true;
}

int names_of_table(label_names *n, const table *t, const char *path, lithe_error *err)
{
    const char **sorted = xalloc(t->count + 1, sizeof *sorted);
    int classes = sorted ? sort_labels(t, sorted) : 0, status;
    if (!sorted) status = fail(err, LITHE_ENOMEM, "%s: out of memory for %zu labels", path, t->count);
    else if (classes > CLASSES_MOST) status = fail(err, LITHE_EFORMAT, "%s: %d different labels, at most %d: is this the column of labels?", path, classes, CLASSES_MOST);
    else if (classes < 2) status = fail(err, LITHE_EFORMAT, "%s: one class alone (\"%.60s\"), nothing to tell apart", path, classes ? sorted[0] : "");
    else status = are_places(sorted, classes) ? number_names(n, classes, err) : names_copy(n, sorted, classes, err);
    free(sorted);
    return status;
}
