/* Datasets of images: what is prepared, kept and refused; variations of a
 * image; patches. */
#include "base/file.h"
#include "base/random.h"
#include "base/writer.h"
#include "data/image_data.h"
#include "data/image_augment.h"
#include "model/model.h"
#include "test.h"
#include <math.h>
#include <stdlib.h>

static uint8_t pixel(int i, int k) { return (uint8_t)(random_u64(3, (uint64_t)(i * 1000 + k)) >> 8); }

/* NAME-images-idx3-ubyte and its labels: `count` images of side x side, labels i mod 3 * 2. */
static void put_idx(const char *name, int count, int side)
{
    char file[300];
    lithe_error err = { 0 };
    size_t area = (size_t)(side * side);
    uint8_t *bytes = calloc(16 + (size_t)count * area, 1);
    memcpy(bytes, (uint8_t[]){ 0, 0, 8, 3, 0, 0, (uint8_t)(count >> 8), (uint8_t)count, 0, 0, 0, (uint8_t)side, 0, 0, 0, (uint8_t)side }, 16);
    for (int i = 0; i < count; i++)
        for (size_t k = 0; k < area; k++) bytes[16 + (size_t)i * area + k] = pixel(i, (int)k);
    snprintf(file, sizeof file, "%s-images-idx3-ubyte", name);
    CHECK(!file_write(in_dir(file), bytes, 16 + (size_t)count * area, &err));
    bytes[3] = 1;
    for (int i = 0; i < count; i++) bytes[8 + i] = (uint8_t)(i % 3 * 2);
    snprintf(file, sizeof file, "%s-labels-idx1-ubyte", name);
    CHECK_MSG(!file_write(in_dir(file), bytes, 8 + (size_t)count, &err), "%s", err.text);
    free(bytes);
}

static lithe_dataset *open_set(const char *path, lithe_data_options o, lithe_error *err)
{
    *err = (lithe_error){ 0 };
    o.task = "images";
    return lithe_dataset_open(&path, 1, NULL, NULL, &o, err);
}

static void prepared(void)
{
    lithe_error err = { 0 };
    int side, channels, held = 0;
    lithe_dataset *d;
    CHECK(!dir_make(in_dir("a"), &err));
    put_idx("a/train", 200, 6);
    put_idx("a/t10k", 30, 6);
    CHECK(lithe_images_known(in_dir("a")) && !lithe_images_known(test_file("src")) && !lithe_images_known(test_file("README.md")));
    d = open_set(in_dir("a"), LITHE_OPTIONS(lithe_data_options, .seed = 4, .valid_share = 0.1), &err);
    CHECK_MSG(d, "%s", err.text);
    if (!d) return;
    CHECK(lithe_dataset_examples(d, 0) == 180 && lithe_dataset_examples(d, 1) == 20 && lithe_dataset_images(d, &side, &channels) && side == 6 && channels == 1);
    CHECK(lithe_dataset_labels(d) == 3 && !strcmp(lithe_dataset_label(d, 1), "2") && !lithe_dataset_label(d, 3));
    double sum = 0, squares = 0, n = 0;
    for (int i = 0, at = 0; i < 200; i++) {                     /* in the source's order, each in one split */
        const image_shard *t = &images_of(d)->train, *v = &images_of(d)->valid;
        uint8_t whole[36];
        for (int k = 0; k < 36; k++) whole[k] = pixel(i, k);
        bool here = at < 180 && !memcmp(image_shard_pixels(t, (uint64_t)at), whole, 36);
        if (here) CHECK(image_shard_label(t, (uint64_t)at) == i % 3);
        else CHECK(held < 20 && !memcmp(image_shard_pixels(v, (uint64_t)held), whole, 36) && image_shard_label(v, (uint64_t)held) == i % 3);
        for (int k = 0; here && k < 36; k++) { sum += whole[k]; squares += whole[k] * whole[k]; n++; }
        if (here) at++; else held++;
    }
    CHECK(fabs(d->mean[0] - sum / n / 255) < 1e-12);
    CHECK(fabs(d->deviation[0] - sqrt(squares / n - sum / n * (sum / n)) / 255) < 1e-12);
    char identity[256], again[256];
    dataset_identity(d, identity, sizeof identity);
    CHECK(!dataset_place(d, in_dir("kept"), &err));
    lithe_dataset *kept = dataset_reopen(in_dir("kept"), NULL, ALL_SOURCES, &err);
    CHECK_MSG(kept, "%s", err.text);
    if (kept) dataset_identity(kept, again, sizeof again);
    CHECK(kept && !strcmp(identity, again) && !strcmp(lithe_dataset_label(kept, 2), "4"));
    lithe_dataset_close(kept);
    lithe_dataset_close(d);
}

/* A folder's notice goes with its dataset; so do the examples of each class. */
static void what_is_known(void)
{
    lithe_error err = { 0 };
    char path[800];
    for (int i = 0; i < 4; i++) {
        snprintf(path, sizeof path, "%s/t/%s", test_dir(), i < 3 ? "cat" : "dog");
        CHECK(!dir_make(path, &err));
        snprintf(path, sizeof path, "%s/t/%s/%d.png", test_dir(), i < 3 ? "cat" : "dog", i);
        if (file_copy(test_file("tests/golden/images/grey.png"), path, &err)) test_fail(__FILE__, __LINE__, err.text);
    }
    CHECK(!file_write(in_dir("t/cat/5.gif"), "GIF", 3, &err));
    if (!strstr(image_formats(), "PNG")) test_skip("this build reads no PNG");
    lithe_dataset *d = open_set(in_dir("t"), LITHE_OPTIONS(lithe_data_options, .image_resize = 9, .image_side = 8, .valid = in_dir("t")), &err);
    CHECK_MSG(d, "%s", err.text);
    if (!d) return;
    const char *said = lithe_dataset_left_out(d);
    CHECK_MSG(said && strstr(said, "1 of a format that is not read (") && strstr(said, "t/cat/5.gif)"), "%s", said ? said : "nothing");
    CHECK(lithe_dataset_label_examples(d, 0) == 3 && lithe_dataset_label_examples(d, 1) == 1 && !lithe_dataset_label_examples(d, 2) && !lithe_dataset_columns(d));
    lithe_dataset_close(d);
}

static void chosen(void)
{
    lithe_error err = { 0 };
    int side, channels;
    static const char *const names[] = { "4", "9", "0", "2" }, *const few[] = { "0", "2" };
    CHECK(!dir_make(in_dir("b"), &err));
    put_idx("b/train", 40, 8);
    put_idx("b/test", 10, 8);
    lithe_dataset *d = open_set(in_dir("b"), LITHE_OPTIONS(lithe_data_options, .valid = in_dir("b"), .image_side = 4, .image_channels = 3, .labels = names, .label_count = 4), &err);
    CHECK_MSG(d, "%s", err.text);
    if (d) {                                                    /* the test part is what was named to validate on */
        CHECK(lithe_dataset_examples(d, 0) == 40 && lithe_dataset_examples(d, 1) == 10 && lithe_dataset_images(d, &side, &channels) && side == 4 && channels == 3);
        CHECK(lithe_dataset_labels(d) == 4 && image_shard_label(&images_of(d)->train, 0) == 2 && image_shard_label(&images_of(d)->train, 2) == 0);
        const uint8_t *p = image_shard_pixels(&images_of(d)->train, 0);
        CHECK(p[0] == p[1] && p[1] == p[2]);
    }
    lithe_dataset_close(d);
    struct { lithe_data_options o; const char *says; } wrong[] = {
        { { .labels = few, .label_count = 2 }, "none of the 2" }, { { .image_filter = "best" }, "no filter" }, { { .image_channels = 2 }, "channels" },
        { { .valid_share = 0.9 }, "validation share" }, { { .image_side = 5000 }, "at most 4096" },
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        wrong[i].o.size = sizeof wrong[i].o;
        d = open_set(in_dir("b"), wrong[i].o, &err);
        CHECK_MSG(!d && strstr(err.text, wrong[i].says), "%zu: %s", i, err.text);
        lithe_dataset_close(d);
    }
}

static void damaged(void)
{
    lithe_error err = { 0 };
    CHECK(!dir_make(in_dir("c"), &err));
    put_idx("c/train", 20, 4);
    lithe_dataset *d = open_set(in_dir("c"), LITHE_OPTIONS(lithe_data_options), &err);
    CHECK_MSG(d && !dataset_place(d, in_dir("kept"), &err), "%s", err.text);
    lithe_dataset_close(d);
    size_t size;
    char *bytes = file_read(in_dir("kept/train.images"), 1 << 20, &size, &err);
    CHECK(bytes);
    for (size_t k = 0; bytes && k < size; k++) {
        image_shard s;
        err = (lithe_error){ 0 };
        bytes[k] ^= 4;
        CHECK(!file_write(in_dir("bad.images"), bytes, size - (k == 0), &err));
        CHECK_MSG(image_shard_open(&s, in_dir("bad.images"), &err) == LITHE_EFORMAT, "byte %zu", k);
        bytes[k] ^= 4;
    }
    free(bytes);
}

/* ---- variations ----------------------------------------------------------------------- */

enum { SIDE = 16 };

static void unchanged(void)
{
    uint8_t pixels[SIDE * SIDE * 3];
    float out[SIDE * SIDE * 3];
    for (int k = 0; k < SIDE * SIDE * 3; k++) pixels[k] = pixel(1, k);
    augment(pixels, SIDE, 3, augmentation_find("none"), 77, out);
    for (int k = 0; k < SIDE * SIDE * 3; k++) CHECK((float)pixels[k] >= out[k] && (float)pixels[k] <= out[k]);
    CHECK(!augmentation_find("everything") && !strcmp(augmentation_usual(28, 1), "digits") && !strcmp(augmentation_usual(32, 3), "photos"));
}

/* Every result is one of the 5 x 5 moves, mirrored or not; all of them occur. */
static void photos_are_moved_and_mirrored(void)
{
    uint8_t pixels[SIDE * SIDE];
    float out[SIDE * SIDE];
    int seen[5][5][2] = { { { 0 } } }, kinds = 0;
    for (int k = 0; k < SIDE * SIDE; k++) pixels[k] = (uint8_t)(1 + pixel(1, k) % 255);
    for (uint64_t key = 0; key < 1500; key++) {
        augment(pixels, SIDE, 1, augmentation_find("photos"), mix64(key), out);
        int found = 0;
        for (int dy = -2; dy <= 2; dy++)
            for (int dx = -2; dx <= 2; dx++)
                for (int mirror = 0; mirror < 2; mirror++) {
                    bool same = true;
                    for (int y = 0; y < SIDE && same; y++)
                        for (int x = 0; x < SIDE && same; x++) {
                            int u = (mirror ? SIDE - 1 - x : x) + dx, v = y + dy;
                            float expected = u < 0 || u >= SIDE || v < 0 || v >= SIDE ? 0 : (float)pixels[v * SIDE + u];
                            same = fabsf(out[y * SIDE + x] - expected) < 0.5f;
                        }
                    if (same) { found++; seen[dy + 2][dx + 2][mirror]++; }
                }
        CHECK_MSG(found == 1, "key %d: %d moves give it", (int)key, found);
    }
    for (int k = 0; k < 50; k++) kinds += (&seen[0][0][0])[k] > 0;
    CHECK_MSG(kinds == 50, "%d of 50 variations", kinds);
}

/* On a slope, sampling between pixels is exact, so two images tell for each place where it came from: an affine map
 * whose move, turn, scale and shear are within what the way allows, and not always the same. */
static void digits_are_rotated_and_scaled(void)
{
    uint8_t slope[2][SIDE * SIDE];
    float from[2][SIDE * SIDE];
    double least = 9, most = 0, rotated = 0;
    for (int k = 0; k < SIDE * SIDE; k++) {
        slope[0][k] = (uint8_t)(10 * (k % SIDE));
        slope[1][k] = (uint8_t)(10 * (k / SIDE));
    }
    for (uint64_t key = 0; key < 300; key++) {
        for (int i = 0; i < 2; i++) augment(slope[i], SIDE, 1, augmentation_find("digits"), mix64(key), from[i]);
        double m[2][2], at[2], c = SIDE / 2;
        int middle = SIDE / 2 * SIDE + SIDE / 2;
        for (int i = 0; i < 2; i++) {
            at[i] = (double)from[i][middle] / 10;
            m[i][0] = (double)(from[i][middle + 2] - from[i][middle - 2]) / 40;
            m[i][1] = (double)(from[i][middle + 2 * SIDE] - from[i][middle - 2 * SIDE]) / 40;
            double corner = at[i] + 3 * m[i][0] - 2 * m[i][1];
            CHECK(fabs(corner - (double)from[i][middle + 3 - 2 * SIDE] / 10) < 1e-3);          /* affine */
        }
        double scale = 1 / hypot(m[0][0], m[1][0]), turn = atan2(m[1][0], m[0][0]) * 180 / M_PI, area = m[0][0] * m[1][1] - m[0][1] * m[1][0];
        double shear = (m[0][0] * m[0][1] + m[1][0] * m[1][1]) * scale * scale;
        CHECK_MSG(scale > 0.87 && scale < 1.15 && fabs(turn) < 12.1 && fabs(shear) < 0.121 && fabs(area * scale * scale - 1) < 1e-3,
                  "scale %.3f, turn %.2f, shear %.3f", scale, turn, shear);
        for (int i = 0; i < 2; i++)                 /* the centre, between pixels, moves by at most 1/14 of the side */
            CHECK(fabs(at[i] - 0.5 * m[i][0] - 0.5 * m[i][1] - (c - 0.5)) < SIDE / 14.0 + 1e-3);
        least = fmin(least, scale);
        most = fmax(most, scale);
        rotated = fmax(rotated, fabs(turn));
    }
    CHECK(least < 0.9 && most > 1.1 && rotated > 10);
}

static void the_same_key_the_same_image(void)
{
    uint8_t pixels[SIDE * SIDE * 3];
    float a[SIDE * SIDE * 3], b[SIDE * SIDE * 3];
    for (int k = 0; k < SIDE * SIDE * 3; k++) pixels[k] = pixel(2, k);
    static const char *const ways[] = { "photos", "digits" };
    for (int i = 0; i < 2; i++) {
        augment(pixels, SIDE, 3, augmentation_find(ways[i]), 5, a);
        augment(pixels, SIDE, 3, augmentation_find(ways[i]), 5, b);
        CHECK(!memcmp(a, b, sizeof a));
        augment(pixels, SIDE, 3, augmentation_find(ways[i]), 6, b);
        CHECK(memcmp(a, b, sizeof a));
    }
}

static void patches_of_a_image(void)
{
    float samples[8 * 8 * 3], rows[4 * 48];
    normalization n = { 1.0 / 255, { 0.1, 0.2, 0.3 }, { 0.5, 0.25, 0.125 } };
    for (int k = 0; k < 8 * 8 * 3; k++) samples[k] = (float)pixel(5, k);
    cut_patches(samples, 8, 3, 4, &n, rows);
    for (int p = 0; p < 4; p++)
        for (int c = 0; c < 3; c++)
            for (int y = 0; y < 4; y++)
                for (int x = 0; x < 4; x++) {
                    double v = (double)samples[((p / 2 * 4 + y) * 8 + p % 2 * 4 + x) * 3 + c];
                    CHECK(fabs((double)rows[p * 48 + (c * 4 + y) * 4 + x] - (v / 255 - n.mean[c]) / n.deviation[c]) < 1e-5);
                }
}

/* ---- preprocessor_config.json ------------------------------------------------------------- */

static void put_text(const char *dir, const char *text)
{
    char *path = path_join(dir, "preprocessor_config.json");
    lithe_error err = { 0 };
    CHECK(!dir_make(dir, &err) && !file_write(path, text, strlen(text), &err));
    free(path);
}

static void preprocessors(void)
{
    static const struct { const char *text, *says; } wrong[] = {
        { "{\"image_mean\":[0.5]}", "image_mean has 1 numbers, the model 3" }, { "{\"image_std\":[0.5,0,0.5]}", "more than 0" },
        { "{\"size\":{\"height\":8,\"width\":9}}", "resizes to 9 x 8" }, { "{\"size\":16}", "the model reads 8 x 8" }, { "{\"resample\":7}", "resample" },
        { "{\"rescale_factor\":0}", "rescale_factor" }, { "{\"image_mean\":[0.5,\"x\",1]}", "place 1" }, { "{", "preprocessor_config.json" },
        { "{\"do_flip_channel_order\":true}", "\"do_flip_channel_order\": true is not known" }, { "{\"do_center_crop\":true,\"size\":8}", "needs crop_size" },
        { "{\"do_center_crop\":true,\"size\":9,\"crop_size\":9}", "cuts out 9 x 9, the model reads 8 x 8" },
        { "{\"do_center_crop\":true,\"size\":{\"height\":9,\"width\":10},\"crop_size\":8}", "resizes to 10 x 9" }, { "{\"size\":{\"shortest_edge\":8}}", "resizes to 8 x 8" },
    };
    const image_shape shape = { .side = 8, .patch = 4, .channels = 3 };
    lithe_error err = { 0 };
    preprocessor p, q = { .known = true, .filter = 3, .factor = 0.00784313725490196, .mean = { 0.1, 0.2, 0.3 }, .deviation = { 0.11, 0.12, 0.13 } };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        put_text(in_dir("p"), wrong[i].text);
        err = (lithe_error){ 0 };
        CHECK_MSG(preprocessor_read(&p, in_dir("p"), shape, &err) && strstr(err.text, wrong[i].says), "%s", err.text);
    }
    err = (lithe_error){ 0 };
    CHECK(!dir_make(in_dir("w"), &err) && !preprocessor_read(&p, in_dir("w"), shape, &err) && !p.known && p.filter == 2);
    CHECK_MSG(!preprocessor_write(&q, in_dir("w"), shape, &err) && !preprocessor_read(&p, in_dir("w"), shape, &err), "%s", err.text);
    CHECK(!memcmp(&p.mean, &q.mean, sizeof p.mean) && !memcmp(&p.deviation, &q.deviation, sizeof p.deviation) && p.known && p.filter == 3 && !(p.factor < q.factor) && !(p.factor > q.factor));
    put_text(in_dir("p"), "{\"do_normalize\":false,\"do_rescale\":false,\"do_resize\":false,\"size\":32,\"image_std\":[1,2,3],\"resample\":0}");
    CHECK_MSG(!preprocessor_read(&p, in_dir("p"), shape, &err), "%s", err.text);
    CHECK(p.filter == 0 && p.factor >= 1 && p.factor <= 1 && p.deviation[2] >= 1 && p.deviation[2] <= 1 && p.mean[0] <= 0);
    put_text(in_dir("p"), "{\"size\":{\"shortest_edge\":9},\"do_center_crop\":true,\"crop_size\":{\"height\":8,\"width\":8},\"image_mean\":0.5,\"image_std\":0.25,\"rescale_offset\":true}");
    for (int written = 0; written < 2; written++) {
        CHECK_MSG(!preprocessor_read(&p, in_dir("p"), shape, &err), "%s", err.text);
        CHECK_MSG(p.resize == 9 && p.shortest && p.mean[2] == 1.5 && p.deviation[2] == 0.25, "%d %g %g", p.resize, p.mean[2], p.deviation[2]);
        CHECK_MSG(!preprocessor_write(&p, in_dir("p"), shape, &err), "%s", err.text);
    }
}

const test tests_image_data[] = {
    { "images: a dataset as it was prepared", prepared },
    { "images: what a dataset tells of its files", what_is_known },
    { "images: what the options choose", chosen },
    { "images: damaged shards", damaged },
    { "images: a way that changes nothing", unchanged },
    { "images: photos are moved and mirrored", photos_are_moved_and_mirrored },
    { "images: digits are rotated and scaled", digits_are_rotated_and_scaled },
    { "images: the same key, the same image", the_same_key_the_same_image },
    { "images: patches of a image", patches_of_a_image },
    { "images: preprocessor_config.json", preprocessors },
    { 0 }
};
