/* Options that can have no effect on a new run: refused, since a person who gives one expects something of it. */
#include "new_run.h"
#include "inputs.h"
#include <string.h>

typedef train_settings S;
typedef bool (*question)(const new_run *k);

static bool is_masked(const new_run *k)
{
    const char *kind = lithe_arch_vocabulary(k->arch);
    const bool encoder = k->model ? lithe_model_encoder(k->model) : !strcmp(kind, "roberta") || !strcmp(kind, "wordpiece");
    return encoder && !new_run_labelled(k) && !k->images;
}

static bool is_new_image_model(const new_run *k) { return k->images && !k->model && !k->s->config; }
static bool is_text_file(const new_run *k) { return k->s->tokenizer || (k->s->from && lithe_model_tokenizer(k->model)); }
static bool is_distributed(const new_run *k) { return k->ranks != NULL; }
static bool falls(const new_run *k) { return !k->s->schedule || strcmp(k->s->schedule, "constant") != 0; }
static bool is_text(const new_run *k) { return !k->images && !new_run_labelled(k); }
static bool is_no_image(const new_run *k) { return !k->images; }

static const struct { const char *option; question applies; const char *why; } options[] = {
    { "mask", is_masked, "is for encoders, which learn to predict masked tokens" },
    { "mask-rate", is_masked, "is for encoders, which learn to predict masked tokens" },
    { "mask-keep", is_masked, "is for encoders, which learn to predict masked tokens" },
    { "mask-random", is_masked, "is for encoders, which learn to predict masked tokens" },
    { "static-masking", is_masked, "is for encoders, which learn to predict masked tokens" },
    { "packing", is_masked, "is for encoders, which learn to predict masked tokens" },
    { "text-column", new_run_labelled, "is for tables, which --task classify and --task regress read" },
    { "pair-column", new_run_labelled, "is for tables, which --task classify and --task regress read" },
    { "label-column", new_run_labelled, "is for tables, which --task classify and --task regress read" },
    { "reset-attention", is_text, "is for documents of text" },
    { "vocab", is_no_image, "learns a vocabulary from text, and the data are images" },
    { "patch", is_new_image_model, "is for new models that read images, without --config" },
    { "lowercase", is_text_file, "is for the vocab.txt of --tokenizer" },
    { "wire", is_distributed, "is for several processes, mpirun -n N lithe train ..." },
    { "min-lr", falls, "is where the rate of a schedule ends, and --schedule constant has no end" } };

int new_run_effects(new_run *k)
{
    for (size_t i = 0; i < sizeof options / sizeof *options && !k->err.status; i++)
        if (option_origin(k->a, options[i].option) == ORIGIN_FLAG && !options[i].applies(k)) wrong(&k->err, LITHE_EINVAL, "--%s %s", options[i].option, options[i].why);
    return (int)k->err.status;
}
