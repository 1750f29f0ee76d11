/* Sources of labelled pictures: which files, which part, which class
 * (data/image_set.h). */
#include "data/image_set.h"
#include "base/arena.h"
#include "base/file.h"
#include "data/corpus.h"
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

enum { DIRECTORY_DEPTH = 16, ITEMS_MOST = 1 << 28, CLASSES_MOST = 1 << 16 };
#define UNPACKED_LIMIT ((size_t)4 << 30)

typedef struct { mapping map; uint8_t *memory; } holding;       /* one of the two */

struct image_set {
    arena text;                      /* names, paths */
    image_item *items;
    size_t count, capacity;
    const char **classes;            /* in order */
    int class_count;
    holding *held;
    int held_count;
    const char *last_class, *last_name;         /* of the item before: most items repeat them */
};

/* ---- names ------------------------------------------------------------------------ */

static bool ends_with(const char *name, size_t size, const char *ending)
{
    size_t n = strlen(ending);
    return size > n && !strncasecmp(name + size - n, ending, n);
}

/* The length without .gz or .zst. */
static size_t unpacked_length(const char *name)
{
    size_t n = strlen(name);
    return ends_with(name, n, ".gz") ? n - 3 : ends_with(name, n, ".zst") ? n - 4 : n;
}

bool picture_name(const char *name)
{
    size_t n = strlen(name);
    return ends_with(name, n, ".png") || ends_with(name, n, ".jpg") || ends_with(name, n, ".jpeg");
}

typedef enum { KIND_NONE, KIND_IDX, KIND_LABELS, KIND_RECORDS, KIND_TAR, KIND_PICTURE } source_kind;

static source_kind kind_of(const char *name)
{
    size_t n = unpacked_length(name);
    if (picture_name(name)) return KIND_PICTURE;
    if (strstr(name, "idx3-ubyte")) return KIND_IDX;
    if (strstr(name, "idx1-ubyte")) return KIND_LABELS;
    if (ends_with(name, n, ".bin")) return KIND_RECORDS;
    if (ends_with(name, n, ".tar") || ends_with(name, strlen(name), ".tgz")) return KIND_TAR;
    return KIND_NONE;
}

/* What the first letters of a file's or folder's name say. */
static image_part part_of(const char *name, size_t length)
{
    static const struct { const char *word; image_part part; } words[] = {
        { "train", PART_TRAIN }, { "data_batch", PART_TRAIN }, { "val", PART_VALID }, { "test", PART_TEST }, { "t10k", PART_TEST },
    };
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        size_t n = strlen(words[i].word);
        if (length >= n && !strncasecmp(name, words[i].word, n)) return words[i].part;
    }
    return PART_NONE;
}

/* A folder is a part when its whole name is one; else it may be a class ("train" the vehicle lies in such a folder itself). */
static image_part part_of_folder(const char *name, size_t length)
{
    static const char *const whole[] = { "train", "training", "val", "valid", "validation", "test", "testing" };
    for (size_t i = 0; i < sizeof whole / sizeof *whole; i++)
        if (strlen(whole[i]) == length && !strncasecmp(name, whole[i], length)) return part_of(name, length);
    return PART_NONE;
}

/* ---- items ------------------------------------------------------------------------ */

static int no_memory(const char *path, lithe_error *err) { return fail(err, LITHE_ENOMEM, "%s: out of memory for its pictures", path); }

int set_add(image_set *s, const image_item *item, const char *class_name, const char *name, lithe_error *err)
{
    if (s->count == s->capacity) {
        size_t capacity = s->capacity ? 2 * s->capacity : 256;
        image_item *more = s->count < ITEMS_MOST ? xrealloc(s->items, capacity, sizeof *more) : NULL;
        if (!more) return no_memory(name, err);
        s->items = more;
        s->capacity = capacity;
    }
    if (!s->last_class || strcmp(s->last_class, class_name)) s->last_class = arena_strdup(&s->text, class_name);
    if (!s->last_name || strcmp(s->last_name, name)) s->last_name = arena_strdup(&s->text, name);
    if (!s->last_class || !s->last_name) return no_memory(name, err);
    s->items[s->count] = *item;
    s->items[s->count].class_name = s->last_class;
    s->items[s->count++].name = s->last_name;
    return LITHE_OK;
}

int picture_add(image_set *s, const char *path, const char *name, const uint8_t *bytes, size_t size, image_part part, lithe_error *err)
{
    char folder[256] = "";
    const char *at = name, *slash;
    image_item item = { .bytes = bytes, .size = size, .part = part };
    for (; (slash = strchr(at, '/')); at = slash + 1) {
        size_t n = (size_t)(slash - at);
        image_part said = part_of_folder(at, n);
        if (!n || (n == 1 && *at == '.')) continue;
        if (said && strchr(slash + 1, '/')) item.part = said;
        if (n >= sizeof folder) return fail(err, LITHE_EFORMAT, "%s: the name of a class of %zu bytes", path, n);
        memcpy(folder, at, n);
        folder[n] = 0;
    }
    if (!*folder) return fail(err, LITHE_EFORMAT, "%s/%s: lies in no folder named after its class", path, name);
    char *full = path_join(path, name);
    item.path = full && !bytes ? arena_strdup(&s->text, full) : NULL;
    int status = full && (bytes || item.path) ? set_add(s, &item, folder, full, err) : no_memory(path, err);
    free(full);
    return status;
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

/* ---- files ------------------------------------------------------------------------- */

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
    size_t n = strlen(path);
    packing kind = ends_with(path, n, ".gz") || ends_with(path, n, ".tgz") ? GZIP : ends_with(path, n, ".zst") ? ZSTD : PLAIN;
    *bytes = h->map.data;
    *size = h->map.size;
    if (kind == PLAIN) return LITHE_OK;
    status = unpack(h, kind, path, size, err);
    file_unmap(&h->map);
    h->map = (mapping){ 0 };
    *bytes = h->memory;
    return status;
}

typedef int adder(image_set *s, const char *path, const uint8_t *bytes, size_t size, image_part part, lithe_error *err);

static int add_file(image_set *s, const char *path, image_part part, lithe_error *err)
{
    static adder *const adders[] = { [KIND_IDX] = idx_add, [KIND_RECORDS] = records_add, [KIND_TAR] = tar_add };
    const uint8_t *bytes;
    size_t size;
    source_kind kind = kind_of(path_base(path));
    if (kind == KIND_LABELS) return fail(err, LITHE_EINVAL, "%s: holds labels; name the file of pictures beside it", path);
    if (kind == KIND_NONE || kind == KIND_PICTURE)
        return fail(err, LITHE_EINVAL, "%s: is no set of labelled pictures: give IDX or CIFAR files, a folder of class folders, or a .tar of one", path);
    int status = set_bytes(s, path, &bytes, &size, err);
    return status ? status : adders[kind](s, path, bytes, size, part, err);
}

/* ---- directories ------------------------------------------------------------------- */

static int visible(const struct dirent *e) { return e->d_name[0] != '.'; }
static int by_bytes(const struct dirent **a, const struct dirent **b) { return strcmp((*a)->d_name, (*b)->d_name); }

/* Pictures below `under`, a folder of path ("" for itself). */
static int add_pictures(image_set *s, const char *path, const char *under, int depth, lithe_error *err)
{
    struct dirent **entries = NULL;
    char *here = *under ? path_join(path, under) : strdup(path);
    int n = here ? scandir(here, &entries, visible, by_bytes) : -1, status = LITHE_OK;
    if (n < 0) status = here ? fail_errno(err, here, "read directory") : no_memory(path, err);
    else if (depth == DIRECTORY_DEPTH) status = fail(err, LITHE_EINVAL, "%s: directories nested more than %d deep", here, DIRECTORY_DEPTH);
    for (int i = 0; i < n; i++) {
        struct stat at;
        char *name = *under ? path_join(under, entries[i]->d_name) : strdup(entries[i]->d_name), *full = name ? path_join(path, name) : NULL;
        if (!status && !full) status = no_memory(path, err);
        if (!status && !lstat(full, &at)) {
            if (S_ISDIR(at.st_mode)) status = add_pictures(s, path, name, depth + 1, err);
            else if (picture_name(name)) status = picture_add(s, path, name, NULL, 0, PART_NONE, err);
        }
        free(full);
        free(name);
        free(entries[i]);
    }
    free(entries);
    free(here);
    return status;
}

/* The one kind of packed sources among the entries; KIND_NONE: none.  Two kinds would be the same pictures twice. */
static int find_kind(struct dirent **entries, int n, const char *path, source_kind *found, lithe_error *err)
{
    const char *first = NULL;
    *found = KIND_NONE;
    for (int i = 0; i < n; i++) {
        source_kind kind = kind_of(entries[i]->d_name);
        if (kind == KIND_NONE || kind == KIND_LABELS || kind == KIND_PICTURE) continue;
        if (first && kind != *found)
            return fail(err, LITHE_EINVAL, "%s: holds sets of different kinds, %s and %s: name the files", path, first, entries[i]->d_name);
        first = entries[i]->d_name;
        *found = kind;
    }
    return LITHE_OK;
}

static int add_directory(image_set *s, const char *path, lithe_error *err)
{
    struct dirent **entries = NULL;
    source_kind kind;
    int n = scandir(path, &entries, visible, by_bytes);
    if (n < 0) return fail_errno(err, path, "read directory");
    int status = find_kind(entries, n, path, &kind, err);
    for (int i = 0; i < n; i++) {
        const char *name = entries[i]->d_name;
        char *full = !status && kind != KIND_NONE && kind_of(name) == kind ? path_join(path, name) : NULL;
        if (full) status = add_file(s, full, part_of(name, strlen(name)), err);
        free(full);
        free(entries[i]);
    }
    free(entries);
    return status || kind != KIND_NONE ? status : add_pictures(s, path, "", 0, err);
}

bool image_set_known(const char *path)
{
    struct dirent **entries = NULL;
    bool known = false;
    if (!path_is_dir(path)) return kind_of(path_base(path)) != KIND_NONE && kind_of(path_base(path)) != KIND_LABELS;
    int n = scandir(path, &entries, visible, by_bytes);
    for (int i = 0; i < n; i++) {
        char *full = known ? NULL : path_join(path, entries[i]->d_name);
        if (full) known = path_is_dir(full) ? image_set_known(full) : kind_of(entries[i]->d_name) != KIND_NONE;
        free(full);
        free(entries[i]);
    }
    free(entries);
    return known;
}

/* ---- classes ------------------------------------------------------------------------ */

/* Numbers by value before names by bytes. */
static int class_order(const char *a, const char *b)
{
    size_t x = strspn(a, "0123456789"), y = strspn(b, "0123456789");
    bool number_a = x && !a[x], number_b = y && !b[y];
    if (number_a != number_b) return number_a ? -1 : 1;
    if (number_a && x != y) return x < y ? -1 : 1;              /* written without leading zeros, a longer one is greater */
    return strcmp(a, b);
}

static int by_class(const void *a, const void *b) { return class_order(*(const char *const *)a, *(const char *const *)b); }

static int find_classes(image_set *s, const char *what, lithe_error *err)
{
    const char **names = xalloc(s->count + 1, sizeof *names);
    size_t n = 0, kept = 0;
    if (!names) return no_memory(what, err);
    for (size_t i = 0; i < s->count; i++)                       /* items of a class often follow each other */
        if (!n || strcmp(names[n - 1], s->items[i].class_name)) names[n++] = s->items[i].class_name;
    qsort(names, n, sizeof *names, by_class);
    for (size_t i = 0; i < n; i++)
        if (!kept || strcmp(names[kept - 1], names[i])) names[kept++] = names[i];
    free(s->classes);
    s->classes = names;
    s->class_count = (int)kept;
    if (kept > CLASSES_MOST) return fail(err, LITHE_EFORMAT, "%s: %zu classes, at most %d", what, kept, CLASSES_MOST);
    for (size_t i = 0; i < s->count; i++) {
        const char **at = bsearch(&s->items[i].class_name, names, kept, sizeof *names, by_class);
        s->items[i].label = (int)(at - names);
    }
    return LITHE_OK;
}

int image_set_relabel(image_set *s, char *const *names, int n, lithe_error *err)
{
    int *label = xalloc((size_t)s->class_count + 1, sizeof *label);
    if (!label) return no_memory("a set", err);
    int status = LITHE_OK;
    for (int c = 0; c < s->class_count && !status; c++) {
        label[c] = -1;
        for (int k = 0; k < n; k++) if (!strcmp(names[k], s->classes[c])) label[c] = k;
        if (label[c] < 0) {
            size_t i = 0;
            while (s->items[i].label != c) i++;
            status = fail(err, LITHE_EFORMAT, "%s: is of class \"%.60s\", which is none of the %d there are (\"%.60s\" ...)", s->items[i].name,
                          s->classes[c], n, n ? names[0] : "");
        }
    }
    const char **classes = status ? NULL : xalloc((size_t)n + 1, sizeof *classes);
    if (!status && !classes) status = no_memory("a set", err);
    if (!status) {
        for (size_t i = 0; i < s->count; i++) s->items[i].label = label[s->items[i].label];
        for (int k = 0; k < n; k++) if (!(classes[k] = arena_strdup(&s->text, names[k]))) status = no_memory("a set", err);
        free(s->classes);
        s->classes = classes;
        s->class_count = n;
    }
    free(label);
    return status;
}

/* ---- sets ---------------------------------------------------------------------------- */

image_set *image_set_open(const char *const *paths, int n, lithe_error *err)
{
    if (failed(err)) return NULL;
    image_set *s = xalloc(1, sizeof *s);
    int status = s ? LITHE_OK : no_memory(n ? paths[0] : "", err);
    for (int i = 0; i < n && !status; i++) {
        size_t before = s->count;
        if (!path_exists(paths[i])) status = fail_errno(err, paths[i], "open");
        else status = path_is_dir(paths[i]) ? add_directory(s, paths[i], err) : add_file(s, paths[i], PART_NONE, err);
        if (!status && s->count == before)
            status = fail(err, LITHE_EINVAL, "%s: holds no pictures (IDX or CIFAR files, or .png and .jpg in folders named after their classes)", paths[i]);
    }
    if (!status) status = find_classes(s, paths[0], err);
    if (!status) return s;
    image_set_close(s);
    return NULL;
}

bool image_set_keep(image_set *s, image_part part)
{
    size_t kept = 0;
    for (size_t i = 0; i < s->count; i++) kept += s->items[i].part == part;
    if (!kept) return false;
    kept = 0;
    for (size_t i = 0; i < s->count; i++)
        if (s->items[i].part == part) s->items[kept++] = s->items[i];
    s->count = kept;
    return true;
}

void image_set_close(image_set *s)
{
    if (!s) return;
    for (int i = 0; i < s->held_count; i++) {
        if (s->held[i].map.data) file_unmap(&s->held[i].map);
        free(s->held[i].memory);
    }
    free(s->held);
    free(s->items);
    free(s->classes);
    arena_free(&s->text);
    free(s);
}

size_t            image_set_count(const image_set *s)            { return s->count; }
const image_item *image_set_item(const image_set *s, size_t i)   { return &s->items[i]; }
int               image_set_classes(const image_set *s)          { return s->class_count; }
const char       *image_set_class(const image_set *s, int label) { return s->classes[label]; }
