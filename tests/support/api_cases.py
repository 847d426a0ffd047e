"""Objects that the API must take and objects that it must refuse, for the API server and for the Python twins alike."""

import copy
from dataclasses import dataclass
from typing import Any

import yaml

from support import servers

Json = dict[str, Any]
DELETE = object()


@dataclass(frozen=True)
class Case:
    """An edit of a good object, and the words that must be in the refusal; none when it is good."""

    kind: str
    edits: tuple[tuple[str, Any], ...]
    refused: tuple[str, ...] = ()

    def __str__(self) -> str:
        shown = ", ".join(f"{path}={'absent' if value is DELETE else value}" for path, value in self.edits)
        return f"{self.kind}: {shown}"


def good(kind: str) -> Json:
    """Return a good object of a kind."""
    if kind == "Environment":
        return {
            "apiVersion": "tradeplane.dev/v1alpha1",
            "kind": "Environment",
            "metadata": {"name": "demo"},
            "spec": {
                "mode": "paper",
                "broker": {
                    "urls": {
                        "trading": "https://broker.example",
                        "stream": "wss://broker.example/stream",
                        "data": "https://data.example",
                        "dataStream": "wss://data.example/v2/iex",
                    },
                    "secretRef": "broker",
                },
                "riskPolicyRef": "prudent",
                "pools": [{"name": "all", "role": "execution", "address": "http://ray:8265"}],
            },
        }
    file = {
        "Strategy": "examples/strategy.yaml",
        "Model": "examples/model.yaml",
        "RiskPolicy": "examples/risk-policy.yaml",
        "Backtest": "docs/how-to/backtest.yaml",
    }[kind]
    manifest: Json = yaml.safe_load((servers.CHECKOUT / file).read_text())
    return manifest


def edited(case: Case) -> Json:
    """Return the object of a case; paths are below ``spec``, numbers are places in lists."""
    manifest = copy.deepcopy(good(case.kind))
    for path, value in case.edits:
        *above, last = [int(part) if part.isdecimal() else part for part in path.split(".")]
        place: Any = manifest["spec"]
        for part in above:
            place = place.setdefault(part, {}) if isinstance(place, dict) else place[part]
        if value is DELETE:
            del place[last]
        else:
            place[last] = value
    return manifest


TRAINING = {"start": "2000-03-01", "end": "2012-03-02"}
ARTIFACT = {"uri": "s3://models/a", "sha256": "a" * 64}
POOL = {"name": "all", "role": "research", "address": "http://ray:8265"}

RULES = (
    Case("Environment", (("pools.0.name", "other"),)),
    Case("Environment", (("pools", [POOL, POOL]),), ("pools", "all")),
    Case("Environment", (("mode", "live"),)),
    Case(
        "Environment",
        (("mode", "live"), ("broker.urls.trading", "http://broker.example")),
        ("broker.urls.trading", "https://", "http://broker.example"),
    ),
    Case(
        "Environment",
        (("mode", "live"), ("broker.urls.stream", "ws://broker.example")),
        ("broker.urls.stream", "wss://", "ws://broker.example"),
    ),
    Case(
        "Environment",
        (("mode", "live"), ("broker.urls.data", "http://data.example")),
        ("broker.urls.data", "https://", "http://data.example"),
    ),
    Case(
        "Environment",
        (("mode", "live"), ("broker.urls.dataStream", "ws://data.example")),
        ("broker.urls.dataStream", "wss://", "ws://data.example"),
    ),
    Case("Environment", (("broker.urls.trading", "http://broker.example"),)),
    Case("Environment", (("readWindow", "1000ms"),)),
    Case("Environment", (("readWindow", "999ms"),), ("readWindow", "from 1s to 1m", "999ms")),
    Case("Environment", (("readWindow", "60s"),)),
    Case("Environment", (("readWindow", "61s"),), ("readWindow", "from 1s to 1m", "61s")),
    Case("Strategy", (("universe.symbols", ["A", "B"]), ("portfolio.top", 1), ("portfolio.bottom", 1))),
    Case("Strategy", (("universe.symbols", ["A", "B", "B", "C", "D"]),), ("universe.symbols", "B")),
    Case("Strategy", (("portfolio.top", 4), ("portfolio.bottom", 1))),
    Case(
        "Strategy",
        (("portfolio.top", 4), ("portfolio.bottom", 2)),
        ("portfolio.top + portfolio.bottom", "at most 5", "universe.symbols", "got 6"),
    ),
    Case("Strategy", (("portfolio.top", 0), ("portfolio.bottom", 1))),
    Case(
        "Strategy",
        (("portfolio.top", 0), ("portfolio.bottom", 0)),
        ("portfolio.top + portfolio.bottom", "at least 1", "got 0"),
    ),
    Case("Strategy", (("portfolio.capital", "0.000000001"),)),
    Case("Strategy", (("portfolio.capital", "0.000000000"),), ("portfolio.capital", "above 0", "got 0.000000000")),
    Case("Model", (("source", {"artifact": ARTIFACT}),)),
    Case("Model", (("source.artifact", ARTIFACT),), ("source", "exactly one of training and artifact", "both")),
    Case("Model", (("source", {}),), ("source", "exactly one of training and artifact", "neither")),
    Case("Model", (("source.training.start", "2012-03-01"),)),
    Case("Model", (("source.training.start", "2012-03-02"),), ("source.training.start", "before source.training.end")),
    Case("Model", (("source.training.parameters", {"max_depth": "3"}),)),
    Case("Model", (("source.training.parameters", {"Max-Depth": "3"}),), ("source.training.parameters", "names must")),
    Case("Model", (("serving.deadline", "10ms"),)),
    Case("Model", (("serving.deadline", "9ms"),), ("serving.deadline", "from 10ms to 1m", "9ms")),
    Case("Model", (("serving.deadline", "1m"),)),
    Case("Model", (("serving.deadline", "2m"),), ("serving.deadline", "from 10ms to 1m", "2m")),
    Case("RiskPolicy", (("position.maxWeight", "1.5"),)),
    Case(
        "RiskPolicy",
        (("position.maxWeight", "1.500000001"),),
        ("position.maxWeight", "portfolio.maxGross (1.5)", "1.500000001"),
    ),
    Case("RiskPolicy", (("order.maxNotional", "0.01"),)),
    Case("RiskPolicy", (("order.maxNotional", "0"),), ("order.maxNotional", "above 0", "got 0")),
    Case("RiskPolicy", (("order.maxQuantity", "1"),)),
    Case("RiskPolicy", (("order.maxQuantity", "0.0"),), ("order.maxQuantity", "above 0", "got 0.0")),
    Case("RiskPolicy", (("position.maxWeight", "0"),), ("position.maxWeight", "above 0", "got 0")),
    Case(
        "RiskPolicy",
        (("portfolio.maxGross", "0"), ("position.maxWeight", "0.1")),
        ("portfolio.maxGross", "above 0", "got 0"),
    ),
    Case("RiskPolicy", (("data.maxBarAge", "1s"),)),
    Case("RiskPolicy", (("data.maxBarAge", "999ms"),), ("data.maxBarAge", "from 1s to 720h", "999ms")),
    Case("RiskPolicy", (("data.maxBarAge", "720h"),)),
    Case("RiskPolicy", (("data.maxBarAge", "721h"),), ("data.maxBarAge", "from 1s to 720h", "721h")),
    Case("Backtest", (("from", "2013-02-28"),)),
    Case("Backtest", (("from", "2013-03-01"),), ("from", "before to", "2013-03-01")),
    Case("Backtest", (("data", {"digest": "sha256:" + "a" * 64}),)),
)

SHAPES = (
    Case("Environment", (("mode", "demo"),), ("mode",)),
    Case("Environment", (("broker", DELETE),), ("broker",)),
    Case("Environment", (("pools", []),), ("pools",)),
    Case("Environment", (("pools.0.role", "trading"),), ("role",)),
    Case("Environment", (("pools.0.address", "ray:8265"),), ("address",)),
    Case("Environment", (("calendar", "x"),), ("calendar",)),
    Case("Strategy", (("universe.symbols", []),), ("symbols",)),
    Case("Strategy", (("universe.symbols.0", "aapl"),), ("symbols",)),
    Case("Strategy", (("bars", {"timeframe": "1m"}),), ("timeframe",)),
    Case("Strategy", (("signal.models", []),), ("models",)),
    Case("Strategy", (("signal.models", [{"name": "a"}, {"name": "b"}]),), ("models",)),
    Case("Strategy", (("portfolio.construct", "hrp"),), ("construct",)),
    Case("Strategy", (("portfolio.capital", "1e6"),), ("capital",)),
    Case("Strategy", (("portfolio.capital", "-1"),), ("capital",)),
    Case("Strategy", (("portfolio.capital", 5),), ("capital",)),
    Case("Strategy", (("portfolio.top", 1.5),), ("top",)),
    Case("Strategy", (("execution", {"algorithm": "twap"}),), ("algorithm",)),
    Case("Strategy", (("riskPolicyRef", DELETE),), ("riskPolicyRef",)),
    Case("Model", (("framework", "prophet"),), ("framework",)),
    Case("Model", (("features.set", "alpha360"),), ("set",)),
    Case("Model", (("features.version", "v9"),), ("version",)),
    Case("Model", (("label.horizon", 0),), ("horizon",)),
    Case("Model", (("source.training.start", "1.3.2000"),), ("start",)),
    Case("Model", (("source.training.start", "2000-02-31"),), ("start",)),
    Case("Model", (("source.training.seed", -1),), ("seed",)),
    Case("Model", (("source.training.parameters", {"a": 1}),), ("parameters",)),
    Case("Model", (("source", {"artifact": {"uri": "s3://m/a", "sha256": "abc"}}),), ("sha256",)),
    Case("Model", (("serving.maxBatch", 0),), ("maxBatch",)),
    Case("RiskPolicy", (("order.maxNotional", "1,000"),), ("maxNotional",)),
    Case("RiskPolicy", (("order.maxQuantity", "0.0000000001"),), ("maxQuantity",)),
    Case("RiskPolicy", (("order", DELETE),), ("order",)),
    Case("RiskPolicy", (("data.maxBarAge", "1 h"),), ("maxBarAge",)),
    Case("RiskPolicy", (("onBreach", "flatten"),), ("onBreach",)),
    Case("Backtest", (("strategyRef", DELETE),), ("strategyRef",)),
    Case("Backtest", (("from", DELETE),), ("from",)),
    Case("Backtest", (("to", "2013-02-30"),), ("to",)),
    Case("Backtest", (("to", "1.3.2013"),), ("to",)),
    Case("Backtest", (("seed", -1),), ("seed",)),
    Case("Backtest", (("data", {"digest": "abc"}),), ("digest",)),
)

UNKNOWN = (
    Case("Environment", (("promotion", {}),), ("promotion",)),
    Case("Strategy", (("portfolio.leverage", "2"),), ("leverage",)),
    Case("Model", (("serving.gpu", 1),), ("gpu",)),
    Case("RiskPolicy", (("order.maxNotionl", "1"),), ("maxNotionl",)),
    Case("Backtest", (("cash", "1"),), ("cash",)),
)
