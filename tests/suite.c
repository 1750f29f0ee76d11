/* What holds for every architecture of the registry, and for the variants of
 * small.c: listed with its paper, one batch is fitted, a saved model is the
 * same model, decoding is the full pass, a larger model starts where the
 * smaller one stood or says why not, a run that is interrupted goes on bit by
 * bit.  Joining the registry is joining these tests (and gradients.c,
 * graph_plans.c, which go through the same list). */
#include "base/file.h"
#include "base/writer.h"
#include "model/model.h"
#include "small.h"
#include "test.h"
#include "tree.h"
#include "values.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static void listed_with_its_paper(void)
{
    for (int i = 0; lithe_arch_name(i); i++) {
        const char *name = lithe_arch_name(i), *says = lithe_arch_summary(i), *year = strrchr(says, '(');
        CHECK_MSG(arch_find(name) && !strcmp(arch_find(name)->name, name), "%s is not found by its name", name);
        CHECK_MSG(strchr(says, ':') && !strchr(says, '\n'), "%s: \"%s\" is not one line that says what it is", name, says);
        CHECK_MSG(year && strstr(year, " 20") && says[strlen(says) - 1] == ')', "%s: \"%s\" does not end with its paper", name, says);
        for (int j = 0; j < i; j++) CHECK_MSG(strcmp(name, lithe_arch_name(j)), "%s is listed twice", name);
        const char *over = lithe_arch_over(name);
        CHECK_MSG(!over || (!lithe_arch_over(over) && strcmp(over, name)), "%s extends %s, which must be an architecture by itself", name, over);
    }
    CHECK(!strcmp(lithe_arch_usual(0), "gpt2") && !strcmp(lithe_arch_usual(1), "vit"));
    CHECK(!strcmp(lithe_arch_over("pangu-pi"), "llama") && !lithe_arch_over("llama") && !lithe_arch_over("none"));
}

/* ---- activations ---------------------------------------------------------------- */

static const struct { activation act; const char *name, *others; } spelled[] = {
#define SPELLED(constant, functions, name, others) { ACT_##constant, name, others },
    ACTIVATIONS(SPELLED)
#undef SPELLED
};

/* Reads config.json as this spelling asks, and writes it back as it was. */
static void check_spelling(const char *page, activation act, const char *name, int length)
{
    char text[128], quoted[40];
    lithe_error err = { 0 };
    snprintf(quoted, sizeof quoted, "`%.*s`", length, name);
    snprintf(text, sizeof text, "{\"vocab_size\":9,\"n_embd\":4,\"n_head\":2,\"n_layer\":1,\"activation_function\":\"%.*s\"}", length, name);
    CHECK_MSG(strstr(page, quoted), "docs/configuration.md does not name the activation %s", quoted);
    CHECK_MSG(activation_find(name, (size_t)length) == (int)act, "%s is another activation", quoted);
    lithe_model *m = lithe_model_new("gpt2", text, 1, &err);
    char *config = lithe_model_config(m);
    snprintf(quoted, sizeof quoted, "\"%.*s\"", length, name);
    CHECK_MSG(config && strstr(config, quoted), "%s is not written as it was read: %s", quoted, err.text);
    free(config);
    lithe_model_close(m);
}

static void activations_are_read(void)
{
    char *page = tree_text(test_file("docs/configuration.md"));
    for (size_t i = 0; i < sizeof spelled / sizeof *spelled; i++) {
        check_spelling(page, spelled[i].act, spelled[i].name, (int)strlen(spelled[i].name));
        CHECK(!strcmp(activation_name(spelled[i].act), spelled[i].name) && strstr(activation_names, spelled[i].name));
        for (const char *other = spelled[i].others; *other; other += strspn(other, "|")) {
            int length = (int)strcspn(other, "|");
            check_spelling(page, spelled[i].act, other, length);
            other += length;
        }
    }
    CHECK(activation_find("gel", 3) < 0 && activation_find("gelu|", 5) < 0 && activation_find("", 0) < 0 && activation_find("gelu_", 5) < 0);
    free(page);
}

/* ---- one batch ------------------------------------------------------------------ */

static void adamw_step(params *p, real *m, real *v, const kernels *k, int n)
{
    adamw_args a = { .lr = (real)1e-2, .beta1 = (real)0.9, .beta2 = (real)0.95, .eps = (real)1e-8, .scale = 1,
                     .correction1 = (real)(1 - pow(0.9, n)), .correction2 = (real)(1 - pow(0.95, n)) };
    k->adamw(p->values, m, v, p->grad, p->arena_count, &a);
    params_edit(p);
}

static void fit(const small_case *c, const kernels *k)
{
    small_model m = small_new(c->arch, c->config, 3);
    small_batch b;
    results r;
    small_fill_for(&b, &m, 12);
    graph *g = small_graph(&m, GRAPH_TRAIN, false, k->name, &r);
    real *moments[2] = { calloc(m.p->arena_count, sizeof(real)), calloc(m.p->arena_count, sizeof(real)) };
    double first = small_loss(g, &r, &b), loss = first;
    CHECK_MSG(first > 0.3, "%s: begins at %.3f", c->name, first);
    for (int s = 1; s <= 400 && loss >= 0.05; s++) {
        adamw_step(m.p, moments[0], moments[1], k, s);
        loss = small_loss(g, &r, &b);
    }
    CHECK_MSG(loss < 0.05, "%s: one batch is fitted to %.3f only", c->name, loss);
    graph_close(g);
    free(moments[0]);
    free(moments[1]);
    small_free(&m);
}

/* Its loss is drawn anew at every look. */
static bool drops(const small_case *c) { return strstr(c->config, "drop") != NULL; }

static void one_batch_is_fitted(const char *level)
{
    int count;
    const small_case *cases = small_cases(&count);
    if (!kernels_level(level)) test_skip("this machine has no %s", level);
    for (int i = 0; i < count; i++)
        if (!drops(&cases[i])) fit(&cases[i], kernels_level(level));
}

#define FITTED(level, unused) static void fitted_##level(void) { one_batch_is_fitted(#level); }
KERNEL_WIDTHS(FITTED, )
#define FITTED_ROW(level, unused) { "suite: one batch is fitted, " #level, fitted_##level },

/* ---- files ------------------------------------------------------------------------ */

static lithe_model *fresh(const small_case *c, uint64_t seed)
{
    lithe_error err = { 0 };
    lithe_model *m = lithe_model_new(c->arch, c->config, seed, &err);
    CHECK_MSG(m, "%s: %s", c->name, err.text);
    if (m) small_perturb(m->params, 0.1, seed);
    return m;
}

static void saved_is_the_same(void)
{
    int count;
    const small_case *cases = small_cases(&count);
    for (int i = 0; i < count; i++) {
        lithe_error err = { 0 };
        char dir[400];
        snprintf(dir, sizeof dir, "%s/saved-%d", test_dir(), i);
        lithe_model *m = fresh(&cases[i], 3);
        if (!m) continue;
        CHECK_MSG(!lithe_model_save(m, dir, NULL, NULL, &err), "%s: %s", cases[i].name, err.text);
        lithe_model *again = lithe_model_open(dir, NULL, &err);
        CHECK_MSG(again, "%s: %s", cases[i].name, err.text);
        if (again) {
            CHECK_MSG(again->arch == m->arch && !strcmp(lithe_model_task(m), lithe_model_task(again)), "%s: opened as another model", cases[i].name);
            CHECK_MSG(same_parameters(again, m), "%s: other values after saving and opening", cases[i].name);
            CHECK_MSG(!memcmp(again->config, m->config, m->arch->config.size), "%s: another configuration after saving and opening", cases[i].name);
        }
        lithe_model_close(again);
        lithe_model_close(m);
    }
}

/* ---- decoding ----------------------------------------------------------------------- */

enum { LENGTH = 23 };

static bool continues_text(const lithe_model *m) { return m->task.kind == TASK_LANGUAGE && !arch_encoder(m->arch, m->config); }

static void decode(const small_case *c)
{
    lithe_error err = { 0 };
    lithe_model *m = fresh(c, 5);
    lithe_session *s = m && continues_text(m) ? lithe_session_open(m, 0, &err) : NULL;
    int32_t ids[LENGTH];
    float full[LENGTH * 23];
    for (int i = 0; i < LENGTH; i++) ids[i] = (int32_t)(random_u64(31, (uint64_t)i) % 23);
    if (s) CHECK_MSG(!lithe_logits(m, ids, LENGTH, full, &err), "%s: %s", c->name, err.text);
    for (int i = 0; s && i < LENGTH; i++) {
        CHECK_MSG(!lithe_session_push(s, ids[i], &err), "%s: %s", c->name, err.text);
        CHECK_MSG(!memcmp(lithe_session_logits(s), full + i * 23, 23 * sizeof *full), "%s: other logits after token %d", c->name, i);
    }
    for (int cut = 1; s && cut < LENGTH; cut += 5) {                 /* in two pieces */
        CHECK(!lithe_session_sync(s, NULL, 0, &err) && !lithe_session_sync(s, ids, (size_t)cut, &err) && !lithe_session_sync(s, ids, LENGTH, &err));
        CHECK_MSG(!memcmp(lithe_session_logits(s), full + (LENGTH - 1) * 23, 23 * sizeof *full), "%s: other logits after a cut at %d", c->name, cut);
    }
    lithe_session_close(s);
    if (m && !continues_text(m)) {
        CHECK_MSG(!lithe_session_open(m, 0, &err) && err.status, "%s: a session of what cannot continue text", c->name);
    } else CHECK_MSG(s, "%s: %s", c->name, err.text);
    lithe_model_close(m);
}

static void decoding_is_the_full_pass(void)
{
    int count;
    const small_case *cases = small_cases(&count);
    for (int i = 0; i < count; i++) decode(&cases[i]);
}

/* ---- growing --------------------------------------------------------------------------- */

static void grow_by(const small_case *c, double factor)
{
    lithe_error err = { 0 };
    lithe_growth report;
    lithe_model *m = fresh(c, 7), *large = m ? lithe_model_grow(m, &LITHE_OPTIONS(lithe_grow_options, .factor = factor), &report, &err) : NULL;
    int32_t ids[LENGTH];
    for (int i = 0; i < LENGTH; i++) ids[i] = (int32_t)(random_u64(41, (uint64_t)i) % 23);
    CHECK_MSG(large, "%s: %s", c->name, err.text);
    if (large && !lithe_compare(m, large, ids, LENGTH, &report, &err)) {
        CHECK_MSG(report.says[0] && report.moves[0], "%s: growing does not say what it did", c->name);
        CHECK_MSG(report.params_after > report.params_before, "%s: is not larger", c->name);
        CHECK_MSG(report.max_logit > 0, "%s: nothing was compared", c->name);
        CHECK_MSG(!report.preserves || report.max_difference <= 1e-5 * report.max_logit, "%s grown %gx (%s): differs by %.3g of %.3g", c->name, factor,
                  report.moves, report.max_difference, report.max_logit);
    }
    CHECK_MSG(!err.status, "%s: %s", c->name, err.text);
    lithe_model_close(large);
    lithe_model_close(m);
}

static void grown_starts_where_it_stood(void)
{
    int count;
    const small_case *cases = small_cases(&count);
    for (int i = 0; i < count; i++) {
        grow_by(&cases[i], 2);
        grow_by(&cases[i], 3);
    }
}

/* ---- runs --------------------------------------------------------------------------------- */

static int run_until(lithe_trainer *t, int last, lithe_error *err)
{
    lithe_event e = { 0 };
    while (lithe_trainer_next(t, &e, err) > 0)
        if (e.kind == LITHE_STEPPED && e.step == last) return lithe_trainer_save(t, err);
    return err->status;
}

/* What an architecture learns from: text by its own kind of vocabulary, or images. */
typedef struct { lithe_tokenizer *tokens; lithe_dataset *data; char *config; } material;

static material text_for(const arch *a, const char *dir, lithe_error *err)
{
    enum { LETTERS = 4000 };
    static char text[LETTERS + 1];
    char path[400];
    const char *const paths[] = { path }, *kind = lithe_arch_vocabulary(a->name);
    material m = { 0 };
    for (uint64_t i = 0; i < LETTERS; i++) text[i] = "etaoin shrdlu.\n"[random_u64(7, i) % 15];
    snprintf(path, sizeof path, "%s/text.txt", test_dir());
    CHECK(!file_write(path, text, LETTERS, err));
    m.tokens = strcmp(kind, "bpe") ? lithe_tokenizer_learn(text, LETTERS, 280, &LITHE_OPTIONS(lithe_tokenizer_options, .kind = kind), err) : lithe_tokenizer_open("bytes", err);
    m.data = lithe_dataset_open(paths, 1, dir, m.tokens, NULL, err);
    json_t *config = a->config.sized(32, 2, lithe_tokenizer_vocab(m.tokens), 32);
    m.config = json_dumps(config, 0);
    json_decref(config);
    return m;
}

/* IDX files of grey noise, 8 x 8, in four classes. */
static void put_images(const char *dir, const char *part, int count, lithe_error *err)
{
    char path[500];
    size_t size = (size_t)count * 64;
    uint8_t *bytes = calloc(16 + size, 1);
    memcpy(bytes, (uint8_t[]){ 0, 0, 8, 3, 0, 0, 0, (uint8_t)count, 0, 0, 0, 8, 0, 0, 0, 8 }, 16);
    for (size_t i = 0; i < size; i++) bytes[16 + i] = (uint8_t)random_u64(5, i);
    snprintf(path, sizeof path, "%s/%s-images-idx3-ubyte", dir, part);
    CHECK(!file_write(path, bytes, 16 + size, err));
    bytes[3] = 1;
    for (int i = 0; i < count; i++) bytes[8 + i] = (uint8_t)(i % 4);
    snprintf(path, sizeof path, "%s/%s-labels-idx1-ubyte", dir, part);
    CHECK(!file_write(path, bytes, 8 + (size_t)count, err));
    free(bytes);
}

static material image_material(const arch *a, const char *dir, lithe_error *err)
{
    const char *const paths[] = { dir };
    material m = { 0 };
    CHECK(!mkdir(dir, 0777));
    put_images(dir, "train", 40, err);
    put_images(dir, "test", 12, err);
    m.data = lithe_dataset_open(paths, 1, NULL, NULL, &LITHE_OPTIONS(lithe_data_options, .task = "images", .valid = dir), err);
    m.config = lithe_model_size_images(a->name, 4e4, m.data, 4, err);
    return m;
}

/* Six steps at once against four, and two more by another trainer. */
static void resume(const arch *a)
{
    lithe_error err = { 0 };
    char paths[3][400], *values[2] = { 0 };
    static const char *const names[] = { "data", "whole", "parts" };
    for (int i = 0; i < 3; i++) snprintf(paths[i], sizeof paths[i], "%s/%s-%s", test_dir(), a->name, names[i]);
    material s = lithe_arch_images(a->name) ? image_material(a, paths[0], &err) : text_for(a, paths[0], &err);
    lithe_train_options o = { .size = sizeof o, .ctx = lithe_arch_images(a->name) ? 0 : 16, .batch = 2, .steps = 6, .seed = 2, .eval_every = 3, .save_every = 6 };
    for (int part = 0; part < 2; part++) {
        lithe_model *m = lithe_model_new(a->name, s.config, 1, &err);
        lithe_trainer *t = lithe_trainer_open(m, s.data, s.tokens, &o, paths[1 + part], &err);
        if (t) run_until(t, part ? 4 : 7, &err);
        lithe_trainer_close(t);
        lithe_model_close(m);
    }
    lithe_trainer *t = lithe_trainer_resume(paths[2], NULL, &err);
    if (t) run_until(t, 7, &err);
    lithe_trainer_close(t);
    for (int i = 0; i < 2; i++) {
        lithe_model *m = open_values(paths[1 + i], NULL, &err);
        if (m && (values[i] = malloc(m->params->arena_count * sizeof(real)))) memcpy(values[i], m->params->values, m->params->arena_count * sizeof(real));
        if (m && i) CHECK_MSG(!memcmp(values[0], values[1], m->params->arena_count * sizeof(real)), "%s: another model after an interruption", a->name);
        lithe_model_close(m);
    }
    CHECK_MSG(!err.status && values[0] && values[1], "%s: %s", a->name, err.text);
    lithe_dataset_close(s.data);
    lithe_tokenizer_close(s.tokens);
    free(s.config);
    free(values[0]);
    free(values[1]);
}

static void interrupted_goes_on(void)
{
    for (int i = 0; architectures[i]; i++)
        if (small_chosen(architectures[i]->name)) resume(architectures[i]);
}

/* ---- combinations ------------------------------------------------------------------------- */

/* Combinations that make no sense, and the reason that is given. */
static void senseless_is_refused(void)
{
    static const struct { const char *keys, *because; } cases[] = {
        { "\"encoder\":true,\"mixer\":\"rwkv7\"", "left to right" },
        { "\"encoder\":true,\"position\":\"none\"", "order of its tokens" },
        { "\"mixer\":\"rwkv4\",\"position\":\"rotary\"", "no layer's mixer is attention" },
        { "\"mixer\":\"rwkv7\",\"position\":\"alibi\"", "no layer's mixer is attention" },
        { "\"feed_forward\":\"mlp,pattention\",\"series\":\"on\"", "layer 1: series is on" },
        { "\"mixer\":\"rwkv7\",\"rwkv_head_dim\":5", "rwkv_head_dim is 5" },
        { "\"mixer\":\"rwkv7,mamba\"", "mixer is" },
        { "\"mixer\":[\"rwkv7\",\"mamba\"]", "mixer is" },
        { "\"mixer\":[\"rwkv7\",7]", "mixer is" },
        { "\"mixers\":\"rwkv7\"", "mixers" },
        { "\"num_attention_heads\":5", "num_attention_heads is 5" },
        { "\"use_parallel_residual\":true,\"norm_place\":\"post\"", "use_parallel_residual is true and norm_place post" },
        { "\"mixer\":\"rwkv5\",\"rwkv_head_dim\":5", "rwkv_head_dim is 5" }, { "\"rotary_pct\":0.1", "rotary_pct" },
        { "\"num_attention_heads\":4,\"num_key_value_heads\":3", "num_key_value_heads is 3" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char config[400];
        lithe_error err = { 0 };
        snprintf(config, sizeof config, "{\"vocab_size\":23,\"hidden_size\":16,\"num_hidden_layers\":2%s%s,%s}", strstr(cases[i].keys, "attention_heads") ? "" : ",\"num_attention_heads\":2",
                 strstr(cases[i].keys, "head_dim") ? "" : ",\"rwkv_head_dim\":8", cases[i].keys);
        lithe_model *m = lithe_model_new("hybrid", config, 1, &err);
        CHECK_MSG(!m && err.status == LITHE_ECONFIG && strstr(err.text, cases[i].because), "%s: %s", cases[i].keys, m ? "taken" : err.text);
        lithe_model_close(m);
    }
}

/* A list of words is the text of them. */
static void lists_of_words(void)
{
    static const char *const written[] = { SMALL_HYBRID ",\"mixer\":[\"rwkv7\",\"attention\"],\"activation\":[\"silu\"]}", SMALL_HYBRID ",\"mixer\":\"rwkv7,attention\",\"activation\":\"silu\"}" };
    lithe_model *m[2];
    for (int i = 0; i < 2; i++) {
        lithe_error err = { 0 };
        m[i] = lithe_model_new("hybrid", written[i], 1, &err);
        CHECK_MSG(m[i] != NULL, "%s", err.text);
    }
    CHECK(m[0] && m[1] && !memcmp(m[0]->config, m[1]->config, m[0]->arch->config.size));
    for (int i = 0; i < 2; i++) lithe_model_close(m[i]);
}

const test tests_suite[] = {
    { "suite: listed with its paper", listed_with_its_paper },
    { "suite: activations are read by every spelling", activations_are_read },
    KERNEL_WIDTHS(FITTED_ROW, )
    { "suite: saved and opened is the same", saved_is_the_same },
    { "suite: decoding is the full pass", decoding_is_the_full_pass },
    { "suite: grown starts where it stood", grown_starts_where_it_stood },
    { "suite: senseless combinations are refused", senseless_is_refused },
    { "suite: lists of words", lists_of_words },
    { "suite: a run that is interrupted goes on", interrupted_goes_on },
    { 0 }
};
