"""uptime: what a page counts as downtime."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0005"
down_revision: str | None = "0004"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.add_column(
        "pages", sa.Column("uptime_degraded_percent", sa.Integer(), server_default=sa.text("0"), nullable=False)
    )
    op.add_column(
        "pages", sa.Column("uptime_excludes_maintenance", sa.Boolean(), server_default=sa.true(), nullable=False)
    )


def downgrade() -> None:
    raise NotImplementedError("what a page decided is not taken back: restore a backup instead")
