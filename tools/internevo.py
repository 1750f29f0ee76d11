#!/usr/bin/env python3
"""Convert a checkpoint folder of InternEvo's LLAMA2 (what PanGu-pi Pro trains) to a Hugging Face LLaMA folder, which Lithe opens.

    ENV/bin/python tools/internevo.py FOLDER OUT          (ENV: as in tools/golden.py; the pickles are run: convert only what you trust)
    ENV/bin/python tools/internevo.py --check             converts a made-up sharded model and compares logits from both layouts' equations

FOLDER holds model_config.pt and model_tp{t}_pp{p}.pt. What differs: pipeline shards number their layers from 0; tensor shards split
wq, wk, wv, the two inner matrices and the head by rows, wo and the down projection by columns, the embedding by columns where
embed_split_hidden says so; q and k keep rotary pairs in adjacent rows unless adapt_hf was set, biases too; and of w2 and w3 the down
projection is recognised by its shape, since older files name them the other way round.
"""
import glob, json, os, re, sys, tempfile
import torch
from safetensors.torch import save_file

ATTENTION = {"wq": "q_proj", "wk": "k_proj", "wv": "v_proj", "wo": "o_proj"}
WHOLE = {"tok_embeddings.weight": "model.embed_tokens.weight", "norm.weight": "model.norm.weight", "output.weight": "lm_head.weight"}


def halves(t, heads):
    """Rows of each head: adjacent pairs (2i, 2i+1) to (i, i + hd/2)."""
    return t.reshape(heads, -1, 2, *t.shape[1:]).transpose(1, 2).reshape(t.shape)


def is_down(name, shape, width):
    """By shape; a square one by its present name."""
    return bool(re.search(r"feed_forward\.w[23]\.weight$", name)) and shape[0] == width and (shape[1] != width or "w2" in name)


def merged(parts, name, c):
    """One tensor from its tensor-parallel shards."""
    if len(parts) == 1 or (parts[0].dim() == 1 and not re.search(r"w[qkv]\.bias$", name)):
        return parts[0]
    if name == "tok_embeddings.weight":
        return torch.cat(parts, 1 if c.get("embed_split_hidden", False) else 0)
    return torch.cat(parts, 1 if name.endswith("wo.weight") or is_down(name, parts[0].shape, c["hidden_size"]) else 0)


def load(folder, c):
    shards = {}
    for path in sorted(glob.glob(os.path.join(folder, "model_tp*_pp*.pt"))):
        t, p = map(int, re.search(r"model_tp(\d+)_pp(\d+)\.pt$", path).groups())
        shards.setdefault(p, {})[t] = torch.load(path, map_location="cpu")
    tensors, before = {}, 0
    for p in sorted(shards):
        parts, layers = [shards[p][t] for t in sorted(shards[p])], 0
        for name in parts[0]:
            clean = name.removeprefix("model.")
            value = merged([s[name] for s in parts], clean, c)
            m = re.match(r"layers\.(\d+)\.(.*)", clean)
            if m:
                layers = max(layers, int(m.group(1)) + 1)
                clean = f"layers.{before + int(m.group(1))}.{m.group(2)}"
            tensors[clean] = value
        before += layers
    return tensors, before


def convert(tensors, c):
    heads, groups, out = c["num_attention_heads"], c.get("num_kv_attention_heads") or c["num_attention_heads"], {}
    for name, t in tensors.items():
        m = re.match(r"layers\.(\d+)\.(.*)\.(weight|bias)$", name)
        if not m:
            out[WHOLE[name]] = t
            continue
        room, part, kind = f"model.layers.{m.group(1)}.", m.group(2), m.group(3)
        short = part.split(".")[-1]
        if short in ATTENTION:
            if short in ("wq", "wk") and not c.get("adapt_hf", False):
                t = halves(t, heads if short == "wq" else groups)
            out[f"{room}self_attn.{ATTENTION[short]}.{kind}"] = t
        elif part == "attention_norm":
            out[room + "input_layernorm.weight"] = t
        elif part == "ffn_norm":
            out[room + "post_attention_layernorm.weight"] = t
        else:
            inner = "down_proj" if is_down(name, t.shape, c["hidden_size"]) else "gate_proj" if short == "w1" else "up_proj"
            out[f"{room}mlp.{inner}.weight"] = t
    return {n: t.contiguous() for n, t in out.items()}


def config_of(c, tensors, layers):
    w1 = tensors["layers.0.feed_forward.w1.weight"]
    return {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "vocab_size": tensors["tok_embeddings.weight"].shape[0], "hidden_size": c["hidden_size"],
            "intermediate_size": w1.shape[0], "num_hidden_layers": layers, "num_attention_heads": c["num_attention_heads"],
            "num_key_value_heads": c.get("num_kv_attention_heads") or c["num_attention_heads"], "rms_norm_eps": c.get("layer_norm_epsilon", 1e-5),
            "rope_theta": c.get("rope_base", 10000), "max_position_embeddings": c.get("max_position_embeddings", 2048), "hidden_act": "silu",
            "attention_bias": "layers.0.attention.wq.bias" in tensors, "tie_word_embeddings": False}


def run(folder, out):
    c = torch.load(os.path.join(folder, "model_config.pt"), map_location="cpu")
    tensors, layers = load(folder, c)
    os.makedirs(out, exist_ok=True)
    save_file(convert(tensors, c), os.path.join(out, "model.safetensors"), {"format": "pt"})
    with open(os.path.join(out, "config.json"), "w") as f:
        json.dump(config_of(c, tensors, layers), f, indent=2)
    return c, tensors


# ---------------------------------------------------------------- the check

def adjacent_forward(p, c, ids):
    """InternEvo's equations on its own names: rotary pairs in adjacent channels."""
    H, d, eps = c["num_attention_heads"], c["hidden_size"], 1e-5
    hd, x, T = d // H, p["tok_embeddings.weight"][ids], ids.shape[-1]
    rms = lambda x, w: x * (x.pow(2).mean(-1, keepdim=True) + eps).rsqrt() * w
    angle = torch.arange(T)[:, None].double() * 10000.0 ** (-torch.arange(0, hd, 2).double() / hd)
    cos, sin = angle.cos()[:, None], angle.sin()[:, None]

    def rotate(x):
        u, w = x[..., 0::2], x[..., 1::2]
        return torch.stack((u * cos - w * sin, w * cos + u * sin), -1).flatten(-2)

    for l in range(c["num_layers"]):
        w = lambda n: p[f"layers.{l}.{n}"]
        h = rms(x, w("attention_norm.weight"))
        q, k, v = ((h @ w(f"attention.{n}.weight").T + w(f"attention.{n}.bias")).unflatten(-1, (H, hd)) for n in ("wq", "wk", "wv"))
        s = torch.einsum("qhc,khc->hqk", rotate(q), rotate(k)) / hd ** 0.5
        s = s.masked_fill(torch.ones(T, T, dtype=torch.bool).triu(1), -torch.inf).softmax(-1)
        x = x + torch.einsum("hqk,khc->qhc", s, v).flatten(-2) @ w("attention.wo.weight").T + w("attention.wo.bias")
        h = rms(x, w("ffn_norm.weight"))
        x = x + (torch.nn.functional.silu(h @ w("feed_forward.w1.weight").T) * (h @ w("feed_forward.w3.weight").T)) @ w("feed_forward.w2.weight").T
    return rms(x, p["norm.weight"]) @ p["output.weight"].T


def check():
    from transformers import LlamaForCausalLM
    c = dict(hidden_size=16, num_attention_heads=2, num_layers=4, layer_norm_epsilon=1e-5, embed_split_hidden=True)
    d, F, V, g = 16, 24, 40, torch.Generator().manual_seed(5)
    shapes = {"tok_embeddings.weight": (V, d), "norm.weight": (d,), "output.weight": (V, d)}
    for l in range(4):
        shapes.update({f"layers.{l}.attention.{n}.weight": (d, d) for n in ATTENTION})
        shapes.update({f"layers.{l}.attention.{n}.bias": (d,) for n in ATTENTION})
        shapes.update({f"layers.{l}.attention_norm.weight": (d,), f"layers.{l}.ffn_norm.weight": (d,), f"layers.{l}.feed_forward.w1.weight": (F, d),
                       f"layers.{l}.feed_forward.w2.weight": (d, F), f"layers.{l}.feed_forward.w3.weight": (F, d)})
    p = {n: torch.randn(s, generator=g) * 0.3 + (1 if "norm" in n else 0) for n, s in shapes.items()}
    with tempfile.TemporaryDirectory() as room:
        torch.save(c, os.path.join(room, "model_config.pt"))
        for pp in range(2):
            for tp in range(2):
                part = {}
                for n, t in p.items():
                    m = re.match(r"layers\.(\d+)\.(.*)", n)
                    if m and int(m.group(1)) // 2 != pp or not m and (n.startswith("tok") != (pp == 0)):
                        continue
                    columns = n.startswith("tok") or "wo.weight" in n or "w2.weight" in n
                    split = t.dim() == 2 or re.search(r"w[qkv]\.bias$", n)
                    part[f"layers.{int(m.group(1)) % 2}.{m.group(2)}" if m else n] = t.chunk(2, 1 if columns else 0)[tp].clone() if split else t
                torch.save(part, os.path.join(room, f"model_tp{tp}_pp{pp}.pt"))
        run(room, os.path.join(room, "hf"))
        model, ids = LlamaForCausalLM.from_pretrained(os.path.join(room, "hf"), attn_implementation="eager").eval().double(), torch.randint(0, V, (11,), generator=g)
        found, right = model(ids[None]).logits[0], adjacent_forward({n: t.double() for n, t in p.items()}, c, ids)
        error = float((found - right).norm() / right.norm())
        print(f"logits from both layouts: {error:.1e}")
        assert error < 1e-6


if __name__ == "__main__":
    if sys.argv[1:] == ["--check"]:
        check()
    elif len(sys.argv) == 3:
        run(*sys.argv[1:])
    else:
        sys.exit(__doc__)
