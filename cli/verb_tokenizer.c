/* lithe tokenize, detokenize, train-tokenizer: text and token ids. */
#include "inputs.h"
#include "output.h"
#include "terminal.h"
#include "verbs.h"
#include <stdlib.h>
#include <string.h>

/* ---- tokenize --------------------------------------------------------------- */

typedef struct { common common; int special, json, lowercase; } tokenize_settings;

static const option tokenize_options[] = {
    { "lowercase", 0, FLAG(tokenize_settings, lowercase), .help = "the vocab.txt is uncased: lower the letters and drop accents, whatever tokenizer_config.json says; --no-lowercase: it is cased" },
    { "special", 0, FLAG(tokenize_settings, special), .help = "add the special tokens that the tokenizer puts around a text" },
    { "json", 0, FLAG(tokenize_settings, json), .help = "print {schema, ids}" },
    { 0 }
};

static void print_ids(const int32_t *ids, size_t n, bool json)
{
    if (json) {
        emitter e = emit_begin(stdout, "tokenize");
        emit_open(&e, "ids", '[');
        for (size_t i = 0; i < n; i++) emit_count(&e, NULL, ids[i]);
        emit_close(&e, ']');
        emit_end(&e);
        return;
    }
    for (size_t i = 0; i < n; i++) printf("%s%d", i ? " " : "", ids[i]);
    putchar('\n');
}

static int tokenize(const arguments *a)
{
    const tokenize_settings *s = a->settings;
    lithe_error err = { 0 };
    size_t size = 0, n = 0;
    lithe_tokenizer *t = lithe_tokenizer_open_with(a->operands[0], &LITHE_OPTIONS(lithe_tokenizer_options, .lowercase = letters(a, s->lowercase)), &err);
    char *text = lithe_text_file("-", &size, &err);
    n = t && text ? lithe_encode(t, text, size, s->special, NULL, 0) : 0;
    int32_t *ids = text ? allocate(n, sizeof *ids, &err) : NULL;
    if (ids && t) {
        lithe_encode(t, text, size, s->special, ids, n);
        print_ids(ids, n, s->json);
    }
    free(ids);
    free(text);
    lithe_tokenizer_close(t);
    return err.status ? failed_input(&err) : EXIT_DONE;
}

const verb verb_tokenize = {
    .name = "tokenize", .operands = "TOKENIZER", .least = 1, .most = 1,
    .summary = "turn standard input into token ids",
    .about = "Reads all of standard input and prints its token ids on one line, separated by spaces. Nothing is added unless --special is given.\n\n"
             "TOKENIZER is a tokenizer.json, a SentencePiece .model, a vocab.txt of BERT, an RWKV vocabulary, a folder that holds "
             "one of these or vocab.json and merges.txt (such as a MODEL), a llama2.c tokenizer file, or the word bytes: the 256 bytes themselves.",
    .examples = "  printf 'Once upon a time' | lithe tokenize runs/tale-1\n",
    .options = tokenize_options, .bytes = sizeof(tokenize_settings), .run = tokenize,
};

/* ---- detokenize ------------------------------------------------------------- */

static int detokenize(const arguments *a)
{
    lithe_error err = { 0 };
    size_t size = 0, n = 0, bytes = 0;
    lithe_tokenizer *t = lithe_tokenizer_open(a->operands[0], &err);
    char *text = read_text("-", LARGE_TEXT, &size, &err), *out = NULL;
    int32_t *ids = text ? parse_ids(text, &n, &err) : NULL;
    if (ids && t && ids_fit(ids, n, lithe_tokenizer_vocab(t), &err) == LITHE_OK) out = decode_ids(t, ids, n, &bytes, &err);
    if (out) put_foreign(stdout, out, bytes);
    free(out);
    free(ids);
    free(text);
    lithe_tokenizer_close(t);
    return err.status ? failed_input(&err) : EXIT_DONE;
}

const verb verb_detokenize = {
    .name = "detokenize", .operands = "TOKENIZER", .least = 1, .most = 1,
    .summary = "turn token ids on standard input into text",
    .about = "Reads token ids from standard input, separated by spaces or commas, and prints their text with nothing added: "
             "`lithe tokenize bytes | lithe detokenize bytes` gives back every byte.",
    .bytes = sizeof(common), .run = detokenize,
};

/* ---- train-tokenizer -------------------------------------------------------- */

typedef struct { common common; int vocab, lowercase; const char *kind, *out; double limit; } training_settings;

static const option training_options[] = {
    { "vocab", 0, COUNT(training_settings, vocab), "N", .help = "number of tokens in the vocabulary, special tokens included", .least = 6, .most = 1 << 24, .also = "vocab-size,size" },
    { "kind", 0, CHOICE(training_settings, kind), "KIND", "bpe",
      .help = "byte-level BPE with <|endoftext|>, the same with words cut as Qwen2's, byte-level BPE with RoBERTa's five special tokens, or WordPiece with BERT's", .choices = "bpe|qwen2|roberta|wordpiece" },
    { "lowercase", 0, FLAG(training_settings, lowercase), .help = "with --kind wordpiece: an uncased vocabulary (lower case, without accents)" },
    { "out", 'o', FILENAME(training_settings, out), "FILE", .help = "the tokenizer.json to write", .also = "output" },
    { "limit", 0, SIZE(training_settings, limit), "BYTES", "100M", "largest amount of text to learn from", .least = 1 },
    { 0 }
};

static int train_tokenizer(const arguments *a)
{
    const training_settings *s = a->settings;
    lithe_error err = { 0 }, unwritten = { 0 };
    size_t size = 0;
    if (!s->vocab) return usage("how many tokens? --vocab N is needed");
    if (!s->out) return usage("where to? --out FILE is needed");
    if (s->lowercase && strcmp(s->kind, "wordpiece")) return usage("--lowercase is for --kind wordpiece; the other kinds keep every byte");
    char *text = must_be_new_file(s->out, ".json", &err) ? NULL : lithe_text_read(a->operands, a->count, (size_t)s->limit, &size, &err);
    lithe_tokenizer_options o = { .size = sizeof o, .kind = s->kind, .lowercase = s->lowercase };
    lithe_tokenizer *t = err.status ? NULL : lithe_tokenizer_learn(text, size, s->vocab, &o, &err);
    if (t && lithe_tokenizer_save(t, s->out, &unwritten) == LITHE_OK)
        say("%s: %d tokens learned from %zu bytes", s->out, lithe_tokenizer_vocab(t), size);
    lithe_tokenizer_close(t);
    free(text);
    return err.status ? failed_input(&err) : unwritten.status ? failed_output(&unwritten) : EXIT_DONE;
}

const verb verb_train_tokenizer = {
    .name = "train-tokenizer", .operands = "TEXT...", .least = 1, .most = -1,
    .summary = "learn a vocabulary from text",
    .about = "Learns a vocabulary from text files, directories of them or standard input (-), and writes a tokenizer.json: byte-level byte pair "
             "encoding, or WordPiece for BERT. The same text gives the same file.",
    .examples = "  lithe train-tokenizer novels/ --vocab 4096 --out tokenizer.json\n"
                "  lithe train-tokenizer novels/ --vocab 8192 --kind wordpiece --lowercase --out tokenizer.json\n",
    .options = training_options, .bytes = sizeof(training_settings), .run = train_tokenizer,
};
