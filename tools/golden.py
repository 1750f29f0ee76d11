#!/usr/bin/env python3
"""Write the fixtures of tests/golden from PyTorch, the original authors' code where it runs.

    python3 -m venv ENV && ENV/bin/pip install torch 'transformers>=4.43,<4.47' 'numpy<2' safetensors
    ENV/bin/python tools/golden.py [--out tests/golden] [NAME ...]      (no NAME: all of them)

Made with torch 1.13 and transformers 4.46; never needed to build or to test. tests/golden/README.md
says what each fixture holds. Parameters and inputs are drawn in float32, everything after them is
computed in float64, and results are rounded to float32 once, so a fixture is good to half an ulp.
"""
import argparse, collections, contextlib, functools, json, math, os, shutil, zlib
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file

V, B, T = 61, 2, 9                                  # vocabulary, sequences, tokens in each


# ---------------------------------------------------------------- shared pieces

def source(name):
    """Random numbers that depend on the fixture's name alone."""
    return torch.Generator().manual_seed(zlib.crc32(name.encode()))


def draw(shape, g, std=1.0, mean=0.0):
    return torch.randn(shape, generator=g) * std + mean


def parameters(shapes, g):
    """name -> float32 values, none of them at its usual starting point."""
    p = {}
    for name, shape in shapes.items():
        norm = name.endswith("weight") and len(shape) == 1
        std = 0.2 if len(shape) == 1 else 0.5 if "emb" in name or "wte" in name else 0.25
        p[name] = draw(shape, g, std, 1.0 if norm else 0.0)
    return p


def batch(g):
    return [torch.randint(0, V, (B, T), generator=g) for _ in range(2)]


@contextlib.contextmanager
def all_double():
    """Library code that says float32 (norms, softmax, rotary tables) gets float64 in here."""
    saved = torch.float32
    torch.float32, torch.Tensor.float = torch.float64, torch.Tensor.double
    try:
        yield
    finally:
        torch.float32 = saved
        del torch.Tensor.float


def measure(forward, params, ids, targets, train=True, decays=lambda name, p: p.dim() >= 2):
    """Logits and loss; with train, also gradients and the parameters after three AdamW steps."""
    loss_of = lambda logits: F.cross_entropy(logits.reshape(-1, logits.shape[-1]), targets.reshape(-1))
    logits = forward(ids)
    assert logits.dtype == torch.float64
    loss = loss_of(logits)
    out = {"ids": ids, "targets": targets, "logits": logits, "loss": loss.reshape(1)}
    if train:
        loss.backward()
        out.update({"grad." + n: p.grad.clone() for n, p in params.items()})
        groups = [{"params": [p for n, p in params.items() if decays(n, p)], "weight_decay": 0.1},
                  {"params": [p for n, p in params.items() if not decays(n, p)], "weight_decay": 0.0}]
        opt = torch.optim.AdamW(groups, lr=1e-2, betas=(0.9, 0.95), eps=1e-6)
        for _ in range(3):
            opt.zero_grad()
            loss_of(forward(ids)).backward()
            opt.step()
        out.update({"step3." + n: p.clone() for n, p in params.items()})
    return out


def save(path, tensors):
    """float64 becomes float32 here and nowhere else."""
    single = lambda t: t.float() if t.dtype == torch.float64 else t
    save_file({n: single(t.detach()).contiguous() for n, t in tensors.items()}, path, {"format": "pt"})


def write_json(path, value):
    with open(path, "w") as f:
        json.dump(value, f, indent=2)
        f.write("\n")


def read_json(path):
    with open(path) as f:
        return json.load(f)


def library_model(out, name, cls, config, train=True, weights=torch.float32):
    """A Hugging Face model: random values in, its own files and the measurements out."""
    g = source(name)
    with all_double():
        model = cls._from_config(config, attn_implementation="eager").eval()
    params = dict(model.named_parameters())
    for n, v in parameters({n: p.shape for n, p in params.items()}, g).items():
        params[n].data = v.to(weights)
    model.save_pretrained(out)
    os.remove(os.path.join(out, "generation_config.json"))
    model.double()
    with all_double():
        got = measure(lambda ids: model(ids, use_cache=False).logits, params, *batch(g), train)
    save(os.path.join(out, "golden.safetensors"), got)


# ---------------------------------------------------------------- GPT-2

def gpt2(out):
    from transformers import GPT2Config, GPT2LMHeadModel
    library_model(out, "gpt2", GPT2LMHeadModel, GPT2Config(
        vocab_size=V, n_positions=32, n_embd=16, n_layer=2, n_head=2, activation_function="gelu_new",
        resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0, bos_token_id=0, eos_token_id=0))


def gpt2_sharded(out):
    """The same model as older files say it: bare names, mask buffers, the tied head written out."""
    whole = os.path.join(os.path.dirname(out), "gpt2")
    t = {n[len("transformer."):]: v for n, v in load_file(os.path.join(whole, "model.safetensors")).items()}
    for i in range(2):
        t[f"h.{i}.attn.bias"] = torch.ones(32, 32).tril().view(1, 1, 32, 32)
    t["lm_head.weight"] = t["wte.weight"].clone()
    names = sorted(t)
    shards = names[:len(names) // 2], names[len(names) // 2:]
    where = {}
    for i, part in enumerate(shards):
        file = f"model-{i + 1:05}-of-00002.safetensors"
        save(os.path.join(out, file), {n: t[n] for n in part})
        where.update({n: file for n in part})
    size = sum(v.numel() * v.element_size() for v in t.values())
    write_json(os.path.join(out, "model.safetensors.index.json"),
               {"metadata": {"total_size": size}, "weight_map": where})
    shutil.copy(os.path.join(whole, "config.json"), out)


# ---------------------------------------------------------------- LLaMA

def llama(out, name="llama", heads=4, groups=2, train=True, weights=torch.float32, **more):
    from transformers import LlamaConfig, LlamaForCausalLM
    config = dict(vocab_size=V, hidden_size=16, intermediate_size=24, num_hidden_layers=2, rms_norm_eps=1e-5,
                  max_position_embeddings=32, rope_theta=10000.0, tie_word_embeddings=False)
    config.update(num_attention_heads=heads, num_key_value_heads=groups, **more)
    library_model(out, name, LlamaForCausalLM, LlamaConfig(**config), train, weights)


def llama_scaled(out):
    """Head size 8 and these numbers put one frequency in each of the rule's three cases, and one more."""
    llama(out, "llama-scaled", 2, 1, tie_word_embeddings=True, max_position_embeddings=1024, rope_scaling={
        "rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
        "original_max_position_embeddings": 128})


def llama_linear(out):
    llama(out, "llama-linear", 4, 2, train=False, max_position_embeddings=128,
          rope_scaling={"type": "linear", "factor": 4.0})


def llama_new(out):
    """bfloat16 storage and the config spellings of transformers 5."""
    llama(out, "llama-new", train=False, weights=torch.bfloat16)
    path = os.path.join(out, "config.json")
    c = read_json(path)
    for old in ("torch_dtype", "rope_scaling", "transformers_version"):
        del c[old]
    c["rope_parameters"] = {"rope_theta": c.pop("rope_theta"), "rope_type": "default"}
    c["dtype"] = "bfloat16"
    write_json(path, dict(sorted(c.items())))


# ---------------------------------------------------------------- GPT-NeoX

def gpt_neox(out, name="gpt_neox", heads=2, train=True, weights=torch.float32, **more):
    """Attention and feed-forward side by side, half of each head's channels rotated, exact GELU, a head of its own."""
    from transformers import GPTNeoXConfig, GPTNeoXForCausalLM
    config = dict(vocab_size=V, hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=heads,
                  max_position_embeddings=32, rotary_pct=0.5, hidden_act="gelu", bos_token_id=0, eos_token_id=0)
    config.update(more)
    library_model(out, name, GPTNeoXForCausalLM, GPTNeoXConfig(**config), train, weights)


def gpt_neox_classes(out):
    """gpt_neox with classes: what GPTNeoXForSequenceClassification says of each sequence, and the gradients of its loss."""
    from transformers import GPTNeoXConfig, GPTNeoXForSequenceClassification
    gpt_neox(out)
    file, golden = os.path.join(out, "model.safetensors"), os.path.join(out, "golden.safetensors")
    with all_double():
        model = GPTNeoXForSequenceClassification._from_config(
            GPTNeoXConfig.from_pretrained(out, num_labels=3), attn_implementation="eager").eval()
    tensors, got = load_file(file), load_file(golden)
    tensors["score.weight"] = draw((3, 16), source("gpt_neox classes"), 0.3)
    model.load_state_dict({n: v for n, v in tensors.items() if n != "embed_out.weight"})
    model.double()
    labels = torch.tensor([2, 0])
    with all_double():                                  # one at a time: several together need a padding token
        logits = torch.cat([model(ids[None], use_cache=False).logits for ids in got["ids"]])
    loss = F.cross_entropy(logits, labels)
    loss.backward()
    got.update({"classify.labels": labels, "classify.logits": logits, "classify.loss": loss.reshape(1)})
    got.update({"classify.grad." + n: p.grad for n, p in model.named_parameters()})
    save(file, tensors)
    save(golden, got)


def gpt_neox_new(out):
    """One after the other, tied, without attention biases, all channels rotated, the positions stretched; float16, and
    a config in the spelling of transformers 5."""
    gpt_neox(out, "gpt_neox-new", heads=4, train=False, weights=torch.float16, use_parallel_residual=False, tie_word_embeddings=True,
             attention_bias=False, rotary_pct=1.0, rotary_emb_base=500, hidden_act="gelu_new", rope_scaling={"type": "linear", "factor": 2.0})
    path = os.path.join(out, "config.json")
    c = read_json(path)
    for old in ("torch_dtype", "rope_scaling", "rotary_pct", "rotary_emb_base", "partial_rotary_factor", "rope_theta", "transformers_version"):
        c.pop(old, None)
    c["rope_parameters"] = {"factor": 2.0, "partial_rotary_factor": 1.0, "rope_theta": 500, "rope_type": "linear"}
    c["dtype"] = "float16"
    write_json(path, dict(sorted(c.items())))


def gpt_neox_bin(out):
    """The weights of gpt_neox as the first Pythia files hold them: float16 in a pickle, with buffers of masks and frequencies."""
    whole = os.path.join(os.path.dirname(out), "gpt_neox")
    t = {n: v.half() for n, v in load_file(os.path.join(whole, "model.safetensors")).items() if n != "score.weight"}
    for i in range(2):
        stem = f"gpt_neox.layers.{i}.attention."
        t[stem + "bias"] = torch.ones(32, 32, dtype=torch.bool).tril().view(1, 1, 32, 32)
        t[stem + "masked_bias"] = torch.tensor(-1e9).half()
        t[stem + "rotary_emb.inv_freq"] = 10000.0 ** (-torch.arange(0, 4, 2).float() / 4)
    torch.save(collections.OrderedDict(t), os.path.join(out, "pytorch_model.bin"))
    c = read_json(os.path.join(whole, "config.json"))
    keep = ("architectures", "bos_token_id", "eos_token_id", "hidden_act", "hidden_size", "initializer_range", "intermediate_size", "layer_norm_eps",
            "max_position_embeddings", "model_type", "num_attention_heads", "num_hidden_layers", "rotary_emb_base", "rotary_pct",
            "tie_word_embeddings", "use_cache", "use_parallel_residual", "vocab_size")
    write_json(os.path.join(out, "config.json"), {**{k: c[k] for k in keep}, "torch_dtype": "float16"})


# ---------------------------------------------------------------- TokenFormer (no library has it)

def theta(a, kind):
    """Slot scores to slot weights, over the last axis. A row without direction gives zeros."""
    n = a.shape[-1]
    if kind == "softmax":
        return n * a.softmax(-1)
    u = F.gelu(a) if kind == "gelu_l2_norm" else a
    square = (u * u).sum(-1, keepdim=True)
    some = square > 0
    scale = torch.where(some, math.sqrt(n) / torch.where(some, square, torch.ones_like(square)).sqrt(), torch.zeros_like(square))
    return u * scale if kind == "gelu_l2_norm" else F.gelu(u * scale)


def pattention(x, keys, values, kind):
    return theta(x @ keys.T, kind) @ values


def rotate(x, pos, r, base=10000.0):
    """x [..., T, H, hd]: channels i and i + r/2 of the first r turn by pos * base^(-2i/r)."""
    angle = pos[:, None].double() * base ** (-torch.arange(0, r, 2).double() / r)
    c, s = angle.cos()[:, None, :], angle.sin()[:, None, :]
    u, w, rest = x[..., :r // 2], x[..., r // 2:r], x[..., r:]
    return torch.cat((u * c - w * s, w * c + u * s, rest), -1)


def attention(q, k, v):
    """q [..., T, H, hd], k and v [..., T, G, hd] -> o as q, log-sum-exp [..., T, H]."""
    share = q.shape[-2] // k.shape[-2]
    k, v = (t.repeat_interleave(share, -2) for t in (k, v))
    s = torch.einsum("...qhc,...khc->...hqk", q, k) / math.sqrt(q.shape[-1])
    later = torch.ones(s.shape[-2:], dtype=torch.bool).triu(1)
    s = s.masked_fill(later, -math.inf)
    return torch.einsum("...hqk,...khc->...qhc", s.softmax(-1), v), s.logsumexp(-1).transpose(-1, -2)


def tokenformer_forward(p, c, ids):
    d, heads, kind, eps = c["hidden_size"], c["num_attention_heads"], c["norm_activation_type"], c["layernorm_epsilon"]
    L, r, pos = c["num_layers"], int(d // heads * c["rotary_pct"]), torch.arange(ids.shape[1])
    E = p["sequential.0.word_embeddings.weight"]
    x = E[ids]
    for l in range(L):
        room = f"sequential.{l + 2}."
        patt = lambda part, h: pattention(h, p[room + part + ".key_param_tokens"], p[room + part + ".value_param_tokens"], kind)
        h = F.layer_norm(x, (d,), eps=eps)
        q, k, v = (patt("attention." + part, h).unflatten(-1, (heads, d // heads)) for part in ("query", "key", "value"))
        o, _ = attention(rotate(q, pos, r, c["rotary_emb_base"]), rotate(k, pos, r, c["rotary_emb_base"]), v)
        x = x + patt("attention.proj", o.flatten(-2))
        x = x + patt("mlp", F.layer_norm(x, (d,), eps=eps))
    norm = f"sequential.{L + 3}.norm."
    return F.layer_norm(x, (d,), p[norm + "weight"], p[norm + "bias"], eps) @ E.T


def tokenformer(out, name="tokenformer", kind="l2_norm_gelu"):
    c = dict(architectures=["TokenFormerForCausalLM"], model_type="tokenformer", num_layers=2, hidden_size=16,
             num_attention_heads=2, qkv_slot_num=12, proj_slot_num=10, ffn_slot_num=40, seq_length=32,
             max_position_embeddings=32, pos_emb="rotary", rotary_pct=0.25, rotary_emb_base=10000,
             norm="layernorm_nonparam", final_norm="layernorm", layernorm_epsilon=1e-5,
             norm_activation_type=kind, no_weight_tying=False, vocab_size=V, torch_dtype="float32")
    d, L = c["hidden_size"], c["num_layers"]
    shapes = {"sequential.0.word_embeddings.weight": (V, d)}
    for l in range(L):
        for part, slots in (("attention.query", "qkv"), ("attention.key", "qkv"), ("attention.value", "qkv"),
                            ("attention.proj", "proj"), ("mlp", "ffn")):
            for half in ("key", "value"):
                shapes[f"sequential.{l + 2}.{part}.{half}_param_tokens"] = (c[slots + "_slot_num"], d)
    shapes.update({f"sequential.{L + 3}.norm.weight": (d,), f"sequential.{L + 3}.norm.bias": (d,)})
    g = source(name)
    values = parameters(shapes, g)
    write_json(os.path.join(out, "config.json"), c)
    save(os.path.join(out, "model.safetensors"), values)
    p = {n: v.double().requires_grad_() for n, v in values.items()}
    save(os.path.join(out, "golden.safetensors"), measure(lambda ids: tokenformer_forward(p, c, ids), p, *batch(g)))


def tokenformer_bin(out):
    """The same model as the authors publish theirs: a zip with a pickled OrderedDict."""
    whole = os.path.join(os.path.dirname(out), "tokenformer")
    t = load_file(os.path.join(whole, "model.safetensors"))
    order = sorted(t, key=lambda n: (int(n.split(".")[1]), n))
    torch.save(collections.OrderedDict((n, t[n].clone()) for n in order), os.path.join(out, "pytorch_model.bin"), pickle_protocol=2)
    shutil.copy(os.path.join(whole, "config.json"), out)


# ---------------------------------------------------------------- images

LABELS, SIDE = 5, 8                                 # classes; pixels on each side, in patches of 4


def image_parameters(shapes, g):
    p = parameters(shapes, g)
    for n in p:
        if "projection.weight" in n:
            p[n] *= 0.2                             # 48 inputs: the patches would drown what the layers add
    return p


def image_measurements(forward, params, g):
    pixels = draw((3, 3, SIDE, SIDE), g)
    got = measure(lambda x: forward(x.double()), params, pixels, torch.randint(0, LABELS, (3,), generator=g))
    return {{"ids": "pixels", "targets": "labels"}.get(n, n): t for n, t in got.items()}


def vit(out):
    from transformers import ViTConfig, ViTForImageClassification
    g = source("vit")
    names = {i: n for i, n in enumerate(["bird", "cat", "dog", "frog", "ship"])}
    config = ViTConfig(hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=24, image_size=SIDE, patch_size=4,
                       num_channels=3, layer_norm_eps=1e-12, id2label=names, label2id={n: i for i, n in names.items()})
    with all_double():
        model = ViTForImageClassification._from_config(config, attn_implementation="eager").eval()
    params = dict(model.named_parameters())
    for n, v in image_parameters({n: p.shape for n, p in params.items()}, g).items():
        params[n].data = v
    model.save_pretrained(out)
    model.double()
    with all_double():
        got = image_measurements(lambda x: model(x).logits, params, g)
    save(os.path.join(out, "golden.safetensors"), got)


def deit(out, teacher=False):
    """A ViT with a second token; made with torch 2.15 and transformers 5.24."""
    from transformers import DeiTConfig, DeiTForImageClassification, DeiTForImageClassificationWithTeacher
    g = source("deit-teacher" if teacher else "deit")
    names = {i: n for i, n in enumerate(["bird", "cat", "dog", "frog", "ship"])}
    config = DeiTConfig(hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=24, image_size=SIDE, patch_size=4,
                        num_channels=3, id2label=names, label2id={n: i for i, n in names.items()})
    with all_double():
        model = (DeiTForImageClassificationWithTeacher if teacher else DeiTForImageClassification)._from_config(config, attn_implementation="eager").eval()
    params = dict(model.named_parameters())
    for n, v in image_parameters({n: p.shape for n, p in params.items()}, g).items():
        params[n].data = v
    model.save_pretrained(out)
    model.double()
    with all_double():
        got = image_measurements(lambda x: model(x).logits, params, g)
    published = lambda n: functools.reduce(lambda x, pair: x.replace(*pair), DEIT_NAMES, n)
    save(os.path.join(out, "golden.safetensors"), {published(n): t for n, t in got.items()})


# transformers 5's names in memory, and those of its files.
DEIT_NAMES = [("deit.layers.", "deit.encoder.layer."), ("attention.q_proj", "attention.attention.query"), ("attention.k_proj", "attention.attention.key"),
              ("attention.v_proj", "attention.attention.value"), ("attention.o_proj", "attention.output.dense"), ("mlp.fc1", "intermediate.dense"), ("mlp.fc2", "output.dense")]


def tokenformer_vit_forward(p, c, pixels):
    """Section 4.3 of the paper: a ViT whose projections and feed-forward are Pattention, block norms without parameters."""
    d, heads, kind, eps = c["hidden_size"], c["num_attention_heads"], c["norm_activation_type"], c["layer_norm_eps"]
    w = p["embeddings.patch_embeddings.projection.weight"]
    x = F.conv2d(pixels, w, p["embeddings.patch_embeddings.projection.bias"], stride=w.shape[-1]).flatten(2).transpose(1, 2)
    x = torch.cat((p["embeddings.cls_token"].expand(len(x), 1, d), x), 1) + p["embeddings.position_embeddings"]
    for l in range(c["num_hidden_layers"]):
        room = f"encoder.layer.{l}."
        patt = lambda part, h: pattention(h, p[room + part + ".key_param_tokens"], p[room + part + ".value_param_tokens"], kind)
        h = F.layer_norm(x, (d,), eps=eps)
        q, k, v = (patt("attention." + part, h).unflatten(-1, (heads, d // heads)).transpose(1, 2) for part in ("query", "key", "value"))
        o = (q @ k.transpose(-1, -2) / math.sqrt(d // heads)).softmax(-1) @ v
        x = x + patt("attention.proj", o.transpose(1, 2).flatten(-2))
        x = x + patt("mlp", F.layer_norm(x, (d,), eps=eps))
    x = F.layer_norm(x, (d,), p["layernorm.weight"], p["layernorm.bias"], eps)
    return F.linear(x[:, 0], p["classifier.weight"], p["classifier.bias"])


def tokenformer_vit(out, name="tokenformer_vit", kind="l2_norm_gelu"):
    c = dict(architectures=["TokenFormerViTForImageClassification"], model_type="tokenformer_vit", hidden_size=16, num_hidden_layers=2,
             num_attention_heads=2, qkv_slot_num=12, proj_slot_num=10, ffn_slot_num=40, norm_activation_type=kind, layer_norm_eps=1e-5,
             image_size=SIDE, patch_size=4, num_channels=3, num_labels=LABELS)
    d, room = c["hidden_size"], "embeddings."
    shapes = {room + "cls_token": (1, 1, d), room + "position_embeddings": (1, (SIDE // 4) ** 2 + 1, d),
              room + "patch_embeddings.projection.weight": (d, 3, 4, 4), room + "patch_embeddings.projection.bias": (d,),
              "layernorm.weight": (d,), "layernorm.bias": (d,), "classifier.weight": (LABELS, d), "classifier.bias": (LABELS,)}
    for l in range(c["num_hidden_layers"]):
        for part, slots in (("attention.query", "qkv"), ("attention.key", "qkv"), ("attention.value", "qkv"),
                            ("attention.proj", "proj"), ("mlp", "ffn")):
            for half in ("key", "value"):
                shapes[f"encoder.layer.{l}.{part}.{half}_param_tokens"] = (c[slots + "_slot_num"], d)
    g = source(name + ", 1")                        # the first draw has a gradient of 4e-7, which Adam turns into a step of noise
    values = image_parameters(shapes, g)
    write_json(os.path.join(out, "config.json"), c)
    save(os.path.join(out, "model.safetensors"), values)
    p = {n: v.double().requires_grad_() for n, v in values.items()}
    save(os.path.join(out, "golden.safetensors"), image_measurements(lambda x: tokenformer_vit_forward(p, c, x), p, g))


# ---------------------------------------------------------------- single operations

def back(y, dy, *inputs):
    return torch.autograd.grad(y, inputs, dy)


def ops(out):
    g = source("ops")
    put = lambda name, **t: save(os.path.join(out, name + ".safetensors"), t)
    new = lambda *shape, **k: draw(shape, g, **k).double().requires_grad_()

    a, ds = new(5, 7, std=1.5), new(5, 7)
    a.data[2] = 0
    t = {"scores": a, "ds": ds}
    for kind in ("l2_norm_gelu", "gelu_l2_norm", "softmax"):
        s = theta(a, kind)
        t.update({kind + ".s": s, kind + ".da": back(s, ds, a)[0]})
    put("theta", **t)

    x, k, v, dy = new(5, 6), new(7, 6), new(7, 4), new(5, 4)
    t = {"x": x, "key": k, "value": v, "dy": dy}
    for kind in ("l2_norm_gelu", "gelu_l2_norm", "softmax"):
        y = pattention(x, k, v, kind)
        dx, dk, dv = back(y, dy, x, k, v)
        t.update({kind + ".y": y, kind + ".dx": dx, kind + ".dkey": dk, kind + ".dvalue": dv})
    put("pattention", **t)

    x = torch.cat((torch.linspace(-6, 6, 97), torch.tensor([-2.7, -40.0, 40.0, 1e-6]))).double().requires_grad_()
    t = {"x": x}
    for name, f in (("gelu_erf", F.gelu), ("gelu_tanh", lambda u: F.gelu(u, approximate="tanh")), ("silu", F.silu)):
        y = f(x)
        t.update({name + ".y": y, name + ".dydx": back(y, torch.ones_like(y), x)[0]})
    put("activation", **t)

    x, w, b, dy, eps = new(3, 10, std=2, mean=0.7), new(10, std=0.3, mean=1), new(10), new(3, 10), 1e-5
    mean, rstd = x.mean(-1), (x.var(-1, unbiased=False) + eps).rsqrt()
    t = {"x": x, "weight": w, "bias": b, "dy": dy, "eps": torch.tensor([eps]), "layernorm.mean": mean, "layernorm.rstd": rstd}
    def norm(name, y, **inputs):
        t.update({name + ".y": y, **{f"{name}.d{n}": dn for n, dn in zip(inputs, back(y, dy, *inputs.values()))}})
    norm("layernorm", F.layer_norm(x, (10,), w, b, eps), x=x, weight=w, bias=b)
    norm("layernorm_plain", F.layer_norm(x, (10,), eps=eps), x=x)
    r = ((x * x).mean(-1) + eps).rsqrt()
    t["rmsnorm.rrms"] = r
    norm("rmsnorm", x * r[:, None] * w, x=x, weight=w)
    put("norm", **t)

    x, dy, pos = new(9, 2, 8), new(9, 2, 8), torch.tensor([0, 1, 2, 3, 4, 0, 1, 2, 1017])
    t = {"x": x, "dy": dy, "pos": pos, "base": torch.tensor([10000.0])}
    for r in (2, 8):
        y = rotate(x, pos, r)
        t.update({f"r{r}.y": y, f"r{r}.dx": back(y, dy, x)[0]})
    put("rotary", **t)

    q, k, v, do = new(9, 4, 4), new(9, 2, 4), new(9, 2, 4), new(9, 4, 4)
    o, lse = attention(q, k, v)
    dq, dk, dv = back(o, do, q, k, v)
    put("attention", q=q, k=k, v=v, do=do, o=o, lse=lse, dq=dq, dk=dk, dv=dv)

    x, y, w = new(6, 11, std=2), torch.randint(0, 11, (6,), generator=g), torch.tensor([1.0, 0, 1, 1, 0.5, 1]).double()
    each = F.cross_entropy(x, y, reduction="none")
    loss = (each * w).sum() / w.sum()
    put("cross_entropy", logits=x, targets=y, weights=w, each=each, loss=loss.reshape(1), dlogits=back(loss, torch.ones(()).double(), x)[0])


FIXTURES = {
    "gpt2": gpt2, "gpt2-sharded": gpt2_sharded,
    "llama": llama, "llama-scaled": llama_scaled, "llama-linear": llama_linear, "llama-new": llama_new,
    "gpt_neox": gpt_neox_classes, "gpt_neox-bin": gpt_neox_bin, "gpt_neox-new": gpt_neox_new,
    "gpt_neox-sequential": lambda out: gpt_neox(out, "gpt_neox-sequential", heads=4, use_parallel_residual=False, tie_word_embeddings=True,
                                                attention_bias=False, rotary_pct=1.0, hidden_act="gelu_new"),
    "tokenformer": tokenformer, "tokenformer-bin": tokenformer_bin,
    "tokenformer-gelu-l2": lambda out: tokenformer(out, "tokenformer-gelu-l2", "gelu_l2_norm"),
    "tokenformer-softmax": lambda out: tokenformer(out, "tokenformer-softmax", "softmax"),
    "vit": vit, "deit": deit, "deit-teacher": functools.partial(deit, teacher=True), "tokenformer_vit": tokenformer_vit,
    "tokenformer_vit-softmax": lambda out: tokenformer_vit(out, "tokenformer_vit-softmax", "softmax"),
    "ops": ops,
}

def write(fixtures, text):
    """The command line of a script that writes fixtures."""
    parser = argparse.ArgumentParser(description=text, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", default=os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tests", "golden"))
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(fixtures))
    args = parser.parse_args()
    torch.set_num_threads(1)
    for name in args.names or fixtures:
        folder = os.path.join(args.out, name)
        os.makedirs(folder, exist_ok=True)
        fixtures[name](folder)
        print(name, sum(os.path.getsize(os.path.join(folder, f)) for f in os.listdir(folder)), "bytes")


if __name__ == "__main__":
    write(FIXTURES, __doc__)
