"""The ledger: epochs, one sequence, decisions, intents, orders, events, fills, adjustments."""

from alembic import op

revision = "ledger_0001"
down_revision = None
branch_labels = None
depends_on = None

# Amounts: price 1e-4 USD, quantity 1e-9 share, money 1e-9 USD, as bigint. Instants of trading time: nanoseconds.
_TABLES = """
create table ledger (
    one boolean primary key default true check (one),
    id text not null,
    environment text not null,
    mode text not null,
    venue_profile text not null,
    account text,
    starting_cash bigint,
    sequence bigint not null default 0,
    recorded_state text not null default '',
    system_identifier text not null,
    timeline integer not null,
    last_clean bigint,
    created timestamptz not null default clock_timestamp()
);

create table switch_seen (
    uid text primary key,
    resource_version numeric not null,
    seen timestamptz not null default clock_timestamp()
);

create table epochs (
    scope text primary key,
    number bigint not null,
    token text not null,
    generation bigint not null default 0,
    attempt bigint not null default 0,
    holder text not null,
    renewed bigint not null default 0,
    last_seen timestamptz not null default clock_timestamp()
);

create table control_events (
    sequence bigint primary key,
    type text not null,
    body jsonb not null,
    recorded timestamptz not null default clock_timestamp()
);

create table halts (
    id text primary key,
    cause text not null,
    message text not null,
    since timestamptz not null default clock_timestamp()
);

create table decisions (
    sequence bigint primary key,
    strategy_uid text not null,
    strategy text not null,
    generation bigint not null,
    attempt bigint not null,
    trigger bigint not null,
    outcome text not null,
    detail text not null,
    model_digest text not null,
    feature_set text not null,
    policy_hash text not null,
    account_policy_hash text not null,
    epoch bigint not null,
    digest text not null,
    recorded timestamptz not null default clock_timestamp(),
    unique (strategy_uid, trigger)
);
create index decisions_by_trigger on decisions (trigger);

create table signals (
    decision bigint not null references decisions,
    position integer not null,
    symbol text not null,
    score double precision not null,
    features double precision[] not null,
    primary key (decision, position)
);

create table intents (
    sequence bigint primary key,
    client_order_id text not null unique,
    decision bigint not null references decisions,
    position integer not null,
    strategy_uid text not null,
    trigger bigint not null,
    symbol text not null,
    side text not null check (side in ('buy', 'sell')),
    quantity bigint not null,
    type text not null,
    time_in_force text not null,
    role text not null,
    status text not null check (status in ('refused', 'released', 'sending', 'unknown', 'acknowledged',
                                           'broker-refused', 'not-sent', 'unseen')),
    reason text not null default '',
    detail text not null default '',
    recorded timestamptz not null default clock_timestamp(),
    sent timestamptz,
    answered timestamptz
);
create index intents_in_flight on intents (sequence) where status in ('released', 'sending', 'unknown');
create index intents_by_trigger on intents (trigger);

create table orders (
    client_order_id text primary key references intents (client_order_id),
    broker_order_id text unique,
    parent text,
    sub_ledger text not null,
    strategy_uid text not null,
    decision bigint not null references decisions,
    signal_score double precision,
    model_digest text not null,
    feature_set text not null,
    policy_hash text not null,
    generation bigint not null,
    git_revision text,
    symbol text not null,
    side text not null,
    quantity bigint not null,
    type text not null,
    time_in_force text not null,
    status text not null,
    filled bigint not null default 0,
    reported bigint not null default 0,
    irregular text not null default '',
    replaced_by text not null default '',
    broker_at bigint not null default 0,
    created timestamptz not null default clock_timestamp(),
    changed timestamptz not null default clock_timestamp()
);
create index orders_open on orders (symbol)
    where status not in ('filled', 'canceled', 'expired', 'replaced', 'rejected');

create table order_events (
    id bigint generated always as identity primary key,
    client_order_id text,
    broker_order_id text not null,
    kind text not null,
    source text not null,
    at bigint not null,
    body jsonb not null,
    recorded timestamptz not null default clock_timestamp()
);
create index order_events_by_order on order_events (broker_order_id);

create table fills (
    broker_order_id text not null,
    cumulative_from bigint not null,
    cumulative_to bigint not null check (cumulative_to > cumulative_from),
    client_order_id text not null references orders,
    sub_ledger text not null,
    symbol text not null,
    side text not null,
    quantity bigint not null check (quantity = cumulative_to - cumulative_from),
    price bigint not null check (price > 0),
    at bigint not null,
    execution_id text not null default '',
    activity_id text not null default '',
    sequence bigint not null,
    recorded timestamptz not null default clock_timestamp(),
    primary key (broker_order_id, cumulative_from)
);
create index fills_by_symbol on fills (symbol, sub_ledger);

create table adjustments (
    source text not null,
    id text not null,
    kind text not null,
    date text not null,
    amount bigint not null,
    symbol text not null default '',
    quantity bigint not null default 0,
    description text not null default '',
    sub_ledger text not null default '',
    recorded timestamptz not null default clock_timestamp(),
    primary key (source, id)
);
"""

_POSITIONS = """
create view positions as
select sub_ledger, symbol, sum(quantity)::bigint as quantity
from (
    select sub_ledger, symbol, case side when 'buy' then quantity else -quantity end as quantity from fills
    union all
    select sub_ledger, symbol, quantity from adjustments where symbol <> '' and quantity <> 0
) as changes
group by sub_ledger, symbol
"""

_APPEND_ONLY = """
create function refuse_change() returns trigger language plpgsql as $$
begin
    raise exception '% is append-only', tg_table_name using errcode = 'restrict_violation';
end
$$
"""


def upgrade() -> None:
    """Create the schema; what has happened can be neither changed nor deleted."""
    for statement in _TABLES.split(";"):
        if statement.strip():
            op.execute(statement)
    op.execute(_POSITIONS)
    op.execute(_APPEND_ONLY)
    for table in ("order_events", "control_events", "decisions", "signals", "adjustments"):
        op.execute(
            f"create trigger append_only before update or delete or truncate on {table} "
            "for each statement execute function refuse_change()"
        )


def downgrade() -> None:
    """Refuse: a ledger is never taken back."""
    raise NotImplementedError("the ledger has no way back")
