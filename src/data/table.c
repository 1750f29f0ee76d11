/* Reads labelled text (data/table.h).  A file becomes a grid of fields, columns are chosen, and each row becomes three
 * strings. */
#include "data/table.h"
#include "data/column_choice.h"
#include <stdlib.h>

static int take_rows(table *t, const grid *g, const column_choice *k, bool need_label, lithe_error *err)
{
    t->rows = xalloc(g->count + 1, sizeof *t->rows);
    t->columns = columns_text(g, k);
    if (!t->rows || !t->columns) return grid_out_of_memory(g, err);
    for (size_t i = 0; i < g->count; i++) {
        const grid_row *r = &g->rows[i];
        table_row row = { grid_field(r, k->text), grid_field(r, k->pair), grid_field(r, k->label), r->line };
        if (!row.text) return fail(err, LITHE_EFORMAT, "%s:%ld: has %d columns, the text is column %d", g->path, r->line, r->count, k->text + 1);
        if (k->pair >= 0 && !row.pair) return fail(err, LITHE_EFORMAT, "%s:%ld: has %d columns, the second text is column %d", g->path, r->line, r->count, k->pair + 1);
        if (need_label && (!row.label || !*row.label))
            return fail(err, LITHE_EFORMAT, "%s:%ld: has no label%s", g->path, r->line, k->label < 0 ? ": name its column" : "");
        t->rows[t->count++] = row;
    }
    return LITHE_OK;
}

int table_read(table *t, const char *path, const table_columns *c, bool need_label, lithe_error *err)
{
    *t = (table){ 0 };
    const table_columns none = { 0 };
    grid g = { .path = path, .memory = &t->memory };
    column_choice k = { 0 };
    int status = failed(err) ? (int)err->status : grid_read(&g, err);
    if (!status) status = columns_header(&g, c ? c : &none, &k.header, err);
    if (!status && !g.count) status = fail(err, LITHE_EFORMAT, "%s: holds no rows", path);
    if (!status) status = columns_choose(&g, c ? c : &none, &k, err);
    if (!status) status = take_rows(t, &g, &k, need_label, err);
    grid_free(&g);
    if (status) table_free(t);
    return status;
}

void table_free(table *t)
{
    free(t->rows);
    arena_free(&t->memory);
    *t = (table){ 0 };
}
