/* GGUF files that are written: the tensors are those of ggml's own package, byte for
 * byte; what is read again is the same model and the same tokenizer. */
#include "files/gguf.h"
#include "base/writer.h"
#include "golden.h"
#include "model.h"
#include "text/tokenizer_gguf.h"
#include <math.h>

static char *golden_path(const char *name, char path[200]) { snprintf(path, 200, "tests/golden/%s", name); return path; }

static lithe_model *open_model(const char *path)
{
    lithe_error err = { 0 };
    lithe_model *m = lithe_model_open(path, NULL, &err);
    CHECK_MSG(m, "%s", err.text);
    return m;
}

static tensor_file *open_tensors(const char *path)
{
    lithe_error err = { 0 };
    tensor_file *f = tensor_file_open(path, &err);
    CHECK_MSG(f, "%s", err.text);
    return f;
}

/* ---- tensors ---------------------------------------------------------------------------- */

/* Matrices that the fixture of RWKV-6 has halved, and heads that the model of the folder does not have. */
static bool is_other(const char *model, const char *name)
{
    bool halved = !strcmp(model, "rwkv6") && (strstr(name, "blk.1.time_mix_output") || strstr(name, "blk.1.channel_mix_value"));
    return halved || !strncmp(name, "cls", 3);
}

static bool same_tensor(const file_tensor *a, const file_tensor *b)
{
    bool factors = !strcmp(a->name, "rope_freqs.weight");    /* rounded after other products */
    if (a->type != b->type || a->count != b->count || a->rank != b->rank || memcmp(a->dims, b->dims, (size_t)a->rank * sizeof *a->dims)) return false;
    return factors ? max_difference(a->data, b->data, a->count) < 1e-5 : !memcmp(a->data, b->data, a->bytes);
}

static void check_tensors(const char *name, const char *written)
{
    char path[200], theirs[100];
    snprintf(theirs, sizeof theirs, "gguf/%s.gguf", name);
    tensor_file *f = open_tensors(test_file(golden_path(theirs, path))), *g = open_tensors(written);
    int n = 0;
    for (int i = 0; f && g && i < f->count; i++) {
        const file_tensor *t = &f->tensors[i], *ours = tensor_file_find(g, t->name);
        if (is_other(name, t->name)) continue;
        n++;
        CHECK_MSG(ours && same_tensor(t, ours), "%s: %s is %s", name, t->name, ours ? "another tensor" : "missing");
    }
    for (int i = 0; f && g && i < g->count; i++) n -= !is_other(name, g->tensors[i].name) && strncmp(g->tensors[i].name, "lithe.", 6);
    CHECK_MSG(n == 0, "%s: %d tensors more or less", name, n);
    tensor_file_close(f);
    tensor_file_close(g);
}

static void tensors_are_ggmls(void)
{
    static const char *const names[] = { "llama", "llama-scaled", "llama-linear", "gpt2", "gpt_neox", "bert", "modernbert", "rwkv6", "rwkv7" };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char path[200], to[100];
        lithe_error err = { 0 };
        lithe_model *m = open_model(test_file(golden_path(names[i], path)));
        snprintf(to, sizeof to, "%s.gguf", names[i]);
        const char *written = in_dir(to);
        CHECK_MSG(m && !lithe_model_export(m, written, NULL, &err), "%s: %s", names[i], err.text);
        check_tensors(names[i], written);
        lithe_model_close(m);
    }
}

/* ---- models ----------------------------------------------------------------------------- */

static size_t count_of(const lithe_tensor_info *x)
{
    size_t count = 1;
    for (int d = 0; d < x->rank; d++) count *= (size_t)x->dims[d];
    return count;
}

/* Numbers differ by no more than a share of theirs, or of f16's smallest normal number. */
static void check_near(const lithe_model *a, const lithe_model *b, double share, const char *what)
{
    lithe_tensor_info x, y;
    size_t i = 0;
    for (; lithe_model_parameter(a, i, &x); i++) {
        size_t count = count_of(&x), far = 0;
        float *p = malloc(count * sizeof *p), *q = malloc(count * sizeof *q);
        bool read = lithe_model_parameter_named(b, x.name, &y) && !lithe_model_values(a, x.name, 0, count, p, NULL) && !lithe_model_values(b, x.name, 0, count, q, NULL);
        for (size_t k = 0; read && k < count; k++) far += (size_t)!(fabs((double)p[k] - (double)q[k]) <= share * (fabs((double)p[k]) + 6e-5));
        CHECK_MSG(read && !far, "%s: %s: %zu numbers differ", what, x.name, far);
        free(p);
        free(q);
    }
    CHECK(i > 3 && !lithe_model_parameter(b, i, &y));
}

static void models_come_back(void)
{
    static const char *const names[] = { "llama", "llama-scaled", "phi3", "olmo2", "granite", "gemma2", "gemma3", "smollm3", "stablelm", "openpangu", "internlm2", "gpt_neo", "opt", "distilbert", "mpnet",
                                         "gpt2", "gpt_neox", "gpt_neox-sequential", "bert", "roberta", "modernbert", "mosaicbert", "rwkv4", "rwkv5", "rwkv5-0",
                                         "rwkv6", "rwkv7", "tokenformer", "tokenformer-softmax", "pangu-pi-all", "pangu-pi-dense", "vit", "tokenformer_vit" };
    static const struct { const char *dtype; double share; } types[] = { { "f32", 0 }, { "bf16", 1.0 / 256 }, { "f16", 1.0 / 2048 }, { "stored", 0 } };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char path[200], to[100];
        lithe_error err = { 0 };
        lithe_model *m = open_model(test_file(golden_path(names[i], path)));
        for (int k = 0; m && k < 4; k++) {
            snprintf(to, sizeof to, "%s-%s.gguf", names[i], types[k].dtype);
            const char *written = in_dir(to);
            CHECK_MSG(!lithe_model_export(m, written, types[k].dtype, &err), "%s: %s", to, err.text);
            lithe_model *back = open_model(written);
            if (!back) continue;
            check_near(m, back, types[k].share, to);
            char *a = lithe_model_config(m), *b = lithe_model_config(back);
            json_t *x = json_loads(a, 0, NULL), *y = json_loads(b, 0, NULL);
            m->preprocessor.known = back->preprocessor.known;
            json_object_del(x, "dtype"), json_object_del(x, "torch_dtype"), json_object_del(y, "dtype"), json_object_del(y, "torch_dtype");
            CHECK_MSG(json_equal(x, y) && !memcmp(&m->preprocessor, &back->preprocessor, sizeof m->preprocessor), "%s: another configuration", to);
            json_decref(x);
            json_decref(y);
            free(a);
            free(b);
            lithe_model_close(back);
            remove(written);
        }
        lithe_model_close(m);
    }
}

/* Blocks stay the bytes that they are, rows in llama.cpp's order again. */
static void blocks_stay(void)
{
    char path[200];
    lithe_error err = { 0 };
    const char *from = test_file(golden_path("gguf/llama-q8_0.gguf", path)), *to = in_dir("blocks.gguf");
    lithe_model *m = open_model(from);
    CHECK_MSG(m && !lithe_model_export(m, to, "stored", &err), "%s", err.text);
    tensor_file *f = open_tensors(from), *g = open_tensors(to);
    for (int i = 0; f && g && i < f->count; i++) {
        const file_tensor *t = &f->tensors[i], *ours = tensor_file_find(g, t->name);
        CHECK_MSG(ours && same_tensor(t, ours), "%s", t->name);
    }
    int64_t version = 0;
    CHECK(g && gguf_integer(gguf_find(g->keys, "general.quantization_version"), &version) && version == 2);
    CHECK(g && gguf_integer(gguf_find(g->keys, "general.file_type"), &version) && version == 7);
    tensor_file_close(f);
    tensor_file_close(g);
    lithe_model_close(m);
}

/* ---- tokenizers ---------------------------------------------------------------------------- */

static lithe_tokenizer *written_tokenizer(const lithe_tokenizer *t)
{
    lithe_error err = { 0 };
    gguf_head h = { 0 };
    const char *path = in_dir("tokenizer.gguf");
    CHECK_MSG(!tokenizer_put_gguf(t, lithe_tokenizer_vocab(t) + 3, &h, &err) && !gguf_write(path, &h, NULL, 0, &err), "%s", err.text);
    gguf_head_free(&h);
    lithe_tokenizer *back = lithe_tokenizer_open(path, &err);
    CHECK_MSG(back, "%s", err.text);
    return back;
}

static void check_tokenizer(const lithe_tokenizer *t, const char *what)
{
    static const char *const texts[] = { "hello hello, Hello 12345 h\xc3\xa9's\n\n  <|end|><|user|>the end</s>", "It's 3 o'clock;\tdon't   \xe6\x97\xa5\xe6\x9c\xac <tool>[MASK]", "" };
    static const char *const roles[] = { "bos", "eos", "cls", "sep", "pad", "mask", "unk" };
    int32_t a[300], b[300], x[300], y[300];
    lithe_tokenizer *back = written_tokenizer(t);
    for (int i = 0; back && i < 3; i++) {
        size_t n = lithe_encode(t, texts[i], strlen(texts[i]), 1, a, 300), m = lithe_encode(back, texts[i], strlen(texts[i]), 1, b, 300);
        CHECK_MSG(n == m && n < 300 && !memcmp(a, b, n * sizeof *a), "%s: %zu and %zu ids of \"%s\"", what, n, m, texts[i]);
        char p[600] = "", q[600] = "";
        lithe_decode(t, a, n, p, 599), lithe_decode(back, b, m, q, 599);
        CHECK_MSG(!strcmp(p, q), "%s: \"%s\" and \"%s\"", what, p, q);
        n = lithe_encode_pair(t, texts[0], 9, texts[i], strlen(texts[i]), 0, a, x, 300), m = lithe_encode_pair(back, texts[0], 9, texts[i], strlen(texts[i]), 0, b, y, 300);
        CHECK_MSG(n == m && n < 300 && !memcmp(a, b, n * sizeof *a) && !memcmp(x, y, n * sizeof *x), "%s: a pair with \"%s\": %zu and %zu ids", what, texts[i], n, m);
    }
    for (int i = 0; back && i < 7; i++)
        CHECK_MSG(lithe_tokenizer_special(t, roles[i]) == lithe_tokenizer_special(back, roles[i]), "%s: %s", what, roles[i]);
    const char *chat = lithe_tokenizer_chat_template(t), *again = lithe_tokenizer_chat_template(back);
    CHECK_MSG(!chat == !again && (!chat || !strcmp(chat, again)), "%s: its chat template", what);
    lithe_tokenizer_close(back);
}

static void check_tokenizer_at(const char *path)
{
    lithe_error err = { 0 };
    lithe_tokenizer *t = lithe_tokenizer_open(path, &err);
    CHECK_MSG(t, "%s", err.text);
    if (t) check_tokenizer(t, path);
    lithe_tokenizer_close(t);
}

static void tokenizers_come_back(void)
{
    static const char *const names[] = { "gpt2", "smollm", "llama", "bert", "t5", "rwkv" };
    char path[200], name[60];
    for (int i = 0; i < 6; i++) {
        snprintf(name, sizeof name, "gguf/tokenizer-%s.gguf", names[i]);
        check_tokenizer_at(test_file(golden_path(name, path)));
    }
    check_tokenizer_at("bytes");
}

static void learned_tokenizers_come_back(void)
{
    static const char *const kinds[] = { "bpe", "roberta", "wordpiece" };
    static const char text[] = "hello hello, the end of the hello; it is the end, don't say 12 hello 345 at the end of it all\n";
    for (int i = 0; i < 3; i++) {
        lithe_error err = { 0 };
        lithe_tokenizer *t = lithe_tokenizer_learn(text, sizeof text - 1, i == 2 ? 45 : 270, &LITHE_OPTIONS(lithe_tokenizer_options, .kind = kinds[i]), &err);
        CHECK_MSG(t, "%s: %s", kinds[i], err.text);
        if (t) check_tokenizer(t, kinds[i]);
        lithe_tokenizer_close(t);
    }
}

static void published_tokenizers_come_back(void)
{
    static const char *const files[] = { "gpt2/encoder.json", "gpt-neox/20B_tokenizer.json", "bert-base-uncased/tokenizer.json", "bert-base-uncased/vocab.txt", "t5/spiece.model",
                                         "mistral/tokenizer.model", "rwkv/rwkv_vocab_v20230424.txt" };
    char path[200];
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        snprintf(path, sizeof path, "tokenizers/%s", files[i]);
        check_tokenizer_at(test_data(path));
    }
    check_tokenizer_at(test_data("checkpoints/stories260K/tok512.bin"));
}

/* A file is a whole MODEL: with its tokenizer, and to go on training from. */
static void a_file_is_a_model(void)
{
    static const char config[] = "{\"vocab_size\":264,\"hidden_size\":32,\"intermediate_size\":64,\"num_hidden_layers\":1,\"num_attention_heads\":2,"
                                 "\"max_position_embeddings\":16,\"tie_word_embeddings\":true}";
    lithe_error err = { 0 };
    int32_t ids[8];
    float loss[2] = { 0 };
    lithe_model *m = lithe_model_new("llama", config, 3, &err);
    lithe_tokenizer *t = lithe_tokenizer_open("bytes", &err);
    const char *to = in_dir("whole.gguf");
    CHECK_MSG(m && t && !lithe_model_export_with(m, to, "f16", t, &err), "%s", err.text);
    lithe_model *back = open_model(to), *kept = NULL;
    CHECK_MSG(!lithe_model_save(m, in_dir("whole"), "f16", NULL, &err), "%s", err.text);
    kept = open_model(in_dir("whole"));
    CHECK(back && lithe_model_tokenizer(back) && !strcmp(lithe_model_tokenizer(back), to));
    lithe_tokenizer *own = lithe_tokenizer_open(to, &err);
    CHECK_MSG(own && lithe_encode(own, "abc", 3, 0, ids, 8) == 3 && ids[0] == 'a' && lithe_tokenizer_vocab(own) <= 264, "%s", err.text);
    /* Widened, it has master values, which are those that it was stored with: the same as from a safetensors file. */
    CHECK(back && kept && !params_masters(back->params, &err) && !params_masters(kept->params, &err));
    for (int i = 0; back && i < 2; i++) {
        double total = 0;
        float nll[8];
        CHECK_MSG(!lithe_score(i ? back : kept, (int32_t[]){ 1, 2, 3, 4 }, 4, 0, 0, nll, &total, &err), "%s", err.text);
        loss[i] = (float)total;
    }
    CHECK_MSG(!memcmp(&loss[0], &loss[1], sizeof loss[0]) && loss[0] > 0, "%.9g and %.9g", (double)loss[0], (double)loss[1]);
    lithe_tokenizer_close(own);
    lithe_tokenizer_close(t);
    lithe_model_close(kept);
    lithe_model_close(back);
    lithe_model_close(m);
}

/* ---- what is refused ---------------------------------------------------------------------- */

static void writing_is_refused(void)
{
    lithe_error err = { 0 };
    lithe_model *m = lithe_model_new("gpt2", "{\"vocab_size\":20,\"n_positions\":8,\"n_embd\":16,\"n_layer\":1,\"n_head\":2,\"scale_attn_by_inverse_layer_idx\":true}", 1, &err);
    CHECK_MSG(m && lithe_model_export(m, in_dir("a.gguf"), NULL, &err) && !path_exists(in_dir("a.gguf")), "%s", err.text);
    check_failure(&err, LITHE_EINVAL, "scale_attn_by_inverse_layer_idx=false alone");
    lithe_model_close(m);
    err = (lithe_error){ 0 };
    gguf_head h = { 0 };
    float x[4] = { 0 };
    char name[65];
    memset(name, 'n', 64), name[64] = 0;
    const out_tensor wrong[] = { { name, DT_F32, 1, { 4 }, x }, { "a", DT_F32, 0, { 0 }, x }, { "a", DT_U32, 1, { 4 }, x }, { "a", DT_Q8_0, 1, { 4 }, x } };
    static const char *const why[] = { "a name of 64 bytes, GGUF has at most 63", "0 dimensions, GGUF has 1 to 4", "as U32 in rows of 4", "as Q8_0 in rows of 4" };
    for (int i = 0; i < 4; i++, err = (lithe_error){ 0 }) {
        CHECK(gguf_write(in_dir("b.gguf"), &h, &wrong[i], 1, &err) && !path_exists(in_dir("b.gguf")));
        check_failure(&err, LITHE_EINVAL, why[i]);
    }
}

/* A key that was changed after the file was written does not go unnoticed. */
static void changed_keys_are_refused(void)
{
    char path[200];
    lithe_error err = { 0 };
    size_t size = 0;
    const char *to = in_dir("changed.gguf");
    lithe_model *m = open_model(test_file(golden_path("llama", path)));
    CHECK(m && !lithe_model_export(m, to, NULL, &err));
    char *bytes = file_read(to, (size_t)1 << 20, &size, &err), *at = bytes ? memmem(bytes, size, "rope.freq_base", 14) : NULL;
    CHECK(at);
    if (at) at[14 + 4 + 2] ^= 1;                             /* the type, then two bytes of the number */
    CHECK(!file_write(in_dir("new.gguf"), bytes, size, &err) && !lithe_model_open(in_dir("new.gguf"), NULL, &err));
    check_failure(&err, LITHE_ECONFIG, "llama.rope.freq_base is not what its lithe.config says");
    free(bytes);
    lithe_model_close(m);
}

const test tests_gguf_written[] = {
    { "gguf: written tensors are ggml's", tensors_are_ggmls },
    { "gguf: models come back", models_come_back },
    { "gguf: blocks stay", blocks_stay },
    { "gguf: tokenizers come back", tokenizers_come_back },
    { "gguf: learned tokenizers come back", learned_tokenizers_come_back },
    { "gguf: published tokenizers come back", published_tokenizers_come_back },
    { "gguf: a file is a model", a_file_is_a_model },
    { "gguf: writing is refused", writing_is_refused },
    { "gguf: changed keys are refused", changed_keys_are_refused },
    { 0 },
};
