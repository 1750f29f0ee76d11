/* Classes of tokens, and answers between two of them. */
#include "infer/sequences.h"
#include <math.h>
#include <stdlib.h>

/* Logits (tokens, classes) of one text. */
typedef struct { sequences x; float *z; int classes; } labelled;

static void take_rows(void *context, const results *r, const batch *b, size_t first)
{
    labelled *l = context;
    const size_t n = (size_t)b->rows * (size_t)r->logits->width;
    (void)first;
    l->classes = r->logits->width;
    l->z = xalloc(n + 1, sizeof *l->z);
    for (size_t i = 0; l->z && i < n; i++) l->z[i] = (float)r->logits->data[i];
}

static void release(labelled *l)
{
    sequences_close(&l->x);
    free(l->z);
}

/* Reads a text, or a pair, with a head over all its tokens. */
static int read_tokens(labelled *l, lithe_model *m, const lithe_tokenizer *t, task_kind kind, const char *text, const char *pair, lithe_error *err)
{
    *l = (labelled){ 0 };
    if (!m || !t || !text) return fail(err, LITHE_EINVAL, "labels of tokens need a model, a tokenizer and a text");
    if (m->task.kind != kind)
        return fail(err, LITHE_ECONFIG, "this %s has no head for %s: its task is \"%s\"", m->arch->name, kind == TASK_SPAN ? "answers" : "tokens", task_name(&m->task));
    int status = sequences_encode(&l->x, m, t, &text, &pair, 1, 0, err);
    if (status) return status;
    if (l->x.cut) return fail(err, LITHE_EFULL, "the text is longer than the model's context of %d tokens", lithe_model_context(m));
    lithe_engine *e = engine_of_whole(m, err);
    status = e ? sequences_run(&l->x, e, WANT_LOGITS, take_rows, l, err) : failed(err) ? (int)err->status : LITHE_EINVAL;
    lithe_engine_close(e);
    return status ? status : l->z ? LITHE_OK : fail(err, LITHE_ENOMEM, "not enough memory for the labels of %zu tokens", l->x.start[1]);
}

/* ---- classes ------------------------------------------------------------------------------- */

static lithe_token_class likeliest(const float *z, int classes, int32_t id)
{
    int best = 0;
    double sum = 0;
    for (int c = 1; c < classes; c++) if (z[c] > z[best]) best = c;
    for (int c = 0; c < classes; c++) sum += exp((double)z[c] - (double)z[best]);
    return (lithe_token_class){ id, best, (float)(1 / sum) };
}

/* Special tokens stand around the text. */
static bool is_around(const lithe_tokenizer *t, int32_t id)
{
    static const char *const roles[] = { "cls", "sep", "bos", "eos", "pad" };
    bool around = false;
    for (size_t i = 0; i < sizeof roles / sizeof *roles; i++) around |= id == lithe_tokenizer_special(t, roles[i]);
    return around;
}

int lithe_classify_tokens(lithe_model *m, const lithe_tokenizer *t, const char *text, lithe_token_class *out, size_t cap, lithe_error *err)
{
    labelled l;
    if (failed(err)) return err->status;
    int status = read_tokens(&l, m, t, TASK_TOKENS, text, NULL, err), count = 0;
    for (size_t i = 0; !status && i < l.x.start[1]; i++) {
        if (is_around(t, l.x.ids[i])) continue;
        if (out && (size_t)count < cap) out[count] = likeliest(l.z + i * (size_t)l.classes, l.classes, l.x.ids[i]);
        count++;
    }
    release(&l);
    return status ? status : count;
}

/* ---- answers -------------------------------------------------------------------------------- */

enum { LONGEST_ANSWER = 15 };

/* The passage is what stands between the last two separators: *end is the last one's row. */
static bool find_passage(const labelled *l, int32_t separator, size_t *begin, size_t *end)
{
    *end = l->x.start[1];
    while (*end && l->x.ids[*end - 1] != separator) --*end;
    if (!*end) return false;
    *begin = --*end;
    while (*begin && l->x.ids[*begin - 1] != separator) --*begin;
    return *begin > 0 && *begin < *end;
}

/* Probabilities of begins (which 0) or ends (1) among the passage's rows, in place. */
static void share(const labelled *l, int which, size_t begin, size_t end)
{
    double most = -INFINITY, sum = 0;
    for (size_t i = begin; i < end; i++) most = fmax(most, (double)l->z[2 * i + (size_t)which]);
    for (size_t i = begin; i < end; i++) sum += exp((double)l->z[2 * i + (size_t)which] - most);
    for (size_t i = begin; i < end; i++) l->z[2 * i + (size_t)which] = (float)(exp((double)l->z[2 * i + (size_t)which] - most) / sum);
}

int lithe_answer(lithe_model *m, const lithe_tokenizer *t, const char *question, const char *passage, char *text, size_t cap, float *probability, lithe_error *err)
{
    labelled l;
    if (failed(err)) return err->status;
    if (!passage) return fail(err, LITHE_EINVAL, "an answer needs a passage");
    int status = read_tokens(&l, m, t, TASK_SPAN, question, passage, err);
    size_t begin, end, first = 0, last = 0, bytes = 0;
    float best = -1;
    if (!status && !find_passage(&l, lithe_tokenizer_special(t, "sep"), &begin, &end))
        status = fail(err, LITHE_EFORMAT, "the tokenizer sets no separator around the passage, or it is empty");
    if (!status) {
        share(&l, 0, begin, end), share(&l, 1, begin, end);
        for (size_t i = begin; i < end; i++)
            for (size_t j = i; j < end && j < i + LONGEST_ANSWER; j++) {
                const float p = l.z[2 * i] * l.z[2 * j + 1];
                if (p > best) best = p, first = i, last = j;
            }
        if (probability) *probability = best;
        bytes = lithe_decode(t, l.x.ids + first, last + 1 - first, text, cap);
    }
    release(&l);
    return status ? status : (int)bytes;
}
