"""Whatever is ordered, a venue that was started again many times shows what one does that never stopped."""

import pathlib
import random
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import pytest

from support import conformance
from support import simulator as support
from tradeplane_engine.domain import numbers, orders, times
from tradeplane_engine.venue import profile
from tradeplane_simulator import book, commands, dataset, errors, simulator, store, working

KINDS = ("market", "limit", "stop", "stop_limit", "trailing_stop")
STEPS = 60


class Nobody:
    """An audience that does not listen."""

    def trade_updates(self, account: str, updates: Sequence[book.Update]) -> None:
        """Hear nothing."""

    async def market_data(self, after: times.Nanos, until: times.Nanos) -> None:
        """Hear nothing."""

    async def flush(self) -> None:
        """Wait for nobody."""


def wanted(choose: random.Random, number: int) -> book.Request:
    """Some order around 100, of any type and class."""
    side = choose.choice([orders.Side.BUY, orders.Side.SELL])
    up = 1 if side is orders.Side.BUY else -1

    def price(distance: int) -> numbers.Price:
        return numbers.price(f"{100 + up * distance * choose.randrange(1, 5) / 2:.2f}")

    kind = choose.choice(KINDS)
    order_class = choose.choice(["simple", "simple", "bracket", "oto", "oco"])
    has_limit, has_stop = kind in {"limit", "stop_limit"}, kind in {"stop", "stop_limit"}
    exits = {"take_profit": price(4), "stop_loss": price(-4)}
    if order_class == "oco":
        kind, has_limit, has_stop = "limit", False, False
        exits = {"take_profit": price(-3), "stop_loss": price(3)}
    if order_class == "oto":
        exits.pop(choose.choice(sorted(exits)))
    return book.Request(
        symbol="AAPL",
        side=side,
        quantity=numbers.Quantity(choose.randrange(1, 90) * numbers.ONE_SHARE),
        client_order_id=f"c{number}",
        kind=kind,
        time_in_force=choose.choice(["day", "gtc"]),
        limit_price=price(-1) if has_limit else numbers.Price(0),
        stop_price=price(1) if has_stop else numbers.Price(0),
        trail_price=numbers.price("1") if kind == "trailing_stop" else numbers.Price(0),
        order_class="simple" if kind == "trailing_stop" else order_class,
        **({} if order_class == "simple" or kind == "trailing_stop" else exits),
    )


def change(choose: random.Random, order: book.Order) -> commands.Change:
    """Some other terms for an order."""
    moved = {
        name: numbers.Price(value + choose.choice([-5000, 5000]))
        for name, value in (("limit_price", order.limit_price), ("stop_price", order.stop_price))
        if value and order.kind != "trailing_stop"
    }
    if choose.random() < 0.3:
        moved["quantity"] = numbers.Quantity(order.quantity + numbers.ONE_SHARE)
    return commands.Change(**moved)  # type: ignore[arg-type]  # quantities and prices


def act(venue: simulator.Simulator, choose: random.Random, number: int) -> None:
    """Order, replace or cancel something; what the venue refuses is refused in every run."""
    found = list(venue.desks["demo"].open_orders.values())
    try:
        if not found or choose.random() < 0.6:
            venue.submit("demo", wanted(choose, number))
        elif choose.random() < 0.6:
            order = choose.choice(found)
            venue.replace("demo", order.id, change(choose, order))
        else:
            venue.cancel("demo", choose.choice(found).id)
    except errors.Refused:
        pass


Place = tuple[support.Venue, dataset.Dataset]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """Two days of an hour's minutes around 100, read once."""
    choose = random.Random(3)  # noqa: S311 - made-up prices
    level = [f"{100 + 4 * choose.uniform(-1, 1):.2f}" for _ in range(61)]
    found = [*conformance.path("AAPL", level, volume=600), *conformance.path("AAPL", level, day=conformance.NEXT_DAY)]
    prepared = support.prepare(tmp_path_factory.mktemp("data"), minutes=found)
    return prepared, dataset.read(prepared.folder / "data")


async def run(place: Place, file: pathlib.Path, seed: int, setting: dict[str, Any], *, restarts: bool) -> list[Any]:
    """Trade two days and return everything that the state file knows in the end, and the desk."""
    prepared, data = place
    choose = random.Random(seed)  # noqa: S311 - a test's choices

    def started() -> tuple[simulator.Simulator, store.Store]:
        state = store.Store(file)
        setup = simulator.Setup(
            data=data, state=state, audience=Nobody(), **{"profile": profile.named("realistic"), **setting}
        )
        venue = simulator.Simulator(setup, clock=times.instant(prepared.clock))
        venue.open_account("demo", numbers.money("100000"))
        return venue, state

    venue, state = started()
    await venue.advance(times.instant(conformance.moment("09:31")))
    for number in range(STEPS):
        if restarts and number % 3 == 0:
            state.close()
            venue, state = started()
        act(venue, choose, number)
        await venue.advance(times.Nanos(venue.clock + choose.randrange(1, 100) * times.SECOND))
    await venue.advance(times.instant(conformance.moment("16:00", conformance.NEXT_DAY)))
    rows = state.orders(store.OrderQuery(account="demo", status="all", limit=-1, ascending=True))
    told = state.events.after("demo", 0)
    result = [rows, told, state.activities(store.ActivityQuery(account="demo", limit=-1)), venue.desks["demo"]]
    state.close()
    return result


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(
    "setting",
    [
        {},
        {"profile": profile.named("thin")},
        {"latency": 75 * times.SECOND, "partials": working.Partials(Fraction(1, 3), 5)},
    ],
    ids=["whole", "thin", "slow"],
)
async def test_check_76_restarts_change_nothing(
    place: Place, tmp_path: pathlib.Path, seed: int, setting: dict[str, Any]
) -> None:
    """Orders, events, activities and the desk are equal to the byte."""
    straight = await run(place, tmp_path / "straight", seed, setting, restarts=False)
    again = await run(place, tmp_path / "again", seed, setting, restarts=True)
    assert again == straight
    statuses = {order.status for order in straight[0]}
    assert {book.Status.FILLED, book.Status.CANCELED} <= statuses
    assert len({order.order_class for order in straight[0]}) > 1
    desk = straight[3]
    for order in straight[0]:
        assert 0 <= order.filled <= order.quantity
        assert (order.id in desk.open_orders) == (order.status in book.OPEN)
    signed = sum(order.side.sign * order.filled for order in straight[0])
    assert signed == desk.account.held("AAPL")
