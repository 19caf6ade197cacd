"""The post-mortem: its timeline, what its wording check marks, how its public version begins."""

from datetime import UTC, datetime

import pytest

from statuspage.rules import documents, timeline
from statuspage.rules.timeline import Moment
from statuspage.rules.vocabulary import DocumentKind, RuleBroken
from statuspage.rules.wording import OwnWords

KIND = DocumentKind.POST_MORTEM
WHOLE = {"summary": "Sign-in failed.", "root_cause": "The store had no limit.", "impact": "Nobody could sign in."}


def at(hour: int, minute: int) -> datetime:
    return datetime(2026, 11, 21, hour, minute, 30, tzinfo=UTC)


def test_the_timeline_is_in_order_and_a_line_each() -> None:
    moments = [Moment(at(14, 5), "Second:\nof two lines"), Moment(at(13, 59), "First"), Moment(at(14, 5), "Third")]
    text = timeline.write(moments)
    assert text.splitlines() == [
        "2026-11-21 13:59 UTC: First",
        "2026-11-21 14:05 UTC: Second: of two lines",
        "2026-11-21 14:05 UTC: Third",
    ]
    assert timeline.read(text)[1] == ("2026-11-21 14:05", "Second: of two lines")


def test_a_long_message_is_shortened_in_the_timeline() -> None:
    assert len(timeline.write([Moment(at(14, 0), "word " * 200)])) < 300


def test_a_draft_may_lack_parts_and_a_review_wants_them() -> None:
    fields = documents.check_fields(KIND, {"summary": "Sign-in failed."})
    with pytest.raises(RuleBroken) as broken:
        documents.require_complete(KIND, fields)
    assert set(broken.value.errors) == {"root_cause", "impact"}
    documents.require_complete(KIND, documents.check_fields(KIND, WHOLE))


@pytest.mark.parametrize(
    ("field", "text", "found"),
    [
        ("root_cause", "It was human error.", ["human error"]),
        ("root_cause", "Ada restarted the wrong cluster.", ["Ada"]),
        ("root_cause", "The database had no limit.", []),
        ("public_text", "The database had no limit.", ["database"]),
        ("public_text", "Grace Hopper forgot it.", ["Grace Hopper"]),
        ("summary", "Adaptation took long.", []),
    ],
)
def test_blame_and_names_are_marked_everywhere_and_technical_detail_in_public(
    field: str, text: str, found: list[str]
) -> None:
    marked = documents.marks(KIND, {field: text}, OwnWords(people=("Ada", "Grace Hopper", "", "Al")))
    assert [each.found for each in marked.get(field, ())] == found


def test_other_texts_are_not_marked_here() -> None:
    assert documents.marks(DocumentKind.POST_INCIDENT_EMAIL, {"what_happened": "human error"}, OwnWords()) == {}


def test_the_public_version_begins_without_a_word_of_the_cause() -> None:
    text = documents.public_start(WHOLE | {"contributing_factors": "No alert."}, "We watch it now.")
    assert text == (
        "**What happened.** Sign-in failed.\n\n**What you may have noticed.** Nobody could sign in.\n\n"
        "**What prevents a repeat.** We watch it now."
    )
    assert documents.public_start({}, "") == ""


def test_the_finished_text_holds_timeline_duration_severity_and_author() -> None:
    about = documents.About("Sign-in fails", at(13, 55), at(14, 35), "Ada", "Grace", "SEV1")
    text = documents.render(KIND, WHOLE | {"timeline": timeline.write([Moment(at(14, 5), "Told")])}, about)
    assert "## Timeline\n\n- 2026-11-21 14:05 UTC: Told" in text
    assert "Severity: SEV1. 40 min, from" in text
    assert text.endswith("Written by Ada, reviewed by Grace.")
