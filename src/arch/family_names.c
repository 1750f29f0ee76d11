/* What config.json's model_type and architectures say beside each other, and families that are not supported, with the
 * nearest one that is. */
#include "arch/arch.h"
#include <stdio.h>
#include <string.h>

/* ---- families that do not open ------------------------------------------------------------- */

/* The types of each row are surrounded by bars. */
static const struct { const char *types, *nearest, *why; } absent[] = {
    { "|mixtral|minimax|", "mistral", "its feed-forwards are mixtures of experts" },
    { "|qwen2_moe|qwen3_moe|qwen3_next|", "qwen3", "its feed-forwards are mixtures of experts" },
    { "|deepseek_v2|deepseek_v3|dbrx|jetmoe|olmoe|granitemoe|granitemoehybrid|granitemoeshared|phimoe|llama4|llama4_text|gpt_oss|ernie4_5_moe|", "llama",
      "its feed-forwards are mixtures of experts" },
    { "|gemma3|gemma3n|gemma3n_text|gemma4|gemma4_text|paligemma|", "gemma3_text", "it reads images or has parts of its own" },
    { "|recurrent_gemma|", "gemma2", "it has recurrent layers" },
    { "|ministral|ministral3|mistral3|mistral4|", "mistral", "its layers differ in their windows or positions" },
    { "|helium|ernie4_5|glm|glm4|cohere|cohere2|nemotron|exaone|exaone4|persimmon|minicpm|minicpm3|internlm|internlm3|baichuan|chatglm|qwen|openelm|arcee|seed_oss|hunyuan_v1_dense|"
      "diffllama|smollm|apertus|bitnet|", "llama", "its block is not LLaMA's" },
    { "|olmo|olmo3|olmo_hybrid|", "olmo2", "its norms are others" },
    { "|phi|phi4_multimodal|", "phi3", "its block is another" },
    { "|stablelm_epoch|", "stablelm", "the older code of the same models: their newer files say stablelm" },
    { "|qwen2_vl|qwen2_5_vl|qwen3_vl|qwen2_audio|qwen3_5|", "qwen3", "it reads images or sound, or has other layers" },
    { "|llava|mllama|idefics3|smolvlm|", "llama", "it reads images" },
    { "|falcon|gptj|codegen|mpt|bloom|gpt_neox_japanese|", "gpt_neox", "its block is another" },
    { "|gpt_bigcode|starcoder2|imagegpt|openai-gpt|ctrl|biogpt|xglm|", "gpt2", "its block is another" },
    { "|mamba|mamba2|falcon_mamba|xlstm|", "rwkv7", "it is a recurrent network of another kind" },
    { "|albert|electra|mobilebert|squeezebert|convbert|megatron-bert|deberta|deberta-v2|nomic_bert|nomic-bert|ernie|funnel|fnet|layoutlm|big_bird|bert-generation|roformer|rembert|", "bert",
      "its layers or embeddings are others" },
    { "|xlm-roberta-xl|roberta-prelayernorm|longformer|xmod|ibert|data2vec-text|new|luke|esm|flaubert|xlm|", "roberta", "its layers or embeddings are others" },
    { "|xlnet|", "mpnet", "its attention is another" },
    { "|eurobert|neobert|modernbert-decoder|", "modernbert", "its layers are others" },
    { "|vit_mae|vit_msn|dinov2|dinov2_with_registers|beit|swin|clip|clip_vision_model|siglip|siglip_vision_model|hiera|convnext|resnet|", "vit", "its layers are others" },
    { "|t5|mt5|umt5|bart|mbart|marian|pegasus|m2m_100|led|blenderbot|prophetnet|switch_transformers|encoder-decoder|whisper|", "bert", "it is an encoder with a decoder" },
};

/* Whether row r is about a type. */
static bool is_about(size_t r, const char *type)
{
    const size_t n = strlen(type);
    for (const char *at = absent[r].types; n && !strchr(type, '|') && (at = strstr(at, type)); at++)
        if (at[-1] == '|' && at[n] == '|') return true;
    return false;
}

const char *arch_nearest(const char *type, const char **why)
{
    for (size_t r = 0; type && r < sizeof absent / sizeof *absent; r++)
        if (is_about(r, type)) {
            *why = absent[r].why;
            return absent[r].nearest;
        }
    return NULL;
}

/* ---- model_type beside architectures --------------------------------------------------------- */

static bool is_stem(const char *stem, size_t length, const char *of)
{
    const size_t n = strlen(of);
    /* The bare body of Gemma 3 is a Gemma3TextModel. */
    return !strncmp(stem, of, n) && (length == n || (length == n + 4 && !strncmp(stem + n, "Text", 4)));
}

/* Whether a class is of the alias at i: Foo of FooForCausalLM. */
static bool fits_alias(const char *stem, size_t length, const char *alias)
{
    char text[64];
    const char *end = strstr(alias, "For");
    return end && (size_t)(end - alias) < sizeof text && snprintf(text, sizeof text, "%.*s", (int)(end - alias), alias) > 0 && is_stem(stem, length, text);
}

/* The class of a family comes after its types. */
static bool fits(const arch *a, const char *type, const char *stem, size_t length)
{
    bool own = !a->config.families || !strcmp(type, a->name), named = false;
    if (own && is_stem(stem, length, a->stem)) return true;
    for (const char *const *alias = a->config.aliases; alias && *alias; alias++) {
        named |= !strcmp(*alias, type);
        if (arch_is_class(*alias) && (named || !a->config.families) && fits_alias(stem, length, *alias)) return true;
        if (arch_is_class(*alias)) named = false;
    }
    return false;
}

int arch_check_class(const arch *a, const json_t *config, const char *what, lithe_error *err)
{
    const char *type = json_string_value(json_object_get(config, "model_type")), *name = json_string_value(json_array_get(json_object_get(config, "architectures"), 0));
    size_t length;
    if (!type || !name) return LITHE_OK;
    if (!task_stem(name, &length)) return fail(err, LITHE_ECONFIG, "%s: architectures says %.80s, which is no task that is known here; %s", what, name, task_endings);
    if (!length || fits(a, type, name, length)) return LITHE_OK;
    return fail(err, LITHE_ECONFIG, "%s: architectures says %.80s, model_type says %.40s: they contradict each other", what, name, type);
}
