/* The methods of Python's texts, lists and dictionaries that templates call, what a loop knows of itself, and the
 * functions of Jinja and transformers. */
#include "text/jinja_tree.h"
#include "base/utf8.h"
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { RANGE_LIMIT = 100000, FORMAT_LIMIT = 100 };      /* the first as in Jinja's sandbox */

typedef value method(machine *m, value self, const arguments *a);

/* ---- texts -------------------------------------------------------------------------------------- */

/* The characters of `set` are white space where none is given. */
static bool in_set(machine *m, value set, int32_t c, marked_text character)
{
    if (set.kind == V_NONE) return space_of_python(c);
    return set.kind == V_TEXT && text_find(m, set.text, character, 0) != SIZE_MAX;
}

static value stripped(machine *m, value self, const arguments *a, bool left, bool right)
{
    value set = argument(a, 0, "chars", value_none());
    marked_text t = self.text;
    size_t from = 0, to = t.n;
    int32_t c;
    if (set.kind != V_NONE && set.kind != V_TEXT) return machine_fail(m, "strip takes a text, not %s", value_kind_name(set));
    while (left && from < to && !machine_failed(m)) {
        size_t k = (size_t)utf8_next(t.bytes + from, to - from, &c);
        if (!in_set(m, set, c, text_part(t, from, from + k))) break;
        from += k;
    }
    while (right && to > from && !machine_failed(m)) {
        size_t k = 1;
        while (k < 4 && k < to - from && utf8_tail((unsigned char)t.bytes[to - k])) k++;
        utf8_next(t.bytes + to - k, k, &c);
        if (!in_set(m, set, c, text_part(t, to - k, to))) break;
        to -= k;
    }
    return value_text(text_part(t, from, to));
}
static value m_strip(machine *m, value self, const arguments *a) { return stripped(m, self, a, true, true); }
static value m_lstrip(machine *m, value self, const arguments *a) { return stripped(m, self, a, true, false); }
static value m_rstrip(machine *m, value self, const arguments *a) { return stripped(m, self, a, false, true); }

/* Each letter in the case that `how` says: 'u' upper, 'l' lower, 'c' upper at the start, 't' upper after what is no
 * letter. */
static value recased(machine *m, value self, char how)
{
    marked_text t = self.text;
    text_builder b = { 0 };
    bool first = true;
    for (size_t i = 0, k; i < t.n && !machine_failed(m); i += k) {
        int32_t c;
        char out[4];
        k = (size_t)utf8_next(t.bytes + i, t.n - i, &c);
        if (c < 0) { builder_add(m, &b, text_part(t, i, i + k)); continue; }
        bool upper = how == 'u' || (first && how != 'l');
        builder_put_as(m, &b, out, (size_t)utf8_put(upper ? utf8proc_toupper(c) : utf8proc_tolower(c), out), text_mark(t, i));
        first = how == 't' && utf8_class(c) != CLASS_LETTER;
    }
    return value_text(builder_text(&b));
}
static value m_upper(machine *m, value self, const arguments *a) { (void)a; return recased(m, self, 'u'); }
static value m_lower(machine *m, value self, const arguments *a) { (void)a; return recased(m, self, 'l'); }
static value m_capitalize(machine *m, value self, const arguments *a) { (void)a; return recased(m, self, 'c'); }
static value m_title(machine *m, value self, const arguments *a) { (void)a; return recased(m, self, 't'); }

/* Every character, or none of them, between the parts of a replacement of the empty text. */
static value spread(machine *m, marked_text t, marked_text with, int64_t count)
{
    text_builder b = { 0 };
    for (size_t i = 0, k; i <= t.n && !machine_failed(m); i += k) {
        int32_t c;
        if (count-- > 0) builder_add(m, &b, with);
        if (i == t.n) break;
        k = (size_t)utf8_next(t.bytes + i, t.n - i, &c);
        builder_add(m, &b, text_part(t, i, i + k));
    }
    return value_text(builder_text(&b));
}

static value m_replace(machine *m, value self, const arguments *a)
{
    marked_text t = self.text, what = argument_text(m, a, 0, "old", NULL), with = argument_text(m, a, 1, "new", NULL);
    text_builder b = { 0 };
    int64_t count;
    if (!argument_int(m, a, 2, "count", -1, &count)) return self;
    if (count < 0) count = INT64_MAX;
    if (!what.n) return machine_failed(m) ? self : spread(m, t, with, count);
    size_t done = 0;
    for (size_t at; count > 0 && (at = text_find(m, t, what, done)) != SIZE_MAX; count--) {
        builder_add(m, &b, text_part(t, done, at));
        builder_add(m, &b, with);
        done = at + what.n;
    }
    builder_add(m, &b, text_part(t, done, t.n));
    return value_text(builder_text(&b));
}

/* Words between white space; after `count` of them the rest is one. */
static value words_of(machine *m, marked_text t, int64_t count)
{
    value out = value_list_new(m, 0);
    size_t i = text_spaces(t);
    while (i < t.n && !machine_failed(m)) {
        size_t end = i;
        int32_t c;
        if (count-- == 0) { list_add(m, out.list, value_text(text_part(t, i, t.n))); break; }
        while (end < t.n) {
            size_t k = (size_t)utf8_next(t.bytes + end, t.n - end, &c);
            if (space_of_python(c)) break;
            end += k;
        }
        list_add(m, out.list, value_text(text_part(t, i, end)));
        i = end + text_spaces(text_part(t, end, t.n));
    }
    return out;
}

static value m_split(machine *m, value self, const arguments *a)
{
    marked_text t = self.text;
    int64_t count;
    if (!argument_int(m, a, 1, "maxsplit", -1, &count)) return self;
    if (argument(a, 0, "sep", value_none()).kind == V_NONE) return words_of(m, t, count);
    marked_text by = argument_text(m, a, 0, "sep", NULL);
    if (!by.n) return machine_fail(m, "split: the separator is empty");
    value out = value_list_new(m, 0);
    size_t done = 0;
    for (size_t at; count-- != 0 && (at = text_find(m, t, by, done)) != SIZE_MAX; done = at + by.n)
        list_add(m, out.list, value_text(text_part(t, done, at)));
    if (!machine_failed(m)) list_add(m, out.list, value_text(text_part(t, done, t.n)));
    return out;
}

/* The last place of `what` that ends at `end` or before it. */
static size_t find_last(machine *m, marked_text t, marked_text what, size_t end)
{
    if (!machine_spend(m, end) || what.n > end) return SIZE_MAX;
    for (size_t i = end - what.n + 1; i > 0; i--)
        if (!memcmp(t.bytes + i - 1, what.bytes, what.n)) return machine_spend(m, (end - i) * (what.n < 16 ? 1 : what.n / 16)) ? i - 1 : SIZE_MAX;
    return SIZE_MAX;
}

static value m_rsplit(machine *m, value self, const arguments *a)
{
    marked_text t = self.text, by = argument_text(m, a, 0, "sep", NULL);
    int64_t count;
    if (!argument_int(m, a, 1, "maxsplit", -1, &count)) return self;
    if (!by.n) return machine_fail(m, "rsplit: the separator is empty");
    value back = value_list_new(m, 0);
    size_t end = t.n;
    for (size_t at; count-- != 0 && (at = find_last(m, t, by, end)) != SIZE_MAX; end = at)
        list_add(m, back.list, value_text(text_part(t, at + by.n, end)));
    if (!machine_failed(m)) list_add(m, back.list, value_text(text_part(t, 0, end)));
    return machine_failed(m) ? back : apply_filter(m, "reverse", back, &(arguments){ 0 });
}

static value m_splitlines(machine *m, value self, const arguments *a)
{
    marked_text t = self.text;
    value out = value_list_new(m, 0);
    bool keep = value_true(argument(a, 0, "keepends", value_bool(false)));
    for (size_t i = 0, end; i < t.n && !machine_failed(m); ) {
        for (end = i; end < t.n && t.bytes[end] != '\n' && t.bytes[end] != '\r'; ) end++;
        size_t next = end + (end < t.n) + (end + 1 < t.n && t.bytes[end] == '\r' && t.bytes[end + 1] == '\n');
        list_add(m, out.list, value_text(text_part(t, i, keep ? next : end)));
        i = next;
    }
    return out;
}

static bool has_affix(machine *m, marked_text t, value affix, bool end)
{
    if (affix.kind == V_TEXT)
        return affix.text.n <= t.n && machine_spend(m, affix.text.n) && !memcmp(t.bytes + (end ? t.n - affix.text.n : 0), affix.text.bytes, affix.text.n);
    if (affix.kind != V_LIST) machine_fail(m, "%s takes a text, not %s", end ? "endswith" : "startswith", value_kind_name(affix));
    for (size_t i = 0; affix.kind == V_LIST && i < affix.list->n; i++)
        if (affix.list->at[i].kind == V_TEXT && has_affix(m, t, affix.list->at[i], end)) return true;
    return false;
}
static value m_startswith(machine *m, value self, const arguments *a) { return value_bool(has_affix(m, self.text, argument(a, 0, "prefix", value_none()), false)); }
static value m_endswith(machine *m, value self, const arguments *a) { return value_bool(has_affix(m, self.text, argument(a, 0, "suffix", value_none()), true)); }

static value m_removeprefix(machine *m, value self, const arguments *a)
{
    marked_text affix = argument_text(m, a, 0, "prefix", NULL);
    return has_affix(m, self.text, value_text(affix), false) ? value_text(text_part(self.text, affix.n, self.text.n)) : self;
}
static value m_removesuffix(machine *m, value self, const arguments *a)
{
    marked_text affix = argument_text(m, a, 0, "suffix", NULL);
    return has_affix(m, self.text, value_text(affix), true) ? value_text(text_part(self.text, 0, self.text.n - affix.n)) : self;
}

/* The position in characters of byte `at`. */
static int64_t position(machine *m, marked_text t, size_t at)
{
    return at == SIZE_MAX || machine_failed(m) ? -1 : value_length(m, value_text(text_part(t, 0, at)));
}
static value m_find(machine *m, value self, const arguments *a)
{
    return value_int(position(m, self.text, text_find(m, self.text, argument_text(m, a, 0, "sub", NULL), 0)));
}
static value m_rfind(machine *m, value self, const arguments *a)
{
    return value_int(position(m, self.text, find_last(m, self.text, argument_text(m, a, 0, "sub", NULL), self.text.n)));
}

static value m_index(machine *m, value self, const arguments *a)
{
    value what = argument(a, 0, "value", value_none());
    int64_t at = -1;
    if (self.kind == V_TEXT) at = m_find(m, self, a).whole;
    for (size_t i = 0; self.kind == V_LIST && at < 0 && i < self.list->n && machine_spend(m, 0); i++)
        if (value_equal(m, self.list->at[i], what)) at = (int64_t)i;
    return at < 0 ? machine_fail(m, "index: the value is not there") : value_int(at);
}

static value m_count(machine *m, value self, const arguments *a)
{
    value what = argument(a, 0, "value", value_none());
    int64_t n = 0;
    for (size_t i = 0; self.kind == V_LIST && i < self.list->n && machine_spend(m, 0); i++) n += value_equal(m, self.list->at[i], what);
    if (self.kind != V_TEXT) return value_int(n);
    marked_text part = argument_text(m, a, 0, "sub", NULL);
    if (!part.n) return value_int(value_length(m, self) + 1);
    for (size_t at = 0; (at = text_find(m, self.text, part, at)) != SIZE_MAX; at += part.n) n++;
    return value_int(n);
}

static value m_join(machine *m, value self, const arguments *a)
{
    const value_list *l = value_elements(m, argument(a, 0, "iterable", value_none()));
    text_builder b = { 0 };
    for (size_t i = 0; l && i < l->n && !machine_failed(m); i++) {
        if (i) builder_add(m, &b, self.text);
        if (l->at[i].kind != V_TEXT) return machine_fail(m, "join: element %zu is %s, expected a text", i, value_kind_name(l->at[i]));
        builder_add(m, &b, l->at[i].text);
    }
    return value_text(builder_text(&b));
}

/* Whether there are characters, and each is of the kind: 'd' digits, 'a' letters, 'n' both, 's' white space. */
static value all_of(machine *m, value self, char kind)
{
    bool all = self.text.n > 0 && machine_spend(m, self.text.n);
    int32_t c;
    for (size_t i = 0; all && i < self.text.n; ) {
        i += (size_t)utf8_next(self.text.bytes + i, self.text.n - i, &c);
        bool digit = utf8_class(c) == CLASS_NUMBER && (kind == 'n' || utf8proc_category(c) == UTF8PROC_CATEGORY_ND), letter = utf8_class(c) == CLASS_LETTER;
        all = kind == 'd' ? digit : kind == 'a' ? letter : kind == 'n' ? digit || letter : space_of_python(c);
    }
    return value_bool(all);
}
static value m_isdigit(machine *m, value self, const arguments *a) { (void)a; return all_of(m, self, 'd'); }
static value m_isalpha(machine *m, value self, const arguments *a) { (void)a; return all_of(m, self, 'a'); }
static value m_isalnum(machine *m, value self, const arguments *a) { (void)a; return all_of(m, self, 'n'); }
static value m_isspace(machine *m, value self, const arguments *a) { (void)a; return all_of(m, self, 's'); }

/* In one case, and with a letter that has cases. */
static value in_case(machine *m, value self, char how)
{
    value same = recased(m, self, how), other = recased(m, self, how == 'u' ? 'l' : 'u');
    return value_bool(value_equal(m, self, same) && !value_equal(m, self, other));
}
static value m_isupper(machine *m, value self, const arguments *a) { (void)a; return in_case(m, self, 'u'); }
static value m_islower(machine *m, value self, const arguments *a) { (void)a; return in_case(m, self, 'l'); }

/* ---- dictionaries ----------------------------------------------------------------------------------- */

static value m_get(machine *m, value self, const arguments *a)
{
    const value *v = dict_get(m, self.dict, argument(a, 0, "key", value_none()));
    return v ? *v : argument(a, 1, "default", value_none());
}

static value m_keys(machine *m, value self, const arguments *a)
{
    value out = value_list_new(m, 0);
    (void)a;
    for (size_t i = 0; i < self.dict->n && !machine_failed(m); i++) list_add(m, out.list, self.dict->at[i].key);
    return out;
}

static value m_values(machine *m, value self, const arguments *a)
{
    value out = value_list_new(m, 0);
    (void)a;
    for (size_t i = 0; i < self.dict->n && !machine_failed(m); i++) list_add(m, out.list, self.dict->at[i].value);
    return out;
}

static value m_items(machine *m, value self, const arguments *a)
{
    value out = value_list_new(m, 0);
    (void)a;
    for (size_t i = 0; i < self.dict->n && !machine_failed(m); i++) {
        value pair = value_list_new(m, 2);
        if (machine_failed(m)) break;
        pair.list->tuple = true;
        list_add(m, pair.list, self.dict->at[i].key);
        list_add(m, pair.list, self.dict->at[i].value);
        list_add(m, out.list, pair);
    }
    return out;
}

/* ---- loops ---------------------------------------------------------------------------------------------- */

static value m_cycle(machine *m, value self, const arguments *a)
{
    return a->n ? a->at[self.loop->i % a->n] : machine_fail(m, "loop.cycle takes at least one value");
}

static value m_changed(machine *m, value self, const arguments *a)
{
    loop *l = self.loop;
    value now = value_list_new(m, a->n);
    for (size_t i = 0; i < a->n && !machine_failed(m); i++) list_add(m, now.list, a->at[i]);
    bool changed = !l->asked || !value_equal(m, now, l->last_changed);
    l->asked = true;
    l->last_changed = now;
    return value_bool(changed);
}

value loop_field(machine *m, const loop *l, const char *name)
{
    const int64_t i = (int64_t)l->i, n = (int64_t)l->items->n;
    if (!strcmp(name, "index")) return value_int(i + 1);
    if (!strcmp(name, "index0")) return value_int(i);
    if (!strcmp(name, "revindex")) return value_int(n - i);
    if (!strcmp(name, "revindex0")) return value_int(n - i - 1);
    if (!strcmp(name, "first")) return value_bool(i == 0);
    if (!strcmp(name, "last")) return value_bool(i == n - 1);
    if (!strcmp(name, "length")) return value_int(n);
    if (!strcmp(name, "depth")) return value_int(1);             /* of recursive loops, which are refused */
    if (!strcmp(name, "depth0")) return value_int(0);
    if (!strcmp(name, "previtem")) return i > 0 ? l->items->at[i - 1] : value_undefined("loop.previtem");
    if (!strcmp(name, "nextitem")) return i + 1 < n ? l->items->at[i + 1] : value_undefined("loop.nextitem");
    function *f = machine_take(m, 1, sizeof *f);
    if (!f) return value_undefined(name);
    *f = (function){ .name = name, .self = { V_LOOP, .loop = (loop *)(uintptr_t)l } };
    return has_method(f->self, name) ? (value){ V_FUNCTION, .function = f } : value_undefined(name);
}

/* ---- the table --------------------------------------------------------------------------------------------- */

static const struct { value_kind of; const char *name; method *call; } methods[] = {
    { V_TEXT, "strip", m_strip }, { V_TEXT, "lstrip", m_lstrip }, { V_TEXT, "rstrip", m_rstrip }, { V_TEXT, "upper", m_upper }, { V_TEXT, "lower", m_lower },
    { V_TEXT, "capitalize", m_capitalize }, { V_TEXT, "title", m_title }, { V_TEXT, "replace", m_replace }, { V_TEXT, "split", m_split },
    { V_TEXT, "rsplit", m_rsplit }, { V_TEXT, "splitlines", m_splitlines }, { V_TEXT, "startswith", m_startswith }, { V_TEXT, "endswith", m_endswith },
    { V_TEXT, "removeprefix", m_removeprefix }, { V_TEXT, "removesuffix", m_removesuffix }, { V_TEXT, "find", m_find }, { V_TEXT, "rfind", m_rfind },
    { V_TEXT, "index", m_index }, { V_TEXT, "count", m_count }, { V_TEXT, "join", m_join }, { V_TEXT, "isdigit", m_isdigit }, { V_TEXT, "isalpha", m_isalpha },
    { V_TEXT, "isalnum", m_isalnum }, { V_TEXT, "isspace", m_isspace }, { V_TEXT, "isupper", m_isupper }, { V_TEXT, "islower", m_islower },
    { V_DICT, "get", m_get }, { V_DICT, "keys", m_keys }, { V_DICT, "values", m_values }, { V_DICT, "items", m_items },
    { V_LIST, "index", m_index }, { V_LIST, "count", m_count }, { V_LOOP, "cycle", m_cycle }, { V_LOOP, "changed", m_changed },
};
enum { METHODS = sizeof methods / sizeof *methods };

static method *find_method(value v, const char *name)
{
    for (size_t i = 0; i < METHODS; i++)
        if (methods[i].of == v.kind && !strcmp(methods[i].name, name)) return v.kind == V_DICT && v.dict->namespace ? NULL : methods[i].call;
    return NULL;
}

bool has_method(value v, const char *name) { return find_method(v, name) != NULL; }

bool known_method(const char *name)
{
    for (size_t i = 0; i < METHODS; i++) if (!strcmp(methods[i].name, name)) return true;
    return false;
}

value call_method(machine *m, value self, const char *name, const arguments *a)
{
    method *call = find_method(self, name);
    return call && machine_spend(m, 0) ? call(m, self, a) : self;
}

/* ---- functions --------------------------------------------------------------------------------------------- */

static value range_of(machine *m, const arguments *a)
{
    int64_t from = 0, to, step = 1;
    value out = value_list_new(m, 0);
    if (a->n < 1 || a->n > 3) return machine_fail(m, "range takes 1 to 3 numbers");
    if (a->n > 1 && !argument_int(m, a, 0, "start", 0, &from)) return out;
    if (!argument_int(m, a, a->n > 1, "stop", 0, &to) || !argument_int(m, a, 2, "step", 1, &step)) return out;
    if (!step) return machine_fail(m, "range: the step is 0");
    double count = step > 0 ? ((double)to - (double)from) / (double)step : ((double)from - (double)to) / -(double)step;
    if (count > RANGE_LIMIT) return machine_fail(m, "a range of %.0f numbers is too long, at most %d are accepted", count, RANGE_LIMIT);
    for (int64_t i = from; !machine_failed(m) && (step > 0 ? i < to : i > to); )
        if (!list_add(m, out.list, value_int(i)) || __builtin_add_overflow(i, step, &i)) break;
    return out;
}

static value dict_of(machine *m, const arguments *a, bool namespace)
{
    value out = value_dict_new(m);
    if (machine_failed(m)) return out;
    out.dict->namespace = namespace;
    for (size_t i = 0; i < a->n; i++) {
        if (a->at[i].kind != V_DICT) return machine_fail(m, "%s is no dictionary", value_kind_name(a->at[i]));
        for (size_t k = 0; k < a->at[i].dict->n && !machine_failed(m); k++) dict_put(m, out.dict, a->at[i].dict->at[k].key, a->at[i].dict->at[k].value);
    }
    for (size_t i = 0; i < a->n_named && !machine_failed(m); i++) dict_put(m, out.dict, value_text(plain_text(a->named[i].name)), a->named[i].value);
    return out;
}

static value f_range(machine *m, const arguments *a) { return range_of(m, a); }
static value f_namespace(machine *m, const arguments *a) { return dict_of(m, a, true); }
static value f_dict(machine *m, const arguments *a) { return dict_of(m, a, false); }

static value f_raise(machine *m, const arguments *a)
{
    marked_text t = value_string(m, argument(a, 0, "message", value_none()));
    return machine_fail(m, "%.*s", t.n < 300 ? (int)t.n : 300, t.bytes);
}

static value f_strftime(machine *m, const arguments *a)
{
    char format[FORMAT_LIMIT + 1], out[8 * FORMAT_LIMIT];
    marked_text t = argument_text(m, a, 0, "format", NULL);
    time_t now = (time_t)m->now;
    struct tm parts;
    if (t.n > FORMAT_LIMIT) return machine_fail(m, "strftime_now: a format of %zu bytes is too long", t.n);
    memcpy(format, t.bytes, t.n);
    format[t.n] = 0;
    size_t n = localtime_r(&now, &parts) ? strftime(out, sizeof out, format, &parts) : 0;
    text_builder b = { 0 };
    builder_put_as(m, &b, out, n, 0);
    return value_text(builder_text(&b));
}

static const struct { const char *name; value (*call)(machine *m, const arguments *a); } functions[] = {
    { "range", f_range }, { "namespace", f_namespace }, { "dict", f_dict }, { "raise_exception", f_raise }, { "strftime_now", f_strftime },
};
enum { FUNCTIONS = sizeof functions / sizeof *functions };

static size_t function_index(const char *name) { return index_of_name(functions, sizeof *functions, FUNCTIONS, name); }
bool  known_function(const char *name) { return function_index(name) < FUNCTIONS; }
value call_function(machine *m, const char *name, const arguments *a) { return machine_spend(m, 0) ? functions[function_index(name)].call(m, a) : value_none(); }
