#include "text/pre_tokenizers.h"
#include "text/split.h"
#include <stdio.h>
#include <string.h>

/* Parts of the patterns that are alike. */
#define ENDINGS     "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
#define WORD        "[^\\r\\n\\p{L}\\p{N}]?\\p{L}+"
#define SPACES      "\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
#define SYMBOLS     " ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*"
#define UPPER       "[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]"
#define LOWER       "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]"
#define CASED(end)  "[^\\r\\n\\p{L}\\p{N}]?" UPPER "*" LOWER "+" end "|[^\\r\\n\\p{L}\\p{N}]?" UPPER "+" LOWER "*" end
#define ASCII_MARKS "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~]"

#define LLAMA3      ENDINGS "|" WORD "|\\p{N}{1,3}|" SYMBOLS "|" SPACES
#define QWEN2       ENDINGS "|" WORD "|\\p{N}|" SYMBOLS "|" SPACES
#define DEEPSEEK3   ASCII_MARKS "[A-Za-z]+|[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\\r\\n]*|" SPACES
#define BLOOM       " ?[^(\\s|.,!?\u2026\u3002\uff0c\u3001\u0964\u06d4\u060c)]+"

static const pre_tokenizer KNOWN[] = {
    { "|gpt-2|phi-2|mpt|olmo|jais|jina-es|jina-de|jina-v2-es|jina-v2-de|gigachat|a.x-4.0|mellum|modern-bert|exaone4|trillion|granite-docling|",
      { SPLIT_GPT2_PATTERN }, false, false, false },
    { "|roberta-bpe|jina-v1-en|jina-v2-code|", { SPLIT_GPT2_PATTERN }, false, false, true },
    { "|smollm|starcoder|refact|command-r|codeshell|exaone|minerva-7b|mellum2|", { "\\p{N}", SPLIT_GPT2_PATTERN }, false, false, false },
    { "|llama-bpe|llama3|llama-v3|falcon3|falcon-h1|pixtral|midm-2.0|lfm2|jina-v5-nano|", { LLAMA3 }, true, true, false },
    { "|dbrx|smaug-bpe|chatglm-bpe|", { LLAMA3 }, false, false, false },
    { "|glm4|", { LLAMA3 }, true, false, false },
    { "|qwen2|stablelm2|deepseek-r1-qwen|megrez|hunyuan|solar-open|kormo|f2llmv2|grok-2|", { QWEN2 }, false, false, false },
    { "|qwen35|", { ENDINGS "|[^\\r\\n\\p{L}\\p{N}]?[\\p{L}\\p{M}]+|\\p{N}| ?[^\\s\\p{L}\\p{M}\\p{N}]+[\\r\\n]*|" SPACES }, false, false, false },
    { "|tekken|", { CASED("") "|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|" SPACES }, true, true, false },
    { "|gpt-4o|llama4|kanana2|talkie|", { CASED(ENDINGS "?") "|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|" SPACES }, false, false, false },
    { "|deepseek-v3|hunyuan-dense|joyai-llm|hy_v4|", { "\\p{N}{1,3}", "[\u4e00-\u9fa5\u3040-\u309f\u30a0-\u30ff]+", DEEPSEEK3 }, false, false, false },
    { "|deepseek-coder|", { "[\\r\\n]", "\\s?\\p{L}+", "\\s?\\p{P}+", "[\u4e00-\u9fa5\u0800-\u4e00\uac00-\ud7ff]+", "\\p{N}" }, false, false, false },
    { "|falcon|", { "[\\p{P}\\$\\+<=>\\^~\\|`]+", SPLIT_GPT2_PATTERN, "[0-9][0-9][0-9]" }, false, false, false },
    { "|seed-coder|", { ENDINGS "|" WORD "|\\p{N}{1}| ?[^\\s\\p{L}\\p{N}\\r\\n]+|" SPACES }, false, false, false },
    { "|bloom|gpt3-finnish|poro-chat|", { BLOOM }, false, false, false },
    { "|viking|", { BLOOM, "\\p{N}" }, false, false, false },
    { "|default|", { "[\\p{P}\\$\\+<=>\\^~\\|]+", SPLIT_GPT2_PATTERN, "\\p{N}+", "[0-9][0-9][0-9]" }, false, false, false },
};
enum { KNOWN_COUNT = sizeof KNOWN / sizeof *KNOWN };

const pre_tokenizer *pre_tokenizer_named(const char *name, size_t len)
{
    char key[64];
    if (!len || len > 60 || memchr(name, '|', len) || memchr(name, 0, len)) return NULL;
    snprintf(key, sizeof key, "|%.*s|", (int)len, name);
    for (int i = 0; i < KNOWN_COUNT; i++)
        if (strstr(KNOWN[i].names, key)) return &KNOWN[i];
    return NULL;
}

static bool has_patterns(const pre_tokenizer *p, const char *const *patterns, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (i == PRE_PATTERNS || !p->patterns[i] || strcmp(p->patterns[i], patterns[i])) return false;
    return n == PRE_PATTERNS || !p->patterns[n];
}

const pre_tokenizer *pre_tokenizer_of(const char *const *patterns, size_t n, bool whole_words)
{
    for (int i = 0; i < KNOWN_COUNT; i++)
        if (KNOWN[i].whole_words == whole_words && has_patterns(&KNOWN[i], patterns, n)) return &KNOWN[i];
    return NULL;
}

size_t pre_tokenizer_name(const pre_tokenizer *p, char name[64])
{
    size_t n = strcspn(p->names + 1, "|");
    memcpy(name, p->names + 1, n);
    name[n] = 0;
    return n;
}
