/* Files for the tests of data (tests/data_files.h). */
#include "data_files.h"
#include "base/file.h"
#include "test.h"
#include <stdlib.h>

void put_file(const char *name, const void *data, size_t size)
{
    lithe_error err = { 0 };
    char *parent = path_parent(in_dir(name));
    FILE *f = dir_make(parent, &err) == LITHE_OK ? fopen(in_dir(name), "wb") : NULL;
    CHECK(f && fwrite(data, 1, size, f) == size && !fclose(f));
    free(parent);
}

void put_text_file(const char *name, const char *text) { put_file(name, text, strlen(text)); }
