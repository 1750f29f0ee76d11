/* What a new run says of itself before it begins. */
#include "new_run.h"
#include "inputs.h"
#include "output.h"
#include "quantity.h"
#include <stdlib.h>
#include <string.h>

static const char *classes_text(const new_run *k, char *text, size_t cap)
{
    int n = lithe_dataset_labels(k->data);
    if (n) snprintf(text, cap, ", %d classes", n);
    else snprintf(text, cap, ", numbers");
    return text;
}

/* "NAME (EXAMPLES), ..." of as many classes as have room. */
static void say_classes(const lithe_dataset *d)
{
    char text[400];
    size_t n = 0;
    const int classes = lithe_dataset_labels(d);
    for (int i = 0; i < classes && n < sizeof text; i++) {
        const char *name = lithe_dataset_label(d, i);
        if (strlen(name) + 40 > sizeof text - n) { snprintf(text + n, sizeof text - n, ", and %d more", classes - i); break; }
        n += (size_t)snprintf(text + n, sizeof text - n, "%s%s (%zu)", i ? ", " : "", name, lithe_dataset_label_examples(d, i));
    }
    if (classes && lithe_dataset_label_examples(d, 0)) say("classes    %s", text);
}

/* Under wsd new parts learn best where the rate is still high, before the last fifth of the steps. */
static void say_growth(const lithe_train_options *o)
{
    const char *rest = o->grow_at;
    const int falls = o->steps - o->steps / 5;
    for (char *end; rest && *rest && o->schedule && !strcmp(o->schedule, "wsd") && o->steps; rest += strcspn(rest, ",") + (rest[strcspn(rest, ",")] == ',')) {
        long step = strtol(rest, &end, 10);
        if (end > rest && *end == ':' && step > falls) say("growth     at step %ld: wsd lowers the rate from step %d on, before which new parts learn at the full one", step, falls);
    }
}

void new_run_say(const new_run *k)
{
    char text[3][32];
    const lithe_train_options *o = &k->options;
    int ctx = o->ctx ? o->ctx : lithe_model_context(k->model) < 1024 ? lithe_model_context(k->model) : 1024;
    size_t examples = lithe_dataset_examples(k->data, 0);
    if (examples) say("data       %s: %zu %s to train on, %zu to validate%s", k->a->operands[0], examples, lithe_dataset_pairs(k->data) ? "pairs" : "examples",
                      lithe_dataset_examples(k->data, 1), classes_text(k, text[2], sizeof text[2]));
    else say("data       %s%s: %s bytes, %s tokens to train on, %s to validate", k->a->operands[0], k->a->count > 1 ? " and others" : "",
        size_text((double)(lithe_dataset_bytes(k->data, 0) + lithe_dataset_bytes(k->data, 1)), text[0]),
        size_text((double)lithe_dataset_tokens(k->data, 0), text[1]), size_text((double)lithe_dataset_tokens(k->data, 1), text[2]));
    if (lithe_dataset_columns(k->data)) say("columns    %s", lithe_dataset_columns(k->data));
    if (lithe_dataset_left_out(k->data)) say("left out   %s", lithe_dataset_left_out(k->data));
    say_classes(k->data);
    int side = 0, patch = 0, channels = 0;
    if (lithe_model_images(k->model, &side, &patch, &channels)) say("images     %d x %d, %s, in patches of %d", side, side, channels == 1 ? "greyscale" : "colour", patch);
    else say("tokenizer  %s", k->tokenizer_says);
    say("model      %s, %s parameters, context %d%s%s", lithe_model_arch(k->model), size_text((double)lithe_model_params(k->model), text[0]),
        lithe_model_context(k->model), k->s->from ? ", from " : "", k->s->from ? k->s->from : "");
    char length[64], duration[24];
    if (o->steps) snprintf(length, sizeof length, "%d steps", o->steps);
    else if (!(o->tokens > 0) && !(k->budget > 0)) snprintf(length, sizeof length, "%g epochs", o->epochs > 0 ? o->epochs : lithe_dataset_epochs(k->data));
    else if (o->tokens > 0) snprintf(length, sizeof length, "%s tokens", size_text(o->tokens, text[0]));
    else if (o->steps_most) snprintf(length, sizeof length, "%s, at most %d steps", time_text(k->budget, duration), o->steps_most);
    else snprintf(length, sizeof length, "%s", time_text(k->budget, duration));
    if (examples) say("length     %s of %d examples", length, new_run_batch(k));
    else if (o->bptt > 1) say("length     %s of %d x %d windows of %d tokens", length, new_run_batch(k), o->bptt, ctx);
    else say("length     %s of %d x %d tokens", length, new_run_batch(k), ctx);
    if (o->weight_decay > 0 && option_origin(k->a, "weight-decay") == ORIGIN_DEFAULT) say("decay      %g, for a text that is read several times", o->weight_decay);
    say_growth(o);
    say("run        %s", k->out);
}
