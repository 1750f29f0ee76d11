/* What lithe classify makes of a table, or of a set of images: a table with a prediction beside each row. */
#ifndef CLI_PREDICTIONS_H
#define CLI_PREDICTIONS_H

#include "lithe_tools.h"
#include <stdbool.h>

typedef struct {
    const char *table, *out;                            /* out NULL: standard output */
    const char *text_column, *pair_column, *label_column;
} prediction_settings;

/* Reads the rows of a table and writes each with the class that is predicted, its probability, and that of each class;
 * or with the predicted number.  Fields are between tabs, or commas where out ends in .csv. */
int predict_table(lithe_model *m, const lithe_tokenizer *t, const prediction_settings *s, lithe_error *err);
/* The same for images: files, folders, archives, lists. */
int predict_images(lithe_model *m, const char *const *paths, int n, const prediction_settings *s, lithe_error *err);
bool is_image_set(const char *path); /* a folder, or a file that holds or lists images */
bool is_table(const char *path);     /* a file with the name of a table: .csv, .tsv, .jsonl, packed or not */

#endif
