/* Python's pickle (pickletools.py), protocols 2 to 5, reduced to what
 * torch.save writes for a dict of tensors: there is a table of opcodes, and everything else
 * is refused.  A value is an index and containers are lists of cells, so a pickle
 * that contains itself is a cycle of indices that no recursion follows.
 * Invariant: an opcode makes at most one value and takes its operands from the
 * stack, so memory is bounded by the number of opcodes, which is bounded. */
#include "files/pickle.h"
#include "files/tensor_formats.h"
#include <stdlib.h>

enum { MAX_STEPS = 1 << 22, MAX_STACK = 1 << 16, MAX_STRING = 1 << 24, MAX_LINE = 256, MARK = -1 };

static int refuse(pickle *p, const char *why)
{
    return fail(p->err, LITHE_EFORMAT, "%s: pickle, byte %zu: %s", p->what, p->at, why);
}

/* ---- memory ------------------------------------------------------------------------- */

static bool grow(void *array, size_t used, size_t *capacity, size_t size)
{
    if (used < *capacity) return true;
    size_t more = *capacity ? 2 * *capacity : 64;
    void *bigger = xrealloc(*(void **)array, more, size);
    if (!bigger) return false;
    *(void **)array = bigger;
    *capacity = more;
    return true;
}

int pickle_value(pickle *p, value v)
{
    if (!grow(&p->values, p->count, &p->capacity, sizeof *p->values)) return fail(p->err, LITHE_ENOMEM, "%s: no memory for its pickle", p->what);
    p->values[p->count] = v;
    return (int)p->count++;
}

static int push_index(pickle *p, int index)
{
    if (p->depth == MAX_STACK) return refuse(p, "the stack is deeper than 65536");
    if (!grow(&p->stack, p->depth, &p->stack_capacity, sizeof *p->stack)) return fail(p->err, LITHE_ENOMEM, "%s: no memory for its pickle", p->what);
    p->stack[p->depth++] = index;
    return LITHE_OK;
}

static int push(pickle *p, value v)
{
    int index = pickle_value(p, v);
    return index < 0 ? index : push_index(p, index);
}

static int push_result(pickle *p, int index) { return index < 0 ? index : push_index(p, index); }

static int append(pickle *p, int container, int index)
{
    if (!grow(&p->cells, p->cell_count, &p->cell_capacity, sizeof *p->cells)) return fail(p->err, LITHE_ENOMEM, "%s: no memory for its pickle", p->what);
    int c = (int)p->cell_count++;
    value *v = &p->values[container];
    p->cells[c] = (cell){ .value = index, .next = -1 };
    if (v->count++) p->cells[v->last].next = c; else v->first = c;
    v->last = c;
    return LITHE_OK;
}

/* ---- operands ------------------------------------------------------------------------- */

static const uint8_t *take(pickle *p, size_t n)
{
    if (n > p->size - p->at) { refuse(p, "ends inside an opcode"); return NULL; }
    p->at += n;
    return p->data + p->at - n;
}

/* A line without its newline, as text. */
static int take_line(pickle *p, char line[MAX_LINE])
{
    const uint8_t *start = p->data + p->at, *end = memchr(start, '\n', p->size - p->at);
    if (!end) return refuse(p, "a name without its end");
    size_t n = (size_t)(end - start);
    if (n >= MAX_LINE || memchr(start, 0, n)) return refuse(p, "a name of more than 255 bytes, or with a NUL");
    memcpy(line, start, n);
    line[n] = 0;
    p->at += n + 1;
    return LITHE_OK;
}

static int pop(pickle *p)
{
    if (!p->depth) return refuse(p, "the stack is empty");
    if (p->stack[p->depth - 1] == MARK) return refuse(p, "a mark where a value is due");
    return p->stack[--p->depth];
}

static int top(pickle *p)
{
    int index = pop(p);
    if (index >= 0) p->depth++;
    return index;
}

static int require_kind(pickle *p, int index, value_kind kind, const char *why)
{
    if (index < 0) return index;
    return p->values[index].kind == kind ? index : refuse(p, why);
}

/* The place of the last mark, which is removed together with the values above it after their use. */
static int find_mark(pickle *p, size_t *mark)
{
    for (size_t i = p->depth; i-- > 0;)
        if (p->stack[i] == MARK) { *mark = i; return LITHE_OK; }
    return refuse(p, "no mark on the stack");
}

/* ---- opcodes -------------------------------------------------------------------------- */

static value container(value_kind kind) { return (value){ .kind = kind, .first = -1, .last = -1 }; }
static value integer(value_kind kind, int64_t n) { return (value){ .kind = kind, .integer = n }; }

static int op_proto(pickle *p)
{
    const uint8_t *b = take(p, 1);
    if (!b) return LITHE_EFORMAT;
    return *b >= 2 && *b <= 5 ? LITHE_OK : refuse(p, "its protocol is not 2 to 5");
}

static int op_frame(pickle *p) { return take(p, 8) ? LITHE_OK : LITHE_EFORMAT; }
static int op_mark(pickle *p)  { return push_index(p, MARK); }
static int op_none(pickle *p)  { return push(p, integer(V_NONE, 0)); }
static int op_true(pickle *p)  { return push(p, integer(V_BOOL, 1)); }
static int op_false(pickle *p) { return push(p, integer(V_BOOL, 0)); }

static int op_binint(pickle *p)  { const uint8_t *b = take(p, 4); return b ? push(p, integer(V_INT, read_i32(b))) : LITHE_EFORMAT; }
static int op_binint1(pickle *p) { const uint8_t *b = take(p, 1); return b ? push(p, integer(V_INT, *b)) : LITHE_EFORMAT; }
static int op_binint2(pickle *p) { const uint8_t *b = take(p, 2); return b ? push(p, integer(V_INT, read_u16(b))) : LITHE_EFORMAT; }
static int op_float(pickle *p)   { return take(p, 8) ? push(p, integer(V_OTHER, 0)) : LITHE_EFORMAT; }

/* Two's complement of any length; a number beyond int64 becomes a value without use. */
static int op_long1(pickle *p)
{
    const uint8_t *b = take(p, 1);
    size_t n = b ? *b : 0;
    if (!b || !(b = take(p, n))) return LITHE_EFORMAT;
    if (n > 8) return push(p, integer(V_OTHER, 0));
    uint64_t x = n && b[n - 1] & 0x80 ? UINT64_MAX : 0;
    for (size_t i = n; i-- > 0;) x = x << 8 | b[i];
    return push(p, integer(V_INT, (int64_t)x));
}

static int push_string(pickle *p, size_t n)
{
    if (n > MAX_STRING) return refuse(p, "a string of more than 16 MiB");
    const uint8_t *b = take(p, n);
    return b ? push(p, (value){ .kind = V_STRING, .count = (int)n, .text = (const char *)b }) : LITHE_EFORMAT;
}

static int op_unicode(pickle *p)       { const uint8_t *b = take(p, 4); return b ? push_string(p, read_u32(b)) : LITHE_EFORMAT; }
static int op_short_unicode(pickle *p) { const uint8_t *b = take(p, 1); return b ? push_string(p, *b) : LITHE_EFORMAT; }

static int op_empty_tuple(pickle *p) { return push(p, container(V_TUPLE)); }
static int op_empty_list(pickle *p)  { return push(p, container(V_LIST)); }
static int op_empty_dict(pickle *p)  { return push(p, container(V_DICT)); }

/* Appends the stack from `from` on to the container. */
static int gather(pickle *p, int index, size_t from, size_t keep)
{
    for (size_t i = from; i < p->depth; i++) {
        if (p->stack[i] == MARK) return refuse(p, "a mark where a value is due");
        int status = append(p, index, p->stack[i]);
        if (status) return status;
    }
    p->depth = keep;
    return LITHE_OK;
}

static int make_tuple(pickle *p, size_t from, size_t keep)
{
    int index = pickle_value(p, container(V_TUPLE));
    if (index < 0) return index;
    int status = gather(p, index, from, keep);
    return status ? status : push_index(p, index);
}

static int op_tuple(pickle *p)
{
    size_t mark = 0;
    int status = find_mark(p, &mark);
    return status ? status : make_tuple(p, mark + 1, mark);
}

static int tuple_of(pickle *p, size_t n)
{
    if (p->depth < n) return refuse(p, "the stack is empty");
    return make_tuple(p, p->depth - n, p->depth - n);
}

static int op_tuple1(pickle *p) { return tuple_of(p, 1); }
static int op_tuple2(pickle *p) { return tuple_of(p, 2); }
static int op_tuple3(pickle *p) { return tuple_of(p, 3); }

/* Adds the items from `from` on to the container below `keep`. */
static int add_items(pickle *p, value_kind kind, size_t from, size_t keep)
{
    if (!keep || p->stack[keep - 1] == MARK) return refuse(p, "no container for the items");
    int index = require_kind(p, p->stack[keep - 1], kind, "items for something that cannot hold them");
    if (index < 0) return index;
    if (kind == V_DICT && (p->depth - from) % 2) return refuse(p, "a key without its value");
    return gather(p, index, from, keep);
}

static int add_marked(pickle *p, value_kind kind)
{
    size_t mark = 0;
    int status = find_mark(p, &mark);
    return status ? status : add_items(p, kind, mark + 1, mark);
}

static int add_last(pickle *p, value_kind kind, size_t n)
{
    if (p->depth < n) return refuse(p, "the stack is empty");
    return add_items(p, kind, p->depth - n, p->depth - n);
}

static int op_append(pickle *p)   { return add_last(p, V_LIST, 1); }
static int op_appends(pickle *p)  { return add_marked(p, V_LIST); }
static int op_setitem(pickle *p)  { return add_last(p, V_DICT, 2); }
static int op_setitems(pickle *p) { return add_marked(p, V_DICT); }

/* Pickler numbers the memo from 0 on, with at least two bytes an entry, so no index reaches the size of the pickle. */
static int put(pickle *p, size_t i)
{
    int index = top(p);
    if (index < 0) return index;
    if (i >= p->size || i >= MAX_STEPS) return refuse(p, "a memo index beyond the pickle's size");
    while (p->memo_size <= i) {
        size_t old = p->memo_size;
        if (!grow(&p->memo, p->memo_size, &p->memo_size, sizeof *p->memo)) return fail(p->err, LITHE_ENOMEM, "%s: no memory for its pickle", p->what);
        for (size_t k = old; k < p->memo_size; k++) p->memo[k] = -1;
    }
    p->memo[i] = index;
    p->memo_used++;
    return LITHE_OK;
}

static int get(pickle *p, size_t i)
{
    if (i >= p->memo_size || p->memo[i] < 0) return refuse(p, "a memo entry that was never put");
    return push_index(p, p->memo[i]);
}

static int op_put(pickle *p)      { const uint8_t *b = take(p, 1); return b ? put(p, *b) : LITHE_EFORMAT; }
static int op_long_put(pickle *p) { const uint8_t *b = take(p, 4); return b ? put(p, read_u32(b)) : LITHE_EFORMAT; }
static int op_memoize(pickle *p)  { return put(p, p->memo_used); }
static int op_get(pickle *p)      { const uint8_t *b = take(p, 1); return b ? get(p, *b) : LITHE_EFORMAT; }
static int op_long_get(pickle *p) { const uint8_t *b = take(p, 4); return b ? get(p, read_u32(b)) : LITHE_EFORMAT; }

static int op_global(pickle *p)
{
    char module[MAX_LINE], name[MAX_LINE];
    int status = take_line(p, module);
    if (!status) status = take_line(p, name);
    return status ? status : push_result(p, p->global(p, module, name));
}

static int pop_name(pickle *p, char line[MAX_LINE])
{
    int index = require_kind(p, pop(p), V_STRING, "a global whose name is not text");
    if (index < 0) return index;
    const value *v = &p->values[index];
    if (v->count >= MAX_LINE || memchr(v->text, 0, (size_t)v->count)) return refuse(p, "a name of more than 255 bytes, or with a NUL");
    memcpy(line, v->text, (size_t)v->count);
    line[v->count] = 0;
    return LITHE_OK;
}

static int op_stack_global(pickle *p)
{
    char module[MAX_LINE], name[MAX_LINE];
    int status = pop_name(p, name);
    if (!status) status = pop_name(p, module);
    return status ? status : push_result(p, p->global(p, module, name));
}

static int op_persistent(pickle *p)
{
    int id = pop(p);
    return id < 0 ? id : push_result(p, p->persistent(p, id));
}

static int op_reduce(pickle *p)
{
    int arguments = require_kind(p, pop(p), V_TUPLE, "a call whose arguments are not a tuple");
    if (arguments < 0) return arguments;
    int function = require_kind(p, pop(p), V_GLOBAL, "a call of something that is not a function");
    return function < 0 ? function : push_result(p, p->call(p, function, arguments));
}

/* An OrderedDict may have attributes (_metadata of a state dict), which do not concern tensors. */
static int op_build(pickle *p)
{
    int state = require_kind(p, pop(p), V_DICT, "attributes that are not a dict");
    if (state < 0) return state;
    int object = require_kind(p, top(p), V_DICT, "attributes for something that is not a dict");
    return object < 0 ? object : LITHE_OK;
}

static int (*const OPCODES[256])(pickle *p) = {
    [0x80] = op_proto, [0x95] = op_frame, ['('] = op_mark,
    ['N'] = op_none, [0x88] = op_true, [0x89] = op_false,
    ['J'] = op_binint, ['K'] = op_binint1, ['M'] = op_binint2, [0x8a] = op_long1, ['G'] = op_float,
    ['X'] = op_unicode, [0x8c] = op_short_unicode,
    [')'] = op_empty_tuple, [0x85] = op_tuple1, [0x86] = op_tuple2, [0x87] = op_tuple3, ['t'] = op_tuple,
    [']'] = op_empty_list, ['a'] = op_append, ['e'] = op_appends,
    ['}'] = op_empty_dict, ['s'] = op_setitem, ['u'] = op_setitems,
    ['q'] = op_put, ['r'] = op_long_put, [0x94] = op_memoize, ['h'] = op_get, ['j'] = op_long_get,
    ['c'] = op_global, [0x93] = op_stack_global, ['Q'] = op_persistent, ['R'] = op_reduce, ['b'] = op_build,
};

/* ---- the machine ------------------------------------------------------------------------ */

static int result(pickle *p)
{
    int index = pop(p);
    if (index < 0) return index;
    if (p->depth) return refuse(p, "stops with values left on the stack");
    if (p->at != p->size) return refuse(p, "something follows its end");
    return index;
}

int pickle_run(pickle *p)
{
    while (p->at < p->size) {
        uint8_t opcode = p->data[p->at++];
        if (opcode == '.') return result(p);
        if (++p->steps > MAX_STEPS) return refuse(p, "more than 4194304 opcodes");
        if (!OPCODES[opcode])
            return fail(p->err, LITHE_EFORMAT, "%s: pickle, byte %zu: refuses the opcode 0x%02x, which a dict of tensors does not need", p->what, p->at - 1, opcode);
        int status = OPCODES[opcode](p);
        if (status) return status;
    }
    return refuse(p, "ends without a stop");
}

void pickle_free(pickle *p)
{
    free(p->values);
    free(p->cells);
    free(p->stack);
    free(p->memo);
}

int pickle_item(const pickle *p, int index, int i)
{
    int c = p->values[index].first;
    for (; c >= 0 && i > 0; i--) c = p->cells[c].next;
    return c < 0 ? -1 : p->cells[c].value;
}

bool pickle_is(const pickle *p, int index, value_kind kind) { return index >= 0 && p->values[index].kind == kind; }
