/* Labels of examples are classes, by name or number, or numbers to be predicted. */
#ifndef DATA_LABELS_H
#define DATA_LABELS_H

#include "data/table.h"
#include <jansson.h>

enum { CLASSES_MOST = 65536 };

/* The labels there may be are these names, or with `numbers` any number. */
typedef struct { bool numbers; char *const *names; int classes; } label_set;

/* Gives the class a label means, by its name, or by its place where no name is the same and the name there is no
 * number; -1: there is none. */
int label_find(const label_set *l, const char *label);
/* Gives the class, or the number, of a row of the table at path; a label that is not in the set is refused by its
 * line. */
int label_read(const label_set *l, const table_row *r, const char *path, int *label, float *value, lithe_error *err);

/* ---- the names of classes, as a dataset and its description hold them ---- */

typedef struct { char **text; int count; } label_names;

/* Names are malloc'd.  Those of a table are LABEL_0 ... where its labels are the numbers 0, 1 ... without a gap, else
 * its different labels in order. */
int     names_of_table(label_names *n, const table *t, const char *path, lithe_error *err);
int     names_copy(label_names *n, const char *const *names, int count, lithe_error *err);
int     names_read(label_names *n, const json_t *list, const char *path, lithe_error *err);
json_t *names_json(const label_names *n);       /* NULL when memory is out, or a name is not UTF-8 */
void    names_free(label_names *n);

#endif
