/* The parts of a new run: tokenizer, data, model. */
#include "new_run.h"
#include "inputs.h"
#include "output.h"
#include "quantity.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

typedef train_settings S;

static const double params_images = 400e3;
enum { SAMPLED = 8000000, BYTES = 256, VOCAB_LEAST = 16, LABELS_MOST = 4096 };

/* ---- tokenizer, data, model ---------------------------------------------------- */

/* The kind of vocabulary to learn. */
static const char *kind_of(const new_run *k) { return k->model ? lithe_model_vocabulary(k->model) : lithe_arch_vocabulary(k->arch); }

/* Whether it has a mask token, as encoders need. */
static bool masks(const new_run *k)
{
    const char *kind = kind_of(k);
    return !strcmp(kind, "roberta") || !strcmp(kind, "wordpiece");
}

static lithe_tokenizer *learn_tokenizer(new_run *k, int vocab)
{
    const char *kind = kind_of(k);
    bool wordpiece = !strcmp(kind, "wordpiece");
    snprintf(k->tokenizer_says, sizeof k->tokenizer_says, "%s of %d tokens, learned from %zu bytes", wordpiece ? "WordPiece, lower case," : "byte-level BPE", vocab, k->text_size);
    return lithe_tokenizer_learn(k->text, k->text_size, vocab, &LITHE_OPTIONS(lithe_tokenizer_options, .kind = kind, .lowercase = wordpiece), &k->err);
}

/* Learns as many tokens as suit the text; fewer, or none but the bytes, where it has pairs for no more. */
static lithe_tokenizer *learn_what_there_is(new_run *k)
{
    lithe_tokenizer *t = NULL;
    const int least = masks(k) ? VOCAB_LEAST : BYTES;
    for (int vocab = k->choice.vocab; !t && vocab > least && k->err.status != LITHE_ECANCELLED; vocab -= vocab / 4) {
        k->err = (lithe_error){ 0 };
        t = learn_tokenizer(k, vocab);
    }
    if (!t && !masks(k) && k->err.status != LITHE_ECANCELLED) {
        k->err = (lithe_error){ 0 };
        snprintf(k->tokenizer_says, sizeof k->tokenizer_says, "bytes");
        t = lithe_tokenizer_open("bytes", &k->err);
    }
    return t;
}

static lithe_tokenizer *choose_tokenizer(new_run *k)
{
    const S *s = k->s;
    const char *path = s->tokenizer ? s->tokenizer : lithe_model_tokenizer(k->model);
    const lithe_tokenizer_options o = { .size = sizeof o, .lowercase = letters(k->a, s->lowercase) };
    if (s->vocab) return learn_tokenizer(k, s->vocab);
    if (s->from) {
        snprintf(k->tokenizer_says, sizeof k->tokenizer_says, "%.190s", path ? path : "");
        return model_tokenizer_with(k->model, s->from, s->tokenizer, &o, &k->err);
    }
    if (!path) return learn_what_there_is(k);
    snprintf(k->tokenizer_says, sizeof k->tokenizer_says, "%.190s", path);
    return lithe_tokenizer_open_with(path, &o, &k->err);
}

/* "classify" or "regress" if that is the task of the model, else NULL. */
static const char *labelled_task(const lithe_model *m)
{
    const char *task = lithe_model_task(m);
    return task && (!strcmp(task, "classify") || !strcmp(task, "regress")) ? task : NULL;
}

bool new_run_labelled(const new_run *k) { return k->s->task || (k->model && labelled_task(k->model)); }

/* The data must use the classes of the model. */
static void keep_labels(const lithe_model *m, const char **names, lithe_data_options *o)
{
    while (o->label_count < LABELS_MOST && lithe_model_label(m, o->label_count)) {
        names[o->label_count] = lithe_model_label(m, o->label_count);
        o->label_count++;
    }
    if (o->label_count) o->labels = names;
}

static lithe_dataset *open_data(new_run *k)
{
    const char *pair = k->s->pair_column ? k->s->pair_column : option_origin(k->a, "pair-column") == ORIGIN_DEFAULT ? NULL : "";
    lithe_data_options o = { .size = sizeof o, .seed = k->s->seed, .reset_attention = k->s->reset_attention, .task = k->s->task,
                             .text_column = k->s->text_column, .pair_column = pair, .label_column = k->s->label_column };
    double share;
    char unit = 0;
    const char *valid = k->s->valid, *names[LABELS_MOST];
    if (k->s->from && !k->s->task && (o.task = labelled_task(k->model)) && !strcmp(o.task, "classify")) keep_labels(k->model, names, &o);
    if (k->images) {
        o.task = "images";
        o.image_filter = lithe_model_image_filter(k->model);
        o.image_resize = lithe_model_image_resize(k->model, &o.image_shortest);
        lithe_model_images(k->model, &o.image_side, NULL, &o.image_channels);
    }
    if (valid && !quantity_amount(valid, '%', &share, &unit) && unit) o.valid_share = share / 100;
    else o.valid = valid;
    if (unit && !(share > 0 && share < 100)) wrong(&k->err, LITHE_EINVAL, "--valid %s: a share lies between 0%% and 100%%", valid);
    const lithe_encoder together = lithe_ranks_encoder(k->ranks);
    if (together.processes > 1) o.encoder = &together;
    return lithe_dataset_open(k->a->operands, k->a->count, NULL, k->tokenizer, &o, &k->err);
}

/* The library calls a configuration config.json; what is wrong in it is said of the file that was given. */
static lithe_model *model_of_config(new_run *k, const char *config)
{
    static const char name[] = "config.json";
    lithe_error each = { 0 };
    lithe_model *m = lithe_model_new(k->s->arch, config, k->s->seed, &each);
    const bool named = !strncmp(each.text, name, sizeof name - 1);
    if (!m) wrong(&k->err, each.status, "%s%s", named ? k->s->config : "", named ? each.text + sizeof name - 1 : each.text);
    return m;
}

/* The configuration of the size that is asked for; where the architecture was not, and has no model of it, of the usual
 * one. */
static char *sized_config(new_run *k)
{
    const S *s = k->s;
    const double params = s->params > 0 ? s->params : k->choice.params;
    const int vocab = lithe_tokenizer_vocab(k->tokenizer), ctx = s->ctx ? s->ctx : k->choice.ctx;
    lithe_error none = { 0 };
    char *config = lithe_model_size(k->arch, params, vocab, ctx, s->arch ? &k->err : &none);
    if (config || s->arch) return config;
    k->arch = lithe_arch_usual(false);
    return lithe_model_size(k->arch, params, vocab, ctx, &k->err);
}

static lithe_model *fresh_model(new_run *k)
{
    char *config = sized_config(k);
    lithe_model *m = config ? lithe_model_new(k->arch, config, k->s->seed, &k->err) : NULL;
    free(config);
    return m;
}

static void check_vocabulary(new_run *k)
{
    const int tokens = lithe_tokenizer_vocab(k->tokenizer), room = lithe_model_vocab(k->model);
    if (tokens > room) wrong(&k->err, LITHE_ECONFIG, "%s: a vocabulary of %d is too small for the tokenizer's %d tokens", k->s->config, room, tokens);
}

/* The model of a configuration that is given: with text it is there before the tokenizer, whose kind and size it
 * determines; with images it gives their size, or else they determine the configuration. */
static lithe_model *configured_model(new_run *k)
{
    size_t size = 0;
    char *config = read_text(k->s->config, SMALL_TEXT, &size, &k->err);
    lithe_model *m = config ? model_of_config(k, config) : NULL;
    free(config);
    return m;
}

static lithe_model *fresh_image_model(new_run *k)
{
    char *config = lithe_model_size_images(k->arch, k->s->params > 0 ? k->s->params : params_images, k->data, k->s->patch, &k->err);
    lithe_model *m = config ? lithe_model_new(k->arch, config, k->s->seed, &k->err) : NULL;
    free(config);
    return m;
}

/* Returns the model with a head for the labels of the data. */
static lithe_model *under_head(new_run *k, lithe_model *body)
{
    const char *names[LABELS_MOST];
    int n = lithe_dataset_labels(k->data);
    if (n > LABELS_MOST) wrong(&k->err, LITHE_EFORMAT, "%s: %d classes, at most %d", k->a->operands[0], n, LABELS_MOST);
    for (int i = 0; i < n && i < LABELS_MOST; i++) names[i] = lithe_dataset_label(k->data, i);
    lithe_model *m = lithe_model_with_head(body, k->s->task, names, n, k->s->seed, &k->err);
    lithe_model_close(body);
    return m;
}

/* The model with a head that predicts whether one text follows another. */
static lithe_model *with_pairs(new_run *k, lithe_model *body)
{
    const char *task = lithe_model_task(body);
    if (task && !strcmp(task, "pretrain")) return body;
    lithe_model *m = lithe_model_with_head(body, "pretrain", NULL, 0, k->s->seed, &k->err);
    lithe_model_close(body);
    return m;
}

/* ---- all of them ------------------------------------------------------------------ */

void new_run_close(new_run *k)
{
    lithe_dataset_close(k->data);
    lithe_model_close(k->model);
    lithe_tokenizer_close(k->tokenizer);
    free(k->text);
    free(k->command);
}

static int make_image_parts(new_run *k)
{
    const S *s = k->s;
    if (!k->err.status) new_run_effects(k);
    if (!k->model && s->config && !k->err.status) k->model = configured_model(k);
    if (!k->err.status) k->data = open_data(k);
    if (!k->err.status && !k->model) k->model = fresh_image_model(k);
    if (!k->err.status && s->task) k->model = under_head(k, k->model);
    return k->err.status ? (int)k->err.status : new_run_options(k);
}

/* A table is no text: its labels are learned, or else a person says that its signs are. */
static void refuse_tables(new_run *k)
{
    static const char *const endings[] = { ".tsv", ".csv", ".tsv.gz", ".csv.gz", ".tsv.zst", ".csv.zst" };
    for (int i = 0; i < k->a->count; i++)
        for (size_t j = 0; j < sizeof endings / sizeof *endings; j++) {
            const char *path = k->a->operands[i];
            const size_t n = strlen(path), m = strlen(endings[j]);
            if (n > m && !strcasecmp(path + n - m, endings[j]))
                wrong(&k->err, LITHE_EINVAL, "%s: is a table: --task classify learns its classes, --task regress its numbers; to read it as text: lithe train - < %s", path, path);
        }
}

/* What suits a text; the models of tables are small, and of the usual architecture. */
static void choose_for_text(new_run *k)
{
    const double bytes = (double)k->text_size;
    const char *named = k->model ? lithe_model_arch(k->model) : k->s->arch;
    lithe_choose_for_text(named ? named : k->s->task ? lithe_arch_usual(false) : NULL, k->text, k->text_size, bytes, machine_peak("f32", &k->err), &k->choice);
    k->arch = k->choice.arch;
    if (k->model && lithe_model_vocab(k->model) < k->choice.vocab) k->choice.vocab = lithe_model_vocab(k->model);
    if (k->model || k->s->task) k->choice.weight_decay = 0;
    if (!k->s->task || masks(k)) return;
    k->choice.vocab = bytes < 2e6 ? BYTES : 4096;
    k->choice.params = fmin(3e6, fmax(100e3, bytes));
}

int new_run_make(new_run *k)
{
    const S *s = k->s;
    k->began = clock_seconds();
    if (s->from && !k->err.status) k->model = open_model(s->from, NULL, &k->err);
    k->images = k->model ? lithe_model_images(k->model, NULL, NULL, NULL) : s->arch ? lithe_arch_images(s->arch) : lithe_images_known(k->a->operands[0]);
    k->arch = s->arch ? s->arch : lithe_arch_usual(k->images);
    if (k->images) return make_image_parts(k);
    if (!k->err.status && !new_run_labelled(k)) refuse_tables(k);
    if (!s->from && !k->err.status) k->text = lithe_text_read(k->a->operands, k->a->count, SAMPLED, &k->text_size, &k->err);
    if (s->config && !k->err.status) k->model = configured_model(k);
    if (k->text) choose_for_text(k);
    if (!k->err.status) new_run_effects(k);
    if (!k->err.status) k->tokenizer = choose_tokenizer(k);
    if (!k->err.status && s->config) check_vocabulary(k);
    if (!k->err.status) k->data = open_data(k);
    if (!k->err.status && !k->model) k->model = fresh_model(k);
    if (!k->err.status && s->task) k->model = under_head(k, k->model);
    else if (!k->err.status && s->next_sentence) k->model = with_pairs(k, k->model);
    return k->err.status ? (int)k->err.status : new_run_options(k);
}
