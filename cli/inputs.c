/* Reads the inputs of verbs. */
#include "inputs.h"
#include "output.h"
#include "watch.h"
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int wrong(lithe_error *err, lithe_status status, const char *format, ...)
{
    if (err->status != LITHE_OK) return err->status;
    va_list args;
    va_start(args, format);
    vsnprintf(err->text, sizeof err->text, format, args);
    va_end(args);
    for (char *p = err->text; *p; p++) if ((unsigned char)*p < ' ') *p = '?';
    err->status = status;
    return status;
}

int wrong_errno(lithe_error *err, const char *path, const char *doing)
{
    const int e = errno;
    switch (e) {
    case ENOSPC: case EDQUOT:              return wrong(err, LITHE_ENOMEM, "%s: disk is full: cannot %s", path, doing);
    case EFBIG:                            return wrong(err, LITHE_ENOMEM, "%s: cannot %s, files may not be that large here (ulimit -f)", path, doing);
    case ENOMEM: case EMFILE: case ENFILE: return wrong(err, LITHE_ENOMEM, "%s: cannot %s, %s", path, doing, strerror(e));
    default:                               return wrong(err, LITHE_EIO, "%s: cannot %s, %s", path, doing, strerror(e));
    }
}

double machine_peak(const char *dtype, lithe_error *err)
{
    double peak = err->status ? 0 : lithe_peak(dtype);
    if (!(peak > 0)) wrong(err, LITHE_ENOMEM, "not enough memory to measure the machine's rate of products");
    return peak;
}

void *allocate(size_t count, size_t size, lithe_error *err)
{
    size_t bytes;
    void *p = __builtin_mul_overflow(count, size, &bytes) ? NULL : malloc(bytes ? bytes : 1);
    if (!p) wrong(err, LITHE_ENOMEM, "cannot hold %zu values of %zu bytes, out of memory", count, size);
    return p;
}

/* ---- text ------------------------------------------------------------------- */

static char *read_stream(FILE *f, const char *name, size_t limit, size_t *size, lithe_error *err)
{
    size_t room = 1 << 16, used = 0;
    char *text = allocate(room + 1, 1, err);
    while (text) {
        used += fread(text + used, 1, room - used, f);
        if (used < room) break;
        if (room >= limit) { wrong(err, LITHE_EFORMAT, "%s: does not end within %zu MB, the most that is read of it", name, limit >> 20); free(text); return NULL; }
        char *larger = realloc(text, (room *= 2) + 1);
        if (!larger) { wrong(err, LITHE_ENOMEM, "%s: more than %zu bytes, out of memory", name, used); free(text); return NULL; }
        text = larger;
    }
    if (!text) return NULL;
    if (ferror(f)) { wrong_errno(err, name, "read"); free(text); return NULL; }
    text[used] = 0;
    *size = used;
    return text;
}

char *read_documents(const char *path, size_t *size, lithe_error *err)
{
    return err->status ? NULL : lithe_text_read(&path, 1, SIZE_MAX, size, err);
}

char *read_text(const char *path, size_t limit, size_t *size, lithe_error *err)
{
    if (err->status != LITHE_OK) return NULL;
    if (!strcmp(path, "-")) return read_stream(stdin, "standard input", limit, size, err);
    struct stat s;
    FILE *f = fopen(path, "rb");
    if (!f) { wrong_errno(err, path, "open"); return NULL; }
    char *text = NULL;
    if (fstat(fileno(f), &s) == 0 && S_ISDIR(s.st_mode)) wrong(err, LITHE_EIO, "%s: is a directory, expected a file", path);
    else text = read_stream(f, path, limit, size, err);
    fclose(f);
    return text;
}

/* ---- ids -------------------------------------------------------------------- */

int32_t *parse_ids(const char *text, size_t *n, lithe_error *err)
{
    static const char blanks[] = " \t\r\n,";
    int32_t *ids = allocate(strlen(text) / 2 + 1, sizeof *ids, err);
    *n = 0;
    for (const char *p = text + strspn(text, blanks); ids && *p; p += strspn(p, blanks)) {
        int length = (int)strcspn(p, blanks);
        char *end;
        errno = 0;
        long id = strtol(p, &end, 10);
        if (end != p + length || errno || id < 0 || id > INT32_MAX || *p == '+') {
            wrong(err, LITHE_EFORMAT, "'%.*s' is not a token id", length < 40 ? length : 40, p);
            free(ids);
            return NULL;
        }
        ids[(*n)++] = (int32_t)id;
        p = end;
    }
    return ids;
}

int ids_fit(const int32_t *ids, size_t n, int vocab, lithe_error *err)
{
    for (size_t i = 0; i < n; i++)
        if (ids[i] >= vocab) return wrong(err, LITHE_EFORMAT, "id %d at position %zu, the vocabulary has %d", ids[i], i, vocab);
    return LITHE_OK;
}

/* ---- outputs ---------------------------------------------------------------- */

static bool is_empty_directory(const char *path)
{
    DIR *d = opendir(path);
    bool empty = d != NULL;
    for (struct dirent *e; d && (e = readdir(d)); ) empty &= !strcmp(e->d_name, ".") || !strcmp(e->d_name, "..");
    if (d) closedir(d);
    return empty;
}

/* Whether the name ends as files do that hold a model, a text or an archive. */
static bool ends_as_file(const char *path)
{
    static const char *const endings[] = { ".gguf", ".bin", ".pth", ".safetensors", ".pt", ".ckpt", ".onnx", ".ggml", ".pkl", ".h5", ".npz", ".npy", ".msgpack", ".json",
                                           ".jsonl", ".txt", ".zip", ".tar", ".tgz", ".gz", ".zst", ".xz", ".bz2" };
    const char *end = strrchr(path, '.');
    for (size_t i = 0; end && end != path && i < sizeof endings / sizeof *endings; i++) if (!strcmp(end, endings[i])) return true;
    return false;
}

int must_be_new(const char *path, bool directory, lithe_error *err)
{
    struct stat at;
    if (err->status || !path) return err->status;
    const bool there = !lstat(path, &at);
    if (there && directory && is_empty_directory(path)) return LITHE_OK;
    if (there && directory && S_ISDIR(at.st_mode)) return wrong(err, LITHE_EINVAL, "%s: exists and is not empty: name a new directory", path);
    if (there) return wrong(err, LITHE_EINVAL, "%s: is there already: name a new %s", path, directory ? "directory" : "file");
    if (directory && ends_as_file(path))
        return wrong(err, LITHE_EINVAL, "%s: ends as a file, and a directory is written: name it without (convert writes .gguf, .safetensors, .pth and, of RWKV, .bin)", path);
    return LITHE_OK;
}

int must_be_there(const char *path, lithe_error *err)
{
    struct stat at;
    if (err->status || !stat(path, &at)) return err->status;
    return wrong_errno(err, path, "open");
}

int must_be_new_file(const char *path, const char *ending, lithe_error *err)
{
    if (must_be_new(path, false, err) || !path || !ends_as_file(path) || !strcmp(strrchr(path, '.'), ending)) return (int)err->status;
    return wrong(err, LITHE_EINVAL, "%s: ends as another kind of file, and a %s file is written", path, ending);
}

/* ---- models ----------------------------------------------------------------- */

lithe_model *open_model(const char *path, const char *config, lithe_error *err)
{
    char what[300];
    snprintf(what, sizeof what, "opening %.280s", path);
    watch_begin(what);
    lithe_model *m = lithe_model_open(path, config, err);
    watch_end();
    if (lithe_model_notice(m)) warn(lithe_model_notice(m));
    if (lithe_model_better(m)) say("%s", lithe_model_better(m));
    return m;
}

/* ---- tokenizers ------------------------------------------------------------- */

lithe_tokenizer *model_tokenizer(const lithe_model *m, const char *path, const char *given, lithe_error *err)
{
    return model_tokenizer_with(m, path, given, NULL, err);
}

lithe_tokenizer *model_tokenizer_with(const lithe_model *m, const char *path, const char *given, const lithe_tokenizer_options *o, lithe_error *err)
{
    if (err->status != LITHE_OK) return NULL;
    const char *found = given ? given : lithe_model_tokenizer(m);
    if (lithe_model_images(m, NULL, NULL, NULL)) wrong(err, LITHE_ECONFIG, "%s: a %s reads images, not text: lithe classify it", path, lithe_model_arch(m));
    else if (!found)
        wrong(err, LITHE_EINVAL, "%s: has no tokenizer; give --tokenizer PATH (a tokenizer.json, a .model, a vocab.txt, an RWKV vocabulary, a llama2.c "
                                 "tokenizer file, a folder) or --tokenizer bytes", path);
    if (err->status != LITHE_OK) return NULL;
    lithe_tokenizer *t = lithe_tokenizer_open_with(found, o, err);
    lithe_error misfit = { 0 };
    if (!t || !lithe_model_fits(m, t, &misfit)) return t;
    wrong(err, misfit.status, "%s: %s: %s; give another --tokenizer", path, found, misfit.text);
    lithe_tokenizer_close(t);
    return NULL;
}

int32_t *encode_text(const lithe_tokenizer *t, const char *text, size_t size, bool special, size_t *n, lithe_error *err)
{
    if (err->status != LITHE_OK) return NULL;
    size_t count = lithe_encode(t, text, size, special, NULL, 0);
    int32_t *ids = allocate(count + 1, sizeof *ids, err);
    if (!ids) return NULL;
    *n = lithe_encode(t, text, size, special, ids, count);
    size_t plain = special ? lithe_encode(t, text, size, 0, NULL, 0) : *n;
    int32_t eos = lithe_tokenizer_eos(t);
    if (*n > plain && eos >= 0 && ids[*n - 1] == eos) --*n;
    return ids;
}

char *decode_ids(const lithe_tokenizer *t, const int32_t *ids, size_t n, size_t *size, lithe_error *err)
{
    if (err->status != LITHE_OK) return NULL;
    size_t bytes = lithe_decode(t, ids, n, NULL, 0);
    char *text = allocate(bytes + 1, 1, err);
    if (!text) return NULL;
    *size = lithe_decode(t, ids, n, text, bytes);
    text[bytes] = 0;
    return text;
}
