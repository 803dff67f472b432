"""Compares the tokenizer with tiktoken on more than a megabyte of mixed text, and prints a summary.

    npm run build
    python -m venv /tmp/venv && /tmp/venv/bin/pip install tiktoken tokenizers
    /tmp/venv/bin/python conformance/tokenizer/compare.py [FILE...]

FILEs are additional texts in UTF-8, perhaps compressed with xz. The exit status is 1 when an encoding or a round trip differs.
Characters that are newer than this Python's Unicode version may be letters for one side only. They are compared separately,
listed, and not counted.
"""
import argparse
import json
import lzma
import pathlib
import random
import subprocess
import sys
import unicodedata

from reference import FIXTURES, MODEL, ROOT, tiktoken_encoding

SEED = 2019
SOURCES = (".ts", ".js", ".py", ".md", ".json")
DOCUMENT = 20_000
SPACES = [chr(c) for c in (9, 10, 11, 12, 13, 28, 29, 30, 31, 32, 133, 160, 5760, *range(8192, 8204), 8232, 8233, 8239, 8287, 12288, 65279)]
WORDS = """the of and to in I'm don't we've you'll he'd they're it's O'Neill rock'n'roll Ünïcödé naïve 日本 中文 한국어 ไทย Привет 123 4567 3.14
½ ٣ Ⅷ 😀 👨‍👩‍👧 🇩🇪 ❤️ é ñ __init__ x=1; {} [] () -> => != && || // /* */ <b> </b> &amp; 'S 'LL 'tis '' ''s 's's ’s“”""".split()


def is_assigned(code):
    return unicodedata.category(chr(code)) not in ("Cn", "Cs")


def every_character():
    """Each assigned character between letters, alone, doubled, and after a space, 64 to a text."""
    codes = [code for code in range(0x110000) if is_assigned(code)]
    for start in range(0, len(codes), 64):
        chars = [chr(code) for code in codes[start : start + 64]]
        for joint in ("", " ", "a"):
            yield joint + joint.join(chars)
        yield "".join(f"{char}{char} 1{char}" for char in chars)


def random_texts(rng, count):
    codes = [code for code in range(0x20000) if is_assigned(code)]
    for _ in range(count):
        parts = []
        for _ in range(rng.randrange(200)):
            kind = rng.random()
            if kind < 0.55:
                parts.append(rng.choice(WORDS))
            elif kind < 0.9:
                parts.append("".join(rng.choices(SPACES if rng.random() < 0.3 else " \n\t", k=rng.choice((1, 1, 1, 2, 3, 7)))))
            else:
                parts.append("".join(chr(rng.choice(codes)) for _ in range(rng.randrange(1, 5))))
        yield "".join(parts)


def repository_texts():
    for folder in ("src", "test", "docs"):
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix in SOURCES and path.is_file():
                yield path.read_text(encoding="utf-8")


def file_texts(paths):
    for path in paths:
        data = path.read_bytes()
        text = (lzma.decompress(data) if path.suffix == ".xz" else data).decode("utf-8")
        for start in range(0, len(text), DOCUMENT):
            yield text[start : start + DOCUMENT]


def unassigned_texts():
    """Characters of the next Unicode versions, one to a text, in the planes where letters are still added."""
    for code in (*range(0x20000), *range(0x2A6D0, 0x34000)):
        if unicodedata.category(chr(code)) == "Cn":
            yield f"x{chr(code)}1 {chr(code)}"


def encode_with_ours(texts, build):
    lines = "".join(json.dumps(text) + "\n" for text in texts)
    command = ["node", str(pathlib.Path(__file__).with_name("encode.js")), build, str(MODEL)]
    output = subprocess.run(command, input=lines, capture_output=True, text=True, encoding="utf-8", check=True).stdout
    return [json.loads(line) for line in output.split("\n") if line]


def compare(name, texts, build, reference):
    """Prints one line of the summary and returns the texts that differ."""
    texts = list(texts)
    size = sum(len(text.encode()) for text in texts)
    different = []
    tokens = 0
    for text, ours in zip(texts, encode_with_ours(texts, build), strict=True):
        ids = reference.encode(text, allowed_special="all")
        tokens += len(ids)
        if ours["ids"] != ids or ours["text"] != text:
            different.append(text)
    print(f"{name:24} {len(texts):8,} texts {size:12,} bytes {tokens:12,} tokens {len(different):6,} differ", flush=True)
    return different


def as_ranges(codes):
    ranges = []
    for code in codes:
        if ranges and ranges[-1][1] == code - 1:
            ranges[-1][1] = code
        else:
            ranges.append([code, code])
    return ", ".join(f"U+{low:04X}" if low == high else f"U+{low:04X}…{high:04X}" for low, high in ranges)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", type=pathlib.Path, metavar="FILE")
    parser.add_argument("--build", default=str(ROOT / "dist"), help="output directory of the compiler (default: dist)")
    options = parser.parse_args()
    reference = tiktoken_encoding()
    golden = [json.loads(line)["text"] for line in (FIXTURES / "gpt2.jsonl").open(encoding="utf-8")]
    mixed = list(random_texts(random.Random(SEED), 2000))
    groups = {
        "every character": every_character(),
        "random mixtures": mixed,
        "one long mixture": ["".join(mixed)],
        "golden strings": golden,
        "sources of the project": repository_texts(),
        "given files": file_texts(options.files),
    }
    different = []
    for name, texts in groups.items():
        different += compare(name, texts, options.build, reference)
    for text in different[:10]:
        print(f"  differs: {text[:200]!r}")
    newer = compare("newer characters", unassigned_texts(), options.build, reference)
    if newer:
        print(f"  not in Unicode {unicodedata.unidata_version}, and known to one side only: {as_ranges([ord(t[1]) for t in newer])}")
    print(f"{len(different)} differences")
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
