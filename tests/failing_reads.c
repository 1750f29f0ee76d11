/* While a file is opened, each of its allocations and calls of the system fails once, in this process: it opens to the
 * same values as if none had, or it is not opened, and the reason given is never that the file is wrong. */
#include "base/file.h"
#include "data/data.h"
#include "data/image.h"
#include "data/tokenizer_identity.h"
#include "data_files.h"
#include "failing.h"
#include "model/model.h"
#include "report/costs.h"
#include "test.h"
#include "train_runs.h"
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

/* How a kind of file is opened, what was opened as a number, and how it is closed. */
typedef struct { void *(*open)(const char *path, lithe_error *err); uint64_t (*look)(void *opened); void (*close)(void *opened); } reader;

enum { MOST = 60 };                                     /* points of a kind, where not all are asked for */

/* ---- the readers ----------------------------------------------------------------------------- */

static void *open_costs(const char *path, lithe_error *err)
{
    static costs opened;
    int status = costs_read(&opened, &path, 1, err);
    if (status) costs_close(&opened);
    return status ? NULL : &opened;
}
static void     close_costs(void *c) { costs_close(c); }
static uint64_t look_at_costs(void *opened)
{
    const costs *c = opened;
    uint64_t hash = c->series_count;
    for (size_t i = 0; i < c->count; i++) {
        const double numbers[] = { c->rows[i].series, c->rows[i].depth, c->rows[i].tokens, c->rows[i].seconds, c->rows[i].bytes };
        hash = hash_bytes(numbers, sizeof numbers, hash);
    }
    for (size_t i = 0; i < c->series_count; i++) hash = hash_bytes(c->series[i].name, strlen(c->series[i].name), hash);
    return hash;
}

static void    *open_model(const char *path, lithe_error *err) { return lithe_model_open(path, NULL, err); }
static void     close_model(void *m) { lithe_model_close(m); }
static uint64_t look_at_model(void *opened)
{
    const lithe_model *m = opened;
    char *config = lithe_model_config(m);
    uint64_t hash = hash_bytes(config, strlen(config), 0);
    free(config);
    for (int i = 0; i < m->params->count; i++) {
        const param *p = m->params->items[i];
        real *values = weight_copy(&p->weight, p->count);
        hash = hash_bytes(values, p->count * sizeof *values, hash_bytes(p->name, strlen(p->name), hash));
        free(values);
    }
    const char *tokenizer = lithe_model_tokenizer(m);
    hash = hash_bytes(&m->preprocessor.known, sizeof m->preprocessor.known, hash + (uint64_t)m->group_count);
    return tokenizer ? hash_bytes(tokenizer, strlen(tokenizer), hash) : hash;
}

static void    *open_tokenizer(const char *path, lithe_error *err) { return lithe_tokenizer_open(path, err); }
static void     close_tokenizer(void *t) { lithe_tokenizer_close(t); }
static uint64_t look_at_tokenizer(void *t)
{
    uint8_t identity[16];
    tokenizer_identity(t, identity);
    return hash_bytes(identity, sizeof identity, 0);
}

static void *open_image(const char *path, lithe_error *err)
{
    static image opened;
    return image_read(&opened, path, err) ? NULL : &opened;
}
static void     close_image(void *i) { image_free(i); }
static uint64_t look_at_image(void *opened)
{
    const image *i = opened;
    return hash_bytes(i->pixels, image_bytes(i), (uint64_t)i->width);
}

static lithe_tokenizer *bytes;
static const char *learned;
static void *open_data(const char *path, lithe_error *err)
{
    return lithe_dataset_open(&path, 1, in_dir("data"), bytes, &LITHE_OPTIONS(lithe_data_options, .task = learned, .valid_share = 0.3), err);
}
static void     close_data(void *d) { lithe_dataset_close(d); }
static uint64_t look_at_data(void *d)
{
    char identity[256];
    dataset_identity(d, identity, sizeof identity);
    return hash_bytes(identity, strlen(identity), lithe_dataset_examples(d, 0) + (uint64_t)lithe_dataset_labels(d));
}

static void    *open_run(const char *path, lithe_error *err) { return lithe_trainer_resume(path, NULL, err); }
static void     close_run(void *t) { lithe_trainer_close(t); }
static uint64_t look_at_run(void *t) { return look_at_model(lithe_trainer_model(t)); }

static const reader models = { open_model, look_at_model, close_model }, tokenizers = { open_tokenizer, look_at_tokenizer, close_tokenizer },
                    images = { open_image, look_at_image, close_image }, datasets = { open_data, look_at_data, close_data },
                    measured = { open_costs, look_at_costs, close_costs }, runs = { open_run, look_at_run, close_run };

/* ---- one file ---------------------------------------------------------------------------------- */

typedef struct { lithe_error e; uint64_t look; } outcome;

/* Opened while call `which` of a kind fails. */
static outcome open_failing(const reader *r, const char *path, int call, int which)
{
    outcome o = { .look = 0 };
    failing_begin(call, which);
    void *opened = r->open(path, &o.e);
    if (opened) check_pending(&o.e);
    failing_end();
    if (opened && !o.e.status) o.look = r->look(opened);
    CHECK_MSG(opened || o.e.status, "%s: nothing is opened, and it does not say why", path);
    if (opened) r->close(opened);
    forget_pending();
    CHECK(!dir_remove(in_dir("data"), NULL));
    return o;
}

static const char *judge(const outcome *o, const outcome *expected)
{
    if (o->e.status == LITHE_OK) return o->look == expected->look && !expected->e.status ? NULL : "it opens to something else";
    if (!o->e.text[0] || strchr(o->e.text, '\n')) return "it does not say why, in one line";
    if (o->e.status == LITHE_ENOMEM || o->e.status == LITHE_EIO) return NULL;
    return o->e.status == expected->e.status && !strcmp(o->e.text, expected->e.text) ? NULL : "the file is blamed";
}

static void each_fails(const reader *r, const char *path)
{
    static int points[MOST_POINTS];
    open_failing(r, path, NO_CALL, NO_CALL);
    for (int call = 0; call < CALL_COUNT; call++) {
        const outcome expected = open_failing(r, path, call, NO_CALL);
        int n = failing_points(points, MOST);
        for (int i = 0; i < n; i++) {
            const outcome o = open_failing(r, path, call, points[i]);
            const char *wrong = judge(&o, &expected);
            CHECK_MSG(!wrong, "%s: %s %d: %d %s: %s", path, call_names[call], points[i], o.e.status, o.e.text, wrong);
        }
        if (getenv("LITHE_FAULTS") && n) printf("    %s: %d of %s\n", path, n, call_names[call]);
    }
}

static void each_of(const reader *r, const char *const *names, size_t n)
{
    char path[1000];
    lithe_threads(1);
    failing_open();
    for (size_t i = 0; i < n; i++) {
        snprintf(path, sizeof path, "%s", *names[i] == '+' ? in_dir(names[i] + 1) : strchr(names[i], '/') ? test_file(names[i]) : names[i]);
        each_fails(r, path);
    }
    failing_close();
}
#define EACH_OF(r, ...) each_of(r, (const char *const[]){ __VA_ARGS__ }, sizeof (const char *const[]){ __VA_ARGS__ } / sizeof(char *))

/* ---- files: those of this repository, and with a + those that are made here ------------------------- */

static void while_models_open(void)
{
    EACH_OF(&models, "tests/golden/gpt2-sharded", "tests/golden/gpt_neox-bin", "tests/golden/mosaicbert", "tests/golden/vit", "tests/golden/rwkv-pth/rwkv4.pth",
            "tests/golden/rwkv-pth/legacy.pth", "tests/golden/rwkv-pth/converted.pth", "tests/golden/rwkv-cpp/rwkv5.bin", "tests/golden/rwkv-cpp/rwkv6.bin",
            "tests/golden/gguf/llama-q8_0.gguf", "tests/golden/gguf/llama-scaled.gguf", "tests/golden/gguf/bert.gguf", "tests/golden/gguf/modernbert.gguf",
            "tests/golden/gguf/rwkv7.gguf", "tests/golden/gguf/gpt_neox.gguf", "tests/golden/rwkv7-fla", "tests/golden/bert-old");
}

/* The seed of a fuzzer, without the bytes before the file, and up to the next NUL where it is one of several. */
static void put_seed(const char *seed, size_t from, size_t to, const char *name)
{
    size_t size;
    char *text = file_read(test_file(seed), 1 << 24, &size, NULL);
    CHECK_MSG(text && from <= size, "%s", seed);
    if (text) put_file(name, text + from, (to && to < size ? to : size) - from);
    free(text);
}

#define SEEDS "tests/fuzz/corpus/"

static void while_tokenizers_open(void)
{
    static const char *const kinds[] = { "byte-level", "bytes", "characters", "merged-with-next", "splits", "unigram", "wordpiece" };
    char seed[100], name[60];
    put_seed(SEEDS "tokenizer/vocab.txt", 1, 0, "w/vocab.txt");
    put_text_file("w/tokenizer_config.json", "{\"tokenizer_class\":\"BertTokenizer\",\"do_lower_case\":true,\"added_tokens_decoder\":{\"1\":{\"content\":\"[UNK]\",\"special\":true}}}");
    put_seed(SEEDS "tokenizer/sentencepiece-bpe", 1, 0, "s/tokenizer.model");
    put_text_file("s/added_tokens.json", "{\"<extra>\":400}");
    put_text_file("s/special_tokens_map.json", "{\"eos_token\":\"</s>\"}");
    put_seed(SEEDS "tokenizer/world", 1, 0, "rwkv_vocab.txt");
    put_seed(SEEDS "tokenizer/llama2c", 1, 0, "tokenizer.bin");
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        snprintf(seed, sizeof seed, SEEDS "tokenizer/%s", kinds[i]);
        snprintf(name, sizeof name, "%s.json", kinds[i]);
        put_seed(seed, 1, 0, name);
        snprintf(name, sizeof name, "+%s.json", kinds[i]);
        EACH_OF(&tokenizers, name);
    }
    EACH_OF(&tokenizers, "+w", "+s", "+rwkv_vocab.txt", "+tokenizer.bin", "tests/golden/text/herbert", "tests/golden/gguf/tokenizer-bert.gguf",
            "tests/golden/gguf/tokenizer-gpt2.gguf", "tests/golden/gguf/tokenizer-llama.gguf", "tests/golden/gguf/tokenizer-rwkv.gguf",
            "tests/golden/gguf/tokenizer-t5.gguf", "bytes");
}

static void while_images_open(void)
{
    EACH_OF(&images, "tests/golden/images/rgb.jpg", "tests/golden/images/progressive.jpg", "tests/golden/images/palette.png", "tests/golden/images/interlaced.png");
}

static void put_packed(const char *text)
{
    char packed[4000];
    gzFile f = gzopen(in_dir("packed.txt.gz"), "wb");
    CHECK(f && gzwrite(f, text, (unsigned)strlen(text)) > 0 && gzclose(f) == Z_OK);
    put_file("packed.txt.zst", packed, ZSTD_compress(packed, sizeof packed, text, strlen(text), 1));
}

static void while_texts_open(void)
{
    static const char text[] = "the cats sat on the mat .\n\nthe mats sat on the cat .\n\nthe cat .\n\non the mat the cat sat .\n\nthe cats on the mats sat .\n";
    bytes = lithe_tokenizer_open("bytes", NULL);
    put_text_file("plain.txt", text);
    put_text_file("folder/a.txt", text);
    put_text_file("folder/b.jsonl", "{\"text\":\"a document\"}\n{\"text\":\"another one\"}\n");
    put_packed(text);
    EACH_OF(&datasets, "+plain.txt", "+folder", "+packed.txt.gz", "+packed.txt.zst");
    lithe_tokenizer_close(bytes);
}

static void while_tables_open(void)
{
    bytes = lithe_tokenizer_open("bytes", NULL);
    learned = "classify";
    put_text_file("a.tsv", "text\tpair\tlabel\nthe cat\tsat on the mat\ta\nthe mats\tthe cats\tb\nthe cat sat\ton\ta\nthe mats sat\tthe\tb\n");
    put_text_file("a.csv", "text,label\n\"the cat, sat\",a\nthe mats,b\nthe cat sat,a\nthe \"\"mats\"\",b\n");
    put_text_file("a.jsonl", "{\"text\":\"the cat\",\"label\":\"a\"}\n{\"text\":\"the mat\",\"label\":\"b\"}\n{\"text\":\"a cat\",\"label\":\"a\"}\n{\"text\":\"a mat\",\"label\":\"b\"}\n");
    EACH_OF(&datasets, "+a.tsv", "+a.csv", "+a.jsonl");
    lithe_tokenizer_close(bytes);
}

static void while_sets_of_images_open(void)
{
    size_t size, tail;
    learned = "images";
    put_seed(SEEDS "image_set/ustar", 2, 0, "ustar.tar");
    put_seed(SEEDS "image_set/gnu", 2, 0, "gnu.tar");
    put_seed(SEEDS "image_set/pax", 2, 0, "pax.tar");
    put_seed(SEEDS "image_set/cifar10", 2, 0, "data_batch_1.bin");
    char *idx = file_read(test_file(SEEDS "image_set/idx"), 1 << 20, &size, NULL);
    tail = size - (uint8_t)idx[1];
    free(idx);
    put_seed(SEEDS "image_set/idx", 2, tail, "a-images-idx3-ubyte");
    put_seed(SEEDS "image_set/idx", tail, 0, "a-labels-idx1-ubyte");
    put_seed("tests/golden/images/grey.png", 0, 0, "set/cat/1.png");
    put_seed("tests/golden/images/grey.jpg", 0, 0, "set/cat/2.jpg");
    put_seed("tests/golden/images/grey.png", 0, 0, "set/mat/1.png");
    put_seed("tests/golden/images/rgb.png", 0, 0, "set/mat/2.png");
    EACH_OF(&datasets, "+ustar.tar", "+gnu.tar", "+pax.tar", "+data_batch_1.bin", "+a-images-idx3-ubyte", "+set");
}

/* A run with one checkpoint, so that no older one is taken instead. */
static void put_run(const char *name, const char *arch_name, const char *config, const lithe_train_options *o)
{
    fixture f = begin_as(arch_name, name, config, o);
    lithe_event e = { 0 };
    while (!(e.kind == LITHE_SAVED && e.step == 2) && lithe_trainer_next(f.trainer, &e, &f.err) > 0) { }
    CHECK_MSG(!f.err.status, "%s", f.err.text);
    close_fixture(&f);
    for (int at = 0; at < 2; at++) checkpoint_remove(in_dir(name), at, NULL);
}

static void while_costs_open(void)
{
    EACH_OF(&measured, "tests/fuzz/corpus/costs/bench", "tests/fuzz/corpus/costs/extremes");
}

static void while_runs_open(void)
{
    lithe_train_options o = { .size = sizeof o, .ctx = 8, .batch = 2, .steps = 4, .save_every = 2, .eval_every = 2, .eval_windows = 2, .grow_at = "1:2x" };
    put_run("grown", "tokenformer", slots, &o);
    o.grow_at = NULL;
    o.optimizer = "muon";
    put_run("muon", "gpt2", still, &o);
    EACH_OF(&runs, "+grown", "+muon");
}

const test tests_failing_reads[] = {
    { "calls: each fails while a model is opened", while_models_open },
    { "calls: each fails while a tokenizer is opened", while_tokenizers_open },
    { "calls: each fails while an image is read", while_images_open },
    { "calls: each fails while a text is read", while_texts_open },
    { "calls: each fails while a table is read", while_tables_open },
    { "calls: each fails while a set of images is read", while_sets_of_images_open },
    { "calls: each fails while a run is opened", while_runs_open },
    { "calls: each fails while costs are read", while_costs_open },
    { 0 }
};
