/* Documents to datasets: what is held out, what is found again, windows. */
#include "base/dir_names.h"
#include "base/utf8.h"
#include "base/json.h"
#include "base/random.h"
#include "data/corpus.h"
#include "data/text_data.h"
#include "data/tokenizer_identity.h"
#include "data_files.h"
#include "test.h"
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

/* ---- datasets ---------------------------------------------------------------------- */

static lithe_tokenizer *bytes_tokenizer(void)
{
    lithe_error err = { 0 };
    lithe_tokenizer *t = lithe_tokenizer_open("bytes", &err);
    CHECK_MSG(t, "%s", err.text);
    return t;
}

static lithe_tokenizer *learned_tokenizer(void)
{
    lithe_error err = { 0 };
    static const char text[] = "the cat sat on the mat and the rat sat on the cat that sat there ";
    lithe_tokenizer *t = lithe_tokenizer_train(text, sizeof text - 1, 265, &err);
    CHECK_MSG(t, "%s", err.text);
    return t;
}

static lithe_dataset *open_dataset(const char *name, const char *dir, const lithe_tokenizer *t, const lithe_data_options *o)
{
    lithe_error err = { 0 };
    const char *path = in_dir(name);
    lithe_dataset *d = lithe_dataset_open(&path, 1, in_dir(dir), t, o, &err);
    CHECK_MSG(d, "%s", err.text);
    return d;
}

/* All text of a shard, documents without their delimiters, '|' after each. */
static char *shard_text(const shard *s, const lithe_tokenizer *t)
{
    char *text = calloc(1, (size_t)s->header.text_bytes + (size_t)s->header.documents + 1);
    int32_t *ids = malloc(sizeof *ids * (size_t)(s->header.tokens + 1));
    size_t used = 0;
    uint64_t begin = 0;
    for (uint64_t k = 0; k < s->header.documents; k++) {
        uint64_t end = shard_document_end(s, k), first = begin + (s->header.open_id >= 0), last = end - (s->header.close_id >= 0);
        shard_ids(s, first, (size_t)(last - first), ids);
        used += lithe_decode(t, ids, (size_t)(last - first), text + used, (size_t)s->header.text_bytes + (size_t)s->header.documents - used);
        text[used++] = '|';
        begin = end;
    }
    free(ids);
    return text;
}

static void one_document_is_cut(void)
{
    char text[2001] = "";
    lithe_tokenizer *t = learned_tokenizer();
    for (int i = 0; i < 100; i++) snprintf(text + 20 * i, sizeof text - (size_t)(20 * i), "line %3d of the cat\n", i);
    put_text_file("one.txt", text);
    lithe_dataset *d = open_dataset("one.txt", "data", t, NULL);
    if (!d) return;
    char *train = shard_text(&text_of(d)->train, t), *valid = shard_text(&text_of(d)->valid, t);
    CHECK(lithe_dataset_bytes(d, 0) == 1900 && lithe_dataset_bytes(d, 1) == 100);
    CHECK(strlen(train) == 1901 && !strncmp(train, text, 1900));
    CHECK(strlen(valid) == 101 && !strncmp(valid, text + 1900, 100));
    CHECK(lithe_dataset_tokens(d, 0) == text_of(d)->train.header.tokens && text_of(d)->train.header.open_id == lithe_tokenizer_eos(t));
    free(train);
    free(valid);
    lithe_dataset_close(d);
    lithe_tokenizer_close(t);
}

static void many_documents_are_held_out_whole(void)
{
    lithe_tokenizer *t = bytes_tokenizer();
    char *lines = calloc(1, 200000), identity[2][200];
    size_t used = 0, bytes = 0;
    for (int i = 0; i < 2000; i++) {
        used += (size_t)snprintf(lines + used, 200000 - used, "{\"text\": \"document %d %.*s\"}\n", i, i % 40, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
        bytes += 10 + (size_t)snprintf(NULL, 0, "%d", i) + (size_t)(i % 40);
    }
    put_text_file("many.jsonl", lines);
    for (int round = 0; round < 2; round++) {
        lithe_dataset *d = open_dataset("many.jsonl", round ? "again" : "data", t, &LITHE_OPTIONS(lithe_data_options, .seed = 7));
        if (!d) return;
        size_t train = lithe_dataset_bytes(d, 0), valid = lithe_dataset_bytes(d, 1);
        CHECK_MSG(train + valid == bytes, "%zu + %zu, expected %zu", train, valid, bytes);
        CHECK_MSG(fabs((double)valid / (double)bytes - 0.05) < 0.002, "%zu of %zu", valid, bytes);
        CHECK(text_of(d)->train.header.documents + text_of(d)->valid.header.documents == 2000);
        dataset_identity(d, identity[round], sizeof identity[round]);
        lithe_dataset_close(d);
    }
    CHECK_MSG(!strcmp(identity[0], identity[1]), "%s\n        %s", identity[0], identity[1]);
    lithe_dataset *d = open_dataset("many.jsonl", "other", t, &LITHE_OPTIONS(lithe_data_options, .seed = 8, .valid_share = 0.2));
    if (d) {
        dataset_identity(d, identity[1], sizeof identity[1]);
        CHECK(strcmp(identity[0], identity[1]));
        CHECK(fabs((double)lithe_dataset_bytes(d, 1) / (double)bytes - 0.2) < 0.002);
    }
    lithe_dataset_close(d);
    free(lines);
    lithe_tokenizer_close(t);
}

static void a_few_long_documents_are_not_lost(void)
{
    lithe_tokenizer *t = bytes_tokenizer();
    put_text_file("three.jsonl", "{\"text\": \"aaaaaaaaaaaaaaaaaaaa\"}\n{\"text\": \"bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb\"}\n{\"text\": \"cccccccccccccccccccc\"}\n");
    lithe_dataset *d = open_dataset("three.jsonl", "data", t, NULL);
    if (d) {
        char *valid = shard_text(&text_of(d)->valid, t);
        CHECK_MSG(!strcmp(valid, "bbbb|") && text_of(d)->train.header.documents == 3, "%s", valid);
        free(valid);
    }
    lithe_dataset_close(d);
    lithe_tokenizer_close(t);
}

static void single_bytes(void)
{
    lithe_tokenizer *t = learned_tokenizer();
    put_text_file("bytes.jsonl", "{\"text\": \"a\"}\n{\"text\": \"b\"}\n{\"text\": \"c\"}\n");
    lithe_dataset *d = open_dataset("bytes.jsonl", "data", t, NULL);
    CHECK(d && lithe_dataset_bytes(d, 0) == 2 && lithe_dataset_bytes(d, 1) == 1);
    lithe_dataset_close(d);
    lithe_tokenizer_close(t);
}

static void a_named_validation_file(void)
{
    lithe_tokenizer *t = bytes_tokenizer();
    put_text_file("train.txt", "all of this is for training\n");
    put_text_file("held.txt", "and this for validation\n");
    char held[600];
    snprintf(held, sizeof held, "%s", in_dir("held.txt"));
    lithe_dataset *d = open_dataset("train.txt", "data", t, &LITHE_OPTIONS(lithe_data_options, .valid = held));
    if (d) {
        char *train = shard_text(&text_of(d)->train, t), *valid = shard_text(&text_of(d)->valid, t);
        CHECK(!strcmp(train, "all of this is for training\n|") && !strcmp(valid, "and this for validation\n|"));
        free(train);
        free(valid);
    }
    lithe_dataset_close(d);
    lithe_tokenizer_close(t);
}

static void datasets_refuse(void)
{
    lithe_tokenizer *t = bytes_tokenizer();
    char name[600];
    const char *path = name;
    snprintf(name, sizeof name, "%s", in_dir("x.txt"));
    struct { const char *text, *why; lithe_data_options o; } cases[] = {
        { "", "is empty, nothing to learn from", { 0 } }, { "a", "holds one byte", { 0 } }, { "ab", "at least 2 are needed", { 0 } },
        { "long enough text\n", "validation share 0.9", { .valid_share = 0.9 } }, { "long enough text\n", "absent: cannot open", { .valid = "/absent" } },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        lithe_error err = { 0 };
        cases[i].o.size = sizeof cases[i].o;
        put_text_file("x.txt", cases[i].text);
        CHECK(!lithe_dataset_open(&path, 1, in_dir("data"), t, &cases[i].o, &err));
        CHECK_MSG(err.status < 0 && strstr(err.text, cases[i].why) && (cases[i].o.valid || cases[i].o.valid_share > 0 || strstr(err.text, name)), "case %zu: %s", i, err.text);
    }
    lithe_error err = { 0 };
    CHECK(!lithe_dataset_open(&path, 1, in_dir("data"), NULL, NULL, &err) && err.status == LITHE_EINVAL);
    lithe_tokenizer_close(t);
}

static void found_again_unless_changed(void)
{
    lithe_tokenizer *t = bytes_tokenizer(), *other = learned_tokenizer();
    lithe_error err = { 0 };
    char before[200], after[200];
    put_text_file("text.txt", "some lines\nof text\nto be read\nand kept\nfor a while\n");
    lithe_dataset *d = open_dataset("text.txt", "data", t, &LITHE_OPTIONS(lithe_data_options, .reset_attention = 1));
    if (!d) return;
    dataset_identity(d, before, sizeof before);
    CHECK_MSG(dataset_place(d, in_dir("run/data"), &err) == LITHE_OK, "%s", err.text);
    CHECK(dataset_place(d, in_dir("run/data"), &err) == LITHE_EIO);
    lithe_dataset_close(d);
    err = (lithe_error){ 0 };
    CHECK(dir_remove(in_dir("data"), &err) == LITHE_OK);
    d = dataset_reopen(in_dir("run/data"), t, ALL_SOURCES, &err);
    CHECK_MSG(d, "%s", err.text);
    if (!d) return;
    dataset_identity(d, after, sizeof after);
    CHECK(!strcmp(before, after) && text_of(d)->reset_attention);
    lithe_dataset_close(d);

    CHECK(!dataset_reopen(in_dir("run/data"), other, ALL_SOURCES, &err) && err.status == LITHE_EMISMATCH);
    err = (lithe_error){ 0 };
    put_text_file("text.txt", "some lines\nof text\nto be read\nand kept\nfor a whale\n");
    CHECK(!dataset_reopen(in_dir("run/data"), t, ALL_SOURCES, &err) && err.status == LITHE_EMISMATCH);
    CHECK_MSG(strstr(err.text, "text.txt: has changed"), "%s", err.text);
    err = (lithe_error){ 0 };
    d = dataset_reopen(in_dir("run/data"), t, NO_SOURCES, &err);
    CHECK(d);
    lithe_dataset_close(d);
    CHECK(!unlink(in_dir("text.txt")));
    d = dataset_reopen(in_dir("run/data"), t, ALL_SOURCES, &err);
    CHECK_MSG(d, "%s", err.text);
    lithe_dataset_close(d);
    CHECK(!rename(in_dir("run/data/valid.shard"), in_dir("run/data/train.shard")));
    CHECK(!dataset_reopen(in_dir("run/data"), t, ALL_SOURCES, &err));
    lithe_tokenizer_close(t);
    lithe_tokenizer_close(other);
}

static void a_temporary_dataset_leaves_nothing(void)
{
    lithe_error err = { 0 };
    lithe_tokenizer *t = bytes_tokenizer();
    put_text_file("text.txt", "some lines\nof text\nto be read\nand kept\nfor a while\n");
    CHECK(!mkdir(in_dir("tmp"), 0700));
    setenv("TMPDIR", in_dir("tmp"), 1);
    char name[600];
    const char *path = name;
    snprintf(name, sizeof name, "%s", in_dir("text.txt"));
    lithe_dataset *d = lithe_dataset_open(&path, 1, NULL, t, NULL, &err);
    CHECK_MSG(d && !dir_is_empty(in_dir("tmp"), NULL), "%s", err.text);
    lithe_dataset_close(d);
    CHECK(dir_is_empty(in_dir("tmp"), NULL) == 1);
    CHECK(!lithe_dataset_open(&path, 1, NULL, t, &LITHE_OPTIONS(lithe_data_options, .valid_share = -1), &err) && dir_is_empty(in_dir("tmp"), NULL) == 1);
    lithe_tokenizer_close(t);
}

/* Cutting a long document for the tokenizer must not show in its ids. */
static void check_long_document(const lithe_tokenizer *t)
{
    const size_t lines = 60000;
    char *text = calloc(lines, 60);
    size_t used = 0;
    for (size_t i = 0; i < lines; i++)
        used += (size_t)sprintf(text + used, "%sthe cat %zu sat on %llu mats.%s\n", i % 7 ? "" : "  ", i, (unsigned long long)random_u64(3, i), i % 5 ? "" : "\n");
    put_file("long.txt", text, used);
    put_text_file("held.txt", "the rest\n");
    char held[600];
    snprintf(held, sizeof held, "%s", in_dir("held.txt"));
    lithe_dataset *d = open_dataset("long.txt", "long", t, &LITHE_OPTIONS(lithe_data_options, .valid = held));
    if (d) {
        size_t first = text_of(d)->train.header.open_id >= 0, n = lithe_encode(t, text, used, 0, NULL, 0);
        int32_t *ids = malloc(n * sizeof *ids), *read = malloc(n * sizeof *read);
        lithe_encode(t, text, used, 0, ids, n);
        CHECK_MSG(text_of(d)->train.header.tokens >= first + n && shard_document_end(&text_of(d)->train, 0) - first - (text_of(d)->train.header.close_id >= 0) == n,
                  "%llu tokens, whole %zu", (unsigned long long)text_of(d)->train.header.tokens, n);
        if (text_of(d)->train.header.tokens >= first + n) {
            shard_ids(&text_of(d)->train, first, n, read);
            CHECK(!memcmp(ids, read, n * sizeof *ids));
        }
        free(ids);
        free(read);
    }
    lithe_dataset_close(d);
    free(text);
}

static void long_documents(void)
{
    lithe_tokenizer *t = learned_tokenizer();
    check_long_document(t);
    lithe_tokenizer_close(t);
}

static void long_documents_of_a_character_vocabulary(void)
{
    lithe_error err = { 0 };
    lithe_tokenizer *t = lithe_tokenizer_open(test_data("checkpoints/stories260K/tok512.bin"), &err);
    CHECK_MSG(t, "%s", err.text);
    if (t) check_long_document(t);
    lithe_tokenizer_close(t);
}

/* ---- windows ----------------------------------------------------------------------- */

static lithe_dataset *numbered(const char *name, const lithe_tokenizer *t, int lines, int reset)
{
    char *text = calloc(1, (size_t)lines * 40 + 1), *end = text;
    for (int i = 0; i < lines; i++) end += sprintf(end, "{\"text\": \"document number %d\"}\n", i);
    put_text_file(name, text);
    free(text);
    return open_dataset(name, "numbered", t, &LITHE_OPTIONS(lithe_data_options, .reset_attention = reset));
}

static void training_windows(void)
{
    enum { CTX = 64 };
    int32_t ids[CTX], targets[CTX], starts[CTX], again[CTX];
    lithe_tokenizer *t = learned_tokenizer();
    lithe_dataset *d = numbered("n.jsonl", t, 500, 0);
    if (!d) return;
    uint64_t tokens = text_of(d)->train.header.tokens, windows = text_windows(text_of(d), CTX), differing = 0;
    CHECK(windows == (tokens - 1) / CTX - 1);
    int32_t *all = malloc(sizeof *all * tokens);
    unsigned char *seen = malloc(tokens);
    shard_ids(&text_of(d)->train, 0, tokens, all);
    for (uint64_t epoch = 0; epoch < 3; epoch++) {
        memset(seen, 0, tokens);
        for (uint64_t i = 0; i < windows; i++) {
            CHECK(text_window(text_of(d), 5, epoch * windows + i, CTX, ids, targets, starts) == 1 && starts[0] == 0);
            CHECK(!memcmp(ids + 1, targets, sizeof ids - sizeof *ids));
            uint64_t at = 0, room = tokens - windows * CTX;
            /* the stretch it came from, by looking: the offset is the same for all */
            for (at = 0; at + CTX < tokens; at++) if (!seen[at] && !memcmp(all + at, ids, sizeof ids) && all[at + CTX] == targets[CTX - 1]) break;
            CHECK(at + CTX < tokens && room <= 2 * CTX);
            if (at + CTX < tokens) for (int k = 0; k < CTX; k++) { CHECK(!seen[at + (uint64_t)k]); seen[at + (uint64_t)k] = 1; }
            text_window(text_of(d), 5, (epoch + 1) * windows + i, CTX, again, targets, starts);
            differing += memcmp(ids, again, sizeof ids) != 0;
        }
    }
    CHECK_MSG(differing > 2 * windows, "%llu of %llu", (unsigned long long)differing, (unsigned long long)(3 * windows));
    text_window(text_of(d), 5, 17, CTX, ids, targets, starts);
    text_window(text_of(d), 5, 17, CTX, again, targets, starts);
    CHECK(!memcmp(ids, again, sizeof ids));
    text_window(text_of(d), 6, 17, CTX, again, targets, starts);
    CHECK(memcmp(ids, again, sizeof ids));
    free(all);
    free(seen);
    lithe_dataset_close(d);
    lithe_tokenizer_close(t);
}

static void data_shorter_than_a_window(void)
{
    lithe_error err = { 0 };
    lithe_tokenizer *t = bytes_tokenizer();
    put_text_file("short.txt", "exactly forty bytes of text, ten a line.");
    lithe_dataset *d = open_dataset("short.txt", "short", t, NULL);
    if (!d) return;
    int tokens = (int)text_of(d)->train.header.tokens;
    int32_t ids[64], targets[64], starts[64];
    CHECK(text_check(text_of(d), tokens - 1, &err) == LITHE_OK && text_windows(text_of(d), tokens - 1) == 1);
    for (uint64_t sample = 0; sample < 5; sample++) CHECK(text_window(text_of(d), 1, sample, tokens - 1, ids, targets, starts) == 1);
    CHECK(text_check(text_of(d), tokens, &err) == LITHE_EINVAL);
    char held[40], needed[40];
    snprintf(held, sizeof held, "has %d tokens", tokens);
    snprintf(needed, sizeof needed, "at least %d", tokens + 1);
    CHECK_MSG(strstr(err.text, held) && strstr(err.text, needed), "%s", err.text);
    lithe_dataset_close(d);
    lithe_tokenizer_close(t);
}

static void documents_in_a_window(void)
{
    enum { CTX = 100 };
    int32_t ids[CTX], targets[CTX], starts[CTX];
    lithe_tokenizer *t = learned_tokenizer();
    lithe_dataset *d = numbered("r.jsonl", t, 300, 1);
    if (!d) return;
    for (uint64_t i = 0; i < text_windows(text_of(d), CTX); i++) {
        int n = text_window(text_of(d), 1, i, CTX, ids, targets, starts), k = 1;
        CHECK(n > 1 && starts[0] == 0);
        for (int at = 1; at < CTX; at++) {
            bool begins = ids[at] == text_of(d)->train.header.open_id;
            CHECK(begins == (k < n && starts[k] == at));
            k += begins;
        }
        CHECK(k == n);
    }
    lithe_dataset_close(d);
    lithe_tokenizer_close(t);
}

static void validation_windows(void)
{
    enum { CTX = 50 };
    int32_t ids[CTX], targets[CTX], starts[CTX];
    lithe_tokenizer *t = learned_tokenizer();
    lithe_dataset *d = numbered("v.jsonl", t, 400, 0);
    if (!d) return;
    uint64_t tokens = text_of(d)->valid.header.tokens;
    int32_t *all = malloc(sizeof *all * tokens);
    shard_ids(&text_of(d)->valid, 0, tokens, all);
    const int strides[] = { 0, 50, 49, 25, 7, 1 };
    for (int i = 0; i < 6; i++) {
        uint64_t next = 1, n = text_valid_windows(text_of(d), CTX, strides[i]);
        for (uint64_t w = 0; w < n; w++) {
            valid_window v = text_valid_window(text_of(d), w, CTX, strides[i], ids, targets, starts);
            CHECK(v.length > v.scored && v.length <= CTX && v.sequences == 1);
            for (int k = v.scored; k < v.length; k++, next++)
                CHECK(next < tokens && targets[k] == all[next] && ids[k] == all[next - 1]);
        }
        CHECK_MSG(next == tokens, "stride %d: %llu of %llu", strides[i], (unsigned long long)next, (unsigned long long)tokens);
    }
    CHECK(fabs(dataset_valid_bytes(d, tokens - 1) - (double)lithe_dataset_bytes(d, 1)) < 1e-9);
    CHECK(text_valid_windows(text_of(d), 1 << 20, 0) == 1);
    free(all);
    lithe_dataset_close(d);
    lithe_tokenizer_close(t);
}

const test tests_data_sets[] = {
    { "data: one document is cut", one_document_is_cut },
    { "data: many documents are held out whole", many_documents_are_held_out_whole },
    { "data: a few long documents are not lost", a_few_long_documents_are_not_lost },
    { "data: single bytes", single_bytes },
    { "data: a named validation file", a_named_validation_file },
    { "data: datasets refuse", datasets_refuse },
    { "data: found again unless changed", found_again_unless_changed },
    { "data: a temporary dataset leaves nothing", a_temporary_dataset_leaves_nothing },
    { "data: long documents", long_documents },
    { "data: long documents of a character vocabulary", long_documents_of_a_character_vocabulary },
    { "data: training windows", training_windows },
    { "data: data shorter than a window", data_shorter_than_a_window },
    { "data: documents in a window", documents_in_a_window },
    { "data: validation windows", validation_windows },
    { 0 }
};
