/* Renders a tree: statements write into a text, expressions give values. */
#include "text/jinja_tree.h"
#include <stdlib.h>

typedef enum { GO_ON, BREAK, CONTINUE } flow;

static value evaluate(machine *m, const node *n, frame *f);
static flow run(machine *m, const node *n, frame *f, text_builder *out);

/* ---- names ------------------------------------------------------------------------------------ */

static const value *find_name(machine *m, const frame *f, const char *name)
{
    for (; f; f = f->outer)
        for (const binding *b = f->first; b && machine_spend(m, 0); b = b->next)
            if (!strcmp(b->name, name)) return &b->value;
    return NULL;
}

static void bind_name(machine *m, frame *f, const char *name, value v)
{
    for (binding *b = f->first; b; b = b->next)
        if (!strcmp(b->name, name)) { b->value = v; return; }
    binding *b = machine_take(m, 1, sizeof *b);
    if (!b) return;
    *b = (binding){ name, v, f->first };
    f->first = b;
}

static frame *new_frame(machine *m, frame *outer)
{
    frame *f = machine_take(m, 1, sizeof *f);
    if (f) f->outer = outer;
    return f;
}

static value name_value(machine *m, const node *n, const frame *f)
{
    const value *v = find_name(m, f, n->name);
    if (v) return *v;
    if (!known_function(n->name)) return value_undefined(n->name);
    function *built_in = machine_take(m, 1, sizeof *built_in);
    if (!built_in) return value_undefined(n->name);
    *built_in = (function){ .name = n->name };
    return (value){ V_FUNCTION, .function = built_in };
}

/* ---- fields and subscripts ------------------------------------------------------------------------ */

static value method_of(machine *m, value self, const char *name)
{
    function *method = machine_take(m, 1, sizeof *method);
    if (!method) return value_undefined(name);
    *method = (function){ .name = name, .self = self };
    return (value){ V_FUNCTION, .function = method };
}

value get_field(machine *m, value v, const char *name)
{
    if (v.kind == V_UNDEFINED) return machine_fail(m, "'%.80s' is undefined", v.name);
    if (v.kind == V_LOOP) return loop_field(m, v.loop, name);
    if (has_method(v, name)) return method_of(m, v, name);
    const value *found = v.kind == V_DICT ? dict_find(m, v.dict, name) : NULL;
    return found ? *found : value_undefined(name);
}

/* The bytes of character i of a text. */
static value character_at(machine *m, marked_text t, int64_t i)
{
    const value_list *l = value_elements(m, value_text(t));
    if (l && i < 0) i += (int64_t)l->n;
    return l && i >= 0 && i < (int64_t)l->n ? l->at[i] : value_undefined("the character at this position");
}

value get_item(machine *m, value v, value key)
{
    int64_t i;
    if (v.kind == V_UNDEFINED) return machine_fail(m, "'%.80s' is undefined", v.name);
    if (v.kind == V_DICT && !v.dict->namespace) {
        const value *found = dict_get(m, v.dict, key);
        if (found) return *found;
    }
    if (v.kind == V_TEXT && value_whole(key, &i)) return character_at(m, v.text, i);
    if (v.kind == V_LIST && value_whole(key, &i)) {
        if (i < 0) i += (int64_t)v.list->n;
        return i >= 0 && i < (int64_t)v.list->n ? v.list->at[i] : value_undefined("the element at this position");
    }
    if (key.kind != V_TEXT) return value_undefined("the element");
    char *name = machine_take(m, key.text.n + 1, 1);
    if (!name) return value_undefined("");
    memcpy(name, key.text.bytes, key.text.n);
    return get_field(m, v, name);
}

/* One bound of a slice, within 0..n (or -1..n-1 for a negative step). */
static int64_t bound(machine *m, const node *n, frame *f, int64_t otherwise, int64_t length, bool back)
{
    value v = n ? evaluate(m, n, f) : value_none();
    int64_t i, low = back ? -1 : 0, high = back ? length - 1 : length;
    if (v.kind == V_NONE) return otherwise;
    if (!value_whole(v, &i)) { machine_fail(m, "a slice needs whole numbers, not %s", value_kind_name(v)); return 0; }
    if (i < 0) i = i < -length ? low : i + length;
    return i < low ? low : i > high ? high : i;
}

static value slice(machine *m, const node *n, frame *f)
{
    value v = evaluate(m, n->a, f);
    if (v.kind == V_UNDEFINED) return machine_fail(m, "'%.80s' is undefined", v.name);
    if (v.kind != V_TEXT && v.kind != V_LIST) return machine_fail(m, "%s has no slices", value_kind_name(v));
    value_list *l = value_elements(m, v);
    value given = n->first ? evaluate(m, n->first, f) : value_none();
    int64_t step = 1;
    if (given.kind != V_NONE && (!value_whole(given, &step) || !step)) return machine_fail(m, "a slice needs whole numbers, and no step of 0");
    if (machine_failed(m)) return v;
    int64_t length = (int64_t)l->n, from = bound(m, n->b, f, step > 0 ? 0 : length - 1, length, step < 0);
    int64_t to = bound(m, n->c, f, step > 0 ? length : -1, length, step < 0);
    value out = value_list_new(m, 0);
    text_builder b = { 0 };
    for (int64_t i = from; !machine_failed(m) && (step > 0 ? i < to : i > to); ) {
        if (v.kind == V_TEXT) builder_add(m, &b, l->at[i].text);
        else list_add(m, out.list, l->at[i]);
        if (__builtin_add_overflow(i, step, &i)) break;
    }
    if (v.kind == V_TEXT) return value_text(builder_text(&b));
    if (!machine_failed(m)) out.list->tuple = l->tuple;
    return out;
}

/* ---- calls ------------------------------------------------------------------------------------------ */

static arguments arguments_of(machine *m, const node *first, frame *f)
{
    arguments a = { 0 };
    size_t n = 0, named = 0;
    for (const node *one = first; one; one = one->next) *(one->key ? &named : &n) += 1;
    a.at = n ? machine_take(m, n, sizeof *a.at) : NULL;
    a.named = named ? machine_take(m, named, sizeof *a.named) : NULL;
    for (const node *one = first; one && !machine_failed(m); one = one->next) {
        value v = evaluate(m, one, f);
        if (one->key) a.named[a.n_named++] = (named_value){ one->key, v };
        else a.at[a.n++] = v;
    }
    return a;
}

static const node *parameter(const node *macro, const char *name)
{
    const node *p = macro->b;
    while (p && strcmp(p->name, name)) p = p->next;
    return p;
}

static value call_macro(machine *m, const function *macro, const arguments *a)
{
    frame *f = new_frame(m, macro->frame);
    text_builder out = { 0 };
    size_t i = 0;
    if (!f || !machine_enter(m)) return value_undefined("");
    for (size_t k = 0; k < a->n_named; k++)
        if (!parameter(macro->macro, a->named[k].name)) return machine_fail(m, "macro '%.60s' has no parameter '%.60s'", macro->name, a->named[k].name);
    for (const node *p = macro->macro->b; p && !machine_failed(m); p = p->next, i++) {
        value v = argument(a, i, p->name, value_undefined(p->name));
        bind_name(m, f, p->name, v.kind == V_UNDEFINED && p->a ? evaluate(m, p->a, f) : v);
    }
    if (a->n > i) return machine_fail(m, "macro '%.60s' takes %zu arguments, %zu are given", macro->name, i, a->n);
    run(m, macro->macro->first, f, &out);
    machine_leave(m);
    return value_text(builder_text(&out));
}

static value call(machine *m, const node *n, frame *f)
{
    value callee = evaluate(m, n->a, f);
    int line = n->line;
    if (callee.kind == V_UNDEFINED) return machine_fail(m, "'%.80s' is undefined", callee.name);
    if (callee.kind != V_FUNCTION) return machine_fail(m, "%s cannot be called", value_kind_name(callee));
    const function *called = callee.function;
    arguments a = arguments_of(m, n->first, f);
    if (machine_failed(m)) return callee;
    value v = called->macro ? call_macro(m, called, &a)
            : called->self.kind != V_UNDEFINED ? call_method(m, called->self, called->name, &a) : call_function(m, called->name, &a);
    m->line = line;
    return v;
}

/* ---- expressions ------------------------------------------------------------------------------------------ */

static value compare_all(machine *m, const node *n, frame *f)
{
    value a = evaluate(m, n->a, f);
    for (const node *next = n->first; next; next = next->next) {
        value b = evaluate(m, next, f);
        m->line = n->line;
        if (machine_failed(m) || !operator_compare(m, next->key, a, b)) return value_bool(false);
        a = b;
    }
    return value_bool(true);
}

static value list_of(machine *m, const node *n, frame *f)
{
    value v = value_list_new(m, 0);
    for (const node *one = n->first; one && !machine_failed(m); one = one->next) list_add(m, v.list, evaluate(m, one, f));
    if (!machine_failed(m)) v.list->tuple = n->tuple;
    return v;
}

static value dict_of(machine *m, const node *n, frame *f)
{
    value v = value_dict_new(m);
    for (const node *key = n->first; key && !machine_failed(m); key = key->next->next) {
        value k = evaluate(m, key, f);
        if (k.kind != V_TEXT && k.kind != V_NONE && !value_is_number(k)) return machine_fail(m, "%s is no key of a dictionary", value_kind_name(k));
        dict_put(m, v.dict, k, evaluate(m, key->next, f));
    }
    return v;
}

static value join_all(machine *m, const node *n, frame *f)
{
    text_builder b = { 0 };
    for (const node *one = n->first; one && !machine_failed(m); one = one->next) builder_add(m, &b, value_string(m, evaluate(m, one, f)));
    return value_text(builder_text(&b));
}

static value filtered(machine *m, const node *n, value v, frame *f)
{
    arguments a = arguments_of(m, n->first, f);
    m->line = n->line;
    return machine_failed(m) ? v : apply_filter(m, n->name, v, &a);
}

static value tested(machine *m, const node *n, frame *f)
{
    value v = evaluate(m, n->a, f);
    arguments a = arguments_of(m, n->first, f);
    m->line = n->line;
    return value_bool(!machine_failed(m) && apply_test(m, n->name, v, &a) != n->negated);
}

static value choose(machine *m, const node *n, frame *f)
{
    if (value_true(evaluate(m, n->a, f))) return evaluate(m, n->b, f);
    return n->c ? evaluate(m, n->c, f) : value_undefined("the value of an if without an else");
}

static value evaluate_kind(machine *m, const node *n, frame *f)
{
    value a, b;
    switch (n->kind) {
    case N_LITERAL: return n->literal;
    case N_NAME:    return name_value(m, n, f);
    case N_LIST:    return list_of(m, n, f);
    case N_DICT:    return dict_of(m, n, f);
    case N_SLICE:   return slice(m, n, f);
    case N_CALL:    return call(m, n, f);
    case N_JOIN:    return join_all(m, n, f);
    case N_COMPARE: return compare_all(m, n, f);
    case N_CHOICE:  return choose(m, n, f);
    case N_TEST:    return tested(m, n, f);
    default: break;
    }
    a = evaluate(m, n->a, f);
    if (machine_failed(m)) return a;
    m->line = n->line;
    switch (n->kind) {
    case N_FIELD:  return get_field(m, a, n->name);
    case N_ITEM:   b = evaluate(m, n->b, f); return machine_failed(m) ? b : get_item(m, a, b);
    case N_FILTER: return filtered(m, n, a, f);
    case N_MINUS:  return operator_sign(m, a, true);
    case N_PLUS:   return operator_sign(m, a, false);
    case N_NOT:    return value_bool(!value_true(a));
    case N_AND:    return value_true(a) ? evaluate(m, n->b, f) : a;
    case N_OR:     return value_true(a) ? a : evaluate(m, n->b, f);
    default:       b = evaluate(m, n->b, f); return machine_failed(m) ? b : operator_arithmetic(m, n->name, a, b);
    }
}

static value evaluate(machine *m, const node *n, frame *f)
{
    value v = value_undefined("");
    m->line = n->line;
    if (machine_enter(m)) v = evaluate_kind(m, n, f);
    machine_leave(m);
    return v;
}

/* ---- statements --------------------------------------------------------------------------------------------- */

static void unpack(machine *m, const node *target, value v, frame *f)
{
    if (target->kind == N_NAME) { bind_name(m, f, target->name, v); return; }
    if (target->kind == N_FIELD) {
        value space = name_value(m, target->a, f);
        if (space.kind != V_DICT || !space.dict->namespace) machine_fail(m, "'%.60s' is no namespace", target->a->name);
        else dict_put(m, space.dict, value_text(plain_text(target->name)), v);
        return;
    }
    const value_list *l = value_elements(m, v);
    size_t i = 0, n = 0;
    if (!l) return;
    for (const node *one = target->first; one; one = one->next) n++;
    if (l->n != n) machine_fail(m, "%zu names for %zu values", n, l->n);
    for (const node *one = target->first; one && !machine_failed(m); one = one->next) unpack(m, one, l->at[i++], f);
}

/* The elements for which the condition of the loop holds. */
static value_list *chosen(machine *m, const node *n, value_list *all, frame *f)
{
    if (!n->c) return all;
    value out = value_list_new(m, 0);
    for (size_t i = 0; i < all->n && !machine_failed(m); i++) {
        frame *inner = new_frame(m, f);
        if (!inner) break;
        unpack(m, n->b, all->at[i], inner);
        if (!machine_failed(m) && value_true(evaluate(m, n->c, inner))) list_add(m, out.list, all->at[i]);
    }
    return machine_failed(m) ? NULL : out.list;
}

static void run_for(machine *m, const node *n, frame *f, text_builder *out)
{
    value_list *all = value_elements(m, evaluate(m, n->a, f)), *items = all && !machine_failed(m) ? chosen(m, n, all, f) : NULL;
    loop *l = machine_take(m, 1, sizeof *l);
    if (!items || !l) return;
    l->items = items;
    for (; l->i < items->n && !machine_failed(m); l->i++) {
        frame *inner = new_frame(m, f);
        if (!inner) return;
        bind_name(m, inner, "loop", (value){ V_LOOP, .loop = l });
        unpack(m, n->b, items->at[l->i], inner);
        if (!machine_failed(m) && run(m, n->first, inner, out) == BREAK) return;
    }
    if (!items->n) run(m, n->other, f, out);
}

/* The text of a set block, through its filters from the innermost on. */
static value block_value(machine *m, const node *filters, value v, frame *f)
{
    if (!filters) return v;
    v = block_value(m, filters->a, v, f);
    return machine_failed(m) ? v : filtered(m, filters, v, f);
}

static void run_set(machine *m, const node *n, frame *f)
{
    text_builder b = { 0 };
    value v;
    if (n->a) v = evaluate(m, n->a, f);
    else {
        frame *inner = new_frame(m, f);
        if (!inner) return;
        run(m, n->first, inner, &b);
        v = block_value(m, n->c, value_text(builder_text(&b)), f);
    }
    m->line = n->line;
    if (!machine_failed(m)) unpack(m, n->b, v, f);
}

static void define_macro(machine *m, const node *n, frame *f)
{
    function *macro = machine_take(m, 1, sizeof *macro);
    if (!macro) return;
    *macro = (function){ .name = n->name, .macro = n, .frame = f };
    bind_name(m, f, n->name, (value){ V_FUNCTION, .function = macro });
}

/* What is written in between is a reply. */
static flow run_generation(machine *m, const node *n, frame *f, text_builder *out)
{
    text_builder b = { 0 };
    flow next = run(m, n->first, f, &b);
    for (size_t i = 0; i < b.n && !machine_failed(m); i++) builder_put_as(m, out, b.bytes + i, 1, text_mark(builder_text(&b), i) | MARK_REPLY);
    return next;
}

static flow run_one(machine *m, const node *n, frame *f, text_builder *out)
{
    switch (n->kind) {
    case N_DATA:       builder_add(m, out, n->literal.text); break;
    case N_PRINT:      builder_add(m, out, value_string(m, evaluate(m, n->a, f))); break;
    case N_IF:         return run(m, value_true(evaluate(m, n->a, f)) ? n->first : n->other, f, out);
    case N_FOR:        run_for(m, n, f, out); break;
    case N_SET:        run_set(m, n, f); break;
    case N_MACRO:      define_macro(m, n, f); break;
    case N_GENERATION: return run_generation(m, n, f, out);
    case N_BREAK:      return BREAK;
    default:           return CONTINUE;
    }
    return GO_ON;
}

static flow run(machine *m, const node *n, frame *f, text_builder *out)
{
    flow next = GO_ON;
    machine_enter(m);
    for (; n && next == GO_ON && !machine_failed(m); n = n->next) {
        m->line = n->line;
        next = run_one(m, n, f, out);
    }
    machine_leave(m);
    return next;
}

/* ---- rendering ------------------------------------------------------------------------------------------------- */

machine machine_open(const jinja *t, size_t bytes, size_t work, lithe_error *err)
{
    return (machine){ .bytes_left = bytes, .work_left = work, .name = t->name, .line = 1, .err = err };
}

void machine_close(machine *m) { arena_free(&m->memory); }

marked_text jinja_render(const jinja *t, machine *m, const value_dict *variables)
{
    text_builder out = { 0 };
    frame *given = new_frame(m, NULL), *top = new_frame(m, given);
    for (size_t i = 0; top && i < variables->n; i++) {
        const marked_text key = variables->at[i].key.text;
        char *name = machine_take(m, key.n + 1, 1);
        if (!name) break;
        memcpy(name, key.bytes, key.n);
        bind_name(m, given, name, variables->at[i].value);
    }
    if (!machine_failed(m)) run(m, t->body, top, &out);
    return builder_text(&out);
}
