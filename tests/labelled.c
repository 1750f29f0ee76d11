/* Tables of labelled text: formats, columns, labels, special tokens, truncation,
 * and a dataset found again. */
#include "data/table_data.h"
#include "test.h"
#include <stdlib.h>

static const char *write_file(const char *name, const char *text)
{
    const char *path = in_dir(name);
    FILE *f = fopen(path, "wb");
    CHECK(f && fputs(text, f) >= 0 && !fclose(f));
    return path;
}

/* "text|pair|label/" of each row, or the error. */
static const char *rows_of(const char *path, const table_columns *c)
{
    static char out[4096];
    lithe_error err = { 0 };
    table t;
    size_t n = 0;
    out[0] = 0;
    if (table_read(&t, path, c, true, &err)) { snprintf(out, sizeof out, "%s", err.text); return out; }
    for (size_t i = 0; i < t.count && n < sizeof out; i++)
        n += (size_t)snprintf(out + n, sizeof out - n, "%s|%s|%s/", t.rows[i].text, t.rows[i].pair ? t.rows[i].pair : "-", t.rows[i].label);
    table_free(&t);
    return out;
}

#define SAME(path, columns, expected) do { const char *got_ = rows_of(path, columns); CHECK_MSG(!strcmp(got_, expected), "%s, expected %s", got_, expected); } while (0)
#define HOLDS(text, part) CHECK_MSG(strstr(text, part), "%s, expected %s", text, part)

static void formats(void)
{
    SAME(write_file("a.tsv", "sentence\tlabel\na \"b\t1\r\n\nc, d\t0"), NULL, "a \"b|-|1/c, d|-|0/");
    SAME(write_file("a.csv", "text,category\n\"one, \"\"two\"\"\nthree\",x\r\nfour,\"y z\"\n"), NULL, "one, \"two\"\nthree|-|x/four|-|y z/");
    SAME(write_file("a.jsonl", "{\"label\": 2, \"text\": \"a\\tb\"}\n\n{\"text\": \"c\", \"label\": \"no\", \"more\": [1]}\n"), NULL, "a\tb|-|2/c|-|no/");
    SAME(write_file("b.jsonl", "{\"premise\": \"a\", \"hypothesis\": \"b\", \"label\": 0}\n"), NULL, "a|b|0/");
    SAME(write_file("e.csv", "text,label\n\"\",1\nb,\"2\"\n"), (&(table_columns){ "text", NULL, "label" }), "|-|1/b|-|2/");
}

static void columns(void)
{
    const char *cola = write_file("cola.tsv", "gj04\t1\t\tThe sailors rode the breeze.\ncj99\t0\t*\tAs you eat the most, you want.\n");
    SAME(cola, NULL, "The sailors rode the breeze.|-|1/As you eat the most, you want.|-|0/");
    SAME(cola, (&(table_columns){ .text = "4", .label = "1" }), "The sailors rode the breeze.|-|gj04/As you eat the most, you want.|-|cj99/");
    const char *named = write_file("named.tsv", "id\ta\tb\tscore\n1\tx y\tz\t3.5\n2\tu\tv w\t1\n");
    SAME(named, (&(table_columns){ "a", "b", "score" }), "x y|z|3.5/u|v w|1/");
    SAME(named, (&(table_columns){ .text = "b" }), "z|-|3.5/v w|-|1/");
    HOLDS(rows_of(named, &(table_columns){ .text = "c" }), "no column called \"c\"");
    HOLDS(rows_of(named, &(table_columns){ .text = "9" }), "has 4 columns, there is no column 9");
}

/* n rows "TEXT i" with a label of each of the given ones in turn, after the header, which may be "". */
static const char *made(const char *name, const char *header, const char *format, const char *const *labels)
{
    char text[8192];
    int classes = 0;
    snprintf(text, sizeof text, "%s", header);
    while (labels[classes]) classes++;
    for (int i = 0; i < 40; i++) {
        size_t n = strlen(text);
        snprintf(text + n, sizeof text - n, format, labels[i % classes], i);        /* NOLINT: formats of this file */
    }
    return write_file(name, text);
}
#define LABELS(...) ((const char *const[]){ __VA_ARGS__, NULL })

/* The error, or how many rows, the chosen columns and the first row. */
static const char *chosen(const char *path, const table_columns *c)
{
    static char out[2048];
    lithe_error err = { 0 };
    table t;
    if (table_read(&t, path, c, true, &err)) { snprintf(out, sizeof out, "%s", err.text); return out; }
    const table_row *r = &t.rows[0];
    snprintf(out, sizeof out, "%zu: %s: %s|%s|%s", t.count, t.columns, r->text, r->pair ? r->pair : "-", r->label);
    table_free(&t);
    return out;
}
#define CHOSEN(path, columns, expected) do { const char *got_ = chosen(path, columns); CHECK_MSG(!strcmp(got_, expected), "%s, expected %s", got_, expected); } while (0)

static void headers(void)
{
    const char *const *binary = LABELS("1", "0"), *const *words = LABELS("neg", "pos");
    CHOSEN(made("mrpc.tsv", "Quality\t#1 ID\t#2 ID\t#1 String\t#2 String\n", "%s\t7%2$d\t9%2$d\tone long sentence %2$d\tanother long sentence %2$d\n", binary), NULL,
           "40: text \"#1 String\", pair \"#2 String\", label \"Quality\": one long sentence 0|another long sentence 0|1");
    CHOSEN(made("qqp.tsv", "id\tquestion1\tquestion2\tis_duplicate\n", "%2$d\tis it so %2$d?\tis it not %2$d?\t%1$s\n", binary), NULL,
           "40: text \"question1\", pair \"question2\", label \"is_duplicate\": is it so 0?|is it not 0?|1");
    CHOSEN(made("toxic.csv", "id,comment_text,toxic\n", "%2$d,a comment about this %2$d,%1$s\n", binary), NULL, "40: text \"comment_text\", label \"toxic\": a comment about this 0|-|1");
    CHOSEN(made("toxic.csv", "id,comment_text,toxic\n", "%2$d,a comment about this %2$d,%1$s\n", binary), (&(table_columns){ .text = "2", .label = "3" }),
           "40: text \"comment_text\", label \"toxic\": a comment about this 0|-|1");
    CHOSEN(made("space.csv", "text, label\n", "a text like any other %2$d, %1$s\n", words), NULL, "40: text \"text\", label \" label\": a text like any other 0|-| neg");
    CHOSEN(made("mood.csv", "said,mood\n", "a text like any other %2$d,%1$s\n", words), NULL, "40: text \"said\", label \"mood\": a text like any other 0|-|neg");
    /* No header: the words of the first row come again, or are a sentence. */
    CHOSEN(made("class.tsv", "", "what is a %2$d\t%1$s\n", LABELS("class", "label")), NULL, "40: text 1, label 2 (no header): what is a 0|-|class");
    CHOSEN(made("rare.tsv", "The weather today is rather fine.\trare\n", "The weather today is %2$d.\t%1$s\n", words), NULL,
           "41: text 1, label 2 (no header): The weather today is rather fine.|-|rare");
}

static void equals_are_asked_for(void)
{
    const char *const *truth = LABELS("true", "false"), *const *words = LABELS("entailment", "not_entailment");
    CHOSEN(made("qnli.tsv", "index\tquestion\tsentence\tlabel\n", "%2$d\twhat is %2$d?\tit is a number %2$d\t%1$s\n", words), NULL,
           "40: text \"question\", pair \"sentence\", label \"label\": what is 0?|it is a number 0|entailment");
    const char *boolq = made("boolq.jsonl", "", "{\"question\": \"is %2$d a number\", \"title\": \"Number\", \"answer\": %1$s, \"passage\": \"of the number %2$d\"}\n", truth);
    CHOSEN(boolq, NULL, "40: text \"question\", pair \"passage\", label \"answer\": is 0 a number|of the number 0|true");
    CHOSEN(boolq, (&(table_columns){ .label = "answer" }), "40: text \"question\", pair \"passage\", label \"answer\": is 0 a number|of the number 0|true");
    HOLDS(chosen(boolq, &(table_columns){ .text = "answer", .label = "answer" }), "column \"answer\" cannot be two of text, pair and label");
    const char *two = made("two.csv", "comment,rude,insulting\n", "a comment %2$d,%1$s,%1$s\n", LABELS("0", "1"));
    HOLDS(chosen(two, NULL), "columns \"rude\" and \"insulting\" could each be the label: name it with --label-column");
    CHOSEN(two, (&(table_columns){ .label = "rude" }), "40: text \"comment\", label \"rude\": a comment 0|-|0");
    const char *both = made("both.csv", "review,summary,label\n", "the review %2$d,a summary %2$d,%1$s\n", LABELS("0", "1"));
    HOLDS(chosen(both, NULL), "columns \"review\" and \"summary\" both hold text");
    CHOSEN(both, (&(table_columns){ .pair = "" }), "40: text \"review\", label \"label\": the review 0|-|0");
}

static void shared_layouts(void)
{
    static const struct { const char *file; size_t rows; const char *text, *pair, *label; } cases[] = {
        { "cls/sst2/dev.tsv", 872, "it 's a charming and often affecting journey . ", NULL, "1" },
        { "cls/sst2/train.tsv.gz", 67349, NULL, NULL, NULL },
        { "cls/cola/in_domain_dev.tsv", 0, "The sailors rode the breeze clear of the rocks.", NULL, "1" },
        { "cls/stsb/sts-dev.filtered.tsv", 1000, "A cat standing on tree branches.", "A black and white cat is high up on tree branches.", "3.6" },
        { "cls/stsb/sts-train.filtered.tsv", 2999, "Two green and white trains sitting on the tracks.", "Two green and white trains on tracks.", "4.4" },
        { "cls/banking77/train.csv", 10003, "I am still waiting on my card?", NULL, "card_arrival" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        table t;
        lithe_error err = { 0 };
        CHECK_MSG(!table_read(&t, test_data(cases[i].file), NULL, true, &err), "%s", err.text);
        if (err.status) continue;
        const table_row *r = &t.rows[0];
        CHECK_MSG(!cases[i].rows || t.count == cases[i].rows, "%s: %zu rows", cases[i].file, t.count);
        CHECK_MSG(!cases[i].text || !strcmp(r->text, cases[i].text), "%s: %s", cases[i].file, r->text);
        CHECK_MSG((r->pair != NULL) == (cases[i].pair != NULL) && (!r->pair || !strcmp(r->pair, cases[i].pair)), "%s", cases[i].file);
        CHECK_MSG(!cases[i].label || !strcmp(r->label, cases[i].label), "%s: %s", cases[i].file, r->label);
        table_free(&t);
    }
}

static void tables_refuse(void)
{
    HOLDS(rows_of(write_file("q.csv", "text,label\n\"open,1\n"), NULL), "q.csv:2: a quoted field is not closed");
    HOLDS(rows_of(write_file("b.csv", "text,label\n\"a\"b,1\n"), NULL), "b.csv:2: text after the closing quote");
    HOLDS(rows_of(write_file("empty.tsv", ""), NULL), "is empty");
    HOLDS(rows_of(write_file("head.tsv", "text\tlabel\n"), NULL), "holds no rows");
    HOLDS(rows_of(write_file("short.tsv", "text\tlabel\na\t1\nb\n"), NULL), "short.tsv:3: has 1 columns, line 1 has 2");
    HOLDS(rows_of(write_file("wide.csv", "text,label\n\na,1\nb,2,\n"), NULL), "wide.csv:4: has 3 columns, line 1 has 2");
    HOLDS(rows_of(write_file("none.tsv", "text\tlabel\na\t1\nb\t\n"), NULL), "none.tsv:3: has no label");
    HOLDS(rows_of(write_file("j.jsonl", "{\"text\": \"a\", \"label\": 1}\n[]\n"), NULL), "j.jsonl:2: not a JSON object");
    HOLDS(rows_of(write_file("k.jsonl", "{\"text\": \"a\", \"label\": {}}\n"), NULL), "k.jsonl:1: has no label");
    HOLDS(rows_of(write_file("u.tsv", "text\tlabel\n\xff\t1\n"), NULL), "not UTF-8");
    HOLDS(rows_of("/nowhere/x.tsv", NULL), "/nowhere/x.tsv");
}

/* ---- datasets ----------------------------------------------------------------------------- */

static lithe_dataset *open_task(const char *path, const char *dir, const lithe_data_options *o, lithe_error *err)
{
    lithe_tokenizer *t = lithe_tokenizer_open("bytes", err);
    lithe_dataset *d = lithe_dataset_open(&path, 1, dir, t, o, err);
    lithe_tokenizer_close(t);
    return d;
}

static void a_dataset(void)
{
    lithe_error err = { 0 };
    char dir[600], identity[256], again[256];
    const char *train = write_file("t.tsv", "text\tlabel\ngood\tup\nbad\tdown\nfine\tup\nworse\tdown\n"), *valid = write_file("v.tsv", "text\tlabel\nawful\tdown\n");
    snprintf(dir, sizeof dir, "%s/set", test_dir());
    lithe_dataset *d = open_task(train, dir, &LITHE_OPTIONS(lithe_data_options, .task = "classify", .valid = valid), &err);
    CHECK_MSG(d, "%s", err.text);
    if (!d) return;
    CHECK(lithe_dataset_labels(d) == 2 && !strcmp(lithe_dataset_label(d, 0), "down") && !strcmp(lithe_dataset_label(d, 1), "up") && !lithe_dataset_label(d, 2));
    CHECK(lithe_dataset_examples(d, 0) == 4 && lithe_dataset_examples(d, 1) == 1 && !lithe_dataset_pairs(d) && lithe_dataset_longest(d) == 5);
    CHECK(lithe_dataset_batch(d) == 16 && lithe_dataset_epochs(d) == 3);
    const examples *e = &table_of(d)->train;
    CHECK(e->label[0] == 1 && e->label[1] == 0 && e->label[2] == 1 && e->label[3] == 0 && e->ids[e->start[2]] == 'b');
    dataset_identity(d, identity, sizeof identity);
    lithe_dataset_close(d);

    lithe_tokenizer *t = lithe_tokenizer_open("bytes", &err);
    d = dataset_reopen(dir, t, ALL_SOURCES, &err);
    CHECK_MSG(d, "%s", err.text);
    if (d) dataset_identity(d, again, sizeof again);
    CHECK(d && !strcmp(identity, again) && lithe_dataset_examples(d, 0) == 4 && !strcmp(lithe_dataset_label(d, 1), "up"));
    lithe_dataset_close(d);
    char file[700];
    snprintf(file, sizeof file, "%s/train.jsonl", dir);
    FILE *f = fopen(file, "ab");
    CHECK(f && fputs("{\"text\":\"more\",\"label\":\"up\"}\n", f) > 0 && !fclose(f));
    CHECK(!dataset_reopen(dir, t, ALL_SOURCES, &err) && err.status == LITHE_EMISMATCH);
    lithe_tokenizer_close(t);
}

static void numbers_and_shares(void)
{
    lithe_error err = { 0 };
    char text[4096] = "";
    for (int i = 0; i < 100; i++) sprintf(text + strlen(text), "%d.25\tthe text %d\tand a second one %d\n", i % 5, i, i);
    const char *path = write_file("n.tsv", text);
    const lithe_data_options o = { .size = sizeof o, .task = "regress", .text_column = "2", .pair_column = "3", .valid_share = 0.2, .seed = 4 };
    lithe_dataset *d = open_task(path, NULL, &o, &err), *same = open_task(path, NULL, &o, &err);
    CHECK_MSG(d && same, "%s", err.text);
    if (d && same) {
        CHECK(lithe_dataset_examples(d, 0) == 80 && lithe_dataset_examples(d, 1) == 20 && lithe_dataset_labels(d) == 0 && lithe_dataset_pairs(d));
        double sum = 0;
        for (int i = 0; i < 80; i++) sum += (double)table_of(d)->train.value[i];
        for (int i = 0; i < 20; i++) sum += (double)table_of(d)->valid.value[i];
        CHECK(sum == 225);
        CHECK(!memcmp(table_of(d)->valid.value, table_of(same)->valid.value, 20 * sizeof(float)));
    }
    lithe_dataset_close(d);
    lithe_dataset_close(same);
}

static const char *refused(const char *path, const lithe_data_options *o)
{
    static lithe_error err;
    err = (lithe_error){ 0 };
    lithe_dataset *d = open_task(path, NULL, o, &err);
    CHECK(!d && err.status);
    lithe_dataset_close(d);
    return err.text;
}

/* "NAME EXAMPLES," of each class, or the error. */
static const char *classes_of(const char *path)
{
    static char out[1024];
    lithe_error err = { 0 };
    size_t n = 0;
    lithe_dataset *d = open_task(path, NULL, &LITHE_OPTIONS(lithe_data_options, .task = "classify", .valid = path), &err);
    if (!d) { snprintf(out, sizeof out, "%s", err.text); return out; }
    for (int i = 0; i < lithe_dataset_labels(d); i++) n += (size_t)snprintf(out + n, sizeof out - n, "%s %zu,", lithe_dataset_label(d, i), lithe_dataset_label_examples(d, i));
    CHECK(lithe_dataset_columns(d) && strstr(lithe_dataset_columns(d), "text 1, label 2"));
    lithe_dataset_close(d);
    return out;
}

static void classes_that_occur(void)
{
    static const struct { const char *labels[5], *expected; } cases[] = {
        { { "0", "1" }, "LABEL_0 20,LABEL_1 20," },
        { { "1", "2", "3", "4" }, "1 10,2 10,3 10,4 10," },
        { { "2000", "9", "2001", "2002" }, "9 10,2000 10,2001 10,2002 10," },
        { { "1" }, "one class alone (\"1\"), nothing to tell apart" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        HOLDS(classes_of(made("c.tsv", "", "it is a text %2$d\t%1$s\n", cases[i].labels)), cases[i].expected);
}

static void labels_refused(void)
{
    const char *train = write_file("t.tsv", "text\tlabel\na\tup\nb\tdown\n"), *other = write_file("o.tsv", "text\tlabel\na\tup\nb\tsideways\n");
    const char *numbers = write_file("n.tsv", "text\tlabel\na\t0\nb\t1\n"), *more = write_file("m.tsv", "text\tlabel\na\t1\nb\t3\n");
    HOLDS(refused(train, &LITHE_OPTIONS(lithe_data_options, .task = "classify", .valid = other)), "o.tsv:3: label \"sideways\" is none of the 2");
    HOLDS(refused(numbers, &LITHE_OPTIONS(lithe_data_options, .task = "classify", .valid = more)), "m.tsv:3: label 3, there are 2 classes, 0 to 1");
    HOLDS(refused(train, &LITHE_OPTIONS(lithe_data_options, .task = "regress")), "t.tsv:2: label \"up\" is not a number");
    HOLDS(refused(train, &LITHE_OPTIONS(lithe_data_options, .task = "rank")), "expected classify, regress or images");
    HOLDS(refused(write_file("one.tsv", "text\tlabel\na\tx\nb\tx\n"), &LITHE_OPTIONS(lithe_data_options, .task = "classify")), "one class alone");
    const char *const names[] = { "no", "yes" };
    HOLDS(refused(train, &LITHE_OPTIONS(lithe_data_options, .task = "classify", .labels = names, .label_count = 2)), "t.tsv:2: label \"up\" is none of the 2 there are (\"no\" ...)");
}

const test tests_labelled[] = {
    { "labelled: formats", formats },
    { "labelled: columns", columns },
    { "labelled: headers", headers },
    { "labelled: equals are asked for", equals_are_asked_for },
    { "labelled: the shared sets", shared_layouts },
    { "labelled: tables refuse", tables_refuse },
    { "labelled: a dataset", a_dataset },
    { "labelled: numbers and shares", numbers_and_shares },
    { "labelled: classes that occur", classes_that_occur },
    { "labelled: labels are refused by line", labels_refused },
    { 0 }
};
