"""brand: how a page looks, and the languages it speaks."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from statuspage.db import UtcDateTime

revision: str = "0011"
down_revision: str | None = "0010"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    for column in (
        sa.Column("accent", sa.String(length=7), server_default="", nullable=False),
        sa.Column("header_links", sa.JSON(), server_default=sa.text("'[]'"), nullable=False),
        sa.Column("footer_links", sa.JSON(), server_default=sa.text("'[]'"), nullable=False),
        sa.Column("custom_css", sa.Text(), server_default="", nullable=False),
        sa.Column("language", sa.String(length=5), server_default="en", nullable=False),
        sa.Column("languages", sa.JSON(), server_default=sa.text("'[]'"), nullable=False),
    ):
        op.add_column("pages", column)
    op.add_column("subscribers", sa.Column("language", sa.String(length=5), server_default="", nullable=False))
    op.create_table(
        "logos",
        sa.Column("page_id", sa.String(length=12), nullable=False),
        sa.Column("name", sa.String(length=40), nullable=False),
        sa.Column("width", sa.Integer(), nullable=False),
        sa.Column("height", sa.Integer(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["page_id"], ["pages.id"], name=op.f("fk_logos_page_id_pages")),
        sa.PrimaryKeyConstraint("page_id", name=op.f("pk_logos")),
    )


def downgrade() -> None:
    raise NotImplementedError("what a page decided is not taken back: restore a backup instead")
