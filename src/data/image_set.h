/* Reads labelled images from what people keep them in:
 *
 *   IDX files        MNIST's: NAME-images-idx3-ubyte with NAME-labels-idx1-ubyte
 *   CIFAR records    the .bin files of CIFAR-10 and CIFAR-100
 *   class folders    DIR/.../CLASS/IMAGE.png or .jpg; the same inside a .tar
 *   lists            .txt, .lst or .list: on each line such a path, from the list's folder; after a tab a class
 *
 * Each may be packed (.gz, .zst), or be a directory of one kind.  What a name on the
 * way says about its use (train-, data_batch, valid, test, t10k) divides a
 * source into parts.  Classes are known by name, in order: numbers by value,
 * then the rest by bytes.
 * A folder, a .tar of it and a list of its files are the same images in the same order.
 * Invariant: the images and their order depend on the files' contents and names
 * only, and what a set takes in memory on the bytes and the number of its files. */
#ifndef DATA_IMAGE_SET_H
#define DATA_IMAGE_SET_H

#include "data/image.h"
#include "data/labels.h"

typedef enum { PART_NONE, PART_TRAIN, PART_VALID, PART_TEST } image_part;

/* An item is one image of a set. */
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

typedef struct lithe_image_set image_set;

/* Takes everything at paths, whatever its part. */
image_set *image_set_open(const char *const *paths, int n, lithe_error *err);
/* The same of images to be classified: no image needs a class, and a path may be an image. */
image_set *image_set_unlabelled(const char *const *paths, int n, lithe_error *err);
void       image_set_close(image_set *s);
int        image_set_intact(const image_set *s, lithe_error *err);     /* mapping_intact of the files it reads */
/* Keeps the images of one part.  Where there are none it returns false, and nothing changes. */
bool       image_set_keep(image_set *s, image_part part);

size_t      image_set_count(const image_set *s);
image_item  image_set_item(const image_set *s, size_t i);
int         image_set_classes(const image_set *s);
const char *image_set_class(const image_set *s, int label);
/* Says which files in folders and archives were left out, with the first of each sort; NULL: none; borrowed. */
const char *image_set_left_out(image_set *s, lithe_error *err);
/* Copies the names of all classes. */
int         image_set_names(const image_set *s, label_names *names, lithe_error *err);
/* Labels the images by these names, as a model knows the classes; an image of another class is refused. */
int         image_set_relabel(image_set *s, const label_names *names, lithe_error *err);

/* Reads an image with the channels it has; image_free frees it. */
int image_item_read(const image_item *item, image *out, lithe_error *err);

/* Says whether a path looks like labelled images, by its name or by what a directory holds first. */
bool image_set_known(const char *path);

/* ---- what adds images to a set ---- */

/* A run is the images of one file that lie alike. */
typedef struct {
    const char *name;
    image_part part;
    size_t count;
    const char *path; const uint8_t *bytes; size_t size;    /* as of an item; image k's bytes are at bytes + k stride */
    int width, height, channels; bool planes;
    size_t stride;
    /* The name of image k's class is class_names[labels[k label_stride]], or, labels NULL, the first. */
    const uint8_t *labels; size_t label_stride;
    const char *const *class_names; int class_count;
} image_run;

/* The texts and arrays of r live as long as the set.  set_text copies a text for that, set_array makes a zeroed
 * array; both return NULL, with an error, when memory is out. */
int         set_add(image_set *s, const image_run *r, lithe_error *err);
const char *set_text(image_set *s, const char *text, lithe_error *err);
void       *set_array(image_set *s, size_t count, size_t size, lithe_error *err);
bool        set_needs_classes(const image_set *s);
/* The number of runs, and the same runs from number `from` on in the order of their names, folder by folder. */
size_t      set_runs(const image_set *s);
void        set_sort(image_set *s, size_t from);
/* Gives the whole of a file, unpacked where it is packed; the set keeps it. */
int         set_bytes(image_set *s, const char *path, const uint8_t **bytes, size_t *size, lithe_error *err);

/* Counts a file that the set leaves out: of a format that is not read, hidden, or a link. */
typedef enum { LEFT_FORMAT, LEFT_HIDDEN, LEFT_LINK, LEFT_SORTS } left_sort;
int         set_leave(image_set *s, left_sort sort, const char *path, const char *name, lithe_error *err);

/* CIFAR */
int records_add(image_set *s, const char *path, const uint8_t *bytes, size_t size, image_part part, lithe_error *err);
int idx_add(image_set *s, const char *path, const uint8_t *bytes, size_t size, image_part part, lithe_error *err);
int tar_add(image_set *s, const char *path, const uint8_t *bytes, size_t size, image_part part, lithe_error *err);
/* Adds the file `name` ("train/cat/1.jpg" under path), whose folders give its part and class.  Without bytes, the
 * file is read when its image is.  A name with a component that begins with a dot is left out, as it is in a
 * directory, and so is what is no image file. */
int  image_file_add(image_set *s, const char *path, const char *name, const uint8_t *bytes, size_t size, image_part part, lithe_error *err);
bool image_file_name(const char *name);                         /* it ends in .png, .jpg or .jpeg */
int  sources_add(image_set *s, const char *path, lithe_error *err);     /* takes a file or a directory of any kind */

#endif
