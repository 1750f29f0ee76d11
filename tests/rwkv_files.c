/* RWKV in lone files: the version recognised by tensor names, the configuration by
 * shapes, other programs' names read and written, relatives refused. */
#include "files/rwkv_files.h"
#include "model.h"
#include "rwkv_files.h"
#include "base/file.h"
#include "base/writer.h"
#include "base/json.h"
#include <sys/stat.h>

/* ---- versions ------------------------------------------------------------------------ */

/* Names (and a shape, "NAME[2,3]") that stand beside those every RWKV has. */
#define FOUR   "blocks.0.att.time_decay[8] blocks.0.att.time_first[8] blocks.0.att.time_mix_k[1,1,8] "
#define FIVE   "blocks.0.att.ln_x.weight[8] blocks.0.att.time_mix_k[1,1,8] "
#define GATE   "blocks.0.att.gate.weight[8,8] "
#define SIX    "blocks.0.att.time_maa_x[1,1,8] blocks.0.att.ln_x.weight[8] blocks.0.att.time_mix_k[1,1,8] " GATE
#define SEVEN  "blocks.0.att.r_k[2,4] blocks.0.att.ln_x.weight[8] "

static const struct { const char *label, *names, *version, *refused; } LISTS[] = {
    { "4",               FOUR, "4", NULL },
    { "5.0",             FIVE "blocks.0.att.time_decay[2] blocks.0.att.time_first[2] ", "5.0", NULL },
    { "5.1",             FIVE GATE "blocks.0.att.time_decay[2] blocks.0.att.time_faaaa[2] ", "5.1", NULL },
    { "5.1, [H,1]",      FIVE GATE "blocks.0.att.time_decay[2,1] ", "5.1", NULL },
    { "5.2",             FIVE GATE "blocks.0.att.time_decay[2,4] blocks.0.att.time_faaaa[2,4] ", "5.2", NULL },
    { "6",               SIX "blocks.0.att.time_decay[1,1,8] ", "6", NULL },
    { "7",               SEVEN "blocks.0.att.k_k[1,1,8] blocks.1.att.v1[8,3] ", "7", NULL },
    { "4a",              FOUR "blocks.1.tiny_ln.weight[8] blocks.1.tiny_q.weight[4,8] ", NULL, "RWKV-4a, recognised by blocks.1.tiny_ln.weight" },
    { "4b",              FOUR "blocks.0.att.qq.weight[8,8] blocks.0.att.kk.weight[8,8] ", NULL, "RWKV-4b, recognised by blocks.0.att.qq.weight" },
    { "4b, values",      FOUR "blocks.3.att.vv.weight[8,8] ", NULL, "RWKV-4b" },
    { "4b, output",      FOUR "blocks.3.att.oo.weight[8,8] ", NULL, "RWKV-4b" },
    { "ffnPre",          "blocks.1.att.time_mix_k[1,1,8] blocks.0.ffnPre.key.weight[8,8] ", NULL, "(ffnPre)" },
    { "7a",              SEVEN "blocks.0.ffn.s_emb.weight[3,16] blocks.0.ffn.s_emb_x.weight[16,8] ", NULL, "RWKV-7a, recognised by blocks.0.ffn.s_emb" },
    { "7b",              SEVEN "blocks.0.ffn.s_emb.weight[3,16] blocks.0.qkv.q.weight[8,8] ", NULL, "RWKV-7b, recognised by blocks.0.qkv" },
    { "8, a table",      SEVEN "blocks.0.ffn.enn.weight[3,8] ", NULL, "RWKV-8, recognised by blocks.0.ffn.enn.weight" },
    { "8, rosa",         "blocks.0.rosa_qkv.weight[8,8] ", NULL, "RWKV-8, recognised by blocks.0.rosa_qkv.weight" },
    { "8, rosa in att",  SEVEN "blocks.2.att.rosa_q.weight[8,8] ", NULL, "RWKV-8" },
    { "tuned states",    SEVEN "blocks.0.att.time_state[2,4,4] ", NULL, "time_state" },
    { "7, a candidate",  "blocks.0.att.ln_x.weight[8] blocks.0.att.time_maa_r[1,1,8] blocks.0.att.time_aaaaa[1,1,8] ", NULL, "a release candidate of RWKV-7" },
    { "6, a variant",    SIX "blocks.0.att.time_maa_rkvw_w1[8,12] ", NULL, "a variant of RWKV-6" },
    { "copying head",    FOUR "head_q.weight[8,8] head_k.weight[8,8] ", NULL, "head_q" },
    { "something else",  "blocks.0.attn.weight[8] ", NULL, NULL },
};

enum { MOST = 32 };
typedef struct { out_tensor tensors[MOST]; char names[MOST][96]; int count; float zeros[8192]; } synthetic;

static void add_name(synthetic *s, const char *prefix, const char *item, size_t length)
{
    out_tensor *t = &s->tensors[s->count];
    size_t name = strcspn(item, "[");
    snprintf(s->names[s->count], sizeof s->names[0], "%s%.*s", prefix, (int)name, item);
    *t = (out_tensor){ .name = s->names[s->count++], .type = DT_F32, .data = s->zeros };
    for (const char *p = item + name; p < item + length - 1; p += strcspn(p + 1, ",]") + 1) t->dims[t->rank++] = atoi(p + 1);
}

static void add_names(synthetic *s, const char *prefix, const char *names)
{
    for (const char *p = names; *p; p += strspn(p, " ")) {
        size_t n = strcspn(p, " ");
        add_name(s, prefix, p, n);
        p += n;
    }
}

#define COMMON "emb.weight[3,8] blocks.0.ln0.weight[8] blocks.1.ln1.weight[8] blocks.0.ffn.key.weight[24,8] head.weight[3,8] "

static tensor_file *synthetic_file(const char *prefix, const char *names)
{
    static synthetic s;
    lithe_error err = { 0 };
    s.count = 0;
    add_names(&s, prefix, COMMON);
    add_names(&s, prefix, names);
    CHECK_MSG(!safetensors_write(in_dir("names"), s.tensors, s.count, NULL, &err), "%s", err.text);
    tensor_file *f = model_tensors(in_dir("names"), &err);
    CHECK_MSG(f, "%s", err.text);
    return f;
}

static void versions(void)
{
    static const char *const prefixes[] = { "", "model.", "module.", "_forward_module.", "rwkv.", "_forward_module.model." };
    for (size_t i = 0; i < sizeof LISTS / sizeof *LISTS; i++)
        for (size_t k = 0; k < sizeof prefixes / sizeof *prefixes; k++) {
            lithe_error err = { 0 };
            tensor_file *f = synthetic_file(prefixes[k], LISTS[i].names);
            const char *version = f ? rwkv_version(f, &err) : NULL;
            if (LISTS[i].refused) check_failure(&err, LITHE_EFORMAT, LISTS[i].refused);
            else CHECK_MSG(!err.status, "%s: %s", LISTS[i].label, err.text);
            CHECK_MSG(version ? LISTS[i].version && !strcmp(version, LISTS[i].version) : !LISTS[i].version, "%s%s: version %s", prefixes[k], LISTS[i].label, version ? version : "none");
            tensor_file_close(f);
        }
}

/* Experiments of version 8 that lack what the others have are refused by name, too. */
static void versions_to_come(void)
{
    static synthetic s;
    lithe_error err = { 0 };
    s.count = 0;
    add_names(&s, "", "emb.weight[3,8] blocks.0.ln1.weight[8] blocks.0.rosa.emb0[8] head.weight[3,8] ");
    CHECK_MSG(!safetensors_write(in_dir("eight.safetensors"), s.tensors, s.count, NULL, &err), "%s", err.text);
    lithe_model *m = lithe_model_open(in_dir("eight.safetensors"), NULL, &err);
    CHECK(!m);
    check_failure(&err, LITHE_EFORMAT, "RWKV-8, recognised by blocks.0.rosa");
    lithe_model_close(m);
    /* One that has what version 7 has too is listed without a name of an architecture. */
    for (int rosa = 0; rosa < 2; rosa++) {
        err = (lithe_error){ 0 };
        s.count = 0;
        add_names(&s, "", "emb.weight[3,8] blocks.0.ln0.weight[8] head.weight[3,8] " SEVEN);
        if (rosa) add_names(&s, "", "blocks.0.att.rosa_q.weight[8,8] ");
        CHECK_MSG(!safetensors_write(in_dir(rosa ? "eight7.safetensors" : "seven.safetensors"), s.tensors, s.count, NULL, &err), "%s", err.text);
        lithe_listing *l = lithe_listing_open(in_dir(rosa ? "eight7.safetensors" : "seven.safetensors"), &err);
        const char *known = lithe_listing_arch(l);
        CHECK_MSG(l && (rosa ? !known : known && !strcmp(known, "rwkv7")), "%s %s", known ? known : "none", err.text);
        lithe_listing_close(l);
    }
}

/* Sizes by shapes: a rank of 5, heads of 4, an inner width that no formula gives. */
static void configurations(void)
{
    static const struct { const char *key; int value; } expected[] = {
        { "vocab_size", 3 }, { "hidden_size", 8 }, { "num_hidden_layers", 2 }, { "intermediate_size", 24 }, { "head_dim", 4 },
        { "decay_low_rank_dim", 5 }, { "a_low_rank_dim", 6 }, { "v_low_rank_dim", 3 }, { "gate_low_rank_dim", 7 } };
    lithe_error err = { 0 };
    tensor_file *f = synthetic_file("module.", SEVEN "blocks.0.att.w1[8,5] blocks.0.att.a1[8,6] blocks.1.att.v1[8,3] blocks.0.att.g1[8,7] blocks.0.att.v1[8,9] ");
    json_t *config = f ? rwkv_config(f, &err) : NULL;
    CHECK_MSG(config, "%s", err.text);
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++)
        CHECK_MSG(json_integer_value(json_object_get(config, expected[i].key)) == expected[i].value, "%s", expected[i].key);
    json_decref(config);
    tensor_file_close(f);
}

/* ---- dimensions of one -------------------------------------------------------------------- */

static bool holds_shape(const tensor_file *f, const char *name, int rank, int64_t a, int64_t b, int64_t c)
{
    const file_tensor *t = tensor_file_find(f, name);
    const wanted_shape wanted = { .rank = rank, .dims = { a, b, c } };
    file_tensor ours = t ? *t : (file_tensor){ 0 };
    return t && naming_view(&ours, &wanted) && file_tensor_as_is(&ours);
}

static void check_shape(const tensor_file *f, const char *name, int rank, int64_t a, int64_t b, int64_t c)
{
    CHECK_MSG(holds_shape(f, name, rank, a, b, c), "%s", name);
}

static void shapes_are_settled(void)
{
    tensor_file *f = synthetic_file("", SEVEN "blocks.0.att.x_r[8] blocks.0.att.w0[1,8] blocks.0.att.k_k[8,1,1] blocks.1.att.r_k[1,2,4,1] blocks.0.ffn.x_k[8] blocks.0.att.x_g[4] ");
    check_shape(f, "blocks.0.att.x_r", 3, 1, 1, 8);
    check_shape(f, "blocks.0.att.w0", 3, 1, 1, 8);
    check_shape(f, "blocks.0.att.k_k", 3, 1, 1, 8);
    check_shape(f, "blocks.0.ffn.x_k", 3, 1, 1, 8);
    check_shape(f, "blocks.1.att.r_k", 2, 2, 4, 0);
    CHECK(!holds_shape(f, "blocks.0.att.x_g", 3, 1, 1, 8));              /* of another width */
    CHECK(holds_shape(f, "blocks.0.ffn.key.weight", 2, 24, 8, 0) && !holds_shape(f, "blocks.0.ffn.key.weight", 2, 8, 24, 0) && !holds_shape(f, "emb.weight", 3, 1, 3, 8));
    tensor_file_close(f);
    f = synthetic_file("", "blocks.0.att.time_mix_k[8] blocks.0.att.time_decay[1,1,8] blocks.0.att.time_first[8] ");
    check_shape(f, "blocks.0.att.time_mix_k", 3, 1, 1, 8);
    check_shape(f, "blocks.0.att.time_decay", 1, 8, 0, 0);
    tensor_file_close(f);
    f = synthetic_file("", SIX "blocks.0.att.time_decay[2,4,1] blocks.0.att.time_faaaa[2,4,1] ");
    check_shape(f, "blocks.0.att.time_decay", 3, 1, 1, 8);
    check_shape(f, "blocks.0.att.time_faaaa", 2, 2, 4, 0);
    tensor_file_close(f);
    f = synthetic_file("", FIVE GATE "blocks.0.att.time_decay[8] blocks.0.att.time_faaaa[1,8] ");   /* a single head */
    check_shape(f, "blocks.0.att.time_decay", 2, 1, 8, 0);
    check_shape(f, "blocks.0.att.time_faaaa", 2, 1, 8, 0);
    tensor_file_close(f);
    f = synthetic_file("", FIVE GATE "blocks.0.att.time_decay[2,1] blocks.0.att.time_first[2,1,1] ");
    check_shape(f, "blocks.0.att.time_decay", 1, 2, 0, 0);
    check_shape(f, "blocks.0.att.time_first", 1, 2, 0, 0);
    tensor_file_close(f);
}

/* Versions 5 and 6 by shapes. */
static void configurations_of_heads(void)
{
    static const struct { const char *names, *type, *version; int head, mix, decay; } cases[] = {
        { FIVE "blocks.0.att.time_decay[2] blocks.0.att.time_first[2] ", "rwkv5", "5.0", 4, 0, 0 },
        { FIVE GATE "blocks.0.att.time_decay[2] blocks.0.att.time_faaaa[2] ", "rwkv5", "5.1", 4, 0, 0 },
        { FIVE GATE "blocks.0.att.time_decay[4,2] blocks.0.att.time_faaaa[4,2] ", "rwkv5", "5.2", 2, 0, 0 },
        { SIX "blocks.0.att.time_decay[1,1,8] blocks.0.att.time_faaaa[2,4] blocks.0.att.time_maa_w1[8,15] blocks.0.att.time_decay_w1[8,7] ", "rwkv6", NULL, 4, 3, 7 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        lithe_error err = { 0 };
        tensor_file *f = synthetic_file("", cases[i].names);
        json_t *config = f ? rwkv_config(f, &err) : NULL;
        const char *version = json_string_value(json_object_get(config, "version"));
        CHECK_MSG(config, "%s", err.text);
        CHECK(!strcmp(json_string_value(json_object_get(config, "model_type")), cases[i].type) && (!version || !strcmp(version, cases[i].version)));
        CHECK(json_is_true(json_object_get(config, "time_faaaa")) == (i == 1));
        CHECK(json_integer_value(json_object_get(config, "head_size")) == cases[i].head);
        CHECK(json_integer_value(json_object_get(config, "time_mix_extra_dim")) == cases[i].mix && json_integer_value(json_object_get(config, "time_decay_extra_dim")) == cases[i].decay);
        json_decref(config);
        tensor_file_close(f);
    }
}

/* ---- models -------------------------------------------------------------------------------- */

const char *golden_path(const char *name)
{
    static char path[128];
    snprintf(path, sizeof path, "tests/golden/%s", name);
    return test_file(path);
}

lithe_model *must_open_file(const char *path)
{
    lithe_error err = { 0 };
    lithe_model *m = open_values(path, NULL, &err);
    CHECK_MSG(m, "%s", err.text);
    return m;
}

/* Every field but what no tensor tells: the context, and numbers that are no sizes. */
static bool same_sizes(const lithe_model *a, const lithe_model *b)
{
    bool same = a->arch == b->arch;
    for (const field *f = a->arch->config.fields; same && f->key; f++) {
        if (strstr(f->key, "context") || strstr(f->key, "position") || f->kind == FIELD_REAL) continue;
        same = !memcmp((const char *)a->config + f->offset, (const char *)b->config + f->offset, sizeof(int));
    }
    return same;
}

static void round_to(lithe_model *m, bool brain)
{
    for (size_t i = 0; i < m->params->arena_count; i++) {
        float x = (float)m->params->values[i];
        m->params->values[i] = (real)(brain ? float_from_bf16(bf16_from_float(x)) : float_from_f16(f16_from_float(x)));
    }
}

/* The authors' .pth alone: prefix, dimensions of one, half types, meaningless tensors. */
static void lone_files(void)
{
    static const struct { const char *file, *model; bool brain; } CASES[] = { { "rwkv-pth/rwkv4.pth", "rwkv4", true }, { "rwkv-pth/rwkv7.pth", "rwkv7", false } };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        lithe_model *lone = must_open_file(golden_path(CASES[i].file)), *whole = must_open_file(golden_path(CASES[i].model));
        if (!lone || !whole) continue;
        round_to(whole, CASES[i].brain);
        CHECK_MSG(!strcmp(lithe_model_arch(lone), CASES[i].model) && same_parameters(lone, whole), "%s", CASES[i].file);
        CHECK(lithe_model_context(lone) == (i ? 4096 : 1024));
        lithe_model_close(lone);
        lithe_model_close(whole);
    }
}

/* A neighbour's config.json is believed where it is of the same architecture, and not where it is not. */
static void neighbours(void)
{
    lithe_error err = { 0 };
    size_t size;
    char *bytes = file_read(golden_path("rwkv-pth/rwkv7.pth"), 1 << 20, &size, &err);
    CHECK_MSG(bytes && !file_write(in_dir("seven.pth"), bytes, size, &err), "%s", err.text);
    put_text(in_dir("config.json"), "{\"model_type\":\"gpt2\"}");
    lithe_model *m = must_open_file(in_dir("seven.pth"));
    CHECK(m && lithe_model_context(m) == 4096);
    lithe_model_close(m);
    put_text(in_dir("config.json"), "{\"model_type\":\"rwkv7\",\"vocab_size\":61,\"hidden_size\":16,\"num_hidden_layers\":2,\"head_size\":8,\"lora_rank_gate\":6,\"context_length\":77}");
    m = must_open_file(in_dir("seven.pth"));
    CHECK(m && lithe_model_context(m) == 77);
    lithe_model_close(m);
    put_text(in_dir("config.json"), "not JSON");
    m = must_open_file(in_dir("seven.pth"));
    CHECK(m && lithe_model_context(m) == 4096);
    lithe_model_close(m);
    m = lithe_model_open(test_dir(), NULL, &err);                         /* a folder is what its config.json says */
    CHECK(!m && err.status);
    free(bytes);
}

/* Whoever converted a file for one strategy transformed its weights and left a note. */
static void converted_files(void)
{
    lithe_error err = { 0 };
    CHECK(!lithe_model_open(golden_path("rwkv-pth/converted.pth"), NULL, &err));
    check_failure(&err, LITHE_EFORMAT, "was converted for one strategy of ChatRWKV");
}

/* Keys of other programs' version 7 that mean another model, and spellings that mean the same. */
static void configurations_of_others(void)
{
    static const struct { const char *config, *refused; } CASES[] = {
        { "{\"hidden_act\":\"relu\"}", "\"hidden_act\": \"relu\" is not supported" }, { "{\"norm_first\":false}", "\"norm_first\": false is not supported" }, { "{\"norm_bias\":false}", "\"norm_bias\": false is not supported" },
        { "{\"tie_word_embeddings\":true}", "\"tie_word_embeddings\": true is not supported" }, { "{\"attn\":{\"layers\":[1]}}", "\"attn\": {\"layers\":[1]} is not supported" },
        { "{\"head_size\":7,\"hidden_size\":64}", "head_dim is 7" }, { "{\"num_heads\":4,\"hidden_size\":64,\"lora_rank_decay\":9,\"layer_norm_epsilon\":1e-3}", NULL },
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        lithe_error err = { 0 };
        json_t *config = json_loads(CASES[i].config, 0, NULL);
        lithe_model *m = model_declare(arch_find("rwkv7"), config, "config.json", &err);
        if (CASES[i].refused) check_failure(&err, LITHE_ECONFIG, CASES[i].refused);
        else {
            json_t *written = m ? model_config(m, &err) : NULL;
            CHECK_MSG(json_integer_value(json_object_get(written, "head_dim")) == 16 && json_integer_value(json_object_get(written, "decay_low_rank_dim")) == 9
                      && json_real_value(json_object_get(written, "norm_eps")) == 1e-3, "%s", err.text);
            json_decref(written);
        }
        lithe_model_close(m);
        json_decref(config);
    }
}

/* Other programs' names stand in what is written, with their shapes. */
static void written_as_found(void)
{
    static const struct { const char *name, *config; } CASES[] = { { "rwkv4-hf", "rwkv" }, { "rwkv7-fla", "rwkv7" } };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        lithe_error err = { 0 };
        char path[200];
        lithe_model *m = must_open_file(golden_path(CASES[i].name));
        CHECK_MSG(m && !lithe_model_save(m, in_dir(CASES[i].name), NULL, NULL, &err), "%s", err.text);
        snprintf(path, sizeof path, "tests/golden/%s/model.safetensors", CASES[i].name);
        tensor_file *before = tensor_file_open(test_file(path), &err);
        snprintf(path, sizeof path, "%s/model.safetensors", CASES[i].name);
        tensor_file *after = tensor_file_open(in_dir(path), &err);
        CHECK_MSG(before && after && before->count == after->count, "%s", err.text);
        for (int k = 0; before && after && k < before->count; k++) {
            const file_tensor *x = &before->tensors[k], *y = tensor_file_find(after, x->name);
            bool same = y && x->rank == y->rank && x->bytes == y->bytes && !memcmp(x->dims, y->dims, sizeof x->dims) && !memcmp(x->data, y->data, x->bytes);
            CHECK_MSG(same, "%s: %s", CASES[i].name, x->name);
        }
        snprintf(path, sizeof path, "%s/config.json", CASES[i].name);
        json_t *config = get_json(in_dir(path));
        CHECK(!strcmp(json_string_value(json_object_get(config, "model_type")), CASES[i].config));
        json_decref(config);
        tensor_file_close(before);
        tensor_file_close(after);
        lithe_model_close(m);
    }
}

/* flash-linear-attention's first layout has one x_x for six mixes; a model that was read in it is written in the later
 * one.  Its configurations, which have attn_mode, mean norm_eps times the channels of a head for the heads. */
static void first_layout(void)
{
    static const char order[] = "rwkvag";
    lithe_error err = { 0 };
    float mixes[2][6 * 16], logits[2][3 * 61];
    char names[2][64];
    out_tensor out[128];
    int count = 0;
    const int32_t ids[3] = { 5, 9, 60 };
    tensor_file *f = tensor_file_open(golden_path("rwkv7-fla/model.safetensors"), &err);
    for (int k = 0; f && k < f->count && count < 126; k++) {
        const file_tensor *t = &f->tensors[k];
        const char *mix = strstr(t->name, "attn.x_"), *which = mix ? strchr(order, mix[7]) : NULL;
        if (which) file_tensor_floats(t, 0, t->count, mixes[t->name[13] - '0'] + 16 * (which - order));
        else out[count++] = (out_tensor){ .name = t->name, .type = t->type, .rank = t->rank, .dims = { t->dims[0], t->dims[1], t->dims[2] }, .data = t->data };
    }
    for (int l = 0; l < 2; l++) {
        snprintf(names[l], sizeof names[l], "model.layers.%d.attn.x_x", l);
        out[count++] = (out_tensor){ .name = names[l], .type = DT_F32, .rank = 2, .dims = { 6, 16 }, .data = mixes[l] };
    }
    mkdir(in_dir("first"), 0777);
    CHECK_MSG(f && !safetensors_write(in_dir("first/model.safetensors"), out, count, NULL, &err), "%s", err.text);
    json_t *config = get_json(golden_path("rwkv7-fla/config.json"));
    for (int own = 0; own < 2; own++) {
        /* Heads have 8 channels: 8e-5 by their rule, as said; else the authors' 64e-5. */
        if (own) json_object_set_new(config, "attn_mode", json_string("chunk"));
        char *text = json_dumps(config, 0);
        put_text(in_dir("first/config.json"), text);
        free(text);
        lithe_model *first = must_open_file(in_dir("first")), *later = must_open_file(golden_path("rwkv7-fla"));
        CHECK_MSG(first && later && same_parameters(first, later), "%s", err.text);
        CHECK(!lithe_logits(first, ids, 3, logits[own], &err));
        json_t *written = model_config(first, &err);
        CHECK(json_real_value(json_object_get(written, "group_norm_epsilon")) == (own ? 8e-5 : 64e-5));
        json_decref(written);
        CHECK_MSG(own || (!lithe_logits(later, ids, 3, logits[1], &err) && !memcmp(logits[0], logits[1], sizeof logits[0])), "%s", err.text);
        if (own) CHECK(memcmp(logits[0], logits[1], sizeof logits[0]) && lithe_model_export(first, in_dir("a.gguf"), NULL, &err) == LITHE_EINVAL && strstr(err.text, "group_norm_epsilon"));
        else CHECK(!lithe_model_save(first, in_dir("saved"), NULL, NULL, &err));
        lithe_model_close(first);
        lithe_model_close(later);
    }
    json_decref(config);
    tensor_file_close(f);
    f = tensor_file_open(in_dir("saved/model.safetensors"), NULL);
    CHECK(f && tensor_file_find(f, "model.layers.1.attn.x_a") && !tensor_file_find(f, "model.layers.1.attn.x_x"));
    tensor_file_close(f);
}

/* Versions 5 and 6 under Hugging Face's names, which the same words make of the authors'. */
static void later_versions_renamed(void)
{
    static const char *const words[][2] = { { "blocks.", "rwkv.blocks." }, { ".ln0.", ".pre_ln." }, { ".att.", ".attention." }, { ".ffn.", ".feed_forward." },
        { "emb.", "rwkv.embeddings." }, { "ln_out.", "rwkv.ln_out." }, { "time_mix_k", "time_mix_key" }, { "time_mix_v", "time_mix_value" },
        { "time_mix_r", "time_mix_receptance" }, { "time_mix_g", "time_mix_gate" } };
    static const char *const models[] = { "rwkv5", "rwkv6" };
    for (size_t i = 0; i < 2; i++) {
        lithe_error err = { 0 };
        char path[100], names[128][200];
        out_tensor out[128];
        snprintf(path, sizeof path, "%s/model.safetensors", models[i]);
        tensor_file *f = tensor_file_open(golden_path(path), &err);
        for (int k = 0; f && k < f->count && k < 128; k++) {
            const file_tensor *t = &f->tensors[k];
            out[k] = (out_tensor){ .name = names[k], .type = t->type, .rank = t->rank, .dims = { t->dims[0], t->dims[1], t->dims[2] }, .data = t->data };
            snprintf(names[k], sizeof names[k], "%s", t->name);
            for (size_t w = 0; w < sizeof words / sizeof *words; w++) {
                char *at = strstr(names[k], words[w][0]), rest[200];
                if (!at || (w >= 6 && at[strlen(words[w][0])]) || (words[w][0][0] != '.' && w < 6 && at != names[k])) continue;
                snprintf(rest, sizeof rest, "%s", at + strlen(words[w][0]));
                snprintf(at, (size_t)(names[k] + sizeof names[k] - at), "%s%s", words[w][1], rest);
            }
        }
        CHECK_MSG(f && !safetensors_write(in_dir("renamed.safetensors"), out, f->count, NULL, &err), "%s", err.text);
        lithe_model *renamed = must_open_file(in_dir("renamed.safetensors")), *whole = must_open_file(golden_path(models[i]));
        CHECK_MSG(renamed && whole && same_parameters(renamed, whole) && same_sizes(renamed, whole), "%s", models[i]);
        lithe_model_close(renamed);
        lithe_model_close(whole);
        tensor_file_close(f);
    }
}

/* ---- one file --------------------------------------------------------------------------------- */

/* What was written opens by itself with the same bits; the .pth has the bytes that torch.load was seen to read
 * (tools/check_pth.py). */
static void one_file_round_trips(void)
{
    static const struct { const char *model, *file, *type, *hash; } CASES[] = {
        { "rwkv4", "a.pth", "f32", "4b075ad68422be3fcb107199750bb057" }, { "rwkv7", "b.pth", NULL, "e78f7462f55113a5df6fe46678025b28" },
        { "rwkv7", "c.pth", "bf16", "2528a3207f9dd2f3d0234dc81c0f93d6" }, { "rwkv4", "d.pth", "f16", "b19a5e65133bbc9df0bc8c8efffea8c0" },
        { "rwkv5", "v52.pth", "f32", NULL }, { "rwkv5-0", "v50.pth", "f32", NULL }, { "rwkv5-1", "v51.pth", "f32", NULL }, { "rwkv6", "v60.pth", "bf16", NULL },
        { "rwkv4-hf", "e.pth", "f32", NULL }, { "rwkv7-fla", "f.safetensors", "f32", NULL }, { "rwkv4", "g.safetensors", "bf16", NULL },
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        lithe_error err = { 0 };
        mapping map = { 0 };
        char hash[33] = "";
        lithe_model *m = must_open_file(golden_path(CASES[i].model));
        CHECK_MSG(m && !lithe_model_export(m, in_dir(CASES[i].file), CASES[i].type, &err), "%s", err.text);
        lithe_model *again = must_open_file(in_dir(CASES[i].file));
        if (m && CASES[i].type && strcmp(CASES[i].type, "f32")) round_to(m, CASES[i].type[0] == 'b');
        CHECK_MSG(m && again && same_parameters(m, again), "%s", CASES[i].file);
        CHECK_MSG(m && again && same_sizes(m, again), "%s: another configuration", CASES[i].file);
        if (!file_map(&map, in_dir(CASES[i].file), &err)) hash_hex(map.data, map.size, hash);
        CHECK_MSG(!CASES[i].hash || !strcmp(hash, CASES[i].hash), "%s: %s", CASES[i].file, hash);
        tensor_file *f = tensor_file_open(in_dir(CASES[i].file), &err);
        CHECK_MSG(f && tensor_file_find(f, "blocks.0.att.key.weight"), "%s: not under the authors' names", CASES[i].file);
        tensor_file_close(f);
        file_unmap(&map);
        lithe_model_close(m);
        lithe_model_close(again);
    }
}

static void one_file_refuses(void)
{
    lithe_error err = { 0 };
    lithe_model *m = must_open_file(golden_path("rwkv4"));
    CHECK(lithe_model_export(m, in_dir("a.pt"), NULL, &err) == LITHE_EINVAL && strstr(err.text, ".pth, .safetensors or"));
    err = (lithe_error){ 0 };
    CHECK(lithe_model_export(m, in_dir("a.bin"), "bf16", &err) == LITHE_EINVAL && strstr(err.text, "not bf16"));
    /* Weights that are stored in bf16, as the published ones are, become f32 there, which has all of their values. */
    err = (lithe_error){ 0 };
    lithe_model *seven = must_open_file(golden_path("rwkv7"));
    CHECK_MSG(!lithe_model_export(seven, in_dir("half.pth"), "bf16", &err), "%s", err.text);
    lithe_model_close(seven);
    lithe_model *half = must_open_file(in_dir("half.pth"));
    CHECK_MSG(half && !lithe_model_export(half, in_dir("half.bin"), "stored", &err), "%s", err.text);
    lithe_model *wide = must_open_file(in_dir("half.bin"));
    CHECK(half && wide && same_parameters(half, wide));
    lithe_model_close(half);
    lithe_model_close(wide);
    err = (lithe_error){ 0 };
    lithe_model *gpt2 = must_open_file(golden_path("gpt2")), *old = must_open_file(golden_path("rwkv5-1"));
    CHECK(lithe_model_export(gpt2, in_dir("a.bin"), NULL, &err) == LITHE_EINVAL && strstr(err.text, "only RWKV"));
    err = (lithe_error){ 0 };
    CHECK(lithe_model_export(old, in_dir("a.bin"), NULL, &err) == LITHE_EINVAL && strstr(err.text, "RWKV-5.1") && !path_exists(in_dir("a.bin")));
    lithe_model_close(gpt2);
    lithe_model_close(old);
    err = (lithe_error){ 0 };
    CHECK(lithe_model_export(m, in_dir("a.pth"), "q4", &err) == LITHE_EINVAL && strstr(err.text, "q4"));
    err = (lithe_error){ 0 };
    CHECK(!lithe_model_export(m, in_dir("a.pth"), NULL, &err));
    CHECK(lithe_model_export(m, in_dir("a.pth"), NULL, &err) == LITHE_EINVAL && strstr(err.text, "is there already"));
    err = (lithe_error){ 0 };
    CHECK(lithe_model_export(m, in_dir("nowhere/a.pth"), NULL, &err) && !path_exists(in_dir("nowhere")));
    err = (lithe_error){ 0 };
    params_find(m->params, "head.weight")->weight.values[0] = (real)1e6;
    CHECK(lithe_model_export(m, in_dir("h.pth"), "f16", &err) == LITHE_EINVAL && !path_exists(in_dir("h.pth")));
    err = (lithe_error){ 0 };
    CHECK(lithe_model_export(m, in_dir("h.bin"), "f16", &err) == LITHE_EINVAL && strstr(err.text, "65504") && !path_exists(in_dir("h.bin")));
    CHECK(lithe_model_export(NULL, "x.pth", NULL, NULL) == LITHE_EINVAL);
    lithe_model_close(m);
}

const test tests_rwkv_files[] = {
    { "rwkv files: versions by tensor names", versions },
    { "rwkv files: versions that are not known yet", versions_to_come },
    { "rwkv files: configurations by shapes", configurations },
    { "rwkv files: configurations of heads by shapes", configurations_of_heads },
    { "rwkv files: dimensions of one", shapes_are_settled },
    { "rwkv files: a .pth alone", lone_files },
    { "rwkv files: a neighbour's configuration", neighbours },
    { "rwkv files: converted for ChatRWKV", converted_files },
    { "rwkv files: configurations of other programs", configurations_of_others },
    { "rwkv files: written under the names they were read", written_as_found },
    { "rwkv files: flash-linear-attention's first layout and norm of the heads", first_layout },
    { "rwkv files: later versions renamed", later_versions_renamed },
    { "rwkv files: rwkv.cpp's versions 5 and 6", runtime_files },
    { "rwkv files: one file there and back", one_file_round_trips },
    { "rwkv files: written for rwkv.cpp", runtime_files_written },
    { "rwkv files: published files written again", published_files_written },
    { "rwkv files: values no parameter gives", runtime_values_refused },
    { "rwkv files: what cannot be one file", one_file_refuses },
    { 0 }
};
