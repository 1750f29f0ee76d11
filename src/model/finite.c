/* Whether a model's parameters are numbers. */
#include "model/model.h"
#include "base/progress.h"
#include <math.h>
#include <stdlib.h>

enum { CHUNK = 4096 };

/* Of one parameter; values has room for CHUNK of them. */
static int check(const param *p, real *values, lithe_error *err)
{
    for (size_t first = 0, n; first < p->count; first += n) {
        n = p->count - first < CHUNK ? p->count - first : CHUNK;
        weight_read(&p->weight, first, n, values);
        for (size_t k = 0; k < n; k++)
            if (!isfinite(values[k]))
                return fail(err, LITHE_EFORMAT, "%s: value %zu is %s, so the model's results are no numbers: its file is damaged, or its training diverged",
                            p->name, first + k, isnan(values[k]) ? "nan" : "infinite");
    }
    return LITHE_OK;
}

int lithe_model_finite(const lithe_model *m, lithe_error *err)
{
    if (failed(err)) return err->status;
    if (!m) return fail(err, LITHE_EINVAL, "there is no model");
    real *values = xalloc(CHUNK, sizeof *values);
    int status = values ? LITHE_OK : fail(err, LITHE_ENOMEM, "not enough memory to look through %d tensors", m->params->count);
    for (int i = 0; i < m->params->count && !status; i++) {
        status = progress_tell("checking the weights", i, m->params->count, err);
        if (!status) status = check(m->params->items[i], values, err);
    }
    free(values);
    return status;
}
