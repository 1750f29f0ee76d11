/* PyTorch zips: hand-made pickles for every rule, hostile archives, views,
 * wrapped dicts, and files that promise more than they hold. */
#include "tensor_file.h"
#include "stored_zip.h"
#include "files/zip.h"

/* ---- pickles by hand --------------------------------------------------------------- */

#define STR(length, text)           "X" length "\0\0\0" text
#define OD                          "ccollections\nOrderedDict\n)R"
#define STORAGE(class, key, n)      "(" STR("\7", "storage") "ctorch\n" class "\n" STR("\1", key) STR("\3", "cpu") "K" n "tQ"
#define FLOATS                      STORAGE("FloatStorage", "0", "\6")
#define TENSOR(storage, offset, sizes, strides) "ctorch._utils\n_rebuild_tensor_v2\n(" storage offset sizes strides "\211" OD "tR"
#define PLAIN                       TENSOR(FLOATS, "K\0", "K\2K\3\206", "K\3K\1\206")
#define DICT(items)                 "\200\2}(" items "u."
#define ONE(tensor)                 DICT(STR("\1", "w") tensor)
#define P(pickle)                   pickle, sizeof(pickle) - 1

static const float STORED[6] = { 0, 1, 2, 3, 4, 5 };

static bytes archive(const char *pickle, size_t size, int zip64)
{
    const zip_part parts[] = { { "a/data.pkl", pickle, size }, { "a/byteorder", "little", 6 }, { "a/data/0", STORED, sizeof STORED }, { "a/data/1", "\x80\x3f\0\x40", 4 }, { "a/version", "3\n", 2 } };
    return stored_zip(parts, 5, zip64);
}

static void check_pickle(const char *label, const char *pickle, size_t size, const char *why)
{
    for (int zip64 = 0; zip64 < 2; zip64++) {
        bytes b = archive(pickle, size, zip64);
        check_parse(label, b.data, b.size, why);
        free(b.data);
    }
}

typedef struct { const char *label, *pickle; size_t size; const char *why; } pickle_case;

static void check_pickles(const pickle_case *c, size_t n)
{
    for (size_t i = 0; i < n; i++) check_pickle(c[i].label, c[i].pickle, c[i].size, c[i].why);
}

/* A pickle that is accepted ends with its stop: each of its prefixes lacks that, or ends inside an opcode. */
static void check_prefixes(const pickle_case *c, size_t n)
{
    for (size_t i = 0; i < n; i++)
        for (size_t size = 0; size < c[i].size; size++) {
            bytes b = archive(c[i].pickle, size, 0);
            check_parse(c[i].label, b.data, b.size, "NAME: pickle, byte ");
            free(b.data);
        }
}

/* ---- accepted ------------------------------------------------------------------------ */

static const pickle_case ACCEPTED[] = {
    { "plain",               P(ONE(PLAIN)), NULL },
    { "item by item",        P("\200\2}" STR("\1", "w") PLAIN "s."), NULL },
    { "ordered dict",        P("\200\2" OD "(" STR("\1", "w") PLAIN "u."), NULL },
    { "with _metadata",      P("\200\2" OD "(" STR("\1", "w") PLAIN "u}" STR("\11", "_metadata") OD "sb."), NULL },
    { "parameter",           P(ONE("ctorch._utils\n_rebuild_parameter\n(" PLAIN "\210" OD "tR")), NULL },
    { "memo",                P("\200\2}q\0(" STR("\1", "w") "q\1" PLAIN "r\2\0\0\0" STR("\1", "v") "j\2\0\0\0u."), NULL },
    { "torch.storage",       P(ONE(TENSOR("(" STR("\7", "storage") "ctorch.storage\nFloatStorage\n" STR("\1", "0") STR("\3", "cpu") "K\6tQ", "K\0", "K\6\205", "K\1\205"))), NULL },
    { "bfloat16",            P(ONE(TENSOR(STORAGE("BFloat16Storage", "1", "\2"), "K\1", ")", ")"))), NULL },
    { "metadata argument",   P(ONE("ctorch._utils\n_rebuild_tensor_v2\n(" FLOATS "K\0K\6\205K\1\205\211" OD "}tR")), NULL },
    { "leaves beside",       P(DICT(STR("\1", "w") PLAIN STR("\1", "i") "J\1\0\0\0" STR("\1", "f") "G\0\0\0\0\0\0\0\0" STR("\1", "n") "N" STR("\1", "b") "\210"
                                    STR("\1", "s") STR("\1", "x") STR("\1", "l") "](K\1K\2e" STR("\1", "m") "]K\1a" STR("\1", "t") "K\1\205"
                                    STR("\1", "d") "}" STR("\1", "h") "M\0\1" "K\5" STR("\1", "q")
                                    STR("\1", "L") "\212\11\1\2\3\4\5\6\7\1\1" STR("\1", "z") "\212\0")), NULL },
    { "protocol 4",          P("\200\4\225\0\0\0\0\0\0\0\0}\224(\214\1w\224\214\14torch._utils\224\214\22_rebuild_tensor_v2\224\223\224("
                               "(\214\7storage\224\214\5torch\224\214\14FloatStorage\224\223\224\214\1" "0\224\214\3cpu\224K\6t\224Q"
                               "K\0K\6\205\224K\1\205\224\211" OD "t\224R\224u."), NULL },
    { "stride of a size 1",  P(ONE(TENSOR(FLOATS, "K\0", "K\1K\6\206", "K\x63K\1\206"))), NULL },
    { "empty tensor",        P(ONE(TENSOR(FLOATS, "K\6", "K\0K\7\206", "K\7K\1\206"))), NULL },
    { "long size",           P(ONE(TENSOR(FLOATS, "\212\1\0", "\212\1\6\205", "\212\1\1\205"))), NULL },
};

void pytorch_accepted(void)
{
    check_pickles(ACCEPTED, sizeof ACCEPTED / sizeof *ACCEPTED);
    check_prefixes(ACCEPTED, sizeof ACCEPTED / sizeof *ACCEPTED);
    bytes b = archive(P(ONE(PLAIN)), 0);
    lithe_error err = { 0 };
    void *keep;
    float x[6];
    tensor_file *f = parse_copy(b.data, b.size, 1, &keep, &err);
    CHECK_MSG(f && f->count == 1 && !strcmp(f->format, "pytorch"), "%s", err.text);
    const file_tensor *t = f ? tensor_file_find(f, "w") : NULL;
    CHECK(t && t->type == DT_F32 && !strcmp(t->type_name, "FloatStorage") && t->rank == 2 && t->dims[0] == 2 && t->dims[1] == 3 && t->bytes == 24);
    CHECK(t && file_tensor_floats(t, 0, 6, x) && !memcmp(x, STORED, sizeof x));
    tensor_file_close(f);
    free(keep);
    for (size_t n = 0; n < b.size; n++) check_parse("prefix of a zip", b.data, n, "NAME");
    free(b.data);
}

/* PyTorch 1.13's own file of {"w": arange(6).reshape(2, 3)}. */
void pytorch_published(void)
{
    lithe_error err = { 0 };
    float x[6];
    tensor_file *f = tensor_file_open(test_file("tests/fuzz/corpus/pickle/zip"), &err);
    const file_tensor *t = f ? tensor_file_find(f, "w") : NULL;
    CHECK_MSG(t && t->rank == 2 && t->dims[0] == 2 && t->dims[1] == 3 && f->count == 1, "%s", err.text);
    CHECK(t && file_tensor_floats(t, 0, 6, x) && !memcmp(x, STORED, sizeof x));
    tensor_file_close(f);
}

/* ---- refused ------------------------------------------------------------------------- */

static const pickle_case REFUSED[] = {
    { "os.system",            P("\200\2cos\nsystem\n(X\2\0\0\0idtR."), "refuses to load os.system: " },
    { "as a leaf",            P(DICT(STR("\1", "w") PLAIN STR("\1", "e") "cposix\nsystem\n" STR("\2", "id") "\205R")), "refuses to load posix.system: " },
    { "protocol 0",           P("cos\nsystem\n(S'id'\ntR."), "refuses to load os.system: " },
    { "protocol 4 system",    P("\200\4\225\0\0\0\0\0\0\0\0\214\2os\224\214\6system\224\223\224\214\2id\224\205\224R\224."), "refuses to load os.system: " },
    { "builtins",             P("\200\2c__builtin__\neval\n."), "refuses to load __builtin__.eval" },
    { "near a good name",     P("\200\2ctorch._utils\n_rebuild_tensor_v3\n."), "refuses to load torch._utils._rebuild_tensor_v3" },
    { "near a good module",   P("\200\2ctorch\n_rebuild_tensor_v2\n."), "refuses to load torch._rebuild_tensor_v2" },
    { "dotted name",          P("\200\2ccollections\nOrderedDict.fromkeys\n."), "refuses to load collections.OrderedDict.fromkeys" },
    { "storage elsewhere",    P("\200\2ctorch.cuda\nFloatStorage\n."), "refuses to load torch.cuda.FloatStorage" },
    { "quantised",            P("\200\2ctorch\nQInt8Storage\n."), "refuses to load torch.QInt8Storage" },
    { "control bytes",        P("\200\2cos\33[2J\nsystem\n."), "refuses to load os?[2J.system" },
    { "name without end",     P("\200\2cos\nsystem"), "a name without its end" },
    { "NUL in a name",        P("\200\2cos\0\nsystem\n."), "with a NUL" },
    { "NUL in a string",      P("\200\4\214\2o\0\214\6system\223."), "with a NUL" },
    { "memo cut off",         P("\200\2}h"), "ends inside an opcode" },
    { "negative long size",   P(ONE(TENSOR(FLOATS, "K\0", "\212\1\377\205", "K\1\205"))), "size is not at most 8 numbers" },
    { "name not text",        P("\200\2K\1K\2\223."), "whose name is not text" },
    { "protocol 1",           P("\200\1}."), "protocol" },
    { "protocol 6",           P("\200\6}."), "protocol" },
    { "instance",             P("\200\2(ios\nsystem\n."), "opcode 0x69" },
    { "object",               P("\200\2(cos\nsystem\no."), "refuses to load os.system" },
    { "new object",           P("\200\2ccollections\nOrderedDict\n)\201."), "opcode 0x81" },
    { "extension",            P("\200\2\202\1."), "opcode 0x82" },
    { "text persistent id",   P("\200\2Pabc\n."), "opcode 0x50" },
    { "set",                  P("\200\4\217."), "opcode 0x8f" },
    { "buffer",               P("\200\5\227."), "opcode 0x97" },
    { "pop",                  P("\200\2}0."), "opcode 0x30" },
    { "opcode 0",             P("\200\2\0."), "opcode 0x00" },
    { "empty",                P(""), "without a stop" },
    { "no stop",              P("\200\2}"), "without a stop" },
    { "stop at once",         P("\200\2."), "stack is empty" },
    { "two values",           P("\200\2}}."), "values left" },
    { "mark left",            P("\200\2(}."), "values left" },
    { "a mark at the end",    P("\200\2}(."), "mark where a value" },
    { "something after it",   P(ONE(PLAIN) "x"), "follows its end" },
    { "reduce on nothing",    P("\200\2R."), "stack is empty" },
    { "reduce a dict",        P("\200\2})R."), "not a function" },
    { "reduce a string",      P("\200\2" STR("\1", "a") ")R."), "not a function" },
    { "reduce with a list",   P("\200\2ccollections\nOrderedDict\n]R."), "not a tuple" },
    { "arguments for a dict", P("\200\2ccollections\nOrderedDict\nK\1\205R."), "OrderedDict with arguments" },
    { "a storage's class",    P("\200\2ctorch\nFloatStorage\nK\6\205R."), "made from nothing" },
    { "persistent on nothing",P("\200\2Q."), "stack is empty" },
    { "persistent number",    P("\200\2K\1Q."), "tuple of five" },
    { "persistent, four",     P("\200\2(K\1K\2K\3K\4tQ."), "tuple of five" },
    { "persistent, no class", P("\200\2(" STR("\7", "storage") "K\1" STR("\1", "0") STR("\3", "cpu") "K\6tQ."), "does not describe a storage" },
    { "persistent, function", P("\200\2(" STR("\7", "storage") "ccollections\nOrderedDict\n" STR("\1", "0") STR("\3", "cpu") "K\6tQ."), "does not describe a storage" },
    { "persistent, kind",     P("\200\2(" STR("\7", "Storage") "ctorch\nFloatStorage\n" STR("\1", "0") STR("\3", "cpu") "K\6tQ."), "does not describe a storage" },
    { "persistent, negative", P("\200\2(" STR("\7", "storage") "ctorch\nFloatStorage\n" STR("\1", "0") STR("\3", "cpu") "J\xff\xff\xff\xfftQ."), "does not describe a storage" },
    { "persistent, key",      P("\200\2(" STR("\7", "storage") "ctorch\nFloatStorage\nK\0" STR("\3", "cpu") "K\6tQ."), "does not describe a storage" },
    { "no such storage",      P(ONE(TENSOR(STORAGE("FloatStorage", "9", "\6"), "K\0", "K\6\205", "K\1\205"))), "no member data/9" },
    { "storage by path",      P("\200\2(" STR("\7", "storage") "ctorch\nFloatStorage\n" STR("\12", "../version") STR("\3", "cpu") "K\6tQ."), "no member data/../version" },
    { "storage too short",    P(ONE(TENSOR(STORAGE("FloatStorage", "0", "\7"), "K\0", "K\6\205", "K\1\205"))), "has 24 bytes, its pickle says 7 elements of FloatStorage" },
    { "storage too long",     P(ONE(TENSOR(STORAGE("FloatStorage", "0", "\5"), "K\0", "K\5\205", "K\1\205"))), "5 elements" },
    { "storage of doubles",   P(ONE(TENSOR(STORAGE("DoubleStorage", "0", "\6"), "K\0", "K\6\205", "K\1\205"))), "6 elements of DoubleStorage" },
    { "storage overflow",     P("\200\2(" STR("\7", "storage") "ctorch\nFloatStorage\n" STR("\1", "0") STR("\3", "cpu") "\212\10\6\0\0\0\0\0\0\x40tQ."), "elements of FloatStorage" },
    { "tensor of a dict",     P(ONE("ctorch._utils\n_rebuild_tensor_v2\n(}K\0K\6\205K\1\205\211" OD "tR")), "without its storage" },
    { "tensor of a tensor",   P(ONE("ctorch._utils\n_rebuild_tensor_v2\n(" PLAIN "K\0K\6\205K\1\205\211" OD "tR")), "without its storage" },
    { "tensor of nothing",    P(ONE("ctorch._utils\n_rebuild_tensor_v2\n)R")), "without its storage" },
    { "tensor, one argument", P(ONE("ctorch._utils\n_rebuild_tensor_v2\n(" FLOATS "tR")), "offset" },
    { "negative offset",      P(ONE(TENSOR(FLOATS, "J\xff\xff\xff\xff", "K\1\205", "K\1\205"))), "offset" },
    { "offset too far",       P(ONE(TENSOR(FLOATS, "K\6", "K\1\205", "K\1\205"))), "1 elements from 6 on reaches beyond its storage of 6" },
    { "empty beyond the end", P(ONE(TENSOR(FLOATS, "K\7", "K\0\205", "K\1\205"))), "0 elements from 7 on" },
    { "huge offset",          P(ONE(TENSOR(FLOATS, "\212\10\xff\xff\xff\xff\xff\xff\xff\x7f", "K\1\205", "K\1\205"))), "reaches beyond" },
    { "negative size",        P(ONE(TENSOR(FLOATS, "K\0", "J\xff\xff\xff\xff\205", "K\1\205"))), "size is not at most 8 numbers" },
    { "negative stride",      P(ONE(TENSOR(FLOATS, "K\5", "K\6\205", "J\xff\xff\xff\xff\205"))), "stride is not at most 8 numbers" },
    { "size not a number",    P(ONE(TENSOR(FLOATS, "K\0", "N\205", "K\1\205"))), "size is not" },
    { "size a list",          P(ONE(TENSOR(FLOATS, "K\0", "](K\6e", "K\1\205"))), "size is not" },
    { "true as a size",       P(ONE(TENSOR(FLOATS, "K\0", "\210\205", "K\1\205"))), "size is not" },
    { "rank nine",            P(ONE(TENSOR(FLOATS, "K\0", "(K\1K\1K\1K\1K\1K\1K\1K\1K\1t", "(K\1K\1K\1K\1K\1K\1K\1K\1K\1t"))), "at most 8" },
    { "ranks differ",         P(ONE(TENSOR(FLOATS, "K\0", "K\2K\3\206", "K\1\205"))), "another number of strides" },
    { "size too large",       P(ONE(TENSOR(FLOATS, "K\0", "K\7\205", "K\1\205"))), "7 elements from 0 on reaches beyond its storage of 6" },
    { "stride too large",     P(ONE(TENSOR(FLOATS, "K\0", "K\2K\3\206", "K\4K\1\206"))), "reaches beyond its storage of 6" },
    { "sizes overflow",       P(ONE(TENSOR(FLOATS, "K\0", "\212\10\0\0\0\0\0\0\0\x40K\4\206", "K\0K\0\206"))), "sizes overflow" },
    { "bytes overflow",       P(ONE(TENSOR(FLOATS, "K\0", "\212\10\0\0\0\0\0\0\0\x40\205", "K\0\205"))), "sizes overflow" },
    { "stride overflow",      P(ONE(TENSOR(FLOATS, "K\1", "K\3K\3\206", "\212\10\0\0\0\0\0\0\0\x40\212\10\0\0\0\0\0\0\0\x40\206"))), "reaches beyond" },
    { "long as a size",       P(ONE(TENSOR(FLOATS, "K\0", "\212\11\1\0\0\0\0\0\0\0\0\205", "K\1\205"))), "size is not" },
    { "parameter of a dict",  P(ONE("ctorch._utils\n_rebuild_parameter\n(}\210" OD "tR")), "parameter without its tensor" },
    { "parameter of nothing", P(ONE("ctorch._utils\n_rebuild_parameter\n)R")), "parameter without its tensor" },
    { "not a dict",           P("\200\2" PLAIN "."), "something else than a dict" },
    { "a list",               P("\200\2](" PLAIN "e."), "something else than a dict" },
    { "no tensors",           P(DICT(STR("\1", "a") "K\1")), "its dict of 1 entries holds no tensors" },
    { "empty dict",           P("\200\2}."), "its dict of 0 entries holds no tensors" },
    { "key a number",         P(DICT("K\1" PLAIN)), "a key that is not text" },
    { "key twice",            P(DICT(STR("\1", "w") PLAIN STR("\1", "w") PLAIN)), "w is there twice" },
    { "key not UTF-8",        P(DICT(STR("\1", "\xff") PLAIN)), "not UTF-8" },
    { "key with a NUL",       P(DICT(STR("\1", "\0") PLAIN)), "control byte 0x00" },
    { "odd items",            P("\200\2}(" STR("\1", "w") PLAIN "K\1u."), "a key without its value" },
    { "items without a mark", P("\200\2}" STR("\1", "w") PLAIN "u."), "no mark" },
    { "items without a dict", P("\200\2(" STR("\1", "w") "K\1u."), "no container" },
    { "items for a mark",     P("\200\2((" STR("\1", "w") "K\1u."), "no container" },
    { "items for a tuple",    P("\200\2)(" STR("\1", "w") "K\1u."), "cannot hold them" },
    { "item for a list",      P("\200\2]" STR("\1", "w") "K\1s."), "cannot hold them" },
    { "append to a dict",     P("\200\2}K\1a."), "cannot hold them" },
    { "append to a tensor",   P("\200\2" PLAIN "K\1a."), "cannot hold them" },
    { "appends to a dict",    P("\200\2}(K\1e."), "cannot hold them" },
    { "append to nothing",    P("\200\2K\1a."), "no container" },
    { "append a mark",        P("\200\2](a."), "mark where a value" },
    { "tuple without a mark", P("\200\2K\1t."), "no mark" },
    { "tuple of two of one",  P("\200\2K\1\206."), "stack is empty" },
    { "tuple over a mark",    P("\200\2K\1(\206."), "mark where a value" },
    { "get what was not put", P("\200\2h\0."), "never put" },
    { "get beyond the memo",  P("\200\2}q\0j\xff\xff\xff\xff."), "never put" },
    { "put nothing",          P("\200\2q\0."), "stack is empty" },
    { "put a mark",           P("\200\2(q\0."), "mark where a value" },
    { "put far away",         P("\200\2}r\xff\xff\xff\x7f."), "memo index beyond" },
    { "attributes of a list", P("\200\2]}b."), "not a dict" },
    { "attributes of a tensor", P("\200\2" PLAIN "}b."), "not a dict" },
    { "attributes not a dict",P("\200\2}K\1b."), "not a dict" },
    { "string cut off",       P("\200\2X\xff\0\0\0abc"), "ends inside an opcode" },
    { "string of 4 GiB",      P("\200\2X\xff\xff\xff\xff" "abc"), "more than 16 MiB" },
    { "number cut off",       P("\200\2J\1\2"), "ends inside an opcode" },
    { "long cut off",         P("\200\2\212\10\1"), "ends inside an opcode" },
    { "protocol cut off",     P("\200"), "ends inside an opcode" },
    { "contains itself",      P("\200\2}q\0" STR("\5", "model") "h\0s."), "dicts without end" },
    { "wrapper empty",        P(DICT(STR("\5", "model") "}")), "holds no tensors" },
};

void pytorch_refused(void)
{
    check_pickles(REFUSED, sizeof REFUSED / sizeof *REFUSED);
    static char name[300] = "\200\2c";
    memset(name + 3, 'a', 260);
    strcpy(name + 263, "\nb\n.");
    check_pickle("long name", name, 267, "more than 255 bytes");
}

/* ---- archives -------------------------------------------------------------------------- */

/* Where the n-th record of a kind begins. */
static size_t record(const bytes *b, const char *signature, int n)
{
    for (size_t i = 0; i + 4 <= b->size; i++)
        if (!memcmp(b->data + i, signature, 4) && n-- == 0) return i;
    abort();
}

static void check_parts(const char *label, const zip_part *parts, size_t n, const char *why)
{
    bytes b = stored_zip(parts, n, 0);
    check_parse(label, b.data, b.size, why);
    free(b.data);
}

static void check_members(void)
{
    const zip_part pkl = { "a/data.pkl", P(ONE(PLAIN)) }, data = { "a/data/0", STORED, sizeof STORED };
    check_parts("no members", NULL, 0, "without data.pkl");
    check_parts("no pickle", &data, 1, "without data.pkl");
    check_parts("no storage", &pkl, 1, "no member data/0");
    check_parts("two pickles", (const zip_part[]){ pkl, data, { "b/data.pkl", P(ONE(PLAIN)) } }, 3, "two data.pkl");
    check_parts("same name twice", (const zip_part[]){ pkl, data, data }, 3, "two zip members are named a/data/0");
    check_parts("storage of another archive", (const zip_part[]){ pkl, { "b/data/0", STORED, sizeof STORED } }, 2, "no member data/0");
    check_parts("big-endian", (const zip_part[]){ pkl, data, { "a/byteorder", "big", 3 } }, 3, "byteorder is \"big\"");
    check_parts("future", (const zip_part[]){ pkl, data, { "a/version", "11\n", 3 } }, 3, "version is \"11?\"");
    check_parts("no version", (const zip_part[]){ pkl, data, { "a/version", "", 0 } }, 3, "version is \"\"");
    check_parts("strange version", (const zip_part[]){ pkl, data, { "a/version", "3x", 2 } }, 3, "version is \"3x\"");
    check_parts("no folder", (const zip_part[]){ { "data.pkl", P(ONE(PLAIN)) }, { "data/0", STORED, sizeof STORED } }, 2, NULL);
    check_parts("nested folder", (const zip_part[]){ { "x/y/data.pkl", P(ONE(PLAIN)) }, { "x/y/data/0", STORED, sizeof STORED }, { "x/y/", "", 0 } }, 3, NULL);
}

/* One field set to a value; `at` counts from the n-th record with that signature. */
static const struct { const char *label, *signature; int n; size_t at; int width; uint32_t value; const char *why; } FIELDS[] = {
    { "encrypted",                  "PK\1\2", 0,  8, 2, 1,          "a/data.pkl is encrypted" },
    { "encrypted locally",          "PK\3\4", 2,  6, 2, 1,          "a/data/0 is encrypted" },
    { "strongly encrypted",         "PK\1\2", 2,  8, 2, 64,         "is encrypted" },
    { "masked",                     "PK\1\2", 2,  8, 2, 8192,       "is encrypted" },
    { "deflated",                   "PK\1\2", 0, 10, 2, 8,          "a/data.pkl is compressed (method 8); torch.save stores: unzip it" },
    { "deflated locally",           "PK\3\4", 2,  8, 2, 8,          "a/data/0 is compressed" },
    { "zstd",                       "PK\1\2", 2, 10, 2, 93,         "compressed (method 93)" },
    { "packed differs",             "PK\1\2", 2, 20, 4, 20,         "sizes 20 and 24 for a stored member" },
    { "longer than the file",       "PK\1\2", 2, 24, 4, 0x10000,    "sizes 24 and 65536" },
    { "local size differs",         "PK\3\4", 2, 22, 4, 23,         "24 bytes in the directory, 23 in its header" },
    { "offset beyond the file",     "PK\1\2", 2, 42, 4, 0xfffffff0, "no header at byte 4294967280" },
    { "offset at the directory",    "PK\1\2", 2, 42, 4, 0x2000,     "no header at byte 8192" },
    { "offset between",             "PK\1\2", 2, 42, 4, 1,          "no header at byte 1" },
    { "offset of another",          "PK\1\2", 2, 42, 4, 0,          "another name in its header" },
    { "local name too long",        "PK\3\4", 4, 26, 2, 0xffff,     "reaches into the directory" },
    { "local extra too long",       "PK\3\4", 4, 28, 2, 0xffff,     "reaches into the directory" },
    { "data into the next",         "PK\3\4", 2, 28, 2, 40,         "members overlap" },
    { "name too long",              "PK\1\2", 4, 28, 2, 0xffff,     "directory is damaged" },
    { "extra too long",             "PK\1\2", 4, 30, 2, 1,          "directory is damaged" },
    { "comment too long",           "PK\1\2", 4, 32, 2, 1,          "directory is damaged" },
    { "no signature",               "PK\1\2", 1,  0, 4, 0,          "directory is damaged" },
    { "no local signature",         "PK\3\4", 1,  0, 4, 0,          "no header at byte" },
    { "another disk",               "PK\5\6", 0,  4, 2, 1,          "split over several files" },
    { "directory elsewhere",        "PK\5\6", 0,  6, 2, 1,          "split over several files" },
    { "counts differ",              "PK\5\6", 0,  8, 2, 1,          "split over several files" },
    { "directory too long",         "PK\5\6", 0, 12, 4, 0xfffffff0, "does not fit" },
    { "directory far away",         "PK\5\6", 0, 16, 4, 0xfffffff0, "does not fit" },
    { "directory at 0",             "PK\5\6", 0, 16, 4, 0,          "directory is damaged" },
    { "comment missing",            "PK\5\6", 0, 20, 2, 1,          "without its end record" },
    { "end missing",                "PK\5\6", 0,  0, 4, 0,          "without its end record" },
};

static const struct { const char *label, *signature; size_t at; int width; uint64_t value; const char *why; } FIELDS64[] = {
    { "locator beyond the file",    "PK\6\7",  8, 8, UINT64_MAX,     "zip64 end record is not at byte 18446744073709551615" },
    { "locator off by one",         "PK\6\7",  8, 8, 1,              "zip64 end record is not at byte 1" },
    { "count",                      "PK\6\6", 32, 8, UINT64_MAX,     "split" },
    { "directory size",             "PK\6\6", 40, 8, UINT64_MAX,     "does not fit" },
    { "directory offset",           "PK\6\6", 48, 8, UINT64_MAX - 8, "does not fit" },
    { "other disk",                 "PK\6\6", 16, 4, 1,              "split over several files" },
    { "the old count disagrees",    "PK\5\6", 10, 2, 3,              "end records" },
    { "the old offset disagrees",   "PK\5\6", 16, 4, 3,              "end records" },
    { "extra of another kind",      "PK\1\2", 56, 2, 7,              "no header at byte" },
    { "extra too short",            "PK\1\2", 58, 2, 16,             "sizes" },
    { "extra too long",             "PK\1\2", 58, 2, 25,             "sizes" },
    { "extra, packed",              "PK\1\2", 68, 8, UINT64_MAX,     "sizes 18446744073709551615" },
    { "extra, offset",              "PK\1\2", 76, 8, UINT64_MAX,     "no header at byte 18446744073709551615" },
};

void pytorch_zip_refused(void)
{
    check_members();
    for (size_t i = 0; i < sizeof FIELDS / sizeof *FIELDS; i++) {
        bytes b = archive(P(ONE(PLAIN)), 0);
        memcpy(b.data + record(&b, FIELDS[i].signature, FIELDS[i].n) + FIELDS[i].at, &FIELDS[i].value, (size_t)FIELDS[i].width);
        check_parse(FIELDS[i].label, b.data, b.size, FIELDS[i].why);
        free(b.data);
    }
    for (size_t i = 0; i < sizeof FIELDS64 / sizeof *FIELDS64; i++) {
        bytes b = archive(P(ONE(PLAIN)), 1);
        memcpy(b.data + record(&b, FIELDS64[i].signature, 0) + FIELDS64[i].at, &FIELDS64[i].value, (size_t)FIELDS64[i].width);
        check_parse(FIELDS64[i].label, b.data, b.size, FIELDS64[i].why);
        free(b.data);
    }
    bytes b = archive(P(ONE(PLAIN)), 0);
    size_t end = record(&b, "PK\5\6", 0);
    b.data[end + 8] = b.data[end + 10] = 4;
    check_parse("a member uncounted", b.data, b.size, "its 4 members take");
    b.data[end + 8] = b.data[end + 10] = 6;
    check_parse("a member too many", b.data, b.size, "damaged");
    b.data[end + 9] = b.data[end + 11] = 0xff;
    check_parse("many members too many", b.data, b.size, "65286 members in a zip directory of");
    free(b.data);
}

/* ---- views -------------------------------------------------------------------------------- */

void pytorch_views(void)
{
    static const struct { const char *pickle; size_t size; bool transposed; int count; float expected[8]; } CASES[] = {
        { P(ONE(TENSOR(FLOATS, "K\0", "K\2K\3\206", "K\3K\1\206"))),             false, 6, { 0, 1, 2, 3, 4, 5 } },
        { P(ONE(TENSOR(FLOATS, "K\0", "K\3K\2\206", "K\1K\3\206"))),             true,  6, { 0, 3, 1, 4, 2, 5 } },
        { P(ONE(TENSOR(FLOATS, "K\1", "K\2K\2\206", "K\3K\1\206"))),             false, 4, { 1, 2, 4, 5 } },
        { P(ONE(TENSOR(FLOATS, "K\1", "K\2\205", "K\2\205"))),                   false, 2, { 1, 3 } },
        { P(ONE(TENSOR(FLOATS, "K\2", "K\3\205", "K\0\205"))),                   false, 3, { 2, 2, 2 } },
        { P(ONE(TENSOR(FLOATS, "K\0", "K\3K\1K\2\207", "K\1K\7K\3\207"))),       false, 6, { 0, 3, 1, 4, 2, 5 } },
        { P(ONE(TENSOR(FLOATS, "K\4", ")", ")"))),                               false, 1, { 4 } },
        { P(ONE(TENSOR(FLOATS, "K\0", "K\3K\2\206", "K\1K\2\206"))),             false, 6, { 0, 2, 1, 3, 2, 4 } },
        { P(ONE(TENSOR(FLOATS, "K\0", "K\1K\3\206", "K\1K\2\206"))),             false, 3, { 0, 2, 4 } },
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        bytes b = archive(CASES[i].pickle, CASES[i].size, (int)(i % 2));
        lithe_error err = { 0 };
        void *keep;
        float x[8];
        tensor_file *f = parse_copy(b.data, b.size, i % 4, &keep, &err);
        const file_tensor *t = f ? tensor_file_find(f, "w") : NULL;
        CHECK_MSG(t && (t->order.rank > 0) == CASES[i].transposed && t->count == (size_t)CASES[i].count, "view %zu: %s", i, err.text);
        if (t && file_tensor_floats(t, 0, t->count, x))
            for (int k = 0; k < CASES[i].count; k++) CHECK_MSG(x[k] == CASES[i].expected[k], "view %zu[%d] is %g", i, k, (double)x[k]);
        tensor_file_close(f);
        free(keep);
        free(b.data);
    }
}

#define W STR("\1", "w")
void pytorch_wrapped(void)
{
    static const pickle_case CASES[] = {
        { "module",        P(DICT(STR("\6", "module") "}" W PLAIN "s")), NULL },
        { "model",         P(DICT(STR("\5", "model") "}" W PLAIN "s" STR("\5", "epoch") "K\1")), NULL },
        { "state_dict",    P(DICT(STR("\12", "state_dict") OD W PLAIN "s")), NULL },
        { "both",          P(DICT(STR("\12", "state_dict") "}" STR("\6", "module") "}" W PLAIN "ss" STR("\4", "step") PLAIN)), NULL },
        { "Composer's",    P(DICT(STR("\5", "state") "}" STR("\5", "model") "}" W PLAIN "ss" STR("\3", "rng") "]")), NULL },
        { "named model",   P(DICT(STR("\5", "model") PLAIN W PLAIN)), NULL },
        { "another key",   P(DICT(STR("\3", "net") "}" W PLAIN "s" STR("\5", "epoch") "K\1" STR("\3", "opt") "}")), NULL },
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        bytes b = archive(CASES[i].pickle, CASES[i].size, 0);
        lithe_error err = { 0 };
        void *keep;
        tensor_file *f = parse_copy(b.data, b.size, 0, &keep, &err);
        CHECK_MSG(f && f->count == (i == 5 ? 2 : 1) && tensor_file_find(f, "w"), "%s: %s", CASES[i].label, err.text);
        tensor_file_close(f);
        free(keep);
        free(b.data);
    }
    check_pickle("two dicts", P(DICT(STR("\3", "net") "}" W PLAIN "s" STR("\3", "ema") "}" W PLAIN "s")), "tensors stand under several keys, \"net\" and \"ema\" among them");
}

/* ---- more promised than there is ------------------------------------------------------------- */

static void check_bytes(const char *label, bytes *pickle, const char *why)
{
    check_pickle(label, (const char *)pickle->data, pickle->size, why);
    free(pickle->data);
    *pickle = (bytes){ 0 };
}

static void repeat(bytes *b, const char *text, size_t size, int times)
{
    for (int i = 0; i < times; i++) put_bytes(b, text, size);
}

void pytorch_bombs(void)
{
    bytes b = { 0 };
    check_pickle("a billion elements of one", P(ONE(TENSOR(FLOATS, "K\0", "\212\4\0\0\0\x40\205", "K\0\205"))), "strided views hold more bytes than the file's");
    put_bytes(&b, P("\200\2"));
    repeat(&b, P("("), 70000);
    check_bytes("marks", &b, "stack is deeper than 65536");
    put_bytes(&b, P("\200\2"));
    repeat(&b, P("]"), 70000);
    check_bytes("lists", &b, "stack is deeper than 65536");
    put_bytes(&b, P("\200\2}"));
    repeat(&b, P("}b"), 2100000);
    check_bytes("opcodes", &b, "more than 4194304 opcodes");
    put_bytes(&b, P("\200\2}(" STR("\1", "k") "}q\0"));        /* each dict holds the one before twice: 2^100 paths */
    for (int i = 0; i < 100; i++) {
        const char here[1] = { (char)i }, next[1] = { (char)(i + 1) };
        put_bytes(&b, P(STR("\1", "k") "}" STR("\5", "model") "h"));
        put_bytes(&b, here, 1);
        put_bytes(&b, P("s" STR("\6", "module") "h"));
        put_bytes(&b, here, 1);
        put_bytes(&b, P("sq"));
        put_bytes(&b, next, 1);
    }
    put_bytes(&b, P(STR("\5", "model") "h\x64u."));
    check_bytes("shared dicts", &b, "dicts without end");
    put_bytes(&b, P("\200\2}("));
    for (int i = 0; i < 200; i++) {                          /* each strided view may be copied, all together may not */
        char key[5] = { 'X', 3, 0, 0, 0 }, name[4];
        snprintf(name, sizeof name, "%03d", i);
        put_bytes(&b, key, 5);
        put_bytes(&b, name, 3);
        if (i) put_bytes(&b, P("ctorch._utils\n_rebuild_tensor_v2\n(h\0K\0(K\2K\2K\2K\2K\2K\2K\2K\2t(K\1K\1K\1K\1K\1K\0K\0K\0ttR"));
        else   put_bytes(&b, P("ctorch._utils\n_rebuild_tensor_v2\n(" FLOATS "q\0K\0K\6\205K\1\205tR"));
    }
    put_bytes(&b, P("u."));
    check_bytes("many strided views", &b, "strided views hold more bytes than the file's");
}

/* Members after the first four GiB of a sparse file: places are 64 bits wide, in both directions. */
void zip_beyond_32_bits(void)
{
    const size_t far = (size_t)5 << 30;
    lithe_error err = { 0 };
    mapping map = { 0 };
    zip z = { 0 };
    zip_entry entries[2];
    zip_writer w = { .out = fopen(in_dir("far.zip"), "wb"), .entries = entries, .capacity = 2, .at = far };
    if (!w.out || fseeko(w.out, (off_t)far, SEEK_SET)) { test_fail(__FILE__, __LINE__, "a sparse file cannot be written"); return; }
    zip_put(&w, "a/x", "hello", 5);
    zip_put(&w, "a/y", STORED, sizeof STORED);
    CHECK_MSG(!zip_finish(&w, "far.zip", &err), "%s", err.text);
    if (fclose(w.out) || file_map(&map, in_dir("far.zip"), &err)) test_skip("no sparse file of 5 GiB here");
    CHECK_MSG(!zip_open(&z, "far.zip", map.data, map.size, &err) && z.count == 2, "%s", err.text);
    const zip_member *m = zip_find(&z, "a/y", 3);
    CHECK(m && m->offset > far && m->size == sizeof STORED && !memcmp(m->data, STORED, sizeof STORED) && (size_t)(m->data - map.data) % 64 == 0);
    zip_close(&z);
    file_unmap(&map);
}

void pytorch_mutations(void)
{
    static const pickle_case SEEDS[] = {
        { "plain", P(ONE(PLAIN)), NULL }, { "with _metadata", P("\200\2" OD "(" W PLAIN "u}" STR("\11", "_metadata") OD "sb."), NULL },
        { "views", P(ONE(TENSOR(FLOATS, "K\0", "K\3K\1K\2\207", "K\1K\7K\3\207"))), NULL },
        { "memo", P("\200\2}q\0(" W "q\1" PLAIN "r\2\0\0\0" STR("\1", "v") "j\2\0\0\0u."), NULL },
    };
    int opened = 0;
    for (size_t i = 0; i < sizeof SEEDS / sizeof *SEEDS; i++) {
        bytes b = archive(SEEDS[i].pickle, SEEDS[i].size, (int)(i % 2));
        opened += mutate(b.data, b.size, 2000, 10 + i);
        bytes copy = { 0 };                                  /* the pickle alone, in a good archive */
        for (uint64_t round = 0; round < 2000; round++) {
            put_bytes(&copy, SEEDS[i].pickle, SEEDS[i].size);
            for (uint64_t k = 0; k < 1 + round % 3; k++) copy.data[(round * 2654435761u + k * 40503u) % copy.size] = (uint8_t)(round * 31 + k * 97);
            bytes whole = archive((const char *)copy.data, copy.size, 0);
            opened += opens(whole.data, whole.size, round % 3);
            free(whole.data);
            copy.size = 0;
        }
        free(copy.data);
        free(b.data);
    }
    CHECK_MSG(opened > 300 && opened < 15500, "%d of 16000 opened", opened);
}
