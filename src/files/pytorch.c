/* What torch.save writes since PyTorch 1.6: a zip of NAME/data.pkl, a pickle
 * that rebuilds tensors from storages, and NAME/data/KEY, the storages' bytes.
 *   _rebuild_tensor_v2(storage, offset, size, stride, ...)
 *   storage = persistent id ('storage', torch.FloatStorage, KEY, device, elements)
 * The globals below are all that are known; each is a case in this file, and none is
 * looked up anywhere else.
 * Invariant: a V_STORAGE is as long as its archive member, and every element of
 * a V_TENSOR lies inside its storage. */
#include "files/pickle.h"
#include "files/tensor_formats.h"
#include "files/zip.h"
#include <stdlib.h>

enum { MAX_WRAPPING = 8, MAX_ENTRIES = 1 << 24, MAX_TEXT = 1000, MAX_TEXTS = 64 };

typedef enum { ORDERED_DICT, REBUILD_TENSOR, REBUILD_PARAMETER, STORAGE_CLASS } meaning;

static const struct { const char *module, *name; meaning is; dtype type; } GLOBALS[] = {
    { "collections",  "OrderedDict",         ORDERED_DICT,      DT_OTHER },
    { "torch._utils", "_rebuild_tensor_v2",  REBUILD_TENSOR,    DT_OTHER },
    { "torch._utils", "_rebuild_parameter",  REBUILD_PARAMETER, DT_OTHER },
    { "torch",        "FloatStorage",        STORAGE_CLASS,     DT_F32   },     /* from here on also in torch.storage */
    { "torch",        "DoubleStorage",       STORAGE_CLASS,     DT_F64   },
    { "torch",        "HalfStorage",         STORAGE_CLASS,     DT_F16   },
    { "torch",        "BFloat16Storage",     STORAGE_CLASS,     DT_BF16  },
    { "torch",        "IntStorage",          STORAGE_CLASS,     DT_I32   },
    { "torch",        "LongStorage",         STORAGE_CLASS,     DT_I64   },
    { "torch",        "ShortStorage",        STORAGE_CLASS,     DT_I16   },
    { "torch",        "CharStorage",         STORAGE_CLASS,     DT_I8    },
    { "torch",        "ByteStorage",         STORAGE_CLASS,     DT_U8    },
    { "torch",        "BoolStorage",         STORAGE_CLASS,     DT_BOOL  },
};
enum { GLOBAL_COUNT = sizeof GLOBALS / sizeof *GLOBALS };

/* Keys under which checkpoints keep the dict of tensors. */
static const char *const WRAPPERS[] = { "state_dict", "model_state_dict", "model", "module", "state" };

typedef struct { int global; const uint8_t *data; size_t count; } storage;
/* scattered: to be copied in order */
typedef struct { file_tensor tensor; int64_t stride[MAX_RANK]; bool scattered; } strided;

typedef struct {
    tensor_file *f;
    const char *what;
    zip archive;
    const char *prefix; size_t prefix_length;               /* "NAME/" */
    storage *storages; size_t storage_count, storage_capacity;
    strided *views; size_t view_count, view_capacity;
    size_t copied, size;                                    /* bytes copied out of order, at most the file's */
} reader;

static int refuse(const pickle *p, const char *why)
{
    return fail(p->err, LITHE_EFORMAT, "%s: pickle, byte %zu: %s", p->what, p->at, why);
}

static void *next_slot(void *array, size_t used, size_t *capacity, size_t size)
{
    if (used == *capacity) {
        size_t more = *capacity ? 2 * *capacity : 64;
        void *bigger = xrealloc(*(void **)array, more, size);
        if (!bigger) return NULL;
        *(void **)array = bigger;
        *capacity = more;
    }
    return (char *)*(void **)array + used * size;
}

static const zip_member *find_member(const reader *r, const char *name, size_t length)
{
    char path[1024];
    if (length > sizeof path || r->prefix_length > sizeof path - length) return NULL;
    memcpy(path, r->prefix, r->prefix_length);
    memcpy(path + r->prefix_length, name, length);
    return zip_find(&r->archive, path, r->prefix_length + length);
}

/* ---- what the pickle may say ------------------------------------------------------------ */

static int on_global(pickle *p, const char *module, const char *name)
{
    for (int i = 0; i < GLOBAL_COUNT; i++) {
        bool there = !strcmp(module, GLOBALS[i].module) || (GLOBALS[i].is == STORAGE_CLASS && !strcmp(module, "torch.storage"));
        if (there && !strcmp(name, GLOBALS[i].name)) return pickle_value(p, (value){ .kind = V_GLOBAL, .integer = i });
    }
    return fail(p->err, LITHE_EFORMAT, "%s: refuses to load %.120s.%.120s: only tensors in dicts are read, and nothing in a pickle is ever run",
                p->what, module, name);
}

static bool text_is(const pickle *p, int index, const char *text)
{
    size_t n = strlen(text);
    return pickle_is(p, index, V_STRING) && (size_t)p->values[index].count == n && !memcmp(p->values[index].text, text, n);
}

static bool integer_of(const pickle *p, int index, int64_t *out)
{
    if (!pickle_is(p, index, V_INT)) return false;
    *out = p->values[index].integer;
    return true;
}

static bool storage_class(const pickle *p, int index)
{
    return pickle_is(p, index, V_GLOBAL) && GLOBALS[p->values[index].integer].is == STORAGE_CLASS;
}

/* ('storage', class, key, device, elements) */
static int on_persistent(pickle *p, int id)
{
    reader *r = p->owner;
    if (!pickle_is(p, id, V_TUPLE) || p->values[id].count != 5) return refuse(p, "a persistent id that is not a tuple of five");
    int class = pickle_item(p, id, 1), key = pickle_item(p, id, 2);
    int64_t elements;
    if (!text_is(p, pickle_item(p, id, 0), "storage") || !storage_class(p, class) || !pickle_is(p, key, V_STRING) ||
        !integer_of(p, pickle_item(p, id, 4), &elements) || elements < 0)
        return refuse(p, "a persistent id that does not describe a storage");
    const value *k = &p->values[key];
    int global = (int)p->values[class].integer, shown = k->count < 60 ? k->count : 60;
    char name[512] = "data/";
    const zip_member *m = NULL;
    if (k->count <= (int)sizeof name - 5) {
        memcpy(name + 5, k->text, (size_t)k->count);
        m = find_member(r, name, 5 + (size_t)k->count);
    }
    if (!m) return fail(p->err, LITHE_EFORMAT, "%s: the archive has no member data/%.*s, which its pickle names", p->what, shown, k->text);
    size_t bytes;
    if (!size_mul((size_t)elements, dtype_bytes(GLOBALS[global].type), &bytes) || bytes != m->size)
        return fail(p->err, LITHE_EFORMAT, "%s: data/%.*s has %zu bytes, its pickle says %lld elements of %s", p->what, shown, k->text, m->size,
                    (long long)elements, GLOBALS[global].name);
    storage *s = next_slot(&r->storages, r->storage_count, &r->storage_capacity, sizeof *s);
    if (!s) return fail(p->err, LITHE_ENOMEM, "%s: no memory for its storages", p->what);
    *s = (storage){ .global = global, .data = m->data, .count = (size_t)elements };
    return pickle_value(p, (value){ .kind = V_STORAGE, .integer = (int64_t)r->storage_count++ });
}

/* ---- views --------------------------------------------------------------------------------- */

static int read_numbers(pickle *p, int tuple, const char *why, int64_t out[MAX_RANK])
{
    if (!pickle_is(p, tuple, V_TUPLE) || p->values[tuple].count > MAX_RANK) return refuse(p, why);
    int n = 0;
    for (int c = p->values[tuple].first; c >= 0; c = p->cells[c].next)
        if (!integer_of(p, p->cells[c].value, &out[n]) || out[n++] < 0) return refuse(p, why);
    return n;
}

/* The storage must have element offset + sum of (size - 1) * stride; an empty tensor needs none. */
static bool fits(const file_tensor *t, const int64_t *stride, size_t offset, size_t elements)
{
    size_t last = offset, step;
    if (offset > elements) return false;
    if (!t->count) return true;
    for (int i = 0; i < t->rank; i++)
        if (!size_mul((size_t)t->dims[i] - 1, (size_t)stride[i], &step) || !size_add(last, step, &last)) return false;
    return last < elements;
}

static bool contiguous(const file_tensor *t, const int64_t *stride)
{
    int64_t expected = 1;
    for (int i = t->rank - 1; i >= 0; i--) {
        if (t->dims[i] != 1 && stride[i] != expected) return false;
        expected *= t->dims[i];
    }
    return true;
}

static int on_tensor(pickle *p, int arguments)
{
    reader *r = p->owner;
    strided v = { 0 };
    int64_t offset;
    int source = pickle_item(p, arguments, 0), strides;
    if (!pickle_is(p, source, V_STORAGE)) return refuse(p, "a tensor without its storage");
    const storage *s = &r->storages[p->values[source].integer];
    if (!integer_of(p, pickle_item(p, arguments, 1), &offset) || offset < 0) return refuse(p, "a tensor whose offset is not a number from 0 on");
    file_tensor *t = &v.tensor;
    if ((t->rank = read_numbers(p, pickle_item(p, arguments, 2), "a tensor whose size is not at most 8 numbers from 0 on", t->dims)) < 0) return t->rank;
    if ((strides = read_numbers(p, pickle_item(p, arguments, 3), "a tensor whose stride is not at most 8 numbers from 0 on", v.stride)) < 0) return strides;
    if (strides != t->rank) return refuse(p, "a tensor with another number of strides than of sizes");
    t->type = GLOBALS[s->global].type;
    t->type_name = GLOBALS[s->global].name;
    if (!shape_count(t->dims, t->rank, &t->count) || !size_mul(t->count, dtype_bytes(t->type), &t->bytes))
        return refuse(p, "a tensor whose sizes overflow");
    if (!fits(t, v.stride, (size_t)offset, s->count))
        return fail(p->err, LITHE_EFORMAT, "%s: pickle, byte %zu: a tensor of %zu elements from %lld on reaches beyond its storage of %zu",
                    p->what, p->at, t->count, (long long)offset, s->count);
    t->data = s->data + (size_t)offset * dtype_bytes(t->type);
    if (t->count && !contiguous(t, v.stride)) {
        bool transposed = t->rank == 2 && v.stride[0] == 1 && v.stride[1] == t->dims[0];
        if (transposed) t->order = (element_order){ 2, { t->dims[0], t->dims[1] }, { 1, t->dims[0] } };
        v.scattered = !transposed;
    }
    strided *slot = next_slot(&r->views, r->view_count, &r->view_capacity, sizeof *slot);
    if (!slot) return fail(p->err, LITHE_ENOMEM, "%s: no memory for its tensors", p->what);
    *slot = v;
    return pickle_value(p, (value){ .kind = V_TENSOR, .integer = (int64_t)r->view_count++ });
}

static int on_call(pickle *p, int function, int arguments)
{
    int count = p->values[arguments].count;
    switch (GLOBALS[p->values[function].integer].is) {
    case ORDERED_DICT:
        if (count) return refuse(p, "an OrderedDict with arguments");
        return pickle_value(p, (value){ .kind = V_DICT, .first = -1, .last = -1 });
    case REBUILD_TENSOR:
        return on_tensor(p, arguments);
    case REBUILD_PARAMETER:
        if (!pickle_is(p, pickle_item(p, arguments, 0), V_TENSOR)) return refuse(p, "a parameter without its tensor");
        return pickle_item(p, arguments, 0);
    case STORAGE_CLASS:
        break;
    }
    return refuse(p, "a storage that is made from nothing");
}

/* ---- from the pickle's value to named tensors -------------------------------------------------- */

static int lookup(const pickle *p, int dict, const char *key)
{
    for (int c = p->values[dict].first; c >= 0; c = p->cells[p->cells[c].next].next)
        if (text_is(p, p->cells[c].value, key)) return p->cells[p->cells[c].next].value;
    return -1;
}

static size_t tensors_in(const pickle *p, int dict)
{
    size_t n = 0;
    for (int c = p->values[dict].first, v; c >= 0; c = p->cells[v].next)
        n += pickle_is(p, p->cells[v = p->cells[c].next].value, V_TENSOR);
    return n;
}

/* Sets *inner to what stands under a key that checkpoints use, else to the only dict of tensors in a dict without any;
 * -1: neither.  Several are refused, since nothing says which of them is the model. */
static int inner_dict(const pickle *p, int dict, int *inner)
{
    int only = -1, under = -1;
    long entries = 0;
    *inner = -1;
    for (size_t i = 0; i < sizeof WRAPPERS / sizeof *WRAPPERS && *inner < 0; i++) {
        int held = lookup(p, dict, WRAPPERS[i]);
        if (pickle_is(p, held, V_DICT)) *inner = held;
    }
    if (*inner >= 0 || tensors_in(p, dict)) return LITHE_OK;
    for (int c = p->values[dict].first, v; c >= 0; c = p->cells[v].next) {
        int key = p->cells[c].value, held = p->cells[v = p->cells[c].next].value;
        if (!pickle_is(p, key, V_STRING) || !pickle_is(p, held, V_DICT)) continue;
        /* A dict may stand under any number of keys. */
        if ((entries += p->values[held].count) > MAX_ENTRIES) return refuse(p, "dicts of dicts without end");
        if (!tensors_in(p, held)) continue;
        if (only >= 0) {
            const value *a = &p->values[under], *b = &p->values[key];
            return fail(p->err, LITHE_EFORMAT, "%s: its tensors stand under several keys, \"%.*s\" and \"%.*s\" among them: save the one that is the model alone", p->what,
                        a->count < 60 ? a->count : 60, a->text, b->count < 60 ? b->count : 60, b->text);
        }
        under = key;
        only = held;
    }
    *inner = only;
    return LITHE_OK;
}

/* The dict of tensors, which checkpoints wrap in other dicts. */
static int unwrap(const pickle *p, int dict)
{
    for (int level = 0, inner; level < MAX_WRAPPING; level++, dict = inner) {
        int status = inner_dict(p, dict, &inner);
        if (status || inner < 0) return status ? status : dict;
    }
    return refuse(p, "dicts of dicts without end");
}

/* Copies element by element in row-major order, counting through all dimensions. */
static void copy_scattered(uint8_t *out, const strided *v, size_t bytes)
{
    const file_tensor *t = &v->tensor;
    const uint8_t *in = t->data;
    int64_t index[MAX_RANK] = { 0 };
    size_t at = 0;
    for (size_t n = 0; n < t->count; n++) {
        memcpy(out + n * bytes, in + at * bytes, bytes);
        for (int i = t->rank - 1; i >= 0; i--) {
            at += (size_t)v->stride[i];
            if (++index[i] < t->dims[i]) break;
            at -= (size_t)v->stride[i] * (size_t)t->dims[i];
            index[i] = 0;
        }
    }
}

static int settle(reader *r, strided *v, const char *name, lithe_error *err)
{
    if (!v->scattered) return LITHE_OK;
    if (v->tensor.bytes > r->size - r->copied)
        return fail(err, LITHE_EFORMAT, "%s: %.200s and the other strided views hold more bytes than the file's %zu: save it with .contiguous()", r->what, name, r->size);
    uint8_t *copy = arena_alloc(&r->f->memory, v->tensor.bytes);
    if (!copy) return fail(err, LITHE_ENOMEM, "%s: no memory for the %zu bytes of %.200s", r->what, v->tensor.bytes, name);
    copy_scattered(copy, v, dtype_bytes(v->tensor.type));
    r->copied += v->tensor.bytes;
    v->tensor.data = copy;
    v->scattered = false;                                   /* two names of one tensor share the copy */
    return LITHE_OK;
}

static int take_tensor(reader *r, const pickle *p, int key, int tensor, file_tensor *out)
{
    if (!pickle_is(p, key, V_STRING)) return fail(p->err, LITHE_EFORMAT, "%s: a tensor stands under a key that is not text", p->what);
    const value *k = &p->values[key];
    int status = check_tensor_name(p->what, k->text, (size_t)k->count, p->err);
    if (status) return status;
    char *name = arena_alloc(&r->f->memory, (size_t)k->count + 1);
    if (!name) return fail(p->err, LITHE_ENOMEM, "%s: no memory for tensor names", p->what);
    memcpy(name, k->text, (size_t)k->count);
    strided *v = &r->views[p->values[tensor].integer];
    status = settle(r, v, name, p->err);
    *out = v->tensor;
    out->name = name;
    return status;
}

/* Strings beside the tensors describe the origin of a file. */
static int take_text(tensor_file *f, const pickle *p, int key, int text)
{
    if (!pickle_is(p, key, V_STRING) || !pickle_is(p, text, V_STRING)) return LITHE_OK;
    const value *k = &p->values[key], *t = &p->values[text];
    if (k->count > MAX_TEXT || t->count > MAX_TEXT || check_tensor_name(p->what, k->text, (size_t)k->count, NULL)) return LITHE_OK;
    if (!f->metadata) f->metadata = json_object();
    json_t *copy = json_stringn(t->text, (size_t)t->count);
    if (!copy || json_object_size(f->metadata) >= MAX_TEXTS) { json_decref(copy); return LITHE_OK; }
    return json_object_setn_new(f->metadata, k->text, (size_t)k->count, copy) ? fail(p->err, LITHE_ENOMEM, "%s: no memory for its metadata", p->what) : LITHE_OK;
}

static int take_dict(reader *r, const pickle *p, int dict)
{
    size_t n = tensors_in(p, dict);
    if (!n) return fail(p->err, LITHE_EFORMAT, "%s: its dict of %d entries holds no tensors", p->what, p->values[dict].count / 2);
    file_tensor *t = append_tensors(r->f, p->what, n, p->err);
    if (!t) return failed(p->err) ? p->err->status : LITHE_EFORMAT;
    for (int c = p->values[dict].first, v; c >= 0; c = p->cells[v].next) {
        v = p->cells[c].next;
        bool tensor = pickle_is(p, p->cells[v].value, V_TENSOR);
        int status = tensor ? take_tensor(r, p, p->cells[c].value, p->cells[v].value, t++) : take_text(r->f, p, p->cells[c].value, p->cells[v].value);
        if (status) return status;
    }
    return LITHE_OK;
}

/* ---- the archive --------------------------------------------------------------------------------- */

bool is_pytorch(const uint8_t *data, size_t size)
{
    return size >= 4 && (!memcmp(data, "PK\3\4", 4) || !memcmp(data, "PK\5\6", 4));
}

static const zip_member *find_pickle(reader *r, lithe_error *err)
{
    const char last[] = "data.pkl";
    const size_t length = sizeof last - 1;
    const zip_member *found = NULL;
    for (size_t i = 0; i < r->archive.count; i++) {
        const zip_member *m = &r->archive.members[i];
        if (m->length < length || memcmp(m->name + m->length - length, last, length)) continue;
        if (m->length > length && m->name[m->length - length - 1] != '/') continue;
        if (found) { fail(err, LITHE_EFORMAT, "%s: a zip with two data.pkl", r->what); return NULL; }
        found = m;
    }
    if (!found) { fail(err, LITHE_EFORMAT, "%s: a zip without data.pkl, so not written by torch.save", r->what); return NULL; }
    r->prefix = found->name;
    r->prefix_length = found->length - length;
    return found;
}

static int check_byteorder(const reader *r, lithe_error *err)
{
    const zip_member *m = find_member(r, "byteorder", 9);
    if (!m || (m->size == 6 && !memcmp(m->data, "little", 6))) return LITHE_OK;
    return fail(err, LITHE_EFORMAT, "%s: its byteorder is \"%.*s\", only little is read", r->what, (int)(m->size < 20 ? m->size : 20), (const char *)m->data);
}

/* A number, with or without a newline; 3 since the first zips, 10 the newest that PyTorch itself accepts. */
static int check_version(const reader *r, lithe_error *err)
{
    const zip_member *m = find_member(r, "version", 7);
    size_t i = 0, version = 0;
    if (!m) return LITHE_OK;
    while (i < m->size && i < 4 && m->data[i] >= '0' && m->data[i] <= '9') version = version * 10 + m->data[i++] - '0';
    if (i && version >= 1 && version <= 10 && (i == m->size || m->data[i] == '\n')) return LITHE_OK;
    return fail(err, LITHE_EFORMAT, "%s: its version is \"%.*s\", 1 to 10 are read", r->what, (int)(m->size < 20 ? m->size : 20), (const char *)m->data);
}

static int read_archive(reader *r, lithe_error *err)
{
    const zip_member *m = find_pickle(r, err);
    if (!m) return failed(err) ? err->status : LITHE_EFORMAT;
    int status = check_byteorder(r, err);
    if (!status) status = check_version(r, err);
    if (status) return status;
    pickle p = { .what = r->what, .data = m->data, .size = m->size, .err = err, .owner = r,
                 .global = on_global, .persistent = on_persistent, .call = on_call };
    int top = pickle_run(&p);
    if (top < 0) status = top;
    else if (!pickle_is(&p, top, V_DICT)) status = fail(err, LITHE_EFORMAT, "%s: holds something else than a dict of tensors", r->what);
    else if ((top = unwrap(&p, top)) < 0) status = top;
    else status = take_dict(r, &p, top);
    pickle_free(&p);
    return status;
}

int pytorch_parse(tensor_file *f, const char *what, const uint8_t *data, size_t size, lithe_error *err)
{
    reader r = { .f = f, .what = what, .size = size };
    int status = zip_open(&r.archive, what, data, size, err);
    if (status) return status;
    status = read_archive(&r, err);
    zip_close(&r.archive);
    free(r.storages);
    free(r.views);
    return status;
}
