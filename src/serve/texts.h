/* A request about whole texts: their vectors, classes or masked tokens.  The texts are read in pieces, so that streams
 * of other models go on between them. */
#ifndef SERVE_TEXTS_H
#define SERVE_TEXTS_H

#include "serve/site.h"

/* The tokens of a piece, unless a single text has more. */
enum { PIECE_TOKENS = 512 };

typedef struct texts texts;
struct texts {
    job job;
    json_t *body;                       /* which holds the texts */
    const char **text, **pair;          /* (count); pair[i] NULL: text i is not a pair */
    int32_t *ids; size_t *start;        /* texts that are ids: text i is ids[start[i]..start[i+1]-1]; NULL: none is */
    size_t *tokens;                     /* (count) with special tokens */
    size_t count, room, total, done;
    bool truncate;
    lithe_embedding how;                /* of embeddings */
    int width;                          /* values of a text */
    float *values;                      /* (count, width) */
    lithe_candidate **found; int *masks;        /* of filled masks: (count) lists of (masks, top) */
    /* What the answer looks like. */
    int top, dimensions;
    bool base64, raw, one, other_form, with_text;
    /* Reads n texts from `first` on; the answer of all of them (a new reference). */
    int (*read)(texts *w, size_t first, size_t n, size_t *cut, lithe_error *err);
    json_t *(*answer)(texts *w);
};

/* NULL and a problem if the model is not there. */
texts *texts_open(const site *s, exchange *x, const json_t *body, problem *p);
/* Adds a text, or a pair, that lies in the body under `key`; limit: the most tokens that are read of it. */
void   texts_add(texts *w, const json_t *text, const json_t *pair, const char *key, size_t limit, problem *p);
/* Adds the texts of a list of lists of ids, without special tokens; the request then has no others. */
void   texts_add_ids(texts *w, const json_t *lists, const char *key, size_t limit, problem *p);
/* Hands it to the scheduler; a problem is answered. */
void   texts_submit(site *s, texts *w, problem *p);

#endif
