/* Text to documents to shards. */
#include "lithe_tools.h"
#include "base/utf8.h"
#include "base/json.h"
#include "base/random.h"
#include "data/corpus.h"
#include "data/shard.h"
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

/* The documents of paths, each with '|' after it; or the error in `text`. */
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
    put_text_file("d/b.txt", "second");
    put_text_file("d/a/z.jsonl", "{\"text\": \"one\"}\r\n\n  \n{\"id\": 3, \"text\": \"tw\\u00f6\\n\"}\n{\"text\": \"\"}\n{\"text\": \"three\"}");
    put_text_file("d/c.txt", "\xef\xbb\xbfthird\n");
    put_text_file("d/notes.md", "not read");
    put_text_file("d/.hidden.txt", "not read");
    put_text_file("d/empty.txt", "");
    put_text_file("e/notes.md", "read when named");
    CHECK(!symlink("..", in_dir("d/a/up")));
    check_documents("d", "one|tw\xc3\xb6\n|three|second|third\n|");
    check_documents("e/notes.md", "read when named|");
    check_documents("d/empty.txt", "");
    const char *both[] = { in_dir("e/notes.md"), in_dir("d/b.txt") };
    CHECK(read_all(both, 2, false, text, sizeof text) == LITHE_OK && !strcmp(text, "read when named|second|"));
    CHECK(read_all(both, 0, false, text, sizeof text) == LITHE_EINVAL);
}

static void check_rows(const char *name, const char *expected)
{
    lithe_error err = { 0 };
    size_t n = 0, at = 0;
    char *rows = lithe_text_rows(in_dir(name), &n, &err), shown[300] = "";
    CHECK_MSG(rows, "%s", err.text);
    for (size_t i = 0; rows && i < n; i++) {
        snprintf(shown + strlen(shown), sizeof shown - strlen(shown), "%s|", rows + at);
        at += strlen(rows + at) + 1;
    }
    CHECK_MSG(!strcmp(shown, expected), "%s: %s", name, shown);
    free(rows);
}

/* Each line is a row, and of .jsonl the text of each object, packed or not; all of a file is one text. */
static void rows_of_files(void)
{
    static const char plain[] = "\xef\xbb\xbfone\r\n\n two\tb\nthree", objects[] = "{\"text\": \"one\", \"n\": 1}\n{\"text\": \"\"}\n\n{\"text\": \"a\\nb\"}\n";
    char packed[300];
    lithe_error err = { 0 };
    size_t n;
    put_file("r.txt", plain, sizeof plain - 1);
    put_file("r.txt.gz", packed, gzip(plain, sizeof plain - 1, packed, sizeof packed));
    put_file("r.jsonl", objects, sizeof objects - 1);
    put_file("named.md", packed, gzip(plain, sizeof plain - 1, packed, sizeof packed));
    put_text_file("none.txt", "");
    check_rows("r.txt", "one|| two\tb|three|");
    check_rows("r.txt.gz", "one|| two\tb|three|");
    check_rows("named.md", "one|| two\tb|three|");
    check_rows("r.jsonl", "one||a\nb|");
    check_rows("none.txt", "");
    char *text = lithe_text_file(in_dir("r.txt.gz"), &n, &err);
    CHECK(text && n == sizeof plain - 4 && !memcmp(text, plain + 3, n));
    free(text);
    text = lithe_text_file(in_dir("r.jsonl"), &n, &err);
    CHECK(text && n == sizeof objects - 1 && !memcmp(text, objects, n));
    free(text);
    char controls[1200];
    for (size_t i = 0; i < sizeof controls; i++) controls[i] = "\1\2\3 binary \177"[i % 12];
    put_file("controls.txt", controls, sizeof controls);
    err = (lithe_error){ 0 };
    CHECK(!lithe_text_read((const char *[]){ in_dir("controls.txt") }, 1, 1 << 20, &n, &err) && strstr(err.text, "400 of its 1200 bytes"));
    put_file("short.txt", controls, 12);                    /* of which little can be said */
    err = (lithe_error){ 0 };
    free(lithe_text_read((const char *[]){ in_dir("short.txt") }, 1, 1 << 20, &n, &err));
    CHECK_MSG(!err.status, "%s", err.text);
    put_file("terminal.txt", "\33[1mbold\33[0m\b\f\r\n\t", 17);
    err = (lithe_error){ 0 };
    free(lithe_text_read((const char *[]){ in_dir("terminal.txt") }, 1, 1 << 20, &n, &err));
    CHECK_MSG(!err.status, "%s", err.text);
    static const struct { const char *bytes; size_t n; const char *complaint; } bad[] = {
        { "BZh91AY", 7, "bzip2" }, { "\xfd" "7zXZ\0...", 9, "xz" }, { "PK\3\4....", 8, "zip" }, { "\xff\xfeh\0i\0", 6, "UTF-16" }, { "a\nb\0c\n", 6, "NUL" } };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        err = (lithe_error){ 0 };
        put_file("bad.txt", bad[i].bytes, bad[i].n);
        CHECK_MSG(!lithe_text_rows(in_dir("bad.txt"), &n, &err) && strstr(err.text, bad[i].complaint), "%s: %s", bad[i].complaint, err.text);
    }
}

static void packed_documents(void)
{
    static char text[300000], packed[300000], lines[200000];
    size_t n, used = 0;
    for (size_t i = 0; i < sizeof text; i++) text[i] = (char)('a' + random_u64(1, i) % 26);
    n = gzip("first ", 6, packed, sizeof packed);
    n += gzip("second", 6, packed + n, sizeof packed - n);
    put_file("a.txt.gz", packed, n);
    check_documents("a.txt.gz", "first second|");
    put_file("cut.txt.gz", packed, n - 3);
    check_refused("cut.txt.gz", "in the middle");
    memset(packed + n, 0, 700);
    put_file("padded.txt.gz", packed, n + 512);             /* zeros to the end of a block */
    check_documents("padded.txt.gz", "first second|");
    packed[n + 600] = 1;
    put_file("rest.txt.gz", packed, n + 700);
    check_refused("rest.txt.gz", "damaged gzip");
    packed[20] ^= 1;
    put_file("bad.txt.gz", packed, n);
    check_refused("bad.txt.gz", "damaged gzip");
    n = ZSTD_compress(packed, sizeof packed, "from zstd", 9, 3);
    put_file("a.txt.zst", packed, n);
    check_documents("a.txt.zst", "from zstd|");
    put_file("cut.txt.zst", packed, n - 1);
    check_refused("cut.txt.zst", "in the middle");
    put_text_file("plain.txt.zst", "not packed");
    check_refused("plain.txt.zst", "damaged zstd");
    put_file("none.txt.gz", "", 0);
    check_refused("none.txt.gz", "is empty");
    put_file("unnamed.txt", packed, gzip("by content", 10, packed, sizeof packed));     /* packed, whatever its name */
    check_documents("unnamed.txt", "by content|");
    put_file("a.txt.xz", "\xfd" "7zXZ\0\0\4\xe6", 9);
    check_refused("a.txt.xz", "file of xz");
    put_file("a.zip", "PK\3\4\24\0\0\0", 8);
    check_refused("a.zip", "file of zip");
    put_file("b.txt", "BZh91AY&SY", 10);
    check_refused("b.txt", "file of bzip2");

    lithe_error err = { 0 };
    for (int i = 0; i < 5000; i++) used += (size_t)snprintf(lines + used, sizeof lines - used, "{\"text\": \"line %d\"}\n", i);
    put_file("l.jsonl.gz", packed, gzip(lines, used, packed, sizeof packed));
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
    if (!zeros || !packed) { CHECK(zeros && packed); free(zeros); free(packed); return; }
    memset(zeros, 'a', size);
    put_file("bomb.txt.zst", packed, ZSTD_compress(packed, size / 100, zeros, size, 1));
    check_refused("bomb.txt.zst", "have grown to more than");
    put_file("bomb.jsonl.gz", packed, gzip(zeros, size, packed, size / 100));
    check_refused("bomb.jsonl.gz", "have grown to more than");
    free(zeros);
    free(packed);
}

static void refusals(void)
{
    char nuls[400] = "MZ";
    put_file("prog.txt", nuls, sizeof nuls);
    check_refused("prog.txt", "a binary file");
    put_text_file("bad.txt", "\xef\xbb\xbf" "good\xff");
    check_refused("bad.txt", "byte 0xff at offset 7");
    put_file("wide.txt", "\xff\xfeh\0i\0", 6);
    check_refused("wide.txt", "UTF-16");
    put_text_file("l1.jsonl", "{\"text\": \"a\"}\n{\"txt\": \"a\"}\n");
    check_refused("l1.jsonl", "l1.jsonl:2: the object has no `text`");
    put_text_file("l2.jsonl", "\n[1]\n");
    check_refused("l2.jsonl", "l2.jsonl:2: not a JSON object");
    put_text_file("l3.jsonl", "{\"text\": 3}\n");
    check_refused("l3.jsonl", "l3.jsonl:1: its `text` is not a string");
    put_text_file("l4.jsonl", "{\"text\": \"a\"}\n{\"text\": \"a\n\"}\n");
    check_refused("l4.jsonl", "l4.jsonl:2: ");
    put_text_file("l5.jsonl", "{\"text\": \"a\", \"text\": \"b\"}");
    check_refused("l5.jsonl", "duplicate");
    put_text_file("all.json", "[]");
    check_refused("all.json", "give .jsonl");
    put_text_file("none/notes.md", "x");
    check_refused("none", "no .txt or .jsonl files");
    check_refused("absent.txt", "no such file");
    if (geteuid()) {
        put_text_file("locked.txt", "x");
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
    put_text_file("t/a.txt", "one\ntwo\n");
    put_text_file("t/b.txt", "three\nfour\nfive");
    const char *path = in_dir("t");
    char *text = corpus_text(&path, 1, 18, &size, &err);
    CHECK_MSG(text && !strcmp(text, "one\ntwo\n\n\nthree\n") && size == strlen(text), "%s%s", text ? text : "", err.text);
    free(text);
    put_text_file("t2/a.txt", "");
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
        put_file("bad", bytes, size);
        CHECK_MSG(shard_open(&s, in_dir("bad"), &err) == LITHE_EFORMAT, "byte %zu changed: %s", i, err.text);
        bytes[i] ^= 0x10;
        err = (lithe_error){ 0 };
        put_file("bad", bytes, i);
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

const test tests_data[] = {
    { "data: UTF-8", utf8 },
    { "data: documents of files", documents_of_files },
    { "data: packed documents", packed_documents },
    { "data: rows of files", rows_of_files },
    { "data: bombs", bombs },
    { "data: refusals", refusals },
    { "data: standard input", standard_input },
    { "data: text for a tokenizer", text_for_a_tokenizer },
    { "data: shards round trip", shards_round_trip },
    { "data: damaged shards", damaged_shards },
    { 0 }
};
