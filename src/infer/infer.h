/* Inference: passes without state (sequences.c, score.c, image_logits.c),
 * an engine whose slots keep states (engine.c), a session of one slot (session.c),
 * sampling of the next token (sampler.c), streams of text (text_stream.c), and the
 * loop over the last three (generate.c). */
#ifndef INFER_H
#define INFER_H

#include "model/fit.h"
#include "model/pass.h"

/* Fails if m has no logits over its vocabulary, or is bidirectional and therefore cannot continue a text. */
int must_predict_tokens(const lithe_model *m, lithe_error *err);
int must_continue_text(const lithe_model *m, lithe_error *err);

/* A pass over images, at most as many as it was opened for.  The normalized patches of each are written to `patches`
 * (tokens - 1, patch width) and added; after a run pass.r.logits (images, labels) are those of all images. */
typedef struct { pass pass; int tokens, labels; real *patches; } image_pass;
int         must_read_images(const lithe_model *m, lithe_error *err);
int         image_pass_open(image_pass *p, const lithe_model *m, int images, lithe_error *err);
void        image_pass_close(image_pass *p);
void        image_pass_add(image_pass *p);
int         image_pass_run(image_pass *p, lithe_error *err);

#endif
