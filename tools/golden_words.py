#!/usr/bin/env python3
"""Write tests/golden/text/words.json and tests/golden/text/defined.json.

    python3 -m venv ENV && ENV/bin/pip install tokenizers sentencepiece
    ENV/bin/python tools/golden_words.py TEXT

TEXT is any English text to learn small vocabularies from. Made with tokenizers 0.23.3 and sentencepiece 0.2.3; never
needed to build or to test. words.json is as tools/golden_components.py writes it, with models of whole words, of
pieces that have a prefix inside a word, and of pieces that have a suffix at its end (CLIP's are bytes); where decoding
shows the begin and end of a text, the ids with special tokens are decoded too. defined.json
has, for models of SentencePiece with user-defined pieces, the model in base64 and cases [text, ids, decoded].
"""
import base64, io, json, os, sys, tempfile
import sentencepiece
from tokenizers import AddedToken, Regex, Tokenizer, decoders as D, models, normalizers as N, pre_tokenizers as P, processors, trainers
from golden_components import RULES, SPECIAL, LETTERS, texts

GOLDEN = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tests", "golden", "text")
CLIP = "<\\|startoftext\\|>|<\\|endoftext\\|>|'s|'t|'re|'ve|'m|'ll|'d|[\\p{L}]+|[\\p{N}]|[^\\s\\p{L}\\p{N}]+"


def trained(model, pre, trainer, lines):
    t = Tokenizer(model)
    t.pre_tokenizer = pre
    t.train_from_iterator(lines, trainer)
    return json.loads(t.to_str())["model"]


def learn(lines):
    common = dict(vocab_size=400, special_tokens=SPECIAL, initial_alphabet=list(LETTERS), show_progress=False)
    byte = dict(common, initial_alphabet=P.ByteLevel.alphabet(), vocab_size=900)
    clip = P.Sequence([P.Split(Regex(CLIP), "removed", invert=True), P.ByteLevel(add_prefix_space=False)])
    return {
        "words": trained(models.WordLevel(unk_token="<unk>"), P.Whitespace(), trainers.WordLevelTrainer(vocab_size=300, special_tokens=SPECIAL, show_progress=False), lines),
        "prefix": trained(models.BPE(unk_token="<unk>", continuing_subword_prefix="##"), P.Whitespace(), trainers.BpeTrainer(continuing_subword_prefix="##", **common), lines),
        "both": trained(models.BPE(unk_token="<unk>", fuse_unk=True, continuing_subword_prefix="@", end_of_word_suffix="</w>"), P.Whitespace(),
                        trainers.BpeTrainer(continuing_subword_prefix="@", end_of_word_suffix="</w>", **common), lines),
        "clip": trained(models.BPE(unk_token="<unk>", end_of_word_suffix="</w>"), clip, trainers.BpeTrainer(end_of_word_suffix="</w>", **byte), lines)}


def rows():
    clip = P.Sequence([P.Split(Regex(CLIP), "removed", invert=True), P.ByteLevel(add_prefix_space=False)])
    return [("words", "words", None, P.Whitespace(), None), ("words in lower case", "words", N.Lowercase(), P.WhitespaceSplit(), D.WordPiece()),
            ("prefix", "prefix", None, P.Whitespace(), D.WordPiece()), ("prefix, no decoder", "prefix", None, P.WhitespaceSplit(), None),
            ("both", "both", None, P.Whitespace(), D.BPEDecoder()), ("CLIP", "clip", N.Sequence([N.NFC(), N.Replace(Regex("\\s+"), " "), N.Lowercase()]), clip, D.ByteLevel())]


def words(lines):
    made = learn(lines)
    out = []
    for name, model, normalizer, pre, decoder in rows():
        t = Tokenizer.from_str(json.dumps({"version": "1.0", "added_tokens": [], "model": made[model]}))
        if normalizer: t.normalizer = normalizer
        if decoder: t.decoder = decoder
        t.pre_tokenizer = pre
        t.add_special_tokens(SPECIAL + [AddedToken("<mask>", lstrip=True)])
        t.add_tokens([AddedToken("<extra>", rstrip=True, normalized=False)])
        t.post_processor = processors.TemplateProcessing(single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=[(s, t.token_to_id(s)) for s in ("<s>", "</s>")])
        parts = json.loads(t.to_str())
        row = {"name": name, "model": model, "byte_fallback": False, **{k: parts[k] for k in ("normalizer", "pre_tokenizer", "decoder", "post_processor", "added_tokens")}, "cases": []}
        for text in texts(name):
            ids = t.encode(text, add_special_tokens=False).ids
            shows = name == "CLIP" or isinstance(decoder, D.WordPiece)                  # begin and end of text
            inner = [i for i in ids if shows or i not in (t.token_to_id("<s>"), t.token_to_id("</s>"))]
            case = [text, ids, t.encode(text).ids, t.decode(inner, skip_special_tokens=False)]
            if shows: case.append(t.decode(t.encode(text).ids, skip_special_tokens=False))
            row["cases"].append(case[:3] + [None if "\ufffd" in back else back for back in case[3:]])      # bytes stay bytes here
        out.append(row)
    write("words.json", made, out)


def write_rules():
    """A map of characters that would change some of the pieces."""
    path = os.path.join(tempfile.gettempdir(), "rules.tsv")
    with open(path, "w") as f: f.writelines("%s\t%s\n" % tuple(" ".join("%X" % ord(c) for c in x) for x in rule) for rule in RULES + [("q", "k"), ("<", "(")])
    return path


DEFINED = ["<sep>", "ab", "abc", "\u4f60", "<a b>", "\n\n", "\u2581the\u2581", "ing", "qu"]


def defined(lines):
    out = []
    for kind in ("bpe", "unigram"):
        for mapped, prefix, trim in ((False, False, False), (True, True, True), (False, True, False)):
            model = io.BytesIO()
            rules = dict(normalization_rule_tsv=write_rules()) if mapped else dict(normalization_rule_name="identity")
            sentencepiece.SentencePieceTrainer.train(sentence_iterator=iter(lines), model_writer=model, vocab_size=400, model_type=kind, user_defined_symbols=DEFINED, byte_fallback=kind == "bpe",
                                                     add_dummy_prefix=prefix, remove_extra_whitespaces=trim, minloglevel=2, hard_vocab_limit=False, **rules)
            p = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())
            cases = [[t, p.encode(t), p.decode(p.encode(t))] for t in texts(kind + str(mapped)) + SYMBOLS]
            out.append({"name": "%s, %s, %s" % (kind, "mapped" if mapped else "as it is", "with a space" if prefix else "no space"), "model": base64.b64encode(model.getvalue()).decode(), "cases": cases})
    write("defined.json", {}, out)


SYMBOLS = ["<sep>", " <sep> ", "a<sep>b <sep><sep>", "abcab cab", "xabcabx", "\u4f60\u597d\u4f60", "<a b> <a  b>", "one\n\ntwo\n\n", "in the end the", "\u2581the\u2581the\u2581", "quing inging", "the queen is singing a song", "abab  ab",
           "\uff41\uff42\uff43", "thingabcing"]


def write(name, made, out):
    with open(os.path.join(GOLDEN, name), "w") as f:
        f.write('{"models": ' + json.dumps(made) + ',\n "rows": [\n' + ",\n".join(json.dumps(r) for r in out) + "\n]}\n")


if __name__ == "__main__":
    lines = open(sys.argv[1]).read().splitlines()[:400]
    words(lines)
    defined(lines)
