#!/usr/bin/env python3
"""Measure configurations of `lithe train` at the points of studies/first-hour/README.md, several at once on one core each.
Every finished run is a line of OUT/record.csv, and none is made twice."""
import argparse, csv, json, os, shutil, subprocess, threading

HELD_OUT = 60000                                   # bytes after those that are trained on
SIZES = {"200k": 200_000, "2m": 2_000_000, "20m": 20_000_000}
START = {"arch": "rwkv7", "vocab": 1024, "params": 1_000_000, "rate": 1.0, "batch": 8, "ctx": 256, "passes": 16.0, "optimizer": "adamw",
         "schedule": "cosine", "min_lr": 0.1, "decay": 0.1, "dtype": "bf16"}
COLUMNS = ["point", "seconds", *START, "lr", "step_ms", "steps", "read", "bits", "half"]
PROBE = (10, 40)                                   # steps of the two runs whose difference is the price of a step


def lithe(*args, cwd=None):
    """What the command printed, and the processor time that it took."""
    p = subprocess.Popen([options.lithe, *map(str, args)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=cwd)
    out, err = p.stdout.read(), p.stderr.read()
    _, status, usage = os.wait4(p.pid, 0)
    if status:
        raise RuntimeError("lithe " + " ".join(map(str, args)) + ": " + err)
    return out, usage.ru_utime + usage.ru_stime


class Point:
    """One text at one size."""

    def __init__(self, name):
        self.name, self.lock = name, threading.Lock()
        text, size = name.split("-")
        self.path = os.path.join(options.out, name)
        if not os.path.exists(self.path + ".txt"):
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
                lithe("train-tokenizer", self.path + ".sample.txt", "--vocab", vocab, "--out", path)
        return path

    def tokens(self, vocab):
        """Of the text, by its first 200 kB."""
        with open(self.path + ".txt", "rb") as f:
            part = f.read(200_000)
        ids = subprocess.run([options.lithe, "tokenize", self.vocabulary(vocab)], input=part, capture_output=True).stdout
        return len(ids.split()) * self.bytes / len(part)


def train(point, c, steps, out, lr=None):
    shutil.rmtree(out, ignore_errors=True)
    rate = ["--lr", lr, "--min-lr", lr * c["min_lr"]] if lr else []
    return lithe("train", point.path + ".txt", "--valid", point.path + ".valid.txt", "--tokenizer", point.vocabulary(c["vocab"]), "--arch", c["arch"],
                 "--params", int(c["params"]), "--ctx", c["ctx"], "--batch", c["batch"], *rate, "--weight-decay", c["decay"], "--dtype", c["dtype"],
                 "--optimizer", c["optimizer"], "--schedule", c["schedule"], "--steps", steps, "--eval-every", "50%", "--save-every", 0, "--no-sample",
                 "--threads", 1, "-q", "--out", out)[1]


def log_of(out):
    with open(os.path.join(out, "log.jsonl")) as f:
        return [json.loads(line) for line in f]


def price(point, c, out):
    """Seconds of one core per step, and the command's learning rate."""
    key = tuple(c[k] for k in ("arch", "vocab", "params", "batch", "ctx", "optimizer", "dtype"))
    if key not in prices:
        short, long = (train(point, c, steps, out) for steps in PROBE)
        prices[key] = ((long - short) / (PROBE[1] - PROBE[0]), log_of(out)[0]["lr"])
    return prices[key]


def measure(point, c, slot):
    """Bits per byte of the held-out text after the steps that the seconds pay for, or the passes allow."""
    key = {"point": point.name, "seconds": options.seconds, **c}
    if any(all(str(r[k]) == str(v) for k, v in key.items()) for r in record):
        return
    out = os.path.join(options.out, f"run{slot}")
    step, lr = price(point, c, out)
    tokens = point.tokens(c["vocab"])
    steps = max(1, int(min(options.seconds / step, c["passes"] * tokens / (c["batch"] * c["ctx"]))))
    train(point, c, steps, out, lr * c["rate"])
    half = [l["bits_per_byte"] for l in log_of(out) if "bits_per_byte" in l and l["step"] > 0][0]
    add_line({**key, "lr": round(lr * c["rate"], 6), "step_ms": round(1e3 * step, 2), "steps": steps, "read": round(steps * c["batch"] * c["ctx"] / tokens, 2),
              "bits": round(bits_of(out, point), 4), "half": round(half, 4)})


def by_default(point, slot):
    """The same of `lithe train` with nothing but the text, one thread of five minutes; the held-out text replaces its own."""
    key = {"point": point.name, "arch": "default"}
    if any(all(r[k] == v for k, v in key.items()) for r in record):
        return
    out = os.path.join(options.out, f"run{slot}")
    shutil.rmtree(out, ignore_errors=True)
    lithe("train", point.path + ".txt", "--valid", point.path + ".valid.txt", "--threads", 1, "-q", "--out", out)
    lines = log_of(out)
    add_line({**{k: "" for k in COLUMNS}, **key, "seconds": round(sum(l["seconds"] for l in lines if "loss" in l), 1), "lr": round(lines[0]["lr"], 6),
              "steps": max(l["step"] for l in lines), "bits": round(bits_of(out, point), 4)})


def bits_of(out, point):
    return json.loads(lithe("eval", out, "--text", point.path + ".valid.txt", "--threads", 1, "--json")[0])["bits_per_byte"]


def best(point):
    """The configuration with the fewest bits so far."""
    done = [r for r in record if r["point"] == point.name and r["vocab"] and float(r["seconds"]) == options.seconds]
    if not done:
        return dict(START)
    r = min(done, key=lambda r: float(r["bits"]))
    return {k: type(v)(r[k]) for k, v in START.items()}


def work(slot):
    while True:
        with guard:
            if not queue:
                return
            name, changes = queue.pop(0)
        point = points[name]
        try:
            if changes == ["default"]:
                by_default(point, slot)
                continue
            c = best(point)
            for pair in changes:
                k, v = pair.split("=")
                c[k] = type(START[k])(float(v) if not isinstance(START[k], str) else v)
            measure(point, c, slot)
        except Exception as e:
            print(name, changes, e, flush=True)


def add_line(line):
    with guard:
        new = not os.path.exists(options.record)
        with open(options.record, "a", newline="") as f:
            writer = csv.DictWriter(f, COLUMNS)
            if new:
                writer.writeheader()
            writer.writerow(line)
        record.append(line)
        print(" ".join(str(v) for v in line.values()), flush=True)


def arguments():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("out")
    p.add_argument("runs", nargs="+", metavar="POINT[:KEY=VALUE,...]", help="en-200k:rate=2,vocab=2048 is the best so far at this point with these changes; en-200k:default the command itself")
    p.add_argument("--text", action="append", default=[], metavar="NAME=PATH")
    p.add_argument("--seconds", type=float, default=300, help="of one core, for the steps of a run")
    p.add_argument("--jobs", type=int, default=2)
    p.add_argument("--lithe", default="build/lithe")
    return p.parse_args()


options = arguments()
options.texts = dict(pair.split("=", 1) for pair in options.text)
options.record = os.path.join(options.out, "record.csv")
os.makedirs(options.out, exist_ok=True)
record, prices, guard = [], {}, threading.Lock()
if os.path.exists(options.record):
    with open(options.record) as f:
        record = list(csv.DictReader(f))
for r in (r for r in record if r["vocab"]):
    prices[(r["arch"], int(r["vocab"]), int(r["params"]), int(r["batch"]), int(r["ctx"]), r["optimizer"], r["dtype"])] = (float(r["step_ms"]) / 1e3, float(r["lr"]) / float(r["rate"]))
queue = [(run.partition(":")[0], [c for c in run.partition(":")[2].split(",") if c]) for run in options.runs]
points = {name: Point(name) for name in dict(queue)}
workers = [threading.Thread(target=work, args=(k,)) for k in range(options.jobs)]
for w in workers:
    w.start()
for w in workers:
    w.join()
