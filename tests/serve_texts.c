/* The routes for whole texts: vectors, classes, ranks and masks are those of the library. */
#include "model/model.h"
#include "serve_tests.h"
#include "small.h"
#include "test.h"
#include <math.h>
#include <stdlib.h>

#define BODY "{\"vocab_size\":%d,\"max_position_embeddings\":24,\"hidden_size\":24,\"num_hidden_layers\":2,\"num_attention_heads\":3,\"intermediate_size\":30%s}"
static const char *const HEADS[] = { "", ",\"architectures\":[\"BertForSequenceClassification\"],\"num_labels\":3,\"id2label\":{\"0\":\"calm\",\"1\":\"glad\",\"2\":\"sad\"}",
                                     ",\"architectures\":[\"BertForSequenceClassification\"],\"num_labels\":1" };
static const char *const NAMES[] = { "masked", "mood", "ranker" };
enum { HEAD_COUNT = 3, TEXTS = 3 };
static const char *const SAID[TEXTS] = { "a cat sat", "the dog ran far", "no" };

/* BERT's special tokens, letters and a few words. */
static const char *write_vocabulary(int *count)
{
    static const char *const words[] = { "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "a", "cat", "dog", "sat", "ran", "far", "no" };
    const char *path = in_dir("vocab.txt");
    FILE *f = fopen(path, "wb");
    *count = 0;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) ++*count, fprintf(f, "%s\n", words[i]);
    for (char c = 'a'; c <= 'z'; c++) {
        if (c != 'a') ++*count, fprintf(f, "%c\n", c);
        ++*count, fprintf(f, "##%c\n", c);
    }
    fclose(f);
    return path;
}

void stand_add_encoders(stand *s, const char **vocabulary)
{
    lithe_error err = { 0 };
    int vocab;
    *vocabulary = write_vocabulary(&vocab);
    for (int i = 0; i < HEAD_COUNT; i++) {
        char config[500];
        snprintf(config, sizeof config, BODY, vocab, HEADS[i]);
        lithe_model *m = lithe_model_new("bert", config, 5, &err);
        CHECK_MSG(m, "%s", err.text);
        small_perturb(m->params, 0.5, 7);
        stand_add(s, NAMES[i], m, *vocabulary);
    }
}

static stand stand_encoders(const char **vocabulary)
{
    stand s = stand_listen(NULL);
    stand_add_encoders(&s, vocabulary);
    stand_ready(&s);
    return s;
}

static const json_t *at(const json_t *object, const char *key) { return json_object_get(object, key); }

/* ---- vectors ------------------------------------------------------------------------ */

static int base64_value(char c) { return c >= 'A' && c <= 'Z' ? c - 'A' : c >= 'a' && c <= 'z' ? c - 'a' + 26 : c >= '0' && c <= '9' ? c - '0' + 52 : c == '+' ? 62 : 63; }

static size_t decode_base64(const char *text, float *out)
{
    unsigned char bytes[4096];
    size_t n = 0;
    for (size_t i = 0; text[i] && i + 3 < strlen(text) + 1; i += 4) {
        unsigned x = 0;
        for (size_t k = 0; k < 4; k++) x = x << 6 | (unsigned)(text[i + k] == '=' ? 0 : base64_value(text[i + k]));
        for (int k = 0; k < 3 && text[i + 1 + (size_t)k] != '='; k++) bytes[n++] = (unsigned char)(x >> (16 - 8 * k));
    }
    memcpy(out, bytes, n);
    return n / sizeof *out;
}

static void vectors_are_those_of_embed(void)
{
    enum { MOST = 64 };
    lithe_error err = { 0 };
    const char *vocabulary;
    float expected[TEXTS * MOST], found[MOST];
    stand s = stand_encoders(&vocabulary);
    lithe_tokenizer *t = lithe_tokenizer_open(vocabulary, &err);
    lithe_embedding how;
    CHECK(lithe_embedding_read(s.models[0], &how, &err) >= 0);
    how.normalize = 1;
    int width = lithe_embed(s.models[0], t, SAID, TEXTS, &how, expected, NULL, &err);
    json_t *a = posted(&s, "/v1/embeddings", 200, "{\"model\":\"masked\",\"input\":[\"%s\",\"%s\",\"%s\"]}", SAID[0], SAID[1], SAID[2]);
    json_t *b = posted(&s, "/v1/embeddings", 200, "{\"model\":\"masked\",\"input\":\"%s\",\"encoding_format\":\"base64\"}", SAID[1]);
    json_t *c = posted(&s, "/v1/embeddings", 200, "{\"model\":\"masked\",\"input\":\"%s\",\"dimensions\":7}", SAID[1]);
    for (size_t i = 0; i < TEXTS; i++) {
        const json_t *vector = at(json_array_get(at(a, "data"), i), "embedding");
        for (size_t k = 0; k < (size_t)width; k++) found[k] = (float)json_real_value(json_array_get(vector, k));
        CHECK_MSG(json_array_size(vector) == (size_t)width && !memcmp(found, expected + i * (size_t)width, (size_t)width * sizeof *found), "text %zu has another vector", i);
    }
    CHECK(decode_base64(json_string_value(at(json_array_get(at(b, "data"), 0), "embedding")), found) == (size_t)width && !memcmp(found, expected + width, (size_t)width * sizeof *found));
    const json_t *part = at(json_array_get(at(c, "data"), 0), "embedding");
    double square = 0, cosine = 0, whole = 0;
    for (size_t k = 0; k < json_array_size(part); k++) {
        double x = json_real_value(json_array_get(part, k)), y = (double)expected[(size_t)width + k];
        square += x * x, cosine += x * y, whole += y * y;
    }
    CHECK(json_array_size(part) == 7 && fabs(square - 1) < 1e-6 && fabs(cosine / sqrt(whole) - 1) < 1e-6);
    /* The same texts as ids. */
    int32_t ids[64];
    size_t start[TEXTS + 1] = { 0 };
    char lists[500] = "";
    float by_ids[TEXTS * MOST];
    for (size_t i = 0; i < TEXTS; i++) {
        start[i + 1] = start[i] + lithe_encode(t, SAID[i], strlen(SAID[i]), 0, ids + start[i], 64 - start[i]);
        for (size_t k = start[i]; k < start[i + 1]; k++) sprintf(lists + strlen(lists), "%s%d%s", k == start[i] ? "[" : ",", ids[k], k + 1 == start[i + 1] ? i + 1 < TEXTS ? "]," : "]" : "");
    }
    lithe_engine *e = lithe_engine_open(s.models[0], &LITHE_OPTIONS(lithe_engine_options, .whole = 1), &err);
    CHECK(lithe_engine_embed_ids(e, t, ids, start, TEXTS, &how, by_ids, NULL, &err) == width && !memcmp(by_ids, expected, TEXTS * (size_t)width * sizeof *by_ids));
    lithe_engine_close(e);
    json_t *g = posted(&s, "/v1/embeddings", 200, "{\"model\":\"masked\",\"input\":[%s]}", lists), *one = posted(&s, "/v1/embeddings", 200, "{\"model\":\"masked\",\"input\":%.*s}", (int)strcspn(lists, "]") + 1, lists);
    CHECK(json_equal(at(g, "data"), at(a, "data")) && json_equal(at(json_array_get(at(one, "data"), 0), "embedding"), at(json_array_get(at(a, "data"), 0), "embedding")));
    json_decref(posted(&s, "/v1/embeddings", 400, "{\"model\":\"masked\",\"input\":[[]]}"));
    json_decref(g), json_decref(one);
    json_t *d = posted(&s, "/embed", 200, "{\"model\":\"masked\",\"inputs\":[\"%s\"]}", SAID[0]);
    CHECK(json_equal(json_array_get(d, 0), at(json_array_get(at(a, "data"), 0), "embedding")));
    json_decref(posted(&s, "/v1/embeddings", 400, "{\"model\":\"masked\",\"input\":\"a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a\"}"));
    json_decref(posted(&s, "/v1/embeddings", 200, "{\"model\":\"masked\",\"input\":\"a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a\",\"truncate\":true}"));
    json_decref(a), json_decref(b), json_decref(c), json_decref(d);
    lithe_tokenizer_close(t);
    stand_close(&s);
}

/* ---- classes -------------------------------------------------------------------------- */

static double score_named(const json_t *classes, const char *label)
{
    for (size_t i = 0; i < json_array_size(classes); i++)
        if (!strcmp(json_string_value(at(json_array_get(classes, i), "label")), label)) return json_real_value(at(json_array_get(classes, i), "score"));
    return NAN;
}

static bool is_sorted(const json_t *list, const char *key)
{
    for (size_t i = 1; i < json_array_size(list); i++)
        if (json_real_value(at(json_array_get(list, i), key)) > json_real_value(at(json_array_get(list, i - 1), key))) return false;
    return json_array_size(list) > 0;
}

static void classes_are_those_of_classify(void)
{
    static const char *const labels[] = { "calm", "glad", "sad" };
    lithe_error err = { 0 };
    const char *vocabulary, *const pair[] = { SAID[1] };
    float single[3], two[3];
    stand s = stand_encoders(&vocabulary);
    lithe_tokenizer *t = lithe_tokenizer_open(vocabulary, &err);
    CHECK(lithe_classify(s.models[1], t, SAID, NULL, 1, single, NULL, &err) == 3 && lithe_classify(s.models[1], t, SAID, pair, 1, two, NULL, &err) == 3);
    json_t *a = posted(&s, "/predict", 200, "{\"model\":\"mood\",\"inputs\":\"%s\"}", SAID[0]);
    json_t *b = posted(&s, "/predict", 200, "{\"model\":\"mood\",\"inputs\":[\"%s\",\"%s\"]}", SAID[0], SAID[1]);
    json_t *c = posted(&s, "/predict", 200, "{\"model\":\"mood\",\"inputs\":[[\"%s\"],[\"%s\",\"%s\"]]}", SAID[0], SAID[0], SAID[1]);
    CHECK(is_sorted(a, "score") && is_sorted(b, "score") && json_equal(json_array_get(c, 0), a) && json_equal(json_array_get(c, 1), b));
    for (int i = 0; i < 3; i++)
        CHECK_MSG(fabs(score_named(a, labels[i]) - (double)single[i]) < 1e-7 && fabs(score_named(b, labels[i]) - (double)two[i]) < 1e-7, "%s is %g and %g", labels[i], score_named(a, labels[i]), score_named(b, labels[i]));
    json_decref(posted(&s, "/predict", 400, "{\"model\":\"masked\",\"inputs\":\"a\"}"));
    json_decref(posted(&s, "/predict", 400, "{\"model\":\"mood\",\"inputs\":[\"a\",\"b\",\"c\"]}"));
    json_decref(a), json_decref(b), json_decref(c);
    lithe_tokenizer_close(t);
    stand_close(&s);
}

static void texts_are_ranked(void)
{
    lithe_error err = { 0 };
    const char *vocabulary, *const query[] = { "cat", "cat", "cat" };
    float scores[TEXTS];
    stand s = stand_encoders(&vocabulary);
    lithe_tokenizer *t = lithe_tokenizer_open(vocabulary, &err);
    CHECK(lithe_classify(s.models[2], t, query, SAID, TEXTS, scores, NULL, &err) == 1);
    json_t *a = posted(&s, "/rerank", 200, "{\"model\":\"ranker\",\"query\":\"cat\",\"texts\":[\"%s\",\"%s\",\"%s\"],\"raw_scores\":true,\"return_text\":true}", SAID[0], SAID[1], SAID[2]);
    json_t *b = posted(&s, "/v1/rerank", 200, "{\"model\":\"ranker\",\"query\":\"cat\",\"documents\":[\"%s\",\"%s\",\"%s\"],\"top_n\":2}", SAID[0], SAID[1], SAID[2]);
    CHECK(json_array_size(a) == TEXTS && is_sorted(a, "score") && json_array_size(at(b, "results")) == 2 && is_sorted(at(b, "results"), "relevance_score"));
    for (size_t i = 0; i < TEXTS; i++) {
        const json_t *r = json_array_get(a, i);
        size_t index = (size_t)json_integer_value(at(r, "index"));
        CHECK(fabs(json_real_value(at(r, "score")) - (double)scores[index]) < 1e-6 && !strcmp(json_string_value(at(r, "text")), SAID[index]));
    }
    const json_t *best = json_array_get(at(b, "results"), 0);
    CHECK(fabs(json_real_value(at(best, "relevance_score")) - 1 / (1 + exp(-(double)scores[json_integer_value(at(best, "index"))]))) < 1e-6);
    json_decref(posted(&s, "/rerank", 400, "{\"model\":\"mood\",\"query\":\"cat\",\"texts\":[\"a\"]}"));
    json_decref(posted(&s, "/rerank", 400, "{\"model\":\"ranker\",\"texts\":[\"a\"]}"));
    json_decref(a), json_decref(b);
    lithe_tokenizer_close(t);
    stand_close(&s);
}

/* ---- masks ------------------------------------------------------------------------------- */

static void masks_are_filled(void)
{
    static const char text[] = "the [MASK] sat [MASK]";
    lithe_error err = { 0 };
    const char *vocabulary;
    lithe_candidate expected[2 * 4];
    stand s = stand_encoders(&vocabulary);
    lithe_tokenizer *t = lithe_tokenizer_open(vocabulary, &err);
    CHECK_MSG(lithe_fill(s.models[0], t, text, 4, expected, &err) == 2, "%s", err.text);
    json_t *a = posted(&s, "/fill", 200, "{\"model\":\"masked\",\"text\":\"%s\",\"top\":4}", text);
    const json_t *masks = at(json_array_get(at(a, "data"), 0), "masks");
    CHECK(json_array_size(masks) == 2);
    for (size_t k = 0; k < 2; k++)
        for (size_t i = 0; i < 4; i++) {
            const json_t *c = json_array_get(json_array_get(masks, k), i);
            CHECK(json_integer_value(at(c, "id")) == expected[4 * k + i].id && fabs(json_real_value(at(c, "probability")) - (double)expected[4 * k + i].probability) < 1e-7);
        }
    json_decref(posted(&s, "/fill", 400, "{\"model\":\"masked\",\"text\":\"no mask\"}"));
    json_decref(posted(&s, "/v1/completions", 400, "{\"model\":\"masked\",\"prompt\":\"a\"}"));
    json_decref(a);
    lithe_tokenizer_close(t);
    stand_close(&s);
}

/* ---- metrics --------------------------------------------------------------------------------- */

/* Each line is a comment, or a name with labels and a number. */
static void check_page(char *page)
{
    for (char *line = strtok(page, "\n"); line; line = strtok(NULL, "\n")) {
        char *space = strrchr(line, ' '), *end;
        bool comment = !strncmp(line, "# HELP lithe_", 13) || !strncmp(line, "# TYPE lithe_", 13);
        if (comment) continue;
        CHECK_MSG(!strncmp(line, "lithe_", 6) && space, "%s", line);
        if (space) strtod(space + 1, &end);
        CHECK_MSG(space && end > space + 1 && !*end, "%s", line);
    }
}

static void requests_are_counted(void)
{
    stand s = stand_open((const char *const[]){ "gpt2", NULL }, NULL);
    for (int i = 0; i < 3; i++) json_decref(posted(&s, "/v1/completions", 200, "{\"prompt\":\"abcd\",\"max_tokens\":5,\"ignore_eos\":true}"));
    json_decref(posted(&s, "/v1/completions", 400, "{\"prompt\":3}"));
    reply r = http_get(s.port, "/metrics");
    CHECK(r.status == 200 && !strncmp(reply_header(&r, "Content-Type"), "text/plain; version=0.0.4", 25));
    CHECK(metric_in(r.body, "lithe_requests_total{route=\"/v1/completions\",code=\"200\"}") == 3 && metric_in(r.body, "lithe_requests_total{route=\"/v1/completions\",code=\"400\"}") == 1);
    CHECK(metric_in(r.body, "lithe_prompt_tokens_total") == 12 && metric_in(r.body, "lithe_generated_tokens_total") == 15);
    CHECK(metric_in(r.body, "lithe_time_to_first_token_seconds_count") == 3 && metric_in(r.body, "lithe_inter_token_seconds_count") == 12);
    CHECK(metric_in(r.body, "lithe_slots_total") == 8 && metric_in(r.body, "lithe_slots_busy") == 0 && metric_in(r.body, "lithe_queue_depth") == 0);
    CHECK(strstr(r.body, "lithe_model_info{model=\"gpt2\",arch=\"gpt2\",dtype=\"f32\",hash=\""));
    check_page(r.body);
    reply_free(&r);
    stand_close(&s);
}

const test tests_serve_texts[] = {
    { "serve: vectors are those of embed", vectors_are_those_of_embed },
    { "serve: classes are those of classify", classes_are_those_of_classify },
    { "serve: texts are ranked", texts_are_ranked },
    { "serve: masks are filled", masks_are_filled },
    { "serve: requests are counted", requests_are_counted },
    { 0 }
};
