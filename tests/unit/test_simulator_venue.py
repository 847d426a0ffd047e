"""The venue around its core: what is stored before it is told, and what a move waits for."""

import asyncio
import pathlib
import sqlite3
from collections.abc import Iterator, Sequence
from fractions import Fraction

import pytest

from support import simulator as support
from tradeplane_engine.domain import numbers, orders, times
from tradeplane_engine.venue import profile
from tradeplane_simulator import book, dataset, errors, simulator, store, working


class Listener:
    """An audience that notes what it hears, and whether the state file had it by then."""

    def __init__(self, file: pathlib.Path) -> None:
        self.heard: list[str] = []
        self.stored: list[str] = []
        self.open = asyncio.Event()
        self.open.set()
        self._file = file

    def trade_updates(self, account: str, updates: Sequence[book.Update]) -> None:
        """Note updates, and the order's status in the file as another process sees it."""
        for update in updates:
            self.heard.append(update.event)
            with sqlite3.connect(self._file) as other:
                found = other.execute("SELECT status FROM orders WHERE account = ?", (account,)).fetchone()
            self.stored.append(found[0] if found else "")

    async def market_data(self, after: times.Nanos, until: times.Nanos) -> None:  # noqa: ARG002 - a span
        """Note that there may be some."""
        self.heard.append("data")

    async def flush(self) -> None:
        """Wait until somebody reads."""
        await self.open.wait()
        self.heard.append("flush")


class Broken(store.Store):
    """A state file on a full disk, for as long as ``full`` is set."""

    full = False

    def commit(self, *arguments: object, **named: object) -> None:
        """Fail as SQLite does."""
        if self.full:
            raise sqlite3.OperationalError("database or disk is full")
        super().commit(*arguments, **named)  # type: ignore[arg-type]


@pytest.fixture
def prepared(tmp_path: pathlib.Path) -> support.Venue:
    """A dataset on disk."""
    return support.prepare(tmp_path)


@pytest.fixture
def listener(prepared: support.Venue) -> Listener:
    """An audience that reads."""
    return Listener(prepared.state_file)


@pytest.fixture
def state(prepared: support.Venue) -> Iterator[Broken]:
    """A state file that can be made to fail."""
    found = Broken(prepared.state_file)
    yield found
    found.close()


@pytest.fixture
async def venue(prepared: support.Venue, listener: Listener, state: Broken) -> simulator.Simulator:
    """A venue after the bars of its first session, with one waiting order."""
    setup = simulator.Setup(
        data=dataset.read(prepared.folder / "data"),
        profile=profile.named("realistic"),
        state=state,
        audience=listener,
    )
    found = simulator.Simulator(setup, clock=times.instant(prepared.clock))
    found.open_account("demo", numbers.money("100000"))
    await found.advance(times.instant(prepared.sessions[0].published))
    found.submit("demo", book.Request("AAPL", orders.Side.BUY, numbers.ONE_SHARE, "mine"))
    listener.heard.clear()
    listener.stored.clear()
    return found


async def test_events_are_stored_before_they_are_told(
    venue: simulator.Simulator, prepared: support.Venue, listener: Listener
) -> None:
    """Whoever hears of a fill finds it in the file."""
    await venue.advance(times.instant(prepared.sessions[1].open))
    assert listener.heard == ["new", "fill", "data", "flush", "flush"]
    assert listener.stored == ["filled", "filled"]


async def test_every_event_is_written_to_the_streams_before_the_next(
    venue: simulator.Simulator, prepared: support.Venue, listener: Listener
) -> None:
    """Fills at the open, nothing at the close, bars at their publication; a flush after each."""
    await venue.advance(times.instant(prepared.sessions[1].published))
    assert listener.heard == ["new", "fill", *["data", "flush"] * 3, "flush"]


async def test_a_move_waits_for_its_audience(
    venue: simulator.Simulator, prepared: support.Venue, listener: Listener
) -> None:
    """The clock stands at the open until the fills are written."""
    listener.open.clear()
    moving = asyncio.ensure_future(venue.advance(times.instant(prepared.sessions[1].published)))
    await asyncio.sleep(0)
    assert (venue.clock, moving.done()) == (times.instant(prepared.sessions[1].open), False)
    listener.open.set()
    await asyncio.wait_for(moving, 5)
    assert venue.clock == times.instant(prepared.sessions[1].published)


async def test_what_cannot_be_stored_did_not_happen(
    venue: simulator.Simulator, prepared: support.Venue, listener: Listener, state: Broken
) -> None:
    """A full disk stops the clock before the open and tells nobody; with room again the same move fills once."""
    before = (venue.clock, venue.desks["demo"])
    state.full = True
    with pytest.raises(sqlite3.OperationalError):
        await venue.advance(times.instant(prepared.sessions[1].open))
    with pytest.raises(sqlite3.OperationalError):
        venue.submit("demo", book.Request("IBM", orders.Side.BUY, numbers.ONE_SHARE, "other"))
    assert (before, listener.heard) == ((venue.clock, venue.desks["demo"]), [])
    state.full = False
    await venue.advance(times.instant(prepared.sessions[1].open))
    assert listener.heard == ["new", "fill", "data", "flush", "flush"]
    assert state.order("demo", client_order_id="other") is None


async def test_a_restart_knows_what_the_venue_knew(
    venue: simulator.Simulator, prepared: support.Venue, listener: Listener, state: Broken
) -> None:
    """Read back from the file, every desk is equal: cash, positions, open orders, unsettled fills and counts."""
    await venue.advance(times.instant(prepared.sessions[1].open))
    venue.submit("demo", book.Request("AAPL", orders.Side.SELL, numbers.ONE_SHARE, "sold"))
    venue.submit("demo", book.Request("MSFT", orders.Side.BUY, numbers.ONE_SHARE, "waits"))
    setup = simulator.Setup(data=venue.data, profile=venue.profile, state=state, audience=listener)
    again = simulator.Simulator(setup, clock=times.instant("2030-01-01T00:00:00Z"))
    assert (again.clock, again.desks, again.market) == (venue.clock, venue.desks, venue.market)
    assert len(again.desks["demo"].account.unsettled) == 2


async def test_a_state_file_of_other_draws_is_refused(
    venue: simulator.Simulator, prepared: support.Venue, listener: Listener, state: Broken
) -> None:
    """What had filled by then could not be found again."""
    partials = working.Partials(Fraction(1, 10), 7)
    setup = simulator.Setup(data=venue.data, profile=venue.profile, state=state, audience=listener, partials=partials)
    with pytest.raises(errors.StateRefused, match="venue profile realistic, got realistic, 1/10 in parts, seed 7"):
        simulator.Simulator(setup, clock=times.instant(prepared.clock))


def test_a_state_file_of_another_version_is_refused_by_its_number(tmp_path: pathlib.Path) -> None:
    """Before anything is asked of tables that have changed since."""
    file = tmp_path / "old.sqlite"
    with sqlite3.connect(file) as old:
        old.execute("CREATE TABLE venue (one INTEGER, version INTEGER, dataset TEXT, profile TEXT, clock INTEGER)")
        old.execute("CREATE TABLE orders (id TEXT, account TEXT, status TEXT, sequence INTEGER)")
        old.execute("INSERT INTO venue VALUES (1, 2, 'd', 'realistic', 0)")
    with pytest.raises(errors.StateRefused, match="state file: version must be 3, got 2"):
        store.Store(file)
