from collections.abc import Mapping
from dataclasses import fields
from fractions import Fraction
from typing import Any

import pytest

from support import engine_data
from tradeplane_engine import errors
from tradeplane_engine.core import limits
from tradeplane_engine.domain import numbers, times

DAILY = {
    "maxNotionalPerDay": "2000000",
    "maxOrdersPerDay": 90,
    "collarBps": 300,
    "maxPerSecond": 9,
    "restricted": ["GME", "AMC", "GME"],
}
SPEC: Mapping[str, Any] = {
    "order": {"maxNotional": "400000", "maxQuantity": "50000", "maxOpenOrders": 7, **DAILY},
    "position": {"maxWeight": "0.6", "maxNotional": "900000.5", "allowShort": True},
    "portfolio": {"maxGross": "1.5", "maxNet": "1.25", "maxPositions": 20, "maxConcentration": "0.3"},
    "loss": {"maxDailyLoss": "0.02", "maxDrawdown": "0.1", "maxConsecutiveLosses": 5},
    "data": {"maxBarAge": "1h"},
    "onBreach": {"order": "clip", "loss": "flatten", "data": "reject"},
}


def test_a_policy_is_read_from_its_spec() -> None:
    """Each field of the spec is a limit, and no limit is without a field."""
    found = limits.from_spec(SPEC)
    assert found == limits.Limits(
        max_notional=numbers.money("400000"),
        max_quantity=engine_data.shares(50_000),
        max_open_orders=7,
        max_notional_per_day=numbers.money("2000000"),
        max_orders_per_day=90,
        collar_bps=300,
        max_per_second=9,
        restricted=("AMC", "GME"),
        max_weight=Fraction(3, 5),
        max_position_notional=numbers.money("900000.5"),
        allow_short=True,
        max_gross=Fraction(3, 2),
        max_net=Fraction(5, 4),
        max_positions=20,
        max_concentration=Fraction(3, 10),
        max_daily_loss=Fraction(1, 50),
        max_drawdown=Fraction(1, 10),
        max_consecutive_losses=5,
        max_bar_age=times.HOUR,
        on_breach={"order": limits.Breach.CLIP, "loss": limits.Breach.FLATTEN, "data": limits.Breach.REJECT},
    )
    assert all(getattr(found, field.name) for field in fields(found))


def test_an_empty_policy_allows_everything_but_shorts() -> None:
    """A limit that does not apply is left out; short sales need a yes."""
    empty = {"order": {}, "position": {}, "portfolio": {}, "loss": {}, "data": {}, "onBreach": {}}
    for spec in ({}, empty, {**empty, "order": {"maxNotional": None}}):
        assert limits.from_spec(spec) == limits.Limits(allow_short=False)


@pytest.mark.parametrize("name", SPEC["loss"])
def test_any_limit_on_losses_has_them_measured(name: str) -> None:
    """No other limit has."""
    assert limits.from_spec({"loss": {name: SPEC["loss"][name]}}).measures_losses
    assert not limits.from_spec({**SPEC, "loss": {}}).measures_losses


def test_the_word_reject_is_every_familys_reject() -> None:
    """As policies in session records from before the map have it."""
    assert limits.from_spec({"onBreach": "reject"}) == limits.Limits()


@pytest.mark.parametrize(
    "group,field,value,named",
    [
        ("order", "maxNotional", "0", "order.maxNotional"),
        ("order", "maxNotional", "-1", "order.maxNotional"),
        ("order", "maxNotional", "many", "order.maxNotional"),
        ("order", "maxNotional", 1.5, "order.maxNotional"),
        ("order", "maxQuantity", "0", "order.maxQuantity"),
        ("order", "maxOpenOrders", 0, "order.maxOpenOrders"),
        ("order", "maxOpenOrders", "5", "order.maxOpenOrders"),
        ("order", "maxOpenOrders", True, "order.maxOpenOrders"),
        ("order", "maxOpenOrders", 1_000_001, "order.maxOpenOrders"),
        ("order", "maxPrice", "1", "order.maxPrice"),
        ("position", "maxWeight", "0", "position.maxWeight"),
        ("position", "maxWeight", "1.6", "position.maxWeight"),
        ("position", "maxNotional", "0", "position.maxNotional"),
        ("position", "allowShort", "yes", "position.allowShort"),
        ("position", "allowShort", 1, "position.allowShort"),
        ("portfolio", "maxGross", "-1", "portfolio.maxGross"),
        ("portfolio", "maxNet", "1.51", "portfolio.maxNet"),
        ("portfolio", "maxPositions", 0, "portfolio.maxPositions"),
        ("portfolio", "maxConcentration", "0", "portfolio.maxConcentration"),
        ("loss", "maxDailyLoss", "0.11", "loss.maxDailyLoss"),
        ("loss", "maxDrawdown", "1.01", "loss.maxDrawdown"),
        ("loss", "maxConsecutiveLosses", -1, "loss.maxConsecutiveLosses"),
        ("data", "maxBarAge", "1", "data.maxBarAge"),
        ("data", "maxBarAge", "0s", "data.maxBarAge"),
        ("margin", "maxLeverage", "1", "margin"),
        ("onBreach", "margin", "reject", "onBreach.margin"),
        ("onBreach", "order", "ignore", "onBreach.order"),
        ("onBreach", "loss", "clip", "onBreach.loss"),
        ("onBreach", "data", "clip", "onBreach.data"),
    ],
)
def test_a_bad_policy_is_refused_by_field(group: str, field: str, value: object, named: str) -> None:
    """Zero, negative, unknown and contradicting limits name field, limit and value."""
    spec = {**SPEC, group: {**SPEC.get(group, {}), field: value}}
    with pytest.raises(errors.ValueRefused) as refused:
        limits.from_spec(spec)
    assert refused.value.field == named


def test_limits_may_be_as_wide_as_they_can_be() -> None:
    """All of the equity, and a million of what is counted."""
    found = limits.from_spec({"order": {"maxOpenOrders": 1_000_000}, "loss": {"maxDrawdown": "1"}})
    assert (found.max_open_orders, found.max_drawdown) == (1_000_000, 1)


@pytest.mark.parametrize("family", ["order", "position", "portfolio", "loss", "data"])
def test_a_family_is_a_mapping(family: str) -> None:
    """A word in its place is refused."""
    with pytest.raises(errors.ValueRefused, match=family):
        limits.from_spec({family: "strict"})


@pytest.mark.parametrize("word", ["flatten", "", None, ["reject"]])
def test_no_other_word_stands_for_a_map(word: object) -> None:
    """A reaction for everything is not built, and refused rather than ignored."""
    with pytest.raises(errors.ValueRefused, match="onBreach"):
        limits.from_spec({**SPEC, "onBreach": word})


def test_a_contradiction_names_both_limits() -> None:
    """As the API server says it."""
    with pytest.raises(errors.ValueRefused, match=r"position\.maxWeight: must be at most portfolio\.maxGross \(1\.5\)"):
        limits.Limits(max_weight=Fraction(8, 5), max_gross=Fraction(3, 2))
