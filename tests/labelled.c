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
    SAME(write_file("e.csv", "text,label\na,1,\n"), (&(table_columns){ "text", NULL, "label" }), "a|-|1/");
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
    HOLDS(rows_of(write_file("short.tsv", "text\tlabel\na\t1\nb\n"), NULL), "short.tsv:3: has no label");
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
    d = dataset_reopen(dir, t, true, &err);
    CHECK_MSG(d, "%s", err.text);
    if (d) dataset_identity(d, again, sizeof again);
    CHECK(d && !strcmp(identity, again) && lithe_dataset_examples(d, 0) == 4 && !strcmp(lithe_dataset_label(d, 1), "up"));
    lithe_dataset_close(d);
    char file[700];
    snprintf(file, sizeof file, "%s/train.jsonl", dir);
    FILE *f = fopen(file, "ab");
    CHECK(f && fputs("{\"text\":\"more\",\"label\":\"up\"}\n", f) > 0 && !fclose(f));
    CHECK(!dataset_reopen(dir, t, true, &err) && err.status == LITHE_EMISMATCH);
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

static void labels_refused(void)
{
    const char *train = write_file("t.tsv", "text\tlabel\na\tup\nb\tdown\n"), *other = write_file("o.tsv", "text\tlabel\na\tup\nb\tsideways\n");
    const char *numbers = write_file("n.tsv", "text\tlabel\na\t0\nb\t2\n"), *more = write_file("m.tsv", "text\tlabel\na\t1\nb\t3\n");
    HOLDS(refused(train, &LITHE_OPTIONS(lithe_data_options, .task = "classify", .valid = other)), "o.tsv:3: label \"sideways\" is none of the 2");
    HOLDS(refused(numbers, &LITHE_OPTIONS(lithe_data_options, .task = "classify", .valid = more)), "m.tsv:3: label 3, there are 3 classes, 0 to 2");
    HOLDS(refused(train, &LITHE_OPTIONS(lithe_data_options, .task = "regress")), "t.tsv:2: label \"up\" is not a number");
    HOLDS(refused(train, &LITHE_OPTIONS(lithe_data_options, .task = "rank")), "expected classify, regress or images");
    HOLDS(refused(write_file("one.tsv", "text\tlabel\na\tx\nb\tx\n"), &LITHE_OPTIONS(lithe_data_options, .task = "classify")), "one class alone");
    const char *const names[] = { "no", "yes" };
    HOLDS(refused(train, &LITHE_OPTIONS(lithe_data_options, .task = "classify", .labels = names, .label_count = 2)), "t.tsv:2: label \"up\" is none of the 2 there are (\"no\" ...)");
}

const test tests_labelled[] = {
    { "labelled: formats", formats },
    { "labelled: columns", columns },
    { "labelled: the shared sets", shared_layouts },
    { "labelled: tables refuse", tables_refuse },
    { "labelled: a dataset", a_dataset },
    { "labelled: numbers and shares", numbers_and_shares },
    { "labelled: labels are refused by line", labels_refused },
    { 0 }
};
