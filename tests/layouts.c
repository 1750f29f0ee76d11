/* How texts become sequences: special tokens, cutting, and that every road lays the
 * same texts out alike: the run that learned them, its evaluation, and
 * classification, for every kind of tokenizer. */
#include "data/metrics.h"
#include "lithe_eval.h"
#include "text/layout.h"
#include "test.h"
#include "text_tests.h"
#include "train_runs.h"
#include <math.h>
#include <stdlib.h>

#define HOLDS(text, part) CHECK_MSG(strstr(text, part), "%s, expected %s", text, part)

/* ---- one sequence ---------------------------------------------------------------------- */

/* [CLS] a [SEP] b [SEP], the last two of type 1. */
static const layout bert = {
    .one = { .before = { { 1 }, { 0 }, 1 }, .after = { { 2 }, { 0 }, 1 } },
    .two = { .before = { { 1 }, { 0 }, 1 }, .between = { { 2 }, { 0 }, 1 }, .after = { { 2 }, { 1 }, 1 }, .type_b = 1 },
};

static void cut_to_a_limit(void)
{
    int32_t ids[40], types[40], ten[10] = { 10, 11, 12, 13, 14, 15, 16, 17, 18, 19 };
    const struct { size_t a, b, limit, keep_a, keep_b; } cases[] = {
        { 5, 3, 40, 5, 3 }, { 8, 3, 12, 6, 3 }, { 3, 8, 12, 3, 6 }, { 10, 10, 12, 4, 5 }, { 9, 7, 9, 3, 3 }, { 7, 9, 10, 3, 4 }, { 10, 1, 3, 0, 0 }, { 4, 4, 2, 0, 0 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t a = cases[i].keep_a, b = cases[i].keep_b, n = layout_write(&bert, (id_text){ ten, cases[i].a }, &(id_text){ ten, cases[i].b }, cases[i].limit, ids, types, 40);
        CHECK_MSG(n == a + b + 3, "case %zu: %zu tokens", i, n);
        CHECK(ids[0] == 1 && ids[1 + a] == 2 && ids[n - 1] == 2 && types[1 + a] == 0 && types[n - 1] == 1 && types[0] == 0);
        for (size_t k = 0; k < a; k++) CHECK(ids[1 + k] == 10 + (int32_t)k && types[1 + k] == 0);
        for (size_t k = 0; k < b; k++) CHECK(ids[2 + a + k] == 10 + (int32_t)k && types[2 + a + k] == 1);
    }
    CHECK(layout_write(&bert, (id_text){ ten, 10 }, NULL, 6, ids, types, 40) == 6 && ids[5] == 2 && ids[4] == 13);
    CHECK(layout_length(&bert, 10) == 12 && layout_length_two(&bert, 4, 5) == 12);
}

/* Nothing is written past the room that is given, whatever the limit says. */
static void within_its_room(void)
{
    int32_t ten[10] = { 10, 11, 12, 13, 14, 15, 16, 17, 18, 19 };
    for (size_t cap = 0; cap < 14; cap++)
        for (size_t limit = 0; limit < 14; limit++) {
            int32_t ids[16], types[16], whole[40], all[40];
            memset(ids, -1, sizeof ids);
            memset(types, -1, sizeof types);
            size_t n = layout_write(&bert, (id_text){ ten, 7 }, &(id_text){ ten, 5 }, limit, ids, types, cap);
            CHECK(layout_write(&bert, (id_text){ ten, 7 }, &(id_text){ ten, 5 }, limit, whole, all, 40) == n && n >= 3 && (!limit || n <= (limit < 3 ? 3 : limit)));
            for (size_t i = 0; i < 16; i++) CHECK(i < cap && i < n ? ids[i] == whole[i] && types[i] == all[i] : ids[i] == -1 && types[i] == -1);
        }
    lithe_error err = { 0 };
    CHECK(!layout_fits(&bert, false, 3, &err) && !layout_fits(&bert, true, 4, &err));
    CHECK(layout_fits(&bert, true, 3, &err) == LITHE_EINVAL);
    HOLDS(err.text, "a context of 3 leaves no room between the special tokens");
}

/* ---- every kind of tokenizer -------------------------------------------------------------- */

enum { ROWS = 16 };
/* between: the special tokens between two texts, -1 after the last */
typedef struct { const char *name; lithe_tokenizer *tokens; const char *arch; int32_t between[4]; } kind;

static const char *sentence(int i, int words)
{
    static char text[2][600];
    static const char *const w[] = { "the", "king", "of", "mice", "said", "a", "good", "word", "to", "them," };
    char *out = text[words % 2];
    *out = 0;
    for (int k = 0; k < words; k++) sprintf(out + strlen(out), "%s%s", k ? " " : "", w[(7 * i + 3 * k + i * k) % 10]);
    return out;
}

/* Rows of one text or two, some with an empty second one, of different lengths. */
static const char *write_rows(bool pairs, bool two_rows)
{
    const char *path = in_dir(two_rows ? "train.tsv" : "valid.tsv");
    FILE *f = fopen(path, "w");
    fputs(pairs ? "sentence1\tsentence2\tlabel\n" : "text\tlabel\n", f);
    for (int i = 0; i < ROWS; i++) {
        fputs(sentence(i, 2 + i % 3 * 2), f);
        if (pairs) fprintf(f, "\t%s", i % 8 == 7 ? "" : sentence(i + 5, 1 + i % 4 * 2));
        fprintf(f, "\t%s\n", i % 2 ? "yes" : "no");
    }
    fclose(f);
    return path;
}

/* A small model for the kind's tokenizer, with a head for the two classes. */
static lithe_model *model_for(const kind *k, int context, lithe_error *err)
{
    static const char *const names[] = { "no", "yes" };
    const arch *a = arch_find(k->arch);
    json_t *config = a->config.sized(32, 1, lithe_tokenizer_vocab(k->tokens), context);
    char *text = json_dumps(config, 0);
    lithe_model *body = lithe_model_new(k->arch, text, 3, err), *m = lithe_model_with_head(body, "classify", names, 2, 4, err);
    json_decref(config);
    free(text);
    lithe_model_close(body);
    return m;
}

/* One row's loss by lithe_evaluate and its probabilities by lithe_classify tell of the same logits. */
static double compare_rows(lithe_model *m, const kind *k, const char *path, bool pairs, lithe_error *err)
{
    table t;
    double sum = 0;
    CHECK_MSG(!table_read(&t, path, &(table_columns){ NULL, pairs ? NULL : "", "label" }, true, err), "%s", err->text);
    for (size_t i = 0; i < t.count && !err->status; i++) {
        const table_row *r = &t.rows[i];
        const char *one = in_dir("one.tsv");
        float p[2];
        lithe_evaluation v;
        FILE *f = fopen(one, "w");
        fprintf(f, pairs ? "text\tpair\tlabel\n%s\t%s\t%s\n" : "text\tlabel\n%s%s\t%s\n", r->text, pairs ? r->pair : "", r->label);
        fclose(f);
        CHECK_MSG(!lithe_evaluate(m, k->tokens, one, &LITHE_OPTIONS(lithe_data_options, .text_column = "text", .pair_column = pairs ? "pair" : "", .label_column = "label"), &v, err), "%s", err->text);
        CHECK_MSG(lithe_classify(m, k->tokens, &r->text, pairs ? &r->pair : NULL, 1, p, NULL, err) == 2, "%s", err->text);
        float expected = (float)exp(-v.loss), got = p[strcmp(r->label, "yes") == 0];
        CHECK_MSG(!(expected < got) && !(got < expected), "%s, row %zu: %.9g by eval, %.9g by classify", k->name, i, (double)expected, (double)got);
        sum += v.loss;
    }
    double mean = sum / (double)t.count;
    table_free(&t);
    return mean;
}

/* The last evaluation of a run, made of what training lays out, against the two. */
static void compare_roads(const kind *k, bool pairs, int context, const char *run)
{
    lithe_error err = { 0 };
    lithe_evaluation v;
    const char *train = write_rows(pairs, true), *valid = write_rows(pairs, false);
    const char *columns[] = { pairs ? "sentence1" : "text", pairs ? "sentence2" : "" };
    lithe_data_options o = { .size = sizeof o, .task = "classify", .valid = valid, .text_column = columns[0], .pair_column = columns[1], .label_column = "label" };
    lithe_model *m = model_for(k, context, &err);
    lithe_dataset *d = lithe_dataset_open(&train, 1, NULL, k->tokens, &o, &err);
    lithe_trainer *t = lithe_trainer_open(m, d, k->tokens, &LITHE_OPTIONS(lithe_train_options, .steps = 1, .batch = 8, .lr = 1e-2), in_dir(run), &err);
    lithe_event e = { 0 };
    CHECK(lithe_trainer_pairs(t) == pairs);
    if (t) e = run_evaluated(t, &err);
    CHECK_MSG(t && !err.status, "%s: %s", k->name, err.text);
    if (t && !err.status) {
        CHECK_MSG(!lithe_evaluate(m, k->tokens, valid, &o, &v, &err), "%s", err.text);
        CHECK_MSG(fabs(v.loss - e.valid_loss) <= 1e-12 * v.loss, "%s: %.15g at the end of the run, %.15g by eval", k->name, e.valid_loss, v.loss);
        CHECK(v.examples == ROWS && !(v.metrics.accuracy < e.metrics.accuracy) && !(v.metrics.accuracy > e.metrics.accuracy));
        CHECK_MSG((v.cut > 0) == (lithe_dataset_longest(d) > context), "%s: %zu cut, context %d", k->name, v.cut, context);
        double mean = compare_rows(m, k, valid, pairs, &err);
        CHECK_MSG(fabs(mean - v.loss) <= 1e-12 * v.loss, "%s: %.15g row by row, %.15g at once", k->name, mean, v.loss);
    }
    lithe_trainer_close(t);
    lithe_dataset_close(d);
    lithe_model_close(m);
}

/* What stands between two texts, as ids. */
static void check_between(const kind *k)
{
    int32_t a[64], b[64], ids[200], types[200];
    size_t na = lithe_encode(k->tokens, "mice", 4, 0, a, 64), nb = lithe_encode(k->tokens, "king", 4, 0, b, 64), n = 0, before = 0;
    size_t all = lithe_encode_pair(k->tokens, "mice", 4, "king", 4, 0, ids, types, 200);
    while (k->between[n] >= 0) n++;
    while (before + na < all && memcmp(ids + before, a, na * sizeof *a)) before++;
    CHECK_MSG(!memcmp(ids + before + na, k->between, n * sizeof *ids), "%s: %d stands between two texts", k->name, ids[before + na]);
    CHECK_MSG(before + na + n + nb <= all && !memcmp(ids + before + na + n, b, nb * sizeof *b), "%s: the second text stands elsewhere", k->name);
}

static void check_kind(kind k)
{
    CHECK_MSG(k.tokens, "%s", k.name);
    if (!k.tokens) return;
    int32_t ids[600];
    int longest = (int)lithe_encode_pair(k.tokens, sentence(1, 6), strlen(sentence(1, 6)), sentence(2, 7), strlen(sentence(2, 7)), 0, ids, NULL, 600);
    check_between(&k);
    for (int cut = 0; cut < 2; cut++)
        for (int pairs = 0; pairs < 2; pairs++) {
            char run[40];
            snprintf(run, sizeof run, "%s-%d%d", k.name, cut, pairs);
            compare_roads(&k, pairs, cut ? 6 : longest + 60, run);
        }
    lithe_tokenizer_close(k.tokens);
}

static lithe_tokenizer *learned(const char *as, int vocab)
{
    char text[20000] = "";
    lithe_error err = { 0 };
    for (int i = 0; strlen(text) < 12000; i++) { strcat(text, sentence(i, 5)); strcat(text, ".\n"); }
    lithe_tokenizer *t = lithe_tokenizer_learn(text, strlen(text), vocab, &LITHE_OPTIONS(lithe_tokenizer_options, .kind = as), &err);
    CHECK_MSG(t, "%s", err.text);
    return t;
}

/* RWKV's vocabulary, of bytes and a few words. */
static lithe_tokenizer *world(void)
{
    static const char *const words[] = { " the", " king", " of", "mice", " word", " them" };
    lithe_error err = { 0 };
    const char *path = in_dir("rwkv_vocab_v20230424.txt");
    FILE *f = fopen(path, "w");
    for (int i = 0; i < 256; i++) fprintf(f, "%d b'\\x%02x' 1\n", i + 1, (unsigned)i);
    for (int i = 0; i < 6; i++) fprintf(f, "%d '%s' %zu\n", i + 257, words[i], strlen(words[i]));
    fclose(f);
    lithe_tokenizer *t = lithe_tokenizer_open(path, &err);
    CHECK_MSG(t, "%s", err.text);
    return t;
}

/* GPT-2's have their end of text between, BERT's [SEP], RoBERTa's two </s>, RWKV's the 0, bytes nothing. */
static void roads_agree(void)
{
    lithe_tokenizer *byte_pairs = learned("bpe", 280), *bert_pieces = learned("wordpiece", 50);
    check_kind((kind){ "bytes", lithe_tokenizer_open("bytes", NULL), "gpt2", { -1 } });
    check_kind((kind){ "bpe", byte_pairs, "gpt2", { lithe_tokenizer_eos(byte_pairs), -1 } });
    check_kind((kind){ "wordpiece", bert_pieces, "bert", { lithe_tokenizer_special(bert_pieces, "sep"), -1 } });
    check_kind((kind){ "world", world(), "gpt2", { 0, -1 } });
    check_kind((kind){ "roberta", learned("roberta", 284), "roberta", { 2, 2, -1 } });
}

/* Llama's begin token before each text, T5's </s> after each. */
static void roads_agree_published(void)
{
    lithe_error err = { 0 };
    check_kind((kind){ "llama2c", lithe_tokenizer_open(test_data("checkpoints/stories260K/tok512.bin"), &err), "llama", { 1, -1 } });
    check_kind((kind){ "sentencepiece", lithe_tokenizer_open(test_data("checkpoints/babyllama-tok105/tok105.model"), &err), "llama", { 1, -1 } });
    check_kind((kind){ "unigram", lithe_tokenizer_open(test_data("tokenizers/sentencepiece-test/unigram1000.model"), &err), "gpt2", { 2, -1 } });
    CHECK_MSG(!err.status, "%s", err.text);
}

/* ---- contexts that are too small ------------------------------------------------------------- */

/* [CLS] [SEP] [SEP] take all of a context of 3, or more than there is: one line on every road. */
static void no_room(void)
{
    kind k = { .name = "wordpiece", .tokens = learned("wordpiece", 50), .arch = "bert" };
    const char *path = write_rows(true, true), *a = "the king", *b = "of mice";
    const lithe_data_options o = { .size = sizeof o, .task = "classify", .text_column = "sentence1", .pair_column = "sentence2", .label_column = "label" };
    lithe_error err = { 0 };
    lithe_dataset *d = lithe_dataset_open(&path, 1, NULL, k.tokens, &o, &err);
    for (int context = 1; context < 4; context++) {
        char expected[100];
        float p[2];
        lithe_evaluation v;
        snprintf(expected, sizeof expected, "a context of %d leaves no room between the special tokens", context);
        for (int asked = 0; asked < 2; asked++) {                   /* the model's context, or the run's */
            lithe_model *m = model_for(&k, asked ? 32 : context, &err);
            CHECK_MSG(m && d, "%s", err.text);
            lithe_error e = { 0 };
            CHECK(!lithe_trainer_open(m, d, k.tokens, &LITHE_OPTIONS(lithe_train_options, .steps = 1, .ctx = asked ? context : 0), in_dir("run"), &e));
            HOLDS(e.text, expected);
            if (!asked) {
                CHECK(lithe_evaluate(m, k.tokens, path, &o, &v, (e = (lithe_error){ 0 }, &e)) < 0);
                HOLDS(e.text, expected);
                CHECK(lithe_classify(m, k.tokens, &a, &b, 1, p, NULL, (e = (lithe_error){ 0 }, &e)) < 0);
                HOLDS(e.text, expected);
            }
            lithe_model_close(m);
        }
    }
    lithe_dataset_close(d);
    lithe_tokenizer_close(k.tokens);
}

const test tests_layouts[] = {
    { "layouts: two texts cut to a limit", cut_to_a_limit },
    { "layouts: nothing is written past the room given", within_its_room },
    { "layouts: training, eval and classify agree", roads_agree },
    { "layouts: the same for published tokenizers", roads_agree_published },
    { "layouts: a context without room is refused on every road", no_room },
    { 0 }
};
