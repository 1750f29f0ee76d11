/* HerBERT (Mroczkowski et al. 2021): BERT's words, in pieces of characters by merges.  Its two files become the
 * tokenizer.json that transformers makes of them. */
#include "text/tokenizer.h"
#include <stdlib.h>
#include <string.h>

static const char parts[] = "{\"version\": \"1.0\", \"normalizer\": {\"type\": \"BertNormalizer\", \"clean_text\": true, \"handle_chinese_chars\": true, \"strip_accents\": false, \"lowercase\": false},"
    "\"pre_tokenizer\": {\"type\": \"BertPreTokenizer\"}, \"decoder\": {\"type\": \"BPEDecoder\", \"suffix\": \"</w>\"}}";

/* Special tokens that the vocabulary has. */
static json_t *specials(const json_t *vocab)
{
    static const char *const names[] = { "<s>", "<pad>", "</s>", "<unk>", "<mask>" };
    json_t *list = json_array();
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        json_t *id = json_object_get(vocab, names[i]);
        if (id) json_array_append_new(list, json_pack("{s:O, s:s, s:b, s:b, s:b, s:b, s:b}", "id", id, "content", names[i], "special", 1, "normalized", 0,
                                                      "single_word", 0, "lstrip", 0, "rstrip", 0));
    }
    return list;
}

static json_t *merges_of(const char *text, size_t len)
{
    json_t *list = json_array();
    for (const char *end = text + len, *next; text < end; text = next) {
        const char *newline = memchr(text, '\n', (size_t)(end - text));
        size_t n = (size_t)((newline ? newline : end) - text);
        next = newline ? newline + 1 : end;
        if (n && text[n - 1] == '\r') n--;
        if (n && !(n > 8 && !memcmp(text, "#version", 8))) json_array_append_new(list, json_stringn(text, n));
    }
    return list;
}

lithe_tokenizer *tokenizer_from_herbert(const char *vocab, size_t vocab_len, const char *merges, size_t merges_len, const char *what, lithe_error *err)
{
    json_t *words = json_parse(vocab, vocab_len, 2, what, err), *root = words ? json_parse(parts, sizeof parts - 1, 4, what, err) : NULL;
    char *text = NULL;
    if (root) {
        json_t *cls = json_object_get(words, "<s>"), *sep = json_object_get(words, "</s>");
        int bad = json_object_set_new(root, "added_tokens", specials(words));
        if (cls && sep)
            bad |= json_object_set_new(root, "post_processor", json_pack("{s:s, s:[s, O], s:[s, O]}", "type", "BertProcessing", "sep", "</s>", sep, "cls", "<s>", cls));
        bad |= json_object_set_new(root, "model", json_pack("{s:s, s:s, s:s, s:O, s:o}", "type", "BPE", "unk_token", "<unk>", "end_of_word_suffix", "</w>",
                                                            "vocab", words, "merges", merges_of(merges, merges_len)));
        text = bad ? NULL : json_dumps(root, JSON_COMPACT);
        if (!text) fail(err, LITHE_EFORMAT, "%s: is no vocabulary, or memory is out", what);
    }
    lithe_tokenizer *t = text ? tokenizer_from_json(text, strlen(text), what, err) : NULL;
    free(text);
    json_decref(root);
    json_decref(words);
    return t;
}
