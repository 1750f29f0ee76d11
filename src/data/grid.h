/* A table's file as a grid of fields, before columns are chosen: .csv, .jsonl, else tab-separated (data/table.h). */
#ifndef DATA_GRID_H
#define DATA_GRID_H

#include "base/arena.h"
#include "base/error.h"

typedef struct { char **field; int count; long line; } grid_row;        /* field NULL: absent or null */
typedef struct {
    const char *path;
    grid_row *rows; size_t count, capacity;
    char **names; int columns;                          /* of the header, or of the objects; NULL without */
    char **field; int fields, field_capacity;           /* of the row that is being read */
    arena *memory;
} grid;

/* Reads the file at g->path into g, which has a path and an arena only.  A row that is not as wide as the first is
 * refused by its line, but for wider ones between tabs where there are many. */
int  grid_read(grid *g, lithe_error *err);
void grid_free(grid *g);                                /* all but what lies in the arena */
const char *grid_field(const grid_row *r, int column);  /* NULL where there is none */
int  grid_out_of_memory(const grid *g, lithe_error *err);

#endif
