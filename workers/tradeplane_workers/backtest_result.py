"""The result of a backtest as one document: canonical JSON, so that equal results are equal bytes.

``events`` are what happened, exact and in order; ``hash`` is the sha256 of their canonical JSON and the result's
identity. Everything else is either what was asked for or follows from the events. No time of a machine, no address and
no identity that an API server gave is in it.
"""

import hashlib
import json
import math
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

import orjson

from tradeplane_engine import backtest, settings
from tradeplane_engine.data import dataset
from tradeplane_engine.domain import numbers, times
from tradeplane_engine.measures import registry, resampling
from tradeplane_engine.results import result as results
from tradeplane_workers import backtest_run

VERSION = 1
# Of the registry's measures those that a status has room for; a report has all of them.
MEASURES: Final = (
    *("total_return", "annual_return", "volatility", "sharpe", "sortino", "calmar", "probabilistic_sharpe"),
    *("best_day", "worst_day", "var_95", "es_95", "max_drawdown", "longest_drawdown"),
    *("average_gross", "turnover", "trades", "win_rate", "profit_factor", "average_days"),
)
_DIGITS = Decimal("1e-9")
_LARGEST = 10**18
Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Asked:
    """What was run.

    strategy, policy : the specs as they were declared
    start, end : of the period; ``end`` is midnight after its last day
    """

    traded: settings.StrategySettings
    strategy: Json
    policy: Json
    account: backtest_run.Account
    start: times.Nanos
    end: times.Nanos
    seed: int
    trials: int


@dataclass(frozen=True, slots=True)
class Told:
    """The document, the hash of its events and its measures."""

    content: bytes
    hash: str
    measures: dict[str, str]


def tell(asked: Asked, data: dataset.Dataset, result: backtest.Result) -> Told:
    """Write the document of a result."""
    happened = events(result)
    digest = hash_of(happened)
    measures = measures_of(result, seed=asked.seed)
    document = {
        "version": VERSION,
        "hash": digest,
        "asked": {
            "strategy": {"name": asked.traded.name, "spec": asked.strategy},
            "model": asked.traded.model_digest,
            "policy": {"name": asked.traded.policy, "spec": asked.policy},
            "account": {"cash": numbers.money_text(asked.account.cash), "profile": asked.account.profile},
            "from": times.text(asked.start)[:10],
            "to": times.text(times.Nanos(asked.end - times.DAY))[:10],
            "seed": asked.seed,
            "trials": asked.trials,
        },
        "data": {"digest": data.digest, "timeframe": data.timeframe, "bars": data.report.accepted},
        "events": happened,
        "summary": _summary(result),
        "measures": measures,
    }
    return Told(_canonical(document), digest, measures)


def events(result: backtest.Result) -> Json:
    """Return what happened: orders in the order of sending, fills, refusals, expiries, equity at each close."""
    return {
        "orders": [json.loads(line) for line in result.order_bytes],
        "fills": [
            {
                "client_order_id": fill.client_order_id,
                "symbol": fill.symbol,
                "side": fill.side.value,
                "quantity": numbers.quantity_text(fill.quantity),
                "price": numbers.price_text(fill.price),
                "at": times.text(fill.at),
            }
            for fill in result.fills
        ],
        "rejects": [
            {
                "trigger": times.text(reject.trigger),
                "symbol": reject.symbol,
                "scope": reject.scope,
                "reason": reject.reason,
                "detail": reject.detail,
            }
            for reject in result.rejects
        ],
        "expired": list(result.expired),
        "equity": [
            {"at": times.text(point.at), "equity": None if point.equity is None else numbers.money_text(point.equity)}
            for point in result.equity
        ],
    }


def measures_of(result: backtest.Result, *, seed: int) -> dict[str, str]:
    """Return the measures that exist, as decimal text; ``sharpe_low`` and ``sharpe_high`` bound 95 % of resamples."""
    found: dict[str, float | None] = {}
    days = 0
    if result.ran is not None and result.equity:
        run = results.of(result.ran).run
        days = run.curve.at.size
        found = registry.compute(run, MEASURES)
        interval = resampling.intervals(run, resampling.Settings(seed), ["sharpe"])["sharpe"]
        if interval is not None:
            found |= {"sharpe_low": interval.low, "sharpe_high": interval.high}
    counts = {
        "sessions": days,
        "orders": len(result.orders),
        "fills": len(result.fills),
        "refused": len(result.rejects),
    }
    exact = {"fees": result.fees, "dividends_not_paid": result.dividends_not_paid}
    if result.pnl is not None:
        exact["pnl"] = result.pnl
    return {
        **{name: told for name, value in found.items() if (told := text(value)) is not None},
        **{name: str(count) for name, count in counts.items()},
        **{name: numbers.money_text(amount) for name, amount in exact.items()},
    }


def text(value: float | None) -> str | None:
    """Return plain decimal text with at most 9 digits after the point; None for what is no such number."""
    if value is None or not math.isfinite(value) or abs(value) >= _LARGEST:
        return None
    rounded = Decimal(repr(value)).quantize(_DIGITS)
    return format(rounded.normalize() if rounded else Decimal(0), "f")


def hash_of(happened: Json) -> str:
    """Return ``sha256:<hex>`` of the events' canonical JSON."""
    return f"sha256:{hashlib.sha256(_canonical(happened)).hexdigest()}"


def _summary(result: backtest.Result) -> Json:
    return {
        "cash": numbers.money_text(result.cash),
        "fees": numbers.money_text(result.fees),
        "realised": numbers.money_text(result.realised),
        "dividends_not_paid": numbers.money_text(result.dividends_not_paid),
        "positions": {
            symbol: numbers.quantity_text(quantity) for symbol, quantity in sorted(result.positions.items()) if quantity
        },
    }


def _canonical(value: Any) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
