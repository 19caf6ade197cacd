"""Planned work."""

from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import JSON, ForeignKey, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from statuspage.db import Base, UtcDateTime
from statuspage.models.columns import id_column, words
from statuspage.rules.vocabulary import MaintenanceStage

if TYPE_CHECKING:
    from statuspage.models.pages import Component


class Maintenance(Base):
    """Planned work in a window of time."""

    __tablename__ = "maintenances"

    id: Mapped[str] = id_column()
    title: Mapped[str] = mapped_column(String(255))
    stage: Mapped[MaintenanceStage] = mapped_column(words(MaintenanceStage, "stage"))
    scheduled_for: Mapped[datetime] = mapped_column(UtcDateTime)
    scheduled_until: Mapped[datetime] = mapped_column(UtcDateTime)
    completed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    last_posted_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    imported: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)

    updates: Mapped[list["MaintenanceUpdate"]] = relationship(
        order_by="MaintenanceUpdate.sequence.desc()", lazy="select"
    )
    components: Mapped[list["MaintenanceComponent"]] = relationship(lazy="select")

    __table_args__ = (
        Index("ix_maintenances_scheduled_for", "scheduled_for"),
        Index("ix_maintenances_last_posted_at", "last_posted_at"),
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
    stage: Mapped[MaintenanceStage] = mapped_column(words(MaintenanceStage, "stage"))
    body: Mapped[str] = mapped_column(Text)
    body_html: Mapped[str] = mapped_column(Text)
    posted_at: Mapped[datetime] = mapped_column(UtcDateTime)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    imported: Mapped[dict[str, Any] | None] = mapped_column(JSON)

    __table_args__ = (UniqueConstraint("maintenance_id", "sequence"),)
