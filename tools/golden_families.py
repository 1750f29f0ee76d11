#!/usr/bin/env python3
"""Write the fixtures of the families that share LLaMA's block, of GPT-Neo and of OPT into tests/golden, from transformers.

    python3 -m venv ENV && ENV/bin/pip install torch 'transformers>=5.20' safetensors
    ENV/bin/python tools/golden_families.py [--out tests/golden] [NAME ...]      (no NAME: all of them)

Made with torch 2.15 and transformers 5.24; never needed to build or to test. Parameters and inputs are drawn in
float32, everything after them is computed in float64 and rounded to float32 once, as in tools/golden.py, whose
pieces this uses.
"""
import functools, os
import torch, transformers
from safetensors.torch import load_file
from golden import V, all_double, batch, draw, measure, read_json, save, source, write, write_json

LONG = {"rope_type": "longrope", "rope_theta": 100.0, "short_factor": [1.0, 1.1, 1.3, 1.6], "long_factor": [1.0, 2.0, 4.0, 7.5], "original_max_position_embeddings": 16}
# name: (class, options beside the common ones, whether gradients and steps are kept)
FAMILIES = {
    "qwen3": ("Qwen3", dict(head_dim=8, tie_word_embeddings=True), True),
    "qwen3-window": ("Qwen3", dict(head_dim=4, use_sliding_window=True, sliding_window=3, max_window_layers=1), False),
    "llama-yarn": ("Llama", dict(head_dim=8, max_position_embeddings=128, rope_parameters={
        "rope_type": "yarn", "rope_theta": 100.0, "factor": 4.0, "original_max_position_embeddings": 32}), True),
    "smollm3": ("SmolLM3", dict(no_rope_layer_interval=2, tie_word_embeddings=True), False),
    "olmo2": ("Olmo2", dict(), True),
    "granite": ("Granite", dict(embedding_multiplier=3.0, residual_multiplier=0.4, attention_multiplier=0.3, logits_scaling=2.5), True),
    "phi3": ("Phi3", dict(partial_rotary_factor=0.5, num_attention_heads=2, num_key_value_heads=1), True),
    # Nine tokens are within the original context, or beyond it.
    "phi3-short": ("Phi3", dict(num_attention_heads=2, num_key_value_heads=1, max_position_embeddings=64, original_max_position_embeddings=16, rope_parameters=LONG | {"rope_theta": 50.0}), True),
    "phi3-long": ("Phi3", dict(num_attention_heads=2, num_key_value_heads=1, max_position_embeddings=64, original_max_position_embeddings=8,
                               rope_parameters=LONG | {"original_max_position_embeddings": 8}), False),
    "gemma": ("Gemma", dict(head_dim=4, hidden_act="gelu_pytorch_tanh"), False),
    "gemma3": ("Gemma3Text", dict(head_dim=4, query_pre_attn_scalar=6, sliding_window=3, num_hidden_layers=3,
                                  layer_types=["sliding_attention", "sliding_attention", "full_attention"], sliding_window_pattern=3), True),
    "gemma2": ("Gemma2", dict(head_dim=4, query_pre_attn_scalar=6, sliding_window=3, attn_logit_softcapping=0.7, final_logit_softcapping=1.5, num_hidden_layers=3,
                              layer_types=["sliding_attention", "full_attention", "sliding_attention"]), True),
    "llama-dynamic": ("Llama", dict(rope_parameters={"rope_type": "dynamic", "rope_theta": 100.0, "factor": 4.0}), False),
    "stablelm": ("StableLm", dict(use_qkv_bias=True, num_attention_heads=2, num_key_value_heads=1), False),
}
# The same of decoders with learned positions, whose keys are their own.
LEARNED = {
    "gpt_neo": ("GPTNeo", dict(num_layers=4, num_heads=2, intermediate_size=24, window_size=3, attention_types=[[["global", "local"], 2]]), True),
    "opt": ("OPT", dict(num_hidden_layers=2, num_attention_heads=2, ffn_dim=24, dropout=0.0, word_embed_proj_dim=16), True),
    "opt-narrow": ("OPT", dict(num_hidden_layers=2, num_attention_heads=2, ffn_dim=24, dropout=0.0, word_embed_proj_dim=10, do_layer_norm_before=False), True),
}
COMMON = dict(vocab_size=V, hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
              max_position_embeddings=32, bos_token_id=0, eos_token_id=0, pad_token_id=None)


def values(model, g):
    """As golden.parameters, but norms that multiply by 1 + w are drawn around 0."""
    shifted = type(model).__name__.startswith("Gemma")
    for n, p in model.named_parameters():
        norm = p.dim() == 1 and n.endswith("weight")
        std = 0.2 if p.dim() == 1 else 0.5 if "embed" in n or "wte" in n or "wpe" in n else 0.25
        p.data = draw(p.shape, g, std, 1.0 if norm and not shifted else 0.0)


def family(out, name):
    stem, more, train = {**FAMILIES, **LEARNED}[name]
    common = COMMON if name in FAMILIES else dict(vocab_size=V, hidden_size=16, max_position_embeddings=32, bos_token_id=0, eos_token_id=0, pad_token_id=None)
    config = getattr(transformers, stem + "Config")(**{**common, **more})
    cls = getattr(transformers, stem.replace("Gemma3Text", "Gemma3") + "ForCausalLM")
    with all_double():
        model = cls._from_config(config, attn_implementation="eager").eval()
    values(model, source(name))
    model.float().save_pretrained(out)
    if os.path.exists(os.path.join(out, "generation_config.json")):
        os.remove(os.path.join(out, "generation_config.json"))
    model.double()
    with all_double():
        got = measure(lambda ids: model(ids, use_cache=False).logits, dict(model.named_parameters()), *batch(source(name + " batch")), train)
    save(os.path.join(out, "golden.safetensors"), got)


def rewrite(out, config, tensors):
    """The files of a LLaMA as another family says the same model."""
    path = os.path.join(out, "config.json")
    said = read_json(path)
    said.update(config)
    write_json(path, {k: v for k, v in said.items() if v is not None or k not in config})
    weights = os.path.join(out, "model.safetensors")
    save(weights, tensors(load_file(weights)))


def openpangu(out):
    FAMILIES["openpangu"] = ("Llama", dict(attention_bias=True), False)
    family(out, "openpangu")
    rewrite(out, {"model_type": "PanguEmbedded", "architectures": ["PanguEmbeddedForCausalLM"], "attention_bias": None, "bias": True}, lambda t: t)


INTERN = {"embed_tokens": "tok_embeddings", "lm_head": "output", "input_layernorm": "attention_norm", "post_attention_layernorm": "ffn_norm", "self_attn.o_proj": "attention.wo",
          "mlp.gate_proj": "feed_forward.w1", "mlp.down_proj": "feed_forward.w2", "mlp.up_proj": "feed_forward.w3"}


def grouped(tensors):
    """InternLM2's names; rows (group, two heads of q, one of k, one of v) of four channels each."""
    out = {}
    for n, t in tensors.items():
        for ours, theirs in INTERN.items():
            n = n.replace(ours, theirs)
        out[n] = t
    for part in ("weight", "bias"):
        for layer in range(2):
            q, k, v = (out.pop(f"model.layers.{layer}.self_attn.{x}_proj.{part}") for x in "qkv")
            rows = lambda x, n: x.reshape(2, n, 4, -1)
            out[f"model.layers.{layer}.attention.wqkv.{part}"] = torch.cat((rows(q, 2), rows(k, 1), rows(v, 1)), 1).reshape(32, *q.shape[1:])
    return out


def internlm2(out):
    FAMILIES["internlm2"] = ("Llama", dict(attention_bias=True), False)
    family(out, "internlm2")
    rewrite(out, {"model_type": "internlm2", "architectures": ["InternLM2ForCausalLM"], "attention_bias": None, "mlp_bias": None, "bias": True}, grouped)


def phi3_long(out):
    """Its config.json asks for the factors of long texts, which transformers takes by the length."""
    family(out, "phi3-long")
    rewrite(out, {"lithe_long_context": True}, lambda t: t)


if __name__ == "__main__":
    write({name: functools.partial(family, name=name) for name in {**FAMILIES, **LEARNED}} | {"phi3-long": phi3_long, "openpangu": openpangu, "internlm2": internlm2}, __doc__)
