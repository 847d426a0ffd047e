"""Who is calling: API keys, each of one account and one scope. Keys live in a file, never in the state or a log."""

import base64
import binascii
import hmac
import pathlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

import pydantic

from tradeplane_engine import errors as engine_errors
from tradeplane_engine.domain import numbers
from tradeplane_simulator import errors

_BASIC_SYMBOLS = 30


class KeyEntry(pydantic.BaseModel):
    """One API key of the accounts file; a ``data`` key may only read market data.

    ``oauth_token`` is what stands for key and secret with HTTP Bearer, where there is one. With the free ``plan``,
    ``basic``, market data of the whole market is a quarter of an hour old.
    """

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid")

    key_id: Annotated[str, pydantic.StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
    secret_key: pydantic.SecretStr
    oauth_token: pydantic.SecretStr | None = None
    scope: Literal["trading", "data"]
    plan: Literal["basic", "algo_trader_plus"] = "algo_trader_plus"

    def caller(self, account: str) -> "Caller":
        """Return who calls with it."""
        return Caller(account=account, key_id=self.key_id, scope=self.scope, plan=self.plan)


class RateEntry(pydantic.BaseModel):
    """How many requests may come within how many seconds of the machine's time."""

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid")

    requests: pydantic.PositiveInt = 200
    seconds: pydantic.PositiveInt = 60


class AccountEntry(pydantic.BaseModel):
    """One account of the accounts file; ``cash`` is what a new account starts with, a decimal string in USD.

    Without ``rate`` there is no limit, because a compressed clock makes a day's requests in a minute. ``data_streams``
    is how many connections may be on one feed at once: one with most of Alpaca's plans, here any number unless set.
    """

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, pydantic.StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
    cash: str
    keys: tuple[KeyEntry, ...]
    rate: RateEntry | None = None
    data_streams: pydantic.PositiveInt | None = None

    @property
    def starting_cash(self) -> numbers.Money:
        """The cash as an exact amount."""
        return numbers.money(self.cash, field=f"accounts[{self.name}].cash")


@dataclass(frozen=True, slots=True)
class Caller:
    """A key that gave its right secret."""

    account: str
    key_id: str
    scope: str
    plan: str

    @property
    def may_trade(self) -> bool:
        """Whether this key may see and change the account."""
        return self.scope == "trading"

    @property
    def has_sip(self) -> bool:
        """Whether the plan has the whole market as it happens."""
        return self.plan != "basic"

    @property
    def most_symbols(self) -> int | None:
        """How many symbols' trades and quotes the plan streams; None for any number."""
        return None if self.has_sip else _BASIC_SYMBOLS


class Keys:
    """All keys of the venue."""

    def __init__(self, entries: tuple[AccountEntry, ...]) -> None:
        self._keys = {key.key_id: (entry.name, key) for entry in entries for key in entry.keys}
        if len(self._keys) != sum(len(entry.keys) for entry in entries):
            raise errors.StateRefused("accounts file: every key_id must be unique")
        self._data_streams = {entry.name: entry.data_streams for entry in entries}
        self._tokens = [
            (key.oauth_token.get_secret_value(), key.caller(entry.name))
            for entry in entries
            for key in entry.keys
            if key.oauth_token is not None and key.oauth_token.get_secret_value()
        ]

    def data_streams(self, account: str) -> int | None:
        """Return how many connections of an account may be on one feed; None for any number."""
        return self._data_streams[account]

    def caller(self, key_id: str, secret: str) -> Caller | None:
        """Return who calls, or None for an unknown key or a wrong secret."""
        account, key = self._keys.get(key_id, ("", None))
        expected = key.secret_key.get_secret_value() if key is not None else ""
        # Compared even for an unknown key, so that the time taken tells nothing about which keys exist.
        right = hmac.compare_digest(expected.encode(), secret.encode())
        if key is None or not right or not expected:
            return None
        return key.caller(account)

    def of_request(self, headers: Mapping[str, str]) -> Caller | None:
        """Return who calls by Alpaca's two headers, by HTTP Basic or by HTTP Bearer."""
        scheme, _, token = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "basic":
            try:
                key_id, _, secret = base64.b64decode(token, validate=True).decode().partition(":")
            except (binascii.Error, UnicodeDecodeError):
                return None
            return self.caller(key_id, secret)
        if scheme.lower() == "bearer":
            return self._bearer(token)
        return self.caller(headers.get("apca-api-key-id", ""), headers.get("apca-api-secret-key", ""))

    def _bearer(self, token: str) -> Caller | None:
        found = None
        for known, caller in self._tokens:  # all of them, so that the time taken tells nothing
            if hmac.compare_digest(known.encode(), token.encode()):
                found = caller
        return found


def read(file: pathlib.Path) -> tuple[AccountEntry, ...]:
    """Read the accounts file; raises StateRefused without repeating a secret."""
    adapter = pydantic.TypeAdapter(tuple[AccountEntry, ...])
    try:
        entries = adapter.validate_json(file.read_bytes())
        for entry in entries:
            _ = entry.starting_cash
    except pydantic.ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, found['loc']))}: {found['msg']}" for found in error.errors())
        raise errors.StateRefused(f"accounts file: {problems}") from None
    except engine_errors.ValueRefused as error:
        raise errors.StateRefused(f"accounts file: {error}") from error
    if len({entry.name for entry in entries}) != len(entries):
        raise errors.StateRefused("accounts file: every account name must be unique")
    return entries
