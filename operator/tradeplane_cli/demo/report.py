"""The report: `report.json` for programs, `report.html` (one static file, no network) for people."""

import html
from collections.abc import Mapping, Sequence
from decimal import Decimal
from importlib import resources
from typing import Any

from tradeplane_cli.demo import charts, checks, figures
from tradeplane_cli.demo import facts as f
from tradeplane_engine.domain import numbers


def as_json(facts: f.Facts, results: Mapping[str, checks.Check], phases_s: Mapping[str, float]) -> dict[str, Any]:
    """Return the report's keys; ``passed`` is true only when every check passed."""
    curve = figures.equity_curve(facts)
    mean, error = figures.mean_and_error(figures.rank_ics(facts))
    pnl = numbers.Money(curve[-1] - facts.ledger.starting_cash)
    return {
        "passed": all(check.passed for check in results.values()),
        "checks": {
            name: {"passed": check.passed, "value": check.value, "limit": check.limit}
            for name, check in results.items()
        },
        "orders": sum(order.sent for order in facts.ledger.orders),
        "fills": len(facts.ledger.fills),
        "rejects": figures.rejects(facts),
        "ledger_differences": figures.ledger_differences(facts),
        "backtest_order_differences": figures.backtest_differences(facts),
        "orders_after_halt": figures.orders_after_halt(facts),
        "halt_to_last_order_ms": figures.halt_to_last_order_ms(facts),
        "holdout_ic": mean,
        "holdout_ic_se": error,
        "trials": facts.training.trials,
        "pnl": numbers.money_text(pnl),
        "fees": numbers.money_text(figures.fees(facts)),
        "unpaid_dividends": numbers.money_text(facts.unpaid_dividends),
        "latency_ms": {name: figures.quantiles(values) for name, values in figures.latencies_ms(facts).items()},
        "phases_s": dict(phases_s),
    }


def as_html(facts: f.Facts, summary: Mapping[str, Any]) -> str:
    """Return the page; every number on it is in ``summary`` or recomputed from the ledger here."""
    curve = figures.equity_curve(facts)
    days = [session[:10] for session in facts.sessions]
    spans = (_span(facts, facts.halt.first_trigger, facts.halt.last_trigger, "halted"),)
    edit = _span(facts, facts.edit.next_trigger, facts.edit.next_trigger, "edited")
    dollars = charts.Axis(days, lambda value: f"{value:,.0f}")
    percent = charts.Axis(days, lambda value: f"{value:.1%}")
    counts = charts.Axis(days, lambda value: f"{value:.0f}")
    equity = [_dollars(value) for value in curve]
    drawdowns = figures.drawdowns(curve, facts.ledger.starting_cash)
    sent, refused = _counts(facts, sent=True), _counts(facts, sent=False)
    total_s = sum(summary["phases_s"].values())
    verdict = '<span class="good">every check passed</span>' if summary["passed"] else '<span class="bad">failed</span>'
    return "\n".join(
        (
            "<!doctype html><html lang='en'><head><meta charset='utf-8'><title>Tradeplane demo</title>",
            f"<style>{resources.files(__package__).joinpath('report.css').read_text()}</style></head><body>",
            f"<h1>Tradeplane demo: {verdict}</h1>",
            f"<p class='soft'>{days[0]} to {days[-1]}, {len(days)} sessions; the whole run took {total_s:.0f} s</p>",
            _tiles(summary),
            "<h2>Equity, USD</h2>",
            charts.line(equity, dollars, spans=(*spans, edit)),
            "<h2>Drawdown</h2>",
            charts.line(drawdowns, percent, spans=spans, fill=True),
            "<h2>Orders per session</h2><p class='soft'>sent, and (in the second colour) refused at the gate</p>",
            charts.bars((sent, refused), counts, spans=spans),
            "<h2>The halt</h2>",
            _halt(facts, summary),
            "<h2>Latency, ms</h2>",
            _latency(summary),
            "<h2>Checks</h2>",
            _checks(summary),
            "<h2>Phases</h2>",
            _table(("phase", "seconds"), [(name, f"{seconds:.1f}") for name, seconds in summary["phases_s"].items()]),
            "</body></html>",
        )
    )


def _tiles(summary: Mapping[str, Any]) -> str:
    shown = (
        ("P&L after costs, USD", _cents(summary["pnl"])),
        ("fees, USD", _cents(summary["fees"])),
        ("orders / fills", f"{summary['orders']} / {summary['fills']}"),
        ("refused", str(sum(summary["rejects"].values()))),
        ("holdout rank IC", f"{summary['holdout_ic']:+.3f} ± {summary['holdout_ic_se']:.3f}"),
        ("trials", str(summary["trials"])),
        ("backtest differences", str(summary["backtest_order_differences"])),
        ("dividends not paid, USD", _cents(summary["unpaid_dividends"])),
    )
    return (
        "<div class='tiles'>"
        + "".join(
            f"<div class='tile'><b>{html.escape(value)}</b><span>{html.escape(name)}</span></div>"
            for name, value in shown
        )
        + "</div>"
    )


def _halt(facts: f.Facts, summary: Mapping[str, Any]) -> str:
    proof = facts.halt.proof
    rows = (
        ("bars decided while halted", f"{facts.halt.first_trigger} to {facts.halt.last_trigger}"),
        ("state seen by the gateway", str(proof.get("seen"))),
        ("last order before it", str(proof.get("last_order_before"))),
        ("cancelled", ", ".join(proof.get("cancelled", []))),
        ("open at the broker afterwards", ", ".join(proof.get("open", [])) or "none"),
        ("complete", str(proof.get("completed"))),
        ("orders received between patch and lift", str(summary["orders_after_halt"])),
        ("patch answered to last order, ms", f"{summary['halt_to_last_order_ms']:.3f}"),
        ("intents refused as halted", str(summary["rejects"].get("halted", 0))),
    )
    return _table(("what", "value"), rows)


def _latency(summary: Mapping[str, Any]) -> str:
    rows = [
        (name, *(f"{values.get(quantile, float('nan')):.1f}" for quantile in ("median", "p95", "p99", "max")))
        for name, values in summary["latency_ms"].items()
    ]
    return _table(("step", "median", "p95", "p99", "max"), rows)


def _checks(summary: Mapping[str, Any]) -> str:
    rows = "".join(
        f"<tr><td>{html.escape(name.replace('_', ' '))}</td>"
        f"<td class='{'good' if check['passed'] else 'bad'}'>{'passed' if check['passed'] else 'FAILED'}</td>"
        f"<td>{html.escape(str(check['value']))}</td><td class='soft'>{html.escape(str(check['limit']))}</td></tr>"
        for name, check in summary["checks"].items()
    )
    return f"<table><tr><th>check</th><th></th><th>value</th><th>limit</th></tr>{rows}</table>"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    top = "".join(f"<th>{html.escape(cell)}</th>" for cell in head)
    body = "".join("<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><tr>{top}</tr>{body}</table>"


def _counts(facts: f.Facts, *, sent: bool) -> list[float]:
    counts = dict.fromkeys(facts.sessions, 0.0)
    for order in facts.ledger.orders:
        if order.sent is sent and order.trigger in counts:
            counts[order.trigger] += 1
    return list(counts.values())


def _span(facts: f.Facts, first: str, last: str, label: str) -> charts.Span:
    sessions = list(facts.sessions)
    return charts.Span(sessions.index(first), sessions.index(last), label)


def _cents(text: str) -> str:
    return f"{Decimal(text):,.2f}"


def _dollars(value: numbers.Money) -> float:
    """Return USD as a float, for a picture only."""
    return value / float(10**numbers.MONEY_DIGITS)
