/* TensorBoard event files, which are TFRecords of protocol-buffer Events:
 *   record    length (u64 LE), masked CRC-32C of those 8 bytes, data, masked CRC-32C of the data
 *   Event     1 wall_time (double), 2 step (varint), 3 file_version, 5 Summary, 7 SessionLog
 *   Summary   1 Value;  Value: 1 tag, 2 simple_value (float);  SessionLog: 1 status (START = 1)
 * Invariant: a record reaches the file by one write, so a reader that follows
 * the file never sees part of a record. */
#include "base/file.h"
#include "base/system.h"
#include "base/arena.h"
#include "base/record.h"
#include "train/log.h"
#include "train/tensorboard.h"
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { EVENT_BYTES = 256, TAG_BYTES = 100, FRAME_BYTES = 16 };

typedef struct { uint8_t bytes[EVENT_BYTES]; size_t used; } message;

static void put(message *m, const void *data, size_t size)
{
    if (size > sizeof m->bytes - m->used) return;           /* does not happen: tags are bounded */
    memcpy(m->bytes + m->used, data, size);
    m->used += size;
}

static void put_varint(message *m, uint64_t x)
{
    for (; x > 127; x >>= 7) put(m, &(uint8_t){ (uint8_t)(x | 128) }, 1);
    put(m, &(uint8_t){ (uint8_t)x }, 1);
}

/* wire: 0 varint, 1 eight bytes, 2 length and bytes, 5 four bytes */
static void put_key(message *m, unsigned number, unsigned wire) { put_varint(m, number << 3 | wire); }

static void put_bytes(message *m, unsigned number, const void *data, size_t size)
{
    put_key(m, number, 2);
    put_varint(m, size);
    put(m, data, size);
}

static message event_at(double wall_time, int step)
{
    message m = { .used = 0 };
    put_key(&m, 1, 1);
    put(&m, &wall_time, sizeof wall_time);
    if (step) {
        put_key(&m, 2, 0);
        put_varint(&m, (uint64_t)step);
    }
    return m;
}

static uint32_t masked_crc(const void *data, size_t size)
{
    uint32_t c = crc32c(0, data, size);
    return (c >> 15 | c << 17) + 0xa282ead8u;
}

static int write_event(tensorboard *t, const message *m, lithe_error *err)
{
    uint8_t record[EVENT_BYTES + FRAME_BYTES];
    uint64_t length = m->used;
    uint32_t crc = masked_crc(&length, sizeof length);
    memcpy(record, &length, 8);
    memcpy(record + 8, &crc, 4);
    memcpy(record + 12, m->bytes, m->used);
    crc = masked_crc(m->bytes, m->used);
    memcpy(record + 12 + m->used, &crc, 4);
    return write_record(t->fd, t->path, record, m->used + FRAME_BYTES, err);
}

int tensorboard_create(tensorboard *t, const char *path, double wall_time, lithe_error *err)
{
    *t = (tensorboard){ -1, NULL };
    if (failed(err)) return err->status;
    if (!(t->path = xstrdup(path))) return fail(err, LITHE_ENOMEM, "%s: out of memory", path);
    t->fd = os.open(path, O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0666);
    if (t->fd < 0) return fail_errno(err, path, "write");
    message m = event_at(wall_time, 0);
    put_bytes(&m, 3, "brain.Event:2", 13);
    return write_event(t, &m, err);
}

int tensorboard_open(tensorboard *t, const char *dir, lithe_error *err)
{
    static atomic_uint serial;
    char host[65] = "host", name[160];
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    gethostname(host, sizeof host - 1);
    for (char *c = host; *c; c++) if (*c == '/') *c = '-';
    snprintf(name, sizeof name, "events.out.tfevents.%010lld.%s.%ld.%u", (long long)now.tv_sec, host, (long)getpid(),
             atomic_fetch_add(&serial, 1));
    char *path = path_join(dir, name);
    *t = (tensorboard){ -1, NULL };
    if (!path) return fail(err, LITHE_ENOMEM, "%s: out of memory", dir);
    int status = tensorboard_create(t, path, (double)now.tv_sec + 1e-9 * (double)now.tv_nsec, err);
    free(path);
    return status;
}

int tensorboard_restart(tensorboard *t, double wall_time, int step, lithe_error *err)
{
    message m = event_at(wall_time, step);
    put_bytes(&m, 7, (uint8_t[]){ 1 << 3, 1 }, 2);
    return write_event(t, &m, err);
}

int tensorboard_scalar(tensorboard *t, double wall_time, int step, const char *tag, double value, lithe_error *err)
{
    if (failed(err)) return err->status;
    message scalar = { .used = 0 }, summary = { .used = 0 }, m = event_at(wall_time, step);
    float simple = (float)value;
    put_bytes(&scalar, 1, tag, strnlen(tag, TAG_BYTES));
    put_key(&scalar, 2, 5);
    put(&scalar, &simple, sizeof simple);
    put_bytes(&summary, 1, scalar.bytes, scalar.used);
    put_bytes(&m, 5, summary.bytes, summary.used);
    return write_event(t, &m, err);
}

void tensorboard_close(tensorboard *t)
{
    if (t->path && t->fd >= 0) close(t->fd);
    free(t->path);
    *t = (tensorboard){ -1, NULL };
}
