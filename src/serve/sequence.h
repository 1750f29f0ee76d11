/* One sequence that a model continues for a request: the ids it has, how the next one is chosen, the text that comes of
 * it.  Nothing here knows of other sequences: the same request gives the same tokens in any company. */
#ifndef SERVE_SEQUENCE_H
#define SERVE_SEQUENCE_H

#include "infer/sampler.h"
#include "infer/text_stream.h"
#include "serve/logprobs.h"
#include "text/text_buffer.h"

typedef struct { int32_t id; float value; } logit_bias;

/* What a request asks of all its sequences. */
typedef struct {
    lithe_sampling sampling;
    float presence, frequency;          /* subtracted from the logits of written ids: once; for each time */
    logit_bias *bias; int biases;
    int max_tokens;                     /* 0: read only */
    char **stop; int stops;
    bool ignore_eos, has_end;
    int32_t end;                        /* with has_end: a token that ends the text, beside those of the model */
    bool score, score_prompt;           /* log-probabilities of the written ids, of the prompt's ids */
    int top;                            /* alternatives of each */
} generation_rules;

typedef enum { SEQUENCE_READS, SEQUENCE_WRITES, SEQUENCE_ENDED } sequence_phase;

typedef struct sequence {
    const generation_rules *rules;
    int index;                          /* of the choice in the answer */
    int32_t *ids; size_t prompt, count; /* the prompt's ids, then those that were written */
    size_t room;
    size_t read;                        /* how many of them the model has read */
    sequence_phase phase;
    bool begun;                         /* it has, or had, a slot */
    const struct sequence *first;       /* of the choices with the same prompt; NULL: this one */
    scored_id *scores, *top;            /* of ids[score_first ..]; (.., rules->top) their alternatives */
    size_t score_first, scored, score_room;
    text_stream stream;
    text_buffer text;                   /* what was written, as it may be shown */
    /* What a stream has sent: its first part; bytes of the text, scores, and characters before the next score. */
    bool first_sent;
    size_t sent_bytes, sent_scores, sent_chars;
    double waits_since;                 /* that its client has too much to read yet; 0: it has not */
    double last_token; size_t noted;    /* for metrics: when the latest was written, and the ids until then */
    bool ended_by_token;
    const char *reason;                 /* why it ended: "stop" or "length" */
} sequence;

/* The ids become the sequence's.  False if memory is out. */
bool sequence_open(sequence *q, const generation_rules *rules, int index, int32_t *ids, size_t n, const lithe_tokenizer *t);
void sequence_close(sequence *q);

/* What choosing needs of a model, used by one sequence at a time. */
typedef struct {
    const lithe_model *model;
    const lithe_tokenizer *tokenizer;
    int vocab, context;                 /* context 0: any number of ids */
    sampler sampler;
    float *adjusted;                    /* (vocab) */
    uint8_t *seen;                      /* (vocab), zeros */
} chooser;
int  chooser_open(chooser *c, const lithe_model *m, const lithe_tokenizer *t, int context, lithe_error *err);
void chooser_close(chooser *c);

/* Scores ids[at] of the prompt by the logits (vocab) after the id before it; ids[0] has no score and gets 0.  It is
 * called for each in order.  False if memory is out. */
bool sequence_score(sequence *q, size_t at, const float *logits, int vocab);
/* Chooses and adds the id after all those that were read, whose logits these are, or ends the sequence. */
int  sequence_choose(sequence *q, chooser *c, const float *logits, lithe_error *err);
/* Ends it. */
int  sequence_end(sequence *q, const char *reason, lithe_error *err);

/* Removes the rules' own memory. */
void rules_close(generation_rules *r);

#endif
