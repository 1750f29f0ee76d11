/* A model reading one sequence: forward passes that keep nothing (score.c),
 * sessions that keep a state (session.c), choosing the next token (sampler.c),
 * text that streams (generate.c). */
#ifndef INFER_H
#define INFER_H

#include "model/model.h"

/* A planned forward graph of m and the results it was built for. */
typedef struct { graph *g; results r; } pass;
int  pass_open(pass *p, const lithe_model *m, const graph_options *o, want w, lithe_error *err);
void pass_close(pass *p);

/* One line naming the first id that is not in the vocabulary. */
int check_ids(const lithe_model *m, const int32_t *ids, size_t n, lithe_error *err);

/* One line where m has no logits over its vocabulary, or looks both ways and so cannot continue a text. */
int must_predict_tokens(const lithe_model *m, lithe_error *err);
int must_continue_text(const lithe_model *m, lithe_error *err);

/* The next id from logits (vocab); the n ids that stand before it, however
 * often, weigh in through the repetition penalty (Keskar et al. 2019); number
 * counts the draw: the same seed at the same place of a sequence draws alike. */
int32_t sample(const float *logits, int vocab, const int32_t *ids, size_t n, size_t number, const lithe_sampling *o, float *scratch);

/* Pictures: a pass over at most as many as it was opened for.  Rows of a picture's patches, normalized, are written to
 * image_pass_patches; logits (pictures, labels) are borrowed until the next run. */
typedef struct { pass pass; int tokens, labels, patch_width; real *patches; int *pos, *start; } image_pass;
int         must_read_images(const lithe_model *m, lithe_error *err);
int         image_pass_open(image_pass *p, const lithe_model *m, int pictures, lithe_error *err);
void        image_pass_close(image_pass *p);
real       *image_pass_patches(const image_pass *p, int picture);
const real *image_pass_run(image_pass *p, int pictures);

/* Bytes of text that may be shown now: no unfinished UTF-8 sequence at the end,
 * no suffix that a stop string begins with.  *stopped: where a whole stop string begins, or SIZE_MAX. */
size_t showable(const char *text, size_t n, const char *const *stop, int stops, size_t *stopped);

#endif
