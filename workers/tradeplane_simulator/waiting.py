"""All orders that wait for a price or a time, by the group that they belong to (:mod:`.working`)."""

from collections.abc import Iterable, Sequence

from tradeplane_engine.domain import times
from tradeplane_engine.venue import profile
from tradeplane_simulator import book, commands, dataset, desk, exchange, store, working


class Waiting:
    """The groups of all accounts.

    Parameters
    ----------
    data, state : where bars and the orders of a group are found
    costs_of : the venue's profile
    partials : how often a bar fills a part of an order alone
    """

    def __init__(
        self,
        data: dataset.Dataset,
        state: store.Store,
        costs_of: profile.VenueProfile,
        partials: working.Partials | None = None,
    ) -> None:
        self._partials = partials
        self._data = data
        self._state = state
        self._profile = costs_of
        self._hours = working.hours(data.sessions.days)
        self._groups: dict[str, working.Working] = {}

    def resume(self, desks: Iterable[desk.Desk], *, clock: times.Nanos) -> None:
        """Let all orders wait anew; what had become of them by now is in the state file."""
        self._groups.clear()
        for found in desks:
            for order in found.open_orders.values():
                if order.waits and order.root not in self._groups:
                    self._groups[order.root] = self._made(self._state.group(order.account, order.root))
                    self._groups[order.root].advance(clock)

    def begin(self, step: desk.Step, order: book.Order, *, clock: times.Nanos) -> desk.Step:
        """Let an order wait that a step took in, and add what becomes of it at once."""
        if not order.waits:
            return step
        group = {one.id: one for one in self._state.group(order.account, order.root)}
        group |= {update.order.id: update.order for update in step.updates if update.order.root == order.root}
        self._groups[order.root] = found = self._made(list(group.values()))
        return _told(step, found.advance(clock))

    def advance(self, step: desk.Step, *, at: times.Nanos) -> desk.Step:
        """Add what became, by an instant, of a desk's orders that wait."""
        for root in dict.fromkeys(order.root for order in step.desk.open_orders.values()):
            if root in self._groups:
                step = _told(step, self._groups[root].advance(at))
        for order in tuple(step.desk.open_orders.values()):
            if order.due_at is not None and at >= order.due_at and order.id in step.desk.open_orders:
                step = step.then(commands.settle(step.desk, step.desk.open_orders[order.id], at=at))
                if order.id in step.desk.open_orders:
                    step = self.begin(step, step.desk.open_orders[order.id], clock=at)
        for order in tuple(step.desk.open_orders.values()):
            if order.waits and order.id in step.desk.open_orders and at >= order.expires_at:
                step = step.then(exchange.lapse(step.desk, order, at=at))
        return step

    def forget(self, step: desk.Step) -> None:
        """Let go of the groups that a step ended."""
        left = {order.root for order in step.desk.open_orders.values()}
        for root in {update.order.root for update in step.updates} - left:
            self._groups.pop(root, None)

    def _made(self, orders: Sequence[book.Order]) -> working.Working:
        # A replacement that never came was sent to no market.
        group = [one for one in orders if not (one.is_coming or (one.replaces and one.failed_at is not None))]
        first = group[0]
        until = times.Nanos(max(order.expires_at for order in group))
        known = self._data.bars_around(first.symbol, first.sent_at, until)
        splits = self._data.splits(first.symbol)
        return working.Working(group, known, splits, self._hours, self._profile, self._partials)


def _told(step: desk.Step, found: Iterable[working.Happened]) -> desk.Step:
    for one in found:
        if one.order in step.desk.open_orders:
            step = step.then(exchange.happen(step.desk, one))
    return step
