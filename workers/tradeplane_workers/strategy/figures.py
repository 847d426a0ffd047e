"""Metrics of a strategy process."""

import prometheus_client

from tradeplane_workers import metrics


class Figures:
    """Counters and gauges, registered in :attr:`registry`."""

    def __init__(self) -> None:
        self.registry = metrics.registry()
        self.decisions = prometheus_client.Counter(
            "tradeplane_strategy_decisions", "Decisions answered by the gateway.", ["outcome"], registry=self.registry
        )
        self.verdicts = prometheus_client.Counter(
            "tradeplane_strategy_intents",
            "Intents by verdict; empty when they may leave.",
            ["reason"],
            registry=self.registry,
        )
        self.predictions = prometheus_client.Counter(
            "tradeplane_strategy_predictions", "Calls of the model.", ["result"], registry=self.registry
        )
        self.prediction_seconds = prometheus_client.Histogram(
            "tradeplane_strategy_prediction_seconds",
            "From the call of the model to its usable answer.",
            buckets=(0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0),
            registry=self.registry,
        )
        self.decision_seconds = prometheus_client.Histogram(
            "tradeplane_strategy_decision_seconds",
            "From a slice's arrival to the gateway's answer.",
            buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0),
            registry=self.registry,
        )
        self.failures = prometheus_client.Counter(
            "tradeplane_strategy_failures", "Failed calls that are tried again.", ["part"], registry=self.registry
        )
        self.slices_refused = prometheus_client.Counter(
            "tradeplane_strategy_slices_refused",
            "Entries of the bar stream that must not be traded; history is asked instead.",
            registry=self.registry,
        )
        self.bar_age = prometheus_client.Gauge(
            "tradeplane_strategy_bar_age_seconds",
            "Trading time from the end of a symbol's newest bar to the last trigger; what data.maxBarAge is judged on.",
            ["symbol"],
            registry=self.registry,
        )
        self.revisions = prometheus_client.Counter(
            "tradeplane_strategy_revisions",
            "Minutes that came, or came otherwise, after the slice that was decided on.",
            ["reason"],
            registry=self.registry,
        )
        self.last_trigger = prometheus_client.Gauge(
            "tradeplane_strategy_last_trigger_timestamp_seconds", "Last bar decided on.", registry=self.registry
        )
