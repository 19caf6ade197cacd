"""What is owed to customers: policies, promises, and who was told that one is due."""

from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import JSON, CheckConstraint, ForeignKey, Index, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from statuspage.db import Base, UtcDateTime
from statuspage.models.columns import BIG, id_column, words
from statuspage.models.incidents import Incident
from statuspage.models.people import Account
from statuspage.rules.vocabulary import DocumentKind, DocumentState, PromiseKind, PromiseState, Severity


class PolicyVersion(Base):
    """Ledger: a communication policy as it stood from a moment on. Rows are only ever added."""

    __tablename__ = "policy_versions"

    id: Mapped[str] = id_column()
    severity: Mapped[Severity] = mapped_column(words(Severity, "severity"))
    version: Mapped[int]
    body: Mapped[dict[str, Any]] = mapped_column(JSON)
    """In the API's shape (rules/policy.py)."""
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    created_by_id: Mapped[str | None] = mapped_column(ForeignKey("accounts.id"))

    __table_args__ = (UniqueConstraint("severity", "version"),)


class Promise(Base):
    """One thing owed: computed from the incident's events (rules/promises.py). Never deleted."""

    __tablename__ = "promises"

    id: Mapped[str] = id_column()
    incident_id: Mapped[str] = mapped_column(ForeignKey("incidents.id"))
    kind: Mapped[PromiseKind] = mapped_column(words(PromiseKind, "kind"))
    ordinal: Mapped[int]
    """1 for the first of its kind in the incident."""
    policy_id: Mapped[str] = mapped_column(ForeignKey("policy_versions.id"))
    """The policy it was made under."""
    opened_at: Mapped[datetime] = mapped_column(UtcDateTime)
    due_at: Mapped[datetime] = mapped_column(UtcDateTime)
    met_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    state: Mapped[PromiseState] = mapped_column(words(PromiseState, "state"))
    settled_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """When it was met, missed, waived or withdrawn."""
    reason: Mapped[str] = mapped_column(Text, default="")
    """Why it is due later than the policy says, or why it was waived."""
    is_recorded_later: Mapped[bool] = mapped_column(default=False)
    """It was entered after the moment it counts from."""
    is_met_automatically: Mapped[bool] = mapped_column(default=False)
    """A holding update met it."""
    next_step_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """When the worker looks at it next; None once nothing is left to do."""
    snoozed_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    snoozed_by_id: Mapped[str | None] = mapped_column(ForeignKey("accounts.id"))

    incident: Mapped[Incident] = relationship(lazy="select")
    policy: Mapped[PolicyVersion] = relationship(lazy="select")
    snoozed_by: Mapped[Account | None] = relationship(lazy="select")

    __table_args__ = (
        UniqueConstraint("incident_id", "kind", "ordinal"),
        CheckConstraint("(state IN ('kept', 'late')) = (met_at IS NOT NULL)", name="met_has_its_time"),
        CheckConstraint("(state = 'open') = (settled_at IS NULL)", name="settled_has_its_time"),
        CheckConstraint("state <> 'kept' OR met_at <= due_at", name="kept_in_time"),
        CheckConstraint("state <> 'late' OR met_at > due_at", name="late_past_due"),
        CheckConstraint("next_step_at IS NULL OR state = 'open'", name="steps_while_open"),
        Index(
            "ix_promises_next_step_at",
            "next_step_at",
            sqlite_where=text("next_step_at IS NOT NULL"),
            postgresql_where=text("next_step_at IS NOT NULL"),
        ),
        Index(
            "ix_promises_open", "due_at", sqlite_where=text("state = 'open'"), postgresql_where=text("state = 'open'")
        ),
        Index(
            "uq_promises_open_update",
            "incident_id",
            unique=True,
            sqlite_where=text("state = 'open' AND kind IN ('first_update', 'next_update')"),
            postgresql_where=text("state = 'open' AND kind IN ('first_update', 'next_update')"),
        ),
        Index("ix_promises_opened_at", "opened_at"),
    )


class PromiseChange(Base):
    """Ledger: how a promise came to stand as it stands. Rows are only ever added."""

    __tablename__ = "promise_changes"

    id: Mapped[int] = mapped_column(BIG, primary_key=True)
    promise_id: Mapped[str] = mapped_column(ForeignKey("promises.id"))
    event_sequence: Mapped[int]
    """Of the incident's event that caused it."""
    changed_at: Mapped[datetime] = mapped_column(UtcDateTime)
    state: Mapped[PromiseState] = mapped_column(words(PromiseState, "state"))
    due_at: Mapped[datetime] = mapped_column(UtcDateTime)
    reason: Mapped[str] = mapped_column(Text, default="")

    __table_args__ = (UniqueConstraint("promise_id", "event_sequence"),)


class EscalationStep(Base):
    """Ledger: a step of a promise's escalation that was taken; its unique key is the claim."""

    __tablename__ = "escalation_steps"

    NUDGED: ClassVar[str] = "nudged"
    CAUGHT_UP: ClassVar[str] = "caught_up"
    HELD: ClassVar[str] = "held"
    NOT_HELD: ClassVar[str] = "not_held"

    id: Mapped[int] = mapped_column(BIG, primary_key=True)
    promise_id: Mapped[str] = mapped_column(ForeignKey("promises.id"))
    step: Mapped[int]
    """Its number in the policy the promise was made under."""
    outcome: Mapped[str] = mapped_column(String(20))
    """``nudged``; ``caught_up`` when a newer step was due by then and told instead; ``held`` by a holding update,
    ``not_held`` where none may be posted."""
    fell_due_at: Mapped[datetime] = mapped_column(UtcDateTime)
    taken_at: Mapped[datetime] = mapped_column(UtcDateTime)
    told: Mapped[list[str]] = mapped_column(JSON)
    """Names of the people and channels it went to."""
    announcement_ids: Mapped[list[int]] = mapped_column(JSON)
    """What was announced for it last."""
    ways_left: Mapped[list[str]] = mapped_column(JSON)
    """Ways that are left should these fail, the next one first."""
    look_again_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """When to see whether it arrived; None once it did or no way is left."""

    __table_args__ = (
        UniqueConstraint("promise_id", "step"),
        Index(
            "ix_escalation_steps_look_again_at",
            "look_again_at",
            sqlite_where=text("look_again_at IS NOT NULL"),
            postgresql_where=text("look_again_at IS NOT NULL"),
        ),
    )


class Waiver(Base):
    """A request not to keep a promise; a second person decides."""

    __tablename__ = "waivers"

    id: Mapped[str] = id_column()
    promise_id: Mapped[str] = mapped_column(ForeignKey("promises.id"), index=True)
    reason: Mapped[str] = mapped_column(Text)
    asked_at: Mapped[datetime] = mapped_column(UtcDateTime)
    asked_by_id: Mapped[str] = mapped_column(ForeignKey("accounts.id"))
    decided_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    decided_by_id: Mapped[str | None] = mapped_column(ForeignKey("accounts.id"))
    is_granted: Mapped[bool | None]

    asked_by: Mapped[Account] = relationship(foreign_keys=[asked_by_id], lazy="select")
    decided_by: Mapped[Account | None] = relationship(foreign_keys=[decided_by_id], lazy="select")

    __table_args__ = (
        CheckConstraint("decided_by_id IS NULL OR decided_by_id <> asked_by_id", name="second_person"),
        CheckConstraint("(decided_at IS NULL) = (is_granted IS NULL)", name="decided_whole"),
        Index(
            "uq_waivers_undecided",
            "promise_id",
            unique=True,
            sqlite_where=text("decided_at IS NULL"),
            postgresql_where=text("decided_at IS NULL"),
        ),
    )


class Document(Base):
    """A longer text about an incident: the direct and the post-incident e-mail, the post-mortem."""

    __tablename__ = "documents"

    id: Mapped[str] = id_column()
    incident_id: Mapped[str] = mapped_column(ForeignKey("incidents.id"), index=True)
    kind: Mapped[DocumentKind] = mapped_column(words(DocumentKind, "kind"))
    state: Mapped[DocumentState] = mapped_column(words(DocumentState, "state"))
    fields: Mapped[dict[str, str]] = mapped_column(JSON)
    """What was typed, by field (rules/documents.py)."""
    body: Mapped[str] = mapped_column(Text, default="")
    """The finished text (Markdown)."""
    body_html: Mapped[str] = mapped_column(Text, default="")
    """The same text, cleaned."""
    author_id: Mapped[str] = mapped_column(ForeignKey("accounts.id"))
    reviewer_id: Mapped[str | None] = mapped_column(ForeignKey("accounts.id"))
    reviewed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    comment: Mapped[str] = mapped_column(Text, default="")
    """What the reviewer said."""
    send_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """When it is to go out by itself, once approved."""
    sent_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """When it was sent, or published."""
    version: Mapped[int] = mapped_column(default=1)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)

    incident: Mapped[Incident] = relationship(lazy="select")
    author: Mapped[Account] = relationship(foreign_keys=[author_id], lazy="select")
    reviewer: Mapped[Account | None] = relationship(foreign_keys=[reviewer_id], lazy="select")

    __table_args__ = (
        CheckConstraint("reviewer_id IS NULL OR reviewer_id <> author_id", name="author_is_not_reviewer"),
        CheckConstraint(
            "kind = 'direct_email' OR state NOT IN ('approved', 'sent') OR reviewer_id IS NOT NULL",
            name="reviewed_before_it_goes_out",
        ),
        CheckConstraint("(state = 'sent') = (sent_at IS NOT NULL)", name="sent_has_its_time"),
        Index(
            "ix_documents_send_at",
            "send_at",
            sqlite_where=text("send_at IS NOT NULL AND state = 'approved'"),
            postgresql_where=text("send_at IS NOT NULL AND state = 'approved'"),
        ),
    )


class Alarm(Base):
    """Ledger: the clock worker was found silent; its unique key makes the alarm one."""

    __tablename__ = "alarms"

    silent_since: Mapped[datetime] = mapped_column(UtcDateTime, primary_key=True)
    raised_at: Mapped[datetime] = mapped_column(UtcDateTime)
    told: Mapped[list[str]] = mapped_column(JSON)
