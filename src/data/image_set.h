/* Labelled images out of what people keep them in:
 *
 *   IDX files        MNIST's: NAME-images-idx3-ubyte with NAME-labels-idx1-ubyte
 *   CIFAR records    the .bin files of CIFAR-10 and CIFAR-100
 *   class folders    DIR/.../CLASS/IMAGE.png or .jpg; the same inside a .tar
 *
 * each also packed (.gz, .zst), or a directory of one kind.  What a name on the
 * way says about its use (train-, data_batch, valid, test, t10k) divides a
 * source into parts.  Classes are known by name, in order: numbers by value,
 * then the rest by bytes.
 * Invariant: the images and their order depend on the files' contents and names
 * only, and what a set takes in memory on the bytes and the number of its files. */
#ifndef DATA_IMAGE_SET_H
#define DATA_IMAGE_SET_H

#include "data/image.h"
#include "data/labels.h"

typedef enum { PART_NONE, PART_TRAIN, PART_VALID, PART_TEST } image_part;

/* One image of a set. */
typedef struct {
    const char *name;                /* for messages: file, and the place in it */
    const char *class_name;
    int label;                       /* of class_name, in the set's classes */
    image_part part;
    const char *path;                /* a file of its own, */
    const uint8_t *bytes; size_t size;          /* or an image file in memory, or samples: */
    int width, height, channels;     /* of samples; 0: an image file */
    bool planes;                     /* samples lie channel after channel */
} image_item;

typedef struct image_set image_set;

/* Everything at paths, whatever its part. */
image_set *image_set_open(const char *const *paths, int n, lithe_error *err);
void       image_set_close(image_set *s);
/* Leaves the images of one part.  False, and nothing changes, when there are none. */
bool       image_set_keep(image_set *s, image_part part);

size_t      image_set_count(const image_set *s);
image_item  image_set_item(const image_set *s, size_t i);
int         image_set_classes(const image_set *s);
const char *image_set_class(const image_set *s, int label);
int         image_set_names(const image_set *s, label_names *names, lithe_error *err);          /* a copy of them all */
/* The classes as a model knows them: images are labelled by these names, and one of another class is refused. */
int         image_set_relabel(image_set *s, const label_names *names, lithe_error *err);

/* One image, of the channels it has; free it with image_free. */
int image_item_read(const image_item *item, image *out, lithe_error *err);

/* Whether a path looks like labelled images: by its name, or what a directory holds first. */
bool image_set_known(const char *path);

/* ---- one kind of source each adds its images ---- */

/* Images of one file that lie alike. */
typedef struct {
    const char *name;
    image_part part;
    size_t count;
    const char *path; const uint8_t *bytes; size_t size;        /* as of an item; image k's bytes are at bytes + k stride */
    int width, height, channels; bool planes;
    size_t stride;
    /* The name of image k's class is class_names[labels[k label_stride]], or, labels NULL, the first. */
    const uint8_t *labels; size_t label_stride;
    const char *const *class_names; int class_count;
} image_run;

/* Texts and arrays of r live as long as the set; set_text copies one that does not, set_array makes one (zeroed; NULL, with
 * an error, when memory is out). */
int         set_add(image_set *s, const image_run *r, lithe_error *err);
const char *set_text(image_set *s, const char *text, lithe_error *err);
void       *set_array(image_set *s, size_t count, size_t size, lithe_error *err);
/* The whole of a file, unpacked where it is packed; kept by the set. */
int         set_bytes(image_set *s, const char *path, const uint8_t **bytes, size_t *size, lithe_error *err);

int records_add(image_set *s, const char *path, const uint8_t *bytes, size_t size, image_part part, lithe_error *err);     /* CIFAR */
int idx_add(image_set *s, const char *path, const uint8_t *bytes, size_t size, image_part part, lithe_error *err);
int tar_add(image_set *s, const char *path, const uint8_t *bytes, size_t size, image_part part, lithe_error *err);
/* The file `name` ("train/cat/1.jpg" under path), bytes NULL: to be read when its image is: part and class by its folders.
 * Passed over, as a directory's reader does, where a name on the way begins with a dot. */
int  image_file_add(image_set *s, const char *path, const char *name, const uint8_t *bytes, size_t size, image_part part, lithe_error *err);
bool image_file_name(const char *name);                         /* ends in .png, .jpg or .jpeg */
int  sources_add(image_set *s, const char *path, lithe_error *err);         /* a file or a directory, whatever it is */

#endif
