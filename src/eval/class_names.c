/* The names of a model's classes. */
#include "eval/classification.h"
#include <stdlib.h>

int class_names(const lithe_model *m, label_names *names, lithe_error *err)
{
    int n = m->task.labels;
    char (*number)[16] = xalloc((size_t)n + 1, sizeof *number);
    const char **name = xalloc((size_t)n + 1, sizeof *name);
    for (int i = 0; i < n && number && name; i++) {
        snprintf(number[i], sizeof *number, "%d", i);
        name[i] = lithe_model_label(m, i) ? lithe_model_label(m, i) : number[i];
    }
    int status = number && name ? names_copy(names, name, n, err) : fail(err, LITHE_ENOMEM, "not enough memory for %d classes", n);
    free(number);
    free(name);
    return status;
}
