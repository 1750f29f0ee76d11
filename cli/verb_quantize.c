/* lithe quantize: a model in blocks of integers, and what that costs in quality. */
#include "inputs.h"
#include "interrupt.h"
#include "model_out.h"
#include "output.h"
#include "verbs.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct { common common; const char *to, *out, *text, *vocabulary, *tokenizer, *config; int ctx, json; } quantize_settings;

static const option quantize_options[] = {
    { "to", 0, CHOICE(quantize_settings, to), "TYPE", "q8_0", .help = "type of the matrices", .choices = QUANTIZED_TYPES, .also = "type,dtype", .group = "types", .first = 1 },
    { "vocabulary", 0, TEXT(quantize_settings, vocabulary), "TYPE", .help = "type of the embedding and the head; keep: as they are (default: q8_0 for q8_0, else q6_K)",
      .choices = "keep|q8_0|q4_0|q4_1|q5_0|q5_1|q4_K|q5_K|q6_K", .first = 1 },
    { "out", 'o', FILENAME(quantize_settings, out), "FILE|DIR", .help = "the new file, or the new model directory with its model.gguf; without it the model is only measured, with --text", .also = "output", .group = "files", .first = 1 },
    { "tokenizer", 0, FILENAME(quantize_settings, tokenizer), "PATH", .help = "tokenizer to use instead of the model's own" },
    { "config", 0, FILENAME(quantize_settings, config), "FILE", .help = "config.json of a weights file that has none beside it" },
    { "text", 0, FILENAME(quantize_settings, text), "FILE", .help = "compare both models on this text: perplexity, divergence, equal likeliest tokens", .also = "data,input,file", .group = "comparison", .first = 1 },
    { "ctx", 0, COUNT(quantize_settings, ctx), "N", .help = "with --text: tokens in a window (default: the context of the model, at most 512)", .least = 2, .also = "context,window" },
    { "json", 0, FLAG(quantize_settings, json), .help = "print {schema, type, bytes_before, bytes_after, quantized, in_other_types, kept, perplexity_before, perplexity_after, divergence, same_top, tokens}", .first = 1 },
    { 0 }
};

/* ---- what it costs ------------------------------------------------------------- */

typedef struct { double loss[2], divergence, same; size_t tokens; } costs;

static int compare_on_text(const quantize_settings *s, lithe_model *m[2], const lithe_tokenizer *t, costs *c, lithe_error *err)
{
    size_t size, n = 0;
    lithe_growth differences = { 0 };
    char *text = read_documents(s->text, &size, err);
    int32_t *ids = text ? encode_text(t, text, size, 0, &n, err) : NULL;
    int longest = lithe_model_context(m[0]), ctx = s->ctx ? s->ctx : longest < 512 ? longest : 512, status = ids ? LITHE_OK : LITHE_EINVAL;
    if (ids && n < 2) status = wrong(err, LITHE_EFORMAT, "%s: holds %zu tokens; at least 2 are needed to predict one", s->text, n);
    for (int i = 0; i < 2 && !status; i++) status = lithe_score(m[i], ids, n, ctx, 0, NULL, &c->loss[i], err);
    if (!status) status = lithe_compare(m[0], m[1], ids, n, &differences, err);
    *c = (costs){ { c->loss[0] / (double)(n - 1), c->loss[1] / (double)(n - 1) }, differences.divergence, differences.same_top, n - 1 };
    free(ids);
    free(text);
    return status;
}

/* ---- the verb ------------------------------------------------------------------- */

static void print_quantized(const quantize_settings *s, const lithe_quantized *q, const costs *c)
{
    if (!s->json) {
        say("%s: %.1f MB become %.1f MB; %d matrices in blocks (%d of them in another type), %d parameters as they were", s->to,
            1e-6 * (double)q->bytes_before, 1e-6 * (double)q->bytes_after, q->quantized, q->in_other_types, q->kept);
        if (s->text) printf("perplexity %.4f, before %.4f  divergence %.6f  same likeliest token %.4f  (%zu tokens)\n",
                            exp(c->loss[1]), exp(c->loss[0]), c->divergence, c->same, c->tokens);
        return;
    }
    emitter e = emit_begin(stdout, "quantize");
    emit_text(&e, "type", s->to);
    emit_count(&e, "bytes_before", (long long)q->bytes_before);
    emit_count(&e, "bytes_after", (long long)q->bytes_after);
    emit_count(&e, "quantized", q->quantized);
    emit_count(&e, "in_other_types", q->in_other_types);
    emit_count(&e, "kept", q->kept);
    if (s->text) {
        emit_number(&e, "perplexity_before", exp(c->loss[0]));
        emit_number(&e, "perplexity_after", exp(c->loss[1]));
        emit_number(&e, "divergence", c->divergence);
        emit_number(&e, "same_top", c->same);
        emit_count(&e, "tokens", (long long)c->tokens);
    }
    emit_end(&e);
}

/* rwkv.cpp's own tool leaves the vocabulary as it is. */
static const char *vocabulary_of(const quantize_settings *s)
{
    const char *end = s->out ? strrchr(s->out, '.') : NULL;
    return s->vocabulary ? s->vocabulary : end && !strcmp(end, ".bin") ? "keep" : NULL;
}

/* Of a model that has none, only the text needs one. */
static lithe_tokenizer *tokenizer_for(const arguments *a, const lithe_model *m, lithe_error *err)
{
    const quantize_settings *s = a->settings;
    bool wanted = s->text || s->tokenizer || lithe_model_tokenizer(m);
    return wanted ? model_tokenizer(m, a->operands[0], s->tokenizer, err) : NULL;
}

static int quantize(const arguments *a)
{
    const quantize_settings *s = a->settings;
    lithe_error err = { 0 }, unwritten = { 0 };
    lithe_quantized q = { 0 };
    costs c = { 0 };
    if (!s->out && !s->text) return usage("quantize writes to --out FILE or DIR, or measures with --text FILE");
    interrupt_catch(false);                             /* so that unfinished files are removed */
    lithe_model *m[2] = { must_be_new(s->out, s->out && !names_a_file(s->out), &err) ? NULL : open_model(a->operands[0], s->config, &err), NULL };
    if (m[0]) m[1] = open_model(a->operands[0], s->config, &err);
    lithe_tokenizer *t = m[1] ? tokenizer_for(a, m[0], &err) : NULL;
    int status = err.status ? (int)err.status : lithe_model_quantize(m[1], s->to, &LITHE_OPTIONS(lithe_quantize_options, .vocabulary = vocabulary_of(s)), &q, &err);
    if (!status && s->text) status = compare_on_text(s, m, t, &c, &err);
    if (!status && s->out) status = write_model(m[1], s->out, "stored", t, &unwritten);
    if (!status) print_quantized(s, &q, &c);
    lithe_tokenizer_close(t);
    lithe_model_close(m[0]);
    lithe_model_close(m[1]);
    return err.status ? failed_input(&err) : unwritten.status ? failed_output(&unwritten) : EXIT_DONE;
}

const verb verb_quantize = {
    .name = "quantize", .operands = "MODEL", .least = 1, .most = 1,
    .summary = "write a model in blocks of small integers, and measure what that costs",
    .about = "Quantizes the matrices of a model to one of ggml's types and writes the model to --out: a new GGUF file, which is a MODEL by itself, "
             "or for RWKV a .bin of rwkv.cpp; any other name is a new model directory with config.json, tokenizer and model.gguf. Embedding and head go to q6_K, or to q8_0 with the matrices; norms, biases, positions, low-rank branches and small "
             "tables stay as they are. A K type whose blocks of 256 do not divide a matrix's rows becomes the nearest type with blocks of 32; "
             "docs/quantized.md says more.\n\n"
             "With --text both models predict the text: the perplexities, the mean divergence of the probabilities (in nats), and how often the likeliest token is the same.",
    .examples = "  lithe quantize runs/tale-1 --to q4_K --out tale.gguf --text valid.txt\n  lithe quantize goose.pth --to q5_1 --out goose.bin\n"
                "  lithe quantize runs/tale-1 --to q8_0 --out tale-q8/\n",
    .options = quantize_options, .bytes = sizeof(quantize_settings), .run = quantize,
};
