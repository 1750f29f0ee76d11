/* The loop of generation: an id is chosen, its text is shown, the id is read. */
#include "base/sized.h"
#include "infer/generation.h"
#include "infer/session.h"

const char *ending_name(ending e)
{
    static const char *const names[] = { [LENGTH] = "length", [STOP] = "stop", [EOS] = "eos", [FULL] = "full", [CANCELLED] = "cancelled" };
    return names[e];
}

static bool among(const int32_t *ids, int n, int32_t id)
{
    for (int i = 0; i < n; i++) if (ids[i] == id) return true;
    return false;
}

ending text_take(text_stream *s, const lithe_model *m, const lithe_generation *o, int32_t id, bool full, shown_text *shown, lithe_error *err)
{
    *shown = (shown_text){ 0 };
    if (!o->ignore_eos && (model_ends_text(m, s->tokenizer, id) || among(o->ends, o->end_count, id))) return EOS;
    if (text_stream_add(s, id, shown, err)) return FAILED;
    return s->stopped ? STOP : full ? FULL : GOES_ON;
}

typedef int listener(void *context, const char *text, size_t n);

/* Whether the listener ended the text. */
static bool pass_text(listener *give, void *context, shown_text text) { return give && text.n && give(context, text.bytes, text.n); }

static bool is_full(const lithe_session *s)
{
    return lithe_session_context(s) && lithe_session_length(s) == (size_t)lithe_session_context(s);
}

/* Continues until something ends the text. */
static ending run(lithe_session *s, text_stream *stream, const lithe_generation *o, listener *give, void *context, lithe_error *err)
{
    for (int i = 0; o->max_tokens <= 0 || i < o->max_tokens; i++) {
        shown_text text;
        int32_t id = lithe_session_sample(s, o->sampling, err);
        if (id < 0) return FAILED;
        ending end = text_take(stream, engine_model(s->engine), o, id, is_full(s), &text, err);
        bool cancelled = pass_text(give, context, text);
        if (end != GOES_ON) return cancelled ? CANCELLED : end;
        if (lithe_session_push(s, id, err)) return FAILED;
        if (cancelled) return CANCELLED;
    }
    return LENGTH;
}

int lithe_generate(lithe_session *s, const lithe_tokenizer *t, const int32_t *prompt, size_t n, const lithe_generation *o,
                   int (*give)(void *context, const char *text, size_t n), void *context, const char **reason, lithe_error *err)
{
    lithe_error own = { 0 };
    lithe_generation options;
    shown_text rest;
    text_stream stream;
    if (reason) *reason = NULL;
    if (!s || !t) return fail(err, LITHE_EINVAL, "there is no %s", s ? "tokenizer" : "session");
    if (!err) err = &own;
    if (options_read(&options, sizeof options, o, "lithe_generation", err)) return LITHE_EINVAL;
    if (lithe_model_fits(engine_model(s->engine), t, err)) return err->status;
    if (!n && !(options.go_on && s->ready)) return fail(err, LITHE_EINVAL, "nothing to continue: give at least one token of text");
    int status = options.go_on ? lithe_session_extend(s, prompt, n, err) : lithe_session_sync(s, prompt, n, err);
    if (status) return status;
    text_stream_open(&stream, t, session_last(s), options.stop, options.stops);
    ending end = run(s, &stream, &options, give, context, err);
    if (end != FAILED && end != CANCELLED && !text_stream_end(&stream, &rest, err)) pass_text(give, context, rest);
    if (reason) *reason = ending_name(err->status ? FAILED : end);
    text_stream_close(&stream);
    return err->status;
}
