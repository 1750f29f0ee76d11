/* The whole road of labelled data: prepared into a dataset's directory, opened
 * from there, and asked for every sample at some context, as a run does.  What is
 * laid out must lie within the batch, its ids below the vocabulary. */
#ifndef FUZZ_ROAD_H
#define FUZZ_ROAD_H

#include "data/data.h"
#include "data/objective.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { ROAD_SAMPLES = 64 };

static inline void road_check(const batch *b, const objective *o)
{
    assert(b->seqs > 0 && b->start[0] == 0 && b->start[b->seqs] == b->rows && b->rows <= o->most.rows * ROAD_SAMPLES);
    for (int s = 0; s < b->seqs; s++) {
        assert(b->start[s] < b->start[s + 1] && b->start[s + 1] - b->start[s] <= o->most.rows);
        assert(o->data->numbers || (b->label[s] >= 0 && b->label[s] < o->data->names.count));
    }
    for (int r = 0; r < b->rows; r++) {
        assert(b->ids[r] >= 0 && (!o->data->vocab || b->ids[r] < o->data->vocab) && b->pos[r] >= 0 && b->pos[r] < o->most.rows);
        assert(!b->type || b->type[r] == 0 || b->type[r] == 1);
    }
    for (int i = 0; o->most.patch_width && i < b->rows * o->most.patch_width; i++) assert(b->patches[i] < 1e6f && b->patches[i] > -1e6f);
}

static inline void road_samples(objective *o, bool valid)
{
    batch_capacity all = { o->most.rows * ROAD_SAMPLES, ROAD_SAMPLES, 0, o->most.patch_width };
    uint64_t n = valid ? o->valid_samples : o->samples;
    batch_builder b;
    if (batch_open(&b, all, NULL)) return;
    batch_begin(&b);
    for (uint64_t i = 0; i < n && i < ROAD_SAMPLES; i++) {
        if (valid) objective_valid(o, &b, i);
        else objective_train(o, &b, 1, i);
    }
    const batch *view = batch_view(&b, NULL);
    assert(view || !n);
    if (view && view->seqs) road_check(view, o);
    batch_close(&b);
}

/* Prepared files at path, with the options' task; patch: of images. */
static inline void road(const char *path, const char *dir, const lithe_tokenizer *t, const lithe_data_options *o, int ctx, int patch)
{
    lithe_error err = { 0 };
    lithe_dataset *d = lithe_dataset_open(&path, 1, dir, t, o, &err);
    assert(!d == (err.status != LITHE_OK) && !strchr(err.text, '\n'));
    const image_settings images = { .patch = patch, .normal = { 1 / 255.0, { 0.5, 0.5, 0.5 }, { 0.5, 0.5, 0.5 } }, .augmentation = augmentation_find(ctx % 2 ? "photos" : "digits") };
    objective x;
    if (d && !objective_open(&x, d->kind->objective(LEARN_NEXT), d, t, &(objective_settings){ .images = images }, ctx, 3, &err)) {
        road_samples(&x, false);
        road_samples(&x, true);
        objective_close(&x);
    }
    lithe_dataset_close(d);
    dir_remove(dir, NULL);
}

#endif
