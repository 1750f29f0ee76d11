/* The names RWKV's tensors go by.  The authors' .pth files have
 * "blocks.0.att.key.weight", behind a prefix when a trainer wrapped the model;
 * Hugging Face's "rwkv" has "rwkv.blocks.0.attention.key.weight", and
 * flash-linear-attention's "rwkv7" has "model.layers.0.attn.k_proj.weight" and
 * low-rank matrices the other way round.  One table for each, used both ways.
 * Invariant: a renamed file has the authors' names, none twice, and the shapes
 * of their files: [1,1,C] for a number for each channel, [H,N] for heads. */
#include "files/naming.h"
#include "files/tensor_formats.h"

enum { CAPTURE_BYTES = 256 };

/* '*' stands for a layer's number, '@' for the rest of a name. */
typedef struct {
    const char *foreign, *own;
    enum { AS_IS, TURNED, FLAT } form;                       /* a matrix kept transposed there; [C] there for [1,1,C] */
} pair;

struct naming { const char *mark; const pair *pairs; };

static const pair HUGGING_FACE[] = {
    { "rwkv.embeddings.@", "emb.@", AS_IS }, { "rwkv.ln_out.@", "ln_out.@", AS_IS }, { "head.@", "head.@", AS_IS },
    { "rwkv.blocks.*.pre_ln.@", "blocks.*.ln0.@", AS_IS },
    { "rwkv.blocks.*.attention.time_mix_key", "blocks.*.att.time_mix_k", AS_IS },
    { "rwkv.blocks.*.attention.time_mix_value", "blocks.*.att.time_mix_v", AS_IS },
    { "rwkv.blocks.*.attention.time_mix_receptance", "blocks.*.att.time_mix_r", AS_IS },
    { "rwkv.blocks.*.attention.time_mix_gate", "blocks.*.att.time_mix_g", AS_IS },
    { "rwkv.blocks.*.attention.@", "blocks.*.att.@", AS_IS },
    { "rwkv.blocks.*.feed_forward.time_mix_key", "blocks.*.ffn.time_mix_k", AS_IS },
    { "rwkv.blocks.*.feed_forward.time_mix_receptance", "blocks.*.ffn.time_mix_r", AS_IS },
    { "rwkv.blocks.*.feed_forward.@", "blocks.*.ffn.@", AS_IS },
    { "rwkv.blocks.*.@", "blocks.*.@", AS_IS },
    { NULL, NULL, AS_IS }
};

#define LOW_RANK(x) { "model.layers.*.attn." x "_lora.lora.0.weight", "blocks.*.att." x "1", TURNED }, \
                    { "model.layers.*.attn." x "_lora.lora.2.weight", "blocks.*.att." x "2", TURNED }, \
                    { "model.layers.*.attn." x "_lora.lora.2.bias",   "blocks.*.att." x "0", FLAT }

static const pair LINEAR_ATTENTION[] = {
    { "model.embeddings.@", "emb.@", AS_IS }, { "model.norm.@", "ln_out.@", AS_IS }, { "lm_head.@", "head.@", AS_IS },
    { "model.layers.*.pre_norm.@", "blocks.*.ln0.@", AS_IS }, { "model.layers.*.attn_norm.@", "blocks.*.ln1.@", AS_IS },
    { "model.layers.*.ffn_norm.@", "blocks.*.ln2.@", AS_IS }, { "model.layers.*.attn.g_norm.@", "blocks.*.att.ln_x.@", AS_IS },
    { "model.layers.*.attn.r_proj.@", "blocks.*.att.receptance.@", AS_IS }, { "model.layers.*.attn.k_proj.@", "blocks.*.att.key.@", AS_IS },
    { "model.layers.*.attn.v_proj.@", "blocks.*.att.value.@", AS_IS }, { "model.layers.*.attn.o_proj.@", "blocks.*.att.output.@", AS_IS },
    LOW_RANK("w"), LOW_RANK("a"), LOW_RANK("v"), LOW_RANK("g"),
    { "model.layers.*.attn.k_k", "blocks.*.att.k_k", FLAT }, { "model.layers.*.attn.k_a", "blocks.*.att.k_a", FLAT },
    { "model.layers.*.ffn.x_k", "blocks.*.ffn.x_k", FLAT },
    { "model.layers.*.attn.@", "blocks.*.att.@", AS_IS }, { "model.layers.*.ffn.@", "blocks.*.ffn.@", AS_IS },
    { NULL, NULL, AS_IS }
};

static const naming NAMINGS[] = { { "rwkv.embeddings.weight", HUGGING_FACE }, { "model.layers.0.attn.r_k", LINEAR_ATTENTION } };
enum { NAMING_COUNT = sizeof NAMINGS / sizeof *NAMINGS };

static const char *const PREFIXES[] = { "_forward_module.", "module.", "model.", "rwkv." };

/* ---- patterns ---------------------------------------------------------------------- */

typedef struct { char layer[CAPTURE_BYTES], rest[CAPTURE_BYTES]; } captured;

static bool capture(char out[CAPTURE_BYTES], const char *text, size_t n)
{
    if (!n || n >= CAPTURE_BYTES) return false;
    memcpy(out, text, n);
    out[n] = 0;
    return true;
}

static bool matches(const char *pattern, const char *name, captured *c)
{
    for (; *pattern; pattern++) {
        if (*pattern == '@') return capture(c->rest, name, strlen(name));
        if (*pattern == '*') {
            size_t digits = strspn(name, "0123456789");
            if (!capture(c->layer, name, digits)) return false;
            name += digits;
        } else if (*pattern != *name++) return false;
    }
    return !*name;
}

static bool fill_in(const char *pattern, const captured *c, char out[NAMING_BYTES])
{
    size_t n = 0;
    for (; *pattern; pattern++) {
        const char *piece = *pattern == '*' ? c->layer : *pattern == '@' ? c->rest : pattern;
        size_t length = piece == pattern ? 1 : strlen(piece);
        if (length >= NAMING_BYTES - n) return false;
        memcpy(out + n, piece, length);
        n += length;
    }
    out[n] = 0;
    return true;
}

bool naming_apply(const naming *n, const char *own, char out[NAMING_BYTES], int64_t *dims, int *rank)
{
    captured c;
    const pair *p = n->pairs;
    while (p->own && !(matches(p->own, own, &c) && fill_in(p->foreign, &c, out))) p++;
    if (!p->own) snprintf(out, NAMING_BYTES, "%s", own);
    if (p->form == FLAT) {
        dims[0] = dims[*rank - 1];
        *rank = 1;
    }
    if (p->form != TURNED || *rank != 2) return false;
    int64_t rows = dims[0];
    dims[0] = dims[1];
    dims[1] = rows;
    return true;
}

static void turn(file_tensor *t)
{
    if (t->rank != 2) return;
    int64_t rows = t->dims[0], columns = t->dims[1];
    bool turned = t->order.rank > 0;
    t->dims[0] = columns;
    t->dims[1] = rows;
    t->order = turned ? (element_order){ 0 } : (element_order){ 2, { columns, rows }, { 1, columns } };
}

static int translate(tensor_file *f, const naming *n, lithe_error *err)
{
    captured c;
    char name[NAMING_BYTES];
    for (int i = 0; i < f->count; i++) {
        file_tensor *t = &f->tensors[i];
        const pair *p = n->pairs;
        while (p->foreign && !(matches(p->foreign, t->name, &c) && fill_in(p->own, &c, name))) p++;
        if (!p->foreign) continue;
        if (p->form == TURNED) turn(t);
        if (!(t->name = arena_strdup(&f->memory, name))) return fail(err, LITHE_ENOMEM, "%s: no memory for tensor names", f->path);
    }
    return tensor_file_sort(f, err);
}

/* ---- prefixes ------------------------------------------------------------------------ */

static bool begins(const char *name, const char *prefix) { return !strncmp(name, prefix, strlen(prefix)); }

/* Bytes of all prefixes at the beginning of a name. */
static size_t prefix_length(const char *name)
{
    size_t n = 0, k = 0;
    while (k < sizeof PREFIXES / sizeof *PREFIXES)
        if (begins(name + n, PREFIXES[k])) {
            n += strlen(PREFIXES[k]);
            k = 0;
        } else k++;
    return n;
}

/* The first norm of the authors' files, which has an embedding beside it; *length: of the prefix of both. */
static const file_tensor *first_norm(const tensor_file *f, size_t *length)
{
    char embedding[NAMING_BYTES];
    for (int i = 0; i < f->count; i++) {
        const file_tensor *t = &f->tensors[i];
        *length = prefix_length(t->name);
        if (strcmp(t->name + *length, "blocks.0.ln0.weight")) continue;
        int n = snprintf(embedding, sizeof embedding, "%.*semb.weight", (int)*length, t->name);
        if (n < (int)sizeof embedding && tensor_file_find(f, embedding)) return t;
    }
    return NULL;
}

static int strip(tensor_file *f, const char *prefix, size_t length, lithe_error *err)
{
    for (int i = 0; length && i < f->count; i++)
        if (!strncmp(f->tensors[i].name, prefix, length)) f->tensors[i].name += length;
    return length ? tensor_file_sort(f, err) : LITHE_OK;
}

/* ---- shapes -------------------------------------------------------------------------- */

static bool ends_with(const char *name, const char *suffix)
{
    size_t n = strlen(name), k = strlen(suffix);
    return n >= k && !strcmp(name + n - k, suffix);
}

static bool one_of(const char *name, const char *const *suffixes)
{
    for (; *suffixes; suffixes++)
        if (ends_with(name, *suffixes)) return true;
    return false;
}

static void reshape(file_tensor *t, int rank, int64_t a, int64_t b, int64_t c)
{
    t->rank = rank;
    t->dims[0] = a;
    t->dims[1] = b;
    t->dims[2] = c;
}

/* Dimensions of one come and go between runtimes; a tensor with another number of real ones stays for the loader to refuse. */
typedef struct { bool heads, six; int64_t width; } kind_of_file;     /* heads: version 5 and later */

static void settle_shape(file_tensor *t, kind_of_file k)
{
    static const char *const channels[] = {
        ".time_mix_k", ".time_mix_v", ".time_mix_r", ".time_mix_g", ".time_maa_x", ".time_maa_w", ".time_maa_k", ".time_maa_v", ".time_maa_r", ".time_maa_g",
        ".x_r", ".x_w", ".x_k", ".x_v", ".x_a", ".x_g", ".att.w0", ".att.a0", ".att.v0", ".att.k_k", ".att.k_a", NULL };
    static const char *const heads[] = { ".r_k", ".time_faaaa", ".time_decay", ".time_first", NULL };
    int64_t real_dims[MAX_RANK] = { 1, 1 };
    int n = 0;
    if (t->order.rank || !begins(t->name, "blocks.")) return;
    for (int i = 0; i < t->rank; i++)
        if (t->dims[i] != 1) real_dims[n++] = t->dims[i];
    bool whole = t->count == (size_t)k.width;
    if (whole && n < 2 && one_of(t->name, channels)) reshape(t, 3, 1, 1, k.width);
    else if (whole && k.six && ends_with(t->name, ".time_decay")) reshape(t, 3, 1, 1, k.width);
    else if (!one_of(t->name, heads) || n > 2) return;
    else if (n == 2) reshape(t, 2, real_dims[0], real_dims[1], 0);
    else if (whole && k.heads) reshape(t, 2, 1, k.width, 0);
    else reshape(t, 1, real_dims[0], 0, 0);
}

int rwkv_rename(tensor_file *f, const naming **used, lithe_error *err)
{
    int status = LITHE_OK;
    if (used) *used = NULL;
    for (int i = 0; i < NAMING_COUNT && !status; i++) {
        if (!tensor_file_find(f, NAMINGS[i].mark)) continue;
        if (used) *used = &NAMINGS[i];
        status = translate(f, &NAMINGS[i], err);
        break;
    }
    size_t length;
    const file_tensor *norm = status ? NULL : first_norm(f, &length);
    if (!norm) return status;
    status = strip(f, norm->name, length, err);
    const file_tensor *embedding = status ? NULL : tensor_file_find(f, "emb.weight");
    if (!embedding || embedding->rank != 2) return status;
    const kind_of_file k = { tensor_file_find(f, "blocks.0.att.ln_x.weight") || tensor_file_find(f, "blocks.0.att.r_k"), tensor_file_find(f, "blocks.0.att.time_maa_x"), embedding->dims[1] };
    for (int i = 0; i < f->count; i++) settle_shape(&f->tensors[i], k);
    return status;
}
