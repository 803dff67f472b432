"""Shared by the comparison and the generator of the fixtures: GPT-2's tokenizer in tiktoken and in Hugging Face's tokenizers, both
built from vocab.json and merges.txt of models/tiny, so that nothing needs a download."""
import json
import pathlib

import tiktoken
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

ROOT = pathlib.Path(__file__).resolve().parents[2]
MODEL = ROOT / "models" / "tiny"
FIXTURES = ROOT / "test" / "fixtures" / "tokenizer"
END_OF_TEXT = "<|endoftext|>"
PATTERN = r"""'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"""


def byte_of_char():
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    rest = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(256 + i): byte for i, byte in enumerate(rest)}


def read_vocab():
    return json.loads((MODEL / "vocab.json").read_text(encoding="utf-8"))


def read_merges():
    lines = (MODEL / "merges.txt").read_text(encoding="utf-8").split("\n")
    return [tuple(line.split(" ")) for line in lines[1:] if line]


def tiktoken_encoding():
    table = byte_of_char()
    vocab = read_vocab()
    end_of_text = vocab.pop(END_OF_TEXT)
    ranks = {bytes(table[char] for char in token): rank for token, rank in vocab.items()}
    return tiktoken.Encoding(
        "gpt2-from-files",
        pat_str=PATTERN,
        mergeable_ranks=ranks,
        special_tokens={END_OF_TEXT: end_of_text},
    )


def hugging_face_tokenizer(vocab, merges, add_prefix_space=False, **options):
    tokenizer = Tokenizer(models.BPE(vocab, merges, **options))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=add_prefix_space)
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer
