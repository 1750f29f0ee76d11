#include "serve/given_state.h"
#include "infer/state_file.h"
#include "base/base64.h"
#include <stdlib.h>
#include <string.h>

struct given_state {
    char *bytes; size_t size;
    tensor_file *file;
    saved_state saved;
};

static void parse(given_state *x, served *m, const json_t *text, problem *p)
{
    lithe_error err = { 0 };
    x->bytes = base64_decode(json_string_value(text), json_string_length(text), &x->size);
    if (!x->bytes && x->size) refuse(p, 503, NULL, "not enough memory for the state");
    else if (!x->bytes) refuse(p, 400, "state", "state is no base64");
    if (p->status) return;
    x->file = tensor_file_parse(x->bytes, x->size, "state", &err);
    const state_origin *origin = x->file ? served_origin(m, &err) : NULL;
    if (origin) saved_state_read(&x->saved, x->file, m->engine, origin, &err);
    if (err.status) refuse_error(p, "state", &err);
}

given_state *given_state_open(served *m, const json_t *body, problem *p)
{
    const json_t *text = given(body, "state");
    given_state *x = text && !p->status ? xalloc(1, sizeof *x) : NULL;
    if (!text || p->status) return NULL;
    if (!x) refuse(p, 503, NULL, "not enough memory for the state");
    else if (!json_is_string(text)) refuse(p, 400, "state", "state must be a string, as POST /v1/state gives it");
    else parse(x, m, text, p);
    if (!p->status) return x;
    given_state_close(x);
    return NULL;
}

void given_state_close(given_state *x)
{
    if (!x) return;
    saved_state_close(&x->saved);
    tensor_file_close(x->file);
    free(x->bytes);
    free(x);
}

static bool begins(const given_state *x, const served *m, const int32_t *ids)
{
    if (!m->context) {
        chain c = chain_of(ids, x->saved.length);
        return c.a == x->saved.digest.a && c.b == x->saved.digest.b;
    }
    for (size_t i = 0; i < x->saved.length; i++) if (ids[i] != saved_state_id(&x->saved, i)) return false;
    return true;
}

void given_state_check(const given_state *x, const served *m, const int32_t *ids, size_t n, problem *p)
{
    if (x && !p->status && (n < x->saved.length || !begins(x, m, ids)))
        refuse(p, 400, "state", "the prompt does not begin with the %zu tokens that were read for the state", x->saved.length);
}

size_t given_state_bytes(const given_state *x) { return x ? x->size : 0; }

size_t given_state_take(const given_state *x, lithe_engine *e, int slot, float *logits, int vocab)
{
    saved_state_take(&x->saved, e, slot);
    if (x->saved.logits) memcpy(logits, x->saved.logits->data, (size_t)vocab * sizeof *logits);
    return x->saved.length;
}
