/* libFuzzer: bytes as the log of a run.  What opens has a page, and figures of its own. */
#include "lithe_runs.h"
#include "scratch.h"
#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void report_on(lithe_run *r, const char *page)
{
    lithe_error err = { 0 };
    lithe_run_summary s;
    lithe_run_difference d;
    double x[64], y[64];
    lithe_run_summarize(r, &s);
    size_t n = lithe_run_curve(r, "loss", "flops", x, y, 64);
    for (size_t i = 0; i < n && i < 64; i++) assert(isfinite(x[i]) && isfinite(y[i]));
    lithe_run_compare(r, r, "tokens", 0, &d, NULL);
    assert(lithe_report(&r, 1, page, NULL, &err) == LITHE_OK && !err.status);
    unlink(page);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    lithe_error err = { 0 };
    char dir[SCRATCH_PATH], path[SCRATCH_PATH + 16], page[SCRATCH_PATH];
    scratch_path(dir, "run");
    scratch_path(page, "page.html");
    mkdir(dir, 0700);
    snprintf(path, sizeof path, "%s/log.jsonl", dir);
    FILE *f = fopen(path, "wb");
    if (!f) return 0;
    fwrite(data, 1, size, f);
    fclose(f);
    lithe_run *r = lithe_run_open(dir, &err);
    assert(!r == (err.status != LITHE_OK) && !strchr(err.text, '\n'));
    if (r) report_on(r, page);
    lithe_run_close(r);
    unlink(path);
    return 0;
}
