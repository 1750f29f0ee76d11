/* The encoders' files: parameters to the unit, tensors under every published
 * name, configurations old and new, and what no reader should guess. */
#include "base/file.h"
#include "encoders.h"
#include "golden.h"
#include "small.h"
#include "test.h"
#include "values.h"
#include <math.h>
#include <stdlib.h>

static json_t *parse(const char *text) { return json_loads(text, 0, NULL); }

/* ---- sizes ------------------------------------------------------------------------------- */

void encoders_published_sizes(void)
{
    static const struct { const char *arch, *config; size_t count; } known[] = {
        { "bert", "{\"architectures\":[\"BertForPreTraining\"]}", 110106428 },
        { "bert", "{\"architectures\":[\"BertForPreTraining\"],\"hidden_size\":1024,\"num_hidden_layers\":24,\"num_attention_heads\":16,\"intermediate_size\":4096}", 336226108 },
        { "roberta", "{\"max_position_embeddings\":514,\"type_vocab_size\":1,\"layer_norm_eps\":1e-5}", 124697433 },
        { "roberta", "{\"max_position_embeddings\":514,\"type_vocab_size\":1,\"hidden_size\":1024,\"num_hidden_layers\":24,\"num_attention_heads\":16,\"intermediate_size\":4096}", 355412057 },
        { "distilbert", "{\"architectures\":[\"DistilBertForMaskedLM\"]}", 66985530 },
        { "distilbert", "{\"architectures\":[\"DistilBertForSequenceClassification\"]}", 66955010 },
        { "mpnet", "{\"max_position_embeddings\":514}", 109518527 },
        { "mosaicbert", "{\"alibi_starting_size\":512}", 137400384 },
        { "mosaicbert", "{\"hidden_size\":1024,\"num_hidden_layers\":24,\"num_attention_heads\":16,\"intermediate_size\":4096}", 435221312 },
        { "modernbert", "{}", 149655232 },
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        lithe_error err = { 0 };
        json_t *json = parse(known[i].config);
        lithe_model *m = model_declare(arch_find(known[i].arch), json, "config.json", &err);
        CHECK_MSG(m && params_total(m->params) == known[i].count, "%s: %zu parameters, not %zu: %s", known[i].arch, m ? params_total(m->params) : 0, known[i].count, err.text);
        lithe_model_close(m);
        json_decref(json);
    }
}

/* ---- files made from the golden ones -------------------------------------------------------- */

typedef struct { const char *from, *to; } renaming;
enum { MOST = 80, NAME = 160 };

/* Writes the golden model under other names (each first match of `from` becomes `to`) with an extra tensor, or none. */
static char *variant(const char *golden_name, const char *weights, const renaming *renamings, const out_tensor *extra, json_t *config)
{
    static char dir[400];
    static int number;
    char path[500], source[100], names[MOST][NAME];
    lithe_error err = { 0 };
    out_tensor out[MOST];
    snprintf(source, sizeof source, "tests/golden/%s/%s", golden_name, weights);
    tensor_file *f = tensor_file_open(test_file(source), &err);
    CHECK_MSG(f && f->count + 1 < MOST, "%s", err.text);
    for (int i = 0; f && i < f->count; i++) {
        const file_tensor *t = &f->tensors[i];
        snprintf(names[i], NAME, "%s", t->name);
        for (const renaming *r = renamings; r && r->from; r++) {
            const char *at = strstr(t->name, r->from);
            if (at && (*r->from || at == t->name)) { snprintf(names[i], NAME, "%.*s%s%s", (int)(at - t->name), t->name, r->to, at + strlen(r->from)); break; }
        }
        out[i] = (out_tensor){ .name = names[i], .type = t->type, .rank = t->rank, .data = t->data };
        memcpy(out[i].dims, t->dims, sizeof t->dims);
    }
    int count = f ? f->count : 0;
    if (extra) out[count++] = *extra;
    snprintf(dir, sizeof dir, "%s/variant-%d", test_dir(), number++);
    CHECK(!dir_make(dir, &err));
    snprintf(path, sizeof path, "%s/model.safetensors", dir);
    CHECK_MSG(!safetensors_write(path, out, count, NULL, &err), "%s", err.text);
    snprintf(path, sizeof path, "%s/config.json", dir);
    CHECK(!json_dump_file(config, path, 0));
    json_decref(config);
    tensor_file_close(f);
    return dir;
}

static json_t *config_of(const char *name)
{
    char path[100];
    snprintf(path, sizeof path, "tests/golden/%s/config.json", name);
    return json_load_file(test_file(path), 0, NULL);
}

static json_t *with(const char *name, const char *key, const char *value)
{
    json_t *config = config_of(name);
    json_object_set_new(config, key, json_loads(value, JSON_DECODE_ANY, NULL));
    return config;
}

static json_t *without(json_t *config, const char *key)
{
    json_object_del(config, key);
    return config;
}

static lithe_model *opened(const char *dir, const char *what)
{
    lithe_error err = { 0 };
    lithe_model *m = lithe_model_open(dir, NULL, &err);
    CHECK_MSG(m, "%s: %s", what, err.text);
    return m;
}

static void check_variant(const char *name, const char *weights, const char *what, const renaming *renamings, json_t *config)
{
    char path[100];
    snprintf(path, sizeof path, "tests/golden/%s", name);
    lithe_model *whole = opened(test_file(path), what), *m = opened(variant(name, weights, renamings, NULL, config), what);
    CHECK_MSG(same_parameters(whole, m), "%s, %s: another model", name, what);
    lithe_model_close(m);
    lithe_model_close(whole);
}

/* What is saved has the names it is published under, of its own task's tensors alone. */
static void check_saved(const char *name, const char *weights)
{
    char path[100], dir[400], file[500];
    lithe_error err = { 0 };
    snprintf(path, sizeof path, "tests/golden/%s", name);
    lithe_model *m = opened(test_file(path), name);
    snprintf(dir, sizeof dir, "%s/saved-%s", test_dir(), name);
    CHECK(m && !lithe_model_save(m, dir, NULL, NULL, &err));
    snprintf(file, sizeof file, "%s/model.safetensors", dir);
    tensor_file *saved = tensor_file_open(file, &err);
    snprintf(file, sizeof file, "tests/golden/%s/%s", name, weights);
    tensor_file *published = tensor_file_open(test_file(file), &err);
    CHECK_MSG(saved && published && m && saved->count == m->params->count, "%s: %s", name, err.text);
    for (int i = 0; saved && published && i < saved->count; i++)
        CHECK_MSG(tensor_file_find(published, saved->tensors[i].name), "%s: saved as %s, which is no published name", name, saved->tensors[i].name);
    tensor_file_close(saved);
    tensor_file_close(published);
    lithe_model_close(m);
}

void encoders_names(void)
{
    static const char sf[] = "model.safetensors", bin[] = "pytorch_model.bin";
    check_variant("bert", sf, "without prefix", (const renaming[]){ { "bert.", "" }, { 0 } }, config_of("bert"));
    check_variant("bert", sf, "of Composer", (const renaming[]){ { "", "model." }, { 0 } }, config_of("bert"));
    check_variant("bert", sf, "gamma and beta", (const renaming[]){ { "LayerNorm.weight", "LayerNorm.gamma" }, { "LayerNorm.bias", "LayerNorm.beta" }, { 0 } }, config_of("bert"));
    check_variant("bert", sf, "the decoder's bias", (const renaming[]){ { "cls.predictions.bias", "cls.predictions.decoder.bias" }, { 0 } }, config_of("bert"));
    check_variant("roberta", sf, "the decoder's bias", (const renaming[]){ { "lm_head.bias", "lm_head.decoder.bias" }, { 0 } }, config_of("roberta"));
    check_variant("mosaicbert", bin, "the head's bias", (const renaming[]){ { "decoder.bias", "bias" }, { 0 } }, config_of("mosaicbert"));
    check_variant("mosaicbert", bin, "of Composer, recognised by its tensors", (const renaming[]){ { "", "model." }, { 0 } }, without(config_of("mosaicbert"), "alibi_starting_size"));
    check_variant("modernbert", sf, "without prefix", (const renaming[]){ { "model.", "" }, { 0 } }, config_of("modernbert"));
    check_variant("distilbert", sf, "without prefix", (const renaming[]){ { "distilbert.", "" }, { 0 } }, config_of("distilbert"));
    check_variant("roberta", sf, "of many languages", NULL, with("roberta", "model_type", "\"xlm-roberta\""));
    check_saved("bert", sf), check_saved("roberta", sf), check_saved("xlm-roberta", sf), check_saved("distilbert", sf), check_saved("mpnet", sf), check_saved("mosaicbert", bin), check_saved("modernbert", sf);

    json_t *newer = without(without(without(config_of("modernbert"), "global_attn_every_n_layers"), "global_rope_theta"), "local_rope_theta");
    json_object_set_new(newer, "layer_types", parse("[\"full_attention\",\"sliding_attention\",\"sliding_attention\",\"full_attention\"]"));
    json_object_set_new(newer, "rope_parameters", parse("{\"full_attention\":{\"rope_type\":\"default\",\"rope_theta\":160.0},\"sliding_attention\":{\"rope_type\":\"default\",\"rope_theta\":10.0}}"));
    lithe_model *old = opened(test_file("tests/golden/modernbert"), "modernbert"), *m = opened(variant("modernbert", sf, NULL, NULL, newer), "the newer config.json");
    CHECK(same_parameters(old, m) && m && !memcmp(old->config, m->config, m->arch->config.size));
    lithe_model_close(m);
    lithe_model_close(old);
}

/* ---- refusals ----------------------------------------------------------------------------------- */

static void refused(const char *dir, const char *says)
{
    lithe_error err = { 0 };
    lithe_model *m = lithe_model_open(dir, NULL, &err);
    CHECK_MSG(!m && err.status && strstr(err.text, says), "\"%s\" does not say %s", err.text, says);
    lithe_model_close(m);
}

void encoders_refused(void)
{
    static const char sf[] = "model.safetensors";
    static const float zeros[61];
    const out_tensor gamma = { .name = "bert.encoder.layer.0.output.LayerNorm.gamma", .type = DT_F32, .rank = 1, .dims = { 16 }, .data = zeros };
    const out_tensor head_gamma = { .name = "cls.predictions.transform.LayerNorm.gamma", .type = DT_F32, .rank = 1, .dims = { 16 }, .data = zeros };
    const out_tensor bias = { .name = "cls.predictions.decoder.bias", .type = DT_F32, .rank = 1, .dims = { 61 }, .data = zeros };
    const out_tensor stranger = { .name = "bert.encoder.layer.7.output.dense.bias", .type = DT_F32, .rank = 1, .dims = { 16 }, .data = zeros };
    refused(variant("bert", sf, NULL, &gamma, config_of("bert")), "LayerNorm.gamma");
    refused(variant("bert", sf, NULL, &head_gamma, config_of("bert")), "another name of it");
    refused(variant("bert", sf, NULL, &bias, config_of("bert")), "another name of it");
    refused(variant("bert", sf, NULL, &stranger, config_of("bert")), "layer.7.output.dense.bias");
    refused(variant("bert", sf, (const renaming[]){ { "layer.1.output.dense.bias", "layer.1.output.dense.shift" }, { 0 } }, NULL, config_of("bert")), "layer.1.output.dense.bias");
    refused(variant("bert", sf, NULL, NULL, with("bert", "position_embedding_type", "\"relative_key\"")), "relative_key");
    refused(variant("bert", sf, NULL, NULL, with("bert", "is_decoder", "true")), "is_decoder");
    refused(variant("bert", sf, NULL, NULL, with("bert", "num_attention_heads", "3")), "does not divide hidden_size");
    refused(variant("bert", sf, NULL, NULL, with("bert", "tie_word_embeddings", "false")), "cls.predictions.decoder.weight");
    refused(variant("roberta", sf, NULL, NULL, with("roberta", "pad_token_id", "25")), "positions begin after");
    refused(variant("roberta", sf, NULL, NULL, with("roberta", "architectures", "[\"RobertaForPreTraining\"]")), "next sentence");
    refused(variant("modernbert", sf, NULL, NULL, with("modernbert", "layer_types", "[\"full_attention\",\"full_attention\",\"sliding_attention\",\"full_attention\"]")), "layer_types");
    refused(variant("modernbert", sf, NULL, NULL, with("modernbert", "rope_parameters", "{\"full_attention\":{\"rope_type\":\"yarn\"}}")), "rope_type");
    refused(variant("modernbert", sf, NULL, NULL, with("modernbert", "classifier_pooling", "\"max\"")), "classifier_pooling");
    refused(variant("modernbert", sf, NULL, NULL, with("modernbert", "num_attention_heads", "16")), "rotary");
    lithe_error err = { 0 };
    lithe_model *m = lithe_model_open(test_file("tests/golden/roberta"), NULL, &err);
    int32_t ids[25] = { 0 };
    static float logits[25 * 61];
    /* 26 rows, of which two stand before position 0 */
    CHECK(m && lithe_model_context(m) == 24 && lithe_logits(m, ids, 24, logits, &err) == 0);
    CHECK(lithe_logits(m, ids, 25, logits, &err) < 0 && strstr(err.text, "1 to 24"));
    lithe_model_close(m);
}

/* ---- initial values --------------------------------------------------------------------------------- */

/* Deviation of a normal distribution cut at two of its deviations: 0.87962566. */
void encoders_initial_values(void)
{
    static const struct { const char *part; double std; } rules[] = {
        { "tok_embeddings", 0.02 }, { "Wqkv", 0.02 }, { "Wi", 0.02 }, { "attn.Wo", 0.02 * M_SQRT1_2 / 2 }, { "mlp.Wo", 0.02 * M_SQRT1_2 / 2 }, { "head.dense", 0.02 * M_SQRT1_2 / 2 }, { "classifier.weight", 0.125 },
    };
    lithe_error err = { 0 };
    lithe_model *m = lithe_model_new("modernbert", "{\"hidden_size\":64,\"num_hidden_layers\":4,\"num_attention_heads\":2,\"intermediate_size\":96,\"vocab_size\":500,"
                                     "\"architectures\":[\"ModernBertForSequenceClassification\"],\"num_labels\":40}", 3, &err);
    CHECK_MSG(m, "%s", err.text);
    for (int t = 0; m && t < m->params->count; t++) {
        const param *p = m->params->items[t];
        double std = 0, sum = 0, furthest = 0;
        for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
            if (p->rule.rank == 2 && strstr(p->name, rules[i].part)) std = rules[i].std;
        for (size_t i = 0; i < p->count; i++) sum += (double)p->weight.values[i] * (double)p->weight.values[i], furthest = fmax(furthest, fabs((double)p->weight.values[i]));
        if (p->rule.rank < 2) continue;
        CHECK_MSG(furthest <= 2 * std * (1 + 1e-6) && furthest > 1.9 * std, "%s: as far out as %.4g, cut at %.4g", p->name, furthest, 2 * std);
        CHECK_MSG(fabs(sqrt(sum / (double)p->count) / (0.87962566 * std) - 1) < 0.04, "%s: a deviation of %.4g", p->name, sqrt(sum / (double)p->count));
    }
    lithe_model_close(m);
}

/* ---- several labels at once ------------------------------------------------------------------------------- */

static const char vocabulary[] = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nan\napple\na\nday\n";

/* What the golden classifier of so many labels says of a text, with this problem_type. */
static void say_labels(const char *problem, int labels, float *out)
{
    static const char *const text[] = { "an apple a day" };
    lithe_error err = { 0 };
    json_t *config = json_load_file(test_file("tests/golden/bert/config.json"), 0, NULL), *names = json_object();
    for (int i = 0; i < labels; i++) json_object_set_new(names, (const char *const[]){ "0", "1", "2" }[i], json_string("x"));
    json_object_set_new(config, "id2label", names);
    json_object_set_new(config, "architectures", json_pack("[s]", "BertForSequenceClassification"));
    if (problem) json_object_set_new(config, "problem_type", json_string(problem));
    CHECK(!json_dump_file(config, in_dir("c.json"), 0));
    json_decref(config);
    lithe_model *m = lithe_model_open(test_file("tests/golden/bert/model.safetensors"), in_dir("c.json"), &err);
    CHECK(!file_write(in_dir("vocab.txt"), vocabulary, sizeof vocabulary - 1, &err));
    lithe_tokenizer *t = lithe_tokenizer_open(in_dir("vocab.txt"), &err);
    CHECK_MSG(m && t && lithe_classify(m, t, text, NULL, 1, out, NULL, &err) == labels, "%s: %s", problem ? problem : "none", err.text);
    lithe_tokenizer_close(t);
    lithe_model_close(m);
}

/* Each label has a probability of its own: the sigmoids of the logits whose softmax the classes are. */
void encoders_several_labels(void)
{
    float one[3] = { 0 }, several[3] = { 0 };
    double sum = 0;
    say_labels("single_label_classification", 3, one);
    say_labels("multi_label_classification", 3, several);
    for (int i = 0; i < 3; i++) sum += (double)several[i] / (1 - (double)several[i]);
    for (int i = 0; i < 3; i++) {
        double e = (double)several[i] / (1 - (double)several[i]);
        CHECK_MSG(fabs(e / sum - (double)one[i]) < 1e-6, "label %d: %g of %g, %g", i, e, sum, (double)one[i]);
    }
}

/* ---- growing -------------------------------------------------------------------------------------------- */

static void check_growth(const char *name, lithe_grow_options o, const char *says)
{
    lithe_error err = { 0 };
    lithe_growth report = { 0 };
    char path[100];
    int32_t ids[20];
    snprintf(path, sizeof path, "tests/golden/%s", name);
    lithe_model *m = opened(test_file(path), name), *large = lithe_model_grow(m, &o, &report, &err);
    for (int i = 0; i < 20; i++) ids[i] = i * 3;
    CHECK_MSG(large && !lithe_compare(m, large, ids, 20, &report, &err), "%s: %s", name, err.text);
    CHECK_MSG(report.preserves == !says && (!says || strstr(report.says, says)), "%s: %s: %s", name, report.moves, report.says);
    CHECK_MSG(says || report.max_difference <= 1e-5 * report.max_logit, "%s: %s: differs by %.3g of %.3g", name, report.moves, report.max_difference, report.max_logit);
    lithe_model_close(large);
    lithe_model_close(m);
}

/* A number of parameters takes what is preserved; sizes that are asked for say what they change. */
void encoders_grow(void)
{
    static const char *const names[] = { "bert", "roberta", "mosaicbert", "modernbert" };
    for (int i = 0; i < 4; i++)
        for (int factor = 2; factor <= 3; factor++) check_growth(names[i], LITHE_OPTIONS(lithe_grow_options, .factor = factor), NULL);
    check_growth("bert", LITHE_OPTIONS(lithe_grow_options, .set = "hidden_size=32"), NULL);
    check_growth("bert", LITHE_OPTIONS(lithe_grow_options, .set = "num_hidden_layers=4"), "a norm stands after each sum");
    check_growth("mosaicbert", LITHE_OPTIONS(lithe_grow_options, .set = "hidden_size=36"), "slopes");
    check_growth("modernbert", LITHE_OPTIONS(lithe_grow_options, .set = "num_hidden_layers=7,hidden_size=32"), NULL);
}
