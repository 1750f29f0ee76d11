/* libFuzzer: the first byte chooses tar, CIFAR records or IDX, the rest is the
 * file (of IDX, the second is the number of bytes at its end that are the file of
 * labels).  What is found has a class, and bytes inside the file; and goes the whole
 * road of training (road.h). */
#include "data/image_set.h"
#include "road.h"
#include "scratch.h"
#include <stdio.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void write_file(const char *path, const uint8_t *bytes, size_t size)
{
    FILE *f = fopen(path, "wb");
    if (!f || fwrite(bytes, 1, size, f) != size || fclose(f)) abort();
}

static void look_at(const char *path)
{
    lithe_error err = { 0 };
    image_set *s = image_set_open(&path, 1, &err);
    assert(!s == (err.status != LITHE_OK) && !strchr(err.text, '\n'));
    for (size_t i = 0; s && i < image_set_count(s) && i < 1000; i++) {
        const image_item t = image_set_item(s, i);
        image out;
        lithe_error ignored = { 0 };
        assert(*t.class_name && t.label >= 0 && t.label < image_set_classes(s) && !strcmp(image_set_class(s, t.label), t.class_name));
        if (t.width) assert(t.size == (size_t)t.width * (size_t)t.height * (size_t)t.channels);
        if (t.size <= 1 << 16) image_item_read(&t, &out, &ignored), image_free(&out);
    }
    image_set_close(s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const names[] = { "set.tar", "set.bin", "a-images-idx3-ubyte" };
    char path[SCRATCH_PATH], labels[SCRATCH_PATH], dir[SCRATCH_PATH];
    if (size < 3 || size > 1 << 20) return 0;
    int kind = data[0] % 3, side = 1 + data[0] / 3 % 8;
    size_t tail = kind == 2 ? data[1] : 0, body = size - 2;
    if (tail > body) tail = body;
    scratch_path(path, names[kind]);
    scratch_path(labels, "a-labels-idx1-ubyte");
    scratch_path(dir, "data");
    write_file(path, data + 2, body - tail);
    if (kind == 2) write_file(labels, data + 2 + body - tail, tail);
    look_at(path);
    road(path, dir, NULL, &LITHE_OPTIONS(lithe_data_options, .task = "images", .valid_share = 0.3, .image_side = side, .image_channels = data[0] & 64 ? 3 : 1), 1 + side, 1 + side / 4);
    unlink(path);
    if (kind == 2) unlink(labels);
    return 0;
}
