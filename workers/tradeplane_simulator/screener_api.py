"""Alpaca's screener and its tables of codes: which symbols move, and what conditions and exchanges mean."""

from typing import Any, Final

from fastapi import APIRouter, Request, Response

from tradeplane_engine.domain import numbers, times
from tradeplane_simulator import dataset, errors, queries, render, sessions

ROUTES = APIRouter()
_TOP_MAX, _TOP_ACTIVE, _TOP_MOVERS = 100, 10, 10
EXCHANGES: Final = {
    "A": "NYSE American (AMEX)",
    "B": "NASDAQ OMX BX",
    "C": "National Stock Exchange",
    "D": "FINRA ADF",
    "E": "Market Independent",
    "H": "MIAX",
    "I": "International Securities Exchange",
    "J": "Cboe EDGA",
    "K": "Cboe EDGX",
    "L": "Long Term Stock Exchange",
    "M": "Chicago Stock Exchange",
    "N": "New York Stock Exchange",
    "P": "NYSE Arca",
    "Q": "NASDAQ OMX",
    "S": "NASDAQ Small Cap",
    "T": "NASDAQ Int",
    "U": "Members Exchange",
    "V": "IEX",
    "W": "CBOE",
    "X": "NASDAQ OMX PSX",
    "Y": "Cboe BYX",
    "Z": "Cboe BZX",
}
TRADE_CONDITIONS: Final = {
    " ": "Regular Sale",
    "@": "Regular Sale",
    "4": "Derivatively Priced",
    "5": "Reopening Prints",
    "6": "Closing Prints",
    "7": "Qualified Contingent Trade",
    "9": "Corrected Consolidated Close Price",
    "B": "Average Price Trade",
    "C": "Cash Trade (Same Day Clearing)",
    "E": "Automatic Execution",
    "F": "Inter-market Sweep Order",
    "H": "Price Variation Trade",
    "I": "Odd Lot Trade",
    "K": "Rule 155 Trade",
    "L": "Sold Last (Late Reporting)",
    "M": "Market Center Official Close",
    "N": "Next Day Trade (Next Day Clearing)",
    "O": "Opening Prints",
    "P": "Prior Reference Price",
    "Q": "Market Center Official Open",
    "R": "Seller",
    "T": "Extended Hours Trade",
    "U": "Extended Hours Sold (Out Of Sequence)",
    "V": "Contingent Trade",
    "X": "Cross Trade",
    "Z": "Sold (Out Of Sequence)",
}
QUOTE_CONDITIONS: Final = {
    "A": "Slow Quote Offer Side",
    "B": "Slow Quote Bid Side",
    "C": "Closing Quote",
    "E": "Slow Quote LRP Bid Side",
    "F": "Slow Quote LRP Offer Side",
    "H": "Slow Quote Bid And Offer Side",
    "L": "Market Maker Quotes Closed",
    "N": "Non Firm Quote",
    "O": "Opening Quote",
    "R": "Regular Market Maker Open",
    "U": "Slow Quote LRP Bid And Offer",
    "W": "Slow Quote Set Slow List",
}
_TAPES = ("A", "B", "C")


@ROUTES.get("/v2/stocks/meta/exchanges")
async def exchanges(request: Request) -> Response:
    """Name the exchanges of trades and quotes."""
    queries.caller(request)
    return queries.answer(EXCHANGES)


@ROUTES.get("/v2/stocks/meta/conditions/{tick}")
async def conditions(request: Request, tick: str) -> Response:
    """Name the conditions of trades or quotes."""
    queries.caller(request)
    tables = {"trade": TRADE_CONDITIONS, "quote": QUOTE_CONDITIONS}
    if tick not in tables:
        raise errors.Refused(errors.malformed(f"ticktype must be one of {sorted(tables)}, got {tick!r}"))
    query = queries.Query(request, allowed={"tape"})
    if query.text("tape") not in _TAPES:
        raise errors.Refused(errors.malformed(f"tape must be one of {list(_TAPES)}, got {query.text('tape')!r}"))
    return queries.answer(tables[tick])


@ROUTES.get("/v1beta1/screener/stocks/most-actives")
async def most_actives(request: Request) -> Response:
    """List the symbols with the largest volume, or with the most trades, of the day."""
    queries.caller(request)
    query = queries.Query(request, allowed={"by", "top"})
    by = {"volume": "volume", "trades": "trade_count"}[query.choice("by", ("volume", "trades"))]
    top = query.integer("top", default=_TOP_ACTIVE, most=_TOP_MAX)
    venue = queries.venue(request)
    rows = [_activity(venue.data, symbol, venue.clock) for symbol in venue.data.listings(venue.clock)]
    rows.sort(key=lambda row: (-row[by], row["symbol"]))
    return queries.answer({"most_actives": rows[:top], "last_updated": times.text(venue.clock)})


@ROUTES.get("/v1beta1/screener/{market}/movers")
async def movers(request: Request, market: str) -> Response:
    """List the symbols that gained and lost the most since the close before."""
    queries.caller(request)
    if market != "stocks":
        raise errors.Refused(errors.not_entitled(f"movers of {market}"))
    top = queries.Query(request, allowed={"top"}).integer("top", default=_TOP_MOVERS, most=_TOP_MAX // 2)
    venue = queries.venue(request)
    found = []
    for symbol in venue.data.listings(venue.clock):
        quotation = venue.data.quotation(symbol, venue.clock)
        if quotation is not None:
            found.append((quotation.price / quotation.previous_close - 1, symbol, quotation))
    found.sort(key=lambda row: (-row[0], row[1]))
    gainers = [_mover(*row) for row in found if row[0] > 0]
    losers = [_mover(*row) for row in reversed(found) if row[0] < 0]
    answer = {"gainers": gainers[:top], "losers": losers[:top]}
    return queries.answer({**answer, "market_type": market, "last_updated": times.text(venue.clock)})


def _activity(data: dataset.Dataset, symbol: str, at: times.Nanos) -> dict[str, Any]:
    today = data.today(symbol, at)
    trades = data.tape_of(symbol).trades.span(sessions.midnight(sessions.new_york_date(at)), at)
    return {"symbol": symbol, "volume": 0 if today is None else today.volume, "trade_count": len(trades)}


def _mover(share: float, symbol: str, quotation: dataset.Quotation) -> dict[str, Any]:
    change = numbers.scaled_text(quotation.price - quotation.previous_close, numbers.PRICE_DIGITS)
    return {
        "symbol": symbol,
        "price": render.number(numbers.price_text(quotation.price)),
        "change": render.number(change),
        "percent_change": round(100 * share, 2),
    }
