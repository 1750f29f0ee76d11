/* A small HTTP client, for the tests of the server. */
#ifndef TEST_HTTP_CLIENT_H
#define TEST_HTTP_CLIENT_H

#include <jansson.h>
#include <stddef.h>

/* An answer: its status line and headers, its body with the chunks joined; reply_free releases it.  status 0: the
 * connection was closed without one. */
typedef struct { int status; char *head, *body; size_t n; } reply;

int   http_connect(int port);
/* Sends all of it. */
void  http_write(int socket, const char *bytes, size_t n);
/* Sends a request on a connection of its own and reads until the server closes it. */
reply http_exchange(int port, const char *bytes, size_t n);
reply http_get(int port, const char *path);
reply http_post(int port, const char *path, const char *json);
/* The text of such a request. */
char *http_post_text(const char *path, const char *json);
void  reply_free(reply *r);
/* The value of a header, borrowed up to the end of its line; NULL: there is none. */
const char *reply_header(const reply *r, const char *name);

/* The JSON of the answer's body, and of each event of a stream but [DONE], as an array; *done tells whether that was
 * the last one. */
json_t *reply_json(const reply *r);
json_t *reply_events(const reply *r, int *done);

#endif
