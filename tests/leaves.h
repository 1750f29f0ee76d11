/* What a command leaves on the disk, for tests that fail or kill it. */
#ifndef TEST_LEAVES_H
#define TEST_LEAVES_H

#include <stdbool.h>
#include <stdint.h>

/* A hash of the names and contents of all files below path, but for those that hold a time or a command line. */
uint64_t tree_hash(const char *path);
/* Whether something temporary lies below path. */
bool     leaves_strays(const char *path);

#endif
