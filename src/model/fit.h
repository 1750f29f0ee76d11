/* Whether what was read from several files goes together.  Each may be whole by
 * itself and still make an index that lies outside another: a tokenizer's mask
 * token past the model's vocabulary, data of more ids than their tokenizer has,
 * classes the head does not give.  Training, resuming and evaluating ask here
 * before the first batch is made. */
#ifndef MODEL_FIT_H
#define MODEL_FIT_H

#include "model/model.h"

/* What comes to a model from elsewhere; zero asks nothing. */
typedef struct {
    const char *data;                    /* names the data in messages */
    const lithe_tokenizer *tokenizer;    /* gives every id it knows to the model: as text, as mask, as random token */
    int vocab;                           /* the ids in the data are below it, and the tokenizer's */
    int ctx;                             /* tokens in a sequence at most */
    bool labelled, numbers;              /* each sequence has a class, or with numbers a number */
    int classes;
    image_shape images;                  /* side and channels of images; side 0: the data are text */
} demands;

int model_fit(const lithe_model *m, const demands *d, lithe_error *err);

/* One line naming the first id that is not in the vocabulary. */
int check_ids(const lithe_model *m, const int32_t *ids, size_t n, lithe_error *err);

#endif
