/* Chat templates: a conversation as a text, with marks on what users wrote. */
#include "text/jinja.h"
#include "text/layout.h"
#include "text/text_buffer.h"
#include "text/tokenizer.h"
#include "base/file.h"
#include "base/sized.h"
#include <stdlib.h>
#include <time.h>

/* A rendering may take this much, and as many times the bytes of its input. */
enum { MEMORY_LIMIT = 64 << 20, MEMORY_TIMES = 100, WORK_LIMIT = 10000000, WORK_TIMES = 20 };
enum { JSON_DEPTH = 64, FILE_BYTES = 1 << 20, END_BYTES = 64, SPECIALS = ROLES };

struct lithe_template {
    jinja *program;
    char *text;
    char *special[SPECIALS];                 /* the text of the special token of each role; NULL: it has none */
    char *start;                             /* the text of the tokens before a text of this tokenizer; NULL: none */
    int32_t end;                             /* the special token after a reply, -1: none */
    char end_text[END_BYTES];                /* else the text there */
};

/* ---- the built-in ones ---------------------------------------------------------------------------- */

#define WORLD_CONTENT "message['content'] | trim | replace('\\r\\n', '\\n') | replace('\\n\\n', '\\n')"
static const struct { const char *name, *text; } built_in[] = {
    { "plain", "{{ text_start }}{% for message in messages %}{{ message['content'] + '\\n' if message['role'] == 'assistant' else "
               "(before | default('')) + message['content'] + (after | default('\\n')) }}{% endfor %}" },
    { "chatml", "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' }}{% endfor %}"
                "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}" },
    { "world", "{% for message in messages %}{{ {'user': 'User', 'assistant': 'Assistant', 'system': 'System'}.get(message['role'], 'User') + ': ' + (" WORLD_CONTENT ") + '\\n\\n' }}{% endfor %}"
              "{% if add_generation_prompt %}{{ 'Assistant:' + ('' if enable_thinking is not defined else ' <think' if enable_thinking else ' <think>\\n</think>') }}{% endif %}" },
    { "world-instruction", "{% for message in messages %}{{ {'user': 'Instruction', 'assistant': 'Response', 'system': 'System'}.get(message['role'], 'Input') + ': ' + (" WORLD_CONTENT ") + '\\n\\n' }}{% endfor %}"
                          "{% if add_generation_prompt %}{{ 'Response:' }}{% endif %}" },
    { "world-qa", "{% for message in messages %}{{ ('Answer: ' if message['role'] == 'assistant' else '' if message['role'] == 'system' else 'Question: ') + (" WORLD_CONTENT ") + '\\n\\n' }}{% endfor %}"
                 "{% if add_generation_prompt %}{{ 'Answer:' }}{% endif %}" },
};
enum { BUILT_IN = sizeof built_in / sizeof *built_in };

const char *lithe_template_name(int i) { return i >= 0 && i < BUILT_IN ? built_in[i].name : NULL; }

/* ---- opening ----------------------------------------------------------------------------------------- */

/* The text of a token, malloc'd; NULL: it has none, or memory is out. */
static char *token_text(const lithe_tokenizer *t, int32_t id)
{
    size_t n = 0;
    const pieces *p = pieces_has(&t->added, id) ? &t->added : &t->vocabulary;
    if (!pieces_has(p, id)) return NULL;
    const char *bytes = pieces_bytes(p, id, &n);
    char *copy = n ? xalloc(n + 1, 1) : NULL;
    if (copy) memcpy(copy, bytes, n);
    return copy;
}

/* The texts of the tokens before a text, which is usually the one of bos_token. */
static char *start_text(const lithe_tokenizer *t)
{
    const layout l = layout_of(t);
    text_buffer all = { 0 };
    for (size_t i = 0; i < l.one.before.n; i++) {
        char *one = token_text(t, l.one.before.ids[i]);
        if (one) text_append(&all, one, strlen(one));
        free(one);
    }
    text_append(&all, "", 1);
    return all.bytes;
}

/* The longest special token that text begins with. */
static int32_t special_at(const lithe_tokenizer *t, const char *text, size_t n)
{
    size_t longest = 0;
    int32_t id = -1;
    for (size_t i = 0; i < t->n_entries; i++) {
        const added_entry *e = &t->entries[i];
        if (!e->special || e->len <= longest || e->len > n || memcmp(e->text, text, e->len)) continue;
        longest = e->len;
        id = e->id;
    }
    return id;
}

/* The white space, and the first word or the marker in pointed brackets after it. */
static void put_end_text(lithe_template *p, const char *text, size_t n, size_t spaces)
{
    size_t end = spaces + strcspn(text + spaces, text[spaces] == '<' ? ">\n" : " \n");
    end += text[spaces] == '<' && text[end] == '>';
    if (end > n) end = n;
    if (end < END_BYTES) memcpy(p->end_text, text, end);
}

/* Learns what follows a reply, from a conversation with texts that are easily found. */
static void find_end(lithe_template *p, const lithe_tokenizer *t)
{
    static const char messages[] = "[{\"role\": \"user\", \"content\": \"qKzW\"}, {\"role\": \"assistant\", \"content\": \"wZkQ\"}, {\"role\": \"user\", \"content\": \"xJvY\"}]";
    lithe_rendered r;
    p->end = -1;
    if (lithe_template_render(p, messages, sizeof messages - 1, &LITHE_OPTIONS(lithe_template_options, .now = 1), &r, NULL)) return;
    const char *reply = strstr(r.text, "wZkQ"), *from = reply ? reply + 4 : "", *next = strstr(from, "xJvY");
    size_t n = next ? (size_t)(next - from) : 0, spaces = strspn(from, " \n");
    if (spaces < n) p->end = special_at(t, from + spaces, n - spaces);
    if (p->end < 0) put_end_text(p, from, n, spaces);
    lithe_rendered_free(&r);
}

lithe_template *lithe_template_parse(const lithe_tokenizer *t, const char *text, size_t n, const char *name, lithe_error *err)
{
    if (!t || !text || !name) { fail(err, LITHE_EINVAL, "template: there is no %s", t ? "text" : "tokenizer"); return NULL; }
    jinja *program = jinja_parse(text, n, name, err);
    lithe_template *p = program ? xalloc(1, sizeof *p) : NULL;
    if (p) p->text = xalloc(n + 1, 1);
    if (!p || !p->text) {
        jinja_free(program);
        free(p);
        fail(err, LITHE_ENOMEM, "%s: out of memory", name);
        return NULL;
    }
    p->program = program;
    memcpy(p->text, text, n);
    for (int i = 0; i < SPECIALS; i++) p->special[i] = t->role[i] < 0 ? NULL : token_text(t, t->role[i]);
    p->start = start_text(t);
    find_end(p, t);
    return p;
}

void lithe_template_close(lithe_template *p)
{
    if (!p) return;
    jinja_free(p->program);
    for (int i = 0; i < SPECIALS; i++) free(p->special[i]);
    free(p->start);
    free(p->text);
    free(p);
}

/* A file with a template, or with JSON that has one as chat_template. */
static lithe_template *open_file(const lithe_tokenizer *t, const char *path, lithe_error *err)
{
    size_t n, length = strlen(path);
    char *text = file_read(path, FILE_BYTES, &n, err);
    lithe_template *p = NULL;
    if (!text) return NULL;
    if (length > 5 && !strcmp(path + length - 5, ".json")) {
        json_t *config = json_parse(text, n, JSON_DEPTH, path, err);
        const json_t *own = json_object_get(config, "chat_template");
        if (json_is_string(own)) p = lithe_template_parse(t, json_string_value(own), json_string_length(own), path, err);
        else fail(err, LITHE_EFORMAT, "%s: has no text named chat_template", path);
        json_decref(config);
    }
    else p = lithe_template_parse(t, text, n, path, err);
    free(text);
    return p;
}

lithe_template *lithe_template_open(const lithe_tokenizer *t, const char *source, lithe_error *err)
{
    if (!t) { fail(err, LITHE_EINVAL, "template: there is no tokenizer"); return NULL; }
    if (t->chat_template && (!source || !strcmp(source, "default"))) return lithe_template_parse(t, t->chat_template, strlen(t->chat_template), "chat template", err);
    for (const named_template *own = t->templates; own && source; own = own->next)
        if (!strcmp(source, own->name)) return lithe_template_parse(t, own->text, strlen(own->text), source, err);
    if (!source) source = t->model == MODEL_LONGEST ? "world" : "plain";
    for (int i = 0; i < BUILT_IN; i++)
        if (!strcmp(source, built_in[i].name)) return lithe_template_parse(t, built_in[i].text, strlen(built_in[i].text), source, err);
    if (path_exists(source)) return open_file(t, source, err);
    fail(err, LITHE_EIO, "template '%s': the model has none of this name, no file has it, and the built-in ones are plain, chatml, world, world-instruction and world-qa", source);
    return NULL;
}

const char *lithe_template_text(const lithe_template *p) { return p ? p->text : NULL; }

int32_t lithe_template_end(const lithe_template *p, const char **text)
{
    if (text) *text = p && p->end < 0 && p->end_text[0] ? p->end_text : NULL;
    return p ? p->end : -1;
}

/* ---- messages ------------------------------------------------------------------------------------------ */

/* The texts of a content's parts, with line feeds between; NULL: another kind of part, or memory is out. */
static json_t *joined_parts(const json_t *parts, size_t message, lithe_error *err)
{
    json_t *all = json_string("");
    for (size_t i = 0; i < json_array_size(parts) && all; i++) {
        const json_t *part = json_array_get(parts, i), *text = json_object_get(part, "text");
        const char *type = json_string_value(json_object_get(part, "type"));
        json_t *more = json_is_string(text) ? json_sprintf("%s%s%s", json_string_value(all), i ? "\n" : "", json_string_value(text)) : NULL;
        if (!json_is_string(text)) fail(err, LITHE_EINVAL, "messages[%zu].content[%zu]: the template takes texts, not a part of type '%.40s'", message, i, type ? type : "?");
        json_decref(all);
        all = more;
    }
    if (!all) fail(err, LITHE_ENOMEM, "messages: out of memory, or a text with a NUL");
    return all;
}

/* Replaces arguments of function calls that are JSON in a text by the values; true: there were some. */
static bool open_arguments(json_t *message)
{
    json_t *calls = json_object_get(message, "tool_calls");
    bool some = false;
    for (size_t i = 0; i < json_array_size(calls); i++) {
        json_t *function = json_object_get(json_array_get(calls, i), "function"), *own = json_object_get(function, "arguments");
        json_t *values = json_is_string(own) ? json_parse(json_string_value(own), json_string_length(own), JSON_DEPTH, "arguments", NULL) : NULL;
        if (json_is_object(values)) some |= !json_object_set(function, "arguments", values);
        json_decref(values);
    }
    return some;
}

/* The list of messages in the form that the template reads; NULL: refused. */
static json_t *read_messages(const lithe_template *p, const char *text, size_t n, lithe_error *err)
{
    json_t *all = json_parse(text, n, JSON_DEPTH, "messages", err);
    if (all && !json_is_array(all)) fail(err, LITHE_EINVAL, "messages: expected a list");
    for (size_t i = 0; i < json_array_size(all) && !failed(err); i++) {
        json_t *message = json_array_get(all, i), *content = json_object_get(message, "content");
        if (!json_is_string(json_object_get(message, "role"))) fail(err, LITHE_EINVAL, "messages[%zu]: expected an object with a text named role", i);
        else if (json_is_array(content) && !jinja_reads_parts(p->program)) json_object_set_new(message, "content", joined_parts(content, i, err));
    }
    if (!failed(err)) return all;
    json_decref(all);
    return NULL;
}

/* ---- rendering ------------------------------------------------------------------------------------------- */

typedef struct { json_t *messages, *tools, *variables; size_t bytes; const lithe_template_options *options; } conversation;

static void put_variable(machine *m, value_dict *d, const char *name, value v) { dict_put(m, d, value_text(plain_text(name)), v); }

static value json_or_none(machine *m, const json_t *json) { return json ? value_from_json(m, json, MARK_USER) : value_none(); }

static value_dict *variables_of(machine *m, const lithe_template *p, const conversation *c)
{
    value all = value_dict_new(m);
    if (machine_failed(m)) return NULL;
    put_variable(m, all.dict, "messages", value_from_json(m, c->messages, MARK_USER));
    put_variable(m, all.dict, "tools", json_or_none(m, c->tools));
    put_variable(m, all.dict, "documents", value_none());
    put_variable(m, all.dict, "add_generation_prompt", value_bool(!c->options->no_reply));
    for (int i = 0; i < SPECIALS; i++)
        if (p->special[i]) put_variable(m, all.dict, tokenizer_role_key(i), value_text(plain_text(p->special[i])));
    put_variable(m, all.dict, "text_start", value_text(plain_text(p->start ? p->start : "")));
    const char *key;
    json_t *given;
    json_object_foreach(c->variables, key, given) put_variable(m, all.dict, key, value_from_json(m, given, MARK_USER));
    return all.dict;
}

static unsigned char *flags_of(marked_text t, int flag)
{
    unsigned char *flags = t.marks && t.n ? xalloc(t.n, 1) : NULL;
    bool some = false;
    for (size_t i = 0; flags && i < t.n; i++) some |= (flags[i] = (t.marks[i] & flag) != 0);
    if (some) return flags;
    free(flags);
    return NULL;
}

static bool has_flag(marked_text t, int flag)
{
    for (size_t i = 0; i < t.n && t.marks; i++) if (t.marks[i] & flag) return true;
    return false;
}

static void copy_out(marked_text t, lithe_rendered *out, const char *name, lithe_error *err)
{
    *out = (lithe_rendered){ .text = xalloc(t.n + 1, 1), .user = flags_of(t, MARK_USER), .reply = flags_of(t, MARK_REPLY), .n = t.n };
    if (out->text && !out->user == !has_flag(t, MARK_USER) && !out->reply == !has_flag(t, MARK_REPLY)) { memcpy(out->text, t.bytes, t.n); return; }
    lithe_rendered_free(out);
    fail(err, LITHE_ENOMEM, "%s: out of memory", name);
}

static int render(const lithe_template *p, const conversation *c, lithe_rendered *out, lithe_error *err)
{
    machine m = machine_open(p->program, MEMORY_LIMIT + MEMORY_TIMES * c->bytes, WORK_LIMIT + WORK_TIMES * c->bytes, err);
    m.now = c->options->now ? c->options->now : (int64_t)time(NULL);
    const value_dict *variables = variables_of(&m, p, c);
    marked_text t = variables ? jinja_render(p->program, &m, variables) : plain_text("");
    if (!failed(err)) copy_out(t, out, m.name, err);
    machine_close(&m);
    return err->status;
}

/* A JSON value among the options; NULL and no error: it is not there. */
static json_t *read_option(const char *text, const char *what, bool list, size_t *bytes, lithe_error *err)
{
    json_t *v = text ? json_parse(text, strlen(text), JSON_DEPTH, what, err) : NULL;
    if (text) *bytes += strlen(text);
    if (v && (list ? !json_is_array(v) : !json_is_object(v))) fail(err, LITHE_EINVAL, "%s: expected %s", what, list ? "a list" : "an object");
    return v;
}

int lithe_template_render(const lithe_template *p, const char *messages, size_t bytes, const lithe_template_options *o, lithe_rendered *out, lithe_error *err)
{
    lithe_error own = { 0 }, second = { 0 };
    lithe_template_options options;
    if (!err) err = &own;
    if (failed(err)) return err->status;
    if (!p || !messages || !out) return fail(err, LITHE_EINVAL, "template: there is no template, no messages or no place for the text");
    *out = (lithe_rendered){ 0 };
    if (options_read(&options, sizeof options, o, "lithe_template_options", err)) return err->status;
    conversation c = { .bytes = bytes, .options = &options };
    c.tools = read_option(options.tools, "tools", true, &c.bytes, err);
    c.variables = read_option(options.variables, "variables", false, &c.bytes, err);
    c.messages = failed(err) ? NULL : read_messages(p, messages, bytes, err);
    bool opened = false;
    json_t *texts = c.messages ? json_deep_copy(c.messages) : NULL;
    for (size_t i = 0; i < json_array_size(c.messages); i++) opened |= open_arguments(json_array_get(c.messages, i));
    if (c.messages && render(p, &c, out, err) && opened && texts) {         /* it may want the arguments as texts */
        json_decref(c.messages);
        c.messages = json_incref(texts);
        if (!render(p, &c, out, &second)) *err = (lithe_error){ 0 };
    }
    json_decref(texts);
    json_decref(c.messages);
    json_decref(c.tools);
    json_decref(c.variables);
    return err->status;
}

void lithe_rendered_free(lithe_rendered *r)
{
    if (!r) return;
    free(r->text);
    free(r->user);
    free(r->reply);
    *r = (lithe_rendered){ 0 };
}
