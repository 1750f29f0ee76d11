/* Sessions on disk: a safetensors file (docs/state-file.md) with the states as
 * float32, the logits, and what must match before anything else is used: digests of the model
 * and of the tokenizer.
 * Invariant: a session is changed only after the whole file was found correct. */
#include "infer/session.h"
#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { HEX = 33, PIECE_BYTES = 4096 };
static const char FORMAT[] = "lithe state", VERSION[] = "1";
_Static_assert(sizeof(real) == sizeof(float), "states are written as they lie in memory");

/* ---- who made it ------------------------------------------------------------------------ */

typedef struct { char *text; size_t size; FILE *stream; } notes;

static bool notes_end(notes *n, char hex[HEX])
{
    bool bad = !n->stream || ferror(n->stream);
    if (n->stream && fclose(n->stream)) bad = true;
    if (!bad) hash_hex(n->text, n->size, hex);
    free(n->text);
    return !bad;
}

/* The digest of the configuration and of the name and the numbers of every parameter. */
static bool model_digest(const lithe_model *m, char hex[HEX])
{
    notes n = { 0 };
    char each[HEX];
    json_t *config = json_object();
    char *text = config && !arch_publish(m->arch, m->config, config) ? json_dumps(config, JSON_COMPACT | JSON_SORT_KEYS | JSON_REAL_PRECISION(17)) : NULL;
    n.stream = open_memstream(&n.text, &n.size);
    bool whole = text != NULL;
    if (n.stream && text) fprintf(n.stream, "%s %s\n", m->arch->name, text);
    for (int i = 0; n.stream && i < m->params->count; i++) {
        const param *p = m->params->items[i];
        real *values = whole ? weight_copy(&p->weight, p->count) : NULL;
        whole = values != NULL;
        if (whole) hash_hex(values, p->count * sizeof *values, each);
        if (whole) fprintf(n.stream, "%s %s\n", p->name, each);
        free(values);
    }
    free(text);
    json_decref(config);
    return notes_end(&n, hex) && whole;
}

/* The digest of the text of every id. */
static bool tokenizer_digest(const lithe_tokenizer *t, char hex[HEX])
{
    notes n = { 0 };
    char piece[PIECE_BYTES];
    n.stream = open_memstream(&n.text, &n.size);
    for (int32_t id = 0; n.stream && id < lithe_tokenizer_vocab(t); id++) {
        size_t length = lithe_decode(t, &id, 1, piece, sizeof piece);
        fprintf(n.stream, "%zu ", length);
        fwrite(piece, 1, length < sizeof piece ? length : sizeof piece, n.stream);
    }
    return notes_end(&n, hex);
}

static int describe(json_t *meta, const lithe_session *s, const lithe_tokenizer *t, lithe_error *err)
{
    char model[HEX], tokenizer[HEX] = "", tokens[32], digest[HEX];
    if (!model_digest(engine_model(s->engine), model) || (t && !tokenizer_digest(t, tokenizer))) return fail(err, LITHE_ENOMEM, "not enough memory to save a session");
    snprintf(tokens, sizeof tokens, "%zu", s->length);
    snprintf(digest, sizeof digest, "%016llx%016llx", (unsigned long long)s->digest.a, (unsigned long long)s->digest.b);
    bool bad = json_object_set_new(meta, "format", json_string(FORMAT)) || json_object_set_new(meta, "version", json_string(VERSION))
            || json_object_set_new(meta, "architecture", json_string(engine_model(s->engine)->arch->name)) || json_object_set_new(meta, "model", json_string(model))
            || json_object_set_new(meta, "tokens", json_string(tokens)) || (t && json_object_set_new(meta, "tokenizer", json_string(tokenizer)));
    if (!s->ids) {
        snprintf(tokens, sizeof tokens, "%d", (int)s->last);
        bad = bad || json_object_set_new(meta, "last", json_string(tokens)) || json_object_set_new(meta, "digest", json_string(digest));
    }
    return bad ? fail(err, LITHE_ENOMEM, "not enough memory to save a session") : LITHE_OK;
}

/* ---- saving --------------------------------------------------------------------------------- */

/* The shape on disk of a state of this length: keys or values of the ids that were read, or one row.  NULL data: memory
 * is out. */
static out_tensor state_out(const lithe_session *s, const slot_state *x, const char *name, arena *memory)
{
    size_t count = s->length * (size_t)x->width;
    real *numbers = x->type == STORED_REAL ? x->data : arena_alloc(memory, count * sizeof *numbers);
    if (numbers && x->type != STORED_REAL) kernels_default()->widen(numbers, (stored){ .type = x->type, .data = x->data }, count);
    if (x->recurrent) return (out_tensor){ .name = name, .type = DT_F32, .rank = 1, .dims = { x->width }, .data = numbers };
    return (out_tensor){ .name = name, .type = DT_F32, .rank = 2, .dims = { (int64_t)s->length, x->width }, .data = numbers };
}

static int write_state(const lithe_session *s, const json_t *meta, const char *path, lithe_error *err)
{
    arena memory = { 0 };
    char name[320];
    out_tensor *out = xalloc((size_t)engine_states(s->engine) + 2, sizeof *out);
    int n = 0, status = out ? LITHE_OK : fail(err, LITHE_ENOMEM, "%s: not enough memory to save a session", path);
    for (int i = 0; !status && i < engine_states(s->engine); i++) {
        slot_state x = engine_state(s->engine, i, 0);
        snprintf(name, sizeof name, "state.%s", x.name);
        out[n] = state_out(s, &x, arena_strdup(&memory, name), &memory);
        if (!out[n].name || !out[n].data) status = fail(err, LITHE_ENOMEM, "%s: not enough memory to save a session", path);
        n++;
    }
    if (!status) {
        out[n++] = s->ids ? (out_tensor){ .name = "ids", .type = DT_I32, .rank = 1, .dims = { (int64_t)s->length }, .data = s->ids }
                          : (out_tensor){ .name = "seen", .type = DT_I32, .rank = 1, .dims = { (int64_t)s->seen.count }, .data = s->seen.ids };
        if (s->ready) out[n++] = (out_tensor){ .name = "logits", .type = DT_F32, .rank = 1, .dims = { s->vocab }, .data = s->logits };
        status = safetensors_write(path, out, n, meta, err);
    }
    arena_free(&memory);
    free(out);
    return status;
}

int lithe_session_save(const lithe_session *s, const lithe_tokenizer *t, const char *path, lithe_error *err)
{
    if (!s || !path) return fail(err, LITHE_EINVAL, "there is no %s", s ? "path" : "session");
    if (failed(err)) return err->status;
    json_t *meta = json_object();
    int status = meta ? describe(meta, s, t, err) : fail(err, LITHE_ENOMEM, "%s: not enough memory to save a session", path);
    if (!status) status = write_state(s, meta, path, err);
    json_decref(meta);
    return status;
}

/* ---- loading ----------------------------------------------------------------------------------- */

static const char *metadata(const tensor_file *f, const char *key)
{
    const char *value = json_string_value(json_object_get(f->metadata, key));
    return value ? value : "";
}

static int check_origin(const tensor_file *f, const lithe_session *s, const lithe_tokenizer *t, lithe_error *err)
{
    char model[HEX], tokenizer[HEX];
    const char *kind = metadata(f, "architecture"), *theirs = metadata(f, "model"), *text = metadata(f, "tokenizer");
    if (strcmp(metadata(f, "format"), FORMAT)) return fail(err, LITHE_EFORMAT, "%s: is no saved session", f->path);
    if (strcmp(metadata(f, "version"), VERSION)) return fail(err, LITHE_EFORMAT, "%s: a saved session of version \"%.20s\"; version %s is read", f->path, metadata(f, "version"), VERSION);
    if (!model_digest(engine_model(s->engine), model)) return fail(err, LITHE_ENOMEM, "%s: not enough memory to load a session", f->path);
    if (strcmp(theirs, model) || strcmp(kind, engine_model(s->engine)->arch->name))
        return fail(err, LITHE_EFORMAT, "%s: is a session of the %.40s model %.8s, this is the %s model %.8s; load it into the model it was saved with",
                    f->path, kind, theirs, engine_model(s->engine)->arch->name, model);
    if (!t || !*text) return LITHE_OK;
    if (!tokenizer_digest(t, tokenizer)) return fail(err, LITHE_ENOMEM, "%s: not enough memory to load a session", f->path);
    return strcmp(text, tokenizer) ? fail(err, LITHE_EFORMAT, "%s: was saved with the tokenizer %.8s, this is %.8s; load it with the same one", f->path, text, tokenizer) : LITHE_OK;
}

/* Parses digits only, for a number below `limit`. */
static bool read_number(const char *text, uint64_t limit, uint64_t *out)
{
    size_t n = strlen(text);
    if (!n || n > 18 || strspn(text, "0123456789") != n) return false;
    *out = strtoull(text, NULL, 10);
    return *out < limit;
}

static const file_tensor *find(const tensor_file *f, const char *name, dtype type, int rank, int64_t d0, int64_t d1, lithe_error *err)
{
    const file_tensor *t = tensor_file_find(f, name);
    if (!t) { fail(err, LITHE_EFORMAT, "%s: holds no %.200s", f->path, name); return NULL; }
    if (t->type == type && t->rank == rank && t->dims[0] == d0 && (rank < 2 || t->dims[1] == d1)) return t;
    fail(err, LITHE_EFORMAT, "%s: %.200s is %s of %lld numbers, expected %s of %lld", f->path, name, t->type_name, (long long)t->count,
         dtype_name(type), (long long)(rank < 2 ? d0 : d0 * d1));
    return NULL;
}

static int check_finite(const tensor_file *f, const file_tensor *t, lithe_error *err)
{
    for (size_t i = 0; i < t->count; i++) {
        float x;
        memcpy(&x, (const char *)t->data + i * sizeof x, sizeof x);
        if (!isfinite(x)) return fail(err, LITHE_EFORMAT, "%s: %.200s[%zu] is no finite number", f->path, t->name, i);
    }
    return LITHE_OK;
}

static int32_t id_at(const file_tensor *t, size_t i) { int32_t id; memcpy(&id, (const char *)t->data + i * sizeof id, sizeof id); return id; }

/* Whether these are ids of the vocabulary, and distinct if they are those that occurred. */
static int check_read_ids(const tensor_file *f, const file_tensor *t, int vocab, bool distinct, lithe_error *err)
{
    uint8_t *is_seen = xalloc((size_t)vocab, 1);
    int status = is_seen ? LITHE_OK : fail(err, LITHE_ENOMEM, "%s: not enough memory to load a session", f->path);
    for (size_t i = 0; !status && i < t->count; i++) {
        int32_t id = id_at(t, i);
        if (id < 0 || id >= vocab) status = fail(err, LITHE_EFORMAT, "%s: %s[%zu] is %d, which is not in the vocabulary of %d", f->path, t->name, i, (int)id, vocab);
        else if (distinct && is_seen[id]) status = fail(err, LITHE_EFORMAT, "%s: %s holds %d twice", f->path, t->name, (int)id);
        else is_seen[id] = 1;
    }
    free(is_seen);
    return status;
}

typedef struct { uint64_t tokens; const file_tensor *ids, *logits, **states; chain digest; int32_t last; } saved;

static int check_states(saved *x, const tensor_file *f, const lithe_session *s, lithe_error *err)
{
    char name[320];
    for (int i = 0; i < engine_states(s->engine); i++) {
        slot_state own = engine_state(s->engine, i, 0);
        snprintf(name, sizeof name, "state.%s", own.name);
        x->states[i] = own.recurrent ? find(f, name, DT_F32, 1, own.width, 0, err) : find(f, name, DT_F32, 2, (int64_t)x->tokens, own.width, err);
        if (!x->states[i]) return LITHE_EFORMAT;
        int status = check_finite(f, x->states[i], err);
        if (status) return status;
    }
    x->logits = tensor_file_find(f, "logits");
    if (x->logits && !(x->logits = find(f, "logits", DT_F32, 1, s->vocab, 0, err))) return LITHE_EFORMAT;
    return x->logits ? check_finite(f, x->logits, err) : LITHE_OK;
}

static int check_reading(saved *x, const tensor_file *f, const lithe_session *s, lithe_error *err)
{
    uint64_t last = 0;
    unsigned long long a = 0, b = 0;
    if (!read_number(metadata(f, "tokens"), (uint64_t)INT64_MAX, &x->tokens)) return fail(err, LITHE_EFORMAT, "%s: its number of tokens is \"%.40s\"", f->path, metadata(f, "tokens"));
    if (s->context && x->tokens > (uint64_t)s->context)
        return fail(err, LITHE_EFULL, "%s: the saved text is %llu tokens long, the context holds %d", f->path, (unsigned long long)x->tokens, s->context);
    const char *name = s->ids ? "ids" : "seen", *digest = metadata(f, "digest");
    const file_tensor *t = tensor_file_find(f, name);
    int64_t count = s->ids ? (int64_t)x->tokens : t && t->count <= (size_t)s->vocab && t->count <= x->tokens ? (int64_t)t->count : -1;
    if (!(x->ids = find(f, name, DT_I32, 1, count, 0, err))) return LITHE_EFORMAT;
    int status = check_read_ids(f, x->ids, s->vocab, !s->ids, err);
    if (status || s->ids) return status;
    bool right = strlen(digest) == 32 && strspn(digest, "0123456789abcdef") == 32 && sscanf(digest, "%16llx%16llx", &a, &b) == 2
              && (x->tokens ? read_number(metadata(f, "last"), (uint64_t)s->vocab, &last) && x->ids->count : !x->ids->count);
    x->digest = (chain){ a, b };
    x->last = x->tokens ? (int32_t)last : -1;
    return right ? LITHE_OK : fail(err, LITHE_EFORMAT, "%s: its digest or its last token is damaged", f->path);
}

/* Stores what was saved as the session stores it, a row for each token at a time. */
static void take_state(const slot_state *to, const file_tensor *t, size_t tokens, real *row)
{
    if (to->type == STORED_REAL) { memcpy(to->data, t->data, t->bytes); return; }
    for (size_t i = 0; i < tokens; i++) {
        memcpy(row, (const char *)t->data + i * (size_t)to->width * sizeof *row, (size_t)to->width * sizeof *row);
        kernels_default()->put_rows((char *)to->data + stored_bytes(to->type, i * (size_t)to->width), to->type, (size_t)to->width, &(int){ 0 }, row, 0, 1, to->width);
    }
}

static void take(lithe_session *s, const saved *x, real *row)
{
    session_clear(s);
    session_forget_mark(s);
    for (int i = 0; x->tokens && i < engine_states(s->engine); i++) {
        slot_state to = engine_state(s->engine, i, 0);
        take_state(&to, x->states[i], (size_t)x->tokens, row);
    }
    if (x->tokens) engine_place(s->engine, 0, (size_t)x->tokens);
    for (size_t i = 0; i < x->ids->count; i++) {
        int32_t id = id_at(x->ids, i);
        session_note(s, &id, 1);
    }
    s->length = (size_t)x->tokens;
    s->digest = x->digest;
    s->last = x->last;
    s->ready = x->logits != NULL;
    if (s->ready) memcpy(s->logits, x->logits->data, (size_t)s->vocab * sizeof *s->logits);
}

static size_t widest(const lithe_session *s)
{
    int width = 0;
    for (int i = 0; i < engine_states(s->engine); i++) {
        slot_state x = engine_state(s->engine, i, 0);
        if (x.width > width) width = x.width;
    }
    return (size_t)width;
}

static int load_saved(lithe_session *s, const lithe_tokenizer *t, const tensor_file *f, lithe_error *err)
{
    int own = engine_states(s->engine);
    saved x = { .states = xalloc((size_t)own + 1, sizeof *x.states) };
    real *row = xalloc(widest(s), sizeof *row);
    int status = x.states && row ? check_origin(f, s, t, err) : fail(err, LITHE_ENOMEM, "%s: not enough memory to load a session", f->path);
    if (!status) status = check_reading(&x, f, s, err);
    if (!status) status = check_states(&x, f, s, err);
    if (!status && f->count != own + 1 + (x.logits != NULL))
        status = fail(err, LITHE_EFORMAT, "%s: holds %d tensors, a session of this model has %d", f->path, f->count, own + 1 + (x.logits != NULL));
    if (!status) take(s, &x, row);
    free(row);
    free(x.states);
    return status;
}

int lithe_session_load(lithe_session *s, const lithe_tokenizer *t, const char *path, lithe_error *err)
{
    if (!s || !path) return fail(err, LITHE_EINVAL, "there is no %s", s ? "path" : "session");
    if (failed(err)) return err->status;
    lithe_error first = { 0 };
    tensor_file *f = tensor_file_open(path, &first);
    if (f && is_tuned_state(f)) load_tuned_state(s, f, &first);
    else if (f) load_saved(s, t, f, &first);
    tensor_file_close(f);
    return first.status ? fail(err, first.status, "%s", first.text) : LITHE_OK;
}
