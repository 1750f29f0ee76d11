/* The components of a tokenizer.json, one by one. */
#include "text_tests.h"
#include "base/json.h"
#include "base/random.h"
#include "text/pattern.h"
#include "base/utf8.h"
#include <stdlib.h>

/* ---- components of tokenizer.json --------------------------------------------------------------- */

typedef struct { char text[1000]; size_t n; } joined;

static void join(void *context, const char *text, size_t len)
{
    joined *j = context;
    j->n += (size_t)snprintf(j->text + j->n, sizeof j->text - j->n, "%s%.*s", j->n ? "|" : "", (int)len, text);
}

typedef struct { char *text; size_t n; } joined_long;

static void join_long(void *context, const char *text, size_t len)
{
    joined_long *j = context;
    memcpy(j->text + j->n, text, len);
    memcpy(j->text + j->n + len, "|", 2);
    j->n += len + 1;
}

static void check_split(const char *pre_tokenizer, const char *text, const char *expected)
{
    lithe_error err = { 0 };
    char *sequence = NULL;
    if (asprintf(&sequence, "{\"type\":\"Sequence\",\"pretokenizers\":[%s," BYTE_LEVEL "]}", pre_tokenizer) < 0) return;
    lithe_tokenizer *t = text_build(strstr(pre_tokenizer, "ByteLevel") ? pre_tokenizer : sequence, "", "[]", "", "", &err);
    CHECK_MSG(t, "%s", err.text);
    joined j = { 0 };
    if (t) split_text(t->split, t->n_split, text, strlen(text), true, join, &j, NULL);
    CHECK_MSG(!strcmp(j.text, expected), "%s of %s is %s", pre_tokenizer, text, j.text);
    lithe_tokenizer_close(t);
    free(sequence);
}

/* The words are those of Hugging Face's tokenizers 0.23. */
void text_splits(void)
{
    check_split(SPLIT("String", "-", "Isolated", "false"), "a-b--c", "a|-|b|-|-|c");
    check_split(SPLIT("String", "-", "Removed", "false"), "a-b--c", "a|b|c");
    check_split(SPLIT("String", "-", "MergedWithPrevious", "false"), "a-b--c", "a-|b-|-|c");
    check_split(SPLIT("String", "-", "MergedWithNext", "false"), "a-b--c", "a|-b|-|-c");
    check_split(SPLIT("String", "-", "Contiguous", "false"), "a-b--c", "a|-|b|--|c");
    check_split(SPLIT("String", "-", "Removed", "true"), "a-b--c", "-|-|-");
    check_split(SPLIT("Regex", "[^\\\\S ]+", "Isolated", "false"), "a \t\nb", "a |\t\n|b");
    check_split(SPLIT("Regex", "(?=[A-Z])", "Isolated", "false"), "oneTwoTHree", "one|Two|T|Hree");
    check_split(SPLIT("Regex", "\\\\w+|[^\\\\w\\\\s]+", "Isolated", "false"), "caf\u00e9 a\u0300b!? x", "caf\u00e9| |a\u0300b|!?| |x");
    check_split(SPLIT("Regex", "\\\\s+$", "Isolated", "false"), "a  \nb ", "a|  |\nb| ");
    check_split("{\"type\":\"Digits\",\"individual_digits\":true}", "ab12\u0967c", "ab|1|2|\u0967|c");
    check_split("{\"type\":\"Digits\",\"individual_digits\":false}", "ab12\u0967c", "ab|12\u0967|c");
    check_split("{\"type\":\"ByteLevel\",\"add_prefix_space\":true,\"use_regex\":true}", "it's 12  x\n", " it|'s| 12| | x|\n");
    check_split("{\"type\":\"ByteLevel\",\"add_prefix_space\":true,\"use_regex\":true}", " a", " a");
}

/* The hand-written scanner and PCRE2 give the same words. */
/* Whether matches and what lies between them are the pieces; what is otherwise. */
static const char *other_pieces(pattern *p, const char *text, const json_t *expected)
{
    static char seen[400];
    const size_t len = strlen(text);
    size_t at = 0, start, end, n = 0;
    int length = 0;
    bool same = true;
    pattern_begin(p, len);
    while (at < len) {
        bool found = pattern_find(p, text, len, at, &start, &end) && end > start;
        const size_t stop = !found ? len : start > at ? start : end;
        const char *wanted = json_string_value(json_array_get(expected, n++));
        same &= wanted && strlen(wanted) == stop - at && !memcmp(wanted, text + at, stop - at);
        length += snprintf(seen + length, sizeof seen - (size_t)length, "%s%.*s", n > 1 ? "|" : "", (int)(stop - at), text + at);
        at = stop;
    }
    return same && n == json_array_size(expected) ? NULL : seen;
}

/* As Oniguruma reads the same pattern, by tools/golden_patterns.py. */
void text_oniguruma_patterns(void)
{
    lithe_error err = { 0 };
    json_t *rows = json_read(test_file("tests/golden/text/patterns.json"), 1 << 20, 8, &err), *row;
    size_t i;
    CHECK_MSG(json_array_size(rows) > 40, "%s", err.text);
    json_array_foreach(rows, i, row) {
        const char *text = json_string_value(json_object_get(row, "pattern")), *other = NULL;
        pattern *p = pattern_new(text, strlen(text), false, "test", &err);
        CHECK_MSG(p, "%s: %s", text, err.text);
        if (p) other = other_pieces(p, json_string_value(json_object_get(row, "text")), json_object_get(row, "pieces"));
        CHECK_MSG(!other, "%s: %s", text, other);
        pattern_free(p);
        err = (lithe_error){ 0 };
    }
    json_decref(rows);
}

/* What PCRE2 would read otherwise, and what Oniguruma has no equal of. */
void text_patterns_refused(void)
{
    static const char *const patterns[] = { "\\h+", "\\X", "[a[b]]", "[a&&b]", "(?s)a.", "(?P<n>a)", "(?~ab)", "\\xe3\\x81\\x82", "\\p{Alnum}", "[\\W]", "\\u30", "\\G a", "(?i", "[a", "a)" };
    for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++) {
        lithe_error err = { 0 };
        pattern *p = pattern_new(patterns[i], strlen(patterns[i]), false, "test", &err);
        CHECK_MSG(!p && err.status == LITHE_EFORMAT, "%s: %d %s", patterns[i], err.status, err.text);
        pattern_free(p);
    }
}

void text_gpt2_pattern(void)
{
    lithe_error err = { 0 };
    pattern *p = pattern_new(SPLIT_GPT2_PATTERN, strlen(SPLIT_GPT2_PATTERN), false, "test", &err);
    CHECK_MSG(p, "%s", err.text);
    static const char *const ends[] = { "'s", "'ll", "'d", "'S", "' ", "  ", " ", "\r\n", "" };
    for (uint64_t k = 0; k < 3000; k++) {
        char raw[80], text[200];
        size_t n = text_random(raw, sizeof raw, k + 1000), len = 0;
        for (size_t i = 0, c; i < n; i += c) {              /* valid characters only, which PCRE2 requires */
            int32_t ch;
            c = (size_t)utf8_next(raw + i, n - i, &ch);
            if (ch >= 0x10d00 && ch < 0x1f000) continue;   /* letters that one of the two libraries does not know yet */
            if (ch >= 0) { memcpy(text + len, raw + i, c); len += c; }
            else len += (size_t)sprintf(text + len, "%s", ends[(unsigned char)raw[i] % 9]);
        }
        pattern_begin(p, len);
        for (size_t at = 0, start, end; at < len; at = end) {
            CHECK(pattern_find(p, text, len, at, &start, &end) && start == at);
            size_t ours = split_gpt2(text + at, len - at);
            CHECK_MSG(ours == end - at, "text %d at %zu: %zu, PCRE2 %zu", (int)k, at, ours, end - at);
            if (end <= at) break;
        }
    }
    pattern_free(p);
}

/* ids as text: a byte as itself, others as <id> */
static void check_ids(lithe_tokenizer *t, const char *text, int special, const char *expected)
{
    size_t n, k = 0;
    int32_t *ids = text_ids(t, text, strlen(text), special, &n);
    char shown[1000] = "";
    for (size_t i = 0; i < n; i++)
        k += (size_t)(ids[i] < 256 ? snprintf(shown + k, sizeof shown - k, "%c", ids[i]) : snprintf(shown + k, sizeof shown - k, "<%d>", (int)ids[i]));
    CHECK_MSG(!strcmp(shown, expected), "%s gives %s, not %s", text, shown, expected);
    free(ids);
}

void text_added_tokens(void)
{
    lithe_error err = { 0 };
    lithe_tokenizer *t = text_build(BYTE_LEVEL, "", "[]", "", ",\"added_tokens\":["
        ADDED(256, "<m>", ",\"lstrip\":true,\"rstrip\":true,\"special\":true,\"normalized\":false") ","
        ADDED(257, "  ", ",\"normalized\":false") "," ADDED(258, "wor", ",\"single_word\":true,\"normalized\":false") ","
        ADDED(259, "world", ",\"normalized\":false") "," ADDED(260, "\u0144", ",\"normalized\":true") "],\"normalizer\":{\"type\":\"NFC\"}", &err);
    CHECK_MSG(t, "%s", err.text);
    check_ids(t, "a  <m>   b", 0, "a<257><256><257> b");
    check_ids(t, "a   b<m>   <m>", 0, "a<257> b<256><257><256>");
    check_ids(t, "a <m>\t <m>b", 0, "a<256><256>b");
    check_ids(t, "wor world worx wor.", 0, "<258> <259> worx <258>.");
    check_ids(t, "xn\u0301y\u0144", 0, "x<260>y<260>");
    CHECK(lithe_tokenizer_vocab(t) == 261);
    CHECK(text_comes_back(t, "wor \u0144 <", 8));
    lithe_tokenizer_close(t);
}

void text_templates(void)
{
    static const char *const post[] = {
        "{\"type\":\"TemplateProcessing\",\"single\":[{\"SpecialToken\":{\"id\":\"[A]\",\"type_id\":0}},{\"Sequence\":{\"id\":\"A\",\"type_id\":0}},"
        "{\"SpecialToken\":{\"id\":\"[B]\",\"type_id\":0}}],\"pair\":[],\"special_tokens\":{\"[A]\":{\"id\":\"[A]\",\"ids\":[256],\"tokens\":[\"[A]\"]},"
        "\"[B]\":{\"id\":\"[B]\",\"ids\":[257],\"tokens\":[\"[B]\"]}}}",
        "{\"type\":\"RobertaProcessing\",\"sep\":[\"[B]\",257],\"cls\":[\"[A]\",256],\"trim_offsets\":true,\"add_prefix_space\":false}",
        "{\"type\":\"BertProcessing\",\"sep\":[\"[B]\",257],\"cls\":[\"[A]\",256]}" };
    for (int i = 0; i < 3; i++) {
        lithe_error err = { 0 };
        char rest[2000];
        snprintf(rest, sizeof rest, ",\"added_tokens\":[" ADDED(256, "[A]", ",\"special\":true") "," ADDED(257, "[B]", ",\"special\":true") "],"
                 "\"post_processor\":{\"type\":\"Sequence\",\"processors\":[{\"type\":\"ByteLevel\"},%s]}", post[i]);
        lithe_tokenizer *t = text_build(BYTE_LEVEL, "", "[]", "", rest, &err);
        CHECK_MSG(t, "%s", err.text);
        check_ids(t, "hi", 1, "<256>hi<257>");
        check_ids(t, "h[B]i", 0, "h<257>i");
        check_ids(t, "", 1, "<256><257>");
        lithe_tokenizer_close(t);
    }
}

#define MERGED ",\"ab\":256,\"abc\":257,\"\u0120a\":258,\"bc\":259,\"xyz\":260,\"a b\":261"

void text_merge_forms(void)
{
    lithe_error err = { 0 };
    static const char *const forms[] = { "[\"b c\",\"a b\",\"ab c\",\"\u0120 a\"]", "[[\"b\",\"c\"],[\"a\",\"b\"],[\"ab\",\"c\"],[\"\u0120\",\"a\"]]" };
    for (int i = 0; i < 2; i++) {
        lithe_tokenizer *t = text_build(BYTE_LEVEL, MERGED, forms[i], "", "", &err);
        CHECK_MSG(t, "%s", err.text);
        check_ids(t, "abc ab xyz", 0, "a<259> <256> xyz");
        lithe_tokenizer_close(t);
    }
    lithe_tokenizer *t = text_build(BYTE_LEVEL, MERGED, forms[0], ",\"ignore_merges\":true", "", &err);
    check_ids(t, "xyz", 0, "<260>");
    check_ids(t, "a b", 0, "a b");                          /* a token with a raw space is never found */
    check_ids(t, "xyzz", 0, "xyzz");
    lithe_tokenizer_close(t);
}

static char *normal(normal_kind kind, const char *text, size_t len, size_t *n)
{
    const normal_step step = { .kind = kind };
    char *form = normalize(&step, 1, text, len, n, NULL);
    if (form != text) return form;
    form = malloc(len + 1);
    memcpy(form, text, len);
    return form;
}

static void check_normal(normal_kind kind, const char *text, const char *expected)
{
    size_t n;
    char *form = normal(kind, text, strlen(text), &n);
    CHECK_MSG(n == strlen(expected) && !memcmp(form, expected, n), "%s becomes %.*s", text, (int)n, form);
    free(form);
}

void text_normal_forms(void)
{
    check_normal(NORMAL_NFC, "plain", "plain");
    check_normal(NORMAL_NFC, "e\u0301 \u212b \u1100\u1161\u11a8", "\u00e9 \u00c5 \uac01");
    check_normal(NORMAL_NFD, "\u00e9\uac01x", "e\u0301\u1100\u1161\u11a8x");
    check_normal(NORMAL_NFKC, "\ufb01\u00b2 e\u0301", "fi2 \u00e9");
    check_normal(NORMAL_NFKD, "\u00e9\u2167", "e\u0301VIII");
    check_normal(NORMAL_NFC, "q\u0307\u0323", "q\u0323\u0307");
    check_normal(NORMAL_NFC, "\xff" "e\u0301\xc3(\u00e9\xe2\x82", "\xff\u00e9\xc3(\u00e9\xe2\x82");
    char *marks = malloc(1 << 20);                          /* canonical ordering is quadratic in a run of marks */
    for (size_t i = 0; i + 4 <= 1 << 20; i += 4) memcpy(marks + i, "\u0301\u0323", 4);
    size_t n;
    double start = text_seconds();
    free(normal(NORMAL_NFC, marks, 1 << 20, &n));
    CHECK(n > 0 && text_seconds() - start < 5);
    free(marks);
}

/* Matches longer than the first window of a search. */
void text_long_matches(void)
{
    lithe_error err = { 0 };
    lithe_tokenizer *t = text_build("{\"type\":\"Sequence\",\"pretokenizers\":[" SPLIT("Regex", "\\\\s+(?!\\\\S)|\\\\p{L}+(?=1)|1", "Isolated", "false") "," BYTE_LEVEL "]}",
                               "", "[]", "", "", &err);
    CHECK_MSG(t, "%s", err.text);
    char text[20000];
    for (size_t n = 200; n < 9000; n = n * 5 / 4) {
        memset(text, '-', 700);
        memset(text + 700, 'a', n);
        memcpy(text + 700 + n, "1", 1);
        memset(text + 701 + n, ' ', n);
        text[701 + 2 * n] = 0;
        char shown[20100] = "", expected[20100] = "";
        joined_long j = { shown, 0 };
        split_text(t->split, t->n_split, text, 701 + 2 * n, true, join_long, &j, NULL);
        snprintf(expected, sizeof expected, "%.700s|%.*s|1|%.*s|", text, (int)n, text + 700, (int)n, text + 701 + n);
        CHECK_MSG(!strcmp(shown, expected), "%zu", n);
    }
    lithe_tokenizer_close(t);
}

