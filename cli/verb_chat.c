/* lithe chat: a conversation in the form that the model's template gives it.  The session keeps what it has read, so
 * that a turn costs its own tokens only. */
#include "generator.h"
#include "interrupt.h"
#include "output.h"
#include "verbs.h"
#include <stdlib.h>
#include <string.h>

typedef struct { common common; decoding decoding; const char *template, *system, *variables, *before, *after; } chat_settings;

static const option chat_options[] = {
    DECODING_OPTIONS(chat_settings, "512", 1, ""),
    { "template", 0, TEXT(chat_settings, template), "NAME|FILE", .help = "how the conversation is written: one of the model's own templates, plain, chatml, world, world-instruction, world-qa, or a "
      "file in Jinja (default: the model's own; without one, world for an RWKV vocabulary, else plain)", .also = "chat-template,chat-template-file", .choices = CHAT_TEMPLATES, .group = "the conversation", .first = 1 },
    { "system", 0, TEXT(chat_settings, system), "TEXT", .help = "the system message, with which the conversation begins", .also = "system-prompt", .first = 1 },
    { "variables", 0, TEXT(chat_settings, variables), "JSON", .help = "further variables of the template, e.g. '{\"enable_thinking\": false}'", .also = "chat-template-kwargs" },
    { "stop", 0, LIST(chat_settings, decoding.stop), "TEXT", .help = "stop a reply before this text (default: what the template writes after a reply); may be given several times", .also = "until", .first = 1 },
    { "before", 0, TEXT(chat_settings, before), "TEXT", .help = "plain template: text to put before each of your lines, e.g. a name" },
    { "after", 0, TEXT(chat_settings, after), "TEXT", .help = "plain template: text to put after each of your lines (default a line feed)" },
    { 0 }
};

/* The messages in order; the first `pinned` are never dropped. */
typedef struct { const char *role; char *text; size_t size; } message;
typedef struct { message *at; size_t n, pinned; } messages;

/* What the session has read: the prompt, and after it the reply where `whole` says so. */
typedef struct { lithe_rendered prompt; int32_t *ids; size_t n; page reply; bool whole; } reading;

typedef struct {
    const chat_settings *settings;
    generator g;
    lithe_template *template;
    char *variables;
    messages said;
    reading read;
} conversation;

/* ---- messages ------------------------------------------------------------------- */

static void say_message(messages *m, const char *role, const char *text, size_t size, lithe_error *err)
{
    message *at = realloc(m->at, (m->n + 1) * sizeof *at);
    char *copy = malloc(size + 1);
    if (at) m->at = at;
    if (!at || !copy) { free(copy); wrong(err, LITHE_ENOMEM, "out of memory for the conversation"); return; }
    memcpy(copy, text, size);
    copy[size] = 0;
    m->at[m->n++] = (message){ role, copy, size };
}

/* Drops the oldest question and its answer; false: only the last message and the pinned ones are left. */
static bool drop_oldest(messages *m)
{
    size_t count = m->pinned + 2 < m->n ? 2 : 0;
    for (size_t i = 0; i < count; i++) free(m->at[m->pinned + i].text);
    memmove(m->at + m->pinned, m->at + m->pinned + count, (m->n - m->pinned - count) * sizeof *m->at);
    m->n -= count;
    return count;
}

/* The JSON of the messages, malloc'd. */
static char *messages_json(const messages *m, size_t *size, lithe_error *err)
{
    char *text = NULL;
    FILE *out = open_memstream(&text, size);
    if (!out) { wrong(err, LITHE_ENOMEM, "out of memory for the conversation"); return NULL; }
    emitter e = { out, false };
    emit_open(&e, NULL, '[');
    for (size_t i = 0; i < m->n; i++) {
        emit_open(&e, NULL, '{');
        emit_text(&e, "role", m->at[i].role);
        emit_bytes(&e, "content", m->at[i].text, m->at[i].size);
        emit_close(&e, '}');
    }
    emit_close(&e, ']');
    if (fclose(out)) wrong(err, LITHE_ENOMEM, "out of memory for the conversation");
    return text;
}

/* The variables of the template as JSON, malloc'd; NULL: none. */
static char *variables_json(const chat_settings *s)
{
    char *text = NULL;
    size_t size;
    if (s->variables || (!s->before && !s->after)) return s->variables ? strdup(s->variables) : NULL;
    FILE *out = open_memstream(&text, &size);
    if (!out) return NULL;
    emitter e = { out, false };
    emit_open(&e, NULL, '{');
    if (s->before) emit_text(&e, "before", s->before);
    if (s->after) emit_text(&e, "after", s->after);
    emit_close(&e, '}');
    fclose(out);
    return text;
}

/* ---- the prompt ------------------------------------------------------------------- */

static int render(const conversation *c, lithe_rendered *out, lithe_error *err)
{
    size_t size = 0;
    char *json = messages_json(&c->said, &size, err);
    if (json) lithe_template_render(c->template, json, size, &LITHE_OPTIONS(lithe_template_options, .variables = c->variables), out, err);
    free(json);
    return err->status;
}

/* The first `n` ids and those of the rendering from byte `from` on, malloc'd. */
static int32_t *ids_from(const conversation *c, const lithe_rendered *r, size_t from, size_t n, size_t *total, lithe_error *err)
{
    const lithe_rendered rest = { r->text + from, r->user ? r->user + from : NULL, NULL, r->n - from };
    size_t more = lithe_encode_rendered(c->g.tokenizer, &rest, NULL, 0);
    int32_t *ids = malloc((n + more + 1) * sizeof *ids);
    if (!ids) { wrong(err, LITHE_ENOMEM, "out of memory for the tokens"); return NULL; }
    if (n) memcpy(ids, c->read.ids, n * sizeof *ids);
    lithe_encode_rendered(c->g.tokenizer, &rest, ids + n, more);
    *total = n + more;
    return ids;
}

/* Whether the rendering begins with the prompt that was read last and, if with_reply, with the reply to it. */
static bool goes_on(const reading *r, const lithe_rendered *now, bool with_reply)
{
    size_t reply = with_reply ? r->reply.size : 0;
    return r->n && now->n >= r->prompt.n + reply && !memcmp(now->text, r->prompt.text, r->prompt.n)
        && (!reply || !memcmp(now->text + r->prompt.n, r->reply.text, reply));
}

/* The ids of the conversation: those of the last prompt stay as they are where the new one begins with it. */
static int32_t *all_ids(const conversation *c, const lithe_rendered *now, size_t *n, lithe_error *err)
{
    bool known = goes_on(&c->read, now, false);
    return ids_from(c, now, known ? c->read.prompt.n : 0, known ? c->read.n : 0, n, err);
}

/* Renders the conversation, without its oldest turns if the rest and a reply would not fit the context. */
static int32_t *fitting_ids(conversation *c, lithe_rendered *now, size_t *n, lithe_error *err)
{
    const int context = c->g.context, reply = c->settings->decoding.max_tokens;
    const size_t room = !context ? SIZE_MAX : (size_t)(context > reply ? context - reply : context / 2);
    int32_t *ids = render(c, now, err) ? NULL : all_ids(c, now, n, err);
    size_t turns = 0;
    while (ids && *n > room && drop_oldest(&c->said)) {
        turns++;
        lithe_rendered_free(now);
        free(ids);
        ids = render(c, now, err) ? NULL : all_ids(c, now, n, err);
    }
    if (turns) say("(the context of %d tokens is full: the oldest %zu turn%s dropped)", context, turns, turns == 1 ? " was" : "s were");
    return ids;
}

/* Reads what is new of the prompt: after the last reply where the session stands there, else after what is common. */
static int read_prompt(conversation *c, lithe_error *err)
{
    reading *r = &c->read;
    lithe_rendered now = { 0 };
    size_t n = 0, suffix = 0;
    int32_t *ids = fitting_ids(c, &now, &n, err), *rest = NULL;
    if (ids && r->whole && goes_on(r, &now, true)) {
        rest = ids_from(c, &now, r->prompt.n + r->reply.size, 0, &suffix, err);
        if (rest) lithe_session_extend(c->g.session, rest, suffix, err);
    }
    else if (ids && !n) wrong(err, LITHE_EINVAL, "the template writes nothing for this conversation");
    else if (ids) lithe_session_sync(c->g.session, ids, n, err);
    if (!err->status) lithe_session_mark(c->g.session, err);
    free(rest);
    free(r->ids);
    lithe_rendered_free(&r->prompt);
    r->prompt = now;
    r->ids = ids;
    r->n = ids ? n : 0;
    return err->status;
}

/* ---- turns ------------------------------------------------------------------------- */

static int reply(conversation *c, lithe_error *err)
{
    page *p = &c->read.reply;
    const char *end_text, *reason = NULL;
    const int32_t end = lithe_template_end(c->template, &end_text);
    lithe_generation how = generation(&c->settings->decoding, &c->g.sampling);
    how.go_on = 1;
    if (end >= 0) { how.ends = &end; how.end_count = 1; }
    if (!how.stops && end_text) { how.stop = &end_text; how.stops = 1; }
    if (!read_prompt(c, err)) {
        p->size = 0;
        lithe_generate(c->g.session, c->g.tokenizer, NULL, 0, &how, write_piece, p, &reason, err);
        end_line(p);
        if (p->failed) wrong(err, LITHE_ENOMEM, "out of memory for the text");
        say_message(&c->said, "assistant", p->text ? p->text : "", p->size, err);
    }
    c->read.whole = reason && (!strcmp(reason, "eos") || !strcmp(reason, "length"));
    interrupt_forget();                                             /* Ctrl-C ended a reply, not the conversation */
    return err->status;
}

static int conversation_open(conversation *c, const arguments *a, lithe_error *err)
{
    const chat_settings *s = a->settings;
    const char *source = s->template ? s->template : s->before || s->after ? "plain" : NULL;
    *c = (conversation){ .settings = s, .read.reply.show = true };
    if (s->variables && (s->before || s->after)) return wrong(err, LITHE_EINVAL, "--variables and --before or --after do not go together: name `before` and `after` among the variables");
    if (generator_open(&c->g, a, &s->decoding, err) || generator_draws(&c->g, a, err) || generator_begin(&c->g, &s->decoding, err)) return err->status;
    c->variables = variables_json(s);
    c->template = lithe_template_open(c->g.tokenizer, source, err);
    if (s->system) say_message(&c->said, "system", s->system, strlen(s->system), err);
    c->said.pinned = c->said.n;
    return err->status;
}

static void conversation_close(conversation *c)
{
    for (size_t i = 0; i < c->said.n; i++) free(c->said.at[i].text);
    free(c->said.at);
    free(c->read.ids);
    free(c->read.reply.text);
    free(c->variables);
    lithe_rendered_free(&c->read.prompt);
    lithe_template_close(c->template);
    generator_close(&c->g);
}

static int chat(const arguments *a)
{
    lithe_error err = { 0 };
    conversation c;
    char *line = NULL;
    size_t room = 0;
    bool typing = terminal(stdin);
    int status = conversation_open(&c, a, &err);
    if (!status && typing) say("Each line is a turn; Ctrl-D ends the conversation.");
    interrupt_catch(true);
    while (!status) {
        if (typing) fputs("> ", stderr), fflush(stderr);
        ssize_t n = getline(&line, &room, stdin);
        if (n < 0) break;
        if (n && line[n - 1] == '\n') n--;
        say_message(&c.said, "user", line, (size_t)n, &err);
        status = err.status ? (int)err.status : reply(&c, &err);
    }
    if (typing) fputc('\n', stderr);
    free(line);
    conversation_close(&c);
    return err.status ? failed_input(&err) : interrupted() ? interrupted() : EXIT_DONE;
}

const verb verb_chat = {
    .name = "chat", .operands = "MODEL", .least = 1, .most = 1,
    .summary = "take turns with a model, line by line",
    .about = "Reads lines and lets the model reply to each. The conversation is written as the model's own chat template writes it, and a reply ends where the "
             "template ends it; what you type never becomes a special token. A model without a template gets plain lines (yours, its reply, yours), so one that was not "
             "trained on dialogue simply continues the text; an RWKV model gets User: and Assistant:. When the context is full, the oldest turns are dropped "
             "and a message says so. Ctrl-C ends a reply; at the prompt it ends the conversation.",
    .examples = "  lithe chat qwen/ --system \"Answer in one sentence.\"\n  lithe chat rwkv-7.pth --template world-instruction --temperature 0.7\n"
                "  lithe chat plays/ --before $'ROMEO:\\n' --after $'\\n\\nJULIET:\\n' --stop $'\\n\\n'\n",
    .options = chat_options, .bytes = sizeof(chat_settings), .run = chat,
};
