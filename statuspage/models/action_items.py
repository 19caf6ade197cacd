"""What is to be done after an incident, who was reminded of it, and its issue in another tracker."""

from datetime import date, datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from statuspage.db import Base, UtcDateTime
from statuspage.models.columns import id_column, words
from statuspage.models.incidents import Incident
from statuspage.models.people import Account
from statuspage.rules.vocabulary import ActionItemState, IssueState, Priority


class ActionItem(Base):
    """One thing to be done so that an incident does not happen again. Never deleted: dropped, with a reason."""

    __tablename__ = "action_items"

    id: Mapped[str] = id_column()
    incident_id: Mapped[str] = mapped_column(ForeignKey("incidents.id"), index=True)
    title: Mapped[str] = mapped_column(String(200))
    owner_id: Mapped[str] = mapped_column(ForeignKey("accounts.id"), index=True)
    priority: Mapped[Priority] = mapped_column(words(Priority, "priority"))
    due_on: Mapped[date]
    state: Mapped[ActionItemState] = mapped_column(words(ActionItemState, "state"), default=ActionItemState.OPEN)
    reason: Mapped[str] = mapped_column(Text, default="")
    """Why it was dropped."""
    settled_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """When it was done or dropped."""
    remind_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """When its owner is reminded next; None once there is nothing to do."""
    version: Mapped[int] = mapped_column(default=1)
    created_by_id: Mapped[str] = mapped_column(ForeignKey("accounts.id"))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)

    incident: Mapped[Incident] = relationship(lazy="select")
    owner: Mapped[Account] = relationship(foreign_keys=[owner_id], lazy="joined")
    created_by: Mapped[Account] = relationship(foreign_keys=[created_by_id], lazy="select")
    issue: Mapped["IssueExport | None"] = relationship(back_populates="item", lazy="joined")

    __table_args__ = (
        CheckConstraint("(state = 'open') = (settled_at IS NULL)", name="settled_has_its_time"),
        CheckConstraint("state <> 'dropped' OR reason <> ''", name="dropped_has_its_reason"),
        CheckConstraint("remind_at IS NULL OR state = 'open'", name="reminded_while_open"),
        Index(
            "ix_action_items_open",
            "due_on",
            sqlite_where=text("state = 'open'"),
            postgresql_where=text("state = 'open'"),
        ),
        Index(
            "ix_action_items_remind_at",
            "remind_at",
            sqlite_where=text("remind_at IS NOT NULL"),
            postgresql_where=text("remind_at IS NOT NULL"),
        ),
    )


class ActionItemReminder(Base):
    """Ledger: a reminder that was sent; its key is the claim."""

    __tablename__ = "action_item_reminders"

    item_id: Mapped[str] = mapped_column(ForeignKey("action_items.id"), primary_key=True)
    due_on: Mapped[date] = mapped_column(primary_key=True)
    """The due day it reminded of: another day, other reminders."""
    number: Mapped[int] = mapped_column(primary_key=True)
    """0 on the due day, then one a week."""
    sent_at: Mapped[datetime] = mapped_column(UtcDateTime)
    address: Mapped[str] = mapped_column(String(254))


class IssueExport(Base):
    """Outbox: an action item on its way to the issue tracker, and its issue once it is there."""

    __tablename__ = "issue_exports"

    item_id: Mapped[str] = mapped_column(ForeignKey("action_items.id"), primary_key=True)
    state: Mapped[IssueState] = mapped_column(words(IssueState, "state"), default=IssueState.WAITING)
    asked_at: Mapped[datetime] = mapped_column(UtcDateTime)
    asked_by_id: Mapped[str] = mapped_column(ForeignKey("accounts.id"))
    attempts: Mapped[int] = mapped_column(default=0)
    """How often it was handed over, or about to be. After the first the tracker is asked whether it has the issue."""
    tries: Mapped[int] = mapped_column(default=0)
    """The same, since somebody pressed the button last: after so many the worker gives up."""
    look_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """When to try again, or to look whether the issue is closed; None for no more."""
    lease_owner: Mapped[str] = mapped_column(String(40), default="")
    lease_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    error: Mapped[str] = mapped_column(String(500), default="")
    """What went wrong last, in words."""
    repository: Mapped[str] = mapped_column(String(150), default="")
    number: Mapped[int | None]
    url: Mapped[str] = mapped_column(Text, default="")
    etag: Mapped[str] = mapped_column(String(200), default="")
    looked_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """When the tracker last said how the issue stands."""

    item: Mapped[ActionItem] = relationship(back_populates="issue", lazy="select")

    __table_args__ = (
        CheckConstraint("(state = 'filed') = (number IS NOT NULL)", name="filed_has_its_number"),
        Index(
            "ix_issue_exports_look_at",
            "look_at",
            sqlite_where=text("look_at IS NOT NULL"),
            postgresql_where=text("look_at IS NOT NULL"),
        ),
    )
