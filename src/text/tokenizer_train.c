/* Learns a vocabulary of one of four kinds.
 *
 *   bpe        ids 0..255 are the bytes, then come merges, last <|endoftext|>
 *   qwen2      the same of words that Qwen2's pattern cuts, after NFC
 *   roberta    <s> <pad> </s> <unk> <mask>, the bytes, merges
 *   wordpiece  [PAD] [UNK] [CLS] [SEP] [MASK], characters, characters that
 *              continue a word (##), then merges of these, as Hugging Face's
 *              trainer learns WordPiece
 *
 * Special tokens in the text are boundaries and are not learned from.  A merge whose
 * text is a token already (by another split of it) maps to that token and takes
 * no id.  The same text gives the same vocabulary. */
#include "text/alphabet_choice.h"
#include "base/progress.h"
#include "base/sized.h"
#include "text/pair_learner.h"
#include "text/tokenizer.h"
#include <stdlib.h>
#include <string.h>

#define LONGEST_TOKEN 256                  /* bytes */

typedef struct {
    const char *name;
    const char *specials[6];               /* the first ids of the vocabulary; if `last`, the last ones */
    bool last, words, qwen2;               /* words: WordPiece, else bytes */
    int least;                             /* smallest vocabulary */
} kind;

static const kind kinds[] = {
    { "bpe", { "<|endoftext|>" }, .last = true, .least = 257 },
    { "qwen2", { "<|endoftext|>" }, .last = true, .qwen2 = true, .least = 257 },
    { "roberta", { "<s>", "<pad>", "</s>", "<unk>", "<mask>" }, .least = 261 },
    { "wordpiece", { "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]" }, .words = true, .least = 6 },
};

typedef struct {
    const kind *kind;
    lithe_tokenizer *tokenizer;
    int vocab, first;                      /* the wanted size; the id of the first byte */
    char **forms;                          /* pieces of the text that normalization changed; words point into them */
    size_t n_forms, forms_room;
    word_counts words;
    size_t read, all;                      /* bytes of the text whose words are counted, of all */
    lithe_error *err;
    alphabet_choice alphabet;
    pair_learner learner;
} learning;

/* ---- words -------------------------------------------------------------------------- */

/* The text in which the words of a piece are counted: the piece, or its normalized form, which is kept.  NULL: out
 * of memory. */
static const char *keep_form(learning *l, const char *text, size_t *len)
{
    char *form = normalize(l->tokenizer->normal, l->tokenizer->n_normal, text, *len, len, NULL);
    if (form == text) return text;
    char **forms = grown(l->forms, &l->forms_room, l->n_forms, sizeof *forms);
    if (forms) l->forms = forms;
    else { free(form); return NULL; }
    return l->forms[l->n_forms++] = form;
}

/* A text may be long: it tells how far it is from time to time. */
static void count(void *context, const char *text, size_t len)
{
    learning *l = context;
    const size_t before = l->read;
    if (l->words.failed) return;
    l->read += len;
    if (before >> 16 != l->read >> 16 && progress_tell("counting the words of the text", (double)l->read, (double)l->all, l->err)) l->words.failed = true;
    count_word(&l->words, text, len);
}

static void on_text(void *context, const char *text, size_t len, int32_t id)
{
    learning *l = context;
    if (id >= 0) return;
    const char *form = keep_form(l, text, &len);
    if (form && len) split_text(l->tokenizer->split, l->tokenizer->n_split, form, len, true, count, l, NULL);
    l->words.failed |= len && !form;
}

static int count_words(learning *l, const char *text, size_t len, lithe_error *err)
{
    added_token tokens[6];
    added_tokens borders;
    size_t n = 0;
    for (; l->kind->specials[n]; n++) tokens[n] = (added_token){ .text = l->kind->specials[n], .len = strlen(l->kind->specials[n]) };
    added_tokens_init(&borders, tokens, n);
    l->all = len;
    l->err = err;
    if (len) added_tokens_cut(&borders, text, NULL, len, on_text, l);
    if (failed(err)) return err->status;
    return l->words.failed ? fail(err, LITHE_ENOMEM, "tokenizer: training on this text does not fit in memory") : LITHE_OK;
}

/* ---- symbols -------------------------------------------------------------------------- */

static size_t bytes_of(void *context, const counted_word *w, int32_t *symbols)
{
    const learning *l = context;
    for (size_t i = 0; i < w->len; i++) symbols[i] = l->first + (unsigned char)w->text[i];
    return w->len;
}

static size_t characters_of(void *context, const counted_word *w, int32_t *symbols)
{
    const learning *l = context;
    return alphabet_symbols(&l->alphabet, w->text, w->len, symbols);
}

static int add_token(learning *l, const char *text, size_t len, lithe_error *err)
{
    pieces *v = &l->tokenizer->vocabulary;
    return tokenizer_add(v, v->n, text, len, true, "tokenizer", err);
}

static int add_special_tokens(learning *l, lithe_error *err)
{
    for (const char *const *s = l->kind->specials; *s; s++)
        if (add_token(l, *s, strlen(*s), err)) return err->status;
    return LITHE_OK;
}

static int add_bytes(learning *l, lithe_error *err)
{
    l->first = l->tokenizer->vocabulary.n;
    for (int i = 0; i < 256; i++)
        if (add_token(l, &(char){ (char)i }, 1, err)) return err->status;
    return LITHE_OK;
}

/* Adds the characters in order, then those inside words. */
static int add_characters(learning *l, lithe_error *err)
{
    alphabet_choice *a = &l->alphabet;
    const char *prefix = l->tokenizer->prefix;
    size_t p = strlen(prefix);
    if (!alphabet_choose(a, &l->words, l->vocab - l->tokenizer->vocabulary.n))
        return fail(err, LITHE_ENOMEM, "tokenizer: training on this text does not fit in memory");
    for (int inside = 0; inside < 2; inside++)
        for (int i = 0; i < a->n; i++) {
            char text[8];
            memcpy(text, prefix, p);
            size_t k = alphabet_text(a, i, text + p);
            if (inside && !alphabet_inside(a, i)) continue;
            *(inside ? alphabet_inside_id(a, i) : alphabet_id(a, i)) = l->tokenizer->vocabulary.n;
            if (add_token(l, inside ? text : text + p, inside ? p + k : k, err)) return err->status;
        }
    return LITHE_OK;
}

/* ---- merges ------------------------------------------------------------------------------ */

/* The token of a merge, a new one or an old one with the same text; -1: too long, -2: out of memory. */
static int32_t token_for(const learning *l, const symbol_pair *p)
{
    lithe_tokenizer *k = l->tokenizer;
    char both[LONGEST_TOKEN];
    size_t left_len, right_len, drop = l->kind->words ? strlen(k->prefix) : 0;  /* the right part is inside a word */
    const char *left = pieces_bytes(&k->vocabulary, p->left, &left_len);
    const char *right = pieces_bytes(&k->vocabulary, p->right, &right_len) + drop;
    right_len -= drop;
    if (left_len + right_len > sizeof both) return -1;
    memcpy(both, left, left_len);
    memcpy(both + left_len, right, right_len);
    int32_t id = pieces_find(&k->vocabulary, both, left_len + right_len);
    if (id >= 0) return id;
    return pieces_add(&k->vocabulary, k->vocabulary.n, both, left_len + right_len, true) ? -2 : k->vocabulary.n - 1;
}

/* A pair that occurs again keeps its rank. */
static bool remember(lithe_tokenizer *k, size_t *room, const symbol_pair *p, int32_t id)
{
    if (bpe_find_merge(&k->bpe, p->left, p->right)) return true;
    int32_t (*pairs)[2] = grown(k->pairs, room, k->n_pairs, sizeof *pairs);
    if (!pairs) return false;
    k->pairs = pairs;
    k->pairs[k->n_pairs][0] = p->left;
    k->pairs[k->n_pairs][1] = p->right;
    return bpe_add_merge(&k->bpe, p->left, p->right, (int32_t)k->n_pairs++, id);
}

static int learn(learning *l, lithe_error *err)
{
    size_t room = 0;
    lithe_tokenizer *k = l->tokenizer;
    int wanted = l->vocab - l->kind->last;
    for (uint32_t i; k->vocabulary.n < wanted && (i = pair_learner_best(&l->learner)) != NO_PAIR; ) {
        if (progress_tell("learning a vocabulary", k->vocabulary.n, wanted, err)) return LITHE_ECANCELLED;
        int32_t id = token_for(l, &l->learner.pairs[i]);
        if (id == -1) { pair_learner_refuse(&l->learner, i); continue; }
        if (id == -2 || (!l->kind->words && !remember(k, &room, &l->learner.pairs[i], id))) { l->learner.failed = true; break; }
        pair_learner_merge(&l->learner, i, id);
    }
    if (l->learner.failed) return fail(err, LITHE_ENOMEM, "tokenizer: training on this text does not fit in memory");
    int possible = k->vocabulary.n + l->kind->last;
    if (possible < l->vocab)
        return fail(err, LITHE_EINVAL, "tokenizer: the text has pairs for %d tokens, not for %d: ask for at most %d, or give more text", possible, l->vocab, possible);
    return LITHE_OK;
}

/* ---- the tokenizer ------------------------------------------------------------------------- */

/* Sets how text becomes words, before there is a vocabulary. */
static void shape(learning *l, bool lower, lithe_error *err)
{
    lithe_tokenizer *t = l->tokenizer;
    if (l->kind->words) tokenizer_bert_shape(t, (bert_options){ .lower = lower, .marks = lower, .spaced = true });
    else tokenizer_cut_words(t, (byte_level_words){ .qwen2 = l->kind->qwen2 }, "tokenizer", err);
}

static int finish(learning *l, lithe_error *err)
{
    lithe_tokenizer *t = l->tokenizer;
    if (l->kind->last && add_special_tokens(l, err)) return err->status;
    if (!l->kind->words) tokenizer_find_bytes(t);
    if ((l->kind->words ? tokenizer_add_bert_specials : tokenizer_add_bpe_specials)(t, "tokenizer", err)) return err->status;
    return tokenizer_finish(t, "tokenizer", err);
}

static int learn_all(learning *l, const char *text, size_t len, bool lower, lithe_error *err)
{
    shape(l, lower, err);
    if (failed(err) || count_words(l, text, len, err) || (!l->kind->last && add_special_tokens(l, err))) return err->status;
    if (l->kind->words ? add_characters(l, err) : add_bytes(l, err)) return err->status;
    if (!pair_learner_begin(&l->learner, &l->words, l->kind->words ? characters_of : bytes_of, l))
        return fail(err, LITHE_ENOMEM, "tokenizer: training on this text does not fit in memory");
    return learn(l, err) ? (int)err->status : finish(l, err);
}

static const kind *find_kind(const char *name)
{
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (!strcmp(kinds[i].name, name)) return &kinds[i];
    return NULL;
}

lithe_tokenizer *lithe_tokenizer_learn(const char *text, size_t len, int vocab, const lithe_tokenizer_options *o, lithe_error *err)
{
    lithe_error local = { 0 };
    lithe_tokenizer_options options;
    if (!err) err = &local;
    options_read(&options, sizeof options, o, "lithe_tokenizer_options", err);
    const char *name = options.kind ? options.kind : "bpe";
    learning l = { .kind = find_kind(name), .vocab = vocab };
    if (!l.kind) fail(err, LITHE_EINVAL, "tokenizer: \"%.60s\" is no kind of vocabulary; known: bpe, qwen2, roberta, wordpiece", name);
    else if (vocab < l.kind->least || vocab > PIECES_ID_LIMIT || (!text && len))
        fail(err, LITHE_EINVAL, "tokenizer: a vocabulary of %d, expected %d (what every %s has) to %d", vocab, l.kind->least, name, PIECES_ID_LIMIT);
    l.tokenizer = tokenizer_new(err);
    if (l.tokenizer) learn_all(&l, text, len, options.lowercase > 0, err);
    pair_learner_free(&l.learner);
    word_counts_free(&l.words);
    alphabet_free(&l.alphabet);
    for (size_t i = 0; i < l.n_forms; i++) free(l.forms[i]);
    free(l.forms);
    if (l.tokenizer && !check_pending(err)) return l.tokenizer;
    lithe_tokenizer_close(l.tokenizer);
    return NULL;
}

lithe_tokenizer *lithe_tokenizer_train(const char *text, size_t len, int vocab, lithe_error *err) { return lithe_tokenizer_learn(text, len, vocab, NULL, err); }
