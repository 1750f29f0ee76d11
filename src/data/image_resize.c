/* Resampling as PIL's ImagingResample, bit for bit.  Output pixel x is centred
 * at (x + 1/2) scale of the input; its weights are the filter stretched by
 * max(scale, 1), normalized, and rounded to 22 fractional bits; between the two
 * passes values are 8 bits.  Nearest takes the pixel under the centre. */
#include "data/image.h"
#include "base/arena.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { BITS = 32 - 8 - 2 };

/* ---- filters ---------------------------------------------------------------------- */

static double box(double x) { return x > -0.5 && x <= 0.5 ? 1 : 0; }
static double triangle(double x) { return fabs(x) < 1 ? 1 - fabs(x) : 0; }
static double sinc(double x) { return fabs(x) > 0 ? sin(x * M_PI) / (x * M_PI) : 1; }
static double lanczos(double x) { return x >= -3 && x < 3 ? sinc(x) * sinc(x / 3) : 0; }
static double hamming(double x) { return fabs(x) >= 1 ? 0 : fabs(x) > 0 ? sinc(x) * (0.54 + 0.46 * cos(x * M_PI)) : 1; }

/* Keys 1981 with a = -1/2. */
static double cubic(double x)
{
    const double a = -0.5;
    x = fabs(x);
    if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
    return x < 2 ? (((x - 5) * x + 8) * x - 4) * a : 0;
}

static const struct { double (*value)(double), support; } filters[RESIZE_FILTERS] = {
    [RESIZE_LANCZOS] = { lanczos, 3 }, [RESIZE_BILINEAR] = { triangle, 1 }, [RESIZE_BICUBIC] = { cubic, 2 },
    [RESIZE_BOX] = { box, 0.5 }, [RESIZE_HAMMING] = { hamming, 1 },
};

/* ---- weights ---------------------------------------------------------------------- */

/* Of each output position: inputs first .. first+count-1 with weight[taps * position ...]. */
typedef struct { int taps, *first, *count, *weight; double *value; } weights;

static void weights_free(weights *w)
{
    free(w->first);
    free(w->count);
    free(w->weight);
    free(w->value);
}

static void fill_position(weights *w, int x, int in, double scale, resize_filter f)
{
    double stretch = fmax(scale, 1), support = filters[f].support * stretch, centre = (x + 0.5) * scale, sum = 0;
    int first = (int)fmax(centre - support + 0.5, 0), end = (int)fmin(centre + support + 0.5, in);
    for (int i = 0; i < end - first; i++) sum += w->value[i] = filters[f].value((i + first - centre + 0.5) / stretch);
    for (int i = 0; i < end - first; i++) {
        double k = (fabs(sum) > 0 ? w->value[i] / sum : w->value[i]) * (1 << BITS);
        w->weight[(size_t)x * (size_t)w->taps + (size_t)i] = (int)(k < 0 ? k - 0.5 : k + 0.5);
    }
    w->first[x] = first;
    w->count[x] = end - first;
}

static bool weights_make(weights *w, int in, int out, resize_filter f)
{
    double scale = (double)in / out;
    *w = (weights){ .taps = (int)ceil(filters[f].support * fmax(scale, 1)) * 2 + 1 };
    w->first = xalloc((size_t)out, sizeof *w->first);
    w->count = xalloc((size_t)out, sizeof *w->count);
    w->weight = xalloc((size_t)out * (size_t)w->taps, sizeof *w->weight);
    w->value = xalloc((size_t)w->taps, sizeof *w->value);
    if (!w->first || !w->count || !w->weight || !w->value) return false;
    for (int x = 0; x < out; x++) fill_position(w, x, in, scale, f);
    return true;
}

/* ---- one direction at a time -------------------------------------------------------- */

static uint8_t clip(int sum)
{
    int v = sum >> BITS;
    return (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v);
}

/* y[0 .. n-1], a step apart, from x, a step apart: a row of one channel, or a column. */
static void resample(uint8_t *y, const uint8_t *x, size_t step, int n, const weights *w)
{
    for (int o = 0; o < n; o++) {
        const int *k = w->weight + (size_t)o * (size_t)w->taps;
        const uint8_t *from = x + (size_t)w->first[o] * step;
        int sum = 1 << (BITS - 1);
        for (int i = 0; i < w->count[o]; i++) sum += from[(size_t)i * step] * k[i];
        y[(size_t)o * step] = clip(sum);
    }
}

static void columns(image *to, const image *from, const weights *w)
{
    size_t c = (size_t)from->channels;
    for (size_t y = 0; y < (size_t)from->height; y++)
        for (size_t k = 0; k < c; k++)
            resample(to->pixels + y * (size_t)to->width * c + k, from->pixels + y * (size_t)from->width * c + k, c, to->width, w);
}

static void rows(image *to, const image *from, const weights *w)
{
    size_t stride = (size_t)from->width * (size_t)from->channels;
    for (size_t x = 0; x < stride; x++) resample(to->pixels + x, from->pixels + x, stride, to->height, w);
}

static int pass(image *i, int width, int height, resize_filter f, const char *name, lithe_error *err)
{
    image out;
    weights w;
    bool wide = width != i->width;
    if (!wide && height == i->height) return LITHE_OK;
    int status = image_new(&out, width, height, i->channels, name, err);
    if (status) return status;
    if (weights_make(&w, wide ? i->width : i->height, wide ? width : height, f)) (wide ? columns : rows)(&out, i, &w);
    else status = fail(err, LITHE_ENOMEM, "%s: not enough memory to resize it", name);
    weights_free(&w);
    image *gone = status ? &out : i;
    image_free(gone);
    if (!status) *i = out;
    return status;
}

static int nearest(image *i, int width, int height, const char *name, lithe_error *err)
{
    image out;
    int status = image_new(&out, width, height, i->channels, name, err);
    if (status) return status;
    size_t c = (size_t)i->channels;
    uint8_t *to = out.pixels;
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++, to += c) {
            size_t row = (size_t)((y + 0.5) * i->height / height), column = (size_t)((x + 0.5) * i->width / width);
            memcpy(to, i->pixels + (row * (size_t)i->width + column) * c, c);
        }
    image_free(i);
    *i = out;
    return LITHE_OK;
}

int image_resize(image *i, int width, int height, resize_filter f, const char *name, lithe_error *err)
{
    if (failed(err)) return err->status;
    if (width == i->width && height == i->height) return LITHE_OK;
    if (f == RESIZE_NEAREST) return nearest(i, width, height, name, err);
    int status = pass(i, width, i->height, f, name, err);
    return status ? status : pass(i, width, height, f, name, err);
}

/* transformers' rounding. */
static int crop_middle(image *i, int side, const char *name, lithe_error *err)
{
    image out;
    if (i->width == side && i->height == side) return LITHE_OK;
    int status = image_new(&out, side, side, i->channels, name, err);
    if (status) return status;
    const int wide = i->width < side ? i->width : side, high = i->height < side ? i->height : side;
    const int left = (i->width - wide) / 2, top = (i->height - high) / 2, x = (side - wide) / 2, y = (side - high) / 2;
    const size_t c = (size_t)i->channels;
    for (int row = 0; row < high; row++)
        memcpy(out.pixels + ((size_t)(y + row) * (size_t)side + (size_t)x) * c, i->pixels + ((size_t)(top + row) * (size_t)i->width + (size_t)left) * c, (size_t)wide * c);
    image_free(i);
    *i = out;
    return LITHE_OK;
}

int image_fit(image *i, const image_fitting *f, const char *name, lithe_error *err)
{
    int status = image_channels(i, f->channels, name, err);
    const int64_t size = f->resize ? f->resize : f->side, least = i->width < i->height ? i->width : i->height;
    const int64_t width = f->shortest ? size * i->width / least : size, height = f->shortest ? size * i->height / least : size;
    if (!status && (width > IMAGE_SIDE || height > IMAGE_SIDE))
        status = fail(err, LITHE_EFORMAT, "%s: an image of %d x %d pixels becomes one of %lld x %lld", name, i->width, i->height, (long long)width, (long long)height);
    if (!status) status = image_resize(i, (int)width, (int)height, f->filter, name, err);
    return status ? status : crop_middle(i, f->side, name, err);
}
