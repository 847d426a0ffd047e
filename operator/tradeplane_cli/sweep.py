"""``tradeplane sweep``: many parameters of one strategy on bars, and how much of the best result can be believed.

What is known is never run again, so that a sweep that was killed goes on where it was when it is started again.
"""

import argparse
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from tradeplane_cli import backtest, declared, progress, scripted, trading
from tradeplane_engine import errors, scripts, study, sweep
from tradeplane_engine.domain import times
from tradeplane_engine.results import result

_SHOWN = 10
_MOST_VALUES = 100_000
_COMMAND = "tradeplane sweep"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument(
        "strategy",
        nargs="?",
        metavar="FILE.py:NAME",
        help="a strategy's class, or a function of parameters that returns a rule (package.module:NAME too)",
    )
    what.add_argument(
        "-f", "--filename", type=Path, help="manifests of a Strategy whose signal is code, and of its RiskPolicy"
    )
    parser.add_argument(
        "--space",
        nargs="+",
        action="extend",
        required=True,
        metavar="NAME=VALUES",
        help="values of a parameter: 5,10,20 or 5:50:5 (first:last:step)",
    )
    parser.add_argument("--data", type=Path, required=True, help="folder of CSV or Parquet files, or one file")
    parser.add_argument("--from", dest="start", metavar="DAY", help="first day (default: that of the first bar)")
    parser.add_argument("--to", dest="end", metavar="DAY", help="last day (default: that of the last bar)")
    parser.add_argument("--cash", help=f"the account's cash in USD (default {scripted.CASH})")
    parser.add_argument(
        "--parameters", nargs="+", action="extend", metavar="NAME=VALUE", help="parameters that are the same in all"
    )
    trading.arguments(parser)
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--random", type=int, metavar="N", help="try N combinations drawn by the seed, not all")
    which.add_argument("--optuna", type=int, metavar="N", help="try N combinations that Optuna suggests")
    parser.add_argument("--seed", type=int, default=0, help="of the draw, and of Optuna (default 0)")
    parser.add_argument("--objective", default="sharpe", help="measure of daily returns to look for (default sharpe)")
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--workers", type=int, default=1, metavar="N", help="processes of this machine (default 1)")
    where.add_argument("--ray", metavar="ADDRESS", help="run on the machines of a Ray instead")
    parser.add_argument("--cache", type=Path, metavar="DIR", help="folder of known results (default: the user's cache)")
    parser.add_argument("--out", type=Path, metavar="DIR", help="write the page, the JSON and the best run there")
    walk = parser.add_argument_group("walk-forward", "in days with bars; choose on one stretch, trade the next")
    walk.add_argument("--train", type=int, metavar="DAYS", help="days to choose on; asks for a walk-forward")
    walk.add_argument("--test", type=int, metavar="DAYS", help="days to trade with each choice")
    walk.add_argument("--purge", type=int, default=0, metavar="DAYS", help="days before a test that no choice looks at")
    walk.add_argument(
        "--embargo", type=int, default=0, metavar="DAYS", help="days after a test that no later choice looks at"
    )
    walk.add_argument("--anchored", action="store_true", help="look at everything from the first day on")


def run(options: argparse.Namespace) -> int:
    """Run the sweep, print the best configurations and the evidence.

    The status is 1 where it cannot run, 3 where the honesty detectors accuse the best one or the walk-forward.
    """
    try:
        found = _study(options).run(workers=_workers(options), progress=_shown(progress.Progress(sys.stderr)))
        if options.out is not None:
            found.save(options.out)
    except (errors.EngineError, OSError) as error:
        sys.stderr.write(f"{_COMMAND}: {trading.told(error, options.strategy or '')}\n")
        return 1
    sys.stdout.writelines(f"{line}\n" for line in _lines(found))
    if options.out is not None:
        sys.stdout.write(f"saved {options.out / 'sweep.html'}\n")
    accused = [one for _, each in _examined(found) for one in (each.findings.found if each.findings else ())]
    sys.stderr.writelines(f"{one.detector}: {one.sentence}\n" for one in accused)
    return scripted.ACCUSED if accused else 0


def _study(options: argparse.Namespace) -> study.Study:
    if options.filename is not None:
        return _of_manifests(options)
    return study.Study(
        trading.bars(options),
        scripts.load(options.strategy),
        _search(options),
        cash=options.cash or scripted.CASH,
        commission_bps=trading.charges(options)[0],
        half_spread_bps=trading.charges(options)[1],
        limits=trading.limits_of(options),
        fixed=trading.parameters(options.parameters or ()),
        objective=options.objective,
        walk_forward=_walk_forward(options),
        cache=options.cache or _user_cache(),
    )


def _of_manifests(options: argparse.Namespace) -> study.Study:
    """Return the study of a Strategy's class: what the manifest says is the same in every trial."""
    for name in ("parameters", "cash", "commission_bps", "half_spread_bps", "allow_short", "timeframe"):
        if getattr(options, name):
            raise errors.ValueRefused(declared.OPTIONS[name], "absent with --filename", getattr(options, name))
    manifests = backtest.Manifests.read(options.filename)
    if not declared.has_code(manifests.strategy["spec"]):
        raise errors.ValueRefused("signal", "code, as a Model is trained once and not per trial", "models")
    if (options.data / "dataset.json").is_file():
        raise errors.ValueRefused("--data", "CSV or Parquet (a sweep knows no corporate actions)", str(options.data))
    said = declared.Declared.of(manifests.strategy, manifests.policy, None)
    options.timeframe = times.duration_text(said.timeframe)
    search = _search(options)
    searched = search.describe()["values"]
    return study.Study(
        trading.bars(options, said.symbols),
        said.kind,
        search,
        cash=said.capital,
        half_spread_bps=said.venue.half_spread_bps,
        schedule=said.venue.schedule,
        limits=said.limits,
        fixed={name: value for name, value in said.parameters.items() if name not in searched},
        objective=options.objective,
        walk_forward=_walk_forward(options),
        cache=options.cache or _user_cache(),
    )


def _search(options: argparse.Namespace) -> study.Search:
    space = dict(_values(word) for word in options.space)
    if len(space) < len(options.space):
        raise errors.ValueRefused("--space", "each name once", options.space)
    if options.random is not None:
        return study.Random(space, options.random, options.seed)
    if options.optuna is not None:
        return study.Optuna(space, options.optuna, options.seed)
    return study.Grid(space)


def _walk_forward(options: argparse.Namespace) -> study.WalkForward | None:
    if options.train is None and options.test is None:
        for name in ("purge", "embargo", "anchored"):
            if getattr(options, name):
                raise errors.ValueRefused(f"--{name}", "absent without --train and --test", getattr(options, name))
        return None
    for name in ("train", "test"):
        if getattr(options, name) is None:
            raise errors.ValueRefused(f"--{name}", "given for a walk-forward", None)
    return study.WalkForward(options.train, options.test, options.purge, options.embargo, options.anchored)


def _workers(options: argparse.Namespace) -> int | sweep.Start:
    if options.ray is None:
        return int(options.workers)
    from tradeplane_workers import sweep_on_ray  # noqa: PLC0415 - Ray takes seconds to import

    return sweep_on_ray.start(options.ray)


def _values(word: str) -> tuple[str, Sequence[Any]]:
    """Read ``name=first:last:step`` or ``name=a,b,c``; raises ValueRefused."""
    name, equals, text = word.partition("=")
    if not equals or not name.isidentifier():
        raise errors.ValueRefused("--space", "NAME=VALUES", word)
    if text.count(":") in {1, 2}:
        return name, _steps(word, *text.split(":"))
    found = [trading.value(one) for one in text.split(",")]
    if not text or len(set(map(repr, found))) < len(found):
        raise errors.ValueRefused("--space", "values, each once", word)
    return name, found


def _steps(word: str, first: str, last: str, step: str = "1") -> list[int] | list[float]:
    try:
        low, high, by = Decimal(first), Decimal(last), Decimal(step)
    except InvalidOperation:
        raise errors.ValueRefused("--space", "first:last:step in numbers", word) from None
    if not by > 0 or high < low or (high - low) / by > _MOST_VALUES:
        raise errors.ValueRefused("--space", f"first to last in steps above 0, at most {_MOST_VALUES:,}", word)
    found = [low + by * number for number in range(int((high - low) / by) + 1)]
    return (
        [int(one) for one in found]
        if all(one == one.to_integral_value() for one in (low, by))
        else [*map(float, found)]
    )


def _shown(shown: progress.Progress) -> Callable[[sweep.Progress], None]:
    def tell(now: sweep.Progress) -> None:
        rate = (now.done - now.cached) / shown.seconds
        known = f", {now.cached:,} known before" if now.cached else ""
        line = f"{now.done / now.total:6.1%} of {now.total:,} configurations{known}, {rate:,.1f} per s"
        (shown.end if now.done >= now.total else shown.show)(line)

    return tell


def _lines(found: study.Found) -> Iterator[str]:
    mean, least = found.stability
    names = [found.study["objective"], "total_return", "max_drawdown"]
    names = list(dict.fromkeys(names))
    head = [*found.tried.parameters, *names, "neighbours", "least", "fills"]
    rows = [
        [
            *(str(values[at]) for values in found.tried.parameters.values()),
            *(_number(found.measures[at][name]) for name in names),
            _number(mean[at]),
            _number(least[at]),
            f"{found.tried.fills[at]:,}",
        ]
        for at in found.ranking[:_SHOWN]
    ]
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    for row in (head, *rows):
        yield "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True))
    by_events = sorted({one for one in found.tried.reasons if one})
    yield ""
    yield f"tried {len(found):,} here, {found.cached:,} known before, {found.tried.trials:,} ever on these bars"
    if by_events:
        count = sum(bool(one) for one in found.tried.reasons)
        yield f"{count:,} by the event engine: {', '.join(by_events)}"
    for one in found.evidence.findings:
        verdict = {True: "passes", False: "fails", None: ""}[one.good]
        yield f"{one.name} {_number(one.value)} {verdict}".rstrip()
    yield from found.evidence.notes
    if found.walked is not None:
        yield ""
        for each in found.walked.choices:
            chosen = "none" if each.parameters is None else " ".join(f"{k}={v}" for k, v in each.parameters.items())
            yield (
                f"{times.utc_day(times.Nanos(each.tested[0]))} to {times.utc_day(times.Nanos(each.tested[1]))}  "
                f"{_number(each.inside)} in training, {_number(each.outside)} in the test  {chosen}"
            )
        shown = ", ".join(f"{name} {_number(found.walked.measures[name])}" for name in names)
        yield f"out of sample: {shown}; equity {found.walked.result.final_equity:,.2f} USD"
    for name, run_of in _examined(found):
        yield f"{name}: {'honest' if run_of.findings is None or run_of.findings.honest else 'accused'}"


def _examined(found: study.Found) -> Iterator[tuple[str, result.Result]]:
    yield "best", found.best_result
    if found.walked is not None:
        yield "walk-forward", found.walked.result


def _number(value: float | None) -> str:
    return "-" if value is None or value != value else f"{value:.4f}"  # noqa: PLR0124 - what is not itself is no number


def _user_cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "tradeplane" / "sweeps"
