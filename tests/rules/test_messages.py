"""The fields of each message, their checks, and the text made of them."""

import contextlib
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from statuspage.rules import messages
from statuspage.rules.messages import FIELDS, Draft, check_line, check_paragraph, check_template, check_title
from statuspage.rules.times import typed_instant
from statuspage.rules.vocabulary import MessageKind, RuleBroken, Stage
from tests.typed import typed

NOW = datetime(2026, 11, 21, 14, 0, tzinfo=UTC)
STARTED = NOW - timedelta(minutes=70)
SHIPPED = Path(__file__).resolve().parents[2] / "templates" / "messages" / "en"
KINDS = list(MessageKind)


def shipped(kind: MessageKind) -> str:
    return (SHIPPED / f"{kind}.txt").read_text(encoding="utf-8").strip()


def errors(kind: MessageKind, **changes: str) -> dict[str, str]:
    with pytest.raises(RuleBroken) as broken:
        messages.parse(kind, typed(kind, NOW, **changes), NOW)
    return broken.value.errors


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_typed_well_becomes_a_draft(kind: MessageKind) -> None:
    draft = messages.parse(kind, typed(kind, NOW), NOW)
    assert draft.values.keys() == {field.name for field in FIELDS[kind]}
    assert (draft.stage is Stage.RESOLVED) == (kind is MessageKind.RESOLVE)


@pytest.mark.parametrize(("kind", "field"), [(kind, field) for kind in KINDS for field in FIELDS[kind]])
def test_an_empty_field_is_refused_exactly_when_it_is_required(kind: MessageKind, field: messages.Field) -> None:
    if field.required:
        assert list(errors(kind, **{field.name: "  "})) == [field.name]
    else:
        assert messages.parse(kind, typed(kind, NOW, **{field.name: "  "}), NOW).text(field.name) == ""


@pytest.mark.parametrize("kind", KINDS)
def test_an_empty_form_names_every_required_field(kind: MessageKind) -> None:
    with pytest.raises(RuleBroken) as broken:
        messages.parse(kind, {}, NOW)
    assert set(broken.value.errors) == {field.name for field in FIELDS[kind] if field.required}


@pytest.mark.parametrize(
    ("kind", "changes", "sentence"),
    [
        ("update", {"next_update_by": "2026-11-21T13:59"}, "This is in the past; it is 21 Nov 2026, 14:00 UTC now."),
        ("update", {"next_update_by": "2026-11-21T14:00"}, "This is in the past; it is 21 Nov 2026, 14:00 UTC now."),
        ("update", {"next_update_by": "2026-12-06T14:00"}, "Please promise the next update within 14 days."),
        ("update", {"next_update_by": "soon"}, "Please give a date and time in UTC, like 2026-11-21 14:30."),
        ("update", {"stage": "resolved"}, "Please choose one of the options."),
        ("update", {"affected": "x" * 2001}, "Please shorten this to 2000 characters (now 2001)."),
        ("acknowledge", {"affected": "x" * 201}, "Please shorten this to 200 characters (now 201)."),
        (
            "acknowledge",
            {"affected": "a\r\nBcc: b@example.com"},
            "Please use one line of text, without line breaks or control characters.",
        ),
        ("acknowledge", {"symptoms": "bell \x07"}, "Please remove the control characters from this text."),
        ("acknowledge", {"started_at": "2026-11-21T14:03"}, "This is in the future; it is 21 Nov 2026, 14:00 UTC now."),
        ("resolve", {"resolved_at": "2026-11-21T15:00"}, "This is in the future; it is 21 Nov 2026, 14:00 UTC now."),
    ],
)
def test_bad_input_gets_a_sentence_beside_its_field(kind: str, changes: dict[str, str], sentence: str) -> None:
    assert errors(MessageKind(kind), **changes) == dict.fromkeys(changes, sentence)


def test_a_clock_two_minutes_off_is_forgiven() -> None:
    at = typed_instant(NOW + timedelta(minutes=2))
    assert messages.parse(MessageKind.RESOLVE, typed(MessageKind.RESOLVE, NOW, resolved_at=at), NOW)


@pytest.mark.parametrize("kind", KINDS)
def test_the_shipped_wording_is_a_good_template_and_leaves_no_placeholder(kind: MessageKind) -> None:
    template = check_template(kind, shipped(kind))
    text = messages.render(template, messages.parse(kind, typed(kind, NOW), NOW), STARTED)
    assert "{" not in text
    assert "\n\n\n" not in text


def test_the_shipped_resolve_text_says_how_long_it_lasted() -> None:
    draft = messages.parse(MessageKind.RESOLVE, typed(MessageKind.RESOLVE, NOW), NOW)
    text = messages.render(shipped(MessageKind.RESOLVE), draft, STARTED)
    assert (
        "It started at 21 Nov 2026, 12:50 UTC and service was restored at 21 Nov 2026, 14:00 UTC, after 1 h 10 min."
        in text
    )


def test_a_line_with_nothing_to_say_is_left_out() -> None:
    draft = messages.parse(MessageKind.UPDATE, typed(MessageKind.UPDATE, NOW), NOW)
    assert "We expect it" not in messages.render(shipped(MessageKind.UPDATE), draft, STARTED)


@pytest.mark.parametrize(
    ("template", "sentence"),
    [
        ("{affected} {being_done} {next_update_by} {nonsense}", "There is no placeholder {nonsense}."),
        ("{affected} {next_update_by}", "The placeholder {being_done} is missing."),
        ("", "The placeholders {affected}, {being_done} and {next_update_by} are missing."),
        ("x" * 4001, "Please keep the template under 4000 characters."),
    ],
)
def test_a_bad_template_is_refused_by_name(template: str, sentence: str) -> None:
    with pytest.raises(RuleBroken) as broken:
        check_template(MessageKind.UPDATE, template)
    assert broken.value.errors == {"text": sentence}


@pytest.mark.parametrize(
    "trap", ["{affected.__class__}", "{{affected}}", "{0}", "{% raw %}", "${affected!r}", "{AFFECTED}"]
)
def test_a_template_holds_no_expressions(trap: str) -> None:
    values = {"affected": "A", "being_done": "B", "next_update_by": NOW, "stage": "identified"}
    text = messages.render(f"{trap} {{being_done}}", Draft(MessageKind.UPDATE, values), STARTED)
    assert text == trap.replace("{affected}", "A") + " B"


@given(st.text(max_size=300))
def test_typed_text_is_never_read_as_a_template(text: str) -> None:
    draft = Draft(MessageKind.UPDATE, {"affected": text + "{being_done}", "being_done": "never"})
    assert messages.render("{affected}!", draft, STARTED) == f"{text}{{being_done}}!".strip() or "\n\n\n" in text


@given(st.text(max_size=300))
def test_a_line_is_one_line_or_refused(text: str) -> None:
    with contextlib.suppress(RuleBroken):
        line = check_line("title", text)
        assert len(line.splitlines()) == 1
        assert len(line) <= messages.LINE_LIMIT


@given(st.text(max_size=300))
def test_a_paragraph_has_plain_line_ends_or_is_refused(text: str) -> None:
    with contextlib.suppress(RuleBroken):
        paragraph = check_paragraph("text", text)
        assert "\r" not in paragraph
        assert paragraph == paragraph.strip()


@given(st.dictionaries(st.sampled_from([field.name for field in FIELDS[MessageKind.RESOLVE]]), st.text(max_size=80)))
def test_the_preview_takes_whatever_was_typed_so_far(so_far: dict[str, str]) -> None:
    draft = messages.sketch(MessageKind.RESOLVE, so_far, NOW)
    assert messages.render(shipped(MessageKind.RESOLVE), draft, STARTED)


def test_the_preview_names_what_is_missing() -> None:
    text = messages.render(shipped(MessageKind.UPDATE), messages.sketch(MessageKind.UPDATE, {}, NOW), STARTED)
    assert "[What is being done]" in text


def test_a_form_opens_with_what_is_known() -> None:
    known = {"affected": "Signing in", "stage": "ignored"}
    opened = messages.defaults(MessageKind.UPDATE, known, timedelta(minutes=30), Stage.IDENTIFIED, NOW)
    assert opened == {
        "affected": "Signing in",
        "being_done": "",
        "next_update_by": "2026-11-21T14:30",
        "stage": "identified",
        "expected_resolution": "",
    }


def test_a_title_is_asked_for_in_its_own_words() -> None:
    with pytest.raises(RuleBroken) as broken:
        check_title(" ")
    assert broken.value.errors == {"title": "Please give the incident a title customers understand."}
    assert check_title(" Sign-in fails ") == "Sign-in fails"
