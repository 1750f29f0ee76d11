#!/usr/bin/env python3
"""Run the protocol of studies/growth/README.md; every finished run is a line of OUT/record.csv, and none is made twice."""
import argparse, csv, json, math, os, shutil, subprocess
import units

STEPS, BATCH, EVALUATIONS, RATE = 800, 4, 8, "5e-3"
HELD_OUT = 60000      # bytes
COLUMNS = ["text", "arch", "seed", "size", "method", "params", "flops", "steps", "bits", "equal_before", "equal_after", "curve"]

MODELS = {
    "tokenformer": {"model_type": "tokenformer", "vocab_size": 256, "max_position_embeddings": 64, "hidden_size": 16, "num_layers": 2,
                    "num_attention_heads": 1, "qkv_slot_num": 24, "proj_slot_num": 24, "ffn_slot_num": 64},
    "llama": {"model_type": "llama", "vocab_size": 256, "max_position_embeddings": 64, "hidden_size": 16, "num_hidden_layers": 2,
              "num_attention_heads": 1, "intermediate_size": 48, "tie_word_embeddings": True},
    "rwkv7": {"model_type": "rwkv7", "vocab_size": 256, "max_position_embeddings": 64, "hidden_size": 16, "num_hidden_layers": 2,
              "head_dim": 16, "intermediate_size": 48, "decay_low_rank_dim": 8, "a_low_rank_dim": 8, "v_low_rank_dim": 8,
              "gate_low_rank_dim": 8},
}
SPREAD = {"tokenformer": "init_method_std", "llama": "initializer_range"}      # RWKV's initial values have no such key

NOISY = ["--method", "clone", "--noise", "0.01"]
INNER = {"duplicate": [], "clone": [], "clone+noise": NOISY, "aki": [], "corner": []}
WIDER = {"duplicate": [], "clone": [], "aki": [], "corner": []}
DEEPER = {"duplicate": [], "bottom": ["--method", "duplicate", "--where", "bottom"],
          "spread": ["--method", "duplicate", "--where", "spread"], "stack": [], "interpolate": []}
SIZES = {    # architecture -> size -> (keys that double, methods)
    "tokenformer": {"slots": (["qkv_slot_num", "proj_slot_num", "ffn_slot_num"],
                              {"A": [], "B": [], "C": [], "D": [], "D+noise": ["--method", "D", "--noise", "0.01"], "F": []}),
                    "width": (["hidden_size", "num_attention_heads"], {"duplicate": [], "clone": [], "corner": []}),
                    "depth": (["num_layers"], DEEPER)},
    "llama": {"inner": (["intermediate_size"], INNER),
              "width": (["hidden_size", "num_attention_heads", "intermediate_size"], WIDER),
              "depth": (["num_hidden_layers"], DEEPER)},
    "rwkv7": {"inner": (["intermediate_size"], INNER),
              "width": (["hidden_size", "intermediate_size"], WIDER),
              "depth": (["num_hidden_layers"], {m: DEEPER[m] for m in DEEPER if m != "bottom"})},
}


def lithe(*args):
    done = subprocess.run([options.lithe, *map(str, args)], capture_output=True, text=True)
    if done.returncode:
        raise SystemExit("lithe " + " ".join(map(str, args)) + ": " + done.stderr)
    return done.stdout


class Study:
    """One text, architecture and seed."""

    def __init__(self, text, arch, seed):
        self.text, self.arch, self.seed = text, arch, seed
        self.folder = os.path.join(options.out, f"work-{text}-{arch}-{seed}")
        self.small_config = self.write_config("small", MODELS[arch])
        self.budget = STEPS * self.flops(self.small_config)

    def path(self, name):
        return os.path.join(self.folder, name)

    def write_config(self, name, config):
        config = dict(config)
        if self.arch in SPREAD:
            config[SPREAD[self.arch]] = round(0.7 / math.sqrt(config["hidden_size"]), 4)
        os.makedirs(self.folder, exist_ok=True)
        with open(self.path(name + ".json"), "w") as f:
            json.dump(config, f)
        return self.path(name + ".json")

    def flops(self, model):
        return json.loads(lithe("plan", model, "--batch", BATCH, "--ctx", 64, "--no-ops", "--json"))["training"]["flops"]

    def train(self, name, start, steps, stage, *more):
        """Trains a run anew; an interrupted one is discarded."""
        shutil.rmtree(self.path(name), ignore_errors=True)
        part = os.path.join(options.out, self.text)
        lithe("train", part + ".train.txt", "--valid", part + ".valid.txt", *start, "--tokenizer", "bytes", "--ctx", 64, "--batch", BATCH, "--lr", RATE,
              "--steps", steps, "--eval-every", max(steps // EVALUATIONS, 1), "--eval-windows", 64, "--save-every", 0,
              "--seed", 10 * self.seed + stage, "--threads", 1, "-q", "--out", self.path(name), *more)
        return self.path(name)

    def first_stage(self, name, config):
        if os.path.exists(self.path(name + ".done")):
            return self.path(name)
        steps = round(self.budget / self.flops(config))
        run = self.train(name, ["--config", config], steps, 1, "--schedule", "constant")
        open(self.path(name + ".done"), "w").close()
        return run

    def second_stage(self, size, method, start):
        flops = self.flops(start)
        steps = round(self.budget / flops)
        run = self.train("second", ["--from", start], steps, 2, "--moments", "carry", "--schedule", "linear", "--warmup", 0, "--min-lr", "5e-4")
        with open(os.path.join(run, "log.jsonl")) as f:
            log = [json.loads(line) for line in f]
        curve = [e for e in log if "bits_per_byte" in e]
        bits = json.loads(lithe("eval", run, "--text", os.path.join(options.out, self.text + ".valid.txt"), "--json", "--threads", 1))["bits_per_byte"]
        counted = self.seed == 1 and size != "none"
        equal = [units.equal_share(os.path.join(m, "model.safetensors"), self.arch, size) if counted else "" for m in (start, run)]
        record(self.text, self.arch, self.seed, size, method, curve[0]["params"], int(flops), steps, bits, *equal,
               ";".join(f"{e['step']}:{e['bits_per_byte']:.4f}" for e in curve))

    def grown(self, size, method, keys, how):
        shutil.rmtree(self.path("grown"), ignore_errors=True)
        lithe("grow", self.path("small"), "--set", ",".join(f"{k}={v}" for k, v in keys.items()), *(how or ["--method", method]),
              "--seed", self.seed, "--threads", 1, "-q", "--out", self.path("grown"))
        self.second_stage(size, method, self.path("grown"))

    def run(self):
        missing = [(s, m) for s, m in self.all() if (self.text, self.arch, str(self.seed), s, m) not in known]
        if missing:
            self.first_stage("small", self.small_config)
        for size, method in missing:
            doubled, methods = SIZES[self.arch].get(size, ([], {}))
            keys = {k: 2 * MODELS[self.arch][k] for k in doubled}
            if size == "none":
                self.second_stage(size, method, self.path("small"))
            elif method == "fresh":
                config = self.write_config("fresh-" + size, {**MODELS[self.arch], **keys})
                self.second_stage(size, method, self.first_stage("fresh-" + size, config))
            else:
                self.grown(size, method, keys, methods[method])
        shutil.rmtree(self.folder)

    def all(self):
        sizes = [("none", "none")] + [(size, m) for size, (_, methods) in SIZES[self.arch].items() for m in [*methods, "fresh"]]
        return [(s, m) for s, m in sizes if not options.only or m in options.only.split(",")]


def record(*row):
    with open(os.path.join(options.out, "record.csv"), "a", newline="") as f:
        csv.writer(f, lineterminator="\n").writerow(row)


def cut(name, path):
    """Writes OUT/NAME.train.txt and OUT/NAME.valid.txt, about the last 60 kB."""
    with open(path, "rb") as f:
        text = f.read()
    at = text.rindex(b"\n", 0, len(text) - HELD_OUT) + 1
    for part, data in ("train", text[:at]), ("valid", text[at:]):
        with open(os.path.join(options.out, f"{name}.{part}.txt"), "wb") as f:
            f.write(data)


parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("out")
parser.add_argument("texts", nargs="+", metavar="NAME=TEXT")
parser.add_argument("--seeds", default="1,2,3,4,5")
parser.add_argument("--only", help="methods, between commas, that come first; a later run without it makes the others")
parser.add_argument("--lithe", default="build/lithe")
options = parser.parse_args()

os.makedirs(options.out, exist_ok=True)
texts = dict(t.split("=", 1) for t in options.texts)
for item in texts.items():
    cut(*item)
if not os.path.exists(os.path.join(options.out, "record.csv")):
    record(*COLUMNS)
with open(os.path.join(options.out, "record.csv"), newline="") as f:
    known = {(r["text"], r["arch"], r["seed"], r["size"], r["method"]) for r in csv.DictReader(f)}
for seed in map(int, options.seeds.split(",")):
    for text in texts:
        for arch in MODELS:
            Study(text, arch, seed).run()
