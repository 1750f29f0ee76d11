#!/usr/bin/env python3
"""Run the protocol of studies/first-hour/README.md; every finished run is a line of OUT/record.csv, and none is made twice."""
import argparse, csv, json, os, shutil, subprocess

HELD_OUT = 60000      # bytes after those that are trained on
SIZES = {"200k": 200_000, "2m": 2_000_000, "20m": 20_000_000}
START = {"arch": "rwkv7", "vocab": 1024, "params": 300_000, "lr": 4e-3, "batch": 8, "ctx": 256, "decay": 0.1, "dtype": "bf16", "share": 1.0}
MOVES = [     # one after the other: values to try instead of the best so far, or factors on it; the first that is better is kept
    ("arch", ["llama"]),
    ("lr", [2, 0.5]),
    ("vocab", [2, 0.5]),
    ("params", [2, 0.5]),
    ("share", [0.5, 0.25]),
    ("batch", [0.5, 2]),
]
COLUMNS = ["text", "size", "budget", *START, "steps", "passes", "bits"]


def lithe(*args):
    done = subprocess.run([options.lithe, *map(str, args)], capture_output=True, text=True)
    if done.returncode:
        raise SystemExit("lithe " + " ".join(map(str, args)) + ": " + done.stderr)
    return done.stdout


class Point:
    """One text at one size."""

    def __init__(self, text, path, size):
        self.text, self.size, self.best = text, size, None
        self.name = os.path.join(options.out, f"{text}-{size}")
        if not os.path.exists(self.name + ".txt"):
            self.cut(path)
        self.bytes = os.path.getsize(self.name + ".txt")

    def cut(self, path):
        with open(path, "rb") as f:
            whole = f.read(SIZES[self.size] + HELD_OUT)
        for ending, part in (".valid.txt", whole[-HELD_OUT:]), (".txt", whole[:-HELD_OUT]):
            with open(self.name + ending, "wb") as f:
                f.write(part.decode("utf-8", "ignore").encode())

    def vocabulary(self, vocab):
        """A tokenizer learned from the text; fewer than 257 tokens are the bytes."""
        path = f"{self.name}-{vocab}.json"
        if vocab > 256 and not os.path.exists(path):
            with open(self.name + ".sample.txt", "wb") as out, open(self.name + ".txt", "rb") as f:
                out.write(f.read(8_000_000).decode("utf-8", "ignore").encode())
            lithe("train-tokenizer", self.name + ".sample.txt", "--vocab", vocab, "--out", path)
        return path if vocab > 256 else "bytes"

    def tokens(self, vocab):
        """Of the text, by its first 200 kB."""
        with open(self.name + ".txt", "rb") as f:
            part = f.read(200_000)
        ids = subprocess.run([options.lithe, "tokenize", self.vocabulary(vocab)], input=part, capture_output=True).stdout
        return len(ids.split()) * self.bytes / len(part)

    def train(self, c, steps, out):
        shutil.rmtree(out, ignore_errors=True)
        lithe("train", self.name + ".txt", "--valid", self.name + ".valid.txt", "--tokenizer", self.vocabulary(c["vocab"]), "--arch", c["arch"],
              "--params", int(c["params"]), "--ctx", c["ctx"], "--batch", c["batch"], "--lr", c["lr"], "--weight-decay", c["decay"], "--dtype", c["dtype"],
              "--steps", steps, "--eval-every", steps, "--save-every", 0, "--no-sample", "--threads", 1, "-q", "--out", out)
        with open(os.path.join(out, "log.jsonl")) as f:
            return [json.loads(line) for line in f]

    def price(self, config):
        """Operations of a step."""
        return max(line.get("flops", 0) for line in self.train(config, 1, self.name + ".run"))

    def measure(self, config):
        """Bits per byte of the held-out text after the steps that the budget pays for."""
        key = {"text": self.text, "size": self.size, "budget": options.budget, **config}
        known = next((r for r in record if all(str(r[k]) == str(v) for k, v in key.items())), None)
        if not known:
            out = self.name + ".run"
            steps = max(int(options.budget * 1e12 * config["share"] / self.price(config)), 1)
            lines = self.train(config, steps, out)
            read = sum(line.get("tokens", 0) for line in lines)
            tokens = self.tokens(config["vocab"])
            bits = json.loads(lithe("eval", out, "--text", self.name + ".valid.txt", "--threads", 1, "--json"))["bits_per_byte"]
            known = {**key, "steps": steps, "passes": round(read / tokens, 2), "bits": round(bits, 4)}
            add_line(known)
        bits = float(known["bits"])
        if not self.best or bits < self.best[0]:
            self.best = (bits, dict(config))
            return True
        return False

    def move(self, key, values):
        config = self.best[1]
        for value in values:
            changed = value if isinstance(value, str) else type(config[key])(config[key] * value)
            if self.measure({**config, key: changed}):
                return


def add_line(line):
    new = not os.path.exists(options.record)
    with open(options.record, "a", newline="") as f:
        writer = csv.DictWriter(f, COLUMNS)
        if new:
            writer.writeheader()
        writer.writerow(line)
    record.append(line)
    print(line, flush=True)


def arguments():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("out")
    p.add_argument("texts", nargs="+", metavar="NAME=TEXT")
    p.add_argument("--sizes", default="200k,2m,20m")
    p.add_argument("--budget", type=float, default=1, help="operations of a run, in units of 10^12")
    p.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="another value to begin with")
    p.add_argument("--only", action="store_true", help="measure this configuration and no other")
    p.add_argument("--lithe", default="build/lithe")
    return p.parse_args()


options = arguments()
options.record = os.path.join(options.out, "record.csv")
os.makedirs(options.out, exist_ok=True)
record = []
if os.path.exists(options.record):
    with open(options.record) as f:
        record = list(csv.DictReader(f))
for pair in options.set:
    key, value = pair.split("=")
    START[key] = type(START[key])(value)
points = [Point(*pair.split("=", 1), size) for size in options.sizes.split(",") for pair in options.texts]
for point in points:
    point.measure(START)
for key, values in [] if options.only else MOVES:
    for point in points:
        point.move(key, values)
