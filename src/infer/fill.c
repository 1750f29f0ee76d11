/* Predicts mask tokens: the likeliest tokens at each of them, by one pass whose
 * head reads these positions only. */
#include "infer/sequences.h"
#include <math.h>
#include <stdlib.h>

typedef struct { lithe_candidate *out; int top; } filled;

/* The `top` likeliest tokens of the vocabulary, in order; of equal ones the lower id comes first. */
static void take_top(const real *logits, int vocab, int top, lithe_candidate *out)
{
    double most = -INFINITY, sum = 0;
    int kept = 0;
    for (int i = 0; i < vocab; i++) most = fmax(most, (double)logits[i]);
    for (int i = 0; i < vocab; i++) sum += exp((double)logits[i] - most);
    for (int i = 0; i < vocab; i++) {
        float p = (float)(exp((double)logits[i] - most) / sum);
        int at = kept;
        while (at > 0 && out[at - 1].probability < p) at--;
        if (at == top) continue;
        if (kept < top) kept++;
        for (int j = kept - 1; j > at; j--) out[j] = out[j - 1];
        out[at] = (lithe_candidate){ i, p };
    }
    for (int i = kept; i < top; i++) out[i] = (lithe_candidate){ -1, 0 };
}

static void take_masks(void *context, const results *r, const batch *b, size_t first)
{
    filled *f = context;
    (void)first;
    for (int k = 0; k < b->selected; k++)
        take_top(r->logits->data + (size_t)k * (size_t)r->logits->width, r->logits->width, f->top, f->out + (size_t)k * (size_t)f->top);
}

int lithe_engine_fill(lithe_engine *e, const lithe_tokenizer *t, const char *text, int top, lithe_candidate *out, lithe_error *err)
{
    sequences x;
    if (!e) return fail(err, LITHE_EINVAL, "there is no engine");
    if (failed(err)) return err->status;
    if (!t || top < 1) return fail(err, LITHE_EINVAL, "filling in needs a model, a tokenizer and at least one candidate");
    const lithe_model *m = engine_model(e);
    int32_t mask = lithe_tokenizer_special(t, "mask");
    if (m->task.kind > TASK_PRETRAIN) return fail(err, LITHE_ECONFIG, "this %s has no head that predicts tokens: its task is \"%s\"", m->arch->name, task_name(&m->task));
    if (!lithe_model_encoder(m)) return fail(err, LITHE_ECONFIG, "%s reads from left to right: it goes on with a text (lithe generate), it does not fill in masks", m->arch->name);
    if (mask < 0) return fail(err, LITHE_EFORMAT, "the tokenizer has no mask token");
    int status = sequences_encode(&x, m, t, &text, NULL, 1, 0, err), count = 0;
    if (status) return status;
    int32_t *places = xalloc(x.start[1], sizeof *places);
    for (size_t i = 0; places && i < x.start[1]; i++) if (x.ids[i] == mask) places[count++] = (int32_t)i;
    x.select = places;
    x.selected = count;
    if (!places) status = fail(err, LITHE_ENOMEM, "not enough memory for %zu tokens", x.start[1]);
    else if (x.cut) status = fail(err, LITHE_EFULL, "the text is longer than the model's context of %d tokens", lithe_model_context(m));
    else if (count && out) status = sequences_run(&x, e, WANT_LOGITS, take_masks, &(filled){ out, top }, err);
    free(places);
    sequences_close(&x);
    return status ? status : count;
}

int lithe_fill(lithe_model *m, const lithe_tokenizer *t, const char *text, int top, lithe_candidate *out, lithe_error *err)
{
    lithe_engine *e = engine_of_whole(m, err);
    int masks = lithe_engine_fill(e, t, text, top, out, err);
    lithe_engine_close(e);
    return masks;
}
