/* What the public interface says of a model's parameters: their names and shapes,
 * how they are stored, and their values. */
#include "model/model.h"

static int describe(const param *p, lithe_tensor_info *out)
{
    stored_type type = weight_stored(&p->weight).type;
    *out = (lithe_tensor_info){ .name = p->name, .dtype = stored_formats[type].name, .rank = p->rule.rank, .bytes = stored_bytes(type, p->count) };
    for (int d = 0; d < p->rule.rank; d++) out->dims[d] = p->rule.dims[d];
    return 1;
}

int lithe_model_parameter(const lithe_model *m, size_t i, lithe_tensor_info *out)
{
    return m && i < (size_t)m->params->count ? describe(m->params->items[i], out) : 0;
}

int lithe_model_parameter_named(const lithe_model *m, const char *name, lithe_tensor_info *out)
{
    const param *p = m && name ? params_find(m->params, name) : NULL;
    return p ? describe(p, out) : 0;
}

int lithe_model_values(const lithe_model *m, const char *name, size_t first, size_t n, float *out, lithe_error *err)
{
    if (failed(err)) return err->status;
    const param *p = m && name ? params_find(m->params, name) : NULL;
    if (!p) return fail(err, LITHE_EINVAL, "%.200s is no parameter of this %s", name ? name : "(none)", m ? m->arch->name : "model");
    if (first > p->count || n > p->count - first)
        return fail(err, LITHE_EINVAL, "%s has %zu values, it cannot give %zu from number %zu on", name, p->count, n, first);
    weight_read(&p->weight, first, n, out);
    return params_intact(m->params, err);
}

int lithe_model_intact(const lithe_model *m, lithe_error *err)
{
    if (failed(err)) return err->status;
    return m ? params_intact(m->params, err) : fail(err, LITHE_EINVAL, "there is no model");
}
