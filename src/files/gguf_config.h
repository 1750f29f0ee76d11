/* Between the keys of a GGUF file and a config.json: one table for each architecture, used both ways. */
#ifndef FILES_GGUF_CONFIG_H
#define FILES_GGUF_CONFIG_H

#include "files/gguf.h"

/* A whole number, a number, a bool; or a key without a place in config.json: only the value `only` opens, or any. */
typedef enum { KEY_WHOLE, KEY_NUMBER, KEY_BOOL, KEY_ONLY, KEY_ANY } key_kind;

/* key follows the name of the architecture and a dot; ours NULL: `read` may look at it. */
typedef struct { const char *key, *ours; key_kind kind; bool optional; double only; } gguf_key;

typedef struct gguf_arch {
    const char *name;                          /* as general.architecture says it */
    const char *model_type, *class_name;       /* of config.json */
    const gguf_key *keys;                      /* ends with a NULL key */
    /* What the table does not say, both ways; or NULL. */
    int (*read)(json_t *config, const tensor_file *f, lithe_error *err);
    void (*write)(gguf_head *h, const struct gguf_arch *a, const json_t *config);
    /* Keys of config.json with the only values that llama.cpp's equations have, "KEY=VALUE|VALUE"; ends with NULL. */
    const char *const *fixed;
} gguf_arch;

const gguf_arch *gguf_arch_at(int i);                     /* NULL: past the last */

/* A config.json by the keys, and the tensors, of a GGUF file (a new reference); NULL with one line: it is of an
 * architecture, or has a key, that is not known here. */
json_t *gguf_config(const tensor_file *f, lithe_error *err);

/* The way back.  The architecture of GGUF for a config.json, NULL: llama.cpp has none; its keys. */
const gguf_arch *gguf_arch_of(const json_t *config);
int gguf_put_config(gguf_head *h, const gguf_arch *a, const json_t *config, lithe_error *err);
/* The factors of llama3's scaling of RoPE, one for each pair; their number, 0: config asks for no such scaling. */
enum { GGUF_MOST_FACTORS = 2048 };
int gguf_rope_factors(const json_t *config, double factors[GGUF_MOST_FACTORS]);

enum { GGUF_KEY_BYTES = 128 };
const char *gguf_key_name(const gguf_arch *a, const char *rest, char name[GGUF_KEY_BYTES]);

/* The key "ARCHITECTURE.REST" of a file; NULL: none. */
const gguf_value *gguf_key_of(const tensor_file *f, const char *rest);
/* A tensor by its name in the file. */
const file_tensor *gguf_tensor(const tensor_file *f, const char *name);

#endif
