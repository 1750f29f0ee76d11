#!/usr/bin/env python3
"""Measure configurations of `lithe train` at the points of studies/first-hour/README.md, a thread each; with --table, compare
the command's own choice with the best of each point."""
import argparse, os, subprocess, sys, tempfile, threading
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from common import Study, table

HELD_OUT = 60_000                                  # bytes after those that are trained on
SIZES = {"200k": 200_000, "2m": 2_000_000, "20m": 20_000_000}
START = {"arch": "rwkv7", "vocab": 1024, "params": 1_000_000, "rate": 1.0, "batch": 8, "ctx": 256, "passes": 16.0, "optimizer": "adamw",
         "schedule": "cosine", "min_lr": 0.1, "decay": 0.1, "dtype": "bf16"}
PRICED_BY = ["arch", "vocab", "params", "batch", "ctx", "optimizer", "dtype"]
PROBE = (10, 40)                                   # steps of the two runs whose difference is the price of a step


class Point:
    """One text at one size."""

    def __init__(self, name):
        self.name, self.lock = name, threading.Lock()
        text, _, size = name.rpartition("-")
        self.path = os.path.join(options.out, name)
        if not os.path.exists(self.path + ".txt"):
            if text not in options.texts or size not in SIZES:
                raise SystemExit(f"{name}: a point is NAME-SIZE, a text given by --text NAME=PATH and one of the sizes {', '.join(SIZES)}")
            self.cut(options.texts[text], SIZES[size])
        self.bytes = os.path.getsize(self.path + ".txt")

    def cut(self, path, size):
        with open(path, "rb") as f:
            whole = f.read(size + HELD_OUT)
        for ending, part in ((".valid.txt", whole[-HELD_OUT:]), (".txt", whole[:-HELD_OUT])):
            with open(self.path + ending, "wb") as f:
                f.write(part.decode("utf-8", "ignore").encode())

    def vocabulary(self, vocab):
        """A tokenizer learned from the first 8 MB, as the command does."""
        path = f"{self.path}-{vocab}.json"
        with self.lock:
            if not os.path.exists(path):
                with open(self.path + ".sample.txt", "wb") as out, open(self.path + ".txt", "rb") as f:
                    out.write(f.read(8_000_000).decode("utf-8", "ignore").encode())
                study.lithe("train-tokenizer", self.path + ".sample.txt", "--vocab", vocab, "--out", path)
        return path

    def tokens(self, vocab):
        """Of the text, by its first 200 kB."""
        with open(self.path + ".txt", "rb") as f:
            part = f.read(200_000)
        ids = subprocess.run([options.lithe, "tokenize", self.vocabulary(vocab)], input=part, capture_output=True, check=True).stdout
        return len(ids.split()) * self.bytes / len(part)

    def bits(self, run):
        return round(study.json("eval", run, "--text", self.path + ".valid.txt", "--threads", 1)["bits_per_byte"], 4)

    def best(self):
        done = measured(self.name)
        if not done:
            return dict(START)
        r = min(done, key=lambda r: float(r["bits"]))
        return {k: type(v)(r[k]) for k, v in START.items()}


def measured(name):
    """The lines of a point's configurations, the command's own choice left out."""
    return [r for r in study.rows() if r["point"] == name and r["vocab"] and float(r["seconds"]) == options.seconds]


def train(point, c, steps, run, lr=None):
    rate = ["--lr", lr, "--min-lr", lr * c["min_lr"]] if lr else []
    return study.train(run, point.path + ".txt", "--valid", point.path + ".valid.txt", "--tokenizer", point.vocabulary(c["vocab"]), "--arch", c["arch"],
                       "--params", c["params"], "--ctx", c["ctx"], "--batch", c["batch"], *rate, "--weight-decay", c["decay"], "--dtype", c["dtype"],
                       "--optimizer", c["optimizer"], "--schedule", c["schedule"], "--steps", steps, "--eval-every", "50%")


def peak_rate(run):
    with open(os.path.join(run, "log.jsonl")) as f:
        return float(f.readline().split('"lr": ')[1].split(",")[0])


def price(point, c, folder):
    """Processor seconds of a step, and the command's learning rate for this width."""
    for r in study.rows():
        if all(r[k] == str(c[k]) for k in PRICED_BY):
            return float(r["step_ms"]) / 1e3, float(r["lr"]) / float(r["rate"])
    short, long = (train(point, c, steps, os.path.join(folder, str(steps)))[1] for steps in PROBE)
    return (long - short) / (PROBE[1] - PROBE[0]), peak_rate(os.path.join(folder, str(PROBE[0])))


def measure(point, c, folder):
    """The steps that the seconds pay for, or the passes allow."""
    step, lr = price(point, c, folder)
    tokens = point.tokens(c["vocab"])
    steps = max(1, int(min(options.seconds / step, c["passes"] * tokens / (c["batch"] * c["ctx"]))))
    run = os.path.join(folder, "run")
    half = train(point, c, steps, run, lr * c["rate"])[0][1]["bits_per_byte"]
    return {**c, "seconds": options.seconds, "lr": round(lr * c["rate"], 6), "step_ms": round(1e3 * step, 2), "steps": steps,
            "read": round(steps * c["batch"] * c["ctx"] / tokens, 2), "bits": point.bits(run), "half": round(half, 4)}


def measure_choice(point, folder):
    """What `lithe train` makes of nothing but the text, with one thread; the held-out text replaces the part that it would hold out."""
    run = os.path.join(folder, "run")
    _, seconds, _ = study.lithe("train", point.path + ".txt", "--valid", point.path + ".valid.txt", "--no-sample", "--threads", 1, "-q", "--out", run)
    return {"arch": "default", "seconds": round(seconds, 1), "lr": round(peak_rate(run), 6), "bits": point.bits(run)}


def work():
    """Takes one run after the other from the queue; each changes the best that is known when it begins."""
    while True:
        with study.lock:
            if not queue:
                return
            name, changes = queue.pop(0)
        with tempfile.TemporaryDirectory(prefix="work-", dir=options.out) as folder:
            point = points[name]
            if changes == ["default"]:
                found = measure_choice(point, folder)
            else:
                c = point.best()
                for key, value in (pair.split("=") for pair in changes):
                    c[key] = type(START[key])(value)
                if any(all(r[k] == str(v) for k, v in c.items()) for r in measured(name)):
                    continue
                found = measure(point, c, folder)
        row = [name, *(found.get(c, "") for c in study.columns[1:])]
        with study.lock:
            study.append(row)
        print(*row, flush=True)


def print_table():
    rows = []
    for name in dict.fromkeys(r["point"] for r in study.rows()):
        done, own = measured(name), [r for r in study.rows() if r["point"] == name and r["arch"] == "default"]
        if not done:
            continue
        best = min(done, key=lambda r: float(r["bits"]))
        what = ", ".join(f"{k} {best[k]}" for k in ("arch", "vocab", "params", "batch", "rate", "decay", "read"))
        bits = float(best["bits"])
        rows.append([name, len(done), f"{bits:.4f}", what, *(f"{float(r['bits']):.4f} ({100 * (float(r['bits']) / bits - 1):+.1f} %)" for r in own[-1:])])
    print(table(["point", "runs", "best", "its configuration", "`lithe train`"], rows))


def arguments():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("out", help="directory of the record; what has been measured is not measured again")
    p.add_argument("runs", nargs="*", metavar="POINT[:KEY=VALUE,...]", help="en-200k:rate=2,vocab=2048 is the best so far at this point with these changes; en-200k:default the command itself")
    p.add_argument("--text", action="append", default=[], metavar="NAME=PATH")
    p.add_argument("--seconds", type=float, default=300, help="of one core, for the steps of a run")
    p.add_argument("--jobs", type=int, default=2)
    p.add_argument("--table", action="store_true", help="make the table from the record, and run nothing")
    p.add_argument("--lithe", default="build/lithe")
    return p.parse_intermixed_args()


options = arguments()
options.texts = dict(pair.split("=", 1) for pair in options.text)
study = Study(options, ["point", "seconds", *START], ["lr", "step_ms", "steps", "read", "bits", "half"])
queue = [(run.partition(":")[0], [c for c in run.partition(":")[2].split(",") if c]) for run in options.runs]
points = {name: Point(name) for name in dict(queue)}
if options.table:
    print_table()
workers = [threading.Thread(target=work) for _ in range(options.jobs if queue else 0)]
for w in workers:
    w.start()
for w in workers:
    w.join()
