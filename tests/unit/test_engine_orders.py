import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradeplane_engine import errors
from tradeplane_engine.domain import orders, times

KEYS = st.builds(
    orders.OrderKey,
    ledger=st.from_regex(r"[a-z0-9]{8}", fullmatch=True),
    uid=st.from_regex(r"[0-9a-f]{32}", fullmatch=True),
    trigger=st.integers(min_value=0, max_value=4_000_000_000).map(lambda s: times.Nanos(s * times.SECOND)),
    symbol=st.from_regex(r"[A-Z][A-Z0-9.]{0,11}", fullmatch=True),
    number=st.integers(min_value=0, max_value=999),
    replacement=st.integers(min_value=0, max_value=99),
    attempt=st.integers(min_value=1, max_value=99),
)


@given(KEYS)
def test_a_client_order_id_can_be_read_back(key: orders.OrderKey) -> None:
    """Lost rows can be rebuilt from the broker's ids."""
    assert key == orders.parse_client_order_id(orders.client_order_id(key))


@given(st.lists(KEYS, min_size=2, max_size=8, unique=True))
def test_different_keys_have_different_ids(keys: list[orders.OrderKey]) -> None:
    """No two orders share an id."""
    assert len(keys) == len({orders.client_order_id(key) for key in keys})


@given(KEYS)
def test_ids_fit_the_broker(key: orders.OrderKey) -> None:
    """At most 128 characters of [A-Za-z0-9_-]."""
    text = orders.client_order_id(key)
    assert len(text) <= 128
    assert all(one.isascii() and (one.isalnum() or one in "_-") for one in text)


@pytest.mark.parametrize("text", ["", "abc", "a-b-c-d-e-f-g-h", "a-b-20120302T210000Z-AAPL-exit-0-0-1", "x" * 200])
def test_a_foreign_id_is_refused(text: str) -> None:
    """An id that is not ours is not taken for ours."""
    with pytest.raises(errors.ValueRefused, match="client_order_id"):
        orders.parse_client_order_id(text)


def test_a_trigger_between_seconds_has_no_id() -> None:
    """The id holds whole seconds; anything else would collide."""
    key = orders.OrderKey(ledger="k", uid="u", trigger=times.Nanos(1), symbol="AAPL")
    with pytest.raises(errors.ValueRefused, match="whole seconds"):
        orders.client_order_id(key)
