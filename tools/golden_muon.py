#!/usr/bin/env python3
"""Write tests/golden/NAME/muon.safetensors: steps of PyTorch's Muon, with AdamW for the rest, on the golden batches.

    ENV/bin/python tools/golden_muon.py [--out tests/golden]        (torch 2.9 or newer, transformers, safetensors)

`muon3.PARAMETER` is the parameter after three steps, all arithmetic in float64: PyTorch's own source of Muon with its
bfloat16 read as float64. `published1.PARAMETER` is an inner matrix after one step of Muon as it is published, which
orthogonalises in bfloat16. Matrices: those of the layers. lr 1e-2, momentum 0.95, decay 0.1, and for AdamW betas 0.9 and
0.95, eps 1e-6, decay 0.1 where the rank is 2 or more.
"""
import argparse, inspect, os, types
import torch
import torch.optim._muon
import golden as G
from safetensors.torch import load_file

KINDS = {"gpt2": "GPT2LMHeadModel", "llama": "LlamaForCausalLM"}


def muon_in_double():
    source = inspect.getsource(torch.optim._muon).replace("torch.bfloat16", "torch.float64")
    module = types.ModuleType("torch.optim.muon_in_double")
    module.__package__ = "torch.optim"
    exec(compile(source, "muon_in_double", "exec"), module.__dict__)
    return module.Muon


def train(folder, kind, muon, steps):
    import transformers
    with G.all_double():
        model = getattr(transformers, kind)._from_config(transformers.AutoConfig.from_pretrained(folder), attn_implementation="eager").eval()
    missing = model.load_state_dict(load_file(os.path.join(folder, "model.safetensors")), strict=False)[0]
    assert set(missing) <= {"lm_head.weight"}, missing
    model.double()
    asked = load_file(os.path.join(folder, "golden.safetensors"))
    params = dict(model.named_parameters())
    inner = {n: p for n, p in params.items() if p.dim() == 2 and (".h." in n or ".layers." in n)}
    others = {n: p for n, p in params.items() if n not in inner}
    both = [muon(list(inner.values()), lr=1e-2, momentum=0.95, weight_decay=0.1, adjust_lr_fn="match_rms_adamw"),
            torch.optim.AdamW([{"params": [p for p in others.values() if p.dim() >= 2], "weight_decay": 0.1},
                               {"params": [p for p in others.values() if p.dim() < 2], "weight_decay": 0.0}], lr=1e-2, betas=(0.9, 0.95), eps=1e-6)]
    for _ in range(steps):
        for o in both:
            o.zero_grad()
        with G.all_double():
            logits = model(asked["ids"], use_cache=False).logits
        torch.nn.functional.cross_entropy(logits.reshape(-1, logits.shape[-1]), asked["targets"].reshape(-1)).backward()
        for o in both:
            o.step()
    return params, inner


def main():
    at = argparse.ArgumentParser()
    at.add_argument("--out", default=os.path.join(os.path.dirname(__file__), "..", "tests", "golden"))
    out = at.parse_args().out
    for name, kind in KINDS.items():
        folder = os.path.join(out, name)
        got = {"muon3." + n: p for n, p in train(folder, kind, muon_in_double(), 3)[0].items()}
        got.update({"published1." + n: p for n, p in train(folder, kind, torch.optim.Muon, 1)[1].items()})
        G.save(os.path.join(folder, "muon.safetensors"), got)


if __name__ == "__main__":
    main()
