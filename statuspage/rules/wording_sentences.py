"""Sentences that are hard to read, by measure: length, passives, abstract nouns, syllables, capitals."""

import re
from collections.abc import Iterator

from statuspage.rules.wording_entries import word_set

LONGEST = 32
"""Words in a sentence that can still be read in one go."""
MOST_PASSIVES = 2
MOST_ABSTRACT = 4
LEAST_EASE = 0.0
"""Flesch's reading ease of a sentence; under 30 is said to need a degree."""
EASE_FROM = 18
"""Short sentences with a long name in them are not hard: only longer ones are measured."""
SHOUTED_FROM = 5

# A sentence ends at its mark or with its line.
_END = re.compile(r"[.!?…]{1,3}[)\"”’]{0,2}(?=\s|$)|\n|$")
_WORD = re.compile(r"[^\W\d_]+(?:[’'-][^\W\d_]+)*")
_BE = word_set("is are was were be been being gets got")
_BETWEEN = word_set("not also still now currently being fully partly already only never")
_IRREGULAR = word_set(
    "broken built caught chosen done driven found given held kept known led lost made met paid put read run seen sent "
    "set shown shut taken told thrown undone withdrawn written"
)
_ABSTRACT = re.compile(r"(?:tion|sion|ment|ance|ence|ity|isation|ization)s?$")
# What customers call by these names, and plain words that only look abstract.
_CONCRETE = word_set(
    "action addition application authentication city community comment connection connections department document "
    "documentation documents edition entity experience identity information instance instances integration "
    "integrations location maintenance mention moment notification notifications payment payments position question "
    "region section security session sessions since station statement subscription transaction transactions "
    "version"
)
_VOWELS = re.compile(r"[aeiouy]{1,10}")


def hard_sentences(text: str) -> Iterator[tuple[int, int, str]]:
    """Return where each sentence that is hard to read begins and ends, and what to do about it."""
    for begin, end in sentences(text):
        words = _WORD.findall(text[begin:end])
        advice = _advice(words)
        if advice:
            yield begin, end, advice


def sentences(text: str) -> Iterator[tuple[int, int]]:
    """Return where each sentence begins and ends."""
    begin = 0
    for match in _END.finditer(text):
        end = match.end()
        written = text[begin:end]
        inner = written.strip()
        if inner:
            start = begin + len(written) - len(written.lstrip())
            yield start, start + len(inner)
        begin = end


def _advice(words: list[str]) -> str:
    """Return what to do about a sentence of these words; empty if it reads well."""
    if len(words) >= SHOUTED_FROM and all(word.isupper() for word in words):
        return "write it in small letters"
    if len(words) > LONGEST:
        return f"split it: it has {len(words)} words"
    lower = [word.lower() for word in words]
    if _passives(lower) > MOST_PASSIVES:
        return "say who does what: “we restarted …” reads better than “… was restarted”"
    if sum(1 for word in lower if _is_abstract(word)) > MOST_ABSTRACT:
        return "use verbs: “we investigate” reads better than “an investigation”"
    if len(words) >= EASE_FROM and reading_ease(lower) < LEAST_EASE:
        return "use shorter words, or split it"
    return ""


def _passives(words: list[str]) -> int:
    """Count the participles that follow a form of to be, at most one word between them."""
    count = 0
    for before, last, word in zip(["", *words], words, words[1:], strict=False):
        is_after_be = last in _BE or (last in _BETWEEN and before in _BE)
        count += is_after_be and (word in _IRREGULAR or (word.endswith("ed") and len(word) > 4))
    return count


def _is_abstract(word: str) -> bool:
    return len(word) > 6 and word not in _CONCRETE and _ABSTRACT.search(word) is not None


def reading_ease(words: list[str]) -> float:
    """Return Flesch's reading ease of one sentence."""
    syllables = sum(
        max(1, len(_VOWELS.findall(word)) - (word.endswith("e") and not word.endswith("le"))) for word in words
    )
    return 206.835 - 1.015 * len(words) - 84.6 * syllables / len(words)
