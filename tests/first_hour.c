/* The first hour with the program: what it chooses for a text, the rates of architectures, estimates, help, questions,
 * predictions and scores in tables. */
#include "base/random.h"
#include "data/metrics.h"
#include "train/settings.h"
#include "shell.h"
#include "test.h"
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <unistd.h>

/* ---- what is chosen ----------------------------------------------------------------- */

static void kinds_of_text(void)
{
    lithe_text_choice c;
    const struct { const char *text, *kind; } cases[] = {
        { "It was a bright cold morning, and the road ran straight between the fields (towards the sea).", "words" },
        { "Все счастливые семьи похожи друг на друга, каждая несчастливая семья несчастлива по-своему.", "words" },
        { "話說天下大勢，分久必合，合久必分。", "characters" }, { "吾輩は猫である。名前はまだ無い。", "characters" }, { "모든 국민은 법 앞에 평등하다.", "characters" },
        { "static int f(const char *s)\n{\n    return s[0] == '{' ? g(&s[1]) : 0;\n}\n", "code" }, { "def f(x):\n    return {k: v for k, v in x.items() if k != '_'}\n", "code" }, { "", "words" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        lithe_choose_for_text(NULL, cases[i].text, strlen(cases[i].text), 1e6, 1e11, &c);
        CHECK_MSG(!strcmp(c.kind, cases[i].kind), "%s: %s", cases[i].text, c.kind);
    }
}

/* Whatever the text and the machine, there is a row, and a model of its size. */
static void every_choice_is_a_model(void)
{
    static const char *const texts[] = { "plain words of some text", "話說天下大勢", "f(x) = {1};" };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        for (double bytes = 10; bytes < 1e11; bytes *= 100)
            for (double rate = 1e9; rate < 1e14; rate *= 30) {
                lithe_text_choice c;
                lithe_error e = { 0 };
                lithe_choose_for_text(NULL, texts[i], strlen(texts[i]), bytes, rate, &c);
                char *config = lithe_model_size(c.arch, c.params, c.vocab, c.ctx, &e);
                CHECK_MSG(config && c.batch > 0 && c.passes > 0, "%s, %g bytes, rate %g: %s", c.kind, bytes, rate, e.text);
                free(config);
            }
    lithe_text_choice slow, fast;
    lithe_choose_for_text(NULL, "words", 5, 2e6, 1e10, &slow);
    lithe_choose_for_text(NULL, "words", 5, 2e6, 1e13, &fast);
    CHECK(slow.params < fast.params && slow.vocab == fast.vocab);
}

static void rates_by_width(void)
{
    const recipe *r = recipe_find(arch_find("llama"), false), *vit = recipe_find(arch_find("vit"), false), *bert = recipe_find(arch_find("bert"), false);
    CHECK(r->lr_width && recipe_lr(r, r->lr_width) <= r->lr && recipe_lr(r, r->lr_width) >= r->lr);
    CHECK(fabs(recipe_lr(r, 2 * r->lr_width) - r->lr / 2) < 1e-12);
    CHECK(recipe_lr(r, 8) <= 6e-3 && recipe_lr(r, 1 << 16) >= 3e-4);
    CHECK(!vit->lr_width && !bert->lr_width && recipe_lr(vit, 64) >= vit->lr && recipe_lr(vit, 64) <= vit->lr);
}

static const char make_text[] =
    "i=0; while [ $i -lt 600 ]; do echo \"the $((i % 7)) ships of $((i % 11)) kings sail north, and number $i returns.\"; i=$((i+1)); done > tale.txt";

static double rate_of(const char *run)
{
    CHECK(sh("grep -o '\"lr\": [-0-9.e]*' %s/log.jsonl | head -1 | cut -d' ' -f2", run) == 0);
    return atof(out);
}

/* A trained model changes a tenth as fast, unless it goes on with its moments. */
static void tuning_is_careful(void)
{
    CHECK(sh("%s", make_text) == 0);
    CHECK_MSG(sh("$L train tale.txt --arch llama --params 40k --ctx 32 --batch 2 --steps 2 --threads 1 -q --no-sample --out a && for x in '' '--moments carry' '--lr 1e-4'; do "
                 "$L train tale.txt --from a --steps 2 --batch 2 --threads 1 -q --no-sample --out b\"$(echo $x | tr -d ' -')\" $x || exit 1; done") == 0, "%s", err);
    const double fresh = rate_of("a");
    CHECK_MSG(fabs(rate_of("b") / fresh - 0.1) < 1e-6 && fabs(rate_of("bmomentscarry") / fresh - 1) < 1e-6 && fabs(rate_of("blr1e4") - 1e-4) < 1e-9, "%g %g %g", fresh, rate_of("b"), rate_of("blr1e4"));
}

static void train_alone(void)
{
    CHECK(sh("%s", make_text) == 0);
    TRANSCRIPTS(
        { "LITHE_STEPS=2 $L train tale.txt --threads 1 --params 60k", 0, "runs/tale-1\n", "model      rwkv7, " },
        { "LITHE_STEPS=2 $L train tale.txt --threads 1 --params 60k", 0, "runs/tale-2\n", "byte-level BPE of " },
        { "printf 'abcd efgh\\nijkl mnop\\n' > few.txt; $L train few.txt --threads 1 --params 60k --steps 1 --ctx 4", 0, "runs/few-1\n", "tokenizer  bytes" },
        { "$L train tale.txt --threads 1 --params 60k --ctx 16 --eval-every 50% --save-every 50% --warmup 10% --epochs 0.05 -q --out shares && ls shares | grep -c ckpt", 0, "2\n", "" },
        { "for v in 256 300; do echo \"{\\\"model_type\\\":\\\"gpt2\\\",\\\"vocab_size\\\": $v,\\\"n_positions\\\":16,\\\"n_embd\\\":16,\\\"n_layer\\\":1,\\\"n_head\\\":1}\" > c.json; "
          "$L train tale.txt --config c.json --threads 1 --steps 1 --out c$v 2>&1 | grep ^tokenizer; done", 0, "tokenizer  bytes\ntokenizer  byte-level BPE of 300 tokens", "" },
        { "for m in '\"bert\",\"hidden_size\":16,\"num_hidden_layers\":1,\"num_attention_heads\":1,\"intermediate_size\":16,\"max_position_embeddings\":16' "
          "'\"qwen2\",\"hidden_size\":16,\"num_hidden_layers\":1,\"num_attention_heads\":1,\"num_key_value_heads\":1,\"intermediate_size\":16,\"max_position_embeddings\":16'; do "
          "echo \"{\\\"vocab_size\\\":280,\\\"model_type\\\":$m}\" > c.json; $L train tale.txt --config c.json --threads 1 --steps 1 -q --out $(echo \"$m\" | tr -cd a-z | head -c 4) > out; done; "
          "grep -o '\"type\": \"WordPiece\"' bert/tokenizer.json | head -1; grep -o '\"Isolated\"' qwen/tokenizer.json", 0, "\"type\": \"WordPiece\"\n\"Isolated\"\n", "" },
        { "$L train tale.txt --warmup 200% --steps 2", 2, NULL, "--warmup 200%: a share of the steps is at most 100%" });
}

/* A text that is read several times has a decay of its own, where nobody asked for another or for a length. */
static void decay_suits_the_passes(void)
{
    CHECK(sh("%s; head -c 5000 tale.txt > few.txt && mv few.txt tale.txt", make_text) == 0);
    CHECK_MSG(sh("for x in '' '--steps 1' '--weight-decay 0.2' '--no-weight-decay'; do $L train tale.txt $x --ctx 16 --threads 1 --params 60k --save-every 0 --eval-every 0 --no-sample -q --out run > /dev/null || exit 1; "
                 "grep -ho '\"weight_decay\": *[0-9.]*' run/ckpt-*/trainer.json | tail -1 | cut -c17-19; rm -r run; done") == 0, "%s", err);
    CHECK_MSG(!strcmp(out, "1.0\n0.1\n0.2\n0.0\n"), "%s", out);
    TRANSCRIPTS({ "$L train tale.txt --ctx 16 --threads 1 --params 60k --save-every 0 --eval-every 0 --no-sample", 0, "runs/tale-1\n", "decay      1, for a text that is read several times" });
}

/* ---- help and questions ---------------------------------------------------------------- */

/* Characters of the widest line, as a terminal counts them: help is ASCII. */
static size_t widest_line(void)
{
    size_t widest = 0;
    for (const char *p = out; *p; p += strcspn(p, "\n") + (p[strcspn(p, "\n")] != 0)) if (strcspn(p, "\n") > widest) widest = strcspn(p, "\n");
    return widest;
}

static void help_fits(void)
{
    CHECK(sh("$L --help | sed -n 's/^  \\([a-z][a-z-]*\\)  .*/\\1/p' > verbs; test $(wc -l < verbs) -gt 20") == 0);
    const int widths[] = { 40, 80, 200 };
    for (size_t i = 0; i < sizeof widths / sizeof *widths; i++) {
        CHECK(sh("export COLUMNS=%d; $L --help; while read -r v; do $L $v --help --all; done < verbs", widths[i]) == 0);
        if (widths[i] >= 80) CHECK_MSG(widest_line() <= (size_t)widths[i], "a line of help has %zu columns of %d", widest_line(), widths[i]);
        CHECK_MSG(widths[i] < 200 || widest_line() > 120, "help does not use the width: %zu", widest_line());
    }
    CHECK(sh("unset COLUMNS; $L train --help") == 0 && widest_line() <= 80);
    CHECK(sh("$L train --help | sed -n '/^options that matter first/,/^all others/p' | grep -c '^  *\\(-., \\)\\{0,1\\}--'") == 0);
    CHECK_MSG(atoi(out) == 10, "%s options are first", out);
    /* Of every verb with more than ten options at most ten are explained, and the names of all others follow. */
    CHECK(sh("options() { grep '^  *\\(-., \\)\\{0,1\\}--'; }; export COLUMNS=1000; while read -r v; do all=$($L $v --help --all | sed '/^examples/q' | options | wc -l); test $all -gt 10 || continue; echo $v; "
             "$L $v --help > short; first=$(sed '/^all others/q' short | options | wc -l); others=$(sed -n '/^all others/,/^examples/p' short | grep -o -- ' --[a-z0-9-]*' | wc -l); "
             "test $first -ge 5 -a $first -le 10 -a $((first + others - 2)) -eq $all || echo \"$v: $all options, of which $first and $others are shown\" >&2; "
             "$L $v --help --all | grep -q '^general:' || echo $v has no groups >&2; done < verbs") == 0);
    CHECK_MSG(!*err && strstr(out, "train\n") && strstr(out, "classify\n") && strstr(out, "plan\n"), "%s%s", out, err);
    TRANSCRIPTS(
        { "$L train --help", 0, "all others, explained by lithe train --help --all:\n", "" }, { "$L train --help --all", 0, "--weight-decay X", "" },
        { "$L help train --all", 0, "\noptimizer:\n", "" }, { "$L train -h --all", 0, "\noptimizer:\n", "" }, { "$L train --help | grep -c 'grow-portable'", 0, "1\n", "" }, { "$L tokenize --help", 0, "\noptions:\n", "" });
}

static void questions(void)
{
    CHECK(lithe_grow_method(0) && *lithe_grow_method(0) && !lithe_grow_method(100) && !lithe_grow_method(-1));
    TRANSCRIPTS(
        { "$L train x --arch lama", 2, NULL, "lama is not a known architecture; did you mean llama?" }, { "$L train x --arch rwkv77", 2, NULL, "did you mean rwkv7?" },
        { "$L train x --arch perceptron", 2, NULL, "--arch help lists them" }, { "$L train x --schedule cosin", 2, NULL, "did you mean cosine?" },
        { "$L eval m --task helaswag --data x", 2, NULL, "did you mean hellaswag?" }, { "$L grow m --params 2x --out d --method dupliacte", 2, NULL, "did you mean duplicate?" },
        { "$L train x --grow-at 1:2x --grow-method clon --steps 2", 2, NULL, "did you mean clone?" },
        { "echo some text > story.txt; $L train stroy.txt", 3, NULL, "stroy.txt: cannot open, no such file or directory; did you mean story.txt?" },
        { "$L train story.txt --config ./stroy.txt", 3, NULL, "did you mean ./story.txt?" }, { "mkdir -p runs/tale; $L train --resume runs/tael", 3, NULL, "did you mean runs/tale?" },
        { "$L watch runs/tael", 3, NULL, "is no run: a run is a directory with log.jsonl; did you mean runs/tale?" }, { "$L watch runs/tale", 3, NULL, "log.jsonl" },
        { "$L eval m --task ./stroy.txt", 3, NULL, "did you mean ./story.txt?" }, { "$L quantize m --to q4k --out x.gguf", 2, NULL, "did you mean q4_K?" },
        { "$L sweep story.txt --vary lrr=1,2", 2, NULL, "unknown option --vary lrr; did you mean --lr?" },
        { "$L eval stroy --text story.tx", 3, NULL, "did you mean story.txt?" }, { "$L scor m x", 2, NULL, "did you mean score?" }, { "$L train nothing-like-it", 3, NULL, "no such file or directory\n" });
}

/* ---- long work ---------------------------------------------------------------------------- */

typedef struct { int calls, end_after; double last; char what[80]; } watcher;

static int count_calls(void *context, const char *what, double done, double all)
{
    watcher *w = context;
    CHECK_MSG(done >= 0 && (!(all > 0) || done <= all), "%s: %g of %g", what, done, all);
    snprintf(w->what, sizeof w->what, "%s", what);
    return ++w->calls == w->end_after;
}

static char *words_of(size_t n)
{
    char *text = malloc(n + 12);
    size_t at = 0;
    for (uint64_t i = 0; text && at < n; i++) at += (size_t)snprintf(text + at, 12, "%c%c%llu ", 'a' + (int)(random_u64(1, i) % 26), 'a' + (int)(random_u64(2, i) % 26), (unsigned long long)(random_u64(3, i) % 100));
    return text;
}

/* Learning tells how far it is, and can be ended at any of its reports. */
static void learning_is_watched(void)
{
    const size_t n = 300000;
    char *text = words_of(n);
    watcher w = { 0 };
    lithe_error e = { 0 };
    lithe_on_progress(count_calls, &w);
    lithe_tokenizer *t = lithe_tokenizer_train(text, n, 600, &e);
    CHECK_MSG(t && w.calls > 300, "%d reports: %s", w.calls, e.text);
    lithe_tokenizer_close(t);
    const int all = w.calls;
    for (int i = 1; i < all; i += all / 5) {
        w = (watcher){ .end_after = i };
        e = (lithe_error){ 0 };
        CHECK(!lithe_tokenizer_train(text, n, 600, &e));
        CHECK_MSG(e.status == LITHE_ECANCELLED && strstr(e.text, "interrupted while ") && strstr(e.text, w.what) && w.calls == i, "%s", e.text);
    }
    lithe_on_progress(NULL, NULL);
    free(text);
}

/* Packing a text ends with it, and leaves no file. */
static void packing_is_watched(void)
{
    lithe_error e = { 0 };
    char *text = words_of(3 << 20);
    FILE *f = fopen(in_dir("long.txt"), "w");
    CHECK(f && fwrite(text, 1, 3 << 20, f) == 3 << 20 && !fclose(f));
    free(text);
    lithe_tokenizer *t = lithe_tokenizer_open("bytes", &e);
    const char *path = in_dir("long.txt");
    watcher w = { 0 };
    lithe_on_progress(count_calls, &w);
    lithe_dataset *d = lithe_dataset_open(&path, 1, in_dir("data"), t, NULL, &e);
    CHECK_MSG(d && w.calls >= 3, "%d reports: %s", w.calls, e.text);
    lithe_dataset_close(d);
    const int all = w.calls;
    for (int i = 1; i <= all; i++) {
        w = (watcher){ .end_after = i };
        e = (lithe_error){ 0 };
        CHECK(!lithe_dataset_open(&path, 1, NULL, t, NULL, &e));
        CHECK_MSG(e.status == LITHE_ECANCELLED, "%s", e.text);
    }
    lithe_on_progress(NULL, NULL);
    lithe_tokenizer_close(t);
}

/* ---- models that are written ---- */

typedef int writes(lithe_model *m, const char *path, lithe_error *e);

static int saves(lithe_model *m, const char *path, lithe_error *e) { return lithe_model_save(m, path, NULL, NULL, e); }
static int exports(lithe_model *m, const char *path, lithe_error *e) { return lithe_model_export(m, path, NULL, e); }
static int quantizes(lithe_model *m, const char *path, lithe_error *e)
{
    lithe_model *other = lithe_model_open(in_dir("model"), NULL, e);
    const int status = lithe_model_quantize(other, "q8_0", NULL, NULL, e);
    (void)m, (void)path;
    lithe_model_close(other);
    return status;
}
static int grows(lithe_model *m, const char *path, lithe_error *e)
{
    lithe_growth report = { 0 };
    const int32_t ids[] = { 1, 2, 3 };
    lithe_model *large = lithe_model_grow(m, &LITHE_OPTIONS(lithe_grow_options, .factor = 2), &report, e);
    const int status = large ? lithe_compare(m, large, ids, 3, &report, e) : (int)e->status;
    (void)path;
    lithe_model_close(large);
    return status;
}
static int scores(lithe_model *m, const char *path, lithe_error *e)
{
    static const int32_t ids[300];
    (void)path;
    return lithe_score(m, ids, 300, 4, 0, NULL, NULL, e);
}

/* Whoever watches it may end the writing, and other long work on models, at any report; then nothing is there. */
static void writing_is_watched(void)
{
    static const struct { const char *path, *what; writes *call; } cases[] = {
        { "saved", "writing the weights", saves }, { "saved", "converting the weights", saves }, { "x.safetensors", "writing the weights", exports }, { "x.pth", "writing the weights", exports },
        { "x.gguf", "writing the weights", exports }, { "x.bin", "writing the weights", exports }, { "-", "quantizing the matrices", quantizes },
        { "-", "checking the weights", quantizes }, { "-", "growing the weights", grows }, { "-", "comparing the models", grows }, { "-", "scoring the text", scores },
    };
    lithe_error e = { 0 };
    lithe_model *m = lithe_model_new("rwkv4", "{\"vocab_size\":64,\"context_length\":32,\"hidden_size\":32,\"num_hidden_layers\":2}", 3, &e);
    CHECK_MSG(m && !lithe_model_save(m, in_dir("model"), NULL, NULL, &e), "%s", e.text);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bool seen = false;
        for (int at = 1, status = 1; status; at++) {
            watcher w = { .end_after = at };
            e = (lithe_error){ 0 };
            lithe_on_progress(count_calls, &w);
            status = cases[i].call(m, in_dir(cases[i].path), &e);
            lithe_on_progress(NULL, NULL);
            seen |= status && !strcmp(w.what, cases[i].what);
            CHECK_MSG(!status || (e.status == LITHE_ECANCELLED && strstr(e.text, "interrupted while ") && w.calls == at), "%s: %s", cases[i].path, e.text);
            CHECK_MSG(!status || access(in_dir(cases[i].path), F_OK), "%s is there", cases[i].path);
            if (at > 1000) break;
        }
        CHECK_MSG(seen, "%s is not said of %s", cases[i].what, cases[i].path);
        CHECK_MSG(sh("rm -rf saved x.*; ls -A | grep -vxE 'out|err'") == 0 && !strcmp(out, "model\n"), "%s", out);
    }
    lithe_model_close(m);
}

/* ---- classes -------------------------------------------------------------------------------- */

/* Against numbers of scikit-learn's precision_recall_fscore_support. */
static void scores_of_classes(void)
{
    const size_t matrix[] = { 5, 1, 0, 2, 3, 1, 0, 0, 4 }, empty[] = { 0, 3, 0, 0 };
    const lithe_class_score expected[] = { { 5.0 / 7, 5.0 / 6, 10.0 / 13, 6 }, { 0.75, 0.5, 0.6, 6 }, { 0.8, 1, 8.0 / 9, 4 } };
    for (int i = 0; i < 3; i++) {
        const lithe_class_score s = lithe_score_class(matrix, 3, i);
        CHECK_MSG(fabs(s.precision - expected[i].precision) < 1e-12 && fabs(s.recall - expected[i].recall) < 1e-12 && fabs(s.f1 - expected[i].f1) < 1e-12 && s.examples == expected[i].examples,
                  "class %d: %g %g %g %zu", i, s.precision, s.recall, s.f1, s.examples);
    }
    const lithe_class_score none = lithe_score_class(empty, 2, 1);
    CHECK(!(none.precision > 0) && !(none.recall > 0) && !(none.f1 > 0) && !none.examples);
}

static const char make_table[] =
    "{ printf 'id,review,mood\\n'; for i in $(seq 40); do printf '%s,\"good, and fine %s\",up\\n%s,bad and \"\"poor %s,down\\n' $i $i $i $i; done; } > t.csv; "
    "{ printf 'review\\n'; for i in $(seq 9); do printf 'good, and fine %s\\n' $i; done; } > plain.tsv";

/* The matrix counts what --table predicts, and the scores are those of an awk that knows nothing of them. */
static void tables_of_classes(void)
{
    CHECK(sh("%s", make_table) == 0);
    CHECK_MSG(sh("$L train t.csv --task classify --text-column review --label-column mood --params 30k --tokenizer bytes --ctx 32 --steps 6 --lr 1e-3 --threads 1 -q --out m") == 0, "%s", err);
    TRANSCRIPTS(
        { "$L classify m --table t.csv --text-column review --label-column mood --out p.tsv; head -1 p.tsv", 0, "text\tlabel\tpredicted\tprobability\tp(down)\tp(up)\n", "columns: " },
        { "wc -l < p.tsv", 0, "81\n", "" }, { "$L classify m --table plain.tsv | head -2", 0, "text\tpredicted\tprobability\tp(down)\tp(up)\ngood, and fine 1\t", "columns: " },
        { "(ulimit -f 0; $L classify m --table t.csv --text-column review --label-column mood --out full.csv 2>&1; echo code $?) | cat", 0, "full.csv: cannot write, files may not be that large here (ulimit -f)\ncode 4", "" },
        { "$L classify m --table t.csv --text-column review --label-column mood --out p.csv; sed -n 2p p.csv", 0, "\"good, and fine 1\",up,", "columns: " },
        { "awk -F'\\t' 'NR > 1 && ($5 + $6 < 0.999 || $5 + $6 > 1.001 || ($3 == \"up\") != ($6 > $5)) { bad = 1 } END { exit bad }' p.tsv", 0, "", "" },
        { "$L classify m --table t.csv --text-column review --label-column mood | cut -f3 > one; for i in 1 2 3; do $L classify m \"$(sed -n \"$((i + 1))p\" p.tsv | cut -f1)\" | cut -f1; done > each; sed -n 2,4p one | cmp - each", 0, "", "columns: " },
        { "$L classify m plain.tsv --out a.tsv && $L classify m --table plain.tsv | cmp - a.tsv", 0, "", "columns: " }, { "$L classify m plain.tsv t.csv", 2, NULL, "one at a time" },
        { "$L classify m absent.tsv", 0, "\t0.", "" }, { "$L classify m x --table t.csv", 2, NULL, "leave out 'x'" }, { "$L classify m --table t.csv --json", 2, NULL, "leave out --text" }, { "$L classify m x --out y", 2, NULL, "there is no file x" }, { "$L classify m planes.tsv --out y", 2, NULL, "no file planes.tsv; did you mean plain.tsv?" }, { "$L classify m p.tsv x --out y", 2, NULL, "one at a time" },
        { "$L classify m .", 2, NULL, "--table FILE" }, { "$L classify m x --label-column y", 2, NULL, "--label-column is for --table" }, { "$L classify m --table nothing.csv", 3, NULL, "nothing.csv" },
        { "$L eval m --task t.csv --text-column review --label-column mood | sed -n '/^class.*precision/,$p'", 0, "predicted as\n", "columns: " });
    CHECK(sh("awk -F'\\t' 'NR > 1 { n[$2 $3]++ } END { tp = n[\"upup\"]; pr = tp + n[\"downup\"]; la = tp + n[\"updown\"]; printf \"%%.6f %%.6f %%.6f %%d\", pr ? tp / pr : 0, la ? tp / la : 0, pr + la ? 2 * tp / (pr + la) : 0, la }' p.tsv") == 0);
    double precision = 0, recall = 0, f1 = 0;
    int examples = 0;
    CHECK(sscanf(out, "%lf %lf %lf %d", &precision, &recall, &f1, &examples) == 4);
    CHECK(sh("$L eval m --task t.csv --text-column review --label-column mood --json") == 0);
    json_t *json = json_loads(out, 0, NULL), *up = json_array_get(json_object_get(json, "classes"), 1);
    CHECK_MSG(json_is_object(up) && !strcmp(json_string_value(json_object_get(up, "label")), "up"), "%s", out);
    CHECK_MSG(fabs(json_number_value(json_object_get(up, "precision")) - precision) < 1e-6 && fabs(json_number_value(json_object_get(up, "recall")) - recall) < 1e-6 &&
              fabs(json_number_value(json_object_get(up, "f1")) - f1) < 1e-6 && json_integer_value(json_object_get(up, "examples")) == examples, "%s", out);
    CHECK(json_array_size(json_object_get(json, "confusion")) == 2 && json_array_size(json_array_get(json_object_get(json, "confusion"), 0)) == 2);
    json_decref(json);
}

/* The library's side of them. */
static void tables_of_a_program(void)
{
    lithe_error e = { 0 };
    CHECK(sh("%s", make_table) == 0);
    CHECK_MSG(sh("$L train t.csv --task classify --text-column review --label-column mood --params 30k --tokenizer bytes --ctx 32 --steps 2 --threads 1 -q --out m") == 0, "%s", err);
    const lithe_data_options columns = { .size = sizeof columns, .text_column = "review", .label_column = "mood" };
    lithe_table *rows = lithe_table_open(in_dir("t.csv"), &columns, &e);
    const lithe_table_row first = lithe_table_row_at(rows, 0), past = lithe_table_row_at(rows, 80);
    CHECK_MSG(lithe_table_count(rows) == 80 && first.text && !strcmp(first.text, "good, and fine 1") && !strcmp(first.label, "up") && !first.pair && !past.text, "%s", e.text);
    CHECK(strstr(lithe_table_columns(rows), "review"));
    lithe_table_close(rows);
    lithe_model *m = lithe_model_open(in_dir("m"), NULL, &e);
    lithe_tokenizer *t = lithe_tokenizer_open(lithe_model_tokenizer(m), &e);
    lithe_evaluation v, w;
    size_t matrix[4] = { 7, 7, 7, 7 };
    CHECK_MSG(!lithe_evaluate_classes(m, t, in_dir("t.csv"), &columns, &v, matrix, &e) && !lithe_evaluate(m, t, in_dir("t.csv"), &columns, &w, &e), "%s", e.text);
    CHECK(matrix[0] + matrix[1] == 40 && matrix[2] + matrix[3] == 40 && fabs((double)(matrix[0] + matrix[3]) / 80 - v.metrics.accuracy) < 1e-12);
    CHECK(!(v.loss < w.loss) && !(v.loss > w.loss) && v.examples == w.examples);
    CHECK(!lithe_table_open(in_dir("absent.csv"), NULL, &e) && e.status == LITHE_EIO);
    lithe_tokenizer_close(t);
    lithe_model_close(m);
}

static void folders_of_images(void)
{
    CHECK(sh("mkdir -p d/one d/two in/side; for i in 1 2 3 4 5 6 7 8; do cp $ROOT/tests/golden/images/grey.png d/one/$i.png; cp $ROOT/tests/golden/images/rgb.png d/two/$i.png; done; "
             "cp d/one/1.png in/b.png; cp d/two/1.png in/side/a.PNG; echo text > in/notes.txt") == 0);
    CHECK_MSG(sh("$L train d --params 60k --steps 4 --batch 4 --threads 1 -q --out m") == 0, "%s", err);
    TRANSCRIPTS(
        { "$L classify m in | cut -f1", 0, "file\nin/b.png\nin/side/a.PNG\n", "" }, { "$L classify m in d/one/1.png --out x.csv && head -1 x.csv && wc -l < x.csv", 0, "file,predicted,probability,p(one),p(two)\n4\n", "" },
        { "$L classify m in | sed -n 2p | cut -f2 > a; $L classify m in/b.png | cut -f1 | cmp - a", 0, "", "" }, { "mkdir none; $L classify m none", 3, NULL, "none: no .png, .jpg or .jpeg files" },
        { "(cd d && find . -name '*.png' | sort -r) > rev && tar cf d.tar -C d -T rev && sed 's,^[.]/,d/,' rev > d.txt && sed 's,^d/\\([a-z]*\\)/.*,&\t\\1,' d.txt > d.lst && tail -1 d.lst", 0, "d/one/1.png\tone\n", "" },
        { "for i in d.tar d.txt d.lst; do $L train $i --params 60k --steps 4 --batch 4 --threads 1 -q --out m-$i > /dev/null && cmp m/model.safetensors m-$i/model.safetensors || echo $i differs; done", 0, "", "" },
        { "$L eval m --task d > a && for i in d.tar d.txt d.lst; do $L eval m --task $i > b && cmp a b; done", 0, "", "" },
        { "$L classify m d | cut -f2- > a && wc -l < a && for i in d.tar d.txt d.lst; do $L classify m $i | cut -f2- > b && cmp a b; done; $L classify m d.txt | sed -n 2p | cut -f1", 0, "17\nd/one/1.png\n", "" },
        { "printf 'd/one/1.png\\n\\nd/one/99.png\\n' > broken.lst; $L eval m --task broken.lst", 3, NULL, "broken.lst: line 3: there is no file" },
        { "printf 'in/b.png\\n' > flat.txt; $L classify m flat.txt | wc -l", 0, "2\n", "" },
        { "$L eval m --task d | grep -c 'precision  recall'", 0, "1\n", "" }, { "$L classify m --table x.csv", 2, NULL, "reads images" });
}

/* ---- likelihoods ------------------------------------------------------------------------------ */

/* log softmax in double of the logits that a session gives, token by token. */
static lithe_likelihood by_session(lithe_model *m, const int32_t *ids, size_t first, size_t n, lithe_error *e)
{
    lithe_likelihood x = { 0, n - first, 1 };
    lithe_session *s = lithe_session_open(m, 0, e);
    for (size_t i = 0; i < n && s; i++) {
        const float *z = i ? lithe_session_logits(s) : NULL;
        if (i >= first && z) {
            double sum = 0;
            int best = 0, vocab = lithe_model_vocab(m);
            for (int k = 0; k < vocab; k++) { sum += exp((double)z[k]); if (z[k] > z[best]) best = k; }
            x.loglikelihood += (double)z[ids[i]] - log(sum);
            x.greedy &= best == ids[i];
        }
        CHECK(!lithe_session_push(s, ids[i], e));
    }
    lithe_session_close(s);
    return x;
}

static void likelihoods(void)
{
    lithe_error e = { 0 };
    lithe_tokenizer *t = lithe_tokenizer_open("bytes", &e);
    lithe_model *m = lithe_model_new("llama", "{\"vocab_size\":256,\"max_position_embeddings\":40,\"hidden_size\":16,\"num_hidden_layers\":2,\"num_attention_heads\":2,\"intermediate_size\":24,\"initializer_range\":0.4}", 3, &e);
    const char *contexts[] = { "It is ", NULL, "", "It is" }, *texts[] = { "so", "It is so", "xy", " so" }, *whole[] = { "It is so", "It is so", "xy", "It is so" };
    /* The blank at a context's end is the text's; a text alone has its first byte as context. */
    const size_t first[] = { 5, 1, 1, 5 };
    lithe_likelihood x[4];
    size_t cut = 9;
    CHECK_MSG(!lithe_likelihoods(m, t, contexts, texts, 4, x, &cut, &e) && !cut, "%s", e.text);
    for (int i = 0; i < 4; i++) {
        int32_t ids[32];
        const size_t n = lithe_encode(t, whole[i], strlen(whole[i]), 0, ids, 32);
        const lithe_likelihood y = by_session(m, ids, first[i], n, &e);
        CHECK_MSG(fabs(x[i].loglikelihood - y.loglikelihood) < 1e-4 && x[i].tokens == y.tokens && x[i].greedy == y.greedy, "%d: %.6f, %.6f; %zu, %zu tokens", i, x[i].loglikelihood, y.loglikelihood, x[i].tokens, y.tokens);
    }
    const char *long_text = "a text that is longer than all of the context that the model has";
    CHECK(!lithe_likelihoods(m, t, NULL, &long_text, 1, x, NULL, &e) && x[0].greedy == -1 && x[0].tokens == strlen(long_text) - 1);
    lithe_model_save(m, in_dir("model"), NULL, t, &e);
    CHECK_MSG(!e.status, "%s", e.text);
    lithe_model_close(m);
    lithe_tokenizer_close(t);
    TRANSCRIPTS(
        { "$L score model --tokenizer bytes --context 'It is ' so xy | cut -f2,3", 0, "3\tno\n3\tno\n", "" },
        { "printf 'It is \\tso\\nIt is so\\n' | $L score model --tokenizer bytes --text - | cut -f1 > a; printf '{\"context\":\"It is \",\"text\":\"so\"}\\n{\"context\":\"\",\"text\":\"It is so\"}\\n' > p.jsonl; "
          "$L score model --tokenizer bytes --text p.jsonl | cut -f1 | cmp - a", 0, "", "" },
        { "printf '{\"q\":\"It is \",\"a\":\"so\"}\\n' > q.jsonl; $L score model --tokenizer bytes --text q.jsonl --context-column q --text-column a | cut -f1 > b; head -1 a | cmp - b", 0, "", "" },
        { "$L score model --tokenizer bytes --context 'It is ' so --json", 0, "\"tokens\":3,\"bytes\":2,\"greedy\":false}", "" }, { "$L score model", 2, NULL, "score what?" },
        { "$L score model --tokenizer bytes x --text y", 2, NULL, "leave out 'x'" });
}

/* ---- generating -------------------------------------------------------------------------------- */

static void length_fits(void)
{
    CHECK(sh("%s", make_text) == 0);
    CHECK_MSG(sh("$L train tale.txt --arch gpt2 --params 40k --tokenizer bytes --ctx 32 --batch 2 --steps 2 --threads 1 -q --no-sample --out m") == 0, "%s", err);
    TRANSCRIPTS(
        { "$L generate m 'a king' --json | grep -o '\"reason\":\"[a-z]*\",\"tokens\":[0-9]*'", 0, "\"reason\":\"length\",\"tokens\":26\n", "" }, { "$L generate m 'a king' > text", 0, "", "" },
        { "$L generate m 'a king' --max-tokens 100 > text", 0, "", "the context of 32 tokens is full" });
}

/* Where a terminal would obey them, and nowhere else. */
static void control_characters(void)
{
    CHECK(sh("%s", make_text) == 0);
    CHECK_MSG(sh("$L train tale.txt --arch gpt2 --params 40k --tokenizer bytes --ctx 32 --batch 2 --steps 1 --threads 1 -q --no-sample --out m") == 0, "%s", err);
    CHECK(sh("printf 'a\\033[31m\\007\\302\\233b\\n' > prompt; printf '$L generate m - --max-tokens 1 -q < prompt\\n' > go; TERM=xterm LC_ALL=C.UTF-8 script -qec 'sh go' /dev/null") == 0);
    CHECK_MSG(strstr(out, "a?[31m??b"), "%s", out);
    CHECK(sh("echo \"echo '97 27 91 109' | $L detokenize bytes\" > un; TERM=xterm LC_ALL=C.UTF-8 script -qec 'sh un' /dev/null") == 0);
    CHECK_MSG(strstr(out, "a?[m"), "%s", out);
    CHECK(sh("sh go") == 0);
    CHECK_MSG(strstr(out, "a\033[31m\007\302\233b"), "%s", out);
}

const test tests_first_hour[] = {
    { "first hour: kinds of text", kinds_of_text },
    { "first hour: every choice is a model", every_choice_is_a_model },
    { "first hour: learning rates by width", rates_by_width },
    { "first hour: tuning is careful", tuning_is_careful },
    { "first hour: lithe train and a text", train_alone },
    { "first hour: decay of texts that are read often", decay_suits_the_passes },
    { "first hour: help fits", help_fits },
    { "first hour: questions", questions },
    { "first hour: learning a vocabulary is watched", learning_is_watched },
    { "first hour: packing is watched", packing_is_watched },
    { "first hour: writing is watched", writing_is_watched },
    { "first hour: scores of classes", scores_of_classes },
    { "first hour: tables of classes", tables_of_classes },
    { "first hour: tables of a program", tables_of_a_program },
    { "first hour: folders of images", folders_of_images },
    { "first hour: likelihoods", likelihoods },
    { "first hour: the length of a text fits", length_fits },
    { "first hour: control characters of a text", control_characters },
    { 0 },
};
