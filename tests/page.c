/* The page at /, in a Chromium without a window: it tests itself (src/serve/page/selftest.js) with a transformer, a
 * recurrent model and encoders, on a desktop and on a phone, and is looked at in both themes. */
#include "browser.h"
#include "serve_tests.h"
#include "test.h"

enum { HEIGHT = 860 };

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
    char url[100], line[4000] = "nothing was said";
    stand s = stand_page();
    snprintf(url, sizeof url, "http://127.0.0.1:%d/?selftest", s.port);
    chromium c = chromium_open(program, width, HEIGHT, true, "--remote-debugging-port=0", url);
    bool said = chromium_says(&c, "\"selftest: ", line);
    CHECK_MSG(said && strstr(line, "selftest: passed"), "at %d pixels: %s", width, line);
    chromium_close(&c);
    stand_close(&s);
}

static void works_on_a_desktop(void) { test_at(DESKTOP); }
static void works_on_a_phone(void)   { test_at(PHONE); }

/* ---- looks -------------------------------------------------------------------------------------- */

static void looks_are_taken(void)
{
    static const int widths[] = { PHONE, DESKTOP };
    static const char *const themes[] = { "light", "dark" };
    const char *program = browser();
    stand s = stand_page();
    for (int i = 0; i < 4; i++) {
        char url[100], path[400], line[4000], option[440];
        snprintf(path, sizeof path, "%s-%d.png", in_dir(themes[i / 2]), widths[i % 2]);
        snprintf(option, sizeof option, "--screenshot=%s", path);
        snprintf(url, sizeof url, "http://127.0.0.1:%d/?theme=%s", s.port, themes[i / 2]);
        chromium c = chromium_open(program, widths[i % 2], HEIGHT, i / 2 == 0, option, url);
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
