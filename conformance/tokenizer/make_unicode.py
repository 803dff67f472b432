"""Writes src/tokenizer/unicode/tables.ts: the Unicode data of Hugging Face's tokenizers, as its released form behaves.

    python -m venv /tmp/venv && /tmp/venv/bin/pip install tokenizers==0.23.3
    /tmp/venv/bin/python conformance/tokenizer/make_unicode.py && npx biome check --write src/tokenizer/unicode

Every code point is tried with the library itself, because its parts (regular expressions, pre-tokenizers, rules for words, normalizers)
were each built with another version of Unicode.
"""
import textwrap
import unicodedata

import tokenizers
from tokenizers import AddedToken, Regex, Tokenizer, models, normalizers, pre_tokenizers

from reference import ROOT

TARGET = ROOT / "src" / "tokenizer" / "unicode" / "tables.ts"
CODES = [code for code in range(0x110000) if not 0xD800 <= code < 0xE000]
CATEGORIES = "Lu Ll Lt Lm Lo Mn Mc Me Nd Nl No Pc Pd Ps Pe Pi Pf Po Sm Sc Sk So Zs Zl Zp Cc Cf Co Cn Cs".split()
SCRIPTS = "Arabic Armenian Bengali Cyrillic Devanagari Ethiopic Georgian Greek Gujarati Han Hangul Hebrew Hiragana Katakana Khmer Lao Latin Malayalam Mongolian Myanmar Sinhala Tamil Telugu Thai Tibetan".split()
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ!#$%"  # One for each category.
DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


def base36(number):
    text = ""
    while True:
        number, digit = divmod(number, 36)
        text = DIGITS[digit] + text
        if number == 0:
            return text


def matched_by(pattern):
    """The code points that a pattern of one character matches."""
    rest = set()
    split = pre_tokenizers.Split(Regex(pattern), "removed")
    for start in range(0, len(CODES), 4096):
        text = "".join(map(chr, CODES[start : start + 4096]))
        rest.update(ord(char) for part, _ in split.pre_tokenize_str(text) for char in part)
    return set(CODES) - rest


def split_off_by(pre_tokenizer):
    """The code points that are taken from between two letters."""
    return {code for code in CODES if len(pre_tokenizer.pre_tokenize_str(f"a{chr(code)}a")) == 3}


def parts_of_words():
    tokenizer = Tokenizer(models.BPE(vocab={"a": 0}, merges=[]))
    tokenizer.add_tokens([AddedToken("QX", single_word=True)])
    word = tokenizer.token_to_id("QX")
    return {code for code in CODES if word not in tokenizer.encode(f"QX{chr(code)}").ids}


def ranges(codes):
    """Numbers in base 36, in turn: how many code points are outside, how many are in."""
    numbers = []
    end = 0
    for code in sorted(codes):
        if numbers and code == end:
            numbers[-1] += 1
        else:
            numbers += [code - end, 1]
        end = code + 1
    return " ".join(map(base36, numbers))


def categories():
    """Runs of one category: their length if it is not 1, and the letter of the category."""
    of = {code: "Cs" for code in range(0xD800, 0xE000)}
    for name in CATEGORIES[:-1]:
        of.update(dict.fromkeys(matched_by(rf"\p{{{name}}}"), name))
    runs = []
    for code in range(0x110000):
        letter = LETTERS[CATEGORIES.index(of[code])]
        if runs and runs[-1][0] == letter:
            runs[-1][1] += 1
        else:
            runs.append([letter, 1])
    return "".join((base36(length) if length > 1 else "") + letter for letter, length in runs)


def lower_case():
    """Runs of letters that lie `step` apart and whose small letters lie `by` further: first, number, step, by."""
    runs = []
    for code in CODES:
        small = normalizers.Lowercase().normalize_str(chr(code))
        if len(small) != 1:
            assert (code, small) == (0x130, "i\u0307"), hex(code)  # The one that becomes two; the code knows it.
            continue
        by = ord(small) - code
        if by == 0:
            continue
        last = runs[-1] if runs else None
        if last and last[3] == by and last[1] == 1 and code - last[0] <= 2:
            last[1:3] = [2, code - last[0]]
        elif last and last[3] == by and last[1] > 1 and code == last[0] + last[1] * last[2]:
            last[1] += 1
        else:
            runs.append([code, 1, 1, by])
    end = 0
    numbers = []
    for first, count, step, by in runs:
        numbers += [base36(first - end), base36(count), base36(step), ("-" if by < 0 else "") + base36(abs(by))]
        end = first
    return " ".join(numbers)


def normalized():
    """Code points that a normal form changes, joins to others or moves among others; and the classes of those it moves."""
    nfc, nfd, nfkd = normalizers.NFC(), normalizers.NFD(), normalizers.NFKD()
    active = set()
    classes = {}
    for code in CODES:
        char = chr(code)
        decomposed = nfd.normalize_str(char)
        if nfkd.normalize_str(char) != char:
            active.add(code)
        if len(decomposed) > 1 and nfc.normalize_str(decomposed) == char:
            active.update((ord(nfc.normalize_str(decomposed[:-1])), ord(decomposed[-1])))
        combining = unicodedata.combining(char)
        other = "\u0345" if combining == 1 else "\u0334"  # Of another class, so that one of the two moves.
        before, after = ("a" + other + char, "a" + char + other) if combining == 1 else ("a" + char + other, "a" + other + char)
        if combining and nfd.normalize_str(before) == nfd.normalize_str(after):
            classes[code] = combining
            active.add(code)
    runs = []
    for code in sorted(classes):
        if runs and runs[-1][0] + runs[-1][1] == code and runs[-1][2] == classes[code]:
            runs[-1][1] += 1
        else:
            runs.append([code, 1, classes[code]])
    end = 0
    numbers = []
    for first, count, combining in runs:
        numbers += [base36(first - end), base36(count), base36(combining)]
        end = first + count
    return ranges(active), " ".join(numbers)


def constant(name, comment, text):
    lines = textwrap.wrap(text, 100, drop_whitespace=False, break_on_hyphens=False)
    quoted = "".join(f'  "{line}",\n' for line in lines)
    return f'\n/** {comment} */\nexport const {name} = [\n{quoted}].join("");\n'


def main():
    active, combining = normalized()
    words = parts_of_words()
    scripts = "".join(
        f"  {name}: [\n" + "".join(f'    "{line}",\n' for line in textwrap.wrap(ranges(matched_by(rf"\p{{{name}}}")), 100, drop_whitespace=False)) + '  ].join(""),\n'
        for name in SCRIPTS
    )
    TARGET.write_text(
        f"""// Generated from tokenizers {tokenizers.__version__} by conformance/tokenizer/make_unicode.py: the Unicode data that token ids depend on.
// It is part of the code because Node's own data changes from version to version. How it is written is said in classes.ts.

export const CATEGORY_NAMES = "{" ".join(CATEGORIES)}";
/** The letters that stand for them, in the same order. */
export const CATEGORY_LETTERS = "{LETTERS}";
"""
        + constant("CATEGORIES", r"General categories, of \p{L} and the like in regular expressions.", categories())
        + constant("WHITE_SPACE", r"\s, and what is stripped beside added tokens.", ranges(matched_by(r"\s")))
        + constant("WORD", "Parts of words, for added tokens that match whole words only and for the pre-tokenizer Whitespace.", ranges(words))
        + constant("WORD_DIFFERENCE", r"Where \w of other regular expressions differs from that.", ranges(words ^ matched_by(r"\w")))
        + constant("NUMERIC", "What the pre-tokenizer Digits takes for a digit.", ranges(split_off_by(pre_tokenizers.Digits(individual_digits=True))))
        + constant("PUNCTUATION", "What the pre-tokenizer Punctuation takes for punctuation.", ranges(split_off_by(pre_tokenizers.Punctuation())))
        + constant("LOWER_CASE", "The normalizer Lowercase.", lower_case())
        + constant("NORMALIZED", "Code points that the normal forms of Unicode change, join to others or move.", active)
        + constant("COMBINING", "Canonical combining classes: gap, number, class.", combining)
        + f"\nexport const SCRIPTS: Readonly<Record<string, string>> = {{\n{scripts}}};\n",
        encoding="utf-8",
    )


main()
