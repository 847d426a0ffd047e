"""How an order is worked, which decision wanted it no more, and what a signal says beside its score."""

from alembic import op

revision = "ledger_0002"
down_revision = "ledger_0001"
branch_labels = None
depends_on = None

# Prices 1e-4 USD, 0 where the type has none.
_COLUMNS = (
    "limit_price bigint not null default 0",
    "stop_price bigint not null default 0",
    "trail_price bigint not null default 0",
    "trail_bps integer not null default 0",
    "extended_hours boolean not null default false",
)
# Horizon in ns.
_SAID = (
    "direction smallint not null default 0",
    "confidence double precision",
    "horizon bigint",
    "model_digest text not null default ''",
)


def upgrade() -> None:
    """Add the columns; orders of before are market orders for the day."""
    for table in ("intents", "orders"):
        for column in _COLUMNS:
            op.execute(f"alter table {table} add column {column}")
    # The decision that wanted the order no more.
    op.execute("alter table intents add column cancel_wanted bigint references decisions")
    for column in _SAID:
        op.execute(f"alter table signals add column {column}")


def downgrade() -> None:
    """Refuse: a ledger is never taken back."""
    raise NotImplementedError("the ledger has no way back")
