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

static const json_t *messages_of(const json_t *body, problem *p)
{
    const json_t *messages = given(body, "messages");
    if (!json_is_array(messages) || !json_array_size(messages)) refuse(p, 400, "messages", "messages must be a list of at least one message");
    for (size_t i = 0; i < json_array_size(messages) && !p->status; i++) check_message(json_array_get(messages, i), i, p);
    return messages;
}

/* ---- the plain form --------------------------------------------------------------------- */

static void add_content(text_buffer *b, const json_t *content)
{
    if (json_is_string(content)) text_append(b, json_string_value(content), json_string_length(content));
    for (size_t k = 0; k < json_array_size(content); k++) add_content(b, given(json_array_get(content, k), "text"));
}

/* "User: Hello\n\nAssistant:" */
static void add_message(text_buffer *b, const json_t *message)
{
    const char *role = json_string_value(given(message, "role"));
    char first = (char)(*role >= 'a' && *role <= 'z' ? *role - 'a' + 'A' : *role);
    if (first) text_append(b, &first, 1), text_append(b, role + 1, strlen(role + 1));
    text_append(b, ": ", 2);
    add_content(b, given(message, "content"));
    text_append(b, "\n\n", 2);
}

void chat_prompt_open(chat_prompt *c, const served *m, const json_t *body, problem *p)
{
    static const char reply[] = "Assistant:";
    text_buffer b = { 0 };
    *c = (chat_prompt){ .end = -1 };
    const json_t *messages = messages_of(body, p);
    if (p->status) return;
    for (size_t i = 0; i < json_array_size(messages); i++) add_message(&b, json_array_get(messages, i));
    text_append(&b, reply, sizeof reply);
    c->text = b.bytes;
    c->stop = strdup("\n\nUser:");
    if (b.failed || !c->stop) refuse(p, 503, NULL, "not enough memory for the conversation");
    else c->ids = served_encode(m, b.bytes, b.n - 1, true, &c->n, p);
}

void chat_prompt_close(chat_prompt *c)
{
    free(c->text);
    free(c->ids);
    free(c->stop);
}
