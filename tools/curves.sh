#!/bin/sh
# The curves of a demonstration as SVG on standard output: bits per byte of the
# held-out text against operations, for the TokenFormer that grew, the GPT-2 and
# the RWKV-7.
#
#     curves.sh runs/demo-1 > curves.svg
#
# What lies above the frame (the first steps) is left out.
set -eu
[ $# = 1 ] || { echo "usage: curves.sh runs/demo-N" >&2; exit 2; }
exec awk '
function number(key) { return match($0, "\"" key "\": [-+.e0-9]+") ? substr($0, RSTART + length(key) + 4, RLENGTH - length(key) - 4) + 0 : 0 }
function x(t) { return left + (right - left) * t / most }
function y(b) { return bottom - (bottom - top) * (b - low) / (high - low) }
function size(p) { return p < 1e6 ? sprintf("%.0fk", p / 1e3) : sprintf("%.2fM", p / 1e6) }
function text(px, py, class, anchor, words) { printf "<text x=\"%.1f\" y=\"%.1f\" class=\"%s\" text-anchor=\"%s\">%s</text>\n", px, py, class, anchor, words }
function line(x1, y1, x2, y2, class) { printf "<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" class=\"%s\"/>\n", x1, y1, x2, y2, class }

FNR == 1 { run++; if (run >= 3) done = 0; grown = run == 2 ? done : grown }
/"flops"/ { done += number("flops") / 1e12 }
/"bits_per_byte"/ {
    params[run] = number("params")
    bits = number("bits_per_byte")
    if (done > most) most = done
    if (bits < least || !least) least = bits
    n[run]++; at[run, n[run]] = done; value[run, n[run]] = bits
}

function curve(r, class,    i, path, dots) {
    for (i = 1; i <= n[r]; i++) {
        if (value[r, i] > high) continue
        path = path (path == "" ? "M" : " L") sprintf("%.1f %.1f", x(at[r, i]), y(value[r, i]))
        dots = dots sprintf("<circle cx=\"%.1f\" cy=\"%.1f\" r=\"2.6\"/>", x(at[r, i]), y(value[r, i]))
    }
    printf "<g class=\"%s\"><path d=\"%s\"/>%s</g>\n", class, path, dots
}

# Beside the end of curve r, below labels that would lie on it.
function label(r, class, words,    at_y, i, moved) {
    at_y = y(value[r, n[r]]) + 4
    do {
        moved = 0
        for (i in taken) if (at_y > taken[i] - 15 && at_y < taken[i] + 15) { at_y = taken[i] + 15; moved = 1 }
    } while (moved)
    taken[r] = at_y
    text(right + 10, at_y, class, "start", sprintf("%s %.3f", words, value[r, n[r]]))
}

END {
    if (run < 4 || !(most > 0)) { print "curves.sh: the logs hold no evaluations" >"/dev/stderr"; exit 1 }
    width = 760; height = 380; left = 56; right = width - 150; top = 40; bottom = height - 48
    low = int(least * 10) / 10; high = low + 0.8
    printf "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" font-family=\"system-ui, sans-serif\" font-size=\"13\">\n", width, height
    print "<style>"
    print "text { fill: #444 } .axis { stroke: #888 } .grid { stroke: #8884; stroke-width: .7 } .mark { stroke: #888; stroke-dasharray: 4 4 }"
    print "path { fill: none; stroke-width: 2 } .title { font-size: 14px; font-weight: 600 }"
    print ".a path { stroke: #6aa5e8 } .a circle, text.a { fill: #6aa5e8 } .b path { stroke: #1f6fd0 } .b circle, text.b { fill: #1f6fd0 }"
    print ".c path { stroke: #e07b1a } .c circle, text.c { fill: #e07b1a } .d path { stroke: #3f9b4f } .d circle, text.d { fill: #3f9b4f }"
    print "@media (prefers-color-scheme: dark) { text { fill: #bbb } .b path { stroke: #4d94f0 } .b circle, text.b { fill: #4d94f0 } }"
    print "</style>"
    text(left, 20, "title", "start", "Bits per byte of held-out text against compute")
    for (b = low; b < high + 0.01; b += 0.1) {
        line(left, y(b), right, y(b), "grid")
        if (int(b * 10 + 0.5) % 2 == 0) text(left - 8, y(b) + 4, "", "end", sprintf("%.1f", b))
    }
    step = most > 80 ? 20 : most > 40 ? 10 : most > 16 ? 4 : most > 8 ? 2 : 1
    for (t = 0; t <= most; t += step) {
        line(x(t), bottom, x(t), bottom + 5, "axis")
        text(x(t), bottom + 20, "", "middle", t)
    }
    text((left + right) / 2, height - 10, "", "middle", "training compute, 10¹² operations")
    line(left, bottom, right, bottom, "axis")
    line(x(grown), top, x(grown), bottom, "mark")
    text(x(grown) + 7, top + 12, "", "start", sprintf("grows %s to %s, outputs preserved", size(params[1]), size(params[2])))
    curve(1, "a"); curve(2, "b"); curve(3, "c"); curve(4, "d")
    label(2, "b", "TokenFormer"); label(3, "c", "GPT-2 " size(params[3])); label(4, "d", "RWKV-7 " size(params[4]))
    print "</svg>"
}' "$1/small/log.jsonl" "$1/large/log.jsonl" "$1/gpt2/log.jsonl" "$1/rwkv7/log.jsonl"
