#include "serve/chat_prompt.h"
#include <stdlib.h>
#include <string.h>

/* ---- messages -------------------------------------------------------------------------- */

/* A content is a text, or a list of parts of which each is one; a model of text reads nothing else. */
static void check_part(const json_t *part, problem *p)
{
    const char *type = json_string_value(given(part, "type"));
    if (!type || strcmp(type, "text")) refuse(p, 400, "messages", "a part of a message is of type \"%.40s\": the model reads text only", type ? type : "");
    else if (!json_is_string(given(part, "text"))) refuse(p, 400, "messages", "a part of a message has no text");
}

static void check_message(const json_t *message, size_t i, problem *p)
{
    const json_t *content = given(message, "content");
    if (!json_is_object(message) || !json_is_string(given(message, "role"))) refuse(p, 400, "messages", "message %zu must be an object with a role", i);
    else if (content && !json_is_string(content) && !json_is_array(content)) refuse(p, 400, "messages", "the content of message %zu must be a string or a list of parts", i);
    for (size_t k = 0; k < json_array_size(content) && !p->status; k++) check_part(json_array_get(content, k), p);
}

static void check_messages(const json_t *messages, problem *p)
{
    if (!json_is_array(messages) || !json_array_size(messages)) refuse(p, 400, "messages", "messages must be a list of at least one message");
    for (size_t i = 0; i < json_array_size(messages) && !p->status; i++) check_message(json_array_get(messages, i), i, p);
}

/* ---- the template ------------------------------------------------------------------------ */

/* body[key] as JSON, to be freed; NULL if it is absent. */
static char *json_of(const json_t *body, const char *key, bool list, problem *p)
{
    const json_t *value = given(body, key);
    if (value && !(list ? json_is_array(value) : json_is_object(value))) refuse(p, 400, key, "%s must be %s", key, list ? "a list" : "an object");
    char *text = value && !p->status ? json_dumps(value, JSON_COMPACT) : NULL;
    if (value && !text) refuse(p, 503, NULL, "not enough memory for the conversation");
    return text;
}

static void render(chat_prompt *c, const served *m, const json_t *body, problem *p)
{
    lithe_error err = m->template_error;
    char *messages = json_of(body, "messages", true, p), *tools = json_of(body, "tools", true, p), *variables = json_of(body, "chat_template_kwargs", false, p);
    if (!p->status)
        lithe_template_render(m->template, messages, strlen(messages), &LITHE_OPTIONS(lithe_template_options, .tools = tools, .variables = variables), &c->rendered, &err);
    if (err.status) refuse_error(p, "messages", &err);
    free(messages);
    free(tools);
    free(variables);
}

static void encode(chat_prompt *c, const served *m, problem *p)
{
    const char *stop;
    c->n = lithe_encode_rendered(m->reader, &c->rendered, NULL, 0);
    c->ids = malloc((c->n + 1) * sizeof *c->ids);
    c->end = lithe_template_end(m->template, &stop);
    c->stop = stop ? strdup(stop) : NULL;
    if (!c->ids || (stop && !c->stop)) refuse(p, 503, NULL, "not enough memory for the conversation");
    else if (!c->n) refuse(p, 400, "messages", "the template of %s writes nothing for this conversation", m->name);
    else lithe_encode_rendered(m->reader, &c->rendered, c->ids, c->n);
}

void chat_prompt_open(chat_prompt *c, const served *m, const json_t *body, problem *p)
{
    *c = (chat_prompt){ .end = -1 };
    check_messages(given(body, "messages"), p);
    if (!m->template && !m->template_error.status) refuse(p, 400, "model", "%s does not continue texts, so it has no conversations", m->name);
    if (!p->status) render(c, m, body, p);
    if (!p->status) encode(c, m, p);
}

void chat_prompt_close(chat_prompt *c)
{
    lithe_rendered_free(&c->rendered);
    free(c->ids);
    free(c->stop);
}
