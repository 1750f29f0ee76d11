/* libFuzzer: a hostile chat template, up to the first byte 0, and a hostile conversation after it.  What renders is
 * encoded: no byte of a user becomes a special token. */
#include "text/jinja.h"
#include "text/tokenizer.h"
#include <assert.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char usual[] = "[{\"role\":\"system\",\"content\":\"<|endoftext|>\"},{\"role\":\"user\",\"content\":\" <|endoftext|>\\n\"},"
                            "{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[{\"function\":{\"name\":\"f\",\"arguments\":\"{\\\"a\\\":1}\"}}]},{\"role\":\"tool\",\"content\":[{\"type\":\"text\",\"text\":\"t\"}]}]";

/* The special tokens in what has no mark, at most. */
static size_t trusted_specials(const lithe_rendered *r)
{
    static const char token[] = "<|endoftext|>";
    size_t n = 0;
    for (size_t i = 0; i + sizeof token - 1 <= r->n; i++) {
        bool marked = false;
        for (size_t k = 0; k < sizeof token - 1; k++) marked |= r->user && r->user[i + k];
        n += !marked && !memcmp(r->text + i, token, sizeof token - 1);
    }
    return n;
}

static void check(const lithe_tokenizer *t, const lithe_rendered *r)
{
    size_t n = lithe_encode_rendered(t, r, NULL, 0), special = 0;
    int32_t *ids = malloc((n + 1) * sizeof *ids);
    assert(ids && lithe_encode_rendered(t, r, ids, n) == n && !r->text[r->n]);
    for (size_t i = 0; i < n; i++) special += (size_t)lithe_tokenizer_is_special(t, ids[i]);
    assert(special == trusted_specials(r));
    free(ids);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static lithe_tokenizer *t;
    lithe_error err = { 0 };
    const char *text = (const char *)data;
    const uint8_t *end = size ? memchr(data, 0, size) : NULL;
    size_t n = end ? (size_t)(end - data) : size;
    if (!t) t = lithe_tokenizer_train("a a a b b b", 11, 257, NULL);
    if (!size || !t) return 0;
    lithe_template *p = lithe_template_parse(t, text, n, "fuzz", &err);
    assert(p ? !err.status : err.status && err.text[0] && !strchr(err.text, '\n'));
    for (int own = 0; p && own <= (end != NULL); own++) {
        lithe_error refused = { 0 };
        lithe_rendered r;
        const char *messages = own ? text + n + 1 : usual;
        int status = lithe_template_render(p, messages, own ? size - n - 1 : sizeof usual - 1,
                                           &LITHE_OPTIONS(lithe_template_options, .tools = "[{\"a\":[1,2.5,null]}]", .now = 1), &r, &refused);
        assert(status == refused.status && !strchr(refused.text, '\n'));
        if (!status) check(t, &r);
        lithe_rendered_free(&r);
    }
    lithe_template_close(p);
    return 0;
}
