#!/bin/sh
# Takes figures out of a page of lithe report, with the key of its curves, as one SVG for a README:
#     tools/report_figures.sh report.html "Validation loss at equal compute" "Bits per byte by tokens" > figures.svg
# Runs of which only the seed differs are one curve; its name is written without the seed.
set -eu
page=$1
shift
titles=$(printf '%s\n' "$@")
awk -v titles="$titles" '
    BEGIN {
        count = split(titles, wanted, "\n")
        printf "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d 372\" font-family=\"system-ui, sans-serif\">\n", 660 * count
    }
    /^<style>/ { styles = 1 }
    styles && !/^(body|h1|p\{|\*|pre|th|\.wide)/ { print }
    /<\/style>/ { if (styles) print "<style>svg svg text{font-size:15px}.k{fill:var(--c);font-size:16px;font-weight:600}.title{fill:var(--ink);font-size:17px;font-weight:600}</style>"; styles = 0 }
    /^<div class="key">/ && !keyed { key = 1; keyed = 1 }
    key && /<span class="k/ {
        match($0, /class="k c[0-9]+/)
        colour = substr($0, RSTART + 9, RLENGTH - 9)
        name = $0
        sub(/.*<\/svg>/, "", name)
        sub(/<\/span>.*/, "", name)
        sub(/[-_][0-9]+ and [0-9]+ more$/, "", name)
        printf "<g class=\"%s\"><line class=\"l\" x1=\"%d\" x2=\"%d\" y1=\"14\" y2=\"14\"/></g><text class=\"k %s\" x=\"%d\" y=\"19\">%s</text>\n", colour, at + 8, at + 36, colour, at + 42, name
        at += 66 + 9 * length(name)
    }
    key && /^<\/div>/ { key = 0 }
    /^<figure>/ {
        shown = 0
        for (i = 1; i <= count; i++) if ($0 == "<figure><figcaption>" wanted[i] "</figcaption>") shown = i
        if (shown) printf "<text class=\"title\" x=\"%d\" y=\"48\">%s</text>\n", 660 * (shown - 1) + 8, wanted[shown]
        found += shown > 0
        next
    }
    shown {
        sub(/^<svg /, "<svg x=\"" 660 * (shown - 1) "\" y=\"58\" width=\"640\" height=\"312\" ")
        ended = sub(/<\/figure>.*/, "")
        print
        if (ended) shown = 0
    }
    END {
        print "</svg>"
        if (found != count) { print "of " count " figures the page has " found + 0 > "/dev/stderr"; exit 1 }
    }' "$page"
