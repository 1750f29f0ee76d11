/* A request for text: what it asks (OpenAI's sampling fields), its sequences, and its answer, at once or as a stream.
 * Completions and chats differ in their prompts and in the form of an answer. */
#ifndef SERVE_TEXT_REQUEST_H
#define SERVE_TEXT_REQUEST_H

#include "serve/scheduler.h"
#include "serve/site.h"

typedef struct generation generation;

/* The form of an answer.  choice: a whole one (a new reference).  parts: a list of what a stream has not sent yet, an
 * event for each (a new reference). */
typedef struct {
    const char *id, *object, *chunk;
    json_t *(*choice)(generation *g, sequence *q);
    json_t *(*parts)(generation *g, sequence *q);
} generation_form;

struct generation {
    job job;
    metrics *metrics;
    const generation_form *form;
    generation_rules rules;
    int n;                              /* choices of each prompt */
    bool echo, stream, usage;
    size_t prompt_tokens, truncated;
    long long created;
    char id[40], fingerprint[40];
};

/* The keys that any request for text may have. */
#define GENERATION_KEYS "model", "max_tokens", "n", "best_of", "stream", "stream_options", "stop", "seed", "temperature", "top_p", "top_k", "min_p", \
    "repetition_penalty", "presence_penalty", "frequency_penalty", "logit_bias", "logprobs", "user", "ignore_eos", "truncate", "state"

/* Reads those fields but logprobs, with max_tokens where none is given.  NULL and a problem if one is wrong. */
generation *generation_read(site *s, exchange *x, const json_t *body, const generation_form *form, int max_tokens, problem *p);
/* Adds a prompt, whose ids become the generation's, and its choices; room for all of them is made before. */
bool generation_reserve(generation *g, size_t prompts, problem *p);
void generation_add(generation *g, int32_t *ids, size_t n, const json_t *body, problem *p);
/* Hands it to the scheduler; a problem is answered. */
void generation_submit(site *s, generation *g, problem *p);

/* The logprobs of completions for the scores from..to: {tokens, token_logprobs, top_logprobs, text_offset}, where
 * *chars is the number of characters before them, which grows. */
json_t *logprob_lists(const generation *g, const sequence *q, size_t from, size_t to, size_t *chars);
/* Those of chats: [{token, logprob, bytes, top_logprobs}]. */
json_t *logprob_records(const generation *g, const sequence *q, size_t from, size_t to);

#endif
