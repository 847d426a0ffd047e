"""A model of the way of an order: two gateways, a ledger, a network and a broker, one small step at a time.

A gateway holds the epoch (token, number, and whether it is valid by its own clock), decides, marks, sends, waits, looks
up and books, each in a step of its own, so that a crash or a pause may come between any two. The network delivers late
or not at all; the broker shows an order late, refuses, fills and cancels. An order is of two shares. A gateway that is
frozen between its last check and its byte is the same as a message that is late.

What happens by itself in the end is progress; crashes, pauses, losses and doubled events are not, and there are at most
``World.faults`` of them. A guard that is taken out by name is asked for in one place, :meth:`Model.has`.
"""

from support.exactly_once import explore, venue, world

NAMES = "AB"
_LEADING = ("recovering", "idle")


class Model:
    """The steps of a world, perhaps without a guard."""

    def __init__(self, explored: world.World, without: str = "") -> None:
        self._world = explored
        self._venue = venue.Venue(explored)
        self._without = without
        self._slots = (0, 1) if explored.second else (0,)

    def has(self, guard: str) -> bool:
        """Whether a guard stands."""
        return guard != self._without

    def explored(self) -> explore.Explored:
        """Visit every state."""
        return explore.explore(
            world.State(),
            self.steps,
            violated=lambda state: state.violated,
            is_settled=self.is_settled,
            never_settles=world.NEVER_SETTLES,
        )

    def is_settled(self, state: world.State) -> bool:
        """Whether every intent has its fate, and the ledger has what the broker has."""
        if any(state.flight) or any(status in {"released", "sending", "unknown"} for status in state.ledger.status):
            return False
        for slot, order in enumerate(state.orders):
            if order is None or order.is_refused:
                continue
            if state.ledger.status[slot] != "acknowledged" or (state.gave_up[slot] and order.is_live):
                return False
            if self._world.has_fills and state.ledger.booked != order.filled:
                return False
        return True

    def steps(self, state: world.State) -> venue.Steps:
        """Yield everything that may happen next."""
        for place, gateway in enumerate(state.gateways):
            if gateway.is_paused:
                yield from self._paused(state, place, gateway)
            else:
                yield from self._gateway(state, place, gateway)
                yield from self._gateway_faults(state, place, gateway)
        for slot in self._slots:
            yield from self._venue.steps(state, slot)
        if state.before is not None and state.faults < self._world.faults:
            if state.before.token != state.ledger.token:
                yield venue.fault(
                    "the database restarts without the epoch's last commit", state.restarted(state.before)
                )
            other = state.restarted(state.before)._replace(history=state.history + 1)
            yield venue.fault("the database fails over to one without its last commit", other)

    # The gateway.

    def _gateway(self, state: world.State, place: int, gateway: world.Gateway) -> venue.Steps:
        name = NAMES[place]
        if gateway.at == "standby":
            # What B can do first A can do first: one of two equal halves is enough.
            if self._may_take(state) and (state.tokens or not place):
                yield explore.Step(f"{name} takes the epoch", state.taken(place))
            return
        if self._is_cut_off(state, gateway):
            yield from self._ending(state, place, gateway)
            return
        if not self._holds(state, gateway):
            yield explore.Step(f"{name} finds that it does not lead", state.deposed(place))
        elif not gateway.is_valid:
            yield explore.Step(f"{name} renews", state.having(place, gateway._replace(is_valid=True)))
        programs = {
            "recovering": self._recovering,
            "idle": self._idle,
            "deciding": self._deciding,
            "in hand": self._in_hand,
            "marking": self._marked,
            "marked": self._sending,
            "checked": self._sending,
            "waiting": self._answered,
        }
        yield from programs[gateway.at](state, place, gateway)
        if gateway.at in _LEADING:
            yield from self._resolving(state, place, gateway)

    def _may_take(self, state: world.State) -> bool:
        if state.locks:
            return False
        holders = (each for each in state.gateways if each.token == state.ledger.token and each.at != "standby")
        return not self.has("lease-ends-first") or not any(each.is_valid for each in holders)

    def _holds(self, state: world.State, gateway: world.Gateway) -> bool:
        if self.has("token-not-number"):
            return gateway.token == state.ledger.token
        return gateway.number == state.ledger.number

    def _is_cut_off(self, state: world.State, gateway: world.Gateway) -> bool:
        return self.has("one-history") and gateway.history != state.history

    def _ending(self, state: world.State, place: int, gateway: world.Gateway) -> venue.Steps:
        name = NAMES[place]
        yield explore.Step(f"{name} finds another history and ends", state.deposed(place))
        if gateway.is_valid:
            yield explore.Step(f"the lease of {name} ends", state.having(place, gateway._replace(is_valid=False)))
        if gateway.at in {"marked", "checked"}:
            yield from self._sending(state, place, gateway)

    def _recovering(self, state: world.State, place: int, gateway: world.Gateway) -> venue.Steps:
        name, ledger = NAMES[place], state.ledger
        is_foreign = ledger.history != state.history and self.has("one-history")
        if is_foreign or ("sending" in ledger.status and self.has("sending-resolved-first")):
            doubted = {"sending", "released"} if is_foreign else {"sending"}
            status = tuple("unknown" if each in doubted else each for each in ledger.status)
            label = f"{name} marks what was being sent as unknown"
            after = ledger._replace(status=status, history=state.history)
            yield explore.Step(label, self._write(state, place, gateway, ledger=after))
        elif "unknown" not in ledger.status or not self.has("sending-resolved-first"):
            yield explore.Step(f"{name} has recovered", state.having(place, gateway._replace(at="idle")))

    def _idle(self, state: world.State, place: int, gateway: world.Gateway) -> venue.Steps:
        name = NAMES[place]
        for slot in self._slots:
            status = state.ledger.status
            may_decide = not slot or self._world.second == "other" or status[0] in {"broker-refused", "unseen"}
            if not status[slot] and may_decide:
                label = f"{name} begins to decide order {slot + 1}"
                yield explore.Step(label, self._begun(state, place, gateway._replace(at="deciding", slot=slot)))
            if status[slot] == "released":
                yield from self._marking(state, place, slot)
            if gateway.unwritten == slot:
                label = f"{name} is handed order {slot + 1} again"
                yield explore.Step(label, state.having(place, gateway._replace(at="in hand", slot=slot)))
                after = state.ledger.marked(slot, "unknown")
                label = f"{name} writes that order {slot + 1} is unknown"
                yield explore.Step(label, self._write(state, place, gateway._replace(unwritten=-1), ledger=after))

    def _begun(self, state: world.State, place: int, gateway: world.Gateway) -> world.State:
        if not self._holds(state, gateway):
            return state.deposed(place)
        locks = state.locks | (1 << place) if self.has("epoch-locked") else state.locks
        return state.having(place, gateway)._replace(locks=locks)

    def _deciding(self, state: world.State, place: int, gateway: world.Gateway) -> venue.Steps:
        # Whether the answer to this commit is lost makes no difference: a repeated decision changes nothing.
        bad = world.DEPOSED_COMMITS if gateway.token != state.ledger.token else ""
        after = state.having(place, gateway._replace(at="idle")).unlocked(place)
        ledger = state.ledger.marked(gateway.slot, "released")
        yield explore.Step(
            f"{NAMES[place]} commits the decision", after._replace(ledger=ledger, before=None, violated=bad)
        )

    def _in_hand(self, state: world.State, place: int, gateway: world.Gateway) -> venue.Steps:
        return self._marking(state, place, gateway.slot)

    def _marking(self, state: world.State, place: int, slot: int) -> venue.Steps:
        gateway = state.gateways[place]._replace(slot=slot)
        name, order = NAMES[place], f"order {slot + 1}"
        if self.has("marked-before-sent"):
            after = self._begun(state, place, gateway._replace(at="marking"))
            yield explore.Step(f"{name} begins to mark {order}", after)
        else:
            yield explore.Step(f"{name} takes {order}", state.having(place, gateway._replace(at="marked")))

    def _marked(self, state: world.State, place: int, gateway: world.Gateway) -> venue.Steps:
        name, slot = NAMES[place], gateway.slot
        open_ = state.unlocked(place)
        if state.ledger.status[slot] not in {"released", "sending"}:
            yield explore.Step(
                f"{name} finds order {slot + 1} settled", open_.having(place, gateway._replace(at="idle"))
            )
            return
        open_ = open_._replace(ledger=state.ledger.marked(slot, "sending"), before=state.ledger)
        label = f"{name} commits the mark of order {slot + 1}"
        yield explore.Step(label, open_.having(place, gateway._replace(at="marked")))
        if state.faults < self._world.faults:
            yield venue.fault(f"{label}, the answer is lost", open_.having(place, gateway._replace(at="in hand")))

    def _sending(self, state: world.State, place: int, gateway: world.Gateway) -> venue.Steps:
        name, order = NAMES[place], f"order {gateway.slot + 1}"
        if gateway.at == "marked" and not gateway.is_valid:
            put_back = state.ledger.marked(gateway.slot, "released")
            after = self._write(state, place, gateway._replace(at="idle"), ledger=put_back)
            yield explore.Step(f"{name} puts {order} back", after)
        elif gateway.at == "marked" and not self.has("check-with-first-byte"):
            yield explore.Step(f"{name} checks {order}", state.having(place, gateway._replace(at="checked")))
        else:
            yield explore.Step(f"{name} sends {order}", self._sent(state, place, gateway))

    def _sent(self, state: world.State, place: int, gateway: world.Gateway) -> world.State:
        slot, other = gateway.slot, 1 - gateway.slot
        first = state.orders[0]
        was_refused = first is not None and (first.is_refused or first.was_refused)
        is_there = not was_refused and (first is not None or state.flight[0] > 0)
        violated = ""
        if gateway.token != state.ledger.token:
            violated = world.LEAVES_UNDER_ANOTHER
        elif state.left[slot]:
            violated = world.LEAVES_TWICE
        elif state.ledger.status[other] == "sending":
            violated = world.OVERTAKES
        elif self._world.second == "attempt" and slot and state.ledger.status[0] == "broker-refused" and is_there:
            violated = world.DOUBLED
        return state.having(place, gateway._replace(at="waiting"))._replace(
            flight=world.put(state.flight, slot, state.flight[slot] + 1),
            left=world.put(state.left, slot, state.left[slot] + 1),
            violated=violated,
        )

    def _answered(self, state: world.State, place: int, gateway: world.Gateway) -> venue.Steps:
        name, slot, order = NAMES[place], gateway.slot, state.orders[gateway.slot]
        idle, ledger = gateway._replace(at="idle"), state.ledger
        if order is not None and order.is_refused:
            after = self._given_up(state, place, idle, slot=slot, status="broker-refused")
            yield explore.Step(f"{name} hears that order {slot + 1} is refused", after)
        elif order is not None:
            after = self._booked(state.having(place, idle), place, slot)
            yield explore.Step(f"{name} hears that order {slot + 1} is taken", after)
        label = f"{name} gets no answer about order {slot + 1}"
        if not self.has("unknown-written-first"):
            yield explore.Step(label, state.having(place, idle._replace(unwritten=slot)))
            return
        status = "unknown"
        if not self.has("never-sent-again"):
            status = "released"
        elif not self.has("attempt-grows-on-refusal"):
            status = "broker-refused"
        yield explore.Step(label, self._write(state, place, idle, ledger=ledger.marked(slot, status)))

    def _resolving(self, state: world.State, place: int, gateway: world.Gateway) -> venue.Steps:
        name = NAMES[place]
        for slot in self._slots:
            status, order = state.ledger.status[slot], state.orders[slot]
            is_found = order is not None and order.is_shown
            if status == "unknown" and not is_found:
                after = self._given_up(state, place, gateway, slot=slot, status="unseen")
                yield explore.Step(f"{name} looks for order {slot + 1} in vain and gives it up", after)
            if order is None or not is_found:
                continue
            is_watched = status not in {"unseen", "broker-refused"} or self.has("unseen-watched")
            if status not in {"", "acknowledged"} and is_watched:
                yield explore.Step(f"{name} finds order {slot + 1}", self._booked(state, place, slot))
            if order.is_live and (state.ledger.wish[slot] or gateway.late == slot):
                after = state.having(place, gateway._replace(late=-1))
                after = after.broker_has(slot, order._replace(is_live=False))
                yield explore.Step(f"{name} has order {slot + 1} cancelled", after)
        if self._world.has_fills and state.ledger.status[0] == "acknowledged":
            yield from self._booking(state, place)

    def _given_up(
        self, state: world.State, place: int, gateway: world.Gateway, *, slot: int, status: str
    ) -> world.State:
        after = self._write(state, place, gateway, ledger=state.ledger.marked(slot, status))
        if after.ledger.status[slot] != status:
            return after
        return after._replace(gave_up=world.put(state.gave_up, slot, value=True))

    def _booked(self, state: world.State, place: int, slot: int) -> world.State:
        """An order is at the broker: its intent is acknowledged, and unwanted if it had been given up."""
        if state.ledger.status[slot] == "released":
            return state  # its mark was lost, and so the ledger has no such order
        ledger = state.ledger.marked(slot, "acknowledged")
        if state.ledger.status[slot] in {"unseen", "broker-refused"}:
            if self.has("late-cancel-written"):
                ledger = ledger._replace(wish=world.put(ledger.wish, slot, value=True))
            else:
                state = state.having(place, state.gateways[place]._replace(late=slot))
        return state._replace(ledger=ledger, before=None)

    def _booking(self, state: world.State, place: int) -> venue.Steps:
        name, order = NAMES[place], state.orders[0]
        for share in range(world.SHARES):
            if state.events & (1 << share):
                booked = state._replace(ledger=self._filled(state, 1 << share))
                label = f"{name} books share {share + 1}"
                yield explore.Step(label, booked._replace(events=state.events & ~(1 << share)).compared())
                if state.faults < self._world.faults:
                    yield venue.fault(f"{label}, the event comes again", booked.compared())
        if state.events & world.END:
            ledger = state.ledger._replace(is_ended=True)
            yield explore.Step(f"{name} books the end", state._replace(ledger=ledger, events=state.events & ~world.END))
        if order is not None and order.is_shown and state.ledger.seen != (1 << order.filled) - 1:
            ledger = self._filled(state, (1 << order.filled) - 1)._replace(is_ended=not order.is_live)
            yield explore.Step(f"{name} reconciles", state._replace(ledger=ledger).compared())

    def _filled(self, state: world.State, shares: int) -> world.Ledger:
        ledger = state.ledger
        if ledger.is_ended and not self.has("fills-after-terminal"):
            return ledger
        fresh = shares & ~ledger.seen if self.has("cumulative-decides") else shares
        return ledger._replace(booked=ledger.booked + fresh.bit_count(), seen=ledger.seen | shares)

    def _write(self, state: world.State, place: int, gateway: world.Gateway, *, ledger: world.Ledger) -> world.State:
        """Commit what only a leader may, or find out that another one leads."""
        if self._is_cut_off(state, gateway) or not self._holds(state, gateway):
            return state.deposed(place)
        return state.having(place, gateway)._replace(ledger=ledger, before=None)

    # What goes wrong with a gateway.

    def _gateway_faults(self, state: world.State, place: int, gateway: world.Gateway) -> venue.Steps:
        if state.faults < self._world.faults and gateway.at != "standby":
            name = NAMES[place]
            yield venue.fault(f"{name} is killed", state.deposed(place)._replace(events=0))
            if not any(each.is_paused for each in state.gateways):
                yield venue.fault(f"{name} is paused", state.having(place, gateway._replace(is_paused=True)))

    def _paused(self, state: world.State, place: int, gateway: world.Gateway) -> venue.Steps:
        name = NAMES[place]
        if gateway.is_valid:
            yield explore.Step(f"the lease of {name} ends", state.having(place, gateway._replace(is_valid=False)))
        if gateway.at in world.ABORTED and self.has("lock-time-outs"):
            after = state.having(place, gateway._replace(at=world.ABORTED[gateway.at]))
            yield explore.Step(f"the server ends {name}'s transaction", after.unlocked(place))
        resumed = state.having(place, gateway._replace(is_paused=False))
        yield explore.Step(f"{name} resumes", resumed, is_progress=False)
