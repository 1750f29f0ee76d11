/* lithe chat: a conversation with a model, turn by turn. */
#include "generator.h"
#include "interrupt.h"
#include "output.h"
#include "verbs.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct { common common; decoding decoding; const char *before, *after; } chat_settings;

static const option chat_options[] = {
    DECODING_OPTIONS(chat_settings, "128"),
    { "stop", 0, LIST(chat_settings, decoding.stop), "TEXT", .help = "stop a reply before this text (default a line feed); may be given several times", .also = "until" },
    { "before", 0, TEXT(chat_settings, before), "TEXT", .help = "text to put before each of your lines, e.g. a name" },
    { "after", 0, TEXT(chat_settings, after), "TEXT", "\n", .help = "text to put after each of your lines" },
    { 0 }
};

/* Drops the oldest turns until the rest and a reply fit the context, and returns the ids of the rest. */
static int32_t *fitting_ids(const generator *g, page *conversation, int reply, size_t *n, lithe_error *err)
{
    size_t forgotten = 0, room = !g->context ? SIZE_MAX : (size_t)(g->context > reply ? g->context - reply : g->context / 2);
    int32_t *ids = prompt_ids(g, conversation->text, conversation->size, n, err);
    while (ids && *n > room) {
        size_t cut = conversation->size / 8 + 1;
        const char *line = memchr(conversation->text + cut, '\n', conversation->size - cut);
        if (line && (size_t)(line - conversation->text) + 1 < conversation->size) cut = (size_t)(line - conversation->text) + 1;
        if (cut >= conversation->size) break;                              /* lithe_generate names the numbers */
        memmove(conversation->text, conversation->text + cut, conversation->size - cut);
        conversation->size -= cut;
        forgotten += cut;
        free(ids);
        ids = prompt_ids(g, conversation->text, conversation->size, n, err);
    }
    if (forgotten) say("(the context of %d tokens is full: the oldest %zu bytes were dropped)", g->context, forgotten);
    return ids;
}

static int reply(generator *g, page *conversation, const chat_settings *s, lithe_error *err)
{
    static const char *const line_feed[] = { "\n" };
    page p = { .show = true };
    size_t n = 0;
    lithe_generation how = generation(&s->decoding, &g->sampling);
    if (!how.stops) { how.stop = line_feed; how.stops = 1; }
    int32_t *ids = fitting_ids(g, conversation, s->decoding.max_tokens, &n, err);
    if (ids) {
        lithe_generate(g->session, g->tokenizer, ids, n, &how, write_piece, &p, NULL, err);
        end_line(&p);
        if (p.failed || !page_add(conversation, p.text ? p.text : "", p.size) || !page_add(conversation, "\n", 1)) wrong(err, LITHE_ENOMEM, "out of memory for the text");
    }
    interrupt_forget();                                             /* Ctrl-C ended a reply, not the conversation */
    free(ids);
    free(p.text);
    return err->status;
}

static int chat(const arguments *a)
{
    const chat_settings *s = a->settings;
    lithe_error err = { 0 };
    generator g;
    page conversation = { 0 };
    char *line = NULL;
    size_t room = 0;
    bool typing = terminal(stdin);
    int status = generator_open(&g, a, &s->decoding, &err);
    if (!status) status = generator_begin(&g, &s->decoding, &err);
    if (!status && typing) say("Each line is a turn; Ctrl-D ends the conversation.");
    interrupt_catch(true);
    while (!status) {
        if (typing) fputs("> ", stderr);
        ssize_t n = getline(&line, &room, stdin);
        if (n < 0) break;
        if (n && line[n - 1] == '\n') n--;
        bool kept = page_add(&conversation, s->before ? s->before : "", strlen(s->before ? s->before : "")) && page_add(&conversation, line, (size_t)n)
                 && page_add(&conversation, s->after ? s->after : "", strlen(s->after ? s->after : ""));
        status = kept ? reply(&g, &conversation, s, &err) : wrong(&err, LITHE_ENOMEM, "out of memory for the text");
    }
    if (typing) fputc('\n', stderr);
    free(line);
    free(conversation.text);
    generator_close(&g);
    return err.status ? failed_input(&err) : interrupted() ? interrupted() : EXIT_DONE;
}

const verb verb_chat = {
    .name = "chat", .operands = "MODEL", .least = 1, .most = 1,
    .summary = "take turns with a model, line by line",
    .about = "Reads lines and lets the model reply to each, in one growing text: your line, its reply, your next line. Nothing but --before "
             "and --after is added, so a model that was not trained on dialogue simply continues the text. When the context is full, the oldest "
             "turns are dropped and a message says so. Ctrl-C ends a reply; at the prompt it ends the conversation.",
    .examples = "  lithe chat runs/tale-1\n  lithe chat plays/ --before $'ROMEO:\\n' --after $'\\n\\nJULIET:\\n' --stop $'\\n\\n'\n",
    .options = chat_options, .bytes = sizeof(chat_settings), .run = chat,
};
