"""Books that a process saves and the next one goes on from."""

from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest

from support import engine_data
from tradeplane_engine.domain import numbers, orders, times
from tradeplane_workers.gateway import books
from tradeplane_workers.stores import orders as orders_store
from tradeplane_workers.stores import schema

CASH = numbers.money("1000000")
UIDS = ("first", "second")


@pytest.fixture
async def connection(postgres_url: str) -> AsyncIterator[Any]:
    """A ledger with two strategies' orders and no fills."""
    await schema.upgrade(postgres_url)
    opened = await asyncpg.connect(postgres_url)
    for uid in UIDS:
        await opened.execute(
            "insert into decisions (sequence, strategy_uid, strategy, generation, attempt, trigger, outcome, detail,"
            " model_digest, feature_set, policy_hash, account_policy_hash, epoch, digest)"
            " values ($2, $1, $1, 1, 1, 1, 'traded', '', '', '', '', '', 1, '')",
            uid,
            -1 - UIDS.index(uid),
        )
        await opened.execute(
            "insert into intents (sequence, client_order_id, decision, position, strategy_uid, trigger, symbol, side,"
            " quantity, type, time_in_force, role, status)"
            " values ($2, $1, $2, 0, $1, 1, 'AAA', 'buy', 1, 'market', 'day', 'order', 'acknowledged')",
            uid,
            -1 - UIDS.index(uid),
        )
        await opened.execute(
            "insert into orders (client_order_id, sub_ledger, strategy_uid, decision, model_digest, feature_set,"
            " policy_hash, generation, symbol, side, quantity, type, time_in_force, status)"
            " values ($1, $1, $1, $2, '', '', '', 1, 'AAA', 'buy', 1, 'market', 'day', 'filled')",
            uid,
            -1 - UIDS.index(uid),
        )
    try:
        yield opened
    finally:
        await opened.close()


async def trade(connection: Any, first: int, count: int) -> None:
    """Add fills, at places that follow each other, of both strategies and sides in turn."""
    rows = []
    for place in range(first, first + count):
        uid, side = UIDS[place % 2], orders.Side.BUY if place % 3 else orders.Side.SELL
        price, quantity = numbers.Price(1_000_000 + 37 * place), numbers.Quantity((1 + place % 5) * numbers.ONE_SHARE)
        paid = numbers.notional(price, numbers.Quantity(side.sign * quantity))
        at = times.instant(f"2020-01-{2 + place // 20:02}T15:00:00Z")
        rows.append((f"b{place}", 0, quantity, uid, uid, "AAA", side.value, quantity, price, paid, at, "", "", place))
    await orders_store.insert_fills(connection, rows)


def shown(fills: books.Fills) -> dict[str, Any]:
    """Return where books stand."""
    return {"account": fills.account.state, **{uid: fills.sub_ledger(uid).state for uid in UIDS}}


async def test_a_new_process_goes_on_where_the_books_were_saved(
    connection: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It ends where one ends that books every fill, and reads only those behind the saved ones."""
    monkeypatch.setattr(books, "_SAVED_EVERY", 50)
    await trade(connection, 1, 60)
    first = books.Fills(CASH, engine_data.REALISTIC)
    await first.resume(connection)
    assert first.is_worth_saving
    first.saved(await first.save(connection))
    assert not first.is_worth_saving
    await trade(connection, 61, 40)

    asked = []
    real = orders_store.fills_behind

    async def noted(given: Any, after: int, **keys: Any) -> list[Any]:
        asked.append(after)
        return await real(given, after, **keys)

    monkeypatch.setattr(orders_store, "fills_behind", noted)
    second, whole = books.Fills(CASH, engine_data.REALISTIC), books.Fills(CASH, engine_data.REALISTIC)
    await second.resume(connection)
    assert asked == [60]
    await whole.advance(connection)
    await first.advance(connection)
    assert shown(second) == shown(whole) == shown(first)
    assert whole.account.fills == 100


async def test_books_are_read_in_pages(connection: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many fills there are, no question asks for all of them."""
    monkeypatch.setattr(orders_store, "FILLS_AT_ONCE", 7)
    await trade(connection, 1, 35)
    found = books.Fills(CASH, engine_data.REALISTIC)
    await found.resume(connection)
    assert found.account.fills == 35


@pytest.mark.parametrize("page", [1, 3, 100])
async def test_fees_of_fills_add_up_to_what_is_owed(
    connection: Any, monkeypatch: pytest.MonkeyPatch, page: int
) -> None:
    """Asked page after page, a page twice, and from the start again: each fill adds the same."""
    monkeypatch.setattr(orders_store, "FILLS_AT_ONCE", 4)
    await trade(connection, 1, 30)
    fills = books.Fills(CASH, engine_data.REALISTIC)
    await fills.resume(connection)
    places = [place for place in range(1, 31) if UIDS[place % 2] == "first"]
    found: dict[int, numbers.Money] = {}
    for begin in range(0, len(places), page):
        asked = places[begin : begin + page]
        once, again = await fills.fees(connection, "first", asked), await fills.fees(connection, "first", asked)
        assert {place: once[place] for place in asked} == {place: again[place] for place in asked}
        found |= {place: once[place] for place in asked}
    assert sum(found.values()) == fills.sub_ledger("first").fees_owed
    assert await fills.fees(connection, "first", places) == found
    assert await fills.fees(connection, "second", []) == {}
