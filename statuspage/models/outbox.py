"""Who is told, and what is on its way to them."""

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


class Subscriber(Base):
    """An address that asked for updates by mail."""

    __tablename__ = "subscribers"

    PENDING: ClassVar[str] = "pending"
    ACTIVE: ClassVar[str] = "active"
    UNSUBSCRIBED: ClassVar[str] = "unsubscribed"

    id: Mapped[str] = id_column()
    email: Mapped[str] = mapped_column(String(254), unique=True)
    """As delivered to: the domain in lower case, the local part as typed."""
    email_key: Mapped[str] = mapped_column(String(254), unique=True)
    """The address in lower case, so that one person signs up once."""
    state: Mapped[str] = mapped_column(String(20))
    requested_at: Mapped[datetime] = mapped_column(UtcDateTime)
    request_ip: Mapped[str] = mapped_column(String(45), default="")
    request_user_agent: Mapped[str] = mapped_column(String(200), default="")
    confirmation_sent_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    confirmed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    confirm_ip: Mapped[str] = mapped_column(String(45), default="")
    confirm_user_agent: Mapped[str] = mapped_column(String(200), default="")
    unsubscribed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)

    __table_args__ = (
        CheckConstraint("state IN ('pending', 'active', 'unsubscribed')", name="state"),
        Index(
            "ix_subscribers_active",
            "id",
            sqlite_where=text("state = 'active'"),
            postgresql_where=text("state = 'active'"),
        ),
    )


class Announcement(Base):
    """Outbox: something to be told, committed together with the fact it tells."""

    __tablename__ = "announcements"

    id: Mapped[int] = mapped_column(BIG, primary_key=True)
    kind: Mapped[str] = mapped_column(String(40))
    """Names the folder under ``templates/mail/``."""
    audience: Mapped[str] = mapped_column(String(20))
    """``subscribers``, ``customers`` (those affected, and subscribers), ``address`` or ``channel`` for a single one."""
    visibility: Mapped[Visibility] = mapped_column(words(Visibility, "visibility"))
    incident_id: Mapped[str | None] = mapped_column(String(ID_LENGTH))
    subject_id: Mapped[str] = mapped_column(String(ID_LENGTH))
    """Id of the update, subscriber, account, promise or document it is about."""
    detail: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    """What else it says."""
    address: Mapped[str] = mapped_column(String(254), default="")
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    expanded_to: Mapped[str] = mapped_column(String(ID_LENGTH), default="")
    """Id of the last subscriber that has a delivery row."""
    expanded_at: Mapped[datetime | None] = mapped_column(UtcDateTime)

    __table_args__ = (
        # The gate of the house: what is not public can't be addressed to subscribers, whatever the code does.
        CheckConstraint(
            "audience NOT IN ('subscribers', 'customers') OR (visibility = 'public' AND incident_id IS NOT NULL)",
            name="only_public_reaches_customers",
        ),
        # And the incident says the same of itself: an announcement of a drill can't be called public.
        ForeignKeyConstraint(
            ["incident_id", "visibility"],
            ["incidents.id", "incidents.visibility"],
            name="fk_announcements_incident_id_visibility_incidents",
        ),
        CheckConstraint("audience IN ('subscribers', 'customers', 'address', 'channel')", name="audience"),
        Index(
            "ix_announcements_unexpanded",
            "id",
            sqlite_where=text("expanded_at IS NULL"),
            postgresql_where=text("expanded_at IS NULL"),
        ),
    )


class Delivery(Base):
    """One announcement to one address, on its way."""

    __tablename__ = "deliveries"

    QUEUED: ClassVar[str] = "queued"
    LEASED: ClassVar[str] = "leased"
    SUBMITTED: ClassVar[str] = "submitted"
    UNKNOWN: ClassVar[str] = "unknown"
    CANCELLED: ClassVar[str] = "cancelled"
    DEAD: ClassVar[str] = "dead"

    id: Mapped[int] = mapped_column(BIG, primary_key=True)
    announcement_id: Mapped[int] = mapped_column(BIG, ForeignKey("announcements.id"))
    subscriber_id: Mapped[str | None] = mapped_column(ForeignKey("subscribers.id"), index=True)
    customer_id: Mapped[str | None] = mapped_column(ForeignKey("customers.id"), index=True)
    address: Mapped[str] = mapped_column(String(254))
    """An e-mail address, or a channel's id."""
    lane: Mapped[int]
    """0 for mail to one person (sign-up, nudges), 1 for incidents; lower goes first. 2 for channels."""
    state: Mapped[str] = mapped_column(String(20))
    attempts: Mapped[int] = mapped_column(default=0)
    not_before: Mapped[datetime] = mapped_column(UtcDateTime)
    lease_owner: Mapped[str] = mapped_column(String(40), default="")
    lease_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    was_unknown: Mapped[bool] = mapped_column(default=False)
    """An answer went missing once: this one may have been sent twice."""
    error: Mapped[str] = mapped_column(String(500), default="")
    settled_at: Mapped[datetime | None] = mapped_column(UtcDateTime)

    announcement: Mapped[Announcement] = relationship(lazy="select")

    __table_args__ = (
        UniqueConstraint("announcement_id", "address"),
        CheckConstraint("state IN ('queued', 'leased', 'submitted', 'unknown', 'cancelled', 'dead')", name="state"),
        Index(
            "ix_deliveries_due",
            "lane",
            "id",
            sqlite_where=text("state IN ('queued', 'unknown')"),
            postgresql_where=text("state IN ('queued', 'unknown')"),
        ),
        Index(
            "ix_deliveries_leased",
            "lease_until",
            sqlite_where=text("state = 'leased'"),
            postgresql_where=text("state = 'leased'"),
        ),
    )


class Customer(Base):
    """Somebody who uses certain components: told directly when an incident affects them."""

    __tablename__ = "customers"

    id: Mapped[str] = id_column()
    email: Mapped[str] = mapped_column(String(254))
    email_key: Mapped[str] = mapped_column(String(254), unique=True)
    """The address in lower case."""
    name: Mapped[str] = mapped_column(String(200), default="")
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)


class CustomerComponent(Base):
    """A component that a customer uses."""

    __tablename__ = "customer_components"

    customer_id: Mapped[str] = mapped_column(ForeignKey("customers.id"), primary_key=True)
    component_id: Mapped[str] = mapped_column(ForeignKey("components.id"), primary_key=True, index=True)


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
