"""Trading sessions: when a market opens and closes, and which of them an order belongs to."""

import bisect
import hashlib

import numpy as np
import numpy.typing as npt

from tradeplane_engine import errors


class Sessions:
    """Sessions in the order of time; raises ValueRefused naming the first that is none.

    Parameters
    ----------
    opens, closes : shape (n,), ns UTC; each session opens before it closes and after the one before has closed
    begins, ends : shape (n,), ns UTC; where pre-market hours begin and after-market hours end; both or none

    Attributes
    ----------
    extended : whether there are extended hours
    """

    __slots__ = ("_closes", "_ends", "_opens", "begins", "closes", "ends", "extended", "opens")

    def __init__(
        self,
        opens: npt.NDArray[np.int64],
        closes: npt.NDArray[np.int64],
        begins: npt.NDArray[np.int64] | None = None,
        ends: npt.NDArray[np.int64] | None = None,
    ) -> None:
        if (begins is None) != (ends is None):
            raise errors.ValueRefused("sessions", "begins and ends of extended hours, or none of both", "one of both")
        self.opens = opens
        self.closes = closes
        self.extended = begins is not None
        self.begins = opens if begins is None else begins
        self.ends = closes if ends is None else ends
        columns = {"begin": self.begins, "open": opens, "close": closes, "end": self.ends}
        for name, column in columns.items():
            if column.dtype != np.int64 or column.ndim != 1 or column.shape != opens.shape:
                limit = f"opens and closes as int64 of one shape {opens.shape}"
                raise errors.ValueRefused("sessions", limit, f"{name}s of {column.dtype} {column.shape}")
        for name, good in (
            ("close", closes > opens),
            ("open", np.append(True, opens[1:] >= closes[:-1])[: len(opens)]),
            ("open", opens >= self.begins),
            ("end", self.ends >= closes),
            ("begin", np.append(True, self.begins[1:] >= self.ends[:-1])[: len(opens)]),
        ):
            if not good.all():
                found = int(np.argmin(good))
                value = int(columns[name][found])
                raise errors.ValueRefused(f"sessions.{name}, session {found}", "later than what is before it", value)
        self._opens: list[int] = opens.tolist()
        self._closes: list[int] = closes.tolist()
        self._ends: list[int] = self.ends.tolist()

    def digest(self) -> str:
        """Return the sha256 of all instants: what a run's identity says of its sessions."""
        columns = (self.opens, self.closes, self.begins, self.ends) if self.extended else (self.opens, self.closes)
        return hashlib.sha256(np.stack(columns).astype("<i8").tobytes()).hexdigest()

    def __len__(self) -> int:
        return len(self._opens)

    def closing(self, instant: int) -> int:
        """First session that closes after an instant: that of an order which the venue then gets; n for none."""
        return bisect.bisect_right(self._closes, instant)

    def opening(self, instant: int) -> int:
        """First session that opens at or after an instant; n for none."""
        return bisect.bisect_left(self._opens, instant)

    def ending(self, instant: int) -> int:
        """First session whose extended hours end after an instant; n for none."""
        return bisect.bisect_right(self._ends, instant)

    def end_of(self, session: int, otherwise: int) -> int:
        """End of a session's extended hours, or ``otherwise`` beyond the last one."""
        return self._ends[session] if session < len(self._ends) else otherwise

    def close_of(self, session: int, otherwise: int) -> int:
        """Close of a session, or ``otherwise`` beyond the last one."""
        return self._closes[session] if session < len(self._closes) else otherwise
