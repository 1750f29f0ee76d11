/* Patches in, classes out (arch/pictures.h). */
#include "arch/pictures.h"

const recipe pictures_recipe = { .lr = 1e-3, .floor = 0.01, .warmup = 0.05, .schedule = "cosine", .beta1 = 0.9, .beta2 = 0.95, .eps = 1e-8, .weight_decay = 0.05,
                                 .clip = 1, .mask = "each", .mask_rate = 0.15 };

int pictures_check(const pictures *p, lithe_error *err)
{
    if (p->num_channels == 2) return fail(err, LITHE_ECONFIG, "num_channels is 2; 1 (grey) and 3 (red, green, blue) are supported");
    if (p->image_size % p->patch_size == 0) return LITHE_OK;
    return fail(err, LITHE_ECONFIG, "patch_size is %d, which does not divide image_size %d", p->patch_size, p->image_size);
}

int pictures_side(int tokens)
{
    int across = 1;
    while (across < 1 << 10 && (across + 1) * (across + 1) < tokens) across++;
    return across * SIZED_PATCH;
}

int pictures_tokens(const pictures *p)
{
    int across = p->image_size / p->patch_size;
    return across * across + 1;
}

int pictures_vocab(const void *config)
{
    (void)config;
    return 0;
}

tensor *pictures_embedding(graph *g, const pictures *p, int width, double std)
{
    const int side = p->patch_size;
    scope(g, "%s", "embeddings.");
    tensor *w = parameter(g, "patch_embeddings.projection.weight", (param_rule){ .rank = 4, .dims = { width, p->num_channels, side, side }, .axes = { RESIDUAL_WRITE },
                                                                                 .init = INIT_NORMAL, .std = std, .decay = true });
    tensor *b = parameter(g, "patch_embeddings.projection.bias", (param_rule){ .rank = 1, .dims = { width }, .axes = { RESIDUAL_WRITE } });
    tensor *token = parameter(g, "cls_token", (param_rule){ .rank = 3, .dims = { 1, 1, width }, .axes = { { 0 }, { 0 }, RESIDUAL_WRITE }, .init = INIT_NORMAL, .std = std });
    tensor *place = parameter(g, "position_embeddings", (param_rule){ .rank = 3, .dims = { 1, pictures_tokens(p), width }, .axes = { { 0 }, { 0 }, RESIDUAL_WRITE },
                                                                      .init = INIT_NORMAL, .std = std });
    return add_positions(g, patches(g, w, b, token), place);
}

head pictures_head(graph *g, tensor *rows, const task *t, double std)
{
    if (!graph_ok(g)) return (head){ 0 };
    scope(g, "%s", "");
    tensor *bias = parameter(g, "classifier.bias", (param_rule){ .rank = 1, .dims = { t->labels } });
    return (head){ rows, head_weight(g, "classifier.weight", t->labels, rows->width, std), bias };
}
