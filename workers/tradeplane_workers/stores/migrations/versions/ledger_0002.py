"""How an order is worked: prices, trails and extended hours beside type and time in force."""

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


def upgrade() -> None:
    """Add the columns; orders of before are market orders for the day."""
    for table in ("intents", "orders"):
        for column in _COLUMNS:
            op.execute(f"alter table {table} add column {column}")


def downgrade() -> None:
    """Refuse: a ledger is never taken back."""
    raise NotImplementedError("the ledger has no way back")
