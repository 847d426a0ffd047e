"""Measures of what was held and traded: exposure, round trips, and costs."""

import math

from tradeplane_engine.measures import activity, measure, trading

EXPOSURE = (
    measure.Measure(
        "average_gross", "exposure", "fraction", "Mean gross exposure over equity", "quant-reference 0",
        lambda s: activity.average(s.run.curve.gross),
    ),
    measure.Measure(
        "highest_gross", "exposure", "fraction", "Highest gross exposure over equity", "quant-reference 0",
        lambda s: activity.highest(s.run.curve.gross),
    ),
    measure.Measure(
        "average_net", "exposure", "fraction", "Mean net exposure over equity", "quant-reference 0",
        lambda s: activity.average(s.run.curve.net),
    ),
    measure.Measure(
        "time_in_market", "exposure", "fraction", "Share of samples with a position", "definition",
        lambda s: activity.time_in_market(s.run.curve.gross),
    ),
    measure.Measure(
        "turnover", "exposure", "ratio", "Value bought and sold per year over mean equity", "definition",
        lambda s: activity.turnover(s.run),
    ),
)  # fmt: skip
TRADES = (
    measure.Measure("trades", "trade", "count", "Closed round trips", "definition", lambda s: len(s.run.trades)),
    measure.Measure(
        "trade_profit", "trade", "usd", "P&L of the closed trades after fees", "definition",
        lambda s: math.fsum(s.run.trades.pnl.tolist()),
    ),
    measure.Measure("win_rate", "trade", "fraction", "Wins over all trades", "definition",
            lambda s: trading.win_rate(s.run.trades)),
    measure.Measure("profit_factor", "trade", "ratio", "Sum of wins over sum of losses", "definition",
            lambda s: trading.profit_factor(s.run.trades)),
    measure.Measure("payoff", "trade", "ratio", "Average win over average loss", "definition",
            lambda s: trading.payoff(s.run.trades)),
    measure.Measure("expectancy", "trade", "usd", "Mean P&L per trade", "definition",
            lambda s: trading.expectancy(s.run.trades)),
    measure.Measure("average_win", "trade", "usd", "Mean P&L of the wins", "definition",
            lambda s: trading.average_win(s.run.trades)),
    measure.Measure("average_loss", "trade", "usd", "Mean P&L of the losses", "definition",
            lambda s: trading.average_loss(s.run.trades)),
    measure.Measure("largest_win", "trade", "usd", "Highest P&L of a trade", "definition",
            lambda s: trading.largest_win(s.run.trades)),
    measure.Measure("largest_loss", "trade", "usd", "Lowest P&L of a trade", "definition",
            lambda s: trading.largest_loss(s.run.trades)),
    measure.Measure("average_bars", "trade", "bars", "Mean bars from entry to exit", "definition",
            lambda s: trading.average_bars(s.run.trades)),
    measure.Measure("average_days", "trade", "days", "Mean calendar days from entry to exit", "definition",
            lambda s: trading.average_days(s.run.trades)),
    measure.Measure("longest_losing_run", "trade", "count", "Most losses in a row", "definition",
            lambda s: trading.longest_losing_run(s.run.trades) if len(s.run.trades) else None),
    measure.Measure("longest_winning_run", "trade", "count", "Most wins in a row", "definition",
            lambda s: trading.longest_winning_run(s.run.trades) if len(s.run.trades) else None),
    measure.Measure("average_mae", "trade", "fraction", "Mean worst open profit over the entry's value", "Sweeney 1996",
            lambda s: trading.average_mae(s.run.trades)),
    measure.Measure("average_mfe", "trade", "fraction", "Mean best open profit over the entry's value", "Sweeney 1996",
            lambda s: trading.average_mfe(s.run.trades)),
    measure.Measure("edge_ratio", "trade", "ratio", "Mean best over mean worst open profit", "Faith 2007",
            lambda s: trading.edge_ratio(s.run.trades)),
    measure.Measure("sqn", "trade", "ratio", "System quality number: sqrt(count) mean / deviation of P&L", "Tharp 2008",
            lambda s: trading.sqn(s.run.trades)),
    measure.Measure("kelly", "trade", "fraction", "Kelly fraction from win rate and payoff", "Kelly 1956",
            lambda s: trading.kelly(s.run.trades)),
    measure.Measure("long_share", "trade", "fraction", "Share of trades that were long", "definition",
            lambda s: trading.long_share(s.run.trades)),
)  # fmt: skip
COSTS = (
    measure.Measure("traded", "cost", "usd", "Value of everything bought and sold", "definition",
            lambda s: activity.traded(s.run.fills)),
    measure.Measure("fees", "cost", "usd", "Fees and commissions", "ledger", lambda s: activity.costs(s.run)["fees"]),
    measure.Measure("spread_cost", "cost", "usd", "Paid for crossing the spread", "definition",
            lambda s: activity.costs(s.run)["spread"]),
    measure.Measure("slippage_cost", "cost", "usd", "Paid by slippage and impact", "definition",
            lambda s: activity.costs(s.run)["slippage"]),
    measure.Measure("total_cost", "cost", "usd", "All costs, borrow and interest included", "definition",
            lambda s: activity.total_cost(s.run)),
    measure.Measure("fees_bps", "cost", "bps", "Fees per value traded", "definition",
            lambda s: activity.bps(activity.costs(s.run)["fees"], s.run)),
    measure.Measure("slippage_bps", "cost", "bps", "Slippage per value traded", "definition",
            lambda s: activity.bps(activity.costs(s.run)["slippage"], s.run)),
    measure.Measure("cost_bps", "cost", "bps", "All costs per value traded", "definition",
            lambda s: activity.bps(activity.total_cost(s.run), s.run)),
    measure.Measure("cost_share", "cost", "fraction", "Part of the profit before costs that costs took", "definition",
            lambda s: activity.cost_share(s.run)),
)  # fmt: skip
