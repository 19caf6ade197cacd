"""What the comms lead sees of delivery, the hold with Undo, and the administrators' view of subscribers."""

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select, update

from statuspage import clock
from statuspage.actions import audiences, policies
from statuspage.db import db, transaction
from statuspage.delivery import announcements
from statuspage.models import (
    Announcement,
    AuditEntry,
    Delivery,
    IncidentFollow,
    ProviderState,
    Subscriber,
    SubscriberComponent,
    Suppression,
)
from statuspage.models import Update as PublicUpdate
from statuspage.rules.subscriptions import identity
from statuspage.rules.vocabulary import AccountRole, ComponentState, MessageKind, Severity, SubscriptionMethod
from statuspage.site import publisher
from statuspage.web.console import counting
from tests import builders
from tests.pagechecks import check_page, text_of
from tests.typed import typed
from tests.web.conftest import Visitor

Arrive = Callable[[AccountRole], Visitor]
MINUTE = timedelta(minutes=1)


def subscriber(
    email: str, now: datetime, *component_ids: str, method: SubscriptionMethod = SubscriptionMethod.EMAIL, **about: Any
) -> str:
    endpoint = "" if method is SubscriptionMethod.EMAIL else f"https://hooks.example.com/secret/{email}"
    with transaction(now) as session:
        made = Subscriber(
            **identity(email, method, endpoint),
            **{"state": Subscriber.ACTIVE, "requested_at": now, "all_components": not component_ids} | about,
        )
        session.add(made)
        session.flush()
        session.add_all(SubscriberComponent(subscriber_id=made.id, component_id=each) for each in component_ids)
        return made.id


def words(page: str) -> str:
    return text_of(check_page(page))


def expand_all(now: datetime) -> None:
    while announcements.expand(audiences.audience, now):
        pass


def set_states(**states: str) -> None:
    """Give the deliveries to addresses that begin so another state."""
    with transaction(clock.now()) as session:
        for name, state in states.items():
            settled = None if state in ("queued", "leased", "unknown") else clock.now()
            session.execute(
                update(Delivery).where(Delivery.address.startswith(name)).values(state=state, settled_at=settled)
            )


@pytest.fixture
def comms(app: Flask, component_id: str, arrive: Arrive) -> Visitor:
    return arrive(AccountRole.COMMS)


@pytest.fixture
def states(component_id: str) -> dict[str, ComponentState]:
    return {component_id: ComponentState.OUTAGE}


@pytest.fixture
def room(states: dict[str, ComponentState], started: datetime) -> str:
    """The room of an acknowledged incident."""
    by = builders.account(started)
    return f"/console/incidents/{builders.acknowledged(by, states, started - MINUTE)}"


@pytest.fixture
def held_room(comms: Visitor, room: str, started: datetime) -> str:
    """A room whose policy holds mails for 30 seconds, just after an update was posted in it; one reader waits."""
    subscriber("ada@example.com", started)
    expand_all(started)
    policies.edit_policy(Severity.SEV1, {"undo_window": "PT30S"}, None, None, started)
    assert comms.post(f"{room}/update", typed(MessageKind.UPDATE, clock.now())).status_code == 303
    return room


def newest() -> Announcement:
    db.session.rollback()
    query = select(Announcement).order_by(Announcement.id.desc()).execution_options(populate_existing=True)
    return db.session.scalars(query).first() or pytest.fail("nothing was announced")


def tell_me_now(app: Flask) -> None:
    """Forget what was counted a moment ago."""
    counting.install(app)


# --- before posting ----------------------------------------------------------


def test_the_form_says_how_many_it_reaches_by_which_method(
    comms: Visitor, room: str, component_id: str, started: datetime
) -> None:
    other = builders.component(started, "Search")
    subscriber("all@example.com", started)
    subscriber("chose@example.com", started, component_id)
    subscriber("hook@example.com", started, component_id, method=SubscriptionMethod.WEBHOOK)
    subscriber("elsewhere@example.com", started, other)
    subscriber("pending@example.com", started, state=Subscriber.PENDING)
    subscriber("quiet@example.com", started, wants_incidents=False)
    follower = subscriber("follower@example.com", started, other, method=SubscriptionMethod.SLACK)
    with transaction(started) as session:
        incident_id = room.rsplit("/", 1)[1]
        session.add(IncidentFollow(subscriber_id=follower, incident_id=incident_id, followed_at=started))
    reach = "2 people by e-mail, 1 webhook, 1 Slack room"
    assert f"the feeds and {reach}." in words(comms.get(f"{room}/update").text)
    # The preview follows what is chosen in the form.
    chosen = typed(MessageKind.UPDATE, clock.now()) | {f"state_{other}": "degraded"}
    preview = comms.post(f"{room}/update/preview", chosen, on=room)
    assert "3 people by e-mail, 1 webhook, 1 Slack room" in words(preview.text)


def test_before_the_first_message_a_component_can_be_left_out(
    comms: Visitor, states: dict[str, ComponentState], component_id: str, started: datetime
) -> None:
    other = builders.component(started, "Search")
    subscriber("chose@example.com", started, component_id)
    incident_id = builders.declared(None, states, started)
    room = f"/console/incidents/{incident_id}"
    assert "1 person by e-mail" in words(comms.get(room).text)
    chosen = {f"state_{component_id}": "", f"state_{other}": "outage"}
    preview = comms.post(f"{room}/acknowledge/preview", typed(MessageKind.ACKNOWLEDGE, clock.now()) | chosen, on=room)
    assert "nobody has subscribed to these components yet" in words(preview.text)


# --- after posting -----------------------------------------------------------


def test_the_room_says_how_far_each_update_has_come(app: Flask, comms: Visitor, room: str, started: datetime) -> None:
    for name in ("ada", "bob", "cyd", "dan", "eve"):
        subscriber(f"{name}@example.com", started)
    subscriber("hook@example.com", started, method=SubscriptionMethod.WEBHOOK)
    assert "Finding recipients" in words(comms.get(room).text)
    expand_all(started)
    set_states(ada="submitted", bob="delivered", cyd="complained", dan="leased", eve="dead")
    tell_me_now(app)
    line = "E-mail: 1 handed over, 1 delivered, 1 bounced, 1 waiting, 1 failed"
    for path in (room, f"{room}/delivery"):
        page = comms.get(path).text
        assert line in words(page)
        assert "Webhooks and chat rooms: 1 waiting" in words(page)
        assert re.search('<progress max="5" value="4" aria-label="E-mail: 4 of 5 done">', page)
    fragment = comms.get(f"{room}/delivery/lines")
    assert "data-running" in fragment.text
    with transaction(started) as session:
        session.execute(update(Delivery).values(state=Delivery.DELIVERED))
    tell_me_now(app)
    done = comms.get(f"{room}/delivery/lines").text
    assert "5 delivered" in done
    assert "data-running" not in done
    assert "<progress" not in done


def test_a_count_is_kept_for_a_while(app: Flask, comms: Visitor, room: str, started: datetime) -> None:
    subscriber("ada@example.com", started)
    expand_all(started)
    assert "1 waiting" in words(comms.get(room).text)
    set_states(ada="delivered")
    assert "1 waiting" in words(comms.get(room).text)
    tell_me_now(app)
    assert "1 delivered" in words(comms.get(room).text)


def test_the_room_does_not_wait_for_counting_a_million(
    app: Flask, comms: Visitor, room: str, started: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    subscriber("ada@example.com", started)
    expand_all(started)
    monkeypatch.setattr("statuspage.web.console.told.COUNTED_AT_ONCE", 0)
    page = comms.get(room).text
    assert "Counting …" in words(page)
    assert f'href="{room}/delivery"' in page
    assert "1 waiting" in words(comms.get(f"{room}/delivery").text)
    # And now it is known.
    assert "Counting …" not in words(comms.get(room).text)


def test_one_counts_at_a_time_and_the_others_see_what_was_counted_before(
    app: Flask, comms: Visitor, room: str, started: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    subscriber("ada@example.com", started)
    expand_all(started)
    monkeypatch.setattr(counting, "SHORTEST", timedelta(0))
    monkeypatch.setattr(counting, "TIMES_AS_LONG", 0)
    with app.extensions["counts"].turn:
        assert "Counting …" in words(comms.get(f"{room}/delivery").text)
    assert "1 waiting" in words(comms.get(f"{room}/delivery").text)
    set_states(ada="delivered")
    with app.extensions["counts"].turn:
        assert "1 waiting" in words(comms.get(f"{room}/delivery").text)
    assert "1 delivered" in words(comms.get(f"{room}/delivery").text)


def test_those_who_failed_are_sent_to_again(
    app: Flask, comms: Visitor, room: str, arrive: Arrive, started: datetime
) -> None:
    for name in ("ada", "bob", "cyd"):
        subscriber(f"{name}@example.com", started)
    expand_all(started)
    set_states(ada="dead", bob="dead", cyd="delivered")
    with transaction(started) as session:
        session.execute(update(Delivery).where(Delivery.address == "bob@example.com").values(was_unknown=True))
    page = comms.get(f"{room}/delivery")
    assert "1 failed for certain" in words(page.text)
    assert "Also 1 that may have it already" in words(page.text)
    path = f"{room}/delivery/{newest().id}/again"
    assert arrive(AccountRole.RESPONDER).post(path, {}, on="/console/account/").status_code == 403
    answer = comms.post(path, {}, on=f"{room}/delivery")
    assert answer.status_code == 303
    assert "1 is sent again." in words(comms.get(answer.location).text)
    answer = comms.post(path, {"even_if_arrived": "yes"}, on=f"{room}/delivery")
    assert "1 is sent again." in words(comms.get(answer.location).text)
    assert "E-mail: 1 delivered, 2 waiting" in words(comms.get(f"{room}/delivery").text)


def test_an_announcement_of_another_incident_is_not_there(
    comms: Visitor, room: str, states: dict[str, ComponentState], started: datetime
) -> None:
    other = builders.acknowledged(builders.account(started), states, started)
    foreign = newest()
    assert foreign.incident_id == other
    for act in ("undo", "again"):
        assert comms.post(f"{room}/delivery/{foreign.id}/{act}", {}, on=room).status_code == 404
    for act in ("correct", "send"):
        assert comms.post(f"{room}/updates/{foreign.subject_id}/{act}", {}, on=room).status_code == 404
    assert comms.post(f"{room}/delivery/{'9' * 30}/undo", {}, on=room).status_code == 404


# --- the hold with Undo ------------------------------------------------------


def test_the_room_counts_down_and_offers_undo(held_room: str, comms: Visitor, arrive: Arrive) -> None:
    page = comms.get(f"{held_room}?posted=update").text
    assert re.search(r"E-mails leave in \d+ s", words(page))
    assert "and in the feeds." in words(page)
    assert f'action="{held_room}/delivery/{newest().id}/undo"' in page
    viewer = arrive(AccountRole.VIEWER).get(held_room).text
    assert "E-mails leave in" in words(viewer)
    assert "/undo" not in viewer
    assert 'id="held"' in comms.get(f"{held_room}/delivery/lines").text


def test_undo_lets_nobody_be_mailed_and_the_text_can_be_corrected(held_room: str, comms: Visitor) -> None:
    announcement = newest()
    answer = comms.post(f"{held_room}/delivery/{announcement.id}/undo", {}, on=held_room)
    assert answer.status_code == 303
    page = comms.get(answer.location).text
    assert "Taken back: nobody was mailed." in words(page)
    assert "Taken back by Ada" in words(page)
    correct = f"{held_room}/updates/{announcement.subject_id}/correct"
    assert f'href="{correct}"' in page
    form = words(comms.get(correct).text)
    assert "We are undoing this morning's change." in form
    assert "Correct the text and send" in form
    refused = comms.post(correct, {"body": "x" * 25_001})
    assert refused.status_code == 422
    assert "x" * 25_001 in refused.text
    answer = comms.post(correct, {"body": "A corrected text."})
    assert answer.status_code == 303
    room = words(comms.get(answer.location).text)
    assert "the mails are on their way" in room
    assert "edited at" in room
    expand_all(clock.now())
    sent = db.session.scalars(select(Delivery).where(Delivery.announcement_id == newest().id)).all()
    assert [each.address for each in sent] == ["ada@example.com"]
    assert newest().id != announcement.id


def test_undo_that_comes_too_late_says_so(held_room: str, comms: Visitor) -> None:
    expand_all(clock.now() + MINUTE)
    answer = comms.post(f"{held_room}/delivery/{newest().id}/undo", {}, on=held_room)
    assert answer.status_code == 409
    assert "It is on its way already." in words(answer.text)


def test_what_was_taken_back_can_be_sent_unchanged_once(held_room: str, comms: Visitor) -> None:
    announcement = newest()
    comms.post(f"{held_room}/delivery/{announcement.id}/undo", {}, on=held_room)
    path = f"{held_room}/updates/{announcement.subject_id}/send"
    assert comms.post(path, {}, on=held_room).status_code == 303
    assert comms.post(path, {}, on=held_room).status_code == 409
    assert newest().not_before is None


def test_a_corrected_update_says_so_on_the_page_and_in_the_feeds(app: Flask, held_room: str, comms: Visitor) -> None:
    publisher.refresh(app.config["STATUSPAGE"], clock.now())
    update_id = db.session.scalars(select(PublicUpdate.id).order_by(PublicUpdate.sequence.desc())).first()
    comms.post(f"{held_room}/updates/{update_id}/correct", {"body": "Better words."})
    site = app.config["STATUSPAGE"].site_dir
    incident_id = held_room.rsplit("/", 1)[1]
    pages = [file for file in site.rglob("*") if file.is_file() and b"Better words." in file.read_bytes()]
    assert any(incident_id in str(file) for file in pages), pages
    assert all(b"edited at" in file.read_bytes() for file in pages if incident_id in str(file))
    feeds = [file for file in pages if file.name in ("history.atom", "history.rss")]
    assert len(feeds) == 2
    assert all(b", edited at " in file.read_bytes() for file in feeds)


def test_a_window_that_can_not_be_is_refused_beside_its_field(arrive: Arrive, component_id: str) -> None:
    admin = arrive(AccountRole.ADMIN)
    form = {"nudges_at_00": "", "holding_text": "By {next_update_by}.", "holding_max": "2", "audience": "subscribers"}
    answer = admin.post("/admin/policies/SEV1", form | {"undo_window": "1 h"})
    assert answer.status_code == 422
    assert "from PT1S to PT10M" in words(answer.text)
    assert admin.post("/admin/policies/SEV1", form | {"undo_window": "30 s"}).status_code == 303
    assert policies.policy_of(Severity.SEV1).undo_window == timedelta(seconds=30)
    assert 'value="30 s"' in admin.get("/admin/policies/SEV1").text


# --- when no mail leaves -----------------------------------------------------


@pytest.mark.parametrize(("needs_person", "asks"), [(True, True), (False, False)])
def test_every_console_page_says_when_no_mail_leaves(
    needs_person: bool, asks: bool, arrive: Arrive, component_id: str, started: datetime
) -> None:
    admin = arrive(AccountRole.ADMIN)
    assert "No mail leaves" not in admin.get("/console/").text
    assert admin.get("/readyz").json["mail"] == "ok"  # type: ignore[index]
    with transaction(started) as session:
        state = {"stopped_at": started, "retry_at": started + MINUTE, "needs_person": needs_person}
        session.add(ProviderState(name="mail", reason="SendGrid refused the key.", **state))
    for path in ("/console/", "/admin/people/"):
        page = words(admin.get(path).text)
        assert f"No mail leaves since {started:%H:%M} UTC: SendGrid refused the key. " in page
        assert "It is tried again at" in page
        assert ("Somebody has to look at the settings of mail." in page) is asks
    assert ("please tell an administrator" in arrive(AccountRole.COMMS).get("/console/").text) is asks
    answer = admin.get("/readyz")
    assert answer.json["mail"].startswith("stopped since 20")  # type: ignore[index]
    # Why is for those who sign in; and it is no reason to send readers elsewhere.
    assert "SendGrid" not in answer.text
    assert answer.json["ready"] is (answer.status_code == 200)  # type: ignore[index]
    assert answer.json["ready"] is all(answer.json[name] == "ok" for name in ("database", "worker", "snapshot"))  # type: ignore[index]


# --- subscribers -------------------------------------------------------------


@pytest.mark.parametrize(
    ("search", "found"),
    [
        ("", ["a_b@example.com", "all@example.com", "axb@example.com", "hook@example.com", "old@example.com"]),
        ("q=A_B", ["a_b@example.com"]),
        ("q=%25", []),
        ("method=webhook", ["hook@example.com"]),
        ("method=pigeon", []),
        ("state=unsubscribed", ["old@example.com"]),
        ("component=all&state=active", ["all@example.com", "axb@example.com", "hook@example.com"]),
        ("component=COMPONENT", ["a_b@example.com"]),
        ("kind=component_changes", ["axb@example.com"]),
    ],
)
def test_subscribers_are_found_by_address_method_state_and_choice(
    search: str, found: list[str], arrive: Arrive, component_id: str, started: datetime
) -> None:
    subscriber("a_b@example.com", started, component_id)
    subscriber("axb@example.com", started, wants_component_changes=True)
    subscriber("all@example.com", started)
    subscriber("hook@example.com", started, method=SubscriptionMethod.WEBHOOK)
    subscriber("old@example.com", started, state=Subscriber.UNSUBSCRIBED)
    page = arrive(AccountRole.ADMIN).get(f"/admin/subscribers/?{search.replace('COMPONENT', component_id)}").text
    check_page(page)
    assert re.findall(r'href="/admin/subscribers/\w{12}">([^<]+)</a>', page) == found


def test_subscribers_come_in_pages(
    arrive: Arrive, component_id: str, started: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("statuspage.web.admin.subscribers.ON_PAGE", 2)
    for name in "abcde":
        subscriber(f"{name}@example.com", started)
    admin, path, seen = arrive(AccountRole.ADMIN), "/admin/subscribers/?q=example", ""
    for _ in range(3):
        page = admin.get(path).text
        seen += "".join(re.findall(r">(\w)@example.com</a>", page))
        further = re.search(r'href="([^"]+)">Next page', page)
        path = further[1].replace("&amp;", "&") if further else ""
    assert seen == "abcde"
    assert path == ""


def test_a_subscriber_s_page_shows_consent_choice_and_what_was_sent(
    arrive: Arrive, comms: Visitor, room: str, component_id: str, started: datetime
) -> None:
    consent = {"confirmed_at": started, "confirm_ip": "192.0.2.7", "form_version": "2026-11", "source": "import"}
    subscriber_id = subscriber("ada@example.com", started, component_id, **consent)
    expand_all(started)
    set_states(ada="dead")
    with transaction(started) as session:
        session.execute(update(Delivery).values(error="550 no such user"))
        session.add(Suppression(address_key="ada@example.com", reason="bounce", created_at=started))
    page = words(arrive(AccountRole.ADMIN).get(f"/admin/subscribers/{subscriber_id}").text)
    for said in ("an import", "192.0.2.7", "2026-11", "Sign-in", "Update: Sign-in fails", "failed", "550 no such user"):
        assert said in page, said
    assert "Nothing is mailed to this address, since a mail bounced" in page


def test_the_address_of_a_chat_room_is_a_secret(arrive: Arrive, component_id: str, started: datetime) -> None:
    hook = subscriber("a@example.com", started, method=SubscriptionMethod.WEBHOOK)
    chat = subscriber("b@example.com", started, method=SubscriptionMethod.SLACK)
    admin = arrive(AccountRole.ADMIN)
    assert "https://hooks.example.com/secret/a@example.com" in admin.get(f"/admin/subscribers/{hook}").text
    page = admin.get(f"/admin/subscribers/{chat}").text
    assert "secret" not in page
    assert "https://hooks.example.com/…" in page


def test_somebody_is_unsubscribed_by_hand(arrive: Arrive, component_id: str, started: datetime) -> None:
    subscriber_id = subscriber("ada@example.com", started)
    admin, path = arrive(AccountRole.ADMIN), f"/admin/subscribers/{subscriber_id}"
    assert admin.post(f"{path}/unsubscribe", {}, on=path).status_code == 303
    page = words(admin.get(path).text)
    assert "Unsubscribed" in page
    assert "by hand" not in page
    db.session.rollback()
    kept = db.session.get_one(Subscriber, subscriber_id, populate_existing=True)
    assert kept.state == Subscriber.UNSUBSCRIBED
    assert kept.unsubscribed_at is not None
    entries = db.session.scalars(select(AuditEntry).where(AuditEntry.object_id == subscriber_id)).all()
    assert [(each.action, each.account_id is not None) for each in entries] == [("unsubscribe", True)]
    again = admin.post(f"{path}/unsubscribe", {}, on=path)
    assert again.status_code == 409
    assert admin.post("/admin/subscribers/nosuchthing0/unsubscribe", {}, on=path).status_code == 404
