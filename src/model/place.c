/* Finds the files of a path that names a model: tensors, configuration, tokenizer.  A
 * directory with checkpoints is a RUN, whose newest complete checkpoint is the model. */
#include "model/checkpoints.h"
#include "base/arena.h"
#include "base/dir_names.h"
#include "model/model.h"
#include <stdlib.h>
#include <string.h>

/* In the order Hugging Face's loader prefers; then ours. */
static const char *const WEIGHTS[] = {
    "model.safetensors", "model.safetensors.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json", "model.gguf", NULL
};

/* The path of the first of the names that is a file in dir, or NULL. */
static char *first_of(const char *dir, const char *const *names)
{
    for (; *names; names++) {
        char *path = path_join(dir, *names);
        if (path && path_exists(path) && !path_is_dir(path)) return path;
        free(path);
    }
    return NULL;
}

/* The first file of dir, by name, that could be a model by itself; NULL: there is none. */
static char *lone_model(const char *dir)
{
    static const char *const endings[] = { ".gguf", ".bin", ".pth", ".safetensors" };
    dir_names l;
    lithe_error unreadable = { 0 };
    char *found = NULL;
    if (dir_names_read(&l, dir, &unreadable)) drop_error(&unreadable);
    for (size_t i = 0; i < l.count && !found; i++) {
        const char *ending = strrchr(l.names[i], '.');
        for (size_t e = 0; ending && !found && e < sizeof endings / sizeof *endings; e++)
            if (!strcmp(ending, endings[e])) found = path_join(dir, l.names[i]);
    }
    dir_names_free(&l);
    return found;
}

int place_without_weights(const place *p, lithe_error *err)
{
    char *lone = lone_model(p->dir);
    int status = fail(err, LITHE_EIO, "%s: holds no model.safetensors, pytorch_model.bin or index of shards%s%s", p->dir, lone ? "; a model may be the file " : "", lone ? lone : "");
    free(lone);
    return status;
}

static char *config_in(const char *dir)
{
    static const char *const names[] = { "config.json", NULL };
    return first_of(dir, names);
}

static int find_in_directory(place *p, const char *path, lithe_error *err)
{
    lithe_error own = { 0 };
    if (!err) err = &own;
    p->dir = checkpoint_newest(path, &p->notice, err);
    if (failed(err)) return err->status;
    bool run = p->dir != NULL;
    if (run) p->better = checkpoint_better(path, p->dir, err);
    if (failed(err)) return err->status;
    if (run) p->run = xstrdup(path);
    else p->dir = xstrdup(path);
    if (!p->dir || (run && !p->run)) return fail(err, LITHE_ENOMEM, "%s: not enough memory to open it", path);
    p->weights = first_of(p->dir, WEIGHTS);
    p->config = config_in(p->dir);
    if (run || !p->weights) return LITHE_OK;
    return manifest_check_if_any(p->dir, MOMENTS_FILE, err);         /* the path may name one checkpoint */
}

int place_find(place *p, const char *path, lithe_error *err)
{
    *p = (place){ 0 };
    if (failed(err)) return err->status;
    if (!path || !*path) return fail(err, LITHE_EINVAL, "no model was named");
    if (path_is_dir(path)) return find_in_directory(p, path, err);
    p->dir = path_parent(path);
    p->weights = xstrdup(path);
    if (!p->dir || !p->weights) return fail(err, LITHE_ENOMEM, "%s: not enough memory to open it", path);
    p->config = config_in(p->dir);
    return LITHE_OK;
}

void place_free(place *p)
{
    free(p->dir);
    free(p->weights);
    free(p->config);
    free(p->run);
    free(p->notice);
    free(p->better);
    *p = (place){ 0 };
}

/* A trainer may remove a checkpoint, but not the same file in its RUN.  The path that is not returned is freed. */
static char *that_stays(const place *p, char *found)
{
    char *kept = p->run && found ? path_join(p->run, path_base(found)) : NULL;
    bool same = kept && file_same(found, kept);
    free(same ? found : kept);
    return same ? kept : found;
}

char *place_tokenizer(const place *p, int vocab)
{
    char trained[32];                                   /* llama2.c's name for the tokenizer of a custom vocabulary */
    snprintf(trained, sizeof trained, "tok%d.bin", vocab);
    char *found = lithe_tokenizer_find(p->dir);
    char *own = found && strcmp(path_base(found), "tokenizer.bin") ? NULL : first_of(p->dir, (const char *const[]){ trained, NULL });
    if (!own) return that_stays(p, found);
    free(found);
    return own;
}
