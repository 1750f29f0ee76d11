/* lithe generate, lithe chat: text that a model writes, as it writes it. */
#include "inputs.h"
#include "interrupt.h"
#include "output.h"
#include "verbs.h"
#include <stdlib.h>
#include <string.h>

/* What both verbs take. */
typedef struct {
    int max_tokens, top_k, context, ignore_eos;
    double temperature, top_p, min_p, repeat_penalty;
    uint64_t seed;
    texts stop;
    const char *tokenizer, *config;
} manner;

#define MANNER_OPTIONS(S, TOKENS) \
    { "max-tokens", 'n', COUNT(S, manner.max_tokens), "N", TOKENS, .help = "largest number of tokens to write", .least = 1, .also = "n-predict,length,num-tokens" }, \
    { "temperature", 0, REAL(S, manner.temperature), "T", "0.8", .help = "softmax temperature: below 1 likelier text, above 1 more varied text; 0 always takes the likeliest token", \
      .most = 100, .also = "temp" }, \
    { "top-k", 0, COUNT(S, manner.top_k), "K", .help = "sample from the K likeliest tokens (default: all)" }, \
    { "top-p", 0, REAL(S, manner.top_p), "P", .help = "sample from the likeliest tokens whose probabilities add up to P (default: all)", .most = 1 }, \
    { "min-p", 0, REAL(S, manner.min_p), "P", .help = "leave out tokens whose probability is below P times the largest (default 0)", .most = 1 }, \
    { "repeat-penalty", 0, REAL(S, manner.repeat_penalty), "X", .help = "penalty factor for tokens that already occurred (default 1: off)", .most = 100, \
      .also = "repetition-penalty" }, \
    { "seed", 's', SEED(S, manner.seed), "N", "0", .help = "seed of the sampling; the same seed gives the same text" }, \
    { "context", 0, COUNT(S, manner.context), "N", .help = "tokens the session holds (default: the context of the model; a recurrent model has no limit)", .least = 2, .also = "ctx" }, \
    { "ignore-eos", 0, FLAG(S, manner.ignore_eos), .help = "continue after an end-of-text token" }, \
    { "tokenizer", 0, FILENAME(S, manner.tokenizer), "PATH", .help = "tokenizer to use instead of the model's own" }, \
    { "config", 0, FILENAME(S, manner.config), "FILE", .help = "config.json of a weights file that has none beside it" }

static lithe_sampling sampling(const manner *s)
{
    return LITHE_OPTIONS(lithe_sampling, .temperature = (float)s->temperature, .top_p = (float)s->top_p, .min_p = (float)s->min_p,
                         .repetition = (float)s->repeat_penalty, .top_k = s->top_k, .seed = s->seed);
}

static lithe_generation generation(const manner *s, const lithe_sampling *draw)
{
    return LITHE_OPTIONS(lithe_generation, .sampling = draw, .max_tokens = s->max_tokens, .stop = s->stop.items, .stops = s->stop.count, .ignore_eos = s->ignore_eos);
}

/* A model that can read and write text.  context: tokens it holds, 0: any number. */
typedef struct { lithe_model *model; lithe_tokenizer *tokenizer; lithe_session *session; int context; } speaker;

static int speaker_open(speaker *s, const char *path, const manner *how, lithe_error *err)
{
    *s = (speaker){ .model = lithe_model_open(path, how->config, err) };
    if (s->model) s->tokenizer = model_tokenizer(s->model, path, how->tokenizer, err);
    if (s->tokenizer) s->session = lithe_session_open(s->model, how->context, err);
    s->context = lithe_session_context(s->session);
    return err->status;
}

static void speaker_close(speaker *s)
{
    lithe_session_close(s->session);
    lithe_tokenizer_close(s->tokenizer);
    lithe_model_close(s->model);
}

/* Ids to go on from; an empty text gets the token that begins texts, or else a line feed. */
static int32_t *prompt_ids(const speaker *s, const char *text, size_t size, size_t *n, lithe_error *err)
{
    int32_t *ids = encode_text(s->tokenizer, text, size, true, n, err), bos = lithe_tokenizer_bos(s->tokenizer), eos = lithe_tokenizer_eos(s->tokenizer);
    if (!ids || *n) return ids;
    free(ids);
    ids = encode_text(s->tokenizer, "\n", 1, false, n, err);
    if (ids && (bos >= 0 || eos >= 0)) {
        ids[0] = bos >= 0 ? bos : eos;
        *n = 1;
    }
    return ids;
}

/* ---- what is written -------------------------------------------------------- */

typedef struct { char *text; size_t size, room; bool show, passing, failed; } page;         /* passing: only the end is kept */

static bool page_add(page *p, const char *text, size_t n)
{
    if (p->size + n >= p->room) {
        size_t room = 2 * (p->size + n) + 256;
        char *larger = realloc(p->text, room);
        if (!larger) { p->failed = true; return false; }
        p->text = larger;
        p->room = room;
    }
    memcpy(p->text + p->size, text, n);
    p->size += n;
    p->text[p->size] = 0;
    return true;
}

/* lithe_generate's listener: 1 ends the text. */
static int write_piece(void *context, const char *text, size_t n)
{
    page *p = context;
    if (p->passing) p->size = 0;
    if (!page_add(p, text, n)) return 1;
    if (p->show) {
        fwrite(text, 1, n, stdout);
        if (fflush(stdout)) return 1;                           /* the reader went away */
    }
    return interrupted() != 0;
}

static void end_line(const page *p)
{
    if (!p->size || p->text[p->size - 1] != '\n') putchar('\n');
    fflush(stdout);
}

/* ---- generate --------------------------------------------------------------- */

typedef struct { common common; manner manner; int echo, json; const char *load_state, *save_state; } generate_settings;

static const option generate_options[] = {
    MANNER_OPTIONS(generate_settings, "256"),
    { "stop", 0, LIST(generate_settings, manner.stop), "TEXT", .help = "stop before this text; may be given several times", .also = "until" },
    { "echo", 0, FLAG(generate_settings, echo), NULL, "1", .help = "print the prompt before its continuation" },
    { "load-state", 0, FILENAME(generate_settings, load_state), "FILE", .help = "continue from a state that --save-state wrote for this model; PROMPT, if any, follows",
      .also = "prompt-cache,state" },
    { "save-state", 0, FILENAME(generate_settings, save_state), "FILE", .help = "write the state at the end of the text, for --load-state" },
    { "json", 0, FLAG(generate_settings, json), .help = "print {schema, prompt, text, reason, tokens} at the end; reason: length, stop, eos, full or cancelled" },
    { 0 }
};

static void print_generated(const char *prompt, size_t size, const page *p, const char *reason, size_t tokens)
{
    emitter e = emit_begin(stdout, "generate");
    emit_bytes(&e, "prompt", prompt, size);
    emit_bytes(&e, "text", p->text ? p->text : "", p->size);
    emit_text(&e, "reason", reason);
    emit_count(&e, "tokens", (long long)tokens);
    emit_end(&e);
}

/* What follows a loaded state is read as it is: nothing begins there. */
static int32_t *first_ids(const speaker *who, const char *prompt, size_t size, const generate_settings *s, size_t *n, lithe_error *err)
{
    return s->load_state ? encode_text(who->tokenizer, prompt, size, false, n, err) : prompt_ids(who, prompt, size, n, err);
}

static void write_text(speaker *who, const char *prompt, size_t size, const int32_t *ids, size_t n, const generate_settings *s, lithe_error *err)
{
    page p = { .show = !s->json, .passing = !s->json };
    const char *reason = NULL;
    const lithe_sampling draw = sampling(&s->manner);
    lithe_generation how = generation(&s->manner, &draw);
    how.go_on = s->load_state != NULL;
    size_t before = how.go_on ? lithe_session_length(who->session) : 0;
    if (p.show && s->echo) { fwrite(prompt, 1, size, stdout); fflush(stdout); }
    lithe_generate(who->session, who->tokenizer, ids, n, &how, write_piece, &p, &reason, err);
    size_t length = lithe_session_length(who->session), tokens = length > before + n ? length - before - n : 0;
    if (p.failed) wrong(err, LITHE_ENOMEM, "out of memory for the text");
    if (p.show) end_line(&p);
    else if (!err->status) print_generated(prompt, size, &p, reason, tokens);
    if (!err->status && reason && !strcmp(reason, "full")) say("the context of %d tokens is full: stopped after %zu", who->context, tokens);
    free(p.text);
}

static int write_on(speaker *who, const char *prompt, size_t size, const generate_settings *s, lithe_error *err)
{
    size_t n = 0;
    if (s->load_state) lithe_session_load(who->session, who->tokenizer, s->load_state, err);
    int32_t *ids = first_ids(who, prompt, size, s, &n, err);
    if (ids && who->context && n > (size_t)who->context)
        wrong(err, LITHE_EFULL, "the prompt is %zu tokens, the context holds %d; shorten it", n, who->context);
    if (ids && !err->status) write_text(who, prompt, size, ids, n, s, err);
    free(ids);
    return err->status;
}

static int generate(const arguments *a)
{
    const generate_settings *s = a->settings;
    lithe_error err = { 0 }, unsaved = { 0 };
    speaker who;
    const char *prompt = a->count > 1 ? a->operands[1] : "";
    size_t size = strlen(prompt);
    char *typed = a->count > 1 && !strcmp(prompt, "-") ? read_text("-", &size, &err) : NULL;
    if (typed) prompt = typed;
    interrupt_catch(false);
    int status = speaker_open(&who, a->operands[0], &s->manner, &err);
    if (!status) status = write_on(&who, prompt, size, s, &err);
    if (!status && s->save_state) lithe_session_save(who.session, who.tokenizer, s->save_state, &unsaved);
    speaker_close(&who);
    free(typed);
    if (err.status) return failed_input(&err);
    if (unsaved.status) return failed_output(&unsaved);
    return interrupted() ? interrupted() : EXIT_DONE;
}

const verb verb_generate = {
    .name = "generate", .operands = "MODEL [PROMPT]", .least = 1, .most = 2,
    .summary = "write a continuation of a prompt",
    .about = "Writes the model's continuation of PROMPT, token by token, to standard output. PROMPT - is read from standard input; without a "
             "prompt the model begins by itself. A prompt longer than the context is refused, never cut; a text that fills the context stops "
             "there, and a message says so. A recurrent model (RWKV) has no such limit: it reads and writes texts of any length in constant memory.",
    .examples = "  lithe generate runs/tale-1 \"Once upon a time\"\n"
                "  lithe generate model/ - --temperature 0 --max-tokens 50 --no-echo < prompt.txt\n",
    .options = generate_options, .bytes = sizeof(generate_settings), .run = generate,
};

/* ---- chat ------------------------------------------------------------------- */

typedef struct { common common; manner manner; const char *before, *after; } chat_settings;

static const option chat_options[] = {
    MANNER_OPTIONS(chat_settings, "128"),
    { "stop", 0, LIST(chat_settings, manner.stop), "TEXT", .help = "stop a reply before this text (default a line feed); may be given several times", .also = "until" },
    { "before", 0, TEXT(chat_settings, before), "TEXT", .help = "text to put before each of your lines, e.g. a name" },
    { "after", 0, TEXT(chat_settings, after), "TEXT", "\n", .help = "text to put after each of your lines" },
    { 0 }
};

/* Where the oldest turn ends, so that what follows, with room for a reply, fits the context. */
static int32_t *fitting_ids(const speaker *who, page *story, int reply, size_t *n, lithe_error *err)
{
    size_t forgotten = 0, room = !who->context ? SIZE_MAX : (size_t)(who->context > reply ? who->context - reply : who->context / 2);
    int32_t *ids = prompt_ids(who, story->text, story->size, n, err);
    while (ids && *n > room) {
        size_t cut = story->size / 8 + 1;
        const char *line = memchr(story->text + cut, '\n', story->size - cut);
        if (line && (size_t)(line - story->text) + 1 < story->size) cut = (size_t)(line - story->text) + 1;
        if (cut >= story->size) break;                              /* lithe_generate names the numbers */
        memmove(story->text, story->text + cut, story->size - cut);
        story->size -= cut;
        forgotten += cut;
        free(ids);
        ids = prompt_ids(who, story->text, story->size, n, err);
    }
    if (forgotten) say("(the context of %d tokens is full: the oldest %zu bytes were dropped)", who->context, forgotten);
    return ids;
}

static int reply(speaker *who, page *story, const chat_settings *s, lithe_error *err)
{
    static const char *const line_feed[] = { "\n" };
    page p = { .show = true };
    size_t n = 0;
    const lithe_sampling draw = sampling(&s->manner);
    lithe_generation how = generation(&s->manner, &draw);
    if (!how.stops) { how.stop = line_feed; how.stops = 1; }
    int32_t *ids = fitting_ids(who, story, s->manner.max_tokens, &n, err);
    if (ids) {
        lithe_generate(who->session, who->tokenizer, ids, n, &how, write_piece, &p, NULL, err);
        end_line(&p);
        if (p.failed || !page_add(story, p.text ? p.text : "", p.size) || !page_add(story, "\n", 1)) wrong(err, LITHE_ENOMEM, "out of memory for the text");
    }
    interrupt_forget();                                             /* it ended a reply, not the conversation */
    free(ids);
    free(p.text);
    return err->status;
}

static int chat(const arguments *a)
{
    const chat_settings *s = a->settings;
    lithe_error err = { 0 };
    speaker who;
    page story = { 0 };
    char *line = NULL;
    size_t room = 0;
    bool typing = terminal(stdin);
    int status = speaker_open(&who, a->operands[0], &s->manner, &err);
    if (!status && typing) say("Each line is a turn; Ctrl-D ends the conversation.");
    interrupt_catch(true);
    while (!status) {
        if (typing) fputs("> ", stderr);
        ssize_t n = getline(&line, &room, stdin);
        if (n < 0) break;
        if (n && line[n - 1] == '\n') n--;
        bool kept = page_add(&story, s->before ? s->before : "", strlen(s->before ? s->before : "")) && page_add(&story, line, (size_t)n)
                 && page_add(&story, s->after ? s->after : "", strlen(s->after ? s->after : ""));
        status = kept ? reply(&who, &story, s, &err) : wrong(&err, LITHE_ENOMEM, "out of memory for the text");
    }
    if (typing) fputc('\n', stderr);
    free(line);
    free(story.text);
    speaker_close(&who);
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
