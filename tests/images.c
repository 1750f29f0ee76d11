/* Images: files of every kind against what PIL reads out of them, resizing
 * against PIL's, damaged files, and sets of labelled images. */
#include "data/image.h"
#include "base/file.h"
#include "base/random.h"
#include "files/tensor_file.h"
#include "test.h"
#include <stdlib.h>

static void needs(const char *format)
{
    if (!strstr(image_formats(), format)) test_skip("this build reads no %s", format);
}

static const char *golden_image(const char *name)
{
    char path[200];
    snprintf(path, sizeof path, "tests/golden/images/%s", name);
    return test_file(path);
}

/* The answers' tensor as bytes; its shape must be (height, width[, 3]). */
static uint8_t *pixels_of(const tensor_file *f, const char *name, const image *i)
{
    const file_tensor *t = tensor_file_find(f, name);
    bool fits = t && t->dims[0] == i->height && t->dims[1] == i->width && (t->rank == 2 ? 1 : t->dims[2]) == i->channels;
    CHECK_MSG(fits, "%s: no such answer for %d x %d x %d", name, i->height, i->width, i->channels);
    if (!fits) return NULL;
    float *values = malloc(t->count * sizeof *values);
    uint8_t *bytes = malloc(t->count);
    file_tensor_floats(t, 0, t->count, values);
    for (size_t k = 0; k < t->count; k++) bytes[k] = (uint8_t)values[k];
    free(values);
    return bytes;
}

static int most_apart(const uint8_t *a, const uint8_t *b, size_t n)
{
    int worst = 0;
    for (size_t k = 0; k < n; k++) worst = abs(a[k] - b[k]) > worst ? abs(a[k] - b[k]) : worst;
    return worst;
}

static void check_file(const tensor_file *f, const char *name, const char *answers)
{
    image i;
    lithe_error err = { 0 };
    char tensor[80];
    CHECK_MSG(!image_read(&i, golden_image(name), &err), "%s", err.text);
    snprintf(tensor, sizeof tensor, "%s.pixels", answers ? answers : name);
    uint8_t *expected = i.pixels ? pixels_of(f, tensor, &i) : NULL;
    if (expected) {
        int apart = most_apart(i.pixels, expected, image_bytes(&i));
        CHECK_MSG(apart == 0, "%s: %d from PIL's", name, apart);
    }
    free(expected);
    image_free(&i);
}

static tensor_file *answers(void)
{
    lithe_error err = { 0 };
    tensor_file *f = tensor_file_open(golden_image("pixels.safetensors"), &err);
    CHECK_MSG(f, "%s", err.text);
    return f;
}

static void png_as_pil(void)
{
    needs("PNG");
    static const struct { const char *name, *answers; } files[] = {
        { "rgb.png", NULL }, { "grey.png", NULL }, { "bits.png", NULL }, { "palette.png", NULL },
        { "alpha.png", "rgb.png" }, { "wide.png", "rgb.png" }, { "interlaced.png", "rgb.png" },
    };
    tensor_file *f = answers();
    for (size_t k = 0; k < sizeof files / sizeof *files; k++) check_file(f, files[k].name, files[k].answers);
    tensor_file_close(f);
}

static void jpeg_as_pil(void)
{
    needs("JPEG");
    static const char *const names[] = { "rgb.jpg", "grey.jpg", "progressive.jpg", "inks.jpg" };
    tensor_file *f = answers();
    for (size_t k = 0; k < sizeof names / sizeof *names; k++) check_file(f, names[k], NULL);
    tensor_file_close(f);
}

static void resizing_as_pil(void)
{
    needs("PNG");
    static const char *const names[RESIZE_FILTERS] = { "nearest", "lanczos", "bilinear", "bicubic", "box", "hamming" };
    static const int sizes[][2] = { { 16, 16 }, { 9, 23 }, { 50, 12 } };
    tensor_file *f = answers();
    for (int filter = 0; filter < RESIZE_FILTERS; filter++)
        for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
            image i;
            lithe_error err = { 0 };
            char tensor[80];
            image_read(&i, golden_image("rgb.png"), &err);
            CHECK_MSG(!image_resize(&i, sizes[k][0], sizes[k][1], (resize_filter)filter, "rgb.png", &err), "%s", err.text);
            snprintf(tensor, sizeof tensor, "%s.%dx%d", names[filter], sizes[k][0], sizes[k][1]);
            uint8_t *expected = pixels_of(f, tensor, &i);
            int apart = expected ? most_apart(i.pixels, expected, image_bytes(&i)) : 0;
            CHECK_MSG(apart == 0, "%s: %d from PIL's", tensor, apart);
            free(expected);
            image_free(&i);
        }
    tensor_file_close(f);
}

static void grey_and_colour(void)
{
    needs("PNG");
    image i;
    lithe_error err = { 0 };
    tensor_file *f = answers();
    image_read(&i, golden_image("rgb.png"), &err);
    CHECK(!image_channels(&i, 1, "rgb.png", &err));
    uint8_t *expected = pixels_of(f, "luma", &i);
    CHECK(expected && most_apart(i.pixels, expected, image_bytes(&i)) == 0);
    CHECK(!image_channels(&i, 3, "rgb.png", &err) && i.channels == 3);
    for (size_t k = 0; expected && k < image_bytes(&i); k++) CHECK(i.pixels[k] == expected[k / 3]);
    free(expected);
    image_free(&i);
    tensor_file_close(f);
}

/* The first square is resized whole, of the second the shorter side; what is missing in the middle is black. */
static void middles_are_cut_out(void)
{
    static const struct { image_fitting how; int width, height; uint8_t from[12], to[9]; } cases[] = {
        { { 1, 1, RESIZE_NEAREST, 3, false }, 3, 3, { 1, 2, 3, 4, 5, 6, 7, 8, 9 }, { 5 } },
        { { 2, 1, RESIZE_NEAREST, 2, true }, 5, 2, { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 }, { 2, 3, 7, 8 } },
        { { 2, 1, RESIZE_NEAREST, 3, true }, 3, 4, { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12 }, { 4, 5, 7, 8 } },
        { { 3, 1, RESIZE_NEAREST, 2, false }, 2, 2, { 1, 2, 3, 4 }, { 1, 2, 0, 3, 4, 0, 0, 0, 0 } },
    };
    lithe_error err = { 0 };
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        image i;
        CHECK(!image_new(&i, cases[k].width, cases[k].height, 1, "x", &err));
        memcpy(i.pixels, cases[k].from, image_bytes(&i));
        CHECK_MSG(!image_fit(&i, &cases[k].how, "x", &err), "%s", err.text);
        CHECK_MSG(i.width == cases[k].how.side && !memcmp(i.pixels, cases[k].to, image_bytes(&i)), "case %zu: %d %d", k, i.pixels[0], i.pixels[1]);
        image_free(&i);
    }
    image i;
    CHECK(!image_new(&i, 30000, 1, 1, "x", &err) && image_fit(&i, &(image_fitting){ 2, 1, RESIZE_BOX, 2, true }, "x", &err) && strstr(err.text, "60000 x 2"));
    image_free(&i);
}

/* ---- orientation ------------------------------------------------------------------ */

/* PIL.ImageOps.exif_transpose of the rows 1 2 3 and 4 5 6. */
static const struct { int width; uint8_t pixels[6]; } upright[9] = {
    [1] = { 3, { 1, 2, 3, 4, 5, 6 } }, [2] = { 3, { 3, 2, 1, 6, 5, 4 } }, [3] = { 3, { 6, 5, 4, 3, 2, 1 } }, [4] = { 3, { 4, 5, 6, 1, 2, 3 } },
    [5] = { 2, { 1, 4, 2, 5, 3, 6 } }, [6] = { 2, { 4, 1, 5, 2, 6, 3 } }, [7] = { 2, { 6, 3, 5, 2, 4, 1 } }, [8] = { 2, { 3, 6, 2, 5, 1, 4 } },
};

static void photos_stand_upright(void)
{
    for (int turn = 1; turn <= 8; turn++) {
        lithe_error err = { 0 };
        image i;
        CHECK(!image_new(&i, 3, 2, 1, "x", &err));
        memcpy(i.pixels, upright[1].pixels, 6);
        CHECK(!image_upright(&i, turn, "x", &err));
        CHECK_MSG(i.width == upright[turn].width && i.height == 6 / i.width && !memcmp(i.pixels, upright[turn].pixels, 6), "orientation %d", turn);
        image_free(&i);
    }
}

/* The number lies at place 18 of what PIL writes, in either order of bytes. */
static void orientations_are_read(void)
{
    uint8_t big[] = { 'M', 'M', 0, 42, 0, 0, 0, 8, 0, 1, 1, 0x12, 0, 3, 0, 0, 0, 1, 0, 6, 0, 0, 0, 0, 0, 0 };
    uint8_t little[] = { 'I', 'I', 42, 0, 8, 0, 0, 0, 1, 0, 0x12, 1, 3, 0, 1, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0 };
    CHECK(exif_orientation(big, sizeof big) == 6 && exif_orientation(little, sizeof little) == 8);
    for (size_t n = 0; n < 20; n++) CHECK(exif_orientation(big, n) == 1 && exif_orientation(little, n) == 1);
    big[19] = 9, little[18] = 0;
    CHECK(exif_orientation(big, sizeof big) == 1 && exif_orientation(little, sizeof little) == 1);
    memset(big + 4, 0xff, 4);
    CHECK(exif_orientation(big, sizeof big) == 1);
}

/* A file with Exif data of orientation 6 is the same file without them, turned. */
static void check_turned(const char *name, const uint8_t *marker, size_t size, size_t after)
{
    lithe_error err = { 0 };
    size_t n;
    image plain, turned;
    uint8_t *bytes = (uint8_t *)file_read(golden_image(name), 1 << 20, &n, &err), *whole = malloc(n + size);
    memcpy(whole, bytes, after);
    memcpy(whole + after, marker, size);
    memcpy(whole + after + size, bytes + after, n - after);
    CHECK_MSG(!image_decode(&plain, bytes, n, name, &err) && !image_decode(&turned, whole, n + size, name, &err), "%s", err.text);
    CHECK(!image_upright(&plain, 6, name, &err) && plain.width == turned.width && plain.height == turned.height);
    CHECK(!memcmp(plain.pixels, turned.pixels, image_bytes(&plain)));
    image_free(&plain);
    image_free(&turned);
    free(bytes);
    free(whole);
}

static void turned_png(void)
{
    needs("PNG");
    /* PIL's chunk, with its checksum; it may stand after the header, which ends at byte 33 */
    static const uint8_t chunk[] = { 0, 0, 0, 0x1a, 'e', 'X', 'I', 'f', 'M', 'M', 0, 42, 0, 0, 0, 8, 0, 1, 1, 0x12, 0, 3, 0, 0, 0, 1, 0, 6, 0, 0,
                                     0, 0, 0, 0, 0xd6, 0x67, 0x4b, 0x69 };
    check_turned("rgb.png", chunk, sizeof chunk, 33);
}

static void turned_jpeg(void)
{
    needs("JPEG");
    static const uint8_t marker[] = { 0xff, 0xe1, 0, 34, 'E', 'x', 'i', 'f', 0, 0, 'M', 'M', 0, 42, 0, 0, 0, 8, 0, 1, 1, 0x12, 0, 3, 0, 0, 0, 1, 0, 6, 0, 0, 0, 0, 0, 0 };
    check_turned("rgb.jpg", marker, sizeof marker, 2);
}

/* ---- hostile files -------------------------------------------------------------- */

static bool reads(const uint8_t *bytes, size_t size, lithe_error *err)
{
    image i;
    *err = (lithe_error){ 0 };
    uint8_t *exact = malloc(size ? size : 1);               /* so that a byte beyond the end is beyond the allocation */
    memcpy(exact, bytes, size);
    int status = image_decode(&i, exact, size, "x", err);
    CHECK_MSG(!status == (i.pixels != NULL) && !status == !err->status && !strchr(err->text, '\n'), "%s", err->text);
    image_free(&i);
    free(exact);
    return !status;
}

static void damage(const char *name)
{
    size_t size;
    lithe_error err = { 0 };
    uint8_t *bytes = (uint8_t *)file_read(golden_image(name), 1 << 20, &size, &err);
    CHECK(reads(bytes, size, &err));
    for (size_t n = 0; n < size - 2; n++) CHECK_MSG(!reads(bytes, n, &err) && err.status == LITHE_EFORMAT, "%s cut to %zu bytes", name, n);
    for (size_t k = 0; k < size; k++) {
        bytes[k] ^= (uint8_t)(1 << k % 8);
        reads(bytes, size, &err);
        bytes[k] ^= (uint8_t)(1 << k % 8);
    }
    free(bytes);
}

static void damaged_png(void)
{
    needs("PNG");
    damage("rgb.png");
    damage("palette.png");
    damage("interlaced.png");
}

static void damaged_jpeg(void)
{
    needs("JPEG");
    damage("rgb.jpg");
    damage("progressive.jpg");
    damage("inks.jpg");
}

/* A header that claims more than there is memory for. */
static void enormous(void)
{
    needs("PNG");
    lithe_error err = { 0 };
    uint8_t png[] = { 0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n', 0, 0, 0, 13, 'I', 'H', 'D', 'R', 0, 0, 0x7f, 0xff, 0, 0, 0x7f, 0xff, 8, 2, 0, 0, 0,
                      0x8a, 0xf8, 0xe2, 0xbd, 0, 0, 0, 0, 'I', 'D', 'A', 'T', 0x35, 0xaf, 0x06, 0x1e };
    uint32_t crc = 0xffffffff;
    for (int k = 12; k < 29; k++) {
        crc ^= png[k];
        for (int bit = 0; bit < 8; bit++) crc = crc >> 1 ^ (0xedb88320u & (0u - (crc & 1)));
    }
    for (int k = 0; k < 4; k++) png[29 + k] = (uint8_t)(~crc >> (24 - 8 * k));
    CHECK(!reads(png, sizeof png, &err));
    CHECK_MSG(strstr(err.text, "32767 x 32767"), "%s", err.text);
    CHECK(!reads((const uint8_t *)"GIF89a", 6, &err));
    CHECK_MSG(strstr(err.text, "neither"), "%s", err.text);
}

const test tests_images[] = {
    { "images: PNG files as PIL reads them", png_as_pil },
    { "images: JPEG files as PIL reads them", jpeg_as_pil },
    { "images: resizing as PIL's", resizing_as_pil },
    { "images: grey and colour", grey_and_colour },
    { "images: middles are cut out", middles_are_cut_out },
    { "images: photos stand upright", photos_stand_upright },
    { "images: orientations are read", orientations_are_read },
    { "images: a PNG file on its side", turned_png },
    { "images: a JPEG file on its side", turned_jpeg },
    { "images: damaged PNG files", damaged_png },
    { "images: damaged JPEG files", damaged_jpeg },
    { "images: a image too large for any memory", enormous },
    { 0 }
};
