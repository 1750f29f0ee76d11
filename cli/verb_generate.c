/* lithe generate: text that a model writes, as it writes it. */
#include "generate_prompts.h"
#include "interrupt.h"
#include "output.h"
#include "terminal.h"
#include "verbs.h"
#include "watch.h"
#include <stdlib.h>
#include <string.h>

typedef struct { common common; decoding decoding; int echo, json, parallel; const char *load_state, *save_state, *prompts; } generate_settings;

static const option generate_options[] = {
    DECODING_OPTIONS(generate_settings, "256", 0, ", by default not more than the context still holds; 0: only read the prompt, for --save-state"),
    { "stop", 0, LIST(generate_settings, decoding.stop), "TEXT", .help = "stop before this text; may be given several times", .also = "until", .group = "prompts and output", .first = 1 },
    { "echo", 0, FLAG(generate_settings, echo), NULL, "1", .help = "print the prompt before its continuation" },
    { "load-state", 0, FILENAME(generate_settings, load_state), "FILE", .help = "continue from a state that --save-state wrote for this model; PROMPT, if any, follows",
      .also = "prompt-cache,state" },
    { "save-state", 0, FILENAME(generate_settings, save_state), "FILE", .help = "write the state at the end of the text, for --load-state" },
    { "prompts", 0, FILENAME(generate_settings, prompts), "FILE", .help = "continue many prompts instead of PROMPT, with the output of --json for each, in order: a JSON object a line with \"prompt\", and if wanted max_tokens, temperature, top_k, top_p, min_p, repeat_penalty, seed, stop, ignore_eos (else the options given here) and id, which is printed too; - is standard input",
      .also = "batch,input", .first = 1 },
    { "parallel", 0, COUNT(generate_settings, parallel), "N", "8", .help = "with --prompts: number of texts that are written at once; it changes no text", .least = 1, .most = 4096, .also = "np,batch-size" },
    { "json", 0, FLAG(generate_settings, json), .help = "print {schema, prompt, text, reason, tokens} at the end; reason: length, stop, eos, full or cancelled", .first = 1 },
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

/* --max-tokens 0 */
static void read_only(generator *g, const char *prompt, size_t size, const int32_t *ids, size_t n, const generate_settings *s, lithe_error *err)
{
    watch_begin("reading the prompt");
    if (s->load_state) lithe_session_extend(g->session, ids, n, err);
    else lithe_session_sync(g->session, ids, n, err);
    watch_end();
    if (!err->status && s->json) print_generated(prompt, size, &(page){ 0 }, "length", 0);
}

/* The usual length is not more than the context still holds. */
static int fitting(const generator *g, size_t read, int usual)
{
    const size_t room = g->context && (size_t)g->context > read ? (size_t)g->context - read : 1;
    return g->context && room < (size_t)usual ? (int)room : usual;
}

static void write_text(generator *g, bool fits, const char *prompt, size_t size, const int32_t *ids, size_t n, const generate_settings *s, lithe_error *err)
{
    page p = { .show = !s->json, .tail_only = !s->json };
    const char *reason = NULL;
    lithe_generation how = generation(&s->decoding, &g->sampling);
    how.go_on = s->load_state != NULL;
    size_t before = how.go_on ? lithe_session_length(g->session) : 0;
    if (fits) how.max_tokens = fitting(g, before + n, how.max_tokens);
    if (p.show && s->echo) { put_foreign(stdout, prompt, size); fflush(stdout); }
    watch_begin("reading the prompt");
    lithe_generate(g->session, g->tokenizer, ids, n, &how, write_piece, &p, &reason, err);
    watch_end();
    /* The last token is in the text, but had no room in the session. */
    const bool full = reason && !strcmp(reason, "full");
    size_t length = lithe_session_length(g->session), tokens = (length > before + n ? length - before - n : 0) + full;
    if (p.failed) wrong(err, LITHE_ENOMEM, "out of memory for the text");
    if (p.show) end_line(&p);
    else if (!err->status) print_generated(prompt, size, &p, reason, tokens);
    if (!err->status && full) say("the context of %d tokens is full: stopped after %zu", g->context, tokens);
    free(p.text);
}

static int continue_text(generator *g, bool fits, const char *prompt, size_t size, const generate_settings *s, lithe_error *err)
{
    size_t n = 0;
    if (s->load_state) lithe_session_load(g->session, g->tokenizer, s->load_state, err);
    int32_t *ids = first_ids(g, prompt, size, s, &n, err);
    if (ids && g->context && n > (size_t)g->context)
        wrong(err, LITHE_EFULL, "the prompt is %zu tokens, the context holds %d; shorten it", n, g->context);
    if (ids && !err->status && s->decoding.max_tokens) write_text(g, fits, prompt, size, ids, n, s, err);
    else if (ids && !err->status) read_only(g, prompt, size, ids, n, s, err);
    free(ids);
    return err->status;
}

/* --prompts */
static int generate_many(const arguments *a)
{
    const generate_settings *s = a->settings;
    lithe_error err = { 0 };
    generator g;
    if (a->count > 1) return usage("PROMPT and --prompts are two ways to say what is continued: give one of them");
    if (s->load_state || s->save_state) return usage("--load-state and --save-state are for one text, not for those of --prompts");
    if (!s->decoding.max_tokens) return usage("--max-tokens 0 only reads a prompt, and --prompts are there to be continued");
    interrupt_catch(false);
    if (!generator_open(&g, a, &s->decoding, &err)) generate_prompts(&g, &s->decoding, s->prompts, s->parallel, &err);
    generator_close(&g);
    return err.status ? failed_input(&err) : interrupted() ? interrupted() : EXIT_DONE;
}

static int generate(const arguments *a)
{
    const generate_settings *s = a->settings;
    if (s->prompts) return generate_many(a);
    if (option_origin(a, "parallel") == ORIGIN_FLAG) return usage("--parallel is for the texts of --prompts");
    lithe_error err = { 0 }, unsaved = { 0 };
    generator g;
    const char *prompt = a->count > 1 ? a->operands[1] : "";
    size_t size = strlen(prompt);
    char *typed = a->count > 1 && !strcmp(prompt, "-") ? read_text("-", LARGE_TEXT, &size, &err) : NULL;
    if (typed) prompt = typed;
    interrupt_catch(false);
    int status = generator_open(&g, a, &s->decoding, &err);
    if (!status) status = generator_draws(&g, a, &err);
    if (!status) status = generator_begin(&g, &s->decoding, &err);
    if (!status) status = continue_text(&g, option_origin(a, "max-tokens") == ORIGIN_DEFAULT, prompt, size, s, &err);
    unwatch_library();
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
             "there, and a message says so. A recurrent model (RWKV) has no such limit: it reads and writes texts of any length in constant memory.\n\n"
             "With --prompts many texts are written together, which takes much less time than one after the other; each of them is, byte for byte, the text "
             "that its prompt gets alone. A mistake in the file is named with its line before the first text is begun.",
    .examples = "  lithe generate runs/tale-1 \"Once upon a time\"\n"
                "  lithe generate model/ - --temperature 0 --max-tokens 50 --no-echo < prompt.txt\n"
                "  lithe generate model/ --prompts prompts.jsonl --parallel 16 --seed 7 > texts.jsonl\n",
    .options = generate_options, .bytes = sizeof(generate_settings), .run = generate,
};
