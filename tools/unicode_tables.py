#!/usr/bin/env python3
"""Write the character classes of one Unicode version that BERT's tokenizers are frozen at.

    tools/unicode_tables.py 8.0 UnicodeData.txt > src/text/unicode_8_0.c

UnicodeData.txt is that version's file of the Unicode Character Database
(unicode.org/Public/8.0.0/ucd). Never needed to build or to test.
"""
import sys

CLASSES = {"P": "P", "Mn": "M", "Cc": "C", "Cf": "C", "Co": "C"}

HEAD = """/* Unicode {version}: P, punctuation (P*); M, nonspacing marks (Mn); C, controls and
 * what is like them (Cc, Cf, Co).  Sorted, apart, not adjacent in one class.
 * Written by tools/unicode_tables.py from UnicodeData.txt. */
#include "text/unicode_{name}.h"

enum {{ P = UNICODE_PUNCTUATION, M = UNICODE_MARK, C = UNICODE_CONTROL }};

static const struct {{ uint32_t first; uint16_t more; uint16_t class; }} ranges[] = {{
"""

TAIL = """}};

int unicode_{name}_class(int32_t c)
{{
    size_t lo = 0, hi = sizeof ranges / sizeof *ranges;
    while (lo < hi) {{
        size_t middle = lo + (hi - lo) / 2;
        if ((int64_t)ranges[middle].first + ranges[middle].more < c) lo = middle + 1;
        else hi = middle;
    }}
    return lo < sizeof ranges / sizeof *ranges && (int64_t)ranges[lo].first <= c ? ranges[lo].class : UNICODE_OTHER;
}}"""


def ranges(path):
    """[first, last, class] in order; a row named "..., First>" stands for all up to its Last."""
    found, first = [], None
    for line in open(path):
        field = line.split(";")
        code, name, category = int(field[0], 16), field[1], field[2]
        if name.endswith("First>"):
            first = code
            continue
        start, first = (code, None) if first is None else (first, None)
        kind = CLASSES.get(category) or CLASSES.get(category[0])
        if not kind:
            continue
        if found and found[-1][1] == start - 1 and found[-1][2] == kind:
            found[-1][1] = code
        else:
            found.append([start, code, kind])
    return found


def main():
    version, path = sys.argv[1:]
    name = version.replace(".", "_")
    print(HEAD.format(version=version, name=name), end="")
    items = ["{0x%x,%d,%s}" % (first, last - first, kind) for first, last, kind in ranges(path)]
    line = "   "
    for item in items:
        if len(line) + len(item) > 130:
            print(line)
            line = "   "
        line += " " + item + ","
    print(line)
    print(TAIL.format(name=name))


if __name__ == "__main__":
    main()
