/* The tables of names.  A new one needs a file and a line here.  The first that fits is used. */
#include "files/naming.h"

extern const naming names_rwkvcpp_4, names_rwkvcpp_5, names_rwkvcpp_6, names_rwkvcpp_7;
extern const naming names_rwkv_hf, names_rwkv_flash_first, names_rwkv_flash, names_rwkv;
extern const naming names_llama_meta, names_internlm2;
extern const naming names_gguf_llama, names_gguf_qwen2, names_gguf_qwen3, names_gguf_gpt2, names_gguf_gptneox, names_gguf_bert;
extern const naming names_gguf_modern_bert, names_gguf_rwkv6, names_gguf_rwkv7, names_gguf;

const naming *const namings[] = {
    &names_gguf_llama, &names_gguf_qwen2, &names_gguf_qwen3, &names_gguf_gpt2, &names_gguf_gptneox, &names_gguf_bert,
    &names_gguf_modern_bert, &names_gguf_rwkv6, &names_gguf_rwkv7,
    &names_gguf,                                             /* other architectures, under our names */
    /* Newer versions first: their files also have the names of older ones. */
    &names_rwkvcpp_7, &names_rwkvcpp_6, &names_rwkvcpp_5, &names_rwkvcpp_4,
    &names_rwkv_hf, &names_rwkv_flash_first, &names_rwkv_flash, &names_rwkv,
    &names_llama_meta, &names_internlm2,
    NULL
};
