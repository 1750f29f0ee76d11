/* Causal models without layers: they are saved, decoded and trained, and layers grow from them with the same
 * outputs. */
#include "model/groups.h"
#include "small.h"
#include "test.h"
#include "train_runs.h"
#include <math.h>
#include <stdlib.h>

enum { LENGTH = 12, VOCAB = 23 };

/* The configuration with so many layers; lists along the layers stay. */
static char *with_layers(const small_case *c, int layers)
{
    json_t *config = json_loads(c->config, 0, NULL);
    json_object_set_new(config, arch_find(c->arch)->growth.keys.layers, json_integer(layers));
    char *text = json_dumps(config, JSON_COMPACT);
    json_decref(config);
    return text;
}

/* Encoders and image models say so by the bounds of their key. */
static bool needs_layers(const small_case *c)
{
    const arch *a = arch_find(c->arch);
    const field *f = a->config.fields;
    while (strcmp(f->key, a->growth.keys.layers)) f++;
    return f->least > 0;
}

static void logits_of(lithe_model *m, const int32_t *ids, float *out, lithe_error *err)
{
    CHECK_MSG(!lithe_logits(m, ids, LENGTH, out, err), "%s", err->text);
}

/* Token by token, and opened again, it gives the same. */
static void check_decoding(const char *name, lithe_model *m, const int32_t *ids)
{
    lithe_error err = { 0 };
    float whole[LENGTH * VOCAB], again[LENGTH * VOCAB];
    logits_of(m, ids, whole, &err);
    lithe_session *s = lithe_session_open(m, 0, &err);
    CHECK_MSG(s, "%s: %s", name, err.text);
    for (int i = 0; s && i < LENGTH; i++) {
        CHECK(!lithe_session_push(s, ids[i], &err));
        CHECK_MSG(!memcmp(lithe_session_logits(s), whole + i * VOCAB, VOCAB * sizeof *whole), "%s: token %d", name, i);
    }
    lithe_session_close(s);
    CHECK_MSG(!lithe_model_save(m, in_dir("saved"), NULL, NULL, &err), "%s: %s", name, err.text);
    lithe_model *other = lithe_model_open(in_dir("saved"), NULL, &err);
    CHECK_MSG(other, "%s: %s", name, err.text);
    if (other) logits_of(other, ids, again, &err);
    CHECK(!other || !memcmp(whole, again, sizeof whole));
    lithe_model_close(other);
    dir_remove(in_dir("saved"), NULL);
}

static void check_case(const small_case *c)
{
    lithe_error err = { 0 };
    lithe_growth r;
    int32_t ids[LENGTH];
    char *none = with_layers(c, 0), set[80];
    lithe_model *m = lithe_model_new(c->arch, none, 3, &err);
    for (int i = 0; i < LENGTH; i++) ids[i] = (int32_t)(random_u64(41, (uint64_t)i) % VOCAB);
    if (needs_layers(c)) CHECK_MSG(!m && strstr(err.text, "is 0, expected 1 to 1024"), "%s: %s", c->name, err.text);
    else CHECK_MSG(m || strstr(err.text, "encoder is true"), "%s: %s", c->name, err.text);
    free(none);
    if (!m) return;
    small_perturb(m->params, 0.3, 5);
    if (!arch_images(m->arch, m->config).side && m->task.kind == TASK_LANGUAGE && !arch_encoder(m->arch, m->config)) check_decoding(c->name, m, ids);
    snprintf(set, sizeof set, "%s=3", m->arch->growth.keys.layers);
    lithe_model *large = lithe_model_grow(m, &LITHE_OPTIONS(lithe_grow_options, .set = set), &r, &err);
    /* The norm before the head is of another kind then. */
    if (!large && strstr(c->config, "layer_norm_plain,rms_norm")) {
        CHECK_MSG(strstr(err.text, "norm.weight has no counterpart"), "%s", err.text);
        lithe_model_close(m);
        return;
    }
    CHECK_MSG(large && !lithe_compare(m, large, ids, LENGTH, &r, &err), "%s: %s", c->name, err.text);
    CHECK_MSG(r.params_after > r.params_before && (!r.preserves || r.max_difference <= 1e-5 * r.max_logit), "%s: differs by %g of %g", c->name, r.max_difference, r.max_logit);
    CHECK_MSG(r.preserves || strstr(c->name, "norms after") || strstr(c->config, "post") || strstr(c->config, "small") || strstr(r.says, "aug_scale"), "%s: %s", c->name, r.says);
    for (int i = 0; large && i < large->group_count; i++) CHECK(large->groups[i].born == BORN_LATER);
    lithe_model_close(large);
    lithe_model_close(m);
}

static void every_architecture(void)
{
    int count;
    const small_case *cases = small_cases(&count);
    for (int i = 0; i < count; i++) check_case(&cases[i]);
}

/* Trained without layers for most of a run, then with them: the loss goes on from where it was, and falls further. */
static void layers_come_late(void)
{
    static const struct { const char *arch, *config, *at; } cases[] = {
        { "gpt2", "{\"n_layer\": 0, \"n_embd\": 32, \"n_head\": 2, \"n_positions\": 32, \"vocab_size\": 256}", "12:n_layer=2" },
        { "llama", "{\"num_hidden_layers\": 0, \"hidden_size\": 32, \"num_attention_heads\": 2, \"intermediate_size\": 40, \"max_position_embeddings\": 32, \"vocab_size\": 256}", "12:num_hidden_layers=2" },
        { "rwkv7", "{\"num_hidden_layers\": 0, \"hidden_size\": 32, \"head_dim\": 16, \"max_position_embeddings\": 32, \"vocab_size\": 256}", "12:num_hidden_layers=2" },
        { "tokenformer", "{\"num_layers\": 0, \"hidden_size\": 32, \"num_attention_heads\": 2, \"max_position_embeddings\": 32, \"qkv_slot_num\": 16, \"proj_slot_num\": 16, \"ffn_slot_num\": 32, \"vocab_size\": 256}", "12:num_layers=2" } };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        lithe_train_options o = LITHE_OPTIONS(lithe_train_options, .ctx = 16, .batch = 4, .steps = 24, .eval_every = 12, .save_every = 24, .eval_windows = 4, .lr = 1e-2, .grow_at = cases[i].at);
        fixture f = begin_as(cases[i].arch, cases[i].arch, cases[i].config, &o);
        lithe_event e = { 0 };
        double loss[4] = { 0 };
        int n = 0;
        while (lithe_trainer_next(f.trainer, &e, &f.err) > 0)
            if (e.kind == LITHE_EVALUATED && n < 4) loss[n++] = e.valid_loss;
        CHECK_MSG(n == 4 && loss[1] < 0.95 * loss[0] && fabs(loss[2] - loss[1]) < 1e-5 * loss[1] && loss[3] < loss[2], "%s: %g %g %g %g: %s", cases[i].arch, loss[0], loss[1], loss[2], loss[3], f.err.text);
        close_fixture(&f);
    }
}

static void refusals(void)
{
    static const struct { const char *set, *method; double factor; const char *because; } cases[] = {
        { "n_layer=2", "stack", 0, "of which the model has none" }, { "n_layer=2", "interpolate", 0, "of which the model has none" }, { NULL, NULL, 2, "grows by these first: set n_layer=N" } };
    lithe_model *m = lithe_model_new("gpt2", "{\"vocab_size\":23,\"n_positions\":24,\"n_embd\":12,\"n_layer\":0,\"n_head\":3}", 3, NULL);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        lithe_error err = { 0 };
        CHECK(!lithe_model_grow(m, &LITHE_OPTIONS(lithe_grow_options, .set = cases[i].set, .method = cases[i].method, .factor = cases[i].factor), NULL, &err));
        CHECK_MSG(strstr(err.text, cases[i].because), "%s", err.text);
    }
    for (int spread = 0; spread < 2; spread++) {
        lithe_model *large = lithe_model_grow(m, &LITHE_OPTIONS(lithe_grow_options, .set = "n_layer=2", .where = spread ? "spread" : "bottom"), NULL, NULL);
        CHECK(large);
        lithe_model_close(large);
    }
    lithe_model_close(m);
}

const test tests_no_layers[] = {
    { "grow.no layers: every architecture", every_architecture },
    { "grow.no layers: they come late in a run", layers_come_late },
    { "grow.no layers: refused", refusals },
    { 0 }
};
