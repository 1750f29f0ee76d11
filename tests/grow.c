/* Growing: what each operator preserves, and what is refused. */
#include "grow/growth.h"
#include "model/groups.h"
#include "base/json.h"
#include "base/random.h"
#include "small.h"
#include "test.h"
#include <math.h>
#include <stdlib.h>
#include <unistd.h>

enum { IDS = 40 };

static int32_t ids[IDS];

static lithe_model *model(const char *name, const char *config)
{
    lithe_error err = { 0 };
    lithe_model *m = lithe_model_new(name, config, 3, &err);
    CHECK_MSG(m != NULL, "%s", err.text);
    small_perturb(m->params, 0.2, 9);
    for (int i = 0; i < IDS; i++) ids[i] = (int32_t)(random_u64(1, (uint64_t)i) % 23);
    return m;
}

static lithe_model *grown(const lithe_model *m, lithe_grow_options o, lithe_growth *report)
{
    lithe_error err = { 0 };
    lithe_model *large = lithe_model_grow(m, &o, report, &err);
    CHECK_MSG(large != NULL, "%s", err.text);
    if (large) lithe_compare((lithe_model *)m, large, ids, IDS, report, &err);
    CHECK_MSG(!err.status, "%s", err.text);
    return large;
}

/* Grows and checks that the logits agree to `tolerance` of the largest (0: to the bit). */
static void preserves(const char *name, const char *config, lithe_grow_options o, double tolerance)
{
    lithe_growth r;
    lithe_model *m = model(name, config), *large = grown(m, o, &r);
    CHECK_MSG(r.preserves, "%s", r.says);
    CHECK_MSG(r.max_difference <= tolerance * r.max_logit, "%s %s (%s): differs by %.3g of %.3g", name, r.method, r.moves, r.max_difference, r.max_logit);
    CHECK(r.params_after > r.params_before && r.params_after == lithe_model_params(large));
    if (o.params > 0) CHECK(fabs((double)r.params_after - o.params) <= 0.05 * o.params);
    if (o.factor > 0) CHECK(fabs((double)r.params_after - o.factor * (double)r.params_before) <= 0.05 * o.factor * (double)r.params_before);
    lithe_model_close(large);
    lithe_model_close(m);
}

static void differs(const char *name, const char *config, lithe_grow_options o, double least)
{
    lithe_growth r;
    lithe_model *m = model(name, config), *large = grown(m, o, &r);
    CHECK(!r.preserves);
    CHECK_MSG(r.max_difference >= least * r.max_logit, "%s %s: differs by only %.3g of %.3g", name, r.method, r.max_difference, r.max_logit);
    lithe_model_close(large);
    lithe_model_close(m);
}

static void refuses(const char *name, const char *config, lithe_grow_options o, const char *because)
{
    lithe_error err = { 0 };
    lithe_growth r;
    lithe_model *m = model(name, config), *large = lithe_model_grow(m, &o, &r, &err);
    CHECK(!large);
    CHECK_MSG(strstr(err.text, because), "said: %s", err.text);
    lithe_model_close(large);
    lithe_model_close(m);
}

#define L2 SMALL_TOKENFORMER("l2_norm_gelu")
#define GELU_FIRST SMALL_TOKENFORMER("gelu_l2_norm")
#define SOFTMAX SMALL_TOKENFORMER("softmax")
#define SLOTS "qkv_slot_num=30,proj_slot_num=31,ffn_slot_num=141"
#define TWICE "qkv_slot_num=24,proj_slot_num=20,ffn_slot_num=140"

static void slots(void)
{
    preserves("tokenformer", L2, LITHE_OPTIONS(lithe_grow_options, .factor = 2), 1e-5);
    preserves("tokenformer", L2, LITHE_OPTIONS(lithe_grow_options, .factor = 2, .method = "A"), 0);
    preserves("tokenformer", L2, LITHE_OPTIONS(lithe_grow_options, .factor = 2.4, .method = "A"), 0);
    preserves("tokenformer", GELU_FIRST, LITHE_OPTIONS(lithe_grow_options, .set = SLOTS), 1e-6);
    preserves("tokenformer", L2, LITHE_OPTIONS(lithe_grow_options, .set = TWICE, .method = "B"), 1e-5);
    preserves("tokenformer", L2, LITHE_OPTIONS(lithe_grow_options, .set = "qkv_slot_num=36,proj_slot_num=40,ffn_slot_num=210", .method = "b"), 1e-5);
    preserves("tokenformer", L2, LITHE_OPTIONS(lithe_grow_options, .set = SLOTS, .method = "C"), 1e-5);
    /* 16 more: the rank of the keys */
    preserves("tokenformer", L2, LITHE_OPTIONS(lithe_grow_options, .set = "ffn_slot_num=86", .method = "C"), 1e-5);
    preserves("tokenformer", L2, LITHE_OPTIONS(lithe_grow_options, .set = TWICE, .method = "D"), 1e-5);
    preserves("tokenformer", GELU_FIRST, LITHE_OPTIONS(lithe_grow_options, .set = TWICE, .method = "D"), 1e-5);
    preserves("tokenformer", SOFTMAX, LITHE_OPTIONS(lithe_grow_options, .set = TWICE, .method = "D"), 1e-5);
    preserves("tokenformer", GELU_FIRST, LITHE_OPTIONS(lithe_grow_options, .set = SLOTS, .method = "E"), 1e-5);
    preserves("tokenformer", L2, LITHE_OPTIONS(lithe_grow_options, .factor = 2.5, .portable = 1), 1e-5);
    preserves("tokenformer", SOFTMAX, LITHE_OPTIONS(lithe_grow_options, .set = TWICE), 1e-5);
    differs("tokenformer", L2, LITHE_OPTIONS(lithe_grow_options, .factor = 2, .method = "F"), 1e-3);
}

static void slots_refused(void)
{
    refuses("tokenformer", SOFTMAX, LITHE_OPTIONS(lithe_grow_options, .factor = 2, .method = "A"), "take method D");
    refuses("tokenformer", GELU_FIRST, LITHE_OPTIONS(lithe_grow_options, .set = TWICE, .method = "B"), "l2_norm_gelu");
    refuses("tokenformer", L2, LITHE_OPTIONS(lithe_grow_options, .set = SLOTS, .method = "B"), "whole multiples");
    refuses("tokenformer", L2, LITHE_OPTIONS(lithe_grow_options, .set = SLOTS, .method = "D"), "whole multiples");
    refuses("tokenformer", L2, LITHE_OPTIONS(lithe_grow_options, .set = SLOTS, .method = "E"), "gelu_l2_norm");
    refuses("tokenformer", L2, LITHE_OPTIONS(lithe_grow_options, .set = "ffn_slot_num=80", .method = "C"), "take method A");
    refuses("tokenformer", L2, LITHE_OPTIONS(lithe_grow_options, .set = "ffn_slot_num=60"), "only adds");
    refuses("tokenformer", L2, LITHE_OPTIONS(lithe_grow_options, .params = 100), "only adds");
    refuses("tokenformer", L2, LITHE_OPTIONS(lithe_grow_options, .factor = 2, .portable = 1, .method = "A"), "portable");
    refuses("tokenformer", L2, LITHE_OPTIONS(lithe_grow_options, .factor = 2, .method = "G"), "no method");
    refuses("tokenformer", L2, LITHE_OPTIONS(lithe_grow_options, .set = "vocab_size=40"), "vocab_size");
    refuses("gpt2", SMALL_GPT2, LITHE_OPTIONS(lithe_grow_options, .factor = 2, .method = "A"), "parameter tokens");
    refuses("gpt2", SMALL_GPT2, LITHE_OPTIONS(lithe_grow_options, .set = "n_embd=24,n_head=4"), "heads");
}

/* n -> 2n -> 5n with the kept scale; the file records it. */
static void twice(void)
{
    lithe_growth r;
    lithe_model *a = model("tokenformer", L2), *b = grown(a, LITHE_OPTIONS(lithe_grow_options, .set = TWICE, .method = "A"), &r);
    lithe_model *c = grown(b, LITHE_OPTIONS(lithe_grow_options, .set = "qkv_slot_num=60,proj_slot_num=50,ffn_slot_num=350", .method = "A"), &r);
    lithe_error err = { 0 };
    lithe_compare(a, c, ids, IDS, &r, &err);
    CHECK_MSG(r.max_difference == 0, "%g", r.max_difference);
    const json_t *history = json_object_get(json_object_get(c->json, "slots_history"), "ffn_slot_num");
    CHECK(json_array_size(history) == 3 && json_integer_value(json_array_get(history, 2)) == 350);
    CHECK(json_number_value(json_object_get(c->json, "ffn_tau2")) == 70);
    char dir[512];
    snprintf(dir, sizeof dir, "%s/grown", test_dir());
    CHECK_MSG(lithe_model_save(c, dir, NULL, NULL, &err) == 0, "%s", err.text);
    lithe_model *d = lithe_model_open(dir, NULL, &err);
    CHECK_MSG(d != NULL, "%s", err.text);
    lithe_compare(a, d, ids, IDS, &r, &err);
    CHECK(r.max_difference == 0);
    /* After B the scale is sqrt(N) again, so a growth by B of a model grown by B is portable. */
    lithe_model *e = grown(a, LITHE_OPTIONS(lithe_grow_options, .set = TWICE, .method = "B"), &r);
    CHECK(!json_object_get(e->json, "ffn_tau2"));
    lithe_model_close(a);
    lithe_model_close(b);
    lithe_model_close(c);
    lithe_model_close(d);
    lithe_model_close(e);
}

static void depth_and_width(void)
{
    preserves("tokenformer", L2, LITHE_OPTIONS(lithe_grow_options, .set = "num_layers=5"), 0);
    preserves("tokenformer", L2, LITHE_OPTIONS(lithe_grow_options, .set = "hidden_size=32"), 1e-5);
    preserves("tokenformer", SOFTMAX, LITHE_OPTIONS(lithe_grow_options, .set = "hidden_size=48"), 1e-5);
    /* The kinds of layers are a list that repeats; growing goes on with it. */
    preserves("gpt_neo", "{\"vocab_size\":23,\"max_position_embeddings\":24,\"hidden_size\":12,\"num_layers\":3,\"num_heads\":3,\"window_size\":4,"
              "\"attention_types\":[[[\"global\",\"local\"],1],[[\"global\"],1]],\"initializer_range\":0.3}", LITHE_OPTIONS(lithe_grow_options, .set = "num_layers=4"), 0);
    preserves("gpt2", SMALL_GPT2, LITHE_OPTIONS(lithe_grow_options, .set = "n_layer=5"), 0);
    preserves("rwkv4", SMALL_RWKV4, LITHE_OPTIONS(lithe_grow_options, .set = "num_hidden_layers=5"), 1e-6);
    preserves("rwkv4", SMALL_RWKV4, LITHE_OPTIONS(lithe_grow_options, .set = "intermediate_size=31"), 1e-5);
    preserves("rwkv4", SMALL_RWKV4, LITHE_OPTIONS(lithe_grow_options, .set = "hidden_size=24"), 1e-5);
    preserves("rwkv5", SMALL_RWKV5, LITHE_OPTIONS(lithe_grow_options, .set = "num_hidden_layers=5"), 1e-6);
    preserves("rwkv5", SMALL_RWKV5, LITHE_OPTIONS(lithe_grow_options, .set = "hidden_size=24,intermediate_size=31"), 1e-5);
    preserves("rwkv6", SMALL_RWKV6, LITHE_OPTIONS(lithe_grow_options, .set = "num_hidden_layers=5"), 1e-6);
    preserves("rwkv6", SMALL_RWKV6, LITHE_OPTIONS(lithe_grow_options, .set = "intermediate_size=31"), 1e-5);
    preserves("rwkv6", SMALL_RWKV6, LITHE_OPTIONS(lithe_grow_options, .set = "hidden_size=36"), 1e-5);
    preserves("rwkv7", SMALL_RWKV7, LITHE_OPTIONS(lithe_grow_options, .set = "num_hidden_layers=5"), 1e-6);
    preserves("rwkv7", SMALL_RWKV7, LITHE_OPTIONS(lithe_grow_options, .set = "hidden_size=36,intermediate_size=31"), 1e-5);
    preserves("gpt2", SMALL_GPT2, LITHE_OPTIONS(lithe_grow_options, .set = "n_inner=71"), 1e-5);
    preserves("gpt2", SMALL_GPT2, LITHE_OPTIONS(lithe_grow_options, .set = "n_embd=24"), 1e-5);
    preserves("gpt2", SMALL_GPT2, LITHE_OPTIONS(lithe_grow_options, .set = "n_embd=36,n_inner=100,n_layer=4"), 1e-5);
    preserves("gpt2", SMALL_GPT2_DROPOUT, LITHE_OPTIONS(lithe_grow_options, .set = "n_embd=24"), 1e-5);
    preserves("gpt2", SMALL_GPT2, LITHE_OPTIONS(lithe_grow_options, .factor = 2), 1e-5);
    preserves("gpt2", SMALL_GPT2, LITHE_OPTIONS(lithe_grow_options, .factor = 6), 1e-5);
    preserves("llama", SMALL_LLAMA, LITHE_OPTIONS(lithe_grow_options, .set = "num_hidden_layers=3"), 0);
    preserves("llama", SMALL_LLAMA, LITHE_OPTIONS(lithe_grow_options, .set = "intermediate_size=50"), 1e-5);
    preserves("llama", SMALL_LLAMA, LITHE_OPTIONS(lithe_grow_options, .set = "hidden_size=32"), 1e-5);
    preserves("llama", SMALL_LLAMA, LITHE_OPTIONS(lithe_grow_options, .set = "num_key_value_heads=4"), 1e-5);
    preserves("llama", SMALL_LLAMA_TIED, LITHE_OPTIONS(lithe_grow_options, .set = "hidden_size=36,intermediate_size=61"), 1e-5);
    preserves("llama", SMALL_LLAMA_TIED, LITHE_OPTIONS(lithe_grow_options, .set = "num_attention_heads=4,num_key_value_heads=4"), 1e-5);
    preserves("llama", SMALL_LLAMA, LITHE_OPTIONS(lithe_grow_options, .factor = 3), 1e-5);
}

static void gpt_neox(void)
{
    preserves("gpt_neox", SMALL_GPT_NEOX, LITHE_OPTIONS(lithe_grow_options, .set = "num_hidden_layers=4"), 0);
    preserves("gpt_neox", SMALL_GPT_NEOX, LITHE_OPTIONS(lithe_grow_options, .set = "intermediate_size=50"), 1e-5);
    preserves("gpt_neox", SMALL_GPT_NEOX, LITHE_OPTIONS(lithe_grow_options, .set = "hidden_size=48"), 1e-5);
    preserves("gpt_neox", SMALL_GPT_NEOX_SEQUENTIAL, LITHE_OPTIONS(lithe_grow_options, .set = "hidden_size=24,intermediate_size=31,num_hidden_layers=3"), 1e-5);
    preserves("gpt_neox", SMALL_GPT_NEOX_SEQUENTIAL, LITHE_OPTIONS(lithe_grow_options, .set = "num_hidden_layers=5"), 0);
    preserves("gpt_neox", SMALL_GPT_NEOX, LITHE_OPTIONS(lithe_grow_options, .factor = 3), 1e-5);
}

#define PLAIN_PANGU_PI "{\"vocab_size\":23,\"max_position_embeddings\":24,\"hidden_size\":16,\"num_hidden_layers\":2,\"num_attention_heads\":4," \
    "\"intermediate_size\":20,\"initializer_range\":0.3,\"aug_branches\":0,\"siaf_gain\":true}"
static void pangu_pi(void)
{
    preserves("pangu_pi", SMALL_PANGU_PI, LITHE_OPTIONS(lithe_grow_options, .set = "num_hidden_layers=4"), 0);
    preserves("pangu_pi", SMALL_PANGU_PI, LITHE_OPTIONS(lithe_grow_options, .set = "intermediate_size=50"), 1e-5);
    preserves("pangu_pi", SMALL_PANGU_PI, LITHE_OPTIONS(lithe_grow_options, .set = "aug_width=13"), 1e-5);
    preserves("pangu_pi", SMALL_PANGU_PI, LITHE_OPTIONS(lithe_grow_options, .set = "hidden_size=48"), 1e-5);
    preserves("pangu_pi", SMALL_PANGU_PI, LITHE_OPTIONS(lithe_grow_options, .set = "hidden_size=2x,intermediate_size=1.5x,num_hidden_layers=2x"), 1e-5);
    refuses("pangu_pi", SMALL_PANGU_PI, LITHE_OPTIONS(lithe_grow_options, .set = "hidden_size=two"), "hidden_size=two: a size is KEY=NUMBER or KEY=2x");
    refuses("pangu_pi", SMALL_PANGU_PI, LITHE_OPTIONS(lithe_grow_options, .set = "hidden_size=0.5x"), "hidden_size would shrink from 16 to 8");
    preserves("pangu_pi", SMALL_PANGU_PI, LITHE_OPTIONS(lithe_grow_options, .factor = 3), 1e-5);
    preserves("pangu_pi", SMALL_PANGU_PI_ALL, LITHE_OPTIONS(lithe_grow_options, .set = "hidden_size=24,intermediate_size=31,aug_width=7"), 1e-5);
    preserves("pangu_pi", SMALL_PANGU_PI_AFTER, LITHE_OPTIONS(lithe_grow_options, .set = "hidden_size=24,num_hidden_layers=3,aug_width=7"), 1e-5);
    preserves("pangu_pi", SMALL_PANGU_PI_DENSE, LITHE_OPTIONS(lithe_grow_options, .set = "hidden_size=36,num_hidden_layers=3"), 1e-5);
    /* Branches and terms beside those there are, and the first ones. */
    preserves("pangu_pi", SMALL_PANGU_PI, LITHE_OPTIONS(lithe_grow_options, .set = "aug_branches=3"), 0);
    preserves("pangu_pi", SMALL_PANGU_PI, LITHE_OPTIONS(lithe_grow_options, .set = "aug_branches=2,siaf_n=3,siaf_act=silu,silu,tanh,num_hidden_layers=3"), 0);
    preserves("pangu_pi", PLAIN_PANGU_PI, LITHE_OPTIONS(lithe_grow_options, .set = "aug_branches=1,siaf_n=4,intermediate_size=30"), 1e-5);
    preserves("pangu_pi", SMALL_PANGU_PI_AFTER, LITHE_OPTIONS(lithe_grow_options, .set = "siaf_n=3"), 0);
    differs("pangu_pi", SMALL_PANGU_PI_AFTER, LITHE_OPTIONS(lithe_grow_options, .set = "aug_branches=2"), 1e-4);
    refuses("pangu_pi", SMALL_PANGU_PI_ALL, LITHE_OPTIONS(lithe_grow_options, .set = "aug_branches=1"), "aug_branches would shrink from 2 to 1");
    refuses("pangu_pi", SMALL_PANGU_PI, LITHE_OPTIONS(lithe_grow_options, .set = "siaf_n=3"), "begin alike and would stay alike");
    /* aug_scale, of which the last norm leaves its eps */
    differs("pangu_pi", SMALL_PANGU_PI_ALL, LITHE_OPTIONS(lithe_grow_options, .set = "num_hidden_layers=3"), 1e-6);
}

/* The portable growth of a model that keeps an older scale. */
static void portable(void)
{
    lithe_growth r;
    lithe_error err = { 0 };
    lithe_model *a = model("tokenformer", L2), *b = grown(a, LITHE_OPTIONS(lithe_grow_options, .set = TWICE, .method = "A"), &r);
    lithe_model *c = grown(b, LITHE_OPTIONS(lithe_grow_options, .set = "qkv_slot_num=60,proj_slot_num=50,ffn_slot_num=350", .portable = 1), &r);
    CHECK_MSG(r.preserves && r.max_difference <= 1e-5 * r.max_logit && !json_object_get(c->json, "ffn_tau2"), "differs by %g", r.max_difference);
    lithe_compare(a, c, ids, IDS, &r, &err);
    CHECK(r.max_difference <= 1e-5 * r.max_logit);
    CHECK(!lithe_model_grow(b, &LITHE_OPTIONS(lithe_grow_options, .set = "ffn_slot_num=280", .portable = 1, .method = "B"), &r, &err) && strstr(err.text, "method C"));
    /* What does not grow keeps its scale, so the result would not be portable. */
    static const char *const sets[] = { "num_layers=3", "hidden_size=32", "qkv_slot_num=60" };
    for (int i = 0; i < 3; i++) {
        err = (lithe_error){ 0 };
        CHECK_MSG(!lithe_model_grow(b, &LITHE_OPTIONS(lithe_grow_options, .set = sets[i], .portable = 1), &r, &err) && strstr(err.text, "let it grow too, by method C"), "%s: %s", sets[i], err.text);
    }
    lithe_model_close(c);
    lithe_model_close(b);
    lithe_model_close(a);
}

/* Nothing that was asked for is left out silently. */
static void asked_for_nothing(void)
{
    static const struct { const char *set, *method, *because; } cases[] = {
        { "n_embd=24", "stack", "is for layers" }, { "n_layer=4", "aki", "is for heads and inner units" }, { "n_layer=4", "corner", "is for width" }, { "n_layer=4", "clone", "is for width" },
        { "n_layer=4,n_layer=5", NULL, "n_layer is given twice" }, { "n_embd=60000,n_layer=1024", NULL, "GB of memory" } };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) refuses("gpt2", SMALL_GPT2, LITHE_OPTIONS(lithe_grow_options, .set = cases[i].set, .method = cases[i].method), cases[i].because);
    refuses("gpt2", SMALL_GPT2, LITHE_OPTIONS(lithe_grow_options, .set = "n_layer=4", .freeze_old = 1, .old_lr = 0.5f), "not both");
    refuses("gpt2", SMALL_GPT2, LITHE_OPTIONS(lithe_grow_options, .to = "hybrid", .freeze_old = 1), "freeze_old and old_lr do not apply");
    refuses("gpt2", SMALL_GPT2, LITHE_OPTIONS(lithe_grow_options, .to = "hybrid", .where = "spread"), "leave out where");
    refuses("pangu_pi", SMALL_PANGU_PI, LITHE_OPTIONS(lithe_grow_options, .set = "siaf_n=3"), "name another activation in siaf_act");
    preserves("pangu_pi", SMALL_PANGU_PI, LITHE_OPTIONS(lithe_grow_options, .set = "siaf_n=3,siaf_act=silu,silu,tanh"), 0);
}

/* Of each architecture whose layers are of several kinds: layers between or below others keep the kinds of the old
 * ones, or are refused; the windows of 6 tokens are narrower than what is compared. */
static void kinds_of_layers(void)
{
#define KINDS "{\"vocab_size\":64,\"hidden_size\":16,\"num_attention_heads\":2,\"max_position_embeddings\":24,\"intermediate_size\":24,\"initializer_range\":0.3,"
#define MODERN KINDS "\"num_hidden_layers\":3,\"global_attn_every_n_layers\":2,\"local_attention\":6}"
    static const struct { const char *name, *config, *refused, *refused_spread, *bottom; } cases[] = {
        { "qwen2", KINDS "\"model_type\":\"qwen2\",\"num_hidden_layers\":2,\"use_sliding_window\":true,\"sliding_window\":6,\"max_window_layers\":1}", "num_hidden_layers=3", NULL, NULL },
        { "gemma2", KINDS "\"model_type\":\"gemma2\",\"head_dim\":8,\"num_hidden_layers\":2,\"sliding_window\":6}", "num_hidden_layers=3", "num_hidden_layers=4", "num_hidden_layers=4" },
        { "smollm3", KINDS "\"model_type\":\"smollm3\",\"no_rope_layer_interval\":2,\"num_hidden_layers\":2}", "num_hidden_layers=3", "num_hidden_layers=4", "num_hidden_layers=4" },
        { "gpt_neo", "{\"vocab_size\":64,\"hidden_size\":16,\"num_heads\":2,\"max_position_embeddings\":24,\"num_layers\":2,\"window_size\":6,\"initializer_range\":0.3}", NULL, "num_layers=4", "num_layers=4" },
        { "gpt2", "{\"vocab_size\":64,\"n_positions\":24,\"n_embd\":12,\"n_layer\":2,\"n_head\":3,\"initializer_range\":0.3,\"scale_attn_by_inverse_layer_idx\":true}", "n_layer=3", "n_layer=4", NULL },
        { "modernbert", MODERN, "num_hidden_layers=4", "num_hidden_layers=6", NULL },
        { "hybrid", SMALL_HYBRID ",\"mixer\":\"rwkv7,attention\"}", "num_hidden_layers=3", "num_hidden_layers=4", NULL },
        { "hybrid", SMALL_HYBRID ",\"activation\":\"relu,tanh\"}", "num_hidden_layers=3", "num_hidden_layers=4", "num_hidden_layers=4" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        if (cases[i].refused) refuses(cases[i].name, cases[i].config, LITHE_OPTIONS(lithe_grow_options, .set = cases[i].refused, .where = "bottom"), "take top");
        preserves(cases[i].name, cases[i].config, LITHE_OPTIONS(lithe_grow_options, .set = cases[i].refused ? cases[i].refused : cases[i].bottom), 1e-6);
        if (cases[i].refused_spread) refuses(cases[i].name, cases[i].config, LITHE_OPTIONS(lithe_grow_options, .set = cases[i].refused_spread, .where = "spread"), "take top");
        if (cases[i].bottom) preserves(cases[i].name, cases[i].config, LITHE_OPTIONS(lithe_grow_options, .set = cases[i].bottom, .where = "bottom"), 1e-6);
    }
}

static void where(void)
{
    preserves("gpt2", SMALL_GPT2, LITHE_OPTIONS(lithe_grow_options, .set = "n_layer=5", .where = "bottom"), 0);
    preserves("gpt2", SMALL_GPT2, LITHE_OPTIONS(lithe_grow_options, .set = "n_layer=5", .where = "spread"), 0);
    preserves("rwkv7", SMALL_RWKV7, LITHE_OPTIONS(lithe_grow_options, .set = "num_hidden_layers=7", .where = "spread"), 1e-6);
    preserves("tokenformer", L2, LITHE_OPTIONS(lithe_grow_options, .set = "num_layers=4", .where = "bottom"), 0);
    preserves("pangu_pi", SMALL_PANGU_PI, LITHE_OPTIONS(lithe_grow_options, .set = "num_hidden_layers=4", .where = "spread"), 0);
    refuses("rwkv7", SMALL_RWKV7, LITHE_OPTIONS(lithe_grow_options, .set = "num_hidden_layers=5", .where = "bottom"), "take top or spread");
    refuses("gpt2", SMALL_GPT2, LITHE_OPTIONS(lithe_grow_options, .set = "n_inner=60", .where = "bottom"), "adds no layers");
    refuses("gpt2", SMALL_GPT2, LITHE_OPTIONS(lithe_grow_options, .set = "n_layer=5", .where = "left"), "\"left\"");
    refuses("gpt2", SMALL_GPT2, LITHE_OPTIONS(lithe_grow_options, .set = "n_layer=5", .where = "spread", .method = "stack"), "stack");
    lithe_growth r;
    lithe_model *m = model("gpt2", SMALL_GPT2), *large = grown(m, LITHE_OPTIONS(lithe_grow_options, .set = "n_layer=5", .where = "spread"), &r);
    const param *x = params_find(large->params, "h.1.mlp.c_fc.weight"), *y = params_find(m->params, "h.1.mlp.c_fc.weight");
    CHECK(x->count == y->count && memcmp(x->weight.values, y->weight.values, x->count * sizeof(real)) != 0);
    x = params_find(large->params, "h.2.mlp.c_fc.weight");
    CHECK(!memcmp(x->weight.values, y->weight.values, x->count * sizeof(real)));
    lithe_model_close(large);
    lithe_model_close(m);
}

/* The hidden states before a tied head keep their channels; the new ones are 0, so that products of vectors stay. */
static void vectors(void)
{
    lithe_growth r;
    lithe_model *m = model("gpt2", SMALL_GPT2), *large = grown(m, LITHE_OPTIONS(lithe_grow_options, .set = "n_embd=36"), &r);
    static const char *const names[] = { "ln_f.weight", "ln_f.bias" };
    for (int i = 0; i < 2; i++) {
        const real *x = params_find(m->params, names[i])->weight.values, *y = params_find(large->params, names[i])->weight.values;
        CHECK(!memcmp(x, y, 12 * sizeof *x));
        for (int j = 12; j < 36; j++) CHECK(y[j] == 0);
    }
    lithe_model_close(large);
    lithe_model_close(m);
}

/* A statement is about what was done. */
static void statements(void)
{
    static const struct { const char *set, *method, *says, *not; } cases[] = {
        { "hidden_size=32", NULL, "copies of channels", "slots" }, { "num_layers=3", NULL, "new blocks add zero", "keys" },
        { "qkv_slot_num=30", "A", "exactly: new keys", "blocks" }, { "qkv_slot_num=30,num_layers=3", "A", "blocks", "channels" } };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        lithe_growth r;
        lithe_model *m = model("tokenformer", L2), *large = grown(m, LITHE_OPTIONS(lithe_grow_options, .set = cases[i].set, .method = cases[i].method), &r);
        CHECK_MSG(strstr(r.says, cases[i].says) && !strstr(r.says, cases[i].not), "%s: %s", r.moves, r.says);
        CHECK_MSG(!strncmp(r.symmetry, "broken: ", 8), "%s", r.symmetry);
        CHECK(lithe_growth_kept(&r) && r.rms_before > 0 && r.rms_after > 0);
        r.max_difference = 1;
        CHECK(lithe_growth_kept(&r) == !r.preserves);
        lithe_model_close(large);
        lithe_model_close(m);
    }
    refuses("gpt2", SMALL_GPT2, LITHE_OPTIONS(lithe_grow_options, .set = "n_layer=5", .noise = 0.1f), "repeats none");
    refuses("gpt2", SMALL_GPT2, LITHE_OPTIONS(lithe_grow_options, .factor = 1e9), "GB");
    refuses("gpt2", SMALL_GPT2, LITHE_OPTIONS(lithe_grow_options, .set = "n_embd=24", .method = "clone", .freeze_old = 1), "apart");
}

static void not_exact(void)
{
    differs("gpt2", SMALL_GPT2, LITHE_OPTIONS(lithe_grow_options, .factor = 2, .method = "corner"), 1e-2);
    differs("gpt2", SMALL_GPT2, LITHE_OPTIONS(lithe_grow_options, .set = "n_embd=16,n_head=4"), 1e-3);
    differs("gpt2", SMALL_GPT2, LITHE_OPTIONS(lithe_grow_options, .set = "n_inner=96", .noise = 0.05f), 1e-5);
}

/* AdamW moments: old rows to the bit, new rows zero; copies that are written get their share of the gradient. */
static void moments(void)
{
    lithe_error err = { 0 };
    lithe_model *m = model("tokenformer", L2);
    size_t n = m->params->arena_count;
    real *first = malloc(n * sizeof *first), *second = malloc(n * sizeof *second);
    for (size_t i = 0; i < n; i++) { first[i] = (real)random_normal(1, i); second[i] = (real)random_unit(2, i); }
    growth *g = growth_new(m, &LITHE_OPTIONS(lithe_grow_options, .set = SLOTS), NULL, &err);
    lithe_model *large = growth_apply(g, &err);
    size_t N = large->params->arena_count;
    real *lm = malloc(N * sizeof *lm), *lv = malloc(N * sizeof *lv);
    growth_moments(g, large, first, second, lm, lv);
    for (int i = 0; i < large->params->count; i++) {
        const param *p = large->params->items[i], *q = params_find(m->params, p->name);
        size_t to = p->offset, from = q->offset;
        CHECK(!memcmp(lm + to, first + from, q->count * sizeof *lm) && !memcmp(lv + to, second + from, q->count * sizeof *lv));
        for (size_t j = q->count; j < p->count; j++) CHECK(lm[to + j] == 0 && lv[to + j] == 0);
    }
    const param_group *s = large->groups;
    CHECK(large->group_count == 20);                         /* keys and values of five Pattentions in two layers */
    for (int i = 0; i < large->group_count; i++) CHECK(s[i].born == BORN_LATER && s[i].first + s[i].rows == s[i].param->rule.dims[0]);
    growth_free(g);
    lithe_model_close(large);
    lithe_model_close(m);
    free(first);
    free(second);
    free(lm);
    free(lv);
}

static bool same_groups(const lithe_model *a, const lithe_model *b)
{
    bool same = a->group_count == b->group_count;
    for (int i = 0; same && i < a->group_count; i++) {
        const param_group *x = &a->groups[i], *y = &b->groups[i];
        same = !strcmp(x->param->name, y->param->name) && x->first == y->first && x->rows == y->rows && x->born == y->born && x->lr_factor == y->lr_factor && x->frozen == y->frozen;
    }
    return same;
}

/* What trains by rules of its own lies in trainer.json beside the model, not in config.json; where an older version
 * wrote it there, it moves. */
static void groups_on_disk(void)
{
    lithe_error err = { 0 };
    lithe_model *m = model("tokenformer", SMALL_TOKENFORMER("l2_norm_gelu"));
    lithe_model *large = lithe_model_grow(m, &LITHE_OPTIONS(lithe_grow_options, .factor = 1.5, .old_lr = 0.25f), NULL, &err);
    CHECK_MSG(large && large->group_count == 40 && !lithe_model_save(large, in_dir("large"), NULL, NULL, &err), "%s", err.text);
    CHECK(!lithe_model_save(m, in_dir("small"), NULL, NULL, &err) && !path_exists(in_dir("small/trainer.json")));
    json_t *config = config_read(in_dir("large/config.json"), &err), *trainer = json_read(in_dir("large/trainer.json"), 1 << 20, 8, &err);
    CHECK(config && !json_object_get(config, "lithe_segments") && json_array_size(json_object_get(trainer, "groups")) == 40);
    lithe_model *back = lithe_model_open(in_dir("large"), NULL, &err);
    CHECK_MSG(back && same_groups(large, back), "%s", err.text);

    json_object_set(config, "lithe_segments", json_object_get(trainer, "groups"));
    CHECK(!json_write(config, in_dir("large/config.json"), &err) && !unlink(in_dir("large/trainer.json")));
    lithe_model *old = lithe_model_open(in_dir("large"), NULL, &err);
    CHECK_MSG(old && same_groups(large, old), "%s", err.text);
    CHECK(!lithe_model_save(old, in_dir("moved"), NULL, NULL, &err) && path_exists(in_dir("moved/trainer.json")));
    json_decref(config);
    CHECK((config = config_read(in_dir("moved/config.json"), &err)) && !json_object_get(config, "lithe_segments"));
    json_decref(config);
    json_decref(trainer);
    lithe_model_close(old);
    lithe_model_close(back);
    lithe_model_close(large);
    lithe_model_close(m);
}

/* The gradient of the larger model is the mapped gradient of the smaller one, so mapped moments are those it would have
 * had. */
static void moments_are_gradients(void)
{
    lithe_error err = { 0 };
    lithe_model *m = model("gpt2", SMALL_GPT2_DROPOUT);
    growth *g = growth_new(m, &LITHE_OPTIONS(lithe_grow_options, .set = "n_embd=24,n_inner=96", .method = "clone"), NULL, &err);
    lithe_model *large = growth_apply(g, &err), *both[2] = { m, large };
    CHECK_MSG(large != NULL, "%s", err.text);
    small_batch b;
    small_fill(&b, 23, 4);
    b.b.row_key = NULL;                         /* no dropout in attention; the rest is keyed alike only at one width */
    for (int i = 0; i < 2; i++) {
        params_gradients(both[i]->params, &err);
        small_model view = { .a = both[i]->arch, .config = both[i]->config, .task = both[i]->task, .p = both[i]->params };
        json_t *config = model_config(both[i], &err);
        json_object_set_new(config, "resid_pdrop", json_real(0));
        json_object_set_new(config, "embd_pdrop", json_real(0));
        arch_configure(both[i]->arch, config, both[i]->config, "test", &err);
        json_decref(config);
        results r;
        graph *built = small_graph(&view, GRAPH_TRAIN, false, "ref", &r);
        small_loss(built, &r, &b);
        graph_close(built);
    }
    size_t N = large->params->arena_count;
    real *lm = malloc(N * sizeof *lm), *lv = malloc(N * sizeof *lv);
    growth_moments(g, large, m->params->grad, m->params->grad, lm, lv);
    for (int i = 0; i < large->params->count; i++) {
        const param *p = large->params->items[i];
        double e = relative_error(lm + (p->grad - large->params->grad), p->grad, p->count);
        CHECK_MSG(e < 1e-4 || strstr(p->name, "c_attn.bias"), "%s: %g", p->name, e);
    }
    free(lm);
    free(lv);
    growth_free(g);
    lithe_model_close(large);
    lithe_model_close(m);
}

/* Right after growing: A: dV_new = 0, dK_new > 0; B and C: dV_new > 0. */
static void first_gradients(void)
{
    static const char *const methods[] = { "A", "B", "C" };
    for (int i = 0; i < 3; i++) {
        lithe_error err = { 0 };
        lithe_growth report;
        lithe_model *m = model("tokenformer", L2), *large = lithe_model_grow(m, &LITHE_OPTIONS(lithe_grow_options, .set = TWICE, .method = methods[i]), &report, &err);
        CHECK_MSG(large != NULL, "%s", err.text);
        params_gradients(large->params, &err);
        small_model view = { .a = large->arch, .config = large->config, .task = large->task, .p = large->params };
        small_batch b;
        results r;
        small_fill(&b, 23, 4);
        graph *g = small_graph(&view, GRAPH_TRAIN, false, "ref", &r);
        small_loss(g, &r, &b);
        const param *keys = params_find(large->params, "sequential.2.mlp.key_param_tokens"), *values = params_find(large->params, "sequential.2.mlp.value_param_tokens");
        double dk = 0, dv = 0;
        for (size_t j = keys->count / 2; j < keys->count; j++) dk += fabs((double)keys->grad[j]);
        for (size_t j = values->count / 2; j < values->count; j++) dv += fabs((double)values->grad[j]);
        if (i == 0) CHECK_MSG(dv == 0 && dk > 0, "A: dK %g, dV %g", dk, dv);
        else CHECK_MSG(dv > 0, "%s: dV %g", methods[i], dv);
        graph_close(g);
        lithe_model_close(large);
        lithe_model_close(m);
    }
}

const test tests_grow[] = {
    { "grow.slots by A to F", slots },
    { "grow.slots, what is refused", slots_refused },
    { "grow.twice, with the kept scale", twice },
    { "grow.depth, width, heads, inner width", depth_and_width },
    { "grow.gpt-neox in width with heads, inner width, depth", gpt_neox },
    { "grow.pangu-pi in width, depth, inner width, bottleneck", pangu_pi },
    { "grow.portable after a kept scale", portable },
    { "grow.layers of several kinds", kinds_of_layers },
    { "grow.nothing that is asked for is left out", asked_for_nothing },
    { "grow.new layers at the top, at the bottom, spread", where },
    { "grow.vectors before a tied head", vectors },
    { "grow.statements fit what was done", statements },
    { "grow.what is not exact says so", not_exact },
    { "grow.moments of slots", moments },
    { "grow.parameter groups on disk", groups_on_disk },
    { "grow.mapped moments are gradients", moments_are_gradients },
    { "grow.first gradients of new slots", first_gradients },
    { 0 }
};
