"""drafts: what people have typed so far in an incident room, and who is there."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

import statuspage.db

revision: str = "0007"
down_revision: str | None = "0006"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

KINDS = ("acknowledge", "update", "resolve")


def upgrade() -> None:
    op.create_table(
        "message_drafts",
        sa.Column("incident_id", sa.String(length=12), nullable=False),
        sa.Column(
            "kind",
            sa.Enum(*KINDS, name="kind", native_enum=False, create_constraint=True, length=20),
            nullable=False,
        ),
        sa.Column("account_id", sa.String(length=12), nullable=False),
        sa.Column("fields", sa.JSON(), nullable=False),
        sa.Column("begun_at", statuspage.db.UtcDateTime(), nullable=False),
        sa.Column("saved_at", statuspage.db.UtcDateTime(), nullable=False),
        *_keys("message_drafts", "incident_id", "kind", "account_id"),
    )
    op.create_table(
        "presences",
        sa.Column("incident_id", sa.String(length=12), nullable=False),
        sa.Column("account_id", sa.String(length=12), nullable=False),
        sa.Column("seen_at", statuspage.db.UtcDateTime(), nullable=False),
        *_keys("presences", "incident_id", "account_id"),
    )
    # The rooms ask every few seconds what was done to their incident.
    op.create_index("ix_audit_entries_object_id", "audit_entries", ["object_id"], unique=False)


def _keys(table: str, *columns: str) -> "list[sa.schema.SchemaItem]":
    return [
        sa.PrimaryKeyConstraint(*columns, name=op.f(f"pk_{table}")),
        sa.ForeignKeyConstraint(["incident_id"], ["incidents.id"], name=op.f(f"fk_{table}_incident_id_incidents")),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f(f"fk_{table}_account_id_accounts")),
    ]


def downgrade() -> None:
    raise NotImplementedError("what people were writing is not taken back: restore a backup instead")
