/* Labelled pictures out of what people keep them in:
 *
 *   IDX files        MNIST's: NAME-images-idx3-ubyte with NAME-labels-idx1-ubyte
 *   CIFAR records    the .bin files of CIFAR-10 and CIFAR-100
 *   class folders    DIR/.../CLASS/PICTURE.png or .jpg; the same inside a .tar
 *
 * each also packed (.gz, .zst), or a directory of one kind.  What a name on the
 * way says about its use (train-, data_batch, valid, test, t10k) divides a
 * source into parts.  Classes are known by name, in order: numbers by value,
 * then the rest by bytes.
 * Invariant: the items and their order depend on the files' contents and names
 * only. */
#ifndef DATA_IMAGE_SET_H
#define DATA_IMAGE_SET_H

#include "data/image.h"

typedef enum { PART_NONE, PART_TRAIN, PART_VALID, PART_TEST } image_part;

typedef struct {
    const char *name;                /* for messages: file, and the place in it */
    const char *class_name;
    image_part part;
    int label;                       /* of class_name, in the set's classes */
    const uint8_t *bytes; size_t size;          /* a picture file in memory, or samples: */
    int width, height, channels;     /* of samples; 0: a picture file */
    bool planes;                     /* samples lie channel after channel */
    char *path;                      /* a file of its own; bytes NULL */
} image_item;

typedef struct image_set image_set;

/* Everything at paths, whatever its part. */
image_set *image_set_open(const char *const *paths, int n, lithe_error *err);
void       image_set_close(image_set *s);
/* Leaves the items of one part.  False, and nothing changes, when there are none. */
bool       image_set_keep(image_set *s, image_part part);

size_t            image_set_count(const image_set *s);
const image_item *image_set_item(const image_set *s, size_t i);
int               image_set_classes(const image_set *s);
const char       *image_set_class(const image_set *s, int label);
/* The classes as a model knows them: items are labelled by these names, and an item of another class is refused. */
int               image_set_relabel(image_set *s, char *const *names, int n, lithe_error *err);

/* One picture, of the channels it has; free it with image_free. */
int image_item_read(const image_item *item, image *out, lithe_error *err);

/* Whether a path looks like labelled pictures: by its name, or what a directory holds first. */
bool image_set_known(const char *path);

/* ---- one kind of source each: they add their items ---- */

/* bytes live as long as the set. */
int  set_add(image_set *s, const image_item *item, const char *class_name, const char *name, lithe_error *err);
int  records_add(image_set *s, const char *path, const uint8_t *bytes, size_t size, image_part part, lithe_error *err);     /* CIFAR */
int  idx_add(image_set *s, const char *path, const uint8_t *bytes, size_t size, image_part part, lithe_error *err);
int  tar_add(image_set *s, const char *path, const uint8_t *bytes, size_t size, image_part part, lithe_error *err);
/* Picture `name` ("train/cat/1.jpg" under path) as an item: part and class out of its folders.  bytes NULL: a file. */
int  picture_add(image_set *s, const char *path, const char *name, const uint8_t *bytes, size_t size, image_part part, lithe_error *err);
bool picture_name(const char *name);                            /* ends in .png, .jpg or .jpeg */

/* The whole of a file, unpacked where it is packed; kept by the set. */
int  set_bytes(image_set *s, const char *path, const uint8_t **bytes, size_t *size, lithe_error *err);

#endif
