"""Trade updates as server-sent events: those of the past from a start on, then those to come, to an end.

A slow client costs no memory: each page is read from the state file when the one before is sent.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass

from fastapi import APIRouter, Request
from fastapi.responses import StreamingResponse

from tradeplane_engine.domain import times
from tradeplane_simulator import errors, events, queries, simulator

ROUTES = APIRouter(prefix="/v2")
_FAMILIES = (("since", "until"), ("since_id", "until_id"))


@dataclass(frozen=True, slots=True)
class _Range:
    """Sequence after which to begin, and where to end, if anywhere; the end belongs to it."""

    after: int
    until: times.Nanos | None = None
    until_id: str = ""

    def ends_before(self, event: events.Event) -> bool:
        if self.until is not None:
            return event.at > self.until
        return bool(self.until_id) and event.id > self.until_id

    def is_over(self, last_id: str, clock: times.Nanos) -> bool:
        """Say whether nothing can come any more."""
        if self.until is not None:
            return clock > self.until
        return bool(self.until_id) and last_id >= self.until_id


@ROUTES.get("/events/trades")
async def trades(request: Request) -> StreamingResponse:
    """Stream the account's trade updates."""
    venue = queries.venue(request)
    account = queries.trader(request)
    asked = _range(venue, account, queries.Query(request, allowed={name for pair in _FAMILIES for name in pair}))
    return StreamingResponse(_told(venue, account, asked), media_type="text/event-stream")


def _range(venue: simulator.Simulator, account: str, query: queries.Query) -> _Range:
    for start, end in _FAMILIES:
        if query.text(end) and not query.text(start):
            raise errors.Refused(errors.malformed(f"{end} requires {start}"))
    if query.text("since") and query.text("since_id"):
        raise errors.Refused(errors.malformed("since and since_id must not be mixed"))
    log = venue.state.events
    since = query.time("since")
    if since is not None:
        return _Range(log.before(account, at=since), until=query.time("until"))
    if query.text("since_id"):
        return _Range(log.before(account, event_id=query.text("since_id")), until_id=query.text("until_id"))
    return _Range(log.newest(account))


async def _told(venue: simulator.Simulator, account: str, asked: _Range) -> AsyncIterator[str]:
    sequence, last_id = asked.after, ""
    yield ": connected\n\n"
    while True:
        changed = venue.changed  # before the look, so that nothing falls between the two
        page = venue.state.events.after(account, sequence)
        for event in page:
            if asked.ends_before(event):
                return
            yield f"id: {event.id}\ndata: {event.text}\n\n"
            sequence, last_id = event.sequence, event.id
        if asked.is_over(last_id, venue.clock):
            return
        if not page:
            await changed.wait()
