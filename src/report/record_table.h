/* The numbers of a figure, as NAME.csv and NAME.json in one directory. */
#ifndef REPORT_RECORD_TABLE_H
#define REPORT_RECORD_TABLE_H

#include "base/file.h"

typedef struct { writer csv, json; const char *const *columns; int column, rows; int status; lithe_error *err; } record_table;

/* columns ends with NULL.  After a failure the others do nothing. */
int  record_begin(record_table *t, const char *dir, const char *name, const char *const *columns, lithe_error *err);
void record_words(record_table *t, const char *text);
void record_number(record_table *t, double x);          /* not finite: empty, and null */
int  record_end(record_table *t);

#endif
