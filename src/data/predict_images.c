/* Objective: the class of each picture, from its patches behind a class token.
 * Picture and variation are functions of (seed, epoch, place in it); at
 * evaluations pictures are as they are. */
#include "base/arena.h"
#include "base/random.h"
#include "data/objective.h"
#include <stdlib.h>
#include <string.h>

static int open_images(objective *o, lithe_error *err)
{
    const images *p = o->data->images;
    const picture_settings *z = &o->settings.pictures;
    if (!p) return fail(err, LITHE_EINVAL, "%s: holds no pictures", o->data->dir);
    int side = p->train.side, across = side / z->patch;
    o->samples = p->train.count;
    o->valid_samples = p->valid.count;
    o->most = (extent){ .rows = across * across + 1, .seqs = 1, .patch_width = p->train.channels * z->patch * z->patch };
    o->pixels = xalloc(image_shard_picture(&p->train), sizeof *o->pixels);
    return o->pixels ? LITHE_OK : fail(err, LITHE_ENOMEM, "out of memory for pictures of %d pixels a side", side);
}

static void close_images(objective *o) { free(o->pixels); }

static void add_picture(objective *o, sheet *s, const image_shard *from, uint64_t i, const augmentation *way, uint64_t variation, uint64_t key)
{
    const picture_settings *z = &o->settings.pictures;
    size_t width = (size_t)o->most.patch_width;
    float *rows = s->patches + (size_t)s->rows * width;
    memset(rows, 0, width * sizeof *rows);                      /* the class token's */
    augment(image_shard_pixels(from, i), from->side, from->channels, way, variation, o->pixels);
    cut_patches(o->pixels, from->side, from->channels, z->patch, &z->normal, rows + width);
    memset(s->ids + s->rows, 0, (size_t)o->most.rows * sizeof *s->ids);
    memset(s->type + s->rows, 0, (size_t)o->most.rows * sizeof *s->type);
    s->label[s->seqs] = image_shard_label(from, i);
    s->value[s->seqs] = 0;
    sheet_end_sequence(s, o->most.rows, key);
    s->labels++;
}

static void train(objective *o, sheet *s, uint64_t sample, uint64_t key)
{
    uint64_t order = key_of(key_of_name(o->seed, "picture order"), sample / o->samples), i = permuted(sample % o->samples, o->samples, order);
    add_picture(o, s, &o->data->images->train, i, o->settings.pictures.way, key_of(key_of_name(o->seed, "picture variation"), sample), key);
}

static void valid(objective *o, sheet *s, uint64_t i) { add_picture(o, s, &o->data->images->valid, i, augmentation_find("none"), 0, 0); }

const objective_kind predict_images = { .name = "images", .open = open_images, .close = close_images, .train = train, .valid = valid };
