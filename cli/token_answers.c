#include "token_answers.h"
#include "output.h"
#include <stdlib.h>
#include <string.h>

const char *label_name(const lithe_model *m, int i, char *text, size_t cap)
{
    const char *name = lithe_model_label(m, i);
    if (name) return name;
    snprintf(text, cap, "LABEL_%d", i);
    return text;
}

/* The token as text, without the spaces around it. */
static const char *token_text(const lithe_tokenizer *t, int32_t id, char *text, size_t cap)
{
    size_t n = lithe_decode(t, &id, 1, text, cap - 1);
    text[n < cap ? n : cap - 1] = 0;
    while (*text == ' ') text++;
    return text;
}

static void print_classes_of(const lithe_model *m, const lithe_tokenizer *t, const char *text, const lithe_token_class *c, int n, bool json)
{
    char token[256], name[24];
    emitter e;
    if (json) {
        e = emit_begin(stdout, "classify");
        emit_text(&e, "text", text);
        emit_open(&e, "tokens", '[');
    }
    for (int i = 0; i < n; i++) {
        const char *word = token_text(t, c[i].id, token, sizeof token), *label = label_name(m, c[i].label, name, sizeof name);
        if (!json) { printf("%s\t%s\t%.4f\n", word, label, (double)c[i].probability); continue; }
        emit_open(&e, NULL, '{');
        emit_text(&e, "token", word);
        emit_text(&e, "label", label);
        emit_number(&e, "probability", (double)c[i].probability);
        emit_close(&e, '}');
    }
    if (!json) putchar('\n');
    else { emit_close(&e, ']'); emit_end(&e); }
}

int print_token_classes(lithe_model *m, const lithe_tokenizer *t, const lines *l, bool json, lithe_error *err)
{
    const size_t cap = (size_t)lithe_model_context(m);
    lithe_token_class *c = allocate(cap, sizeof *c, err);
    int status = c ? 0 : LITHE_ENOMEM;
    for (size_t i = 0; i < l->count && status >= 0; i++) {
        if (l->pairs[i]) status = wrong(err, LITHE_EINVAL, "text %zu is a pair: the model gives each token of one text a class", i + 1);
        else if ((status = lithe_classify_tokens(m, t, l->texts[i], c, cap, err)) >= 0) print_classes_of(m, t, l->texts[i], c, status, json);
    }
    free(c);
    return status < 0 ? status : 0;
}

static void print_answer(const lines *l, size_t i, const char *text, float probability, bool json)
{
    while (*text == ' ') text++;
    if (!json) { printf("%s\t%.4f\n", text, (double)probability); return; }
    emitter e = emit_begin(stdout, "classify");
    emit_text(&e, "text", l->texts[i]);
    emit_text(&e, "pair", l->pairs[i]);
    emit_text(&e, "answer", text);
    emit_number(&e, "probability", (double)probability);
    emit_end(&e);
}

int print_answers(lithe_model *m, const lithe_tokenizer *t, const lines *l, bool json, lithe_error *err)
{
    char text[4096];
    int status = 0;
    for (size_t i = 0; i < l->count && status >= 0; i++) {
        float probability = 0;
        if (!l->pairs[i]) status = wrong(err, LITHE_EINVAL, "question %zu has no passage: give it with --pair, or after a tab", i + 1);
        else if ((status = lithe_answer(m, t, l->texts[i], l->pairs[i], text, sizeof text - 1, &probability, err)) >= 0) {
            text[(size_t)status < sizeof text ? (size_t)status : sizeof text - 1] = 0;
            print_answer(l, i, text, probability, json);
        }
    }
    return status < 0 ? status : 0;
}
