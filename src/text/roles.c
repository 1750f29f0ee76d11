/* The roles of tokens follow from the names that published vocabularies use, unless a
 * tokenizer_config.json says otherwise. */
#include "text/tokenizer.h"
#include "base/utf8.h"

static const char *const role_keys[ROLES] = { "bos_token", "eos_token", "cls_token", "sep_token", "pad_token", "mask_token", "unk_token" };

const char *tokenizer_role_key(int i) { return role_keys[i]; }

/* Looks a name up among the added tokens and, if tokens are text, in the vocabulary. */
static int32_t by_name(const lithe_tokenizer *t, const char *const *names)
{
    for (int i = 0; names[i]; i++) {
        int32_t id = pieces_find(&t->added, names[i], strlen(names[i]));
        if (id < 0 && t->bpe.characters) id = pieces_find(&t->vocabulary, names[i], strlen(names[i]));
        if (id >= 0) return id;
    }
    return -1;
}

/* Added tokens come before those of the vocabulary: a byte-level vocabulary may have "<s>" as a piece of text. */
static int32_t end_by_name(const lithe_tokenizer *t, const char *const *names)
{
    for (int special = 1; special >= 0; special--)
        for (int i = 0; names[i]; i++) {
            int32_t id = tokenizer_id(t, names[i], strlen(names[i]));
            if (id >= 0 && special <= pieces_has(&t->added, id)) return id;
        }
    return -1;
}

void tokenizer_name_roles(lithe_tokenizer *t)
{
    static const char *const bos[] = { "<s>", "<|begin_of_text|>", "<bos>", "<|startoftext|>", "<|begin\u2581of\u2581sentence|>", NULL };
    static const char *const eos[] = { "</s>", "<|endoftext|>", "<|end_of_text|>", "<eos>", "<|end\u2581of\u2581sentence|>", NULL };
    static const char *const other[ROLES][5] = {
        [ROLE_CLS] = { "[CLS]" }, [ROLE_SEP] = { "[SEP]" }, [ROLE_PAD] = { "[PAD]", "<pad>", "<|pad|>", "<|padding|>" },
        [ROLE_MASK] = { "[MASK]", "<mask>", "<|mask|>" }, [ROLE_UNK] = { "[UNK]", "<unk>" } };
    int32_t *r = t->role;
    if (t->model == MODEL_LONGEST) {                        /* RWKV: id 0 separates texts and has no text of its own */
        r[ROLE_BOS] = r[ROLE_EOS] = r[ROLE_CLS] = r[ROLE_SEP] = 0;
        return;
    }
    r[ROLE_BOS] = end_by_name(t, bos);
    r[ROLE_EOS] = end_by_name(t, eos);
    for (int i = ROLE_CLS; i < ROLES; i++) r[i] = by_name(t, other[i]);
    if (r[ROLE_BOS] < 0) r[ROLE_BOS] = tokenizer_id(t, "<|endoftext|>", 13);        /* GPT-2: it separates texts */
    if (t->model == MODEL_WORDPIECE) {                                              /* BERT: they surround texts */
        if (r[ROLE_BOS] < 0) r[ROLE_BOS] = r[ROLE_CLS];
        if (r[ROLE_EOS] < 0) r[ROLE_EOS] = r[ROLE_SEP];
        r[ROLE_UNK] = t->wordpiece.unknown;
    }
    if (r[ROLE_CLS] < 0) r[ROLE_CLS] = r[ROLE_BOS];                                 /* RoBERTa */
    if (r[ROLE_SEP] < 0) r[ROLE_SEP] = r[ROLE_EOS];
    if (r[ROLE_UNK] < 0) r[ROLE_UNK] = t->bpe.unknown;
}

static bool continues(const lithe_tokenizer *t, int32_t id)
{
    size_t len, p = t->prefix ? strlen(t->prefix) : 0, m = t->mark ? strlen(t->mark) : 0;
    if (!pieces_has(&t->vocabulary, id) || pieces_has(&t->added, id)) return false;
    const char *bytes = pieces_bytes(&t->vocabulary, id, &len);
    if (t->model == MODEL_WORDLEVEL) return false;
    if (t->model == MODEL_WORDPIECE) return p && len > p && !memcmp(bytes, t->prefix, p);
    if (!len || (m && len >= m && !memcmp(bytes, t->mark, m))) return false;
    int32_t c;
    utf8_next(bytes, len, &c);
    return !utf8_is_space(c);
}

int tokenizer_flag(lithe_tokenizer *t, const char *what, lithe_error *err)
{
    int n = lithe_tokenizer_vocab(t);
    if (!t->flags && !(t->flags = arena_alloc(&t->memory, (size_t)n))) return fail(err, LITHE_ENOMEM, "%s: out of memory", what);
    for (int32_t id = 0; id < n; id++) t->flags[id] = 0;
    for (size_t i = 0; i < t->n_entries; i++)
        if (t->entries[i].special) t->flags[t->entries[i].id] = TOKEN_SPECIAL;
    for (int i = 0; i < ROLES; i++)
        if (t->role[i] >= 0) t->flags[t->role[i]] = TOKEN_SPECIAL;
    for (int32_t id = 0; id < n; id++)
        if (!t->flags[id] && continues(t, id)) t->flags[id] = TOKEN_CONTINUES;
    return tokenizer_match_first(t, err);
}

int32_t lithe_tokenizer_special(const lithe_tokenizer *t, const char *name)
{
    for (int i = 0; t && name && i < ROLES; i++) {
        size_t n = strlen(role_keys[i]) - strlen("_token");
        if (strlen(name) == n && !memcmp(name, role_keys[i], n)) return t->role[i];
    }
    return -1;
}

static bool flagged(const lithe_tokenizer *t, int32_t id, int flag) { return t && id >= 0 && id < lithe_tokenizer_vocab(t) && (t->flags[id] & flag); }

int lithe_tokenizer_is_special(const lithe_tokenizer *t, int32_t id) { return flagged(t, id, TOKEN_SPECIAL); }
int lithe_tokenizer_continues(const lithe_tokenizer *t, int32_t id) { return flagged(t, id, TOKEN_CONTINUES); }

int32_t lithe_tokenizer_bos(const lithe_tokenizer *t) { return t ? t->role[ROLE_BOS] : -1; }
int32_t lithe_tokenizer_eos(const lithe_tokenizer *t) { return t ? t->role[ROLE_EOS] : -1; }
