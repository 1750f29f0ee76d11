#!/usr/bin/env python3
"""Write tests/golden/text/bert.json: what Hugging Face's tokenizers make of every character.

    ENV/bin/python tools/golden_text.py UnicodeData.txt DATA > tests/golden/text/bert.json

UnicodeData.txt is that of Unicode 8.0, DATA the folder with tokenizers/bert-base-uncased, bert-base-chinese,
gpt2 and roberta-base and with lm/tinyshakespeare. Made with tokenizers 0.20; never needed to build or to test. Only hashes are kept (FNV-1a, 64 bits):

assigned    code points of Unicode 8.0 without surrogates, as runs: how many are left out, how many follow
characters  per 4096 of them in order: the words of a?b, each ended by a zero byte, by BERT's normalizer
            (uncased, then cased) and pre-tokenizer
strings     per 500 made strings: the ids, as 4 bytes each, little-endian, and -1 after each string
learned     of 3000 tokens learned from Shakespeare: the tokens in order of their bytes, each ended by a zero byte.
            Their WordPiece trainer breaks ties by the order of a hash table: every outcome of twelve runs is kept
"""
import json, sys
from tokenizers import AddedToken, BertWordPieceTokenizer, ByteLevelBPETokenizer, Tokenizer, models, normalizers, pre_tokenizers

MASK = (1 << 64) - 1
BLOCK, STRINGS, PART = 4096, 10000, 500


def mix(x):
    x = (x + 0x9e3779b97f4a7c15) & MASK
    x = ((x ^ (x >> 30)) * 0xbf58476d1ce4e5b9) & MASK
    x = ((x ^ (x >> 27)) * 0x94d049bb133111eb) & MASK
    return x ^ (x >> 31)


def draw(key, counter):
    return mix((key + counter * 0xd1342543de82ef95) & MASK)


def fnv(data, h=0xcbf29ce484222325):
    for b in data:
        h = ((h ^ b) * 0x100000001b3) & MASK
    return h


def assigned(path):
    points, first = [], None
    for line in open(path):
        field = line.split(";")
        code = int(field[0], 16)
        if field[1].endswith("First>"):
            first = code
            continue
        if field[2] != "Cs":
            points += range(code if first is None else first, code + 1)
        first = None
    return points


def runs(points):
    flat, end = [], 0
    for p in points:
        if flat and p == end:
            flat[-1] += 1
        else:
            flat += [p - end, 1]
        end = p + 1
    return flat


def made(points, k):
    """The k-th string: characters of all kinds, tests/text_golden.c makes the same."""
    parts = []
    for i in range(1 + draw(k, 0) % 40):
        r, kind = draw(k, 2 * i + 1), draw(k, 2 * i + 2) % 16
        if kind < 6: c = chr(97 + r % 26)
        elif kind < 8: c = chr(32 + r % 95)
        elif kind < 10: c = " "
        elif kind == 10: c = chr(0x300 + r % 112)
        elif kind == 11: c = chr(0x4e00 + r % 0x5000)
        elif kind == 12: c = ("[MASK]", "[SEP]", "<mask>", "'s", "##", "...", "\u2019t", "\u00e9")[r % 8]
        else: c = chr(points[r % len(points)])
        parts.append(c)
    return "".join(parts)


def tokenizers(data):
    vocab = json.load(open(data + "/roberta-base/vocab.json"))
    merges = [tuple(l.split()) for l in open(data + "/gpt2/vocab.bpe").read().split("\n")[1:] if l]
    roberta = Tokenizer(models.BPE(vocab, merges))
    roberta.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    roberta.add_special_tokens([AddedToken(s, lstrip=s == "<mask>", normalized=False) for s in ("<s>", "<pad>", "</s>", "<unk>", "<mask>")])
    pieces = {line.rstrip("\n"): i for i, line in enumerate(open(data + "/bert-base-chinese/vocab.txt"))}
    chinese = Tokenizer(models.WordPiece(pieces, unk_token="[UNK]"))
    chinese.normalizer = normalizers.BertNormalizer(lowercase=False)
    chinese.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    chinese.add_special_tokens([AddedToken(s, normalized=False) for s in ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")])
    return {"bert-base-uncased": Tokenizer.from_file(data + "/bert-base-uncased/tokenizer.json"),
            "bert-base-chinese": chinese, "roberta-base": roberta}


def learned(text):
    kinds = {"wordpiece": (lambda: BertWordPieceTokenizer(lowercase=True), ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]),
             "roberta": (ByteLevelBPETokenizer, ["<s>", "<pad>", "</s>", "<unk>", "<mask>"])}
    outcomes = {name: set() for name in kinds}
    for name, (make, special) in kinds.items():
        for _ in range(12):
            t = make()
            t.train([text], vocab_size=3000, min_frequency=2, show_progress=False, special_tokens=special)
            outcomes[name].add("%016x" % fnv(b"".join(token + b"\0" for token in sorted(k.encode() for k in t.get_vocab()))))
    return {name: sorted(found) for name, found in outcomes.items()}


def main():
    points = assigned(sys.argv[1])
    cut = pre_tokenizers.BertPreTokenizer()
    characters = {}
    for name, normal in (("uncased", normalizers.BertNormalizer()), ("cased", normalizers.BertNormalizer(lowercase=False))):
        hashes = []
        for at in range(0, len(points), BLOCK):
            words = [w for p in points[at:at + BLOCK] for w, _ in cut.pre_tokenize_str(normal.normalize_str("a" + chr(p) + "b"))]
            hashes.append("%016x" % fnv(b"".join(w.encode() + b"\0" for w in words)))
        characters[name] = hashes
    strings = {}
    for name, t in tokenizers(sys.argv[2] + "/tokenizers").items():
        hashes = []
        for at in range(0, STRINGS, PART):
            h = fnv(b"")
            for k in range(at, at + PART):
                for i in t.encode(made(points, k), add_special_tokens=False).ids + [-1]:
                    h = fnv((i & 0xffffffff).to_bytes(4, "little"), h)
            hashes.append("%016x" % h)
        strings[name] = hashes
    out = json.dumps({"assigned": runs(points), "characters": characters, "strings": strings,
                      "learned": learned(sys.argv[2] + "/lm/tinyshakespeare/input.txt")}, indent=0, separators=(",", ":"))
    print(out.replace(",\n", ",").replace("[\n", "[").replace("\n]", "]").replace("{\n", "{").replace("\n}", "}"))


if __name__ == "__main__":
    main()
