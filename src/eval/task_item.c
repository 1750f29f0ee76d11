/* Records become items by the task's templates. */
#include "eval/task_item.h"
#include "base/file.h"
#include "text/text_buffer.h"
#include <stdlib.h>

static int memory_out(const task_data *d, lithe_error *err) { return fail(err, LITHE_ENOMEM, "%s: out of memory", d->path); }

/* A template, filled and rewritten; *out NULL: an optional field is absent. */
static int make_text(const char **out, const char *form, const task_data *d, const task_record *r, const task_file *t, arena *memory, lithe_error *err)
{
    int status = record_fill(r, form, t, d, memory, out, err);
    for (int i = 0; i < t->rewrite_count && !status && *out; i++)
        if (!(*out = task_pattern_replace(t->rewrite[i].pattern, *out, t->rewrite[i].by, memory, err))) return err ? (int)err->status : LITHE_EFORMAT;
    return status;
}

/* An answer template that is a field alone, "{label}", whose field is absent: the file has no answer key. */
static int find_answer(task_item *x, const task_data *d, const task_record *r, const task_file *t, const char **keys, arena *memory, lithe_error *err)
{
    lithe_error absent = { 0 };
    const char *key;
    if (record_fill(r, t->answer, t, d, memory, &key, &absent) || !key || !*key)
        return fail(err, LITHE_EFORMAT, "%s:%ld: has no answer key, \"%s\"", d->path, r->line, t->answer);
    for (int i = 0; i < x->count; i++)
        if (!strcmp(keys[i], key)) { x->answer = i; return LITHE_OK; }
    return fail(err, LITHE_EFORMAT, "%s:%ld: the answer \"%.40s\" is none of the %d choices: %s to %s", d->path, r->line, key, x->count, keys[0], keys[x->count - 1]);
}

int task_item_make(task_item *x, const task_data *d, size_t record, const task_file *t, arena *memory, lithe_error *err)
{
    const task_record *r = &d->records[record];
    const char *keys[CHOICES_MOST], *common, *context, *text;
    *x = (task_item){ .line = r->line };
    int status = make_text(&common, t->context, d, r, t, memory, err);
    for (int i = 0; i < t->choice_count && !status; i++) {
        const choice_template *c = &t->choices[i];
        status = make_text(&text, c->text, d, r, t, memory, err);
        if (!status && !text) continue;
        context = common;
        if (!status && c->context) status = make_text(&context, c->context, d, r, t, memory, err);
        if (!status && t->answers) status = record_fill(r, t->answers[i], t, d, memory, &keys[x->count], err);
        if (!status && (!context || (t->answers && !keys[x->count]))) status = fail(err, LITHE_EFORMAT, "%s:%ld: choice %d has no context or no key", d->path, r->line, i + 1);
        if (!status && !*text) status = fail(err, LITHE_EFORMAT, "%s:%ld: choice %d is empty", d->path, r->line, i + 1);
        x->context[x->count] = context;
        x->text[x->count++] = text;
    }
    if (!status && x->count < (t->answers ? 2 : 1)) status = fail(err, LITHE_EFORMAT, "%s:%ld: has fewer than two choices", d->path, r->line);
    if (!status && t->answers) status = find_answer(x, d, r, t, keys, memory, err);
    return status;
}

/* ---- shots ------------------------------------------------------------------------------ */

/* The item with its right choice. */
static char *solve(const task_item *x, const task_file *t, arena *memory)
{
    text_buffer b = { 0 };
    const char *parts[] = { x->context[x->answer], t->delimiter, x->text[x->answer], t->between };
    for (int i = 0; i < 4; i++) text_append(&b, parts[i], strlen(parts[i]));
    text_append(&b, "", 1);
    char *text = b.failed ? NULL : arena_strdup(memory, b.bytes);
    free(b.bytes);
    return text;
}

/* The file of shots that the task names beside the data; NULL: there is none.  To be freed. */
static char *usual_shots(const task_data *d, const task_file *t)
{
    const task_record none = { .line = 1 };
    arena memory = { 0 };
    const char *name = NULL;
    lithe_error err = { 0 };
    if (t->shots) record_fill(&none, t->shots, t, d, &memory, &name, &err);
    char *dir = name ? path_parent(d->path) : NULL, *path = dir ? path_join(dir, name) : NULL;
    if (path && !path_exists(path)) { free(path); path = NULL; }
    free(dir);
    arena_free(&memory);
    return path;
}

int task_shots_read(task_shots *s, const task_data *d, const task_file *t, const char *path, int count, lithe_error *err)
{
    *s = (task_shots){ 0 };
    if (!count) return LITHE_OK;
    char *usual = path ? NULL : usual_shots(d, t);
    const char *from = path ? path : usual;
    s->same = !from || file_same(from, d->path);
    int status = s->same ? LITHE_OK : task_data_read(&s->data, t, from, err);
    const task_data *data = s->same ? d : &s->data;
    size_t wanted = (size_t)count + s->same;
    if (!status && data->count < wanted)
        status = fail(err, LITHE_EFORMAT, "%s: has %zu records, %d shots%s are wanted", data->path, data->count, count, s->same ? " beside the item itself" : "");
    s->solved = status ? NULL : arena_alloc(&s->memory, wanted * sizeof *s->solved);
    for (; s->solved && s->count < wanted && !status; s->count++) {
        task_item x;
        status = task_item_make(&x, data, s->count, t, &s->memory, err);
        if (!status && !(s->solved[s->count] = solve(&x, t, &s->memory))) status = memory_out(data, err);
    }
    if (!status && !s->solved) status = memory_out(d, err);
    free(usual);
    if (status) task_shots_free(s);
    return status;
}

void task_shots_free(task_shots *s)
{
    if (s->data.path) task_data_free(&s->data);
    arena_free(&s->memory);
    *s = (task_shots){ 0 };
}

int task_item_complete(task_item *x, const task_data *d, size_t record, const task_file *t, const task_shots *s, int shots, arena *memory, lithe_error *err)
{
    text_buffer b = { 0 };
    const char *description;
    int status = record_fill(&d->records[record], t->description, t, d, memory, &description, err);
    if (status) return status;
    text_append(&b, description, strlen(description));
    for (size_t i = 0, given = 0; i < s->count && given < (size_t)shots; i++) {
        if (s->same && i == record) continue;
        text_append(&b, s->solved[i], strlen(s->solved[i]));
        given++;
    }
    size_t before = b.n;
    for (int i = 0; i < x->count && !status; i++) {
        b.n = before;
        text_append(&b, x->context[i], strlen(x->context[i]) + 1);
        x->context[i] = b.failed ? NULL : arena_strdup(memory, b.bytes);
        if (!x->context[i]) status = memory_out(d, err);
    }
    free(b.bytes);
    return status;
}
