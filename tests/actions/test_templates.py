"""The wording in force: of two who change it at once, one is told."""

import threading
from datetime import datetime

from flask import Flask
from sqlalchemy import select

from statuspage.actions import replies, templates
from statuspage.db import db
from statuspage.models import AuditEntry, SavedReply, TemplateVersion
from statuspage.rules.vocabulary import ComponentState, Conflict, MessageKind, Severity
from tests import builders

TEXT = "{affected} {being_done} {next_update_by}"


def test_of_two_at_once_one_is_told(app: Flask, now: datetime) -> None:
    by, results = builders.account(now), []
    gate = threading.Barrier(2)

    def edit(text: str) -> None:
        with app.app_context():
            gate.wait()
            try:
                templates.edit_template(MessageKind.UPDATE, "de", text, 0, by, now)
                results.append("saved")
            except Conflict:
                results.append("told")

    threads = [threading.Thread(target=edit, args=(f"{TEXT} {number}",)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == ["saved", "told"]
    assert len(db.session.scalars(select(TemplateVersion)).all()) == 1


def test_each_language_has_versions_of_its_own(app: Flask, now: datetime) -> None:
    by = builders.account(now)
    templates.edit_template(MessageKind.UPDATE, "de", f"{TEXT} de", 0, by, now)
    templates.edit_template(MessageKind.UPDATE, "en", f"{TEXT} en", 0, by, now)
    in_force = {each: templates.template_for(MessageKind.UPDATE, each)[-2:] for each in ("de", "en", "tlh")}
    # English stands in for a language that is not spoken here.
    assert in_force == {"de": "de", "en": "en", "tlh": "en"}
    audited = db.session.scalars(select(AuditEntry.object_id).where(AuditEntry.action == "edit_template"))
    assert sorted(audited) == ["update.de", "update.en"]


def test_a_saved_reply_lives_through_its_changes(app: Flask, now: datetime) -> None:
    builders.page(now)
    by, component_id = builders.account(now), builders.component(now)
    said = {"affected": "Signing in", "symptoms": "It fails."}
    reply = replies.Reply("Sign-in fails", Severity.SEV1, "fr", {component_id: ComponentState.OUTAGE}, said)
    reply_id = replies.add_reply(reply, by, now)
    replies.archive_reply(reply_id, by, now)
    replies.archive_reply(reply_id, by, now)
    assert (replies.saved_replies(), len(replies.saved_replies(archived=True))) == ([], 1)
    replies.restore_reply(reply_id, by, now)
    assert db.session.scalars(select(SavedReply.states)).one() == {component_id: "outage"}
    acts = db.session.scalars(select(AuditEntry.action).where(AuditEntry.object_kind == "reply")).all()
    assert acts == ["add_reply", "archive_reply", "restore_reply"]
