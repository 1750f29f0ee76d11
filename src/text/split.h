/* Splits text into words before byte-pair encoding (Hugging Face calls it
 * pre-tokenization), by a list of steps, each applied to every piece of the step
 * before it.  Merges never cross the boundary of a word. */
#ifndef TEXT_SPLIT_H
#define TEXT_SPLIT_H

#include "base/error.h"
#include "text/text_buffer.h"

typedef enum {
    SPLIT_GPT2,                /* GPT-2's pattern */
    SPLIT_PATTERN,             /* by the matches of a regular expression */
    SPLIT_DIGITS,              /* by characters that are numbers */
    SPLIT_BERT,                /* at white space, which is removed, and around each punctuation character */
    SPLIT_PREFIX_SPACE,        /* one piece, with a space before it unless it starts with one */
    SPLIT_PUNCTUATION,         /* by punctuation characters */
    SPLIT_DEFINED,             /* by the longest pieces of `tree`, which no other step sees */
    SPLIT_METASPACE,           /* spaces become marks, and words begin at each unless `whole`; `prefix`: see below */
    SPLIT_MARKS                /* before each run of `mark`; used only if merges cannot cross such a position anyway */
} split_kind;

/* Which pieces Metaspace puts a mark before: all, the one at the beginning of a text, none. */
typedef enum { PREFIX_ALWAYS, PREFIX_FIRST, PREFIX_NEVER } split_prefix;

/* What is done with a match.  `a-b` at `-`:  a|-|b   a|b   a-|b   a|-b   a|-|b with a run of matches in one piece */
typedef enum { SPLIT_ISOLATED, SPLIT_REMOVED, SPLIT_WITH_PREVIOUS, SPLIT_WITH_NEXT, SPLIT_CONTIGUOUS } split_behavior;

typedef struct {
    split_kind kind;
    split_behavior behavior;
    bool invert;               /* the text between the matches is the match */
    struct pattern *pattern;
    const char *text;          /* of the pattern; borrowed; NULL: it is no regular expression of a file */
    const char *mark;          /* borrowed */
    const struct trie *tree;   /* borrowed */
    split_prefix prefix;
    bool whole;
} split_step;

/* Calls word(context, ...) for each word, in order; none is empty.  The text may
 * hold any bytes.  first: it is the beginning of the whole text.  origin (or NULL) is
 * the text's; while a word is given, it is that of the text that the word stands in. */
typedef void (*split_word)(void *context, const char *text, size_t len);
void split_text(const split_step *steps, int n, const char *text, size_t len, bool first, split_word word, void *context,
                text_origin *origin);

/* The length of the first word of text (len > 0) under
 * 's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+ */
size_t split_gpt2(const char *text, size_t len);
#define SPLIT_GPT2_PATTERN "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"

/* That of transformers' Qwen2Tokenizer. */
#define SPLIT_QWEN2_PATTERN "(?i:'s|'t|'re|'ve|'m|'ll|'d)" \
    "|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"

#endif
