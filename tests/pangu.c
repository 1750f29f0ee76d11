/* PanGu-pi beside the LLaMA it is made of: off it is one, a fresh one computes
 * the same, any LLaMA grows into one; what its configuration refuses; its
 * parameters counted. */
#include "grow/growth.h"
#include "model/groups.h"
#include "base/json.h"
#include "base/random.h"
#include "small.h"
#include "test.h"
#include "values.h"
#include <math.h>
#include <stdlib.h>

enum { IDS = 40 };
static int32_t ids[IDS];

static lithe_model *fresh(const char *name, const char *config, uint64_t seed)
{
    lithe_error err = { 0 };
    lithe_model *m = lithe_model_new(name, config, seed, &err);
    if (!m) { test_fail(__FILE__, __LINE__, err.text); fflush(stdout); _Exit(1); }
    for (int i = 0; i < IDS; i++) ids[i] = (int32_t)(random_u64(1, (uint64_t)i) % 23);
    return m;
}

/* SMALL_LLAMA with keys of PanGu-pi after them. */
#define SIZES "\"vocab_size\":23,\"max_position_embeddings\":24,\"hidden_size\":16,\"num_hidden_layers\":2,\"num_attention_heads\":4,\"num_key_value_heads\":2,\"intermediate_size\":20,\"initializer_range\":0.3"

static double difference(lithe_model *a, lithe_model *b)
{
    lithe_error err = { 0 };
    lithe_growth r;
    CHECK_MSG(!lithe_compare(a, b, ids, IDS, &r, &err), "%s", err.text);
    CHECK(r.max_logit > 0.1);
    return r.max_difference;
}

/* ---- the same as LLaMA ------------------------------------------------------------------ */

static void gradients_of(const char *name, const char *config, double *loss, params **out)
{
    small_model m = small_new(name, config, 5);
    small_batch b;
    results r;
    small_fill(&b, 23, 11);
    graph *g = small_graph(&m, GRAPH_TRAIN, false, kernels_default()->name, &r);
    *loss = small_loss(g, &r, &b);
    graph_close(g);
    *out = m.p;
    free(m.config);
}

/* One branch and no shortcut: every bit of the loss and of the gradients. */
static void off_is_llama(void)
{
    double loss[2];
    params *p[2];
    gradients_of("llama", "{" SIZES ",\"attention_bias\":true}", &loss[0], &p[0]);
    gradients_of("pangu_pi", "{" SIZES ",\"attn_bias\":true,\"siaf_n\":1,\"aug_branches\":0}", &loss[1], &p[1]);
    CHECK(loss[0] == loss[1] && p[0]->count == p[1]->count && p[0]->arena_count == p[1]->arena_count);
    CHECK(!memcmp(p[0]->grad, p[1]->grad, p[0]->arena_count * sizeof(real)));
    params_free(p[0]);
    params_free(p[1]);
}

/* At initial values the additions do nothing: the parameters LLaMA has too begin alike, so all is the same. */
static void fresh_is_llama(void)
{
    static const char *const configs[] = {
        "{" SIZES "}", "{" SIZES ",\"siaf_n\":4,\"siaf_gain\":true,\"aug_branches\":2,\"aug_ffn\":true}", "{" SIZES ",\"aug_kind\":\"dense\",\"siaf_param\":\"scalar\"}",
        "{" SIZES ",\"aug_act_pos\":\"after\",\"aug_act\":\"tanh\",\"aug_input\":\"raw\"}", "{" SIZES ",\"aug_act\":\"gelu0\",\"siaf_act\":\"silu,tanh\"}",
    };
    lithe_model *base = fresh("llama", "{" SIZES "}", 3);
    for (size_t i = 0; i < sizeof configs / sizeof *configs; i++) {
        lithe_model *m = fresh("pangu_pi", configs[i], 3);
        CHECK(lithe_model_params(m) > lithe_model_params(base));
        CHECK_MSG(difference(base, m) == 0, "%s: %g", configs[i], difference(base, m));
        small_perturb(m->params, 0.2, 4);
        CHECK_MSG(difference(base, m) > 1e-3, "%s: its additions do nothing", configs[i]);
        lithe_model_close(m);
    }
    lithe_model_close(base);
}

/* What is off is written as a LLaMA and opens as one; what is on does not. */
static void off_is_written_as_llama(void)
{
    lithe_error err = { 0 };
    char dir[2][400];
    lithe_model *m = fresh("pangu_pi", "{" SIZES ",\"siaf_n\":1,\"aug_kind\":\"none\"}", 3), *on = fresh("pangu_pi", "{" SIZES "}", 3);
    lithe_model *both[] = { m, on };
    for (int i = 0; i < 2; i++) {
        snprintf(dir[i], sizeof dir[i], "%s/%d", test_dir(), i);
        CHECK_MSG(!lithe_model_save(both[i], dir[i], NULL, NULL, &err), "%s", err.text);
        lithe_model *again = lithe_model_open(dir[i], NULL, &err);
        CHECK_MSG(again, "%s", err.text);
        CHECK(again && !strcmp(lithe_model_arch(again), i ? "pangu_pi" : "llama"));
        CHECK(again && difference(both[i], again) == 0);
        if (again && i == 0) CHECK(!json_object_get(again->json, "siaf_n") && !strcmp(json_string_value(json_array_get(json_object_get(again->json, "architectures"), 0)), "LlamaForCausalLM"));
        lithe_model_close(again);
    }
    /* A file with its tensors that calls itself a LLaMA is refused by the name of one. */
    char path[450];
    snprintf(path, sizeof path, "%s/config.json", dir[1]);
    FILE *f = fopen(path, "w");
    fputs("{\"model_type\":\"llama\"," SIZES "}", f);
    fclose(f);
    lithe_model *wrong = lithe_model_open(dir[1], NULL, &err);
    CHECK_MSG(!wrong && (strstr(err.text, "siaf") || strstr(err.text, ".aug.")), "%s", err.text);
    lithe_model_close(wrong);
    lithe_model_close(m);
    lithe_model_close(on);
}

/* Two branches through k channels are one through 2 k: D under D, U beside U. */
static void branches_are_width(void)
{
    lithe_model *two = fresh("pangu_pi", "{" SIZES ",\"aug_branches\":2,\"aug_width\":3}", 3), *one = fresh("pangu_pi", "{" SIZES ",\"aug_width\":6}", 3);
    small_perturb(two->params, 0.3, 4);
    for (int i = 0; i < one->params->count; i++) {
        param *p = one->params->items[i];
        char name[2][200];
        const char *mark = strstr(p->name, ".aug.0.");
        if (!mark) { memcpy(p->weight.values, params_find(two->params, p->name)->weight.values, p->count * sizeof(real)); continue; }
        for (int t = 0; t < 2; t++) {
            snprintf(name[t], sizeof name[t], "%.*s.aug.%d.%s", (int)(mark - p->name), p->name, t, mark + 7);
            const param *from = params_find(two->params, name[t]);
            bool down = p->rule.dims[0] == 6;
            for (int r = 0; r < from->rule.dims[0]; r++)
                for (int c = 0; c < from->rule.dims[1]; c++)
                    p->weight.values[down ? (t * 3 + r) * 16 + c : r * 6 + t * 3 + c] = from->weight.values[r * from->rule.dims[1] + c];
        }
        p->weight.version++;
    }
    double d = difference(two, one);
    CHECK_MSG(d <= 2e-6, "two branches of 3 differ from one of 6 by %g", d);
    lithe_model_close(two);
    lithe_model_close(one);
}

/* ---- configurations ---------------------------------------------------------------------- */

static void refused_configurations(void)
{
    static const struct { const char *keys, *because; } bad[] = {
        { "\"siaf_n\":3", "siaf_gain" }, { "\"aug_kind\":\"dense\",\"aug_branches\":2", "begin alike" }, { "\"siaf_act\":\"relu\"", "no slope" }, { "\"siaf_n\":4,\"siaf_act\":\"silu,tanh,gelu,tanh\"", "begin alike" },
        { "\"siaf_n\":2,\"siaf_act\":\"silu,tanh,gelu\"", "3 activations for 2" }, { "\"siaf_act\":\"silu,,\"", "siaf_act" }, { "\"siaf_act\":\"\"", "siaf_act" }, { "\"siaf_n\":8,\"siaf_act\":\"tanh,tanh,tanh,tanh,tanh,tanh,tanh,tanh,tanh\"", "more than 8" }, { "\"siaf_act\":\"silu,swash\"", "swash" },
        { "\"siaf_act\":7", "siaf_act" }, { "\"siaf_n\":1,\"siaf_act\":\"tanh\"", "hidden_act" }, { "\"siaf_n\":9", "siaf_n" }, { "\"siaf_n\":0", "siaf_n" }, { "\"siaf_window\":2", "siaf_window" }, { "\"siaf_windows\":1", "siaf_windows" },
        { "\"aug_fnn\":true", "aug_fnn" }, { "\"aug_kind\":\"circulant\"", "circulant" }, { "\"aug_act\":\"gelu0\",\"aug_kind\":\"dense\"", "gelu0" },
        { "\"aug_act\":\"gelu0\",\"aug_act_pos\":\"after\"", "gelu0" }, { "\"aug_act\":\"relu\",\"aug_act_pos\":\"after\"", "relu" }, { "\"aug_branches\":-1", "aug_branches" },
        { "\"aug_width\":100000000", "aug_width" }, { "\"aug_scale\":0", "aug_scale" }, { "\"num_attention_heads\":3", "num_attention_heads" },
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        lithe_error err = { 0 };
        char config[600];
        snprintf(config, sizeof config, "{" SIZES ",%s}", bad[i].keys);
        if (strstr(bad[i].keys, "heads")) snprintf(config, sizeof config, "{\"hidden_size\":16,%s}", bad[i].keys);
        lithe_model *m = lithe_model_new("pangu_pi", config, 1, &err);
        CHECK_MSG(!m && strstr(err.text, bad[i].because), "%s: %s", bad[i].keys, err.text);
        lithe_model_close(m);
    }
    lithe_model_close(fresh("pangu_pi", "{" SIZES ",\"siaf_n\":3,\"siaf_act\":\"relu,tanh,silu\",\"siaf_window\":0}", 1));
}

/* ---- parameters counted ------------------------------------------------------------------- */

static double counted(const char *name, const char *config)
{
    lithe_error err = { 0 };
    json_t *json = json_loads(config, 0, NULL);
    lithe_model *m = model_declare(arch_find(name), json, "test", &err);
    CHECK_MSG(m, "%s", err.text);
    double n = m ? (double)params_total(m->params) : 0;
    lithe_model_close(m);
    json_decref(json);
    return n;
}

/* The published shape of PanGu-pi Pro's ablations, and what the additions cost each layer. */
static void counts(void)
{
    double pro = counted("llama", "{\"hidden_size\":1792,\"intermediate_size\":4864,\"vocab_size\":48000,\"num_hidden_layers\":20,\"num_attention_heads\":14,\"attention_bias\":true}");
    CHECK_MSG(pro == 952127232.0, "%.0f", pro);
    static const struct { int d, F, heads, k, base, shortcut, series; } layers[] = {
        { 128, 344, 4, 16, 197632, 4096, 1376 }, { 256, 688, 4, 16, 790528, 8192, 2752 }, { 768, 2048, 12, 24, 7077888, 36864, 8192 },
        { 1792, 4864, 14, 56, 38993920, 200704, 19456 }, { 4096, 11008, 32, 128, 202375168, 1048576, 44032 },
    };
    for (size_t i = 0; i < sizeof layers / sizeof *layers; i++) {
        char config[400];
        double n[3];
        static const char *const keys[] = { "\"siaf_n\":1,\"aug_branches\":0", "\"siaf_n\":1", "\"aug_branches\":0" };
        for (int j = 0; j < 3; j++) {
            snprintf(config, sizeof config, "{\"hidden_size\":%d,\"intermediate_size\":%d,\"num_attention_heads\":%d,\"vocab_size\":1,\"tie_word_embeddings\":true,\"num_hidden_layers\":1,%s}",
                     layers[i].d, layers[i].F, layers[i].heads, keys[j]);
            n[j] = counted("pangu_pi", config) - 4.0 * layers[i].d;          /* embedding, three norms */
        }
        CHECK_MSG(n[0] == layers[i].base && n[1] - n[0] == layers[i].shortcut && n[2] - n[0] == layers[i].series, "d %d: %.0f, shortcut %.0f, series %.0f",
                  layers[i].d, n[0], n[1] - n[0], n[2] - n[0]);
    }
}

/* ---- growing ------------------------------------------------------------------------------- */

static lithe_model *become(lithe_model *m, const char *set, lithe_growth *r)
{
    lithe_error err = { 0 };
    lithe_model *large = lithe_model_grow(m, &LITHE_OPTIONS(lithe_grow_options, .to = "pangu-pi", .set = set, .seed = 9), r, &err);
    if (!large) { test_fail(__FILE__, __LINE__, err.text); fflush(stdout); _Exit(1); }
    CHECK_MSG(!lithe_compare(m, large, ids, IDS, r, &err), "%s", err.text);
    return large;
}

static void llama_becomes_one(void)
{
    static const struct { const char *arch, *config; } bases[] = {
        { "llama", SMALL_LLAMA }, { "llama", SMALL_LLAMA_TIED }, { NULL, "{\"model_type\":\"qwen2\"," SIZES "}" }, { NULL, "{\"model_type\":\"mistral\"," SIZES "}" },
        { NULL, "{\"model_type\":\"llama\",\"architectures\":[\"LlamaForSequenceClassification\"],\"num_labels\":3," SIZES "}" },
    };
    static const char *const sets[] = { NULL, "siaf_n=3,siaf_gain=true,siaf_act=silu,tanh,gelu,aug_branches=2", "aug_kind=dense,aug_ffn=true", "siaf_param=scalar,aug_width=5,aug_act=gelu0" };
    for (size_t b = 0; b < sizeof bases / sizeof *bases; b++)
        for (size_t s = 0; s < sizeof sets / sizeof *sets; s++) {
            if (b == 4 && s) continue;                       /* compared below, without a vocabulary of logits */
            lithe_growth r;
            lithe_error err = { 0 };
            lithe_model *m = fresh(bases[b].arch, bases[b].config, 3), *large = NULL;
            small_perturb(m->params, 0.2, 9);
            if (b == 4) large = lithe_model_grow(m, &LITHE_OPTIONS(lithe_grow_options, .to = "pangu_pi"), &r, &err);
            else large = become(m, sets[s], &r);
            CHECK_MSG(large && r.preserves && !strcmp(lithe_model_arch(large), "pangu_pi"), "%s %s", r.says, err.text);
            if (b < 4) CHECK_MSG(r.max_difference == 0, "%s with %s: %g", bases[b].config, sets[s] ? sets[s] : "defaults", r.max_difference);
            CHECK(r.params_after > r.params_before);
            char dir[400];
            snprintf(dir, sizeof dir, "%s/%zu-%zu", test_dir(), b, s);
            CHECK_MSG(!lithe_model_save(large, dir, NULL, NULL, &err), "%s", err.text);
            lithe_model *again = lithe_model_open(dir, NULL, &err);
            CHECK_MSG(again && !strcmp(lithe_model_arch(again), "pangu_pi") && !strcmp(lithe_model_task(again), lithe_model_task(m)), "%s", err.text);
            CHECK(same_parameters(again, large));
            lithe_model_close(again);
            lithe_model_close(large);
            lithe_model_close(m);
        }
}

static double length_of(const params *p, const char *part, bool gradient)
{
    double sum = 0;
    for (int i = 0; i < p->count; i++)
        for (size_t j = 0; strstr(p->items[i]->name, part) && j < p->items[i]->count; j++) {
            double x = (double)(gradient ? p->items[i]->grad[j] : p->items[i]->weight.values[j]);
            sum += x * x;
        }
    return sqrt(sum);
}

/* The second branch and the way up have gradients at once, the way down as soon as the way up is not zero. */
static void what_is_new_learns(void)
{
    lithe_growth r;
    lithe_error err = { 0 };
    lithe_model *m = fresh("llama", SMALL_LLAMA, 3), *large = become(m, NULL, &r);
    params_gradients(large->params, &err);
    small_model view = { .a = large->arch, .config = large->config, .task = large->task, .p = large->params };
    small_batch b;
    results out;
    small_fill(&b, 23, 4);
    graph *g = small_graph(&view, GRAPH_TRAIN, false, "ref", &out);
    double before = small_loss(g, &out, &b);
    const param *scale = params_find(large->params, "model.layers.0.mlp.siaf.scale"), *bias = params_find(large->params, "model.layers.1.mlp.siaf.bias");
    for (size_t i = scale->count / 2; i < scale->count; i++) CHECK(scale->weight.values[i] == 0 && scale->grad[i] != 0 && bias->weight.values[i] == 0 && bias->grad[i] != 0);
    CHECK(length_of(large->params, ".aug.0.up.", true) > 0 && length_of(large->params, ".aug.0.up.", false) == 0);
    CHECK(length_of(large->params, ".aug.0.down.", true) == 0 && length_of(large->params, ".aug.0.down.", false) > 0);
    for (size_t i = 0; i < large->params->arena_count; i++) large->params->values[i] -= (real)0.01 * large->params->grad[i];
    params_edit(large->params);
    double after = small_loss(g, &out, &b);
    CHECK_MSG(after < before && length_of(large->params, ".aug.0.down.", true) > 0, "%g -> %g", before, after);
    graph_close(g);
    lithe_model_close(large);
    lithe_model_close(m);
}

/* Old parameters keep their moments to the bit, new ones begin without and count their steps from now. */
static void moments_are_carried(void)
{
    lithe_error err = { 0 };
    lithe_model *m = fresh("llama", SMALL_LLAMA, 3);
    size_t n = m->params->arena_count;
    real *first = malloc(n * sizeof *first), *second = malloc(n * sizeof *second);
    for (size_t i = 0; i < n; i++) { first[i] = (real)random_normal(1, i); second[i] = (real)random_unit(2, i); }
    growth *g = growth_new(m, &LITHE_OPTIONS(lithe_grow_options, .to = "pangu-pi"), NULL, &err);
    lithe_model *large = growth_apply(g, &err);
    CHECK_MSG(large, "%s", err.text);
    size_t N = large->params->arena_count;
    real *lm = malloc(N * sizeof *lm), *lv = malloc(N * sizeof *lv);
    growth_moments(g, large, first, second, lm, lv);
    int added = 0;
    for (int i = 0; i < large->params->count; i++) {
        const param *p = large->params->items[i], *q = params_find(m->params, p->name);
        size_t to = p->offset, from = q ? q->offset : 0;
        if (q) CHECK(!memcmp(lm + to, first + from, q->count * sizeof *lm) && !memcmp(lv + to, second + from, q->count * sizeof *lv));
        else for (size_t j = 0; j < p->count; j++) CHECK(lm[to + j] == 0 && lv[to + j] == 0);
        added += !q;
    }
    const param_group *s = large->groups;
    /* scale, bias, down, up of two layers */
    CHECK_MSG(added == 8 && large->group_count == added, "%d added, %d groups", added, large->group_count);
    for (int i = 0; i < large->group_count; i++) CHECK(s[i].born == BORN_LATER && s[i].first == 0 && s[i].rows == s[i].param->rule.dims[0]);
    growth_free(g);
    lithe_model_close(large);
    lithe_model_close(m);
    free(first), free(second), free(lm), free(lv);
}

static void growing_refuses(void)
{
    struct { const char *arch, *config; lithe_grow_options o; const char *because; } bad[] = {
        { "gpt2", SMALL_GPT2, { .to = "pangu-pi" }, "gpt2 does not become" }, { "llama", SMALL_LLAMA, { .to = "llama" }, "does not become" }, { "llama", SMALL_LLAMA, { .to = "panda" }, "not a known" },
        { "pangu_pi", SMALL_PANGU_PI, { .to = "pangu-pi" }, "does not become" }, { "llama", SMALL_LLAMA, { .to = "pangu-pi", .factor = 2 }, "keeps the sizes" },
        { "llama", SMALL_LLAMA, { .to = "pangu-pi", .set = "hidden_size=32" }, "hidden_size" }, { "llama", SMALL_LLAMA, { .to = "pangu-pi", .set = "siaf_n=3" }, "siaf_gain" },
        { "llama", SMALL_LLAMA, { .to = "pangu-pi", .set = "siaf_n" }, "KEY=VALUE" }, { "llama", SMALL_LLAMA, { .to = "pangu-pi", .method = "corner" }, "no method" },
        { "llama", SMALL_LLAMA, { .to = "pangu-pi", .set = "siaf_act=zzz" }, "zzz" },
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        lithe_error err = { 0 };
        bad[i].o.size = sizeof bad[i].o;
        lithe_model *m = fresh(bad[i].arch, bad[i].config, 1), *large = lithe_model_grow(m, &bad[i].o, NULL, &err);
        CHECK_MSG(!large && strstr(err.text, bad[i].because), "%zu: %s", i, err.text);
        lithe_model_close(large);
        lithe_model_close(m);
    }
    lithe_growth r;
    lithe_model *m = fresh("llama", SMALL_LLAMA, 1), *small = become(m, "aug_init=small", &r), *scaled = become(m, "aug_scale=0.75", &r);
    CHECK(!r.preserves && strstr(r.says, "aug_scale") && r.max_difference > 1e-3);
    lithe_growth again;
    lithe_model_close(become(m, "aug_init=small", &again));
    CHECK(!again.preserves && strstr(again.says, "aug_init") && again.max_difference > 1e-4);
    lithe_model_close(small);
    lithe_model_close(scaled);
    lithe_model_close(m);
}

const test tests_pangu[] = {
    { "pangu: off it is LLaMA, to the bit", off_is_llama },
    { "pangu: fresh it computes what LLaMA does", fresh_is_llama },
    { "pangu: off it is written as a LLaMA", off_is_written_as_llama },
    { "pangu: shortcuts side by side are one wider", branches_are_width },
    { "pangu: configurations refused", refused_configurations },
    { "pangu: parameters counted", counts },
    { "pangu: any LLaMA becomes one, exactly", llama_becomes_one },
    { "pangu: what is new has gradients", what_is_new_learns },
    { "pangu: moments are carried", moments_are_carried },
    { "pangu: growing into one refuses", growing_refuses },
    { 0 }
};
