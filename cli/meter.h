/* Shows the progress of training: a bar on a terminal, lines elsewhere, JSON lines
 * for machines, nothing with --quiet. */
#ifndef CLI_METER_H
#define CLI_METER_H

#include "lithe_tools.h"
#include <stdbool.h>

typedef enum { METER_NONE, METER_LINES, METER_BAR, METER_JSON } meter_kind;

typedef struct {
    meter_kind kind;
    bool utf8, coloured, painted;
    double peak;                            /* FLOP/s of this machine, 0: not measured */
    double last_step, last_paint, last_line, last_saved;        /* seconds of the clock */
    double step_seconds;                    /* between two steps, everything included: running mean */
    int image_rows;                         /* of a model of images: rows of one, with a class token; else 0 */
    double tokens_rate, flops_rate, waited; /* running means; of the share of a step that this rank waits for others */
    int ranks;
    int steps;                              /* of the run, as a person was last informed */
    int first;                              /* the last step before this process began, -1: not known yet */
} meter;

meter_kind meter_choose(bool json);
/* ranks: how many processes train the model together, 1 for one. */
void meter_open(meter *m, meter_kind kind, const lithe_model *model, const char *dtype, int ranks);
void meter_event(meter *m, const lithe_event *e);
/* Ends the bar's line, so that other text may follow. */
void meter_close(meter *m);

#endif
