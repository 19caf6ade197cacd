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
import xml.etree.ElementTree as ElementTree
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from statuspage.rules.wording import OwnWords, findings
from statuspage.rules.wording_sentences import sentences

ATOM = "{http://www.w3.org/2005/Atom}"
TEXTS = ("body", "message", "postmortem_body")


def main() -> None:
    """Read the folder, print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--sample", type=int, default=0)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()

    texts, names = set[str](), set[str]()
    for path in sorted(each for each in asked.folder.rglob("*") if each.is_file()):
        if path.suffix == ".json":
            document = json.loads(path.read_text())
            texts |= set(_texts(document))
            names |= set(_components(document))
        elif path.suffix == ".atom":
            texts |= set(_entries(path))
    own = OwnWords(allowed=tuple(sorted(names)))

    marked: list[tuple[str, list[str]]] = []
    unmarked: list[str] = []
    categories, words = Counter[str](), Counter[str]()
    for text in sorted(texts):
        found = findings(text, own)
        for begin, end in sentences(text):
            here = [each for each in found if begin <= each.start < end]
            sentence = " ".join(text[begin:end].split())
            if here:
                marked.append((sentence, [f"{each.shown} [{each.category.value}]" for each in here]))
            else:
                unmarked.append(sentence)
            categories.update(each.category.value for each in here)
            words.update(f"{each.shown.lower()} [{each.category.value}]" for each in here if each.end < end or each.start > begin)

    count = len(marked) + len(unmarked)
    print(f"{len(texts)} texts, {count} sentences, {len(marked)} marked ({len(marked) / max(count, 1):.1%})")
    for name, times in categories.most_common():
        print(f"{times:6}  {name}")
    print("\nMarked most:")
    for name, times in words.most_common(60):
        print(f"{times:6}  {name}")
    if asked.sample:
        chance = random.Random(asked.seed)
        print("\nMarked:")
        for sentence, why in chance.sample(marked, min(asked.sample, len(marked))):
            print(f"- {sentence}\n      {'; '.join(why)}")
        print("\nNot marked:")
        for sentence in chance.sample(unmarked, min(asked.sample, len(unmarked))):
            print(f"- {sentence}")


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
    for content in ElementTree.parse(path).iter(f"{ATOM}content"):
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
