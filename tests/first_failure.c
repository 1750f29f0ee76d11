/* The first failure sticks (src/base/error.h): what reads or writes and is given an error that already holds one does
 * nothing and leaves it; and who gives no error at all sees it in the result. */
#include "base/json.h"
#include "base/keys.h"
#include "base/dir_names.h"
#include "base/partial.h"
#include "data/corpus.h"
#include "data/image_set.h"
#include "data/image_shard.h"
#include "data/shard.h"
#include "data/table.h"
#include "files/tensor_file.h"
#include "model/checkpoints.h"
#include "model/groups.h"
#include "test.h"
#include "train/log.h"
#include "train/run_dir.h"
#include "train/trainer.h"
#include <stdlib.h>
#include <string.h>

static lithe_error first;

static lithe_error *failed_already(void)
{
    first = (lithe_error){ .status = LITHE_EFULL, .text = "the first" };
    return &first;
}

static bool holds_first(void) { return first.status == LITHE_EFULL && !strcmp(first.text, "the first") && dir_is_empty(test_dir(), NULL) == 1; }

#define STAYS(call)     CHECK_MSG((call) == LITHE_EFULL && holds_first(), "%s: %d %s", #call, first.status, first.text)
#define NO_RESULT(call) CHECK_MSG(!(call) && holds_first(), "%s: %d %s", #call, first.status, first.text)
#define E failed_already()

static void stays_in_base(void)
{
    const char *x = in_dir("x");
    mapping map;
    partial_dir dir;
    json_t *json = json_object();
    dir_names l;
    NO_RESULT(file_read(x, 10, NULL, E));
    STAYS(dir_names_read(&l, x, E));
    STAYS(file_map(&map, x, E));
    STAYS(refuse_sparse(x, SIZE_MAX, E));
    STAYS(dir_make(x, E));
    STAYS(dir_sync(x, E));
    STAYS(dir_rename(x, in_dir("y"), E));
    STAYS(dir_remove(x, E));
    STAYS(partial_make(&dir, test_dir(), "x", E));
    STAYS(file_write(x, "", 0, E));
    STAYS(file_copy(x, in_dir("y"), E));
    STAYS(json_write(json, x, E));
    NO_RESULT(json_parse("{}", 2, 1, "x", E));
    STAYS(keys_check(json, NULL, "x", E));
    json_decref(json);
}

static void stays_in_data(void)
{
    const char *x = in_dir("x");
    image out;
    image_shard images;
    image_shard_writer images_to;
    shard tokens;
    shard_writer tokens_to;
    table rows;
    NO_RESULT(corpus_open(&x, 1, false, E));
    NO_RESULT(corpus_text(&x, 1, 10, NULL, E));
    NO_RESULT(image_set_open(&x, 1, E));
    STAYS(image_item_read(&(image_item){ 0 }, &out, E));
    STAYS(image_shard_open(&images, x, E));
    STAYS(image_shard_create(&images_to, x, 1, 1, 1, 1, NULL, E));
    STAYS(shard_open(&tokens, x, E));
    STAYS(shard_create(&tokens_to, x, &(shard_header){ 0 }, E));
    STAYS(table_read(&rows, x, NULL, false, E));
}

static void stays_in_models(void)
{
    const char *x = in_dir("x");
    char *notice;
    int *steps;
    lithe_sampling o;
    preprocessor p = { 0 };
    NO_RESULT(tensor_file_open(x, E));
    STAYS(safetensors_write(x, NULL, 0, NULL, E));
    NO_RESULT(lithe_model_open(x, NULL, E));
    STAYS(lithe_model_save(NULL, x, NULL, NULL, E));
    STAYS(lithe_sampling_read(NULL, &o, E));
    NO_RESULT(checkpoint_newest(x, &notice, E));
    STAYS(checkpoint_list(x, &steps, E));
    STAYS(manifest_check_if_any(x, NULL, E));
    STAYS(manifest_write(x, E));
    STAYS(groups_set(NULL, NULL, 0, "x", E));
    STAYS(groups_read(NULL, NULL, "x", E));
    STAYS(groups_open(NULL, x, E));
    STAYS(groups_save(NULL, x, E));
    STAYS(model_load(NULL, E));
    STAYS(model_map(NULL, E));
    STAYS(preprocessor_parse(&p, NULL, (image_shape){ 0 }, "x", E));
    STAYS(preprocessor_read(&p, x, (image_shape){ 0 }, E));
    STAYS(preprocessor_write(&p, x, (image_shape){ .side = 4, .channels = 1 }, E));
}

static void stays_in_runs(void)
{
    const char *x = in_dir("x");
    char *identity;
    int updates;
    bool muon;
    settings s;
    progress p;
    optimizer moments = { 0 };
    const lithe_model model = { 0 };
    run_log log = { .fd = -1 };
    NO_RESULT(lithe_trainer_resume(x, NULL, E));
    NO_RESULT(lithe_trainer_replay(x, 1, E));
    STAYS(lithe_trainer_save(NULL, E));
    STAYS(trainer_json_write(x, NULL, NULL, "", NULL, E));
    STAYS(log_open(&log, x, E));
    STAYS(log_sync(&log, E));
    STAYS(run_sweep(x, E));
    NO_RESULT(run_scratch(x, "x", E));
    STAYS(checkpoint_publish(x, x, 1, E));
    STAYS(run_link(x, x, NULL, E));
    STAYS(optimizer_groups(&moments, &model, E));
    STAYS(optimizer_write(x, NULL, false, NULL, NULL, 0, E));
    STAYS(optimizer_find(x, NULL, &muon, E));
    STAYS(optimizer_read(x, NULL, false, NULL, NULL, &updates, E));
    CHECK(trainer_json_read(x, &s, &p, &identity, E) < 0 && holds_first());
}

/* What is not there, without an error to say so. */
static void without_an_error(void)
{
    const char *x = in_dir("x");
    char *notice;
    mapping map;
    int updates;
    bool muon;
    CHECK(!file_read(x, 10, NULL, NULL) && file_map(&map, x, NULL) < 0 && refuse_sparse(x, SIZE_MAX, NULL) < 0 && file_copy(x, in_dir("y"), NULL) < 0);
    CHECK(!corpus_open(&x, 1, false, NULL) && !corpus_text(&x, 1, 10, NULL, NULL) && !image_set_open(&x, 1, NULL));
    CHECK(!tensor_file_open(x, NULL) && !lithe_model_open(x, NULL, NULL) && !checkpoint_newest(x, &notice, NULL) && manifest_check(x, NULL, NULL) < 0);
    CHECK(!lithe_tokenizer_open(x, NULL) && !lithe_trainer_resume(x, NULL, NULL) && !lithe_trainer_replay(x, 1, NULL));
    CHECK(optimizer_find(x, NULL, &muon, NULL) < 0 && optimizer_read(x, NULL, false, NULL, NULL, &updates, NULL) < 0);
    CHECK(dir_is_empty(test_dir(), NULL) == 1);
}

const test tests_first_failure[] = {
    { "errors: the first stays, files", stays_in_base },
    { "errors: the first stays, data", stays_in_data },
    { "errors: the first stays, models", stays_in_models },
    { "errors: the first stays, runs", stays_in_runs },
    { "errors: none is asked for", without_an_error },
    { 0 }
};
