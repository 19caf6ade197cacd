"""The report in the console: every figure leads to its incidents, and nothing needs colour or a script."""

import csv
import io
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from xml.etree.ElementTree import Element

import pytest
from flask import Flask

from statuspage import clock
from statuspage.db import transaction
from statuspage.models import Incident
from statuspage.rules.vocabulary import (
    AccountRole,
    ComponentState,
    MessageKind,
    PromiseKind,
    PromiseState,
    Severity,
    Visibility,
)
from tests import builders
from tests.ledgers import promise
from tests.pagechecks import check_page, text_of
from tests.web.conftest import Visitor

Arrive = Callable[[AccountRole], Visitor]

THEN = datetime(2020, 3, 10, 9, 0, tzinfo=UTC)
MONTH = "/console/reports/2020-03"
HOSTILE = "=cmd|' /C calc'!A0 <script>alert(1)</script> {{7*7}}"


@pytest.fixture(autouse=True)
def ledger_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """Incidents owe nothing by themselves here: each test writes the promises it counts."""
    monkeypatch.setattr("statuspage.actions.incidents.record", lambda *_: None)


@pytest.fixture
def viewer(app: Flask, arrive: Arrive, started: datetime) -> Visitor:
    builders.page(started)
    return arrive(AccountRole.VIEWER)


@pytest.fixture
def incident_id(viewer: Visitor) -> str:
    """An incident of March 2020 with a promise in every state; its words are hostile."""
    by = builders.account(THEN)
    states = {builders.component(THEN): ComponentState.OUTAGE}
    made = builders.declared(by, states, THEN, title=HOSTILE)
    builders.post(MessageKind.ACKNOWLEDGE, made, states, by, THEN + timedelta(minutes=12))
    for state, kind in zip(PromiseState, PromiseKind, strict=False):
        promise(made, state, THEN, kind=kind, late=timedelta(minutes=14), reason=HOSTILE)
    held = {"kind": PromiseKind.NEXT_UPDATE, "is_met_automatically": True, "is_recorded_later": True}
    promise(made, PromiseState.KEPT, THEN + timedelta(hours=1), **held)
    return made


def page(visitor: Visitor, path: str) -> Element:
    answer = visitor.get(path)
    assert answer.status_code == 200, path
    assert "<script>alert" not in answer.text
    return check_page(answer.text)


def all_text(visitor: Visitor, path: str) -> str:
    return text_of(page(visitor, path))


def links_of(root: Element) -> list[str]:
    return [str(link.get("href")) for link in root.iter("a")]


def tables_of(root: Element) -> list[list[list[str]]]:
    """Every table of a page as rows of cells."""
    return [
        [[text_of(cell) for cell in row if cell.tag in ("th", "td")] for row in table.iter("tr")]
        for table in root.iter("table")
    ]


def test_the_report_opens_with_the_present_month(viewer: Visitor) -> None:
    answer = viewer.get("/console/reports/")
    assert answer.status_code == 303
    assert answer.headers["Location"].endswith(f"/console/reports/{clock.now():%Y-%m}")
    assert "A quiet month so far." in all_text(viewer, answer.headers["Location"])
    assert "/console/reports/" in links_of(page(viewer, "/console/"))


def test_an_empty_month_says_so_kindly(viewer: Visitor) -> None:
    root = page(viewer, MONTH)
    assert "A quiet month. No incident was declared and nothing was promised in March 2020." in text_of(root)
    assert not list(root.iter("table"))


def test_a_month_leads_to_the_months_beside_it_and_no_further_than_now(viewer: Visitor) -> None:
    links = links_of(page(viewer, MONTH))
    assert "/console/reports/2020-02" in links
    assert "/console/reports/2020-04" in links
    now = clock.now()
    links = links_of(page(viewer, f"/console/reports/{now:%Y-%m}"))
    assert len([link for link in links if re.fullmatch(r"/console/reports/\d{4}-\d{2}", link)]) == 1
    assert viewer.get(f"/console/reports/{now.year + 1}-01").status_code == 404
    assert not [link for link in links_of(page(viewer, "/console/reports/2000-01")) if "1999" in link]


@pytest.mark.parametrize(
    "path",
    [
        "/console/reports/2020-13",
        "/console/reports/2020-00",
        "/console/reports/2020-1",
        "/console/reports/1999-12",
        "/console/reports/9999-12",
        "/console/reports/nonsens",
        "/console/reports/nonsens.csv",
        "/console/reports/2020-13.json",
        "/console/reports/2020-03.xml",
        "/console/reports/2020-03/SEV9",
        "/console/reports/2020-03/SEV9/first_update",
        "/console/reports/2020-03/SEV1/nonsense",
        "/console/reports/2020-13/SEV1",
        "/console/reports/2020-13/SEV1/first_update",
    ],
)
def test_there_is_no_report_of_nonsense(path: str, viewer: Visitor) -> None:
    assert viewer.get(path).status_code == 404


def test_a_sentence_sums_the_month_up(incident_id: str, viewer: Visitor) -> None:
    assert (
        "2 of 5 promises kept, 1 of them by an automatic holding update; 1 met 14 min late; 1 missed; 1 overdue by"
        in all_text(viewer, MONTH)
    )


def test_every_figure_of_a_month_is_there_under_its_heading(incident_id: str, viewer: Visitor) -> None:
    ((head, *rows),) = tables_of(page(viewer, MONTH))
    figures = {row[0]: dict(zip(head[1:], row[1:], strict=True)) for row in rows}
    assert list(figures) == [
        "First public update",
        "Next public update",
        "Resolution update",
        "Direct e-mail to customers",
        "Internal update",
        "Post-incident e-mail",
    ]
    assert figures["Next public update"]["Made"] == "2 made"
    assert figures["Next public update"]["Kept"] == "2 kept (1 automatic)"
    assert figures["Next public update"]["Kept of due"] == "100 %"
    assert figures["Resolution update"]["Late"] == "1 late"
    assert figures["Resolution update"]["Late by, worst"] == "14 min"
    assert figures["Direct e-mail to customers"]["Missed"] == "1 missed"
    assert figures["First public update"]["Overdue"] == "1 overdue"
    assert figures["First public update"]["Not due yet"] == "0"
    assert figures["Internal update"]["Waived"] == "1 waived"
    assert figures["Internal update"]["Kept of due"] == "–"
    assert figures["Post-incident e-mail"]["Withdrawn"] == "1 withdrawn"


def test_every_figure_leads_to_its_incidents(incident_id: str, viewer: Visitor) -> None:
    followed = [link for link in links_of(page(viewer, MONTH)) if link.startswith(f"{MONTH}/")]
    assert len(followed) == 19  # the incidents; of six kinds the name, what was made and one outcome each
    for link in followed:
        path, _, anchor = link.partition("#")
        root = page(viewer, path)
        assert f"/console/incidents/{incident_id}" in links_of(root), link
        assert not anchor or anchor in {element.get("id") for element in root.iter()}, link


def test_a_promise_is_shown_with_its_times_and_what_is_to_be_said_about_it(incident_id: str, viewer: Visitor) -> None:
    (table,) = tables_of(page(viewer, f"{MONTH}/SEV1/resolution_update"))
    assert table == [
        ["Incident", "Late by", "Due", "Done", "Made", "Notes"],
        [
            HOSTILE,
            "14 min",
            "10 Mar 2020, 09:15 UTC",
            "10 Mar 2020, 09:29 UTC",
            "10 Mar 2020, 09:00 UTC",
            HOSTILE,
        ],
    ]
    assert "automatic recorded later" in all_text(viewer, f"{MONTH}/SEV1/next_update")
    overdue = all_text(viewer, f"{MONTH}/SEV1/first_update")
    assert "Overdue: 1 The time promised has passed, and it is still to be done." in overdue


def test_an_incident_is_shown_with_its_times(incident_id: str, viewer: Visitor) -> None:
    ((_, row),) = tables_of(page(viewer, f"{MONTH}/SEV1"))
    assert row == [HOSTILE, "10 Mar 2020, 09:00 UTC", "0 s", "12 min", "–", "–", "1", "0"]


def test_lists_of_nothing_say_so(viewer: Visitor) -> None:
    assert "No such incident was declared in March 2020." in all_text(viewer, f"{MONTH}/none")
    assert "Nothing of this kind was promised in March 2020." in all_text(viewer, f"{MONTH}/SEV2/post_mortem")


def test_imported_incidents_have_figures_though_no_severity(incident_id: str, viewer: Visitor) -> None:
    with transaction(THEN) as session:
        session.get_one(Incident, incident_id).severity = None
    root = page(viewer, MONTH)
    assert "Without a severity" in text_of(root)
    assert f"{MONTH}/none" in links_of(root)
    assert f"/console/incidents/{incident_id}" in links_of(page(viewer, f"{MONTH}/none"))


def test_internal_incidents_are_marked_and_drills_are_not_there(viewer: Visitor) -> None:
    by, states = builders.account(THEN), {builders.component(THEN): ComponentState.OUTAGE}
    for visibility in (Visibility.INTERNAL, Visibility.DRILL):
        builders.declared(
            by, states, THEN, title=f"One {visibility.value}", visibility=visibility, severity=Severity.SEV2
        )
    ((_, row),) = tables_of(page(viewer, f"{MONTH}/SEV2"))
    assert row[0] == "One internal internal"
    assert "Nothing was promised." in all_text(viewer, MONTH)


def test_bars_say_in_words_what_they_show(incident_id: str, viewer: Visitor) -> None:
    root = page(viewer, MONTH)
    bars = [svg for svg in root.iter() if str(svg.tag).endswith("svg") and svg.get("role") == "img"]
    titles = [text_of(next(each for each in bar if str(each.tag).endswith("title"))) for bar in bars]
    assert titles == [
        "All promises: 2 kept, 1 late, 1 missed, 1 overdue",
        "First public update: 1 overdue",
        "Next public update: 2 kept",
        "Resolution update: 1 late",
        "Direct e-mail to customers: 1 missed",
    ]
    parts = [each for each in bars[0] if str(each.tag).endswith("rect")]
    assert sum(float(str(part.get("width")).rstrip("%")) for part in parts) == pytest.approx(100, abs=0.01)
    patterns = {each.get("id") for each in root.iter() if str(each.tag).endswith("pattern")}
    used = {str(part.get("fill")) for part in parts if part.get("fill")}
    assert used == {f"url(#{name})" for name in patterns}


def test_the_csv_reads_back_and_holds_no_formula(incident_id: str, viewer: Visitor) -> None:
    answer = viewer.get(f"{MONTH}.csv")
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert answer.headers["Content-Disposition"] == 'attachment; filename="promises-2020-03.csv"'
    rows = list(csv.DictReader(io.StringIO(answer.get_data(as_text=True), newline="")))
    assert len(rows) == 7
    assert {row["incident_title"] for row in rows} == {f"'{HOSTILE}"}
    assert sorted(row["state"] for row in rows) == sorted([*PromiseState, PromiseState.KEPT])
    assert [row["automatic"] for row in rows].count("yes") == 1


def test_the_json_is_the_same_month(incident_id: str, viewer: Visitor) -> None:
    answer = viewer.get(f"{MONTH}.json")
    assert answer.content_type == "application/json"
    found = answer.get_json()
    assert found["month"] == "2020-03"
    assert found["severities"]["SEV1"]["promises"]["next_update"]["kept_automatically"] == 1
    assert len(found["promises"]) == 5
