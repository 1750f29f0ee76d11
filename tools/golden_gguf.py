#!/usr/bin/env python3
"""Write the GGUF fixtures with ggml's own Python package, which shares no code with Lithe.

    python3 -m venv ENV && ENV/bin/pip install gguf numpy safetensors
    ENV/bin/python tools/golden_gguf.py

tests/fuzz/corpus/gguf/   every type of value, and tensors of several types
tests/golden/gguf/        the models of tests/golden, as llama.cpp's converter would write them: their results are those
                          of the folders they come from; NAME-q8_0.gguf: matrices as ggml's package quantises them,
                          NAME-q8_0-f32.gguf: what it makes of these again; a small tokenizer of each kind
"""
import json, os, re
import numpy as np
import gguf
from safetensors.numpy import load_file

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def writer(path, arch):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    return gguf.GGUFWriter(path, arch)


def finish(w):
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


def every_type(path):
    w = writer(path, "sampler")
    w.add_uint8("k.u8", 255), w.add_int8("k.i8", -1), w.add_uint16("k.u16", 65535), w.add_int16("k.i16", -2)
    w.add_uint32("k.u32", 2**32 - 1), w.add_int32("k.i32", -3), w.add_uint64("k.u64", 2**64 - 1), w.add_int64("k.i64", -4)
    w.add_float32("k.f32", 0.1), w.add_float64("k.f64", 0.1), w.add_bool("k.bool", True), w.add_string("k.string", "a b")
    w.add_array("k.texts", ["one", "", "three"]), w.add_array("k.numbers", [1, 2, 3]), w.add_array("k.reals", [0.5, 1.5])
    rows = np.linspace(-1, 1, 128, dtype=np.float32).reshape(4, 32)
    w.add_tensor("f32", rows), w.add_tensor("f16", rows.astype(np.float16))
    for kind in ("BF16", "Q8_0", "Q4_0"):
        kind = getattr(gguf.GGMLQuantizationType, kind)
        w.add_tensor(kind.name.lower(), gguf.quants.quantize(rows, kind), raw_dtype=kind)
    finish(w)


# ---------------------------------------------------------------- models

def adjacent(w, heads):
    """Rows of a head from pairs half a head apart to adjacent ones."""
    return w.reshape(heads, 2, w.shape[0] // heads // 2, *w.shape[1:]).swapaxes(1, 2).reshape(w.shape)


def llama(w, p, c):
    heads, kv = c["num_attention_heads"], c["num_key_value_heads"]
    w.add_context_length(c["max_position_embeddings"]), w.add_embedding_length(c["hidden_size"]), w.add_block_count(c["num_hidden_layers"])
    w.add_feed_forward_length(c["intermediate_size"]), w.add_head_count(heads), w.add_head_count_kv(kv), w.add_layer_norm_rms_eps(c["rms_norm_eps"])
    w.add_rope_freq_base(c["rope_theta"]), w.add_rope_dimension_count(c["head_dim"]), w.add_vocab_size(c["vocab_size"]), w.add_file_type(0)
    w.add_bos_token_id(1), w.add_eos_token_id(2)
    scaling = c.get("rope_scaling") or {}
    if scaling.get("rope_type") == "linear":
        w.add_rope_scaling_type(gguf.RopeScalingType.LINEAR), w.add_rope_scaling_factor(scaling["factor"])
    if scaling.get("rope_type") == "llama3":
        n, low, high, old = c["head_dim"] // 2, scaling["low_freq_factor"], scaling["high_freq_factor"], scaling["original_max_position_embeddings"]
        wave = 2 * np.pi * c["rope_theta"] ** (np.arange(n) / n)
        smooth = (old / wave - low) / (high - low)
        between = 1 / ((1 - smooth) / scaling["factor"] + smooth)
        yield "rope_freqs.weight", np.where(wave < old / high, 1, np.where(wave > old / low, scaling["factor"], between)).astype(np.float32)
    names = {"input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm", "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
             "self_attn.o_proj": "attn_output", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down"}
    for name, x in p.items():
        name = name.replace("model.embed_tokens", "token_embd").replace("model.norm", "output_norm").replace("lm_head", "output")
        name = name.replace("model.layers.", "blk.")
        for theirs, ours in names.items():
            name = name.replace(theirs, ours)
        if ".attn_q." in name or ".attn_k." in name:
            x = adjacent(x, heads if ".attn_q." in name else kv)
        yield name, x


def gpt2(w, p, c):
    w.add_context_length(c["n_positions"]), w.add_embedding_length(c["n_embd"]), w.add_block_count(c["n_layer"]), w.add_feed_forward_length(c.get("n_inner") or 4 * c["n_embd"])
    w.add_head_count(c["n_head"]), w.add_layer_norm_eps(c["layer_norm_epsilon"])
    for name, x in p.items():
        turned = re.search(r"(c_attn|c_proj|c_fc)\.weight", name)
        name = name.replace("transformer.", "").replace("wte", "token_embd").replace("wpe", "position_embd").replace("ln_f", "output_norm").replace("h.", "blk.", 1)
        for theirs, ours in (("ln_1", "attn_norm"), ("ln_2", "ffn_norm"), ("attn.c_attn", "attn_qkv"), ("attn.c_proj", "attn_output"), ("mlp.c_fc", "ffn_up"), ("mlp.c_proj", "ffn_down")):
            name = name.replace(theirs, ours)
        yield name, x.T if turned else x


def gptneox(w, p, c):
    heads, C = c["num_attention_heads"], c["hidden_size"]
    w.add_context_length(c["max_position_embeddings"]), w.add_embedding_length(C), w.add_block_count(c["num_hidden_layers"])
    w.add_feed_forward_length(c["intermediate_size"]), w.add_rope_dimension_count(int(c["rotary_pct"] * (C // heads))), w.add_head_count(heads)
    w.add_parallel_residual(c.get("use_parallel_residual", True)), w.add_layer_norm_eps(c["layer_norm_eps"])
    for name, x in p.items():
        if name.startswith("score"):
            continue
        if "query_key_value" in name:
            x = x.reshape(heads, 3, C // heads, *x.shape[1:]).swapaxes(0, 1).reshape(x.shape)
        name = name.replace("gpt_neox.embed_in", "token_embd").replace("gpt_neox.final_layer_norm", "output_norm").replace("embed_out", "output").replace("gpt_neox.layers.", "blk.")
        for theirs, ours in (("post_attention_layernorm", "ffn_norm"), ("input_layernorm", "attn_norm"), ("attention.query_key_value", "attn_qkv"), ("attention.dense", "attn_output"),
                             ("mlp.dense_h_to_4h", "ffn_up"), ("mlp.dense_4h_to_h", "ffn_down")):
            name = name.replace(theirs, ours)
        yield name, x


def bert(w, p, c):
    w.add_context_length(c["max_position_embeddings"]), w.add_embedding_length(c["hidden_size"]), w.add_block_count(c["num_hidden_layers"])
    w.add_feed_forward_length(c["intermediate_size"]), w.add_head_count(c["num_attention_heads"]), w.add_layer_norm_eps(c["layer_norm_eps"])
    w.add_causal_attention(False), w.add_pooling_type(gguf.PoolingType.CLS)
    w.add_classifier_output_labels(["no", "perhaps", "yes"])
    names = (("attention.output.LayerNorm", "attn_output_norm"), ("attention.self.query", "attn_q"), ("attention.self.key", "attn_k"), ("attention.self.value", "attn_v"),
             ("attention.output.dense", "attn_output"), ("intermediate.dense", "ffn_up"), ("output.LayerNorm", "layer_output_norm"), ("output.dense", "ffn_down"))
    for name, x in p.items():
        if name.startswith("cls") or name.startswith("qa_outputs"):
            continue
        name = name.replace("classifier", "cls.output").replace("bert.pooler.dense", "cls").replace("bert.embeddings.word_embeddings", "token_embd")
        name = name.replace("bert.embeddings.position_embeddings", "position_embd").replace("bert.embeddings.token_type_embeddings", "token_types")
        name = name.replace("bert.embeddings.LayerNorm", "token_embd_norm").replace("bert.encoder.layer.", "blk.")
        for theirs, ours in names if name.startswith("blk.") else ():
            name = name.replace(theirs, ours)
        yield name, x


def modern_bert(w, p, c):
    w.add_context_length(c["max_position_embeddings"]), w.add_embedding_length(c["hidden_size"]), w.add_block_count(c["num_hidden_layers"])
    w.add_feed_forward_length(c["intermediate_size"]), w.add_head_count(c["num_attention_heads"]), w.add_layer_norm_eps(c["norm_eps"]), w.add_causal_attention(False)
    w.add_sliding_window(c["local_attention"]), w.add_sliding_window_pattern(c["global_attn_every_n_layers"]), w.add_rope_freq_base(c["global_rope_theta"])
    w.add_rope_freq_base_swa(c["local_rope_theta"]), w.add_rope_scaling_type(gguf.RopeScalingType.NONE), w.add_vocab_size(c["vocab_size"])
    w.add_pooling_type(gguf.PoolingType.MEAN), w.add_string("modern-bert.hidden_activation", "gelu")
    for name, x in p.items():
        if name.startswith("decoder"):
            continue
        name = name.replace("classifier", "cls.output").replace("head.dense", "cls").replace("head.norm", "cls.norm").replace("model.embeddings.tok_embeddings", "token_embd")
        name = name.replace("model.embeddings.norm", "token_embd_norm").replace("model.final_norm", "output_norm").replace("model.layers.", "blk.")
        for theirs, ours in (("attn.Wqkv", "attn_qkv"), ("attn.Wo", "attn_output"), ("mlp_norm", "ffn_norm"), ("mlp.Wi", "ffn_up"), ("mlp.Wo", "ffn_down")):
            name = name.replace(theirs, ours)
        yield name, x


def rwkv_names(name):
    name = name.replace("emb.", "token_embd.").replace("blocks.0.ln0", "token_embd_norm").replace("ln_out", "output_norm").replace("head.", "output.").replace("blocks.", "blk.")
    name = name.replace("ln1", "attn_norm").replace("ln2", "attn_norm_2").replace("att.ln_x", "time_mix_ln")
    return re.sub(r"(att|ffn)\.(key|value|receptance|gate|output)\.", lambda m: {"att": "time_mix_", "ffn": "channel_mix_"}[m[1]] + m[2] + ".", name)


def rwkv_sizes(w, c):
    w.add_context_length(1048576), w.add_embedding_length(c["hidden_size"]), w.add_block_count(c["num_hidden_layers"]), w.add_layer_norm_eps(1e-5)
    w.add_wkv_head_size(8), w.add_feed_forward_length(c["intermediate_size"]), w.add_head_count(0)


def rwkv6(w, p, c, rescale=1):
    rwkv_sizes(w, c)
    w.add_rescale_every_n_layers(rescale), w.add_time_mix_extra_dim(c["time_mix_extra_dim"]), w.add_time_decay_extra_dim(c["time_decay_extra_dim"])
    for l in range(c["num_hidden_layers"]):
        mixes = [p.pop(f"blocks.{l}.att.time_maa_{i}").reshape(1, 1, -1) for i in "wkvrg"]
        yield f"blk.{l}.time_mix_lerp_fused.weight", np.stack(mixes)
    for name, x in p.items():
        layer = int(name.split(".")[1]) if name.startswith("blocks") else 0
        if name.endswith(("att.output.weight", "ffn.value.weight")):
            x = x / 2 ** (layer // rescale)
        name = rwkv_names(name)
        m = re.match(r"(blk\.\d+)\.(att|ffn)\.(.*)", name)
        if m:
            kind = {"att": "time_mix_", "ffn": "channel_mix_"}[m[2]]
            rest = {"time_maa_x": "lerp_x", "time_maa_k": "lerp_k", "time_maa_r": "lerp_r", "time_maa_w1": "w1", "time_maa_w2": "w2", "time_decay": "decay",
                    "time_decay_w1": "decay_w1", "time_decay_w2": "decay_w2", "time_faaaa": "first"}[m[3]]
            name = f"{m[1]}.{kind}{rest}.weight"
            x = x.swapaxes(-1, -2) if rest in ("w1", "w2", "decay_w1", "decay_w2") else x if rest == "first" else x.reshape(-1)
        yield name, x


def rwkv7(w, p, c):
    rwkv_sizes(w, c)
    w.add_decay_lora_rank(c["decay_low_rank_dim"]), w.add_iclr_lora_rank(c["a_low_rank_dim"])
    w.add_value_residual_mix_lora_rank(c["v_low_rank_dim"]), w.add_gate_lora_rank(c["gate_low_rank_dim"])
    for l in range(c["num_hidden_layers"]):
        yield f"blk.{l}.time_mix_lerp_fused.weight", np.stack([p.pop(f"blocks.{l}.att.x_{i}") for i in "rwkvag"])
    for name, x in p.items():
        name = rwkv_names(name)
        m = re.match(r"(blk\.\d+)\.(att|ffn)\.(.*)", name)
        if m:
            name = f"{m[1]}.channel_mix_lerp_k.weight" if m[2] == "ffn" else f"{m[1]}.time_mix_{m[3]}.weight"
            x = x.T if re.fullmatch("[wavg][12]", m[3]) else x.reshape(-1)
            if m[1] == "blk.0" and m[3] in ("a0", "a1", "a2"):
                yield name.replace("time_mix_a", "time_mix_v"), x
        yield name, x


MODELS = {"llama": ("llama", llama), "llama-scaled": ("llama", llama), "llama-linear": ("llama", llama), "gpt2": ("gpt2", gpt2), "gpt_neox": ("gptneox", gptneox),
          "bert": ("bert", bert), "modernbert": ("modern-bert", modern_bert), "rwkv6": ("rwkv6", rwkv6), "rwkv7": ("rwkv7", rwkv7)}


def model(name, kind=np.float32):
    arch, tensors = MODELS[name]
    w = writer(f"{ROOT}/tests/golden/gguf/{name}.gguf", arch)
    config = json.load(open(f"{ROOT}/tests/golden/{name}/config.json"))
    for tensor, x in tensors(w, dict(load_file(f"{ROOT}/tests/golden/{name}/model.safetensors")), config):
        w.add_tensor(tensor, np.ascontiguousarray(x, dtype=kind))
    finish(w)


def quantised(name, kind):
    """LLaMA of rows of 32 numbers, its matrices in blocks; and what these blocks are."""
    rng = np.random.default_rng(7)
    c = {"hidden_size": 64, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 16, "intermediate_size": 96, "num_hidden_layers": 1, "max_position_embeddings": 32,
         "vocab_size": 61, "rms_norm_eps": 1e-5, "rope_theta": 10000.0}
    shapes = {"model.embed_tokens": (61, 64), "model.norm": (64,), "model.layers.0.input_layernorm": (64,), "model.layers.0.post_attention_layernorm": (64,),
              "model.layers.0.self_attn.q_proj": (64, 64), "model.layers.0.self_attn.k_proj": (32, 64), "model.layers.0.self_attn.v_proj": (32, 64),
              "model.layers.0.self_attn.o_proj": (64, 64), "model.layers.0.mlp.gate_proj": (96, 64), "model.layers.0.mlp.up_proj": (96, 64), "model.layers.0.mlp.down_proj": (64, 96)}
    p = {n + ".weight": (rng.standard_normal(s) * (0.5 if len(s) > 1 else 0.1) + (len(s) == 1)).astype(np.float32) for n, s in shapes.items()}
    for plain in False, True:
        w = writer(f"{ROOT}/tests/golden/gguf/{name}{'-f32' if plain else ''}.gguf", "llama")
        for tensor, x in llama(w, p, c):
            blocks = gguf.quants.quantize(x, kind) if x.ndim > 1 else None
            if blocks is None:
                w.add_tensor(tensor, x)
            elif plain:
                w.add_tensor(tensor, gguf.quants.dequantize(blocks, kind).astype(np.float32))
            else:
                w.add_tensor(tensor, blocks, raw_dtype=kind)
        finish(w)


# ---------------------------------------------------------------- tokenizers

T = gguf.TokenType


def tokenizer(name, model, tokens, scores=None, **more):
    w = writer(f"{ROOT}/tests/golden/gguf/{name}.gguf", "llama")
    w.add_context_length(32), w.add_embedding_length(32), w.add_block_count(1), w.add_feed_forward_length(32), w.add_head_count(1), w.add_layer_norm_rms_eps(1e-5)
    w.add_tokenizer_model(model)
    w.add_token_list([t for t, _ in tokens]), w.add_token_types([k for _, k in tokens])
    if scores:
        w.add_token_scores(scores)
    for key, value in more.items():
        getattr(w, "add_" + key)(value)
    w.add_tensor("none", np.zeros(1, np.float32))                       # llama.cpp's tools refuse files without a tensor
    finish(w)


def alphabet():
    """GPT-2's characters for bytes."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    rest = [b for b in range(256) if b not in plain]
    return {**{b: chr(b) for b in plain}, **{b: chr(256 + i) for i, b in enumerate(rest)}}


def tokenizers():
    letters = [alphabet()[b] for b in range(256)]
    bpe = [(t, T.NORMAL) for t in [*letters, "he", "ll", "hell", "hello", "\u0120hello", "12"]]
    bpe += [("<|end|>", T.CONTROL), ("<tool>", T.USER_DEFINED), ("[PAD264]", T.UNUSED)]
    merges = ["h e", "l l", "he ll", "hell o", "\u0120 hello", "1 2"]
    tokenizer("tokenizer-gpt2", "gpt2", bpe, tokenizer_pre="gpt-2", token_merges=merges, eos_token_id=262, bos_token_id=262, add_bos_token=True, chat_template="{{ messages }}")
    tokenizer("tokenizer-smollm", "gpt2", bpe, tokenizer_pre="smollm", token_merges=merges, eos_token_id=262)
    tokenizer("tokenizer-unknown", "gpt2", bpe, tokenizer_pre="nobodys", token_merges=merges)
    pieces = [("<unk>", T.UNKNOWN), ("<s>", T.CONTROL), ("</s>", T.CONTROL), *[(f"<0x{b:02X}>", T.BYTE) for b in range(256)]]
    pieces += [(t, T.NORMAL) for t in ["\u2581", "h", "e", "l", "o", "he", "ll", "hell", "hello", "\u2581hello"]] + [("<|user|>", T.USER_DEFINED)]
    scores = [0.0] * 259 + [-20.0, -21.0, -22.0, -23.0, -24.0, -1.0, -2.0, -3.0, -4.0, -5.0, 0.0]
    tokenizer("tokenizer-llama", "llama", pieces, scores, bos_token_id=1, eos_token_id=2, unk_token_id=0)
    words = [("[PAD]", T.CONTROL), ("[UNK]", T.CONTROL), ("[CLS]", T.CONTROL), ("[SEP]", T.CONTROL), ("[MASK]", T.CONTROL)]
    words += [(t, T.NORMAL) for t in ["\u2581hello", "\u2581h", "ello", "\u2581,", "s"]]
    tokenizer("tokenizer-bert", "bert", words, unk_token_id=1, bos_token_id=2, sep_token_id=3, mask_token_id=4, pad_token_id=0)
    sums = [("<pad>", T.CONTROL), ("</s>", T.CONTROL), ("<unk>", T.UNKNOWN)] + [(t, T.NORMAL) for t in ["\u2581", "\u2581hello", "\u2581he", "llo", "h", "e", "l", "o"]]
    tokenizer("tokenizer-t5", "t5", sums, [0.0, 0.0, 0.0, -3.0, -4.0, -2.0, -1.5, -6.0, -6.0, -6.0, -6.0], eos_token_id=1, unk_token_id=2, pad_token_id=0)
    world = [("<s>", T.CONTROL)] + [(repr(bytes([b]))[2:-1], T.NORMAL) for b in range(256)]
    world += [(repr(t)[2:-1], T.NORMAL) for t in (b"he", b"hello", b" hello", b"'s\n", "\u00e9".encode())] + [("[PAD262]", T.UNUSED)]
    tokenizer("tokenizer-rwkv", "rwkv", world)


if __name__ == "__main__":
    every_type(f"{ROOT}/tests/fuzz/corpus/gguf/types.gguf")
    for name in MODELS:
        model(name)
    quantised("llama-q8_0", gguf.GGMLQuantizationType.Q8_0)
    tokenizers()
