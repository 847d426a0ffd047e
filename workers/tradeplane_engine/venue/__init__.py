"""The venue's market model: prices, fills and fees, shared by backtest and simulator."""
