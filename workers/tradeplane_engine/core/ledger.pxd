cimport cython

from tradeplane_engine.core cimport exact
from tradeplane_engine.core.exact cimport int128

cdef long long _MOST

cdef class Ledger:
    cdef readonly long long starting, cash, realised, fees, other, cost_total, worth_total, fills
    cdef readonly object quantities, costs
    cdef long long[::1] quantity, cost, step, worth
    cdef const long long[::1] unit

    cpdef object widen(self, object unit)
    cpdef object resume(self, long long realised, long long fills, object held)

    @cython.locals(worth=int128, total=int128)
    cpdef object mark(self, int symbol, long long price)

    cdef object take(self, int symbol, long long worth)
    cdef object total(self, int128 worth)

    @cython.locals(
        before=cython.longlong, cost=cython.longlong, value=cython.longlong, unit=cython.longlong, after=int128,
        cost_after=int128, moved=int128, realised=int128, realised_total=int128, cost_total=int128, cash=int128,
        fees=int128
    )
    cpdef long long fill(self, int symbol, long long signed, long long price, long long fee) except? -1

    @cython.locals(step=cython.longlong)
    cdef object _hold(self, int symbol, long long quantity)

    @cython.locals(cash=cython.longlong)
    cpdef object book(self, long long amount, str field)

    cpdef object split(self, int symbol, long long quantity, long long price)

    @cython.locals(total=int128)
    cpdef long long equity(self) except? -1

    @cython.locals(expected=int128)
    cpdef object check(self)

cdef object _refuse(int128 position, int128 cost, int128 realised, int128 cost_total, int128 cash, int128 fees)
