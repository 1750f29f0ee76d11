/* Reads task files: every key is known and of its kind, or the file is refused. */
#include "eval/task_file.h"
#include "base/file.h"
#include "base/keys.h"
#include <stdlib.h>
#include <string.h>

enum { TASK_DEPTH = 8, TASK_BYTES = 1 << 20, LONGEST_MOST = 1 << 16 };

/* What is being read; after a failure its functions do nothing. */
typedef struct { task_file *t; const char *what; lithe_error *err; } reader;

static void *room_for(reader *r, size_t count, size_t size)
{
    void *p = failed(r->err) ? NULL : arena_alloc(&r->t->memory, (count + 1) * size);
    if (!p) fail(r->err, LITHE_ENOMEM, "%s: out of memory", r->what);
    return p;
}

static const char *text_at(reader *r, const json_t *object, const char *key, const char *otherwise)
{
    const json_t *value = json_object_get(object, key);
    if (!value) return otherwise;
    if (!json_is_string(value) || strlen(json_string_value(value)) != json_string_length(value)) fail(r->err, LITHE_EFORMAT, "%s: \"%s\" is not a text", r->what, key);
    return json_string_value(value);
}

static const char **texts_at(reader *r, const json_t *object, const char *key, int *count)
{
    const json_t *list = json_object_get(object, key);
    *count = 0;
    if (!list) return NULL;
    const char **texts = room_for(r, json_array_size(list), sizeof *texts);
    if (texts && (!json_is_array(list) || !json_array_size(list))) fail(r->err, LITHE_EFORMAT, "%s: \"%s\" is not a list of texts", r->what, key);
    for (size_t i = 0; texts && i < json_array_size(list) && !failed(r->err); i++) {
        texts[i] = json_string_value(json_array_get(list, i));
        if (!texts[i]) fail(r->err, LITHE_EFORMAT, "%s: \"%s\" is not a list of texts", r->what, key);
        ++*count;
    }
    return texts;
}

/* An object of texts, in the order of the file. */
static named_text *pairs_at(reader *r, json_t *object, const char *key, int *count)
{
    json_t *pairs = json_object_get(object, key), *value;
    const char *name;
    *count = 0;
    if (!pairs) return NULL;
    named_text *list = room_for(r, json_object_size(pairs), sizeof *list);
    if (list && !json_is_object(pairs)) fail(r->err, LITHE_EFORMAT, "%s: \"%s\" is not an object of texts", r->what, key);
    json_object_foreach(pairs, name, value) {
        if (!list || failed(r->err)) break;
        list[*count] = (named_text){ name, json_string_value(value) };
        if (!list[(*count)++].text) fail(r->err, LITHE_EFORMAT, "%s: \"%s\": \"%s\" is not a text", r->what, key, name);
    }
    return list;
}

static void read_extractions(reader *r, json_t *object, task_form *f)
{
    int count;
    const named_text *pairs = pairs_at(r, object, "extract", &count);
    f->extract = room_for(r, (size_t)count, sizeof *f->extract);
    for (int i = 0; i < count && !failed(r->err); i++) {
        f->extract[i] = (extraction){ pairs[i].name, task_pattern_new(pairs[i].text, r->what, r->err) };
        f->extract_count++;
    }
}

static void read_form(reader *r, json_t *object, task_form *f)
{
    static const known_key keys[] = { { "fields", NULL }, { "lines", NULL }, { "extract", NULL }, { "set", NULL }, { "labels", NULL }, { NULL, NULL } };
    if (keys_check(object, keys, r->what, r->err)) return;
    f->fields = texts_at(r, object, "fields", &f->field_count);
    f->lines = texts_at(r, object, "lines", &f->line_count);
    if (!f->fields == !f->lines) fail(r->err, LITHE_EFORMAT, "%s: a form of \"data\" has either \"fields\" or \"lines\"", r->what);
    f->set = pairs_at(r, object, "set", &f->set_count);
    f->labels = text_at(r, object, "labels", NULL);
    read_extractions(r, object, f);
}

static void read_forms(reader *r)
{
    json_t *list = json_object_get(r->t->json, "data");
    size_t count = json_array_size(list);
    if (!count) fail(r->err, LITHE_EFORMAT, "%s: \"data\" is not a list of forms of data", r->what);
    r->t->forms = room_for(r, count, sizeof *r->t->forms);
    for (size_t i = 0; i < count && !failed(r->err); i++) {
        r->t->form_count++;
        read_form(r, json_array_get(list, i), &r->t->forms[i]);
    }
}

static void read_choice(reader *r, const json_t *value, choice_template *c)
{
    static const known_key keys[] = { { "context", NULL }, { "text", NULL }, { NULL, NULL } };
    c->text = json_string_value(value);
    if (!c->text && !json_is_object(value)) fail(r->err, LITHE_EFORMAT, "%s: a choice is neither a text nor {\"context\": ..., \"text\": ...}", r->what);
    if (c->text || failed(r->err) || keys_check(value, keys, r->what, r->err)) return;
    c->context = text_at(r, value, "context", NULL);
    c->text = text_at(r, value, "text", NULL);
    if (!c->text) fail(r->err, LITHE_EFORMAT, "%s: a choice has no \"text\"", r->what);
}

static void read_choices(reader *r)
{
    task_file *t = r->t;
    const json_t *list = json_object_get(t->json, "choices");
    bool generates = json_object_get(t->json, "generate") != NULL;
    const char *only = generates ? t->answer : text_at(r, t->json, "continuation", NULL);
    size_t count = only ? 1 : json_array_size(list);
    int answers;
    t->answers = texts_at(r, t->json, "answers", &answers);
    if (only && !generates && (list || t->answers || t->answer)) fail(r->err, LITHE_EFORMAT, "%s: a task with a \"continuation\" has no choices and no answers", r->what);
    if (list && !json_is_array(list)) fail(r->err, LITHE_EFORMAT, "%s: \"choices\" is not a list", r->what);
    if (!only && (count < 2 || count > CHOICES_MOST)) fail(r->err, LITHE_EFORMAT, "%s: %zu choices, expected 2 to %d, or a \"continuation\"", r->what, count, CHOICES_MOST);
    if (!only && (!t->answer || answers != (int)count)) fail(r->err, LITHE_EFORMAT, "%s: needs \"answer\", and \"answers\" with a key for each of %zu choices", r->what, count);
    t->choices = room_for(r, count, sizeof *t->choices);
    for (size_t i = 0; i < count && !failed(r->err); i++) {
        if (only) t->choices[i].text = only;
        else read_choice(r, json_array_get(list, i), &t->choices[i]);
    }
    t->choice_count = (int)count;
}

/* The answer is then the one continuation, and must be written by the model itself. */
static void read_generation(reader *r)
{
    static const known_key keys[] = { { "longest", NULL }, { "stop", NULL }, { NULL, NULL } };
    const json_t *generate = json_object_get(r->t->json, "generate");
    if (!generate || keys_check(generate, keys, r->what, r->err)) return;
    if (!r->t->answer || r->t->answers || json_object_get(r->t->json, "choices") || json_object_get(r->t->json, "continuation"))
        fail(r->err, LITHE_EFORMAT, "%s: a task that generates has an \"answer\", no choices and no \"continuation\"", r->what);
    if (!json_int(generate, "longest", 1, LONGEST_MOST, &r->t->longest))
        fail(r->err, LITHE_EFORMAT, "%s: \"generate\" needs \"longest\", the most tokens of a text, from 1 to %d", r->what, LONGEST_MOST);
    r->t->stop = texts_at(r, generate, "stop", &r->t->stop_count);
    for (int i = 0; i < r->t->stop_count && !failed(r->err); i++)
        if (!*r->t->stop[i]) fail(r->err, LITHE_EFORMAT, "%s: \"stop\" has an empty text, which stops nothing", r->what);
}

static void read_rewriting(reader *r)
{
    const json_t *list = json_object_get(r->t->json, "rewrite");
    r->t->rewrite = room_for(r, json_array_size(list), sizeof *r->t->rewrite);
    for (size_t i = 0; i < json_array_size(list) && !failed(r->err); i++) {
        const json_t *pair = json_array_get(list, i);
        const char *from = json_string_value(json_array_get(pair, 0)), *by = json_string_value(json_array_get(pair, 1));
        if (!from || !by) fail(r->err, LITHE_EFORMAT, "%s: \"rewrite\" is not a list of pairs of a regular expression and a text", r->what);
        else r->t->rewrite[r->t->rewrite_count++] = (rewriting){ task_pattern_new(from, r->what, r->err), by };
    }
}

static void read_task(reader *r)
{
    static const known_key keys[] = { { "task", NULL }, { "also", NULL }, { "about", NULL }, { "data", NULL }, { "description", NULL }, { "context", NULL }, { "choices", NULL }, { "continuation", NULL }, { "generate", NULL }, { "answer", NULL },
                                      { "answers", NULL }, { "delimiter", NULL }, { "between", NULL }, { "rewrite", NULL }, { "shots", NULL }, { "names", NULL }, { NULL, NULL } };
    task_file *t = r->t;
    if (keys_check(t->json, keys, r->what, r->err)) return;
    t->name = text_at(r, t->json, "task", NULL);
    if (!t->name) fail(r->err, LITHE_EFORMAT, "%s: is no task file: it has no \"task\", the task's name", r->what);
    t->about = text_at(r, t->json, "about", "");
    t->context = text_at(r, t->json, "context", "");
    t->description = text_at(r, t->json, "description", "");
    t->delimiter = text_at(r, t->json, "delimiter", " ");
    t->between = text_at(r, t->json, "between", "\n\n");
    t->answer = text_at(r, t->json, "answer", NULL);
    t->shots = text_at(r, t->json, "shots", NULL);
    t->names = pairs_at(r, t->json, "names", &t->name_count);
    read_forms(r);
    read_choices(r);
    read_generation(r);
    read_rewriting(r);
}

task_file *task_file_parse(const char *text, size_t size, const char *what, lithe_error *err)
{
    lithe_error own = { 0 }, *e = err ? err : &own;
    if (failed(e)) return NULL;
    task_file *t = xalloc(1, sizeof *t);
    char *name = t ? arena_strdup(&t->memory, what) : NULL;
    if (!name) fail(e, LITHE_ENOMEM, "%s: out of memory", what);
    else if ((t->path = name) && (t->json = json_parse(text, size, TASK_DEPTH, what, e))) read_task(&(reader){ t, name, e });
    if (!failed(e)) return t;
    task_file_close(t);
    return NULL;
}

void task_file_close(task_file *t)
{
    if (!t) return;
    for (int i = 0; i < t->form_count; i++)
        for (int k = 0; k < t->forms[i].extract_count; k++) task_pattern_free(t->forms[i].extract[k].pattern);
    for (int i = 0; i < t->rewrite_count; i++) task_pattern_free(t->rewrite[i].pattern);
    json_decref(t->json);
    arena_free(&t->memory);
    free(t);
}

/* ---- by name ------------------------------------------------------------------------- */

/* Whether a task says that it is also called so. */
static bool is_called(const task_file *t, const char *name)
{
    const json_t *also = json_object_get(t->json, "also");
    bool found = !strcmp(t->name, name);
    for (size_t i = 0; i < json_array_size(also); i++) found |= json_is_string(json_array_get(also, i)) && !strcmp(json_string_value(json_array_get(also, i)), name);
    return found;
}

static task_file *open_held(const char *name, lithe_error *err)
{
    for (const held_task *h = held_tasks; h->name; h++) {
        task_file *t = task_file_parse(h->text, strlen(h->text), h->name, err);
        if (!t || is_called(t, name)) return t;
        task_file_close(t);
    }
    return NULL;
}

static void no_such_task(const char *name, lithe_error *err)
{
    char known[160] = "";
    for (const held_task *h = held_tasks; h->name; h++) snprintf(known + strlen(known), sizeof known - strlen(known), "%s%s", h == held_tasks ? "" : ", ", h->name);
    fail(err, LITHE_EINVAL, "no task and no file is called \"%.60s\"; tasks are %s", name, known);
}

task_file *task_file_open(const char *name, lithe_error *err)
{
    if (failed(err)) return NULL;
    task_file *t = open_held(name, err);
    if (t || failed(err)) return t;
    if (!path_exists(name)) { no_such_task(name, err); return NULL; }
    size_t size;
    char *text = file_read(name, TASK_BYTES, &size, err);
    t = text ? task_file_parse(text, size, name, err) : NULL;
    free(text);
    return t;
}
