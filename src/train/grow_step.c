/* Growing inside a run, by the options of lithe_model_grow: weights and moments go through the same map, the graphs are
 * planned again, a larger vocabulary brings its data, and training continues with the larger model at the next step.
 * New rows count their bias correction from the present number of updates.
 * A growth that breaks what its method promises is refused.
 * Invariant: the checkpoint that follows is complete by itself. */
#include "base/random.h"
#include "train/trainer.h"
#include <stdlib.h>

/* Measures the largest difference between the logits of both models, over one window. */
static int compare(lithe_trainer *t, lithe_model *large, lithe_growth *report, lithe_error *err)
{
    batch_builder *b = t->valid.pass.g ? &t->valid.pass.batch : trainer_batch(t);
    batch_begin(b);
    if (t->valid.pass.g) objective_valid(&t->objective, b, 0);
    else objective_train(&t->objective, b, 1, 0);
    return lithe_compare(t->model, large, b->ids, (size_t)b->rows, report, err);
}

/* Makes the larger model the trainer's, with the tokenizer `to` where its vocabulary is another (else NULL), and maps
 * the old moments to its moments. */
static int replace_model(lithe_trainer *t, const growth *map, lithe_model *large, lithe_tokenizer *to, lithe_error *err)
{
    optimizer *o = &t->optimizer;
    size_t bytes = o->params->arena_count * sizeof(real);
    real *m = o->m, *v = o->v;
    o->m = o->v = NULL;
    lithe_model *small = t->own_model;                      /* NULL while the model belongs to the caller */
    groups_begin(large, o->updates, false);
    t->model = t->own_model = large;
    int status = to ? trainer_take_vocabulary(t, to, err) : LITHE_OK;
    if (!status) status = trainer_prepare(t, err);
    if (!status) status = model_adopt_config(large, DT_F32, t->tokenizer, err);
    if (!status) growth_moments(map, large, m, v, o->m, o->v);
    optimizer_drop(o);
    big_free(m, bytes);
    big_free(v, bytes);
    lithe_model_close(small);
    return status;
}

/* Grows the model, and measures whether it does what is promised. */
static lithe_model *larger_model(lithe_trainer *t, const growth *map, lithe_growth *report, lithe_error *err)
{
    lithe_model *large = map ? growth_apply(map, err) : NULL;
    int status = large ? compare(t, large, report, err) : LITHE_EINVAL;
    if (!status && !lithe_growth_kept(report))
        status = fail(err, LITHE_EMISMATCH, "step %d: method %s promises the same outputs, yet one differs by %.3g; the run stays as it was before growing",
                      t->progress.step, report->method, report->max_difference);
    if (!status) return large;
    lithe_model_close(large);
    return NULL;
}

int trainer_grow(lithe_trainer *t, lithe_growth *report, lithe_error *err)
{
    progress *p = &t->progress;
    lithe_grow_options o;
    lithe_tokenizer *to = NULL;
    char *text;
    int status = settings_growth(&t->settings, p->grown, &o, &text, err);
    if (!status) status = trainer_collect(t, true, err);
    if (!status && t->settings.growths[p->grown].kind == GROW_VOCABULARY) to = trainer_larger_tokenizer(t, err);
    o.seed = key_of(o.seed ? o.seed : t->settings.seed, (uint64_t)p->step);
    o.tokenizer = t->tokenizer;
    o.vocabulary = to;
    growth *map = status || failed(err) ? NULL : growth_new(t->model, &o, report, err);
    lithe_model *large = larger_model(t, map, report, err);
    if (large) {
        status = replace_model(t, map, large, to, err);
        p->grown++;
        p->grown_at = p->step;
        p->evaluated = false;
        p->good_step = -1;                                  /* earlier checkpoints have other shapes */
    } else {
        status = err ? (int)err->status : LITHE_EINVAL;
        lithe_tokenizer_close(to);
    }
    growth_free(map);
    free(text);
    return status;
}
