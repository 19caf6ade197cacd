"""Plain language: what readers of a text for customers may not understand, with the plain alternative.

The rules are data (wording_technical.py, wording_plain.py). They mark words
and never change a text: whoever writes decides.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from statuspage.rules import wording_plain, wording_sentences, wording_technical
from statuspage.rules.wording_entries import Category, Shape, Words, say, word_set

SHAPES: tuple[Shape, ...] = wording_technical.SHAPES
WORDS: tuple[Words, ...] = (
    *wording_technical.WORDS,
    *wording_plain.JARGON,
    *wording_plain.BLAME,
    *wording_plain.HARD,
)
TEXT_LIMIT = 20_000
"""Nothing is looked for beyond this many characters."""

# Links and mail addresses are for customers to follow: their words are no words of the text.
_LINK = re.compile(r"https?://[^\s<>()\"]{1,2000}|[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}")
_WORD = re.compile(r"[^\W_]+(?:[’'][^\W_]+)?")
_INTERNAL = re.compile(r"\.(?:internal|local|lan|corp|intra)(?![\w.-])|//(?:localhost|\d{1,3}\.\d)", re.IGNORECASE)
_SHAPES = tuple((shape, re.compile(shape.pattern, re.IGNORECASE if shape.any_case else 0)) for shape in SHAPES)

# First names that are words of their own: alone they are not taken for a person.
_ALSO_WORDS = word_set(
    "admin angel april art august bill bob buck carol chase chip chuck cliff comms crystal dale daisy dawn dean "
    "destiny do don drew duke earl engineer engineering eve faith frank gene glen grace grant guy harmony heather hope "
    "hunter iris ivy jack jasmine jay jean joy june kit lane lead lily long major mark max may melody merit misty nick "
    "olive operations operator page pat pearl penny petty pierce ray reed responder rich rob robin rock rocky root rose "
    "ruby rusty sage sandy saul scout sky sonny sterling sue summer sunny support team teddy test trinity user victor "
    "viewer violet wade will woody young"
)


@dataclass(frozen=True)
class Finding:
    """Words that readers may not understand, and where they stand."""

    start: int
    end: int
    found: str
    category: Category
    plain: str
    """What to do instead."""
    replacement: str = ""
    """What can stand in their place as it is; empty if they have to be rewritten."""

    @property
    def is_said(self) -> bool:
        """Whether the advice is to say just the replacement."""
        return self.plain.lower() == say(self.replacement).lower()

    @property
    def shown(self) -> str:
        """The words, a long sentence by its beginning."""
        return self.found if len(self.found) <= SHOWN else f"{self.found[: SHOWN - 1].rstrip()}…"


SHOWN = 60


@dataclass(frozen=True)
class OwnWords:
    """What only this installation knows."""

    internal: tuple[str, ...] = ()
    """Names of services and machines that customers don't know."""
    allowed: tuple[str, ...] = ()
    """Words that its customers do know: the names of components, and what an administrator allowed."""
    people: tuple[str, ...] = ()
    """Names of the people who have an account."""


NOTHING_OWN = OwnWords()


def findings(text: str, own: OwnWords = NOTHING_OWN) -> tuple[Finding, ...]:
    """Return what readers may not understand, in the text's order; words never overlap, sentences may hold some."""
    looked_at = text[:TEXT_LIMIT]
    plain = _LINK.sub(_hidden, looked_at)
    tokens = [(match.start(), match.end(), match[0].lower().replace("’", "'")) for match in _WORD.finditer(plain)]
    marked = [*_shapes(plain), *_phrases(plain, tokens, _INDEX), *_phrases(plain, tokens, _own_index(own))]
    allowed = _spans(plain, tokens, (*wording_technical.ALLOWED, *own.allowed))
    kept = [each for each in marked if not any(begin <= each.start and each.end <= end for begin, end in allowed)]
    return tuple(sorted([*_apart(kept), *_sentences(plain, looked_at)], key=lambda each: (each.start, each.end)))


def warnings(text: str, own: OwnWords = NOTHING_OWN) -> tuple[Finding, ...]:
    """Return the findings in a text, the same words once."""
    told: dict[str, Finding] = {}
    for each in findings(text, own):
        told.setdefault(each.found.lower(), each)
    return tuple(told.values())


@dataclass(frozen=True)
class _Phrase:
    tokens: tuple[str, ...]
    form: str
    is_exact: bool
    """Whether it is only meant as it is written: ``RAM``, not ``ram``."""
    category: Category
    plain: str
    replacement: str


_Index = dict[str, list[_Phrase]]
_Token = tuple[int, int, str]


def _index(phrases: Iterable[_Phrase]) -> _Index:
    made: _Index = {}
    for phrase in phrases:
        if phrase.tokens:
            made.setdefault(phrase.tokens[0], []).append(phrase)
    return made


def _phrase(form: str, category: Category, plain: str, replacement: str, *, is_exact: bool) -> _Phrase:
    tokens = tuple(match[0].lower().replace("’", "'") for match in _WORD.finditer(form))
    return _Phrase(tokens, form, is_exact, category, plain, replacement)


_INDEX = _index(
    _phrase(
        form,
        words.category,
        # The form that fits what was found, unless there is more to say.
        words.plain or (say(replacement) if replacement else words.advice),
        replacement,
        is_exact=form != form.lower(),
    )
    for words in WORDS
    for form, replacement in words.pairs
)


def _own_index(own: OwnWords) -> _Index:
    service, person = "say which feature customers use", "leave the name out: say what happened, not who did it"
    phrases = [_phrase(each, Category.MACHINERY, service, "", is_exact=False) for each in own.internal]
    for name in own.people:
        parts = name.split()
        if len(parts) > 1:
            phrases.append(_phrase(name, Category.BLAME, person, "", is_exact=False))
        first = parts[0] if parts else ""
        if len(first) > 2 and first.isalpha() and first.lower() not in _ALSO_WORDS:
            phrases.append(_phrase(first.capitalize(), Category.BLAME, person, "", is_exact=True))
    return _index(phrases)


def _hidden(link: re.Match[str]) -> str:
    """Blank out a link, unless it leads to where customers can't go."""
    return link[0] if _INTERNAL.search(link[0]) else "\x00" * len(link[0])


def _shapes(text: str) -> Iterator[Finding]:
    for shape, pattern in _SHAPES:
        for match in pattern.finditer(text):
            yield Finding(match.start(), match.end(), match[0], shape.category, shape.advice)


def _phrases(text: str, tokens: list[_Token], index: _Index) -> Iterator[Finding]:
    """Find phrases word by word, the longest that fits at each."""
    for position, (start, _, word) in enumerate(tokens):
        fitting = [each for each in index.get(word, ()) if _fits(each, text, tokens, position)]
        if fitting:
            phrase = max(fitting, key=lambda each: len(each.tokens))
            end = tokens[position + len(phrase.tokens) - 1][1]
            found = text[start:end]
            yield Finding(start, end, found, phrase.category, phrase.plain, _like(found, phrase.replacement))


def _fits(phrase: _Phrase, text: str, tokens: list[_Token], position: int) -> bool:
    """Whether the phrase stands here, its words with one blank, line end or hyphen between them."""
    last = position + len(phrase.tokens) - 1
    if last >= len(tokens):
        return False
    for offset, word in enumerate(phrase.tokens):
        start, _, found = tokens[position + offset]
        if found != word:
            return False
        between = text[tokens[position + offset - 1][1] : start] if offset else " "
        if between not in (" ", "-", "\n", "/"):
            return False
    begin, end = tokens[position][0], tokens[last][1]
    if phrase.is_exact and text[begin:end].replace("-", " ").replace("\n", " ") != phrase.form:
        return False
    # A part of a name, such as cache.example.com or my_node, is no word of its own.
    return text[begin - 1 : begin] not in ("_", "@", "/", ".") and not (
        text[end : end + 1] in ("_", "@") or (text[end : end + 1] == "." and text[end + 1 : end + 2].isalnum())
    )


def _like(found: str, replacement: str) -> str:
    """Write a replacement with the capital of what it stands for."""
    if replacement and found[0].isupper() and not (len(found) > 1 and found.isupper()):
        return replacement[0].upper() + replacement[1:]
    return replacement


def _spans(text: str, tokens: list[_Token], phrases: tuple[str, ...]) -> list[tuple[int, int]]:
    index = _index(_phrase(each, Category.MACHINERY, "", "", is_exact=False) for each in phrases)
    return [(each.start, each.end) for each in _phrases(text, tokens, index)]


def _apart(found: Iterable[Finding]) -> Iterator[Finding]:
    """Leave out what overlaps something that begins earlier, or at the same place and is longer."""
    end = -1
    for each in sorted(found, key=lambda each: (each.start, -each.end)):
        if each.start >= end:
            yield each
            end = each.end


def _sentences(plain: str, text: str) -> Iterator[Finding]:
    for begin, end, advice in wording_sentences.hard_sentences(plain):
        yield Finding(begin, end, text[begin:end], Category.HARD, advice)


def in_words(found: Iterable[Finding]) -> tuple[str, ...]:
    """Return the words alone, as an override of them is recorded; the same once."""
    return tuple(dict.fromkeys(each.shown for each in found))


def has_words(text: str) -> bool:
    """Tell whether there is anything in a text that could be marked as a word."""
    return _WORD.search(text) is not None
