/* Operators on values: numbers as Python has them, texts and lists. */
#include "text/jinja_tree.h"
#include <math.h>

static value wrong_operands(machine *m, const char *operator, value a, value b)
{
    const value *undefined = a.kind == V_UNDEFINED ? &a : b.kind == V_UNDEFINED ? &b : NULL;
    if (undefined) return machine_fail(m, "'%.80s' is undefined", undefined->name);
    return machine_fail(m, "'%s' does not take %s and %s", operator, value_kind_name(a), value_kind_name(b));
}

static value too_large(machine *m) { return machine_fail(m, "a whole number is too large"); }

static int64_t floor_division(int64_t a, int64_t b) { return a / b - (a % b != 0 && (a < 0) != (b < 0)); }

static value power(machine *m, int64_t a, int64_t b)
{
    int64_t r = 1;
    if (b < 0) return value_real(pow((double)a, (double)b));
    for (; b > 0; b--) {
        if (a == 0 || a == 1) return value_int(a);
        if (!machine_spend(m, 0) || __builtin_mul_overflow(r, a, &r)) return too_large(m);
    }
    return value_int(r);
}

static value whole_arithmetic(machine *m, const char *o, int64_t a, int64_t b)
{
    int64_t r = 0;
    bool wide = false;
    if (!b && strchr("/%", *o)) return machine_fail(m, "division by zero");
    if (!strcmp(o, "**")) return power(m, a, b);
    if (!strcmp(o, "/")) return value_real((double)a / (double)b);
    if (b == -1 && strchr("/%", *o)) return *o == '%' ? value_int(0) : a == INT64_MIN ? too_large(m) : value_int(-a);
    switch (*o) {
    case '+': wide = __builtin_add_overflow(a, b, &r); break;
    case '-': wide = __builtin_sub_overflow(a, b, &r); break;
    case '*': wide = __builtin_mul_overflow(a, b, &r); break;
    case '/': r = floor_division(a, b); break;
    default:  r = a - b * floor_division(a, b);
    }
    return wide ? too_large(m) : value_int(r);
}

static value real_arithmetic(machine *m, const char *o, double a, double b)
{
    if (strchr("/%", *o) && !(b < 0) && !(b > 0)) return machine_fail(m, "division by zero");
    if (!strcmp(o, "**")) return value_real(pow(a, b));
    if (!strcmp(o, "//")) return value_real(floor(a / b));
    switch (*o) {
    case '+': return value_real(a + b);
    case '-': return value_real(a - b);
    case '*': return value_real(a * b);
    case '/': return value_real(a / b);
    default:  return value_real(a - b * floor(a / b));
    }
}

static value repeated(machine *m, value v, int64_t times)
{
    text_builder b = { 0 };
    value out = v.kind == V_LIST ? value_list_new(m, 0) : v;
    size_t bytes = v.kind == V_LIST ? v.list->n * sizeof(value) : v.text.n;
    if (bytes && times > 0 && (uint64_t)times > m->bytes_left / bytes) return machine_fail(m, "the template takes too much memory and was stopped");
    for (int64_t i = 0; i < times && machine_spend(m, 0); i++) {
        if (v.kind == V_TEXT && !v.text.n) break;
        if (v.kind == V_LIST && !v.list->n) break;
        if (v.kind == V_TEXT) builder_add(m, &b, v.text);
        for (size_t k = 0; v.kind == V_LIST && k < v.list->n; k++) list_add(m, out.list, v.list->at[k]);
    }
    return v.kind == V_TEXT ? value_text(builder_text(&b)) : out;
}

static value joined_lists(machine *m, const value_list *a, const value_list *b)
{
    value out = value_list_new(m, a->n + b->n);
    if (machine_failed(m)) return out;
    out.list->tuple = a->tuple;
    for (size_t i = 0; i < a->n; i++) list_add(m, out.list, a->at[i]);
    for (size_t i = 0; i < b->n; i++) list_add(m, out.list, b->at[i]);
    return out;
}

static value joined_texts(machine *m, marked_text a, marked_text b)
{
    text_builder t = { 0 };
    builder_add(m, &t, a);
    builder_add(m, &t, b);
    return value_text(builder_text(&t));
}

value operator_arithmetic(machine *m, const char *o, value a, value b)
{
    int64_t x, y;
    bool whole_a = value_whole(a, &x), whole_b = value_whole(b, &y);
    if (whole_a && whole_b) return whole_arithmetic(m, o, x, y);
    if (value_is_number(a) && value_is_number(b)) return real_arithmetic(m, o, value_number(a), value_number(b));
    if (!strcmp(o, "+") && a.kind == V_TEXT && b.kind == V_TEXT) return joined_texts(m, a.text, b.text);
    if (!strcmp(o, "+") && a.kind == V_LIST && b.kind == V_LIST && a.list->tuple == b.list->tuple) return joined_lists(m, a.list, b.list);
    if (!strcmp(o, "*") && (a.kind == V_TEXT || a.kind == V_LIST) && whole_b) return repeated(m, a, y);
    if (!strcmp(o, "*") && (b.kind == V_TEXT || b.kind == V_LIST) && whole_a) return repeated(m, b, x);
    return wrong_operands(m, o, a, b);
}

value operator_sign(machine *m, value v, bool minus)
{
    int64_t n;
    if (value_whole(v, &n)) return minus && n == INT64_MIN ? too_large(m) : value_int(minus ? -n : n);
    if (v.kind == V_REAL) return value_real(minus ? -v.real : v.real);
    return wrong_operands(m, minus ? "-" : "+", v, v);
}

bool operator_compare(machine *m, const char *o, value a, value b)
{
    if (!strcmp(o, "==")) return value_equal(m, a, b);
    if (!strcmp(o, "!=")) return !value_equal(m, a, b);
    if (!strcmp(o, "in")) return value_contains(m, b, a);
    if (!strcmp(o, "not in")) return !value_contains(m, b, a);
    if (a.kind == V_UNDEFINED || b.kind == V_UNDEFINED) { wrong_operands(m, o, a, b); return false; }
    int order = value_order(m, a, b);
    return o[0] == '<' ? (o[1] ? order <= 0 : order < 0) : o[1] ? order >= 0 : order > 0;
}
