/* What a run is made of goes together, and what it predicts: chosen by the model's
 * task and the kind of its data. */
#include "model/fit.h"
#include "train/train.h"

int trainer_fit(const lithe_trainer *t, lithe_error *err)
{
    const lithe_dataset *d = t->data;
    const demands from_data = { .data = d->dir, .tokenizer = t->tokenizer, .ctx = t->settings.ctx, .vocab = d->vocab, .classes = d->names.count,
                                .labelled = d->labelled, .numbers = d->numbers, .images = { .side = d->side, .channels = d->channels } };
    return model_fit(t->model, &from_data, err);
}

text_task trainer_task(const lithe_model *m, const settings *s)
{
    if (m->task.kind == TASK_PRETRAIN) return LEARN_PAIRS;
    if (!arch_encoder(m->arch, m->config)) return LEARN_NEXT;
    return s->objective.sentences ? LEARN_SENTENCES : LEARN_MASKED;
}

/* How m has images cut and normalized, and how they are varied; nothing of one that reads text. */
static image_settings image_settings_of(const lithe_model *m, const settings *s)
{
    image_settings z = { .patch = arch_images(m->arch, m->config).patch, .normal.factor = m->pictures.factor,
                         .augmentation = augmentation_find(s->augment ? s->augment : "none") };
    for (int c = 0; c < 3; c++) {
        z.normal.mean[c] = m->pictures.mean[c];
        z.normal.deviation[c] = m->pictures.deviation[c];
    }
    return z;
}

int trainer_objective(objective *o, const lithe_model *m, const lithe_dataset *d, const lithe_tokenizer *t, const settings *s, lithe_error *err)
{
    objective_settings z = s->objective;
    *o = (objective){ 0 };
    if (failed(err)) return err->status;
    z.images = image_settings_of(m, s);
    return objective_open(o, d->kind->objective(trainer_task(m, s)), d, t, &z, s->ctx, s->seed, err);
}
