#!/usr/bin/env python3
"""Write tests/golden/text/settings.json: what transformers makes of the settings beside a vocabulary.

    python3 -m venv ENV && ENV/bin/pip install transformers tokenizers sentencepiece protobuf
    ENV/bin/python tools/golden_settings.py

Made with transformers 5.24, tokenizers 0.23.3 and sentencepiece 0.2.3; never needed to build or to test. Each row has
the files of a folder (a .model in base64) and cases [text, ids, ids with special tokens, those truncated to SHORT,
decoded ids or null]. "vocabularies" holds what several rows share. Left out are texts between special tokens that begin
with a space for a legacy .model, whose ids are SentencePiece's here.
"""
import base64, io, json, os, re, tempfile
import sentencepiece
from tokenizers import Regex, Tokenizer, decoders as D, models, normalizers as N, pre_tokenizers as P, processors
from transformers import AutoTokenizer

SHORT = 5
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"] + list("abcdefghijklmnopqrstuvwxyzABCDEFG\u00e9\u4f60\u597d.,?!'<>|_") + ["##" + c for c in "abcdefghijklmnopqrstuvwxyzDE\u00e9_"] + ["the", "don", "Add", "add", "caf\u00e9", "cafe"]
TEXTS = ["the Add add.", "Caf\u00e9 don't, don 't do n't ?", "\u4f60\u597d a", " b  c", "a[SEP] b", "<s>a</s> b</s>c", "hi<|im_end|> b <extra>c", "a b c d e f g h", "In 12 12e\u0301, thE 'Re\n\n 12"]


def wordpiece(**how):
    t = Tokenizer(models.WordPiece({w: i for i, w in enumerate(WORDS)}, unk_token="[UNK]"))
    t.normalizer, t.pre_tokenizer, t.decoder = N.BertNormalizer(**how), P.BertPreTokenizer(), D.WordPiece()
    t.add_special_tokens(WORDS[:5])
    t.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)])
    return t.to_str()


def byte_level(words=P.ByteLevel(add_prefix_space=False)):
    vocab = {c: i for i, c in enumerate(sorted(P.ByteLevel.alphabet()))}
    merges = [("t", "h"), ("th", "e"), ("\u0120", "a"), ("\u0120", "b"), ("a", "d"), ("ad", "d"), ("1", "2"), ("\u0120", "12"), ("\u010a", "\u010a")]
    for a, b in merges: vocab[a + b] = len(vocab)
    vocab["<|im_end|>"] = len(vocab)
    t = Tokenizer(models.BPE(vocab, merges))
    t.pre_tokenizer, t.decoder = words, D.ByteLevel()
    t.add_special_tokens(["<|endoftext|>"])
    return t.to_str()


def llama():
    vocab = {w: i for i, w in enumerate(["<unk>", "<s>", "</s>"] + ["<0x%02X>" % i for i in range(256)] + ["\u2581"] + list("abcdefghijklmnopqrstuvwxyz") + ["\u2581a", "\u2581b", "th", "the", "\u2581the"])}
    t = Tokenizer(models.BPE(vocab, [("\u2581", "a"), ("\u2581", "b"), ("t", "h"), ("th", "e"), ("\u2581", "the")], unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    t.normalizer = N.Sequence([N.Prepend("\u2581"), N.Replace(" ", "\u2581")])
    t.decoder = D.Sequence([D.Replace("\u2581", " "), D.ByteFallback(), D.Fuse(), D.Strip(" ", 1, 0)])
    t.add_special_tokens(["<unk>", "<s>", "</s>"])
    t.post_processor = processors.TemplateProcessing(single="<s> $A", pair="<s> $A <s>:1 $B:1", special_tokens=[("<s>", 1)])
    return t.to_str()


def sentence_pieces():
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(sentence_iterator=iter(["the add a b c d e f g h don the add hi cafe abcdefghijklmnopqrstuvwxyz"] * 20), model_writer=model, vocab_size=330, model_type="bpe",
                                             byte_fallback=True, normalization_rule_name="identity", remove_extra_whitespaces=False, minloglevel=2, hard_vocab_limit=False)
    return base64.b64encode(model.getvalue()).decode()


def clip():
    letters = sorted(P.ByteLevel.alphabet())
    vocab = {c: i for i, c in enumerate(letters + [c + "</w>" for c in letters])}
    merges = [("t", "h"), ("th", "e</w>"), ("a", "d"), ("ad", "d</w>"), ("c", "a")]
    for a, b in merges: vocab[a + b] = len(vocab)
    for token in ("<|startoftext|>", "<|endoftext|>"): vocab[token] = len(vocab)
    return {"vocab.json": json.dumps(vocab), "merges.txt": "#version: 0.2\n" + "".join(a + " " + b + "\n" for a, b in merges)}


def rows():
    bert = lambda **more: dict(tokenizer_class="BertTokenizer", **more)
    gpt2 = lambda **more: dict(tokenizer_class="GPT2Tokenizer", unk_token=None, **more)
    alpaca = lambda **more: dict(tokenizer_class="LlamaTokenizer", bos_token="<s>", eos_token="</s>", unk_token="<unk>", **more)
    plain = lambda **more: dict(tokenizer_class="PreTrainedTokenizerFast", **more)
    return [  # name, vocabulary, model_type, tokenizer_config.json
        ("uncased", "wordpiece", "bert", bert(do_lower_case=True)), ("cased", "wordpiece", "bert", bert(do_lower_case=False)),
        ("accents kept", "wordpiece", "bert", bert(do_lower_case=True, strip_accents=False)), ("accents dropped", "wordpiece", "bert", bert(do_lower_case=False, strip_accents=True)),
        ("Chinese in words", "wordpiece", "bert", bert(do_lower_case=True, tokenize_chinese_chars=False)),
        ("file alone", "wordpiece", "bert", plain(do_lower_case=False)), ("cleaned up", "wordpiece", "bert", plain(clean_up_tokenization_spaces=True)),
        ("cut at the left", "wordpiece", "bert", plain(cls_token="[CLS]", truncation_side="left")), ("specials split", "wordpiece", "bert", plain(split_special_tokens=True)),
        ("vocab.txt", "vocab.txt", "bert", bert()), ("vocab.txt, cased", "vocab.txt", "bert", bert(do_lower_case=False)),
        ("prefixed", "byte_level", "gpt2", gpt2(add_prefix_space=True)), ("not prefixed", "byte_level", "gpt2", gpt2(add_prefix_space=False)),
        ("prefix of the file", "byte_level", "gpt2", plain(add_prefix_space=True)), ("named special", "byte_level", "gpt2", plain(eos_token="<|im_end|>")),
        ("further special", "byte_level", "gpt2", plain(extra_special_tokens=["<|im_end|>"])), ("flags beside a file", "llama", "llama", plain(bos_token="<s>", eos_token="</s>", add_bos_token=False, add_eos_token=True)),
        ("lower case of bytes", "byte_level", "gpt2", gpt2(do_lower_case=True)),
        ("not legacy", "llama", "llama", alpaca(legacy=False)), ("legacy", "llama", "llama", alpaca(legacy=True)), ("no prefix", "llama", "llama", alpaca(add_prefix_space=False)),
        ("as the file", "llama", "llama", plain(bos_token="<s>", eos_token="</s>", legacy=False)), ("another family", "llama", "phi3", alpaca(legacy=False)),
        *[(f"{c} of a {family}, {v}", v, family, dict(tokenizer_class=c, unk_token=None)) for v in ("byte_level", "by_digits")
          for c, family in (("PreTrainedTokenizerFast", "qwen2"), ("GPT2Tokenizer", "qwen2"), ("PreTrainedTokenizerFast", "qwen3"), ("Qwen2Tokenizer", "qwen3"), ("Qwen2Tokenizer", "llama"),
                            ("GPT2Tokenizer", "llama"), ("GPTNeoXTokenizer", "gpt_neox"), ("GPT2Tokenizer", "olmo2"), ("Qwen2Tokenizer", "phi3"))],
        *[(f"no class of a {family}", "by_digits", family, dict(unk_token=None)) for family in ("qwen2", "qwen3", "gpt2", "opt", "gpt_neox", "llama", "mistral")],
        ("prefixed words of Qwen2", "by_digits", "qwen2", dict(unk_token=None, add_prefix_space=True)),
        ("an auto_map keeps the file", "by_digits", "qwen2", plain(auto_map={"AutoTokenizer": [None, None]}, unk_token=None)),
        *[(f"{c or 'no class'} of a {family}, cased", "cased", family, dict(tokenizer_class=c) if c else {}) for c, family in (("BertTokenizer", "bert"), (None, "bert"), (None, "distilbert"),
          ("DistilBertTokenizer", "distilbert"), ("PreTrainedTokenizerFast", "bert"), ("BertTokenizer", "modernbert"))],
        ("CLIP's files", "clip", "clip", dict(tokenizer_class="CLIPTokenizer")),
        (".model, not legacy", "tokenizer.model", "llama", alpaca(legacy=False, add_bos_token=True)), (".model, legacy", "tokenizer.model", "llama", alpaca(legacy=True, add_bos_token=True)),
        (".model, flags", "tokenizer.model", "llama", alpaca(legacy=True, add_bos_token=True, add_eos_token=True)), (".model, no prefix", "tokenizer.model", "llama", alpaca(add_prefix_space=False, add_bos_token=True))]


def main():
    by_digits = P.Sequence([P.Split(Regex("\\p{N}{1,3}|[^\\p{N}]+"), "isolated"), P.ByteLevel(add_prefix_space=False, use_regex=False)])
    made = {"wordpiece": wordpiece(), "cased": wordpiece(lowercase=False), "byte_level": byte_level(), "by_digits": byte_level(by_digits), "llama": llama(), "clip": clip(), "vocab.txt": "\n".join(WORDS) + "\n", "tokenizer.model": sentence_pieces()}
    out = []
    for name, vocabulary, family, settings in rows():
        with tempfile.TemporaryDirectory() as d:
            file = vocabulary if "." in vocabulary else "tokenizer.json"
            files = made[vocabulary] if isinstance(made[vocabulary], dict) else {file: made[vocabulary]}
            for name_of, data in files.items():
                with open(os.path.join(d, name_of), "wb") as f: f.write(base64.b64decode(data) if name_of.endswith(".model") else data.encode())
            json.dump(settings, open(os.path.join(d, "tokenizer_config.json"), "w"))
            json.dump({"model_type": family}, open(os.path.join(d, "config.json"), "w"))
            t = AutoTokenizer.from_pretrained(d)
            cases = []
            for text in TEXTS:
                ids = t.encode(text, add_special_tokens=False)
                if file.endswith(".model") and settings.get("legacy") and re.search("(^|s>) ", text): continue
                shown = vocabulary not in ("llama", "tokenizer.model") or not {t.bos_token_id, t.eos_token_id} & set(ids)
                cases.append([text, ids, t.encode(text), t.encode(text, truncation=True, max_length=SHORT), t.decode(ids) if shown else None])
        out.append({"name": name, "vocabulary": vocabulary, "file": file, "model_type": family, "settings": settings, "cases": cases})
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tests", "golden", "text", "settings.json")
    with open(path, "w") as f:
        f.write('{"vocabularies": ' + json.dumps(made) + ',\n "rows": [\n' + ",\n".join(json.dumps(r) for r in out) + "\n]}\n")


main()
