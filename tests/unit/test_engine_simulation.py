import dataclasses
import subprocess
import sys
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import polars as pl
import pydantic
import pytest

from support import bar_files, engine_runs, honest_strategies
from tradeplane_engine import errors, simulation, strategy, sweep
from tradeplane_engine.core import context, costs, kernel, limits, log, risk, table, venue_settings
from tradeplane_engine.data import columns, readers
from tradeplane_engine.domain import times
from tradeplane_engine.results import frames, tables
from tradeplane_engine.venue import accounts

FEE = costs.Costs(commission_bps=Fraction(1))


class Cross(strategy.Strategy):
    """Long while the fast average is above the slow one, short or flat else."""

    class Parameters(strategy.Strategy.Parameters):
        """Windows and size."""

        fast: int = pydantic.Field(default=20, gt=0)
        slow: int = 50
        shares: Decimal = Decimal(100)
        short: bool = False

    parameters: Parameters

    def on_start(self, ctx: context.Context) -> None:
        """Declare both averages."""
        self.fast = ctx.indicator("sma", self.parameters.fast)
        self.slow = ctx.indicator("sma", self.parameters.slow)

    def on_bar(self, ctx: context.Context, bar: table.Bar) -> None:
        """Say what is wanted."""
        shares = self.parameters.shares
        ctx.target(bar.symbol, shares=shares if self.fast > self.slow else -shares if self.parameters.short else 0)


class Both(Cross):
    """Checks the sub-ledgers whenever it may look."""

    run: kernel.Kernel
    looks = 0

    def on_order_update(self, ctx: context.Context, update: kernel.Update) -> None:  # noqa: ARG002 - a hook
        """Look between two fills."""
        simulation.check(self.run)
        self.looks += 1


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three files of unequal length."""
    path = tmp_path_factory.mktemp("bars")
    for number, name in enumerate(("BBB", "AAA", "CCC")):
        bar_files.write(path, name, bar_files.walk(500 + 100 * number, seed=number, gaps=number == 1))
    return path


def test_a_backtest_is_the_run_of_the_oracle(folder: Path) -> None:
    """Equity and fills are those of plain integers."""
    found = simulation.Backtest(folder, Cross, cash=10_000_000, costs=FEE).run()
    equity, fills = engine_runs.oracle(list(readers.load(folder).series))
    assert (found.final_equity.scaleb(9), len(found.fills), found.name) == (equity, fills, "Cross")


def test_a_result_does_not_depend_on_how_the_bars_came(folder: Path) -> None:
    """Order of symbols, form of the source and division into pieces leave the hash as it is."""
    frames = {path.stem: pl.read_parquet(path) for path in sorted(folder.iterdir())}
    long = pl.concat([frame.with_columns(symbol=pl.lit(name)) for name, frame in frames.items()])
    pieces = {name: [frame[:77], frame[77:300], frame[300:]] for name, frame in frames.items()}
    forms = [
        folder,
        frames,
        dict(reversed(frames.items())),
        long.sample(fraction=1, shuffle=True, seed=1).sort("ts"),
        pieces,
    ]
    found = [simulation.Backtest(form, Cross, costs=FEE).run() for form in forms]
    assert len({one.hash for one in found}) == 1
    assert len(found[0].fills) > 30


@pytest.mark.parametrize(
    "changed",
    [
        {"cash": 100_001},
        {"costs": costs.Costs(commission_bps=Fraction(2))},
        {"costs": costs.Costs(commission_bps=Fraction(1), half_spread_bps=Fraction(1, 3))},
        {"venue": venue_settings.Venue(latency=1_000_000)},
        {"limits": limits.Limits(max_open_orders=10**6)},
        {"parameters": {"fast": 19}},
        {"digits": 3},
        {"strategy": [simulation.Allocation(Cross, capital=100_000, name="other")]},
        {"strategy": [simulation.Allocation(Cross, capital=100_000, limits=limits.Limits(max_positions=9))]},
    ],
)
def test_every_setting_is_part_of_the_hash(folder: Path, changed: dict[str, Any]) -> None:
    """Two runs that could have differed never share an identity."""
    plain = simulation.Backtest(folder, Cross, costs=FEE)
    assert plain.run().hash != dataclasses.replace(plain, **changed).run().hash


def test_settings_are_part_of_the_hash_where_nothing_is_traded() -> None:
    """Two runs without an event differ where their settings do."""
    one = columns.imported(columns.Raw("X", bar_files.walk(20, seed=1)), columns.Settings()).series
    plain = simulation.Backtest(one, Cross)
    changed = [
        {"venue": venue_settings.Venue(latency=1)},
        {"parameters": {"short": True}},
        {"limits": limits.Limits(allow_short=True)},
        {"costs": FEE},
    ]
    runs = [plain, *(dataclasses.replace(plain, **change) for change in changed)]
    assert len({run.run().hash for run in runs}) == len(runs)


def test_the_order_of_allocations_changes_nothing(folder: Path) -> None:
    """Turns are taken by name."""
    both = [
        simulation.Allocation(Cross, capital=1_000, name="b", parameters={"shares": 1}),
        simulation.Allocation(Cross, capital=2_000, name="a", parameters={"shares": 2, "fast": 9}),
    ]
    assert len({simulation.Backtest(folder, given).run().hash for given in (both, both[::-1])}) == 1


def test_defaults_that_are_said_change_nothing(folder: Path) -> None:
    """A parameter given at its default, capital as text, one allocation instead of none: the same run."""
    plain = simulation.Backtest(folder, Cross, costs=FEE).run()
    said = simulation.Backtest(
        folder, Cross, cash="100000.00", parameters={"slow": 50}, costs=FEE, venue=venue_settings.Venue(latency=10**6)
    )
    alone = simulation.Backtest(folder, [simulation.Allocation(Cross, capital=Decimal("1E5"))], costs=FEE)
    assert plain.hash == dataclasses.replace(said, venue=venue_settings.Venue()).run().hash == alone.run().hash


def test_sub_ledgers_add_up_to_the_account_at_every_step(folder: Path) -> None:
    """After each order update, and at each instant, the strategies' parts are the account, in shares and in cash."""
    data = readers.load(folder)
    policy = risk.Policy("loose", engine_runs.LOOSE)
    run = kernel.Kernel(table.Table(data.series), FEE, 300_000 * 10**9, policy)
    own = [
        Both(shares="7.123456789", short=True),
        Both(fast=5, slow=9, shares="3.3", short=True),
        Both(fast=30, slow=10),
    ]
    for number, one in enumerate(own):
        one.run = run
        run.add(f"s{number}", one, 100_000 * 10**9, policy)
    run.run()
    assert all(one.looks > 100 for one in own)
    broken = run.slots[0].scope.book.ledger
    broken.book(1, "other")
    with pytest.raises(errors.LedgerBroken, match="cash of the account"):
        simulation.check(run)


def test_a_run_whose_ledgers_do_not_add_up_has_no_result(folder: Path) -> None:
    """One nanodollar too much in a sub-ledger, and nothing of the run may be trusted."""
    prepared = simulation.Backtest(folder, Cross).prepare()
    prepared.kernel.slots[0].scope.book.ledger.book(1, "other")
    with pytest.raises(errors.LedgerBroken, match="of the account"):
        prepared.run()


def test_a_prepared_run_runs_once(folder: Path) -> None:
    """A second time would begin with the first one's positions."""
    prepared = simulation.Backtest(folder, Cross).prepare()
    prepared.run()
    with pytest.raises(errors.ValueRefused, match="once"):
        prepared.run()


def test_strategies_equity_adds_up_at_every_instant(folder: Path) -> None:
    """The curves of the sub-ledgers sum to the account's, to the last 1e-9 USD of whole shares."""
    both = [
        simulation.Allocation(Cross, capital=1_000_000, name="long"),
        simulation.Allocation(
            Cross,
            capital=500_000,
            name="both",
            parameters={"fast": 7, "slow": 31, "short": True},
            limits=limits.Limits(allow_short=True),
        ),
    ]
    found = simulation.Backtest(folder, both, costs=FEE, limits=limits.Limits(allow_short=True)).run()
    parts = found.frame("strategies", numbers="decimal")
    total = parts.group_by("at", maintain_order=True).agg(pl.col("equity").sum())["equity"]
    whole = found.frame("equity", numbers="decimal")["equity"]
    assert total.to_list() == whole.to_list()
    assert whole[-1] == found.final_equity
    assert set(parts["strategy"]) == {"both", "long"}
    assert sorted(found.run.strategies) == ["both", "long"]


@pytest.mark.parametrize("name", ["Rests", "Brackets", "AtOnce"])
def test_fills_inside_of_a_bar_count_at_its_close(name: str) -> None:
    """In the strategies' curves as in the account's, whether an order met an open, a path or a close."""
    data = [engine_runs.walk(symbol, 600, seed=40 + number) for number, symbol in enumerate("AB")]
    both = [simulation.Allocation(honest_strategies.MAKERS[name], capital=100_000, name=one) for one in ("x", "y")]
    for venue in (venue_settings.Venue(), venue_settings.Venue(fill_at="next_close")):
        found = simulation.Backtest(
            data, both, costs=FEE, venue=venue, limits=limits.Limits(allow_short=True), examine=False
        ).run()
        parts = found.frame("strategies", numbers="decimal")
        total = parts.group_by("at", maintain_order=True).agg(pl.col("equity").sum())["equity"]
        assert total.to_list() == found.frame("equity", numbers="decimal")["equity"].to_list()


class Watches(Cross):
    """Notes which bars it is shown."""

    shown: ClassVar[list[int]] = []

    def on_bar(self, ctx: context.Context, bar: table.Bar) -> None:
        """Decide as ever."""
        self.shown.append(bar.start)
        super().on_bar(ctx, bar)


def test_bars_before_the_start_only_warm_up(folder: Path) -> None:
    """The first bar at the start is shown, with indicators that know those before, and measures begin there."""
    Watches.shown.clear()
    loaded = readers.load(folder)
    start = int(loaded.symbols["AAA"].series.start[200])
    found = simulation.Backtest(folder, Watches, start=start, examine=False).run()
    assert min(Watches.shown) == start
    assert found.run.path is not None
    assert found.run.path.at[0] > start
    assert found.run.path.equity[0] == 100_000.0
    whole = simulation.Backtest(folder, Watches, examine=False).run()
    assert found.hash != whole.hash
    asked = whole.orders.filter(pl.col("symbol") == "AAA")
    mine = found.orders.filter(pl.col("symbol") == "AAA")
    assert mine["at"][0] > asked["at"][0]
    assert mine["at"].to_list()[1:] == asked["at"].to_list()[-len(mine) + 1 :]  # after what it begins with


def test_a_start_after_the_last_bar_is_refused(folder: Path) -> None:
    """Nothing would be shown."""
    with pytest.raises(errors.ValueRefused, match="start: must be at or before the last bar's"):
        simulation.Backtest(folder, Cross, start=2**62).run()


def test_a_cheat_that_starts_late_is_named() -> None:
    """The examination looks at the part that strategies are shown."""
    data = [engine_runs.walk("A", 6_000, seed=8)]
    later = {int(end): int(close) for end, close in zip(data[0].end, data[0].close[1:], strict=False)}

    class Knows(strategy.Strategy):
        def on_bar(self, ctx: context.Context, bar: table.Bar) -> None:
            ctx.target(bar.symbol, shares=10 if later.get(bar.end, 0) > bar.close else 0)

    found = simulation.Backtest(data, Knows, start=int(data[0].start[3_000])).run()
    assert found.findings is not None
    assert not found.findings.honest


def test_what_a_fill_lost_to_spread_and_slippage_is_in_the_costs() -> None:
    """Against the price that it met: here 100 USD, 20 and 50 basis points away, on both sides."""

    class Holds(strategy.Strategy):
        def on_bar(self, ctx: context.Context, bar: table.Bar) -> None:
            ctx.target(bar.symbol, shares=0 if bar.start > 5 * times.DAY else 10)

    flat = {name: [100.0] * 10 for name in ("open", "high", "low", "close")}
    data = {"ts": np.arange(10, dtype=np.int64) * times.DAY, "volume": [10**6] * 10, **flat}
    found = simulation.Backtest(
        {"A": {name: np.array(column) for name, column in data.items()}},
        Holds,
        costs=costs.Costs(half_spread_bps=Fraction(20)),
        venue=venue_settings.Venue(slippage_bps=Fraction(50)),
    ).run()
    measured = found.measures(["spread_cost", "slippage_cost", "total_cost"])
    assert measured == pytest.approx({"spread_cost": 4.0, "slippage_cost": 10.0, "total_cost": 14.0})
    assert found.profit == Decimal(-14)


def test_interest_and_borrow_are_costs() -> None:
    """They belong to no fill, and are in the total."""

    class Holds(strategy.Strategy):
        def on_bar(self, ctx: context.Context, bar: table.Bar) -> None:
            ctx.target(bar.symbol, shares=1500)

    data = [engine_runs.walk("A", 5_000, seed=3)]
    lent = accounts.Account(interest_bps=Fraction(700))
    found = simulation.Backtest(data, Holds, cash=100_000, account=lent, examine=False).run()
    entries = found.log[found.log[:, 0] == log.ENTRY]
    assert len(entries) > 0
    assert found.measures(["total_cost"])["total_cost"] == pytest.approx(-int(entries[:, 5].sum()) / 1e9)


def test_a_flat_accounts_profit_is_that_of_its_trades(folder: Path) -> None:
    """What round trips earned, open positions and fees explain the profit to the last digit."""
    found = simulation.Backtest(folder, Cross, costs=FEE).run()
    trades = found.frame("trades", numbers="decimal")
    open_ = found.frame("positions", numbers="decimal")
    paid = found.fees - sum(trades["fees"])
    assert sum(trades["pnl"]) + sum(open_["unrealised"]) - paid == found.profit
    assert len(trades) > 15


def test_frames_hold_the_same_numbers_in_three_forms(folder: Path) -> None:
    """Float, text and decimal of a column are one value."""
    found = simulation.Backtest(folder, Cross, costs=FEE).run()
    floats, texts, exact = (found.frame("fills", numbers=form) for form in ("float", "text", "decimal"))
    for column in ("quantity", "price", "fee"):
        assert [Decimal(text) for text in texts[column]] == exact[column].to_list()
        assert [float(text) for text in texts[column]] == floats[column].to_list()
    assert not any("E" in text or text.endswith(("0000", ".")) for text in texts["fee"])
    assert floats["at"].dtype == pl.Datetime("ns", "UTC")
    assert floats.to_pandas()["price"].tolist() == floats["price"].to_list()


@pytest.mark.parametrize("form", ["float", "text", "decimal"])
@pytest.mark.parametrize("rows", [0, 1, 30])
def test_a_run_without_trades_has_the_same_frames(
    folder: Path, tmp_path: Path, rows: int, form: frames.Numbers
) -> None:
    """Columns and types of a frame do not depend on whether it has rows; table, measures and report are there too."""
    one = columns.imported(columns.Raw("X", bar_files.walk(rows, seed=1)), columns.Settings()).series
    empty = simulation.Backtest(one, Cross).run()
    full = simulation.Backtest(folder, Cross, limits=limits.Limits(max_quantity=100 * 10**9), costs=FEE).run()
    for name in tables.FRAMES:
        assert empty.frame(name, numbers=form).schema == full.frame(name, numbers=form).schema
    assert empty.measures(["trades"]) == {"trades": 0}
    assert "100,000.00" in empty._repr_html_()
    assert empty.report(tmp_path / "report.html").exists()


def test_without_polars_frames_are_arrays(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing but numpy is needed to read a result."""
    found = simulation.Backtest(readers.load(folder).series, Cross, costs=FEE).run()
    expected = {name: found.frame(name) for name in ("orders", "fills", "trades", "positions", "equity", "strategies")}
    monkeypatch.setitem(sys.modules, "polars", None)
    for name, frame in expected.items():
        arrays = found.frame(name)
        assert isinstance(arrays, dict)
        assert {key: len(one) for key, one in arrays.items()} == dict.fromkeys(frame.columns, len(frame))
    assert found.fills.to_pandas()["fee"].tolist() == expected["fills"]["fee"].to_list()


def test_refused_orders_say_why(folder: Path) -> None:
    """Scope and reason of each order that a limit kept in."""
    found = simulation.Backtest(folder, Cross, limits=limits.Limits(max_quantity=99 * 10**9)).run()
    assert (len(found.orders), len(found.fills)) == (0, 0)
    assert set(found.refused["reason"]) == {"order-quantity"}
    assert set(found.refused["scope"]) == {"account"}
    assert found.final_equity == 100_000


def test_a_result_shows_itself_and_writes_a_report(folder: Path, tmp_path: Path) -> None:
    """A notebook shows a table, a file holds the report, measures are there by name."""
    found = simulation.Backtest(folder, Cross, costs=FEE, name="<b>").run()
    assert "&lt;b&gt;" in found._repr_html_()
    assert f"{found.final_equity:,.2f} USD" in found._repr_html_()
    assert found.hash[:12] in repr(found)
    assert found.hash in found.report(tmp_path / "report.html").read_text()
    assert found.measures(["fees"])["fees"] == pytest.approx(float(found.fees), abs=1e-9)


def _named(name: str) -> simulation.Allocation:
    return simulation.Allocation(Cross, capital=10, name=name)


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda d: simulation.Backtest(d, Cross, cash=1.5), "cash: must be an int"),  # type: ignore[arg-type]
        (lambda d: simulation.Backtest(d, Cross, cash=0), "cash: must be more than 0"),
        (lambda d: simulation.Backtest(d, Cross, parameters={"fast": 0}), r"Cross\.parameters\.fast"),
        (lambda d: simulation.Backtest(d, Cross, parameters={"windw": 3}), r"one of fast, slow, .*windw"),
        (lambda d: simulation.Backtest(d, Cross()), "strategy"),  # type: ignore[arg-type]
        (lambda d: simulation.Backtest(d, int), "a subclass of strategy"),  # type: ignore[arg-type]
        (lambda d: simulation.Backtest(d, []), "strategy"),
        (lambda d: simulation.Backtest(d, [_named("a"), _named("a")]), "different for each"),
        (lambda d: simulation.Backtest(d, [_named("a"), _named("b")], cash=30), "sum of capitals, 20"),
        (lambda d: simulation.Backtest(d, [_named("a")], parameters={"fast": 3}), "in the allocations"),
        (lambda d: simulation.Backtest(d, Cross, venue=venue_settings.Venue(latency=-1)), "latency"),
        (lambda d: simulation.Backtest(d, Cross, timeframe="a day"), "timeframe"),
        *(
            (lambda d, name=name, value=value: simulation.Backtest(d, Cross, **{name: value}), f"^{name}.*: must be ")
            for name, value in (
                *(("digits", 2.5), ("timeframe", 1.5), ("timeframes", 5), ("delay", 1.5), ("barrier", 1.5)),
                *(("limits", 5), ("costs", 5), ("venue", 5), ("account", 5), ("name", 5), ("seed", -1), ("seed", 1.5)),
                *(("parameters", 5), ("actions", [5]), ("actions", 5)),
            )
        ),
        (lambda _: simulation.Allocation(Cross, capital=10, limits=5), "^limits: must be limits.Limits, got 5"),
        (lambda _: simulation.Allocation(Cross, capital=10, parameters=5), "^parameters: must be a mapping"),
    ],
)
def test_settings_that_cannot_be_are_refused(
    folder: Path, make: Callable[[Path], simulation.Backtest], message: str
) -> None:
    """Errors name the setting, its limit and the value."""
    with pytest.raises(errors.ValueRefused, match=message):
        make(folder).run()


def test_a_constructor_that_raises_is_named(folder: Path) -> None:
    """A user's error there is the strategy's failure, as in every hook."""

    class Broken(Cross):
        def __init__(self, **parameters: object) -> None:
            super().__init__(**parameters)
            raise KeyError("mine")

    with pytest.raises(errors.StrategyFailed, match="strategy 'Broken' at __init__: KeyError: 'mine'"):
        simulation.Backtest(folder, Broken).run()
    with pytest.raises(errors.StrategyFailed, match="strategy 'Broken' at __init__: KeyError: 'mine'"):
        sweep.configuration(Broken, {})


def test_one_backtest_can_be_run_twice(folder: Path) -> None:
    """Nothing of a run stays behind in its settings."""
    once = simulation.Backtest(folder, Cross, costs=FEE)
    assert once.run().hash == once.run().hash


def test_a_frame_without_a_symbol_gets_one(folder: Path) -> None:
    """The argument symbol names a bare frame."""
    frame = pl.read_parquet(folder / "AAA.parquet")
    found = simulation.Backtest(frame, Cross, symbol="AAA", costs=FEE).run()
    assert set(found.fills["symbol"]) == {"AAA"}
    assert found.hash == simulation.Backtest({"AAA": frame}, Cross, costs=FEE).run().hash


def test_latency_moves_fills_to_a_later_open() -> None:
    """With any latency the open of the decision's instant is missed."""
    one = columns.imported(columns.Raw("X", bar_files.walk(300, seed=4)), columns.Settings()).series
    at_once, late = (
        simulation.Backtest(one, Cross, venue=venue_settings.Venue(latency=latency)).run().fills
        for latency in (0, 10**9)
    )
    assert [(b - a).total_seconds() for a, b in zip(at_once["at"], late["at"], strict=False)] == [60.0] * len(late)


def test_the_engine_imports_nothing_heavy() -> None:
    """Importing the package loads no numpy; importing backtests loads neither frames nor plots."""
    code = """
import sys
import tradeplane_engine
assert "numpy" not in sys.modules
from tradeplane_engine import simulation
heavy = {"pandas", "polars", "pyarrow", "scipy", "lightgbm", "matplotlib"} & set(sys.modules)
assert not heavy, heavy
"""
    subprocess.run([sys.executable, "-c", code], check=True)


class Cheat(strategy.Strategy):
    """Reads tomorrow's close from the arrays that it was made from."""

    closes: ClassVar[list[int]] = []

    def on_start(self, ctx: context.Context) -> None:  # noqa: ARG002 - a hook
        """Begin at the first bar."""
        self.at = 0

    def on_bar(self, ctx: context.Context, bar: table.Bar) -> None:
        """Buy before a rise."""
        later = self.closes[min(self.at + 1, len(self.closes) - 1)]
        self.at += 1
        ctx.target(bar.symbol, shares=10 if later > bar.close else 0)


def test_a_strategy_that_cheats_is_named_unless_nobody_looks() -> None:
    """Runs are examined unless that is switched off; an honest one has findings that are empty."""
    one = columns.imported(columns.Raw("X", bar_files.walk(400, seed=9)), columns.Settings()).series
    Cheat.closes = one.close.tolist()
    found = simulation.Backtest([one], Cheat).run().findings
    assert found is not None
    assert {proof.strategy for proof in found.found} == {"Cheat"}
    assert simulation.Backtest([one], Cheat, examine=False).run().findings is None
    honest = simulation.Backtest([one], Cross).run().findings
    assert honest is not None
    assert honest.honest


def test_the_accounts_policy_is_the_only_one_of_a_single_strategy(folder: Path) -> None:
    """Where it allows shorts they are allowed, and where it says nothing they are not."""
    short = {"parameters": {"short": True}, "examine": False}
    free = simulation.Backtest(folder, Cross, limits=limits.Limits(allow_short=True), **short).run()
    bound = simulation.Backtest(folder, Cross, **short).run()
    assert len(free.refused) == 0
    assert set(bound.refused["reason"]) == {"short-not-allowed"}
