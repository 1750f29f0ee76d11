#include "serve/exchange.h"
#include "base/arena.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

static const double SILENCE = 10;       /* seconds, after which a stream sends a comment */

double exchange_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

exchange *exchange_new(void)
{
    exchange *x = xalloc(1, sizeof *x);
    if (!x) return NULL;
    pthread_mutex_init(&x->mutex, NULL);
    x->holders = 1;
    x->fd = -1;
    x->began = x->said = exchange_now();
    return x;
}

exchange *exchange_hold(exchange *x)
{
    pthread_mutex_lock(&x->mutex);
    x->holders++;
    pthread_mutex_unlock(&x->mutex);
    return x;
}

void exchange_release(exchange *x)
{
    if (!x) return;
    pthread_mutex_lock(&x->mutex);
    bool last = !--x->holders;
    pthread_mutex_unlock(&x->mutex);
    if (!last) return;
    pthread_mutex_destroy(&x->mutex);
    free(x->path);
    free(x->body.bytes);
    free(x->out.bytes);
    free(x->ignored);
    free(x);
}

/* ---- the answer ----------------------------------------------------------------------- */

/* To be called under the mutex after the answer has changed. */
static void wake(exchange *x)
{
    if (!x->parked) return;
    x->parked = false;
    x->wake(x->connection);
}

void exchange_answer(exchange *x, int status, const char *type, char *body)
{
    pthread_mutex_lock(&x->mutex);
    if (x->kind == ANSWER_NONE) {
        x->kind = ANSWER_WHOLE;
        x->status = body ? status : 503;
        x->type = type;
        x->ended = true;
        free(x->out.bytes);
        x->out = (text_buffer){ .bytes = body, .n = body ? strlen(body) : 0 };
        body = NULL;
        wake(x);
    }
    pthread_mutex_unlock(&x->mutex);
    free(body);
}

void exchange_json(exchange *x, json_t *value) { exchange_answer(x, 200, "application/json", json_line(value)); }

void exchange_refuse(exchange *x, const problem *p) { exchange_answer(x, p->status, "application/json", problem_text(p)); }

void exchange_stream(exchange *x)
{
    pthread_mutex_lock(&x->mutex);
    if (x->kind == ANSWER_NONE) {
        x->kind = ANSWER_STREAM;
        x->status = 200;
        x->type = "text/event-stream";
        wake(x);
    }
    pthread_mutex_unlock(&x->mutex);
}

static void append(exchange *x, const char *before, const char *text, bool ends)
{
    pthread_mutex_lock(&x->mutex);
    if (x->sent == x->out.n) x->sent = x->out.n = 0;
    x->said = exchange_now();
    if (!x->ended) {
        text_append(&x->out, before, strlen(before));
        text_append(&x->out, text, strlen(text));
        text_append(&x->out, "\n\n", 2);
        x->ended = ends || x->out.failed;
    }
    wake(x);
    pthread_mutex_unlock(&x->mutex);
}

void exchange_event(exchange *x, json_t *value)
{
    char *text = json_line(value);
    if (text) append(x, "data: ", text, false);
    free(text);
}

static answer_kind kind_of(exchange *x, double *said)
{
    pthread_mutex_lock(&x->mutex);
    answer_kind kind = x->kind;
    *said = x->said;
    pthread_mutex_unlock(&x->mutex);
    return kind;
}

void exchange_ping(exchange *x)
{
    double said;
    if (kind_of(x, &said) == ANSWER_STREAM && exchange_now() - said > SILENCE) append(x, ": ", "", false);
}

void exchange_done(exchange *x) { append(x, "data: ", "[DONE]", true); }

void exchange_break(exchange *x, const problem *p)
{
    double said;
    if (kind_of(x, &said) != ANSWER_STREAM) { exchange_refuse(x, p); return; }
    char *text = problem_text(p);
    append(x, "data: ", text ? text : "{}", true);
    free(text);
}

/* ---- the client ------------------------------------------------------------------------- */

/* A client that has closed its side is gone: there is no other sign of it while nothing is sent. */
bool exchange_left(exchange *x)
{
    char byte;
    pthread_mutex_lock(&x->mutex);
    if (!x->gone && x->fd >= 0) {
        ssize_t n = recv(x->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
        x->gone = n == 0 || (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR);
    }
    bool gone = x->gone || x->fd < 0;
    pthread_mutex_unlock(&x->mutex);
    return gone;
}

size_t exchange_backlog(exchange *x)
{
    pthread_mutex_lock(&x->mutex);
    size_t n = x->out.n - x->sent;
    pthread_mutex_unlock(&x->mutex);
    return n;
}

static void park(exchange *x)
{
    x->parked = true;
    x->park(x->connection);
}

answer_kind exchange_wait(exchange *x)
{
    pthread_mutex_lock(&x->mutex);
    answer_kind kind = x->kind;
    if (kind == ANSWER_NONE) park(x);
    pthread_mutex_unlock(&x->mutex);
    return kind;
}

ssize_t exchange_take(exchange *x, char *bytes, size_t cap)
{
    pthread_mutex_lock(&x->mutex);
    size_t left = x->out.n - x->sent, n = left < cap ? left : cap;
    if (n) memcpy(bytes, x->out.bytes + x->sent, n);
    x->sent += n;
    bool end = !n && x->ended;
    if (!n && !end) park(x);
    pthread_mutex_unlock(&x->mutex);
    return end ? -1 : (ssize_t)n;
}

void exchange_closed(exchange *x)
{
    pthread_mutex_lock(&x->mutex);
    x->fd = -1;
    x->gone = true;
    if (x->kind == ANSWER_NONE) {
        x->kind = ANSWER_WHOLE;
        x->status = CLIENT_LEFT;
    }
    pthread_mutex_unlock(&x->mutex);
}
