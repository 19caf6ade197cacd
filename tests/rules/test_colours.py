"""The accent can be read, whatever was wished for."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from statuspage.rules.branding import OWN_SHADES
from statuspage.rules.colours import DARK_GROUNDS, ENOUGH, LIGHT_GROUNDS, check_colour, contrast, luminance, shades
from statuspage.rules.vocabulary import RuleBroken

STYLES = (Path(__file__).resolve().parents[2] / "static" / "base.css").read_text(encoding="utf-8")
COLOURS = st.integers(0, 0xFFFFFF).map(lambda number: f"#{number:06x}")


@pytest.mark.parametrize(
    ("one", "other", "ratio"),
    [
        ("#000000", "#ffffff", 21.0),
        ("#ffffff", "#ffffff", 1.0),
        # The textbook pair: the lightest grey that passes on white.
        ("#767676", "#ffffff", 4.54),
        ("#ffffff", "#767676", 4.54),
        ("#ff0000", "#ffffff", 4.0),
    ],
)
def test_contrast_is_that_of_wcag(one: str, other: str, ratio: float) -> None:
    assert contrast(one, other) == pytest.approx(ratio, abs=0.005)


def test_luminance_goes_from_black_to_white() -> None:
    assert (luminance("#000000"), luminance("#ffffff")) == (0, pytest.approx(1))


@given(wish=COLOURS)
def test_any_accent_can_be_read_on_every_ground_and_carries_readable_words(wish: str) -> None:
    used = shades(wish)
    for shade, grounds in ((used.light, LIGHT_GROUNDS), (used.dark, DARK_GROUNDS)):
        assert all(contrast(shade.accent, ground) >= ENOUGH for ground in grounds)
        assert contrast(shade.accent, shade.on_accent) >= ENOUGH


@pytest.mark.parametrize(
    ("wish", "light", "dark"),
    [
        # Dark enough as it is; the dark scheme needs it lighter.
        ("#2f4cc2", "#2f4cc2", "#7c8ed8"),
        # Light enough as it is; the light scheme needs it darker.
        ("#f5a623", "#906215", "#f5a623"),
        ("#000000", "#000000", "#919191"),
        ("#ffffff", "#6b6b6b", "#ffffff"),
    ],
)
def test_what_can_be_read_stays_and_what_cannot_moves_no_further_than_needed(wish: str, light: str, dark: str) -> None:
    used = shades(wish)
    assert (used.light.accent, used.dark.accent) == (light, dark)


@given(wish=COLOURS)
def test_what_was_corrected_is_not_corrected_again(wish: str) -> None:
    used = shades(wish)
    assert shades(used.light.accent).light == used.light
    assert shades(used.dark.accent).dark == used.dark


@pytest.mark.parametrize(
    ("typed", "read"),
    [("#2f4cc2", "#2f4cc2"), (" 2F4CC2 ", "#2f4cc2"), ("#abc", "#aabbcc"), ("", ""), ("  ", "")],
)
def test_a_colour_is_read_as_people_write_it(typed: str, read: str) -> None:
    assert check_colour(typed) == read


@pytest.mark.parametrize("typed", ["blue", "#12345", "#1234567", "#gggggg", "rgb(1,2,3)", "#12345٣", "#fff; }"])
def test_anything_else_is_refused(typed: str) -> None:
    with pytest.raises(RuleBroken) as refused:
        check_colour(typed)
    assert set(refused.value.errors) == {"accent"}


def test_the_grounds_and_the_products_own_shades_are_those_of_the_styles() -> None:
    light, dark = STYLES.split("@media (prefers-color-scheme: dark)")[:2]
    for part, grounds, shade in ((light, LIGHT_GROUNDS, OWN_SHADES.light), (dark, DARK_GROUNDS, OWN_SHADES.dark)):
        named = dict(re.findall(r"(--[a-z-]+): (#[0-9a-f]{3,6});", part))
        whole = {name: check_colour(value) for name, value in named.items()}
        assert {whole[name] for name in whole if name.endswith("-bg") or name in ("--bg", "--surface", "--sunken")} == {
            *grounds
        }
        assert (whole["--accent"], whole["--on-accent"]) == (shade.accent, shade.on_accent)
