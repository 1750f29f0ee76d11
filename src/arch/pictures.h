/* What architectures that read pictures share: a configuration's keys, patches
 * with a class token and learned positions (Dosovitskiy et al. 2021), the head
 * over the class token; tensor names of Hugging Face's ViTForImageClassification. */
#ifndef ARCH_PICTURES_H
#define ARCH_PICTURES_H

#include "arch/layers.h"
#include <stddef.h>

typedef struct { int image_size, patch_size, num_channels; } pictures;

/* The fields of member `pictures` of a configuration struct S. */
#define PICTURE_FIELDS(S)                                                                                                                            \
    { .key = "image_size",   .kind = FIELD_INT, .offset = offsetof(S, pictures.image_size),   .value = 224, .least = 1, .most = 4096 },            \
    { .key = "patch_size",   .kind = FIELD_INT, .offset = offsetof(S, pictures.patch_size),   .value = 16,  .least = 1, .most = 4096 },            \
    { .key = "num_channels", .kind = FIELD_INT, .offset = offsetof(S, pictures.num_channels), .value = 3,   .least = 1, .most = 3 }

/* From scratch as He et al. 2022, whom TokenFormer follows. */
extern const recipe pictures_recipe;

enum { SIZED_PATCH = 4 };
int     pictures_side(int tokens);                               /* of a picture of SIZED_PATCH patches in at most so many tokens */
int     pictures_check(const pictures *p, lithe_error *err);
int     pictures_tokens(const pictures *p);                       /* patches and the class token */
int     pictures_vocab(const void *config);                       /* none: 0 */
tensor *pictures_embedding(graph *g, const pictures *p, int width, double std);
head    pictures_head(graph *g, tensor *rows, const task *t, double std);

#endif
