/* Two models on the same input: how far what they give lies apart.  Whatever
 * the task: logits of tokens, classes or spans, numbers; hidden states where there
 * is no head.  A model of pictures sees noise, since there is no text to show it. */
#include "base/random.h"
#include "infer/infer.h"
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

/* Runs both on b; the number of rows whose probabilities were compared joins *rows. */
static void compare_batch(const pass p[2], const batch *b, bool probabilities, lithe_growth *report, double *kl, double *rows)
{
    for (int i = 0; i < 2; i++) graph_run(p[i].g, b);
    for (int i = 0; i < 2; i++) {
        const tensor *x = given(&p[0], i), *y = given(&p[1], i);
        if (!x) continue;
        compare_rows(x, y, rows_of(x, b), !p[0].r.logits, report);
        if (!probabilities || i) continue;
        *kl += divergence(x, y, rows_of(x, b));
        *rows += rows_of(x, b);
    }
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

typedef struct { int *pos, start[PICTURES + 1], rows, seqs; real *patches; } arrays;

static int make_arrays(arrays *a, const lithe_model *m, int rows, int seqs, lithe_error *err)
{
    size_t count = 0;
    image_shape s = m->arch->equations.image ? m->arch->equations.image(m->config) : (image_shape){ 0 };
    *a = (arrays){ .pos = xalloc((size_t)rows * (size_t)seqs, sizeof *a->pos), .rows = rows * seqs, .seqs = seqs };
    if (s.side && size_mul((size_t)a->rows, (size_t)s.patch * (size_t)s.patch * (size_t)s.channels, &count)) a->patches = xalloc(count, sizeof *a->patches);
    if (!a->pos || (s.side && !a->patches)) return fail(err, LITHE_ENOMEM, "not enough memory to compare two models on %d rows", a->rows);
    for (int i = 0; i < a->rows; i++) a->pos[i] = i % rows;
    for (int i = 0; i <= seqs; i++) a->start[i] = i * rows;
    for (size_t i = 0; i < count; i++) a->patches[i] = (real)random_normal(1, i);
    return 0;
}

static void compare_text(const pass p[2], const lithe_model *m, arrays *x, const int32_t *ids, size_t n, lithe_growth *report)
{
    double kl = 0, rows = 0;
    bool probabilities = m->task.kind != TASK_BODY && !m->task.regression;
    for (size_t first = 0; first < n; first += (size_t)x->rows) {
        int count = n - first < (size_t)x->rows ? (int)(n - first) : x->rows, start[2] = { 0, count };
        batch b = { .rows = count, .seqs = 1, .ids = ids + first, .pos = x->pos, .start = start };
        compare_batch(p, &b, probabilities, report, &kl, &rows);
    }
    report->divergence = rows > 0 ? kl / rows : (double)NAN;
}

static void compare_pictures(const pass p[2], const lithe_model *m, arrays *x, lithe_growth *report)
{
    double kl = 0, rows = 0;
    batch b = { .rows = x->rows, .seqs = x->seqs, .pos = x->pos, .start = x->start, .patches = x->patches };
    compare_batch(p, &b, m->task.kind != TASK_BODY && !m->task.regression, report, &kl, &rows);
    report->divergence = rows > 0 ? kl / rows : (double)NAN;
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
    arrays x;
    pass p[2] = { { 0 }, { 0 } };
    graph_options o = { .mode = GRAPH_SCORE, .capacity = { longest * seqs, seqs, 0 } };
    status = make_arrays(&x, a, longest, seqs, err);
    if (!status) status = pass_open(&p[0], a, &o, wanted(a), err);
    if (!status) status = pass_open(&p[1], b, &o, wanted(b), err);
    report->max_logit = report->max_difference = report->divergence = 0;
    if (!status && a->arch->equations.image) compare_pictures(p, a, &x, report);
    else if (!status) compare_text(p, a, &x, ids, n, report);
    pass_close(&p[0]);
    pass_close(&p[1]);
    free(x.pos);
    free(x.patches);
    return status;
}
