#!/usr/bin/env python3
"""Run the protocol of studies/pangu/README.md; with --table, make its tables and figures."""
import csv, json, os, statistics, struct, sys
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from common import Study, arguments, cell, cut, kept, paired, svg, table, verdict, write_json

options = arguments(__doc__, text=True, seeds="1,2,3,4,5", extra=(False, "the further arms too"))
CTX, BATCH, LAYERS, HELD_OUT, SWEEP, BYTES = 128, 16, 6, 250_000, 300_000, 1_500_000
if options.toy:
    LAYERS, HELD_OUT, SWEEP, BYTES = 2, 5000, 20_000, 40_000
LLAMA = {"model_type": "llama", "vocab_size": 256, "max_position_embeddings": CTX, "hidden_size": 128, "num_hidden_layers": LAYERS, "num_attention_heads": 4,
         "tie_word_embeddings": True, "initializer_range": 0.0442}
SERIES, SHORTCUT, NO_SERIES, NO_SHORTCUT = {"siaf_n": 2}, {"aug_width": 16}, {"siaf_n": 1}, {"aug_kind": "none"}
PI = {**LLAMA, "model_type": "pangu_pi"}
ARMS = {
    "B": {**LLAMA, "intermediate_size": 344},
    "π": {**PI, "intermediate_size": 328, **SERIES, **SHORTCUT},
    "S": {**PI, "intermediate_size": 344, **SERIES, **NO_SHORTCUT},
    "A": {**PI, "intermediate_size": 344, **NO_SERIES, **SHORTCUT},
    "A-tanh": {**PI, "intermediate_size": 344, **NO_SERIES, **SHORTCUT, "aug_act": "tanh"},
    "A-gelu0": {**PI, "intermediate_size": 344, **NO_SERIES, **SHORTCUT, "aug_act": "gelu0"},
    "π-add-on": {**PI, "intermediate_size": 344, **SERIES, **SHORTCUT},
    "W": {**LLAMA, "intermediate_size": 360},
    "π-shallow": {**PI, "intermediate_size": 432, "num_hidden_layers": LAYERS - 1, **SERIES, **SHORTCUT},
}
RATES = ["1e-3", "2e-3", "4e-3"]
HEADLINE, EXTRA = ["B", "π"], ["S", "A", "A-tanh", "A-gelu0", "π-add-on", "W", "π-shallow"]
PLACES = ("rel", "cos", "deff80")
study = Study(options, ["part", "arm", "rate", "seed"], ["params", "steps", "loss", "bits", "step_seconds", "diversity", "series"])


def config(arm):
    return write_json(os.path.join(options.out, f"config-{arm}.json"), ARMS[arm])


def train_options(arm, rate, seed):
    return [study.train_text, "--valid", study.valid_text, "--tokenizer", "bytes", "--config", config(arm), "--ctx", CTX, "--batch", BATCH, "--dtype", "bf16",
            "--lr", rate, "--beta2", 0.95, "--weight-decay", 0.1, "--clip", 1, "--schedule", "cosine", "--seed", seed]


def tensors_of(run, ends):
    """(name, values) of the F32 tensors of a model whose names end so."""
    with open(os.path.join(run, "model.safetensors"), "rb") as f:
        head = json.loads(f.read(struct.unpack("<Q", f.read(8))[0]))
        base = f.tell()
        for name in sorted(n for n in head if n.endswith(ends)):
            a, b = head[name]["data_offsets"]
            f.seek(base + a)
            yield name, head[name]["shape"], struct.unpack(f"<{(b - a) // 4}f", f.read(b - a))


def series_of(run):
    """Mean and deviation of the second branch's scale and bias in each layer."""
    found = []
    for name, shape, values in tensors_of(run, ("mlp.siaf.scale", "mlp.siaf.bias")):
        second = values[shape[1]:2 * shape[1]]
        found.append(f"{name}:{statistics.mean(second):.4f}:{statistics.pstdev(second):.4f}")
    return ";".join(found)


def number(figure):
    return figure["mean"] if isinstance(figure, dict) else figure


def diversity_of(run):
    places = study.json("inspect", run, "--diversity", "--text", study.valid_text, "--ctx", CTX, "--tokens", "2k" if options.toy else "16k", "--threads", 1)["places"]
    return ";".join(":".join([f"{p['place']} {'' if p['layer'] is None else p['layer']}", *(f"{number(p[k]):.4f}" for k in PLACES)]) for p in places)


def one(task, folder):
    part, arm, rate, seed = task
    of, nothing = arm.replace("-long", "") if part == "long" else arm, {"loss": "", "bits": "", "step_seconds": "", "diversity": "", "series": ""}
    params = study.plan(config(of), BATCH, CTX, "bf16")[0]
    if part == "speed":
        seconds = study.step_seconds(folder, train_options(of, rate, 0))
        return {**nothing, "params": params, "steps": 0, "step_seconds": f"{seconds:.6f}"}
    steps = round((SWEEP if part == "sweep" else BYTES * (longer() if part == "long" else 1)) / (BATCH * CTX))
    run = os.path.join(folder, "run")
    study.train(run, *train_options(of, rate, seed), "--steps", steps, "--eval-every", "25%", "--eval-windows", 16)
    found = study.json("eval", run, "--text", study.valid_text, "--ctx", CTX, "--threads", 1)
    deep = part == "main" and seed == study.seeds()[0]
    return {**nothing, "params": params, "steps": steps, "loss": f"{found['loss']:.6f}", "bits": f"{found['bits_per_byte']:.6f}",
            "diversity": diversity_of(run) if deep else "", "series": series_of(run) if deep else ""}


def best_rate(arm):
    """That of the sweep; extra arms have the rate of the headline arm that they are like."""
    like = arm if arm in HEADLINE else "B" if arm == "W" else "π"
    return min((r for r in study.rows() if r["part"] == "sweep" and r["arm"] == like), key=lambda r: float(r["loss"]))["rate"]


def step_time(arm):
    return statistics.median(kept(study.rows(), "step_seconds", part="speed", arm=arm))


def longer():
    """How many bytes B reads in π's time, for each byte that π reads."""
    return step_time("π") / step_time("B")


def print_tables():
    rows, lines = study.rows(), []
    main = [a for a in ARMS if kept(rows, "loss", part="main", arm=a)]
    for part, arm in [("main", a) for a in main] + [("long", "B-long")]:
        of = dict(part=part, arm=arm)
        if not kept(rows, "loss", **of):
            continue
        d = paired(rows, "loss", of, dict(part="main", arm="B")) if arm != "B" else []
        seconds = kept(rows, "step_seconds", part="speed", arm=arm)
        lines.append([arm, next(r["params"] for r in rows if r["arm"] == arm), next(r["rate"] for r in rows if r["arm"] == arm and r["part"] == part),
                      next(r["steps"] for r in rows if r["arm"] == arm and r["part"] == part), cell(kept(rows, "loss", **of), 4), cell(kept(rows, "bits", **of), 4),
                      f"{cell(d, 4, True)}: {verdict(d)}" if d else "", f"{1000 * statistics.median(seconds):.1f}" if seconds else ""])
    print(table(["arm", "parameters", "rate", "steps", "loss (nats a byte)", "bits per byte", "from B", "ms a step"], lines))
    for question, other in ("equal parameters", dict(part="main", arm="B")), ("equal processor time", dict(part="long", arm="B-long")):
        d = paired(rows, "loss", dict(part="main", arm="π"), other)
        if d:
            says = verdict(d)
            print(f"π less {other['arm']} ({question}): {cell(d, 4, True)}: " + ("shown" if says == "better" else says + " at this scale") + ".")
    diversity(rows)
    series(rows)


def diversity(rows):
    """A curve of rel for each arm, and the figures as a table."""
    curves, lines = {}, []
    for r in rows:
        for i, part in enumerate(filter(None, r["diversity"].split(";"))):
            place, *figures = part.split(":")
            lines.append([r["arm"], place, *figures])
            if "post_ffn" in place:
                curves.setdefault(r["arm"], []).append((len(curves.get(r["arm"], [])) + 1, float(figures[0])))
    if lines:
        print("\n" + table(["arm", "after", *PLACES], lines))
        with open(os.path.join(options.out, "diversity.svg"), "w") as f:
            f.write(svg("How different the tokens are after each layer", "layer", "rel", curves))


def series(rows):
    with open(os.path.join(options.out, "series.csv"), "w", newline="") as f:
        out = csv.writer(f, lineterminator="\n")
        out.writerow(["arm", "tensor", "mean", "deviation"])
        out.writerows([r["arm"], *part.split(":")] for r in rows for part in filter(None, r["series"].split(";")))


if not options.table:
    study.train_text, study.valid_text = cut(options.text, options.out, HELD_OUT)
    study.make([("sweep", a, r, 0) for r in RATES for a in HEADLINE], one)
    arms = HEADLINE + (EXTRA if options.extra else [])
    study.make([("main", a, best_rate(a), s) for s in study.seeds() for a in HEADLINE], one)
    study.make([("speed", a, best_rate(a), k) for k in range(2 if options.toy else 5) for a in arms], one)
    study.make([("long", "B-long", best_rate("B"), s) for s in study.seeds()], one)
    study.make([("main", a, best_rate(a), s) for s in study.seeds() for a in arms], one)
print_tables()
