/* What lithe eval prints of each class of a classifier. */
#ifndef CLI_CLASS_FIGURES_H
#define CLI_CLASS_FIGURES_H

#include "output.h"

/* confusion (labels, labels): the examples of each class, by the class that was predicted; NULL: no classes. */
typedef struct { const lithe_model *model; size_t *confusion; int labels; } class_figures;

/* A table of precision, recall, F1 and examples, with their means, and the matrix: whole where it fits the width, else
 * the pairs of classes that were taken for each other most often. */
void print_classes(const class_figures *c);
/* "classes": [{label, precision, recall, f1, examples}, ...], "confusion": [[...], ...] */
void emit_classes(emitter *e, const class_figures *c);

#endif
