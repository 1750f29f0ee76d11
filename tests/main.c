/* The list of lists, and the runner:  build/tests [FILTER]  (a part of a name) */
#include "test.h"
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define LISTS(X) \
    X(tests_base) X(tests_text) X(tests_chat) X(tests_tensor_file) \
    X(tests_kernels) X(tests_gemm) \
    X(tests_graph) X(tests_plans) \
    X(tests_ops) X(tests_series) \
    X(tests_gradients) X(tests_arch) X(tests_arch_names) X(tests_encoders) X(tests_token_answers) X(tests_suite) X(tests_weights) X(tests_changed_files) \
    X(tests_model) X(tests_opens_elsewhere) X(tests_rwkv_files) X(tests_rwkv) \
    X(tests_grow) \
    X(tests_grow_kinds) X(tests_grow_parts) X(tests_extend) \
    X(tests_pangu) X(tests_gpt_neox) X(tests_gguf) X(tests_gguf_written) X(tests_gguf_cli) X(tests_naming) X(tests_blocks) X(tests_gemm_blocks) X(tests_quantize) \
    X(tests_data) X(tests_data_sets) \
    X(tests_labelled) X(tests_layouts) \
    X(tests_batch) \
    X(tests_objectives) \
    X(tests_objectives_text) \
    X(tests_images) \
    X(tests_image_sets) \
    X(tests_image_models) \
    X(tests_image_data) \
    X(tests_metrics) \
    X(tests_train_files) X(tests_train) X(tests_train_resume) X(tests_train_growths) X(tests_no_layers) X(tests_muon) X(tests_train_fit) X(tests_train_bptt) X(tests_ranks) X(tests_ranks_cli) \
    X(tests_train_labels) X(tests_kills) X(tests_limits) X(tests_cgroup) X(tests_replay) \
    X(tests_serve) X(tests_serve_texts) X(tests_serve_chat) X(tests_serve_limits) X(tests_serve_prefixes) X(tests_serve_state) X(tests_page) \
    X(tests_infer) X(tests_infer_sampler) X(tests_engine) X(tests_engine_scores) X(tests_generate_batch) X(tests_generate_prompts) \
    X(tests_bench) \
    X(tests_diversity) \
    X(tests_tasks) \
    X(tests_reports) X(tests_report_costs) X(tests_report_models) X(tests_internals) \
    X(tests_train_masked) X(tests_image_train) X(tests_image_cli) \
    X(tests_fuzz_seeds) X(tests_checkpoints) X(tests_power) X(tests_calls) X(tests_failing_reads) X(tests_failing_writes) X(tests_changed_values) X(tests_first_failure) X(tests_odd_files) X(tests_faults) \
    X(tests_cli) X(tests_refusals_cli) X(tests_rooms) X(tests_interface) X(tests_library) X(tests_extending) X(tests_coverage) X(tests_words) X(tests_readme) X(tests_first_hour)

#define X(list) extern const test list[] __attribute__((weak));
LISTS(X)
#undef X

/* A build with LeakSanitizer looks at the end of each test for what nobody can reach any more. */
extern void __lsan_do_leak_check(void) __attribute__((weak));
/* A build that counts which lines are reached writes the counts. */
extern void __gcov_dump(void) __attribute__((weak));

enum { FAILED = 1, SKIPPED = 77 };
static int failures;
static char dir[256], root[4096];

void test_fail(const char *file, int line, const char *what)
{
    failures++;
    printf("    %s:%d: %s\n", file, line, what);
}

void test_say(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    printf("        ");
    vprintf(format, args);
    printf("\n");
    va_end(args);
}

static void remove_dir(void)
{
    if (!dir[0]) return;
    char command[600];
    snprintf(command, sizeof command, "chmod -R u+w '%s' 2>/dev/null; rm -rf '%s'", dir, dir);
    if (system(command)) perror("rm");
}

void test_skip(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    printf("    skipped: ");
    vprintf(format, args);
    printf("\n");
    va_end(args);
    remove_dir();
    fflush(stdout);
    if (__gcov_dump) __gcov_dump();
    _exit(SKIPPED);
}

const char *test_file(const char *name)
{
    static char path[8192];
    snprintf(path, sizeof path, "%s/%s", root, name);
    return path;
}

const char *test_data(const char *name)
{
    static char path[8192];
    const char *shared = getenv("LITHE_SHARED");
    if (shared) snprintf(path, sizeof path, "%s/data/%s", shared, name);
    else        snprintf(path, sizeof path, "%s/../shared/data/%s", root, name);
    if (access(path, R_OK)) test_skip("no shared data: %s", name);
    return path;
}

const char *test_dir(void)
{
    if (dir[0]) return dir;
    const char *tmp = getenv("TMPDIR");
    snprintf(dir, sizeof dir, "%s/lithe-test-XXXXXX", tmp ? tmp : "/tmp");
    if (!mkdtemp(dir)) { perror("mkdtemp"); exit(FAILED); }
    return dir;
}

const char *in_dir(const char *name)
{
    static char paths[8][600];
    static unsigned next;
    char *path = paths[next++ % 8];
    snprintf(path, sizeof paths[0], "%s/%s", test_dir(), name);
    return path;
}

double relative_error(const float *a, const float *b, size_t n)
{
    double difference = 0, norm = 0;
    for (size_t i = 0; i < n; i++) {
        double d = (double)a[i] - (double)b[i];
        difference += d * d;
        norm += (double)b[i] * (double)b[i];
    }
    return norm > 0 ? sqrt(difference / norm) : sqrt(difference);
}

double max_difference(const float *a, const float *b, size_t n)
{
    double worst = 0;
    for (size_t i = 0; i < n; i++) {
        double d = fabs((double)a[i] - (double)b[i]);
        if (!(d <= worst) && !isnan(worst)) worst = d;
    }
    return worst;
}

typedef struct { int passed, failed, skipped; } tally;

/* A test in a process of its own, whose output waits in a file until the tests before it have been reported. */
typedef struct { const test *test; pid_t pid; int out, status; struct timespec before, after; bool ended; } run;

enum { MOST_TESTS = 4096, MOST_AT_ONCE = 8 };

static void begin(run *r)
{
    fflush(stdout);
    clock_gettime(CLOCK_MONOTONIC, &r->before);
    r->out = memfd_create("test", MFD_CLOEXEC);
    r->pid = fork();
    if (r->pid < 0) { perror("fork"); exit(FAILED); }
    if (r->pid) return;
    if (r->out >= 0) dup2(r->out, STDOUT_FILENO);
    r->test->run();
    remove_dir();
    fflush(stdout);
    if (__lsan_do_leak_check) __lsan_do_leak_check();
    if (__gcov_dump) __gcov_dump();
    _exit(failures ? FAILED : 0);
}

/* Waits until one of runs[0..n-1] ends. */
static void wait_for_one(run *runs, int n)
{
    int status = 0;
    pid_t pid = wait(&status);
    for (int i = 0; i < n; i++) {
        if (runs[i].ended || runs[i].pid != pid) continue;
        clock_gettime(CLOCK_MONOTONIC, &runs[i].after);
        runs[i].status = status;
        runs[i].ended = true;
    }
}

static void tell(const run *r, tally *n)
{
    const char *verdict = "ok";
    char text[4096];
    lseek(r->out, 0, SEEK_SET);
    for (ssize_t got; (got = read(r->out, text, sizeof text)) > 0; ) fwrite(text, 1, (size_t)got, stdout);
    if (r->out >= 0) close(r->out);
    double seconds = (double)(r->after.tv_sec - r->before.tv_sec) + 1e-9 * (double)(r->after.tv_nsec - r->before.tv_nsec);
    if (WIFSIGNALED(r->status)) printf("    killed by signal %d\n", WTERMSIG(r->status));
    if (WIFEXITED(r->status) && WEXITSTATUS(r->status) == SKIPPED) n->skipped++, verdict = "skipped";
    else if (WIFEXITED(r->status) && WEXITSTATUS(r->status) == 0) n->passed++;
    else n->failed++, verdict = "FAILED";
    printf("%-8s %-56s %6.2f s\n", verdict, r->test->name, seconds);
    fflush(stdout);
}

/* As many at once as there are processors; reported in the order of the list. */
static tally run_all(run *runs, int count)
{
    tally n = { 0 };
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    int at_once = processors < 1 ? 1 : processors > MOST_AT_ONCE ? MOST_AT_ONCE : (int)processors, begun = 0, reported = 0, active = 0;
    while (reported < count) {
        while (begun < count && active < at_once) begin(&runs[begun++]), active++;
        wait_for_one(runs, begun);
        active--;
        while (reported < begun && runs[reported].ended) tell(&runs[reported++], &n);
    }
    return n;
}

int main(int argc, char **argv)
{
    const char *filter = argc > 1 ? argv[1] : "";
    static run runs[MOST_TESTS];
    int count = 0;
    if (!realpath(argv[0], root)) return FAILED;
    for (int up = 0; up < 2; up++) *strrchr(root, '/') = 0;             /* ROOT/build/tests */
#define X(list) list,
    const test *lists[] = { LISTS(X) };
#undef X
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
        for (const test *t = lists[i]; t && t->name; t++)
            if (strstr(t->name, filter) && count < MOST_TESTS) runs[count++].test = t;
    tally n = run_all(runs, count);
    bool none = count == 0;
    printf("%d passed, %d failed, %d skipped", n.passed, n.failed, n.skipped);
    if (none) printf(": no test has \"%s\" in its name", filter);
    printf("\n");
    return none || n.failed > 0;
}
