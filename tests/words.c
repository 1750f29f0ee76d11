/* The words of the project: the field's own, one for each thing; comments of at most
 * 120 columns; and a README in two languages whose commands exist. */
#include "tree.h"
#include "shell.h"
#include "test.h"
#include <ctype.h>
#include <stdlib.h>

/* What is not written, and what is written instead. */
static const struct { const char *word, *instead; } other_words[] = {
    { "picture", "image" }, { "pictures", "images" }, { "sheet", "batch" }, { "sheets", "batches" }, { "looks both ways", "is bidirectional" },
    { "behind", "after" }, { "told", "recognised, or given" }, { "hits", "correct" },
    { "rotary turn", "RoPE" }, { "turns by", "is rotated by" }, { "twin", "copy" }, { "twins", "copies" }, { "wish", "target" }, { "wished", "target, or asked for" },
};
static const char *const written[] = {
    "src", "include", "cli", "tests", "bench", "tools", "docs", "README.md", "README.zh.md", "Makefile",
};

/* Whether `at` lies in the name of a random stream, which is what it is as long as runs are to be the same. */
static bool names_a_stream(const char *text, const char *at)
{
    static const char call[] = "key_of_name(";
    const char *quote = at;
    while (quote > text && *quote != '"' && *quote != '\n') quote--;
    const char *line = quote;
    while (line > text && line[-1] != '\n') line--;
    return *quote == '"' && memmem(line, (size_t)(quote - line), call, sizeof call - 1);
}

/* The first place where the words stand in text by themselves, in small or capital letters; parts of a name count. */
static const char *find_words(const char *text, const char *words)
{
    size_t n = strlen(words);
    for (const char *at = text; *at; at++)
        if (!strncasecmp(at, words, n) && !isalpha((unsigned char)at[n]) && (at == text || !isalpha((unsigned char)at[-1])) && !names_a_stream(text, at)) return at;
    return NULL;
}

static int line_of(const char *text, const char *at)
{
    int line = 1;
    for (; text < at; text++) line += *text == '\n';
    return line;
}

static void check_words(const char *path)
{
    char *text = tree_text(path);
    for (size_t i = 0; i < sizeof other_words / sizeof *other_words; i++) {
        const char *at = find_words(text, other_words[i].word);
        CHECK_MSG(!at, "%s:%d: \"%s\": write %s", path, at ? line_of(text, at) : 0, other_words[i].word, other_words[i].instead);
    }
    free(text);
}

enum { WIDTH = 120 };

/* The number of characters of the UTF-8 text before end. */
static int columns_of(const char *text, const char *end)
{
    int columns = 0;
    for (; text < end; text++) columns += ((unsigned char)*text & 0xc0) != 0x80;
    return columns;
}

/* Fails where a comment of C reaches beyond column WIDTH; code may be wider. */
static void check_width(const char *path)
{
    char *text = tree_text(path), *code = strdup(text);
    blank_comments(code);
    for (char *line = text, *next; *line; line = next) {
        next = line + strcspn(line, "\n");
        const char *end = next;
        while (end > line && end[-1] == code[end - 1 - text]) end--;
        int columns = columns_of(line, end);
        CHECK_MSG(columns <= WIDTH, "%s:%d: a comment ends in column %d, at most %d is allowed", path, line_of(text, line), columns, WIDTH);
        next += *next == '\n';
    }
    free(code);
    free(text);
}

static void words_are_the_fields(void)
{
    CHECK(find_words("a Picture.", "picture") && find_words("put_pictures()", "pictures") && !find_words("depicture", "picture") && !find_words("a pictured", "picture"));
    CHECK(!find_words("key_of_name(seed, \"picture order\")", "picture") && find_words("fail(err, \"no picture\")", "picture"));
    tree t = { 0 };
    if (!path_exists(test_file("src"))) test_skip("no source tree");
    for (size_t i = 0; i < sizeof written / sizeof *written; i++) {
        char *path = strdup(test_file(written[i]));
        CHECK_MSG(path_exists(path), "%s is not there", path);
        if (path_is_dir(path)) tree_walk(&t, path, ".c .h .md .py .sh", NULL);
        else if (path_exists(path)) check_words(path);
        free(path);
    }
    for (int f = 0; f < t.count; f++)
        if (strcmp(path_base(t.path[f]), "words.c")) check_words(t.path[f]);
    CHECK(t.count > 400);
    tree_leave(&t);
}

static void comments_are_narrow(void)
{
    static const char *const rooms[] = { "src", "include", "cli", "tests", "bench" };
    tree t = { 0 };
    if (!path_exists(test_file("src"))) test_skip("no source tree");
    for (size_t i = 0; i < sizeof rooms / sizeof *rooms; i++) {
        char *path = strdup(test_file(rooms[i]));
        CHECK_MSG(path_is_dir(path), "%s is no directory", path);
        tree_walk(&t, path, ".c .h", NULL);
        free(path);
    }
    for (int f = 0; f < t.count; f++) check_width(t.path[f]);
    CHECK(t.count > 400);
    tree_leave(&t);
}

/* ---- the commands of the READMEs ------------------------------------------------------------ */

enum { COMMANDS = 100 };
typedef struct { char *text, *line[COMMANDS]; int count; } commands;

/* The indented lines that call lithe or make, without the remark at their end. */
static commands commands_of(const char *file)
{
    commands c = { tree_text(test_file(file)), { 0 }, 0 };
    for (char *line = strtok(c.text, "\n"); line; line = strtok(NULL, "\n")) {
        if (strncmp(line, "    lithe ", 10) && strncmp(line, "    make ", 9)) continue;
        line[strcspn(line, "#")] = 0;
        for (size_t n = strlen(line); n && line[n - 1] == ' '; ) line[--n] = 0;
        if (c.count < COMMANDS) c.line[c.count++] = line + 4;
    }
    return c;
}

static void check_command(const char *line)
{
    char verb[40] = "", word[60];
    if (sscanf(line, "lithe %39s", verb) != 1) return;
    CHECK_MSG(sh("$L %s --help", verb) == 0, "%s: there is no such verb", line);
    for (const char *at = line; (at = strstr(at, " --")); at++) {
        if (sscanf(at, " %59s", word) == 1) CHECK_MSG(find_word(out, word), "%s: the verb has no option %s", line, word);
    }
}

static void commands_exist_in_both_languages(void)
{
    if (!path_exists(test_file("README.md"))) test_skip("no source tree");
    commands english = commands_of("README.md"), chinese = commands_of("README.zh.md");
    CHECK_MSG(english.count > 20 && english.count == chinese.count, "%d commands in README.md, %d in README.zh.md", english.count, chinese.count);
    for (int i = 0; i < english.count; i++) {
        check_command(english.line[i]);
        CHECK_MSG(i < chinese.count && !strcmp(english.line[i], chinese.line[i]), "README.zh.md lacks, or has elsewhere: %s", english.line[i]);
    }
    free(english.text);
    free(chinese.text);
}

const test tests_words[] = {
    { "words: those of the field", words_are_the_fields },
    { "words: comments end at column 120", comments_are_narrow },
    { "words: the commands of the READMEs exist, in both languages", commands_exist_in_both_languages },
    { 0 }
};
