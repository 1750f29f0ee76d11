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

/* Characters of the first n bytes. */
static long long characters(const char *text, size_t n)
{
    long long count = 0;
    for (size_t i = 0; i < n; i++) count += (text[i] & 0xc0) != 0x80;
    return count;
}

static void print_part(const char *text, size_t begin, size_t end)
{
    for (size_t i = begin; i < end; i++) putchar(strchr("\t\r\n", text[i]) ? ' ' : text[i]);
}

/* text[begin .. end), and its place in characters. */
static void emit_part(emitter *e, const char *key, const char *text, size_t begin, size_t end)
{
    char *part = strndup(text + begin, end - begin);
    emit_text(e, key, part ? part : "");
    emit_count(e, "start", characters(text, begin));
    emit_count(e, "end", characters(text, end));
    free(part);
}

static void print_classes_of(const lithe_model *m, const char *text, const lithe_token_class *c, int n, bool json)
{
    char name[24];
    emitter e;
    if (json) {
        e = emit_begin(stdout, "classify");
        emit_text(&e, "text", text);
        emit_open(&e, "tokens", '[');
    }
    for (int i = 0; i < n; i++) {
        const char *label = label_name(m, c[i].label, name, sizeof name);
        if (!json) {
            print_part(text, c[i].begin, c[i].end);
            printf("\t%s\t%.4f\t%lld\t%lld\n", label, (double)c[i].probability, characters(text, c[i].begin), characters(text, c[i].end));
            continue;
        }
        emit_open(&e, NULL, '{');
        emit_part(&e, "token", text, c[i].begin, c[i].end);
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
        else if ((status = lithe_classify_tokens(m, t, l->texts[i], c, cap, err)) >= 0) print_classes_of(m, l->texts[i], c, status, json);
    }
    free(c);
    return status < 0 ? status : 0;
}

static void print_answer(const lines *l, size_t i, const lithe_found *a, bool json)
{
    const char *passage = l->pairs[i];
    if (!json) {
        print_part(passage, a->begin, a->end);
        printf("\t%.4f\t%lld\t%lld\n", (double)a->probability, characters(passage, a->begin), characters(passage, a->end));
        return;
    }
    emitter e = emit_begin(stdout, "classify");
    emit_text(&e, "text", l->texts[i]);
    emit_text(&e, "pair", passage);
    emit_part(&e, "answer", passage, a->begin, a->end);
    emit_number(&e, "probability", (double)a->probability);
    emit_end(&e);
}

int print_answers(lithe_model *m, const lithe_tokenizer *t, const lines *l, bool json, lithe_error *err)
{
    int status = 0;
    for (size_t i = 0; i < l->count && status >= 0; i++) {
        lithe_found answer = { 0 };
        if (!l->pairs[i]) status = wrong(err, LITHE_EINVAL, "question %zu has no passage: give it with --pair, or after a tab", i + 1);
        else if (!(status = lithe_answer(m, t, l->texts[i], l->pairs[i], &answer, err))) print_answer(l, i, &answer, json);
    }
    return status < 0 ? status : 0;
}
