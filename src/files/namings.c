/* The tables of names: adding one is a file and a line here.  The first that fits is used. */
#include "files/naming.h"

extern const naming names_rwkvcpp_4, names_rwkvcpp_5, names_rwkvcpp_6, names_rwkvcpp_7;
extern const naming names_rwkv_hf, names_rwkv_fla, names_rwkv;
extern const naming names_llama_meta;

const naming *const namings[] = {
    &names_rwkvcpp_7, &names_rwkvcpp_6, &names_rwkvcpp_5, &names_rwkvcpp_4,      /* the older have what is known of the newer */
    &names_rwkv_hf, &names_rwkv_fla, &names_rwkv,
    &names_llama_meta,
    NULL
};
