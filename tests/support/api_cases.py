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
            place[last] = copy.deepcopy(value)  # a later edit may go into it
    return manifest


TRAINING = {"start": "2000-03-01", "end": "2012-03-02"}
ARTIFACT = {"uri": "s3://models/a", "sha256": "a" * 64}
CODE: tuple[tuple[str, Any], ...] = (
    ("signal.models", DELETE),
    ("signal.code", {"entrypoint": "desk.crossing:Crossing", "parameters": {"fast": 5, "tags": ["a", {"b": 1.5}]}}),
    ("portfolio", {"capital": "500000"}),
)
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
    *(Case("Strategy", (("bars", {"timeframe": timeframe}),)) for timeframe in ("1m", "5m", "15m", "1h", "1d")),
    Case("Strategy", (("bars", {"timeframe": "1m", "session": "extended"}),)),
    Case("Strategy", (("bars", {"timeframe": "1d", "session": "regular"}),)),
    Case(
        "Strategy",
        (("bars", {"timeframe": "1d", "session": "extended"}),),
        ("bars.session", "must be regular with timeframe 1d", "got extended"),
    ),
    Case("Strategy", (("bars", {"session": "extended"}),), ("bars.session", "with timeframe 1d", "got extended")),
    Case("Strategy", (("portfolio.capital", "0.000000001"),)),
    Case("Strategy", CODE),
    Case("Strategy", (*CODE, ("portfolio.capital", "0.000000000")), ("portfolio.capital", "above 0")),
    Case("Strategy", (("signal.code", {"entrypoint": "a:B"}),), ("signal", "exactly one of models and code")),
    Case("Strategy", (("signal.models", DELETE),), ("signal", "exactly one of models and code")),
    Case(
        "Strategy",
        (*CODE, ("portfolio", {"top": 2})),
        ("portfolio.top and portfolio.bottom", "left out with signal.code", "got 2 and 0"),
    ),
    Case(
        "Strategy",
        (*CODE, ("portfolio", {"bottom": 1})),
        ("portfolio.top and portfolio.bottom", "left out with signal.code", "got 1 and 1"),
    ),
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
    Case(
        "RiskPolicy",
        (
            *(("order", DELETE), ("position", DELETE), ("portfolio", DELETE), ("data", DELETE)),
            ("loss", {"maxDrawdown": "0.1"}),
        ),
    ),
    Case("RiskPolicy", (("portfolio", {}), ("position.maxWeight", "9"))),
    Case("RiskPolicy", (("position", {"allowShort": True}), ("portfolio.maxGross", "0.1"))),
    Case("RiskPolicy", (("position.maxNotional", "0.000000001"),)),
    Case("RiskPolicy", (("position.maxNotional", "0"),), ("position.maxNotional", "above 0", "got 0")),
    Case("RiskPolicy", (("portfolio.maxNet", "1.5"),)),
    Case("RiskPolicy", (("portfolio.maxNet", "0"),), ("portfolio.maxNet", "above 0", "got 0")),
    Case(
        "RiskPolicy",
        (("portfolio.maxNet", "1.500000001"),),
        ("portfolio.maxNet", "portfolio.maxGross (1.5)", "1.500000001"),
    ),
    Case(
        "RiskPolicy",
        (("portfolio.maxNet", "1"), ("portfolio.maxGross", "0.9"), ("position.maxWeight", "0.9")),
        ("portfolio.maxNet", "portfolio.maxGross (0.9)", "got 1"),
    ),
    Case("RiskPolicy", (("order.maxNotionalPerDay", "2000000"),)),
    Case("RiskPolicy", (("order.maxNotionalPerDay", "0"),), ("order.maxNotionalPerDay", "above 0", "got 0")),
    Case(
        "RiskPolicy",
        (("order", {"maxNotional": "2", "maxNotionalPerDay": "1"}),),
        ("order.maxNotional", "order.maxNotionalPerDay (1)", "got 2"),
    ),
    Case(
        "RiskPolicy", (("order", {"maxOrdersPerDay": 5, "collarBps": 300, "maxPerSecond": 9, "restricted": ["GME"]}),)
    ),
    Case("RiskPolicy", (("portfolio.maxConcentration", "0.25"),)),
    Case("RiskPolicy", (("portfolio.maxConcentration", "0"),), ("portfolio.maxConcentration", "above 0", "got 0")),
    Case("RiskPolicy", (("loss", {"maxDailyLoss": "0.1", "maxDrawdown": "0.1"}),)),
    Case("RiskPolicy", (("loss", {"maxDailyLoss": "1"}),)),
    Case("RiskPolicy", (("loss.maxDailyLoss", "0"),), ("loss.maxDailyLoss", "above 0", "got 0")),
    Case("RiskPolicy", (("loss.maxDailyLoss", "1.000000001"),), ("loss.maxDailyLoss", "at most 1,", "got 1.000000001")),
    Case("RiskPolicy", (("loss.maxDrawdown", "0.0"),), ("loss.maxDrawdown", "above 0", "got 0.0")),
    Case("RiskPolicy", (("loss.maxDrawdown", "2"),), ("loss.maxDrawdown", "at most 1,", "got 2")),
    Case(
        "RiskPolicy",
        (("loss", {"maxDailyLoss": "0.2", "maxDrawdown": "0.1"}),),
        ("loss.maxDailyLoss", "loss.maxDrawdown (0.1)", "got 0.2"),
    ),
    Case("RiskPolicy", (("data.maxBarAge", DELETE),)),
    Case("RiskPolicy", (("onBreach", {"order": "clip", "loss": "flatten", "data": "halted"}),)),
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
    Case("Strategy", (("bars", {"timeframe": "2m"}),), ("timeframe",)),
    Case("Strategy", (("bars", {"timeframe": "1h", "session": "overnight"}),), ("session",)),
    Case("Strategy", (("signal.models", []),), ("models",)),
    Case("Strategy", (("signal.models", [{"name": "a"}, {"name": "b"}]),), ("models",)),
    *(
        Case("Strategy", (*CODE, ("signal.code.entrypoint", entrypoint)), ("entrypoint",))
        for entrypoint in ("desk", "desk.crossing", "desk:crossing.Crossing", "../desk:A", "a b:C", ":A", "1a:B")
    ),
    Case("Strategy", (*CODE, ("signal.code.entrypoint", DELETE)), ("entrypoint",)),
    Case("Strategy", (*CODE, ("signal.code.parameters", [1])), ("parameters",)),
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
    Case("RiskPolicy", (("order", "none"),), ("order",)),
    Case("RiskPolicy", (("order.maxOpenOrders", 0),), ("maxOpenOrders",)),
    Case("RiskPolicy", (("order.maxOpenOrders", 1_000_001),), ("maxOpenOrders",)),
    Case("RiskPolicy", (("order.maxOrdersPerDay", 0),), ("maxOrdersPerDay",)),
    Case("RiskPolicy", (("order.maxPerSecond", 0),), ("maxPerSecond",)),
    Case("RiskPolicy", (("order.collarBps", 0),), ("collarBps",)),
    Case("RiskPolicy", (("order.collarBps", 10_001),), ("collarBps",)),
    Case("RiskPolicy", (("order.restricted", ["gme"]),), ("restricted",)),
    Case("RiskPolicy", (("portfolio.maxPositions", 0),), ("maxPositions",)),
    Case("RiskPolicy", (("portfolio.maxPositions", 1.5),), ("maxPositions",)),
    Case("RiskPolicy", (("portfolio.maxNet", "-1"),), ("maxNet",)),
    Case("RiskPolicy", (("loss.maxConsecutiveLosses", 0),), ("maxConsecutiveLosses",)),
    Case("RiskPolicy", (("loss.maxDrawdown", "10%"),), ("maxDrawdown",)),
    Case("RiskPolicy", (("data.maxBarAge", "1 h"),), ("maxBarAge",)),
    Case("RiskPolicy", (("onBreach", "reject"),), ("onBreach",)),
    Case("RiskPolicy", (("onBreach.order", "ignore"),), ("onBreach.order",)),
    Case("RiskPolicy", (("onBreach.loss", "clip"),), ("onBreach.loss",)),
    Case("RiskPolicy", (("onBreach.data", "clip"),), ("onBreach.data",)),
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
    Case("Strategy", (*CODE, ("signal.code.image", "x")), ("image",)),
    Case("Model", (("serving.gpu", 1),), ("gpu",)),
    Case("RiskPolicy", (("order.maxNotionl", "1"),), ("maxNotionl",)),
    Case("RiskPolicy", (("margin", {}),), ("margin",)),
    Case("RiskPolicy", (("onBreach.margin", "reject"),), ("margin",)),
    Case("Backtest", (("cash", "1"),), ("cash",)),
)
