/* Colours stand in variables, once for light and once for dark; each has a contrast of 4.5 or more on its background
 * (WCAG 2.2).  Curves beyond the eighth are dashed. */
#include "report/page.h"

static const char styles[] =
    ":root{--paper:#ffffff;--ink:#1c1e21;--soft:#565b63;--rule:#d8dade;--c0:#1f5fbf;--c1:#b0430c;--c2:#1a7439;--c3:#7a3fb0;--c4:#0b6a7c;--c5:#a61e6b;--c6:#765000;--c7:#50565f;--s1:#fdf0d5;--s2:#fbd9a0;--s3:#f6b467;--s4:#ee8a4a}\n"
    "@media (prefers-color-scheme:dark){:root{--paper:#15171b;--ink:#e8e9ec;--soft:#a9aeb8;--rule:#3a3e46;--c0:#7fb2ff;--c1:#ffa46b;--c2:#6fd08c;--c3:#cfa3ff;--c4:#5fd0e0;--c5:#ff94c8;--c6:#e0b860;--c7:#b6bcc8;--s1:#2e2820;--s2:#4a3720;--s3:#6b4517;--s4:#8a4a12}}\n"
    "@media print{:root{--paper:#ffffff;--ink:#1c1e21;--soft:#565b63;--rule:#d8dade;--c0:#1f5fbf;--c1:#b0430c;--c2:#1a7439;--c3:#7a3fb0;--c4:#0b6a7c;--c5:#a61e6b;--c6:#765000;--c7:#50565f;--s1:#fdf0d5;--s2:#fbd9a0;--s3:#f6b467;--s4:#ee8a4a}figure,tr{break-inside:avoid}}\n"
    "*{box-sizing:border-box}\n"
    "body{margin:0 auto;max-width:76rem;padding:1.5rem 1rem 4rem;background:var(--paper);color:var(--ink);font:16px/1.5 system-ui,sans-serif}\n"
    "h1{font-size:1.6rem;line-height:1.2;margin:0 0 .3rem}h2{font-size:1.2rem;margin:2.4rem 0 .4rem}h3{font-size:1rem;margin:1.2rem 0 .3rem}\n"
    "p{max-width:46rem;margin:.3rem 0}.n{color:var(--soft)}\n"
    ".grid{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,30rem),1fr));gap:1rem 1.5rem}\n"
    "figure{margin:.8rem 0 0;min-width:0}figcaption{font-weight:600}svg{display:block;width:100%;height:auto}\n"
    "svg text{fill:var(--soft);font-size:13px}.g{stroke:var(--rule)}.a{stroke:var(--soft)}\n"
    ".l{fill:none;stroke-width:1.8;stroke-linejoin:round}.d{stroke-dasharray:6 3}.b{opacity:.18}.m line{stroke-width:1;stroke-dasharray:2 3}.m text{fill:currentColor;font-size:12px}\n"
    ".c0{--c:var(--c0)}.c1{--c:var(--c1)}.c2{--c:var(--c2)}.c3{--c:var(--c3)}.c4{--c:var(--c4)}.c5{--c:var(--c5)}.c6{--c:var(--c6)}.c7{--c:var(--c7)}\n"
    ".l,.m line{stroke:var(--c)}.b,.p{fill:var(--c)}.m{color:var(--c)}.k{color:var(--c);font-weight:600}\n"
    ".key{display:flex;flex-wrap:wrap;gap:.2rem 1.2rem;margin:.4rem 0}.key svg{display:inline-block;width:1.8rem;height:.6rem;margin-right:.4rem}\n"
    ".wide{overflow-x:auto;margin-top:.6rem}table{border-collapse:collapse;font-variant-numeric:tabular-nums;font-size:.92rem}\n"
    "th,td{padding:.25rem .7rem .25rem 0;text-align:right;border-bottom:1px solid var(--rule);white-space:nowrap}td:first-child{white-space:normal;overflow-wrap:anywhere;min-width:9rem;max-width:16rem}th{white-space:normal;vertical-align:bottom}th:first-child,td:first-child,.t{text-align:left}th{color:var(--soft);font-weight:600}\n"
    "@media (max-width:34rem){svg text,.m text{font-size:20px}th{white-space:nowrap}}\n"
    "@media print{body{padding:0;max-width:none;font-size:13px}svg text,.m text{font-size:20px}.grid{grid-template-columns:1fr 1fr;gap:.6rem 1rem}h2,h3,.key,h2+p{break-after:avoid}.wide{overflow:visible}table{font-size:.6rem}th,td{padding-right:.4rem}td,th{white-space:normal}td:first-child{min-width:4rem}}\n"
    ".u{padding:.1rem .5rem;white-space:nowrap;display:inline-block}.s1{background:var(--s1)}.s2{background:var(--s2)}.s3{background:var(--s3)}.s4{background:var(--s4)}.u,.text{color:var(--ink);print-color-adjust:exact}\n"
    ".w{shape-rendering:crispEdges;stroke:var(--c);fill:none}.w1{opacity:.22}.w2{opacity:.45}.w3{opacity:.7}.o{fill:none}.one{max-width:37rem}\n"
    "pre{white-space:pre-wrap;overflow-wrap:anywhere;font:.85rem/1.45 ui-monospace,monospace;margin:.3rem 0;border-left:2px solid var(--rule);padding-left:.8rem}summary{cursor:pointer}\n";

void page_begin(text_out *out, const char *title)
{
    out_print(out, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n"
                   "<meta name=\"color-scheme\" content=\"light dark\"/>\n<title>");
    out_escaped(out, title, 300);
    out_print(out, "</title>\n<style>\n%s</style>\n</head>\n<body>\n", styles);
}

void page_end(text_out *out) { out_print(out, "</body>\n</html>\n"); }
