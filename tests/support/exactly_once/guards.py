"""The guards of the way of an order: one list, for the model, the real code and docs/explanation/orders.md."""

import functools
from dataclasses import dataclass

from support.exactly_once import explore, model, world

ONE_ORDER = world.World(has_fills=True)
TWO_ORDERS = world.World(second="other")
TWO_ATTEMPTS = world.World(second="attempt")
WORLDS = {"one order": ONE_ORDER, "two orders": TWO_ORDERS, "two attempts": TWO_ATTEMPTS}


@dataclass(frozen=True, slots=True)
class Guard:
    """A guard by its name.

    place : the file in which it stands, below ``workers/``
    violated : what happens in the model without it
    shown_by : the world in which it does
    """

    name: str
    place: str
    violated: str
    shown_by: world.World = ONE_ORDER

    def __str__(self) -> str:
        """Show the name."""
        return self.name


GUARDS = (
    Guard("epoch-locked", "tradeplane_workers/stores/epochs.py", world.DEPOSED_COMMITS),
    Guard("token-not-number", "tradeplane_workers/stores/epochs.py", world.DEPOSED_COMMITS),
    Guard("lock-time-outs", "tradeplane_workers/stores/database.py", world.NEVER_SETTLES),
    Guard("one-history", "tradeplane_workers/stores/database.py", world.LEAVES_TWICE),
    Guard("lease-ends-first", "tradeplane_workers/gateway/epoch.py", world.LEAVES_UNDER_ANOTHER),
    Guard("check-with-first-byte", "tradeplane_workers/brokers/wire.py", world.LEAVES_UNDER_ANOTHER),
    Guard("marked-before-sent", "tradeplane_workers/gateway/sender.py", world.LEAVES_UNDER_ANOTHER),
    Guard("never-sent-again", "tradeplane_workers/gateway/sender.py", world.LEAVES_TWICE),
    Guard("unknown-written-first", "tradeplane_workers/gateway/outcomes.py", world.LEAVES_TWICE),
    Guard("sending-resolved-first", "tradeplane_workers/gateway/sender.py", world.OVERTAKES, TWO_ORDERS),
    Guard("attempt-grows-on-refusal", "tradeplane_workers/gateway/outcomes.py", world.DOUBLED, TWO_ATTEMPTS),
    Guard("unseen-watched", "tradeplane_workers/gateway/booking.py", world.NEVER_SETTLES),
    Guard("late-cancel-written", "tradeplane_workers/gateway/booking.py", world.NEVER_SETTLES),
    Guard("fills-after-terminal", "tradeplane_workers/gateway/reducer.py", world.NEVER_SETTLES),
    Guard("cumulative-decides", "tradeplane_workers/gateway/reducer.py", world.LEDGER_ABOVE),
)
BY_NAME = {guard.name: guard for guard in GUARDS}


@functools.cache
def counterexample(guard: Guard) -> explore.Counterexample:
    """Return the shortest way to harm without a guard; one fault is enough for each."""
    found = model.Model(guard.shown_by._replace(faults=1), without=guard.name).explored().counterexample
    assert found is not None, f"{guard}: the model needs it for nothing"
    return found
