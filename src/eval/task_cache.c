#include "eval/task_cache.h"
#include "base/file.h"
#include "base/json.h"
#include "base/record.h"
#include "base/system.h"
#include "data/tokenizer_identity.h"
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LINE_DEPTH = 4 };
#define CACHE_BYTES ((size_t)1 << 30)

/* ---- keys ------------------------------------------------------------------------------------ */

/* Two chains of 64-bit hashes. */
static void add_bytes(uint64_t key[2], const void *data, size_t size)
{
    key[0] = hash_bytes(data, size, key[0]);
    key[1] = hash_bytes(data, size, ~key[1]);
}

static void add_words(uint64_t key[2], const char *text) { add_bytes(key, text, strlen(text) + 1); }

void task_model_key(const lithe_model *m, uint64_t key[2])
{
    char *config = lithe_model_config(m);
    key[0] = key[1] = 0;
    if (config) add_words(key, config);
    for (int i = 0; i < m->params->count; i++) {
        const param *p = m->params->items[i];
        stored x = weight_stored(&p->weight);
        add_words(key, p->name);
        add_bytes(key, x.data, stored_bytes(x.type, p->count));
    }
    free(config);
}

static void add_record(uint64_t key[2], const task_record *r)
{
    for (int i = 0; i < r->count; i++) {
        add_words(key, r->fields[i].name);
        add_words(key, r->fields[i].text);
    }
}

static void full_key(uint64_t key[2], const lithe_tokenizer *t, const task_file *f, const task_data *d, const task_shots *s, int shots)
{
    uint8_t tokenizer[16];
    char *text = json_dumps(f->json, JSON_COMPACT);
    tokenizer_identity(t, tokenizer);
    add_bytes(key, tokenizer, sizeof tokenizer);
    if (text) add_words(key, text);
    add_words(key, d->name);
    for (size_t i = 0; i < d->count; i++) add_record(key, &d->records[i]);
    for (size_t i = 0; i < s->count && shots; i++) add_words(key, s->solved[i]);
    add_bytes(key, &shots, sizeof shots);
    free(text);
}

/* ---- the file ------------------------------------------------------------------------------------ */

/* {"item": 3, "nll": [1.5, 2.5], "greedy": [true, false]} */
static void read_line(task_cache *c, const json_t *line)
{
    const json_t *nll = json_object_get(line, "nll"), *greedy = json_object_get(line, "greedy");
    size_t n = json_array_size(nll);
    int item = -1;
    if (!json_int(line, "item", 0, INT32_MAX, &item) || (size_t)item >= c->count || !n || n > CHOICES_MOST || json_array_size(greedy) != n) return;
    task_score *scores = arena_alloc(&c->memory, n * sizeof *scores);
    for (size_t i = 0; i < n && scores; i++) {
        scores[i] = (task_score){ json_number_value(json_array_get(nll, i)), json_is_true(json_array_get(greedy, i)) };
        if (!json_is_number(json_array_get(nll, i)) || !isfinite(scores[i].nll)) return;
    }
    if (scores) c->items[item] = (cached_item){ scores, (int)n };
}

void task_cache_read(task_cache *c, const char *text, size_t size, size_t count)
{
    const char *end = text + size, *stop;
    c->items = xalloc(count + 1, sizeof *c->items);
    c->count = c->items ? count : 0;
    for (; text < end && (stop = memchr(text, '\n', (size_t)(end - text))); text = stop + 1) {
        json_t *line = json_parse(text, (size_t)(stop - text), LINE_DEPTH, "scores", NULL);
        read_line(c, line);
        json_decref(line);
    }
}

int task_cache_open(task_cache *c, const char *dir, const uint64_t model[2], const lithe_tokenizer *t, const task_file *f, const task_data *d, const task_shots *s, int shots, lithe_error *err)
{
    uint64_t key[2] = { model[0], model[1] };
    char name[64];
    size_t size = 0;
    *c = (task_cache){ 0 };
    if (!dir) return LITHE_OK;
    int status = dir_make(dir, err);
    if (status) return status;
    full_key(key, t, f, d, s, shots);
    snprintf(name, sizeof name, "%016llx%016llx.jsonl", (unsigned long long)key[0], (unsigned long long)key[1]);
    char *path = path_join(dir, name), *text = path && path_exists(path) ? file_read(path, CACHE_BYTES, &size, NULL) : NULL;
    if (!path) return fail(err, LITHE_ENOMEM, "%s: out of memory", dir);
    task_cache_read(c, text ? text : "", size, d->count);
    free(text);
    if ((c->fd = os.open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666)) >= 0) c->path = path;
    else status = fail_errno(err, path, "write");
    if (status) free(path);
    return status;
}

void task_cache_close(task_cache *c)
{
    if (c->path) close(c->fd);
    free(c->path);
    free(c->items);
    arena_free(&c->memory);
    *c = (task_cache){ 0 };
}

bool task_cache_find(const task_cache *c, size_t item, task_request *r)
{
    if (item >= c->count || c->items[item].count != r->count) return false;
    memcpy(r->scores, c->items[item].scores, (size_t)r->count * sizeof *r->scores);
    return true;
}

void task_cache_add(task_cache *c, size_t item, const task_request *r)
{
    char line[80 + 40 * CHOICES_MOST];
    lithe_error lost = { 0 };
    size_t n = 0;
    if (!c->path || r->count > CHOICES_MOST) return;
    n += (size_t)snprintf(line, sizeof line, "{\"item\": %zu, \"nll\": [", item);
    for (int i = 0; i < r->count; i++) n += (size_t)snprintf(line + n, sizeof line - n, "%s%.17g", i ? ", " : "", r->scores[i].nll);
    n += (size_t)snprintf(line + n, sizeof line - n, "], \"greedy\": [");
    for (int i = 0; i < r->count; i++) n += (size_t)snprintf(line + n, sizeof line - n, "%s%s", i ? ", " : "", r->scores[i].greedy ? "true" : "false");
    n += (size_t)snprintf(line + n, sizeof line - n, "]}\n");
    write_record(c->fd, c->path, line, n, &lost);
}
