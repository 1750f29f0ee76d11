/* GPT-NeoX: rows in the order of heads as its files keep them, published files
 * read and written bit for bit, classes of sequences, its keys in every spelling. */
#include "base/file.h"
#include "golden.h"
#include "model.h"
#include "test.h"
#include <math.h>
#include <stdlib.h>

static const char *golden_dir(const char *name)
{
    static char path[128];
    snprintf(path, sizeof path, "tests/golden/%s", name);
    return test_file(path);
}

static lithe_model *must_open(const char *path, const char *config)
{
    lithe_error err = { 0 };
    lithe_model *m = lithe_model_open(path, config, &err);
    CHECK_MSG(m, "%s", err.text);
    return m;
}

static tensor_file *tensors_of(const char *dir)
{
    lithe_error err = { 0 };
    char path[512];
    snprintf(path, sizeof path, "%s/model.safetensors", dir);
    tensor_file *f = tensor_file_open(path, &err);
    CHECK_MSG(f, "%s", err.text);
    return f;
}

/* ---- rows ---------------------------------------------------------------------------- */

/* Hugging Face looks at the fused outputs as (heads, 3, channels); here they are (3, heads, channels). */
static void check_rows(const lithe_model *m, const tensor_file *f, const char *name, int H, int hd, int columns)
{
    const file_tensor *t = tensor_file_find(f, name);
    const param *p = params_find(m->params, name);
    float *rows = t ? malloc(t->count * sizeof *rows) : NULL;
    real *values = p ? weight_copy(&p->weight, p->count) : NULL;
    CHECK_MSG(rows && values && t->count == p->count && (int)t->count == 3 * H * hd * columns && file_tensor_floats(t, 0, t->count, rows), "%s", name);
    for (int part = 0; rows && values && part < 3; part++)
        for (int h = 0; h < H; h++)
            for (int c = 0; c < hd; c++)
                for (int i = 0; i < columns; i++) {
                    float theirs = rows[((h * 3 + part) * hd + c) * columns + i], ours = (float)values[((part * H + h) * hd + c) * columns + i];
                    CHECK_MSG(!(theirs < ours) && !(theirs > ours), "%s: part %d, head %d, channel %d", name, part, h, c);
                }
    free(rows);
    free(values);
}

static void rows_of_heads(void)
{
    lithe_model *m = must_open(golden_dir("gpt_neox"), NULL), *s = must_open(golden_dir("gpt_neox-sequential"), NULL);
    tensor_file *f = tensors_of(golden_dir("gpt_neox")), *g = tensors_of(golden_dir("gpt_neox-sequential"));
    check_rows(m, f, "gpt_neox.layers.1.attention.query_key_value.weight", 2, 8, 16);
    check_rows(m, f, "gpt_neox.layers.0.attention.query_key_value.bias", 2, 8, 1);
    check_rows(s, g, "gpt_neox.layers.1.attention.query_key_value.weight", 4, 4, 16);
    CHECK(!params_find(s->params, "gpt_neox.layers.1.attention.query_key_value.bias") && !params_find(s->params, "embed_out.weight"));
    tensor_file_close(f);
    tensor_file_close(g);
    lithe_model_close(m);
    lithe_model_close(s);
}

/* What is saved are the bytes that were read, in their order of rows. */
static void written_as_published(void)
{
    static const struct { const char *name, *type; } CASES[] = { { "gpt_neox", "f32" }, { "gpt_neox-sequential", NULL }, { "gpt_neox-new", "f16" } };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        lithe_error err = { 0 };
        lithe_model *m = must_open(golden_dir(CASES[i].name), NULL);
        CHECK_MSG(m && !lithe_model_save(m, in_dir(CASES[i].name), CASES[i].type, NULL, &err), "%s", err.text);
        tensor_file *before = tensors_of(golden_dir(CASES[i].name)), *after = tensors_of(in_dir(CASES[i].name));
        for (int k = 0; before && after && k < before->count; k++) {
            const file_tensor *x = &before->tensors[k], *y = tensor_file_find(after, x->name);
            if (!strcmp(x->name, "score.weight")) continue;              /* of another task */
            CHECK_MSG(y && x->type == y->type && x->bytes == y->bytes && !memcmp(x->data, y->data, x->bytes), "%s: %s", CASES[i].name, x->name);
        }
        CHECK(before && after && after->count == m->params->count);
        tensor_file_close(before);
        tensor_file_close(after);
        lithe_model_close(m);
    }
}

/* ---- files ----------------------------------------------------------------------------- */

/* A pickle of halves with buffers of masks and frequencies; and the names of a model without its head. */
static void older_files(void)
{
    lithe_error err = { 0 };
    lithe_model *m = must_open(golden_dir("gpt_neox"), NULL), *old = must_open(golden_dir("gpt_neox-bin"), NULL);
    for (int i = 0; m && old && i < m->params->count; i++) {
        const param *p = m->params->items[i], *q = params_find(old->params, p->name);
        real *x = weight_copy(&p->weight, p->count), *y = q ? weight_copy(&q->weight, q->count) : NULL;
        for (size_t k = 0; k < p->count; k++) x[k] = (real)float_from_f16(f16_from_float((float)x[k]));
        CHECK_MSG(y && q->count == p->count && !memcmp(x, y, p->count * sizeof *x), "%s", p->name);
        free(x);
        free(y);
    }
    tensor_file *f = tensors_of(golden_dir("gpt_neox-sequential"));
    out_tensor out[64];
    int n = 0;
    for (; f && n < f->count && n < 64; n++) {
        const file_tensor *t = &f->tensors[n];
        out[n] = (out_tensor){ .name = t->name + strlen("gpt_neox."), .type = t->type, .rank = t->rank, .dims = { t->dims[0], t->dims[1] }, .data = t->data };
    }
    CHECK_MSG(f && !safetensors_write(in_dir("base.safetensors"), out, n, NULL, &err), "%s", err.text);
    lithe_model *whole = must_open(golden_dir("gpt_neox-sequential"), NULL), *base = must_open(in_dir("base.safetensors"), golden_dir("gpt_neox-sequential"));
    CHECK(same_parameters(whole, base));
    tensor_file_close(f);
    lithe_model_close(whole);
    lithe_model_close(base);
    lithe_model_close(m);
    lithe_model_close(old);
}

/* ---- configuration ------------------------------------------------------------------------ */

static void spellings(void)
{
    static const struct { const char *config, *channels, *base, *type; } CASES[] = {
        { "{}", "0.25", "10000.0", "default" },
        { "{\"rotary_pct\":1.0,\"rotary_emb_base\":500}", "1.0", "500", "default" },
        { "{\"partial_rotary_factor\":0.5,\"rope_theta\":500}", "0.5", "500", "default" },
        { "{\"rotary_pct\":0.5,\"partial_rotary_factor\":1.0,\"rotary_emb_base\":500,\"rope_theta\":7}", "0.5", "500", "default" },
        { "{\"rope_parameters\":{\"rope_type\":\"linear\",\"factor\":4.0,\"rope_theta\":300,\"partial_rotary_factor\":0.5}}", "0.5", "300", "linear" },
        { "{\"rotary_pct\":0.5,\"rope_scaling\":{\"type\":\"linear\",\"factor\":4.0}}", "0.5", "10000.0", "linear" },
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        lithe_error err = { 0 };
        json_t *config = json_loads(CASES[i].config, 0, NULL);
        json_object_set_new(config, "hidden_size", json_integer(64));
        json_object_set_new(config, "num_attention_heads", json_integer(4));
        lithe_model *m = model_declare(arch_find("gpt_neox"), config, "config.json", &err);
        json_t *said = m ? model_config(m, &err) : NULL, *newer = json_object_get(said, "rope_parameters");
        CHECK_MSG(said, "%s: %s", CASES[i].config, err.text);
        CHECK_MSG(fabs(json_number_value(json_object_get(said, "rotary_pct")) - atof(CASES[i].channels)) < 1e-12, "%s", CASES[i].config);
        CHECK_MSG(fabs(json_number_value(json_object_get(newer, "partial_rotary_factor")) - atof(CASES[i].channels)) < 1e-12, "%s", CASES[i].config);
        CHECK_MSG(fabs(json_number_value(json_object_get(said, "rotary_emb_base")) - atof(CASES[i].base)) < 1e-9, "%s", CASES[i].config);
        CHECK_MSG(fabs(json_number_value(json_object_get(newer, "rope_theta")) - atof(CASES[i].base)) < 1e-9, "%s", CASES[i].config);
        CHECK(!strcmp(json_string_value(json_object_get(newer, "rope_type")), CASES[i].type) && !json_object_get(said, "lithe_rope_type"));
        lithe_model *again = said ? model_declare(arch_find("gpt_neox"), said, "config.json", &err) : NULL;
        CHECK_MSG(again && !memcmp(m->config, again->config, m->arch->config.size), "%s: another configuration when written", CASES[i].config);
        json_decref(said);
        json_decref(config);
        lithe_model_close(m);
        lithe_model_close(again);
    }
}

/* ---- classes -------------------------------------------------------------------------------- */

/* score.weight over the last token of each sequence, as GPTNeoXForSequenceClassification has it. */
static void classes(const kernels *k)
{
    golden q;
    results r;
    lithe_error err = { 0 };
    int label[GOLDEN_SEQS];
    golden_open(&q, "gpt_neox", NULL);
    lithe_model_close(q.model);
    json_t *config = json_load_file(test_file("tests/golden/gpt_neox/config.json"), 0, NULL);
    json_object_set_new(config, "architectures", json_pack("[s]", "GPTNeoXForSequenceClassification"));
    json_object_set_new(config, "num_labels", json_integer(3));
    CHECK(!json_dump_file(config, in_dir("config.json"), 0));
    json_decref(config);
    q.model = must_open(golden_dir("gpt_neox"), in_dir("config.json"));
    float *logits = golden_values(&q, NULL, "classify.logits", 6), *loss = golden_values(&q, NULL, "classify.loss", 1), *labels = golden_values(&q, NULL, "classify.labels", 2);
    for (int i = 0; i < GOLDEN_SEQS; i++) label[i] = (int)labels[i];
    q.batch.label = label;
    q.batch.seq_scale = (real)1 / GOLDEN_SEQS;
    graph *g = golden_graph(&q, k, GRAPH_SCORE, COMPUTE_F32, WANT_LOGITS, &r);
    graph_run(g, &q.batch);
    CHECK_MSG(max_difference(r.logits->data, logits, 6) <= 1e-5, "logits differ by %g", max_difference(r.logits->data, logits, 6));
    graph_close(g);
    CHECK(!params_gradients(q.model->params, &err));
    g = golden_graph(&q, k, GRAPH_TRAIN, COMPUTE_F32, WANT_LOSS, &r);
    graph_run(g, &q.batch);
    double found = ((double)r.loss->data[0] + (double)r.loss->data[1]) / GOLDEN_SEQS;
    CHECK_MSG(fabs(found - (double)*loss) <= 2e-6 * (double)*loss, "the loss is %.9g, not %.9g", found, (double)*loss);
    for (int i = 0; i < q.model->params->count; i++) {
        const param *p = q.model->params->items[i];
        float *grad = golden_values(&q, "classify.grad", p->name, p->count);
        CHECK_MSG(grad && max_difference(p->grad, grad, p->count) <= 1e-5, "the gradient of %s", p->name);
        free(grad);
    }
    graph_close(g);
    free(logits);
    free(loss);
    free(labels);
    golden_close(&q);
}
EACH_LEVEL(static, classes)

const test tests_gpt_neox[] = {
    { "gpt_neox: rows in the order of heads", rows_of_heads },
    { "gpt_neox: written as published, bit for bit", written_as_published },
    { "gpt_neox: older files", older_files },
    { "gpt_neox: keys in every spelling", spellings },
    LEVELS("gpt_neox: classes of sequences", classes)
    { 0 }
};
