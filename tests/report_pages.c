#include "report_pages.h"
#include "test.h"
#include "tree.h"
#include <ctype.h>
#include <math.h>
#include <stdlib.h>

int count_of(const char *text, const char *part)
{
    int n = 0;
    for (const char *at = text; (at = strstr(at, part)); at++) n++;
    return n;
}

void check_well_formed(const char *page)
{
    char open[64][16];
    int depth = 0;
    const char *at = strchr(page, '\n');                    /* after <!DOCTYPE html> */
    for (; at && *at; at++) {
        if (*at == '&') { CHECK_MSG(!strncmp(at, "&lt;", 4) || !strncmp(at, "&gt;", 4) || !strncmp(at, "&amp;", 5) || !strncmp(at, "&quot;", 6), "%.20s", at); continue; }
        CHECK_MSG(*at != '>', "a bracket without a tag before %.40s", at);
        if (*at != '<') continue;
        bool closing = at[1] == '/';
        const char *name = at + 1 + closing;
        size_t length = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"), quotes = 0;
        const char *end = name + length;
        for (; *end && (*end != '>' || quotes % 2); end++) quotes += *end == '"';
        CHECK_MSG(length && length < 16 && *end && quotes % 2 == 0 && depth < 63, "a tag at %.40s", at);
        if (!length || length >= 16 || !*end || depth >= 63) return;
        if (closing) {
            CHECK_MSG(depth > 0 && strlen(open[depth - 1]) == length && !strncmp(open[depth - 1], name, length), "%.*s closes %s", (int)length, name, depth ? open[depth - 1] : "nothing");
            depth -= depth > 0;
        } else if (end[-1] != '/') snprintf(open[depth++], 16, "%.*s", (int)length, name);
        at = end;
    }
    CHECK_MSG(depth == 0, "%s is not closed", depth ? open[depth - 1] : "");
}

void check_alone(const char *page)
{
    static const char *const outside[] = { "http", "src=", "href=", "<script", "<link", "@import", "url(h", "url(\"", "url('", "url(/", "javascript" };
    for (size_t i = 0; i < sizeof outside / sizeof *outside; i++) CHECK_MSG(!strstr(page, outside[i]), "the page has %s", outside[i]);
}

static double luminance(const char *hex)
{
    double sum = 0;
    static const double weight[] = { 0.2126, 0.7152, 0.0722 };
    for (int i = 0; i < 3; i++) {
        const char two[3] = { hex[2 * i], hex[2 * i + 1], 0 };
        double c = (double)strtol(two, NULL, 16) / 255;
        sum += weight[i] * (c <= 0.04045 ? c / 12.92 : pow((c + 0.055) / 1.055, 2.4));
    }
    return sum;
}

static double contrast(double a, double b) { return (fmax(a, b) + 0.05) / (fmin(a, b) + 0.05); }

int check_contrast(const char *page)
{
    int checked = 0;
    for (const char *block = page; (block = strstr(block, ":root{--paper:#")); block++) {
        double paper = luminance(block + 15), ink = luminance(strstr(block, "--ink:#") + 7);
        const char *end = strchr(block, '}');
        for (const char *at = block + 15; (at = strstr(at, "--")) && at < end; at++) {
            const char *hex = strchr(at, '#');
            bool shade = at[2] == 's' && isdigit((unsigned char)at[3]);
            double ratio = contrast(luminance(hex + 1), shade ? ink : paper);
            if (strncmp(at, "--rule", 6)) checked++, CHECK_MSG(ratio >= 4.5, "%.20s has a contrast of %.2f", at, ratio);
        }
    }
    return checked;
}

/* ---- looks ---------------------------------------------------------------------------------------- */

void write_looking(const char *name, const char *page, const char *more)
{
    FILE *f = fopen(in_dir(name), "w");
    char *script = tree_text(test_file("tests/report_look.js"));
    fprintf(f, "%.*s%s<script>%s</script></body></html>\n", (int)(strstr(page, "</body>") - page), page, more, script);
    fclose(f);
    free(script);
}

enum { SHOWN = 6000 };               /* pixels of height of an image */

bool look(const char *program, const char *name, int width, bool light, const char *image, char line[4000])
{
    char option[500];
    snprintf(option, sizeof option, "--screenshot=%s", image);
    chromium c = chromium_open(program, width, SHOWN, light, option, name);
    char written[4000];
    bool said = chromium_says(&c, "\"look: ", line);
    said &= chromium_says(&c, "bytes written to file", written);
    chromium_close(&c);
    return said;
}

void check_looks(const char *page, const char *called)
{
    static const int widths[] = { PHONE, DESKTOP };
    const char *program = browser(), *keep = getenv("LITHE_LOOKS");
    int figures = count_of(page, "<figure>");
    write_looking("looking.html", page, "");
    for (int i = 0; i < 4; i++) {
        char line[4000] = "it says nothing", expected[100], name[60], path[500];
        snprintf(name, sizeof name, "%s-%s-%d.png", called, i / 2 ? "dark" : "light", widths[i % 2]);
        snprintf(path, sizeof path, "%s%s%s", keep ? keep : in_dir(name), keep ? "/" : "", keep ? name : "");
        snprintf(expected, sizeof expected, "look: %d pixels, %d figures, 0 faults", widths[i % 2], figures);
        bool said = look(program, "looking.html", widths[i % 2], i / 2 == 0, path, line);
        CHECK_MSG(said && strstr(line, expected), "%s: %s", name, line);
        check_image(path, widths[i % 2], i / 2 == 0);
    }
}
