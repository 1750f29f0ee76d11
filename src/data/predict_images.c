/* Predicts the class of each image from its class token and patches.  Which image comes, and how it is augmented, are
 * functions of (seed, epoch, position in the epoch); evaluations do not augment. */
#include "base/arena.h"
#include "base/random.h"
#include "data/image_data.h"
#include "data/objective.h"
#include <stdlib.h>

static int open_images(objective *o, lithe_error *err)
{
    const image_data *d = images_of(o->data);
    int side = d->train.side, patch = o->settings.images.patch, across = side / patch, width = d->train.channels * patch * patch;
    o->samples = d->train.count;
    o->valid_samples = d->valid.count;
    if (!o->samples || !o->valid_samples) return fail(err, LITHE_ECONFIG, "%s: holds no images to train on, or none to validate", d->base.dir);
    if (side % patch) return fail(err, LITHE_ECONFIG, "patches of %d pixels do not divide images of %d a side", patch, side);
    o->most = (batch_capacity){ .rows = across * across + (o->settings.images.tokens ? o->settings.images.tokens : 1), .seqs = 1, .patch_width = width };
    o->pixels = xalloc(image_shard_samples(&d->train), sizeof *o->pixels);
    o->patches = xalloc((size_t)(across * across) * (size_t)width, sizeof *o->patches);
    return o->pixels && o->patches ? LITHE_OK : fail(err, LITHE_ENOMEM, "out of memory for images of %d pixels a side", side);
}

static void close_images(objective *o)
{
    free(o->pixels);
    free(o->patches);
}

static void add_image(objective *o, batch_builder *b, const image_shard *from, uint64_t i, const augmentation *way, uint64_t variation, uint64_t key)
{
    const image_settings *z = &o->settings.images;
    augment(image_shard_pixels(from, i), from->side, from->channels, way, variation, o->pixels);
    cut_patches(o->pixels, from->side, from->channels, z->patch, &z->normal, o->patches);
    batch_add(b, &(batch_sequence){ .n = o->most.rows, .patches = o->patches, .tokens = z->tokens, .key = key });
    batch_label(b, image_shard_label(from, i), 0);
}

static void train(objective *o, batch_builder *b, uint64_t sample, uint64_t key)
{
    uint64_t order = key_of(key_of_name(o->seed, "picture order"), sample / o->samples), i = permuted(sample % o->samples, o->samples, order);
    add_image(o, b, &images_of(o->data)->train, i, o->settings.images.augmentation, key_of(key_of_name(o->seed, "picture variation"), sample), key);
}

static void valid(objective *o, batch_builder *b, uint64_t i) { add_image(o, b, &images_of(o->data)->valid, i, augmentation_find("none"), 0, 0); }

const objective_kind predict_images = { .name = "images", .open = open_images, .close = close_images, .train = train, .valid = valid };
