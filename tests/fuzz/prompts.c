/* libFuzzer: bytes as a file of prompts.  What is accepted has a text and options that a session would take. */
#include "infer/sampler.h"
#include "lithe_tools.h"
#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const lithe_generation usual = { .size = sizeof usual, .max_tokens = 3 };
    lithe_error err = { 0 };
    lithe_sampling sampling;
    lithe_prompts *p = lithe_prompts_read((const char *)data, size, "prompts", &usual, &err);
    assert((p != NULL) == (err.status == LITHE_OK) && !strchr(err.text, '\n'));
    for (size_t i = 0; i < lithe_prompts_count(p); i++) {
        const lithe_prompt *x = lithe_prompts_at(p, i);
        assert(x->text && !x->text[x->size] && x->line > 0 && x->how.max_tokens > 0 && !sampling_read(&sampling, x->how.sampling, &err));
        for (int k = 0; k < x->how.stops; k++) assert(*x->how.stop[k]);
        assert(!x->id || *x->id);
    }
    lithe_prompts_close(p);
    return 0;
}
