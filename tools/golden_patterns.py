#!/usr/bin/env python3
"""Write tests/golden/text/patterns.json: how Oniguruma, as Hugging Face's tokenizers run it, cuts texts by patterns.

    python3 -m venv ENV && ENV/bin/pip install tokenizers
    ENV/bin/python tools/golden_patterns.py

Made with tokenizers 0.23.3; never needed to build or to test. Each entry has a pattern, a text and its pieces: matches
and what lies between them.
"""
import json, os
from tokenizers import Regex, pre_tokenizers

CASES = [
    (r"\p{Han}+", "你好、世界。〇 ゠ア々"), (r"\p{^Han}+", "你好、世界。"), (r"\P{Han}+", "你、好"), (r"[\p{Hiragana}ー]+", "ひらーカタ、が"),
    (r"\p{N}{1,3}+", "12345 67"), (r"a{2}+", "aaaaa"), (r"a{2}?b", "aab b ab"), (r"(?:ab){1,2}+c", "abababc ababc"), (r"[ab]{2}+", "ababa"),
    (r"\p{L}{2}+", "abcde"), (r"a{,2}", "aaa"), (r"xa{,2}y", "xy xay xaay xaaay"), (r"a{2,}", "a aa aaa"), (r"a{1,2}?", "aaa"), (r"b{", "ab{c"),
    (r"(?m)a.", "a\nb a"), (r"(?m:a.)b", "a\nb"), (r"a.", "a\nb ac"), (r"(?i)ab", "AB ab aB"), (r"(?i:A)b", "ab AB Ab"), (r"(?mi-x:a.B)", "A\nb"),
    (r"^a", "a\na ba"), (r"a$", "a\nba ab"), (r"\w+", "x²y ½ ⅓ ① Ⓐ 🄰 a_b-c é́ ²"), (r"\W+", "x²y ½-Ⓐ!?"), (r"[\w']+", "it's ½'"), (r"[^\s\w]+", "a+b ½ \u180e?"),
    (r"\s+", "a \u00a0\u3000\u180e\u200bb\u0085c"), (r"\S+", "a\u180eb c"), (r"[\S]+", "a\u180eb c"), (r"\bx\b", "x x² ²x a x-"), (r"\B.", "ab ½c"),
    (r"\u3042+", "ああい"), (r"[\u3042-\u3044]+", "あいうえ"), (r"\x{3042}", "あい"), (r"\x41", "AB"), (r"\d+", "12²３４½"), (r"a++b", "aab ab"), (r"a*+", "aab"),
    (r"[]a]+", "]a]b"), (r"[^]a]+", "]bc]a"), (r"\(\d{2}\)+", "(12)) (3)"), (r"(a|b){2}+", "abab a"), (r"é{2}+", "éééé é"), (r"(?<n>a)b\k<n>", "aba ab"),
    (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+", "It'S 12345 (ok)…\r\n\n  don't ²x  "),
    (r"'s|'t| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+", "it's 12 ½ x²  \n y"),
]


def main():
    out = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tests", "golden", "text", "patterns.json")
    rows = [{"pattern": p, "text": t, "pieces": [piece for piece, _ in pre_tokenizers.Split(Regex(p), "isolated").pre_tokenize_str(t)]} for p, t in CASES]
    with open(out, "w") as f:
        f.write("[\n" + ",\n".join(json.dumps(row) for row in rows) + "\n]\n")


main()
