/* Turns a table of labelled text into the files of a dataset (data/table_data.h).  Labels are checked, with the name of
 * their table, before anything is written. */
#include "base/file.h"
#include "base/writer.h"
#include "base/json.h"
#include "base/random.h"
#include "data/table_data.h"
#include "data/tokenizer_identity.h"
#include <stdlib.h>
#include <string.h>

typedef struct { bool numbers, pairs; label_names names; table train, valid; uint8_t *held; } preparation;

/* ---- which rows ---------------------------------------------------------------------------- */

static int check_labels(const preparation *p, const table *t, const char *path, lithe_error *err)
{
    const label_set set = { p->numbers, p->names.text, p->names.count };
    int status = LITHE_OK, label;
    float value;
    for (size_t i = 0; i < t->count && !status; i++) status = label_read(&set, &t->rows[i], path, &label, &value, err);
    return status;
}

static int read_tables(preparation *p, const char *path, const lithe_data_options *o, lithe_error *err)
{
    const table_columns c = { o->text_column, o->pair_column, o->label_column };
    int status = table_read(&p->train, path, &c, true, err);
    if (!status && o->valid) status = table_read(&p->valid, o->valid, &c, true, err);
    if (status) return status;
    p->pairs = p->train.rows[0].pair != NULL;
    if (!o->valid || (p->valid.rows[0].pair != NULL) == p->pairs) return LITHE_OK;
    return fail(err, LITHE_EFORMAT, "%s: has %s text, %s has %s: name the columns", o->valid, p->pairs ? "one" : "a second", path, p->pairs ? "two" : "one");
}

static int find_labels(preparation *p, const char *path, const lithe_data_options *o, lithe_error *err)
{
    int status = p->numbers ? LITHE_OK : o->label_count ? names_copy(&p->names, o->labels, o->label_count, err) : names_of_table(&p->names, &p->train, path, err);
    if (!status) status = check_labels(p, &p->train, path, err);
    return status || !o->valid ? status : check_labels(p, &p->valid, o->valid, err);
}

/* Sets 1 for each row that is held out: the first `share` of the rows in an order drawn by the seed, at least one. */
static int hold_out(preparation *p, const char *path, double share, uint64_t seed, lithe_error *err)
{
    size_t n = p->train.count, wanted = (size_t)((double)n * share);
    if (n < 2) return fail(err, LITHE_EINVAL, "%s: one example, at least 2 are needed: one to learn from, one held out", path);
    if (!(p->held = xalloc(n, 1))) return fail(err, LITHE_ENOMEM, "out of memory for %zu examples", n);
    for (size_t i = 0; i < (wanted ? wanted : 1); i++) p->held[permuted(i, n, key_of_name(seed, "held-out examples"))] = 1;
    return LITHE_OK;
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
static int write_table(const char *path, const table *t, const uint8_t *held, int which, lithe_error *err)
{
    writer w;
    int status = writer_open(&w, path, err);
    if (status) return status;
    for (size_t i = 0; i < t->count && !status; i++) if (!held || held[i] == which) status = write_row(w.stream, &t->rows[i], path, err);
    if (!status) return writer_commit(&w, err);
    writer_abandon(&w);
    return status;
}

/* Writes a split; *facts: its bytes and hash, for the description. */
static int write_split(const char *dir, data_split split, const table *t, const uint8_t *held, json_t **facts, lithe_error *err)
{
    mapping m;
    char hash[33], *path = path_join(dir, table_kind.file[split]);
    int status = path ? write_table(path, t, held, split == VALID, err) : fail(err, LITHE_ENOMEM, "%s: out of memory", dir);
    if (!status) status = file_map(&m, path, err);
    if (!status) {
        hash_hex(m.data, m.size, hash);
        *facts = json_pack("{s:I s:s}", "bytes", (json_int_t)m.size, "hash", hash);
        status = mapping_finish(&m, status, err);
    }
    free(path);
    return status;
}

static int write_files(const char *dir, const preparation *p, const lithe_tokenizer *t, lithe_error *err)
{
    char hex[33], *path = path_join(dir, DATA_JSON);
    json_t *train = NULL, *valid = NULL;
    int status = write_split(dir, TRAIN, &p->train, p->held, &train, err);
    if (!status) status = write_split(dir, VALID, p->held ? &p->train : &p->valid, p->held, &valid, err);
    tokenizer_hex(t, hex);
    json_t *value = json_pack("{s:i s:s s:b s:s s:o? s:s s:o? s:o?}", "version", 1, "task", p->numbers ? "regress" : "classify", "pairs", p->pairs,
                              "columns", p->train.columns,
                              "labels", names_json(&p->names), "tokenizer", hex, "train", train, "valid", valid);
    if (!status) status = value && path ? json_write(value, path, err) : fail(err, LITHE_ENOMEM, "%s: out of memory", dir);
    json_decref(value);
    free(path);
    return status;
}

int table_prepare(const char *const *paths, int n, const char *dir, const lithe_tokenizer *t, const lithe_data_options *o, lithe_error *err)
{
    preparation p = { .numbers = !strcmp(o->task, "regress") };
    double share = o->valid_share > 0 || o->valid_share < 0 ? o->valid_share : 0.05;
    if (failed(err)) return err->status;
    if (!t) return fail(err, LITHE_EINVAL, "data: no tokenizer");
    if (n != 1) return fail(err, LITHE_EINVAL, "%d tables of labelled text, expected one", n);
    if (!(share > 0 && share <= 0.5)) return fail(err, LITHE_EINVAL, "validation share %g, expected more than 0 and at most 0.5", share);
    int status = read_tables(&p, paths[0], o, err);
    if (!status) status = find_labels(&p, paths[0], o, err);
    if (!status && !o->valid) status = hold_out(&p, paths[0], share, o->seed, err);
    if (!status) status = dir_make(dir, err);
    if (!status) status = write_files(dir, &p, t, err);
    free(p.held);
    table_free(&p.train);
    table_free(&p.valid);
    names_free(&p.names);
    return status;
}
