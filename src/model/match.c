/* Which tensor of a file holds each parameter, by name.
 *
 * A parameter is looked for under its own name, with one of the architecture's
 * prefixes in front, and without one it begins with, each with the other endings
 * the architecture knows where ours is not there.  What the file holds
 * beyond that must be a buffer that the architecture ignores, or a written-out
 * tied head that equals its embedding.
 * Invariant: a plan is made when every name, shape and type was found right, and
 * not otherwise. */
#include "model/model.h"
#include <stdlib.h>
#include <string.h>

enum { NAME_BYTES = 320, SHAPE_BYTES = 200 };

/* ---- names -------------------------------------------------------------------- */

static const file_tensor *find_joined(const tensor_file *f, const char *prefix, const char *name)
{
    char full[NAME_BYTES];
    int n = snprintf(full, sizeof full, "%s%s", prefix, name);
    return n < (int)sizeof full ? tensor_file_find(f, full) : NULL;
}

static const file_tensor *find_spelled(const arch *a, const tensor_file *f, const char *name)
{
    const file_tensor *t = tensor_file_find(f, name);
    for (const char *const *p = a->files.prefixes; p && *p && !t; p++) {
        size_t n = strlen(*p);
        t = find_joined(f, *p, name);
        if (!t && n && !strncmp(name, *p, n)) t = tensor_file_find(f, name + n);
    }
    return t;
}

/* The name with one ending in place of another; NULL when it does not have it. */
static const char *respell(char text[NAME_BYTES], const char *name, const spelling *s)
{
    size_t n = strlen(name), ending = strlen(s->ours);
    if (ending > n || strcmp(name + n - ending, s->ours)) return NULL;
    int length = snprintf(text, NAME_BYTES, "%.*s%s", (int)(n - ending), name, s->theirs);
    return length < NAME_BYTES ? text : NULL;
}

/* other: the same under another spelling, when the file has both. */
static const file_tensor *find_both(const arch *a, const tensor_file *f, const char *name, const file_tensor **other)
{
    char text[NAME_BYTES];
    const file_tensor *t = find_spelled(a, f, name);
    *other = NULL;
    for (const spelling *s = a->files.spellings; s && s->ours; s++) {
        const file_tensor *also = respell(text, name, s) ? find_spelled(a, f, text) : NULL;
        if (t && also) *other = also;
        else if (also) t = also;
    }
    return t;
}

static const file_tensor *find_named(const arch *a, const tensor_file *f, const char *name)
{
    const file_tensor *other;
    return find_both(a, f, name, &other);
}

static bool is_ignored(const arch *a, const char *name)
{
    size_t length = strlen(name);
    for (const char *const *suffix = a->files.ignored; suffix && *suffix; suffix++) {
        size_t n = strlen(*suffix);
        if (n <= length && !strcmp(name + length - n, *suffix)) return true;
    }
    return false;
}

/* A head's own name, or one behind a prefix that a trainer put before all. */
static bool is_of_head(const arch *a, const char *name)
{
    bool found = arch_head_tensor(a, name);
    for (const char *const *p = a->files.prefixes; p && *p && !found; p++)
        if (!strncmp(name, *p, strlen(*p))) found = arch_head_tensor(a, name + strlen(*p));
    return found;
}

static bool is_float(dtype t) { return t == DT_F32 || t == DT_F16 || t == DT_BF16 || t == DT_F64; }

/* "[768,2304]" */
static const char *shape_text(char text[SHAPE_BYTES], const int64_t *dims, int rank)
{
    int n = snprintf(text, SHAPE_BYTES, "[");
    for (int i = 0; i < rank; i++) n += snprintf(text + n, (size_t)(SHAPE_BYTES - n), "%s%lld", i ? "," : "", (long long)dims[i]);
    snprintf(text + n, (size_t)(SHAPE_BYTES - n), "]");
    return text;
}

static const char *rule_text(char text[SHAPE_BYTES], const param_rule *rule)
{
    int64_t dims[PARAM_RANK] = { 0 };
    for (int i = 0; i < rule->rank; i++) dims[i] = rule->dims[i];
    return shape_text(text, dims, rule->rank);
}

static bool same_shape(const file_tensor *t, const param_rule *rule)
{
    bool same = t->rank == rule->rank;
    for (int i = 0; same && i < t->rank; i++) same = t->dims[i] == rule->dims[i];
    return same;
}

/* ---- matching ----------------------------------------------------------------- */

typedef struct {
    const lithe_model *m;
    const tensor_file *f;
    param_source *source;                  /* of m->params->items[i] */
    unsigned char *used;             /* of f->tensors[i] */
    int wrong;                       /* how many, and the first of them: */
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

/* A file whose tensors share storage may keep the head's name and drop the embedding's. */
static const file_tensor *find_source(const matching *x, const char *name)
{
    const arch *a = x->m->arch;
    const file_tensor *t = find_named(a, x->f, name);
    if (!t && head_is_tied(x) && !strcmp(name, a->files.tied_to)) t = find_named(a, x->f, a->files.tied_head);
    return t;
}

/* Equal as numbers read into float, element for element. */
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

/* Hugging Face writes a head's bias under two names: they must be one.  Where the body has two, the other is left over. */
static void match_spelling(matching *x, const char *name)
{
    const file_tensor *other, *t = find_both(x->m->arch, x->f, name, &other);
    if (!other || !arch_head_tensor(x->m->arch, name)) return;
    x->used[other - x->f->tensors] = 1;
    if (!same_values(t, other)) complain(x, LITHE_EFORMAT, "%s differs from %s, which is another name of it", other->name, t->name);
}

static void match_parameter(matching *x, int i)
{
    param *p = x->m->params->items[i];
    const arch *a = x->m->arch;
    char found[SHAPE_BYTES], expected[SHAPE_BYTES];
    const file_tensor *t = find_source(x, p->name);
    rule_text(expected, &p->rule);
    if (!t) {
        bool is_head = a->files.tied_head && !strcmp(p->name, a->files.tied_head);
        complain(x, LITHE_EFORMAT, "%s %s is missing%s", p->name, expected,
                 is_head ? "; set tie_word_embeddings to true if the embedding is the head" : "");
        return;
    }
    x->source[i] = (param_source){ p, *t };
    x->used[t - x->f->tensors] = 1;
    match_spelling(x, p->name);
    if (!same_shape(t, &p->rule)) complain(x, LITHE_EFORMAT, "%s is %s, expected %s", t->name, shape_text(found, t->dims, t->rank), expected);
    else if (!is_float(t->type)) complain(x, LITHE_EFORMAT, "%s is of type %s, expected F32, BF16, F16 or F64", t->name, t->type_name);
}

static void match_tied_head(matching *x)
{
    const arch *a = x->m->arch;
    if (!head_is_tied(x) || x->m->task.kind > TASK_PRETRAIN) return;
    const file_tensor *written = find_named(a, x->f, a->files.tied_head), *embedding = find_named(a, x->f, a->files.tied_to);
    if (!written || !embedding || written == embedding) return;
    x->used[written - x->f->tensors] = 1;
    if (!same_values(written, embedding))
        complain(x, LITHE_EFORMAT, "%s differs from %s, which the configuration makes the head too; "
                 "set tie_word_embeddings to false if the head is its own", written->name, embedding->name);
}

static void match_rest(matching *x)
{
    char shape[SHAPE_BYTES];
    for (int i = 0; i < x->f->count; i++) {
        const file_tensor *t = &x->f->tensors[i];
        if (!x->used[i] && !is_ignored(x->m->arch, t->name) && !is_of_head(x->m->arch, t->name))
            complain(x, LITHE_EFORMAT, "%.160s %s is no part of the %s that the configuration describes", t->name,
                     shape_text(shape, t->dims, t->rank), x->m->arch->name);
    }
}

int load_plan_make(load_plan *plan, const lithe_model *m, const tensor_file *f, lithe_error *err)
{
    int count = m->params->count, status = LITHE_OK;
    *plan = (load_plan){ 0 };
    if (failed(err)) return err->status;
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
