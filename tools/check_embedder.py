#!/usr/bin/env python3
"""Compare `lithe embed` with a float64 evaluation of the same checkpoint, sentence by sentence.

    python3 -m venv ENV && ENV/bin/pip install torch 'transformers>=4.43,<4.49' 'numpy<2' safetensors
    ENV/bin/python tools/check_embedder.py MODEL [--lithe build/lithe] [--sentences FILE]

MODEL: a folder of sentence-transformers around a BERT (modules.json, 1_Pooling, sentence_bert_config.json, tokenizer.json).
Tokens are Hugging Face's, cut where the folder says; hidden states are Hugging Face's code in float64, one text at a time,
pooled and normalised as the folder says. Prints the largest cosine distance and fails above 1e-4.
"""
import argparse, json, os, subprocess, sys, tempfile
import torch
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from golden import all_double

MOST, BOUND = 100, 1e-4
HARD = ["a", "Café déjà-vu: naïve Ångström!", "東京は日本の首都です。", "e=mc^2; 3.14159 ≈ π, 10,000€", "word " * 700, "don't can't won't it's", "\u200bzero width\u00a0space\ttab",
        "Antidisestablishmentarianism pneumonoultramicroscopicsilicovolcanoconiosis", "[CLS] not a mark [SEP]", "ALL CAPITALS, THEN lower"]


def read(folder, *name):
    path = os.path.join(folder, *name)
    return json.load(open(path)) if os.path.exists(path) else None


def of_this_repository():
    """Sentences of the documentation, and hard ones."""
    root = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
    lines = [l.strip() for name in ("README.md", "docs/commands.md") for l in open(os.path.join(root, name), encoding="utf-8")]
    return HARD + [l for l in lines if len(l.split()) > 5][: MOST - len(HARD)]


def expected(folder, texts):
    from tokenizers import Tokenizer
    from transformers import BertModel
    modules = [m["type"].split(".")[-1] for m in read(folder, "modules.json")]
    pooling, most = read(folder, "1_Pooling", "config.json"), read(folder, "sentence_bert_config.json")["max_seq_length"]
    tokenizer = Tokenizer.from_file(os.path.join(folder, "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(most)
    model = BertModel.from_pretrained(folder, attn_implementation="eager").eval().double()
    with all_double(), torch.no_grad():
        for text in texts:
            hidden = model(torch.tensor([tokenizer.encode(text).ids]))[0][0]
            x = hidden[0] if pooling["pooling_mode_cls_token"] else hidden.mean(0)
            yield x / x.norm() if "Normalize" in modules else x


def found(lithe, folder, texts):
    with tempfile.NamedTemporaryFile("w", suffix=".txt", encoding="utf-8") as f:
        f.write("".join(t + "\n" for t in texts))
        f.flush()
        out = subprocess.run([lithe, "embed", folder, "--text", f.name], check=True, capture_output=True, text=True).stdout
    return [torch.tensor([float(x) for x in line.split()], dtype=torch.float64) for line in out.splitlines()]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--lithe", default="build/lithe")
    parser.add_argument("--sentences", metavar="FILE", help="one a line, instead of this repository's")
    args = parser.parse_args()
    texts = [l.rstrip("\n") for l in open(args.sentences, encoding="utf-8")] if args.sentences else of_this_repository()
    ours, worst, furthest = found(args.lithe, args.model, texts), 0.0, 0.0
    assert len(ours) == len(texts), f"{len(ours)} vectors of {len(texts)} texts"
    for text, a, b in zip(texts, ours, expected(args.model, texts)):
        distance = 1 - float(a @ b / (a.norm() * b.norm()))
        if distance > BOUND:
            print(f"{distance:.3g}  {text[:60]!r}")
        worst, furthest = max(worst, distance), max(furthest, float((a - b).abs().max()))
    print(f"{len(texts)} texts of width {len(ours[0])}: cosine distance at most {worst:.3g}, an entry off by at most {furthest:.3g}")
    sys.exit(worst > BOUND)
