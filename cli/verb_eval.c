/* lithe eval: measures how well a model predicts a text, or the labels of a table.
 *
 *   loss = nll / tokens (nats),  perplexity = exp(loss),  bits per byte = nll / (ln 2 * bytes)
 *
 * nll is summed over every token of the text except an unscored first one; bytes
 * are those of the scored tokens, so that results of different tokenizers on
 * the same text are comparable. */
#include "class_figures.h"
#include "lithe_eval.h"
#include "eval_items.h"
#include "inputs.h"
#include "output.h"
#include "verbs.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    common common;
    const char *text, *task, *data, *shots_from, *out, *cache, *protocol, *text_column, *pair_column, *label_column, *tokenizer, *config;
    int ctx, stride, special, limit, shots, json;
    double mask_rate;
    uint64_t seed;
} eval_settings;

static const option eval_options[] = {
    { "text", 0, FILENAME(eval_settings, text), "FILE", .help = "the text to predict; - is standard input", .also = "input,file", .group = "what is measured", .first = 1 },
    { "task", 0, FILENAME(eval_settings, task), "NAME|FILE", .help = "instead of --text: with --data a task by its name or a task file; else a labelled table as in lithe train --task, or a labelled set of images", .also = "benchmark", .named = lithe_task_name, .first = 1 },
    { "data", 0, FILENAME(eval_settings, data), "FILE", .help = "the items of a task: a file, or a directory of files", .group = "tasks", .first = 1 },
    { "limit", 0, COUNT(eval_settings, limit), "N", .help = "with --data: only the first items of each file", .least = 1, .first = 1 },
    { "shots", 0, COUNT(eval_settings, shots), "K", .help = "with --data: solved items before each", .also = "num-fewshot,few-shot,fewshot" },
    { "shots-from", 0, FILENAME(eval_settings, shots_from), "FILE", .help = "the file of these (default: the task's, else the data without the item itself)" },
    { "out", 'o', FILENAME(eval_settings, out), "FILE", .help = "with --data: write what was found for each item, as lines of JSON", .also = "output,log-samples" },
    { "cache", 0, FILENAME(eval_settings, cache), "DIR", .help = "with --data: where scores of earlier runs are kept (default: lithe/eval in the user's cache); --no-cache: nowhere" },
    { "text-column", 0, TEXT(eval_settings, text_column), "NAME|N", .help = "with --task: the column of the text (default: found by its name or content)", .group = "labelled tables" },
    { "pair-column", 0, TEXT(eval_settings, pair_column), "NAME|N", .help = "with --task: the column of the second text of a pair; --no-pair-column: there is none" },
    { "label-column", 0, TEXT(eval_settings, label_column), "NAME|N", .help = "with --task: the column of the label" },
    { "protocol", 0, CHOICE(eval_settings, protocol), "NAME", "tokens", .help = "with --text: tokens of the text as it is, or WikiText's pages as plain text, by words", .choices = "tokens|wikitext-word", .group = "windows of a text" },
    { "ctx", 0, COUNT(eval_settings, ctx), "N", .help = "tokens in a window (default: the context of the model)", .least = 2, .also = "context,window", .first = 1 },
    { "stride", 0, COUNT(eval_settings, stride), "N", .help = "tokens between the starts of two windows (default: the window, so that windows do not overlap)", .least = 1, .first = 1 },
    { "special", 0, FLAG(eval_settings, special), NULL, "1", .help = "put the begin-of-text token before the text, where the tokenizer adds one" },
    { "mask-rate", 0, REAL(eval_settings, mask_rate), "P", "0.15", .help = "with encoders: share of the tokens that is masked", .most = 1, .group = "encoders" },
    { "seed", 's', SEED(eval_settings, seed), "N", "0", .help = "with encoders: seed of the masks; with --data: of the intervals" },
    { "tokenizer", 0, FILENAME(eval_settings, tokenizer), "PATH", .help = "tokenizer to use instead of the model's own", .group = "model and output" },
    { "config", 0, FILENAME(eval_settings, config), "FILE", .help = "config.json of a weights file that has none beside it" },
    { "json", 0, FLAG(eval_settings, json), .help = "print {schema, loss, perplexity, bits_per_byte, tokens, bytes, ctx, stride}; with encoders {schema, loss, perplexity, accuracy, tokens, ctx}; with --task {schema, loss, examples, accuracy, f1, matthews, classes, confusion} or {..., pearson, spearman}; with --data {schema, task, accuracy, accuracy_norm, examples, interval, interval_norm, perplexity, shots, files}; with --protocol wikitext-word {schema, protocol, word_perplexity, byte_perplexity, bits_per_byte, ...}", .first = 1 },
    { 0 }
};

typedef struct { double nll; size_t tokens, bytes; } score;

static score score_text(lithe_model *m, const lithe_tokenizer *t, const char *text, size_t size, const eval_settings *s, lithe_error *err)
{
    score out = { 0 };
    size_t n = 0, plain = 0;
    int32_t *ids = encode_text(t, text, size, s->special, &n, err);
    if (!ids) return out;
    plain = s->special ? lithe_encode(t, text, size, 0, NULL, 0) : n;
    if (n < 2) wrong(err, LITHE_EFORMAT, "%s: holds %zu tokens; at least 2 are needed to predict one", s->text, n);
    else if (lithe_score(m, ids, n, s->ctx, s->stride, NULL, &out.nll, err) == LITHE_OK) {
        out.tokens = n - 1;
        out.bytes = size - (n > plain ? 0 : lithe_decode(t, ids, 1, NULL, 0));
    }
    free(ids);
    return out;
}

static void print_score(const score *r, const eval_settings *s, const lithe_model *m)
{
    double loss = r->nll / (double)r->tokens, bits = r->bytes ? r->nll / log(2) / (double)r->bytes : NAN;
    int ctx = s->ctx ? s->ctx : lithe_model_context(m), stride = s->stride ? s->stride : ctx;
    if (!s->json) {
        printf("loss %.6f  perplexity %.4f  bits per byte %.6f  (%zu tokens, %zu bytes, ctx %d, stride %d)\n",
               loss, exp(loss), bits, r->tokens, r->bytes, ctx, stride);
        return;
    }
    emitter e = emit_begin(stdout, "eval");
    emit_number(&e, "loss", loss);
    emit_number(&e, "perplexity", exp(loss));
    emit_number(&e, "bits_per_byte", bits);
    emit_count(&e, "tokens", (long long)r->tokens);
    emit_count(&e, "bytes", (long long)r->bytes);
    emit_count(&e, "ctx", ctx);
    emit_count(&e, "stride", stride);
    emit_end(&e);
}

/* With an encoder, some tokens are masked and predicted. */
static int eval_masked(lithe_model *m, const lithe_tokenizer *t, const char *text, size_t size, const eval_settings *s, lithe_error *err)
{
    lithe_evaluation v;
    size_t n = 0;
    int ctx = s->ctx ? s->ctx : lithe_model_context(m);
    int32_t *ids = encode_text(t, text, size, 0, &n, err);
    int status = ids && !n ? wrong(err, LITHE_EFORMAT, "%s: holds no token to predict", s->text) : LITHE_OK;
    if (ids && !status) status = lithe_score_masked(m, t, ids, n, s->ctx, s->mask_rate, s->seed, &v, err);
    free(ids);
    if (!ids || status) return LITHE_EINVAL;
    if (!s->json) {
        printf("loss %.6f  perplexity %.4f  accuracy %.4f  (%zu of %zu tokens masked, ctx %d)\n", v.loss, exp(v.loss), v.metrics.accuracy, v.examples, n, ctx);
        return LITHE_OK;
    }
    emitter e = emit_begin(stdout, "eval");
    emit_number(&e, "loss", v.loss);
    emit_number(&e, "perplexity", exp(v.loss));
    emit_number(&e, "accuracy", v.metrics.accuracy);
    emit_count(&e, "tokens", (long long)v.examples);
    emit_count(&e, "ctx", ctx);
    emit_end(&e);
    return LITHE_OK;
}

/* By words, as papers give WikiText. */
static void eval_words(lithe_model *m, const lithe_tokenizer *t, const char *text, size_t size, const eval_settings *s, lithe_error *err)
{
    lithe_wikitext r;
    if (lithe_score_wikitext(m, t, text, size, &r, err)) return;
    double word = exp(r.nll / (double)r.words), byte = exp(r.nll / (double)r.bytes), bits = r.nll / log(2) / (double)r.bytes;
    if (!s->json) {
        printf("word perplexity %.4f  byte perplexity %.6f  bits per byte %.6f  (%zu pages, %zu words, %zu bytes, %zu tokens)\n", word, byte, bits, r.pages, r.words, r.bytes, r.tokens);
        return;
    }
    emitter e = emit_begin(stdout, "eval");
    emit_text(&e, "protocol", s->protocol);
    emit_number(&e, "word_perplexity", word);
    emit_number(&e, "byte_perplexity", byte);
    emit_number(&e, "bits_per_byte", bits);
    emit_count(&e, "pages", (long long)r.pages);
    emit_count(&e, "words", (long long)r.words);
    emit_count(&e, "bytes", (long long)r.bytes);
    emit_count(&e, "tokens", (long long)r.tokens);
    emit_end(&e);
}

static void print_figures(const lithe_evaluation *v, const class_figures *c, bool json)
{
    char text[160];
    if (!json) {
        printf("loss %.6f%s  (%zu examples)\n", v->loss, metrics_text(&v->metrics, text, sizeof text), v->examples);
        if (c->confusion) print_classes(c);
        return;
    }
    emitter e = emit_begin(stdout, "eval");
    emit_number(&e, "loss", v->loss);
    emit_count(&e, "examples", (long long)v->examples);
    emit_metrics(&e, &v->metrics);
    if (c->confusion) emit_classes(&e, c);
    emit_end(&e);
}

static int eval_task(const arguments *a)
{
    const eval_settings *s = a->settings;
    lithe_error err = { 0 };
    lithe_evaluation v;
    const char *path = a->operands[0], *pair = s->pair_column ? s->pair_column : option_origin(a, "pair-column") == ORIGIN_DEFAULT ? NULL : "";
    const lithe_data_options columns = { .size = sizeof columns, .text_column = s->text_column, .pair_column = pair, .label_column = s->label_column };
    must_be_there(s->task, &err);
    lithe_model *m = open_model(path, s->config, &err);
    bool images = lithe_model_images(m, NULL, NULL, NULL);
    lithe_tokenizer *t = m && !images ? model_tokenizer(m, path, s->tokenizer, &err) : NULL;
    class_figures c = { .model = m, .labels = lithe_model_labels(m) };
    if (m && !strcmp(lithe_model_task(m), "classify")) c.confusion = allocate((size_t)c.labels * (size_t)c.labels, sizeof *c.confusion, &err);
    if ((t || images) && !err.status && lithe_evaluate_classes(m, t, s->task, &columns, &v, c.confusion, &err) == LITHE_OK) {
        if (*v.notice) say("%s", v.notice);
        print_figures(&v, &c, s->json);
        if (v.cut) say("%zu of %zu texts are longer than the model's context of %d tokens and were truncated", v.cut, v.examples, lithe_model_context(m));
    }
    free(c.confusion);
    lithe_tokenizer_close(t);
    lithe_model_close(m);
    return err.status ? failed_input(&err) : EXIT_DONE;
}

/* ---- tasks ---------------------------------------------------------------------- */

static int eval_items(const arguments *a)
{
    const eval_settings *s = a->settings;
    const item_settings items = { .task = s->task, .data = s->data, .shots_from = s->shots_from, .out = s->out, .cache = s->cache, .default_cache = option_origin(a, "cache") == ORIGIN_DEFAULT, .limit = s->limit, .shots = s->shots, .seed = s->seed, .json = s->json };
    lithe_error err = { 0 };
    const char *path = a->operands[0];
    if (!lithe_task_known(s->task) && is_name(s->task)) return unknown_task(s->task);
    lithe_model *m = must_be_new(s->out, false, &err) ? NULL : open_model(path, s->config, &err);
    lithe_tokenizer *t = m ? model_tokenizer(m, path, s->tokenizer, &err) : NULL;
    int code = t ? eval_items_run(m, t, &items) : failed_input(&err);
    lithe_tokenizer_close(t);
    lithe_model_close(m);
    return code;
}

/* Whether options were given that do not fit the model. */
static bool misused(const arguments *a, const eval_settings *s, lithe_model *m, lithe_error *err)
{
    int ctx = s->ctx ? s->ctx : lithe_model_context(m);
    bool encoder = lithe_model_encoder(m);
    if (ctx > lithe_model_context(m)) wrong(err, LITHE_EINVAL, "--ctx %d: the model's context is %d", ctx, lithe_model_context(m));
    else if (s->stride > ctx) wrong(err, LITHE_EINVAL, "--stride %d leaves tokens out: the window is %d", s->stride, ctx);
    else if (encoder && s->stride) wrong(err, LITHE_EINVAL, "%s: %s is bidirectional and predicts masked tokens in windows that do not overlap: leave out --stride", a->operands[0], lithe_model_arch(m));
    else if (!encoder && (option_origin(a, "mask-rate") != ORIGIN_DEFAULT || option_origin(a, "seed") != ORIGIN_DEFAULT))
        wrong(err, LITHE_EINVAL, "%s: %s is causal and masks nothing: --mask-rate and --seed are for encoders", a->operands[0], lithe_model_arch(m));
    return err->status != LITHE_OK;
}

/* An option that is given and can do nothing in this evaluation, and in which it could; NULL: there is none. */
static const char *out_of_place(const arguments *a, const char **its)
{
    static const struct { const char *option, *of; } places[] = {
        { "limit", "--data" }, { "shots", "--data" }, { "shots-from", "--data" }, { "out", "--data" }, { "cache", "--data" },
        { "text-column", "a table of --task" }, { "pair-column", "a table of --task" }, { "label-column", "a table of --task" },
        { "protocol", "--text" }, { "ctx", "--text" }, { "stride", "--text" } };
    const eval_settings *s = a->settings;
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        const bool there = places[i].of[0] == 'a' ? s->task && !s->data : places[i].of[2] == 'd' ? s->data != NULL : s->text != NULL;
        *its = places[i].of;
        if (!there && option_origin(a, places[i].option) == ORIGIN_FLAG) return places[i].option;
    }
    return NULL;
}

static int eval(const arguments *a)
{
    const eval_settings *s = a->settings;
    lithe_error err = { 0 };
    const char *its;
    size_t size = 0;
    const char *path = a->operands[0];
    if (s->data && !s->task) return usage("--data %s has the items of a task: which? --task NAME", s->data);
    if (!s->text && !s->task) return usage("which text? --text FILE or --task FILE is needed");
    if (s->text && s->task) return usage("--text and --task are two evaluations: give one of them");
    if (out_of_place(a, &its)) return usage("--%s is for %s", out_of_place(a, &its), its);
    if (s->task && s->data) return eval_items(a);
    if (s->task && lithe_task_known(s->task)) return usage("%s is a task: give a file with its items, --data FILE", s->task);
    if (s->task && is_name(s->task)) return unknown_task(s->task);
    if (s->task) return eval_task(a);
    char *text = read_documents(s->text, &size, &err);
    lithe_model *m = open_model(path, s->config, &err);
    lithe_tokenizer *t = m && !misused(a, s, m, &err) ? model_tokenizer(m, path, s->tokenizer, &err) : NULL;
    if (t && lithe_model_encoder(m)) eval_masked(m, t, text, size, s, &err);
    else if (t && !strcmp(s->protocol, "wikitext-word")) eval_words(m, t, text, size, s, &err);
    else if (t) {
        score r = score_text(m, t, text, size, s, &err);
        if (!err.status) print_score(&r, s, m);
    }
    lithe_tokenizer_close(t);
    lithe_model_close(m);
    free(text);
    return err.status ? failed_input(&err) : EXIT_DONE;
}

const verb verb_eval = {
    .name = "eval", .operands = "MODEL", .least = 1, .most = 1,
    .summary = "measure loss, perplexity and bits per byte on a text, or accuracy on a task or a table",
    .about = "Predicts every token of a text from the tokens before it and prints the mean negative log-likelihood (nats a token), its "
             "exponential (the perplexity), and bits per byte.\n\n"
             "The text is read in windows of --ctx tokens that begin --stride tokens apart; each token is scored once, in the first window that "
             "holds it. With a stride below the window every token after the first window therefore has at least ctx - stride tokens "
             "before it. A small stride costs ctx / stride times as much.\n\n"
             "The first token: where the tokenizer adds a begin-of-text token, that comes first and the first token of the text is scored too. "
             "Otherwise the first token is context only: it is not in the loss, and its bytes are not counted.\n\n"
             "An encoder is bidirectional: in pieces of --ctx tokens a share --mask-rate of the tokens is masked as in pre-training, and these "
             "tokens are predicted. The encoder's special tokens surround each piece.\n\n"
             "With --task and --data the model is asked the items of a benchmark, as lm-evaluation-harness asks them: accuracy is the share of "
             "items whose right choice is likelier than each other one (equal ones are wrong), accuracy_norm the same for the "
             "likelihood of each byte, with 95 % intervals by a bootstrap over the items; of single continuations (lambada), the share whose "
             "tokens are each the likeliest. An encoder predicts each token of a choice from all others. The tasks are lithe's own, by name, or "
             "files that you write (docs/tasks.md): arc, blimp, cmmlu, hellaswag, lambada, lawbench, piqa, winogrande.\n\n"
             "With --task alone the model is a classifier and FILE a labelled table: the figures are accuracy, F1 (of class 1 when there are two classes, "
             "else the mean over the classes) and Matthews' correlation, or Pearson's and Spearman's correlations where the labels are numbers. For each class there are "
             "its precision, recall, F1 and number of examples, and the confusion matrix counts the examples of each class by the class that was predicted.\n\n"
             "For an image model FILE is a labelled set of images as in lithe train; its test part is used, else its validation part, else all of it.\n\n"
             "The bytes are those of the scored part of the text, as they are in the file.",
    .examples = "  lithe eval runs/tale-1 --text valid.txt\n  lithe eval model/ --task hellaswag --data hellaswag_val.jsonl --json\n  lithe eval model/ --text valid.txt --ctx 512 --stride 256 --json\n  lithe eval runs/reviews-1 --task test.csv\n",
    .options = eval_options, .bytes = sizeof(eval_settings), .run = eval,
};
