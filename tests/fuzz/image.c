/* libFuzzer: bytes as a PNG or JPEG file.  What is read has the size it says,
 * and can be made grey and resized. */
#include "data/image.h"
#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    image i;
    lithe_error err = { 0 };
    int status = image_decode(&i, data, size, "fuzz", &err);
    assert(!status == !err.status && !status == (i.pixels != NULL) && !strchr(err.text, '\n'));
    if (status) return 0;
    assert((i.channels == 1 || i.channels == 3) && i.width > 0 && i.height > 0);
    if (image_bytes(&i) <= 1 << 20) {
        status = image_resize(&i, 1 + (int)(size % 40), 7, (resize_filter)(size % RESIZE_FILTERS), "fuzz", &err);
        if (!status) status = image_channels(&i, i.channels == 1 ? 3 : 1, "fuzz", &err);
        assert(!status && i.height == 7);
    }
    image_free(&i);
    return 0;
}
