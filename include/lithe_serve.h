/* lithe_serve.h - a server of models over HTTP, by the interfaces of OpenAI and of text-embeddings-inference
 * (docs/serving.md).  It is a header of its own, since most programs that use a model serve nothing.  The conventions
 * are those of lithe.h. */
#ifndef LITHE_SERVE_H
#define LITHE_SERVE_H

#include "lithe_tools.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct lithe_server lithe_server;

typedef struct {
    size_t size;               /* sizeof(lithe_server_options) */
    const char *host;          /* the address to listen at; "127.0.0.1" */
    int port;                  /* 0: any free one */
    /* A request has to bring one of these keys; none: any request is answered, which a host that other machines reach
     * allows only with no_auth. */
    const char *const *keys; int key_count;
    int no_auth;
    int parallel;              /* sequences that a model continues at once; 8 */
    int context;               /* as in lithe_engine_options */
    const char *cache_type;    /* as in lithe_session_options */
    int queue;                 /* requests that may wait; 256 */
    int connections;           /* open connections; 1100 */
    size_t body;               /* largest body of a request in bytes; 4 MiB */
    size_t prefix_bytes;       /* memory for the states after beginnings of prompts, to be reused; 256 MiB; 1: none */
    double client_seconds;     /* a client has this long for the whole of a request, or to read more of an answer; 30 */
    const char *chat_template; /* how conversations are written, as in lithe_template_open */
    const char *cors;          /* the origin whose web pages may use the server, or "*"; NULL: none */
    /* Receives a line for each request, without the texts in it; NULL: none.  It is called from the server's threads,
     * one at a time. */
    void (*log)(void *context, const char *line);
    void *log_context;
    int log_json;              /* lines of JSON */
} lithe_server_options;

/* Listens from now on; requests for models get 503 until lithe_server_ready.  LITHE_EDEVICE if the library was built
 * without libmicrohttpd. */
lithe_server *lithe_server_open(const lithe_server_options *o, lithe_error *err);
int           lithe_server_port(const lithe_server *s);
/* Serves m, which is borrowed, under a name.  tokenizer is a path as in lithe_tokenizer_open_with. */
int           lithe_server_add(lithe_server *s, const char *name, lithe_model *m, const char *tokenizer, const lithe_tokenizer_options *o, lithe_error *err);
int           lithe_server_ready(lithe_server *s, lithe_error *err);
/* The most memory that serving takes beside the models, as text (malloc'd): what each part has. */
char         *lithe_server_memory(const lithe_server *s);
/* Accepts nothing more, and returns when every running request is answered, or after `seconds`, when the others get an
 * error.  Closing does so at once. */
void          lithe_server_stop(lithe_server *s, double seconds);
void          lithe_server_close(lithe_server *s);

#ifdef __cplusplus
}
#endif
#endif
