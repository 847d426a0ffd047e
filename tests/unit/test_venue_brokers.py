"""An account at the venue in a run: buying power, settlement, shorts, interest, borrow fees."""

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support import engine_brokers as venue
from support import engine_orders, engine_runs
from tradeplane_engine import errors, simulation, strategy
from tradeplane_engine.core import kernel, log
from tradeplane_engine.domain import orders
from tradeplane_engine.venue import accounts, margin, rates, rules, ticket

USD = 10**9
POOR = "40310000: insufficient buying power"
CASH = accounts.Account("cash")
MARGIN = accounts.Account()


def buy(shares: Any, **how: Any) -> Any:
    """Want to buy."""
    return lambda ctx: ctx.order("S", "buy", shares, **how)


def sell(shares: Any, **how: Any) -> Any:
    """Want to sell."""
    return lambda ctx: ctx.order("S", "sell", shares, **how)


def both(*plans: Any) -> Any:
    """Want several things at once."""
    return lambda ctx: [plan(ctx) for plan in plans]


def test_a_cash_account_buys_what_its_cash_pays() -> None:
    """A thousand shares at 100 USD are 100,000 USD; one more is too much, and is said with the broker's words."""
    heard: list[tuple[str, str]] = []
    found, _ = venue.run(
        venue.at(100, 100, 100),
        {0: both(buy(1001), buy(1000))},
        CASH,
        hook=lambda _, update: heard.append((update.event, update.reason)),
    )
    assert venue.refused(found) == [POOR]
    assert heard[0] == ("rejected", f"{POOR}, buying_power 100000, cost_basis 100100")
    assert found.account.book.ledger.cash == 0


def test_open_orders_reserve_until_they_end() -> None:
    """The second buy waits for the first one's cancel."""
    plan = {0: buy(900, kind="limit", limit=100 * venue.DOLLAR, time_in_force="gtc"), 1: buy(900), 3: buy(900)}
    plan[2] = lambda ctx: ctx.cancel(ctx.open_orders()[0])
    found, script = venue.run(venue.at(100, 101, 101, 101, 101), plan, CASH)
    assert venue.refused(found) == [POOR]
    assert [(number, minute) for number, minute, *_ in script.fills] == [(2, 4)]


def test_an_execution_that_cash_cannot_pay_is_rejected() -> None:
    """Valued at 100 USD, the open is at 101: 1,000 shares cost 1,000 USD more than there is."""
    found, script = venue.run(venue.at(100, 101, 101), {0: buy(1000)}, CASH)
    assert engine_orders.statuses(found) == ["rejected"]
    assert found.orders[0].reason == POOR
    assert script.events(1) == ["new", "rejected"]
    allowed, _ = venue.run(venue.at(100, 101, 101), {0: buy(1000)}, accounts.Account("cash", overdraft=True))
    assert allowed.account.book.ledger.cash == -1000 * USD


def test_an_execution_costs_its_fees_too() -> None:
    """1,000 shares at 100 USD are all the cash; the cent of the audit trail's fee is more than that."""
    data, plan = venue.at(100, 100, 100), {0: buy(1000)}
    found, _ = venue.run(data, plan, CASH, schedule=rates.UNITED_STATES)
    assert engine_orders.statuses(found) == ["rejected"]
    free, _ = venue.run(data, plan, CASH)
    assert engine_orders.statuses(free) == ["filled"]


def test_the_rest_of_an_order_that_cash_cannot_pay_is_cancelled() -> None:
    """What has filled stays."""
    found, _ = venue.run(
        venue.at(100, 100, 101), {0: buy(1000)}, CASH, participation=Fraction(1, 2)
    )  # 500 shares of each bar
    assert engine_orders.statuses(found) == ["canceled"]
    assert found.account.book.ledger.quantities[0] == 500 * USD


def test_a_cash_account_sells_nothing_short() -> None:
    """Nor beyond what it holds, in one order across zero."""
    found, _ = venue.run(venue.at(100, 100, 100), {0: sell(1), 1: buy(10), 2: sell(11)}, CASH)
    assert venue.refused(found) == ["40310000: account is not allowed to short"] * 2


def test_settled_money_alone_buys_where_the_account_says_so() -> None:
    """The proceeds of Thursday's sale settle on Monday, the second session later in January 2020."""
    minutes = [low + step for low, _ in venue.HOURS[:4] for step in range(3)]
    plan = {0: buy(1000), 1: sell(1000), 2: buy(10), 5: buy(10), 7: buy(10)}
    data = venue.at(*[100] * 12, minutes=minutes)
    found, script = venue.run(data, plan, accounts.Account("cash", settled_only=True), sessions=venue.SESSIONS)
    assert venue.refused(found) == [POOR, POOR]
    assert [minute for _, minute, *_ in script.fills] == [minutes[1], minutes[2], minutes[8]]
    free, _ = venue.run(data, plan, CASH, sessions=venue.SESSIONS)
    assert venue.refused(free) == []


def test_a_margin_account_buys_for_twice_its_equity() -> None:
    """2,000 shares at 100 USD on 100,000 USD; the position's own margin is taken from the next order's."""
    found, _ = venue.run(
        venue.at(100, 100, 100, 100), {0: both(buy(2001), buy(1500)), 1: both(buy(501), buy(500))}, MARGIN
    )
    assert venue.refused(found) == [POOR, POOR]
    assert found.account.book.ledger.cash == -100_000 * USD


def test_four_times_within_a_session_from_the_days_start() -> None:
    """Outside of it, or under 2,000 USD of equity, it is less."""
    intraday = accounts.Account(multiplier=4)
    low, high = venue.HOURS[1]
    data = venue.at(*[100] * 4, minutes=[low, low + 1, high - 1, high + 9])
    plan = {0: both(buy(4001), buy(10)), 2: both(buy(2001), buy(1990))}
    found, _ = venue.run(data, plan, intraday, sessions=venue.SESSIONS)
    assert venue.refused(found) == [POOR, POOR]
    poor, _ = venue.run(venue.at(100, 100), {0: both(buy(20), buy(19))}, intraday, cash=1_999)
    assert venue.refused(poor) == [POOR]


def test_what_is_not_marginable_takes_the_whole_multiple() -> None:
    """1,000 shares where 2,000 would pass."""
    found, _ = venue.run(
        venue.at(100, 100), {0: both(buy(1001), buy(1000))}, accounts.Account(unmarginable=frozenset({"S"}))
    )
    assert venue.refused(found) == [POOR]


def test_a_short_is_valued_three_per_cent_over_the_ask() -> None:
    """1,941 shares at 103 USD are 199,923 USD."""
    found, _ = venue.run(venue.at(100, 100), {0: both(sell(1942), sell(1941))}, MARGIN)
    assert venue.refused(found) == [POOR]


@pytest.mark.parametrize(
    "account,cash,words",
    [
        (accounts.Account(hard_to_borrow=frozenset({"S"})), 100_000, '42210000: asset "S" cannot be sold short'),
        (accounts.Account(shorting=False), 100_000, "40310000: account is not allowed to short"),
        (MARGIN, 1_999, "40310000: account is not allowed to short"),
    ],
)
def test_a_short_that_nobody_lends_is_refused(account: accounts.Account, cash: int, words: str) -> None:
    """The symbol is hard to borrow, or the account may not."""
    found, _ = venue.run(venue.at(100, 100), {0: sell(1)}, account, cash=cash)
    assert venue.refused(found) == [words]


def test_what_crosses_zero_reserves_for_the_part_that_opens() -> None:
    """Ten are held; a sale of 1,010 opens a short of 1,000 valued at 103 USD: 103,000 of some 200,000 USD are taken."""
    plan = {
        0: buy(10),
        2: both(
            sell(1010, kind="limit", limit=101 * venue.DOLLAR, time_in_force="gtc"),
            buy(980),
            buy(950, kind="limit", limit=99 * venue.DOLLAR),
        ),
    }
    found, _ = venue.run(venue.at(*[100] * 5), plan, MARGIN)
    assert venue.refused(found) == [POOR]


def test_covering_a_short_needs_no_buying_power() -> None:
    """It was reserved when the short was opened."""
    found, _ = venue.run(venue.at(100, 100, 190, 190), {0: sell(900), 2: buy(900)}, MARGIN)
    assert venue.refused(found) == []
    assert found.account.book.ledger.quantities[0] == 0


def test_a_day_costs_interest_on_the_settled_debit() -> None:
    """150,000 USD of stock on 100,000 USD at 7.2 % a year are 10 USD a day once the purchase has settled.

    Bought on Friday the third, settled on Tuesday, the second session later in 2020.
    """
    account = accounts.Account(interest_bps=Fraction(720))
    data = venue.at(*[100] * 5, minutes=[low for low, _ in venue.HOURS])
    found, _ = venue.run(data, {0: buy(1500, time_in_force="gtc")}, account, sessions=venue.SESSIONS)
    assert venue.entries(found, "interest") == [(7 * venue.DAY, 0, -10 * USD)]
    assert found.account.book.ledger.other == -10 * USD


def test_every_day_costs_interest_weekends_too() -> None:
    """From the Tuesday on which it has settled to the next Monday."""
    account = accounts.Account(interest_bps=Fraction(720))
    data = venue.at(*[100] * 12, minutes=[venue.DAY * day + 900 for day in range(1, 13)])
    found, _ = venue.run(data, {0: buy(1500)}, account)
    assert [minute / venue.DAY for minute, *_ in venue.entries(found, "interest")] == [7, 8, 9, 10, 11, 12]


def test_a_short_costs_its_borrow_fee_by_symbol() -> None:
    """100 shares at 100 USD: 36 % a year are 10 USD a day; the other symbol has its own rate."""
    days = [venue.DAY * day + 900 for day in range(4)]
    data = [venue.at(*[100] * 4, minutes=days, symbol=symbol) for symbol in ("A", "S")]
    account = accounts.Account(borrow_bps=Fraction(3600), borrow={"A": Fraction(0)})
    plan = {("A", 0): lambda ctx: ctx.order("A", "sell", 100), ("S", 0): sell(100)}
    found, _ = venue.run(data, plan, account)
    assert [(minute / venue.DAY, amount) for minute, _, amount in venue.entries(found, "borrow")] == [
        (2.0, -10 * USD),
        (3.0, -10 * USD),
    ]


def test_a_margin_call_is_flagged() -> None:
    """2,000 shares at 100 USD fall to 60: equity 20,000 USD, and 36,000 USD must be there."""
    days = [venue.DAY * day + 900 for day in range(4)]
    found, _ = venue.run(venue.at(100, 100, 60, 60, minutes=days), {0: buy(2000)}, MARGIN)
    flags = [row for row in found.log.rows().tolist() if row[0] == log.FLAG]
    assert [list(found.log.reasons)[row[6]] for row in flags] == ["margin-call"]


def test_what_a_day_costs_is_divided_by_what_each_strategy_owes() -> None:
    """Exactly, and the rest goes to the first."""
    assert accounts.shared(10, [1, 0, 2]) == [4, 0, 6]
    assert accounts.shared(1, [0, 3, 3]) == [0, 1, 0]
    assert accounts.shared(5, [0, 0]) == [0, 0]


@given(st.integers(0, 10**18), st.lists(st.integers(0, 10**18), min_size=1, max_size=5))
def test_shares_add_up(amount: int, weights: list[int]) -> None:
    """Nobody pays without a weight, and nothing is lost where somebody has one."""
    parts = accounts.shared(amount, weights)
    assert sum(parts) == (amount if any(weights) else 0)
    assert all(part == 0 or weight for part, weight in zip(parts, weights, strict=True))


@pytest.mark.parametrize(
    "given_,named",
    [
        ({"kind": "loan"}, "account.kind"),
        ({"multiplier": 3}, "account.multiplier"),
        ({"settled_only": True}, "account.settled_only"),
        ({"overdraft": True}, "account.overdraft"),
        ({"interest_bps": Fraction(-1)}, "account.interest_bps"),
        ({"borrow": {"S": 0.5}}, "account.borrow.S"),
        ({"leverage": {"S": 4}}, "account.leverage.S"),
    ],
)
def test_an_account_that_is_none_is_refused_by_name(given_: dict[str, Any], named: str) -> None:
    """The field, the limit and the value."""
    with pytest.raises(errors.ValueRefused, match=named):
        accounts.Account(**given_)


# Properties.


def wild(account: accounts.Account, seed: int, *, check: Any = None, cash: int = 20_000) -> kernel.Kernel:
    """Orders of every kind at random on bars that jump, over several days."""
    rng = np.random.default_rng(seed)
    minutes = [venue.DAY * (number // 6) + 900 + number % 6 for number in range(60)]
    prices = (100 * np.exp(np.cumsum(rng.normal(0, 0.03, 60)))).tolist()
    bars = []
    for price in prices:
        low, high = sorted(price * factor for factor in (1 + rng.normal(0, 0.02), 1 + rng.normal(0, 0.02)))
        low, high = min(low, price), max(high, price)
        bars.append(tuple(round(each * venue.DOLLAR) for each in (price, high, low, (low + high) / 2)))
    data = engine_orders.bars(*bars, minutes=minutes)

    def act(ctx: Any) -> None:
        side = "buy" if rng.random() < 0.5 else "sell"
        shares = int(rng.integers(1, 300))
        kind = ("market", "limit", "stop")[int(rng.integers(3))]
        near = round(ctx.close("S") * (1 + rng.normal(0, 0.02)))
        prices = {"limit": near} if kind == "limit" else {"stop": near} if kind == "stop" else {}
        if rng.random() < 0.2:
            for order in ctx.open_orders():
                ctx.cancel(order)
        ctx.order("S", side, shares, kind, "gtc", **prices)

    found, _ = venue.run(
        data,
        dict.fromkeys(range(60), act),
        account,
        cash=cash,
        fee_bps=Fraction(2),
        schedule=rates.UNITED_STATES,
        check=check,
        participation=Fraction(1, 5),
    )
    return found


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.booleans())
def test_the_cash_of_a_cash_account_never_falls_below_zero(seed: int, settled: bool) -> None:
    """After every event, fees included; and what it holds is never short."""

    def solvent(found: kernel.Kernel) -> None:
        ledger = found.account.book.ledger
        assert ledger.cash >= 0
        assert ledger.quantities[0] >= 0

    found = wild(accounts.Account("cash", settled_only=settled), seed, check=solvent)
    assert len(found.orders) > 5


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([2, 4]))
def test_the_books_add_up_after_every_event(seed: int, multiplier: int) -> None:
    """Fees, borrow fees, interest: cash is what the entries say, and the account is what its strategies are."""

    def conserved(found: kernel.Kernel) -> None:
        whole, part = found.account.book.ledger, found.slots[0].scope.book.ledger
        for ledger in (whole, part):
            ledger.check()
        residue = found.flow.accrual.residue
        assert whole.cash == part.cash - residue
        assert (whole.other, whole.realised) == (part.other, part.realised)

    account = accounts.Account(multiplier=multiplier, interest_bps=Fraction(900), borrow_bps=Fraction(1200))
    found = wild(account, seed, check=conserved)
    booked = [row for row in found.log.rows().tolist() if row[0] == log.ENTRY]
    words = list(found.log.reasons)
    ledger = found.account.book.ledger
    assert ledger.other == sum(row[5] for row in booked if words[row[6]] in {"interest", "borrow"})
    fills = sum(row[7] for row in found.log.rows().tolist() if row[0] == log.FILL)
    assert ledger.fees == fills - sum(row[5] for row in booked if words[row[6]] == "fees")


MONEY = st.integers(-(10**15), 10**15)


@given(
    st.sampled_from([1, -1]),
    st.integers(1, 10**5),
    st.integers(-(10**4), 10**4),
    MONEY,
    MONEY,
    st.integers(0, 10**15),
    st.integers(0, 10**15),
)
def test_less_money_never_allows_more(
    side: int, shares: int, held: int, equity: int, less: int, power: int, fewer: int
) -> None:
    """An order that passes with less equity and less buying power passes with more."""
    request = ticket.Request(side=orders.Side.BUY if side > 0 else orders.Side.SELL, quantity=shares * USD)
    market = ticket.Market(quote=margin.Quote(last=10**6, bid=10**6, ask=10**6))

    def passes(own: int, free: int) -> bool:
        view = ticket.AccountView(equity=own, cash=own, buying_power=free, position=held * USD)
        return rules.money_refusal(request, ticket.Asset(symbol="S"), view, market) is None

    if passes(min(equity, less), min(power, fewer)):
        assert passes(max(equity, less), max(power, fewer))


# Modes.


class Sized(strategy.Strategy):
    """Long or short of so many shares."""

    class Parameters(strategy.Strategy.Parameters):
        """How many."""

        shares: int

    parameters: Parameters


class Crossing(Sized):
    """Bar by bar."""

    def on_start(self, ctx: Any) -> None:
        """Declare both averages."""
        self.fast, self.slow = ctx.indicator("sma", 20), ctx.indicator("sma", 50)

    def on_bar(self, ctx: Any, bar: Any) -> None:
        """Say what is wanted."""
        shares = self.parameters.shares
        ctx.target(bar.symbol, shares=shares if self.fast > self.slow else -shares)


class Followed(Sized):
    """The same as a column."""

    def on_start(self, ctx: Any) -> None:
        """Say what is wanted at every bar."""

        def wish(table: Any) -> Any:
            close, shares = table.columns["close"], self.parameters.shares
            sums = {window: np.convolve(close, np.ones(window, dtype=np.int64))[: len(close)] for window in (20, 50)}
            found = np.where(50 * sums[20] > 20 * sums[50], shares, -shares).astype(np.int64)
            return found, np.array([49], dtype=np.int64)

        ctx.follow(wish)


@pytest.mark.parametrize("ruled", [False, True])
@pytest.mark.parametrize("shares,kind", [(100, log.ENTRY), (390, log.REFUSED)])
def test_a_followed_column_meets_the_same_account(shares: int, kind: int, ruled: bool) -> None:
    """Bar by bar and as a column: the same log, refusals and days included."""
    logs = []
    data = engine_runs.walk("S", 3000, seed=5)
    limits = simulation.risk_limits.Limits(allow_short=True)
    for one in (Crossing, Followed):
        found = simulation.Backtest(
            [data],
            [simulation.Allocation(one, capital=20_000, name="one", parameters={"shares": shares}, limits=limits)],
            limits=limits,
            account=accounts.Account(borrow_bps=Fraction(500), interest_bps=Fraction(500)),
            venue=simulation.venue_settings.Venue(rules="alpaca" if ruled else None),
            examine=False,
        ).run()
        logs.append(found.log.tolist())
    assert logs[0] == logs[1]
    assert {kind, log.FILL} <= {row[0] for row in logs[0]}


def test_a_run_without_an_account_is_as_before() -> None:
    """It lends without end, and its identity says nothing of accounts."""
    data = engine_runs.walk("S", 100, seed=5)
    found = simulation.Backtest([data], engine_runs.Cross, cash=100, examine=False)
    assert "account" not in found.prepare().settings
    with_account = simulation.Backtest([data], engine_runs.Cross, cash=100, account=CASH, examine=False)
    assert with_account.prepare().settings["account"]["kind"] == "cash"
    assert found.run().hash != with_account.run().hash
