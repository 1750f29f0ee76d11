/* An image shard holds the labels and pixels of images of one size in one file, which is
 * mapped (docs/image-shards.md).  In a dataset's directory data.json stands beside two of
 * them, with the names of the classes and the statistics of the training images. */
#ifndef DATA_IMAGE_SHARD_H
#define DATA_IMAGE_SHARD_H

#include "base/file.h"
#include "base/writer.h"
#include "data/image.h"

enum { IMAGE_SHARD_VERSION = 1, IMAGE_SHARD_HEADER = 64 };

typedef struct {
    mapping map;
    uint64_t count;
    int side, channels, classes;
    char hash[33];                   /* of labels and pixels */
} image_shard;

/* Maps the file and checks everything: sizes, hashes, and that labels are below the classes. */
int            image_shard_open(image_shard *s, const char *path, lithe_error *err);
void           image_shard_close(image_shard *s);
int            image_shard_label(const image_shard *s, uint64_t i);
const uint8_t *image_shard_pixels(const image_shard *s, uint64_t i);        /* (side, side, channels) */
static inline size_t image_shard_samples(const image_shard *s) { return (size_t)s->side * (size_t)s->side * (size_t)s->channels; }

typedef struct { image_shard shard; writer file; void *hash; uint64_t written; } image_shard_writer;

/* The labels (count) are written first, then each image's pixels in order. */
int  image_shard_create(image_shard_writer *w, const char *path, uint64_t count, int side, int channels, int classes, const uint32_t *labels, lithe_error *err);
int  image_shard_put(image_shard_writer *w, const uint8_t *pixels, lithe_error *err);
int  image_shard_commit(image_shard_writer *w, lithe_error *err);
void image_shard_abandon(image_shard_writer *w);

#endif
