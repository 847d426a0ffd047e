"""The result of a backtest as one document: canonical JSON, so that equal results are equal bytes.

``events`` are what happened, exact and in order; ``hash`` is the sha256 of their canonical JSON and the result's
identity. Everything else is either what was asked for or follows from the events. No time of a machine, no address and
no identity that an API server gave is in it.
"""

import hashlib
import json
from dataclasses import dataclass
from typing import Any

import orjson

from tradeplane_engine import backtest, settings
from tradeplane_engine.data import dataset
from tradeplane_engine.domain import numbers, times
from tradeplane_workers import backtest_measures, backtest_run

VERSION = 1
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
    measures = backtest_measures.of(result, seed=asked.seed)
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
