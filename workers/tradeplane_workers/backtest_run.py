"""A backtest from resolved manifests, for the command line and for the job: the one place that calls the engine's.

Nothing here depends on where it runs. The Strategy's identity at an API server, its pool and its Model's address stay
out, so that the same manifests on the same bars give the same events, and the same hash, on a laptop and in a cluster.
"""

import hashlib
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from tradeplane_engine import backtest, desk, errors, settings
from tradeplane_engine.data import dataset, quality
from tradeplane_engine.domain import bars, numbers, timeframes, times
from tradeplane_engine.models import predictor
from tradeplane_engine.venue import profile
from tradeplane_workers import messages, translate

CASH: Final = "1000000"
PROFILE: Final = "realistic"
_LEDGER = "backtest"
_NAMESPACE = uuid.UUID("6f0b3c0e-8a43-4f29-9a53-0d6f3a4f7d11")
# Calendar days that surely hold so many sessions: two for one leaves room for weekends, the rest for long closures.
_DAYS_PER_SESSION = 2
_SPARE_DAYS = 30
_SPARE_DAYS_INSIDE = 10
_SHORTEST_SESSION = 3 * times.HOUR + 30 * times.MINUTE


@dataclass(frozen=True, slots=True)
class Account:
    """The account that is traded on; the Strategy's policy judges it too."""

    cash: numbers.Money
    profile: str


def account(cash: str = CASH, venue: str = PROFILE, *, field: str = "cash") -> Account:
    """Return an account; raises ValueRefused naming ``field`` for one without cash."""
    amount = numbers.money(cash, field=field)
    if amount <= 0:
        raise errors.ValueRefused(field, "above 0", cash)
    return Account(amount, venue)


def strategy(
    name: str, spec: Mapping[str, Any], *, model: messages.ModelReference | None, policy: messages.PolicyReference
) -> settings.StrategySettings:
    """Return what the loop is told; raises ValueRefused naming field, limit and value."""
    return translate.strategy(
        messages.StrategyConfig(
            environment=_LEDGER,
            name=name,
            uid=str(uuid.uuid5(_NAMESPACE, name)),
            generation=1,
            attempt=1,
            spec=dict(spec),
            model=model,
            policy=policy,
        )
    )


def first_needed(traded: settings.StrategySettings, start: times.Nanos) -> times.Nanos:
    """Return the instant from which bars must be read, so that the features of the first traded bar are complete."""
    if traded.timeframe == timeframes.DAY:
        days = _DAYS_PER_SESSION * traded.features.window + _SPARE_DAYS
    else:
        # Twice the window, because a symbol need not trade in every interval.
        trading = 2 * traded.features.window * timeframes.span(traded.timeframe)
        days = _DAYS_PER_SESSION * -(-trading // _SHORTEST_SESSION) + _SPARE_DAYS_INSIDE
    return times.Nanos(max(start - days * times.DAY, 0))


def read(
    slices: Iterable[bars.BarSlice],
    traded: settings.StrategySettings,
    *,
    start: times.Nanos,
    end: times.Nanos,
    hours: Mapping[str, Sequence[timeframes.Hours]],
) -> dataset.Dataset:
    """Return exactly the bars that a run reads, whatever else there is; raises ValueRefused for a period without.

    ``hours`` are those of the exchange's days, for bars that are shorter than a day.
    """
    first = first_needed(traded, start)
    chosen = [one for one in slices if first <= one.end <= end]
    if not any(start <= one.end for one in chosen):
        there = f"{times.text(chosen[0].end)[:10]} to {times.text(chosen[-1].end)[:10]}" if chosen else "nowhere"
        limit = f"a period with bars of {', '.join(traded.symbols)}, which are {there}"
        raise errors.ValueRefused("from and to", limit, f"{times.text(start)[:10]} to {times.text(end)[:10]}")
    history: dict[str, list[bars.Bar]] = {symbol: [] for symbol in traded.symbols}
    for one in chosen:
        for symbol, bar in one.bars.items():
            if symbol in history:
                history[symbol].append(bar)
    actions = tuple(action for one in chosen for action in one.actions if action.symbol in history)
    return dataset.Dataset(
        name=_LEDGER,
        timeframe=chosen[0].timeframe,
        digest=_digest(history, actions),
        origin="",
        licence="",
        history={symbol: tuple(found) for symbol, found in history.items()},
        actions=tuple(sorted(actions, key=lambda action: (action.ex_start, action.symbol))),
        report=quality.Report(accepted=sum(map(len, history.values()))),
        hours=hours,
    )


def run(
    traded: settings.StrategySettings,
    data: dataset.Dataset,
    model: predictor.Predictor,
    *,
    on: Account,
    start: times.Nanos,
    end: times.Nanos,
) -> backtest.Result:
    """Trade the bars of ``data`` that end in [start, end]."""
    return backtest.run(
        data,
        traded,
        model=model,
        account=desk.Account(
            ledger=_LEDGER,
            cash=on.cash,
            costs=profile.named(on.profile),
            policy=traded.policy,
            limits=traded.limits,
        ),
        start=start,
        end=end,
    )


def _digest(history: Mapping[str, Sequence[bars.Bar]], actions: Iterable[bars.CorporateAction]) -> str:
    """Name what is traded on: when a bar was published is the provider's, and not part of it."""
    content = hashlib.sha256()
    for bar in sorted((bar for found in history.values() for bar in found), key=lambda bar: (bar.end, bar.symbol)):
        prices = (numbers.price_text(price) for price in (bar.open, bar.high, bar.low, bar.close))
        row = (bar.symbol, times.text(bar.start), times.text(bar.end), *prices, str(bar.volume))
        content.update((",".join(row) + "\n").encode())
    for action in sorted(actions, key=lambda action: (action.ex_start, action.symbol)):
        new, old = action.split
        row = (action.symbol, times.text(action.ex_start), f"{new}/{old}", numbers.money_text(action.dividend))
        content.update((",".join(row) + "\n").encode())
    return f"sha256:{content.hexdigest()}"
