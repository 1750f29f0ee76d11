/* Tasks: data of each form become the harness's texts, scores are those of whole passes and those worked out by hand,
 * and what cannot be right is refused by file and line. */
#include "base/bootstrap.h"
#include "eval/task_encode.h"
#include "eval/task_item.h"
#include "lithe_eval.h"
#include "lithe_tools.h"
#include "shell.h"
#include "test.h"
#include <ctype.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>

#define NEAR(a, b, e) CHECK_MSG(fabs((a) - (b)) <= (e), "%.17g, expected %.17g", (double)(a), (double)(b))

static const char *file_of(const char *name, const char *text)
{
    FILE *f = fopen(in_dir(name), "w");
    fputs(text, f);
    fclose(f);
    return in_dir(name);
}

/* ---- texts -------------------------------------------------------------------------------- */

typedef struct { task_file *task; task_data data; arena memory; lithe_error err; } opened;

static opened open_data(const char *task, const char *path)
{
    opened o = { 0 };
    o.task = task_file_open(task, &o.err);
    if (o.task) task_data_read(&o.data, o.task, path, &o.err);
    return o;
}

static void close_data(opened *o)
{
    if (o->data.path) task_data_free(&o->data);
    task_file_close(o->task);
    arena_free(&o->memory);
}

static void check_item(opened *o, size_t record, int shots, const char *const *texts, int count, int answer, const char *context)
{
    task_item x;
    task_shots s = { 0 };
    if (o->err.status) { CHECK_MSG(0, "%s", o->err.text); return; }
    task_shots_read(&s, &o->data, o->task, NULL, shots, &o->err);
    if (!o->err.status) task_item_make(&x, &o->data, record, o->task, &o->memory, &o->err);
    if (!o->err.status) task_item_complete(&x, &o->data, record, o->task, &s, shots, &o->memory, &o->err);
    task_shots_free(&s);
    if (o->err.status) { CHECK_MSG(0, "%s", o->err.text); return; }
    CHECK_MSG(x.count == count && x.answer == answer, "%d choices, the right one is %d", x.count, x.answer);
    for (int i = 0; i < x.count && i < count; i++) CHECK_MSG(!strcmp(x.text[i], texts[i]), "\"%s\", expected \"%s\"", x.text[i], texts[i]);
    CHECK_MSG(!strcmp(x.context[x.answer], context), "\"%s\", expected \"%s\"", x.context[x.answer], context);
}

static void check_first(const char *task, const char *path, const char *const *texts, int count, int answer, const char *context)
{
    opened o = open_data(task, path);
    check_item(&o, 0, 0, texts, count, answer, context);
    close_data(&o);
}
#define FIRST(task, path, answer, context, ...) do { const char *const list[] = { __VA_ARGS__ }; check_first(task, path, list, (int)(sizeof list / sizeof *list), answer, context); } while (0)

/* By hand from the harness's rules: hellaswag's brackets, titles and double spaces; a capital after ctx_a. */
static void texts_of_tasks(void)
{
    FIRST("hellaswag", file_of("h.jsonl", "{\"ind\": 1, \"activity_label\": \"Cooking\", \"ctx_a\": \"[header] Boil it [title] Water\", \"ctx_b\": \"tHEN she\", \"endings\": [\" a [substeps] b\", \"c\", \"d  e\", \"f\"], \"label\": 2}\n"),
          2, "Cooking: Boil it. Water Then she", "a b", "c", "d e", "f");
    FIRST("hellaswag", file_of("h.txt", "Jump: A boy. he\n1\nstarts\nclaps\nis\ndoes\n"), 1, "Jump: A boy. he", "starts", "claps", "is", "does");
    FIRST("lambada", file_of("l.jsonl", "{\"text\": \"two  words\\nand one\"}\n"), 0, "two  words\nand", "one");
    FIRST("piqa", file_of("p.jsonl", "{\"goal\": \"g\", \"sol1\": \"a\", \"sol2\": \"b\", \"label\": 1}\n"), 1, "Question: g\nAnswer:", "a", "b");
    FIRST("winogrande", file_of("w.jsonl", "{\"sentence\": \"Ann met Bo because _ was late.\", \"option1\": \"Ann\", \"option2\": \"Bo\", \"answer\": \"2\"}\n"),
          1, "Ann met Bo because Bo", "was late.", "was late.");
    FIRST("arc", file_of("a.jsonl", "{\"id\": \"x\", \"question\": {\"stem\": \"Why?\", \"choices\": [{\"text\": \"t1\", \"label\": \"A\"}, {\"text\": \"t2\", \"label\": \"B\"}, {\"text\": \"t3\", \"label\": \"C\"}]}, \"answerKey\": \"C\"}\n"),
          2, "Question: Why?\nAnswer:", "t1", "t2", "t3");
    FIRST("arc_challenge", file_of("b.json", "[{\"question\": \"Why?\", \"choices\": {\"text\": [\"t1\", \"t2\"], \"label\": [\"1\", \"2\"]}, \"answerKey\": \"1\"}]"), 0, "Question: Why?\nAnswer:", "t1", "t2");
    FIRST("blimp", file_of("s.jsonl", "{\"sentence_good\": \"He does.\", \"sentence_bad\": \"He do.\"}\n"), 0, "", "He does.", "He do.");
    FIRST("cmmlu", file_of("economics.csv", ",Question,A,B,C,D,Answer\n0,\" q, \",w,x,y,z,D\n"), 3, "以下是关于经济学的单项选择题，请直接给出正确答案的选项。\n\nq,\nA. w\nB. x\nC. y\nD. z\n答案：", "A", "B", "C", "D");
    FIRST("lawbench", file_of("1-2.json", "[{\"instruction\": \"i\", \"question\": \"q?A:a;B:b\", \"answer\": \"正确答案：B。\"}]"), 1, "i\nq?A:a;B:b\n[正确答案]", "A", "B", "C", "D");
}

static void samples_of_tasks(void)
{
    FIRST("winogrande", test_data("eval/winogrande/dev.json"), 1, "Sarah was a much better surgeon than Maria so Maria", "always got the easier cases.", "always got the easier cases.");
    FIRST("arc", test_data("eval/arc/ARC-Easy-test.json.gz"), 0, "Question: Which statement best explains why photosynthesis is the foundation of most food webs?\nAnswer:",
          "Sunlight is the source of energy for nearly all ecosystems.", "Most ecosystems are found on land instead of in water.", "Carbon dioxide is more available than other gases.", "The producers in all ecosystems are plants.");
    FIRST("blimp", test_data("eval/blimp/passive_1.jsonl.gz"), 0, "", "Lucille's sisters are confused by Amy.", "Lucille's sisters are communicated by Amy.");
    static const struct { const char *task, *data; size_t records; } all[] = {
        { "hellaswag", "eval/hellaswag/val_every5th.txt", 2009 }, { "lambada", "eval/lambada/lambada_test.jsonl.gz", 5153 }, { "piqa", "eval/piqa/valid.jsonl", 1838 },
        { "winogrande", "eval/winogrande/dev.json", 1267 }, { "arc", "eval/arc/ARC-Easy-test.json.gz", 2376 }, { "lawbench", "eval/lawbench/3-6.json", 500 },
        { "cmmlu", "eval/cmmlu/test/high_school_geography.csv", 118 } };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        opened o = open_data(all[i].task, test_data(all[i].data));
        CHECK_MSG(!o.err.status && o.data.count == all[i].records, "%s: %zu records, %s", all[i].task, o.data.count, o.err.text);
        for (size_t r = 0; r < o.data.count; r++) {
            task_item x;
            arena memory = { 0 };
            CHECK_MSG(!task_item_make(&x, &o.data, r, o.task, &memory, &o.err), "%s", o.err.text);
            arena_free(&memory);
        }
        close_data(&o);
    }
}

/* Shots are the first records: of the task's own file, else of the data without the item itself. */
static void shots(void)
{
    const char *rows = "{\"goal\": \"g1\", \"sol1\": \"a1\", \"sol2\": \"b1\", \"label\": 0}\n{\"goal\": \"g2\", \"sol1\": \"a2\", \"sol2\": \"b2\", \"label\": 1}\n{\"goal\": \"g3\", \"sol1\": \"a3\", \"sol2\": \"b3\", \"label\": 1}\n";
    opened o = open_data("piqa", file_of("p.jsonl", rows));
    check_item(&o, 0, 1, (const char *const[]){ "a1", "b1" }, 2, 0, "Question: g2\nAnswer: b2\n\nQuestion: g1\nAnswer:");
    check_item(&o, 2, 2, (const char *const[]){ "a3", "b3" }, 2, 1, "Question: g1\nAnswer: a1\n\nQuestion: g2\nAnswer: b2\n\nQuestion: g3\nAnswer:");
    close_data(&o);
    CHECK(sh("mkdir -p c/dev c/test; printf ',Question,A,B,C,D,Answer\\n0,dq,1,2,3,4,B\\n' > c/dev/economics.csv; printf ',Question,A,B,C,D,Answer\\n0,q,5,6,7,8,A\\n' > c/test/economics.csv") == 0);
    o = open_data("cmmlu", in_dir("c/test/economics.csv"));
    check_item(&o, 0, 1, (const char *const[]){ "A", "B", "C", "D" }, 4, 0,
               "以下是关于经济学的单项选择题，请直接给出正确答案的选项。\n\ndq\nA. 1\nB. 2\nC. 3\nD. 4\n答案： B\n\nq\nA. 5\nB. 6\nC. 7\nD. 8\n答案：");
    close_data(&o);
}

/* The ids of a continuation are those of both texts without the first ones; white space moves to the continuation. */
static void ids_of_continuations(void)
{
    lithe_error e = { 0 };
    arena memory = { 0 };
    bool cut = false;
    task_sequence s;
    lithe_tokenizer *t = lithe_tokenizer_open("bytes", &e);
    CHECK(!task_encode(&s, t, "ab  ", " ", "cd", 0, &memory, &cut, &e) && s.n == 7 && s.first == 2 && s.end == 7 && s.ids[2] == ' ' && !cut);
    CHECK(!task_encode(&s, t, "abcdef", " ", "gh", 5, &memory, &cut, &e) && s.n == 6 && s.first == 3 && s.ids[0] == 'd' && cut);
    CHECK(!task_encode(&s, t, "ab", " ", "long text", 5, &memory, &cut, &e) && s.n == 11 && s.first == 1 && s.ids[0] == 'b');
    /* There is no begin-of-text token. */
    CHECK(!task_encode(&s, t, "", "", "xyz", 0, &memory, &cut, &(lithe_error){ 0 }) && s.n == 3 && s.first == 1);
    lithe_tokenizer_close(t);
    arena_free(&memory);
}

/* ---- scores ---------------------------------------------------------------------------------- */

#define BYTES_GPT2 "{\"vocab_size\":256,\"n_positions\":128,\"n_embd\":16,\"n_layer\":2,\"n_head\":2,\"initializer_range\":%s}"

typedef struct { lithe_task_item items[16]; double nll[16][4]; char context[16][256]; int count; lithe_task_result result; lithe_error err; } outcome;

static int keep(void *context, const lithe_task_item *x)
{
    outcome *o = context;
    o->items[o->count] = *x;
    for (int i = 0; i < x->choices && i < 4; i++) o->nll[o->count][i] = x->nll[i];
    snprintf(o->context[o->count++], 256, "%s", x->context);
    return 0;
}

static outcome run(lithe_model *m, const lithe_tokenizer *t, const char *task, const char *data, int few)
{
    static outcome o;
    o = (outcome){ 0 };
    const lithe_task_options options = { .size = sizeof options, .data = data, .shots = few, .item = keep, .context = &o, .cache = in_dir("cache") };
    lithe_task_run(m, t, task, &options, &o.result, &o.err);
    CHECK_MSG(!o.err.status, "%s", o.err.text);
    return o;
}

/* With all weights 0 each byte has the probability 1/256, so scores are numbers of bytes (the delimiter's too): the
 * shorter choice wins as it is, the longer one by bytes ((n + 1) / n falls), and equal lengths are a tie. */
static void worked_out_by_hand(void)
{
    lithe_error e = { 0 };
    char config[200];
    snprintf(config, sizeof config, BYTES_GPT2, "0.0");
    lithe_model *m = lithe_model_new("gpt2", config, 1, &e);
    lithe_tokenizer *t = lithe_tokenizer_open("bytes", &e);
    outcome o = run(m, t, "piqa", file_of("p.jsonl",
        "{\"goal\": \"g\", \"sol1\": \"abc\", \"sol2\": \"abcdef\", \"label\": 0}\n{\"goal\": \"g\", \"sol1\": \"abc\", \"sol2\": \"abcdef\", \"label\": 1}\n"
        "{\"goal\": \"g\", \"sol1\": \"ab\", \"sol2\": \"cd\", \"label\": 0}\n\n{\"goal\": \"g\", \"sol1\": \"abcdef\", \"sol2\": \"é\", \"label\": 1}\n"), 0);
    const double one = log(256);
    NEAR(o.nll[0][0], 4 * one, 1e-4);
    NEAR(o.nll[0][1], 7 * one, 1e-4);
    CHECK(o.count == 4 && o.items[0].correct == 1 && o.items[0].correct_norm == 0 && o.items[1].correct == 0 && o.items[1].correct_norm == 1);
    /* The third is a tie; é of the fourth is two bytes. */
    CHECK(o.items[2].chosen == -1 && o.items[2].chosen_norm == -1 && !o.items[2].correct && !o.items[2].correct_norm);
    CHECK(o.items[3].correct == 1 && o.items[3].correct_norm == 0 && o.items[3].line == 5);
    NEAR(o.result.accuracy, 0.5, 0);
    NEAR(o.result.accuracy_norm, 0.25, 0);
    NEAR(o.result.perplexity / exp(one * (4 + 7 + 3 + 3) / 4), 1, 1e-3);
    CHECK(o.result.examples == 4 && o.result.interval[0] <= 0.5 && o.result.interval[1] >= 0.5);
    o = run(m, t, "lambada", file_of("l.jsonl", "{\"text\": \"a b\"}\n{\"text\": \"the ships sail\"}\n"), 0);
    NEAR(o.nll[1][0], 5 * one, 1e-4);
    /* All ids are the likeliest, and the first of them is byte 0. */
    CHECK(o.result.examples == 2 && o.result.accuracy <= 0);
    char item[400], line[300];
    memset(line, 'y', 200);
    line[200] = 0;
    snprintf(item, sizeof item, "{\"goal\": \"g\", \"sol1\": \"abc\", \"sol2\": \"%s\", \"label\": 0}\n", line);
    o = run(m, t, "piqa", file_of("long.jsonl", item), 0);          /* longer than the context of 128 */
    NEAR(o.nll[0][0], 4 * one, 1e-4);
    NEAR(o.nll[0][1], 201 * one, 1e-3);
    CHECK(o.result.cut == 1 && o.items[0].correct);
    lithe_tokenizer_close(t);
    lithe_model_close(m);
}

/* Scores are taken from an earlier run of the same model, task and data, of whatever limit, and from no other; a
 * damaged line is passed over. */
static void scores_are_kept(void)
{
    lithe_error e = { 0 };
    char config[200];
    lithe_task_result r;
    snprintf(config, sizeof config, BYTES_GPT2, "0.3");
    lithe_tokenizer *t = lithe_tokenizer_open("bytes", &e);
    lithe_model *m = lithe_model_new("gpt2", config, 1, &e), *other = lithe_model_new("gpt2", config, 2, &e);
    const char *rows = "{\"goal\": \"g\", \"sol1\": \"a\", \"sol2\": \"b\", \"label\": 0}\n{\"goal\": \"h\", \"sol1\": \"cc\", \"sol2\": \"d\", \"label\": 0}\n{\"goal\": \"i\", \"sol1\": \"e\", \"sol2\": \"ff\", \"label\": 1}\n";
    lithe_task_options o = { .size = sizeof o, .data = file_of("p.jsonl", rows), .limit = 2, .cache = in_dir("c") };
    CHECK(!lithe_task_run(m, t, "piqa", &o, &r, &e) && r.cached == 0);
    const double perplexity = r.perplexity;
    CHECK(!lithe_task_run(m, t, "piqa", &o, &r, &e) && r.cached == 2);
    NEAR(r.perplexity, perplexity, 0);
    CHECK(sh("echo '{\"item\": 2, \"nll\": [1], \"greedy\": [tr' >> c/$(ls c)") == 0);
    o.limit = 0;
    CHECK(!lithe_task_run(m, t, "piqa", &o, &r, &e) && r.cached == 2 && r.examples == 3);
    CHECK(!lithe_task_run(m, t, "piqa", &o, &r, &e) && r.cached == 3);
    CHECK(!lithe_task_run(other, t, "piqa", &o, &r, &e) && r.cached == 0);
    o.shots = 1;
    CHECK(!lithe_task_run(m, t, "piqa", &o, &r, &e) && r.cached == 0);
    o.shots = 0;
    o.data = file_of("p.jsonl", "{\"goal\": \"g\", \"sol1\": \"a\", \"sol2\": \"c\", \"label\": 0}\n");
    CHECK(!lithe_task_run(m, t, "piqa", &o, &r, &e) && r.cached == 0);
    lithe_tokenizer_close(t);
    lithe_model_close(m);
    lithe_model_close(other);
}

/* Two pages, worked out by hand: plain text, and words and bytes of the file.  With all weights 0 each byte is ln
 * 256. */
static void words_of_wikitext(void)
{
    lithe_error e = { 0 };
    char config[200];
    lithe_wikitext w;
    snprintf(config, sizeof config, BYTES_GPT2, "0.0");
    lithe_tokenizer *t = lithe_tokenizer_open("bytes", &e);
    lithe_model *m = lithe_model_new("gpt2", config, 1, &e);
    const char *text = " \n = One = \n \n A well @-@ known ( old ) king 's ship , \" gone \" . \n = = Part = = \n = Two = \n x\n";
    CHECK_MSG(!lithe_score_wikitext(m, t, text, strlen(text), &w, &e), "%s", e.text);
    /* " = One = \n\nA well-known (old) king's ship, \"gone\".\n== Part == " and " = Two =\nx\n", but for the first byte
     * of each, which nothing predicts where a vocabulary has no begin-of-text token. */
    const size_t bytes = strlen(" = One =\n\nA well-known (old) king's ship, \"gone\".\n== Part == ") + strlen(" = Two =\nx\n") - 2;
    CHECK_MSG(w.pages == 2 && w.tokens == bytes, "%zu pages, %zu tokens, expected %zu", w.pages, w.tokens, bytes);
    NEAR(w.nll, (double)bytes * log(256), 1e-3);
    CHECK_MSG(w.words == 25 + 6, "%zu words", w.words);
    CHECK(lithe_score_wikitext(m, t, " \n", 2, &w, &e) == LITHE_EFORMAT);
    lithe_tokenizer_close(t);
    lithe_model_close(m);
}

static double whole_nll(lithe_model *m, const char *context, const char *text)
{
    char all[512];
    int32_t ids[512];
    lithe_error e = { 0 };
    int n = snprintf(all, sizeof all, "%s %s", context, text), first = (int)strlen(context), vocab = lithe_model_vocab(m);
    float *z = malloc((size_t)n * (size_t)vocab * sizeof *z);
    double nll = 0;
    for (int i = 0; i < n; i++) ids[i] = (unsigned char)all[i];
    CHECK_MSG(!lithe_logits(m, ids, (size_t)n, z, &e), "%s", e.text);
    for (int i = first; i < n; i++) {
        const float *row = z + (size_t)(i - 1) * (size_t)vocab;
        double sum = 0;
        for (int k = 0; k < vocab; k++) sum += exp((double)row[k]);
        nll += log(sum) - (double)row[ids[i]];
    }
    free(z);
    return nll;
}

/* What choices, and items with shots, have in common is read once; scores are those of whole passes all the same, of
 * keys as of recurrent states. */
static void prefixes_are_shared(void)
{
    static const struct { const char *arch, *config; } models[] = {
        { "gpt2", "{\"vocab_size\":256,\"n_positions\":128,\"n_embd\":16,\"n_layer\":2,\"n_head\":2,\"initializer_range\":0.3}" },
        { "rwkv7", "{\"vocab_size\":256,\"max_position_embeddings\":128,\"hidden_size\":16,\"head_dim\":8,\"num_hidden_layers\":2}" } };
    const char *data = file_of("p.jsonl", "{\"goal\": \"of one\", \"sol1\": \"abc\", \"sol2\": \"abd and more\", \"label\": 0}\n{\"goal\": \"two\", \"sol1\": \"x\", \"sol2\": \"yz\", \"label\": 1}\n"
                                          "{\"goal\": \"three\", \"sol1\": \"same\", \"sol2\": \"same but longer\", \"label\": 1}\n");
    lithe_tokenizer *t = lithe_tokenizer_open("bytes", NULL);
    for (size_t k = 0; k < sizeof models / sizeof *models; k++)
        for (int few = 0; few < 2; few++) {
            lithe_error e = { 0 };
            lithe_model *m = lithe_model_new(models[k].arch, models[k].config, 7, &e);
            CHECK_MSG(m, "%s", e.text);
            outcome o = run(m, t, "piqa", data, few);
            static const char *const texts[3][2] = { { "abc", "abd and more" }, { "x", "yz" }, { "same", "same but longer" } };
            for (int i = 0; i < o.count; i++)
                for (int c = 0; c < 2; c++) NEAR(o.nll[i][c], whole_nll(m, o.context[i], texts[i][c]), 2e-4);
            CHECK(o.count == 3);
            lithe_model_close(m);
        }
    lithe_tokenizer_close(t);
}

/* The likeliest byte after a text, by a whole pass. */
static int likeliest_after(lithe_model *m, const char *text)
{
    float z[8 * 256];
    int32_t ids[8];
    lithe_error e = { 0 };
    size_t n = strlen(text);
    int best = 0;
    for (size_t i = 0; i < n; i++) ids[i] = (unsigned char)text[i];
    CHECK_MSG(!lithe_logits(m, ids, n, z, &e), "%s", e.text);
    for (int k = 1; k < 256; k++) if (z[(n - 1) * 256 + (size_t)k] > z[(n - 1) * 256 + (size_t)best]) best = k;
    return best;
}

/* A model writes the likeliest bytes: of the first models whose first one is a letter, the answer is that letter. */
static void texts_are_written(void)
{
    lithe_error e = { 0 };
    lithe_model *m = NULL;
    char config[200], rows[200];
    int best = 0;
    snprintf(config, sizeof config, BYTES_GPT2, "0.5");
    lithe_tokenizer *t = lithe_tokenizer_open("bytes", &e);
    for (uint64_t seed = 1; seed < 200 && !isalpha(best); seed++) {
        lithe_model_close(m);
        m = lithe_model_new("gpt2", config, seed, &e);
        best = likeliest_after(m, "abc:");
        if (best > 127) best = 0;
    }
    CHECK(isalpha(best));
    snprintf(rows, sizeof rows, "{\"q\": \"abc:\", \"a\": \" %c\"}\n{\"q\": \"abc:\", \"a\": \"no\"}\n", best);
    const char *task = file_of("write.json", "{\"task\": \"write\", \"data\": [{\"fields\": [\"q\", \"a\"]}], \"context\": \"{q}\", \"answer\": \"{a}\", \"generate\": {\"longest\": 1}, \"delimiter\": \"\"}");
    outcome o = run(m, t, task, file_of("w.jsonl", rows), 0);
    CHECK(o.count == 2 && o.items[0].correct && !o.items[1].correct);
    lithe_tokenizer_close(t);
    lithe_model_close(m);
}

/* An encoder's score of a sentence: each of its tokens from all others. */
static void encoders_by_masks(void)
{
    lithe_error e = { 0 };
    file_of("vocab.txt", "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nthe\ncat\ncats\nsleeps\n.\n");
    lithe_tokenizer *t = lithe_tokenizer_open(in_dir("vocab.txt"), &e);
    lithe_model *m = lithe_model_new("bert", "{\"vocab_size\":10,\"max_position_embeddings\":24,\"hidden_size\":12,\"num_hidden_layers\":2,\"num_attention_heads\":3,\"intermediate_size\":20,\"initializer_range\":0.5}", 3, &e);
    CHECK_MSG(t && m, "%s", e.text);
    outcome o = run(m, t, "blimp", file_of("s.jsonl", "{\"sentence_good\": \"the cat sleeps.\", \"sentence_bad\": \"the cats sleeps.\"}\n"), 0);
    const int32_t ids[6] = { 2, 5, 6, 8, 9, 3 };
    double nll = 0;
    for (int at = 1; at < 5; at++) {
        int32_t masked[6];
        float z[6 * 10];
        double sum = 0;
        memcpy(masked, ids, sizeof ids);
        masked[at] = 4;
        CHECK_MSG(!lithe_logits(m, masked, 6, z, &e), "%s", e.text);
        for (int k = 0; k < 10; k++) sum += exp((double)z[at * 10 + k]);
        nll += log(sum) - (double)z[at * 10 + ids[at]];
    }
    NEAR(o.nll[0][0], nll, 1e-4);
    CHECK(o.items[0].correct == (o.nll[0][0] < o.nll[0][1]));
    lithe_tokenizer_close(t);
    lithe_model_close(m);
}

/* A share of 0.3 of 400: the normal approximation is 0.3 +- 1.96 sqrt(0.3 0.7 / 400) = +- 0.0449. */
static void intervals(void)
{
    double x[400], a[2], b[2];
    for (int i = 0; i < 400; i++) x[i] = i % 10 < 3;
    bootstrap_mean(x, 400, 1, a);
    bootstrap_mean(x, 400, 1, b);
    CHECK(!memcmp(a, b, sizeof a));
    NEAR(a[0], 0.3 - 0.0449, 0.008);
    NEAR(a[1], 0.3 + 0.0449, 0.008);
    bootstrap_mean(x, 400, 2, b);
    CHECK(memcmp(a, b, sizeof a));
    bootstrap_mean(x, 0, 1, a);
    CHECK(isnan(a[0]) && isnan(a[1]));
}

/* ---- what is refused ----------------------------------------------------------------------------- */

static void refused(const char *task, const char *path, const char *part)
{
    opened o = open_data(task, path);
    task_item x;
    for (size_t i = 0; i < o.data.count && !o.err.status; i++) task_item_make(&x, &o.data, i, o.task, &o.memory, &o.err);
    CHECK_MSG(o.err.status && strstr(o.err.text, part) && !strchr(o.err.text, '\n'), "\"%s\", expected ... %s ...", o.err.text, part);
    close_data(&o);
}

static void wrong_data(void)
{
    refused("piqa", file_of("a.jsonl", "\n{\"text\": \"a b\"}\n"), "a.jsonl:2: is not data of piqa: it has text; expected are goal, sol1, sol2");
    refused("piqa", file_of("b.jsonl", "{\"goal\": \"g\", \"sol1\": \"a\", \"sol2\": \"b\"}\n"), "b.jsonl:1: has no answer key");
    refused("piqa", file_of("c.jsonl", "{\"goal\": \"g\", \"sol1\": \"a\", \"sol2\": \"b\", \"label\": 0}\n{\"goal\": \"g\", \"sol1\": \"a\", \"label\": 0}\n"), "c.jsonl:2: has no field \"sol2\"");
    refused("piqa", file_of("d.jsonl", "{\"goal\": \"g\", \"sol1\": \"a\", \"sol2\": \"b\", \"label\": 2}\n"), "d.jsonl:1: the answer \"2\" is none of the 2 choices");
    refused("piqa", file_of("e.jsonl", "{\"goal\": \"g\", \"sol1\": \"a\", \"sol2\": \"b\", \"label\": 0}\n{\"goal\"\n"), "e.jsonl:2");
    refused("piqa", file_of("f.jsonl", ""), "f.jsonl");
    refused("piqa", file_of("g.jsonl", "[1, 2]"), "g.jsonl:1: expected a JSON object");
    refused("hellaswag", file_of("h.txt", "a: b. c\n0\nw\nx\ny\n"), "h.txt:5: ends after 5 of the 6 lines");
    refused("hellaswag", file_of("i.txt", "a: b. c\nnine\nw\nx\ny\nz\n"), "i.txt:1: the answer \"nine\" is none of the 4 choices");
    refused("lambada", file_of("j.jsonl", "{\"text\": \"oneword\"}\n"), "j.jsonl:1: \"text\" is not of the form that lambada reads");
    refused("cmmlu", file_of("k.csv", ",Question,A,B,C,D,Answer\n0,q,w,x,y,z,E\n"), "k.csv:2: the answer \"E\" is none");
    file_of("q-labels.lst", "0\n1\n");
    refused("piqa", file_of("q.jsonl", "{\"goal\": \"g\", \"sol1\": \"a\", \"sol2\": \"b\"}\n"), "q-labels.lst: has more lines than the 1 records");
    refused("nothing", file_of("l.jsonl", "{}"), "tasks are arc, blimp, cmmlu, hellaswag, lambada, lawbench, piqa, winogrande");
}

static void wrong_tasks(void)
{
    CHECK(!strcmp(lithe_task_name(0), "arc") && !lithe_task_name(-1) && !lithe_task_name(8) && lithe_task_known("arc_easy") && !lithe_task_known("arc_hard"));
    static const struct { const char *text, *part; } files[] = {
        { "{\"choices\": [\"a\", \"b\"]}", "it has no \"task\"" },
        { "{\"task\": \"x\", \"colour\": 1}", "\"colour\": 1 is not known" },
        { "{\"task\": \"x\", \"data\": [{\"fields\": [\"a\"]}], \"choices\": [\"{a}\"], \"answer\": \"{a}\", \"answers\": [\"1\"]}", "1 choices" },
        { "{\"task\": \"x\", \"data\": [{\"fields\": [\"a\"]}], \"choices\": [\"{a}\", \"b\"], \"answer\": \"{a}\", \"answers\": [\"1\"]}", "a key for each of 2" },
        { "{\"task\": \"x\", \"data\": [{\"fields\": [\"a\"], \"lines\": [\"a\"]}], \"continuation\": \"{a}\"}", "either \"fields\" or \"lines\"" },
        { "{\"task\": \"x\", \"data\": [{\"fields\": [\"a\"], \"extract\": {\"a\": \"(\"}}], \"continuation\": \"{a}\"}", "is not a regular expression" },
        { "{\"task\": \"x\", \"data\": [{\"fields\": [\"a\"]}], \"answer\": \"{a}\", \"generate\": {}}", "\"generate\" needs \"longest\"" },
        { "{\"task\": \"x\", \"data\": [{\"fields\": [\"a\"]}], \"answer\": \"{a}\", \"generate\": {\"longest\": 65537}}", "\"longest\", the most tokens of a text, from 1 to 65536" },
        { "{\"task\": \"x\", \"data\": [{\"fields\": [\"a\"]}], \"answer\": \"{a}\", \"generate\": {\"longest\": 8, \"stop\": [\"b\", \"\"]}}", "\"stop\" has an empty text" },
        { "{\"task\": \"x\", \"data\": [{\"fields\": [\"a\"]}], \"answer\": \"{a}\", \"choices\": [\"a\", \"b\"], \"generate\": {\"longest\": 8}}", "no choices and no \"continuation\"" },
        { "{\"task\": \"x\", \"data\": [{\"fields\": [\"a\"]}], \"answer\": \"{a}\", \"continuation\": \"b\", \"generate\": {\"longest\": 8}}", "no choices and no \"continuation\"" },
        { "{\"task\": \"x\", \"data\": [], \"continuation\": \"{a}\"}", "\"data\" is not a list" },
        { "{\"task\": \"x\", \"data\": [{\"fields\": [\"a\"]}], \"choices\": [1, 2], \"answer\": \"{a}\", \"answers\": [\"1\", \"2\"]}", "x.json: a choice is neither a text nor" },
        { "{\"task\": \"x\", \"data\": [{\"fields\": [\"a\"]}], \"choices\": \"ab\", \"answer\": \"{a}\", \"answers\": [\"1\", \"2\"]}", "x.json: \"choices\" is not a list" } };
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        lithe_error e = { 0 };
        task_file *t = task_file_parse(files[i].text, strlen(files[i].text), "x.json", &e);
        CHECK_MSG(!t && strstr(e.text, files[i].part), "\"%s\", expected ... %s ...", e.text, files[i].part);
        task_file_close(t);
    }
    refused(file_of("own.json", "{\"task\": \"own\", \"data\": [{\"fields\": [\"a\"]}], \"context\": \"{a|loud}\", \"continuation\": \"x\"}"), file_of("m.jsonl", "{\"a\": \"b\"}\n"), "own.json: there is no filter \"loud\"; there are strip");
    refused(file_of("open.json", "{\"task\": \"own\", \"data\": [{\"fields\": [\"a\"]}], \"context\": \"{a\", \"continuation\": \"x\"}"), file_of("m2.jsonl", "{\"a\": \"b\"}\n"), "open.json: a template has { without a field");
}

/* ---- the command ------------------------------------------------------------------------------------ */

static double number(const json_t *value, const char *key) { return json_number_value(json_object_get(value, key)); }

/* A person's own task file, and a record of each item, which gives the figures again. */
static void the_command(void)
{
    file_of("own.json", "{\"task\": \"own\", \"data\": [{\"fields\": [\"q\"]}], \"context\": \"{q}\", \"choices\": [\"yes\", \"no\"], \"answer\": \"{a}\", \"answers\": [\"y\", \"n\"]}");
    file_of("d.jsonl", "{\"q\": \"do ships sail\", \"a\": \"y\"}\n{\"q\": \"do kings fly\", \"a\": \"n\"}\n{\"q\": \"is it north\", \"a\": \"y\"}\n");
    file_of("table.tsv", "text\tlabel\na\t1\n");
    CHECK(sh("i=0; while [ $i -lt 200 ]; do echo \"the $i ships sail north.\"; i=$((i+1)); done > tale.txt; $L train tale.txt --tokenizer bytes --params 50k --ctx 64 --steps 2 --batch 2 --out r -q") == 0);
    CHECK(sh("(ulimit -f 0; $L eval r --task own.json --data d.jsonl --out full.jsonl --cache full 2>&1; echo code $?) | cat") == 0 && strstr(out, "full.jsonl: cannot write, files may not be that large here (ulimit -f)\ncode 4"));
    /* kept or not, the answer is the same */
    CHECK_MSG(sh("(ulimit -f 0; $L eval r --task own.json --data d.jsonl --cache full 2>&1; echo code $?) | cat") == 0 && strstr(out, "accuracy") && strstr(out, "code 0"), "%s", out);
    CHECK_MSG(sh("$L eval r --task own.json --data d.jsonl --out items.jsonl --cache c --json") == 0, "%s", err);
    json_t *v = json_loads(out, 0, NULL);
    CHECK_MSG(v && (int)number(v, "examples") == 3 && json_array_size(json_object_get(v, "interval")) == 2 && json_object_get(v, "accuracy_norm"), "%s", out);
    FILE *f = fopen(in_dir("items.jsonl"), "r");
    char line[4096];
    int correct = 0, items = 0;
    while (f && fgets(line, sizeof line, f)) {
        json_t *x = json_loads(line, 0, NULL);
        correct += json_is_true(json_object_get(x, "correct"));
        items++;
        json_decref(x);
    }
    if (f) fclose(f);
    CHECK(items == 3);
    NEAR(number(v, "accuracy"), correct / 3.0, 1e-9);
    json_decref(v);
    TRANSCRIPTS(
        { "$L eval r --task own.json --data d.jsonl --limit 2 --no-cache", 0, "(2 examples)", NULL }, { "$L eval r --task own.json --data d.jsonl --shots 2 --cache c --json", 0, "\"shots\":2", NULL },
        { "$L eval r --task own.json --data d.jsonl --cache c --json", 0, "\"cached\":3", NULL }, { "$L eval r --text tale.txt --protocol wikitext-word --json", 0, "\"word_perplexity\":", NULL },
        { "$L eval r --task own.json --data d.jsonl --shots 3 --no-cache", 3, NULL, "3 shots beside the item itself are wanted" },
        { "$L eval r --task hellaswga --data d.jsonl", 2, NULL, "tasks are arc, blimp, cmmlu, hellaswag" }, { "$L eval r --task hellaswga", 2, NULL, "tasks are arc, blimp" },
        { "$L eval r --task piqa", 2, NULL, "piqa is a task: give a file with its items, --data FILE" }, { "$L eval r --task own.json", 2, NULL, "own.json is a task" },
        { "$L eval r --data d.jsonl", 2, NULL, "--task NAME" }, { "$L eval r --task piqa --data d.jsonl --no-cache", 3, NULL, "d.jsonl:1: is not data of piqa" },
        { "$L eval r --task piqa --data nowhere.jsonl --no-cache", 3, NULL, "nowhere.jsonl" }, { "$L eval r --task table.tsv", 3, NULL, "no head that classifies" },
        { "$L eval r --task table.tsv --data d.jsonl", 3, NULL, "table.tsv" },
        { "mkdir -p parts/dev parts/test; cp d.jsonl parts/test; head -1 d.jsonl > parts/dev/d.jsonl; $L eval r --task own.json --data parts --no-cache", 0, "(3 examples)", NULL },
        { "mkdir -p none/dev; $L eval r --task own.json --data none --no-cache", 3, NULL, "none: holds no files" });
}

const test tests_tasks[] = {
    { "tasks: the texts of each form of data", texts_of_tasks },
    { "tasks: the texts of the samples", samples_of_tasks },
    { "tasks: solved items before each", shots },
    { "tasks: the ids of continuations", ids_of_continuations },
    { "tasks: scores worked out by hand", worked_out_by_hand },
    { "tasks: scores are kept", scores_are_kept },
    { "tasks: words of WikiText", words_of_wikitext },
    { "tasks: common beginnings are read once", prefixes_are_shared },
    { "tasks: texts are written", texts_are_written },
    { "tasks: encoders score by masks", encoders_by_masks },
    { "tasks: intervals", intervals },
    { "tasks: wrong data are refused by their line", wrong_data },
    { "tasks: wrong task files are refused", wrong_tasks },
    { "tasks: the command", the_command },
    { 0 }
};
