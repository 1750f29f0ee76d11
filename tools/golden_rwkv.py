#!/usr/bin/env python3
"""Write the RWKV fixtures of tests/golden, by the definitions of the papers.

    ENV/bin/python tools/golden_rwkv.py [--out tests/golden] [NAME ...]      (as golden.py, which it leans on)

No recurrence where a definition has none: versions 4 to 6 are sums over all earlier tokens, version 7 is a
product of transition matrices. AdamW trains in the authors' groups: see groups().
"""
import collections, math, os, struct
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from golden import V, all_double, batch, parameters, read_json, save, source, write, write_json
from golden import measure as measure_library


def before(x):
    """The row before each, zeros before the first."""
    return F.pad(x, (0, 0, 1, 0))[:, :-1]


def heads_of(y, N):
    return y.unflatten(-1, (-1, N))


def head_norm(p, y, eps=64e-5):
    """y [B, T, H, N] -> [B, T, D]"""
    flat = F.group_norm(y.flatten(0, 1).flatten(1), y.shape[2], p("att.ln_x.weight"), p("att.ln_x.bias"), eps)
    return flat.view(*y.shape[:2], -1)


def forward(p, c, ids, time_mix, channel_mix):
    norm = lambda name, x: F.layer_norm(x, (c["hidden_size"],), p[name + ".weight"], p[name + ".bias"], 1e-5)
    x = norm("blocks.0.ln0", p["emb.weight"][ids])
    shared = {}
    for l in range(c["num_hidden_layers"]):
        room = lambda n, l=l: p[f"blocks.{l}." + n]
        x = x + time_mix(room, c, norm(f"blocks.{l}.ln1", x), l, shared)
        x = x + channel_mix(room, norm(f"blocks.{l}.ln2", x))
    return norm("ln_out", x) @ p["head.weight"].T


# ---------------------------------------------------------------- version 4

def wkv4(k, v, decay, bonus):
    """The average as its definition says it: softmax over all tokens so far of k less the decay of what lies between."""
    t = torch.arange(k.shape[1])
    passed = (t[:, None] - 1 - t[None, :])[None, :, :, None]                       # [1, reader, writer, 1]
    s = k[:, None] - passed * decay.exp()
    s = torch.where(passed == -1, (k + bonus)[:, None], s).masked_fill(passed < -1, -math.inf)
    return (s.softmax(2) * v[:, None]).sum(2)


def mixed(p, x, room, n):
    return x * p(f"{room}.time_mix_{n}") + before(x) * (1 - p(f"{room}.time_mix_{n}"))


def time4(p, c, x, l, shared):
    k, v, r = (mixed(p, x, "att", n[0]) @ p(f"att.{n}.weight").T for n in ("key", "value", "receptance"))
    return (r.sigmoid() * wkv4(k, v, p("att.time_decay"), p("att.time_first"))) @ p("att.output.weight").T


def channel(p, xk, xr):
    return (xr @ p("ffn.receptance.weight").T).sigmoid() * ((xk @ p("ffn.key.weight").T).relu() ** 2 @ p("ffn.value.weight").T)


def channel4(p, x):
    return channel(p, mixed(p, x, "ffn", "k"), mixed(p, x, "ffn", "r"))


# ---------------------------------------------------------------- versions 5 and 6

def wkv6(r, k, v, decay, u):
    """r, k, v, decay [B, T, H, N], u [H, N]: what a token wrote fades by exp(-exp(decay)) of every token between it and the reader."""
    T, faded = r.shape[1], -decay.exp().cumsum(1)                                 # log of all fading up to and with a token
    between = F.pad(faded, (0, 0, 0, 0, 1, 0))[:, :-1, None] - faded[:, None]     # [B, reader, writer, H, N]
    earlier = torch.ones(T, T).tril(-1).bool()[None, :, :, None, None]
    share = torch.where(earlier, between, torch.zeros_like(between)).exp() * earlier
    share = share + torch.eye(T, dtype=r.dtype)[None, :, :, None, None] * u       # its own, through the bonus
    return torch.einsum("bthi,btshi,bshi,bshj->bthj", r, share, k, v)


def time5(p, c, x, l, shared):
    N = c["head_size"]
    r, k, v, g = (mixed(p, x, "att", n[0]) @ p(f"att.{n}.weight").T for n in ("receptance", "key", "value", "gate"))
    r, k, v = (heads_of(y, N) for y in (r, k, v))
    decay = p("att.time_decay").expand_as(r)
    return (head_norm(p, wkv6(r, k, v, decay, p("att.time_faaaa")), c["group_norm_epsilon"]) * F.silu(g)) @ p("att.output.weight").T


def time5_old(p, c, x, l, shared):
    """5.0: no gate, one decay and e^time_first for a head; 5.1: the gate."""
    N, gated = c["head_size"], c["version"] == "5.1"
    r, k, v = (heads_of(mixed(p, x, "att", n[0]) @ p(f"att.{n}.weight").T, N) for n in ("receptance", "key", "value"))
    decay, u = p("att.time_decay")[:, None].expand_as(r), p("att.time_first").exp()[:, None].expand(-1, N)
    y = head_norm(p, wkv6(r, k, v, decay, u), c["group_norm_epsilon"])
    return (y * F.silu(mixed(p, x, "att", "g") @ p("att.gate.weight").T) if gated else y) @ p("att.output.weight").T


def time6(p, c, x, l, shared):
    N, d = c["head_size"], before(x) - x
    t = ((x + d * p("att.time_maa_x")) @ p("att.time_maa_w1")).tanh().unflatten(-1, (5, -1))
    more = torch.einsum("btmr,mrd->mbtd", t, p("att.time_maa_w2"))
    xw, xk, xv, xr, xg = (x + d * (p("att.time_maa_" + n) + m) for n, m in zip("wkvrg", more))
    r, k, v = (heads_of(y @ p(f"att.{n}.weight").T, N) for n, y in (("receptance", xr), ("key", xk), ("value", xv)))
    decay = heads_of(p("att.time_decay") + (xw @ p("att.time_decay_w1")).tanh() @ p("att.time_decay_w2"), N)
    return (head_norm(p, wkv6(r, k, v, decay, p("att.time_faaaa"))) * F.silu(xg @ p("att.gate.weight").T)) @ p("att.output.weight").T


def channel6(p, x):
    d = before(x) - x
    return channel(p, x + d * p("ffn.time_maa_k"), x + d * p("ffn.time_maa_r"))


# ---------------------------------------------------------------- version 7

def time7(p, c, x, l, shared):
    N = c["head_dim"]
    mix = lambda n: x + (before(x) - x) * p("att.x_" + n)
    r, k, v = (mix(n[0]) @ p(f"att.{n}.weight").T for n in ("receptance", "key", "value"))
    w = torch.exp(-math.exp(-0.5) * (p("att.w0") + (mix("w") @ p("att.w1")).tanh() @ p("att.w2")).sigmoid())
    a = (p("att.a0") + mix("a") @ p("att.a1") @ p("att.a2")).sigmoid()
    gate = (mix("g") @ p("att.g1")).sigmoid() @ p("att.g2")
    if l == 0:
        shared["v"] = v
    else:
        v = v + (shared["v"] - v) * (p("att.v0") + mix("v") @ p("att.v1") @ p("att.v2")).sigmoid()
    kappa = F.normalize(heads_of(k * p("att.k_k"), N), dim=-1)
    k = k * (1 + (a - 1) * p("att.k_a"))
    r, w, k, v, a = (heads_of(y, N) for y in (r, w, k, v, a))
    S, y = torch.zeros(*r.shape[:1], *r.shape[2:], N, dtype=x.dtype), []           # [B, H, value, key]
    for t in range(x.shape[1]):
        change = torch.diag_embed(w[:, t]) - kappa[:, t, :, :, None] * (kappa * a)[:, t, :, None, :]
        S = S @ change + v[:, t, :, :, None] * k[:, t, :, None, :]
        y.append((S @ r[:, t, :, :, None])[..., 0])
    y = head_norm(p, torch.stack(y, 1)) + ((r * k * p("att.r_k")).sum(-1, keepdim=True) * v).flatten(-2)
    return (y * gate) @ p("att.output.weight").T


def channel7(p, x):
    return ((x + (before(x) - x) * p("ffn.x_k")) @ p("ffn.key.weight").T).relu() ** 2 @ p("ffn.value.weight").T


# ---------------------------------------------------------------- models

def groups(params, lr):
    """The authors' groups: decay for matrices named .weight alone, twice the rate for decays of the channels, three times for version 4's bonuses."""
    rule = lambda n, p: (3 if n.endswith("att.time_first") else 2 if n.endswith(("att.time_decay", "att.w0")) else 1,
                         0.1 if p.dim() >= 2 and n.endswith(".weight") else 0.0)
    found = {}
    for n, p in params.items():
        found.setdefault(rule(n, p), []).append(p)
    return [{"params": ps, "lr": lr * factor, "weight_decay": decay} for (factor, decay), ps in found.items()]


def measure(logits_of, params, ids, targets, train):
    loss_of = lambda logits: F.cross_entropy(logits.reshape(-1, V), targets.reshape(-1))
    logits = logits_of(ids)
    assert logits.dtype == torch.float64
    loss = loss_of(logits)
    out = {"ids": ids, "targets": targets, "logits": logits, "loss": loss.reshape(1)}
    if train:
        loss.backward()
        out.update({"grad." + n: p.grad.clone() for n, p in params.items()})
        opt = torch.optim.AdamW(groups(params, 1e-2), lr=1e-2, betas=(0.9, 0.95), eps=1e-6)
        for _ in range(3):
            opt.zero_grad()
            loss_of(logits_of(ids)).backward()
            opt.step()
        out.update({"step3." + n: p.clone() for n, p in params.items()})
    return out


def rwkv(out, name, config, layer_shapes, time_mix, channel_mix, train=True):
    c = dict(config, vocab_size=V, hidden_size=16, num_hidden_layers=2, intermediate_size=24, l2_wrap=0.0, torch_dtype="float32")
    d = c["hidden_size"]
    pair = lambda n: {n + ".weight": (d,), n + ".bias": (d,)}
    shapes = {"emb.weight": (V, d), **pair("blocks.0.ln0")}
    for l in range(c["num_hidden_layers"]):
        shapes.update({**pair(f"blocks.{l}.ln1"), **pair(f"blocks.{l}.ln2")})
        shapes.update({f"blocks.{l}." + n: s for n, s in layer_shapes(d, c["intermediate_size"], l).items()})
    shapes.update({**pair("ln_out"), "head.weight": (V, d)})
    g = source(name)
    values = parameters(shapes, g)
    write_json(os.path.join(out, "config.json"), c)
    save(os.path.join(out, "model.safetensors"), values)
    p = {n: v.double().requires_grad_() for n, v in values.items()}
    save(os.path.join(out, "golden.safetensors"), measure(lambda ids: forward(p, c, ids, time_mix, channel_mix), p, *batch(g), train))


def matrices(d, names):
    return {f"att.{n}.weight": (d, d) for n in names}


def channels(d, inner, receptance=True):
    return {**({"ffn.receptance.weight": (d, d)} if receptance else {}), "ffn.key.weight": (inner, d), "ffn.value.weight": (d, inner)}


def norm_x(d):
    return {"att.ln_x.weight": (d,), "att.ln_x.bias": (d,)}


def vectors(d, names):
    return {n: (1, 1, d) for n in names}


def rwkv4(out):
    def layer(d, inner, l):
        mixes = ["att.time_mix_k", "att.time_mix_v", "att.time_mix_r", "ffn.time_mix_k", "ffn.time_mix_r"]
        return {**vectors(d, mixes), "att.time_decay": (d,), "att.time_first": (d,), **matrices(d, ("key", "value", "receptance", "output")), **channels(d, inner)}
    rwkv(out, "rwkv4", dict(architectures=["RwkvForCausalLM"], model_type="rwkv4", context_length=32), layer, time4, channel4)


def rwkv5(out, name="rwkv5", version="5.2", time=time5, N=8, train=True):
    def layer(d, inner, l):
        H, gate = d // N, ["gate"] if version != "5.0" else []
        mixes = ["att.time_mix_" + n for n in ("kvrg" if gate else "kvr")] + ["ffn.time_mix_k", "ffn.time_mix_r"]
        own = {"att.time_decay": (H, N), "att.time_faaaa": (H, N)} if version == "5.2" else {"att.time_decay": (H,), "att.time_first": (H,)}
        return {**vectors(d, mixes), **own, **matrices(d, ["key", "value", "receptance", "output"] + gate), **norm_x(d), **channels(d, inner)}
    rwkv(out, name, dict(architectures=["Rwkv5ForCausalLM"], model_type="rwkv5", context_length=32, head_size=N, version=version,
                         group_norm_epsilon=64e-5 if version != "5.1" else 1e-5), layer, time, channel4, train)


def rwkv6(out):
    def layer(d, inner, l):
        mixes = ["att.time_maa_" + n for n in "xwkvrg"] + ["att.time_decay", "ffn.time_maa_k", "ffn.time_maa_r"]
        low = {"att.time_maa_w1": (d, 15), "att.time_maa_w2": (5, 3, d), "att.time_decay_w1": (d, 6), "att.time_decay_w2": (6, d)}
        return {**vectors(d, mixes), **low, "att.time_faaaa": (d // 8, 8), **matrices(d, ("key", "value", "receptance", "gate", "output")), **norm_x(d),
                **channels(d, inner)}
    rwkv(out, "rwkv6", dict(architectures=["Rwkv6ForCausalLM"], model_type="rwkv6", context_length=32, head_size=8, time_mix_extra_dim=3,
                            time_decay_extra_dim=6), layer, time6, channel6)


def rwkv7(out):
    ranks = dict(w=3, a=5, v=2, g=6)
    def layer(d, inner, l):
        mixes = ["att.x_" + n for n in "rwkvag"] + ["att.w0", "att.a0", "att.k_k", "att.k_a", "ffn.x_k"] + (["att.v0"] if l else [])
        low = {}
        for n, rank in ranks.items():
            if l or n != "v":
                low.update({f"att.{n}1": (d, rank), f"att.{n}2": (rank, d)})
        return {**vectors(d, mixes), **low, **matrices(d, ("receptance", "key", "value", "output")), "att.r_k": (d // 8, 8), **norm_x(d), **channels(d, inner, False)}
    rwkv(out, "rwkv7", dict(architectures=["RWKV7ForCausalLM"], model_type="rwkv7", max_position_embeddings=32, head_dim=8, decay_low_rank_dim=3,
                            a_low_rank_dim=5, v_low_rank_dim=2, gate_low_rank_dim=6), layer, time7, channel7)


# ---------------------------------------------------------------- the same under other names

def rwkv4_hf(out):
    """Hugging Face's own model under its own names; config.json leaves widths open as the published ones do."""
    from transformers import RwkvConfig, RwkvForCausalLM
    g = source("rwkv4-hf")
    with all_double():
        model = RwkvForCausalLM(RwkvConfig(vocab_size=V, context_length=32, hidden_size=16, num_hidden_layers=2, bos_token_id=0, eos_token_id=0)).eval()
    params = dict(model.named_parameters())
    for n, v in parameters({n: p.shape for n, p in params.items()}, g).items():
        params[n].data = v
    model.save_pretrained(out)
    os.remove(os.path.join(out, "generation_config.json"))
    config = read_json(os.path.join(out, "config.json"))
    write_json(os.path.join(out, "config.json"), {**config, "attention_hidden_size": None, "intermediate_size": None})
    model.double()
    ids, targets = batch(g)
    with all_double(), torch.no_grad():
        got = measure_library(lambda x: model(x, use_cache=False).logits, params, ids, targets, False)
    save(os.path.join(out, "golden.safetensors"), got)


def fla_name(name):
    """flash-linear-attention's name for one of the authors', and whether its matrix is the other way round (its utils/convert_from_rwkv7.py)."""
    top = {"emb.weight": "model.embeddings.weight", "ln_out.weight": "model.norm.weight", "ln_out.bias": "model.norm.bias", "head.weight": "lm_head.weight"}
    if name in top:
        return top[name], False
    _, layer, part, *rest = name.split(".")
    part = {"att": "attn", "ffn": "ffn", "ln0": "pre_norm", "ln1": "attn_norm", "ln2": "ffn_norm"}[part]
    transposed = False
    if part == "attn" and len(rest[0]) == 2 and rest[0][0] in "wavg" and rest[0][1] in "012":
        transposed = rest[0][1] != "0"
        rest = [rest[0][0] + "_lora", "lora", {"0": "2.bias", "1": "0.weight", "2": "2.weight"}[rest[0][1]]]
    elif part == "attn":
        rest[0] = {"receptance": "r_proj", "key": "k_proj", "value": "v_proj", "output": "o_proj", "ln_x": "g_norm"}.get(rest[0], rest[0])
    return ".".join(["model.layers", layer, part, *rest]), transposed


def rwkv7_fla(out):
    """The model rwkv7 as flash-linear-attention keeps it, its ranks left to the tensors."""
    whole = os.path.join(os.path.dirname(out), "rwkv7")
    t = {}
    for name, v in load_file(os.path.join(whole, "model.safetensors")).items():
        fla, transposed = fla_name(name)
        t[fla] = (v.T if transposed else v if ".x_" in fla and "attn" in fla else v.squeeze()).contiguous()
    save_file(t, os.path.join(out, "model.safetensors"), {"format": "pt"})
    c = read_json(os.path.join(whole, "config.json"))
    for key in ("decay_low_rank_dim", "a_low_rank_dim", "v_low_rank_dim", "gate_low_rank_dim"):
        c[key] = None
    del c["head_dim"]
    write_json(os.path.join(out, "config.json"), {**c, "num_heads": 2, "hidden_act": "sqrelu", "norm_first": True, "norm_bias": True, "attn": None})


def rwkv_pth(out):
    """The authors' files: a bfloat16 one as a trainer wraps it, without dimensions of one, and a float16 one with layer 0's meaningless v0, v1, v2."""
    four = load_file(os.path.join(os.path.dirname(out), "rwkv4", "model.safetensors"))
    torch.save(collections.OrderedDict(("_forward_module." + n, t.bfloat16().squeeze()) for n, t in four.items()), os.path.join(out, "rwkv4.pth"), pickle_protocol=2)
    seven = {n: t.half() for n, t in load_file(os.path.join(os.path.dirname(out), "rwkv7", "model.safetensors")).items()}
    for n in ("v0", "v1", "v2"):
        seven["blocks.0.att." + n] = torch.full_like(seven["blocks.1.att." + n], 77.0)
    torch.save(seven, os.path.join(out, "rwkv7.pth"), pickle_protocol=2)
    torch.save({"emb.weight": torch.zeros(2, 2), "blocks.0.ln0.weight": torch.ones(2), "_strategy": "cpu fp32", "_version": "0.7", "_rescale_layer": 6},
               os.path.join(out, "converted.pth"), pickle_protocol=2)
    torch.save({"emb.weight": torch.zeros(2, 2), "note": Attack()}, os.path.join(out, "attack.pth"), pickle_protocol=2)
    torch.save({"emb.weight": torch.zeros(2, 2)}, os.path.join(out, "legacy.pth"), pickle_protocol=2, _use_new_zipfile_serialization=False)


def rwkv_cpp(out):
    """Files as rwkv.cpp's python/convert_pytorch_to_ggml.py makes them of the authors' tensors, versions 5.2, 5.0 and 6."""
    for version in ("rwkv5", "rwkv5-0", "rwkv6"):
        t = load_file(os.path.join(os.path.dirname(out), version, "model.safetensors"))
        with open(os.path.join(out, version + ".bin"), "wb") as f:
            f.write(struct.pack("=6I", 0x67676D66, 101, V, t["emb.weight"].shape[1], 2, 0))
            for name, x in t.items():
                if ".time_" in name:
                    x = x.squeeze()
                if version == "rwkv6":
                    if ".time_faaaa" in name:
                        x = x.unsqueeze(-1)
                    if ".time_maa_w1" in name or ".time_decay_w" in name:
                        x = x.T
                    if ".time_maa_w2" in name:
                        x = x.transpose(1, 2)
                    if name.endswith(".time_decay"):
                        x = x.reshape(t["blocks.0.att.time_faaaa"].shape[0], -1, 1)
                else:
                    if ".time_decay" in name:
                        x = (-x.exp()).exp()
                        x = x.reshape(-1, 1, 1) if version == "rwkv5-0" else x.unsqueeze(-1)
                    if ".time_first" in name:
                        x = x.exp().reshape(-1, 1, 1)
                    if ".time_faaaa" in name:
                        x = x.unsqueeze(-1)
                f.write(struct.pack("=3I", x.dim(), len(name), 0) + struct.pack(f"={x.dim()}I", *reversed(x.shape)) + name.encode())
                f.write(x.contiguous().numpy().tobytes())


class Attack:
    """Whoever unpickles it runs a command."""
    def __reduce__(self):
        return os.system, ("touch attacked",)


FIXTURES = {
    "rwkv4": rwkv4, "rwkv4-hf": rwkv4_hf, "rwkv5": rwkv5, "rwkv6": rwkv6, "rwkv7": rwkv7, "rwkv7-fla": rwkv7_fla, "rwkv-pth": rwkv_pth, "rwkv-cpp": rwkv_cpp,
    "rwkv5-0": lambda out: rwkv5(out, "rwkv5-0", "5.0", time5_old, 8, train=False),
    "rwkv5-1": lambda out: rwkv5(out, "rwkv5-1", "5.1", time5_old, 8, train=False),
}

if __name__ == "__main__":
    write(FIXTURES, __doc__)
