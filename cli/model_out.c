#include "model_out.h"
#include <string.h>

bool names_a_file(const char *path)
{
    static const char *const endings[] = { ".gguf", ".bin", ".pth", ".safetensors" };
    const char *end = strrchr(path, '.');
    for (size_t i = 0; end && end != path && i < sizeof endings / sizeof *endings; i++) if (!strcmp(end, endings[i])) return true;
    return false;
}

int write_model(const lithe_model *m, const char *path, const char *dtype, const lithe_tokenizer *t, lithe_error *err)
{
    return names_a_file(path) ? lithe_model_export_with(m, path, dtype, t, err) : lithe_model_save(m, path, dtype, t, err);
}
