/* libFuzzer: a model of hostile files, opened and used through the public
 * interface.  The first byte chooses the architecture and the form of its files, the
 * second what is done with the model, the third how, and whether the tensors are made to fit
 * the configuration, so that it is met further on.  Then come edits (edits.h), each after the
 * number of its file. */
#include "edits.h"
#include "lithe_eval.h"
#include "base/writer.h"
#include "models.h"
#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MOST_FORMS = 128, EDITS = 8, IDS = 12, LARGEST = 1 << 16, VALUES = 1 << 20 };

/* ---- the forms of a model's files ------------------------------------------------------------- */

typedef enum { DIRECTORY, PICKLED, SHARDS, LONE_PTH, LONE_SAFETENSORS, LONE_RWKVCPP, LONE_LLAMA2C } form_kind;
static const char *const tensors_named[] = { "model.safetensors", "pytorch_model.bin", "model-00001-of-00001.safetensors", "model.pth", "lone.safetensors", "model.bin", "stories.bin" };

typedef struct { const arch *arch; form_kind kind; folder files; } form;
static form forms[MOST_FORMS];
static int form_count;

static void add_form(const arch *a, form_kind kind)
{
    if (form_count == MOST_FORMS) abort();
    forms[form_count++] = (form){ .arch = a, .kind = kind };
}

static void list_forms(void)
{
    for (int i = 0; architectures[i]; i++) {
        const arch *a = architectures[i];
        bool lone = !strncmp(a->name, "rwkv", 4);
        add_form(a, DIRECTORY);
        add_form(a, i % 2 ? PICKLED : SHARDS);
        for (int kind = LONE_PTH; lone && kind <= LONE_RWKVCPP; kind++) add_form(a, (form_kind)kind);
        if (!strcmp(a->name, "llama")) add_form(a, LONE_LLAMA2C);
    }
}

static char *in_folder(const folder *f, const char *name, char path[FOLDER_PATH])
{
    snprintf(path, FOLDER_PATH, "%s%s%s", f->dir, *name ? "/" : "", name);
    return path;
}

static void must(const lithe_error *err)
{
    if (!err->status) return;
    fprintf(stderr, "%s\n", err->text);
    abort();
}

/* Names every tensor of the one shard. */
static void write_index(const folder *f, const lithe_model *m)
{
    char path[FOLDER_PATH];
    lithe_tensor_info info;
    json_t *map = json_object(), *index = json_pack("{s:{s:i}, s:o}", "metadata", "total_size", 0, "weight_map", map);
    for (size_t i = 0; lithe_model_parameter(m, i, &info); i++) json_object_set_new(map, info.name, json_string(tensors_named[SHARDS]));
    if (json_dump_file(index, in_folder(f, "model.safetensors.index.json", path), 0)) abort();
    json_decref(index);
}

/* Seven sizes and as many numbers as they say. */
static void write_llama2c(const char *path)
{
    enum { D = 8, F = 8, HEADS = 2, V = FUZZ_VOCAB, T = FUZZ_CONTEXT, NUMBERS = V * D + 2 * D + 4 * D * D + 3 * D * F + D + T * D / HEADS };
    struct { int32_t header[7]; float numbers[NUMBERS]; } file = { { D, F, 1, HEADS, HEADS, V, T }, { 0 } };
    for (int i = 0; i < NUMBERS; i++) file.numbers[i] = (float)(i % 7 - 3) / 16;
    if (file_write(path, &file, sizeof file, NULL)) abort();
}

/* Gives the directory with a model.safetensors that f->dir is the form; its config.json stays where it is needed. */
static void take_form(const folder *f, form_kind kind, const lithe_model *m)
{
    lithe_error err = { 0 };
    char from[FOLDER_PATH], to[FOLDER_PATH], pth[FOLDER_PATH];
    in_folder(f, tensors_named[DIRECTORY], from);
    in_folder(f, tensors_named[kind], to);
    if (kind == DIRECTORY) return;
    unlink(to);
    if (kind == SHARDS) write_index(f, m), rename(from, to);
    else if (kind == LONE_LLAMA2C) write_llama2c(to);
    else if (kind == PICKLED) lithe_model_export(m, in_folder(f, "new.pth", pth), "f32", &err), rename(pth, to);
    else lithe_model_export(m, to, "f32", &err);
    must(&err);
    unlink(from);
    if (kind >= LONE_PTH) unlink(in_folder(f, "config.json", from));
}

static void prepare(form *x)
{
    char name[80];
    lithe_error err = { 0 };
    lithe_model *m = fuzz_model(x->arch);
    lithe_tokenizer *t = x->arch->equations.image ? NULL : fuzz_words();
    snprintf(name, sizeof name, "%s-%d", x->arch->name, (int)x->kind);
    scratch_path(x->files.dir, name);
    lithe_model_save(m, x->files.dir, "f32", t, &err);
    must(&err);
    take_form(&x->files, x->kind, m);
    folder_read(&x->files, "");
    folder_sort(&x->files);
    lithe_tokenizer_close(t);
    lithe_model_close(m);
}

/* Writes the tensors that the configuration in the folder declares, where they are few. */
static void fit_tensors(folder *f, form_kind kind)
{
    char path[FOLDER_PATH];
    lithe_error err = { 0 };
    json_t *config = config_read(in_folder(f, "config.json", path), &err);
    const arch *a = config ? config_arch(config, "config.json", &err) : NULL;
    lithe_model *m = a ? model_declare(a, config, "config.json", &err) : NULL;
    bool small = m && params_total(m->params) <= LARGEST;
    lithe_model_close(m);
    m = small ? model_create(a, config, "config.json", &err) : NULL;
    if (m) {
        params_initialize(m->params, 1);
        model_write(m, f->dir, DT_F32, NULL, &err);
        take_form(f, kind, m);
        folder_put(f, folder_find(f, "config.json"));
    }
    lithe_model_close(m);
    json_decref(config);
}

/* ---- what is done with a model ------------------------------------------------------------------ */

typedef struct { lithe_model *m; lithe_tokenizer *t; int32_t ids[IDS]; size_t n; const char *scratch; unsigned choice; } subject;
static const char *const texts[2] = { "the cats sat on mats. [MASK]", "the cat" };

/* Room for `values` numbers and some; NULL where they are too many to wait for. */
static float *room(size_t values) { return values < VALUES ? calloc(values + 16, sizeof(float)) : NULL; }

static void logits(const subject *s, lithe_error *err)
{
    float *out = room(s->n * (size_t)lithe_model_vocab(s->m));
    double total;
    if (out && !lithe_logits(s->m, s->ids, s->n, out, err)) lithe_score(s->m, s->ids, s->n, 4, 2, NULL, &total, err);
    free(out);
}

static void compare(const subject *s, lithe_error *err)
{
    lithe_growth same;
    if (s->n * (size_t)lithe_model_vocab(s->m) > VALUES) return;
    if (!lithe_compare(s->m, s->m, s->ids, s->n, &same, err)) assert(!(same.max_difference > 0));
}

static void session(const subject *s, lithe_error *err)
{
    char path[FOLDER_PATH];
    lithe_session *x = lithe_session_open(s->m, FUZZ_CONTEXT, err);
    snprintf(path, sizeof path, "%s/session", s->scratch);
    if (x && !lithe_session_sync(x, s->ids, s->n, err) && !lithe_session_mark(x, err) && !lithe_session_save(x, s->t, path, err)) {
        int32_t id = lithe_session_sample(x, &LITHE_OPTIONS(lithe_sampling, .temperature = 1, .top_k = 3), err);
        if (id >= 0 && lithe_session_length(x) < FUZZ_CONTEXT) lithe_session_push(x, id, err);
        if (!err->status && !lithe_session_load(x, s->t, path, err)) assert(lithe_session_length(x) == s->n);
    }
    lithe_session_close(x);
}

static void generate(const subject *s, lithe_error *err)
{
    lithe_session *x = s->t ? lithe_session_open(s->m, FUZZ_CONTEXT, err) : NULL;
    if (x) lithe_generate(x, s->t, s->ids, s->n, &LITHE_OPTIONS(lithe_generation, .max_tokens = 4, .stop = texts + 1, .stops = 1, .ignore_eos = 1), NULL, NULL, NULL, err);
    lithe_session_close(x);
}

static void engine(const subject *s, lithe_error *err)
{
    lithe_engine *e = lithe_engine_open(s->m, &LITHE_OPTIONS(lithe_engine_options, .slots = 2, .context = FUZZ_CONTEXT), err);
    float *out = room(2 * (size_t)lithe_model_vocab(s->m));
    const lithe_engine_input two[2] = { { .slot = 1, .ids = s->ids, .n = s->n }, { .slot = 0, .ids = s->ids, .n = 2, .logits = out, .wanted = 2 } };
    if (e && out && !lithe_engine_step(e, two, 2, err)) lithe_engine_fork(e, 1, 0, err);
    if (e) lithe_engine_clear(e, 1);
    free(out);
    lithe_engine_close(e);
}

static void embed(const subject *s, lithe_error *err)
{
    const lithe_embedding o = { .size = sizeof o, .pooling = "mean", .normalize = 1, .max_length = FUZZ_CONTEXT };
    int width = lithe_embed(s->m, s->t, texts, 2, &o, NULL, NULL, err);
    float *out = width > 0 ? room(2 * (size_t)width) : NULL;
    size_t cut;
    if (out) lithe_embed(s->m, s->t, texts, 2, &o, out, &cut, err);
    free(out);
}

static void fill(const subject *s, lithe_error *err)
{
    lithe_candidate out[IDS * 3];
    int masks = lithe_fill(s->m, s->t, texts[0], 3, NULL, err);
    if (masks > 0 && masks <= IDS) lithe_fill(s->m, s->t, texts[0], 3, out, err);
}

static void classify(const subject *s, lithe_error *err)
{
    static const char *const names[] = { "a", "b", "c" };
    bool text = lithe_model_vocab(s->m) > 0;
    lithe_model *m = text ? lithe_model_with_head(s->m, "classify", names, 3, 1, err) : NULL;
    float out[16];
    if (m) lithe_classify(m, s->t, texts, texts, 2, out, NULL, err);
    lithe_model_close(m);
}

/* The sizes are sought among hundreds, so this is not done each time. */
static void grow(const subject *s, lithe_error *err)
{
    lithe_growth report;
    if (s->choice % 8 > 1) return;
    lithe_model *grown = lithe_model_grow(s->m, &LITHE_OPTIONS(lithe_grow_options, .factor = 1.5), &report, err);
    if (grown && s->n * (size_t)lithe_model_vocab(grown) < VALUES) lithe_compare(s->m, grown, s->ids, s->n, &report, err);
    lithe_model_close(grown);
}

static void save_again(const subject *s, lithe_error *err)
{
    char path[FOLDER_PATH];
    snprintf(path, sizeof path, "%s/saved", s->scratch);
    if (lithe_model_save(s->m, path, "bf16", s->t, err)) return;
    lithe_model *again = lithe_model_open(path, NULL, err);
    assert(again && lithe_model_params(again) == lithe_model_params(s->m));
    lithe_model_close(again);
}

static void export(const subject *s, lithe_error *err)
{
    static const char *const names[] = { "model.pth", "model.safetensors", "model.bin" };
    char path[FOLDER_PATH];
    snprintf(path, sizeof path, "%s/%s", s->scratch, names[s->choice % 3]);
    lithe_model_export(s->m, path, "f16", err);
}

static void diversity(const subject *s, lithe_error *err)
{
    lithe_diversity *d = lithe_diversity_open(s->m, s->ids, s->n, &LITHE_OPTIONS(lithe_diversity_options, .ctx = 4, .skip = -1), err);
    for (size_t i = 0; d && i < lithe_diversity_count(d); i++) assert(lithe_diversity_at(d, i)->width > 0);
    lithe_diversity_close(d);
}

typedef void deed(const subject *s, lithe_error *err);
static deed *const deeds[] = { logits, compare, session, generate, engine, embed, fill, classify, grow, save_again, export, diversity };
enum { DEEDS = sizeof deeds / sizeof *deeds };

/* The ids of a text, else the first ones; no more than the context. */
static void find_ids(subject *s, lithe_error *err)
{
    size_t context = (size_t)lithe_model_context(s->m);
    if (lithe_model_tokenizer(s->m)) s->t = lithe_tokenizer_open(lithe_model_tokenizer(s->m), err);
    if (s->t) s->n = lithe_encode(s->t, texts[0], strlen(texts[0]), 1, s->ids, IDS);
    if (!s->n) for (; s->n < 3; s->n++) s->ids[s->n] = (int32_t)s->n;
    if (s->n > IDS) s->n = IDS;
    if (s->n > context) s->n = context;
}

static void use(lithe_model *m, deed *what, unsigned choice)
{
    char scratch[SCRATCH_PATH];
    lithe_error err = { 0 };
    subject s = { .m = m, .scratch = scratch, .choice = choice };
    scratch_path(scratch, "scratch");
    dir_remove(scratch, NULL);
    folder_make(scratch);
    find_ids(&s, &err);
    err = (lithe_error){ 0 };
    if (s.t || what == logits || what == compare || what == engine || what == grow || what == save_again || what == export) what(&s, &err);
    assert(!strchr(err.text, '\n'));
    lithe_tokenizer_close(s.t);
}

/* ---- one input -------------------------------------------------------------------------------------- */

static void list_tensors(const char *path)
{
    lithe_error err = { 0 };
    lithe_listing *l = lithe_listing_open(path, &err);
    assert(!l == (err.status != LITHE_OK) && !strchr(err.text, '\n'));
    lithe_key_info key;
    for (size_t i = 0; l && i < lithe_listing_count(l); i++) lithe_listing_bad_values(l, i);
    for (size_t i = 0; l && lithe_listing_key(l, i, &key); i++) assert(key.key && key.type);
    lithe_listing_close(l);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_bytes b = { data, size };
    char path[FOLDER_PATH];
    lithe_threads(1);
    if (!form_count) list_forms();
    form *x = &forms[take_byte(&b) % (unsigned)form_count];
    unsigned what = take_byte(&b) % (DEEDS + 1);
    unsigned choice = take_byte(&b);
    bool fit = choice & 1;
    if (!x->files.count) prepare(x);
    folder_put_all(&x->files);
    folder f = folder_copy(&x->files);
    for (int i = 0; i < EDITS && b.size; i++) {
        folder_file *file = &f.file[take_byte(&b) % (unsigned)f.count];
        edit(file, &b);
        folder_put(&f, file);
    }
    if (fit && x->kind < LONE_PTH) fit_tensors(&f, x->kind);
    in_folder(&f, x->kind < LONE_PTH ? "" : tensors_named[x->kind], path);
    if (what == DEEDS) list_tensors(path);
    lithe_error err = { 0 };
    lithe_model *m = lithe_model_open(path, NULL, &err);
    assert(!m == (err.status != LITHE_OK) && !strchr(err.text, '\n'));
    if (m) use(m, deeds[what % DEEDS], choice);
    lithe_model_close(m);
    folder_free(&f);
    return 0;
}
