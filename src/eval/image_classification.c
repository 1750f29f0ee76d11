/* Classifies images, and evaluates a model's classes on a labelled set. */
#include "eval/classification.h"
#include "lithe_eval.h"
#include "base/progress.h"
#include "base/softmax.h"
#include "data/image_augment.h"
#include "data/image_set.h"
#include "data/metrics.h"
#include "infer/engine.h"
#include <stdlib.h>

enum { AT_ONCE = 32 };

/* ---- images into a pass ------------------------------------------------------------------ */

typedef struct { lithe_engine *engine; pass *pass; const preprocessor *how; image_shape shape; normalization normal; float *samples; real *patches; } classifier;

static int classifier_open(classifier *v, lithe_model *m, lithe_error *err)
{
    const image_shape shape = arch_images(m->arch, m->config);
    *v = (classifier){ .how = &m->preprocessor, .shape = shape };
    if (must_read_images(m, err) || !(v->engine = engine_of_whole(m, err))) return err ? (int)err->status : LITHE_EINVAL;
    int tokens = lithe_model_context(m), status = engine_whole(v->engine, &(whole_pass){ .want = WANT_LOGITS, .rows = tokens * AT_ONCE, .seqs = AT_ONCE }, &v->pass, err);
    if (status) return status;
    v->normal.factor = m->preprocessor.factor;
    for (int c = 0; c < 3; c++) {
        v->normal.mean[c] = m->preprocessor.mean[c];
        v->normal.deviation[c] = m->preprocessor.deviation[c];
    }
    v->samples = xalloc((size_t)shape.side * (size_t)shape.side * (size_t)shape.channels, sizeof *v->samples);
    v->patches = xalloc((size_t)(tokens - 1) * (size_t)v->pass->batch.capacity.patch_width, sizeof *v->patches);
    return v->samples && v->patches ? LITHE_OK : fail(err, LITHE_ENOMEM, "not enough memory for images of %d pixels a side", shape.side);
}

static void classifier_close(classifier *v)
{
    lithe_engine_close(v->engine);
    free(v->samples);
    free(v->patches);
}

/* Takes p, whatever its size, as the next image of the pass. */
static int put_image(classifier *v, image *p, const char *name, lithe_error *err)
{
    const preprocessor *q = v->how;
    const image_fitting f = { v->shape.side, v->shape.channels, (resize_filter)q->filter, q->resize, q->shortest };
    int status = image_fit(p, &f, name, err);
    if (status) return status;
    augment(p->pixels, v->shape.side, v->shape.channels, augmentation_find("none"), 0, v->samples);
    cut_patches(v->samples, v->shape.side, v->shape.channels, v->shape.patch, &v->normal, v->patches);
    batch_add(&v->pass->batch, &(batch_sequence){ .n = lithe_model_context(engine_model(v->engine)), .patches = v->patches, .tokens = v->shape.tokens });
    return LITHE_OK;
}

/* ---- images from anywhere ---------------------------------------------------------------- */

/* `read` gives image i, which messages call by `name`, and `take` gets its logits. */
typedef struct {
    int  (*read)(void *context, size_t i, image *out, const char **name, lithe_error *err);
    void (*take)(void *context, size_t i, const real *logits);
    void *context;
} image_task;

static int read_batch(classifier *v, const image_task *t, size_t first, size_t count, lithe_error *err)
{
    int status = LITHE_OK;
    batch_begin(&v->pass->batch);
    for (size_t i = 0; i < count && !status; i++) {
        const char *name = "";
        image p = { 0 };
        status = t->read(t->context, first + i, &p, &name, err);
        if (!status) status = put_image(v, &p, name, err);
        image_free(&p);
    }
    if (!status) status = pass_answer(v->pass, engine_model(v->engine), err);
    for (size_t i = 0; i < count && !status; i++) t->take(t->context, first + i, v->pass->r.logits->data + i * (size_t)v->pass->r.logits->width);
    return status;
}

/* Reads images for lithe_classify_images and evaluate_images alike. */
static int read_images(lithe_model *m, size_t n, const image_task *t, lithe_error *err)
{
    classifier v;
    int status = classifier_open(&v, m, err);
    for (size_t first = 0; first < n && !status && !(status = progress_tell("looking at the images", (double)first, (double)n, err)); first += AT_ONCE)
        status = read_batch(&v, t, first, n - first < AT_ONCE ? n - first : AT_ONCE, err);
    classifier_close(&v);
    return status;
}

/* ---- files ---------------------------------------------------------------------------------- */

typedef struct { const char *const *paths; int classes; float *out; } files;

static int read_path(void *context, size_t i, image *out, const char **name, lithe_error *err)
{
    const files *f = context;
    *name = f->paths[i];
    return image_read(out, *name, err);
}

static void take_probabilities(void *context, size_t i, const real *logits)
{
    const files *f = context;
    softmax_probabilities(logits, f->classes, f->out + i * (size_t)f->classes);
}

int lithe_classify_images(lithe_model *m, const char *const *paths, size_t n, float *out, lithe_error *err)
{
    if (failed(err)) return err->status;
    if (!m) return fail(err, LITHE_EINVAL, "there is no model");
    files f = { paths, m->task.labels, out };
    int status = read_images(m, n, &(image_task){ read_path, take_probabilities, &f }, err);
    return status ? status : f.classes;
}

/* ---- sets without classes -------------------------------------------------------------------- */

typedef struct { const image_set *set; size_t first; files to; } part_of_set;

static int read_part(void *context, size_t i, image *out, const char **name, lithe_error *err)
{
    const part_of_set *p = context;
    const image_item item = image_set_item(p->set, p->first + i);
    *name = item.name;
    return image_item_read(&item, out, err);
}

static void take_part(void *context, size_t i, const real *logits) { take_probabilities(&((part_of_set *)context)->to, i, logits); }

lithe_image_set *lithe_image_set_open(const char *const *paths, int n, lithe_error *err)
{
    if (failed(err)) return NULL;
    if (n < 1 || !paths) { fail(err, LITHE_EINVAL, "there is no path of images"); return NULL; }
    return image_set_unlabelled(paths, n, err);
}
void        lithe_image_set_close(lithe_image_set *s)                     { image_set_close(s); }
size_t      lithe_image_set_count(const lithe_image_set *s)               { return s ? image_set_count(s) : 0; }
const char *lithe_image_set_name(const lithe_image_set *s, size_t i)      { return i < lithe_image_set_count(s) ? image_set_item(s, i).name : NULL; }
const char *lithe_image_set_left_out(lithe_image_set *s, lithe_error *err) { return s ? image_set_left_out(s, err) : NULL; }

int lithe_classify_image_set(lithe_model *m, const lithe_image_set *s, size_t first, size_t n, float *out, lithe_error *err)
{
    if (failed(err)) return err->status;
    if (!m || !s || first > image_set_count(s) || n > image_set_count(s) - first) return fail(err, LITHE_EINVAL, "there is no model, or no such image of the set");
    part_of_set p = { s, first, { .classes = m->task.labels, .out = out } };
    int status = read_images(m, n, &(image_task){ read_part, take_part, &p }, err);
    if (!status) status = image_set_intact(s, err);
    return status ? status : p.to.classes;
}

/* ---- sets ------------------------------------------------------------------------------------ */

static image_set *open_test_part(const lithe_model *m, const char *path, lithe_error *err)
{
    label_names names = { 0 };
    image_set *s = image_set_open(&path, 1, err);
    if (s && !image_set_keep(s, PART_TEST)) image_set_keep(s, PART_VALID);
    int status = s ? class_names(m, &names, err) : LITHE_EFORMAT;
    if (!status) status = image_set_relabel(s, &names, err);
    names_free(&names);
    if (!status) return s;
    image_set_close(s);
    return NULL;
}

typedef struct { const image_set *set; outcomes outcomes; } judging;

static int read_item(void *context, size_t i, image *out, const char **name, lithe_error *err)
{
    const image_item item = image_set_item(((const judging *)context)->set, i);
    *name = item.name;
    return image_item_read(&item, out, err);
}

static void take_outcome(void *context, size_t i, const real *logits)
{
    judging *j = context;
    outcomes_add(&j->outcomes, logits, image_set_item(j->set, i).label, 0);
}

int evaluate_images(lithe_model *m, const char *path, lithe_evaluation *out, size_t *confusion, lithe_error *err)
{
    if (failed(err) || must_read_images(m, err)) return err ? (int)err->status : LITHE_EINVAL;
    image_set *s = open_test_part(m, path, err);
    if (!s) return failed(err) ? (int)err->status : LITHE_EFORMAT;
    judging j = { .set = s };
    int status = outcomes_open(&j.outcomes, m->task.labels, image_set_count(s), err);
    if (!status) status = read_images(m, image_set_count(s), &(image_task){ read_item, take_outcome, &j }, err);
    if (!status) status = image_set_intact(s, err);
    const char *left_out = status ? NULL : image_set_left_out(s, err);
    if (!status) *out = outcomes_evaluation(&j.outcomes);
    if (!status && confusion) outcomes_confusion(&j.outcomes, confusion);
    if (left_out) snprintf(out->notice, sizeof out->notice, "left out: %s", left_out);
    outcomes_close(&j.outcomes);
    image_set_close(s);
    return status;
}
