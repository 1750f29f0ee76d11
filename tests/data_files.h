/* Files for the tests of data. */
#ifndef TEST_DATA_FILES_H
#define TEST_DATA_FILES_H

#include <stddef.h>

void        put_file(const char *name, const void *data, size_t size);     /* there, with the folders on the way */
void        put_text_file(const char *name, const char *text);

#endif
