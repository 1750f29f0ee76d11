/* The room base: memory, threads, random numbers, files, JSON. */
#include "base/sized.h"
#include "base/arena.h"
#include "base/dir_names.h"
#include "base/partial.h"
#include "failing.h"
#include "base/system.h"
#include "base/file.h"
#include "base/writer.h"
#include "base/json.h"
#include "base/random.h"
#include "base/threads.h"
#include "lithe_tools.h"
#include "test.h"
#include "base/utf8.h"
#include <errno.h>
#include <fcntl.h>
#include <fenv.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* These tests need two settings of a sanitizer: an impossible size gives NULL, and a child may start threads. */
#define EXPORTED __attribute__((visibility("default")))
EXPORTED const char *__asan_default_options(void);
EXPORTED const char *__tsan_default_options(void);
const char *__asan_default_options(void) { return "allocator_may_return_null=1"; }
const char *__tsan_default_options(void) { return "allocator_may_return_null=1:die_after_fork=0"; }

/* ---- memory ------------------------------------------------------------------- */

static bool all_zero(const unsigned char *p, size_t n)
{
    for (size_t i = 0; i < n; i++) if (p[i]) return false;
    return true;
}

static void arenas(void)
{
    arena a = { 0 };
    const size_t sizes[] = { 0, 1, 15, 16, 17, 4096, 65536, 65537, 1 << 20, 3 };
    size_t before = allocation_count();
    for (int round = 0; round < 20; round++)
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
            unsigned char *p = arena_alloc(&a, sizes[i]);
            CHECK(p && (size_t)p % 16 == 0 && all_zero(p, sizes[i]));
            if (p) memset(p, 0xff, sizes[i]);
        }
    CHECK(allocation_count() == before + 200);
    char *text = arena_strdup(&a, "h.0.attn");
    CHECK(text && !strcmp(text, "h.0.attn"));
    CHECK(!arena_alloc(&a, SIZE_MAX));
    CHECK(!arena_alloc(&a, SIZE_MAX - 64));
    arena_free(&a);
    CHECK(!a.blocks);
}

static void big_blocks(void)
{
    const size_t sizes[] = { 0, 1, 63, 4097, ((size_t)2 << 20) - 1, (size_t)2 << 20, ((size_t)5 << 20) + 3 };
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        unsigned char *p = big_alloc(sizes[i]);
        CHECK(p && (size_t)p % 64 == 0 && all_zero(p, sizes[i]));
        if (p) memset(p, 0xff, sizes[i]);
        big_free(p, sizes[i]);
    }
    size_t big = (size_t)8 << 20, dropped = 0;
    unsigned char *q = big_alloc(big);
    memset(q, 7, big);
    big_drop(q, big, 3 << 20, 7 << 20);                     /* the whole pages in it; the bytes around them stay */
    for (size_t i = 0; i < big; i++) dropped += q[i] == 0;
    CHECK(dropped >= (1 << 20) && dropped <= (4 << 20) && q[(3 << 20) - 1] == 7 && q[7 << 20] == 7);
    big_free(q, big);
    CHECK(!big_alloc(SIZE_MAX));
    CHECK(!xalloc(SIZE_MAX, 2));
    CHECK(!xrealloc(NULL, SIZE_MAX / 2, 4));
}

/* ---- threads ------------------------------------------------------------------ */

enum { TASKS = 1000 };
typedef struct { int ran[TASKS]; bool denormals; int inner[TASKS]; } work_log;

static void inner_task(void *context, int task) { ((int *)context)[task]++; }

/* Whether a product that is a denormal number, or of one, is zero. */
static bool denormals_are_zero(void)
{
    volatile float least = 1.2e-38f, denormal = 1e-40f;
    volatile float product = least * 0.01f, of_denormal = denormal * 1e20f;
    return !(product > 0) && !(of_denormal > 0);
}

static void log_task(void *context, int task)
{
    work_log *log = context;
    log->ran[task]++;
    memset(thread_scratch(), task, 4096);
    if (!denormals_are_zero()) log->denormals = true;
    if (task % 100 == 0) {
        int nested[7] = { 0 };
        parallel_for(7, inner_task, nested);
        for (int i = 0; i < 7; i++) log->inner[task] += nested[i];
    }
}

static void check_jobs(int rounds)
{
    static _Thread_local work_log log;
    for (int round = 0; round < rounds; round++) {
        int tasks = round % 3 == 0 ? TASKS : round % 17;
        memset(&log, 0, sizeof log);
        parallel_for(tasks, log_task, &log);
        int wrong = 0;
        for (int i = 0; i < TASKS; i++) {
            wrong += log.ran[i] != (i < tasks);
            wrong += log.inner[i] != (i < tasks && i % 100 == 0 ? 7 : 0);
        }
        CHECK_MSG(wrong == 0, "round %d, %d tasks: %d wrong", round, tasks, wrong);
        CHECK(!log.denormals);
    }
}

static void every_task_runs_once(void)
{
    for (int threads = 1; threads <= 4; threads++) {
        threads_set(threads);
        CHECK(threads_count() == threads);
        check_jobs(300);
    }
    threads_set(2);
    check_jobs(50);
    threads_set(0);
    CHECK(threads_count() >= 1);
}

static void sleeping_workers_wake(void)
{
    threads_set(3);
    for (int i = 0; i < 20; i++) {
        check_jobs(2);
        usleep(2000);
    }
}

static void *use_pool(void *unused)
{
    check_jobs(200);
    return unused;
}

static void two_callers_share_the_pool(void)
{
    pthread_t other[2];
    threads_set(3);
    for (int i = 0; i < 2; i++) CHECK(!pthread_create(&other[i], NULL, use_pool, NULL));
    check_jobs(200);
    for (int i = 0; i < 2; i++) pthread_join(other[i], NULL);
}

static void the_pool_is_resized_while_in_use(void)
{
    pthread_t other;
    threads_set(2);
    CHECK(!pthread_create(&other, NULL, use_pool, NULL));
    for (int i = 0; i < 60; i++) {
        threads_set(1 + i % 4);
        check_jobs(3);
    }
    pthread_join(other, NULL);
}

static void caller_keeps_its_floating_point_modes(void)
{
    int counts[40] = { 0 };
    for (int threads = 1; threads <= 3; threads++) {
        fenv_t before, after;
        threads_set(threads);
        fegetenv(&before);
        parallel_for(40, inner_task, counts);
        fegetenv(&after);
        CHECK(!memcmp(&before, &after, sizeof before) && !denormals_are_zero());
    }
}

static void a_forked_child_has_workers(void)
{
    threads_set(3);
    check_jobs(4);
    pid_t child = fork();
    if (child == 0) {
        alarm(20);
        check_jobs(30);
        _exit(0);
    }
    int status = -1;
    waitpid(child, &status, 0);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    check_jobs(4);
}

static void threads_from_the_environment(void)
{
    setenv("OMP_NUM_THREADS", "3,2", 1);
    unsetenv("LITHE_NUM_THREADS");
    threads_set(0);
    CHECK(threads_count() == 3);
    setenv("LITHE_NUM_THREADS", "2", 1);
    threads_set(0);
    CHECK(threads_count() == 2);
    setenv("LITHE_NUM_THREADS", "many", 1);
    threads_set(0);
    CHECK(threads_count() == 3);
    setenv("LITHE_NUM_THREADS", "-7", 1);
    unsetenv("OMP_NUM_THREADS");
    threads_set(0);
    CHECK(threads_count() >= 1);
}

/* ---- random numbers ------------------------------------------------------------ */

static void random_values_are_fixed(void)
{
    CHECK(mix64(0) == 0xe220a8397b1dcdafu);                 /* the first value of splitmix64 from seed 0 */
    CHECK(mix64(0x9e3779b97f4a7c15u) == 0x6e789e6aa1b965f4u);
    CHECK(key_of_name(1, "h.0.mlp") == key_of_name(1, "h.0.mlp"));
    CHECK(key_of_name(1, "h.0.mlp") != key_of_name(1, "h.1.mlp"));
    CHECK(key_of_name(1, "h.0.mlp") != key_of_name(2, "h.0.mlp"));
    CHECK(key_of(1, 2) != key_of(2, 1));
}

static void random_moments(void)
{
    const int n = 200000;
    double u1 = 0, u2 = 0, z1 = 0, z2 = 0, z4 = 0;
    for (int i = 0; i < n; i++) {
        double u = random_unit(7, (uint64_t)i) - 0.5, z = random_normal(7, (uint64_t)i);
        CHECK(u >= -0.5 && u < 0.5 && isfinite(z));
        u1 += u / n; u2 += u * u / n; z1 += z / n; z2 += z * z / n; z4 += z * z * z * z / n;
    }
    CHECK_MSG(fabs(u1) < 0.003 && fabs(u2 - 1.0 / 12) < 0.001, "uniform: %g %g", u1, u2);
    CHECK_MSG(fabs(z1) < 0.01 && fabs(z2 - 1) < 0.02 && fabs(z4 - 3) < 0.15, "normal: %g %g %g", z1, z2, z4);
}

static void permutation_is_one(void)
{
    static unsigned char seen[70000];
    for (uint64_t n = 1; n < 70000; n = n < 300 ? n + 1 : n * 3 / 2) {
        memset(seen, 0, sizeof seen);
        uint64_t twice = 0, fixed = 0;
        for (uint64_t i = 0; i < n; i++) {
            uint64_t x = permuted(i, n, n * 31 + 5);
            CHECK(x < n);
            if (x < n) twice += seen[x]++;
            fixed += x == i;
        }
        CHECK_MSG(twice == 0, "n = %llu: %llu elements met twice", (unsigned long long)n, (unsigned long long)twice);
        CHECK_MSG(n < 50 || fixed < 16, "n = %llu: %llu elements stay", (unsigned long long)n, (unsigned long long)fixed);
    }
    uint64_t huge = UINT64_MAX;
    CHECK(permuted(12345, huge, 1) < huge);
    CHECK(permuted(3, 1000, 1) != permuted(3, 1000, 2) || permuted(4, 1000, 1) != permuted(4, 1000, 2));
}

/* The positions of 8 elements over many keys: chi-squared with 49 degrees of freedom. */
static void permutation_is_even(void)
{
    enum { N = 8, KEYS = 8000 };
    int count[N][N] = { { 0 } };
    for (uint64_t key = 0; key < KEYS; key++)
        for (int i = 0; i < N; i++) count[i][permuted((uint64_t)i, N, mix64(key))]++;
    double chi = 0, expected = (double)KEYS / N;
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++) chi += (count[i][j] - expected) * (count[i][j] - expected) / expected;
    CHECK_MSG(chi < 95, "chi-squared %g", chi);
}

/* ---- files --------------------------------------------------------------------- */

static void check_content(const char *path, const char *expected)
{
    size_t size = 0;
    lithe_error err = { 0 };
    char *text = file_read(path, 1000, &size, &err);
    CHECK_MSG(text && size == strlen(expected) && !strcmp(text, expected), "%s", err.text);
    free(text);
}

static int entries(void)
{
    char command[700];
    int n = 0;
    snprintf(command, sizeof command, "ls -A '%s' | wc -l", test_dir());
    FILE *f = popen(command, "r");
    if (!f || fscanf(f, "%d", &n) != 1) n = -1;
    if (f) pclose(f);
    return n;
}

static void writing_is_atomic(void)
{
    writer w;
    lithe_error err = { 0 };
    const char *path = in_dir("a.txt");
    CHECK(file_write(path, "old", 3, &err) == LITHE_OK);
    CHECK(writer_open(&w, path, &err) == LITHE_OK);
    fputs("new and longer", w.stream);
    check_content(path, "old");
    writer_abandon(&w);
    check_content(path, "old");
    CHECK(writer_open(&w, path, &err) == LITHE_OK);
    fputs("new", w.stream);
    CHECK(writer_commit(&w, &err) == LITHE_OK);
    check_content(path, "new");
    CHECK(entries() == 1);

    lithe_error sticky = { LITHE_EIO, "before" };
    CHECK(file_write(path, "x", 1, &sticky) == LITHE_EIO);
    check_content(path, "new");
    CHECK(entries() == 1);
}

static void writing_keeps_links_and_refuses_devices(void)
{
    lithe_error err = { 0 };
    CHECK(file_write(in_dir("real"), "old", 3, &err) == LITHE_OK);
    CHECK(!symlink("real", in_dir("link")));
    CHECK(file_write(in_dir("link"), "new", 3, &err) == LITHE_OK);
    check_content(in_dir("real"), "new");
    struct stat s;
    CHECK(!lstat(in_dir("link"), &s) && S_ISLNK(s.st_mode));
    CHECK(!mkfifo(in_dir("pipe"), 0600));
    CHECK(file_write(in_dir("pipe"), "x", 1, &err) == LITHE_EINVAL);
    err = (lithe_error){ 0 };
    CHECK(file_write(test_dir(), "x", 1, &err) == LITHE_EINVAL);
    err = (lithe_error){ 0 };
    CHECK(file_write(in_dir("no/such"), "x", 1, &err) == LITHE_EIO);
    CHECK(strstr(err.text, "no such") != NULL);
}

static ssize_t write_to_a_full_disk(int fd, const void *from, size_t size) { (void)fd, (void)from, (void)size; errno = ENOSPC; return -1; }

static void a_full_disk_is_named(void)
{
    static char bytes[5 << 20];                             /* more than a buffer */
    const system_calls before = os;
    for (size_t size = 1; size <= sizeof bytes; size *= sizeof bytes) {
        lithe_error err = { 0 };
        os.write = write_to_a_full_disk;
        CHECK(file_write(in_dir("full"), bytes, size, &err) == LITHE_ENOMEM && strstr(err.text, "disk is full"));
        os = before;
        CHECK(!path_exists(in_dir("full")) && dir_is_empty(test_dir(), NULL));
    }
}

static void *map_nothing(void *at, size_t size, int protection, int flags, int fd, off_t offset)
{
    (void)at, (void)size, (void)protection, (void)flags, (void)fd, (void)offset;
    errno = ENOMEM;
    return MAP_FAILED;
}

/* An allocation that fails where no error can be given: the next thing that is given away tells of it, once. */
static void failures_are_pending(void)
{
    const system_calls before = os;
    lithe_error err = { 0 };
    CHECK(!lithe_check_pending(&err));
    for (int i = 0; i < 3; i++) {
        os.mmap = map_nothing;
        CHECK(!big_alloc((size_t)8 << 20));
        os = before;
        err = (lithe_error){ 0 };
        if (i == 0) CHECK(lithe_check_pending(&err) == LITHE_ENOMEM && !strcmp(err.text, "out of memory"));
        if (i == 1) CHECK(file_write(in_dir("part"), "x", 1, &err) == LITHE_ENOMEM && !path_exists(in_dir("part")));
        if (i == 2) CHECK(fail(&err, LITHE_EFORMAT, "is damaged") == LITHE_ENOMEM && !strcmp(err.text, "out of memory"));
        err = (lithe_error){ 0 };
        CHECK(!lithe_check_pending(&err) && !file_write(in_dir("whole"), "x", 1, &err));
    }
}

/* Files and directories named PREFIX-PID-N of processes that run no more. */
static void what_the_killed_left_is_removed(void)
{
    char gone[64];
    lithe_error err = { 0 };
    partial_dir mine, other;
    pid_t child = fork();
    if (!child) _exit(0);
    waitpid(child, NULL, 0);
    snprintf(gone, sizeof gone, ".lithe-%ld-7", (long)child);
    CHECK(!dir_make(in_dir(gone), &err));
    int fd = open(in_dir(gone), O_RDONLY | O_DIRECTORY);
    CHECK(!flock(fd, LOCK_EX));                             /* a process elsewhere, whose number is not known here */
    CHECK(!partial_make(&mine, test_dir(), ".lithe", &err) && path_exists(in_dir(gone)) && path_is_dir(mine.path));
    close(fd);
    CHECK(!partial_make(&other, test_dir(), ".lithe", &err) && !path_exists(in_dir(gone)) && path_is_dir(mine.path));
    partial_remove(&mine);
    partial_remove(&other);
    CHECK(dir_is_empty(test_dir(), &err) == 1);
}

static void reading_refuses(void)
{
    mapping m;
    lithe_error err = { 0 };
    CHECK(file_map(&m, test_dir(), &err) == LITHE_EINVAL);
    err = (lithe_error){ 0 };
    CHECK(file_map(&m, in_dir("absent"), &err) == LITHE_EIO);
    CHECK(!mkfifo(in_dir("pipe"), 0600));
    err = (lithe_error){ 0 };
    CHECK(file_map(&m, in_dir("pipe"), &err) == LITHE_EINVAL);
    err = (lithe_error){ 0 };
    CHECK(file_write(in_dir("empty"), NULL, 0, &err) == LITHE_OK);
    CHECK(file_map(&m, in_dir("empty"), &err) == LITHE_OK && m.data && m.size == 0);
    file_unmap(&m);
    CHECK(file_write(in_dir("ten"), "0123456789", 10, &err) == LITHE_OK);
    CHECK(file_map(&m, in_dir("ten"), &err) == LITHE_OK && m.size == 10 && m.data[9] == '9');
    file_unmap(&m);
    CHECK(!file_read(in_dir("ten"), 9, NULL, &err) && err.status == LITHE_EFORMAT);
}

static void directories(void)
{
    lithe_error err = { 0 };
    CHECK(dir_is_empty(in_dir("run"), NULL) == 1);
    CHECK(dir_make(in_dir("run/a/b/"), &err) == LITHE_OK);
    CHECK(dir_make(in_dir("run/a"), &err) == LITHE_OK);
    CHECK(path_is_dir(in_dir("run/a/b")) && !dir_is_empty(in_dir("run"), NULL) && dir_is_empty(in_dir("run/a/b"), NULL) == 1);
    CHECK(file_write(in_dir("kept"), "k", 1, &err) == LITHE_OK);
    CHECK(file_write(in_dir("run/a/b/f"), "k", 1, &err) == LITHE_OK);
    CHECK(!symlink("../../..", in_dir("run/a/up")));
    CHECK(!symlink("../kept", in_dir("run/link")));
    CHECK(dir_make(in_dir("kept/x"), &err) != LITHE_OK);
    err = (lithe_error){ 0 };
    CHECK(dir_rename(in_dir("run"), in_dir("moved"), &err) == LITHE_OK);
    CHECK(path_exists(in_dir("moved/a/b/f")) && !path_exists(in_dir("run")));
    CHECK(dir_remove(in_dir("moved"), &err) == LITHE_OK);
    CHECK(!path_exists(in_dir("moved")));
    check_content(in_dir("kept"), "k");
    CHECK(dir_remove(in_dir("moved"), &err) == LITHE_OK);
    CHECK(!symlink(test_dir(), in_dir("self")));
    CHECK(dir_remove(in_dir("self"), &err) == LITHE_OK);
    check_content(in_dir("kept"), "k");
}

static void check_name(char *made, const char *expected)
{
    CHECK_MSG(made && !strcmp(made, expected), "%s, expected %s", made, expected);
    free(made);
}

static void names(void)
{
    check_name(path_join("a", "b/c"), "a/b/c");
    check_name(path_join("a/", "b"), "a/b");
    check_name(path_join("", "b"), "b");
    check_name(path_join("/", "b"), "/b");
    check_name(path_parent("a/b"), "a");
    check_name(path_parent("a"), ".");
    check_name(path_parent("/a"), "/");
    check_name(path_parent("a/b/"), "a");
    check_name(path_parent("a//b"), "a");
    CHECK(!strcmp(path_base("a/b.txt"), "b.txt") && !strcmp(path_base("b"), "b"));
}

static void content_hashes(void)
{
    char hex[33];
    CHECK(crc32c(0, "123456789", 9) == 0xe3069283u);
    CHECK(crc32c(crc32c(0, "1234", 4), "56789", 5) == 0xe3069283u);
    CHECK(crc32c(0, "", 0) == 0);
    hash_hex("", 0, hex);
    CHECK_MSG(!strcmp(hex, "99aa06d3014798d86001c324468d497f"), "%s", hex);
    CHECK(hash_bytes("abc", 3, 0) != hash_bytes("abd", 3, 0));
    CHECK(hash_bytes("abc", 3, 0) != hash_bytes("abc", 3, 1));
}

/* ---- JSON ---------------------------------------------------------------------- */

static void json_refuses(void)
{
    const struct { const char *text, *why; } bad[] = {
        { "{\"a\": 1, \"a\": 2}", "line 1, column" }, { "{\"a\": 1,\n \"b\": }", "line 2" }, { "", "x.json" }, { "7", "x.json" },
        { "{} {}", "x.json" }, { "[[[[[]]]]]", "nested 5 deep, at most 4" }, { "{\"\xff\": 1}", "byte 0xff" }, { "[\"\\ud800\"]", "x.json" }, { "[\"", "x.json" },
        { "[\"\\", "x.json" }, { "[NaN, Infinit]", "x.json" }, { "[1e999, 1.2.3]", "x.json" }, { "[Infinity 7]", "x.json" }, { "[-]", "x.json" },
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        lithe_error err = { 0 };
        json_t *value = json_parse(bad[i].text, strlen(bad[i].text), 4, "x.json", &err);
        CHECK_MSG(!value, "%s was accepted", bad[i].text);
        CHECK_MSG(err.status == LITHE_EFORMAT && strstr(err.text, bad[i].why), "%s: %s", bad[i].text, err.text);
        json_decref(value);
    }
    lithe_error err = { 0 };
    const char good[] = "[\"[[[[[[\", {\"]\\\"[\": \"a\\u0000b\"}]";
    json_t *value = json_parse(good, sizeof good - 1, 2, "x.json", &err);
    CHECK_MSG(value, "%s", err.text);
    json_decref(value);
    const char marked[] = "\xef\xbb\xbf[7]", twice[] = "\xef\xbb\xbf\xef\xbb\xbf[7]";
    value = json_parse(marked, sizeof marked - 1, 2, "x.json", &err);
    CHECK_MSG(json_integer_value(json_array_get(value, 0)) == 7, "%s", err.text);
    json_decref(value);
    CHECK(!json_parse(twice, sizeof twice - 1, 2, "x.json", &err));
    err = (lithe_error){ 0 };
    CHECK(!json_parse_strict(marked, sizeof marked - 1, 2, "x.json", &err));
}

static void pointers_are_refused(void)
{
    static const char pointer[] = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 12345\n";
    lithe_error one = { 0 }, two = { 0 }, none = { 0 };
    mapping m;
    CHECK(!file_write(in_dir("model.safetensors"), pointer, sizeof pointer - 1, &none) && !file_write(in_dir("text.md"), pointer, 20, &none));
    CHECK(file_map(&m, in_dir("model.safetensors"), &one) == LITHE_EFORMAT && strstr(one.text, "Git LFS pointer") && !m.data);
    CHECK(!file_read(in_dir("model.safetensors"), 1000, NULL, &two) && strstr(two.text, "git lfs pull"));
    CHECK(!file_map(&m, in_dir("text.md"), &none) && m.size == 20);
    file_unmap(&m);
}

/* The text is what json.dumps of Python 3 gives; a large integer is read as the nearest double. */
static void json_as_python_writes_it(void)
{
    lithe_error err = { 0 };
    const char text[] = "{\"model_max_length\": 1000000000000000019884624838656, \"id\": 18446744073709551615, \"least\": -9223372036854775809, "
                        "\"nan\": NaN, \"list\": [Infinity, -Infinity, 1e999], \"text\": \"NaN \\\" 123456789012345678901234567890\", "
                        "\"n\": 999999999999999999, \"x\": -1.5e-3}";
    json_t *value = json_parse(text, strlen(text), 4, "x.json", &err), *list = json_object_get(value, "list");
    CHECK_MSG(value, "%s", err.text);
    CHECK(json_is_real(json_object_get(value, "model_max_length")) && json_real_value(json_object_get(value, "model_max_length")) == 1e30);
    CHECK(json_real_value(json_object_get(value, "id")) == 0x1p64 && json_real_value(json_object_get(value, "least")) == -0x1p63);
    CHECK(json_integer_value(json_object_get(value, "n")) == 999999999999999999 && json_real_value(json_object_get(value, "x")) == -1.5e-3);
    CHECK(!json_is_number(json_object_get(value, "nan")) && json_array_size(list) == 3);
    for (size_t i = 0; i < 3; i++) CHECK(!json_is_number(json_array_get(list, i)));
    CHECK(!strcmp(json_string_value(json_object_get(value, "text")), "NaN \" 123456789012345678901234567890"));
    int n = 5;
    CHECK(!json_int(value, "model_max_length", 0, 100, &n) && !json_int(value, "nan", 0, 100, &n) && n == 5);
    json_decref(value);
}

static void json_is_written_short(void)
{
    lithe_error err = { 0 };
    json_t *value = json_pack("{s:f, s:i, s:[f, f]}", "eps", 1e-5, "n", 3, "list", 0.1, 1.0);
    CHECK(json_write(value, in_dir("c.json"), &err) == LITHE_OK);
    check_content(in_dir("c.json"), "{\n  \"eps\": 1e-5,\n  \"n\": 3,\n  \"list\": [\n    0.1,\n    1.0\n  ]\n}\n");
    json_decref(value);
    value = json_pack("[f]", 0.1 + 0.2);
    CHECK(json_write(value, in_dir("c.json"), &err) == LITHE_OK);
    json_t *back = json_read(in_dir("c.json"), 1000, 3, &err);
    CHECK(back && json_equal(value, back));
    json_decref(back);
    json_decref(value);
    CHECK(!json_read(in_dir("c.json"), 3, 3, &err) && err.status == LITHE_EFORMAT);
}

/* A program compiled against an older header gives fewer bytes, one against a newer header more. */
static void sizes_of_options(void)
{
    struct { size_t size; int a, b; } own;
    const struct { size_t size; int a; } older = { sizeof older, 7 }, none = { 0, 7 };
    /* without padding, whose bytes are any */
    struct { size_t size; int a, b, c, d; } newer = { sizeof newer, 7, 8, 0, 0 };
    lithe_error err = { 0 };
    CHECK(!options_read(&own, sizeof own, NULL, "options", &err) && own.size == sizeof own && !own.a && !own.b);
    CHECK(!options_read(&own, sizeof own, &older, "options", &err) && own.size == sizeof own && own.a == 7);
    CHECK(!options_read(&own, sizeof own, &newer, "options", &err) && own.a == 7 && own.b == 8);
    newer.c = 9;
    CHECK(options_read(&own, sizeof own, &newer, "options", &err) == LITHE_EINVAL && strstr(err.text, "older than the program"));
    err = (lithe_error){ 0 };
    CHECK(options_read(&own, sizeof own, &none, "options", &err) == LITHE_EINVAL && strstr(err.text, "sizeof(options)"));
}

/* How many U+FFFD Python's bytes.decode(errors="replace") gives for these bytes. */
static void broken_characters(void)
{
    static const struct { const char *bytes; int n; } cases[] = {
        { "\x80", 1 }, { "\xc3", 1 }, { "\xc3\xc3", 2 }, { "\xe2\x82", 1 }, { "\xe2\x82\xe2", 2 }, { "\xe0\x80\xaf", 3 }, { "\xe0\xa0", 1 }, { "\xed\xa0\x80", 3 },
        { "\xed\x9f", 1 }, { "\xf0\x9f\x98", 1 }, { "\xf0\x9f", 1 }, { "\xf0\x80\x80\x80", 4 }, { "\xf4\x8f\xbf", 1 }, { "\xf4\x90\x80\x80", 4 }, { "\xf5\x80", 2 },
        { "\xc0\xaf", 2 }, { "\xf1\x80\xe1\x80\xc2", 3 }, { "\xff\xfe", 2 } };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *bytes = cases[i].bytes;
        const size_t len = strlen(bytes);
        int n = 0;
        for (size_t at = 0; at < len; n++) at += utf8_broken(bytes + at, len - at);
        CHECK_MSG(n == cases[i].n, "case %zu: %d, not %d", i, n, cases[i].n);
    }
}

/* By their bytes, with hidden names and without . and ..; and an error in the middle is no shorter list. */
static void names_of_directories(void)
{
    static const char *const names[] = { ".hidden", "B", "a", "\303\244" };
    dir_names l;
    lithe_error err = { 0 };
    char name[24];
    for (size_t i = 4; i--;) CHECK(!file_write(in_dir(names[i]), "", 0, &err));
    CHECK(!dir_names_read(&l, test_dir(), &err) && l.count == 4);
    for (size_t i = 0; i < 4; i++) CHECK(!strcmp(l.names[i], names[i]));
    dir_names_free(&l);
    for (int i = 0; i < 2000; i++) { snprintf(name, sizeof name, "many-%04d", i); CHECK(!file_write(in_dir(name), "", 0, &err)); }
    CHECK(!dir_names_read(&l, test_dir(), &err) && l.count == 2004 && !strcmp(l.names[2], "a") && !strcmp(l.names[2002], "many-1999"));
    dir_names_free(&l);
    failing_open();
    failing_begin(CALL_readdir, 1000);
    CHECK(dir_names_read(&l, test_dir(), &err) == LITHE_EIO && !l.count && strstr(err.text, "cannot list"));
    failing_begin(CALL_readdir, 1);
    err = (lithe_error){ 0 };
    CHECK(dir_is_empty(test_dir(), &err) == LITHE_EIO);
    failing_end();
    failing_close();
    err = (lithe_error){ 0 };
    CHECK(dir_names_read(&l, in_dir("none"), &err) == LITHE_EIO && !l.count);
}

const test tests_base[] = {
    { "base: broken characters", broken_characters },
    { "base: arenas", arenas },
    { "base: big blocks", big_blocks },
    { "base: every task runs once, for 1 to 4 threads", every_task_runs_once },
    { "base: sleeping workers wake", sleeping_workers_wake },
    { "base: two callers share the pool", two_callers_share_the_pool },
    { "base: the pool is resized while in use", the_pool_is_resized_while_in_use },
    { "base: the caller keeps its floating-point modes", caller_keeps_its_floating_point_modes },
    { "base: a forked child has workers", a_forked_child_has_workers },
    { "base: threads from the environment", threads_from_the_environment },
    { "base: random values are fixed", random_values_are_fixed },
    { "base: random moments", random_moments },
    { "base: permutation is one", permutation_is_one },
    { "base: permutation is even", permutation_is_even },
    { "base: writing is atomic", writing_is_atomic },
    { "base: writing keeps links, refuses devices", writing_keeps_links_and_refuses_devices },
    { "base: a full disk is named", a_full_disk_is_named },
    { "base: failures are pending", failures_are_pending },
    { "base: what the killed left is removed", what_the_killed_left_is_removed },
    { "base: reading refuses", reading_refuses },
    { "base: directories", directories },
    { "base: names", names },
    { "base: what directories hold", names_of_directories },
    { "base: content hashes", content_hashes },
    { "base: JSON refusals", json_refuses },
    { "base: what Git LFS did not fetch", pointers_are_refused },
    { "base: JSON as Python writes it", json_as_python_writes_it },
    { "base: JSON is written short", json_is_written_short },
    { "base: options of other sizes", sizes_of_options },
    { 0 }
};
