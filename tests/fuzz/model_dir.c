/* libFuzzer: a model directory with hostile files, opened and run through the
 * public interface.  The first byte chooses the architecture, the second whether the
 * tensors are made to fit the configuration, so that it is met further on.  Then
 * come edits (edits.h), each after the number of its file. */
#include "edits.h"
#include "model/model.h"
#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MOST_ARCHS = 32, EDITS = 8, IDS = 12, VOCAB = 24, CONTEXT = 16, LARGEST = 1 << 16, LOGITS = 1 << 20 };
static folder models[MOST_ARCHS];
static int archs;

/* ---- the models ------------------------------------------------------------------------------- */

static lithe_tokenizer *words(void)
{
    static const char text[] = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nthe\ncat\nsat\non\nmat\n##s\n.\n";
    char path[200];
    folder_place(path, sizeof path, "vocab.txt");
    if (file_write(path, text, sizeof text - 1, NULL)) abort();
    lithe_tokenizer *t = lithe_tokenizer_open(path, NULL);
    unlink(path);
    return t;
}

/* The smallest configuration that the architecture is sized to. */
static char *smallest(const char *name)
{
    char *config = NULL;
    for (double params = 10000; !config && params < 1e6; params *= 1.5) config = lithe_model_size(name, params, VOCAB, CONTEXT, &(lithe_error){ 0 });
    return config;
}

static void prepare(int i)
{
    static const char image_config[] = "{\"image_size\":4,\"patch_size\":2,\"num_channels\":1,\"hidden_size\":8,\"num_attention_heads\":1,\"num_hidden_layers\":1,\"intermediate_size\":8,"
                                  "\"num_labels\":2,\"qkv_slot_num\":2,\"proj_slot_num\":2,\"ffn_slot_num\":2}";
    lithe_error err = { 0 };
    const char *name = lithe_arch_name(i);
    bool images = lithe_arch_images(name);
    char *config = images ? strdup(image_config) : smallest(name);
    lithe_model *m = config ? lithe_model_new(name, config, 1, &err) : NULL;
    lithe_tokenizer *t = images ? NULL : words();
    folder *f = &models[i];
    folder_place(f->dir, sizeof f->dir, name);
    dir_remove(f->dir, NULL);
    lithe_model_save(m, f->dir, "f32", t, &err);
    if (err.status) fprintf(stderr, "%s\n", err.text), abort();
    folder_read(f, "");
    folder_sort(f);
    lithe_tokenizer_close(t);
    lithe_model_close(m);
    free(config);
}

/* ---- tensors that fit --------------------------------------------------------------------------- */

/* Writes the tensors that the configuration in the folder declares, where they are few. */
static void fit_tensors(folder *f)
{
    char path[300];
    lithe_error err = { 0 };
    snprintf(path, sizeof path, "%s/config.json", f->dir);
    json_t *config = config_read(path, &err);
    const arch *a = config ? config_arch(config, "config.json", &err) : NULL;
    lithe_model *m = a ? model_declare(a, config, "config.json", &err) : NULL;
    bool small = m && params_total(m->params) <= LARGEST;
    lithe_model_close(m);
    m = small ? model_create(a, config, "config.json", &err) : NULL;
    if (m) {
        params_initialize(m->params, 1);
        model_write(m, f->dir, DT_F32, NULL, &err);
        folder_put(f, folder_find(f, "config.json"));
    }
    lithe_model_close(m);
    json_decref(config);
}

/* ---- one input -------------------------------------------------------------------------------------- */

static size_t ids_of(const lithe_model *m, int32_t ids[IDS], lithe_error *err)
{
    static const char text[] = "the cats sat on mats. [MASK]";
    size_t n = 0, context = (size_t)lithe_model_context(m);
    lithe_tokenizer *t = lithe_model_tokenizer(m) ? lithe_tokenizer_open(lithe_model_tokenizer(m), err) : NULL;
    if (t) n = lithe_encode(t, text, sizeof text - 1, 1, ids, IDS);
    lithe_tokenizer_close(t);
    if (!n) for (; n < 3; n++) ids[n] = (int32_t)n;
    if (n > IDS) n = IDS;
    return n < context ? n : context;
}

static void run(lithe_model *m)
{
    lithe_error err = { 0 };
    lithe_growth same;
    int32_t ids[IDS];
    size_t n = lithe_model_vocab(m) ? ids_of(m, ids, &err) : 0, values = n * (size_t)lithe_model_vocab(m);
    err = (lithe_error){ 0 };
    if (values > LOGITS) return;
    if (!strcmp(lithe_model_task(m), "language")) {
        float *out = malloc((values + 1) * sizeof *out);
        if (!out) abort();
        lithe_logits(m, ids, n, out, &err);
        free(out);
    } else if (!lithe_compare(m, m, ids, n, &same, &err)) assert(!(same.max_difference > 0));
    assert(!strchr(err.text, '\n'));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_bytes b = { data, size };
    lithe_threads(1);
    while (!archs || lithe_arch_name(archs)) archs++;
    if (archs > MOST_ARCHS) abort();
    int kind = (int)(take_byte(&b) % (unsigned)archs);
    bool fit = take_byte(&b) & 1;
    if (!models[kind].count) prepare(kind);
    folder_put_all(&models[kind]);
    folder f = folder_copy(&models[kind]);
    for (int i = 0; i < EDITS && b.size; i++) {
        folder_file *file = &f.file[take_byte(&b) % (unsigned)f.count];
        edit(file, &b);
        folder_put(&f, file);
    }
    if (fit) fit_tensors(&f);
    lithe_error err = { 0 };
    lithe_model *m = lithe_model_open(f.dir, NULL, &err);
    assert(!m == (err.status != LITHE_OK) && !strchr(err.text, '\n'));
    if (m) run(m);
    lithe_model_close(m);
    folder_free(&f);
    return 0;
}
