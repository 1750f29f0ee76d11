#include "infer/chain.h"
#include "base/random.h"

chain chain_add(chain c, int32_t id)
{
    c.a = mix64(c.a ^ (uint64_t)(uint32_t)id);
    c.b = mix64(c.b + ((uint64_t)(uint32_t)id + 1) * 0x9e3779b97f4a7c15u);
    return c;
}

chain chain_of(const int32_t *ids, size_t n)
{
    chain c = { 0 };
    for (size_t i = 0; i < n; i++) c = chain_add(c, ids[i]);
    return c;
}
