"""delivery: who chose what, what became of each mail, what the provider said."""

from collections.abc import Mapping, Sequence

import sqlalchemy as sa
from alembic import op

import statuspage.db

revision: str = "0003"
down_revision: str | None = "0002"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.create_table(
        "provider_events",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("event_key", sa.String(length=64), nullable=False),
        sa.Column("delivery_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("event", sa.String(length=30), nullable=False),
        sa.Column("detail", sa.String(length=300), nullable=False),
        sa.Column("occurred_at", statuspage.db.UtcDateTime(), nullable=False),
        sa.Column("received_at", statuspage.db.UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_provider_events")),
        sa.UniqueConstraint("event_key", name=op.f("uq_provider_events_event_key")),
    )
    with op.batch_alter_table("provider_events", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_provider_events_delivery_id"), ["delivery_id"], unique=False)

    op.create_table(
        "provider_states",
        sa.Column("name", sa.String(length=20), nullable=False),
        sa.Column("stopped_at", statuspage.db.UtcDateTime(), nullable=True),
        sa.Column("retry_at", statuspage.db.UtcDateTime(), nullable=True),
        sa.Column("reason", sa.String(length=500), nullable=False),
        sa.Column("needs_person", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_provider_states")),
    )
    op.create_table(
        "soft_bounces",
        sa.Column("address_key", sa.String(length=254), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("first_at", statuspage.db.UtcDateTime(), nullable=False),
        sa.Column("last_at", statuspage.db.UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("address_key", name=op.f("pk_soft_bounces")),
    )
    op.create_table(
        "suppressions",
        sa.Column("id", sa.String(length=12), nullable=False),
        sa.Column("address_key", sa.String(length=254), nullable=False),
        sa.Column("reason", sa.String(length=20), nullable=False),
        sa.Column("detail", sa.String(length=300), nullable=False),
        sa.Column("created_at", statuspage.db.UtcDateTime(), nullable=False),
        sa.Column("lifted_at", statuspage.db.UtcDateTime(), nullable=True),
        sa.Column("clear_at", statuspage.db.UtcDateTime(), nullable=True),
        sa.Column("cleared_at", statuspage.db.UtcDateTime(), nullable=True),
        sa.CheckConstraint("reason IN ('bounce', 'complaint')", name=op.f("ck_suppressions_reason")),
        sa.CheckConstraint(
            "lifted_at IS NOT NULL OR (clear_at IS NULL AND cleared_at IS NULL)",
            name=op.f("ck_suppressions_cleared_when_lifted"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_suppressions")),
        sa.UniqueConstraint("address_key", name=op.f("uq_suppressions_address_key")),
    )
    with op.batch_alter_table("suppressions", schema=None) as batch_op:
        batch_op.create_index(
            "ix_suppressions_to_clear",
            ["clear_at"],
            unique=False,
            sqlite_where=sa.text("clear_at IS NOT NULL"),
            postgresql_where=sa.text("clear_at IS NOT NULL"),
        )

    op.create_table(
        "import_jobs",
        sa.Column("id", sa.String(length=12), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("filename", sa.String(length=200), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("is_dry_run", sa.Boolean(), nullable=False),
        sa.Column("account_id", sa.String(length=12), nullable=True),
        sa.Column("created_at", statuspage.db.UtcDateTime(), nullable=False),
        sa.Column("finished_at", statuspage.db.UtcDateTime(), nullable=True),
        sa.Column("rows_total", sa.Integer(), nullable=False),
        sa.Column("rows_done", sa.Integer(), nullable=False),
        sa.Column("counts", sa.JSON(), nullable=False),
        sa.Column("report", sa.JSON(), nullable=False),
        sa.Column("error", sa.String(length=500), nullable=False),
        sa.CheckConstraint("kind IN ('subscribers', 'customers')", name=op.f("ck_import_jobs_kind")),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_import_jobs_account_id_accounts")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_import_jobs")),
    )
    with op.batch_alter_table("import_jobs", schema=None) as batch_op:
        batch_op.create_index(
            "ix_import_jobs_waiting",
            ["created_at"],
            unique=False,
            sqlite_where=sa.text("finished_at IS NULL"),
            postgresql_where=sa.text("finished_at IS NULL"),
        )

    op.create_table(
        "incident_follows",
        sa.Column("subscriber_id", sa.String(length=12), nullable=False),
        sa.Column("incident_id", sa.String(length=12), nullable=False),
        sa.Column("followed_at", statuspage.db.UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["incident_id"], ["incidents.id"], name=op.f("fk_incident_follows_incident_id_incidents")
        ),
        sa.ForeignKeyConstraint(
            ["subscriber_id"], ["subscribers.id"], name=op.f("fk_incident_follows_subscriber_id_subscribers")
        ),
        sa.PrimaryKeyConstraint("subscriber_id", "incident_id", name=op.f("pk_incident_follows")),
    )
    with op.batch_alter_table("incident_follows", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_incident_follows_incident_id"), ["incident_id"], unique=False)

    op.create_table(
        "subscriber_components",
        sa.Column("subscriber_id", sa.String(length=12), nullable=False),
        sa.Column("component_id", sa.String(length=12), nullable=False),
        sa.ForeignKeyConstraint(
            ["component_id"], ["components.id"], name=op.f("fk_subscriber_components_component_id_components")
        ),
        sa.ForeignKeyConstraint(
            ["subscriber_id"], ["subscribers.id"], name=op.f("fk_subscriber_components_subscriber_id_subscribers")
        ),
        sa.PrimaryKeyConstraint("subscriber_id", "component_id", name=op.f("pk_subscriber_components")),
    )
    with op.batch_alter_table("subscriber_components", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_subscriber_components_component_id"), ["component_id"], unique=False)

    op.add_column("updates", sa.Column("edited_at", statuspage.db.UtcDateTime(), nullable=True))
    _let_announcements_wait()
    _let_deliveries_go_on()
    _let_subscribers_choose()


def _let_announcements_wait() -> None:
    op.add_column("announcements", sa.Column("not_before", statuspage.db.UtcDateTime(), nullable=True))
    op.add_column("announcements", sa.Column("cancelled_at", statuspage.db.UtcDateTime(), nullable=True))
    # One statement that both databases understand; SQLite can't add a constraint later.
    op.execute(
        "ALTER TABLE announcements ADD COLUMN cancelled_by_id VARCHAR(12) "
        "CONSTRAINT fk_announcements_cancelled_by_id_accounts REFERENCES accounts (id)"
    )
    op.create_index("ix_announcements_incident_id", "announcements", ["incident_id"])
    op.create_index(op.f("ix_announcements_subject_id"), "announcements", ["subject_id"])
    _change_check("announcements", "ck_announcements_only_public_reaches_customers", OLD_GATE, GATE)


def _let_deliveries_go_on() -> None:
    op.add_column("deliveries", sa.Column("batch", sa.String(length=12), nullable=False, server_default=""))
    op.add_column("deliveries", sa.Column("receipt_at", statuspage.db.UtcDateTime(), nullable=True))
    for index in ("due", "leased", "customer_id", "subscriber_id"):
        op.drop_index(f"ix_deliveries_{index}", "deliveries")
    _change_check("deliveries", "ck_deliveries_state", OLD_DELIVERY_STATES, DELIVERY_STATES)
    if op.get_bind().dialect.name == "postgresql":
        op.drop_constraint("fk_deliveries_announcement_id_announcements", "deliveries")
        op.drop_constraint("fk_deliveries_subscriber_id_subscribers", "deliveries")
        op.drop_constraint("fk_deliveries_customer_id_customers", "deliveries")
        op.drop_constraint("uq_deliveries_announcement_id_address", "deliveries")
        op.create_unique_constraint(ONCE, "deliveries", ["subscriber_id", "announcement_id"])
    else:
        _remake(
            "deliveries",
            {
                "CONSTRAINT fk_deliveries_customer_id_customers REFERENCES customers (id)": "",
                "CONSTRAINT fk_deliveries_announcement_id_announcements FOREIGN KEY(announcement_id) "
                "REFERENCES announcements (id), ": "",
                "CONSTRAINT fk_deliveries_subscriber_id_subscribers FOREIGN KEY(subscriber_id) "
                "REFERENCES subscribers (id), ": "",
                "CONSTRAINT uq_deliveries_announcement_id_address UNIQUE (announcement_id, address)": f"CONSTRAINT {ONCE} UNIQUE (subscriber_id, announcement_id)",
            },
        )
    op.create_index("ix_deliveries_announcement_id", "deliveries", ["announcement_id"], postgresql_using="brin")
    waiting, leased, customers = "state IN ('queued', 'unknown')", "state = 'leased'", "customer_id IS NOT NULL"
    for name, columns, where, unique in (
        ("ix_deliveries_due", ["lane", "id", "not_before"], waiting, False),
        ("ix_deliveries_leased", ["batch", "lease_until"], leased, False),
        ("uq_deliveries_announcement_id_customer_id", ["announcement_id", "customer_id"], customers, True),
    ):
        condition = sa.text(where)
        op.create_index(name, "deliveries", columns, unique=unique, sqlite_where=condition, postgresql_where=condition)


ONCE = "uq_deliveries_subscriber_id_announcement_id"


def _let_subscribers_choose() -> None:
    text_column = {"nullable": False, "server_default": ""}
    methods = "'email', 'webhook', 'slack', 'teams', 'discord'"
    op.execute(
        "ALTER TABLE subscribers ADD COLUMN method VARCHAR(20) DEFAULT 'email' NOT NULL "
        f"CONSTRAINT ck_subscribers_method CHECK (method IN ({methods}))"
    )
    op.add_column("subscribers", sa.Column("unique_key", sa.String(length=254), **text_column))
    op.add_column("subscribers", sa.Column("mailbox_key", sa.String(length=254), **text_column))
    op.add_column("subscribers", sa.Column("endpoint", sa.Text(), **text_column))
    op.add_column("subscribers", sa.Column("secret", sa.String(length=100), **text_column))
    op.add_column("subscribers", sa.Column("previous_secret", sa.String(length=100), **text_column))
    op.add_column("subscribers", sa.Column("secret_changed_at", statuspage.db.UtcDateTime(), nullable=True))
    op.add_column("subscribers", sa.Column("failing_since", statuspage.db.UtcDateTime(), nullable=True))
    for name, default in (
        ("all_components", "true"),
        ("wants_incidents", "true"),
        ("wants_maintenance", "true"),
        ("wants_component_changes", "false"),
    ):
        op.add_column("subscribers", sa.Column(name, sa.Boolean(), nullable=False, server_default=sa.text(default)))
    op.add_column("subscribers", sa.Column("source", sa.String(length=20), nullable=False, server_default="form"))
    op.add_column("subscribers", sa.Column("form_version", sa.String(length=20), **text_column))
    op.add_column("subscribers", sa.Column("confirm_token_hash", sa.String(length=64), **text_column))
    op.execute("UPDATE subscribers SET unique_key = email_key, mailbox_key = email_key")
    if op.get_bind().dialect.name == "postgresql":
        op.drop_constraint("uq_subscribers_email", "subscribers")
        op.drop_constraint("uq_subscribers_email_key", "subscribers")
        op.create_unique_constraint("uq_subscribers_unique_key", "subscribers", ["unique_key"])
        op.create_check_constraint(op.f(ENDPOINTS), "subscribers", ENDPOINTS_ALONE)
    else:
        _remake(
            "subscribers",
            {
                "CONSTRAINT uq_subscribers_email UNIQUE (email)": f"CONSTRAINT {ENDPOINTS} CHECK ({ENDPOINTS_ALONE})",
                "CONSTRAINT uq_subscribers_email_key UNIQUE (email_key)": "CONSTRAINT uq_subscribers_unique_key UNIQUE (unique_key)",
            },
        )
    _change_check("subscribers", "ck_subscribers_state", OLD_SUBSCRIBER_STATES, SUBSCRIBER_STATES)
    op.create_index(op.f("ix_subscribers_email_key"), "subscribers", ["email_key"])
    op.create_index(op.f("ix_subscribers_mailbox_key"), "subscribers", ["mailbox_key"])
    active = sa.text("state = 'active'")
    op.create_index(
        "ix_subscribers_reach",
        "subscribers",
        ["method", "wants_incidents", "all_components", "id", "state"],
        sqlite_where=active,
        postgresql_where=active,
    )
    with_endpoint = sa.text("endpoint <> ''")
    op.create_index(
        "ix_subscribers_endpoint",
        "subscribers",
        ["endpoint"],
        sqlite_where=with_endpoint,
        postgresql_where=with_endpoint,
    )
    of_changes = sa.text("state = 'active' AND wants_component_changes")
    op.create_index(
        "ix_subscribers_of_changes", "subscribers", ["id"], sqlite_where=of_changes, postgresql_where=of_changes
    )


OLD_GATE = "audience NOT IN ('subscribers', 'customers') OR (visibility = 'public' AND incident_id IS NOT NULL)"
GATE = (
    "audience NOT IN ('subscribers', 'customers') OR (visibility = 'public' "
    "AND (incident_id IS NOT NULL OR kind IN ('component_change', 'maintenance_update')))"
)
OLD_DELIVERY_STATES = "state IN ('queued', 'leased', 'submitted', 'unknown', 'cancelled', 'dead')"
DELIVERY_STATES = " OR ".join(
    f"state = '{state}'"
    for state in (
        "queued", "leased", "submitted", "delivered", "unknown", "cancelled", "superseded", "bounced", "dropped",
        "complained", "dead",
    )
)  # fmt: skip
OLD_SUBSCRIBER_STATES = "state IN ('pending', 'active', 'unsubscribed')"
SUBSCRIBER_STATES = "state IN ('pending', 'active', 'unsubscribed', 'disabled', 'erased')"
ENDPOINTS = "ck_subscribers_only_endpoints_have_an_address"
ENDPOINTS_ALONE = "(method = 'email') = (endpoint = '')"


def _change_check(table: str, name: str, before: str, after: str) -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.drop_constraint(op.f(name), table)
        op.create_check_constraint(op.f(name), table, after)
    else:
        _remake(table, {f"CHECK ({before})": f"CHECK ({after})"})


def _remake(table: str, replacements: Mapping[str, str]) -> None:
    """Make a table anew with other constraints: SQLite can't change them. References to it are by name."""
    connection = op.get_bind()
    made = connection.execute(
        sa.text("SELECT type, sql FROM sqlite_master WHERE tbl_name = :table AND sql IS NOT NULL"), {"table": table}
    ).all()
    (statement,) = (" ".join(sql.split()) for kind, sql in made if kind == "table")
    for before, after in replacements.items():
        if before not in statement:
            raise RuntimeError(f"{table} is not as the earlier migrations left it: {before} is missing")
        statement = statement.replace(before, after)
    opening = statement.index("(")
    op.execute(sa.text(f"CREATE TABLE {table}_made {statement[opening:]}".replace(":", "\\:")))
    op.execute(f"INSERT INTO {table}_made SELECT * FROM {table}")
    op.drop_table(table)
    op.rename_table(f"{table}_made", table)
    for kind, sql in made:
        if kind != "table":
            op.execute(sql)


def downgrade() -> None:
    raise NotImplementedError("consent and receipts on record are not taken back: restore a backup instead")
