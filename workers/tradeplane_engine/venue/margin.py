"""What an account may still buy: margin requirements, buying power and the value that an order reserves.

Source: ``alpaca-protocol.md`` section 10.2. Money is 1e-9 USD, shares are 1e-9, a price is in units of 10^-digits USD.
Every rounding goes against the trader: requirements and order values up, the worth of a long down, of a short down
(to the larger debt), buying power down.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from tradeplane_engine import errors
from tradeplane_engine.domain import numbers, orders

CASH, REG_T, INTRADAY = 1, 2, 4
MULTIPLIERS = (CASH, REG_T, INTRADAY)

MARGIN_EQUITY_MIN = 2_000 * 10**numbers.MONEY_DIGITS
_CONCENTRATION_DEBIT = 100_000 * 10**numbers.MONEY_DIGITS
_CONCENTRATED_PERCENT = 70
_RESTRICTING_PERCENT = 600

_INITIAL_PERCENT = 50
# Maintenance of a long or a short by the leverage of its fund.
_MAINTENANCE_PERCENT = {1: 30, 2: 50, 3: 75}
_FULL_PERCENT = 100
_CONCENTRATION_PERCENT = 50
# In cents per share: a long under 2.50 is wholly paid, a short has a floor per share.
_LONG_FULL_UNDER = 250
_SHORT_LOW_UNDER = 500
_SHORT_FLOOR, _SHORT_LOW_FLOOR = 500, 250

# A short is valued three per cent over the ask.
_SHORT_COLLAR = (103, 100)
# A buy stop becomes a stop-limit: four per cent over a stop under 50 USD, else two and a half.
_STOP_COLLAR, _STOP_COLLAR_LOW, _STOP_LOW_UNDER = (1025, 1000), (104, 100), 50


@dataclass(frozen=True, slots=True)
class Holding:
    """A position at a price; ``quantity`` is negative for a short, ``leverage`` that of a leveraged fund (1, 2, 3)."""

    symbol: str
    quantity: int
    price: int
    digits: int = numbers.PRICE_DIGITS
    marginable: bool = True
    leverage: int = 1

    @property
    def worth(self) -> int:
        """Signed value, rounded down."""
        unit: int = 10**self.digits
        return self.price * self.quantity // unit

    @property
    def size(self) -> int:
        """Value without its sign, rounded up."""
        return value_up(self.price, abs(self.quantity), self.digits)


@dataclass(frozen=True, slots=True)
class Standing:
    """An account at one instant; money.

    initial, maintenance : margin that its positions require
    debit : what it owes, 0 or more
    """

    cash: int
    long_value: int
    short_value: int
    initial: int
    maintenance: int

    @property
    def equity(self) -> int:
        """Cash plus positions."""
        return self.cash + self.long_value + self.short_value

    @property
    def debit(self) -> int:
        """What the account owes."""
        return max(-self.cash, 0)

    @property
    def excess(self) -> int:
        """Equity over the maintenance margin; negative is a margin call."""
        return self.equity - self.maintenance


@dataclass(frozen=True, slots=True)
class Quote:
    """What is known of a symbol's price; 0 for what is not."""

    last: int = 0
    bid: int = 0
    ask: int = 0


def standing(cash: int, holdings: Iterable[Holding]) -> Standing:
    """Value an account and add up its requirements."""
    held = tuple(one for one in holdings if one.quantity)
    debit = max(-cash, 0)
    gross = sum(one.size for one in held)
    return Standing(
        cash=cash,
        long_value=sum(one.worth for one in held if one.quantity > 0),
        short_value=sum(one.worth for one in held if one.quantity < 0),
        initial=sum(map(initial, held)),
        maintenance=sum(maintenance(one, concentrated=_concentrated(one, gross, debit)) for one in held),
    )


def initial(holding: Holding) -> int:
    """Margin to open a position: half of a marginable one, all of another; rounded up."""
    return _share(holding.size, _INITIAL_PERCENT if holding.marginable else _FULL_PERCENT)


def maintenance(holding: Holding, *, concentrated: bool = False) -> int:
    """Margin to keep a position, rounded up.

    A long needs 30 % (2x fund 50 %, 3x fund 75 %), all of it under 2.50 USD; a short the larger of that share and
    5.00 USD per share, under 5.00 USD the larger of all of it and 2.50 USD per share. A concentrated one needs at
    least half.
    """
    percent = _MAINTENANCE_PERCENT[holding.leverage] if holding.marginable else _FULL_PERCENT
    if concentrated:
        percent = max(percent, _CONCENTRATION_PERCENT)
    cents = 100 * holding.price
    unit = 10**holding.digits
    if holding.quantity > 0:
        return _share(holding.size, _FULL_PERCENT if cents < _LONG_FULL_UNDER * unit else percent)
    floor, percent = (_SHORT_LOW_FLOOR, _FULL_PERCENT) if cents < _SHORT_LOW_UNDER * unit else (_SHORT_FLOOR, percent)
    per_share = -(holding.quantity * floor // 100)
    return max(per_share, _share(holding.size, percent))


def multiplier(most: int, equity: int, *, intraday: bool) -> int:
    """Multiplier in force: ``most`` of the account's settings, 1 under 2,000 USD of equity, 4 only within a session."""
    if most not in MULTIPLIERS:
        raise errors.ValueRefused("max_margin_multiplier", f"one of {list(MULTIPLIERS)}", most)
    if equity < MARGIN_EQUITY_MIN:
        return CASH
    return most if intraday else min(most, REG_T)


def buying_power(now: Standing, factor: int, *, day_start: Standing | None = None, reserved: int = 0) -> int:
    """What new orders may cost, at least 0, less what open orders reserve.

    1: the cash. 2: twice the equity over the initial margin. 4: four times the excess over maintenance, the smaller of
    the day's start (Alpaca's published formula) and now. How Alpaca lets it move within a day is not published; the
    smaller of both never allows more than the published form, and falls with each position that is opened.
    """
    if factor == CASH:
        power = now.cash
    elif factor == REG_T:
        power = REG_T * (now.equity - now.initial)
    elif factor == INTRADAY:
        power = INTRADAY * min(now.excess, now.excess if day_start is None else day_start.excess)
    else:
        raise errors.ValueRefused("multiplier", f"one of {list(MULTIPLIERS)}", factor)
    return max(power - reserved, 0)


def order_price(
    side: orders.Side, quote: Quote, *, limit: int = 0, stop: int = 0, opens_short: bool = False, phase: str = "regular"
) -> int:
    """Price at which an order is valued; 0 when nothing is known.

    A limit is its own price (of a buy stop, :func:`stop_limit` is); a market order is taken at the far side of the
    quote in regular hours, at the midpoint in extended hours and at the last trade when closed. A short is taken at
    three per cent over the ask, or at its limit where that is higher.
    """
    market = _market_price(side, quote, phase)
    if opens_short:
        over = quote.ask or market
        collar = -(-over * _SHORT_COLLAR[0] // _SHORT_COLLAR[1])
        return max(limit, collar)
    return limit or stop or market


def stop_limit(stop: int, digits: int) -> int:
    """Limit of the stop-limit order that a buy stop becomes, rounded up."""
    over, whole = _STOP_COLLAR_LOW if stop < _STOP_LOW_UNDER * 10**digits else _STOP_COLLAR
    return -(-stop * over // whole)


def needed(value: int, factor: int, *, marginable: bool) -> int:
    """Buying power that an order of a value takes: one without credit takes the whole multiple."""
    return value if marginable else value * factor


def replacing(old: int, new: int) -> int:
    """Buying power held while an order is replaced: the larger of the two."""
    return max(old, new)


def restricted(holdings: Iterable[Holding], equity: int) -> bool:
    """Whether a position above 600 % of the equity leaves the account nothing but to close."""
    return any(100 * one.size > _RESTRICTING_PERCENT * max(equity, 0) for one in holdings if one.quantity)


def value_up(price: int, quantity: int, digits: int) -> int:
    """Value of a positive quantity in money, rounded up."""
    unit: int = 10**digits
    return -(-price * quantity // unit)


def _market_price(side: orders.Side, quote: Quote, phase: str) -> int:
    both = quote.bid and quote.ask
    if phase == "regular":
        far = quote.ask if side is orders.Side.BUY else quote.bid
        return far or quote.last
    if phase in {"pre", "post"} and both:
        return (quote.bid + quote.ask + 1) // 2
    return quote.last or quote.ask


def _share(amount: int, percent: int) -> int:
    return -(-amount * percent // 100)


def _concentrated(holding: Holding, gross: int, debit: int) -> bool:
    return debit >= _CONCENTRATION_DEBIT and 100 * holding.size >= _CONCENTRATED_PERCENT * gross
