/* Files of /proc and /sys, which the kernel writes as they are read: their size says nothing, and one that cannot be
 * read is as good as empty, for what it says is a bound or a figure that is then not known. */
#ifndef BASE_KERNEL_FILE_H
#define BASE_KERNEL_FILE_H

#include <stdbool.h>
#include <stddef.h>

typedef struct { int fd; size_t at, end; bool cut; char text[4096]; } kernel_file;

void  kernel_open(kernel_file *f, const char *path);
/* The next line, without its end, until the next call; of one that is longer than f->text its beginning.  NULL after
 * the last. */
char *kernel_line(kernel_file *f);
void  kernel_close(kernel_file *f);

/* The first line; false, and "", when there is none. */
bool  kernel_first_line(const char *path, char *to, size_t size);

#endif
