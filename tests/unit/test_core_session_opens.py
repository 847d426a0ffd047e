"""Losses of a day are measured from the equity at the session's open, by the account's book and by a strategy's."""

from fractions import Fraction
from typing import Any

import pytest

from support import engine_orders as given
from tradeplane_engine.core import agenda, control, costs, kernel, limits, risk, table, venue_settings
from tradeplane_engine.domain import times

USD = 10**9
DOLLAR = 10_000  # price units
DAY = times.DAY // given.MINUTE  # minutes
FOUR_PERCENT = limits.Limits(max_daily_loss=Fraction(4, 100))


def at(*dollars: int) -> list[tuple[int, int, int, int]]:
    """Bars that stand still, each at its price."""
    return [(each * DOLLAR,) * 4 for each in dollars]


def refused(found: kernel.Kernel) -> list[tuple[int, str]]:
    """Minute and scope of every refusal."""
    words = list(found.log.reasons)
    rows = [row for row in found.log.rows().tolist() if row[0] == 2]
    assert {words[row[6]] for row in rows} <= {"daily-loss"}
    return [((row[1] - given.START) // given.MINUTE, words[row[7]]) for row in rows]


def run(data: Any, plan: given.Plan, *, account: limits.Limits, own: limits.Limits, sessions: Any) -> kernel.Kernel:
    """Run a plan under two policies."""
    found = kernel.Kernel(
        table.Table([data]),
        costs.Costs(),
        given.CASH,
        risk.Policy("account", account),
        venue_settings.Venue(sessions=sessions),
    )
    script = given.Script(plan)
    script.kernel = found
    found.add("script", script, given.CASH, risk.Policy("own", own))
    found.run()
    return found


def buy(ctx: Any, shares: int = 1) -> Any:
    """Buy at the market, whatever the session."""
    return ctx.order("S", "buy", shares, time_in_force="gtc")


SCOPES = pytest.mark.parametrize(
    "account,own,scope", [(FOUR_PERCENT, limits.Limits(), "account"), (limits.Limits(), FOUR_PERCENT, "strategy")]
)


@SCOPES
def test_a_new_session_forgets_the_loss_of_the_one_before(
    account: limits.Limits, own: limits.Limits, scope: str
) -> None:
    """5,000 shares fall from 100 to 90: no more today. The next session may lose 4 % of 950,000 again, and not 5 %."""
    data = given.bars(*at(100, 100, 90, 90, 90, 89, 80), minutes=[0, 1, 2, 10, 11, 12, 13])
    plan: given.Plan = {0: lambda ctx: buy(ctx, 5000), 2: buy, 4: buy, 5: buy, 6: buy}
    found = run(data, plan, account=account, own=own, sessions=given.trading((0, 5), (10, 20)))
    assert refused(found) == [(3, scope), (14, scope)]
    assert found.account.book.session_equity == found.slots[0].scope.book.session_equity == 950_000 * USD


@SCOPES
def test_without_sessions_a_day_begins_at_midnight_utc(account: limits.Limits, own: limits.Limits, scope: str) -> None:
    """The decision at midnight is the last one of the day before, the next one belongs to the new day."""
    data = given.bars(*at(100, 100, 90, 90, 90), minutes=[DAY - 4, DAY - 3, DAY - 2, DAY - 1, DAY])
    plan: given.Plan = {0: lambda ctx: buy(ctx, 5000), 2: buy, 3: buy, 4: buy}
    found = run(data, plan, account=account, own=own, sessions=None)
    assert refused(found) == [(DAY - 1, scope), (DAY, scope)]
    assert found.account.book.session_equity == 950_000 * USD


def test_a_limit_of_a_day_acts_on_bars_of_a_day() -> None:
    """A bar from midnight to midnight: its own loss refuses the order that follows it, the one before's does not."""
    minutes = [DAY * day for day in range(5)]
    data = given.bars(*at(100, 100, 90, 89, 89), minutes=minutes, length=DAY)
    plan: given.Plan = {0: lambda ctx: buy(ctx, 5000), 2: buy, 3: buy}
    found = run(data, plan, account=FOUR_PERCENT, own=limits.Limits(), sessions=None)
    assert refused(found) == [(3 * DAY, "account")]


def test_a_session_opens_with_what_is_known_before_its_fills() -> None:
    """The gap at the open is a loss of the session that opens."""
    data = given.bars(*at(100, 100, 90), minutes=[0, 1, 10])
    found = run(
        data,
        {0: lambda ctx: buy(ctx, 5000), 2: buy},
        account=FOUR_PERCENT,
        own=limits.Limits(),
        sessions=given.trading((0, 5), (10, 20)),
    )
    assert refused(found) == [(11, "account")]


def test_nobody_waits_for_opens_that_no_policy_asks_for() -> None:
    """The agenda stays empty, so that quiet instants stay whole."""
    data = given.bars(*at(100, 100))
    found = run(data, {}, account=limits.Limits(), own=limits.Limits(), sessions=given.trading((0, 5)))
    assert found.agenda.next_at == 2**63 - 1  # never


@pytest.mark.parametrize("strategy", [None, "script"])
def test_a_policy_that_comes_later_measures_from_then_on(strategy: str | None) -> None:
    """Lost before it came: nothing counts. Then 4 % of what there was, and from the next open on of what there is."""
    data = given.bars(*at(100, 100, 90, 90, 84, 84, 84), minutes=[0, 1, 2, 3, 4, 10, 11])
    found = kernel.Kernel(
        table.Table([data]),
        costs.Costs(),
        given.CASH,
        risk.Policy("account", limits.Limits()),
        venue_settings.Venue(sessions=given.trading((0, 6), (10, 20))),
    )
    script = given.Script({0: lambda ctx: buy(ctx, 7000), 3: buy, 4: buy, 6: buy})
    script.kernel = found
    found.add("script", script, given.CASH, risk.Policy("own", limits.Limits()))
    change = control.PolicyChange(risk.Policy("new", FOUR_PERCENT), strategy)
    found.agenda.add(given.instant(3.5), agenda.CONTROL, change)
    found.run()
    assert refused(found) == [(5, "account" if strategy is None else "strategy")]
    assert len(found.orders) == 3


def test_a_policy_that_comes_later_looks_at_the_marks() -> None:
    """It flattens on a loss although nothing is ordered."""
    data = given.bars(*at(100, 100, 90, 90, 80, 80))
    found = kernel.Kernel(table.Table([data]), costs.Costs(), given.CASH, risk.Policy("account", limits.Limits()))
    script = given.Script({0: lambda ctx: buy(ctx, 5000)})
    script.kernel = found
    found.add("script", script, given.CASH, risk.Policy("own", limits.Limits()))
    flatten = limits.Limits(max_drawdown=Fraction(8, 100), on_breach={"loss": limits.Breach.FLATTEN})
    found.agenda.add(given.instant(3.5), agenda.CONTROL, control.PolicyChange(risk.Policy("new", flatten)))
    found.run()
    assert [one.role for one in found.orders] == ["order", "flatten"]
