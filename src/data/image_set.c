/* Sets of labelled images: finds images and their classes (data/image_set.h). */
#include "data/image_set.h"
#include "base/arena.h"
#include "base/file.h"
#include "data/corpus.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define UNPACKED_LIMIT ((size_t)4 << 30)

typedef struct { mapping map; uint8_t *memory; } holding;       /* one of the two */
/* Images of the set before it; [class_count] -1: none has it. */
typedef struct { image_run run; size_t before; int *label; } entry;

struct lithe_image_set {
    bool unlabelled;
    arena memory;                    /* names, paths, arrays */
    entry *entries; size_t count, capacity;
    const char **classes; int class_count;      /* in order */
    holding *held; int held_count;
    struct { size_t count; const char *first; } left[LEFT_SORTS];
};

static int no_memory(const char *path, lithe_error *err) { return fail(err, LITHE_ENOMEM, "%s: out of memory for its images", path); }

/* ---- adding ------------------------------------------------------------------------- */

const char *set_text(image_set *s, const char *text, lithe_error *err)
{
    char *copy = arena_strdup(&s->memory, text);
    if (!copy) no_memory(text, err);
    return copy;
}

void *set_array(image_set *s, size_t count, size_t size, lithe_error *err)
{
    size_t bytes;
    void *array = size_mul(count, size, &bytes) ? arena_alloc(&s->memory, bytes) : NULL;
    if (!array) no_memory("a set", err);
    return array;
}

size_t image_set_count(const image_set *s) { return s->count ? s->entries[s->count - 1].before + s->entries[s->count - 1].run.count : 0; }

int set_add(image_set *s, const image_run *r, lithe_error *err)
{
    if (!r->count) return LITHE_OK;
    if (s->count == s->capacity) {
        size_t capacity = s->capacity ? 2 * s->capacity : 64;
        entry *more = xrealloc(s->entries, capacity, sizeof *more);
        if (!more) return no_memory(r->name, err);
        s->entries = more;
        s->capacity = capacity;
    }
    int *label = set_array(s, (size_t)r->class_count, sizeof *label, err);
    if (!label) return LITHE_ENOMEM;
    s->entries[s->count] = (entry){ *r, image_set_count(s), label };
    s->count++;
    return LITHE_OK;
}

bool   set_needs_classes(const image_set *s) { return !s->unlabelled; }
size_t set_runs(const image_set *s)          { return s->count; }

/* By bytes, but a folder's files stand together: the end of a folder's name comes before all other bytes. */
static int by_name(const void *x, const void *y)
{
    const unsigned char *a = (const unsigned char *)((const entry *)x)->run.name, *b = (const unsigned char *)((const entry *)y)->run.name;
    while (*a && *a == *b) a++, b++;
    const int p = *a == '/' ? 1 : *a + 1, q = *b == '/' ? 1 : *b + 1;
    return !*a || !*b ? (*a != 0) - (*b != 0) : p - q;
}

void set_sort(image_set *s, size_t from)
{
    if (from >= s->count) return;
    const size_t before = s->entries[from].before;
    qsort(s->entries + from, s->count - from, sizeof *s->entries, by_name);
    s->entries[from].before = before;
    for (size_t e = from + 1; e < s->count; e++) s->entries[e].before = s->entries[e - 1].before + s->entries[e - 1].run.count;
}

/* ---- what is left out ------------------------------------------------------------------- */

int set_leave(image_set *s, left_sort sort, const char *path, const char *name, lithe_error *err)
{
    char *first = s->left[sort].count++ ? NULL : path_join(path, name);
    if (s->left[sort].count > 1) return LITHE_OK;
    s->left[sort].first = first ? set_text(s, first, err) : NULL;
    free(first);
    return s->left[sort].first ? LITHE_OK : no_memory(path, err);
}

const char *image_set_left_out(image_set *s, lithe_error *err)
{
    static const char *const what[LEFT_SORTS] = { "of a format that is not read", "hidden", "links" };
    char text[1024];
    int n = 0;
    for (int i = 0; i < LEFT_SORTS; i++)
        if (s->left[i].count && n < (int)sizeof text)
            n += snprintf(text + n, sizeof text - (size_t)n, "%s%zu %s (%.200s%s)", n ? ", " : "", s->left[i].count, what[i], s->left[i].first,
                          s->left[i].count > 1 ? ", ..." : "");
    return n ? set_text(s, text, err) : NULL;
}

/* ---- images --------------------------------------------------------------------------- */

/* Labels were checked when they were found, but lie in a file that others may have overwritten since. */
static int class_in_run(const image_run *r, size_t k)
{
    int c = r->labels ? r->labels[k * r->label_stride] : 0;
    return c < r->class_count ? c : 0;
}

static const entry *find_entry(const image_set *s, size_t i)
{
    size_t low = 0, high = s->count;
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (s->entries[middle].before <= i) low = middle; else high = middle;
    }
    return &s->entries[low];
}

image_item image_set_item(const image_set *s, size_t i)
{
    const entry *e = find_entry(s, i);
    const image_run *r = &e->run;
    size_t k = i - e->before;
    int c = class_in_run(r, k);
    return (image_item){ .name = r->name, .class_name = r->class_names[c], .label = e->label[c], .part = r->part, .path = r->path,
                         .bytes = r->bytes ? r->bytes + k * r->stride : NULL, .size = r->size,
                         .width = r->width, .height = r->height, .channels = r->channels, .planes = r->planes };
}

static int read_samples(const image_item *t, image *out, lithe_error *err)
{
    int status = image_new(out, t->width, t->height, t->channels, t->name, err);
    if (status) return status;
    size_t area = (size_t)t->width * (size_t)t->height, channels = (size_t)t->channels;
    if (!t->planes) memcpy(out->pixels, t->bytes, area * channels);
    for (size_t c = 0; t->planes && c < channels; c++)
        for (size_t k = 0; k < area; k++) out->pixels[k * channels + c] = t->bytes[c * area + k];
    return LITHE_OK;
}

int image_item_read(const image_item *t, image *out, lithe_error *err)
{
    *out = (image){ 0 };
    if (failed(err)) return err->status;
    if (t->width) return read_samples(t, out, err);
    return t->path ? image_read(out, t->path, err) : image_decode(out, t->bytes, t->size, t->name, err);
}

bool image_set_keep(image_set *s, image_part part)
{
    size_t kept = 0;
    for (size_t e = 0; e < s->count; e++) kept += s->entries[e].run.part == part;
    if (!kept) return false;
    size_t all = s->count;
    s->count = 0;
    for (size_t e = 0; e < all; e++) {
        if (s->entries[e].run.part != part) continue;
        entry x = s->entries[e];
        x.before = image_set_count(s);
        s->entries[s->count++] = x;
    }
    return true;
}

/* ---- files ------------------------------------------------------------------------------ */

static int unpack(holding *h, packing kind, const char *path, size_t *size, lithe_error *err)
{
    size_t room = 0, used = 0, got = 1;
    unpacker *u = unpack_open(&h->map, kind, path, err);
    int status = u ? LITHE_OK : LITHE_EFORMAT;
    while (!status && got) {
        if (room - used < 1 << 16) {
            room = room ? 2 * room : (size_t)1 << 20;
            uint8_t *more = room <= UNPACKED_LIMIT ? xrealloc(h->memory, room, 1) : NULL;
            if (!more) { status = fail(err, LITHE_ENOMEM, "%s: more than %zu bytes when unpacked: unpack it into a directory", path, used); break; }
            h->memory = more;
        }
        status = unpack_read(u, (char *)h->memory + used, room - used, &got, err);
        used += got;
    }
    unpack_close(u);
    *size = used;
    return status;
}

static packing packing_of(const char *path)
{
    const char *dot = strrchr(path, '.');
    return !dot ? PLAIN : !strcasecmp(dot, ".gz") || !strcasecmp(dot, ".tgz") ? GZIP : !strcasecmp(dot, ".zst") ? ZSTD : PLAIN;
}

int set_bytes(image_set *s, const char *path, const uint8_t **bytes, size_t *size, lithe_error *err)
{
    holding *more = xrealloc(s->held, (size_t)s->held_count + 1, sizeof *more);
    if (!more) return no_memory(path, err);
    s->held = more;
    holding *h = &s->held[s->held_count];
    *h = (holding){ 0 };
    int status = file_map(&h->map, path, err);
    if (status) return status;
    s->held_count++;
    if ((status = refuse_sparse(path, h->map.size, err))) return status;
    *bytes = h->map.data;
    *size = h->map.size;
    if (packing_of(path) == PLAIN) return LITHE_OK;
    status = unpack(h, packing_of(path), path, size, err);
    file_unmap(&h->map);
    h->map = (mapping){ 0 };
    *bytes = h->memory;
    return status;
}

/* ---- classes ------------------------------------------------------------------------ */

/* Orders numbers by value, and after them names by bytes. */
static int class_order(const char *a, const char *b)
{
    size_t x = strspn(a, "0123456789"), y = strspn(b, "0123456789");
    bool number_a = x && !a[x], number_b = y && !b[y];
    if (number_a != number_b) return number_a ? -1 : 1;
    if (number_a && x != y) return x < y ? -1 : 1;          /* written without leading zeros, a longer one is greater */
    return strcmp(a, b);
}

static int by_class(const void *a, const void *b) { return class_order(*(const char *const *)a, *(const char *const *)b); }

/* Marks the classes of a run that its images have: label 0, else -1. */
static void mark_classes(const entry *e)
{
    for (int c = 0; c < e->run.class_count; c++) e->label[c] = -1;
    for (size_t k = 0; k < (e->run.labels ? e->run.count : 1); k++) e->label[class_in_run(&e->run, k)] = 0;
}

/* Collects the different names of the classes that images have, in order; returns their number. */
static size_t collect_classes(const image_set *s, const char **names)
{
    size_t n = 0, kept = 0;
    for (size_t e = 0; e < s->count; e++)
        for (int c = 0; c < s->entries[e].run.class_count; c++) {
            const char *name = s->entries[e].run.class_names[c];
            /* Files of a class often follow each other. */
            if (!s->entries[e].label[c] && (!n || strcmp(names[n - 1], name))) names[n++] = name;
        }
    qsort(names, n, sizeof *names, by_class);
    for (size_t i = 0; i < n; i++)
        if (!kept || strcmp(names[kept - 1], names[i])) names[kept++] = names[i];
    return kept;
}

static int find_classes(image_set *s, const char *what, lithe_error *err)
{
    size_t most = 0;
    for (size_t e = 0; e < s->count; e++) {
        mark_classes(&s->entries[e]);
        most += (size_t)s->entries[e].run.class_count;
    }
    if (!(s->classes = set_array(s, most + 1, sizeof *s->classes, err))) return LITHE_ENOMEM;
    size_t count = collect_classes(s, s->classes);
    if (count > CLASSES_MOST) return fail(err, LITHE_EFORMAT, "%s: %zu classes, at most %d", what, count, CLASSES_MOST);
    s->class_count = (int)count;
    for (size_t e = 0; e < s->count; e++)
        for (int c = 0; c < s->entries[e].run.class_count; c++) {
            const char *const *name = &s->entries[e].run.class_names[c];
            if (!s->entries[e].label[c]) s->entries[e].label[c] = (int)((const char **)bsearch(name, s->classes, count, sizeof *name, by_class) - s->classes);
        }
    return LITHE_OK;
}

/* Maps each class of the set to its place among the names; a class that is not among them is refused by the name of its
 * first file. */
static int map_class(const image_set *s, int c, const label_names *names, int *to, lithe_error *err)
{
    for (int k = 0; k < names->count; k++)
        if (!strcmp(names->text[k], s->classes[c])) { *to = k; return LITHE_OK; }
    for (size_t e = 0; e < s->count; e++)
        for (int k = 0; k < s->entries[e].run.class_count; k++)
            if (s->entries[e].label[k] == c)
                return fail(err, LITHE_EFORMAT, "%s: is of class \"%.60s\", which is none of the %d there are (\"%.60s\" ...)", s->entries[e].run.name,
                            s->classes[c], names->count, names->count ? names->text[0] : "");
    *to = -1;                                                   /* of images that were not kept */
    return LITHE_OK;
}

int image_set_relabel(image_set *s, const label_names *names, lithe_error *err)
{
    int *to = xalloc((size_t)s->class_count + 1, sizeof *to), status = to ? LITHE_OK : no_memory("a set", err);
    const char **classes = set_array(s, (size_t)names->count + 1, sizeof *classes, err);
    for (int c = 0; c < s->class_count && !status; c++) status = map_class(s, c, names, &to[c], err);
    if (!classes) status = LITHE_ENOMEM;
    for (int k = 0; k < names->count && !status; k++) status = (classes[k] = set_text(s, names->text[k], err)) ? LITHE_OK : LITHE_ENOMEM;
    for (size_t e = 0; e < s->count && !status; e++)
        for (int k = 0; k < s->entries[e].run.class_count; k++)
            if (s->entries[e].label[k] >= 0) s->entries[e].label[k] = to[s->entries[e].label[k]];
    free(to);
    if (status) return status;
    s->classes = classes;
    s->class_count = names->count;
    return LITHE_OK;
}

int image_set_names(const image_set *s, label_names *names, lithe_error *err) { return names_copy(names, s->classes, s->class_count, err); }

/* ---- sets ---------------------------------------------------------------------------- */

static image_set *open_set(const char *const *paths, int n, bool unlabelled, lithe_error *err)
{
    if (failed(err)) return NULL;
    image_set *s = xalloc(1, sizeof *s);
    int status = s ? LITHE_OK : no_memory(n ? paths[0] : "", err);
    if (s) s->unlabelled = unlabelled;
    for (int i = 0; i < n && !status; i++) {
        size_t before = image_set_count(s);
        status = path_exists(paths[i]) ? sources_add(s, paths[i], err) : fail_errno(err, paths[i], "open");
        if (!status && image_set_count(s) == before)
            status = unlabelled ? fail(err, LITHE_EFORMAT, "%s: no .png, .jpg or .jpeg files are in it", paths[i])
                                : fail(err, LITHE_EINVAL, "%s: holds no images (IDX or CIFAR files, or .png and .jpg in folders named after their classes)", paths[i]);
    }
    if (!status && !unlabelled) status = find_classes(s, paths[0], err);
    if (!status) return s;
    image_set_close(s);
    return NULL;
}

image_set *image_set_open(const char *const *paths, int n, lithe_error *err)       { return open_set(paths, n, false, err); }
image_set *image_set_unlabelled(const char *const *paths, int n, lithe_error *err) { return open_set(paths, n, true, err); }

int image_set_intact(const image_set *s, lithe_error *err)
{
    int status = LITHE_OK;
    for (int i = 0; i < s->held_count && !status; i++) status = mapping_intact(&s->held[i].map, err);
    return status;
}

void image_set_close(image_set *s)
{
    if (!s) return;
    for (int i = 0; i < s->held_count; i++) {
        if (s->held[i].map.data) file_unmap(&s->held[i].map);
        free(s->held[i].memory);
    }
    free(s->held);
    free(s->entries);
    arena_free(&s->memory);
    free(s);
}

int         image_set_classes(const image_set *s)          { return s->class_count; }
const char *image_set_class(const image_set *s, int label) { return s->classes[label]; }
