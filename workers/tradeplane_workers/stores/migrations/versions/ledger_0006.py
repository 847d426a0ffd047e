"""What an intent was worth when the gate let it pass: the limits on a session's orders count it."""

from alembic import op

revision = "ledger_0006"
down_revision = "ledger_0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Intents of before count for nothing: a session's limits act from its first order after this."""
    op.execute("alter table intents add column notional bigint not null default 0")


def downgrade() -> None:
    """Refuse: a ledger is never taken back."""
    raise NotImplementedError("the ledger has no way back")
