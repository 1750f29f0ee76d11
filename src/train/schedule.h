/* The learning rate of a step. */
#ifndef TRAIN_SCHEDULE_H
#define TRAIN_SCHEDULE_H

typedef enum { SCHEDULE_COSINE, SCHEDULE_CONSTANT, SCHEDULE_LINEAR, SCHEDULE_WSD, SCHEDULE_INVERSE_SQRT, SCHEDULE_KINDS } schedule_kind;
typedef struct { schedule_kind kind; double lr, min_lr; int warmup, steps; } schedule;

int         schedule_find(const char *name);                        /* a schedule_kind, or -1 */
const char *schedule_name(schedule_kind kind);
double      schedule_lr(const schedule *s, int step);               /* of the step-th update, counted from 1 */


#endif
