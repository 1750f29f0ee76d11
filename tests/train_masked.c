/* Encoders in training: masked tokens are learned, runs are the same runs, the
 * head that looks at masked places only is the head that looks at all of them. */
#include "arch/arch.h"
#include "lithe_eval.h"
#include "base/writer.h"
#include "base/random.h"
#include "data/text_data.h"
#include "infer/sequences.h"
#include "test.h"
#include "train_runs.h"
#include <math.h>
#include <stdlib.h>

static const char tiny_bert[] = "{\"hidden_size\": 32, \"num_hidden_layers\": 2, \"num_attention_heads\": 2, \"intermediate_size\": 64, \"max_position_embeddings\": 40, "
                           "\"vocab_size\": 64, \"hidden_dropout_prob\": 0.1, \"attention_probs_dropout_prob\": 0, \"initializer_range\": 0.05}";

#define SHARP "{\"hidden_size\": 32, \"num_hidden_layers\": 2, \"num_attention_heads\": 4, \"intermediate_size\": 64, \"max_position_embeddings\": 40, " \
              "\"vocab_size\": 64, \"initializer_range\": 0.1"
static const char sharp[] = SHARP ", \"hidden_dropout_prob\": 0, \"attention_probs_dropout_prob\": 0}", sharp_modernbert[] = SHARP "}";

static const char *const words[] = { "the", "cat", "sat", "on", "mat", "dog", "ran", "far", "away", "##s", "##ly", "." };
enum { WORDS = sizeof words / sizeof *words };

static const char *vocabulary_file(void)
{
    const char *path = in_dir("vocab.txt");
    FILE *f = fopen(path, "w");
    fputs("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n", f);
    for (int i = 0; i < WORDS; i++) fprintf(f, "%s\n", words[i]);
    fclose(f);
    return path;
}

/* Documents of two sentences that repeat, of different lengths. */
static const char *documents_file(void)
{
    const char *path = in_dir("text.jsonl");
    FILE *f = fopen(path, "w");
    for (uint64_t i = 0; i < 200; i++) {
        fputs("{\"text\": \"", f);
        for (uint64_t k = 0; k < 1 + random_u64(8, i) % 12; k++) fputs(random_u64(9, 20 * i + k) % 2 ? "the cats sat on the mat . " : "the dog ran far away . ", f);
        fputs("\"}\n", f);
    }
    fclose(f);
    return path;
}

static fixture begin_encoder(const char *arch_name, const char *config, const char *run, const lithe_train_options *o)
{
    fixture f = { 0 };
    const char *path = documents_file();
    f.tokens = lithe_tokenizer_open(vocabulary_file(), &f.err);
    f.data = lithe_dataset_open(&path, 1, NULL, f.tokens, NULL, &f.err);
    f.model = lithe_model_new(arch_name, config, 1, &f.err);
    f.trainer = lithe_trainer_open(f.model, f.data, f.tokens, o, in_dir(run), &f.err);
    CHECK_MSG(!f.err.status, "%s", f.err.text);
    return f;
}

static fixture begin_bert(const char *run, const lithe_train_options *o) { return begin_encoder("bert", tiny_bert, run, o); }

/* ---- pieces -------------------------------------------------------------------------------- */

static void fill_batch(lithe_trainer *t, batch_builder *s, uint64_t first, int n)
{
    batch_begin(s);
    for (int i = 0; i < n; i++) objective_train(&t->objective, s, 1, first + (uint64_t)i);
}

/* Each piece stands in an epoch once, between [CLS] and [SEP], within one document; masks differ from epoch to
 * epoch. */
static void pieces(void)
{
    fixture f = begin_bert("run", &LITHE_OPTIONS(lithe_train_options, .ctx = 16, .batch = 4, .steps = 1, .seed = 3));
    objective *o = &f.trainer->objective;
    batch_builder s, again;
    CHECK(o->most.rows == 16 && o->most.seqs == 1 && !batch_open(&s, o->most, &f.err) && !batch_open(&again, o->most, &f.err));
    uint64_t tokens = 0, different = 0, whole = 0, n = o->samples;
    for (uint64_t i = 0; i < n; i++) {
        fill_batch(f.trainer, &s, i, 1);
        CHECK(s.seqs == 1 && s.rows <= 16 && s.rows > 2 && s.ids[0] == 2 && s.ids[s.rows - 1] == 3 && s.start[1] == s.rows);
        CHECK(s.selected == mask_most(&o->settings.mask, s.rows) && s.targets == s.selected);
        tokens += (uint64_t)s.rows - 2;
        whole += s.rows == 16;
        fill_batch(f.trainer, &again, i, 1);
        CHECK(again.rows == s.rows && !memcmp(again.ids, s.ids, (size_t)s.rows * sizeof *s.ids) && !memcmp(again.select, s.select, (size_t)s.selected * sizeof *s.select));
        for (int k = 0; k < s.selected; k++) s.ids[s.select[k]] = s.target[k];
        for (int r = 1; r < s.rows - 1; r++) CHECK(s.ids[r] > 4);
    }
    uint64_t inside = text_of(f.data)->train.header.tokens - 2 * text_of(f.data)->train.header.documents;
    CHECK_MSG(tokens == inside, "%llu of %llu tokens", (unsigned long long)tokens, (unsigned long long)inside);
    CHECK(whole > n / 4 && whole < n);
    /* the same piece in the next epoch: found by what it holds */
    fill_batch(f.trainer, &s, 0, 1);
    for (uint64_t epoch = 1; epoch < 6; epoch++) {
        fill_batch(f.trainer, &again, epoch * n, 1);
        different += again.rows != s.rows || memcmp(again.ids, s.ids, (size_t)s.rows * sizeof *s.ids);
    }
    CHECK(different > 0);
    batch_close(&s);
    batch_close(&again);
    close_fixture(&f);
}

/* With static masks each piece is masked alike in every epoch. */
static void static_masks(void)
{
    fixture f = begin_bert("run", &LITHE_OPTIONS(lithe_train_options, .ctx = 16, .batch = 4, .steps = 1, .seed = 3, .static_masking = 1));
    objective *o = &f.trainer->objective;
    batch_builder s;
    uint64_t sums[2] = { 0 };
    CHECK(!batch_open(&s, o->most, &f.err));
    for (uint64_t epoch = 0; epoch < 2; epoch++)
        for (uint64_t i = 0; i < o->samples; i++) {
            fill_batch(f.trainer, &s, epoch * o->samples + i, 1);
            uint64_t h = hash_bytes(s.ids, (size_t)s.rows * sizeof *s.ids, 1);
            sums[epoch] += key_of(h, hash_bytes(s.select, (size_t)s.selected * sizeof *s.select, 2)); /* in any order */
        }
    CHECK(sums[0] == sums[1]);
    batch_close(&s);
    close_fixture(&f);
}

/* ---- the head -------------------------------------------------------------------------------- */

typedef struct { double loss; float *grad; } outcome;

static outcome run_graph(lithe_model *m, const batch_builder *s, bool selects, lithe_error *err)
{
    graph_options o = { .mode = GRAPH_TRAIN, .capacity = { [ROWS_TOKENS] = s->rows, [ROWS_SEQS] = s->seqs, [ROWS_SELECTED] = selects ? s->rows : 0 } };
    graph *g = graph_new(kernels_default(), m->params, &o);
    results r = arch_build(m->arch, m->config, &m->task, g, WANT_LOSS);
    int *target = calloc((size_t)s->rows, sizeof *target);
    float *weight = calloc((size_t)s->rows, sizeof *weight);
    outcome out = { 0, calloc(m->params->arena_count, sizeof(float)) };
    for (int k = 0; k < s->selected; k++) {
        target[selects ? k : s->select[k]] = s->target[k];
        weight[selects ? k : s->select[k]] = 1;
    }
    CHECK_MSG(!graph_plan(g, err), "%s", err->text);
    graph_run(g, &(batch){ .rows = s->rows, .seqs = s->seqs, .selected = selects ? s->selected : 0, .ids = s->ids, .pos = s->pos, .type = s->type, .start = s->start,
                           .select = selects ? s->select : NULL, .target = target, .weight = weight, .row_key = s->row_key, .scale = 1 / (float)(s->selected + !s->selected) });
    for (int i = 0; i < (selects ? s->selected : s->rows); i++) out.loss += (double)r.loss->data[i];
    memcpy(out.grad, m->params->grad, m->params->arena_count * sizeof(float));
    graph_close(g);
    free(target);
    free(weight);
    return out;
}

static void masked_head_is_the_full_head(void)
{
    fixture f = begin_bert("run", &LITHE_OPTIONS(lithe_train_options, .ctx = 24, .batch = 8, .steps = 1, .seed = 3));
    objective *o = &f.trainer->objective;
    batch_builder s;
    CHECK(!batch_open(&s, (batch_capacity){ .rows = 8 * 24, .seqs = 8, .selected = 8 * o->most.selected }, &f.err));
    fill_batch(f.trainer, &s, 0, 8);
    outcome few = run_graph(f.model, &s, true, &f.err), all = run_graph(f.model, &s, false, &f.err);
    CHECK_MSG(s.selected > 8 && fabs(few.loss - all.loss) <= 1e-6 * all.loss, "%.9g, %.9g", few.loss, all.loss);
    double norm = 0;
    for (size_t i = 0; i < f.model->params->arena_count; i++) norm += pow((double)all.grad[i], 2);
    for (int i = 0; i < f.model->params->count; i++) {
        const param *p = f.model->params->items[i];
        size_t at = p->offset;
        double difference = 0, own = 0;
        for (size_t j = at; j < at + p->count; j++) { difference += pow((double)few.grad[j] - (double)all.grad[j], 2); own += pow((double)all.grad[j], 2); }
        double scale = fmax(sqrt(own), 1e-3 * sqrt(norm));
        CHECK_MSG(sqrt(difference) <= 1e-6 * scale, "%s: %.3g", p->name, sqrt(difference) / scale);
    }
    s.selected = 0;                                             /* nothing to predict: no loss, no gradient, no NaN */
    outcome none = run_graph(f.model, &s, true, &f.err);
    CHECK(none.loss == 0);
    for (size_t i = 0; i < f.model->params->arena_count; i++) CHECK(none.grad[i] == 0);
    free(few.grad);
    free(all.grad);
    free(none.grad);
    batch_close(&s);
    close_fixture(&f);
}

/* ---- runs -------------------------------------------------------------------------------------- */

static void masked_tokens_are_learned(void)
{
    static const char *const archs[] = { "bert", "mosaicbert", "modernbert" };
    for (int i = 0; i < 3; i++) {
        fixture f = begin_encoder(archs[i], i < 2 ? sharp : sharp_modernbert, archs[i], &LITHE_OPTIONS(lithe_train_options,
 .ctx = 32, .batch = 16, .steps = 300, .lr = 6e-3, .warmup = 10, .eval_every = 300,
                                                                                 .save_every = 300, .seed = 3, .mask_rate = 0.15));
        lithe_event e = run_evaluated(f.trainer, &f.err);
        CHECK_MSG(e.metrics.accuracy > 0.65, "%s: accuracy %.3f, loss %.3f", archs[i], e.metrics.accuracy, e.valid_loss);
        CHECK(isnan(e.bits_per_byte) && isnan(e.metrics.f1));
        lithe_candidate c[2];
        CHECK(lithe_fill(f.model, f.tokens, "the cats sat on the [MASK] . the dog ran far away .", 2, c, &f.err) == 1);
        CHECK_MSG(!f.err.status && c[0].id == 5 + 4 && c[0].probability > 0.5f, "%s: %d with %.3f", archs[i], c[0].id, (double)c[0].probability);
        close_fixture(&f);
    }
}

/* Scores of a text are those of whole passes over its pieces, worked out here. */
static void scores_are_true(void)
{
    enum { CTX = 11, TOKENS = 61, ROOM = CTX - 2 };
    const mask_settings how = { .kind = MASK_EACH, .rate = 0.4, .keep = 0.1, .random = 0.1 };
    fixture f = begin_bert("run", &LITHE_OPTIONS(lithe_train_options, .ctx = 24, .batch = 8, .steps = 20, .lr = 3e-3, .seed = 3));
    lithe_evaluation got, again, other;
    mask_vocab v;
    int32_t ids[TOKENS], piece[CTX], target[CTX];
    int places[CTX], scratch[2 * CTX];
    float logits[CTX * 64];
    double right = 0, loss = 0, n = 0;
    run_evaluated(f.trainer, &f.err);
    CHECK(!mask_vocab_open(&v, f.tokens, &f.err));
    for (int i = 0; i < TOKENS; i++) ids[i] = 5 + (int32_t)(random_u64(4, (uint64_t)i) % WORDS);
    for (int first = 0, i = 0; first < TOKENS; first += ROOM, i++) {
        int inside = TOKENS - first < ROOM ? TOKENS - first : ROOM;
        piece[0] = 2;                                                       /* [CLS] ... [SEP] */
        memcpy(piece + 1, ids + first, (size_t)inside * sizeof *ids);
        piece[1 + inside] = 3;
        int masked = mask_tokens(&how, &v, key_of(key_of_name(9, "mask at evaluations"), (uint64_t)i), inside + 2, piece, places, target, scratch);
        CHECK(!lithe_logits(f.model, piece, (size_t)inside + 2, logits, &f.err));
        for (int k = 0; k < masked; k++, n++) {
            const float *z = logits + 64 * places[k];
            double sum = 0;
            int best = 0;
            for (int c = 0; c < 64; c++) { sum += exp((double)z[c]); if (z[c] > z[best]) best = c; }
            right += best == target[k];
            loss += log(sum) - (double)z[target[k]];
        }
    }
    CHECK_MSG(!lithe_score_masked(f.model, f.tokens, ids, TOKENS, CTX, 0.4, 9, &got, &f.err), "%s", f.err.text);
    CHECK_MSG(n > 10 && (double)got.examples == n && fabs(got.metrics.accuracy - right / n) < 1e-12 && fabs(got.loss - loss / n) < 1e-5 * loss / n,
              "%g %g of %zu, expected %g %g of %g", got.metrics.accuracy, got.loss, got.examples, right / n, loss / n, n);
    CHECK(!lithe_score_masked(f.model, f.tokens, ids, TOKENS, CTX, 0.4, 9, &again, &f.err) && again.loss == got.loss);
    CHECK(!lithe_score_masked(f.model, f.tokens, ids, TOKENS, CTX, 0.4, 10, &other, &f.err) && other.loss != got.loss);
    CHECK(lithe_score_masked(f.model, f.tokens, ids, TOKENS, 2, 0.4, 9, &other, &f.err) == LITHE_EINVAL && strstr(f.err.text, "leaves no room"));
    f.err = (lithe_error){ 0 };
    CHECK(lithe_score_masked(f.model, f.tokens, ids, TOKENS, 0, 1e-9, 9, &other, &f.err) == LITHE_EFORMAT && strstr(f.err.text, "not one of 61"));
    mask_vocab_close(&v);
    f.err = (lithe_error){ 0 };
    close_fixture(&f);
}

/* The figures of an evaluation are those of whole passes over its pieces, worked out here. */
static void figures_are_true(void)
{
    fixture f = begin_bert("run", &LITHE_OPTIONS(lithe_train_options, .ctx = 24, .batch = 8, .steps = 20, .lr = 3e-3, .eval_windows = 10, .seed = 3));
    lithe_event e = run_evaluated(f.trainer, &f.err);
    objective *o = &f.trainer->objective;
    batch_builder s;
    float logits[24 * 64];
    double right = 0, loss = 0, n = 0;
    uint64_t pieces_held = o->valid_samples, taken = pieces_held < 10 ? pieces_held : 10;
    CHECK(!batch_open(&s, o->most, &f.err));
    for (uint64_t i = 0; i < taken; i++) {
        batch_begin(&s);
        objective_valid(o, &s, i * (pieces_held / taken) + i * (pieces_held % taken) / taken);
        CHECK(!lithe_logits(f.model, s.ids, (size_t)s.rows, logits, &f.err));
        for (int k = 0; k < s.selected; k++) {
            const float *z = logits + 64 * s.select[k];
            double sum = 0;
            int best = 0;
            for (int c = 0; c < 64; c++) { sum += exp((double)z[c]); if (z[c] > z[best]) best = c; }
            right += best == s.target[k];
            loss += log(sum) - (double)z[s.target[k]];
            n++;
        }
    }
    CHECK_MSG(n > 10 && fabs(e.metrics.accuracy - right / n) < 1e-12 && fabs(e.valid_loss - loss / n) < 1e-5 * loss / n, "%g %g, expected %g %g", e.metrics.accuracy,
              e.valid_loss, right / n, loss / n);
    batch_close(&s);
    close_fixture(&f);
}

static void threads_and_resume(void)
{
    lithe_train_options o = { .size = sizeof o, .ctx = 24, .batch = 6, .steps = 12, .save_every = 4, .lr = 3e-3, .seed = 5, .mask = "words" };
    lithe_threads(1);
    fixture a = begin_bert("a", &o);
    double one = run_evaluated(a.trainer, &a.err).valid_loss;
    close_fixture(&a);
    lithe_threads(3);
    fixture b = begin_bert("b", &o);
    lithe_event e = { 0 };
    while (e.step < 6 && lithe_trainer_next(b.trainer, &e, &b.err) > 0) { }
    close_fixture(&b);
    lithe_error err = { 0 };
    lithe_trainer *t = lithe_trainer_resume(in_dir("b"), NULL, &err);
    CHECK_MSG(t, "%s", err.text);
    if (t) run_evaluated(t, &err);
    lithe_trainer_close(t);
    CHECK(same_file(in_dir("a"), in_dir("b"), "model.safetensors"));
    o.accumulate = 4;                                               /* parts hold different numbers of targets */
    fixture c = begin_bert("c", &o);
    double parts = run_evaluated(c.trainer, &c.err).valid_loss;
    close_fixture(&c);
    CHECK_MSG(fabs(one - parts) < 1e-4 * one, "%.7f in one part, %.7f in four", one, parts);
}

static void refusals(void)
{
    fixture f = begin_bert("run", &LITHE_OPTIONS(lithe_train_options, .steps = 1));
    lithe_error err = { 0 };
    CHECK(!lithe_trainer_open(f.model, f.data, NULL, NULL, in_dir("x"), &err) && strstr(err.text, "without a tokenizer"));
    const lithe_train_options bad[] = { { .mask = "all" }, { .mask_rate = 1.5 }, { .mask_keep = 0.7, .mask_random = 0.7 }, { .optimizer = "sgd" }, { .steps = 1, .epochs = 1 } };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        err = (lithe_error){ 0 };
        CHECK(!lithe_trainer_open(f.model, f.data, f.tokens, &bad[i], in_dir("x"), &err) && err.status == LITHE_EINVAL);
    }
    err = (lithe_error){ 0 };
    CHECK(lithe_fill(f.model, f.tokens, "no mask here", 1, NULL, &err) == 0 && !err.status);
    CHECK(lithe_classify(f.model, f.tokens, (const char *const[]){ "x" }, NULL, 1, NULL, NULL, &err) == LITHE_ECONFIG);
    close_fixture(&f);
}

/* ---- vectors ------------------------------------------------------------------------------------ */

/* A text's vector is the mean, first or last of its rows, whatever stands beside it. */
static void vectors(void)
{
    static const char *const texts[] = { "the cat sat .", "the dog ran far away on the mat .", "far" };
    fixture f = begin_bert("run", &LITHE_OPTIONS(lithe_train_options, .steps = 1));
    float three[3][32], one[32], unit[3][32], first[3][32];
    size_t cut = 9;
    CHECK(lithe_embed(f.model, f.tokens, texts, 3, NULL, three[0], &cut, &f.err) == 32 && cut == 0);
    CHECK(lithe_embed(f.model, f.tokens, texts, 3, &LITHE_OPTIONS(lithe_embedding, .pooling = "mean", .normalize = 1), unit[0], NULL, &f.err) == 32);
    CHECK(lithe_embed(f.model, f.tokens, texts, 3, &LITHE_OPTIONS(lithe_embedding, .pooling = "cls", .max_length = 4), first[0], &cut, &f.err) == 32 && cut == 2);
    for (int i = 0; i < 3; i++) {
        double square = 0, dot = 0, length = 0;
        CHECK(lithe_embed(f.model, f.tokens, &texts[i], 1, NULL, one, NULL, &f.err) == 32 && !memcmp(one, three[i], sizeof one));
        for (int c = 0; c < 32; c++) {
            square += pow((double)unit[i][c], 2);
            dot += (double)unit[i][c] * (double)one[c];
            length += pow((double)one[c], 2);
        }
        CHECK(fabs(square - 1) < 1e-6 && fabs(dot - sqrt(length)) < 1e-5 * sqrt(length));
    }
    CHECK_MSG(!f.err.status, "%s", f.err.text);
    CHECK(lithe_embed(f.model, f.tokens, texts, 3, &LITHE_OPTIONS(lithe_embedding, .pooling = "median"), three[0], NULL, &f.err) < 0 && strstr(f.err.text, "median"));
    close_fixture(&f);
}

static void put(const char *dir, const char *name, const char *text)
{
    lithe_error err = { 0 };
    char *path = path_join(dir, name);
    CHECK(!file_write(path, text, strlen(text), &err));
    free(path);
}

/* A text that is read with the model's settings has the vector of the text that they make of it. */
static void prompt_and_case(lithe_model *m, lithe_tokenizer *t)
{
    lithe_error err = { 0 };
    const char *plain[] = { "The Dog" }, *written[] = { "query: the dog" };
    float a[32], b[32];
    CHECK(lithe_embed(m, t, plain, 1, NULL, a, NULL, &err) == 32);
    CHECK(lithe_embed(m, t, written, 1, &LITHE_OPTIONS(lithe_embedding, .pooling = "last", .normalize = 1, .max_length = 9), b, NULL, &err) == 32);
    CHECK(!memcmp(a, b, sizeof a));
}

static void settings_refused(lithe_model *m, const char *dir, const char *pooling_dir)
{
    static const struct { const char *pooling, *why; } bad[] = {
        { "{\"pooling_mode\": \"median\"}", "\"median\"" }, { "{\"pooling_mode\": [\"cls\", \"middle\"]}", "\"middle\"" },
        { "{\"pooling_mode\": 3}", "pooling_mode" }, { "{\"pooling_mode\": \"cls\", \"temperature\": 0.5}", "\"temperature\": 0.5" }, { "[]", "object" },
        { "{\"pooling_mode\": \"cls\", \"include_prompt\": false}", "include_prompt" },
    };
    lithe_embedding how;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        lithe_error err = { 0 };
        put(pooling_dir, "config.json", bad[i].pooling);
        CHECK_MSG(lithe_embedding_read(m, &how, &err) < 0 && strstr(err.text, bad[i].why), "%s: %s", bad[i].pooling, err.text);
    }
    lithe_error err = { 0 };
    put(pooling_dir, "config.json", "{\"pooling_mode\": [\"mean\"]}");
    CHECK(!lithe_embedding_read(m, &how, &err) && !strcmp(how.pooling, "mean"));
    put(pooling_dir, "config.json", "{\"pooling_mode\": [\"weightedmean\", \"lasttoken\", \"max\"], \"pooling_mode_cls_token\": true}");
    CHECK(!lithe_embedding_read(m, &how, &err) && !strcmp(how.pooling, "weightedmean,last,max"));
    put(pooling_dir, "config.json", "{\"pooling_mode_lasttoken\": true, \"pooling_mode_max_tokens\": true, \"pooling_mode_mean_sqrt_len_tokens\": true}");
    CHECK(!lithe_embedding_read(m, &how, &err) && !strcmp(how.pooling, "max,mean_sqrt_len_tokens,last"));
    put(dir, "config_sentence_transformers.json", "{\"prompts\": {}, \"default_prompt_name\": \"query\"}");
    CHECK(lithe_embedding_read(m, &how, &err) == LITHE_ECONFIG && strstr(err.text, "query"));
}

/* In a causal model the rows are the last ones of the text's beginnings; pooled here by the formulas of
 * sentence-transformers. */
static void every_pooling(void)
{
    enum { W = 32, N = 11 };
    static const char text[] = "hello there", *const names[] = { "cls", "max", "mean", "mean_sqrt_len_tokens", "weightedmean", "last" };
    lithe_error err = { 0 };
    lithe_model *m = lithe_model_new("gpt2", "{\"n_layer\":1,\"n_embd\":32,\"n_head\":2,\"n_positions\":16,\"vocab_size\":256,\"initializer_range\":0.3}", 3, &err);
    lithe_tokenizer *t = lithe_tokenizer_open("bytes", &err);
    float rows[N][W], y[W], all[6 * W];
    const char *whole = text;
    for (int r = 0; r < N; r++) {
        char beginning[N + 1];
        const char *one = beginning;
        snprintf(beginning, sizeof beginning, "%.*s", r + 1, text);
        CHECK_MSG(lithe_embed(m, t, &one, 1, &LITHE_OPTIONS(lithe_embedding, .pooling = "last"), rows[r], NULL, &err) == W, "%s", err.text);
    }
    CHECK(lithe_embed(m, t, &whole, 1, &LITHE_OPTIONS(lithe_embedding, .pooling = "cls,max,mean,mean_sqrt_len_tokens,weightedmean,last"), all, NULL, &err) == 6 * W);
    for (int i = 0; i < 6; i++) {
        lithe_embedding how = LITHE_OPTIONS(lithe_embedding);
        strcpy(how.pooling, names[i]);
        CHECK(lithe_embed(m, t, &whole, 1, &how, y, NULL, &err) == W && !memcmp(y, all + i * W, sizeof y));
        for (int c = 0; c < W; c++) {
            double sum = 0, weighted = 0, most = (double)rows[0][c];
            for (int r = 0; r < N; r++) sum += (double)rows[r][c], weighted += (r + 1) * (double)rows[r][c], most = fmax(most, (double)rows[r][c]);
            const double right[] = { (double)rows[0][c], most, sum / N, sum / sqrt(N), weighted / (N * (N + 1) / 2), (double)rows[N - 1][c] };
            CHECK_MSG(fabs((double)y[c] - right[i]) < 1e-5, "%s: %g, expected %g", names[i], (double)y[c], right[i]);
        }
    }
    CHECK(lithe_embed(m, t, &whole, 1, &LITHE_OPTIONS(lithe_embedding, .pooling = "cls,cls,cls,cls,cls,cls,cls"), all, NULL, &err) < 0);
    lithe_tokenizer_close(t);
    lithe_model_close(m);
}

/* What sentence-transformers wrote beside a model is followed, or refused by name. */
static void modules(void)
{
    fixture f = begin_bert("run", &LITHE_OPTIONS(lithe_train_options, .steps = 1));
    const char *dir = in_dir("model"), *pooling_dir = in_dir("model/1_Pooling");
    CHECK(!lithe_model_save(f.model, dir, NULL, f.tokens, &f.err) && !dir_make(pooling_dir, &f.err));
    lithe_embedding how;
    lithe_model *m = lithe_model_open(dir, NULL, &f.err);
    CHECK(!lithe_embedding_read(m, &how, &f.err) && !strcmp(how.pooling, "mean") && !how.normalize && how.max_length == lithe_model_context(m));
    put(dir, "modules.json", "[{\"idx\":0,\"path\":\"\",\"type\":\"sentence_transformers.models.Transformer\"},{\"idx\":1,\"path\":\"1_Pooling\","
                             "\"type\":\"sentence_transformers.models.Pooling\"},{\"idx\":2,\"path\":\"2_Normalize\",\"type\":\"sentence_transformers.models.Normalize\"}]");
    put(pooling_dir, "config.json", "{\"word_embedding_dimension\": 32, \"pooling_mode_cls_token\": true, \"pooling_mode_mean_tokens\": false}");
    put(dir, "sentence_bert_config.json", "{\"max_seq_length\": 20, \"do_lower_case\": false}");
    CHECK(!lithe_embedding_read(m, &how, &f.err) && !strcmp(how.pooling, "cls") && how.normalize && how.max_length == 20);
    put(pooling_dir, "config.json", "{\"embedding_dimension\": 32, \"pooling_mode\": \"lasttoken\", \"include_prompt\": true}");
    put(dir, "tokenizer_config.json", "{\"model_max_length\": 9}");
    CHECK(!lithe_embedding_read(m, &how, &f.err) && !strcmp(how.pooling, "last") && how.max_length == 20);
    put(dir, "sentence_bert_config.json", "{\"transformer_task\": \"feature-extraction\", \"do_lower_case\": true}");
    put(dir, "config_sentence_transformers.json", "{\"prompts\": {\"query\": \"query: \"}, \"default_prompt_name\": \"query\", \"similarity_fn_name\": \"cosine\"}");
    CHECK(!lithe_embedding_read(m, &how, &f.err) && how.max_length == 9 && how.lowercase && !strcmp(how.prompt, "query: "));
    prompt_and_case(m, f.tokens);
    lithe_error err = { 0 };
    settings_refused(m, dir, pooling_dir);
    put(dir, "config_sentence_transformers.json", "{\"requirements\": {\"sentence-transformers\": \">=5\"}}");
    const char *scaling = in_dir("model/2_Normalize");
    CHECK(!dir_make(scaling, &err));
    put(scaling, "config.json", "{\"module_input_name\": \"sentence_embedding\", \"module_output_name\": \"sentence_embedding\"}");
    CHECK_MSG(!lithe_embedding_read(m, &how, &err) && how.normalize, "%s", err.text);
    put(scaling, "config.json", "{\"module_input_name\": \"token_embeddings\"}");
    CHECK(lithe_embedding_read(m, &how, &err) == LITHE_ECONFIG && strstr(err.text, "2_Normalize") && strstr(err.text, "\"module_input_name\": \"token_embeddings\""));
    put(scaling, "config.json", "{}");
    err = (lithe_error){ 0 };
    CHECK(!remove(in_dir("model/sentence_bert_config.json")));
    put(dir, "sentence_xlm-roberta_config.json", "{\"max_seq_length\": 7, \"do_lower_case\": true}");
    CHECK_MSG(!lithe_embedding_read(m, &how, &err) && how.max_length == 7 && how.lowercase, "%s", err.text);
    put(dir, "sentence_bert_config.json", "{\"max_seq_length\": 20, \"processing_kwargs\": {\"text\": {\"max_length\": 3}}}");
    CHECK(lithe_embedding_read(m, &how, &err) == LITHE_ECONFIG && strstr(err.text, "\"processing_kwargs\""));
    err = (lithe_error){ 0 };
    put(dir, "sentence_bert_config.json", "{}");
    put(dir, "modules.json", "[{\"path\":\"../x\",\"type\":\"a.Pooling\"}]");
    err = (lithe_error){ 0 };
    CHECK(lithe_embedding_read(m, &how, &err) == LITHE_ECONFIG);
    put(dir, "modules.json", "[{\"path\":\"\",\"type\":\"a.Transformer\",\"kwargs\":[\"task\"]}]");
    err = (lithe_error){ 0 };
    CHECK(lithe_embedding_read(m, &how, &err) == LITHE_ECONFIG && strstr(err.text, "\"kwargs\": [\"task\"]"));
    put(dir, "modules.json", "[{\"path\":\"2_Dense\",\"type\":\"sentence_transformers.models.Dense\"}]");
    err = (lithe_error){ 0 };
    CHECK(lithe_embedding_read(m, &how, &err) == LITHE_ECONFIG && strstr(err.text, "Dense"));
    lithe_model_close(m);
    close_fixture(&f);
}

const test tests_train_masked[] = {
    { "masked: pieces of documents", pieces },
    { "masked: static masks", static_masks },
    { "masked: the head of masked places is the full head", masked_head_is_the_full_head },
    { "masked: tokens are learned", masked_tokens_are_learned },
    { "masked: figures are true", figures_are_true },
    { "masked: scores of a text are those of whole passes", scores_are_true },
    { "masked: threads, resuming and parts do not show", threads_and_resume },
    { "masked: refusals", refusals },
    { "masked: vectors of texts", vectors },
    { "masked: the files of sentence-transformers", modules },
    { "masked: every pooling", every_pooling },
    { 0 }
};
