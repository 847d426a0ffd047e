"""A small demo session as facts: five sessions, two symbols, a halt over the third and fourth, an edit after the first.

Built with the same venue profile as the real thing, so that its own checks of money hold; a test changes one fact.
"""

import dataclasses
from typing import Any

import orjson

from tradeplane_cli.demo import facts as f
from tradeplane_cli.demo import figures
from tradeplane_engine.domain import numbers, orders, times
from tradeplane_engine.venue import profile

SESSIONS = tuple(f"2012-03-{day:02d}T21:00:00Z" for day in (5, 6, 7, 8, 9))
UID = "3f2b8c1e-1111-2222-3333-444455556666"
_VENUE = profile.named("realistic")


def order(session: int, symbol: str, side: str, shares: str, *, reason: str = "") -> f.Order:
    """An intent decided at the close of a session; refused when it has a reason."""
    trigger = SESSIONS[session]
    key = orders.OrderKey("ledger01", UID, times.instant(trigger), symbol)
    client_order_id = orders.client_order_id(key)
    line = {
        "bar_end": trigger,
        "client_order_id": client_order_id,
        "quantity": shares,
        "side": side,
        "symbol": symbol,
        "time_in_force": "day",
        "type": "market",
    }
    return f.Order(
        seq=session,
        client_order_id=client_order_id,
        trigger=trigger,
        symbol=symbol,
        side=side,
        quantity=numbers.quantity(shares),
        sent=not reason,
        state="refused" if reason else "filled",
        reason=reason,
        canonical=orjson.dumps(line, option=orjson.OPT_SORT_KEYS).decode(),
    )


def fill(of: f.Order, session: int, reference: str) -> f.Fill:
    """The order's whole fill at the open of a session."""
    return f.Fill(
        client_order_id=of.client_order_id,
        symbol=of.symbol,
        side=of.side,
        quantity=of.quantity,
        price=_VENUE.fill_price(orders.Side(of.side), numbers.price(reference)),
        day=SESSIONS[session][:10],
    )


def facts(**changes: Any) -> f.Facts:
    """Facts of a session in which everything adds up, with some of them changed."""
    bought = order(0, "AAPL", "buy", "10")
    sold = order(1, "IBM", "sell", "5")
    refused = tuple(
        order(session, symbol, "sell", "5", reason="halted") for session in (2, 3) for symbol in ("AAPL", "IBM")
    )
    after = order(4, "AAPL", "sell", "4")
    fills = (fill(bought, 1, "530"), fill(sold, 2, "200"))
    ledger = f.Ledger(
        decisions=tuple(f.Decision(i, s, "traded", 1 if i == 0 else 2, "sha256:aa") for i, s in enumerate(SESSIONS)),
        signals=(f.Signal(SESSIONS[0], "AAPL", 0.25, (1.0, 2.0)),),
        orders=(bought, sold, *refused, after),
        fills=fills,
        positions={"AAPL": numbers.quantity("10"), "IBM": numbers.quantity("-5")},
        cash=numbers.money("0"),
        fees=numbers.money("0"),
        starting_cash=numbers.money("100000"),
    )
    sent = (bought, sold, after)
    built = f.Facts(
        sessions=SESSIONS,
        closes={s: {"AAPL": numbers.price("540"), "IBM": numbers.price("198.5")} for s in SESSIONS},
        released_ns={s: i * 1_000_000_000 for i, s in enumerate(SESSIONS)},
        forward_returns={},
        unpaid_dividends=numbers.money("0"),
        resources={
            f"{kind}/one": dict(conditions)
            for kind, conditions in {
                "Environment": {"Ready": "True"},
                "RiskPolicy": {"Ready": "True"},
                "Model": {"Ready": "True"},
                "Strategy": {
                    "Ready": "True",
                    "RiskPolicyBound": "True",
                    "ModelsReady": "True",
                    "TradingHalted": "True",
                },
            }.items()
        },
        ledger=ledger,
        broker=f.Broker(
            orders=tuple(f.BrokerOrder(o.client_order_id, o.symbol, o.side, o.quantity, "filled") for o in sent),
            fills=fills,
            positions=ledger.positions,
            cash=numbers.money("0"),
            fees=numbers.money("0"),
            equity=numbers.money("0"),
        ),
        received=tuple(
            f.Received(o.client_order_id, ns, ns + 2_000_000)
            for o, ns in zip(sent, (50_000_000, 1_040_000_000, 9_000_000_000), strict=True)
        ),
        halt=f.Halt(
            answered_ns=2_000_000_000,
            lift_sent_ns=8_000_000_000,
            first_trigger=SESSIONS[2],
            last_trigger=SESSIONS[3],
            proof={"complete": True, "cancelled": ["x"], "open": [], "seen": "s", "completed": "c"},
        ),
        edit=f.Edit(held_trigger=SESSIONS[0], next_trigger=SESSIONS[1]),
        replays=f.Replays(
            same=[o.canonical for o in sent],
            without_halt=[o.canonical for o in (bought, sold, *refused, after)],
            without_edit=[o.canonical for o in (bought, after)],
        ),
        training=f.Training(
            end="2012-03-02T00:00:00Z",
            last_bar_available_at="2012-03-01T21:00:01Z",
            last_label_end="2012-03-01T14:30:00Z",
            trials=1,
            metrics={},
        ),
        recomputed_scores={(SESSIONS[0], "AAPL"): 0.25},
    )
    cash, fees = figures.cash(built), figures.fees(built)
    built = dataclasses.replace(
        built,
        ledger=dataclasses.replace(ledger, cash=cash, fees=fees),
        broker=dataclasses.replace(built.broker, cash=cash, fees=fees, equity=figures.equity_curve(built)[-1]),
    )
    return dataclasses.replace(built, **changes)
