"""Subscribers from a file: who is taken in at once, who is asked, and who is left alone whatever a file says."""

import io
from datetime import datetime, timedelta

import pytest
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import insert, select

from statuspage.actions import components, csv_rows, subscriber_import
from statuspage.actions.people import Browser
from statuspage.db import db, transaction
from statuspage.delivery import announcements
from statuspage.models import (
    AuditEntry,
    Component,
    Delivery,
    Subscriber,
    SubscriberComponent,
    Suppression,
)
from statuspage.rules.subscriptions import identity, suppression_keys
from statuspage.rules.vocabulary import RuleBroken
from tests import builders

HEADER = "email,components,kinds,confirmed\n"
ORIGIN = "imported from old.csv"
SECRETS = ("the newest key", "the one before")
SOURCE = csv_rows.Source(ORIGIN, None, SECRETS)
BROWSER = Browser("192.0.2.1", "test")
Outcomes = list[tuple[int, str, str]]


def rows(text: str) -> list[subscriber_import.Row]:
    return list(subscriber_import.parse_subscribers(io.StringIO(text, newline="")).rows)


def imported(text: str, now: datetime) -> Outcomes:
    done = subscriber_import.import_subscribers(rows(text), SOURCE, now)
    return [(result.line, result.outcome, result.reason) for result in done]


def kept() -> dict[str, tuple[str, list[str] | None, list[str]]]:
    """Every subscriber's address to state, names of the components (None for all) and kinds."""
    db.session.rollback()
    chosen: dict[str, list[str]] = {}
    for who, name in db.session.execute(
        select(SubscriberComponent.subscriber_id, Component.name).join(Component).order_by(Component.name)
    ):
        chosen.setdefault(who, []).append(name)
    found = {}
    for each in db.session.scalars(select(Subscriber).execution_options(populate_existing=True)):
        wanted = [kind for kind in ("incidents", "maintenance", "component_changes") if getattr(each, f"wants_{kind}")]
        found[each.email] = (each.state, None if each.all_components else chosen.get(each.id, []), wanted)
    return found


def subscriber(email: str) -> Subscriber:
    db.session.rollback()
    return db.session.execute(select(Subscriber).where(Subscriber.email == email)).scalar_one()


def asked() -> list[tuple[str, int]]:
    """Address and lane of every mail that asks for a confirmation."""
    db.session.rollback()
    found = db.session.execute(select(Delivery.address, Delivery.lane).order_by(Delivery.address))
    return [(address, lane) for address, lane in found]


@pytest.fixture
def page(app: Flask, now: datetime) -> dict[str, str]:
    """Name to id of three components."""
    builders.page(now)
    return {name: builders.component(now, name) for name in ("Sign-in", "Billing", "Search")}


# --- reading ---------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "email,components,kinds,confirmed\nada@example.com,Sign-in;Billing,incidents|maintenance,yes\n",
        "\ufeffConfirmed;Kinds;Components;Email\r\nYES; Incidents ;Sign-in|Billing| Sign-in;ada@EXAMPLE.com\r\n",
        'email\tcomponents\tconfirmed\n\nada@example.com\t"Sign-in;Billing"\ttrue\n\t\t\n',
    ],
)
def test_separators_byte_order_marks_and_columns_in_any_order_are_read(text: str) -> None:
    (row,) = rows(text)
    assert (row.email, row.components, row.is_confirmed, row.error) == (
        "ada@example.com",
        ("Sign-in", "Billing"),
        True,
        "",
    )
    assert "incidents" in row.kinds


def test_the_address_alone_is_enough() -> None:
    file = subscriber_import.parse_subscribers(["email,phone\n", "ada@example.com,1\n"])
    (row,) = file.rows
    assert file.ignored == ("phone",)
    assert (row.components, sorted(row.kinds), row.is_confirmed) == ((), ["incidents", "maintenance"], False)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "The first row must name the columns; there is none called “email”."),
        ("email,Confirmed,confirmed\n", "There are two columns called “confirmed”."),
        ("e\0m\0a\0i\0l\0", "The first row must name the columns; there is none called “email”."),
        ('"email', "The header row can't be read: unexpected end of data."),
    ],
)
def test_a_file_without_its_columns_is_refused(text: str, sentence: str) -> None:
    with pytest.raises(RuleBroken) as broken:
        rows(text)
    assert broken.value.errors == {"file": sentence}


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ("nobody,,,yes", "Please give one e-mail address, like name@example.com."),
        ("b@example.com,,,maybe", "Please write yes or no into “confirmed”."),
        ("b@example.com,,sms,", "Please choose at least one of: incidents, maintenance, component_changes."),
        ("b@example.com,A, B,incidents,yes", "There are more cells than columns: is a separator within a cell not in quotes?"),
        ("b@example.com,Ad\ufffd,,", "This is not UTF-8: please save the file as “CSV UTF-8”."),
        ("b\0@example.com,,,", "Please give one e-mail address, like name@example.com."),
        ("A@Example.COM,,,", "This address is in line 2 already: please put its whole choice into one row."),
    ],
)  # fmt: skip
def test_a_bad_row_is_said_with_its_line_and_stops_no_other(bad: str, reason: str) -> None:
    first, second, third = rows(f"{HEADER}a@example.com,,,yes\n{bad}\nz@example.com,,,yes\n")
    assert (second.line, second.error) == (3, reason)
    assert (first.error, third.line, third.email, third.error) == ("", 4, "z@example.com", "")


def test_a_quotation_mark_that_is_never_closed_is_an_error_of_its_row() -> None:
    *_, last = rows(f'{HEADER}a@example.com,,,\nb@example.com,"Bea,,\nc@example.com,,,\n')
    assert (last.line, last.error) == (3, "This row can't be read: unexpected end of data.")


@given(st.text(max_size=200))
def test_whatever_stands_below_the_header_never_breaks_the_reading(text: str) -> None:
    for row in rows(HEADER + text):
        assert row.line >= 2
        assert row.error or row.skipped or "@" in row.email
        assert row.email.isprintable()


@given(st.text(max_size=20))
def test_a_cell_that_a_spreadsheet_would_calculate_is_quoted_and_read_back(text: str) -> None:
    written = csv_rows.quoted(text)
    assert not written.startswith(("=", "+", "-", "@", "\t", "\r"))
    assert csv_rows.unquoted(written) == text


# --- taking in -------------------------------------------------------------


def test_confirmed_ones_are_told_at_once_and_the_others_are_asked(page: dict[str, str], now: datetime) -> None:
    text = f"{HEADER}Ada@example.com,sign-in;{page['Billing']},component_changes,yes\nbea@example.com,Search,,no\n"
    assert imported(text, now) == [(2, "created", ""), (3, "asked", "")]
    assert kept() == {
        "Ada@example.com": ("active", ["Billing", "Sign-in"], ["component_changes"]),
        "bea@example.com": ("pending", ["Search"], ["incidents", "maintenance"]),
    }
    # Behind those who sign in: a file may hold 100,000.
    assert asked() == [("bea@example.com", announcements.IMPORT_LANE)]
    ada = subscriber("Ada@example.com")
    assert (ada.source, ada.confirmed_at, ada.confirm_user_agent, ada.requested_at) == ("import", now, ORIGIN, now)
    assert subscriber("bea@example.com").confirmed_at is None
    assert builders.confirm(subscriber("bea@example.com").id, now)
    assert kept()["bea@example.com"] == ("active", ["Search"], ["incidents", "maintenance"])


def test_the_same_file_again_changes_nothing_and_asks_nobody_twice(page: dict[str, str], now: datetime) -> None:
    text = f"{HEADER}a@example.com,,,yes\nb@example.com,,,no\n"
    imported(text, now)
    before = kept()
    assert imported(text, now + timedelta(days=1)) == [(2, "unchanged", ""), (3, "unchanged", "")]
    assert kept() == before
    assert len(asked()) == 1


def test_a_waiting_one_is_confirmed_by_a_file_that_says_so(page: dict[str, str], now: datetime) -> None:
    imported(f"{HEADER}a@example.com,,,no\n", now)
    later = now + timedelta(days=1)
    assert imported(f"{HEADER}a@example.com,Search,,yes\n", later) == [(2, "confirmed", "")]
    assert kept() == {"a@example.com": ("active", ["Search"], ["incidents", "maintenance"])}
    assert subscriber("a@example.com").confirmed_at == later


def test_whoever_chose_here_keeps_the_choice(page: dict[str, str], now: datetime) -> None:
    imported(f"{HEADER}a@example.com,Search,incidents,yes\n", now)
    text = f"{HEADER}A@example.com,Billing;Sign-in,maintenance,yes\n"
    assert imported(text, now + timedelta(days=1)) == [(2, "unchanged", "")]
    assert kept() == {"a@example.com": ("active", ["Search"], ["incidents"])}
    assert subscriber("a@example.com").confirmed_at == now


@pytest.mark.parametrize("confirmed", ["yes", "no"])
@pytest.mark.parametrize(
    ("why", "reason"),
    [
        ("unsubscribed", "They unsubscribed: only they can come back."),
        ("erased", "They had their data erased: only they can come back."),
        ("complaint", "They reported mail from here as spam."),
        ("bounce", "Mail to this address comes back."),
    ],
)
def test_whoever_must_be_left_alone_is_left_alone(
    why: str, reason: str, confirmed: str, page: dict[str, str], now: datetime
) -> None:
    with transaction(now) as session:
        if why in ("complaint", "bounce"):
            name = "a@example.com" if why == "bounce" else suppression_keys("a@example.com", SECRETS)[-1]
            values = {"address_key": name, "reason": why, "created_at": now}
            session.execute(insert(Suppression), [values])
        else:
            who = identity("a@example.com")
            session.execute(insert(Subscriber), [{**who, "state": why, "requested_at": now, "unsubscribed_at": now}])
    before = kept()
    text = f"{HEADER}A@example.com,,,{confirmed}\nb@example.com,,,yes\n"
    assert imported(text, now) == [(2, "skipped", reason), (3, "created", "")]
    after = kept()
    del after["b@example.com"]
    assert (after, asked()) == (before, [])


def test_a_component_that_is_gone_or_there_twice_is_an_error_of_its_row(page: dict[str, str], now: datetime) -> None:
    by = builders.account(now)
    builders.component(now, "Search", components.create_group("Europe", by, now))
    components.archive_component(page["Billing"], by, now)
    text = (
        f"{HEADER}a@example.com,Sign-in;Billing,,yes\nb@example.com,SEARCH,,yes\nc@example.com,{page['Search']},,yes\n"
    )
    assert imported(text, now) == [
        (2, "error", "There is no component called “Billing”."),
        (3, "error", "Several components are called “SEARCH”: please give the id."),
        (4, "created", ""),
    ]
    assert list(kept()) == ["c@example.com"]


def test_rows_of_our_own_export_that_are_no_mail_or_have_ended_are_skipped(page: dict[str, str], now: datetime) -> None:
    text = (
        "method,email,components,state,confirmed\n"
        "webhook,a@example.com,,active,yes\n"
        "email,b@example.com,,unsubscribed,no\n"
        "email,c@example.com,(none),active,yes\n"
        "email,d@example.com,,pending,no\n"
    )
    assert imported(text, now) == [
        (2, "skipped", "Subscriptions by webhook are not imported: their owner sets them up again."),
        (3, "skipped", "The file says that this one is unsubscribed."),
        (4, "skipped", "This one only follows single incidents, which a file does not carry."),
        (5, "asked", ""),
    ]


def test_many_rows_are_several_transactions_each_with_its_entry(
    page: dict[str, str], now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(csv_rows, "BATCH", 10)
    text = HEADER + "".join(f"r{n}@example.com,,,{'yes' if n % 2 else 'no'}\n" for n in range(25)) + "nobody,,,\n"
    imported(text, now)
    db.session.rollback()
    entries = db.session.scalars(select(AuditEntry).where(AuditEntry.action == "import_subscribers"))
    assert [(entry.detail["created"], entry.detail["asked"]) for entry in entries] == [(5, 5), (5, 5), (2, 3)]
    assert len(asked()) == 13


def test_a_preview_tells_the_same_and_writes_nothing(page: dict[str, str], now: datetime) -> None:
    imported(f"{HEADER}a@example.com,,,yes\nb@example.com,,,no\n", now)
    text = f"{HEADER}a@example.com,,,yes\nb@example.com,,,yes\nc@example.com,,,no\nd@example.com,Nose,,\n"
    before = kept()
    preview = [
        (each.line, each.outcome, each.reason) for each in subscriber_import.preview_subscribers(rows(text), SOURCE)
    ]
    assert kept() == before
    assert preview == imported(text, now)
    assert [outcome for _, outcome, _ in preview] == ["unchanged", "confirmed", "asked", "error"]
