/* libFuzzer: bytes as a table of labelled text.  The first chooses its kind and
 * its columns, the second the tokenizer, the task and the context.  A table that is
 * accepted has a text in every row, and a label where one is needed; and goes the
 * whole road of training and of classifying (road.h). */
#include "base/file.h"
#include "data/table.h"
#include "road.h"
#include "scratch.h"
#include "text/tokenizer.h"
#include <stdio.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_as(const char *path, const table_columns *c, bool need_label)
{
    lithe_error err = { 0 };
    table t;
    int status = table_read(&t, path, c, need_label, &err);
    assert((status == LITHE_OK) == (err.status == LITHE_OK) && !strchr(err.text, '\n'));
    for (size_t i = 0; !status && i < t.count; i++) {
        assert(t.rows[i].text && t.rows[i].line > 0 && (!need_label || (t.rows[i].label && *t.rows[i].label)));
        assert(!c || !c->pair || *c->pair || !t.rows[i].pair);
    }
    if (!status) table_free(&t);
}

/* BERT's three special tokens around a pair; bytes with nothing around; a template of fourteen. */
static lithe_tokenizer *tokenizer_of(int kind)
{
    static const char words[] = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nthe\ncat\n##s\n.\n";
    static lithe_tokenizer *made[3];
    if (made[kind]) return made[kind];
    made[kind] = kind ? tokenizer_from_pieces(words, sizeof words - 1, (bert_options){ .lower = true }, "words", NULL) : tokenizer_bytes(NULL);
    if (!made[kind]) abort();
    template *pair = &made[kind]->pair;
    for (int i = pair->n; kind == 2 && i < TOKENIZER_STEPS; i++) pair->item[pair->n++] = (template_item){ 3, 1 };
    return made[kind];
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const endings[] = { "tsv", "csv", "jsonl" };
    static const table_columns columns[] = { { 0 }, { "2", "", "1" }, { "text", "pair", "label" } };
    char path[SCRATCH_PATH], dir[SCRATCH_PATH], name[16];
    if (size < 3) return 0;
    const table_columns *c = &columns[data[0] / 3 % 3];
    const lithe_data_options o = { .size = sizeof o, .task = data[1] & 128 ? "regress" : "classify", .valid_share = 0.3,
                                   .text_column = c->text, .pair_column = c->pair, .label_column = c->label };
    snprintf(name, sizeof name, "a.%s", endings[data[0] % 3]);
    scratch_path(path, name);
    scratch_path(dir, "data");
    FILE *f = fopen(path, "wb");
    if (!f) return 0;
    fwrite(data + 2, 1, size - 2, f);
    fclose(f);
    read_as(path, c, data[0] & 64);
    road(path, dir, tokenizer_of(data[1] % 3), &o, 1 + data[1] / 3 % 20, 1);
    unlink(path);
    return 0;
}
