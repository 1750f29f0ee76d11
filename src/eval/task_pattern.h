/* Regular expressions of task files: a field's parts by the names of groups, and replacement.  A search is bounded, so
 * a pattern that explodes is a failure and not a wait. */
#ifndef EVAL_TASK_PATTERN_H
#define EVAL_TASK_PATTERN_H

#include "base/arena.h"
#include "base/error.h"

typedef struct task_pattern task_pattern;

/* what names the source in messages. */
task_pattern *task_pattern_new(const char *text, const char *what, lithe_error *err);
void          task_pattern_free(task_pattern *p);

/* Searches in text.  Returns 1, 0 if it does not match, or a negative status. */
int           task_pattern_search(task_pattern *p, const char *text, lithe_error *err);
/* Group i by name after a match, of which *name, *start and *length say; false past the last.  A group that took no
 * part in the match has *start NULL. */
bool          task_pattern_group(const task_pattern *p, int i, const char **name, const char **start, size_t *length);

/* The text with every match replaced, where $1 is the first group of the match, in the arena; NULL on failure. */
char         *task_pattern_replace(task_pattern *p, const char *text, const char *by, arena *memory, lithe_error *err);

#endif
