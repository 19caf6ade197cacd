"""Every page of the console, checked as a page: valid HTML, one h1, labels, nothing from elsewhere."""

from collections.abc import Callable
from datetime import datetime

import pytest
from flask import Flask
from sqlalchemy import select

from statuspage import clock
from statuspage.actions import drills, import_jobs
from statuspage.db import db, transaction
from statuspage.models import Announcement, Component, Delivery, Promise, ProviderState, Subscriber, Update
from statuspage.rules.subscriptions import identity
from statuspage.rules.vocabulary import AccountRole, ComponentState, MessageKind, PromiseState, SubscriptionMethod
from statuspage.settings import Settings
from tests import builders
from tests.ledgers import promise
from tests.pagechecks import check_page, text_of
from tests.web.conftest import Visitor

Arrive = Callable[[AccountRole], Visitor]

HOSTILE = "<script>alert(1)</script> \"quoted\" 'single' & {{7*7}}"


@pytest.fixture
def incident_id(app: Flask, started: datetime) -> str:
    """An open incident whose every text is hostile."""
    builders.page(started, HOSTILE[:90])
    by = builders.account(started)
    states = {builders.component(started, HOSTILE[:90]): ComponentState.DEGRADED}
    made = builders.declared(by, states, started, title=HOSTILE)
    builders.post(MessageKind.ACKNOWLEDGE, made, states, by, clock.now(), affected=HOSTILE, symptoms=HOSTILE)
    promise(made, PromiseState.LATE, started, reason=HOSTILE)
    return made


STEPS = ("severity", "declaration", "reopen", "roles", "internal-update", "holding-update")


def promise_id() -> str:
    return str(db.session.scalar(select(Promise.id).where(Promise.state == PromiseState.OPEN)))


def component_id() -> str:
    return str(db.session.scalar(select(Component.id)))


def update_id() -> str:
    return str(db.session.scalar(select(Update.id)))


def hostile_subscriber_id() -> str:
    """Somebody whose every word is hostile, and who was sent something; the same one each time."""
    earlier = db.session.scalar(select(Subscriber.id))
    if earlier is not None:
        return earlier
    now = clock.now()
    with transaction(now) as session:
        who = identity(HOSTILE, SubscriptionMethod.WEBHOOK, HOSTILE)
        stop = {"name": "mail", "stopped_at": now, "retry_at": now, "reason": HOSTILE, "needs_person": True}
        made = Subscriber(**who, state=Subscriber.ACTIVE, requested_at=now, request_user_agent=HOSTILE)
        session.add_all([made, ProviderState(**stop)])
        session.flush()
        announcement_id = session.scalars(select(Announcement.id)).first()
        sent = {"announcement_id": announcement_id, "subscriber_id": made.id, "address": made.id, "lane": 3}
        session.add(Delivery(**sent, state=Delivery.DEAD, error=HOSTILE, not_before=now, settled_at=now))
        return made.id


def import_id(now: datetime) -> str:
    """An import whose every text is hostile."""
    content = f'email,"{HOSTILE.replace(chr(34), "")}"\n{HOSTILE.replace(chr(34), "")},1\n'.encode()
    made = import_jobs.upload("subscribers", HOSTILE, content, True, builders.account(now), now)
    import_jobs.take_in_chunk(made, None, (), now)
    return made


def check(visitor: Visitor, path: str) -> str:
    answer = visitor.get(path)
    assert answer.status_code == 200, path
    root = check_page(answer.text)
    scripts = [script.get("src") for script in root.iter("script")]
    assert all(str(script).startswith("/static/") for script in scripts), path
    title = text_of(next(root.iter("title")))
    heading = text_of(next(root.iter("h1")))
    assert title.startswith(heading) or heading in title, (title, heading)
    return answer.text


def test_every_page_of_the_console_is_sound_with_hostile_words_on_it(
    incident_id: str, arrive: Arrive, started: datetime
) -> None:
    admin = arrive(AccountRole.ADMIN)
    room = f"/console/incidents/{incident_id}"
    drill_id = drills.start_drill("slow-sign-in", None, {}, None, clock.now())
    ended_id = drills.start_drill("supplier-failure", None, {}, None, clock.now())
    drills.end_drill(ended_id, None, clock.now())
    pages = [
        "/console/",
        "/console/incidents/new",
        room,
        f"{room}/acknowledge",
        f"{room}/update",
        f"{room}/resolve",
        f"{room}?posted=update",
        *(f"{room}?done={done}" for done in ("undo", "corrected", "corrected-and-sent", "sent-unchanged")),
        f"{room}/delivery",
        f"{room}/delivery?again=3",
        f"{room}/updates/{update_id()}/correct",
        *(f"{room}/{step}" for step in STEPS),
        *(f"{room}/{document}" for document in ("direct-email", "post-incident-email", "post-mortem", "close")),
        f"{room}/promises/{promise_id()}/on-it",
        f"{room}/promises/{promise_id()}/waiver",
        "/console/clocks/",
        "/console/drills/",
        f"/console/drills/{drill_id}",
        f"/console/drills/{ended_id}",
        f"/console/incidents/{drill_id}",
        f"/console/incidents/{ended_id}",
        "/console/mail/",
        "/console/account/",
        "/admin/policies/",
        "/admin/policies/SEV1",
        f"/console/reports/{clock.now():%Y-%m}",
        f"/console/reports/{clock.now():%Y-%m}/SEV1",
        f"/console/reports/{clock.now():%Y-%m}/SEV1/first_update",
        "/admin/components/",
        f"/admin/components/{component_id()}",
        "/admin/people/",
        "/admin/subscribers/",
        "/admin/subscribers/?q=%25&state=active&method=email&component=all&kind=incidents",
        f"/admin/subscribers/{hostile_subscriber_id()}",
        f"/admin/subscribers/{hostile_subscriber_id()}?done=unsubscribed",
        "/admin/channels/",
        "/admin/suppressions/",
        "/admin/templates/",
        "/admin/templates/resolve",
        "/admin/page/",
        "/admin/imports/",
        f"/admin/imports/{import_id(started)}",
    ]
    for path in pages:
        check(admin, path)


def test_pages_that_say_what_is_wrong_are_sound_too(incident_id: str, arrive: Arrive) -> None:
    admin = arrive(AccountRole.ADMIN)
    room = f"/console/incidents/{incident_id}"
    for path in (
        f"{room}/update",
        "/console/incidents/new",
        "/admin/components/",
        "/admin/people/",
        "/admin/channels/",
        "/admin/page/",
        "/admin/imports/",
        "/admin/policies/SEV2",
        *(f"{room}/{step}" for step in ("severity", "declaration", "internal-update", "post-mortem")),
        f"{room}/updates/{update_id()}/correct",
    ):
        answer = admin.post(
            path, {"body": "", "name": "", "title": HOSTILE * 9, "email": HOSTILE, "being_done": HOSTILE}
        )
        assert answer.status_code == 422, path
        root = check_page(answer.text)
        errors = [each for each in root.iter() if (each.get("id") or "").startswith("error-")]
        assert errors, path
        links = [link.get("href") for link in root.iter("a") if (link.get("href") or "").startswith("#field-")]
        ids = {each.get("id") for each in root.iter()}
        assert links
        assert all(str(link)[1:] in ids for link in links), path


def test_mails_kept_as_files_can_be_read(incident_id: str, arrive: Arrive, settings: Settings) -> None:
    settings.outbox_dir.mkdir(parents=True)
    content = "Subject: =?utf-8?q?=3Cscript=3E?=\r\nTo: a@example.com\r\nContent-Type: text/html\r\n\r\n<b>Hello</b><script>x()</script>"
    (settings.outbox_dir / "000000001.eml").write_bytes(content.encode())
    (settings.outbox_dir / "000000002.eml").write_bytes(b"\xff\xfe not a mail at all")
    for path in ("/console/mail/", "/console/mail/000000001.eml", "/console/mail/000000001.eml/html"):
        # An invitation among them would open an account to whoever may read it.
        assert arrive(AccountRole.COMMS).get(path).status_code == 403
    viewer = arrive(AccountRole.ADMIN)
    assert "&lt;script&gt;" in check(viewer, "/console/mail/")
    check(viewer, "/console/mail/000000001.eml")
    frame = viewer.get("/console/mail/000000001.eml/html")
    assert "sandbox" in frame.headers["Content-Security-Policy"]
    assert "script-src" not in frame.headers["Content-Security-Policy"]
    assert frame.status_code == 200
    assert viewer.get("/console/mail/000000002.eml").status_code == 200
    for path in ("/console/mail/..%2f..%2fsecret_key", "/console/mail/nothing.eml", "/console/mail/000000002.eml/html"):
        assert viewer.get(path).status_code == 404, path


def test_pages_for_strangers_are_sound(incident_id: str, anonymous: Visitor) -> None:
    for path in ("/login", "/subscribe", f"/subscribe/incidents/{incident_id}"):
        answer = anonymous.get(path)
        assert answer.status_code == 200
        check_page(answer.text)
    for path in (
        "/nothing/here",
        "/invitation/nonsense",
        "/unsubscribe/nonsense",
        "/subscriptions/nonsense",
        "/subscriptions/manage/nonsense",
        "/subscribe/incidents/nosuchthing0",
    ):
        answer = anonymous.get(path)
        assert answer.status_code in (400, 404)
        check_page(answer.text)
