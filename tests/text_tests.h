/* What the tests of tokenizers share. */
#ifndef TEXT_TESTS_H
#define TEXT_TESTS_H

#include "test.h"
#include "lithe_tools.h"
#include "base/file.h"
#include "text/tokenizer.h"

double text_seconds(void);                                 /* of processor time */
lithe_tokenizer *text_open(const char *path);

/* The ids of a text, and the text of ids, malloc'd: the size is asked for first, and nothing is written after the
 * end. */
int32_t *text_ids(const lithe_tokenizer *t, const char *text, size_t len, int special, size_t *n);
char    *text_back(const lithe_tokenizer *t, const int32_t *ids, size_t n, size_t *len);
bool     text_comes_back(const lithe_tokenizer *t, const char *text, size_t len);
bool     text_same_ids(const lithe_tokenizer *a, const lithe_tokenizer *b, const char *text, size_t len);

/* At most len bytes of every kind: mostly characters of one to four bytes, some of them damaged. */
size_t text_random(char *out, size_t len, uint64_t key);

/* Each case of the shared cases.jsonl: ids with and without special tokens, and text. */
void text_check_cases(const char *name, const lithe_tokenizer *t);

/* A tokenizer.json whose first 256 ids are the bytes; the other arguments are
 * pieces of JSON: more of the vocabulary, merges, more of the model, more of the file. */
lithe_tokenizer *text_build(const char *pre_tokenizer, const char *vocab, const char *merges, const char *model, const char *rest, lithe_error *err);

#define BYTE_LEVEL "{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"trim_offsets\":true,\"use_regex\":false}"
#define SPLIT(kind, pattern, behavior, invert) \
    "{\"type\":\"Split\",\"pattern\":{\"" kind "\":\"" pattern "\"},\"behavior\":\"" behavior "\",\"invert\":" invert "}"
#define ADDED(id, text, flags) "{\"id\":" #id ",\"content\":\"" text "\"" flags "}"

/* A folder with RoBERTa's vocabulary, GPT-2's merges and, if not NULL, a tokenizer_config.json. */
const char *text_roberta_dir(const char *config);

/* In text_parts.c, text_components.c,
 * text_settings.c, text_files.c, text_train.c, text_wordpiece.c, text_world.c, text_sentencepiece.c, text_golden.c. */
void text_splits(void), text_gpt2_pattern(void), text_oniguruma_patterns(void), text_patterns_refused(void), text_added_tokens(void), text_templates(void), text_merge_forms(void),
     text_normal_forms(void), text_long_matches(void);
void text_components(void), text_words(void), text_spans(void), text_user_defined(void), text_settings_beside(void), text_settings_refused(void), text_unigram_refused(void), text_nul_pieces(void), text_fairseq(void), text_fairseq_refused(void);
void text_keys_refused(void), text_truncation_side(void), text_flags_beside(void), text_herbert(void), text_qwen2_files(void), text_tokens_beside(void);
void text_refused(void), text_cut_off(void), text_empty_paths(void), text_endless_patterns(void);
void text_wordpiece_cases(void), text_wordpiece_table(void), text_wordpiece_forms(void), text_wordpiece_config(void), text_wordpiece_files(void),
     text_wordpiece_json(void), text_longest_piece(void), text_pairs(void), text_roles(void);
void text_every_character(void), text_made_strings(void), text_learned_vocabularies(void);
void text_sentencepiece_cases(void), text_unigram_definition(void), text_sentencepiece_long(void), text_sentencepiece_saved(void),
     text_sentencepiece_damaged(void), text_sentencepiece_refused(void), text_charsmap(void);
void text_world_cases(void), text_world_pieces(void), text_world_round_trip(void), text_world_literals(void), text_world_saved(void), text_roberta(void);
void text_train_definition(void), text_train_saved(void), text_train_possible(void), text_train_odd(void), text_train_wordpiece(void), text_train_wordpiece_text(void),
     text_train_kinds(void), text_train_qwen2(void), text_train_counts(void);

#endif
