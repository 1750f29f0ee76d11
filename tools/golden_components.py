#!/usr/bin/env python3
"""Write tests/golden/text/components.json: what Hugging Face's tokenizers make of texts, component by component.

    python3 -m venv ENV && ENV/bin/pip install tokenizers sentencepiece
    ENV/bin/python tools/golden_components.py TEXT

TEXT is any English text to learn two vocabularies from. Made with tokenizers 0.23.3 and sentencepiece 0.2.3; never
needed to build or to test. The file has the models, and rows: the parts of a tokenizer.json around one of them, with
cases [text, ids, ids with special tokens, decoded]; the texts hold what normalizers and pre_tokenizers are about.
"""
import base64, io, json, os, random, sys, tempfile
import sentencepiece
from tokenizers import AddedToken, Regex, Tokenizer, decoders as D, models, normalizers as N, pre_tokenizers as P, processors, trainers

SPECIAL = ["<s>", "<pad>", "</s>", "<unk>"]
BYTES = ["<0x%02X>" % i for i in range(256)]
RULES = [("\u3000", " "), ("\ufb01", "fi"), ("\u200d", ""), ("e\u0301", "\u00e9"), ("a\u0308", "\u00e4"), ("\t", " "), ("\n", " "), ("\u2026", "..."), ("\uff21", "A"),
         ("\u1100\u1161", "\uac00"), ("\u0915", "k"), ("\u1f468", "man")]
LETTERS = "\u00e9\u00e4\u00dfk\u4f60\u597d"


def charsmap():
    """A map of characters as SentencePiece compiles it from RULES, out of the model file."""
    with tempfile.TemporaryDirectory() as d:
        with open(d + "/rules.tsv", "w") as f:
            f.writelines(" ".join("%X" % ord(c) for c in a) + "\t" + " ".join("%X" % ord(c) for c in b) + "\n" for a, b in RULES)
        model = io.BytesIO()
        sentencepiece.SentencePieceTrainer.train(sentence_iterator=iter(["ab ba"] * 20), model_writer=model, vocab_size=9, hard_vocab_limit=False,
                                                 normalization_rule_tsv=d + "/rules.tsv", minloglevel=2)
        for number, value in fields(model.getvalue()):
            for inner, blob in fields(value) if number == 3 else ():
                if inner == 2: return blob


def fields(data):
    at = 0

    def varint():
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128: return value

    while at < len(data):
        key = varint()
        if key & 7 == 0: value = varint()
        else:
            length = varint() if key & 7 == 2 else 4
            value = data[at:at + length]
            at += length
        yield key >> 3, value


def unigram(lines):
    t = Tokenizer(models.Unigram())
    t.pre_tokenizer = P.Metaspace()
    t.train_from_iterator(lines, trainers.UnigramTrainer(vocab_size=300, special_tokens=SPECIAL, unk_token="<unk>", initial_alphabet=list(LETTERS), show_progress=False))
    return json.loads(t.to_str())["model"]


def bpe(lines):
    t = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True))
    t.pre_tokenizer = P.Metaspace()
    t.train_from_iterator(lines, trainers.BpeTrainer(vocab_size=500, special_tokens=SPECIAL + BYTES, initial_alphabet=list(LETTERS), show_progress=False))
    return json.loads(t.to_str())["model"]


def llama(): return D.Sequence([D.Replace("\u2581", " "), D.ByteFallback(), D.Fuse(), D.Strip(" ", 1, 0)])


def rows(blob):
    spaces = N.Replace(Regex(" {2,}"), " ")
    return [  # name, model, byte_fallback, normalizer, pre_tokenizer, decoder
        ("XLM-R", "unigram", False, N.Sequence([N.Precompiled(blob), spaces]), P.Sequence([P.WhitespaceSplit(), P.Metaspace()]), D.Metaspace()),
        ("bge-m3", "unigram", False, N.Sequence([N.Precompiled(blob), spaces]), P.Metaspace(), D.Metaspace()),
        ("T5", "unigram", False, N.Sequence([N.Precompiled(blob), N.Strip(left=False), N.Replace(Regex(" {2,}"), "\u2581")]), P.Metaspace(), D.Metaspace()),
        ("ALBERT", "unigram", False, N.Sequence([N.Replace("``", '"'), N.NFKD(), N.StripAccents(), N.Lowercase(), N.Precompiled(blob)]), P.Metaspace(), D.Metaspace()),
        ("DeBERTa", "unigram", False, N.Sequence([N.Strip(), N.Nmt(), N.NFKC()]), P.Sequence([P.Punctuation(), P.Metaspace()]), D.Metaspace()),
        ("bytes", "unigram", True, None, P.Metaspace(), D.Sequence([D.ByteFallback(), D.Metaspace()])),
        ("never", "unigram", False, N.Strip(right=False), P.Metaspace(prepend_scheme="never", split=False), D.Metaspace(prepend_scheme="never")),
        ("no decoder", "unigram", False, None, P.WhitespaceSplit(), None),
        ("Llama", "bpe", True, N.Sequence([N.Prepend("\u2581"), N.Replace(" ", "\u2581")]), None, llama()),
        ("Llama, newer", "bpe", True, None, P.Metaspace(prepend_scheme="first", split=False), llama()),
        ("Gemma", "bpe", True, N.Replace(" ", "\u2581"), P.Split(" ", "merged_with_previous"), D.Sequence([D.Replace("\u2581", " "), D.ByteFallback(), D.Fuse()])),
        ("first of words", "bpe", False, None, P.Sequence([P.WhitespaceSplit(), P.Metaspace(prepend_scheme="first")]), D.Metaspace(prepend_scheme="first")),
        ("Whitespace", "bpe", False, N.StripAccents(), P.Whitespace(), None),
        ("isolated", "bpe", False, None, P.Punctuation("isolated"), None), ("removed", "bpe", False, None, P.Punctuation("removed"), None),
        ("previous", "bpe", False, N.Replace(Regex("[aeiou]+$"), "<>"), P.Punctuation("merged_with_previous"), None),
        ("next", "bpe", False, N.Replace(Regex("x*"), "."), P.Punctuation("merged_with_next"), None),
        ("contiguous", "bpe", False, None, P.Sequence([P.CharDelimiterSplit("-"), P.Punctuation("contiguous")]), None)]


FIXED = ["", " ", "Hello, world!", "  two  spaces ", "e\u0301te\u0301 a\u0308\u0308 \ufb01n\u0301", "\u3000a\u200db\u200cc\u2026", "<s>a</s> <mask>  b <extra>  c", "<0x41>\u4f60\u4e00\x00", "``x'' (y)-[z]...", "x\u00b2y \u00bd\u2014q",
         "\uff21\u0301\U0001f468\u200d\U0001f469 \u1100\u1161\u11a8 \u0915\u094d\u0915", "\u2581\u2581a \u2581b", "aei axxxb\r\nou"]
PARTS = list("abcdefghijklmnopqrstuvwxyz") + ["the", "of", "and", " ", " ", " ", " ", "  ", "\n", "\t", ".", ",", "!?", "-", "'s", "<mask>", " <extra> ", "</s>", "\u0301", "\u0308", "\u200d", "\u200c", "\u00e9", "\u00c5",
         "\ufb01", "\u3000", "\u2581", "\u4f60", "\u4e00", "\u0903", "\u20dd", "\x7f", "\ufeff", "\U0001f468", "\ufe0f", "\u00a0", "\u1100\u1161", "\u2026", "\uff21", "xx"]


def texts(seed):
    r = random.Random(seed)
    return FIXED + ["".join(r.choice(PARTS) for _ in range(r.randint(3, 16))) for _ in range(16)]


def main():
    lines = open(sys.argv[1]).read().splitlines()[:400]
    made = {"unigram": unigram(lines), "bpe": bpe(lines)}
    made["unigram_bytes"] = dict(made["unigram"], byte_fallback=True, vocab=made["unigram"]["vocab"] + [[b, -20.0] for b in BYTES])
    made["bpe_bytes"] = dict(made["bpe"], byte_fallback=True)
    out = {"models": {"unigram": made["unigram"], "bpe": made["bpe"]}, "rows": []}
    for name, model, fallback, normalizer, pre, decoder in rows(charsmap()):
        t = Tokenizer.from_str(json.dumps({"version": "1.0", "added_tokens": [], "model": made[model + "_bytes" * fallback]}))
        if normalizer: t.normalizer = normalizer
        if pre: t.pre_tokenizer = pre
        if decoder: t.decoder = decoder
        t.add_special_tokens(SPECIAL + [AddedToken("<mask>", lstrip=True)])
        t.add_tokens([AddedToken("<extra>", rstrip=True, normalized=False)])
        t.post_processor = processors.TemplateProcessing(single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=[(s, t.token_to_id(s)) for s in ("<s>", "</s>")])
        parts = json.loads(t.to_str())
        row = {"name": name, "model": model, "byte_fallback": fallback, **{k: parts[k] for k in ("normalizer", "pre_tokenizer", "decoder", "post_processor", "added_tokens")}, "cases": []}
        for text in texts(name):
            ids = t.encode(text, add_special_tokens=False).ids
            inner = [i for i in ids if i not in (t.token_to_id("<s>"), t.token_to_id("</s>"))]
            row["cases"].append([text, ids, t.encode(text).ids, t.decode(inner, skip_special_tokens=False)])
        out["rows"].append(row)
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tests", "golden", "text", "components.json")
    with open(path, "w") as f:
        f.write('{"models": ' + json.dumps(out["models"]) + ',\n "rows": [\n' + ",\n".join(json.dumps(r) for r in out["rows"]) + "\n]}\n")


if __name__ == "__main__":
    main()
