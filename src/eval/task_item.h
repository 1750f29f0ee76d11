/* An item of a task: the texts of its choices with the contexts before them, and the number of the right one. */
#ifndef EVAL_TASK_ITEM_H
#define EVAL_TASK_ITEM_H

#include "eval/task_data.h"

typedef struct {
    const char *context[CHOICES_MOST], *text[CHOICES_MOST];     /* the context has the description and the shots */
    int count, answer;
    long line;
} task_item;

/* Makes the item of a record, without description and shots.  No answer key, or one that is none of the choices, is
 * refused by file and line. */
int task_item_make(task_item *x, const task_data *d, size_t record, const task_file *t, arena *memory, lithe_error *err);

/* The shots: solved items that come before each item. */
typedef struct { char **solved; size_t count; task_data data; bool same; arena memory; } task_shots;
/* Reads `count` shots and one more: from `path`, else from the file that the task names, else from the data itself. */
int  task_shots_read(task_shots *s, const task_data *d, const task_file *t, const char *path, int count, lithe_error *err);
void task_shots_free(task_shots *s);

/* Puts the description and the first `shots` solved items, never the item's own, before its contexts. */
int  task_item_complete(task_item *x, const task_data *d, size_t record, const task_file *t, const task_shots *s, int shots, arena *memory, lithe_error *err);

#endif
