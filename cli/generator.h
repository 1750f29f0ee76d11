/* What `generate` and `chat` share: the options of decoding, the model with its tokenizer, and text as it comes. */
#ifndef CLI_GENERATOR_H
#define CLI_GENERATOR_H

#include "inputs.h"
#include "options.h"

typedef struct {
    int max_tokens, top_k, context, ignore_eos;
    double temperature, top_p, min_p, repeat_penalty;
    uint64_t seed;
    texts stop;
    const char *tokenizer, *config, *cache_type;
} decoding;

#define DECODING_OPTIONS(S, TOKENS, LEAST, HELP) \
    { "max-tokens", 'n', COUNT(S, decoding.max_tokens), "N", TOKENS, .help = "largest number of tokens to write" HELP, .least = LEAST, .also = "n-predict,length,tokens,num-tokens,max-new-tokens", .group = "how it is written", .first = 1 }, \
    { "temperature", 0, REAL(S, decoding.temperature), "T", "0.8", .help = "softmax temperature: below 1 likelier text, above 1 more varied text; 0 always takes the likeliest token (the model's generation_config.json goes before the defaults)", \
      .most = 100, .also = "temp", .first = 1 }, \
    { "top-k", 0, COUNT(S, decoding.top_k), "K", .help = "sample from the K likeliest tokens (default: all)", .first = 1 }, \
    { "top-p", 0, REAL(S, decoding.top_p), "P", .help = "sample from the likeliest tokens whose probabilities add up to P (default: all)", .most = 1, .first = 1 }, \
    { "min-p", 0, REAL(S, decoding.min_p), "P", .help = "leave out tokens whose probability is below P times the largest (default 0)", .most = 1 }, \
    { "repeat-penalty", 0, REAL(S, decoding.repeat_penalty), "X", .help = "penalty factor for tokens that already occurred (default 1: off)", .most = 100, \
      .also = "repetition-penalty" }, \
    { "seed", 's', SEED(S, decoding.seed), "N", "0", .help = "seed of the sampling; the same seed gives the same text", .first = 1 }, \
    { "context", 0, COUNT(S, decoding.context), "N", .help = "tokens the session holds (default: the context of the model; a recurrent model has no limit)", .least = 2, .also = "ctx", .group = "model and session" }, \
    { "cache-type", 0, CHOICE(S, decoding.cache_type), "TYPE", .help = "how keys and values are kept (default: f16 if the model is stored in 16 bits or fewer, else f32)", \
      .choices = "f32|f16|q8_0", .also = "cache-type-k,cache-type-v,ctk,ctv" }, \
    { "ignore-eos", 0, FLAG(S, decoding.ignore_eos), .help = "continue after an end-of-text token" }, \
    { "tokenizer", 0, FILENAME(S, decoding.tokenizer), "PATH", .help = "tokenizer to use instead of the model's own" }, \
    { "config", 0, FILENAME(S, decoding.config), "FILE", .help = "config.json of a weights file that has none beside it" }

/* The options as lithe_generate takes them. */
lithe_generation generation(const decoding *s, const lithe_sampling *sampling);

/* What generates text.  context: the most tokens in the session, 0: any number. */
typedef struct { lithe_model *model; lithe_tokenizer *tokenizer; lithe_session *session; lithe_sampling sampling; int context; } generator;

/* Opens the model at the first operand with its tokenizer, and chooses how to sample. */
int  generator_open(generator *g, const arguments *a, const decoding *how, lithe_error *err);
/* Refuses options of sampling that were given, where the likeliest token is always taken. */
int  generator_draws(const generator *g, const arguments *a, lithe_error *err);
/* Opens the session. */
int  generator_begin(generator *g, const decoding *how, lithe_error *err);
void generator_close(generator *g);

/* The ids to continue; for an empty text, the token that begins texts, or else a line feed. */
int32_t *prompt_ids(const generator *g, const char *text, size_t size, size_t *n, lithe_error *err);

/* Text in memory, which grows.  show: it is printed as it comes; tail_only: only its latest piece is kept. */
typedef struct { char *text; size_t size, room; bool show, tail_only, failed; } page;
bool page_add(page *p, const char *text, size_t n);
/* lithe_generate's listener, with a page as its context: 1 ends the text. */
int  write_piece(void *context, const char *text, size_t n);
void end_line(const page *p);

#endif
