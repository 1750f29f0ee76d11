/* Reads tables of labelled text: a text, sometimes a second one, and a label.
 *
 *   .csv             fields between commas, in quotes where they hold commas, quotes or line breaks (RFC 4180)
 *   .jsonl           an object on each line; its keys are the columns
 *   any other name   fields between tabs, quotes mean nothing (GLUE's files)
 *
 * Each may be packed (.gz, .zst).  The rows of a file with commas or tabs are as wide as
 * its first.  That is a header when it holds the name of a column that was asked for, or
 * when the rows below it show it: numbers below a word, the same few values again and again
 * below another, or no second time the usual name of a label.
 * Which columns count: those that were named, else by usual names, else by what
 * they hold: the text is the column of the longest fields, its pair the next
 * longest when that is more than half as long, the label the column of classes (few
 * values that come again), numbers before words, else of numbers that do not just count.
 * Without names it is the column of numbers, or classes, that is nearest to the text; with
 * names a choice between equals is left to a person. */
#ifndef DATA_TABLE_H
#define DATA_TABLE_H

#include "base/arena.h"
#include "base/error.h"

/* A name, or a number from 1; NULL: chosen; pair "": none. */
typedef struct { const char *text, *pair, *label; } table_columns;

typedef struct { const char *text, *pair, *label; long line; } table_row;       /* pair NULL when there is none */
/* columns: which ones were chosen, for a person to read. */
typedef struct { table_row *rows; size_t count; char *columns; arena memory; } table;

/* With need_label, rows without a label are refused by their line; else a label may be NULL. */
int  table_read(table *t, const char *path, const table_columns *c, bool need_label, lithe_error *err);
void table_free(table *t);

#endif
