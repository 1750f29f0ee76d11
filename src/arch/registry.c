/* The architectures: adding one is a file and a line here. */
#include "arch/arch.h"
#include <string.h>

/* The first for text and the first for images are the defaults.  PanGu-pi comes before LLaMA, since it has LLaMA's
 * tensors too. */
#define ARCHITECTURES(EACH) \
    EACH(gpt2)              \
    EACH(gpt_neo)           \
    EACH(opt)               \
    EACH(gpt_neox)          \
    EACH(pangu_pi)          \
    EACH(llama)             \
    EACH(tokenformer)       \
    EACH(rwkv4)             \
    EACH(rwkv5)             \
    EACH(rwkv6)             \
    EACH(rwkv7)             \
    EACH(bert)              \
    EACH(roberta)           \
    EACH(distilbert)        \
    EACH(mpnet)             \
    EACH(mosaicbert)        \
    EACH(modernbert)        \
    EACH(vit)               \
    EACH(deit)              \
    EACH(tokenformer_vit)   \
    EACH(hybrid)            \
    EACH(hybrid_vit)

#define DECLARE(name) extern const arch arch_##name;
#define ADDRESS(name) &arch_##name,
ARCHITECTURES(DECLARE)
const arch *const architectures[] = { ARCHITECTURES(ADDRESS) NULL };

const arch *arch_for_text(void)
{
    int i = 0;
    while (architectures[i] && !architectures[i]->for_text) i++;
    return architectures[i];
}

const arch *arch_usual(bool images)
{
    int i = 0;
    while (!architectures[i]->equations.image == images) i++;
    return architectures[i];
}

bool arch_alias(const arch *a, const char *name)
{
    for (const char *const *alias = a->config.aliases; alias && *alias; alias++)
        if (!strcmp(*alias, name)) return true;
    return false;
}

/* Names may be written with hyphens in place of underscores. */
static bool named(const char *ours, const char *name)
{
    while (*ours && (*ours == *name || (*ours == '_' && *name == '-'))) ours++, name++;
    return !*ours && !*name;
}

const arch *arch_find(const char *name)
{
    for (int i = 0; name && architectures[i]; i++) {
        const arch *a = architectures[i];
        if (named(a->name, name) || !strcmp(a->class_name, name) || arch_alias(a, name)) return a;
    }
    return NULL;
}

bool arch_is_class(const char *alias) { return strstr(alias, "ForCausalLM") || strstr(alias, "ForMaskedLM"); }

const char *arch_class(const arch *a, const char *type)
{
    bool named = false;
    for (const char *const *alias = a->config.aliases; type && alias && *alias; alias++) {
        named |= !strcmp(*alias, type);
        if (named && arch_is_class(*alias)) return *alias;
        if (arch_is_class(*alias)) named = false;
    }
    return a->class_name;
}
