#!/usr/bin/env python3
"""Print the table of studies/growth/README.md from one or several record.csv: mean differences and their 95 % intervals."""
import statistics, sys
from record import DEFAULTS, PRESERVING, Record, interval, read


def cell(values, signed=True):
    found = interval(values)
    return f"{found[0]:{'+' if signed else ''}.3f} ± {found[1]:.3f}" if found else ""


def equal_units(record, size, method):
    both = [[float(r[k]) for r in record.rows if (r["size"], r["method"]) == (size, method) and r[k]] for k in ("equal_before", "equal_after")]
    return " to ".join(f"{100 * statistics.mean(x):.0f} %" for x in both) if both[0] else ""


record = Record(read(sys.argv[1:]))
for size, default in DEFAULTS.items():
    archs = record.archs_of(size, default)
    if not archs:
        continue
    several = ["all"] if len(archs) > 1 else []
    print(f"### {size}\n\n| method | outputs | " + " | ".join([*archs, *several]) + f" | from {default} | equal units |")
    print("| --- | --- |" + " --- |" * (len(archs) + len(several) + 2))
    for method in record.methods(size):
        own = record.archs_of(size, method)
        columns = [cell(record.differences(size, method, "none", [a])) if a in own else "" for a in archs]
        columns += [cell(record.differences(size, method, "none", own)) if own == archs else ""] if several else []
        columns.append("" if method == default else cell(record.differences(size, method, default, own)))
        says = "" if method == "fresh" else "preserved" if method in PRESERVING else "change"
        print(f"| {method} | {says} | " + " | ".join(columns) + f" | {equal_units(record, size, method)} |")
    print()
counts = {seed: sum(r["seed"] == seed for r in record.rows) for seed in sorted(record.seeds)}
print(f"{len(record.rows)} runs; of seeds " + ", ".join(f"{s}: {n}" for s, n in counts.items()) + ".")
for arch in record.archs:
    bits = [record.bits[k] for k in record.bits if k[1] == arch and k[4] == "none"]
    print(f"not grown, {arch}: {statistics.mean(bits):.3f} bits per byte")
