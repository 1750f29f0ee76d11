/* libFuzzer: bytes as a table of labelled text, the first of them choosing its
 * kind.  A table that is accepted has a text in every row, and a label where
 * one is needed. */
#include "data/table.h"
#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_as(const char *path, const table_columns *c, bool need_label)
{
    lithe_error err = { 0 };
    table t;
    int status = table_read(&t, path, c, need_label, &err);
    assert((status == LITHE_OK) == (err.status == LITHE_OK) && !strchr(err.text, '\n'));
    for (size_t i = 0; !status && i < t.count; i++) {
        assert(t.rows[i].text && t.rows[i].line > 0 && (!need_label || (t.rows[i].label && *t.rows[i].label)));
        assert(!c || !c->pair || *c->pair || !t.rows[i].pair);
    }
    if (!status) table_free(&t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const endings[] = { "tsv", "csv", "jsonl" };
    static const table_columns columns[] = { { 0 }, { "2", "", "1" }, { "text", "pair", "label" } };
    char path[64];
    if (size < 2) return 0;
    snprintf(path, sizeof path, "/dev/shm/lithe-fuzz-%d.%s", (int)getpid(), endings[data[0] % 3]);
    FILE *f = fopen(path, "wb");
    if (!f) return 0;
    fwrite(data + 1, 1, size - 1, f);
    fclose(f);
    read_as(path, &columns[data[0] / 3 % 3], data[0] & 64);
    unlink(path);
    return 0;
}
