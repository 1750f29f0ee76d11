/* The tables of names.  A new one needs a file and a line here.  The first that fits is used. */
#include "files/naming.h"

extern const naming names_rwkvcpp_4, names_rwkvcpp_5, names_rwkvcpp_6, names_rwkvcpp_7;
extern const naming names_rwkv_hf, names_rwkv_fla, names_rwkv;
extern const naming names_llama_meta;

const naming *const namings[] = {
    /* Newer versions first: their files also have the names of older ones. */
    &names_rwkvcpp_7, &names_rwkvcpp_6, &names_rwkvcpp_5, &names_rwkvcpp_4,
    &names_rwkv_hf, &names_rwkv_fla, &names_rwkv,
    &names_llama_meta,
    NULL
};
