"""administration: which key a program used, and ways to look an entry of the audit log up."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0008"
down_revision: str | None = "0007"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    # Not in a batch: that makes the table anew, without the triggers that keep its rows as they are.
    op.add_column("audit_entries", sa.Column("token_id", sa.String(length=12), nullable=True))
    op.create_index("ix_audit_entries_account", "audit_entries", ["account_id", "id"], unique=False)
    op.create_index("ix_audit_entries_object", "audit_entries", ["object_kind", "object_id", "id"], unique=False)


def downgrade() -> None:
    raise NotImplementedError("who did what is not forgotten: restore a backup instead")
