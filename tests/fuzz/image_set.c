/* libFuzzer: the first byte chooses tar, CIFAR records or IDX, the rest is the
 * file.  What is found has a class, and bytes inside the file. */
#include "data/image_set.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const names[] = { "/tmp/lithe-fuzz-set.tar", "/tmp/lithe-fuzz-set.bin", "/tmp/lithe-fuzz-images-idx3-ubyte" };
    if (!size) return 0;
    const char *path = names[data[0] % 3];
    lithe_error err = { 0 };
    int fd = memfd_create("set", MFD_CLOEXEC);
    char target[64];
    snprintf(target, sizeof target, "/proc/self/fd/%d", fd);
    unlink(path);
    if (fd < 0 || write(fd, data + 1, size - 1) != (ssize_t)(size - 1) || symlink(target, path)) abort();
    image_set *s = image_set_open(&path, 1, &err);
    assert(!s == (err.status != LITHE_OK) && !strchr(err.text, '\n'));
    for (size_t i = 0; s && i < image_set_count(s); i++) {
        const image_item *t = image_set_item(s, i);
        image out;
        lithe_error ignored = { 0 };
        assert(*t->class_name && !strcmp(image_set_class(s, t->label), t->class_name));
        if (t->width) assert(t->size == (size_t)t->width * (size_t)t->height * (size_t)t->channels);
        if (t->size <= 1 << 16) image_item_read(t, &out, &ignored), image_free(&out);
    }
    image_set_close(s);
    unlink(path);
    close(fd);
    return 0;
}
