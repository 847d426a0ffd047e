"""What is read at every decision and event costs the same however long the past is."""

from alembic import op

revision = "ledger_0003"
down_revision = "ledger_0002"
branch_labels = None
depends_on = None

_FAILED = "('refused', 'not-sent', 'unseen', 'broker-refused')"
_LIVE = "status not in ('filled', 'canceled', 'expired', 'replaced', 'rejected') or reported > filled"

# What a fill of before cost: price x quantity in 1e-13 USD, rounded half to even to money; less than zero for a sale.
_PAID = """
update fills set paid = (case side when 'buy' then 1 else -1 end) * (
    div(price::numeric * quantity, 10000)
    + case when mod(price::numeric * quantity, 10000) * 2 + mod(div(price::numeric * quantity, 10000), 2) > 10000
      then 1 else 0 end
)
"""
_POSITIONS = """
create table positions (
    sub_ledger text not null,
    symbol text not null,
    quantity bigint not null,
    paid bigint not null,
    primary key (sub_ledger, symbol)
)
"""
# Where the books stood after the fills up to a place of the sequence, so that nobody need book them all again.
_BOOKS = """
create table books (
    sub_ledger text primary key,
    sequence bigint not null,
    state jsonb not null
)
"""
# Whoever adds a fill or an adjustment moves the positions in the same statement.
_FOLLOW = """
create function move_positions() returns trigger language plpgsql as $$
begin
    insert into positions
    select sub_ledger, symbol, sum({quantity})::bigint, sum({paid})::bigint from added
    where {counts} group by sub_ledger, symbol order by sub_ledger, symbol
    on conflict (sub_ledger, symbol) do update
    set quantity = positions.quantity + excluded.quantity, paid = positions.paid + excluded.paid;
    return null;
end
$$
"""
_MOVES = {
    "fills": {"quantity": "case side when 'buy' then quantity else -quantity end", "paid": "paid", "counts": "true"},
    "adjustments": {"quantity": "quantity", "paid": "0", "counts": "symbol <> '' and quantity <> 0"},
}
_INDICES = (
    f"create index orders_live on orders (strategy_uid) where {_LIVE}",
    "create index orders_irregular on orders (created) where irregular <> ''",
    "create index intents_by_decision on intents (decision)",
    f"create index intents_failed on intents (reason) where status in {_FAILED}",
    "create index intents_unwanted on intents (sequence) where cancel_wanted is not null",
    "create unique index fills_by_sequence on fills (sequence)",
    "create index fills_by_order on fills (client_order_id)",
    "create index fills_by_sub_ledger on fills (sub_ledger, sequence)",
    "create index control_events_by_type on control_events (type, sequence)",
    "create index strategies_seen on control_events ((body -> 'config' ->> 'uid'), sequence) where type = 'strategy'",
)


def upgrade() -> None:
    """Add the indices; make the positions a table that fills and adjustments move."""
    op.execute("alter table fills add column paid bigint not null default 0")
    op.execute(_PAID)
    op.execute("alter view positions rename to positions_before")
    op.execute(_POSITIONS)
    op.execute(_BOOKS)
    op.execute(
        "insert into positions select p.sub_ledger, p.symbol, p.quantity, coalesce(sum(f.paid), 0)::bigint"
        " from positions_before p left join fills f using (sub_ledger, symbol)"
        " group by p.sub_ledger, p.symbol, p.quantity"
    )
    op.execute("drop view positions_before")
    for table, words in _MOVES.items():
        op.execute(_FOLLOW.format(**words).replace("move_positions", f"{table}_move_positions"))
        op.execute(
            f"create trigger move_positions after insert on {table} referencing new table as added "
            f"for each statement execute function {table}_move_positions()"
        )
    op.execute(
        "create trigger never_fewer before delete or truncate on fills "
        "for each statement execute function refuse_change()"
    )
    op.execute("drop index orders_open")
    # A person wants cancels too, whose place is no decision's.
    op.execute("alter table intents drop constraint intents_cancel_wanted_fkey")
    for statement in _INDICES:
        op.execute(statement)


def downgrade() -> None:
    """Refuse: a ledger is never taken back."""
    raise NotImplementedError("the ledger has no way back")
