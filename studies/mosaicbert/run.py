#!/usr/bin/env python3
"""Run the protocol of studies/mosaicbert/README.md; with --table, make its table and figure."""
import json, os, re, statistics, sys
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from common import Study, arguments, cell, cut, kept, paired, svg, table, verdict, write_json

options = arguments(__doc__, text=True, seeds="1,2,3", seconds=("60", "processor seconds of each run (60)"))
CTX, BATCH, VOCAB, HELD_OUT, MOST = 128, 32, 2042, 150_000, 4_000_000
SECONDS = 0.5 if options.toy else float(options.seconds)
if options.toy:
    BATCH, HELD_OUT, MOST = 4, 10_000, 200_000
SHAPE = {"vocab_size": VOCAB, "max_position_embeddings": CTX, "hidden_size": 128, "num_attention_heads": 4, "num_hidden_layers": 4, "intermediate_size": 512,
         "initializer_range": 0.0442}
BERT = {**SHAPE, "model_type": "bert", "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.1}
PARTS = {**SHAPE, "model_type": "hybrid", "encoder": True, "mixer": "attention", "norm": "layer_norm", "norm_place": "post", "norm_eps": 1e-12, "position": "learned",
         "feed_forward": "mlp", "activation": "gelu", "attention_bias": True, "mlp_bias": True}
MOSAIC = {**SHAPE, "vocab_size": 2048, "model_type": "mosaicbert", "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
ALIBI = {**PARTS, "position": "alibi"}
GLU = {**ALIBI, "feed_forward": "glu"}
MASK, BF16 = ["--mask-rate", 0.3], ["--dtype", "bf16"]
LADDER = {    # rung -> (configuration, options of train, padded)
    "bert": (BERT, [], True), "no dropout": ({**BERT, "attention_probs_dropout_prob": 0.0}, [], True), "parts": (PARTS, [], True), "alibi": (ALIBI, [], True),
    "glu": (GLU, [], True), "unpadded": (GLU, [], False), "mask 30 %": (GLU, MASK, False), "bf16": (GLU, MASK + BF16, False),
    "vocabulary": ({**GLU, "vocab_size": 2048}, MASK + BF16, False), "mosaicbert": (MOSAIC, MASK + BF16, False),
}
study = Study(options, ["part", "rung", "seed"], ["params", "steps", "step_seconds", "step_tokens", "loss", "accuracy", "curve", "norms"])


def paragraphs(text):
    """Those of at least four words."""
    return [p for p in (" ".join(x.split()) for x in re.split(r"\n\s*\n", text)) if p.count(" ") >= 3]


def prepare():
    """train.jsonl and valid.jsonl, a document a line; full.jsonl, the second as documents that fill the window; the vocabulary."""
    for part, path in zip(("train", "valid"), cut(options.text, options.out, HELD_OUT, MOST)):
        with open(path, encoding="utf-8", errors="replace") as f:
            found = paragraphs(f.read())
        write_documents(part, found)
        if part == "valid":
            write_documents("full", [" ".join(found[i:i + 1000]) for i in range(0, len(found), 1000)])
    if not os.path.exists(tokenizer()):
        study.lithe("train-tokenizer", os.path.join(options.out, "text.train.txt"), "--vocab", VOCAB, "--kind", "wordpiece", "--lowercase", "--out", tokenizer())


def documents(part):
    return os.path.join(options.out, part + ".jsonl")


def write_documents(part, texts):
    with open(documents(part), "w") as f:
        f.writelines(json.dumps({"text": t}) + "\n" for t in texts)


def tokenizer():
    return os.path.join(options.out, "tokenizer.json")


def train_options(rung, data):
    config, more, _ = LADDER[rung]
    path = write_json(os.path.join(options.out, f"config-{list(LADDER).index(rung)}.json"), config)
    return [documents(data), "--valid", documents("valid"), "--tokenizer", tokenizer(), "--config", path, "--ctx", CTX, "--batch", BATCH, "--optimizer", "adamw",
            "--lr", "1e-3", "--min-lr", 0, "--weight-decay", 0.01, "--beta2", 0.98, "--eps", 1e-6, "--clip", 1, "--schedule", "linear", "--warmup", "6%", "--mask", "each",
            "--mask-rate", 0.15, "--dtype", "f32", *more]


def step_tokens(run):
    with open(os.path.join(run, "log.jsonl")) as f:
        return statistics.mean(e["tokens"] for e in map(json.loads, f) if "tokens" in e and "loss" in e)


def one(task, folder):
    part, rung, seed = task
    nothing = dict.fromkeys(("steps", "step_seconds", "step_tokens", "loss", "accuracy", "curve", "norms"), "")
    run = os.path.join(folder, "run")
    if part == "speed":
        data = "full" if LADDER[rung][2] else "valid"          # the smaller text, so that reading it takes no time
        seconds = study.step_seconds(folder, train_options(rung, data))
        study.train(run, *train_options(rung, "valid"), "--steps", 20, "--eval-every", 0)
        norms = norm_share(run) if rung == "bf16" else ""
        return {**nothing, "params": "", "step_seconds": f"{seconds:.6f}", "step_tokens": f"{step_tokens(run):.1f}", "norms": norms}
    steps = max(round(SECONDS / step_seconds(rung)), 10)
    log, _, _ = study.train(run, *train_options(rung, "train"), "--steps", steps, "--eval-every", "12.5%", "--eval-windows", 400, "--seed", seed)
    return {**nothing, "params": log[-1]["params"], "steps": steps, "loss": log[-1]["valid_loss"], "accuracy": log[-1]["accuracy"],
            "curve": ";".join(f"{e['step']}:{e['accuracy']:.4f}" for e in log)}


def norm_share(run):
    """The share of the norms in the time of a pass over sentences, in percent."""
    ops = study.json("bench", run, "--runs", 3, "--profile", "--threads", 1)["results"][0]["profile"]
    return f"{100 * sum(o['seconds'] for o in ops if 'norm' in o['op']) / sum(o['seconds'] for o in ops):.2f}"


def step_seconds(rung):
    return statistics.median(kept(study.rows(), "step_seconds", part="speed", rung=rung))


def gain(rows, rung, other):
    """Points of accuracy that a rung has more than another."""
    points = [100 * x for x in paired(rows, "accuracy", dict(part="train", rung=rung), dict(part="train", rung=other))]
    return f"{cell(points, 2, True)}: {verdict([-p for p in points])}" if points else ""


def print_table():
    rows, lines, curves, before, rates = study.rows(), [], {}, None, {}
    for rung in LADDER:
        of = dict(part="train", rung=rung)
        speed, accuracy = kept(rows, "step_seconds", part="speed", rung=rung), kept(rows, "accuracy", **of)
        if not speed or not accuracy:
            continue
        seconds = statistics.median(speed)
        rates[rung] = statistics.mean(kept(rows, "step_tokens", part="speed", rung=rung)) / seconds
        first = next(r for r in rows if r["part"] == "train" and r["rung"] == rung)
        lines.append([rung, first["params"], f"{rates[rung]:.0f}", f"{rates[rung] / rates[before]:.2f}" if before else "", first["steps"], cell([100 * a for a in accuracy], 2),
                      cell(kept(rows, "loss", **of), 4), gain(rows, rung, before), gain(rows, rung, "bert") if before else ""])
        curves[rung] = [(int(s) * seconds, 100 * float(a)) for s, a in (p.split(":") for p in first["curve"].split(";"))]
        before = rung
    print(table(["rung", "parameters", "real tokens/s", "ratio", "steps", "accuracy %", "loss", "points from the rung above", "points from `bert`"], lines))
    norms = kept(rows, "norms", rung="bf16", part="speed")
    if norms:
        print(f"Low-precision LayerNorm is not a rung (activations are fp32); all norms are {statistics.median(norms):.1f} % of a pass of `bf16`, more than which it cannot give.")
    if curves:
        with open(os.path.join(options.out, "accuracy.svg"), "w") as f:
            f.write(svg("Masked accuracy, first seed", "processor seconds", "%", curves))


if not options.table:
    prepare()
    study.make([("speed", r, k) for k in range(1 if options.toy else 3) for r in LADDER], one)
    study.make([("train", r, s) for s in study.seeds() for r in LADDER], one)
print_table()
