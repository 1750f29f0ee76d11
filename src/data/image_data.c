/* The kind `images`: opens image shards (data/image_data.h). */
#include "data/image_data.h"
#include "base/file.h"
#include "data/objective.h"
#include <assert.h>
#include <math.h>
#include <stdlib.h>

const image_data *images_of(const lithe_dataset *d)
{
    assert(d->kind == &image_kind);
    return (const image_data *)d;
}

/* ---- opening ---------------------------------------------------------------------------- */

static int open_split(image_shard *s, split_facts *f, const char *dir, const char *name, lithe_error *err)
{
    char *path = path_join(dir, name);
    int status = path ? image_shard_open(s, path, err) : fail(err, LITHE_ENOMEM, "%s: out of memory", dir);
    free(path);
    if (status) return status;
    *f = (split_facts){ .bytes = s->map.size, .examples = s->count };
    snprintf(f->hash, sizeof f->hash, "%s", s->hash);
    return LITHE_OK;
}

/* Reads mean and deviation of the training images' samples, by channel. */
static int read_statistics(lithe_dataset *d, const json_t *json, lithe_error *err)
{
    const json_t *mean = json_object_get(json, "mean"), *deviation = json_object_get(json, "deviation");
    for (int c = 0; c < d->channels; c++) {
        d->mean[c] = json_number_value(json_array_get(mean, (size_t)c));
        d->deviation[c] = json_number_value(json_array_get(deviation, (size_t)c));
        if (!isfinite(d->mean[c]) || !(d->deviation[c] > 0 && d->deviation[c] <= 1))
            return fail(err, LITHE_EFORMAT, "%s/%s: a mean of %g and a deviation of %g", d->dir, DATA_JSON, d->mean[c], d->deviation[c]);
    }
    return LITHE_OK;
}

static int open_images(lithe_dataset *base, const json_t *json, const lithe_tokenizer *t, source_share sources, lithe_error *err)
{
    image_data *d = (image_data *)base;
    const image_shard *a = &d->train, *b = &d->valid;
    (void)t, (void)sources;                                 /* the shards hold what they said */
    int status = open_split(&d->train, &base->facts[TRAIN], base->dir, image_kind.file[TRAIN], err);
    if (!status) status = open_split(&d->valid, &base->facts[VALID], base->dir, image_kind.file[VALID], err);
    if (!status && (a->side != b->side || a->channels != b->channels || a->classes != b->classes))
        status = fail(err, LITHE_EFORMAT, "%s: %s and %s hold images of different kinds", base->dir, image_kind.file[TRAIN], image_kind.file[VALID]);
    if (!status) status = names_read(&base->names, json_object_get(json, "labels"), base->dir, err);
    if (!status && (base->names.count != a->classes || json_array_size(json_object_get(json, "mean")) != (size_t)a->channels
                    || json_array_size(json_object_get(json, "deviation")) != (size_t)a->channels))
        status = fail(err, LITHE_EFORMAT, "%s/%s: does not describe %d classes and %d channels", base->dir, DATA_JSON, a->classes, a->channels);
    base->labelled = true;
    base->map[TRAIN] = &d->train.map;
    base->map[VALID] = &d->valid.map;
    base->side = a->side;
    base->channels = a->channels;
    for (size_t i = 0; i < a->count && !status; i++) status = dataset_count_label(base, image_shard_label(a, i), err);
    if (!status) status = dataset_note(base, &base->left_out, json, "left_out", err);
    return status ? status : read_statistics(base, json, err);
}

static void close_images(lithe_dataset *d)
{
    image_shard_close(&((image_data *)d)->train);
    image_shard_close(&((image_data *)d)->valid);
}

/* ---- what is learned from it ----------------------------------------------------------- */

/* The tokens of an image are the patches of the model and its class token. */
static int choose_context(const lithe_dataset *d, text_task task, bool asked, int most, int *ctx, lithe_error *err)
{
    (void)d, (void)task, (void)asked, (void)err;
    *ctx = most;
    return LITHE_OK;
}

static const objective_kind *choose_objective(text_task task)
{
    (void)task;
    return &predict_images;
}

static const char *usual_augmentation(const lithe_dataset *d) { return augmentation_usual(d->side, d->channels); }

const dataset_kind image_kind = {
    .name = "images", .file = { "train.images", "valid.images" }, .size = sizeof(image_data), .batch = 64, .epochs = 20,
    .prepare = images_prepare, .open = open_images, .close = close_images, .context = choose_context, .objective = choose_objective,
    .augmentation = usual_augmentation,
};
