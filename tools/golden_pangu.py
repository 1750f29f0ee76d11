#!/usr/bin/env python3
"""Write the PanGu-pi fixtures of tests/golden from the paper's equations in PyTorch (no code or weights were published).

    ENV/bin/python tools/golden_pangu.py [--out tests/golden]        (ENV: as in tools/golden.py)

Everything is said as the paper says it, once in matrices of the block and once more, for the base, by Hugging Face's
LlamaForCausalLM with the additions off: the two must agree before anything is written.
"""
import argparse, math, os
import torch
import torch.nn.functional as F
import golden as G

ACTS = {"silu": F.silu, "gelu": F.gelu, "gelu_pytorch_tanh": lambda x: F.gelu(x, approximate="tanh"), "tanh": torch.tanh, "relu": F.relu,
        "gelu0": lambda x: F.gelu(x) - 1 / (2 * math.sqrt(math.pi))}


def rms(x, w, eps):
    return x * (x.pow(2).mean(-1, keepdim=True) + eps).rsqrt() * w


def series(u, p, room, c):
    """sum over i of g_i sigma_i(a_i u + b_i)"""
    n, acts = c.get("siaf_n", 2), c.get("siaf_act", c["hidden_act"]).split(",")
    if n == 1:
        return ACTS[c["hidden_act"]](u)
    a, b = p[room + "mlp.siaf.scale"], p[room + "mlp.siaf.bias"]
    g = p.get(room + "mlp.siaf.gain", torch.ones_like(a))
    return sum(g[i] * ACTS[acts[i % len(acts)]](a[i] * u + b[i]) for i in range(n))


def shortcuts(x, h, p, room, c):
    """T_t(z) = act(z D') U', act(z D' U') or act(z Theta')"""
    z, act, total = (x if c.get("aug_input") == "raw" else h), ACTS[c.get("aug_act", "gelu")], 0
    for t in range(c.get("aug_branches", 1)):
        if c.get("aug_kind") == "dense":
            total = total + act(z @ p[f"{room}aug.{t}.weight"].T)
            continue
        narrow = z @ p[f"{room}aug.{t}.down.weight"].T
        up = p[f"{room}aug.{t}.up.weight"].T
        total = total + (act(narrow @ up) if c.get("aug_act_pos") == "after" else act(narrow) @ up)
    return total


def forward(p, c, ids):
    d, H, K, eps, scale = c["hidden_size"], c["num_attention_heads"], c["num_key_value_heads"], c["rms_norm_eps"], c.get("aug_scale", 1.0)
    hd, pos, x = d // H, torch.arange(ids.shape[1]), p["model.embed_tokens.weight"][ids]
    for l in range(c["num_hidden_layers"]):
        room = f"model.layers.{l}."
        w = lambda name: p[room + name + ".weight"].T
        h = rms(x, p[room + "input_layernorm.weight"], eps)
        q, k, v = ((h @ w(f"self_attn.{n}_proj")).unflatten(-1, (m, hd)) for n, m in (("q", H), ("k", K), ("v", K)))
        o, _ = G.attention(G.rotate(q, pos, hd, c["rope_theta"]), G.rotate(k, pos, hd, c["rope_theta"]), v)
        x = scale * (x + o.flatten(-2) @ w("self_attn.o_proj") + shortcuts(x, h, p, room + "self_attn.", c))
        h = rms(x, p[room + "post_attention_layernorm.weight"], eps)
        y = x + (series(h @ w("mlp.gate_proj"), p, room, c) * (h @ w("mlp.up_proj"))) @ w("mlp.down_proj")
        x = scale * (y + shortcuts(x, h, p, room + "mlp.", c)) if c.get("aug_ffn") else y
    return rms(x, p["model.norm.weight"], eps) @ p["lm_head.weight"].T


def shapes(c):
    d, inner, n, k = c["hidden_size"], c["intermediate_size"], c.get("siaf_n", 2), c.get("aug_width", 16)
    kv = d // c["num_attention_heads"] * c["num_key_value_heads"]
    s = {"model.embed_tokens.weight": (G.V, d), "model.norm.weight": (d,), "lm_head.weight": (G.V, d)}
    for l in range(c["num_hidden_layers"]):
        room = f"model.layers.{l}."
        for name, shape in (("input_layernorm", (d,)), ("post_attention_layernorm", (d,)), ("self_attn.q_proj", (d, d)), ("self_attn.k_proj", (kv, d)),
                            ("self_attn.v_proj", (kv, d)), ("self_attn.o_proj", (d, d)), ("mlp.gate_proj", (inner, d)), ("mlp.up_proj", (inner, d)),
                            ("mlp.down_proj", (d, inner))):
            s[room + name + ".weight"] = shape
        if n > 1:
            for name in ("scale", "bias") + (("gain",) if c.get("siaf_gain") else ()):
                s[f"{room}mlp.siaf.{name}"] = (n,) if c.get("siaf_param") == "scalar" else (n, inner)
        for part in ("self_attn", "mlp") if c.get("aug_ffn") else ("self_attn",):
            for t in range(c.get("aug_branches", 1)):
                if c.get("aug_kind") == "dense":
                    s[f"{room}{part}.aug.{t}.weight"] = (d, d)
                else:
                    s[f"{room}{part}.aug.{t}.down.weight"], s[f"{room}{part}.aug.{t}.up.weight"] = (k, d), (d, k)
    return s


def check_base(base, g):
    """With the additions off this is the library's LLaMA."""
    from transformers import LlamaConfig, LlamaForCausalLM
    c = dict(base, siaf_n=1, aug_branches=0)
    values = G.parameters(shapes(c), g)
    with G.all_double():
        model = LlamaForCausalLM._from_config(LlamaConfig(**{k: v for k, v in base.items() if k not in ("model_type", "architectures")}), attn_implementation="eager").eval()
        model.double().load_state_dict({n: v.double() for n, v in values.items()})
        ids, _ = G.batch(g)
        found, right = forward({n: v.double() for n, v in values.items()}, c, ids), model(ids, use_cache=False).logits
    error = float((found - right).norm() / right.norm())
    assert error < 1e-12, error
    print(f"base block against the library: {error:.1e}")


BASE = dict(architectures=["PanguPiForCausalLM"], model_type="pangu_pi", vocab_size=G.V, hidden_size=16, intermediate_size=24, num_hidden_layers=2,
            num_attention_heads=4, num_key_value_heads=2, rms_norm_eps=1e-5, max_position_embeddings=32, rope_theta=10000.0, hidden_act="silu",
            tie_word_embeddings=False)
FIXTURES = {
    "pangu-pi": dict(aug_width=5),
    "pangu-pi-all": dict(siaf_n=3, siaf_gain=True, siaf_act="silu,tanh,gelu", aug_branches=2, aug_width=3, aug_act="gelu0", aug_ffn=True, aug_scale=0.75),
    "pangu-pi-after": dict(siaf_param="scalar", aug_width=6, aug_act="tanh", aug_act_pos="after", aug_input="raw"),
    "pangu-pi-dense": dict(aug_kind="dense", aug_act="gelu_pytorch_tanh", siaf_gain=True),
}


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--out", default=os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tests", "golden"))
    root = arguments.parse_args().out
    check_base(BASE, G.source("pangu-pi-base"))
    for name, options in FIXTURES.items():
        out, c, g = os.path.join(root, name), dict(BASE, **options), G.source(name)
        os.makedirs(out, exist_ok=True)
        values = G.parameters(shapes(c), g)
        G.write_json(os.path.join(out, "config.json"), c)
        G.save(os.path.join(out, "model.safetensors"), values)
        p = {n: v.double().requires_grad_() for n, v in values.items()}
        got = G.measure(lambda ids: forward(p, c, ids), p, *G.batch(g), decays=lambda n, v: v.dim() >= 2 and "siaf" not in n)
        G.save(os.path.join(out, "golden.safetensors"), got)
        print(name)


if __name__ == "__main__":
    main()
