/* Heads that answer otherwise than by the class of a text: classes of tokens, answers in a passage, the next sentence,
 * choices.  The numbers are those of transformers 5.24 for the weights of tests/golden/bert, the answers those of the
 * question-answering pipeline of transformers 4.57, the last that has one. */
#include "base/file.h"
#include "encoders.h"
#include "golden.h"
#include "shell.h"
#include "test.h"
#include "values.h"
#include <math.h>
#include <stdlib.h>

static const char vocabulary[] = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nan\napple\na\nday\n##s\n##le\ncafe\nd\n##ay\n\u4f60\n";
enum { MOST = 80 };

/* The golden BERT as another class, with a vocabulary; one: its classifier keeps the first row alone. */
static void make(const char *dir, const char *class_name, bool one)
{
    lithe_error problem = { 0 };
    char path[500];
    out_tensor tensors[MOST];
    tensor_file *f = tensor_file_open(test_file("tests/golden/bert/model.safetensors"), &problem);
    CHECK_MSG(f && f->count < MOST && !dir_make(dir, &problem), "%s", problem.text);
    for (int i = 0; i < f->count; i++) {
        const file_tensor *t = &f->tensors[i];
        tensors[i] = (out_tensor){ .name = t->name, .type = t->type, .rank = t->rank, .data = t->data };
        memcpy(tensors[i].dims, t->dims, sizeof t->dims);
        if (one && !strncmp(t->name, "classifier.", 11)) tensors[i].dims[0] = 1;
    }
    snprintf(path, sizeof path, "%s/model.safetensors", dir);
    CHECK_MSG(!safetensors_write(path, tensors, f->count, NULL, &problem), "%s", problem.text);
    snprintf(path, sizeof path, "%s/vocab.txt", dir);
    CHECK(!file_write(path, vocabulary, sizeof vocabulary - 1, &problem));
    json_t *config = json_load_file(test_file("tests/golden/bert/config.json"), 0, NULL);
    json_object_set_new(config, "architectures", json_pack("[s]", class_name));
    snprintf(path, sizeof path, "%s/config.json", dir);
    CHECK(!json_dump_file(config, path, 0));
    json_decref(config);
    tensor_file_close(f);
}

static lithe_model *opened(const char *name, const char *class_name, bool one, lithe_tokenizer **t)
{
    lithe_error problem = { 0 };
    char dir[400];
    snprintf(dir, sizeof dir, "%s/%s", test_dir(), name);
    make(dir, class_name, one);
    lithe_model *m = lithe_model_open(dir, NULL, &problem);
    *t = lithe_tokenizer_open(dir, &problem);
    CHECK_MSG(m && *t, "%s: %s", class_name, problem.text);
    return m;
}

static void release(lithe_model *m, lithe_tokenizer *t)
{
    lithe_tokenizer_close(t);
    lithe_model_close(m);
}

static bool near(float a, double b) { return fabs((double)a - b) < 2e-6; }

static size_t characters(const char *text, size_t n)
{
    size_t count = 0;
    for (size_t i = 0; i < n; i++) count += (text[i] & 0xc0) != 0x80;
    return count;
}

/* As the token-classification pipeline places them. */
static void places_of_tokens(const lithe_model *m, const lithe_tokenizer *t)
{
    static const char text[] = "An  APPLES, \u00e0 Days! xyz Caf\u00e9 \u4f60\u4f60";
    static const struct { int32_t id; double probability; size_t begin, end; } expected[] = {
        { 5, 0.8169930, 0, 2 }, { 6, 0.8282322, 4, 9 }, { 9, 0.7515295, 9, 10 }, { 1, 0.6356503, 10, 11 }, { 7, 0.6719750, 12, 13 }, { 8, 0.6864265, 14, 17 }, { 9, 0.6765435, 17, 18 },
        { 1, 0.6076666, 18, 19 }, { 1, 0.6935462, 20, 23 }, { 11, 0.7543874, 24, 28 }, { 14, 0.7542820, 29, 30 }, { 14, 0.7668908, 30, 31 } };
    lithe_error problem = { 0 };
    lithe_token_class c[16];
    CHECK_MSG(lithe_classify_tokens((lithe_model *)(uintptr_t)m, t, text, c, 16, &problem) == 12, "%s", problem.text);
    for (size_t i = 0; i < 12; i++)
        CHECK_MSG(c[i].id == expected[i].id && near(c[i].probability, expected[i].probability) && characters(text, c[i].begin) == expected[i].begin && characters(text, c[i].end) == expected[i].end,
                  "token %zu: %d, %.7f, %zu..%zu", i, c[i].id, (double)c[i].probability, c[i].begin, c[i].end);
}

static void classes_of_tokens(void)
{
    static const double expected[] = { 0.8494124, 0.8539599, 0.7583655, 0.6067128 };
    lithe_error problem = { 0 };
    lithe_tokenizer *t;
    lithe_model *m = opened("tokens", "BertForTokenClassification", false, &t);
    lithe_token_class c[8];
    CHECK(lithe_classify_tokens(m, t, "an apple a day", c, 8, &problem) == 4 && lithe_classify_tokens(m, t, "an apple a day", NULL, 0, &problem) == 4);
    for (int i = 0; i < 4; i++) CHECK_MSG(c[i].id == 5 + i && c[i].label == 0 && near(c[i].probability, expected[i]), "token %d: %d, %.7f", i, c[i].label, (double)c[i].probability);
    places_of_tokens(m, t);
    lithe_found answer;
    CHECK(lithe_answer(m, t, "an apple", "a day", &answer, &problem) < 0 && strstr(problem.text, "no head for answers"));
    release(m, t);
    TRANSCRIPTS({ "$L classify tokens 'an apple a day'", 0, "an\tLABEL_0\t0.8494\t0\t2\napple\tLABEL_0\t0.8540\t3\t8\na\tLABEL_0\t0.7584\t9\t10\nday\tLABEL_0\t0.6067\t11\t14\n\n", NULL },
                { "$L classify tokens ' \u00c0  Days'", 0, "\u00c0\tLABEL_", NULL }, { "$L classify tokens ' \u00c0  Days' --json", 0, "{\"token\":\"Day\",\"start\":4,\"end\":7,", NULL },
                { "$L classify tokens 'an apple' --pair day", 2, NULL, "each token of one text" });
}

static void answers_in_a_passage(void)
{
    lithe_error problem = { 0 };
    lithe_tokenizer *t;
    lithe_model *m = opened("span", "BertForQuestionAnswering", false, &t);
    static const struct { const char *question, *passage; double probability; size_t begin, end; } cases[] = {
        { "apple day", "an apple a day apple", 0.0469598, 9, 10 }, { "apple day", "An  APPLES, \u00e0 Days!", 0.0768673, 12, 18 },
        { "a day", "Caf\u00e9 \u4f60\u4f60  Ap\u00e9ples; days Appl", 0.0684659, 18, 22 }, { "an apple?", "A day\u2026 (An  Apples) ", 0.0593936, 2, 18 },
        { "day", "\u00c5pples", 0.3380966, 0, 6 }, { "apple", "a a a a a a a a day an apple an day a day A DAY", 0.0137338, 10, 15 } };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        lithe_found a = { 0 };
        const char *passage = cases[i].passage;
        CHECK_MSG(!lithe_answer(m, t, cases[i].question, passage, &a, &problem) && characters(passage, a.begin) == cases[i].begin && characters(passage, a.end) == cases[i].end && near(a.probability, cases[i].probability),
                  "%zu: \"%.*s\" %.7f: %s", i, (int)(a.end - a.begin), passage + a.begin, (double)a.probability, problem.text);
    }
    CHECK(lithe_classify_tokens(m, t, "an apple", NULL, 0, &problem) < 0 && strstr(problem.text, "no head for tokens"));
    release(m, t);
    TRANSCRIPTS({ "$L classify span 'apple day' --pair 'an apple a day apple'", 0, "a\t0.0470\t9\t10\n", NULL },
                { "$L classify span 'apple day' --pair 'An  APPLES, \u00e0 Days!'", 0, "\u00e0 Days\t0.0769\t12\t18\n", NULL },
                { "$L classify span 'apple day' --pair 'an apple a day apple' --json", 0, "\"answer\":\"a\",\"start\":9,\"end\":10,", NULL },
                { "$L classify span 'apple day'", 2, NULL, "--pair" });
}

static void next_sentence(void)
{
    lithe_error problem = { 0 };
    lithe_tokenizer *t;
    lithe_model *m = opened("next", "BertForNextSentencePrediction", false, &t);
    const char *const a[] = { "apple day" }, *const b[] = { "an apple a day apple" };
    float p[2];
    CHECK_MSG(lithe_classify(m, t, a, b, 1, p, NULL, &problem) == 2 && near(p[0], 0.3119326) && near(p[1], 0.6880673), "%.7f, %.7f: %s", (double)p[0], (double)p[1], problem.text);
    CHECK(!strcmp(lithe_model_label(m, 0), "next") && !strcmp(lithe_model_label(m, 1), "random"));
    char dir[400];
    snprintf(dir, sizeof dir, "%s/again", test_dir());
    CHECK(!lithe_model_save(m, dir, NULL, NULL, &problem));
    lithe_model *again = lithe_model_open(dir, NULL, &problem);
    CHECK_MSG(again && same_parameters(m, again), "%s", problem.text);
    lithe_model_close(again);
    release(m, t);
    CHECK(sh("grep -c BertForNextSentencePrediction again/config.json") == 0);
}

static void choices(void)
{
    static const double expected[] = { 0.3224463, 0.3326882, 0.3448654 };
    lithe_error problem = { 0 };
    lithe_tokenizer *t;
    lithe_model *m = opened("choice", "BertForMultipleChoice", true, &t);
    const char *const a[] = { "an apple", "an apple", "an apple" }, *const b[] = { "a day", "day day", "apple an" };
    float z[3];
    CHECK_MSG(lithe_classify(m, t, a, b, 3, z, NULL, &problem) == 1 && !strcmp(lithe_model_task(m), "choice"), "%s", problem.text);
    double sum = exp((double)z[0]) + exp((double)z[1]) + exp((double)z[2]);
    for (int i = 0; i < 3; i++) CHECK_MSG(fabs(exp((double)z[i]) / sum - expected[i]) < 2e-6, "choice %d: %.7f", i, exp((double)z[i]) / sum);
    release(m, t);
    TRANSCRIPTS({ "$L classify choice 'an apple' 'a day' 'day day' 'apple an'", 0, "apple an\t0.3449\n", NULL },
                { "$L classify choice 'an apple' 'a day' 'day day' 'apple an' --json --top 2", 0, "\"choice\":\"day day\"", NULL },
                { "$L classify choice 'an apple' 'a day'", 2, NULL, "at least two choices" });
}

const test tests_token_answers[] = {
    { "answers: classes of tokens", classes_of_tokens },
    { "answers: in a passage", answers_in_a_passage },
    { "answers: the next sentence", next_sentence },
    { "answers: choices", choices },
    { 0 }
};
