/* The losses of the latest steps, as mean and variance: a step whose loss stands far above them has
 * diverged, though its loss may be finite. */
#ifndef TRAIN_LOSSES_H
#define TRAIN_LOSSES_H

#include <stdbool.h>

typedef struct { double mean, variance; int count; } recent_losses;     /* zero: none yet */

bool losses_exploded(const recent_losses *r, double loss);
void losses_add(recent_losses *r, double loss);

/* Whether a loss is beyond all proportion to one that was reached before. */
bool loss_exploded(double loss, double before);

#endif
