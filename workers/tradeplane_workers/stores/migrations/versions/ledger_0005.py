"""Decisions between bars: which part of a trigger's answer one is, and what it answers."""

from alembic import op

revision = "ledger_0005"
down_revision = "ledger_0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Let parts follow a bar's own decision; those of before are all of them, and nobody knows what they had heard."""
    op.execute("alter table decisions add column part smallint not null default 0 check (part between 0 and 99)")
    op.execute("alter table decisions add column heard bigint")
    op.execute("alter table decisions add column rung bigint")
    op.execute("alter table decisions add unique (strategy_uid, trigger, part)")
    op.execute("alter table decisions drop constraint decisions_strategy_uid_trigger_key")


def downgrade() -> None:
    """Refuse: a ledger is never taken back."""
    raise NotImplementedError("the ledger has no way back")
