/* vocab.json and merges.txt whose pieces have </w> where a word ends: HerBERT's (Mroczkowski et al. 2021), BERT's words
 * in pieces of characters, and CLIP's (Radford et al. 2021), words in lower case in pieces of bytes.  The two files
 * become the tokenizer.json that transformers makes of them. */
#include "text/tokenizer.h"
#include <stdlib.h>
#include <string.h>

static const char herbert_parts[] = "{\"version\": \"1.0\", \"normalizer\": {\"type\": \"BertNormalizer\", \"clean_text\": true, \"handle_chinese_chars\": true, \"strip_accents\": false, \"lowercase\": false},"
    "\"pre_tokenizer\": {\"type\": \"BertPreTokenizer\"}, \"decoder\": {\"type\": \"BPEDecoder\", \"suffix\": \"</w>\"}}";

static const char clip_parts[] = "{\"version\": \"1.0\", \"normalizer\": {\"type\": \"Sequence\", \"normalizers\": [{\"type\": \"NFC\"},"
    "{\"type\": \"Replace\", \"pattern\": {\"Regex\": \"\\\\s+\"}, \"content\": \" \"}, {\"type\": \"Lowercase\"}]},"
    "\"pre_tokenizer\": {\"type\": \"Sequence\", \"pretokenizers\": [{\"type\": \"Split\", \"pattern\": {\"Regex\":"
    "\"<\\\\|startoftext\\\\|>|<\\\\|endoftext\\\\|>|'s|'t|'re|'ve|'m|'ll|'d|[\\\\p{L}]+|[\\\\p{N}]|[^\\\\s\\\\p{L}\\\\p{N}]+\"},"
    "\"behavior\": \"Removed\", \"invert\": true}, {\"type\": \"ByteLevel\", \"add_prefix_space\": false}]}, \"decoder\": {\"type\": \"ByteLevel\"}}";

enum { SPECIALS = 5 };
/* What surrounds a text, the unknown token, and all special ones. */
typedef struct { const char *parts, *process, *cls, *sep, *unknown, *specials[SPECIALS]; } shape;
static const shape herbert = { herbert_parts, "BertProcessing", "<s>", "</s>", "<unk>", { "<s>", "<pad>", "</s>", "<unk>", "<mask>" } };
static const shape clip = { clip_parts, "RobertaProcessing", "<|startoftext|>", "<|endoftext|>", "<|endoftext|>", { "<|startoftext|>", "<|endoftext|>" } };

/* Special tokens that the vocabulary has. */
static json_t *specials(const char *const *names, const json_t *vocab)
{
    json_t *list = json_array();
    for (size_t i = 0; i < SPECIALS && names[i]; i++) {
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

lithe_tokenizer *tokenizer_from_suffixed(const char *vocab, size_t vocab_len, const char *merges, size_t merges_len, bool bytes, const char *what, lithe_error *err)
{
    const shape *f = bytes ? &clip : &herbert;
    json_t *words = json_parse(vocab, vocab_len, 2, what, err), *root = words ? json_parse(f->parts, strlen(f->parts), 8, what, err) : NULL;
    char *text = NULL;
    if (root) {
        json_t *cls = json_object_get(words, f->cls), *sep = json_object_get(words, f->sep);
        int bad = json_object_set_new(root, "added_tokens", specials(f->specials, words));
        if (cls && sep)
            bad |= json_object_set_new(root, "post_processor", json_pack("{s:s, s:[s, O], s:[s, O]}", "type", f->process, "sep", f->sep, sep, "cls", f->cls, cls));
        bad |= json_object_set_new(root, "model", json_pack("{s:s, s:s, s:s, s:O, s:o}", "type", "BPE", "unk_token", f->unknown, "end_of_word_suffix", "</w>",
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
