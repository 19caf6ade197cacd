"""The badge, the icon and security.txt: small files that say one thing right."""

import struct
import zlib
from collections.abc import Callable
from datetime import datetime, timedelta
from xml.etree.ElementTree import Element, fromstring

import pytest
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st

from statuspage.actions import components
from statuspage.rules.vocabulary import ComponentState
from statuspage.settings import Settings
from statuspage.site import publisher, snapshot
from statuspage.site.badge import NAME_LENGTH, badge, favicon_ico, text_width
from statuspage.site.contact import security_txt
from statuspage.site.feeds import clean
from statuspage.site.page import Entry, Front
from tests import builders
from tests.site import entries
from tests.site.entries import NOW

SVG = "{http://www.w3.org/2000/svg}"
OPERATIONAL, DEGRADED, DOWN = ComponentState.OPERATIONAL, ComponentState.DEGRADED, ComponentState.OUTAGE


def drawn(
    state: ComponentState = OPERATIONAL,
    *,
    opened: tuple[Entry, ...] = (),
    planned: tuple[Entry, ...] = (),
    name: str = "",
) -> Element:
    front = Front(state=state, groups=(), open_incidents=opened, maintenances=planned, days=())
    return fromstring(badge(entries.frame(name=name or "Larkspur"), front, NOW))


def said(picture: Element) -> str:
    return picture.findtext(f"{SVG}title") or ""


@pytest.mark.parametrize(
    ("state", "words", "shape"),
    [
        (OPERATIONAL, "All systems operational", "circle"),
        (DEGRADED, "Some systems are degraded", "path"),
        (DOWN, "Some systems are down", "rect"),
    ],
)
def test_a_badge_says_the_state_by_word_and_shape(state: ComponentState, words: str, shape: str) -> None:
    picture = drawn(state)
    assert said(picture) == f"Larkspur status: {words}"
    assert words in [text.text for text in picture.iter(f"{SVG}text")]
    (mark,) = [each for each in picture.iter() if each.get("class") == state.value]
    assert mark.tag == f"{SVG}{shape}"


def test_running_maintenance_shows_while_nothing_is_wrong() -> None:
    running = entries.window(label="In progress")
    assert said(drawn(planned=(running,))) == "Larkspur status: Under maintenance"
    assert said(drawn(DOWN, planned=(running,))) == "Larkspur status: Some systems are down"
    assert said(drawn(planned=(entries.window(),))) == "Larkspur status: All systems operational"


@pytest.mark.parametrize(
    ("due", "words"),
    [
        (timedelta(minutes=30), "next update by 14:30 UTC"),
        (timedelta(hours=11), "next update by 22 Nov 2026, 01:00 UTC"),
        (timedelta(minutes=-1), "update is late"),
    ],
)
def test_a_badge_says_when_the_next_update_is_due(due: timedelta, words: str) -> None:
    later = entries.incident("second000000", next_update_by=NOW + timedelta(days=3))
    picture = drawn(DOWN, opened=(later, entries.incident(next_update_by=NOW + due), entries.incident("third0000000")))
    assert said(picture) == f"Larkspur status: Some systems are down · {words}"


@given(name=st.text(st.characters(exclude_categories=()), max_size=100))
def test_any_name_fits_into_the_badge(name: str) -> None:
    picture = drawn(name=name)
    first, second = picture.iter(f"{SVG}text")
    assert len(first.text or "") <= NAME_LENGTH
    assert (first.text or "")[: NAME_LENGTH - 1] == " ".join(clean(name or "Larkspur").split())[: NAME_LENGTH - 1]
    for text in (first, second):
        assert int(text.get("textLength", "")) == text_width(text.text or "")
    assert int(second.get("x", "")) + int(second.get("textLength", "")) < int(picture.get("width", ""))


@pytest.mark.parametrize("state", list(ComponentState))
def test_the_icon_is_a_picture_in_a_frame(state: ComponentState) -> None:
    icon = favicon_ico(state)
    assert struct.unpack("<HHH", icon[:6]) == (0, 1, 1)
    width, height, _, _, _, bits, length, offset = struct.unpack("<BBBBHHII", icon[6:22])
    picture = icon[offset:]
    assert (width, height, bits, length) == (32, 32, 32, len(picture))
    assert picture.startswith(b"\x89PNG\r\n\x1a\n")
    at = 8
    chunks = {}
    while at < len(picture):
        (size,) = struct.unpack(">I", picture[at : at + 4])
        kind, data = picture[at + 4 : at + 8], picture[at + 8 : at + 8 + size]
        assert struct.unpack(">I", picture[at + 8 + size : at + 12 + size]) == (zlib.crc32(kind + data),)
        chunks[kind] = data
        at += 12 + size
    assert len(zlib.decompress(chunks[b"IDAT"])) == 32 * (1 + 32 * 4)
    assert len({favicon_ico(each) for each in ComponentState}) == 3


@pytest.mark.parametrize(
    ("support_url", "mail_from", "contact"),
    [
        ("https://help.example.com/", "status@example.com", "https://help.example.com/"),
        ("mailto:help@example.com", "", "mailto:help@example.com"),
        # The RFC takes web addresses over https only.
        ("http://help.example.com/", "Status <status@example.com>", "mailto:status@example.com"),
        ("", "status@example.com", "mailto:status@example.com"),
        ("", "status@localhost", None),
        ("", "", None),
    ],
)
def test_security_txt_names_who_can_be_told(support_url: str, mail_from: str, contact: str | None) -> None:
    made = security_txt(entries.frame(support_url=support_url), mail_from, NOW)
    assert (made.decode().splitlines()[0] if made else None) == (f"Contact: {contact}" if contact else None)


def test_security_txt_runs_out_within_a_year_and_names_itself() -> None:
    https = entries.frame(public_url="https://status.example.com")
    made = security_txt(https, "status@example.com", NOW)
    assert made is not None
    fields = dict(line.split(": ", 1) for line in made.decode().splitlines())
    assert fields["Expires"] == "2027-05-20T00:00:00Z"
    assert fields["Canonical"] == "https://status.example.com/.well-known/security.txt"


# --- from the database to the folder ---------------------------------------


@pytest.fixture
def writer(app: Flask, now: datetime) -> str:
    builders.page(now - timedelta(days=40))
    return builders.account(now)


@pytest.fixture
def read(settings: Settings) -> Callable[[str], bytes]:
    return lambda path: (settings.site_dir / snapshot.file_name(path)).read_bytes()


def test_badge_and_icon_follow_an_incident_and_its_promise(
    writer: str, settings: Settings, now: datetime, read: Callable[[str], bytes]
) -> None:
    publisher.refresh(settings, now)
    icon = read("/favicon.ico")
    assert "All systems operational" in read("/badge.svg").decode()
    builders.acknowledged(writer, {builders.component(now): DOWN}, now)
    publisher.refresh(settings, now)
    assert "Some systems are down · next update by 14:30 UTC" in read("/badge.svg").decode()
    assert read("/favicon.ico") != icon
    publisher.refresh(settings, now + timedelta(minutes=31))
    assert "update is late" in read("/badge.svg").decode()


def test_a_new_day_puts_the_expiry_of_security_txt_off(
    writer: str, settings: Settings, now: datetime, read: Callable[[str], bytes]
) -> None:
    components.edit_page("Larkspur", "Etc/UTC", "https://help.example.com/", writer, now)
    publisher.refresh(settings, now)
    assert b"Expires: 2027-05-20" in read("/.well-known/security.txt")
    publisher.refresh(settings, now + timedelta(days=1))
    assert b"Expires: 2027-05-21" in read("/.well-known/security.txt")


def test_there_is_no_security_txt_once_nobody_can_be_told(writer: str, settings: Settings, now: datetime) -> None:
    file = settings.site_dir / ".well-known" / "security.txt"
    components.edit_page("Larkspur", "Etc/UTC", "https://help.example.com/", writer, now)
    publisher.refresh(settings, now)
    assert file.exists()
    components.edit_page("Larkspur", "Etc/UTC", "", writer, now)
    publisher.refresh(settings, now)
    assert not file.exists()
