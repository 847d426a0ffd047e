CREATE TABLE IF NOT EXISTS venue (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    version INTEGER NOT NULL,
    dataset TEXT NOT NULL,
    profile TEXT NOT NULL,
    clock INTEGER NOT NULL,
    command INTEGER NOT NULL
) STRICT;

CREATE TABLE IF NOT EXISTS accounts (
    name TEXT PRIMARY KEY,
    id TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    cash INTEGER NOT NULL,
    last_equity INTEGER NOT NULL,
    settled_at INTEGER NOT NULL,
    configuration TEXT NOT NULL,
    orders INTEGER NOT NULL,
    executions INTEGER NOT NULL,
    activities INTEGER NOT NULL,
    events INTEGER NOT NULL
) STRICT;

CREATE TABLE IF NOT EXISTS positions (
    account TEXT NOT NULL,
    symbol TEXT NOT NULL,
    quantity INTEGER NOT NULL,
    cost INTEGER NOT NULL,
    PRIMARY KEY (account, symbol)
) STRICT;

CREATE TABLE IF NOT EXISTS orders (
    id TEXT PRIMARY KEY,
    account TEXT NOT NULL,
    sequence INTEGER NOT NULL,
    client_order_id TEXT NOT NULL,
    symbol TEXT NOT NULL,
    side TEXT NOT NULL,
    quantity INTEGER NOT NULL,
    intent TEXT NOT NULL,
    status TEXT NOT NULL,
    reserve INTEGER NOT NULL,
    submitted_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    root TEXT NOT NULL,
    sent_at INTEGER NOT NULL,
    sent_quantity INTEGER NOT NULL,
    sent_limit INTEGER NOT NULL,
    sent_stop INTEGER NOT NULL,
    waits INTEGER NOT NULL,
    parent TEXT NOT NULL,
    order_class TEXT NOT NULL,
    kind TEXT NOT NULL,
    time_in_force TEXT NOT NULL,
    notional INTEGER NOT NULL,
    limit_price INTEGER NOT NULL,
    stop_price INTEGER NOT NULL,
    trail_price INTEGER NOT NULL,
    trail_bps INTEGER NOT NULL,
    high_water INTEGER NOT NULL,
    extended_hours INTEGER NOT NULL,
    filled INTEGER NOT NULL,
    filled_value TEXT NOT NULL,
    filled_at INTEGER,
    canceled_at INTEGER,
    expired_at INTEGER,
    failed_at INTEGER,
    replaced_at INTEGER,
    replaces TEXT NOT NULL,
    replaced_by TEXT NOT NULL,
    due_at INTEGER,
    UNIQUE (account, client_order_id),
    UNIQUE (account, sequence)
) STRICT;

CREATE INDEX IF NOT EXISTS orders_by_status ON orders (account, status, sequence);
CREATE INDEX IF NOT EXISTS orders_by_root ON orders (account, root, sequence);
CREATE INDEX IF NOT EXISTS orders_by_parent ON orders (account, parent, sequence);

CREATE TABLE IF NOT EXISTS executions (
    id TEXT PRIMARY KEY,
    account TEXT NOT NULL,
    order_id TEXT NOT NULL,
    symbol TEXT NOT NULL,
    side TEXT NOT NULL,
    quantity INTEGER NOT NULL,
    price INTEGER NOT NULL,
    position INTEGER NOT NULL,
    at INTEGER NOT NULL
) STRICT;

CREATE INDEX IF NOT EXISTS executions_by_time ON executions (account, at);

CREATE TABLE IF NOT EXISTS activities (
    account TEXT NOT NULL,
    sequence INTEGER NOT NULL,
    id TEXT NOT NULL UNIQUE,
    type TEXT NOT NULL,
    at INTEGER NOT NULL,
    fields TEXT NOT NULL,
    PRIMARY KEY (account, sequence)
) STRICT;

CREATE TABLE IF NOT EXISTS journal (
    n INTEGER PRIMARY KEY AUTOINCREMENT,
    method TEXT NOT NULL,
    path TEXT NOT NULL,
    status INTEGER,
    account TEXT NOT NULL DEFAULT '',
    key_id TEXT NOT NULL DEFAULT '',
    client_order_id TEXT NOT NULL DEFAULT '',
    venue_time TEXT NOT NULL,
    received_monotonic_ns INTEGER NOT NULL,
    answered_monotonic_ns INTEGER
) STRICT;

CREATE TABLE IF NOT EXISTS events (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    account TEXT NOT NULL,
    id TEXT NOT NULL,
    at INTEGER NOT NULL,
    text TEXT NOT NULL
) STRICT;

CREATE INDEX IF NOT EXISTS events_by_account ON events (account, sequence);

CREATE TABLE IF NOT EXISTS equity (
    account TEXT NOT NULL,
    at INTEGER NOT NULL,
    worth INTEGER NOT NULL,
    PRIMARY KEY (account, at)
) STRICT;

CREATE TABLE IF NOT EXISTS watchlists (
    id TEXT PRIMARY KEY,
    account TEXT NOT NULL,
    sequence INTEGER NOT NULL,
    name TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    symbols TEXT NOT NULL,
    UNIQUE (account, name)
) STRICT;

CREATE TABLE IF NOT EXISTS watchlist_numbers (
    account TEXT PRIMARY KEY,
    last INTEGER NOT NULL
) STRICT;
