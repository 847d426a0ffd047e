"""The control port: the replay driver moves the clock here and reads counts, the journal and the metrics.

It is not part of Alpaca's protocol and has no keys; it must listen where only the environment's owner can reach it.
"""

import prometheus_client
from fastapi import FastAPI, Request, Response

from tradeplane_engine import errors as engine_errors
from tradeplane_engine.domain import times
from tradeplane_simulator import app, errors, metrics, queries, simulator
from tradeplane_simulator.faults import plan as plans

_JOURNAL_PAGE = 10_000


def build(venue: simulator.Simulator, plan: plans.Plan) -> FastAPI:
    """Return the control interface of a venue and of what goes wrong there."""
    control = app.bare()

    @control.get("/control/state")
    async def state() -> Response:
        return queries.answer(_state(venue))

    @control.post("/control/clock")
    async def clock(request: Request) -> Response:
        to = queries.json_object(await request.body()).get("to")
        if not isinstance(to, str):
            raise errors.Refused(errors.malformed(f"to must be an RFC 3339 time, got {to!r}"))
        try:
            instant = times.instant(to, field="to")
        except engine_errors.ValueRefused as error:
            raise errors.Refused(errors.malformed(str(error))) from error
        await venue.advance(instant)
        return queries.answer(_state(venue))

    @control.get("/control/journal")
    async def journal(request: Request) -> Response:
        query = queries.Query(request, allowed={"after", "limit"})
        after = query.text("after") or "0"
        if not (after.isascii() and after.isdigit()):
            raise errors.Refused(errors.malformed(f"after must be a journal number, got {after!r}"))
        limit = query.integer("limit", default=_JOURNAL_PAGE, most=_JOURNAL_PAGE)
        return queries.answer(venue.state.journal(after=int(after), limit=limit))

    _faults(control, plan)

    @control.get("/metrics")
    async def measured() -> Response:
        return Response(
            prometheus_client.generate_latest(metrics.REGISTRY), media_type=prometheus_client.CONTENT_TYPE_LATEST
        )

    return control


def _faults(control: FastAPI, plan: plans.Plan) -> None:
    @control.get("/control/faults")
    async def faults() -> Response:
        return queries.answer(plan.shown())

    @control.post("/control/faults")
    async def add(request: Request) -> Response:
        return queries.answer({"number": plan.add(queries.json_object(await request.body()))})

    @control.delete("/control/faults")
    async def clear() -> Response:
        plan.clear()
        return queries.answer(plan.shown())

    @control.delete("/control/faults/{number}")
    async def remove(number: int) -> Response:
        if not plan.remove(number):
            raise errors.Refused(errors.Refusal(404, 40410000, f"fault {number} is not on"))
        return queries.answer(plan.shown())


def _state(venue: simulator.Simulator) -> dict[str, object]:
    return {
        "clock": times.text(venue.clock),
        "next_event": None if venue.next_event is None else times.text(venue.next_event),
        "accounts": venue.state_of_accounts(),
    }
