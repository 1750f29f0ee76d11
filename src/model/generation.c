/* generation_config.json beside a model: the ids that end a text, and how the next token is chosen.
 * Sources: transformers' GenerationConfig; an end of text there wins over the one in config.json. */
#include "base/keys.h"
#include "model/model.h"
#include <limits.h>
#include <math.h>
#include <string.h>

enum { BYTES = 1 << 20, DEPTH = 16 };

/* eos_token_id is a number, a list of numbers, or null. */
int generation_check_ends(const json_t *json, const char *what, lithe_error *err)
{
    const json_t *ids = json_object_get(json, "eos_token_id");
    bool good = !ids || json_is_null(ids) || json_is_integer(ids) || json_is_array(ids);
    for (size_t i = 0; i < json_array_size(ids); i++) good &= json_is_integer(json_array_get(ids, i));
    return good ? LITHE_OK : fail(err, LITHE_ECONFIG, "%s: eos_token_id is neither a whole number nor a list of them", what);
}

int generation_open(lithe_model *m, const char *dir, lithe_error *err)
{
    char *path = path_join(dir, "generation_config.json");
    if (!path) return fail(err, LITHE_ENOMEM, "%s: not enough memory to open it", dir);
    if (path_exists(path)) m->generation = json_read(path, BYTES, DEPTH, err);
    if (m->generation && !json_is_object(m->generation)) fail(err, LITHE_EFORMAT, "%s: is not a JSON object", path);
    else if (!failed(err)) generation_check_ends(m->generation, path, err);
    free(path);
    return failed(err) ? (int)err->status : LITHE_OK;
}

/* ---- ends of texts -------------------------------------------------------------- */

static const json_t *end_ids(const lithe_model *m)
{
    const json_t *own = json_object_get(m->generation, "eos_token_id");
    return own && !json_is_null(own) ? own : json_object_get(m->json, "eos_token_id");
}

bool model_ends_text(const lithe_model *m, const lithe_tokenizer *t, int32_t id)
{
    const json_t *ids = end_ids(m);
    if (id == lithe_tokenizer_bos(t)) return true;                 /* another text begins */
    if (!ids || json_is_null(ids)) return id == lithe_tokenizer_eos(t);
    for (size_t i = 0; i < json_array_size(ids); i++)
        if (json_integer_value(json_array_get(ids, i)) == id && json_is_integer(json_array_get(ids, i))) return true;
    return json_is_integer(ids) && json_integer_value(ids) == id;
}

/* ---- sampling ------------------------------------------------------------------- */

static const known_key known[] = {
    { .key = "do_sample" }, { .key = "temperature" }, { .key = "top_k" }, { .key = "top_p" }, { .key = "min_p" }, { .key = "repetition_penalty" },
    { .key = "eos_token_id" },
    /* The tokenizer and the prompt say how a text begins. */
    { "bos_token_id", "*" }, { "pad_token_id", "*" }, { "decoder_start_token_id", "*" },
    /* The caller says how long it is. */
    { "max_length", "*" }, { "max_new_tokens", "*" }, { "min_length", "0" }, { "min_new_tokens", "0" },
    { "transformers_version", "*" }, { "_from_model_config", "*" }, { "_name_or_path", "*" }, { "trust_remote_code", "*" },
    /* Where the keys lie. */
    { "use_cache", "*" }, { "cache_implementation", "*" }, { "cache_config", "*" }, { "return_legacy_cache", "*" }, { "low_memory", "*" },
    { "output_attentions", "*" }, { "output_hidden_states", "*" }, { "output_scores", "*" }, { "output_logits", "*" }, { "return_dict_in_generate", "*" },
    { "disable_compile", "*" }, { "compile_config", "*" }, { "max_time", "*" }, { "num_return_sequences", "1" },
    /* Of older Qwen and Baichuan: read by a chat template. */
    { "chat_format", "*" }, { "user_token_id", "*" }, { "assistant_token_id", "*" }, { "max_window_size", "*" },
    /* of beams */
    { "num_beams", "1" }, { "num_beam_groups", "1" }, { "early_stopping", "*" }, { "length_penalty", "*" }, { "diversity_penalty", "*" },
    { "no_repeat_ngram_size", "0" }, { "encoder_no_repeat_ngram_size", "0" }, { "encoder_repetition_penalty", "1.0|1" }, { "typical_p", "1.0|1" },
    { "epsilon_cutoff", "0.0|0" }, { "eta_cutoff", "0.0|0" }, { "renormalize_logits", "false" }, { "remove_invalid_values", "*" }, { "guidance_scale", "1|1.0" },
    { "is_assistant", "false" }, { "num_assistant_tokens", "*" }, { "num_assistant_tokens_schedule", "*" }, { "assistant_confidence_threshold", "*" },
    { "prompt_lookup_num_tokens", "*" }, { "max_matching_ngram_size", "*" }, { "assistant_early_exit", "*" }, { "assistant_lookbehind", "*" }, { "target_lookbehind", "*" },
    { "token_healing", "false" }, { "dola_layers", "null" }, { "top_h", "null" },
    { 0 }
};

static int read_number(const json_t *json, const char *key, double least, double most, float *out, lithe_error *err)
{
    const json_t *value = json_object_get(json, key);
    double x = json_number_value(value);
    if (!value || json_is_null(value)) return LITHE_OK;
    if (!json_is_number(value) || !(x >= least && x <= most)) return fail(err, LITHE_ECONFIG, "generation_config.json: %s is no number from %g to %g", key, least, most);
    *out = (float)x;
    return LITHE_OK;
}

static int read_sampling(const json_t *json, lithe_sampling *o, lithe_error *err)
{
    const json_t *k = json_object_get(json, "top_k");
    int status = read_number(json, "temperature", 0, 100, &o->temperature, err);
    if (!status) status = read_number(json, "top_p", 0, 1, &o->top_p, err);
    if (!status) status = read_number(json, "min_p", 0, 1, &o->min_p, err);
    if (json_is_null(k)) o->top_k = 0;
    else if (!status && k && !json_int(json, "top_k", 0, INT_MAX, &o->top_k))
        status = fail(err, LITHE_ECONFIG, "generation_config.json: top_k is no whole number from 0 on");
    return status;
}

int lithe_sampling_read(const lithe_model *m, lithe_sampling *o, lithe_error *err)
{
    if (failed(err)) return err->status;
    if (!m || !o) return fail(err, LITHE_EINVAL, "there is no model whose settings say how it generates");
    const json_t *json = m->generation, *samples = json_object_get(json, "do_sample");
    if (keys_check(json, known, "generation_config.json", err)) return err ? (int)err->status : LITHE_ECONFIG;
    if (samples && !json_is_boolean(samples) && !json_is_null(samples)) return fail(err, LITHE_ECONFIG, "generation_config.json: do_sample is neither true nor false");
    lithe_sampling checked = { 0 };                                 /* also where nothing is drawn by them */
    int given = json_is_boolean(samples), status = read_number(json, "repetition_penalty", 1e-3, 100, &o->repetition, err);
    if (!status) status = read_sampling(json, &checked, err);
    if (status) return status;
    if (!json_is_true(samples)) {
        if (given) o->temperature = 0;
        return given;
    }
    o->temperature = 1;
    o->top_k = 50;                                                  /* transformers' default */
    status = read_sampling(json, o, err);
    return status ? status : 1;
}
