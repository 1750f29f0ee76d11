/* Mean and variance forget: after WINDOW losses each new one has the weight 1/WINDOW.
 * A batch of few samples can have twice the mean loss, or more where the deviation is large; what is
 * far beyond both is no noise.  While few losses are known, only what is out of all proportion counts. */
#include "train/losses.h"
#include <math.h>

enum { WINDOW = 64, FEW = 8 };
static const double DEVIATIONS = 6;

bool loss_exploded(double loss, double before) { return loss > 10 * before + 10; }

bool losses_exploded(const recent_losses *r, double loss)
{
    if (r->count < FEW) return r->count && loss_exploded(loss, r->mean);
    return loss > 2 * r->mean + 2 && loss > r->mean + DEVIATIONS * sqrt(r->variance);
}

void losses_add(recent_losses *r, double loss)
{
    if (r->count < WINDOW) r->count++;
    double weight = 1.0 / r->count, from = loss - r->mean;
    r->mean += weight * from;
    r->variance = (1 - weight) * (r->variance + weight * from * from);
}
