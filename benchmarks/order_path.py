"""What one order costs, from the strategy's call to both ledgers: the difference of two runs over the same bars.

One strategy orders a share at each bar, buying and selling in turn; the other only looks at the bar. Between them lie
the decision, both risk chains, the market, the fill in both ledgers, the event log and both order updates.
"""

import statistics
import time

import crossing
import made_up
import numpy as np

from tradeplane_engine import core
from tradeplane_engine.core import context, costs, kernel, risk, table
from tradeplane_engine.data import columns

_BARS = 100_000
_ROUNDS = 5
_CASH = 10_000_000 * 10**9


class Looks(crossing.Hearing):
    """Orders nothing."""

    def on_start(self, ctx: context.Context) -> None:  # noqa: ARG002 - a hook
        """Hold nothing."""
        self.held = 0

    def on_bar(self, ctx: context.Context, bar: table.Bar) -> None:  # noqa: ARG002 - a hook
        """Change its mind."""
        self.held = 1 - self.held


class Orders(Looks):
    """Orders at each bar."""

    def on_bar(self, ctx: context.Context, bar: table.Bar) -> None:
        """Change its mind, and say so."""
        self.held = 1 - self.held
        ctx.target(bar.symbol, shares=self.held)


def measure(seed: int) -> dict[str, object]:
    """Return microseconds of CPU per order: the median over rounds, in which both runs alternate."""
    floats = made_up.walk(_BARS, seed)
    ts = np.arange(_BARS, dtype=np.int64) * 60_000_000_000
    series = columns.imported(columns.Raw("S", {"ts": ts, **floats}), columns.Settings()).series
    taken: dict[type[Looks], list[float]] = {Looks: [], Orders: []}
    orders = 0
    for _ in range(_ROUNDS):
        for strategy, times in taken.items():
            policy = risk.Policy("loose", crossing.LIMITS)
            run = kernel.Kernel(table.Table([series]), costs.Costs(commission_bps=crossing.FEE_BPS), _CASH, policy)
            run.add("bench", strategy(), _CASH, policy)
            start = time.process_time()
            run.run()
            times.append(time.process_time() - start)
            orders = max(orders, run.account.book.ledger.fills)
    pairs = zip(taken[Looks], taken[Orders], strict=True)
    spent = statistics.median(with_orders - without for without, with_orders in pairs)
    return {
        "order_us": round(spent / orders * 1e6, 3),
        "orders": orders,
        "rounds": _ROUNDS,
        "compiled": core.compiled(),
    }
