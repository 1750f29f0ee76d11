/* Two models on the same input: how far what they give lies apart.  Whatever
 * the task: logits of tokens, classes or spans, numbers; hidden states where there
 * is no head.  A model of pictures sees noise, since there is no text to show it. */
#include "base/random.h"
#include "model/fit.h"
#include "model/pass.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { LONGEST = 512, PICTURES = 4 };

/* What a model gives, and over which rows. */
static want wanted(const lithe_model *m) { return m->task.kind == TASK_BODY ? WANT_HIDDEN : WANT_LOGITS; }
static const tensor *given(const pass *p, int i) { return i ? p->r.seq_logits : p->r.logits ? p->r.logits : p->r.hidden; }
static int rows_of(const tensor *t, const batch *b) { return t->space == ROWS_SEQS ? b->seqs : b->rows; }

static void widen(double *largest, double x)
{
    if (!(x <= *largest) && !isnan(*largest)) *largest = x;
}

/* Hidden states of a wider model repeat a's; of a larger vocabulary the old tokens count. */
static void compare_rows(const tensor *a, const tensor *b, int rows, bool hidden, lithe_growth *report)
{
    for (int r = 0; r < rows; r++)
        for (int c = 0; c < (hidden ? b->width : a->width); c++) {
            double x = (double)a->data[(size_t)r * (size_t)a->width + (size_t)(c % a->width)], y = (double)b->data[(size_t)r * (size_t)b->width + (size_t)c];
            widen(&report->max_logit, fabs(x));
            widen(&report->max_difference, fabs(x - y));
        }
}

/* log of the sum of e^x */
static double log_sum(const real *x, int n)
{
    double most = -INFINITY, sum = 0;
    for (int i = 0; i < n; i++) most = fmax(most, (double)x[i]);
    for (int i = 0; i < n; i++) sum += exp((double)x[i] - most);
    return most + log(sum);
}

/* Sum over the rows of sum p (ln p - ln q) (Kullback & Leibler 1951). */
static double divergence(const tensor *a, const tensor *b, int rows)
{
    double sum = 0;
    for (int r = 0; r < rows; r++) {
        const real *x = a->data + (size_t)r * (size_t)a->width, *y = b->data + (size_t)r * (size_t)b->width;
        double lx = log_sum(x, a->width), ly = log_sum(y, a->width);
        for (int c = 0; c < a->width; c++) sum += exp((double)x[c] - lx) * ((double)x[c] - lx - (double)y[c] + ly);
    }
    return sum;
}

/* Runs both on the batch that the first one's builder holds; the number of rows whose probabilities were compared joins *rows. */
static int compare_batch(pass p[2], bool probabilities, lithe_growth *report, double *kl, double *rows, lithe_error *err)
{
    const batch *b = batch_view(&p[0].batch, err);
    if (!b) return err ? (int)err->status : LITHE_EINVAL;
    for (int i = 0; i < 2; i++) graph_run(p[i].g, b);
    for (int i = 0; i < 2; i++) {
        const tensor *x = given(&p[0], i), *y = given(&p[1], i);
        if (!x) continue;
        compare_rows(x, y, rows_of(x, b), !p[0].r.logits, report);
        if (!probabilities || i) continue;
        *kl += divergence(x, y, rows_of(x, b));
        *rows += rows_of(x, b);
    }
    return LITHE_OK;
}

static int check_pair(const lithe_model *a, const lithe_model *b, lithe_error *err)
{
    int vocab[] = { lithe_model_vocab(a), lithe_model_vocab(b) };
    if (vocab[0] > vocab[1]) return fail(err, LITHE_EINVAL, "vocabularies of %d and %d cannot be compared", vocab[0], vocab[1]);
    if (a->task.kind != b->task.kind || a->task.labels != b->task.labels || !a->arch->equations.image != !b->arch->equations.image)
        return fail(err, LITHE_EINVAL, "a model of %s and one of %s cannot be compared", task_name(&a->task), task_name(&b->task));
    if (!a->arch->equations.image) return 0;
    image_shape x = a->arch->equations.image(a->config), y = b->arch->equations.image(b->config);
    if (x.side == y.side && x.patch == y.patch && x.channels == y.channels) return 0;
    return fail(err, LITHE_EINVAL, "models of pictures of %d and %d pixels cannot be compared", x.side, y.side);
}

static bool has_probabilities(const lithe_model *m) { return m->task.kind != TASK_BODY && !m->task.regression; }

static int compare_text(pass p[2], const lithe_model *m, const int32_t *ids, size_t n, lithe_growth *report, lithe_error *err)
{
    batch_builder *b = &p[0].batch;
    double kl = 0, rows = 0;
    int status = LITHE_OK, longest = b->capacity.rows;
    for (size_t first = 0; first < n && !status; first += (size_t)longest) {
        batch_begin(b);
        batch_add(b, &(batch_sequence){ .n = n - first < (size_t)longest ? (int)(n - first) : longest, .ids = ids + first });
        status = compare_batch(p, has_probabilities(m), report, &kl, &rows, err);
    }
    report->divergence = rows > 0 ? kl / rows : (double)NAN;
    return status;
}

static int compare_pictures(pass p[2], const lithe_model *m, lithe_growth *report, lithe_error *err)
{
    batch_builder *b = &p[0].batch;
    double kl = 0, rows = 0;
    int tokens = b->capacity.rows / PICTURES;
    size_t count = (size_t)(tokens - 1) * (size_t)b->capacity.patch_width;
    real *patches = xalloc(PICTURES * count, sizeof *patches);
    if (!patches) return fail(err, LITHE_ENOMEM, "not enough memory to compare two models on %d pictures", PICTURES);
    for (size_t i = 0; i < PICTURES * count; i++) patches[i] = (real)random_normal(1, i);
    batch_begin(b);
    for (size_t k = 0; k < PICTURES; k++) batch_add(b, &(batch_sequence){ .n = tokens, .patches = patches + k * count });
    int status = compare_batch(p, has_probabilities(m), report, &kl, &rows, err);
    report->divergence = rows > 0 ? kl / rows : (double)NAN;
    free(patches);
    return status;
}

int lithe_compare(lithe_model *a, lithe_model *b, const int32_t *ids, size_t n, lithe_growth *report, lithe_error *err)
{
    if (!a || !b) return LITHE_EINVAL;
    if (failed(err)) return err->status;
    int status = check_pair(a, b, err), longest = lithe_model_context(a), seqs = a->arch->equations.image ? PICTURES : 1;
    if (status) return status;
    if (lithe_model_context(b) < longest) longest = lithe_model_context(b);
    if (!a->arch->equations.image && longest > LONGEST) longest = LONGEST;
    if (!a->arch->equations.image && n < (size_t)longest) longest = (int)n;
    if (!a->arch->equations.image && !n) return fail(err, LITHE_EINVAL, "no tokens to compare two models on");
    if (!a->arch->equations.image && check_ids(a, ids, n, err)) return LITHE_EINVAL;
    pass p[2] = { { 0 }, { 0 } };
    graph_options o = { .mode = GRAPH_SCORE, .capacity = { longest * seqs, seqs, 0 } };
    status = pass_open(&p[0], a, &o, wanted(a), err);
    if (!status) status = pass_open(&p[1], b, &o, wanted(b), err);
    report->max_logit = report->max_difference = report->divergence = 0;
    if (!status) status = a->arch->equations.image ? compare_pictures(p, a, report, err) : compare_text(p, a, ids, n, report, err);
    pass_close(&p[0]);
    pass_close(&p[1]);
    return status;
}
