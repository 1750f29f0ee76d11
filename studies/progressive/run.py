#!/usr/bin/env python3
"""Run the protocol of studies/progressive/README.md; with --table, make its tables."""
import os, statistics, sys
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from common import Study, arguments, cell, cut, interval, kept, paired, table, verdict, write_json

options = arguments(__doc__, text=True, seeds="1,2,3,4,5", parts=("depth,slots,width", "which of depth, slots and width, between commas"))
CTX, BATCH, STEPS, HELD_OUT = 256, 4, 1000, 200_000
if options.toy:
    CTX, STEPS, HELD_OUT = 64, 40, 4000
COMMON = {"vocab_size": 256}
LAYERS_KEY = {"gpt2": "n_layer", "llama": "num_hidden_layers", "rwkv7": "num_hidden_layers"}
DEEP = {
    "gpt2": {**COMMON, "model_type": "gpt2", "n_positions": CTX, "n_embd": 64, "n_head": 2, "n_layer": 8},
    "llama": {**COMMON, "model_type": "llama", "max_position_embeddings": CTX, "hidden_size": 64, "num_attention_heads": 2, "num_hidden_layers": 8,
              "intermediate_size": 176, "tie_word_embeddings": True},
    "rwkv7": {**COMMON, "model_type": "rwkv7", "max_position_embeddings": CTX, "hidden_size": 64, "head_dim": 32, "num_hidden_layers": 8, "intermediate_size": 256,
              "decay_low_rank_dim": 16, "a_low_rank_dim": 16, "v_low_rank_dim": 16, "gate_low_rank_dim": 16},
}


def slots(share):
    return {"qkv_slot_num": 96 // share, "proj_slot_num": 96 // share, "ffn_slot_num": 384 // share}


def sizes(keys):
    return ",".join(f"{k}={v}" for k, v in keys.items())


TOKENS = {**COMMON, "model_type": "tokenformer", "max_position_embeddings": CTX, "hidden_size": 96, "num_layers": 4, "num_attention_heads": 3}
WIDE = {"n_embd": 96, "n_head": 4, "n_inner": 384}
NARROW = {"n_embd": 48, "n_head": 2, "n_inner": 192}
GPT2 = {**COMMON, "model_type": "gpt2", "n_positions": CTX, "n_layer": 4}

MODELS = {f"{a}-{n}": {**c, LAYERS_KEY[a]: n} for a, c in DEEP.items() for n in (0, 1, 8)}
MODELS |= {f"tokenformer-1/{s}": {**TOKENS, **slots(s)} for s in (8, 4, 2, 1)}
MODELS |= {"gpt2-wide": {**GPT2, **WIDE}, "gpt2-narrow": {**GPT2, **NARROW}}
study = Study(options, ["part", "arch", "arm", "seed"], ["params", "steps", "compute", "bits"])


def config(model):
    return os.path.join(options.out, f"config-{model.replace('/', '-')}.json")


# An arm: the models that follow each other, each with the share of the steps after which it begins; the method; the sizes of each growth.
def grown(*stages, method, to):
    return {"stages": stages, "method": method, "to": to}


def arms(part, arch):
    """{arm: ...} in the order of the table; those named in `equal` have one more arm, scratch with their compute."""
    if part == "depth":
        full = f"{arch}-8"
        all_layers = [f"{LAYERS_KEY[arch]}=8"]
        found = {"zero 78 %": grown((f"{arch}-0", 0), (full, 0.78), method=["duplicate"], to=all_layers),
                 "one 78 %": grown((f"{arch}-1", 0), (full, 0.78), method=["duplicate"], to=all_layers),
                 "one 78 %, stack": grown((f"{arch}-1", 0), (full, 0.78), method=["stack"], to=all_layers),
                 "one 50 %": grown((f"{arch}-1", 0), (full, 0.5), method=["duplicate"], to=all_layers)}
        return full, None, found, "one 78 %"
    if part == "slots":
        stages = [(f"tokenformer-1/{s}", at) for s, at in zip((8, 4, 2, 1), (0, 0.55, 0.65, 0.75))]
        found = {m: grown(*stages, method=[m], to=[sizes(slots(s)) for s in (4, 2, 1)]) for m in "ABCDF"}
        return "tokenformer-1/1", "tokenformer-1/8", found, "C"
    found = {m: grown(("gpt2-narrow", 0), ("gpt2-wide", 0.5), method=more, to=[sizes(WIDE)])
             for m, more in {"duplicate": ["duplicate"], "clone": ["clone", "--grow-noise", "0.01"], "corner": ["corner"]}.items()}
    return "gpt2-wide", "gpt2-narrow", found, "duplicate"


PARTS = [("depth", a) for a in DEEP] + [("slots", "tokenformer"), ("width", "gpt2")]


def flops(model):
    return study.plan(config(model), BATCH, CTX, "bf16")[1]


def compute(arm, steps):
    begins = [round(at * steps) for _, at in arm["stages"]] + [steps]
    return sum((end - start) * flops(model) for (model, _), start, end in zip(arm["stages"], begins, begins[1:]))


def plan_of(part, arch, name):
    """The arm's stages, and its steps."""
    full, small, found, paid = arms(part, arch)
    if name == "equal":
        return grown((full, 0), method=[], to=[]), round(compute(found[paid], STEPS) / flops(full))
    return {"scratch": grown((full, 0), method=[], to=[]), "small": grown((small, 0), method=[], to=[]), **found}[name], STEPS


def one(task, folder):
    part, arch, name, seed = task
    arm, steps = plan_of(part, arch, name)
    growth = []
    if arm["to"]:
        at = ",".join(f"{round(share * steps)}:{to}" for (_, share), to in zip(arm["stages"][1:], arm["to"]))
        growth = ["--grow-at", at, "--grow-method", *arm["method"]]
    log, _, _ = study.train(os.path.join(folder, "run"), study.train_text, "--valid", study.valid_text, "--tokenizer", "bytes", "--config", config(arm["stages"][0][0]),
                            "--ctx", CTX, "--batch", BATCH, "--dtype", "bf16", "--schedule", "wsd", "--steps", steps,
                            "--eval-every", "25%", "--eval-windows", 8, "--seed", seed, *growth)
    bits = study.json("eval", os.path.join(folder, "run"), "--text", study.valid_text, "--ctx", CTX, "--threads", 1)["bits_per_byte"]
    return {"params": log[-1]["params"], "steps": steps, "compute": compute(arm, steps), "bits": round(bits, 5)}


def print_tables():
    rows = study.rows()
    for part, arch in PARTS:
        full, small, found, paid = arms(part, arch)
        of = lambda name: dict(part=part, arch=arch, arm=name)
        base, whole = kept(rows, "bits", **of("scratch")), kept(rows, "compute", **of("scratch"))
        lines = []
        for name in ["scratch", *found, "equal"] + (["small"] if small else []):
            bits = kept(rows, "bits", **of(name))
            if not bits or not base:
                continue
            d, e = (paired(rows, "bits", of(name), of(other)) for other in ("scratch", "equal"))
            percent = [100 * x / statistics.mean(base) for x in d]
            line = [name, cell(bits), f"{100 * kept(rows, 'compute', **of(name))[0] / whole[0]:.0f} %"]
            line += ["", ""] if name == "scratch" else [cell(percent, 2, True) + " %", keeps(percent)]
            line.append("" if name in ("scratch", "equal") or not e else f"{cell(e, 4, True)}: {verdict(e)}")
            lines.append(line)
        if lines:
            print(f"### {part}, {arch}\n\n" + table(["arm", "bits per byte", "compute", "from scratch", "keeps", f"from equal ({paid}'s compute)"], lines))


def keeps(percent):
    """The least of these bounds below which the whole interval lies."""
    if len(percent) < 2:
        return "not shown"
    mean, half = interval(percent)
    return next((f"within {x} %" for x in (0.5, 1, 2, 5, 10) if mean + half < x), "not within 10 %")


if not options.table:
    for name, value in MODELS.items():
        write_json(config(name), value)
    study.train_text, study.valid_text = cut(options.text, options.out, HELD_OUT)
    for part, arch in (p for p in PARTS if p[0] in options.parts.split(",")):
        _, small, found, _ = arms(part, arch)
        names = ["scratch", *found, "equal"] + (["small"] if small else [])
        study.make([(part, arch, n, s) for s in study.seeds() for n in names], one)
print_tables()
