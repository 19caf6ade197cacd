"""What people are doing in an incident room: what they have typed so far, and who is there."""

from datetime import datetime

from sqlalchemy import JSON, ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from statuspage.db import Base, UtcDateTime
from statuspage.models.columns import words
from statuspage.rules.vocabulary import MessageKind


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


class Presence(Base):
    """When somebody was last seen in an incident's room."""

    __tablename__ = "presences"

    incident_id: Mapped[str] = mapped_column(ForeignKey("incidents.id"), primary_key=True)
    account_id: Mapped[str] = mapped_column(ForeignKey("accounts.id"), primary_key=True)
    seen_at: Mapped[datetime] = mapped_column(UtcDateTime)
