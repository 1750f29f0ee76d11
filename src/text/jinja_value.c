/* What values are, how they are compared, and the budgets of a rendering. */
#include "text/jinja_value.h"
#include "base/utf8.h"
#include <stdarg.h>
#include <stdio.h>

/* ---- budgets ------------------------------------------------------------------------------- */

value machine_fail(machine *m, const char *format, ...)
{
    char text[400];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    for (char *c = text; *c; c++) if ((unsigned char)*c < ' ') *c = ' ';
    fail(m->err, LITHE_EINVAL, "%s: line %d: %s", m->name, m->line, text);
    return value_undefined("");
}

void *machine_take(machine *m, size_t count, size_t bytes)
{
    size_t total;
    if (machine_failed(m)) return NULL;
    if (!size_mul(count, bytes, &total) || !size_add(total, 16, &total) || total > m->bytes_left) {
        machine_fail(m, "the template takes too much memory and was stopped");
        return NULL;
    }
    m->bytes_left -= total;
    void *p = arena_alloc(&m->memory, total);
    if (!p) fail(m->err, LITHE_ENOMEM, "%s: line %d: out of memory", m->name, m->line);
    return p;
}

bool machine_spend(machine *m, size_t n)
{
    size_t work = 1 + n / 16;
    if (machine_failed(m)) return false;
    if (work > m->work_left) { machine_fail(m, "the template takes too long and was stopped"); return false; }
    m->work_left -= work;
    return true;
}

bool machine_enter(machine *m)
{
    m->depth++;
    if (m->depth > DEPTH_LIMIT) machine_fail(m, "macros, values or expressions are nested too deeply");
    return machine_spend(m, 0);
}

/* ---- texts --------------------------------------------------------------------------------- */

static bool builder_reserve(machine *m, text_builder *b, size_t more, bool marked)
{
    if (machine_failed(m)) return false;
    if (more > b->room - b->n) {
        size_t room = b->room ? 2 * b->room : 64;
        while (room - b->n < more) room *= 2;
        char *bytes = machine_take(m, room, 1);
        unsigned char *marks = b->marks ? machine_take(m, room, 1) : NULL;
        if (!bytes || (b->marks && !marks)) return false;
        if (b->n) memcpy(bytes, b->bytes, b->n);
        if (b->n && marks) memcpy(marks, b->marks, b->n);
        *b = (text_builder){ bytes, marks, b->n, room };
    }
    return !marked || b->marks || (b->marks = machine_take(m, b->room, 1));
}

void builder_add(machine *m, text_builder *b, marked_text t)
{
    if (!t.n || !machine_spend(m, t.n) || !builder_reserve(m, b, t.n, t.marks)) return;
    memcpy(b->bytes + b->n, t.bytes, t.n);
    if (t.marks) memcpy(b->marks + b->n, t.marks, t.n);
    b->n += t.n;
}

void builder_put_as(machine *m, text_builder *b, const char *bytes, size_t n, int marks)
{
    if (!n || !machine_spend(m, 0) || !builder_reserve(m, b, n, marks)) return;
    memcpy(b->bytes + b->n, bytes, n);
    if (b->marks) memset(b->marks + b->n, marks, n);
    b->n += n;
}

size_t text_find(machine *m, marked_text t, marked_text what, size_t from)
{
    const char *at = from <= t.n ? memmem(t.bytes + from, t.n - from, what.bytes, what.n) : NULL;
    if (!machine_spend(m, from <= t.n ? (at ? (size_t)(at - t.bytes) : t.n) - from : 0)) return SIZE_MAX;
    return at ? (size_t)(at - t.bytes) : SIZE_MAX;
}

bool space_of_python(int32_t c) { return utf8_is_space(c) || (c >= 0x1c && c <= 0x1f); }

size_t text_spaces(marked_text t)
{
    size_t i = 0;
    for (int32_t c; i < t.n; ) {
        size_t k = (size_t)utf8_next(t.bytes + i, t.n - i, &c);
        if (!space_of_python(c)) break;
        i += k;
    }
    return i;
}

size_t text_end(marked_text t)
{
    size_t end = t.n;
    while (end) {
        size_t k = 1;
        int32_t c;
        while (k < 4 && k < end && utf8_tail((unsigned char)t.bytes[end - k])) k++;
        if ((size_t)utf8_next(t.bytes + end - k, k, &c) != k || !space_of_python(c)) break;
        end -= k;
    }
    return end;
}

/* ---- making values --------------------------------------------------------------------------- */

value value_list_new(machine *m, size_t room)
{
    value_list *l = machine_take(m, 1, sizeof *l);
    value *at = l && room ? machine_take(m, room, sizeof *at) : NULL;
    if (!l || (room && !at)) return value_undefined("");
    *l = (value_list){ .at = at, .room = room };
    return (value){ V_LIST, .list = l };
}

value value_dict_new(machine *m)
{
    value_dict *d = machine_take(m, 1, sizeof *d);
    return d ? (value){ V_DICT, .dict = d } : value_undefined("");
}

/* Room for one element more in an array of n of them. */
static bool grow(machine *m, void **at, size_t n, size_t *room, size_t bytes)
{
    if (n < *room) return !machine_failed(m);
    size_t more = *room ? 2 * *room : 4;
    void *larger = machine_take(m, more, bytes);
    if (!larger) return false;
    if (n) memcpy(larger, *at, n * bytes);
    *at = larger;
    *room = more;
    return true;
}

bool list_add(machine *m, value_list *l, value v)
{
    void *at = l->at;
    if (!grow(m, &at, l->n, &l->room, sizeof *l->at)) return false;
    l->at = at;
    l->at[l->n++] = v;
    return true;
}

static bool dict_append(machine *m, value_dict *d, value key, value v)
{
    void *at = d->at;
    if (!grow(m, &at, d->n, &d->room, sizeof *d->at)) return false;
    d->at = at;
    d->at[d->n++] = (dict_entry){ key, v };
    return true;
}

static dict_entry *entry_of(machine *m, const value_dict *d, value key)
{
    for (size_t i = 0; i < d->n && machine_spend(m, 0); i++)
        if (value_equal(m, d->at[i].key, key)) return &d->at[i];
    return NULL;
}

const value *dict_get(machine *m, const value_dict *d, value key)
{
    const dict_entry *e = entry_of(m, d, key);
    return e ? &e->value : NULL;
}

const value *dict_find(machine *m, const value_dict *d, const char *key) { return dict_get(m, d, value_text(plain_text(key))); }

bool dict_put(machine *m, value_dict *d, value key, value v)
{
    dict_entry *e = entry_of(m, d, key);
    if (!e) return dict_append(m, d, key, v);
    e->value = v;
    return !machine_failed(m);
}

static value marked_copy(machine *m, const char *text, size_t n, int marks)
{
    text_builder b = { 0 };
    builder_put_as(m, &b, text, n, marks);
    return value_text(builder_text(&b));
}

value value_from_json(machine *m, const json_t *json, int marks)
{
    value v = value_none();
    if (!machine_enter(m)) return value_undefined("");
    switch (json_typeof(json)) {
    case JSON_STRING:  v = marked_copy(m, json_string_value(json), json_string_length(json), marks); break;
    case JSON_INTEGER: v = value_int(json_integer_value(json)); break;
    case JSON_REAL:    v = value_real(json_real_value(json)); break;
    case JSON_TRUE:    v = value_bool(true); break;
    case JSON_FALSE:   v = value_bool(false); break;
    case JSON_NULL:    break;
    case JSON_ARRAY:
        v = value_list_new(m, json_array_size(json));
        for (size_t i = 0; i < json_array_size(json) && !machine_failed(m); i++)
            list_add(m, v.list, value_from_json(m, json_array_get(json, i), marks));
        break;
    case JSON_OBJECT: {
        json_t *object = (json_t *)(uintptr_t)json;              /* jansson's iterators are not const */
        v = value_dict_new(m);
        for (void *i = json_object_iter(object); i && !machine_failed(m); i = json_object_iter_next(object, i)) {
            const char *key = json_object_iter_key(i);           /* which the object has once */
            dict_append(m, v.dict, marked_copy(m, key, strlen(key), marks), value_from_json(m, json_object_iter_value(i), marks));
        }
    }
    }
    machine_leave(m);
    return v;
}

/* ---- asking values ----------------------------------------------------------------------------- */

const char *value_kind_name(value v)
{
    static const char *const names[] = { "undefined", "none", "a boolean", "a whole number", "a number", "a text", "a list", "a dictionary", "loop", "a function" };
    return names[v.kind];
}

bool value_is_number(value v) { return v.kind == V_BOOL || v.kind == V_INT || v.kind == V_REAL; }

bool value_whole(value v, int64_t *n)
{
    *n = v.kind == V_BOOL ? v.yes : v.kind == V_INT ? v.whole : 0;
    return v.kind == V_BOOL || v.kind == V_INT;
}

double value_number(value v)
{
    int64_t n;
    return value_whole(v, &n) ? (double)n : v.kind == V_REAL ? v.real : 0;
}

bool value_true(value v)
{
    switch (v.kind) {
    case V_UNDEFINED: case V_NONE: return false;
    case V_BOOL: return v.yes;
    case V_INT:  return v.whole != 0;
    case V_REAL: return v.real < 0 || v.real > 0 || v.real != v.real;
    case V_TEXT: return v.text.n > 0;
    case V_LIST: return v.list->n > 0;
    case V_DICT: return v.dict->namespace || v.dict->n > 0;
    default:     return true;
    }
}

static bool lists_equal(machine *m, const value_list *a, const value_list *b)
{
    bool same = a->n == b->n && a->tuple == b->tuple;
    for (size_t i = 0; same && i < a->n; i++) same = value_equal(m, a->at[i], b->at[i]);
    return same;
}

static bool dicts_equal(machine *m, const value_dict *a, const value_dict *b)
{
    bool same = a->n == b->n;
    for (size_t i = 0; same && i < a->n; i++) {
        const value *other = dict_get(m, b, a->at[i].key);
        same = other && value_equal(m, a->at[i].value, *other);
    }
    return same;
}

bool value_equal(machine *m, value a, value b)
{
    bool same = false;
    int64_t x, y;
    if (value_whole(a, &x) && value_whole(b, &y)) return x == y;
    if (value_is_number(a) && value_is_number(b)) return !(value_number(a) < value_number(b)) && !(value_number(a) > value_number(b));
    if (a.kind != b.kind || !machine_enter(m)) return false;
    switch (a.kind) {
    case V_TEXT: same = a.text.n == b.text.n && machine_spend(m, a.text.n) && !memcmp(a.text.bytes, b.text.bytes, a.text.n); break;
    case V_LIST: same = a.list == b.list || lists_equal(m, a.list, b.list); break;
    case V_DICT: same = a.dict == b.dict || dicts_equal(m, a.dict, b.dict); break;
    case V_LOOP: same = a.loop == b.loop; break;
    case V_FUNCTION: same = a.function == b.function; break;
    default: same = true;                                        /* both are undefined, or none */
    }
    machine_leave(m);
    return same;
}

static int text_order(marked_text a, marked_text b)
{
    size_t n = a.n < b.n ? a.n : b.n;
    int order = n ? memcmp(a.bytes, b.bytes, n) : 0;
    return order ? order : (a.n > b.n) - (a.n < b.n);
}

int value_order(machine *m, value a, value b)
{
    int64_t x, y;
    int order = 0;
    if (!machine_enter(m)) return 0;
    if (value_whole(a, &x) && value_whole(b, &y)) order = (x > y) - (x < y);
    else if (value_is_number(a) && value_is_number(b)) order = (value_number(a) > value_number(b)) - (value_number(a) < value_number(b));
    else if (a.kind == V_TEXT && b.kind == V_TEXT) {
        machine_spend(m, a.text.n < b.text.n ? a.text.n : b.text.n);
        order = text_order(a.text, b.text);
    } else if (a.kind == V_LIST && b.kind == V_LIST) {
        for (size_t i = 0; !order && !machine_failed(m); i++) {
            if (i == a.list->n || i == b.list->n) { order = (a.list->n > b.list->n) - (a.list->n < b.list->n); break; }
            if (!value_equal(m, a.list->at[i], b.list->at[i])) order = value_order(m, a.list->at[i], b.list->at[i]);
        }
    } else machine_fail(m, "%s and %s cannot be compared", value_kind_name(a), value_kind_name(b));
    machine_leave(m);
    return order;
}

bool value_contains(machine *m, value all, value one)
{
    if (all.kind == V_DICT && !all.dict->namespace) return dict_get(m, all.dict, one) != NULL;
    if (all.kind == V_TEXT) {
        if (one.kind == V_TEXT) return text_find(m, all.text, one.text, 0) != SIZE_MAX;
        machine_fail(m, "a text contains no %s", value_kind_name(one));
        return false;
    }
    const value_list *l = value_elements(m, all);
    for (size_t i = 0; l && i < l->n && machine_spend(m, 0); i++)
        if (value_equal(m, l->at[i], one)) return true;
    return false;
}

static int64_t characters(marked_text t)
{
    int64_t n = 0;
    int32_t c;
    for (size_t i = 0; i < t.n; n++) i += (size_t)utf8_next(t.bytes + i, t.n - i, &c);
    return n;
}

int64_t value_length(machine *m, value v)
{
    switch (v.kind) {
    case V_UNDEFINED: return 0;
    case V_TEXT: return machine_spend(m, v.text.n) ? characters(v.text) : -1;
    case V_LIST: return (int64_t)v.list->n;
    case V_DICT: if (!v.dict->namespace) return (int64_t)v.dict->n;  /* fall through */
    default: machine_fail(m, "%s has no length", value_kind_name(v)); return -1;
    }
}

value_list *value_elements(machine *m, value v)
{
    if (v.kind == V_LIST) return v.list;
    if (v.kind != V_TEXT && v.kind != V_UNDEFINED && (v.kind != V_DICT || v.dict->namespace)) {
        machine_fail(m, "%s has no elements", value_kind_name(v));
        return NULL;
    }
    value out = value_list_new(m, v.kind == V_DICT ? v.dict->n : 0);
    if (machine_failed(m)) return NULL;
    for (size_t i = 0; v.kind == V_DICT && i < v.dict->n; i++) list_add(m, out.list, v.dict->at[i].key);
    for (size_t i = 0, k; v.kind == V_TEXT && i < v.text.n; i += k) {
        int32_t c;
        k = (size_t)utf8_next(v.text.bytes + i, v.text.n - i, &c);
        if (!list_add(m, out.list, value_text(text_part(v.text, i, i + k)))) return NULL;
    }
    return out.list;
}
