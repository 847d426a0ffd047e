"""What a rule looks at: the wanted order, its asset, the account and the market. Frozen values, no decisions.

Shares are 1e-9, money is 1e-9 USD, prices are in units of 10^-digits USD of their asset; a price of 0 is not given.
Words are the broker's (``stop_limit``, ``gtc``).
"""

from collections.abc import Container
from dataclasses import dataclass

from tradeplane_engine.domain import numbers, orders
from tradeplane_engine.venue import margin

KINDS = ("market", "limit", "stop", "stop_limit", "trailing_stop")
TIMES_IN_FORCE = ("day", "gtc", "opg", "cls", "ioc", "fok")
CLASSES = ("simple", "bracket", "oco", "oto")
INTENTS = ("buy_to_open", "buy_to_close", "sell_to_open", "sell_to_close")


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A wanted order.

    quantity, notional : exactly one of them, positive
    trail, trail_bps : distance of a trailing stop, as a price or in basis points
    take_profit : limit of the profit-taking exit
    stop_loss, stop_loss_limit : stop, and limit after it, of the other exit
    intent : what the client says the order does, if it says so
    """

    side: orders.Side
    quantity: int = 0
    notional: int = 0
    kind: str = "market"
    time_in_force: str = "day"
    limit: int = 0
    stop: int = 0
    trail: int = 0
    trail_bps: int = 0
    order_class: str = "simple"
    take_profit: int = 0
    stop_loss: int = 0
    stop_loss_limit: int = 0
    extended: bool = False
    intent: str = ""
    client_order_id: str = ""

    @property
    def fractional(self) -> bool:
        """Whether it is not for whole shares; an amount of money is taken to be."""
        return bool(self.notional or self.quantity % numbers.ONE_SHARE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asset:
    """What may be done with a symbol; ``digits`` are the decimals of its prices here, at least 4."""

    symbol: str
    asset_class: str = "us_equity"
    currency: str = "USD"
    active: bool = True
    tradable: bool = True
    fractionable: bool = True
    shortable: bool = True
    easy_to_borrow: bool = True
    marginable: bool = True
    digits: int = numbers.PRICE_DIGITS


@dataclass(frozen=True, slots=True)
class OpenOrder:
    """An open order of the symbol, as far as a new one collides with it."""

    id: str
    side: orders.Side
    kind: str = "market"
    limit: int = 0
    order_class: str = "simple"


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountView:
    """The account, seen from one symbol.

    buying_power : free, that is less what open orders reserve
    factor : multiplier in force
    position : signed shares of the symbol
    held : shares of it that open closing orders promise already
    open_orders : of the symbol
    used_ids : client order ids that were ever used
    special_times : may use opg, cls, ioc and fok, which a live account must be permitted
    blocked : trading or the account is blocked, or suspended by its user
    closing_only : a position above 600 % of the equity restricts the account
    """

    equity: int
    cash: int
    buying_power: int
    factor: int = margin.REG_T
    position: int = 0
    held: int = 0
    open_orders: tuple[OpenOrder, ...] = ()
    used_ids: Container[str] = ()
    shorting_enabled: bool = True
    fractional_enabled: bool = True
    special_times: bool = True
    blocked: bool = False
    closing_only: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Market:
    """The symbol's market at one instant.

    phase : pre, regular, post, closed
    minute : minutes since midnight in New York
    trading_day : whether there is a session today
    close_minute : minute of today's close, earlier on half days
    extended_gtc : whether extended hours take GTC orders (guides and API document differ)
    """

    quote: margin.Quote
    phase: str = "regular"
    minute: int = 12 * 60
    trading_day: bool = True
    close_minute: int = 16 * 60
    extended_gtc: bool = False


def intent(position: int, side: orders.Side) -> str:
    """Say what an order does to the position: open or close, by buying or selling."""
    closing = position * side.sign < 0
    return f"{side.value}_to_{'close' if closing else 'open'}"
