/* Conversations: a reply is the completion of what the template writes, whole or as a stream. */
#include "serve_tests.h"
#include "test.h"
#include <stdlib.h>

static const json_t *at(const json_t *object, const char *key) { return json_object_get(object, key); }
static const char *text_at(const json_t *object, const char *key) { return json_string_value(at(object, key)); }

#define TALK "\"messages\":[{\"role\":\"system\",\"content\":\"Be kind.\"},{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"Hello\"}]}]"
#define HOW ",\"max_tokens\":30,\"seed\":9,\"temperature\":0.8"

static stand stand_gpt2(void) { return stand_open((const char *const[]){ "gpt2", NULL }, NULL); }

/* What a template writes after a reply ends the reply. */
static void replies_are_completions(void)
{
    lithe_error err = { 0 };
    const char *stop;
    lithe_tokenizer *t = lithe_tokenizer_open("bytes", &err);
    lithe_template *plain = lithe_template_open(t, NULL, &err);
    CHECK(lithe_template_end(plain, &stop) < 0 && stop);
    json_t *end = json_string(stop);
    char *quoted_end = json_dumps(end, JSON_ENCODE_ANY);
    stand s = stand_gpt2();
    json_t *template = posted(&s, "/apply-template", 200, "{" TALK "}");
    const char *prompt = text_at(template, "prompt");
    CHECK_MSG(prompt && strstr(prompt, "Be kind.") && strstr(prompt, "Hello"), "%s", prompt ? prompt : "no prompt");
    json_t *answer = posted(&s, "/v1/chat/completions", 200, "{" TALK HOW "}"), *text = json_string(prompt);
    char *quoted = json_dumps(text, JSON_ENCODE_ANY);
    json_t *whole = posted(&s, "/v1/completions", 200, "{\"prompt\":%s,\"stop\":[%s]" HOW "}", quoted, quoted_end);
    const json_t *message = at(choice_at(answer, 0), "message");
    CHECK_MSG(!strcmp(text_at(message, "content"), choice_text(whole, 0)), "the reply is \"%s\", the completion \"%s\"", text_at(message, "content"), choice_text(whole, 0));
    CHECK(!strcmp(text_at(message, "role"), "assistant") && !strcmp(text_at(answer, "object"), "chat.completion"));
    CHECK(json_equal(at(answer, "usage"), at(whole, "usage")));
    free(quoted), free(quoted_end);
    lithe_template_close(plain);
    lithe_tokenizer_close(t);
    json_decref(end), json_decref(template), json_decref(answer), json_decref(whole), json_decref(text);
    stand_close(&s);
}

/* ---- streams ------------------------------------------------------------------------- */

typedef struct { char text[2000]; json_t *scores; const char *reason; int roles, usages; } heard;

static void hear_delta(heard *h, const json_t *choice)
{
    const json_t *delta = at(choice, "delta"), *scores = at(at(choice, "logprobs"), "content");
    CHECK(!h->reason);
    if (at(delta, "role")) h->roles++, CHECK(!h->text[0]);
    if (at(delta, "content")) strncat(h->text, text_at(delta, "content"), sizeof h->text - strlen(h->text) - 1);
    for (size_t i = 0; i < json_array_size(scores); i++) json_array_append(h->scores, json_array_get(scores, i));
    h->reason = text_at(choice, "finish_reason");
}

static void streams_are_replies(void)
{
    int done;
    stand s = stand_gpt2();
    heard h = { .scores = json_array() };
    json_t *whole = posted(&s, "/v1/chat/completions", 200, "{" TALK HOW ",\"logprobs\":true,\"top_logprobs\":2}");
    reply r = http_post(s.port, "/v1/chat/completions", "{" TALK HOW ",\"logprobs\":true,\"top_logprobs\":2,\"stream\":true,\"stream_options\":{\"include_usage\":true}}");
    json_t *events = reply_events(&r, &done);
    size_t n = json_array_size(events);
    CHECK(r.status == 200 && done && n > 3 && !strncmp(reply_header(&r, "Content-Type"), "text/event-stream", 17));
    for (size_t i = 0; i < n; i++) {
        const json_t *event = json_array_get(events, i);
        bool last = i + 1 == n;
        CHECK(!strcmp(text_at(event, "object"), "chat.completion.chunk") && json_array_size(at(event, "choices")) == (last ? 0 : 1) && json_is_object(at(event, "usage")) == last);
        if (!last) hear_delta(&h, choice_at(event, 0));
    }
    const json_t *choice = choice_at(whole, 0);
    CHECK_MSG(!strcmp(h.text, text_at(at(choice, "message"), "content")), "the stream is \"%s\"", h.text);
    CHECK(json_equal(h.scores, at(at(choice, "logprobs"), "content")) && h.roles == 1 && h.reason && !strcmp(h.reason, text_at(choice, "finish_reason")));
    CHECK(json_equal(at(json_array_get(events, n - 1), "usage"), at(whole, "usage")));
    json_decref(events), json_decref(whole), json_decref(h.scores);
    reply_free(&r);
    stand_close(&s);
}

/* ---- what is refused --------------------------------------------------------------------- */

static void what_is_no_conversation(void)
{
    static const struct { const char *body, *param; } WRONG[] = {
        { "{}", "messages" }, { "{\"messages\":[]}", "messages" }, { "{\"messages\":\"hi\"}", "messages" }, { "{\"messages\":[3]}", "messages" },
        { "{\"messages\":[{\"content\":\"a\"}]}", "messages" }, { "{\"messages\":[{\"role\":\"user\",\"content\":3}]}", "messages" },
        { "{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"image_url\",\"image_url\":{\"url\":\"file:///etc/passwd\"}}]}]}", "messages" },
        { "{" TALK ",\"logprobs\":2}", "logprobs" }, { "{" TALK ",\"top_logprobs\":2}", "top_logprobs" }, { "{" TALK ",\"logprobs\":true,\"top_logprobs\":21}", "top_logprobs" },
        { "{" TALK ",\"max_completion_tokens\":-1}", "max_completion_tokens" }, { "{" TALK ",\"response_format\":{\"type\":\"json_object\"}}", "response_format" },
    };
    stand s = stand_gpt2();
    for (size_t i = 0; i < sizeof WRONG / sizeof *WRONG; i++) {
        json_t *answer = posted(&s, "/v1/chat/completions", 400, "%s", WRONG[i].body);
        const char *param = text_at(at(answer, "error"), "param");
        CHECK_MSG(param && !strcmp(param, WRONG[i].param), "%s: param is %s", WRONG[i].body, param ? param : "null");
        json_decref(answer);
    }
    stand_close(&s);
}

const test tests_serve_chat[] = {
    { "serve: replies are completions", replies_are_completions },
    { "serve: streams are replies", streams_are_replies },
    { "serve: what is no conversation is refused", what_is_no_conversation },
    { 0 }
};
