"""The pictures of a report, section by section."""

import numpy as np

from tradeplane_engine.report import charts, content, lines, markup, wording

_SMALL = 170


def growth(found: content.Content) -> str:
    """Equity with the deepest drawdowns marked, the drawdown itself, and how long it has lasted."""
    if not found.samples:
        return markup.section("Equity", note="The run has no samples.")
    own = found.equity["equity"]
    series = [charts.Series(own.rows, own.values, "a")]
    legend = [("a", "Strategy")]
    if "benchmark" in found.equity:
        other = found.equity["benchmark"]
        series.insert(0, charts.Series(other.rows, other.values, "b"))
        legend.append(("b", found.benchmark or ""))
    stretch = own.samples / found.samples
    spans = [
        charts.Span(int(fall.first * stretch), int(fall.last * stretch), str(number))
        for number, fall in enumerate(found.falls, start=1)
    ]
    if spans:
        legend.append(("span", "deepest drawdowns"))
    frame = charts.Frame(own.samples, found.equity_ticks, wording.compact, height=320, label="Equity over time")
    rows = (
        (
            str(number),
            wording.day(fall.peak),
            wording.day(fall.trough),
            wording.day(fall.recovery) if fall.recovery is not None else "not yet",
            markup.Cell(wording.percent(fall.depth), "bad"),
            f"{fall.length:,}",
        )
        for number, fall in enumerate(found.falls, start=1)
    )
    table = markup.table(("", "Peak", "Trough", "Recovered", "Depth", "Periods"), rows) if found.falls else ""
    return markup.section(
        "Equity and drawdown",
        markup.figure("Equity, USD", charts.lines(frame, series, spans=spans), legend=legend),
        _panel(found, "drawdown", "Drawdown from the highest equity so far", wording.short_percent, "loss", fill=True),
        _panel(found, "underwater", "Underwater: periods since the last peak", wording.count, "c", fill=True),
        table,
    )


def moving(found: content.Content) -> str:
    """Rolling measures and the distribution of returns."""
    if not found.samples:
        return ""
    parts = [
        _panel(found, "sharpe", "Sharpe ratio", wording.compact, "a"),
        _panel(found, "volatility", "Volatility, per year", wording.short_percent, "a"),
    ]
    if "beta" in found.series:
        parts.append(_panel(found, "beta", f"Beta to {found.benchmark}", wording.compact, "a"))
    if found.histogram:
        parts.append(_histogram(found))
    enough = found.samples >= found.window
    note = f"Over the {found.window} periods before each point." if enough else f"Needs {found.window} periods."
    return markup.section("Rolling measures", *parts, note=note)


def held(found: content.Content) -> str:
    """Exposure over time and turnover per month."""
    if not found.samples:
        return ""
    parts = []
    known = [(name, style) for name, style in (("gross", "a"), ("net", "b")) if name in found.series]
    if known:
        series = [charts.Series(found.series[name].rows, found.series[name].values, style) for name, style in known]
        frame = charts.Frame(
            found.samples, found.ticks, wording.short_percent, height=_SMALL, zero=True, label="Exposure over time"
        )
        parts.append(
            markup.figure(
                "Exposure, share of equity",
                charts.lines(frame, series),
                legend=[(style, name.capitalize()) for name, style in known],
            )
        )
    months = list(found.monthly_turnover)
    stamps = np.array(months, dtype="datetime64[M]").astype("datetime64[ns]").astype(np.int64)
    frame = charts.Frame(
        len(months), lines.ticks(stamps), wording.short_percent, height=_SMALL, zero=True, label="Turnover per month"
    )
    heights = list(found.monthly_turnover.values())
    texts = [f"{month}: {wording.percent(height or 0.0)}" for month, height in found.monthly_turnover.items()]
    parts.append(
        markup.figure("Turnover per month, bought and sold", charts.bars(frame, heights, texts=texts, style="part0"))
    )
    return markup.section("Exposure and turnover", *parts)


def trades(found: content.Content) -> str:
    """The trades of one symbol on its price."""
    seen = found.traded
    if seen is None:
        return ""
    if not seen.price.samples:
        return markup.section(f"Trades on {seen.symbol}", note="No prices.")
    rows = seen.trades
    marks = [
        charts.Mark(
            entry=(int(seen.entry_rows[row]), float(rows.entry_price[row])),
            exit=(int(seen.exit_rows[row]), float(rows.exit_price[row])),
            long=bool(rows.side[row] > 0),
            won=bool(rows.pnl[row] > 0),
            text=_trade(seen, row),
        )
        for row in range(len(rows))
    ]
    frame = charts.Frame(seen.price.samples, seen.ticks, wording.compact, height=320, label=f"Price of {seen.symbol}")
    note = f"All {seen.all_trades:,} trades."
    if seen.all_trades > len(rows):
        note = f"The {len(rows)} largest of {seen.all_trades:,} trades by profit or loss."
    return markup.section(
        f"Trades on {seen.symbol}",
        markup.figure(
            "Price, USD per share; a triangle is an entry (down = short), a dot its exit",
            charts.lines(frame, [charts.Series(seen.price.rows, seen.price.values, "quiet")], marks=marks),
            legend=[("gain", "won"), ("loss", "lost")],
        ),
        note=note,
    )


def _panel(
    found: content.Content, name: str, caption: str, write: wording.Write, style: str, *, fill: bool = False
) -> str:
    line = found.series[name]
    frame = charts.Frame(found.samples, found.ticks, write, height=_SMALL, zero=fill, label=caption)
    return markup.figure(caption, charts.lines(frame, [charts.Series(line.rows, line.values, style, fill=fill)]))


def _histogram(found: content.Content) -> str:
    count = len(found.histogram)
    middles = [(low + high) / 2 for low, high, _ in found.histogram]
    every = max(1, count // 6)
    ticks = [(row, wording.percent(middles[row])) for row in range(every // 2, count, every)]
    texts = [
        f"{wording.percent(low)} to {wording.percent(high)}: {number} periods" for low, high, number in found.histogram
    ]
    frame = charts.Frame(count, ticks, wording.count, height=_SMALL, zero=True, label="Distribution of returns")
    drawing = charts.bars(frame, [float(number) for _, _, number in found.histogram], texts=texts, style="part0")
    return markup.figure("Distribution of returns per period; the outer bars hold everything beyond", drawing)


def _trade(seen: content.Traded, row: int) -> str:
    one = seen.trades
    side = "long" if one.side[row] > 0 else "short"
    return (
        f"{side} {one.quantity[row]:,.9g} {seen.symbol}: {wording.day(int(one.entry_at[row]))} at "
        f"{one.entry_price[row]:,.2f}, {wording.day(int(one.exit_at[row]))} at {one.exit_price[row]:,.2f}, "
        f"{wording.dollars(float(one.pnl[row]))} USD"
    )
