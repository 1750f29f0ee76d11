/* Classes of pictures, and how good they are on a labelled set. */
#include "eval/image_classification.h"
#include "data/image_augment.h"
#include "data/image_set.h"
#include "data/metrics.h"
#include "infer/infer.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { AT_ONCE = 32 };

/* ---- pictures into a pass ---------------------------------------------------------------- */

typedef struct { const lithe_model *m; image_shape shape; image_pass pass; normalization normal; float *samples; } viewing;

static int viewing_open(viewing *v, const lithe_model *m, lithe_error *err)
{
    *v = (viewing){ .m = m };
    int status = image_pass_open(&v->pass, m, AT_ONCE, err);
    if (status) return status;
    v->shape = m->arch->equations.image(m->config);
    v->normal.factor = m->pictures.factor;
    for (int c = 0; c < 3; c++) {
        v->normal.mean[c] = m->pictures.mean[c];
        v->normal.deviation[c] = m->pictures.deviation[c];
    }
    v->samples = xalloc((size_t)v->shape.side * (size_t)v->shape.side * (size_t)v->shape.channels, sizeof *v->samples);
    return v->samples ? LITHE_OK : fail(err, LITHE_ENOMEM, "not enough memory for pictures of %d pixels a side", v->shape.side);
}

static void viewing_close(viewing *v)
{
    image_pass_close(&v->pass);
    free(v->samples);
}

/* Takes p, whatever its size, as the next picture of the pass. */
static int put_picture(viewing *v, image *p, const char *name, lithe_error *err)
{
    int status = image_fit(p, v->shape.side, v->shape.channels, (resize_filter)v->m->pictures.filter, name, err);
    if (status) return status;
    augment(p->pixels, v->shape.side, v->shape.channels, augmentation_find("none"), 0, v->samples);
    cut_patches(v->samples, v->shape.side, v->shape.channels, v->shape.patch, &v->normal, v->pass.patches);
    image_pass_add(&v->pass);
    return LITHE_OK;
}

/* ---- files ---------------------------------------------------------------------------------- */

int lithe_classify_images(lithe_model *m, const char *const *paths, size_t n, float *out, lithe_error *err)
{
    viewing v;
    if (failed(err)) return err->status;
    if (!m) return fail(err, LITHE_EINVAL, "there is no model");
    int status = viewing_open(&v, m, err), classes = m->task.labels;
    for (size_t first = 0; first < n && !status; first += AT_ONCE) {
        int count = n - first < AT_ONCE ? (int)(n - first) : AT_ONCE;
        for (int i = 0; i < count && !status; i++) {
            image p;
            status = image_read(&p, paths[first + (size_t)i], err);
            if (!status) status = put_picture(&v, &p, paths[first + (size_t)i], err);
            image_free(&p);
        }
        if (!status) status = image_pass_run(&v.pass, err);
        const real *z = v.pass.pass.r.logits->data;
        for (int i = 0; i < count * classes && !status; i++) out[first * (size_t)classes + (size_t)i] = (float)exp(-label_loss(z + i / classes * classes, classes, i % classes));
    }
    viewing_close(&v);
    return status ? status : classes;
}

/* ---- sets ------------------------------------------------------------------------------------ */

/* The names of the model's classes; their numbers where it has none. */
static char **class_names(const lithe_model *m)
{
    char text[16], **names = xalloc((size_t)m->task.labels + 1, sizeof *names);
    for (int i = 0; names && i < m->task.labels; i++) {
        const char *name = lithe_model_label(m, i);
        snprintf(text, sizeof text, "%d", i);
        names[i] = strdup(name ? name : text);
    }
    return names;
}

static image_set *open_test_part(const lithe_model *m, const char *path, lithe_error *err)
{
    image_set *s = image_set_open(&path, 1, err);
    char **names = s ? class_names(m) : NULL;
    int status = LITHE_OK;
    if (s && !names) status = fail(err, LITHE_ENOMEM, "not enough memory for %d classes", m->task.labels);
    if (s && !status && !image_set_keep(s, PART_TEST)) image_set_keep(s, PART_VALID);
    if (s && !status) status = image_set_relabel(s, names, m->task.labels, err);
    for (int i = 0; names && i < m->task.labels; i++) free(names[i]);
    free(names);
    if (!status) return s;
    image_set_close(s);
    return NULL;
}

typedef struct { int *predicted, *label; double loss; } judging;

static int judge_batch(viewing *v, const image_set *s, size_t first, int count, judging *j, lithe_error *err)
{
    int status = LITHE_OK, classes = v->pass.labels;
    for (int i = 0; i < count && !status; i++) {
        const image_item *item = image_set_item(s, first + (size_t)i);
        image p;
        status = image_item_read(item, &p, err);
        if (!status) status = put_picture(v, &p, item->name, err);
        image_free(&p);
        j->label[first + (size_t)i] = item->label;
    }
    if (!status) status = image_pass_run(&v->pass, err);
    if (status) return status;
    const real *z = v->pass.pass.r.logits->data;
    for (int i = 0; i < count; i++, z += classes) {
        j->predicted[first + (size_t)i] = label_of(z, classes);
        j->loss += label_loss(z, classes, j->label[first + (size_t)i]);
    }
    return LITHE_OK;
}

int evaluate_images(lithe_model *m, const char *path, lithe_evaluation *out, lithe_error *err)
{
    viewing v;
    judging j = { 0 };
    int status = viewing_open(&v, m, err);
    image_set *s = status ? NULL : open_test_part(m, path, err);
    size_t n = s ? image_set_count(s) : 0;
    if (!status && !s) status = failed(err) ? (int)err->status : LITHE_EFORMAT;
    if (!status) {
        j.predicted = xalloc(n + 1, sizeof *j.predicted);
        j.label = xalloc(n + 1, sizeof *j.label);
        if (!j.predicted || !j.label) status = fail(err, LITHE_ENOMEM, "not enough memory for %zu pictures", n);
    }
    for (size_t first = 0; first < n && !status; first += AT_ONCE) status = judge_batch(&v, s, first, n - first < AT_ONCE ? (int)(n - first) : AT_ONCE, &j, err);
    if (!status) {
        class_metrics c = metrics_of_classes(j.predicted, j.label, n, m->task.labels);
        *out = (lithe_evaluation){ .loss = j.loss / (double)n, .examples = n, .metrics = { c.accuracy, c.f1, c.matthews, NAN, NAN, NAN } };
    }
    free(j.predicted);
    free(j.label);
    image_set_close(s);
    viewing_close(&v);
    return status;
}
