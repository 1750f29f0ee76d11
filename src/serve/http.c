#include "serve/http.h"
#include "serve/clients.h"
#include "serve/routes.h"
#include <errno.h>
#include <microhttpd.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* A connection that is silent is closed by libmicrohttpd; one on which bytes drip is ended so much later. */
static const double SILENT_SECONDS = 1;
enum { STREAM_BLOCK = 16 << 10, LISTEN_BACKLOG = 1024 };

struct http {
    site *site;
    struct MHD_Daemon *daemon;
    int socket, port;
    clients clients;
    atomic_int open;                        /* exchanges whose answers are not sent yet */
};

/* A request on its way: what MHD keeps for the connection until it is answered. */
typedef struct { http *http; exchange *x; client *client; const route *route; problem problem; const char *allow; bool called; size_t received; } passage;

/* ---- answers ------------------------------------------------------------------------- */

static void park(void *connection) { MHD_suspend_connection(connection); }
static void wake(void *connection) { MHD_resume_connection(connection); }

static ssize_t read_stream(void *context, uint64_t at, char *bytes, size_t cap)
{
    (void)at;
    ssize_t n = exchange_take(context, bytes, cap);
    return n < 0 ? MHD_CONTENT_READER_END_OF_STREAM : n;
}

static void release(void *x) { exchange_release(x); }

/* The headers of x's answer, whose other fields do not change any more. */
static void add_headers(struct MHD_Response *r, const passage *p)
{
    const exchange *x = p->x;
    const char *cors = p->http->site->options.cors;
    char seconds[20];
    MHD_add_response_header(r, "Content-Type", x->type ? x->type : "application/json");
    MHD_add_response_header(r, "Cache-Control", "no-store");
    MHD_add_response_header(r, "X-Content-Type-Options", "nosniff");
    if (x->ignored) MHD_add_response_header(r, "X-Lithe-Ignored", x->ignored);
    if (p->allow && x->status == 405) MHD_add_response_header(r, "Allow", p->allow);
    if (x->status == 401) MHD_add_response_header(r, "WWW-Authenticate", "Bearer");
    if (cors) {
        MHD_add_response_header(r, "Access-Control-Allow-Origin", cors);
        MHD_add_response_header(r, "Access-Control-Allow-Headers", "Authorization, Content-Type");
        MHD_add_response_header(r, "Access-Control-Expose-Headers", "X-Lithe-Ignored");
    }
    if (x->status != 429 && x->status != 503) return;
    snprintf(seconds, sizeof seconds, "%d", x->retry_after ? x->retry_after : 1);
    MHD_add_response_header(r, "Retry-After", seconds);
}

static enum MHD_Result send_response(struct MHD_Connection *c, struct MHD_Response *r, const passage *p)
{
    if (!r) return MHD_NO;
    add_headers(r, p);
    enum MHD_Result sent = MHD_queue_response(c, (unsigned)p->x->status, r);
    MHD_destroy_response(r);
    return sent;
}

static enum MHD_Result send_whole(struct MHD_Connection *c, const passage *p)
{
    const exchange *x = p->x;
    return send_response(c, MHD_create_response_from_buffer(x->out.n, x->out.bytes ? x->out.bytes : "", MHD_RESPMEM_MUST_COPY), p);
}

static enum MHD_Result send_stream(struct MHD_Connection *c, const passage *p)
{
    struct MHD_Response *r = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, STREAM_BLOCK, read_stream, p->x, release);
    if (r) exchange_hold(p->x);
    return send_response(c, r, p);
}

static enum MHD_Result answer(struct MHD_Connection *c, const passage *p)
{
    answer_kind kind = exchange_wait(p->x);
    return kind == ANSWER_NONE ? MHD_YES : kind == ANSWER_WHOLE ? send_whole(c, p) : send_stream(c, p);
}

/* ---- requests ------------------------------------------------------------------------- */

static const char *header(struct MHD_Connection *c, const char *name) { return MHD_lookup_connection_value(c, MHD_HEADER_KIND, name); }

/* What is too large even for the memory of a connection, libmicrohttpd refuses by itself, with a page for people. */
static void check_head(struct MHD_Connection *c, problem *p)
{
    const union MHD_ConnectionInfo *i = MHD_get_connection_info(c, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
    if (i && i->header_size > HEAD_BYTES) refuse(p, 431, NULL, "the head of the request has %zu bytes, and at most %d are read", i->header_size, HEAD_BYTES);
}

static void check_length(struct MHD_Connection *c, const http *h, problem *p)
{
    const char *text = header(c, "Content-Length");
    char *end;
    unsigned long long n = text ? strtoull(text, &end, 10) : 0;
    if (text && n > h->site->options.body) refuse(p, 413, NULL, "the body has %llu bytes, and at most %zu are read", n, h->site->options.body);
}

static client *client_of(struct MHD_Connection *c)
{
    const union MHD_ConnectionInfo *i = MHD_get_connection_info(c, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    return i ? i->socket_context : NULL;
}

static int socket_of(struct MHD_Connection *c)
{
    const union MHD_ConnectionInfo *i = MHD_get_connection_info(c, MHD_CONNECTION_INFO_CONNECTION_FD);
    return i ? i->connect_fd : -1;
}

static passage *passage_new(http *h, struct MHD_Connection *c, const char *method, const char *path)
{
    passage *p = calloc(1, sizeof *p);
    exchange *x = p ? exchange_new() : NULL;
    if (!x) { free(p); return NULL; }
    *p = (passage){ .http = h, .x = x, .client = client_of(c) };
    request_head head = { method, path, header(c, "Authorization"), header(c, "Content-Type") };
    p->route = route_find(h->site, &head, &p->allow, &p->problem);
    check_head(c, &p->problem);
    check_length(c, h, &p->problem);
    x->route = p->route ? route_path(p->route) : "-";
    x->unlogged = p->route && !route_is_logged(p->route);
    x->path = strdup(path);
    if (!x->path) refuse(&p->problem, 503, NULL, "not enough memory for the request");
    x->connection = c;
    x->fd = socket_of(c);
    x->park = park;
    x->wake = wake;
    atomic_fetch_add(&h->open, 1);
    return p;
}

/* What is beyond the limit is not kept. */
static void take_body(passage *p, const char *bytes, size_t n)
{
    size_t limit = p->http->site->options.body;
    if (p->x->body.n + n > limit) refuse(&p->problem, 413, NULL, "the body has more than %zu bytes", limit);
    if (atomic_fetch_add(&p->http->site->bodies, n) + n > MOST_BODIES) refuse(&p->problem, 429, NULL, "too many requests are being received, try again later");
    p->received += n;
    if (!p->problem.status) text_append(&p->x->body, bytes, n);
    if (p->x->body.failed) refuse(&p->problem, 503, NULL, "not enough memory for the body");
}

/* The body is not needed any more. */
static void leave_body(passage *p)
{
    atomic_fetch_sub(&p->http->site->bodies, p->received);
    p->received = 0;
    free(p->x->body.bytes);
    p->x->body = (text_buffer){ 0 };
}

static enum MHD_Result refused(struct MHD_Connection *c, passage *p)
{
    client_sends(&p->http->clients, p->client, false);
    exchange_refuse(p->x, &p->problem);
    return answer(c, p);
}

/* A browser asks whether a page of another origin may send a request. */
static bool asks_leave(const http *h, const char *method) { return h->site->options.cors && !strcmp(method, "OPTIONS"); }

static enum MHD_Result give_leave(struct MHD_Connection *c, const passage *p)
{
    exchange_answer(p->x, 204, "text/plain", strdup(""));
    return answer(c, p);
}

/* MHD calls this with the head of a request, then with each part of its body, then at its end, and again when a parked
 * connection was woken. */
static enum MHD_Result take_request(void *context, struct MHD_Connection *c, const char *path, const char *method, const char *version,
                                    const char *bytes, size_t *n, void **kept)
{
    passage *p = *kept;
    (void)version;
    if (!p) {
        *kept = p = passage_new(context, c, method, path);
        if (!p) return MHD_NO;
        if (asks_leave(context, method)) return give_leave(c, p);
        return p->problem.status ? refused(c, p) : MHD_YES;
    }
    if (*n) {
        take_body(p, bytes, *n);
        *n = 0;
        return MHD_YES;
    }
    if (!p->called) {
        p->called = true;
        if (p->problem.status) return refused(c, p);
        client_sends(&p->http->clients, p->client, false);
        route_call(p->route, p->http->site, p->x);
        leave_body(p);
    }
    return answer(c, p);
}

static void end_request(void *context, struct MHD_Connection *c, void **kept, enum MHD_RequestTerminationCode why)
{
    passage *p = *kept;
    (void)context, (void)c, (void)why;
    if (!p) return;
    leave_body(p);
    client_sends(&p->http->clients, p->client, true);
    exchange_closed(p->x);
    route_note(p->http->site, p->x);
    exchange_release(p->x);
    atomic_fetch_sub(&p->http->open, 1);
    free(p);
    *kept = NULL;
}

static void note_connection(void *context, struct MHD_Connection *c, void **kept, enum MHD_ConnectionNotificationCode what)
{
    http *h = context;
    if (what == MHD_CONNECTION_NOTIFY_STARTED) *kept = clients_add(&h->clients, socket_of(c));
    else clients_remove(&h->clients, *kept);
}

/* ---- listening ---------------------------------------------------------------------------- */

static int port_of(int socket)
{
    struct sockaddr_storage at;
    socklen_t n = sizeof at;
    char port[16];
    if (getsockname(socket, (struct sockaddr *)&at, &n) || getnameinfo((struct sockaddr *)&at, n, NULL, 0, port, sizeof port, NI_NUMERICSERV)) return 0;
    return atoi(port);
}

/* Other machines may reach it. */
static bool is_public(const struct addrinfo *a)
{
    char host[64] = "";
    getnameinfo(a->ai_addr, a->ai_addrlen, host, sizeof host, NULL, 0, NI_NUMERICHOST);
    return strncmp(host, "127.", 4) && strcmp(host, "::1");
}

static int bind_to(http *h, const struct addrinfo *a)
{
    int on = 1;
    h->socket = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (h->socket < 0) return -1;
    setsockopt(h->socket, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    return bind(h->socket, a->ai_addr, a->ai_addrlen) || listen(h->socket, LISTEN_BACKLOG) ? -1 : 0;
}

static int start_listening(http *h, lithe_error *err)
{
    const lithe_server_options *o = &h->site->options;
    struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV }, *found = NULL;
    char port[16];
    snprintf(port, sizeof port, "%d", o->port);
    int failure = getaddrinfo(o->host, port, &hints, &found), status = LITHE_OK;
    if (failure) return fail(err, LITHE_EINVAL, "%s: is no address of this machine: %s", o->host, gai_strerror(failure));
    if (is_public(found) && !o->key_count && !o->no_auth)
        status = fail(err, LITHE_EINVAL, "other machines reach %s: give a file of keys (--api-key-file), or say that anybody may use the server (--no-auth)", o->host);
    else if (bind_to(h, found)) status = fail(err, LITHE_EIO, "%s:%d: cannot listen, %s", o->host, o->port, strerror(errno));
    freeaddrinfo(found);
    h->port = port_of(h->socket);
    return status;
}

static int start_daemon(http *h, lithe_error *err)
{
    const lithe_server_options *o = &h->site->options;
    h->daemon = MHD_start_daemon(MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL, take_request, h,
                                 MHD_OPTION_LISTEN_SOCKET, h->socket, MHD_OPTION_NOTIFY_COMPLETED, end_request, h,
                                 MHD_OPTION_NOTIFY_CONNECTION, note_connection, h,
                                 MHD_OPTION_CONNECTION_LIMIT, (unsigned)o->connections, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_BYTES,
                                 MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)(o->client_seconds < 1 ? 1 : o->client_seconds), MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_END);
    return h->daemon ? LITHE_OK : fail(err, LITHE_EDEVICE, "cannot start the HTTP server, %s", strerror(errno));
}

http *http_open(site *s, lithe_error *err)
{
    http *h = calloc(1, sizeof *h);
    if (!h) { fail(err, LITHE_ENOMEM, "not enough memory for a server"); return NULL; }
    h->site = s;
    h->socket = -1;
    bool watches = !start_listening(h, err) && !clients_open(&h->clients, s->options.client_seconds + SILENT_SECONDS, err);
    if (watches && !start_daemon(h, err)) return h;
    if (watches) clients_close(&h->clients);
    if (h->socket >= 0) close(h->socket);
    free(h);
    return NULL;
}

int http_port(const http *h) { return h->port; }

void http_quiesce(http *h)
{
    if (h->socket < 0) return;
    MHD_quiesce_daemon(h->daemon);
    close(h->socket);
    h->socket = -1;
}

void http_close(http *h, double seconds)
{
    if (!h) return;
    http_quiesce(h);
    for (double end = exchange_now() + seconds; atomic_load(&h->open) && exchange_now() < end; ) nanosleep(&(struct timespec){ .tv_nsec = 2000000 }, NULL);
    MHD_stop_daemon(h->daemon);
    clients_close(&h->clients);
    free(h);
}
