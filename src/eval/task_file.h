/* A task says how the records of a data file become requests to a language model (docs/tasks.md): which fields they
 * have, the text before the choices, the choices, and which one is right.  It is a JSON file of tasks/, which the
 * library holds, or one that a person wrote.
 *
 *   file -> records (task_data.h) -> items of texts (task_item.h) -> ids (task_encode.h) -> scores (task_score.h) */
#ifndef EVAL_TASK_FILE_H
#define EVAL_TASK_FILE_H

#include "base/arena.h"
#include "base/json.h"
#include "eval/task_pattern.h"

enum { CHOICES_MOST = 32 };

typedef struct { const char *name, *text; } named_text;
typedef struct { const char *field; task_pattern *pattern; } extraction;      /* its groups become fields */
typedef struct { task_pattern *pattern; const char *by; } rewriting;
typedef struct { const char *context, *text; } choice_template;               /* context NULL: the task's */

/* A form of data that the task reads, recognised by the fields that a record has. */
typedef struct {
    const char **fields; int field_count;
    const char **lines; int line_count;      /* instead: so many lines of plain text are a record, with these fields */
    extraction *extract; int extract_count;
    named_text *set; int set_count;          /* fields that are made of others */
    const char *labels;                      /* the name of a file beside the data whose lines are the field "label" */
} task_form;

typedef struct {
    arena memory;
    json_t *json;                            /* the texts below are borrowed from it, but for path */
    const char *path;                        /* as messages name the file */
    const char *name, *about, *context, *description, *delimiter, *between, *answer, *shots;
    choice_template *choices; int choice_count;
    const char **answers;                    /* (choice_count) the key of each choice; NULL: a single continuation */
    const char **stop; int stop_count, longest;      /* of texts that are generated, in tokens; longest 0: none are */
    task_form *forms; int form_count;
    rewriting *rewrite; int rewrite_count;
    named_text *names; int name_count;
} task_file;

/* The tasks that the library holds; name NULL after the last. */
typedef struct { const char *name, *text; } held_task;
extern const held_task held_tasks[];

/* Opens one of these by its name or by another name that it gives itself, or a task file.  An unknown name is
 * LITHE_EINVAL with the known ones. */
task_file *task_file_open(const char *name, lithe_error *err);
task_file *task_file_parse(const char *text, size_t size, const char *what, lithe_error *err);
void  task_file_close(task_file *t);

#endif
