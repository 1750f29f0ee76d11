#!/usr/bin/env python3
"""Compare Lithe with llama.cpp on the same GGUF file: logits, greedy text, perplexity.

    python3 -m venv ENV && ENV/bin/pip install cyllama numpy safetensors
    ENV/bin/python tools/check_gguf.py MODEL.gguf TEXT [--tokens 200] [--prompts 10] [--chunks 4] [--exact F32.gguf] [--lithe build/lithe]

cyllama holds llama.cpp's library; its products round activations to int8 where weights are quantised.  The first
lines of TEXT are the tokens whose logits are compared, its later lines the prompts, its first --chunks pieces of 512
tokens those whose perplexity is measured.  Prints a line of JSON.
"""
import argparse, json, os, subprocess, tempfile
import numpy as np
from safetensors.numpy import load_file
import cyllama.llama.llama_cpp as cpp


def lithe(a, *args, stdin=None):
    done = subprocess.run([a.lithe, *args], input=stdin, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stderr)
    return done.stdout


def lithe_logits(a, ids):
    with tempfile.TemporaryDirectory() as folder:
        out = os.path.join(folder, "l.safetensors")
        lithe(a, "logits", a.model, "--ids", " ".join(map(str, ids)), "--out", out)
        return load_file(out)["logits"]


class Model(cpp.LlamaModel):
    n_vocab = property(lambda self: self.get_vocab().n_vocab)          # which get_logits_ith asks for


class Peer:
    def __init__(self, path, context):
        cpp.llama_backend_init()
        self.model = Model(path)
        self.vocab = self.model.get_vocab()
        self.params = cpp.LlamaContextParams()
        self.params.n_ctx, self.params.n_batch = context, context
        self.params.n_threads = self.params.n_threads_batch = 1
        self.context = cpp.LlamaContext(self.model, self.params)

    def tokenize(self, text, special=False):
        return list(self.vocab.tokenize(text, special, special))

    def logits(self, ids):
        self.context.kv_cache_clear()
        batch = cpp.LlamaBatch(n_tokens=len(ids), embd=0, n_seq_max=1)
        batch.add_sequence(ids, 0, True)
        self.context.decode(batch)
        return np.array([self.context.get_logits_ith(i) for i in range(len(ids))], dtype=np.float32)

    def greedy(self, ids, n):
        self.context.kv_cache_clear()
        made, fed = [], list(ids)
        while len(made) < n:
            batch, first = cpp.LlamaBatch(n_tokens=len(fed), embd=0, n_seq_max=1), len(ids) + len(made) - len(fed)
            for i, token in enumerate(fed):
                batch.add(token, first + i, [0], i == len(fed) - 1)
            self.context.decode(batch)
            best = int(np.argmax(self.context.get_logits_ith(len(fed) - 1)))
            if self.vocab.is_eog(best):
                break
            made.append(best)
            fed = [best]
        return made


def nll(logits, ids):
    x = logits[:-1].astype(np.float64)
    top = x.max(1)
    return np.log(np.exp(x - top[:, None]).sum(1)) + top - x[np.arange(len(ids) - 1), ids[1:]]


def main():
    p = argparse.ArgumentParser()
    p.add_argument("model"), p.add_argument("text"), p.add_argument("--lithe", default="build/lithe")
    p.add_argument("--exact", help="the same model with its blocks as F32 (lithe convert MODEL.gguf F32.gguf): both are compared with it")
    for name, n in ("tokens", 200), ("prompts", 10), ("words", 64), ("chunks", 4):
        p.add_argument("--" + name, type=int, default=n)
    a = p.parse_args()
    text = open(a.text, encoding="utf-8").read()
    peer = Peer(a.model, 1024)
    ids = peer.tokenize(text[:40000])
    ours = [int(i) for i in lithe(a, "tokenize", a.model, stdin=text[:40000]).split()]
    result = {"same_ids": ours == ids, "ids": len(ids)}
    x, y = lithe_logits(a, ids[:a.tokens]), peer.logits(ids[:a.tokens])
    result["max_difference"] = float(np.abs(x - y).max())
    result["mean_difference"] = float(np.abs(x - y).mean())
    result["largest_logit"] = float(np.abs(y).max())
    result["same_top"] = float((x.argmax(1) == y.argmax(1)).mean())
    if a.exact:
        z = lithe_logits(argparse.Namespace(lithe=a.lithe, model=a.exact), ids[:a.tokens])
        for name, u in ("lithe", x), ("llama.cpp", y):
            result[f"{name} and exact"] = {"same_top": float((u.argmax(1) == z.argmax(1)).mean()), "mean_difference": float(np.abs(u - z).mean())}
    lines = [s for s in text.split("\n") if len(s) > 200][:a.prompts]
    same = []
    for s in lines:
        prompt = s[:120].rsplit(" ", 1)[0].strip()
        answer = json.loads(lithe(a, "generate", a.model, "-", "--temperature", "0", "--max-tokens", str(a.words), "--no-echo", "--json", stdin=prompt).splitlines()[-1])
        wanted = peer.greedy(peer.tokenize(prompt), a.words)
        same.append(answer["text"] == "".join(peer.vocab.token_to_piece(t, 0, False) for t in wanted))
    result["prompts"], result["same_text"] = len(same), sum(same)
    pieces = [ids[i * 512:(i + 1) * 512] for i in range(a.chunks) if (i + 1) * 512 <= len(ids)]
    for name, run in ("lithe", lambda i: lithe_logits(a, i)), ("llama.cpp", peer.logits):
        if pieces:
            result["perplexity " + name] = float(np.exp(np.mean([nll(run(i), np.array(i)).mean() for i in pieces])))
    print(json.dumps(result))


if __name__ == "__main__":
    main()
