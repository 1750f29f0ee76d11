#include "browser.h"
#include "data/image.h"
#include "test.h"
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PATIENCE = 150 };             /* seconds */

const char *browser(void)
{
    static const char *const names[] = { "chromium", "chromium-browser", "google-chrome" };
    char command[100];
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(command, sizeof command, "command -v %s >/dev/null 2>&1", names[i]);
        if (!system(command)) return names[i];
    }
    test_skip("there is no chromium");
}

chromium chromium_open(const char *program, int width, int height, bool light, const char *option, const char *url)
{
    char profile[400], size[40], frame[400];
    int ends[2];
    FILE *f = fopen(in_dir("frame.html"), "w");
    fprintf(f, "<!DOCTYPE html><html><head><meta name=\"color-scheme\" content=\"light dark\"/></head><body style=\"margin:0\"><iframe style=\"border:0;width:%dpx;height:%dpx\" src=\"%s\"></iframe></body></html>\n", width, height, url);
    fclose(f);
    snprintf(frame, sizeof frame, "file://%s", in_dir("frame.html"));
    snprintf(profile, sizeof profile, "--user-data-dir=%s", in_dir("profile"));
    snprintf(size, sizeof size, "--window-size=%d,%d", width, height);
    if (pipe2(ends, O_CLOEXEC)) abort();
    chromium c = { .pid = fork() };
    if (!c.pid) {
        setpgid(0, 0);
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        dup2(ends[1], 1);
        dup2(ends[1], 2);
        execlp(program, program, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars", "--no-first-run", "--disable-extensions",
               "--enable-logging=stderr", profile, size, light ? "--blink-settings=preferredColorScheme=1" : "--blink-settings=preferredColorScheme=0", option, frame, (char *)NULL);
        _exit(127);
    }
    setpgid(c.pid, c.pid);
    close(ends[1]);
    c.log = fdopen(ends[0], "r");
    return c;
}

void chromium_close(chromium *c)
{
    kill(-c->pid, SIGKILL);
    waitpid(c->pid, NULL, 0);
    fclose(c->log);
}

bool chromium_says(chromium *c, const char *text, char line[4000])
{
    setvbuf(c->log, NULL, _IONBF, 0);
    for (struct pollfd in = { .fd = fileno(c->log), .events = POLLIN }; poll(&in, 1, PATIENCE * 1000) > 0; )
        if (!fgets(line, 4000, c->log)) return false;
        else if (strstr(line, text)) return true;
    return false;
}

/* ---- looks ---------------------------------------------------------------------------------- */

void check_image(const char *path, int width, bool light)
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
