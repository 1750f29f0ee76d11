/* Text files as this program must look at them before the library reads them:
 * how much there is, and a sample from which a tokenizer is learned.  The same
 * files count as in lithe_dataset_open: .txt and .jsonl, packed or not, in a
 * directory at any depth; a file that is named counts whatever its name. */
#ifndef CLI_SOURCES_H
#define CLI_SOURCES_H

#include "lithe.h"
#include <stdbool.h>

typedef struct {
    char **paths;               /* [count], in the order of reading */
    bool *packed;               /* .gz or .zst: not readable here */
    double *bytes;              /* of text; of packed files three times their size */
    int count, any_packed, standard_input;
    double total;
} sources;

int  sources_find(sources *s, const char *const *paths, int n, lithe_error *err);
void sources_free(sources *s);

/* Plain text of at most about `limit` bytes: of each file the same share, from
 * its beginning, ended at a line; of .jsonl the `text` fields, an empty line
 * between two.  The same bytes for the same files.  malloc'd. */
char *sources_text(const sources *s, double limit, size_t *size, lithe_error *err);

#endif
