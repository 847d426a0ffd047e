from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest

from support import engine_orders as given
from tradeplane_engine import errors
from tradeplane_engine.core import costs, venue_settings

MOVING = ((100, 110, 95, 105), (106, 120, 101, 115), (116, 130, 111, 125), (126, 140, 121, 135))


def buy(shares: int = 10, **rest: Any) -> Any:
    """Buy at the market."""
    return lambda ctx: ctx.order("S", "buy", shares, **rest)


def test_a_market_order_fills_at_the_next_open_by_default() -> None:
    """Decided at a bar's close, filled at the open that starts at the same instant."""
    _, script = given.run(given.bars(*MOVING), {0: buy()})
    assert script.fills == [(1, 1, 10, 106)]


def test_next_close_fills_at_the_close_of_the_bar_after_the_decision() -> None:
    """The close that the decision saw is past."""
    _, script = given.run(given.bars(*MOVING), {0: buy()}, fill_at="next_close")
    assert script.fills == [(1, 2, 10, 115)]


def test_same_close_fills_at_the_close_that_the_decision_saw() -> None:
    """It does so at the decision's own instant."""
    _, script = given.run(given.bars(*MOVING), {0: buy()}, fill_at="same_close", allow_same_close=True)
    assert script.fills == [(1, 1, 10, 105)]


def test_same_close_of_a_bar_that_ended_before_waits_for_the_next_close() -> None:
    """A decision at another symbol's bar never fills at a stale close."""
    data = [given.bars(*MOVING, symbol="A"), given.bars(*MOVING[:2], minutes=[0, 3])]
    _, script = given.run(data, {("A", 1): buy()}, fill_at="same_close", allow_same_close=True)
    assert script.fills == [(1, 4, 10, 115)]


@pytest.mark.parametrize(
    "settings,field",
    [
        ({"fill_at": "book", "participation": Fraction(1)}, "participation"),
        ({"fill_at": "book", "volume_share": Fraction(1)}, "volume_share"),
        ({"fill_at": "close"}, "fill_at"),
        ({"fill_at": "same_close"}, "fill_at"),
        ({"fill_at": "same_close", "allow_same_close": True, "latency": 1}, "latency"),
        ({"path": "random"}, "path"),
        ({"limit_rule": "near"}, "limit_rule"),
        ({"latency": -1}, "latency"),
        ({"latency": 1.5}, "latency"),
        ({"latency": "1s"}, "latency"),
        ({"halts": {"S": [(0, 1.5)]}}, "halts.S"),
        ({"halts": {"S": 5}}, "halts.S"),
        ({"halts": [("S", 0, 1)]}, "halts"),
        ({"participation": Fraction(0)}, "participation"),
        ({"participation": Fraction(3, 2)}, "participation"),
        ({"slippage_bps": Fraction(-1)}, "slippage_bps"),
        ({"volume_share": Fraction(-1)}, "volume_share"),
        ({"at_end": "fill"}, "at_end"),
        ({"participation": 0.1}, "participation"),
        ({"participation": Decimal("NaN")}, "participation"),
        ({"slippage_bps": 1.5}, "slippage_bps"),
        ({"slippage_bps": None}, "slippage_bps"),
        ({"volume_share": 0.1}, "volume_share"),
        ({"sessions": 5}, "sessions"),
        ({"impact": 5}, "impact"),
    ],
)
def test_a_setting_that_the_venue_does_not_know_is_refused_by_name(settings: dict[str, Any], field: str) -> None:
    """The error names the setting."""
    with pytest.raises(errors.ValueRefused) as caught:
        venue_settings.Venue(**settings)
    assert caught.value.field == field


def test_rates_are_exact_in_whatever_type_they_are_given() -> None:
    """An int and a Decimal are the fraction that they say; a float, which is none, is refused by name."""
    venue = venue_settings.Venue(participation=Decimal("0.1"), slippage_bps=2, volume_share=Decimal("0.25"))  # type: ignore[arg-type]
    assert venue == venue_settings.Venue(
        participation=Fraction(1, 10), slippage_bps=Fraction(2), volume_share=Fraction(1, 4)
    )
    assert costs.Costs(commission_bps=Decimal("0.5"), half_spread_bps=1).half_spread_bps == Fraction(1)
    for name in ("commission_bps", "half_spread_bps"):
        with pytest.raises(errors.ValueRefused, match=f"^{name}: must be an int, a Fraction or a Decimal, got 1.0$"):
            costs.Costs(**{name: 1.0})


def test_latency_lets_the_open_of_the_same_instant_pass() -> None:
    """With one nanosecond of latency the first open is the next bar's."""
    found, script = given.run(given.bars(*MOVING), {0: buy()}, latency=1)
    assert script.fills == [(1, 2, 10, 116)]
    assert found.orders[0].live_from == given.instant(1) + 1


def test_latency_that_ends_at_an_open_meets_it() -> None:
    """The venue has the order when the bar starts."""
    _, script = given.run(given.bars(*MOVING), {0: buy()}, latency=given.MINUTE)
    assert script.fills == [(1, 2, 10, 116)]


def test_latency_that_ends_at_a_close_misses_it() -> None:
    """A close is made before its instant."""
    _, script = given.run(given.bars(*MOVING), {0: buy()}, latency=given.MINUTE, fill_at="next_close")
    assert script.fills == [(1, 3, 10, 125)]


@pytest.mark.parametrize("fill_at", ["next_open", "next_close"])
@pytest.mark.parametrize("latency", [0, 1, 30, 60, 61, 119])
def test_no_fill_is_before_decision_and_latency(fill_at: str, latency: int) -> None:
    """Whatever the order's kind, its first fill is at or after the instant at which the venue has it."""
    plan = {
        0: lambda ctx: [
            ctx.order("S", "buy", 1),
            ctx.order("S", "buy", 1, "limit", "gtc", limit=125),
            ctx.order("S", "sell", 1, "stop", "gtc", stop=125),
        ]
    }
    found, script = given.run(given.bars(*MOVING), plan, latency=latency * 10**9, fill_at=fill_at)
    assert len(script.fills) == 3
    for number, minute, *_ in script.fills:
        assert given.instant(minute) >= found.orders[number - 1].created + latency * 10**9


def test_an_order_never_fills_on_a_bar_that_began_before_it() -> None:
    """A bar of another symbol that is under way fills nothing, wherever its path went."""
    data = [
        given.bars(*MOVING, symbol="A"),
        given.bars((200, 200, 50, 200), (180, 181, 179, 180), length=10, minutes=[0, 10]),
    ]
    plan = {("S", 0): lambda ctx: ctx.order("S", "buy", 1, "limit", "gtc", limit=100)}
    _, script = given.run(data, plan)
    assert script.fills == []


def test_a_bar_that_becomes_known_late_fills_when_it_ends() -> None:
    """The venue does not wait until a strategy may see the bar."""
    data = given.bars((100, 100, 100, 100), (100, 100, 100, 100), (100, 100, 90, 100), (100, 100, 100, 100), late=1)
    _, script = given.run(data, {0: lambda ctx: ctx.order("S", "buy", 1, "limit", "gtc", limit=95)})
    assert script.fills == [(1, 3, 1, 95)]


def test_an_order_that_a_fill_at_an_open_led_to_finds_that_open_past() -> None:
    """Whichever symbol comes first, what is ordered on a fill at an open waits for the next one."""
    for first, second in (("A", "B"), ("B", "A")):
        data = [given.bars(*MOVING, symbol=name) for name in ("A", "B")]

        done: list[int] = []

        def once(ctx: Any, update: Any, name: str = second, done: list[int] = done) -> None:
            if update.event == "fill" and not done:
                done.append(1)
                ctx.order(name, "buy", 1)

        _, script = given.run(data, {(first, 0): lambda ctx, name=first: ctx.order(name, "buy", 1)}, hook=once)
        assert [fill[:2] for fill in script.fills] == [(1, 1), (2, 2)]


def test_a_stop_that_a_fill_at_an_open_led_to_works_on_the_rest_of_that_bar() -> None:
    """Without latency the venue has it just after the open."""
    data = given.bars((100, 100, 100, 100), (100, 101, 90, 95), (95, 95, 95, 95))

    def protect(ctx: Any, update: Any) -> None:
        if update.event == "fill" and update.order.id == 1:
            ctx.order("S", "sell", 10, "stop", "gtc", stop=97)

    _, script = given.run(data, {0: buy()}, hook=protect)
    assert script.fills == [(1, 1, 10, 100), (2, 2, 10, 97)]


def test_fills_at_one_instant_come_in_the_sequence_of_order_ids() -> None:
    """Over all symbols, not symbol by symbol."""
    data = [given.bars(*MOVING, symbol=name) for name in ("A", "B")]
    plan = {("B", 1): lambda ctx: [ctx.order(name, "buy", 1) for name in ("B", "A", "B", "A")]}
    found, script = given.run(data, plan)
    assert [number for number, *_ in script.fills] == [1, 2, 3, 4]
    assert [found.table.symbols[one.symbol] for one in found.orders] == ["B", "A", "B", "A"]


def test_a_market_order_on_the_last_bar_stays_open_and_is_reported() -> None:
    """The end of the data fills nothing and cancels nothing."""
    found, script = given.run(given.bars(*MOVING), {3: buy()})
    assert (script.fills, [one.id for one in found.open_orders]) == ([], [1])


def test_half_a_spread_moves_a_fill_against_the_trader() -> None:
    """Rounded to the next unit against the trader."""
    plan = {0: lambda ctx: [ctx.order("S", "buy", 1), ctx.order("S", "sell", 1)]}
    _, script = given.run(given.bars(*((10_000,) * 4,) * 2), plan, spread=Fraction(3, 2))
    assert [fill[3] for fill in script.fills] == [10_002, 9_998]


def test_slippage_adds_to_the_spread_and_is_rounded_once() -> None:
    """1.5 and 0.5 basis points of 10,000 units are exactly 2."""
    plan = {0: lambda ctx: [ctx.order("S", "buy", 1), ctx.order("S", "sell", 1)]}
    _, script = given.run(given.bars(*((10_000,) * 4,) * 2), plan, spread=Fraction(3, 2), slippage_bps=Fraction(1, 2))
    assert [fill[3] for fill in script.fills] == [10_002, 9_998]


def test_volume_share_slippage_grows_with_the_square_of_the_share() -> None:
    """A tenth of the bar's volume with k = 1/10 moves the price by a thousandth; twice that by four times as much."""
    for shares, price in ((100, 10_010), (200, 10_040)):
        _, script = given.run(given.bars(*((10_000,) * 4,) * 2), {0: buy(shares)}, volume_share=Fraction(1, 10))
        assert script.fills[0][3] == price


def test_volume_share_slippage_is_rounded_against_the_trader() -> None:
    """A twentieth of the volume moves 10,000 units by 2.5."""
    plan = {0: lambda ctx: [ctx.order("S", "buy", 50), ctx.order("S", "sell", 50)]}
    _, script = given.run(given.bars(*((10_000,) * 4,) * 2), plan, volume_share=Fraction(1, 10))
    assert [fill[3] for fill in script.fills] == [10_003, 9_997]


def test_volume_share_slippage_of_a_bar_without_volume_is_that_of_the_whole_bar() -> None:
    """More than all of the volume cannot be taken."""
    data = given.bars((10_000,) * 4, (10_000, 10_000, 10_000, 10_000, 0))
    _, script = given.run(data, {0: buy(100)}, volume_share=Fraction(1, 10))
    assert script.fills[0][3] == 11_000


def test_the_impact_hook_sees_the_fill_and_moves_its_price() -> None:
    """It gets side, quantity, the bar's volume and the price so far, and answers in units against the trader."""
    asked = []

    def impact(side: int, quantity: int, volume: int, price: int) -> int:
        asked.append((side, quantity, volume, price))
        return 7

    plan = {0: lambda ctx: [ctx.order("S", "buy", 1), ctx.order("S", "sell", 2)]}
    _, script = given.run(given.bars(*((10_000,) * 4,) * 2), plan, impact=impact)
    assert asked == [(1, 10**9, 1000, 10_000), (-1, 2 * 10**9, 1000, 10_000)]
    assert [fill[3] for fill in script.fills] == [10_007, 9_993]


@pytest.mark.parametrize("answer", [1.0, True, -1, None])
def test_an_impact_hook_that_answers_no_units_is_refused(answer: Any) -> None:
    """A float would enter the ledger, and a negative impact would pay for trading."""
    with pytest.raises(errors.ValueRefused, match="impact"):
        given.run(given.bars(*MOVING), {0: buy()}, impact=lambda *_: answer)


def test_a_participation_cap_fills_part_by_part_and_carries_the_rest_over() -> None:
    """A fifth of each bar's volume, whole shares, until nothing is left."""
    data = given.bars(*((100, 100, 100, 100, volume) for volume in (0, 100, 4, 52, 1000)))
    _, script = given.run(data, {0: buy(35)}, participation=Fraction(1, 5))
    assert script.fills == [(1, 1, 20, 100), (1, 3, 10, 100), (1, 4, 5, 100)]
    assert script.events(1) == ["new", "partial_fill", "partial_fill", "fill"]


def test_a_participation_cap_may_cut_shares() -> None:
    """Where the venue trades fractions the cap is exact to 1e-9 share."""
    data = given.bars(*((100, 100, 100, 100, volume) for volume in (0, 4, 52)))
    _, script = given.run(data, {0: buy(2)}, participation=Fraction(1, 5), whole_shares=False)
    assert script.fills == [(1, 1, 0.8, 100), (1, 2, 1.2, 100)]


def test_orders_share_a_bars_volume_in_the_sequence_of_their_ids() -> None:
    """What the first takes the second cannot have, at the open and on the path."""
    plan = {
        0: lambda ctx: [
            ctx.order("S", "buy", 60),
            ctx.order("S", "buy", 60),
            ctx.order("S", "buy", 60, "limit", "gtc", limit=96),
        ]
    }
    data = given.bars((100,) * 4, (100, 100, 90, 100, 1000), (100, 100, 90, 100, 1000))
    _, script = given.run(data, plan, participation=Fraction(1, 10))
    assert script.fills == [(1, 1, 60, 100), (2, 1, 40, 100), (2, 2, 20, 100), (3, 3, 60, 96)]


def test_a_hook_that_orders_on_every_word_is_stopped() -> None:
    """An endless answer to itself names the strategy instead of hanging."""
    with pytest.raises(errors.StrategyFailed, match="script"):
        given.run(given.bars(*MOVING), {0: buy()}, hook=lambda ctx, _: ctx.order("S", "buy", 1))


def test_a_hook_that_raises_is_named() -> None:
    """A user's error in on_order_update is the strategy's failure, with the order."""

    def fails(ctx: Any, update: Any) -> None:  # noqa: ARG001 - a hook
        raise KeyError("mine")

    with pytest.raises(errors.StrategyFailed, match=r"script.*new of Order\(1"):
        given.run(given.bars(*MOVING), {0: buy()}, hook=fails)


@pytest.mark.parametrize("hook", ["on_start", "on_stop"])
def test_a_hook_at_either_end_of_a_run_that_raises_is_named(monkeypatch: pytest.MonkeyPatch, hook: str) -> None:
    """There is no bar to name."""

    def fails(self: Any, ctx: Any) -> None:  # noqa: ARG001 - a hook
        raise KeyError("mine")

    monkeypatch.setattr(given.Script, hook, fails, raising=False)
    with pytest.raises(errors.StrategyFailed, match=f"strategy 'script' at {hook}: KeyError: 'mine'"):
        given.run(given.bars(*MOVING), {})


@pytest.mark.parametrize(
    "wish",
    [
        lambda ctx: ctx.order("S", "buy", 1),
        lambda ctx: ctx.target("S", shares=5),
        lambda ctx: [ctx.order("S", "buy", 1), ctx.cancel(ctx.open_orders()[0])],
    ],
)
def test_what_is_ordered_when_the_run_is_over_is_refused(monkeypatch: pytest.MonkeyPatch, wish: Any) -> None:
    """It would vanish without a word."""
    monkeypatch.setattr(given.Script, "on_stop", lambda _, ctx: wish(ctx), raising=False)
    with pytest.raises(errors.ValueRefused, match=r"script\.on_stop: must be without orders"):
        given.run(given.bars(*MOVING), {0: lambda ctx: ctx.order("S", "buy", 1, "limit", "gtc", limit=1)})


def test_what_is_cancelled_when_the_run_is_over_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """An open order, and one that was wanted a moment before."""

    def stops(_: Any, ctx: Any) -> None:
        for one in (*ctx.open_orders(), ctx.order("S", "buy", 1)):
            ctx.cancel(one)

    monkeypatch.setattr(given.Script, "on_stop", stops, raising=False)
    found, _ = given.run(given.bars(*MOVING), {0: lambda ctx: ctx.order("S", "buy", 1, "limit", "gtc", limit=1)})
    assert given.statuses(found) == ["canceled"]


def test_an_order_made_on_a_word_inside_a_turn_is_judged_in_that_turn() -> None:
    """What a strategy orders on the word that its order is new, leaves at the same instant."""

    def hook(ctx: Any, update: Any) -> None:
        if update.event == "new" and update.order.id == 1:
            ctx.order("S", "buy", 2)

    _, script = given.run(given.bars(*MOVING), {0: buy(1)}, hook=hook)
    assert script.fills == [(1, 1, 1, 106), (2, 1, 2, 106)]


def spend(amount: Any, side: str = "buy") -> Any:
    """Trade an amount of USD."""
    return lambda ctx: ctx.order("S", side, notional=amount)


def test_an_amount_of_money_becomes_shares_at_the_price_of_its_fill() -> None:
    """Judged at the last close, sized at the next open, cut to 1e-9 share; it never costs more than the amount."""
    found, script = given.run(given.bars(*MOVING), {0: spend(1)})
    order = found.orders[0]
    assert order.notional == 10**9
    assert order.quantity == order.filled == 10**9 * 10_000 // 106
    assert 10**9 - 1 <= order.value <= 10**9
    assert [(minute, price) for _, minute, _, price in script.fills] == [(1, 106)]
    assert found.log.rows()[0][5] == 10**9 * 10_000 // 105


def test_what_a_volume_cap_leaves_of_an_amount_is_carried_over_in_shares() -> None:
    """The first fill decides how many shares the amount is."""
    found, script = given.run(given.bars(*MOVING), {0: spend(2)}, participation=Fraction(1, 10))
    assert [shares for *_, shares, _ in script.fills] == [100.0, pytest.approx(2e4 / 106 - 100)]
    assert found.orders[0].quantity == 2 * 10**9 * 10_000 // 106


def test_a_sale_of_an_amount_never_crosses_zero() -> None:
    """A fall between decision and fill asks for more shares than there are: all are sold, and no more."""
    data = given.bars((100, 100, 100, 100), (100, 100, 100, 100), (50, 50, 50, 50), (50, 50, 50, 50))
    found, _ = given.run(data, {0: buy(100), 1: spend(1, "sell")})
    assert found.orders[1].notional == 10**9
    assert (found.orders[1].filled, found.account.book.ledger.quantities[0]) == (100 * given.SHARE, 0)


@pytest.mark.parametrize(
    "asked,field",
    [
        ({"shares": 1, "notional": 1}, "order"),
        ({}, "order"),
        ({"notional": 0}, "notional"),
        ({"notional": 0.5}, "notional"),
        ({"notional": 1, "time_in_force": "gtc"}, "notional"),
        ({"notional": 1, "kind": "limit", "limit": 90}, "notional"),
    ],
)
def test_an_amount_that_cannot_be_traded_is_refused_by_name(asked: dict[str, Any], field: str) -> None:
    """One of shares and money, above zero, exact, at the market and for the day."""

    def ask(ctx: Any) -> None:
        with pytest.raises(errors.ValueRefused, match=field) as refused:
            ctx.order("S", "buy", **asked)
        assert refused.value.field == field

    _, script = given.run(given.bars(*MOVING), {0: ask})
    assert not script.fills
