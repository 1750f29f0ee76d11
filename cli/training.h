/* A run from its first event to its last, or to a signal. */
#ifndef CLI_TRAINING_H
#define CLI_TRAINING_H

#include "lithe_tools.h"
#include <stdbool.h>

/* Does every event of t and shows it.  SIGINT and SIGTERM end it after the
 * current event, with a checkpoint; SIGUSR1 writes one and continues.
 * Returns the exit code; on success the run's directory is printed.  With ranks (or NULL), all of them
 * end together, and rank 0 shows the events. */
int train_to_the_end(lithe_trainer *t, lithe_ranks *ranks, const char *dtype, bool json);

#endif
