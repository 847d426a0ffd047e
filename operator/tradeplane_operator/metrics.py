"""Metrics of the operator, on their own registry and their own small server."""

import prometheus_client


class Metrics:
    """What an alert or a person asks about the operator."""

    def __init__(self) -> None:
        self.registry = prometheus_client.CollectorRegistry()
        prometheus_client.ProcessCollector(registry=self.registry)
        self.reconciles = prometheus_client.Counter(
            "tradeplane_operator_reconciles",
            "Passes by kind and outcome (done, gone, or the class of the error).",
            ("kind", "outcome"),
            registry=self.registry,
        )
        self.duration = prometheus_client.Histogram(
            "tradeplane_operator_reconcile_seconds", "Length of a pass.", ("kind",), registry=self.registry
        )
        self.queue = prometheus_client.Gauge(
            "tradeplane_operator_queue_depth", "Keys that wait for a worker.", registry=self.registry
        )
        self.gateway_fresh = prometheus_client.Gauge(
            "tradeplane_operator_gateway_fresh", "1 while the gateway's last answer is fresh.", registry=self.registry
        )

    def serve(self, listen: str) -> None:
        """Answer /metrics at ``host:port`` from a thread."""
        host, _, port = listen.rpartition(":")
        prometheus_client.start_http_server(int(port), addr=host, registry=self.registry)
