#!/usr/bin/env python3
"""Compare `lithe logits` with the authors' code in float64 on encoders of full size and random weights.

    ENV/bin/python tools/check_encoders.py --mosaic FOLDER [--lithe build/lithe] [--std 0.02] [NAME ...]

The environment and FOLDER are golden_encoders.py's. Weights are N(0, std^2), biases too, norms around 1; 48 random tokens.
Prints parameters and the largest difference of a logit, and fails above 2e-5 (with --std 0.05, where such networks are
chaotic, above 5e-4). Needs some 3 GB of memory and of disk.
"""
import argparse, json, os, subprocess, sys, tempfile
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from golden_encoders import all_double, save, torch
TOKENS = 48


def bert():
    import transformers as t
    return t.BertForMaskedLM, t.BertConfig()


def roberta():
    import transformers as t
    return t.RobertaForMaskedLM, t.RobertaConfig(max_position_embeddings=514, type_vocab_size=1, layer_norm_eps=1e-5)


def modernbert():
    import transformers as t
    return t.ModernBertForMaskedLM, t.ModernBertConfig(reference_compile=False)


def mosaicbert():
    sys.path.insert(0, MOSAIC)
    sys.modules["flash_attn_triton"] = None
    import bert_layers
    from configuration_bert import BertConfig
    return bert_layers.BertForMaskedLM, BertConfig(vocab_size=30528, alibi_starting_size=512, attention_probs_dropout_prob=0.0)


def check(name, lithe, std, folder):
    cls, config = NAMES[name]()
    with all_double():
        model = cls._from_config(config, attn_implementation="eager") if hasattr(cls, "_from_config") and name != "mosaicbert" else cls(config)
    model = model.eval().float()
    g = torch.Generator().manual_seed(1)
    for n, p in model.named_parameters():
        p.data = torch.randn(p.shape, generator=g) * std + float(p.dim() == 1 and n.endswith("weight"))
    count = sum(p.numel() for p in model.parameters())
    save(os.path.join(folder, "model.safetensors"), dict(model.named_parameters()))
    config.architectures = [cls.__name__]
    json.dump(config.to_dict(), open(os.path.join(folder, "config.json"), "w"))
    ids = torch.randint(2, 30000, (1, TOKENS), generator=g)
    out = os.path.join(folder, "logits.safetensors")
    subprocess.run([lithe, "logits", folder, "--ids", " ".join(map(str, ids[0].tolist())), "--out", out], check=True)
    from safetensors.torch import load_file
    model.double()
    with all_double(), torch.no_grad():
        expected = model(ids, attention_mask=torch.ones_like(ids)).logits.reshape(TOKENS, -1)
    found = load_file(out)["logits"].double()
    worst = float((found - expected).abs().max())
    print(f"{name}: {count:,} parameters, std {std}: a logit differs by at most {worst:.3g} (rms of logits {float(expected.pow(2).mean().sqrt()):.3g})", flush=True)
    return worst


NAMES = {"bert": bert, "roberta": roberta, "mosaicbert": mosaicbert, "modernbert": modernbert}

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lithe", default="build/lithe")
    parser.add_argument("--mosaic", metavar="FOLDER")
    parser.add_argument("--std", type=float, default=0.02)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(NAMES))
    args = parser.parse_args()
    MOSAIC, bound, worst = args.mosaic, 2e-5 if args.std <= 0.02 else 5e-4, 0.0
    for name in args.names or NAMES:
        with tempfile.TemporaryDirectory() as folder:
            worst = max(worst, check(name, args.lithe, args.std, folder))
    sys.exit(worst > bound)
