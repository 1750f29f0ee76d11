/* Objective: the class of each picture, from its patches behind a class token.
 * Picture and variation are functions of (seed, epoch, place in it); at
 * evaluations pictures are as they are. */
#include "base/arena.h"
#include "base/random.h"
#include "data/objective.h"
#include <stdlib.h>

static int open_images(objective *o, lithe_error *err)
{
    const images *p = o->data->images;
    const picture_settings *z = &o->settings.pictures;
    if (!p) return fail(err, LITHE_EINVAL, "%s: holds no pictures", o->data->dir);
    int side = p->train.side, across = side / z->patch, width = p->train.channels * z->patch * z->patch;
    o->samples = p->train.count;
    o->valid_samples = p->valid.count;
    o->most = (batch_capacity){ .rows = across * across + 1, .seqs = 1, .patch_width = width };
    o->pixels = xalloc(image_shard_picture(&p->train), sizeof *o->pixels);
    o->patches = xalloc((size_t)(across * across) * (size_t)width, sizeof *o->patches);
    return o->pixels && o->patches ? LITHE_OK : fail(err, LITHE_ENOMEM, "out of memory for pictures of %d pixels a side", side);
}

static void close_images(objective *o)
{
    free(o->pixels);
    free(o->patches);
}

static void add_picture(objective *o, batch_builder *b, const image_shard *from, uint64_t i, const augmentation *way, uint64_t variation, uint64_t key)
{
    const picture_settings *z = &o->settings.pictures;
    augment(image_shard_pixels(from, i), from->side, from->channels, way, variation, o->pixels);
    cut_patches(o->pixels, from->side, from->channels, z->patch, &z->normal, o->patches);
    batch_add(b, &(batch_sequence){ .n = o->most.rows, .patches = o->patches, .key = key });
    batch_label(b, image_shard_label(from, i), 0);
}

static void train(objective *o, batch_builder *b, uint64_t sample, uint64_t key)
{
    uint64_t order = key_of(key_of_name(o->seed, "picture order"), sample / o->samples), i = permuted(sample % o->samples, o->samples, order);
    add_picture(o, b, &o->data->images->train, i, o->settings.pictures.way, key_of(key_of_name(o->seed, "picture variation"), sample), key);
}

static void valid(objective *o, batch_builder *b, uint64_t i) { add_picture(o, b, &o->data->images->valid, i, augmentation_find("none"), 0, 0); }

const objective_kind predict_images = { .name = "images", .open = open_images, .close = close_images, .train = train, .valid = valid };
