"""Alpaca's interface to corporate actions: splits, cash dividends and new names, each from its day on."""

import datetime as dt
from collections.abc import Iterator, Sequence
from typing import Any

from fastapi import APIRouter, Request, Response

from tradeplane_simulator import errors, queries, renames, render, sessions, simulator

ROUTES = APIRouter()
_ACTIONS_MAX = 1_000
_ACTIONS_DEFAULT = 100
_KINDS = ("forward_splits", "reverse_splits", "cash_dividends", "name_changes")
_OTHER_KINDS = (
    "unit_splits",
    "stock_dividends",
    "spin_offs",
    "cash_mergers",
    "stock_mergers",
    "stock_and_cash_mergers",
    "redemptions",
    "worthless_removals",
    "rights_distributions",
)


@ROUTES.get("/v1/corporate-actions")
async def corporate_actions(request: Request) -> Response:
    """List splits, dividends and new names."""
    venue = queries.venue(request)
    queries.caller(request)
    query = queries.Query(request, allowed={"symbols", "types", "start", "end", "limit", "sort", "page_token", "ids"})
    found, token = _actions(venue, request.app.state.recording.names, query)
    return queries.answer({"corporate_actions": found, "next_page_token": token})


def _actions(
    venue: simulator.Simulator, names: Sequence[renames.Rename], query: queries.Query
) -> tuple[dict[str, list[dict[str, Any]]], str | None]:
    kinds = _action_kinds(query)
    symbols, ids = query.listing("symbols"), query.listing("ids")
    today = sessions.new_york_date(venue.clock)
    # Alpaca's defaults: the current day, unless ids name the rows.
    start = query.date("start") or (dt.date.min if ids else today)
    end = query.date("end") or today
    limit = query.integer("limit", default=_ACTIONS_DEFAULT, most=_ACTIONS_MAX)
    rows = [
        (kind, row)
        for date, involved, kind, row in sorted(_rows(venue, names), key=lambda one: one[0])
        if start <= date <= end
        and kind in kinds
        and (not symbols or not involved.isdisjoint(symbols))
        and (not ids or row["id"] in ids)
    ]
    if query.choice("sort", ("asc", "desc")) == "desc":
        rows.reverse()
    token = query.text("page_token")
    first = _read_place(token) if token else 0
    found: dict[str, list[dict[str, Any]]] = {}
    for kind, row in rows[first : first + limit]:
        found.setdefault(kind, []).append(row)
    return found, str(first + limit) if first + limit < len(rows) else None


def _rows(
    venue: simulator.Simulator, names: Sequence[renames.Rename]
) -> Iterator[tuple[dt.date, set[str], str, dict[str, Any]]]:
    """Return what has taken effect: its day, the symbols that it concerns, its list and its row."""
    for action in venue.data.actions:
        if action.ex_start <= venue.clock:
            for kind, row in render.corporate_action(action):
                yield sessions.new_york_date(action.ex_start), {action.symbol}, kind, row
    for rename in names:
        if rename.at <= venue.clock:
            yield rename.date, {rename.old, rename.new}, "name_changes", render.name_change(rename)


def _action_kinds(query: queries.Query) -> frozenset[str]:
    # The request names kinds in the singular, the answer in the plural.
    known = {name.removesuffix("s"): name for name in (*_KINDS, *_OTHER_KINDS)}
    wanted = query.listing("types")
    for name in wanted:
        if name not in known:
            raise errors.Refused(errors.malformed(f"types must be of {sorted(known)}, got {name!r}"))
    return frozenset(known[name] for name in wanted) if wanted else frozenset(_KINDS)


def _read_place(token: str) -> int:
    if not (token.isascii() and token.isdigit()):
        raise errors.Refused(errors.malformed("page_token is not one of this listing's"))
    return int(token)
