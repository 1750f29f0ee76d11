/* Architectures are named where they are described, in src/arch: the rest of the
 * library and the program ask the description. */
#include "arch/arch.h"
#include "test.h"
#include "tree.h"
#include <stdlib.h>

/* The architecture that is called word.  A kind of vocabulary may be called as the architecture it was published
 * with. */
static const arch *called(const char *word)
{
    for (int i = 0; architectures[i]; i++)
        if (architectures[i]->vocabulary && !strcmp(architectures[i]->vocabulary, word)) return NULL;
    for (int i = 0; architectures[i]; i++)
        if (!strcmp(architectures[i]->name, word) || arch_alias(architectures[i], word)) return architectures[i];
    return NULL;
}

/* The first architecture that a string in this line of C names.  Examples of commands name what they like. */
static const arch *named_in(const char *line)
{
    const char *at = strchr(line, '"');
    char word[32];
    if (!at || strstr(line, "\"  lithe ")) return NULL;
    for (bool inside = true; *++at; ) {
        size_t n = strspn(at, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.");
        if (*at == '"' && at[-1] != '\\') inside = !inside;
        if (!n) continue;
        size_t length = at[n - 1] == '.' ? n - 1 : n;           /* less a full stop, but rwkv.cpp is one word */
        snprintf(word, sizeof word, "%.*s", length < sizeof word ? (int)length : 0, at);
        if (inside && called(word)) return called(word);
        at += n - 1;
    }
    return NULL;
}

static void check_file(const char *path)
{
    char *text = tree_text(path), *rest = text;
    for (char *line; (line = strsep(&rest, "\n")); ) {
        const arch *a = named_in(line);
        CHECK_MSG(!a, "%s names %s, which its description in src/arch should say: %s", path, a->name, line);
    }
    free(text);
}

/* Tokenizers of GGUF and kinds of vocabularies are called as architectures are; the class of others follows from the
 * model_type beside them. */
static bool names_tokenizers(const char *path)
{
    static const char *const files[] = { "/src/text/tokenizer_gguf", "/src/text/pre_tokenizers", "/src/text/tokenizer_beside", "/src/text/tokenizer_train", "/cli/verb_tokenizer" };
    for (int i = 0; i < 5; i++)
        if (strstr(path, files[i])) return true;
    return false;
}

/* src/files names them too: its formats say model_type in their own words. */
static void architectures_are_named_in_arch(void)
{
    tree t = { 0 };
    int checked = 0;
    CHECK(named_in("a = \"gpt2\";") && named_in("\"of bert (or not)\"") && !named_in("gpt2 = \"gpt2x\";") && !named_in("\"x\" gpt2 \"y\""));
    tree_walk(&t, test_file("src"), ".c .h", NULL);
    tree_walk(&t, test_file("cli"), ".c .h", NULL);
    if (!t.count) test_skip("no source tree");
    for (int i = 0; i < t.count; i++)
        if (!strstr(t.path[i], "/src/arch/") && !strstr(t.path[i], "/src/files/") && !names_tokenizers(t.path[i])) check_file(t.path[i]), checked++;
    CHECK_MSG(checked > 100 && checked < t.count, "%d files checked of %d", checked, t.count);
    tree_leave(&t);
}

const test tests_arch_names[] = {
    { "rooms: architectures are named in arch alone", architectures_are_named_in_arch },
    { 0 }
};
