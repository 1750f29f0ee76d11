/* Larger vocabularies that a run grows to.  RUN/vocabulary-STEP holds the tokenizer and the data in its ids from the
 * start on, so that growing and resuming need nothing but the run. */
#include "base/arena.h"
#include "train/trainer.h"
#include <stdlib.h>
#include <string.h>

/* The directory of growth number i in the run, to be freed. */
static char *dir_of(const lithe_trainer *t, int i, lithe_error *err)
{
    lithe_grow_options o;
    char *name = NULL, *dir = settings_growth(&t->settings, i, &o, &name, err) ? NULL : path_join(t->run, name);
    if (!dir) fail(err, LITHE_ENOMEM, "%s: out of memory", t->run);
    free(name);
    return dir;
}

/* Puts tokenizer and data of growth number i into the run; *from and *data become these. */
static int place_vocabulary(lithe_trainer *t, int i, lithe_tokenizer **from, lithe_dataset **data, lithe_error *err)
{
    lithe_grow_options o;
    char *path = NULL, name[40];
    int status = settings_growth(&t->settings, i, &o, &path, err);
    snprintf(name, sizeof name, "vocabulary-%d", t->settings.growths[i].at);
    char *dir = path_join(t->run, name);
    lithe_tokenizer *to = status ? NULL : lithe_tokenizer_open(path, err);
    const lithe_dataset *old = *data ? *data : t->data;
    if (!dir) fail(err, LITHE_ENOMEM, "%s: out of memory", t->run);
    if (to && dir) status = old->kind->translate(old, *from ? *from : t->tokenizer, to, dir, err);
    char *file = to && dir ? path_join(dir, lithe_tokenizer_file(to)) : NULL;
    if (!status && file) status = lithe_tokenizer_save(to, file, err);
    lithe_dataset *new = !status && !failed(err) && file ? dataset_reopen(dir, to, NO_SOURCES, err) : NULL;
    free(file);
    free(dir);
    free(path);
    lithe_dataset_close(*data);
    lithe_tokenizer_close(*from);
    *from = to;
    *data = new;
    return new ? LITHE_OK : fail(err, LITHE_ENOMEM, "%s: out of memory", t->run);
}

int trainer_place_vocabularies(lithe_trainer *t, lithe_error *err)
{
    lithe_tokenizer *from = NULL;
    lithe_dataset *data = NULL;
    int status = LITHE_OK;
    for (int i = 0; i < t->settings.growth_count && !status; i++)
        if (t->settings.growths[i].kind == GROW_VOCABULARY) status = place_vocabulary(t, i, &from, &data, err);
    lithe_dataset_close(data);
    lithe_tokenizer_close(from);
    return status ? status : settings_name_vocabularies(&t->settings, err);
}

char *trainer_vocabulary(const lithe_trainer *t, lithe_error *err)
{
    int latest = -1;
    for (int i = 0; i < t->progress.grown; i++)
        if (t->settings.growths[i].kind == GROW_VOCABULARY) latest = i;
    return latest < 0 ? NULL : dir_of(t, latest, err);
}

bool trainer_vocabulary_comes(const lithe_trainer *t)
{
    bool comes = false;
    for (int i = t->progress.grown; i < t->settings.growth_count; i++) comes |= t->settings.growths[i].kind == GROW_VOCABULARY;
    return comes;
}

lithe_tokenizer *trainer_larger_tokenizer(const lithe_trainer *t, lithe_error *err)
{
    char *dir = dir_of(t, t->progress.grown, err);
    lithe_tokenizer *to = dir ? lithe_tokenizer_open(dir, err) : NULL;
    free(dir);
    return to;
}

int trainer_take_vocabulary(lithe_trainer *t, lithe_tokenizer *to, lithe_error *err)
{
    char *dir = dir_of(t, t->progress.grown, err);
    lithe_dataset *data = dir ? dataset_reopen(dir, to, NO_SOURCES, err) : NULL;
    free(dir);
    if (!data) {
        lithe_tokenizer_close(to);
        return err ? (int)err->status : LITHE_EIO;
    }
    objective_close(&t->objective);
    lithe_dataset_close(t->own_data);
    lithe_tokenizer_close(t->own_tokenizer);
    t->data = t->own_data = data;
    t->tokenizer = t->own_tokenizer = to;
    dataset_identity(data, t->identity, sizeof t->identity);
    return trainer_begin(t, err);
}
