/* Sources of labelled images: finds the files, and by their names the part and the class (data/image_set.h).  Links to
 * directories are skipped, since they may form a cycle. */
#include "base/file.h"
#include "base/arena.h"
#include "base/system.h"
#include "base/dir_names.h"
#include "data/image_set.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

enum { DIRECTORY_DEPTH = 16, CLASS_NAME = 256, LIST_BYTES = 1 << 28 };

/* ---- names ------------------------------------------------------------------------ */

static bool ends_with(const char *name, size_t size, const char *ending)
{
    size_t n = strlen(ending);
    return size > n && !strncasecmp(name + size - n, ending, n);
}

/* The length without .gz or .zst. */
static size_t unpacked_length(const char *name)
{
    size_t n = strlen(name);
    return ends_with(name, n, ".gz") ? n - 3 : ends_with(name, n, ".zst") ? n - 4 : n;
}

bool image_file_name(const char *name)
{
    size_t n = strlen(name);
    return ends_with(name, n, ".png") || ends_with(name, n, ".jpg") || ends_with(name, n, ".jpeg");
}

typedef enum { SOURCE_NONE, SOURCE_IDX, SOURCE_LABELS, SOURCE_RECORDS, SOURCE_TAR, SOURCE_IMAGE } source_kind;

static source_kind kind_of(const char *name)
{
    size_t n = unpacked_length(name);
    if (image_file_name(name)) return SOURCE_IMAGE;
    if (strstr(name, "idx3-ubyte")) return SOURCE_IDX;
    if (strstr(name, "idx1-ubyte")) return SOURCE_LABELS;
    if (ends_with(name, n, ".bin")) return SOURCE_RECORDS;
    if (ends_with(name, n, ".tar") || ends_with(name, strlen(name), ".tgz")) return SOURCE_TAR;
    return SOURCE_NONE;
}

/* The part that the first letters of a file's or folder's name mean. */
static image_part part_of(const char *name, size_t length)
{
    static const struct { const char *word; image_part part; } words[] = {
        { "train", PART_TRAIN }, { "data_batch", PART_TRAIN }, { "val", PART_VALID }, { "test", PART_TEST }, { "t10k", PART_TEST },
    };
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        size_t n = strlen(words[i].word);
        if (length >= n && !strncasecmp(name, words[i].word, n)) return words[i].part;
    }
    return PART_NONE;
}

/* A folder is a part when its whole name is that of a part; else it may be a class (images of the class "train" are
 * then in a folder of a part). */
static image_part part_of_folder(const char *name, size_t length)
{
    static const char *const whole[] = { "train", "training", "val", "valid", "validation", "test", "testing" };
    for (size_t i = 0; i < sizeof whole / sizeof *whole; i++)
        if (strlen(whole[i]) == length && !strncasecmp(name, whole[i], length)) return part_of(name, length);
    return PART_NONE;
}

/* ---- image files -------------------------------------------------------------------- */

/* A name on the way begins with a full stop, or is the folder of macOS's resource forks. */
static bool is_hidden(const char *name)
{
    static const char forks[] = "__MACOSX";
    for (const char *at = name; at; at = strchr(at, '/')) {
        at += *at == '/';
        if (!strncmp(at, forks, sizeof forks - 1) && (!at[sizeof forks - 1] || at[sizeof forks - 1] == '/')) return true;
        if (*at == '.' && at[1] && at[1] != '/' && !(at[1] == '.' && (!at[2] || at[2] == '/'))) return true;
    }
    return false;
}

/* The innermost folder of `name` is the class, "" where there is none; a folder that is a part sets the part. */
static int read_folders(const char *path, const char *name, char class_name[CLASS_NAME], image_part *part, lithe_error *err)
{
    const char *at = name, *slash;
    *class_name = 0;
    for (; (slash = strchr(at, '/')); at = slash + 1) {
        size_t n = (size_t)(slash - at);
        image_part said = part_of_folder(at, n);
        if (!n || (n == 1 && *at == '.')) continue;
        if (said && strchr(slash + 1, '/')) *part = said;
        if (n >= CLASS_NAME) return fail(err, LITHE_EFORMAT, "%s: the name of a class of %zu bytes", path, n);
        memcpy(class_name, at, n);
        class_name[n] = 0;
    }
    return LITHE_OK;
}

/* said: the class, where it is not that of the folder; NULL: it is. */
static int add_image(image_set *s, const char *path, const char *name, const uint8_t *bytes, size_t size, image_part part, const char *said, lithe_error *err)
{
    char class_name[CLASS_NAME];
    if (is_hidden(name)) return set_leave(s, LEFT_HIDDEN, path, name, err);
    if (!image_file_name(name)) return set_leave(s, LEFT_FORMAT, path, name, err);
    int status = read_folders(path, name, class_name, &part, err);
    if (!status && said && strlen(said) >= CLASS_NAME) status = fail(err, LITHE_EFORMAT, "%s: the name of a class of %zu bytes", path, strlen(said));
    if (!status && said) snprintf(class_name, sizeof class_name, "%s", said);
    if (!status && !*class_name && set_needs_classes(s)) status = fail(err, LITHE_EFORMAT, "%s/%s: lies in no folder named after its class", path, name);
    if (status) return status;
    char *joined = *name == '/' ? xstrdup(name) : path_join(path, name);
    const char *full = joined ? set_text(s, joined, err) : NULL, **class_names = set_array(s, 1, sizeof *class_names, err);
    free(joined);
    if (!full || !class_names || !(*class_names = set_text(s, class_name, err))) return fail(err, LITHE_ENOMEM, "%s: out of memory for its images", path);
    return set_add(s, &(image_run){ .name = full, .part = part, .count = 1, .path = bytes ? NULL : full, .bytes = bytes, .size = size,
                                    .class_names = class_names, .class_count = 1 }, err);
}

int image_file_add(image_set *s, const char *path, const char *name, const uint8_t *bytes, size_t size, image_part part, lithe_error *err)
{
    return add_image(s, path, name, bytes, size, part, NULL, err);
}

/* ---- lists ---------------------------------------------------------------------------- */

/* Takes the next line out of the text, without its end, and what is after a tab in it (NULL: no tab). */
static char *next_line(char **text, char **after)
{
    char *line = *text, *end = strchr(line, '\n');
    *text = end ? end + 1 : line + strlen(line);
    if (end) *end = 0;
    end = line + strlen(line);
    if (end > line && end[-1] == '\r') end[-1] = 0;
    if ((*after = strchr(line, '\t'))) *(*after)++ = 0;
    return line;
}

/* A text whose first line names an image.  Of a pipe nothing is taken: what is read of it is gone. */
static bool is_list(const char *path)
{
    static const char *const endings[] = { ".txt", ".lst", ".list" };
    char begin[4096] = "", *rest = begin, *after;
    bool named = false;
    struct stat ignored;
    ssize_t n = 0;
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) named |= ends_with(path, strlen(path), endings[i]);
    const int fd = named ? file_open_regular(path, &ignored, NULL) : -1;
    if (fd < 0) return false;
    n = os.read(fd, begin, sizeof begin - 1);
    if (n < 0) fail_errno(NULL, path, "read");
    close(fd);
    begin[n > 0 ? n : 0] = 0;
    return image_file_name(next_line(&rest, &after));
}

static int add_listed(image_set *s, const char *list, const char *folder, size_t line, const char *name, const char *class_name, lithe_error *err)
{
    char *full = *name == '/' ? xstrdup(name) : path_join(folder, name);
    int status = !full ? fail(err, LITHE_ENOMEM, "%s: out of memory for its images", list)
               : !path_exists(full) || path_is_dir(full) ? fail(err, LITHE_EIO, "%s: line %zu: there is no file %s", list, line, full)
               : add_image(s, folder, name, NULL, 0, PART_NONE, class_name, err);
    free(full);
    return status;
}

static int add_list(image_set *s, const char *path, lithe_error *err)
{
    size_t size, line = 0, before = set_runs(s);
    char *text = file_read(path, LIST_BYTES, &size, err), *folder = text ? path_parent(path) : NULL;
    int status = text && folder ? LITHE_OK : failed(err) ? (int)err->status : fail(err, LITHE_ENOMEM, "%s: out of memory", path);
    const char *const under = status || strcmp(folder, ".") ? folder : "";
    for (char *rest = text, *after; !status && *rest; ) {
        const char *name = next_line(&rest, &after);
        line++;
        if (*name) status = add_listed(s, path, under, line, name, after, err);
    }
    set_sort(s, before);
    free(folder);
    free(text);
    return status;
}

/* ---- files and directories ------------------------------------------------------------------- */

static int add_file(image_set *s, const char *path, image_part part, lithe_error *err)
{
    typedef int adder(image_set *s, const char *path, const uint8_t *bytes, size_t size, image_part part, lithe_error *err);
    static adder *const adders[] = { [SOURCE_IDX] = idx_add, [SOURCE_RECORDS] = records_add, [SOURCE_TAR] = tar_add };
    const uint8_t *bytes;
    size_t size;
    source_kind kind = kind_of(path_base(path));
    if (kind == SOURCE_NONE && is_list(path)) return add_list(s, path, err);
    if (kind == SOURCE_IMAGE && !set_needs_classes(s)) return image_file_add(s, "", path, NULL, 0, part, err);
    if (kind == SOURCE_LABELS) return fail(err, LITHE_EINVAL, "%s: holds labels; name the file of images beside it", path);
    if (kind == SOURCE_NONE || kind == SOURCE_IMAGE)
        return fail(err, LITHE_EINVAL, "%s: is no set of labelled images: give IDX or CIFAR files, a folder of class folders, a .tar of one, or a list of its files", path);
    int status = set_bytes(s, path, &bytes, &size, err);
    return status ? status : adders[kind](s, path, bytes, size, part, err);
}

/* Whether it is a directory, and no link to one. */
static bool is_own_directory(const char *path)
{
    struct stat at;
    if (!os.stat(AT_FDCWD, path, &at, AT_SYMLINK_NOFOLLOW)) return S_ISDIR(at.st_mode);
    fail_errno(NULL, path, "look at");
    return false;
}

/* Images below `under`, a folder of path ("" for itself). */
static int add_images(image_set *s, const char *path, const char *under, int depth, lithe_error *err)
{
    dir_names l = { 0 };
    char *here = *under ? path_join(path, under) : xstrdup(path);
    int status = here ? dir_names_read(&l, here, err) : fail(err, LITHE_ENOMEM, "%s: out of memory", path);
    if (!status && depth == DIRECTORY_DEPTH) status = fail(err, LITHE_EINVAL, "%s: directories nested more than %d deep", here, DIRECTORY_DEPTH);
    for (size_t i = 0; i < l.count && !status; i++) {
        char *name = *under ? path_join(under, l.names[i]) : xstrdup(l.names[i]), *full = name ? path_join(path, name) : NULL;
        if (!full) status = fail(err, LITHE_ENOMEM, "%s: out of memory", path);
        if (!status && is_own_directory(full) && !is_hidden(name)) status = add_images(s, path, name, depth + 1, err);
        else if (!status && (path_is_dir(full) || !path_exists(full))) status = set_leave(s, is_hidden(name) ? LEFT_HIDDEN : LEFT_LINK, path, name, err);
        else if (!status) status = image_file_add(s, path, name, NULL, 0, PART_NONE, err);
        free(full);
        free(name);
    }
    dir_names_free(&l);
    free(here);
    return status;
}

/* The one kind of packed sources among the entries; SOURCE_NONE: none.  Two kinds would be the same images twice. */
static int find_kind(const dir_names *l, const char *path, source_kind *found, lithe_error *err)
{
    const char *first = NULL;
    *found = SOURCE_NONE;
    for (size_t i = 0; i < l->count; i++) {
        source_kind kind = kind_of(l->names[i]);
        if (is_hidden(l->names[i]) || kind == SOURCE_NONE || kind == SOURCE_LABELS || kind == SOURCE_IMAGE) continue;
        if (first && kind != *found)
            return fail(err, LITHE_EINVAL, "%s: holds sets of different kinds, %s and %s: name the files", path, first, l->names[i]);
        first = l->names[i];
        *found = kind;
    }
    return LITHE_OK;
}

static int add_directory(image_set *s, const char *path, lithe_error *err)
{
    dir_names l;
    source_kind kind = SOURCE_NONE;
    int status = dir_names_read(&l, path, err);
    if (!status) status = find_kind(&l, path, &kind, err);
    for (size_t i = 0; i < l.count && !status; i++) {
        const char *name = l.names[i];
        char *full = !is_hidden(name) && kind != SOURCE_NONE && kind_of(name) == kind ? path_join(path, name) : NULL;
        if (full) status = add_file(s, full, part_of(name, strlen(name)), err);
        free(full);
    }
    dir_names_free(&l);
    return status || kind != SOURCE_NONE ? status : add_images(s, path, "", 0, err);
}

int sources_add(image_set *s, const char *path, lithe_error *err)
{
    return path_is_dir(path) ? add_directory(s, path, err) : add_file(s, path, PART_NONE, err);
}

/* ---- whether a source looks like images ---------------------------------------------------------------- */

static bool known_below(const char *path, int depth)
{
    dir_names l = { 0 };
    lithe_error unreadable = { 0 };
    bool known = false;
    if (depth < DIRECTORY_DEPTH && dir_names_read(&l, path, &unreadable)) drop_error(&unreadable);
    for (size_t i = 0; i < l.count && !known; i++) {
        char *full = is_hidden(l.names[i]) ? NULL : path_join(path, l.names[i]);
        if (full) known = is_own_directory(full) ? known_below(full, depth + 1) : !path_is_dir(full) && kind_of(l.names[i]) != SOURCE_NONE;
        free(full);
    }
    dir_names_free(&l);
    return known;
}

bool image_set_known(const char *path)
{
    source_kind kind = kind_of(path_base(path));
    return path_is_dir(path) ? known_below(path, 0) : (kind != SOURCE_NONE && kind != SOURCE_LABELS) || is_list(path);
}
