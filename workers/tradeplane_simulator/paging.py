"""Pages of a listing of several symbols: by symbol, then time; the limit counts the rows of all of them."""

import base64
import binascii
import bisect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from tradeplane_simulator import errors, queries

MOST, DEFAULT = 10_000, 1_000
Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class Listing(Generic[Row]):
    """What is listed.

    rows : a symbol's rows in the order of time
    key : what tells a row of a symbol from all others and grows with time
    shape : how a row of a symbol is shown
    """

    rows: Callable[[str], Sequence[Row]]
    key: Callable[[Row], int]
    shape: Callable[[str, Row], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Page:
    """Which page is asked for; the token is the last row of the one before."""

    limit: int
    ascending: bool
    token: str

    @classmethod
    def of(cls, query: queries.Query) -> "Page":
        """Read ``limit``, ``sort`` and ``page_token``; raises Refused."""
        return cls(
            limit=query.integer("limit", default=DEFAULT, most=MOST),
            ascending=query.choice("sort", ("asc", "desc")) == "asc",
            token=query.text("page_token"),
        )

    def take(self, symbols: Sequence[str], listing: Listing[Row]) -> tuple[dict[str, list[dict[str, Any]]], str | None]:
        """Return the page of these symbols, sorted, and the token of the next one; raises Refused."""
        last_symbol, last_key = _read(self.token) if self.token else ("", 0)
        sign = 1 if self.ascending else -1
        found: dict[str, list[dict[str, Any]]] = {}
        left = self.limit
        for symbol in symbols:
            if symbol < last_symbol:
                continue
            rows = listing.rows(symbol)[::sign]
            if symbol == last_symbol and self.token:
                rows = rows[bisect.bisect_right(rows, sign * last_key, key=lambda row: sign * listing.key(row)) :]
            if rows and not left:
                # The page was full exactly at the end of a symbol: the next one starts after its last row.
                return found, _token(last_symbol, last_key)
            taken = rows[:left]
            if taken:
                found[symbol] = [listing.shape(symbol, row) for row in taken]
                left -= len(taken)
                last_symbol, last_key = symbol, listing.key(taken[-1])
            if len(taken) < len(rows):
                return found, _token(last_symbol, last_key)
        return found, None


def _token(symbol: str, key: int) -> str:
    return base64.urlsafe_b64encode(f"{symbol}|{key}".encode()).decode()


def _read(token: str) -> tuple[str, int]:
    try:
        symbol, _, key = base64.urlsafe_b64decode(token.encode()).decode().partition("|")
        return symbol, int(key)
    except (binascii.Error, ValueError):
        raise errors.Refused(errors.malformed("page_token is not one of this listing's")) from None
