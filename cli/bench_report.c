#include "bench_report.h"
#include "inputs.h"
#include "quantity.h"
#include <stdlib.h>
#include <string.h>

/* ---- memory --------------------------------------------------------------------------- */

void memory_forget_peak(void)
{
    FILE *f = fopen("/proc/self/clear_refs", "w");
    if (!f) return;
    fputs("5", f);
    fclose(f);
}

size_t memory_peak(void)
{
    char line[200];
    unsigned long kilobytes = 0;
    FILE *f = fopen("/proc/self/status", "r");
    while (f && fgets(line, sizeof line, f) && sscanf(line, "VmHWM: %lu", &kilobytes) != 1) { }
    if (f) fclose(f);
    return (size_t)kilobytes * 1024;
}

/* ---- figures ------------------------------------------------------------------------------ */

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(const double *x, int n)
{
    double sorted[MOST_RUNS];
    memcpy(sorted, x, (size_t)n * sizeof *x);
    qsort(sorted, (size_t)n, sizeof *sorted, by_value);
    return n % 2 ? sorted[n / 2] : (sorted[n / 2 - 1] + sorted[n / 2]) / 2;
}

typedef struct { double seconds, rate, bytes, read, flops, peak; } rates;

/* Products with weights in 16 bits or blocks may run at the rate of bf16. */
static rates rates_of(const report *r, const figure *f)
{
    double seconds = median(f->seconds, f->runs), peak = r->peak_bf16 > r->peak ? r->peak_bf16 : r->peak;
    return (rates){ seconds, (double)f->count / seconds, f->pass.bytes * f->passes / seconds, median(f->read, f->runs), f->pass.flops * f->passes / seconds, peak };
}

static void emit_profile(emitter *e, const lithe_engine *timed)
{
    lithe_op_time t;
    emit_open(e, "profile", '[');
    for (size_t i = 0; lithe_engine_profile(timed, i, &t); i++) {
        emit_open(e, NULL, '{');
        emit_text(e, "op", t.op);
        emit_number(e, "seconds", t.seconds);
        emit_count(e, "runs", (long long)t.runs);
        emit_close(e, '}');
    }
    emit_close(e, ']');
}

static void emit_figure(report *r, const figure *f, const lithe_engine *timed)
{
    char rate[40];
    const rates x = rates_of(r, f);
    emitter *e = &r->out;
    emit_open(e, NULL, '{');
    emit_text(e, "type", f->type);
    emit_text(e, "work", f->work);
    emit_count(e, "parallel", f->parallel);
    if (!strcmp(f->work, "decode")) {
        emit_count(e, "depth", (long long)f->depth);
        emit_text(e, "cache_type", f->cache);
    }
    emit_count(e, f->unit, (long long)f->count);
    emit_number(e, "seconds", x.seconds);
    snprintf(rate, sizeof rate, "%s_per_second", f->unit);
    emit_number(e, rate, x.rate);
    emit_number(e, "gb_per_second", x.bytes * 1e-9);
    emit_number(e, "read_gb_per_second", x.read * 1e-9);
    emit_number(e, "share_of_read", x.bytes / x.read);
    emit_number(e, "gflops", x.flops * 1e-9);
    emit_number(e, "share_of_peak", x.flops / x.peak);
    emit_count(e, "weight_bytes", (long long)r->weight_bytes);
    emit_count(e, "engine_bytes", (long long)f->engine_bytes);
    emit_count(e, "peak_resident_bytes", (long long)f->resident_bytes);
    emit_open(e, "runs", '[');
    for (int i = 0; i < f->runs; i++) emit_number(e, NULL, f->seconds[i]);
    emit_close(e, ']');
    if (timed) emit_profile(e, timed);
    emit_close(e, '}');
}

static void print_profile(const lithe_engine *timed)
{
    lithe_op_time t;
    double sum = 0;
    for (size_t i = 0; lithe_engine_profile(timed, i, &t); i++) sum += t.seconds;
    for (size_t i = 0; lithe_engine_profile(timed, i, &t); i++)
        printf("    %5.1f %%  %8.1f us each  %s\n", 100 * t.seconds / sum, 1e6 * t.seconds / (double)t.runs, t.op);
}

static void print_figure(report *r, const figure *f, const lithe_engine *timed)
{
    const rates x = rates_of(r, f);
    char work[60], rate[40], memory[16];
    int n = snprintf(work, sizeof work, f->parallel > 1 && !strcmp(f->unit, "tokens") ? "%s, %d together" : "%s", f->work, f->parallel);
    if (f->depth) snprintf(work + n, sizeof work - (size_t)n, " after %zu", f->depth);
    snprintf(rate, sizeof rate, "%.*f %s/s", x.rate < 100 ? 2 : 0, x.rate, f->unit);
    if (!r->headed) printf("%-8s %-22s %22s %8s %9s %9s %9s %9s\n", "type", "work", "", "GB/s", "of reading", "GFLOP/s", "of peak", "memory");
    r->headed = true;
    printf("%-8s %-22s %22s %8.2f %8.0f %% %9.1f %7.0f %% %8sB\n", f->type, work, rate, x.bytes * 1e-9, 100 * x.bytes / x.read, x.flops * 1e-9, 100 * x.flops / x.peak,
           size_text((double)f->resident_bytes, memory));
    if (timed) print_profile(timed);
    fflush(stdout);
}

void report_figure(report *r, figure *f, const lithe_engine *timed)
{
    if (r->json) emit_figure(r, f, timed);
    else print_figure(r, f, timed);
}

/* ---- the whole ----------------------------------------------------------------------------- */

void report_begin(report *r, const char *model, bool json, lithe_error *err)
{
    *r = (report){ .model = model, .json = json };
    r->peak = machine_peak("f32", err);
    r->peak_bf16 = machine_peak("bf16", err);
}

static void begin_json(report *r, const lithe_model *m)
{
    char *machine = lithe_doctor(1);
    for (char *p = machine; p && *p; p++) if (*p == '\n') *p = ' ';
    r->out = emit_begin(stdout, "bench");
    emit_text(&r->out, "model", r->model);
    emit_text(&r->out, "arch", lithe_model_arch(m));
    emit_count(&r->out, "params", (long long)lithe_model_params(m));
    emit_json(&r->out, "machine", machine);
    emit_number(&r->out, "peak_gflops", r->peak * 1e-9);
    emit_number(&r->out, "peak_gflops_bf16", r->peak_bf16 * 1e-9);
    emit_open(&r->out, "results", '[');
    free(machine);
}

void report_model(report *r, const lithe_model *m)
{
    lithe_tensor_info p;
    char params[16], bytes[16];
    r->weight_bytes = 0;
    for (size_t i = 0; lithe_model_parameter(m, i, &p); i++) r->weight_bytes += p.bytes;
    if (r->json && !r->begun) begin_json(r, m);
    if (!r->json) say("%s: %s, %s parameters in %sB; matrix products at %.1f GFLOP/s (bf16 %.1f)", r->model, lithe_model_arch(m), size_text((double)lithe_model_params(m), params),
                      size_text((double)r->weight_bytes, bytes), r->peak * 1e-9, r->peak_bf16 * 1e-9);
    r->begun = true;
}

void report_end(report *r)
{
    if (!r->json || !r->begun) return;
    emit_close(&r->out, ']');
    emit_end(&r->out);
}
