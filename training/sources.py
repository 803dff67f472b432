"""Reads the table of sources that comes with a corpus, and prints the attribution for the weights.

    python training/sources.py path/to/corpus > models/tiny/SOURCES.md

A corpus folder holds `SOURCES.md` with one Markdown table per half of the corpus ("## Books", "## Documentation").
Every row gives the length in bytes of that source's part of the text files, and the parts follow each other in the
order of the rows, so the table is also what allows one source to be cut out of the files.
"""

import re
import sys
from dataclasses import dataclass
from pathlib import Path

ROW = re.compile(r"^\| `(?P<repository>[^`]+)` @ (?P<commit>[0-9a-f]+) \|(?P<rest>.*)\|\s*$")


@dataclass(frozen=True)
class Source:
    """One row: a repository at a commit, and how many bytes of the corpus come from it."""

    half: str  # "books" or "docs"
    repository: str
    commit: str
    title: str
    licence: str
    train_bytes: int
    heldout_bytes: int
    restricted: str  # why the text is not free everywhere; empty when it is


def read_sources(corpus: Path) -> list[Source]:
    """All rows of `SOURCES.md`, in the order in which their texts stand in the corpus files."""
    half = ""
    sources = []
    for line in (corpus / "SOURCES.md").read_text(encoding="utf-8").splitlines():
        if line.startswith("## "):
            half = {"Books": "books", "Documentation": "docs"}.get(line[3:].strip(), "")
        found = ROW.match(line)
        if found and half:
            cells = [cell.strip() for cell in found["rest"].split("|")]
            sources.append(_source(half, found["repository"], found["commit"], cells))
    if not sources:
        raise ValueError(f"{corpus / 'SOURCES.md'} has no row that names a source")
    return sources


def _source(half: str, repository: str, commit: str, cells: list[str]) -> Source:
    """The two tables differ: books end with a restriction, documentation has a licence in the second column."""
    if half == "books":
        title, _, train, _, heldout, restricted = cells
        licence = "US public domain; edition CC0-1.0"
    else:
        title, licence, _, train, _, heldout = cells
        restricted = ""
    return Source(half, repository, commit, title, licence, number(train), number(heldout), restricted)


def number(cell: str) -> int:
    return int(cell.replace(",", ""))


HEADER = """# Texts the weights were trained on

The works behind `model.safetensors`, with thanks to their authors, editors and contributors. This list is the
attribution that sources under the Creative Commons Attribution 4.0 licence (CC-BY-4.0,
<https://creativecommons.org/licenses/by/4.0/>) ask for, and it names the licence of every other source as well.

Each repository is `https://github.com/REPOSITORY`, read at the commit given. The texts were changed before training:
markup, tables, images, link addresses, footnotes, long code blocks and repeated paragraphs were removed, and
typographic quotes and dashes became ASCII. From large documentation sites a part of the pages was taken. "Bytes" is the
amount of text that was left for training; about 1 % more of the documents is held out for evaluation.
"""

BOOKS = """
## Books ({number}, {total} bytes)

Editions by Standard Ebooks. The works are believed to be in the public domain in the United States, and what the
editors added is dedicated to the public domain (CC0-1.0). Works of authors who died after 1955 were left out, because
many countries protect a work for 70 years after its author's death.

| Work | Repository | Commit | Bytes |
| --- | --- | --- | ---: |"""

DOCS = """
## Documentation ({number}, {total} bytes)

| Work and copyright | Licence | Repository | Commit | Bytes |
| --- | --- | --- | --- | ---: |"""


def attribution(sources: list[Source]) -> str:
    """The Markdown text of the attribution: only sources that are used."""
    used = [source for source in sources if not source.restricted]
    lines = [HEADER.rstrip("\n")]
    for half, heading in (("books", BOOKS), ("docs", DOCS)):
        rows = [source for source in used if source.half == half]
        lines.append(heading.format(number=len(rows), total=f"{sum(row.train_bytes for row in rows):,}"))
        for row in rows:
            licence = f"{row.licence} | " if half == "docs" else ""
            lines.append(f"| {row.title} | {licence}`{row.repository}` | `{row.commit}` | {row.train_bytes:,} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python training/sources.py path/to/corpus > SOURCES.md")
    print(attribution(read_sources(Path(sys.argv[1]))), end="")
