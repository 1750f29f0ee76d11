/* Learning-rate schedules.  Step s = 1 .. S, warm-up w, p = (s - w) / (S - w):
 *   warm-up        lr s / w                                    while s <= w
 *   cosine         min + (lr - min) (1 + cos(pi p)) / 2        Loshchilov & Hutter 2017, one cycle
 *   linear         lr + (min - lr) p
 *   constant       lr
 *   wsd            lr, then over the last fifth of the steps linearly to min    Hu et al. 2024 (MiniCPM)
 *   inverse-sqrt   lr sqrt(max(w, 1) / s), at least min        Vaswani et al. 2017
 * Invariant: the rate is a function of the step alone; where a curve ends at min, the
 * last step has exactly min. */
#include "train/schedule.h"
#include <math.h>
#include <string.h>

static const char *const names[SCHEDULE_KINDS] = { "cosine", "constant", "linear", "wsd", "inverse-sqrt" };

int schedule_find(const char *name)
{
    for (int i = 0; i < SCHEDULE_KINDS; i++) if (!strcmp(name, names[i])) return i;
    return -1;
}

const char *schedule_name(schedule_kind kind) { return names[kind]; }

/* Linear from lr at x = 0 to min at x = 1. */
static double between(const schedule *s, double x) { return s->min_lr + (s->lr - s->min_lr) * (1 - x); }

double schedule_lr(const schedule *s, int step)
{
    const double pi = 3.14159265358979323846;
    if (step <= s->warmup) return s->lr * step / s->warmup;
    if (step > s->steps) step = s->steps;
    double p = s->steps > s->warmup ? (double)(step - s->warmup) / (s->steps - s->warmup) : 1;
    int tail = s->steps / 5 > 1 ? s->steps / 5 : 1;
    double root = s->lr * sqrt((double)(s->warmup > 1 ? s->warmup : 1) / step);
    switch (s->kind) {
    case SCHEDULE_COSINE:       return between(s, (1 - cos(pi * p)) / 2);
    case SCHEDULE_LINEAR:       return between(s, p);
    case SCHEDULE_WSD:          return step <= s->steps - tail ? s->lr : between(s, (double)(step - (s->steps - tail)) / tail);
    case SCHEDULE_INVERSE_SQRT: return root > s->min_lr ? root : s->min_lr;
    default:                    return s->lr;
    }
}
