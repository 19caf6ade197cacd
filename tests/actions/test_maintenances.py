"""Maintenance windows by hand and by the clock: each step once, the right people told, states untouched."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from statuspage.actions import components, maintenance_clock, maintenances
from statuspage.actions.audiences import audience, maintenance_reach
from statuspage.actions.maintenances import Change, Message, SeriesEnd
from statuspage.db import db, transaction
from statuspage.delivery import announcements
from statuspage.models import Announcement, AuditEntry, Component, Delivery, Maintenance, MaintenanceSeries
from statuspage.models import Change as PublicChange
from statuspage.rules.subscriptions import Choice
from statuspage.rules.vocabulary import (
    ComponentState,
    Conflict,
    MaintenanceMessage,
    MaintenanceStage,
    NotFound,
    RuleBroken,
    SubscriptionKind,
)
from statuspage.site import page
from statuspage.site.roster import load_roster
from statuspage.site.shelf import Shelf
from tests import builders

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
QUIETLY = Message("", tell=False)


@pytest.fixture
def sign_in(app: Flask, now: datetime) -> str:
    builders.page(now)
    return builders.component(now)


@pytest.fixture
def by(sign_in: str, now: datetime) -> str:
    return builders.account(now)


def get(maintenance_id: str) -> Maintenance:
    db.session.rollback()
    return db.session.get_one(Maintenance, maintenance_id, populate_existing=True)


def said(maintenance_id: str) -> list[tuple[str, bool]]:
    """What was said about a window, oldest first, and whether subscribers were told."""
    return [(each.kind.value, each.is_told) for each in reversed(get(maintenance_id).updates)]


def told() -> list[str]:
    """The addresses of every delivery there is, in order."""
    while announcements.expand(audience, datetime.fromisoformat("2027-01-01T00:00:00+00:00")):
        pass
    query = select(Delivery.address).join(Announcement, Announcement.id == Delivery.announcement_id)
    return list(db.session.scalars(query.where(Announcement.kind == "maintenance_update").order_by(Delivery.id)))


def tick(now: datetime) -> None:
    for series_id in maintenance_clock.due_series(now):
        maintenance_clock.plan_next(series_id, now)
    for maintenance_id in maintenance_clock.due_windows(now):
        maintenance_clock.take_step(maintenance_id, now)


def change(maintenance_id: str, by: str, now: datetime, **wanted: Any) -> None:
    maintenances.change(maintenance_id, Change(**wanted), builders.seen(maintenance_id), builders.nonce(), by, now)


def do(act: Any, maintenance_id: str, by: str, now: datetime, message: Message = QUIETLY) -> str:
    done: str = act(maintenance_id, message, builders.seen(maintenance_id), builders.nonce(), by, now)
    return done


def test_a_window_is_planned_announced_reminded_of_started_and_finished(sign_in: str, now: datetime) -> None:
    builders.subscribed(now)
    window_id = builders.window(now, (sign_in,))
    assert told() == ["ada@example.com"]
    begins = now + DAY
    for at, stage, messages in (
        (begins - HOUR - timedelta(seconds=1), "scheduled", ["scheduled"]),
        (begins - HOUR, "scheduled", ["scheduled", "reminder"]),
        (begins, "in_progress", ["scheduled", "reminder", "started"]),
        (begins + HOUR, "in_progress", ["scheduled", "reminder", "started"]),
        (begins + 2 * HOUR, "completed", ["scheduled", "reminder", "started", "finished"]),
        (begins + 9 * HOUR, "completed", ["scheduled", "reminder", "started", "finished"]),
    ):
        tick(at)
        assert (get(window_id).stage, said(window_id)) == (stage, [(kind, True) for kind in messages])
    assert len(told()) == 4
    assert maintenance_clock.due_windows(now + 99 * DAY) == []


def test_a_worker_that_slept_through_a_window_records_it_and_tells_only_the_end(sign_in: str, now: datetime) -> None:
    window_id = builders.window(now, (sign_in,))
    tick(now + 9 * DAY)
    assert said(window_id) == [("scheduled", True), ("started", False), ("finished", True)]
    window = get(window_id)
    assert (window.started_at, window.completed_at) == (now + DAY, now + DAY + 2 * HOUR)
    assert [each.posted_at for each in reversed(window.updates)] == [now, now + DAY, now + DAY + 2 * HOUR]


@pytest.mark.parametrize(
    ("about", "expected"),
    [
        ({"starts_itself": False}, ["scheduled", "reminder"]),
        ({"finishes_itself": False}, ["scheduled", "reminder", "started"]),
        ({"remind_minutes": None}, ["scheduled", "started", "finished"]),
        ({"notifies": False}, ["scheduled", "started", "finished"]),
    ],
)
def test_what_is_left_to_people_the_clock_leaves_alone(
    about: dict[str, Any], expected: list[str], sign_in: str, now: datetime
) -> None:
    window_id = builders.window(now, (sign_in,), **about)
    for hours in range(60):
        tick(now + hours * HOUR)
    assert [kind for kind, _ in said(window_id)] == expected
    assert {is_told for _, is_told in said(window_id)} == {about.get("notifies", True)}


def test_no_reminder_of_a_window_that_begins_sooner(sign_in: str, now: datetime) -> None:
    window_id = builders.window(now, (sign_in,), scheduled_for=now + HOUR / 2)
    tick(now)
    tick(now + HOUR / 2)
    assert [kind for kind, _ in said(window_id)] == ["scheduled", "started"]


def test_only_those_are_told_who_chose_maintenance_and_one_of_the_components(sign_in: str, now: datetime) -> None:
    api = builders.component(now, "API")
    kinds = frozenset({SubscriptionKind.MAINTENANCE})
    builders.subscribed(now, "all@example.com", Choice(None, kinds))
    builders.subscribed(now, "mine@example.com", Choice(frozenset({sign_in}), kinds))
    builders.subscribed(now, "other@example.com", Choice(frozenset({api}), kinds))
    builders.subscribed(now, "incidents@example.com", Choice(None, frozenset({SubscriptionKind.INCIDENTS})))
    builders.asked(now, "pending@example.com")
    builders.window(now, (sign_in,))
    assert sorted(told()) == ["all@example.com", "mine@example.com"]
    assert sum(maintenance_reach([sign_in]).values()) == 2


def test_whoever_was_told_of_a_window_is_told_that_it_moved_even_away_from_their_components(
    sign_in: str, by: str, now: datetime
) -> None:
    api = builders.component(now, "API")
    builders.subscribed(now, "mine@example.com", Choice(frozenset({sign_in})))
    window_id = builders.window(now, (sign_in,))
    assert told() == ["mine@example.com"]
    change(window_id, by, now, component_ids=(api,), scheduled_for=now + 2 * DAY, scheduled_until=now + 2 * DAY + HOUR)
    assert told() == ["mine@example.com"] * 2
    assert sum(maintenance_reach([api], window_id).values()) == 1
    assert said(window_id)[-1] == ("moved", True)
    body = get(window_id).updates[0].body
    assert "23 Nov 2026, 14:00 UTC" in body
    assert "22 Nov 2026, 14:00 UTC" in body


def test_a_window_nobody_was_told_of_moves_quietly(sign_in: str, by: str, now: datetime) -> None:
    builders.subscribed(now)
    window_id = builders.window(now, (sign_in,), notifies=False)
    change(window_id, by, now, scheduled_until=now + DAY + HOUR)
    assert told() == []


def test_a_moved_window_is_reminded_of_again_and_begins_at_its_new_time(sign_in: str, by: str, now: datetime) -> None:
    window_id = builders.window(now, (sign_in,))
    tick(now + DAY - HOUR)
    change(window_id, by, now + DAY - HOUR, scheduled_for=now + 3 * DAY, scheduled_until=now + 3 * DAY + HOUR)
    tick(now + DAY)
    assert get(window_id).stage is MaintenanceStage.SCHEDULED
    for at in (now + 3 * DAY - HOUR, now + 3 * DAY, now + 3 * DAY + HOUR):
        tick(at)
    assert [kind for kind, _ in said(window_id)] == [
        "scheduled", "reminder", "moved", "reminder", "started", "finished",
    ]  # fmt: skip


def test_a_running_window_is_extended_and_ends_later(sign_in: str, by: str, now: datetime) -> None:
    window_id = builders.window(now, (sign_in,))
    tick(now + DAY)
    change(window_id, by, now + DAY + HOUR, scheduled_until=now + DAY + 5 * HOUR)
    tick(now + DAY + 3 * HOUR)
    assert get(window_id).stage is MaintenanceStage.IN_PROGRESS
    assert "takes longer than planned" in get(window_id).updates[0].body
    with pytest.raises(RuleBroken, match="only its end"):
        change(window_id, by, now + DAY + HOUR, scheduled_for=now + 2 * DAY, scheduled_until=now + 3 * DAY)
    tick(now + DAY + 5 * HOUR)
    assert get(window_id).completed_at == now + DAY + 5 * HOUR


def test_start_check_and_finish_by_hand(sign_in: str, by: str, now: datetime) -> None:
    window_id = builders.window(now, (sign_in,))
    with pytest.raises(Conflict, match="not begun"):
        do(maintenances.finish, window_id, by, now)
    do(maintenances.start, window_id, by, now + HOUR)
    with pytest.raises(Conflict, match="begun already"):
        do(maintenances.start, window_id, by, now + HOUR)
    version = builders.seen(window_id)
    maintenances.post_update(
        window_id, MaintenanceStage.VERIFYING, Message("", True), version, builders.nonce(), by, now + HOUR
    )
    do(maintenances.finish, window_id, by, now + 2 * HOUR, Message("All is well.", True))
    window = get(window_id)
    entries = db.session.scalars(select(AuditEntry).where(AuditEntry.action == "change").order_by(AuditEntry.id))
    assert [entry.detail["did"] for entry in entries] == ["start", "update: verifying", "finish"]
    assert (window.stage, window.started_at, window.completed_at) == ("completed", now + HOUR, now + 2 * HOUR)
    assert window.updates[0].body == "All is well."
    tick(now + 9 * DAY)
    assert [kind for kind, _ in said(window_id)] == ["scheduled", "started", "update", "finished"]
    with pytest.raises(Conflict, match="over"):
        do(maintenances.cancel, window_id, by, now + 3 * HOUR)


def test_a_cancelled_window_stays_visible_and_everybody_told_hears_of_it(sign_in: str, by: str, now: datetime) -> None:
    builders.subscribed(now)
    window_id = builders.window(now, (sign_in,))
    do(maintenances.cancel, window_id, by, now, Message("", tell=False))
    assert len(told()) == 2
    entry = page.load_entry(window_id, Shelf())
    assert entry is not None
    assert (entry.label, entry.is_cancelled, entry.stage, entry.is_open) == ("Cancelled", True, "completed", False)
    assert entry.updates[0].label == "Cancelled"
    tick(now + 9 * DAY)
    assert len(get(window_id).updates) == 2


def test_a_form_that_is_posted_twice_counts_once_and_a_stale_one_is_refused(
    sign_in: str, by: str, now: datetime
) -> None:
    window_id = builders.window(now, (sign_in,))
    version, nonce = builders.seen(window_id), builders.nonce()
    first = maintenances.start(window_id, QUIETLY, version, nonce, by, now)
    again = maintenances.start(window_id, QUIETLY, version, nonce, by, now)
    assert len(first) == len(again) == 12
    assert [kind for kind, _ in said(window_id)] == ["scheduled", "started"]
    with pytest.raises(Conflict, match="changed while you were writing"):
        maintenances.finish(window_id, QUIETLY, version, builders.nonce(), by, now)
    with pytest.raises(NotFound):
        maintenances.finish("nosuchwindow", QUIETLY, 1, builders.nonce(), by, now)


def test_a_step_of_the_clock_makes_an_open_form_stale(sign_in: str, by: str, now: datetime) -> None:
    window_id = builders.window(now, (sign_in,))
    version = builders.seen(window_id)
    tick(now + DAY)
    with pytest.raises(Conflict):
        maintenances.cancel(window_id, QUIETLY, version, builders.nonce(), by, now + DAY)


@pytest.mark.parametrize(
    ("about", "field"),
    [
        ({"title": " "}, "title"),
        ({"title": "x" * 151}, "title"),
        ({"title": "two\nlines"}, "title"),
        ({"body": ""}, "body"),
        ({"remind_minutes": 0}, "remind_minutes"),
        ({"rule": "FREQ=MINUTELY"}, "rule"),
        ({"rule": "FREQ=WEEKLY;BYDAY=MO"}, "rule"),
        ({"rule": "FREQ=DAILY;COUNT=1"}, "rule"),
    ],
)
def test_what_can_not_be_is_refused_beside_its_field(
    about: dict[str, Any], field: str, sign_in: str, now: datetime
) -> None:
    with pytest.raises(RuleBroken) as refused:
        builders.window(now, (sign_in,), **about)
    assert set(refused.value.errors) == {field}


def test_every_mistake_is_told_at_once(sign_in: str, now: datetime) -> None:
    with pytest.raises(RuleBroken) as refused:
        builders.window(now, ("nosuchcompon",), title="", body="", scheduled_until=now)
    assert set(refused.value.errors) == {"title", "body", "components", "scheduled_until"}


def test_a_window_never_touches_a_state_and_never_hides_one(sign_in: str, by: str, now: datetime) -> None:
    """Two windows overlap: the cover lasts until the last one ends, and an outage shows through all the while."""
    builders.window(now, (sign_in,), scheduled_for=now + HOUR)
    builders.window(now, (sign_in,), scheduled_for=now + 2 * HOUR)
    shown = []
    for hours in range(6):
        tick(now + hours * HOUR)
        found = page.load_component(sign_in, load_roster(), Shelf())
        assert found is not None
        shown.append(found[0].in_maintenance)
    assert shown == [False, True, True, True, False, False]
    builders.window(now + 6 * HOUR, (sign_in,), scheduled_for=now + 6 * HOUR)
    tick(now + 6 * HOUR)
    builders.acknowledged(by, {sign_in: ComponentState.OUTAGE}, now + 6 * HOUR)
    found = page.load_component(sign_in, load_roster(), Shelf())
    assert found is not None
    assert (found[0].state, found[0].in_maintenance) == (ComponentState.OUTAGE, False)
    tick(now + 9 * HOUR)
    assert db.session.get_one(Component, sign_in, populate_existing=True).state is ComponentState.OUTAGE


def windows_of_series() -> Sequence[Maintenance]:
    db.session.rollback()
    query = select(Maintenance).where(Maintenance.series_id.is_not(None)).order_by(Maintenance.scheduled_for)
    return db.session.scalars(query.execution_options(populate_existing=True)).all()


def test_a_series_keeps_two_windows_ahead_and_tells_of_each_three_days_before(sign_in: str, now: datetime) -> None:
    builders.subscribed(now)
    builders.window(now, (sign_in,), rule="FREQ=WEEKLY", remind_minutes=None)
    assert len(windows_of_series()) == 2
    assert len(told()) == 1
    for hours in range(24 * 15):
        tick(now + hours * HOUR)
    found = windows_of_series()
    assert [each.scheduled_for for each in found] == [now + DAY + count * 7 * DAY for count in range(4)]
    assert [each.stage.value for each in found] == ["completed", "completed", "scheduled", "scheduled"]
    assert said(found[1].id) == [("scheduled", True), ("started", True), ("finished", True)]
    assert [said(each.id) for each in found[2:]] == [[("scheduled", True)], [("scheduled", False)]]
    assert get(found[2].id).created_at == now + 8 * DAY - 7 * DAY
    announced = select(Announcement.created_at).where(Announcement.subject_id == found[2].updates[0].id)
    assert db.session.scalars(announced).one() == found[2].scheduled_for - 3 * DAY


def test_a_moved_window_of_a_series_is_not_planned_a_second_time(sign_in: str, by: str, now: datetime) -> None:
    first = builders.window(now, (sign_in,), rule="FREQ=WEEKLY")
    change(first, by, now, scheduled_for=now + 3 * DAY, scheduled_until=now + 3 * DAY + HOUR)
    for days in range(10):
        tick(now + days * DAY)
    starts = [each.scheduled_for for each in windows_of_series()]
    assert starts == [now + 3 * DAY, now + 8 * DAY, now + 15 * DAY, now + 22 * DAY][: len(starts)]
    assert len(starts) >= 3


def end_series(by: str, now: datetime, nonce: str = "", **end: Any) -> None:
    series_id = db.session.scalars(select(MaintenanceSeries.id)).one()
    maintenances.end_series(series_id, SeriesEnd(**end), nonce or builders.nonce(), by, now)


def test_a_series_ends_with_its_planned_windows_and_whoever_was_told_of_one_is_told(
    sign_in: str, by: str, now: datetime
) -> None:
    builders.subscribed(now)
    builders.window(now, (sign_in,), rule="FREQ=WEEKLY", remind_minutes=None)
    single = builders.window(now, (sign_in,))
    before = len(told())
    end_series(by, now, body="The new cluster needs none of this.")
    first, second = windows_of_series()
    assert said(first.id) == [("scheduled", True), ("cancelled", True)]
    # Nobody had heard of it yet: it stays on the page, and no mail goes out.
    assert said(second.id) == [("scheduled", False), ("cancelled", False)]
    assert [(each.stage, each.cancelled_at, each.version) for each in (first, second)] == [
        (MaintenanceStage.COMPLETED, now, 2)
    ] * 2
    assert {each.updates[0].body for each in (first, second)} == {"The new cluster needs none of this."}
    assert len(told()) == before + 1
    assert get(single).stage is MaintenanceStage.SCHEDULED
    tick(now + 90 * DAY)
    assert len(windows_of_series()) == 2


def test_a_series_ends_and_keeps_its_planned_windows(sign_in: str, by: str, now: datetime) -> None:
    builders.window(now, (sign_in,), rule="FREQ=WEEKLY")
    end_series(by, now, keeps_windows=True)
    for days in range(90):
        tick(now + days * DAY)
    assert [said(each.id)[-1] for each in windows_of_series()] == [("finished", True)] * 2


def test_a_window_that_runs_outlives_its_series(sign_in: str, by: str, now: datetime) -> None:
    builders.window(now, (sign_in,), rule="FREQ=WEEKLY")
    tick(now + DAY + HOUR)
    end_series(by, now + DAY + HOUR)
    stages = [each.stage for each in windows_of_series()]
    assert stages == [MaintenanceStage.IN_PROGRESS, *[MaintenanceStage.COMPLETED] * (len(stages) - 1)]
    assert len(stages) > 1


def test_a_series_ends_once_and_a_form_posted_twice_counts_once(sign_in: str, by: str, now: datetime) -> None:
    builders.window(now, (sign_in,), rule="FREQ=WEEKLY")
    end_series(by, now, "the form")
    end_series(by, now, "the form")
    with pytest.raises(Conflict, match="ended already"):
        end_series(by, now)
    assert [len(said(each.id)) for each in windows_of_series()] == [2, 2]


def test_a_reason_that_is_too_long_ends_nothing(sign_in: str, by: str, now: datetime) -> None:
    builders.window(now, (sign_in,), rule="FREQ=WEEKLY")
    with pytest.raises(RuleBroken):
        end_series(by, now, body="x" * 30_000)
    assert db.session.scalars(select(MaintenanceSeries.ended_at)).one() is None
    assert [each.stage for each in windows_of_series()] == [MaintenanceStage.SCHEDULED] * 2


def test_a_series_whose_worker_slept_goes_on_with_what_is_to_come(sign_in: str, now: datetime) -> None:
    builders.window(now, (sign_in,), rule="FREQ=DAILY;COUNT=40")
    tick(now + 30 * DAY)
    starts = [each.scheduled_for for each in windows_of_series()]
    assert starts == [now + DAY, now + 2 * DAY, now + 31 * DAY, now + 32 * DAY]
    for days in range(31, 60):
        tick(now + days * DAY)
    assert windows_of_series()[-1].scheduled_for == now + 40 * DAY
    assert db.session.scalars(select(MaintenanceSeries.plan_at)).one() is None


def test_a_window_that_left_a_month_or_a_component_has_those_pages_written_anew(
    sign_in: str, by: str, now: datetime
) -> None:
    api = builders.component(now, "API")
    window_id = builders.window(now, (sign_in,))
    later = now + 20 * DAY
    change(window_id, by, now, component_ids=(api,), scheduled_for=later, scheduled_until=later + HOUR)
    changed = set(map(tuple, db.session.execute(select(PublicChange.subject_kind, PublicChange.subject_id))))
    assert {("month", "2026-11"), ("component", sign_in), ("maintenance", window_id)} <= changed


@pytest.mark.parametrize(
    "impossible",
    [
        {"cancelled_at": datetime.fromisoformat("2026-11-21T14:00:00+00:00")},
        {"stage": MaintenanceStage.COMPLETED},
        {"scheduled_until": datetime.fromisoformat("2020-01-01T00:00:00+00:00")},
        {"remind_minutes": 0},
        {"occurrence_at": datetime.fromisoformat("2026-11-21T14:00:00+00:00")},
    ],
)
def test_the_database_itself_refuses_what_can_not_be(impossible: dict[str, Any], sign_in: str, now: datetime) -> None:
    window_id = builders.window(now, (sign_in,))
    with pytest.raises(IntegrityError), transaction(now) as session:
        window = session.get_one(Maintenance, window_id)
        for name, value in impossible.items():
            setattr(window, name, value)


def test_a_component_taken_off_the_page_is_left_out_of_the_next_window(sign_in: str, by: str, now: datetime) -> None:
    api = builders.component(now, "API")
    builders.window(now, (sign_in, api), rule="FREQ=WEEKLY")
    components.archive_component(api, by, now)
    tick(now + DAY)
    assert [each.component_id for each in windows_of_series()[-1].components] == [sign_in]


def test_the_kinds_of_messages_are_what_the_schema_knows() -> None:
    assert {kind.value for kind in MaintenanceMessage} == {
        "scheduled", "moved", "reminder", "started", "update", "finished", "cancelled",
    }  # fmt: skip
