#include "tree.h"
#include "test.h"
#include <ctype.h>
#include <dirent.h>
#include <elf.h>
#include <stdlib.h>
#include <unistd.h>

static bool ends_with(const char *name, const char *endings)
{
    if (!*endings) return true;
    const char *dot = strrchr(name, '.'), *at = dot ? strstr(endings, dot) : NULL;
    return at && (at[strlen(dot)] == 0 || at[strlen(dot)] == ' ');
}

void tree_walk(tree *t, const char *dir, const char *endings, const char *without)
{
    DIR *d = opendir(dir);
    for (const struct dirent *e; d && (e = readdir(d)); ) {
        if (e->d_name[0] == '.' || (without && !strcmp(e->d_name, without))) continue;
        char *path = path_join(dir, e->d_name);
        bool inner = path_is_dir(path);
        if (inner) tree_walk(t, path, endings, without);
        if (!inner && ends_with(e->d_name, endings) && t->count < MOST_FILES) t->path[t->count++] = path;
        else free(path);
    }
    if (d) closedir(d);
}

void tree_leave(tree *t) { while (t->count) free(t->path[--t->count]); }

char *tree_text(const char *path)
{
    lithe_error err = { 0 };
    size_t size;
    char *text = file_read(path, 1 << 22, &size, &err);
    if (text) return text;
    test_fail(__FILE__, __LINE__, err.text);
    fflush(stdout);
    _exit(1);
}

char *tree_texts(const tree *t)
{
    size_t size = 0;
    char *all = calloc(1, 1);
    for (int f = 0; f < t->count; f++) {
        char *text = tree_text(t->path[f]);
        size_t n = strlen(text);
        all = realloc(all, size + n + 1);
        memcpy(all + size, text, n + 1);
        size += n;
        free(text);
    }
    return all;
}

void blank_comments(char *text)
{
    for (char *open; (open = strstr(text, "/*")); text = open) {
        char *close = strstr(open, "*/");
        if (!close) return;
        for (; open < close + 2; open++)
            if (*open != '\n') *open = ' ';
    }
}

static bool in_word(char c) { return c == '_' || isalnum((unsigned char)c); }

const char *find_word(const char *text, const char *word)
{
    size_t n = strlen(word);
    for (const char *at = text; (at = strstr(at, word)); at++)
        if ((at == text || !in_word(at[-1])) && !in_word(at[n])) return at;
    return NULL;
}

/* ---- symbols ----------------------------------------------------------------------------- */

static void append(symbol **list, size_t *count, symbol it)
{
    if (!(*count & (*count + 1)) || !*list) *list = realloc(*list, (2 * *count + 2) * sizeof **list);
    (*list)[(*count)++] = it;
}

/* The table of symbols that a linker would look at, NULL where there is none. */
static const Elf64_Shdr *table_of(const mapping *m, const Elf64_Shdr **sections)
{
    const Elf64_Ehdr *h = (const void *)m->data;
    if (m->size < sizeof *h || memcmp(h->e_ident, ELFMAG, SELFMAG) || h->e_ident[EI_CLASS] != ELFCLASS64) return NULL;
    if (h->e_shoff > m->size || (size_t)h->e_shnum * sizeof(Elf64_Shdr) > m->size - h->e_shoff) return NULL;
    *sections = (const void *)(m->data + h->e_shoff);
    for (int i = 0; i < h->e_shnum; i++)
        if ((*sections)[i].sh_type == (h->e_type == ET_REL ? SHT_SYMTAB : SHT_DYNSYM) && (*sections)[i].sh_link < h->e_shnum) return *sections + i;
    return NULL;
}

bool symbols_add(symbols *s, const char *path, const char *where)
{
    mapping m;
    const Elf64_Shdr *sections, *table = file_map(&m, path, NULL) ? NULL : table_of(&m, &sections);
    if (!table) return false;
    const Elf64_Sym *list = (const void *)(m.data + table->sh_offset);
    const char *strings = (const char *)m.data + sections[table->sh_link].sh_offset;
    for (size_t i = 1; i < table->sh_size / sizeof *list; i++) {
        symbol it = { strings + list[i].st_name, where };
        if (ELF64_ST_BIND(list[i].st_info) == STB_LOCAL) continue;
        if (list[i].st_shndx == SHN_UNDEF) append(&s->asked, &s->askeds, it);
        else if (list[i].st_shndx != SHN_ABS) append(&s->given, &s->givens, it);    /* a version's name is absolute */
    }
    return true;
}

static int by_name(const void *a, const void *b) { return strcmp(((const symbol *)a)->name, ((const symbol *)b)->name); }

void symbols_sort(symbols *s)
{
    qsort(s->given, s->givens, sizeof *s->given, by_name);
    qsort(s->asked, s->askeds, sizeof *s->asked, by_name);
}

const symbol *symbols_given(const symbols *s, const char *name) { return bsearch(&(symbol){ .name = name }, s->given, s->givens, sizeof *s->given, by_name); }

bool symbols_asked(const symbols *s, const char *name) { return bsearch(&(symbol){ .name = name }, s->asked, s->askeds, sizeof *s->asked, by_name) != NULL; }

void symbols_leave(symbols *s)
{
    free(s->given);
    free(s->asked);
    *s = (symbols){ 0 };
}
