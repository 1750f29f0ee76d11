/* Statements from tokens to a tree, and what all parsing needs. */
#include "text/jinja_parser.h"
#include <stdlib.h>

node *parser_refuse(parser *p, int line, const char *format, const char *what)
{
    char text[200];
    snprintf(text, sizeof text, format, what);
    for (char *c = text; *c; c++) if ((unsigned char)*c < ' ') *c = ' ';
    fail(p->err, LITHE_EFORMAT, "%s: line %d: %s", p->tree->name, line, text);
    return NULL;
}

node *parser_node(parser *p, node_kind kind, int line)
{
    node *n = failed(p->err) ? NULL : arena_alloc(&p->tree->memory, sizeof *n);
    if (!n) { fail(p->err, LITHE_ENOMEM, "%s: out of memory", p->tree->name); return NULL; }
    n->kind = kind;
    n->line = line;
    return n;
}

void parser_mention(parser *p, mention **list, const char *name, int line)
{
    mention *one = arena_alloc(&p->tree->memory, sizeof *one);
    if (!one) { fail(p->err, LITHE_ENOMEM, "%s: out of memory", p->tree->name); return; }
    *one = (mention){ name, line, *list };
    *list = one;
}

/* ---- tokens ------------------------------------------------------------------------------------ */

bool parser_skip(parser *p, token_kind kind, const char *text)
{
    bool here = !failed(p->err) && is(p, kind, text);
    if (here) p->at++;
    return here;
}

const char *parser_here(const parser *p) { return p->at->kind == T_END ? "the end of the template" : p->at->kind == T_DATA ? "text" : p->at->text; }

bool parser_expect(parser *p, token_kind kind, const char *text)
{
    if (parser_skip(p, kind, text)) return true;
    fail(p->err, LITHE_EFORMAT, "%s: line %d: expected %.40s, found '%.60s'", p->tree->name, p->at->line, text, parser_here(p));
    return false;
}

const char *parser_name(parser *p)
{
    const char *name = p->at->text;
    if (p->at->kind == T_NAME) { p->at++; return name; }
    parser_refuse(p, p->at->line, "expected a name, found '%.60s'", parser_here(p));
    return NULL;
}

/* ---- statements -------------------------------------------------------------------------------------- */

static node *statements(parser *p, const char *const *ends);

/* A name, names with commas between, or a field of a namespace. */
static node *target(parser *p, bool fields)
{
    node *first = NULL, **last = &first;
    int line = p->at->line, count = 0;
    bool bracket = parser_skip(p, T_OPERATOR, "(");
    do {
        if (count && !is_word(p, NULL)) break;
        const char *name = parser_name(p);
        node *n = name ? parser_node(p, N_NAME, p->at->line) : NULL;
        if (!n) return NULL;
        n->name = name;
        if (fields && !count && parser_skip(p, T_OPERATOR, ".")) {
            node *f = parser_node(p, N_FIELD, n->line);
            if (!f || !(f->name = parser_name(p))) return NULL;
            f->a = n;
            return f;
        }
        parser_mention(p, &p->assigned, name, n->line);
        *last = n;
        last = &n->next;
        count++;
    } while (parser_skip(p, T_OPERATOR, ","));
    if (bracket && !parser_expect(p, T_OPERATOR, ")")) return NULL;
    if (count == 1 && !bracket && p->at[-1].kind == T_NAME) return first;
    node *all = parser_node(p, N_LIST, line);
    if (all) { all->tuple = true; all->first = first; }
    return all;
}

static bool close_block(parser *p) { return parser_expect(p, T_BLOCK_END, "%}"); }

/* The word of the block that ended a list of statements. */
static bool skip_end(parser *p, const char *word) { return parser_skip(p, T_NAME, word); }

static node *if_block(parser *p, int line)
{
    static const char *const ends[] = { "elif", "else", "endif", NULL }, *const end[] = { "endif", NULL };
    node *n = parser_node(p, N_IF, line);
    if (!n || !(n->a = parse_tuple(p, true)) || !close_block(p)) return NULL;
    n->first = statements(p, ends);
    if (failed(p->err)) return NULL;
    line = p->at->line;
    if (skip_end(p, "elif")) {
        if (++p->depth > PARSE_DEPTH) return parser_refuse(p, line, "blocks are nested too deeply%s", "");
        n->other = if_block(p, line);
        p->depth--;
        return n->other ? n : NULL;
    }
    if (skip_end(p, "else")) {
        if (!close_block(p)) return NULL;
        n->other = statements(p, end);
    }
    return parser_expect(p, T_NAME, "endif") && close_block(p) ? n : NULL;
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
    node *n = parser_node(p, N_FOR, line);
    if (!n || !(n->b = target(p, false)) || !parser_expect(p, T_NAME, "in") || !(n->a = parse_tuple(p, false))) return NULL;
    p->tree->reads_parts |= names_content(n->a);
    if (parser_skip(p, T_NAME, "if") && !(n->c = parse_expression(p))) return NULL;
    if (is_word(p, "recursive")) return parser_refuse(p, line, "'%s' loops are not known", "recursive");
    if (!close_block(p)) return NULL;
    p->loops++;
    n->first = statements(p, ends);
    p->loops--;
    if (skip_end(p, "else")) {
        if (!close_block(p)) return NULL;
        n->other = statements(p, end);
    }
    return parser_expect(p, T_NAME, "endfor") && close_block(p) ? n : NULL;
}

static node *set_block(parser *p, int line)
{
    static const char *const end[] = { "endset", NULL };
    node *n = parser_node(p, N_SET, line);
    if (!n || !(n->b = target(p, true))) return NULL;
    if (parser_skip(p, T_OPERATOR, "=")) return (n->a = parse_tuple(p, true)) && close_block(p) ? n : NULL;
    while (parser_skip(p, T_OPERATOR, "|"))
        if (!(n->c = parse_filter(p, n->c))) return NULL;
    if (!close_block(p)) return NULL;
    n->first = statements(p, end);
    return parser_expect(p, T_NAME, "endset") && close_block(p) ? n : NULL;
}

static node *macro_block(parser *p, int line)
{
    static const char *const end[] = { "endmacro", NULL };
    node *n = parser_node(p, N_MACRO, line), **last = n ? &n->b : NULL;
    if (!n || !(n->name = parser_name(p)) || !parser_expect(p, T_OPERATOR, "(")) return NULL;
    parser_mention(p, &p->assigned, n->name, line);
    while (!failed(p->err) && !parser_skip(p, T_OPERATOR, ")")) {
        if (n->b && !parser_expect(p, T_OPERATOR, ",")) return NULL;
        if (parser_skip(p, T_OPERATOR, ")")) break;
        node *one = parser_node(p, N_NAME, p->at->line);
        if (!one || !(one->name = parser_name(p))) return NULL;
        parser_mention(p, &p->assigned, one->name, line);
        if (parser_skip(p, T_OPERATOR, "=") && !(one->a = parse_expression(p))) return NULL;
        *last = one;
        last = &one->next;
    }
    if (!close_block(p)) return NULL;
    int loops = p->loops;
    p->loops = 0;
    n->first = statements(p, end);
    p->loops = loops;
    if (!parser_expect(p, T_NAME, "endmacro")) return NULL;
    parser_skip(p, T_NAME, n->name);
    return close_block(p) ? n : NULL;
}

static node *generation_block(parser *p, int line)
{
    static const char *const end[] = { "endgeneration", NULL };
    node *n = parser_node(p, N_GENERATION, line);
    if (!n || !close_block(p)) return NULL;
    n->first = statements(p, end);
    return parser_expect(p, T_NAME, "endgeneration") && close_block(p) ? n : NULL;
}

static node *loop_control(parser *p, node_kind kind, int line, const char *word)
{
    if (!p->loops) return parser_refuse(p, line, "'%s' outside a loop", word);
    node *n = parser_node(p, kind, line);
    return n && close_block(p) ? n : NULL;
}

static node *block(parser *p)
{
    int line = p->at->line;
    const char *word = parser_name(p);
    if (!word) return NULL;
    if (!strcmp(word, "if")) return if_block(p, line);
    if (!strcmp(word, "for")) return for_block(p, line);
    if (!strcmp(word, "set")) return set_block(p, line);
    if (!strcmp(word, "macro")) return macro_block(p, line);
    if (!strcmp(word, "generation")) return generation_block(p, line);
    if (!strcmp(word, "break")) return loop_control(p, N_BREAK, line, word);
    if (!strcmp(word, "continue")) return loop_control(p, N_CONTINUE, line, word);
    return parser_refuse(p, line, "tag '%.60s' is not known", word);
}

static bool ends_here(const parser *p, const char *const *ends)
{
    for (; ends && *ends; ends++) if (is_word(p, *ends)) return true;
    return false;
}

static node *print_tag(parser *p)
{
    int line = p->at->line;
    node *n = parser_node(p, N_PRINT, line);
    return n && (n->a = parse_tuple(p, true)) && parser_expect(p, T_PRINT_END, "}}") ? n : NULL;
}

static node *data(parser *p)
{
    node *n = parser_node(p, N_DATA, p->at->line);
    if (n) n->literal = value_text((marked_text){ p->at->text, NULL, p->at->n });
    p->at++;
    return n;
}

/* Until a block with one of these words, whose word is the next token; NULL: until the end. */
static node *statements(parser *p, const char *const *ends)
{
    node *first = NULL, **last = &first;
    if (failed(p->err)) return NULL;
    if (++p->depth > PARSE_DEPTH) return parser_refuse(p, p->at->line, "blocks are nested too deeply%s", "");
    while (!failed(p->err)) {
        if (is(p, T_END, NULL)) {
            if (ends) parser_refuse(p, p->at->line, "'%s' is missing", ends[1] ? ends[2] ? ends[2] : ends[1] : ends[0]);
            break;
        }
        node *n = NULL;
        if (is(p, T_DATA, NULL)) n = data(p);
        else if (parser_skip(p, T_PRINT, NULL)) n = print_tag(p);
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
        if (!a && !known_function(c->name)) parser_refuse(p, c->line, "function '%.60s' is not known", c->name);
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
