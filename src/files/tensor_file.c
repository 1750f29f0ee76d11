/* Opens a file of tensors by its content: there is a table of formats, tried in
 * order, and one of formats that are refused by name; the index.json that divides
 * a model into shards; and the table of formats that are written.
 * Invariant: in a tensor_file that was returned, the data of every tensor is
 * inside a mapping or the arena, and no name occurs twice. */
#include "files/tensor_formats.h"
#include "base/gguf_keys.h"
#include "base/utf8.h"
#include "base/json.h"
#include "base/progress.h"
#include <stdlib.h>

enum { INDEX_LIMIT = 100000000, INDEX_DEPTH = 4 };

static const struct {
    const char *format;
    bool (*recognise)(const uint8_t *data, size_t size);        /* NULL: any other file */
    int  (*parse)(tensor_file *f, const char *what, const uint8_t *data, size_t size, lithe_error *err);
} FORMATS[] = {
    { "safetensors", is_safetensors, safetensors_parse },       /* first: its length may look like another's magic */
    { "pytorch",     is_pytorch,     pytorch_parse     },
    { "gguf",        is_gguf,        gguf_parse        },
    { "rwkv.cpp",    is_rwkvcpp,     rwkvcpp_parse     },
    { "llama2.c",    is_llama2c,     llama2c_parse     },
    { "safetensors", NULL,           safetensors_parse },
};

static dtype as_asked(const out_tensor *t, dtype asked) { (void)t; return dtype_block(asked) > 1 ? DT_OTHER : asked; }
static int write_safetensors(const char *path, const out_tensor *tensors, int count, lithe_error *err) { return safetensors_write(path, tensors, count, NULL, err); }

static const tensor_writer WRITERS[] = {
    { ".pth",         NULL,       NULL,   as_asked,     pytorch_write     },
    { ".safetensors", NULL,       NULL,   as_asked,     write_safetensors },
    { ".gguf",        "gguf",     NULL,   gguf_type_for, NULL             },
    { ".bin",         "rwkv.cpp", "RWKV", rwkvcpp_type, rwkvcpp_write     },
};

static const struct { const char *magic; size_t length; const char *is; } OTHER_FORMATS[] = {
    { "\x80\x02\x8a\nl\xfc\x9c" "F\xf9 j\xa8P\x19.", 15,
      "PyTorch's format before 1.6, which is not a zip: torch.load it and torch.save it again with a newer PyTorch, or save it as safetensors" },
    { "\x80\x02}", 3,       "a bare pickle, not a torch.save zip: save the model with torch.save or as safetensors" },
    { "\x80\x02" "c", 3,    "a bare pickle, not a torch.save zip: save the model with torch.save or as safetensors" },
    { "\x80\x03}", 3,       "a bare pickle, not a torch.save zip: save the model with torch.save or as safetensors" },
    { "\x80\x04\x95", 3,    "a bare pickle, not a torch.save zip: save the model with torch.save or as safetensors" },
    { "\x80\x05\x95", 3,    "a bare pickle, not a torch.save zip: save the model with torch.save or as safetensors" },
    { "24ka", 4,            "llama2.c version 1 or 2: export it with --version 0" },
    { "\x89HDF\r\n\x1a\n", 8, "HDF5: convert it to safetensors with the library that wrote it" },
    { "\x1f\x8b\x08", 3,    "gzip: unpack it first" },
    { "\x28\xb5\x2f\xfd", 4, "zstd: unpack it first" },
};

/* ---- what the formats share -------------------------------------------------- */

int check_tensor_name(const char *what, const char *name, size_t length, lithe_error *err)
{
    if (length > MAX_NAME_BYTES)
        return fail(err, LITHE_EFORMAT, "%s: the tensor name %.60s... is %zu bytes long, at most %d are accepted",
                    what, name, length, MAX_NAME_BYTES);
    for (size_t i = 0; i < length; i++)
        if ((unsigned char)name[i] < ' ' || name[i] == 127)
            return fail(err, LITHE_EFORMAT, "%s: the tensor name %.*s holds the control byte 0x%02x at %zu",
                        what, (int)(length < 60 ? length : 60), name, (unsigned)(unsigned char)name[i], i);
    if (utf8_valid(name, length) != length)
        return fail(err, LITHE_EFORMAT, "%s: the tensor name %.*s is not UTF-8", what, (int)(length < 60 ? length : 60), name);
    return LITHE_OK;
}

/* A tensor has three brackets, and twelve commas when its rank is 8. */
int check_json_size(const char *what, const char *text, size_t size, lithe_error *err)
{
    size_t brackets = 0, commas = 0;
    bool quoted = false;
    for (size_t i = 0; i < size; i++) {
        char c = text[i];
        if (quoted && c == '\\') i++;
        else if (c == '"') quoted = !quoted;
        else if (!quoted) { brackets += c == '[' || c == '{'; commas += c == ','; }
    }
    if (brackets <= 3 * (size_t)MAX_TENSORS + 2 && commas <= 12 * (size_t)MAX_TENSORS) return LITHE_OK;
    return fail(err, LITHE_EFORMAT, "%s: JSON with %zu brackets and %zu commas describes more than %d tensors", what, brackets, commas, MAX_TENSORS);
}

bool shape_count(const int64_t *dims, int rank, size_t *count)
{
    *count = 1;
    for (int i = 0; i < rank; i++)
        if (dims[i] < 0 || !size_mul(*count, (size_t)dims[i], count)) return false;
    return true;
}

file_tensor *append_tensors(tensor_file *f, const char *what, size_t n, lithe_error *err)
{
    if (n > MAX_TENSORS - (size_t)f->count) {
        fail(err, LITHE_EFORMAT, "%s: %zu tensors, at most %d are accepted", what, n + (size_t)f->count, MAX_TENSORS);
        return NULL;
    }
    size_t old = (size_t)f->count;
    file_tensor *all = arena_alloc(&f->memory, (old + n) * sizeof *all);
    if (!all) { fail(err, LITHE_ENOMEM, "%s: no memory for a list of %zu tensors", what, old + n); return NULL; }
    if (old) memcpy(all, f->tensors, old * sizeof *all);
    f->tensors = all;
    f->count = (int)(old + n);
    return all + old;
}

/* ---- names ------------------------------------------------------------------- */

static int compare_names(const void *a, const void *b)
{
    const file_tensor *x = *(const file_tensor *const *)a, *y = *(const file_tensor *const *)b;
    int order = strcmp(x->name, y->name);
    return order ? order : (x > y) - (x < y);
}

/* The range, of those ending at end[], that contains tensor t. */
static int shard_of(const tensor_file *f, const file_tensor *t, const int *end)
{
    int shard = 0;
    while (t - f->tensors >= end[shard]) shard++;
    return shard;
}

static int sort_names(tensor_file *f, const char *const *shard, const int *end, lithe_error *err)
{
    size_t n = (size_t)f->count;
    f->by_name = arena_alloc(&f->memory, n * sizeof *f->by_name);
    if (!f->by_name) return fail(err, LITHE_ENOMEM, "%s: no memory for %zu tensor names", f->path, n);
    for (size_t i = 0; i < n; i++) f->by_name[i] = f->tensors + i;
    qsort(f->by_name, n, sizeof *f->by_name, compare_names);
    for (size_t i = 1; i < n; i++) {
        const file_tensor *a = f->by_name[i - 1], *b = f->by_name[i];
        if (strcmp(a->name, b->name)) continue;
        return fail(err, LITHE_EFORMAT, "%s: the tensor %.160s is there twice, in %.80s and in %.80s", f->path, a->name,
                    shard[shard_of(f, a, end)], shard[shard_of(f, b, end)]);
    }
    return LITHE_OK;
}

const file_tensor *tensor_file_find(const tensor_file *f, const char *name)
{
    const file_tensor key = { .name = name };
    size_t low = 0, high = f ? (size_t)f->count : 0;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(f->by_name[middle]->name, key.name);
        if (order == 0) return f->by_name[middle];
        if (order < 0) low = middle + 1; else high = middle;
    }
    return NULL;
}

/* ---- one file ---------------------------------------------------------------- */

static int refuse_other_format(const char *what, const uint8_t *data, size_t size, lithe_error *err)
{
    for (size_t i = 0; i < sizeof OTHER_FORMATS / sizeof *OTHER_FORMATS; i++)
        if (size >= OTHER_FORMATS[i].length && !memcmp(data, OTHER_FORMATS[i].magic, OTHER_FORMATS[i].length))
            return fail(err, LITHE_EFORMAT, "%s: is %s", what, OTHER_FORMATS[i].is);
    return LITHE_OK;
}

static int parse(tensor_file *f, const char *what, const uint8_t *data, size_t size, lithe_error *err)
{
    size_t i = 0;
    while (FORMATS[i].recognise && !FORMATS[i].recognise(data, size)) i++;
    int status = i ? refuse_other_format(what, data, size, err) : LITHE_OK;
    if (status) return status;
    const char *ending = strrchr(what, '.');
    /* It says what the file lacks. */
    if (!FORMATS[i].recognise && ending && !strcmp(ending, ".gguf")) return gguf_parse(f, what, data, size, err);
    if (f->format && strcmp(f->format, FORMATS[i].format))
        return fail(err, LITHE_EFORMAT, "%s: is %s, while the shards before it are %s", what, FORMATS[i].format, f->format);
    f->format = FORMATS[i].format;
    return FORMATS[i].parse(f, what, data, size, err);
}

static tensor_file *tensor_file_new(const char *path, lithe_error *err)
{
    if (failed(err)) return NULL;
    tensor_file *f = xalloc(1, sizeof *f);
    if (f) f->path = arena_strdup(&f->memory, path);
    if (f && f->path) return f;
    tensor_file_close(f);
    fail(err, LITHE_ENOMEM, "%s: no memory", path);
    return NULL;
}

int tensor_file_sort(tensor_file *f, lithe_error *err) { return sort_names(f, (const char *const[]){ path_base(f->path) }, (const int[]){ f->count }, err); }

static int parse_alone(tensor_file *f, const uint8_t *data, size_t size, lithe_error *err)
{
    int status = parse(f, f->path, data, size, err);
    return status ? status : tensor_file_sort(f, err);
}

/* ---- an index and its shards --------------------------------------------------- */

/* Whether it is JSON: the length before a safetensors header has zeros in its upper bytes. */
static bool is_index(const uint8_t *data, size_t size)
{
    size_t i = 0;
    if (memchr(data, 0, size < 8 ? size : 8)) return false;
    while (i < size && (data[i] == ' ' || (data[i] >= '\t' && data[i] <= '\r'))) i++;
    return i < size && data[i] == '{';
}

static int check_shard_name(const char *path, const json_t *value, lithe_error *err)
{
    const char *name = json_string_value(value);
    if (!name) return fail(err, LITHE_EFORMAT, "%s: weight_map holds a value that is not a file name", path);
    if (!*name || strchr(name, '/') || strchr(name, '\\') || strstr(name, "..") || !strcmp(name, ".") ||
        strlen(name) != json_string_length(value))
        return fail(err, LITHE_EFORMAT, "%s: weight_map names the shard \"%.200s\", which is not a plain file name beside the index", path, name);
    return LITHE_OK;
}

/* Collects the distinct shard names in the order of appearance; returns their number, or a status. */
static int list_shards(const char *path, json_t *weight_map, const char *shard[MAX_SHARDS], lithe_error *err)
{
    int n = 0;
    for (void *i = json_object_iter(weight_map); i; i = json_object_iter_next(weight_map, i)) {
        int status = check_shard_name(path, json_object_iter_value(i), err);
        if (status) return status;
        const char *name = json_string_value(json_object_iter_value(i));
        int k = n - 1;
        while (k >= 0 && strcmp(shard[k], name)) k--;
        if (k >= 0) continue;
        if (n == MAX_SHARDS) return fail(err, LITHE_EFORMAT, "%s: names more than %d shards", path, MAX_SHARDS);
        shard[n++] = name;
    }
    return n ? n : fail(err, LITHE_EFORMAT, "%s: weight_map names no shard", path);
}

static int open_shard(tensor_file *f, const char *name, lithe_error *err)
{
    char *folder = path_parent(f->path), *path = folder ? path_join(folder, name) : NULL;
    mapping *m = &f->maps[f->map_count];
    int status = path ? file_map(m, path, err) : fail(err, LITHE_ENOMEM, "%s: no memory", f->path);
    if (!status) {
        f->map_count++;
        status = parse(f, path, m->data, m->size, err);
    }
    free(folder);
    free(path);
    return status;
}

static int check_places(const tensor_file *f, json_t *weight_map, const char *const *shard, const int *end, lithe_error *err)
{
    for (void *i = json_object_iter(weight_map); i; i = json_object_iter_next(weight_map, i)) {
        const char *name = json_object_iter_key(i), *where = json_string_value(json_object_iter_value(i));
        const file_tensor *t = tensor_file_find(f, name);
        if (!t) return fail(err, LITHE_EFORMAT, "%s: the tensor %.160s is not in %.120s, nor in any other shard", f->path, name, where);
        const char *found = shard[shard_of(f, t, end)];
        if (strcmp(found, where))
            return fail(err, LITHE_EFORMAT, "%s: the tensor %.160s is in %.80s, the index says %.80s", f->path, name, found, where);
    }
    return LITHE_OK;
}

static int parse_index(tensor_file *f, const uint8_t *data, size_t size, lithe_error *err)
{
    const char *shard[MAX_SHARDS];
    int end[MAX_SHARDS];
    if (size > INDEX_LIMIT) return fail(err, LITHE_EFORMAT, "%s: an index of %zu bytes, at most %d are accepted", f->path, size, INDEX_LIMIT);
    int status = check_json_size(f->path, (const char *)data, size, err);
    json_t *index = status ? NULL : json_parse((const char *)data, size, INDEX_DEPTH, f->path, err);
    if (!index) return failed(err) ? err->status : LITHE_EFORMAT;
    json_t *weight_map = json_object_get(index, "weight_map");
    int n = 0;
    if (!json_is_object(weight_map)) status = fail(err, LITHE_EFORMAT, "%s: is JSON without a weight_map, so not an index of shards", f->path);
    else if ((n = list_shards(f->path, weight_map, shard, err)) < 0) status = n;
    for (int i = 0; i < n && !status; i++) {
        status = open_shard(f, shard[i], err);
        end[i] = f->count;
    }
    if (!status) status = sort_names(f, shard, end, err);
    if (!status) status = check_places(f, weight_map, shard, end, err);
    json_decref(index);
    return status;
}

/* ---- writing ----------------------------------------------------------------------- */

int tell_writing(size_t done, size_t all, lithe_error *err) { return progress_tell("writing the weights", (double)done, (double)all, err); }

const tensor_writer *tensor_writer_of(const char *path, lithe_error *err)
{
    size_t n = strlen(path);
    for (size_t i = 0; i < sizeof WRITERS / sizeof *WRITERS; i++) {
        size_t k = strlen(WRITERS[i].ending);
        if (n > k && !strcmp(path + n - k, WRITERS[i].ending)) return &WRITERS[i];
    }
    fail(err, LITHE_EINVAL, "%s: a model is written to one file that ends with .gguf, .pth, .safetensors or, for rwkv.cpp, .bin", path);
    return NULL;
}

/* ---- opening and closing --------------------------------------------------------- */

tensor_file *tensor_file_parse(const void *data, size_t size, const char *name, lithe_error *err)
{
    tensor_file *f = tensor_file_new(name, err);
    if (!f) return NULL;
    int status = is_index(data, size) ? fail(err, LITHE_EFORMAT, "%s: is JSON, and not a file of tensors", name) : parse_alone(f, data, size, err);
    if (!status) return f;
    tensor_file_close(f);
    return NULL;
}

tensor_file *tensor_file_open(const char *path, lithe_error *err)
{
    tensor_file *f = tensor_file_new(path, err);
    mapping m = { 0 };
    if (!f || file_map(&m, path, err)) goto out;
    if (is_index(m.data, m.size)) {
        int status = parse_index(f, m.data, m.size, err);
        file_unmap(&m);
        if (status) goto out;
        return f;
    }
    f->maps[f->map_count++] = m;
    if (!parse_alone(f, m.data, m.size, err)) return f;
out:
    tensor_file_close(f);
    return NULL;
}

int tensor_file_intact(const tensor_file *f, lithe_error *err)
{
    int status = LITHE_OK;
    for (int i = 0; i < f->map_count && !status; i++) status = mapping_intact(&f->maps[i], err);
    return status;
}

void tensor_file_close(tensor_file *f)
{
    if (!f) return;
    for (int i = 0; i < f->map_count; i++) file_unmap(&f->maps[i]);
    json_decref(f->metadata);
    json_decref(f->config);
    if (f->keys) gguf_keys_free(f->keys);
    arena_free(&f->memory);
    free(f);
}
