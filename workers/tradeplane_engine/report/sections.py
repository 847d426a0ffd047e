"""The tables of a report, section by section."""

from collections.abc import Sequence

from tradeplane_engine.measures import measure, registry, resampling, tables
from tradeplane_engine.report import charts, content, markup, wording
from tradeplane_engine.report import evidence as pieces

_MOST_SYMBOLS = 30
_GROUPS: dict[measure.Group, str] = {
    "return": "Return",
    "risk": "Risk",
    "drawdown": "Drawdown",
    "benchmark": "Against the benchmark",
    "exposure": "Exposure",
    "trade": "Trades",
    "cost": "Costs",
}
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def headline(found: content.Content) -> str:
    """Eight numbers that come first."""
    shown = (
        ("net_profit", "Net profit, USD", f"on {wording.dollars(found.start)}"),
        ("annual_return", "Return per year", _range(found, "annual_return")),
        ("sharpe", "Sharpe ratio", _range(found, "sharpe")),
        ("max_drawdown", "Deepest drawdown", _range(found, "max_drawdown")),
        ("volatility", "Volatility per year", _range(found, "volatility")),
        ("trades", "Trades", f"won {_text(found, 'win_rate')}"),
        ("cost_bps", "Costs, bps of traded", f"{_text(found, 'total_cost')} USD"),
        ("probabilistic_sharpe", "Sharpe above 0", "probability"),
    )
    return markup.tiles((_text(found, name), label, small) for name, label, small in shown)


def monthly(found: content.Content) -> str:
    """Returns per month as a tinted table, and a row of measures per year."""
    if not found.monthly:
        return ""
    largest = max(abs(value) for value in found.monthly.values()) or 1.0
    years = sorted({name[:4] for name in found.monthly})
    rows: list[markup.Row] = []
    for year in years:
        cells = [_tinted(found.monthly.get(f"{year}-{month:02d}"), largest) for month in range(1, len(_MONTHS) + 1)]
        total = found.years.get(year, {}).get("total_return")
        rows.append((year, *cells, markup.Cell(_fraction(total), f"total {_sign(total)}")))
    heads = ("Year", "Return", "Volatility", "Sharpe", "Sortino", "Drawdown", "Worst day", "Days up", "Trades", "Won")
    names = (
        "total_return", "volatility", "sharpe", "sortino", "max_drawdown", "worst_day", "positive_days", "trades",
        "win_rate",
    )  # fmt: skip
    return markup.section(
        "Returns by month and year",
        markup.table(("", *_MONTHS, "Year"), rows, style="heat"),
        markup.table(heads, (_cells(year, row, names) for year, row in found.years.items())),
        note="Percent. The first and the last month may be partial.",
    )


def costs(found: content.Content) -> str:
    """What trading cost, by kind."""
    traded = found.measures["traded"] or 0.0
    total = found.measures["total_cost"] or 0.0
    rows = [
        (
            name.capitalize(),
            wording.dollars(amount),
            f"{amount / traded * 1e4:,.2f}" if traded else wording.NOTHING,
            wording.percent(amount / total) if total > 0 else wording.NOTHING,
        )
        for name, amount in found.costs.items()
    ]
    rows.append(
        (
            "All",
            wording.dollars(total),
            f"{total / traded * 1e4:,.2f}" if traded else wording.NOTHING,
            wording.percent(1.0) if total > 0 else wording.NOTHING,
        )
    )
    parts = [(f"{name}: {wording.dollars(amount)} USD", amount) for name, amount in found.costs.items()]
    positive = [name for name, amount in found.costs.items() if amount > 0]
    return markup.section(
        "Costs",
        markup.figure(
            f"{wording.dollars(total)} USD, {_text(found, 'cost_share')} of the profit before costs",
            charts.shares(parts, label="Costs by kind"),
            legend=[(f"part{number % 6}", name.capitalize()) for number, name in enumerate(positive)],
        ),
        markup.table(("Kind", "USD", "bps of traded", "Share"), rows),
    )


def evidence(found: content.Content) -> str:
    """How sure the result is."""
    return told(found.findings)


def told(findings: Sequence[pieces.Finding]) -> str:
    """Table of findings; nothing without any."""
    if not findings:
        return ""
    verdicts = {True: ("yes", "good"), False: ("no", "bad"), None: ("", "")}
    rows = [
        (
            wording.words(one.name),
            wording.value(one.value, one.unit),
            markup.Cell(*verdicts[one.good]),
            markup.Cell(one.meaning, "text soft"),
        )
        for one in findings
    ]
    return markup.section(
        "How sure is this?", markup.table(("Evidence", "Value", "Passes", "What it says"), rows, style="told")
    )


def breakdown(found: content.Content) -> str:
    """Tables per strategy and symbol, and what no closed trade explains."""
    names = ("trades", "trade_profit", "win_rate", "profit_factor", "expectancy", "average_bars", "average_mae",
             "average_mfe", "total_cost", "cost_bps")  # fmt: skip
    heads = ("Trades", "Profit", "Won", "Factor", "Per trade", "Bars", "MAE", "MFE", "Costs", "bps")
    parts = []
    if found.strategies:
        rows = [_cells(name, row, names) for name, row in found.strategies.items()]
        parts.append(markup.table(("Strategy", *heads), rows))
        with_curve = {name: row for name, row in found.strategies.items() if row.get("volatility") is not None}
        if with_curve:
            parts.append(
                markup.table(
                    ("Sub-ledger", *(wording.words(name) for name in tables.RETURNS)),
                    (_cells(name, row, tables.RETURNS) for name, row in with_curve.items()),
                )
            )
    if found.symbols:
        ranked = sorted(found.symbols.items(), key=lambda item: (-abs(item[1]["trade_profit"] or 0.0), item[0]))
        parts.append(
            markup.table(("Symbol", *heads), (_cells(name, row, names) for name, row in ranked[:_MOST_SYMBOLS]))
        )
        if len(ranked) > _MOST_SYMBOLS:
            left = len(ranked) - _MOST_SYMBOLS
            parts.append(markup.note(f"{left:,} symbols with smaller profit or loss are in the JSON."))
    if not parts:
        return ""
    note = (
        f"Closed trades after fees, USD. {wording.dollars(found.unexplained)} USD of the net profit is in no closed "
        "trade: open positions, dividends and charges."
    )
    return markup.section("By strategy and symbol", *parts, note=note)


def measures(found: content.Content) -> str:
    """Every measure with its interval, unit and meaning."""
    parts = []
    for group, title in _GROUPS.items():
        chosen = [one for one in registry.MEASURES if one.group == group]
        if all(found.measures[one.name] is None for one in chosen):
            continue
        rows = [
            (
                wording.words(one.name),
                wording.value(found.measures[one.name], one.unit),
                markup.Cell(_interval(found.intervals.get(one.name), one.unit), "soft"),
                markup.Cell(one.meaning + _unit(one.unit), "text soft"),
            )
            for one in chosen
        ]
        parts.append(markup.table((title, "Value", "95 % interval", "Meaning"), rows, style="told"))
    note = f"Intervals: stationary block bootstrap of the returns, {found.draws:,} draws." if found.draws else ""
    return markup.section("All measures", *parts, note=note)


def conventions(found: content.Content) -> str:
    """What the numbers follow, in four sentences."""
    text = (
        "Simple returns per period at session closes; deviations with ddof 1; losses of VaR and ES are positive, "
        "drawdowns negative, and the starting equity counts as a peak. A dash is a value that cannot be computed. "
        "Each period is a trading session, or a UTC day where markets never close. "
        "Tests and intervals say how lucky this record may be; they cannot see what was tried and not reported."
    )
    thinned = any(line.thinned for line in (*found.equity.values(), *found.series.values()))
    more = " Long lines show the lowest and highest value of each bucket." if thinned else ""
    return f'<footer class="soft"><p>{text}{more}</p></footer>'


def _cells(name: str, row: tables.Row, names: Sequence[str]) -> markup.Row:
    cells: list[markup.Cell | str] = [name]
    for one in names:
        value, unit = row.get(one), registry.BY_NAME[one].unit
        signed = unit == "usd" and one != "total_cost" and value is not None and value < 0
        cells.append(markup.Cell(wording.value(value, unit), "bad" if signed else ""))
    return cells


def _tinted(value: float | None, largest: float) -> markup.Cell:
    if value is None:
        return markup.Cell("")
    return markup.Cell(_fraction(value), _sign(value), tint=min(1.0, abs(value) / largest) * 0.6)


def _fraction(value: float | None) -> str:
    return wording.NOTHING if value is None else wording.percent(value).removesuffix(" %")


def _sign(value: float | None) -> str:
    return "" if value is None else ("up" if value >= 0 else "down")


def _text(found: content.Content, name: str) -> str:
    return wording.value(found.measures[name], registry.BY_NAME[name].unit)


def _range(found: content.Content, name: str) -> str:
    text = _interval(found.intervals.get(name), registry.BY_NAME[name].unit)
    return f"95 %: {text}" if text else ""


def _interval(interval: resampling.Interval | None, unit: measure.Unit) -> str:
    if interval is None:
        return ""
    return f"{wording.value(interval.low, unit).removesuffix(' %')} to {wording.value(interval.high, unit)}"


def _unit(unit: measure.Unit) -> str:
    return {"usd": ", USD", "bars": ", bars", "days": ", days", "bps": ", bps", "periods": ", periods"}.get(unit, "")
