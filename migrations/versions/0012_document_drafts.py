"""document drafts: what somebody has typed into a text and not saved yet, by the form it was typed into."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from statuspage.db import UtcDateTime

revision: str = "0012"
down_revision: str | None = "0011"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

KINDS = ("direct_email", "post_incident_email", "post_mortem")


def upgrade() -> None:
    op.create_table(
        "document_drafts",
        sa.Column("nonce", sa.String(length=64), nullable=False),
        sa.Column("incident_id", sa.String(length=12), nullable=False),
        sa.Column(
            "kind",
            sa.Enum(*KINDS, name="kind", native_enum=False, length=20, create_constraint=True),
            nullable=False,
        ),
        sa.Column("account_id", sa.String(length=12), nullable=False),
        sa.Column("fields", sa.JSON(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("saved_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_document_drafts_account_id_accounts")),
        sa.ForeignKeyConstraint(
            ["incident_id"], ["incidents.id"], name=op.f("fk_document_drafts_incident_id_incidents")
        ),
        sa.PrimaryKeyConstraint("nonce", name=op.f("pk_document_drafts")),
    )
    op.create_index(
        "ix_document_drafts_incident_id", "document_drafts", ["incident_id", "kind", "account_id"], unique=False
    )


def downgrade() -> None:
    raise NotImplementedError("what people typed is not thrown away: restore a backup instead")
