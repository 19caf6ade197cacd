"""post-mortems: action items, their reminders, their issues in another tracker; drafts without a list in free text."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

import statuspage.db

revision: str = "0009"
down_revision: str | None = "0008"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

DOCUMENTS = sa.table(
    "documents",
    sa.column("id", sa.String),
    sa.column("kind", sa.String),
    sa.column("state", sa.String),
    sa.column("fields", sa.JSON),
)


def upgrade() -> None:
    _action_items()
    _reminders()
    _issues()
    _keep_free_text()


def _instant(name: str, *, nullable: bool = False) -> "sa.Column[object]":
    return sa.Column(name, statuspage.db.UtcDateTime(), nullable=nullable)


def _words(name: str, *members: str) -> "sa.Column[object]":
    kind = sa.Enum(*members, name=name, native_enum=False, length=20, create_constraint=True)
    return sa.Column(name, kind, nullable=False)


def _account(name: str) -> "sa.Column[object]":
    return sa.Column(name, sa.String(length=12), nullable=False)


def _action_items() -> None:
    op.create_table(
        "action_items",
        sa.Column("id", sa.String(length=12), nullable=False),
        sa.Column("incident_id", sa.String(length=12), nullable=False),
        sa.Column("title", sa.String(length=200), nullable=False),
        _account("owner_id"),
        _words("priority", "high", "medium", "low"),
        sa.Column("due_on", sa.Date(), nullable=False),
        _words("state", "open", "done", "dropped"),
        sa.Column("reason", sa.Text(), nullable=False),
        _instant("settled_at", nullable=True),
        _instant("remind_at", nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        _account("created_by_id"),
        _instant("created_at"),
        _instant("updated_at"),
        sa.CheckConstraint(
            "(state = 'open') = (settled_at IS NULL)", name=op.f("ck_action_items_settled_has_its_time")
        ),
        sa.CheckConstraint("state <> 'dropped' OR reason <> ''", name=op.f("ck_action_items_dropped_has_its_reason")),
        sa.CheckConstraint("remind_at IS NULL OR state = 'open'", name=op.f("ck_action_items_reminded_while_open")),
        sa.ForeignKeyConstraint(["incident_id"], ["incidents.id"], name="fk_action_items_incident_id_incidents"),
        sa.ForeignKeyConstraint(["owner_id"], ["accounts.id"], name="fk_action_items_owner_id_accounts"),
        sa.ForeignKeyConstraint(["created_by_id"], ["accounts.id"], name="fk_action_items_created_by_id_accounts"),
        sa.PrimaryKeyConstraint("id", name="pk_action_items"),
    )
    op.create_index("ix_action_items_incident_id", "action_items", ["incident_id"])
    op.create_index("ix_action_items_owner_id", "action_items", ["owner_id"])
    _partial_index("action_items", "open", "due_on", "state = 'open'")
    _partial_index("action_items", "remind_at", "remind_at", "remind_at IS NOT NULL")


def _reminders() -> None:
    op.create_table(
        "action_item_reminders",
        sa.Column("item_id", sa.String(length=12), nullable=False),
        sa.Column("due_on", sa.Date(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        _instant("sent_at"),
        sa.Column("address", sa.String(length=254), nullable=False),
        sa.ForeignKeyConstraint(["item_id"], ["action_items.id"], name="fk_action_item_reminders_item_id_action_items"),
        sa.PrimaryKeyConstraint("item_id", "due_on", "number", name="pk_action_item_reminders"),
    )


def _issues() -> None:
    op.create_table(
        "issue_exports",
        sa.Column("item_id", sa.String(length=12), nullable=False),
        _words("state", "waiting", "filed", "failed"),
        _instant("asked_at"),
        _account("asked_by_id"),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        _instant("look_at", nullable=True),
        sa.Column("lease_owner", sa.String(length=40), nullable=False),
        _instant("lease_until", nullable=True),
        sa.Column("error", sa.String(length=500), nullable=False),
        sa.Column("repository", sa.String(length=150), nullable=False),
        sa.Column("number", sa.Integer(), nullable=True),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("etag", sa.String(length=200), nullable=False),
        _instant("looked_at", nullable=True),
        sa.CheckConstraint(
            "(state = 'filed') = (number IS NOT NULL)", name=op.f("ck_issue_exports_filed_has_its_number")
        ),
        sa.ForeignKeyConstraint(["item_id"], ["action_items.id"], name="fk_issue_exports_item_id_action_items"),
        sa.ForeignKeyConstraint(["asked_by_id"], ["accounts.id"], name="fk_issue_exports_asked_by_id_accounts"),
        sa.PrimaryKeyConstraint("item_id", name="pk_issue_exports"),
    )
    _partial_index("issue_exports", "look_at", "look_at", "look_at IS NOT NULL")


def _partial_index(table: str, name: str, column: str, condition: str) -> None:
    where = sa.text(condition)
    op.create_index(f"ix_{table}_{name}", table, [column], sqlite_where=where, postgresql_where=where)


def _keep_free_text() -> None:
    """Keep the action items that drafts held as plain lines: among the lessons, where their writer finds them."""
    connection = op.get_bind()
    written = sa.select(DOCUMENTS.c.id, DOCUMENTS.c.fields).where(
        DOCUMENTS.c.kind == "post_mortem", DOCUMENTS.c.state.in_(("draft", "in_review"))
    )
    for document_id, fields in connection.execute(written).all():
        listed = fields.get("action_items", "")
        if listed:
            lessons = "\n\n".join(text for text in (fields.get("lessons", ""), f"Action items:\n{listed}") if text)
            kept = {name: text for name, text in fields.items() if name != "action_items"} | {"lessons": lessons}
            connection.execute(sa.update(DOCUMENTS).where(DOCUMENTS.c.id == document_id).values(fields=kept))


def downgrade() -> None:
    raise NotImplementedError("action items are not taken back: restore a backup instead")
