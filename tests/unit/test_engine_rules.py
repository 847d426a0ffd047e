import functools
import pickle
from fractions import Fraction

import numpy as np
import pytest

from support import engine_runs, made_rules
from tradeplane_engine import errors, rules
from tradeplane_engine.core import costs, kernel, limits, log, risk, table
from tradeplane_engine.rules import columns

CROSS = rules.when(50 * rules.sum("close", 20) > 20 * rules.sum("close", 50)).hold(shares=100)


@pytest.mark.parametrize("seed", range(60))
def test_whole_columns_give_the_answer_of_plain_integers(seed: int) -> None:
    """A random rule over whole columns wants at every defined bar what lists of integers say, on every symbol."""
    rule, data = made_rules.rule(seed), made_rules.data(seed)
    bars = table.Table(data)
    shares, first = columns.wish(rule, bars)
    for number, one in enumerate(data):
        begin, stop = int(first[number]), int(bars.starts[number + 1])
        assert made_rules.answer(rule, one) == shares[begin : max(begin, stop)].tolist(), one.symbol


@pytest.mark.parametrize("symbols", [1, 9])
@pytest.mark.parametrize("seed", range(25))
def test_bar_by_bar_and_over_columns_a_rule_is_one_strategy(seed: int, symbols: int) -> None:
    """A random rule gives one hash and one equity curve, evaluated at every bar or followed as a column."""
    rule, data = made_rules.rule(seed), made_rules.data(seed)[:symbols]
    runs = [engine_runs.run(data, strategy(rule)) for strategy in (rules.RuleStrategy, rules.ColumnStrategy)]
    assert runs[0].log.digest({}) == runs[1].log.digest({})
    assert runs[0].equity[: runs[0].instants].tolist() == runs[1].equity[: runs[1].instants].tolist()
    assert runs[0].equity_at[: runs[0].instants].tolist() == runs[1].equity_at[: runs[1].instants].tolist()
    assert [run.account.book.peak for run in runs] == [max(engine_runs.CASH, *runs[0].equity[: runs[0].instants])] * 2


@pytest.mark.parametrize("symbols", [1, 3])
@pytest.mark.parametrize("seed", range(20))
def test_a_followed_column_is_held_to_the_same_losses(seed: int, symbols: int) -> None:
    """Limits on losses that bind stop both ways at the same bar: peaks are seen right after a fill, flat or not."""
    data = [
        engine_runs.walk(f"S{number}", 500, seed=50 * seed + number, gaps=seed % 2 == 1) for number in range(symbols)
    ]
    rule = rules.when(5 * rules.sum("close", 3) > 3 * rules.sum("close", 5)).hold(
        shares=100, otherwise=-50 * (seed % 3)
    )
    bound = limits.Limits(allow_short=True, max_drawdown=Fraction(1 + seed % 4, 2000))
    found = []
    for made in (rules.RuleStrategy, rules.ColumnStrategy):
        policy, cash = risk.Policy("bound", bound), symbols * 20_000 * 10**9
        run = kernel.Kernel(table.Table(data), costs.Costs(commission_bps=Fraction(1)), cash, policy)
        run.add("rule", made(rule), cash, policy)
        run.run()
        found.append((run.log.digest({}), run.account.book.peak, run.equity[: run.instants].tolist()))
        assert (run.log.rows()[:, 0] == log.REFUSED).any()
    assert found[0] == found[1]


def test_some_random_rules_trade_and_cross_zero() -> None:
    """The random rules are not idle: together they order more than a thousand times, shorts among them."""
    logs = [
        engine_runs.run(made_rules.data(seed), rules.ColumnStrategy(made_rules.rule(seed))).log.rows()
        for seed in range(25)
    ]
    rows = np.concatenate(logs)
    assert (rows[:, 0] == 1).sum() > 1000
    assert (rows[:, 5] < 0).any()


def test_blocks_do_not_change_the_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """A rule with crossings gives the same column whatever the size of the blocks it is evaluated in."""
    rule = rules.when(rules.column("close").crossed_above(rules.lowest("low", 7) + 900)).hold(shares=5, otherwise=CROSS)
    bars = table.Table(made_rules.data(1))
    whole = columns.wish(rule, bars)[0]
    monkeypatch.setattr(columns, "BLOCK", 17)
    assert columns.wish(rule, bars)[0].tolist() == whole.tolist()
    assert len(set(whole.tolist())) == 3


def test_rules_together_are_what_each_is_alone() -> None:
    """Rules that share windows and conditions do not disturb each other."""
    inputs = columns.Inputs(table.Table(made_rules.data(3)))
    together = [made_rules.rule(seed) for seed in range(20)] + [CROSS, CROSS]
    for rule, codes in zip(together, columns.codes(together, inputs), strict=True):
        assert codes.tolist() == columns.codes([rule], inputs)[0].tolist()


def test_a_rule_that_could_leave_64_bits_is_refused_by_name() -> None:
    """Bounds are worked out before anything is computed, and the error names the number that could overflow."""
    rule = rules.when(10**9 * rules.sum("close", 50) * 10**4 > 0).hold(shares=1)
    with pytest.raises(errors.Overflow, match=r"1000000000 \* sum\(close, 50\).*within 64 bits"):
        columns.wish(rule, table.Table([engine_runs.walk("S", 60, seed=1)]))


@pytest.mark.parametrize(
    "make,message",
    [
        (lambda: rules.sum("close", 0), "sum.window"),
        (lambda: rules.highest("high", 10_001), "highest.window"),
        (lambda: rules.lowest("clsoe", 3), "lowest.field"),
        (lambda: rules.column("price"), "column: must be one of open, high, low, close, volume"),
        (lambda: 0.5 * rules.column("close"), "an int: a rule is exact, got 0.5"),
        (lambda: rules.column("close") + 2**63, "within 64 bits"),
        (lambda: rules.when(rules.column("close")).hold(shares=1), "when: must be a condition"),
        (lambda: (rules.column("close") > 1) & True, "needs? brackets|a condition"),
        (lambda: bool(rules.column("close") > 1), "combined by &"),
        (lambda: rules.when(rules.column("close") > 1).hold(shares=True), "hold.shares: must be whole shares"),
        (lambda: rules.when(rules.column("close") > 1).hold(shares=9_000_000_000), "hold.shares: must be within"),
    ],
)
def test_what_is_no_rule_is_refused(make: object, message: str) -> None:
    """Windows, fields, factors and shares outside their limits are refused, naming them."""
    with pytest.raises(errors.ValueRefused, match=message):
        make()  # type: ignore[operator]


def test_equal_rules_are_one_value() -> None:
    """Two trees of the same content are equal, have one hash and one text, and survive pickling."""
    other = rules.when(50 * rules.sum("close", 20) > 20 * rules.sum("close", 50)).hold(shares=100)
    assert (CROSS, str(CROSS)) == (other, str(other))
    assert len({CROSS, other, pickle.loads(pickle.dumps(CROSS))}) == 1  # noqa: S301 - its own
    assert str(CROSS) == "when((50 * sum(close, 20) > 20 * sum(close, 50))).hold(100, otherwise=0)"


def momentum(bars: object, *, back: int) -> object:
    """Long while the close is above that of some bars ago."""
    close = bars.close  # type: ignore[attr-defined]
    shares = np.zeros(len(close), dtype=np.int64)
    shares[back:] = np.where(close[back:] > close[:-back], 10, 0)
    return shares


def test_a_function_is_called_once_per_symbol_and_equals_its_rule() -> None:
    """A user's function over columns gives the run of the rule that says the same."""
    data, seen = made_rules.data(5)[:4], []

    def counted(bars: object, **parameters: int) -> object:
        seen.append(bars.symbol)  # type: ignore[attr-defined]
        return momentum(bars, **parameters)

    function = rules.Function(counted, {"back": 7}, version="1")  # type: ignore[arg-type]
    rule = rules.when(rules.change("close", 7) > 0).hold(shares=10)
    runs = [engine_runs.run(data, rules.ColumnStrategy(one)) for one in (function, rule)]
    assert runs[0].log.digest({}) == runs[1].log.digest({})
    assert seen == ["S0", "S1", "S2", "TIES"]


@pytest.mark.parametrize(
    "answer,message",
    [
        (lambda bars: np.zeros(len(bars.close)), "int64 of shape"),
        (lambda _: np.zeros(3, dtype=np.int64), "int64 of shape"),
        (lambda bars: [0] * len(bars.close), "got 'list'"),
        (lambda bars: np.full(len(bars.close), 9_000_000_000), "shares of S, row 0"),
    ],
)
def test_a_function_that_returns_no_shares_is_refused(answer: object, message: str) -> None:
    """Type, shape and size of what a function returns are checked."""
    bars = table.Table([engine_runs.walk("S", 60, seed=1)])
    with pytest.raises(errors.ValueRefused, match=message):
        rules.Function(answer).wish(bars)  # type: ignore[arg-type]


def test_a_function_is_known_by_its_code() -> None:
    """Other code, other parameters and other constants that it closes over give another identity."""

    def shifted(by: int) -> object:
        return lambda bars: bars.close - by  # type: ignore[attr-defined]

    known = {
        rules.Function(momentum, {"back": 7}).identity(),  # type: ignore[arg-type]
        rules.Function(momentum, {"back": 8}).identity(),  # type: ignore[arg-type]
        rules.Function(shifted(1)).identity(),  # type: ignore[arg-type]
        rules.Function(shifted(2)).identity(),  # type: ignore[arg-type]
        rules.Function(momentum, version="7").identity(),  # type: ignore[arg-type]
    }
    assert len(known) == 5
    assert rules.Function(momentum, {"back": 7}).identity() in known  # type: ignore[arg-type]


def test_a_function_whose_code_cannot_be_told_needs_a_version() -> None:
    """A partial, or a list that is closed over, has no digest of its own."""
    for one in (functools.partial(momentum, back=3), lambda bars, by=[1]: bars.close - by[0]):
        with pytest.raises(errors.ValueRefused, match="version"):
            rules.Function(one).identity()  # type: ignore[arg-type]


def test_following_is_declared_before_the_run_and_checked() -> None:
    """A column of another shape, or one that comes after the start, is refused."""

    class Late(rules.ColumnStrategy):
        def on_start(self, ctx: object) -> None:
            with pytest.raises(errors.ValueRefused, match=r"follow.shares: must be int64 of shape \(60,\)"):
                ctx.follow(lambda _: (np.zeros(59, dtype=np.int64), np.zeros(1, dtype=np.int64)))  # type: ignore[attr-defined]
            self.ctx = ctx

        def on_stop(self, ctx: object) -> None:
            with pytest.raises(errors.ValueRefused, match="called in on_start"):
                ctx.follow(lambda _: (np.zeros(60, dtype=np.int64), np.zeros(1, dtype=np.int64)))  # type: ignore[attr-defined]
            self.stopped = True

    late = Late(CROSS)
    engine_runs.run([engine_runs.walk("S", 60, seed=1)], late)
    assert late.stopped
