#!/usr/bin/env python3
"""Write tests/golden/text/spans.json: where in a text Hugging Face's tokenizers find each token, and in which word.

    python3 -m venv ENV && ENV/bin/pip install tokenizers
    ENV/bin/python tools/golden_spans.py TEXT

TEXT is any English text to learn two vocabularies from: BERT's (lower case, accents dropped) and RoBERTa's. The other
tokenizers are rows of components.json and words.json. Made with tokenizers 0.23; never needed to build or to test.
A case is [text, [[begin, end, word]...]], in characters; an added token has no word and no place here.
"""
import json, os, sys
from tokenizers import Tokenizer, decoders as D, models, normalizers as N, pre_tokenizers as P, processors, trainers

TEXTS = ["Hello, world!", "The Queen of Denmark lives in London.", "Caf\u00e9 \u00c9COLE na\u00efve \u00c5ngstr\u00f6m", "cafe\u0301 e\u0301te\u0301 a\u0308b", "  two  spaces   here ", "tab\tand\nnew line",
         "\u4f60\u597d\u4e16\u754c in Tokyo \u6771\u4eac", "Stra\u00dfe \u0130stanbul \ufb01ne \u2026 done", "emoji \U0001f600\U0001f468 end", "\ud55c\uad6d\uc5b4 na", "x", "re-entry (1999): $3.50, \"ok\"", "\u00bd \u2460 \uff21\uff22 wide", "\u00a0nbsp\u3000ideographic"]
GOLDEN = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tests", "golden", "text")


def cases(t):
    out = []
    for text in TEXTS:
        e = t.encode(text, add_special_tokens=False)
        out.append([text, [[a, b, w] for (a, b), w in zip(e.offsets, e.word_ids)]])
    return out


def assembled(row, models_of):
    """The same as tests/text_components.c assembles."""
    file = {k: v for k, v in row.items() if k not in ("cases", "name", "byte_fallback")}
    model = json.loads(json.dumps(models_of[row["model"]]))
    if row.get("byte_fallback"):
        if isinstance(model["vocab"], list): model["vocab"] += [["<0x%02X>" % i, -20.0] for i in range(256)]
    if model["type"] != "WordLevel": model["byte_fallback"] = row["byte_fallback"]
    file["model"] = model
    return Tokenizer.from_str(json.dumps(dict(version="1.0", truncation=None, padding=None, **file)))


def learned(lines):
    bert = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    bert.normalizer, bert.pre_tokenizer, bert.decoder = N.BertNormalizer(lowercase=True), P.BertPreTokenizer(), D.WordPiece()
    bert.train_from_iterator(lines, trainers.WordPieceTrainer(vocab_size=600, special_tokens=["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"], show_progress=False))
    roberta = Tokenizer(models.BPE())
    roberta.pre_tokenizer, roberta.decoder = P.ByteLevel(add_prefix_space=False), D.ByteLevel()
    roberta.train_from_iterator(lines, trainers.BpeTrainer(vocab_size=600, special_tokens=["<s>", "<pad>", "</s>", "<unk>", "<mask>"], initial_alphabet=P.ByteLevel.alphabet(), show_progress=False))
    roberta.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), trim_offsets=True, add_prefix_space=False)
    return [("BERT", bert), ("RoBERTa", roberta)]


def main():
    lines = open(sys.argv[1], encoding="utf-8").read()[:200000].splitlines()
    rows = [{"name": name, "tokenizer": json.loads(t.to_str()), "cases": cases(t)} for name, t in learned(lines)]
    for file in "components", "words":
        golden = json.load(open(os.path.join(GOLDEN, file + ".json"), encoding="utf-8"))
        rows += [{"name": row["name"], "file": file, "cases": cases(assembled(row, golden["models"]))} for row in golden["rows"] if row["name"] not in ("next", "previous")]
    with open(os.path.join(GOLDEN, "spans.json"), "w") as f:
        f.write("{\"rows\":[\n" + ",\n".join(json.dumps(r, separators=(",", ":")) for r in rows) + "\n]}\n")


main()
