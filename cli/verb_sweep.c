/* lithe sweep: a training run for each combination of values and seeds, then a report. */
#include "inputs.h"
#include "interrupt.h"
#include "output.h"
#include "run_name.h"
#include "runs.h"
#include "verbs.h"
#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

typedef struct { common common; const char *out; texts vary; int seeds, jobs, json; } sweep_settings;

static const option sweep_options[] = {
    { "vary", 0, LIST(sweep_settings, vary), "OPTION=A,B,...", .help = "an option of lithe train and its values; several times: every combination", .also = "set,try,grid,param" },
    { "seeds", 0, COUNT(sweep_settings, seeds), "N", "1", .help = "runs of each combination, with the seeds 0 to N - 1", .least = 1 },
    { "jobs", 'j', COUNT(sweep_settings, jobs), "N", "1", .help = "runs at the same time, each with its share of the threads", .least = 1 },
    { "out", 'o', FILENAME(sweep_settings, out), "DIR", "sweep", .help = "the directory of the runs, of report.html and of the CSV files", .also = "output" },
    { "json", 0, FLAG(sweep_settings, json), .help = "print {schema, path, runs, failed, combinations}" },
    { 0 }
};

enum { VARIED_MOST = 8, RUNS_MOST = 1000, NAME_MOST = 200 };

/* One option with its values, split out of OPTION=A,B,... */
typedef struct { char *text; const char *name; const char *values[64]; int count; } varied;

typedef struct {
    const arguments *arguments;
    const sweep_settings *settings;
    varied varied[VARIED_MOST]; int varied_count;
    int combinations, runs;
    char program[4096];
    pid_t *children; int *number;        /* (jobs): the run of each; 0: free */
    int running, failed;
} sweep;

/* ---- what is run ------------------------------------------------------------------ */

static bool option_of_train(const char *name)
{
    const option *o;
    int i = 0;
    while ((o = option_at(&verb_train, i)) && strcmp(o->name, name)) i++;
    return o != NULL;
}

static int read_varied(sweep *s, const char *text)
{
    varied *v = &s->varied[s->varied_count];
    if (s->varied_count == VARIED_MOST) return usage("at most %d options can be varied", VARIED_MOST);
    char *copy = strdup(text), *values = copy ? strchr(copy, '=') : NULL;
    if (!copy) return EXIT_RESOURCES;
    s->varied_count++;
    *v = (varied){ .text = copy, .name = copy + strspn(copy, "-") };
    if (!values || values == v->name || !values[1] || values[1] == ',' || values[strlen(values) - 1] == ',' || strstr(values, ",,")) return usage("--vary %s: expected OPTION=A,B,... as in lr=1e-3,3e-4", text);
    *values++ = 0;
    if (!option_of_train(v->name)) return unknown_option(&verb_train, "--vary ", v->name, strlen(v->name));
    if (!strcmp(v->name, "out") || !strcmp(v->name, "seed")) return usage("--vary %s: the sweep chooses it", v->name);
    for (int i = 0; i + 1 < s->varied_count; i++) if (!strcmp(s->varied[i].name, v->name)) return usage("--vary %s: is there twice; give all its values at once", v->name);
    for (char *value = strtok(values, ","); value; value = strtok(NULL, ",")) {
        for (int i = 0; i < v->count; i++) if (!strcmp(v->values[i], value)) return usage("--vary %s: the value %s is there twice", v->name, value);
        if (strlen(v->name) + strlen(value) + sizeof "--=" > NAME_MOST) return usage("--vary %s: a value has %zu bytes; at most %zu are possible", v->name, strlen(value), NAME_MOST - sizeof "--=" - strlen(v->name));
        if (v->count == 64) return usage("--vary %s: at most 64 values", v->name);
        v->values[v->count++] = value;
    }
    return EXIT_DONE;
}

/* Arguments of train that it would refuse, or that the sweep gives itself. */
static int refuse_words(const sweep *s)
{
    const arguments *a = s->arguments;
    static const char *const chosen[] = { "out", "seed", "resume" };
    const char **words = calloc((size_t)a->count + 2, sizeof *words);
    void *settings = calloc(1, verb_train.bytes);
    arguments given;
    if (!words || !settings) { free(words), free(settings); return EXIT_RESOURCES; }
    words[0] = verb_train.name;
    memcpy(words + 1, a->operands, (size_t)a->count * sizeof *words);
    int code = arguments_read(&given, &verb_train, a->count + 1, (char **)(uintptr_t)words, settings);
    if (code == -1) {
        code = EXIT_DONE;
        for (size_t i = 0; !code && i < sizeof chosen / sizeof *chosen; i++)
            if (option_origin(&given, chosen[i]) == ORIGIN_FLAG) code = usage("--%s stands after --, but the sweep chooses it for each run", chosen[i]);
        for (int i = 0; !code && i < s->varied_count; i++)
            if (option_origin(&given, s->varied[i].name) == ORIGIN_FLAG) code = usage("--%s stands after -- and is varied; name it once", s->varied[i].name);
        arguments_free(&given);
    } else if (code == EXIT_DONE) code = EXIT_USAGE;            /* a list of choices was asked for */
    free(words);
    free(settings);
    return code;
}

static int plan(sweep *s)
{
    long runs = 1;
    for (int i = 0; i < s->settings->vary.count; i++) {
        int code = read_varied(s, s->settings->vary.items[i]);
        if (code) return code;
        runs *= s->varied[i].count;
        if (runs > RUNS_MOST) return usage("more than %d combinations", RUNS_MOST);
    }
    int refused = refuse_words(s);
    if (refused) return refused;
    s->combinations = (int)runs;
    runs *= s->settings->seeds;
    if (runs > RUNS_MOST) return usage("%ld runs, at most %d are possible", runs, RUNS_MOST);
    s->runs = (int)runs;
    return EXIT_DONE;
}

/* The number of a varied option's value in a run. */
static int value_in(const sweep *s, int run, int which)
{
    int rest = run / s->settings->seeds;
    for (int i = s->varied_count - 1; i > which; i--) rest /= s->varied[i].count;
    return rest % s->varied[which].count;
}

/* "DIR/lr=1e-3,ctx=256,seed=0"; a slash in a value becomes a line. */
static void path_of(const sweep *s, int run, char *path, size_t size)
{
    size_t n = (size_t)snprintf(path, size, "%s/", s->settings->out), name = n;
    for (int i = 0; i < s->varied_count && n < size; i++) n += (size_t)snprintf(path + n, size - n, "%s=%s,", s->varied[i].name, s->varied[i].values[value_in(s, run, i)]);
    if (n < size) snprintf(path + n, size - n, "seed=%d", run % s->settings->seeds);
    for (char *c = path + name; name < size && *c; c++) if (*c == '/') *c = '_';
}

static bool exists(const char *dir, const char *name)
{
    char path[4600];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    return access(path, F_OK) == 0;
}

/* ---- running ------------------------------------------------------------------------- */

enum { WORDS_MOST = 1000, GIVEN_MOST = 900 };
/* The words of lithe train that begin a run, with the text of those that are made here. */
typedef struct { const char *words[WORDS_MOST]; int n; char varied[VARIED_MOST][NAME_MOST], seed[32]; } train_words;

static void begin_words(train_words *w, const sweep *s, int run)
{
    const arguments *a = s->arguments;
    w->n = 0;
    w->words[w->n++] = "train";
    for (int i = 0; i < a->count && w->n < GIVEN_MOST; i++) w->words[w->n++] = a->operands[i];
    for (int i = 0; i < s->varied_count; i++) {
        snprintf(w->varied[i], NAME_MOST, "--%s=%s", s->varied[i].name, s->varied[i].values[value_in(s, run, i)]);
        w->words[w->n++] = w->varied[i];
    }
    snprintf(w->seed, sizeof w->seed, "--seed=%d", run % s->settings->seeds);
    w->words[w->n++] = w->seed;
    w->words[w->n] = NULL;
}

/* Says so if a run that is there was begun with other arguments, which stay as they are; returns whether it did. */
static bool says_other_command(const sweep *s, int run, const char *path)
{
    train_words w;
    char file[4600];
    lithe_error unread = { 0 };
    size_t bytes;
    begin_words(&w, s, run);
    snprintf(file, sizeof file, "%s/command.txt", path);
    char *wanted = command_text((char **)(uintptr_t)w.words), *begun = access(file, R_OK) ? NULL : read_text(file, SMALL_TEXT, &bytes, &unread);
    size_t n = wanted ? strlen(wanted) : 0;
    bool other = wanted && begun && (strncmp(begun, wanted, n) || strncmp(begun + n, " --out ", 7));
    if (other) say("%s was begun with other arguments, and stays as it is: %.*s", path, (int)strcspn(begun, "\n"), begun);
    free(wanted);
    free(begun);
    return other;
}

/* In the child: becomes lithe train, and writes what it says beside the run. */
static void become_train(const sweep *s, int run, const char *path)
{
    train_words w;
    char log[4700], threads[32];
    int share = s->settings->common.threads;
    snprintf(log, sizeof log, "%s.txt", path);
    if (!freopen(log, "a", stderr) || !freopen("/dev/null", "w", stdout)) _exit(EXIT_FAILED);
    begin_words(&w, s, run);
    if (exists(path, "log.jsonl")) w.n = 1;
    const char *where = w.n > 1 ? "--out" : "--resume";
    w.words[w.n++] = where;
    w.words[w.n++] = path;
    if (!share && s->settings->jobs > 1) share = (int)sysconf(_SC_NPROCESSORS_ONLN) / s->settings->jobs;
    snprintf(threads, sizeof threads, "--threads=%d", share > 0 ? share : 1);
    if (share || s->settings->jobs > 1) w.words[w.n++] = threads;
    w.words[w.n] = NULL;
    memmove(w.words + 1, w.words, (size_t)(w.n + 1) * sizeof *w.words);
    w.words[0] = "lithe";
    execv(s->program, (char *const *)(uintptr_t)w.words);
    _exit(EXIT_FAILED);
}

static void start(sweep *s, int run, const char *path)
{
    int slot = 0;
    while (s->children[slot]) slot++;
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) become_train(s, run, path);
    if (child < 0) { s->failed++; complain("%s: cannot begin, %s", path, strerror(errno)); return; }
    s->children[slot] = child;
    s->number[slot] = run;
    s->running++;
}

/* Of a run that failed: with the last line that it has said. */
static void complain_of(const char *path)
{
    char file[4600], line[400], last[400] = "it said nothing";
    snprintf(file, sizeof file, "%s.txt", path);
    FILE *f = fopen(file, "r");
    while (f && fgets(line, sizeof line, f)) if (line[strspn(line, " \r\n")]) snprintf(last, sizeof last, "%.*s", (int)strcspn(line, "\n"), line);
    if (f) fclose(f);
    complain("%s failed: %s (all of it is in %s)", path, last, file);
}

/* Waits for one of the runs. */
static void await_one(sweep *s)
{
    int status;
    char path[4500];
    pid_t child = wait(&status);
    if (child < 0 && errno == EINTR) for (int i = 0; i < s->settings->jobs; i++) if (s->children[i]) kill(s->children[i], SIGTERM);
    for (int i = 0; child > 0 && i < s->settings->jobs; i++) {
        if (s->children[i] != child) continue;
        path_of(s, s->number[i], path, sizeof path);
        s->children[i] = 0;
        s->running--;
        bool done = WIFEXITED(status) && WEXITSTATUS(status) == 0;
        if (done) say("%s", path);
        else if (!interrupted()) { s->failed++; complain_of(path); }
    }
}

static void run_all(sweep *s)
{
    char path[4500];
    bool said = false;
    for (int run = 0; run < s->runs && !interrupted(); run++) {
        path_of(s, run, path, sizeof path);
        said = said || says_other_command(s, run, path);
        if (exists(path, "model.safetensors")) { say("%s is finished", path); continue; }
        while (s->running == s->settings->jobs) await_one(s);
        if (!interrupted()) start(s, run, path);
    }
    while (s->running) await_one(s);
}

/* ---- what came out ------------------------------------------------------------------------ */

typedef struct { double mean, deviation; int n; } spread;

static spread spread_of(lithe_run *const *runs, int n, bool bits)
{
    spread out = { .n = 0 };
    double sum = 0, squares = 0;
    for (int i = 0; i < n; i++) {
        lithe_run_summary x;
        lithe_run_summarize(runs[i], &x);
        double value = bits ? x.bits_per_byte : x.valid_loss;
        if (!isfinite(value)) continue;
        sum += value;
        squares += value * value;
        out.n++;
    }
    out.mean = sum / out.n;
    out.deviation = out.n > 1 ? sqrt(fmax(0, (squares - sum * sum / out.n) / (out.n - 1))) : NAN;
    return out;
}

static void combination_name(const sweep *s, int combination, char *text, size_t size)
{
    size_t n = 0;
    *text = 0;
    for (int i = 0; i < s->varied_count && n < size; i++)
        n += (size_t)snprintf(text + n, size - n, "%s%s=%s", i ? "," : "", s->varied[i].name, s->varied[i].values[value_in(s, combination * s->settings->seeds, i)]);
    if (!*text) snprintf(text, size, "as given");
}

static void print_combination(const char *name, const spread *loss, const spread *bits, int runs)
{
    printf("%-40s  ", name);
    if (loss->n) printf("validation loss %.4f", loss->mean);
    else printf("no validation loss");
    if (isfinite(loss->deviation)) printf(" +- %.4f", loss->deviation);
    if (bits->n) printf("  bits per byte %.4f", bits->mean);
    printf("  (%d run%s)\n", runs, runs == 1 ? "" : "s");
}

static void print_outcome(const sweep *s, lithe_run *const *runs, const int *combination, int n, const char *path)
{
    emitter e = { 0 };
    if (s->settings->json) {
        e = emit_begin(stdout, "sweep");
        emit_text(&e, "path", path);
        emit_count(&e, "runs", n);
        emit_count(&e, "failed", s->failed);
        emit_open(&e, "combinations", '[');
    }
    for (int c = 0, first = 0, end; c < s->combinations; c++, first = end) {
        char name[NAME_MOST];
        for (end = first; end < n && combination[end] == c; ) end++;
        combination_name(s, c, name, sizeof name);
        spread loss = spread_of(runs + first, end - first, false), bits = spread_of(runs + first, end - first, true);
        if (!s->settings->json) { print_combination(name, &loss, &bits, end - first); continue; }
        emit_open(&e, NULL, '{');
        emit_text(&e, "name", name);
        emit_count(&e, "runs", end - first);
        emit_number(&e, "valid_loss", loss.mean);
        emit_number(&e, "deviation", loss.deviation);
        emit_number(&e, "bits_per_byte", bits.mean);
        emit_close(&e, '}');
    }
    if (s->settings->json) { emit_close(&e, ']'); emit_end(&e); }
    else printf("%s\n", path);
}

/* The report of all runs that have a log. */
static int write_report(sweep *s)
{
    lithe_error err = { 0 };
    char path[4500], page[4200], csv[4200];
    lithe_run **runs = allocate((size_t)s->runs, sizeof *runs, &err);
    int *combination = allocate((size_t)s->runs, sizeof *combination, &err), n = 0;
    for (int run = 0; run < s->runs && !err.status; run++) {
        lithe_error skipped = { 0 };
        path_of(s, run, path, sizeof path);
        lithe_run *r = exists(path, "log.jsonl") ? lithe_run_open(path, &skipped) : NULL;
        if (r) { combination[n] = run / s->settings->seeds; runs[n++] = r; }
    }
    snprintf(page, sizeof page, "%s/report.html", s->settings->out);
    snprintf(csv, sizeof csv, "%s/csv", s->settings->out);
    if (!err.status && !n) wrong(&err, LITHE_EFORMAT, "%s: not one run has a log", s->settings->out);
    const lithe_report_options o = { .size = sizeof o, .csv = csv };
    if (!err.status && !lithe_report(runs, n, page, &o, &err)) print_outcome(s, runs, combination, n, page);
    close_runs(runs, n);
    free(combination);
    return err.status ? failed_output(&err) : EXIT_DONE;
}

/* False when it is a directory afterwards, be it there already. */
static bool make_one(const char *path)
{
    struct stat s;
    if (!mkdir(path, 0777)) return false;
    if (errno != EEXIST || stat(path, &s)) return true;
    errno = ENOTDIR;
    return !S_ISDIR(s.st_mode);
}

/* With the directories above it. */
static void make_directory(const char *path, lithe_error *err)
{
    char *at = strdup(path);
    bool bad = !at;
    for (char *slash = at ? strchr(at + 1, '/') : NULL; slash && !bad; slash = strchr(slash + 1, '/')) {
        *slash = 0;
        bad = make_one(at);
        *slash = '/';
    }
    if (!bad) bad = make_one(at);
    if (bad) wrong_errno(err, path, "make");
    free(at);
}

static int run_sweep(sweep *s)
{
    lithe_error err = { 0 };
    ssize_t length = readlink("/proc/self/exe", s->program, sizeof s->program - 1);
    s->children = allocate((size_t)s->settings->jobs, sizeof *s->children, &err);
    s->number = allocate((size_t)s->settings->jobs, sizeof *s->number, &err);
    if (length <= 0) wrong(&err, LITHE_EIO, "the path of this program is not known");
    make_directory(s->settings->out, &err);
    if (err.status) return failed_output(&err);
    memset(s->children, 0, (size_t)s->settings->jobs * sizeof *s->children);
    interrupt_catch(true);
    run_all(s);
    if (interrupted()) { say("stopped; the same command continues"); return interrupted(); }
    int code = write_report(s);
    return code ? code : s->failed ? EXIT_FAILED : EXIT_DONE;
}

static int sweep_verb(const arguments *a)
{
    sweep s = { .arguments = a, .settings = a->settings };
    int code = plan(&s);
    if (!code) code = run_sweep(&s);
    for (int i = 0; i < s.varied_count; i++) free(s.varied[i].text);
    free(s.children);
    free(s.number);
    return code;
}

const verb verb_sweep = {
    .name = "sweep", .operands = "-- DATA... [OPTIONS OF TRAIN]", .least = 1, .most = -1,
    .summary = "train with every combination of values and seeds, and report",
    .about = "Begins lithe train for each combination of the values and each seed, with the arguments after --, in DIR/NAME=VALUE,...,seed=N, and "
             "what it says in a file beside it. Ends with a table of means and standard deviations over the seeds, DIR/report.html and DIR/csv.\n\n"
             "Finished runs are left alone and others resumed, so the same command continues a sweep that was stopped, and more values or "
             "seeds add to it. Runs that fail are said, and the others go on.",
    .examples = "  lithe sweep --vary lr=1e-3,3e-4 --vary batch=4,8 --seeds 3 --out sweeps/lr -- my.txt --steps 200\n",
    .options = sweep_options, .bytes = sizeof(sweep_settings), .run = sweep_verb,
};
