"""Indicators by name.

An indicator is a public function of one of the modules below that returns a graph; its parameters are that function's:
an int is a number of rows, a float is a positive factor, a str is a field of the bars. A name that Python has taken
ends in an underscore there and without it here.
"""

import functools
import inspect
import math
import numbers
from collections.abc import Callable, Mapping

from tradeplane_engine import errors
from tradeplane_engine.indicators import (
    averages,
    bands,
    columns,
    direction,
    dispersion,
    exact,
    momentum,
    nodes,
    prices,
    spec,
    stages,
    user,
    volatility,
    volume,
)

MOST_ROWS = 10_000
_Argument = int | float | str
_Builder = Callable[..., nodes.Graph]

# Their formulas divide by n - 1, or by a spread that one row never has.
_TWO_ROWS = frozenset(
    {
        *("hma", "cci", "zscore", "correl", "beta", "close_close", "yang_zhang"),
        *("plus_dm", "minus_dm", "plus_di", "minus_di", "dx", "adx", "adxr"),
        *("linearreg", "linearreg_slope", "linearreg_intercept", "tsf"),
    }
)


def named(name: str) -> Callable[..., spec.Spec]:
    """Return the indicator's maker of specs: ``named("sma")(window=20, field="close")``.

    The maker takes the indicator's parameters by keyword; each has a default. It raises ValueRefused for an unknown
    parameter or field, and for windows below their least or beyond 10,000.

    Raises
    ------
    errors.ValueRefused for an unknown name, naming the known.
    """
    if name not in _DEFINITIONS:
        raise errors.ValueRefused("indicator", f"one of: {', '.join(names())}", name)
    return functools.partial(_spec, name)


def names() -> tuple[str, ...]:
    """Return every indicator's name, sorted."""
    return tuple(sorted(_DEFINITIONS))


def parameters(name: str) -> Mapping[str, _Argument]:
    """Return an indicator's parameters with their defaults."""
    return {key: one.default for key, one in inspect.signature(_DEFINITIONS[name]).parameters.items()}


def description(name: str) -> str:
    """Return the indicator's definition in words."""
    return inspect.getdoc(_DEFINITIONS[name]) or ""


def function(found: spec.UserFunction, *, window: int, fields: tuple[str, ...] = ("close",)) -> spec.Spec:
    """Return the spec of a user's own windowed function.

    Parameters
    ----------
    found : called with one read-only float64 array per field, shape (window, 256), newest row first, one window per
        column; returns float64 of shape (256,). It must treat columns alike and apart, and keep nothing between
        calls. The shape is always the same, because numpy may add in another order for another shape.
    window : rows, 1 to 10,000
    fields : fields of the bars, in the order of the arguments; prices in USD, volume in shares

    Raises
    ------
    errors.ValueRefused for a window or field outside these.
    """
    _rows("window", window, 1)
    if not fields:
        raise errors.ValueRefused("fields", "at least one field", fields)
    for field in fields:
        _field("fields", field)
    name = f"function:{getattr(found, '__module__', '')}.{getattr(found, '__qualname__', type(found).__qualname__)}"
    arguments: tuple[tuple[str, _Argument], ...] = (("window", window),)
    arguments += tuple((f"field{at}", field) for at, field in enumerate(fields))
    return _described(name, arguments, user.graph(found, window, fields), found)


def graph(one: spec.Spec) -> nodes.Graph:
    """Return the graph that computes a spec."""
    if one.function is not None:
        fields = tuple(str(value) for key, value in one.arguments if key != "window")
        return user.graph(one.function, one.window, fields)
    return _DEFINITIONS[one.name](**dict(one.arguments))


def _spec(name: str, **given: _Argument) -> spec.Spec:
    known = parameters(name)
    for key, value in given.items():
        if key not in known:
            raise errors.ValueRefused(f"{name}.{key}", f"one of: {', '.join(known) or 'no parameters'}", value)
    arguments: dict[str, _Argument] = {}
    for key, default in known.items():
        value, field = given.get(key, default), f"{name}.{key}"
        if isinstance(default, str):
            arguments[key] = _field(field, value)
        elif isinstance(default, float):
            arguments[key] = _factor(field, value)
        else:
            arguments[key] = _rows(field, value, 2 if key == "window" and name in _TWO_ROWS else 1)
    return _described(name, tuple(arguments.items()), _DEFINITIONS[name](**arguments), None)


def _described(
    name: str, arguments: tuple[tuple[str, _Argument], ...], built: nodes.Graph, found: spec.UserFunction | None
) -> spec.Spec:
    spans = [node.span for node in built.outputs.values()]
    first = max(node.first for node in built.outputs.values())
    windows = {key: value for key, value in arguments if isinstance(value, int)}
    return spec.Spec(
        name=name,
        window=windows.get("window", max(windows.values(), default=1)),
        arguments=arguments,
        fields=stages.fields_of(built),
        outputs=tuple(built.outputs),
        exact=built.exact,
        denominator=built.denominator,
        warmup=first,
        span=None if None in spans else max(span for span in spans if span is not None),
        function=found,
    )


def _rows(field: str, value: _Argument, least: int) -> int:
    whole = isinstance(value, numbers.Integral) and not isinstance(value, bool)  # numpy's integers too
    if not whole or not least <= int(value) <= MOST_ROWS:
        raise errors.ValueRefused(field, f"a whole number of rows from {least} to {MOST_ROWS}", value)
    return int(value)


def _factor(field: str, value: _Argument) -> float:
    if not isinstance(value, numbers.Real) or isinstance(value, bool) or not (math.isfinite(value) and value > 0):
        raise errors.ValueRefused(field, "a positive number", value)
    return float(value)


def _field(field: str, value: _Argument) -> str:
    if value not in columns.FIELDS:
        raise errors.ValueRefused(field, f"one of: {', '.join(columns.FIELDS)}", value)
    return str(value)


def _definitions() -> dict[str, _Builder]:
    found: dict[str, _Builder] = {}
    for module in (exact, prices, averages, bands, momentum, direction, volatility, volume, dispersion):
        for name, one in vars(module).items():
            if inspect.isfunction(one) and inspect.signature(one).return_annotation is nodes.Graph and name[0] != "_":
                found[name.rstrip("_")] = one
    return found


_DEFINITIONS = _definitions()
