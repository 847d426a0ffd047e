"""Every failure has Alpaca's form, and keys may do what their scope says."""

import pathlib
import sqlite3
from collections.abc import Callable, Iterator

import pytest
from alpaca.common.exceptions import APIError
from alpaca.trading.client import TradingClient

from support import simulator


@pytest.fixture(scope="module")
def venue(tmp_path_factory: pytest.TempPathFactory) -> Iterator[simulator.Venue]:
    """One venue; nothing here changes it."""
    with simulator.threaded(tmp_path_factory.mktemp("venue")) as found:
        found.to_open(0)
        yield found


@pytest.fixture
def client(venue: simulator.Venue) -> TradingClient:
    """The official client with a trading key."""
    return TradingClient(venue.key_id, venue.secret_key, url_override=venue.url)


def refusal(act: Callable[[], object]) -> APIError:
    """Return the client's error."""
    with pytest.raises(APIError) as caught:
        act()
    return caught.value


@pytest.mark.parametrize("key_id,secret", [("AKDEMO", "wrong"), ("nobody", "secret-of-demo"), ("nobody", "wrong")])
def test_check_02_wrong_key_or_secret(venue: simulator.Venue, key_id: str, secret: str) -> None:
    """A wrong key and a wrong secret are the same 401."""
    error = refusal(TradingClient(key_id, secret, url_override=venue.url).get_account)
    assert (error.status_code, error.code, error.message) == (401, 40110000, "unauthorized.")


def test_no_key_at_all(venue: simulator.Venue) -> None:
    """Without headers nothing is shown."""
    for path in (
        "/v2/account",
        "/v2/orders",
        "/v2/stocks/bars",
        "/v2/clock",
        "/v2/watchlists",
        "/v1/corporate-actions",
    ):
        assert venue.client.get(f"{venue.url}{path}").status_code == 401


@pytest.mark.parametrize(
    "method,path",
    [
        ("GET", "/account"),
        ("GET", "/orders"),
        ("GET", "/orders/x"),
        ("GET", "/orders:by_client_order_id"),
        ("POST", "/orders"),
        ("DELETE", "/orders"),
        ("DELETE", "/orders/x"),
        ("GET", "/positions"),
        ("GET", "/positions/AAPL"),
        ("GET", "/account/activities"),
        ("GET", "/account/activities/FILL"),
        ("GET", "/clock"),
        ("GET", "/calendar"),
        ("GET", "/assets"),
        ("GET", "/assets/AAPL"),
    ],
)
def test_a_data_key_may_not_trade(venue: simulator.Venue, method: str, path: str) -> None:
    """A key of scope data is refused everywhere on the trading side."""
    headers = {"APCA-API-KEY-ID": venue.data_key_id, "APCA-API-SECRET-KEY": venue.data_secret_key}
    answer = venue.client.request(method, f"{venue.url}/v2{path}", headers=headers)
    assert (answer.status_code, answer.json()) == (403, {"code": 40310000, "message": "forbidden."})


def test_check_04_unknown_address(client: TradingClient) -> None:
    """An unknown path is a 404 with code and message."""
    error = refusal(lambda: client.get("/nope"))
    assert (error.status_code, error.code, error.message) == (404, 40410000, "get /v2/nope: not found")


def test_check_04_wrong_method(client: TradingClient) -> None:
    """A wrong method is a 405 with code and message."""
    error = refusal(lambda: client.post("/clock", {}))
    assert (error.status_code, error.code, error.message) == (405, 40510000, "post /v2/clock: method not allowed")


@pytest.mark.parametrize("body", [b"{", b"[]", b'"x"', b"", b'{"qty": NaN}', b"\xff\xfe", b"[" * 100_000])
def test_check_04_broken_json(venue: simulator.Venue, body: bytes) -> None:
    """A body that is no JSON object is a 422 with code and message."""
    headers = {"APCA-API-KEY-ID": venue.key_id, "APCA-API-SECRET-KEY": venue.secret_key}
    answer = venue.client.post(f"{venue.url}/v2/orders", content=body, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (422, 40010001)
    assert answer.json()["message"].startswith("request body")


def test_check_04_server_fault(tmp_path: pathlib.Path) -> None:
    """A fault of the server is a 500 with code and message, and stands in the journal."""
    with simulator.threaded(tmp_path) as venue:
        with sqlite3.connect(venue.state_file) as other:
            other.execute("DROP TABLE orders")
        client = TradingClient(venue.key_id, venue.secret_key, url_override=venue.url)
        error = refusal(client.get_orders)
        assert (error.status_code, error.code, error.message) == (500, 50010000, "internal server error")
        (row,) = venue.journal()
        assert (row["status"], row["path"]) == (500, "/v2/orders")


@pytest.mark.parametrize("path", ["/v2/account/", "//v2/account", "/v2//account", "/v2/orders/"])
def test_check_05_never_a_redirect(venue: simulator.Venue, path: str) -> None:
    """A doubled or trailing slash is not found, never redirected."""
    headers = {"APCA-API-KEY-ID": venue.key_id, "APCA-API-SECRET-KEY": venue.secret_key}
    answer = venue.client.get(f"{venue.url}{path}", headers=headers, follow_redirects=False)
    assert (answer.status_code, answer.json()["code"]) == (404, 40410000)


@pytest.mark.parametrize(
    "path,parameters,named",
    [
        ("/orders", {"limit": "0"}, "limit"),
        ("/orders", {"limit": "501"}, "limit"),
        ("/orders", {"limit": "x"}, "limit"),
        ("/orders", {"status": "some"}, "status"),
        ("/orders", {"direction": "up"}, "direction"),
        ("/orders", {"after": "yesterday"}, "after"),
        ("/orders", {"after": "2012-03-02T10:00:00"}, "after"),
        ("/account/activities", {"page_size": "101"}, "page_size"),
        ("/account/activities", {"date": "x"}, "date"),
        ("/calendar", {"start": "x"}, "start"),
        ("/stocks/bars", {"symbols": "AAPL", "timeframe": "1Day", "limit": "10001"}, "limit"),
        ("/stocks/bars", {"symbols": "AAPL", "timeframe": "1Day", "page_token": "x"}, "page_token"),
        ("/stocks/bars", {"timeframe": "1Day"}, "symbols"),
        ("/stocks/bars", {"symbols": "AAPL"}, "timeframe"),
    ],
)
def test_a_parameter_that_cannot_be_read_is_refused(
    client: TradingClient, path: str, parameters: dict[str, str], named: str
) -> None:
    """A bad parameter is a 422 that names it, never a default."""
    error = refusal(lambda: client.get(path, parameters))
    assert (error.status_code, error.code) == (422, 40010001)
    assert named in error.message


def test_no_secret_in_the_log(tmp_path: pathlib.Path) -> None:
    """A whole session of requests, good and bad, logs key ids but no secret."""
    with simulator.running(tmp_path) as venue:
        TradingClient(venue.key_id, venue.secret_key, url_override=venue.url).get_account()
        refusal(TradingClient(venue.key_id, "a-wrong-secret", url_override=venue.url).get_account)
        venue.stop()
        text = str(venue.lines)
        assert "'event': 'request'" in text
        assert venue.key_id in text
        assert "secret" not in text


def test_a_bad_accounts_file_is_refused_without_its_secret(tmp_path: pathlib.Path) -> None:
    """The process does not start, names the field, and does not print what was in it."""
    venue = simulator.prepare(tmp_path)
    text = (tmp_path / "accounts.json").read_text()
    (tmp_path / "accounts.json").write_text(text.replace('"scope": "data"', '"scope": "all"'))
    with pytest.raises(RuntimeError, match=r"scope") as caught:
        venue.start()
    assert "secret-of" not in str(caught.value)
