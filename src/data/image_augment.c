/* Augments images (data/image_augment.h).  Invariant: the result is a function of the image, the augmentation and the
 * key. */
#include "data/image_augment.h"
#include "base/random.h"
#include <math.h>
#include <string.h>

static const augmentation ways[] = {
    { .name = "none" },
    { .name = "photos", .move = 1.0 / 8, .mirror = true },
    { .name = "digits", .move = 1.0 / 14, .turn = 12, .scale = 1.14, .shear = 0.12 },
};
enum { WAYS = sizeof ways / sizeof *ways, SMALL_SIDE = 64 };
enum { DRAW_X, DRAW_Y, DRAW_MIRROR, DRAW_TURN, DRAW_SCALE, DRAW_SHEAR };

const augmentation *augmentation_find(const char *name)
{
    for (int i = 0; i < WAYS; i++) if (!strcmp(ways[i].name, name)) return &ways[i];
    return NULL;
}

const char *augmentation_usual(int side, int channels) { return channels == 1 && side <= SMALL_SIDE ? "digits" : "photos"; }

static double within(uint64_t key, int draw, double most) { return most * (2 * random_unit(key, (uint64_t)draw) - 1); }

/* ---- whole pixels -------------------------------------------------------------------- */

static int whole(uint64_t key, int draw, int most)
{
    int n = (int)(random_unit(key, (uint64_t)draw) * (2 * most + 1));
    return n - most;
}

static void move_and_mirror(const uint8_t *pixels, int side, int channels, const augmentation *a, uint64_t key, float *out)
{
    int most = (int)(a->move * side + 0.5), dx = whole(key, DRAW_X, most), dy = whole(key, DRAW_Y, most);
    bool mirror = a->mirror && random_unit(key, DRAW_MIRROR) < 0.5;
    for (int y = 0; y < side; y++)
        for (int x = 0; x < side; x++) {
            int from_x = (mirror ? side - 1 - x : x) + dx, from_y = y + dy;
            bool inside = from_x >= 0 && from_x < side && from_y >= 0 && from_y < side;
            const uint8_t *from = inside ? pixels + ((size_t)from_y * (size_t)side + (size_t)from_x) * (size_t)channels : NULL;
            for (int c = 0; c < channels; c++) *out++ = from ? (float)from[c] : 0;
        }
}

/* ---- rotation and scale ---------------------------------------------------------------- */

/* Interpolates between the four neighbours of a place; beyond the image is black. */
static float sample(const uint8_t *pixels, int side, int channels, int c, double x, double y)
{
    int x0 = (int)floor(x), y0 = (int)floor(y);
    double wx = x - x0, wy = y - y0, sum = 0;
    for (int k = 0; k < 4; k++) {
        int px = x0 + (k & 1), py = y0 + (k >> 1);
        if (px < 0 || px >= side || py < 0 || py >= side) continue;
        sum += (k & 1 ? wx : 1 - wx) * (k >> 1 ? wy : 1 - wy) * pixels[((size_t)py * (size_t)side + (size_t)px) * (size_t)channels + (size_t)c];
    }
    return (float)sum;
}

/* Each place of the result is read at M (place - centre) + centre + move. */
static void transform(const uint8_t *pixels, int side, int channels, const augmentation *a, uint64_t key, float *out)
{
    double turn = within(key, DRAW_TURN, a->turn) * M_PI / 180, scale = a->scale > 0 ? exp(within(key, DRAW_SCALE, log(a->scale))) : 1;
    double shear = within(key, DRAW_SHEAR, a->shear), dx = within(key, DRAW_X, a->move * side), dy = within(key, DRAW_Y, a->move * side);
    double cosine = cos(turn) / scale, sine = sin(turn) / scale, centre = (side - 1) / 2.0;
    double m[2][2] = { { cosine, -sine + cosine * shear }, { sine, cosine + sine * shear } };
    for (int y = 0; y < side; y++)
        for (int x = 0; x < side; x++) {
            double u = x - centre, v = y - centre;
            double from_x = m[0][0] * u + m[0][1] * v + centre + dx, from_y = m[1][0] * u + m[1][1] * v + centre + dy;
            for (int c = 0; c < channels; c++) *out++ = sample(pixels, side, channels, c, from_x, from_y);
        }
}

void augment(const uint8_t *pixels, int side, int channels, const augmentation *a, uint64_t key, float *out)
{
    if (a->turn > 0 || a->scale > 0 || a->shear > 0) transform(pixels, side, channels, a, key, out);
    else move_and_mirror(pixels, side, channels, a, key, out);
}

/* ---- patches ----------------------------------------------------------------------------- */

void cut_patches(const float *samples, int side, int channels, int patch, const normalization *n, float *rows)
{
    int across = side / patch;
    for (int c = 0; c < channels; c++) {
        float factor = (float)(n->factor / n->deviation[c]), base = (float)(n->mean[c] / n->deviation[c]);
        for (int y = 0; y < side; y++)
            for (int x = 0; x < side; x++) {
                size_t row = (size_t)(y / patch) * (size_t)across + (size_t)(x / patch), column = ((size_t)c * (size_t)patch + (size_t)(y % patch)) * (size_t)patch + (size_t)(x % patch);
                rows[row * (size_t)(channels * patch * patch) + column] = samples[((size_t)y * (size_t)side + (size_t)x) * (size_t)channels + (size_t)c] * factor - base;
            }
    }
}
