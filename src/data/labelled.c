/* Labelled text to files and to memory (data/labelled.h).  Invariant: what is
 * read back from a dataset's directory is what was prepared, row for row. */
#include "data/labelled.h"
#include "base/json.h"
#include "base/random.h"
#include "data/data.h"
#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { CLASSES_MOST = 65536, JSON_DEPTH = 8, WORD = 16 };
#define JSON_BYTES ((size_t)64 << 20)
#define TOKENS_MOST ((size_t)1 << 40)

/* ---- labels --------------------------------------------------------------------------- */

/* A class by number: digits alone. */
static int class_number(const char *text)
{
    char *end;
    if (*text < '0' || *text > '9') return -1;
    long n = strtol(text, &end, 10);
    return *end || n >= CLASSES_MOST ? -1 : (int)n;
}

int label_find(const label_set *l, const char *label)
{
    for (int i = 0; i < l->classes; i++) if (!strcmp(l->names[i], label)) return i;
    int n = class_number(label);
    return n < l->classes ? n : -1;
}

static int unknown_label(const char *path, const table_row *r, const label_set *l, lithe_error *err)
{
    const char *first = l->classes ? l->names[0] : "";
    if (class_number(r->label) >= 0)
        return fail(err, LITHE_EFORMAT, "%s:%ld: label %s, there are %d classes, 0 to %d", path, r->line, r->label, l->classes, l->classes - 1);
    return fail(err, LITHE_EFORMAT, "%s:%ld: label \"%.100s\" is none of the %d there are (\"%.60s\" ...)", path, r->line, r->label, l->classes, first);
}

int label_read(const label_set *l, const table_row *r, const char *path, int *label, float *value, lithe_error *err)
{
    if (!l->regression) {
        *label = label_find(l, r->label);
        return *label < 0 ? unknown_label(path, r, l, err) : LITHE_OK;
    }
    char *end;
    *value = (float)strtod(r->label, &end);
    return end != r->label && !*end && isfinite(*value) ? LITHE_OK : fail(err, LITHE_EFORMAT, "%s:%ld: label \"%.100s\" is not a number", path, r->line, r->label);
}

static int by_name(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

static bool copy_names(labelled *l, char *const *names, int n)
{
    l->names = xalloc((size_t)n + 1, sizeof *l->names);
    for (int i = 0; l->names && i < n; i++, l->classes++) if (!(l->names[i] = strdup(names[i]))) return false;
    return l->names != NULL;
}

/* LABEL_0 ... LABEL_n-1, as Hugging Face calls classes that have numbers only. */
static bool number_names(labelled *l, int n)
{
    char text[WORD + 8];
    l->names = xalloc((size_t)n + 1, sizeof *l->names);
    for (int i = 0; l->names && i < n; i++, l->classes++) {
        snprintf(text, sizeof text, "LABEL_%d", i);
        if (!(l->names[i] = strdup(text))) return false;
    }
    return l->names != NULL;
}

/* The classes of a table: numbers where all labels are, else its different labels in order. */
static int find_classes(labelled *l, const table *t, const char *path, lithe_error *err)
{
    char **sorted = xalloc(t->count + 1, sizeof *sorted);
    int most = -1, different = 0;
    bool numbers = true;
    if (!sorted) return fail(err, LITHE_ENOMEM, "%s: out of memory for %zu labels", path, t->count);
    for (size_t i = 0; i < t->count; i++) {
        int n = class_number(t->rows[i].label);
        numbers &= n >= 0;
        if (n > most) most = n;
        sorted[i] = (char *)(uintptr_t)t->rows[i].label;
    }
    qsort(sorted, t->count, sizeof *sorted, by_name);
    for (size_t i = 0; i < t->count; i++)
        if (!i || strcmp(sorted[i], sorted[different - 1])) sorted[different++] = sorted[i];
    int classes = numbers ? most + 1 : different;
    bool made = classes <= CLASSES_MOST && (numbers ? number_names(l, classes) : copy_names(l, sorted, different));
    free(sorted);
    if (classes > CLASSES_MOST) return fail(err, LITHE_EFORMAT, "%s: %d different labels, at most %d: is this the column of labels?", path, classes, CLASSES_MOST);
    if (!made) return fail(err, LITHE_ENOMEM, "%s: out of memory for %d labels", path, classes);
    return classes > 1 ? LITHE_OK : fail(err, LITHE_EFORMAT, "%s: one class alone, nothing to tell apart", path);
}

/* ---- examples ---------------------------------------------------------------------------- */

typedef struct { examples *e; const lithe_tokenizer *t; size_t used, capacity; const char *path; } encoding;

static int add_text(encoding *k, const char *text, lithe_error *err)
{
    examples *e = k->e;
    size_t n = strlen(text), wanted = k->used + n + WORD;
    for (;;) {
        if (k->capacity < wanted) {
            size_t capacity = wanted + wanted / 2;
            int32_t *grown = capacity < TOKENS_MOST ? xrealloc(e->ids, capacity, sizeof *grown) : NULL;
            if (!grown) return fail(err, LITHE_ENOMEM, "%s: out of memory for %zu tokens", k->path, wanted);
            e->ids = grown;
            k->capacity = capacity;
        }
        size_t got = lithe_encode(k->t, text, n, 0, e->ids + k->used, k->capacity - k->used);
        if (got <= k->capacity - k->used) { k->used += got; return LITHE_OK; }
        wanted = k->used + got;
    }
}

static int examples_from(examples *e, const table *t, const char *path, const label_set *l, const lithe_tokenizer *tokens, lithe_error *err)
{
    const layout around = layout_of(tokens);
    *e = (examples){ .start = xalloc(2 * t->count + 1, sizeof *e->start), .label = xalloc(t->count + 1, sizeof *e->label),
                     .value = xalloc(t->count + 1, sizeof *e->value), .ids = xalloc(WORD, sizeof *e->ids), .pairs = t->count && t->rows[0].pair };
    encoding k = { .e = e, .t = tokens, .capacity = WORD, .path = path };
    int status = e->start && e->label && e->value && e->ids ? LITHE_OK : fail(err, LITHE_ENOMEM, "%s: out of memory for %zu examples", path, t->count);
    for (size_t i = 0; i < t->count && !status; i++) {
        const table_row *r = &t->rows[i];
        size_t first = k.used, middle;
        status = add_text(&k, r->text, err);
        e->start[2 * i + 1] = middle = k.used;
        if (!status && r->pair) status = add_text(&k, r->pair, err);
        e->start[2 * i + 2] = k.used;
        if (!status && k.used - first > INT32_MAX / 4) status = fail(err, LITHE_EFORMAT, "%s:%ld: a text of %zu tokens", path, r->line, k.used - first);
        if (status) break;
        int length = (int)(r->pair ? layout_length_two(&around, middle - first, k.used - middle) : layout_length(&around, k.used - first));
        if (length < 1) status = fail(err, LITHE_EFORMAT, "%s:%ld: the text is empty", path, r->line);
        if (length > e->longest) e->longest = length;
        if (!status) status = label_read(l, r, path, &e->label[i], &e->value[i], err);
        e->count++;
    }
    if (status) examples_free(e);
    return status;
}

int examples_read(examples *e, const char *path, const table_columns *c, const label_set *labels, const lithe_tokenizer *t, lithe_error *err)
{
    table rows;
    *e = (examples){ 0 };
    int status = table_read(&rows, path, c, true, err);
    if (!status) status = examples_from(e, &rows, path, labels, t, err);
    table_free(&rows);
    return status;
}

void examples_free(examples *e)
{
    free(e->start);
    free(e->ids);
    free(e->label);
    free(e->value);
    *e = (examples){ 0 };
}

int example_write(const examples *e, const layout *l, size_t i, int limit, int32_t *ids, int32_t *types)
{
    const size_t *s = e->start + 2 * i;
    id_text a = { e->ids + s[0], s[1] - s[0] }, b = { e->ids + s[1], s[2] - s[1] };
    size_t n = layout_write(l, a, e->pairs ? &b : NULL, (size_t)limit, ids, types, (size_t)limit);
    assert(n <= (size_t)limit);
    return (int)n;
}

/* ---- to disk ---------------------------------------------------------------------------------- */

static int write_row(FILE *f, const table_row *r, const char *path, lithe_error *err)
{
    json_t *object = json_pack("{s:s s:s* s:s}", "text", r->text, "pair", r->pair, "label", r->label);
    char *line = object ? json_dumps(object, JSON_COMPACT) : NULL;
    int status = line ? LITHE_OK : fail(err, LITHE_ENOMEM, "%s: out of memory, or text that is not UTF-8, at line %ld", path, r->line);
    if (!status && (fputs(line, f) < 0 || fputc('\n', f) < 0)) status = fail_errno(err, path, "write");
    free(line);
    json_decref(object);
    return status;
}

/* The rows whose `held` is `which`; held NULL: all. */
static int write_table(const char *dir, const char *name, const table *t, const uint8_t *held, int which, lithe_error *err)
{
    writer w;
    char *path = path_join(dir, name);
    int status = path ? writer_open(&w, path, err) : fail(err, LITHE_ENOMEM, "%s: out of memory", dir);
    if (!status) {
        for (size_t i = 0; i < t->count && !status; i++) if (!held || held[i] == which) status = write_row(w.stream, &t->rows[i], path, err);
        if (!status) status = writer_commit(&w, err);
        else writer_abandon(&w);
    }
    free(path);
    return status;
}

static int table_hash(const char *dir, const char *name, char hash[33], size_t *bytes, lithe_error *err)
{
    mapping m;
    char *path = path_join(dir, name);
    int status = path ? file_map(&m, path, err) : fail(err, LITHE_ENOMEM, "%s: out of memory", dir);
    if (!status) {
        hash_hex(m.data, m.size, hash);
        *bytes = m.size;
        file_unmap(&m);
    }
    free(path);
    return status;
}

static json_t *describe_table(const char *dir, const char *name, lithe_error *err)
{
    char hash[33];
    size_t bytes = 0;
    return table_hash(dir, name, hash, &bytes, err) ? NULL : json_pack("{s:I s:s}", "bytes", (json_int_t)bytes, "hash", hash);
}

static void tokenizer_hex(const lithe_tokenizer *t, char hex[33])
{
    uint8_t hash[16];
    tokenizer_identity(t, hash);
    for (int i = 0; i < 16; i++) snprintf(hex + 2 * i, 3, "%02x", hash[i]);
}

static int describe(const char *dir, const labelled *l, const lithe_tokenizer *t, lithe_error *err)
{
    char hex[33], *path = path_join(dir, DATA_JSON);
    tokenizer_hex(t, hex);
    json_t *names = json_array();
    for (int i = 0; i < l->classes; i++) json_array_append_new(names, json_string(l->names[i]));
    json_t *value = json_pack("{s:i s:s s:b s:o? s:s s:o? s:o?}", "version", 1, "task", l->regression ? "regress" : "classify", "pairs", l->pairs,
                              "labels", names, "tokenizer", hex, "train", describe_table(dir, TRAIN_TABLE, err), "valid", describe_table(dir, VALID_TABLE, err));
    int status = failed(err) ? (int)err->status : value && path ? json_write(value, path, err) : fail(err, LITHE_ENOMEM, "%s: out of memory", dir);
    json_decref(value);
    free(path);
    return status;
}

/* Every row gets 1 when it is held out: the first `share` of them in an order drawn by the seed, one at least. */
static uint8_t *hold_out(size_t n, double share, uint64_t seed)
{
    uint8_t *held = xalloc(n + 1, 1);
    size_t wanted = (size_t)((double)n * share);
    if (wanted < 1) wanted = 1;
    for (size_t i = 0; held && i < wanted && i < n; i++) held[permuted(i, n, key_of_name(seed, "held-out examples"))] = 1;
    return held;
}

/* Labels are checked before anything is written, by the table they stand in. */
static int check_labels(const labelled *l, const table *t, const char *path, lithe_error *err)
{
    int label;
    float value;
    label_set set = { l->regression, l->names, l->classes };
    int status = LITHE_OK;
    for (size_t i = 0; i < t->count && !status; i++) status = label_read(&set, &t->rows[i], path, &label, &value, err);
    return status;
}

static int prepare_tables(labelled *l, const char *const *paths, const lithe_data_options *o, table *train, table *valid, lithe_error *err)
{
    table_columns c = { o->text_column, o->pair_column, o->label_column };
    int status = table_read(train, paths[0], &c, true, err);
    if (!status && o->valid) status = table_read(valid, o->valid, &c, true, err);
    if (status) return status;
    l->pairs = train->rows[0].pair != NULL;
    if (o->valid && (valid->rows[0].pair != NULL) != l->pairs)
        return fail(err, LITHE_EFORMAT, "%s: has %s text, %s has %s: name the columns", o->valid, l->pairs ? "one" : "a second", paths[0], l->pairs ? "two" : "one");
    if (!status && !l->regression)
        status = o->label_count ? (copy_names(l, (char *const *)(uintptr_t)o->labels, o->label_count) ? LITHE_OK : fail(err, LITHE_ENOMEM, "out of memory for labels"))
                                : find_classes(l, train, paths[0], err);
    if (!status) status = check_labels(l, train, paths[0], err);
    return status || !o->valid ? status : check_labels(l, valid, o->valid, err);
}

int labelled_prepare(const char *const *paths, int n, const char *dir, const lithe_tokenizer *t, const lithe_data_options *o, lithe_error *err)
{
    labelled l = { .regression = o->task && !strcmp(o->task, "regress") };
    table train = { 0 }, valid = { 0 };
    uint8_t *held = NULL;
    double share = o->valid_share > 0 || o->valid_share < 0 ? o->valid_share : 0.05;
    if (failed(err)) return err->status;
    if (!t) return fail(err, LITHE_EINVAL, "data: no tokenizer");
    if (n != 1) return fail(err, LITHE_EINVAL, "%d tables of labelled text, expected one", n);
    if (!(share > 0 && share <= 0.5)) return fail(err, LITHE_EINVAL, "validation share %g, expected more than 0 and at most 0.5", share);
    int status = prepare_tables(&l, paths, o, &train, &valid, err);
    if (!status && !o->valid && train.count < 2) status = fail(err, LITHE_EINVAL, "%s: one example, at least 2 are needed: one to learn from, one held out", paths[0]);
    if (!status && !o->valid && !(held = hold_out(train.count, share, o->seed))) status = fail(err, LITHE_ENOMEM, "out of memory for %zu examples", train.count);
    if (!status) status = dir_make(dir, err);
    if (!status) status = write_table(dir, TRAIN_TABLE, &train, held, 0, err);
    if (!status) status = write_table(dir, VALID_TABLE, o->valid ? &valid : &train, held, 1, err);
    if (!status) status = describe(dir, &l, t, err);
    free(held);
    table_free(&train);
    table_free(&valid);
    for (int i = 0; i < l.classes; i++) free(l.names[i]);
    free(l.names);
    return status;
}

/* ---- from disk -------------------------------------------------------------------------------------- */

static int check_table(const char *dir, const char *name, const json_t *known, char hash[33], size_t *bytes, lithe_error *err)
{
    const char *then = json_string_value(json_object_get(known, "hash"));
    int status = table_hash(dir, name, hash, bytes, err);
    if (status || (then && !strcmp(then, hash))) return status;
    return fail(err, LITHE_EMISMATCH, "%s/%s: hash %s, %s speaks of %s", dir, name, hash, DATA_JSON, then ? then : "none");
}

static int read_names(labelled *l, const json_t *names, const char *path, lithe_error *err)
{
    size_t n = json_array_size(names);
    if (n > CLASSES_MOST) return fail(err, LITHE_EFORMAT, "%s: %zu labels, at most %d", path, n, CLASSES_MOST);
    l->names = xalloc(n + 1, sizeof *l->names);
    for (size_t i = 0; l->names && i < n; i++) {
        const char *name = json_string_value(json_array_get(names, i));
        if (!name) return fail(err, LITHE_EFORMAT, "%s: label %zu is not a text", path, i);
        if (!(l->names[i] = strdup(name))) break;
        l->classes++;
    }
    return l->names && (size_t)l->classes == n ? LITHE_OK : fail(err, LITHE_ENOMEM, "%s: out of memory for %zu labels", path, n);
}

static int read_examples(labelled *l, examples *e, const char *dir, const char *name, const lithe_tokenizer *t, lithe_error *err)
{
    const table_columns c = { "text", "", "label" }, with_pair = { "text", "pair", "label" };
    label_set set = { l->regression, l->names, l->classes };
    char *path = path_join(dir, name);
    int status = path ? examples_read(e, path, l->pairs ? &with_pair : &c, &set, t, err) : fail(err, LITHE_ENOMEM, "%s: out of memory", dir);
    free(path);
    return status;
}

static int check_description(labelled *l, const json_t *json, const char *path, const lithe_tokenizer *t, lithe_error *err)
{
    char hex[33];
    const char *task = json_string_value(json_object_get(json, "task")), *hash = json_string_value(json_object_get(json, "tokenizer"));
    tokenizer_hex(t, hex);
    if (!task || (strcmp(task, "classify") && strcmp(task, "regress"))) return fail(err, LITHE_EFORMAT, "%s: is not about labelled text", path);
    if (!hash || strcmp(hash, hex)) return fail(err, LITHE_EMISMATCH, "%s: was made with another tokenizer", path);
    l->vocab = lithe_tokenizer_vocab(t);
    l->regression = !strcmp(task, "regress");
    l->pairs = json_is_true(json_object_get(json, "pairs"));
    return read_names(l, json_object_get(json, "labels"), path, err);
}

labelled *labelled_open(const char *dir, const lithe_tokenizer *t, lithe_error *err)
{
    if (failed(err)) return NULL;
    labelled *l = xalloc(1, sizeof *l);
    char *path = path_join(dir, DATA_JSON);
    json_t *json = path && l ? json_read(path, JSON_BYTES, JSON_DEPTH, err) : NULL;
    int status = json ? LITHE_OK : failed(err) ? (int)err->status : fail(err, LITHE_ENOMEM, "%s: out of memory", dir);
    if (!status && !t) status = fail(err, LITHE_EINVAL, "%s: labelled text needs the tokenizer it was prepared with", dir);
    if (!status) status = check_description(l, json, path, t, err);
    if (!status) status = check_table(dir, TRAIN_TABLE, json_object_get(json, "train"), l->train_hash, &l->train_bytes, err);
    if (!status) status = check_table(dir, VALID_TABLE, json_object_get(json, "valid"), l->valid_hash, &l->valid_bytes, err);
    if (!status) l->layout = layout_of(t);
    if (!status) status = read_examples(l, &l->train, dir, TRAIN_TABLE, t, err);
    if (!status) status = read_examples(l, &l->valid, dir, VALID_TABLE, t, err);
    json_decref(json);
    free(path);
    if (!status) return l;
    labelled_close(l);
    return NULL;
}

void labelled_close(labelled *l)
{
    if (!l) return;
    for (int i = 0; i < l->classes; i++) free(l->names[i]);
    free(l->names);
    examples_free(&l->train);
    examples_free(&l->valid);
    free(l);
}
