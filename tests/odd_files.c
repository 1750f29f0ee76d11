/* What a system may do and seldom does: calls that are interrupted, that read or write less than was asked, that find
 * something else than was there a moment ago; and files and names of an odd kind. */
#include "base/file.h"
#include "base/gguf_keys.h"
#include "base/json.h"
#include "base/keys.h"
#include "base/partial.h"
#include "base/random.h"
#include "base/system.h"
#include "data_files.h"
#include "lithe_tools.h"
#include "test.h"
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static system_calls usual;
static int calls;

/* ---- reading and writing ------------------------------------------------------------------------ */

static ssize_t read_a_byte(int fd, void *to, size_t size)
{
    if (calls++ % 2 == 0) { errno = EINTR; return -1; }
    return usual.read(fd, to, size ? 1 : 0);
}

static ssize_t read_nothing_more(int fd, void *to, size_t size) { return calls++ ? 0 : usual.read(fd, to, size / 2); }

static void reading_is_interrupted(void)
{
    lithe_error e = { 0 };
    size_t size;
    usual = os;
    put_text_file("x", "ten bytes.");
    os.read = read_a_byte;
    char *text = file_read(in_dir("x"), 100, &size, &e);
    CHECK_MSG(text && size == 10 && !strcmp(text, "ten bytes."), "%s", e.text);
    free(text);
    calls = 0;
    os.read = read_nothing_more;                        /* it was cut meanwhile */
    text = file_read(in_dir("x"), 100, &size, &e);
    CHECK_MSG(text && size == 5 && !strcmp(text, "ten b"), "%s", e.text);
    free(text);
    os = usual;
}

static ssize_t write_a_byte(int fd, const void *from, size_t size)
{
    const int reasons[] = { EINTR, EFAULT };
    if (calls++ % 3 < 2) { errno = reasons[(calls - 1) % 3]; return -1; }
    return usual.write(fd, from, size ? 1 : 0);
}

static void writing_is_interrupted(void)
{
    lithe_error e = { 0 };
    size_t size;
    usual = os;
    calls = 0;
    os.write = write_a_byte;
    CHECK(!file_write(in_dir("x"), "ten bytes.", 10, &e));
    os = usual;
    char *text = file_read(in_dir("x"), 100, &size, &e);
    CHECK_MSG(text && size == 10 && !strcmp(text, "ten bytes."), "%s", e.text);
    free(text);
}

static void copies(void)
{
    lithe_error e = { 0 };
    put_text_file("x", "bytes");
    put_text_file("same", "bytes");
    put_text_file("other", "bytez");
    put_text_file("longer", "bytes.");
    put_text_file("empty", "");
    CHECK(!file_copy(in_dir("x"), in_dir("copy"), &e) && !file_copy(in_dir("empty"), in_dir("nothing"), &e));
    CHECK(file_same(in_dir("x"), in_dir("copy")) && file_same(in_dir("x"), in_dir("same")) && file_same(in_dir("empty"), in_dir("nothing")));
    CHECK(!file_same(in_dir("x"), in_dir("other")) && !file_same(in_dir("x"), in_dir("longer")) && !file_same(in_dir("x"), in_dir("absent")) && !file_same(in_dir("absent"), in_dir("x")));
    CHECK(file_copy(in_dir("x"), in_dir("absent/copy"), &e) == LITHE_EIO && strstr(e.text, "no such file or directory"));
}

static void holes(void)
{
    enum { MIB = 1 << 20 };
    lithe_error e = { 0 };
    const char *path = in_dir("hole");
    char *data = calloc(1, MIB);
    memset(data, 'x', MIB);
    put_file("hole", data, MIB);
    CHECK(!truncate(path, 200 * MIB) && !refuse_sparse(path, 200 * MIB, &e));       /* a MiB is enough for so many */
    CHECK(!truncate(path, 4096) && !truncate(path, 200 * MIB));
    CHECK(refuse_sparse(path, 200 * MIB, &e) == LITHE_EFORMAT && strstr(e.text, "is 209715200 bytes, but only 4096 of them are stored, and the rest is a hole: refused"));
    CHECK(!refuse_sparse(path, MIB, NULL));
    free(data);
}

/* ---- directories ---------------------------------------------------------------------------------- */

static int refuse_unlinkat(int dir, const char *name, int flags)
{
    if (flags == AT_REMOVEDIR || !strcmp(path_base(name), "kept")) { errno = EBUSY; return -1; }
    return usual.unlinkat(dir, name, flags);
}

static int mkdir_after_another(const char *path, mode_t mode)
{
    usual.mkdir(path, mode);
    errno = EEXIST;
    return -1;
}

static int mkdir_of_nobody(const char *path, mode_t mode) { (void)path; (void)mode; errno = EEXIST; return -1; }
static int open_nothing(const char *path, int flags, mode_t mode) { (void)path; (void)flags; (void)mode; errno = calls; return -1; }
static int sync_nothing(int fd) { (void)fd; errno = calls; return -1; }

static void directories(void)
{
    lithe_error e = { 0 };
    usual = os;
    os.mkdir = mkdir_after_another;
    CHECK(!dir_make(in_dir("a/b"), &e) && path_is_dir(in_dir("a/b")));
    os.mkdir = mkdir_of_nobody;
    CHECK(dir_make(in_dir("c"), &e) == LITHE_EIO && strstr(e.text, "cannot make directory"));
    os = usual;
    e = (lithe_error){ 0 };
    put_text_file("a/b/kept", "");
    os.unlinkat = refuse_unlinkat;
    CHECK(dir_remove(in_dir("a"), &e) == LITHE_EIO && strstr(e.text, "cannot remove") && path_exists(in_dir("a/b/kept")));
    os = usual;
    CHECK(!unlink(in_dir("a/b/kept")));
    os.unlinkat = refuse_unlinkat;
    e = (lithe_error){ 0 };
    CHECK(dir_remove(in_dir("a"), &e) == LITHE_EIO);
    os = usual;
    os.open = open_nothing;
    calls = EACCES;
    e = (lithe_error){ 0 };
    CHECK(!dir_sync(test_dir(), &e));
    calls = ENFILE;
    CHECK(dir_sync(test_dir(), &e) == LITHE_ENOMEM && strstr(e.text, "too many files are open"));
    os = usual;
    os.fsync = sync_nothing;
    for (int i = 0; i < 3; i++) {
        calls = (const int[]){ EINVAL, EROFS, EIO }[i];
        e = (lithe_error){ 0 };
        CHECK(dir_sync(test_dir(), &e) == (i < 2 ? LITHE_OK : LITHE_EIO));
    }
    os = usual;
}

static void deep_directories(void)
{
    lithe_error e = { 0 };
    char here[4096];
    CHECK(getcwd(here, sizeof here) && !mkdir(in_dir("deep"), 0777) && !chdir(in_dir("deep")));
    for (int i = 0; i < 140; i++) CHECK(!mkdir("d", 0777) && !chdir("d"));
    CHECK(!chdir(here));
    CHECK(dir_remove(in_dir("deep"), &e) == LITHE_EIO && strstr(e.text, "nested more than 128 deep, not removed"));
}

static void links(void)
{
    lithe_error e = { 0 };
    put_text_file("file", "");
    CHECK(!symlink("file", in_dir("link")) && !symlink("absent", in_dir("dangling")) && !symlink("loop", in_dir("loop")));
    char *to = path_follow(in_dir("link"), &e), *dangling = path_follow(in_dir("dangling"), &e), *loop = path_follow(in_dir("loop"), &e);
    CHECK(!strcmp(path_base(to), "file") && !strcmp(path_base(dangling), "dangling") && !strcmp(path_base(loop), "loop"));
    CHECK(!strcmp(path_base("a/b/"), "a/b/") && !strcmp(path_base("b"), "b"));
    free(to);
    free(dangling);
    free(loop);
}

/* ---- hashes ------------------------------------------------------------------------------------------ */

static int progressed;
static int tell(void *context, const char *what, double done, double all)
{
    (void)what;
    progressed++;
    return context && done >= all / 2;
}

static void long_hashes(void)
{
    enum { SIZE = (70 << 20) + 3 };
    lithe_error e = { 0 };
    uint8_t *bytes = malloc(SIZE);
    char whole[33], parts[33];
    for (size_t i = 0; i < SIZE; i += 64) bytes[i] = (uint8_t)(i >> 6);
    for (size_t i = 0; i < SIZE; i++) if (i % 64) bytes[i] = 7;
    lithe_on_progress(tell, NULL);
    hash_hex(bytes, SIZE, whole);
    CHECK(!hash_long(bytes, SIZE, parts, &e) && !strcmp(whole, parts));
    lithe_on_progress(tell, &progressed);
    CHECK(hash_long(bytes, SIZE, parts, &e) == LITHE_ECANCELLED && !*parts);
    lithe_on_progress(NULL, NULL);
    free(bytes);
}

/* ---- what others left ----------------------------------------------------------------------------------- */

static int mkdir_taken_once(const char *path, mode_t mode)
{
    if (calls++) return usual.mkdir(path, mode);
    errno = EEXIST;
    return -1;
}

static void left_by_others(void)
{
    enum { NOBODY = 999999999 };                        /* above every number that a process can have */
    static const char *const kept[] = { ".lithe", ".lithe-", ".lithe-x-0", ".lithe--3-0", ".lithe-12", ".other-999999999-0" };
    lithe_error e = { 0 };
    char dead[40], mine[40], held[40];
    partial_dir made;
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++) put_text_file(kept[i], "");
    snprintf(dead, sizeof dead, ".lithe-%d-0", NOBODY);
    snprintf(held, sizeof held, ".lithe-%d-1", NOBODY);
    snprintf(mine, sizeof mine, ".lithe-%d-9", (int)getpid());
    put_text_file(dead, "");
    put_text_file(held, "");
    put_text_file(mine, "");
    char linked[40];
    snprintf(linked, sizeof linked, ".lithe-%d-2", NOBODY);
    CHECK(!symlink(dead, in_dir(linked)));
    int fd = open(in_dir(held), O_RDONLY);
    CHECK(fd >= 0 && !flock(fd, LOCK_EX));
    partial_sweep(test_dir(), ".lithe");
    CHECK(!path_exists(in_dir(dead)) && path_exists(in_dir(mine)) && path_exists(in_dir(held)));
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++) CHECK_MSG(path_exists(in_dir(kept[i])), "%s", kept[i]);
    close(fd);
    partial_sweep(test_dir(), ".lithe");
    CHECK(!path_exists(in_dir(held)));
    partial_sweep(in_dir("absent"), ".lithe");
    usual = os;
    calls = 0;
    os.mkdir = mkdir_taken_once;
    CHECK(!partial_make(&made, test_dir(), ".x", &e) && path_is_dir(made.path));
    os = usual;
    partial_remove(&made);
    CHECK(partial_make(&made, in_dir("absent"), ".x", &e) == LITHE_EIO && !made.path);
    partial_remove(&made);
}

static void temporary_places(void)
{
    setenv("TMPDIR", "", 1);
    CHECK(!strcmp(temporary_parent(), "/tmp"));
    setenv("TMPDIR", "/elsewhere", 1);
    CHECK(!strcmp(temporary_parent(), "/elsewhere"));
    unsetenv("TMPDIR");
    CHECK(!strcmp(temporary_parent(), "/tmp"));
}

static volatile sig_atomic_t signalled;
static void on_signal(int number) { signalled += number == SIGBUS; }
static void on_signal_with_reasons(int number, siginfo_t *info, void *context) { (void)context; signalled += number == SIGBUS && info; }

/* A signal that a process sends goes to who handled it before, in either form. */
static void sent_signals(void)
{
    lithe_error e = { 0 };
    struct sigaction act = { .sa_handler = on_signal };
    CHECK(!sigaction(SIGBUS, &act, NULL) && !lithe_guard_files(&e) && !lithe_guard_files(&e) && !raise(SIGBUS) && signalled == 1);
}

static void sent_signals_with_reasons(void)
{
    lithe_error e = { 0 };
    struct sigaction act = { .sa_sigaction = on_signal_with_reasons, .sa_flags = SA_SIGINFO };
    CHECK(!sigaction(SIGBUS, &act, NULL) && !lithe_guard_files(&e) && !raise(SIGBUS) && signalled == 1);
}

/* ---- numbers and texts ------------------------------------------------------------------------------------- */

static void odd_json(void)
{
    lithe_error e = { 0 };
    char digits[500];
    int n = 5;
    snprintf(digits, sizeof digits, "[%0400d]", 1);
    json_t *v = json_parse(digits, strlen(digits), 2, "x", &e);
    CHECK_MSG(json_string_length(json_array_get(v, 0)) == 400, "%s", e.text);      /* no number for a reader */
    json_decref(v);
    v = json_parse_pieces("{\"a\\u0000\\n\":1}", 15, 2, "x", &e);
    CHECK_MSG(json_integer_value(json_object_get(v, "a" JSON_NUL "\n")) == 1, "%s", e.text);
    json_decref(v);
    CHECK(!text_int(NULL, 0, 9, &n) && !text_int("", 0, 9, &n) && !text_int("-1", -2, 9, &n) && !text_int("10", 0, 9, &n) && !text_int("1x", 0, 9, &n) && n == 5);
    CHECK(text_int("9", 0, 9, &n) && n == 9);
}

static void keys_of_nothing(void)
{
    static const known_key known[] = { { "used", NULL }, { "any", "*" }, { "some", "null|false" }, { 0 } };
    static const char *const passes[] = { "{}", "{\"used\":3,\"any\":[1],\"some\":false}", "{\"x\":null,\"y\":false,\"z\":\"\",\"v\":[],\"w\":{}}" };
    static const char *const refused[] = { "{\"some\":true}", "{\"x\":true}", "{\"x\":\"a\"}", "{\"x\":[1]}", "{\"x\":{\"a\":1}}", "{\"x\":0}", "{\"x\":0.5}" };
    for (size_t i = 0; i < sizeof passes / sizeof *passes; i++) {
        lithe_error e = { 0 };
        json_t *o = json_loads(passes[i], 0, NULL);
        CHECK_MSG(!keys_check(o, known, "x", &e), "%s", e.text);
        json_decref(o);
    }
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        lithe_error e = { 0 };
        json_t *o = json_loads(refused[i], 0, NULL);
        CHECK_MSG(keys_check(o, known, "x", &e) == LITHE_ECONFIG && strstr(e.text, i ? "is not known" : "\"some\": true is not supported, only null|false"), "%s: %s", refused[i], e.text);
        json_decref(o);
    }
    json_t *list = json_array();
    lithe_error e = { 0 };
    CHECK(keys_check(list, known, "x", &e) == LITHE_EFORMAT && !keys_check(NULL, known, "x", NULL));
    json_decref(list);
}

/* The keys of a head that is written here. */
static gguf_keys keys_of(gguf_head *h)
{
    gguf_keys k = { 0 };
    lithe_error e = { 0 };
    store_bytes(h->bytes + 16, 8, h->count);
    CHECK_MSG(!gguf_keys_read(&k, h->bytes, h->size, "x", &e), "%s", e.text);
    return k;
}

static gguf_head begin_head(void)
{
    static const uint8_t first[24] = "GGUF\3";
    gguf_head h = { 0 };
    gguf_put_bytes(&h, first, sizeof first);
    return h;
}

static void put_texts(gguf_head *h, const char *key, const char *a, const char *b)
{
    gguf_put_array(h, key, GGUF_STRING, 2);
    gguf_put_text(h, a, strlen(a));
    gguf_put_text(h, b, strlen(b));
}

static void put_bytes(gguf_head *h, const char *key, const char *bytes)
{
    gguf_put_array(h, key, GGUF_U8, strlen(bytes));
    gguf_put_bytes(h, bytes, strlen(bytes));
}

static void put_arrays(gguf_head *h, const char *key)
{
    gguf_put_array(h, key, GGUF_ARRAY, 1);
    gguf_put_bytes(h, (const uint8_t[12]){ GGUF_U8 }, 12);
}

/* Every key equals itself and no other of its type; arrays of arrays equal none. */
static void equal_keys(void)
{
    gguf_head h = begin_head();
    gguf_put_string(&h, "a1", "ab", 2);
    gguf_put_string(&h, "a2", "ac", 2);
    gguf_put_string(&h, "a3", "abc", 3);
    put_texts(&h, "b1", "a", "b");
    put_texts(&h, "b2", "a", "c");
    put_texts(&h, "b3", "a", "bc");
    put_bytes(&h, "c1", "ab");
    put_bytes(&h, "c2", "ac");
    put_arrays(&h, "d1");
    gguf_put_integer(&h, "e1", GGUF_U32, 1);
    gguf_put_integer(&h, "e2", GGUF_U32, 2);
    gguf_keys k = keys_of(&h);
    for (size_t i = 0; i < k.count; i++)
        for (size_t j = 0; j < k.count; j++)
            if (k.values[i].key[0] == k.values[j].key[0]) CHECK_MSG(gguf_same(&k.values[i], &k.values[j]) == (i == j && k.values[i].key[0] != 'd'), "%s %s", k.values[i].key, k.values[j].key);
    gguf_keys_free(&k);
    gguf_head_free(&h);
}

/* The shortest decimal that is read back as the same float, even where it takes nine digits; long texts are cut. */
static void shown_keys(void)
{
    char text[100], hundred[101] = "";
    gguf_head h = begin_head();
    memset(hundred, 'x', 100);
    gguf_put_string(&h, "long", hundred, 100);
    gguf_put_number(&h, "nine", 8589973504.0);
    gguf_put_number(&h, "tenth", 0.1);
    put_bytes(&h, "list", "abc");
    gguf_put_bool(&h, "yes", true);
    gguf_keys k = keys_of(&h);
    double x;
    CHECK(gguf_number(gguf_find(&k, "tenth"), &x) && fabs(x - 0.1) <= 0 && gguf_number(gguf_find(&k, "nine"), &x) && (float)x == 8589973504.0f);
    for (uint64_t i = 0; i < 200; i++) {
        gguf_head one = begin_head();
        const float f = (float)(random_u64(11, i) % 100000000) * 1.000001f;
        gguf_put_number(&one, "f", (double)f);
        gguf_keys read = keys_of(&one);
        CHECK(gguf_number(gguf_find(&read, "f"), &x) && !memcmp(&(float){ (float)x }, &f, sizeof f));
        gguf_keys_free(&read);
        gguf_head_free(&one);
    }
    gguf_show(gguf_find(&k, "long"), text, sizeof text);
    CHECK(strlen(text) == 62 && text[0] == '"');
    gguf_show(gguf_find(&k, "list"), text, sizeof text);
    CHECK(!strcmp(text, "[3]"));
    gguf_show(gguf_find(&k, "yes"), text, sizeof text);
    CHECK(!strcmp(text, "true") && !gguf_find(NULL, "x") && !gguf_find(&(gguf_keys){ 0 }, "x"));
    gguf_keys_free(&k);
    gguf_head_free(&h);
}

const test tests_odd_files[] = {
    { "odd: reading is interrupted", reading_is_interrupted },
    { "odd: writing is interrupted", writing_is_interrupted },
    { "odd: copies", copies },
    { "odd: holes", holes },
    { "odd: directories", directories },
    { "odd: deep directories", deep_directories },
    { "odd: links", links },
    { "odd: long hashes", long_hashes },
    { "odd: what others left", left_by_others },
    { "odd: where temporary files lie", temporary_places },
    { "odd: signals that are sent", sent_signals },
    { "odd: signals that are sent, with reasons", sent_signals_with_reasons },
    { "odd: json", odd_json },
    { "odd: keys that say nothing", keys_of_nothing },
    { "odd: keys that are equal", equal_keys },
    { "odd: keys that are shown", shown_keys },
    { 0 }
};
