"""Bars inside a session: orders, backtest and replay, on minutes."""

from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from support import engine_data, minute_data
from tradeplane_engine import backtest, desk, errors, record, replay, settings
from tradeplane_engine.core import limits
from tradeplane_engine.data import dataset
from tradeplane_engine.domain import bars, orders, timeframes, times

DAYS = (minute_data.DAY, minute_data.NEXT_DAY)
SYMBOLS = ("AAA", "BBB")
MINUTES = [
    *(one for day in DAYS for one in minute_data.walk("AAA", day)),
    *(one for day in DAYS for one in minute_data.walk("BBB", day, without=range(100, 390, 7))),
]
POLICY: dict[str, Any] = {"position": {"allowShort": True}}


def at(text: str, day: timeframes.Hours = minute_data.DAY) -> times.Nanos:
    """Return an instant of a day, given as of the first one."""
    return times.Nanos(minute_data.at(text) + day.start - minute_data.DAY.start)


def fills_of(decided: str, *minutes: str, delay_s: int = 0, next_day: tuple[str, ...] = ()) -> tuple[list[str], int]:
    """Where a day market order of AAA fills, and how many orders expire.

    decided : the end of the bar that decides, known after the delay
    minutes, next_day : starts of the minutes in which AAA trades; BBB trades in each of both days
    """
    starts = [*map(at, minutes), *(at(text, minute_data.NEXT_DAY) for text in next_day)]
    others = [one for day in DAYS for one in minute_data.walk("BBB", day)]
    traded = dataset.slices([*(minute_data.minute("AAA", start) for start in starts), *others], (), timeframe="1m")
    made = desk.Desk(engine_data.account(), traded, state=orders.State.ENABLED, days=DAYS)
    made.declare(engine_data.strategy(symbols=SYMBOLS, top=1, bottom=0))
    bar = minute_data.minute("AAA", times.Nanos(at(decided) - times.MINUTE), delay_s=delay_s)
    made.decide("0a0b", bars.BarSlice("1m", bar.end, {"AAA": bar}), lambda ctx: ctx.order("AAA", "buy", 10))
    made.advance(traded[-1].end)
    return [times.text(fill.at)[5:16] for fill in made.journal.fills], len(made.journal.expired)


def test_an_order_waits_for_its_symbols_next_minute() -> None:
    """A minute without a trade does not end a day order."""
    assert fills_of("15:00", "14:59", "15:01") == (["03-02T15:01"], 0)


def test_an_order_fills_at_no_price_from_before_it_was_sent() -> None:
    """A bar that ended at 15:00 and is known at 15:00:01 cannot be traded on at the open of 15:00."""
    assert fills_of("15:00", "14:59", "15:00", "15:01", delay_s=1) == (["03-02T15:01"], 0)


def test_without_any_delay_the_open_at_the_decision_counts() -> None:
    """A bar that is known when it ends may be traded on at the next one's open."""
    assert fills_of("15:00", "14:59", "15:00") == (["03-02T15:00"], 0)


def test_a_day_order_ends_with_its_session() -> None:
    """Without a minute of its symbol until the close it expires, and does not trade the next day."""
    assert fills_of("20:58", "20:57", next_day=("14:30",)) == ([], 1)


def test_an_order_at_the_close_waits_for_the_next_open() -> None:
    """What is decided on a session's last bar is for the next session."""
    assert fills_of("21:00", "20:59", next_day=("14:30",)) == (["03-05T14:30"], 0)


def test_market_orders_never_fill_outside_the_regular_session() -> None:
    """One from before the open waits through every early minute for it; the auction after the close is none."""
    assert fills_of("13:00", "12:59", "13:01", "14:30") == (["03-02T14:30"], 0)
    assert fills_of("20:59", "20:58", "21:00", next_day=("14:30",)) == ([], 1)


def strategy(timeframe: str, session: str = "regular") -> settings.StrategySettings:
    """The better of two symbols, on bars of a timeframe."""
    made = engine_data.strategy(symbols=SYMBOLS, top=1, bottom=0)
    return replace(made, timeframe=timeframe, session=session)


def run(
    timeframe: str, session: str = "regular", *, data: dataset.Dataset | None = None, start: times.Nanos | None = None
) -> backtest.Result:
    """Backtest of the second day, the first one warms up."""
    return backtest.run(
        minute_data.data(MINUTES) if data is None else data,
        strategy(timeframe, session),
        model=engine_data.LastReturn(),
        account=engine_data.account(),
        start=minute_data.NEXT_DAY.start if start is None else start,
        end=times.Nanos(minute_data.NEXT_DAY.end + 4 * times.HOUR),
    )


@pytest.fixture(scope="module", name="fives")
def _fives() -> backtest.Result:
    return run("5m")


def test_a_strategy_decides_once_per_bucket(fives: backtest.Result) -> None:
    """Every five minutes of the session, the close included."""
    ends = [bucket.end for bucket in timeframes.buckets(minute_data.NEXT_DAY, timeframes.span("5m"))]
    assert [one.decision.trigger for one in fives.decisions] == ends
    assert {one.decision.outcome for one in fives.decisions} == {orders.Outcome.TRADED}


def test_orders_fill_at_the_first_minute_after_they_were_sent(fives: backtest.Result) -> None:
    """Known a second after its end, a bar is traded on at the open of the minute that follows the one then on."""
    starts = {(one.symbol, one.start): one for one in MINUTES}
    assert fives.fills
    for fill in fives.fills:
        sent = next(one.bar_end for one in fives.orders if one.client_order_id == fill.client_order_id) + times.SECOND
        first = min(start for symbol, start in starts if symbol == fill.symbol and start >= sent)
        assert (fill.at, fill.price) == (
            first,
            engine_data.REALISTIC.fill_price(fill.side, starts[fill.symbol, first].open),
        )


def test_the_timeframe_changes_the_orders(fives: backtest.Result) -> None:
    """Minutes trade more often than buckets of five."""
    minutes = run("1m")
    assert len(minutes.decisions) == 390
    assert minutes.order_bytes != fives.order_bytes


def test_the_session_changes_the_orders(fives: backtest.Result) -> None:
    """Minutes before the open trigger decisions of an extended session, whose orders fill in the regular one."""
    early = timeframes.Hours(times.Nanos(minute_data.NEXT_DAY.start - 2 * times.HOUR), minute_data.NEXT_DAY.start)
    found = sorted(
        [*MINUTES, *(one for symbol in SYMBOLS for one in minute_data.walk(symbol, early))],
        key=lambda one: (one.symbol, one.start),
    )
    data = minute_data.data(found)
    wide = run("5m", "extended", data=data, start=times.Nanos(early.start + times.MINUTE))
    assert run("5m", data=data).order_bytes == fives.order_bytes
    assert len(wide.decisions) == 24 + 78
    assert wide.order_bytes != fives.order_bytes
    assert min(fill.at for fill in wide.fills) == minute_data.NEXT_DAY.start


def test_a_daily_strategy_runs_on_minutes() -> None:
    """Its bars are the sessions, its orders fill at the next open."""
    slices = minute_data.data(MINUTES).triggers(SYMBOLS, timeframe="1d", session="regular")
    assert [one.end for one in slices] == [day.end for day in DAYS]


@pytest.mark.parametrize(
    "changed, timeframe, said",
    [
        ({"timeframe": "15m"}, "5m", "bars.timeframe: must be 15m or longer"),
        ({"hours": {}}, "5m", "hours: must be the regular hours"),
    ],
)
def test_bars_that_do_not_fit_are_refused_by_name(changed: dict[str, Any], timeframe: str, said: str) -> None:
    """Shorter bars than there are, and days whose hours nobody gave."""
    with pytest.raises(errors.ValueRefused, match=said):
        run(timeframe, data=replace(minute_data.data(MINUTES), **changed))


def replayed(found: backtest.Result, *, without: Collection[times.Nanos] = ()) -> backtest.Result:
    """Replay a backtest's decisions as a session's."""
    config = {"uid": "0a0b", "generation": 1, "policy": {"name": "prudent", "spec": POLICY}}
    events: list[Mapping[str, Any]] = [
        {"type": "environment", "spec": {}, "policy": {"name": "prudent", "hash": "1", "spec": POLICY}},
        {"type": "state", "state": "enabled", "causes": []},
        {"type": "strategy", "config": config},
        *(
            {
                "type": "decision",
                "uid": "0a0b",
                "trigger": times.text(one.decision.trigger),
                "outcome": "missed" if one.decision.trigger in without else one.decision.outcome.value,
            }
            for one in found.decisions
        ),
    ]
    document = {
        "version": 1,
        "environment": "test",
        "mode": "paper",
        "ledger": "k3j9x2ab",
        "venue_profile": "realistic",
        "starting_cash": "1000000",
        "sequence": [{"seq": number, **event} for number, event in enumerate(events, start=1)],
    }
    return replay.run(
        record.parse(document),
        minute_data.data(MINUTES),
        predictors={engine_data.DIGEST: engine_data.LastReturn()},
        translate=lambda _config: strategy("5m"),
    )


def test_a_session_on_five_minutes_is_replayed_from_minutes(fives: backtest.Result) -> None:
    """The same orders, byte for byte, and the same fills."""
    again = replayed(fives)
    assert again.order_bytes == fives.order_bytes
    assert again.fills == fives.fills


def test_a_missed_bucket_stays_missed(fives: backtest.Result) -> None:
    """A decision that was not made in the session is not made in its replay; the others see its bar."""
    missed = fives.orders[4].bar_end
    again = replayed(fives, without={missed})
    assert missed not in {one.bar_end for one in again.orders}
    assert [one.decision.signals for one in again.decisions if one.decision.trigger != missed] == [
        one.decision.signals for one in fives.decisions if one.decision.trigger != missed
    ]


def test_minutes_without_trades_are_no_gaps_in_a_dataset(tmp_path: Path) -> None:
    """One symbol of three that trades in a minute is enough; nothing is refused, and what is written is read."""
    found = [
        *minute_data.walk("AAA", minute_data.DAY),
        *minute_data.walk("BBB", minute_data.DAY, without=range(0, 390, 2)),
        *minute_data.walk("CCC", minute_data.DAY, without=range(0, 390, 3)),
    ]
    manifest = {"name": "minutes", "timeframe": "1m", "origin": "random walk", "licence": "none"}
    dataset.write(tmp_path, manifest=manifest, found=found, actions=[])
    read = dataset.read(tmp_path)
    assert (read.report.refused, read.report.accepted) == ((), len(found))
    assert list(read.history["BBB"]) == [one for one in found if one.symbol == "BBB"]


def test_a_bar_longer_than_the_datasets_is_refused(tmp_path: Path) -> None:
    """Ten minutes are no minute."""
    long = replace(
        minute_data.minute("AAA", "15:00"), end=minute_data.at("15:10"), available_at=minute_data.at("15:11")
    )
    manifest = {"name": "minutes", "timeframe": "1m", "origin": "random walk", "licence": "none"}
    dataset.write(tmp_path, manifest=manifest, found=[minute_data.minute("AAA", "14:59"), long], actions=[])
    report = dataset.read(tmp_path).report
    assert (report.accepted, report.counts) == (1, {"outside-session": 1})


def test_data_are_as_old_as_the_strategys_own_bar() -> None:
    """A minute without a trade at the end of a bucket makes no bar of five minutes stale, as at the gateway."""
    found = [minute_data.minute("AAA", text) for text in ("14:55", "14:57", "15:00")]
    tight = limits.Limits(max_bar_age=30 * times.SECOND)
    traded = dataset.slices(found, (), timeframe="1m")
    made = desk.Desk(engine_data.account(tight), traded, state=orders.State.ENABLED, days=DAYS)
    made.declare(replace(strategy("5m"), limits=tight))
    bucket = replace(found[1], start=at("14:55"), end=at("15:00"), available_at=times.Nanos(at("15:00") + times.SECOND))
    made.decide("0a0b", bars.BarSlice("5m", bucket.end, {"AAA": bucket}), lambda ctx: ctx.order("AAA", "buy", 1))
    assert made.journal.rejects == []
    minute = bars.BarSlice("1m", at("15:00"), {"AAA": found[1]})
    other = desk.Desk(engine_data.account(tight), traded, state=orders.State.ENABLED, days=DAYS)
    other.declare(replace(strategy("1m"), limits=tight))
    other.decide("0a0b", minute, lambda ctx: ctx.order("AAA", "buy", 1))
    assert [one.reason for one in other.journal.rejects] == ["stale-bar"]
