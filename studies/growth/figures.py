#!/usr/bin/env python3
"""Draw DIR/growing-loss.svg and DIR/growing-copies.svg from one or several record.csv of studies/growth.

    python3 studies/growth/figures.py DIR RECORD.csv...
"""
import os, statistics, sys
from record import DEFAULTS, Record, read

STYLE = """<style>
text { font: 12px sans-serif } text:not(.name) { fill: #333 } .title { font-weight: bold } .axis { stroke: #999 } .grid { stroke: #ddd }
@media (prefers-color-scheme: dark) { text:not(.name) { fill: #ddd } .grid { stroke: #444 } }
</style>"""
COLOURS = {"none": "#888888", "fresh": "#5d6d7e", "C": "#1b6ca8", "duplicate": "#1b6ca8", "A": "#d1495b", "clone": "#d1495b", "B": "#66a182", "corner": "#66a182", "D": "#edae49",
           "aki": "#edae49", "F": "#8d5a97", "stack": "#8d5a97", "interpolate": "#c08552", "spread": "#66a182", "bottom": "#d1495b"}
LEFT_OUT = ("D+noise", "clone+noise")       # they lie on the lines of D and clone
POINTS = 8


def curve_of(row):
    """Bits per byte at 0, 1/8 .. 1 of the second stage."""
    points = [tuple(map(float, p.split(":"))) for p in row["curve"].split(";")]
    last, values = points[-1][0], []
    for i in range(POINTS + 1):
        at = last * i / POINTS
        after = next(k for k, p in enumerate(points) if p[0] >= at)
        (x0, y0), (x1, y1) = points[max(after - 1, 0)], points[after]
        values.append(y1 if x1 == x0 else y0 + (y1 - y0) * (at - x0) / (x1 - x0))
    return values


def mean_curve(record, size, method, archs):
    rows = [r for r in record.rows if r["method"] == method and r["size"] == (size if method != "none" else "none") and r["arch"] in archs]
    return [statistics.mean(v) for v in zip(*map(curve_of, rows))]


def text(x, y, words, more=""):
    return f'<text x="{x:.1f}" y="{y:.1f}" {more}>{words}</text>'


def line(points, colour, dashed=False):
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    dashes = 'stroke-dasharray="5 3"' if dashed else ""
    return f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.6" {dashes}/>'


def panel(record, size, left, top, width, height):
    archs = record.archs_of(size, DEFAULTS[size])
    methods = [m for m in ["none", *record.methods(size)] if m not in LEFT_OUT and (m == "none" or record.archs_of(size, m) == archs)]
    curves = {m: mean_curve(record, size, m, archs) for m in methods}
    low, high = min(min(c) for c in curves.values()) - 0.01, max(curves["none"][0], curves[DEFAULTS[size]][0]) + 0.04
    x = lambda i: left + width * i / POINTS
    y = lambda b: top + height * (high - b) / (high - low)
    parts = [text(left, top - 8, f"{size} ({', '.join(archs)})", 'class="title"')]
    for k in range(5):
        b = low + (high - low) * k / 4
        parts.append(f'<line x1="{left}" x2="{left + width}" y1="{y(b):.1f}" y2="{y(b):.1f}" class="grid"/>' + text(left - 4, y(b) + 4, f"{b:.2f}", 'text-anchor="end"'))
    parts.append(f'<clipPath id="{size}"><rect x="{left}" y="{top}" width="{width}" height="{height}"/></clipPath><g clip-path="url(#{size})">')
    parts += [line([(x(i), y(b)) for i, b in enumerate(c)], COLOURS[m], m in ("none", "fresh")) for m, c in curves.items()]
    parts.append("</g>" + text(left, top + height + 16, "0") + text(left + width, top + height + 16, "the compute of the first stage", 'text-anchor="end"'))
    ends, at = sorted(methods, key=lambda m: curves[m][-1]), top
    for m in ends:
        at = max(at, min(y(curves[m][-1]), top + height - 13 * (len(ends) - 1 - ends.index(m))) + 4)
        parts.append(text(left + width + 6, at, m, f'fill="{COLOURS[m]}" class="name"'))
        at += 13
    return "\n".join(parts)


def svg(width, height, body, label):
    return f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" role="img" aria-label="{label}">\n{STYLE}\n{body}\n</svg>\n'


def losses(record):
    body = "\n".join(panel(record, size, 50 + 430 * (i % 2), 30 + 260 * (i // 2), 290, 200) for i, size in enumerate(DEFAULTS))
    return svg(860, 530, body, "Bits per byte of the held-out text against the compute after growing, for each method")


def equal_bars(record):
    rows, at = [], 24
    rows.append(text(150, 12, "before and after training: share of grown units that equal another"))
    for size in DEFAULTS:
        rows.append(text(8, at + 12, size, 'class="title"'))
        for m in record.methods(size):
            shares = [statistics.mean(float(r[k]) for r in record.rows if (r["size"], r["method"]) == (size, m) and r[k]) for k in ("equal_before", "equal_after")]
            rows.append(text(142, at + 12, m, 'text-anchor="end"'))
            for k, share in enumerate(shares):
                rows.append(f'<rect x="150" y="{at + 2 + 6 * k}" width="{max(300 * share, 1):.1f}" height="5" fill="{("#888888", "#1b6ca8")[k]}"/>')
            rows.append(text(460, at + 12, " to ".join(f"{100 * s:.0f} %" for s in shares)))
            at += 18
        at += 8
    return svg(560, at, "\n".join(rows), "Equal units before and after training, for each method")


record = Record(read(sys.argv[2:]))
for name, draw in ("loss", losses), ("copies", equal_bars):
    with open(os.path.join(sys.argv[1], f"growing-{name}.svg"), "w") as f:
        f.write(draw(record))
