/* Scores that were computed before, in a file for each combination of what they depend on: the model's parameters and
 * configuration, the tokenizer, the task, the data and the shots.  Each line holds the scores of one item, so a run
 * that was stopped, or looked at fewer items, serves a longer one. */
#ifndef EVAL_TASK_CACHE_H
#define EVAL_TASK_CACHE_H

#include "eval/task_item.h"
#include "eval/task_score.h"

typedef struct { task_score *scores; int count; } cached_item;       /* count 0: not there */
typedef struct { cached_item *items; size_t count; char *path; int fd; arena memory; } task_cache;

/* 16 bytes that identify a model: its configuration and every stored byte of its parameters. */
void task_model_key(const lithe_model *m, uint64_t key[2]);

/* Opens the file of a data file in a directory, which is made; dir NULL: nothing is cached. */
int  task_cache_open(task_cache *c, const char *dir, const uint64_t model[2], const lithe_tokenizer *t, const task_file *f, const task_data *d, const task_shots *s, int shots, lithe_error *err);
void task_cache_close(task_cache *c);

/* Fills in the scores of an item if they are known. */
bool task_cache_find(const task_cache *c, size_t item, task_request *r);
/* What cannot be kept, on a full disk, is computed again the next time. */
void task_cache_add(task_cache *c, size_t item, const task_request *r);

/* Reads lines of scores of `count` items; what is not such a line is passed over. */
void task_cache_read(task_cache *c, const char *text, size_t size, size_t count);

#endif
