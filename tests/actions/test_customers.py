"""Customers: what is read from a file, and who an incident's mail goes to: each address once."""

import io
from datetime import datetime, timedelta

import pytest
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from statuspage.actions import audiences, components, csv_rows, customers, subscriptions
from statuspage.db import db, transaction
from statuspage.delivery import announcements
from statuspage.models import (
    Announcement,
    AuditEntry,
    Component,
    Customer,
    CustomerComponent,
    Delivery,
    Incident,
    Subscriber,
)
from statuspage.rules.subscriptions import identity
from statuspage.rules.vocabulary import ComponentState, RuleBroken
from tests import builders

HEADER = "email,name,components\n"


def rows(text: str) -> list[customers.Row]:
    return list(customers.parse_customers(io.StringIO(text, newline="")).rows)


def imported(text: str, now: datetime) -> list[tuple[int, str, str]]:
    done = customers.import_customers(rows(text), now)
    return [(result.line, result.outcome, result.reason) for result in done]


def kept() -> dict[str, tuple[str, list[str]]]:
    """Every customer's address to the name and the names of the components."""
    db.session.rollback()
    query = (
        select(Customer.email, Customer.name, Component.name)
        .outerjoin(CustomerComponent, CustomerComponent.customer_id == Customer.id)
        .outerjoin(Component, Component.id == CustomerComponent.component_id)
        .order_by(Customer.email, Component.name)
    )
    found: dict[str, tuple[str, list[str]]] = {}
    for email, name, component in db.session.execute(query):
        found.setdefault(email, (name, []))[1].append(component)
    return found


@pytest.fixture
def page(app: Flask, now: datetime) -> dict[str, str]:
    """Name to id of three components."""
    builders.page(now)
    return {name: builders.component(now, name) for name in ("Sign-in", "Billing", "Search")}


# --- reading ---------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "email,name,components\nada@example.com,Ada,Sign-in;Billing\n",
        "\ufeffemail;name;components\r\nada@example.com;Ada;Sign-in|Billing\r\n",
        "Components\tName\t E-mail\tEMAIL\nSign-in ; Billing\t Ada \t\tada@EXAMPLE.com",
        'email,components,name\n\nada@example.com,"Sign-in | Billing",Ada\n,,\n',
        "email;name;components\nada@example.com;Ada;'Sign-in'\n".replace("'Sign-in'", '"Sign-in;Billing;Sign-in"'),
    ],
)
def test_separators_byte_order_marks_and_columns_in_any_order_are_read(text: str) -> None:
    (row,) = rows(text)
    assert (row.email, row.name, row.components, row.error) == ("ada@example.com", "Ada", ("Sign-in", "Billing"), "")


def test_columns_nobody_reads_are_named() -> None:
    file = customers.parse_customers(["email,Phone,components,city\n"])
    assert file.ignored == ("phone", "city")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "The first row must name the columns; there is none called “email”."),
        ("email,name\n", "The first row must name the columns; there is none called “components”."),
        ("email,components,Email\n", "There are two columns called “email”."),
        ("e\0m\0a\0i\0l\0", "The first row must name the columns; there is none called “email”."),
        ('"email,components', "The header row can't be read: unexpected end of data."),
    ],
)
def test_a_file_without_its_columns_is_refused(text: str, sentence: str) -> None:
    with pytest.raises(RuleBroken) as broken:
        rows(text)
    assert broken.value.errors == {"file": sentence}


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ("nobody,Ada,", "Please give one e-mail address, like name@example.com."),
        (",Ada,Sign-in", "Please give one e-mail address, like name@example.com."),
        ('"a@example.com, b@example.com",Ada,', "Please give one e-mail address, like name@example.com."),
        ("b@example.com,Ada, Inc.,Sign-in", "There are more cells than columns: is a separator within a cell not in quotes?"),
        ("b@example.com,Ad\ufffd,", "This is not UTF-8: please save the file as “CSV UTF-8”."),
        (f"b@example.com,{'x' * 201},", "Name: Please shorten this to 200 characters (now 201)."),
        ("b@example.com,A\0da,", "Name: Please use one line of text, without line breaks or control characters."),
        ('b@example.com,"Ada" Lovelace,', "This row can't be read: ',' expected after '\"'."),
        (f"b@example.com,{'x' * 200_000},", "This row can't be read: field larger than field limit (131072)."),
        ("A@Example.COM,Ada,", "This address is in line 2 already: please put all its components into one row."),
    ],
)  # fmt: skip
def test_a_bad_row_is_said_with_its_line_and_stops_no_other(bad: str, reason: str) -> None:
    first, second, third = rows(f"{HEADER}a@example.com,Ada,\n{bad}\nz@example.com,Zoe,\n")
    assert (second.line, second.error) == (3, reason)
    assert (first.error, third.line, third.email, third.error) == ("", 4, "z@example.com", "")


def test_a_quotation_mark_that_is_never_closed_is_an_error_and_not_a_long_name() -> None:
    *_, last = rows(f'{HEADER}a@example.com,Ada,\nb@example.com,"Bea,\nc@example.com,Cleo,\n')
    assert (last.line, last.error) == (3, "This row can't be read: unexpected end of data.")


def test_a_cell_of_several_lines_does_not_confuse_the_count() -> None:
    first, second = rows('email,note,components\na@example.com,"one\ntwo",\nnobody,,\n')
    assert (first.line, first.error, second.line) == (2, "", 4)


@given(st.text(max_size=200))
def test_whatever_stands_below_the_header_never_breaks_the_reading(text: str) -> None:
    for row in rows(HEADER + text):
        assert row.line >= 2
        assert row.error or "@" in row.email
        assert row.email.isprintable()


# --- importing -------------------------------------------------------------


def test_customers_are_added_changed_and_left_alone(page: dict[str, str], now: datetime) -> None:
    text = f"{HEADER}Ada@example.com,Ada,sign-in;{page['Billing']}\nbea@example.com,,\n"
    assert imported(text, now) == [(2, "created", ""), (3, "created", "")]
    assert kept() == {
        "Ada@example.com": ("Ada", ["Billing", "Sign-in"]),
        "bea@example.com": ("", ["Billing", "Search", "Sign-in"]),
    }
    assert imported(text, now) == [(2, "unchanged", ""), (3, "unchanged", "")]
    later = now + timedelta(days=1)
    changed = f"{HEADER}ada@example.com,Ada Lovelace,Search\nbea@example.com,,\n"
    assert imported(changed, later) == [(2, "updated", ""), (3, "unchanged", "")]
    assert kept()["ada@example.com"] == ("Ada Lovelace", ["Search"])
    moments = db.session.execute(select(Customer.created_at, Customer.updated_at).order_by(Customer.email_key))
    assert [tuple(row) for row in moments] == [(now, later), (now, now)]


def test_a_file_without_names_leaves_the_names_alone(page: dict[str, str], now: datetime) -> None:
    imported(f"{HEADER}ada@example.com,Ada,Search\n", now)
    assert imported("email,components\nada@example.com,Search\n", now) == [(2, "unchanged", "")]
    assert imported("email,components\nada@example.com,Billing\n", now) == [(2, "updated", "")]
    assert kept() == {"ada@example.com": ("Ada", ["Billing"])}


def test_a_component_that_is_unknown_archived_or_there_twice_is_an_error_of_its_row(
    page: dict[str, str], now: datetime
) -> None:
    by = builders.account(now)
    builders.component(now, "Search", components.create_group("Europe", by, now))
    components.archive_component(page["Billing"], by, now)
    text = f"{HEADER}a@example.com,,Sign-in;Nose\x1b;Billing\nb@example.com,,SEARCH\nc@example.com,,{page['Search']}\n"
    assert imported(text, now) == [
        (2, "error", "There is no component called “Nose\ufffd”, “Billing”."),
        (3, "error", "Several components are called “SEARCH”: please give the id."),
        (4, "created", ""),
    ]
    assert kept() == {"c@example.com": ("", ["Search"])}


def test_many_rows_are_several_transactions_each_with_its_entry(
    page: dict[str, str], now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(csv_rows, "BATCH", 10)
    text = HEADER + "".join(f"r{number}@example.com,,Search\n" for number in range(25)) + "nobody,,\n"
    assert [outcome for _, outcome, _ in imported(text, now)] == ["created"] * 25 + ["error"]
    db.session.rollback()
    entries = db.session.scalars(select(AuditEntry).where(AuditEntry.action == "import_customers"))
    assert [entry.detail["created"] for entry in entries] == [10, 10, 5]


def test_a_preview_tells_the_same_and_writes_nothing(page: dict[str, str], now: datetime) -> None:
    imported(f"{HEADER}a@example.com,Ada,Search\nb@example.com,Bea,Search\n", now)
    text = f"{HEADER}a@example.com,Ada,Billing\nb@example.com,Bea,Search\nc@example.com,,\nd@example.com,,Nose\n"
    preview = [(result.line, result.outcome, result.reason) for result in customers.preview_customers(rows(text))]
    assert sorted(kept()) == ["a@example.com", "b@example.com"]
    assert preview == imported(text, now)
    assert [outcome for _, outcome, _ in preview] == ["updated", "unchanged", "created", "error"]


# --- who is told -----------------------------------------------------------


def told(incident_id: str, now: datetime) -> list[Delivery]:
    """Announce to customers, expand, and return the deliveries."""
    with transaction(now) as session:
        announcements.announce_to_customers(
            session, "document", "nosuchthing0", session.get_one(Incident, incident_id), now
        )
    while announcements.expand(audiences.audience, now):
        pass
    db.session.rollback()
    newest = select(Announcement.id).order_by(Announcement.id.desc()).limit(1).scalar_subquery()
    return list(db.session.scalars(select(Delivery).where(Delivery.announcement_id == newest).order_by(Delivery.id)))


def sign_up(email: str, state: str, now: datetime) -> None:
    with transaction(now) as session:
        values = {**identity(email), "state": state, "requested_at": now}
        session.execute(insert(Subscriber), [values])


@pytest.fixture
def incident_id(page: dict[str, str], now: datetime) -> str:
    """An incident that affects Sign-in and Billing."""
    states = {page["Sign-in"]: ComponentState.OUTAGE, page["Billing"]: ComponentState.DEGRADED}
    return builders.declared(builders.account(now), states, now)


def test_customers_of_affected_components_and_all_subscribers_are_told(incident_id: str, now: datetime) -> None:
    sign_up("reader@example.com", "active", now)
    imported(
        f"{HEADER}signin@example.com,,Sign-in\nboth@example.com,,Billing;Sign-in\nsearch@example.com,,Search\n", now
    )
    assert audiences.reach(incident_id, "customers") == 3
    assert audiences.reach(incident_id, "subscribers") == 1
    found = {row.address: (row.subscriber_id is None, row.customer_id is None) for row in told(incident_id, now)}
    assert found == {
        "reader@example.com": (False, True),
        "signin@example.com": (True, False),
        "both@example.com": (True, False),
    }


def test_who_unsubscribed_and_is_a_customer_gets_it_once_as_a_customer(incident_id: str, now: datetime) -> None:
    for state in ("unsubscribed", "pending", "active"):
        sign_up(f"{state.title()}@example.com", state, now)
        imported(f"{HEADER}{state}@example.com,,Sign-in\n", now)
    found = {row.address: row.customer_id is not None for row in told(incident_id, now)}
    assert found == {"unsubscribed@example.com": True, "pending@example.com": True, "Active@example.com": False}


@pytest.mark.parametrize(
    ("chosen", "addresses"),
    [
        (["customers"], ["both@example.com", "only-customer@example.com"]),
        (["subscribers"], ["both@example.com", "only-subscriber@example.com"]),
    ],
)
def test_a_policy_may_name_one_of_the_two_alone(
    chosen: list[str], addresses: list[str], incident_id: str, now: datetime
) -> None:
    imported(HEADER + "both@example.com,,Sign-in\nonly-customer@example.com,,Sign-in\n", now)
    for name in ("both", "only-subscriber"):
        sign_up(f"{name}@example.com", Subscriber.ACTIVE, now)
    assert audiences.reach(incident_id, "customers", chosen) == 2
    incident = db.session.get_one(Incident, incident_id)
    with transaction(now) as session:
        announcements.announce_to_customers(session, "document", "abcabcabcabc", incident, now, {"audience": chosen})
    while announcements.expand(audiences.audience, now):
        pass
    assert sorted(db.session.scalars(select(Delivery.address))) == addresses


def test_the_database_refuses_to_tell_anybody_a_second_time(incident_id: str, now: datetime) -> None:
    sign_up("reader@example.com", "active", now)
    imported(f"{HEADER}user@example.com,,Sign-in\n", now)
    assert len(told(incident_id, now)) == 2
    with transaction(now) as session:
        session.execute(update(Announcement).values(expanded_to="", expanded_at=None))
    with pytest.raises(announcements.NotExpanded) as refused:
        announcements.expand(audiences.audience, now)
    assert isinstance(refused.value.__cause__, IntegrityError)
    assert len(list(db.session.scalars(select(Delivery)))) == 2


def test_no_other_audience_is_looked_up(incident_id: str) -> None:
    with pytest.raises(ValueError, match="nobody is looked up"):
        audiences.reach(incident_id, "address")


NAMES = st.sampled_from(["ada", "Ada", "ADA", "bea", "Bea", "cleo", "dora"])
PARTS = st.frozensets(st.sampled_from(["Sign-in", "Billing", "Search"]), min_size=1)


# The database is emptied by hand between examples.
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    subscribers=st.dictionaries(NAMES, st.sampled_from(["active", "pending", "unsubscribed"])),
    users=st.dictionaries(NAMES, PARTS),
    chunk=st.integers(min_value=1, max_value=4),
    left_between=st.booleans(),
)
def test_every_address_is_told_once_and_nobody_is_missed(
    incident_id: str,
    now: datetime,
    monkeypatch: pytest.MonkeyPatch,
    subscribers: dict[str, str],
    users: dict[str, frozenset[str]],
    chunk: int,
    left_between: bool,
) -> None:
    with transaction(now) as session:
        for table in (Delivery, CustomerComponent, Customer, Subscriber):
            session.execute(delete(table))
    monkeypatch.setattr(announcements, "EXPANSION_CHUNK", chunk)
    states = {name.lower(): (name, state) for name, state in subscribers.items()}
    for name, state in states.values():
        sign_up(f"{name}@example.com", state, now)
    choices = {name.lower(): (name, parts) for name, parts in users.items()}
    text = "".join(f"{name}@example.com,,{'|'.join(sorted(parts))}\n" for name, parts in choices.values())
    assert {outcome for _, outcome, _ in imported(HEADER + text, now)} <= {"created"}
    active = {key for key, (_, state) in states.items() if state == "active"}
    affected = {key for key, (_, parts) in choices.items() if parts & {"Sign-in", "Billing"}}
    assert audiences.reach(incident_id, "customers") == len(active | affected)
    if left_between:
        with transaction(now) as session:
            incident = session.get_one(Incident, incident_id)
            announcements.announce_to_customers(session, "document", "nosuchthing0", incident, now)
        announcements.expand(audiences.audience, now)
        for subscriber in list(db.session.scalars(select(Subscriber.id).where(Subscriber.state == "active"))):
            subscriptions.unsubscribe(subscriber, now)
        while announcements.expand(audiences.audience, now):
            pass
        db.session.rollback()
        found = list(db.session.scalars(select(Delivery)))
        keys = [row.address.lower().partition("@")[0] for row in found]
        # Like everybody who unsubscribes before their turn: once or not at all, never twice.
        assert affected - active <= set(keys) <= affected | active
    else:
        found = told(incident_id, now)
        keys = [row.address.lower().partition("@")[0] for row in found]
        assert set(keys) == active | affected
        assert {key for key, row in zip(keys, found, strict=True) if row.subscriber_id} == active
        assert all((row.subscriber_id is None) != (row.customer_id is None) for row in found)
    assert len(keys) == len(set(keys))
