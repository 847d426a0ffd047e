"""Metrics of the market data process."""

import prometheus_client

from tradeplane_workers import metrics


class Figures:
    """Counters and gauges, registered in :attr:`registry`."""

    def __init__(self) -> None:
        self.registry = metrics.registry()
        self.rows_refused = prometheus_client.Counter(
            "tradeplane_market_data_bars_refused",
            "Rows of the provider that must not be traded, by reason.",
            ["reason"],
            registry=self.registry,
        )
        self.slices = prometheus_client.Counter(
            "tradeplane_market_data_slices_published",
            "Slices written to Redis.",
            ["timeframe", "backfilled"],
            registry=self.registry,
        )
        self.bars = prometheus_client.Counter(
            "tradeplane_market_data_bars_published", "Bars written to Redis.", ["timeframe"], registry=self.registry
        )
        self.gaps = prometheus_client.Counter(
            "tradeplane_market_data_gaps", "Gap markers written to Redis.", ["timeframe"], registry=self.registry
        )
        self.connected = prometheus_client.Gauge(
            "tradeplane_market_data_connected", "1 while the provider's stream is subscribed.", registry=self.registry
        )
        self.disconnects = prometheus_client.Counter(
            "tradeplane_market_data_disconnects", "Lost connections to the provider.", registry=self.registry
        )
        self.failures = prometheus_client.Counter(
            "tradeplane_market_data_failures", "Rounds that failed, by what did.", ["part"], registry=self.registry
        )
        self.last_end = prometheus_client.Gauge(
            "tradeplane_market_data_last_slice_end_timestamp_seconds",
            "End of the newest slice in Redis.",
            ["timeframe"],
            registry=self.registry,
        )
        self.missing = prometheus_client.Counter(
            "tradeplane_market_data_bars_missing",
            "Subscribed symbols without a bar in a published slice, by why.",
            ["timeframe", "reason"],
            registry=self.registry,
        )
        self.revisions = prometheus_client.Counter(
            "tradeplane_market_data_revisions",
            "Minutes that came, or came otherwise: before their slice was published, or after it.",
            ["timeframe", "reason", "published"],
            registry=self.registry,
        )
        self.bar_age = prometheus_client.Gauge(
            "tradeplane_market_data_bar_age_seconds",
            "Trading time from the end of a symbol's newest bar to the end of the newest slice.",
            ["timeframe", "symbol"],
            registry=self.registry,
        )
        self.last_bar = prometheus_client.Gauge(
            "tradeplane_market_data_last_bar_end_timestamp_seconds",
            "End of a symbol's newest bar in Redis; its age is what a clock says less this.",
            ["timeframe", "symbol"],
            registry=self.registry,
        )
        self.symbols = prometheus_client.Gauge(
            "tradeplane_market_data_symbols", "Symbols that strategies asked for.", registry=self.registry
        )
