"""Writes test/fixtures/tokenizer/. The golden ids come from tiktoken and, where it can express the case, agree with
Hugging Face's tokenizers; the small vocabularies and their ids come from tokenizers alone.

    python -m venv /tmp/venv && /tmp/venv/bin/pip install tiktoken tokenizers
    /tmp/venv/bin/python conformance/tokenizer/make_fixtures.py
"""
import json
import unicodedata

from tokenizers import AddedToken

from reference import END_OF_TEXT, FIXTURES, byte_of_char, hugging_face_tokenizer, read_merges, read_vocab, tiktoken_encoding

PROSE = [
    "Hello world", " Hello world", "hello world", "Hello World", "How are you doing?", "You should've done this",
    "It was the best of times, it was the worst of times, it was the age of wisdom, it was the age of foolishness.",
    "The company was founded in 2016.", "I bought an apple for $1.00 at the store.", "UNwant\u00e9d,running",
    "A\n'll !!to?'d''d of, can't.", "This\n\nis\na\ntest.", "trailing space   ", "   leading space", "Hi  Hello",
    "1\x002\ufffd3", "you\u2026\u00a0\u00a0", "</s> test </s> ", "<s>\nhi<s>there\n", "a", " ", "", "  ", "   ", "\n", "\n\n",
    "\n\n\n", "text\n\n", "text\n\nmore", "text\n\n\nmore", "  \n", "\t", "\t\t", " \t ", "naïve café façade", "e-mail: a@b.example",
    "https://example.org/path?q=1&r=%20#x", "“Curly” ‘quotes’ — dashes – and… dots", "Ünïcödé", "ﬁ ﬂ ligatures", "I’m, don’t",
    "This is a test 😊\nI was born in 92000, and this is falsé.\n生活的真谛是\nHi  Hello\nHi   Hello\n\n \n  \n Hello\n<s>\nhi<s>there\n"
    "The following string should be properly encoded: Hello.\nBut ird and ปี   ird   ด\nHey how are you doing",
    "The quick brown fox jumps over the lazy dog. " * 4, "antidisestablishmentarianism pneumonoultramicroscopicsilicovolcanoconiosis",
    "SHOUTING AND whispering and CamelCase and snake_case and kebab-case", "Mr. O'Neill's 'quoted' words'", "100%", "C++ and C#", "AT&T",
]
CONTRACTIONS = [
    f"{word}{mark}{ending}{after}"
    for word, after in (("we", " go"), ("WE", ""), ("", "x"), ("9", "9"), (" ", "\n"))
    for mark in ("'", "\u2019")
    for ending in ("s t re ve m ll d", "S T RE VE M LL D", "Re vE Ll")
    for ending in [f" {word}{mark}".join(ending.split())]
]
NUMBERS = [
    "0123456789 0 1 2 3 4 5 6 7 8 9 10 100 1000", "3.14159", "1,234,567.89", "-42", "+1 (555) 010-9999", "1e-10", "0x7fff", "1/2 ½ ¼ ² ³",
    "Ⅷ ⅷ ↀ", "٠١٢٣٤٥٦٧٨٩", "१२३", "一二三", "①②③", "2020-11-23T10:32:18Z", "123abc456", "abc123 def456", "v1.2.3-rc.4", "99999999999999999999999",
    "test $1 R2 #3 €4 £5 ¥6 ₣7 ₹8 ₱9 test", "🄋 ➀ 𝟘𝟙𝟚",
]
CODE = [
    "def main():\n\tpass", "let a = obj.toString();\ntoString();", "for (let i = 0; i < n; i++) {\n  sum += a[i];\n}\n",
    "    if x == 1:\n        return [y for y in z if y]\n", "#include <stdio.h>\nint main(void) { return 0; }", "SELECT * FROM t WHERE a='b' -- c",
    "<div class=\"a\">\n\t<p>&nbsp;</p>\n</div>", "{\"key\": [1, 2, {\"n\": null}]}", "\\begin{equation} x^2_{i} \\end{equation}", "a&&b||!c",
    "/* comment */ // other", "$ ls -la | grep '^d' > out.txt 2>&1", "@decorator\nclass A(B): ...", "===== ----- ***** ##### ~~~~~", "`code` **bold** _it_",
    "func(x)->y=>z::w", "\r\nline\r\n\r\nline\r\n", "if(a){b}else{c}", "​zero​width​", "x = 'it''s'",
]
EMOJI = [
    "😊", " 😊", "😊😊😊", "a😊b", "👨‍👩‍👧‍👦 family", "🏳️‍🌈", "👍🏽👍🏿", "🇩🇪🇫🇷🇯🇵", "☺️ ☺ ☹︎", "🧑🏾‍🚀 in space 🚀", "1️⃣2️⃣#️⃣", "❤️‍🔥", "🫠", "👩🏻‍❤️‍💋‍👨🏿", "(╯°□°)╯︵ ┻━┻", "¯\\_(ツ)_/¯",
]
SCRIPTS = [
    "生活的真谛是", "日本語のテキスト、カタカナとひらがな。", "한국어 텍스트입니다", "繁體中文「引號」", "ภาษาไทยไม่มีช่องว่าง", "ปี   ird   ด", "Привет, мир! Ёлка", "Γειά σου Κόσμε",
    "שלום עולם", "مرحبا بالعالم", "नमस्ते दुनिया", "வணக்கம்", "ಕನ್ನಡ", "မြန်မာ", "ភាសាខ្មែរ", "ქართული", "Հայերեն", "አማርኛ", "ᏣᎳᎩ", "Tiếng Việt có dấu", "ⵜⴰⵎⴰⵣⵉⵖⵜ", "བོད་སྐད།",
    "e\u0301 a\u0308 o\u0323\u0302", "\u0301leading mark", "a\u0301\u0302\u0303\u0304\u0305b", "Z\u0351\u036b\u0343a\u0328l\u0322g\u0321o", "नि कि", "각 각", "ÅÅÅ", "ｆｕｌｌｗｉｄｔｈ　ｔｅｘｔ", "weird \uff5e edge \uff5e case", "▁This ▁is ▁a ▁test ▁.",
    "𝒜𝓁𝓅𝒽𝒶 𝔹𝕖𝕥𝕒", "𐍈 𐌰𐌱", "𒀀𒁀", "𓀀𓁀", "\u202bRTL\u202c LTR", "a\u200db\u200cc\u2060d",
]
SPACES = "\t\n\x0b\x0c\r\x1c\x1d\x1e\x1f \x85\xa0\u1680\u2000\u2003\u2009\u200a\u200b\u2028\u2029\u202f\u205f\u3000\ufeff\u180e"
WHITESPACE = [f"a{space}b{space}{space}c{space}{space}{space}1{space}!{space}" for space in SPACES] + [
    "a \n b", "a\n b", "a \nb", "a  \n  b", "\n a", "\t a", "a\t b", "a \t b", " \u00a0x", "\u00a0 x", "\u3000 \u3000x", "x \u2003\u2003", " \r\n \r\n x", "a" + " " * 50 + "b",
    "\n" * 30 + "x", " \n" * 12, "\t" * 9 + "x", " " * 33, "x" + "\u2028" * 3 + "y", "\ufeffBOM first", "in\ufeffside", "\ufeff", "\ufeff\ufeff x",
]
CONTROLS = [f"{chr(c)}a{chr(c)} {chr(c)}{chr(c)}1" for c in [*range(0, 32), *range(127, 160), 173, 0x61C, 0xFFF9, 0xFFFF, 0x10FFFF]]
SPECIAL = [
    END_OF_TEXT, f"a{END_OF_TEXT}b", f"a {END_OF_TEXT} b", f"{END_OF_TEXT}{END_OF_TEXT}", f"\n{END_OF_TEXT}\n\n", "<|endoftext|", "<|ENDOFTEXT|>",
    f"<|<|endoftext|>|>", "< |endoftext|>",
]
BIG_UNIFORM = [(0x3400, 0xA000), (0xAC00, 0xD7A4), (0xE000, 0xF900), (0x13000, 0x14680), (0x16800, 0x16A40), (0x17000, 0x18D00), (0x20000, 0x3FFFF), (0xF0000, 0x110000)]


def block_samples():
    """For every 256 code points, one assigned character of each column of 16, so that every Unicode block has a sample."""
    for row in range(0, 0x110000, 256):
        if any(low <= row < high and (row - low) % 0x2000 >= 256 for low, high in BIG_UNIFORM):
            continue
        picks = []
        for column in range(row, row + 256, 16):
            assigned = [chr(c) for c in range(column, column + 16) if unicodedata.category(chr(c)) not in ("Cn", "Cs")]
            if assigned:
                picks.append(assigned[(column // 16) % len(assigned)])
        if picks:
            half = len(picks) // 2
            yield "".join(picks[:half]) + " " + " ".join(picks[half:])


def write_lines(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=True, separators=(",", ":")) + "\n")


def write_gpt2():
    texts = [*PROSE, *CONTRACTIONS, *NUMBERS, *CODE, *EMOJI, *SCRIPTS, *WHITESPACE, *CONTROLS, *SPECIAL, *block_samples()]
    reference = tiktoken_encoding()
    second = hugging_face_tokenizer(read_vocab(), read_merges())
    second.add_special_tokens([END_OF_TEXT])
    rows = []
    for text in dict.fromkeys(texts):
        ids = reference.encode(text, allowed_special="all")
        if second.encode(text).ids != ids:
            raise SystemExit(f"the references disagree on {text!r}: {ids} and {second.encode(text).ids}")
        rows.append({"text": text, "ids": ids})
    write_lines(FIXTURES / "gpt2.jsonl", rows)
    print(f"gpt2.jsonl: {len(rows)} strings")


def small_vocab(bytes_kept=range(256), size=300):
    """The kept bytes, GPT-2's first merges that are possible with them, and <|endoftext|>."""
    chars = {byte: char for char, byte in byte_of_char().items()}
    tokens = [chars[byte] for byte in bytes_kept]
    merges = []
    for left, right in read_merges():
        if len(tokens) == size - 1:
            break
        if left in tokens and right in tokens:
            tokens.append(left + right)
            merges.append((left, right))
    return {token: i for i, token in enumerate([*tokens, END_OF_TEXT])}, merges


ADDED = [
    AddedToken("<pad>", special=True),
    AddedToken("<mask>", special=True, lstrip=True),
    AddedToken("<sep>", special=True, rstrip=True),
    AddedToken("<both>", lstrip=True, rstrip=True, normalized=False),
    AddedToken("word", single_word=True, normalized=False),
    AddedToken("wordy", single_word=True, lstrip=True, normalized=True),
    AddedToken("<pad><pad>", normalized=False),
    AddedToken("x<pa", normalized=True),
    AddedToken("x<pad>y", normalized=False),
    AddedToken("a.b*c", normalized=False),
    AddedToken("  two", normalized=False),
    AddedToken("日本", single_word=True, normalized=False),
]
ADDED_TEXTS = [
    "", " ", "hello", " hello", "\thello", "\nhello", "the <pad> of", "the <mask> of", "the \n\t <mask> of", "the <sep> of", "the <sep> \n of", "the  <both>  of", "<both>", "  <both>  ",
    "<mask><mask> <mask>", "a <sep> <mask> b", "a <both> <both> b", "word", "a word b", "words", "sword", "word.", "(word)", "word_", "_word", "word1", "éword", "word\u0301", "\u200dword", "-word-", "wordword", "word word",
    "a wordy b", "wordy", "swordy", "wordyx wordy", "<pad>", "<pad><pad>", "<pad><pad><pad>", "x<pad>", "x<pad>y", "xx<pad>yy", "x<paper", "a.b*c", "aXb*c", "one  two", "one   two", "one two",
    "日本", "a日本", "日本語", "「日本」", "日本 日本", "𝒜word", "word𝒜", "😀word😀", "hello<pad>the", "<pad>the<pad> the", "<pad> <pad>", f"{END_OF_TEXT}<pad>{END_OF_TEXT}", "the\u00a0<mask>\u3000<sep>\u2003end", "\ufeff<mask>", "\x85<mask>",
]


def write_small(name, tokenizer, texts, added=()):
    tokenizer.add_special_tokens([END_OF_TEXT])
    for token in added:
        (tokenizer.add_special_tokens if token.special else tokenizer.add_tokens)([token])
    directory = FIXTURES / name
    directory.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(directory / "tokenizer.json"), pretty=False)
    # Without a class the file would be read as GPT-2's own, which ignores most of it.
    (directory / "tokenizer_config.json").write_text('{"tokenizer_class": "PreTrainedTokenizerFast"}\n')
    rows = []
    for text in texts:
        ids = tokenizer.encode(text).ids
        kept = tokenizer.decode(ids, skip_special_tokens=True)
        rows.append({"text": text, "ids": ids, "decoded": kept})
    write_lines(directory / "cases.jsonl", rows)
    print(f"{name}: {len(rows)} strings, {tokenizer.get_vocab_size()} tokens")


def main():
    write_gpt2()
    plain = [*PROSE, *NUMBERS, *CODE, *EMOJI, *SCRIPTS[:20], "the the thethe inininin    on er"]
    vocab, merges = small_vocab()
    write_small("small", hugging_face_tokenizer(vocab, merges), plain)
    write_small("added-tokens", hugging_face_tokenizer(vocab, merges), ADDED_TEXTS, ADDED)
    write_small("prefix-space", hugging_face_tokenizer(vocab, merges, add_prefix_space=True), ADDED_TEXTS, ADDED)
    letters = [32, 10, *range(97, 123)]
    vocab, merges = small_vocab(letters, 60)
    unknown = ["hello", "Hello World", "the 123 in", "éé the é", "ab!!c", "!!!", "a!b", "t!h the"]
    write_small("missing-bytes", hugging_face_tokenizer(vocab, merges), unknown)
    write_small("unknown", hugging_face_tokenizer(vocab, merges, unk_token=END_OF_TEXT), unknown)
    write_small("fused-unknown", hugging_face_tokenizer(vocab, merges, unk_token=END_OF_TEXT, fuse_unk=True), unknown)


main()
