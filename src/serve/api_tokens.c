/* POST /tokenize and /detokenize, GET /tokenizer_info: the tokenizer of a model, in the forms of vLLM and llama.cpp. */
#include "base/utf8.h"
#include "serve/api.h"
#include <stdlib.h>

const char *const tokenize_keys[] = { "model", "prompt", "content", "add_special_tokens", "add_special", "with_pieces", "parse_special", NULL };
const char *const detokenize_keys[] = { "model", "tokens", NULL };

/* ---- text to tokens ------------------------------------------------------------------ */

static char *decoded(const served *m, const int32_t *ids, size_t count, size_t *n)
{
    *n = lithe_decode(m->reader, ids, count, NULL, 0);
    char *text = malloc(*n + 1);
    if (text) lithe_decode(m->reader, ids, count, text, *n);
    return text;
}

/* A piece is a string, or a list of bytes where it is no text. */
static json_t *piece(const served *m, int32_t id)
{
    size_t n;
    char *text = decoded(m, &id, 1, &n);
    json_t *shown = text && utf8_valid(text, n) == n ? json_stringn(text, n) : NULL;
    if (text && !shown) {
        shown = json_array();
        for (size_t i = 0; i < n; i++) json_array_append_new(shown, json_integer((unsigned char)text[i]));
    }
    free(text);
    return json_pack("{s:i, s:o}", "id", id, "piece", shown);
}

void api_tokenize(site *s, exchange *x, const json_t *body)
{
    problem p = { 0 };
    served *m = served_find(s->models, s->count, body, &p);
    const char *key = given(body, "content") ? "content" : "prompt", *text = field_text(body, key, NULL, &p);
    bool special = field_flag(body, given(body, "add_special") ? "add_special" : "add_special_tokens", key[0] == 'p', &p), pieces = field_flag(body, "with_pieces", false, &p);
    if (!text) refuse(&p, 400, "prompt", "prompt (or content) must be given");
    size_t size = text ? json_string_length(given(body, key)) : 0, n = p.status ? 0 : lithe_encode(m->reader, text, size, special, NULL, 0);
    int32_t *ids = p.status ? NULL : malloc((n + 1) * sizeof *ids);
    if (!p.status && !ids) refuse(&p, 503, NULL, "not enough memory for %zu tokens", n);
    if (p.status) { exchange_refuse(x, &p); return; }
    lithe_encode(m->reader, text, size, special, ids, n);
    json_t *tokens = json_array();
    for (size_t i = 0; i < n; i++) json_array_append_new(tokens, pieces ? piece(m, ids[i]) : json_integer(ids[i]));
    free(ids);
    exchange_json(x, json_pack("{s:o, s:I, s:i}", "tokens", tokens, "count", (json_int_t)n, "max_model_len", m->context));
}

/* ---- tokens to text --------------------------------------------------------------------- */

void api_detokenize(site *s, exchange *x, const json_t *body)
{
    problem p = { 0 };
    size_t count = 0, n = 0;
    served *m = served_find(s->models, s->count, body, &p);
    const json_t *tokens = given(body, "tokens");
    if (!json_is_array(tokens)) refuse(&p, 400, "tokens", "tokens must be a list of token ids");
    int32_t *ids = p.status ? NULL : field_ids(tokens, "tokens", m->vocab, &count, &p);
    char *text = p.status ? NULL : decoded(m, ids, count, &n);
    if (!p.status && !text) refuse(&p, 503, NULL, "not enough memory for %zu tokens", count);
    if (p.status) exchange_refuse(x, &p);
    else exchange_json(x, json_pack("{s:o, s:o}", "prompt", json_shown(text, n), "content", json_shown(text, n)));
    free(text);
    free(ids);
}

/* ---- the tokenizer ------------------------------------------------------------------------ */

static json_t *special_text(const served *m, const char *role)
{
    size_t n;
    int32_t id = lithe_tokenizer_special(m->reader, role);
    char *text = id < 0 ? NULL : decoded(m, &id, 1, &n);
    json_t *shown = text ? json_shown(text, n) : json_null();
    free(text);
    return shown;
}

void api_tokenizer_info(site *s, exchange *x, const json_t *body)
{
    static const char *const roles[] = { "bos", "eos", "pad", "unk", "cls", "sep", "mask" };
    const served *m = s->models[0];
    const char *template = lithe_tokenizer_chat_template(m->reader);
    json_t *all = json_object();
    (void)body;
    for (size_t i = 0; i < sizeof roles / sizeof *roles; i++) {
        char key[20];
        snprintf(key, sizeof key, "%s_token", roles[i]);
        json_object_set_new(all, key, special_text(m, roles[i]));
    }
    json_object_set_new(all, "chat_template", template ? json_string(template) : json_null());
    json_object_set_new(all, "vocab_size", json_integer(lithe_tokenizer_vocab(m->reader)));
    json_object_set_new(all, "max_model_len", m->context ? json_integer(m->context) : json_null());
    exchange_json(x, all);
}
