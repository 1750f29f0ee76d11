/* What a run is made of goes together, and what it predicts: chosen by the model's
 * task and the kind of its data. */
#include "model/fit.h"
#include "train/train.h"

int trainer_fit(const lithe_trainer *t, lithe_error *err)
{
    const lithe_dataset *d = t->data;
    demands from_data = { .data = d->dir, .tokenizer = t->tokenizer, .ctx = t->settings.ctx, .classes = lithe_dataset_labels(d),
                          .labelled = d->labels || d->images, .numbers = d->labels && d->labels->regression };
    from_data.vocab = d->images ? 0 : d->labels ? d->labels->vocab : d->train.header.vocab;
    lithe_dataset_images(d, &from_data.images.side, &from_data.images.channels);
    return model_fit(t->model, &from_data, err);
}

static int image_objective(objective *o, const lithe_model *m, const lithe_dataset *d, const settings *s, lithe_error *err)
{
    if (!d->images->train.count || !d->images->valid.count) return fail(err, LITHE_ECONFIG, "%s: holds no images to train on, or none to validate", d->dir);
    objective_settings z = s->objective;
    z.pictures = (picture_settings){ .patch = m->arch->equations.image(m->config).patch, .normal.factor = m->pictures.factor, .way = augmentation_find(s->augment ? s->augment : "none") };
    for (int c = 0; c < 3; c++) {
        z.pictures.normal.mean[c] = m->pictures.mean[c];
        z.pictures.normal.deviation[c] = m->pictures.deviation[c];
    }
    return objective_open(o, &predict_images, d, NULL, &z, s->ctx, s->seed, err);
}

int trainer_objective(objective *o, const lithe_model *m, const lithe_dataset *d, const lithe_tokenizer *t, const settings *s, lithe_error *err)
{
    *o = (objective){ 0 };
    if (failed(err)) return err->status;
    if (d->images) return image_objective(o, m, d, s, err);
    const objective_kind *kind = d->labels ? &predict_labels : m->task.kind == TASK_PRETRAIN ? &predict_pairs : !arch_encoder(m->arch, m->config) ? &predict_next
                               : s->objective.sentences ? &predict_sentences : &predict_masked;
    return objective_open(o, kind, d, t, &s->objective, s->ctx, s->seed, err);
}
