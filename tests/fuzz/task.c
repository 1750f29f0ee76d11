/* libFuzzer: bytes as a task file (first byte 0), or as the data of a held task: the first byte chooses the task, the
 * second the ending of the file's name.  An item that is made has at least one choice and a right one among them. */
#include "eval/task_cache.h"
#include "scratch.h"
#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void make_items(const task_file *t, const char *path)
{
    lithe_error err = { 0 };
    task_data d;
    task_item x;
    int status = task_data_read(&d, t, path, &err);
    assert((status == LITHE_OK) == (err.status == LITHE_OK) && !strchr(err.text, '\n'));
    if (status) return;
    for (size_t i = 0; i < d.count && i < 100 && !status; i++) {
        arena memory = { 0 };
        status = task_item_make(&x, &d, i, t, &memory, &err);
        assert((status == LITHE_OK) == (err.status == LITHE_OK) && !strchr(err.text, '\n'));
        if (!status) assert(x.count > 0 && x.count <= CHOICES_MOST && x.answer >= 0 && x.answer < x.count && x.text[x.answer] && x.context[x.answer]);
        arena_free(&memory);
    }
    task_data_free(&d);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const endings[] = { "jsonl", "txt", "csv" };
    lithe_error err = { 0 };
    char path[SCRATCH_PATH], name[16];
    if (size < 2) return 0;
    task_cache c = { 0 };
    task_cache_read(&c, (const char *)data, size, 10);
    for (size_t i = 0; i < c.count; i++) assert(c.items[i].count >= 0 && c.items[i].count <= CHOICES_MOST);
    task_cache_close(&c);
    int held = 0;
    while (held_tasks[held].name) held++;
    task_file *t = data[0] ? task_file_open(held_tasks[data[0] % held].name, &err) : task_file_parse((const char *)data + 2, size - 2, "fuzz", &err);
    assert(!t == (err.status != LITHE_OK) && !strchr(err.text, '\n'));
    if (t && data[0]) {
        snprintf(name, sizeof name, "a.%s", endings[data[1] % 3]);
        scratch_path(path, name);
        FILE *f = fopen(path, "wb");
        if (f) {
            fwrite(data + 2, 1, size - 2, f);
            fclose(f);
            make_items(t, path);
            unlink(path);
        }
    }
    task_file_close(t);
    return 0;
}
