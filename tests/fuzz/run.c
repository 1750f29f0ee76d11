/* libFuzzer: a run directory with hostile files, resumed for some steps.  The first
 * byte chooses the run: a TokenFormer that has grown, masked tokens, labelled pairs,
 * images.  Then come edits (edits.h), each after the number of its file.  Manifest,
 * hashes and identities are made right afterwards, so that what they guard is met. */
#include "base/json.h"
#include "base/writer.h"
#include "data/data.h"
#include "data/tokenizer_identity.h"
#include "edits.h"
#include "mend.h"
#include "models.h"
#include "train/run_dir.h"
#include "train/trainer.h"
#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { IMAGES = 3, KINDS, EDITS = 8, EVENTS = 8, STEPS = 4, SAVED = 2 };
static const char LAST[] = "ckpt-2";

/* ---- the runs ------------------------------------------------------------------------------- */

static const struct { const char *arch, *config, *task; } kinds[KINDS] = {
    { "tokenformer", "{\"num_layers\":1,\"hidden_size\":8,\"num_attention_heads\":1,\"max_position_embeddings\":8,\"qkv_slot_num\":2,\"proj_slot_num\":2,\"ffn_slot_num\":2,\"vocab_size\":24}", NULL },
    { "bert", "{\"hidden_size\":4,\"num_hidden_layers\":1,\"num_attention_heads\":1,\"intermediate_size\":4,\"max_position_embeddings\":12,\"vocab_size\":24}", NULL },
    { "bert", "{\"hidden_size\":4,\"num_hidden_layers\":1,\"num_attention_heads\":1,\"intermediate_size\":4,\"max_position_embeddings\":12,\"vocab_size\":24}", "classify" },
    { "vit", "{\"image_size\":4,\"patch_size\":2,\"num_channels\":1,\"hidden_size\":4,\"num_attention_heads\":1,\"num_hidden_layers\":1,\"intermediate_size\":4,\"num_labels\":2}", "images" },
};
static folder runs[KINDS];

static void write_file(const char *path, const void *bytes, size_t size) { if (file_write(path, bytes, size, NULL)) abort(); }

static lithe_dataset *data_of(const char *scratch, int kind, const lithe_tokenizer *t, lithe_error *err)
{
    static const char text[] = "the cats sat on the mat .\n\nthe mats sat on the cat .\n\nthe cat .\n\non the mat the cat sat .\n\nthe cats on the mats sat .\n";
    static const char rows[] = "text\tpair\tlabel\nthe cat\tsat on the mat\ta\nthe mats\tthe cats\tb\nthe cat sat\ton\ta\nthe mats sat\tthe\tb\n";
    static const char *const names[KINDS] = { "a.txt", "a.txt", "a.tsv", "a-images-idx3-ubyte" };
    char path[FOLDER_PATH], labels[FOLDER_PATH];
    const char *paths = path;
    snprintf(path, sizeof path, "%s/%s", scratch, names[kind]);
    if (kind < 2) write_file(path, text, sizeof text - 1);
    else if (kind == 2) write_file(path, rows, sizeof rows - 1);
    else {
        uint8_t pixels[16 + 8 * 16] = { 0, 0, 8, 3, 0, 0, 0, 8, 0, 0, 0, 4, 0, 0, 0, 4 }, classes[16] = { 0, 0, 8, 1, 0, 0, 0, 8, 0, 1, 0, 1, 0, 1, 0, 1 };
        for (int i = 0; i < 8 * 16; i++) pixels[16 + i] = (uint8_t)(37 * i);
        snprintf(labels, sizeof labels, "%s/a-labels-idx1-ubyte", scratch);
        write_file(path, pixels, sizeof pixels);
        write_file(labels, classes, sizeof classes);
    }
    return lithe_dataset_open(&paths, 1, NULL, t, &LITHE_OPTIONS(lithe_data_options, .task = kinds[kind].task, .valid_share = 0.4), err);
}

/* Trains a run of the kind until its second checkpoint, which is the one that stays. */
static void prepare(int kind)
{
    lithe_error err = { 0 };
    char scratch[SCRATCH_PATH], name[16];
    folder *f = &runs[kind];
    scratch_path(scratch, "made");
    folder_make(scratch);
    snprintf(name, sizeof name, "run%d", kind);
    scratch_path(f->dir, name);
    lithe_tokenizer *t = kind == IMAGES ? NULL : fuzz_words();
    lithe_dataset *d = data_of(scratch, kind, t, &err);
    lithe_model *m = lithe_model_new(kinds[kind].arch, kinds[kind].config, 1, &err), *body = NULL;
    static const char *const classes[] = { "a", "b" };
    if (kind == 2) { body = m; m = lithe_model_with_head(body, "classify", classes, 2, 1, &err); }
    lithe_trainer *trainer = lithe_trainer_open(m, d, t, &LITHE_OPTIONS(lithe_train_options, .ctx = kind == 0 ? 4 : 0, .batch = 2, .steps = STEPS, .save_every = SAVED,
                                                .eval_every = SAVED, .eval_windows = 1, .grow_at = kind == 0 ? "1:2x" : NULL), f->dir, &err);
    lithe_event e = { 0 };
    while (trainer && !(e.kind == LITHE_SAVED && e.step == SAVED) && lithe_trainer_next(trainer, &e, &err) > 0) { }
    if (err.status) fprintf(stderr, "%s\n", err.text), abort();
    lithe_trainer_close(trainer);
    lithe_model_close(m);
    lithe_model_close(body);
    lithe_dataset_close(d);
    lithe_tokenizer_close(t);
    checkpoint_remove(f->dir, 0, &err);
    checkpoint_remove(f->dir, 1, &err);
    folder_read(f, "");
    folder_sort(f);
    dir_remove(scratch, NULL);
}

/* ---- what is made right -------------------------------------------------------------------------- */

static void path_in(char out[FOLDER_PATH], const folder *f, const char *a, const char *b) { snprintf(out, FOLDER_PATH, "%s/%s%s%s", f->dir, a, *a ? "/" : "", b); }

static lithe_tokenizer *open_tokenizer(const folder *f)
{
    char *path = lithe_tokenizer_find(f->dir);
    lithe_tokenizer *t = path ? lithe_tokenizer_open(path, NULL) : NULL;
    free(path);
    return t;
}

/* Hashes inside the shards, whose tokenizer is the one beside them. */
static void mend_contents(folder *f, const lithe_tokenizer *t)
{
    static const char *const tokens[] = { "data/train.shard", "data/valid.shard" }, *const image_shards[] = { "data/train.images", "data/valid.images" };
    for (int i = 0; i < 2; i++) {
        folder_file *text = folder_find(f, tokens[i]), *images = folder_find(f, image_shards[i]);
        if (text && text->size >= SHARD_HEADER_BYTES) {
            if (t) tokenizer_identity(t, text->bytes + 80);
            mend_shard(text->bytes, text->size);
            folder_put(f, text);
        }
        if (images && images->size >= IMAGE_SHARD_HEADER) {
            mend_images(images->bytes, images->size);
            folder_put(f, images);
        }
    }
}

static void describe(json_t *known, const folder_file *file)
{
    char hex[33];
    hash_hex(file->bytes, file->size, hex);
    bool of_text = strstr(file->name, ".shard") != NULL && file->size >= SHARD_HEADER_BYTES;
    for (int i = 0; of_text && i < 16; i++) snprintf(hex + 2 * i, 3, "%02x", file->bytes[64 + i]);
    json_object_set_new(known, "hash", json_string(hex));
    json_object_set_new(known, "bytes", json_integer((json_int_t)file->size));
}

/* What data.json says of the files beside it. */
static void mend_description(folder *f, const lithe_tokenizer *t)
{
    static const char *const parts[] = { "train", "valid" }, *const endings[] = { "shard", "jsonl", "images" };
    char path[FOLDER_PATH], hex[33] = "";
    uint8_t identity[16];
    path_in(path, f, "data", DATA_JSON);
    json_t *json = json_read(path, 1 << 20, 8, NULL);
    for (int i = 0; json && i < 6; i++) {
        char name[40];
        snprintf(name, sizeof name, "data/%s.%s", parts[i % 2], endings[i / 2]);
        folder_file *file = folder_find(f, name);
        if (file) describe(json_object_get(json, parts[i % 2]), file);
    }
    if (t) tokenizer_identity(t, identity);
    for (int i = 0; t && i < 16; i++) snprintf(hex + 2 * i, 3, "%02x", identity[i]);
    if (json && t && json_object_get(json, "tokenizer")) json_object_set_new(json, "tokenizer", json_string(hex));
    if (json) json_write(json, path, NULL);
    json_decref(json);
}

/* The identity of the data that the checkpoint speaks of. */
static void mend_identity(folder *f, const lithe_tokenizer *t)
{
    char path[FOLDER_PATH], identity[256];
    lithe_error err = { 0 };
    path_in(path, f, "", "data");
    lithe_dataset *d = dataset_reopen(path, t, NO_SOURCES, &err);
    path_in(path, f, LAST, "trainer.json");
    json_t *json = d ? json_read(path, 1 << 20, 8, NULL) : NULL;
    if (json) {
        dataset_identity(d, identity, sizeof identity);
        json_object_set_new(json, "data", json_string(identity));
        json_write(json, path, NULL);
    }
    json_decref(json);
    lithe_dataset_close(d);
}

static void mend(folder *f, bool data_changed, bool manifest_changed)
{
    char path[FOLDER_PATH];
    if (data_changed) {
        lithe_tokenizer *t = open_tokenizer(f);
        mend_contents(f, t);
        mend_description(f, t);
        mend_identity(f, t);
        lithe_tokenizer_close(t);
    }
    path_in(path, f, LAST, "");
    if (!manifest_changed) manifest_write(path, NULL);
}

/* ---- one input -------------------------------------------------------------------------------------- */

static void resume(const char *run)
{
    lithe_error err = { 0 };
    lithe_event e;
    lithe_trainer *t = lithe_trainer_resume(run, NULL, &err);
    assert(!t == (err.status != LITHE_OK) && !strchr(err.text, '\n'));
    for (int i = 0; t && i < EVENTS; i++) {
        int more = lithe_trainer_next(t, &e, &err);
        assert((more < 0) == (err.status != LITHE_OK) && !strchr(err.text, '\n'));
        if (more <= 0) break;
    }
    lithe_trainer_close(t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_bytes b = { data, size };
    int kind = (int)(take_byte(&b) % KINDS);
    bool data_changed = false, manifest_changed = false;
    lithe_threads(1);
    if (!runs[kind].count) prepare(kind);
    folder_put_all(&runs[kind]);
    folder f = folder_copy(&runs[kind]);
    for (int i = 0; i < EDITS && b.size; i++) {
        folder_file *file = &f.file[take_byte(&b) % (unsigned)f.count];
        edit(file, &b);
        folder_put(&f, file);
        data_changed |= !strncmp(file->name, "data/", 5) || !strncmp(file->name, "tokenizer", 9);
        manifest_changed |= strstr(file->name, "manifest.json") != NULL;
    }
    mend(&f, data_changed, manifest_changed);
    resume(f.dir);
    folder_free(&f);
    return 0;
}
