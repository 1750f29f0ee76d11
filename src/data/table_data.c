/* The kind `table`: labelled text in memory (data/table_data.h).  Invariant: what is read from a dataset's directory is
 * what was prepared, row for row. */
#include "data/table_data.h"
#include "base/file.h"
#include "data/objective.h"
#include "data/tokenizer_identity.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { WORD = 16 };
#define TOKENS_MOST ((size_t)1 << 40)

const table_data *table_of(const lithe_dataset *d)
{
    assert(d->kind == &table_kind);
    return (const table_data *)d;
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

/* Encodes the texts of row i, and computes the length of the example with its special tokens. */
static int add_row(encoding *k, size_t i, const table_row *r, const layout *l, lithe_error *err)
{
    size_t *s = k->e->start + 2 * i;
    int status = add_text(k, r->text, err);
    s[1] = k->used;
    if (!status && r->pair) status = add_text(k, r->pair, err);
    s[2] = k->used;
    if (status) return status;
    if (s[2] - s[0] > INT32_MAX / 4) return fail(err, LITHE_EFORMAT, "%s:%ld: a text of %zu tokens", k->path, r->line, s[2] - s[0]);
    int length = (int)(r->pair ? layout_length_two(l, s[1] - s[0], s[2] - s[1]) : layout_length(l, s[1] - s[0]));
    if (!length) return fail(err, LITHE_EFORMAT, "%s:%ld: the text is empty", k->path, r->line);
    if (length > k->e->longest) k->e->longest = length;
    return LITHE_OK;
}

static int examples_from(examples *e, const table *t, const char *path, const label_set *l, const layout *around, const lithe_tokenizer *tokens, lithe_error *err)
{
    *e = (examples){ .start = xalloc(2 * t->count + 1, sizeof *e->start), .label = xalloc(t->count + 1, sizeof *e->label),
                     .value = xalloc(t->count + 1, sizeof *e->value), .ids = xalloc(WORD, sizeof *e->ids) };
    encoding k = { .e = e, .t = tokens, .capacity = WORD, .path = path };
    int status = e->start && e->label && e->value && e->ids ? LITHE_OK : fail(err, LITHE_ENOMEM, "%s: out of memory for %zu examples", path, t->count);
    for (; e->count < t->count && !status; e->count++) {
        status = add_row(&k, e->count, &t->rows[e->count], around, err);
        if (!status) status = label_read(l, &t->rows[e->count], path, &e->label[e->count], &e->value[e->count], err);
    }
    return status;
}

static void examples_free(examples *e)
{
    free(e->start);
    free(e->ids);
    free(e->label);
    free(e->value);
    *e = (examples){ 0 };
}

int example_write(const table_data *d, const examples *e, size_t i, int limit, int32_t *ids, int32_t *types)
{
    const size_t *s = e->start + 2 * i;
    id_text a = { e->ids + s[0], s[1] - s[0] }, b = { e->ids + s[1], s[2] - s[1] };
    size_t n = layout_write(&d->layout, a, d->base.pairs ? &b : NULL, (size_t)limit, ids, types, (size_t)limit);
    assert(n <= (size_t)limit);
    return (int)n;
}

/* ---- opening ------------------------------------------------------------------------------- */

/* Checks that bytes and hash of a split's table are those in the description. */
static int check_file(split_facts *f, const char *path, const json_t *known, lithe_error *err)
{
    mapping m;
    const char *then = json_string_value(json_object_get(known, "hash"));
    int status = file_map(&m, path, err);
    if (status) return status;
    hash_hex(m.data, m.size, f->hash);
    f->bytes = m.size;
    if ((status = mapping_finish(&m, status, err))) return status;
    return then && !strcmp(then, f->hash) ? LITHE_OK : fail(err, LITHE_EMISMATCH, "%s: hash %s, %s speaks of %s", path, f->hash, DATA_JSON, then ? then : "none");
}

static int read_split(table_data *d, data_split split, examples *e, const json_t *known, const lithe_tokenizer *t, lithe_error *err)
{
    const table_columns columns = { "text", d->base.pairs ? "pair" : "", "label" };
    const label_set labels = { d->base.numbers, d->base.names.text, d->base.names.count };
    split_facts *f = &d->base.facts[split];
    char *path = path_join(d->base.dir, table_kind.file[split]);
    table rows = { 0 };
    int status = path ? check_file(f, path, known, err) : fail(err, LITHE_ENOMEM, "%s: out of memory", d->base.dir);
    if (!status) status = table_read(&rows, path, &columns, true, err);
    if (!status) status = examples_from(e, &rows, path, &labels, &d->layout, t, err);
    table_free(&rows);
    free(path);
    f->examples = e->count;
    f->tokens = status ? 0 : e->start[2 * e->count];
    if (e->longest > d->base.longest) d->base.longest = e->longest;
    return status;
}

static int check_tokenizer(const char *dir, const json_t *json, const lithe_tokenizer *t, lithe_error *err)
{
    char hex[33];
    const char *hash = json_string_value(json_object_get(json, "tokenizer"));
    if (!t) return fail(err, LITHE_EINVAL, "%s: labelled text needs the tokenizer it was prepared with", dir);
    tokenizer_hex(t, hex);
    return hash && !strcmp(hash, hex) ? LITHE_OK : fail(err, LITHE_EMISMATCH, "%s/%s: was made with another tokenizer", dir, DATA_JSON);
}

static int open_table(lithe_dataset *base, const json_t *json, const lithe_tokenizer *t, source_share sources, lithe_error *err)
{
    table_data *d = (table_data *)base;
    (void)sources;                                          /* the tables hold what they said */
    int status = check_tokenizer(base->dir, json, t, err);
    if (status) return status;
    d->layout = layout_of(t);
    base->vocab = lithe_tokenizer_vocab(t);
    base->labelled = true;
    base->numbers = !strcmp(json_string_value(json_object_get(json, "task")), "regress");
    base->pairs = json_is_true(json_object_get(json, "pairs"));
    if (dataset_note(base, &base->columns, json, "columns", err)) return LITHE_ENOMEM;
    status = names_read(&base->names, json_object_get(json, "labels"), base->dir, err);
    if (!status) status = read_split(d, TRAIN, &d->train, json_object_get(json, "train"), t, err);
    for (size_t i = 0; i < d->train.count && !status && d->base.names.count; i++) status = dataset_count_label(&d->base, d->train.label[i], err);
    return status ? status : read_split(d, VALID, &d->valid, json_object_get(json, "valid"), t, err);
}

static void close_table(lithe_dataset *d)
{
    examples_free(&((table_data *)d)->train);
    examples_free(&((table_data *)d)->valid);
}

/* ---- what is learned from it ----------------------------------------------------------- */

/* No example is longer than the longest. */
static int choose_context(const lithe_dataset *d, text_task task, bool asked, int most, int *ctx, lithe_error *err)
{
    (void)task, (void)asked, (void)most, (void)err;
    if (d->longest < *ctx) *ctx = d->longest;
    return LITHE_OK;
}

static const objective_kind *choose_objective(text_task task)
{
    (void)task;
    return &predict_labels;
}

const dataset_kind table_kind = {
    .name = "table", .file = { "train.jsonl", "valid.jsonl" }, .size = sizeof(table_data), .batch = 16, .epochs = 3, .fine_tuning = true,
    .prepare = table_prepare, .open = open_table, .close = close_table, .context = choose_context, .objective = choose_objective,
};
