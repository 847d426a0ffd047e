"""Which bars are history, which are triggers, and which triggers were missed."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from support import engine_data, live_runs
from tradeplane_engine import declarative, live, settings
from tradeplane_engine.domain import bars, numbers, times
from tradeplane_engine.features import sources
from tradeplane_workers import bar_messages, history_client, messages
from tradeplane_workers.strategy import bar_stream, figures, runner, stopping

MARKET = engine_data.market(80)
STRATEGY = engine_data.strategy()
NOW = times.Nanos(engine_data.ending(1000))


@dataclass
class History:
    """The provider knows the first ``known`` slices, and ``later`` more once it was asked for the newest."""

    known: int
    slices_of_market: Sequence[bars.BarSlice] = MARKET
    later: int = 0
    failures: int = 0
    asked: list[times.Nanos] = field(default_factory=list)

    def slices(
        self, symbols: Sequence[str], *, timeframe: str, start: times.Nanos, end: times.Nanos | None, session: str
    ) -> tuple[bars.BarSlice, ...]:
        """Return known slices from ``start`` on."""
        assert (tuple(symbols), timeframe, end, session) == (engine_data.SYMBOLS, "1d", None, "regular")
        self._fail()
        self.asked.append(start)
        return tuple(one for one in self.slices_of_market[: self.known] if one.end >= start)

    def newest(self, symbols: Sequence[str], *, timeframe: str, last: int, session: str) -> tuple[bars.BarSlice, ...]:
        """Return the newest known slices."""
        assert (tuple(symbols), timeframe, session) == (engine_data.SYMBOLS, "1d", "regular")
        self._fail()
        found = tuple(self.slices_of_market[: self.known][-last:])
        self.known += self.later
        return found

    def _fail(self) -> None:
        if self.failures:
            self.failures -= 1
            raise history_client.HistoryUnavailableError("down")


@dataclass
class Stream:
    """Gives prepared batches, then asks to stop."""

    stop: stopping.Stop
    batches: list[list[bar_stream.Entry]]
    position: int = 0

    def seek(self, end: times.Nanos) -> None:
        """Remember the place."""
        self.position = end

    def read(self) -> list[bar_stream.Entry]:
        """Give the next batch."""
        self.stop.check()
        if not self.batches:
            self.stop.request()
            return []
        return self.batches.pop(0)


@dataclass
class Life:
    """One run of a strategy against fakes."""

    venue: live_runs.Venue
    stream: Stream
    history: History
    features: sources.LastBars
    counted: figures.Figures

    @property
    def outcomes(self) -> list[tuple[int, str]]:
        """(session, outcome) of every decision, in order."""
        sessions = {one.end: number for number, one in enumerate(MARKET)}
        return [(sessions[one.trigger], one.outcome.value) for one in self.venue.decisions]


def hosted(
    told: settings.StrategySettings, venue: live_runs.Venue, features: sources.LastBars | None = None
) -> live.Host:
    """Return what decides about a strategy that a manifest declares."""
    features = features or sources.LastBars(told.features, told.symbols)
    declared = declarative.Declarative(told, features=features, model=engine_data.LastReturn())
    return live.Host(told, declared, venue, live_runs.Now(), features=features)


def followed(
    *batches: Sequence[bar_stream.Entry],
    history: History,
    last: int | None = None,
) -> Life:
    """Start after trigger number ``last`` and follow the batches to their end."""
    stop = stopping.Stop()
    stream = Stream(stop, [list(batch) for batch in batches])
    venue = live_runs.Venue()
    features = sources.LastBars(STRATEGY.features, STRATEGY.symbols)
    host = hosted(STRATEGY, venue, features)
    origins = runner.Sources(history=history, stream=stream, heartbeat=lambda: None)
    counted = figures.Figures()
    running = runner.Runner(STRATEGY, host, origins, stop=stop, counted=counted, machine_now=lambda: NOW)
    running.start(None if last is None else live.Place(MARKET[last].end))
    with pytest.raises(stopping.Stopped):
        running.follow()
    return Life(venue, stream, history, features, counted)


def message(
    number: int, *, backfilled: bool = False, market: Sequence[bars.BarSlice] = MARKET
) -> messages.SliceMessage:
    """Return a session's slice as market data publishes it."""
    one = market[number]
    return messages.SliceMessage(
        timeframe="1d",
        end=times.text(one.end),
        bars=tuple(bar_messages.bar_message(bar) for bar in one.bars.values()),
        absent=tuple(sorted(set(engine_data.SYMBOLS) - one.bars.keys())),
        actions=tuple(bar_messages.action_message(action) for action in one.actions),
        backfilled=backfilled,
    )


def gap(since: int, until: int) -> messages.GapMessage:
    """Return a gap marker between two sessions."""
    return messages.GapMessage(timeframe="1d", since=times.text(MARKET[since].end), until=times.text(MARKET[until].end))


def rows_after(slices: Iterable[bars.BarSlice]) -> bytes:
    """Return the bits of the newest feature rows after these slices."""
    features = sources.LastBars(STRATEGY.features, STRATEGY.symbols)
    for one in slices:
        features.observe(one)
    symbols, rows = features.rows()
    return repr(symbols).encode() + rows.tobytes()


def bits(life: Life) -> bytes:
    """Return the bits of a life's newest feature rows."""
    symbols, rows = life.features.rows()
    return repr(symbols).encode() + rows.tobytes()


def test_the_first_start_decides_only_on_bars_that_come_later() -> None:
    """Without a last trigger everything that is known is history."""
    life = followed([message(70)], history=History(known=70))
    assert life.outcomes == [(70, "traded")]


def test_a_first_start_without_new_bars_decides_nothing() -> None:
    """History alone is no trigger."""
    life = followed(history=History(known=70))
    assert life.outcomes == []
    assert life.stream.position == MARKET[69].end


def test_a_restart_without_missed_bars_goes_on() -> None:
    """With a last trigger the next bar is the next trigger."""
    life = followed([message(70)], history=History(known=70), last=69)
    assert life.outcomes == [(70, "traded")]


def test_a_bar_that_came_while_no_process_ran_is_decided() -> None:
    """The newest bar after the last trigger is a trigger, even at the start."""
    life = followed(history=History(known=71), last=69)
    assert life.outcomes == [(70, "traded")]


def test_of_several_missed_bars_only_the_newest_is_decided() -> None:
    """Older bars after the last trigger are recorded as missed, in order."""
    life = followed(history=History(known=73), last=69)
    assert life.outcomes == [(70, "missed"), (71, "missed"), (72, "traded")]


def test_a_batch_of_the_stream_is_treated_the_same() -> None:
    """Several slices at once: the newest is decided."""
    life = followed([message(70), message(71)], history=History(known=70))
    assert life.outcomes == [(70, "missed"), (71, "traded")]


def test_a_repeated_slice_is_ignored() -> None:
    """One decision per bar, whatever the stream repeats."""
    life = followed([message(70)], [message(70)], [message(69)], history=History(known=70))
    assert life.outcomes == [(70, "traded")]


def test_a_back_filled_slice_asks_history_whether_it_is_the_newest() -> None:
    """The first of several back-filled slices is not decided when later bars are known."""
    life = followed(
        [gap(69, 72)],
        [message(70, backfilled=True)],
        [message(71, backfilled=True)],
        history=History(known=70, later=2),
    )
    assert life.outcomes == [(70, "missed"), (71, "traded")]


def test_a_hole_in_the_stream_is_filled_from_history() -> None:
    """After a gap marker bars that the stream never had are missed triggers, and in the features."""
    life = followed([gap(69, 72), message(72, backfilled=True)], history=History(known=70, later=3))
    assert life.outcomes == [(70, "missed"), (71, "missed"), (72, "traded")]
    assert bits(life) == rows_after(MARKET[:73])


def test_an_entry_that_cannot_be_read_is_asked_from_history() -> None:
    """A broken entry costs no bar."""
    life = followed([None], history=History(known=70, later=1))
    assert life.outcomes == [(70, "traded")]


def test_a_slice_that_does_not_mention_our_symbols_is_asked_from_history() -> None:
    """A slice published before our subscription was seen is completed by REST."""
    partial = message(70)
    partial = partial.model_copy(update={"bars": partial.bars[:2], "absent": ()})
    life = followed([partial], history=History(known=70, later=1))
    assert life.outcomes == [(70, "traded")]
    assert bits(life) == rows_after(MARKET[:71])


def test_a_slice_with_a_broken_bar_is_never_traded() -> None:
    """A bar that cannot be an exact bar makes history the source."""
    broken = message(70)
    first = broken.bars[0].model_copy(update={"close": "0"})
    broken = broken.model_copy(update={"bars": (first, *broken.bars[1:])})
    life = followed([broken], history=History(known=70, later=1))
    assert [signal.symbol for signal in life.venue.decisions[0].signals] == list(engine_data.SYMBOLS)
    assert bits(life) == rows_after(MARKET[:71])


def test_symbols_of_others_are_left_out() -> None:
    """A slice holds every subscribed symbol; ours are ours."""
    other = engine_data.bar("ZZZ", 70)
    foreign = message(70)
    foreign = foreign.model_copy(update={"bars": (*foreign.bars, bar_messages.bar_message(other))})
    life = followed([foreign], history=History(known=70))
    assert [signal.symbol for signal in life.venue.decisions[0].signals] == list(engine_data.SYMBOLS)


def test_a_slice_without_our_bars_is_no_trigger_but_its_actions_count() -> None:
    """A session in which none of ours traded gives no decision; its split acts before the next bar."""
    split = bars.CorporateAction("AAA", MARKET[70].bars["AAA"].start, (2, 1), numbers.Money(0))
    quiet = message(70).model_copy(
        update={
            "bars": (),
            "absent": engine_data.SYMBOLS,
            "actions": (bar_messages.action_message(split),),
        }
    )
    life = followed([quiet], [message(71)], history=History(known=70))
    assert life.outcomes == [(71, "traded")]
    expected = [*MARKET[:70], replace(MARKET[71], actions=(split,))]
    assert bits(life) == rows_after(expected)


def test_features_are_the_same_through_any_path() -> None:
    """History at the start and slices of the stream give the same bits as history alone."""
    life = followed(*[[message(number)] for number in range(65, 75)], history=History(known=65))
    assert bits(life) == rows_after(MARKET[:75])


def test_actions_reach_the_features_through_a_gap() -> None:
    """A split inside a gap is in the newest rows as in training."""
    split = bars.CorporateAction("BBB", MARKET[71].bars["BBB"].start, (2, 1), numbers.Money(0))
    market = list(MARKET)
    market[71] = replace(market[71], actions=(split,))
    life = followed([gap(69, 72)], history=History(known=70, later=3, slices_of_market=market))
    assert bits(life) == rows_after(market[:73])
    assert bits(life) != rows_after(MARKET[:73])


def test_history_is_asked_until_it_answers() -> None:
    """Without whole history no decision is made; an outage only delays."""
    life = followed([message(70)], history=History(known=70, failures=3))
    assert life.outcomes == [(70, "traded")]


def test_bars_of_the_future_are_awaited() -> None:
    """A bar that the machine's clock has not reached is not decided on before it has."""
    stop = stopping.Stop()
    venue = live_runs.Venue()
    readings = iter([MARKET[70].end - times.SECOND // 100, NOW])
    running = runner.Runner(
        STRATEGY,
        hosted(STRATEGY, venue),
        runner.Sources(history=History(known=70), stream=Stream(stop, [[message(70)]]), heartbeat=lambda: None),
        stop=stop,
        counted=figures.Figures(),
        machine_now=lambda: times.Nanos(next(readings)),
    )
    running.start(None)
    with pytest.raises(stopping.Stopped):
        running.follow()
    assert len(venue.decisions) == 1
    assert next(readings, None) is None


def revision(number: int) -> messages.RevisionMessage:
    """Return the marker of a minute after a session's slice."""
    bar = bar_messages.bar_message(MARKET[number].bars["AAA"])
    return messages.RevisionMessage(timeframe="1d", end=bar.end, reason="revised", minute=bar)


def test_a_minute_after_its_slice_changes_no_decision_and_asks_for_nothing() -> None:
    """It is counted; what was decided stays, and the stream is still the whole truth."""
    history = History(known=70)
    life = followed([message(70)], [revision(70)], [message(71)], history=history)
    assert life.outcomes == [(70, "traded"), (71, "traded")]
    assert history.asked == []
    assert sample(life, "tradeplane_strategy_revisions_total", reason="revised") == 1


def test_the_age_of_each_bar_is_shown() -> None:
    """What the limit of a bar's age is judged on: from the symbol's newest bar to the trigger, in trading time."""
    one = MARKET[71]
    without = replace(one, bars={symbol: bar for symbol, bar in one.bars.items() if symbol != "BBB"})
    market = [*MARKET[:71], without]
    life = followed([message(70)], [message(71, market=market)], history=History(known=70))
    assert sample(life, "tradeplane_strategy_bar_age_seconds", symbol="AAA") == 0
    assert sample(life, "tradeplane_strategy_bar_age_seconds", symbol="BBB") == 86_400


@pytest.mark.parametrize(
    "timeframe, session, last, days",
    [
        ("1d", "regular", 71, 113),
        ("1h", "regular", 122, 54),
        ("15m", "extended", 122, 17),
        ("5m", "regular", 122, 9),
        ("1m", "extended", 122, 6),
    ],
)
def test_the_warm_up_fits_the_timeframe(timeframe: str, session: str, last: int, days: int) -> None:
    """Enough bars for a window in which symbols did not always trade, and not months of minutes."""
    asked: list[tuple[str, str, int]] = []

    class Asked:
        def slices(self, *_: object, **query: Any) -> tuple[bars.BarSlice, ...]:
            asked.append((query["timeframe"], query["session"], (MARKET[70].end - query["start"]) // times.DAY))
            return ()

        def newest(self, *_: object, **query: Any) -> tuple[bars.BarSlice, ...]:
            asked.append((query["timeframe"], query["session"], query["last"]))
            return ()

    strategy = replace(STRATEGY, timeframe=timeframe, session=session)
    for last_one in (None, live.Place(MARKET[70].end)):
        stop = stopping.Stop()
        host = hosted(strategy, live_runs.Venue())
        origins = runner.Sources(history=Asked(), stream=Stream(stop, []), heartbeat=lambda: None)
        running = runner.Runner(strategy, host, origins, stop=stop, counted=figures.Figures(), machine_now=lambda: NOW)
        running.start(last_one)
    assert asked == [(timeframe, session, last), (timeframe, session, days)]


def sample(life: Life, name: str, **labels: str) -> float | None:
    """Return a metric of a life."""
    return life.counted.registry.get_sample_value(name, labels)
