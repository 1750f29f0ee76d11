/* The input of patches and the head for classes (arch/image_input.h). */
#include "arch/image_input.h"

const recipe image_recipe = { .lr = 1e-3, .floor = 0.01, .warmup = 0.05, .schedule = "cosine", .beta1 = 0.9, .beta2 = 0.95, .eps = 1e-8, .weight_decay = 0.05,
                              .clip = 1, .mask = "each", .mask_rate = 0.15 };

int image_check(const void *config, lithe_error *err)
{
    const image_input *c = config;
    if (c->num_channels != 2) return LITHE_OK;
    return fail(err, LITHE_ECONFIG, "num_channels is 2; 1 (grey) and 3 (red, green, blue) are supported");
}

image_shape image_of(const void *config)
{
    const image_input *c = config;
    return (image_shape){ .side = c->image_size, .patch = c->patch_size, .channels = c->num_channels };
}

int image_context(const void *config)
{
    const image_input *c = config;
    int across = c->image_size / c->patch_size;
    return across * across + 1;
}

int image_sized(int tokens)
{
    int across = 1;
    while (across < 1 << 10 && (across + 1) * (across + 1) < tokens) across++;
    return across * SIZED_PATCH;
}

tensor *image_embedding(graph *g, const image_input *c, int width, double std, bool distilled)
{
    const int P = c->patch_size;
    const axis out = writes(AXIS_RESIDUAL);
    scope(g, "%s", "embeddings.");
    /* (width, channels, P, P) */
    tensor *w = parameter(g, "patch_embeddings.projection.weight", (param_rule){ .dims = { width, c->num_channels, P, P }, .axes = { out }, .init = INIT_NORMAL,
                                                                                 .std = std, .decay = true });
    /* (width) */
    tensor *b = parameter(g, "patch_embeddings.projection.bias", (param_rule){ .dims = { width }, .axes = { out } });
    /* (1, 1, width) */
    tensor *token = parameter(g, "cls_token", (param_rule){ .dims = { 1, 1, width }, .axes = { [2] = out }, .init = INIT_NORMAL, .std = std });
    const param_rule second = { .dims = { 1, 1, width }, .axes = { [2] = out }, .init = INIT_NORMAL, .std = std };
    tensor *distillation = distilled ? parameter(g, "distillation_token", second) : NULL;            /* (1, 1, width) */
    /* (1, positions, width) */
    tensor *positions = parameter(g, "position_embeddings", (param_rule){ .dims = { 1, image_context(c) + distilled, width }, .axes = { [2] = out }, .init = INIT_NORMAL, .std = std });
    return add_positions(g, patches(g, w, b, token, distillation), positions);                     /* (tokens, width) */
}

head image_head(graph *g, tensor *rows, const task *t, double std)
{
    tensor *bias = parameter(g, "classifier.bias", (param_rule){ .dims = { t->labels } });                /* (labels) */
    return (head){ .hidden = rows, .weight = head_weight(g, "classifier.weight", t->labels, width_of(rows), std), .bias = bias };
}
