"""What people are doing about an incident: what they have typed so far, and who is there."""

from datetime import datetime

from sqlalchemy import JSON, ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from statuspage.db import Base, UtcDateTime
from statuspage.models.columns import words
from statuspage.rules.vocabulary import DocumentKind, MessageKind


class Draft(Base):
    """What somebody has typed into a form and not posted or saved yet; nobody else's business."""

    __abstract__ = True

    incident_id: Mapped[str] = mapped_column(ForeignKey("incidents.id"), primary_key=True)
    account_id: Mapped[str] = mapped_column(ForeignKey("accounts.id"), primary_key=True)
    fields: Mapped[dict[str, str]] = mapped_column(JSON)
    """What differs from what the form opened with, by the name of its control."""
    begun_at: Mapped[datetime] = mapped_column(UtcDateTime)
    saved_at: Mapped[datetime] = mapped_column(UtcDateTime)


class MessageDraft(Draft):
    """Of a public message."""

    __tablename__ = "message_drafts"

    kind: Mapped[MessageKind] = mapped_column(words(MessageKind, "kind"), primary_key=True)


class DocumentDraft(Draft):
    """Of a text for customers or colleagues."""

    __tablename__ = "document_drafts"

    kind: Mapped[DocumentKind] = mapped_column(words(DocumentKind, "kind"), primary_key=True)


class Presence(Base):
    """When somebody was last seen in an incident's room."""

    __tablename__ = "presences"

    incident_id: Mapped[str] = mapped_column(ForeignKey("incidents.id"), primary_key=True)
    account_id: Mapped[str] = mapped_column(ForeignKey("accounts.id"), primary_key=True)
    seen_at: Mapped[datetime] = mapped_column(UtcDateTime)
