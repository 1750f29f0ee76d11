/* Tables for programs that classify their rows (lithe_tools.h). */
#include "base/sized.h"
#include "data/table.h"
#include "lithe_tools.h"
#include <stdlib.h>

struct lithe_table { table rows; };

lithe_table *lithe_table_open(const char *path, const lithe_data_options *o, lithe_error *err)
{
    lithe_data_options options;
    if (failed(err) || options_read(&options, sizeof options, o, "lithe_data_options", err)) return NULL;
    const table_columns columns = { options.text_column, options.pair_column, options.label_column };
    lithe_table *t = xalloc(1, sizeof *t);
    if (!path || !t) fail(err, t ? LITHE_EINVAL : LITHE_ENOMEM, t ? "no table is named" : "out of memory for a table");
    else if (!table_read(&t->rows, path, &columns, false, err)) return t;
    free(t);
    return NULL;
}

size_t lithe_table_count(const lithe_table *t) { return t ? t->rows.count : 0; }

lithe_table_row lithe_table_row_at(const lithe_table *t, size_t i)
{
    if (i >= lithe_table_count(t)) return (lithe_table_row){ 0 };
    const table_row *r = &t->rows.rows[i];
    return (lithe_table_row){ r->text, r->pair, r->label };
}

const char *lithe_table_columns(const lithe_table *t) { return t ? t->rows.columns : NULL; }

void lithe_table_close(lithe_table *t)
{
    if (t) table_free(&t->rows);
    free(t);
}
