"""Wording kept ready: templates in all their versions, and replies to common failures."""

from datetime import datetime
from typing import TYPE_CHECKING

from sqlalchemy import JSON, ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from statuspage.db import Base, UtcDateTime
from statuspage.models.columns import BIG, id_column, words
from statuspage.rules.vocabulary import MessageKind, Severity

if TYPE_CHECKING:
    from statuspage.models.people import Account


class TemplateVersion(Base):
    """From this moment on, messages of a kind in a language had this wording. Rows are only ever added."""

    __tablename__ = "template_versions"

    id: Mapped[int] = mapped_column(BIG, primary_key=True)
    kind: Mapped[MessageKind] = mapped_column(words(MessageKind, "kind"))
    language: Mapped[str] = mapped_column(String(8))
    text: Mapped[str | None] = mapped_column(Text)
    """None: the wording that ships with the product was put back."""
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    created_by_id: Mapped[str] = mapped_column(ForeignKey("accounts.id"))

    created_by: Mapped["Account"] = relationship(lazy="joined")

    __table_args__ = (Index("ix_template_versions_kind_language", "kind", "language", "id"),)


class SavedReply(Base):
    """What an incident of a common kind is declared and first told with."""

    __tablename__ = "saved_replies"

    id: Mapped[str] = id_column()
    title: Mapped[str] = mapped_column(String(150))
    severity: Mapped[Severity] = mapped_column(words(Severity, "severity"))
    language: Mapped[str] = mapped_column(String(8))
    states: Mapped[dict[str, str]] = mapped_column(JSON)
    """Component id to the state the incident gives it."""
    fields: Mapped[dict[str, str]] = mapped_column(JSON)
    """What the form of the first message opens with, by field."""
    version: Mapped[int] = mapped_column(default=1)
    archived_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)
