/* From tokens to a tree, by recursive descent with the precedences of Jinja. */
#include "text/jinja_lex.h"
#include "text/jinja_tree.h"
#include <stdlib.h>
#include <string.h>

enum { PARSE_DEPTH = 60 };

/* A name that is called or assigned. */
typedef struct mention { const char *name; int line; struct mention *next; } mention;

typedef struct {
    jinja *tree;
    const token *at;
    int depth, loops;
    mention *called, *assigned;
    lithe_error *err;
} parser;

static node *refuse(parser *p, int line, const char *format, const char *what)
{
    char text[200];
    snprintf(text, sizeof text, format, what);
    for (char *c = text; *c; c++) if ((unsigned char)*c < ' ') *c = ' ';
    fail(p->err, LITHE_EFORMAT, "%s: line %d: %s", p->tree->name, line, text);
    return NULL;
}

static node *new_node(parser *p, node_kind kind, int line)
{
    node *n = failed(p->err) ? NULL : arena_alloc(&p->tree->memory, sizeof *n);
    if (!n) { fail(p->err, LITHE_ENOMEM, "%s: out of memory", p->tree->name); return NULL; }
    n->kind = kind;
    n->line = line;
    return n;
}

static void mention_name(parser *p, mention **list, const char *name, int line)
{
    mention *one = arena_alloc(&p->tree->memory, sizeof *one);
    if (!one) { fail(p->err, LITHE_ENOMEM, "%s: out of memory", p->tree->name); return; }
    *one = (mention){ name, line, *list };
    *list = one;
}

/* ---- tokens ------------------------------------------------------------------------------------ */

static bool is(const parser *p, token_kind kind, const char *text) { return p->at->kind == kind && (!text || !strcmp(p->at->text, text)); }
static bool is_operator(const parser *p, const char *text) { return is(p, T_OPERATOR, text); }
static bool is_word(const parser *p, const char *text) { return is(p, T_NAME, text); }

static bool skip(parser *p, token_kind kind, const char *text)
{
    bool here = !failed(p->err) && is(p, kind, text);
    if (here) p->at++;
    return here;
}

static const char *here(const parser *p) { return p->at->kind == T_END ? "the end of the template" : p->at->kind == T_DATA ? "text" : p->at->text; }

static bool expect(parser *p, token_kind kind, const char *text)
{
    if (skip(p, kind, text)) return true;
    fail(p->err, LITHE_EFORMAT, "%s: line %d: expected %.40s, found '%.60s'", p->tree->name, p->at->line, text, here(p));
    return false;
}

static const char *take_name(parser *p)
{
    const char *name = p->at->text;
    if (p->at->kind == T_NAME) { p->at++; return name; }
    refuse(p, p->at->line, "expected a name, found '%.60s'", here(p));
    return NULL;
}

/* ---- expressions ---------------------------------------------------------------------------------- */

static node *expression(parser *p);
static node *tuple(parser *p, bool choice);

static node *binary(parser *p, node_kind kind, const char *name, node *a, node *b, int line)
{
    node *n = a && b ? new_node(p, kind, line) : NULL;
    if (n) { n->name = name; n->a = a; n->b = b; }
    return n;
}

static node *literal(parser *p, value v, int line)
{
    node *n = new_node(p, N_LITERAL, line);
    if (n) n->literal = v;
    return n;
}

/* The arguments of a call up to its closing bracket, as a list. */
static node *call_arguments(parser *p)
{
    node *first = NULL, **last = &first;
    bool named = false;
    while (!failed(p->err) && !skip(p, T_OPERATOR, ")")) {
        if (first && !expect(p, T_OPERATOR, ",")) return NULL;
        if (skip(p, T_OPERATOR, ")")) break;
        const char *key = is_word(p, NULL) && p->at[1].kind == T_OPERATOR && !strcmp(p->at[1].text, "=") ? p->at->text : NULL;
        if (is_operator(p, "*") || is_operator(p, "**")) return refuse(p, p->at->line, "arguments with '%s' are not known", p->at->text);
        if (named && !key) return refuse(p, p->at->line, "an argument without a name after one with a name%s", "");
        if (key) p->at += 2;
        node *one = expression(p);
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
    node *n = new_node(p, N_LIST, line), **last = n ? &n->first : NULL;
    while (n && !failed(p->err) && !skip(p, T_OPERATOR, close)) {
        if (n->first && !expect(p, T_OPERATOR, ",")) return NULL;
        if (skip(p, T_OPERATOR, close)) break;
        if (!(*last = expression(p))) return NULL;
        last = &(*last)->next;
    }
    return n;
}

static node *dict_of(parser *p, int line)
{
    node *n = new_node(p, N_DICT, line), **last = n ? &n->first : NULL;
    while (n && !failed(p->err) && !skip(p, T_OPERATOR, "}")) {
        if (n->first && !expect(p, T_OPERATOR, ",")) return NULL;
        if (skip(p, T_OPERATOR, "}")) break;
        node *key = expression(p);
        if (!key || !expect(p, T_OPERATOR, ":")) return NULL;
        if (!(key->next = expression(p))) return NULL;
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
    const char *name = take_name(p);
    for (size_t i = 0; i < sizeof constants / sizeof *constants; i++)
        if (!strcmp(name, constants[i].name)) return literal(p, constants[i].kind == V_NONE ? value_none() : value_bool(constants[i].yes), line);
    node *n = new_node(p, N_NAME, line);
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
    if (skip(p, T_OPERATOR, "[")) return list_of(p, "]", line);
    if (skip(p, T_OPERATOR, "{")) return dict_of(p, line);
    if (skip(p, T_OPERATOR, "(")) {
        node *n = NULL;
        if (skip(p, T_OPERATOR, ")")) {
            if ((n = new_node(p, N_LIST, line))) n->tuple = true;
            return n;
        }
        n = tuple(p, true);
        return n && expect(p, T_OPERATOR, ")") ? n : NULL;
    }
    return refuse(p, line, "unexpected '%.60s'", here(p));
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
        else if (!(part[n] = expression(p))) return NULL;
    }
    if (!expect(p, T_OPERATOR, "]")) return NULL;
    if (!slice && !part[0]) return refuse(p, line, "a subscript is empty%s", "");
    node *r = new_node(p, slice ? N_SLICE : N_ITEM, line);
    if (r) { r->a = a; r->b = part[0]; r->c = part[1]; r->first = part[2]; }
    return r;
}

static node *call(parser *p, node *a, int line)
{
    if (a->kind == N_NAME) mention_name(p, &p->called, a->name, line);
    if (a->kind == N_FIELD && !known_method(a->name)) return refuse(p, line, "method '%.60s' is not known", a->name);
    node *n = new_node(p, N_CALL, line);
    if (n) { n->a = a; n->first = call_arguments(p); }
    return n;
}

static node *field(parser *p, node *a, int line)
{
    node *n = new_node(p, p->at->kind == T_INT ? N_ITEM : N_FIELD, line);
    if (!n) return NULL;
    n->a = a;
    if (n->kind == N_ITEM) n->b = primary(p);
    else n->name = take_name(p);
    return n;
}

static node *postfix(parser *p, node *n)
{
    while (n && !failed(p->err)) {
        int line = p->at->line;
        if (skip(p, T_OPERATOR, ".")) n = field(p, n, line);
        else if (skip(p, T_OPERATOR, "[")) n = subscript(p, n, line);
        else if (skip(p, T_OPERATOR, "(")) n = call(p, n, line);
        else break;
    }
    return n;
}

static node *filter(parser *p, node *a)
{
    int line = p->at->line;
    node *n = new_node(p, N_FILTER, line);
    if (!n || !(n->name = take_name(p))) return NULL;
    if (!known_filter(n->name)) return refuse(p, line, "filter '%.60s' is not known", n->name);
    n->a = a;
    if (skip(p, T_OPERATOR, "(")) n->first = call_arguments(p);
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
    node *n = new_node(p, N_TEST, line);
    if (!n) return NULL;
    n->negated = skip(p, T_NAME, "not");
    if (!(n->name = take_name(p))) return NULL;
    if (!known_test(n->name)) return refuse(p, line, "test '%.60s' is not known", n->name);
    n->a = a;
    if (skip(p, T_OPERATOR, "(")) n->first = call_arguments(p);
    else if (argument_follows(p)) n->first = postfix(p, primary(p));
    return n;
}

static node *filtered(parser *p, node *n)
{
    while (n && !failed(p->err)) {
        int line = p->at->line;
        if (skip(p, T_OPERATOR, "|")) n = filter(p, n);
        else if (skip(p, T_NAME, "is")) n = test(p, n);
        else if (skip(p, T_OPERATOR, "(")) n = call(p, n, line);
        else break;
    }
    return n;
}

static node *unary(parser *p, bool filters)
{
    int line = p->at->line;
    node *n = NULL;
    if (failed(p->err)) return NULL;
    if (++p->depth > PARSE_DEPTH) return refuse(p, line, "expressions are nested too deeply%s", "");
    if (is_operator(p, "-") || is_operator(p, "+")) {
        node_kind kind = *(p->at++)->text == '-' ? N_MINUS : N_PLUS;
        node *a = unary(p, false);
        if (a && (n = new_node(p, kind, line))) n->a = a;
    }
    else n = postfix(p, primary(p));
    p->depth--;
    return n && filters ? filtered(p, n) : n;
}

static node *power(parser *p)
{
    node *n = unary(p, true);
    for (int line; n && (line = p->at->line, skip(p, T_OPERATOR, "**")); ) n = binary(p, N_BINARY, "**", n, unary(p, true), line);
    return n;
}

/* The operator that stands here if it is one of these. */
static const char *one_of(parser *p, const char *const *operators)
{
    for (; *operators; operators++) if (skip(p, T_OPERATOR, *operators)) return *operators;
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
            if (!(all = new_node(p, N_JOIN, p->at->line))) return NULL;
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
    if (o || skip(p, T_NAME, "in")) return o ? o : "in";
    if (!is_word(p, "not") || p->at[1].kind != T_NAME || strcmp(p->at[1].text, "in")) return NULL;
    p->at += 2;
    return "not in";
}

static node *compared(parser *p)
{
    node *n = sum(p), *all = NULL, **last = NULL;
    for (const char *o; n && (o = comparison(p)); ) {
        if (!all) {
            if (!(all = new_node(p, N_COMPARE, n->line))) return NULL;
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
    if (++p->depth > PARSE_DEPTH) return refuse(p, line, "expressions are nested too deeply%s", "");
    p->at++;
    node *a = negated(p), *n = a ? new_node(p, N_NOT, line) : NULL;
    if (n) n->a = a;
    p->depth--;
    return n;
}

static node *all_of(parser *p)
{
    node *n = negated(p);
    for (int line; n && (line = p->at->line, skip(p, T_NAME, "and")); ) n = binary(p, N_AND, NULL, n, negated(p), line);
    return n;
}

static node *any_of(parser *p)
{
    node *n = all_of(p);
    for (int line; n && (line = p->at->line, skip(p, T_NAME, "or")); ) n = binary(p, N_OR, NULL, n, all_of(p), line);
    return n;
}

static node *expression(parser *p)
{
    if (failed(p->err)) return NULL;
    if (++p->depth > PARSE_DEPTH) return refuse(p, p->at->line, "expressions are nested too deeply%s", "");
    node *n = any_of(p);
    for (int line; n && (line = p->at->line, skip(p, T_NAME, "if")); ) {
        node *choice = new_node(p, N_CHOICE, line);
        if (!choice) return NULL;
        choice->b = n;
        choice->a = any_of(p);
        if (choice->a && skip(p, T_NAME, "else") && !(choice->c = expression(p))) return NULL;
        n = choice->a ? choice : NULL;
    }
    p->depth--;
    return n;
}

/* One expression, or several with commas between, which are a tuple. */
static node *tuple(parser *p, bool choice)
{
    int line = p->at->line;
    node *n = choice ? expression(p) : any_of(p);
    if (!n || !is_operator(p, ",")) return n;
    node *all = new_node(p, N_LIST, line), **last;
    if (!all) return NULL;
    all->tuple = true;
    all->first = n;
    last = &n->next;
    while (skip(p, T_OPERATOR, ",")) {
        if (is_operator(p, ")") || p->at->kind == T_BLOCK_END || p->at->kind == T_PRINT_END || is_operator(p, "=") || is_word(p, "in")) break;
        if (!(*last = choice ? expression(p) : any_of(p))) return NULL;
        last = &(*last)->next;
    }
    return all;
}

/* ---- statements -------------------------------------------------------------------------------------- */

static node *statements(parser *p, const char *const *ends);

/* A name, names with commas between, or a field of a namespace. */
static node *target(parser *p, bool fields)
{
    node *first = NULL, **last = &first;
    int line = p->at->line, count = 0;
    bool bracket = skip(p, T_OPERATOR, "(");
    do {
        if (count && !is_word(p, NULL)) break;
        const char *name = take_name(p);
        node *n = name ? new_node(p, N_NAME, p->at->line) : NULL;
        if (!n) return NULL;
        n->name = name;
        if (fields && !count && skip(p, T_OPERATOR, ".")) {
            node *f = new_node(p, N_FIELD, n->line);
            if (!f || !(f->name = take_name(p))) return NULL;
            f->a = n;
            return f;
        }
        mention_name(p, &p->assigned, name, n->line);
        *last = n;
        last = &n->next;
        count++;
    } while (skip(p, T_OPERATOR, ","));
    if (bracket && !expect(p, T_OPERATOR, ")")) return NULL;
    if (count == 1 && !bracket && p->at[-1].kind == T_NAME) return first;
    node *all = new_node(p, N_LIST, line);
    if (all) { all->tuple = true; all->first = first; }
    return all;
}

static bool close_block(parser *p) { return expect(p, T_BLOCK_END, "%}"); }

/* The word of the block that ended a list of statements. */
static bool skip_end(parser *p, const char *word) { return skip(p, T_NAME, word); }

static node *if_block(parser *p, int line)
{
    static const char *const ends[] = { "elif", "else", "endif", NULL }, *const end[] = { "endif", NULL };
    node *n = new_node(p, N_IF, line);
    if (!n || !(n->a = tuple(p, true)) || !close_block(p)) return NULL;
    n->first = statements(p, ends);
    if (failed(p->err)) return NULL;
    line = p->at->line;
    if (skip_end(p, "elif")) {
        if (++p->depth > PARSE_DEPTH) return refuse(p, line, "blocks are nested too deeply%s", "");
        n->other = if_block(p, line);
        p->depth--;
        return n->other ? n : NULL;
    }
    if (skip_end(p, "else")) {
        if (!close_block(p)) return NULL;
        n->other = statements(p, end);
    }
    return expect(p, T_NAME, "endif") && close_block(p) ? n : NULL;
}

/* Whether an expression takes the content of something. */
static bool names_content(const node *n)
{
    return n && ((n->kind == N_FIELD && !strcmp(n->name, "content")) || (n->kind == N_NAME && !strcmp(n->name, "content"))
                 || (n->kind == N_ITEM && n->b && n->b->kind == N_LITERAL && n->b->literal.kind == V_TEXT && text_is(n->b->literal.text, "content")));
}

static node *for_block(parser *p, int line)
{
    static const char *const ends[] = { "else", "endfor", NULL }, *const end[] = { "endfor", NULL };
    node *n = new_node(p, N_FOR, line);
    if (!n || !(n->b = target(p, false)) || !expect(p, T_NAME, "in") || !(n->a = tuple(p, false))) return NULL;
    p->tree->reads_parts |= names_content(n->a);
    if (skip(p, T_NAME, "if") && !(n->c = expression(p))) return NULL;
    if (is_word(p, "recursive")) return refuse(p, line, "'%s' loops are not known", "recursive");
    if (!close_block(p)) return NULL;
    p->loops++;
    n->first = statements(p, ends);
    p->loops--;
    if (skip_end(p, "else")) {
        if (!close_block(p)) return NULL;
        n->other = statements(p, end);
    }
    return expect(p, T_NAME, "endfor") && close_block(p) ? n : NULL;
}

static node *set_block(parser *p, int line)
{
    static const char *const end[] = { "endset", NULL };
    node *n = new_node(p, N_SET, line);
    if (!n || !(n->b = target(p, true))) return NULL;
    if (skip(p, T_OPERATOR, "=")) return (n->a = tuple(p, true)) && close_block(p) ? n : NULL;
    while (skip(p, T_OPERATOR, "|"))
        if (!(n->c = filter(p, n->c))) return NULL;
    if (!close_block(p)) return NULL;
    n->first = statements(p, end);
    return expect(p, T_NAME, "endset") && close_block(p) ? n : NULL;
}

static node *macro_block(parser *p, int line)
{
    static const char *const end[] = { "endmacro", NULL };
    node *n = new_node(p, N_MACRO, line), **last = n ? &n->b : NULL;
    if (!n || !(n->name = take_name(p)) || !expect(p, T_OPERATOR, "(")) return NULL;
    mention_name(p, &p->assigned, n->name, line);
    while (!failed(p->err) && !skip(p, T_OPERATOR, ")")) {
        if (n->b && !expect(p, T_OPERATOR, ",")) return NULL;
        if (skip(p, T_OPERATOR, ")")) break;
        node *one = new_node(p, N_NAME, p->at->line);
        if (!one || !(one->name = take_name(p))) return NULL;
        mention_name(p, &p->assigned, one->name, line);
        if (skip(p, T_OPERATOR, "=") && !(one->a = expression(p))) return NULL;
        *last = one;
        last = &one->next;
    }
    if (!close_block(p)) return NULL;
    int loops = p->loops;
    p->loops = 0;
    n->first = statements(p, end);
    p->loops = loops;
    if (!expect(p, T_NAME, "endmacro")) return NULL;
    skip(p, T_NAME, n->name);
    return close_block(p) ? n : NULL;
}

static node *generation_block(parser *p, int line)
{
    static const char *const end[] = { "endgeneration", NULL };
    node *n = new_node(p, N_GENERATION, line);
    if (!n || !close_block(p)) return NULL;
    n->first = statements(p, end);
    return expect(p, T_NAME, "endgeneration") && close_block(p) ? n : NULL;
}

static node *loop_control(parser *p, node_kind kind, int line, const char *word)
{
    if (!p->loops) return refuse(p, line, "'%s' outside a loop", word);
    node *n = new_node(p, kind, line);
    return n && close_block(p) ? n : NULL;
}

static node *block(parser *p)
{
    int line = p->at->line;
    const char *word = take_name(p);
    if (!word) return NULL;
    if (!strcmp(word, "if")) return if_block(p, line);
    if (!strcmp(word, "for")) return for_block(p, line);
    if (!strcmp(word, "set")) return set_block(p, line);
    if (!strcmp(word, "macro")) return macro_block(p, line);
    if (!strcmp(word, "generation")) return generation_block(p, line);
    if (!strcmp(word, "break")) return loop_control(p, N_BREAK, line, word);
    if (!strcmp(word, "continue")) return loop_control(p, N_CONTINUE, line, word);
    return refuse(p, line, "tag '%.60s' is not known", word);
}

static bool ends_here(const parser *p, const char *const *ends)
{
    for (; ends && *ends; ends++) if (is_word(p, *ends)) return true;
    return false;
}

static node *print_tag(parser *p)
{
    int line = p->at->line;
    node *n = new_node(p, N_PRINT, line);
    return n && (n->a = tuple(p, true)) && expect(p, T_PRINT_END, "}}") ? n : NULL;
}

static node *data(parser *p)
{
    node *n = new_node(p, N_DATA, p->at->line);
    if (n) n->literal = value_text((marked_text){ p->at->text, NULL, p->at->n });
    p->at++;
    return n;
}

/* Until a block with one of these words, whose word is the next token; NULL: until the end. */
static node *statements(parser *p, const char *const *ends)
{
    node *first = NULL, **last = &first;
    if (failed(p->err)) return NULL;
    if (++p->depth > PARSE_DEPTH) return refuse(p, p->at->line, "blocks are nested too deeply%s", "");
    while (!failed(p->err)) {
        if (is(p, T_END, NULL)) {
            if (ends) refuse(p, p->at->line, "'%s' is missing", ends[1] ? ends[2] ? ends[2] : ends[1] : ends[0]);
            break;
        }
        node *n = NULL;
        if (is(p, T_DATA, NULL)) n = data(p);
        else if (skip(p, T_PRINT, NULL)) n = print_tag(p);
        else {
            p->at++;
            if (ends_here(p, ends)) break;
            n = block(p);
        }
        if (!n) break;
        *last = n;
        last = &n->next;
    }
    p->depth--;
    return first;
}

/* ---- the template -------------------------------------------------------------------------------------- */

/* Every called name is a function of Jinja, or something gives it a value. */
static void check_calls(parser *p)
{
    for (const mention *c = p->called; c && !failed(p->err); c = c->next) {
        const mention *a = p->assigned;
        while (a && strcmp(a->name, c->name)) a = a->next;
        if (!a && !known_function(c->name)) refuse(p, c->line, "function '%.60s' is not known", c->name);
    }
}

jinja *jinja_parse(const char *source, size_t n, const char *name, lithe_error *err)
{
    lithe_error own = { 0 };
    if (!err) err = &own;
    jinja *t = failed(err) ? NULL : xalloc(1, sizeof *t);
    if (!t) { fail(err, LITHE_ENOMEM, "%s: out of memory", name); return NULL; }
    parser p = { .tree = t, .err = err };
    t->name = arena_strdup(&t->memory, name);
    if (!t->name) fail(err, LITHE_ENOMEM, "%s: out of memory", name);
    p.at = failed(err) ? NULL : jinja_lex(&t->memory, source, n, t->name, err);
    if (p.at) t->body = statements(&p, NULL);
    if (p.at && !failed(err)) check_calls(&p);
    if (!failed(err)) return t;
    jinja_free(t);
    return NULL;
}

void jinja_free(jinja *t)
{
    if (!t) return;
    arena_free(&t->memory);
    free(t);
}

bool jinja_reads_parts(const jinja *t) { return t->reads_parts; }
