#include "report/text_out.h"
#include "base/utf8.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static bool reserve(text_out *o, size_t more)
{
    if (o->failed || o->room - o->n > more) return !o->failed;
    size_t room = o->room ? 2 * o->room : 1 << 16;
    while (room - o->n <= more) room *= 2;
    char *grown = xrealloc(o->text, room, 1);
    if (!grown) { o->failed = true; return false; }
    o->text = grown;
    o->room = room;
    return true;
}

void out_print(text_out *o, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, format, args);
    if (n > 0 && reserve(o, (size_t)n)) o->n += (size_t)vsnprintf(o->text + o->n, o->room - o->n, format, again);
    va_end(again);
    va_end(args);
}

static void out_character(text_out *o, const char *text, int length, int32_t c)
{
    if (c == '<') out_print(o, "&lt;");
    else if (c == '>') out_print(o, "&gt;");
    else if (c == '&') out_print(o, "&amp;");
    else if (c == '"') out_print(o, "&quot;");
    else if (c < 0 || (c < ' ' && c != '\n' && c != '\t') || (c >= 0x7f && c < 0xa0) || c == 0xfffe || c == 0xffff) out_print(o, "\xef\xbf\xbd");
    else out_print(o, "%.*s", length, text);
}

void out_escaped(text_out *o, const char *text, size_t most)
{
    size_t n = strlen(text);
    int32_t c;
    for (size_t i = 0; i < n; ) {
        if (i >= most) { out_print(o, " ..."); return; }
        int length = utf8_next(text + i, n - i, &c);
        out_character(o, text + i, length, c);
        i += c < 0 ? utf8_broken(text + i, n - i) : (size_t)length;
    }
}
