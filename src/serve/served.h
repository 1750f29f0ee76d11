/* A model that is served under a name. */
#ifndef SERVE_SERVED_H
#define SERVE_SERVED_H

#include "lithe_tools.h"
#include "serve/request_fields.h"
#include "serve/prefix_store.h"
#include "serve/sequence.h"
#include <stdatomic.h>

/* Rows of a pass that read prompts, beside a row for each sequence that writes: between two tokens of a stream, a model
 * reads at most that many tokens of other requests.  SCORED_ROWS of them can be scored. */
enum { PROMPT_ROWS = 128, SCORED_ROWS = 32 };

struct job;
typedef struct { struct job *job; sequence *sequence; size_t taken; } place_in_engine;        /* sequence NULL: free */

typedef struct served {
    char *name;
    lithe_model *model;                 /* borrowed */
    /* A tokenizer for each thread: the one that reads requests, the one that runs models. */
    lithe_tokenizer *reader, *runner;
    int vocab, context;                 /* context 0: any number of ids */
    long long created;
    char dtype[16], hash[33];           /* how most of its values are stored; of its configuration */
    lithe_engine *whole;                /* for whole texts: embeddings, classes, masked tokens */
    int width;                          /* of an embedding */
    lithe_embedding embedding;          /* how texts become embeddings; unknown, because: */
    lithe_error embedding_error;
    /* Only of a model that continues texts. */
    lithe_template *template;           /* NULL: it could not be opened, because: */
    lithe_error template_error;
    lithe_engine *engine;
    prefix_store *prefixes;             /* borrowed */
    bool recurrent;                     /* some of its states are */
    int slots, next;                    /* next: the slot whose prompt is read first in the next turn */
    atomic_int busy;                    /* slots in use */
    place_in_engine *slot;              /* (slots) */
    lithe_engine_input *inputs;         /* (slots) */
    float *logits, *scoring;            /* (slots, vocab); (SCORED_ROWS, vocab) */
    chooser chooser;
    struct state_origin *origin;        /* NULL until it is asked for */
} served;

served *served_open(const char *name, lithe_model *m, const char *tokenizer, const lithe_tokenizer_options *o, const lithe_engine_options *e,
                    const char *template, lithe_error *err);
void    served_close(served *m);

/* The one that body["model"] names, or the only one; NULL and a problem if there is none. */
served *served_find(served *const *all, int count, const json_t *body, problem *p);

/* Whose states it has; all parameters are read when it is first asked for, by the thread that reads requests. */
const struct state_origin *served_origin(served *m, lithe_error *err);

/* The ids of a text of a request with the special tokens of the model's prompts before it, never none, to be freed. */
int32_t *served_encode(const served *m, const char *text, size_t size, bool special, size_t *n, problem *p);

#endif
