"""The part of the model between the gateways: a network that is late, and a broker that shows orders late."""

from collections.abc import Iterator

from support.exactly_once import explore, world

Steps = Iterator[explore.Step[world.State]]


def fault(label: str, after: world.State) -> explore.Step[world.State]:
    """Something that goes wrong, and need not."""
    return explore.Step(label, after._replace(faults=after.faults + 1), is_progress=False)


class Venue:
    """What happens to orders after they left, in a world."""

    def __init__(self, explored: world.World) -> None:
        self._world = explored

    def steps(self, state: world.State, slot: int) -> Steps:
        """Yield what may happen next to an order."""
        name, order = f"order {slot + 1}", state.orders[slot]
        if state.flight[slot]:
            yield from self._travelling(state, slot, order)
        if order is None or order.is_refused:
            return
        if not order.is_shown:
            after = state.broker_has(slot, order._replace(is_shown=True))
            yield explore.Step(f"the broker shows {name}", after)
        if self._world.has_fills and order.is_live:
            yield from self._executing(state, order)
        if self._world.has_fills and state.events and state.faults < self._world.faults:
            yield fault("the stream loses what it carries", state._replace(events=0))

    def _travelling(self, state: world.State, slot: int, order: world.Order | None) -> Steps:
        name, count = f"order {slot + 1}", state.flight[slot]
        landed = state._replace(flight=world.put(state.flight, slot, count - 1))
        # A copy of an order that the broker has is refused by its id; one of a refused order may be taken.
        has = order if order is not None and not order.is_refused else world.Order(was_refused=order is not None)
        yield explore.Step(f"{name} arrives", landed.broker_has(slot, has))
        if not slot and (order is None or order.is_refused):
            refused = world.Order(is_live=False, is_refused=True)
            yield explore.Step(f"{name} arrives and is refused", landed.broker_has(slot, refused))
        if state.faults < self._world.faults:
            yield fault(f"{name} is lost on its way", landed)
            copied = state._replace(flight=world.put(state.flight, slot, count + 1))
            yield fault(f"{name} is doubled on its way", copied)

    def _executing(self, state: world.State, order: world.Order) -> Steps:
        filled = order._replace(filled=order.filled + 1, is_live=order.filled + 1 < world.SHARES)
        after = state.broker_has(0, filled)._replace(events=state.events | (1 << order.filled))
        yield explore.Step(f"share {order.filled + 1} of order 1 is filled", after, is_progress=False)
        if not state.was_cancelled:
            ended = state.broker_has(0, order._replace(is_live=False))._replace(was_cancelled=True)
            label = "order 1 is cancelled at the broker"
            yield explore.Step(label, ended._replace(events=state.events | world.END), is_progress=False)
