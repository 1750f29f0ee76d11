/* lithe eval --task NAME --data FILE: the items of a benchmark. */
#ifndef CLI_EVAL_ITEMS_H
#define CLI_EVAL_ITEMS_H

#include "lithe_tools.h"
#include <stdbool.h>

typedef struct { const char *task, *data, *shots_from, *out, *cache; bool default_cache; int limit, shots; uint64_t seed; bool json; } item_settings;

/* Runs the task and prints its figures; returns the exit code. */
int  eval_items_run(lithe_model *m, const lithe_tokenizer *t, const item_settings *s);
/* Whether it is a bare word, as names of tasks are, and no file is called so. */
bool is_name(const char *task);
/* "no task is called x; tasks are ..." and the exit code. */
int  unknown_task(const char *name);

#endif
