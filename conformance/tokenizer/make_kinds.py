"""Writes test/fixtures/tokenizer/kinds.jsonl and code-points.json.

    python -m venv /tmp/venv && /tmp/venv/bin/pip install tokenizers==0.23.3 transformers
    /tmp/venv/bin/python conformance/tokenizer/make_kinds.py

kinds.jsonl: parts of tokenizer.json that GPT-2's own file does not have, each in the small vocabulary of the fixtures, with the ids and
texts of Hugging Face's tokenizers. code-points.json: the class that GPT-2's pre-tokenizer gives to every Unicode code point, found by
trying each one.
"""
import hashlib
import json

from tokenizers import Tokenizer, pre_tokenizers

from reference import FIXTURES

BYTE_LEVEL = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
NO_REGEX = {**BYTE_LEVEL, "use_regex": False}
MODERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def sequence(*steps):
    return {"type": "Sequence", "pretokenizers": list(steps)}


def split(pattern, behavior="Isolated", invert=False, kind="Regex"):
    return {"type": "Split", "pattern": {kind: pattern}, "behavior": behavior, "invert": invert}


def normalizers(*steps):
    return {"type": "Sequence", "normalizers": list(steps)}


def template(*pieces):
    return {
        "type": "TemplateProcessing",
        "single": [{"SpecialToken": {"id": p, "type_id": 0}} if p else {"Sequence": {"id": "A", "type_id": 0}} for p in pieces],
        "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
        "special_tokens": {"<|endoftext|>": {"id": "<|endoftext|>", "ids": [299], "tokens": ["<|endoftext|>"]}},
    }


KINDS = {
    "NFC": {"normalizer": {"type": "NFC"}},
    "NFD": {"normalizer": {"type": "NFD"}},
    "NFKC": {"normalizer": {"type": "NFKC"}},
    "NFKD": {"normalizer": {"type": "NFKD"}},
    "Lowercase": {"normalizer": {"type": "Lowercase"}},
    "NFD, lower case": {"normalizer": normalizers({"type": "NFD"}, {"type": "Lowercase"})},
    "Strip": {"normalizer": {"type": "Strip", "strip_left": True, "strip_right": True}},
    "Prepend": {"normalizer": {"type": "Prepend", "prepend": " "}},
    "Replace": {"normalizer": {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " "}},
    "Digits": {"pre_tokenizer": sequence({"type": "Digits", "individual_digits": True}, BYTE_LEVEL)},
    "Digits together": {"pre_tokenizer": sequence({"type": "Digits", "individual_digits": False}, BYTE_LEVEL)},
    "Punctuation": {"pre_tokenizer": sequence({"type": "Punctuation", "behavior": "Isolated"}, BYTE_LEVEL)},
    "Whitespace": {"pre_tokenizer": sequence({"type": "Whitespace"}, NO_REGEX)},
    "WhitespaceSplit": {"pre_tokenizer": sequence({"type": "WhitespaceSplit"}, NO_REGEX)},
    "no regex": {"pre_tokenizer": NO_REGEX},
    "prefix space": {"pre_tokenizer": {**BYTE_LEVEL, "add_prefix_space": True}},
    "a newer pattern": {"pre_tokenizer": sequence(split(MODERN), NO_REGEX)},
    **{
        f"Split, {behavior}": {"pre_tokenizer": sequence(split("[aeiou]+| ", behavior), NO_REGEX)}
        for behavior in ("Isolated", "Removed", "MergedWithPrevious", "MergedWithNext", "Contiguous")
    },
    "Split, inverted": {"pre_tokenizer": sequence(split(r"\p{L}+", "Removed", True), NO_REGEX)},
    "Split at a string": {"pre_tokenizer": sequence(split(".", "Isolated", kind="String"), BYTE_LEVEL)},
    "ignore_merges": {"model": {"ignore_merges": True}},
    "byte_fallback": {"model": {"byte_fallback": True}},
    "start token": {"post_processor": template("<|endoftext|>", None)},
    "start and end": {"post_processor": template("<|endoftext|>", None, "<|endoftext|>")},
    "decoder with Replace": {
        "decoder": {"type": "Sequence", "decoders": [BYTE_LEVEL, {"type": "Replace", "pattern": {"String": "e"}, "content": "E"}]}
    },
}
TEXTS = [
    "the inner thing", "The  INNER\n thing, 12345!", "Cafe\u0301 café ﬁ Å ⅷ ½ ①", "İstanbul STRASSE Σας", " leading and trailing  ",
    "a1b22c333 3.14", "don't DON'T we'll", "日本語のテキスト 한국어 ไทย", "x<|endoftext|>y", "", "   ", "\t\r\n\n", "😀👩‍👩‍👧 🇩🇪",
    "i̇ǆŉΐ և ﷺ", "e.g. a...b", "ＦＵＬＬ ｗｉｄｔｈ　１２３", "\u0000\u0085\u2028\ufeff", "각 각 ᄀ", "ab  cd   ef", "__init__(self)",
]


def kinds():
    base = json.loads((FIXTURES / "small" / "tokenizer.json").read_text())
    for name, change in KINDS.items():
        file = {**base, **{key: value for key, value in change.items() if key != "model"}}
        file["model"] = {**base["model"], **change.get("model", {})}
        tokenizer = Tokenizer.from_str(json.dumps(file))
        cases = []
        for text in TEXTS:
            ids = tokenizer.encode(text).ids
            cases.append([text, ids, tokenizer.decode(ids, skip_special_tokens=True)])
        yield {"name": name, "change": change, "cases": cases}


def code_points():
    """For each code point, how `a{c}1` and ` {c}` are cut: a letter goes to the `a`, a number to the `1`, white space to itself."""
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False)
    kinds = []
    for code in range(0x110000):
        if 0xD800 <= code < 0xE000:
            kinds.append("-")
            continue
        pieces = [span for _, span in byte_level.pre_tokenize_str(f"a{chr(code)}1")]
        starts = [start for start, _ in pieces]
        letter, number = 1 not in starts, 2 not in starts
        kinds.append("L" if letter else "N" if number else "S" if len(byte_level.pre_tokenize_str(f" {chr(code)}")) == 1 and
                     len(byte_level.pre_tokenize_str(f"{chr(code)} !")) == 2 and is_space(byte_level, chr(code)) else "O")
    text = "".join(kinds)
    counts = {kind: text.count(kind) for kind in "LNSO"}
    return {"counts": counts, "sha256": hashlib.sha256(text.encode()).hexdigest()}


def is_space(byte_level, char):
    """White space before a word is cut so that its last character goes with the word if it is a space, else stands alone; two of
    another kind stay together."""
    return len(byte_level.pre_tokenize_str(f"!{char}")) == 2 and len(byte_level.pre_tokenize_str(f"!{char}{char}?")) == 4


def main():
    with (FIXTURES / "kinds.jsonl").open("w") as file:
        for kind in kinds():
            file.write(json.dumps(kind, ensure_ascii=True, separators=(",", ":")) + "\n")
    (FIXTURES / "code-points.json").write_text(json.dumps(code_points()) + "\n")


if __name__ == "__main__":
    main()
