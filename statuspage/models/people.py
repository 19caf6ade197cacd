"""Who may do what, and who did."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column, relationship

from statuspage.db import Base, UtcDateTime
from statuspage.models.columns import BIG, ID_LENGTH, id_column, words
from statuspage.rules.vocabulary import AccountRole, TokenScope


class Account(Base):
    """A person who may sign in."""

    __tablename__ = "accounts"

    id: Mapped[str] = id_column()
    email: Mapped[str] = mapped_column(String(254), unique=True)
    """In lower case."""
    name: Mapped[str] = mapped_column(String(100))
    role: Mapped[AccountRole] = mapped_column(words(AccountRole, "role"))
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

    id: Mapped[str] = id_column()
    name: Mapped[str] = mapped_column(String(100))
    scope: Mapped[TokenScope] = mapped_column(words(TokenScope, "scope"))
    secret_hash: Mapped[str] = mapped_column(String(64), unique=True)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    last_used_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    revoked_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class FormSubmission(Base):
    """A form that was posted; its unique nonce makes a double click one message."""

    __tablename__ = "form_submissions"

    nonce: Mapped[str] = mapped_column(String(64), primary_key=True)
    account_id: Mapped[str | None] = mapped_column(ForeignKey("accounts.id"))
    """None for a program."""
    result_id: Mapped[str] = mapped_column(String(ID_LENGTH))
    digest: Mapped[str] = mapped_column(String(64))
    """SHA-256 of what was posted: the same form with other words is another message."""
    submitted_at: Mapped[datetime] = mapped_column(UtcDateTime)


class AuditEntry(Base):
    """Ledger: who did what, when. Rows are only ever added."""

    __tablename__ = "audit_entries"

    id: Mapped[int] = mapped_column(BIG, primary_key=True)
    acted_at: Mapped[datetime] = mapped_column(UtcDateTime)
    account_id: Mapped[str | None] = mapped_column(ForeignKey("accounts.id"))
    token_id: Mapped[str | None] = mapped_column(String(ID_LENGTH))
    """The key of the program that did it; with neither it was the service itself, a command or a reader.

    No foreign key: SQLite would make the table anew for it, without the triggers that keep its rows as they are.
    """
    action: Mapped[str] = mapped_column(String(60))
    object_kind: Mapped[str] = mapped_column(String(40))
    object_id: Mapped[str] = mapped_column(String(40), index=True)
    detail: Mapped[dict[str, Any]] = mapped_column(JSON)

    __table_args__ = (
        Index("ix_audit_entries_account", "account_id", "id"),
        Index("ix_audit_entries_object", "object_kind", "object_id", "id"),
    )


class Heartbeat(Base):
    """When each background process was last alive."""

    __tablename__ = "heartbeats"

    name: Mapped[str] = mapped_column(String(40), primary_key=True)
    beat_at: Mapped[datetime] = mapped_column(UtcDateTime)
