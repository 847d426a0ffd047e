"""Runs cases (JSON lines on stdin) in backtrader; prints one JSON line each. Started with the peer's own interpreter.

Conventions, all of them backtrader's defaults: an order of ``next`` meets the next bar; a limit is filled by a touch, a
stop at its price, both at the open where that is beyond; no volume cap; commission in proportion to value.
"""

import json
import sys

import backtrader as bt
import pandas as pd


class Case(bt.Strategy):
    """Follows a case's rule, or places and cancels its orders."""

    params = (("case", None),)

    def __init__(self):
        self.fills = []
        self.placed = {}
        rule = self.p.case.get("rule")
        self.ready = {}
        if rule and rule["kind"] == "cross":
            self.ready = {
                data: (bt.ind.SMA(data.close, period=rule["fast"]), bt.ind.SMA(data.close, period=rule["slow"]))
                for data in self.datas
            }
        elif rule:
            self.ready = {
                data: (bt.ind.Highest(data.high, period=rule["slow"]), bt.ind.Lowest(data.low, period=rule["slow"]))
                for data in self.datas
            }

    def notify_order(self, order):
        """Keep executions: symbol, row, signed shares, price."""
        if order.status == order.Completed:
            done = order.executed
            self.fills.append([order.data._name, len(order.data) - 1, int(done.size), done.price, done.comm])
        elif order.status in {order.Margin, order.Rejected}:
            raise SystemExit(f"{order.getstatusname()}: {order}")

    def prenext(self):
        """Place orders in the warm-up too: they need none."""
        self.place()

    def next(self):
        """Follow the rule, then the plan."""
        for data in self.ready:
            self.follow(data)
        self.place()

    def follow(self, data):
        """Want what the rule says; a position on the other side is closed first and opened a bar later."""
        rule, (first, second) = self.p.case["rule"], self.ready[data]
        held = int(self.getposition(data).size)
        if rule["kind"] == "cross":
            wish = rule["long"] if first[0] > second[0] else rule["short"]
        elif data.close[0] > first[-1]:
            wish = rule["long"]
        elif data.close[0] < second[-1]:
            wish = rule["short"]
        else:
            wish = held
        wish = 0 if held * wish < 0 else wish
        if wish > held:
            self.buy(data=data, size=wish - held)
        elif wish < held:
            self.sell(data=data, size=held - wish)

    def place(self):
        """Place and cancel what the plan says for this bar."""
        for number, one in enumerate(self.p.case["orders"]):
            data = self.getdatabyname(one["symbol"])
            row = len(data) - 1
            if row == one["row"]:
                kind = {"market": bt.Order.Market, "limit": bt.Order.Limit, "stop": bt.Order.Stop}[one["kind"]]
                order = self.buy if one["side"] == "buy" else self.sell
                self.placed[number] = order(data=data, size=one["shares"], exectype=kind, price=one["price"] or None)
            elif row == one["cancel"] and self.placed[number].alive():
                self.cancel(self.placed[number])


for line in sys.stdin:
    case = json.loads(line)
    cerebro = bt.Cerebro(stdstats=False)
    cerebro.broker.setcash(case["cash"])
    cerebro.broker.setcommission(commission=case["fee"])
    for name, columns in case["data"].items():
        frame = pd.DataFrame(columns, dtype=float)
        frame.index = pd.date_range("2020-01-02", periods=len(frame), freq="min")
        cerebro.adddata(bt.feeds.PandasData(dataname=frame), name=name)
    cerebro.addstrategy(Case, case=case)
    run = cerebro.run()[0]
    print(json.dumps({"equity": cerebro.broker.getvalue(), "fills": run.fills}), flush=True)
