"""Incidents and what is said about them."""

from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import JSON, CheckConstraint, ForeignKey, Index, String, Text, UniqueConstraint, false, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from statuspage.db import Base, UtcDateTime
from statuspage.models.columns import BIG, id_column, words
from statuspage.rules.vocabulary import (
    ComponentState,
    EventKind,
    Impact,
    IncidentRole,
    MessageKind,
    PromiseKind,
    Severity,
    Stage,
    Visibility,
)

if TYPE_CHECKING:
    from statuspage.models.pages import Component
    from statuspage.models.people import Account


class Incident(Base):
    """Something broken, from declaration to resolution."""

    __tablename__ = "incidents"

    id: Mapped[str] = id_column()
    title: Mapped[str] = mapped_column(String(255))
    severity: Mapped[Severity | None] = mapped_column(words(Severity, "severity"))
    """None on imported incidents whose source knew no severity."""
    visibility: Mapped[Visibility] = mapped_column(words(Visibility, "visibility"))
    stage: Mapped[Stage] = mapped_column(words(Stage, "stage"))
    impact: Mapped[Impact | None] = mapped_column(words(Impact, "impact"))
    started_at: Mapped[datetime] = mapped_column(UtcDateTime)
    declared_at: Mapped[datetime] = mapped_column(UtcDateTime)
    resolved_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    closed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """When somebody closed it: nothing was owed any more."""
    next_update_by: Mapped[datetime | None] = mapped_column(UtcDateTime)
    last_posted_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """When the latest public update was posted; None until the first: then nothing is public yet."""
    post_mortem: Mapped[str] = mapped_column(Text, default="")
    post_mortem_published_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    language: Mapped[str] = mapped_column(String(8), default="en", server_default=text("'en'"))
    """What its messages are written in."""
    opening: Mapped[dict[str, str] | None] = mapped_column(JSON(none_as_null=True))
    """What the form of its first message opens with, from the saved reply it was declared with."""
    version: Mapped[int] = mapped_column(default=1)
    """Rises with every change, so that a stale form is noticed."""
    imported: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    declared_by_id: Mapped[str | None] = mapped_column(ForeignKey("accounts.id"))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)

    updates: Mapped[list["Update"]] = relationship(
        back_populates="incident", order_by="Update.sequence.desc()", lazy="select"
    )
    components: Mapped[list["IncidentComponent"]] = relationship(
        lazy="select", order_by="IncidentComponent.position", cascade="save-update, merge, delete, delete-orphan"
    )
    roles: Mapped[list["RoleAssignment"]] = relationship(lazy="select")

    __table_args__ = (
        Index("ix_incidents_started_at", "started_at"),
        Index("ix_incidents_declared_at", "declared_at"),
        Index("ix_incidents_last_posted_at", "last_posted_at"),
        Index(
            "ix_incidents_open",
            "stage",
            sqlite_where=text("stage <> 'resolved'"),
            postgresql_where=text("stage <> 'resolved'"),
        ),
        CheckConstraint("(stage = 'resolved') = (resolved_at IS NOT NULL)", name="resolved_has_its_time"),
        # What an announcement points at, so that one of a drill can't call itself public.
        Index("uq_incidents_id_visibility", "id", "visibility", unique=True),
    )

    @property
    def is_open(self) -> bool:
        """Whether it still goes on."""
        return self.stage is not Stage.RESOLVED

    @property
    def is_published(self) -> bool:
        """Whether anonymous readers may see it."""
        return self.visibility is Visibility.PUBLIC and self.last_posted_at is not None


class IncidentComponent(Base):
    """A component that an incident affects, and its state because of it."""

    __tablename__ = "incident_components"

    incident_id: Mapped[str] = mapped_column(ForeignKey("incidents.id"), primary_key=True)
    component_id: Mapped[str] = mapped_column(ForeignKey("components.id"), primary_key=True, index=True)
    state: Mapped[ComponentState] = mapped_column(words(ComponentState, "state"))
    worst_state: Mapped[ComponentState] = mapped_column(words(ComponentState, "worst_state"))
    position: Mapped[int] = mapped_column(default=0)

    component: Mapped["Component"] = relationship(lazy="joined")


class RoleAssignment(Base):
    """Who plays which part in an incident."""

    __tablename__ = "role_assignments"

    incident_id: Mapped[str] = mapped_column(ForeignKey("incidents.id"), primary_key=True)
    role: Mapped[IncidentRole] = mapped_column(words(IncidentRole, "role"), primary_key=True)
    account_id: Mapped[str] = mapped_column(ForeignKey("accounts.id"))

    account: Mapped["Account"] = relationship(lazy="joined")


class Update(Base):
    """One public message of an incident, with its finished text."""

    __tablename__ = "updates"

    id: Mapped[str] = id_column()
    incident_id: Mapped[str] = mapped_column(ForeignKey("incidents.id"))
    sequence: Mapped[int]
    """1 for the first update of the incident."""
    kind: Mapped[MessageKind] = mapped_column(words(MessageKind, "kind"))
    stage: Mapped[Stage] = mapped_column(words(Stage, "stage"))
    body: Mapped[str] = mapped_column(Text)
    """The finished text as written (Markdown)."""
    body_html: Mapped[str] = mapped_column(Text)
    """The same text, cleaned for page, feed and mail."""
    fields: Mapped[dict[str, str] | None] = mapped_column(JSON)
    """What was typed, by field; None on imported updates."""
    component_states: Mapped[list[dict[str, str]]] = mapped_column(JSON)
    """Of every affected component: ``component_id``, ``name``, ``old_state``, ``new_state``."""
    next_update_by: Mapped[datetime | None] = mapped_column(UtcDateTime)
    is_automatic: Mapped[bool] = mapped_column(default=False, server_default=false())
    """A holding update: the approved wording, posted because a promise was about to be broken."""
    posted_at: Mapped[datetime] = mapped_column(UtcDateTime)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    author_id: Mapped[str | None] = mapped_column(ForeignKey("accounts.id"))
    edited_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """When its words were last corrected."""
    imported: Mapped[dict[str, Any] | None] = mapped_column(JSON)

    incident: Mapped[Incident] = relationship(back_populates="updates")
    author: Mapped["Account | None"] = relationship(lazy="select")

    __table_args__ = (UniqueConstraint("incident_id", "sequence"),)


class InternalUpdate(Base):
    """What the team was told about an incident; never public."""

    __tablename__ = "internal_updates"

    id: Mapped[str] = id_column()
    incident_id: Mapped[str] = mapped_column(ForeignKey("incidents.id"), index=True)
    body: Mapped[str] = mapped_column(Text)
    posted_at: Mapped[datetime] = mapped_column(UtcDateTime)
    author_id: Mapped[str | None] = mapped_column(ForeignKey("accounts.id"))

    incident: Mapped[Incident] = relationship(lazy="select")
    author: Mapped["Account | None"] = relationship(lazy="select")


class IncidentEvent(Base):
    """Ledger: what happened to an incident that decides what is owed. Rows are only ever added."""

    __tablename__ = "incident_events"

    id: Mapped[int] = mapped_column(BIG, primary_key=True)
    incident_id: Mapped[str] = mapped_column(ForeignKey("incidents.id"))
    sequence: Mapped[int]
    kind: Mapped[EventKind] = mapped_column(words(EventKind, "kind"))
    occurred_at: Mapped[datetime] = mapped_column(UtcDateTime)
    """When it was so: the declaration, the resolution; may lie before recorded_at."""
    recorded_at: Mapped[datetime] = mapped_column(UtcDateTime)
    policy_id: Mapped[str] = mapped_column(ForeignKey("policy_versions.id"))
    """The policy in force for the incident's severity from this event on."""
    next_update_by: Mapped[datetime | None] = mapped_column(UtcDateTime)
    reason: Mapped[str] = mapped_column(Text, default="")
    is_automatic: Mapped[bool] = mapped_column(default=False)
    is_down: Mapped[bool] = mapped_column(default=False)
    """Whether a component is out from this event on."""
    promise_kind: Mapped[PromiseKind | None] = mapped_column(words(PromiseKind, "promise_kind"))
    """What was waived."""
    account_id: Mapped[str | None] = mapped_column(ForeignKey("accounts.id"))

    __table_args__ = (UniqueConstraint("incident_id", "sequence"),)


class Drill(Base):
    """A practice incident: which scenario it plays, and when it ended."""

    __tablename__ = "drills"

    incident_id: Mapped[str] = mapped_column(ForeignKey("incidents.id"), primary_key=True)
    scenario: Mapped[str] = mapped_column(String(40))
    ended_at: Mapped[datetime | None] = mapped_column(UtcDateTime)

    incident: Mapped[Incident] = relationship(lazy="joined")
