"""Numbers and conditions of a rule: immutable trees over exact indicators, columns and integers.

Prices are integers in units of their symbol, volume is in shares. Every operation is one of integers, so that both ways
of evaluating a tree agree; a float has no place in it. A tree is its own identity: equal trees are equal values with
equal text.
"""

import functools
from dataclasses import dataclass
from typing import Union

from tradeplane_engine import errors, indicators

Whole = Union["Number", int]

_LARGEST = 2**63 - 1


class Number:
    """An integer per bar; ``+``, ``-`` and ``*`` with integers give another, comparisons a condition."""

    __slots__ = ()

    def __add__(self, other: Whole) -> "Number":
        return Plus(self, _number(other, "+"))

    def __radd__(self, other: int) -> "Number":
        return Plus(_number(other, "+"), self)

    def __sub__(self, other: Whole) -> "Number":
        return Minus(self, _number(other, "-"))

    def __rsub__(self, other: int) -> "Number":
        return Minus(_number(other, "-"), self)

    def __mul__(self, factor: int) -> "Number":
        return Times(_whole(factor, "*"), self)

    __rmul__ = __mul__

    def __neg__(self) -> "Number":
        return Times(-1, self)

    def __lt__(self, other: Whole) -> "Condition":
        return Compare("<", self, _number(other, "<"))

    def __le__(self, other: Whole) -> "Condition":
        return Compare("<=", self, _number(other, "<="))

    def __gt__(self, other: Whole) -> "Condition":
        return Compare(">", self, _number(other, ">"))

    def __ge__(self, other: Whole) -> "Condition":
        return Compare(">=", self, _number(other, ">="))

    def equals(self, other: Whole) -> "Condition":
        """Whether both are the same number; ``==`` compares the trees."""
        return Compare("==", self, _number(other, "equals"))

    def crossed_above(self, other: Whole) -> "Condition":
        """Above ``other`` now, and not above it at the bar before; false at the first bar that the rule sees."""
        return Crossed(">", self, _number(other, "crossed_above"))

    def crossed_below(self, other: Whole) -> "Condition":
        """Below ``other`` now, and not below it at the bar before; false at the first bar that the rule sees."""
        return Crossed("<", self, _number(other, "crossed_below"))


class Condition:
    """True or false per bar; ``&``, ``|`` and ``~`` combine conditions."""

    __slots__ = ()

    def __and__(self, other: "Condition") -> "Condition":
        return Both(self, _condition(other, "&"))

    def __or__(self, other: "Condition") -> "Condition":
        return Either(self, _condition(other, "|"))

    def __invert__(self) -> "Condition":
        return Not(self)

    def __bool__(self) -> bool:
        raise errors.ValueRefused(
            "condition", "combined by &, | and ~, not by and, or, not or a chain like a < b < c", str(self)
        )


@dataclass(frozen=True, slots=True)
class Constant(Number):
    """The same integer at every bar."""

    value: int

    def __str__(self) -> str:
        return str(self.value)


@dataclass(frozen=True, slots=True)
class Column(Number):
    """A field of the bar."""

    field: str

    def __str__(self) -> str:
        return self.field


@dataclass(frozen=True, slots=True)
class Window(Number):
    """An exact indicator over a field: ``sum``, ``highest``, ``lowest`` or ``change``."""

    name: str
    field: str
    window: int

    def spec(self) -> indicators.Spec:
        """The indicator; raises ValueRefused for a window or field that it does not have."""
        return _spec(self.name, self.field, self.window)

    def __str__(self) -> str:
        return f"{self.name}({self.field}, {self.window})"


@dataclass(frozen=True, slots=True)
class Plus(Number):
    """Sum of two numbers."""

    left: Number
    right: Number

    def __str__(self) -> str:
        return f"({self.left} + {self.right})"


@dataclass(frozen=True, slots=True)
class Minus(Number):
    """Difference of two numbers."""

    left: Number
    right: Number

    def __str__(self) -> str:
        return f"({self.left} - {self.right})"


@dataclass(frozen=True, slots=True)
class Times(Number):
    """A number times a fixed integer."""

    factor: int
    right: Number

    def __str__(self) -> str:
        return f"{self.factor} * {self.right}"


@dataclass(frozen=True, slots=True)
class Compare(Condition):
    """One of <, <=, >, >=, == between two numbers."""

    sign: str
    left: Number
    right: Number

    def __str__(self) -> str:
        return f"({self.left} {self.sign} {self.right})"


@dataclass(frozen=True, slots=True)
class Crossed(Condition):
    """A comparison (> or <) that holds at this bar and did not at the one before."""

    sign: str
    left: Number
    right: Number

    def __str__(self) -> str:
        return f"crossed({self.left} {self.sign} {self.right})"


@dataclass(frozen=True, slots=True)
class Both(Condition):
    """Both conditions."""

    left: Condition
    right: Condition

    def __str__(self) -> str:
        return f"({self.left} & {self.right})"


@dataclass(frozen=True, slots=True)
class Either(Condition):
    """At least one of two conditions."""

    left: Condition
    right: Condition

    def __str__(self) -> str:
        return f"({self.left} | {self.right})"


@dataclass(frozen=True, slots=True)
class Not(Condition):
    """The opposite of a condition."""

    right: Condition

    def __str__(self) -> str:
        return f"~{self.right}"


Node = Number | Condition


def column(field: str) -> Number:
    """A field of the bar: open, high, low, close (price units) or volume (shares)."""
    if field not in indicators.FIELDS:
        raise errors.ValueRefused("column", f"one of {', '.join(indicators.FIELDS)}", field)
    return Column(field)


def sum_(field: str, window: int) -> Number:
    """Sum of the last ``window`` rows of a field."""
    return _window("sum", field, window)


def highest(field: str, window: int) -> Number:
    """Largest of the last ``window`` rows of a field."""
    return _window("highest", field, window)


def lowest(field: str, window: int) -> Number:
    """Smallest of the last ``window`` rows of a field."""
    return _window("lowest", field, window)


def change(field: str, window: int) -> Number:
    """A field less what it was ``window`` rows before."""
    return _window("change", field, window)


def children(node: Node) -> tuple[Node, ...]:
    """Nodes directly below one."""
    return tuple(getattr(node, name) for name in ("left", "right") if hasattr(node, name))


def every(node: Node) -> list[Node]:
    """All nodes of a tree, each once, those below before those above."""
    found: dict[Node, None] = {}
    pending = [(node, False)]
    while pending:
        one, done = pending.pop()
        if done:
            found.setdefault(one)
        elif one not in found:
            pending.append((one, True))
            pending.extend((below, False) for below in reversed(children(one)))
    return list(found)


def _window(name: str, field: str, window: int) -> Number:
    found = Window(name, field, window)
    return Window(name, field, found.spec().window)


@functools.cache
def _spec(name: str, field: str, window: int) -> indicators.Spec:
    return indicators.named(name)(window=window, field=field)


def _number(value: Whole, field: str) -> Number:
    return value if isinstance(value, Number) else Constant(_whole(value, field))


def _whole(value: object, field: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise errors.ValueRefused(f"rule {field}", "an int: a rule is exact", value)
    if abs(value) > _LARGEST:
        raise errors.Overflow(f"rule {field}", "within 64 bits", value)
    return value


def _condition(value: object, field: str) -> Condition:
    if not isinstance(value, Condition):
        raise errors.ValueRefused(
            f"rule {field}", "a condition (compared numbers need brackets: (a > b) & (c > d))", value
        )
    return value
