#include "http_client.h"
#include "test.h"
#include <arpa/inet.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

int http_connect(int port)
{
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons((unsigned short)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int s = socket(AF_INET, SOCK_STREAM, 0);
    if (s >= 0 && !connect(s, (struct sockaddr *)&at, sizeof at)) return s;
    if (s >= 0) close(s);
    return -1;
}

void http_write(int s, const char *bytes, size_t n)
{
    while (n) {
        ssize_t sent = send(s, bytes, n, MSG_NOSIGNAL);
        if (sent <= 0) return;
        bytes += sent;
        n -= (size_t)sent;
    }
}

/* ---- answers ------------------------------------------------------------------------ */

/* Joins the chunks at text in place; returns their length. */
static size_t join_chunks(char *text, size_t n)
{
    size_t used = 0, at = 0;
    while (at < n) {
        char *end;
        size_t size = strtoul(text + at, &end, 16), begin = (size_t)(end - text) + 2;
        if (!size || begin + size > n) break;
        memmove(text + used, text + begin, size);
        used += size;
        at = begin + size + 2;
    }
    text[used] = 0;
    return used;
}

const char *reply_header(const reply *r, const char *name)
{
    size_t n = strlen(name);
    for (const char *line = r->head ? strchr(r->head, '\n') : NULL; line; line = strchr(line + 1, '\n'))
        if (!strncasecmp(line + 1, name, n) && line[1 + n] == ':') return line + n + 3;
    return NULL;
}

static reply parse(char *text, size_t n)
{
    reply r = { .head = text };
    char *end = memmem(text, n, "\r\n\r\n", 4);
    if (!end || sscanf(text, "HTTP/1.1 %d", &r.status) != 1) { free(text); return (reply){ 0 }; }
    end[2] = 0;
    r.body = end + 4;
    r.n = n - (size_t)(r.body - text);
    const char *coding = reply_header(&r, "Transfer-Encoding");
    if (coding && !strncasecmp(coding, "chunked", 7)) r.n = join_chunks(r.body, r.n);
    return r;
}

void reply_free(reply *r) { free(r->head); *r = (reply){ 0 }; }

reply http_exchange(int port, const char *bytes, size_t n)
{
    size_t used = 0, room = 1 << 16;
    char *text = malloc(room + 1);
    int s = http_connect(port);
    if (s >= 0) http_write(s, bytes, n);
    for (ssize_t got; s >= 0 && (got = recv(s, text + used, room - used, 0)) > 0; ) {
        used += (size_t)got;
        if (used == room) text = realloc(text, (room *= 2) + 1);
    }
    if (s >= 0) close(s);
    text[used] = 0;
    return parse(text, used);
}

/* ---- requests ------------------------------------------------------------------------- */

char *http_post_text(const char *path, const char *json)
{
    char *text = NULL;
    if (asprintf(&text, "POST %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s", path, strlen(json), json) < 0) return NULL;
    return text;
}

reply http_post(int port, const char *path, const char *json)
{
    char *text = http_post_text(path, json);
    reply r = http_exchange(port, text, strlen(text));
    free(text);
    return r;
}

reply http_get(int port, const char *path)
{
    char text[1000];
    snprintf(text, sizeof text, "GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", path);
    return http_exchange(port, text, strlen(text));
}

/* ---- JSON ------------------------------------------------------------------------------ */

json_t *reply_json(const reply *r) { return r->body ? json_loadb(r->body, r->n, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL) : NULL; }

json_t *reply_events(const reply *r, int *done)
{
    json_t *all = json_array();
    *done = 0;
    for (char *at = r->body, *end; at && (end = strstr(at, "\n\n")); at = end + 2) {
        if (at[0] == ':') continue;
        CHECK_MSG(!strncmp(at, "data: ", 6) && !*done, "an event is \"%.60s\"", at);
        *done = !strncmp(at, "data: [DONE]", 12);
        json_t *event = *done ? NULL : json_loadb(at + 6, (size_t)(end - at) - 6, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
        CHECK_MSG(event || *done, "an event is no JSON: %.200s", at);
        if (event) json_array_append_new(all, event);
    }
    return all;
}
