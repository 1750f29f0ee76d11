/* lithe logits: writes the logits of given tokens to a file, for scripts. */
#include "inputs.h"
#include "output.h"
#include "verbs.h"
#include <stdlib.h>

typedef struct { common common; const char *ids, *text, *out, *tokenizer, *config; int special; } logits_settings;

static const option logits_options[] = {
    { "ids", 0, TEXT(logits_settings, ids), "IDS", .help = "token ids, separated by spaces or commas", .also = "tokens" },
    { "text", 0, FILENAME(logits_settings, text), "FILE", .help = "a text instead of --ids; - is standard input" },
    { "special", 0, FLAG(logits_settings, special), .help = "put the begin-of-text token before the text, where the tokenizer adds one" },
    { "out", 'o', FILENAME(logits_settings, out), "FILE", .help = "the safetensors file to write: logits [ids, vocabulary], F32", .also = "output" },
    { "tokenizer", 0, FILENAME(logits_settings, tokenizer), "PATH", .help = "tokenizer to use instead of the model's own" },
    { "config", 0, FILENAME(logits_settings, config), "FILE", .help = "config.json of a weights file that has none beside it" },
    { 0 }
};

static int32_t *wanted_ids(const lithe_model *m, const char *path, const logits_settings *s, size_t *n, lithe_error *err)
{
    if (s->ids) return parse_ids(s->ids, n, err);
    size_t size = 0;
    int32_t *ids = NULL;
    char *text = read_documents(s->text, &size, err);
    lithe_tokenizer *t = model_tokenizer(m, path, s->tokenizer, err);
    if (t && text) ids = encode_text(t, text, size, s->special, n, err);
    lithe_tokenizer_close(t);
    free(text);
    return ids;
}

static int logits(const arguments *a)
{
    const logits_settings *s = a->settings;
    lithe_error err = { 0 }, unwritten = { 0 };
    size_t n = 0;
    const char *path = a->operands[0];
    if (!s->ids == !s->text) return usage("give --ids \"1 2 3\" or --text FILE");
    if (!s->out) return usage("where to? --out FILE.safetensors is needed");
    lithe_model *m = must_be_new_file(s->out, ".safetensors", &err) ? NULL : open_model(path, s->config, &err);
    int32_t *ids = m ? wanted_ids(m, path, s, &n, &err) : NULL;
    if (ids && !n) wrong(&err, LITHE_EINVAL, "no ids");
    if (ids && n > (size_t)lithe_model_context(m))
        wrong(&err, LITHE_EFULL, "%zu ids do not fit in the model's context of %d", n, lithe_model_context(m));
    if (ids && ids_fit(ids, n, lithe_model_vocab(m), &err) == LITHE_OK && lithe_logits_save(m, ids, n, s->out, &unwritten) == LITHE_OK)
        say("%s: logits [%zu, %d]", s->out, n, lithe_model_vocab(m));
    free(ids);
    lithe_model_close(m);
    return err.status ? failed_input(&err) : unwritten.status ? failed_output(&unwritten) : EXIT_DONE;
}

const verb verb_logits = {
    .name = "logits", .operands = "MODEL", .least = 1, .most = 1,
    .summary = "write the logits of given tokens to a file",
    .about = "Runs the model once over the ids and writes a safetensors file with one tensor, logits, of shape [ids, vocabulary]: row i holds the "
             "logits of the token that follows id i.",
    .examples = "  lithe logits model/ --ids \"1 2 3\" --out logits.safetensors\n",
    .options = logits_options, .bytes = sizeof(logits_settings), .run = logits,
};
