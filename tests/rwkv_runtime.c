/* RWKV in rwkv.cpp's files: the versions that no published file of ours has,
 * as its converter makes them, and what is written for it. */
#include "model.h"
#include "rwkv_files.h"
#include "base/file.h"
#include "base/writer.h"
#include <math.h>

/* rwkv.cpp's versions 5 and 6, as its own converter writes them; exp and log lose the last digits of version 5's
 * decays. */
void runtime_files(void)
{
    static const struct { const char *file, *model; double within; } CASES[] = {
        { "rwkv-cpp/rwkv5.bin", "rwkv5", 1e-5 }, { "rwkv-cpp/rwkv5-0.bin", "rwkv5-0", 1e-5 }, { "rwkv-cpp/rwkv6.bin", "rwkv6", 0 } };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        lithe_model *m = must_open_file(golden_path(CASES[i].file)), *whole = must_open_file(golden_path(CASES[i].model));
        CHECK_MSG(m && whole && m->params->count == whole->params->count, "%s", CASES[i].file);
        for (int k = 0; m && whole && k < m->params->count; k++) {
            const param *p = m->params->items[k], *q = params_find(whole->params, p->name);
            bool moved = strstr(p->name, "time_decay") || strstr(p->name, "time_first");
            double worst = q && q->count == p->count ? max_difference((const float *)p->weight.values, (const float *)q->weight.values, p->count) : 1;
            CHECK_MSG(worst <= (moved ? CASES[i].within : 0), "%s: %s differs by %g", CASES[i].file, p->name, worst);
        }
        lithe_model_close(m);
        lithe_model_close(whole);
    }
}

/* The records of an rwkv.cpp file, name by name: sizes, type and bytes. */
enum { MOST_ENTRIES = 1024 };
typedef struct { const uint8_t *sizes, *data; size_t length, bytes; const char *name; } entry;

static int list_entries(const mapping *m, entry out[MOST_ENTRIES])
{
    int n = 0;
    for (const uint8_t *p = m->data + 24; p < m->data + m->size && n < MOST_ENTRIES; n++) {
        uint32_t word[6];
        memcpy(word, p, 24);
        size_t sizes = 12 + 4 * (size_t)word[0], count = 1;
        for (uint32_t d = 0; d < word[0]; d++) count *= word[3 + d];
        out[n] = (entry){ .sizes = p, .name = (const char *)p + sizes, .length = word[1], .data = p + sizes + word[1], .bytes = count * (word[2] ? 2 : 4) };
        p = out[n].data + out[n].bytes;
    }
    return n;
}

static double worst_of(const entry *a, const entry *b)
{
    if (a->bytes != b->bytes || memcmp(a->sizes, b->sizes, (size_t)(a->name - (const char *)a->sizes))) return INFINITY;
    float x, y;
    double worst = 0;
    for (size_t i = 0; memcmp(a->data, b->data, a->bytes) && i + 4 <= a->bytes; i += 4) {
        memcpy(&x, a->data + i, 4);
        memcpy(&y, b->data + i, 4);
        worst = fmax(worst, fabs((double)x - (double)y));
    }
    return worst;
}

/* ours against theirs: the same records, in whatever order; what went through exp and log within `within`. */
static void check_runtime_file(const char *ours, const char *theirs, double within)
{
    lithe_error err = { 0 };
    mapping a = { 0 }, b = { 0 };
    static entry x[MOST_ENTRIES], y[MOST_ENTRIES];
    CHECK_MSG(!file_map(&a, ours, &err) && !file_map(&b, theirs, &err) && !memcmp(a.data + 8, b.data + 8, 16), "%s", err.text);
    int n = list_entries(&a, x), m = list_entries(&b, y);
    CHECK_MSG(n == m && a.size == b.size, "%s: %d tensors in %zu bytes, not %d in %zu", theirs, n, a.size, m, b.size);
    for (int i = 0; i < n; i++) {
        int k = 0;
        while (k < m && (x[i].length != y[k].length || memcmp(x[i].name, y[k].name, x[i].length))) k++;
        bool moved = memmem(x[i].name, x[i].length, "time_decay", 10) || memmem(x[i].name, x[i].length, "time_first", 10);
        double worst = k < m ? worst_of(&x[i], &y[k]) : INFINITY;
        CHECK_MSG(worst <= (moved ? within : 0), "%s: %.*s differs by %g", theirs, (int)x[i].length, x[i].name, worst);
    }
    file_unmap(&a);
    file_unmap(&b);
}

/* Written for rwkv.cpp: as its converter writes the same tensors, and as its published files have them. */
void runtime_files_written(void)
{
    static const struct { const char *from, *like, *to; double within; } CASES[] = {
        { "rwkv5", "rwkv-cpp/rwkv5.bin", "a.bin", 1e-7 }, { "rwkv5-0", "rwkv-cpp/rwkv5-0.bin", "b.bin", 1e-6 }, { "rwkv6", "rwkv-cpp/rwkv6.bin", "c.bin", 0 } };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        lithe_error err = { 0 };
        lithe_model *m = must_open_file(golden_path(CASES[i].from));
        CHECK_MSG(m && !lithe_model_export(m, in_dir(CASES[i].to), NULL, &err), "%s", err.text);
        check_runtime_file(in_dir(CASES[i].to), golden_path(CASES[i].like), CASES[i].within);
        lithe_model_close(m);
    }
    lithe_error err = { 0 };
    lithe_model *m = must_open_file(golden_path("rwkv7"));          /* halves: matrices rounded, all else as it was */
    CHECK_MSG(m && !lithe_model_export(m, in_dir("half.bin"), "f16", &err), "%s", err.text);
    lithe_model *again = must_open_file(in_dir("half.bin"));
    for (int i = 0; m && again && i < m->params->count; i++) {
        param *p = m->params->items[i], *q = params_find(again->params, p->name);
        bool matrix = strstr(p->name, ".weight") ? p->rule.rank == 2 : strlen(p->name) > 7 && strchr("12", p->name[strlen(p->name) - 1]) != NULL;
        for (size_t k = 0; matrix && k < p->count; k++) p->weight.values[k] = (real)float_from_f16(f16_from_float((float)p->weight.values[k]));
        CHECK_MSG(q && !memcmp(p->weight.values, q->weight.values, p->count * sizeof(real)), "%s", p->name);
    }
    lithe_model_close(m);
    lithe_model_close(again);
}

/* Decays and bonuses that no parameter gives. */
void runtime_values_refused(void)
{
    static const struct { const char *model, *name, *why; float value; } CASES[] = {
        { "rwkv4", "blocks.1.att.time_decay", "time_decay[0] is 1, expected -exp(...), which is negative", 1 },
        { "rwkv5", "blocks.0.att.time_decay", "time_decay[0] is 2, expected exp(-exp(...)), which lies between 0 and 1", 2 },
        { "rwkv5-0", "blocks.0.att.time_first", "time_first[0] is -1, expected exp(...), which is positive", -1 },
        { "rwkv5-0", "blocks.0.att.time_first", "time_first[0] is nan, expected exp(...)", NAN },
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        lithe_error err = { 0 };
        size_t size;
        lithe_model *m = must_open_file(golden_path(CASES[i].model));
        char path[32];
        snprintf(path, sizeof path, "values%zu.bin", i);
        CHECK_MSG(m && !lithe_model_export(m, in_dir(path), NULL, &err), "%s", err.text);
        lithe_model_close(m);
        char *bytes = file_read(in_dir(path), 1 << 20, &size, &err), *at = bytes ? memmem(bytes, size, CASES[i].name, strlen(CASES[i].name)) : NULL;
        CHECK_MSG(at, "%s", err.text);
        if (at) memcpy(at + strlen(CASES[i].name), &CASES[i].value, 4);
        CHECK(bytes && !file_write(in_dir(path), bytes, size, &err));
        free(bytes);
        m = lithe_model_open(in_dir(path), NULL, &err);
        CHECK_MSG(!m && err.status == LITHE_EFORMAT && strstr(err.text, CASES[i].why), "%s: %s", CASES[i].name, err.text);
        lithe_model_close(m);
    }
}

void published_files_written(void)
{
    static const char *const names[] = { "checkpoints/rwkv/tiny-rwkv-4v0-660K-FP32.bin", "checkpoints/rwkv/tiny-rwkv-7v0-834K-FP32.bin" };
    for (size_t i = 0; i < 2; i++) {
        lithe_error err = { 0 };
        lithe_model *m = must_open_file(test_data(names[i]));
        CHECK_MSG(m && !lithe_model_export(m, in_dir(i ? "7.bin" : "4.bin"), "f32", &err), "%s", err.text);
        check_runtime_file(in_dir(i ? "7.bin" : "4.bin"), test_data(names[i]), 1e-6);
        lithe_model_close(m);
    }
}
