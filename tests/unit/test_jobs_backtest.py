"""A backtest's job on real bars: configuration in, document and outcome out, the same bytes every time."""

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from support import backtests, engine_data, minute_data
from tradeplane_cli import __main__ as command_line
from tradeplane_engine.data import aggregation, dataset
from tradeplane_engine.domain import bars, timeframes, times
from tradeplane_engine.models import predictor
from tradeplane_operator import artifacts as operator_artifacts
from tradeplane_workers import artifacts, backtest_run, exchange_days, history_client, messages
from tradeplane_workers.jobs import backtest

Json = dict[str, Any]


@dataclass(frozen=True)
class Market:
    """The demo's bars in a folder, and a model of them in a store."""

    folder: Path
    data: dataset.Dataset
    store: artifacts.ArtifactStore
    digest: str
    url: str

    @property
    def slices(self) -> tuple[bars.BarSlice, ...]:
        """All bars."""
        return self.data.slices()

    def config(self, **spec: Any) -> messages.BacktestConfig:
        """Return the job's configuration."""
        return backtests.config(self.digest, self.url, **spec)


@pytest.fixture(scope="module", name="market")
def _market(tmp_path_factory: pytest.TempPathFactory) -> Market:
    root = tmp_path_factory.mktemp("market")
    data = backtests.demo_bars(root / "bars")
    store = artifacts.ArtifactStore((root / "artifacts").as_uri())
    digest, url = backtests.trained(data, store)
    return Market(root / "bars", data, store, digest, url)


@pytest.fixture(name="store")
def _store(tmp_path: Path) -> artifacts.ArtifactStore:
    return artifacts.ArtifactStore((tmp_path / "artifacts").as_uri())


@pytest.fixture(scope="module", name="result")
def _result(market: Market) -> messages.BacktestResult:
    return backtest.run(market.config(), backtests.History(market.slices), market.store)


def document(result: messages.BacktestResult, store: artifacts.ArtifactStore) -> Json:
    """Return the result's document."""
    found: Json = json.loads(store.get(result.digest))
    return found


def test_a_run_leaves_document_and_outcome(market: Market, result: messages.BacktestResult) -> None:
    """The document is in the store under its digest; its hash is that of the canonical bytes of its events."""
    assert result.error == ""
    assert market.store.backtest(backtests.SUBMISSION) == result
    assert result.artifact == market.store.url(result.digest)
    told = document(result, market.store)
    canonical = json.dumps(told["events"], sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    assert result.hash == told["hash"] == f"sha256:{hashlib.sha256(canonical).hexdigest()}"
    assert told["events"]["orders"]
    assert len(told["events"]["equity"]) == int(result.measures["sessions"]) == 64
    assert told["asked"]["from"], told["asked"]["to"] == ("2012-03-02", "2012-06-01")
    assert told["measures"] == result.measures
    assert all(re.fullmatch(r"-?[0-9]+(\.[0-9]+)?", text) for text in result.measures.values())


def test_an_honest_run_passes_its_audit(
    market: Market, store: artifacts.ArtifactStore, result: messages.BacktestResult
) -> None:
    """It is audited unless the spec says otherwise, which changes no event."""
    not_audited = backtest.run(market.config(audit=False), backtests.History(market.slices), store)
    assert (result.audit, result.accusation, not_audited.audit) == ("Passed", "", "NotRun")
    assert result.hash == not_audited.hash


@dataclass
class Cheat:
    """Turns every score around where something holds that it must not know."""

    honest: predictor.Predictor
    known: int

    def predict(self, names: Sequence[str], rows: predictor.FloatArray) -> predictor.Prediction:
        """Score."""
        found = self.honest.predict(names, rows)
        return replace(found, scores=tuple(score * (-1) ** self.known for score in found.scores))


@pytest.mark.parametrize("cheat", ["last bar", "later", "outside"])
def test_a_run_that_depends_on_later_bars_is_accused(
    market: Market, store: artifacts.ArtifactStore, monkeypatch: pytest.MonkeyPatch, cheat: str
) -> None:
    """One that looks at the last bar, one that looks at bars of the second half, and one that counts across runs."""
    real, seen = backtest_run.run, []

    def cheating(traded: Any, data: dataset.Dataset, model: predictor.Predictor, **how: Any) -> Any:
        own = next(iter(data.history.values()))
        seen.append({"last bar": own[-1].end, "later": own[-5].close, "outside": len(seen)}[cheat])
        return real(traded, data, Cheat(model, int(seen[-1] != seen[0])), **how)

    monkeypatch.setattr(backtest_run, "run", cheating)
    found = backtest.run(market.config(), backtests.History(market.slices), store)
    assert (found.error, found.audit) == ("", "Failed")
    assert re.match("another decision at 2012-0[3-5]-.* where bars after 2012-0[45]-", found.accusation)


async def test_the_operator_reads_what_the_job_left(market: Market, result: messages.BacktestResult) -> None:
    """Every field of the status is in the outcome."""
    reader = operator_artifacts.Artifacts(market.url.rpartition("/sha256/")[0])
    outcome = await reader.backtest(backtests.SUBMISSION)
    assert outcome is not None
    assert outcome.result is not None
    fields = ("hash", "artifact", "digest", "data", "trials", "audit", "accusation", "measures")
    assert outcome.result.model_dump() == {name: getattr(result, name) for name in fields}
    assert await reader.backtest("another") is None


def test_the_command_line_gives_the_same_hash(
    market: Market, result: messages.BacktestResult, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same manifests on the same bars, without any server: hash, bars and measures are the job's."""
    folder = backtests.write_manifests(tmp_path / "manifests")
    assert command_line.main(["backtest", f"--filename={folder}", f"--data={market.folder}"]) == 0
    printed = dict(
        re.split(r" {2,}|(?<=\d) (?=sha256)", line, maxsplit=1) for line in capsys.readouterr().out.splitlines()
    )
    assert printed["hash"] == result.hash
    assert printed["bars read"] == result.data
    assert printed["sharpe low"] == result.measures["sharpe_low"]


def test_options_of_the_command_line_come_before_the_backtest(
    market: Market, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A day that is named on the command line is the one, and one that the Model was trained on is marked."""
    folder = backtests.write_manifests(tmp_path / "manifests")
    days = ("--from=2012-03-01", "--to=2012-03-09")
    assert command_line.main(["backtest", f"-f{folder}", f"--data={market.folder}", *days]) == 0
    printed = capsys.readouterr().out
    assert "7, 2012-03-01 to 2012-03-09" in printed
    assert "trained until 2012-03-02" in printed


def test_history_is_read_from_before_the_period(market: Market, store: artifacts.ArtifactStore) -> None:
    """Far enough back for the features of the first day, and not past the last one."""
    history = backtests.History(market.slices)
    result = backtest.run(market.config(), history, store)
    ((start, end),) = history.asked or ()
    assert end == times.instant("2012-06-02T00:00:00Z")
    first = times.instant("2012-03-02T00:00:00Z")
    assert sum(start <= one.end < first for one in market.slices) >= engine_data.ALPHA.window
    assert document(result, store)["events"]["orders"][0]["bar_end"].startswith("2012-03-02")


def test_other_bars_than_those_of_the_span_change_nothing(
    market: Market, store: artifacts.ArtifactStore, result: messages.BacktestResult
) -> None:
    """Neither the future nor the distant past is seen, whatever the provider sends."""
    asked = backtests.History([])
    backtest.run(market.config(), asked, artifacts.ArtifactStore("memory://nothing"))
    ((start, end),) = asked.asked or ()
    known = [one for one in market.slices if end is not None and start <= one.end <= end]
    assert known[0].end > market.slices[0].end
    assert known[-1].end < market.slices[-1].end
    again = backtest.run(market.config(), backtests.History(known), store)
    assert (again.hash, again.data, again.digest) == (result.hash, result.data, result.digest)


def test_one_other_bar_changes_hash_and_data(
    market: Market, store: artifacts.ArtifactStore, result: messages.BacktestResult
) -> None:
    """What was read is part of the result."""
    changed = list(market.slices)
    place = next(n for n, one in enumerate(changed) if one.end > times.instant("2012-04-02T00:00:00Z"))
    one = changed[place]
    moved = {symbol: replace(bar, close=bar.low, high=max(bar.high, bar.open)) for symbol, bar in one.bars.items()}
    changed[place] = replace(one, bars=moved)
    again = backtest.run(market.config(), backtests.History(changed), store)
    assert again.error == ""
    assert again.data != result.data
    assert again.hash != result.hash


def test_the_seed_moves_the_interval_and_nothing_else(
    market: Market, store: artifacts.ArtifactStore, result: messages.BacktestResult
) -> None:
    """No order depends on it."""
    again = backtest.run(market.config(seed=8), backtests.History(market.slices), store)
    assert again.hash == result.hash
    different = {name for name, text in again.measures.items() if text != result.measures[name]}
    assert different == {"sharpe_low", "sharpe_high"}


def test_the_period_moves_the_result(
    market: Market, store: artifacts.ArtifactStore, result: messages.BacktestResult
) -> None:
    """Both days are traded, no more and no less."""
    shorter = {"from": "2012-03-05", "to": "2012-03-09"}
    again = backtest.run(market.config(**shorter), backtests.History(market.slices), store)
    equity = document(again, store)["events"]["equity"]
    assert [point["at"][:10] for point in equity] == [f"2012-03-0{day}" for day in range(5, 10)]
    assert again.hash != result.hash


def test_bars_can_be_pinned(market: Market, store: artifacts.ArtifactStore, result: messages.BacktestResult) -> None:
    """The digest of what was read is accepted; any other one is refused, and both are named."""
    pinned = backtest.run(market.config(data={"digest": result.data}), backtests.History(market.slices), store)
    assert pinned.hash == result.hash
    other = artifacts.ArtifactStore("memory://pinned")
    wrong = "sha256:" + "0" * 64
    refused = backtest.run(market.config(data={"digest": wrong}), backtests.History(market.slices), other)
    assert refused.refused
    assert all(word in refused.error for word in ("data.digest", result.data, wrong))


def test_a_repeated_run_changes_nothing(market: Market, result: messages.BacktestResult) -> None:
    """A submission that comes again finds what the first one left, and reads no bars."""
    history = backtests.History([])
    assert backtest.run(market.config(), history, market.store) == result
    assert history.asked is None


def test_a_lost_document_is_made_again(market: Market, tmp_path: Path, result: messages.BacktestResult) -> None:
    """An outcome whose document is gone is no reason to do nothing."""
    store = artifacts.ArtifactStore(tmp_path.as_uri())
    store.put_run(result)
    again = backtest.run(market.config(), backtests.History(market.slices), store)
    assert store.get(again.digest)
    assert again.digest == result.digest


@pytest.mark.parametrize(
    "spec, parts",
    [
        ({"from": "2013-06-01", "to": "2013-07-01"}, ("from and to", "a period with bars", "2013-06-01")),
        ({"from": "2012-06-02"}, ("from", "before to", "2012-06-02")),
        ({"strategyRef": "other"}, ("strategyRef", "momentum", "other")),
        ({"cash": "1"}, ("cash", "no such field")),
    ],
)
def test_a_spec_that_cannot_be_run_is_refused_by_name(
    market: Market, store: artifacts.ArtifactStore, spec: Json, parts: tuple[str, ...]
) -> None:
    """The outcome names field, limit and value, and that a repetition is useless."""
    result = backtest.run(market.config(**spec), backtests.History(market.slices), store)
    assert result.refused
    assert (result.digest, result.hash) == ("", "")
    for part in parts:
        assert part in result.error
    assert store.backtest(backtests.SUBMISSION) == result


@pytest.mark.parametrize(
    "error, refused",
    [
        (history_client.HistoryRefusedError("not-known-yet"), True),
        (history_client.HistoryUnavailableError("down"), False),
    ],
)
def test_missing_history_is_an_outcome_too(
    market: Market, store: artifacts.ArtifactStore, error: Exception, *, refused: bool
) -> None:
    """Silence may end, a refusal will not; a later run of the same id succeeds all the same."""
    result = backtest.run(market.config(), backtests.History([], error=error), store)
    assert (result.error, result.refused) == (str(error), refused)
    assert backtest.run(market.config(), backtests.History(market.slices), store).error == ""


def test_an_artifact_that_is_not_there_may_come(market: Market, store: artifacts.ArtifactStore) -> None:
    """A store that does not answer now may answer the next attempt; nothing runs without the model."""
    gone = backtests.config(market.digest, market.url + "x")
    result = backtest.run(gone, backtests.History(market.slices), store)
    assert "artifact.uri" in result.error
    assert not result.refused


def test_an_account_without_cash_is_refused() -> None:
    """Nothing could be bought."""
    with pytest.raises(ValueError, match="cash"):
        backtest_run.account("0")


def test_a_strategy_on_quarters_is_run_on_its_own_bars(market: Market, store: artifacts.ArtifactStore) -> None:
    """Timeframe and session are asked of history; orders come at buckets' ends and fill inside regular hours."""
    days = [
        day.regular
        for day in exchange_days.of("XNYS")
        if times.instant("2012-03-05T00:00:00Z") <= day.midnight < times.instant("2012-03-10T00:00:00Z")
    ]
    config = market.config(**{"from": "2012-03-09", "to": "2012-03-10"})
    spec = config.strategy.spec | {"bars": {"timeframe": "15m", "session": "extended"}}
    found = [
        one
        for symbol in spec["universe"]["symbols"]
        for day in days
        for one in aggregation.aggregate(minute_data.walk(symbol, day), [day], length=timeframes.span("15m"))
    ]

    class Quarters:
        def slices(self, symbols: Any, *, timeframe: str, session: str, **_: object) -> tuple[bars.BarSlice, ...]:
            assert (list(symbols), timeframe, session) == (spec["universe"]["symbols"], "15m", "extended")
            return dataset.slices(found, (), timeframe=timeframe)

    told = config.model_copy(update={"strategy": config.strategy.model_copy(update={"spec": spec})})
    result = backtest.run(told, Quarters(), store)
    assert result.error == ""
    events = document(result, store)["events"]
    ends = {times.text(bucket.end) for bucket in timeframes.buckets(days[-1], timeframes.span("15m"))}
    assert events["orders"]
    assert {order["bar_end"] for order in events["orders"]} <= ends
    assert len(events["equity"]) == 26
