"""The schema: columns, keys, constraints, one-line properties. Behaviour lives elsewhere."""

import secrets
import string
from datetime import date, datetime
from typing import Any, ClassVar

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    Enum,
    ForeignKey,
    Index,
    Integer,
    String,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column, relationship

from statuspage.db import Base, UtcDateTime
from statuspage.rules.vocabulary import (
    AccountRole,
    ComponentState,
    Impact,
    IncidentRole,
    MaintenanceStage,
    MessageKind,
    Severity,
    Stage,
    TokenScope,
    Visibility,
)

Base.metadata.naming_convention = {
    "ix": "ix_%(column_0_label)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}

ID_LENGTH = 12
_ID_LETTERS = string.digits + string.ascii_lowercase


# SQLite counts rows by itself only in a column it calls INTEGER.
_BIG = BigInteger().with_variant(Integer, "sqlite")


def new_id() -> str:
    """Return a fresh public id: 12 of [0-9a-z], as clients of Statuspage expect."""
    return "".join(secrets.choice(_ID_LETTERS) for _ in range(ID_LENGTH))


def _words(kind: type, name: str) -> Enum:
    """A column of one enum's values, kept as text under a check constraint."""
    return Enum(
        kind,
        name=name,
        native_enum=False,
        length=20,
        create_constraint=True,
        values_callable=lambda members: [member.value for member in members],
    )


def _id() -> Any:
    return mapped_column(String(ID_LENGTH), primary_key=True, default=new_id)


class Page(Base):
    """The status page; one row."""

    __tablename__ = "pages"

    id: Mapped[str] = _id()
    name: Mapped[str] = mapped_column(String(100))
    time_zone: Mapped[str] = mapped_column(String(64), default="Etc/UTC")
    support_url: Mapped[str] = mapped_column(String(500), default="")
    revision: Mapped[int] = mapped_column(default=0)
    """Number of the last public change; its row lock puts changes in order of commit."""
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)


class Change(Base):
    """One public change, so that every published folder knows what to write anew."""

    __tablename__ = "changes"

    revision: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    subject_kind: Mapped[str] = mapped_column(String(20))
    """``incident``, ``maintenance``, ``component`` or ``page`` (everything)."""
    subject_id: Mapped[str] = mapped_column(String(ID_LENGTH))
    changed_at: Mapped[datetime] = mapped_column(UtcDateTime)


class ComponentGroup(Base):
    """A heading over components."""

    __tablename__ = "component_groups"

    id: Mapped[str] = _id()
    name: Mapped[str] = mapped_column(String(100))
    description: Mapped[str] = mapped_column(String(500), default="")
    position: Mapped[int]
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)


class Component(Base):
    """A part of the product that customers know by name."""

    __tablename__ = "components"

    id: Mapped[str] = _id()
    group_id: Mapped[str | None] = mapped_column(ForeignKey("component_groups.id"), index=True)
    name: Mapped[str] = mapped_column(String(100))
    description: Mapped[str] = mapped_column(String(500), default="")
    position: Mapped[int]
    state: Mapped[ComponentState] = mapped_column(_words(ComponentState, "state"), default=ComponentState.OPERATIONAL)
    archived_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    start_date: Mapped[date | None]
    imported: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    """What the source of an import said and no column holds."""
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)


class ComponentStateChange(Base):
    """Ledger: from this moment on the component was in this state."""

    __tablename__ = "component_state_changes"

    id: Mapped[int] = mapped_column(_BIG, primary_key=True)
    component_id: Mapped[str] = mapped_column(ForeignKey("components.id"))
    state: Mapped[ComponentState] = mapped_column(_words(ComponentState, "state"))
    changed_at: Mapped[datetime] = mapped_column(UtcDateTime)
    incident_id: Mapped[str | None] = mapped_column(ForeignKey("incidents.id"), index=True)

    __table_args__ = (Index("ix_component_state_changes_component_at", "component_id", "changed_at"),)


class Incident(Base):
    """Something broken, from declaration to resolution."""

    __tablename__ = "incidents"

    id: Mapped[str] = _id()
    title: Mapped[str] = mapped_column(String(255))
    severity: Mapped[Severity | None] = mapped_column(_words(Severity, "severity"))
    """None on imported incidents whose source knew no severity."""
    visibility: Mapped[Visibility] = mapped_column(_words(Visibility, "visibility"))
    stage: Mapped[Stage] = mapped_column(_words(Stage, "stage"))
    impact: Mapped[Impact | None] = mapped_column(_words(Impact, "impact"))
    started_at: Mapped[datetime] = mapped_column(UtcDateTime)
    declared_at: Mapped[datetime] = mapped_column(UtcDateTime)
    resolved_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    next_update_by: Mapped[datetime | None] = mapped_column(UtcDateTime)
    last_posted_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """When the latest public update was posted; None until the first: then nothing is public yet."""
    post_mortem: Mapped[str] = mapped_column(Text, default="")
    post_mortem_published_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    version: Mapped[int] = mapped_column(default=1)
    """Rises with every change, so that a stale form is noticed."""
    imported: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    declared_by_id: Mapped[str | None] = mapped_column(ForeignKey("accounts.id"))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)

    updates: Mapped[list["Update"]] = relationship(
        back_populates="incident", order_by="Update.sequence.desc()", lazy="select"
    )
    components: Mapped[list["IncidentComponent"]] = relationship(
        lazy="select", order_by="IncidentComponent.position", cascade="save-update, merge, delete, delete-orphan"
    )
    roles: Mapped[list["RoleAssignment"]] = relationship(lazy="select")

    __table_args__ = (
        Index("ix_incidents_started_at", "started_at"),
        Index("ix_incidents_last_posted_at", "last_posted_at"),
        Index(
            "ix_incidents_open",
            "stage",
            sqlite_where=text("stage <> 'resolved'"),
            postgresql_where=text("stage <> 'resolved'"),
        ),
        CheckConstraint("(stage = 'resolved') = (resolved_at IS NOT NULL)", name="resolved_has_its_time"),
    )

    @property
    def is_open(self) -> bool:
        """Whether it still goes on."""
        return self.stage is not Stage.RESOLVED

    @property
    def is_published(self) -> bool:
        """Whether anonymous readers may see it."""
        return self.visibility is Visibility.PUBLIC and self.last_posted_at is not None


class IncidentComponent(Base):
    """A component that an incident affects, and its state because of it."""

    __tablename__ = "incident_components"

    incident_id: Mapped[str] = mapped_column(ForeignKey("incidents.id"), primary_key=True)
    component_id: Mapped[str] = mapped_column(ForeignKey("components.id"), primary_key=True, index=True)
    state: Mapped[ComponentState] = mapped_column(_words(ComponentState, "state"))
    worst_state: Mapped[ComponentState] = mapped_column(_words(ComponentState, "worst_state"))
    position: Mapped[int] = mapped_column(default=0)

    component: Mapped[Component] = relationship(lazy="joined")


class RoleAssignment(Base):
    """Who plays which part in an incident."""

    __tablename__ = "role_assignments"

    incident_id: Mapped[str] = mapped_column(ForeignKey("incidents.id"), primary_key=True)
    role: Mapped[IncidentRole] = mapped_column(_words(IncidentRole, "role"), primary_key=True)
    account_id: Mapped[str] = mapped_column(ForeignKey("accounts.id"))

    account: Mapped["Account"] = relationship(lazy="joined")


class Update(Base):
    """One public message of an incident, with its finished text."""

    __tablename__ = "updates"

    id: Mapped[str] = _id()
    incident_id: Mapped[str] = mapped_column(ForeignKey("incidents.id"))
    sequence: Mapped[int]
    """1 for the first update of the incident."""
    kind: Mapped[MessageKind] = mapped_column(_words(MessageKind, "kind"))
    stage: Mapped[Stage] = mapped_column(_words(Stage, "stage"))
    body: Mapped[str] = mapped_column(Text)
    """The finished text as written (Markdown)."""
    body_html: Mapped[str] = mapped_column(Text)
    """The same text, cleaned for page, feed and mail."""
    fields: Mapped[dict[str, str] | None] = mapped_column(JSON)
    """What was typed, by field; None on imported updates."""
    component_states: Mapped[list[dict[str, str]]] = mapped_column(JSON)
    """Of every affected component: ``component_id``, ``name``, ``old_state``, ``new_state``."""
    next_update_by: Mapped[datetime | None] = mapped_column(UtcDateTime)
    posted_at: Mapped[datetime] = mapped_column(UtcDateTime)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    author_id: Mapped[str | None] = mapped_column(ForeignKey("accounts.id"))
    imported: Mapped[dict[str, Any] | None] = mapped_column(JSON)

    incident: Mapped[Incident] = relationship(back_populates="updates")
    author: Mapped["Account | None"] = relationship(lazy="select")

    __table_args__ = (UniqueConstraint("incident_id", "sequence"),)


class Maintenance(Base):
    """Planned work in a window of time."""

    __tablename__ = "maintenances"

    id: Mapped[str] = _id()
    title: Mapped[str] = mapped_column(String(255))
    stage: Mapped[MaintenanceStage] = mapped_column(_words(MaintenanceStage, "stage"))
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

    component: Mapped[Component] = relationship(lazy="joined")


class MaintenanceUpdate(Base):
    """One public message about a maintenance window."""

    __tablename__ = "maintenance_updates"

    id: Mapped[str] = _id()
    maintenance_id: Mapped[str] = mapped_column(ForeignKey("maintenances.id"))
    sequence: Mapped[int]
    stage: Mapped[MaintenanceStage] = mapped_column(_words(MaintenanceStage, "stage"))
    body: Mapped[str] = mapped_column(Text)
    body_html: Mapped[str] = mapped_column(Text)
    posted_at: Mapped[datetime] = mapped_column(UtcDateTime)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    imported: Mapped[dict[str, Any] | None] = mapped_column(JSON)

    __table_args__ = (UniqueConstraint("maintenance_id", "sequence"),)


class Account(Base):
    """A person who may sign in."""

    __tablename__ = "accounts"

    id: Mapped[str] = _id()
    email: Mapped[str] = mapped_column(String(254), unique=True)
    """In lower case."""
    name: Mapped[str] = mapped_column(String(100))
    role: Mapped[AccountRole] = mapped_column(_words(AccountRole, "role"))
    password_hash: Mapped[str] = mapped_column(String(200), default="")
    """argon2id; empty until the invitation is accepted."""
    disabled_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class LoginSession(Base):
    """A browser that is signed in; revoking the row signs it out."""

    __tablename__ = "login_sessions"

    token_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    """SHA-256 of the token in the cookie."""
    account_id: Mapped[str] = mapped_column(ForeignKey("accounts.id"), index=True)
    user_agent: Mapped[str] = mapped_column(String(200), default="")
    ip_address: Mapped[str] = mapped_column(String(45), default="")
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    last_seen_at: Mapped[datetime] = mapped_column(UtcDateTime)
    revoked_at: Mapped[datetime | None] = mapped_column(UtcDateTime)

    account: Mapped[Account] = relationship(lazy="joined")


class ApiToken(Base):
    """A key for programs; only its hash is kept."""

    __tablename__ = "api_tokens"

    id: Mapped[str] = _id()
    name: Mapped[str] = mapped_column(String(100))
    scope: Mapped[TokenScope] = mapped_column(_words(TokenScope, "scope"))
    secret_hash: Mapped[str] = mapped_column(String(64), unique=True)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    last_used_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    revoked_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class FormSubmission(Base):
    """A form that was posted; its unique nonce makes a double click one message."""

    __tablename__ = "form_submissions"

    nonce: Mapped[str] = mapped_column(String(64), primary_key=True)
    account_id: Mapped[str] = mapped_column(ForeignKey("accounts.id"))
    result_id: Mapped[str] = mapped_column(String(ID_LENGTH))
    digest: Mapped[str] = mapped_column(String(64))
    """SHA-256 of what was posted: the same form with other words is another message."""
    submitted_at: Mapped[datetime] = mapped_column(UtcDateTime)


class MessageTemplate(Base):
    """An edited wording; kinds without a row use the shipped one."""

    __tablename__ = "message_templates"

    kind: Mapped[MessageKind] = mapped_column(_words(MessageKind, "kind"), primary_key=True)
    text: Mapped[str] = mapped_column(Text)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)
    updated_by_id: Mapped[str] = mapped_column(ForeignKey("accounts.id"))


class Subscriber(Base):
    """An address that asked for updates by mail."""

    __tablename__ = "subscribers"

    PENDING: ClassVar[str] = "pending"
    ACTIVE: ClassVar[str] = "active"
    UNSUBSCRIBED: ClassVar[str] = "unsubscribed"

    id: Mapped[str] = _id()
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

    id: Mapped[int] = mapped_column(_BIG, primary_key=True)
    kind: Mapped[str] = mapped_column(String(40))
    """Names the folder under ``templates/mail/``."""
    audience: Mapped[str] = mapped_column(String(20))
    """``subscribers``, or ``address`` for one address."""
    visibility: Mapped[Visibility] = mapped_column(_words(Visibility, "visibility"))
    subject_id: Mapped[str] = mapped_column(String(ID_LENGTH))
    """Id of the update, subscriber or account it is about."""
    address: Mapped[str] = mapped_column(String(254), default="")
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    expanded_to: Mapped[str] = mapped_column(String(ID_LENGTH), default="")
    """Id of the last subscriber that has a delivery row."""
    expanded_at: Mapped[datetime | None] = mapped_column(UtcDateTime)

    __table_args__ = (
        # The gate of the house: what is not public can't be addressed to subscribers, whatever the code does.
        CheckConstraint("audience <> 'subscribers' OR visibility = 'public'", name="only_public_reaches_subscribers"),
        CheckConstraint("audience IN ('subscribers', 'address')", name="audience"),
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

    id: Mapped[int] = mapped_column(_BIG, primary_key=True)
    announcement_id: Mapped[int] = mapped_column(_BIG, ForeignKey("announcements.id"))
    subscriber_id: Mapped[str | None] = mapped_column(ForeignKey("subscribers.id"), index=True)
    address: Mapped[str] = mapped_column(String(254))
    lane: Mapped[int]
    """0 for sign-up and security mail, 1 for incidents; lower goes first."""
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


class AuditEntry(Base):
    """Ledger: who did what, when. Rows are only ever added."""

    __tablename__ = "audit_entries"

    id: Mapped[int] = mapped_column(_BIG, primary_key=True)
    acted_at: Mapped[datetime] = mapped_column(UtcDateTime)
    account_id: Mapped[str | None] = mapped_column(ForeignKey("accounts.id"))
    action: Mapped[str] = mapped_column(String(60))
    object_kind: Mapped[str] = mapped_column(String(40))
    object_id: Mapped[str] = mapped_column(String(40))
    detail: Mapped[dict[str, Any]] = mapped_column(JSON)


class Heartbeat(Base):
    """When each background process was last alive."""

    __tablename__ = "heartbeats"

    name: Mapped[str] = mapped_column(String(40), primary_key=True)
    beat_at: Mapped[datetime] = mapped_column(UtcDateTime)
