/* Text to documents to shards to windows. */
#include "base/utf8.h"
#include "base/json.h"
#include "base/random.h"
#include "data/corpus.h"
#include "data/data.h"
#include "test.h"
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

/* ---- files ------------------------------------------------------------------------ */

static const char *in_dir(const char *name)
{
    static char path[4][600];
    static int turn;
    turn = (turn + 1) % 4;
    snprintf(path[turn], sizeof path[turn], "%s/%s", test_dir(), name);
    return path[turn];
}

static void put(const char *name, const void *data, size_t size)
{
    lithe_error err = { 0 };
    char *parent = path_parent(in_dir(name));
    FILE *f = dir_make(parent, &err) == LITHE_OK ? fopen(in_dir(name), "wb") : NULL;
    CHECK(f && fwrite(data, 1, size, f) == size && !fclose(f));
    free(parent);
}

static void put_text(const char *name, const char *text) { put(name, text, strlen(text)); }

static size_t gzip(const void *data, size_t size, char *out, size_t cap)
{
    z_stream z = { 0 };
    deflateInit2(&z, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY);
    z.next_in = (Bytef *)(uintptr_t)data;
    z.avail_in = (uInt)size;
    z.next_out = (Bytef *)out;
    z.avail_out = (uInt)cap;
    CHECK(deflate(&z, Z_FINISH) == Z_STREAM_END);
    deflateEnd(&z);
    return z.total_out;
}

/* The documents of paths, each with '|' behind it; or the error in `text`. */
static int read_all(const char *const *paths, int n, bool any_bytes, char *text, size_t cap)
{
    lithe_error err = { 0 };
    document d;
    size_t used = 0;
    int status = LITHE_EINVAL;
    corpus *c = corpus_open(paths, n, any_bytes, &err);
    while (c && (status = corpus_next(c, &d, &err)) == 1 && used + d.size + 2 < cap) {
        memcpy(text + used, d.text, d.size);
        used += d.size;
        text[used++] = '|';
    }
    text[used] = 0;
    corpus_close(c);
    if (status < 0) snprintf(text, cap, "%s", err.text);
    return err.status;
}

static void check_documents(const char *name, const char *expected)
{
    char text[4096];
    const char *path = in_dir(name);
    CHECK_MSG(read_all(&path, 1, false, text, sizeof text) == LITHE_OK && !strcmp(text, expected), "%s: %s, expected %s", name, text, expected);
}

static void check_refused(const char *name, const char *why)
{
    char text[4096];
    const char *path = in_dir(name);
    CHECK_MSG(read_all(&path, 1, false, text, sizeof text) < 0, "%s was accepted", name);
    CHECK_MSG(strstr(text, why) && strstr(text, path_base(name)), "%s: \"%s\" does not say \"%s\"", name, text, why);
}

/* ---- documents --------------------------------------------------------------------- */

static void utf8(void)
{
    const struct { const char *text; size_t good; } cases[] = {
        { "", 0 }, { "abcdefghijk", 11 }, { "abcdefghijk\xff", 11 }, { "\xc3\xa9", 2 }, { "\xc3", 0 }, { "\xc0\x80", 0 }, { "\xe0\x9f\xbf", 0 },
        { "\xed\xa0\x80", 0 }, { "\xef\xbf\xbf", 3 }, { "\xf0\x8f\xbf\xbf", 0 }, { "\xf4\x8f\xbf\xbf", 4 }, { "\xf4\x90\x80\x80", 0 }, { "a\xe4\xb8", 1 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        CHECK_MSG(utf8_valid(cases[i].text, strlen(cases[i].text)) == cases[i].good, "case %zu", i);
}

static void documents_of_files(void)
{
    char text[4096];
    put_text("d/b.txt", "second");
    put_text("d/a/z.jsonl", "{\"text\": \"one\"}\r\n\n  \n{\"id\": 3, \"text\": \"tw\\u00f6\\n\"}\n{\"text\": \"\"}\n{\"text\": \"three\"}");
    put_text("d/c.txt", "\xef\xbb\xbfthird\n");
    put_text("d/notes.md", "not read");
    put_text("d/.hidden.txt", "not read");
    put_text("d/empty.txt", "");
    put_text("e/notes.md", "read when named");
    CHECK(!symlink("..", in_dir("d/a/up")));
    check_documents("d", "one|tw\xc3\xb6\n|three|second|third\n|");
    check_documents("e/notes.md", "read when named|");
    check_documents("d/empty.txt", "");
    const char *both[] = { in_dir("e/notes.md"), in_dir("d/b.txt") };
    CHECK(read_all(both, 2, false, text, sizeof text) == LITHE_OK && !strcmp(text, "read when named|second|"));
    CHECK(read_all(both, 0, false, text, sizeof text) == LITHE_EINVAL);
}

static void packed_documents(void)
{
    static char text[300000], packed[300000], lines[200000];
    size_t n, used = 0;
    for (size_t i = 0; i < sizeof text; i++) text[i] = (char)('a' + random_u64(1, i) % 26);
    n = gzip("first ", 6, packed, sizeof packed);
    n += gzip("second", 6, packed + n, sizeof packed - n);
    put("a.txt.gz", packed, n);
    check_documents("a.txt.gz", "first second|");
    put("cut.txt.gz", packed, n - 3);
    check_refused("cut.txt.gz", "in the middle");
    packed[20] ^= 1;
    put("bad.txt.gz", packed, n);
    check_refused("bad.txt.gz", "damaged gzip");
    n = ZSTD_compress(packed, sizeof packed, "from zstd", 9, 3);
    put("a.txt.zst", packed, n);
    check_documents("a.txt.zst", "from zstd|");
    put("cut.txt.zst", packed, n - 1);
    check_refused("cut.txt.zst", "in the middle");
    put_text("plain.txt.zst", "not packed");
    check_refused("plain.txt.zst", "damaged zstd");
    put("none.txt.gz", "", 0);
    check_refused("none.txt.gz", "is empty");

    lithe_error err = { 0 };
    for (int i = 0; i < 5000; i++) used += (size_t)snprintf(lines + used, sizeof lines - used, "{\"text\": \"line %d\"}\n", i);
    put("l.jsonl.gz", packed, gzip(lines, used, packed, sizeof packed));
    const char *path = in_dir("l.jsonl.gz");
    corpus *c = corpus_open(&path, 1, false, &err);
    for (int round = 0; round < 2; round++, corpus_rewind(c)) {
        document d;
        char expected[32];
        int i = 0;
        for (; corpus_next(c, &d, &err) == 1; i++) {
            snprintf(expected, sizeof expected, "line %d", i);
            CHECK(d.size == strlen(expected) && !memcmp(d.text, expected, d.size));
        }
        CHECK_MSG(i == 5000, "%d: %s", i, err.text);
    }
    CHECK(corpus_sources(c) == 1 && strlen(corpus_source(c, 0)->hash) == 32);
    corpus_close(c);
}

static void bombs(void)
{
    const size_t size = (size_t)96 << 20;
    char *zeros = calloc(1, size), *packed = malloc(size / 100);
    if (!zeros || !packed) { free(zeros); free(packed); CHECK(!"memory for the test"); return; }
    memset(zeros, 'a', size);
    put("bomb.txt.zst", packed, ZSTD_compress(packed, size / 100, zeros, size, 1));
    check_refused("bomb.txt.zst", "have grown to more than");
    put("bomb.jsonl.gz", packed, gzip(zeros, size, packed, size / 100));
    check_refused("bomb.jsonl.gz", "have grown to more than");
    free(zeros);
    free(packed);
}

static void refusals(void)
{
    char nuls[400] = "MZ";
    put("prog.txt", nuls, sizeof nuls);
    check_refused("prog.txt", "a binary file");
    put_text("bad.txt", "\xef\xbb\xbf" "good\xff");
    check_refused("bad.txt", "byte 0xff at offset 7");
    put("wide.txt", "\xff\xfeh\0i\0", 6);
    check_refused("wide.txt", "UTF-16");
    put_text("l1.jsonl", "{\"text\": \"a\"}\n{\"txt\": \"a\"}\n");
    check_refused("l1.jsonl", "l1.jsonl:2: the object has no `text`");
    put_text("l2.jsonl", "\n[1]\n");
    check_refused("l2.jsonl", "l2.jsonl:2: not a JSON object");
    put_text("l3.jsonl", "{\"text\": 3}\n");
    check_refused("l3.jsonl", "l3.jsonl:1: its `text` is not a string");
    put_text("l4.jsonl", "{\"text\": \"a\"}\n{\"text\": \"a\n\"}\n");
    check_refused("l4.jsonl", "l4.jsonl:2: ");
    put_text("l5.jsonl", "{\"text\": \"a\", \"text\": \"b\"}");
    check_refused("l5.jsonl", "duplicate");
    put_text("all.json", "[]");
    check_refused("all.json", "give .jsonl");
    put_text("none/notes.md", "x");
    check_refused("none", "no .txt or .jsonl files");
    check_refused("absent.txt", "no such file");
    if (geteuid()) {
        put_text("locked.txt", "x");
        CHECK(!chmod(in_dir("locked.txt"), 0));
        check_refused("locked.txt", "permission denied");
    }
    char text[200];
    const char *path = in_dir("bad.txt");
    CHECK(read_all(&path, 1, true, text, sizeof text) == LITHE_OK && !strcmp(text, "good\xff|"));
}

/* In a child whose standard input is a pipe that holds `sent`. */
static void check_stdin(const char *sent, size_t size, const char *expected)
{
    int ends[2], status = -1;
    fflush(stdout);
    CHECK(!pipe(ends) && write(ends[1], sent, size) == (ssize_t)size);
    close(ends[1]);
    pid_t child = fork();
    if (child == 0) {
        char text[300];
        const char *path = "-";
        dup2(ends[0], 0);
        for (int round = 0; round < 2; round++)
            if (read_all(&path, 1, false, text, sizeof text) || strcmp(text, expected)) { printf("        %s\n", text); fflush(stdout); _exit(1); }
        _exit(0);
    }
    close(ends[0]);
    waitpid(child, &status, 0);
    CHECK_MSG(WIFEXITED(status) && WEXITSTATUS(status) == 0, "expected %s", expected);
}

static void standard_input(void)
{
    char packed[200];
    check_stdin("{\"text\": \"a\"}\n{\"text\": \"b\"}\n", 28, "a|b|");
    check_stdin("{ int x; }\nmore\n", 16, "{ int x; }\nmore\n|");
    check_stdin(packed, gzip("packed text", 11, packed, sizeof packed), "packed text|");
    check_stdin(packed, ZSTD_compress(packed, sizeof packed, "{\"text\": \"z\"}", 13, 1), "z|");
}

static void text_for_a_tokenizer(void)
{
    lithe_error err = { 0 };
    size_t size = 0;
    put_text("t/a.txt", "one\ntwo\n");
    put_text("t/b.txt", "three\nfour\nfive");
    const char *path = in_dir("t");
    char *text = corpus_text(&path, 1, 18, &size, &err);
    CHECK_MSG(text && !strcmp(text, "one\ntwo\n\n\nthree\n\n\n") && size == strlen(text), "%s%s", text ? text : "", err.text);
    free(text);
    put_text("t2/a.txt", "");
    path = in_dir("t2");
    CHECK(!corpus_text(&path, 1, 18, &size, &err) && err.status == LITHE_EINVAL);
}

/* ---- shards ------------------------------------------------------------------------ */

static void write_shard(const char *name, const shard_header *h, uint64_t documents)
{
    shard_writer w;
    lithe_error err = { 0 };
    shard_header announced = *h;
    announced.documents = documents;
    CHECK(shard_create(&w, in_dir(name), &announced, &err) == LITHE_OK);
    for (uint64_t k = 0; k < documents; k++)
        for (int32_t part = 0; part < 2; part++) {
            int32_t ids[3] = { (int32_t)k, part, h->vocab - 1 };
            CHECK(shard_put(&w, ids, k == 1 ? 0 : 3, 5, part == 1, &err) == LITHE_OK);
        }
    CHECK_MSG(shard_commit(&w, &err) == LITHE_OK, "%s", err.text);
}

static void shards_round_trip(void)
{
    const shard_header kinds[] = { { .vocab = 300, .open_id = 299, .close_id = -1 }, { .vocab = 70000, .open_id = 1, .close_id = 2 },
                                   { .vocab = 65536, .open_id = -1, .close_id = -1 } };
    const int32_t expected[3][20] = {
        { 299, 0, 0, 299, 0, 1, 299, 299, 299, 2, 0, 299, 2, 1, 299, 299 },
        { 1, 0, 0, 69999, 0, 1, 69999, 2, 1, 2, 1, 2, 0, 69999, 2, 1, 69999, 2 },
        { 0, 0, 65535, 0, 1, 65535, 2, 0, 65535, 2, 1, 65535 },
    };
    const uint64_t tokens[3] = { 16, 18, 12 }, ends[3][3] = { { 7, 8, 15 }, { 8, 10, 18 }, { 6, 6, 12 } };
    for (int i = 0; i < 3; i++) {
        shard s;
        int32_t ids[20] = { 0 };
        lithe_error err = { 0 };
        write_shard("x.shard", &kinds[i], 3);
        CHECK_MSG(shard_open(&s, in_dir("x.shard"), &err) == LITHE_OK, "%s", err.text);
        if (err.status) continue;
        CHECK(s.header.tokens == tokens[i] && s.header.documents == 3 && s.header.text_bytes == 30 && s.header.width == (i == 1 ? 4 : 2));
        shard_ids(&s, 0, (size_t)tokens[i], ids);
        CHECK(!memcmp(ids, expected[i], sizeof ids));
        for (uint64_t k = 0; k < 3; k++) CHECK(shard_document_end(&s, k) == ends[i][k]);
        for (uint64_t at = 0; at < tokens[i]; at++) {
            uint64_t before = 0;
            for (int k = 0; k < 3; k++) before += ends[i][k] <= at;
            CHECK(shard_documents_before(&s, at) == before);
        }
        shard_close(&s);
    }
}

static void damaged_shards(void)
{
    size_t size;
    shard s;
    lithe_error err = { 0 };
    write_shard("good", &(shard_header){ .vocab = 300, .open_id = 299, .close_id = -1 }, 3);
    char *bytes = file_read(in_dir("good"), 10000, &size, &err);
    for (size_t i = 0; i < size; i++) {
        err = (lithe_error){ 0 };
        bytes[i] ^= 0x10;
        put("bad", bytes, size);
        CHECK_MSG(shard_open(&s, in_dir("bad"), &err) == LITHE_EFORMAT, "byte %zu changed: %s", i, err.text);
        bytes[i] ^= 0x10;
        err = (lithe_error){ 0 };
        put("bad", bytes, i);
        CHECK_MSG(shard_open(&s, in_dir("bad"), &err) == LITHE_EFORMAT, "cut at %zu: %s", i, err.text);
    }
    free(bytes);
    err = (lithe_error){ 0 };
    shard_writer w;
    int32_t wrong = 300;
    CHECK(shard_create(&w, in_dir("new"), &(shard_header){ .vocab = 300, .open_id = -1, .close_id = -1, .documents = 1 }, &err) == LITHE_OK);
    CHECK(shard_put(&w, &wrong, 1, 1, true, &err) == LITHE_EINVAL);
    CHECK(shard_commit(&w, &err) == LITHE_EINVAL && !path_exists(in_dir("new")));
}

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

/* All text of a shard, documents without their delimiters, '|' behind each. */
static char *text_of(const shard *s, const lithe_tokenizer *t)
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
    for (int i = 0; i < 100; i++) snprintf(text + 20 * i, 21, "line %3d of the cat\n", i);
    put_text("one.txt", text);
    lithe_dataset *d = open_dataset("one.txt", "data", t, NULL);
    if (!d) return;
    char *train = text_of(&d->train, t), *valid = text_of(&d->valid, t);
    CHECK(lithe_dataset_bytes(d, 0) == 1900 && lithe_dataset_bytes(d, 1) == 100);
    CHECK(strlen(train) == 1901 && !strncmp(train, text, 1900));
    CHECK(strlen(valid) == 101 && !strncmp(valid, text + 1900, 100));
    CHECK(lithe_dataset_tokens(d, 0) == d->train.header.tokens && d->train.header.open_id == lithe_tokenizer_eos(t));
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
    put_text("many.jsonl", lines);
    for (int round = 0; round < 2; round++) {
        lithe_dataset *d = open_dataset("many.jsonl", round ? "again" : "data", t, &(lithe_data_options){ .seed = 7 });
        if (!d) return;
        size_t train = lithe_dataset_bytes(d, 0), valid = lithe_dataset_bytes(d, 1);
        CHECK_MSG(train + valid == bytes, "%zu + %zu, expected %zu", train, valid, bytes);
        CHECK_MSG(fabs((double)valid / (double)bytes - 0.05) < 0.002, "%zu of %zu", valid, bytes);
        CHECK(d->train.header.documents + d->valid.header.documents == 2000);
        dataset_identity(d, identity[round], sizeof identity[round]);
        lithe_dataset_close(d);
    }
    CHECK_MSG(!strcmp(identity[0], identity[1]), "%s\n        %s", identity[0], identity[1]);
    lithe_dataset *d = open_dataset("many.jsonl", "other", t, &(lithe_data_options){ .seed = 8, .valid_share = 0.2 });
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
    put_text("three.jsonl", "{\"text\": \"aaaaaaaaaaaaaaaaaaaa\"}\n{\"text\": \"bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb\"}\n{\"text\": \"cccccccccccccccccccc\"}\n");
    lithe_dataset *d = open_dataset("three.jsonl", "data", t, NULL);
    if (d) {
        char *valid = text_of(&d->valid, t);
        CHECK_MSG(!strcmp(valid, "bbbb|") && d->train.header.documents == 3, "%s", valid);
        free(valid);
    }
    lithe_dataset_close(d);
    lithe_tokenizer_close(t);
}

static void single_bytes(void)
{
    lithe_tokenizer *t = learned_tokenizer();
    put_text("bytes.jsonl", "{\"text\": \"a\"}\n{\"text\": \"b\"}\n{\"text\": \"c\"}\n");
    lithe_dataset *d = open_dataset("bytes.jsonl", "data", t, NULL);
    CHECK(d && lithe_dataset_bytes(d, 0) == 2 && lithe_dataset_bytes(d, 1) == 1);
    lithe_dataset_close(d);
    lithe_tokenizer_close(t);
}

static void a_named_validation_file(void)
{
    lithe_tokenizer *t = bytes_tokenizer();
    put_text("train.txt", "all of this is for training\n");
    put_text("held.txt", "and this for validation\n");
    char held[600];
    snprintf(held, sizeof held, "%s", in_dir("held.txt"));
    lithe_dataset *d = open_dataset("train.txt", "data", t, &(lithe_data_options){ .valid = held });
    if (d) {
        char *train = text_of(&d->train, t), *valid = text_of(&d->valid, t);
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
    const struct { const char *text, *why; lithe_data_options o; } cases[] = {
        { "", "is empty, nothing to learn from", { 0 } }, { "a", "holds one byte", { 0 } }, { "ab", "at least 2 are needed", { 0 } },
        { "long enough text\n", "validation share 0.9", { .valid_share = 0.9 } }, { "long enough text\n", "absent: cannot open", { .valid = "/absent" } },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        lithe_error err = { 0 };
        put_text("x.txt", cases[i].text);
        CHECK(!lithe_dataset_open(&path, 1, in_dir("data"), t, &cases[i].o, &err));
        CHECK_MSG(err.status < 0 && strstr(err.text, cases[i].why), "case %zu: %s", i, err.text);
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
    put_text("text.txt", "some lines\nof text\nto be read\nand kept\nfor a while\n");
    lithe_dataset *d = open_dataset("text.txt", "data", t, &(lithe_data_options){ .reset_attention = 1 });
    if (!d) return;
    dataset_identity(d, before, sizeof before);
    CHECK_MSG(dataset_place(d, in_dir("run/data"), &err) == LITHE_OK, "%s", err.text);
    CHECK(dataset_place(d, in_dir("run/data"), &err) == LITHE_EIO);
    lithe_dataset_close(d);
    err = (lithe_error){ 0 };
    CHECK(dir_remove(in_dir("data"), &err) == LITHE_OK);
    d = dataset_reopen(in_dir("run/data"), t, true, &err);
    CHECK_MSG(d, "%s", err.text);
    if (!d) return;
    dataset_identity(d, after, sizeof after);
    CHECK(!strcmp(before, after) && d->reset_attention);
    lithe_dataset_close(d);

    CHECK(!dataset_reopen(in_dir("run/data"), other, true, &err) && err.status == LITHE_EMISMATCH);
    err = (lithe_error){ 0 };
    put_text("text.txt", "some lines\nof text\nto be read\nand kept\nfor a whale\n");
    CHECK(!dataset_reopen(in_dir("run/data"), t, true, &err) && err.status == LITHE_EMISMATCH);
    CHECK_MSG(strstr(err.text, "text.txt: has changed"), "%s", err.text);
    err = (lithe_error){ 0 };
    d = dataset_reopen(in_dir("run/data"), t, false, &err);
    CHECK(d);
    lithe_dataset_close(d);
    CHECK(!unlink(in_dir("text.txt")));
    d = dataset_reopen(in_dir("run/data"), t, true, &err);
    CHECK_MSG(d, "%s", err.text);
    lithe_dataset_close(d);
    CHECK(!rename(in_dir("run/data/valid.shard"), in_dir("run/data/train.shard")));
    CHECK(!dataset_reopen(in_dir("run/data"), t, true, &err));
    lithe_tokenizer_close(t);
    lithe_tokenizer_close(other);
}

static void a_temporary_dataset_leaves_nothing(void)
{
    lithe_error err = { 0 };
    lithe_tokenizer *t = bytes_tokenizer();
    put_text("text.txt", "some lines\nof text\nto be read\nand kept\nfor a while\n");
    CHECK(!mkdir(in_dir("tmp"), 0700));
    setenv("TMPDIR", in_dir("tmp"), 1);
    char name[600];
    const char *path = name;
    snprintf(name, sizeof name, "%s", in_dir("text.txt"));
    lithe_dataset *d = lithe_dataset_open(&path, 1, NULL, t, NULL, &err);
    CHECK_MSG(d && !dir_is_empty(in_dir("tmp")), "%s", err.text);
    lithe_dataset_close(d);
    CHECK(dir_is_empty(in_dir("tmp")));
    CHECK(!lithe_dataset_open(&path, 1, NULL, t, &(lithe_data_options){ .valid_share = -1 }, &err) && dir_is_empty(in_dir("tmp")));
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
    put("long.txt", text, used);
    put_text("held.txt", "the rest\n");
    char held[600];
    snprintf(held, sizeof held, "%s", in_dir("held.txt"));
    lithe_dataset *d = open_dataset("long.txt", "long", t, &(lithe_data_options){ .valid = held });
    if (d) {
        size_t first = d->train.header.open_id >= 0, n = lithe_encode(t, text, used, 0, NULL, 0);
        int32_t *ids = malloc(n * sizeof *ids), *read = malloc(n * sizeof *read);
        lithe_encode(t, text, used, 0, ids, n);
        CHECK_MSG(d->train.header.tokens >= first + n && shard_document_end(&d->train, 0) - first - (d->train.header.close_id >= 0) == n,
                  "%llu tokens, whole %zu", (unsigned long long)d->train.header.tokens, n);
        if (d->train.header.tokens >= first + n) {
            shard_ids(&d->train, first, n, read);
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
    put_text(name, text);
    free(text);
    return open_dataset(name, "numbered", t, &(lithe_data_options){ .reset_attention = reset });
}

static void training_windows(void)
{
    enum { CTX = 64 };
    int32_t ids[CTX], targets[CTX], starts[CTX], again[CTX];
    lithe_tokenizer *t = learned_tokenizer();
    lithe_dataset *d = numbered("n.jsonl", t, 500, 0);
    if (!d) return;
    uint64_t tokens = d->train.header.tokens, windows = dataset_windows(d, CTX), differing = 0;
    CHECK(windows == (tokens - 1) / CTX - 1);
    int32_t *all = malloc(sizeof *all * tokens);
    unsigned char *seen = malloc(tokens);
    shard_ids(&d->train, 0, tokens, all);
    for (uint64_t epoch = 0; epoch < 3; epoch++) {
        memset(seen, 0, tokens);
        for (uint64_t i = 0; i < windows; i++) {
            CHECK(dataset_window(d, 5, epoch * windows + i, CTX, ids, targets, starts) == 1 && starts[0] == 0);
            CHECK(!memcmp(ids + 1, targets, sizeof ids - sizeof *ids));
            uint64_t at = 0, room = tokens - windows * CTX;
            /* the stretch it came from, by looking: the offset is the same for all */
            for (at = 0; at + CTX < tokens; at++) if (!seen[at] && !memcmp(all + at, ids, sizeof ids) && all[at + CTX] == targets[CTX - 1]) break;
            CHECK(at + CTX < tokens && room <= 2 * CTX);
            if (at + CTX < tokens) for (int k = 0; k < CTX; k++) { CHECK(!seen[at + (uint64_t)k]); seen[at + (uint64_t)k] = 1; }
            dataset_window(d, 5, (epoch + 1) * windows + i, CTX, again, targets, starts);
            differing += memcmp(ids, again, sizeof ids) != 0;
        }
    }
    CHECK_MSG(differing > 2 * windows, "%llu of %llu", (unsigned long long)differing, (unsigned long long)(3 * windows));
    dataset_window(d, 5, 17, CTX, ids, targets, starts);
    dataset_window(d, 5, 17, CTX, again, targets, starts);
    CHECK(!memcmp(ids, again, sizeof ids));
    dataset_window(d, 6, 17, CTX, again, targets, starts);
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
    put_text("short.txt", "exactly forty bytes of text, ten a line.");
    lithe_dataset *d = open_dataset("short.txt", "short", t, NULL);
    if (!d) return;
    int tokens = (int)d->train.header.tokens;
    int32_t ids[64], targets[64], starts[64];
    CHECK(dataset_check(d, tokens - 1, &err) == LITHE_OK && dataset_windows(d, tokens - 1) == 1);
    for (uint64_t sample = 0; sample < 5; sample++) CHECK(dataset_window(d, 1, sample, tokens - 1, ids, targets, starts) == 1);
    CHECK(dataset_check(d, tokens, &err) == LITHE_EINVAL);
    char held[40], needed[40];
    snprintf(held, sizeof held, "holds %d tokens", tokens);
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
    for (uint64_t i = 0; i < dataset_windows(d, CTX); i++) {
        int n = dataset_window(d, 1, i, CTX, ids, targets, starts), k = 1;
        CHECK(n > 1 && starts[0] == 0);
        for (int at = 1; at < CTX; at++) {
            bool begins = ids[at] == d->train.header.open_id;
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
    uint64_t tokens = d->valid.header.tokens;
    int32_t *all = malloc(sizeof *all * tokens);
    shard_ids(&d->valid, 0, tokens, all);
    const int strides[] = { 0, 50, 49, 25, 7, 1 };
    for (int i = 0; i < 6; i++) {
        uint64_t next = 1, n = dataset_valid_windows(d, CTX, strides[i]);
        for (uint64_t w = 0; w < n; w++) {
            valid_window v = dataset_valid_window(d, w, CTX, strides[i], ids, targets, starts);
            CHECK(v.length > v.scored && v.length <= CTX && v.sequences == 1);
            for (int k = v.scored; k < v.length; k++, next++)
                CHECK(next < tokens && targets[k] == all[next] && ids[k] == all[next - 1]);
        }
        CHECK_MSG(next == tokens, "stride %d: %llu of %llu", strides[i], (unsigned long long)next, (unsigned long long)tokens);
    }
    CHECK(fabs(dataset_valid_bytes(d, tokens - 1) - (double)lithe_dataset_bytes(d, 1)) < 1e-9);
    CHECK(dataset_valid_windows(d, 1 << 20, 0) == 1);
    free(all);
    lithe_dataset_close(d);
    lithe_tokenizer_close(t);
}

const test tests_data[] = {
    { "data: UTF-8", utf8 },
    { "data: documents of files", documents_of_files },
    { "data: packed documents", packed_documents },
    { "data: bombs", bombs },
    { "data: refusals", refusals },
    { "data: standard input", standard_input },
    { "data: text for a tokenizer", text_for_a_tokenizer },
    { "data: shards round trip", shards_round_trip },
    { "data: damaged shards", damaged_shards },
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
