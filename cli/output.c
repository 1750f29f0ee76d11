/* Messages, exit codes, the terminal, JSON. */
#include "output.h"
#include "interrupt.h"
#include "suggest.h"
#include "terminal.h"
#include <errno.h>
#include <math.h>
#include <poll.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

static const char *verb_name, *rank_host;
static bool quiet;
static int rank = -1;

/* If all ranks have something to complain of, the launcher ends the others in this time after rank 0 has. */
enum { LEADS_SECONDS = 5 };

void output_begin(const char *verb, bool be_quiet)
{
    verb_name = verb;
    quiet = be_quiet;
}

void output_rank(int number, const char *host)
{
    rank = number;
    rank_host = host;
}

bool output_leads(void) { return rank <= 0; }
bool output_quiet(void) { return quiet || rank > 0; }

void say(const char *format, ...)
{
    if (output_quiet()) return;
    va_list args;
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
}

static void vcomplain(const char *format, va_list args)
{
    if (rank > 0 && !rank_host) sleep(LEADS_SECONDS);
    fprintf(stderr, verb_name ? "lithe %s: " : "lithe: ", verb_name);
    if (rank > 0 && !rank_host) fprintf(stderr, "rank %d: ", rank);
    if (rank >= 0 && rank_host) fprintf(stderr, "rank %d on %s: ", rank, rank_host);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
}

void complain(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vcomplain(format, args);
    va_end(args);
}

void warn(const char *text)
{
    if (rank > 0) return;
    if (quiet) complain("%s", text);
    else say("%s", text);
}

int usage(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vcomplain(format, args);
    va_end(args);
    return EXIT_USAGE;
}

/* ---- exit codes ------------------------------------------------------------- */

static int code_of(const lithe_error *err, int unreadable)
{
    switch (err->status) {
    case LITHE_EINVAL:    return EXIT_USAGE;
    case LITHE_EIO:       return unreadable;
    case LITHE_EFORMAT:
    case LITHE_ECONFIG:
    case LITHE_EFULL:     return EXIT_INPUT;
    case LITHE_ENOMEM:
    case LITHE_EDEVICE:   return EXIT_RESOURCES;
    case LITHE_EDIVERGED: return EXIT_DIVERGED;
    case LITHE_EMISMATCH: return EXIT_MISMATCH;
    case LITHE_ECANCELLED:
    case LITHE_OK:        break;
    }
    return EXIT_FAILED;
}

/* The file or the run that was meant, where one that was named is not there. */
static question meant_by(const lithe_error *err)
{
    char path[sizeof err->text];
    const char *end = strcasestr(err->text, ": cannot open, no such file");
    if (!end) end = strstr(err->text, ": is no run");
    snprintf(path, sizeof path, "%.*s", end ? (int)(end - err->text) : 0, err->text);
    return end && access(path, F_OK) ? meant_file(path) : (question){ "" };
}

static int exit_of(const lithe_error *err, int unreadable)
{
    if (err->status == LITHE_ECANCELLED && interrupted()) {
        say("%s", err->text);
        return interrupted();
    }
    if (err->text[0]) complain("%s%s", err->text, meant_by(err).text);
    else complain("failed without saying why (status %d)", err->status);
    return code_of(err, unreadable);
}

int exit_code(const lithe_error *err) { return code_of(err, EXIT_FAILED); }
int failed_input(const lithe_error *err) { return exit_of(err, EXIT_INPUT); }
int failed_output(const lithe_error *err) { return exit_of(err, EXIT_FAILED); }

/* An earlier write may have met the closed pipe. */
static bool nobody_reads(void)
{
    struct pollfd out = { .fd = STDOUT_FILENO, .events = POLLOUT };
    return poll(&out, 1, 0) == 1 && (out.revents & POLLERR);
}

int output_end(int code)
{
    lithe_error err = { 0 };
    if (code == EXIT_DONE && lithe_check_pending(&err)) code = failed_output(&err);
    errno = 0;
    if (fflush(stdout) == 0 && !ferror(stdout)) return code;
    if (errno == EPIPE || nobody_reads()) return code;
    complain("cannot write standard output, %s", errno ? strerror(errno) : "an earlier write failed");
    if (code != EXIT_DONE) return code;
    return errno == ENOSPC || errno == EDQUOT || errno == EFBIG ? EXIT_RESOURCES : EXIT_FAILED;
}

/* ---- terminals -------------------------------------------------------------- */

static bool environment_says(const char *name)
{
    const char *value = getenv(name);
    return value && *value;
}

bool terminal(FILE *f)
{
    const char *term = getenv("TERM");
    return isatty(stream_fd(f)) && term && *term && strcmp(term, "dumb");
}

bool coloured(FILE *f)
{
    if (environment_says("NO_COLOR")) return false;
    const char *force = getenv("CLICOLOR_FORCE");
    return (force && *force && strcmp(force, "0")) || terminal(f);
}

static struct winsize terminal_size(FILE *f)
{
    struct winsize size = { 0 };
    if (ioctl(stream_fd(f), TIOCGWINSZ, &size)) size = (struct winsize){ 0 };
    return size;
}

static int size_or(const char *variable, int said, int otherwise)
{
    const char *given = getenv(variable);
    return given && atoi(given) > 0 ? atoi(given) : said > 0 ? said : otherwise;
}

int terminal_width(FILE *f)  { return size_or("COLUMNS", terminal_size(f).ws_col, 80); }
int terminal_height(FILE *f) { return size_or("LINES", terminal_size(f).ws_row, 24); }

bool terminal_utf8(void)
{
    static const char *const names[] = { "LC_ALL", "LC_CTYPE", "LANG" };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const char *value = getenv(names[i]);
        if (value && *value) return strstr(value, "UTF-8") || strstr(value, "utf8") || strstr(value, "utf-8");
    }
    return false;
}

/* ---- figures ---------------------------------------------------------------- */

typedef struct { const char *key, *name; double value; } figure;
enum { FIGURES = 6 };

static void list_figures(const lithe_metrics *m, figure f[FIGURES])
{
    f[0] = (figure){ "accuracy", "accuracy", m->accuracy };
    f[1] = (figure){ "f1", "F1", m->f1 };
    f[2] = (figure){ "matthews", "Matthews", m->matthews };
    f[3] = (figure){ "pearson", "Pearson", m->pearson };
    f[4] = (figure){ "spearman", "Spearman", m->spearman };
    f[5] = (figure){ "next_accuracy", "next-sentence accuracy", m->next_accuracy };
}

const char *metrics_text(const lithe_metrics *m, char *text, size_t cap)
{
    figure f[FIGURES];
    size_t n = 0;
    list_figures(m, f);
    text[0] = 0;
    for (int i = 0; i < FIGURES && n < cap; i++)
        if (isfinite(f[i].value)) n += (size_t)snprintf(text + n, cap - n, "  %.4f %s", f[i].value, f[i].name);
    return text;
}

const char *figures_text(const lithe_event *e, char *text, size_t cap)
{
    size_t n = isfinite(e->bits_per_byte) ? (size_t)snprintf(text, cap, "  %.4f bits per byte", e->bits_per_byte) : 0;
    if (n < cap) metrics_text(&e->metrics, text + n, cap - n);
    return text;
}

void emit_metrics(emitter *e, const lithe_metrics *m)
{
    figure f[FIGURES];
    list_figures(m, f);
    for (int i = 0; i < FIGURES; i++) if (isfinite(f[i].value)) emit_number(e, f[i].key, f[i].value);
}

/* ---- JSON ------------------------------------------------------------------- */

int utf8_length(const char *text, size_t n)
{
    const unsigned char *s = (const unsigned char *)text;
    int length = s[0] < 0x80 ? 1 : s[0] < 0xc2 ? 0 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : s[0] < 0xf5 ? 4 : 0;
    if (!length || (size_t)length > n) return 0;
    for (int i = 1; i < length; i++) if ((s[i] & 0xc0) != 0x80) return 0;
    bool overlong = (s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xf0 && s[1] < 0x90);
    bool surrogate = s[0] == 0xed && s[1] >= 0xa0, beyond = s[0] == 0xf4 && s[1] >= 0x90;
    return overlong || surrogate || beyond ? 0 : length;
}

/* Of bytes that are no character: how many one U+FFFD stands for, the longest beginning of a character or one byte.  A
 * beginning of two or three bytes can be completed by bytes 0x80. */
static size_t broken(const char *text, size_t n)
{
    for (size_t k = n < 3 ? n : 3; k > 1; k--) {
        char whole[4] = { '\x80', '\x80', '\x80', '\x80' };
        memcpy(whole, text, k);
        if ((size_t)utf8_length(whole, sizeof whole) > k) return k;
    }
    return 1;
}

static void put_string(FILE *out, const char *text, size_t n)
{
    const unsigned char *s = (const unsigned char *)text;
    fputc('"', out);
    for (size_t i = 0; i < n; ) {
        int length = utf8_length(text + i, n - i);
        if (!length) { fputs("\\ufffd", out); i += broken(text + i, n - i); continue; }
        if (length > 1) fwrite(s + i, 1, (size_t)length, out);
        else if (s[i] == '"' || s[i] == '\\') fprintf(out, "\\%c", s[i]);
        else if (s[i] == '\n') fputs("\\n", out);
        else if (s[i] == '\t') fputs("\\t", out);
        else if (s[i] < ' ' || s[i] == 127) fprintf(out, "\\u%04x", s[i]);
        else fputc(s[i], out);
        i += (size_t)length;
    }
    fputc('"', out);
}

static void put_key(emitter *e, const char *key)
{
    if (e->comma) fputc(',', e->out);
    e->comma = true;
    if (!key) return;
    put_string(e->out, key, strlen(key));
    fputc(':', e->out);
}

emitter emit_begin(FILE *out, const char *schema)
{
    emitter e = { out, false };
    char name[64];
    fputc('{', out);
    snprintf(name, sizeof name, "lithe.%s.1", schema);
    emit_text(&e, "schema", name);
    return e;
}

void emit_bytes(emitter *e, const char *key, const char *text, size_t n)
{
    put_key(e, key);
    put_string(e->out, text, n);
}

void emit_text(emitter *e, const char *key, const char *text)
{
    if (text) { emit_bytes(e, key, text, strlen(text)); return; }
    put_key(e, key);
    fputs("null", e->out);
}

void emit_json(emitter *e, const char *key, const char *json)
{
    put_key(e, key);
    fputs(json ? json : "null", e->out);
}

void emit_number(emitter *e, const char *key, double x)
{
    char text[40];
    put_key(e, key);
    if (!isfinite(x)) { fputs("null", e->out); return; }
    for (int digits = 6; digits <= 17; digits++) {              /* the fewest that read back the same */
        snprintf(text, sizeof text, "%.*g", digits, x);
        if (fabs(strtod(text, NULL) - x) <= 0) break;
    }
    fputs(text, e->out);
}

void emit_count(emitter *e, const char *key, long long n)
{
    put_key(e, key);
    fprintf(e->out, "%lld", n);
}

void emit_bool(emitter *e, const char *key, bool b)
{
    put_key(e, key);
    fputs(b ? "true" : "false", e->out);
}

void emit_open(emitter *e, const char *key, char bracket)
{
    put_key(e, key);
    fputc(bracket, e->out);
    e->comma = false;
}

void emit_close(emitter *e, char bracket)
{
    fputc(bracket, e->out);
    e->comma = true;
}

void emit_end(emitter *e)
{
    fputs("}\n", e->out);
    fflush(e->out);
}
