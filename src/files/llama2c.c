/* llama2.c version 0: seven int32 (dim, hidden, layers, heads, kv heads, vocab,
 * sequence length; vocab < 0 says that the head is not the embedding), then
 * float32, each kind for all layers together.  The file has no names; its tensors
 * get the names of llama2.c's own model, which are Meta's (names_llama.c).
 * Invariant: the header decides the exact size of the file. */
#include "files/tensor_formats.h"

enum { HEADER_INTS = 7, HEADER_BYTES = 28 };
enum { MAX_WIDTH = 1 << 20, MAX_LAYERS = 4096, MAX_ROWS = 1 << 24 };

typedef struct { int32_t D, hidden, L, H, G, V, T; bool shared; size_t hd; } shape;     /* V > 0 */
typedef struct { const char *name; size_t rows, columns; } kind;                        /* columns 0: a vector */

bool is_llama2c(const uint8_t *data, size_t size)
{
    if (size < HEADER_BYTES) return false;
    int32_t width = read_i32(data), hidden = read_i32(data + 4);
    return width > 0 && width <= MAX_WIDTH && hidden > 0 && hidden <= MAX_ROWS;
}

static int read_shape(shape *s, const char *what, const uint8_t *data, lithe_error *err)
{
    static const struct { const char *name; int32_t limit; } FIELDS[HEADER_INTS] = {
        { "dim", MAX_WIDTH }, { "hidden", MAX_ROWS }, { "layers", MAX_LAYERS }, { "heads", MAX_WIDTH }, { "kv heads", MAX_WIDTH },
        { "vocab", MAX_ROWS }, { "sequence length", MAX_ROWS },
    };
    int32_t v[HEADER_INTS];
    for (int i = 0; i < HEADER_INTS; i++) {
        v[i] = read_i32(data + 4 * i);
        int64_t magnitude = i == 5 && v[i] < 0 ? -(int64_t)v[i] : v[i];
        if (magnitude < 1 || magnitude > FIELDS[i].limit)
            return fail(err, LITHE_EFORMAT, "%s: llama2.c header: %s is %d, accepted are 1 to %d", what, FIELDS[i].name, v[i], FIELDS[i].limit);
    }
    *s = (shape){ .D = v[0], .hidden = v[1], .L = v[2], .H = v[3], .G = v[4], .V = v[5] < 0 ? -v[5] : v[5], .T = v[6], .shared = v[5] > 0 };
    if (s->D % s->H) return fail(err, LITHE_EFORMAT, "%s: llama2.c header: dim %d is not a multiple of %d heads", what, s->D, s->H);
    if (s->H % s->G) return fail(err, LITHE_EFORMAT, "%s: llama2.c header: %d kv heads do not divide %d heads", what, s->G, s->H);
    s->hd = (size_t)(s->D / s->H);
    if (s->hd % 2) return fail(err, LITHE_EFORMAT, "%s: llama2.c header: heads of %zu cannot be rotated in pairs", what, s->hd);
    return LITHE_OK;
}

/* The kinds of a layer in file order, and the place of each in a layer of ours. */
enum { KINDS = 9 };
static void list_kinds(const shape *s, kind k[KINDS])
{
    size_t D = (size_t)s->D, kv = (size_t)s->G * s->hd, hidden = (size_t)s->hidden;
    const kind all[KINDS] = {
        { "attention_norm",  D,      0 },
        { "attention.wq",    D,      D },
        { "attention.wk",    kv,     D },
        { "attention.wv",    kv,     D },
        { "attention.wo",    D,      D },
        { "ffn_norm",        D,      0 },
        { "feed_forward.w1", hidden, D },
        { "feed_forward.w2", D,      hidden },
        { "feed_forward.w3", hidden, D },
    };
    memcpy(k, all, sizeof all);
}

static size_t kind_floats(const kind *k) { return k->rows * (k->columns ? k->columns : 1); }

/* Within the limits of the header no product overflows: 2^24 * 2^20 * 2^12 < 2^60, and there are few of them. */
static size_t expected_bytes(const shape *s, const kind k[KINDS])
{
    size_t D = (size_t)s->D, V = (size_t)s->V, layer = 0;
    for (int i = 0; i < KINDS; i++) layer += kind_floats(&k[i]);
    size_t floats = V * D + (size_t)s->L * layer + D + (size_t)s->T * s->hd + (s->shared ? 0 : V * D);
    return HEADER_BYTES + 4 * floats;
}

static const char *format_name(arena *a, int layer, const char *name)
{
    char text[96];
    snprintf(text, sizeof text, "layers.%d.%s.weight", layer, name);
    return arena_strdup(a, text);
}

static void set_tensor(file_tensor *t, const char *name, size_t rows, size_t columns, const void *data)
{
    *t = (file_tensor){ .name = name, .type = DT_F32, .type_name = "F32", .rank = columns ? 2 : 1, .dims = { (int64_t)rows, (int64_t)columns },
                        .count = rows * (columns ? columns : 1), .data = data };
    t->bytes = t->count * 4;
}

/* data: this kind's L blocks; t: the first layer's tensor of this kind, those of later layers KINDS further on */
static int add_kind(tensor_file *f, const shape *s, const kind *k, const uint8_t *data, file_tensor *t)
{
    for (int l = 0; l < s->L; l++, t += KINDS, data += kind_floats(k) * 4) {
        set_tensor(t, format_name(&f->memory, l, k->name), k->rows, k->columns, data);
        if (!t->name) return LITHE_ENOMEM;
    }
    return LITHE_OK;
}

static int add_tensors(tensor_file *f, const shape *s, const kind k[KINDS], const uint8_t *p, file_tensor *t)
{
    size_t D = (size_t)s->D, V = (size_t)s->V, L = (size_t)s->L;
    const uint8_t *embedding = p;
    set_tensor(t++, "tok_embeddings.weight", V, D, embedding);
    p += V * D * 4;
    for (int i = 0; i < KINDS; i++) {
        int status = add_kind(f, s, &k[i], p, t + i);
        if (status) return status;
        p += L * kind_floats(&k[i]) * 4;
    }
    t += L * KINDS;
    set_tensor(t++, "norm.weight", D, 0, p);
    p += (D + (size_t)s->T * s->hd) * 4;                    /* the norm, and the two RoPE tables [T, hd/2] */
    if (!s->shared) set_tensor(t, "output.weight", V, D, p);
    return LITHE_OK;
}

static json_t *make_config(const shape *s)
{
    return json_pack("{s:[s], s:s, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:s, s:f, s:f, s:b, s:b, s:b, s:i, s:i, s:s}",
                     "architectures", "LlamaForCausalLM", "model_type", "llama",
                     "vocab_size", s->V, "hidden_size", s->D, "intermediate_size", s->hidden, "num_hidden_layers", s->L,
                     "num_attention_heads", s->H, "num_key_value_heads", s->G, "max_position_embeddings", s->T,
                     "hidden_act", "silu", "rms_norm_eps", 1e-5, "rope_theta", 10000.0,
                     "attention_bias", 0, "mlp_bias", 0, "tie_word_embeddings", s->shared,
                     "bos_token_id", 1, "eos_token_id", 2, "torch_dtype", "float32");
}

int llama2c_parse(tensor_file *f, const char *what, const uint8_t *data, size_t size, lithe_error *err)
{
    shape s = { 0 };
    kind kinds[KINDS];
    int status = read_shape(&s, what, data, err);
    if (status) return status;
    list_kinds(&s, kinds);
    size_t expected = expected_bytes(&s, kinds);
    if (size != expected)
        return fail(err, LITHE_EFORMAT, "%s: %zu bytes, a llama2.c file of dim %d, hidden %d, %d layers, %d/%d heads, vocab %d, length %d has %zu",
                    what, size, s.D, s.hidden, s.L, s.H, s.G, s.shared ? s.V : -s.V, s.T, expected);
    size_t n = 2 + (size_t)s.L * KINDS + !s.shared;
    file_tensor *t = append_tensors(f, what, n, err);
    if (!t) return failed(err) ? err->status : LITHE_EFORMAT;
    status = add_tensors(f, &s, kinds, data + HEADER_BYTES, t);
    if (!status && !f->config) f->config = make_config(&s);
    if (status || !f->config) return fail(err, LITHE_ENOMEM, "%s: no memory for its tensors", what);
    return LITHE_OK;
}
