#include "model/gguf_model.h"
#include "base/json.h"
#include "text/tokenizer_gguf.h"
#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define GGUF_PREPROCESSOR "lithe.preprocessor_config"

/* ---- keys ------------------------------------------------------------------------- */

/* general.architecture of one that llama.cpp does not have: letters and digits. */
static const char *own_name(const char *ours, char name[64])
{
    size_t n = 0;
    for (; *ours && n < 63; ours++)
        if (isalnum((unsigned char)*ours)) name[n++] = *ours;
    name[n] = 0;
    return name;
}

/* llama.cpp's numbers for the type that most tensors have (general.file_type). */
static int file_type(dtype type)
{
    static const struct { dtype type; int number; } numbers[] = {
        { DT_F32, 0 }, { DT_F16, 1 }, { DT_Q4_0, 2 }, { DT_Q4_1, 3 }, { DT_Q8_0, 7 }, { DT_Q5_0, 8 }, { DT_Q5_1, 9 }, { DT_Q2_K, 10 }, { DT_Q3_K, 12 },
        { DT_Q4_K, 15 }, { DT_Q5_K, 17 }, { DT_Q6_K, 18 }, { DT_BF16, 32 },
    };
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        if (numbers[i].type == type) return numbers[i].number;
    return -1;
}

static void put_text(gguf_head *h, const char *key, const char *text) { gguf_put_string(h, key, text, strlen(text)); }

static int put_json(gguf_head *h, const char *key, const json_t *json, lithe_error *err)
{
    char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;
    if (!text) return fail(err, LITHE_ENOMEM, "not enough memory for %s", key);
    put_text(h, key, text);
    free(text);
    return LITHE_OK;
}

static int put_preprocessor(gguf_head *h, const lithe_model *m, lithe_error *err)
{
    const image_shape shape = arch_images(m->arch, m->config);
    json_t *json = shape.side ? preprocessor_json(&m->preprocessor, shape) : NULL;
    int status = shape.side ? put_json(h, GGUF_PREPROCESSOR, json, err) : LITHE_OK;
    json_decref(json);
    return status;
}

int gguf_read_preprocessor(lithe_model *m, const tensor_file *f, lithe_error *err)
{
    enum { DEPTH = 8 };
    const gguf_text text = gguf_string(gguf_find(f->keys, GGUF_PREPROCESSOR));
    json_t *json = text.len ? json_parse(text.bytes, text.len, DEPTH, GGUF_PREPROCESSOR, err) : NULL;
    int status = preprocessor_parse(&m->preprocessor, json, arch_images(m->arch, m->config), GGUF_PREPROCESSOR, err);
    json_decref(json);
    return status;
}

/* The defaults of sampling, under the names of generation_config.json. */
int gguf_read_generation(lithe_model *m, const tensor_file *f, lithe_error *err)
{
    static const char *const names[][2] = { { "temp", "temperature" }, { "top_k", "top_k" }, { "top_p", "top_p" }, { "min_p", "min_p" }, { "penalty_repeat", "repetition_penalty" } };
    static const gguf_known known[] = { { "general.sampling.temp", NULL }, { "general.sampling.top_k", NULL }, { "general.sampling.top_p", NULL }, { "general.sampling.min_p", NULL },
        { "general.sampling.penalty_repeat", NULL }, { "general.sampling.penalty_last_n", "-1" }, { "general.sampling.xtc_probability", "0" }, { "general.sampling.xtc_threshold", NULL },
        { "general.sampling.mirostat", "0" }, { "general.sampling.mirostat_tau", NULL }, { "general.sampling.mirostat_eta", NULL }, { NULL, NULL } };
    json_t *json = json_object();
    int bad = !json, status = gguf_check(f->keys, "general.sampling.", known, f->path, err);
    for (size_t i = 0; i < sizeof names / sizeof *names && !status; i++) {
        char key[64];
        double x = 0;
        int64_t whole = 0;
        snprintf(key, sizeof key, "general.sampling.%s", names[i][0]);
        const gguf_value *v = gguf_find(f->keys, key);
        const bool counts = !strcmp(names[i][0], "top_k");
        if (!v) continue;
        if (counts ? !gguf_integer(v, &whole) : !gguf_number(v, &x) || !isfinite(x)) {
            status = fail(err, LITHE_ECONFIG, "%s: %s is not a %s number", f->path, key, counts ? "whole" : "finite");
            break;
        }
        bad |= json_object_set_new(json, names[i][1], counts ? json_integer(whole) : json_real(x));
        if (!i) bad |= json_object_set_new(json, "do_sample", json_boolean(x > 0));
    }
    if (bad && !status) status = fail(err, LITHE_ENOMEM, "%s: not enough memory for its defaults of sampling", f->path);
    if (!status && json_object_size(json) && !m->generation) m->generation = json_incref(json);
    json_decref(json);
    return status;
}

int gguf_model_keys(gguf_head *h, const lithe_model *m, const json_t *config, dtype type, const lithe_tokenizer *t, lithe_error *err)
{
    char name[64];
    const gguf_arch *a = gguf_arch_of(config);
    /* A family that is no LLaMA must not be taken for one. */
    const char *family = m->arch->config.families ? json_string_value(json_object_get(config, "model_type")) : NULL;
    put_text(h, "general.architecture", a ? a->name : own_name(family ? family : m->arch->name, name));
    put_text(h, "general.type", "model");
    if (file_type(type) >= 0) gguf_put_integer(h, "general.file_type", GGUF_U32, file_type(type));
    if (dtype_block(type) > 1) gguf_put_integer(h, "general.quantization_version", GGUF_U32, 2);
    int status = a ? gguf_put_config(h, a, config, err) : LITHE_OK;
    if (!status) status = put_json(h, "lithe.config", config, err);
    if (!status) status = put_preprocessor(h, m, err);
    if (!status && t) status = tokenizer_put_gguf(t, lithe_model_vocab(m), h, err);
    return status ? status : h->out_of_memory ? fail(err, LITHE_ENOMEM, "not enough memory for the keys of a GGUF file") : LITHE_OK;
}

/* ---- tensors ---------------------------------------------------------------------- */

static const out_tensor *find(const out_tensor *out, int count, const char *name)
{
    for (int i = 0; i < count; i++)
        if (!strcmp(out[i].name, name)) return &out[i];
    return NULL;
}

/* The first layer of RWKV-7 has no value residual: llama.cpp wants tensors all the same, and its converter copies a0,
 * a1 and a2. */
static int add_residuals(out_tensor *out, int count)
{
    static const char *const names[][2] = { { "blk.0.time_mix_a0.weight", "blk.0.time_mix_v0.weight" }, { "blk.0.time_mix_a1.weight", "blk.0.time_mix_v1.weight" },
                                            { "blk.0.time_mix_a2.weight", "blk.0.time_mix_v2.weight" } };
    for (int i = 0; i < 3; i++) {
        const out_tensor *from = find(out, count, names[i][0]);
        if (!from) continue;
        out[count] = *from;
        out[count++].name = names[i][1];
    }
    return count;
}

/* The factors of llama3's scaling of RoPE. */
static int add_factors(out_tensor *out, int count, const json_t *config, arena *memory)
{
    double factors[GGUF_MOST_FACTORS];
    int n = gguf_rope_factors(config, factors);
    float *values = n ? arena_alloc(memory, (size_t)n * sizeof *values) : NULL;
    if (!values) return count;
    for (int i = 0; i < n; i++) values[i] = (float)factors[i];
    out[count] = (out_tensor){ .name = "rope_freqs.weight", .type = DT_F32, .rank = 1, .dims = { n }, .data = values };
    return count + 1;
}

/* llama.cpp's GPT-NeoX has a head of its own: where it is tied, the embedding is written twice. */
static int add_head(out_tensor *out, int count, const json_t *config)
{
    const gguf_arch *a = gguf_arch_of(config);
    const out_tensor *from = a && !strcmp(a->name, "gptneox") && !find(out, count, "output.weight") ? find(out, count, "token_embd.weight") : NULL;
    if (!from) return count;
    out[count] = *from;
    out[count].name = "output.weight";
    return count + 1;
}

int gguf_model_tensors(out_tensor *out, int count, const json_t *config, arena *memory)
{
    return add_head(out, add_factors(out, add_residuals(out, count), config, memory), config);
}
