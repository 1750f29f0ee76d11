/* libFuzzer: bytes as the text of a config.json.  What is accepted declares
 * its parameters, nothing allocated, and what is written reads back and is
 * written the same again. */
#include "model/model.h"
#include "base/json.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static lithe_model *declare(const arch *a, const json_t *config, lithe_error *err)
{
    lithe_model *m = model_declare(a, config, "config.json", err);
    assert(!m == (err->status != LITHE_OK) && !strchr(err->text, '\n'));
    return m;
}

static void try_arch(const arch *a, const json_t *config)
{
    lithe_error err = { 0 };
    lithe_model *m = declare(a, config, &err);
    if (!m) return;
    json_t *written = model_config(m, &err);
    char *text = written ? json_text(written) : NULL;
    assert(text && (lithe_model_vocab(m) > 0 || a->equations.image) && lithe_model_context(m) > 0 && lithe_model_params(m) > 0);
    json_t *read = json_parse(text, strlen(text), 64, "config.json", &err);
    assert(read && config_arch(read, "config.json", &err) == a);
    lithe_model *again = declare(a, read, &err);
    json_t *rewritten = again ? model_config(again, &err) : NULL;
    assert(json_equal(rewritten, read) && lithe_model_params(again) == lithe_model_params(m));
    json_decref(rewritten);
    free(text);
    json_decref(read);
    json_decref(written);
    lithe_model_close(again);
    lithe_model_close(m);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    lithe_error err = { 0 };
    json_t *config = json_parse((const char *)data, size, 32, "config.json", &err);
    assert(!config == (err.status != LITHE_OK));
    if (!config) return 0;
    err = (lithe_error){ 0 };
    const arch *a = config_arch(config, "config.json", &err);
    assert(!a == (err.status != LITHE_OK) && !strchr(err.text, '\n'));
    if (a) try_arch(a, config);
    else for (int i = 0; architectures[i]; i++) try_arch(architectures[i], config);
    json_decref(config);
    return 0;
}
