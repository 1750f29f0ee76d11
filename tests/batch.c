/* The batch builder: what a graph sees of what was added, what does not fit, and that nobody else fills a batch. */
#include "base/file.h"
#include "base/random.h"
#include "graph/batch.h"
#include "test.h"
#include <dirent.h>
#include <regex.h>
#include <stdlib.h>

static const int IDS[] = { 5, 6, 7, 8, 9 }, TYPES[] = { 0, 0, 1, 1, 1 };

static batch_builder opened(batch_capacity most)
{
    lithe_error err = { 0 };
    batch_builder b;
    CHECK_MSG(!batch_open(&b, most, &err), "%s", err.text);
    batch_begin(&b);
    return b;
}

static bool are(const int *got, const int *expected, int n) { return !memcmp(got, expected, (size_t)n * sizeof *got); }

static void what_was_added(void)
{
    lithe_error err = { 0 };
    batch_builder b = opened((batch_capacity){ .rows = 8, .seqs = 3, .selected = 2 });
    for (int turn = 0; turn < 2; turn++) {                       /* what stood there before shows nowhere */
        batch_begin(&b);
        CHECK(batch_add(&b, &(batch_sequence){ .n = 5, .ids = IDS, .types = TYPES, .position = 3, .slot = 2, .key = 9, .place = 1 }));
        CHECK(batch_select(&b, 1, 70, 1) && batch_select(&b, 4, 71, 0.5f));
        batch_label(&b, 2, 1.5f);
        CHECK(batch_add(&b, &(batch_sequence){ .n = 0 }) && batch_add(&b, &(batch_sequence){ .n = 3 }));
        batch_scale(&b, 0.25, 0.125, true);
        const batch *v = batch_view(&b, &err);
        CHECK_MSG(v, "%s", err.text);
        if (!v) break;
        CHECK(v->rows == 8 && v->seqs == 3 && v->selected == 2 && b.targets == 1.5 && b.labels == 1 && !v->patches);
        CHECK(are(v->ids, (int[]){ 5, 6, 7, 8, 9, 0, 0, 0 }, 8) && are(v->type, (int[]){ 0, 0, 1, 1, 1, 0, 0, 0 }, 8));
        CHECK(are(v->pos, (int[]){ 3, 4, 5, 6, 7, 0, 1, 2 }, 8) && are(v->start, (int[]){ 0, 5, 5, 8 }, 4) && are(v->slot, (int[]){ 2, 0, 0 }, 3));
        CHECK(are(v->select, (int[]){ 1, 4 }, 2) && are(v->target, (int[]){ 70, 71 }, 2) && v->weight[0] == 1 && v->weight[1] == 0.5f);
        CHECK(v->label[0] == 2 && v->label[1] == 0 && v->value[0] == 1.5f && v->scale == 0.25f && v->seq_scale == 0.125f && v->accumulate);
        for (int i = 0; i < 5; i++) CHECK(v->row_key[i] == key_of(9, (uint64_t)(i + 1)));
    }
    batch_close(&b);
}

static void a_head_that_sees_all_rows(void)
{
    lithe_error err = { 0 };
    batch_builder b = opened((batch_capacity){ .rows = 5, .seqs = 2 });
    for (int turn = 0; turn < 2; turn++) {
        batch_begin(&b);
        batch_add(&b, &(batch_sequence){ .n = 2, .ids = IDS });
        if (!turn) batch_select(&b, 0, 60, 1);
        batch_add(&b, &(batch_sequence){ .n = 3, .ids = IDS + 2 });
        batch_select(&b, 2, 61, 1);
        const batch *v = batch_view(&b, &err);
        CHECK(v && !v->select && are(v->target, (int[]){ turn ? 0 : 60, 0, 0, 0, 61 }, 5) && v->weight[0] == (float)(1 - turn) && v->weight[1] == 0 && v->weight[4] == 1);
    }
    batch_close(&b);
}

static void patches_of_images(void)
{
    const real patches[] = { 1, 2, 3, 4 };
    lithe_error err = { 0 };
    batch_builder b = opened((batch_capacity){ .rows = 6, .seqs = 2, .patch_width = 2 });
    for (int i = 0; i < 2; i++) CHECK(batch_add(&b, &(batch_sequence){ .n = 3, .patches = patches }));
    const batch *v = batch_view(&b, &err);
    for (int r = 0; v && r < 12; r++) CHECK(v->patches[r] == (real)(r % 6 < 2 ? 0 : r % 6 - 1));
    batch_close(&b);
}

/* A batch that is too small stays as it was, says so, and is good again once it is begun anew. */
static void what_does_not_fit(void)
{
    for (int way = 0; way < 4; way++) {
        lithe_error err = { 0 };
        batch_builder b = opened((batch_capacity){ .rows = 5, .seqs = 2, .selected = 1 });
        CHECK(batch_add(&b, &(batch_sequence){ .n = 3, .ids = IDS }) && batch_select(&b, 0, 1, 1));
        bool fits = way == 0 ? batch_add(&b, &(batch_sequence){ .n = 3, .ids = IDS }) : way == 1 ? batch_select(&b, 1, 1, 1) : way == 2 ? batch_select(&b, 3, 1, 1)
                  : batch_add(&b, &(batch_sequence){ .n = 1 }) && batch_add(&b, &(batch_sequence){ .n = 1 });
        CHECK_MSG(!fits && !batch_view(&b, &err) && err.status == LITHE_EINVAL && strstr(err.text, "of 5 tokens"), "%s", err.text);
        /* The failure sticks. */
        CHECK(!batch_add(&b, &(batch_sequence){ .n = 1 }) && b.rows == 3 + (way == 3) && b.selected == 1);
        err = (lithe_error){ 0 };
        batch_begin(&b);
        CHECK(batch_add(&b, &(batch_sequence){ .n = 5, .ids = IDS }) && batch_view(&b, &err) && !batch_select(&b, -1, 0, 1));
        batch_close(&b);
    }
}

/* ---- the tree ------------------------------------------------------------------------- */

static int look(const char *path, const regex_t *fills, const regex_t *declares)
{
    lithe_error err = { 0 };
    size_t size;
    char *text = file_read(path, 1 << 22, &size, &err);
    CHECK_MSG(text, "%s", err.text);
    int found = text && (!regexec(fills, text, 0, NULL, 0) || !regexec(declares, text, 0, NULL, 0));
    free(text);
    return found;
}

/* A batch, or `start` and `pos` of one, is written in graph/batch.c alone. */
static void nobody_else_fills_a_batch(void)
{
    static const char *const rooms[] = { "graph", "ops", "arch", "model", "grow", "data", "infer", "train", "eval", "serve" };
    regex_t fills, declares;
    int files = 0;
    CHECK(!regcomp(&fills, "(b->|batch\\.)(start|pos)\\[[^]=]*\\] *=[^=]|[^_a-z]pos\\[[^]=]*\\] *=[^=]|\\(batch\\) *\\{", REG_EXTENDED | REG_NOSUB));
    CHECK(!regcomp(&declares, "[^_.>*[:alnum:]]batch +[a-z_]+ *[=;[]", REG_EXTENDED | REG_NOSUB));
    for (size_t i = 0; i < sizeof rooms / sizeof *rooms; i++) {
        char name[32];
        snprintf(name, sizeof name, "src/%s", rooms[i]);
        DIR *d = opendir(test_file(name));
        for (const struct dirent *e; d && (e = readdir(d)); ) {
            if (!strstr(e->d_name, ".c")) continue;
            char *path = path_join(test_file(name), e->d_name);
            CHECK_MSG(look(path, &fills, &declares) == !strcmp(e->d_name, "batch.c"), "%s fills a batch by itself: use the builder (graph/batch.h)", path);
            files++;
            free(path);
        }
        if (d) closedir(d);
    }
    regfree(&fills);
    regfree(&declares);
    if (!files) test_skip("no source tree");
    CHECK_MSG(files > 50, "%d files", files);
}

const test tests_batch[] = {
    { "batch: what was added", what_was_added },
    { "batch: a head that sees all rows", a_head_that_sees_all_rows },
    { "batch: patches of images", patches_of_images },
    { "batch: what does not fit", what_does_not_fit },
    { "batch: nobody else fills one", nobody_else_fills_a_batch },
    { 0 }
};
