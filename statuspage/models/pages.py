"""The status page, its components, and what changed in public."""

from datetime import date, datetime
from typing import Any

from sqlalchemy import JSON, ForeignKey, Index, LargeBinary, String, Text, text, true
from sqlalchemy.orm import Mapped, mapped_column

from statuspage.db import Base, UtcDateTime
from statuspage.models.columns import BIG, ID_LENGTH, id_column, words
from statuspage.rules.vocabulary import ComponentState


class Page(Base):
    """The status page; one row."""

    __tablename__ = "pages"

    id: Mapped[str] = id_column()
    name: Mapped[str] = mapped_column(String(100))
    time_zone: Mapped[str] = mapped_column(String(64), default="Etc/UTC")
    support_url: Mapped[str] = mapped_column(String(500), default="")
    uptime_degraded_percent: Mapped[int] = mapped_column(default=0, server_default=text("0"))
    """How much of degraded time counts as downtime: 0 to 100."""
    uptime_excludes_maintenance: Mapped[bool] = mapped_column(default=True, server_default=true())
    accent: Mapped[str] = mapped_column(String(7), default="", server_default="")
    """The colour as wished for (``#2f4cc2``); empty for the product's own."""
    header_links: Mapped[list[list[str]]] = mapped_column(JSON, default=list, server_default=text("'[]'"))
    """Label and address of each."""
    footer_links: Mapped[list[list[str]]] = mapped_column(JSON, default=list, server_default=text("'[]'"))
    custom_css: Mapped[str] = mapped_column(Text, default="", server_default="")
    """Checked when it was saved."""
    language: Mapped[str] = mapped_column(String(5), default="en", server_default="en")
    languages: Mapped[list[str]] = mapped_column(JSON, default=list, server_default=text("'[]'"))
    """The others that readers may choose."""
    revision: Mapped[int] = mapped_column(default=0)
    """Number of the last public change; its row lock puts changes in order of commit."""
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)


class Logo(Base):
    """The page's logo; at most one."""

    __tablename__ = "logos"

    page_id: Mapped[str] = mapped_column(ForeignKey("pages.id"), primary_key=True)
    name: Mapped[str] = mapped_column(String(40))
    """Of the published file: it changes with the picture."""
    width: Mapped[int]
    height: Mapped[int]
    content: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class Change(Base):
    """One public change, so that every published folder knows what to write anew."""

    __tablename__ = "changes"

    revision: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    subject_kind: Mapped[str] = mapped_column(String(20))
    """``incident``, ``maintenance``, ``component``, ``month`` (of the history, like 2026-11) or ``page`` (everything)."""
    subject_id: Mapped[str] = mapped_column(String(ID_LENGTH))
    changed_at: Mapped[datetime] = mapped_column(UtcDateTime)


class ComponentGroup(Base):
    """A heading over components."""

    __tablename__ = "component_groups"

    id: Mapped[str] = id_column()
    name: Mapped[str] = mapped_column(String(100))
    description: Mapped[str] = mapped_column(String(500), default="")
    position: Mapped[int]
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)


class Component(Base):
    """A part of the product that customers know by name."""

    __tablename__ = "components"

    id: Mapped[str] = id_column()
    group_id: Mapped[str | None] = mapped_column(ForeignKey("component_groups.id"), index=True)
    name: Mapped[str] = mapped_column(String(100))
    description: Mapped[str] = mapped_column(String(500), default="")
    position: Mapped[int]
    state: Mapped[ComponentState] = mapped_column(words(ComponentState, "state"), default=ComponentState.OPERATIONAL)
    archived_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    start_date: Mapped[date | None]
    imported: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    """What the source of an import said and no column holds."""
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)


class ComponentStateChange(Base):
    """Ledger: from this moment on the component was in this state."""

    __tablename__ = "component_state_changes"

    id: Mapped[int] = mapped_column(BIG, primary_key=True)
    component_id: Mapped[str] = mapped_column(ForeignKey("components.id"))
    state: Mapped[ComponentState] = mapped_column(words(ComponentState, "state"))
    changed_at: Mapped[datetime] = mapped_column(UtcDateTime)
    incident_id: Mapped[str | None] = mapped_column(ForeignKey("incidents.id"), index=True)

    __table_args__ = (Index("ix_component_state_changes_component_at", "component_id", "changed_at"),)
