/* The naming engine: which table a file has, which rule a name, and what a rule
 * makes of names, shapes and the order of elements.
 * Invariant: after naming_apply no name stands twice, and every tensor's elements
 * lie where the file has them. */
#include "files/naming.h"
#include "base/gguf_keys.h"
#include "files/tensor_formats.h"
#include <stdlib.h>

/* ---- tables ------------------------------------------------------------------------ */

static bool holds(const tensor_file *f, const char *mark)
{
    if (!strpbrk(mark, "*@")) return tensor_file_find(f, mark);
    for (int i = 0; i < f->count; i++)
        if (pattern_fits(mark, f->tensors[i].name)) return true;
    return false;
}

static bool is_of(const naming *n, const tensor_file *f)
{
    return (!n->format || !strcmp(n->format, f->format)) && (!n->mark || holds(f, n->mark)) &&
           (!n->architecture || gguf_is(gguf_string(gguf_find(f->keys, "general.architecture")), n->architecture));
}

const naming *naming_of_file(const tensor_file *f)
{
    for (int i = 0; namings[i]; i++)
        if (is_of(namings[i], f)) return namings[i];
    return NULL;
}

const naming *naming_marked(const char *mark)
{
    for (int i = 0; namings[i] && mark; i++)
        if (namings[i]->mark && !strcmp(namings[i]->mark, mark)) return namings[i];
    return NULL;
}

bool naming_is_ours(const naming *n) { return !n || (!n->architecture && !n->mark); }

const naming *naming_of_architecture(const char *format, const char *architecture)
{
    for (int i = 0; namings[i]; i++) {
        const naming *n = namings[i];
        if (!n->format || strcmp(n->format, format)) continue;
        if (architecture ? n->architecture && !strcmp(n->architecture, architecture) : naming_is_ours(n)) return n;
    }
    return NULL;
}

const naming *naming_of_format(const char *format, bool (*has)(const void *context, const char *name), const void *context)
{
    for (int i = 0; namings[i]; i++)
        if (namings[i]->format && !strcmp(namings[i]->format, format) && namings[i]->mark && has(context, namings[i]->mark)) return namings[i];
    return NULL;
}

static bool is_prefix(const naming_rule *r) { return r->ours && !strcmp(r->ours, "@"); }

/* The rule for a name of theirs, NULL if there is none; *ours is our name, in text or theirs itself. */
static const naming_rule *rule_for(const naming_rule *rules, const char *theirs, char text[PATTERN_BYTES], const char **ours)
{
    char rest[PATTERN_BYTES];
    *ours = theirs;
    for (int i = 0; rules[i].theirs; i++) {
        const naming_rule *r = &rules[i];
        if (!r->ours && pattern_fits(r->theirs, *ours)) return r;
        if (!r->ours || !pattern_rewrite(r->theirs, r->ours, *ours, rest)) continue;
        *ours = strcpy(text, rest);
        if (!is_prefix(r)) return r;
        i = -1;                                              /* another prefix may follow it */
    }
    return NULL;
}

const naming_rule *naming_rule_of(const naming_rule *rules, const char *ours, char theirs[PATTERN_BYTES])
{
    for (const naming_rule *r = rules; r->theirs; r++)
        if (r->ours && !is_prefix(r) && pattern_rewrite(r->ours, r->theirs, ours, theirs)) return r;
    snprintf(theirs, PATTERN_BYTES, "%s", ours);
    return NULL;
}

bool naming_like(const naming_rule *rule, const char *ours, char like[PATTERN_BYTES])
{
    return rule->form.like && pattern_rewrite(rule->ours, rule->form.like, ours, like);
}

/* ---- orders ------------------------------------------------------------------------- */

static element_order order_of(const file_tensor *t)
{
    element_order o = { .rank = t->rank };
    int64_t step = 1;
    if (t->order.rank) return t->order;
    for (int d = t->rank - 1; d >= 0; step *= t->dims[d--]) o.dims[d] = t->dims[d], o.step[d] = step;
    return o;
}

/* Removes dimensions of size one and merges adjacent dimensions that are contiguous; rank 0 if everything is. */
static element_order simplest(element_order o)
{
    element_order s = { 0 };
    for (int d = 0; d < o.rank; d++) {
        if (o.dims[d] == 1) continue;
        bool runs_on = s.rank && s.step[s.rank - 1] == o.dims[d] * o.step[d];
        if (runs_on) s.dims[s.rank - 1] *= o.dims[d];
        else s.dims[s.rank++] = o.dims[d];
        s.step[s.rank - 1] = o.step[d];
    }
    return s.rank == 1 && s.step[0] == 1 ? (element_order){ 0 } : s;
}

static void add_dimension(element_order *o, int64_t size, int64_t step)
{
    o->dims[o->rank] = size;
    o->step[o->rank++] = step;
}

static void swap(int64_t *a, int64_t *b) { int64_t x = *a; *a = *b, *b = x; }

/* Turns t, a whole tensor of theirs, into the part and the orientation of a form. */
static void apply_form(file_tensor *t, const naming_form *form)
{
    if (form->parts > 1 && !form->grouped) {
        t->dims[0] /= form->parts;
        t->count /= (size_t)form->parts;
        t->bytes /= (size_t)form->parts;
        size_t bytes = 0;                                    /* of a part, of whole blocks */
        dtype_size(t->type, t->count, &bytes);
        t->data = (const char *)t->data + (size_t)form->part * bytes;
    }
    if (form->transposed && t->rank > 1) {
        t->order = order_of(t);
        swap(&t->order.dims[t->rank - 1], &t->order.dims[t->rank - 2]);
        swap(&t->order.step[t->rank - 1], &t->order.step[t->rank - 2]);
        swap(&t->dims[t->rank - 1], &t->dims[t->rank - 2]);
    }
}

/* ---- names -------------------------------------------------------------------------- */

/* The number of our tensors that t holds; parts are whole rows, one after the other. */
static int parts_of(const naming_rule *r, const file_tensor *t)
{
    int parts = r ? r->form.parts : 0;
    return parts > 1 && t->rank && (r->form.grouped || t->dims[0] % parts == 0) && !t->order.rank ? parts : 1;
}

static int layer_of(const char *name)
{
    const char *digits = strpbrk(name, "0123456789");
    return digits ? (int)(strtol(digits, NULL, 10) & 0xffff) : 0;
}

static int rename_tensor(tensor_file *f, file_tensor *t, const naming_rule *r, const char *ours, lithe_error *err)
{
    if (strcmp(ours, t->name)) {
        if (!t->stored) t->stored = t->name;
        if (!(t->name = arena_strdup(&f->memory, ours))) return fail(err, LITHE_ENOMEM, "%s: no memory for tensor names", f->path);
    }
    if (!r) return LITHE_OK;
    if (!r->ours) t->ignored = true;
    else if (!t->form) t->form = &r->form;
    if (r->form.rescaled && f->rescale > 0) t->exponent = layer_of(t->name) / f->rescale;
    apply_form(t, &r->form);
    return LITHE_OK;
}

/* Of tensors with one name, the one that has it in the file comes first, then that of a rule for prefixes only. */
static int compare_claims(const void *a, const void *b)
{
    const file_tensor *x = *(file_tensor *const *)a, *y = *(file_tensor *const *)b;
    int order = strcmp(x->name, y->name);
    if (!order) order = (x->stored != NULL) - (y->stored != NULL);
    if (!order) order = (x->form != NULL) - (y->form != NULL);
    return order ? order : (x > y) - (x < y);
}

/* Of tensors that were given one name, the first has it and the others go back to their own names. */
static int separate_copies(tensor_file *f, lithe_error *err)
{
    size_t n = (size_t)f->count;
    file_tensor **sorted = xalloc(n + 1, sizeof *sorted);
    if (!sorted) return fail(err, LITHE_ENOMEM, "%s: no memory for %zu tensor names", f->path, n);
    for (size_t i = 0; i < n; i++) sorted[i] = f->tensors + i;
    qsort(sorted, n, sizeof *sorted, compare_claims);
    for (size_t i = 1, first = 0; i < n; i++) {
        if (strcmp(sorted[i]->name, sorted[first]->name)) first = i;
        else if (sorted[i]->stored) {
            sorted[i]->copy_of = sorted[i]->name;
            sorted[i]->name = sorted[i]->stored;
        }
    }
    free(sorted);
    return tensor_file_sort(f, err);
}

/* Writes t, or each of the tensors of ours that it holds, to all[]; returns their number, or a status. */
static int add_renamed(tensor_file *f, const naming_rule *rules, const file_tensor *t, file_tensor *all, lithe_error *err)
{
    char text[PATTERN_BYTES], other[PATTERN_BYTES];
    const char *ours;
    const naming_rule *r = rule_for(rules, t->name, text, &ours);
    int parts = parts_of(r, t);
    /* Otherwise it has parts elsewhere and not here, and is unexpected. */
    bool whole = parts > 1 || !r || r->form.parts < 2;
    for (int k = 0; k < parts; k++) {
        all[k] = *t;
        if (k && pattern_rewrite(r->ours, r[k].ours, text, other)) ours = other;
        int status = whole ? rename_tensor(f, &all[k], r ? r + k : NULL, ours, err) : LITHE_OK;
        if (status) return status;
    }
    return parts;
}

int naming_apply(tensor_file *f, const naming_rule *rules, lithe_error *err)
{
    char text[PATTERN_BYTES];
    const char *ours;
    size_t total = 0;
    for (int i = 0; i < f->count; i++) total += (size_t)parts_of(rule_for(rules, f->tensors[i].name, text, &ours), &f->tensors[i]);
    file_tensor *all = arena_alloc(&f->memory, (total + 1) * sizeof *all), *next = all;
    if (!all || total > MAX_TENSORS) return fail(err, LITHE_ENOMEM, "%s: no memory for %zu tensor names", f->path, total);
    for (int i = 0; i < f->count; i++) {
        int parts = add_renamed(f, rules, &f->tensors[i], next, err);
        if (parts < 0) return parts;
        next += parts;
    }
    f->tensors = all;
    f->count = (int)total;
    return separate_copies(f, err);
}

int naming_apply_pairs(tensor_file *f, const name_pair *pairs, lithe_error *err)
{
    size_t n = 0;
    while (pairs && pairs[n].theirs) n++;
    naming_rule *rules = n ? arena_alloc(&f->memory, (n + 1) * sizeof *rules) : NULL;
    if (!n) return LITHE_OK;
    if (!rules) return fail(err, LITHE_ENOMEM, "%s: no memory for %zu tensor names", f->path, n);
    for (size_t i = 0; i <= n; i++) rules[i] = (naming_rule){ .theirs = pairs[i].theirs, .ours = pairs[i].ours };
    return naming_apply(f, rules, err);
}

static bool holds_after(const tensor_file *f, const name_pair *pairs, const char *ours, int prefixes)
{
    char theirs[PATTERN_BYTES];
    if (tensor_file_find(f, ours)) return true;
    for (const name_pair *p = pairs; prefixes && p && p->theirs; p++)
        if (p->ours && pattern_rewrite(p->ours, p->theirs, ours, theirs) && holds_after(f, pairs, theirs, prefixes - 1)) return true;
    return false;
}

bool naming_holds(const tensor_file *f, const name_pair *pairs, const char *ours) { return holds_after(f, pairs, ours, 2); }

int naming_apply_file(tensor_file *f, lithe_error *err)
{
    f->names = naming_of_file(f);
    return f->names ? naming_apply(f, f->names->rules, err) : LITHE_OK;
}

/* ---- shapes ------------------------------------------------------------------------- */

static int without_ones(const int64_t *dims, int rank, int64_t out[MAX_RANK])
{
    int n = 0;
    for (int d = 0; d < rank; d++)
        if (dims[d] != 1) out[n++] = dims[d];
    return n;
}

/* Whether the sizes are the same except for dimensions of size one, or one of them is flat. */
static bool loosely_equal(const file_tensor *t, const wanted_shape *p, size_t count)
{
    int64_t a[MAX_RANK], b[MAX_RANK];
    int n = without_ones(t->dims, t->rank, a), m = without_ones(p->dims, p->rank, b);
    return t->count == count && (n < 2 || m < 2 || (n == m && !memcmp(a, b, (size_t)n * sizeof *a)));
}

/* Puts heads that keep their parts together, or adjacent RoPE pairs, into our order. */
static void add_axis(element_order *o, const wanted_shape *p, int axis, const naming_form *form, int64_t step)
{
    const bool pairs = form && form->pairs, parted = form && form->parted;
    int64_t heads = p->axis[axis].heads, parts = parted ? 1 : p->axis[axis].parts, n = p->dims[axis];
    if (heads > 0 && parts > 1) {
        int64_t channels = n / (heads * parts);
        add_dimension(o, parts, channels * step);
        add_dimension(o, heads, parts * channels * step);
        add_dimension(o, channels, step);
    } else if (heads > 0 && pairs && axis == 0) {
        add_dimension(o, heads, n / heads * step);
        add_dimension(o, 2, step);
        add_dimension(o, n / heads / 2, 2 * step);
    } else add_dimension(o, n, step);
}

/* The rows of q, k or v in a matrix that keeps them by group; its sizes and those of one part give the others. */
static bool view_group(file_tensor *t, const wanted_shape *p)
{
    const int64_t heads = p->axis[0].heads, width = t->rank > 1 ? t->dims[1] : 1, rows = t->rank ? t->dims[0] : 0;
    if (heads < 1 || t->rank != p->rank || t->rank > 2 || (p->rank == 2 && p->dims[1] != width) || p->dims[0] % heads) return false;
    const int64_t D = p->dims[0] / heads, all = rows / D, part = t->form->part;
    const int64_t G = part ? heads : (all - heads) / 2, H = part ? all - 2 * heads : heads;
    if (G < 1 || H < 1 || H % G || rows != (H + 2 * G) * D) return false;
    const int64_t shared = H / G, first = part ? (shared + part - 1) * D : 0;
    size_t before;
    if (!dtype_size(t->type, (size_t)(first * width), &before)) return false;
    t->data = (const char *)t->data + before;
    t->bytes -= before;
    t->count = (size_t)(p->dims[0] * width);
    memcpy(t->dims, p->dims, sizeof t->dims);
    element_order order = { 0 };
    add_dimension(&order, G, (shared + 2) * D * width);
    add_dimension(&order, (part ? 1 : shared) * D * width, 1);
    t->order = simplest(order);
    return true;
}

bool naming_view(file_tensor *t, const wanted_shape *p)
{
    if (t->form && t->form->grouped) return view_group(t, p);

    size_t count;
    bool same = t->rank == p->rank && !memcmp(t->dims, p->dims, (size_t)p->rank * sizeof *p->dims);
    if (!shape_count(p->dims, p->rank, &count)) return false;
    if (!same) {
        t->order = simplest(t->order);
        if (!t->form || t->form->shape == SHAPE_OURS || t->order.rank || !loosely_equal(t, p, count)) return false;
    }
    t->rank = p->rank;
    memcpy(t->dims, p->dims, sizeof t->dims);
    element_order stored = order_of(t), ours = { 0 };
    for (int d = 0; d < p->rank; d++) add_axis(&ours, p, d, t->form, stored.step[d]);
    t->order = simplest(ours);
    return true;
}

void naming_shape(file_tensor *out, const naming_form *form, const wanted_shape *p, const wanted_shape *like)
{
    const wanted_shape *s = like ? like : p;
    out->rank = s->rank;
    memcpy(out->dims, s->dims, sizeof out->dims);
    shape_count(out->dims, out->rank, &out->count);
    if (form->shape == SHAPE_FLAT) out->rank = 1, out->dims[0] = (int64_t)out->count;
    if (form->shape == SHAPE_STACKED) out->rank = 4, out->dims[0] = out->dims[1] = out->dims[2] = 1, out->dims[3] = (int64_t)out->count;
    while (form->shape == SHAPE_HEADS && out->rank < 3) out->dims[out->rank++] = 1;
    if (form->transposed && out->rank > 1) swap(&out->dims[out->rank - 1], &out->dims[out->rank - 2]);
    if (form->parts > 1) {
        out->dims[0] *= form->parts;
        out->count *= (size_t)form->parts;
    }
}

bool naming_target(file_tensor *theirs, const naming_form *form, const wanted_shape *p)
{
    apply_form(theirs, form);
    theirs->form = form;
    return naming_view(theirs, p);
}
