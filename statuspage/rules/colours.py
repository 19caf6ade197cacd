"""Colours that can be read: the page's accent, corrected until its contrast is enough in light and dark."""

import re
from dataclasses import dataclass

from statuspage.rules.vocabulary import RuleBroken

Colour = tuple[int, int, int]

# WCAG 2.2, 1.4.3: text of any size.
ENOUGH = 4.5
# Whatever the accent stands on in static/base.css.
LIGHT_GROUNDS = ("#ffffff", "#f7f7f5", "#efefec", "#e6f3ea", "#fdf1d8", "#fce8e6", "#e6eef8")
DARK_GROUNDS = ("#131518", "#1c1f24", "#24282e", "#15301f", "#36290d", "#411c19", "#17293f")
BLACK, WHITE = "#10142a", "#ffffff"
_TYPED = re.compile(r"#?([0-9a-f]{6}|[0-9a-f]{3})", re.IGNORECASE)


@dataclass(frozen=True)
class Shade:
    """An accent that can be read on every ground of a scheme, and what can be read on it."""

    accent: str
    on_accent: str


@dataclass(frozen=True)
class Shades:
    """The accent as it is used: in the light scheme and in the dark one."""

    light: Shade
    dark: Shade


def check_colour(text: str) -> str:
    """Return a colour as ``#2f4cc2``; empty for none. Raises RuleBroken on ``accent``."""
    plain = text.strip()
    if not plain:
        return ""
    match = _TYPED.fullmatch(plain)
    if match is None:
        raise RuleBroken({"accent": "Please give a colour like #2f4cc2, or leave this empty."})
    digits = match[1].lower()
    return f"#{digits if len(digits) == 6 else ''.join(digit * 2 for digit in digits)}"


def luminance(colour: str) -> float:
    """Return the relative luminance of a colour, 0 to 1 (WCAG 2.2)."""
    red, green, blue = (_linear(part / 255) for part in _parts(colour))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    """Return the contrast ratio of two colours, 1 to 21 (WCAG 2.2)."""
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def shades(wish: str) -> Shades:
    """Return the accent for both schemes: the wish, or the nearest shade of it that can be read there."""
    light, dark = _readable(wish, LIGHT_GROUNDS, "#000000"), _readable(wish, DARK_GROUNDS, WHITE)
    return Shades(Shade(light, _on(light)), Shade(dark, _on(dark)))


def _readable(wish: str, grounds: tuple[str, ...], towards: str) -> str:
    """Mix in as little black or white as will do: so its hue stays."""
    for step in range(256):
        mixed = _mixed(wish, towards, step / 255)
        if all(contrast(mixed, ground) >= ENOUGH for ground in grounds):
            return mixed
    return towards


def _on(accent: str) -> str:
    return max((WHITE, BLACK), key=lambda colour: contrast(colour, accent))


def _mixed(colour: str, other: str, share: float) -> str:
    pairs = zip(_parts(colour), _parts(other), strict=True)
    return "#" + "".join(f"{round(part + (goal - part) * share):02x}" for part, goal in pairs)


def _parts(colour: str) -> Colour:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def _linear(part: float) -> float:
    return part / 12.92 if part <= 0.04045 else float(((part + 0.055) / 1.055) ** 2.4)
