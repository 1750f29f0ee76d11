/* llama2.c files: where every tensor comes from, headers that cannot be, and
 * the two published models. */
#include "files/naming.h"
#include "tensor_file.h"
#include <math.h>
#include <stdlib.h>

typedef struct { int32_t v[7]; } llama_header;             /* dim hidden layers heads kv vocab length */

static size_t llama_size(llama_header h)
{
    size_t D = (size_t)h.v[0], F = (size_t)h.v[1], L = (size_t)h.v[2], H = (size_t)h.v[3], G = (size_t)h.v[4], T = (size_t)h.v[6];
    size_t V = (size_t)(h.v[5] < 0 ? -h.v[5] : h.v[5]), hd = D / H;
    return 28 + 4 * (V * D * (h.v[5] < 0 ? 2 : 1) + L * (2 * D + 2 * D * D + 2 * D * G * hd + 3 * D * F) + D + T * hd);
}

static uint8_t *make_llama(llama_header h, size_t *size)
{
    *size = llama_size(h);
    uint8_t *file = malloc(*size);
    memcpy(file, &h, 28);
    for (size_t i = 0; i < (*size - 28) / 4; i++) {
        float x = (float)i;                                 /* every value is its own place */
        memcpy(file + 28 + 4 * i, &x, 4);
    }
    return file;
}

void llama_places(void)
{
    enum { D = 8, F = 6, L = 2, V = 5, KV = 4, hd = 4, T = 3 };
    for (int own = 0; own < 2; own++) {
        const llama_header h = { { D, F, L, 2, 1, own ? -V : V, T } };
        size_t size;
        uint8_t *file = make_llama(h, &size);
        lithe_error err = { 0 };
        void *keep;
        tensor_file *f = parse_copy(file, size, 1, &keep, &err);
        CHECK_MSG(f && f->count == 2 + 9 * L + own && !strcmp(f->format, "llama2.c") && !naming_apply_file(f, &err), "%s", err.text);
        if (!f) return;
        const size_t norm = V * D, wq = norm + L * D, wk = wq + L * D * D, wv = wk + L * KV * D, wo = wv + L * KV * D, norm2 = wo + L * D * D,
                     w1 = norm2 + L * D, w2 = w1 + L * F * D, w3 = w2 + L * F * D, last = w3 + L * F * D, head = last + D + T * hd;
        const struct { const char *name; int64_t rows, columns; size_t place; int heads; } ALL[] = {
            { "model.embed_tokens.weight", V, D, 0, 0 },
            { "model.layers.1.input_layernorm.weight", D, 0, norm + D, 0 },
            { "model.layers.0.self_attn.q_proj.weight", D, D, wq, 2 },
            { "model.layers.1.self_attn.q_proj.weight", D, D, wq + D * D, 2 },
            { "model.layers.1.self_attn.k_proj.weight", KV, D, wk + KV * D, 1 },
            { "model.layers.1.self_attn.v_proj.weight", KV, D, wv + KV * D, 0 },
            { "model.layers.1.self_attn.o_proj.weight", D, D, wo + D * D, 0 },
            { "model.layers.1.post_attention_layernorm.weight", D, 0, norm2 + D, 0 },
            { "model.layers.1.mlp.gate_proj.weight", F, D, w1 + F * D, 0 },
            { "model.layers.1.mlp.down_proj.weight", D, F, w2 + F * D, 0 },
            { "model.layers.1.mlp.up_proj.weight", F, D, w3 + F * D, 0 },
            { "model.norm.weight", D, 0, last, 0 },
            { "lm_head.weight", V, D, head, 0 },
        };
        for (size_t i = 0; i < sizeof ALL / sizeof *ALL - (own ? 0 : 1); i++) {
            const file_tensor *t = tensor_file_find(f, ALL[i].name);
            float x[64];
            const wanted_shape wanted = { .rank = ALL[i].columns ? 2 : 1, .dims = { ALL[i].rows, ALL[i].columns }, .axis = { { .heads = ALL[i].heads } } };
            file_tensor ours = t ? *t : (file_tensor){ 0 };
            CHECK_MSG(t && naming_view(&ours, &wanted), "%s", ALL[i].name);
            if (!t || !file_tensor_floats(&ours, 0, t->count, x)) continue;
            for (size_t k = 0; k < t->count; k++) {
                size_t r = k / D, j = r % hd, source = r - j + (j < hd / 2 ? 2 * j : 2 * (j - hd / 2) + 1);
                size_t expected = ALL[i].place + (ALL[i].heads ? source * D + k % D : k);
                CHECK_MSG(x[k] == (float)expected, "%s[%zu] is %g, expected %zu", ALL[i].name, k, (double)x[k], expected);
            }
        }
        CHECK(!own == !tensor_file_find(f, "lm_head.weight"));
        CHECK(json_is_true(json_object_get(f->config, "tie_word_embeddings")) == !own);
        CHECK(json_integer_value(json_object_get(f->config, "vocab_size")) == V);
        CHECK(json_integer_value(json_object_get(f->config, "num_key_value_heads")) == 1);
        CHECK(json_integer_value(json_object_get(f->config, "max_position_embeddings")) == T);
        CHECK(!strcmp(json_string_value(json_object_get(f->config, "model_type")), "llama"));
        tensor_file_close(f);
        free(keep);
        free(file);
    }
}

void llama_refused(void)
{
    const llama_header good = { { 8, 6, 1, 2, 1, 5, 3 } };
    static const struct { int field; int32_t value; const char *why; } CASES[] = {
        { 0, 1 << 20, "has 13194254876700" }, { 0, 9, "dim 9 is not a multiple of 2" }, { 0, 6, "heads of 3" }, { 1, 7, "bytes" },
        { 2, 0, "layers is 0" }, { 2, -1, "layers is -1" }, { 2, 5000, "layers is 5000, accepted are 1 to 4096" }, { 2, 2, "bytes" },
        { 3, 0, "heads is 0" }, { 3, 3, "not a multiple" }, { 3, INT32_MIN, "heads is -2147483648" },
        { 4, 0, "kv heads is 0" }, { 4, 3, "3 kv heads do not divide 2" }, { 4, 2, "bytes" }, { 4, -1, "kv heads is -1" },
        { 5, 0, "vocab is 0" }, { 5, INT32_MIN, "vocab is -2147483648" }, { 5, INT32_MAX, "vocab is 2147483647" }, { 5, 6, "bytes" }, { 5, -5, "vocab -5" },
        { 6, 0, "sequence length is 0" }, { 6, 4, "bytes" }, { 6, INT32_MAX, "sequence length" },
    };
    size_t size;
    uint8_t *file = make_llama(good, &size);
    check_parse("good", file, size, NULL);
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        llama_header h = good;
        h.v[CASES[i].field] = CASES[i].value;
        memcpy(file, &h, 28);
        check_parse("llama2.c header", file, size, CASES[i].why);
    }
    memcpy(file, &good, 28);
    char numbers[64];
    snprintf(numbers, sizeof numbers, "%zu bytes, a llama2.c file", size - 1);
    check_parse("short", file, size - 1, numbers);
    snprintf(numbers, sizeof numbers, "has %zu", size);
    check_parse("header only", file, 28, numbers);
    for (size_t n = 0; n < size; n += 3) check_parse("prefix", file, n, "NAME");
    uint8_t *longer = calloc(1, size + 4);
    memcpy(longer, file, size);
    check_parse("long", longer, size + 4, numbers);
    free(longer);
    int opened = mutate(file, 200, 500, 2) + mutate(file, size, 1500, 3);
    CHECK_MSG(opened > 100, "%d opened", opened);
    free(file);
}

void llama_published(void)
{
    static const struct { const char *file; int dim, vocab, count; } ALL[] = {
        { "checkpoints/stories260K/stories260K.bin", 64, 512, 47 }, { "checkpoints/babyllama-tok105/model5000.bin", 128, 105, 47 },
    };
    for (size_t i = 0; i < sizeof ALL / sizeof *ALL; i++) {
        lithe_error err = { 0 };
        tensor_file *f = tensor_file_open(test_data(ALL[i].file), &err);
        CHECK_MSG(f && f->count == ALL[i].count, "%s", err.text);
        if (!f) continue;
        const file_tensor *t = tensor_file_find(f, "layers.4.feed_forward.w2.weight");
        CHECK(t && t->dims[0] == ALL[i].dim);
        CHECK(json_integer_value(json_object_get(f->config, "vocab_size")) == ALL[i].vocab);
        double largest = 0;
        for (int k = 0; k < f->count; k++)
            for (size_t e = 0; e < f->tensors[k].count; e++) {
                float x;
                CHECK(file_tensor_floats(&f->tensors[k], e, 1, &x));
                if (!(fabsf(x) <= largest)) largest = fabsf(x);
            }
        /* Misplaced tables and norms would show. */
        CHECK_MSG(largest > 0.1 && largest < 100, "largest weight %g", largest);
        tensor_file_close(f);
    }
}
