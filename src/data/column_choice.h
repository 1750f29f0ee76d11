/* Which columns of a table hold the text, its pair and the label (data/table.h says by what). */
#ifndef DATA_COLUMN_CHOICE_H
#define DATA_COLUMN_CHOICE_H

#include "data/grid.h"
#include "data/table.h"

typedef struct { int text, pair, label; bool header; } column_choice;       /* places from 0; -1: none */

/* Moves the first row into g->names where the rows below it show that it is a header. */
int columns_header(grid *g, const table_columns *c, bool *header, lithe_error *err);
/* Two columns that are equally good for one use are refused: a person has to name one. */
int columns_choose(const grid *g, const table_columns *c, column_choice *k, lithe_error *err);
/* Writes which columns were chosen, for a person to read, into the arena of g; NULL when memory is out. */
char *columns_text(const grid *g, const column_choice *k);

#endif
