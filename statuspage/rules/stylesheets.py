"""A page's own CSS, checked: plain rules that load nothing and run nothing, or a line and a reason why not."""

import re
from collections.abc import Iterator

from statuspage.rules.vocabulary import RuleBroken

SIZE_LIMIT = 20_000
# Whatever is not here is refused: a list of what is dangerous is never complete.
FUNCTIONS = frozenset(
    {
        *("var", "calc", "min", "max", "clamp", "counter"),
        *("rgb", "rgba", "hsl", "hsla", "hwb", "lab", "lch", "oklab", "oklch", "color-mix", "light-dark"),
        *("linear-gradient", "radial-gradient", "conic-gradient"),
        *("repeating-linear-gradient", "repeating-radial-gradient"),
        *("translate", "translatex", "translatey", "scale", "rotate", "cubic-bezier", "steps"),
        *("blur", "brightness", "contrast", "drop-shadow", "grayscale", "opacity", "saturate"),
        *("polygon", "circle", "ellipse", "inset", "repeat", "minmax", "fit-content"),
    }
)
# They load or run something in one browser or another, old ones included.
_FORBIDDEN = frozenset({"behavior", "-moz-binding", "src", "-ms-behavior", "cursor"})
_STRING = r"\"[^\"\n]*\"|'[^'\n]*'"
# Read in one go, as browsers do: what looks like a comment in a string is none, and the other way round.
_STRING_OR_COMMENT = re.compile(rf"{_STRING}|/\*.*?\*/", re.DOTALL)
_UP_TO_SIGN = re.compile(rf"(?:{_STRING}|[^\"'{{}};])*")
_SELECTOR = re.compile(rf"(?:{_STRING}|[A-Za-z0-9_\s.#*:\[\]=~^$|()>+,-])+")
_MEDIA = re.compile(r"@media\s[A-Za-z0-9\s():.,<>=-]+")
_DECLARATION = re.compile(rf"\s*(--[A-Za-z0-9_-]+|-?[a-z][a-z-]*)\s*:\s*((?:{_STRING}|[A-Za-z0-9_\s#.,%()/*+!-])+)")
_FUNCTION = re.compile(r"([A-Za-z_-][A-Za-z0-9_-]*)\s*\(")


class _Refused(Exception):
    def __init__(self, position: int, reason: str) -> None:
        super().__init__(reason)
        self.position = position


def check_css(text: str) -> str:
    """Return the CSS as it was typed. Raises RuleBroken on ``custom_css``, with the line and the reason."""
    plain = text.replace("\r\n", "\n").rstrip()
    if len(plain.encode()) > SIZE_LIMIT:
        raise RuleBroken({"custom_css": f"This is too long: {SIZE_LIMIT // 1000} kB at most."})
    # Comments become blanks of the same length, so that every place keeps its line.
    bare = _STRING_OR_COMMENT.sub(_without_comment, plain)
    try:
        for position, sign, reason in _unwanted(bare):
            raise _Refused(position, f"{reason} ({sign})")
        end = _check_rules(bare, 0, nested=False)
        if end < len(bare):
            raise _Refused(end, "a closing } too many")
    except _Refused as refused:
        line = bare.count("\n", 0, refused.position) + 1
        raise RuleBroken({"custom_css": f"Line {line}: {refused}."}) from None
    return plain.lstrip()


def _without_comment(found: re.Match[str]) -> str:
    return re.sub(r"[^\n]", " ", found[0]) if found[0].startswith("/*") else found[0]


def _unwanted(text: str) -> Iterator[tuple[int, str, str]]:
    """Find signs that have no place anywhere, in strings neither."""
    found = re.search(r"/\*|\*/|\\|</|<!|-->|[^\n\t\x20-\x7e\xa0-\U0010ffff]", text)
    if found is not None:
        reasons = {"/*": "a comment that never ends", "*/": "the end of a comment that never began"}
        sign = found[0] if found[0].isprintable() else f"U+{ord(found[0]):04X}"
        yield found.start(), sign, reasons.get(found[0], "this sign is not allowed")


def _check_rules(text: str, start: int, *, nested: bool) -> int:
    """Check rule after rule; return where they end: at the end of the text, or at the brace that closes the block."""
    position = start
    while True:
        position += len(text[position:]) - len(text[position:].lstrip())
        if position == len(text) or text[position] == "}":
            if nested and position == len(text):
                raise _Refused(start, "this block is never closed")
            return position
        begin, position = position, _UP_TO_SIGN.match(text, position).end()  # type: ignore[union-attr]
        prelude = text[begin:position]
        if position == len(text) or text[position] != "{":
            raise _Refused(begin, _why_no_rule(prelude))
        if prelude.startswith("@"):
            if nested or not _MEDIA.fullmatch(prelude):
                raise _Refused(begin, _why_no_rule(prelude))
            position = _check_rules(text, position + 1, nested=True) + 1
        elif not _SELECTOR.fullmatch(prelude):
            raise _Refused(begin, "this is no selector that is allowed")
        else:
            position = _check_declarations(text, position + 1)


def _why_no_rule(prelude: str) -> str:
    if prelude.startswith("@"):
        return f"{prelude.split(maxsplit=1)[0][:30]} is not allowed here; of all @ rules only a plain @media is"
    return "a rule is expected here, like .top { … }"


def _check_declarations(text: str, position: int) -> int:
    """Check a block of declarations; return the place behind the brace that closes it."""
    start = position
    while True:
        end = _UP_TO_SIGN.match(text, position).end()  # type: ignore[union-attr]
        if end == len(text) or text[end] == "{":
            raise _Refused(start, "this block is never closed")
        if text[end] in "\"'":
            raise _Refused(end, "a quotation mark is missing")
        if text[position:end].strip():
            _check_declaration(text[position:end], position)
        if text[end] == "}":
            return end + 1
        position = end + 1


def _check_declaration(text: str, position: int) -> None:
    position += len(text) - len(text.lstrip())
    match = _DECLARATION.fullmatch(text)
    functions = [name.lower() for name in _FUNCTION.findall(re.sub(_STRING, '""', text))]
    unknown = next((name for name in functions if name not in FUNCTIONS), None)
    if unknown is not None:
        raise _Refused(position, f"{unknown}() is not allowed")
    if match is None:
        raise _Refused(position, f"this can’t be read: {' '.join(text.split())[:40]}")
    if match[1] in _FORBIDDEN:
        raise _Refused(position, f"{match[1]} is not allowed")
