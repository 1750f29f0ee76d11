/* Sessions on disk.
 * Invariant: a session is changed only after the whole file was found correct. */
#include "infer/session.h"
#include "infer/state_file.h"
#include <string.h>

int lithe_session_save(const lithe_session *s, const lithe_tokenizer *t, const char *path, lithe_error *err)
{
    state_origin origin;
    if (!s || !path) return fail(err, LITHE_EINVAL, "there is no %s", s ? "path" : "session");
    if (failed(err)) return err->status;
    const text_read read = { .length = s->length, .ids = s->ids, .digest = s->digest, .last = s->last, .seen = s->seen.ids, .seen_count = s->seen.count,
                             .logits = s->ready ? s->logits : NULL };
    int status = state_origin_of(engine_model(s->engine), t, &origin, err);
    return status ? status : state_write(&(state_target){ .path = path }, s->engine, 0, &read, &origin, err);
}

static void take(lithe_session *s, const saved_state *x)
{
    for (size_t i = 0; i < x->ids->count; i++) {
        int32_t id = saved_state_id(x, i);
        session_note(s, &id, 1);
    }
    s->length = x->length;
    s->digest = x->digest;
    s->last = x->last;
    s->ready = x->logits != NULL;
    if (s->ready) memcpy(s->logits, x->logits->data, (size_t)s->vocab * sizeof *s->logits);
}

static int load_saved(lithe_session *s, const lithe_tokenizer *t, const tensor_file *f, lithe_error *err)
{
    state_origin origin;
    saved_state x = { 0 };
    int status = state_origin_of(engine_model(s->engine), t, &origin, err);
    if (!status) status = saved_state_read(&x, f, s->engine, &origin, err);
    if (!status) {
        session_clear(s);
        session_forget_mark(s);
        saved_state_take(&x, s->engine, 0);
        take(s, &x);
    }
    saved_state_close(&x);
    return status;
}

int lithe_session_load(lithe_session *s, const lithe_tokenizer *t, const char *path, lithe_error *err)
{
    if (!s || !path) return fail(err, LITHE_EINVAL, "there is no %s", s ? "path" : "session");
    if (failed(err)) return err->status;
    lithe_error first = { 0 };
    tensor_file *f = tensor_file_open(path, &first);
    if (f && is_tuned_state(f)) load_tuned_state(s, f, &first);
    else if (f) load_saved(s, t, f, &first);
    tensor_file_close(f);
    return first.status ? fail(err, first.status, "%s", first.text) : LITHE_OK;
}
