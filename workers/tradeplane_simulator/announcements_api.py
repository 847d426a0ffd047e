"""Alpaca's deprecated interface to corporate actions: splits and cash dividends that have taken effect by now."""

import datetime as dt
from collections.abc import Iterator
from typing import Any

from fastapi import APIRouter, Request, Response

from tradeplane_engine.domain import bars, numbers
from tradeplane_simulator import book, errors, queries, sessions, simulator

ROUTES = APIRouter(prefix="/v2")
_DAYS_MOST = 90
_TYPES = ("dividend", "merger", "spinoff", "split")
# Of the four dates the dataset knows one, which stands for all.
_DATES = ("", "declaration_date", "ex_date", "record_date", "payable_date")


@ROUTES.get("/corporate_actions/announcements")
async def announcements(request: Request) -> Response:
    """List announcements of some types between two dates."""
    venue = queries.venue(request)
    queries.trader(request)
    query = queries.Query(request, allowed={"ca_types", "since", "until", "symbol", "cusip", "date_type"})
    wanted = [kind.lower() for kind in query.listing("ca_types")]
    since, until = query.date("since"), query.date("until")
    query.choice("date_type", _DATES)
    if since is None or until is None or not dt.timedelta(0) <= until - since <= dt.timedelta(days=_DAYS_MOST):
        raise errors.Refused(errors.malformed(f"since and until must be at most {_DAYS_MOST} days apart"))
    if not wanted or not set(wanted) <= set(_TYPES):
        raise errors.Refused(errors.malformed(f"ca_types must be some of {list(_TYPES)}, got {wanted}"))
    found = [
        row
        for row in _known(venue)
        if row["ca_type"] in wanted
        and since.isoformat() <= row["ex_date"] <= until.isoformat()
        and query.text("symbol") in {"", row["initiating_symbol"]}
        and query.text("cusip") in {"", row["initiating_original_cusip"]}
    ]
    return queries.answer(found)


@ROUTES.get("/corporate_actions/announcements/{announcement_id}")
async def announcement(request: Request, announcement_id: str) -> Response:
    """Show one announcement."""
    venue = queries.venue(request)
    queries.trader(request)
    for row in _known(venue):
        if row["id"] == announcement_id:
            return queries.answer(row)
    raise errors.Refused(errors.not_found(f"announcement not found for {announcement_id}"))


def _known(venue: simulator.Simulator) -> Iterator[dict[str, Any]]:
    for action in venue.data.actions:
        if action.ex_start <= venue.clock:
            new, old = action.split
            if new != old:
                yield _row(action, "split", "stock_split" if new > old else "reverse_split", cash="0", split=(new, old))
            if action.dividend:
                yield _row(action, "dividend", "cash", cash=numbers.money_text(action.dividend), split=(1, 1))


def _row(
    action: bars.CorporateAction, kind: str, sub_type: str, *, cash: str, split: tuple[int, int]
) -> dict[str, Any]:
    date = sessions.new_york_date(action.ex_start).isoformat()
    new, old = split
    return {
        "id": book.identity("announcement", action.symbol, date, kind),
        "corporate_action_id": book.identity("corporate action", action.symbol, date, kind),
        "ca_type": kind,
        "ca_sub_type": sub_type,
        "initiating_symbol": action.symbol,
        "initiating_original_cusip": "",
        "target_symbol": action.symbol,
        "target_original_cusip": "",
        **dict.fromkeys(_DATES[1:], date),
        "cash": cash,
        "old_rate": str(old),
        "new_rate": str(new),
    }
