"""wording overrides: words of the installation's own, and what was posted although it was marked."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from statuspage.db import UtcDateTime
from statuspage.models.columns import BIG

revision: str = "0006"
down_revision: str | None = "0005"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.create_table(
        "own_words",
        sa.Column("id", sa.String(12), nullable=False),
        sa.Column("word", sa.String(80), nullable=False),
        sa.Column("is_allowed", sa.Boolean(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("created_by_id", sa.String(12), nullable=False),
        sa.ForeignKeyConstraint(["created_by_id"], ["accounts.id"], name="fk_own_words_created_by_id_accounts"),
        sa.PrimaryKeyConstraint("id", name="pk_own_words"),
        sa.UniqueConstraint("word", name="uq_own_words_word"),
    )
    op.create_table(
        "wording_overrides",
        sa.Column("id", BIG, nullable=False),
        sa.Column("subject_kind", sa.String(20), nullable=False),
        sa.Column("subject_id", sa.String(12), nullable=False),
        sa.Column("incident_id", sa.String(12), nullable=True),
        sa.Column("words", sa.JSON(), nullable=False),
        sa.Column("account_id", sa.String(12), nullable=True),
        sa.Column("overridden_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["incident_id"], ["incidents.id"], name="fk_wording_overrides_incident_id_incidents"),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name="fk_wording_overrides_account_id_accounts"),
        sa.PrimaryKeyConstraint("id", name="pk_wording_overrides"),
    )
    op.create_index("ix_wording_overrides_incident_id", "wording_overrides", ["incident_id"])
    op.create_index("ix_wording_overrides_subject", "wording_overrides", ["subject_kind", "subject_id"])
    _keep_ledger()


def _keep_ledger() -> None:
    """Let the database itself refuse to delete an override or to rewrite it."""
    is_postgresql = op.get_bind().dialect.name == "postgresql"
    refuse = (
        "EXECUTE FUNCTION keep_ledger()"
        if is_postgresql
        else "BEGIN SELECT RAISE(ABORT, 'rows of wording_overrides are kept as they are'); END"
    )
    for act in ("DELETE", "UPDATE"):
        op.execute(
            f"CREATE TRIGGER wording_overrides_keep_{act.lower()} BEFORE {act} ON wording_overrides "
            f"FOR EACH ROW {refuse}"
        )


def downgrade() -> None:
    raise NotImplementedError("overrides on record are not taken back: restore a backup instead")
