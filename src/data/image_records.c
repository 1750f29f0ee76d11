/* Images as records of bytes.
 *
 * IDX (LeCun): two zero bytes, 8 (unsigned bytes), the number of dimensions,
 * each as 4 bytes big-endian, then the samples; images (N, H, W) with labels
 * (N) in a file of the same name but for "images" and "idx3".
 *
 * CIFAR (Krizhevsky 2009): records of one label byte (CIFAR-100: two, coarse and
 * fine) and 3072 bytes, planes of 32 x 32 red, green, blue. */
#include "data/image_set.h"
#include "base/arena.h"
#include "base/file.h"
#include <stdlib.h>
#include <string.h>

/* ---- IDX --------------------------------------------------------------------------- */

enum { IDX_DIMS = 3 };
typedef struct { int rank; uint32_t dims[IDX_DIMS]; const uint8_t *data; } idx;

static uint32_t big_endian(const uint8_t *p) { return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3]; }

static int idx_read(idx *x, int rank, const char *path, const uint8_t *bytes, size_t size, lithe_error *err)
{
    size_t header = 4 + 4 * (size_t)rank, count = 1;
    if (size < header || bytes[0] || bytes[1] || bytes[2] != 8 || bytes[3] != rank)
        return fail(err, LITHE_EFORMAT, "%s: does not begin like an IDX file of unsigned bytes in %d dimensions", path, rank);
    *x = (idx){ .rank = rank, .data = bytes + header };
    for (int i = 0; i < rank; i++) {
        x->dims[i] = big_endian(bytes + 4 + 4 * i);
        if (!size_mul(count, x->dims[i], &count)) count = SIZE_MAX;
    }
    if (count != size - header) return fail(err, LITHE_EFORMAT, "%s: says it holds %zu samples, %zu bytes follow", path, count, size - header);
    return LITHE_OK;
}

/* "train-labels-idx1-ubyte.gz" for "train-images-idx3-ubyte.gz"; the packing may differ.  malloc'd. */
static char *labels_path(const char *path)
{
    static const char *const endings[] = { "", ".gz", ".zst" };
    char name[512];
    const char *base = path_base(path), *images = strstr(base, "images"), *rank = strstr(base, "idx3");
    char *parent = path_parent(path), *found = NULL;
    for (int i = 0; parent && images && rank && images < rank && i < 3 && !found; i++) {
        snprintf(name, sizeof name, "%.*slabels%.*sidx1-ubyte%s", (int)(images - base), base, (int)(rank - images - 6), images + 6, endings[i]);
        found = path_join(parent, name);
        if (found && path_exists(found)) break;
        free(found);
        found = NULL;
    }
    free(parent);
    return found;
}

/* Makes "0" ... "255", the names of classes that are given by a byte. */
static const char *const *number_names(image_set *s, lithe_error *err)
{
    char text[12];
    const char **names = set_array(s, 256, sizeof *names, err);
    for (int i = 0; names && i < 256; i++) {
        snprintf(text, sizeof text, "%d", i);
        if (!(names[i] = set_text(s, text, err))) return NULL;
    }
    return names;
}

int idx_add(image_set *s, const char *path, const uint8_t *bytes, size_t size, image_part part, lithe_error *err)
{
    idx x, labels;
    int status = idx_read(&x, 3, path, bytes, size, err);
    if (!status && (x.dims[1] < 1 || x.dims[2] < 1 || x.dims[1] > IMAGE_SIDE || x.dims[2] > IMAGE_SIDE))
        status = fail(err, LITHE_EFORMAT, "%s: images of %u x %u pixels", path, x.dims[2], x.dims[1]);
    if (status) return status;
    char *beside = labels_path(path);
    if (!beside) return fail(err, LITHE_EFORMAT, "%s: no file of labels beside it (...labels...idx1-ubyte)", path);
    status = set_bytes(s, beside, &bytes, &size, err);
    if (!status) status = idx_read(&labels, 1, beside, bytes, size, err);
    if (!status && labels.dims[0] != x.dims[0])
        status = fail(err, LITHE_EFORMAT, "%s: holds %u labels for the %u images of %s", beside, labels.dims[0], x.dims[0], path_base(path));
    free(beside);
    const char *const *names = status ? NULL : number_names(s, err);
    const char *name = names ? set_text(s, path, err) : NULL;
    if (status || !name) return status ? status : LITHE_ENOMEM;
    size_t area = (size_t)x.dims[1] * x.dims[2];
    return set_add(s, &(image_run){ .name = name, .part = part, .count = x.dims[0], .bytes = x.data, .size = area, .stride = area,
                                    .width = (int)x.dims[2], .height = (int)x.dims[1], .channels = 1,
                                    .labels = labels.data, .label_stride = 1, .class_names = names, .class_count = 256 }, err);
}

/* ---- CIFAR -------------------------------------------------------------------------- */

enum { CIFAR_SIDE = 32, CIFAR_SAMPLES = 3 * CIFAR_SIDE * CIFAR_SIDE, FINE = 100 };

static const char *const cifar10[] = { "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck" };

static bool labels_below(const uint8_t *bytes, size_t size, size_t record, size_t at, int most)
{
    for (size_t i = 0; i < size; i += record) if (bytes[i + at] >= most) return false;
    return true;
}

/* CIFAR-10's records have 1 label below 10, CIFAR-100's a coarse one below 20 and a fine one below 100; 0: neither. */
static size_t label_bytes(const uint8_t *bytes, size_t size)
{
    if (size && size % (1 + CIFAR_SAMPLES) == 0 && labels_below(bytes, size, 1 + CIFAR_SAMPLES, 0, 10)) return 1;
    if (size && size % (2 + CIFAR_SAMPLES) == 0 && labels_below(bytes, size, 2 + CIFAR_SAMPLES, 0, 20) && labels_below(bytes, size, 2 + CIFAR_SAMPLES, 1, 100)) return 2;
    return 0;
}

/* The lines of fine_label_names.txt beside the file; NULL when there is none. */
static const char *const *fine_names(image_set *s, const char *path, lithe_error *err)
{
    size_t size;
    int n = 0;
    char *parent = path_parent(path), *beside = parent ? path_join(parent, "fine_label_names.txt") : NULL;
    char *text = beside && path_exists(beside) ? file_read(beside, 1 << 16, &size, NULL) : NULL, *rest = text;
    const char **names = text ? set_array(s, FINE, sizeof *names, err) : NULL;
    for (char *line; names && n < FINE && rest && (line = strsep(&rest, "\n")); ) {
        line[strcspn(line, "\r")] = 0;
        if (*line && (names[n] = set_text(s, line, err))) n++;
    }
    free(parent);
    free(beside);
    free(text);
    return n == FINE ? names : NULL;
}

int records_add(image_set *s, const char *path, const uint8_t *bytes, size_t size, image_part part, lithe_error *err)
{
    size_t labels = label_bytes(bytes, size), record = labels + CIFAR_SAMPLES;
    if (!labels) return fail(err, LITHE_EFORMAT, "%s: %zu bytes are no records of CIFAR-10 (3073 bytes, labels below 10) or CIFAR-100 (3074 bytes)", path, size);
    const char *const *fine = labels == 2 ? fine_names(s, path, err) : NULL, *const *names = labels == 1 ? cifar10 : fine ? fine : number_names(s, err);
    const char *name = names ? set_text(s, path, err) : NULL;
    if (!name || failed(err)) return LITHE_ENOMEM;
    return set_add(s, &(image_run){ .name = name, .part = part, .count = size / record, .bytes = bytes + labels, .size = CIFAR_SAMPLES, .stride = record,
                                    .width = CIFAR_SIDE, .height = CIFAR_SIDE, .channels = 3, .planes = true,
                                    .labels = bytes + labels - 1, .label_stride = record, .class_names = names, .class_count = labels == 1 ? 10 : FINE }, err);
}
