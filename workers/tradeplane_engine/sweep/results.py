"""Results of a sweep as columns: heat maps, and how much a configuration owes to its exact parameters."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tradeplane_engine import errors
from tradeplane_engine.sweep.evaluator import Outcome
from tradeplane_engine.sweep.space import Parameters

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]

_USD = 1e-9


@dataclass(frozen=True, slots=True, eq=False)
class Results:
    """Configurations in the order in which they were given.

    Attributes
    ----------
    parameters : name to values, one per configuration
    equity, fees : shape (n,), 1e-9 USD, at the end
    fills, orders, open_orders : shape (n,)
    reasons : per configuration why the event engine ran it, empty where the kernel did
    curves : shape (n, instants), equity at the wanted instants, 1e-9 USD
    trials : configurations ever tried on this data, those of earlier sweeps in the cache included
    """

    parameters: dict[str, list[Any]]
    equity: IntArray
    fees: IntArray
    fills: IntArray
    orders: IntArray
    open_orders: IntArray
    reasons: list[str]
    curves: IntArray
    trials: int

    def __len__(self) -> int:
        return len(self.equity)

    def matrix(
        self, down: str, across: str, *, values: FloatArray | None = None, fixed: Mapping[str, Any] | None = None
    ) -> tuple[list[Any], list[Any], FloatArray]:
        """Heat map over two parameters.

        Parameters
        ----------
        down, across : parameters of the rows and of the columns
        values : shape (n,), what is shown; the equity in USD unless given
        fixed : a value for each further parameter

        Returns
        -------
        values of ``down``, values of ``across``, and the matrix; NaN where no configuration is.

        Raises
        ------
        errors.ValueRefused for an unknown parameter, and where several configurations share a cell.
        """
        others = [name for name in self.parameters if name not in {down, across}]
        for name in (down, across, *(fixed or {})):
            if name not in self.parameters:
                raise errors.ValueRefused("parameter", f"one of {', '.join(self.parameters)}", name)
        shown = self.equity * _USD if values is None else values
        rows, columns = _steps(self.parameters[down]), _steps(self.parameters[across])
        found = np.full((len(rows), len(columns)), np.nan)
        for at in range(len(self)):
            if any(self.parameters[name][at] != value for name, value in (fixed or {}).items()):
                continue
            cell = rows.index(self.parameters[down][at]), columns.index(self.parameters[across][at])
            if not np.isnan(found[cell]):
                raise errors.ValueRefused("fixed", f"a value for each of {', '.join(others)}", dict(fixed or {}))
            found[cell] = shown[at]
        return rows, columns, found

    def stability(self, values: FloatArray | None = None) -> tuple[FloatArray, FloatArray]:
        """Mean and least value of each configuration's neighbourhood, both of shape (n,).

        The neighbourhood is the configuration and those that differ in one parameter by one step of the grid. A value
        that stands far above its neighbourhood's is likely to be luck.
        """
        shown = self.equity * _USD if values is None else values
        steps = {name: {value: at for at, value in enumerate(_steps(given))} for name, given in self.parameters.items()}
        places = [tuple(steps[name][given[at]] for name, given in self.parameters.items()) for at in range(len(self))]
        known = {place: at for at, place in enumerate(places)}
        mean, least = np.empty(len(self)), np.empty(len(self))
        for at, place in enumerate(places):
            around = [known[one] for one in _around(place) if one in known]
            mean[at], least[at] = shown[around].mean(), shown[around].min()
        return mean, least


def results(parameters: Sequence[Parameters], outcomes: Sequence[Outcome], trials: int) -> Results:
    """Turn outcomes into columns."""
    count = len(outcomes)
    curves = [outcome.curve for outcome in outcomes]
    return Results(
        parameters={name: [one[name] for one in parameters] for name in (parameters[0] if parameters else ())},
        equity=np.array([outcome.equity for outcome in outcomes], dtype=np.int64),
        fees=np.array([outcome.fees for outcome in outcomes], dtype=np.int64),
        fills=np.array([outcome.fills for outcome in outcomes], dtype=np.int64),
        orders=np.array([outcome.orders for outcome in outcomes], dtype=np.int64),
        open_orders=np.array([outcome.open_orders for outcome in outcomes], dtype=np.int64),
        reasons=[outcome.reason for outcome in outcomes],
        curves=np.array(curves, dtype=np.int64).reshape(count, -1) if count else np.zeros((0, 0), dtype=np.int64),
        trials=trials,
    )


def _steps(values: Sequence[Any]) -> list[Any]:
    """Different values of a parameter: in their order, or in that of appearance where they have none."""
    found = list(dict.fromkeys(values))
    try:
        return sorted(found)
    except TypeError:
        return found


def _around(place: tuple[int, ...]) -> list[tuple[int, ...]]:
    moved = [(*place[:at], place[at] + step, *place[at + 1 :]) for at in range(len(place)) for step in (-1, 1)]
    return [place, *moved]
