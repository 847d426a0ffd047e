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
    """

    __slots__ = ("_closes", "_opens", "closes", "opens")

    def __init__(self, opens: npt.NDArray[np.int64], closes: npt.NDArray[np.int64]) -> None:
        if opens.dtype != np.int64 or closes.dtype != np.int64 or opens.shape != closes.shape or opens.ndim != 1:
            raise errors.ValueRefused(
                "sessions", "opens and closes as int64 of one shape (n,)", f"{opens.shape}, {closes.shape}"
            )
        for name, good in (
            ("close", closes > opens),
            ("open", np.append(True, opens[1:] >= closes[:-1])[: len(opens)]),
        ):
            if not good.all():
                found = int(np.argmin(good))
                value = int((closes if name == "close" else opens)[found])
                raise errors.ValueRefused(f"sessions.{name}, session {found}", "later than what is before it", value)
        self.opens = opens
        self.closes = closes
        self._opens: list[int] = opens.tolist()
        self._closes: list[int] = closes.tolist()

    def digest(self) -> str:
        """Return the sha256 of the opens and closes: what a run's identity says of its sessions."""
        return hashlib.sha256(np.stack((self.opens, self.closes)).astype("<i8").tobytes()).hexdigest()

    def __len__(self) -> int:
        return len(self._opens)

    def closing(self, instant: int) -> int:
        """First session that closes after an instant: that of an order which the venue then gets; n for none."""
        return bisect.bisect_right(self._closes, instant)

    def opening(self, instant: int) -> int:
        """First session that opens at or after an instant; n for none."""
        return bisect.bisect_left(self._opens, instant)

    def close_of(self, session: int, otherwise: int) -> int:
        """Close of a session, or ``otherwise`` beyond the last one."""
        return self._closes[session] if session < len(self._closes) else otherwise
