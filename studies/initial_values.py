#!/usr/bin/env python3
"""Which standard deviation of initial weights suits small models?  Writes OUT/record.csv and prints a table.

    python3 studies/initial_values.py OUT TEXT [--seeds 2] [--lithe build/lithe]

Models of two layers and 32 or 128 channels learn 250 steps of 4 x 64 bytes under a cosine from 3e-3 (1e-3 at 128
channels), with 0.02, the published number of wide models, and with a factor over the root of the width.  The last 60 kB are held
out, and all of them are scored.  A finished run is not made again; counts of steps decide, so the load of the machine
does not matter.
"""
import argparse, csv, json, math, os, shutil, statistics, subprocess

KEYS = {    # architecture -> names of layers, heads, inner size and deviation
    "gpt2": ("n_layer", "n_head", "n_inner", "initializer_range"),
    "llama": ("num_hidden_layers", "num_attention_heads", "intermediate_size", "initializer_range"),
    "pangu_pi": ("num_hidden_layers", "num_attention_heads", "intermediate_size", "initializer_range"),
    "hybrid": ("num_hidden_layers", "num_attention_heads", "intermediate_size", "initializer_range"),
    "tokenformer": ("num_layers", "num_attention_heads", None, "init_method_std"),
}
RULES = {"0.02": lambda w: 0.02, "0.35/sqrt(w)": lambda w: 0.35 / math.sqrt(w), "0.5/sqrt(w)": lambda w: 0.5 / math.sqrt(w), "0.7/sqrt(w)": lambda w: 0.7 / math.sqrt(w), "1.4/sqrt(w)": lambda w: 1.4 / math.sqrt(w)}


def config_of(arch, width, std):
    layers, heads, inner, deviation = KEYS[arch]
    config = {"model_type": arch, "vocab_size": 256, layers: 2, heads: width // 32, deviation: std}
    config |= {"n_embd": width, "n_positions": 64} if arch == "gpt2" else {"hidden_size": width, "max_position_embeddings": 64}
    if arch == "tokenformer":
        config |= {"qkv_slot_num": width, "proj_slot_num": width, "ffn_slot_num": 4 * width}
    elif arch != "gpt2":
        config |= {inner: 3 * width, "tie_word_embeddings": True}
    if arch == "hybrid":
        config |= {"feed_forward": "glu", "activation": "silu", "norm": "rms_norm"}
    return config


def run(options, arch, width, rule, seed):
    work = os.path.join(options.out, "run")
    shutil.rmtree(work, ignore_errors=True)
    with open(os.path.join(options.out, "config.json"), "w") as f:
        json.dump(config_of(arch, width, round(RULES[rule](width), 5)), f)
    lithe = lambda *args: subprocess.run([options.lithe, *map(str, args), "--threads", "1"], check=True, capture_output=True, text=True).stdout
    lithe("train", options.out + "/train.txt", "--valid", options.out + "/valid.txt", "--config", options.out + "/config.json", "--tokenizer", "bytes", "--ctx", 64,
          "--batch", 4, "--steps", 250, "--lr", 3e-3 if width == 32 else 1e-3, "--seed", seed, "--eval-every", 0, "--save-every", 0, "-q", "--out", work)
    return json.loads(lithe("eval", work, "--text", options.out + "/valid.txt", "--json"))["bits_per_byte"]


def table(rows):
    print("| architecture, width | " + " | ".join(RULES) + " |\n| --- |" + " --- |" * len(RULES))
    for arch, width in dict.fromkeys((r["arch"], r["width"]) for r in rows):
        cells = []
        for rule in RULES:
            bits = [float(r["bits"]) for r in rows if (r["arch"], r["width"], r["rule"]) == (arch, width, rule)]
            cells.append(f"{statistics.mean(bits):.3f} ({min(bits):.3f} to {max(bits):.3f})" if bits else "")
        print(f"| {arch}, {width} | " + " | ".join(cells) + " |")


parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("out")
parser.add_argument("text")
parser.add_argument("--seeds", type=int, default=2)
parser.add_argument("--lithe", default="build/lithe")
options = parser.parse_args()
os.makedirs(options.out, exist_ok=True)
with open(options.text, "rb") as f:
    text = f.read()
cut = text.rindex(b"\n", 0, len(text) - 60000) + 1
for name, part in ("train", text[:cut]), ("valid", text[cut:]):
    with open(f"{options.out}/{name}.txt", "wb") as f:
        f.write(part)
record = options.out + "/record.csv"
if not os.path.exists(record):
    with open(record, "w") as f:
        f.write("arch,width,rule,seed,bits\n")
read = lambda: list(csv.DictReader(open(record)))
known = {(r["arch"], r["width"], r["rule"], r["seed"]) for r in read()}
for seed in range(1, options.seeds + 1):
    for arch in KEYS:
        for width in 32, 128:
            for rule in RULES:
                if (arch, str(width), rule, str(seed)) not in known:
                    bits = run(options, arch, width, rule, seed)
                    with open(record, "a") as f:
                        f.write(f"{arch},{width},{rule},{seed},{bits}\n")
table(read())
