"""The gateway's metrics; names start with ``tradeplane_gateway_``."""

import prometheus_client

from tradeplane_workers import metrics

_FAST = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)


class Metrics:
    """All counters, gauges and histograms, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = metrics.registry()
        self.decisions = self._counter("decisions", "Decisions recorded.", "outcome")
        self.intents = self._counter("intents", "Intents by what became of them at the gate.", "reason")
        self.submissions = self._counter("submissions", "Answers of the broker to orders.", "outcome")
        self.not_sent = self._counter("not_sent", "Intents stopped at the last instant.", "reason")
        self.events = self._counter("events", "Events of the broker.", "source", "effect")
        self.fills = self._counter("fills", "Fills booked.")
        self.switch_reads = self._counter("switch_reads", "Reads of the switch.", "result")
        self.reconciliations = self._counter("reconciliations", "Reconciliations.", "result")
        self.failures = self._counter("failures", "Failures by place, after which the place tries again.", "place")
        self.enabled = self._gauge("enabled", "1 while the state is enabled, else 0.")
        self.switch_age = self._gauge("switch_age_seconds", "Age of the switch's last good read.")
        self.unknown = self._gauge("unknown_intents", "Intents of which nobody knows whether the broker has them.")
        self.differences = self._gauge("ledger_differences", "Differences between ledger and broker.")
        self.epoch = self._gauge("epoch", "Number of the epoch this gateway holds, 0 when it does not lead.")
        self.decision_seconds = self._histogram("decision_seconds", "From a decision's arrival to its commit.")
        self.submit_seconds = self._histogram("submit_seconds", "From an order's first byte to the broker's answer.")

    def _counter(self, name: str, text: str, *labels: str) -> prometheus_client.Counter:
        return prometheus_client.Counter(f"tradeplane_gateway_{name}", text, labels, registry=self.registry)

    def _gauge(self, name: str, text: str) -> prometheus_client.Gauge:
        return prometheus_client.Gauge(f"tradeplane_gateway_{name}", text, registry=self.registry)

    def _histogram(self, name: str, text: str) -> prometheus_client.Histogram:
        return prometheus_client.Histogram(f"tradeplane_gateway_{name}", text, buckets=_FAST, registry=self.registry)
