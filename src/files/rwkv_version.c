/* Finds the version of RWKV and its configuration from the tensors only: ranks, widths and
 * heads come from shapes, never from formulas or file names.  The context, which no
 * tensor determines, keeps its default.
 * Invariant: a variant that computes something else (4a, 4b, 7a, 7b, 8, an
 * attention replaced by a feed-forward, weights rescaled for one runtime) is
 * refused by name, and is never read as the version it resembles. */
#include "files/rwkv_files.h"
#include "files/tensor_formats.h"
#include <assert.h>
#include <stdlib.h>

/* ---- versions ------------------------------------------------------------------------ */

/* Names of a layer that only variants have, the newest first: a file of 7b has the tables of 7a too. */
static const struct { const char *in_layer, *is; } RELATIVES[] = {
    { "rosa",      "an experiment of RWKV-8" }, { "ffn.enn",  "an experiment of RWKV-8" }, { "qkv.", "RWKV-7b" }, { "ffn.s_emb", "RWKV-7a" },
    { "tiny_",     "RWKV-4a" }, { "att.qq", "RWKV-4b" }, { "att.kk", "RWKV-4b" }, { "att.vv", "RWKV-4b" }, { "att.oo", "RWKV-4b" },
    { "att.time_aaaaa", "a release candidate of RWKV-7" }, { "att.time_maa_rkvw", "a variant of RWKV-6" }, { "att.time_maa_rkv_", "a variant of RWKV-6" },
    { "ffnPre.",   "an RWKV whose first time mix is a feed-forward (ffnPre)" },
    { "att.time_state", "an RWKV with initial states of its own (time_state)" },
};
enum { RELATIVE_COUNT = sizeof RELATIVES / sizeof *RELATIVES };

/* The rest of the name after "blocks.N.", and N; NULL for other names. */
static const char *in_layer(const char *name, long *layer)
{
    char *end;
    if (strncmp(name, "blocks.", 7) || name[7] < '0' || name[7] > '9') return NULL;
    *layer = strtol(name + 7, &end, 10);
    return *end == '.' ? end + 1 : NULL;
}

static const file_tensor *find_relative(const tensor_file *f, const char *mark)
{
    long layer;
    for (int i = 0; i < f->count; i++) {
        const char *rest = in_layer(f->tensors[i].name, &layer);
        if ((rest && !strncmp(rest, mark, strlen(mark))) || (!strcmp(mark, "rosa") && strstr(f->tensors[i].name, mark))) return &f->tensors[i];
    }
    return NULL;
}

int rwkv_refuse(const tensor_file *f, lithe_error *err)
{
    static const char known[] = "RWKV-4, 5, 6 and 7 are read";
    for (int i = 0; i < RELATIVE_COUNT; i++) {
        const file_tensor *t = find_relative(f, RELATIVES[i].in_layer);
        if (t) return fail(err, LITHE_EFORMAT, "%s: holds %s, recognised by %.100s; %s", f->path, RELATIVES[i].is, t->name, known);
    }
    if (tensor_file_find(f, "head_q.weight") || tensor_file_find(f, "head_k.weight"))
        return fail(err, LITHE_EFORMAT, "%s: holds an RWKV whose head copies tokens (head_q, head_k); %s", f->path, known);
    if (json_object_get(f->metadata, "_strategy") || json_object_get(f->metadata, "_version"))
        return fail(err, LITHE_EFORMAT, "%s: was converted for one strategy of ChatRWKV, its weights are transformed: take the .pth it was made from", f->path);
    return LITHE_OK;
}

/* Version 5.2 has a decay for each channel, earlier versions one for each head. */
static const char *version_of_tensors(const tensor_file *f)
{
    const file_tensor *decay = tensor_file_find(f, "blocks.0.att.time_decay"), *norm = tensor_file_find(f, "blocks.0.att.ln_x.weight");
    if (tensor_file_find(f, "blocks.0.att.r_k")) return "7";
    if (tensor_file_find(f, "blocks.0.att.time_maa_x")) return "6";
    if (!norm) return tensor_file_find(f, "blocks.0.att.time_mix_k") ? "4" : NULL;
    if (!tensor_file_find(f, "blocks.0.att.gate.weight")) return "5.0";
    return decay && decay->count == norm->count ? "5.2" : "5.1";
}

const char *rwkv_version(const tensor_file *f, lithe_error *err)
{
    if (failed(err) || !tensor_file_find(f, "emb.weight") || !tensor_file_find(f, "blocks.0.ln0.weight")) return NULL;
    return rwkv_refuse(f, err) ? NULL : version_of_tensors(f);
}

/* ---- configurations ------------------------------------------------------------------- */

/* A dimension, or 0, which every key refuses, if it does not exist. */
static json_int_t size_of(const tensor_file *f, const char *name, int dim)
{
    const file_tensor *t = tensor_file_find(f, name);
    return t && dim < t->rank ? (json_int_t)t->dims[dim] : 0;
}

/* The channels of a head, from a tensor (heads, channels) with any dimensions of size one. */
static json_int_t channels_of(const tensor_file *f, const char *name)
{
    const file_tensor *t = tensor_file_find(f, name);
    int d = t ? t->rank - 1 : 0;
    while (d > 0 && t->dims[d] == 1) d--;
    return t && t->rank ? (json_int_t)t->dims[d] : 0;
}

static json_int_t layers_of(const tensor_file *f)
{
    long most = -1, layer;
    for (int i = 0; i < f->count; i++)
        if (in_layer(f->tensors[i].name, &layer) && layer > most) most = layer;
    return most < INT32_MAX ? (json_int_t)most + 1 : 0;
}

static json_t *sizes_of(const tensor_file *f)
{
    return json_pack("{s:I, s:I, s:I, s:I}", "vocab_size", size_of(f, "emb.weight", 0), "hidden_size", size_of(f, "emb.weight", 1),
                     "num_hidden_layers", layers_of(f), "intermediate_size", size_of(f, "blocks.0.ffn.key.weight", 0));
}

static json_t *four(const tensor_file *f)
{
    (void)f;
    return json_pack("{s:s, s:[s]}", "model_type", "rwkv4", "architectures", "RwkvForCausalLM");
}

/* Versions without a matrix of decays have one for each head. */
static json_t *five_heads(const tensor_file *f, const char *version, json_int_t head_size)
{
    const char *bonus = tensor_file_find(f, "blocks.0.att.time_faaaa") ? "time_faaaa" : "time_first";
    return json_pack("{s:s, s:[s], s:s, s:b, s:I}", "model_type", "rwkv5", "architectures", "Rwkv5ForCausalLM", "version", version,
                     "time_faaaa", strcmp(version, "5.2") && !strcmp(bonus, "time_faaaa"), "head_size", head_size);
}

static json_int_t share_of_width(const tensor_file *f)
{
    const file_tensor *decay = tensor_file_find(f, "blocks.0.att.time_decay");
    return decay && decay->count ? size_of(f, "emb.weight", 1) / (json_int_t)decay->count : 0;
}

static json_t *five_0(const tensor_file *f) { return five_heads(f, "5.0", share_of_width(f)); }
static json_t *five_1(const tensor_file *f) { return five_heads(f, "5.1", share_of_width(f)); }
static json_t *five_2(const tensor_file *f) { return five_heads(f, "5.2", channels_of(f, "blocks.0.att.time_faaaa")); }

static json_t *six(const tensor_file *f)
{
    return json_pack("{s:s, s:[s], s:I, s:I, s:I}", "model_type", "rwkv6", "architectures", "Rwkv6ForCausalLM", "head_size", channels_of(f, "blocks.0.att.time_faaaa"),
                     "time_mix_extra_dim", size_of(f, "blocks.0.att.time_maa_w1", 1) / 5, "time_decay_extra_dim", size_of(f, "blocks.0.att.time_decay_w1", 1));
}

/* A single layer has no value residual, and so no rank of it. */
static json_t *seven(const tensor_file *f)
{
    json_t *own = json_pack("{s:s, s:[s], s:I, s:I, s:I, s:I}", "model_type", "rwkv7", "architectures", "RWKV7ForCausalLM",
                            "head_dim", channels_of(f, "blocks.0.att.r_k"),
                            "decay_low_rank_dim", size_of(f, "blocks.0.att.w1", 1), "a_low_rank_dim", size_of(f, "blocks.0.att.a1", 1),
                            "gate_low_rank_dim", size_of(f, "blocks.0.att.g1", 1));
    json_int_t share = size_of(f, "blocks.1.att.v1", 1);
    if (own && share && json_object_set_new(own, "v_low_rank_dim", json_integer(share))) {
        json_decref(own);
        return NULL;
    }
    return own;
}

static const struct { const char *version; json_t *(*config)(const tensor_file *f); } VERSIONS[] = {
    { "4", four }, { "5.0", five_0 }, { "5.1", five_1 }, { "5.2", five_2 }, { "6", six }, { "7", seven },
};
enum { VERSION_COUNT = sizeof VERSIONS / sizeof *VERSIONS };

json_t *rwkv_config(const tensor_file *f, lithe_error *err)
{
    const char *version = rwkv_version(f, err);
    if (!version) return NULL;
    int i = 0;
    while (i < VERSION_COUNT && strcmp(VERSIONS[i].version, version)) i++;
    assert(i < VERSION_COUNT);
    json_t *config = sizes_of(f), *own = VERSIONS[i].config(f);
    if (!config || !own || json_object_update(config, own)) {
        fail(err, LITHE_ENOMEM, "%s: no memory for its configuration", f->path);
        json_decref(config);
        config = NULL;
    }
    json_decref(own);
    return config;
}
