"""saved replies: wording in every version and language, and what common failures are declared with."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

import statuspage.db

revision: str = "0010"
down_revision: str | None = "0009"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def _words(name: str, *values: str) -> sa.Enum:
    return sa.Enum(*values, name=name, native_enum=False, create_constraint=True, length=20)


def upgrade() -> None:
    op.create_table(
        "template_versions",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("kind", _words("kind", "acknowledge", "update", "resolve"), nullable=False),
        sa.Column("language", sa.String(length=8), nullable=False),
        sa.Column("text", sa.Text(), nullable=True),
        sa.Column("created_at", statuspage.db.UtcDateTime(), nullable=False),
        sa.Column("created_by_id", sa.String(length=12), nullable=False),
        sa.ForeignKeyConstraint(
            ["created_by_id"], ["accounts.id"], name=op.f("fk_template_versions_created_by_id_accounts")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_template_versions")),
    )
    op.create_index("ix_template_versions_kind_language", "template_versions", ["kind", "language", "id"])
    op.execute(
        "INSERT INTO template_versions (kind, language, text, created_at, created_by_id) "
        "SELECT kind, 'en', text, updated_at, updated_by_id FROM message_templates"
    )
    op.drop_table("message_templates")
    op.create_table(
        "saved_replies",
        sa.Column("id", sa.String(length=12), nullable=False),
        sa.Column("title", sa.String(length=150), nullable=False),
        sa.Column("severity", _words("severity", "SEV1", "SEV2", "SEV3", "SEV4"), nullable=False),
        sa.Column("language", sa.String(length=8), nullable=False),
        sa.Column("states", sa.JSON(), nullable=False),
        sa.Column("fields", sa.JSON(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("archived_at", statuspage.db.UtcDateTime(), nullable=True),
        sa.Column("created_at", statuspage.db.UtcDateTime(), nullable=False),
        sa.Column("updated_at", statuspage.db.UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_saved_replies")),
    )
    op.add_column(
        "incidents", sa.Column("language", sa.String(length=8), server_default=sa.text("'en'"), nullable=False)
    )
    op.add_column("incidents", sa.Column("opening", sa.JSON(), nullable=True))


def downgrade() -> None:
    raise NotImplementedError("what was written is not taken back: restore a backup instead")
