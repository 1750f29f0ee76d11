#!/usr/bin/env python3
"""Which standard deviation of initial weights suits small models?  Writes OUT/record.csv and prints a table.

    python3 studies/initial_values.py OUT TEXT IMAGES [--seeds 2] [--arch NAME...] [--lithe build/lithe]

Models of two layers and 32 or 128 channels learn under a cosine from 3e-3 (1e-3 at 128 channels) with 0.02, the published
number of wide models, and with a factor over the root of the width.  Causal models learn 250 steps of 4 x 64 bytes,
encoders 1000 steps of 16 x 64 tokens of a vocabulary of 1024 (30 % masked), image models 300 steps of 64 images of
IMAGES (MNIST's IDX files).  The last 60 kB of the text and the test images are held out, and all of them are scored:
bits per byte, nats per masked token, nats per image.  A finished run is not made again; counts of steps decide, so
the load of the machine does not matter.
"""
import argparse, csv, json, math, os, shutil, statistics, subprocess

KEYS = {    # architecture -> names of layers, heads, inner size and deviation
    "gpt2": ("n_layer", "n_head", "n_inner", "initializer_range"),
    "llama": ("num_hidden_layers", "num_attention_heads", "intermediate_size", "initializer_range"),
    "pangu_pi": ("num_hidden_layers", "num_attention_heads", "intermediate_size", "initializer_range"),
    "hybrid": ("num_hidden_layers", "num_attention_heads", "intermediate_size", "initializer_range"),
    "tokenformer": ("num_layers", "num_attention_heads", None, "init_method_std"),
    "bert": ("num_hidden_layers", "num_attention_heads", "intermediate_size", "initializer_range"),
    "mosaicbert": ("num_hidden_layers", "num_attention_heads", "intermediate_size", "initializer_range"),
    "modernbert": ("num_hidden_layers", "num_attention_heads", "intermediate_size", "initializer_range"),
    "vit": ("num_hidden_layers", "num_attention_heads", "intermediate_size", "initializer_range"),
    "tokenformer_vit": ("num_hidden_layers", "num_attention_heads", None, "initializer_range"),
}
ENCODERS = "bert", "mosaicbert", "modernbert"
IMAGES = "vit", "tokenformer_vit"
RULES = {"0.02": lambda w: 0.02, "0.35/sqrt(w)": lambda w: 0.35 / math.sqrt(w), "0.5/sqrt(w)": lambda w: 0.5 / math.sqrt(w), "0.7/sqrt(w)": lambda w: 0.7 / math.sqrt(w), "1.4/sqrt(w)": lambda w: 1.4 / math.sqrt(w)}


def config_of(arch, width, std):
    layers, heads, inner, deviation = KEYS[arch]
    config = {"model_type": arch, layers: 2, heads: width // 32, deviation: std, "n_embd" if arch == "gpt2" else "hidden_size": width}
    if arch in IMAGES:
        config |= {"image_size": 28, "patch_size": 7, "num_channels": 1, "num_labels": 10}
    else:
        config |= {"vocab_size": 1024 if arch in ENCODERS else 256, "n_positions" if arch == "gpt2" else "max_position_embeddings": 64}
    if arch.startswith("tokenformer"):
        config |= {"qkv_slot_num": width, "proj_slot_num": width, "ffn_slot_num": 4 * width}
    elif arch in ENCODERS + IMAGES:
        config |= {inner: 3 * width}
    elif arch != "gpt2":
        config |= {inner: 3 * width, "tie_word_embeddings": True}
    if arch in ("bert", "mosaicbert"):
        config |= {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    if arch == "mosaicbert":
        config |= {"alibi_starting_size": 64}
    if arch == "hybrid":
        config |= {"feed_forward": "glu", "activation": "silu", "norm": "rms_norm"}
    return config


def run(options, arch, width, rule, seed):
    work = os.path.join(options.out, "run")
    shutil.rmtree(work, ignore_errors=True)
    with open(os.path.join(options.out, "config.json"), "w") as f:
        json.dump(config_of(arch, width, round(RULES[rule](width), 5)), f)
    lithe = lambda *args: subprocess.run([options.lithe, *map(str, args), "--threads", "1"], check=True, capture_output=True, text=True).stdout
    train = lambda *args: lithe("train", *args, "--config", options.out + "/config.json", "--lr", 3e-3 if width == 32 else 1e-3, "--schedule", "cosine",
                                "--seed", seed, "--eval-every", 0, "--save-every", 0, "-q", "--out", work)
    text, valid = options.out + "/train.txt", options.out + "/valid.txt"
    if arch in IMAGES:
        train(options.images, "--batch", 64, "--steps", 300)
        return json.loads(lithe("eval", work, "--task", options.images, "--json"))["loss"]
    if arch in ENCODERS:
        train(text, "--valid", valid, "--tokenizer", options.out + "/wordpiece.json", "--ctx", 64, "--batch", 16, "--steps", 1000, "--mask-rate", 0.3)
        return json.loads(lithe("eval", work, "--text", valid, "--mask-rate", 0.3, "--json"))["loss"]
    train(text, "--valid", valid, "--tokenizer", "bytes", "--ctx", 64, "--batch", 4, "--steps", 250)
    return json.loads(lithe("eval", work, "--text", valid, "--json"))["bits_per_byte"]


def table(rows):
    print("| architecture, width | " + " | ".join(RULES) + " |\n| --- |" + " --- |" * len(RULES))
    for arch, width in dict.fromkeys((r["arch"], r["width"]) for r in rows):
        cells = []
        for rule in RULES:
            scores = [float(r["score"]) for r in rows if (r["arch"], r["width"], r["rule"]) == (arch, width, rule)]
            cells.append(f"{statistics.mean(scores):.3f} ({min(scores):.3f} to {max(scores):.3f})" if scores else "")
        print(f"| {arch}, {width} | " + " | ".join(cells) + " |")


parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("out")
parser.add_argument("text")
parser.add_argument("images")
parser.add_argument("--arch", nargs="+", choices=KEYS, default=list(KEYS))
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
if not os.path.exists(options.out + "/wordpiece.json"):
    subprocess.run([options.lithe, "train-tokenizer", options.out + "/train.txt", "--vocab", "1024", "--kind", "wordpiece", "--out", options.out + "/wordpiece.json", "-q"], check=True)
record = options.out + "/record.csv"
if not os.path.exists(record):
    with open(record, "w") as f:
        f.write("arch,width,rule,seed,score\n")
read = lambda: list(csv.DictReader(open(record)))
known = {(r["arch"], r["width"], r["rule"], r["seed"]) for r in read()}
for seed in range(1, options.seeds + 1):
    for arch in options.arch:
        for width in 32, 128:
            for rule in RULES:
                if (arch, str(width), rule, str(seed)) not in known:
                    score = run(options, arch, width, rule, seed)
                    with open(record, "a") as f:
                        f.write(f"{arch},{width},{rule},{seed},{score}\n")
table(read())
