import subprocess
import sys
from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest

from support import engine_data
from tradeplane_engine import backtest, errors
from tradeplane_engine.core import limits
from tradeplane_engine.domain import bars, numbers, orders
from tradeplane_engine.models import predictor
from tradeplane_engine.venue import run_fees

COUNT = 100
START = engine_data.ending(60)
END = engine_data.ending(COUNT)
BARS = [one for symbol in engine_data.SYMBOLS for one in engine_data.walk(symbol, range(COUNT))]


def run(
    found: list[bars.Bar] = BARS,
    *actions: bars.CorporateAction,
    allowed: limits.Limits | None = None,
    model: predictor.Predictor | None = None,
) -> backtest.Result:
    """Backtest of the test strategy."""
    return backtest.run(
        engine_data.data(found, actions),
        engine_data.strategy(allowed=allowed),
        model=model or engine_data.LastReturn(),
        account=engine_data.account(allowed),
        start=START,
        end=END,
    )


@pytest.fixture(scope="module", name="plain")
def _plain() -> backtest.Result:
    return run()


def test_two_runs_are_equal(plain: backtest.Result) -> None:
    """Every order, fill, decision and figure."""
    assert run() == plain


def test_every_session_has_one_decision(plain: backtest.Result) -> None:
    """From start to end, none twice."""
    assert [one.decision.trigger for one in plain.decisions] == [engine_data.ending(n) for n in range(60, COUNT)]


def test_no_fill_is_before_its_decision(plain: backtest.Result) -> None:
    """Each fill is at the open after the bar that decided it."""
    triggers = {one.client_order_id: one.bar_end for one in plain.orders}
    assert plain.fills
    assert all(fill.at > triggers[fill.client_order_id] for fill in plain.fills)


def test_the_ledger_follows_from_the_fills(plain: backtest.Result) -> None:
    """Cash and positions recomputed by hand are those of the result."""
    cash = numbers.money("1000000")
    held: dict[str, int] = {}
    for fill in plain.fills:
        signed = fill.side.sign * fill.quantity
        cash = numbers.Money(cash - numbers.notional(fill.price, numbers.Quantity(signed)))
        held[fill.symbol] = held.get(fill.symbol, 0) + signed
    assert plain.cash == cash - plain.fees
    assert {symbol: quantity for symbol, quantity in held.items() if quantity} == plain.positions


def test_the_last_equity_is_cash_and_positions_at_the_close(plain: backtest.Result) -> None:
    """The equity curve ends where the ledger does."""
    closes = {one.symbol: one.close for one in BARS if one.end == engine_data.ending(COUNT - 1)}
    value = sum(numbers.notional(closes[symbol], quantity) for symbol, quantity in plain.positions.items())
    assert plain.equity[-1].equity == plain.cash + value


def test_truncated_history_gives_the_same_orders(plain: backtest.Result) -> None:
    """Nothing looks ahead: without the last twenty sessions the orders until then are the same."""
    cut = run([one for one in BARS if one.end <= engine_data.ending(79)])
    until = tuple(order for order in plain.orders if order.bar_end <= engine_data.ending(79))
    assert cut.orders == until


def test_changing_the_future_changes_no_past_order(plain: backtest.Result) -> None:
    """Later prices move only later orders."""
    changed = [replace(one, volume=one.volume * 3) if one.end > engine_data.ending(79) else one for one in BARS]
    until = engine_data.ending(79)
    found = run(changed)
    assert [one for one in found.orders if one.bar_end <= until] == [
        one for one in plain.orders if one.bar_end <= until
    ]


def test_a_breached_limit_refuses_and_is_reported() -> None:
    """The refusal names scope, reason, limit and value; what is refused is not ordered."""
    tight = limits.Limits(allow_short=True, max_notional=numbers.money("50000"))
    found = run(allowed=tight)
    assert {one.reason for one in found.rejects} == {"order-notional"}
    assert found.rejects[0].detail.startswith("strategy: order-notional allows 50000, got ")
    assert found.orders == ()


def test_a_rebalance_beyond_gross_is_refused_in_part() -> None:
    """Selling and buying at once counts both: with gross at 1 some of it waits, none of it is lost silently."""
    found = run(allowed=limits.Limits(allow_short=True, max_gross=Fraction(1), max_weight=Fraction(1, 2)))
    assert found.orders
    assert "portfolio-gross" in {one.reason for one in found.rejects}


def test_an_order_whose_symbol_has_no_bar_expires() -> None:
    """AAA does not trade in session 81: what waits for it is not filled later."""
    found = run([one for one in BARS if not (one.symbol == "AAA" and one.end == engine_data.ending(81))])
    waiting = [order for order in found.orders if order.symbol == "AAA" and order.bar_end == engine_data.ending(80)]
    filled = {fill.client_order_id for fill in found.fills}
    assert not [order for order in waiting if order.client_order_id in filled]
    assert set(found.expired) == {order.client_order_id for order in waiting}


def test_equity_is_continuous_across_a_split() -> None:
    """Every symbol splits 2:1 in session 80: positions double, equity moves by prices alone."""
    split = [
        bars.CorporateAction(one, engine_data.opening(80), (2, 1), numbers.Money(0)) for one in engine_data.SYMBOLS
    ]
    even = [
        replace(
            one,
            open=numbers.Price(one.open // 2 * 2),
            high=numbers.Price((one.high + 1) // 2 * 2),
            low=numbers.Price(one.low // 2 * 2),
            close=numbers.Price(one.close // 2 * 2),
            volume=one.volume // 2 * 2,
        )
        for one in BARS
    ]
    halved = [
        replace(
            one,
            open=numbers.Price(one.open // 2),
            high=numbers.Price(one.high // 2),
            low=numbers.Price(one.low // 2),
            close=numbers.Price(one.close // 2),
            volume=one.volume * 2,
        )
        if one.start >= engine_data.opening(80)
        else one
        for one in even
    ]
    plain, after = run(even), run(halved, *split)
    until = engine_data.ending(81)
    for one, two in zip(plain.equity, after.equity, strict=True):
        if one.at <= until:
            assert one.equity is not None
            assert two.equity is not None
            # Rounding of fill prices to 1e-4 and of orders to whole shares at half the price is all that may differ.
            assert abs(one.equity - two.equity) < numbers.money("200")


def test_dividends_are_counted_and_not_paid(plain: backtest.Result) -> None:
    """The figure says what both sides leave out; cash is as without."""
    paid = bars.CorporateAction("AAA", engine_data.opening(COUNT - 1), (1, 1), numbers.money("1"))
    found = run(BARS, paid)
    held = sum(
        fill.side.sign * fill.quantity
        for fill in plain.fills
        if fill.symbol == "AAA" and fill.at < engine_data.opening(COUNT - 1)
    )
    assert held != 0
    assert found.dividends_not_paid == held
    assert found.cash == plain.cash


def test_client_order_ids_can_be_read_back(plain: backtest.Result) -> None:
    """Ledger, strategy, trigger and symbol stand in the id."""
    order = plain.orders[0]
    key = orders.parse_client_order_id(order.client_order_id)
    assert (key.ledger, key.uid, key.trigger, key.symbol) == ("k3j9x2ab", "0a0b", order.bar_end, order.symbol)


def test_bars_longer_than_the_strategys_are_refused() -> None:
    """Minutes cannot be made from days."""
    with pytest.raises(errors.ValueRefused, match=r"bars\.timeframe: must be 1d or longer"):
        backtest.run(
            engine_data.data(BARS),
            replace(engine_data.strategy(), timeframe="5m"),
            model=engine_data.LastReturn(),
            account=engine_data.account(),
            start=engine_data.ending(0),
            end=engine_data.ending(1),
        )


def test_a_broken_desk_gives_no_result(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fee of the account that no strategy has is noticed before anything is reported."""
    charged = run_fees.RunFees.fill

    def generous(self: run_fees.RunFees, *fill: Any) -> tuple[int, int]:
        own, whole = charged(self, *fill)
        return own, whole + 1

    monkeypatch.setattr(run_fees.RunFees, "fill", generous)
    with pytest.raises(errors.LedgerBroken):
        run()


def test_the_engine_loads_nothing_that_talks_or_tells_time() -> None:
    """Importing the whole engine loads no HTTP, database, event loop, pandas or LightGBM.

    Parameters of strategies are pydantic models; what pydantic itself loads is not counted.
    """
    script = """
import pkgutil, importlib, sys
import numpy, pydantic
pydantic.create_model("Any")
before = set(sys.modules)
import tradeplane_engine
for module in pkgutil.walk_packages(tradeplane_engine.__path__, "tradeplane_engine."):
    importlib.import_module(module.name)
loaded = {name.partition(".")[0] for name in set(sys.modules) - before}
print(sorted(loaded & {"asyncio", "socket", "ssl", "http", "urllib3", "httpx2", "requests", "asyncpg", "redis",
                       "kubernetes", "ray", "pandas", "lightgbm", "fastapi", "zoneinfo"}))
"""
    answer = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"
