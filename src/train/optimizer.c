/* AdamW with decoupled decay (Loshchilov & Hutter 2019) over every parameter in
 * name order, after clipping the gradient to a global norm (Pascanu et al. 2013):
 *   g <- g min(1, clip / |g|)
 *   m <- beta1 m + (1 - beta1) g,  v <- beta2 v + (1 - beta2) g^2,  t = updates - born
 *   w <- w - lr (m / (1 - beta1^t) / (sqrt(v / (1 - beta2^t)) + eps) + decay w)
 * With decay decoupled from the learning rate (MosaicML's DecoupledAdamW), decay / peak
 * replaces decay, for all parameters.  With muon the matrices inside the model train by
 * Muon instead (train/muon.h), by the same learning rate and decay.  The arena is divided into spans: a span is a
 * parameter, or a group of its entries (model/groups.h), whose learning rate may rise
 * over its first updates.  Frozen entries have no span, so they have no update and no
 * decay and are not part of the norm.
 * Invariant: padding between parameters is never touched. */
#include "train/optimizer.h"
#include "base/json.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

#ifdef LITHE_DOUBLE
#define DT_REAL DT_F64
#else
#define DT_REAL DT_F32
#endif

/* ---- spans ------------------------------------------------------------------------ */

/* With decoupled decay, w <- w (1 - decay lr / peak). */
static double decay_of(const optimizer_settings *s, const param *p)
{
    if (s->decoupled) return s->peak > 0 ? s->weight_decay / s->peak : 0;
    return p->rule.decay ? s->weight_decay : 0;
}

typedef struct { int first, rows, column, columns; } rectangle;

/* Rows that are taken whole are one run. */
static void add_span(optimizer *o, const param *p, rectangle r, const param_group *s)
{
    size_t width = p->count / (size_t)p->rule.dims[0];
    bool whole = (size_t)r.columns == width;
    const bool matrix = o->settings.muon && is_inner_matrix(p), frozen = s && s->frozen;
    if (r.rows <= 0 || r.columns <= 0 || p->frozen || (frozen && !matrix)) return;
    o->spans[o->count++] = (span){
        .first = p->offset + (size_t)r.first * width + (size_t)r.column,
        .count = whole ? (size_t)r.rows * width : (size_t)r.columns,
        .rows = whole ? 1 : (size_t)r.rows,
        .stride = width,
        .born = s ? s->born : 0,
        .rewarm = s ? s->rewarm : 0,
        .lr_factor = (p->rule.lr_factor > 0 ? p->rule.lr_factor : 1) * (s && s->lr_factor > 0 ? s->lr_factor : 1),
        .weight_decay = decay_of(&o->settings, p),
        .matrix = matrix, .frozen = frozen,
    };
}

/* Adds the groups of the same rows, and the columns between them, which train by the parameter's own rule. */
static void add_rows(optimizer *o, const param *p, const param_group **next, const param_group *end)
{
    const param_group *band = *next;
    int column = 0, width = (int)(p->count / (size_t)p->rule.dims[0]);
    for (; *next < end && (*next)->param == p && (*next)->first == band->first; ++*next) {
        int columns = (*next)->columns ? (*next)->columns : width;
        add_span(o, p, (rectangle){ band->first, band->rows, column, (*next)->column - column }, NULL);
        add_span(o, p, (rectangle){ band->first, band->rows, (*next)->column, columns }, *next);
        column = (*next)->column + columns;
    }
    add_span(o, p, (rectangle){ band->first, band->rows, column, width - column }, NULL);
}

/* Adds the spans of a parameter: its groups, and the rows between them. */
static void add_param(optimizer *o, const param *p, const param_group **next, const param_group *end)
{
    int row = 0, width = (int)(p->count / (size_t)p->rule.dims[0]);
    while (*next < end && (*next)->param == p) {
        const param_group *band = *next;
        add_span(o, p, (rectangle){ row, band->first - row, 0, width }, NULL);
        add_rows(o, p, next, end);
        row = band->first + band->rows;
    }
    add_span(o, p, (rectangle){ row, p->rule.dims[0] - row, 0, width }, NULL);
}

static void free_spans(optimizer *o)
{
    big_free(o->scratch, o->scratch_count * sizeof(real));
    free(o->spans);
    free(o->matrices);
    o->spans = NULL;
    o->matrices = NULL;
    o->scratch = NULL;
    o->scratch_count = 0;
    o->count = o->matrix_count = 0;
}

/* Notes a matrix, whose spans begin with number `first`. */
static void add_matrix(optimizer *o, const param *p, int first)
{
    if (o->count == first || !o->spans[first].matrix) return;
    o->matrices[o->matrix_count++] = (muon_matrix){ p, first, o->count - first };
    if (o->scratch_count < muon_scratch(p)) o->scratch_count = muon_scratch(p);
}

int optimizer_groups(optimizer *o, const lithe_model *m, lithe_error *err)
{
    const param_group *next = m->groups, *end = m->group_count ? m->groups + m->group_count : next;
    if (failed(err)) return err->status;
    free_spans(o);
    o->spans = xalloc((size_t)o->params->count + 4 * (size_t)m->group_count, sizeof *o->spans);
    o->matrices = xalloc((size_t)o->params->count + 1, sizeof *o->matrices);
    if (!o->spans || !o->matrices) return fail(err, LITHE_ENOMEM, "out of memory for %d parameters", o->params->count);
    for (int i = 0; i < o->params->count; i++) {
        const int first = o->count;
        add_param(o, o->params->items[i], &next, end);
        add_matrix(o, o->params->items[i], first);
    }
    o->scratch = o->scratch_count ? big_alloc(o->scratch_count * sizeof(real)) : NULL;
    return o->scratch || !o->scratch_count ? LITHE_OK : fail(err, LITHE_ENOMEM, "Muon needs %.1f MB more memory than there is", 1e-6 * (double)(o->scratch_count * sizeof(real)));
}

int optimizer_open(optimizer *o, const lithe_model *m, const optimizer_settings *s, lithe_error *err)
{
    *o = (optimizer){ .params = m->params, .settings = *s };
    int status = failed(err) ? (int)err->status : params_gradients(m->params, err);
    if (status) return status;
    size_t bytes = m->params->arena_count * sizeof(real);
    o->shares = shares_of(m->params->arena_count, 1, 0);
    o->m = big_alloc(bytes);
    o->v = big_alloc(bytes);
    if (!o->m || !o->v) status = fail(err, LITHE_ENOMEM, "the optimizer needs %.1f MB more memory than there is", 2e-6 * (double)bytes);
    if (!status) status = optimizer_groups(o, m, err);
    if (status) optimizer_close(o);
    return status;
}

void optimizer_close(optimizer *o)
{
    size_t bytes = o->params ? o->params->arena_count * sizeof(real) : 0;
    big_free(o->m, bytes);
    big_free(o->v, bytes);
    free_spans(o);
    *o = (optimizer){ 0 };
}

/* In huge pages, small shares would hold the memory of others'. */
void optimizer_share(optimizer *o, const shares *s)
{
    o->shares = *s;
    big_small_pages(o->m, s->n * sizeof(real));
    big_small_pages(o->v, s->n * sizeof(real));
}

void optimizer_drop(optimizer *o)
{
    const shares *s = &o->shares;
    size_t bytes = s->n * sizeof(real);
    for (size_t b = 0; b < shares_buckets(s) && s->count > 1; b++) {
        range all = bucket_range(s, b), own = share_in(s, b, s->rank);
        for (int i = 0; i < 2; i++) {
            big_drop(i ? o->v : o->m, bytes, all.first * sizeof(real), own.first * sizeof(real));
            big_drop(i ? o->v : o->m, bytes, own.end * sizeof(real), all.end * sizeof(real));
        }
    }
}

/* ---- the step ------------------------------------------------------------------------ */

/* The next part of a span's row that this process updates, from `at` on; it is empty when there is none. */
static range next_part(const optimizer *o, const span *s, size_t row, size_t at)
{
    size_t first = s->first + row * s->stride, end = first + s->count;
    if (at > first) first = at;
    for (; first < end; first = bucket_range(&o->shares, first / o->shares.bucket).end) {
        range own = share_in(&o->shares, first / o->shares.bucket, o->shares.rank);
        if (own.first < first) own.first = first;
        if (own.end > end) own.end = end;
        if (own.first < own.end) return own;
    }
    return (range){ end, end };
}

double optimizer_squares(const optimizer *o, const kernels *k)
{
    double sum = 0;
    for (int i = 0; i < o->count; i++)
        for (size_t row = 0; row < o->spans[i].rows && !o->spans[i].frozen; row++)
            for (range it = next_part(o, &o->spans[i], row, 0); it.first < it.end; it = next_part(o, &o->spans[i], row, it.end))
                sum += k->sum_of_squares(o->params->grad + it.first, it.end - it.first);
    return sum;
}

static double clip_of(const optimizer *o, double norm) { return o->settings.clip > 0 && norm > o->settings.clip ? o->settings.clip / norm : 1; }
static double age_of(const optimizer *o, const span *it) { return it->born < o->updates ? o->updates - it->born : 1; }
static double lr_of(const optimizer *o, const span *it, double lr)
{
    const double age = age_of(o, it);
    return lr * it->lr_factor * (age < it->rewarm ? age / it->rewarm : 1);
}

static void step_adamw(const optimizer *o, const kernels *k, const span *it, double lr, double scale)
{
    const optimizer_settings *s = &o->settings;
    const double age = age_of(o, it);
    real *values = params_edit(o->params);
    adamw_args a = {
        .lr = (real)lr_of(o, it, lr), .beta1 = (real)s->beta1, .beta2 = (real)s->beta2, .eps = (real)s->eps,
        .weight_decay = (real)it->weight_decay, .scale = (real)scale,
        /* from the betas as the kernel has them, rounded to real */
        .correction1 = (real)(1 - pow((double)(real)s->beta1, age)), .correction2 = (real)(1 - pow((double)(real)s->beta2, age)),
    };
    for (size_t row = 0; row < it->rows; row++)
        for (range own = next_part(o, it, row, 0); own.first < own.end; own = next_part(o, it, row, own.end))
            k->adamw(values + own.first, o->m + own.first, o->v + own.first, o->params->grad + own.first, own.end - own.first, &a);
}

/* ---- matrices ------------------------------------------------------------------------ */

void optimizer_momentum(optimizer *o, double norm)
{
    const double scale = clip_of(o, norm);
    for (int i = 0; i < o->count; i++) {
        const span *it = &o->spans[i];
        for (size_t row = 0; row < it->rows && it->matrix; row++)
            for (range own = next_part(o, it, row, 0); own.first < own.end; own = next_part(o, it, row, own.end)) {
                real *g = o->params->grad + own.first;
                if (it->frozen) memset(g, 0, (own.end - own.first) * sizeof *g);
                else muon_momentum(o->m + own.first, g, own.end - own.first, scale);
            }
    }
}

/* Whether any of it is in this process's shares. */
static bool owns(const optimizer *o, const param *p)
{
    const span whole = { .first = p->offset, .count = p->count, .rows = 1 };
    const range own = next_part(o, &whole, 0, 0);
    return own.first < own.end;
}

static void orthogonalize(optimizer *o, const kernels *k, const param *p)
{
    muon_orthogonalize(k, o->settings.compute, o->params->grad + p->offset, p->rule.dims[0], p->rule.dims[1], o->scratch);
}

void optimizer_rehearse(optimizer *o, const kernels *k)
{
    for (int i = 0; i < o->matrix_count; i++) orthogonalize(o, k, o->matrices[i].param);
}

static void step_muon(optimizer *o, const kernels *k, const muon_matrix *x, double lr)
{
    const param *p = x->param;
    real *values = params_edit(o->params);
    if (!owns(o, p)) return;
    orthogonalize(o, k, p);
    for (int i = x->first; i < x->first + x->count; i++) {
        const span *it = &o->spans[i];
        const muon_step s = { lr_of(o, it, lr), muon_scale(p), it->weight_decay, o->settings.cautious };
        for (size_t row = 0; row < it->rows && !it->frozen; row++)
            for (range own = next_part(o, it, row, 0); own.first < own.end; own = next_part(o, it, row, own.end))
                muon_apply(values + own.first, o->params->grad + own.first, own.end - own.first, &s);
    }
}

double optimizer_flops(const optimizer *o)
{
    double sum = 0;
    for (int i = 0; i < o->matrix_count; i++) sum += orthogonal_flops(o->matrices[i].param);
    return sum;
}

void optimizer_step(optimizer *o, const kernels *k, double lr, double norm)
{
    if (o->updates < UPDATES_MAX) o->updates++;              /* at that number both corrections are 1 */
    for (int i = 0; i < o->count; i++)
        if (!o->spans[i].matrix) step_adamw(o, k, &o->spans[i], lr, clip_of(o, norm));
    for (int i = 0; i < o->matrix_count; i++) step_muon(o, k, &o->matrices[i], lr);
}

/* ---- on disk --------------------------------------------------------------------------- */

/* PyTorch's names for m and v, and for Muon's m. */
static const char *const suffixes[2] = { ".exp_avg", ".exp_avg_sq" }, momentum[] = ".momentum_buffer";

/* How many moments a parameter has, and how many there are. */
static int moments_of(const param *p, bool muon) { return muon && is_inner_matrix(p) ? 1 : 2; }
static int count_moments(const params *p, bool muon)
{
    int count = 0;
    for (int i = 0; i < p->count; i++) count += moments_of(p->items[i], muon);
    return count;
}

static char *moment_name(const param *p, bool muon, int which, arena *memory)
{
    const char *suffix = moments_of(p, muon) == 1 ? momentum : suffixes[which];
    size_t n = strlen(p->name), m = strlen(suffix);
    char *name = arena_alloc(memory, n + m + 1);
    if (!name) return NULL;
    memcpy(name, p->name, n);
    memcpy(name + n, suffix, m + 1);
    return name;
}

int optimizer_write(const char *dir, const params *p, bool muon, const real *m, const real *v, int updates, lithe_error *err)
{
    if (failed(err)) return err->status;
    arena memory = { 0 };
    char number[16];
    snprintf(number, sizeof number, "%d", updates);
    int status = LITHE_OK, count = 0;
    char *path = path_join(dir, MOMENTS_FILE);
    json_t *metadata = json_pack("{ss ss}", "format", "pt", "updates", number);
    out_tensor *tensors = arena_alloc(&memory, (2 * (size_t)p->count + 1) * sizeof *tensors);
    bool memory_left = path && metadata && tensors;
    for (int i = 0; i < 2 * p->count && memory_left; i++) {
        const param *q = p->items[i / 2];
        if (i % 2 >= moments_of(q, muon)) continue;
        out_tensor *t = &tensors[count++];
        *t = (out_tensor){ .name = moment_name(q, muon, i % 2, &memory), .type = DT_REAL, .rank = q->rule.rank };
        t->data = (i % 2 ? v : m) + q->offset;
        for (int d = 0; d < q->rule.rank; d++) t->dims[d] = q->rule.dims[d];
        memory_left = t->name != NULL;
    }
    if (!memory_left) status = fail(err, LITHE_ENOMEM, "%s: out of memory for the names of the moments", dir);
    else status = safetensors_write(path, tensors, count, metadata, err);
    json_decref(metadata);
    free(path);
    arena_free(&memory);
    return status;
}

static int read_moment(const tensor_file *f, const param *q, bool muon, int which, real *out, lithe_error *err)
{
    enum { CHUNK = 4096 };
    float chunk[CHUNK];
    arena memory = { 0 };
    const char *name = moment_name(q, muon, which, &memory);
    const file_tensor *t = name ? tensor_file_find(f, name) : NULL;
    int status = LITHE_OK;
    bool same = t && t->rank == q->rule.rank;
    for (int d = 0; same && d < t->rank; d++) same = t->dims[d] == q->rule.dims[d];
    if (!name) status = fail(err, LITHE_ENOMEM, "%s: out of memory", f->path);
    else if (!t) status = fail(err, LITHE_EFORMAT, "%s: has no %s: these are moments of another model", f->path, name);
    else if (!same) status = fail(err, LITHE_EFORMAT, "%s: %s holds %zu values of another shape, the model's parameter %zu",
                                  f->path, name, t->count, q->count);
    for (size_t i = 0; !status && i < q->count; i += CHUNK) {
        size_t n = q->count - i < CHUNK ? q->count - i : CHUNK;
        if (!file_tensor_floats(t, i, n, chunk)) status = fail(err, LITHE_EFORMAT, "%s: %s does not hold numbers", f->path, name);
        for (size_t j = 0; !status && j < n; j++) out[i + j] = (real)chunk[j];
    }
    arena_free(&memory);
    return status;
}

static int read_updates(const tensor_file *f, int *updates, lithe_error *err)
{
    const char *text = json_string_value(json_object_get(f->metadata, "updates"));
    if (text_int(text, 0, UPDATES_MAX, updates)) return LITHE_OK;
    return fail(err, LITHE_EFORMAT, "%s: does not say after how many updates it was written, or says more than %d", f->path, UPDATES_MAX);
}

/* Whether the file holds the momentum of the first matrix. */
static bool is_of_muon(const tensor_file *f, const params *p)
{
    arena memory = { 0 };
    bool found = false;
    for (int i = 0; i < p->count && !found; i++) {
        const char *name = is_inner_matrix(p->items[i]) ? moment_name(p->items[i], true, 0, &memory) : NULL;
        found = name && tensor_file_find(f, name);
    }
    arena_free(&memory);
    return found;
}

static tensor_file *open_moments(const char *dir, lithe_error *err)
{
    char *path = path_join(dir, MOMENTS_FILE);
    if (!path) { fail(err, LITHE_ENOMEM, "%s: out of memory", dir); return NULL; }
    tensor_file *f = manifest_check_if_any(dir, NULL, err) ? NULL : tensor_file_open(path, err);
    free(path);
    return f;
}

int optimizer_find(const char *dir, const params *p, bool *muon, lithe_error *err)
{
    tensor_file *f = open_moments(dir, err);
    if (!f) return err ? (int)err->status : LITHE_EIO;
    *muon = is_of_muon(f, p);
    tensor_file_close(f);
    return LITHE_OK;
}

int optimizer_read(const char *dir, const params *p, bool muon, real *m, real *v, int *updates, lithe_error *err)
{
    tensor_file *f = open_moments(dir, err);
    if (!f) return err ? (int)err->status : LITHE_EIO;
    const int count = count_moments(p, muon);
    const bool other = count < 2 * p->count ? !is_of_muon(f, p) : is_of_muon(f, p);
    int status = read_updates(f, updates, err);
    if (!status && other) status = fail(err, LITHE_EINVAL, "%s: holds moments of %s, and %s is to train: begin with new ones", f->path, muon ? "AdamW" : "Muon", muon ? "Muon" : "AdamW");
    if (!status && f->count != count) status = fail(err, LITHE_EFORMAT, "%s: holds %d tensors, this model has %d moments", f->path, f->count, count);
    for (int i = 0; !status && i < 2 * p->count; i++) {
        const param *q = p->items[i / 2];
        if (i % 2 < moments_of(q, muon)) status = read_moment(f, q, muon, i % 2, (i % 2 ? v : m) + q->offset, err);
    }
    tensor_file_close(f);
    return status;
}
