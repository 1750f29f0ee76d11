/* A server in the test's own process, over tiny models of bytes. */
#ifndef TEST_SERVE_TESTS_H
#define TEST_SERVE_TESTS_H

#include "http_client.h"
#include "lithe_serve.h"
#include <stdbool.h>

typedef struct { lithe_server *server; lithe_model *models[6]; int count, port; } stand;

/* A model with random values whose tokens are bytes; a context of 320. */
lithe_model *serve_model(const char *name);
/* A server of these architectures (ending with NULL), each under its own name; skips the test without libmicrohttpd. */
stand stand_open(const char *const *archs, const lithe_server_options *o);
/* The same in parts: a server without models, models, and then it is ready.  The encoders are three of BERT, "masked",
 * "mood" (three classes) and "ranker" (a number), with the vocabulary that is named. */
stand stand_listen(const lithe_server_options *o);
void  stand_add(stand *s, const char *name, lithe_model *m, const char *tokenizer);
void  stand_add_encoders(stand *s, const char **vocabulary);
void  stand_ready(stand *s);
void  stand_close(stand *s);

/* Posts JSON given as a format and gives the answer's JSON; the status must be this. */
json_t *posted(const stand *s, const char *path, int status, const char *format, ...) __attribute__((format(printf, 4, 5)));
/* choices[i] of an answer, or of the joined events of a stream. */
const json_t *choice_at(const json_t *answer, size_t i);
const char   *choice_text(const json_t *answer, size_t i);

/* A number of a page of /metrics, or NAN. */
double metric_in(const char *page, const char *name);
/* The same of the server's page as it is now. */
double metric(const stand *s, const char *name);
/* Waits until it has this value, ten seconds at most; whether it has. */
bool   metric_becomes(const stand *s, const char *name, double value);

#endif
