"""maintenance: windows that are scheduled, reminded of, started and finished here; series of them."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

import statuspage.db

revision: str = "0004"
down_revision: str | None = "0003"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

MESSAGES = ("scheduled", "moved", "reminder", "started", "update", "finished", "cancelled")


def _instant(name: str, *, nullable: bool = True) -> "sa.Column[object]":
    return sa.Column(name, statuspage.db.UtcDateTime(), nullable=nullable)


def _flag(name: str) -> "sa.Column[object]":
    return sa.Column(name, sa.Boolean(), nullable=False, server_default=sa.false())


def upgrade() -> None:
    _series()
    # What an import brought in whole may end before it begins, or be over at no time.
    op.execute("UPDATE maintenances SET scheduled_until = scheduled_for WHERE scheduled_until < scheduled_for")
    op.execute("UPDATE maintenances SET completed_at = updated_at WHERE stage = 'completed' AND completed_at IS NULL")
    op.execute("UPDATE maintenances SET completed_at = NULL WHERE stage <> 'completed' AND completed_at IS NOT NULL")
    with op.batch_alter_table("maintenances", schema=None) as batch_op:
        for name in ("started_at", "cancelled_at", "reminded_at", "announce_at", "next_step_at", "occurrence_at"):
            batch_op.add_column(_instant(name))
        for name in ("starts_itself", "finishes_itself", "notifies"):
            batch_op.add_column(_flag(name))
        batch_op.add_column(sa.Column("remind_minutes", sa.Integer(), nullable=True))
        batch_op.add_column(sa.Column("series_id", sa.String(length=12), nullable=True))
        batch_op.add_column(sa.Column("version", sa.Integer(), nullable=False, server_default="1"))
        batch_op.add_column(sa.Column("created_by_id", sa.String(length=12), nullable=True))
        for name, table in (("series_id", "maintenance_series"), ("created_by_id", "accounts")):
            batch_op.create_foreign_key(op.f(f"fk_maintenances_{name}_{table}"), table, [name], ["id"])
        batch_op.create_unique_constraint(
            op.f("uq_maintenances_series_id_occurrence_at"), ["series_id", "occurrence_at"]
        )
        for name, check in (
            ("ends_after_it_begins", "scheduled_until >= scheduled_for"),
            ("completed_has_its_time", "(stage = 'completed') = (completed_at IS NOT NULL)"),
            ("cancelled_is_over", "cancelled_at IS NULL OR stage = 'completed'"),
            ("over_has_no_step", "next_step_at IS NULL OR stage <> 'completed'"),
            ("reminder", "remind_minutes IS NULL OR remind_minutes BETWEEN 1 AND 20160"),
            ("series_whole", "(series_id IS NULL) = (occurrence_at IS NULL)"),
        ):
            batch_op.create_check_constraint(op.f(f"ck_maintenances_{name}"), check)
        batch_op.create_index(
            "ix_maintenances_next_step_at",
            ["next_step_at"],
            unique=False,
            sqlite_where=sa.text("next_step_at IS NOT NULL"),
            postgresql_where=sa.text("next_step_at IS NOT NULL"),
        )
    with op.batch_alter_table("maintenance_updates", schema=None) as batch_op:
        batch_op.add_column(sa.Column("kind", sa.String(length=20), nullable=False, server_default="update"))
        batch_op.add_column(_flag("is_told"))
        batch_op.add_column(_flag("is_automatic"))
        batch_op.add_column(sa.Column("author_id", sa.String(length=12), nullable=True))
        batch_op.create_foreign_key(
            op.f("fk_maintenance_updates_author_id_accounts"), "accounts", ["author_id"], ["id"]
        )
        words = ", ".join(f"'{word}'" for word in MESSAGES)
        batch_op.create_check_constraint(op.f("ck_maintenance_updates_kind"), f"kind IN ({words})")


def _series() -> None:
    op.create_table(
        "maintenance_series",
        sa.Column("id", sa.String(length=12), nullable=False),
        sa.Column("title", sa.String(length=255), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("component_ids", sa.JSON(), nullable=False),
        sa.Column("rule", sa.String(length=300), nullable=False),
        sa.Column("time_zone", sa.String(length=64), nullable=False),
        _instant("first_for", nullable=False),
        _instant("first_until", nullable=False),
        sa.Column("starts_itself", sa.Boolean(), nullable=False),
        sa.Column("finishes_itself", sa.Boolean(), nullable=False),
        sa.Column("notifies", sa.Boolean(), nullable=False),
        sa.Column("remind_minutes", sa.Integer(), nullable=True),
        _instant("plan_at"),
        _instant("ended_at"),
        sa.Column("created_by_id", sa.String(length=12), nullable=True),
        _instant("created_at", nullable=False),
        sa.CheckConstraint("first_until > first_for", name=op.f("ck_maintenance_series_ends_after_it_begins")),
        sa.CheckConstraint(
            "ended_at IS NULL OR plan_at IS NULL", name=op.f("ck_maintenance_series_ended_plans_nothing")
        ),
        sa.CheckConstraint(
            "remind_minutes IS NULL OR remind_minutes BETWEEN 1 AND 20160",
            name=op.f("ck_maintenance_series_reminder"),
        ),
        sa.ForeignKeyConstraint(
            ["created_by_id"], ["accounts.id"], name=op.f("fk_maintenance_series_created_by_id_accounts")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_maintenance_series")),
    )
    op.create_index(
        "ix_maintenance_series_plan_at",
        "maintenance_series",
        ["plan_at"],
        unique=False,
        sqlite_where=sa.text("plan_at IS NOT NULL"),
        postgresql_where=sa.text("plan_at IS NOT NULL"),
    )
