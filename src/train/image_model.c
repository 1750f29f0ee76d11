/* The configuration of a new model for a dataset of images.  Side, channels and classes
 * are those of the data, the patch divides the side, and the remaining sizes follow
 * from the target number of parameters. */
#include "model/model.h"
#include "data/data.h"
#include <stdlib.h>

enum { LARGE_SIDE = 64, SMALL_ACROSS = 8, LARGE_ACROSS = 14, PATCH_MIN = 2 };

/* The divisor of the side that is nearest to an eighth of it, or to a fourteenth of a large side. */
static int usual_patch(int side)
{
    double target = (double)side / (side > LARGE_SIDE ? LARGE_ACROSS : SMALL_ACROSS);
    int best = side;
    if (target < PATCH_MIN) target = PATCH_MIN;
    for (int p = 1; p < side; p++)
        if (side % p == 0 && abs((int)(2 * target) - 2 * p) < abs((int)(2 * target) - 2 * best)) best = p;
    return best;
}

static json_t *classes_of(const lithe_dataset *d)
{
    json_t *by_id = json_object(), *by_name = json_object();
    char key[16];
    for (int i = 0; i < lithe_dataset_labels(d); i++) {
        snprintf(key, sizeof key, "%d", i);
        json_object_set_new(by_id, key, json_string(lithe_dataset_label(d, i)));
        json_object_set_new(by_name, lithe_dataset_label(d, i), json_integer(i));
    }
    return json_pack("{s:o? s:o?}", "id2label", by_id, "label2id", by_name);
}

char *lithe_model_size_images(const char *arch_name, double target, const lithe_dataset *d, int patch, lithe_error *err)
{
    int side, channels;
    if (failed(err)) return NULL;
    const arch *a = arch_find(arch_name);
    if (!lithe_dataset_images(d, &side, &channels)) { fail(err, LITHE_EINVAL, "the data are not images"); return NULL; }
    if (!a || !arch_reads_images(a)) {
        fail(err, LITHE_EINVAL, "%.60s is no architecture that reads images", arch_name ? arch_name : "(none)");
        return NULL;
    }
    if (patch < 0 || (patch && side % patch)) { fail(err, LITHE_EINVAL, "patches of %d do not divide a side of %d pixels", patch, side); return NULL; }
    json_t *keys = classes_of(d);
    if (keys) {
        json_object_set_new(keys, "image_size", json_integer(side));
        json_object_set_new(keys, "patch_size", json_integer(patch ? patch : usual_patch(side)));
        json_object_set_new(keys, "num_channels", json_integer(channels));
    }
    char *text = keys ? model_size(a, target, 1, 1, keys, err) : NULL;
    if (!keys) fail(err, LITHE_ENOMEM, "not enough memory for a configuration");
    json_decref(keys);
    return text;
}
