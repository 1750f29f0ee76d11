/* preprocessor_config.json says how an image is prepared for a model, in the format
 * of Hugging Face's ViTImageProcessor: the image is resized to `size` with PIL's filter
 * number `resample`, and each channel becomes (sample * rescale_factor - image_mean) / image_std.
 * A step whose do_... key is false is left out.
 * Invariant: reading what was written gives the same numbers. */
#include "model/model.h"
#include "base/json.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { BYTES = 1 << 20, DEPTH = 8, FILTERS = 6, BILINEAR = 2 };
static const char NAME[] = "preprocessor_config.json";

/* The defaults of ViTImageProcessor. */
preprocessor preprocessor_default(void)
{
    return (preprocessor){ .filter = BILINEAR, .factor = 1.0 / 255, .mean = { 0.5, 0.5, 0.5 }, .deviation = { 0.5, 0.5, 0.5 } };
}

static bool wanted(const json_t *json, const char *key) { return !json_is_false(json_object_get(json, key)); }

static int read_list(const json_t *json, const char *key, int channels, double *out, const char *path, lithe_error *err)
{
    const json_t *list = json_object_get(json, key);
    if (!list) return LITHE_OK;
    if (json_array_size(list) != (size_t)channels)
        return fail(err, LITHE_ECONFIG, "%s: %s has %zu numbers, the model %d channels", path, key, json_array_size(list), channels);
    for (int c = 0; c < channels; c++) {
        const json_t *value = json_array_get(list, (size_t)c);
        out[c] = json_number_value(value);
        if (!json_is_number(value) || !isfinite(out[c]))
            return fail(err, LITHE_ECONFIG, "%s: %s holds no number at place %d", path, key, c);
    }
    return LITHE_OK;
}

/* size is {"height", "width"} or, in older files, one number. */
static int check_size(const json_t *json, int side, const char *path, lithe_error *err)
{
    const json_t *size = json_object_get(json, "size"), *height = json_is_object(size) ? json_object_get(size, "height") : size;
    const json_t *width = json_is_object(size) ? json_object_get(size, "width") : size;
    if (!size || !wanted(json, "do_resize")) return LITHE_OK;
    if (json_integer_value(height) == side && json_integer_value(width) == side) return LITHE_OK;
    return fail(err, LITHE_ECONFIG, "%s: resizes to %lld x %lld, the model reads %d x %d", path, (long long)json_integer_value(width),
                (long long)json_integer_value(height), side, side);
}

static int parse(preprocessor *p, const json_t *json, image_shape shape, const char *path, lithe_error *err)
{
    const json_t *filter = json_object_get(json, "resample"), *factor = json_object_get(json, "rescale_factor");
    if (json_is_integer(filter)) p->filter = (int)json_integer_value(filter);
    if (json_is_number(factor)) p->factor = json_number_value(factor);
    if (p->filter < 0 || p->filter >= FILTERS)
        return fail(err, LITHE_ECONFIG, "%s: resample is %d, expected 0 to %d", path, p->filter, FILTERS - 1);
    if (!(fabs(p->factor) > 0) || !isfinite(p->factor)) return fail(err, LITHE_ECONFIG, "%s: rescale_factor is %g", path, p->factor);
    int status = check_size(json, shape.side, path, err);
    if (!status) status = read_list(json, "image_mean", shape.channels, p->mean, path, err);
    if (!status) status = read_list(json, "image_std", shape.channels, p->deviation, path, err);
    if (!wanted(json, "do_rescale")) p->factor = 1;
    for (int c = 0; c < 3 && !status; c++) {
        if (!wanted(json, "do_normalize")) p->mean[c] = 0, p->deviation[c] = 1;
        if (!(p->deviation[c] > 0)) status = fail(err, LITHE_ECONFIG, "%s: image_std is %g, expected more than 0", path, p->deviation[c]);
    }
    p->known = true;
    return status;
}

int preprocessor_parse(preprocessor *p, const json_t *json, image_shape shape, const char *what, lithe_error *err)
{
    *p = preprocessor_default();
    return failed(err) ? (int)err->status : shape.side && json ? parse(p, json, shape, what, err) : LITHE_OK;
}

int preprocessor_read(preprocessor *p, const char *dir, image_shape shape, lithe_error *err)
{
    char *path = failed(err) ? NULL : path_join(dir, NAME);
    if (!path) return fail(err, LITHE_ENOMEM, "%s: not enough memory to open it", dir);
    json_t *json = shape.side && path_exists(path) ? json_read(path, BYTES, DEPTH, err) : NULL;
    int status = preprocessor_parse(p, json, shape, path, err);
    json_decref(json);
    free(path);
    return status;
}

static json_t *list_of(const double *x, int n)
{
    json_t *list = json_array();
    for (int i = 0; i < n; i++) json_array_append_new(list, json_real(x[i]));
    return list;
}

json_t *preprocessor_json(const preprocessor *p, image_shape shape)
{
    return json_pack("{s:b s:b s:b s:s s:o? s:o? s:i s:f s:{s:i s:i}}", "do_normalize", 1, "do_rescale", 1, "do_resize", 1,
                     "image_processor_type", "ViTImageProcessor", "image_mean", list_of(p->mean, shape.channels), "image_std", list_of(p->deviation, shape.channels),
                     "resample", p->filter, "rescale_factor", p->factor, "size", "height", shape.side, "width", shape.side);
}

int preprocessor_write(const preprocessor *p, const char *dir, image_shape shape, lithe_error *err)
{
    if (!shape.side) return LITHE_OK;
    char *path = failed(err) ? NULL : path_join(dir, NAME);
    json_t *json = preprocessor_json(p, shape);
    int status = path && json ? json_write(json, path, err) : fail(err, LITHE_ENOMEM, "%s: not enough memory to write %s", dir, NAME);
    json_decref(json);
    free(path);
    return status;
}
