"""What the demo takes for an order of the ledger."""

import pytest

from tradeplane_cli.demo import gather


@pytest.mark.parametrize(
    "status,is_sent", [("acknowledged", True), ("not-sent", False), ("broker-refused", False), ("unseen", False)]
)
def test_only_what_the_broker_has_is_an_order(status: str, *, is_sent: bool) -> None:
    """The session record says ``not-sent`` of all others, and the replay leaves them out."""
    row = {
        "sequence": 1,
        "client_order_id": "k3j9x2ab-u-20120305T210000Z-AAPL-order-0-0-1",
        "trigger": "2012-03-05T21:00:00Z",
        "symbol": "AAPL",
        "side": "buy",
        "quantity": "10",
        "type": "market",
        "time_in_force": "day",
        "status": status,
        "order_status": "",
        "reason": "",
        "sent": "2026-01-01T00:00:00Z",
    }
    assert gather._order(row).sent is is_sent
