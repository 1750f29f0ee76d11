#!/usr/bin/env python3
"""Run the protocol of studies/cost-of-a-token/README.md; with --table, make its table and figures."""
import os, statistics, sys
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from common import Study, arguments, svg, table, write_json

options = arguments(__doc__, only=("", "models, between commas; a later run without it makes the others"))
PARAMS, DEPTHS, RUNS, ROUNDS = (120_000, [0, 100, 300], 3, 3) if options.toy else (500_000, [0, 1000, 3000, 10_000, 30_000, 100_000], 7, 5)
RECURRENT = ["rwkv4", "rwkv5", "rwkv6", "rwkv7"]
ATTENTION = {"llama": ("llama", "f32"), "llama q8_0": ("llama", "q8_0")}
TOKENS = {True: 512, False: 32}           # read one by one in a run: recurrent, attention
CONTEXT = DEPTHS[-1] + (RUNS + 1) * TOKENS[False]
study = Study(options, ["model", "round"], ["params", "microseconds", "bytes"])


def text():
    path = os.path.join(options.out, "text.txt")
    with open(path, "w") as f:
        f.write("What a token costs does not depend on what it says.\n" * 200)
    return path


def model(arch):
    """A model of one step whose context holds the longest text."""
    run = os.path.join(options.out, "model-" + arch)
    if not os.path.exists(os.path.join(run, "model.safetensors")):
        data = [text(), "--tokenizer", "bytes"]
        config = study.sized(arch, PARAMS, 64, *data)
        longer = {**config, "max_position_embeddings": CONTEXT} if arch not in RECURRENT else config
        path = write_json(os.path.join(options.out, f"config-{arch}-long.json"), longer)
        study.train(run, *data, "--config", path, "--ctx", 64, "--batch", 1, "--steps", 1, "--eval-every", 0)
    return run


def measure(task, _):
    """A line of the record: microseconds a token and bytes, each as position:figure;..."""
    name, _ = task
    arch, cache = ATTENTION.get(name, (name, "f32"))
    found = study.json("bench", model(arch), "--prefill", 0, "--decode", TOKENS[name in RECURRENT], "--depth", ",".join(map(str, DEPTHS)), "--runs", RUNS,
                       "--cache-type", cache, "--threads", 1)
    at = found["results"]
    return {"params": found["params"], "microseconds": ";".join(f"{x['depth']}:{1e6 * x['seconds'] / x['tokens']:.3f}" for x in at),
            "bytes": ";".join(f"{x['depth']}:{x['engine_bytes']}" for x in at)}


def figures(rows, name, column):
    """{position: [figure of each round]}"""
    found = {}
    for r in rows:
        if r["model"] == name:
            for part in r[column].split(";"):
                depth, value = part.split(":")
                found.setdefault(int(depth), []).append(float(value))
    return found


def line(points):
    """Slope and R² of a line through points."""
    xs, ys = zip(*points)
    mx, my = statistics.mean(xs), statistics.mean(ys)
    xx, xy, yy = (sum((a - m) * (b - n) for a, b in zip(p, q)) for p, q, m, n in ((xs, xs, mx, mx), (xs, ys, mx, my), (ys, ys, my, my)))
    return xy / xx, xy * xy / (xx * yy)


def answer(name, times, memory):
    """times: {position: [microseconds]}; what the protocol calls shown."""
    middles = {d: statistics.median(t) for d, t in times.items()}
    if name not in RECURRENT:
        slope, fit = line(list(middles.items()))
        return f"{'a line' if fit >= 0.99 else 'no line'}: {1000 * slope:.2f} µs for each 1 000 tokens, R² {fit:.4f}"
    whole = statistics.mean(middles.values())
    off = max(abs(m / whole - 1) for m in middles.values())
    noise = max(max(t) / min(t) - 1 for t in times.values())
    grown = max(memory.values()) - min(memory.values())
    if noise > 0.02 and off > 0.02:
        return f"not shown: rounds differ by {100 * noise:.1f} %, positions by up to {100 * off:.1f} % from the mean"
    return f"{'flat' if off <= 0.02 and not grown else 'not flat'}: within {100 * off:.1f} % of the mean, memory grows by {grown:.0f} bytes"


def print_table():
    rows, lines, seconds, memory = study.rows(), [], {}, {}
    for name in [m for m in [*RECURRENT, *ATTENTION] if figures(rows, m, "bytes")]:
        times = figures(rows, name, "microseconds")
        bytes_at = {d: b[0] for d, b in figures(rows, name, "bytes").items()}
        seconds[name] = [(d, statistics.median(t)) for d, t in times.items()]
        memory[name] = [(d, b / 1e6) for d, b in bytes_at.items()]
        lines.append([name, next(r["params"] for r in rows if r["model"] == name), *(f"{m:.1f}" for _, m in seconds[name]),
                      f"{seconds[name][-1][1] / seconds[name][0][1]:.2f}", f"{memory[name][-1][1]:.2f}", answer(name, times, bytes_at)])
    print(table(["model", "parameters", *(f"µs after {d}" for d in DEPTHS), "last / first", "MB at the end", "answer"], lines))
    for name, title, up, curves in ("seconds", "Time of a token, by its position", "µs", seconds), ("memory", "Memory of a sequence, by its length", "MB", memory):
        if curves:
            with open(os.path.join(options.out, name + ".svg"), "w") as f:
                f.write(svg(title, "tokens before", up, curves, log_y=True))


if not options.table:
    only = options.only.split(",") if options.only else [*RECURRENT, *ATTENTION]
    study.make([(m, r) for r in range(ROUNDS) for m in only if m in RECURRENT or r == 0], measure)
print_table()
