/* The filters and tests of Jinja, each a row of a table. */
#include "text/jinja_tree.h"
#include "base/utf8.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- arguments ------------------------------------------------------------------------------ */

value argument(const arguments *a, size_t i, const char *name, value otherwise)
{
    if (i < a->n) return a->at[i];
    for (size_t k = 0; k < a->n_named; k++)
        if (!strcmp(a->named[k].name, name)) return a->named[k].value;
    return otherwise;
}

bool argument_int(machine *m, const arguments *a, size_t i, const char *name, int64_t otherwise, int64_t *out)
{
    value v = argument(a, i, name, value_none());
    *out = otherwise;
    if (v.kind == V_NONE || value_whole(v, out)) return true;
    machine_fail(m, "'%s' is %s, expected a whole number", name, value_kind_name(v));
    return false;
}

marked_text argument_text(machine *m, const arguments *a, size_t i, const char *name, const char *otherwise)
{
    value v = argument(a, i, name, value_none());
    if (v.kind == V_TEXT) return v.text;
    if (v.kind != V_NONE || !otherwise) machine_fail(m, "'%s' is %s, expected a text", name, value_kind_name(v));
    return plain_text(otherwise ? otherwise : "");
}

/* What a list without its first elements is. */
static arguments after(const arguments *a, size_t n)
{
    arguments rest = *a;
    if (n > a->n) n = a->n;
    if (n) rest.at += n;                        /* at is NULL when there are none */
    rest.n -= n;
    return rest;
}

/* The value that a path of names and positions, a.b.0, leads to. */
static value follow(machine *m, value v, marked_text path)
{
    for (size_t i = 0, end; i <= path.n && !machine_failed(m); i = end + 1) {
        const char *dot = memchr(path.bytes + i, '.', path.n - i);
        end = dot ? (size_t)(dot - path.bytes) : path.n;
        bool digits = end > i && end - i < 10;
        int64_t position = 0;
        for (size_t k = i; k < end && digits; k++) {
            digits = path.bytes[k] >= '0' && path.bytes[k] <= '9';
            position = 10 * position + path.bytes[k] - '0';
        }
        v = get_item(m, v, digits ? value_int(position) : value_text(text_part(path, i, end)));
    }
    return v;
}

static value attribute(machine *m, value v, value path)
{
    if (path.kind == V_NONE) return v;
    return path.kind == V_TEXT ? follow(m, v, path.text) : get_item(m, v, path);
}

/* ---- texts ------------------------------------------------------------------------------------ */

static value by_method(machine *m, value v, const char *name, const arguments *a) { return call_method(m, value_text(value_string(m, v)), name, a); }

static value f_upper(machine *m, value v, const arguments *a) { return by_method(m, v, "upper", a); }
static value f_lower(machine *m, value v, const arguments *a) { return by_method(m, v, "lower", a); }
static value f_capitalize(machine *m, value v, const arguments *a) { return by_method(m, v, "capitalize", a); }
static value f_trim(machine *m, value v, const arguments *a) { return by_method(m, v, "strip", a); }
static value f_replace(machine *m, value v, const arguments *a) { return by_method(m, v, "replace", a); }

/* A capital letter after white space, a hyphen or an opening bracket, small letters elsewhere. */
static value f_title(machine *m, value v, const arguments *a)
{
    (void)a;
    marked_text t = value_string(m, v);
    text_builder b = { 0 };
    bool first = true;
    for (size_t i = 0, k; i < t.n && !machine_failed(m); i += k) {
        int32_t c;
        char out[4];
        k = (size_t)utf8_next(t.bytes + i, t.n - i, &c);
        if (c < 0) { builder_add(m, &b, text_part(t, i, i + k)); continue; }
        builder_put_as(m, &b, out, (size_t)utf8_put(first ? utf8proc_toupper(c) : utf8proc_tolower(c), out), text_mark(t, i));
        first = space_of_python(c) || (c < 128 && strchr("-({[<", c));
    }
    return value_text(builder_text(&b));
}

static value f_string(machine *m, value v, const arguments *a) { (void)a; return value_text(value_string(m, v)); }
static value f_safe(machine *m, value v, const arguments *a) { (void)m; (void)a; return v; }

/* Blanks before each line but the first; lines end with line feeds afterwards. */
static value f_indent(machine *m, value v, const arguments *a)
{
    value width = argument(a, 0, "width", value_int(4));
    bool first = value_true(argument(a, 1, "first", value_bool(false))), blank = value_true(argument(a, 2, "blank", value_bool(false)));
    marked_text t = value_string(m, v), by = width.kind == V_TEXT ? width.text : plain_text(" ");
    int64_t times = 1;
    if (width.kind != V_TEXT && !value_whole(width, &times)) return machine_fail(m, "indent: the width is %s", value_kind_name(width));
    text_builder b = { 0 };
    for (size_t i = 0, end, next; i < t.n && !machine_failed(m); i = next) {
        for (end = i; end < t.n && t.bytes[end] != '\n' && t.bytes[end] != '\r'; ) end++;
        next = end + 1 + (end + 1 < t.n && t.bytes[end] == '\r' && t.bytes[end + 1] == '\n');
        if (i ? blank || end > i : first) for (int64_t k = 0; k < times && !machine_failed(m); k++) builder_add(m, &b, by);
        builder_add(m, &b, text_part(t, i, end));
        if (end < t.n) builder_put(m, &b, "\n");
    }
    return value_text(builder_text(&b));
}

static value f_join(machine *m, value v, const arguments *a)
{
    marked_text between = argument_text(m, a, 0, "d", "");
    value path = argument(a, 1, "attribute", value_none());
    const value_list *l = value_elements(m, v);
    text_builder b = { 0 };
    for (size_t i = 0; l && i < l->n && !machine_failed(m); i++) {
        if (i) builder_add(m, &b, between);
        builder_add(m, &b, value_string(m, attribute(m, l->at[i], path)));
    }
    return value_text(builder_text(&b));
}

static value f_tojson(machine *m, value v, const arguments *a)
{
    value pair = argument(a, 2, "separators", value_none());
    int64_t indent;
    argument_int(m, a, 1, "indent", -1, &indent);
    json_style style = { .indent = indent > 80 ? 80 : (int)indent, .item = indent < 0 ? ", " : ",", .key = ": ",
                         .ascii = value_true(argument(a, 0, "ensure_ascii", value_bool(false))), .sorted = value_true(argument(a, 3, "sort_keys", value_bool(false))) };
    char *copy[2] = { NULL };
    for (size_t i = 0; pair.kind == V_LIST && pair.list->n == 2 && i < 2 && pair.list->at[i].kind == V_TEXT; i++) {
        const marked_text t = pair.list->at[i].text;
        if ((copy[i] = machine_take(m, t.n + 1, 1))) memcpy(copy[i], t.bytes, t.n);
    }
    if (copy[0] && copy[1]) { style.item = copy[0]; style.key = copy[1]; }
    return value_text(value_json(m, v, style));
}

/* ---- numbers -------------------------------------------------------------------------------------- */

/* The number that a text is from end to end. */
static bool read_number(marked_text t, double *x, int64_t *n, bool *whole)
{
    char copy[64], *end;
    size_t from = text_spaces(t), to = text_end(t);
    if (from >= to || to - from >= sizeof copy) return false;
    memcpy(copy, t.bytes + from, to - from);
    copy[to - from] = 0;
    if (strpbrk(copy, "xXpP")) return false;
    *n = strtoll(copy, &end, 10);
    *whole = !*end && to - from < 19;
    *x = strtod(copy, &end);
    return !*end;
}

static value f_int(machine *m, value v, const arguments *a)
{
    double x = 0;
    int64_t n;
    bool whole = false;
    (void)m;
    if (value_whole(v, &n)) return value_int(n);
    if (v.kind == V_TEXT && !read_number(v.text, &x, &n, &whole)) return argument(a, 0, "default", value_int(0));
    if (whole) return value_int(n);
    if (v.kind == V_REAL) x = v.real;
    else if (v.kind != V_TEXT) return argument(a, 0, "default", value_int(0));
    return x > -9e18 && x < 9e18 ? value_int((int64_t)x) : argument(a, 0, "default", value_int(0));
}

static value f_float(machine *m, value v, const arguments *a)
{
    double x;
    int64_t n;
    bool whole;
    (void)m;
    if (value_is_number(v)) return value_real(value_number(v));
    return v.kind == V_TEXT && read_number(v.text, &x, &n, &whole) ? value_real(x) : argument(a, 0, "default", value_real(0));
}

static value f_abs(machine *m, value v, const arguments *a)
{
    int64_t n;
    (void)a;
    if (value_whole(v, &n)) return n == INT64_MIN ? machine_fail(m, "a whole number is too large") : value_int(n < 0 ? -n : n);
    return v.kind == V_REAL ? value_real(fabs(v.real)) : machine_fail(m, "abs: %s is no number", value_kind_name(v));
}

static value f_round(machine *m, value v, const arguments *a)
{
    char text[400];
    int64_t digits;
    marked_text method = argument_text(m, a, 1, "method", "common");
    if (!value_is_number(v)) return machine_fail(m, "round: %s is no number", value_kind_name(v));
    if (!argument_int(m, a, 0, "precision", 0, &digits) || digits < 0 || digits > 20) return machine_fail(m, "round: the precision is 0 to 20");
    if (v.kind == V_INT && text_is(method, "common")) return v;
    double scale = pow(10, (double)digits), x = value_number(v);
    if (text_is(method, "ceil")) return value_real(ceil(x * scale) / scale);
    if (text_is(method, "floor")) return value_real(floor(x * scale) / scale);
    snprintf(text, sizeof text, "%.*f", (int)digits, x);
    return value_real(strtod(text, NULL));
}

/* ---- lists and dictionaries --------------------------------------------------------------------------- */

static value f_length(machine *m, value v, const arguments *a) { (void)a; return value_int(value_length(m, v)); }

static value f_default(machine *m, value v, const arguments *a)
{
    (void)m;
    bool replace = v.kind == V_UNDEFINED || (value_true(argument(a, 1, "boolean", value_bool(false))) && !value_true(v));
    return replace ? argument(a, 0, "default_value", value_text(plain_text(""))) : v;
}

static value at_end(machine *m, value v, bool last)
{
    const value_list *l = value_elements(m, v);
    return l && l->n ? l->at[last ? l->n - 1 : 0] : value_undefined(last ? "the last element of nothing" : "the first element of nothing");
}
static value f_first(machine *m, value v, const arguments *a) { (void)a; return at_end(m, v, false); }
static value f_last(machine *m, value v, const arguments *a) { (void)a; return at_end(m, v, true); }

static value copy_of(machine *m, value v)
{
    const value_list *l = value_elements(m, v);
    value out = value_list_new(m, l ? l->n : 0);
    for (size_t i = 0; l && i < l->n && !machine_failed(m); i++) list_add(m, out.list, l->at[i]);
    return out;
}
static value f_list(machine *m, value v, const arguments *a) { (void)a; return copy_of(m, v); }

static value f_reverse(machine *m, value v, const arguments *a)
{
    const value_list *l = value_elements(m, v);
    text_builder b = { 0 };
    value out = value_list_new(m, 0);
    (void)a;
    for (size_t i = l ? l->n : 0; i > 0 && !machine_failed(m); i--)
        if (v.kind == V_TEXT) builder_add(m, &b, l->at[i - 1].text);
        else list_add(m, out.list, l->at[i - 1]);
    return v.kind == V_TEXT ? value_text(builder_text(&b)) : out;
}

static value f_items(machine *m, value v, const arguments *a)
{
    (void)a;
    if (v.kind == V_UNDEFINED) return value_list_new(m, 0);
    if (v.kind != V_DICT) return machine_fail(m, "items: %s is no dictionary", value_kind_name(v));
    return call_method(m, v, "items", &(arguments){ 0 });
}

/* What is compared: the value at a path, in small letters unless case counts. */
static value sort_key(machine *m, value v, value path, bool exact)
{
    v = attribute(m, v, path);
    return exact || v.kind != V_TEXT ? v : by_method(m, v, "lower", &(arguments){ 0 });
}

/* Merges the sorted halves of keys and values until they are one; equal keys keep their order. */
static void merge_sort(machine *m, dict_entry *at, dict_entry *spare, size_t n, bool reverse)
{
    for (size_t width = 1; width < n && !machine_failed(m); width *= 2) {
        for (size_t from = 0; from < n; from += 2 * width) {
            size_t middle = from + width < n ? from + width : n, end = middle + width < n ? middle + width : n, i = from, j = middle, k = from;
            while (i < middle && j < end && !machine_failed(m)) {
                int order = value_order(m, at[i].key, at[j].key);
                spare[k++] = (reverse ? order >= 0 : order <= 0) ? at[i++] : at[j++];
            }
            while (i < middle) spare[k++] = at[i++];
            while (j < end) spare[k++] = at[j++];
        }
        memcpy(at, spare, n * sizeof *at);
    }
}

static value sorted(machine *m, value v, value path, bool exact, bool reverse)
{
    value out = copy_of(m, v);
    size_t n = machine_failed(m) ? 0 : out.list->n;
    dict_entry *at = n ? machine_take(m, n, sizeof *at) : NULL, *spare = n ? machine_take(m, n, sizeof *at) : NULL;
    if (!at || !spare) return out;
    for (size_t i = 0; i < n; i++) at[i] = (dict_entry){ sort_key(m, out.list->at[i], path, exact), out.list->at[i] };
    merge_sort(m, at, spare, n, reverse);
    for (size_t i = 0; i < n; i++) out.list->at[i] = at[i].value;
    return out;
}

static value f_sort(machine *m, value v, const arguments *a)
{
    return sorted(m, v, argument(a, 2, "attribute", value_none()), value_true(argument(a, 1, "case_sensitive", value_bool(false))),
                  value_true(argument(a, 0, "reverse", value_bool(false))));
}

static value f_dictsort(machine *m, value v, const arguments *a)
{
    bool by_value = text_is(argument_text(m, a, 1, "by", "key"), "value");
    value pairs = f_items(m, v, a);
    return machine_failed(m) ? v : sorted(m, pairs, value_int(by_value), value_true(argument(a, 0, "case_sensitive", value_bool(false))),
                                          value_true(argument(a, 2, "reverse", value_bool(false))));
}

static value extreme(machine *m, value v, const arguments *a, int sign)
{
    const value_list *l = value_elements(m, v);
    bool exact = value_true(argument(a, 0, "case_sensitive", value_bool(false)));
    value path = argument(a, 1, "attribute", value_none()), best = value_undefined("the extreme of nothing"), key = best;
    for (size_t i = 0; l && i < l->n && !machine_failed(m); i++) {
        value other = sort_key(m, l->at[i], path, exact);
        if (!i || sign * value_order(m, other, key) > 0) { best = l->at[i]; key = other; }
    }
    return best;
}
static value f_min(machine *m, value v, const arguments *a) { return extreme(m, v, a, -1); }
static value f_max(machine *m, value v, const arguments *a) { return extreme(m, v, a, 1); }

static value f_sum(machine *m, value v, const arguments *a)
{
    const value_list *l = value_elements(m, v);
    value path = argument(a, 0, "attribute", value_none()), start = argument(a, 1, "start", value_int(0));
    double total = value_number(start);
    bool whole = start.kind != V_REAL;
    for (size_t i = 0; l && i < l->n && !machine_failed(m); i++) {
        value one = attribute(m, l->at[i], path);
        if (!value_is_number(one)) return machine_fail(m, "sum: %s is no number", value_kind_name(one));
        total += value_number(one);
        whole &= one.kind != V_REAL;
    }
    return whole && fabs(total) < 9e15 ? value_int((int64_t)total) : value_real(total);
}

static value f_unique(machine *m, value v, const arguments *a)
{
    const value_list *l = value_elements(m, v);
    value out = value_list_new(m, 0), seen = value_list_new(m, 0), path = argument(a, 1, "attribute", value_none());
    bool exact = value_true(argument(a, 0, "case_sensitive", value_bool(false)));
    for (size_t i = 0; l && i < l->n && !machine_failed(m); i++) {
        value key = sort_key(m, l->at[i], path, exact);
        if (machine_failed(m) || value_contains(m, seen, key)) continue;
        list_add(m, seen.list, key);
        list_add(m, out.list, l->at[i]);
    }
    return out;
}

static value f_attr(machine *m, value v, const arguments *a) { return get_item(m, v, argument(a, 0, "name", value_none())); }

/* A name as a C string, for a filter or a test that is named by a value. */
static const char *name_of(machine *m, value v)
{
    char *copy = v.kind == V_TEXT ? machine_take(m, v.text.n + 1, 1) : NULL;
    if (!copy) { machine_fail(m, "a name of a filter or a test is %s", value_kind_name(v)); return ""; }
    memcpy(copy, v.text.bytes, v.text.n);
    return copy;
}

static value f_map(machine *m, value v, const arguments *a)
{
    const value_list *l = value_elements(m, v);
    value path = argument(a, SIZE_MAX, "attribute", value_none()), otherwise = argument(a, SIZE_MAX, "default", value_undefined(""));
    value out = value_list_new(m, 0);
    const char *name = path.kind == V_NONE ? name_of(m, argument(a, 0, "filter", value_none())) : NULL;
    arguments rest = after(a, 1);
    if (name && !machine_failed(m) && !known_filter(name)) return machine_fail(m, "filter '%.60s' is not known", name);
    for (size_t i = 0; l && i < l->n && !machine_failed(m); i++) {
        value one = name ? apply_filter(m, name, l->at[i], &rest) : attribute(m, l->at[i], path);
        list_add(m, out.list, one.kind == V_UNDEFINED && !name && otherwise.kind != V_UNDEFINED ? otherwise : one);
    }
    return out;
}

/* The elements of which a test says `keep`: the test and its arguments follow the path, if there is one. */
static value selected(machine *m, value v, const arguments *a, bool by_path, bool keep)
{
    const value_list *l = value_elements(m, v);
    value path = by_path ? argument(a, 0, "attribute", value_none()) : value_none(), test = argument(a, by_path, "test", value_none());
    const char *name = test.kind == V_NONE ? NULL : name_of(m, test);
    arguments rest = after(a, by_path ? 2 : 1);
    value out = value_list_new(m, 0);
    if (name && !machine_failed(m) && !known_test(name)) return machine_fail(m, "test '%.60s' is not known", name);
    for (size_t i = 0; l && i < l->n && !machine_failed(m); i++) {
        value one = attribute(m, l->at[i], path);
        if ((name ? apply_test(m, name, one, &rest) : value_true(one)) == keep) list_add(m, out.list, l->at[i]);
    }
    return out;
}
static value f_select(machine *m, value v, const arguments *a) { return selected(m, v, a, false, true); }
static value f_reject(machine *m, value v, const arguments *a) { return selected(m, v, a, false, false); }
static value f_selectattr(machine *m, value v, const arguments *a) { return selected(m, v, a, true, true); }
static value f_rejectattr(machine *m, value v, const arguments *a) { return selected(m, v, a, true, false); }

static const struct { const char *name; value (*apply)(machine *m, value v, const arguments *a); } filters[] = {
    { "abs", f_abs }, { "attr", f_attr }, { "capitalize", f_capitalize }, { "count", f_length }, { "d", f_default }, { "default", f_default },
    { "dictsort", f_dictsort }, { "first", f_first }, { "float", f_float }, { "indent", f_indent }, { "int", f_int }, { "items", f_items },
    { "join", f_join }, { "last", f_last }, { "length", f_length }, { "list", f_list }, { "lower", f_lower }, { "map", f_map }, { "max", f_max },
    { "min", f_min }, { "reject", f_reject }, { "rejectattr", f_rejectattr }, { "replace", f_replace }, { "reverse", f_reverse }, { "round", f_round },
    { "safe", f_safe }, { "select", f_select }, { "selectattr", f_selectattr }, { "sort", f_sort }, { "string", f_string }, { "sum", f_sum },
    { "title", f_title }, { "tojson", f_tojson }, { "trim", f_trim }, { "unique", f_unique }, { "upper", f_upper },
};
enum { FILTERS = sizeof filters / sizeof *filters };

static size_t filter_index(const char *name) { return index_of_name(filters, sizeof *filters, FILTERS, name); }
bool  known_filter(const char *name) { return filter_index(name) < FILTERS; }
value apply_filter(machine *m, const char *name, value v, const arguments *a)
{
    return machine_spend(m, 0) ? filters[filter_index(name)].apply(m, v, a) : v;
}

/* ---- tests --------------------------------------------------------------------------------------------- */

typedef bool tester(machine *m, value v, value other);

static bool t_defined(machine *m, value v, value o) { (void)m; (void)o; return v.kind != V_UNDEFINED; }
static bool t_undefined(machine *m, value v, value o) { (void)m; (void)o; return v.kind == V_UNDEFINED; }
static bool t_none(machine *m, value v, value o) { (void)m; (void)o; return v.kind == V_NONE; }
static bool t_boolean(machine *m, value v, value o) { (void)m; (void)o; return v.kind == V_BOOL; }
static bool t_true(machine *m, value v, value o) { (void)m; (void)o; return v.kind == V_BOOL && v.yes; }
static bool t_false(machine *m, value v, value o) { (void)m; (void)o; return v.kind == V_BOOL && !v.yes; }
static bool t_integer(machine *m, value v, value o) { (void)m; (void)o; return v.kind == V_INT; }
static bool t_float(machine *m, value v, value o) { (void)m; (void)o; return v.kind == V_REAL; }
static bool t_number(machine *m, value v, value o) { (void)m; (void)o; return value_is_number(v); }
static bool t_string(machine *m, value v, value o) { (void)m; (void)o; return v.kind == V_TEXT; }
static bool t_mapping(machine *m, value v, value o) { (void)m; (void)o; return v.kind == V_DICT && !v.dict->namespace; }
static bool t_sequence(machine *m, value v, value o)
{
    (void)m; (void)o;
    return v.kind == V_TEXT || v.kind == V_LIST || v.kind == V_UNDEFINED || (v.kind == V_DICT && !v.dict->namespace);
}
static bool t_callable(machine *m, value v, value o) { (void)m; (void)o; return v.kind == V_FUNCTION; }
static bool t_equal(machine *m, value v, value o) { return value_equal(m, v, o); }
static bool t_unequal(machine *m, value v, value o) { return !value_equal(m, v, o); }
static bool t_less(machine *m, value v, value o) { return value_order(m, v, o) < 0; }
static bool t_less_equal(machine *m, value v, value o) { return value_order(m, v, o) <= 0; }
static bool t_greater(machine *m, value v, value o) { return value_order(m, v, o) > 0; }
static bool t_greater_equal(machine *m, value v, value o) { return value_order(m, v, o) >= 0; }
static bool t_in(machine *m, value v, value o) { return value_contains(m, o, v); }
static bool t_same(machine *m, value v, value o) { return v.kind == o.kind && value_equal(m, v, o); }
static bool t_lower(machine *m, value v, value o)
{
    (void)o;
    return value_equal(m, value_text(value_string(m, v)), by_method(m, v, "lower", &(arguments){ 0 }));
}
static bool t_upper(machine *m, value v, value o)
{
    (void)o;
    return value_equal(m, value_text(value_string(m, v)), by_method(m, v, "upper", &(arguments){ 0 }));
}

/* The remainder of v by n, as Python has it. */
static int64_t remainder_of(machine *m, value v, int64_t n)
{
    int64_t x;
    if (value_whole(v, &x) && n && n != -1) return (x % n + n) % n;
    if (!value_whole(v, &x) || !n) machine_fail(m, "%s is not divided by %lld", value_kind_name(v), (long long)n);
    return 0;
}
static bool t_even(machine *m, value v, value o) { (void)o; return remainder_of(m, v, 2) == 0; }
static bool t_odd(machine *m, value v, value o) { (void)o; return remainder_of(m, v, 2) == 1; }
static bool t_divisible(machine *m, value v, value o)
{
    int64_t n;
    return value_whole(o, &n) && n < INT32_MAX && n > INT32_MIN ? remainder_of(m, v, n) == 0 : (machine_fail(m, "divisibleby needs a whole number"), false);
}
static bool t_filter(machine *m, value v, value o) { (void)o; return known_filter(name_of(m, v)); }
static bool t_test(machine *m, value v, value o) { (void)o; return known_test(name_of(m, v)); }

static const struct { const char *name; tester *holds; } tests[] = {
    { "!=", t_unequal }, { "<", t_less }, { "<=", t_less_equal }, { "==", t_equal }, { ">", t_greater }, { ">=", t_greater_equal },
    { "boolean", t_boolean }, { "callable", t_callable }, { "defined", t_defined }, { "divisibleby", t_divisible }, { "eq", t_equal }, { "equalto", t_equal },
    { "even", t_even }, { "false", t_false }, { "filter", t_filter }, { "float", t_float }, { "ge", t_greater_equal }, { "greaterthan", t_greater },
    { "gt", t_greater }, { "in", t_in }, { "integer", t_integer }, { "iterable", t_sequence }, { "le", t_less_equal }, { "lessthan", t_less },
    { "lower", t_lower }, { "lt", t_less }, { "mapping", t_mapping }, { "ne", t_unequal }, { "none", t_none }, { "number", t_number }, { "odd", t_odd },
    { "sameas", t_same }, { "sequence", t_sequence }, { "string", t_string }, { "test", t_test }, { "true", t_true }, { "undefined", t_undefined }, { "upper", t_upper },
};
enum { TESTS = sizeof tests / sizeof *tests };

static size_t test_index(const char *name) { return index_of_name(tests, sizeof *tests, TESTS, name); }
bool known_test(const char *name) { return test_index(name) < TESTS; }
bool apply_test(machine *m, const char *name, value v, const arguments *a)
{
    return machine_spend(m, 0) && tests[test_index(name)].holds(m, v, argument(a, 0, "other", value_none()));
}
