"""One refusal of each limit, and every reaction to a breach."""

from fractions import Fraction
from typing import Any

from support.scenarios.making import FREE, MINUTE, SHARE, USD, Case, bars, plan, run, trade, usd
from tradeplane_engine import simulation
from tradeplane_engine.core import limits, risk

_RISING = bars("100", "101", "102", "103", "104", "105")
_FALLING = bars("100", "100", "98", "96", "94", "92", "90")
_PAIR = (_RISING, bars(*["50"] * 6, symbol="T"))


def _buy(shares: int, symbol: str = "S") -> Any:
    return lambda ctx: ctx.order(symbol, "buy", shares)


def _sell(shares: int, symbol: str = "S") -> Any:
    return lambda ctx: ctx.order(symbol, "sell", shares)


def _limited(data: Any = _RISING, steps: Any = None, **allowed: Any) -> Case:
    steps = steps or {0: _buy(100), 1: _buy(101), 3: _sell(50)}
    return trade(data, steps, limits=limits.Limits(**{"allow_short": True, **allowed}))


def order_notional() -> Case:
    """An order worth 10,000 passes, one worth more does not."""
    return _limited(max_notional=10_000 * USD)


def order_quantity() -> Case:
    """100 shares pass, 101 do not."""
    return _limited(max_quantity=100 * SHARE)


def order_count() -> Case:
    """A bracket counts as three open orders, and a fourth is one too many."""
    steps = {
        0: lambda ctx: ctx.bracket("S", "buy", 10, limit=usd(90), take_profit=usd(110), stop_loss=usd(80)),
        1: _buy(1),
        2: lambda ctx: ctx.cancel(ctx.open_orders()[0]),
        3: _buy(2),
    }
    return _limited(steps=steps, max_open_orders=3)


_TWO_DAYS = bars(*["100"] * 6, minutes=[0, 1, 2, 1440, 1441, 1442])


def orders_of_a_day() -> Case:
    """Two may leave each day, and a sale of what is held; a bracket is three."""
    steps = {
        0: lambda ctx: [ctx.order("S", "buy", shares) for shares in (1, 2, 3)],
        1: _sell(1),
        3: lambda ctx: ctx.bracket("S", "buy", 10, limit=usd(90), take_profit=usd(110), stop_loss=usd(80)),
        4: _buy(4),
    }
    return _limited(_TWO_DAYS, steps, max_orders_per_day=2)


def notional_of_a_day() -> Case:
    """10,000 USD each day; what is cut to pass counts for what it was cut to."""
    steps = {0: _buy(60), 1: _buy(60), 2: _buy(1), 3: _buy(101), 4: _sell(20)}
    return _limited(_TWO_DAYS, steps, max_notional_per_day=10_000 * USD, on_breach={"order": limits.Breach.CLIP})


def collar_of_prices() -> Case:
    """A limit may be one per cent worse than the last close, and a stop's limit than its stop."""
    steps = {
        0: lambda ctx: [ctx.order("S", "buy", 1, "limit", limit=usd(price)) for price in (101, "101.01", 50)],
        1: lambda ctx: [
            ctx.order("S", "sell", 1, "stop_limit", stop=usd(90), limit=usd(price)) for price in ("89.1", 89)
        ],
    }
    return _limited(steps=steps, collar_bps=100)


def restricted_symbol() -> Case:
    """Nobody buys T; S is free."""
    return _limited(_PAIR, {0: _buy(1), 2: _buy(1, "T")}, restricted=("T",))


def position_weight() -> Case:
    """A tenth of equity in one symbol."""
    return _limited(max_weight=Fraction(1, 10))


def position_notional() -> Case:
    """The whole position at the last close, working orders counted."""
    return _limited(
        steps={0: lambda ctx: [ctx.order("S", "buy", 60) for _ in "ab"]}, max_position_notional=10_000 * USD
    )


def short_is_refused() -> Case:
    """Without leave to short a sale of more than is held does not pass."""
    return trade(_RISING, {0: _buy(10), 2: _sell(11), 3: _sell(10)}, limits=limits.Limits())


def portfolio_gross() -> Case:
    """A short adds to gross as a long does."""
    return _limited(_PAIR, {0: _buy(300), 2: _sell(700, "T"), 4: _sell(300, "T")}, max_gross=Fraction(1, 2))


def portfolio_net() -> Case:
    """A short takes away from net, and then more longs pass."""
    return _limited(_PAIR, {0: _buy(300), 1: _buy(300), 2: _sell(300, "T"), 5: _buy(100)}, max_net=Fraction(2, 5))


def portfolio_positions() -> Case:
    """One symbol at a time."""
    return _limited(_PAIR, {0: _buy(10), 2: _buy(10, "T"), 4: _sell(10), 8: _buy(10, "T")}, max_positions=1)


def portfolio_concentration() -> Case:
    """Squared weights add up."""
    return _limited(_PAIR, {0: _buy(300), 2: _buy(600, "T"), 4: _buy(100, "T")}, max_concentration=Fraction(1, 8))


def loss_of_a_day() -> Case:
    """Below a twentieth of the equity at the session's open nothing is added; what reduces passes."""
    steps = {0: _buy(900), 5: lambda ctx: [ctx.order("S", "buy", 1), ctx.order("S", "sell", 100)]}
    return _limited(_FALLING, steps, max_daily_loss=Fraction(1, 20))


def loss_from_the_peak() -> Case:
    """The drawdown counts from the highest equity."""
    data = bars("100", "100", "110", "108", "106", "104")
    return _limited(data, {0: _buy(500), 2: _buy(10), 4: _buy(11), 5: _buy(12)}, max_drawdown=Fraction(1, 100))


def losses_in_a_row() -> Case:
    """After two losing trades no third one begins."""
    steps = {0: _buy(10), 1: _sell(10), 2: _buy(10), 3: _sell(10), 5: _buy(10)}
    return _limited(_FALLING, steps, max_consecutive_losses=2)


def data_that_is_too_old() -> Case:
    """A symbol whose last bar ended four minutes ago is not ordered."""
    data = [_RISING, bars("50", "50", symbol="T")]
    return _limited(data, {("S", 3): _buy(10, "T"), ("S", 5): _buy(11, "T")}, max_bar_age=3 * MINUTE)


def symbol_without_a_price() -> Case:
    """A symbol that has not had a bar yet is not ordered."""
    data = [_RISING, bars("50", "51", symbol="T", minutes=[3, 4])]
    return _limited(data, {("S", 0): _buy(10, "T"), ("T", 0): _buy(10, "T")})


def _reacts(action: limits.Breach, steps: Any = None, **allowed: Any) -> Case:
    family = "loss" if "max_drawdown" in allowed else "order"
    return _limited(_FALLING, steps, **allowed, on_breach={family: action})


_BREACHING = {0: _buy(50), 2: lambda ctx: [ctx.order("S", "buy", 5, "limit", limit=usd(80)), ctx.order("S", "buy", 80)]}
_AFTER = {4: _buy(1), 5: _sell(10)}


def breach_is_clipped() -> Case:
    """The order is cut to the whole shares that pass."""
    return _reacts(limits.Breach.CLIP, _BREACHING | _AFTER, max_quantity=60 * SHARE)


def breach_reduces_only() -> Case:
    """What increases is cancelled and refused from then on; a sale of what is held passes."""
    return _reacts(limits.Breach.REDUCE_ONLY, _BREACHING | _AFTER, max_quantity=60 * SHARE)


def breach_flattens() -> Case:
    """Open orders are cancelled and the position is closed by the engine's own order."""
    return _reacts(limits.Breach.FLATTEN, _BREACHING | _AFTER, max_quantity=60 * SHARE)


def breach_halts() -> Case:
    """Nothing leaves any more, and the position stays."""
    return _reacts(limits.Breach.HALTED, _BREACHING | _AFTER, max_quantity=60 * SHARE)


def drawdown_flattens_without_an_order() -> Case:
    """The marks alone exceed the limit."""
    return _reacts(limits.Breach.FLATTEN, {0: _buy(500), 5: _buy(1)}, max_drawdown=Fraction(1, 50))


def states_come_and_go() -> Case:
    """Reduce-only for two minutes, then enabled, then halted for the account."""
    steps = {number: (lambda ctx: ctx.order("S", "buy", 1)) for number in range(6)}
    steps[2] = _sell(1)
    states = [(1.5, risk.REDUCE_ONLY, "plan"), (3.5, risk.ENABLED, "plan"), (4.5, risk.HALTED, None)]
    return run(_RISING, plan(steps), states=states, limits=FREE)


def own_policy_and_the_accounts() -> Case:
    """Each strategy is judged by its own policy and by the account's, which counts both."""
    strict, loose = limits.Limits(max_quantity=10 * SHARE), limits.Limits()
    made = [
        simulation.Allocation(plan({0: _buy(11), 1: _buy(10)}, name="careful"), capital=50_000, limits=strict),
        simulation.Allocation(plan({0: _buy(40), 1: _buy(40), 2: _buy(1)}, name="free"), capital=50_000, limits=loose),
    ]
    return run(_RISING, made, limits=limits.Limits(max_position_notional=9_000 * USD))
