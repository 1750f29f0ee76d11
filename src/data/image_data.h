/* Labelled images of one size are kept in two image shards (data/image_shard.h). */
#ifndef DATA_IMAGE_DATA_H
#define DATA_IMAGE_DATA_H

#include "data/data.h"
#include "data/image_shard.h"

typedef struct {
    lithe_dataset base;
    image_shard train, valid;
} image_data;

const image_data *images_of(const lithe_dataset *d);

/* Reads the sources and writes the shards and their description into dir. */
int images_prepare(const char *const *paths, int n, const char *dir, const lithe_tokenizer *t, const lithe_data_options *o, lithe_error *err);

#endif
