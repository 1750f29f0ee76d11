/* Compares two models on the same input by the largest difference of their outputs:
 * the logits of tokens, classes or spans, the number of a regression, or hidden states
 * where there is no head.  A model that reads images gets random pixels. */
#include "base/random.h"
#include "base/progress.h"
#include "model/fit.h"
#include "model/pass.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { TOKENS_MAX = 1024, IMAGES = 4 };

/* The outputs that are compared, and their rows. */
static want wanted(const lithe_model *m) { return m->task.kind == TASK_BODY ? WANT_HIDDEN : WANT_LOGITS; }
static const tensor *compared(const pass *p, int i) { return i ? p->r.seq_logits : p->r.logits ? p->r.logits : p->r.hidden; }
static int rows_of(const tensor *t, const batch *b) { return t->space == ROWS_SEQS ? b->seqs : b->rows; }

/* Raises *largest to x; NaN counts as the largest. */
static void raise_to(double *largest, double x)
{
    if (!(x <= *largest) && !isnan(*largest)) *largest = x;
}

/* Hidden states of a wider model are compared with a's, repeated; of a larger vocabulary only the old tokens count. */
static void compare_rows(const tensor *a, const tensor *b, int rows, bool hidden, lithe_growth *report)
{
    for (int r = 0; r < rows; r++)
        for (int c = 0; c < (hidden ? b->width : a->width); c++) {
            double x = (double)a->data[(size_t)r * (size_t)a->width + (size_t)(c % a->width)], y = (double)b->data[(size_t)r * (size_t)b->width + (size_t)c];
            raise_to(&report->max_logit, fabs(x));
            raise_to(&report->max_difference, fabs(x - y));
        }
}

/* The logarithm of the sum of e^x. */
static double log_sum(const real *x, int n)
{
    double most = -INFINITY, sum = 0;
    for (int i = 0; i < n; i++) most = fmax(most, (double)x[i]);
    for (int i = 0; i < n; i++) sum += exp((double)x[i] - most);
    return most + log(sum);
}

/* The sum over the rows of the divergence, sum p (ln p - ln q) (Kullback & Leibler 1951). */
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

/* How many rows have their largest in the same place. */
static int same_largest(const tensor *a, const tensor *b, int rows)
{
    int same = 0;
    for (int r = 0; r < rows; r++) {
        const real *x = a->data + (size_t)r * (size_t)a->width, *y = b->data + (size_t)r * (size_t)b->width;
        int i = 0, j = 0;
        for (int c = 1; c < a->width; c++) i = x[c] > x[i] ? c : i, j = y[c] > y[j] ? c : j;
        same += i == j;
    }
    return same;
}

/* Sums over the rows that were compared by their probabilities, and of the squares of what leaves the last layer of
 * each model. */
typedef struct { double kl, same, rows, squares[2], numbers[2]; } likeness;

static void add_squares(const graph *g, const batch *b, double *squares, double *numbers)
{
    const tapped *taps;
    const tensor *x = NULL;
    for (int i = 0, n = graph_taps(g, &taps); i < n; i++)
        if (!strcmp(taps[i].name, "post_ffn")) x = taps[i].rows;
    size_t count = x ? (size_t)rows_of(x, b) * (size_t)x->width : 0;
    for (size_t i = 0; i < count; i++) *squares += (double)x->data[i] * (double)x->data[i];
    *numbers += (double)count;
}

static void finish(lithe_growth *report, const likeness *l)
{
    report->divergence = l->rows > 0 ? l->kl / l->rows : (double)NAN;
    report->same_top = l->rows > 0 ? l->same / l->rows : (double)NAN;
    report->rms_before = l->numbers[0] > 0 ? sqrt(l->squares[0] / l->numbers[0]) : (double)NAN;
    report->rms_after = l->numbers[1] > 0 ? sqrt(l->squares[1] / l->numbers[1]) : (double)NAN;
}

/* Runs both models on the batch that the first pass has built. */
static int compare_batch(pass p[2], bool probabilities, lithe_growth *report, likeness *l, lithe_error *err)
{
    const batch *b = batch_view(&p[0].batch, err);
    if (!b) return err ? (int)err->status : LITHE_EINVAL;
    for (int i = 0; i < 2; i++) {
        graph_run(p[i].g, b);
        add_squares(p[i].g, b, &l->squares[i], &l->numbers[i]);
    }
    for (int i = 0; i < 2; i++) {
        const tensor *x = compared(&p[0], i), *y = compared(&p[1], i);
        if (!x) continue;
        compare_rows(x, y, rows_of(x, b), !p[0].r.logits, report);
        if (!probabilities || i) continue;
        l->kl += divergence(x, y, rows_of(x, b));
        l->same += same_largest(x, y, rows_of(x, b));
        l->rows += rows_of(x, b);
    }
    return LITHE_OK;
}

static int check_pair(const lithe_model *a, const lithe_model *b, lithe_error *err)
{
    int vocab[] = { lithe_model_vocab(a), lithe_model_vocab(b) };
    image_shape x = arch_images(a->arch, a->config), y = arch_images(b->arch, b->config);
    if (vocab[0] > vocab[1]) return fail(err, LITHE_EINVAL, "vocabularies of %d and %d cannot be compared", vocab[0], vocab[1]);
    if (a->task.kind != b->task.kind || a->task.labels != b->task.labels || !x.side != !y.side)
        return fail(err, LITHE_EINVAL, "a model of %s and one of %s cannot be compared", task_name(&a->task), task_name(&b->task));
    if (x.side == y.side && x.patch == y.patch && x.channels == y.channels) return LITHE_OK;
    return fail(err, LITHE_EINVAL, "models of images of %d and %d pixels cannot be compared", x.side, y.side);
}

static bool has_probabilities(const lithe_model *m) { return m->task.kind != TASK_BODY && !m->task.regression; }

/* Opens passes of both models with the same capacity. */
static int open_both(pass p[2], const lithe_model *a, const lithe_model *b, int tokens, int seqs, lithe_error *err)
{
    const graph_options o = { .mode = GRAPH_SCORE, .capacity = { tokens * seqs, seqs, 0 }, .taps = true };
    int status = pass_open(&p[0], a, &o, wanted(a), err);
    return status ? status : pass_open(&p[1], b, &o, wanted(b), err);
}

static int compare_text(pass p[2], const lithe_model *a, const lithe_model *b, const int32_t *ids, size_t n, lithe_growth *report, lithe_error *err)
{
    batch_builder *to = &p[0].batch;
    likeness l = { 0 };
    int longest = lithe_model_context(a) < lithe_model_context(b) ? lithe_model_context(a) : lithe_model_context(b);
    if (longest > TOKENS_MAX) longest = TOKENS_MAX;
    if (n < (size_t)longest) longest = (int)n;
    if (!n) return fail(err, LITHE_EINVAL, "no tokens to compare two models on");
    int status = check_ids(a, ids, n, err);
    if (!status) status = open_both(p, a, b, longest, 1, err);
    for (size_t first = 0; first < n && !status && !(status = progress_tell("comparing the models", (double)first, (double)n, err)); first += (size_t)longest) {
        batch_begin(to);
        batch_add(to, &(batch_sequence){ .n = n - first < (size_t)longest ? (int)(n - first) : longest, .ids = ids + first });
        status = compare_batch(p, has_probabilities(a), report, &l, err);
    }
    finish(report, &l);
    return status;
}

static int compare_images(pass p[2], const lithe_model *a, const lithe_model *b, lithe_growth *report, lithe_error *err)
{
    likeness l = { 0 };
    int tokens = lithe_model_context(a), status = open_both(p, a, b, tokens, IMAGES, err);
    size_t count = status ? 0 : (size_t)(tokens - 1) * (size_t)p[0].batch.capacity.patch_width;
    real *patches = status ? NULL : xalloc(IMAGES * count, sizeof *patches);
    if (!status && !patches) status = fail(err, LITHE_ENOMEM, "not enough memory to compare two models on %d images", IMAGES);
    if (!status) {
        for (size_t i = 0; i < IMAGES * count; i++) patches[i] = (real)random_normal(1, i);
        batch_begin(&p[0].batch);
        for (size_t k = 0; k < IMAGES; k++) batch_add(&p[0].batch, &(batch_sequence){ .n = tokens, .patches = patches + k * count });
        status = compare_batch(p, has_probabilities(a), report, &l, err);
    }
    finish(report, &l);
    free(patches);
    return status;
}

int lithe_compare(lithe_model *a, lithe_model *b, const int32_t *ids, size_t n, lithe_growth *report, lithe_error *err)
{
    if (!a || !b) return fail(err, LITHE_EINVAL, "there are no two models to compare");
    if (failed(err)) return err->status;
    pass p[2] = { { 0 }, { 0 } };
    int status = check_pair(a, b, err);
    if (status) return status;
    report->max_logit = report->max_difference = report->divergence = 0;
    status = arch_images(a->arch, a->config).side ? compare_images(p, a, b, report, err) : compare_text(p, a, b, ids, n, report, err);
    pass_close(&p[0]);
    pass_close(&p[1]);
    return status;
}

int lithe_growth_kept(const lithe_growth *report)
{
    double scale = report->max_logit > 1 ? report->max_logit : 1;
    return !report->preserves || report->max_difference <= 1e-4 * scale;
}
