#!/usr/bin/env python3
"""Write the fixtures of the encoders: BERT and its relatives and ModernBERT by the Hugging Face code, MosaicBERT by its authors'.

    ENV/bin/pip install torch 'transformers==4.48.*' 'numpy<2' safetensors einops
    ENV/bin/python tools/golden_encoders.py --mosaic FOLDER [--out tests/golden] [NAME ...]

DistilBERT, MPNet, XLM-RoBERTa and CamemBERT were made with torch 2.15 and transformers 5.24.

FOLDER: examples/benchmarks/bert/src of github.com/mosaicml/examples (bert_layers.py and its neighbours).
tests/golden/README.md says what each fixture holds. Written like golden.py's, whose pieces are used here.
"""
import argparse, copy, os, sys
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import torch
import torch.nn.functional as F


def for_older_torch():
    """ModernBERT's code asks for what torch has since 2.1."""
    if hasattr(torch, "compile"):
        return
    torch.compile = lambda f=None, **options: f if f else (lambda g: g)
    class LayerNorm(torch.nn.LayerNorm):
        def __init__(self, shape, bias=True, **options):
            super().__init__(shape, **options)
            if not bias:
                self.register_parameter("bias", None)
    torch.nn.LayerNorm = LayerNorm


for_older_torch()
from golden import B, T, V, all_double, measure, parameters, save, source, write_json
LABELS, LENGTHS = 3, [9, 5, 1]


# ---------------------------------------------------------------- models and batches

def filled(classes, config, name):
    """One model a task, all with the same values of the same names; those values."""
    g, models, shapes = source(name), {}, {}
    for task, cls in classes.items():
        own = copy.deepcopy(config)
        if task == "span":
            own.num_labels = 2
        with all_double():
            models[task] = cls._from_config(own, attn_implementation="eager").eval()
        if hasattr(models[task], "lm_head"):        # comes last, so that what it is tied to has the embedding's name
            models[task]._modules["lm_head"] = models[task]._modules.pop("lm_head")
        shapes.update({n: p.shape for n, p in models[task].named_parameters()})
    values = parameters(dict(sorted(shapes.items())), g)
    for model in models.values():
        for n, p in model.named_parameters():
            p.data = values[n].clone()
        model.double()
    return g, models, values


def batch(g, pad):
    """No id is the padding's: its row of an embedding gets no gradient in PyTorch."""
    ids, targets = (torch.randint(0, V, (B, T), generator=g) for _ in range(2))
    padded = torch.randint(0, V, (len(LENGTHS), T), generator=g)
    ids[ids == pad], padded[padded == pad] = pad + 1, pad + 1
    mask = torch.tensor([[int(t < n) for t in range(T)] for n in LENGTHS])
    out = {"ids": ids, "targets": targets, "types": torch.randint(0, 2, (B, T), generator=g), "labels": torch.randint(0, LABELS, (B,), generator=g),
           "pairs": torch.randint(0, 2, (B,), generator=g), "kinds": torch.randint(0, LABELS, (B, T), generator=g),
           "padded.ids": torch.where(mask == 1, padded, torch.tensor(pad)), "padded.lengths": torch.tensor(LENGTHS)}
    return out, mask


def losses(task, outputs, b):
    ce = lambda x, y: F.cross_entropy(x.reshape(-1, x.shape[-1]), y.reshape(-1))
    if task == "pretrain":
        return {"logits": outputs.prediction_logits, "pair": outputs.seq_relationship_logits}, \
               ce(outputs.prediction_logits, b["targets"]) + ce(outputs.seq_relationship_logits, b["pairs"])
    if task == "span":
        return {"logits": torch.stack((outputs.start_logits, outputs.end_logits), -1)}, None
    return {"logits": outputs.logits}, ce(outputs.logits, b["labels"] if task == "classify" else b["kinds"])


def wanted(name, last):
    """Of the tasks beside the masked one: heads, embeddings, the last layer."""
    return "embeddings" in name or last in name or not any(p in name for p in ("layer.", "layers."))


def measure_task(task, model, b, types, last):
    extra = {"token_type_ids": b["types"]} if types else {}
    with all_double():
        tensors, loss = losses(task, model(b["ids"], attention_mask=torch.ones_like(b["ids"]), **extra), b)
    out = {f"{task}.{n}": t for n, t in tensors.items()}
    if loss is not None:
        loss.backward()
        out[f"{task}.loss"] = loss.reshape(1)
        out.update({f"{task}.grad.{n}": p.grad for n, p in model.named_parameters() if p.grad is not None and wanted(n, last)})
    return out


def library_encoder(out, name, config, classes, pad, types, prefix, last):
    """masked: as golden.py measures language models, without types; the other tasks, hidden states and a padded batch with them."""
    g, models, values = filled(classes, config, name)
    b, mask = batch(g, pad)
    masked = models.pop("masked")
    call = dict(token_type_ids=b["types"]) if types else {}
    with all_double():
        body = getattr(masked, prefix)
        hidden = body(b["ids"], attention_mask=torch.ones_like(b["ids"]), **call)[0].detach()
        padded = body(b["padded.ids"], attention_mask=mask)[0].detach() * mask[..., None]
        got = measure(lambda ids: masked(ids, attention_mask=torch.ones_like(ids)).logits, dict(masked.named_parameters()), b["ids"], b["targets"])
    got.update(b, **{"hidden": hidden, "padded.hidden": padded})
    for task, model in models.items():
        got.update(measure_task(task, model, b, types, last))
    config.architectures = [type(masked).__name__]
    config.to_json_file(os.path.join(out, "config.json"))
    save(os.path.join(out, "model.safetensors"), values)
    save(os.path.join(out, "golden.safetensors"), got)
    return values


# ---------------------------------------------------------------- BERT, RoBERTa

SIZES = dict(vocab_size=V, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=24, num_labels=LABELS, torch_dtype="float32")
UNDROPPED = dict(hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)


def bert_config():
    from transformers import BertConfig
    return BertConfig(**SIZES, **UNDROPPED, max_position_embeddings=24, type_vocab_size=2)


def bert(out):
    import transformers as t
    classes = {"masked": t.BertForMaskedLM, "pretrain": t.BertForPreTraining, "classify": t.BertForSequenceClassification,
               "tokens": t.BertForTokenClassification, "span": t.BertForQuestionAnswering}
    return library_encoder(out, "bert", bert_config(), classes, 0, True, "bert", "layer.1.")


def bert_old(out):
    """The same weights under the names of TensorFlow's time: gamma and beta, no prefix, the decoder written out, a buffer of positions."""
    from safetensors.torch import load_file
    whole = load_file(os.path.join(out, "..", "bert", "model.safetensors"))
    old = {}
    for n, x in whole.items():
        n = n.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta").replace("cls.predictions.bias", "cls.predictions.decoder.bias")
        old[n[5:] if n.startswith("bert.") else n] = x
    old["cls.predictions.decoder.weight"] = whole["bert.embeddings.word_embeddings.weight"].clone()
    old["embeddings.position_ids"] = torch.arange(24)[None]
    save(os.path.join(out, "model.safetensors"), old)
    config = bert_config()
    config.architectures = ["BertForMaskedLM"]
    config.to_json_file(os.path.join(out, "config.json"))


def roberta(out):
    import transformers as t
    classes = {"masked": t.RobertaForMaskedLM, "classify": t.RobertaForSequenceClassification,
               "tokens": t.RobertaForTokenClassification, "span": t.RobertaForQuestionAnswering}
    config = t.RobertaConfig(**SIZES, **UNDROPPED, max_position_embeddings=26, type_vocab_size=1, layer_norm_eps=1e-5)
    library_encoder(out, "roberta", config, classes, 1, False, "roberta", "layer.1.")


# ---------------------------------------------------------------- relatives

def all_classes(stem, **more):
    """The classes of one family, by task."""
    import transformers as t
    endings = dict(masked="ForMaskedLM", classify="ForSequenceClassification", tokens="ForTokenClassification", span="ForQuestionAnswering", **more)
    return {task: getattr(t, stem + ending) for task, ending in endings.items()}


def languages(out, name, stem):
    """RoBERTa's equations under their own names; an activation that the head does not take from hidden_act."""
    import transformers as t
    config = getattr(t, stem + "Config")(**SIZES, **UNDROPPED, max_position_embeddings=26, type_vocab_size=1, layer_norm_eps=1e-5, hidden_act="relu", pad_token_id=1)
    library_encoder(out, name, config, all_classes(stem), 1, False, "roberta", "layer.1.")


def distilbert(out):
    import transformers as t
    config = t.DistilBertConfig(vocab_size=V, dim=16, n_layers=2, n_heads=2, hidden_dim=24, max_position_embeddings=24, num_labels=LABELS, dropout=0.0,
                                attention_dropout=0.0, qa_dropout=0.0, seq_classif_dropout=0.0, dtype="float32")
    library_encoder(out, "distilbert", config, all_classes("DistilBert"), 0, False, "distilbert", "layer.1.")


def mpnet(out):
    """Beside the rest, the bucket of each distance."""
    import torch, transformers as t
    from transformers.models.mpnet.modeling_mpnet import MPNetEncoder
    config = t.MPNetConfig(**SIZES, **UNDROPPED, max_position_embeddings=26, layer_norm_eps=1e-5, hidden_act="relu")
    library_encoder(out, "mpnet", config, all_classes("MPNet"), 1, False, "mpnet", "layer.1.")
    path = os.path.join(out, "golden.safetensors")
    from safetensors.torch import load_file
    buckets = MPNetEncoder.relative_position_bucket(torch.arange(-600, 601))
    save(path, dict(load_file(path), buckets=buckets))


# ---------------------------------------------------------------- ModernBERT

def modernbert(out):
    """Four layers, of which 0 and 3 are global; the others see two tokens to each side. The mean of a sequence is classified."""
    import transformers as t
    classes = {"masked": t.ModernBertForMaskedLM, "classify": t.ModernBertForSequenceClassification, "tokens": t.ModernBertForTokenClassification}
    config = t.ModernBertConfig(**dict(SIZES, num_hidden_layers=4), max_position_embeddings=24, local_attention=4, global_attn_every_n_layers=3,
                                global_rope_theta=160.0, local_rope_theta=10.0, classifier_pooling="mean", pad_token_id=0, bos_token_id=1, eos_token_id=2,
                                cls_token_id=1, sep_token_id=2, reference_compile=False)
    library_encoder(out, "modernbert", config, classes, 0, False, "model", "layers.3.")


# ---------------------------------------------------------------- MosaicBERT

def mosaicbert(out):
    """Three heads, so that slopes of two powers of two meet; a pickle, as the authors publish it, under BERT's model_type."""
    import collections
    sys.path.insert(0, MOSAIC)
    sys.modules["flash_attn_triton"] = None         # without its kernel the authors' plain code runs
    import bert_layers
    from configuration_bert import BertConfig
    config = BertConfig(**dict(SIZES, hidden_size=18, num_attention_heads=3), max_position_embeddings=24, alibi_starting_size=4, **UNDROPPED)
    make = lambda cls: type(cls.__name__, (cls,), {"_from_config": classmethod(lambda c, config, **unused: c(config))})
    classes = {"masked": make(bert_layers.BertForMaskedLM), "classify": make(bert_layers.BertForSequenceClassification)}
    g, models, values = filled(classes, config, "mosaicbert")
    b, mask = batch(g, 0)
    masked, ones = models["masked"], torch.ones(B, T, dtype=torch.long)
    flat = lambda y, m: torch.zeros(*m.shape, y.shape[-1], dtype=y.dtype).masked_scatter(m[..., None] == 1, y) if y.dim() == 2 else y
    with all_double():
        hidden = flat(masked.bert(b["ids"], b["types"], ones)[0], ones).detach()
        padded = flat(masked.bert(b["padded.ids"], None, mask)[0], mask).detach() * mask[..., None]
        got = measure(lambda ids: flat(masked(ids, attention_mask=ones).logits, ones), dict(masked.named_parameters()), b["ids"], b["targets"])
    got.update(b, **{"hidden": hidden, "padded.hidden": padded})
    got.update(measure_task("classify", models["classify"], b, True, "layer.1."))
    heads = [bert_layers.BertEncoder(BertConfig(vocab_size=8, hidden_size=h, num_hidden_layers=1, num_attention_heads=h, intermediate_size=2, alibi_starting_size=2))
             for h in range(1, 65)]
    got["slopes"] = torch.cat([-e.alibi[0, :, 0, 1] for e in heads])
    save(os.path.join(out, "golden.safetensors"), got)
    torch.save(collections.OrderedDict((n, values[n].clone()) for n in sorted(values)), os.path.join(out, "pytorch_model.bin"), pickle_protocol=2)
    said = dict(config.to_dict(), architectures=["BertForMaskedLM"])
    write_json(os.path.join(out, "config.json"), {k: said[k] for k in ("architectures", "model_type", "position_embedding_type", "alibi_starting_size", "id2label", "label2id",
               *(k for k in SIZES if k in said), "max_position_embeddings", "type_vocab_size", "layer_norm_eps", *UNDROPPED, "pad_token_id")})


FIXTURES = {"bert": bert, "bert-old": bert_old, "roberta": roberta, "mosaicbert": mosaicbert, "modernbert": modernbert,
            "xlm-roberta": lambda out: languages(out, "xlm-roberta", "XLMRoberta"), "camembert": lambda out: languages(out, "camembert", "Camembert"),
            "distilbert": distilbert, "mpnet": mpnet}

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", default=os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tests", "golden"))
    parser.add_argument("--mosaic", metavar="FOLDER")
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(FIXTURES))
    args = parser.parse_args()
    MOSAIC = args.mosaic
    torch.set_num_threads(1)
    for name in args.names or FIXTURES:
        folder = os.path.join(args.out, name)
        os.makedirs(folder, exist_ok=True)
        FIXTURES[name](folder)
        print(name, sum(os.path.getsize(os.path.join(folder, f)) for f in os.listdir(folder)), "bytes")
