/* While a model or a tokenizer is written, each allocation and each call of the system fails once, in this process:
 * what is written has the same bytes as if none had, or it is not there; nothing else stays, and it says why. */
#include "base/file.h"
#include "failing.h"
#include "leaves.h"
#include "lithe_tools.h"
#include "test.h"
#include <stdlib.h>
#include <string.h>

enum { MOST = 40 };                                     /* points of a kind, where not all are asked for */

static lithe_model *model;
static lithe_tokenizer *tokenizer;
static const char *type;

static int save_model(const char *path, lithe_error *err)       { return lithe_model_save(model, path, type, tokenizer, err); }
static int export_model(const char *path, lithe_error *err)     { return lithe_model_export_with(model, path, type, tokenizer, err); }
static int save_tokenizer(const char *path, lithe_error *err)   { return lithe_tokenizer_save(tokenizer, path, err); }

static const char *judge(const lithe_error *e, const char *path, uint64_t expected)
{
    if (leaves_strays(in_dir("out"))) return "something temporary stays";
    if (e->status == LITHE_OK) return tree_hash(in_dir("out")) == expected ? NULL : "its bytes are others";
    if (!e->text[0] || strchr(e->text, '\n')) return "it does not say why, in one line";
    if (e->status != LITHE_ENOMEM && e->status != LITHE_EIO) return "it gives another reason";
    /* It may have been there before the name was made sure. */
    return !path_exists(path) || tree_hash(in_dir("out")) == expected ? NULL : "a part of it stays";
}

static lithe_error write_failing(int (*write)(const char *path, lithe_error *err), const char *path, int call, int which)
{
    lithe_error e = { 0 };
    CHECK(!dir_remove(in_dir("out"), NULL) && !dir_make(in_dir("out"), NULL));
    failing_begin(call, which);
    write(path, &e);
    check_pending(&e);
    failing_end();
    return e;
}

static void each_fails(int (*write)(const char *path, lithe_error *err), const char *name)
{
    static int points[MOST_POINTS];
    char path[600];
    snprintf(path, sizeof path, "%s/%s", in_dir("out"), name);
    failing_open();
    lithe_error e = write_failing(write, path, NO_CALL, NO_CALL);
    CHECK_MSG(!e.status, "%s: %s", name, e.text);
    const uint64_t expected = tree_hash(in_dir("out"));
    for (int call = 0; call < CALL_COUNT; call++) {
        write_failing(write, path, call, NO_CALL);
        int n = failing_points(points, MOST);
        for (int i = 0; i < n; i++) {
            e = write_failing(write, path, call, points[i]);
            const char *wrong = judge(&e, path, expected);
            CHECK_MSG(!wrong, "%s: %s %d: %d %s: %s", name, call_names[call], points[i], e.status, e.text, wrong);
        }
        if (getenv("LITHE_FAULTS") && n) printf("    %s: %d of %s\n", name, n, call_names[call]);
    }
    failing_close();
}

static void leave(void)
{
    lithe_model_close(model);
    lithe_tokenizer_close(tokenizer);
    model = NULL;
    tokenizer = NULL;
}

/* What is written: a model of this repository, or a new one where there is a config; its tokenizer, or NULL. */
static void take(const char *name, const char *config, const char *tokenizer_name)
{
    lithe_error e = { 0 };
    lithe_threads(1);
    leave();
    if (name) model = config ? lithe_model_new(name, config, 1, &e) : lithe_model_open(test_file(name), NULL, &e);
    if (tokenizer_name) tokenizer = lithe_tokenizer_open(strchr(tokenizer_name, '/') ? test_file(tokenizer_name) : tokenizer_name, &e);
    CHECK_MSG(!e.status, "%s", e.text);
}

static const char gpt2[] = "{\"n_layer\":1,\"n_embd\":8,\"n_head\":2,\"n_positions\":8,\"vocab_size\":257}";
static const char llama[] = "{\"hidden_size\":16,\"num_hidden_layers\":1,\"num_attention_heads\":2,\"num_key_value_heads\":1,\"intermediate_size\":16,\"vocab_size\":270,"
                            "\"max_position_embeddings\":32,\"rope_scaling\":{\"rope_type\":\"llama3\",\"factor\":4.0,\"low_freq_factor\":1.0,\"high_freq_factor\":4.0,"
                            "\"original_max_position_embeddings\":8}}";

static void while_models_are_saved(void)
{
    type = "bf16";
    take("gpt2", gpt2, "bytes");
    each_fails(save_model, "model");
    take("tests/golden/vit", NULL, NULL);
    each_fails(save_model, "model");
    leave();
}

static void while_models_are_exported(void)
{
    type = "f32";
    take("gpt2", gpt2, "bytes");
    each_fails(export_model, "model.safetensors");
    each_fails(export_model, "model.pth");
    each_fails(export_model, "model.gguf");
    take("tests/golden/rwkv6", NULL, NULL);
    each_fails(export_model, "model.bin");
    take("tests/golden/rwkv7", NULL, NULL);
    each_fails(export_model, "model.gguf");
    take("llama", llama, "tests/golden/gguf/tokenizer-llama.gguf");
    each_fails(export_model, "model.gguf");
    take("tests/golden/vit", NULL, NULL);
    each_fails(export_model, "model.gguf");
    leave();
}

static void while_tokenizers_are_saved(void)
{
    take(NULL, NULL, "tests/golden/text/herbert");
    each_fails(save_tokenizer, "tokenizer.json");
    take(NULL, NULL, "tests/golden/gguf/tokenizer-llama.gguf");
    each_fails(save_tokenizer, "tokenizer.model");
    leave();
}

const test tests_failing_writes[] = {
    { "calls: each fails while a model is saved", while_models_are_saved },
    { "calls: each fails while a model is exported", while_models_are_exported },
    { "calls: each fails while a tokenizer is saved", while_tokenizers_are_saved },
    { 0 }
};
