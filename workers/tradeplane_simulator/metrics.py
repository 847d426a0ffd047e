"""What the venue counts, for ``/metrics`` on the control port."""

import prometheus_client

REGISTRY = prometheus_client.CollectorRegistry()

REQUESTS = prometheus_client.Counter(
    "tradeplane_simulator_requests", "HTTP requests answered", ["method", "route", "status"], registry=REGISTRY
)
REQUEST_SECONDS = prometheus_client.Histogram(
    "tradeplane_simulator_request_seconds",
    "Time from the receipt of a request to its answer",
    registry=REGISTRY,
    buckets=(0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1, 5),
)
UPDATES = prometheus_client.Counter(
    "tradeplane_simulator_trade_updates", "Events of orders", ["event"], registry=REGISTRY
)
EVENTS = prometheus_client.Counter(
    "tradeplane_simulator_clock_events", "Opens, closes and publications that the clock passed", registry=REGISTRY
)
FAULTS = prometheus_client.Counter(
    "tradeplane_simulator_faults", "Requests and frames that met a fault", ["on", "fault"], registry=REGISTRY
)
CLOCK = prometheus_client.Gauge(
    "tradeplane_simulator_clock_seconds", "The venue's clock, seconds since 1970", registry=REGISTRY
)
CONNECTIONS = prometheus_client.Gauge(
    "tradeplane_simulator_stream_clients", "Clients that listen or subscribe", ["stream"], registry=REGISTRY
)
DROPPED = prometheus_client.Counter(
    "tradeplane_simulator_slow_clients", "Streams closed because the client did not read", registry=REGISTRY
)
REFUSALS = prometheus_client.Counter(
    "tradeplane_simulator_stream_refusals", "Logins on streams that were refused", ["stream"], registry=REGISTRY
)
