/* Expressions from tokens to trees, by recursive descent with the precedences of Jinja. */
#include "text/jinja_parser.h"
#include <stdlib.h>

static node *binary(parser *p, node_kind kind, const char *name, node *a, node *b, int line)
{
    node *n = a && b ? parser_node(p, kind, line) : NULL;
    if (n) { n->name = name; n->a = a; n->b = b; }
    return n;
}

static node *literal(parser *p, value v, int line)
{
    node *n = parser_node(p, N_LITERAL, line);
    if (n) n->literal = v;
    return n;
}

/* The arguments of a call up to its closing bracket, as a list. */
static node *call_arguments(parser *p)
{
    node *first = NULL, **last = &first;
    bool named = false;
    while (!failed(p->err) && !parser_skip(p, T_OPERATOR, ")")) {
        if (first && !parser_expect(p, T_OPERATOR, ",")) return NULL;
        if (parser_skip(p, T_OPERATOR, ")")) break;
        const char *key = is_word(p, NULL) && p->at[1].kind == T_OPERATOR && !strcmp(p->at[1].text, "=") ? p->at->text : NULL;
        if (is_operator(p, "*") || is_operator(p, "**")) return parser_refuse(p, p->at->line, "arguments with '%s' are not known", p->at->text);
        if (named && !key) return parser_refuse(p, p->at->line, "an argument without a name after one with a name%s", "");
        if (key) p->at += 2;
        node *one = parse_expression(p);
        if (!one) return NULL;
        one->key = key;
        named |= key != NULL;
        *last = one;
        last = &one->next;
    }
    return first;
}

static node *list_of(parser *p, const char *close, int line)
{
    node *n = parser_node(p, N_LIST, line), **last = n ? &n->first : NULL;
    while (n && !failed(p->err) && !parser_skip(p, T_OPERATOR, close)) {
        if (n->first && !parser_expect(p, T_OPERATOR, ",")) return NULL;
        if (parser_skip(p, T_OPERATOR, close)) break;
        if (!(*last = parse_expression(p))) return NULL;
        last = &(*last)->next;
    }
    return n;
}

static node *dict_of(parser *p, int line)
{
    node *n = parser_node(p, N_DICT, line), **last = n ? &n->first : NULL;
    while (n && !failed(p->err) && !parser_skip(p, T_OPERATOR, "}")) {
        if (n->first && !parser_expect(p, T_OPERATOR, ",")) return NULL;
        if (parser_skip(p, T_OPERATOR, "}")) break;
        node *key = parse_expression(p);
        if (!key || !parser_expect(p, T_OPERATOR, ":")) return NULL;
        if (!(key->next = parse_expression(p))) return NULL;
        *last = key;
        last = &key->next->next;
    }
    return n;
}

/* Strings that stand next to each other are one. */
static node *string_literal(parser *p)
{
    int line = p->at->line;
    size_t n = 0, at = 0;
    for (const token *t = p->at; t->kind == T_TEXT; t++) n += t->n;
    char *text = arena_alloc(&p->tree->memory, n + 1);
    if (!text) { fail(p->err, LITHE_ENOMEM, "%s: out of memory", p->tree->name); return NULL; }
    for (; p->at->kind == T_TEXT; at += p->at->n, p->at++) memcpy(text + at, p->at->text, p->at->n);
    return literal(p, value_text((marked_text){ text, NULL, n }), line);
}

static node *name_or_constant(parser *p)
{
    static const struct { const char *name; value_kind kind; bool yes; } constants[] = {
        { "true", V_BOOL, true }, { "True", V_BOOL, true }, { "false", V_BOOL, false }, { "False", V_BOOL, false }, { "none", V_NONE, false }, { "None", V_NONE, false } };
    int line = p->at->line;
    const char *name = parser_name(p);
    for (size_t i = 0; i < sizeof constants / sizeof *constants; i++)
        if (!strcmp(name, constants[i].name)) return literal(p, constants[i].kind == V_NONE ? value_none() : value_bool(constants[i].yes), line);
    node *n = parser_node(p, N_NAME, line);
    if (n) n->name = name;
    return n;
}

static node *primary(parser *p)
{
    int line = p->at->line;
    if (failed(p->err)) return NULL;
    switch (p->at->kind) {
    case T_NAME: return name_or_constant(p);
    case T_TEXT: return string_literal(p);
    case T_INT:  return literal(p, value_int(strtoll((p->at++)->text, NULL, 10)), line);
    case T_REAL: return literal(p, value_real(strtod((p->at++)->text, NULL)), line);
    default: break;
    }
    if (parser_skip(p, T_OPERATOR, "[")) return list_of(p, "]", line);
    if (parser_skip(p, T_OPERATOR, "{")) return dict_of(p, line);
    if (parser_skip(p, T_OPERATOR, "(")) {
        node *n = NULL;
        if (parser_skip(p, T_OPERATOR, ")")) {
            if ((n = parser_node(p, N_LIST, line))) n->tuple = true;
            return n;
        }
        n = parse_tuple(p, true);
        return n && parser_expect(p, T_OPERATOR, ")") ? n : NULL;
    }
    return parser_refuse(p, line, "unexpected '%.60s'", parser_here(p));
}

/* What stands in a[...], after the opening bracket. */
static node *subscript(parser *p, node *a, int line)
{
    node *part[3] = { NULL };
    int n = 0;
    bool slice = false;
    while (!failed(p->err) && !is_operator(p, "]")) {
        if (is_operator(p, ":")) {
            if (++n > 2) break;
            slice = true;
            p->at++;
        }
        else if (part[n]) break;
        else if (!(part[n] = parse_expression(p))) return NULL;
    }
    if (!parser_expect(p, T_OPERATOR, "]")) return NULL;
    if (!slice && !part[0]) return parser_refuse(p, line, "a subscript is empty%s", "");
    node *r = parser_node(p, slice ? N_SLICE : N_ITEM, line);
    if (r) { r->a = a; r->b = part[0]; r->c = part[1]; r->first = part[2]; }
    return r;
}

static node *call(parser *p, node *a, int line)
{
    if (a->kind == N_NAME) parser_mention(p, &p->called, a->name, line);
    if (a->kind == N_FIELD && !known_method(a->name)) return parser_refuse(p, line, "method '%.60s' is not known", a->name);
    node *n = parser_node(p, N_CALL, line);
    if (n) { n->a = a; n->first = call_arguments(p); }
    return n;
}

static node *field(parser *p, node *a, int line)
{
    node *n = parser_node(p, p->at->kind == T_INT ? N_ITEM : N_FIELD, line);
    if (!n) return NULL;
    n->a = a;
    if (n->kind == N_ITEM) n->b = primary(p);
    else n->name = parser_name(p);
    return n;
}

static node *postfix(parser *p, node *n)
{
    while (n && !failed(p->err)) {
        int line = p->at->line;
        if (parser_skip(p, T_OPERATOR, ".")) n = field(p, n, line);
        else if (parser_skip(p, T_OPERATOR, "[")) n = subscript(p, n, line);
        else if (parser_skip(p, T_OPERATOR, "(")) n = call(p, n, line);
        else break;
    }
    return n;
}

node *parse_filter(parser *p, node *a)
{
    int line = p->at->line;
    node *n = parser_node(p, N_FILTER, line);
    if (!n || !(n->name = parser_name(p))) return NULL;
    if (!known_filter(n->name)) return parser_refuse(p, line, "filter '%.60s' is not known", n->name);
    n->a = a;
    if (parser_skip(p, T_OPERATOR, "(")) n->first = call_arguments(p);
    return n;
}

/* Whether an argument follows the name of a test without brackets. */
static bool argument_follows(const parser *p)
{
    static const char *const words[] = { "else", "or", "and", "is", "if", "in", "not" };
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) if (is_word(p, words[i])) return false;
    return p->at->kind == T_NAME || p->at->kind == T_TEXT || p->at->kind == T_INT || p->at->kind == T_REAL || is_operator(p, "[") || is_operator(p, "{");
}

static node *test(parser *p, node *a)
{
    int line = p->at->line;
    node *n = parser_node(p, N_TEST, line);
    if (!n) return NULL;
    n->negated = parser_skip(p, T_NAME, "not");
    if (!(n->name = parser_name(p))) return NULL;
    if (!known_test(n->name)) return parser_refuse(p, line, "test '%.60s' is not known", n->name);
    n->a = a;
    if (parser_skip(p, T_OPERATOR, "(")) n->first = call_arguments(p);
    else if (argument_follows(p)) n->first = postfix(p, primary(p));
    return n;
}

static node *filtered(parser *p, node *n)
{
    while (n && !failed(p->err)) {
        int line = p->at->line;
        if (parser_skip(p, T_OPERATOR, "|")) n = parse_filter(p, n);
        else if (parser_skip(p, T_NAME, "is")) n = test(p, n);
        else if (parser_skip(p, T_OPERATOR, "(")) n = call(p, n, line);
        else break;
    }
    return n;
}

static node *unary(parser *p, bool filters)
{
    int line = p->at->line;
    node *n = NULL;
    if (failed(p->err)) return NULL;
    if (++p->depth > PARSE_DEPTH) return parser_refuse(p, line, "expressions are nested too deeply%s", "");
    if (is_operator(p, "-") || is_operator(p, "+")) {
        node_kind kind = *(p->at++)->text == '-' ? N_MINUS : N_PLUS;
        node *a = unary(p, false);
        if (a && (n = parser_node(p, kind, line))) n->a = a;
    }
    else n = postfix(p, primary(p));
    p->depth--;
    return n && filters ? filtered(p, n) : n;
}

static node *power(parser *p)
{
    node *n = unary(p, true);
    for (int line; n && (line = p->at->line, parser_skip(p, T_OPERATOR, "**")); ) n = binary(p, N_BINARY, "**", n, unary(p, true), line);
    return n;
}

/* The operator that stands here if it is one of these. */
static const char *one_of(parser *p, const char *const *operators)
{
    for (; *operators; operators++) if (parser_skip(p, T_OPERATOR, *operators)) return *operators;
    return NULL;
}

static node *product(parser *p)
{
    static const char *const operators[] = { "*", "//", "/", "%", NULL };
    node *n = power(p);
    for (const char *o; n && (o = one_of(p, operators)); ) n = binary(p, N_BINARY, o, n, power(p), p->at->line);
    return n;
}

static node *joined(parser *p)
{
    node *n = product(p), *all = NULL, **last = NULL;
    while (n && is_operator(p, "~")) {
        if (!all) {
            if (!(all = parser_node(p, N_JOIN, p->at->line))) return NULL;
            all->first = n;
            last = &n->next;
        }
        p->at++;
        if (!(*last = product(p))) return NULL;
        last = &(*last)->next;
    }
    return all ? all : n;
}

static node *sum(parser *p)
{
    static const char *const operators[] = { "+", "-", NULL };
    node *n = joined(p);
    for (const char *o; n && (o = one_of(p, operators)); ) n = binary(p, N_BINARY, o, n, joined(p), p->at->line);
    return n;
}

static const char *comparison(parser *p)
{
    static const char *const operators[] = { "==", "!=", "<=", ">=", "<", ">", NULL };
    const char *o = one_of(p, operators);
    if (o || parser_skip(p, T_NAME, "in")) return o ? o : "in";
    if (!is_word(p, "not") || p->at[1].kind != T_NAME || strcmp(p->at[1].text, "in")) return NULL;
    p->at += 2;
    return "not in";
}

static node *compared(parser *p)
{
    node *n = sum(p), *all = NULL, **last = NULL;
    for (const char *o; n && (o = comparison(p)); ) {
        if (!all) {
            if (!(all = parser_node(p, N_COMPARE, n->line))) return NULL;
            all->a = n;
            last = &all->first;
        }
        if (!(n = *last = sum(p))) return NULL;
        n->key = o;
        last = &n->next;
    }
    return all ? all : n;
}

static node *negated(parser *p)
{
    int line = p->at->line;
    if (!is_word(p, "not")) return compared(p);
    if (++p->depth > PARSE_DEPTH) return parser_refuse(p, line, "expressions are nested too deeply%s", "");
    p->at++;
    node *a = negated(p), *n = a ? parser_node(p, N_NOT, line) : NULL;
    if (n) n->a = a;
    p->depth--;
    return n;
}

static node *all_of(parser *p)
{
    node *n = negated(p);
    for (int line; n && (line = p->at->line, parser_skip(p, T_NAME, "and")); ) n = binary(p, N_AND, NULL, n, negated(p), line);
    return n;
}

static node *any_of(parser *p)
{
    node *n = all_of(p);
    for (int line; n && (line = p->at->line, parser_skip(p, T_NAME, "or")); ) n = binary(p, N_OR, NULL, n, all_of(p), line);
    return n;
}

node *parse_expression(parser *p)
{
    if (failed(p->err)) return NULL;
    if (++p->depth > PARSE_DEPTH) return parser_refuse(p, p->at->line, "expressions are nested too deeply%s", "");
    node *n = any_of(p);
    for (int line; n && (line = p->at->line, parser_skip(p, T_NAME, "if")); ) {
        node *choice = parser_node(p, N_CHOICE, line);
        if (!choice) return NULL;
        choice->b = n;
        choice->a = any_of(p);
        if (choice->a && parser_skip(p, T_NAME, "else") && !(choice->c = parse_expression(p))) return NULL;
        n = choice->a ? choice : NULL;
    }
    p->depth--;
    return n;
}

node *parse_tuple(parser *p, bool choice)
{
    int line = p->at->line;
    node *n = choice ? parse_expression(p) : any_of(p);
    if (!n || !is_operator(p, ",")) return n;
    node *all = parser_node(p, N_LIST, line), **last;
    if (!all) return NULL;
    all->tuple = true;
    all->first = n;
    last = &n->next;
    while (parser_skip(p, T_OPERATOR, ",")) {
        if (is_operator(p, ")") || p->at->kind == T_BLOCK_END || p->at->kind == T_PRINT_END || is_operator(p, "=") || is_word(p, "in")) break;
        if (!(*last = choice ? parse_expression(p) : any_of(p))) return NULL;
        last = &(*last)->next;
    }
    return all;
}
