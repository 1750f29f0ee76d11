/* The library as a program sees it: what lithe.h and lithe_tools.h say, checked
 * with nothing else of it in sight. */
#include "lithe_eval.h"
#include "lithe_tools.h"
#include "test.h"
#include <math.h>
#include <stdlib.h>
#include <unistd.h>

#define TINY "{\"vocab_size\":257,\"n_positions\":16,\"n_embd\":8,\"n_layer\":1,\"n_head\":2,\"resid_pdrop\":0,\"embd_pdrop\":0,\"attn_pdrop\":0}"
#define TINY_BERT "{\"vocab_size\":30,\"hidden_size\":8,\"num_hidden_layers\":1,\"num_attention_heads\":2,\"intermediate_size\":8,\"max_position_embeddings\":8}"
#define TINY_VIT "{\"image_size\":12,\"patch_size\":4,\"num_channels\":1,\"hidden_size\":8,\"num_hidden_layers\":1,\"num_attention_heads\":2,\"intermediate_size\":8}"

static const char *write_text(const char *name, const char *text)
{
    const char *path = in_dir(name);
    FILE *f = fopen(path, "wb");
    CHECK(f && fputs(text, f) >= 0 && !fclose(f));
    return path;
}

static lithe_model *new_model(const char *arch, const char *config)
{
    lithe_error err = { 0 };
    lithe_model *m = lithe_model_new(arch, config, 1, &err);
    CHECK_MSG(m, "%s", err.text);
    return m;
}

static void models_say_what_they_are(void)
{
    int side, patch, channels;
    lithe_model *gpt2 = new_model("gpt2", TINY), *bert = new_model("bert", TINY_BERT), *vit = new_model("vit", TINY_VIT);
    CHECK(!lithe_model_encoder(gpt2) && lithe_model_encoder(bert));
    CHECK(!lithe_model_images(gpt2, &side, &patch, &channels) && side == 0 && patch == 0 && channels == 0);
    CHECK(lithe_model_images(vit, &side, &patch, &channels) && side == 12 && patch == 4 && channels == 1 && lithe_model_images(vit, NULL, NULL, NULL));
    CHECK(!lithe_model_image_filter(bert) && !strcmp(lithe_model_image_filter(vit), "bilinear"));
    int shortest = 1;
    CHECK(lithe_model_image_resize(vit, &shortest) == 0 && !shortest);
    lithe_model_close(gpt2);
    lithe_model_close(bert);
    lithe_model_close(vit);
}

/* Parameters by place and by name, and their values however they are stored. */
static void parameters_are_read(void)
{
    /* Half a unit in the last place; of f16, the least too. */
    static const struct { const char *type; size_t bytes; double relative, least; } types[] = { { "f32", 4, 0, 0 }, { "f16", 2, 0x1p-11, 0x1p-25 }, { "bf16", 2, 0x1p-8, 0 } };
    enum { COUNT = 257 * 8 };
    lithe_error err = { 0 };
    float values[COUNT], again[COUNT];
    lithe_model *fresh = new_model("gpt2", TINY);
    CHECK_MSG(!lithe_model_values(fresh, "wte.weight", 0, COUNT, values, &err), "%s", err.text);
    for (int t = 0; t < 3; t++) {
        lithe_tensor_info p, named;
        lithe_error none = { 0 }, outside = { 0 };
        CHECK_MSG(!lithe_model_save(fresh, in_dir(types[t].type), types[t].type, NULL, &err), "%s", err.text);
        lithe_model *m = lithe_model_open(in_dir(types[t].type), NULL, &err);
        size_t count = 0, numbers = 0;
        for (const char *last = ""; lithe_model_parameter(m, count, &p); last = p.name, count++) {
            size_t size = 1;
            for (int d = 0; d < p.rank; d++) size *= (size_t)p.dims[d];
            numbers += size;
            CHECK(strcmp(last, p.name) < 0 && !p.file && p.rank >= 1 && p.rank <= 2);
            CHECK(lithe_model_parameter_named(m, p.name, &named) && named.name == p.name && named.bytes == p.bytes && !strcmp(named.dtype, p.dtype));
        }
        CHECK_MSG(count == 16 && numbers == lithe_model_params(m), "%zu parameters of %zu numbers", count, numbers);
        CHECK(lithe_model_parameter_named(m, "wte.weight", &p) && p.rank == 2 && p.dims[0] == 257 && p.dims[1] == 8);
        CHECK(!strcmp(p.dtype, types[t].type) && p.bytes == COUNT * types[t].bytes);
        CHECK_MSG(!lithe_model_values(m, "wte.weight", 9, 2000, again, &err) && !lithe_model_values(m, "wte.weight", COUNT, 0, NULL, &err), "%s", err.text);
        for (int i = 0; i < 2000; i++) CHECK(fabs((double)again[i] - (double)values[9 + i]) <= types[t].relative * fabs((double)values[9 + i]) + types[t].least);
        CHECK(lithe_model_values(m, "wte.bias", 0, 1, again, &none) == LITHE_EINVAL && strstr(none.text, "wte.bias is no parameter of this gpt2"));
        CHECK(lithe_model_values(m, "wte.weight", 2050, 7, again, &outside) == LITHE_EINVAL && strstr(outside.text, "2056 values"));
        CHECK(!lithe_model_parameter_named(m, "wte.bias", &p) && !lithe_model_parameter(NULL, 0, &p));
        lithe_model_close(m);
    }
    lithe_model_close(fresh);
}

static void texts_are_joined(void)
{
    lithe_error err = { 0 };
    size_t size = 0;
    const char *const paths[] = { write_text("a.txt", "first\nline\n"), write_text("b.jsonl", "{\"text\":\"second\"}\n{\"text\":\"third\"}\n") };
    char *text = lithe_text_read(paths, 2, 1000, &size, &err);
    CHECK_MSG(text && size == strlen(text) && strstr(text, "first\nline") == text && strstr(text, "second\n\nthird"), "\"%s\" %s", text ? text : "", err.text);
    free(text);
    text = lithe_text_read(paths, 1, 8, &size, &err);
    CHECK_MSG(text && size <= 8 && !strncmp(text, "first\n", 6) && !strstr(text, "li"), "\"%s\" %s", text ? text : "", err.text);
    free(text);
    CHECK(!lithe_text_read((const char *[]){ "/nowhere" }, 1, 8, &size, &err) && err.status == LITHE_EIO);
}

/* ---- a table's figures, by hand ------------------------------------------------------------------ */

enum { ROWS = 7 };
static const struct { const char *text, *label; } table[ROWS] = {
    { "fine", "up" }, { "poor", "down" }, { "good and fine", "up" }, { "bad", "down" }, { "so so", "down" }, { "well", "up" }, { "a long one that is cut", "up" } };

static void evaluations_are_those_of_the_rows(void)
{
    lithe_error err = { 0 };
    lithe_evaluation found = { 0 };
    static const char *const names[] = { "down", "up" };
    const char *texts[ROWS];
    float p[ROWS * 2];
    char file[400] = "text\tlabel\n";
    size_t cut = 0;
    double loss = 0, correct = 0;
    lithe_tokenizer *t = lithe_tokenizer_open("bytes", &err);
    lithe_model *body = new_model("gpt2", TINY), *m = lithe_model_with_head(body, "classify", names, 2, 3, &err);
    for (int i = 0; i < ROWS; i++) sprintf(file + strlen(file), "%s\t%s\n", texts[i] = table[i].text, table[i].label);
    CHECK_MSG(lithe_classify(m, t, texts, NULL, ROWS, p, &cut, &err) == 2 && cut == 1, "%s", err.text);
    CHECK_MSG(!lithe_evaluate(m, t, write_text("table.tsv", file), NULL, &found, &err), "%s", err.text);
    for (int i = 0; i < ROWS; i++) {
        int right = !strcmp(table[i].label, "up");
        loss -= log((double)p[2 * i + right]) / ROWS;
        correct += p[2 * i + right] > p[2 * i + !right];
    }
    CHECK_MSG(found.examples == ROWS && found.cut == 1 && fabs(found.loss - loss) < 1e-6 && found.metrics.accuracy == correct / ROWS,
              "%zu rows, %zu cut, loss %.9g (%.9g), accuracy %g (%g)", found.examples, found.cut, found.loss, loss, found.metrics.accuracy, correct / ROWS);
    lithe_model_close(m);
    lithe_model_close(body);
    lithe_tokenizer_close(t);
}

/* ---- a run, and the moments of what grows from it -------------------------------------------------- */

static void train_a_little(lithe_model *m, lithe_dataset *d, lithe_tokenizer *t, const char *run, const char *from)
{
    lithe_error err = { 0 };
    lithe_event e;
    lithe_trainer *r = lithe_trainer_open(m, d, t, &LITHE_OPTIONS(lithe_train_options, .batch = 2, .steps = 3, .moments = from ? "carry" : "reset", .from = from), run, &err);
    CHECK_MSG(r && !strcmp(lithe_trainer_model_dir(r), run), "%s", err.text);
    while (lithe_trainer_next(r, &e, &err) > 0) { }
    CHECK_MSG(!err.status, "%s", err.text);
    lithe_trainer_close(r);
}

static void moments_grow_with_the_model(void)
{
    lithe_error err = { 0 };
    const lithe_grow_options twice = LITHE_OPTIONS(lithe_grow_options, .factor = 2);
    char text[4000] = "", run[600], larger[600], on[600];
    for (int i = 0; i < 90; i++) sprintf(text + strlen(text), "the %d kings sail north\n", i % 7);
    const char *const paths[] = { write_text("tale.txt", text) };
    snprintf(run, sizeof run, "%s", in_dir("run"));
    snprintf(larger, sizeof larger, "%s", in_dir("larger"));
    snprintf(on, sizeof on, "%s", in_dir("on"));
    lithe_tokenizer *t = lithe_tokenizer_open("bytes", &err);
    lithe_dataset *d = lithe_dataset_open(paths, 1, in_dir("data"), t, NULL, &err);
    lithe_model *fresh = new_model("gpt2", TINY);
    CHECK_MSG(d, "%s", err.text);
    lithe_model *plain = lithe_model_grow(fresh, &twice, NULL, &err);
    CHECK(!lithe_grow_save(fresh, &twice, plain, in_dir("plain"), NULL, t, &err));
    CHECK(access(in_dir("plain/optimizer.safetensors"), F_OK));                   /* none lie beside it */
    lithe_model_close(plain);
    train_a_little(fresh, d, t, run, NULL);
    lithe_model *m = lithe_model_open(run, NULL, &err), *large = lithe_model_grow(m, &twice, NULL, &err);
    CHECK_MSG(!lithe_grow_save(m, &twice, large, larger, NULL, t, &err), "%s", err.text);
    train_a_little(large, d, t, on, larger);                                       /* a trainer takes them */
    lithe_listing *l = lithe_listing_open(in_dir("larger/optimizer.safetensors"), &err);
    size_t values = 0;
    for (size_t i = 0; i < lithe_listing_count(l); i++) {
        const lithe_tensor_info *x = lithe_listing_tensor(l, i);
        size_t count = 1;
        for (int k = 0; k < x->rank; k++) count *= (size_t)x->dims[k];
        values += count;
        CHECK_MSG(lithe_listing_bad_values(l, i) == 0, "%s", x->name);
    }
    CHECK_MSG(values >= 2 * lithe_model_params(large) && values < 2 * lithe_model_params(large) + 100, "%zu values for %zu parameters", values, lithe_model_params(large));
    lithe_listing_close(l);
    lithe_model_close(large);
    lithe_model_close(m);
    lithe_model_close(fresh);
    lithe_dataset_close(d);
    lithe_tokenizer_close(t);
}

/* What a program gives by mistake ends in one line, never in a fault. */
static void null_is_said(void)
{
    lithe_error open = { 0 };
    lithe_model *m = new_model("gpt2", TINY);
    lithe_tokenizer *t = lithe_tokenizer_open("bytes", &open);
    lithe_session *s = lithe_session_open(m, 0, &open);
    lithe_engine *e = lithe_engine_open(m, NULL, &open);
    const char *const nothing[] = { NULL };
    const lithe_engine_input no_ids = { .n = 3 };
    lithe_growth report;
    lithe_key_info key;
    double total;
    float out[8];
    size_t length;
    lithe_sampling sampling;
    lithe_embedding embedding;
    CHECK_MSG(m && t && s && e, "%s", open.text);
#define SAID(call, word) do { lithe_error err = { 0 }; call; CHECK_MSG(err.status == LITHE_EINVAL && strstr(err.text, word), "%s: \"%s\"", #call, err.text); } while (0)
    SAID(lithe_session_sync(s, NULL, 3, &err), "no array of the 3");
    SAID(lithe_session_extend(s, NULL, 3, &err), "no array of the 3");
    SAID(lithe_engine_step(e, &no_ids, 1, &err), "no array of the 3");
    SAID(lithe_engine_step(e, NULL, 2, &err), "no array of the 2");
    SAID(lithe_logits(m, NULL, 3, out, &err), "no array of the 3");
    SAID(lithe_logits(m, (int32_t[]){ 1 }, 1, NULL, &err), "no memory for 1 rows");
    SAID(lithe_score(m, NULL, 3, 0, 0, NULL, &total, &err), "no array of the 3");
    SAID(lithe_compare(m, m, NULL, 3, &report, &err), "no array of the 3");
    SAID(lithe_embed(m, t, nothing, 1, NULL, out, NULL, &err), "text 1 of 1");
    SAID(lithe_embed(m, t, NULL, 1, NULL, out, NULL, &err), "text 1 of 1");
    SAID(lithe_dataset_open(NULL, 1, NULL, t, NULL, &err), "path 1 of 1");
    SAID(lithe_dataset_open(nothing, 1, NULL, t, NULL, &err), "path 1 of 1");
    SAID(lithe_session_push(NULL, 1, &err), "no session");
    SAID(lithe_session_sample(NULL, NULL, &err), "no session");
    SAID(lithe_session_mark(NULL, &err), "no session");
    SAID(lithe_session_save(NULL, t, "x", &err), "no session");
    SAID(lithe_session_load(NULL, t, "x", &err), "no session");
    SAID(lithe_engine_open(NULL, NULL, &err), "no model");
    SAID(lithe_session_open(NULL, 0, &err), "no model");
    SAID(lithe_engine_fork(NULL, 0, 0, &err), "no engine");
    SAID(lithe_logits(NULL, NULL, 0, out, &err), "no model");
    SAID(lithe_score(NULL, NULL, 0, 0, 0, NULL, &total, &err), "no model");
    SAID(lithe_model_grow(NULL, NULL, &report, &err), "no model");
    SAID(lithe_model_grow(m, &LITHE_OPTIONS(lithe_grow_options, .vocabulary = t), &report, &err), "no tokenizer");
    SAID(lithe_compare(m, NULL, NULL, 0, &report, &err), "no two models");
    SAID(lithe_generate(s, NULL, NULL, 0, NULL, NULL, NULL, NULL, &err), "no tokenizer");
    SAID(lithe_diversity_open(NULL, NULL, 0, NULL, &err), "no model");
    SAID(lithe_sampling_read(NULL, &sampling, &err), "no model");
    SAID(lithe_embedding_read(NULL, &embedding, &err), "no model");
    SAID(lithe_text_file(NULL, &length, &err), "no path");
    SAID(lithe_text_rows(NULL, &length, &err), "no path");
#undef SAID
    CHECK(!lithe_listing_key(NULL, 0, &key) && !key.key && !lithe_listing_key(NULL, 0, NULL));
    lithe_engine_close(e);
    lithe_session_close(s);
    lithe_tokenizer_close(t);
    lithe_model_close(m);
}

const test tests_interface[] = {
    { "interface: what is NULL is said", null_is_said },
    { "interface: models say what they are", models_say_what_they_are },
    { "interface: parameters are read", parameters_are_read },
    { "interface: texts are joined", texts_are_joined },
    { "interface: evaluations are those of the rows", evaluations_are_those_of_the_rows },
    { "interface: moments grow with the model", moments_grow_with_the_model },
    { 0 }
};
