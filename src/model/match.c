/* Finds by name which tensor of a file holds each parameter.
 *
 * The file's tensors already have the names of the architecture (files/naming.h):
 * the table of their format and the architecture's pairs of names gave them.  A
 * tensor that is no parameter must be one of these: a buffer, which is ignored; a
 * tensor of another head; a tied head or a second copy that equals its original.
 * Invariant: a plan exists only when every name, shape and type was found right. */
#include "model/model.h"
#include "files/dtypes.h"
#include <stdlib.h>
#include <string.h>

enum { SHAPE_BYTES = 200 };

/* ---- shapes ------------------------------------------------------------------- */

static bool is_float(dtype t) { stored_type type; return t == DT_F64 || dtype_stored(t, &type); }

/* "[768,2304]" */
static const char *shape_text(char text[SHAPE_BYTES], const int64_t *dims, int rank)
{
    int n = snprintf(text, SHAPE_BYTES, "[");
    for (int i = 0; i < rank; i++) n += snprintf(text + n, (size_t)(SHAPE_BYTES - n), "%s%lld", i ? "," : "", (long long)dims[i]);
    snprintf(text + n, (size_t)(SHAPE_BYTES - n), "]");
    return text;
}

wanted_shape param_shape(const param *p)
{
    const param_rule *r = &p->rule;
    wanted_shape s = { .rank = r->rank };
    for (int d = 0; d < s.rank; d++) {
        bool of_heads = r->axes[d].kind == AXIS_HEAD || r->axes[d].kind == AXIS_KV_HEAD;
        s.dims[d] = r->dims[d];
        if (!of_heads) continue;
        s.axis[d].heads = r->heads;
        s.axis[d].parts = r->by_head ? r->axes[d].parts : 1;
    }
    return s;
}

/* ---- matching ----------------------------------------------------------------- */

typedef struct {
    const lithe_model *m;
    const tensor_file *f;
    param_source *source;            /* of m->params->items[i] */
    unsigned char *used;             /* of f->tensors[i] */
    int wrong;                       /* tensors that do not fit; below, the first of them */
    lithe_status status;
    char first[sizeof((lithe_error *)0)->text];
} matching;

static void complain(matching *x, lithe_status status, const char *format, ...) __attribute__((format(printf, 3, 4)));
static void complain(matching *x, lithe_status status, const char *format, ...)
{
    if (x->wrong++) return;
    va_list args;
    va_start(args, format);
    vsnprintf(x->first, sizeof x->first, format, args);
    va_end(args);
    x->status = status;
}

static bool head_is_tied(const matching *x)
{
    const arch *a = x->m->arch;
    return a->files.tied_head && a->files.tied_to && !params_find(x->m->params, a->files.tied_head);
}

/* The name of a tensor in its file. */
static const char *label(const file_tensor *t) { return t->stored ? t->stored : t->name; }

/* Where head and embedding are tied, a file may hold them under the head's name alone. */
static const file_tensor *find_source(const matching *x, const char *name)
{
    const arch *a = x->m->arch;
    const file_tensor *t = tensor_file_find(x->f, name);
    if (!t && head_is_tied(x) && !strcmp(name, a->files.tied_to)) t = tensor_file_find(x->f, a->files.tied_head);
    return t;
}

/* Whether all elements are equal when they are read as floats. */
static bool same_values(const file_tensor *a, const file_tensor *b)
{
    enum { N = 4096 };
    float x[N], y[N];
    if (a->count != b->count || a->rank != b->rank || memcmp(a->dims, b->dims, (size_t)a->rank * sizeof *a->dims)) return false;
    for (size_t i = 0; i < a->count; i += N) {
        size_t n = a->count - i < N ? a->count - i : N;
        if (!file_tensor_floats(a, i, n, x) || !file_tensor_floats(b, i, n, y) || memcmp(x, y, n * sizeof *x)) return false;
    }
    return true;
}

/* Checks stored values that a function maps to the parameter's, which may lie outside its domain. */
static void check_values(matching *x, const file_tensor *t)
{
    const value_rule *v = t->form ? t->form->values : NULL;
    file_tensor theirs = *t;
    theirs.form = NULL;
    float y;
    for (size_t i = 0; v && i < t->count && file_tensor_floats(&theirs, i, 1, &y); i++)
        if (!((double)y >= v->least && (double)y <= v->most)) {
            complain(x, LITHE_EFORMAT, "%s[%zu] is %g, expected %s", label(t), i, (double)y, v->expected);
            return;
        }
}

static void match_parameter(matching *x, int i)
{
    param *p = x->m->params->items[i];
    const arch *a = x->m->arch;
    char found[SHAPE_BYTES], expected[SHAPE_BYTES];
    const file_tensor *t = find_source(x, p->name);
    const wanted_shape shape = param_shape(p);
    shape_text(expected, shape.dims, shape.rank);
    if (!t) {
        bool is_head = a->files.tied_head && !strcmp(p->name, a->files.tied_head);
        complain(x, LITHE_EFORMAT, "%s %s is missing%s", p->name, expected,
                 is_head ? "; set tie_word_embeddings to true if the embedding is the head" : "");
        return;
    }
    param_source *s = &x->source[i];
    *s = (param_source){ p, *t };
    x->used[t - x->f->tensors] = 1;
    if (!naming_view(&s->from, &shape)) complain(x, LITHE_EFORMAT, "%s is %s, expected %s", label(t), shape_text(found, t->dims, t->rank), expected);
    else if (!is_float(t->type)) complain(x, LITHE_EFORMAT, "%s is of type %s, expected F32, BF16, F16, F64 or blocks as ggml has them", label(t), t->type_name);
    else check_values(x, &s->from);
}

static void match_tied_head(matching *x)
{
    const arch *a = x->m->arch;
    if (!head_is_tied(x) || x->m->task.kind > TASK_PRETRAIN) return;
    const file_tensor *written = tensor_file_find(x->f, a->files.tied_head), *embedding = tensor_file_find(x->f, a->files.tied_to);
    if (!written || !embedding || written == embedding) return;
    x->used[written - x->f->tensors] = 1;
    if (!same_values(written, embedding))
        complain(x, LITHE_EFORMAT, "%s differs from %s, which the configuration makes the head too; "
                 "set tie_word_embeddings to false if the head is its own", label(written), label(embedding));
}

/* Hugging Face writes a head's bias under two names; both copies must be equal.  A second copy of a body's tensor is
 * refused. */
static bool is_copy(matching *x, const file_tensor *t)
{
    const file_tensor *first = t->copy_of && arch_head_tensor(x->m->arch, t->copy_of) ? tensor_file_find(x->f, t->copy_of) : NULL;
    if (first && !same_values(first, t)) complain(x, LITHE_EFORMAT, "%s differs from %s, which is another name of it", label(t), label(first));
    return first != NULL;
}

static void match_rest(matching *x)
{
    char shape[SHAPE_BYTES];
    for (int i = 0; i < x->f->count; i++) {
        const file_tensor *t = &x->f->tensors[i];
        if (!x->used[i] && !t->ignored && !is_copy(x, t) && !arch_head_tensor(x->m->arch, t->name))
            complain(x, LITHE_EFORMAT, "%.160s %s is no part of the %s that the configuration describes", label(t),
                     shape_text(shape, t->dims, t->rank), x->m->arch->name);
    }
}

int load_plan_make(load_plan *plan, const lithe_model *m, tensor_file *f, lithe_error *err)
{
    *plan = (load_plan){ 0 };
    int count = m->params->count, status = failed(err) ? (int)err->status : naming_apply_pairs(f, m->arch->files.names, err);
    if (status) return status;
    matching x = { .m = m, .f = f, .source = xalloc((size_t)count + 1, sizeof *x.source), .used = xalloc((size_t)f->count + 1, 1) };
    if (!x.source || !x.used) status = fail(err, LITHE_ENOMEM, "%s: not enough memory to match %d tensors", f->path, f->count);
    for (int i = 0; i < count && !status; i++) match_parameter(&x, i);
    if (!status) match_tied_head(&x);
    if (!status) match_rest(&x);
    if (x.wrong == 1) status = fail(err, x.status, "%s: %s", f->path, x.first);
    else if (x.wrong) status = fail(err, x.status, "%s: %.350s (and %d more tensors do not fit)", f->path, x.first, x.wrong - 1);
    free(x.used);
    if (status) free(x.source);
    else *plan = (load_plan){ f->path, count, x.source };
    return status;
}

void load_plan_free(load_plan *plan)
{
    free(plan->sources);
    *plan = (load_plan){ 0 };
}
