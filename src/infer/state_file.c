/* A text that was read as a file: safetensors (docs/state-file.md) with the states as float32, the logits, and what
 * must match before anything else is used: digests of the model and of the tokenizer. */
#include "infer/state_file.h"
#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { PIECE_BYTES = 4096 };
static const char FORMAT[] = "lithe state", VERSION[] = "1";
_Static_assert(sizeof(real) == sizeof(float), "states are written as they lie in memory");

/* ---- who made it ------------------------------------------------------------------------ */

typedef struct { char *text; size_t size; FILE *stream; } notes;

static bool notes_end(notes *n, char hex[DIGEST_HEX])
{
    bool bad = !n->stream || ferror(n->stream);
    if (n->stream && fclose(n->stream)) bad = true;
    if (!bad) hash_hex(n->text, n->size, hex);
    free(n->text);
    return !bad;
}

/* The digest of the configuration and of the name and the numbers of every parameter. */
static bool model_digest(const lithe_model *m, char hex[DIGEST_HEX])
{
    notes n = { 0 };
    char each[DIGEST_HEX];
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
static bool tokenizer_digest(const lithe_tokenizer *t, char hex[DIGEST_HEX])
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

int state_origin_of(const lithe_model *m, const lithe_tokenizer *t, state_origin *o, lithe_error *err)
{
    *o = (state_origin){ 0 };
    return model_digest(m, o->model) && (!t || tokenizer_digest(t, o->tokenizer)) ? LITHE_OK : fail(err, LITHE_ENOMEM, "not enough memory for the digest of a model");
}

/* ---- writing ------------------------------------------------------------------------------- */

static bool put(json_t *meta, const char *key, const char *value) { return !json_object_set_new(meta, key, json_string(value)); }

static bool describe(json_t *meta, const lithe_engine *e, const text_read *r, const state_origin *o)
{
    char tokens[32], last[32], digest[DIGEST_HEX];
    snprintf(tokens, sizeof tokens, "%zu", r->length);
    snprintf(last, sizeof last, "%d", (int)r->last);
    snprintf(digest, sizeof digest, "%016llx%016llx", (unsigned long long)r->digest.a, (unsigned long long)r->digest.b);
    return put(meta, "format", FORMAT) && put(meta, "version", VERSION) && put(meta, "architecture", engine_model(e)->arch->name)
        && put(meta, "model", o->model) && put(meta, "tokens", tokens) && (!*o->tokenizer || put(meta, "tokenizer", o->tokenizer))
        && (r->ids || (put(meta, "last", last) && put(meta, "digest", digest)));
}

/* The shape on disk of a state of this length: keys or values of the ids that were read, or one row.  NULL data: memory
 * is out. */
static out_tensor state_out(size_t length, const slot_state *x, const char *name, arena *memory)
{
    size_t count = length * (size_t)x->width;
    real *numbers = x->type == STORED_REAL ? x->data : arena_alloc(memory, count * sizeof *numbers);
    if (numbers && x->type != STORED_REAL) kernels_default()->widen(numbers, (stored){ .type = x->type, .data = x->data }, count);
    if (x->recurrent) return (out_tensor){ .name = name, .type = DT_F32, .rank = 1, .dims = { x->width }, .data = numbers };
    return (out_tensor){ .name = name, .type = DT_F32, .rank = 2, .dims = { (int64_t)length, x->width }, .data = numbers };
}

/* All tensors of the file, (engine_states + 2); their number, or -1 if memory is out. */
static int tensors_out(const lithe_engine *e, int slot, const text_read *r, out_tensor *out, arena *memory)
{
    char name[320];
    int n = engine_states(e);
    for (int i = 0; i < n; i++) {
        slot_state x = engine_state(e, i, slot);
        snprintf(name, sizeof name, "state.%s", x.name);
        out[i] = state_out(r->length, &x, arena_strdup(memory, name), memory);
        if (!out[i].name || !out[i].data) return -1;
    }
    out[n++] = r->ids ? (out_tensor){ .name = "ids", .type = DT_I32, .rank = 1, .dims = { (int64_t)r->length }, .data = r->ids }
                      : (out_tensor){ .name = "seen", .type = DT_I32, .rank = 1, .dims = { (int64_t)r->seen_count }, .data = r->seen };
    if (r->logits) out[n++] = (out_tensor){ .name = "logits", .type = DT_F32, .rank = 1, .dims = { lithe_model_vocab(engine_model(e)) }, .data = r->logits };
    return n;
}

int state_write(const state_target *to, const lithe_engine *e, int slot, const text_read *r, const state_origin *o, lithe_error *err)
{
    arena memory = { 0 };
    json_t *meta = json_object();
    out_tensor *out = xalloc((size_t)engine_states(e) + 2, sizeof *out);
    int n = meta && out && describe(meta, e, r, o) ? tensors_out(e, slot, r, out, &memory) : -1;
    if (n < 0) fail(err, LITHE_ENOMEM, "%s: not enough memory for a state", to->path ? to->path : "state");
    else if (to->path) safetensors_write(to->path, out, n, meta, err);
    else *to->bytes = safetensors_bytes("state", out, n, meta, to->size, err);
    arena_free(&memory);
    free(out);
    json_decref(meta);
    return failed(err) ? (int)err->status : LITHE_OK;
}

/* ---- reading ----------------------------------------------------------------------------------- */

static const char *metadata(const tensor_file *f, const char *key)
{
    const char *value = json_string_value(json_object_get(f->metadata, key));
    return value ? value : "";
}

static int check_origin(const tensor_file *f, const lithe_engine *e, const state_origin *o, lithe_error *err)
{
    const char *kind = metadata(f, "architecture"), *theirs = metadata(f, "model"), *text = metadata(f, "tokenizer"), *own = engine_model(e)->arch->name;
    if (strcmp(metadata(f, "format"), FORMAT)) return fail(err, LITHE_EFORMAT, "%s: is no saved session", f->path);
    if (strcmp(metadata(f, "version"), VERSION)) return fail(err, LITHE_EFORMAT, "%s: a saved session of version \"%.20s\"; version %s is read", f->path, metadata(f, "version"), VERSION);
    if (strcmp(theirs, o->model) || strcmp(kind, own))
        return fail(err, LITHE_EFORMAT, "%s: is a session of the %.40s model %.8s, this is the %s model %.8s; load it into the model it was saved with",
                    f->path, kind, theirs, own, o->model);
    if (!*o->tokenizer || !*text || !strcmp(text, o->tokenizer)) return LITHE_OK;
    return fail(err, LITHE_EFORMAT, "%s: was saved with the tokenizer %.8s, this is %.8s; load it with the same one", f->path, text, o->tokenizer);
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

static int check_states(saved_state *x, const tensor_file *f, const lithe_engine *e, lithe_error *err)
{
    char name[320];
    int vocab = lithe_model_vocab(engine_model(e)), status = LITHE_OK;
    for (int i = 0; !status && i < engine_states(e); i++) {
        slot_state own = engine_state(e, i, 0);
        snprintf(name, sizeof name, "state.%s", own.name);
        x->states[i] = own.recurrent ? find(f, name, DT_F32, 1, own.width, 0, err) : find(f, name, DT_F32, 2, (int64_t)x->length, own.width, err);
        status = x->states[i] ? check_finite(f, x->states[i], err) : LITHE_EFORMAT;
    }
    x->logits = status ? NULL : tensor_file_find(f, "logits");
    if (x->logits && !(x->logits = find(f, "logits", DT_F32, 1, vocab, 0, err))) return LITHE_EFORMAT;
    return x->logits ? check_finite(f, x->logits, err) : status;
}

static int check_reading(saved_state *x, const tensor_file *f, const lithe_engine *e, lithe_error *err)
{
    int context = lithe_engine_context(e), vocab = lithe_model_vocab(engine_model(e));
    uint64_t length = 0, last = 0;
    unsigned long long a = 0, b = 0;
    if (!read_number(metadata(f, "tokens"), (uint64_t)INT64_MAX, &length)) return fail(err, LITHE_EFORMAT, "%s: its number of tokens is \"%.40s\"", f->path, metadata(f, "tokens"));
    if (context && length > (uint64_t)context)
        return fail(err, LITHE_EFULL, "%s: the saved text is %llu tokens long, the context holds %d", f->path, (unsigned long long)length, context);
    x->length = (size_t)length;
    const char *name = context ? "ids" : "seen", *digest = metadata(f, "digest");
    const file_tensor *t = tensor_file_find(f, name);
    int64_t count = context ? (int64_t)length : t && t->count <= (size_t)vocab && t->count <= length ? (int64_t)t->count : -1;
    if (!(x->ids = find(f, name, DT_I32, 1, count, 0, err))) return LITHE_EFORMAT;
    int status = check_read_ids(f, x->ids, vocab, !context, err);
    if (status || context) return status;
    bool right = strlen(digest) == 32 && strspn(digest, "0123456789abcdef") == 32 && sscanf(digest, "%16llx%16llx", &a, &b) == 2
              && (length ? read_number(metadata(f, "last"), (uint64_t)vocab, &last) && x->ids->count : !x->ids->count);
    x->digest = (chain){ a, b };
    x->last = length ? (int32_t)last : -1;
    return right ? LITHE_OK : fail(err, LITHE_EFORMAT, "%s: its digest or its last token is damaged", f->path);
}

static size_t widest(const lithe_engine *e)
{
    int width = 0;
    for (int i = 0; i < engine_states(e); i++) {
        slot_state x = engine_state(e, i, 0);
        if (x.width > width) width = x.width;
    }
    return (size_t)width;
}

int saved_state_read(saved_state *x, const tensor_file *f, const lithe_engine *e, const state_origin *o, lithe_error *err)
{
    int own = engine_states(e), status;
    *x = (saved_state){ .states = xalloc((size_t)own + 1, sizeof *x->states), .row = xalloc(widest(e), sizeof *x->row) };
    status = x->states && x->row ? check_origin(f, e, o, err) : fail(err, LITHE_ENOMEM, "%s: not enough memory to load a session", f->path);
    if (!status) status = check_reading(x, f, e, err);
    if (!status) status = check_states(x, f, e, err);
    if (!status && f->count != own + 1 + (x->logits != NULL))
        status = fail(err, LITHE_EFORMAT, "%s: holds %d tensors, a session of this model has %d", f->path, f->count, own + 1 + (x->logits != NULL));
    return status;
}

void saved_state_close(saved_state *x)
{
    free(x->states);
    free(x->row);
}

int32_t saved_state_id(const saved_state *x, size_t i) { return id_at(x->ids, i); }

/* ---- into a slot -------------------------------------------------------------------------------- */

/* Stores what was saved as the slot stores it, a row for each token at a time. */
static void take_state(const slot_state *to, const file_tensor *t, size_t tokens, real *row)
{
    if (to->type == STORED_REAL) { memcpy(to->data, t->data, t->bytes); return; }
    for (size_t i = 0; i < tokens; i++) {
        memcpy(row, (const char *)t->data + i * (size_t)to->width * sizeof *row, (size_t)to->width * sizeof *row);
        kernels_default()->put_rows((char *)to->data + stored_bytes(to->type, i * (size_t)to->width), to->type, (size_t)to->width, &(int){ 0 }, row, 0, 1, to->width);
    }
}

void saved_state_take(const saved_state *x, lithe_engine *e, int slot)
{
    for (int i = 0; x->length && i < engine_states(e); i++) {
        slot_state to = engine_state(e, i, slot);
        take_state(&to, x->states[i], x->length, x->row);
    }
    if (x->length) engine_place(e, slot, x->length);
}
