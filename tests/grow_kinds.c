/* Growing of every kind of Transformer and task: encoders with norms after or
 * before their sums, heads of classes, tokens, spans, pairs, none; the methods that
 * change the outputs do what they say; and models become hybrids. */
#include "model/model.h"
#include "base/random.h"
#include "small.h"
#include "test.h"
#include <math.h>
#include <stdlib.h>

enum { IDS = 40 };

/* What the encoders read; {"architectures": [CLASS], ...}. */
#define ENCODER(model_type, class_name) "{" ENCODER_KEYS(model_type, class_name)
#define ENCODER_KEYS(model_type, class_name) SHARED_KEYS(model_type, class_name) ",\"type_vocab_size\":2,\"hidden_dropout_prob\":0,\"attention_probs_dropout_prob\":0}"
#define MODERN "{" SHARED_KEYS("modernbert", "ModernBertForMaskedLM") ",\"global_attn_every_n_layers\":2,\"local_attention\":6}"
#define SHARED_KEYS(model_type, class_name) "\"model_type\":\"" model_type "\",\"architectures\":[\"" class_name "\"],\"vocab_size\":64,\"hidden_size\":16,\"num_hidden_layers\":2," \
    "\"num_attention_heads\":2,\"intermediate_size\":24,\"max_position_embeddings\":26,\"initializer_range\":0.3,\"num_labels\":3,\"pad_token_id\":0"

static lithe_model *model(const char *name, const char *config)
{
    lithe_error err = { 0 };
    lithe_model *m = lithe_model_new(name, config, 3, &err);
    if (!m) { test_fail(__FILE__, __LINE__, err.text); fflush(stdout); _Exit(1); }
    small_perturb(m->params, 0.2, 9);
    return m;
}

typedef struct { lithe_model *small, *large; lithe_growth report; } pair;

static pair grown(const char *name, const char *config, const char *set, const char *method)
{
    lithe_error err = { 0 };
    pair p = { .small = model(name, config) };
    int32_t ids[IDS];
    for (int i = 0; i < IDS; i++) ids[i] = (int32_t)(random_u64(1, (uint64_t)i) % 23);
    p.large = lithe_model_grow(p.small, &LITHE_OPTIONS(lithe_grow_options, .set = set, .method = method), &p.report, &err);
    if (p.large) lithe_compare(p.small, p.large, ids, IDS, &p.report, &err);
    if (err.status) { test_fail(__FILE__, __LINE__, err.text); fflush(stdout); _Exit(1); }
    CHECK_MSG(p.report.max_logit > 0.05, "%s: nothing was compared", p.small->arch->name);
    return p;
}

static void release(pair *p)
{
    lithe_model_close(p->large);
    lithe_model_close(p->small);
}

static void preserves(const char *name, const char *config, const char *set, double tolerance)
{
    pair p = grown(name, config, set, NULL);
    CHECK_MSG(p.report.preserves && p.report.max_difference <= tolerance * p.report.max_logit, "%s %s, %s: %s; differs by %.3g of %.3g", p.small->arch->name, task_name(&p.small->task),
              p.report.moves, p.report.says, p.report.max_difference, p.report.max_logit);
    release(&p);
}

/* Says why not, and by how much. */
static void changes(const char *name, const char *config, const char *set, const char *method, const char *because)
{
    pair p = grown(name, config, set, method);
    CHECK_MSG(!p.report.preserves && strstr(p.report.says, because), "%s: %s", p.report.moves, p.report.says);
    CHECK_MSG(p.report.max_difference > 1e-4 * p.report.max_logit && p.report.divergence > 0, "%s: differs by %.3g of %.3g, divergence %.3g", p.report.moves, p.report.max_difference,
              p.report.max_logit, p.report.divergence);
    release(&p);
}

static void encoders(void)
{
    static const struct { const char *type, *config; } post[] = { { "bert", ENCODER("bert", "BertForMaskedLM") }, { "roberta", ENCODER("roberta", "RobertaForMaskedLM") },
                                                                        { "mpnet", "{" SHARED_KEYS("mpnet", "MPNetForMaskedLM") ",\"hidden_dropout_prob\":0,\"attention_probs_dropout_prob\":0}" } };
    for (int i = 0; i < 3; i++) {
        preserves(post[i].type, post[i].config, "hidden_size=32", 1e-5);
        preserves(post[i].type, post[i].config, "hidden_size=48,intermediate_size=50", 1e-5);
        preserves(post[i].type, post[i].config, "intermediate_size=31", 1e-5);
        changes(post[i].type, post[i].config, "num_hidden_layers=3", NULL, "a norm stands after each sum");
        changes(post[i].type, post[i].config, "hidden_size=24,num_attention_heads=3", NULL, "no whole multiple");
    }
    static const char mosaic[] = "{\"alibi_starting_size\":26," ENCODER_KEYS("bert", "BertForMaskedLM"), modern[] = MODERN;
    preserves("mosaicbert", mosaic, "intermediate_size=31", 1e-5);
    changes("mosaicbert", mosaic, "hidden_size=32", NULL, "slopes");
    changes("mosaicbert", mosaic, "num_hidden_layers=4", NULL, "a norm stands after each sum");
    preserves("modernbert", modern, "num_hidden_layers=5", 0);
    preserves("modernbert", modern, "hidden_size=32", 1e-5);
    preserves("modernbert", modern, "hidden_size=32,intermediate_size=31,num_hidden_layers=3", 1e-5);
    changes("modernbert", modern, "num_hidden_layers=4", "interpolate", "copies of itself");
}

static void tasks(void)
{
    static const char *const classes[] = { "BertForSequenceClassification", "BertForTokenClassification", "BertForQuestionAnswering", "BertForPreTraining", "BertModel" };
    static const char *const configs[] = { ENCODER("bert", "BertForSequenceClassification"), ENCODER("bert", "BertForTokenClassification"), ENCODER("bert", "BertForQuestionAnswering"),
                                           ENCODER("bert", "BertForPreTraining"), ENCODER("bert", "BertModel") };
    for (int i = 0; i < 5; i++) {
        preserves("bert", configs[i], "hidden_size=32,intermediate_size=50", 1e-5);
        pair p = grown("bert", configs[i], "num_hidden_layers=3", NULL);
        CHECK_MSG(!p.report.preserves && p.report.max_difference > 1e-3, "%s: %g", classes[i], p.report.max_difference);
        CHECK((i == 4) == isnan(p.report.divergence));
        CHECK(p.large->task.kind == p.small->task.kind && p.large->task.labels == p.small->task.labels);
        release(&p);
    }
    preserves("gpt2", "{\"vocab_size\":23,\"n_positions\":24,\"n_embd\":12,\"n_layer\":2,\"n_head\":3" SMALL_CLASSIFY, "n_embd=24,n_layer=3", 1e-5);
    preserves("gpt2", "{\"vocab_size\":23,\"n_positions\":24,\"n_embd\":12,\"n_layer\":2,\"n_head\":3" SMALL_REGRESS, "n_embd=24", 1e-5);
}

/* ---- depth by copies ----------------------------------------------------------------- */

static const param *of_layer(const lithe_model *m, int layer, const char *rest)
{
    char name[128];
    snprintf(name, sizeof name, "%s%d%s", m->arch->growth.keys.layer_prefix, layer + m->arch->growth.keys.first_layer, rest);
    return params_find(m->params, name);
}

static void check_layers(const char *method, const int *from, int layers, const char *rest)
{
    pair p = grown("gpt2", SMALL_GPT2, layers == 6 ? "n_layer=6" : "n_layer=4", method);
    CHECK(!p.report.preserves && p.report.max_difference > 1e-3);
    for (int l = 0; l < layers; l++) {
        const param *x = of_layer(p.large, l, rest), *y = of_layer(p.small, from[l], rest);
        CHECK_MSG(x && y && x->count == y->count && !memcmp(x->weight.values, y->weight.values, x->count * sizeof(real)), "%s: layer %d is not layer %d", method, l, from[l]);
    }
    release(&p);
}

static void stacked_layers(void)
{
    check_layers("stack", (const int[]){ 0, 1, 2, 0, 1, 2 }, 6, ".mlp.c_proj.weight");
    check_layers("stack", (const int[]){ 0, 1, 2, 0 }, 4, ".ln_1.bias");
    check_layers("interpolate", (const int[]){ 0, 0, 1, 1, 2, 2 }, 6, ".attn.c_attn.weight");
    check_layers("interpolate", (const int[]){ 0, 0, 1, 2 }, 4, ".ln_2.weight");
    /* Layers that lack what the others have, in files that also number what comes after the layers. */
    static const struct { const char *name, *config, *set; } others[] = {
        { "rwkv7", SMALL_RWKV7, "num_hidden_layers=6" }, { "tokenformer", SMALL_TOKENFORMER("l2_norm_gelu"), "num_layers=5" }, { "modernbert", MODERN, "num_hidden_layers=5" },
        { "pangu_pi", SMALL_PANGU_PI_ALL, "num_hidden_layers=4" },
    };
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        changes(others[i].name, others[i].config, others[i].set, "stack", "on top of itself");
        changes(others[i].name, others[i].config, others[i].set, "interpolate", "copies of itself");
    }
    lithe_error err = { 0 };
    lithe_growth r;
    lithe_model *m = model("gpt2", SMALL_GPT2), *large = lithe_model_grow(m, &LITHE_OPTIONS(lithe_grow_options, .factor = 1.9, .method = "stack"), &r, &err);
    CHECK_MSG(large && !strncmp(r.moves, "n_layer 3 -> 6", 14), "%s %s", r.moves, err.text);
    lithe_model_close(large);
    lithe_model_close(m);
}

/* ---- width from the layer above -------------------------------------------------------- */

static void units_from_above(void)
{
    pair p = grown("gpt2", SMALL_GPT2, "n_inner=72", "aki");
    CHECK(!p.report.preserves && strstr(p.report.says, "layer above") && p.report.max_difference > 1e-3);
    /* c_fc (in,out): outputs 48 .. 71 repeat 0 .. 23, of the layer above where there is one */
    for (int l = 0; l < 3; l++) {
        const param *wide = of_layer(p.large, l, ".mlp.c_fc.weight"), *own = of_layer(p.small, l, ".mlp.c_fc.weight"), *above = of_layer(p.small, l < 2 ? l + 1 : l, ".mlp.c_fc.weight");
        for (int i = 0; i < 12; i++)
            for (int j = 0; j < 72; j++) CHECK(wide->weight.values[i * 72 + j] == (j < 48 ? own->weight.values[i * 48 + j] : above->weight.values[i * 48 + j - 48]));
        const param *out = of_layer(p.large, l, ".mlp.c_proj.weight"), *small = of_layer(p.small, l, ".mlp.c_proj.weight");
        for (int j = 0; j < 72 * 12; j++) CHECK(fabs((double)out->weight.values[j] - (double)small->weight.values[j % (48 * 12)] / (j / 12 % 48 < 24 ? 2 : 1)) < 1e-7);
    }
    release(&p);
    changes("llama", SMALL_LLAMA, "hidden_size=32", "aki", "layer above");
}

/* ---- becoming a hybrid ------------------------------------------------------------------- */

static lithe_model *published(const char *name)
{
    lithe_error err = { 0 };
    char path[100];
    snprintf(path, sizeof path, "tests/golden/%s", name);
    lithe_model *m = lithe_model_open(test_file(path), NULL, &err);
    CHECK_MSG(m != NULL, "%s: %s", name, err.text);
    return m;
}

static lithe_model *hybrid_of(const lithe_model *m, const char *set, lithe_growth *report, lithe_error *err)
{
    const bool images = arch_reads_images(m->arch);
    lithe_model *to = lithe_model_grow(m, &LITHE_OPTIONS(lithe_grow_options, .to = images ? "hybrid-vit" : "hybrid", .set = set), report, err);
    CHECK_MSG(to && report->preserves, "%s: %s", m->arch->name, err->text);
    return to;
}

/* The largest difference of the two models' outputs, relative to the largest output of the first. */
static double difference(lithe_model *a, lithe_model *b)
{
    lithe_error err = { 0 };
    lithe_growth r = { 0 };
    int32_t ids[IDS];
    for (int i = 0; i < IDS; i++) ids[i] = (int32_t)(random_u64(1, (uint64_t)i) % 23);
    CHECK_MSG(!lithe_compare(a, b, ids, IDS, &r, &err) && r.max_logit > 0.05, "%s: %s", a->arch->name, err.text);
    return r.max_difference / r.max_logit;
}

/* The models of the original authors' code: what they compute is what the hybrid computes, and it grows on. */
static void hybrids(void)
{
    static const struct { const char *name; double tolerance; const char *grows; } CASES[] = {
        { "gpt2", 0, "hidden_size=32,num_hidden_layers=4" }, { "gpt_neox-sequential", 0, "num_hidden_layers=3" }, { "gpt_neox", 0, "num_hidden_layers=4" }, { "llama", 0, "intermediate_size=50" }, { "tokenformer", 0, "qkv_slot_num=40" },
        { "tokenformer-softmax", 0, "num_hidden_layers=4" }, { "rwkv4", 0, "num_hidden_layers=4" }, { "rwkv5", 0, "hidden_size=32" }, { "rwkv6", 2e-6, "intermediate_size=90" },
        { "rwkv7", 0, "hidden_size=32" }, { "vit", 0, "num_hidden_layers=4" }, { "tokenformer_vit", 0, "num_hidden_layers=4" } };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        lithe_error err = { 0 };
        lithe_growth r;
        lithe_model *m = published(CASES[i].name), *to = hybrid_of(m, NULL, &r, &err);
        double d = difference(m, to);
        CHECK_MSG(d <= CASES[i].tolerance, "%s: differs by %.3g", CASES[i].name, d);
        CHECK(!lithe_model_save(to, in_dir(CASES[i].name), NULL, NULL, &err));
        lithe_model *again = lithe_model_open(in_dir(CASES[i].name), NULL, &err);
        CHECK_MSG(again && difference(m, again) == d, "%s: %s", CASES[i].name, err.text);
        lithe_model *large = lithe_model_grow(again, &LITHE_OPTIONS(lithe_grow_options, .set = CASES[i].grows), &r, &err);
        CHECK_MSG(large && r.preserves && difference(m, large) <= 1e-5, "%s, %s: %s", CASES[i].name, CASES[i].grows, err.text);
        lithe_model_close(large);
        lithe_model_close(again);
        lithe_model_close(to);
        lithe_model_close(m);
    }
}

static void hybrids_with_additions(void)
{
    lithe_error err = { 0 };
    lithe_growth r;
    lithe_model *m = published("gpt2"), *to = hybrid_of(m, "shortcut=augmented,aug_reduction=4,series=on", &r, &err);
    CHECK(difference(m, to) == 0 && r.params_after > r.params_before && params_find(to->params, "layers.0.shortcut.down.weight") && params_find(to->params, "layers.1.mlp.siaf.gain"));
    lithe_model_close(to);
    CHECK(!lithe_model_grow(m, &LITHE_OPTIONS(lithe_grow_options, .to = "hybrid", .set = "hidden_size=64"), &r, &err) && strstr(err.text, "hidden_size is no key that a hybrid adds"));
    lithe_model_close(m);
    m = model("pangu_pi", "{\"vocab_size\":64,\"hidden_size\":16,\"intermediate_size\":24,\"num_hidden_layers\":2,\"num_attention_heads\":2,\"initializer_range\":0.3,\"siaf_gain\":true}");
    err = (lithe_error){ 0 };
    to = hybrid_of(m, NULL, &r, &err);
    CHECK(difference(m, to) == 0);
    lithe_model_close(to);
    lithe_model_close(m);
}

static void no_hybrids(void)
{
    static const struct { const char *name, *because; } CASES[] = {
        { "bert", "a hybrid has no names for the layers of a bert; it can become: nothing" },         { "qwen3", "it is of a family that changes the block" }, { "llama-scaled", "its rotary positions are scaled" }, { "rwkv5-1", "\"version\": \"5.1\" is not supported" },
        { "pangu-pi", "its series has no gains" } };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        lithe_error err = { 0 };
        lithe_model *m = published(CASES[i].name);
        CHECK(!lithe_model_grow(m, &LITHE_OPTIONS(lithe_grow_options, .to = "hybrid"), NULL, &err) && err.status == LITHE_EINVAL);
        CHECK_MSG(strstr(err.text, CASES[i].because), "%s: %s", CASES[i].name, err.text);
        lithe_model_close(m);
    }
}

const test tests_grow_kinds[] = {
    { "grow.models become hybrids", hybrids },
    { "grow.models become hybrids with additions", hybrids_with_additions },
    { "grow.models that a hybrid cannot name", no_hybrids },
    { "grow.encoders: width exact, depth said and measured", encoders },
    { "grow.heads of every task", tasks },
    { "grow.depth by stacking and interpolation", stacked_layers },
    { "grow.repeated units from the layer above", units_from_above },
    { 0 }
};
