#include "base/kernel_file.h"
#include "serve/server_metrics.h"
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* The last one counts all others. */
static const int STATUSES[CODES] = { 200, 400, 401, 404, 405, 408, 413, 415, 429, 499, 500, 501, 503, 0 };
static const double SECONDS[BUCKETS] = { 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 30, 120 };

void metrics_open(metrics *m)
{
    *m = (metrics){ .routes = 0 };
    pthread_mutex_init(&m->mutex, NULL);
}

void metrics_close(metrics *m) { pthread_mutex_destroy(&m->mutex); }

/* ---- counting ------------------------------------------------------------------------ */

static void observe(histogram *h, double seconds)
{
    int i = 0;
    while (i < BUCKETS && seconds > SECONDS[i]) i++;
    h->in[i]++;
    h->sum += seconds;
}

static unsigned long long *answers_of(metrics *m, const char *route, int status)
{
    int r = 0, c = 0;
    while (r < m->routes && strcmp(m->route[r], route)) r++;
    if (r == MOST_ROUTES) r--;
    else if (r == m->routes) m->route[m->routes++] = route;
    while (STATUSES[c] && STATUSES[c] != status) c++;
    return &m->answers[r][c];
}

void metrics_request(metrics *m, const char *route, int status, double seconds, size_t prompt_tokens, size_t tokens)
{
    pthread_mutex_lock(&m->mutex);
    ++*answers_of(m, route, status);
    observe(&m->duration, seconds);
    m->prompt_tokens += prompt_tokens;
    m->tokens += tokens;
    m->queue_full += status == 429;
    m->unauthorized += status == 401;
    m->too_large += status == 413;
    pthread_mutex_unlock(&m->mutex);
}

void metrics_token(metrics *m, int first, double seconds)
{
    pthread_mutex_lock(&m->mutex);
    observe(first ? &m->first_token : &m->between_tokens, seconds);
    pthread_mutex_unlock(&m->mutex);
}

/* ---- writing -------------------------------------------------------------------------- */

static void head(FILE *f, const char *name, const char *type, const char *help)
{
    fprintf(f, "# HELP lithe_%s %s\n# TYPE lithe_%s %s\n", name, help, name, type);
}

static void number(FILE *f, const char *name, const char *type, const char *help, double value)
{
    head(f, name, type, help);
    fprintf(f, "lithe_%s %.17g\n", name, value);
}

static void write_histogram(FILE *f, const histogram *h, const char *name, const char *help)
{
    unsigned long long count = 0;
    head(f, name, "histogram", help);
    for (int i = 0; i < BUCKETS; i++) fprintf(f, "lithe_%s_bucket{le=\"%g\"} %llu\n", name, SECONDS[i], count += h->in[i]);
    count += h->in[BUCKETS];
    fprintf(f, "lithe_%s_bucket{le=\"+Inf\"} %llu\nlithe_%s_sum %.17g\nlithe_%s_count %llu\n", name, count, name, h->sum, name, count);
}

static void write_answers(FILE *f, const metrics *m)
{
    head(f, "requests_total", "counter", "Requests that were answered.");
    for (int r = 0; r < m->routes; r++)
        for (int c = 0; c < CODES; c++)
            if (m->answers[r][c]) fprintf(f, "lithe_requests_total{route=\"%s\",code=\"%d\"} %llu\n", m->route[r], STATUSES[c], m->answers[r][c]);
    head(f, "rejected_total", "counter", "Requests that were refused before any model read them.");
    fprintf(f, "lithe_rejected_total{reason=\"queue_full\"} %llu\nlithe_rejected_total{reason=\"unauthorized\"} %llu\nlithe_rejected_total{reason=\"too_large\"} %llu\n",
            m->queue_full, m->unauthorized, m->too_large);
}

static void label(FILE *f, const char *name, const char *value, bool last)
{
    fprintf(f, "%s=\"", name);
    for (const char *c = value; *c; c++) fprintf(f, *c == '"' || *c == '\\' ? "\\%c" : "%c", *c);
    fprintf(f, last ? "\"" : "\",");
}

static void write_models(FILE *f, const metrics_model *models, int count)
{
    head(f, "model_info", "gauge", "The models that are served.");
    for (int i = 0; i < count; i++) {
        fprintf(f, "lithe_model_info{");
        label(f, "model", models[i].name, false);
        label(f, "arch", models[i].arch, false);
        label(f, "dtype", models[i].dtype, false);
        label(f, "hash", models[i].hash, true);
        fprintf(f, "} 1\n");
    }
}

static double resident_bytes(void)
{
    long long pages = 0;
    char line[128];
    if (kernel_first_line("/proc/self/statm", line, sizeof line) && sscanf(line, "%*s %lld", &pages) != 1) pages = 0;
    return (double)pages * (double)sysconf(_SC_PAGESIZE);
}

char *metrics_text(metrics *m, const metrics_now *now, const metrics_model *models, int count)
{
    char *text = NULL;
    size_t size;
    FILE *f = open_memstream(&text, &size);
    if (!f) return NULL;
    pthread_mutex_lock(&m->mutex);
    write_answers(f, m);
    write_histogram(f, &m->duration, "request_duration_seconds", "Time from the head of a request to the end of its answer.");
    write_histogram(f, &m->first_token, "time_to_first_token_seconds", "Time from the head of a request to its first token.");
    write_histogram(f, &m->between_tokens, "inter_token_seconds", "Time between two tokens of a sequence.");
    number(f, "prompt_tokens_total", "counter", "Tokens of the prompts of answered requests.", (double)m->prompt_tokens);
    number(f, "generated_tokens_total", "counter", "Tokens that were written for answered requests.", (double)m->tokens);
    pthread_mutex_unlock(&m->mutex);
    number(f, "queue_depth", "gauge", "Requests that wait for a slot.", now->waiting);
    number(f, "slots_total", "gauge", "Sequences that can be continued at once.", now->slots);
    number(f, "slots_busy", "gauge", "Sequences that are being continued.", now->busy);
    number(f, "prefix_bytes", "gauge", "Memory of the states that are kept after beginnings of prompts.", (double)now->prefix_bytes);
    number(f, "prefix_tokens_total", "counter", "Tokens of prompts that did not have to be read, since their states were known.", (double)now->prefix_tokens);
    number(f, "resident_bytes", "gauge", "Resident memory of the process.", resident_bytes());
    write_models(f, models, count);
    if (!fclose(f)) return text;
    return NULL;
}
