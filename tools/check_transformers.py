#!/usr/bin/env python3
"""Train a tiny model of every architecture that transformers has, open it there, and compare.

    python3 -m venv ENV && ENV/bin/pip install torch transformers
    ENV/bin/python tools/check_transformers.py TEXT [--lithe build/lithe] [--keep FOLDER] [NAME ...]

TEXT is any text of some 100 KB. Each model is trained for two steps and opened by Auto classes alone, with nothing said
but its folder. Compared are the logits, with lithe logits (a relative difference of at most 1e-5), the ids of texts with
and without special tokens and the texts back, with lithe tokenize and detokenize; then the pipelines that people use run.
Prints a line for each and fails if one does not hold.
"""
import argparse, json, os, subprocess, sys, tempfile

TEXTS = ["Hello, world!  It's 12 o'clock.", "na\u00efve \u4f60\u597d \U0001f600\n\ttab", " leading and trailing "]
# name: arguments of train, AutoModel class, pipeline
CAUSAL, MASKED, CLASSES, IMAGES = "AutoModelForCausalLM", "AutoModelForMaskedLM", "AutoModelForSequenceClassification", "AutoModelForImageClassification"
TRAINED = {
    "gpt2": (["--arch", "gpt2"], CAUSAL), "gpt_neox": (["--arch", "gpt_neox"], CAUSAL), "llama": (["--arch", "llama"], CAUSAL), "rwkv4": (["--arch", "rwkv4", "--params", "400k"], CAUSAL),  # transformers divides by the layers - 1
    "gpt_neo": (["--arch", "gpt_neo"], CAUSAL), "opt": (["--arch", "opt"], CAUSAL), "distilbert": (["--arch", "distilbert"], MASKED), "mpnet": (["--arch", "mpnet"], MASKED),
    "bert": (["--arch", "bert"], MASKED), "roberta": (["--arch", "roberta"], MASKED), "modernbert": (["--arch", "modernbert"], MASKED),
    "mosaicbert": (["--arch", "mosaicbert"], None), "vit": (["--arch", "vit"], IMAGES), "deit": (["--arch", "deit"], IMAGES), "bert of classes": (["--task", "classify", "--from", "bert"], CLASSES)}

# Families in LLaMA's block, trained by a config.json that transformers itself writes.
SIZES = {"vocab_size": 500, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "intermediate_size": 64, "max_position_embeddings": 64}
IDS = {"bos_token_id": 499, "eos_token_id": 499, "pad_token_id": None}
FAMILIES = {"mistral": {"sliding_window": None}, "qwen2": {}, "qwen3": {"head_dim": 8}, "phi3": {}, "gemma": {"head_dim": 8}, "gemma2": {"head_dim": 8}, "gemma3_text": {"head_dim": 8}, "granite": {},
            "smollm3": {}, "olmo2": {}, "stablelm": {}}
TRAINED.update((f, None) for f in FAMILIES)


def lithe(*args, text=None):
    done = subprocess.run([LITHE, *args], input=text, capture_output=True)
    if done.returncode: raise RuntimeError("lithe " + " ".join(args) + ": " + done.stderr.decode()[-300:])
    return done.stdout


def relative(a, b): return float((a - b).norm() / b.norm())


def check_texts(folder, tokenizer):
    for text in TEXTS:
        for special in (False, True):
            ours = [int(i) for i in lithe("tokenize", folder, *["--special"] * special, text=text.encode()).split()]
            theirs = tokenizer(text, add_special_tokens=special).input_ids
            if ours != theirs: raise RuntimeError(f"ids of {text!r}: {theirs}, lithe {ours}")
        ours = lithe("detokenize", folder, text=" ".join(map(str, ours if not special else tokenizer(text, add_special_tokens=False).input_ids)).encode()).decode()
        theirs = tokenizer.decode(tokenizer(text, add_special_tokens=False).input_ids)
        if ours.rstrip("\n") != theirs.rstrip("\n"): raise RuntimeError(f"text of {text!r}: {theirs!r}, lithe {ours!r}")
    return f"{2 * len(TEXTS)} texts have the same ids"


def check_logits(folder, model):
    import torch
    from safetensors.torch import load_file
    ids = [5, 9, 17, 33, 6, 40, 41, 7]
    out = os.path.join(folder, "logits.safetensors")
    lithe("logits", folder, "--ids", " ".join(map(str, ids)), "--out", out)
    with torch.no_grad(): theirs = model(torch.tensor([ids])).logits[0].float()
    ours = load_file(out)["logits"].float()
    os.remove(out)
    difference = relative(ours.reshape(theirs.shape), theirs)
    if not difference < 1e-5: raise RuntimeError(f"logits differ by {difference:.2g}")
    return f"logits differ by {difference:.1g}"


def make_images(folder):
    """Two classes of 12 images each: dark with a bright edge, and the other way round."""
    import random
    from PIL import Image
    r = random.Random(1)
    for c, base in (("dark", 40), ("light", 200)):
        os.makedirs(os.path.join(folder, c), exist_ok=True)
        for i in range(12):
            image = Image.new("RGB", (32, 32))
            image.putdata([tuple(min(255, max(0, base + r.randrange(-30, 30) + 40 * (x % 32 == i))) for _ in range(3)) for x in range(1024)])
            image.save(os.path.join(folder, c, f"{i}.png"))
    return folder


def check_image_model(folder, data):
    import transformers as T
    classify, path = T.pipeline("image-classification", model=folder, device="cpu"), os.path.join(data, "light", "3.png")
    theirs = {c["label"]: c["score"] for c in classify(path)}
    ours = {c["label"]: c["probability"] for c in json.loads(lithe("classify", folder, path, "--json").decode().splitlines()[-1])["labels"]}
    worst = max(abs(ours[k] - theirs[k]) for k in theirs)
    if not worst < 1e-5: raise RuntimeError(f"image-classification gives {theirs}, lithe {ours}")
    return [f"image-classification gives the same probabilities (to {worst:.1g})"]


def make_table(folder):
    path = os.path.join(folder, "table.tsv")
    with open(path, "w") as f: f.write("text\tlabel\n" + "".join(f"the {('good', 'bad')[i % 2]} film number {i}\t{('pos', 'neg')[i % 2]}\n" for i in range(60)))
    return path


def check_classes(folder):
    import transformers as T
    text = "a good film"
    found = T.pipeline("text-classification", model=folder, device="cpu", top_k=None)(text)
    theirs = {c["label"]: c["score"] for c in (found[0] if isinstance(found[0], list) else found)}
    ours = {c["label"]: c["probability"] for c in json.loads(lithe("classify", folder, text, "--json").decode().splitlines()[-1])["labels"]}
    worst = max(abs(ours[k] - theirs[k]) for k in theirs)
    if not worst < 1e-5: raise RuntimeError(f"text-classification gives {theirs}, lithe {ours}")
    return [f"text-classification gives the same probabilities (to {worst:.1g})"]


def check_text_model(folder, kind):
    import transformers as T
    tokenizer, model = T.AutoTokenizer.from_pretrained(folder), getattr(T, kind).from_pretrained(folder).eval()
    said = [check_logits(folder, model), check_texts(folder, tokenizer)]
    if kind == CAUSAL:
        text = T.pipeline("text-generation", model=folder, device="cpu")("The", max_new_tokens=5, do_sample=False)[0]["generated_text"]
        ours = "The" + lithe("generate", folder, "The", "-n", "5", "--temperature", "0").decode().removeprefix("The")
        said.append("text-generation " + ("gives the same text" if ours.rstrip("\n") == text.rstrip("\n") else f"gives {text!r}, lithe {ours!r}"))
    else:
        filled = T.pipeline("fill-mask", model=folder, device="cpu")(f"The {tokenizer.mask_token} of the")
        said.append(f"fill-mask runs ({filled[0]['token_str']!r})")
        T.pipeline("feature-extraction", model=folder, device="cpu")("The king")
        said.append("feature-extraction runs")
    said.append("special: " + " ".join(f"{k}={v!r}" for k, v in tokenizer.special_tokens_map.items() if isinstance(v, str)))
    said.append(f"{type(model).__name__}, {type(tokenizer).__name__}")
    return said


def make_config(family, folder):
    from transformers import AutoConfig
    path = os.path.join(folder, family + ".json")
    AutoConfig.for_model(family, **SIZES, **IDS, **FAMILIES[family]).to_json_file(path, use_diff=False)
    return path


def check(name, folder, text):
    import transformers as T
    args, kind = TRAINED[name] or (["--config", make_config(name, folder)], CAUSAL)
    run, data, size = os.path.join(folder, name.replace(" ", "-")), text, ["--steps", "2", "--batch", "4"] + ["--params", "120k"] * (not {"--params", "--config"} & set(args))
    if kind == IMAGES: data = make_images(os.path.join(folder, "images"))
    elif kind == CLASSES: data, size = make_table(folder), ["--steps", "2"]
    else: size += ["--vocab", "500", "--ctx", "64"]
    if not os.path.exists(run): lithe("train", data, *[os.path.join(folder, "bert") if a == "bert" and kind == CLASSES else a for a in args], *size, "--out", run)
    if kind == IMAGES: return check_image_model(run, data)
    if kind == CLASSES: return check_classes(run)
    if kind: return check_text_model(run, kind)
    return [check_texts(run, T.AutoTokenizer.from_pretrained(run)), "no class of transformers has it"]


def main():
    global LITHE
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("text")
    p.add_argument("names", nargs="*")
    p.add_argument("--lithe", default="build/lithe")
    p.add_argument("--keep")
    a = p.parse_args()
    LITHE, bad = os.path.abspath(a.lithe), 0
    folder = a.keep or tempfile.mkdtemp()
    os.makedirs(folder, exist_ok=True)
    for name in a.names or TRAINED:
        try:
            print(f"{name}: " + "; ".join(check(name, folder, a.text)), flush=True)
        except Exception as e:
            bad += 1
            print(f"{name}: FAILED: {type(e).__name__}: {str(e)[:600]}", flush=True)
    sys.exit(bad > 0)


if __name__ == "__main__": main()
