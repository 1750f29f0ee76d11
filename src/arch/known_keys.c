/* The keys of config.json that no equation here reads, beside the fields of an architecture: what published
 * files hold, by their meaning in transformers.  A key in no list is refused unless its value says nothing, since a
 * configuration of another family may carry the name of one that is known. */
#include "arch/arch.h"
#include <stdint.h>
#include <string.h>

static const known_key common[] = {
    /* of the file, the class and the program that wrote it */
    { "model_type", "*" }, { "architectures", "*" }, { "auto_map", "*" }, { "_name_or_path", "*" }, { "_commit_hash", "*" }, { "transformers_version", "*" },
    { "transformers.js_config", "*" }, { "tokenizer_class", "*" }, { "is_llama_config", "*" }, { "unsloth_version", "*" }, { "unsloth_fixed", "*" },
    { "torch_dtype", "*" }, { "dtype", "*" }, { "use_bfloat16", "*" }, { "vocab_file", "*" }, { "language", "*" }, { "license", "*" }, { "name", "*" },
    /* the task and its classes (arch/task.c) */
    { "id2label", "*" }, { "label2id", "*" }, { "num_labels", "*" }, { "_num_labels", "*" }, { "problem_type", "*" }, { "finetuning_task", "*" }, { "classifier_dropout", "*" },
    /* ids that the tokenizer and the text say; ends of texts are read with generation_config.json */
    { "bos_token_id", "*" }, { "eos_token_id", "*" }, { "pad_token_id", "*" }, { "sep_token_id", "*" }, { "cls_token_id", "*" }, { "mask_token_id", "*" },
    { "unk_token_id", "*" }, { "decoder_start_token_id", "*" },
    /* of ours: row groups of older runs (model/groups.c), how the slots came to be (grow/grow_slots.c), how an embedder
     * of a GGUF file pools (infer/embedding_settings.c) */
    { .key = "lithe_segments" }, { "slots_history", "*" }, { "lithe_pooling", "*" },
    /* how it runs: speed, memory, what is returned */
    { "use_cache", "*" }, { "return_dict", "*" }, { "output_attentions", "*" }, { "output_hidden_states", "*" }, { "output_past", "*" }, { "torchscript", "*" },
    { "chunk_size_feed_forward", "*" }, { "gradient_checkpointing", "*" }, { "gradient_checkpointing_kwargs", "*" }, { "attn_implementation", "*" },
    { "_attn_implementation", "*" }, { "_attn_implementation_autoset", "*" }, { "_attn_implementation_internal", "*" }, { "use_flash_attn", "*" },
    { "_flash_attn_2_enabled", "*" }, { "pretraining_tp", "*" }, { "deterministic_flash_attn", "*" }, { "reference_compile", "*" }, { "tf_legacy_loss", "*" },
    { "model_parallel", "*" }, { "compression_config", "null" },
    /* what only initial values, or a loss that is not computed here, read */
    { "initializer_range", "*" }, { "initializer_factor", "*" }, { "router_aux_loss_coef", "*" }, { "layerdrop", "0.0|0" }, { "l2_wrap", "0.0|0" },
    /* other families of the same class */
    { "is_encoder_decoder", "false" }, { "is_decoder", "false|true" }, { "add_cross_attention", "false" }, { "tie_encoder_decoder", "false" },
    /* Of architectures whose head is not a choice: the file's tensors say it. */
    { "tie_word_embeddings", "true|false" },
    { "cross_attention_hidden_size", "null" }, { "pruned_heads", "{}" }, { "quantization_config", "null" },
    /* older files: what generation_config.json says since */
    { "max_length", "*" }, { "min_length", "*" }, { "do_sample", "*" }, { "early_stopping", "*" }, { "num_beams", "*" }, { "num_beam_groups", "*" },
    { "diversity_penalty", "*" }, { "temperature", "*" }, { "top_k", "*" }, { "top_p", "*" }, { "typical_p", "*" }, { "repetition_penalty", "*" },
    { "length_penalty", "*" }, { "no_repeat_ngram_size", "*" }, { "encoder_no_repeat_ngram_size", "*" }, { "bad_words_ids", "*" }, { "num_return_sequences", "*" },
    { "output_scores", "*" }, { "return_dict_in_generate", "*" }, { "forced_bos_token_id", "*" }, { "forced_eos_token_id", "*" }, { "remove_invalid_values", "*" },
    { "exponential_decay_length_penalty", "*" }, { "suppress_tokens", "*" }, { "begin_suppress_tokens", "*" }, { "task_specific_params", "*" }, { "prefix", "*" },
    { 0 }
};

static bool is_field(const arch *a, const char *key)
{
    for (const field *f = a->config.fields; f->key; f++)
        if (!strcmp(f->key, key)) return true;
    return false;
}

int arch_check_keys(const arch *a, const json_t *config, const char *what, lithe_error *err)
{
    json_t *open = (json_t *)(uintptr_t)config;                            /* jansson's iterators are not const */
    for (void *i = json_object_iter(open); i; i = json_object_iter_next(open, i)) {
        const char *key = json_object_iter_key(i);
        const known_key *own = key_find(a->config.others, key);
        int status = is_field(a, key) ? LITHE_OK : key_check(key, json_object_iter_value(i), own ? own : key_find(common, key), what, err);
        if (status) return status;
    }
    return LITHE_OK;
}
