"""What every HTML page must hold to, whoever made it."""

import itertools
import re
from collections import Counter
from xml.etree.ElementTree import Element

import html5lib

_LABELLED = ("input", "select", "textarea")


def check_page(html: str) -> Element:
    """Parse a page strictly and check it; return its root element.

    Valid HTML, one h1, a title that is not empty, a language, no id twice, a label
    for every control, headings that skip no level, nothing from elsewhere.
    """
    root: Element = html5lib.HTMLParser(strict=True, namespaceHTMLElements=False).parse(html)
    elements = list(root.iter())
    named = [element for element in elements if isinstance(element.tag, str)]
    assert root.get("lang"), "no language"
    titles = [element for element in named if element.tag == "title"]
    assert (titles[0].text or "").strip(), "no title"
    levels = [int(element.tag[1]) for element in named if re.fullmatch("h[1-6]", element.tag)]
    assert levels.count(1) == 1, f"{levels.count(1)} h1"
    for before, after in itertools.pairwise(levels):
        assert after <= before + 1, f"h{after} after h{before}"
    ids = Counter(element.get("id") for element in named if element.get("id"))
    assert not [name for name, count in ids.items() if count > 1], f"ids twice: {ids.most_common(3)}"
    _check_labels(named)
    for element in named:
        for attribute in ("src", "action", "style", "onclick", "onload"):
            value = element.get(attribute, "")
            assert attribute in ("src", "action") or not value, f"{attribute} on {element.tag}"
            assert not re.match("(https?:)?//", value), f"{value} is from elsewhere"
        for reference in (element.get("aria-describedby", "") + " " + element.get("aria-labelledby", "")).split():
            assert reference in ids, f"nothing has the id {reference}"
    return root


def _check_labels(named: list[Element]) -> None:
    wrapped = {id(control) for label in named if label.tag == "label" for control in label.iter()}
    targets = {label.get("for") for label in named if label.tag == "label"}
    for control in named:
        if control.tag not in _LABELLED or control.get("type") == "hidden" or control.get("hidden") is not None:
            continue
        labelled = id(control) in wrapped or control.get("id") in targets or control.get("aria-label")
        assert labelled, f"{control.tag} {control.get('name')} has no label"


def text_of(element: Element) -> str:
    """Return the text inside an element, white space folded."""
    return " ".join("".join(element.itertext()).split())
