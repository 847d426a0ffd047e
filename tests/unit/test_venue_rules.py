"""What the venue refuses of a new order: one test per rule, with status, code, message and fields."""

import dataclasses
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradeplane_engine.domain import numbers, orders
from tradeplane_engine.venue import form, margin, refusals, rules, ticket

BUY, SELL = orders.Side.BUY, orders.Side.SELL
ONE = numbers.ONE_SHARE
AAPL = ticket.Asset(symbol="AAPL")
RICH = ticket.AccountView(
    equity=numbers.money("100000"), cash=numbers.money("100000"), buying_power=numbers.money("200000")
)
LONG = dataclasses.replace(RICH, position=10 * ONE)
SHORT = dataclasses.replace(RICH, position=-10 * ONE)


def usd(text: str) -> int:
    """A price in units of 1e-4."""
    return numbers.price(text)


OPEN = ticket.Market(quote=margin.Quote(last=usd("100"), bid=usd("99.99"), ask=usd("100.01")))


def order(side: orders.Side = BUY, shares: float = 1, **words: Any) -> ticket.Request:
    """A wanted order; a market day order for whole shares by default."""
    return ticket.Request(side=side, **{"quantity": int(shares * ONE), **words})


def refused(
    request: ticket.Request,
    *,
    asset: ticket.Asset = AAPL,
    account: ticket.AccountView = RICH,
    market: ticket.Market = OPEN,
) -> tuple[int, int, str]:
    """Status, code and message of an order that must be refused."""
    found = rules.refusal(request, asset, account, market)
    assert found is not None
    return (found.status, found.code, found.message)


def accepted(
    request: ticket.Request,
    *,
    asset: ticket.Asset = AAPL,
    account: ticket.AccountView = RICH,
    market: ticket.Market = OPEN,
) -> bool:
    """Whether an order is taken."""
    return rules.refusal(request, asset, account, market) is None


def exits(profit: str = "", loss: str = "", **words: Any) -> dict[str, Any]:
    """Prices of the exits of a bracket."""
    return {
        "order_class": "bracket",
        "take_profit": usd(profit) if profit else 0,
        "stop_loss": usd(loss) if loss else 0,
        **words,
    }


LIMIT = {"kind": "limit", "limit": usd("99")}

MALFORMED: list[tuple[ticket.Request, str]] = [
    (order(shares=0), "qty or notional is required"),
    (order(shares=-1), "qty or notional is required"),
    (order(notional=numbers.money("10")), "only one of qty or notional is accepted"),
    (order(kind="iceberg"), f"type must be one of {list(ticket.KINDS)}, got 'iceberg'"),
    (order(time_in_force="gtd"), f"time_in_force must be one of {list(ticket.TIMES_IN_FORCE)}, got 'gtd'"),
    (order(order_class="combo"), f"order_class must be one of {list(ticket.CLASSES)}, got 'combo'"),
    (order(intent="open"), f"position_intent must be one of {list(ticket.INTENTS)}, got 'open'"),
    (order(kind="limit"), "limit orders require limit_price"),
    (order(kind="stop"), "stop orders require stop_price"),
    (order(kind="stop_limit", limit=usd("99")), "stop_limit orders require stop_price"),
    (order(kind="trailing_stop"), "trailing_stop orders require one of trail_price and trail_percent"),
    (
        order(kind="trailing_stop", trail=usd("1"), trail_bps=100),
        "trailing_stop orders require one of trail_price and trail_percent",
    ),
    (order(limit=usd("99")), "market orders must not have limit_price"),
    (order(stop=usd("99")), "market orders must not have stop_price"),
    (order(**LIMIT, trail=usd("1")), "limit orders must not have trail_price"),
    (order(**LIMIT, trail_bps=1), "limit orders must not have trail_percent"),
    (order(take_profit=usd("110")), "simple orders must not have take_profit or stop_loss"),
    (order(kind="limit", limit=-1), "limit_price must be positive"),
    (order(client_order_id="x" * 129), "client_order_id must be a text of at most 128 characters"),
]


@pytest.mark.parametrize("request_,message", MALFORMED)
def test_an_order_that_cannot_be_read_is_malformed(request_: ticket.Request, message: str) -> None:
    """422 with code 40010001 and what is wrong."""
    assert refused(request_) == (422, 40010001, message)


UNPROCESSABLE: list[tuple[ticket.Request, str]] = [
    (order(order_class="mleg"), "order class mleg is not offered: US equities only"),
    (
        ticket.Request(side=BUY, notional=numbers.money("50"), kind="limit", limit=usd("99")),
        "notional orders must be market orders",
    ),
    (order(shares=0.5, time_in_force="gtc"), "fractional orders must be DAY orders"),
    (
        ticket.Request(side=BUY, notional=numbers.money("50"), time_in_force="gtc"),
        "fractional orders must be DAY orders",
    ),
    (order(shares=0.5, **exits("110", "90")), "fractional orders must be simple orders"),
    (
        order(shares=0.5, kind="trailing_stop", trail=usd("1")),
        "fractional orders must be market, limit, stop, or stop_limit orders",
    ),
    (order(SELL, 0.5), "fractional orders cannot be sold short"),
    *(
        (order(kind="stop", stop=usd("101"), time_in_force=word), f"{word} orders must be market or limit orders")
        for word in ("opg", "cls", "ioc", "fok")
    ),
    (
        order(kind="trailing_stop", trail=usd("1"), **exits("110", "90")),
        "trailing_stop orders must be simple orders",
    ),
    (order(extended=True), "extended hours order must be DAY limit orders"),
    (order(**LIMIT, extended=True, time_in_force="gtc"), "extended hours order must be DAY limit orders"),
    (
        order(kind="trailing_stop", trail=usd("1"), extended=True),
        "extended hours order must be DAY limit orders",
    ),
    (order(**LIMIT, **exits("110", "90", extended=True)), "extended hours order must be DAY limit orders"),
    (order(**exits("110", "90", time_in_force="ioc")), "bracket orders must be DAY or GTC orders"),
    (order(**exits(loss="90")), "bracket orders require take_profit.limit_price"),
    (order(**exits("110")), "bracket orders require stop_loss.stop_price"),
    (order(**exits("110", order_class="oco")), "oco orders require stop_loss.stop_price"),
    (
        order(**exits("110", "90", order_class="oto")),
        "oto orders require one of take_profit.limit_price and stop_loss.stop_price",
    ),
    (
        order(**exits("110", order_class="oto", stop_loss_limit=usd("90"))),
        "stop_loss.limit_price requires stop_loss.stop_price",
    ),
    (order(**exits("110", "90", order_class="oco")), "oco orders must be limit orders"),
    (
        order(kind="limit", limit=usd("99.001")),
        "invalid limit_price 99.001. sub-penny increment does not fulfill minimum pricing criteria",
    ),
    (
        order(kind="stop", stop=usd("101.0001")),
        "invalid stop_price 101.0001. sub-penny increment does not fulfill minimum pricing criteria",
    ),
    (
        order(**exits("110.005", "90")),
        "invalid take_profit.limit_price 110.005. sub-penny increment does not fulfill minimum pricing criteria",
    ),
    (
        order(intent="sell_to_close"),
        "position_intent must be buy_to_open for this order, got sell_to_close",
    ),
    (order(kind="limit", **exits("110", "90", order_class="oco")), "oco orders must be exit orders"),
]


@pytest.mark.parametrize("request_,message", UNPROCESSABLE)
def test_an_order_that_cannot_be_carried_out_is_named(request_: ticket.Request, message: str) -> None:
    """422 with code 42210000 and the rule."""
    assert refused(request_) == (422, 42210000, message)


LEGAL = [
    order(),
    order(shares=0.5),
    ticket.Request(side=BUY, notional=numbers.money("50")),
    order(shares=0.25, kind="limit", limit=usd("99")),
    order(shares=0.25, kind="stop_limit", limit=usd("102"), stop=usd("101")),
    order(kind="limit", limit=usd("0.9999"), shares=2),
    order(kind="trailing_stop", trail=usd("1"), time_in_force="gtc"),
    order(kind="trailing_stop", trail_bps=150),
    order(**LIMIT, extended=True),
    order(time_in_force="ioc"),
    order(**LIMIT, time_in_force="fok"),
    order(**exits("110", "90")),
    order(**exits("110", "90", stop_loss_limit=usd("89"), time_in_force="gtc")),
    order(**exits(loss="90", order_class="oto")),
    order(SELL, **exits("90", "110")),
    order(SELL),
    order(intent="buy_to_open", client_order_id="x" * 128),
]


@pytest.mark.parametrize("request_", LEGAL)
def test_what_is_legal_is_accepted(request_: ticket.Request) -> None:
    """A rich flat account may send every legal combination."""
    assert accepted(request_)


@pytest.mark.parametrize(
    "change,message",
    [
        ({"asset_class": "crypto"}, "asset class crypto is not offered: US equities in USD only"),
        ({"asset_class": "us_option"}, "asset class us_option is not offered: US equities in USD only"),
        ({"currency": "EUR"}, "currency EUR is not offered: US equities in USD only"),
        ({"active": False}, 'asset "AAPL" is not active'),
        ({"tradable": False}, 'asset "AAPL" is not tradable'),
    ],
)
def test_an_asset_that_is_not_offered_is_refused_by_name(change: dict[str, Any], message: str) -> None:
    """422 with code 42210000."""
    assert refused(order(), asset=dataclasses.replace(AAPL, **change)) == (422, 42210000, message)


def test_an_unknown_symbol_is_refused() -> None:
    """422 with the symbol."""
    assert rules.unknown("NOPE") == refusals.Refusal(422, 42210000, 'asset "NOPE" not found')


def test_an_asset_that_is_not_fractionable_takes_whole_shares_only() -> None:
    """403 with code 40310000, by shares and by money."""
    whole = dataclasses.replace(AAPL, fractionable=False)
    expected = (403, 40310000, 'asset "AAPL" is not fractionable')
    assert refused(order(shares=0.5), asset=whole) == expected
    assert refused(ticket.Request(side=BUY, notional=numbers.money("50")), asset=whole) == expected
    assert accepted(order(), asset=whole)


def test_an_account_without_fractional_trading_is_refused_fractions() -> None:
    """The account's own switch has the same answer."""
    account = dataclasses.replace(RICH, fractional_enabled=False)
    assert refused(order(shares=0.5), account=account)[2] == 'asset "AAPL" is not fractionable'


def test_a_blocked_account_may_not_trade() -> None:
    """403, whatever the order."""
    blocked = dataclasses.replace(LONG, blocked=True)
    assert refused(order(SELL), account=blocked) == (403, 40310000, "account is not authorized to trade")


def test_a_client_order_id_is_used_once() -> None:
    """422 with code 40010001."""
    account = dataclasses.replace(RICH, used_ids=frozenset({"a-1"}))
    assert refused(order(client_order_id="a-1"), account=account) == (422, 40010001, "client_order_id must be unique")
    assert accepted(order(client_order_id="a-2"), account=account)


@pytest.mark.parametrize("word", ["opg", "cls", "ioc", "fok"])
def test_special_times_in_force_need_a_permission(word: str) -> None:
    """403 for an account that does not have it."""
    account = dataclasses.replace(RICH, special_times=False)
    assert refused(order(time_in_force=word), account=account) == (
        403,
        40310000,
        f"account is not entitled to {word} orders",
    )


@pytest.mark.parametrize(
    "word,minute,message",
    [
        ("opg", 9 * 60 + 27, ""),
        ("opg", 9 * 60 + 28, "opg orders are not accepted between 09:28 and 19:00"),
        ("opg", 19 * 60 - 1, "opg orders are not accepted between 09:28 and 19:00"),
        ("opg", 19 * 60, ""),
        ("cls", 15 * 60 + 49, ""),
        ("cls", 15 * 60 + 50, "cls orders are not accepted between 15:50 and 19:00"),
        ("cls", 19 * 60 - 1, "cls orders are not accepted between 15:50 and 19:00"),
        ("cls", 19 * 60, ""),
    ],
)
def test_auctions_take_orders_in_their_windows(word: str, minute: int, message: str) -> None:
    """The last minute before the window is served, the first within is refused."""
    market = dataclasses.replace(OPEN, minute=minute)
    if message:
        assert refused(order(time_in_force=word), market=market) == (422, 42210000, message)
    else:
        assert accepted(order(time_in_force=word), market=market)


def test_the_closing_auction_of_a_half_day_ends_earlier() -> None:
    """With a close at 13:00 the window starts at 12:50; on a day without a session there is none."""
    half = dataclasses.replace(OPEN, minute=12 * 60 + 50, close_minute=13 * 60)
    assert refused(order(time_in_force="cls"), market=half)[2].startswith("cls orders are not accepted between 12:50")
    assert accepted(order(time_in_force="cls"), market=dataclasses.replace(half, trading_day=False))


def test_extended_hours_take_gtc_orders_where_that_is_switched_on() -> None:
    """Guides and API document differ, so it is a switch."""
    gtc = order(**LIMIT, extended=True, time_in_force="gtc")
    assert accepted(gtc, market=dataclasses.replace(OPEN, extended_gtc=True))


def test_a_hard_to_borrow_asset_takes_day_orders_only() -> None:
    """Even a protective stop on a long may not be GTC."""
    hard = dataclasses.replace(AAPL, easy_to_borrow=False)
    stop = order(SELL, kind="stop", stop=usd("95"), time_in_force="gtc")
    assert refused(stop, asset=hard, account=LONG) == (
        422,
        42210000,
        'only day orders are allowed for hard-to-borrow asset "AAPL"',
    )
    assert accepted(dataclasses.replace(stop, time_in_force="day"), asset=hard, account=LONG)


@pytest.mark.parametrize("word", ["bracket", "oto"])
def test_a_bracket_must_enter(word: str) -> None:
    """An order that closes a position carries no exits."""
    wanted = exits(loss="110", order_class=word) if word == "oto" else exits("90", "110")
    assert refused(order(SELL, **wanted), account=LONG) == (422, 42210000, f"{word} orders must be entry orders")


def test_an_oco_closes_a_position() -> None:
    """Limit above, stop below a long; accepted with the shares, refused without."""
    oco = order(SELL, 10, kind="limit", **exits("110", "90", order_class="oco"))
    assert accepted(oco, account=LONG)
    assert refused(oco)[2] == "oco orders must be exit orders"


@pytest.mark.parametrize(
    "request_,message,base",
    [
        (order(**exits("110", "100")), "stop_loss.stop_price must be <= base_price - 0.01", "100"),
        (order(**exits("100", "90")), "take_profit.limit_price must be >= base_price + 0.01", "100"),
        (order(SELL, **exits("90", "100")), "stop_loss.stop_price must be >= base_price + 0.01", "100"),
        (order(SELL, **exits("100", "110")), "take_profit.limit_price must be <= base_price - 0.01", "100"),
        (order(**LIMIT, **exits("110", "99")), "stop_loss.stop_price must be <= base_price - 0.01", "99"),
        (order(**LIMIT, **exits("99", "90")), "take_profit.limit_price must be >= base_price + 0.01", "99"),
        (
            order(kind="limit", limit=usd("105"), **exits("110", "102")),
            "stop_loss.stop_price must be <= base_price - 0.01",
            "100",
        ),
    ],
)
def test_an_exit_on_the_wrong_side_names_its_base_price(request_: ticket.Request, message: str, base: str) -> None:
    """422 with code 42210000 and the price that was compared with: the market's or the entry's."""
    found = rules.refusal(request_, AAPL, RICH, OPEN)
    assert found == refusals.Refusal(422, 42210000, message, {"base_price": base})


def test_an_exit_needs_a_whole_cent_on_every_side() -> None:
    """Of a long and of a short, one cent from the base price is enough for both exits."""
    assert accepted(order(**exits("100.01", "99.99")))
    assert accepted(order(SELL, **exits("99.99", "100.01")))
    tight = ticket.Market(quote=margin.Quote(last=100, ask=100))
    coarse = dataclasses.replace(AAPL, digits=0)
    assert accepted(order(order_class="bracket", take_profit=101, stop_loss=99), asset=coarse, market=tight)


@pytest.mark.parametrize("loss,ok", [("98.98", True), ("98.99", True), ("99", False)])
def test_an_exit_needs_a_whole_cent(loss: str, ok: bool) -> None:
    """One cent from the entry is enough."""
    assert accepted(order(**LIMIT, **exits("110", loss))) is ok


def test_the_stop_of_an_oco_lies_below_its_take_profit() -> None:
    """The take-profit is the base price of an OCO when it is the nearer one."""
    oco = order(SELL, 10, kind="limit", **exits("95", "96", order_class="oco"))
    found = rules.refusal(oco, AAPL, LONG, OPEN)
    assert found is not None
    assert found.extra == {"base_price": "95"}


def waiting(side: orders.Side, kind: str = "market", limit: str = "", order_class: str = "simple") -> ticket.OpenOrder:
    """An open order of the symbol."""
    return ticket.OpenOrder("order-1", side, kind, usd(limit) if limit else 0, order_class)


@pytest.mark.parametrize(
    "request_,resting,washes",
    [
        (order(**LIMIT), waiting(SELL), True),
        (order(**LIMIT), waiting(SELL, "stop"), True),
        (order(), waiting(SELL, "limit", "110"), True),
        (order(kind="stop", stop=usd("101")), waiting(SELL, "limit", "110"), True),
        (order(**LIMIT), waiting(SELL, "limit", "99"), True),
        (order(**LIMIT), waiting(SELL, "limit", "98.99"), True),
        (order(**LIMIT), waiting(SELL, "limit", "99.01"), False),
        (order(**LIMIT), waiting(SELL, "stop_limit", "98"), True),
        (order(**LIMIT), waiting(BUY), False),
        (order(), waiting(SELL, "limit", "90", "oco"), False),
        (order(), waiting(SELL, "trailing_stop"), False),
        (order(**exits("110", "90")), waiting(SELL), False),
        (order(kind="trailing_stop", trail=usd("1")), waiting(SELL), False),
    ],
)
def test_wash_trades_are_refused(request_: ticket.Request, resting: ticket.OpenOrder, washes: bool) -> None:
    """An opposite order that could meet this one refuses it; limits that cannot cross and complex orders do not."""
    account = dataclasses.replace(LONG, position=0, open_orders=(resting,))
    found = rules.refusal(request_, AAPL, account, OPEN)
    assert (found is not None) is washes
    if found is not None:
        assert (found.status, found.code, found.message) == (
            403,
            40310000,
            "potential wash trade detected. use complex orders",
        )
        word = resting.kind.replace("_", " ")
        assert found.extra == {
            "existing_order_id": "order-1",
            "reject_reason": f"opposite side {word} order exists",
        }


def test_shares_promised_to_open_orders_are_not_available() -> None:
    """403 with what there is, what is held for orders and what was asked."""
    account = dataclasses.replace(LONG, held=6 * ONE)
    found = rules.refusal(order(SELL, 5), AAPL, account, OPEN)
    assert found == refusals.Refusal(
        403,
        40310000,
        "insufficient qty available for order (requested: 5, available: 4)",
        {"available": "4", "existing_qty": "10", "held_for_orders": "6", "symbol": "AAPL"},
    )
    assert accepted(order(SELL, 4), account=account)


def test_a_position_is_not_flipped_in_one_order() -> None:
    """Selling eleven of ten, or covering eleven of ten, is refused."""
    assert refused(order(SELL, 11), account=LONG)[2].endswith("(requested: 11, available: 10)")
    assert refused(order(BUY, 11), account=SHORT)[2].endswith("(requested: 11, available: 10)")


def test_an_amount_to_sell_is_turned_into_shares() -> None:
    """1,000 USD are the ten shares at 100, one cent more is not there."""
    exact = ticket.Request(side=SELL, notional=numbers.money("1000"))
    assert accepted(exact, account=LONG)
    more = dataclasses.replace(exact, notional=numbers.money("1000.01"))
    assert refused(more, account=LONG)[2].startswith("insufficient qty available")


def test_a_restricted_account_may_only_close() -> None:
    """A position above 600 % of equity ends new purchases, not sales."""
    account = dataclasses.replace(LONG, closing_only=True)
    assert refused(order(), account=account) == (
        403,
        40310000,
        "account is restricted to closing orders: a position is above 600 % of equity",
    )
    assert accepted(order(SELL), account=account)


@pytest.mark.parametrize("change", [{"shorting_enabled": False}, {"equity": numbers.money("1999.999999999")}])
def test_an_account_that_may_not_short_is_refused(change: dict[str, Any]) -> None:
    """Shorting switched off, or less than 2,000 USD of equity."""
    account = dataclasses.replace(RICH, **change)
    assert refused(order(SELL), account=account) == (403, 40310000, "account is not allowed to short")
    assert accepted(order(), account=account)


@pytest.mark.parametrize("change", [{"shortable": False}, {"easy_to_borrow": False}])
def test_an_asset_that_cannot_be_borrowed_is_not_shorted(change: dict[str, Any]) -> None:
    """422; a purchase of the same asset is fine."""
    asset = dataclasses.replace(AAPL, **change)
    assert refused(order(SELL), asset=asset) == (422, 42210000, 'asset "AAPL" cannot be sold short')
    assert accepted(order(), asset=asset)


def test_a_market_without_a_price_takes_no_opening_order() -> None:
    """Unknown means no; a limit is its own price, and what is held can be sold."""
    blind = dataclasses.replace(OPEN, quote=margin.Quote())
    assert refused(order(), market=blind) == (422, 42210000, 'no price of asset "AAPL" is known')
    assert accepted(order(**LIMIT), market=blind)
    assert accepted(order(SELL), account=LONG, market=blind)


def test_an_order_is_worth_a_dollar() -> None:
    """403 below it, for shares and for money; a rest of a position may be sold."""
    expected = (403, 40310000, "cost basis must be >= minimal amount of order 1")
    assert refused(order(shares=0.009)) == expected
    assert refused(ticket.Request(side=BUY, notional=numbers.money("0.99"))) == expected
    assert accepted(order(shares=0.01))
    assert accepted(ticket.Request(side=BUY, notional=numbers.money("1")))
    assert accepted(order(SELL, 0.009), account=LONG)


def test_buying_power_limits_the_cost() -> None:
    """Ten shares at the ask of 100.01 need 1,000.10; a cent less is refused with both figures."""
    exact = dataclasses.replace(RICH, buying_power=numbers.money("1000.10"))
    assert accepted(order(shares=10), account=exact)
    found = rules.refusal(
        order(shares=10), AAPL, dataclasses.replace(RICH, buying_power=numbers.money("1000.09")), OPEN
    )
    assert found == refusals.Refusal(
        403, 40310000, "insufficient buying power", {"buying_power": "1000.09", "cost_basis": "1000.1"}
    )


@pytest.mark.parametrize(
    "request_,reserved",
    [
        (order(shares=10), "1000.1"),
        (order(shares=10, **LIMIT), "990"),
        (order(shares=10, kind="stop", stop=usd("102")), "1045.5"),
        (order(shares=10, kind="stop_limit", stop=usd("102"), limit=usd("103")), "1030"),
        (order(shares=10, kind="trailing_stop", trail=usd("2")), "1045.603"),
        (order(SELL, 10), "1030.103"),
        (order(SELL, 10, kind="limit", limit=usd("110")), "1100"),
        (order(SELL, 10, **LIMIT), "1030.103"),
        (ticket.Request(side=BUY, notional=numbers.money("50")), "50"),
    ],
)
def test_an_order_reserves_its_value(request_: ticket.Request, reserved: str) -> None:
    """Limit times shares; the ask for a market buy; 2.5 % over a buy stop, rounded up; 3 % over the ask for a short."""
    assert rules.reserve(request_, AAPL, RICH, OPEN) == numbers.money(reserved)


def test_an_asset_without_credit_takes_the_whole_multiple() -> None:
    """Of 4,000 USD of buying power at 2x only 2,000 buy what is not marginable."""
    account = dataclasses.replace(RICH, buying_power=numbers.money("4000"), factor=margin.REG_T)
    asset = dataclasses.replace(AAPL, marginable=False)
    assert accepted(order(shares=20, kind="limit", limit=usd("100")), asset=asset, account=account)
    assert not accepted(order(shares=21, kind="limit", limit=usd("100")), asset=asset, account=account)


def test_closing_needs_no_buying_power() -> None:
    """An account under water can still sell and cover."""
    broke = {"buying_power": -1, "equity": -1}
    assert accepted(order(SELL, 10), account=dataclasses.replace(LONG, **broke))
    assert accepted(order(BUY, 10), account=dataclasses.replace(SHORT, **broke))


def test_the_first_refusal_wins() -> None:
    """An inactive asset is named before the malformed order, that before the blocked account."""
    broken = order(shares=0)
    blocked = dataclasses.replace(RICH, blocked=True)
    assert refused(broken, asset=dataclasses.replace(AAPL, active=False), account=blocked)[2].endswith("not active")
    assert refused(broken, account=blocked)[2] == "qty or notional is required"


@pytest.mark.parametrize(
    "price,digits,ok",
    [
        (10000, 4, True),
        (9999, 4, True),
        (10001, 4, False),
        (10100, 4, True),
        (99995, 5, False),
        (99990, 5, True),
        (1234567891, 9, False),
        (1230000000, 9, True),
        (999900000, 9, True),
        (999910000, 9, False),
        (3, 2, True),
    ],
)
def test_increments_hold_for_any_decimals_of_a_price(price: int, digits: int, ok: bool) -> None:
    """Two decimals from one dollar on, four below, whatever the unit."""
    assert (form.increment("limit_price", price, digits) is None) is ok


MONEY = st.integers(min_value=0, max_value=10**15)
ANY = st.builds(
    ticket.Request,
    side=st.sampled_from((BUY, SELL)),
    quantity=st.one_of(st.integers(-1, 50).map(lambda n: n * ONE), st.integers(0, 10**11)),
    notional=st.sampled_from((0, 0, 0, numbers.money("50"))),
    kind=st.sampled_from((*ticket.KINDS, "market", "limit")),
    time_in_force=st.sampled_from((*ticket.TIMES_IN_FORCE, "day", "day")),
    limit=st.sampled_from((0, 0, usd("99"), usd("101"), usd("99.001"))),
    stop=st.sampled_from((0, 0, usd("101"))),
    trail=st.sampled_from((0, 0, usd("1"))),
    trail_bps=st.sampled_from((0, 0, 50)),
    order_class=st.sampled_from((*ticket.CLASSES, "simple", "simple")),
    take_profit=st.sampled_from((0, 0, usd("110"))),
    stop_loss=st.sampled_from((0, 0, usd("90"))),
    stop_loss_limit=st.sampled_from((0, 0, usd("89"))),
    extended=st.booleans(),
    intent=st.sampled_from(("", "", "buy_to_open", "sell_to_open")),
)
POSITIONS = st.sampled_from((-10 * ONE, 0, 10 * ONE, 10 * ONE + 1))


LEGAL_OF_ANY_SIZE = st.builds(
    lambda one, shares: one if one.notional else dataclasses.replace(one, quantity=shares * one.quantity),
    st.sampled_from(LEGAL),
    st.integers(1, 400),
)


@given(st.one_of(ANY, LEGAL_OF_ANY_SIZE), POSITIONS, MONEY, MONEY)
def test_more_buying_power_never_refuses_more(request_: ticket.Request, position: int, power: int, more: int) -> None:
    """What is accepted stays accepted with more."""
    account = dataclasses.replace(RICH, position=position, buying_power=power)
    richer = dataclasses.replace(account, buying_power=power + more)
    assert accepted(request_, account=richer) or not accepted(request_, account=account)


@given(LEGAL_OF_ANY_SIZE, MONEY)
def test_what_is_accepted_fits_the_buying_power(request_: ticket.Request, power: int) -> None:
    """An opening order is accepted exactly when what it reserves is free."""
    account = dataclasses.replace(RICH, buying_power=power)
    assert accepted(request_, account=account) is (rules.reserve(request_, AAPL, account, OPEN) <= power)


@given(
    st.sampled_from((BUY, SELL)),
    st.one_of(st.integers(1, 50).map(lambda n: n * ONE), st.integers(1, 10**11)),
    POSITIONS,
    MONEY,
    st.integers(1, 10**7),
    st.integers(0, 100),
)
def test_the_short_way_never_takes_what_the_chain_refuses(
    side: orders.Side, quantity: int, position: int, power: int, last: int, spread: int
) -> None:
    """``surely_accepted`` implies no refusal."""
    market = ticket.Market(quote=margin.Quote(last=last, bid=last, ask=last + spread))
    account = dataclasses.replace(RICH, position=position, buying_power=power)
    request_ = ticket.Request(side=side, quantity=quantity)
    sure = rules.surely_accepted(
        side=side,
        quantity=quantity,
        cost=quantity * last // 10**4,
        value=margin.value_up(margin.order_price(side, market.quote), quantity, 4),
        position=position,
        buying_power=power,
    )
    assert accepted(request_, account=account, market=market) or not sure


@given(ANY)
def test_a_plain_order_has_no_fault_of_form(request_: ticket.Request) -> None:
    """The short way through the form rules answers what the long way does."""
    assert form._of_shape.__wrapped__(form.shape(request_)) is None or not form.plain(request_)
