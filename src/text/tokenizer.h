/* A tokenizer in memory, and how each file format fills it.
 *
 *   text --added tokens--> pieces --normalize--> --split--> words --model--> ids
 *
 * In a byte-level vocabulary a token is bytes, and decoding concatenates them:
 * decode(a b) = decode(a) decode(b).  In a vocabulary of characters (llama2.c,
 * SentencePiece) a token is text, begin and end tokens decode to nothing, and one
 * space is removed directly after a begin token.  In one of words (WordPiece)
 * decoding puts spaces between tokens, but not before one that continues a word.
 *
 * Encoding changes only caches: a handle belongs to one thread at a time. */
#ifndef TEXT_TOKENIZER_H
#define TEXT_TOKENIZER_H

#include "lithe_tools.h"
#include "text/added_tokens.h"
#include "text/bpe.h"
#include "text/charsmap.h"
#include "text/normal_form.h"
#include "text/split.h"
#include "text/unigram.h"
#include "text/wordpiece.h"
#include "base/arena.h"
#include "base/json.h"

#define WORLD_FILE "rwkv_vocab_v20230424.txt"      /* the name under which RWKV models have it */
#define SENTENCEPIECE_FILE "tokenizer.model"
#define FAIRSEQ_FILE "sentencepiece.bpe.model"     /* a .model whose pieces are numbered as fairseq's dictionaries do */
#define TOKENIZER_STEPS 16                 /* largest number of steps of each kind, with nested sequences flattened */

/* An added token as the file describes it. */
typedef struct { const char *text; size_t len; int32_t id; bool special, normalized, single_word, lstrip, rstrip; } added_entry;

/* WORDLEVEL: whole words; LONGEST: the longest piece of bytes at each position */
typedef enum { MODEL_BPE, MODEL_WORDPIECE, MODEL_UNIGRAM, MODEL_WORDLEVEL, MODEL_LONGEST } model_kind;

/* The special tokens around one text or a pair, whose first text comes first (text/layout.h). */
typedef struct { int32_t id; int32_t type; } template_item; /* id TEXT_A or TEXT_B: the ids of that text; type 0 or 1 */
typedef struct { template_item item[TOKENIZER_STEPS]; int n; } template;
enum { TEXT_A = -1, TEXT_B = -2 };

/* The roles of tokens.  A role may have no token (-1). */
typedef enum { ROLE_BOS, ROLE_EOS, ROLE_CLS, ROLE_SEP, ROLE_PAD, ROLE_MASK, ROLE_UNK, ROLES } role;
enum { TOKEN_SPECIAL = 1, TOKEN_CONTINUES = 2 };

/* What decoding removes at the beginning of a text of characters: nothing; one space directly after bos (llama2.c); one
 * space; the marks of the first token (Metaspace). */
typedef enum { LEAD_KEPT, LEAD_AFTER_BOS, LEAD_SPACE, LEAD_MARKS } lead;

typedef struct named_template { const char *name, *text; struct named_template *next; } named_template;

/* How ids follow from the numbers of a .model's pieces: they are the same; XLM-R's, by fairseq, with <pad> and <mask>;
 * CamemBERT's, likewise with five tokens before them. */
typedef enum { NUMBERED_AS_IS, NUMBERED_XLMR, NUMBERED_CAMEMBERT } numbering;

struct lithe_tokenizer {
    arena memory;                          /* strings and small arrays */
    pieces vocabulary;                     /* without the added tokens that the vocabulary does not name */
    model_kind model;
    bpe bpe;
    wordpiece wordpiece;
    unigram unigram;                       /* the tokenizer owns its scores, which BPE by scores has too */
    trie tree;                             /* of the vocabulary, except for BPE */
    pieces defined;                        /* pieces of a .model that its maker has defined, found before all others */
    trie defined_tree;

    added_entry *entries;                  /* [n_entries], as the file has them; heap */
    size_t n_entries, entries_room;
    size_t later;                          /* the first entry that its source does not have; 0: it has them all */
    added_tokens plain, normalized;        /* found before and after normalizing */
    added_tokens first, ordinary;          /* the same where marks count: with all special tokens, without any */
    pieces added;                          /* id -> text of the entries */

    normal_step normal[TOKENIZER_STEPS];
    split_step split[TOKENIZER_STEPS];
    int n_normal, n_split;

    template single, pair;
    int32_t role[ROLES];
    bool surrounded;                    /* single and pair are as a tokenizer_config.json says */
    bool splits_special;                /* special tokens are not found in texts (split_special_tokens) */
    bool cut_left;                      /* texts that are too long lose their beginning (truncation_side) */
    bool trims, trims_less;             /* places have no spaces; one that encoding adds is none */
    bool clean;                         /* decoding removes spaces before punctuation from the whole text */
    const char *scheme;                 /* of a .model: a space comes "first" or "never"; NULL: as it says itself */
    unsigned configured;                /* 1 << role: the role comes from a tokenizer_config.json, not from the names */
    uint8_t *flags;                     /* [lithe_tokenizer_vocab]: TOKEN_..., of each id */

    charsmap charsmap, unprefixed;      /* the second: the first without its space before a text; it owns nothing */
    numbering numbering;        /* of a .model's pieces */
    bool sentencepiece;         /* decoding removes a space at the start, and writes unknown_text for unknown tokens */
    const char *unknown_text;
    const char *mark;               /* the space in tokens; NULL: a space is a space */
    lead lead;
    bool fused;                     /* decoding has made one text of the tokens */
    bool byte_names;                /* decoding takes every token <0xHH> for a byte */
    bool joined;                    /* decoding puts a space between tokens, as where a file has no decoder */
    const char *ending;             /* of tokens that end a word, a space in the text except at its end; NULL: none */
    const char *prefix;             /* WordPiece: the prefix of tokens that continue a word */
    bool worded;                    /* decoding puts a space before each token that has no `glue` */
    const char *glue;               /* the prefix of tokens that decoding puts no space before; NULL: none */
    bool cleanup;                   /* the same removes spaces before punctuation */

    const char *chat_template;          /* how the turns of a conversation become a text, in Jinja; NULL: not known */
    named_template *templates;          /* further ones, by name */
    char *source;                       /* the tokenizer.json, RWKV vocabulary or .model it was read from, for saving */
    size_t source_bytes;
    int32_t (*pairs)[2];                   /* merges in order, if there is no source; heap */
    size_t n_pairs;
};

/* GPT-2's pattern, or Qwen2's after the normal form NFC; prefixed: a space comes before the text, or before each of
 * Qwen2's words. */
typedef struct { bool qwen2, prefixed; } byte_level_words;
void tokenizer_cut_words(lithe_tokenizer *t, byte_level_words words, const char *what, lithe_error *err);
bool tokenizer_cuts_as_qwen2(const lithe_tokenizer *t);
/* The pre_tokenizer that cuts by Qwen2's pattern before this ByteLevel, whose reference is taken. */
json_t *tokenizer_qwen2_words(json_t *byte_level);

/* These read from memory.  what names the source in messages; they return NULL and set err on failure.
 * _json: a tokenizer.json.  _files: vocab.json and merges.txt, and how text is cut
 * into words.  _llama2c: the tokenizer file of llama2.c.  _pieces: a
 * vocab.txt, with BERT's steps as `how` says.  _world: an RWKV vocabulary.
 * _sentencepiece: a .model.  _gguf: the tokenizer in a GGUF file. */
lithe_tokenizer *tokenizer_from_json(const char *text, size_t len, const char *what, lithe_error *err);
/* The same with the settings beside it (or NULL). */
lithe_tokenizer *tokenizer_from_json_with(const char *text, size_t len, const json_t *settings, const char *what, lithe_error *err);
lithe_tokenizer *tokenizer_from_files(const char *vocab, size_t vocab_len, const char *merges, size_t merges_len,
                                      byte_level_words words, const char *what, const char *what_merges, lithe_error *err);
/* HerBERT's vocab.json and merges.txt, pieces of characters of which the last of a word has </w>; CLIP's, of bytes. */
lithe_tokenizer *tokenizer_from_suffixed(const char *vocab, size_t vocab_len, const char *merges, size_t merges_len, bool bytes,
                                         const char *what, lithe_error *err);
lithe_tokenizer *tokenizer_from_llama2c(const char *data, size_t len, const char *what, lithe_error *err);
/* Lower the letters; drop marks; separate Chinese characters. */
typedef struct { bool lower, marks, spaced; } bert_options;
lithe_tokenizer *tokenizer_from_pieces(const char *text, size_t len, bert_options how, const char *what, lithe_error *err);
lithe_tokenizer *tokenizer_from_world(const char *text, size_t len, const char *what, lithe_error *err);
lithe_tokenizer *tokenizer_from_sentencepiece(const char *data, size_t len, const char *what, lithe_error *err);
/* The same with other numbers. */
lithe_tokenizer *tokenizer_from_fairseq(const char *data, size_t len, numbering how, const char *what, lithe_error *err);
/* The same with pieces that are found in texts before anything else is done with them, as llama.cpp and Hugging Face
 * find special tokens; SentencePiece itself finds none. */
lithe_tokenizer *tokenizer_from_sentencepiece_with(const char *data, size_t len, const added_entry *found, size_t n,
                                                   const char *what, lithe_error *err);
lithe_tokenizer *tokenizer_from_gguf(const char *data, size_t len, const char *what, lithe_error *err);
lithe_tokenizer *tokenizer_bytes(lithe_error *err);

/* Saves it in a MODEL's folder, under lithe_tokenizer_file's name, with a tokenizer_config.json from which
 * transformers' Auto classes and pipelines know all they need. */
typedef struct {
    const char *type;              /* its model_type; NULL: not known */
    int context;                   /* the longest text in tokens; 0: not known */
    bool types;                    /* it has token types */
} tokenizer_user;
int tokenizer_save_for_model(const lithe_tokenizer *t, const char *dir, tokenizer_user model, lithe_error *err);

/* The file as lithe_tokenizer_save writes it (malloc'd); NULL: memory is out, or it cannot be written. */
char *tokenizer_text(const lithe_tokenizer *t, size_t *n);

/* ---- shared by the readers ------------------------------------------------------------ */

lithe_tokenizer *tokenizer_new(lithe_error *err);

/* A token in GPT-2's byte alphabet becomes its bytes; a token with other characters keeps
 * its text and is never found. */
int tokenizer_add_bytes(lithe_tokenizer *t, int64_t id, const char *name, size_t len, const char *what, lithe_error *err);
/* pieces_add with an error message. */
int tokenizer_add(pieces *p, int64_t id, const char *text, size_t len, bool findable, const char *what, lithe_error *err);

/* Reads the byte tokens from the vocabulary: single bytes, or <0x00> .. <0xFF>. */
void tokenizer_find_bytes(lithe_tokenizer *t);
/* Makes BPE's merges from the scores [n] of pieces whose bytes are known. */
int  tokenizer_score_merges(lithe_tokenizer *t, const double *scores, size_t n, const char *what, lithe_error *err);
/* Keeps a copy of the file for saving. */
int  tokenizer_keep_source(lithe_tokenizer *t, const char *text, size_t len, const char *what, lithe_error *err);
/* Adds a chat template, whose text is copied; the one with the name "default" is the usual one. */
int  tokenizer_add_template(lithe_tokenizer *t, const char *name, const char *text, size_t len, const char *what, lithe_error *err);
/* To be called when entries is complete: makes the two matchers, checks ids against the vocabulary, sets roles and
 * flags. */
int  tokenizer_finish(lithe_tokenizer *t, const char *what, lithe_error *err);
/* The first finds roles by the usual names, among the added tokens and the vocabulary; the second sets
 * the flags of each id, and is called again when a role changes. */
void tokenizer_name_roles(lithe_tokenizer *t);
const char *tokenizer_role_key(int role);                          /* "bos_token" ... */
int  tokenizer_flag(lithe_tokenizer *t, const char *what, lithe_error *err);
/* Makes `first`, which has the tokens of roles even where the vocabulary's own tokenizer finds none in texts. */
int  tokenizer_match_first(lithe_tokenizer *t, lithe_error *err);
/* [CLS] A [SEP] and [CLS] A [SEP] B [SEP] with `middle` times the SEP between; the
 * second text has this type. */
void tokenizer_around(lithe_tokenizer *t, int32_t cls, int32_t sep, int middle, int32_t type);
/* The first makes it WordPiece with BERT's normalizer, pre-tokenizer and decoder.  The second, once there is a
 * vocabulary, sets its special tokens ([UNK], and those of [PAD], [CLS], [SEP], [MASK] that it has) and the
 * templates.  The third is for byte-level vocabularies: RoBERTa's five special tokens if it has all of them,
 * else <|endoftext|>. */
void tokenizer_bert_shape(lithe_tokenizer *t, bert_options how);
int  tokenizer_add_bert_specials(lithe_tokenizer *t, const char *what, lithe_error *err);
int  tokenizer_add_bpe_specials(lithe_tokenizer *t, const char *what, lithe_error *err);
int32_t tokenizer_id(const lithe_tokenizer *t, const char *name, size_t len);     /* -1: no such token */

/* The files beside a vocabulary (tokenizer_beside.c).  The first refuses settings for a class of tokenizer that reads
 * this kind of file in another way; the next two say whether they are for a class that reads it, or for this class, and
 * how a .model's pieces are numbered; the last adds their tokens. */
typedef enum { VOCABULARY_WORDPIECE, VOCABULARY_BYTE_LEVEL, VOCABULARY_SENTENCEPIECE, VOCABULARY_JSON } vocabulary_file;
int  tokenizer_check_class(const json_t *config, vocabulary_file file, const char *what, lithe_error *err);
bool tokenizer_class_reads(const json_t *config, vocabulary_file file);
bool tokenizer_is(const json_t *config, const char *class);
bool tokenizer_made_by(const json_t *config, const char *class);   /* the class that opens a tokenizer.json */
/* Whether transformers opens the files of a model of this type by its class, whatever class they name. */
bool tokenizer_type_decides(const char *model_type);
/* The kind of vocabulary to learn for its class; NULL: the type has none of its own. */
const char *tokenizer_kind_of_type(const char *model_type);
numbering tokenizer_numbering(const json_t *config, const char *path);
int  tokenizer_add_beside(lithe_tokenizer *t, const char *dir, const json_t *config, const char *what, lithe_error *err);
/* Follows add_bos_token and add_eos_token, where the settings have them. */
int  tokenizer_surround(lithe_tokenizer *t, const json_t *config, const char *what, lithe_error *err);
bool tokenizer_begins(const lithe_tokenizer *t);           /* whether bos comes before a text, eos after it */
bool tokenizer_ends(const lithe_tokenizer *t);
/* Every key of the settings is used, changes nothing beside this kind of file, or is refused (tokenizer_settings.c). */
int  tokenizer_check_settings(const json_t *config, vocabulary_file file, const char *what, lithe_error *err);
/* Changes the steps of a tokenizer.json to those of the class that makes them anew (class_steps.c), with the settings
 * beside it.  Returns whether it changed anything. */
bool tokenizer_follow_class(json_t *root, const json_t *config);
/* Where LlamaTokenizer puts a mark: "never", before each piece between added tokens ("always"), or before the whole
 * text ("first").  NULL: the settings do not say. */
const char *tokenizer_llama_scheme(const json_t *config);
/* Takes the entries from number `first` on into a finished tokenizer. */
int  tokenizer_take_entries(lithe_tokenizer *t, size_t first, const char *what, lithe_error *err);

/* From now on special tokens are not found in texts, except those of a chat template. */
int  tokenizer_split_special(lithe_tokenizer *t, lithe_error *err);
/* Of a .model: a space is put before the whole text ("first") or nowhere ("never"); `scheme` is a literal. */
void tokenizer_set_scheme(lithe_tokenizer *t, const char *scheme);

/* Adds an entry; its text is copied. */
int tokenizer_add_entry(lithe_tokenizer *t, added_entry e, const char *what, lithe_error *err);

#endif
