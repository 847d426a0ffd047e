"""Runs cases (JSON lines on stdin) in vectorbt; prints one JSON line each. Started with the peer's own interpreter.

Rules only, in whole columns: what is wanted at a close is traded at the next open by ``from_orders``. vectorbt has no
resting orders.
"""

import json
import sys

import numpy as np
import pandas as pd
import vectorbt as vbt

vbt.settings["engine"] = "rust"


def wishes(rule, frame):
    """What a symbol's rule wants at each row; NaN where it says nothing."""
    close = frame["close"]
    wish = pd.Series(np.nan, index=frame.index)
    if rule["kind"] == "cross":
        fast, slow = close.rolling(rule["fast"]).sum(), close.rolling(rule["slow"]).sum()
        known = slow.notna()
        above = fast * rule["slow"] > slow * rule["fast"]
        wish[known & above], wish[known & ~above] = rule["long"], rule["short"]
    else:
        highest = frame["high"].rolling(rule["slow"]).max().shift(1)
        lowest = frame["low"].rolling(rule["slow"]).min().shift(1)
        wish[close > highest], wish[close < lowest] = rule["long"], rule["short"]
    return wish.to_numpy()


def sizes(wish):
    """Shares to trade at each row's open: those that the row before wants; across zero the position is closed first."""
    found, held = np.full(len(wish), np.nan), 0.0
    for row in range(1, len(wish)):
        want = wish[row - 1]
        want = held if np.isnan(want) else 0.0 if held * want < 0 else want
        if want != held:
            found[row], held = want - held, want
    return found


for line in sys.stdin:
    case = json.loads(line)
    frames = {name: pd.DataFrame(columns, dtype=float) for name, columns in case["data"].items()}
    close, opened = (pd.DataFrame({name: frame[key] for name, frame in frames.items()}) for key in ("close", "open"))
    size = pd.DataFrame({name: sizes(wishes(case["rule"], frame)) for name, frame in frames.items()})
    portfolio = vbt.Portfolio.from_orders(
        close, size=size, price=opened, fees=case["fee"], init_cash=case["cash"], cash_sharing=True, group_by=True
    )
    names = list(frames)
    fills = [
        [names[one["col"]], int(one["idx"]), int(one["size"] * (1 - 2 * one["side"])), one["price"], one["fees"]]
        for one in portfolio.orders.records.to_dict("records")
    ]
    print(json.dumps({"equity": float(np.asarray(portfolio.value())[-1]), "fills": fills}), flush=True)
