/* Values as text: Python's str() and repr(), and JSON as Python's json module writes it. */
#include "text/jinja_value.h"
#include "base/utf8.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* The shortest number that reads back the same, as repr() writes it. */
static void put_real(machine *m, text_builder *b, double x, bool json)
{
    char text[40], digits[40];
    if (!isfinite(x)) {
        builder_put(m, b, x != x ? (json ? "NaN" : "nan") : x > 0 ? (json ? "Infinity" : "inf") : json ? "-Infinity" : "-inf");
        return;
    }
    int precision = 1;
    for (; precision < 17; precision++) {
        snprintf(text, sizeof text, "%.*e", precision - 1, x);
        if (fabs(strtod(text, NULL) - x) <= 0) break;
    }
    snprintf(digits, sizeof digits, "%.*e", precision - 1, x);
    int exponent = (int)strtol(strchr(digits, 'e') + 1, NULL, 10);
    if (exponent < -4 || exponent >= 16) snprintf(text, sizeof text, "%.*e", precision - 1, x);
    else snprintf(text, sizeof text, "%.*f", precision - 1 > exponent ? precision - 1 - exponent : 1, x);
    builder_put(m, b, text);
}

static void put_number(machine *m, text_builder *b, value v, bool json)
{
    char text[24];
    if (v.kind == V_REAL) { put_real(m, b, v.real, json); return; }
    snprintf(text, sizeof text, "%lld", (long long)v.whole);
    builder_put(m, b, text);
}

/* ---- repr ------------------------------------------------------------------------------------ */

/* How repr() and JSON write a character that they do not write as it is; NULL: they do. */
static const char *escape(int32_t c, char quote, bool json, bool ascii, char out[16])
{
    static const char letters[] = "\bb\ff\nn\rr\tt";
    if (c == '\\' || c == quote) { snprintf(out, 16, "\\%c", (char)c); return out; }
    for (int i = json ? 0 : 4; letters[i]; i += 2)
        if (c == letters[i]) { snprintf(out, 16, "\\%c", letters[i + 1]); return out; }
    if (c < ' ' || (!json && c == 0x7f)) snprintf(out, 16, json ? "\\u%04x" : "\\x%02x", (unsigned)c);
    else if (ascii && c > 0xffff) snprintf(out, 16, "\\u%04x\\u%04x", 0xd7c0u + ((unsigned)c >> 10), 0xdc00u + ((unsigned)c & 0x3ff));
    else if (ascii && c > 0x7e) snprintf(out, 16, "\\u%04x", (unsigned)c);
    else return NULL;
    return out;
}

static void put_quoted(machine *m, text_builder *b, marked_text t, char quote, bool json, bool ascii)
{
    const char mark[2] = { quote, 0 };
    char out[16];
    builder_put(m, b, mark);
    size_t done = 0;
    for (size_t i = 0, k; i < t.n; i += k) {
        int32_t c;
        k = (size_t)utf8_next(t.bytes + i, t.n - i, &c);
        const char *instead = c < 0 ? NULL : escape(c, quote, json, ascii, out);
        if (!instead) continue;
        builder_add(m, b, text_part(t, done, i));
        builder_put_as(m, b, instead, strlen(instead), text_mark(t, i));
        done = i + k;
    }
    builder_add(m, b, text_part(t, done, t.n));
    builder_put(m, b, mark);
}

static void put_repr(machine *m, text_builder *b, value v);

static void put_list(machine *m, text_builder *b, const value_list *l)
{
    builder_put(m, b, l->tuple ? "(" : "[");
    for (size_t i = 0; i < l->n && !machine_failed(m); i++) {
        if (i) builder_put(m, b, ", ");
        put_repr(m, b, l->at[i]);
    }
    builder_put(m, b, !l->tuple ? "]" : l->n == 1 ? ",)" : ")");
}

static void put_dict(machine *m, text_builder *b, const value_dict *d)
{
    builder_put(m, b, d->namespace ? "<Namespace {" : "{");
    for (size_t i = 0; i < d->n && !machine_failed(m); i++) {
        if (i) builder_put(m, b, ", ");
        put_repr(m, b, d->at[i].key);
        builder_put(m, b, ": ");
        put_repr(m, b, d->at[i].value);
    }
    builder_put(m, b, d->namespace ? "}>" : "}");
}

static void put_string(machine *m, text_builder *b, value v)
{
    switch (v.kind) {
    case V_UNDEFINED: break;
    case V_NONE: builder_put(m, b, "None"); break;
    case V_BOOL: builder_put(m, b, v.yes ? "True" : "False"); break;
    case V_INT: case V_REAL: put_number(m, b, v, false); break;
    case V_TEXT: builder_add(m, b, v.text); break;
    case V_LIST: put_list(m, b, v.list); break;
    case V_DICT: put_dict(m, b, v.dict); break;
    default: machine_fail(m, "%s cannot be written", value_kind_name(v));
    }
}

static void put_repr(machine *m, text_builder *b, value v)
{
    if (!machine_enter(m)) return;
    if (v.kind == V_UNDEFINED) builder_put(m, b, "Undefined");
    else if (v.kind != V_TEXT) put_string(m, b, v);
    else put_quoted(m, b, v.text, memchr(v.text.bytes, '\'', v.text.n) && !memchr(v.text.bytes, '"', v.text.n) ? '"' : '\'', false, false);
    machine_leave(m);
}

marked_text value_string(machine *m, value v)
{
    if (v.kind == V_TEXT) return v.text;
    text_builder b = { 0 };
    put_string(m, &b, v);
    return builder_text(&b);
}

/* ---- JSON ------------------------------------------------------------------------------------- */

typedef struct { machine *m; text_builder b; json_style style; int level; } json_writer;

static void put_json(json_writer *w, value v);

static void new_line(json_writer *w)
{
    if (w->style.indent < 0) return;
    builder_put(w->m, &w->b, "\n");
    for (int64_t i = (int64_t)w->level * w->style.indent; i > 0 && !machine_failed(w->m); i--) builder_put(w->m, &w->b, " ");
}

static void between(json_writer *w, size_t i)
{
    if (i) builder_put(w->m, &w->b, w->style.item);
    new_line(w);
}

static void put_json_list(json_writer *w, const value_list *l)
{
    builder_put(w->m, &w->b, "[");
    w->level++;
    for (size_t i = 0; i < l->n && !machine_failed(w->m); i++) {
        between(w, i);
        put_json(w, l->at[i]);
    }
    w->level--;
    if (l->n) new_line(w);
    builder_put(w->m, &w->b, "]");
}

static void put_key(json_writer *w, value key)
{
    value text = key.kind == V_TEXT ? key : key.kind == V_BOOL ? value_text(plain_text(key.yes ? "true" : "false"))
               : key.kind == V_NONE ? value_text(plain_text("null")) : value_text(value_string(w->m, key));
    put_quoted(w->m, &w->b, text.text, '"', true, w->style.ascii);
    builder_put(w->m, &w->b, w->style.key);
}

/* The position of the next key in order after `last` (NULL: the first). */
static const dict_entry *next_in_order(json_writer *w, const value_dict *d, const dict_entry *last)
{
    const dict_entry *best = NULL;
    for (size_t i = 0; i < d->n && machine_spend(w->m, 0); i++)
        if ((!last || value_order(w->m, d->at[i].key, last->key) > 0) && (!best || value_order(w->m, d->at[i].key, best->key) < 0)) best = &d->at[i];
    return best;
}

static void put_json_dict(json_writer *w, const value_dict *d)
{
    const dict_entry *sorted = NULL;
    builder_put(w->m, &w->b, "{");
    w->level++;
    for (size_t i = 0; i < d->n && !machine_failed(w->m); i++) {
        const dict_entry *e = w->style.sorted ? (sorted = next_in_order(w, d, sorted)) : &d->at[i];
        if (!e) break;
        between(w, i);
        put_key(w, e->key);
        put_json(w, e->value);
    }
    w->level--;
    if (d->n) new_line(w);
    builder_put(w->m, &w->b, "}");
}

static void put_json(json_writer *w, value v)
{
    if (!machine_enter(w->m)) return;
    switch (v.kind) {
    case V_NONE: builder_put(w->m, &w->b, "null"); break;
    case V_BOOL: builder_put(w->m, &w->b, v.yes ? "true" : "false"); break;
    case V_INT: case V_REAL: put_number(w->m, &w->b, v, true); break;
    case V_TEXT: put_quoted(w->m, &w->b, v.text, '"', true, w->style.ascii); break;
    case V_LIST: put_json_list(w, v.list); break;
    case V_DICT: if (!v.dict->namespace) { put_json_dict(w, v.dict); break; }  /* fall through */
    default:
        if (v.kind == V_UNDEFINED) machine_fail(w->m, "tojson: '%s' is undefined", v.name);
        else machine_fail(w->m, "tojson: %s is no JSON", value_kind_name(v));
    }
    machine_leave(w->m);
}

marked_text value_json(machine *m, value v, json_style style)
{
    json_writer w = { .m = m, .style = style };
    put_json(&w, v);
    return builder_text(&w.b);
}
