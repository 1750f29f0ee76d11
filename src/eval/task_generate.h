/* Answers that a model writes by itself, compared with the right ones. */
#ifndef EVAL_TASK_GENERATE_H
#define EVAL_TASK_GENERATE_H

#include "eval/task_file.h"

/* Continues a context by the likeliest tokens, up to a stop string or the task's longest text, and says whether that is
 * the answer, but for white space around both. */
int task_generates(lithe_session *s, const lithe_tokenizer *t, const task_file *f, const char *context, const char *answer, bool *same, lithe_error *err);

#endif
