#include "graph/orthogonal.h"
#include "graph/param.h"
#include "base/arena.h"
#include "base/random.h"
#include "base/threads.h"
#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

params *params_new(void) { return xalloc(1, sizeof(params)); }

void params_free(params *p)
{
    if (!p) return;
    for (int i = 0; i < p->count; i++) {
        weight_free(&p->items[i]->weight);
        free(p->items[i]->name);
        free(p->items[i]);
    }
    free(p->items);
    free(p->places);
    big_free(p->values, p->arena_count * sizeof(real));
    big_free(p->grad, p->arena_count * sizeof(real));
    big_free(p->plain, p->plain_count * sizeof(real));
    if (p->lender) p->lending->give_back(p->lender);
    tables_free(p->tables);
    free(p);
}

static int by_name(const void *a, const void *b)
{
    return strcmp((*(param *const *)a)->name, (*(param *const *)b)->name);
}

/* The entry of an open set's hash table for a name: 1 + the place of the parameter in items, or 0 when there is
 * none. */
static int *place_of(const params *p, const char *name)
{
    size_t mask = 4 * (size_t)p->capacity - 1, at = key_of_name(0, name) & mask;
    while (p->places[at] && strcmp(p->items[p->places[at] - 1]->name, name)) at = (at + 1) & mask;
    return &p->places[at];
}

/* Doubles the room for parameters, and fills the hash table again. */
static bool make_room(params *p)
{
    int capacity = p->capacity ? 2 * p->capacity : 64, *places = xalloc(4 * (size_t)capacity, sizeof *places);
    param **items = places ? xrealloc(p->items, (size_t)capacity, sizeof *items) : NULL;
    if (!items) { free(places); return false; }
    free(p->places);
    p->items = items;
    p->places = places;
    p->capacity = capacity;
    for (int i = 0; i < p->count; i++) *place_of(p, items[i]->name) = i + 1;
    return true;
}

param *params_find(const params *p, const char *name)
{
    if (p->closed) {
        int low = 0, high = p->count - 1;
        while (low <= high) {
            int middle = (low + high) / 2, order = strcmp(name, p->items[middle]->name);
            if (order == 0) return p->items[middle];
            if (order < 0) high = middle - 1; else low = middle + 1;
        }
        return NULL;
    }
    int place = p->places ? *place_of(p, name) : 0;
    return place ? p->items[place - 1] : NULL;
}

static int first_number(const char *name)
{
    while (*name && !isdigit((unsigned char)*name)) name++;
    return *name ? atoi(name) : -1;
}

param *params_declare(params *p, const char *name, const param_rule *rule)
{
    param *known = params_find(p, name);
    if (known || p->closed) return known;
    if (p->count == p->capacity && !make_room(p)) return NULL;
    param *q = xalloc(1, sizeof *q);
    if (!q || !(q->name = xstrdup(name))) { free(q); return NULL; }
    q->rule = *rule;
    if (q->rule.lr_factor == 0) q->rule.lr_factor = 1;
    q->layer = first_number(name);
    q->weight.version = 1;
    q->count = 1;
    for (int i = 0; i < rule->rank; i++)
        if (rule->dims[i] <= 0 || !size_mul(q->count, (size_t)rule->dims[i], &q->count)) q->count = SIZE_MAX / 64;
    p->items[p->count++] = q;
    *place_of(p, name) = p->count;
    return q;
}

static size_t padded(size_t count) { return (count + 15) / 16 * 16; }

int params_close(params *p, lithe_error *err)
{
    if (p->closed) return 0;
    if (p->count) qsort(p->items, (size_t)p->count, sizeof *p->items, by_name);
    p->closed = true;
    free(p->places);
    p->places = NULL;
    for (int i = 0; i < p->count; i++) {
        p->items[i]->offset = p->arena_count;
        if (!size_add(p->arena_count, padded(p->items[i]->count), &p->arena_count) || p->arena_count > SIZE_MAX / 64)
            return fail(err, LITHE_ENOMEM, "the parameters do not fit in an address space");
    }
    return 0;
}

/* Allocates an arena of so many values; what: its name in messages. */
static real *values_new(size_t count, const char *what, lithe_error *err)
{
    real *values = big_alloc(count * sizeof *values);
    if (!values) fail(err, LITHE_ENOMEM, "%.1f GB for %s are more than the memory that is left", (double)count * sizeof *values / 1e9, what);
    return values;
}

int params_masters(params *p, lithe_error *err)
{
    if (p->values) return 0;
    if (!(p->values = values_new(p->arena_count, "the parameters in fp32", err))) return LITHE_ENOMEM;
    for (int i = 0; i < p->count; i++) weight_widen(&p->items[i]->weight, p->items[i]->count, p->values + p->items[i]->offset);
    big_free(p->plain, p->plain_count * sizeof(real));
    p->plain = NULL;
    int status = params_intact(p, err);
    params_borrow(p, NULL, NULL);
    return status;
}

int params_plain(params *p, lithe_error *err)
{
    size_t at = 0;
    for (int i = 0; i < p->count; i++)
        if (p->items[i]->plain) p->plain_count += padded(p->items[i]->count);
    if (!(p->plain = values_new(p->plain_count, "the parameters that are read plainly", err))) return LITHE_ENOMEM;
    for (int i = 0; i < p->count; i++) {
        param *q = p->items[i];
        if (!q->plain) continue;
        weight_widen(&q->weight, q->count, p->plain + at);
        at += padded(q->count);
    }
    return 0;
}

void params_borrow(params *p, void *lender, const lending *l)
{
    if (p->lender) p->lending->give_back(p->lender);
    p->lender = lender;
    p->lending = l;
}

int params_intact(const params *p, lithe_error *err) { return p->lender ? p->lending->intact(p->lender, err) : LITHE_OK; }

int params_gradients(params *p, lithe_error *err)
{
    if (p->grad) return 0;
    if (params_masters(p, err) || !(p->grad = values_new(p->arena_count, "the gradients", err))) return LITHE_ENOMEM;
    for (int i = 0; i < p->count; i++) p->items[i]->grad = p->grad + p->items[i]->offset;
    return 0;
}

real *params_edit(params *p)
{
    for (int i = 0; i < p->count; i++) weight_edit(&p->items[i]->weight);
    return p->values;
}

size_t params_total(const params *p)
{
    size_t total = 0;
    for (int i = 0; i < p->count; i++) total += p->items[i]->count;
    return total;
}

/* ---- initial values -------------------------------------------------------- */

enum { CHUNK = 1 << 14 };

typedef struct { const param *p; uint64_t key; real *out; } initialization;

static double normal_within(double cut, uint64_t key, size_t i)
{
    double x = random_normal(key, i);
    for (uint64_t again = 1; cut > 0 && fabs(x) > cut; again++) x = random_normal(key_of(key, again), i);
    return x;
}

static double first_value(const param_rule *rule, uint64_t key, size_t i)
{
    switch (rule->init) {
    case INIT_NORMAL:  return rule->std * normal_within(rule->cut, key, i);
    case INIT_FORMULA: return rule->formula(rule->args, key, i);
    case INIT_ONE:     return 1;
    /* Nearly orthogonal: when there is no memory for an orthogonal matrix. */
    case INIT_ORTHOGONAL: return rule->std / sqrt(fmax(rule->dims[0], rule->dims[1])) * random_normal(key, i);
    default:           return 0;
    }
}

static void initialize_chunk(void *context, int task)
{
    const initialization *it = context;
    size_t first = (size_t)task * CHUNK, last = first + CHUNK < it->p->count ? first + CHUNK : it->p->count;
    for (size_t i = first; i < last; i++)
        it->out[i] = (real)first_value(&it->p->rule, it->key, i);
}

/* Normal vectors made orthogonal one after the other (modified Gram-Schmidt): vector i, finished, is taken out of all
 * later ones; PANEL of them while they are in the cache, out of TOGETHER vectors at once. */
typedef struct { double *v; size_t length; int count, first, end; } basis;

enum { PANEL = 32, TOGETHER = 8 };

static double *vector_at(const basis *b, int i) { return b->v + (size_t)i * b->length; }

/* Takes v out of rows [first, end), at most TOGETHER: sums that do not wait for each other. */
static void subtract_projections(const basis *b, const double *v, int first, int end)
{
    double *w = vector_at(b, first), sum[TOGETHER] = { 0 };
    if (end - first == TOGETHER) {
        for (size_t i = 0; i < b->length; i++)
            for (int r = 0; r < TOGETHER; r++) sum[r] += v[i] * w[(size_t)r * b->length + i];
    } else {
        for (int r = 0; r < end - first; r++)
            for (size_t i = 0; i < b->length; i++) sum[r] += v[i] * w[(size_t)r * b->length + i];
    }
    for (int r = 0; r < end - first; r++, w += b->length)
        for (size_t i = 0; i < b->length; i++) w[i] -= sum[r] * v[i];
}

/* The panel out of some rows after it. */
static void subtract_panel(void *context, int task)
{
    const basis *b = context;
    int first = b->end + task * TOGETHER, end = first + TOGETHER < b->count ? first + TOGETHER : b->count;
    for (int i = b->first; i < b->end; i++) subtract_projections(b, vector_at(b, i), first, end);
}

static void make_orthogonal(basis *b)
{
    for (b->first = 0; b->first < b->count; b->first = b->end) {
        b->end = b->first + PANEL < b->count ? b->first + PANEL : b->count;
        for (int i = b->first; i < b->end; i++) {
            double *v = vector_at(b, i), square = 0;
            for (size_t k = 0; k < b->length; k++) square += v[k] * v[k];
            for (size_t k = 0; k < b->length; k++) v[k] /= sqrt(square);
            for (int j = i + 1; j < b->end; j += TOGETHER) subtract_projections(b, v, j, j + TOGETHER < b->end ? j + TOGETHER : b->end);
        }
        parallel_for((b->count - b->end + TOGETHER - 1) / TOGETHER, subtract_panel, b);
    }
}

static void draw_chunk(void *context, int task)
{
    const initialization *it = context;
    size_t first = (size_t)task * CHUNK, last = first + CHUNK < it->p->count ? first + CHUNK : it->p->count;
    for (size_t i = first; i < last; i++) it->out[i] = (real)random_normal(it->key, i);
}

/* For matrices much longer than wide, such as a head. */
static bool initialize_long(const initialization *it)
{
    const param_rule *rule = &it->p->rule;
    parallel_for((int)((it->p->count + CHUNK - 1) / CHUNK), draw_chunk, (void *)(uintptr_t)it);
    if (!orthogonalize_long(it->out, rule->dims[0], rule->dims[1])) return false;
    for (size_t i = 0; i < it->p->count; i++) it->out[i] *= (real)rule->std;
    return true;
}

/* False when memory is out. */
static bool initialize_orthogonal(const initialization *it)
{
    int most = it->p->rule.dims[0], least = it->p->rule.dims[1];
    if (most < least) most = it->p->rule.dims[1], least = it->p->rule.dims[0];
    if (most / 2 >= least) return initialize_long(it);
    size_t rows = (size_t)it->p->rule.dims[0], columns = (size_t)it->p->rule.dims[1];
    bool tall = rows > columns;                         /* with fewer columns than rows, the columns are the vectors */
    basis b = { .v = xalloc(it->p->count, sizeof *b.v), .length = tall ? rows : columns, .count = (int)(tall ? columns : rows) };
    if (!b.v) return false;
    for (size_t i = 0; i < it->p->count; i++) b.v[i] = random_normal(it->key, i);
    make_orthogonal(&b);
    for (size_t i = 0; i < rows; i++)
        for (size_t j = 0; j < columns; j++)
            it->out[i * columns + j] = (real)(it->p->rule.std * (tall ? b.v[j * rows + i] : b.v[i * columns + j]));
    free(b.v);
    return true;
}

void param_initialize(const param *p, uint64_t seed, real *out)
{
    initialization it = { p, key_of_name(seed, p->name), out };
    if (p->rule.init == INIT_ORTHOGONAL && initialize_orthogonal(&it)) return;
    parallel_for((int)((p->count + CHUNK - 1) / CHUNK), initialize_chunk, &it);
}

void params_initialize(params *p, uint64_t seed)
{
    for (int i = 0; i < p->count; i++) param_initialize(p->items[i], seed, weight_edit(&p->items[i]->weight));
}
