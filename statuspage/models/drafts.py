"""What people are doing about an incident: what they have typed so far, and who is there."""

from datetime import datetime

from sqlalchemy import JSON, ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from statuspage.db import Base, UtcDateTime
from statuspage.models.columns import words
from statuspage.rules.vocabulary import DocumentKind, MessageKind


class MessageDraft(Base):
    """What somebody has typed into the form of a message and not posted yet; nobody else's business."""

    __tablename__ = "message_drafts"

    incident_id: Mapped[str] = mapped_column(ForeignKey("incidents.id"), primary_key=True)
    kind: Mapped[MessageKind] = mapped_column(words(MessageKind, "kind"), primary_key=True)
    account_id: Mapped[str] = mapped_column(ForeignKey("accounts.id"), primary_key=True)
    fields: Mapped[dict[str, str]] = mapped_column(JSON)
    """What differs from what the form suggested, by the name of its control."""
    begun_at: Mapped[datetime] = mapped_column(UtcDateTime)
    saved_at: Mapped[datetime] = mapped_column(UtcDateTime)


class DocumentDraft(Base):
    """What somebody has typed into one form of a text and not saved yet; nobody else's business."""

    __tablename__ = "document_drafts"

    nonce: Mapped[str] = mapped_column(String(64), primary_key=True)
    """The form's."""
    incident_id: Mapped[str] = mapped_column(ForeignKey("incidents.id"))
    kind: Mapped[DocumentKind] = mapped_column(words(DocumentKind, "kind"))
    account_id: Mapped[str] = mapped_column(ForeignKey("accounts.id"))
    fields: Mapped[dict[str, str]] = mapped_column(JSON)
    """What differs from what the form showed, by the name of its control."""
    version: Mapped[int]
    """Of the text, as the form showed it; 0 where there was none."""
    saved_at: Mapped[datetime] = mapped_column(UtcDateTime)

    __table_args__ = (Index("ix_document_drafts_incident_id", "incident_id", "kind", "account_id"),)


class Presence(Base):
    """When somebody was last seen in an incident's room."""

    __tablename__ = "presences"

    incident_id: Mapped[str] = mapped_column(ForeignKey("incidents.id"), primary_key=True)
    account_id: Mapped[str] = mapped_column(ForeignKey("accounts.id"), primary_key=True)
    seen_at: Mapped[datetime] = mapped_column(UtcDateTime)
