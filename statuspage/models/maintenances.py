"""Planned work."""

from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import JSON, CheckConstraint, ForeignKey, Index, String, Text, UniqueConstraint, false, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from statuspage.db import Base, UtcDateTime
from statuspage.models.columns import id_column, words
from statuspage.rules.vocabulary import MaintenanceMessage, MaintenanceStage

if TYPE_CHECKING:
    from statuspage.models.pages import Component
    from statuspage.models.people import Account


class MaintenanceSeries(Base):
    """Planned work that comes again: what each new window of it is made from."""

    __tablename__ = "maintenance_series"

    id: Mapped[str] = id_column()
    title: Mapped[str] = mapped_column(String(255))
    body: Mapped[str] = mapped_column(Text)
    component_ids: Mapped[list[str]] = mapped_column(JSON)
    rule: Mapped[str] = mapped_column(String(300))
    """An RRULE (RFC 5545) without its first moment."""
    time_zone: Mapped[str] = mapped_column(String(64))
    """The page's when it was planned: 02:00 stays 02:00 when the clocks change."""
    first_for: Mapped[datetime] = mapped_column(UtcDateTime)
    first_until: Mapped[datetime] = mapped_column(UtcDateTime)
    starts_itself: Mapped[bool]
    finishes_itself: Mapped[bool]
    notifies: Mapped[bool]
    remind_minutes: Mapped[int | None]
    plan_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """When its next window is to be planned; None once there will be no more."""
    ended_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """When a person ended it."""
    created_by_id: Mapped[str | None] = mapped_column(ForeignKey("accounts.id"))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)

    __table_args__ = (
        CheckConstraint("first_until > first_for", name="ends_after_it_begins"),
        CheckConstraint("ended_at IS NULL OR plan_at IS NULL", name="ended_plans_nothing"),
        CheckConstraint("remind_minutes IS NULL OR remind_minutes BETWEEN 1 AND 20160", name="reminder"),
        Index(
            "ix_maintenance_series_plan_at",
            "plan_at",
            sqlite_where=text("plan_at IS NOT NULL"),
            postgresql_where=text("plan_at IS NOT NULL"),
        ),
    )


class Maintenance(Base):
    """Planned work in a window of time."""

    __tablename__ = "maintenances"

    id: Mapped[str] = id_column()
    title: Mapped[str] = mapped_column(String(255))
    stage: Mapped[MaintenanceStage] = mapped_column(words(MaintenanceStage, "stage"))
    scheduled_for: Mapped[datetime] = mapped_column(UtcDateTime)
    scheduled_until: Mapped[datetime] = mapped_column(UtcDateTime)
    started_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """When work began; None for what was imported, or never began."""
    completed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    cancelled_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """Set when it was called off: its stage is then ``completed``, since other programs know no fifth one."""
    last_posted_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    starts_itself: Mapped[bool] = mapped_column(default=False, server_default=false())
    finishes_itself: Mapped[bool] = mapped_column(default=False, server_default=false())
    notifies: Mapped[bool] = mapped_column(default=False, server_default=false())
    """Whether subscribers are told of what the clock does."""
    remind_minutes: Mapped[int | None]
    """How long before its start subscribers are reminded; None for no reminder."""
    reminded_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    announce_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """When subscribers are to be told that it is planned; None once they were, or never will be."""
    next_step_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """When the worker has something to do (rules/maintenance.py)."""
    series_id: Mapped[str | None] = mapped_column(ForeignKey("maintenance_series.id"))
    occurrence_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """Which moment of the series it stands for, wherever it was moved to."""
    version: Mapped[int] = mapped_column(default=1, server_default="1")
    imported: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    created_by_id: Mapped[str | None] = mapped_column(ForeignKey("accounts.id"))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)

    updates: Mapped[list["MaintenanceUpdate"]] = relationship(
        order_by="MaintenanceUpdate.sequence.desc()", lazy="select"
    )
    components: Mapped[list["MaintenanceComponent"]] = relationship(lazy="select")
    series: Mapped[MaintenanceSeries | None] = relationship(lazy="select")

    __table_args__ = (
        CheckConstraint("scheduled_until >= scheduled_for", name="ends_after_it_begins"),
        CheckConstraint("(stage = 'completed') = (completed_at IS NOT NULL)", name="completed_has_its_time"),
        CheckConstraint("cancelled_at IS NULL OR stage = 'completed'", name="cancelled_is_over"),
        CheckConstraint("next_step_at IS NULL OR stage <> 'completed'", name="over_has_no_step"),
        CheckConstraint("remind_minutes IS NULL OR remind_minutes BETWEEN 1 AND 20160", name="reminder"),
        CheckConstraint("(series_id IS NULL) = (occurrence_at IS NULL)", name="series_whole"),
        UniqueConstraint("series_id", "occurrence_at"),
        Index("ix_maintenances_scheduled_for", "scheduled_for"),
        Index("ix_maintenances_last_posted_at", "last_posted_at"),
        Index(
            "ix_maintenances_next_step_at",
            "next_step_at",
            sqlite_where=text("next_step_at IS NOT NULL"),
            postgresql_where=text("next_step_at IS NOT NULL"),
        ),
    )


class MaintenanceComponent(Base):
    """A component that a maintenance window overlays."""

    __tablename__ = "maintenance_components"

    maintenance_id: Mapped[str] = mapped_column(ForeignKey("maintenances.id"), primary_key=True)
    component_id: Mapped[str] = mapped_column(ForeignKey("components.id"), primary_key=True, index=True)

    component: Mapped["Component"] = relationship(lazy="joined")


class MaintenanceUpdate(Base):
    """One public message about a maintenance window."""

    __tablename__ = "maintenance_updates"

    id: Mapped[str] = id_column()
    maintenance_id: Mapped[str] = mapped_column(ForeignKey("maintenances.id"))
    sequence: Mapped[int]
    kind: Mapped[MaintenanceMessage] = mapped_column(
        words(MaintenanceMessage, "kind"),
        default=MaintenanceMessage.UPDATE,
        server_default=MaintenanceMessage.UPDATE.value,
    )
    stage: Mapped[MaintenanceStage] = mapped_column(words(MaintenanceStage, "stage"))
    body: Mapped[str] = mapped_column(Text)
    body_html: Mapped[str] = mapped_column(Text)
    is_told: Mapped[bool] = mapped_column(default=False, server_default=false())
    """Whether subscribers were told of it."""
    is_automatic: Mapped[bool] = mapped_column(default=False, server_default=false())
    """Whether the clock posted it."""
    author_id: Mapped[str | None] = mapped_column(ForeignKey("accounts.id"))
    posted_at: Mapped[datetime] = mapped_column(UtcDateTime)
    """When it was so: of what the clock does, when it fell due."""
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    imported: Mapped[dict[str, Any] | None] = mapped_column(JSON)

    maintenance: Mapped[Maintenance] = relationship(lazy="select", viewonly=True)
    author: Mapped["Account | None"] = relationship(lazy="select")

    __table_args__ = (UniqueConstraint("maintenance_id", "sequence"),)
