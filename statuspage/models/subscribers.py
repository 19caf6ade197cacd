"""Who is told: people who signed up, customers, and addresses that must be left alone."""

from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import JSON, CheckConstraint, ForeignKey, Index, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from statuspage.db import Base, UtcDateTime
from statuspage.models.columns import id_column, words
from statuspage.rules.vocabulary import SubscriptionMethod


class Subscriber(Base):
    """Somebody who asked for updates: by mail, or posted to an endpoint."""

    __tablename__ = "subscribers"

    PENDING: ClassVar[str] = "pending"
    ACTIVE: ClassVar[str] = "active"
    UNSUBSCRIBED: ClassVar[str] = "unsubscribed"
    DISABLED: ClassVar[str] = "disabled"
    """An endpoint that failed for days or said that it is gone."""
    ERASED: ClassVar[str] = "erased"

    id: Mapped[str] = id_column()
    method: Mapped[SubscriptionMethod] = mapped_column(
        words(SubscriptionMethod, "method"), server_default=SubscriptionMethod.EMAIL.value
    )
    unique_key: Mapped[str] = mapped_column(String(254), unique=True)
    """What can be signed up only once: by mail ``email_key``, else a hash of method, endpoint and ``email_key``."""
    email: Mapped[str] = mapped_column(String(254))
    """As delivered to: the domain in lower case, the local part as typed. Of an endpoint: its owner's."""
    email_key: Mapped[str] = mapped_column(String(254), index=True)
    """The address in lower case."""
    mailbox_key: Mapped[str] = mapped_column(String(254), index=True)
    """The mailbox it leads to, without dots and +tags: so that one inbox is not filled through many spellings."""
    endpoint: Mapped[str] = mapped_column(Text, default="", server_default="")
    """Where to post; empty for mail. Of a chat room: a secret."""
    secret: Mapped[str] = mapped_column(String(100), default="", server_default="")
    """Signs what is posted to a webhook (``whsec_…``, Standard Webhooks)."""
    previous_secret: Mapped[str] = mapped_column(String(100), default="", server_default="")
    """Signs too for a day after the secret was changed."""
    secret_changed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    failing_since: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """Since when the endpoint takes nothing; None while all is well."""
    state: Mapped[str] = mapped_column(String(20))
    all_components: Mapped[bool] = mapped_column(default=True, server_default=text("true"))
    """Otherwise those in ``subscriber_components``: none at all for somebody who only follows an incident."""
    wants_incidents: Mapped[bool] = mapped_column(default=True, server_default=text("true"))
    wants_maintenance: Mapped[bool] = mapped_column(default=True, server_default=text("true"))
    wants_component_changes: Mapped[bool] = mapped_column(default=False, server_default=text("false"))
    language: Mapped[str] = mapped_column(String(5), default="", server_default="")
    """Of their mails; empty for the page's own."""
    source: Mapped[str] = mapped_column(String(20), default="form", server_default="form")
    """``form``, ``import`` or ``api``."""
    form_version: Mapped[str] = mapped_column(String(20), default="", server_default="")
    """Which wording of the form was agreed to."""
    requested_at: Mapped[datetime] = mapped_column(UtcDateTime)
    request_ip: Mapped[str] = mapped_column(String(45), default="")
    request_user_agent: Mapped[str] = mapped_column(String(200), default="")
    confirmation_sent_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    confirmed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    confirm_ip: Mapped[str] = mapped_column(String(45), default="")
    confirm_user_agent: Mapped[str] = mapped_column(String(200), default="")
    confirm_token_hash: Mapped[str] = mapped_column(String(64), default="", server_default="")
    """SHA-256 of the link that was confirmed with: evidence, with the time, address and browser."""
    unsubscribed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """When it ended, whatever ended it."""

    __table_args__ = (
        CheckConstraint("state IN ('pending', 'active', 'unsubscribed', 'disabled', 'erased')", name="state"),
        CheckConstraint("(method = 'email') = (endpoint = '')", name="only_endpoints_have_an_address"),
        Index(
            "ix_subscribers_active",
            "id",
            sqlite_where=text("state = 'active'"),
            postgresql_where=text("state = 'active'"),
        ),
        # All that counting by method needs: without it a million rows are read for "how many are told?".
        Index(
            "ix_subscribers_reach",
            "method",
            "wants_incidents",
            "all_components",
            "id",
            "state",
            sqlite_where=text("state = 'active'"),
            postgresql_where=text("state = 'active'"),
        ),
        # How many were signed up for one endpoint.
        Index(
            "ix_subscribers_endpoint",
            "endpoint",
            sqlite_where=text("endpoint <> ''"),
            postgresql_where=text("endpoint <> ''"),
        ),
        # Few want these, and a million others must not be walked through for each change.
        Index(
            "ix_subscribers_of_changes",
            "id",
            sqlite_where=text("state = 'active' AND wants_component_changes"),
            postgresql_where=text("state = 'active' AND wants_component_changes"),
        ),
    )


class SubscriberComponent(Base):
    """A component that a subscriber chose."""

    __tablename__ = "subscriber_components"

    subscriber_id: Mapped[str] = mapped_column(ForeignKey("subscribers.id"), primary_key=True)
    component_id: Mapped[str] = mapped_column(ForeignKey("components.id"), primary_key=True, index=True)


class IncidentFollow(Base):
    """A subscriber who wants to hear of one incident, whatever else was chosen."""

    __tablename__ = "incident_follows"

    subscriber_id: Mapped[str] = mapped_column(ForeignKey("subscribers.id"), primary_key=True)
    incident_id: Mapped[str] = mapped_column(ForeignKey("incidents.id"), primary_key=True, index=True)
    followed_at: Mapped[datetime] = mapped_column(UtcDateTime)


class Suppression(Base):
    """An address that must not be written to."""

    __tablename__ = "suppressions"

    BOUNCE: ClassVar[str] = "bounce"
    COMPLAINT: ClassVar[str] = "complaint"

    id: Mapped[str] = id_column()
    address_key: Mapped[str] = mapped_column(String(254), unique=True)
    """The address in lower case; after its owner had all data erased, ``hmac:`` and a keyed hash of it."""
    reason: Mapped[str] = mapped_column(String(20))
    detail: Mapped[str] = mapped_column(String(300), default="")
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    lifted_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """Since when it may be written to again."""
    clear_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """When the mail provider is to be asked to take it off its own lists; None if there is nothing to ask."""
    cleared_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """When the provider had done so."""

    __table_args__ = (
        CheckConstraint("reason IN ('bounce', 'complaint')", name="reason"),
        CheckConstraint(
            "lifted_at IS NOT NULL OR (clear_at IS NULL AND cleared_at IS NULL)", name="cleared_when_lifted"
        ),
        Index(
            "ix_suppressions_to_clear",
            "clear_at",
            sqlite_where=text("clear_at IS NOT NULL"),
            postgresql_where=text("clear_at IS NOT NULL"),
        ),
    )


class SoftBounce(Base):
    """How often an address refused mail in a row for reasons that may pass."""

    __tablename__ = "soft_bounces"

    address_key: Mapped[str] = mapped_column(String(254), primary_key=True)
    count: Mapped[int]
    first_at: Mapped[datetime] = mapped_column(UtcDateTime)
    last_at: Mapped[datetime] = mapped_column(UtcDateTime)


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


class ImportJob(Base):
    """A file of subscribers or customers that the worker takes in, chunk by chunk."""

    __tablename__ = "import_jobs"

    id: Mapped[str] = id_column()
    kind: Mapped[str] = mapped_column(String(20))
    """``subscribers`` or ``customers``."""
    filename: Mapped[str] = mapped_column(String(200))
    content: Mapped[str] = mapped_column(Text)
    """The file; empty once it is done with."""
    is_dry_run: Mapped[bool] = mapped_column(default=False)
    account_id: Mapped[str | None] = mapped_column(ForeignKey("accounts.id"))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    rows_total: Mapped[int]
    rows_done: Mapped[int] = mapped_column(default=0)
    counts: Mapped[dict[str, int]] = mapped_column(JSON)
    """Outcome to number of rows."""
    report: Mapped[list[dict[str, Any]]] = mapped_column(JSON)
    """``line``, ``email``, ``outcome`` and ``reason`` of the rows that need a look."""
    error: Mapped[str] = mapped_column(String(500), default="")
    """Why the file as a whole could not be read."""

    __table_args__ = (
        CheckConstraint("kind IN ('subscribers', 'customers')", name="kind"),
        Index(
            "ix_import_jobs_waiting",
            "created_at",
            sqlite_where=text("finished_at IS NULL"),
            postgresql_where=text("finished_at IS NULL"),
        ),
    )
