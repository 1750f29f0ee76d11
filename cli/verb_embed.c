/* lithe embed: a vector for each text. */
#include "lines.h"
#include "output.h"
#include "verbs.h"
#include <stdlib.h>
#include <string.h>

typedef struct { common common; const char *text, *tokenizer, *pooling, *prompt; int normalize, max_length, json; } embed_settings;
typedef embed_settings S;

static const option embed_options[] = {
    { "text", 0, FILENAME(S, text), "FILE", .help = "embed each line of this file, or the text of each object of .jsonl (.gz and .zst of these); - is standard input", .also = "file,input" },
    { "pooling", 0, CHOICE(S, pooling), "HOW", .help = "pooling of the last layer: the mean of all tokens, the first token, the last, the greatest numbers, the sum by the root of the number of tokens, or the mean weighted by 1, 2, 3 ... (default: the model's own pooling configuration, else mean; last for causal models)",
      .choices = "mean|cls|last|max|mean_sqrt_len_tokens|weightedmean" },
    { "normalize", 0, FLAG(S, normalize), .help = "normalize vectors to length 1 (default: the model's own pooling configuration, else not)", .also = "normalise" },
    { "max-length", 0, COUNT(S, max_length), "N", .help = "truncate texts to N tokens (default: the model's own pooling configuration, else its context)", .least = 1 },
    { "prompt", 0, TEXT(S, prompt), "TEXT", .help = "text to read before each text (default: the default prompt of the model's own configuration, if it has one)" },
    { "tokenizer", 0, FILENAME(S, tokenizer), "PATH", .help = "tokenizer to use instead of the model's own" },
    { "json", 0, FLAG(S, json), .help = "print a line of JSON for each text: {schema, text, embedding}" },
    { 0 }
};

static void print_vector(const float *x, int n, const char *text, bool json)
{
    if (!json) {
        for (int i = 0; i < n; i++) printf("%s%.9g", i ? " " : "", (double)x[i]);
        putchar('\n');
        return;
    }
    emitter e = emit_begin(stdout, "embed");
    emit_text(&e, "text", text);
    emit_open(&e, "embedding", '[');
    for (int i = 0; i < n; i++) emit_number(&e, NULL, (double)x[i]);
    emit_close(&e, ']');
    emit_end(&e);
}

static int how_to_embed(const lithe_model *m, const arguments *a, lithe_embedding *how, lithe_error *err)
{
    const S *s = a->settings;
    int status = lithe_embedding_read(m, how, err);
    if (s->pooling) snprintf(how->pooling, sizeof how->pooling, "%s", s->pooling);
    if (option_origin(a, "normalize") != ORIGIN_DEFAULT) how->normalize = s->normalize;
    if (s->max_length) how->max_length = s->max_length;
    if (s->prompt && strlen(s->prompt) >= sizeof how->prompt) wrong(err, LITHE_EINVAL, "--prompt has %zu bytes, at most %zu are possible", strlen(s->prompt), sizeof how->prompt - 1);
    else if (s->prompt) strcpy(how->prompt, s->prompt);
    if (how->max_length > lithe_model_context(m)) wrong(err, LITHE_EINVAL, "--max-length %d: the model's context is %d", how->max_length, lithe_model_context(m));
    return status;
}

static int embed(const arguments *a)
{
    const S *s = a->settings;
    lithe_error err = { 0 };
    lithe_embedding how = { .size = sizeof how };
    lines l = { 0 };
    const char *path = a->operands[0];
    size_t cut = 0;
    if (a->count < 2 && !s->text) return usage("embed what? lithe embed MODEL TEXT..., or --text FILE");
    lithe_model *m = open_model(path, NULL, &err);
    lithe_tokenizer *t = m ? model_tokenizer(m, path, s->tokenizer, &err) : NULL;
    if (t) how_to_embed(m, a, &how, &err);
    if (t) lines_open(&l, a->operands + 1, a->count - 1, s->text, false, &err);
    int width = err.status ? 0 : lithe_embed(m, t, NULL, 0, &how, NULL, NULL, &err);
    float *out = width > 0 ? allocate((size_t)width * l.count, sizeof *out, &err) : NULL;
    if (out && lithe_embed(m, t, l.texts, l.count, &how, out, &cut, &err) > 0)
        for (size_t i = 0; i < l.count; i++) print_vector(out + i * (size_t)width, width, l.texts[i], s->json);
    if (cut) say("%zu of %zu texts are longer than %d tokens and were truncated", cut, l.count, how.max_length ? how.max_length : lithe_model_context(m));
    free(out);
    lines_close(&l);
    lithe_tokenizer_close(t);
    lithe_model_close(m);
    return err.status ? failed_input(&err) : EXIT_DONE;
}

const verb verb_embed = {
    .name = "embed", .operands = "MODEL [TEXT...]", .least = 1, .most = -1,
    .summary = "print a vector for each text",
    .about = "Pools the hidden states of the last layer into one vector for each text and prints it as a line of numbers. The model's own pooling "
             "configuration is that of sentence-transformers (modules.json, 1_Pooling/config.json, sentence_bert_config.json and config_sentence_transformers.json "
             "beside the model); options given here win over it.",
    .examples = "  lithe embed runs/encoder-1 \"a first text\" \"a second one\"\n  lithe embed model/ --text sentences.txt --pooling cls --normalize --json\n",
    .options = embed_options, .bytes = sizeof(S), .run = embed,
};
