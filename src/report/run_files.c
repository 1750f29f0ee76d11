/* The other files of a run: what was asked for, what it wrote, and the hashes of both. */
#include "base/file.h"
#include "base/dir_names.h"
#include "report/run_log.h"
#include <stdlib.h>
#include <string.h>

enum { TEXT_BYTES = 1 << 20, JSON_LEVELS = 32 };

/* The text of RUN/name in the run's memory; "" if it cannot be read. */
static const char *file_text(lithe_run *r, const char *name)
{
    size_t size;
    char *path = path_join(r->path, name), *text = path ? file_read(path, TEXT_BYTES, &size, NULL) : NULL, *copy = text ? arena_strdup(&r->memory, text) : NULL;
    free(text);
    free(path);
    return copy ? copy : "";
}

static void add_hash(lithe_run *r, const char *name, const char *hash)
{
    named_hash *grown = run_grown(r, r->hashes, r->hash_count, &r->hash_room, sizeof *grown);
    char *a = arena_strdup(&r->memory, name), *b = hash ? arena_strdup(&r->memory, hash) : NULL;
    if (grown) r->hashes = grown;
    if (grown && a && b) r->hashes[r->hash_count++] = (named_hash){ a, b };
}

static json_t *read_json(const lithe_run *r, const char *name)
{
    char *path = path_join(r->path, name);
    json_t *value = path ? json_read(path, TEXT_BYTES, JSON_LEVELS, NULL) : NULL;
    free(path);
    return value;
}

/* The hashes of the data, as data.json has them. */
static void read_data(lithe_run *r)
{
    static const char *const parts[] = { "train", "valid" };
    json_t *data = read_json(r, "data/data.json");
    for (int i = 0; i < 2; i++) add_hash(r, i ? "validation data" : "training data", json_string_value(json_object_get(json_object_get(data, parts[i]), "hash")));
    json_decref(data);
}

/* The hashes of a checkpoint's files, and that of the tokenizer among them. */
static void read_manifest(lithe_run *r, int step)
{
    char name[64], label[160];
    const char *file;
    json_t *value;
    snprintf(name, sizeof name, "ckpt-%d/manifest.json", step);
    json_t *manifest = read_json(r, name);
    json_object_foreach(json_object_get(manifest, "files"), file, value) {
        const char *hash = json_string_value(json_object_get(value, "xxh128"));
        if (hash && (!strncmp(file, "tokenizer.", 10) || strstr(file, "vocab"))) r->tokenizer = arena_strdup(&r->memory, hash);
        snprintf(label, sizeof label, "ckpt-%d/%.100s", step, file);
        if (hash && (!strcmp(file, "model.safetensors") || !strcmp(file, "config.json") || !strncmp(file, "tokenizer", 9))) add_hash(r, label, hash);
    }
    json_decref(manifest);
    if (!r->tokenizer) r->tokenizer = "";
}

/* The number in a name such as ckpt-120 or 40.txt; -1 for other names. */
static int number_in(const char *name, const char *before, const char *after)
{
    size_t n = strlen(before);
    char digits[16];
    int step = -1;
    if (strncmp(name, before, n)) return -1;
    size_t length = strspn(name + n, "0123456789");
    if (!length || length >= sizeof digits || strcmp(name + n + length, after)) return -1;
    memcpy(digits, name + n, length);
    digits[length] = 0;
    return text_int(digits, 0, INT32_MAX, &step) ? step : -1;
}

static int by_number(const void *a, const void *b) { return *(const int *)a - *(const int *)b; }

/* The numbers in the names of a directory, ascending; to be freed. */
static int *numbers_in(const lithe_run *r, const char *folder, const char *before, const char *after, int *count)
{
    dir_names l = { 0 };
    char *path = path_join(r->path, folder);
    if (path) dir_names_read(&l, path, NULL);
    int *list = xalloc(l.count, sizeof *list), step;
    *count = 0;
    for (size_t i = 0; list && i < l.count; i++)
        if ((step = number_in(l.names[i], before, after)) >= 0) list[(*count)++] = step;
    dir_names_free(&l);
    free(path);
    if (list) qsort(list, (size_t)*count, sizeof *list, by_number);
    return list;
}

/* Where the run was at a step. */
static run_place place_of(const lithe_run *r, int step)
{
    run_place at = { .step = step };
    for (size_t i = 0; i < r->step_count && r->steps[i].at.step <= step; i++) at = r->steps[i].at;
    at.step = step;
    return at;
}

static void read_checkpoints(lithe_run *r)
{
    int *steps = numbers_in(r, ".", "ckpt-", "", &r->checkpoints);
    for (int i = 0; i < r->checkpoints; i++) {
        run_mark *grown = run_grown(r, r->marks, r->mark_count, &r->mark_room, sizeof *grown);
        if (!grown) break;
        r->marks = grown;
        r->marks[r->mark_count++] = (run_mark){ place_of(r, steps[i]), "checkpoint", "" };
    }
    if (r->checkpoints) read_manifest(r, steps[r->checkpoints - 1]);
    free(steps);
}

static void read_samples(lithe_run *r)
{
    int count;
    char name[64];
    int *steps = numbers_in(r, "samples", "", ".txt", &count);
    for (int i = 0; i < count; i++) {
        run_sample *grown = run_grown(r, r->samples, r->sample_count, &r->sample_room, sizeof *grown);
        snprintf(name, sizeof name, "samples/%d.txt", steps[i]);
        if (!grown) break;
        r->samples = grown;
        r->samples[r->sample_count++] = (run_sample){ steps[i], file_text(r, name) };
    }
    free(steps);
}

/* The last part of the path; of "." and the like, all of it. */
static const char *name_of(lithe_run *r)
{
    char *copy = arena_strdup(&r->memory, r->path);
    size_t n = copy ? strlen(copy) : 0;
    while (n > 1 && copy[n - 1] == '/') copy[--n] = 0;
    return copy ? path_base(copy) : "";
}

void run_read_files(lithe_run *r)
{
    r->name = name_of(r);
    r->command = file_text(r, "command.txt");
    r->config = file_text(r, "config.json");
    read_data(r);
    read_checkpoints(r);
    read_samples(r);
}
