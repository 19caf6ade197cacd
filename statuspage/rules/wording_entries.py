"""What a rule of plain language is made of. The rules themselves are data: wording_technical.py and wording_plain.py."""

from dataclasses import dataclass
from enum import StrEnum


class Category(StrEnum):
    """What is wrong with a word or a sentence."""

    ADDRESS = "address"
    PROGRAM_TEXT = "program text"
    DATA = "data store"
    MACHINERY = "machinery"
    ERROR_CODE = "error code"
    JARGON = "jargon"
    BLAME = "blame"
    HARD = "hard to read"


@dataclass(frozen=True)
class Words:
    """Words or phrases to look for, with what to write in their place."""

    category: Category
    forms: str
    """Like ``mitigate = ease | mitigated = eased``: each form, and what can stand in its place as it is.

    Small letters match any case, a form with a capital only itself; a blank
    also matches a hyphen.
    """
    plain: str = ""
    """What to do instead, as a phrase; empty for saying the first form's replacement."""

    @property
    def name(self) -> str:
        """The first form."""
        return self.pairs[0][0]

    @property
    def pairs(self) -> tuple[tuple[str, str], ...]:
        """Every form with its replacement; empty where none fits as it is."""
        parts = (each.partition("=") for each in self.forms.split("|"))
        return tuple((form.strip(), replacement.strip()) for form, _, replacement in parts)

    @property
    def advice(self) -> str:
        """What to do instead."""
        return self.plain or say(self.pairs[0][1])


def say(replacement: str) -> str:
    """Return the advice to say something in place of what was found."""
    return f"say “{replacement}”"


@dataclass(frozen=True)
class Shape:
    """What is recognised by its shape: an address, a line of a program.

    Every repetition in the pattern has an upper bound, so that looking takes
    time in proportion to the text, whatever the text.
    """

    category: Category
    name: str
    pattern: str
    advice: str
    any_case: bool = False


def word_set(words: str) -> frozenset[str]:
    """Return the words of a list written with blanks."""
    return frozenset(words.split())
