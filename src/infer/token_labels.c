/* Classes of tokens, and answers between two of them. */
#include "base/utf8.h"
#include "infer/sequences.h"
#include "text/layout.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Logits (tokens, classes) of one text, or of a pair, whose tokens with a place of their own are rows first to
 * first + n: the text's, or the pair's second text's. */
typedef struct { sequences x; float *z; int classes; lithe_span *spans; size_t first, n; } labelled;

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
    free(l->spans);
}

/* The places of the last text's tokens. */
static int find_places(labelled *l, const lithe_tokenizer *t, const char *text, bool pair, lithe_error *err)
{
    const layout around = layout_of(t);
    const size_t len = strlen(text), after = pair ? around.two.after.n : around.one.after.n, rows = l->x.start[1];
    l->n = lithe_encode(t, text, len, 0, NULL, 0);
    int32_t *ids = xalloc(l->n + 1, sizeof *ids);
    l->spans = xalloc(l->n + 1, sizeof *l->spans);
    if (!ids || !l->spans) fail(err, LITHE_ENOMEM, "not enough memory for the labels of %zu tokens", l->n);
    else if (l->n + after > rows || lithe_encode_spans(t, text, len, ids, l->spans, l->n) != l->n) fail(err, LITHE_EFORMAT, "the tokenizer does not keep the tokens of a text together");
    l->first = failed(err) ? 0 : rows - after - l->n;
    free(ids);
    return failed(err) ? (int)err->status : LITHE_OK;
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
    if (find_places(l, t, pair ? pair : text, pair, err)) return err->status;
    lithe_engine *e = engine_of_whole(m, err);
    status = e ? sequences_run(&l->x, e, WANT_LOGITS, take_rows, l, err) : failed(err) ? (int)err->status : LITHE_EINVAL;
    lithe_engine_close(e);
    return status ? status : l->z ? LITHE_OK : fail(err, LITHE_ENOMEM, "not enough memory for the labels of %zu tokens", l->x.start[1]);
}

/* ---- classes ------------------------------------------------------------------------------- */

static lithe_token_class likeliest(const float *z, int classes, int32_t id, const lithe_span *at)
{
    int best = 0;
    double sum = 0;
    for (int c = 1; c < classes; c++) if (z[c] > z[best]) best = c;
    for (int c = 0; c < classes; c++) sum += exp((double)z[c] - (double)z[best]);
    return (lithe_token_class){ id, best, (float)(1 / sum), at->begin, at->end };
}

int lithe_classify_tokens(lithe_model *m, const lithe_tokenizer *t, const char *text, lithe_token_class *out, size_t cap, lithe_error *err)
{
    labelled l;
    if (failed(err)) return err->status;
    const int status = read_tokens(&l, m, t, TASK_TOKENS, text, NULL, err), count = (int)l.n;
    for (size_t i = 0, row = l.first; !status && out && i < l.n && i < cap; i++, row++)
        out[i] = likeliest(l.z + row * (size_t)l.classes, l.classes, l.x.ids[row], &l.spans[i]);
    release(&l);
    return status ? status : count;
}

/* ---- answers -------------------------------------------------------------------------------- */

/* As in transformers' QuestionAnsweringPipeline: of the CANDIDATES likeliest spans of tokens, widened to whole words,
 * those with the same text are one answer. */
enum { LONGEST_ANSWER = 15, CANDIDATES = 12 };
typedef struct { double probability; size_t first, last; } candidate;

/* Probabilities of begins (which 0) or ends (1) among the passage's rows, in place.  The token cls, for no answer, has
 * its share too. */
static void share(labelled *l, int which, int32_t cls)
{
    double most = -INFINITY, sum = 0;
    for (int taking = 0; taking < 2; taking++)
        for (size_t i = 0; i < l->x.start[1]; i++) {
            const double z = (double)l->z[2 * i + (size_t)which];
            if ((i < l->first || i >= l->first + l->n) && l->x.ids[i] != cls) continue;
            if (taking) sum += exp(z - most);
            else most = fmax(most, z);
        }
    for (size_t i = l->first; i < l->first + l->n; i++) l->z[2 * i + (size_t)which] = (float)(exp((double)l->z[2 * i + (size_t)which] - most) / sum);
}

/* Keeps the candidates in order, of equal ones the first. */
static size_t keep(candidate *best, size_t n, candidate c)
{
    size_t at = n;
    while (at && best[at - 1].probability < c.probability) at--;
    if (at == CANDIDATES) return n;
    n = n < CANDIDATES ? n + 1 : n;
    memmove(best + at + 1, best + at, (n - at - 1) * sizeof *best);
    best[at] = c;
    return n;
}

static size_t likeliest_spans(const labelled *l, candidate *best)
{
    size_t n = 0;
    const float *z = l->z + 2 * l->first;
    for (size_t i = 0; i < l->n; i++)
        for (size_t j = i; j < l->n && j < i + LONGEST_ANSWER; j++) n = keep(best, n, (candidate){ (double)(z[2 * i] * z[2 * j + 1]), i, j });
    return n;
}

/* The words in which the candidate begins and ends. */
static lithe_found whole_words(const labelled *l, const candidate *c)
{
    size_t first = c->first, last = c->last;
    while (first && l->spans[first - 1].word == l->spans[c->first].word) first--;
    while (last + 1 < l->n && l->spans[last + 1].word == l->spans[c->last].word) last++;
    return (lithe_found){ l->spans[first].begin, l->spans[last].end, (float)c->probability };
}

/* Whether two parts of the text are the same but for upper and lower case. */
static bool same_text(const char *text, const lithe_found *a, const lithe_found *b)
{
    size_t i = a->begin, j = b->begin;
    while (i < a->end && j < b->end) {
        int32_t c, d;
        i += (size_t)utf8_next(text + i, a->end - i, &c);
        j += (size_t)utf8_next(text + j, b->end - j, &d);
        if (c != d && utf8proc_tolower(c) != utf8proc_tolower(d)) return false;
    }
    return i >= a->end && j >= b->end;
}

static lithe_found likeliest_answer(const labelled *l, const char *passage)
{
    candidate best[CANDIDATES];
    lithe_found answers[CANDIDATES] = { 0 };
    size_t count = 0, top = 0;
    for (size_t i = 0, n = likeliest_spans(l, best); i < n; i++) {
        const lithe_found one = whole_words(l, &best[i]);
        size_t same = 0;
        while (same < count && !same_text(passage, &answers[same], &one)) same++;
        if (same < count) answers[same].probability += one.probability;
        else answers[count++] = one;
    }
    for (size_t i = 1; i < count; i++) if (answers[i].probability > answers[top].probability) top = i;
    return answers[top];
}

int lithe_answer(lithe_model *m, const lithe_tokenizer *t, const char *question, const char *passage, lithe_found *answer, lithe_error *err)
{
    labelled l;
    if (failed(err)) return err->status;
    if (!passage || !answer) return fail(err, LITHE_EINVAL, "an answer needs a passage, and a place for it");
    int status = read_tokens(&l, m, t, TASK_SPAN, question, passage, err);
    if (!status && !l.n) status = fail(err, LITHE_EINVAL, "the passage is empty");
    if (!status) {
        const int32_t cls = lithe_tokenizer_special(t, "cls");
        share(&l, 0, cls), share(&l, 1, cls);
        *answer = likeliest_answer(&l, passage);
    }
    release(&l);
    return status;
}
