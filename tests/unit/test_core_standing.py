"""What limits on losses are measured from: at each decision it is what a run keeps from every close."""

from fractions import Fraction

import pytest

from support import engine_runs
from tradeplane_engine import strategy
from tradeplane_engine.core import context, control, costs, kernel, limits, risk, table
from tradeplane_engine.core.standing import Standing
from tradeplane_engine.domain import numbers, times

DAY = times.DAY
USD = 10**9


def money(amount: int) -> numbers.Money:
    """Return USD as money."""
    return numbers.Money(amount * USD)


class Measured(strategy.Strategy):
    """Changes its position at every third bar, and compares its book with a standing at every bar."""

    def on_start(self, ctx: context.Context) -> None:
        """Begin with the capital."""
        self.standing = Standing.first(numbers.Money(ctx.equity), times.Nanos(0))
        self.seen: list[tuple[int, int]] = []
        self.days = 0
        self.run: kernel.Kernel

    def on_bar(self, ctx: context.Context, bar: table.Bar) -> None:
        """Look, compare, trade."""
        book = self.run.slots[0].scope.book
        opened = (self.standing.at - 1) // DAY != (bar.end - 1) // DAY
        self.days += opened
        equity = numbers.Money(ctx.equity)
        self.standing = self.standing.seen(equity, book.losses, times.Nanos(bar.end), opened=opened)
        self.seen.append((self.standing.session_equity, self.standing.peak))
        assert self.seen[-1] == (book.session_equity, book.peak)
        ctx.target(bar.symbol, shares=(0, 70, -40)[(bar.end // engine_runs.MINUTE) // 3 % 3])


@pytest.mark.parametrize("seed", range(6))
def test_at_each_decision_it_is_what_a_run_keeps(seed: int) -> None:
    """Over days with and without gaps, whatever was traded in between."""
    data = engine_runs.walk("S", 3500, seed=seed, gaps=seed % 2 == 1)
    policy = risk.Policy("bound", limits.Limits(allow_short=True, max_daily_loss=Fraction(1, 2)))
    hosted = Measured()
    found = kernel.Kernel(table.Table([data]), costs.Costs(), 50_000 * USD, policy)
    found.add("measured", hosted, 50_000 * USD, policy)
    hosted.run = found
    found.run()
    assert hosted.days > 2
    assert len({session for session, _ in hosted.seen}) == hosted.days
    assert len({peak for _, peak in hosted.seen}) > 1


def test_a_session_is_measured_from_the_last_look_before_it_opened() -> None:
    """Until the first open it is the capital."""
    one = Standing.first(money(100), times.Nanos(1)).seen(money(90), 1, times.Nanos(2), opened=False)
    assert (one.session_equity, one.peak, one.losses) == (money(100), money(100), 1)
    later = one.seen(money(120), 0, times.Nanos(3), opened=True)
    assert (later.session_equity, later.peak, later.equity) == (money(90), money(120), money(120))


def test_other_capital_is_neither_won_nor_lost() -> None:
    """Everything moves by what was given or taken, in a standing and in a run's book."""
    one = Standing.first(money(100), times.Nanos(1)).seen(money(110), 0, times.Nanos(2), opened=False)
    less = one.funded(money(70))
    assert (less.capital, less.equity, less.session_equity, less.peak) == (money(70), money(80), money(70), money(80))
    policy = risk.Policy("bound", limits.Limits(max_drawdown=Fraction(1, 10)))
    run = kernel.Kernel(table.Table([engine_runs.walk("S", 9, seed=1)]), costs.Costs(), money(100), policy)
    run.add("one", strategy.Strategy(), money(100), policy)
    control.CapitalChange(-money(60), "one").act(run)
    book = run.slots[0].scope.book
    assert (book.equity(), book.peak, book.session_equity) == (money(40),) * 3
    assert risk.loss_violation(run.slots[0].scope) is None
