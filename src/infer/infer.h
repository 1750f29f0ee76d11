/* A model at work: passes that keep nothing (sequences.c, score.c, compare.c,
 * image_logits.c), an engine whose slots keep states (engine.c), a session of one
 * slot (session.c), choosing the next token (sampler.c), text that streams
 * (text_stream.c), and the loop of the last three (generate.c). */
#ifndef INFER_H
#define INFER_H

#include "model/fit.h"
#include "model/pass.h"

/* One line where m has no logits over its vocabulary, or is bidirectional and so cannot continue a text. */
int must_predict_tokens(const lithe_model *m, lithe_error *err);
int must_continue_text(const lithe_model *m, lithe_error *err);

/* Images: a pass over at most as many as it was opened for.  The patches of each, normalized, are written to `patches`
 * (tokens - 1, patch width) and added; after a run pass.r.logits (images, labels) are those of all. */
typedef struct { pass pass; int tokens, labels; real *patches; } image_pass;
int         must_read_images(const lithe_model *m, lithe_error *err);
int         image_pass_open(image_pass *p, const lithe_model *m, int pictures, lithe_error *err);
void        image_pass_close(image_pass *p);
void        image_pass_add(image_pass *p);
int         image_pass_run(image_pass *p, lithe_error *err);

#endif
