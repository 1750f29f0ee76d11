/* A file of prompts: a JSON object on each line, with options that hold for its text only.  A key that is not known
 * is refused, since it may be an option that was meant to change the text. */
#include "base/arena.h"
#include "base/json.h"
#include "lithe_tools.h"
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { DEPTH = 32, MOST_STOPS = 64 };

/* A prompt with what its options point to. */
typedef struct { lithe_prompt prompt; lithe_sampling sampling; json_t *object; const char **stop; char *id; } entry;

struct lithe_prompts { entry *entries; size_t count, room; };

/* ---- options ------------------------------------------------------------------------------ */

typedef enum { NUMBER, INTEGER, FLAG, SEED, STOPS, PROMPT, OWN } kind;

static const struct { const char *key; kind kind; double least, most; size_t offset; } keys[] = {
    { "prompt", PROMPT, 0, 0, 0 }, { "id", OWN, 0, 0, 0 }, { "metadata", OWN, 0, 0, 0 },
    { "max_tokens", INTEGER, 1, INT32_MAX, offsetof(entry, prompt.how.max_tokens) },
    { "temperature", NUMBER, 0, 100, offsetof(entry, sampling.temperature) },
    { "top_k", INTEGER, 0, INT32_MAX, offsetof(entry, sampling.top_k) },
    { "top_p", NUMBER, 0, 1, offsetof(entry, sampling.top_p) },
    { "min_p", NUMBER, 0, 1, offsetof(entry, sampling.min_p) },
    { "repeat_penalty", NUMBER, 0, 100, offsetof(entry, sampling.repetition) },
    { "seed", SEED, 0, 0, offsetof(entry, sampling.seed) },
    { "stop", STOPS, 0, 0, 0 },
    { "ignore_eos", FLAG, 0, 0, offsetof(entry, prompt.how.ignore_eos) },
};
enum { KEYS = sizeof keys / sizeof *keys };

static int read_prompt(entry *e, const json_t *value, const char *where, lithe_error *err)
{
    if (!json_is_string(value)) return fail(err, LITHE_EFORMAT, "%s: the prompt is not a string", where);
    e->prompt.text = json_string_value(value);
    e->prompt.size = json_string_length(value);
    return LITHE_OK;
}

static bool is_stop(const json_t *value) { return json_string_length(value) > 0 && strlen(json_string_value(value)) == json_string_length(value); }

static int read_stops(entry *e, const json_t *value, const char *where, lithe_error *err)
{
    size_t n = json_is_array(value) ? json_array_size(value) : 1;
    bool good = (json_is_array(value) || json_is_string(value)) && n <= MOST_STOPS;
    for (size_t i = 0; i < n && good; i++) good = is_stop(json_is_array(value) ? json_array_get(value, i) : value);
    if (!good) return fail(err, LITHE_EFORMAT, "%s: stop is not a text, or a list of at most %d texts", where, MOST_STOPS);
    if (!(e->stop = xalloc(n + 1, sizeof *e->stop))) return fail(err, LITHE_ENOMEM, "not enough memory for %zu stop strings", n);
    for (size_t i = 0; i < n; i++) e->stop[i] = json_string_value(json_is_array(value) ? json_array_get(value, i) : value);
    e->prompt.how.stop = e->stop;
    e->prompt.how.stops = (int)n;
    return LITHE_OK;
}

static int read_number(entry *e, int key, const json_t *value, const char *where, lithe_error *err)
{
    void *to = (char *)e + keys[key].offset;
    double x = json_number_value(value), least = keys[key].least, most = keys[key].most;
    bool whole = keys[key].kind == INTEGER;
    if (!json_is_number(value) || !(x >= least && x <= most) || (whole && !json_is_integer(value)))
        return fail(err, LITHE_EFORMAT, "%s: %s is not a%s number from %.0f to %.0f", where, keys[key].key, whole ? " whole" : "", least, most);
    if (whole) *(int *)to = (int)json_integer_value(value);
    else *(float *)to = (float)x;
    return LITHE_OK;
}

static int read_value(entry *e, int key, const json_t *value, const char *where, lithe_error *err)
{
    void *to = (char *)e + keys[key].offset;
    switch (keys[key].kind) {
    case PROMPT:  return read_prompt(e, value, where, err);
    case STOPS:   return read_stops(e, value, where, err);
    case NUMBER:
    case INTEGER: return read_number(e, key, value, where, err);
    case SEED:
        if (!json_is_integer(value) || json_integer_value(value) < 0) return fail(err, LITHE_EFORMAT, "%s: seed is not a whole number from 0 on", where);
        *(uint64_t *)to = (uint64_t)json_integer_value(value);
        return LITHE_OK;
    case FLAG:
        if (!json_is_boolean(value)) return fail(err, LITHE_EFORMAT, "%s: %s is neither true nor false", where, keys[key].key);
        *(int *)to = json_is_true(value);
        return LITHE_OK;
    case OWN:     break;
    }
    return LITHE_OK;
}

static int key_of(const char *name, const char *where, lithe_error *err)
{
    char known[200] = "";
    for (int i = 0; i < KEYS; i++) {
        if (!strcmp(keys[i].key, name)) return i;
        snprintf(known + strlen(known), sizeof known - strlen(known), "%s%s", i ? ", " : "", keys[i].key);
    }
    fail(err, LITHE_EFORMAT, "%s: \"%.60s\" is not a key of a prompt: %s", where, name, known);
    return -1;
}

/* ---- lines --------------------------------------------------------------------------------- */

static int read_entry(entry *e, const lithe_generation *usual, const char *where, lithe_error *err)
{
    const char *name;
    json_t *value;
    int status = LITHE_OK;
    if (!json_is_object(e->object)) return fail(err, LITHE_EFORMAT, "%s: not a JSON object", where);
    e->prompt.how = usual ? *usual : LITHE_OPTIONS(lithe_generation);
    e->sampling = usual && usual->sampling ? *usual->sampling : LITHE_OPTIONS(lithe_sampling);
    json_object_foreach(e->object, name, value) {
        int key = status ? -1 : key_of(name, where, err);
        status = key < 0 ? LITHE_EFORMAT : read_value(e, key, value, where, err);
    }
    if (!status && !e->prompt.text) status = fail(err, LITHE_EFORMAT, "%s: has no prompt", where);
    const json_t *id = json_object_get(e->object, "id");
    if (!status && id && !(e->id = json_dumps(id, JSON_ENCODE_ANY | JSON_COMPACT | JSON_REAL_PRECISION(17)))) status = fail(err, LITHE_ENOMEM, "not enough memory for a prompt");
    e->prompt.id = e->id;
    return status;
}

static int add_line(lithe_prompts *p, const char *line, size_t n, size_t number, const char *name, const lithe_generation *usual, lithe_error *err)
{
    char where[300];
    if (p->count == p->room) {
        size_t room = 2 * p->room + 16;
        entry *entries = xrealloc(p->entries, room, sizeof *entries);
        if (!entries) return fail(err, LITHE_ENOMEM, "not enough memory for %zu prompts", room);
        p->entries = entries;
        p->room = room;
    }
    entry *e = &p->entries[p->count];
    *e = (entry){ .prompt.line = number };
    snprintf(where, sizeof where, "%.250s:%zu", name, number);
    if (!(e->object = json_parse(line, n, DEPTH, where, err))) return err ? (int)err->status : LITHE_EFORMAT;
    p->count++;
    return read_entry(e, usual, where, err);
}

static bool blank(const char *line, size_t n)
{
    for (size_t i = 0; i < n; i++) if (!line[i] || !strchr(" \t\r", line[i])) return false;
    return true;
}

lithe_prompts *lithe_prompts_read(const char *text, size_t size, const char *name, const lithe_generation *usual, lithe_error *err)
{
    lithe_prompts *p = failed(err) ? NULL : xalloc(1, sizeof *p);
    if (!p) { fail(err, LITHE_ENOMEM, "not enough memory for prompts"); return NULL; }
    int status = text && name ? LITHE_OK : fail(err, LITHE_EINVAL, "there is no text of prompts, or no name for it");
    for (size_t at = 0, number = 1; at < size && !status; number++) {
        const char *line = text + at, *feed = memchr(line, '\n', size - at);
        size_t n = feed ? (size_t)(feed - line) : size - at;
        if (!blank(line, n)) status = add_line(p, line, n, number, name, usual, err);
        at += n + 1;
    }
    if (!status && !p->count) status = fail(err, LITHE_EFORMAT, "%s: holds no prompt: one JSON object a line is expected, such as {\"prompt\": \"Once\"}", name);
    /* The entries move no more. */
    for (size_t i = 0; i < p->count; i++) p->entries[i].prompt.how.sampling = &p->entries[i].sampling;
    if (!status) return p;
    lithe_prompts_close(p);
    return NULL;
}

size_t lithe_prompts_count(const lithe_prompts *p) { return p ? p->count : 0; }
const lithe_prompt *lithe_prompts_at(const lithe_prompts *p, size_t i) { return i < lithe_prompts_count(p) ? &p->entries[i].prompt : NULL; }

void lithe_prompts_close(lithe_prompts *p)
{
    if (!p) return;
    for (size_t i = 0; i < p->count; i++) {
        json_decref(p->entries[i].object);
        free(p->entries[i].stop);
        free(p->entries[i].id);
    }
    free(p->entries);
    free(p);
}
