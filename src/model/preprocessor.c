/* preprocessor_config.json says how an image is prepared for a model, in the format
 * of Hugging Face's ViTImageProcessor: the image is resized to `size` with PIL's filter
 * number `resample`, the middle of `crop_size` is cut out if do_center_crop says so, and each channel becomes
 * (sample * rescale_factor - image_mean) / image_std.  A step whose do_... key is false is left out, and a key that
 * is not known is refused.
 * Invariant: reading what was written gives the same numbers. */
#include "model/model.h"
#include "base/json.h"
#include "base/keys.h"
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

static const known_key known[] = {
    { .key = "do_resize" }, { .key = "size" }, { .key = "resample" }, { .key = "do_center_crop" }, { .key = "crop_size" }, { .key = "do_rescale" },
    { .key = "rescale_factor" }, { .key = "rescale_offset" }, { .key = "offset" }, { .key = "do_normalize" }, { .key = "image_mean" }, { .key = "image_std" },
    /* The class is the model's; every image is converted to the channels of the model. */
    { "image_processor_type", "*" }, { "feature_extractor_type", "*" }, { "processor_class", "*" }, { "_processor_class", "*" }, { "auto_map", "*" },
    { "do_convert_rgb", "*" }, { "default_to_square", "*" },
    /* how arrays are given and returned */
    { "data_format", "*" }, { "input_data_format", "*" }, { "return_tensors", "*" }, { "device", "*" }, { "disable_grouping", "*" }, { "_valid_processor_keys", "*" },
    { "image_seq_length", "null" }, { "pad_size", "null" }, { "transformers_version", "*" },
    { 0 }
};

/* A list of as many numbers as there are channels, or one number for all. */
static int read_list(const json_t *json, const char *key, int channels, double *out, const char *path, lithe_error *err)
{
    const json_t *list = json_object_get(json, key);
    if (!list || json_is_null(list)) return LITHE_OK;
    if (json_is_array(list) && json_array_size(list) != (size_t)channels)
        return fail(err, LITHE_ECONFIG, "%s: %s has %zu numbers, the model %d channels", path, key, json_array_size(list), channels);
    for (int c = 0; c < channels; c++) {
        const json_t *value = json_is_array(list) ? json_array_get(list, (size_t)c) : list;
        out[c] = json_number_value(value);
        if (!json_is_number(value) || !isfinite(out[c]))
            return fail(err, LITHE_ECONFIG, "%s: %s holds no number at place %d", path, key, c);
    }
    return LITHE_OK;
}

/* {"height", "width"}, {"shortest_edge"} or, in older files, one number.  Gives 0 and 0 where the key is absent. */
typedef struct { int64_t height, width; bool shortest; } stated_size;
static stated_size read_size(const json_t *json, const char *key)
{
    const json_t *size = json_object_get(json, key), *shortest = json_object_get(size, "shortest_edge");
    const bool one = json_is_integer(size) || (json_is_integer(shortest) && json_object_size(size) == 1);
    if (one) return (stated_size){ json_integer_value(shortest ? shortest : size), json_integer_value(shortest ? shortest : size), shortest != NULL };
    return (stated_size){ json_integer_value(json_object_get(size, "height")), json_integer_value(json_object_get(size, "width")), false };
}

/* What is cut out of the middle, or else what images are resized to, is what the model reads. */
static int read_sizes(preprocessor *p, const json_t *json, int side, const char *path, lithe_error *err)
{
    enum { MOST = 4096 };
    const bool crop = json_is_true(json_object_get(json, "do_center_crop"));
    const stated_size size = read_size(json, "size"), last = crop ? read_size(json, "crop_size") : size;
    if (!wanted(json, "do_resize")) return crop ? fail(err, LITHE_ECONFIG, "%s: do_center_crop without do_resize is not supported", path) : LITHE_OK;
    if (!json_object_get(json, crop ? "crop_size" : "size")) return crop ? fail(err, LITHE_ECONFIG, "%s: do_center_crop needs crop_size", path) : LITHE_OK;
    if (last.height != side || last.width != side || last.shortest)
        return fail(err, LITHE_ECONFIG, "%s: %s %lld x %lld, the model reads %d x %d", path, crop ? "cuts out" : "resizes to", (long long)last.width,
                    (long long)last.height, side, side);
    if (!crop) return LITHE_OK;
    if (size.height != size.width || size.height < 1 || size.height > MOST)
        return fail(err, LITHE_ECONFIG, "%s: resizes to %lld x %lld, expected a square, or a shortest_edge, of at most %d", path, (long long)size.width, (long long)size.height, MOST);
    p->resize = (int)size.height;
    p->shortest = size.shortest;
    return LITHE_OK;
}

/* An offset takes 1 from every sample after it is multiplied. */
static double offset_of(const json_t *json)
{
    return json_is_true(json_object_get(json, "rescale_offset")) || json_is_true(json_object_get(json, "offset")) ? 1 : 0;
}

static int parse(preprocessor *p, const json_t *json, image_shape shape, const char *path, lithe_error *err)
{
    const json_t *filter = json_object_get(json, "resample"), *factor = json_object_get(json, "rescale_factor");
    if (keys_check(json, known, path, err)) return LITHE_ECONFIG;
    if (json_is_integer(filter)) p->filter = (int)json_integer_value(filter);
    if (json_is_number(factor)) p->factor = json_number_value(factor);
    if (p->filter < 0 || p->filter >= FILTERS)
        return fail(err, LITHE_ECONFIG, "%s: resample is %d, expected 0 to %d", path, p->filter, FILTERS - 1);
    if (!(fabs(p->factor) > 0) || !isfinite(p->factor)) return fail(err, LITHE_ECONFIG, "%s: rescale_factor is %g", path, p->factor);
    int status = read_sizes(p, json, shape.side, path, err);
    if (!status) status = read_list(json, "image_mean", shape.channels, p->mean, path, err);
    if (!status) status = read_list(json, "image_std", shape.channels, p->deviation, path, err);
    const double offset = wanted(json, "do_rescale") ? offset_of(json) : 0;
    if (!wanted(json, "do_rescale")) p->factor = 1;
    for (int c = 0; c < 3 && !status; c++) {
        if (!wanted(json, "do_normalize")) p->mean[c] = 0, p->deviation[c] = 1;
        p->mean[c] += offset;
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
    const int size = p->resize ? p->resize : shape.side;
    json_t *json = json_pack("{s:b s:b s:b s:s s:o? s:o? s:i s:f}", "do_normalize", 1, "do_rescale", 1, "do_resize", 1,
                             "image_processor_type", "ViTImageProcessor", "image_mean", list_of(p->mean, shape.channels), "image_std", list_of(p->deviation, shape.channels),
                             "resample", p->filter, "rescale_factor", p->factor);
    bool bad = !json || json_object_set_new(json, "size", p->shortest ? json_pack("{s:i}", "shortest_edge", size) : json_pack("{s:i s:i}", "height", size, "width", size));
    if (!bad && p->resize) bad = json_object_set_new(json, "do_center_crop", json_true())
                              || json_object_set_new(json, "crop_size", json_pack("{s:i s:i}", "height", shape.side, "width", shape.side));
    if (!bad) return json;
    json_decref(json);
    return NULL;
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
