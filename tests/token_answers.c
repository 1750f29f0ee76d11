/* Heads that answer otherwise than by the class of a text: classes of tokens, answers in a passage, the next sentence,
 * choices.  The numbers are those of transformers 5.24 for the weights of tests/golden/bert. */
#include "base/file.h"
#include "encoders.h"
#include "golden.h"
#include "shell.h"
#include "test.h"
#include "values.h"
#include <math.h>
#include <stdlib.h>

static const char vocabulary[] = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nan\napple\na\nday\n";
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

static void classes_of_tokens(void)
{
    static const double expected[] = { 0.8494124, 0.8539599, 0.7583655, 0.6067128 };
    lithe_error problem = { 0 };
    lithe_tokenizer *t;
    lithe_model *m = opened("tokens", "BertForTokenClassification", false, &t);
    lithe_token_class c[8];
    CHECK(lithe_classify_tokens(m, t, "an apple a day", c, 8, &problem) == 4 && lithe_classify_tokens(m, t, "an apple a day", NULL, 0, &problem) == 4);
    for (int i = 0; i < 4; i++) CHECK_MSG(c[i].id == 5 + i && c[i].label == 0 && near(c[i].probability, expected[i]), "token %d: %d, %.7f", i, c[i].label, (double)c[i].probability);
    float p;
    CHECK(lithe_answer(m, t, "an apple", "a day", NULL, 0, &p, &problem) < 0 && strstr(problem.text, "no head for answers"));
    release(m, t);
    TRANSCRIPTS({ "$L classify tokens 'an apple a day'", 0, "an\tLABEL_0\t0.8494\napple\tLABEL_0\t0.8540\na\tLABEL_0\t0.7584\nday\tLABEL_0\t0.6067\n\n", NULL },
                { "$L classify tokens 'an apple' --pair day", 2, NULL, "each token of one text" });
}

static void answers_in_a_passage(void)
{
    lithe_error problem = { 0 };
    lithe_tokenizer *t;
    lithe_model *m = opened("span", "BertForQuestionAnswering", false, &t);
    char text[40];
    float p = 0;
    int n = lithe_answer(m, t, "apple day", "an apple a day apple", text, sizeof text, &p, &problem);
    CHECK_MSG(n == 1 && *text == 'a' && near(p, 0.0650939), "\"%.*s\" %.7f: %s", n, text, (double)p, problem.text);
    problem = (lithe_error){ 0 };
    CHECK(lithe_classify_tokens(m, t, "an apple", NULL, 0, &problem) < 0 && strstr(problem.text, "no head for tokens"));
    release(m, t);
    TRANSCRIPTS({ "$L classify span 'apple day' --pair 'an apple a day apple'", 0, "a\t0.0651\n", NULL },
                { "$L classify span 'apple day' --pair 'an apple a day apple' --json", 0, "\"answer\":\"a\"", NULL },
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
