/* lithe grow: makes a larger model that starts from what a smaller one has learned,
 * and measures the largest difference of logits between the two on a text.
 * If a method promises the same outputs and does not keep the promise, nothing is
 * written and the exit code is 6. */
#include "inputs.h"
#include "interrupt.h"
#include "output.h"
#include "suggest.h"
#include "quantity.h"
#include "verbs.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    common common;
    amount params;
    const char *set, *to, *vocabulary, *method, *text, *out, *tokenizer, *config, *dtype, *where;
    int portable, freeze_old, rewarm, json;
    double noise, old_lr;
    uint64_t seed;
} grow_settings;

/* "NAME into OTHER" for each architecture that extends another. */
static void extensions(const char *option_name, char *text, size_t size)
{
    size_t n = 0;
    (void)option_name;
    *text = 0;
    for (int i = 0; lithe_arch_name(i) && n < size; i++) {
        const char *name = lithe_arch_name(i), *over = lithe_arch_over(name);
        if (over) n += (size_t)snprintf(text + n, size - n, "%s%s into %s", n ? ", " : "", over, name);
    }
}

static const option grow_options[] = {
    { "params", 0, AMOUNT(grow_settings, params), "N|2x", .help = "number of parameters of the grown model, or a multiple of the present number", .choices = "x",
      .also = "size,parameters", .group = "what grows", .first = 1 },
    { "set", 0, TEXT(grow_settings, set), "KEY=VALUE,...", .help = "new values of keys of config.json, or multiples of the present ones (2x), instead of --params", .first = 1 },
    { "to", 0, TEXT(grow_settings, to), "ARCH", .help = "turn the model into an architecture that extends its own, or one that combines the parts of others, instead of --params; --set then says what is added", .note = extensions, .named = lithe_arch_name,
      .also = "arch,architecture", .first = 1 },
    { "vocabulary", 0, FILENAME(grow_settings, vocabulary), "TOKENIZER", .help = "give the model the vocabulary of a tokenizer that extends its own, instead of --params",
      .also = "vocab,extend" },
    { "out", 'o', FILENAME(grow_settings, out), "DIR", .help = "directory of the grown model, which must not exist or be empty", .also = "output", .group = "the result", .first = 1 },
    { "method", 'm', TEXT(grow_settings, method), "NAME", .help = "the method: for slots A to F (default C, or what the model's Pattention allows); for other sizes duplicate, clone, corner, stack, interpolate or aki (default duplicate)", .group = "how it grows", .first = 1,
      .choices = METHODS_OF_GROWING },
    { "portable", 0, FLAG(grow_settings, portable), .help = "choose a method whose result opens in every reader of the published format" },
    { "noise", 0, REAL(grow_settings, noise), "X", .help = "repeat heads and inner units (method clone) or slots (D) with relative noise, which parts the copies (default 0: none)", .most = 1, .first = 1 },
    { "freeze-old", 0, FLAG(grow_settings, freeze_old), .help = "keep the old values fixed in later training; of a growth by slots alone, the old slots", .group = "later training", .first = 1 },
    { "old-lr", 0, REAL(grow_settings, old_lr), "X", .help = "learning-rate factor of the same values in later training (default 1)", .most = 1000 },
    { "rewarm", 0, COUNT(grow_settings, rewarm), "N", .help = "in later training the learning rate of new values rises over so many updates (default 0: at once)", .most = 1e9 },
    { "where", 0, CHOICE(grow_settings, where), "PLACE", "top", .help = "where new layers go: after the old ones, before them, or evenly between them", .choices = "top|bottom|spread" },
    { "seed", 's', SEED(grow_settings, seed), "N", "0", .help = "seed of new values and of noise" },
    { "text", 0, FILENAME(grow_settings, text), "FILE", .help = "compare the two models on the first 1024 tokens of this text, as far as the context allows (else 256 of another)", .group = "comparison and files", .first = 1 },
    { "dtype", 0, CHOICE(grow_settings, dtype), "TYPE", "f32", .help = "type of the stored weights", .choices = "f32|bf16|f16", .first = 1 },
    { "tokenizer", 0, FILENAME(grow_settings, tokenizer), "PATH", .help = "tokenizer to use instead of the model's own" },
    { "config", 0, FILENAME(grow_settings, config), "FILE", .help = "config.json of a weights file that has none beside it" },
    { "json", 0, FLAG(grow_settings, json), .help = "print the report as JSON", .first = 1 },
    { 0 }
};

/* ---- what the two models are compared on -------------------------------------- */

/* How many tokens are compared at most: without --text, and of it. */
enum { COMPARED = 256, COMPARED_OF_TEXT = 1024 };
typedef struct { int32_t ids[COMPARED_OF_TEXT]; size_t n; char from[300]; } trial;

static const char paragraph[] =
    "It was a bright cold morning, and the road ran straight between the fields towards the sea. An old man with a lantern walked ahead of "
    "the cart and said nothing until they reached the bridge. \"There are two ways from here,\" he said at last. \"One goes round the hill and "
    "takes a day; the other goes through it, and nobody has counted the hours.\" The children looked at each other. They had 3 loaves, 12 "
    "apples and a map that ended at the river, so they chose the shorter word and followed him into the dark.";

static bool trial_text(trial *t, const lithe_tokenizer *tokenizer, const char *text, size_t size, size_t most)
{
    size_t n = lithe_encode(tokenizer, text, size < 16 * COMPARED_OF_TEXT ? size : 16 * COMPARED_OF_TEXT, 1, t->ids, most);
    t->n = n < most ? n : most;
    return t->n > 0;
}

/* The first ids of a run's validation shard (docs/shards.md): a header of 128
 * bytes with the width of an id at 12 and the documents at 24, an end of eight
 * bytes for each document, the ids. */
static bool trial_shard(trial *t, const char *run, int vocab, size_t most)
{
    static const char *const places[] = { "data/valid.shard", "../data/valid.shard" };
    char path[4096];
    uint8_t head[128], id[4];
    FILE *f = NULL;
    for (int i = 0; i < 2 && !f; i++)
        if (snprintf(path, sizeof path, "%s/%s", run, places[i]) < (int)sizeof path) f = fopen(path, "rb");
    if (!f) return false;
    bool good = fread(head, 1, sizeof head, f) == sizeof head && !memcmp(head, "LITHESHD", 8) && (head[12] == 2 || head[12] == 4);
    uint64_t documents = 0;
    for (int i = 8; i--;) documents = documents << 8 | head[24 + i];
    good = good && documents < 1u << 30 && fseek(f, (long)(128 + 8 * documents), SEEK_SET) == 0;
    for (t->n = 0; good && t->n < most && fread(id, 1, head[12], f) == head[12]; t->n++) {
        uint32_t x = head[12] == 2 ? (uint32_t)(id[0] | id[1] << 8) : id[0] | (uint32_t)id[1] << 8 | (uint32_t)id[2] << 16 | (uint32_t)id[3] << 24;
        if (x >= (uint32_t)vocab) good = false;
        t->ids[t->n] = (int32_t)x;
    }
    fclose(f);
    snprintf(t->from, sizeof t->from, "the validation text of %.200s", run);
    return good && t->n > 1;
}

static void trial_random(trial *t, int vocab, size_t most)
{
    uint64_t x = 0x9e3779b97f4a7c15u;
    for (t->n = 0; t->n < most; t->n++) {
        x ^= x << 13; x ^= x >> 7; x ^= x << 17;                    /* xorshift (Marsaglia 2003) */
        t->ids[t->n] = (int32_t)(x % (uint64_t)vocab);
    }
    snprintf(t->from, sizeof t->from, "random ids");
}

static int trial_find(trial *t, const lithe_model *m, const lithe_tokenizer *tokenizer, const char *path, const grow_settings *s, lithe_error *err)
{
    const int limit = s->text ? COMPARED_OF_TEXT : COMPARED;
    size_t most = (size_t)(lithe_model_context(m) < limit ? lithe_model_context(m) : limit), size = 0;
    *t = (trial){ 0 };
    if (!lithe_model_vocab(m)) {
        snprintf(t->from, sizeof t->from, "images of noise");
        return s->text ? wrong(err, LITHE_EINVAL, "%s: reads images, so --text cannot be used to compare", path) : err->status;
    }
    if (s->text) {
        char *text = read_documents(s->text, &size, err);
        snprintf(t->from, sizeof t->from, "%.200s", s->text);
        if (text && !tokenizer) wrong(err, LITHE_EINVAL, "%s: has no tokenizer for --text; give --tokenizer PATH", path);
        else if (text && !trial_text(t, tokenizer, text, size, most)) wrong(err, LITHE_EFORMAT, "%s: holds no text", s->text);
        free(text);
    } else if (!trial_shard(t, path, lithe_model_vocab(m), most)) {
        snprintf(t->from, sizeof t->from, "a built-in paragraph");
        if (!tokenizer || !trial_text(t, tokenizer, paragraph, sizeof paragraph - 1, most)) trial_random(t, lithe_model_vocab(m), most);
    }
    return err->status;
}

/* ---- report ------------------------------------------------------------------- */

/* The largest difference of what was written in a type of fewer bits; NAN where it is written as it was compared. */
static double stored_difference(lithe_model *m, const trial *t, const grow_settings *s, lithe_error *err)
{
    lithe_growth g = { 0 };
    if (!strcmp(s->dtype, "f32")) return (double)NAN;
    lithe_model *stored = open_model(s->out, NULL, err);
    int status = stored ? lithe_compare(m, stored, t->ids, t->n, &g, err) : LITHE_EINVAL;
    lithe_model_close(stored);
    return status ? (double)NAN : g.max_difference;
}

static void print_report(const lithe_growth *g, const trial *t, const lithe_model *m, const grow_settings *s, double stored)
{
    if (s->json) {
        emitter e = emit_begin(stdout, "grow");
        emit_text(&e, "architecture", lithe_model_arch(m));
        emit_text(&e, "method", g->method);
        emit_bool(&e, "preserves", g->preserves != 0);
        emit_text(&e, "says", g->says);
        emit_text(&e, "symmetry", g->symmetry);
        emit_text(&e, "moves", g->moves);
        emit_count(&e, "params_before", (long long)g->params_before);
        emit_count(&e, "params_after", (long long)g->params_after);
        emit_number(&e, "max_logit", g->max_logit);
        emit_number(&e, "max_difference", g->max_difference);
        if (!isnan(stored)) emit_number(&e, "stored_difference", stored);
        emit_number(&e, "divergence", g->divergence);
        emit_number(&e, "rms_before", g->rms_before);
        emit_number(&e, "rms_after", g->rms_after);
        emit_text(&e, "compared_on", t->from);
        emit_count(&e, "tokens", (long long)t->n);
        emit_text(&e, "path", s->out);
        emit_end(&e);
        return;
    }
    if (output_quiet()) return;
    char text[2][16];
    printf("%s, method %s: %zu -> %zu parameters (%s -> %s, %.2fx)\n", lithe_model_arch(m), g->method, g->params_before, g->params_after,
           size_text((double)g->params_before, text[0]), size_text((double)g->params_after, text[1]),
           (double)g->params_after / (double)(g->params_before ? g->params_before : 1));
    printf("moves    %s\n", g->moves);
    const char *verdict = g->preserves ? "preserved" : "not preserved";
    bool said = !strncmp(g->says, verdict, strlen(verdict));
    printf("outputs  %s%s%s\n", said ? "" : verdict, said || !*g->says ? "" : ": ", g->says);
    const char *task = lithe_model_task(m), *what = !strcmp(task, "body") ? "feature" : !strcmp(task, "regress") ? "number" : "logit";
    if (*g->symmetry) printf("symmetry %s\n", g->symmetry);
    printf("measured largest %s difference %.3g (largest %s %.3g) over ", what, g->max_difference, what, g->max_logit);
    if (t->n) printf("%zu tokens of ", t->n);
    printf("%s", t->from);
    if (g->max_difference > 0 && !isnan(g->divergence)) printf("; divergence %.3g nats", g->divergence);
    if (!isnan(stored)) printf("\nstored   as %s the largest %s difference is %.3g: the outputs are those of rounded weights", s->dtype, what, stored);
    if (!isnan(g->rms_before)) printf("\nactivations of the last layer: root mean square %.4g before, %.4g after", g->rms_before, g->rms_after);
    putchar('\n');
}

/* ---- the verb ----------------------------------------------------------------- */

static lithe_grow_options options_of(const grow_settings *s)
{
    return LITHE_OPTIONS(lithe_grow_options,
        .params = s->params.unit ? 0 : s->params.value, .factor = s->params.unit ? s->params.value : 0, .set = s->set, .to = s->to, .method = s->method,
        .portable = s->portable, .noise = (float)s->noise, .seed = s->seed, .freeze_old = s->freeze_old, .old_lr = (float)s->old_lr,
        .rewarm = s->rewarm, .where = strcmp(s->where, "top") ? s->where : NULL);
}

static int grow(const arguments *a)
{
    const grow_settings *s = a->settings;
    const char *path = a->operands[0];
    lithe_error err = { 0 }, unwritten = { 0 };
    lithe_growth g = { 0 };
    trial t;
    lithe_grow_options o = options_of(s);
    if (!s->out) return usage("where to? --out DIR is needed");
    if ((s->params.value > 0) + (s->set || s->to) + (s->vocabulary != NULL) != 1)
        return usage("how large? give one of --params N, --params 2x, --set KEY=VALUE, --to ARCH and --vocabulary TOKENIZER");
    if (s->vocabulary && (s->method || s->portable || s->noise > 0 || strcmp(s->where, "top")))
        return usage("--vocabulary adds tokens and nothing else: leave out --method, --portable, --noise and --where");
    if (option_origin(a, "old-lr") != ORIGIN_DEFAULT && !(s->old_lr > 0)) return usage("--old-lr 0 is --freeze-old: give that, or a factor above 0");
    if (s->method && unknown_method(s->method)) return EXIT_USAGE;
    interrupt_catch(false);                             /* so that unfinished files are removed */
    lithe_model *m = must_be_new(s->out, true, &err) ? NULL : open_model(path, s->config, &err), *large = NULL;
    lithe_tokenizer *own = NULL, *new = NULL;
    if (m && (s->tokenizer || lithe_model_tokenizer(m))) own = model_tokenizer(m, path, s->tokenizer, &err);
    if (m && s->vocabulary && !err.status) new = lithe_tokenizer_open(s->vocabulary, &err);
    if (new && !own) wrong(&err, LITHE_EINVAL, "--vocabulary needs the model's own tokenizer too; give --tokenizer PATH");
    o.tokenizer = own;
    o.vocabulary = new;
    if (m && trial_find(&t, m, own, path, s, &err) == LITHE_OK) large = lithe_model_grow(m, &o, &g, &err);
    int code = EXIT_DONE;
    if (large && lithe_compare(m, large, t.ids, t.n, &g, &err) == LITHE_OK) {
        bool kept = lithe_growth_kept(&g);
        if (kept && lithe_grow_save(m, &o, large, s->out, s->dtype, new ? new : own, &unwritten))
            code = failed_output(&unwritten);
        else {
            double stored = kept ? stored_difference(m, &t, s, &err) : (double)NAN;
            print_report(&g, &t, m, s, stored);
        }
        if (!kept) {
            complain("method %s promises the same outputs, yet a logit differs by %.3g; %s was not written", g.method, g.max_difference, s->out);
            code = EXIT_MISMATCH;
        }
        else if (code == EXIT_DONE) say("%s written; continue training with: lithe train DATA --from %s", s->out, s->out);
    }
    lithe_model_close(large);
    lithe_tokenizer_close(new);
    lithe_tokenizer_close(own);
    lithe_model_close(m);
    return err.status ? failed_input(&err) : code;
}

const verb verb_grow = {
    .name = "grow", .operands = "MODEL", .least = 1, .most = 1,
    .summary = "make a larger model from a trained one",
    .about = "Builds a larger model whose parameters come from those of MODEL, says whether and when its outputs are preserved, and measures it: "
             "the largest difference between the logits of the two on --text, else on the validation text of a RUN, else on a built-in paragraph "
             "(on random ids when there is no tokenizer). When a method promises the same outputs and does not keep the promise, nothing is "
             "written and the exit code is 6. Classifiers are compared by the logits of their classes, models without a head by their features, image "
             "models on images of noise. The divergence is the Kullback-Leibler divergence of the larger model's probabilities from the smaller "
             "one's, in nats a token.\n\n"
             "duplicate adds heads, inner units and blocks that begin fresh and that nothing reads yet, and repeats channels, whose copies are read by fresh weights "
             "that cancel: the outputs are preserved where the residual width is multiplied by a whole number and the model is pre-norm, and training parts the copies. "
             "clone repeats heads and units too and divides the weights that read them (Net2Net, HyperCloning); its copies stay equal unless --noise or dropout parts them. "
             "corner puts the old matrices into the corner of new ones; stack repeats the stack of layers, interpolate repeats each layer; aki takes repeated heads and "
             "units from the layer above. These change the outputs. The report says what parts the copies.\n\n"
             "--vocabulary gives each new token the mean of the old tokens it was split into, in the embedding and in the head; the logits of old "
             "tokens do not change. Moments of the optimizer stay with the old tokens, those of new ones begin.\n\n"
             "--to ARCH gives a model what ARCH adds to its architecture, such as a series activation and augmented shortcuts. The additions start without effect but with gradients, so "
             "the outputs are the same. An ARCH that combines the parts of others gives the model the names of its own parts; what it has no name for is "
             "refused. --params N is the wanted number of stored parameters, reached within 5 %; the chosen moves are printed.",
    .examples = "  lithe grow runs/tale-1 --params 2x --out larger/\n"
                "  lithe grow llama/ --to pangu-pi --set siaf_n=2,aug_reduction=32 --out pi/\n"
                "  lithe grow gpt2/ --to hybrid --set shortcut=augmented --out hybrid/\n"
                "  lithe grow tf/ --set qkv_slot_num=96,ffn_slot_num=384 --method C --out tf96/\n",
    .options = grow_options, .bytes = sizeof(grow_settings), .run = grow,
};
