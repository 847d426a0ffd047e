"""What is kept of the stream of minutes, and how far trading time has come."""

from support import minute_data
from tradeplane_engine.domain import timeframes, times
from tradeplane_workers.market_data import grid, minutes, progress, sessions

BOTH = frozenset({"AAA", "BBB"})
BUCKET = grid.Grid(sessions.Calendar("XNYS"), timeframes.span("5m")).holding(minute_data.at("14:30"))
# A replay: the machine's clock stands years later.
LATER = times.instant("2026-01-01T00:00:00Z")


def heard(*symbols: str, start: str = "14:34", machine: times.Nanos = LATER) -> progress.Progress:
    """Progress after one minute of some symbols, heard at second 100."""
    found = progress.Progress(patience_s=1.0, late_s=10.0)
    for symbol in symbols:
        found.hear(symbol, minute_data.at(start), now_s=100.0, machine=machine)
    return found


def over(found: progress.Progress, *, now_s: float = 100.0, machine: times.Nanos = LATER) -> str:
    """Up to when trading time has passed."""
    return times.text(found.over(BOTH, now_s=now_s, machine=machine))[11:16]


def test_a_minute_is_over_when_all_have_sent_it() -> None:
    """The last one's bar ends the barrier at once."""
    assert over(heard("AAA")) == "14:34"
    assert over(heard("AAA", "BBB")) == "14:35"


def test_a_minute_is_over_when_the_barriers_time_is() -> None:
    """A second after the first bar nobody is awaited any longer."""
    found = heard("AAA")
    assert over(found, now_s=100.9) == "14:34"
    assert over(found, now_s=101.0) == "14:35"
    assert found.wait_s(minute_data.at("14:35"), BOTH, now_s=100.25, machine=LATER) == 0.75


def test_a_later_minute_ends_all_before_it() -> None:
    """Whoever did not trade in a minute is not awaited when the next one has begun to come in."""
    found = heard("AAA")
    found.hear("BBB", minute_data.at("14:40"), now_s=100.0, machine=LATER)
    assert over(found) == "14:40"
    assert found.wait_s(minute_data.at("14:35"), BOTH, now_s=100.0, machine=LATER) == 0.0


def test_an_older_minute_changes_nothing() -> None:
    """Time does not go back, and a straggler of an older minute does not count for the newest one."""
    found = heard("AAA")
    found.hear("BBB", minute_data.at("14:33"), now_s=100.0, machine=LATER)
    assert over(found) == "14:34"


def test_a_replays_time_comes_from_bars_alone() -> None:
    """The machine's clock, years later, proves nothing."""
    assert over(heard("AAA", "BBB")) == "14:35"
    assert heard("AAA", "BBB").wait_s(minute_data.at("14:40"), BOTH, now_s=100.0, machine=LATER) is None


def test_in_real_time_the_clock_ends_a_quiet_minute() -> None:
    """A stream that is seconds behind the machine's clock is real: ten seconds after a bucket's end it is over."""
    soon = times.Nanos(minute_data.at("14:35") + 2 * times.SECOND)
    found = heard("AAA", "BBB", machine=soon)
    assert over(found, machine=soon) == "14:35"
    assert found.wait_s(minute_data.at("14:40"), BOTH, now_s=100.0, machine=soon) == 308.0
    assert over(found, machine=times.Nanos(minute_data.at("14:40") + 9 * times.SECOND)) == "14:39"
    assert over(found, machine=times.Nanos(minute_data.at("14:40") + 10 * times.SECOND)) == "14:40"


def test_a_revision_replaces_and_a_second_bar_does_not() -> None:
    """Before its slice, the provider's own correction counts; another bar of the same minute is a duplicate."""
    kept = minutes.Minutes()
    first, second = (minute_data.minute("AAA", "14:30", price) for price in ("100", "101"))
    assert kept.add(first, revises=False) is minutes.Taken.KEPT
    assert kept.add(first, revises=False) is minutes.Taken.SAME
    assert kept.add(second, revises=False) is minutes.Taken.DUPLICATE
    assert kept.at("AAA", first.start) == first
    assert kept.add(second, revises=True) is minutes.Taken.REVISED
    assert kept.at("AAA", first.start) == second


def test_a_bucket_is_whole_with_all_its_minutes() -> None:
    """Five of five; four are not, whichever is missing."""
    assert BUCKET is not None
    for missing in range(5):
        kept = minutes.Minutes()
        starts = [f"14:{30 + number}" for number in range(5) if number != missing]
        for start in starts:
            kept.add(minute_data.minute("AAA", start), revises=False)
        assert not kept.is_whole("AAA", BUCKET)
        kept.add(minute_data.minute("AAA", f"14:{30 + missing}"), revises=False)
        assert kept.is_whole("AAA", BUCKET)
        assert [one.start for one in kept.of("AAA", BUCKET)] == list(BUCKET.minutes)


def test_rest_fills_what_was_not_heard() -> None:
    """What was heard since the stream is whole is newer than REST; what was heard before may have been revised."""
    kept = minutes.Minutes()
    for start in ("14:30", "14:32"):
        kept.add(minute_data.minute("AAA", start, "100"), revises=False)
    asked = [minute_data.minute("AAA", start, "200") for start in ("14:30", "14:31", "14:32")]
    kept.fill(asked, (), until=minute_data.at("14:32"))
    assert BUCKET is not None
    assert [one.open for one in kept.of("AAA", BUCKET)] == [2_000_000, 2_000_000, 1_000_000]


def test_a_minute_that_must_not_be_traded_breaks_its_bucket_until_it_is_mended() -> None:
    """A bar of the rest would be another bar; a good version of the minute makes it whole."""
    assert BUCKET is not None
    kept = minutes.Minutes()
    kept.break_at("AAA", minute_data.at("14:31"))
    assert kept.is_broken("AAA", BUCKET)
    assert not kept.is_broken("BBB", BUCKET)
    kept.fill([minute_data.minute("AAA", "14:31")], (), until=minute_data.at("14:30"))
    assert not kept.is_broken("AAA", BUCKET)


def test_what_is_over_is_forgotten() -> None:
    """Minutes and refusals alike."""
    assert BUCKET is not None
    kept = minutes.Minutes()
    kept.add(minute_data.minute("AAA", "14:30"), revises=False)
    kept.break_at("BBB", minute_data.at("14:30"))
    kept.drop_until(BUCKET.end)
    assert (kept.of("AAA", BUCKET), kept.is_broken("BBB", BUCKET)) == ([], False)
