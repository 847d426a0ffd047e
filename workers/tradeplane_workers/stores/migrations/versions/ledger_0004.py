"""The audit trail: every change of the ledger is an entry of one chain, written in the transaction that makes it.

A trigger of each watched table waits for the commit, takes the chain's lock last of all locks, and adds an entry; a
trigger of the entries numbers and hashes it. No statement of the gateway's takes part, so that none can be forgotten.
"""

from alembic import op

revision = "ledger_0004"
down_revision = "ledger_0003"
branch_labels = None
depends_on = None

_TABLE = (
    """
create table audit_entries (
    number bigint primary key,
    recorded timestamptz not null,
    writer text not null,
    kind text not null,
    action text not null,
    subject text not null,
    body text not null check (body is json object),
    previous text not null unique,
    hash text not null
)
""",
    "create index audit_entries_by_subject on audit_entries (subject, number)",
)

# tradeplane_workers.audit.chain hashes the same bytes.
_HASH = (
    """
create function audit_field(value text) returns text language sql immutable
return octet_length(convert_to(value, 'UTF8'))::text || ':' || value || ','
""",
    """
create function audit_hash(entry audit_entries) returns text language sql immutable
return encode(sha256(convert_to(
    audit_field('tradeplane-audit-1') || audit_field((entry).number::text)
    || audit_field(to_char((entry).recorded at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'))
    || audit_field((entry).writer) || audit_field((entry).kind) || audit_field((entry).action)
    || audit_field((entry).subject) || audit_field((entry).body) || audit_field((entry).previous), 'UTF8')), 'hex')
""",
)

# Whatever an insert says of them, number, time, writer and hashes are the table's own.
_CHAIN = """
create function audit_chain() returns trigger language plpgsql
set search_path to SCHEMA, pg_temp as $$
declare
    head record;
begin
    perform pg_advisory_xact_lock(7346112905519);
    select number, hash into head from audit_entries order by number desc limit 1;
    new.number := coalesce(head.number, 0) + 1;
    new.recorded := clock_timestamp();
    new.writer := session_user;
    new.previous := coalesce(head.hash, repeat('0', 64));
    new.hash := audit_hash(new);
    return new;
end
$$
"""

# Arguments: kind, the column that names the subject, the columns that are left out. A change of these alone is none.
_ROW = """
create function audit_row() returns trigger language plpgsql
set timezone to 'UTC' set search_path to SCHEMA, pg_temp as $$
declare
    left_out constant text[] := tg_argv[2]::text[];
    image jsonb;
begin
    if tg_op = 'DELETE' then
        image := to_jsonb(old) - left_out;
    else
        image := to_jsonb(new) - left_out;
        if tg_op = 'UPDATE' and image = to_jsonb(old) - left_out then
            return null;
        end if;
    end if;
    insert into audit_entries (kind, action, subject, body)
    values (tg_argv[0], lower(tg_op), coalesce(image ->> tg_argv[1], ''), image::text);
    return null;
end
$$
"""

# For each later table of the ledger too: select audit_watch('halts', 'halt', 'id').
_WATCH = """
create function audit_watch(
    watched regclass, kind text, subject text, left_out text[] default '{}',
    events text default 'insert or update or delete'
) returns void language plpgsql set timezone to 'UTC' as $$
begin
    execute format(
        'insert into audit_entries (kind, action, subject, body)'
        ' select %L, ''import'', coalesce(image ->> %L, ''''), image::text'
        ' from (select to_jsonb(t) - %L::text[] as image from %s t) as found', kind, subject, left_out, watched);
    execute format(
        'create constraint trigger audit after %s on %s deferrable initially deferred'
        ' for each row execute function audit_row(%L, %L, %L)', events, watched, kind, subject, left_out);
    execute format(
        'create trigger audit_truncate before truncate on %s for each statement execute function refuse_change()',
        watched);
    -- A session that replicates would skip them otherwise.
    execute format('alter table %s enable always trigger audit', watched);
    execute format('alter table %s enable always trigger audit_truncate', watched);
end
$$
"""

# Of an order all that changes later follows from its events; an epoch's token is a secret, and a sign of life no event.
_FIGURES = "sequence,recorded_state,last_clean"
_OF_THE_LEDGER = "id, environment, mode, venue_profile, account, starting_cash, system_identifier, timeline"
_WHAT_FOLLOWS = "broker_order_id,status,filled,reported,irregular,replaced_by,broker_at,changed"
_WATCHED = (
    f"'ledger', 'ledger', 'id', '{{{_FIGURES}}}', 'insert or delete or update of {_OF_THE_LEDGER}'",
    "'epochs', 'epoch', 'scope', '{token,renewed,last_seen}'",
    "'switch_seen', 'switch', 'uid', '{seen}'",
    "'halts', 'halt', 'id'",
    "'control_events', 'control-event', 'type'",
    "'decisions', 'decision', 'sequence'",
    "'intents', 'intent', 'client_order_id'",
    f"'orders', 'order', 'client_order_id', '{{{_WHAT_FOLLOWS}}}'",
    "'order_events', 'order-event', 'client_order_id'",
    "'fills', 'fill', 'client_order_id'",
    "'adjustments', 'adjustment', 'id'",
)

_COLUMNS = (
    "alter table decisions add column owner text not null default ''",
    "alter table decisions add column git_revision text not null default ''",
    "alter table orders add column owner text not null default ''",
)


def upgrade() -> None:
    """Open the chain with what the ledger holds already, then watch every table of it."""
    # A session's own path, or a temporary table of the name, must not lead entries elsewhere.
    schema = op.get_bind().exec_driver_sql("select quote_ident(current_schema())").scalar_one()
    for statement in (*_COLUMNS, *_TABLE, *_HASH, _CHAIN, _ROW, _WATCH):
        op.execute(statement.replace("SCHEMA", schema))
    op.execute("create trigger audit_chain before insert on audit_entries for each row execute function audit_chain()")
    op.execute(
        "create trigger append_only before update or delete or truncate on audit_entries "
        "for each statement execute function refuse_change()"
    )
    for name in ("audit_chain", "append_only"):
        op.execute(f"alter table audit_entries enable always trigger {name}")
    for watched in _WATCHED:
        op.execute(f"select audit_watch({watched})")


def downgrade() -> None:
    """Refuse: a ledger is never taken back."""
    raise NotImplementedError("the ledger has no way back")
