"""What changed between two texts, line by line."""

import difflib
from dataclasses import dataclass
from enum import StrEnum


class Mark(StrEnum):
    """What became of a line."""

    SAME = "same"
    REMOVED = "removed"
    ADDED = "added"


@dataclass(frozen=True)
class Line:
    """One line, and what became of it."""

    mark: Mark
    text: str


def compare(before: str, after: str) -> tuple[Line, ...]:
    """Return the lines of both texts in order; of a changed line the old one first."""
    old, new = before.split("\n"), after.split("\n")
    found: list[Line] = []
    matcher = difflib.SequenceMatcher(None, old, new, autojunk=False)
    for _, old_begin, old_end, new_begin, new_end in matcher.get_opcodes():
        if old[old_begin:old_end] == new[new_begin:new_end]:
            found += [Line(Mark.SAME, line) for line in old[old_begin:old_end]]
            continue
        found += [Line(Mark.REMOVED, line) for line in old[old_begin:old_end]]
        found += [Line(Mark.ADDED, line) for line in new[new_begin:new_end]]
    return tuple(found)
