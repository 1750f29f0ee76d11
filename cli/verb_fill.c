/* lithe fill: the likeliest tokens at each mask. */
#include "inputs.h"
#include "output.h"
#include "verbs.h"
#include <stdlib.h>
#include <string.h>

typedef struct { common common; const char *tokenizer; int top, json; } fill_settings;
typedef fill_settings S;

static const option fill_options[] = {
    { "top", 'k', COUNT(S, top), "N", "5", .help = "number of tokens to print for each mask", .least = 1, .most = 10000, .also = "top-k" },
    { "tokenizer", 0, FILENAME(S, tokenizer), "PATH", .help = "tokenizer to use instead of the model's own" },
    { "json", 0, FLAG(S, json), .help = "print {schema, text, masks: [[{token, id, probability}]]}" },
    { 0 }
};

/* Prints a token on one line, without the spaces in front. */
static void print_token(const char *text)
{
    for (text += strspn(text, " "); *text; text++) {
        if (*text == '\n') fputs("\\n", stdout);
        else putchar(*text);
    }
    putchar('\n');
}

static void print_candidates(const lithe_tokenizer *t, const lithe_candidate *c, int masks, int top, lithe_error *err)
{
    for (int k = 0; k < masks; k++) {
        if (k) putchar('\n');
        for (int i = 0; i < top && c[k * top + i].id >= 0; i++) {
            size_t size = 0;
            char *text = decode_ids(t, &c[k * top + i].id, 1, &size, err);
            if (!text) return;
            printf("%.4f\t", (double)c[k * top + i].probability);
            print_token(text);
            free(text);
        }
    }
}

static void emit_candidates(const lithe_tokenizer *t, const char *text, const lithe_candidate *c, int masks, int top, lithe_error *err)
{
    emitter e = emit_begin(stdout, "fill");
    emit_text(&e, "text", text);
    emit_open(&e, "masks", '[');
    for (int k = 0; k < masks; k++) {
        emit_open(&e, NULL, '[');
        for (int i = 0; i < top && c[k * top + i].id >= 0; i++) {
            size_t size = 0;
            char *token = decode_ids(t, &c[k * top + i].id, 1, &size, err);
            emit_open(&e, NULL, '{');
            emit_bytes(&e, "token", token ? token : "", size);
            emit_count(&e, "id", c[k * top + i].id);
            emit_number(&e, "probability", (double)c[k * top + i].probability);
            emit_close(&e, '}');
            free(token);
        }
        emit_close(&e, ']');
    }
    emit_close(&e, ']');
    emit_end(&e);
}

static int fill(const arguments *a)
{
    const S *s = a->settings;
    lithe_error err = { 0 };
    const char *path = a->operands[0], *text = a->operands[1];
    lithe_model *m = open_model(path, NULL, &err);
    lithe_tokenizer *t = m ? model_tokenizer(m, path, s->tokenizer, &err) : NULL;
    int masks = t ? lithe_fill(m, t, text, s->top, NULL, &err) : 0;
    if (t && !masks && !err.status) wrong(&err, LITHE_EFORMAT, "the text has no mask token in it; write [MASK] or <mask>, as the tokenizer calls it");
    lithe_candidate *c = masks > 0 ? allocate((size_t)masks * (size_t)s->top, sizeof *c, &err) : NULL;
    if (c && lithe_fill(m, t, text, s->top, c, &err) > 0) {
        if (s->json) emit_candidates(t, text, c, masks, s->top, &err);
        else print_candidates(t, c, masks, s->top, &err);
    }
    free(c);
    lithe_tokenizer_close(t);
    lithe_model_close(m);
    return err.status ? failed_input(&err) : EXIT_DONE;
}

const verb verb_fill = {
    .name = "fill", .operands = "MODEL TEXT", .least = 2, .most = 2,
    .summary = "predict the masked tokens of a text",
    .about = "Prints the likeliest tokens for each [MASK] (or <mask>, as the tokenizer calls it) in a text, one line each: probability, token. An empty "
             "line separates the masks. The model is an encoder with a masked-language-modelling head.",
    .examples = "  lithe fill runs/encoder-1 \"the capital of france is [MASK].\"\n  lithe fill roberta/ \"Hello <mask>!\" --top 10 --json\n",
    .options = fill_options, .bytes = sizeof(S), .run = fill,
};
