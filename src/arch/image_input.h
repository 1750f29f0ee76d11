/* What architectures that read images share: a configuration's keys, patches
 * with a class token and learned positions (Dosovitskiy et al. 2021), the head
 * over the class token; tensor names of Hugging Face's ViTForImageClassification. */
#ifndef ARCH_IMAGE_INPUT_H
#define ARCH_IMAGE_INPUT_H

#include "arch/fields.h"
#include "arch/layers.h"

/* A configuration struct begins with it and takes IMAGE_INPUT_FIELDS; the architecture lists the pair "patch_size",
 * "image_size" in its `divides`. */
typedef struct { int image_size, patch_size, num_channels; } image_input;

#define IMAGE_INPUT_FIELDS \
    INT_OF(image_input, image_size, 224, PIXELS), INT_OF(image_input, patch_size, 16, PIXELS), INT_OF(image_input, num_channels, 3, .least = 1, .most = 3)

/* Hyper-parameters for training from scratch, from He et al. 2022, as in TokenFormer. */
extern const recipe image_recipe;

int         image_check(const void *config, lithe_error *err);
image_shape image_of(const void *config);
int         image_context(const void *config);                   /* patches and the class token */

enum { SIZED_PATCH = 4 };
/* The largest side of an image in patches of SIZED_PATCH that gives at most so many tokens. */
int         image_sized(int tokens);

/* (tokens, width); distilled: a second token stands before the patches. */
tensor *image_embedding(graph *g, const image_input *c, int width, double std, bool distilled);
head    image_head(graph *g, tensor *rows, const task *t, double std);

#endif
