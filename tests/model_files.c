/* Models on disk: what opens, what is refused, what is written. */
#include "model/checkpoints.h"
#include "model.h"
#include "base/file.h"
#include <math.h>
#include <sys/stat.h>
#include <unistd.h>

static lithe_model *must_open(const char *path, const char *config)
{
    lithe_error e = { 0 };
    lithe_model *m = open_values(path, config, &e);
    CHECK_MSG(m, "%s", e.text);
    return m;
}

static lithe_model *fresh(int which)
{
    lithe_error e = { 0 };
    lithe_model *m = lithe_model_new(NULL, SMALL[which], 5, &e);
    CHECK_MSG(m, "%s", e.text);
    return m;
}

static void must_save(const lithe_model *m, const char *dir, const char *type)
{
    lithe_error e = { 0 };
    CHECK_MSG(!lithe_model_save(m, dir, type, NULL, &e), "%s", e.text);
}

static const char *golden(const char *name)
{
    char path[300];
    snprintf(path, sizeof path, "tests/golden/%s", name);
    return test_file(path);
}

/* ---- opening and saving -------------------------------------------------------------- */

static int entries_of(const char *dir)
{
    char command[700], line[32] = "";
    snprintf(command, sizeof command, "ls -A '%s' | wc -l", dir);
    FILE *f = popen(command, "r");
    if (!f || !fgets(line, sizeof line, f)) line[0] = 0;
    if (f) pclose(f);
    return atoi(line);
}

void test_golden(void)
{
    static const struct { const char *name, *arch; } dirs[] = {
        { "gpt2", "gpt2" }, { "gpt2-sharded", "gpt2" }, { "llama", "llama" }, { "llama-scaled", "llama" }, { "llama-linear", "llama" },
        { "llama-new", "llama" }, { "gpt_neox", "gpt_neox" }, { "gpt_neox-sequential", "gpt_neox" }, { "gpt_neox-new", "gpt_neox" }, { "gpt_neox-bin", "gpt_neox" },
        { "tokenformer", "tokenformer" }, { "tokenformer-gelu-l2", "tokenformer" },
        { "tokenformer-softmax", "tokenformer" }, { "tokenformer-bin", "tokenformer" }, { "rwkv4-hf", "rwkv4" }, { "rwkv7-fla", "rwkv7" },
    };
    for (size_t i = 0; i < sizeof dirs / sizeof *dirs; i++) {
        lithe_error e = { 0 };
        lithe_model *m = must_open(golden(dirs[i].name), NULL);
        if (!m) continue;
        CHECK_MSG(!strcmp(lithe_model_arch(m), dirs[i].arch) && lithe_model_vocab(m) == 61, "%s", dirs[i].name);
        must_save(m, in_dir(dirs[i].name), NULL);
        lithe_model *again = must_open(in_dir(dirs[i].name), NULL);
        CHECK_MSG(same_parameters(m, again) && again && !memcmp(m->config, again->config, m->arch->config.size), "%s", dirs[i].name);
        json_t *before = model_config(m, &e), *after = again ? model_config(again, &e) : NULL;
        json_object_del(before, "torch_dtype"); json_object_del(before, "dtype");
        json_object_del(after, "torch_dtype"); json_object_del(after, "dtype");
        CHECK_MSG(json_equal(before, after), "%s", dirs[i].name);
        json_decref(before);
        json_decref(after);
        lithe_model_close(m);
        lithe_model_close(again);
    }
    lithe_model *one = must_open(golden("gpt2"), NULL), *sharded = must_open(golden("gpt2-sharded"), NULL);
    CHECK(same_parameters(one, sharded));
    lithe_model_close(one);
    lithe_model_close(sharded);
    one = must_open(golden("tokenformer"), NULL);
    sharded = must_open(golden("tokenformer-bin"), NULL);
    CHECK(same_parameters(one, sharded));
    lithe_model_close(one);
    lithe_model_close(sharded);
}

void test_round_trip(void)
{
    for (int i = 0; i < SMALL_COUNT; i++) {
        lithe_model *m = fresh(i);
        if (!m) continue;
        const char *dir = in_dir(lithe_model_arch(m));
        must_save(m, dir, i ? "f32" : NULL);
        lithe_model *again = must_open(dir, NULL);
        CHECK(same_parameters(m, again) && lithe_model_params(m) == lithe_model_params(again));
        CHECK(again && !strcmp(again->path, dir) && entries_of(dir) == 3);
        json_t *config = get_json(in_dir("gpt2/config.json"));
        CHECK(!strcmp(json_string_value(json_object_get(config, "torch_dtype")), "float32") && json_object_get(config, "dtype"));
        json_decref(config);
        lithe_model_close(m);
        lithe_model_close(again);
    }
    CHECK(entries_of(test_dir()) == SMALL_COUNT);
}

void test_narrow(void)
{
    lithe_model *m = fresh(0);
    must_save(m, in_dir("bf16"), "bf16");
    must_save(m, in_dir("f16"), "f16");
    lithe_model *b = must_open(in_dir("bf16"), NULL), *h = must_open(in_dir("f16"), NULL);
    for (int i = 0; m && b && h && i < m->params->count; i++) {
        const param *p = m->params->items[i];
        for (size_t j = 0; j < p->count; j++) {
            float x = (float)p->weight.values[j], y = (float)b->params->items[i]->weight.values[j], z = (float)h->params->items[i]->weight.values[j];
            if (y > float_from_bf16(bf16_from_float(x)) || y < float_from_bf16(bf16_from_float(x)) || z > float_from_f16(f16_from_float(x)) ||
                z < float_from_f16(f16_from_float(x))) { CHECK_MSG(false, "%s[%zu]: %g %g %g", p->name, j, x, y, z); break; }
        }
    }
    json_t *config = get_json(in_dir("bf16/config.json"));
    CHECK(!strcmp(json_string_value(json_object_get(config, "torch_dtype")), "bfloat16") && !strcmp(json_string_value(json_object_get(config, "dtype")), "bfloat16"));
    json_decref(config);
    lithe_error e = { 0 };
    if (m) params_find(m->params, "wte.weight")->weight.values[3] = 1e6f;
    CHECK(lithe_model_save(m, in_dir("big"), "f16", NULL, &e) == LITHE_EINVAL);
    check_failure(&e, LITHE_EINVAL, "wte.weight holds values beyond f16's largest");
    CHECK(!path_exists(in_dir("big")));
    lithe_model_close(m);
    lithe_model_close(b);
    lithe_model_close(h);
}

/* ---- tensors that do not fit ----------------------------------------------------------- */

enum { MOST = 64 };
typedef struct { out_tensor tensors[MOST]; int count; } contents;

static contents contents_of(const lithe_model *m)
{
    contents c = { .count = 0 };
    for (int i = 0; m && i < m->params->count; i++) {
        const param *p = m->params->items[i];
        out_tensor *t = &c.tensors[c.count++];
        *t = (out_tensor){ .name = p->name, .type = DT_F32, .rank = p->rule.rank, .data = p->weight.values };
        for (int d = 0; d < p->rule.rank; d++) t->dims[d] = p->rule.dims[d];
    }
    return c;
}

static out_tensor *named(contents *c, const char *name)
{
    for (int i = 0; i < c->count; i++)
        if (!strcmp(c->tensors[i].name, name)) return &c->tensors[i];
    CHECK_MSG(false, "%s", name);
    return &c->tensors[0];
}

static void remove_named(contents *c, const char *name) { *named(c, name) = c->tensors[--c->count]; }

/* Writes c beside config as DIR and opens it. */
static lithe_model *open_contents(const contents *c, const char *config, lithe_error *e)
{
    static int serial;
    char dir[64], path[96];
    *e = (lithe_error){ 0 };
    snprintf(dir, sizeof dir, "contents%d", serial++);
    CHECK(!dir_make(in_dir(dir), NULL));
    snprintf(path, sizeof path, "%s/model.safetensors", dir);
    CHECK_MSG(!safetensors_write(in_dir(path), c->tensors, c->count, NULL, e), "%s", e->text);
    snprintf(path, sizeof path, "%s/config.json", dir);
    put_text(in_dir(path), config);
    return open_values(in_dir(dir), NULL, e);
}

static void refuse_contents(const contents *c, const char *config, const char *part)
{
    lithe_error e = { 0 };
    lithe_model *m = open_contents(c, config, &e);
    CHECK(!m);
    check_failure(&e, LITHE_EFORMAT, part);
    lithe_model_close(m);
}

void test_misfits(void)
{
    lithe_model *m = fresh(0);
    contents whole = contents_of(m), c = whole;
    named(&c, "h.1.mlp.c_fc.weight")->dims[0] = 16;
    refuse_contents(&c, SMALL[0], "model.safetensors: h.1.mlp.c_fc.weight is [16,128], expected [32,128]");
    c = whole;
    named(&c, "ln_f.bias")->rank = 2;
    named(&c, "ln_f.bias")->dims[1] = 1;
    refuse_contents(&c, SMALL[0], "ln_f.bias is [32,1], expected [32]");
    c = whole;
    remove_named(&c, "h.2.ln_1.weight");
    refuse_contents(&c, SMALL[0], "h.2.ln_1.weight [32] is missing");
    c = whole;
    remove_named(&c, "h.2.ln_1.weight");
    remove_named(&c, "h.2.ln_2.weight");
    named(&c, "wte.weight")->dims[0] = 96;
    refuse_contents(&c, SMALL[0], "(and 2 more tensors do not fit)");
    c = whole;
    c.tensors[c.count++] = (out_tensor){ .name = "h.9.extra.weight", .type = DT_F32, .rank = 1, .dims = { 8 }, .data = m->params->values };
    refuse_contents(&c, SMALL[0], "h.9.extra.weight [8] is no part of the gpt2");
    c = whole;
    named(&c, "wpe.weight")->type = DT_I32;
    refuse_contents(&c, SMALL[0], "wpe.weight is of type I32, expected F32");
    refuse_contents(&whole, "{\"model_type\":\"gpt2\",\"vocab_size\":97,\"n_positions\":24,\"n_embd\":32,\"n_layer\":2,\"n_head\":2}",
                    "h.2.attn.c_attn.bias [96] is no part of the gpt2 that the configuration describes (and 11 more");
    refuse_contents(&whole, "{\"model_type\":\"gpt2\",\"vocab_size\":98,\"n_positions\":24,\"n_embd\":32,\"n_layer\":3,\"n_head\":2}",
                    "wte.weight is [97,32], expected [98,32]");
    lithe_model_close(m);
}

void test_tied_head(void)
{
    lithe_error e = { 0 };
    lithe_model *m = fresh(0), *back;
    contents whole = contents_of(m), c = whole;
    out_tensor head_tensor = *named(&c, "wte.weight");
    head_tensor.name = "lm_head.weight";
    c.tensors[c.count++] = head_tensor;
    back = open_contents(&c, SMALL[0], &e);
    CHECK_MSG(same_parameters(m, back), "%s", e.text);
    lithe_model_close(back);

    const param *wte = params_find(m->params, "wte.weight");
    float *other = malloc(wte->count * sizeof *other);
    memcpy(other, wte->weight.values, wte->count * sizeof *other);
    other[wte->count - 1] += 1;
    c.tensors[c.count - 1].data = other;
    refuse_contents(&c, SMALL[0], "lm_head.weight differs from wte.weight");
    back = open_contents(&c, "{\"model_type\":\"gpt2\",\"vocab_size\":97,\"n_positions\":24,\"n_embd\":32,\"n_layer\":3,\"n_head\":2,\"tie_word_embeddings\":false}", &e);
    CHECK_MSG(back && params_find(back->params, "lm_head.weight")->weight.values[wte->count - 1] >= other[wte->count - 1], "%s", e.text);
    must_save(back, in_dir("untied"), NULL);
    lithe_model *again = must_open(in_dir("untied"), NULL);
    CHECK(same_parameters(back, again));
    lithe_model_close(back);
    lithe_model_close(again);

    remove_named(&c, "wte.weight");                          /* shared storage kept under the head's name */
    c.tensors[c.count - 1].data = wte->weight.values;
    named(&c, "lm_head.weight")->data = wte->weight.values;
    back = open_contents(&c, SMALL[0], &e);
    CHECK_MSG(same_parameters(m, back), "%s", e.text);
    lithe_model_close(back);
    refuse_contents(&whole, "{\"model_type\":\"gpt2\",\"vocab_size\":97,\"n_positions\":24,\"n_embd\":32,\"n_layer\":3,\"n_head\":2,\"tie_word_embeddings\":false}",
                    "lm_head.weight [97,32] is missing; set tie_word_embeddings to true");
    free(other);
    lithe_model_close(m);
}

void test_prefixes(void)
{
    lithe_error e = { 0 };
    lithe_model *m = fresh(0);
    contents c = contents_of(m);
    char names[MOST][96];
    for (int i = 0; i < c.count; i++) {
        snprintf(names[i], sizeof names[i], "transformer.%s", c.tensors[i].name);
        c.tensors[i].name = names[i];
    }
    c.tensors[c.count++] = (out_tensor){ .name = "transformer.h.0.attn.bias", .type = DT_F32, .rank = 2, .dims = { 4, 4 }, .data = m->params->values };
    c.tensors[c.count++] = (out_tensor){ .name = "transformer.h.0.attn.masked_bias", .type = DT_F32, .rank = 0, .data = m->params->values };
    lithe_model *back = open_contents(&c, SMALL[0], &e);
    CHECK_MSG(same_parameters(m, back), "%s", e.text);
    lithe_model_close(back);
    c.tensors[c.count] = c.tensors[0];
    c.tensors[c.count++].name = names[0] + strlen("transformer.");
    refuse_contents(&c, SMALL[0], "is no part of the gpt2");
    lithe_model_close(m);
}

/* ---- places ------------------------------------------------------------------------------ */

static void refuse_open(const char *path, const char *config, lithe_status status, const char *part)
{
    lithe_error e = { 0 };
    lithe_model *m = lithe_model_open(path, config, &e);
    CHECK(!m);
    check_failure(&e, status, part);
    lithe_model_close(m);
}

void test_places(void)
{
    lithe_model *m = fresh(2), *back;
    must_save(m, in_dir("model"), NULL);
    back = must_open(in_dir("model/model.safetensors"), NULL);
    CHECK(same_parameters(m, back) && back && !back->tokenizer);
    lithe_model_close(back);
    CHECK(!rename(in_dir("model/model.safetensors"), in_dir("alone.safetensors")));
    refuse_open(in_dir("alone.safetensors"), NULL, LITHE_ECONFIG, "has no config.json beside it; name one with --config");
    back = must_open(in_dir("alone.safetensors"), in_dir("model/config.json"));
    CHECK(same_parameters(m, back));
    lithe_model_close(back);
    back = must_open(in_dir("alone.safetensors"), in_dir("model"));
    CHECK(same_parameters(m, back));
    lithe_model_close(back);
    refuse_open(in_dir("model"), NULL, LITHE_EIO, "holds no model.safetensors");
    refuse_open(in_dir("nowhere"), NULL, LITHE_EIO, "nowhere");
    refuse_open(in_dir("alone.safetensors"), in_dir("nowhere.json"), LITHE_EIO, "nowhere.json");
    put_text(in_dir("model/model.safetensors"), "not tensors at all, whatever its name says");
    refuse_open(in_dir("model"), NULL, LITHE_EFORMAT, "model.safetensors");
    CHECK(!rename(in_dir("alone.safetensors"), in_dir("model/model.safetensors")));
    put_text(in_dir("model/config.json"), "{\"model_type\": \"tokenformer\", ");
    refuse_open(in_dir("model"), NULL, LITHE_EFORMAT, "config.json: line");
    /* As the released files say it: no model_type, no vocabulary of ours. */
    put_text(in_dir("model/config.json"), "{\"architectures\":[\"TokenFormerForCausalLM\"],\"torch_dtype\":\"float16\",\"num_layers\":2,\"hidden_size\":32,"
             "\"num_attention_heads\":2,\"qkv_slot_num\":24,\"proj_slot_num\":20,\"ffn_slot_num\":96,\"vocab_size\":97,\"seq_length\":24}");
    put_text(in_dir("model/tokenizer.json"), "{}");
    back = must_open(in_dir("model"), NULL);
    CHECK(same_parameters(m, back) && lithe_model_context(back) == 24);
    CHECK(back && back->tokenizer && !strcmp(path_base(back->tokenizer), "tokenizer.json"));
    lithe_model_close(back);
    CHECK(!unlink(in_dir("model/tokenizer.json")));
    put_text(in_dir("model/vocab.json"), "{}");
    put_text(in_dir("model/merges.txt"), "");
    back = must_open(in_dir("model"), NULL);
    CHECK(back && back->tokenizer && !strcmp(back->tokenizer, in_dir("model/vocab.json")));
    lithe_model_close(back);
    lithe_model_close(m);
}

void test_llama2c(void)
{
    lithe_model *m = must_open(test_data("checkpoints/stories260K/stories260K.bin"), NULL);
    CHECK(m && lithe_model_vocab(m) == 512 && lithe_model_context(m) == 512 && !strcmp(lithe_model_arch(m), "llama"));
    CHECK(m && m->tokenizer && !strcmp(path_base(m->tokenizer), "tok512.bin"));
    must_save(m, in_dir("stories"), NULL);
    lithe_model *back = must_open(in_dir("stories"), NULL);
    CHECK(same_parameters(m, back));
    lithe_model_close(m);
    lithe_model_close(back);
}

void test_runs(void)
{
    lithe_error e = { 0 };
    char *notice;
    lithe_model *old = fresh(0), *new = lithe_model_new(NULL, SMALL[0], 6, &e), *back;
    CHECK(!dir_make(in_dir("run"), NULL));
    put_text(in_dir("run/config.json"), SMALL[0]);
    must_save(old, in_dir("run/ckpt-9"), NULL);
    must_save(new, in_dir("run/ckpt-10"), NULL);
    refuse_open(in_dir("run"), NULL, LITHE_EIO, "no checkpoint is complete");
    CHECK_MSG(!manifest_write(in_dir("run/ckpt-9"), &e), "%s", e.text);
    back = must_open(in_dir("run"), NULL);
    CHECK(same_parameters(old, back) && back && !strcmp(back->path, in_dir("run/ckpt-9")));
    lithe_model_close(back);
    CHECK_MSG(!manifest_write(in_dir("run/ckpt-10"), &e), "%s", e.text);
    back = must_open(in_dir("run"), NULL);
    CHECK(same_parameters(new, back));
    lithe_model_close(back);
    CHECK(!truncate(in_dir("run/ckpt-10/model.safetensors"), 1000));
    back = must_open(in_dir("run"), NULL);
    CHECK(same_parameters(old, back));
    lithe_model_close(back);
    refuse_open(in_dir("run/ckpt-10"), NULL, LITHE_EFORMAT, "model.safetensors: has 1000 bytes, manifest.json says");
    CHECK(!unlink(in_dir("run/ckpt-9/config.json")));
    refuse_open(in_dir("run"), NULL, LITHE_EFORMAT, "no checkpoint is complete");
    CHECK(!checkpoint_newest(in_dir("nothing"), &notice, NULL) && !checkpoint_newest(in_dir("run/config.json"), &notice, NULL));
    lithe_model_close(old);
    lithe_model_close(new);
}

void test_manifest(void)
{
    lithe_error e = { 0 };
    CHECK(!dir_make(in_dir("m"), NULL));
    put_text(in_dir("m/a"), "some bytes");
    put_text(in_dir("m/b"), "");
    CHECK(manifest_check(in_dir("m"), NULL, &e) == LITHE_EIO);
    e = (lithe_error){ 0 };
    CHECK_MSG(!manifest_write(in_dir("m"), &e) && !manifest_check(in_dir("m"), NULL, &e), "%s", e.text);
    put_text(in_dir("m/a"), "other byte");
    CHECK_MSG(!manifest_check(in_dir("m"), "a", &e), "%s", e.text);
    CHECK(manifest_check(in_dir("m"), NULL, &e) == LITHE_EFORMAT);
    check_failure(&e, LITHE_EFORMAT, "m/a: its contents are not what manifest.json says");
    static const char *const hostile[] = {
        "[]", "{}", "{\"files\":[]}", "{\"files\":{\"../x\":{\"bytes\":1}}}", "{\"files\":{\"a\":10}}", "{\"files\":{\"a\":{\"bytes\":\"10\"}}}",
        "{\"files\":{\"..\":{\"bytes\":4096}}}", "{\"files\":{\"a\":{\"bytes\":-1}}}", "{\"files\":{\"\":{\"bytes\":1}}}", "nothing",
    };
    for (size_t i = 0; i < sizeof hostile / sizeof *hostile; i++) {
        e = (lithe_error){ 0 };
        put_text(in_dir("m/manifest.json"), hostile[i]);
        CHECK_MSG(manifest_check(in_dir("m"), NULL, &e) == LITHE_EFORMAT, "%s: %s", hostile[i], e.text);
    }
}

void test_save_refusals(void)
{
    lithe_error e = { 0 };
    lithe_model *m = fresh(1);
    CHECK(!dir_make(in_dir("full"), NULL));
    put_text(in_dir("full/note"), "mine");
    put_text(in_dir("file"), "mine");
    CHECK(lithe_model_save(m, in_dir("full"), NULL, NULL, &e) == LITHE_EINVAL);
    check_failure(&e, LITHE_EINVAL, "is not empty");
    e = (lithe_error){ 0 };
    CHECK(lithe_model_save(m, in_dir("file"), NULL, NULL, &e) == LITHE_EINVAL);
    check_failure(&e, LITHE_EINVAL, "is a file");
    e = (lithe_error){ 0 };
    CHECK(lithe_model_save(m, in_dir("typed"), "f8", NULL, &e) == LITHE_EINVAL);
    check_failure(&e, LITHE_EINVAL, "f8 is no type");
    e = (lithe_error){ 0 };
    CHECK(lithe_model_save(m, in_dir("file/below"), NULL, NULL, &e) < 0 && e.status == LITHE_EIO);
    CHECK(entries_of(test_dir()) == 2 && entries_of(in_dir("full")) == 1);
    CHECK(!dir_make(in_dir("empty"), NULL));
    must_save(m, in_dir("empty"), NULL);
    must_save(m, in_dir("deep/er"), NULL);
    lithe_model *back = must_open(in_dir("empty"), NULL);
    CHECK(same_parameters(m, back) && entries_of(test_dir()) == 4);
    lithe_model_close(back);
    lithe_model_close(m);
}

void test_saved_tokenizer(void)
{
    lithe_error e = { 0 };
    lithe_tokenizer *t = lithe_tokenizer_train("the cat sat on the mat, the cat sat", 35, 260, &e);
    lithe_model *small = fresh(0), *m = lithe_model_new("gpt2", "{\"vocab_size\":260,\"n_positions\":8,\"n_embd\":8,\"n_layer\":1,\"n_head\":1}", 1, &e);
    CHECK_MSG(t && m, "%s", e.text);
    CHECK(lithe_model_save(small, in_dir("small"), NULL, t, &e) == LITHE_ECONFIG);
    check_failure(&e, LITHE_ECONFIG, "the tokenizer has 260 ids, the model a vocabulary of 97");
    e = (lithe_error){ 0 };
    CHECK_MSG(!lithe_model_save(m, in_dir("m"), NULL, t, &e), "%s", e.text);
    lithe_model *back = must_open(in_dir("m"), NULL);
    lithe_tokenizer *again = back ? lithe_tokenizer_open(lithe_model_tokenizer(back), &e) : NULL;
    CHECK_MSG(again && lithe_tokenizer_vocab(again) == 260 && lithe_tokenizer_eos(again) == lithe_tokenizer_eos(t), "%s", e.text);
    json_t *config = get_json(in_dir("m/config.json")), *generation = get_json(in_dir("m/generation_config.json"));
    CHECK(json_integer_value(json_object_get(config, "eos_token_id")) == lithe_tokenizer_eos(t));
    CHECK(json_equal(json_object_get(config, "eos_token_id"), json_object_get(generation, "eos_token_id")));
    json_decref(config);
    json_decref(generation);
    lithe_tokenizer_close(t);
    lithe_tokenizer_close(again);
    lithe_model_close(small);
    lithe_model_close(m);
    lithe_model_close(back);
}

void test_listing(void)
{
    lithe_error e = { 0 };
    lithe_listing *l = lithe_listing_open(golden("gpt2-sharded"), &e);
    CHECK_MSG(l && !strcmp(lithe_listing_format(l), "safetensors") && !strcmp(lithe_listing_arch(l), "gpt2"), "%s", e.text);
    bool first = false, second = false;
    for (size_t i = 0; i < lithe_listing_count(l); i++) {
        const lithe_tensor_info *t = lithe_listing_tensor(l, i);
        first |= !strcmp(t->file, "model-00001-of-00002.safetensors");
        second |= !strcmp(t->file, "model-00002-of-00002.safetensors");
        if (!strcmp(t->name, "wte.weight")) CHECK(t->rank == 2 && t->dims[0] == 61 && t->dims[1] == 16 && t->bytes == 61 * 16 * 4 && !strcmp(t->dtype, "F32"));
        CHECK(!strcmp(t->dtype, "F32") ? lithe_listing_bad_values(l, i) == 0 : true);
    }
    CHECK(first && second && !lithe_listing_tensor(l, lithe_listing_count(l)) && lithe_listing_bad_values(l, 1 << 20) < 0);
    lithe_listing_close(l);

    const float values[6] = { 1, NAN, INFINITY, 0, -INFINITY, 2 };
    const unsigned char flags[2] = { 0, 1 };
    const out_tensor tensors[] = { { "x", DT_F32, 2, { 2, 3 }, values }, { "y", DT_BOOL, 1, { 2 }, flags }, { "z", DT_U8, 1, { 2 }, flags },
                                   { "empty", DT_F32, 1, { 0 }, values } };
    CHECK_MSG(!safetensors_write(in_dir("strange.safetensors"), tensors, 4, NULL, &e), "%s", e.text);
    l = lithe_listing_open(in_dir("strange.safetensors"), &e);
    CHECK_MSG(l && lithe_listing_count(l) == 4 && !lithe_listing_arch(l), "%s", e.text);
    for (size_t i = 0; i < lithe_listing_count(l); i++) {
        const char *name = lithe_listing_tensor(l, i)->name;
        long long bad = lithe_listing_bad_values(l, i);
        CHECK_MSG(!strcmp(name, "x") ? bad == 3 : !strcmp(name, "y") ? bad < 0 : bad == 0, "%s: %lld", name, bad);
    }
    lithe_listing_close(l);
    l = lithe_listing_open(golden("tokenformer-bin"), &e);
    CHECK_MSG(l && !strcmp(lithe_listing_format(l), "pytorch") && !strcmp(lithe_listing_arch(l), "tokenformer"), "%s", e.text);
    lithe_listing_close(l);
    CHECK(!lithe_listing_open(in_dir("nowhere"), &e) && e.status == LITHE_EIO);
}
