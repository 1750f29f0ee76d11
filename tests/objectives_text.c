/* Objectives over sentences: where they end, blocks of whole ones, and pairs of
 * which the second follows the first or does not. */
#include "base/random.h"
#include "base/writer.h"
#include "test.h"
#include "data/text_data.h"
#include "train/trainer.h"
#include <math.h>
#include <stdlib.h>

static const char *const words[] = { "the", "cat", "sat", "dog", "ran", ".", "!", "?", "\"", ")", "3", "14", "j", "##s", "far", "on" };
enum { WORDS = sizeof words / sizeof *words, FIRST = 5, CLS = 2, SEP = 3, MASK = 4 };

static lithe_tokenizer *tokenizer(lithe_error *err)
{
    const char *path = in_dir("vocab.txt");
    FILE *f = fopen(path, "w");
    fputs("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n", f);
    for (int i = 0; i < WORDS; i++) fprintf(f, "%s\n", words[i]);
    fclose(f);
    return lithe_tokenizer_open(path, err);
}

typedef struct { lithe_tokenizer *tokens; lithe_dataset *data; objective o; lithe_error err; } fixture;

static lithe_dataset *dataset(const char *const *documents, int n, const lithe_tokenizer *t, lithe_error *err)
{
    const char *path = in_dir("text.jsonl");
    FILE *f = fopen(path, "w");
    for (int i = 0; i < n; i++) {
        fputs("{\"text\": \"", f);
        for (const char *p = documents[i]; *p; p++) fprintf(f, "%s%c", *p == '"' ? "\\" : "", *p);
        fputs("\"}\n", f);
    }
    fclose(f);
    return lithe_dataset_open(&path, 1, NULL, t, &LITHE_OPTIONS(lithe_data_options, .valid = path), err);
}

/* Documents of sentences of 2 to 9 words, each of words that tell the document. */
enum { DOCUMENTS = 40 };
static lithe_dataset *stories(const lithe_tokenizer *t, lithe_error *err)
{
    static char text[DOCUMENTS][4096];
    const char *documents[DOCUMENTS];
    for (uint64_t k = 0; k < DOCUMENTS; k++) {
        size_t n = 0;
        uint64_t count = 1 + random_u64(3, k) % 12;
        for (uint64_t s = 0; s < count; s++) {
            for (uint64_t w = 0; w < 2 + random_u64(4, 50 * k + s) % 8; w++) n += (size_t)sprintf(text[k] + n, "%s ", words[random_u64(5, 1000 * k + 20 * s + w) % 5]);
            n += (size_t)sprintf(text[k] + n, ". ");
        }
        documents[k] = text[k];
    }
    return dataset(documents, DOCUMENTS, t, err);
}

static fixture begin(const objective_kind *kind, int ctx)
{
    fixture f = { 0 };
    const objective_settings s = { .mask = { MASK_EACH, 0.15, 0.1, 0.1, false }, .valid_rate = 0.15 };
    f.tokens = tokenizer(&f.err);
    f.data = stories(f.tokens, &f.err);
    CHECK_MSG(!objective_open(&f.o, kind, f.data, f.tokens, &s, ctx, 7, &f.err), "%s", f.err.text);
    return f;
}

static void end(fixture *f)
{
    objective_close(&f->o);
    lithe_dataset_close(f->data);
    lithe_tokenizer_close(f->tokens);
}

/* ---- sentences ------------------------------------------------------------------------ */

/* The sentences of a document with '|' between them. */
static void check_sentences(const char *text, const char *expected, int most)
{
    lithe_error err = { 0 };
    lithe_tokenizer *t = tokenizer(&err);
    const char *documents[2] = { text, "the cat" };
    lithe_dataset *d = dataset(documents, 2, t, &err);
    sentences s;
    char got[1024] = "";
    CHECK_MSG(d && !sentences_find(&s, &text_of(d)->train, t, most, &err), "%s", err.text);
    if (err.status) return;
    CHECK(s.documents == 2 && s.count == s.before[2] && s.before[2] == s.before[1] + 1);
    for (uint64_t i = 0; i < s.before[1]; i++) {
        int32_t ids[64];
        size_t n = (size_t)(s.end[i] - s.first[i]), used = strlen(got);
        CHECK(n <= (size_t)most && n <= 64);
        shard_ids(&text_of(d)->train, s.first[i], n, ids);
        for (size_t k = 0; k < n; k++) used += (size_t)sprintf(got + used, "%s%s", k ? " " : i ? "|" : "", ids[k] < FIRST ? "[]" : words[ids[k] - FIRST]);
    }
    CHECK_MSG(!strcmp(got, expected), "%s", got);
    sentences_free(&s);
    lithe_dataset_close(d);
    lithe_tokenizer_close(t);
}

static void where_sentences_end(void)
{
    check_sentences("the cat sat. the dog ran! the cat", "the cat sat .|the dog ran !|the cat", 40);
    check_sentences("\"the cat sat.\" the dog (ran?) the cat.", "\" the cat sat . \"|the dog [] ran ? )|the cat .", 40);
    check_sentences("the 3.14 dogs ran... far. j. cat sat.", "the 3 . 14 dog ##s ran . . .|far .|j . cat sat .", 40);
    check_sentences("the cat sat on the dog", "the cat sat on|the dog", 4);
    check_sentences("!", "!", 4);
}

/* ---- blocks ----------------------------------------------------------------------------- */

/* Blocks hold all sentences in order, as many as fit, with a separator where a document ends. */
static void blocks_of_sentences(void)
{
    enum { CTX = 24 };
    fixture f = begin(&predict_sentences, CTX);
    const sentences *s = &f.o.sentences;
    batch_builder x;
    CHECK(!batch_open(&x, f.o.most, &f.err));
    CHECK(f.o.pieces[0] == 0 && f.o.pieces[f.o.samples] == s->count && f.o.samples > 20);
    uint64_t document = 0;
    for (uint64_t b = 0; b < f.o.samples; b++) {
        int expected[CTX * 2], n = 1;
        expected[0] = CLS;
        for (uint64_t i = f.o.pieces[b]; i < f.o.pieces[b + 1]; i++) {
            uint64_t own = document;
            while (s->before[own + 1] <= i) own++;
            if (own != document && i > f.o.pieces[b]) expected[n++] = SEP;
            document = own;
            shard_ids(&text_of(f.data)->train, s->first[i], (size_t)(s->end[i] - s->first[i]), expected + n);
            n += (int)(s->end[i] - s->first[i]);
        }
        expected[n++] = SEP;
        CHECK(n <= CTX);
        uint64_t next = f.o.pieces[b + 1];
        if (next < s->count) CHECK(n + (int)(s->end[next] - s->first[next]) + (s->before[document + 1] <= next) > CTX);
        batch_begin(&x);
        objective_valid(&f.o, &x, b);                           /* the validation split is the same text */
        for (int k = 0; k < x.selected; k++) x.ids[x.select[k]] = x.target[k];
        CHECK(x.rows == n && !memcmp(x.ids, expected, (size_t)n * sizeof *expected) && x.seqs == 1);
    }
    batch_close(&x);
    end(&f);
}

/* ---- pairs -------------------------------------------------------------------------------- */

static uint64_t document_at(const sentences *s, uint64_t i)
{
    uint64_t k = 0;
    while (s->before[k + 1] <= i) k++;
    return k;
}

static void pairs_follow_or_not(void)
{
    enum { CTX = 32 };
    fixture f = begin(&predict_pairs, CTX);
    const sentences *s = &f.o.sentences;
    double random = 0, open = 0, same = 0;
    for (uint64_t i = 0; i < f.o.samples; i++) {
        const objective_pair *p = &f.o.pairs[i];
        uint64_t a = document_at(s, p->a_first), b = document_at(s, p->b_first);
        CHECK(p->a_first < p->a_end && p->b_first < p->b_end && document_at(s, p->a_end - 1) == a && document_at(s, p->b_end - 1) == b);
        CHECK(p->random || (p->b_first == p->a_end && a == b));
        same += p->random && a == b;
        if (p->a_end < s->before[a + 1]) { open++; random += p->random; }           /* B could have followed */
    }
    CHECK(same / (double)f.o.samples < 0.01);
    /* half of them, where a second sentence was taken; and where the target was reached by one, all */
    CHECK_MSG(random / open > 0.45 && random / open < 0.7, "%.3f of %.0f", random / open, open);
    batch_builder x;
    CHECK(!batch_open(&x, f.o.most, &f.err));
    int longest = 0;
    for (uint64_t i = 0; i < f.o.samples; i++) {
        batch_begin(&x);
        objective_train(&f.o, &x, 1, i);
        int seps = 0, first = 0;
        for (int k = 0; k < x.selected; k++) x.ids[x.select[k]] = x.target[k];
        for (int r = 0; r < x.rows; r++) {
            CHECK(x.type[r] == (seps > 0));
            if (x.ids[r] == SEP && !seps++) first = r;
        }
        CHECK(x.seqs == 1 && x.labels == 1 && (x.label[0] == 0 || x.label[0] == 1) && x.rows <= CTX);
        CHECK(x.ids[0] == CLS && seps == 2 && first > 1 && first < x.rows - 2 && x.ids[x.rows - 1] == SEP);
        if (x.rows > longest) longest = x.rows;
    }
    CHECK(longest == CTX);
    batch_close(&x);
    end(&f);
}

/* ---- a run ----------------------------------------------------------------------------------- */

static const char tiny[] = "{\"architectures\": [\"BertForPreTraining\"], \"hidden_size\": 32, \"num_hidden_layers\": 2, \"num_attention_heads\": 4, \"intermediate_size\": 64, "
                           "\"max_position_embeddings\": 40, \"vocab_size\": 64, \"hidden_dropout_prob\": 0, \"attention_probs_dropout_prob\": 0, \"initializer_range\": 0.1}";

static lithe_event run(const char *name, const lithe_dataset *d, const lithe_tokenizer *t, const lithe_train_options *o, int stop)
{
    lithe_error err = { 0 };
    lithe_event e = { 0 }, last = { 0 };
    lithe_model *m = lithe_model_new("bert", tiny, 1, &err);
    lithe_trainer *trainer = lithe_trainer_open(m, (lithe_dataset *)(uintptr_t)d, t, o, in_dir(name), &err);
    CHECK_MSG(trainer, "%s", err.text);
    while ((!stop || e.step < stop) && lithe_trainer_next(trainer, &e, &err) > 0) if (e.kind == LITHE_EVALUATED) last = e;
    lithe_trainer_close(trainer);
    if (stop && (trainer = lithe_trainer_resume(in_dir(name), NULL, &err)) != NULL) {
        while (lithe_trainer_next(trainer, &e, &err) > 0) if (e.kind == LITHE_EVALUATED) last = e;
        lithe_trainer_close(trainer);
    }
    CHECK_MSG(!err.status, "%s", err.text);
    lithe_model_close(m);
    return last;
}

/* A few pairs are learned by heart, masked tokens beside them; and stopping does not show. */
static void pairs_are_learned(void)
{
    static const char *const few[] = { "the cat sat . the cat ran . the cat far .", "the dog ran ! the dog on . dog dog .", "far far on ? on on far . 3 14 far .", "j sat on . ran j ran . j j !" };
    lithe_error err = { 0 };
    lithe_tokenizer *t = tokenizer(&err);
    lithe_dataset *d = dataset(few, 4, t, &err);
    lithe_event e = run("learned", d, t, &LITHE_OPTIONS(lithe_train_options, .ctx = 24, .batch = 16, .steps = 250, .lr = 5e-3, .warmup = 10, .eval_every = 250, .save_every = 250, .seed = 2), 0);
    CHECK_MSG(e.metrics.next_accuracy > 0.85 && e.metrics.accuracy > 0.3, "next %.3f, masked %.3f", e.metrics.next_accuracy, e.metrics.accuracy);
    const lithe_train_options o = { .size = sizeof o, .ctx = 24, .batch = 6, .accumulate = 2, .steps = 10, .lr = 5e-3, .save_every = 4, .seed = 2 };
    run("whole", d, t, &o, 0);
    run("part", d, t, &o, 6);
    mapping x, y;
    CHECK(!file_map(&x, in_dir("whole/model.safetensors"), &err) && !file_map(&y, in_dir("part/model.safetensors"), &err) && x.size == y.size && !memcmp(x.data, y.data, x.size));
    lithe_dataset_close(d);
    lithe_tokenizer_close(t);
}

/* ---- tokenizers that are not the data's ---------------------------------------------------------- */

/* A header that says another vocabulary than the tokenizer whose identity it carries. */
static void say_vocabulary(const char *path, uint32_t vocab)
{
    lithe_error err = { 0 };
    size_t size;
    char *bytes = file_read(path, 1 << 20, &size, &err);
    CHECK_MSG(bytes, "%s", err.text);
    if (!bytes) return;
    store_bytes((uint8_t *)bytes + 40, 4, vocab);
    store_bytes((uint8_t *)bytes + 120, 8, hash_bytes(bytes, 120, 0));
    CHECK(!file_write(path, bytes, size, &err));
    free(bytes);
}

/* Masks look ids up in the tokenizer: one that did not make the shards is refused before it is asked. */
static void foreign_tokenizers(void)
{
    const objective_settings s = { .mask = { MASK_EACH, 0.15, 0.1, 0.1, false }, .valid_rate = 0.15 };
    const objective_kind *const kinds[] = { &predict_masked, &predict_sentences, &predict_pairs };
    static const char few[] = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nthe\n";
    const char *path = in_dir("small.txt"), *text = in_dir("text.jsonl"), *dir = in_dir("set");
    lithe_error err = { 0 };
    objective o;
    lithe_tokenizer *t = tokenizer(&err);
    lithe_dataset *d = stories(t, &err);
    CHECK(!file_write(path, few, strlen(few), &err));
    lithe_tokenizer *small = lithe_tokenizer_open(path, &err);
    CHECK_MSG(small && d, "%s", err.text);
    for (int i = 0; i < 3; i++) {
        lithe_error e = { 0 };
        CHECK(objective_open(&o, kinds[i], d, small, &s, 16, 7, &e) == LITHE_EMISMATCH && strstr(e.text, "made with another tokenizer, of 21 tokens; this one has 6"));
    }
    lithe_dataset_close(d);
    lithe_dataset_close(lithe_dataset_open(&text, 1, dir, t, &LITHE_OPTIONS(lithe_data_options, .valid = text), &err));
    say_vocabulary(in_dir("set/train.shard"), 22);
    say_vocabulary(in_dir("set/valid.shard"), 22);
    CHECK_MSG(!err.status, "%s", err.text);
    CHECK(!dataset_reopen(dir, t, NO_SOURCES, &err) && err.status == LITHE_EMISMATCH);
    lithe_tokenizer_close(small);
    lithe_tokenizer_close(t);
}

const test tests_objectives_text[] = {
    { "objectives: where sentences end", where_sentences_end },
    { "objectives: blocks of whole sentences", blocks_of_sentences },
    { "objectives: pairs follow or do not", pairs_follow_or_not },
    { "objectives: pairs are learned", pairs_are_learned },
    { "objectives: a tokenizer that is not the data's is refused", foreign_tokenizers },
    { 0 }
};
