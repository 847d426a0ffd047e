"""Runs of a plan on an account at the venue."""

from collections.abc import Callable, Iterable
from fractions import Fraction
from typing import Any

from support import engine_orders as given
from tradeplane_engine.core import costs, kernel, limits, log, risk, table, venue_settings
from tradeplane_engine.data import series
from tradeplane_engine.venue import accounts, brokers

USD = 10**9
DOLLAR = 10_000  # price units
DAY = 1440  # minutes
# 2020-01-02 and 03 are Thursday and Friday, 06 a Monday: regular hours in New York, in minutes of the run.
HOURS = tuple((DAY * day + 870, DAY * day + 1260) for day in (1, 2, 5, 6, 7))
SESSIONS = given.trading(*HOURS)


def at(*dollars: float, **settings: Any) -> series.Series:
    """Bars that stand still, each at its price."""
    return given.bars(*[(round(each * DOLLAR),) * 4 for each in dollars], **settings)


def run(
    data: series.Series | Iterable[series.Series],
    plan: given.Plan,
    account: accounts.Account,
    *,
    ruled: bool = False,
    cash: int = 100_000,
    hook: Callable[..., Any] | None = None,
    fee_bps: Fraction = Fraction(0),
    schedule: Any = None,
    check: Callable[[kernel.Kernel], Any] | None = None,
    **venue: Any,
) -> tuple[kernel.Kernel, given.Script]:
    """Run a plan with an account of so many USD; ``check`` is called whenever the strategy hears or sees something."""
    joined = [data] if isinstance(data, series.Series) else list(data)
    rules = "alpaca" if ruled else None
    found = kernel.Kernel(
        table.Table(joined),
        costs.Costs(commission_bps=fee_bps, schedule=schedule),
        cash * USD,
        risk.Policy("free", limits.Limits(allow_short=True)),
        venue_settings.Venue(rules=rules, **venue),
    )

    def heard(ctx: Any, update: kernel.Update) -> None:
        if check is not None:
            check(found)
        if hook is not None:
            hook(ctx, update)

    script = given.Script(plan, heard, None if check is None else lambda _: check(found))
    script.kernel = found
    found.add("script", script, cash * USD, risk.Policy("free", limits.Limits(allow_short=True)))
    brokers.install(found, account, ruled=ruled)
    found.run()
    script.check()
    found.account.book.ledger.check()
    return found, script


def refused(found: kernel.Kernel) -> list[str]:
    """Words of the venue's refusals before an order has a number."""
    words = list(found.log.reasons)
    rows = [row for row in found.log.rows().tolist() if row[0] == log.REFUSED]
    assert {words[row[7]] for row in rows} <= {"venue"}
    return [words[row[6]] for row in rows]


def entries(found: kernel.Kernel, word: str) -> list[tuple[float, int, int]]:
    """Minute, strategy and amount of the entries of one kind."""
    words = list(found.log.reasons)
    return [
        ((row[1] - given.START) / given.MINUTE, row[2], row[5])
        for row in found.log.rows().tolist()
        if row[0] == log.ENTRY and words[row[6]] == word
    ]
