"""Alpaca's account interface: account, configurations and activities, of the account whose key is calling."""

import dataclasses
import datetime as dt
from typing import Any

from fastapi import APIRouter, Request, Response

from tradeplane_simulator import account as accounts
from tradeplane_simulator import equity, errors, queries, render, sessions, store

ROUTES = APIRouter(prefix="/v2")
_PAGE_MAX = 100
_SWITCH = (True, False)
_SETTINGS: dict[str, tuple[Any, ...]] = {
    "fractional_trading": _SWITCH,
    "max_margin_multiplier": ("1", "2", "4"),
    "no_shorting": _SWITCH,
    "suspend_trade": _SWITCH,
    "trade_confirm_email": ("all", "none"),
    "ptp_no_exception_entry": _SWITCH,
}
# Of day trading, which nobody counts any more, and of options.
_OF_NO_EFFECT = frozenset({"dtbp_check", "pdt_check", "max_options_trading_level", "disable_overnight_trading"})


@ROUTES.get("/account")
async def account(request: Request) -> Response:
    """Show the account."""
    venue = queries.venue(request)
    return queries.answer(render.account(venue.desks[queries.trader(request)], venue.market))


@ROUTES.get("/account/configurations")
async def configurations(request: Request) -> Response:
    """Show what the account's user has set."""
    venue = queries.venue(request)
    return queries.answer(venue.desks[queries.trader(request)].account.configuration)


@ROUTES.patch("/account/configurations")
async def configure(request: Request) -> Response:
    """Set some of it; null leaves a field as it is."""
    venue = queries.venue(request)
    name = queries.trader(request)
    before = venue.desks[name].account.configuration
    venue.configure(name, configured(before, queries.json_object(await request.body())))
    return queries.answer(venue.desks[name].account.configuration)


@ROUTES.get("/account/portfolio/history")
async def portfolio_history(request: Request) -> Response:
    """Show what the account was worth over time."""
    venue = queries.venue(request)
    name = queries.trader(request)
    asked = wanted_history(queries.Query(request), today=sessions.new_york_date(venue.clock))
    known = venue.state.equity.of(name, venue.clock)
    return queries.answer(equity.history(asked, known, venue.data.sessions, now=venue.clock))


@ROUTES.get("/account/activities")
async def activities(request: Request) -> Response:
    """List activities."""
    venue = queries.venue(request)
    query = activity_query(queries.trader(request), queries.Query(request))
    return queries.answer([render.activity(row) for row in venue.state.activities(query)])


@ROUTES.get("/account/activities/{kind}")
async def activities_of(request: Request, kind: str) -> Response:
    """List activities of one type."""
    venue = queries.venue(request)
    query = activity_query(queries.trader(request), queries.Query(request), kind=kind)
    return queries.answer([render.activity(row) for row in venue.state.activities(query)])


def activity_query(account: str, query: queries.Query, *, kind: str = "") -> store.ActivityQuery:
    """Read the filters of a listing of activities; ``kind`` is the type in the path."""
    query.only({"activity_types", "after", "until", "date", "direction", "page_size", "page_token"})
    after, until = query.time("after"), query.time("until")
    date = query.date("date")
    if date is not None:
        after = sessions.before(sessions.midnight(date))
        until = sessions.midnight(date + dt.timedelta(days=1))
    return store.ActivityQuery(
        account=account,
        types=[kind] if kind else query.listing("activity_types"),
        limit=query.integer("page_size", default=_PAGE_MAX, most=_PAGE_MAX),
        after=after,
        until=until,
        ascending=query.choice("direction", ("desc", "asc")) == "asc",
        page_token=query.text("page_token"),
    )


def configured(before: accounts.Configuration, body: dict[str, Any]) -> accounts.Configuration:
    """Return a configuration with the changes of a body; raises Refused naming a field that does not fit."""
    changes: dict[str, Any] = {}
    for name, value in body.items():
        if value is None or name in _OF_NO_EFFECT:
            continue
        if name not in _SETTINGS:
            raise errors.Refused(errors.malformed(f"{name} is not offered"))
        found = str(value) if name == "max_margin_multiplier" else value
        if found not in _SETTINGS[name] or isinstance(found, bool) != (_SETTINGS[name] == _SWITCH):
            values = " or ".join(str(one).lower() for one in _SETTINGS[name])
            raise errors.Refused(errors.malformed(f"{name} must be {values}, got {value}"))
        changes[name] = found
    return dataclasses.replace(before, **changes)


def wanted_history(query: queries.Query, *, today: dt.date) -> equity.Wanted:
    """Read the parameters of a portfolio history; raises Refused."""
    query.only(
        {"period", "timeframe", "start", "end", "date_end", "intraday_reporting", "pnl_reset", "extended_hours"}
        | {"cashflow_types"}
    )
    hours = query.choice("intraday_reporting", ("market_hours", "extended_hours", "continuous"))
    return equity.wanted(
        period=query.text("period"),
        start=query.date("start"),
        end=query.date("end") or query.date("date_end"),
        timeframe=query.exactly("timeframe", ("", *equity.TIMEFRAMES)),
        today=today,
        hours="extended_hours" if query.flag("extended_hours") else hours,
        resets=query.choice("pnl_reset", ("per_day", "no_reset")) == "per_day",
    )
