/* What a server counts, and GET /metrics: Prometheus's text format, version 0.0.4. */
#ifndef SERVE_SERVER_METRICS_H
#define SERVE_SERVER_METRICS_H

#include <pthread.h>
#include <stddef.h>

enum { MOST_ROUTES = 40, CODES = 14, BUCKETS = 14 };

/* The last of `in` counts what is above all bounds. */
typedef struct { unsigned long long in[BUCKETS + 1]; double sum; } histogram;

typedef struct {
    pthread_mutex_t mutex;
    const char *route[MOST_ROUTES]; int routes;
    unsigned long long answers[MOST_ROUTES][CODES];
    unsigned long long prompt_tokens, tokens, queue_full, unauthorized, too_large;
    histogram duration, first_token, between_tokens;
} metrics;

void metrics_open(metrics *m);
void metrics_close(metrics *m);
/* A request has been answered, with so many seconds since it began. */
void metrics_request(metrics *m, const char *route, int status, double seconds, size_t prompt_tokens, size_t tokens);
/* A sequence got its first token, or another one, so many seconds after the request or the token before. */
void metrics_token(metrics *m, int first, double seconds);

/* What is not counted but looked at. */
typedef struct { int waiting, slots, busy; size_t prefix_bytes, prefix_tokens; } metrics_now;
typedef struct { const char *name, *arch, *dtype, *hash; } metrics_model;
/* The page, to be freed; NULL if memory is out. */
char *metrics_text(metrics *m, const metrics_now *now, const metrics_model *models, int count);

#endif
