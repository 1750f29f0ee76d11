/* libFuzzer: bytes as a file of what tokens cost.  What is read has curves of finite numbers and a page. */
#include "lithe_runs.h"
#include "report/figures.h"
#include "scratch.h"
#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void write_bytes(const char *path, const void *data, size_t size)
{
    FILE *f = fopen(path, "wb");
    if (!f) abort();
    fwrite(data, 1, size, f);
    fclose(f);
}

static void look_at_curves(const costs *c, cost_of of)
{
    int count;
    chart_curve *curves = costs_curves(c, of, &count);
    assert(curves && count > 0);
    for (int i = 0; i < count; i++) {
        assert(curves[i].n > 1);
        for (size_t k = 0; k < curves[i].n; k++) assert(isfinite(curves[i].x[k]) && isfinite(curves[i].y[k]) && (!k || curves[i].x[k] > curves[i].x[k - 1]));
    }
    figures_free(curves, count);
}

static void report_on(const char *file, const char *dir)
{
    static const char log[] = "{\"step\": 0, \"started\": \"rwkv7\", \"params\": 10, \"steps\": 1}\n";
    lithe_error err = { 0 };
    char path[SCRATCH_PATH + 16], page[SCRATCH_PATH];
    mkdir(dir, 0700);
    snprintf(path, sizeof path, "%s/log.jsonl", dir);
    write_bytes(path, log, strlen(log));
    lithe_run *r = lithe_run_open(dir, &err);
    const lithe_report_options o = { .size = sizeof o, .costs = &file, .cost_count = 1 };
    assert(r && lithe_report(&r, 1, scratch_path(page, "page.html"), &o, &err) == LITHE_OK);
    lithe_run_close(r);
    unlink(page);
    unlink(path);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    lithe_error err = { 0 };
    costs c;
    char path[SCRATCH_PATH], dir[SCRATCH_PATH];
    const char *file = scratch_path(path, "cost.jsonl");
    write_bytes(file, data, size);
    int status = costs_read(&c, &file, 1, &err);
    assert(status == (int)err.status && !strchr(err.text, '\n'));
    if (!status) {
        look_at_curves(&c, COST_SECONDS);
        look_at_curves(&c, COST_BYTES);
        report_on(file, scratch_path(dir, "run"));
    }
    costs_close(&c);
    unlink(file);
    return 0;
}
