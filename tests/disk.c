/* Nodes are files and directories; a change gives or takes a name in a directory, or alters a file's bytes.  The state
 * of the disk after some changes is made of them anew each time, leaving out those that are lost. */
#include "disk.h"
#include "base/random.h"
#include "base/system.h"
#include "test.h"
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { NODES = 4096, CHANGES = 8192, NAMES = 1024, FDS = 1024, NAME = 64, PAGE = 4096, ROOT = 0, NOWHERE = -1 };

const char *const loss_names[LOSSES] = { "nothing", "what is not synced", "bytes that are not synced", "names that are not synced", "some of what is not synced" };

/* A rename is `put` that also takes `old` from `from`; removing is `put` of NOWHERE. */
typedef enum { PUT, WRITE, CUT, SYNC } kind;
typedef struct {
    kind kind;
    int node, dir, from;                                /* dir, from: directories in which a name changes, or NOWHERE */
    char name[NAME], old[NAME];
    size_t at, size;
    char *bytes;
} change;

typedef struct { int dir, node; char name[NAME]; } entry;
typedef struct { char *bytes; size_t size; } content;
typedef struct { entry names[NAMES]; int count; content files[NODES]; } state;

static char root[PATH_MAX];
static bool directory[NODES];
static int nodes, count, opened[FDS];
static change changes[CHANGES];
static state sure, live;                                /* what was there at the beginning, and what is there now */
static system_calls real;

/* ---- states ----------------------------------------------------------------------------------- */

static entry *find(state *s, int dir, const char *name)
{
    for (int i = 0; i < s->count; i++) if (s->names[i].dir == dir && !strcmp(s->names[i].name, name)) return &s->names[i];
    return NULL;
}

static void take(state *s, int dir, const char *name)
{
    entry *e = find(s, dir, name);
    if (e) *e = s->names[--s->count];
}

static void put_name(state *s, int dir, const char *name, int node)
{
    take(s, dir, name);
    if (node == NOWHERE) return;
    if (s->count == NAMES) abort();
    entry *e = &s->names[s->count++];
    *e = (entry){ .dir = dir, .node = node };
    snprintf(e->name, NAME, "%s", name);
}

static void resize(content *c, size_t size)
{
    c->bytes = realloc(c->bytes, size + 1);
    if (size > c->size) memset(c->bytes + c->size, 0, size - c->size);
    c->size = size;
}

static void put_bytes(content *c, const change *x, size_t first, size_t n)
{
    if (x->at + first + n > c->size) resize(c, x->at + first + n);
    memcpy(c->bytes + x->at + first, x->bytes + first, n);
}

static void apply(state *s, const change *x)
{
    if (x->kind == WRITE) put_bytes(&s->files[x->node], x, 0, x->size);
    if (x->kind == CUT) resize(&s->files[x->node], x->size);
    if (x->kind != PUT) return;
    if (x->from != NOWHERE) take(s, x->from, x->old);
    put_name(s, x->dir, x->name, x->node);
}

static state *copy_of(const state *s)
{
    state *c = malloc(sizeof *c);
    *c = *s;
    for (int i = 0; i < nodes; i++) {
        c->files[i] = (content){ 0 };
        resize(&c->files[i], s->files[i].size);
        if (s->files[i].size) memcpy(c->files[i].bytes, s->files[i].bytes, s->files[i].size);
    }
    return c;
}

static void forget(state *s)
{
    for (int i = 0; i < nodes; i++) free(s->files[i].bytes);
    memset(s, 0, sizeof *s);
}

/* ---- noting --------------------------------------------------------------------------------- */

static int new_node(bool is_directory)
{
    if (nodes == NODES) abort();
    directory[nodes] = is_directory;
    return nodes++;
}

static void note(change x)
{
    if (count == CHANGES) abort();
    if (x.size && x.kind == WRITE) x.bytes = memcpy(malloc(x.size), x.bytes, x.size);
    apply(&live, &x);
    changes[count++] = x;
}

static void note_put(int dir, const char *name, int node)
{
    change x = { .kind = PUT, .node = node, .dir = dir, .from = NOWHERE };
    snprintf(x.name, NAME, "%s", name);
    note(x);
}

/* The directory of a path below root, or NOWHERE, and the last name. */
static int place_of(const char *path, char name[NAME])
{
    size_t n = strlen(root);
    if (strncmp(path, root, n) || path[n] != '/') return NOWHERE;
    int dir = ROOT;
    for (const char *at = path + n; ; ) {
        at += strspn(at, "/");
        size_t length = strcspn(at, "/");
        snprintf(name, NAME, "%.*s", (int)length, at);
        if (!at[length + strspn(at + length, "/")]) return dir;
        const entry *e = find(&live, dir, name);
        if (!e) abort();
        dir = e->node;
        at += length;
    }
}

static int node_at(const char *path)
{
    char name[NAME];
    if (!strcmp(path, root)) return ROOT;
    int dir = place_of(path, name);
    const entry *e = dir == NOWHERE ? NULL : find(&live, dir, name);
    return e ? e->node : NOWHERE;
}

static int noted_open(const char *path, int flags, mode_t mode)
{
    char name[NAME];
    int fd = real.open(path, flags, mode), dir = fd < 0 ? NOWHERE : place_of(path, name);
    if (fd < 0) return fd;
    if (fd >= FDS) abort();
    if (dir != NOWHERE && (flags & O_CREAT) && !find(&live, dir, name)) note_put(dir, name, new_node(false));
    opened[fd] = node_at(path);
    if (opened[fd] != NOWHERE && (flags & O_TRUNC)) note((change){ .kind = CUT, .node = opened[fd] });
    return fd;
}

static ssize_t noted_write(int fd, const void *from, size_t size)
{
    ssize_t n = real.write(fd, from, size);
    int node = fd < FDS ? opened[fd] : NOWHERE;
    if (n > 0 && node != NOWHERE)
        note((change){ .kind = WRITE, .node = node, .at = (size_t)(lseek(fd, 0, SEEK_CUR) - n), .size = (size_t)n, .bytes = (char *)(uintptr_t)from });
    return n;
}

static int noted_ftruncate(int fd, off_t size)
{
    int status = real.ftruncate(fd, size);
    if (!status && opened[fd] != NOWHERE) note((change){ .kind = CUT, .node = opened[fd], .size = (size_t)size });
    return status;
}

/* The disk is not asked to sync really. */
static int noted_fsync(int fd)
{
    if (opened[fd] != NOWHERE) note((change){ .kind = SYNC, .node = opened[fd] });
    return 0;
}

static int noted_mkdir(const char *path, mode_t mode)
{
    char name[NAME];
    int status = real.mkdir(path, mode), dir = status ? NOWHERE : place_of(path, name);
    if (dir != NOWHERE) note_put(dir, name, new_node(true));
    return status;
}

static int noted_link(const char *from, const char *to)
{
    char name[NAME];
    int status = real.link(from, to), dir = status ? NOWHERE : place_of(to, name), node = node_at(from);
    if (dir == NOWHERE) return status;
    if (node == NOWHERE) abort();                       /* tests keep what is linked below root */
    note_put(dir, name, node);
    return status;
}

static int noted_rename(const char *from, const char *to)
{
    change x = { .kind = PUT, .node = node_at(from) };
    int status = real.rename(from, to);
    if (status) return status;
    x.from = place_of(from, x.old);
    x.dir = place_of(to, x.name);
    if (x.node != NOWHERE) note(x);
    return status;
}

static int noted_unlinkat(int at, const char *name, int flags)
{
    char path[PATH_MAX], link[40], last[NAME];
    snprintf(link, sizeof link, "/proc/self/fd/%d", at);
    ssize_t n = at == AT_FDCWD ? 0 : readlink(link, path, sizeof path - 1);
    snprintf(path + n, sizeof path - (size_t)n, "%s%s", n ? "/" : "", name);
    int status = real.unlinkat(at, name, flags), dir = status ? NOWHERE : place_of(path, last);
    if (dir != NOWHERE) note_put(dir, last, NOWHERE);
    return status;
}

/* ---- beginning and end ------------------------------------------------------------------------ */

static void read_file(const char *path, content *c)
{
    struct stat s;
    int fd = open(path, O_RDONLY);
    if (fd < 0 || fstat(fd, &s)) abort();
    resize(c, (size_t)s.st_size);
    if (read(fd, c->bytes, c->size) != (ssize_t)c->size) abort();
    close(fd);
}

static void read_tree(const char *path, int dir)
{
    struct stat s;
    char inside[PATH_MAX];
    DIR *d = opendir(path);
    for (struct dirent *e; d && (e = readdir(d)); ) {
        if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, "..") || snprintf(inside, sizeof inside, "%s/%s", path, e->d_name) < 0 || lstat(inside, &s)) continue;
        int node = new_node(S_ISDIR(s.st_mode));
        put_name(&sure, dir, e->d_name, node);
        if (directory[node]) read_tree(inside, node);
        else read_file(inside, &sure.files[node]);
    }
    if (d) closedir(d);
}

void disk_begin(const char *where)
{
    for (int i = 0; i < count; i++) free(changes[i].bytes);
    forget(&sure);
    forget(&live);
    nodes = count = 0;
    memset(changes, 0, sizeof changes);
    for (int i = 0; i < FDS; i++) opened[i] = NOWHERE;
    if (!realpath(where, root)) abort();
    new_node(true);
    read_tree(root, ROOT);
    state *c = copy_of(&sure);
    live = *c;
    free(c);
    real = os;
    os.open = noted_open;
    os.write = noted_write;
    os.ftruncate = noted_ftruncate;
    os.fsync = noted_fsync;
    os.mkdir = noted_mkdir;
    os.link = noted_link;
    os.rename = noted_rename;
    os.unlinkat = noted_unlinkat;
}

int disk_changes(void) { return count; }
void disk_end(void) { os = real; }

/* ---- losing power ------------------------------------------------------------------------------- */

/* Whether change i is sure to be there after the first n. */
static bool synced(int i, int n)
{
    const change *x = &changes[i];
    for (int k = i + 1; k < n; k++) {
        if (changes[k].kind != SYNC) continue;
        if (x->kind == PUT ? changes[k].node == x->dir || changes[k].node == x->from : changes[k].node == x->node) return true;
    }
    return false;
}

/* A write of which pages are lost; the size may be there without them. */
static void apply_torn(state *s, const change *x, bool all, uint64_t key)
{
    content *c = &s->files[x->node];
    if (x->at + x->size > c->size && random_u64(key, 0) % 2) resize(c, x->at + x->size);
    for (size_t at = 0; at < x->size && !all; at += PAGE) {
        size_t n = x->size - at < PAGE ? x->size - at : PAGE;
        if (random_u64(key, 1 + at) % 2) put_bytes(c, x, at, n);
    }
}

static void apply_unsynced(state *s, const change *x, loss how, uint64_t key)
{
    bool names = x->kind == PUT;
    if (how == LOSES_NOTHING || (how == LOSES_BYTES && names) || (how == LOSES_NAMES && !names)) apply(s, x);
    else if (how == LOSES_SOME && names && random_u64(key, 0) % 2) apply(s, x);
    else if (x->kind == WRITE && how != LOSES_UNSYNCED && how != LOSES_NAMES) apply_torn(s, x, how == LOSES_BYTES, key);
}

static void write_tree(state *s, int dir, const char *path)
{
    char inside[PATH_MAX];
    if (mkdir(path, 0777)) abort();
    for (int i = 0; i < s->count; i++) {
        const entry *e = &s->names[i];
        if (e->dir != dir || snprintf(inside, sizeof inside, "%s/%s", path, e->name) < 0) continue;
        if (directory[e->node]) { write_tree(s, e->node, inside); continue; }
        const content *c = &s->files[e->node];
        int fd = open(inside, O_WRONLY | O_CREAT | O_EXCL, 0666);
        if (fd < 0 || write(fd, c->bytes, c->size) != (ssize_t)c->size) abort();
        close(fd);
    }
}

void disk_after(int n, loss how, uint64_t seed, const char *to)
{
    state *s = copy_of(&sure);
    for (int i = 0; i < n; i++) {
        if (synced(i, n)) apply(s, &changes[i]);
        else apply_unsynced(s, &changes[i], how, key_of(seed, (uint64_t)i));
    }
    write_tree(s, ROOT, to);
    forget(s);
    free(s);
}
