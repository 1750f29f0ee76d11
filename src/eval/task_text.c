/* The fields of a record, and the templates that are filled with them. */
#include "base/utf8.h"
#include "eval/task_data.h"
#include "text/text_buffer.h"
#include <stdlib.h>
#include <string.h>

const char *record_text(const task_record *r, const char *name)
{
    for (int i = 0; i < r->count; i++)
        if (!strcmp(r->fields[i].name, name)) return r->fields[i].text;
    return NULL;
}

bool record_set(task_record *r, const char *name, const char *text, arena *memory)
{
    for (int i = 0; i < r->count; i++)
        if (!strcmp(r->fields[i].name, name)) { r->fields[i].text = text; return true; }
    if (r->count == r->room) {
        int room = r->room ? 2 * r->room : 8;
        named_text *grown = arena_alloc(memory, (size_t)room * sizeof *grown);
        if (!grown) return false;
        if (r->count) memcpy(grown, r->fields, (size_t)r->count * sizeof *grown);
        r->fields = grown;
        r->room = room;
    }
    r->fields[r->count++] = (named_text){ name, text };
    return true;
}

/* ---- filters ---------------------------------------------------------------------------- */

static void append_stripped(text_buffer *b, const char *text)
{
    size_t n = strlen(text), begin = 0, end = 0;
    int32_t c;
    for (size_t i = 0; i < n; ) {
        size_t at = i;
        i += (size_t)utf8_next(text + i, n - i, &c);
        if (utf8_is_space(c)) continue;
        if (!end) begin = at;
        end = i;
    }
    text_append(b, text + begin, end - begin);
}

/* The first character in upper case, the others in lower case. */
static void append_capitalized(text_buffer *b, const char *text)
{
    size_t n = strlen(text);
    char one[4];
    int32_t c;
    for (size_t i = 0; i < n; ) {
        int length = utf8_next(text + i, n - i, &c);
        int32_t other = c < 0 ? c : i ? utf8proc_tolower(c) : utf8proc_totitle(c);
        if (other == c) text_append(b, text + i, (size_t)length);
        else text_append(b, one, (size_t)utf8_put(other, one));
        i += (size_t)length;
    }
}

static const char *named(const task_file *t, const char *text)
{
    for (int i = 0; i < t->name_count; i++)
        if (!strcmp(t->names[i].name, text)) return t->names[i].text;
    return text;
}

static bool append_filtered(text_buffer *b, const char *filter, const char *text, const task_file *t)
{
    if (!strcmp(filter, "strip")) append_stripped(b, text);
    else if (!strcmp(filter, "capitalize")) append_capitalized(b, text);
    else if (!strcmp(filter, "named")) text_append(b, named(t, text), strlen(named(t, text)));
    else if (!*filter) text_append(b, text, strlen(text));
    else return false;
    return true;
}

/* ---- templates ---------------------------------------------------------------------------- */

typedef struct { char field[128], filter[16]; bool optional; } insertion;

/* Reads "field|filter?}" at text; its length with the bracket, or 0 if it is none. */
static size_t read_insertion(const char *text, insertion *x)
{
    size_t end = strcspn(text, "}"), bar = strcspn(text, "|?}");
    *x = (insertion){ .optional = end && text[end - 1] == '?' };
    size_t filter = text[bar] == '|' ? end - bar - 1 - x->optional : 0;
    if (!text[end] || !bar || bar >= sizeof x->field || filter >= sizeof x->filter) return 0;
    memcpy(x->field, text, bar);
    if (filter) memcpy(x->filter, text + bar + 1, filter);
    return end + 1;
}

static int absent_field(const task_record *r, const char *field, const task_file *t, const task_data *d, lithe_error *err)
{
    return fail(err, LITHE_EFORMAT, "%s:%ld: has no field \"%s\", which %s reads", d->path, r->line, field, t->name);
}

/* Appends the field that is inserted; *absent is set where it is optional and not there. */
static int insert(text_buffer *b, const insertion *x, const task_record *r, const task_file *t, const task_data *d, bool *absent, lithe_error *err)
{
    const char *text = record_text(r, x->field);
    if (!text && !strcmp(x->field, "file")) text = d->name;
    if (!text && x->optional) { *absent = true; return LITHE_OK; }
    if (!text) return absent_field(r, x->field, t, d, err);
    return append_filtered(b, x->filter, text, t) ? LITHE_OK : fail(err, LITHE_EFORMAT, "%s: there is no filter \"%s\"; there are strip, capitalize and named", t->path, x->filter);
}

int record_fill(const task_record *r, const char *text, const task_file *t, const task_data *d, arena *memory, const char **out, lithe_error *err)
{
    text_buffer b = { 0 };
    insertion x;
    bool absent = false;
    int status = LITHE_OK;
    for (size_t plain; *text && !status; ) {
        text_append(&b, text, plain = strcspn(text, "{"));
        text += plain;
        if (!*text) break;
        size_t length = text[1] == '{' ? 1 : read_insertion(text + 1, &x);
        if (!length) status = fail(err, LITHE_EFORMAT, "%s: a template has { without a field: \"%.60s\"; {{ is a brace", t->path, text);
        else if (text[1] == '{') text_append(&b, "{", 1);
        else status = insert(&b, &x, r, t, d, &absent, err);
        text += 1 + length;
    }
    text_append(&b, "", 1);
    *out = status || absent || b.failed ? NULL : arena_strdup(memory, b.bytes);
    if (!status && !absent && !*out) status = fail(err, LITHE_ENOMEM, "%s: out of memory", d->path);
    free(b.bytes);
    return status;
}
