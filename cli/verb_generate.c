/* lithe generate, lithe chat: text that a model writes, as it writes it. */
#include "inputs.h"
#include "interrupt.h"
#include "output.h"
#include "verbs.h"
#include <stdlib.h>
#include <string.h>

/* The options of both verbs. */
typedef struct {
    int max_tokens, top_k, context, ignore_eos;
    double temperature, top_p, min_p, repeat_penalty;
    uint64_t seed;
    texts stop;
    const char *tokenizer, *config, *cache_type;
} decoding;

#define DECODING_OPTIONS(S, TOKENS) \
    { "max-tokens", 'n', COUNT(S, decoding.max_tokens), "N", TOKENS, .help = "largest number of tokens to write", .least = 1, .also = "n-predict,length,num-tokens" }, \
    { "temperature", 0, REAL(S, decoding.temperature), "T", "0.8", .help = "softmax temperature: below 1 likelier text, above 1 more varied text; 0 always takes the likeliest token (the model's generation_config.json goes before the defaults)", \
      .most = 100, .also = "temp" }, \
    { "top-k", 0, COUNT(S, decoding.top_k), "K", .help = "sample from the K likeliest tokens (default: all)" }, \
    { "top-p", 0, REAL(S, decoding.top_p), "P", .help = "sample from the likeliest tokens whose probabilities add up to P (default: all)", .most = 1 }, \
    { "min-p", 0, REAL(S, decoding.min_p), "P", .help = "leave out tokens whose probability is below P times the largest (default 0)", .most = 1 }, \
    { "repeat-penalty", 0, REAL(S, decoding.repeat_penalty), "X", .help = "penalty factor for tokens that already occurred (default 1: off)", .most = 100, \
      .also = "repetition-penalty" }, \
    { "seed", 's', SEED(S, decoding.seed), "N", "0", .help = "seed of the sampling; the same seed gives the same text" }, \
    { "context", 0, COUNT(S, decoding.context), "N", .help = "tokens the session holds (default: the context of the model; a recurrent model has no limit)", .least = 2, .also = "ctx" }, \
    { "cache-type", 0, CHOICE(S, decoding.cache_type), "TYPE", .help = "how keys and values are kept (default: f16 if the model is stored in 16 bits or fewer, else f32)", \
      .choices = "f32|f16|q8_0", .also = "cache-type-k,cache-type-v,ctk,ctv" }, \
    { "ignore-eos", 0, FLAG(S, decoding.ignore_eos), .help = "continue after an end-of-text token" }, \
    { "tokenizer", 0, FILENAME(S, decoding.tokenizer), "PATH", .help = "tokenizer to use instead of the model's own" }, \
    { "config", 0, FILENAME(S, decoding.config), "FILE", .help = "config.json of a weights file that has none beside it" }

static lithe_generation generation(const decoding *s, const lithe_sampling *sampling)
{
    return LITHE_OPTIONS(lithe_generation, .sampling = sampling, .max_tokens = s->max_tokens, .stop = s->stop.items, .stops = s->stop.count, .ignore_eos = s->ignore_eos);
}

/* What generates text.  context: the most tokens in the session, 0: any number. */
typedef struct { lithe_model *model; lithe_tokenizer *tokenizer; lithe_session *session; lithe_sampling sampling; int context; } generator;

/* How the next token is chosen: as the options say, else as the model's own files do, else with temperature 0.8. */
static void choose_sampling(generator *g, const arguments *a, const decoding *s, lithe_error *err)
{
    lithe_sampling *o = &g->sampling;
    *o = LITHE_OPTIONS(lithe_sampling, .temperature = (float)s->temperature, .seed = s->seed);
    int own = lithe_sampling_read(g->model, o, err);
    bool asked = option_origin(a, "temperature") != ORIGIN_DEFAULT;
    if (asked) o->temperature = (float)s->temperature;
    if (option_origin(a, "top-k") != ORIGIN_DEFAULT) o->top_k = s->top_k;
    if (option_origin(a, "top-p") != ORIGIN_DEFAULT) o->top_p = (float)s->top_p;
    if (option_origin(a, "min-p") != ORIGIN_DEFAULT) o->min_p = (float)s->min_p;
    if (option_origin(a, "repeat-penalty") != ORIGIN_DEFAULT) o->repetition = (float)s->repeat_penalty;
    if (own > 0 && !asked)
        say("sampling by generation_config.json: temperature %g, top-k %d, top-p %g, repeat-penalty %g", (double)o->temperature, o->top_k,
            o->top_p > 0 ? (double)o->top_p : 1.0, o->repetition > 0 ? (double)o->repetition : 1.0);
}

static int generator_open(generator *g, const arguments *a, const decoding *how, lithe_error *err)
{
    const char *path = a->operands[0];
    *g = (generator){ .model = open_model(path, how->config, err) };
    if (g->model) g->tokenizer = model_tokenizer(g->model, path, how->tokenizer, err);
    if (g->tokenizer)
        g->session = lithe_session_open_with(g->model, &LITHE_OPTIONS(lithe_session_options, .context = how->context, .cache_type = how->cache_type), err);
    g->context = lithe_session_context(g->session);
    if (g->session) choose_sampling(g, a, how, err);
    return err->status;
}

static void generator_close(generator *g)
{
    lithe_session_close(g->session);
    lithe_tokenizer_close(g->tokenizer);
    lithe_model_close(g->model);
}

/* The ids to continue; for an empty text, the token that begins texts, or else a line feed. */
static int32_t *prompt_ids(const generator *g, const char *text, size_t size, size_t *n, lithe_error *err)
{
    int32_t *ids = encode_text(g->tokenizer, text, size, true, n, err), bos = lithe_tokenizer_bos(g->tokenizer), eos = lithe_tokenizer_eos(g->tokenizer);
    if (!ids || *n) return ids;
    free(ids);
    ids = encode_text(g->tokenizer, "\n", 1, false, n, err);
    if (ids && (bos >= 0 || eos >= 0)) {
        ids[0] = bos >= 0 ? bos : eos;
        *n = 1;
    }
    return ids;
}

/* ---- the text -------------------------------------------------------------- */

/* Text in memory, which grows.  show: it is printed as it comes; tail_only: only its latest piece is kept. */
typedef struct { char *text; size_t size, room; bool show, tail_only, failed; } page;

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
    if (p->tail_only) p->size = 0;
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

typedef struct { common common; decoding decoding; int echo, json; const char *load_state, *save_state; } generate_settings;

static const option generate_options[] = {
    DECODING_OPTIONS(generate_settings, "256"),
    { "stop", 0, LIST(generate_settings, decoding.stop), "TEXT", .help = "stop before this text; may be given several times", .also = "until" },
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

/* The ids of the prompt; after a loaded state no token that begins a text is added. */
static int32_t *first_ids(const generator *g, const char *prompt, size_t size, const generate_settings *s, size_t *n, lithe_error *err)
{
    return s->load_state ? encode_text(g->tokenizer, prompt, size, false, n, err) : prompt_ids(g, prompt, size, n, err);
}

static void write_text(generator *g, const char *prompt, size_t size, const int32_t *ids, size_t n, const generate_settings *s, lithe_error *err)
{
    page p = { .show = !s->json, .tail_only = !s->json };
    const char *reason = NULL;
    lithe_generation how = generation(&s->decoding, &g->sampling);
    how.go_on = s->load_state != NULL;
    size_t before = how.go_on ? lithe_session_length(g->session) : 0;
    if (p.show && s->echo) { fwrite(prompt, 1, size, stdout); fflush(stdout); }
    lithe_generate(g->session, g->tokenizer, ids, n, &how, write_piece, &p, &reason, err);
    /* The last token is in the text, but had no room in the session. */
    const bool full = reason && !strcmp(reason, "full");
    size_t length = lithe_session_length(g->session), tokens = (length > before + n ? length - before - n : 0) + full;
    if (p.failed) wrong(err, LITHE_ENOMEM, "out of memory for the text");
    if (p.show) end_line(&p);
    else if (!err->status) print_generated(prompt, size, &p, reason, tokens);
    if (!err->status && full) say("the context of %d tokens is full: stopped after %zu", g->context, tokens);
    free(p.text);
}

static int continue_text(generator *g, const char *prompt, size_t size, const generate_settings *s, lithe_error *err)
{
    size_t n = 0;
    if (s->load_state) lithe_session_load(g->session, g->tokenizer, s->load_state, err);
    int32_t *ids = first_ids(g, prompt, size, s, &n, err);
    if (ids && g->context && n > (size_t)g->context)
        wrong(err, LITHE_EFULL, "the prompt is %zu tokens, the context holds %d; shorten it", n, g->context);
    if (ids && !err->status) write_text(g, prompt, size, ids, n, s, err);
    free(ids);
    return err->status;
}

static int generate(const arguments *a)
{
    const generate_settings *s = a->settings;
    lithe_error err = { 0 }, unsaved = { 0 };
    generator g;
    const char *prompt = a->count > 1 ? a->operands[1] : "";
    size_t size = strlen(prompt);
    char *typed = a->count > 1 && !strcmp(prompt, "-") ? read_text("-", &size, &err) : NULL;
    if (typed) prompt = typed;
    interrupt_catch(false);
    int status = generator_open(&g, a, &s->decoding, &err);
    if (!status) status = continue_text(&g, prompt, size, s, &err);
    if (!status && s->save_state) lithe_session_save(g.session, g.tokenizer, s->save_state, &unsaved);
    generator_close(&g);
    free(typed);
    if (err.status) return failed_input(&err);
    if (unsaved.status) return failed_output(&unsaved);
    return interrupted() ? interrupted() : EXIT_DONE;
}

const verb verb_generate = {
    .name = "generate", .operands = "MODEL [PROMPT]", .least = 1, .most = 2,
    .summary = "write a continuation of a prompt",
    .about = "Writes the model's continuation of PROMPT, token by token, to standard output. If PROMPT is -, it is read from standard input; without a "
             "prompt the model begins by itself. A prompt longer than the context is refused, never cut; a text that fills the context stops "
             "there, and a message says so. A recurrent model (RWKV) has no such limit: it reads and writes texts of any length in constant memory.",
    .examples = "  lithe generate runs/tale-1 \"Once upon a time\"\n"
                "  lithe generate model/ - --temperature 0 --max-tokens 50 --no-echo < prompt.txt\n",
    .options = generate_options, .bytes = sizeof(generate_settings), .run = generate,
};

/* ---- chat ------------------------------------------------------------------- */

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
