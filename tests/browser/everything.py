"""An installation in which everything has happened: the example's past, and an incident in every state."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select

from statuspage import clock
from statuspage.actions import aftermath, drafts, drills, examples, import_jobs, maintenances, people, text_drafts
from statuspage.db import db, transaction
from statuspage.delivery.providers import transport_for
from statuspage.links import Purpose, make_token
from statuspage.models import (
    Account,
    ApiToken,
    Component,
    ComponentGroup,
    Incident,
    Promise,
    ProviderState,
    SavedReply,
    Suppression,
    Update,
)
from statuspage.rules.vocabulary import (
    AccountRole,
    ComponentState,
    DocumentKind,
    MessageKind,
    PromiseState,
    Severity,
    TokenScope,
    Visibility,
)
from statuspage.settings import Settings
from statuspage.worker import Worker
from tests import builders

ADMIN, COLLEAGUE = "ada@example.com", "grace@example.com"


def first(column: Any, *conditions: Any) -> str:
    """Return the first value of a column."""
    db.session.rollback()
    return str(db.session.scalars(select(column).where(*conditions)).first())


@dataclass
class Everything:
    """The example page and who works there; further incidents are made as they are asked for."""

    settings: Settings
    now: datetime
    by: str
    colleague: str

    def component(self, name: str) -> str:
        """Return the id of a component of the example."""
        return first(Component.id, Component.name == name)

    def declared(self, title: str, name: str, ago: int, **about: Any) -> str:
        """Declare an incident so many minutes ago; nobody is told."""
        states = {self.component(name): about.pop("state", ComponentState.OUTAGE)}
        return builders.declared(self.by, states, self.ago(ago), title=title, **about)

    def post(self, kind: MessageKind, incident_id: str, name: str, state: ComponentState, ago: int) -> str:
        """Post a message so many minutes ago."""
        return builders.post(kind, incident_id, {self.component(name): state}, self.by, self.ago(ago))

    def open(self, title: str, name: str, state: ComponentState, ago: int = 10) -> str:
        """Return the id of an open incident whose first message was posted so many minutes ago."""
        incident_id = self.declared(title, name, ago + 5, state=state)
        self.post(MessageKind.ACKNOWLEDGE, incident_id, name, state, ago)
        return incident_id

    def resolved(self, title: str, name: str) -> str:
        """Return the id of an incident that was resolved five minutes ago."""
        incident_id = self.open(title, name, ComponentState.OUTAGE, 50)
        self.post(MessageKind.RESOLVE, incident_id, name, ComponentState.OPERATIONAL, 5)
        return incident_id

    def running_window(self) -> str:
        """Return the id of a maintenance window that has begun."""
        window_id = builders.window(self.ago(30), (self.component("Product feed"),), self.by, scheduled_for=self.now)
        maintenances.start(window_id, maintenances.Message("We have begun."), builders.seen(window_id),
            builders.nonce(), self.by, self.now)  # fmt: skip
        return window_id

    def work(self) -> None:
        """Let the worker do what is due: mails into files, messages to everybody, the pages."""
        worker = Worker(self.settings, transport_for(self.settings))
        while worker.tick(clock.now()):
            pass

    def token(self, purpose: Purpose, subject: str) -> str:
        """Return what stands in the links of mails."""
        return make_token(self.settings, purpose, subject)

    def ago(self, minutes: int) -> datetime:
        """Return the moment so many minutes ago."""
        return self.now - timedelta(minutes=minutes)


def made(settings: Settings) -> Everything:
    """Make the example page with two people."""
    now = clock.now()
    opened = now - timedelta(days=60)
    by, colleague = (builders.account(opened, AccountRole.ADMIN, email) for email in (ADMIN, COLLEAGUE))
    with transaction(opened) as session:
        session.get_one(Account, colleague).name = "Grace"
    examples.create_example("Larkspur", "Etc/UTC", by, now)
    return Everything(settings, now, by, colleague)


def rooms(whole: Everything) -> dict[str, str]:
    """Return the incident rooms, one in each state, and what hangs on them."""
    declared = whole.declared("Search is slow", "Search", 3, severity=Severity.SEV2)
    late = whole.open("Paying by card fails", "Checkout", ComponentState.OUTAGE, 50)
    drafts.save_draft(late, MessageKind.UPDATE, {"being_done": "We are undoing it."}, "a form", whole.by, whole.now)
    drafts.be_present(late, whole.colleague, whole.now)
    resolved = whole.resolved("Signing in fails", "Sign-in")
    for kind, words in ((DocumentKind.POST_MORTEM, "root_cause"), (DocumentKind.DIRECT_EMAIL, "message")):
        fields = {words: "A change overloaded it."}
        text_drafts.save_text_draft(resolved, kind, fields, f"a form of {kind}", 0, whole.by, whole.now)
    inside = whole.declared("The office is dark", "Search", 9, visibility=Visibility.INTERNAL)
    running = drills.start_drill("slow-sign-in", None, {}, None, whole.now)
    ended = drills.start_drill("supplier-failure", None, {}, None, whole.now)
    drills.end_drill(ended, None, whole.now)
    closed = first(Incident.id, Incident.closed_at.is_not(None))
    found = {"declared": declared, "late": late, "resolved": resolved, "internal": inside, "closed": closed}
    return found | {"running drill": running, "ended drill": ended}


def incident_pages(whole: Everything) -> list[str]:
    """Return every page about incidents, each state of the room among them."""
    ids = rooms(whole)
    room = {name: f"/console/incidents/{incident_id}" for name, incident_id in ids.items()}
    late, resolved = room["late"], room["resolved"]
    waivable = (Promise.incident_id == ids["resolved"], Promise.state == PromiseState.OPEN)
    asked, kept = db.session.scalars(select(Promise.id).where(*waivable)).all()[:2]
    aftermath.ask_waiver(asked, "Nobody was affected.", whole.by, whole.now)
    direct = {"message": "Paying by card fails. We will write again."}
    aftermath.send_direct_email(ids["late"], direct, builders.nonce(), whole.by, whole.now)
    item = builders.action_item(ids["resolved"], whole.by, whole.now)
    open_promise = first(Promise.id, Promise.incident_id == ids["late"], Promise.state == PromiseState.OPEN)
    nudge = whole.token(Purpose.NUDGE, f"{open_promise}:{whole.by}")
    update = first(Update.id, Update.incident_id == ids["late"])
    reply = first(SavedReply.id)
    return [
        *room.values(),
        *(f"{late}/{step}" for step in ("update", "resolve", "severity", "declaration", "roles")),
        *(f"{late}/{step}" for step in ("internal-update", "holding-update", "direct-email", "delivery")),
        f"{late}?posted=update",
        f"{late}?done=undo",
        f"{late}/delivery?again=3",
        f"{late}/updates/{update}/correct",
        f"{late}/promises/{open_promise}/on-it",
        *(f"{resolved}/{step}" for step in ("reopen", "close", "post-incident-email", "post-mortem")),
        f"{resolved}/promises/{asked}/waiver",
        f"{resolved}/promises/{kept}/waiver",
        f"{room['closed']}/post-mortem",
        f"{room['closed']}/post-incident-email",
        f"{room['closed']}/delivery",
        "/console/",
        "/console/incidents/new",
        f"/console/incidents/new?reply={reply}",
        "/console/clocks/",
        "/console/drills/",
        f"/console/drills/{ids['running drill']}",
        f"/console/drills/{ids['running drill']}/end",
        f"/console/drills/{ids['ended drill']}",
        "/console/action-items/",
        f"/console/action-items/{item}",
        f"/nudges/{nudge}",
    ]


def other_pages(whole: Everything) -> list[str]:
    """Return every other page of the console and of the administration."""
    window = whole.running_window()
    planned = builders.window(whole.now, (whole.component("Search"),), whole.by, rule="FREQ=WEEKLY")
    people.add_token("robot", TokenScope.READ, whole.by, whole.now)
    upload = import_jobs.upload(
        "subscribers", "people.csv", b"email\nx@example.com\nnobody\n", True, whole.by, whole.now
    )
    import_jobs.take_in_chunk(upload, None, (), whole.now)
    reader = builders.subscribed(whole.now, "reader@example.com")
    whole.work()
    _stop_mail(whole, "reader@example.com")
    builders.channel(whole.by, whole.now)
    mail = next(whole.settings.outbox_dir.glob("*.eml")).name
    month = f"{whole.now - timedelta(days=24):%Y-%m}"
    return [
        "/console/maintenance/",
        "/console/maintenance/new",
        f"/console/maintenance/{window}",
        f"/console/maintenance/{planned}",
        f"/console/maintenance/{planned}/edit",
        "/console/reports/",
        f"/console/reports/{month}",
        f"/console/reports/{month}/SEV1",
        f"/console/reports/{month}/SEV1/first_update",
        "/console/mail/",
        f"/console/mail/{mail}",
        "/console/account/",
        "/admin/",
        "/admin/audit/",
        "/admin/channels/",
        "/admin/components/",
        f"/admin/components/{whole.component('Checkout')}",
        f"/admin/components/groups/{first(ComponentGroup.id)}/delete",
        "/admin/imports/",
        f"/admin/imports/{upload}",
        "/admin/integrations/",
        "/admin/page/",
        "/admin/people/",
        "/admin/policies/",
        "/admin/policies/SEV1",
        "/admin/replies/",
        "/admin/replies/new",
        f"/admin/replies/{first(SavedReply.id)}",
        "/admin/subscribers/",
        "/admin/subscribers/?q=%25&state=active&method=email&component=all&kind=incidents",
        f"/admin/subscribers/{reader}",
        f"/admin/subscribers/{reader}/unsubscribe",
        "/admin/suppressions/",
        f"/admin/suppressions/{first(Suppression.id)}",
        "/admin/templates/",
        "/admin/templates/de/resolve",
        "/admin/templates/en/resolve/history",
        "/admin/tokens/",
        f"/admin/tokens/{first(ApiToken.id)}/revoke",
        "/admin/words/",
    ]


def _stop_mail(whole: Everything, bounced: str) -> None:
    """Let mail stop, after one address turned out to be nobody's."""
    stop = {"name": "mail", "stopped_at": whole.now, "reason": "The key is refused.", "needs_person": True}
    gone = {"address_key": bounced, "reason": Suppression.BOUNCE, "detail": "There is no such mailbox."}
    with transaction(whole.now) as session:
        session.add_all([ProviderState(**stop), Suppression(**gone, created_at=whole.now)])


def mail_frames(whole: Everything) -> list[str]:
    """Return what is shown in frames: mails as they are sent, and as they would be."""
    late = whole.open("Orders are late", "Orders and returns", ComponentState.OUTAGE)
    window = builders.window(whole.now, (whole.component("Checkout"),), whole.by)
    mail = next(whole.settings.outbox_dir.glob("*.eml")).name
    return [
        f"/console/mail/{mail}/html",
        *(f"/console/maintenance/{window}/preview/{part}" for part in ("page", "mail")),
        *(f"/console/incidents/{late}/update/preview/{part}" for part in ("page", "mail")),
        f"/console/incidents/{late}/direct-email/preview",
        f"/console/incidents/{late}/updates/{first(Update.id, Update.incident_id == late)}/correct/preview",
    ]
