"""A study's result as one HTML file: ranking, heat maps, stability, evidence, walk-forward. Nothing is fetched."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from tradeplane_engine.measures import measure, registry
from tradeplane_engine.report import markup, sections, wording
from tradeplane_engine.report import page as pages
from tradeplane_engine.study.ranked import HeatMap, Ranked
from tradeplane_engine.study.walk_forward import Walked

_TOP = 25


def write(found: Ranked) -> str:
    """Return the page."""
    first, last = (wording.day(int(one)) for one in (found.days[0], found.days[-1]))
    study = found.study
    facts = {
        "Bars": found.data,
        "Objective": wording.words(study["objective"]),
        "Search": study["search"]["kind"],
        "Ever tried on these bars": f"{found.tried.trials:,}",
        "Costs": f"commission {study['commission_bps']} bps, half spread {study['half_spread_bps']} bps",
        "Run of the best": found.best_result.hash,
    }
    parts = (
        _headline(found),
        _ranking(found),
        *_maps(found),
        sections.told(found.evidence.findings),
        *map(markup.note, found.evidence.notes),
        "" if found.walked is None else _walked(found, found.walked),
    )
    return pages.whole(f"Sweep of {study['family']}", f"{first} to {last} · {len(found.days):,} days", facts, parts)


def _headline(found: Ranked) -> markup.Markup:
    best = found.measures[found.best_at]
    mean, least = (column[found.best_at] for column in found.stability)
    objective = found.study["objective"]
    unit = registry.BY_NAME[objective].unit
    by_events = sum(bool(one) for one in found.tried.reasons)
    return markup.tiles(
        (
            (_text(best[objective], unit), f"Best {wording.words(objective)}", _named(found.best)),
            (_text(mean, unit), "Mean of its neighbourhood", f"least {_text(least, unit)}"),
            (_text(float(np.nanmedian(found.scores)), unit), "Median of all", f"{_scored(found):,} have a score"),
            (f"{len(found):,}", "Configurations", f"{by_events:,} by the event engine"),
        )
    )


def _ranking(found: Ranked) -> markup.Markup:
    mean, least = found.stability
    names = list(found.measures[0])
    unit = registry.BY_NAME[names[0]].unit
    head = (*found.tried.parameters, *map(wording.words, names), "Neighbours' mean", "Least", "Fills", "Engine")
    rows = [
        (
            *(str(values[at]) for values in found.tried.parameters.values()),
            *(_text(found.measures[at][name], registry.BY_NAME[name].unit) for name in names),
            _text(mean[at], unit),
            _text(least[at], unit),
            f"{found.tried.fills[at]:,}",
            found.tried.reasons[at] or "kernel",
        )
        for at in found.ranking[:_TOP]
    ]
    note = (
        "A configuration whose neighbours (one step in one parameter) do much worse owes its rank to luck. "
        "All configurations are in sweep.json."
    )
    return markup.section(f"The best {min(_TOP, len(found))} of {len(found):,}", markup.table(head, rows), note=note)


def _maps(found: Ranked) -> Iterator[markup.Markup]:
    unit = registry.BY_NAME[found.study["objective"]].unit
    largest = float(np.nanmax(np.abs(found.scores))) or 1.0
    for one in found.maps:
        title = f"{one.down} by {one.across}" if one.across else one.down
        note = f"{wording.words(found.study['objective'])}; {one.down} down" + (
            f", {one.across} across" if one.across else ""
        )
        fixed = f", with {_named(one.fixed)}" if one.fixed else ""
        yield markup.section(title, _heat(one, found, largest, unit), note=f"{note}{fixed}.")


def _heat(one: HeatMap, found: Ranked, largest: float, unit: measure.Unit) -> markup.Markup:
    best = found.best
    rows = []
    for value, cells in zip(one.rows, one.cells, strict=True):
        row: list[markup.Cell | str] = [str(value)]
        for across, cell in zip(one.columns, cells.tolist(), strict=True):
            if not math.isfinite(cell):
                row.append(markup.Cell(""))
                continue
            here = value == best[one.down] and (not one.across or across == best[one.across])
            style = f"{'up' if cell >= 0 else 'down'}{' total' if here else ''}"
            row.append(markup.Cell(_text(cell, unit), style, tint=min(1.0, abs(cell) / largest) * 0.6))
        rows.append(row)
    return markup.table(
        (f"{one.down} \\ {one.across}" if one.across else one.down, *map(str, one.columns)), rows, style="heat"
    )


def _walked(found: Ranked, walked: Walked) -> markup.Markup:
    objective = found.study["objective"]
    unit = registry.BY_NAME[objective].unit
    rows = [
        (
            wording.day(each.tested[0]),
            wording.day(each.tested[1]),
            "none" if each.parameters is None else _named(each.parameters),
            _text(each.inside, unit),
            _text(each.outside, unit),
        )
        for each in walked.choices
    ]
    measured = [
        (wording.words(name), _text(value, registry.BY_NAME[name].unit)) for name, value in walked.measures.items()
    ]
    settings = walked.settings
    note = (
        f"{settings.train} days to choose, {settings.test} to trade, {settings.purge} purged, {settings.embargo} under "
        f"embargo{', anchored' if settings.anchored else ''}. The choices ran as one backtest, which ended with "
        f"{walked.result.final_equity:,.2f} USD; of the score in training, "
        f"{wording.NOTHING if math.isnan(walked.efficiency) else wording.percent(walked.efficiency)} was left."
    )
    return markup.section(
        "Walk-forward, out of sample",
        markup.table(("Measure", "All tests"), measured),
        markup.table(("From", "To", "Chosen", f"{wording.words(objective)} in training", "In test"), rows),
        note=note,
    )


def _named(parameters: Any) -> str:
    return ", ".join(f"{name} {value}" for name, value in parameters.items())


def _scored(found: Ranked) -> int:
    return int(np.isfinite(found.scores).sum())


def _text(value: float | None, unit: measure.Unit) -> str:
    return wording.value(None if value is None or not math.isfinite(value) else float(value), unit)
