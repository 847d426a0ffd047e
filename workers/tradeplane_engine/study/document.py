"""A study's result as canonical JSON: sorted keys, no blanks, money as decimal text, what is undefined as null."""

import json
import math
from decimal import Decimal
from typing import Any

from tradeplane_engine.domain import times
from tradeplane_engine.results import frames
from tradeplane_engine.study.ranked import Ranked

VERSION = 1


def write(found: Ranked) -> str:
    """Return one line of JSON."""
    return json.dumps(value(found), sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def value(found: Ranked) -> dict[str, Any]:
    """Return JSON's own types."""
    mean, least = found.stability
    return {
        "version": VERSION,
        "study": dict(found.study),
        "data": found.data,
        "days": {"count": len(found.days), "first": _time(found.days[0]), "last": _time(found.days[-1])},
        "tried": len(found),
        "trials": found.tried.trials,
        "best": {"at": found.best_at, "parameters": found.best, "measures": dict(found.measures[found.best_at])},
        "best_hash": found.best_result.hash,
        "configurations": {
            "parameters": found.tried.parameters,
            "score": [_number(one) for one in found.scores.tolist()],
            "measures": {name: [one[name] for one in found.measures] for name in found.measures[0]},
            "neighbourhood_mean": [_number(one) for one in mean.tolist()],
            "neighbourhood_least": [_number(one) for one in least.tolist()],
            "equity": [_money(one) for one in found.tried.equity.tolist()],
            "fees": [_money(one) for one in found.tried.fees.tolist()],
            "fills": found.tried.fills.tolist(),
            "orders": found.tried.orders.tolist(),
            "by_events": found.tried.reasons,
        },
        "maps": [
            {
                "down": one.down,
                "across": one.across,
                "rows": list(one.rows),
                "columns": list(one.columns),
                "cells": [[_number(cell) for cell in row] for row in one.cells.tolist()],
                "fixed": dict(one.fixed),
            }
            for one in found.maps
        ],
        "evidence": [
            {"name": one.name, "value": one.value, "unit": one.unit, "meaning": one.meaning, "passes": one.good}
            for one in found.evidence.findings
        ],
        "notes": list(found.evidence.notes),
        "walk_forward": None if found.walked is None else _walked(found.walked),
    }


def _walked(walked: Any) -> dict[str, Any]:
    settings = walked.settings
    return {
        "settings": {name: getattr(settings, name) for name in ("train", "test", "purge", "embargo", "anchored")},
        "windows": [
            {
                "trained": [_time(one) for one in each.trained],
                "tested": [_time(one) for one in each.tested],
                "parameters": each.parameters,
                "inside": _number(each.inside),
                "outside": _number(each.outside),
            }
            for each in walked.choices
        ],
        "measures": dict(walked.measures),
        "efficiency": _number(walked.efficiency),
        "equity": frames.plain(walked.result.final_equity),
        "hash": walked.result.hash,
    }


def _time(at: Any) -> str:
    return times.text(times.Nanos(int(at) + 1))  # the end of the day, not its last nanosecond


def _number(number: float) -> float | None:
    return number if math.isfinite(number) else None


def _money(amount: int) -> str:
    return frames.plain(Decimal(amount).scaleb(-9))
