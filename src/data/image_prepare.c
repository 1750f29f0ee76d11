/* Turns sets of images (data/image_set.h) into the files of a dataset (data/image_data.h).
 *
 * The training split is the source's train part where it has one, else all of it; a test part is never used.  The
 * validation split is what the options name, else a valid part, else a share drawn by the seed.  Invariant: what is
 * written depends on sources and options only. */
#include "base/json.h"
#include "base/random.h"
#include "data/image_data.h"
#include "data/image_set.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { LOOKED_AT = 16, LARGEST_SIDE = 224 };
static const double VALID_SHARE = 0.05;

static const char *const filters[RESIZE_FILTERS] = { "nearest", "lanczos", "bilinear", "bicubic", "box", "hamming" };

typedef struct { double sum[3], squares[3], n; } statistics;

/* One split in the making: the items of a set that are in it. */
typedef struct { const image_set *set; size_t *item, count; } selection;

/* ---- which images ---------------------------------------------------------------- */

static bool has_part(const image_set *s, image_part part)
{
    for (size_t i = 0; i < image_set_count(s); i++) if (image_set_item(s, i).part == part) return true;
    return false;
}

static int select_part(selection *x, const image_set *s, bool all, image_part part, lithe_error *err)
{
    *x = (selection){ .set = s, .item = xalloc(image_set_count(s) + 1, sizeof *x->item) };
    if (!x->item) return fail(err, LITHE_ENOMEM, "out of memory for %zu images", image_set_count(s));
    for (size_t i = 0; i < image_set_count(s); i++)
        if (all || image_set_item(s, i).part == part) x->item[x->count++] = i;
    return LITHE_OK;
}

/* Moves a share of x, drawn by the seed, to held. */
static int hold_out(selection *x, selection *held, double share, uint64_t seed, lithe_error *err)
{
    size_t wanted = (size_t)((double)x->count * share), kept = 0;
    if (x->count < 2) return fail(err, LITHE_EINVAL, "%s: one image, at least 2 are needed: one to learn from, one held out", image_set_item(x->set, 0).name);
    uint8_t *out = xalloc(x->count, 1);
    *held = (selection){ .set = x->set, .item = xalloc(x->count, sizeof *held->item) };
    if (!out || !held->item) { free(out); return fail(err, LITHE_ENOMEM, "out of memory for %zu images", x->count); }
    for (size_t i = 0; i < (wanted ? wanted : 1); i++) out[permuted(i, x->count, key_of_name(seed, "held-out pictures"))] = 1;
    for (size_t i = 0; i < x->count; i++) {
        if (out[i]) held->item[held->count++] = x->item[i];
        else x->item[kept++] = x->item[i];
    }
    x->count = kept;
    free(out);
    return LITHE_OK;
}

static int choose_splits(const image_set *s, image_set *other, const lithe_data_options *o, selection *train, selection *valid, lithe_error *err)
{
    bool divided = has_part(s, PART_TRAIN);
    double share = o->valid_share > 0 ? o->valid_share : VALID_SHARE;
    int status = select_part(train, s, !divided, PART_TRAIN, err);
    if (status) return status;
    if (other) {
        if (!image_set_keep(other, PART_VALID)) image_set_keep(other, PART_TEST);
        return select_part(valid, other, true, PART_NONE, err);
    }
    if (divided && has_part(s, PART_VALID)) return select_part(valid, s, false, PART_VALID, err);
    if (!(share <= 0.5)) return fail(err, LITHE_EINVAL, "validation share %g, expected more than 0 and at most 0.5", share);
    return hold_out(train, valid, share, o->seed, err);
}

/* ---- sizes --------------------------------------------------------------------------- */

/* Chooses what the options leave open from the first images: the larger side (224 at most), colour if one has it. */
static int choose_shape(image_fitting *x, const selection *train, const lithe_data_options *o, lithe_error *err)
{
    int side = 1, channels = 1, status = LITHE_OK, filter = RESIZE_BILINEAR;
    bool known = o->image_side > 0 && o->image_channels > 0;
    for (size_t i = 0; i < train->count && i < LOOKED_AT && !known && !status; i++) {
        const image_item item = image_set_item(train->set, train->item[i]);
        image p;
        if ((status = image_item_read(&item, &p, err))) break;
        int larger = p.width > p.height ? p.width : p.height;
        if (larger > side) side = larger;
        if (p.channels > channels) channels = p.channels;
        image_free(&p);
    }
    for (int f = 0; o->image_filter && f < RESIZE_FILTERS; f++) if (!strcmp(filters[f], o->image_filter)) filter = f;
    *x = (image_fitting){ o->image_side > 0 ? o->image_side : side < LARGEST_SIDE ? side : LARGEST_SIDE, o->image_channels > 0 ? o->image_channels : channels,
                          (resize_filter)filter, o->image_resize, o->image_shortest != 0 };
    return status;
}

/* ---- writing -------------------------------------------------------------------------- */

static void count_samples(statistics *s, const image *p)
{
    for (size_t i = 0; i < image_bytes(p); i++) {
        double v = p->pixels[i];
        s->sum[i % (size_t)p->channels] += v;                   /* whole numbers below 2^53: exact in any order */
        s->squares[i % (size_t)p->channels] += v * v;
    }
    s->n += (double)p->width * p->height;
}

static int write_split(const char *dir, data_split split, const selection *x, const image_fitting *z, int classes, statistics *stats, lithe_error *err)
{
    image_shard_writer w;
    char *path = path_join(dir, image_kind.file[split]);
    uint32_t *labels = xalloc(x->count + 1, sizeof *labels);
    int status = path && labels ? LITHE_OK : fail(err, LITHE_ENOMEM, "%s: out of memory", dir);
    for (size_t i = 0; i < x->count && !status; i++) labels[i] = (uint32_t)image_set_item(x->set, x->item[i]).label;
    if (!status) status = image_shard_create(&w, path, x->count, z->side, z->channels, classes, labels, err);
    if (!status) {
        for (size_t i = 0; i < x->count && !status; i++) {
            const image_item item = image_set_item(x->set, x->item[i]);
            image p;
            status = image_item_read(&item, &p, err);
            if (!status) status = image_fit(&p, z, item.name, err);
            if (!status && stats) count_samples(stats, &p);
            if (!status) status = image_shard_put(&w, p.pixels, err);
            image_free(&p);
        }
        if (!status) status = image_shard_commit(&w, err);
        else image_shard_abandon(&w);
    }
    free(labels);
    free(path);
    return status;
}

/* Computes the mean and deviation of each channel; a deviation of 0 becomes 1, since it is divided by. */
static void finish_statistics(const statistics *s, double mean[3], double deviation[3])
{
    for (int c = 0; c < 3; c++) {
        double m = s->n > 0 ? s->sum[c] / s->n : 0, v = s->n > 0 ? s->squares[c] / s->n - m * m : 0;
        mean[c] = m / 255;
        deviation[c] = v > 0 ? sqrt(v) / 255 : 1;
    }
}

static json_t *numbers(const double *x, int n)
{
    json_t *list = json_array();
    for (int i = 0; i < n; i++) json_array_append_new(list, json_real(x[i]));
    return list;
}

static int describe(const char *dir, const char *left_out, const label_names *names, const image_fitting *z, const statistics *stats, lithe_error *err)
{
    double mean[3], deviation[3];
    char *path = path_join(dir, DATA_JSON);
    json_t *list = names_json(names);
    finish_statistics(stats, mean, deviation);
    json_t *value = json_pack("{s:i s:s s:s* s:o? s:o? s:o?}", "version", 1, "task", "images", "left_out", left_out, "labels", list, "mean", numbers(mean, z->channels),
                              "deviation", numbers(deviation, z->channels));
    int status = value && path && list ? json_write(value, path, err) : fail(err, LITHE_EFORMAT, "%s: out of memory, or a class whose name is not UTF-8", dir);
    json_decref(value);
    free(path);
    return status;
}

static int check_options(const lithe_data_options *o, lithe_error *err)
{
    bool known = !o->image_filter;
    for (int f = 0; f < RESIZE_FILTERS; f++) known |= o->image_filter && !strcmp(filters[f], o->image_filter);
    if (!known) return fail(err, LITHE_EINVAL, "no filter is called %s: nearest, lanczos, bilinear, bicubic, box, hamming", o->image_filter);
    if (o->image_side < 0 || o->image_side > 4096) return fail(err, LITHE_EINVAL, "images of %d pixels a side, at most 4096", o->image_side);
    if (o->image_resize < 0 || o->image_resize > 4096) return fail(err, LITHE_EINVAL, "images resized to %d pixels a side, at most 4096", o->image_resize);
    if (o->image_channels < 0 || o->image_channels > 3 || o->image_channels == 2) return fail(err, LITHE_EINVAL, "%d channels, expected 1 or 3", o->image_channels);
    return LITHE_OK;
}

/* Chooses the classes of s: its own, or those that are asked for; `other`, if there is one, may have no further
 * ones. */
static int choose_classes(label_names *names, image_set *s, image_set *other, const lithe_data_options *o, lithe_error *err)
{
    int status = o->label_count ? names_copy(names, o->labels, o->label_count, err) : image_set_names(s, names, err);
    if (!status && o->label_count) status = image_set_relabel(s, names, err);
    if (!status && names->count < 2) status = fail(err, LITHE_EINVAL, "the images are of one class, \"%s\"; a classifier needs at least 2", names->text[0]);
    return status || !other ? status : image_set_relabel(other, names, err);
}

static int write_files(const char *dir, image_set *s, image_set *other, const label_names *names, const lithe_data_options *o, lithe_error *err)
{
    selection train = { 0 }, valid = { 0 };
    statistics stats = { 0 };
    image_fitting z;
    int status = choose_splits(s, other, o, &train, &valid, err);
    if (!status) status = choose_shape(&z, &train, o, err);
    if (!status) status = dir_make(dir, err);
    if (!status) status = write_split(dir, TRAIN, &train, &z, names->count, &stats, err);
    if (!status) status = write_split(dir, VALID, &valid, &z, names->count, NULL, err);
    if (!status) status = image_set_intact(s, err);
    if (!status && other) status = image_set_intact(other, err);
    const char *left_out = status ? NULL : image_set_left_out(s, err);
    if (!status) status = failed(err) ? (int)err->status : describe(dir, left_out, names, &z, &stats, err);
    free(train.item);
    free(valid.item);
    return status;
}

int images_prepare(const char *const *paths, int n, const char *dir, const lithe_tokenizer *t, const lithe_data_options *o, lithe_error *err)
{
    label_names names = { 0 };
    (void)t;
    if (failed(err) || check_options(o, err)) return err ? (int)err->status : LITHE_EINVAL;
    image_set *s = image_set_open(paths, n, err), *other = s && o->valid ? image_set_open(&o->valid, 1, err) : NULL;
    int status = s && (!o->valid || other) ? LITHE_OK : failed(err) ? (int)err->status : LITHE_EFORMAT;
    if (!status) status = choose_classes(&names, s, other, o, err);
    if (!status) status = write_files(dir, s, other, &names, o, err);
    names_free(&names);
    image_set_close(s);
    image_set_close(other);
    return status;
}
