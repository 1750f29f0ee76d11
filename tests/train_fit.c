/* Runs whose files are whole one by one and do not go together: each is refused in
 * one line, nothing is read or written outside (the sanitized build looks). */
#include "base/json.h"
#include "lithe_eval.h"
#include "base/writer.h"
#include "base/random.h"
#include "data/tokenizer_identity.h"
#include "model/model.h"
#include "test.h"
#include "train_runs.h"
#include <stdlib.h>
#include <string.h>

/* ---- a run of masked tokens -------------------------------------------------------------- */

static const char small_bert[] = "{\"hidden_size\": 16, \"num_hidden_layers\": 1, \"num_attention_heads\": 1, \"intermediate_size\": 16, \"max_position_embeddings\": 16, \"vocab_size\": 40}";
static const char *const words[] = { "the", "cat", "sat", "on", "mat", "dog", "ran", "far", "away", "." };
enum { WORDS = sizeof words / sizeof *words };

/* A vocabulary of `filler` unused tokens before the words. */
static lithe_tokenizer *open_vocabulary(int filler, lithe_error *err)
{
    FILE *f = fopen(in_dir("vocab.txt"), "w");
    CHECK(f != NULL);
    if (!f) return NULL;
    fputs("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n", f);
    for (int i = 0; i < filler; i++) fprintf(f, "[unused%d]\n", i);
    for (int i = 0; i < WORDS; i++) fprintf(f, "%s\n", words[i]);
    fclose(f);
    return lithe_tokenizer_open(in_dir("vocab.txt"), err);
}

static void run_masked(const char *name)
{
    const lithe_train_options o = { .size = sizeof o, .ctx = 12, .batch = 4, .steps = 4, .save_every = 2 };
    fixture f = { 0 };
    const char *path = in_dir("text.txt");
    FILE *out = fopen(path, "w");
    for (uint64_t i = 0; out && i < 2000; i++) fprintf(out, "%s ", words[random_u64(3, i) % WORDS]);
    if (out) fclose(out);
    f.tokens = open_vocabulary(20, &f.err);
    f.data = lithe_dataset_open(&path, 1, NULL, f.tokens, NULL, &f.err);
    f.model = lithe_model_new("bert", small_bert, 1, &f.err);
    f.trainer = lithe_trainer_open(f.model, f.data, f.tokens, &o, in_dir(name), &f.err);
    lithe_event e = { 0 };
    while (e.kind != LITHE_SAVED && lithe_trainer_next(f.trainer, &e, &f.err) > 0) { }
    CHECK_MSG(!f.err.status && e.step == 2, "%s", f.err.text);
    close_fixture(&f);
}

/* ---- files that were changed, under checksums that agree ---------------------------------- */

/* The shard says that it was made with t; and with `vocabulary` that its ids are below t's. */
static void mend_shard(const char *path, const lithe_tokenizer *t, bool vocabulary)
{
    lithe_error err = { 0 };
    size_t size;
    uint8_t identity[16];
    char *bytes = file_read(path, 1 << 24, &size, &err);
    tokenizer_identity(t, identity);
    memcpy(bytes + 80, identity, sizeof identity);
    if (vocabulary) store_bytes((uint8_t *)bytes + 40, 4, (uint64_t)lithe_tokenizer_vocab(t));
    uint64_t hash = hash_bytes(bytes, 120, 0);
    memcpy(bytes + 120, &hash, sizeof hash);
    CHECK_MSG(!file_write(path, bytes, size, &err), "%s", err.text);
    free(bytes);
}

static void replace_tokenizer(const char *run, const lithe_tokenizer *t, bool vocabulary)
{
    static const char *const shards[] = { "data/train.shard", "data/valid.shard" };
    lithe_error err = { 0 };
    char *path = path_join(run, "tokenizer.json");
    CHECK_MSG(!lithe_tokenizer_save(t, path, &err), "%s", err.text);
    free(path);
    for (int i = 0; i < 2; i++) {
        char *file = path_join(run, shards[i]);
        mend_shard(file, t, vocabulary);
        free(file);
    }
}

/* A number of a JSON file of the checkpoint, whose manifest is made right. */
static void replace_number(const char *dir, const char *file, const char *object, const char *key, json_t *value)
{
    lithe_error err = { 0 };
    char *path = path_join(dir, file);
    json_t *json = json_read(path, 1 << 20, 16, &err);
    CHECK_MSG(json && !json_object_set_new(object ? json_object_get(json, object) : json, key, value), "%s", err.text);
    CHECK(!json_write(json, path, &err) && !manifest_write(dir, &err));
    json_decref(json);
    free(path);
}

/* ---- tokenizers ------------------------------------------------------------------------------ */

/* The run's tokenizer with its mask token elsewhere. */
static lithe_tokenizer *with_mask_at(const char *run, int id)
{
    lithe_error err = { 0 };
    char *path = path_join(run, "tokenizer.json");
    json_t *json = json_read(path, 1 << 20, 16, &err), *vocab = json_object_get(json_object_get(json, "model"), "vocab"), *token;
    size_t i;
    json_array_foreach(json_object_get(json, "added_tokens"), i, token)
        if (!strcmp(json_string_value(json_object_get(token, "content")), "[MASK]")) json_object_set_new(token, "id", json_integer(id));
    if (json_object_get(vocab, "[MASK]")) json_object_set_new(vocab, "[MASK]", json_integer(id));
    CHECK(!json_write(json, in_dir("tokenizer.json"), &err));
    json_decref(json);
    free(path);
    lithe_tokenizer *t = lithe_tokenizer_open(in_dir("tokenizer.json"), &err);
    CHECK_MSG(lithe_tokenizer_special(t, "mask") == id, "%d %s", lithe_tokenizer_special(t, "mask"), err.text);
    return t;
}

static void mask_token_outside_the_model(void)
{
    static const char *const says[] = { "was made with another tokenizer, of 35 tokens; this one has 60001", "was made for a vocabulary of 60001, the model has 40" };
    run_masked("run");
    lithe_tokenizer *t = with_mask_at(in_dir("run"), 60000);
    for (int vocabulary = 0; vocabulary < 2; vocabulary++) {
        replace_tokenizer(in_dir("run"), t, vocabulary);
        lithe_error err = refused(in_dir("run"), NULL);
        CHECK_MSG(strstr(err.text, says[vocabulary]), "%s", err.text);
    }
    lithe_tokenizer_close(t);
}

static void tokenizer_smaller_than_the_data(void)
{
    lithe_error err = { 0 };
    run_masked("run");
    lithe_tokenizer *t = open_vocabulary(0, &err);
    replace_tokenizer(in_dir("run"), t, false);
    lithe_tokenizer_close(t);
    err = refused(in_dir("run"), NULL);
    CHECK_MSG(err.status == LITHE_EMISMATCH && strstr(err.text, "of 35 tokens; this one has 15"), "%s", err.text);
}

/* A trainer is given a tokenizer beside data that carry the identity of theirs. */
static void tokenizers_given_to_a_trainer(void)
{
    static const struct { int filler; const char *says; } given[] = { { 60, "the tokenizer has 75 ids, the model a vocabulary of 40" }, { 0, "was made with a tokenizer of 35 ids, this one has 15" } };
    fixture f = { 0 };
    const char *path = text_file();
    f.tokens = open_vocabulary(20, &f.err);
    f.data = lithe_dataset_open(&path, 1, NULL, f.tokens, NULL, &f.err);
    f.model = lithe_model_new("gpt2", "{\"n_layer\": 1, \"n_embd\": 8, \"n_head\": 1, \"n_positions\": 8, \"vocab_size\": 40}", 1, &f.err);
    CHECK_MSG(!f.err.status, "%s", f.err.text);
    for (int i = 0; i < 2; i++) {
        lithe_error err = { 0 };
        lithe_tokenizer *t = open_vocabulary(given[i].filler, &err);
        CHECK(!lithe_trainer_open(f.model, f.data, t, NULL, in_dir("run"), &err));
        CHECK_MSG(strstr(err.text, given[i].says), "%s", err.text);
        lithe_tokenizer_close(t);
    }
    close_fixture(&f);
}

/* Masks are drawn from the tokenizer's ids, which the model must have. */
static void evaluation_asks_too(void)
{
    lithe_error err = { 0 };
    lithe_evaluation v;
    lithe_tokenizer *large = open_vocabulary(60, &err), *fitting;
    lithe_model *m = lithe_model_new("bert", small_bert, 1, &err);
    const int32_t ids[] = { 5, 6, 7, 8, 9, 10, 11, 12, 13, 14 };
    CHECK(lithe_score_masked(m, large, ids, 10, 0, 0.5, 1, &v, &err) == LITHE_ECONFIG && strstr(err.text, "the tokenizer has 75 ids"));
    err = (lithe_error){ 0 };
    fitting = open_vocabulary(20, &err);
    CHECK_MSG(!lithe_score_masked(m, fitting, ids, 10, 0, 0.5, 1, &v, &err), "%s", err.text);
    lithe_tokenizer_close(large);
    lithe_tokenizer_close(fitting);
    lithe_model_close(m);
}

/* Whoever takes a model and a tokenizer refuses ids that the model lacks, in the same words. */
static void everyone_asks(void)
{
    lithe_error made = { 0 }, errors[6] = { { 0 } };
    lithe_tokenizer *large = open_vocabulary(60, &made);
    lithe_model *encoder = lithe_model_new("bert", small_bert, 1, &made), *classifier = lithe_model_with_head(encoder, "classify", words, 2, 1, &made);
    lithe_model *causal = lithe_model_new("gpt2", "{\"n_layer\": 1, \"n_embd\": 8, \"n_head\": 1, \"n_positions\": 8, \"vocab_size\": 40}", 1, &made);
    lithe_session *s = lithe_session_open(causal, 0, &made);
    const char *const text[] = { "the cat" };
    const int32_t id = 7;
    float out[64];
    lithe_error nameless = { 0 };
    CHECK(!lithe_model_with_head(encoder, "classify", NULL, 2, 1, &nameless) && nameless.status == LITHE_EINVAL);
    CHECK_MSG(s && classifier, "%s", made.text);
    lithe_model_fits(encoder, large, &errors[0]);
    lithe_embed(encoder, large, text, 1, &LITHE_OPTIONS(lithe_embedding), out, NULL, &errors[1]);
    lithe_fill(encoder, large, "the [MASK]", 1, &(lithe_candidate){ 0 }, &errors[2]);
    lithe_classify(classifier, large, text, NULL, 1, out, NULL, &errors[3]);
    lithe_generate(s, large, &id, 1, NULL, NULL, NULL, NULL, &errors[4]);
    lithe_model_save(encoder, in_dir("model"), NULL, large, &errors[5]);
    for (int i = 0; i < 6; i++) CHECK_MSG(errors[i].status == LITHE_ECONFIG && !strcmp(errors[i].text, "the tokenizer has 75 ids, the model a vocabulary of 40"), "%d: %s", i, errors[i].text);
    lithe_session_close(s);
    lithe_tokenizer_close(large);
    lithe_model_close(causal);
    lithe_model_close(classifier);
    lithe_model_close(encoder);
}

/* ---- numbers ---------------------------------------------------------------------------------- */

static void numbers_of_trainer_json(void)
{
    static const struct { const char *object, *key; json_int_t value; const char *says; } wrong[] = {
        { "settings", "ctx", 13 + 16, "the model's context is 16" }, { "settings", "ctx", 0, "\"ctx\"" }, { "settings", "ctx", 2147483648, "\"ctx\"" },
        { "settings", "ctx", 2, "room" }, { "settings", "batch", 0, "\"batch\"" }, { "settings", "batch", 1LL << 40, "\"batch\"" }, { "settings", "accumulate", 5, "accumulate" },
        { "settings", "steps", 1LL << 31, "\"steps\"" }, { "settings", "eval_every", 0, "\"eval_every\"" }, { "settings", "save_every", -1, "\"save_every\"" },
        { "settings", "seed", 7, "seed, schedule, optimizer" },
        { "progress", "step", -1, "\"step\"" }, { "progress", "step", 0, "ckpt-2/trainer.json: is of step 0" }, { "progress", "grown", 1, "growths" }, { "progress", "lr_scale", 2, "\"lr_scale\"" }, { "progress", "log_lines", 1LL << 62, "\"log_lines\"" },
    };
    run_masked("run");
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        lithe_error err = { 0 };
        json_t *whole = json_read(in_dir("run/ckpt-2/trainer.json"), 1 << 20, 16, &err), *before = json_object_get(json_object_get(whole, wrong[i].object), wrong[i].key);
        json_incref(before);
        replace_number(in_dir("run/ckpt-2"), "trainer.json", wrong[i].object, wrong[i].key, json_integer(wrong[i].value));
        CHECK(!dir_remove(in_dir("run/ckpt-0"), &err));
        err = refused(in_dir("run"), NULL);
        CHECK_MSG(strstr(err.text, wrong[i].says), "%s %lld: %s", wrong[i].key, (long long)wrong[i].value, err.text);
        replace_number(in_dir("run/ckpt-2"), "trainer.json", wrong[i].object, wrong[i].key, before);
        json_decref(whole);
    }
}

/* Which parameter groups a file may describe: rows and columns of the parameter, each in one group. */
static void groups_of_files(void)
{
#define GROUP(param, rest) "{\"param\":\"" param "\"," rest "}"
#define ROWS(first, rows) "\"first\":" #first ",\"rows\":" #rows
#define COLUMNS(column, columns) ",\"column\":" #column ",\"columns\":" #columns
    static const struct { const char *list, *says; } cases[] = {
        { "[]", NULL }, { "{}", "is not a list" }, { "[7]", "group 0" }, { "[{}]", "group 0" },
        { "[" GROUP("wte.weight", ROWS(0, 4)) "," GROUP("wte.weight", ROWS(4, 4)) "]", NULL },
        { "[" GROUP("wte.weight", ROWS(4, 4)) "," GROUP("ln_f.weight", ROWS(0, 4)) "," GROUP("wte.weight", ROWS(0, 4)) "]", NULL },
        { "[" GROUP("wte.weight", ROWS(0, 4)) "," GROUP("wte.weight", ROWS(3, 4)) "]", "has 4 rows from 3 on, some of which belong to another group" },
        { "[" GROUP("wte.weight", ROWS(0, 4)) "," GROUP("wte.weight", ROWS(0, 4)) "]", "belong to another group" },
        { "[" GROUP("wte.weight", ROWS(252, 4)) "]", NULL }, { "[" GROUP("wte.weight", ROWS(253, 4)) "]", "has 4 rows from 253 on, which the parameter does not have" },
        { "[" GROUP("wte.weight", ROWS(256, 1)) "]", "does not have" }, { "[" GROUP("wte.weight", ROWS(0, 257)) "]", "does not have" },
        { "[" GROUP("wte.weight", ROWS(0, 4) COLUMNS(8, 24)) "," GROUP("wte.weight", ROWS(0, 4) COLUMNS(0, 8)) "]", NULL },
        { "[" GROUP("wte.weight", ROWS(0, 4) COLUMNS(0, 9)) "," GROUP("wte.weight", ROWS(0, 4) COLUMNS(8, 8)) "]", "belong to another group" },
        { "[" GROUP("wte.weight", ROWS(0, 4) COLUMNS(0, 8)) "," GROUP("wte.weight", ROWS(0, 4)) "]", "belong to another group" },
        { "[" GROUP("wte.weight", ROWS(0, 4)) "," GROUP("wte.weight", ROWS(0, 4) COLUMNS(4, 8)) "]", "belong to another group" },
        { "[" GROUP("wte.weight", ROWS(0, 4) COLUMNS(0, 8)) "," GROUP("wte.weight", ROWS(0, 5) COLUMNS(8, 8)) "]", "belong to another group" },
        { "[" GROUP("wte.weight", ROWS(0, 4) COLUMNS(0, 8)) "," GROUP("wte.weight", ROWS(2, 4) COLUMNS(8, 8)) "]", "belong to another group" },
        { "[" GROUP("wte.weight", ROWS(0, 4) COLUMNS(0, 33)) "]", "does not have" }, { "[" GROUP("wte.weight", ROWS(0, 4) COLUMNS(32, 1)) "]", "does not have" },
        { "[" GROUP("wte.weight", ROWS(0, 4) COLUMNS(-1, 4)) "]", "group 0" }, { "[" GROUP("wte.weight", ROWS(0, 4) COLUMNS(0, 0)) "]", "group 0" },
        { "[" GROUP("wte.weight", ROWS(0, 4) ",\"lr_factor\":-1") "]", "group 0" }, { "[" GROUP("wte.weight", ROWS(0, 4) ",\"lr_factor\":2e6") "]", "group 0" },
        { "[" GROUP("wte.weight", ROWS(0, 4) ",\"born\":-2") "]", "group 0" }, { "[" GROUP("wte.weight", ROWS(0, 4) ",\"rewarm\":-1") "]", "group 0" },
        { "[" GROUP("absent.weight", ROWS(0, 4)) "]", "group 0" },
    };
    lithe_model *m = lithe_model_new("gpt2", still, 1, NULL);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        lithe_error err = { 0 };
        json_t *list = json_loads(cases[i].list, 0, NULL);
        int status = groups_read(m, list, "x", &err);
        CHECK_MSG(cases[i].says ? status == LITHE_ECONFIG && strstr(err.text, cases[i].says) : !status && m->group_count == (int)json_array_size(list), "%s: %s", cases[i].list, err.text);
        json_decref(list);
    }
    lithe_model_close(m);
#undef GROUP
#undef ROWS
#undef COLUMNS
}

/* Pairs of texts have three special tokens around them, which a context must leave room for. */
static void context_of_pairs(void)
{
    static const char rows[] = "text\tpair\tlabel\nthe cat\tsat on the mat\ta\nthe mat\tthe cat\tb\nthe cat sat\ton\ta\nthe mat sat\tthe\tb\n";
    static const char *const classes[] = { "a", "b" };
    fixture f = { 0 };
    const char *path = in_dir("pairs.tsv");
    CHECK(!file_write(path, rows, sizeof rows - 1, &f.err));
    f.tokens = open_vocabulary(20, &f.err);
    f.data = lithe_dataset_open(&path, 1, NULL, f.tokens, &LITHE_OPTIONS(lithe_data_options, .task = "classify", .valid = path), &f.err);
    f.base = lithe_model_new("bert", small_bert, 1, &f.err);
    f.model = lithe_model_with_head(f.base, "classify", classes, 2, 1, &f.err);
    f.trainer = lithe_trainer_open(f.model, f.data, f.tokens, &LITHE_OPTIONS(lithe_train_options, .batch = 2, .steps = 4), in_dir("run"), &f.err);
    CHECK_MSG(f.trainer && !lithe_trainer_save(f.trainer, &f.err), "%s", f.err.text);
    close_fixture(&f);
    for (int ctx = 1; ctx < 6; ctx++) {
        replace_number(in_dir("run/ckpt-0"), "trainer.json", "settings", "ctx", json_integer(ctx));
        if (ctx < 4) f.err = refused(in_dir("run"), NULL);
        if (ctx < 4) CHECK_MSG(strstr(f.err.text, "room between the special tokens"), "ctx %d: %s", ctx, f.err.text);
    }
    lithe_trainer *t = lithe_trainer_resume(in_dir("run"), NULL, &(lithe_error){ 0 });
    CHECK(t && lithe_trainer_next(t, NULL, NULL) == 1);
    lithe_trainer_close(t);
}

/* Parameter groups of trainer.json, and of a config.json as older versions wrote them. */
static void births(void)
{
    static const struct { json_int_t first, rows, born; double lr; } wrong[] = {
        { 0, 2, INT32_MIN, 1 }, { 0, 2, INT64_MIN, 1 }, { 0, 2, INT32_MAX, 1 }, { -1, 2, 0, 1 }, { 0, 0, 0, 1 }, { 0, INT32_MAX, 0, 1 }, { INT32_MAX, INT32_MAX, 0, 1 },
        { (json_int_t)1 << 32, 1, 0, 1 }, { 39, 2, 0, 1 }, { 0, 2, 0, -1 }, { 0, 2, 0, 1e300 }, { 9, 1, 0, 1 },
    };
    static const struct { const char *file, *key; } homes[] = { { "trainer.json", "groups" }, { "config.json", "lithe_segments" } };
    lithe_error err = { 0 };
    run_masked("run");
    CHECK(!dir_remove(in_dir("run/ckpt-0"), &err));
    for (size_t i = 0; i < 2 * sizeof wrong / sizeof *wrong; i++) {
        const char *file = homes[i % 2].file, *key = homes[i % 2].key, *table_name = "embeddings.word_embeddings.weight";
        json_t *list = json_pack("[{s:s, s:I, s:I, s:I, s:f}, {s:s, s:i, s:i}]", "param", table_name, "first", wrong[i / 2].first, "rows", wrong[i / 2].rows,
                                 "born", wrong[i / 2].born, "lr_factor", wrong[i / 2].lr, "param", table_name, "first", 8, "rows", 3);
        replace_number(in_dir("run/ckpt-2"), file, NULL, key, list);
        err = refused(in_dir("run"), NULL);
        CHECK_MSG(strstr(err.text, file) && strstr(err.text, "group"), "%zu: %s", i, err.text);
        replace_number(in_dir("run/ckpt-2"), file, NULL, key, json_array());
    }
    lithe_trainer *t = lithe_trainer_resume(in_dir("run"), NULL, &(lithe_error){ 0 });
    CHECK(t != NULL);
    lithe_trainer_close(t);
}

/* As many updates as an optimizer may count go on; more are refused. */
static void updates(void)
{
    lithe_error err = { 0 };
    run_masked("run");
    CHECK(!dir_remove(in_dir("run/ckpt-0"), &err));
    for (int i = 0; i < 2; i++) {
        lithe_trainer *t = lithe_trainer_resume(in_dir("run"), NULL, &err);
        CHECK_MSG(t, "%s", err.text);
        const optimizer *o = &t->optimizer;
        if (i) CHECK(lithe_trainer_next(t, NULL, &err) == 1 && o->updates == UPDATES_MAX);
        CHECK(!optimizer_write(in_dir("run/ckpt-2"), t->model->params, false, o->m, o->v, i ? INT32_MAX : UPDATES_MAX, &err) && !manifest_write(in_dir("run/ckpt-2"), &err));
        lithe_trainer_close(t);
    }
    err = refused(in_dir("run"), NULL);
    CHECK_MSG(strstr(err.text, "updates"), "%s", err.text);
}

static void whole_numbers(void)
{
    lithe_error err = { 0 };
    static const char text[] = "{\"a\": 7, \"b\": 7.0, \"c\": \"7\", \"d\": 9223372036854775807, \"e\": -9223372036854775808, \"f\": true}";
    json_t *json = json_parse(text, strlen(text), 4, "text", &err);
    int n = 3;
    CHECK(json_int(json, "a", 7, 7, &n) && n == 7 && !json_int(json, "a", 8, 9, &n) && !json_int(json, "a", 0, 6, &n));
    CHECK(!json_int(json, "b", 0, 9, &n) && !json_int(json, "c", 0, 9, &n) && !json_int(json, "d", INT32_MIN, INT32_MAX, &n) && !json_int(json, "e", INT32_MIN, INT32_MAX, &n));
    CHECK(!json_int(json, "f", 0, 9, &n) && !json_int(json, "g", 0, 9, &n) && !json_int(NULL, "a", 0, 9, &n) && n == 7);
    json_decref(json);
    CHECK(text_int("0", 0, 9, &n) && n == 0 && text_int("2147483647", 0, INT32_MAX, &n) && n == INT32_MAX);
    static const char *const bad[] = { "", "-1", "+1", " 1", "1 ", "1x", "2147483648", "4294967296", "18446744073709551616", "99999999999999999999999999", NULL };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) CHECK_MSG(!text_int(bad[i], 0, INT32_MAX, &n) && n == INT32_MAX, "%s", bad[i]);
}

const test tests_train_fit[] = {
    { "train: a mask token outside the model", mask_token_outside_the_model },
    { "train: a tokenizer smaller than the data", tokenizer_smaller_than_the_data },
    { "train: tokenizers given to a trainer", tokenizers_given_to_a_trainer },
    { "train: evaluation asks too whether all fits", evaluation_asks_too },
    { "train: everyone asks whether model and tokenizer fit", everyone_asks },
    { "train: numbers of trainer.json", numbers_of_trainer_json },
    { "train: groups that a file describes", groups_of_files },
    { "train: a context of pairs", context_of_pairs },
    { "train: births", births },
    { "train: updates", updates },
    { "base: whole numbers of files", whole_numbers },
    { 0 }
};
