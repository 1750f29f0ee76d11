/* RUN/samples/STEP.txt holds a prompt and how the model continues it, at each evaluation.
 * The text depends on the weights, the prompt, the seed and the step only. */
#include "base/random.h"
#include "base/writer.h"
#include "train/trainer.h"
#include <stdlib.h>
#include <string.h>

typedef struct { char *data; size_t size, capacity; } text;

static int append_bytes(void *context, const char *bytes, size_t n)
{
    text *s = context;
    if (n > s->capacity - s->size - 1) {
        size_t capacity = 2 * (s->capacity + n);
        char *more = xrealloc(s->data, capacity, 1);
        if (!more) return 1;                                /* out of memory: the sample ends here */
        s->data = more;
        s->capacity = capacity;
    }
    memcpy(s->data + s->size, bytes, n);
    s->size += n;
    s->data[s->size] = 0;
    return 0;
}

/* Writes the file and keeps the text, prompt and continuation, as t->sample. */
static int write_sample(lithe_trainer *t, text *s, lithe_error *err)
{
    char name[48];
    snprintf(name, sizeof name, "samples/%d.txt", t->progress.step);
    char *path = path_join(t->run, name);
    if (!path) return fail(err, LITHE_ENOMEM, "%s: out of memory", t->run);
    s->data[s->size] = '\n';                                /* replaces the NUL, for the file */
    int status = file_write(path, s->data, s->size + 1, err);
    s->data[s->size] = 0;
    free(path);
    free(t->sample);
    t->sample = s->data;
    return status;
}

bool trainer_samples(const lithe_trainer *t) { return t->hooks.sample && t->settings.sample && t->tokenizer && t->objective.kind == &predict_next; }

int trainer_sample(lithe_trainer *t, lithe_error *err)
{
    const char *prompt = t->settings.sample;
    if (!trainer_writes(t)) return LITHE_OK;
    lithe_error inner = { 0 };                      /* a sample that fails does not stop training; its text says why */
    text s = { .capacity = strlen(prompt) + 1024 };
    if (!(s.data = xalloc(s.capacity, 1))) return fail(err, LITHE_ENOMEM, "%s: out of memory for a sample", t->run);
    append_bytes(&s, prompt, strlen(prompt));
    t->hooks.sample(t->model, t->tokenizer, prompt, key_of(t->settings.seed, (uint64_t)t->progress.step), append_bytes, &s, &inner);
    if (inner.status == LITHE_ENOMEM) fail(err, inner.status, "%s", inner.text);
    else if (inner.status) append_bytes(&s, inner.text, strlen(inner.text));
    if (s.size && !failed(err)) return write_sample(t, &s, err);
    free(s.data);                                           /* no prompt and no continuation */
    return failed(err) ? (int)err->status : LITHE_OK;
}
