#!/usr/bin/env python3
"""Run the protocol of studies/side-by-side/README.md; with --table, make its table and figure."""
import json, math, os, statistics, sys
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from common import Study, arguments, cell, cut, kept, paired, svg, table, verdict, write_json, write_tasks

options = arguments(__doc__, text=True, seeds="1,2,3", parts=("1M,tasks,10M", "which of 1M, tasks and 10M, between commas"))
ARCHS = ["gpt2", "gpt_neo", "opt", "gpt_neox", "llama", "pangu_pi", "tokenformer", "rwkv4", "rwkv5", "rwkv6", "rwkv7", "hybrid"]
LEARNED_POSITIONS = {"gpt2", "gpt_neo", "opt"}
CTX, BATCH, LONGEST, SCORED = 256, 4, 8, 64
TASK_CTX, TASK_BATCH, PAIRS, LETTERS = 128, 8, 8, 16
SIZES = {"1M": (1_000_000, 800, 64), "10M": (10_000_000, 120, 16)}                  # parameters, steps, places that are scored
TASKS, LINES, ITEMS, HELD_OUT = (240_000, 2000), 100_000, 300, 200_000
if options.toy:
    SIZES, TASKS, LINES, ITEMS, HELD_OUT = {"1M": (120_000, 8, 2), "10M": (240_000, 8, 2)}, (120_000, 8), 200, 5, 5000
ENDS = [CTX // 2 * 2 ** k for k in range(5)]                                        # positions where the scored bytes end
study = Study(options, ["size", "equal", "arch", "seed"],
              ["params", "flops", "steps", "bits", "positions", "train_tokens_s", "write_tokens_s", "train_bytes", "recall", "copy"])


def config_of(arch, params, ctx, longest):
    """Its configuration, for windows of ctx; the path. Positions that are not learned reach further."""
    config = dict(study.sized(arch, params, ctx, study.train_text, "--tokenizer", "bytes"))
    if arch not in LEARNED_POSITIONS:
        config["context_length" if "context_length" in config else "max_position_embeddings"] = longest
    return write_json(os.path.join(options.out, f"config-{arch}-{params}-{ctx}-long.json"), config)


def steps_of(size, equal, arch):
    params, steps, _ = SIZES[size]
    flops = {a: study.plan(config_of(a, params, CTX, LONGEST * CTX), BATCH, CTX, "bf16")[1] for a in {arch, "gpt2"}}
    paid = round(steps * flops["gpt2"] / flops[arch])
    return steps if equal == "tokens" or abs(paid / steps - 1) <= 0.02 else paid


def by_position(run, arch, places, folder):
    """{end: bits per byte} of the same bytes after longer and longer beginnings."""
    with open(study.valid_text, "rb") as f:
        text = f.read().decode("ascii", "replace").replace("\ufffd", "?")
    far, found = ENDS[-1], []
    for end in ENDS[:2] if arch in LEARNED_POSITIONS else ENDS:
        path = os.path.join(folder, "places.jsonl")
        with open(path, "w") as f:
            for i in range(places):
                at = far + i * max((len(text) - far) // places, 1)
                at = min(at, len(text))
                f.write(json.dumps({"context": text[at - end:at - SCORED], "text": text[at - SCORED:at]}) + "\n")
        lines = study.lithe("score", run, "--text", path, "--json", "--threads", 1)[0].splitlines()
        bits = [-json.loads(x)["loglikelihood"] / math.log(2) / SCORED for x in lines]
        found.append(f"{end}:{statistics.mean(bits):.4f}")
    return ";".join(found)


def text_run(size, equal, arch, seed, folder):
    params, _, places = SIZES[size]
    path, steps = config_of(arch, params, CTX, LONGEST * CTX), steps_of(size, equal, arch)
    counted, flops = study.plan(path, BATCH, CTX, "bf16")
    args = [study.train_text, "--valid", study.valid_text, "--tokenizer", "bytes", "--config", path, "--ctx", CTX, "--batch", BATCH, "--dtype", "bf16", "--seed", seed]
    run = os.path.join(folder, "run")
    _, _, resident = study.train(run, *args, "--steps", steps, "--eval-every", "25%", "--eval-windows", 16)
    bits = study.json("eval", run, "--text", study.valid_text, "--ctx", CTX, "--threads", 1)["bits_per_byte"]
    written = study.json("bench", run, "--prefill", 0, "--decode", 64, "--runs", 5, "--threads", 1)["results"][0]["tokens_per_second"]
    seconds = study.step_seconds(folder, args)
    return {"params": counted, "flops": flops, "steps": steps, "bits": round(bits, 5), "positions": by_position(run, arch, places, folder),
            "train_tokens_s": round(BATCH * CTX / seconds), "write_tokens_s": round(written), "train_bytes": resident, "recall": "", "copy": ""}


def task_run(arch, seed, folder):
    params, steps = TASKS
    path = config_of(arch, params, TASK_CTX, TASK_CTX)
    counted, flops = study.plan(path, TASK_BATCH, TASK_CTX, "bf16")
    write_tasks(folder, LINES, ITEMS, PAIRS, LETTERS, seed)
    run = os.path.join(folder, "run")
    study.train(run, os.path.join(folder, "tasks.txt"), "--tokenizer", "bytes", "--config", path, "--ctx", TASK_CTX, "--batch", TASK_BATCH,
                "--dtype", "bf16", "--seed", seed, "--steps", steps, "--eval-every", 0)
    right = {k: study.json("eval", run, "--task", os.path.join(folder, k + ".json"), "--data", os.path.join(folder, k + ".jsonl"), "--no-cache",
                           "--threads", 1)["accuracy"] for k in ("recall", "copy")}
    return {"params": counted, "flops": flops, "steps": steps, "bits": "", "positions": "", "train_tokens_s": "", "write_tokens_s": "", "train_bytes": "", **right}


def one(task, folder):
    size, equal, arch, seed = task
    return task_run(arch, seed, folder) if size == "tasks" else text_run(size, equal, arch, seed, folder)


def all_runs():
    """The most telling first: the small size and the tasks, seed by seed; equal compute where it is another run."""
    text = {s: [(s, "tokens", a) for a in ARCHS] + [(s, "compute", a) for a in ARCHS if steps_of(s, "compute", a) != SIZES[s][1]] for s in SIZES}
    parts = {"1M": text["1M"], "tasks": [("tasks", "tokens", a) for a in ARCHS], "10M": text["10M"]}
    return [(*run, seed) for part in options.parts.split(",") for seed in study.seeds() for run in parts[part]]


# ---- the table ----

def positions(rows, **arm):
    """{end: [bits of each seed]}"""
    found = {}
    for r in rows:
        if all(r[k] == v for k, v in arm.items()):
            for part in filter(None, r["positions"].split(";")):
                end, bits = part.split(":")
                found.setdefault(int(end), []).append(float(bits))
    return found


def line_of(rows, size, arch):
    of = dict(size=size, arch=arch)
    compute = "compute" if kept(rows, "bits", equal="compute", **of) else "tokens"
    at = positions(rows, equal="tokens", **of)
    speeds = [cell(kept(rows, k, equal="tokens", **of), 0) for k in ("train_tokens_s", "write_tokens_s")]
    against = "" if arch == "gpt2" else verdict(paired(rows, "bits", {**of, "equal": "tokens"}, {"size": size, "arch": "gpt2", "equal": "tokens"}))
    return [arch, next(r["params"] for r in rows if r["size"] == size and r["arch"] == arch), cell(kept(rows, "bits", equal="tokens", **of)), against,
            cell(kept(rows, "bits", equal=compute, **of)), *(cell(at.get(e, []), 2) for e in ENDS), *speeds,
            f"{statistics.mean(kept(rows, 'train_bytes', equal='tokens', **of)) / 1e6:.0f}"]


def print_table():
    rows = study.rows()
    for size in SIZES:
        there = [a for a in ARCHS if kept(rows, "bits", size=size, equal="tokens", arch=a)]
        if not there:
            continue
        print(f"### {size}\n")
        print(table(["architecture", "parameters", "bits per byte, equal tokens", "against gpt2", "bits per byte, equal compute", *(f"at {e}" for e in ENDS),
                     "training tokens/s", "written tokens/s", "MB"], [line_of(rows, size, a) for a in there]))
    there = [a for a in ARCHS if kept(rows, "copy", size="tasks", arch=a)]
    if there:
        print(f"### tasks, {TASKS[0]} parameters\n")
        print(table(["architecture", "recall %", "copy %"], [[a, *(cell([100 * x for x in kept(rows, k, size="tasks", arch=a)], 0) for k in ("recall", "copy"))] for a in there]))
    curves = {a: [(e, statistics.mean(b)) for e, b in positions(rows, size="1M", equal="tokens", arch=a).items()] for a in ARCHS}
    curves = {a: c for a, c in curves.items() if c}
    if curves:
        with open(os.path.join(options.out, "positions.svg"), "w") as f:
            f.write(svg(f"Text by position, trained at {CTX}", "position", "bits per byte", curves, log_x=True, log_y=True))


if not options.table:
    study.train_text, study.valid_text = cut(options.text, options.out, HELD_OUT)
    study.make(all_runs(), one)
print_table()
