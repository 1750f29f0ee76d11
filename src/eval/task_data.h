/* The data of a task: JSON objects (a list of them, or one on each line), a table with a header, or plain text in
 * groups of lines; packed ones too.  Each record is a list of named texts. */
#ifndef EVAL_TASK_DATA_H
#define EVAL_TASK_DATA_H

#include "eval/task_file.h"

typedef struct { named_text *fields; int count, room; long line; } task_record;

typedef struct {
    const char *path;                        /* borrowed */
    char *name;                              /* of the file, without folder and endings */
    task_record *records; size_t count, room;
    arena memory;
} task_data;

/* Reads the records and derives the fields that the task's form of such data makes of others.  Data of another form are
 * refused with the file, the line and the forms. */
int  task_data_read(task_data *d, const task_file *t, const char *path, lithe_error *err);
void task_data_free(task_data *d);

/* The text of a field; NULL if the record has none. */
const char *record_text(const task_record *r, const char *name);
/* Sets a field; both texts are borrowed.  False when memory is out. */
bool        record_set(task_record *r, const char *name, const char *text, arena *memory);

/* Fills a template: {field}, {field|filter} with the filters strip, capitalize and named, {field?} and {{.  *out is the
 * text in the arena, or NULL if a field with ? is absent; a field without ? that is absent fails by file and line. */
int         record_fill(const task_record *r, const char *text, const task_file *t, const task_data *d, arena *memory, const char **out, lithe_error *err);

#endif
