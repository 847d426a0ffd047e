"""``tradeplane backtest FILE.py:CLASS``: a strategy's class on bars."""

import argparse
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from tradeplane_cli import progress, trading
from tradeplane_engine import errors, scripts, simulation, strategy
from tradeplane_engine.domain import times
from tradeplane_engine.results import result

CASH = "100000"
OPTIONS = {
    **trading.OPTIONS,
    "parameters": "--parameters",
    "out": "--out",
    "benchmark": "--benchmark",
    "audit": "--audit and --no-audit",
    "seed": "--seed",
}
ACCUSED = 3
_SHOWN = ("total_return", "annual_return", "volatility", "sharpe", "max_drawdown", "win_rate")
_COMPARED = ("benchmark_return", "alpha", "beta", "information_ratio")


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options that only code has."""
    trading.arguments(parser)
    parser.add_argument(
        "--parameters", nargs="+", action="extend", metavar="NAME=VALUE", help="of the strategy's Parameters"
    )
    parser.add_argument(
        "--benchmark", metavar="SYMBOL", help="compare with holding it: one of the data, or a file of bars"
    )
    parser.add_argument("--out", type=Path, metavar="DIR", help="save the run there: events, frames, report")
    parser.add_argument(
        "--audit",
        action=argparse.BooleanOptionalAction,
        help="repeat the whole run twice to find out whether it knew the future; evidence for a promotion needs it "
        "(default: where the run takes less than 10 s)",
    )
    parser.add_argument("--seed", type=int, help="of the points that the honesty detectors look at (default 0)")


def run(options: argparse.Namespace, made: Callable[[], simulation.Backtest]) -> int:
    """Run a backtest and print a summary; 1 where it cannot run, 3 where the honesty detectors accuse the strategy."""
    try:
        found = made().run(watch=lambda run: progress.of_run(progress.Progress(sys.stderr), run))
        if options.out is not None:
            found.save(options.out)
    except (errors.EngineError, OSError) as error:
        sys.stderr.write(f"tradeplane backtest: {trading.told(error, options.strategy or '')}\n")
        return 1
    sys.stdout.writelines(f"{name:<26}{value}\n" for name, value in _summary(found))
    if options.out is not None:
        sys.stdout.write(f"{'saved':<26}{options.out}\n")
    accused = [] if found.findings is None else found.findings.found
    for one in accused:
        sys.stderr.write(f"{one.detector}: {one.sentence}\n")
    return ACCUSED if accused else 0


def backtest(options: argparse.Namespace) -> simulation.Backtest:
    """Return the backtest that the options describe; raises EngineError."""
    found = scripts.load(options.strategy)
    if not (isinstance(found, type) and issubclass(found, strategy.Strategy)):
        raise errors.ValueRefused("strategy", "a subclass of strategy.Strategy", options.strategy)
    return simulation.Backtest(
        trading.bars(options, whole=True),
        found,
        cash=options.cash or CASH,
        parameters=trading.parameters(options.parameters or ()),
        costs=trading.costs_of(options),
        limits=trading.limits_of(options),
        start=None if options.start is None else trading.day(options.start, "--from"),
        benchmark=options.benchmark,
        audit=options.audit,
        seed=options.seed or 0,
    )


def _summary(found: result.Result) -> Iterator[tuple[str, str]]:
    counts = found.counts
    bars = [one for one in found.data.series if len(one)]
    first, last = min(int(one.start[0]) for one in bars), max(int(one.end[-1]) for one in bars)
    yield "strategy", found.name
    yield "bars", f"{sum(map(len, bars)):,} of {len(bars):,} symbols, {_minute(first)} to {_minute(last)}"
    if found.data.rounded_prices or found.data.high_low_errors or found.data.volume_errors:
        yield "rounded prices", f"{found.data.rounded_prices:,}"
        yield "wrong highs and lows", f"{found.data.high_low_errors:,}"
        yield "volumes that are none", f"{found.data.volume_errors:,}"
    yield "orders / fills / refused", f"{counts['orders']:,} / {counts['fills']:,} / {counts['refused']:,}"
    yield "trades", f"{counts['trades']:,}"
    yield "equity", f"{found.final_equity:,.2f} USD"
    yield "profit / fees", f"{found.profit:,.2f} / {found.fees:,.2f} USD"
    for name, value in found.measures(_SHOWN if found.benchmark is None else _SHOWN + _COMPARED).items():
        yield name.replace("_", " "), "undefined" if value is None else f"{value:.4f}"
    examined = found.findings
    if examined is not None:
        verdict = "honest" if examined.honest else "accused"
        yield "examined", f"{verdict}, {'with' if examined.audited else 'without'} an audit"
        for note in examined.notes:
            yield "", note
        yield "detectors_s", f"{examined.detectors_s:.2f}"
    yield "run_s", f"{found.seconds['run']:.2f}"
    yield "hash", found.hash


def _minute(at: int) -> str:
    text = times.text(times.Nanos(at))
    return text[:10] if text.endswith("T00:00:00Z") else text
