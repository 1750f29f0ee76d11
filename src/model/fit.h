/* Checks whether what was read from several files goes together.  Each file may be
 * valid by itself and still hold an index that is out of range in another: a mask
 * token of the tokenizer above the model's vocabulary, data with more ids than
 * their tokenizer has, more classes than the head has outputs.  Training, resuming
 * and evaluating call this before the first batch is made. */
#ifndef MODEL_FIT_H
#define MODEL_FIT_H

#include "model/model.h"

/* What a model is used with; a field that is zero demands nothing. */
typedef struct {
    const char *data;                    /* the name of the data in messages */
    /* The model may be given any of its ids: as text, as the mask, as a random token. */
    const lithe_tokenizer *tokenizer;
    int vocab;                           /* every id in the data is below it */
    int ctx;                             /* the most tokens in a sequence */
    bool labelled, numbers;              /* each sequence has a class, or, with numbers, a number */
    int classes;
    image_shape images;                  /* side and channels of the images; side 0: the data are text */
} demands;

/* Fails with one line that names the sizes that do not agree. */
int model_fit(const lithe_model *m, const demands *d, lithe_error *err);

/* Fails with one line that names the first id that is not in the vocabulary. */
int check_ids(const lithe_model *m, const int32_t *ids, size_t n, lithe_error *err);

#endif
