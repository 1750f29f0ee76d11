/* The page at /, in a Chromium without a window: it tests itself (src/serve/page/selftest.js) with a transformer, a
 * recurrent model and encoders, on a desktop and on a phone, and is looked at in both themes. */
#include "data/image.h"
#include "serve_tests.h"
#include "test.h"
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { DESKTOP = 1280, PHONE = 390, HEIGHT = 860, PATIENCE = 150 };

/* ---- the browser ------------------------------------------------------------------------ */

static const char *browser(void)
{
    static const char *const names[] = { "chromium", "chromium-browser", "google-chrome" };
    char command[100];
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(command, sizeof command, "command -v %s >/dev/null 2>&1", names[i]);
        if (!system(command)) return names[i];
    }
    test_skip("there is no chromium");
}

typedef struct { pid_t pid; FILE *log; } chromium;

/* Opens a page of this width; `more` is one option more.  Its process group is its own. */
static chromium chromium_open(const char *program, int width, const char *more, const char *url)
{
    char profile[400], size[40];
    int ends[2];
    snprintf(profile, sizeof profile, "--user-data-dir=%s", in_dir("profile"));
    snprintf(size, sizeof size, "--window-size=%d,%d", width, HEIGHT);
    if (pipe2(ends, O_CLOEXEC)) abort();
    chromium c = { .pid = fork() };
    if (!c.pid) {
        setpgid(0, 0);
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        dup2(ends[1], 1);
        dup2(ends[1], 2);
        execlp(program, program, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars", "--no-first-run", "--disable-extensions",
               "--enable-logging=stderr", profile, size, more, url, (char *)NULL);
        _exit(127);
    }
    setpgid(c.pid, c.pid);
    close(ends[1]);
    c.log = fdopen(ends[0], "r");
    return c;
}

static void chromium_close(chromium *c)
{
    kill(-c->pid, SIGKILL);
    waitpid(c->pid, NULL, 0);
    fclose(c->log);
}

/* The next line of its log that has the words, within PATIENCE seconds, in `line`. */
static bool chromium_says(chromium *c, const char *text, char line[2000])
{
    setvbuf(c->log, NULL, _IONBF, 0);
    for (struct pollfd in = { .fd = fileno(c->log), .events = POLLIN }; poll(&in, 1, PATIENCE * 1000) > 0; )
        if (!fgets(line, 2000, c->log)) return false;
        else if (strstr(line, text)) return true;
    return false;
}

/* ---- the models ------------------------------------------------------------------------------ */

static stand stand_page(void)
{
    lithe_error err = { 0 };
    const char *vocabulary, *tale = test_data("checkpoints/stories260K/stories260K.bin");
    stand s = stand_listen(NULL);
    lithe_model *m = lithe_model_open(tale, NULL, &err);
    CHECK_MSG(m, "%s", err.text);
    stand_add(&s, "tale", m, lithe_model_tokenizer(m));
    stand_add(&s, "rwkv7", serve_model("rwkv7"), "bytes");
    stand_add_encoders(&s, &vocabulary);
    stand_ready(&s);
    return s;
}

static void test_at(int width)
{
    const char *program = browser();
    char url[100], line[2000] = "nothing was said";
    stand s = stand_page();
    snprintf(url, sizeof url, "http://127.0.0.1:%d/?selftest", s.port);
    chromium c = chromium_open(program, width, "--remote-debugging-port=0", url);
    bool said = chromium_says(&c, "\"selftest: ", line);
    CHECK_MSG(said && strstr(line, "selftest: passed"), "at %d pixels: %s", width, line);
    chromium_close(&c);
    stand_close(&s);
}

static void works_on_a_desktop(void) { test_at(DESKTOP); }
static void works_on_a_phone(void)   { test_at(PHONE); }

/* ---- looks -------------------------------------------------------------------------------------- */

/* The image shows a page: it has this width, letters with soft edges have many levels of grey, and most of it is light
 * or dark as the theme says. */
static void check_image(const char *path, int width, bool light)
{
    image i = { 0 };
    lithe_error err = { 0 };
    size_t bright = 0, pixels;
    int levels[256] = { 0 }, different = 0;
    CHECK_MSG(!image_read(&i, path, &err) && !image_channels(&i, 1, path, &err), "%s", err.text);
    if (err.status) return;
    pixels = image_bytes(&i);
    for (size_t k = 0; k < pixels; k++) bright += i.pixels[k] >= 128, levels[i.pixels[k]]++;
    for (int k = 0; k < 256; k++) different += levels[k] > 0;
    CHECK_MSG(i.width == width && different > 30 && (bright > pixels / 2) == light, "%s: %d pixels wide, %d levels, %zu of %zu pixels bright", path, i.width, different,
              bright, pixels);
    image_free(&i);
}

static void looks_are_taken(void)
{
    static const int widths[] = { PHONE, DESKTOP };
    static const char *const themes[] = { "light", "dark" };
    const char *program = browser();
    stand s = stand_page();
    for (int i = 0; i < 4; i++) {
        char url[100], path[400], line[2000], option[440];
        snprintf(path, sizeof path, "%s-%d.png", in_dir(themes[i / 2]), widths[i % 2]);
        snprintf(option, sizeof option, "--screenshot=%s", path);
        snprintf(url, sizeof url, "http://127.0.0.1:%d/?theme=%s", s.port, themes[i / 2]);
        chromium c = chromium_open(program, widths[i % 2], option, url);
        CHECK(chromium_says(&c, "bytes written to file", line));
        chromium_close(&c);
        check_image(path, widths[i % 2], i / 2 == 0);
    }
    stand_close(&s);
}

static void is_one_file(void)
{
    stand s = stand_open((const char *const[]){ "gpt2", NULL }, &LITHE_OPTIONS(lithe_server_options, .keys = (const char *const[]){ "secret" }, .key_count = 1));
    reply r = http_get(s.port, "/");
    CHECK(r.status == 200 && !strncmp(reply_header(&r, "Content-Type"), "text/html; charset=utf-8", 24));
    CHECK(r.n > 20000 && !strncmp(r.body, "<!doctype html>", 15) && strstr(r.body, "</html>") && strstr(r.body, "default-src 'none'"));
    CHECK_MSG(!strstr(r.body, "https://") && !strstr(r.body, "src=\"") && !strstr(r.body, ".css@") && !strstr(r.body, ".js@"), "the page is not whole, or names another one");
    reply_free(&r);
    stand_close(&s);
}

const test tests_page[] = {
    { "page: it is one file", is_one_file },
    { "page: it works on a desktop", works_on_a_desktop },
    { "page: it works on a phone", works_on_a_phone },
    { "page: looks are taken", looks_are_taken },
    { 0 }
};
