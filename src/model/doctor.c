/* `lithe doctor` says what this machine and this build can do, as a table or as
 * JSON of the same facts. */
#include "base/beside.h"
#include "base/cgroup.h"
#include "base/file.h"
#include "base/kernel_file.h"
#include "model/model.h"
#include "base/threads.h"
#include <ctype.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <utf8proc.h>
#include <xxhash.h>

#ifdef LITHE_PNG
#define HAS_PNG 1
#else
#define HAS_PNG 0
#endif
#ifdef LITHE_HTTP
#define HAS_HTTP 1
#else
#define HAS_HTTP 0
#endif
#ifdef LITHE_JPEG
#define HAS_JPEG 1
#else
#define HAS_JPEG 0
#endif

void lithe_threads(int n) { threads_set(n); }

/* ---- facts ------------------------------------------------------------------------ */

static void trim(char *text)
{
    size_t n = strlen(text);
    while (n && isspace((unsigned char)text[n - 1])) text[--n] = 0;
}

/* Reads the value of the first "key : value" line of a file of /proc; "" when there is none. */
static void proc_value(const char *path, const char *key, char *out, size_t size)
{
    kernel_file f;
    out[0] = 0;
    kernel_open(&f, path);
    for (char *line; !out[0] && (line = kernel_line(&f)); ) {
        char *colon = strchr(line, ':');
        if (strncmp(line, key, strlen(key)) || !colon) continue;
        colon += 1 + strspn(colon + 1, " \t");
        trim(colon);
        snprintf(out, size, "%s", colon);
    }
    kernel_close(&f);
}

/* Reads the chosen mode, "madvise" of "always [madvise] never". */
static void huge_pages(char *out, size_t size)
{
    char line[128];
    kernel_first_line("/sys/kernel/mm/transparent_hugepage/enabled", line, sizeof line);
    char *from = strchr(line, '['), *to = from ? strchr(from, ']') : NULL;
    if (to) *to = 0;
    snprintf(out, size, "%s", to ? from + 1 : "unknown");
}

static json_t *level_list(void)
{
    static const char *const names[] = { KERNEL_LEVELS(KERNEL_NAME, ) };
    json_t *list = json_array();
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (kernels_level(names[i])) json_array_append_new(list, json_string(names[i]));
    return list;
}

static json_t *library_versions(void)
{
    char pcre[64] = "", xxhash[32];
    unsigned x = XXH_versionNumber();
    pcre2_config(PCRE2_CONFIG_VERSION, pcre);
    pcre[strcspn(pcre, " ")] = 0;
    snprintf(xxhash, sizeof xxhash, "%u.%u.%u", x / 10000, x / 100 % 100, x % 100);
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s}", "jansson", jansson_version_str(), "pcre2", pcre, "utf8proc", utf8proc_version(),
                     "zstd", ZSTD_versionString(), "zlib", zlibVersion(), "xxhash", xxhash);
}

static json_t *facts(void)
{
    char cpu[128], pages[32];
    proc_value("/proc/cpuinfo", "model name", cpu, sizeof cpu);
    huge_pages(pages, sizeof pages);
    char *transport = path_beside_library(TRANSPORT_FILE);
    bool mpi = transport && path_exists(transport);
    json_t *all = json_pack("{s:s, s:s, s:i, s:s, s:o, s:i, s:f, s:f, s:s, s:o, s:{s:b, s:b, s:b, s:b, s:b}, s:s?}",
                     "version", lithe_version(), "cpu", cpu[0] ? cpu : "unknown", "cpus_online", (int)sysconf(_SC_NPROCESSORS_ONLN),
                     "level", kernels_default()->name, "levels", level_list(), "threads", threads_count(),
                     "memory_bytes", memory_limit(), "memory_available_bytes", memory_available(),
                     "transparent_huge_pages", pages, "libraries", library_versions(),
                     "optional", "cuda", 0, "mpi", mpi, "png", HAS_PNG, "jpeg", HAS_JPEG, "microhttpd", HAS_HTTP,
                     "mpi_file", transport);
    free(transport);
    return all;
}

/* ---- text ------------------------------------------------------------------------- */

static const char *fact(const json_t *all, const char *key) { return json_string_value(json_object_get(all, key)); }

static void print_levels(FILE *out, const json_t *all)
{
    const json_t *levels = json_object_get(all, "levels");
    fprintf(out, "%-20s", "kernels");
    for (size_t i = 0; i < json_array_size(levels); i++) fprintf(out, "%s%s", i ? ", " : "", json_string_value(json_array_get(levels, i)));
    fprintf(out, "; in use: %s%s\n", fact(all, "level"), getenv("LITHE_CPU") ? " (LITHE_CPU)" : "");
}

static char *as_text(const json_t *all)
{
    const char *name;
    json_t *value;
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    if (!out) return NULL;
    fprintf(out, "%-20s%s\n", "lithe", fact(all, "version"));
    fprintf(out, "%-20s%s, %lld online\n", "cpu", fact(all, "cpu"), (long long)json_integer_value(json_object_get(all, "cpus_online")));
    print_levels(out, all);
    fprintf(out, "%-20s%lld\n", "threads", (long long)json_integer_value(json_object_get(all, "threads")));
    fprintf(out, "%-20s%.1f GB, %.1f GB available\n", "memory", json_real_value(json_object_get(all, "memory_bytes")) / 1e9,
            json_real_value(json_object_get(all, "memory_available_bytes")) / 1e9);
    fprintf(out, "%-20s%s\n", "huge pages", fact(all, "transparent_huge_pages"));
    json_object_foreach(json_object_get(all, "libraries"), name, value) fprintf(out, "%-20s%s\n", name, json_string_value(value));
    json_object_foreach(json_object_get(all, "optional"), name, value)
        if (json_is_true(value) || strcmp(name, "mpi")) fprintf(out, "%-20s%s\n", name, json_is_true(value) ? "present" : "absent (optional)");
        else fprintf(out, "%-20sabsent (optional): there is no %s\n", name, fact(all, "mpi_file"));
    if (!fclose(out)) return text;
    free(text);
    return NULL;
}

char *lithe_doctor(int json)
{
    json_t *all = facts();
    char *text = !all ? NULL : json ? json_text(all) : as_text(all);
    json_decref(all);
    return text;
}
