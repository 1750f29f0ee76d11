/* The naming engine: patterns, orders of rows against loops of their own, every
 * table there and back, tensors that are one parameter twice. */
#include "files/naming.h"
#include "base/random.h"
#include "model.h"
#include "test.h"
#include <stdlib.h>

/* ---- patterns ------------------------------------------------------------------------ */

static void patterns(void)
{
    static const struct { const char *from, *to, *name, *expected; } CASES[] = {
        { "h.*.ln", "layers.*.norm", "h.12.ln", "layers.12.norm" }, { "h.*.ln", "layers.*.norm", "h..ln", NULL }, { "h.*.ln", "layers.*.norm", "h.1.ln2", NULL },
        { "model.@", "@", "model.a.b", "a.b" }, { "model.@", "@", "model.", "" }, { "model.@", "@", "models.a", NULL },
        { "@.gamma", "@.weight", "x.LayerNorm.gamma", "x.LayerNorm.weight" }, { "@.gamma", "@.weight", ".gamma", ".weight" }, { "@.gamma", "@.weight", "gamma", NULL },
        { "b.*.att.@", "blocks.*.a.@", "b.3.att.k.weight", "blocks.3.a.k.weight" }, { "b.*.@.bias", "*-@", "b.7.x.y.bias", "7-x.y" }, { "a", "b", "a", "b" }, { "a", "b", "ab", NULL },
    };
    char out[PATTERN_BYTES], text[2 * PATTERN_BYTES] = "model.";
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        bool fits = pattern_rewrite(CASES[i].from, CASES[i].to, CASES[i].name, out);
        CHECK_MSG(fits == (CASES[i].expected != NULL) && fits == pattern_fits(CASES[i].from, CASES[i].name), "%s of %s", CASES[i].from, CASES[i].name);
        CHECK_MSG(!fits || !strcmp(out, CASES[i].expected), "%s of %s: %s", CASES[i].from, CASES[i].name, out);
    }
    memset(text + 6, 'x', PATTERN_BYTES - 1);
    CHECK(pattern_rewrite("model.@", "@", text, out) && strlen(out) == PATTERN_BYTES - 1 && !pattern_rewrite("@", "y@", text + 6, out));
}

/* ---- orders ---------------------------------------------------------------------------- */

enum { MOST = 4 * 3 * 6 * 5 };

static file_tensor counting(float *x, int rank, int64_t a, int64_t b, const naming_form *form)
{
    for (int i = 0; i < MOST; i++) x[i] = (float)i;
    file_tensor t = { .name = "t", .type = DT_F32, .rank = rank, .dims = { a, b }, .data = x, .form = form };
    t.count = (size_t)(a * (rank > 1 ? b : 1));
    t.bytes = 4 * t.count;
    return t;
}

/* Reads through the view what plain loops say, puts it back into zeros, and finds the bytes of the file. */
static void check_order(const char *what, file_tensor t, const wanted_shape *shape, float (*expected)(int row, int column))
{
    static float found[MOST], back[MOST];
    file_tensor target = t;
    CHECK_MSG(naming_view(&t, shape) && !file_tensor_as_is(&t) && file_tensor_floats(&t, 0, t.count, found), "%s", what);
    int columns = shape->rank > 1 ? (int)shape->dims[1] : 1;
    for (int i = 0; i < (int)t.count; i++) CHECK_MSG(found[i] == expected(i / columns, i % columns), "%s: element %d is %g", what, i, (double)found[i]);
    memset(back, 0, sizeof back);
    target.data = back;
    CHECK(naming_view(&target, shape));
    for (size_t i = 0; i < t.count; i += 7) CHECK(file_tensor_put(&target, i, t.count - i < 7 ? t.count - i : 7, found + i));
    CHECK_MSG(!memcmp(back, t.data, t.bytes), "%s: other bytes when written", what);
}

enum { HEADS = 4, PARTS = 3, CHANNELS = 6, COLUMNS = 5 };
static float fused(int row, int column)
{
    int part = row / (HEADS * CHANNELS), h = row / CHANNELS % HEADS, channel = row % CHANNELS;
    return (float)(((h * PARTS + part) * CHANNELS + channel) * COLUMNS + column);
}
static float fused_bias(int row, int column) { return fused(row, column) / COLUMNS; }
static float fused_columns(int row, int column) { return (float)(row * HEADS * PARTS * CHANNELS) + fused_bias(column, 0); }
static float neighbours(int row, int column)
{
    int h = row / CHANNELS, i = row % CHANNELS, theirs = i < CHANNELS / 2 ? 2 * i : 2 * (i - CHANNELS / 2) + 1;
    return (float)((h * CHANNELS + theirs) * COLUMNS + column);
}

static void orders(void)
{
    static float x[MOST];
    static const naming_form pairs = { .pairs = true };
    const int rows = HEADS * PARTS * CHANNELS;
    const wanted_shape weight = { .rank = 2, .dims = { rows, COLUMNS }, .axis = { { HEADS, PARTS } } }, bias = { .rank = 1, .dims = { rows }, .axis = { { HEADS, PARTS } } };
    const wanted_shape in_out = { .rank = 2, .dims = { COLUMNS, rows }, .axis = { { 0 }, { HEADS, PARTS } } };
    const wanted_shape rotary = { .rank = 2, .dims = { HEADS * CHANNELS, COLUMNS }, .axis = { { HEADS, 1 } } };
    check_order("fused heads", counting(x, 2, rows, COLUMNS, NULL), &weight, fused);
    check_order("fused heads, bias", counting(x, 1, rows, 1, NULL), &bias, fused_bias);
    check_order("fused heads, columns", counting(x, 2, COLUMNS, rows, NULL), &in_out, fused_columns);
    check_order("rotary pairs", counting(x, 2, HEADS * CHANNELS, COLUMNS, &pairs), &rotary, neighbours);
    const wanted_shape one_head = { .rank = 2, .dims = { rows, COLUMNS }, .axis = { { 1, PARTS } } };
    file_tensor t = counting(x, 2, rows, COLUMNS, NULL);
    /* No order at all: the file's bytes are the parameter's. */
    CHECK(naming_view(&t, &one_head) && file_tensor_as_is(&t));
    t = counting(x, 2, rows, COLUMNS, NULL);
    CHECK(!naming_view(&t, &in_out) && !naming_view(&t, &bias));
}

/* ---- tables ------------------------------------------------------------------------------ */

/* Every parameter of the model under the names of a table, in its shapes and orders. */
static void write_named(const lithe_model *m, const naming *names, const char *path)
{
    static out_tensor out[128];
    static char text[128][PATTERN_BYTES];
    lithe_error err = { 0 };
    int n = 0;
    for (; n < m->params->count && n < 128; n++) {
        const param *p = m->params->items[n];
        const wanted_shape shape = param_shape(p);
        const naming_rule *rule = naming_rule_of(names->rules, p->name, text[n]);
        static const naming_form plain = { 0 };
        const naming_form *form = rule ? &rule->form : &plain;
        real *values = weight_copy(&p->weight, p->count);
        file_tensor t = { .type = DT_F32, .data = calloc(p->count, 4) };
        naming_shape(&t, form, &shape, NULL);
        out[n] = (out_tensor){ .name = text[n], .type = DT_F32, .rank = t.rank, .data = t.data };
        memcpy(out[n].dims, t.dims, sizeof t.dims);
        CHECK_MSG(values && naming_target(&t, form, &shape) && file_tensor_put(&t, 0, p->count, values), "%s", p->name);
        free(values);
    }
    CHECK_MSG(!safetensors_write(path, out, n, NULL, &err), "%s", err.text);
    for (int i = 0; i < n; i++) free((void *)(uintptr_t)out[i].data);
}

/* Meta's checkpoints say nothing of themselves: their configuration is named. */
static void meta_there_and_back(void)
{
    static const char config[] = "{\"model_type\":\"llama\",\"vocab_size\":97,\"max_position_embeddings\":24,\"hidden_size\":32,\"intermediate_size\":88,\"num_hidden_layers\":3,"
                                 "\"num_attention_heads\":4,\"num_key_value_heads\":2,\"head_dim\":6,\"tie_word_embeddings\":false}";
    lithe_error err = { 0 };
    lithe_model *m = lithe_model_new(NULL, config, 5, &err), *back;
    CHECK_MSG(m, "%s", err.text);
    const naming *meta = NULL;
    for (int i = 0; namings[i]; i++)
        if (namings[i]->mark && strstr(namings[i]->mark, "attention.wq.")) meta = namings[i];
    put_text(in_dir("llama.json"), config);
    write_named(m, meta, in_dir("meta.safetensors"));
    tensor_file *f = tensor_file_open(in_dir("meta.safetensors"), &err);
    CHECK_MSG(f && tensor_file_find(f, "layers.2.attention.wk.weight") && tensor_file_find(f, "output.weight") && !tensor_file_find(f, "lm_head.weight"), "%s", err.text);
    const file_tensor *wk = tensor_file_find(f, "layers.2.attention.wk.weight");
    const param *k = params_find(m->params, "model.layers.2.self_attn.k_proj.weight");
    real *ours = weight_copy(&k->weight, k->count);
    /* The second head's last row, 2*2+1, is its last here too. */
    CHECK(!memcmp((const char *)wk->data + (6 + 5) * 32 * 4, ours + (6 + 5) * 32, 32 * 4));
    /* Its row 1 is row 3, the first of the second half. */
    CHECK(!memcmp((const char *)wk->data + (6 + 1) * 32 * 4, ours + (6 + 3) * 32, 32 * 4));
    free(ours);
    tensor_file_close(f);
    back = lithe_model_open(in_dir("meta.safetensors"), in_dir("llama.json"), &err);
    CHECK_MSG(same_parameters(m, back), "%s", err.text);
    CHECK_MSG(back && !lithe_model_save(back, in_dir("saved"), NULL, NULL, &err), "%s", err.text);
    lithe_model_close(back);
    f = tensor_file_open(in_dir("saved/model.safetensors"), &err);
    /* What has a config.json has its names. */
    CHECK_MSG(f && tensor_file_find(f, "model.layers.2.self_attn.k_proj.weight"), "%s", err.text);
    tensor_file_close(f);
    lithe_model_close(m);
}

/* ---- one parameter twice -------------------------------------------------------------------- */

static const naming_rule RULES[] = { NAMED("wrapper.@", "@"), NAMED("@.gamma", "@.weight"), NAMED("@.buffer", NULL), { 0 } };

static void expect_tensor(const tensor_file *f, const char *name, const char *original, const char *copy_of)
{
    const file_tensor *t = tensor_file_find(f, name);
    CHECK_MSG(t && !strcmp(t->stored ? t->stored : "", original) && !strcmp(t->copy_of ? t->copy_of : "", copy_of), "%s: stored %s, copy of %s", name,
              t && t->stored ? t->stored : "-", t && t->copy_of ? t->copy_of : "-");
}

/* The file's own name wins, then a prefix alone, then another word; who loses keeps its name. */
static void one_parameter_twice(void)
{
    static const char *const names[] = { "wrapper.a.weight", "a.gamma", "b.weight", "wrapper.b.weight", "wrapper.wrapper.c", "wrapper.d.gamma", "d.buffer", "e" };
    static const float zero;
    enum { N = sizeof names / sizeof *names };
    out_tensor out[N];
    lithe_error err = { 0 };
    for (int i = 0; i < N; i++) out[i] = (out_tensor){ .name = names[i], .type = DT_F32, .rank = 1, .dims = { 1 }, .data = &zero };
    CHECK_MSG(!safetensors_write(in_dir("copies"), out, N, NULL, &err), "%s", err.text);
    tensor_file *f = tensor_file_open(in_dir("copies"), &err);
    for (int again = 0; f && again < 2; again++) {                      /* and the second time there is nothing to do */
        CHECK_MSG(!naming_apply(f, RULES, &err) && f->count == N, "%s", err.text);
        expect_tensor(f, "a.weight", "wrapper.a.weight", "");
        expect_tensor(f, "a.gamma", "a.gamma", "a.weight");
        expect_tensor(f, "b.weight", "", "");
        expect_tensor(f, "wrapper.b.weight", "wrapper.b.weight", "b.weight");
        expect_tensor(f, "c", "wrapper.wrapper.c", "");
        expect_tensor(f, "d.weight", "wrapper.d.gamma", "");
        expect_tensor(f, "d.buffer", "", "");
        CHECK(tensor_file_find(f, "d.buffer")->ignored && !tensor_file_find(f, "e")->ignored);
    }
    tensor_file_close(f);
}

const test tests_naming[] = {
    { "naming: patterns", patterns },
    { "naming: orders of rows", orders },
    { "naming: Meta's LLaMA there and back", meta_there_and_back },
    { "naming: one parameter twice", one_parameter_twice },
    { 0 }
};
