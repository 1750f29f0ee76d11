/* Checks whether a model, a tokenizer and data go together (model/fit.h). */
#include "model/fit.h"

int lithe_model_fits(const lithe_model *m, const lithe_tokenizer *t, lithe_error *err)
{
    if (failed(err)) return err->status;
    if (!m || !t) return fail(err, LITHE_EINVAL, "a model and a tokenizer are needed");
    int has = lithe_model_vocab(m), known = lithe_tokenizer_vocab(t);
    if (!has) return fail(err, LITHE_ECONFIG, "a %s reads images, not text", m->arch->name);
    return known <= has ? LITHE_OK : fail(err, LITHE_ECONFIG, "the tokenizer has %d ids, the model a vocabulary of %d", known, has);
}

static int fit_tokens(const lithe_model *m, const demands *d, lithe_error *err)
{
    int has = lithe_model_vocab(m), context = lithe_model_context(m), known = d->tokenizer ? lithe_tokenizer_vocab(d->tokenizer) : d->vocab;
    if (d->vocab > has) return fail(err, LITHE_EINVAL, "%s: was made for a vocabulary of %d, the model has %d", d->data, d->vocab, has);
    if (d->tokenizer && lithe_model_fits(m, d->tokenizer, err)) return LITHE_ECONFIG;
    if (known < d->vocab) return fail(err, LITHE_EMISMATCH, "%s: was made with a tokenizer of %d ids, this one has %d", d->data, d->vocab, known);
    if (d->ctx > context) return fail(err, LITHE_EINVAL, "ctx is %d, the model's context is %d", d->ctx, context);
    return LITHE_OK;
}

static int fit_images(const lithe_model *m, const demands *d, lithe_error *err)
{
    if (!d->images.side) return fail(err, LITHE_ECONFIG, "a %s reads images, the data are text", m->arch->name);
    image_shape reads = arch_images(m->arch, m->config), are = d->images;
    if (!reads.side) return fail(err, LITHE_ECONFIG, "the data are images, a %s reads text", m->arch->name);
    if (reads.side == are.side && reads.channels == are.channels) return LITHE_OK;
    return fail(err, LITHE_ECONFIG, "the images are %d x %d with %d channels, the model reads %d x %d with %d",
                are.side, are.side, are.channels, reads.side, reads.side, reads.channels);
}

static int fit_labels(const lithe_model *m, const demands *d, lithe_error *err)
{
    const task *has = &m->task;
    if (d->labelled && has->kind != TASK_SEQUENCE)
        return fail(err, LITHE_ECONFIG, "the data are labelled, the model's task is \"%s\": give it a head for them", task_name(has));
    if (!d->labelled && has->kind != TASK_LANGUAGE && has->kind != TASK_PRETRAIN)
        return fail(err, LITHE_ECONFIG, "the model's task is \"%s\", the data are text without labels", task_name(has));
    if (d->labelled && has->sigmoid && !has->regression)
        return fail(err, LITHE_ECONFIG, "the model has several labels at once for a text (multi_label_classification): it classifies, and cannot be trained on a table");
    if (d->labelled && has->regression != d->numbers)
        return fail(err, LITHE_ECONFIG, "the model's task is \"%s\", the %s", task_name(has),
                    d->images.side ? "data are images with classes" : d->numbers ? "labels are numbers" : "labels are classes");
    if (d->labelled && !d->numbers && d->classes > has->labels) return fail(err, LITHE_ECONFIG, "the data have %d classes, the model %d", d->classes, has->labels);
    return LITHE_OK;
}

int model_fit(const lithe_model *m, const demands *d, lithe_error *err)
{
    if (failed(err)) return err->status;
    bool images = d->images.side || arch_images(m->arch, m->config).side;
    int status = images ? fit_images(m, d, err) : fit_tokens(m, d, err);
    return status ? status : fit_labels(m, d, err);
}

int check_ids(const lithe_model *m, const int32_t *ids, size_t n, lithe_error *err)
{
    int vocab = lithe_model_vocab(m);
    if (n && !ids) return fail(err, LITHE_EINVAL, "there is no array of the %zu tokens", n);
    for (size_t i = 0; i < n; i++)
        if (ids[i] < 0 || ids[i] >= vocab)
            return fail(err, LITHE_EINVAL, "token %d at place %zu is not in the model's vocabulary of %d: is this its tokenizer?", (int)ids[i], i, vocab);
    return 0;
}
