"""Turns text into files of GPT-2 token ids for training and for held-out evaluation.

    python training/prepare.py --tokenizer models/tiny --corpus path/to/corpus --out path/to/data
    python training/prepare.py --tokenizer models/tiny --text notes.txt story.txt --out path/to/data

Written into --out, for every part NAME of the text:

    NAME.train.u16     token ids, two bytes each, little-endian; each document is 50256 followed by its ids
    NAME.heldout.u16   the same for documents that training never sees

A document ends where a line `<|endoftext|>` stands, or where its file ends. With --corpus the parts are "books" and
"docs", the held-out documents are those of the corpus, and works marked "US public domain only" in its SOURCES.md are
left out of both. With --text there is one part for each file, named after it, and documents are held out by a hash of
their text, so the choice stays the same when other documents are added.
"""

import argparse
import hashlib
import lzma
from pathlib import Path

import numpy as np
from sources import Source, read_sources
from tokenizers import ByteLevelBPETokenizer

END_OF_TEXT = 50256
SEPARATOR = "<|endoftext|>"
BATCH = 256  # documents tokenized at once; bounds the memory, nothing else


def read_bytes(path: Path) -> bytes:
    """A file's content, unpacked when its name ends in .xz."""
    return lzma.decompress(path.read_bytes()) if path.suffix == ".xz" else path.read_bytes()


def split_documents(text: bytes) -> list[str]:
    """The non-empty documents of a text, without the blank lines around them."""
    pieces = (piece.strip("\r\n") for piece in text.decode("utf-8").split(SEPARATOR))
    return [piece for piece in pieces if piece]


def encode(tokenizer: ByteLevelBPETokenizer, documents: list[str]) -> np.ndarray:
    """All documents as one row of ids, each led by END_OF_TEXT. uint16 holds every id: 50256 < 65536."""
    rows = [np.zeros(0, dtype="<u2")]
    for first in range(0, len(documents), BATCH):
        for encoding in tokenizer.encode_batch(documents[first : first + BATCH]):
            rows.append(np.array([END_OF_TEXT, *encoding.ids], dtype="<u2"))
    return np.concatenate(rows)


def cut(text: bytes, sources: list[Source], length_of) -> bytes:
    """What is left of a file after its restricted sources were cut out by their byte counts."""
    kept, position = [], 0
    for source in sources:
        end = position + length_of(source)
        if not source.restricted:
            kept.append(text[position:end])
        position = end
    if position != len(text):
        raise ValueError(f"SOURCES.md accounts for {position} bytes, but the file has {len(text)}")
    return b"".join(kept)


def corpus_parts(corpus: Path) -> dict[str, tuple[list[str], list[str]]]:
    """name -> (training documents, held-out documents) of a corpus folder."""
    sources = read_sources(corpus)
    validation = read_bytes(corpus / "validation.txt.xz")
    parts, position = {}, 0
    for name in ("books", "docs"):
        rows = [source for source in sources if source.half == name]
        train = cut(read_bytes(corpus / f"{name}-train.txt.xz"), rows, lambda source: source.train_bytes)
        end = position + sum(row.heldout_bytes for row in rows)
        heldout = cut(validation[position:end], rows, lambda source: source.heldout_bytes)
        parts[name] = (split_documents(train), split_documents(heldout))
        position = end
    return parts


def text_parts(paths: list[Path], percent: int) -> dict[str, tuple[list[str], list[str]]]:
    """name -> (training documents, held-out documents) of plain text files."""
    parts = {}
    for path in paths:
        name = path.name.split(".")[0]
        if name in parts:
            raise ValueError(f"two files would both be written as {name}.train.u16; rename one")
        train, heldout = [], []
        for document in split_documents(read_bytes(path)):
            digest = hashlib.sha1(document.encode("utf-8")).digest()
            bucket = int.from_bytes(digest[:4], "big") % 100
            (heldout if bucket < percent else train).append(document)
        parts[name] = (train, heldout)
    return parts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tokenizer", type=Path, required=True, help="folder with vocab.json and merges.txt")
    parser.add_argument("--out", type=Path, required=True, help="folder for the token files")
    given = parser.add_mutually_exclusive_group(required=True)
    given.add_argument("--corpus", type=Path, help="folder with SOURCES.md and the corpus files")
    given.add_argument("--text", type=Path, nargs="+", help="plain text files, .xz or not")
    parser.add_argument("--heldout-percent", type=int, default=1, help="share of documents held out of --text")
    args = parser.parse_args()

    tokenizer = ByteLevelBPETokenizer(str(args.tokenizer / "vocab.json"), str(args.tokenizer / "merges.txt"))
    parts = corpus_parts(args.corpus) if args.corpus else text_parts(args.text, args.heldout_percent)
    args.out.mkdir(parents=True, exist_ok=True)
    for name, halves in parts.items():
        for kind, documents in zip(("train", "heldout"), halves):
            ids = encode(tokenizer, documents)
            ids.tofile(args.out / f"{name}.{kind}.u16")
            print(f"{name}.{kind}.u16: {len(documents):,} documents, {len(ids):,} tokens")


if __name__ == "__main__":
    main()
