#!/bin/sh
# The rows of bench-decode as SVG on standard output: seconds a text has taken
# against its tokens, a curve for each model.
#
#     build/bench-decode > rows.csv && tools/decoding.sh rows.csv > docs/decoding.svg
set -eu
[ $# = 1 ] || { echo "usage: decoding.sh rows.csv" >&2; exit 2; }
exec awk -F, '
function x(t) { return left + (right - left) * t / longest }
function y(s) { return bottom - (bottom - top) * s / most }
function text(px, py, class, anchor, words) { printf "<text x=\"%.1f\" y=\"%.1f\" class=\"%s\" text-anchor=\"%s\">%s</text>\n", px, py, class, anchor, words }
function line(x1, y1, x2, y2, class) { printf "<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" class=\"%s\"/>\n", x1, y1, x2, y2, class }

NR == 1 { models = NF; for (i = 2; i <= NF; i++) name[i] = $i; next }
{ n++; at[n] = $1; longest = $1; for (i = 2; i <= NF; i++) { took[n, i] = $i; if ($i > most) most = $i } }

END {
    if (!n) { print "decoding.sh: no rows" >"/dev/stderr"; exit 1 }
    width = 760; height = 340; left = 56; right = width - 90; top = 34; bottom = height - 44
    split("a b c d", classes, " ")
    printf "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" font-family=\"system-ui, sans-serif\" font-size=\"13\">\n", width, height
    print "<style>"
    print "text { fill: #444 } .axis { stroke: #888 } .grid { stroke: #8884; stroke-width: .7 } path { fill: none; stroke-width: 2 } .title { font-size: 14px; font-weight: 600 }"
    print ".a { stroke: #e07b1a } text.a { stroke: none; fill: #e07b1a } .b { stroke: #3f9b4f } text.b { stroke: none; fill: #3f9b4f }"
    print ".c { stroke: #1f6fd0 } text.c { stroke: none; fill: #1f6fd0 } .d { stroke: #8a5cc2 } text.d { stroke: none; fill: #8a5cc2 }"
    print "@media (prefers-color-scheme: dark) { text { fill: #bbb } }"
    print "</style>"
    text(left, 20, "title", "start", "Seconds to write a text, by its length")
    for (step = 1; most / step > 6; step *= step == 1 || step == 10 || step == 100 ? 2 : step == 2 || step == 20 ? 2.5 : 2) ;
    for (s = 0; s <= most; s += step) { line(left, y(s), right, y(s), "grid"); text(left - 8, y(s) + 4, "", "end", s) }
    for (t = 0; t <= longest; t += longest / 4) text(x(t), bottom + 20, "", "middle", sprintf("%d", t))
    line(left, bottom, right, bottom, "axis")
    text((left + right) / 2, height - 6, "", "middle", "tokens")
    for (i = 2; i <= models; i++) {
        path = sprintf("M%.1f %.1f", x(0), y(0))
        for (k = 1; k <= n; k++) path = path sprintf(" L%.1f %.1f", x(at[k]), y(took[k, i]))
        printf "<path class=\"%s\" d=\"%s\"/>\n", classes[i - 1], path
        text(right + 8, y(took[n, i]) + 4, classes[i - 1], "start", name[i])
    }
    print "</svg>"
}' "$1"
