"""What is to be told, and how far it has come on its way."""

from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import (
    JSON,
    CheckConstraint,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    String,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column, relationship

from statuspage.db import Base, UtcDateTime
from statuspage.models.columns import BIG, ID_LENGTH, id_column, words
from statuspage.rules.vocabulary import ChannelKind, Visibility


class Announcement(Base):
    """Outbox: something to be told, committed together with the fact it tells."""

    __tablename__ = "announcements"

    id: Mapped[int] = mapped_column(BIG, primary_key=True)
    kind: Mapped[str] = mapped_column(String(40))
    """Names the folder under ``templates/mail/``."""
    audience: Mapped[str] = mapped_column(String(20))
    """``subscribers`` (those whose choice it touches), ``customers`` (those affected, and subscribers), ``address`` or ``channel`` for a single one."""
    visibility: Mapped[Visibility] = mapped_column(words(Visibility, "visibility"))
    incident_id: Mapped[str | None] = mapped_column(String(ID_LENGTH))
    subject_id: Mapped[str] = mapped_column(String(ID_LENGTH), index=True)
    """Id of the update, component, subscriber, account, promise or document it is about."""
    detail: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    """What else it says."""
    address: Mapped[str] = mapped_column(String(254), default="")
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    not_before: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """Until then it can still be taken back."""
    cancelled_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """When a person took it back, before anybody was told."""
    cancelled_by_id: Mapped[str | None] = mapped_column(ForeignKey("accounts.id"))
    expanded_to: Mapped[str] = mapped_column(String(ID_LENGTH), default="")
    """Id of the last recipient that has a delivery row."""
    expanded_at: Mapped[datetime | None] = mapped_column(UtcDateTime)

    __table_args__ = (
        # The gate of the house: what is not public can't be addressed to subscribers, whatever the code does.
        CheckConstraint(
            "audience NOT IN ('subscribers', 'customers') OR (visibility = 'public' "
            "AND (incident_id IS NOT NULL OR kind IN ('component_change', 'maintenance_update')))",
            name="only_public_reaches_customers",
        ),
        # And the incident says the same of itself: an announcement of a drill can't be called public.
        ForeignKeyConstraint(
            ["incident_id", "visibility"],
            ["incidents.id", "incidents.visibility"],
            name="fk_announcements_incident_id_visibility_incidents",
        ),
        CheckConstraint("audience IN ('subscribers', 'customers', 'address', 'channel')", name="audience"),
        Index("ix_announcements_incident_id", "incident_id"),
        Index(
            "ix_announcements_unexpanded",
            "id",
            sqlite_where=text("expanded_at IS NULL"),
            postgresql_where=text("expanded_at IS NULL"),
        ),
    )


DELIVERY_STATES = (
    "queued",
    "leased",
    "submitted",
    "delivered",
    "unknown",
    "cancelled",
    "superseded",
    "bounced",
    "dropped",
    "complained",
    "dead",
)


class Delivery(Base):
    """One announcement to one address, on its way."""

    __tablename__ = "deliveries"

    QUEUED: ClassVar[str] = "queued"
    LEASED: ClassVar[str] = "leased"
    SUBMITTED: ClassVar[str] = "submitted"
    UNKNOWN: ClassVar[str] = "unknown"
    CANCELLED: ClassVar[str] = "cancelled"
    SUPERSEDED: ClassVar[str] = "superseded"
    DELIVERED: ClassVar[str] = "delivered"
    BOUNCED: ClassVar[str] = "bounced"
    DROPPED: ClassVar[str] = "dropped"
    COMPLAINED: ClassVar[str] = "complained"
    DEAD: ClassVar[str] = "dead"

    id: Mapped[int] = mapped_column(BIG, primary_key=True)
    announcement_id: Mapped[int] = mapped_column(BIG)
    """No foreign keys here: they would be checked a million times for one announcement, which costs seconds."""
    subscriber_id: Mapped[str | None] = mapped_column(String(ID_LENGTH))
    customer_id: Mapped[str | None] = mapped_column(String(ID_LENGTH))
    address: Mapped[str] = mapped_column(String(254))
    """An e-mail address, or the id of a channel or of a subscriber's endpoint."""
    lane: Mapped[int]
    """0 for mail to one person (sign-up, nudges), 1 for incidents; lower goes first. 2 for channels, 3 for endpoints, 4 for
    questions to those who were imported."""
    state: Mapped[str] = mapped_column(String(20))
    attempts: Mapped[int] = mapped_column(default=0)
    not_before: Mapped[datetime] = mapped_column(UtcDateTime)
    batch: Mapped[str] = mapped_column(String(ID_LENGTH), default="")
    """What it was handed over together with, written before that."""
    lease_owner: Mapped[str] = mapped_column(String(40), default="")
    lease_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    was_unknown: Mapped[bool] = mapped_column(default=False)
    """An answer went missing once: this one may have been sent twice."""
    error: Mapped[str] = mapped_column(String(500), default="")
    settled_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """When it was handed over, or given up."""
    receipt_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """When the provider last said what became of it."""

    announcement: Mapped[Announcement] = relationship(
        primaryjoin="foreign(Delivery.announcement_id) == Announcement.id", lazy="select"
    )

    __table_args__ = (
        UniqueConstraint("subscriber_id", "announcement_id"),
        # Rows of one announcement lie side by side: PostgreSQL needs no more than where they begin and end.
        Index("ix_deliveries_announcement_id", "announcement_id", postgresql_using="brin"),
        Index(
            "uq_deliveries_announcement_id_customer_id",
            "announcement_id",
            "customer_id",
            unique=True,
            sqlite_where=text("customer_id IS NOT NULL"),
            postgresql_where=text("customer_id IS NOT NULL"),
        ),
        # The usual one first, and no IN: SQLite makes a table of its list for every row that is checked.
        CheckConstraint(" OR ".join(f"state = '{state}'" for state in DELIVERY_STATES), name="state"),
        Index(
            "ix_deliveries_due",
            "lane",
            "id",
            "not_before",
            sqlite_where=text("state IN ('queued', 'unknown')"),
            postgresql_where=text("state IN ('queued', 'unknown')"),
        ),
        Index(
            "ix_deliveries_leased",
            "batch",
            "lease_until",
            sqlite_where=text("state = 'leased'"),
            postgresql_where=text("state = 'leased'"),
        ),
    )


class Channel(Base):
    """A chat room or pager of the team: nudges and internal updates go there."""

    __tablename__ = "channels"

    id: Mapped[str] = id_column()
    kind: Mapped[ChannelKind] = mapped_column(words(ChannelKind, "kind"))
    name: Mapped[str] = mapped_column(String(100))
    url: Mapped[str] = mapped_column(Text)
    """An incoming webhook's address, or Apprise's; a secret."""
    account_id: Mapped[str | None] = mapped_column(ForeignKey("accounts.id"))
    """Whose it is; None for the whole team."""
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    removed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class ProviderEvent(Base):
    """What the mail provider reported, each report once."""

    __tablename__ = "provider_events"

    id: Mapped[int] = mapped_column(BIG, primary_key=True)
    event_key: Mapped[str] = mapped_column(String(64), unique=True)
    """SHA-256 of what makes it one report: the provider may send it again under another id."""
    delivery_id: Mapped[int | None] = mapped_column(BIG, index=True)
    """None for a report about a mail that is not ours."""
    event: Mapped[str] = mapped_column(String(30))
    detail: Mapped[str] = mapped_column(String(300), default="")
    occurred_at: Mapped[datetime] = mapped_column(UtcDateTime)
    received_at: Mapped[datetime] = mapped_column(UtcDateTime)


class ProviderState(Base):
    """Whether a way of sending takes anything just now."""

    __tablename__ = "provider_states"

    name: Mapped[str] = mapped_column(String(20), primary_key=True)
    """``mail``."""
    stopped_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """Since when it takes nothing; None while all is well."""
    retry_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    reason: Mapped[str] = mapped_column(String(500), default="")
    needs_person: Mapped[bool] = mapped_column(default=False)
    """Waiting won't help: a key, a sender or an address is wrong."""
