"""What the rules of plain language mark in real status updates.

    python benchmarks/wording.py FOLDER [--sample COUNT] [--seed NUMBER]

FOLDER holds answers of Statuspage's API (JSON) and its feeds (Atom), in any
sub-folder. Prints the sentences read, the share that is marked, the findings
by category and by words; with ``--sample``, as many marked and unmarked
sentences at random, to be judged by hand.
"""

import argparse
import html
import json
import random
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree as ET

from statuspage.rules.wording import Finding, OwnWords, findings
from statuspage.rules.wording_sentences import sentences

ATOM = "{http://www.w3.org/2005/Atom}"
SHOWN = 60
TEXTS = ("body", "message", "postmortem_body")

Judged = dict[str, tuple[Finding, ...]]


def main() -> None:
    """Read the folder, print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--sample", type=int, default=0)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()

    texts, names = _read(asked.folder)
    judged = _judge(texts, OwnWords(allowed=tuple(sorted(names))))
    _print_figures(judged, len(texts))
    if asked.sample:
        _print_sample(judged, asked.sample, random.Random(asked.seed))


def _read(folder: Path) -> tuple[set[str], set[str]]:
    """Return the different texts in a folder, and the names of components."""
    texts, names = set[str](), set[str]()
    for path in sorted(folder.rglob("*")):
        if path.suffix == ".json":
            document = json.loads(path.read_text())
            texts |= set(_texts(document))
            names |= set(_components(document))
        elif path.suffix == ".atom":
            texts |= set(_entries(path))
    return texts, names


def _judge(texts: set[str], own: OwnWords) -> Judged:
    """Return every different sentence with what is marked in it."""
    judged: Judged = {}
    for text in sorted(texts):
        found = findings(text, own)
        for begin, end in sentences(text):
            sentence = " ".join(text[begin:end].split())
            judged.setdefault(sentence, tuple(each for each in found if begin <= each.start < end))
    return judged


def _print_figures(judged: Judged, texts: int) -> None:
    found = [each for marks in judged.values() for each in marks]
    marked = sum(1 for marks in judged.values() if marks)
    print(f"{texts} texts, {len(judged)} different sentences, {marked} marked ({marked / max(len(judged), 1):.1%})")
    for category, times in Counter(each.category.value for each in found).most_common():
        print(f"{times:6}  {category}")
    print("\nMarked most:")
    for words, times in Counter(f"{each.shown.lower()} [{each.category.value}]" for each in found).most_common(SHOWN):
        print(f"{times:6}  {words}")


def _print_sample(judged: Judged, size: int, chance: random.Random) -> None:
    """Print as many marked as unmarked sentences, to be judged by hand."""
    for title, wanted in (("Marked", True), ("Not marked", False)):
        chosen = [sentence for sentence, marks in judged.items() if bool(marks) is wanted]
        print(f"\n{title}:")
        for sentence in chance.sample(chosen, min(size, len(chosen))):
            print(f"- {sentence}")
            for each in judged[sentence]:
                print(f"      {each.shown} [{each.category.value}]: {each.plain}")


def _texts(document: object) -> Iterator[str]:
    """Yield every text for customers in an answer, whatever it is nested in."""
    if isinstance(document, dict):
        for name, value in document.items():
            if name in TEXTS and isinstance(value, str):
                yield _plain(value)
            else:
                yield from _texts(value)
    elif isinstance(document, list):
        for each in document:
            yield from _texts(each)


def _components(document: object) -> Iterator[str]:
    """Yield the names of components, which count as known to customers."""
    if isinstance(document, dict):
        for name, value in document.items():
            if name == "components" and isinstance(value, list):
                yield from (each["name"] for each in value if isinstance(each, dict) and "name" in each)
            else:
                yield from _components(value)
    elif isinstance(document, list):
        for each in document:
            yield from _components(each)


def _entries(path: Path) -> Iterator[str]:
    """Yield each update in a feed: Statuspage puts them into paragraphs behind their time and stage."""
    for content in ET.parse(path).iter(f"{ATOM}content"):
        for paragraph in re.split(r"</p>\s*<p><small>", content.text or ""):
            said = paragraph.partition("</strong> - ")[2]
            if said:
                yield _plain(said)


def _plain(text: str) -> str:
    """Take the markup away."""
    lines = re.sub(r"<(?:br|/p|/li|/h\d)\s*/?>", "\n\n", text)
    return html.unescape(re.sub(r"<[^<>]*>", "", lines)).replace("\r\n", "\n").strip()


if __name__ == "__main__":
    main()
