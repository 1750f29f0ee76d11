/* Reads the two files of GPT-2, vocab.json (token -> id) and merges.txt (one merge a
 * line, best first, after a line "#version"), and makes the vocabulary of the 256 bytes.
 * Both are byte-level; the first is split by GPT-2's pattern, the second not at all. */
#include "text/tokenizer.h"
#include "text/pattern.h"
#include "text/tokenizer_parts.h"
#include <stdlib.h>
#include <string.h>

static int read_vocab(lithe_tokenizer *t, pieces *names, const json_t *vocab, const char *what, lithe_error *err)
{
    if (!json_is_object(vocab)) return fail(err, LITHE_EFORMAT, "%s: is not an object of tokens and ids", what);
    for (void *i = json_object_iter((json_t *)(uintptr_t)vocab); i; i = json_object_iter_next((json_t *)(uintptr_t)vocab, i)) {
        const char *name = json_object_iter_key(i);
        const json_t *id = json_object_iter_value(i);
        size_t len = strlen(name);
        if (!json_is_integer(id)) return fail(err, LITHE_EFORMAT, "%s: id of token \"%.60s\" is not a whole number", what, name);
        if (tokenizer_add(names, json_integer_value(id), name, len, true, what, err)) return err->status;
        if (tokenizer_add_bytes(t, json_integer_value(id), name, len, what, err)) return err->status;
    }
    tokenizer_find_bytes(t);
    return LITHE_OK;
}

static int read_merge_lines(lithe_tokenizer *t, const pieces *names, const char *text, size_t len, const char *what, lithe_error *err)
{
    size_t rank = 0;
    const char *end = text + len;
    for (const char *line = text, *next; line < end; line = next) {
        const char *stop = memchr(line, '\n', (size_t)(end - line));
        if (!stop) stop = end;
        next = stop < end ? stop + 1 : end;
        if (stop > line && stop[-1] == '\r') stop--;
        if (stop == line || (stop - line >= 8 && !memcmp(line, "#version", 8))) continue;
        const char *space = memchr(line, ' ', (size_t)(stop - line));
        if (!space || memchr(space + 1, ' ', (size_t)(stop - space - 1)))
            return fail(err, LITHE_EFORMAT, "%s: merge %zu is not two tokens and a space between them", what, rank);
        if (tokenizer_add_pair(t, names, rank++, line, (size_t)(space - line), space + 1, (size_t)(stop - space - 1), what, err))
            return err->status;
    }
    t->n_pairs = rank;
    return LITHE_OK;
}

/* At most one merge a line. */
static int room_for_pairs(lithe_tokenizer *t, const char *text, size_t len, const char *what, lithe_error *err)
{
    size_t lines = 1;
    for (size_t i = 0; i < len; i++) lines += text[i] == '\n';
    t->pairs = xrealloc(NULL, lines, sizeof *t->pairs);
    return t->pairs ? LITHE_OK : fail(err, LITHE_ENOMEM, "%s: merges do not fit in memory", what);
}

int tokenizer_add_bpe_specials(lithe_tokenizer *t, const char *what, lithe_error *err)
{
    static const char *const roberta[] = { "<s>", "<pad>", "</s>", "<unk>", "<mask>" };
    int32_t id[5];
    int found = 0;
    for (int i = 0; i < 5; i++) found += (id[i] = tokenizer_id(t, roberta[i], strlen(roberta[i]))) >= 0;
    for (int i = 0; i < 5 && found == 5; i++) {
        bool mask = i == 4;
        added_entry e = { .text = roberta[i], .len = strlen(roberta[i]), .id = id[i], .special = true, .lstrip = mask };
        if (tokenizer_add_entry(t, e, what, err)) return err->status;
    }
    if (found == 5) {
        tokenizer_around(t, id[0], id[2], 2, 0);
        t->trims = true;
        return LITHE_OK;
    }
    static const char end[] = "<|endoftext|>";
    added_entry e = { .text = end, .len = sizeof end - 1, .id = tokenizer_id(t, end, sizeof end - 1), .special = true };
    return e.id < 0 ? LITHE_OK : tokenizer_add_entry(t, e, what, err);
}

void tokenizer_cut_words(lithe_tokenizer *t, byte_level_words words, const char *what, lithe_error *err)
{
    const split_step prefix = { .kind = SPLIT_PREFIX_SPACE };
    if (words.prefixed && !words.qwen2) t->split[t->n_split++] = prefix;
    if (words.qwen2) {
        struct pattern *p = pattern_new(SPLIT_QWEN2_PATTERN, sizeof SPLIT_QWEN2_PATTERN - 1, false, what, err);
        t->normal[t->n_normal++] = (normal_step){ .kind = NORMAL_NFC };
        t->split[t->n_split++] = (split_step){ .kind = SPLIT_PATTERN, .behavior = SPLIT_ISOLATED, .pattern = p, .text = SPLIT_QWEN2_PATTERN };
    } else t->split[t->n_split++] = (split_step){ .kind = SPLIT_GPT2 };
    if (words.prefixed && words.qwen2) t->split[t->n_split++] = prefix;
}

bool tokenizer_cuts_as_qwen2(const lithe_tokenizer *t)
{
    const split_step *s = t->split;
    return t->n_split == 1 && s->kind == SPLIT_PATTERN && s->behavior == SPLIT_ISOLATED && s->text && !strcmp(s->text, SPLIT_QWEN2_PATTERN);
}

lithe_tokenizer *tokenizer_from_files(const char *vocab, size_t vocab_len, const char *merges, size_t merges_len,
                                      byte_level_words words, const char *what, const char *what_merges, lithe_error *err)
{
    json_t *root = json_parse(vocab, vocab_len, 2, what, err);
    lithe_tokenizer *t = root ? tokenizer_new(err) : NULL;
    pieces names = { 0 };
    if (t) tokenizer_cut_words(t, words, what, err);
    if (t) read_vocab(t, &names, root, what, err);
    if (t && !failed(err)) room_for_pairs(t, merges, merges_len, what_merges, err);
    if (t && !failed(err)) read_merge_lines(t, &names, merges, merges_len, what_merges, err);
    if (t && !failed(err)) tokenizer_add_bpe_specials(t, what, err);
    if (t && !failed(err)) tokenizer_finish(t, what, err);
    pieces_free(&names);
    json_decref(root);
    if (t && !failed(err)) return t;
    lithe_tokenizer_close(t);
    return NULL;
}

lithe_tokenizer *tokenizer_bytes(lithe_error *err)
{
    lithe_tokenizer *t = tokenizer_new(err);
    for (int i = 0; t && i < 256 && !failed(err); i++) tokenizer_add(&t->vocabulary, i, &(char){ (char)i }, 1, true, "bytes", err);
    if (t) tokenizer_find_bytes(t);
    if (t && !failed(err)) tokenizer_finish(t, "bytes", err);
    if (t && !failed(err)) return t;
    lithe_tokenizer_close(t);
    return NULL;
}
