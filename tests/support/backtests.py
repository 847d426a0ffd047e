"""A backtest of the demo's bars: the manifests of a person, and what the operator would tell its job."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from support import api_cases
from tradeplane_cli.local import demo_data
from tradeplane_engine.data import dataset
from tradeplane_engine.domain import bars, times
from tradeplane_engine.models import lightgbm
from tradeplane_operator import render
from tradeplane_workers import artifacts, messages, translate

Json = dict[str, Any]
SUBMISSION = "backtest-uid-backtest-1-1"
# A small model of two years and a quarter to trade: enough for orders, fills and dividends, and quick.
TRAINING = {"start": "2009-12-01", "end": "2012-03-02", "seed": 7, "parameters": {"num_iterations": "5"}}
PERIOD = {"from": "2012-03-02", "to": "2012-06-01"}


@dataclass
class History:
    """The provider's past, as slices; remembers what was asked."""

    slices_of_market: Sequence[bars.BarSlice]
    error: Exception | None = None
    asked: list[tuple[times.Nanos, times.Nanos | None]] | None = None

    def slices(
        self, symbols: Sequence[str], *, timeframe: str, start: times.Nanos, end: times.Nanos | None
    ) -> tuple[bars.BarSlice, ...]:
        """Return everything, what was not asked for too: the job must not rely on being protected."""
        assert timeframe == "1d"
        assert tuple(symbols) == tuple(sorted(symbols))
        self.asked = [*(self.asked or ()), (start, end)]
        if self.error is not None:
            raise self.error
        return tuple(self.slices_of_market)


def manifests() -> dict[str, Json]:
    """Return Strategy, Model, RiskPolicy and Backtest by kind, as a person wrote them."""
    edits: dict[str, tuple[tuple[str, Any], ...]] = {
        "Strategy": (),
        "Model": (("source.training", TRAINING),),
        "RiskPolicy": (),
        "Backtest": tuple(PERIOD.items()),
    }
    return {kind: api_cases.edited(api_cases.Case(kind, edit)) for kind, edit in edits.items()}


def write_manifests(folder: Path) -> Path:
    """Write them as files that are applied."""
    folder.mkdir(parents=True, exist_ok=True)
    for kind, manifest in manifests().items():
        (folder / f"{kind.lower()}.yaml").write_text(yaml.safe_dump(manifest), encoding="utf-8")
    return folder


def demo_bars(folder: Path) -> dataset.Dataset:
    """Write the demo's dataset and read it."""
    demo_data.write(folder)
    return dataset.read(folder)


def trained(data: dataset.Dataset, store: artifacts.ArtifactStore) -> tuple[str, str]:
    """Train the Model into a store and return its digest and URL."""
    symbols = manifests()["Strategy"]["spec"]["universe"]["symbols"]
    told = messages.TrainingConfig(
        submission_id="t", name="alpha", uid="u", generation=1, spec=manifests()["Model"]["spec"], symbols=symbols
    )
    made = lightgbm.train(translate.training(told), data.slices(symbols))
    digest = store.put(made.artifact)
    return digest, store.url(digest)


def config(digest: str, url: str, **spec: Any) -> messages.BacktestConfig:
    """Return the configuration that the operator renders, with fields of the Backtest's spec replaced."""
    found = manifests()
    for number, manifest in enumerate(found.values()):
        manifest["metadata"] |= {"uid": f"uid-{number}", "generation": 1}
    backtest = found["Backtest"]
    backtest["spec"] |= spec
    model = {
        "name": "alpha",
        "uid": "uid-model",
        "generation": 1,
        "url": "",
        "digest": digest,
        "artifact": url,
        "features": {"set": "alpha158", "version": "v1"},
        "deadline": "2s",
    }
    rendered = render.backtest_config(
        backtest,
        strategy=found["Strategy"],
        references=(model, render.policy_reference(found["RiskPolicy"])),
        trials=1,
    )
    return messages.BacktestConfig.model_validate({**rendered, "submission_id": SUBMISSION})
