"""The lines of one or several record.csv, and the statistics of the protocol (README.md)."""
import csv, os, statistics, sys
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from common import interval      # for the readers of a record

PRESERVING = {"A", "B", "C", "D", "D+noise", "duplicate", "bottom", "spread", "clone", "clone+noise"}     # up to the noise
DEFAULTS = {"slots": "C", "inner": "duplicate", "width": "duplicate", "depth": "duplicate"}
ORDER = ["C", "A", "B", "D", "D+noise", "F", "duplicate", "bottom", "spread", "clone", "clone+noise", "aki", "corner", "stack", "interpolate", "fresh"]


def read(paths):
    rows = []
    for path in paths:
        with open(path, newline="") as f:
            rows += list(csv.DictReader(f))
    for r in rows:
        r["bits"] = float(r["bits"])
    return rows


class Record:
    def __init__(self, rows):
        self.rows = rows
        self.bits = {(r["text"], r["arch"], r["seed"], r["size"], r["method"]): r["bits"] for r in rows}
        self.texts, self.archs, self.seeds = ([*dict.fromkeys(r[k] for r in rows)] for k in ("text", "arch", "seed"))

    def methods(self, size, arch=None):
        found = {r["method"] for r in self.rows if r["size"] == size and arch in (None, r["arch"])}
        return [m for m in ORDER if m in found]

    def differences(self, size, method, other, archs):
        """Of each seed, the mean over texts and architectures of the difference from another method; seeds that lack a run are left out."""
        found = []
        for seed in sorted(self.seeds):
            of = [(self.bits.get((t, a, seed, size, method)), self.bits.get((t, a, seed, "none" if other == "none" else size, other)))
                  for t in self.texts for a in archs]
            if of and all(x is not None and y is not None for x, y in of):
                found.append(statistics.mean(x - y for x, y in of))
        return found

    def archs_of(self, size, method):
        return [a for a in self.archs if method in self.methods(size, a)]
